package service

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// How often a link for a new password can be asked for, for one account and by
// one address, before one has to wait.
const (
	resetWindow       = time.Hour
	resetsFree        = 3
	resetsFreeAddress = 30
)

// askers bounds how many requests for a link are worked on at one time.
const askers = 16

// AskReset mails a link for a new password to the account with this e-mail, if
// there is one that is active. Whether there is, nobody can tell by the answer,
// nor by the time that it takes: it is found out afterwards.
func (a *Accounts) AskReset(ctx context.Context, tenant string, who Login, from Client) error {
	if err := who.check(); err != nil {
		return err
	}
	counters, err := a.store.CountFailures(ctx, tenant,
		access.CounterRule{Key: askedFor("account", access.FoldCase(access.Login(who.Email))), Window: resetWindow, Free: resetsFree},
		access.CounterRule{Key: askedFor("address", networkOf(from.Address)), Window: resetWindow, Free: resetsFreeAddress})
	if err != nil {
		return err
	}
	for _, c := range counters {
		if c.Wait > 0 {
			return &TooMany{After: max(c.Wait, time.Second), Why: "a link was asked for too often"}
		}
	}
	select {
	case a.asking <- struct{}{}:
	default:
		return &TooMany{After: time.Second, Why: "too many ask for links at one time"}
	}
	go func() {
		defer func() { <-a.asking }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTime)
		defer cancel()
		if err := a.mailReset(ctx, tenant, who); err != nil {
			a.opts.Log.Error("a link for a new password could not be queued", "tenant", tenant, "error", err)
		}
	}()
	return nil
}

func askedFor(what, name string) [32]byte {
	return sha256.Sum256([]byte("reset " + what + "\n" + name))
}

func (a *Accounts) mailReset(ctx context.Context, tenant string, who Login) error {
	account, err := a.byLogin(ctx, tenant, who)
	if err != nil || account.Refused() != "" {
		return err
	}
	err = a.store.SendMail(ctx, access.Mail{Tenant: tenant, User: account.User.ID, To: account.User.Email, Purpose: access.MailReset})
	if mails := a.directory.opts.Mails; err == nil && mails != nil {
		mails.Wake()
	}
	return err
}

func statusOf(u *access.User) access.UserStatus {
	if u.Status == "" {
		return access.UserActive
	}
	return u.Status
}
