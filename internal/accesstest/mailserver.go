package accesstest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// MailServer is a mail server that keeps what it is sent. It talks over the
// network as any other one does.
type MailServer struct {
	Host string
	Port int
	// Roots is a file with the certificate by which it can be known, PEM.
	Roots string
	Pool  *x509.CertPool

	opts   MailServerOptions
	mu     sync.Mutex
	mails  []ReceivedMail
	logins int
}

// MailServerOptions say how a MailServer behaves. The zero value takes everything
// in the clear.
type MailServerOptions struct {
	TLS            string // "starttls", "implicit"; in the clear when empty
	User, Password string // who may send; anybody when empty
	// Refuse gives what a recipient is refused with; nil: he is not.
	Refuse func(to string) error
}

// ReceivedMail is a mail as a MailServer has got it.
type ReceivedMail struct {
	From, To string      // of the envelope
	Header   mail.Header // as they came
	Subject  string      // decoded
	Text     string      // decoded
	Secure   bool        // came over TLS
}

// NewMailServer starts a mail server that ends with the test.
func NewMailServer(t testing.TB, o MailServerOptions) *MailServer {
	t.Helper()
	s := &MailServer{opts: o}
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	s.Pool = x509.NewCertPool()
	s.Pool.AddCert(web.Certificate())
	s.Roots = filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(s.Roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	secure := &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	s.Host = host
	s.Port, _ = strconv.Atoi(port)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &mailSession{server: s, conn: c}, nil }))
	server.AllowInsecureAuth = true
	switch o.TLS {
	case "starttls":
		server.TLSConfig = secure
	case "implicit":
		l = tls.NewListener(l, secure)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return s
}

// Mails gives what has come so far, in its order.
func (s *MailServer) Mails() []ReceivedMail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ReceivedMail(nil), s.mails...)
}

// Wait waits until so many mails have come, and gives them all.
func (s *MailServer) Wait(t testing.TB, many int) []ReceivedMail {
	t.Helper()
	for deadline := time.Now().Add(serviceTimeout); ; time.Sleep(5 * time.Millisecond) {
		all := s.Mails()
		if len(all) >= many {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d mails have come, not %d: %+v", len(all), many, all)
		}
	}
}

// Logins counts who has signed in.
func (s *MailServer) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// mailSession is one conversation.
type mailSession struct {
	server   *MailServer
	conn     *smtp.Conn
	signedIn bool
	mail     ReceivedMail
}

func (s *mailSession) AuthMechanisms() []string {
	if s.server.opts.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.server.opts.User || password != s.server.opts.Password {
			return errors.New("who is that")
		}
		s.server.mu.Lock()
		s.server.logins++
		s.server.mu.Unlock()
		s.signedIn = true
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.opts.User != "" && !s.signedIn {
		return smtp.ErrAuthRequired
	}
	_, secure := s.conn.TLSConnectionState()
	s.mail = ReceivedMail{From: from, Secure: secure}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.To = to
	if s.server.opts.Refuse != nil {
		return s.server.opts.Refuse(to)
	}
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	s.mail.Header = m.Header
	if s.mail.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return err
	}
	body := m.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.mail.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.mail)
	return nil
}

func (s *mailSession) Reset() {}

func (s *mailSession) Logout() error { return nil }
