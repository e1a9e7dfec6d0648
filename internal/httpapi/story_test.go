package httpapi_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// The stories go through what the administrators of one kind of system do on their
// pages, one after the other, as their console would.

// User groups of a CRM. Req 1, 2, 6, 22, 23, 27, 28, 90.
func TestStory_userGroups(t *testing.T) {
	inSample(t, "crm-groups", func(t *testing.T, s sample) {
		t.Helper()
		s.wantProblem(s.do(http.MethodPost, "/groups", `{"name":"Riders"}`), 400, "invalid")
		decode[api.Group](t, s.do(http.MethodPost, "/groups", `{"code":"riders","name":"Riders","attributes":{"is_manager":true,"sites":["eu"],"methods":["phone"]}}`))
		s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"rider-1","email":"rider-1@example.com","name":"Rider One","groups":[{"group":"riders"}]}`), 201))
		s.want(false, "user:rider-1", "CRM.Orders", "show", "")
		s.must(wantStatus(s.do(http.MethodPut, "/groups/riders/rights", `{"grants":[{"section":"CRM.Orders","rights":["show","update"]}],"reason":"they deliver"}`), 200))
		g := decode[api.Group](t, s.do(http.MethodGet, "/groups/riders", ""))
		if len(g.Grants) != 1 || g.Grants[0].Crud != 10 || g.Attributes["is_manager"] != true {
			t.Errorf("the group reads back as %+v", g)
		}
		s.want(true, "user:rider-1", "CRM.Orders", "update", "")
		s.must(wantStatus(s.do(http.MethodPatch, "/groups/riders", `{"name":"Drivers","attributes":{"sites":["eu","us"]}}`), 200))
		g = decode[api.Group](t, s.do(http.MethodGet, "/groups/riders", ""))
		if g.Name != "Drivers" || len(g.Attributes["sites"].([]any)) != 2 || g.Attributes["is_manager"] != true {
			t.Errorf("the group reads back as %+v", g)
		}

		// Two groups give the rights of both; an administrator's group gives all.
		s.must(wantStatus(s.do(http.MethodPost, "/groups", `{"code":"bosses","name":"Bosses","roles":[{"role":"superuser"}]}`), 201))
		s.want(false, "user:rider-1", "CRM.Administration.Users", "insert", "")
		s.must(wantStatus(s.do(http.MethodPost, "/users/rider-1/groups:add", `{"groups":[{"group":"bosses"}]}`), 200))
		s.want(true, "user:rider-1", "CRM.Administration.Users", "insert", "")
	})
}

// The users page. Req 36, 37, 40, 41, 46, 47, 67: groups, roles, applications,
// licences and own rights of one account; a prohibition of his own beats a role.
func TestStory_usersPage(t *testing.T) {
	inSample(t, "crm-users", func(t *testing.T, s sample) {
		t.Helper()
		s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"rep-9","email":"rep-9@example.com","name":"Rep Nine"}`), 201))
		s.want(false, "user:rep-9", "CRM.Deals", "show", "")
		s.must(wantStatus(s.do(http.MethodPost, "/users/rep-9/roles:add", `{"roles":[{"role":"sales"},{"role":"nobody-here"}]}`), 400))
		s.want(false, "user:rep-9", "CRM.Deals", "show", "")
		s.must(wantStatus(s.do(http.MethodPost, "/users/rep-9/roles:add", `{"roles":[{"role":"sales"}]}`), 200))
		s.want(true, "user:rep-9", "CRM.Deals", "show", "")
		s.must(wantStatus(s.do(http.MethodPut, "/users/rep-9/grants", `{"grants":[{"section":"CRM.Deals","rights":["update"],"effect":"deny","until":"2040-01-01T00:00:00Z"}]}`), 200))
		s.want(false, "user:rep-9", "CRM.Deals", "update", "")
		s.want(true, "user:rep-9", "CRM.Deals", "show", "")

		// Req 115: where each right comes from, and until when it holds.
		p := decode[api.Permissions](t, s.do(http.MethodGet, "/users/rep-9/permissions", ""))
		origin := func(section, effect string) (origins []string, until bool) {
			for _, right := range p.Permissions {
				if right.Section == section && right.Effect == effect {
					origins, until = append(origins, right.Origin), until || !right.Until.IsZero()
				}
			}
			return origins, until
		}
		if from, until := origin("CRM.Deals", "allow"); !slices.Equal(from, []string{"role:sales"}) || until {
			t.Errorf("the permission comes from %v, with an end: %v", from, until)
		}
		if from, until := origin("CRM.Deals", "deny"); !slices.Equal(from, []string{"own"}) || !until {
			t.Errorf("the prohibition comes from %v, with an end: %v", from, until)
		}
		why := decode[api.Explanation](t, s.send(http.MethodPost, "/t/crm-users/v1/explain", s.root, `{"subject":"user:rep-9","action":"update","section":"CRM.Deals"}`))
		if why.Reason != "denied_by" {
			t.Errorf("the reason is %s", why.Reason)
		}

		s.must(wantStatus(s.do(http.MethodPut, "/users/rep-9/applications/crm", `{"enabled":false}`), 200))
		s.want(false, "user:rep-9", "CRM.Deals", "show", "")
	})
}

// Groups of a call centre. Req 50, 54, 56, 57, 58, 59, 60, 62, 63, 64.
func TestStory_callCentreGroups(t *testing.T) {
	inSample(t, "call-center", func(t *testing.T, s sample) {
		t.Helper()
		s.wantProblem(s.do(http.MethodPost, "/groups", `{"code":"night","roles":[{"role":"call-handling"}]}`), 400, "invalid")
		made := decode[api.Group](t, s.do(http.MethodPost, "/groups", `{"code":"night","name":"Night shift","roles":[{"role":"call-handling"}]}`))
		list := decode[api.Groups](t, s.do(http.MethodGet, "/groups?q=night", ""))
		if len(list.Groups) != 1 || list.Groups[0].Code != "night" {
			t.Fatalf("the list has %+v", list.Groups)
		}
		for _, id := range []string{"night-1", "night-2"} {
			s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"`+id+`","email":"`+id+`@example.com","name":"`+id+`","groups":[{"group":"night"}]}`), 201))
			s.want(true, "user:"+id, "Calls.Queue", "show", "")
		}
		members := decode[api.Members](t, s.do(http.MethodGet, "/groups/night/members", ""))
		if members.Total != 2 {
			t.Errorf("it has %d members", members.Total)
		}
		p := decode[api.Permissions](t, s.do(http.MethodGet, "/groups/night/permissions", ""))
		if !slices.ContainsFunc(p.Permissions, func(p api.Permission) bool { return p.Section == "Calls.Queue" && p.Origin == "role:call-handling" }) {
			t.Errorf("the permissions do not say where Calls.Queue comes from: %+v", p.Permissions)
		}
		s.must(wantStatus(s.do(http.MethodPatch, "/groups/night", `{"roles":[]}`), 200))
		s.want(false, "user:night-1", "Calls.Queue", "show", "")
		s.wantProblem(s.do(http.MethodPatch, "/groups/night", `{"name":"Late","base_revision":`+strconv.FormatUint(made.Revision, 10)+`}`), 409, "stale")
		refused := s.wantProblem(s.do(http.MethodDelete, "/groups/night", ""), 409, "conflict")
		if !strings.Contains(refused.Detail, "night-1") {
			t.Errorf("it does not say who would be left without a group: %s", refused.Detail)
		}
		s.must(wantStatus(s.do(http.MethodDelete, "/groups/night?move_to=operators-sales&reason=no+nights+any+more", ""), 200))
		s.want(true, "user:night-2", "Calls.Queue", "show", "team:sales")
		all := decode[api.Revisions](t, s.do(http.MethodGet, "/revisions", ""))
		if last := all.Revisions[0]; last.Reason != "no nights any more" {
			t.Errorf("the history begins with %+v", last)
		}
	})
}

// A shop with printed matter begins from the sample. Req 83, 87, 91, 102, 106: its
// default groups, permissions and roles come with one request, without accounts.
func TestStory_tenantFromTemplate(t *testing.T) {
	h := newHouse(t)
	s := sample{h, "prints"}
	s.wantProblem(s.send(http.MethodPost, "/v1/tenants", s.root, `{"code":"prints","template":"nothing"}`), 400, "invalid")
	s.must(wantStatus(s.send(http.MethodPost, "/v1/tenants", s.root, `{"code":"prints","description":"Prints","template":"web-to-print"}`), 201))
	if users := decode[api.Users](t, s.do(http.MethodGet, "/users", "")); len(users.Users) != 0 {
		t.Errorf("it begins with %d accounts", len(users.Users))
	}
	for _, code := range []string{"customer", "operator", "administrator", "anonymous"} {
		decode[api.Group](t, s.do(http.MethodGet, "/groups/"+code, ""))
	}
	catalogue := mustJSON(t, decode[api.RightsCatalogue](t, s.do(http.MethodGet, "/rights-catalogue", "")))
	for _, section := range []string{"Storefront.Checkout", "Storefront.Orders", "BackOffice.Orders", "BackOffice.Users.Customers", "BackOffice.Stores", "BackOffice.Reports", "BackOffice.Presets.Messages"} {
		if !strings.Contains(catalogue, section) {
			t.Errorf("the catalogue has no %s", section)
		}
	}
	s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"buyer-1","email":"buyer-1@example.com","name":"Buyer","groups":[{"group":"cards-registered"}]}`), 201))
	s.want(true, "user:buyer-1", "Storefront.Orders", "insert", "store:cards")
	s.want(false, "user:buyer-1", "BackOffice.Orders", "show", "store:cards")
	s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"lost-1","email":"lost-1@example.com","name":"Lost","groups":[{"group":"customer"}]}`), 201))
	s.want(false, "user:lost-1", "Storefront.Orders", "insert", "store:cards")
}

// Req 116, 117: an administrator looks at what somebody else sees and may do, by
// his own session; who may not look is refused, whatever his screen shows.
func TestStory_viewAsSomebodyElse(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		menu := decode[api.Navigation](t, s.do(http.MethodGet, "/users/accountant-1/navigation", ""))
		if len(menu.Entries) == 0 {
			t.Error("the accountant's menu is empty")
		}
		trial := decode[api.Explanation](t, s.send(http.MethodPost, "/t/retail-rights/v1/explain", s.root, `{"subject":"user:accountant-1","action":"delete","section":"System.Settings"}`))
		if trial.Allowed || len(trial.Parts) == 0 || len(trial.Parts[0].Gates) == 0 {
			t.Errorf("a trial: %+v", trial)
		}
		decider := s.newKey("retail-rights", "decide")
		before := s.revision()
		path := "/v1/tenants/retail-rights/users/accountant-1"
		for _, forged := range [][2]string{{http.MethodGet, path}, {http.MethodPost, path + ":deactivate"}, {http.MethodDelete, path}} {
			s.wantProblem(s.send(forged[0], forged[1], decider, `{}`), 403, "forbidden")
		}
		if s.revision() != before {
			t.Error("something changed")
		}
	})
}
