// Package mail hands letters to a mail server by SMTP. What is sent, when, and
// what becomes of what could not be sent is not decided here.
//
// The connection is encrypted, and the server has to prove who it is, unless
// the settings say otherwise; a password never travels over one that is not.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"sync"
	"time"
	"unicode"

	smtp "github.com/wneessen/go-mail"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Security says how the connection is encrypted.
type Security string

// The ways to encrypt. The zero value is StartTLS.
const (
	StartTLS Security = "starttls" // begins in the clear and must change before anything is said
	Implicit Security = "implicit" // is encrypted from the first byte
	None     Security = "none"     // stays in the clear
)

// DefaultTimeout bounds each step of a conversation unless Options do.
const DefaultTimeout = 15 * time.Second

// Options say which server to use. Server, Port and From are required.
type Options struct {
	Server         string
	Port           int
	Security       Security
	Roots          *x509.CertPool // authorities that are believed; those of the system when nil
	User, Password string         // to sign in with; nobody when User is empty
	From           string         // for instance "Access <access@example.com>"
	Timeout        time.Duration  // of connecting and of each letter; DefaultTimeout when 0
}

// Sender sends letters over one connection at a time. It is for one goroutine.
type Sender struct {
	opts   Options
	from   *mail.Address
	client *smtp.Client

	mu   sync.Mutex // guards what hangUp uses, which runs beside
	conn net.Conn   // what the client talks over; nil: it is not connected
}

// New prepares to send, without connecting.
func New(o Options) (*Sender, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	from, err := mail.ParseAddress(o.From)
	if err != nil {
		return nil, access.Invalid("from", "%q is not an address such as access@example.com or Access <access@example.com>", o.From)
	}
	s := &Sender{opts: o, from: from}
	options := []smtp.Option{smtp.WithPort(o.Port), smtp.WithTimeout(o.Timeout), smtp.WithDialContextFunc(s.dial)}
	switch o.Security {
	case "", StartTLS:
		options = append(options, smtp.WithTLSPolicy(smtp.TLSMandatory), smtp.WithTLSConfig(s.tls()))
	case Implicit: // dial encrypts; then there is nothing left to change to
		options = append(options, smtp.WithTLSPolicy(smtp.TLSOpportunistic), smtp.WithTLSConfig(s.tls()))
	case None:
		options = append(options, smtp.WithTLSPolicy(smtp.NoTLS))
	default:
		return nil, access.Invalid("tls", "%q is none of starttls, implicit and none", string(o.Security))
	}
	if o.User != "" { // of the ways that the server offers, none that shows the password in the clear
		options = append(options, smtp.WithSMTPAuth(smtp.SMTPAuthAutoDiscover), smtp.WithUsername(o.User), smtp.WithPassword(o.Password))
	}
	if s.client, err = smtp.NewClient(o.Server, options...); err != nil {
		return nil, fmt.Errorf("mail server: %w", err)
	}
	return s, nil
}

func (s *Sender) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.opts.Server, RootCAs: s.opts.Roots}
}

// dial keeps hold of the connection: the library leaves one open on which it
// could not come to terms with the server.
func (s *Sender) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	plain := &net.Dialer{}
	if s.opts.Security == Implicit {
		conn, err = (&tls.Dialer{NetDialer: plain, Config: s.tls()}).DialContext(ctx, network, address)
	} else {
		conn, err = plain.DialContext(ctx, network, address)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn = nil; err == nil {
		s.conn = conn
	}
	return conn, err
}

// Connect makes sure that there is a connection on which the server listens.
func (s *Sender) Connect(ctx context.Context) error {
	if s.connected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	defer context.AfterFunc(ctx, s.hangUp)()
	err := s.client.DialWithContext(ctx)
	if err != nil {
		s.drop()
		return fmt.Errorf("connect to the mail server %s:%d: %w", s.opts.Server, s.opts.Port, err)
	}
	return nil
}

func (s *Sender) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}

// hangUp ends a connection on which nobody waits any longer for an answer.
func (s *Sender) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// drop forgets the connection, whatever state it is in.
func (s *Sender) drop() {
	s.hangUp()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = nil
}

// Close says goodbye, if there is anybody to say it to.
func (s *Sender) Close() {
	if s.connected() {
		_ = s.client.Close() // who does not answer is left without
		s.drop()
	}
}

// Send hands over one letter. After it has succeeded the server has the letter;
// after an error it may have it. ErrMailbox: it will never take it.
func (s *Sender) Send(ctx context.Context, l access.Letter) error {
	msg, err := s.message(l)
	if err != nil {
		return err
	}
	if err := s.Connect(ctx); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, s.hangUp)()
	err = s.client.Send(msg)
	if err == nil {
		return nil
	}
	s.drop() // so that the next letter does not meet half a conversation
	if msg.IsDelivered() {
		return nil // what failed came after it
	}
	var refused *smtp.SendError
	if errors.As(err, &refused) && refused.Reason == smtp.ErrSMTPRcptTo && refused.ErrorCode()/100 == 5 {
		return fmt.Errorf("%w: %w", access.ErrMailbox, err)
	}
	return fmt.Errorf("send: %w", err)
}

// message writes a letter as the wire has it. A line break in what becomes a
// header would begin another one.
func (s *Sender) message(l access.Letter) (*smtp.Msg, error) {
	if strings.ContainsFunc(l.To+l.Subject+l.ID, unicode.IsControl) {
		return nil, fmt.Errorf("%w: address and subject must be one line", access.ErrMailbox)
	}
	to, err := mail.ParseAddress(l.To)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", access.ErrMailbox, err)
	}
	msg := smtp.NewMsg(smtp.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	msg.ToMailAddress(to)
	msg.Subject(l.Subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(l.ID + s.from.Address[strings.LastIndex(s.from.Address, "@"):])
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // so that programs do not answer
	msg.SetBodyString(smtp.TypeTextPlain, l.Text)
	return msg, nil
}
