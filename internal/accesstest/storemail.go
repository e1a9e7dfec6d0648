package accesstest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/store"
)

// mailing are the tests of mails on their way out.
var mailing = map[string]func(*storeBattery){
	"a mail goes with its change or not at all": mailWithChange,
	"a mail is claimed by one":                  mailClaims,
	"what became of a mail is kept":             mailSettled,
	"old mails are forgotten":                   mailSwept,
}

// mailbox is a store with a clock of its own and a tenant for mails.
type mailbox struct {
	*storeBattery
	store  *store.Store
	now    time.Time
	tenant string
}

func (b *storeBattery) mailbox(tenant string) *mailbox {
	m := &mailbox{storeBattery: b, now: time.Now().UTC().Truncate(time.Microsecond), tenant: tenant}
	o := b.options
	o.Clock = func() time.Time { return m.now }
	m.store = OpenStore(b.t, o)
	b.empty(b.t, tenant)
	if _, err := b.raw.ExecContext(b.t.Context(), "DELETE FROM mail"); err != nil {
		b.t.Fatal(err)
	}
	return m
}

func (m *mailbox) edit(edit func(access.Draft) error) error {
	_, err := m.store.Edit(m.t.Context(), m.tenant, change(access.AnyRevision), edit, nil)
	return err
}

func (m *mailbox) queue(users ...string) {
	m.t.Helper()
	for _, u := range users {
		err := m.store.SendMail(m.t.Context(), access.Mail{Tenant: m.tenant, User: u, To: u + "@example.com", Purpose: access.MailReset})
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *mailbox) claim() access.Mail {
	m.t.Helper()
	mail, err := m.store.ClaimMail(m.t.Context(), time.Minute)
	if err != nil {
		m.t.Fatal(err)
	}
	return mail
}

func (m *mailbox) nothing() {
	m.t.Helper()
	if mail, err := m.store.ClaimMail(m.t.Context(), time.Minute); !errors.Is(err, access.ErrNotFound) {
		m.t.Errorf("claimed %+v, error %v", mail, err)
	}
}

func (m *mailbox) counts(waiting, failed int) {
	m.t.Helper()
	c, err := m.store.CountMail(m.t.Context())
	if err != nil || c.Waiting != waiting || c.Failed != failed || c.Oldest.IsZero() != (waiting == 0) {
		m.t.Errorf("%+v, error %v; want %d waiting and %d failed", c, err, waiting, failed)
	}
}

// mailWithChange: an edit that fails, whoever refuses it, leaves no mail; one that
// succeeds leaves one of each purpose, the newest, and neither text nor link.
func mailWithChange(b *storeBattery) {
	m := b.mailbox("mail-edit")
	refused := errors.New("refused")
	send := func(d access.Draft) error {
		u := access.User{ID: "u1", Email: "u1@example.com", Name: "One", Status: access.UserInvited, CreatedAt: d.Now()}
		d.PutUser(u)
		return d.Send(access.Mail{User: u.ID, To: u.Email, Purpose: access.MailActivate})
	}
	if err := m.edit(func(d access.Draft) error { return errors.Join(send(d), refused) }); !errors.Is(err, refused) {
		b.t.Fatal(err)
	}
	_, err := m.store.Edit(b.t.Context(), m.tenant, change(access.AnyRevision), send, func(access.Delta) error { return refused })
	if !errors.Is(err, refused) {
		b.t.Fatal(err)
	}
	m.nothing()
	if err := m.edit(func(d access.Draft) error { return d.Send(access.Mail{User: "u1", Purpose: access.MailActivate}) }); !errors.Is(err, access.ErrInvalid) {
		b.t.Errorf("a mail to nowhere: %v", err)
	}
	if err := m.edit(send); err != nil {
		b.t.Fatal(err)
	}
	m.counts(1, 0)
	first := m.claim()
	if first.Tenant != m.tenant || first.User != "u1" || first.To != "u1@example.com" || first.Purpose != access.MailActivate || first.Tries != 1 || first.State != access.MailWaiting {
		b.t.Errorf("%+v", first)
	}
	err = m.store.SendMail(b.t.Context(), access.Mail{Tenant: m.tenant, User: "u1", To: "new@example.com", Purpose: access.MailActivate})
	if err != nil {
		b.t.Fatal(err)
	}
	first.State = access.MailSent // by whoever had it, too late
	if err := m.store.SettleMail(b.t.Context(), first); err != nil {
		b.t.Fatal(err)
	}
	m.counts(1, 0)
	second := m.claim()
	if second.ID == first.ID || second.To != "new@example.com" {
		b.t.Errorf("%+v", second)
	}
	if err := m.store.SendMail(b.t.Context(), access.Mail{Tenant: "nowhere", User: "u1", To: "a@example.com"}); !errors.Is(err, access.ErrNotFound) {
		b.t.Errorf("a mail of no tenant: %v", err)
	}
}

// mailClaims: of many who look at one time each mail goes to one, and to
// another one only when its lease is over.
func mailClaims(b *storeBattery) {
	m := b.mailbox("mail-claims")
	const many = 40
	for i := range many {
		m.queue(fmt.Sprint("u", i))
	}
	var mu sync.Mutex
	got := map[string]int{}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for misses := 0; misses < 3; {
				mail, err := m.store.ClaimMail(b.t.Context(), time.Minute)
				if errors.Is(err, access.ErrNotFound) {
					misses++
					continue
				}
				if err != nil {
					b.t.Error(err)
					return
				}
				mu.Lock()
				got[mail.User]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(got) != many {
		b.t.Errorf("%d of %d mails were claimed", len(got), many)
	}
	for user, n := range got {
		if n != 1 {
			b.t.Errorf("the mail to %s was claimed %d times", user, n)
		}
	}
	m.nothing()
	m.now = m.now.Add(time.Minute)
	if again := m.claim(); again.Tries != 2 {
		b.t.Errorf("after the lease: %+v", again)
	}
}

// mailSettled: what was sent is not sent again, what is due later comes later,
// what was given up says why, and the accounts can be asked for it.
func mailSettled(b *storeBattery) {
	m := b.mailbox("mail-settled")
	m.queue("sent", "later", "failed", "dropped")
	for range 4 {
		mail := m.claim()
		switch mail.User {
		case "sent":
			mail.State, mail.Settled, mail.Expires = access.MailSent, m.now, m.now.Add(time.Hour)
		case "later":
			mail.Due, mail.Trouble = m.now.Add(time.Second), "the server is\r\n\xff busy "+strings.Repeat("ä", 400)
		case "failed":
			mail.State, mail.Settled, mail.Trouble = access.MailFailed, m.now, "no such mailbox"
		case "dropped":
			if err := m.store.DropMail(b.t.Context(), mail); err != nil {
				b.t.Fatal(err)
			}
			continue
		}
		if err := m.store.SettleMail(b.t.Context(), mail); err != nil {
			b.t.Fatal(err)
		}
	}
	m.counts(1, 1)
	m.nothing()
	found, err := m.store.MailsTo(b.t.Context(), m.tenant, access.MailReset, []string{"sent", "later", "failed", "dropped", "nobody"})
	if err != nil || len(found) != 3 {
		b.t.Fatalf("%+v, error %v", found, err)
	}
	if s := found["sent"]; s.State != access.MailSent || !s.Settled.Equal(m.now) || !s.Expires.Equal(m.now.Add(time.Hour)) {
		b.t.Errorf("%+v", s)
	}
	if l := found["later"]; l.State != access.MailWaiting || !strings.HasPrefix(l.Trouble, "the server is    busy ä") || len([]rune(l.Trouble)) != 300 {
		b.t.Errorf("%+v", l)
	}
	if f := found["failed"]; f.State != access.MailFailed || f.Trouble != "no such mailbox" {
		b.t.Errorf("%+v", f)
	}
	if other, err := m.store.MailsTo(b.t.Context(), m.tenant, access.MailActivate, []string{"sent"}); err != nil || len(other) != 0 {
		b.t.Errorf("%+v, error %v", other, err)
	}
	m.now = m.now.Add(time.Second)
	if again := m.claim(); again.User != "later" || again.Tries != 2 {
		b.t.Errorf("%+v", again)
	}
}

// mailSwept: what is older than asked for goes, settled or not.
func mailSwept(b *storeBattery) {
	m := b.mailbox("mail-swept")
	m.queue("old-waiting", "old-sent")
	for range 2 {
		if mail := m.claim(); mail.User == "old-sent" {
			mail.State, mail.Settled = access.MailSent, m.now
			if err := m.store.SettleMail(b.t.Context(), mail); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	began := m.now
	m.now = m.now.Add(time.Hour)
	m.queue("new")
	for _, sweep := range []struct {
		before time.Time
		left   int
	}{{began, 3}, {began.Add(time.Minute), 1}} {
		if err := m.store.SweepMail(b.t.Context(), sweep.before); err != nil {
			b.t.Fatal(err)
		}
		found, err := m.store.MailsTo(b.t.Context(), m.tenant, access.MailReset, []string{"old-waiting", "old-sent", "new"})
		if err != nil || len(found) != sweep.left {
			b.t.Errorf("%d mails are left, not %d: %+v, error %v", len(found), sweep.left, found, err)
		}
	}
}
