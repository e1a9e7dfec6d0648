package service_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/mail"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// mailroom is a store with users, a mail server, and what sends from one to the
// other.
type mailroom struct {
	t      *testing.T
	store  *store.Store
	server *accesstest.MailServer
	log    *syncBuffer // several send
	mu     sync.Mutex
	clock  time.Time
}

func (m *mailroom) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clock
}

func (m *mailroom) later(by time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock = m.clock.Add(by)
}

func newMailroom(t *testing.T, o accesstest.MailServerOptions) *mailroom {
	t.Helper()
	m := &mailroom{t: t, clock: time.Now().UTC().Truncate(time.Second), log: &syncBuffer{}, server: accesstest.NewMailServer(t, o)}
	m.store = accesstest.OpenStore(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "b.db"), Clock: m.now})
	return m
}

// user makes an account and queues a mail to it.
func (m *mailroom) user(u access.User, purpose access.MailPurpose) {
	m.t.Helper()
	m.edit(func(d access.Draft) error {
		d.PutUser(u)
		return d.Send(access.Mail{User: u.ID, To: u.Email, Purpose: purpose})
	})
}

func (m *mailroom) edit(edit func(access.Draft) error) {
	m.t.Helper()
	_, err := m.store.Edit(m.t.Context(), "default", access.Change{Base: access.AnyRevision, Author: "test"}, edit, nil)
	if err != nil {
		m.t.Fatal(err)
	}
}

// mails sends from the store to a port.
func (m *mailroom) mails(port int) *service.Mails {
	m.t.Helper()
	sender, err := mail.New(mail.Options{Server: "127.0.0.1", Port: port, Security: mail.None, From: "Shop <access@example.com>"})
	if err != nil {
		m.t.Fatal(err)
	}
	return service.NewMails(m.store, service.MailsOptions{
		Postman: sender, PublicURL: "https://access.example.com", Service: "Shop", Clock: m.now,
		Log: slog.New(slog.NewJSONHandler(m.log, nil)),
	})
}

// runs sends in the background until the test ends.
func (m *mailroom) runs(mails *service.Mails) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); mails.Run(ctx) }()
	m.t.Cleanup(func() { cancel(); <-done })
}

func (m *mailroom) mail(user string) access.Mail {
	m.t.Helper()
	found, err := m.store.MailsTo(m.t.Context(), "default", access.MailActivate, []string{user})
	if err != nil {
		m.t.Fatal(err)
	}
	return found[user]
}

// becomes waits until a mail is as wanted, waking the sender again and again: with
// a clock that stands still nothing comes due by itself.
func (m *mailroom) becomes(mails *service.Mails, user string, is func(access.Mail) bool) access.Mail {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		found := m.mail(user)
		if is(found) {
			return found
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("the mail stays %+v", found)
		}
		mails.Wake()
	}
}

// empty waits until nothing waits.
func (m *mailroom) empty() {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		c, err := m.store.CountMail(m.t.Context())
		if err == nil && c.Waiting == 0 && c.Failed == 0 {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("%+v, error %v", c, err)
		}
	}
}

func invited(id string) access.User {
	return access.User{ID: id, Email: id + "@example.com", Name: "Ada " + id, Status: access.UserInvited}
}

var linkInMail = regexp.MustCompile(`(?m)^https://access\.example\.com/activate\?tenant=default#token=([A-Za-z0-9_-]{43})$`)

// TestMails_activation: the mail goes out with a link that was made when it was
// sent, works once, belongs to this user, and stands nowhere else. (Req 38: mail
// in a captured outbox with a single-use, expiring link.)
func TestMails_activation(t *testing.T) {
	m := newMailroom(t, accesstest.MailServerOptions{})
	mails := m.mails(m.server.Port)
	m.user(invited("sales-1"), access.MailActivate)
	m.later(5 * time.Hour) // it had to wait: the link lasts as long all the same
	m.runs(mails)
	got := m.server.Wait(t, 1)[0]
	if got.To != "sales-1@example.com" || got.Subject != "Your account at Shop" || !strings.Contains(got.Text, "Hello Ada sales-1,") || !strings.Contains(got.Text, "within 24 hours") {
		t.Errorf("%+v", got)
	}
	link := linkInMail.FindStringSubmatch(got.Text)
	if link == nil {
		t.Fatalf("no link in\n%s", got.Text)
	}
	sent := m.becomes(mails, "sales-1", func(x access.Mail) bool { return x.State == access.MailSent })
	if want := m.now().Add(24 * time.Hour); !sent.Expires.Equal(want) {
		t.Errorf("expires %s, want %s", sent.Expires, want)
	}
	if strings.Contains(m.log.String(), link[1]) || !strings.Contains(m.log.String(), "a mail was sent") {
		t.Errorf("the log: %s", m.log)
	}
	hash, _ := service.HashOf(link[1])
	for i, want := range []error{nil, access.ErrNotFound} {
		token, err := m.store.TakeToken(t.Context(), "default", access.PurposeActivate, hash)
		if !errors.Is(err, want) || (err == nil && token.User != "sales-1") {
			t.Errorf("taken %d: %+v, %v", i, token, err)
		}
	}
	if n := len(m.server.Mails()); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// TestMails_newestLink: a mail that is sent again has another link, and that of
// before no longer works. (Req 38: resend.)
func TestMails_newestLink(t *testing.T) {
	m := newMailroom(t, accesstest.MailServerOptions{})
	mails := m.mails(m.server.Port)
	m.runs(mails)
	m.user(invited("sales-1"), access.MailActivate)
	mails.Wake()
	m.server.Wait(t, 1)
	m.user(invited("sales-1"), access.MailActivate)
	mails.Wake()
	all := m.server.Wait(t, 2)
	for i, want := range []error{access.ErrNotFound, nil} {
		hash, _ := service.HashOf(linkInMail.FindStringSubmatch(all[i].Text)[1])
		if _, err := m.store.TakeToken(t.Context(), "default", access.PurposeActivate, hash); !errors.Is(err, want) {
			t.Errorf("link %d: %v", i, err)
		}
	}
}

// TestMails_texts: each purpose has its text in each language, with the links that
// it needs and nothing left to fill in.
func TestMails_texts(t *testing.T) {
	m := newMailroom(t, accesstest.MailServerOptions{})
	purposes := []access.MailPurpose{
		access.MailActivate, access.MailReset, access.MailPasswordChanged, access.MailEmailChanged, access.MailSecondFactorReset,
		access.MailSecondFactorOn, access.MailSecondFactorOff,
	}
	many := 0
	for i, language := range []any{"en", "de-AT", "xx", nil, 5} {
		for _, p := range purposes {
			u := invited(fmt.Sprintf("u-%d-%s", i, p))
			if u.Attributes = map[string]any{"language": language}; language == nil {
				u.Attributes = nil
			}
			if p != access.MailActivate {
				u.Status = access.UserActive
			}
			m.user(u, p)
			many++
		}
	}
	m.runs(m.mails(m.server.Port))
	seen := map[string]bool{}
	for _, got := range m.server.Wait(t, many) {
		seen[got.Subject] = true
		german := strings.HasPrefix(got.To, "u-1-")
		if strings.Contains(got.Text, "Guten Tag Ada ") != german || strings.Contains(got.Text, "Hello Ada ") == german {
			t.Errorf("%s: the language of\n%s", got.To, got.Text)
		}
		links := strings.Contains(got.To, "-activate@") || strings.Contains(got.To, "-reset@") && !strings.Contains(got.To, "second")
		if strings.Contains(got.Text, "#token=") != links || strings.ContainsAny(got.Text, "{}") || strings.Contains(got.Text, "no value") {
			t.Errorf("%s:\n%s", got.To, got.Text)
		}
		if !strings.Contains(got.Text, "Shop") || !strings.Contains(got.Text, "default") {
			t.Errorf("%s does not say where it comes from:\n%s", got.To, got.Text)
		}
	}
	if len(seen) != 2*len(purposes) {
		t.Errorf("%d subjects: %v", len(seen), seen)
	}
}

// TestMails_names: a name that a mail program could make a link of is not in the
// mail.
func TestMails_names(t *testing.T) {
	m := newMailroom(t, accesstest.MailServerOptions{})
	for i, name := range []string{"http://evil.example.com", "WWW.evil.example.com", "evil.example.com/login", "mailto:evil@example.com", "<b>Bold</b>"} {
		u := invited(fmt.Sprint("u", i))
		u.Name = name
		m.user(u, access.MailActivate)
	}
	m.runs(m.mails(m.server.Port))
	for _, got := range m.server.Wait(t, 5) {
		if strings.Contains(strings.ToLower(got.Text), "evil") || strings.Contains(got.Text, "<b>") {
			t.Errorf("%s", got.Text)
		}
	}
}

// TestMails_notWanted: what is no longer so is not told: nobody gets a link to an
// account that has another address, was deleted, or needs none.
func TestMails_notWanted(t *testing.T) {
	m := newMailroom(t, accesstest.MailServerOptions{})
	for id, change := range map[string]func(*access.User){
		"moved":    func(u *access.User) { u.Email = "elsewhere@example.com" },
		"deleted":  func(u *access.User) { u.Status, u.DeletedAt = access.UserDeleted, m.now() },
		"disabled": func(u *access.User) { u.Status = access.UserDisabled },
		"active":   func(u *access.User) { u.Status = access.UserActive },
	} {
		u := invited(id)
		m.user(u, access.MailActivate)
		change(&u)
		m.edit(func(d access.Draft) error { d.PutUser(u); return nil })
	}
	u := invited("disabled-reset")
	u.Status = access.UserDisabled
	m.user(u, access.MailReset)
	m.later(time.Second)
	m.user(invited("wanted"), access.MailActivate)
	m.runs(m.mails(m.server.Port))
	if all := m.server.Wait(t, 1); all[0].To != "wanted@example.com" || len(all) != 1 {
		t.Errorf("%+v", all)
	}
	m.empty()
}

// TestMails_refused: an address that is refused for good is given up at once and
// says why; one that is refused for now is tried again, ever more rarely, and
// given up after three days. Others are not kept waiting by either.
func TestMails_refused(t *testing.T) {
	m := newMailroom(t, accesstest.MailServerOptions{Refuse: func(to string) error {
		switch {
		case strings.HasPrefix(to, "unknown"):
			return &smtp.SMTPError{Code: 550, Message: "no such mailbox"}
		case strings.HasPrefix(to, "full"):
			return &smtp.SMTPError{Code: 452, Message: "the mailbox is full"}
		}
		return nil
	}})
	for _, id := range []string{"unknown", "full"} {
		m.user(invited(id), access.MailActivate)
	}
	m.later(time.Second)
	m.user(invited("well"), access.MailActivate)
	mails := m.mails(m.server.Port)
	m.runs(mails)
	m.server.Wait(t, 1)
	failed := m.becomes(mails, "unknown", func(x access.Mail) bool { return x.State == access.MailFailed })
	if failed.Tries != 1 || !strings.Contains(failed.Trouble, "no such mailbox") || !failed.Settled.Equal(m.now()) {
		t.Errorf("%+v", failed)
	}
	for tries, wait := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute} {
		full := m.becomes(mails, "full", func(x access.Mail) bool {
			return x.Tries == tries+1 && x.Trouble != "" && x.Due.Equal(m.now().Add(wait))
		})
		if full.State != access.MailWaiting || !strings.Contains(full.Trouble, "the mailbox is full") {
			t.Errorf("%+v", full)
		}
		m.later(wait)
	}
	m.later(72 * time.Hour)
	full := m.becomes(mails, "full", func(x access.Mail) bool { return x.State != access.MailWaiting })
	if full.State != access.MailFailed || strings.Count(m.log.String(), "a mail was given up") != 2 {
		t.Errorf("%+v\n%s", full, m.log)
	}
	report := mails.Report() // it is counted a moment after
	for deadline := time.Now().Add(patience); report.Failed != 2 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		mails.Wake()
		report = mails.Report()
	}
	if report.Failed != 2 || report.Sent != 1 || !report.Configured || report.Trouble != "" {
		t.Errorf("%+v", report)
	}
}

// TestMails_serverDown: while nobody answers, mails wait, none is lost and the
// report says why; then they go out, though the first of them was tried in vain.
func TestMails_serverDown(t *testing.T) {
	m := newMailroom(t, accesstest.MailServerOptions{})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	m.user(invited("sales-1"), access.MailActivate)
	m.user(invited("sales-2"), access.MailActivate)
	down := m.mails(nobody)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); down.Run(ctx) }()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if r := down.Report(); strings.Contains(r.Trouble, "connect to the mail server") && r.Waiting == 2 && !r.Oldest.IsZero() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", down.Report())
		}
	}
	cancel()
	<-done
	first := m.mail("sales-1")
	second := m.mail("sales-2")
	if first.Tries+second.Tries != 1 || first.State != access.MailWaiting || second.State != access.MailWaiting {
		t.Errorf("tried %d and %d times: %+v", first.Tries, second.Tries, first)
	}
	m.later(time.Minute)
	m.runs(m.mails(m.server.Port))
	m.server.Wait(t, 2)
}

// TestMails_none: without a mail server mails wait and are counted.
func TestMails_none(t *testing.T) {
	m := newMailroom(t, accesstest.MailServerOptions{})
	m.user(invited("sales-1"), access.MailActivate)
	mails := service.NewMails(m.store, service.MailsOptions{Clock: m.now})
	m.runs(mails)
	for deadline := time.Now().Add(patience); mails.Report().Waiting != 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", mails.Report())
		}
	}
	if x := m.mail("sales-1"); x.Tries != 0 || x.State != access.MailWaiting || mails.Configured() {
		t.Errorf("%+v", x)
	}
}

// TestMails_replicas: several processes that send from one store send each mail
// once.
func TestMails_replicas(t *testing.T) {
	m := newMailroom(t, accesstest.MailServerOptions{})
	const many = 60
	for i := range many {
		m.user(invited(fmt.Sprint("u", i)), access.MailActivate)
	}
	for range 4 {
		m.runs(m.mails(m.server.Port))
	}
	to := map[string]int{}
	for _, got := range m.server.Wait(t, many) {
		to[got.To]++
	}
	if len(to) != many {
		t.Errorf("%d of %d users got a mail: %v", len(to), many, to)
	}
}
