package service

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bailiwick/bailiwick/internal/access"
)

// SignedIn is somebody who has signed in, as a request shows it.
type SignedIn struct {
	Session access.Session
	Caller  access.Caller
	CSRF    string // what a request that changes something must repeat
}

// Secret is the text of a session's cookie. It is written nowhere else.
type Secret string

// String hides the secret from logs.
func (Secret) String() string { return "(secret)" }

// GoString hides it too.
func (Secret) GoString() string { return "(secret)" }

// MarshalText hides it too.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// seenEvery is how often the use of a session is noted at most.
const seenEvery = time.Minute

// longestAgent is how much is kept of what a program says to be, in bytes.
const longestAgent = 200

// open begins a session for an account that may sign in.
func (a *Accounts) open(ctx context.Context, account *access.Account, from Client, steps []access.Step, counted, address [32]byte) (Secret, SignedIn, error) {
	rules, now := account.Rules.Filled(), a.now()
	text := secret()
	hash, _ := HashOf(text)
	s := access.Session{
		Hash: hash, ID: strings.ToLower(rand.Text()), Tenant: account.Tenant, User: account.User.ID, Steps: steps, Created: now, Seen: now,
		Idle: rules.IdleTime, Ends: now.Add(rules.TotalTime), Address: from.Address, Agent: agentOf(from.Agent),
	}
	if err := a.store.OpenSession(ctx, account, s, clearedOf(account, counted), address); err != nil {
		return "", SignedIn{}, err
	}
	return Secret(text), signedIn(s, Secret(text)), a.forgiveShared(ctx, account, counted)
}

func agentOf(agent string) string {
	agent = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r == 0x7f {
			return -1
		}
		return r
	}, agent)
	if len(agent) <= longestAgent {
		return agent
	}
	return strings.ToValidUTF8(agent[:longestAgent], "")
}

func signedIn(s access.Session, text Secret) SignedIn {
	return SignedIn{Session: s, CSRF: csrf(text), Caller: access.Caller{
		Name: "user:" + s.User, Tenant: s.Tenant, Subject: access.Subject{Kind: access.KindUser, ID: s.User},
	}}
}

// csrf is bound to the session: who has not its cookie cannot know it, and it
// ends with it.
func csrf(text Secret) string {
	m := hmac.New(sha256.New, []byte(text))
	m.Write([]byte("csrf"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// Repeats tells whether a request has shown the token of its session.
func (s *SignedIn) Repeats(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.CSRF)) == 1
}

// Who tells whose session this is, as it is now: one that was ended, or whose
// account may no longer act, is nobody's from that moment on.
func (a *Accounts) Who(ctx context.Context, text Secret) (SignedIn, error) {
	hash, ok := HashOf(string(text))
	if !ok {
		return SignedIn{}, ErrSignedOut
	}
	s, err := a.store.Session(ctx, hash)
	if errors.Is(err, access.ErrNotFound) {
		return SignedIn{}, ErrSignedOut
	}
	if err != nil {
		return SignedIn{}, err
	}
	if a.now().Sub(s.Seen) >= seenEvery {
		if err := a.store.SeeSession(ctx, hash); err != nil {
			return SignedIn{}, err
		}
	}
	return signedIn(s, text), nil
}

// onwards is what is left of signing in once a step is taken. The session gets a
// new secret, since what it may do has changed.
func (a *Accounts) onwards(ctx context.Context, by SignedIn, step access.Step) (Secret, SignedIn, error) {
	text := secret()
	hash, _ := HashOf(text)
	if err := a.store.TakeStep(ctx, by.Session, step, hash); err != nil {
		return "", SignedIn{}, err
	}
	s := by.Session
	s.Hash, s.Steps = hash, slices.DeleteFunc(slices.Clone(s.Steps), func(x access.Step) bool { return x == step })
	return Secret(text), signedIn(s, Secret(text)), nil
}

// SignOut ends the session.
func (a *Accounts) SignOut(ctx context.Context, by SignedIn) error {
	return a.EndSession(ctx, by, by.Session.ID)
}

// Sessions lists the own sessions, newest first.
func (a *Accounts) Sessions(ctx context.Context, by SignedIn) ([]access.Session, error) {
	return a.store.Sessions(ctx, by.Session.Tenant, by.Session.User)
}

// EndSession ends one of the own sessions.
func (a *Accounts) EndSession(ctx context.Context, by SignedIn, id string) error {
	return a.store.EndSession(ctx, by.Session.Tenant, by.Session.User, id)
}

// EndOtherSessions ends all of the own sessions but this one.
func (a *Accounts) EndOtherSessions(ctx context.Context, by SignedIn) error {
	return a.store.EndOtherSessions(ctx, by.Session.Tenant, by.Session.User, by.Session.Hash)
}

// SessionsOf lists the sessions of a user.
func (a *Accounts) SessionsOf(ctx context.Context, caller access.Caller, tenant, user string) ([]access.Session, error) {
	if _, _, err := a.directory.User(ctx, caller, tenant, user); err != nil {
		return nil, err
	}
	return a.store.Sessions(ctx, tenant, user)
}

// EndSessionsOf ends all sessions of a user.
func (a *Accounts) EndSessionsOf(ctx context.Context, caller access.Caller, tenant, user string, c access.Change) (access.User, access.Revision, error) {
	return a.directory.editUser(ctx, caller, tenant, user, "update", c, func(d access.Draft, u *access.User) error {
		return d.EndSessions(u.ID)
	})
}
