package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// between does something once, after an account was read and before anything is
// done with what was read.
type between struct {
	service.AccountStore
	then func()
}

// AccountOf reads the account first.
func (b *between) AccountOf(ctx context.Context, tenant, id string) (access.Account, error) {
	account, err := b.AccountStore.AccountOf(ctx, tenant, id)
	if then := b.then; then != nil {
		b.then = nil
		then()
	}
	return account, err
}

// meanwhile gives accounts of the site whose first caller looks at what is no
// longer so when he acts.
func (s *site) meanwhile(then func()) *service.Accounts {
	s.t.Helper()
	sealer, err := service.NewSealer(strings.Repeat("s", 32), "second factor")
	s.must(err)
	return service.NewAccounts(&between{s.store, then}, s.options.Directory, service.AccountsOptions{Sealer: sealer, Clock: s.now})
}

// linked gives the token of a new link.
func (s *site) linked(id string, purpose access.Purpose) string {
	s.t.Helper()
	text, token := service.NewToken("people", id, purpose, s.now().Add(time.Hour))
	s.must(s.store.PutToken(context.Background(), token, access.Change{Base: access.AnyRevision, Author: "test"}))
	return text
}

// signedIn is somebody who has shown his password.
func (s *site) signedIn(id string) service.SignedIn {
	s.t.Helper()
	_, by, err := s.options.Accounts.SignIn(context.Background(), "people", service.Login{Email: id + "@example.com"}, ownPassword, service.Client{})
	s.must(err)
	return by
}

// A link is worth nothing from the moment on in which its account is disabled,
// and brings it back in no case.
func TestChoosePassword_disabledMeanwhile(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.give("sales-1", ownPassword)
		decode[api.User](t, s.admin(http.MethodPost, "/users", `{"id":"new-1","email":"new-1@example.com","name":"New","invite":true}`))
		for id, purpose := range map[string]access.Purpose{"sales-1": access.PurposeReset, "new-1": access.PurposeActivate} {
			token := s.linked(id, purpose)
			accounts := s.meanwhile(func() {
				decode[api.User](t, s.admin(http.MethodPost, "/users/"+id+":deactivate", `{}`))
			})
			before := s.state(id).PasswordSet
			_, _, err := accounts.ChoosePassword(t.Context(), "people", purpose, token, wrongPassword, service.Client{}, access.Change{})
			if !errors.Is(err, service.ErrLink) {
				t.Errorf("%s: %v", purpose, err)
			}
			if u := decode[api.User](t, s.admin(http.MethodGet, "/users/"+id, "")); u.Status != "disabled" {
				t.Errorf("%s: the account is %s", purpose, u.Status)
			}
			if after := s.state(id).PasswordSet; !after.Equal(before) {
				t.Errorf("%s: the password was set", purpose)
			}
		}
	})
}

// Req 110: whoever has forgotten his password chooses another one, not the one
// that he has, whatever the tenant says of those before.
func TestChoosePassword_present(t *testing.T) {
	s := newSite(t, embedded(t))
	s.give("sales-1", ownPassword)
	reset := func(password string) *answer {
		b := s.browser(t)
		return b.post(people+"/reset-password", mustJSON(t, map[string]string{"token": s.linked("sales-1", access.PurposeReset), "password": password}))
	}
	reset(ownPassword).want(400, "invalid")
	reset(firstPassword).want(200, "")
	s.rules(`{"no_reuse":2}`)
	reset(firstPassword).want(400, "invalid")
	reset(ownPassword).want(400, "invalid")
	reset(wrongPassword).want(200, "")
	s.browser(t).signIn("sales-1@example.com", wrongPassword)
}

// Req 108: a link enters its own account, whoever else has the e-mail, and gives
// nobody back a guess at the others.
func TestHomes_link(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.stores()
		for id, home := range map[string]string{"mine": "store:a", "theirs": "store:b"} {
			s.customer(id, "shared@example.com", home).want(201, "")
			s.give(id, firstPassword)
		}
		s.rules(`{"failures":4}`)
		try := func(store, password string) *answer {
			return s.browser(t).post(people+"/sign-in", mustJSON(t, map[string]string{"email": "shared@example.com", "store": store, "password": password}))
		}
		enters := func(id, path string, body map[string]string) {
			t.Helper()
			var who api.SignedIn
			if s.browser(t).post(people+path, mustJSON(t, body)).want(200, "").into(&who); who.User != id {
				t.Errorf("the link of %s enters %s", id, who.User)
			}
		}
		for _, id := range []string{"mine", "theirs"} {
			enters(id, "/reset-password", map[string]string{"token": s.linked(id, access.PurposeReset), "password": id + "'s password, a long one"})
			enters(id, "/sign-in-link", map[string]string{"token": s.linked(id, access.PurposeSignIn)})
		}
		try("store:a", "theirs's password, a long one").want(401, "sign_in_refused")
		for range 2 {
			try("store:b", wrongPassword).want(401, "sign_in_refused")
		}
		enters("mine", "/sign-in-link", map[string]string{"token": s.linked("mine", access.PurposeSignIn)})
		try("store:b", wrongPassword).want(401, "sign_in_refused") // the fourth
		try("store:b", "theirs's password, a long one").want(401, "sign_in_refused")
	})
}

// Of two browsers that set up a second factor, the one that began last sets it up.
func TestSecondFactor_twoBrowsers(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		first, second := s.member(t, "operator-1"), s.browser(t)
		second.signIn("operator-1@example.com", ownPassword)
		mine, other := first.begin(proof("")), second.begin(proof(""))
		first.post(ownFactor+":confirm", withCode(mine.code())).want(400, "invalid")
		second.confirm(other)
		first.post(ownFactor+":confirm", withCode(mine.code())).want(409, "conflict")
		s.returning(t, "operator-1").post(ownFactor+":verify", withCode(mine.later())).want(400, "invalid")
		second.welcome(s.returning(t, "operator-1").post(ownFactor+":verify", withCode(other.code())))
	})
}

// That holds too where the other one begins, or is confirmed, while the code of
// the first is looked at.
func TestSecondFactor_otherMeanwhile(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		for _, confirmed := range []bool{false, true} {
			id := map[bool]string{false: "operator-1", true: "sales-1"}[confirmed]
			second := s.member(t, id)
			by := s.signedIn(id)
			mine := second.begin(proof(""))
			var other *phone
			accounts := s.meanwhile(func() {
				if other = second.begin(proof("")); confirmed {
					second.confirm(other)
				}
			})
			_, _, _, err := accounts.ConfirmSecondFactor(t.Context(), by, mine.code(), service.Client{}, access.Change{})
			if !errors.Is(err, access.ErrStale) {
				t.Errorf("confirmed %v: %v", confirmed, err)
			}
			if !confirmed {
				second.confirm(other)
			}
			s.returning(t, id).post(ownFactor+":verify", withCode(mine.later())).want(400, "invalid")
			s.returning(t, id).post(ownFactor+":verify", withCode(other.code())).want(200, "")
		}
	})
}

// What an administrator takes away, while its owner asks for new recovery codes,
// does not come back with them.
func TestSecondFactor_resetMeanwhile(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		_, p, _ := s.enrolled(t, "sales-1")
		by := s.signedIn("sales-1")
		by.Session.Steps = nil // he has shown a code
		accounts := s.meanwhile(func() {
			decode[api.User](t, s.admin(http.MethodPost, "/users/sales-1/second-factor:reset", `{}`))
		})
		_, err := accounts.RenewRecovery(t.Context(), by, service.Proof{Password: ownPassword, Code: p.later()}, service.Client{}, access.Change{})
		if !errors.Is(err, access.ErrStale) {
			t.Errorf("new recovery codes: %v", err)
		}
		if by := s.browser(t).signIn("sales-1@example.com", ownPassword); by.Next != "" {
			t.Errorf("he is still asked for %s", by.Next)
		}
	})
}

// A code is good once, also the one that puts an app in force, in the place of
// another one or of none, and the one that is shown for new recovery codes.
func TestSecondFactor_shownOnce(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		again := func(what string, p *phone) {
			t.Helper()
			if got := s.returning(t, "operator-1").post(ownFactor+":verify", withCode(p.code())); got.status != 400 {
				t.Errorf("%s: the code is good again: %d %s", what, got.status, got.body)
			}
		}
		b, old, _ := s.enrolled(t, "operator-1")
		again("the first app", old)
		fresh := b.begin(proof(old.later()))
		b.confirm(fresh)
		again("the app in its place", fresh)
		b.post(ownFactor+"/recovery-codes", proof(fresh.later())).want(200, "")
		again("recovery codes", fresh)
		s.returning(t, "operator-1").post(ownFactor+":verify", withCode(fresh.later())).want(200, "")
	})
}
