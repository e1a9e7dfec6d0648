package httpapi_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

func init() {
	const own, at = "/v1/session/second-factor", "/v1/tenants/{tenant}/users/{id}/second-factor"
	maps.Copy(matrix, map[string]entry{
		"GET " + own:                      {need: httpapi.NeedSession},
		"POST " + own:                     {need: httpapi.NeedSession, body: `{}`},
		"POST " + own + ":confirm":        {need: httpapi.NeedSession, body: `{"code":"x"}`},
		"POST " + own + ":verify":         {need: httpapi.NeedSession, body: `{"code":"x"}`},
		"POST " + own + ":disable":        {need: httpapi.NeedSession, body: `{}`},
		"POST " + own + "/recovery-codes": {need: httpapi.NeedSession, body: `{}`},
		"GET " + at:                       {need: access.KeyRead, path: "/v1/tenants/default/users/bob/second-factor"},
		"POST " + at + ":reset":           {need: access.KeyAdmin, path: "/v1/tenants/default/users/nobody/second-factor:reset", status: 404},
	})
}

const ownFactor = "/v1/session/second-factor"

// asksFor makes the tenant ask people for a second factor, or not.
func (s *site) asksFor(mode access.SecondFactorMode) {
	s.t.Helper()
	d, err := s.store.Edit(s.t.Context(), "people", access.Change{Base: access.AnyRevision, Author: "test", Source: "test"}, func(d access.Draft) error {
		d.Policy().SignIn.SecondFactor = mode
		return nil
	}, func(access.Delta) error { return nil })
	s.must(err)
	if d.To == 0 {
		s.t.Fatal("nothing was changed")
	}
	s.must(s.follower.Poll(s.t.Context()))
}

// told checks whether a mail to somebody waits, or does not.
func (s *site) told(id string, purpose access.MailPurpose, want bool) {
	s.t.Helper()
	waiting, err := s.store.MailsTo(s.t.Context(), "people", purpose, []string{id})
	s.must(err)
	if got := strings.EqualFold(waiting[id].To, id+"@example.com"); got != want {
		s.t.Errorf("a mail %s to %s waits: %v", purpose, id, got)
	}
}

// phone is the app that makes codes.
type phone struct {
	site *site
	key  string
}

func (p *phone) code() string {
	p.site.t.Helper()
	code, err := totp.GenerateCode(p.key, p.site.now())
	p.site.must(err)
	return code
}

// later waits until the app shows another code.
func (p *phone) later() string {
	p.site.t.Helper()
	p.site.wait(30 * time.Second)
	return p.code()
}

// wait lets time pass for all rooms.
func (s *site) wait(d time.Duration) {
	s.t.Helper()
	s.forward(d)
	s.must(s.follower.Poll(s.t.Context()))
}

// wrong is a code that the app does not show.
func (p *phone) wrong() string {
	right := p.code()
	return fmt.Sprintf("%c", '0'+(right[0]-'0'+5)%10) + right[1:]
}

func (b *browser) post(path, body string) *answer {
	b.t.Helper()
	return b.send(http.MethodPost, path, body)
}

func withCode(code string) string { return `{"code":"` + code + `"}` }

func proof(code string) string { return `{"password":"` + ownPassword + `","code":"` + code + `"}` }

// begin begins to set up a second factor.
func (b *browser) begin(body string) *phone {
	b.t.Helper()
	var e api.Enrolment
	b.post(ownFactor, body).want(200, "").into(&e)
	if !strings.HasPrefix(e.URI, "otpauth://totp/") || !strings.Contains(e.URI, e.Key) || len(e.Image) < 100 {
		b.t.Fatalf("%+v", e)
	}
	return &phone{b.site, e.Key}
}

// confirm puts it in force.
func (b *browser) confirm(p *phone) []string {
	b.t.Helper()
	var w api.SecondFactorSetUp
	a := b.post(ownFactor+":confirm", withCode(p.code())).want(200, "")
	a.into(&w)
	if b.csrf = w.CSRFToken; len(w.RecoveryCodes.RecoveryCodes) != 10 {
		b.t.Fatalf("%s", a.body)
	}
	return w.RecoveryCodes.RecoveryCodes
}

// enrolled is somebody who has signed in and set up a second factor.
func (s *site) enrolled(t *testing.T, id string) (*browser, *phone, []string) {
	t.Helper()
	b := s.member(t, id)
	p := b.begin(proof(""))
	return b, p, b.confirm(p)
}

// returning has shown his password again, and nothing else.
func (s *site) returning(t *testing.T, id string) *browser {
	t.Helper()
	b := s.browser(t)
	if by := b.signIn(id+"@example.com", ownPassword); by.Next != "second-factor" {
		t.Fatalf("signed in as %+v", by)
	}
	return b
}

// Req 34: set up, used, used up, and done without again.
func TestSecondFactor(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		b, p, recovery := s.enrolled(t, "operator-1")
		var state api.SecondFactor
		b.send("GET", ownFactor, "").want(200, "").into(&state)
		if !state.Active || state.Mode != "optional" || state.RecoveryCodes != 10 || state.Since.IsZero() {
			t.Errorf("%+v", state)
		}
		b.send("GET", people+"/users", "").want(200, "")

		again := s.returning(t, "operator-1")
		again.send("GET", people+"/users", "").want(403, "sign_in_unfinished")
		again.post(ownFactor+":verify", withCode(p.code())).want(400, "invalid") // that of setting it up
		before := again.cookie()
		shown := p.later()
		if by := again.welcome(again.post(ownFactor+":verify", withCode(shown))); by.Next != "" || again.cookie() == before {
			t.Errorf("went on as %+v", by)
		}
		again.send("GET", people+"/users", "").want(200, "")

		third := s.returning(t, "operator-1")
		third.post(ownFactor+":verify", withCode(shown)).want(400, "invalid") // used
		third.post(ownFactor+":verify", withCode(strings.ToUpper(recovery[3]))).want(200, "")
		fourth := s.returning(t, "operator-1")
		fourth.post(ownFactor+":verify", withCode(recovery[3])).want(400, "invalid") // used
		fourth.post(ownFactor+":verify", withCode(recovery[4])).want(200, "")
		b.send("GET", ownFactor, "").into(&state)
		if state.RecoveryCodes != 8 {
			t.Errorf("%d recovery codes are left", state.RecoveryCodes)
		}

		var renewed api.RecoveryCodes
		b.post(ownFactor+"/recovery-codes", proof(p.later())).want(200, "").into(&renewed)
		s.returning(t, "operator-1").post(ownFactor+":verify", withCode(recovery[5])).want(400, "invalid")
		s.returning(t, "operator-1").post(ownFactor+":verify", withCode(renewed.RecoveryCodes[0])).want(200, "")

		b.post(ownFactor+":disable", proof("")).want(400, "invalid")
		b.post(ownFactor+":disable", withCode(p.later())).want(400, "invalid") // without the password
		s.told("operator-1", access.MailSecondFactorOn, true)
		s.told("operator-1", access.MailSecondFactorOff, false)
		b.post(ownFactor+":disable", proof(p.later())).want(204, "")
		s.told("operator-1", access.MailSecondFactorOff, true)
		if by := s.browser(t).signIn("operator-1@example.com", ownPassword); by.Next != "" {
			t.Errorf("asked for %q", by.Next)
		}
	})
}

// Req 34: where one is required, whoever has none sets one up when he signs in,
// and is not locked out.
func TestSecondFactor_required(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.member(t, "operator-1")
		s.asksFor(access.SecondFactorRequired)
		b := s.returning(t, "operator-1")
		b.send("GET", people+"/users", "").want(403, "sign_in_unfinished")
		var state api.SecondFactor
		b.send("GET", ownFactor, "").want(200, "").into(&state)
		if state.Active || state.Mode != "required" {
			t.Errorf("%+v", state)
		}
		b.post(ownFactor+":verify", withCode("123456")).want(409, "conflict") // of what?
		p := b.begin(`{}`)
		b.post(ownFactor+":confirm", withCode(p.wrong())).want(400, "invalid")
		b.confirm(p)
		b.send("GET", people+"/users", "").want(200, "")
		b.post(ownFactor+":disable", proof(p.later())).want(409, "conflict")

		// Whoever gets a password meanwhile does both, one after the other.
		s.give("sales-1", firstPassword)
		b = s.browser(t)
		if by := b.signIn("sales-1@example.com", firstPassword); by.Next != "second-factor" || !by.MustChange {
			t.Errorf("signed in as %+v", by)
		}
		b.changePassword(firstPassword, ownPassword).want(403, "forbidden")
		s.asksFor(access.SecondFactorOptional)
		first := s.browser(t)
		first.signIn("sales-1@example.com", firstPassword)
		first.post(ownFactor, `{"password":"`+firstPassword+`"}`).want(403, "forbidden") // a new password comes first
		s.asksFor(access.SecondFactorRequired)
		b.confirm(b.begin(`{}`))
		b.send("GET", people+"/users", "").want(403, "sign_in_unfinished")
		b.welcome(b.changePassword(firstPassword, ownPassword))
		b.send("GET", people+"/users", "").want(200, "")

		s.asksFor(access.SecondFactorOff)
		if by := s.browser(t).signIn("sales-1@example.com", ownPassword); by.Next != "" {
			t.Errorf("asked for %q", by.Next)
		}
		b.post(ownFactor, proof("")).want(409, "conflict")
	})
}

// Whoever knows the password only gets at nothing that would let him do without
// the second factor.
func TestSecondFactor_passwordAlone(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		_, p, _ := s.enrolled(t, "operator-1")
		for _, mode := range []access.SecondFactorMode{access.SecondFactorRequired, access.SecondFactorOptional} {
			s.asksFor(mode)
			thief := s.returning(t, "operator-1")
			thief.post(ownFactor, `{}`).want(403, "forbidden")
			thief.post(ownFactor, proof("")).want(403, "forbidden")
			thief.post(ownFactor+":confirm", withCode(p.wrong())).want(403, "forbidden")
			thief.post(ownFactor+":disable", proof("")).want(403, "sign_in_unfinished")
			thief.post(ownFactor+"/recovery-codes", proof("")).want(403, "sign_in_unfinished")
			thief.changePassword(ownPassword, wrongPassword).want(403, "forbidden")
			thief.send("GET", "/v1/sessions", "").want(403, "sign_in_unfinished")
			thief.send("DELETE", "/v1/sessions", "").want(403, "sign_in_unfinished")
			thief.send("GET", people+"/users", "").want(403, "sign_in_unfinished")
			thief.post("/v1/enforce", `{"subject":"user:operator-1","section":"x","action":"show"}`).want(403, "sign_in_unfinished")
		}
	})
}

// A session that was stolen is not enough to change what its owner signs in with.
func TestSecondFactor_stolenSession(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		b := s.member(t, "sales-1")
		b.post(ownFactor, `{}`).want(400, "invalid")
		b.post(ownFactor, `{"password":"`+wrongPassword+`"}`).want(400, "invalid")
		b.post(ownFactor+":confirm", withCode("123456")).want(409, "conflict")
		b.post(ownFactor+"/recovery-codes", proof("")).want(409, "conflict")
		b.post(ownFactor+":disable", proof("")).want(409, "conflict")
		p := b.begin(proof(""))
		b.confirm(p)
		b.post(ownFactor, proof("")).want(400, "invalid") // another one: the present one is asked for
		other := b.begin(proof(p.later()))
		s.returning(t, "sales-1").post(ownFactor+":verify", withCode(other.code())).want(400, "invalid") // not yet
		s.returning(t, "sales-1").post(ownFactor+":verify", withCode(p.later())).want(200, "")
		b.confirm(other)
		s.returning(t, "sales-1").post(ownFactor+":verify", withCode(p.later())).want(400, "invalid") // no longer
		s.returning(t, "sales-1").post(ownFactor+":verify", withCode(other.code())).want(200, "")
	})
}

// Codes are guessed no faster than passwords, and a right password does not begin
// the count anew.
func TestSecondFactor_guessing(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		_, p, recovery := s.enrolled(t, "operator-1")
		waited := false
		for guessed := 0; guessed < access.DefaultFailures; {
			a := s.returning(t, "operator-1").post(ownFactor+":verify", withCode(p.wrong()))
			if a.status == http.StatusTooManyRequests {
				waited = true
				s.wait(20 * time.Second)
				continue
			}
			a.want(400, "invalid")
			guessed++
		}
		if !waited {
			t.Error("nobody had to wait")
		}
		s.returning(t, "operator-1").post(ownFactor+":verify", withCode(p.later())).want(400, "invalid")
		s.returning(t, "operator-1").post(ownFactor+":verify", withCode(recovery[0])).want(400, "invalid")
		decode[api.User](t, s.admin(http.MethodPost, "/users/operator-1:unlock", `{}`))
		s.returning(t, "operator-1").post(ownFactor+":verify", withCode(recovery[0])).want(200, "") // it was not used up
	})
}

// Req 34: an administrator sees the state and takes the factor from whoever has
// lost it, but from nobody who holds more than he does.
func TestSecondFactor_reset(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		lost, _, _ := s.enrolled(t, "sales-1")
		boss, _, _ := s.enrolled(t, "boss-1")
		admin := s.member(t, "operator-1")
		var state api.SecondFactor
		admin.send("GET", people+"/users/sales-1/second-factor", "").want(200, "").into(&state)
		if !state.Active || state.RecoveryCodes != 10 {
			t.Errorf("%+v", state)
		}
		before := s.footprint()
		admin.post(people+"/users/boss-1/second-factor:reset", `{}`).want(403, "forbidden")
		lost.post("/v1/tenants/default/users/alice/second-factor:reset", `{}`).want(403, "forbidden")
		for table, sum := range s.footprint() {
			if before[table] != sum {
				t.Errorf("a refused reset changed the table %s", table)
			}
		}
		boss.send("GET", "/v1/session", "").want(200, "")

		admin.post(people+"/users/sales-1/second-factor:reset", `{"reason":"the phone is lost"}`).want(200, "")
		s.told("sales-1", access.MailSecondFactorReset, true)
		s.told("boss-1", access.MailSecondFactorReset, false)
		lost.send("GET", "/v1/session", "").want(401, "signed_out")
		if by := s.browser(t).signIn("sales-1@example.com", ownPassword); by.Next != "" {
			t.Errorf("asked for %q", by.Next)
		}
		admin.send("GET", people+"/users/sales-1/second-factor", "").want(200, "").into(&state)
		if state.Active || state.RecoveryCodes != 0 {
			t.Errorf("%+v", state)
		}
	})
}

// One code lets one in, also where several show it at the same time.
func TestSecondFactor_race(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		_, p, recovery := s.enrolled(t, "operator-1")
		for name, code := range map[string]string{"app": p.later(), "recovery": recovery[0]} {
			browsers := make([]*browser, 4)
			for i := range browsers {
				browsers[i] = s.returning(t, "operator-1")
			}
			status := make([]int, len(browsers))
			var all sync.WaitGroup
			for i, b := range browsers {
				all.Go(func() { status[i] = b.post(ownFactor+":verify", withCode(code)).status })
			}
			all.Wait()
			in := 0
			for _, x := range status {
				if x == 200 {
					in++
				}
			}
			if in != 1 {
				t.Errorf("%s: %v", name, status)
			}
		}
	})
}

// A4: what codes are made of, and codes, stand in no log, no history and no table.
func TestSecondFactor_canary(t *testing.T) {
	s := newSite(t, sqliteFile(t))
	b, p, recovery := s.enrolled(t, "operator-1")
	s.returning(t, "operator-1").post(ownFactor+":verify", withCode(recovery[1])).want(200, "")
	s.returning(t, "operator-1").post(ownFactor+":verify", withCode(recovery[1])).want(400, "invalid")
	b.post(ownFactor+":disable", proof(p.later())).want(204, "")
	s.must(s.store.Close())
	kept, err := os.ReadFile(s.storage.DSN)
	s.must(err)
	log := s.log.String()
	for _, secret := range append([]string{p.key, ownPassword}, recovery...) {
		for _, text := range []string{secret, strings.ReplaceAll(secret, "-", ""), hex.EncodeToString([]byte(secret))} {
			if strings.Contains(string(kept), text) {
				t.Errorf("the database holds %q", text)
			}
			if strings.Contains(log, text) {
				t.Errorf("the log holds %q", text)
			}
		}
	}
}
