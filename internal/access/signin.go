package access

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// SignInRules are a tenant's rules of signing in. The zero value of each means
// its default.
type SignInRules struct {
	// Passwords, judged when one is set.
	MinLength                     int // in characters; DefaultMinLength when 0
	Lower, Upper, Digits, Symbols bool
	NoReuse                       int // how many passwords before the present one are refused too

	// Judged when somebody signs in.
	ExpireDays int // after how many days a password must be changed; 0: never

	Failures      int           // after how many an account is locked; DefaultFailures when 0
	FailureWindow time.Duration // within which they are counted; DefaultFailureWindow when 0
	LockFor       time.Duration // DefaultLockFor when 0
	LockForGood   bool          // until an administrator unlocks it

	IdleTime  time.Duration // of sessions; DefaultIdleTime when 0
	TotalTime time.Duration // of sessions; DefaultTotalTime when 0

	SecondFactor SecondFactorMode // SecondFactorOptional when empty
}

// The defaults of SignInRules, and how far they can be moved.
const (
	DefaultMinLength = 12
	LeastMinLength   = 8
	MostMinLength    = 128
	MaxPassword      = 1024 // bytes

	MostNoReuse    = 24
	MostExpireDays = 3650

	DefaultFailures      = 10
	LeastFailures        = 3
	MostFailures         = 100
	DefaultFailureWindow = 15 * time.Minute
	DefaultLockFor       = 15 * time.Minute

	DefaultIdleTime  = 30 * time.Minute
	DefaultTotalTime = 12 * time.Hour
)

// Filled gives the rules with the defaults in the place of zeros.
func (r SignInRules) Filled() SignInRules {
	fill(&r.MinLength, DefaultMinLength)
	fill(&r.Failures, DefaultFailures)
	fill(&r.FailureWindow, DefaultFailureWindow)
	fill(&r.LockFor, DefaultLockFor)
	fill(&r.IdleTime, DefaultIdleTime)
	fill(&r.TotalTime, DefaultTotalTime)
	fill(&r.SecondFactor, SecondFactorOptional)
	return r
}

func fill[T comparable](to *T, otherwise T) {
	var zero T
	if *to == zero {
		*to = otherwise
	}
}

// Check refuses rules outside of their bounds. Fields are named as in bundle.yaml.
func (r SignInRules) Check() error {
	r = r.Filled()
	if err := ValidSecondFactorMode("sign_in.second_factor", r.SecondFactor); err != nil {
		return err
	}
	for _, b := range []struct {
		field           string
		is, least, most int
	}{
		{"sign_in.min_length", r.MinLength, LeastMinLength, MostMinLength},
		{"sign_in.no_reuse", r.NoReuse, 0, MostNoReuse},
		{"sign_in.expire_days", r.ExpireDays, 0, MostExpireDays},
		{"sign_in.failures", r.Failures, LeastFailures, MostFailures},
	} {
		if b.is < b.least || b.is > b.most {
			return Invalid(b.field, "is %d, and must be from %d to %d", b.is, b.least, b.most)
		}
	}
	for _, b := range []struct {
		field           string
		is, least, most time.Duration
	}{
		{"sign_in.failure_minutes", r.FailureWindow, time.Minute, 24 * time.Hour},
		{"sign_in.lock_minutes", r.LockFor, time.Minute, 24 * time.Hour},
		{"sign_in.idle_minutes", r.IdleTime, time.Minute, 24 * time.Hour},
		{"sign_in.total_minutes", r.TotalTime, 5 * time.Minute, 30 * 24 * time.Hour},
	} {
		if b.is < b.least || b.is > b.most {
			return Invalid(b.field, "is %s, and must be from %s to %s", b.is, b.least, b.most)
		}
	}
	return nil
}

// ValidPassword checks a password against the rules that need nothing but
// itself. It is never changed: no blank is cut off, no character folded.
func (r SignInRules) ValidPassword(field, password string) error {
	r = r.Filled()
	var has struct{ lower, upper, digit, symbol bool }
	length := 0
	for _, c := range password {
		length++
		has.lower = has.lower || unicode.IsLower(c)
		has.upper = has.upper || unicode.IsUpper(c)
		has.digit = has.digit || unicode.IsDigit(c)
		has.symbol = has.symbol || !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}
	switch {
	case len(password) > MaxPassword:
		return Invalid(field, "is longer than %d bytes", MaxPassword)
	case length < r.MinLength:
		return Invalid(field, "has fewer than %d characters", r.MinLength)
	case r.Lower && !has.lower:
		return Invalid(field, "needs a lower-case letter")
	case r.Upper && !has.upper:
		return Invalid(field, "needs an upper-case letter")
	case r.Digits && !has.digit:
		return Invalid(field, "needs a digit")
	case r.Symbols && !has.symbol:
		return Invalid(field, "needs a character that is neither letter nor digit")
	}
	return nil
}

// Login gives the one form of what people type as their e-mail: without the
// blanks around it, in normal form C. Case is folded by whoever compares.
func Login(typed string) string { return norm.NFC.String(strings.TrimSpace(typed)) }

// Password is what is kept of somebody's password.
type Password struct {
	Hash       string    // with its parameters, as argon2 writes them; empty: there is none
	Set        time.Time // when it was chosen
	MustChange bool      // before anything else is done
	Former     []string  // hashes of those before, newest first, at most MostNoReuse
}

// Account is what signing in needs to know of an account, all of one moment.
type Account struct {
	Tenant   string
	Known    bool // there is such an account; else the rest is zero, but for Rules and Shared
	Shared   bool // several accounts have its e-mail; where none is known, it was not said which is meant
	User     User
	Template bool // all groups that he is in now only serve inheritance
	Password Password
	Rules    SignInRules

	SecondFactor SecondFactor
}

// Refusal is why somebody cannot sign in. It is told to administrators only.
type Refusal string

// The reasons.
const (
	RefusedUnknown  Refusal = "unknown"
	RefusedStore    Refusal = "store_needed" // several stores have an account with this e-mail
	RefusedPassword Refusal = "wrong_password"
	RefusedNone     Refusal = "no_password"
	RefusedDisabled Refusal = "subject_disabled"
	RefusedInvited  Refusal = "invited"
	RefusedLocked   Refusal = "locked"
	RefusedDeleted  Refusal = "deleted"
	RefusedTemplate Refusal = "template_only"
	RefusedCode     Refusal = "wrong_code" // of the second factor
)

// Refused tells why an account cannot sign in whatever its password is, or
// gives "".
func (a *Account) Refused() Refusal {
	switch {
	case !a.Known && a.Shared:
		return RefusedStore
	case !a.Known:
		return RefusedUnknown
	}
	switch a.User.Status {
	case UserActive:
	case UserInvited:
		return RefusedInvited
	case UserLocked:
		return RefusedLocked
	case UserDeleted:
		return RefusedDeleted
	default:
		return RefusedDisabled
	}
	if a.Template {
		return RefusedTemplate
	}
	return ""
}

// Step is what somebody who is signing in must do before anything else.
type Step string

// The steps.
const (
	StepSecondFactor Step = "second-factor"
	StepPassword     Step = "password" // choose a new one
)

// Session is somebody who has signed in, on one device.
type Session struct {
	Hash    [32]byte // SHA-256 of the secret in the cookie; leaves neither store nor service
	ID      string   // public, to name it by
	Tenant  string
	User    string
	Steps   []Step // what must be done first, in this order
	Created time.Time
	Seen    time.Time     // about when it was last used
	Idle    time.Duration // how long it may go unused
	Ends    time.Time     // whatever happens
	Address string        // of the client that signed in
	Agent   string        // the program that it said to be
}

// Alive tells whether the session can be used at the moment now.
func (s *Session) Alive(now time.Time) bool {
	return now.Before(s.Ends) && now.Before(s.Seen.Add(s.Idle))
}

// Attempt is one try to sign in to an account that exists.
type Attempt struct {
	At      time.Time
	Refusal Refusal // empty: it succeeded
	Address string
}

// MaxAttempts is how many tries are remembered of an account.
const MaxAttempts = 20

// Counter is how often signing in has failed, by account or by address.
type Counter struct {
	Key      [32]byte
	Failures int
	Wait     time.Duration // this long nobody is let try; 0: now
	Locked   bool
	Until    time.Time // of the lock; zero: until it is unlocked
}

// CounterRule says when somebody has to wait.
type CounterRule struct {
	Key    [32]byte
	Window time.Duration // failures are forgotten after it
	Free   int           // failures without consequences; each one more doubles the wait
	Lock   int           // failures that lock; 0: never
	For    time.Duration // how long it is locked
}

// FoldCase gives the one form of all texts that differ in the case of letters
// only.
func FoldCase(s string) string { return strings.Map(folded, s) }

// folded gives the lowest of the characters that differ from r only in case.
func folded(r rune) rune {
	lowest := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		lowest = min(lowest, f)
	}
	return lowest
}
