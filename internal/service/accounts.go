package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Accounts lets people sign in and keeps their passwords and sessions.
type Accounts struct {
	store     AccountStore
	directory *Directory
	hasher    *hasher
	opts      AccountsOptions
	providers []Provider
	asking    chan struct{} // requests for links that are worked on
}

// AccountStore is where passwords, sessions and failures are kept.
type AccountStore interface {
	// AccountByLogin and AccountOf give accounts; that there is none is no error.
	AccountByLogin(ctx context.Context, tenant, email string, home access.Scope) (access.Account, error)
	AccountOf(ctx context.Context, tenant, id string) (access.Account, error)
	Rehash(ctx context.Context, tenant, user, had, has string) error

	// CountFailures counts a try as failed before it is made.
	CountFailures(ctx context.Context, tenant string, rules ...access.CounterRule) ([]access.Counter, error)
	Failed(ctx context.Context, tenant, user string, a access.Attempt, counted [32]byte) error
	Failures(ctx context.Context, tenant string, counted [32]byte) (access.Counter, error)
	Forgive(ctx context.Context, tenant string, cleared, forgiven [32]byte) error
	Attempts(ctx context.Context, tenant, user string) ([]access.Attempt, error)

	// OpenSession is ErrStale where the account is not what was looked at.
	OpenSession(ctx context.Context, a *access.Account, s access.Session, cleared, forgiven [32]byte) error
	Session(ctx context.Context, hash [32]byte) (access.Session, error)
	SeeSession(ctx context.Context, hash [32]byte) error
	TakeStep(ctx context.Context, s access.Session, step access.Step, hash [32]byte) error
	Sessions(ctx context.Context, tenant, user string) ([]access.Session, error)
	EndSession(ctx context.Context, tenant, user, id string) error
	EndOtherSessions(ctx context.Context, tenant, user string, but [32]byte) error

	// ProposeSecondFactor, TakeCode and TakeRecovery: of two who take the same code
	// one gets ErrStale.
	ProposeSecondFactor(ctx context.Context, tenant, user string, pending []byte) error
	TakeCode(ctx context.Context, tenant, user string, step int64) error
	TakeRecovery(ctx context.Context, tenant, user string, hash [32]byte) error

	// SetPresence keeps what somebody says of himself; PresenceOf tells of several.
	SetPresence(ctx context.Context, tenant, user string, p access.Presence) error
	PresenceOf(ctx context.Context, tenant string, users []string) (map[string]access.Presence, error)

	PutToken(ctx context.Context, t access.Token, c access.Change) error
	PeekToken(ctx context.Context, tenant string, purpose access.Purpose, hash [32]byte) (access.Token, error)
	HasToken(ctx context.Context, tenant, user string, purpose access.Purpose) (bool, error)
	SendMail(ctx context.Context, m access.Mail) error
	// UserOf gives the account that somebody at an OpenID provider was linked with.
	UserOf(ctx context.Context, tenant, issuer, subject string) (string, error)
	// Link links the two for good; ErrExists where one of them is linked already.
	Link(ctx context.Context, tenant, issuer, subject, user string) error
	TakeToken(ctx context.Context, tenant string, purpose access.Purpose, hash [32]byte) (access.Token, error)
}

// AccountsOptions for NewAccounts. The zero value works.
type AccountsOptions struct {
	Hashing HashingOptions
	Sealer  *Sealer          // of second factors; nobody can use one when nil
	Clock   func() time.Time // time.Now when nil
	Log     *slog.Logger     // where refused tries are noted, with their true reason
}

// NewAccounts keeps everything in the store; what administrators do to accounts
// goes through the directory, which judges them.
func NewAccounts(s AccountStore, d *Directory, o AccountsOptions) *Accounts {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Accounts{store: s, directory: d, hasher: newHasher(o.Hashing), opts: o, asking: make(chan struct{}, askers)}
}

func (a *Accounts) now() time.Time { return a.opts.Clock().UTC().Truncate(time.Microsecond) }

// ErrRefused is the one answer to a try to sign in that failed, whatever the
// reason.
var ErrRefused = errors.New("the e-mail or the password is wrong, or the account cannot sign in")

// ErrSignedOut is the one answer to a session that is unknown, over or ended.
var ErrSignedOut = fmt.Errorf("nobody is signed in: %w", ErrUnauthenticated)

// Client is where a try to sign in comes from.
type Client struct{ Address, Agent string }

// longestLogin is what is looked at of an e-mail, in bytes.
const longestLogin = 320

// Login is what somebody says of who he is.
type Login struct {
	Email string
	Store access.Scope // which of the accounts with the e-mail; may be empty where there is one
}

func (l *Login) check() error {
	if len(l.Email) > longestLogin {
		return access.Invalid("email", "is longer than %d bytes", longestLogin)
	}
	if l.Store != "" {
		return access.ValidScope("store", l.Store)
	}
	return nil
}

// SignIn begins a session for whoever knows the password. Every failure is the
// same ErrRefused after the same work, or TooMany.
func (a *Accounts) SignIn(ctx context.Context, tenant string, who Login, password string, from Client) (Secret, SignedIn, error) {
	if len(password) > access.MaxPassword {
		return "", SignedIn{}, access.Invalid("password", "is longer than %d bytes", access.MaxPassword)
	}
	if err := who.check(); err != nil {
		return "", SignedIn{}, err
	}
	account, err := a.byLogin(ctx, tenant, who)
	if err != nil {
		return "", SignedIn{}, err
	}
	return a.signIn(ctx, &account, accountKey(who.Email), password, from)
}

// byLogin: a tenant that does not exist has nobody who could sign in.
func (a *Accounts) byLogin(ctx context.Context, tenant string, who Login) (access.Account, error) {
	return a.store.AccountByLogin(ctx, tenant, access.Login(who.Email), who.Store)
}

func (a *Accounts) signIn(ctx context.Context, account *access.Account, key [32]byte, password string, from Client) (Secret, SignedIn, error) {
	address := addressKey(from.Address)
	counters, err := a.store.CountFailures(ctx, account.Tenant, counted(account, key, address)...)
	if err != nil {
		return "", SignedIn{}, err
	}
	if err := waiting(counters); err != nil {
		return "", SignedIn{}, err
	}
	right, err := a.hasher.same(ctx, account.Password.Hash, password)
	if err != nil {
		return "", SignedIn{}, err
	}
	if why := refusal(account, counters[0].Locked, right); why != "" {
		return "", SignedIn{}, a.refused(ctx, account, why, key, from)
	}
	text, s, err := a.open(ctx, account, from, a.steps(account), key, address)
	if errors.Is(err, access.ErrStale) {
		return "", SignedIn{}, a.refused(ctx, account, access.RefusedPassword, key, from)
	}
	if err == nil && a.hasher.weaker(account.Password.Hash) {
		a.rehash(ctx, account, password)
	}
	return text, s, err
}

// refusal is why somebody is not let in. What he did wrong himself comes last:
// the others hold whatever he types.
func refusal(account *access.Account, locked, right bool) access.Refusal {
	switch why := account.Refused(); {
	case why != "":
		return why
	case locked:
		return access.RefusedLocked
	case account.Password.Hash == "":
		return access.RefusedNone
	case !right:
		return access.RefusedPassword
	}
	return ""
}

// refused notes the true reason and gives the neutral one.
func (a *Accounts) refused(ctx context.Context, account *access.Account, why access.Refusal, key [32]byte, from Client) error {
	a.opts.Log.Warn("signing in was refused", "tenant", account.Tenant, "user", account.User.ID, "why", why, "client", from.Address)
	try := access.Attempt{At: a.now(), Refusal: why, Address: from.Address}
	if err := a.store.Failed(ctx, account.Tenant, account.User.ID, try, key); err != nil {
		return err
	}
	return ErrRefused
}

// steps are what must be done before anything else.
func (a *Accounts) steps(account *access.Account) []access.Step {
	var steps []access.Step
	if asksSecond(account) {
		steps = append(steps, access.StepSecondFactor)
	}
	if account.Password.MustChange || expired(account, a.now()) {
		steps = append(steps, access.StepPassword)
	}
	return steps
}

func expired(account *access.Account, now time.Time) bool {
	days := account.Rules.ExpireDays
	return days > 0 && !now.Before(account.Password.Set.AddDate(0, 0, days))
}

// rehash takes more work for a password, now that it is known. That it fails is
// no reason to let nobody in.
func (a *Accounts) rehash(ctx context.Context, account *access.Account, password string) {
	has, err := a.hasher.hash(ctx, password)
	if err == nil {
		err = a.store.Rehash(ctx, account.Tenant, account.User.ID, account.Password.Hash, has)
	}
	if err != nil {
		a.opts.Log.Warn("a password could not be hashed anew", "tenant", account.Tenant, "user", account.User.ID, "error", err)
	}
}

// SetPassword sets somebody's password, which he must change when he next signs
// in. His sessions end. Who holds more than the caller cannot be touched.
func (a *Accounts) SetPassword(ctx context.Context, caller access.Caller, tenant, id, password string, c access.Change) (access.User, access.Revision, error) {
	if err := a.directory.mayTouch(ctx, caller, tenant, id); err != nil {
		return access.User{}, 0, err
	}
	account, err := a.account(ctx, tenant, id)
	if err != nil { // the directory looks at the change's conditions first
		missing := err
		return a.directory.editUser(ctx, caller, tenant, id, "update", c, func(access.Draft, *access.User) error { return missing })
	}
	next, err := a.chosen(ctx, &account, password, 0)
	if err != nil {
		return access.User{}, 0, err
	}
	next.MustChange = true
	return a.directory.editUser(ctx, caller, tenant, id, "update", c, func(d access.Draft, u *access.User) error {
		if err := putPassword(d, &account, next, [32]byte{}); err != nil || u.Email == "" {
			return err
		}
		return d.Send(access.Mail{User: u.ID, To: u.Email, Purpose: access.MailPasswordChanged})
	})
}

func (a *Accounts) account(ctx context.Context, tenant, id string) (access.Account, error) {
	account, err := a.store.AccountOf(ctx, tenant, id)
	if err == nil && (!account.Known || account.User.Status == access.UserDeleted) {
		err = access.NotFound("user", id)
	}
	return account, err
}

// chosen looks a new password through and hashes it, outside of any transaction:
// it takes its time. At least so many of the passwords before are refused.
func (a *Accounts) chosen(ctx context.Context, account *access.Account, password string, least int) (access.Password, error) {
	if err := account.Rules.ValidPassword("password", password); err != nil {
		return access.Password{}, err
	}
	had := account.Password
	former := had.Former
	if had.Hash != "" {
		former = slices.Concat([]string{had.Hash}, had.Former)
	}
	former = former[:min(len(former), access.MostNoReuse)]
	if n := max(account.Rules.NoReuse, least); n > 0 {
		for _, kept := range former[:min(len(former), n)] {
			used, err := a.hasher.same(ctx, kept, password)
			if err != nil {
				return access.Password{}, err
			}
			if used {
				return access.Password{}, access.Invalid("password", "was used before; the last %d cannot be chosen again", n)
			}
		}
	}
	hash, err := a.hasher.hash(ctx, password)
	return access.Password{Hash: hash, Set: a.now(), Former: former}, err
}

// putPassword keeps a password that was chosen for an account, unless another
// one was kept meanwhile.
func putPassword(d access.Draft, account *access.Account, next access.Password, but [32]byte) error {
	had, err := d.Password(account.User.ID)
	if err != nil {
		return err
	}
	if had.Hash != account.Password.Hash {
		return &access.Error{Kind: access.ErrStale, Field: "password", Message: "has been changed meanwhile"}
	}
	return d.PutPassword(account.User.ID, next, but)
}

// ChangePassword changes the own password for whoever knows the present one. His
// other sessions end, and this one gets a new secret.
func (a *Accounts) ChangePassword(ctx context.Context, by SignedIn, current, password string, from Client, c access.Change) (Secret, SignedIn, error) {
	if next := by.next(); next != "" && next != access.StepPassword {
		return "", SignedIn{}, errUnfinished
	}
	account, err := a.account(ctx, by.Session.Tenant, by.Session.User)
	if err != nil {
		return "", SignedIn{}, err
	}
	if err := a.knows(ctx, &account, current, from); err != nil {
		return "", SignedIn{}, err
	}
	next, err := a.chosen(ctx, &account, password, 1)
	if err != nil {
		return "", SignedIn{}, err
	}
	need := Need{Part: "Users", Action: "update", Own: true}
	_, err = a.directory.change(ctx, by.Caller, by.Session.Tenant, need, c, func(d access.Draft) error {
		return putPassword(d, &account, next, by.Session.Hash)
	})
	if err != nil {
		return "", SignedIn{}, err
	}
	return a.onwards(ctx, by, access.StepPassword)
}

// knows counts wrong passwords like those of whoever signs in: a session that
// was stolen must not be worth more tries.
func (a *Accounts) knows(ctx context.Context, account *access.Account, password string, from Client) error {
	key, address := accountKey(account.User.Email), addressKey(from.Address)
	counters, err := a.store.CountFailures(ctx, account.Tenant, counted(account, key, address)...)
	if err != nil {
		return err
	}
	if err := waiting(counters); err != nil {
		return err
	}
	right, err := a.hasher.same(ctx, account.Password.Hash, password)
	if err != nil {
		return err
	}
	if !right || counters[0].Locked {
		return access.Invalid("current", "is not the present password")
	}
	return errors.Join(a.store.Forgive(ctx, account.Tenant, clearedOf(account, key), address), a.forgiveShared(ctx, account, key))
}

// clearedOf gives the counter of failures that a success makes forgotten. One that
// accounts share stays, but for the success itself: who has one of them must not
// get more guesses at the others so.
func clearedOf(account *access.Account, key [32]byte) [32]byte {
	if account.Shared {
		return [32]byte{}
	}
	return key
}

func (a *Accounts) forgiveShared(ctx context.Context, account *access.Account, key [32]byte) error {
	if !account.Shared {
		return nil
	}
	return a.store.Forgive(ctx, account.Tenant, [32]byte{}, key)
}

func waiting(counters []access.Counter) error {
	for _, c := range counters {
		if c.Wait > 0 {
			return &TooMany{After: max(c.Wait, time.Second), Why: "signing in has failed too often"}
		}
	}
	return nil
}

// Self gives the account of whoever has signed in.
func (a *Accounts) Self(ctx context.Context, by SignedIn) (access.User, error) {
	account, err := a.account(ctx, by.Session.Tenant, by.Session.User)
	return account.User, err
}

// SignInState is what administrators may know of how an account signs in.
type SignInState struct {
	Refusal  access.Refusal // empty: the right password lets it in
	Password access.Password
	Expires  time.Time // zero: never
	Counter  access.Counter
	Attempts []access.Attempt
}

// State tells how an account signs in, and why not. Its hash is left out.
func (a *Accounts) State(ctx context.Context, caller access.Caller, tenant, id string) (SignInState, error) {
	if _, _, err := a.directory.User(ctx, caller, tenant, id); err != nil {
		return SignInState{}, err
	}
	account, err := a.store.AccountOf(ctx, tenant, id)
	if err != nil {
		return SignInState{}, err
	}
	s := SignInState{Password: access.Password{Set: account.Password.Set, MustChange: account.Password.MustChange}}
	if days := account.Rules.ExpireDays; days > 0 && account.Password.Hash != "" {
		s.Expires = account.Password.Set.AddDate(0, 0, days)
	}
	if s.Counter, err = a.store.Failures(ctx, tenant, accountKey(account.User.Email)); err != nil {
		return s, err
	}
	s.Refusal = refusal(&account, s.Counter.Locked, true)
	s.Attempts, err = a.store.Attempts(ctx, tenant, id)
	return s, err
}

// Unlock lets an account sign in again that was locked, by too many failures or
// by its status.
func (a *Accounts) Unlock(ctx context.Context, caller access.Caller, tenant, id string, c access.Change) (access.User, access.Revision, error) {
	return a.directory.editUser(ctx, caller, tenant, id, "update", c, func(d access.Draft, u *access.User) error {
		if u.Status == access.UserLocked {
			u.Status = access.UserActive
		}
		return errors.Join(d.Unlock(u.ID, accountKey(u.Email)), d.Unlock(u.ID, codeKey(u.ID)))
	})
}

// mayTouch refuses whoever could not change an account, before anything is said
// about it. The change itself is judged again.
func (d *Directory) mayTouch(ctx context.Context, caller access.Caller, tenant, id string) error {
	need := Need{Part: "Users", Action: "update"}
	in, err := d.authority.Allow(ctx, caller, tenant, need)
	if err != nil || in.Superuser {
		return err
	}
	name := access.Name(access.KindUser, id)
	err = d.authority.upToDate(ctx, tenant, 0, func() error {
		s, err := d.authority.sights.Sight(tenant)
		if err != nil {
			return err
		}
		theirs, err := s.Holdings(ctx, name, access.Ever)
		if err != nil {
			return err
		}
		return in.bounds(name, theirs, s.Above)
	})
	return d.authority.noted(caller, tenant, need, err)
}
