package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/store"
)

func init() {
	const path, tenant = "/v1/tenants/{tenant}", "/v1/tenants/default"
	maps.Copy(matrix, map[string]entry{
		"GET " + path + "/revisions/{revision}":               {path: tenant + "/revisions/1", need: access.KeyRead},
		"POST " + path + "/revisions/{revision}:revert":       {path: tenant + "/revisions/2:revert", body: `{"dry_run":true}`, need: access.KeyAdmin, status: 400},
		"POST " + path + "/revisions:rollback":                {body: `{"to":"2","dry_run":true}`, need: access.KeyAdmin},
		"GET " + path + "/policy":                             {need: access.KeyRead},
		"GET " + path + "/diff":                               {need: access.KeyRead},
		"GET " + path + "/blame":                              {path: tenant + "/blame?holder=u:alice", need: access.KeyRead},
		"GET " + path + "/groups/{code}/history":              {path: tenant + "/groups/readers/history", need: access.KeyRead},
		"GET " + path + "/roles/{code}/history":               {path: tenant + "/roles/none/history", need: access.KeyRead},
		"GET " + path + "/users/{id}/history":                 {path: tenant + "/users/alice/history", need: access.KeyRead},
		"GET " + path + "/scopes/{scope}/history":             {path: tenant + "/scopes/store:1/history", need: access.KeyRead},
		"GET " + path + "/applications/{application}/history": {path: tenant + "/applications/none/history", need: access.KeyRead},
	})
}

// versioned is a tenant with a short history.
type versioned struct{ *house }

const versionedPath = "/v1/tenants/versioned"

func newVersioned(t *testing.T, o store.Options) versioned {
	t.Helper()
	v := versioned{newHouseOn(t, o)}
	_, err := v.store.CreateTenant(t.Context(), access.Tenant{Code: "versioned"}, byTester)
	v.must(err)
	_, err = v.store.Apply(t.Context(), &access.Policy{
		Tenant:    "versioned",
		Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{{Path: "System"}, {Path: "System.Orders"}, {Path: "System.Stores"}}}},
		Groups: []access.Group{
			{Code: "sales", Name: "Sales", Grants: []access.Grant{{Section: "System.Orders", Rights: access.Show}}},
			{Code: "guests"},
		},
		Users: []access.User{{ID: "7", Email: "sales-7@example.com", Name: "Seven", Groups: []access.Link{{To: "sales"}}}, {ID: "8", Email: "sales-8@example.com", Groups: []access.Link{{To: "guests"}}}},
	}, access.Change{Base: access.AnyRevision, Author: "operator-1", Source: "test", Reason: "the beginning"})
	v.must(err)
	v.must(v.follower.Poll(t.Context()))
	return v
}

func (v versioned) do(method, path, body string) int {
	v.t.Helper()
	w := v.send(method, versionedPath+path, v.root, body)
	if w.Code/100 != 2 {
		v.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	all := get[api.Revisions](v, "/revisions?page_size=1").Revisions
	return int(all[0].Number)
}

func get[T any](v versioned, path string) T {
	v.t.Helper()
	return decode[T](v.t, v.send(http.MethodGet, versionedPath+path, v.root, ""))
}

func texts(all []api.Operation) []string {
	var lines []string
	for _, o := range all {
		lines = append(lines, o.Text)
	}
	return lines
}

func (v versioned) wantOperations(what string, got []api.Operation, want ...string) {
	v.t.Helper()
	if !slices.Equal(texts(got), want) {
		v.t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(texts(got), "\n"), strings.Join(want, "\n"))
	}
}

func (v versioned) mayUpdate(user string) bool {
	v.t.Helper()
	w := v.send(http.MethodPost, "/t/versioned/v1/enforce", v.root, fmt.Sprintf(`{"subject":"user:%s","section":"System.Orders","action":"update"}`, user))
	return decode[api.Decision](v.t, w).Allowed
}

// TestRevisions_story: log, show, diff, blame, history of things, reversal and
// rollback (Req 53: the history of a group with author, time, before and after;
// Req 113: the history of every object, and undoing).
func TestRevisions_story(t *testing.T) {
	onDatabases(t, func(t *testing.T, o store.Options) {
		t.Helper()
		v := newVersioned(t, o)
		begun := v.do(http.MethodPatch, "/groups/guests", `{"name":"Guests","reason":"a name"}`)
		granted := v.do(http.MethodPut, "/groups/sales/rights", `{"grants":[{"section":"System.Orders","rights":["show","update"]}],"reason":"they update"}`)
		moved := v.do(http.MethodPost, "/groups/sales/members", `{"members":[{"user":"8"}],"reason":"8 sells"}`)
		renamed := v.do(http.MethodPatch, "/groups/sales", `{"name":"Sellers","reason":"better"}`)

		v.log(begun, renamed)
		v.wantOperations("show", get[api.Revision](v, fmt.Sprintf("/revisions/%d", granted)).Operations,
			"grant System.Orders of g:sales changed: rights show -> show+update")
		d := get[api.Difference](v, fmt.Sprintf("/diff?from=%d", begun))
		v.wantOperations("diff", d.Operations, "group sales changed: name Sales -> Sellers",
			"grant System.Orders of g:sales changed: rights show -> show+update", "link g:sales of u:8 added")
		if d.From != uint64(begun) || d.To != uint64(renamed) {
			t.Errorf("diff is from %d to %d", d.From, d.To)
		}
		v.wantOperations("diff backwards", get[api.Difference](v, fmt.Sprintf("/diff?from=%d&to=%d", renamed, granted)).Operations,
			"group sales changed: name Sellers -> Sales", "link g:sales of u:8 removed")
		v.blames(granted, moved)

		history := get[api.Revisions](v, "/groups/sales/history").Revisions
		if len(history) != 3 || history[0].Number != uint64(renamed) || history[1].Reason != "they update" || history[2].Author != "operator-1" {
			t.Errorf("history of a group: %+v", history)
		}
		v.wantOperations("history of a user", get[api.Revisions](v, "/users/8/history").Revisions[0].Operations, "link g:sales of u:8 added")

		v.reverses(granted, renamed)
		v.rollsBack(begun)
	})
}

func (v versioned) log(begun, renamed int) {
	v.t.Helper()
	all := get[api.Revisions](v, "/revisions").Revisions
	if len(all) != renamed || all[0].Reason != "better" || all[len(all)-1].Number != 1 {
		v.t.Errorf("log: %+v", all)
	}
	var paged []api.Revision
	for token := ""; ; {
		page := get[api.Revisions](v, "/revisions?page_size=2&page_token="+token)
		paged = append(paged, page.Revisions...)
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if len(paged) != len(all) {
		v.t.Errorf("pages hold %d of %d", len(paged), len(all))
	}
	for query, want := range map[string]int{
		"author=operator-1": 1, "author=nobody": 0, "source=http": renamed - 2, "kind=group&name=guests": 2, "kind=user": 2,
		"until=2000-01-01T00:00:00Z": 0, "from=2000-01-01T00:00:00Z": renamed,
	} {
		if got := get[api.Revisions](v, "/revisions?"+query).Revisions; len(got) != want {
			v.t.Errorf("%s: %d revisions, want %d", query, len(got), want)
		}
	}
	_ = begun
}

func (v versioned) blames(granted, moved int) {
	v.t.Helper()
	b := get[api.Blame](v, "/blame?subject=user:8&section=System.Orders&action=update")
	if b.Allowed == nil || !*b.Allowed || len(b.Rules) != 2 || b.Rules[0].Made.Number != uint64(moved) || b.Rules[1].Made.Number != uint64(granted) ||
		b.Rules[1].Made.Reason != "they update" || !strings.HasPrefix(b.Rules[1].Made.Author, "key:") {
		v.t.Errorf("blame: %+v", b)
	}
	b = get[api.Blame](v, fmt.Sprintf("/blame?holder=u:8&as_of=%d", granted))
	if b.Revision != uint64(granted) || len(b.Rules) != 0 {
		v.t.Errorf("blame of a holder as of %d: %+v", granted, b)
	}
	if b = get[api.Blame](v, "/blame?holder=g:sales"); len(b.Rules) != 1 || b.Rules[0].Made.Number != uint64(granted) {
		v.t.Errorf("blame of a group: %+v", b)
	}
}

func (v versioned) undo(path, body string) api.Undone {
	v.t.Helper()
	return decode[api.Undone](v.t, v.send(http.MethodPost, versionedPath+path, v.root, body))
}

func (v versioned) reverses(granted, renamed int) {
	v.t.Helper()
	path := fmt.Sprintf("/revisions/%d:revert", granted)
	p := v.wantProblem(v.send(http.MethodPost, versionedPath+path, v.root, `{}`), 409, "stale")
	if !strings.Contains(p.Message, "Sales -> Sellers") {
		v.t.Errorf("what was changed since is not said: %s", p.Message)
	}
	u := v.undo(fmt.Sprintf("/revisions/%d:revert", renamed), `{"dry_run":true}`)
	v.wantOperations("reversal, planned", u.Operations, "group sales changed: name Sellers -> Sales")
	if u.Revision != uint64(renamed) || u.BaseRevision != uint64(renamed) {
		v.t.Errorf("a plan changes something: %+v", u)
	}
	u = v.undo(fmt.Sprintf("/revisions/%d:revert", renamed), fmt.Sprintf(`{"base_revision":%d,"reason":"worse"}`, renamed))
	if u.Revision != uint64(renamed+1) {
		v.t.Errorf("reversal: %+v", u)
	}
	v.wantProblem(v.send(http.MethodPost, versionedPath+path, v.root, fmt.Sprintf(`{"base_revision":%d}`, renamed)), 409, "stale")
	v.undo(path, `{}`) // its group is again as it left it
	if v.mayUpdate("8") {
		v.t.Error("a right that was taken back holds")
	}
}

func (v versioned) rollsBack(begun int) {
	v.t.Helper()
	v.do(http.MethodPost, "/groups", `{"code":"new","name":"New"}`)
	v.do(http.MethodPatch, "/users/7", `{"name":"Seventh"}`)
	body := fmt.Sprintf(`{"to":%d,"dry_run":true}`, begun)
	u := v.undo("/revisions:rollback", body)
	v.wantOperations("rollback, planned", u.Operations, "group new removed: name New", "link g:sales of u:8 removed")
	u = v.undo("/revisions:rollback", strings.Replace(body, `"dry_run":true`, `"reason":"back"`, 1))
	after := get[api.Difference](v, fmt.Sprintf("/diff?from=%d", begun))
	v.wantOperations("what a rollback leaves", after.Operations, "user 7 changed: name Seven -> Seventh")
	if last := get[api.Revisions](v, "/revisions?page_size=1").Revisions[0]; last.Number != u.Revision || last.Reason != "back" {
		v.t.Errorf("the rollback is %+v", last)
	}
	// Somebody is in a group that the earlier state does not have.
	v.do(http.MethodPost, "/groups", `{"code":"new","name":"New"}`)
	v.do(http.MethodPost, "/users", `{"id":"9","email":"sales-9@example.com","name":"Nine","groups":[{"group":"new"}]}`)
	p := v.wantProblem(v.send(http.MethodPost, versionedPath+"/revisions:rollback", v.root, fmt.Sprintf(`{"to":%d}`, begun)), 409, "conflict")
	if !strings.Contains(p.Message, "user 9 is in group new") {
		v.t.Errorf("who is in the way is not said: %s", p.Message)
	}
}

// TestRevisions_refused: what cannot be shown or undone.
func TestRevisions_refused(t *testing.T) {
	v := newVersioned(t, store.Options{Driver: store.SQLite, DSN: t.TempDir() + "/bailiwick.db"})
	for path, want := range map[string]string{
		"GET /revisions/0": "invalid", "GET /revisions/x": "invalid", "GET /revisions/999": "not_found", "GET /diff?from=999": "not_found",
		"GET /diff?to=someday": "invalid", "GET /revisions?name=sales": "invalid", "GET /blame": "invalid", "GET /blame?holder=nobody": "invalid",
		"GET /revisions?kinds=group": "invalid", "POST /revisions:rollback {}": "invalid", "POST /revisions:rollback {\"to\":999}": "not_found",
		"POST /revisions:rollback {\"to\":1,\"into\":2}": "invalid", "POST /revisions/999:revert {}": "not_found",
		"POST /revisions/2:revert {}": "invalid", // it has made accounts
	} {
		method, rest, _ := strings.Cut(path, " ")
		rest, body, _ := strings.Cut(rest, " ")
		t.Run(path, func(t *testing.T) {
			v.t = t
			w := v.send(method, versionedPath+rest, v.root, body)
			var p api.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code != want && (want != "invalid" || p.Status != 400) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}
