package service

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// SecondFactorState is how it is with somebody's second factor.
type SecondFactorState struct {
	Mode      access.SecondFactorMode
	Confirmed time.Time // zero: there is none
	Recovery  int       // recovery codes that are left
}

func secondFactorState(account *access.Account) SecondFactorState {
	return SecondFactorState{
		Mode:      cmp.Or(account.Rules.SecondFactor, access.SecondFactorOptional),
		Confirmed: account.SecondFactor.Confirmed, Recovery: len(account.SecondFactor.Recovery),
	}
}

// asksSecond tells whether somebody who signs in is asked for a second factor, or
// for setting one up.
func asksSecond(account *access.Account) bool {
	switch account.Rules.SecondFactor {
	case access.SecondFactorOff:
		return false
	case access.SecondFactorRequired:
		return true
	case access.SecondFactorOptional:
	}
	return account.SecondFactor.Active()
}

// SecondFactor tells how it is with the own second factor.
func (a *Accounts) SecondFactor(ctx context.Context, by SignedIn) (SecondFactorState, error) {
	account, err := a.account(ctx, by.Session.Tenant, by.Session.User)
	return secondFactorState(&account), err
}

// SecondFactorOf tells how it is with somebody's second factor.
func (a *Accounts) SecondFactorOf(ctx context.Context, caller access.Caller, tenant, id string) (SecondFactorState, error) {
	if _, _, err := a.directory.User(ctx, caller, tenant, id); err != nil {
		return SecondFactorState{}, err
	}
	account, err := a.store.AccountOf(ctx, tenant, id)
	return secondFactorState(&account), err
}

// Proof is what somebody shows again who is signed in, before he changes what he
// signs in with: a session that was stolen must not be enough.
type Proof struct {
	Password string
	Code     string // where there is a second factor: of the app, or a recovery code
}

// BeginSecondFactor gives what somebody must put into his app. It counts from
// ConfirmSecondFactor on. Whoever is made to set it up while he signs in has just
// shown his password.
func (a *Accounts) BeginSecondFactor(ctx context.Context, by SignedIn, p Proof, from Client) (Enrolment, error) {
	account, err := a.account(ctx, by.Session.Tenant, by.Session.User)
	if err != nil {
		return Enrolment{}, err
	}
	if err := a.maySetUp(ctx, by, &account, p, from); err != nil {
		return Enrolment{}, err
	}
	secret := random(codeSecretLen)
	sealed, err := a.opts.Sealer.Seal(ownerOf(&account), secret)
	if err != nil {
		return Enrolment{}, err
	}
	if err := a.store.ProposeSecondFactor(ctx, account.Tenant, account.User.ID, sealed); err != nil {
		return Enrolment{}, err
	}
	return enrolment(secret, "Bailiwick "+account.Tenant, cmp.Or(account.User.Email, account.User.ID))
}

func (a *Accounts) maySetUp(ctx context.Context, by SignedIn, account *access.Account, p Proof, from Client) error {
	switch {
	case account.Rules.SecondFactor == access.SecondFactorOff:
		return secondFactorConflict("this tenant asks nobody for a second factor")
	case by.next() != access.StepSecondFactor:
		return a.proves(ctx, by, account, p, from)
	case account.SecondFactor.Active():
		return errUnfinished
	}
	return nil
}

// errUnfinished is for whoever wants more than to finish signing in.
var errUnfinished = access.Forbidden("finish signing in first")

// next is what must be done before anything else, or "".
func (s *SignedIn) next() access.Step {
	if len(s.Session.Steps) == 0 {
		return ""
	}
	return s.Session.Steps[0]
}

// ownerOf binds what is sealed to one account.
func ownerOf(account *access.Account) string {
	return "second factor\n" + account.Tenant + "\n" + account.User.ID
}

func secondFactorConflict(message string) error {
	return &access.Error{Kind: ErrConflict, Field: "second_factor", Message: message}
}

// ConfirmSecondFactor puts in force what was begun, for whoever shows a code of
// it, and gives the recovery codes: they are shown this once. The session gets a
// new secret.
func (a *Accounts) ConfirmSecondFactor(ctx context.Context, by SignedIn, code string, from Client, c access.Change) ([]string, Secret, SignedIn, error) {
	account, err := a.account(ctx, by.Session.Tenant, by.Session.User)
	if err != nil {
		return nil, "", by, err
	}
	pending := account.SecondFactor.Pending
	switch {
	case by.next() != "" && (by.next() != access.StepSecondFactor || account.SecondFactor.Active()):
		return nil, "", by, errUnfinished
	case len(pending) == 0:
		return nil, "", by, secondFactorConflict("none is being set up")
	}
	var step int64
	err = a.tries(ctx, &account, from, func() (ok bool, err error) {
		step, ok, err = a.right(&account, pending, code)
		return ok, err
	})
	if err != nil {
		return nil, "", by, err
	}
	texts, hashes := newRecovery()
	next := access.SecondFactor{Sealed: pending, Confirmed: a.now(), LastStep: step, Recovery: hashes}
	if err := a.putSecondFactor(ctx, by, &account, next, c); err != nil {
		return nil, "", by, err
	}
	secret, by, err := a.onwards(ctx, by, access.StepSecondFactor)
	return texts, secret, by, err
}

// putSecondFactor changes the own second factor, unless it was changed meanwhile.
func (a *Accounts) putSecondFactor(ctx context.Context, by SignedIn, account *access.Account, next access.SecondFactor, c access.Change) error {
	need := Need{Part: "Users", Action: "update", Own: true}
	_, err := a.directory.change(ctx, by.Caller, account.Tenant, need, c, func(d access.Draft) error {
		had, err := d.SecondFactor(account.User.ID)
		if err != nil {
			return err
		}
		if !bytes.Equal(had.Sealed, account.SecondFactor.Sealed) || !bytes.Equal(had.Pending, account.SecondFactor.Pending) {
			return &access.Error{Kind: access.ErrStale, Field: "second_factor", Message: "has been changed meanwhile"}
		}
		next.LastStep = max(next.LastStep, had.LastStep)
		return errors.Join(d.PutSecondFactor(account.User.ID, next), tellSecondFactor(d, &account.User, had, next))
	})
	return err
}

// tellSecondFactor mails it to somebody that his second factor is another one, or
// none: whoever did it in his place is found out so.
func tellSecondFactor(d access.Draft, u *access.User, had, has access.SecondFactor) error {
	purpose := access.MailSecondFactorOn
	switch {
	case u.Email == "" || bytes.Equal(had.Sealed, has.Sealed):
		return nil
	case !has.Active():
		purpose = access.MailSecondFactorOff
	}
	return d.Send(access.Mail{User: u.ID, To: u.Email, Purpose: purpose})
}

// VerifySecondFactor goes on with signing in, for whoever shows a code of the app
// or a recovery code. The session gets a new secret.
func (a *Accounts) VerifySecondFactor(ctx context.Context, by SignedIn, code string, from Client) (Secret, SignedIn, error) {
	account, err := a.account(ctx, by.Session.Tenant, by.Session.User)
	if err != nil {
		return "", by, err
	}
	if by.next() != access.StepSecondFactor || !account.SecondFactor.Active() {
		return "", by, secondFactorConflict("none is asked for")
	}
	if err := a.showsCode(ctx, &account, code, from); err != nil {
		return "", by, err
	}
	return a.onwards(ctx, by, access.StepSecondFactor)
}

// DropSecondFactor does without one from now on, where the tenant lets people.
func (a *Accounts) DropSecondFactor(ctx context.Context, by SignedIn, p Proof, from Client, c access.Change) error {
	account, err := a.account(ctx, by.Session.Tenant, by.Session.User)
	if err != nil {
		return err
	}
	switch {
	case !account.SecondFactor.Active():
		return secondFactorConflict("there is none")
	case account.Rules.SecondFactor == access.SecondFactorRequired:
		return secondFactorConflict("this tenant requires one; set up another one in its place")
	}
	if err := a.proves(ctx, by, &account, p, from); err != nil {
		return err
	}
	return a.putSecondFactor(ctx, by, &account, access.SecondFactor{}, c)
}

// RenewRecovery gives new recovery codes in the place of all before.
func (a *Accounts) RenewRecovery(ctx context.Context, by SignedIn, p Proof, from Client, c access.Change) ([]string, error) {
	account, err := a.account(ctx, by.Session.Tenant, by.Session.User)
	if err != nil {
		return nil, err
	}
	if !account.SecondFactor.Active() {
		return nil, secondFactorConflict("there is none")
	}
	if err := a.proves(ctx, by, &account, p, from); err != nil {
		return nil, err
	}
	texts, hashes := newRecovery()
	next := account.SecondFactor
	next.Recovery = hashes
	return texts, a.putSecondFactor(ctx, by, &account, next, c)
}

// ResetSecondFactor takes somebody's second factor from him, who has lost it. His
// sessions end. Who holds more than the caller cannot be touched.
func (a *Accounts) ResetSecondFactor(ctx context.Context, caller access.Caller, tenant, id string, c access.Change) (access.User, access.Revision, error) {
	return a.directory.editUser(ctx, caller, tenant, id, "update", c, func(d access.Draft, u *access.User) error {
		had, err := d.SecondFactor(u.ID)
		if err != nil {
			return err
		}
		if err := d.PutSecondFactor(u.ID, access.SecondFactor{}); err != nil {
			return err
		}
		if had.Active() && u.Email != "" {
			err = d.Send(access.Mail{User: u.ID, To: u.Email, Purpose: access.MailSecondFactorReset})
		}
		return errors.Join(err, d.Unlock(u.ID, codeKey(u.ID)), d.EndSessions(u.ID))
	})
}

// proves lets go on whoever knows the password and, where there is a second
// factor, shows it.
func (a *Accounts) proves(ctx context.Context, by SignedIn, account *access.Account, p Proof, from Client) error {
	if by.next() != "" {
		return errUnfinished
	}
	if err := a.knows(ctx, account, p.Password, from); err != nil {
		return err
	}
	if !account.SecondFactor.Active() {
		return nil
	}
	return a.showsCode(ctx, account, p.Code, from)
}

// showsCode takes a code of the app or a recovery code, each once.
func (a *Accounts) showsCode(ctx context.Context, account *access.Account, code string, from Client) error {
	return a.tries(ctx, account, from, func() (bool, error) {
		if len(code) != codeLen {
			return once(a.store.TakeRecovery(ctx, account.Tenant, account.User.ID, recoveryHash(code)))
		}
		step, ok, err := a.right(account, account.SecondFactor.Sealed, code)
		if err != nil || !ok {
			return false, err
		}
		return once(a.store.TakeCode(ctx, account.Tenant, account.User.ID, step))
	})
}

// codeLen is how many digits the app shows.
const codeLen = 6

// once: what was taken before is no longer right.
func once(err error) (bool, error) {
	if errors.Is(err, access.ErrStale) {
		return false, nil
	}
	return err == nil, err
}

func (a *Accounts) right(account *access.Account, sealed []byte, code string) (int64, bool, error) {
	secret, err := a.opts.Sealer.Open(ownerOf(account), sealed)
	if err != nil {
		return 0, false, err
	}
	return halfMinute(secret, code, a.now())
}

// codeKey is what wrong codes of an account are counted by: apart from wrong
// passwords, of which a right one makes forgotten.
func codeKey(user string) [32]byte { return sha256.Sum256([]byte("code\n" + user)) }

// tries counts a code like a password: as wrong before it is looked at.
func (a *Accounts) tries(ctx context.Context, account *access.Account, from Client, right func() (bool, error)) error {
	key, address := codeKey(account.User.ID), addressKey(from.Address)
	counters, err := a.store.CountFailures(ctx, account.Tenant, counted(account, key, address)...)
	if err != nil {
		return err
	}
	if err := waiting(counters); err != nil {
		return err
	}
	ok := false
	if !counters[0].Locked {
		ok, err = right()
	}
	if err != nil {
		return err
	}
	if ok {
		return a.store.Forgive(ctx, account.Tenant, key, address)
	}
	a.opts.Log.Warn("a second factor was refused", "tenant", account.Tenant, "user", account.User.ID, "client", from.Address)
	try := access.Attempt{At: a.now(), Refusal: access.RefusedCode, Address: from.Address}
	if err := a.store.Failed(ctx, account.Tenant, account.User.ID, try, key); err != nil {
		return err
	}
	return access.Invalid("code", "is wrong, or has been used")
}
