package httpapi_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

func init() {
	token := `{"token":"` + strings.Repeat("x", 43) + `"`
	maps.Copy(matrix, map[string]entry{
		"GET /v1/tenants/{tenant}/settings":         {need: access.KeyRead},
		"PATCH /v1/tenants/{tenant}/settings":       {need: access.KeyAdmin, body: `{"sign_in":{"no_reuse":3}}`},
		"POST /v1/tenants/{tenant}/activate":        {body: token + `,"password":"x"}`, status: 404},
		"POST /v1/tenants/{tenant}/reset-password":  {body: token + `,"password":"x"}`, status: 404},
		"POST /v1/tenants/{tenant}/sign-in-link":    {body: token + `}`, status: 404},
		"POST /v1/tenants/{tenant}/first-superuser": {body: token + `,"password":"x","email":"x@example.com","name":"X"}`, status: 404},
		"GET /sign-in":         {},
		"GET /activate":        {},
		"GET /reset-password":  {},
		"GET /first-superuser": {},
		"GET /sign-in.js":      {},
	})
}

func embedded(t *testing.T) store.Options {
	t.Helper()
	return store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")}
}

func (s *site) rules(text string) {
	s.t.Helper()
	decode[api.Settings](s.t, s.admin(http.MethodPatch, "/settings", `{"sign_in":`+text+`}`))
}

func (s *site) state(id string) api.UserSignIn {
	s.t.Helper()
	return decode[api.UserSignIn](s.t, s.admin(http.MethodGet, "/users/"+id+"/sign-in", ""))
}

// TestSignIn_refused: whoever cannot sign in is told nothing of the reason, and
// administrators all. Req 29, 102.
func TestSignIn_refused(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		all := map[string]access.Refusal{
			"sales-1": access.RefusedPassword, "operator-1": access.RefusedDisabled, "pattern-1": access.RefusedTemplate, "boss-1": access.RefusedNone,
		}
		for id := range all {
			if id != "boss-1" {
				s.give(id, firstPassword)
			}
		}
		decode[api.User](t, s.admin("POST", "/users/operator-1:deactivate", ""))
		b := s.browser(t)
		neutral := string(withoutID(b.trySignIn("nobody@example.com", wrongPassword).want(401, "sign_in_refused").body))
		for id, why := range all {
			password := firstPassword // the right one does not help
			if why == access.RefusedPassword {
				password = wrongPassword
			}
			a := b.trySignIn(id+"@example.com", password).want(401, "sign_in_refused")
			if got := string(withoutID(a.body)); got != neutral || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s is told %s", id, got)
			}
			state := s.state(id)
			if len(state.Attempts) != 1 || state.Attempts[0].Refusal != string(why) || state.Attempts[0].Address == "" {
				t.Errorf("%s: administrators see %+v", id, state.Attempts)
			}
			if want := why; want != access.RefusedPassword && state.Refusal != string(want) || state.Can != (why == access.RefusedPassword) {
				t.Errorf("%s: can %v, refusal %q", id, state.Can, state.Refusal)
			}
			if !strings.Contains(s.log.String(), `"user":"`+id+`","why":"`+string(why)+`"`) {
				t.Errorf("the log does not say why %s was refused", id)
			}
		}
		decode[api.User](t, s.admin("DELETE", "/users/operator-1", ""))
		b.trySignIn("operator-1@example.com", firstPassword).want(401, "sign_in_refused")
	})
}

func withoutID(body []byte) []byte {
	text, _, _ := strings.Cut(string(body), `,"request_id"`)
	return []byte(text)
}

// TestSignIn_lockout: failures lock an account whatever way its e-mail is
// written, also with the right password, until time or an administrator ends it;
// an account that does not exist behaves alike. Req 110.
func TestSignIn_lockout(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.give("sales-1", firstPassword)
		s.rules(`{"failures":4,"lock_for_good":true}`)
		b := s.browser(t)
		for _, name := range []string{"sales-1", "nobody"} {
			for _, email := range []string{name + "@example.com", strings.ToUpper(name) + "@example.com", " " + name + "@EXAMPLE.com", name + "@example.com\t"} {
				b.trySignIn(email, wrongPassword).want(401, "sign_in_refused")
			}
			b.trySignIn(name+"@example.com", firstPassword).want(401, "sign_in_refused")
		}
		if state := s.state("sales-1"); !state.Locked || state.Can || state.Refusal != "locked" || state.Failures != 4 || !state.LockedUntil.IsZero() {
			t.Errorf("the state is %+v", state)
		}
		s.forward(48 * time.Hour)
		b.trySignIn("sales-1@example.com", firstPassword).want(401, "sign_in_refused")
		decode[api.User](t, s.admin("POST", "/users/sales-1:unlock", `{"reason":"he called"}`))
		b.signIn("sales-1@example.com", firstPassword)

		s.rules(`{"failures":4,"lock_for_good":false,"lock_minutes":30}`)
		for range 4 {
			b.trySignIn("sales-1@example.com", wrongPassword).want(401, "sign_in_refused")
		}
		b.trySignIn("sales-1@example.com", firstPassword).want(401, "sign_in_refused")
		if state := s.state("sales-1"); !state.Locked || state.LockedUntil.IsZero() {
			t.Errorf("the state is %+v", state)
		}
		s.forward(31 * time.Minute)
		b.signIn("sales-1@example.com", firstPassword)
		if state := s.state("sales-1"); state.Failures != 0 || !state.Can {
			t.Errorf("after a success the state is %+v", state)
		}
	})
}

// TestSignIn_delay: after five failures the next try has to wait, whether the
// account exists or not; what is refused that way does not make it longer.
func TestSignIn_delay(t *testing.T) {
	s := newSite(t, embedded(t))
	s.give("sales-1", firstPassword)
	for _, email := range []string{"sales-1@example.com", "nobody@example.com"} {
		b := s.browser(t)
		for range 6 {
			b.trySignIn(email, wrongPassword).want(401, "sign_in_refused")
		}
		for range 3 {
			if a := b.trySignIn(email, firstPassword).want(429, "too_many"); a.header.Get("Retry-After") != "1" {
				t.Errorf("retry after %q", a.header.Get("Retry-After"))
			}
		}
		s.forward(2 * time.Second)
	}
	s.browser(t).signIn("sales-1@example.com", firstPassword)
}

// Whoever tries many accounts is slowed down by where he comes from: an address, or
// a network of IPv6, in which he has as many addresses as he likes.
func TestSignIn_addresses(t *testing.T) {
	const free, freeResets = 50, 30
	s := newSite(t, embedded(t))
	accounts := service.NewAccounts(s.store, s.options.Directory, service.AccountsOptions{Hashing: service.HashingOptions{Memory: 8, Passes: 1}, Clock: s.now})
	tries := 0
	signIn := func(address string) error {
		tries++
		who := service.Login{Email: fmt.Sprintf("nobody-%d@example.com", tries)}
		_, _, err := accounts.SignIn(t.Context(), "people", who, wrongPassword, service.Client{Address: address})
		return err
	}
	for name, address := range map[string]func(n int) string{
		"a network of IPv6":     func(n int) string { return fmt.Sprintf("2001:db8:1:2::%x", n) },
		"an address of IPv4":    func(int) string { return "192.0.2.1" },
		"the same, in two ways": func(n int) string { return []string{"192.0.2.2", "::ffff:192.0.2.2"}[n%2] },
	} {
		for n := range free + 1 {
			if err := signIn(address(n)); !errors.Is(err, service.ErrRefused) {
				t.Fatalf("%s, try %d: %v", name, n, err)
			}
		}
		if err := signIn(address(free + 1)); !errors.Is(err, service.ErrTooMany) {
			t.Errorf("%s: after %d tries: %v", name, free+1, err)
		}
	}
	if err := signIn("2001:db8:1:3::1"); !errors.Is(err, service.ErrRefused) {
		t.Errorf("the network beside it: %v", err)
	}

	for n := 0; ; n++ {
		err := accounts.AskReset(t.Context(), "people", service.Login{Email: fmt.Sprintf("nobody-%d@example.com", n)}, service.Client{Address: fmt.Sprintf("2001:db8:2:2::%x", n)})
		if errors.Is(err, service.ErrTooMany) && strings.Contains(err.Error(), "too often") {
			if n <= freeResets {
				t.Errorf("only %d links could be asked for", n)
			}
			break
		}
		if n > 10*freeResets {
			t.Fatalf("%d links could be asked for", n)
		}
	}
}

// Ending a lock makes nobody active who is not locked: that is another decision.
func TestUnlock_onlyLocked(t *testing.T) {
	s := newSite(t, embedded(t))
	decode[api.User](t, s.admin("POST", "/users/sales-1:deactivate", `{}`))
	decode[api.User](t, s.admin("POST", "/users", `{"id":"new-1","email":"new-1@example.com","name":"New","groups":[{"group":"staff"}],"invite":true}`))
	for id, status := range map[string]string{"sales-1": "disabled", "new-1": "invited"} {
		if u := decode[api.User](t, s.admin("POST", "/users/"+id+":unlock", `{}`)); u.Status != status {
			t.Errorf("%s was %s and is %s", id, status, u.Status)
		}
	}
}

// TestSignIn_race: whoever guesses many at once gets no more guesses than one
// after the other.
func TestSignIn_race(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.give("sales-1", firstPassword)
		s.rules(`{"failures":3}`)
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() { s.browser(t).trySignIn("sales-1@example.com", wrongPassword) })
		}
		all.Wait()
		wrong := 0
		for _, a := range s.state("sales-1").Attempts {
			if a.Refusal == string(access.RefusedPassword) {
				wrong++
			}
		}
		if wrong > 3 {
			t.Errorf("%d passwords were compared", wrong)
		}
		s.browser(t).trySignIn("sales-1@example.com", firstPassword).want(401, "sign_in_refused")
	})
}

// TestPassword_rules has one line for each rule that is judged when a password is
// chosen. Req 110.
func TestPassword_rules(t *testing.T) {
	s := newSite(t, embedded(t))
	b := s.member(t, "operator-1")
	for name, c := range map[string]struct{ rules, bad, good string }{
		"length":          {`{"min_length":20}`, "nineteen characters", "twenty characters ok"},
		"length in runes": {`{"min_length":8}`, "ääääääö", "ääääääöö"},
		"lower":           {`{"lower":true}`, "ONLY CAPITALS HERE", "ONLY CAPITALS HERe"},
		"upper":           {`{"upper":true}`, "no capital letter here", "one Capital letter here"},
		"digits":          {`{"digits":true}`, "no digit anywhere", "1 digit somewhere"},
		"symbols":         {`{"symbols":true}`, "lettersandnothing3lse", "letters and a blank"},
	} {
		t.Run(name, func(t *testing.T) {
			s.rules(`{"min_length":0,"lower":false,"upper":false,"digits":false,"symbols":false}`)
			s.rules(c.rules)
			for _, w := range []int{s.admin("PUT", "/users/sales-1/password", `{"password":"`+c.bad+`"}`).Code, b.changePassword(ownPassword, c.bad).status} {
				if w != 400 {
					t.Errorf("%q was taken: %d", c.bad, w)
				}
			}
			s.give("sales-1", c.good)
		})
	}
	s.rules(`{"min_length":0,"lower":false,"upper":false,"digits":false,"symbols":false}`)
	long := strings.Repeat("ü", 512) // 1,024 bytes, of which every one counts
	s.give("sales-1", long)
	other := s.browser(t)
	other.trySignIn("sales-1@example.com", long[:1022]).want(401, "sign_in_refused")
	other.trySignIn("sales-1@example.com", strings.ToUpper(long)).want(401, "sign_in_refused")
	other.signIn("sales-1@example.com", long)
	s.wantProblem(s.admin("PUT", "/users/sales-1/password", `{"password":"`+long+`x"}`), 400, "invalid")
	other.trySignIn("sales-1@example.com", long+"x").want(400, "invalid")
	for field, text := range map[string]string{
		"sign_in.min_length": `{"min_length":7}`, "sign_in.failures": `{"failures":2}`, "sign_in.no_reuse": `{"no_reuse":25}`,
		"sign_in.idle_minutes": `{"idle_minutes":1441}`, "sign_in.lock_minutes": `{"lock_minutes":-1}`, "sign_in.expire_days": `{"expire_days":9999999999}`,
	} {
		p := s.wantProblem(s.admin("PATCH", "/settings", `{"sign_in":`+text+`}`), 400, "invalid")
		if len(p.Details) != 1 || p.Details[0].Field != field {
			t.Errorf("%s: %+v", text, p)
		}
	}
}

// TestPassword_reuse: the last passwords cannot be chosen again, and a password
// that must change cannot stay. Req 110.
func TestPassword_reuse(t *testing.T) {
	s := newSite(t, embedded(t))
	b := s.member(t, "sales-1")
	b.changePassword(ownPassword, ownPassword).want(400, "invalid")
	s.rules(`{"no_reuse":2}`)
	b.changePassword(ownPassword, firstPassword).want(400, "invalid")
	const third = "known to nobody else 3"
	b.welcome(b.changePassword(ownPassword, third))
	b.changePassword(third, ownPassword).want(400, "invalid")
	s.wantProblem(s.admin("PUT", "/users/sales-1/password", `{"password":"`+ownPassword+`"}`), 400, "invalid")
	b.welcome(b.changePassword(third, firstPassword)) // the third last
}

// TestPassword_expiry is judged when somebody signs in. Req 110.
func TestPassword_expiry(t *testing.T) {
	s := newSite(t, embedded(t))
	s.member(t, "sales-1")
	s.rules(`{"expire_days":30}`)
	b := s.browser(t)
	s.forward(30*24*time.Hour - time.Hour)
	if by := b.signIn("sales-1@example.com", ownPassword); by.Next != "" {
		t.Errorf("a day before, %q is next", by.Next)
	}
	s.forward(time.Hour + time.Minute)
	if by := b.signIn("sales-1@example.com", ownPassword); by.Next != "password" {
		t.Errorf("afterwards, %q is next", by.Next)
	}
	s.rules(`{"expire_days":0}`)
	if by := b.signIn("sales-1@example.com", ownPassword); by.Next != "" {
		t.Errorf("without the rule, %q is next", by.Next)
	}
}

// TestPassword_current: who has somebody's session still needs his password, and
// gets no more guesses for it.
func TestPassword_current(t *testing.T) {
	s := newSite(t, embedded(t))
	b := s.member(t, "sales-1")
	s.rules(`{"failures":3}`)
	for range 3 {
		b.changePassword(wrongPassword, "something else 45678").want(400, "invalid")
	}
	b.changePassword(ownPassword, "something else 45678").want(400, "invalid")
}

// TestSession_ends: whatever ends a session ends it with the next request, and it
// does not come back.
func TestSession_ends(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		const users = "/users/sales-1"
		for name, c := range map[string]struct{ end, undo func() }{
			"deactivated": {func() { decode[api.User](t, s.admin("POST", users+":deactivate", "")) }, func() { decode[api.User](t, s.admin("POST", users+":activate", "")) }},
			"deleted": {func() { decode[api.User](t, s.admin("DELETE", users, "")) }, func() {
				decode[api.User](t, s.admin("POST", users+":restore", ""))
				decode[api.User](t, s.admin("POST", users+":activate", ""))
			}},
			"ended by an administrator": {end: func() { decode[api.User](t, s.admin("DELETE", users+"/sessions", "")) }},
			"password set":              {end: func() { s.give("sales-1", "another password 678") }},
			"idle":                      {end: func() { s.forward(31 * time.Minute) }},
			"restored from a backup": {end: func() {
				s.must(s.store.RenewEpoch(t.Context(), "people", access.Change{Base: access.AnyRevision, Author: "operator-1"}))
			}},
		} {
			b := s.member(t, "sales-1")
			b.send("GET", "/v1/session", "").want(200, "")
			c.end()
			b.send("GET", "/v1/session", "").want(401, "signed_out")
			if c.undo != nil {
				c.undo()
				b.send("GET", "/v1/session", "").want(401, "signed_out")
			}
			t.Log(name)
		}
		b := s.member(t, "sales-1")
		for range 24 { // in use all the time
			s.forward(29 * time.Minute)
			b.send("GET", "/v1/session", "").want(200, "")
		}
		s.forward(29 * time.Minute)
		b.send("GET", "/v1/session", "").want(401, "signed_out")
	})
}

// TestSession_own: everybody sees and ends his own sessions, and nobody else's.
func TestSession_own(t *testing.T) {
	s := newSite(t, embedded(t))
	first, other := s.member(t, "sales-1"), s.member(t, "operator-1")
	second, third := s.browser(t), s.browser(t)
	s.forward(time.Second)
	second.signIn("sales-1@example.com", ownPassword)
	s.forward(time.Second)
	third.signIn("sales-1@example.com", ownPassword)
	var list api.Sessions
	first.send("GET", "/v1/sessions", "").want(200, "").into(&list)
	if len(list.Sessions) != 3 || !list.Sessions[2].Current || list.Sessions[0].Current || list.Sessions[0].Address == "" {
		t.Fatalf("the sessions are %+v", list)
	}
	other.send("DELETE", "/v1/sessions/"+list.Sessions[0].ID, "").want(404, "not_found")
	first.send("DELETE", "/v1/sessions/"+list.Sessions[0].ID, "").want(204, "")
	third.send("GET", "/v1/session", "").want(401, "signed_out")
	second.send("DELETE", "/v1/sessions", "").want(204, "")
	first.send("GET", "/v1/session", "").want(401, "signed_out")
	second.send("GET", "/v1/session", "").want(200, "")
	second.send("DELETE", "/v1/sessions", "", "X-CSRF-Token", "").want(403, "cross_site")
	third.signIn("sales-1@example.com", ownPassword)
	second.welcome(second.changePassword(ownPassword, "another password 678")) // ends the others
	third.send("GET", "/v1/session", "").want(401, "signed_out")
	other.send("GET", "/v1/session", "").want(200, "")
}

// TestPassword_ceiling: an administrator cannot take over who holds more. Req 43.
func TestPassword_ceiling(t *testing.T) {
	s := newSite(t, embedded(t))
	b := s.member(t, "operator-1")
	s.member(t, "boss-1")
	s.rules(`{"no_reuse":5}`)
	for _, r := range [][3]string{
		{"PUT", "/password", `{"password":"` + ownPassword + `"}`}, // nor learn that he has it
		{"PUT", "/password", `{"password":"x"}`},
		{"DELETE", "/sessions", ""},
		{"POST", ":unlock", "{}"},
	} {
		b.send(r[0], people+"/users/boss-1"+r[1], r[2]).want(403, "forbidden")
	}
	s.browser(t).signIn("boss-1@example.com", ownPassword)
	b.send("PUT", people+"/users/sales-1/password", `{"password":"`+firstPassword+`"}`).want(200, "")
	b.send("PATCH", people+"/settings", `{"sign_in":{"min_length":8}}`).want(403, "forbidden")
}

// TestLinks (Req 73, 74): the first superuser makes himself by a link, once, and a password
// that is refused does not use it up.
func TestLinks(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		accounts := s.options.Accounts
		wants := func() bool {
			yes, err := accounts.WantsSuperuser(t.Context(), rootCaller, "people")
			s.must(err)
			return yes
		}
		if !wants() {
			t.Error("boss-1 has no password, so a link is needed")
		}
		old, err := accounts.SuperuserLink(t.Context(), rootCaller, "people")
		s.must(err)
		link, err := accounts.SuperuserLink(t.Context(), rootCaller, "people")
		s.must(err)
		if wants() {
			t.Error("there is a link already")
		}
		token := func(link string) string { _, t, _ := strings.Cut(link, "#token="); return t }
		body := func(link, password string) string {
			return fmt.Sprintf(`{"token":%q,"email":"boss-2@example.com","name":"Second","password":%q}`, token(link), password)
		}
		b := s.browser(t)
		const path = people + "/first-superuser"
		b.send("POST", path, body(old, ownPassword)).want(404, "not_found")
		b.send("POST", path, body(link[:len(link)-1], ownPassword)).want(404, "not_found")
		b.send("POST", path, body(link, "short")).want(400, "invalid")
		b.send("GET", "/first-superuser?tenant=people", "").want(200, "")
		var all sync.WaitGroup
		var mu sync.Mutex
		made := map[int]int{}
		for range 2 {
			all.Go(func() {
				a := s.browser(t).send("POST", path, body(link, ownPassword))
				mu.Lock()
				defer mu.Unlock()
				made[a.status]++
			})
		}
		all.Wait()
		if made[200] != 1 || made[404] != 1 {
			t.Errorf("two with one link got %v", made)
		}
		b.signIn("boss-2@example.com", ownPassword)
		b.send("PATCH", people+"/settings", `{"sign_in":{"min_length":14}}`).want(200, "")
		if wants() {
			t.Error("boss-2 can sign in")
		}
		once, err := accounts.SignInLink(t.Context(), rootCaller, "people", "sales-1")
		s.must(err)
		in := s.browser(t)
		if by := in.welcome(in.send("POST", people+"/sign-in-link", `{"token":"`+token(once)+`"}`)); by.User != "sales-1" {
			t.Errorf("signed in as %s", by.User)
		}
		s.browser(t).send("POST", people+"/sign-in-link", `{"token":"`+token(once)+`"}`).want(404, "not_found")
	})
}

// TestLinks_invitation: who was invited chooses a password and is active. Req 29.
func TestLinks_invitation(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		_, link, _, err := s.options.Directory.CreateInvited(t.Context(), rootCaller, "people",
			service.NewUser{ID: "new-1", Email: "new-1@example.com", Name: "New"}, access.Change{Source: "test"})
		s.must(err)
		_, token, there := strings.Cut(link, "#token=")
		if !there {
			t.Fatalf("no link: %q", link)
		}
		b := s.browser(t)
		choose := func(password string) *answer {
			return b.send("POST", people+"/activate", `{"token":"`+token+`","password":"`+password+`"}`)
		}
		b.trySignIn("new-1@example.com", ownPassword).want(401, "sign_in_refused")
		if state := s.state("new-1"); state.Refusal != "invited" {
			t.Errorf("the state is %+v", state)
		}
		choose("short").want(400, "invalid")
		if by := b.welcome(choose(ownPassword)); by.User != "new-1" || by.Next != "" {
			t.Errorf("signed in as %+v", by)
		}
		choose(ownPassword).want(404, "not_found")
		s.browser(t).signIn("new-1@example.com", ownPassword)
	})
}

// TestSignIn_canary: what is secret about signing in stands in no log, answer or
// history, whatever goes wrong with it.
func TestSignIn_canary(t *testing.T) {
	s := newSite(t, embedded(t))
	const canary, second = "canary-pw-7Hq2mXv9Kt", "canary-pw-4Zr8nBw3Ls"
	s.give("sales-1", canary)
	b := s.browser(t)
	var answers []string
	note := func(a *answer) { answers = append(answers, string(a.body)) }
	by := b.signIn("sales-1@example.com", canary)
	secrets := []string{canary, second, b.cookie()}
	csrf := []string{by.CSRFToken}
	note(b.changePassword(canary+"x", second))
	note(b.changePassword(canary, canary))
	by = b.welcome(b.changePassword(canary, second))
	secrets, csrf = append(secrets, b.cookie()), append(csrf, by.CSRFToken)
	link, err := s.options.Accounts.SignInLink(t.Context(), rootCaller, "people", "sales-1")
	s.must(err)
	_, token, _ := strings.Cut(link, "#token=")
	secrets = append(secrets, token)
	for _, body := range []string{
		`{"email":"` + canary + `","password":"` + canary + `"}`, `{"email":"a@example.com","password":["` + canary + `"]}`,
		`{"email":"a@example.com","password":"` + canary, canary, `{"password":"` + canary + `","password":"` + canary + `"}`,
	} {
		note(b.send("POST", people+"/sign-in", body))
	}
	note(b.send("POST", people+"/sign-in-link", `{"token":"`+token+`x"}`))
	note(b.send("POST", people+"/sign-in-link", `{"token":"`+token+`"}`, "Sec-Fetch-Site", "cross-site"))
	note(b.send("GET", people+"/users/sales-1/sign-in", ""))
	note(b.send("GET", "/v1/sessions", ""))
	note(b.send("PATCH", people+"/users/operator-1", `{}`, "X-CSRF-Token", "x"))
	entries, err := s.store.Revisions(t.Context(), "people")
	s.must(err)
	log, said := s.log.String(), strings.Join(answers, "\n")
	for _, secret := range secrets {
		hash, _ := service.HashOf(secret)
		for _, trace := range []string{secret, hex.EncodeToString(hash[:]), base64.StdEncoding.EncodeToString(hash[:]), base64.StdEncoding.EncodeToString([]byte(secret))} {
			for where, text := range map[string]string{"the log": log, "an answer": said, "the history": fmt.Sprint(entries)} {
				if secret == "" || strings.Contains(text, trace) {
					_, behind, _ := strings.Cut(text, trace)
					t.Errorf("%.10s… stands in %s, before %.80s", trace, where, behind)
				}
			}
		}
	}
	for _, c := range csrf {
		if strings.Contains(log, c) {
			t.Error("a token stands in the log")
		}
	}
	if !strings.Contains(log, "sign-in") {
		t.Error("the log is not looked at")
	}
	if text := fmt.Sprintf("%v %+v %#v", service.Secret(canary), service.Secret(canary), service.Secret(canary)); strings.Contains(text, canary) {
		t.Error("a secret prints itself")
	}
}

// TestSignInPage: the pages run nothing of others, and hold no secret.
func TestSignInPage(t *testing.T) {
	s := newSite(t, embedded(t))
	for _, path := range []string{"/sign-in", "/activate", "/reset-password", "/first-superuser"} {
		a := s.browser(t).send("GET", path+"?tenant=people", "").want(200, "")
		csp := a.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "script-src 'self'") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(string(a.body), "<script>") ||
			a.header.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(string(a.body), `<html lang="en">`) {
			t.Errorf("%s: %s %s", path, csp, a.body)
		}
	}
}
