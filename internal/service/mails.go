package service

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// MailStore keeps mails on their way out. Of several processes that ask, one
// gets a mail.
type MailStore interface {
	// ClaimMail gives a mail that is due and keeps it from others for a while;
	// ErrNotFound when there is none.
	ClaimMail(ctx context.Context, lease time.Duration) (access.Mail, error)
	// SettleMail keeps what became of a mail that was claimed.
	SettleMail(ctx context.Context, m access.Mail) error
	// DropMail forgets a mail that was claimed.
	DropMail(ctx context.Context, m access.Mail) error
	// SweepMail forgets what is older than a moment.
	SweepMail(ctx context.Context, before time.Time) error
	// CountMail counts what has not been sent.
	CountMail(ctx context.Context) (access.MailCounts, error)
	// Account gives an account, or an error of kind ErrNotFound.
	Account(ctx context.Context, tenant, id string) (access.User, error)
	// PutToken keeps a one-time token.
	PutToken(ctx context.Context, t access.Token, c access.Change) error
}

// Postman carries letters to a mail server.
type Postman interface {
	// Connect makes sure that there is a connection.
	Connect(ctx context.Context) error
	// Send hands over one letter. ErrMailbox: it will never be taken.
	Send(ctx context.Context, l access.Letter) error
	// Close ends the connection, if there is one.
	Close()
}

// How long a mail is kept at most, whether it was sent, given up or never tried.
const mailKept = 30 * 24 * time.Hour

const (
	mailLease   = 10 * time.Minute // far longer than one try can take
	mailPause   = 5 * time.Second  // between looks into the queue, and after the first failure to connect
	mailPauses  = time.Minute      // at most, after many
	mailBackoff = 15 * time.Second // after the first refusal of a mail; twice as long after each further one
	mailLongest = time.Hour        // at most
)

// MailsOptions say how mails are sent. The zero value sends none: they wait.
type MailsOptions struct {
	Postman     Postman       // nil: there is no mail server
	PublicURL   string        // what links begin with; never taken from a request
	Service     string        // what the service calls itself; "Bailiwick" when empty
	GiveUpAfter time.Duration // after which a mail that failed is not tried again; 72 h when 0
	Clock       func() time.Time
	Log         *slog.Logger
}

// Mails sends what is queued in the store, one by one, in the background: no
// request waits for a mail server. Links are made when their mail is sent, so
// that they last as long as they say and are kept nowhere.
type Mails struct {
	store MailStore
	opts  MailsOptions
	wake  chan struct{}
	sent  atomic.Uint64

	mu     sync.Mutex
	report MailReport
}

// MailReport is how the sending of mails does, as far as it was last looked at.
type MailReport struct {
	Configured bool
	access.MailCounts
	Sent    uint64 // by this process
	Trouble string // why the mail server could not be used the last time; empty when it could
}

// NewMails sends what the store has queued.
func NewMails(s MailStore, o MailsOptions) *Mails {
	o.GiveUpAfter = orDefault(o.GiveUpAfter, 72*time.Hour)
	if o.Service == "" {
		o.Service = "Bailiwick"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Mails{store: s, opts: o, wake: make(chan struct{}, 1)}
	m.report.Configured = o.Postman != nil
	return m
}

// Configured tells whether there is a mail server.
func (m *Mails) Configured() bool { return m.opts.Postman != nil }

// Report tells how the sending does.
func (m *Mails) Report() MailReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.report
	r.Sent = m.sent.Load()
	return r
}

// Wake says that a mail was queued, so that it goes out at once.
func (m *Mails) Wake() {
	select {
	case m.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run sends until ctx ends. Neither a store nor a mail server that is down is a
// reason to stop.
func (m *Mails) Run(ctx context.Context) {
	pause, swept := mailPause, time.Time{}
	for ctx.Err() == nil {
		if now := m.opts.Clock(); now.Sub(swept) > time.Hour && m.sweep(ctx, now) == nil {
			swept = now
		}
		wake := m.wake
		if m.deliver(ctx) {
			pause = mailPause
		} else {
			pause, wake = min(2*pause, mailPauses), nil // more mails do not make a server come back
		}
		m.count(ctx)
		m.rest(ctx, wake, pause)
	}
}

func (m *Mails) rest(ctx context.Context, wake <-chan struct{}, pause time.Duration) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}

func (m *Mails) sweep(ctx context.Context, now time.Time) error {
	err := m.store.SweepMail(ctx, now.Add(-mailKept))
	if err != nil && ctx.Err() == nil {
		m.opts.Log.Warn("old mails could not be forgotten", "error", err)
	}
	return err
}

func (m *Mails) count(ctx context.Context) {
	c, err := m.store.CountMail(ctx)
	if err != nil {
		return // what was counted before stands; the store's own alarms tell of it
	}
	m.mu.Lock()
	m.report.MailCounts = c
	m.mu.Unlock()
}

// deliver sends all that is due. False: the mail server or the store fails, and
// there is no use in going on.
func (m *Mails) deliver(ctx context.Context) bool {
	if m.opts.Postman == nil {
		return true
	}
	defer m.opts.Postman.Close()
	for ctx.Err() == nil {
		mail, err := m.store.ClaimMail(ctx, mailLease)
		if errors.Is(err, access.ErrNotFound) {
			return true
		}
		if err == nil {
			err = m.attempt(ctx, mail)
		}
		if err != nil {
			if ctx.Err() == nil {
				m.opts.Log.Warn("mails are not sent for now", "error", err)
			}
			return false
		}
	}
	return true
}

// attempt tries to send one mail. An error is of the mail server as a whole, or of
// the store; what is wrong with this mail stands with it.
func (m *Mails) attempt(ctx context.Context, mail access.Mail) error {
	if err := m.opts.Postman.Connect(ctx); err != nil {
		m.troubled(err.Error())
		return errors.Join(err, m.failed(ctx, mail, err, mailPause))
	}
	m.troubled("")
	letter, expires, err := m.compose(ctx, mail)
	if errors.Is(err, errNotWanted) {
		return m.store.DropMail(ctx, mail)
	}
	if err != nil {
		return errors.Join(err, m.failed(ctx, mail, err, mailPause))
	}
	if err := m.opts.Postman.Send(ctx, letter); err != nil {
		return m.failed(ctx, mail, err, backoff(mail.Tries))
	}
	m.sent.Add(1)
	mail.State, mail.Settled, mail.Expires, mail.Trouble = access.MailSent, m.opts.Clock(), expires, ""
	m.opts.Log.Info("a mail was sent", "tenant", mail.Tenant, "user", mail.User, "purpose", mail.Purpose, "tries", mail.Tries)
	return m.store.SettleMail(ctx, mail)
}

func (m *Mails) troubled(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report.Trouble = why
}

// failed keeps why a mail was not sent, and when it is tried again, if at all. It
// is kept also where the process is told to stop.
func (m *Mails) failed(ctx context.Context, mail access.Mail, why error, again time.Duration) error {
	now := m.opts.Clock()
	mail.Trouble, mail.Due = why.Error(), now.Add(again)
	if errors.Is(why, access.ErrMailbox) || now.Sub(mail.Created) >= m.opts.GiveUpAfter {
		mail.State, mail.Settled = access.MailFailed, now
		m.opts.Log.Error("a mail was given up", "tenant", mail.Tenant, "user", mail.User, "purpose", mail.Purpose, "tries", mail.Tries, "error", why)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTime)
	defer cancel()
	return m.store.SettleMail(ctx, mail)
}

// backoff is how long a mail that was tried so often waits.
func backoff(tries int) time.Duration {
	wait := mailBackoff
	for ; tries > 1 && wait < mailLongest; tries-- {
		wait *= 2
	}
	return min(wait, mailLongest)
}
