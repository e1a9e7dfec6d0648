package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// stores makes the stores a and b in the people's tenant, which share e-mails.
func (s *site) stores() {
	s.t.Helper()
	for _, name := range []string{"a", "b"} {
		decode[api.ScopeNode](s.t, s.admin(http.MethodPost, "/scopes", `{"scope":"store:`+name+`","name":"`+name+`"}`))
	}
	decode[api.Settings](s.t, s.admin(http.MethodPatch, "/settings", `{"accounts":{"email_unique":"store"}}`))
}

// customer makes an account with an e-mail in a store, or in all.
func (s *site) customer(id, email, home string) *answer {
	s.t.Helper()
	w := s.admin(http.MethodPost, "/users", mustJSON(s.t, map[string]string{"id": id, "email": email, "name": id, "home": home}))
	return &answer{t: s.t.(*testing.T), status: w.Code, header: w.Header(), body: w.Body.Bytes()}
}

// Req 108: the same e-mail once in a store, and only once where it is of all
// stores; in a tenant that does not say so, once in any case.
func TestHomes_uniqueness(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.stores()
		n := 0
		for _, mode := range []string{"tenant", "store"} { // not the other way round: then accounts share an e-mail
			allowed := map[string][]string{"store": {"store:a store:b", "store:b store:a"}}[mode]
			decode[api.Settings](t, s.admin(http.MethodPatch, "/settings", `{"accounts":{"email_unique":"`+mode+`"}}`))
			for _, first := range []string{"", "store:a", "store:b"} {
				for _, second := range []string{"", "store:a", "store:b"} {
					n++
					email := fmt.Sprintf("pair-%d@example.com", n)
					s.customer(fmt.Sprintf("first-%d", n), email, first).want(201, "")
					if got := s.customer(fmt.Sprintf("second-%d", n), strings.ToUpper(email), second); slices.Contains(allowed, first+" "+second) {
						got.want(201, "")
					} else {
						got.want(409, "exists")
					}
				}
			}
			if mode == "tenant" {
				continue
			}
			moved := fmt.Sprintf("/users/second-%d", n-1) // of store b, beside a
			if p := s.wantProblem(s.admin(http.MethodPatch, moved, `{"home":"store:b"}`), 409, "exists"); !strings.Contains(mustJSON(t, p), "email") {
				t.Errorf("moving into a store where the e-mail is taken: %+v", p)
			}
		}
		s.customer("lost", "lost@example.com", "store:nowhere").want(400, "invalid")
		s.wantProblem(s.admin(http.MethodDelete, "/scopes/store:a", ""), 409, "conflict")
	})
}

// Req 108: of many who take the same e-mail at once, one gets it in each store,
// and nobody where there is one of all stores.
func TestHomes_race(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.stores()
		for round := range 4 {
			homes := []string{"store:a", "store:a", "store:b", "store:b", ""}
			statuses := make([]int, len(homes))
			var all sync.WaitGroup
			for i, home := range homes {
				all.Go(func() {
					statuses[i] = s.admin(http.MethodPost, "/users", mustJSON(t, map[string]string{
						"id": fmt.Sprintf("racer-%d-%d", round, i), "email": fmt.Sprintf("racer-%d@example.com", round), "name": "Racer", "home": home,
					})).Code
				})
			}
			all.Wait()
			made := map[string]int{}
			for i, status := range statuses {
				if status == http.StatusCreated {
					made[homes[i]]++
				} else if status != http.StatusConflict {
					t.Errorf("got %d", status)
				}
			}
			if made["store:a"] > 1 || made["store:b"] > 1 || made[""] > 0 && len(made) > 1 || len(made) == 0 {
				t.Errorf("made in stores: %v", made)
			}
		}
	})
}

// Req 108: the page of a store signs in its own people. Whoever does not say
// which of several accounts he means is told what anybody is told who fails.
func TestHomes_signIn(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.stores()
		const email = "twice@example.com"
		passwords := map[string]string{"store:a": ownPassword, "store:b": firstPassword}
		for home, password := range passwords {
			id := "in-" + home[len("store:"):]
			s.customer(id, email, home).want(201, "")
			s.give(id, password)
		}
		s.customer("alone", "alone@example.com", "store:a").want(201, "")
		s.give("alone", ownPassword)
		try := func(email, store, password string) *answer {
			return s.browser(t).send(http.MethodPost, people+"/sign-in", mustJSON(t, map[string]string{"email": email, "store": store, "password": password}))
		}
		var who api.SignedIn
		for home, password := range passwords {
			if try(email, home, password).want(200, "").into(&who); who.User != "in-"+home[len("store:"):] {
				t.Errorf("%s signs in %s", home, who.User)
			}
		}
		try("alone@example.com", "", ownPassword).want(200, "")
		neutral := string(withoutID(try("nobody@example.com", "", wrongPassword).want(401, "sign_in_refused").body))
		for what, a := range map[string]*answer{
			"no store":              try(email, "", ownPassword),
			"the other's password":  try(email, "store:a", firstPassword),
			"a store without one":   try("alone@example.com", "store:b", ownPassword),
			"a store that is not":   try(email, "store:nowhere", ownPassword),
			"nobody in either case": try("nobody@example.com", "store:a", ownPassword),
		} {
			if got := string(withoutID(a.want(401, "sign_in_refused").body)); got != neutral {
				t.Errorf("%s: %s", what, got)
			}
		}
		if !strings.Contains(s.log.String(), `"why":"`+string(access.RefusedStore)+`"`) {
			t.Error("the log does not say that a store was needed")
		}
		try(email, "no scope at all", ownPassword).want(400, "invalid")

		// A link for a new password goes to the account that is meant.
		ask := func(store string) {
			w := s.admin(http.MethodPost, "/password-reset", mustJSON(t, map[string]string{"email": email, "store": store}))
			if w.Code != http.StatusNoContent {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		ask("")
		ask("store:b")
		for {
			waiting, err := s.store.MailsTo(t.Context(), "people", access.MailReset, []string{"in-a", "in-b"})
			s.must(err)
			if len(waiting) > 0 {
				if waiting["in-b"].To != email || len(waiting) > 1 {
					t.Errorf("mailed to %v", waiting)
				}
				break
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// Failures count for all accounts with an e-mail, so that nobody can tell how many
// there are; and whoever has one of them gets no more guesses at the others by
// signing in himself.
func TestHomes_guessing(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.stores()
		for _, id := range []string{"mine", "theirs"} {
			s.customer(id, "shared@example.com", map[string]string{"mine": "store:a", "theirs": "store:b"}[id]).want(201, "")
			s.give(id, ownPassword)
		}
		s.rules(`{"failures":4}`)
		try := func(store, password string) *answer {
			return s.browser(t).send(http.MethodPost, people+"/sign-in", mustJSON(t, map[string]string{"email": "shared@example.com", "store": store, "password": password}))
		}
		for range 3 {
			try("store:b", wrongPassword).want(401, "sign_in_refused")
			try("store:a", ownPassword).want(200, "")
		}
		try("store:b", wrongPassword).want(401, "sign_in_refused")
		try("store:b", ownPassword).want(401, "sign_in_refused")
		try("store:a", ownPassword).want(401, "sign_in_refused")
		decode[api.User](t, s.admin(http.MethodPost, "/users/theirs:unlock", `{}`))
		try("store:b", ownPassword).want(200, "")
	})
}

// Req 108: back to one e-mail in the tenant only when nobody shares one; lists,
// tables, files and earlier states know homes.
func TestHomes_directory(t *testing.T) {
	onEachSite(t, func(t *testing.T, s *site) {
		t.Helper()
		s.stores()
		s.customer("in-a", "both@example.com", "store:a").want(201, "")
		s.customer("in-b", "both@example.com", "store:b").want(201, "")
		listed := func(query string) (ids []string) {
			for _, u := range decode[api.Users](t, s.admin(http.MethodGet, "/users?sort=id&"+query, "")).Users {
				ids = append(ids, u.ID)
			}
			return ids
		}
		if got := listed("email=BOTH@example.com"); !slices.Equal(got, []string{"in-a", "in-b"}) {
			t.Errorf("with the e-mail: %v", got)
		}
		if got := listed("home=store:b"); !slices.Equal(got, []string{"in-b"}) {
			t.Errorf("of store b: %v", got)
		}
		before := decode[api.Users](t, s.admin(http.MethodGet, "/users", "")).Revision

		table := s.admin(http.MethodGet, "/users:export?format=csv&q=both", "").Body.String()
		if !strings.Contains(table, "home") || !strings.Contains(table, "store:b") {
			t.Fatalf("exported as %s", table)
		}
		again := decode[api.Imported](t, s.send(http.MethodPost, people+"/users:import", s.root, table, "Content-Type", "text/csv"))
		if again.Unchanged != 2 || again.Created+again.Updated != 0 {
			t.Errorf("imported again: %+v", again)
		}
		byEmail := "email,home,name\nboth@example.com,store:b,Second\nboth@example.com,store:a,First\nnew@example.com,store:a,New\n"
		changed := decode[api.Imported](t, s.send(http.MethodPost, people+"/users:import", s.root, byEmail, "Content-Type", "text/csv"))
		if changed.Updated != 2 || changed.Created != 1 {
			t.Errorf("imported by e-mail: %+v", changed)
		}
		s.wantProblem(s.send(http.MethodPost, people+"/users:import", s.root, "email,name\nboth@example.com,Which\n", "Content-Type", "text/csv"), 422, "import_invalid")

		p := s.wantProblem(s.admin(http.MethodPatch, "/settings", `{"accounts":{"email_unique":null}}`), 409, "conflict")
		if !strings.Contains(p.Detail, "both@example.com of in-a and in-b") {
			t.Errorf("it does not say who shares: %s", p.Detail)
		}
		files := decode[api.PolicyFiles](t, s.admin(http.MethodGet, "/policy?users=true", "")).Files
		if text := strings.Join(slices.Collect(func(yield func(string) bool) {
			for _, f := range files {
				if !yield(f) {
					return
				}
			}
		}), "\n"); !strings.Contains(text, "email_unique: store") || !strings.Contains(text, `home: "store:b"`) {
			t.Errorf("the files know no homes: %s", text)
		}
		plan := decode[api.PolicyPlan](t, s.admin(http.MethodPost, "/policy:plan", mustJSON(t, api.PolicyPlanAsked{Files: files})))
		if len(plan.Operations) > 0 {
			t.Errorf("a plan of what was pulled: %+v", plan.Operations)
		}
		files["bundle.yaml"] = strings.Replace(files["bundle.yaml"], "email_unique: store", "email_unique: tenant", 1)
		if w := s.admin(http.MethodPost, "/policy:plan", mustJSON(t, api.PolicyPlanAsked{Files: files})); w.Code/100 != 4 || !strings.Contains(w.Body.String(), "both@example.com") {
			t.Errorf("a policy by which they may not share: %d %s", w.Code, w.Body)
		}

		decode[api.User](t, s.admin(http.MethodPatch, "/users/in-b", `{"email":"other@example.com","home":null}`))
		decode[api.Settings](t, s.admin(http.MethodPatch, "/settings", `{"accounts":{"email_unique":"tenant"}}`))
		s.customer("third", "both@example.com", "store:b").want(409, "exists")
		if got := listed(fmt.Sprintf("home=store:b&as_of=%d", before)); !slices.Equal(got, []string{"in-b"}) {
			t.Errorf("of store b then: %v", got)
		}
		if got := listed("home=store:b"); len(got) != 0 {
			t.Errorf("of store b now: %v", got)
		}
	})
}

// Req 99, 108: a store's administrator makes accounts of his stores only.
func TestHomes_delegated(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		h.load("print", printShop)
		const at = "/v1/tenants/print"
		admin := h.signIn("print", "admin-1")
		body := func(id, home string) string {
			return `{"id":"` + id + `","email":"` + id + `@example.com","name":"Customer","home":"` + home + `","groups":["eu-registered"]}`
		}
		decode[api.User](t, h.as(admin, http.MethodPost, at+"/users", body("of-all", "")))
		decode[api.Settings](t, h.send(http.MethodPatch, at+"/settings", h.root, `{"accounts":{"email_unique":"store"}}`))
		decode[api.User](t, h.as(admin, http.MethodPost, at+"/users", body("of-eu", "store:eu")))
		decode[api.User](t, h.send(http.MethodPost, at+"/users", h.root, `{"id":"of-us","email":"of-us@example.com","name":"Customer","home":"store:us"}`))
		before := h.footprint()
		for _, s := range []step{
			{"POST", "/users", body("mine", "")},
			{"POST", "/users", body("mine", "store:us")},
			{"PATCH", "/users/of-eu", `{"home":"store:us"}`},
			{"PATCH", "/users/of-eu", `{"home":null}`},
			{"PATCH", "/users/of-us", `{"name":"Mine"}`},
		} {
			h.wantProblem(h.as(admin, s.method, at+s.path, s.body), 403, "forbidden")
		}
		for table, sum := range h.footprint() {
			if before[table] != sum {
				t.Errorf("the table %s has changed", table)
			}
		}
	})
}

// Req 108, 109: somebody at a provider has an account in each store.
func TestHomes_provider(t *testing.T) {
	e := newShop(t, sqliteFile(t)).elsewhere(func(p *service.Provider) { p.Create, p.ByEmail = true, false })
	for _, name := range []string{"a", "b"} {
		decode[api.ScopeNode](t, e.do(http.MethodPost, "/scopes", `{"scope":"store:`+name+`","name":"`+name+`"}`))
	}
	decode[api.Settings](t, e.do(http.MethodPatch, "/settings", `{"accounts":{"email_unique":"store"}}`))
	at := func(store, sub, email string) func() string {
		return func() string { return e.is(e.comesTo(store, claims(sub, email, true))) }
	}
	first, second := at("store:a", "p1", "p1@example.org")(), at("store:b", "p1", "p1@example.org")()
	if first == second || first != at("store:a", "p1", "p1@example.org")() || second != at("store:b", "p1", "changed@example.org")() {
		t.Errorf("he is %s and %s", first, second)
	}
	e.refused("it was not said which", e.comesTo("", claims("p1", "p1@example.org", true)))
	e.refused("somebody else with his e-mail", e.comesTo("store:a", claims("p2", "p1@example.org", true)))
	alone := at("store:a", "p3", "p3@example.org")()
	if again := at("", "p3", "p3@example.org")(); again != alone {
		t.Errorf("without a store he is %s, not %s", again, alone)
	}
	home := decode[api.User](t, e.do(http.MethodGet, "/users/"+alone, "")).Home
	if home != "store:a" {
		t.Errorf("he belongs to %q", home)
	}
	e.wantProblem(e.send(http.MethodGet, corporate+"?store=no+scope", "", ""), 400, "invalid")
}
