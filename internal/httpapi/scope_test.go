package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// Req 88: a store comes with its groups, by one revision. Req 26, 80: rights on
// all stores include it at once.
func TestScope_storeWithGroups(t *testing.T) {
	inSample(t, "web-to-print", func(t *testing.T, s sample) {
		t.Helper()
		s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"corporate-9","name":"C","email":"c9@example.com","groups":[{"group":"corporate-customers"}],"status":"active"}`), 201))
		before := s.revision()
		made := decode[api.CreatedScope](t, s.do(http.MethodPost, "/scopes", `{"scope":"store:flyers","name":"Flyers","groups":true}`))
		slices.Sort(made.Groups)
		if !slices.Equal(made.Groups, []string{"flyers-anonymous", "flyers-registered"}) || made.Revision != before+1 {
			t.Fatalf("%+v after %d", made, before)
		}
		g := decode[api.Group](t, s.do(http.MethodGet, "/groups/flyers-registered", ""))
		if g.Base != "customer" || g.Kind != "regular" || !slices.Equal(g.Scopes, []string{"store:flyers"}) {
			t.Errorf("%+v", g)
		}
		s.want(true, "user:corporate-9", "Storefront.Orders", "insert", "store:flyers")
		s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"flyers-1","name":"F","email":"f1@example.com","groups":[{"group":"flyers-registered"}],"status":"active"}`), 201))
		s.want(true, "user:flyers-1", "Storefront.Orders", "insert", "store:flyers")
		s.want(false, "user:flyers-1", "Storefront.Orders", "insert", "store:posters")

		s.wantProblem(s.do(http.MethodPost, "/scopes", `{"scope":"store:flyers"}`), 409, "exists")
		s.wantProblem(s.do(http.MethodPost, "/scopes", `{"scope":"shop:flyers","groups":true}`), 409, "exists")
		if w := s.do(http.MethodGet, "/scopes/shop:flyers", ""); w.Code != 404 {
			t.Errorf("half of a refused change was made: %d", w.Code)
		}
	})
}

// Req 71, 80: a right on one entity as binary rights tables write it.
func TestScope_entityInBraces(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		s.must(wantStatus(s.do(http.MethodPost, "/groups", `{"code":"fitters","name":"Fitters","grants":[{"name":"System.Settings.Stores{store:5}","crud":10}]}`), 201))
		s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"fitter-1","name":"F","email":"fitter-1@example.com","groups":[{"group":"fitters"}],"grants":[{"name":"System.Settings.Channels{nowhere}","crud":2}]}`), 400))
		s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"fitter-1","name":"F","email":"fitter-1@example.com","groups":[{"group":"fitters"}]}`), 201))
		s.want(true, "user:fitter-1", "System.Settings.Stores", "update", "store:5")
		s.want(false, "user:fitter-1", "System.Settings.Stores", "update", "store:6")
		s.want(false, "user:fitter-1", "System.Settings.Stores", "update", "")
	})
}

// Without the attribute every default group and template makes a group, but that
// of the superusers: of one store there are none.
func TestScope_groupsOfAllDefaults(t *testing.T) {
	inSample(t, "web-to-print", func(t *testing.T, s sample) {
		t.Helper()
		for _, code := range []string{"customer", "anonymous"} {
			s.must(wantStatus(s.do(http.MethodPatch, "/groups/"+code, `{"attributes":{"store_group":null}}`), 200))
		}
		made := decode[api.CreatedScope](t, s.do(http.MethodPost, "/scopes", `{"scope":"store:Flyers 2","code":"flyers","groups":true}`))
		slices.Sort(made.Groups)
		if !slices.Equal(made.Groups, []string{"flyers-administrator", "flyers-anonymous", "flyers-customer", "flyers-operator"}) {
			t.Errorf("%v", made.Groups)
		}
	})
}

// A tree: made, renamed, moved, shown, deleted when nothing is in it any more.
func TestScope_tree(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		decode[api.CreatedScope](t, s.do(http.MethodPost, "/scopes", `{"scope":"shelf:1","parent":"store:5","name":"Shelf"}`))
		p := s.wantProblem(s.do(http.MethodPatch, "/scopes/company:7", `{"parent":"shelf:1"}`), 409, "conflict")
		if !strings.Contains(p.Detail, "circle") || !strings.Contains(p.Detail, "shelf:1") {
			t.Errorf("%s", p.Detail)
		}
		n := decode[api.ScopeNode](t, s.do(http.MethodPatch, "/scopes/shelf:1", `{"parent":"store:9","name":"Shelf 1"}`))
		if n.Parent != "store:9" || n.Name != "Shelf 1" {
			t.Errorf("%+v", n)
		}
		find := func(nodes []api.ScopeNode, name string) []api.ScopeNode {
			i := slices.IndexFunc(nodes, func(n api.ScopeNode) bool { return n.Scope == name })
			if i < 0 {
				t.Fatalf("%s is not in %+v", name, nodes)
			}
			return nodes[i].Scopes
		}
		tree := decode[api.Scopes](t, s.do(http.MethodGet, "/scopes", ""))
		find(find(find(tree.Scopes, "company:8"), "store:9"), "shelf:1")

		s.must(wantStatus(s.do(http.MethodPost, "/groups", `{"code":"fillers","name":"S","grants":[{"section":"System.Content","rights":["show"],"scope":"shelf:1"}]}`), 201))
		s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"filler-1","name":"S","email":"s1@example.com","groups":[{"group":"fillers","scope":"shelf:1"}]}`), 201))
		p = s.wantProblem(s.do(http.MethodDelete, "/scopes/shelf:1", ""), 409, "conflict")
		if !strings.Contains(p.Detail, "group fillers") || !strings.Contains(p.Detail, "user filler-1") {
			t.Errorf("%s", p.Detail)
		}
		p = s.wantProblem(s.do(http.MethodDelete, "/scopes/store:9", ""), 409, "conflict")
		if !strings.Contains(p.Detail, "scope shelf:1") {
			t.Errorf("%s", p.Detail)
		}
		decode[api.CreatedScope](t, s.do(http.MethodPost, "/scopes", `{"scope":"shelf:2"}`))
		s.must(wantStatus(s.do(http.MethodDelete, "/scopes/shelf:2", ""), 200))
		s.wantProblem(s.do(http.MethodDelete, "/scopes/shelf:2", ""), 404, "not_found")
	})
}

// Req 105: a store cannot be withdrawn from a group that approves its orders.
func TestScope_withdrawnFromGroup(t *testing.T) {
	inSample(t, "web-to-print", func(t *testing.T, s sample) {
		t.Helper()
		s.must(wantStatus(s.do(http.MethodPost, "/groups", `{"code":"approvers","name":"A","base":"customer","scopes":["store:posters","store:cards"],"grants":[{"section":"BackOffice.Orders","rights":["approve"],"scope":"store:posters"}]}`), 201))
		for _, body := range []string{`{"scopes":["store:cards"]}`, `{"reach":"none"}`} {
			p := s.wantProblem(s.do(http.MethodPatch, "/groups/approvers", body), 409, "conflict")
			if !strings.Contains(p.Detail, "BackOffice.Orders: approve at store:posters") {
				t.Errorf("%s", p.Detail)
			}
		}
		s.must(wantStatus(s.do(http.MethodPatch, "/groups/approvers", `{"scopes":["store:posters"]}`), 200))
		s.must(wantStatus(s.do(http.MethodPatch, "/groups/approvers", `{"scopes":["store:cards"],"grants":[]}`), 200))
	})
}

func TestScope_badInput(t *testing.T) {
	h := newHouse(t)
	const path = "/v1/tenants/default/scopes"
	for body, field := range map[string]string{
		`{}`:                                    "scope",
		`{"scope":"*"}`:                         "scope",
		`{"scope":"eu-1"}`:                      "scope",
		`{"scope":"Store:1"}`:                   "scope",
		`{"scope":"store:a/b"}`:                 "scope",
		`{"scope":"store:a,b"}`:                 "scope",
		`{"scope":"store:2","parent":"x"}`:      "parent",
		`{"scope":"store:2","parent":"x:1"}`:    "parent",
		`{"scope":"store:2","name":" "}`:        "name",
		`{"scope":"store:2","code":"two"}`:      "code",
		`{"scope":"store:T W O","groups":true}`: "code",
		`{"scope":"store:2","groups":true}`:     "groups",
		`{"scope":"store:2","kind":"store"}`:    "kind",
	} {
		p := h.wantProblem(h.send(http.MethodPost, path, h.root, body), 400, "invalid")
		if p.Details[0].Field != field {
			t.Errorf("%s: field %q, want %q", body, p.Details[0].Field, field)
		}
	}
	h.wantProblem(h.send(http.MethodPatch, path+"/store:eu-1", h.root, `{"parent":"store:none"}`), 400, "invalid")
	h.wantProblem(h.send(http.MethodPatch, path+"/store:none", h.root, `{"name":"X"}`), 404, "not_found")
	h.wantProblem(h.send(http.MethodGet, path+"/none", h.root, ""), 400, "invalid")
	deep := "*"
	for _, s := range []string{"a:1", "a:2", "a:3", "a:4", "a:5", "a:6", "a:7", "a:8"} {
		h.must(wantStatus(h.send(http.MethodPost, path, h.root, `{"scope":"`+s+`","parent":"`+deep+`"}`), 201))
		deep = s
	}
	h.wantProblem(h.send(http.MethodPost, path, h.root, `{"scope":"a:9","parent":"a:8"}`), 409, "conflict")
}
