package httpapi_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// guarded is a shop with a history: the group sales could export once, when nobody
// was in it.
var guarded = map[string]string{
	"bundle.yaml": `apiVersion: bailiwick/v1
kind: Bundle
tenant: shop
licences: [{feature: chats, seats: 2}]
scopes: [{scope: "region:1"}, {scope: "store:1"}, {scope: "store:2", parent: "region:1"}]
`,
	"catalogue/desk.yaml": `apiVersion: bailiwick/v1
kind: Application
code: desk
name: Desk
sections:
  - {path: System.Orders, name: Orders}
  - {path: System.Orders.Export, name: Export of orders}
  - {path: System.Chats, name: Chats, licence: chats}
`,
	"roles/exporter.yaml": "apiVersion: bailiwick/v1\nkind: Role\ncode: exporter\nname: Exporter\ngrants: [{section: System.Orders.Export, rights: [execute]}]\n",
	"roles/chatter.yaml":  "apiVersion: bailiwick/v1\nkind: Role\ncode: chatter\nname: Chatter\ngrants: [{section: System.Chats, rights: [show]}]\n",
	"roles/clerk.yaml":    "apiVersion: bailiwick/v1\nkind: Role\ncode: clerk\nname: Clerk\ngrants: [{section: System.Orders, rights: [show, execute]}]\n",
	"groups/new.yaml":     "apiVersion: bailiwick/v1\nkind: Group\ncode: new\nname: Newcomers\ntype: default\n",
	"groups/sales.yaml":   "apiVersion: bailiwick/v1\nkind: Group\ncode: sales\nname: Sales\nroles: [clerk, chatter]\n",
	"groups/north.yaml":   "apiVersion: bailiwick/v1\nkind: Group\ncode: north\nname: North\nroles: [{role: exporter, scope: \"region:1\"}]\n",
	"users/all.yaml": `apiVersion: bailiwick/v1
kind: Users
users:
  - {id: root, email: root@example.com, name: Root, groups: [new], roles: [superuser]}
  - {id: export-1, email: export-1@example.com, name: Exporter 1, groups: [new], roles: [exporter]}
  - {id: north-1, email: north-1@example.com, name: North 1, groups: [north]}
`,
}

const shopGuarantees = `apiVersion: bailiwick/v1
kind: Guarantees
guarantees:
  - name: sales-never-export
    rule: never
    who: ["group:sales"]
    rights: [{section: System.Orders.Export, rights: [execute]}]
  - name: sales-never-chat
    rule: never
    who: ["group:sales"]
    rights: [{section: System.Chats, rights: [show]}]
  - name: north-stays-north
    rule: never
    who: ["group:north"]
    rights: [{section: System.Orders.Export, rights: [execute]}]
    scope: "store:1"
  - name: machines-never-export
    rule: never
    who: [applications]
    rights: [{section: System.Orders.Export, rights: [execute]}]
`

// guardedHouse has the shop behind revision 5: in 2 it was loaded, in 3 nobody had
// the group sales any more that could export, which 4 took back, in 5 sales-1 came.
type guardedHouse struct {
	sample
	texts map[string]string
}

func newGuarded(t *testing.T, guarantees bool) guardedHouse {
	t.Helper()
	h := newHouse(t)
	g := guardedHouse{sample{h, "shop"}, maps.Clone(guarded)}
	if guarantees {
		g.texts["guarantees.yaml"] = shopGuarantees
	}
	h.load("shop", files(g.texts))
	g.must(wantStatus(g.do(http.MethodPatch, "/groups/sales", `{"roles":[{"role":"clerk"},{"role":"chatter"},{"role":"exporter"}]}`), 200))
	g.must(wantStatus(g.do(http.MethodPatch, "/groups/sales", `{"roles":[{"role":"clerk"},{"role":"chatter"}]}`), 200))
	g.must(wantStatus(g.do(http.MethodPost, "/users", `{"id":"sales-1","email":"sales-1@example.com","name":"Sales 1","groups":[{"group":"sales"}]}`), 201))
	if n := g.revision(); n != 5 {
		t.Fatalf("the shop is at revision %d", n)
	}
	return g
}

// with gives the files with the group sales as it must not be.
func (g guardedHouse) with() map[string]string {
	texts := maps.Clone(g.texts)
	texts["groups/sales.yaml"] = strings.Replace(texts["groups/sales.yaml"], "clerk,", "clerk, exporter,", 1)
	return texts
}

// door is one way by which a policy changes.
type door struct {
	guarantee, way     string // that is broken, and a part of the way there
	method, path, body string
	media              string
}

const roleOfSales = "u:sales-1 <- g:sales <- r:exporter <- p, r:exporter"

func (g guardedHouse) doors() map[string]door {
	g.t.Helper()
	const csv = "text/csv"
	catalogue := `{"name":"Desk","sections":[{"path":"System.Orders","name":"Orders","cascade":true},{"path":"System.Orders.Export","name":"Export of orders"},{"path":"System.Chats","name":"Chats","licence":"chats"}]}`
	export := `{"section":"System.Orders.Export","rights":["execute"]}`
	plan := g.plan(g.with())
	return map[string]door{
		"files":                      {"sales-never-export", roleOfSales, http.MethodPut, "/policy", mustJSON(g.t, api.Policy{Files: g.with()}), ""},
		"files, tried":               {"sales-never-export", roleOfSales, http.MethodPut, "/policy", mustJSON(g.t, api.Policy{Files: g.with(), DryRun: true}), ""},
		"a plan":                     {"sales-never-export", roleOfSales, http.MethodPut, "/policy", mustJSON(g.t, api.Policy{Files: g.with(), BaseRevision: plan.BaseRevision, Plan: plan.Plan}), ""},
		"a group":                    {"sales-never-export", roleOfSales, http.MethodPatch, "/groups/sales", `{"roles":[{"role":"exporter"}]}`, ""},
		"a group, later":             {"sales-never-export", roleOfSales, http.MethodPatch, "/groups/sales", `{"roles":[{"role":"exporter","from":"2044-01-01T00:00:00Z"}]}`, ""},
		"rights of a group":          {"sales-never-export", "u:sales-1 <- g:sales <- p, g:sales", http.MethodPut, "/groups/sales/rights", `{"grants":[` + export + `]}`, ""},
		"a group above":              {"sales-never-export", "u:sales-1 <- g:sales <- g:north <- r:exporter", http.MethodPatch, "/groups/sales", `{"base":"north"}`, ""},
		"a role":                     {"sales-never-export", "u:sales-1 <- g:sales <- r:clerk <- p, r:clerk", http.MethodPatch, "/roles/clerk", `{"grants":[` + export + `]}`, ""},
		"a member":                   {"sales-never-export", "u:export-1 <- r:exporter", http.MethodPost, "/groups/sales/members", `{"members":[{"user":"export-1"}]}`, ""},
		"a new account":              {"sales-never-export", "u:sales-9 <- r:exporter", http.MethodPost, "/users", `{"id":"sales-9","email":"sales-9@example.com","name":"Nine","groups":[{"group":"sales"}],"roles":[{"role":"exporter"}]}`, ""},
		"groups of an account":       {"sales-never-export", "u:export-1 <- r:exporter", http.MethodPost, "/users/export-1/groups:add", `{"groups":[{"group":"sales"}]}`, ""},
		"rights of an account":       {"sales-never-export", "u:sales-1 <- p, u:sales-1", http.MethodPut, "/users/sales-1/grants", `{"grants":[` + export + `]}`, ""},
		"seats of an account":        {"sales-never-chat", "u:sales-1 <- g:sales <- r:chatter", http.MethodPost, "/users/sales-1/licences:add", `{"licences":["chats"]}`, ""},
		"many accounts":              {"sales-never-export", "u:sales-1 <- r:exporter", http.MethodPost, "/users:bulk", `{"operations":[{"op":"add_roles","id":"sales-1","roles":[{"role":"exporter"}]}]}`, ""},
		"a move":                     {"sales-never-export", "u:export-1 <- r:exporter", http.MethodPost, "/users:bulk", `{"operations":[{"op":"move_group","id":"export-1","from":"new","to":"sales"}]}`, ""},
		"a table of accounts":        {"sales-never-export", "u:sales-1 <- r:exporter", http.MethodPost, "/users:import", "id,email,name,roles\nsales-1,sales-1@example.com,Sales 1,exporter\n", csv},
		"a table of members":         {"sales-never-export", "u:export-1 <- r:exporter", http.MethodPost, "/groups/sales/members:import", "email,name\nexport-1@example.com,Exporter 1\n", csv},
		"registering an application": {"sales-never-export", "u:sales-1 <- g:sales <- r:clerk", http.MethodPut, "/applications/desk/catalogue", catalogue, ""},
		"rights of an application":   {"machines-never-export", "a:desk <- r:exporter", http.MethodPut, "/applications/desk/rights", `{"roles":[{"role":"exporter"}],"grants":[]}`, ""},
		"the place of a scope":       {"north-stays-north", "u:north-1 <- g:north <- r:exporter", http.MethodPatch, "/scopes/store:1", `{"parent":"region:1"}`, ""},
		"a rollback":                 {"sales-never-export", roleOfSales, http.MethodPost, "/revisions:rollback", `{"to":"3"}`, ""},
		"reversing a revision":       {"sales-never-export", roleOfSales, http.MethodPost, "/revisions/4:revert", `{}`, ""},
	}
}

// What must be true is held against every change from every door, superusers and
// their keys included: the answer names the guarantee and the way to the breach, and
// nothing is written. Without the guarantee, each of these changes can be made.
func TestGuarantee_doors(t *testing.T) {
	g := newGuarded(t, true)
	root := g.signIn("shop", "root")
	before := g.revision()
	for name, d := range g.doors() {
		for who, a := range map[string]actor{"a key": {key: g.root}, "a superuser": root} {
			p := g.wantProblem(g.as(a, d.method, "/v1/tenants/shop"+d.path, d.body, d.media), 409, "guarantee_broken")
			if !strings.Contains(p.Message, d.guarantee+" would be broken") || !strings.Contains(p.Message, d.way) {
				t.Errorf("%s, by %s: it names neither %s nor %s: %s", name, who, d.guarantee, d.way, p.Message)
			}
		}
	}
	if g.revision() != before {
		t.Error("something was written")
	}
	for name := range g.doors() {
		free := newGuarded(t, false)
		d := free.doors()[name]
		if w := free.as(actor{key: free.root}, d.method, "/v1/tenants/shop"+d.path, d.body, d.media); w.Code/100 != 2 {
			t.Errorf("%s: without guarantees too it is refused: %d %s", name, w.Code, w.Body)
		}
	}
}

// Whoever signs in at a provider gets no group by which a guarantee would break.
func TestGuarantee_provider(t *testing.T) {
	for _, guarantees := range []bool{true, false} {
		g := newGuarded(t, guarantees)
		e := shop{g.house}.elsewhere(nil)
		e.provider.Says(t, claims("e1", "export-1@example.com", true, "traders"))
		back, cookie := e.begins()
		w := e.send(http.MethodGet, back, "", "", "Cookie", cookie)
		in := slices.Contains(groupsOf(e.user(http.MethodGet, "/users/export-1", "")), "sales")
		if in == guarantees {
			t.Errorf("with guarantees %v he is in the group: %v; %d %s", guarantees, in, w.Code, w.Body)
		}
		if guarantees && (w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "would be broken")) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

// A tenant that begins from a template has its guarantees from the first change on.
func TestGuarantee_template(t *testing.T) {
	h := newHouse(t)
	s := sample{h, "corner"}
	s.must(wantStatus(s.send(http.MethodPost, "/v1/tenants", s.root, `{"code":"corner","template":"default"}`), 201))
	if all := decode[api.Guarantees](t, s.do(http.MethodGet, "/guarantees", "")); len(all.Guarantees) != 5 {
		t.Fatalf("%+v", all)
	}
	s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"manager-1","email":"manager-1@example.com","name":"Manager","groups":[{"group":"managers"}]}`), 201))
	p := s.wantProblem(s.do(http.MethodPut, "/groups/managers/rights", `{"grants":[{"section":"Shop.Customers","rights":["delete"]}]}`), 409, "guarantee_broken")
	if !strings.Contains(p.Message, "customers-are-kept") {
		t.Error(p.Message)
	}
}

// A tenant whose files break their own guarantees does not come into being.
func TestGuarantee_newTenant(t *testing.T) {
	h := newHouse(t)
	texts := maps.Clone(guarded)
	texts["guarantees.yaml"] = shopGuarantees
	texts["groups/sales.yaml"] += "grants: [{section: System.Orders.Export, rights: [execute]}]\n"
	texts["users/all.yaml"] += "  - {id: sales-1, email: sales-1@example.com, name: Sales 1, groups: [sales]}\n"
	for _, try := range []bool{true, false} {
		w := h.send(http.MethodPut, "/v1/tenants/fresh/policy", h.root, mustJSON(t, api.Policy{Files: texts, CreateTenant: true, DryRun: try}))
		h.wantProblem(w, 409, "guarantee_broken")
	}
	var w *httptest.ResponseRecorder
	if w = h.send(http.MethodGet, "/v1/tenants", h.root, ""); strings.Contains(w.Body.String(), "fresh") {
		t.Errorf("an empty tenant is left: %s", w.Body)
	}
}
