package mail_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/mail"
)

func sender(t *testing.T, o mail.Options) *mail.Sender {
	t.Helper()
	if o.From == "" {
		o.From = "Åccess <access@example.com>"
	}
	s, err := mail.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func letter(id string) access.Letter {
	return access.Letter{
		ID: id, To: "sales-1@example.com", Subject: "Zugang für Käufer & <b>Größe</b>",
		Text: "Guten Tag,\n\n.ein Punkt am Anfang\nhttps://access.example.com/activate?tenant=crm#token=a-b_c\n" + strings.Repeat("lang ", 300) + "\n",
	}
}

// TestSend: a letter arrives as it was written, whatever is agreed upon with the
// server, over one connection. (Req 38: mail in a captured outbox.)
func TestSend(t *testing.T) {
	for name, tc := range map[string]struct {
		server   accesstest.MailServerOptions
		security mail.Security
		secure   bool
	}{
		"starttls, signed in": {accesstest.MailServerOptions{TLS: "starttls", User: "bailiwick", Password: "swordfish"}, mail.StartTLS, true},
		"implicit, signed in": {accesstest.MailServerOptions{TLS: "implicit", User: "bailiwick", Password: "swordfish"}, mail.Implicit, true},
		"in the clear":        {accesstest.MailServerOptions{}, mail.None, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := accesstest.NewMailServer(t, tc.server)
			s := sender(t, mail.Options{
				Server: server.Host, Port: server.Port, Security: tc.security, Roots: server.Pool, User: tc.server.User, Password: tc.server.Password,
			})
			for _, id := range []string{"one", "two"} {
				if err := s.Send(t.Context(), letter(id)); err != nil {
					t.Fatal(err)
				}
			}
			got := server.Mails()
			if len(got) != 2 {
				t.Fatalf("%d letters have come", len(got))
			}
			m, want := got[1], letter("two")
			if m.From != "access@example.com" || m.To != want.To || m.Subject != want.Subject || m.Text != want.Text || m.Secure != tc.secure {
				t.Errorf("%+v", m)
			}
			for header, want := range map[string]string{
				"Message-Id": "<two@example.com>", "Auto-Submitted": "auto-generated", "From": "=?UTF-8?q?=C3=85ccess?= <access@example.com>",
			} {
				if got := m.Header.Get(header); !strings.EqualFold(got, want) {
					t.Errorf("%s: %q", header, got)
				}
			}
			if want := map[bool]int{true: 1}[tc.server.User != ""]; server.Logins() != want {
				t.Errorf("signed in %d times", server.Logins())
			}
		})
	}
}

// TestConnect_refused: nothing is said to a server that does not encrypt, that
// cannot prove who it is, or that does not know us, and no password goes over an
// open line.
func TestConnect_refused(t *testing.T) {
	for name, tc := range map[string]struct {
		server   accesstest.MailServerOptions
		options  mail.Options
		stranger bool
	}{
		"does not encrypt":          {accesstest.MailServerOptions{}, mail.Options{}, false},
		"expects encryption":        {accesstest.MailServerOptions{TLS: "implicit"}, mail.Options{Security: mail.StartTLS}, false},
		"is somebody else":          {accesstest.MailServerOptions{TLS: "starttls"}, mail.Options{}, true},
		"is somebody else at once":  {accesstest.MailServerOptions{TLS: "implicit"}, mail.Options{Security: mail.Implicit}, true},
		"does not know us":          {accesstest.MailServerOptions{TLS: "starttls", User: "bailiwick", Password: "swordfish"}, mail.Options{User: "bailiwick", Password: "wrong"}, false},
		"a password in the clear":   {accesstest.MailServerOptions{User: "bailiwick", Password: "swordfish"}, mail.Options{Security: mail.None, User: "bailiwick", Password: "swordfish"}, false},
		"a password where none can": {accesstest.MailServerOptions{TLS: "starttls"}, mail.Options{User: "bailiwick", Password: "swordfish"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := accesstest.NewMailServer(t, tc.server)
			tc.options.Server, tc.options.Port, tc.options.Timeout = server.Host, server.Port, 2*time.Second
			if !tc.stranger {
				tc.options.Roots = server.Pool
			}
			s := sender(t, tc.options)
			if err := s.Connect(t.Context()); err == nil {
				t.Error("connected")
			}
			if err := s.Send(t.Context(), letter("x")); err == nil || errors.Is(err, access.ErrMailbox) {
				t.Errorf("sent with error %v", err)
			}
			if len(server.Mails()) != 0 || server.Logins() != 0 {
				t.Errorf("%d letters, %d logins", len(server.Mails()), server.Logins())
			}
		})
	}
}

// TestSend_mailbox: an address that is refused for good is told from what may
// succeed later, and the next letter goes out.
func TestSend_mailbox(t *testing.T) {
	var refusal error
	server := accesstest.NewMailServer(t, accesstest.MailServerOptions{Refuse: func(string) error { return refusal }})
	s := sender(t, mail.Options{Server: server.Host, Port: server.Port, Security: mail.None})
	for name, tc := range map[string]struct {
		with    error
		forGood bool
	}{
		"unknown":    {&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}, true},
		"full":       {&smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "the mailbox is full"}, false},
		"greylisted": {&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "550 later"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			refusal = tc.with
			if err := s.Send(t.Context(), letter(name)); err == nil || errors.Is(err, access.ErrMailbox) != tc.forGood {
				t.Errorf("error %v, for good: want %v", err, tc.forGood)
			}
			refusal = nil
			before := len(server.Mails())
			if err := s.Send(t.Context(), letter(name+"-again")); err != nil || len(server.Mails()) != before+1 {
				t.Errorf("the next letter: %v", err)
			}
		})
	}
}

// TestSend_injection: nothing in a letter begins another header, another
// recipient or another letter.
func TestSend_injection(t *testing.T) {
	server := accesstest.NewMailServer(t, accesstest.MailServerOptions{})
	s := sender(t, mail.Options{Server: server.Host, Port: server.Port, Security: mail.None})
	for name, change := range map[string]func(*access.Letter){
		"subject":          func(l *access.Letter) { l.Subject = "x\r\nBcc: sales-2@example.com" },
		"recipient":        func(l *access.Letter) { l.To = "sales-1@example.com>\r\nRCPT TO:<sales-2@example.com" },
		"two recipients":   func(l *access.Letter) { l.To = "sales-1@example.com, sales-2@example.com" },
		"no recipient":     func(l *access.Letter) { l.To = "" },
		"id":               func(l *access.Letter) { l.ID = "x>\r\nX-Evil: 1" },
		"a bare line feed": func(l *access.Letter) { l.Subject = "x\nX-Evil: 1" },
	} {
		l := letter("x")
		change(&l)
		if err := s.Send(t.Context(), l); !errors.Is(err, access.ErrMailbox) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := letter("end")
	l.Text = "first\r\n.\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<sales-2@example.com>\r\nDATA\r\nsecond\r\n.\r\n"
	if err := s.Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if got := server.Mails(); len(got) != 1 || !strings.Contains(got[0].Text, "MAIL FROM") {
		t.Errorf("%+v", got)
	}
}

// TestSend_silent: whoever waits for a server that says nothing is let go when his
// time is over, and when he is told to stop.
func TestSend_silent(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	came := make(chan struct{}, 8)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			came <- struct{}{}
			defer conn.Close()
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	s := sender(t, mail.Options{Server: "127.0.0.1", Port: port, Security: mail.None, Timeout: 50 * time.Millisecond})
	if err := s.Connect(t.Context()); err == nil {
		t.Error("connected to somebody who says nothing")
	}
	<-came
	s = sender(t, mail.Options{Server: "127.0.0.1", Port: port, Security: mail.None, Timeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-came; cancel() }()
	if err := s.Send(ctx, letter("x")); err == nil {
		t.Error("sent to somebody who says nothing")
	}
}

// TestNew: what cannot be right is refused at start.
func TestNew(t *testing.T) {
	for name, o := range map[string]mail.Options{
		"from":     {Server: "localhost", Port: 25, From: "nobody"},
		"security": {Server: "localhost", Port: 25, From: "a@example.com", Security: "maybe"},
		"server":   {Port: 25, From: "a@example.com"},
		"port":     {Server: "localhost", From: "a@example.com"},
	} {
		if _, err := mail.New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
