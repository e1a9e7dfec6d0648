package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

func init() {
	const groups, roles = "/v1/tenants/default/groups", "/v1/tenants/default/roles"
	maps.Copy(matrix, map[string]entry{
		"GET /v1/tenants/{tenant}/groups":                          {need: access.KeyRead},
		"POST /v1/tenants/{tenant}/groups":                         {need: access.KeyAdmin, body: `{"code":"new-%d","name":"New"}`, status: 201},
		"GET /v1/tenants/{tenant}/groups/{code}":                   {need: access.KeyRead, path: groups + "/readers"},
		"PATCH /v1/tenants/{tenant}/groups/{code}":                 {need: access.KeyAdmin, path: groups + "/readers", body: `{"name":"Readers"}`},
		"DELETE /v1/tenants/{tenant}/groups/{code}":                {need: access.KeyAdmin, path: groups + "/unknown", status: 404},
		"PUT /v1/tenants/{tenant}/groups/{code}/rights":            {need: access.KeyAdmin, path: groups + "/guests/rights", body: `{"grants":[{"section":"record","rights":["read"]}]}`},
		"GET /v1/tenants/{tenant}/groups/{code}/permissions":       {need: access.KeyRead, path: groups + "/readers/permissions"},
		"GET /v1/tenants/{tenant}/groups/{code}/summary":           {need: access.KeyRead, path: groups + "/readers/summary"},
		"GET /v1/tenants/{tenant}/groups/{code}/members":           {need: access.KeyRead, path: groups + "/readers/members"},
		"POST /v1/tenants/{tenant}/groups/{code}/members":          {need: access.KeyAdmin, path: groups + "/readers/members", body: `{"members":[{"user":"bob"}]}`},
		"POST /v1/tenants/{tenant}/groups/{code}/members/move":     {need: access.KeyAdmin, path: groups + "/readers/members/move", body: `{"users":["bob"]}`, status: 409},
		"DELETE /v1/tenants/{tenant}/groups/{code}/members/{user}": {need: access.KeyAdmin, path: groups + "/readers/members/bob", status: 409},
		"GET /v1/tenants/{tenant}/roles":                           {need: access.KeyRead},
		"POST /v1/tenants/{tenant}/roles":                          {need: access.KeyAdmin, body: `{"code":"new-%d","name":"New"}`, status: 201},
		"GET /v1/tenants/{tenant}/roles/{code}":                    {need: access.KeyRead, path: roles + "/unknown", status: 404},
		"PATCH /v1/tenants/{tenant}/roles/{code}":                  {need: access.KeyAdmin, path: roles + "/unknown", body: `{"name":"New"}`, status: 404},
		"DELETE /v1/tenants/{tenant}/roles/{code}":                 {need: access.KeyAdmin, path: roles + "/unknown", status: 404},
		"GET /v1/tenants/{tenant}/roles/{code}/permissions":        {need: access.KeyRead, path: roles + "/unknown/permissions", status: 404},
	})
}

// staff is a house with the policy of a small call centre.
func staffHouse(t *testing.T) *house {
	t.Helper()
	return staffed(t, newHouse(t))
}

// staffed loads that policy into a house.
func staffed(t *testing.T, h *house) *house {
	t.Helper()
	h.load("calls", files(map[string]string{
		"bundle.yaml": `apiVersion: bailiwick/v1
kind: Bundle
tenant: calls
scopes: [{scope: "team:a", name: A}, {scope: "team:b", name: B}]
`,
		"catalogue/calls.yaml": `apiVersion: bailiwick/v1
kind: Application
code: calls
name: Calls
sections:
  - {path: Calls, name: Calls}
  - {path: Calls.Queue, name: Queue, actions: [accept]}
  - {path: Reports, name: Reports}
`,
		"roles/handling.yaml": `apiVersion: bailiwick/v1
kind: Role
code: handling
name: Call handling
description: Takes calls
grants: [{section: Calls.Queue, rights: [show, accept]}]
`,
		"groups/operators.yaml": `apiVersion: bailiwick/v1
kind: Group
code: operators
name: Operators
type: template
roles: [handling]
`,
		"groups/team-a.yaml": `apiVersion: bailiwick/v1
kind: Group
code: team-a
name: Team A
base: operators
scopes: ["team:a"]
`,
		"groups/newcomers.yaml": `apiVersion: bailiwick/v1
kind: Group
code: newcomers
name: Newcomers
type: default
`,
		"groups/administrators.yaml": `apiVersion: bailiwick/v1
kind: Group
code: administrators
name: Administrators
grants: [{section: System, rights: 63}]
`,
		"users/all.yaml": `apiVersion: bailiwick/v1
kind: Users
users:
  - {id: root, groups: [administrators]}
  - {id: one, groups: [team-a]}
  - {id: two, groups: [team-a, newcomers]}
`,
	}))
	return h
}

const calls = "/v1/tenants/calls"

func (h *house) admin(method, path, body string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.send(method, calls+path, h.root, body)
}

// may asks one question in the tenant calls.
func (h *house) may(user, section, action, scope string) bool {
	h.t.Helper()
	w := h.send(http.MethodPost, "/t/calls/v1/enforce", h.root, mustJSON(h.t, map[string]any{
		"subject": "user:" + user, "section": section, "action": action, "scope": scope,
	}))
	return decode[api.Decision](h.t, w).Allowed
}

// Req 2, 3, 4, 5, 69, 89.
func TestGroups_create(t *testing.T) {
	h := staffHouse(t)
	made := decode[api.Group](t, h.admin(http.MethodPost, "/groups", `{"code":"team-b","name":"Team B","base":"operators","reach":"selected","scopes":["team:b"],
		"roles":[{"role":"handling"}],"grants":[{"section":"Reports","crud":10},{"name":"Calls.Queue","rights":["show","accept"]}],
		"signature":"Yours","attributes":{"is_manager":true}}`))
	if made.Code != "team-b" || made.Reach != "selected" || made.Revision == 0 {
		t.Errorf("made: %+v", made)
	}
	read := decode[api.Group](t, h.admin(http.MethodGet, "/groups/team-b", ""))
	if g := read.Grants; len(g) != 2 || !slices.Equal(g[0].Rights, []string{"show", "update"}) || g[0].Crud != 10 || !slices.Equal(g[1].Rights, []string{"show", "accept"}) {
		t.Errorf("read back: %+v", g)
	}
	for body, want := range map[string]struct {
		status int
		field  string
	}{
		`{"name":"No code"}`:                                                                {400, "code"},
		`{"code":"Team B","name":"x"}`:                                                      {400, "code"},
		`{"code":"a/b","name":"x"}`:                                                         {400, "code"},
		`{"code":"superuser","name":"x"}`:                                                   {400, "code"},
		`{"code":"x"}`:                                                                      {400, "name"},
		`{"code":"team-a","name":"x"}`:                                                      {409, "code"},
		`{"code":"x","name":"x","kind":"odd"}`:                                              {400, "kind"},
		`{"code":"x","name":"x","base":"none"}`:                                             {400, "base"},
		`{"code":"x","name":"x","scopes":["team:z"]}`:                                       {400, "scopes"},
		`{"code":"x","name":"x","scopes":["team:a","team"]}`:                                {400, "scopes[1]"},
		`{"code":"x","name":"x","manages":["team-a","none"]}`:                               {400, "manages[1]"},
		`{"code":"x","name":"x","reach":"none","scopes":["team:a"]}`:                        {400, "scopes"},
		`{"code":"x","name":"x","reach":"some"}`:                                            {400, "reach"},
		`{"code":"x","name":"x","roles":[{"role":"none"}]}`:                                 {400, "roles[0]"},
		`{"code":"x","name":"x","grants":[{"section":"Calls","crud":64}]}`:                  {400, "grants[0].crud"},
		`{"code":"x","name":"x","grants":[{"section":"Calls","crud":-1}]}`:                  {400, "grants[0].crud"},
		`{"code":"x","name":"x","grants":[{"section":"Cals","crud":1}]}`:                    {400, "grants[0]"},
		`{"code":"x","name":"x","grants":[{"section":"Calls","rights":["fly"]}]}`:           {400, "grants[0]"},
		`{"code":"x","name":"x","grants":[{"section":"Calls","rights":["show"],"crud":4}]}`: {400, "grants[0].crud"},
		`{"code":"x","name":"x","grants":[{"section":"Calls","crud":2,"effect":"Deny"}]}`:   {400, "grants[0]"},
		`{"code":"x","name":"x","is_superuser":true}`:                                       {400, "is_superuser"},
		`{"code":"x","name":"x","base_revision":1}`:                                         {409, "base_revision"},
	} {
		w := h.admin(http.MethodPost, "/groups", body)
		var p api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != want.status || len(p.Details) == 0 || p.Details[0].Field != want.field {
			t.Errorf("%s: got %d %s, want %d for %s", body, w.Code, w.Body, want.status, want.field)
		}
	}
	if w := h.admin(http.MethodPost, "/groups", `{"code":"x","name":"x","grants":[{"section":"Calls","crud":2,"condition":"no ("}]}`); w.Code/100 != 4 {
		t.Errorf("a condition that is none: %d %s", w.Code, w.Body)
	}
	if w := h.admin(http.MethodGet, "/groups/x", ""); w.Code != 404 {
		t.Errorf("something came of a mistake: %s", w.Body)
	}
}

// TestGroups_listRefuses (Req 92, 94): what a list or a tree would pass over is
// refused by name, so that nobody takes it for obeyed.
func TestGroups_listRefuses(t *testing.T) {
	h := staffHouse(t)
	for query, field := range map[string]string{
		"view=tree&q=team": "q", "view=tree&kind=regular": "kind", "view=tree&base=operators": "base", "view=tree&sort=name": "sort",
		"view=tree&page_size=5": "page_size", "view=tree&page_token=": "page_token", "node=operators": "node", "view=grid&depth=2": "depth",
	} {
		p := h.wantProblem(h.admin(http.MethodGet, "/groups?"+query, ""), 400, "invalid")
		if len(p.Details) != 1 || p.Details[0].Field != field {
			t.Errorf("%s: %+v, want %s", query, p.Details, field)
		}
	}
	h.wantProblem(h.admin(http.MethodGet, "/users?created_from=2027-01-01T00:00:00Z&created_until=2027-01-01T00:00:00Z", ""), 400, "invalid")
}

// Req 6: the rights are set as a whole and read back equal.
func TestGroups_rights(t *testing.T) {
	h := staffHouse(t)
	put := decode[api.Group](t, h.admin(http.MethodPut, "/groups/newcomers/rights", `{"grants":[{"section":"Calls","crud":3},{"section":"Reports","rights":["show"],"effect":"deny","scope":"team:a"}]}`))
	again := decode[api.Group](t, h.admin(http.MethodPut, "/groups/newcomers/rights", mustJSON(t, map[string]any{"grants": put.Grants})))
	if mustJSON(t, put.Grants) != mustJSON(t, again.Grants) || len(put.Grants) != 2 {
		t.Errorf("put %+v, read back %+v", put.Grants, again.Grants)
	}
	if again.Revision != put.Revision {
		t.Errorf("the same rights once more made revision %d of %d", again.Revision, put.Revision)
	}
	if !h.may("two", "Calls.Queue", "show", "") {
		t.Error("a right that is inherited does not decide at once")
	}
	decode[api.Group](t, h.admin(http.MethodPut, "/groups/newcomers/rights", `{"grants":[]}`))
	if h.may("two", "Calls.Queue", "show", "") {
		t.Error("a right that was taken away still decides")
	}
}

// Req 54, 58, 60, 62, 89: a change of a role or base shows in what derives from it.
func TestGroups_inheritance(t *testing.T) {
	h := staffHouse(t)
	if !h.may("one", "Calls.Queue", "accept", "team:a") || h.may("one", "Calls.Queue", "accept", "team:b") || h.may("one", "Reports", "show", "team:a") {
		t.Fatal("the fixture is wrong")
	}
	decode[api.Group](t, h.admin(http.MethodPatch, "/groups/operators", `{"grants":[{"section":"Reports","crud":2}],"reason":"figures for all"}`))
	if !h.may("one", "Reports", "show", "team:a") {
		t.Error("a right of the base does not reach the group based on it")
	}
	decode[api.Role](t, h.admin(http.MethodPatch, "/roles/handling", `{"grants":[]}`))
	if h.may("one", "Calls.Queue", "accept", "team:a") {
		t.Error("a right that was taken from the role still decides")
	}
	p := decode[api.Permissions](t, h.admin(http.MethodGet, "/groups/team-a/permissions", ""))
	if len(p.Permissions) != 1 || p.Permissions[0].Origin != "group:operators" || p.Permissions[0].Scope != "team:a" || !slices.Equal(p.Permissions[0].Via, []string{"group:operators"}) {
		t.Errorf("permissions: %+v", p)
	}
}

// Req 104: another base; circles and chains that are too deep are refused with the way shown.
func TestGroups_newBase(t *testing.T) {
	h := staffHouse(t)
	w := h.admin(http.MethodPatch, "/groups/operators", `{"base":"team-a"}`)
	p := h.wantProblem(w, 409, "conflict")
	if !strings.Contains(p.Detail, "g:operators -> g:team-a -> g:operators") && !strings.Contains(p.Detail, "g:team-a -> g:operators -> g:team-a") {
		t.Errorf("the way is not shown: %s", p.Detail)
	}
	base := "newcomers"
	for i := range access.MaxInheritance {
		code := fmt.Sprintf("deep-%d", i)
		w = h.admin(http.MethodPost, "/groups", fmt.Sprintf(`{"code":%q,"name":"Deep","base":%q}`, code, base))
		if w.Code != 201 {
			break
		}
		base = code
	}
	if p := h.wantProblem(w, 409, "conflict"); !strings.Contains(p.Detail, "g:deep-1 -> g:deep-0 -> g:newcomers") {
		t.Errorf("the chain is not shown: %s", p.Detail)
	}
	decode[api.Group](t, h.admin(http.MethodPatch, "/groups/team-a", `{"base":null}`))
	if h.may("one", "Calls.Queue", "accept", "team:a") {
		t.Error("what came from the former base still decides")
	}
}

// Req 56, 92, 93, 94.
func TestGroups_list(t *testing.T) {
	h := staffHouse(t)
	codes := func(query string) (all []string, total int) {
		token := ""
		for {
			page := decode[api.Groups](t, h.admin(http.MethodGet, "/groups?"+query+"&page_token="+token, ""))
			for _, g := range page.Groups {
				all = append(all, fmt.Sprintf("%s/%d", g.Code, g.Members))
			}
			if token = page.NextPageToken; token == "" {
				return all, page.Total
			}
		}
	}
	for query, want := range map[string][]string{
		"":                      {"newcomers/1", "operators/0", "administrators/1", "team-a/2"},
		"page_size=1":           {"newcomers/1", "operators/0", "administrators/1", "team-a/2"},
		"q=TEAM":                {"team-a/2"},
		"kind=template":         {"operators/0"},
		"base=operators":        {"team-a/2"},
		"sort=-members":         {"team-a/2", "newcomers/1", "administrators/1", "operators/0"},
		"sort=name&page_size=3": {"administrators/1", "newcomers/1", "operators/0", "team-a/2"},
		"sort=-code":            {"team-a/2", "operators/0", "newcomers/1", "administrators/1"},
		"q=nothing":             nil,
	} {
		if got, total := codes(query); !slices.Equal(got, want) || total != len(want) {
			t.Errorf("%q: got %q of %d, want %q", query, got, total, want)
		}
	}
	for _, query := range []string{"sort=body", "sort=-", "page_size=0", "page_size=1001", "page_size=x", "view=cloud", "view=tree&depth=99"} {
		h.wantProblem(h.admin(http.MethodGet, "/groups?"+query, ""), 400, "invalid")
	}
	tree := decode[api.GroupTree](t, h.admin(http.MethodGet, "/groups?view=tree", ""))
	if len(tree.Groups) != 3 || tree.Groups[1].Code != "operators" || len(tree.Groups[1].Groups) != 1 || tree.Groups[1].Groups[0].Members != 2 {
		t.Errorf("tree: %+v", tree)
	}
	node := decode[api.GroupTree](t, h.admin(http.MethodGet, "/groups?view=tree&node=operators", ""))
	if len(node.Groups) != 1 || node.Groups[0].Code != "team-a" {
		t.Errorf("node: %+v", node)
	}
	if flat := decode[api.GroupTree](t, h.admin(http.MethodGet, "/groups?view=tree&depth=1", "")); len(flat.Groups[1].Groups) != 0 || flat.Groups[1].Children != 1 {
		t.Errorf("one level: %+v", flat)
	}
	h.wantProblem(h.admin(http.MethodGet, "/groups?view=tree&node=unknown", ""), 404, "not_found")
}

// Req 41, 57, 91: members.
func TestGroups_members(t *testing.T) {
	h := staffHouse(t)
	h.wantProblem(h.admin(http.MethodPost, "/groups/newcomers/members", `{"members":[{"user":"one"},{"user":"nobody"}]}`), 400, "invalid")
	if m := decode[api.Members](t, h.admin(http.MethodGet, "/groups/newcomers/members", "")); m.Total != 1 {
		t.Fatalf("a list with a mistake put somebody in: %+v", m)
	}
	decode[api.DirectoryChanged](t, h.admin(http.MethodPost, "/groups/newcomers/members", `{"members":[{"user":"one","first":true},{"user":"root","scope":"team:b","until":"2999-01-01T00:00:00Z"}]}`))
	m := decode[api.Members](t, h.admin(http.MethodGet, "/groups/newcomers/members?page_size=2", ""))
	if m.Total != 3 || len(m.Members) != 2 || m.Members[0].User != "one" || m.Members[0].Place != 1 || m.Members[1].Within[0].Scope != "team:b" || m.NextPageToken == "" {
		t.Errorf("members: %+v", m)
	}
	next := decode[api.Members](t, h.admin(http.MethodGet, "/groups/newcomers/members?page_size=2&page_token="+m.NextPageToken, ""))
	if len(next.Members) != 1 || next.Members[0].User != "two" || next.NextPageToken != "" {
		t.Errorf("the next page: %+v", next)
	}
	decode[api.DirectoryChanged](t, h.admin(http.MethodDelete, "/groups/newcomers/members/one", ""))
	p := h.wantProblem(h.admin(http.MethodDelete, "/groups/team-a/members/one", ""), 409, "conflict")
	if len(p.Details) != 1 || p.Details[0].Reason != "one" {
		t.Errorf("whom it concerns is not said: %+v", p)
	}
	decode[api.DirectoryChanged](t, h.admin(http.MethodPost, "/groups/team-a/members/move", `{"users":["one","two"],"move_to":"administrators"}`))
	if m := decode[api.Members](t, h.admin(http.MethodGet, "/groups/administrators/members", "")); m.Total != 3 || m.Members[0].User != "one" || m.Members[2].Place != 1 {
		t.Errorf("moved: %+v", m)
	}
}

// Req 63, 64, 86.
func TestGroups_delete(t *testing.T) {
	h := staffHouse(t)
	p := h.wantProblem(h.admin(http.MethodDelete, "/groups/team-a", ""), 409, "conflict")
	if len(p.Details) != 1 || p.Details[0].Reason != "one" || !strings.Contains(p.Detail, "move") {
		t.Errorf("the users and the offer are not there: %+v", p)
	}
	h.wantProblem(h.admin(http.MethodDelete, "/groups/newcomers", ""), 409, "conflict")
	h.wantProblem(h.admin(http.MethodDelete, "/groups/operators", ""), 409, "conflict")
	h.wantProblem(h.admin(http.MethodDelete, "/groups/team-a?move_to=team-a", ""), 400, "invalid")
	h.wantProblem(h.admin(http.MethodDelete, "/groups/administrators?move_to=newcomers", ""), 409, "conflict") // the last superuser
	done := decode[api.DirectoryChanged](t, h.admin(http.MethodDelete, "/groups/team-a?move_to=newcomers&reason=over", ""))
	if done.Moved != 1 {
		t.Errorf("moved %d", done.Moved)
	}
	if m := decode[api.Members](t, h.admin(http.MethodGet, "/groups/newcomers/members", "")); m.Total != 2 {
		t.Errorf("members: %+v", m)
	}
	h.wantProblem(h.admin(http.MethodGet, "/groups/team-a", ""), 404, "not_found")
	history := decode[api.Revisions](t, h.admin(http.MethodGet, "/revisions", ""))
	if last := history.Revisions[0]; last.Reason != "over" || last.Number != done.Revision {
		t.Errorf("history: %+v", last)
	}
}

// Req 63: two deletes at once cannot leave anybody without a group.
func TestGroups_deleteRace(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { deleteRace(t, staffHouse(t)) })
	t.Run("mysql", func(t *testing.T) {
		deleteRace(t, staffed(t, newHouseOn(t, store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t)})))
	})
}

func deleteRace(t *testing.T, h *house) {
	t.Helper()
	for round := range 10 {
		for _, code := range []string{"left", "right"} {
			decode[api.Group](t, h.admin(http.MethodPost, "/groups", fmt.Sprintf(`{"code":"%s-%d","name":"Race"}`, code, round)))
			decode[api.DirectoryChanged](t, h.admin(http.MethodPost, fmt.Sprintf("/groups/%s-%d/members", code, round), `{"members":[{"user":"one"}]}`))
		}
		if round == 0 {
			decode[api.DirectoryChanged](t, h.admin(http.MethodDelete, "/groups/team-a/members/one", ""))
		} else {
			last := decode[api.Groups](t, h.admin(http.MethodGet, fmt.Sprintf("/groups?q=-%d", round-1), ""))
			decode[api.DirectoryChanged](t, h.admin(http.MethodDelete, "/groups/"+last.Groups[0].Code, ""))
		}
		var both sync.WaitGroup
		statuses := make([]int, 2)
		for i, code := range []string{"left", "right"} {
			both.Go(func() {
				statuses[i] = h.admin(http.MethodDelete, fmt.Sprintf("/groups/%s-%d", code, round), "").Code
			})
		}
		both.Wait()
		slices.Sort(statuses)
		if !slices.Equal(statuses, []int{200, 409}) {
			t.Fatalf("two deletes at once gave %d", statuses)
		}
	}
}

func TestRoles(t *testing.T) {
	h := staffHouse(t)
	decode[api.Role](t, h.admin(http.MethodPost, "/roles", `{"code":"lead","name":"Lead","description":"Leads","roles":[{"role":"handling"}],"grants":[{"section":"Reports","rights":["show"]}]}`))
	h.wantProblem(h.admin(http.MethodPost, "/roles", `{"code":"lead","name":"Lead"}`), 409, "exists")
	h.wantProblem(h.admin(http.MethodPatch, "/roles/handling", `{"roles":[{"role":"lead"}]}`), 409, "conflict")
	h.wantProblem(h.admin(http.MethodPatch, "/roles/lead", `{"base":"x"}`), 400, "invalid")
	list := decode[api.Roles](t, h.admin(http.MethodGet, "/roles?sort=-code", ""))
	if len(list.Roles) != 2 || list.Roles[0].Code != "lead" || list.Roles[1].Groups != 1 || list.Roles[0].Description == "" {
		t.Errorf("roles: %+v", list)
	}
	for code, holder := range map[string]string{"handling": "group operators"} {
		if p := h.wantProblem(h.admin(http.MethodDelete, "/roles/"+code, ""), 409, "conflict"); !strings.Contains(p.Detail, holder) || !strings.Contains(p.Detail, "role lead") {
			t.Errorf("who holds it is not said: %s", p.Detail)
		}
	}
	permissions := decode[api.Permissions](t, h.admin(http.MethodGet, "/roles/lead/permissions", ""))
	if len(permissions.Permissions) != 3 || permissions.Permissions[0].Origin != "own" || permissions.Permissions[2].Origin != "role:handling" {
		t.Errorf("permissions: %+v", permissions)
	}
	decode[api.DirectoryChanged](t, h.admin(http.MethodDelete, "/roles/lead", ""))
	h.wantProblem(h.admin(http.MethodGet, "/roles/lead", ""), 404, "not_found")
}

// Req 96, 99, 105: what a group means, from the policy that decides.
func TestGroup_summary(t *testing.T) {
	inSample(t, "web-to-print", func(t *testing.T, s sample) {
		t.Helper()
		for code, want := range map[string]struct{ manages, views, reach string }{
			"letterheads-administrators": {"former-customers letterheads-registered", "BackOffice.Orders BackOffice.Stores BackOffice.Users.Customers BackOffice.Reports", "selected store:letterheads"},
			"letterheads-operators":      {"", "BackOffice.Orders", "selected store:letterheads"},
			"former-customers":           {"", "", "none "},
			"corporate-customers":        {"", "", "all "},
		} {
			w := s.do(http.MethodGet, "/groups/"+code+"/summary", "")
			got := decode[api.GroupSummary](t, w)
			var manages, views []string
			for _, m := range got.Manages {
				manages = append(manages, m.Code)
			}
			for _, v := range got.Views {
				views = append(views, v.Section)
			}
			reach := got.Reach + " " + strings.Join(got.Scopes, " ")
			if strings.Join(manages, " ") != want.manages || strings.Join(views, " ") != want.views || reach != want.reach || got.Description == "" {
				t.Errorf("%s: %s", code, w.Body)
			}
		}
		s.must(wantStatus(s.do(http.MethodPatch, "/groups/letterheads-administrators", `{"manages":["customer","operator"]}`), 200))
		got := decode[api.GroupSummary](t, s.do(http.MethodGet, "/groups/letterheads-administrators/summary", ""))
		if len(got.Manages) != 3 { // the operators of the store too
			t.Errorf("it manages %v now", got.Manages)
		}
	})
}

// Req 89: where the tenant says so, a group needs a base.
func TestGroup_needsBase(t *testing.T) {
	h := newHouse(t)
	h.load("print", files(map[string]string{
		"bundle.yaml":          "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: print\ngroups_need_base: true\n",
		"groups/customer.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: customer\nname: Customer\ntype: default\n",
	}))
	post := func(body string) *httptest.ResponseRecorder {
		return h.send(http.MethodPost, "/v1/tenants/print/groups", h.root, body)
	}
	h.wantProblem(post(`{"code":"eu","name":"EU"}`), 400, "invalid")
	if w := post(`{"code":"eu","name":"EU","base":"customer"}`); w.Code != 201 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	h.wantProblem(h.send(http.MethodPatch, "/v1/tenants/print/groups/eu", h.root, `{"base":null}`), 400, "invalid")
}
