package httpapi_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// Who is no superuser changes what others may do by way of the catalogue only as far
// as he may do it himself: what would be gained indirectly counts like a grant.
func TestDelegation_indirect(t *testing.T) {
	texts := maps.Clone(guarded)
	texts["groups/stewards.yaml"] = `apiVersion: bailiwick/v1
kind: Group
code: stewards
name: Stewards
grants:
  - {section: System.Access.Policies, rights: [show, insert, update, delete]}
  - {section: System.Orders, rights: [show, execute]}
`
	texts["catalogue/desk.yaml"] = strings.Replace(texts["catalogue/desk.yaml"], "name: Export of orders}", "name: Export of orders, prerequisites: [{section: System.Chats, rights: [show]}]}", 1)
	texts["roles/clerk.yaml"] += "  - {section: System.Orders.Export, rights: [execute]}\n"
	texts["roles/clerk.yaml"] = strings.Replace(texts["roles/clerk.yaml"], "grants: [{section: System.Orders, rights: [show, execute]}]", "grants:\n  - {section: System.Orders, rights: [show, execute]}", 1)
	texts["users/all.yaml"] += `  - {id: steward-1, email: steward-1@example.com, name: Steward 1, groups: [stewards]}
  - {id: keeper-1, email: keeper-1@example.com, name: Keeper 1, groups: [keepers]}
  - {id: sales-1, email: sales-1@example.com, name: Sales 1, groups: [sales]}
`
	texts["groups/keepers.yaml"] = `apiVersion: bailiwick/v1
kind: Group
code: keepers
name: Keepers
grants: [{section: System.Orders, rights: [inherit, show]}]
`
	const at = "/v1/tenants/shop/applications/desk/catalogue"
	catalogue := func(needs, chats string) string {
		return `{"name":"Desk","sections":[{"path":"System.Orders","name":"Orders"},{"path":"System.Orders.Export","name":"Export of orders"` + needs + `},{"path":"System.Chats","name":"Chats"` + chats + `}]}`
	}
	const needs, chats = `,"prerequisites":[{"section":"System.Chats","rights":["show"]}]`, `,"licence":"chats"`
	same, widening, free := catalogue(needs, chats), catalogue("", chats), catalogue(needs, "")
	for name, tc := range map[string]struct {
		own, body string
		refused   bool
	}{
		"others would gain what he lacks":     {"", widening, true},
		"in a dry run, too":                   {"?dry_run=true", widening, true},
		"what is licensed would be free":      {"", free, true},
		"a section that others inherit":       {"", strings.Replace(same, `[{`, `[{"path":"System.Orders.Drafts","name":"Drafts"},{`, 1), true},
		"a label":                             {"", strings.Replace(same, "Export of orders", "Exports", 1), false},
		"another section, which nobody holds": {"", strings.Replace(same, `[{`, `[{"path":"System.Goods","name":"Goods"},{`, 1), false},
	} {
		h := newHouse(t)
		h.load("shop", files(texts))
		s := sample{h, "shop"}
		w := h.as(h.signIn("shop", "steward-1"), http.MethodPut, at+tc.own, tc.body)
		if !tc.refused {
			s.must(wantStatus(w, 200))
			continue
		}
		if p := h.wantProblem(w, 403, "forbidden"); !strings.Contains(p.Message, " would be gained by ") || !strings.Contains(p.Message, "may not do that himself") {
			t.Errorf("%s: it does not say what: %s", name, p.Message)
		}
	}

	// With the right of his own, he may.
	texts["groups/stewards.yaml"] += "  - {section: System.Orders.Export, rights: [show, execute]}\nroles: [chatter]\n"
	texts["users/all.yaml"] = strings.Replace(texts["users/all.yaml"], "groups: [stewards]", "groups: [stewards], licences: [chats]", 1)
	h := newHouse(t)
	h.load("shop", files(texts))
	s := sample{h, "shop"}
	s.want(false, "user:sales-1", "System.Orders.Export", "execute", "")
	s.must(wantStatus(h.as(h.signIn("shop", "steward-1"), http.MethodPut, at, widening), 200))
	s.want(true, "user:sales-1", "System.Orders.Export", "execute", "")
}

// Neither files nor plans, rollbacks or tables take away the last superuser: the
// answer says who that is.
func TestLoad_lastSuperuser(t *testing.T) {
	g := newGuarded(t, false)
	without := textsWith(g.texts, "users/all.yaml", strings.Replace(g.texts["users/all.yaml"], ", roles: [superuser]", "", 1))
	g.must(wantStatus(g.do(http.MethodPost, "/users", `{"id":"root-2","email":"root-2@example.com","name":"Root 2","roles":[{"role":"superuser"}]}`), 201))
	g.must(wantStatus(g.do(http.MethodPut, "/users/root/roles", `{"roles":[]}`), 200)) // there is another one
	g.must(wantStatus(g.do(http.MethodPut, "/users/root/roles", `{"roles":[{"role":"superuser"}]}`), 200))
	g.must(wantStatus(g.do(http.MethodPost, "/users/root-2:deactivate", ""), 200))
	before := g.revision()
	for name, d := range map[string]door{
		"files":        {method: http.MethodPut, path: "/policy", body: mustJSON(t, api.Policy{Files: without})},
		"files, tried": {method: http.MethodPut, path: "/policy", body: mustJSON(t, api.Policy{Files: without, DryRun: true})},
		"a plan":       {method: http.MethodPost, path: "/policy:plan", body: mustJSON(t, api.PolicyPlanAsked{Files: without})},
		"an account":   {method: http.MethodPut, path: "/users/root/roles", body: `{"roles":[]}`},
		"a table":      {method: http.MethodPost, path: "/users:import", body: "id,email,name,roles\nroot,root@example.com,Root,exporter\n", media: "text/csv"},
		"a reversal":   {method: http.MethodPost, path: "/revisions/8:revert", body: `{}`},
		"a rollback":   {method: http.MethodPost, path: "/revisions:rollback", body: `{"to":"7"}`},
	} {
		w := g.as(actor{key: g.root}, d.method, "/v1/tenants/shop"+d.path, d.body, d.media)
		if p := g.wantProblem(w, 409, "conflict"); !strings.Contains(p.Message, "without an active superuser") || !strings.Contains(p.Message, "u:root") {
			t.Errorf("%s: %s", name, p.Message)
		}
	}
	if g.revision() != before {
		t.Error("something was written")
	}
}
