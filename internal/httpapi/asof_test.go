package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

var byTester = access.Change{Base: access.AnyRevision, Author: "tester", Source: "test"}

// onDatabases runs a test on both, once with users in memory and once fetched.
func onDatabases(t *testing.T, test func(t *testing.T, o store.Options)) {
	t.Helper()
	for _, resident := range []int{0, -1} {
		t.Run(fmt.Sprintf("sqlite/resident=%d", resident), func(t *testing.T) {
			test(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db"), ResidentUsers: resident})
		})
		t.Run(fmt.Sprintf("mysql/resident=%d", resident), func(t *testing.T) {
			test(t, store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t), ResidentUsers: resident})
		})
	}
}

// everything that can be asked about the sample policy, nearly.
func everything() []access.Request {
	var all []access.Request
	subjects := []access.Subject{access.Anonymous, {Kind: access.KindApplication, ID: "shop"}}
	for i := range 12 {
		subjects = append(subjects, access.Subject{Kind: access.KindUser, ID: fmt.Sprint("user-", i)})
	}
	for _, who := range subjects {
		for _, section := range []access.Section{"System", "System.Orders", "System.Stores"} {
			for _, action := range []access.Action{"show", "update", "send"} {
				for _, scope := range []access.Scope{"", "store:a", "store:b"} {
					all = append(all, access.Request{
						Subject: who, Section: section, Actions: []access.Action{action}, Scope: scope,
						ResourceAttributes: map[string]any{"amount": int64(7)},
					})
				}
			}
		}
	}
	return all
}

// answers are what a revision has said.
type answers struct {
	decisions []access.Decision
	why       []access.Explanation
	menu      access.Menu
	holders   access.Holders
}

func (h *house) answers(tenant string, questions []access.Request, of access.AsOf) answers {
	h.t.Helper()
	ctx, d, want := context.Background(), h.options.Decisions, access.Consistency{AsOf: of}
	var all answers
	var err error
	all.decisions, err = d.CheckAll(ctx, rootCaller, tenant, questions, want)
	h.must(err)
	for i := 0; i < len(questions); i += 17 {
		why, err := d.Explain(ctx, rootCaller, tenant, &questions[i], want)
		h.must(err)
		all.why = append(all.why, why)
	}
	ask := questions[len(questions)-1]
	all.menu, err = d.SearchSections(ctx, rootCaller, tenant, &access.Request{Subject: ask.Subject}, want)
	h.must(err)
	ask.Section, ask.Scope = "System.Stores", "store:a"
	all.holders, _, err = d.SearchSubjects(ctx, rootCaller, tenant, &ask, "", service.Page{}, want)
	h.must(err)
	return all
}

// TestAsOf_same: whatever has changed since, every revision answers as it did:
// decisions, explanations and searches, on both databases, with users in memory
// and fetched.
func TestAsOf_same(t *testing.T) {
	onDatabases(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		const tenant = "past"
		_, err := h.store.CreateTenant(t.Context(), access.Tenant{Code: tenant}, byTester)
		h.must(err)
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		r, questions := rand.New(rand.NewPCG(seed, 8)), everything()
		then := map[access.Revision]answers{}
		for range 8 {
			d, err := h.store.Apply(t.Context(), randomState(r, tenant), byTester)
			h.must(err)
			h.must(h.follower.Poll(t.Context()))
			then[d.To] = h.answers(tenant, questions, access.AsOf{})
		}
		allowed := 0
		for revision, was := range then {
			if now := h.answers(tenant, questions, access.AsOf{Revision: revision}); !reflect.DeepEqual(now, was) {
				t.Fatalf("revision %d answers\n%+v\nit was\n%+v", revision, now, was)
			}
			for _, d := range was.decisions {
				if d.Allowed {
					allowed++
				}
			}
		}
		if allowed == 0 {
			t.Error("nothing was ever allowed")
		}
	})
}

// randomState gives random users a random policy.
func randomState(r *rand.Rand, tenant string) *access.Policy {
	p := accesstest.RandomPolicy(r, tenant)
	for p.Model != "" {
		p = accesstest.RandomPolicy(r, tenant)
	}
	for i := range 12 {
		u := access.User{ID: fmt.Sprint("user-", i), Groups: []access.Link{{To: []string{"guests", "sales"}[r.IntN(2)]}}, Licences: []string{"chats"}[:r.IntN(2)]}
		if r.IntN(3) == 0 {
			u.Grants = []access.Grant{{Section: "System.Orders", Rights: access.Show << r.IntN(4), Scope: []access.Scope{"", "store:a"}[r.IntN(2)]}}
		}
		if r.IntN(6) == 0 {
			u.Status = access.UserDisabled
		}
		if r.IntN(8) == 0 {
			u.Roles = []access.Link{{To: access.SuperuserRole}}
		}
		p.Users = append(p.Users, u)
	}
	p.Licences[0].Seats, p.Licences[1].Seats = 0, 0
	return p
}

// clerkAt is a user with a right until a moment.
func clerkAt(until time.Time) *access.Policy {
	return &access.Policy{
		Tenant:    "clerks",
		Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{{Path: "System"}, {Path: "System.Orders"}}}},
		Users: []access.User{{ID: "7", Grants: []access.Grant{
			{Section: "System.Orders", Rights: access.Show, Validity: access.Validity{Until: until}},
		}}},
	}
}

// TestAsOf_http: one member, query parameter or header on all doors; the answer
// names the revision; times of validity are judged by the moment that is asked
// about.
func TestAsOf_http(t *testing.T) {
	h := newHouse(t)
	_, err := h.store.CreateTenant(t.Context(), access.Tenant{Code: "clerks"}, byTester)
	h.must(err)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	made, err := h.store.Apply(t.Context(), clerkAt(until), byTester)
	h.must(err)
	gone, err := h.store.Apply(t.Context(), clerkAt(until.Add(-2*time.Hour)), byTester)
	h.must(err)
	h.must(h.follower.Poll(t.Context()))
	const ask = `"subject": "user:7", "section": "System.Orders", "action": "show"`
	allowed := func(w interface{ Bytes() []byte }) api.Decision {
		var d api.Decision
		h.must(json.Unmarshal(w.Bytes(), &d))
		return d
	}
	for name, tc := range map[string]struct {
		asOf    string
		header  string
		allowed bool
		at      access.Revision
	}{
		"now":                   {"", "", false, gone.To},
		"a revision":            {fmt.Sprintf(`, "as_of": %d`, made.To), "", true, made.To},
		"a revision as text":    {fmt.Sprintf(`, "as_of": "%d"`, made.To), "", true, made.To},
		"the one after":         {fmt.Sprintf(`, "as_of": %d`, gone.To), "", false, gone.To},
		"a time":                {fmt.Sprintf(`, "as_of": %q`, made.At.Format(time.RFC3339Nano)), "", true, made.To},
		"in a header":           {"", fmt.Sprint(made.To), true, made.To},
		"the same in both ways": {fmt.Sprintf(`, "as_of": %d`, made.To), fmt.Sprint(made.To), true, made.To},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			w := h.send(http.MethodPost, "/t/clerks/v1/enforce", h.root, "{"+ask+tc.asOf+"}", "Bailiwick-As-Of", tc.header)
			if d := allowed(w.Body); w.Code != 200 || d.Allowed != tc.allowed || d.Revision != uint64(tc.at) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	h.t = t
	asOf := fmt.Sprintf(`, "as_of": %d`, made.To)
	for _, path := range []string{"/v1/explain", "/v1/search/actions", "/v1/search/sections", "/v1/search/subjects"} {
		body := strings.Replace(ask, `"subject": "user:7", `, "", len(path)/len("/v1/search/subjects"))
		if strings.HasSuffix(path, "sections") {
			body = `"subject": "user:7"`
		}
		if strings.HasSuffix(path, "actions") {
			body = `"subject": "user:7", "section": "System.Orders"`
		}
		w := h.send(http.MethodPost, "/t/clerks"+path, h.root, "{"+body+asOf+"}")
		if w.Code != 200 || !strings.Contains(w.Body.String(), fmt.Sprintf(`"revision":%d`, made.To)) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	w := h.send(http.MethodPost, "/t/clerks/v1/enforce/batch", h.root, `{"requests": [{`+ask+`}, {`+ask+`}]`+asOf+`}`)
	if got := decode[api.Decisions](t, w).Decisions; len(got) != 2 || !got[0].Allowed || !got[1].Allowed {
		t.Errorf("a batch: %s", w.Body)
	}
	w = h.send(http.MethodPost, "/t/clerks/access/v1/evaluation", h.root,
		`{"subject": {"type": "user", "id": "7"}, "resource": {"type": "System.Orders", "id": "1"}, "action": {"name": "show"}}`, "Bailiwick-As-Of", fmt.Sprint(made.To))
	if !strings.Contains(w.Body.String(), `"decision":true`) {
		t.Errorf("AuthZEN: %d %s", w.Code, w.Body)
	}
}

// TestAsOf_refused: what names no state, or more than one.
func TestAsOf_refused(t *testing.T) {
	h := newHouse(t)
	const ask = `"subject": "user:7", "section": "System.Orders", "action": "show"`
	for name, tc := range map[string]struct {
		path, body string
		status     int
		code       string
	}{
		"nonsense":            {"/v1/enforce", `{` + ask + `, "as_of": "tuesday"}`, 400, "invalid"},
		"a fraction":          {"/v1/enforce", `{` + ask + `, "as_of": 1.5}`, 400, "invalid"},
		"revision zero":       {"/v1/enforce", `{` + ask + `, "as_of": 0}`, 400, "invalid"},
		"not yet":             {"/v1/enforce", `{` + ask + `, "as_of": 99999}`, 404, "not_found"},
		"in the future":       {"/v1/enforce", `{` + ask + `, "as_of": "2999-01-01T00:00:00Z"}`, 400, "invalid"},
		"before there was":    {"/v1/enforce", `{` + ask + `, "as_of": "1999-01-01T00:00:00Z"}`, 404, "not_found"},
		"and the newest":      {"/v1/enforce", `{` + ask + `, "as_of": 1, "fully_consistent": true}`, 400, "invalid"},
		"and at least":        {"/v1/enforce", `{` + ask + `, "as_of": 1, "at_least": 1}`, 400, "invalid"},
		"two states":          {"/v1/enforce/batch", `{"requests": [{` + ask + `, "as_of": 1}, {` + ask + `, "as_of": 2}]}`, 400, "invalid"},
		"two states, in both": {"/v1/enforce/batch", `{"requests": [{` + ask + `, "as_of": 1}], "as_of": 2}`, 400, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			h.wantProblem(h.ask(tc.path, tc.body), tc.status, tc.code)
		})
	}
	h.t = t
	h.wantProblem(h.send(http.MethodPost, "/v1/enforce", h.key[access.KeyDecide], `{`+ask+`, "as_of": 1}`), 403, "forbidden")
}

// TestAsOf_directory: whatever is read of the directory can be read as it was, and
// is what it was: lists, single records, permissions, navigation.
func TestAsOf_directory(t *testing.T) {
	onDatabases(t, func(t *testing.T, o store.Options) {
		t.Helper()
		v := newVersioned(t, o)
		v.do(http.MethodPost, "/roles", `{"code":"clerk","name":"Clerk","grants":[{"section":"System.Stores","rights":["show"]}]}`)
		v.do(http.MethodPut, "/licences/chats", `{"seats":3}`)
		at := v.do(http.MethodPost, "/scopes", `{"scope":"store:1","name":"One"}`)
		paths := []string{
			"/groups", "/groups/sales", "/groups/sales/permissions", "/groups/sales/members", "/roles", "/roles/clerk", "/roles/clerk/permissions",
			"/users", "/users?q=sales-7", "/users?group=sales&sort=-email", "/users/7", "/users/7/permissions", "/users/7/navigation", "/users/7/capabilities",
			"/users:export?sort=id", "/groups:export", "/groups/sales/members:export", "/grants:export", "/users?any_group=sales,none", "/users?every_group=sales,none",
			"/licences", "/scopes", "/scopes/store:1", "/applications", "/applications/shop",
		}
		then := map[string]string{}
		for _, path := range paths {
			w := v.send(http.MethodGet, versionedPath+path, v.root, "")
			if then[path] = w.Body.String(); w.Code != 200 {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		v.do(http.MethodPatch, "/groups/sales", `{"name":"Sellers","grants":[]}`)
		v.do(http.MethodPost, "/groups/sales/members", `{"members":[{"user":"8"}]}`)
		v.do(http.MethodPatch, "/users/7", `{"name":"Seventh"}`)
		v.do(http.MethodPatch, "/roles/clerk", `{"name":"Clerks","grants":[]}`)
		v.do(http.MethodPut, "/licences/chats", `{"seats":4}`)
		v.do(http.MethodPatch, "/scopes/store:1", `{"name":"First"}`)
		v.do(http.MethodPost, "/users", `{"id":"9","email":"sales-9@example.com","name":"Nine","groups":[{"group":"sales"}]}`)
		for _, path := range paths {
			join := "?"
			if strings.Contains(path, "?") {
				join = "&"
			}
			w := v.send(http.MethodGet, fmt.Sprintf("%s%s%sas_of=%d", versionedPath, path, join, at), v.root, "")
			if got := w.Body.String(); w.Code != 200 || got != then[path] {
				t.Errorf("%s is read as\n%s\nit was\n%s", path, got, then[path])
			}
		}
		v.wantProblem(v.send(http.MethodGet, versionedPath+"/users/9?as_of="+fmt.Sprint(at), v.root, ""), 404, "not_found")
		v.wantProblem(v.send(http.MethodGet, versionedPath+"/groups?as_of=someday", v.root, ""), 400, "invalid")
		v.wantProblem(v.send(http.MethodGet, versionedPath+"/groups?as_of=999", v.root, ""), 404, "not_found")
		decide := v.newKey("versioned", access.KeyDecide)
		v.wantProblem(v.send(http.MethodGet, fmt.Sprintf("%s/users/7/navigation?as_of=%d", versionedPath, at), decide, ""), 403, "forbidden")
	})
}
