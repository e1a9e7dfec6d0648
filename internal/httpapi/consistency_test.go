package httpapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

// with adds a member to an object.
func with(body, member string) string { return body[:len(body)-1] + "," + member + "}" }

// neighbour is another replica over the same store: it follows only when it is
// asked to.
func neighbour(t *testing.T, h *house, patience time.Duration) *house {
	t.Helper()
	n, o := *h, h.options
	n.engine = engine.New(engine.Options{})
	n.follower = service.NewFollower(n.engine, h.store, h.keys, service.FollowerOptions{
		CatchUpWithin: patience, StaleAfter: never, PollInterval: time.Millisecond, Secret: h.store.Secret,
	})
	n.authority = service.NewAuthority(n.engine, n.follower, service.AuthorityOptions{})
	o.Follower, o.Decisions = n.follower, service.NewDecisions(n.engine, n.follower, n.authority)
	o.Directory = service.NewDirectory(h.store, n.engine, n.authority, n.follower, service.DirectoryOptions{})
	server, err := httpapi.NewServer(o)
	h.must(err)
	n.server = server
	h.must(n.follower.Poll(t.Context()))
	return &n
}

// revision is what decides for the tenant default.
func (h *house) revision() access.Revision {
	for _, t := range h.follower.Following().Tenants {
		if t.Tenant == access.DefaultTenant {
			return t.Revision
		}
	}
	return 0
}

// changed gives the policy of the house with another description.
func changed(description string) map[string]string {
	texts := maps.Clone(authzenTexts)
	texts["bundle.yaml"] += "description: " + description + "\n"
	return texts
}

// asking are all ways to ask, each with a member of its body or with headers.
func asking() map[string]way {
	return map[string]way{
		"enforce":         {"/v1/enforce", question, true},
		"batch":           {"/v1/enforce/batch", `{"requests":[` + question + `]}`, true},
		"explain":         {"/v1/explain", question, true},
		"search actions":  {"/v1/search/actions", `{"subject":"user:alice","section":"record"}`, true},
		"search sections": {"/v1/search/sections", `{"subject":"user:alice"}`, true},
		"search subjects": {"/v1/search/subjects", `{"section":"record","action":"read"}`, true},
		"evaluation":      {one, body(alice, read, rec1), false},
		"evaluations":     {many, body(alice, read, `"evaluations":[{`+rec1+`}]`), false},
		"subject search":  {"/access/v1/search/subject", body(`"subject":{"type":"user"}`, read, rec1), false},
		"action search":   {"/access/v1/search/action", body(alice, rec1), false},
	}
}

type way struct {
	path, body string
	native     bool // the body may hold the wish
}

// TestConsistency_everywhere (C2): every way to ask accepts a revision and the
// wish for the newest; the answer comes from there, and has an age.
func TestConsistency_everywhere(t *testing.T) {
	h := newHouse(t)
	far := neighbour(t, h, time.Minute)
	for name, c := range asking() {
		t.Run(name, func(t *testing.T) {
			ask := func(body string, headers ...string) {
				t.Helper()
				before := far.revision()
				h.load(access.DefaultTenant, files(changed(fmt.Sprint(name, before)))) // here, not there
				newest := h.revision()
				for i := range headers {
					headers[i] = strings.ReplaceAll(headers[i], "NEWEST", strconv.FormatUint(uint64(newest), 10))
				}
				body = strings.ReplaceAll(body, "NEWEST", strconv.FormatUint(uint64(newest), 10))
				w := far.send(http.MethodPost, c.path, far.root, body, headers...)
				if w.Code != 200 || far.revision() != newest || newest == before {
					t.Errorf("%s: %d %s, revision %d of %d", headers, w.Code, w.Body, far.revision(), newest)
				}
				if age, err := strconv.Atoi(w.Header().Get("Bailiwick-Age")); err != nil || age < 0 {
					t.Errorf("the age is %q", w.Header().Get("Bailiwick-Age"))
				}
			}
			ask(c.body, "Bailiwick-At-Least", "NEWEST")
			ask(c.body, "Bailiwick-Fully-Consistent", "true")
			if c.native {
				ask(with(c.body, `"at_least":NEWEST`))
				ask(with(c.body, `"fully_consistent":true`))
				ask(with(c.body, `"at_least":1`), "Bailiwick-At-Least", "NEWEST") // the stronger one
				ask(with(c.body, `"fully_consistent":true`), "Bailiwick-Fully-Consistent", "false")
			}
		})
	}
	// One question of a batch speaks for all of them.
	h.load(access.DefaultTenant, files(changed("batch, inside")))
	w := far.send(http.MethodPost, "/v1/enforce/batch", far.root, `{"requests":[`+question+`,`+with(question, `"fully_consistent":true`)+`]}`)
	if got := decode[api.Decisions](t, w); len(got.Decisions) != 2 || got.Decisions[0].Revision != uint64(h.revision()) {
		t.Errorf("a batch with a wish inside: %+v", got)
	}
}

// TestConsistency_behind: a revision that does not come is 503 with a code of
// its own, and nothing is decided.
func TestConsistency_behind(t *testing.T) {
	h := newHouse(t)
	far := neighbour(t, h, 20*time.Millisecond)
	for name, c := range asking() {
		w := far.send(http.MethodPost, c.path, far.root, c.body, "Bailiwick-At-Least", "1000000")
		p := far.wantProblem(w, 503, "behind")
		if w.Header().Get("Retry-After") == "" || !strings.Contains(p.Message, "revision 1000000 of tenant \"default\" is not in force here yet") {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
	h.must(h.store.Close())
	far.wantProblem(far.send(http.MethodPost, "/v1/enforce", far.root, question, "Bailiwick-Fully-Consistent", "true"), 503, "behind")
}

// TestConsistency_tenantMadeElsewhere: a wish finds a tenant that this replica
// has not heard of.
func TestConsistency_tenantMadeElsewhere(t *testing.T) {
	h := newHouse(t)
	far := neighbour(t, h, time.Minute)
	h.load("made", authzenPolicy)
	far.wantProblem(far.send(http.MethodPost, "/t/made/v1/enforce", far.root, question), 404, "not_found")
	if w := far.send(http.MethodPost, "/t/made/v1/enforce", far.root, with(question, `"at_least":2`)); w.Code != 200 {
		t.Errorf("at least: %d %s", w.Code, w.Body)
	}
	h.load("made-too", authzenPolicy)
	if w := far.send(http.MethodPost, "/t/made-too/v1/enforce", far.root, with(question, `"fully_consistent":true`)); w.Code != 200 {
		t.Errorf("fully: %d %s", w.Code, w.Body)
	}
	far.wantProblem(far.send(http.MethodPost, "/t/nowhere/v1/enforce", far.root, with(question, `"at_least":2`)), 404, "not_found")
}

// TestConsistency_silly: what is no wish is refused by its name.
func TestConsistency_silly(t *testing.T) {
	h := newHouse(t)
	for _, bad := range []string{
		`"at_least":-1`, `"at_least":1.5`, `"at_least":"5"`, `"at_least":null`, `"at_least":9007199254740992`, `"at_least":1e3`,
		`"at_least":99999999999999999999`, `"fully_consistent":"true"`, `"fully_consistent":1`, `"fully_consistent":null`,
	} {
		field := bad[1:strings.Index(bad, `":`)]
		for name, c := range asking() {
			if !c.native {
				continue
			}
			p := h.wantProblem(h.send(http.MethodPost, c.path, h.root, with(c.body, bad)), 400, "invalid")
			if len(p.Details) != 1 || p.Details[0].Field != field {
				t.Errorf("%s: %s: %+v", name, bad, p)
			}
		}
	}
	for _, bad := range [][]string{
		{"Bailiwick-At-Least", "-1"},
		{"Bailiwick-At-Least", "+1"},
		{"Bailiwick-At-Least", ""},
		{"Bailiwick-At-Least", "1 "},
		{"Bailiwick-At-Least", "9007199254740992"},
		{"Bailiwick-Fully-Consistent", "yes"},
		{"Bailiwick-Fully-Consistent", ""},
	} {
		for name, c := range asking() {
			p := h.wantProblem(h.send(http.MethodPost, c.path, h.root, c.body, bad...), 400, "invalid")
			if len(p.Details) != 1 || p.Details[0].Field != bad[0] {
				t.Errorf("%s: %s: %+v", name, bad, p)
			}
		}
	}
	twice := h.request("/v1/enforce", question)
	for _, name := range []string{"Bailiwick-At-Least", "Bailiwick-Fully-Consistent"} {
		twice.Header[name] = []string{"1", "1"}
		if name == "Bailiwick-Fully-Consistent" {
			twice.Header[name] = []string{"false", "true"}
		}
		h.wantProblem(h.sent(twice, question), 400, "invalid")
		delete(twice.Header, name)
	}
}

// TestConsistency_age: answers tell how old what they know is.
func TestConsistency_age(t *testing.T) {
	h := newHouse(t)
	at := time.Now()
	h.now = func() time.Time { return at }
	h.must(h.follower.Poll(t.Context()))
	for _, age := range []time.Duration{0, 7 * time.Millisecond, 7 * time.Millisecond, 9 * time.Second} {
		now := at.Add(age)
		h.now = func() time.Time { return now }
		for name, c := range asking() {
			w := h.send(http.MethodPost, c.path, h.root, c.body)
			if got, want := w.Header().Get("Bailiwick-Age"), strconv.FormatInt(age.Milliseconds(), 10); got != want {
				t.Errorf("%s after %s: %q", name, age, got)
			}
		}
	}
}
