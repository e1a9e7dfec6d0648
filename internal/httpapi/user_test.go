package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

func init() {
	const users, bob = "/v1/tenants/default/users", "/v1/tenants/default/users/bob"
	const at = "/v1/tenants/{tenant}/users/{id}"
	maps.Copy(matrix, map[string]entry{
		"GET /v1/tenants/{tenant}/users":                    {need: access.KeyRead},
		"POST /v1/tenants/{tenant}/users":                   {need: access.KeyAdmin, body: `{"email":"new-%d@example.com","name":"New"}`, status: 201},
		"POST /v1/tenants/{tenant}/users:bulk":              {need: access.KeyAdmin, path: users + ":bulk", body: `{"operations":[{"op":"activate","id":"nobody"}]}`, status: 404},
		"GET " + at:                                         {need: access.KeyRead, path: bob},
		"GET /v1/tenants/{tenant}/groups/{code}/users/{id}": {need: access.KeyRead, path: "/v1/tenants/default/groups/readers/users/bob"},
		"PATCH " + at:                                       {need: access.KeyAdmin, path: users + "/nobody", body: `{"name":"Nobody"}`, status: 404},
		"DELETE " + at:                                      {need: access.KeyAdmin, path: users + "/nobody", status: 404},
		"POST " + at + ":restore":                           {need: access.KeyAdmin, path: bob + ":restore", status: 409},
		"POST " + at + ":hand-over":                         {need: access.KeyAdmin, path: bob + ":hand-over", body: `{"to":"alice"}`, status: 409},
		"POST " + at + ":activate":                          {need: access.KeyAdmin, path: users + "/nobody:activate", status: 404},
		"POST " + at + ":deactivate":                        {need: access.KeyAdmin, path: users + "/nobody:deactivate", status: 404},
		"PUT " + at + "/groups":                             {need: access.KeyAdmin, path: users + "/nobody/groups", body: `{"groups":[]}`, status: 404},
		"POST " + at + "/groups:add":                        {need: access.KeyAdmin, path: users + "/nobody/groups:add", body: `{"groups":[]}`, status: 404},
		"POST " + at + "/groups:remove":                     {need: access.KeyAdmin, path: users + "/nobody/groups:remove", body: `{"groups":[]}`, status: 404},
		"POST " + at + "/groups:reorder":                    {need: access.KeyAdmin, path: users + "/nobody/groups:reorder", body: `{"groups":[]}`, status: 404},
		"PUT " + at + "/roles":                              {need: access.KeyAdmin, path: users + "/nobody/roles", body: `{"roles":[]}`, status: 404},
		"POST " + at + "/roles:add":                         {need: access.KeyAdmin, path: users + "/nobody/roles:add", body: `{"roles":[]}`, status: 404},
		"POST " + at + "/roles:remove":                      {need: access.KeyAdmin, path: users + "/nobody/roles:remove", body: `{"roles":[]}`, status: 404},
		"PUT " + at + "/grants":                             {need: access.KeyAdmin, path: users + "/nobody/grants", body: `{"grants":[]}`, status: 404},
		"PUT " + at + "/menu":                               {need: access.KeyAdmin, path: users + "/nobody/menu", body: `{"menu":null}`, status: 404},
		"POST " + at + "/licences:add":                      {need: access.KeyAdmin, path: users + "/nobody/licences:add", body: `{"licences":[]}`, status: 404},
		"POST " + at + "/licences:remove":                   {need: access.KeyAdmin, path: users + "/nobody/licences:remove", body: `{"licences":[]}`, status: 404},
		"PUT " + at + "/applications/{application}":         {need: access.KeyAdmin, path: users + "/nobody/applications/records", body: `{"enabled":true}`, status: 404},
	})
}

// shop is a house with the tenant shop.
type shop struct{ *house }

const shopTenant = "/v1/tenants/shop"

func newShop(t testing.TB, o store.Options) shop {
	t.Helper()
	h := newHouseOn(t, o)
	h.load("shop", files(map[string]string{
		"bundle.yaml": `apiVersion: bailiwick/v1
kind: Bundle
tenant: shop
licences: [{feature: chats, seats: 2}]
scopes: [{scope: "store:1", name: One}, {scope: "store:2", name: Two}]
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
		"groups/new.yaml":     "apiVersion: bailiwick/v1\nkind: Group\ncode: new\nname: Newcomers\ntype: default\n",
		"groups/sales.yaml":   "apiVersion: bailiwick/v1\nkind: Group\ncode: sales\nname: Sales\ngrants: [{section: System.Orders, rights: [show, inherit]}]\n",
		"groups/support.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: support\nname: Support\nroles: [chatter]\n",
		"users/all.yaml":      "apiVersion: bailiwick/v1\nkind: Users\nusers:\n  - {id: root, email: root@example.com, name: Root, groups: [sales], roles: [superuser]}\n  - {id: root-2, email: root-2@example.com, name: Root 2, groups: [sales], roles: [superuser]}\n  - {id: sales-1, email: Sales-1@example.com, name: Elsa, groups: [sales]}\n",
	}))
	return shop{h}
}

func sqliteFile(t testing.TB) store.Options {
	t.Helper()
	return store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")}
}

// inShops runs a story over both databases.
func inShops(t *testing.T, story func(*testing.T, shop)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { story(t, newShop(t, sqliteFile(t))) })
	t.Run("mysql", func(t *testing.T) {
		story(t, newShop(t, store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t)}))
	})
}

func (s shop) do(method, path, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(method, shopTenant+path, s.root, body)
}

// user does something to accounts and gives what it makes of one.
func (s shop) user(method, path, body string) api.User {
	s.t.Helper()
	return decode[api.User](s.t, s.do(method, path, body))
}

func (s shop) list(query string) api.Users {
	s.t.Helper()
	return decode[api.Users](s.t, s.do(http.MethodGet, "/users"+query, ""))
}

func (s shop) ids(query string) (ids []string) {
	s.t.Helper()
	for _, u := range s.list(query).Users {
		ids = append(ids, u.ID)
	}
	return ids
}

// asks gives the decision and its reason.
func (s shop) asks(user, section, action string) (bool, string) {
	s.t.Helper()
	d := decode[api.Decision](s.t, s.send(http.MethodPost, "/t/shop/v1/enforce", s.root, fmt.Sprintf(`{"subject":"user:%s","section":%q,"action":%q}`, user, section, action)))
	return d.Allowed, d.Reason
}

func (s shop) wants(want bool, user, section, action string) {
	s.t.Helper()
	if got, reason := s.asks(user, section, action); got != want {
		s.t.Errorf("%s %s %s: %t (%s), want %t", user, action, section, got, reason, want)
	}
}

// state is the hash over all that was ever changed.
func (s shop) state() string {
	s.t.Helper()
	all := decode[api.Revisions](s.t, s.send(http.MethodGet, shopTenant+"/revisions", s.root, "")).Revisions
	return all[0].Hash
}

func groupsOf(u api.User) (codes []string) {
	for _, g := range u.Groups {
		codes = append(codes, g.Group)
	}
	return codes
}

// Req 3, 37, 40, 65: an account made of e-mail and name is on the first page, in
// the group for newcomers, and has a link by way of its first group.
func TestUser_create(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		u := s.user(http.MethodPost, "/users", `{"email":"Nelson@Example.com","name":"Nelson","reason":"hired"}`)
		if u.ID == "" || u.Status != "active" || !slices.Equal(groupsOf(u), []string{"new"}) || u.CreatedAt.IsZero() || u.Revision == 0 {
			t.Errorf("%+v", u)
		}
		if first := s.list("?page_size=1").Users[0]; first.ID != u.ID {
			t.Errorf("%s comes first", first.ID)
		}
		byLink := decode[api.User](t, s.send(http.MethodGet, u.Link, s.root, ""))
		if !strings.Contains(u.Link, "/groups/new/") || byLink.ID != u.ID {
			t.Errorf("the link %s leads to %q", u.Link, byLink.ID)
		}
		s.wantProblem(s.do(http.MethodGet, "/groups/sales/users/"+u.ID, ""), 404, "not_found")
		whole := s.user(http.MethodPost, "/users", `{"id":"crm:7","email":"seven@example.com","name":"Seven","external_id":"7","status":"disabled",
			"groups":[{"group":"support","scope":"store:1"},{"group":"sales"}],"roles":[{"role":"exporter"}],"grants":[{"section":"System.Orders","crud":10}],
			"licences":["chats"],"applications_off":["desk"],"attributes":{"floor":3,"share":0.5},"menu":["System.Orders"]}`)
		again := s.user(http.MethodGet, "/users/crm:7", "")
		if mustJSON(t, whole) != mustJSON(t, again) {
			t.Errorf("made %+v\nread %+v", whole, again)
		}
		if again.Status != "disabled" || again.Grants[0].Crud != 10 || again.Attributes["floor"] != 3.0 || again.Menu[0] != "System.Orders" || again.ExternalID != "7" {
			t.Errorf("%+v", again)
		}
	})
}

// A tenant with several groups of kind default says nothing about newcomers:
// one of them could be that of the administrators.
func TestUser_createGroupless(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	decode[api.Group](t, s.do(http.MethodPost, "/groups", `{"code":"chiefs","name":"Chiefs","kind":"default"}`))
	if u := s.user(http.MethodPost, "/users", `{"email":"x@example.com","name":"X"}`); len(u.Groups) > 0 {
		t.Errorf("%+v", u.Groups)
	}
}

// Req 20, 37, 44: what is wrong is named, and nothing has changed.
func TestUser_badInput(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	long := strings.Repeat("x", 101)
	const post, patch, put = http.MethodPost, http.MethodPatch, http.MethodPut
	for _, tc := range []struct {
		method, path, body string
		status             int
		field              string
	}{
		{post, "/users", `{"name":"X"}`, 400, "email"},
		{post, "/users", `{"email":"x@example.com"}`, 400, "name"},
		{post, "/users", `{"email":"x","name":"X"}`, 400, "email"},
		{post, "/users", `{"email":"X <x@example.com>","name":"X"}`, 400, "email"},
		{post, "/users", `{"email":"x@example.com\r\nBcc: y@example.com","name":"X"}`, 400, "email"},
		{post, "/users", `{"email":"x@` + long + `","name":"X"}`, 400, "email"},
		{post, "/users", `{"email":7,"name":"X"}`, 400, "email"},
		{post, "/users", `{"email":"SALES-1@EXAMPLE.COM","name":"X"}`, 409, "email"},
		{post, "/users", `{"email":"x@example.com","name":" X"}`, 400, "name"},
		{post, "/users", `{"email":"x@example.com","name":"` + long + `"}`, 400, "name"},
		{post, "/users", `{"email":"x@example.com","name":"X","id":""}`, 400, "id"},
		{post, "/users", `{"email":"x@example.com","name":"X","id":"a,b"}`, 400, "id"},
		{post, "/users", `{"email":"x@example.com","name":"X","id":"anonymous"}`, 400, "id"},
		{post, "/users", `{"email":"x@example.com","name":"X","id":"sales-1"}`, 409, "id"},
		{post, "/users", `{"email":"x@example.com","name":"X","external_id":"` + long + `"}`, 400, "external_id"},
		{post, "/users", `{"email":"x@example.com","name":"X","status":"locked"}`, 400, "status"},
		{post, "/users", `{"email":"x@example.com","name":"X","status":"deleted"}`, 400, "status"},
		{post, "/users", `{"email":"x@example.com","name":"X","groups":[7]}`, 400, "groups[0]"},
		{post, "/users", `{"email":"x@example.com","name":"X","groups":[{"group":"sale"}]}`, 400, "groups[0]"},
		{post, "/users", `{"email":"x@example.com","name":"X","groups":[{"group":"sales"},{"group":"sales","scope":"*"}]}`, 400, "groups[1]"},
		{post, "/users", `{"email":"x@example.com","name":"X","groups":[{"group":"sales","scope":"store:9"}]}`, 400, "groups[0]"},
		{post, "/users", `{"email":"x@example.com","name":"X","groups":[{"group":"sales","until":"soon"}]}`, 400, "groups[0].until"},
		{post, "/users", `{"email":"x@example.com","name":"X","roles":[{"role":"boss"}]}`, 400, "roles[0]"},
		{post, "/users", `{"email":"x@example.com","name":"X","grants":[{"section":"System.Order","crud":2}]}`, 400, "grants[0]"},
		{post, "/users", `{"email":"x@example.com","name":"X","grants":[{"section":"System.Orders","crud":64}]}`, 400, "crud"},
		{post, "/users", `{"email":"x@example.com","name":"X","licences":["chat"]}`, 400, "licences"},
		{post, "/users", `{"email":"x@example.com","name":"X","licences":["chats","chats"]}`, 400, "licences[1]"},
		{post, "/users", `{"email":"x@example.com","name":"X","applications_off":["crm"]}`, 400, "applications_off"},
		{post, "/users", `{"email":"x@example.com","name":"X","attributes":[]}`, 400, "attributes"},
		{post, "/users", `{"email":"x@example.com","name":"X","attributes":{"a":"` + strings.Repeat("x", 16<<10) + `"}}`, 400, "attributes"},
		{post, "/users", `{"email":"x@example.com","name":"X","menu":["System..Orders"]}`, 400, "menu[0]"},
		{post, "/users", `{"email":"x@example.com","name":"X","menu":["System.Orders","System.Nowhere"]}`, 400, "menu[1]"},
		{post, "/users", `{"email":"x@example.com","name":"X","groups":["nobody"]}`, 400, "groups[0]"},
		{post, "/users", `{"email":"x@example.com","name":"X","groups":[""]}`, 400, "groups[0]"},
		{post, "/users", `{"email":"x@example.com","name":"X","superuser":true}`, 400, "superuser"},
		{post, "/users", `{"email":"x@example.com","name":"X","created_at":"2020-01-01T00:00:00Z"}`, 400, "created_at"},
		{patch, "/users/sales-1", `{"id":"other"}`, 400, "id"},
		{patch, "/users/sales-1", `{"status":"active"}`, 400, "status"},
		{patch, "/users/sales-1", `{"email":null}`, 400, "email"},
		{patch, "/users/sales-1", `{"groups":[]}`, 409, "groups"},
		{patch, "/users/sales-1", `{"groups":null}`, 409, "groups"},
		{patch, "/users/sales-1", `{"email":"ROOT@example.com"}`, 409, "email"},
		{patch, "/users/nobody", `{"name":"X"}`, 404, "user"},
		{patch, "/users/sales-1", `{"name":"X","base_revision":1}`, 409, ""},
		{put, "/users/sales-1/groups", `{"groups":[]}`, 409, "groups"},
		{put, "/users/sales-1/groups", `{}`, 400, "groups"},
		{post, "/users/sales-1/groups:add", `{"groups":[{"group":"support"},{"group":"unknown"}]}`, 400, "groups[1]"},
		{post, "/users/sales-1/groups:remove", `{"groups":[{"group":"sales"}]}`, 409, "groups"},
		{post, "/users/sales-1/groups:remove", `{"groups":[{"group":"support"}]}`, 404, "groups[0]"},
		{post, "/users/sales-1/groups:reorder", `{"groups":[]}`, 400, "groups"},
		{post, "/users/sales-1/roles:add", `{"roles":[{"role":"exporter"},{"role":"unknown"}]}`, 400, "roles[1]"},
		{post, "/users/sales-1/licences:remove", `{"licences":["chats"]}`, 404, "licences[0]"},
		{put, "/users/sales-1/applications/crm", `{"enabled":false}`, 404, "application"},
		{put, "/users/sales-1/applications/desk", `{}`, 400, "enabled"},
		{post, "/users/sales-1:restore", ``, 409, "status"},
		{post, "/users/sales-1:explode", ``, 404, ""},
		{post, "/users:explode", `{}`, 404, ""},
		{post, "/users/nobody:activate", ``, 404, "user"},
	} {
		before := s.state()
		w := s.do(tc.method, tc.path, tc.body)
		if w.Code != tc.status || tc.field != "" && !strings.Contains(w.Body.String(), fmt.Sprintf(`"field":"%s`, tc.field)) && !strings.Contains(w.Body.String(), tc.field+`"`) {
			t.Errorf("%s %s %.80s: %d %s, want %d about %s", tc.method, tc.path, tc.body, w.Code, w.Body, tc.status, tc.field)
		}
		if after := s.state(); after != before {
			t.Errorf("%s %s %.80s has changed something", tc.method, tc.path, tc.body)
		}
	}
	for query, field := range map[string]string{
		"?sort=body": "sort", "?sort=-": "sort", "?page_size=0": "page_size", "?page_size=1001": "page_size", "?active=1": "active",
		"?status=gone": "status", "?status=active&active=true": "active", "?created_from=today": "created_from", "?page_token=x": "page_token", "?statsu=active": "statsu", "?q=a&q=b": "q", "?group=%01": "group", "?any_group=,": "any_group", "?every_group=%20": "every_group",
	} {
		if p := s.wantProblem(s.do(http.MethodGet, "/users"+query, ""), 400, "invalid"); len(p.Details) != 1 || p.Details[0].Field != field {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

// Req 21, 28, 41, 42: memberships are ordered, several come at once or not at
// all, and each change decides as soon as it is answered.
func TestUser_memberships(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.wants(false, "sales-1", "System.Orders.Export", "execute")
		s.user(http.MethodPost, "/users/sales-1/roles:add", `{"roles":[{"role":"exporter"},{"role":"chatter"}]}`)
		s.wants(true, "sales-1", "System.Orders.Export", "execute")
		s.user(http.MethodPost, "/users/sales-1/roles:remove", `{"roles":[{"role":"exporter"}]}`)
		s.wants(false, "sales-1", "System.Orders.Export", "execute")

		u := s.user(http.MethodPost, "/users/sales-1/groups:add", `{"groups":[{"group":"support"},{"group":"new"},{"group":"sales"}]}`)
		if got := groupsOf(u); !slices.Equal(got, []string{"sales", "support", "new"}) {
			t.Errorf("after adding: %v", got)
		}
		s.user(http.MethodPost, "/users/sales-1/groups:reorder", `{"groups":[{"group":"new"},{"group":"sales"},{"group":"support"}]}`)
		if u = s.user(http.MethodGet, "/users/sales-1", ""); !slices.Equal(groupsOf(u), []string{"new", "sales", "support"}) || !strings.Contains(u.Link, "/groups/new/") {
			t.Errorf("after ordering: %+v", u)
		}
		u = s.user(http.MethodPost, "/users/sales-1/groups:remove", `{"groups":[{"group":"new"},{"group":"sales"}]}`)
		if got := groupsOf(u); !slices.Equal(got, []string{"support"}) {
			t.Errorf("after removing: %v", got)
		}
		s.wants(false, "sales-1", "System.Orders", "show")
		s.user(http.MethodPut, "/users/sales-1/groups", `{"groups":[{"group":"sales","scope":"store:1"},{"group":"sales","scope":"store:2","until":"2000-01-01T00:00:00Z"}]}`)
		s.wants(false, "sales-1", "System.Orders", "show")
		if ids := s.ids("?group=sales&sort=id"); !slices.Equal(ids, []string{"root", "root-2", "sales-1"}) {
			t.Errorf("in sales: %v", ids)
		}
	})
}

// Req 46, 47: an own restriction beats what groups give, and the explanation
// names it; 40: an application is switched apart from the account; 45: the menu
// choice is kept.
func TestUser_ownRights(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	s.wants(true, "sales-1", "System.Orders.Export", "show")
	s.user(http.MethodPut, "/users/sales-1/grants", `{"grants":[{"section":"System.Orders.Export","rights":["show"],"effect":"deny"},{"section":"System.Orders","crud":8}]}`)
	s.wants(false, "sales-1", "System.Orders.Export", "show")
	s.wants(true, "sales-1", "System.Orders", "update")
	w := s.send(http.MethodPost, "/t/shop/v1/explain", s.root, `{"subject":"user:sales-1","section":"System.Orders.Export","action":"show"}`)
	if text := w.Body.String(); !strings.Contains(text, "denied_by") || !strings.Contains(text, "u:sales-1") {
		t.Errorf("%s", text)
	}
	s.user(http.MethodPut, "/users/sales-1/grants", `{"grants":[]}`)
	s.wants(true, "sales-1", "System.Orders.Export", "show")

	s.user(http.MethodPut, "/users/sales-1/applications/desk", `{"enabled":false}`)
	s.wants(false, "sales-1", "System.Orders", "show")
	if u := s.user(http.MethodPut, "/users/sales-1/applications/desk", `{"enabled":true}`); len(u.ApplicationsOff) > 0 {
		t.Errorf("%+v", u)
	}
	s.wants(true, "sales-1", "System.Orders", "show")

	s.user(http.MethodPut, "/users/sales-1/menu", `{"menu":[]}`)
	if text := s.do(http.MethodGet, "/users/sales-1", "").Body.String(); !strings.Contains(text, `"menu":[]`) {
		t.Errorf("an empty menu: %s", text)
	}
	s.user(http.MethodPut, "/users/sales-1/menu", `{"menu":null}`)
	if text := s.do(http.MethodGet, "/users/sales-1", "").Body.String(); strings.Contains(text, `"menu"`) {
		t.Errorf("no choice of a menu: %s", text)
	}
}

// Req 44: a licence turns the decision; where no seat is left, the numbers are told.
func TestUser_licences(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.user(http.MethodPost, "/users/sales-1/roles:add", `{"roles":[{"role":"chatter"}]}`)
		s.wants(false, "sales-1", "System.Chats", "show")
		s.user(http.MethodPost, "/users/sales-1/licences:add", `{"licences":["chats"]}`)
		s.wants(true, "sales-1", "System.Chats", "show")
		s.user(http.MethodPost, "/users/root/licences:add", `{"licences":["chats"]}`)
		before := s.state()
		p := s.wantProblem(s.do(http.MethodPost, "/users/root-2/licences:add", `{"licences":["chats"]}`), 409, "exists")
		if !strings.Contains(p.Message, "2 seats") || !strings.Contains(p.Message, "3") || s.state() != before {
			t.Errorf("%+v", p)
		}
		if ids := s.ids("?licence=chats&sort=id"); !slices.Equal(ids, []string{"root", "sales-1"}) {
			t.Errorf("holders: %v", ids)
		}
		s.user(http.MethodPost, "/users/sales-1/licences:remove", `{"licences":["chats"]}`)
		s.wants(false, "sales-1", "System.Chats", "show")
		s.user(http.MethodPost, "/users/root-2/licences:add", `{"licences":["chats"]}`)
	})
}

// Req 29, 48: one call denies everything at once and keeps the memberships.
func TestUser_deactivate(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.wants(true, "sales-1", "System.Orders", "show")
		if u := s.user(http.MethodPost, "/users/sales-1:deactivate", `{"reason":"on leave"}`); u.Status != "disabled" || !slices.Equal(groupsOf(u), []string{"sales"}) {
			t.Errorf("%+v", u)
		}
		if allowed, reason := s.asks("sales-1", "System.Orders", "show"); allowed || reason != "subject_disabled" {
			t.Errorf("%t %s", allowed, reason)
		}
		if ids := s.ids("?active=false"); !slices.Equal(ids, []string{"sales-1"}) {
			t.Errorf("not active: %v", ids)
		}
		s.user(http.MethodPost, "/users/sales-1:activate", "")
		s.wants(true, "sales-1", "System.Orders", "show")

		s.user(http.MethodPost, "/users/root-2:deactivate", "")
		before := s.state()
		s.wantProblem(s.do(http.MethodPost, "/users/root:deactivate", ""), 409, "conflict")
		s.wantProblem(s.do(http.MethodDelete, "/users/root", ""), 409, "conflict")
		s.wantProblem(s.do(http.MethodPut, "/users/root/roles", `{"roles":[]}`), 409, "conflict")
		if s.state() != before {
			t.Error("something has changed")
		}
	})
}

// Req 48: nobody deactivates or deletes himself, though another superuser is left.
func TestUser_oneself(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	root := access.Caller{Name: "user:root", Tenant: "shop", Subject: access.Subject{Kind: access.KindUser, ID: "root"}}
	d := s.options.Directory
	_, _, off := d.DeactivateUser(context.Background(), root, "shop", "root", access.Change{})
	_, _, gone := d.DeleteUser(context.Background(), root, "shop", "root", "", access.Change{})
	_, _, bulk := d.ChangeUsers(context.Background(), root, "shop", []service.UserOperation{{Op: "deactivate", ID: "root"}}, access.Change{})
	for _, err := range []error{off, gone, bulk} {
		if !errors.Is(err, service.ErrConflict) {
			t.Errorf("%v", err)
		}
	}
	if _, _, err := d.DeactivateUser(context.Background(), root, "shop", "root-2", access.Change{}); err != nil {
		t.Error(err)
	}
}

// Req 52, 114: who may not administer is refused whatever he asks for.
func TestUser_forbidden(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	ctx, d := context.Background(), s.options.Directory
	sales := access.Caller{Name: "user:sales-1", Tenant: "shop", Subject: access.Subject{Kind: access.KindUser, ID: "sales-1"}}
	foreign := access.Caller{Name: "user:root", Tenant: "default", Subject: access.Subject{Kind: access.KindUser, ID: "root"}}
	before := s.state()
	for _, caller := range []access.Caller{sales, foreign} {
		_, _, made := d.CreateUser(ctx, caller, "shop", service.NewUser{Email: "x@example.com", Name: "X"}, access.Change{})
		_, _, patched := d.PatchUser(ctx, caller, "shop", "sales-1", service.UserPatch{Roles: &[]access.Link{{To: "superuser"}}}, access.Change{})
		_, _, gone := d.DeleteUser(ctx, caller, "shop", "root", "", access.Change{})
		_, _, back := d.RestoreUser(ctx, caller, "shop", "root", access.Change{})
		_, _, bulk := d.ChangeUsers(ctx, caller, "shop", []service.UserOperation{{Op: "delete", ID: "root"}}, access.Change{})
		_, _, shown := d.User(ctx, caller, "shop", "root")
		_, listed := d.Users(ctx, caller, "shop", access.UserSearch{}, "")
		for i, err := range []error{made, patched, gone, back, bulk, shown, listed} {
			if !errors.Is(err, access.ErrForbidden) {
				t.Errorf("%s, %d: %v", caller.Name, i, err)
			}
		}
	}
	if s.state() != before {
		t.Error("something has changed")
	}
}

// Threat model: an administrator of users who is no superuser makes nobody one,
// neither by create, nor patch, nor copying, nor restoring, nor in bulk, and sees
// no more than he reaches.
func TestUser_delegated(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	ctx, d := context.Background(), s.options.Directory
	s.user(http.MethodPost, "/users", `{"id":"admin-1","email":"admin-1@example.com","name":"Admin","grants":[{"section":"System.Access.Users","crud":62}]}`)
	s.user(http.MethodPost, "/users", `{"id":"admin-2","email":"admin-2@example.com","name":"Admin of a store","grants":[{"section":"System.Access.Users","crud":62,"scope":"store:1"},{"section":"System.Orders","crud":2,"scope":"store:1"}]}`)
	s.user(http.MethodPost, "/users", `{"id":"clerk-1","email":"clerk-1@example.com","name":"Clerk of store 1","grants":[{"section":"System.Orders","crud":2,"scope":"store:1"}]}`)
	s.user(http.MethodDelete, "/users/root-2", "")
	caller := func(id string) access.Caller {
		return access.Caller{Name: "user:" + id, Tenant: "shop", Subject: access.Subject{Kind: access.KindUser, ID: id}}
	}
	super := []access.Link{{To: "superuser"}}
	before := s.state()
	one := func(op service.UserOperation) error {
		_, _, err := d.ChangeUsers(ctx, caller("admin-1"), "shop", []service.UserOperation{op}, access.Change{})
		return err
	}
	_, _, restored := d.RestoreUser(ctx, caller("admin-1"), "shop", "root-2", access.Change{})
	for i, err := range []error{
		one(service.UserOperation{Op: "create", New: service.NewUser{Email: "x@example.com", Name: "X", Roles: super}}),
		one(service.UserOperation{Op: "update", ID: "admin-1", Patch: service.UserPatch{Roles: &super}}),
		one(service.UserOperation{Op: "copy_rights", ID: "admin-1", From: "root"}),
		one(service.UserOperation{Op: "update", ID: "root", Patch: service.UserPatch{Email: new("mine@example.com")}}),
		one(service.UserOperation{Op: "deactivate", ID: "root"}),
		one(service.UserOperation{Op: "add_groups", ID: "admin-1", Links: []access.Link{{To: "sales"}}}),
		restored,
	} {
		if !errors.Is(err, access.ErrForbidden) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if s.state() != before {
		t.Error("something has changed")
	}
	if _, _, err := d.CreateUser(ctx, caller("admin-1"), "shop", service.NewUser{ID: "plain", Email: "plain@example.com", Name: "Plain"}, access.Change{}); err != nil {
		t.Error(err)
	}
	page, err := d.Users(ctx, caller("admin-2"), "shop", access.UserSearch{Sort: access.SortID}, "")
	var ids []string
	for _, u := range page.Users {
		ids = append(ids, u.ID)
	}
	if err != nil || page.Total != -1 || !slices.Equal(ids, []string{"admin-2", "clerk-1", "plain"}) {
		t.Errorf("%v, %v of %d", err, ids, page.Total)
	}
	if _, _, err := d.User(ctx, caller("admin-2"), "shop", "root"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// Req 30: deleted accounts are listed, and come back disabled, with what they had
// as far as it still exists, for as long as they may.
func TestUser_restore(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		s.user(http.MethodPost, "/users/sales-1/groups:add", `{"groups":[{"group":"support"}]}`)
		s.user(http.MethodPost, "/users/sales-1/roles:add", `{"roles":[{"role":"exporter"}]}`)
		s.user(http.MethodPut, "/users/sales-1/menu", `{"menu":["System.Orders"]}`)
		gone := s.user(http.MethodDelete, "/users/sales-1?reason=left", "")
		if gone.Status != "deleted" || !gone.RestorableUntil.Equal(gone.DeletedAt.Add(14*24*time.Hour)) {
			t.Errorf("%+v", gone)
		}
		s.wants(false, "sales-1", "System.Orders", "show")
		if ids, deleted := s.ids(""), s.ids("?status=deleted"); slices.Contains(ids, "sales-1") || !slices.Equal(deleted, []string{"sales-1"}) {
			t.Errorf("%v, deleted %v", ids, deleted)
		}
		s.wantProblem(s.do(http.MethodPatch, "/users/sales-1", `{"name":"X"}`), 404, "not_found")
		s.wantProblem(s.do(http.MethodPost, "/users/sales-1:activate", ""), 404, "not_found")
		s.wantProblem(s.do(http.MethodPost, "/users", `{"id":"sales-1","email":"x@example.com","name":"X"}`), 409, "exists")
		decode[api.DirectoryChanged](t, s.do(http.MethodDelete, "/groups/support", ""))

		s.user(http.MethodPost, "/users", `{"id":"heir","email":"SALES-1@example.com","name":"Heir"}`)
		if p := s.wantProblem(s.do(http.MethodPost, "/users/sales-1:restore", ""), 409, "exists"); p.Details[0].Field != "email" {
			t.Errorf("%+v", p)
		}
		s.user(http.MethodPatch, "/users/heir", `{"email":"heir@example.com"}`)
		back := s.user(http.MethodPost, "/users/sales-1:restore", "")
		if back.Status != "disabled" || !slices.Equal(groupsOf(back), []string{"sales"}) || len(back.Roles) != 1 || back.Menu[0] != "System.Orders" || back.Email != "Sales-1@example.com" {
			t.Errorf("%+v", back)
		}
		s.user(http.MethodPost, "/users/sales-1:activate", "")
		s.wants(true, "sales-1", "System.Orders", "show")
	})
}

func TestUser_restoreTooLate(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	s.options.Directory = service.NewDirectory(s.store, s.engine, s.authority, s.follower, service.DirectoryOptions{RestoreWindow: time.Nanosecond})
	server := s.options
	s.user(http.MethodDelete, "/users/sales-1", "")
	_, _, err := server.Directory.RestoreUser(context.Background(), rootCaller, "shop", "sales-1", access.Change{})
	if !errors.Is(err, service.ErrGone) {
		t.Errorf("%v", err)
	}
}

// Req 119: several operations are one revision, all or none, and a mistake names
// its operation.
func TestUser_bulk(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		history := func() int { return len(decode[api.Revisions](t, s.do(http.MethodGet, "/revisions", "")).Revisions) }
		before := history()
		w := decode[api.UsersChanged](t, s.do(http.MethodPost, "/users:bulk", `{"reason":"new team","operations":[
			{"op":"create","id":"sales-2","user":{"email":"sales-2@example.com","name":"Two","groups":[{"group":"new"}]}},
			{"op":"copy_rights","id":"sales-2","from":"sales-1"},
			{"op":"move_group","id":"sales-1","from":"sales","to":"support"},
			{"op":"add_roles","id":"sales-2","roles":[{"role":"exporter"}]},
			{"op":"deactivate","id":"sales-1"}]}`))
		if history() != before+1 || w.Revision == 0 || !slices.Equal(groupsOf(w.Users[1]), []string{"sales"}) || !slices.Equal(groupsOf(w.Users[2]), []string{"support"}) || w.Users[4].Status != "disabled" {
			t.Errorf("%d revisions, %+v", history()-before, w)
		}
		s.wants(true, "sales-2", "System.Orders.Export", "execute")

		state := s.state()
		for body, field := range map[string]string{
			`{"operations":[]}`: "operations",
			`{"operations":[{"op":"activate","id":"sales-1"},{"op":"explode","id":"sales-1"}]}`:                                       "operations[1].op",
			`{"operations":[{"op":"activate","id":"sales-1"},{"op":"add_groups","id":"sales-2","groups":[{"group":"none"}]}]}`:        "operations[1].groups[0]",
			`{"operations":[{"op":"activate","id":"sales-1"},{"op":"update","id":"sales-2","user":{"email":"x"}}]}`:                   "operations[1].email",
			`{"operations":[{"op":"activate","id":"sales-1"},{"op":"update","id":"sales-2","user":{"status":"active"}}]}`:             "operations[1].user.status",
			`{"operations":[{"op":"activate","id":"sales-1"},{"op":"move_group","id":"sales-2","from":"support","to":"new"}]}`:        "operations[1].from",
			`{"operations":[{"op":"activate","id":"sales-1"},{"op":"create","user":{"email":"sales-2@example.com","name":"Again"}}]}`: "operations[1].email",
			`{"operations":[{"op":"activate","id":"sales-1"},{"op":"remove_groups","id":"sales-2","groups":[{"group":"sales"}]}]}`:    "operations[1].groups",
			`{"operations":[{"op":"activate","id":"sales-1"},{"op":"copy_rights","id":"sales-2","from":"nobody"}]}`:                   "operations[1].from",
		} {
			w := s.do(http.MethodPost, "/users:bulk", body)
			if w.Code < 400 || w.Code >= 500 || !strings.Contains(w.Body.String(), `"field":"`+field) {
				t.Errorf("%s: %d %s, want %s", body, w.Code, w.Body, field)
			}
		}
		if s.state() != state {
			t.Error("something has changed")
		}
	})
}

// Req 31, 32, 112: filters, sorting and pages; a token is good for its list only.
func TestUser_list(t *testing.T) {
	s := newShop(t, sqliteFile(t))
	for i := range 5 {
		s.user(http.MethodPost, "/users", fmt.Sprintf(`{"id":"u%d","email":"person-%d@example.com","name":"Nelson %d","external_id":"x%d"}`, i, i, 9-i, i))
	}
	for query, want := range map[string][]string{
		"?q=ELS&sort=name":                    {"sales-1", "u4", "u3", "u2", "u1", "u0"},
		"?q=els&group=sales":                  {"sales-1"},
		"?email=PERSON-3@example.com":         {"u3"},
		"?external_id=x2":                     {"u2"},
		"?superuser=true&sort=-id":            {"root-2", "root"},
		"?superuser=false&group=sales":        {"sales-1"},
		"?any_group=sales,none":               {"sales-1", "root-2", "root"},
		"?every_group=sales&q=sales":          {"sales-1"},
		"?every_group=sales,none":             nil,
		"?status=disabled":                    nil,
		"?created_until=2001-01-01T00:00:00Z": nil,
		"?q=%25":                              nil,
	} {
		if got := s.ids(query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if all := s.list(""); all.Total == nil || *all.Total != 8 {
		t.Errorf("%+v", all.Total)
	}
	var ids []string
	token := ""
	for range 4 {
		page := s.list("?sort=-email&page_size=3&page_token=" + url.QueryEscape(token))
		for _, u := range page.Users {
			ids = append(ids, u.ID)
		}
		if token = page.NextPageToken; token == "" {
			break
		}
		for _, other := range []string{"?sort=email&page_token=", "?q=els&sort=-email&page_token="} {
			s.wantProblem(s.do(http.MethodGet, "/users"+other+token, ""), 400, "invalid")
		}
		if w := s.send(http.MethodGet, calls+"/users?sort=-email&page_token="+token, s.root, ""); w.Code/100 == 2 {
			t.Error("a token is good for another tenant")
		}
	}
	if want := []string{"sales-1", "root", "root-2", "u4", "u3", "u2", "u1", "u0"}; !slices.Equal(ids, want) {
		t.Errorf("page by page: %v", ids)
	}
}

// atOnce makes requests in parallel and gives how many were answered with a status.
func (s shop) atOnce(requests ...func() *httptest.ResponseRecorder) map[int]int {
	var wg sync.WaitGroup
	codes := make([]int, len(requests))
	start := make(chan struct{})
	for i, request := range requests {
		wg.Go(func() {
			<-start
			codes[i] = request().Code
		})
	}
	close(start)
	wg.Wait()
	seen := map[int]int{}
	for _, code := range codes {
		seen[code]++
	}
	return seen
}

// Req 37, 48: two administrators at once make no second account with one e-mail,
// and deactivate no last superuser.
func TestUser_races(t *testing.T) {
	inShops(t, func(t *testing.T, s shop) {
		t.Helper()
		var same []func() *httptest.ResponseRecorder
		for i := range 6 {
			same = append(same, func() *httptest.ResponseRecorder {
				return s.do(http.MethodPost, "/users", fmt.Sprintf(`{"id":"twin-%d","email":"%s@example.com","name":"Twin"}`, i, []string{"twin", "TWIN"}[i%2]))
			})
		}
		if seen := s.atOnce(same...); seen[201] != 1 || seen[409] != 5 {
			t.Errorf("the same e-mail: %v", seen)
		}
		off := func(id string) func() *httptest.ResponseRecorder {
			return func() *httptest.ResponseRecorder { return s.do(http.MethodPost, "/users/"+id+":deactivate", "") }
		}
		if seen := s.atOnce(off("root"), off("root-2")); seen[200] != 1 || seen[409] != 1 {
			t.Errorf("the last superusers: %v", seen)
		}
		if ids := s.ids("?superuser=true&active=true"); len(ids) != 1 {
			t.Errorf("active superusers: %v", ids)
		}
	})
}
