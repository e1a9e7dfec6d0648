package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
)

// Req 7, 51: every entry of a menu is a decision, and every section with an entry
// that may be shown is there. It is never the only protection.
func TestNavigation_entriesAreDecisions(t *testing.T) {
	for _, tenant := range []string{"crm-groups", "retail-rights", "crm-users"} {
		inSample(t, tenant, func(t *testing.T, s sample) {
			t.Helper()
			menus := map[string]bool{}
			for _, a := range decode[api.Applications](t, s.do(http.MethodGet, "/applications", "")).Applications {
				for _, e := range a.Sections {
					menus[e.Path] = e.Menu != nil
				}
			}
			for _, u := range decode[api.Users](t, s.do(http.MethodGet, "/users?page_size=100", "")).Users {
				got := map[string]bool{}
				nav := decode[api.Navigation](t, s.do(http.MethodGet, "/users/"+u.ID+"/navigation", ""))
				opening(nav.Entries, got)
				caps := decode[api.Capabilities](t, s.do(http.MethodGet, "/users/"+u.ID+"/capabilities", ""))
				for section, inMenu := range menus {
					allowed := s.allowed("user:"+u.ID, section, "show", "")
					if want := inMenu && allowed && (u.Menu == nil || slices.Contains(u.Menu, section)); got[section] != want {
						t.Errorf("%s %s: %v in the menu, allowed %v", u.ID, section, got[section], allowed)
					}
					can := slices.ContainsFunc(caps.Sections, func(x api.SectionActions) bool {
						return x.Section == section && slices.Contains(x.Actions, "show")
					})
					if can != allowed {
						t.Errorf("%s %s: capable %v, allowed %v", u.ID, section, can, allowed)
					}
				}
			}
		})
	}
}

func opening(entries []api.NavigationEntry, to map[string]bool) {
	for _, e := range entries {
		to[e.Section] = e.Opens
		opening(e.Entries, to)
	}
}

// Req 45: the menu has labels in a language, in an order, and what was chosen.
func TestNavigation_labelsOrderChoice(t *testing.T) {
	inSample(t, "crm-groups", func(t *testing.T, s sample) {
		t.Helper()
		nav := decode[api.Navigation](t, s.do(http.MethodGet, "/users/admin-1/navigation?lang=de", ""))
		if len(nav.Entries) < 2 || nav.Entries[0].Section != "CRM.Orders" || nav.Entries[0].Label != "Alle Bestellungen" || nav.Entries[0].Family != "Bestellungen und Kunden" {
			t.Fatalf("%+v", nav.Entries)
		}
		if !slices.IsSortedFunc(nav.Entries, func(a, b api.NavigationEntry) int { return a.Order - b.Order }) {
			t.Errorf("not in order: %+v", nav.Entries)
		}
		all := len(nav.Entries)
		s.must(wantStatus(s.do(http.MethodPatch, "/users/admin-1", `{"menu":["CRM.Orders"]}`), 200))
		nav = decode[api.Navigation](t, s.do(http.MethodGet, "/users/admin-1/navigation", ""))
		if len(nav.Entries) != 1 || nav.Entries[0].Section != "CRM.Orders" || all < 2 {
			t.Errorf("chosen: %+v", nav.Entries)
		}
		s.want(true, "user:admin-1", "CRM.Customers", "show", "") // hiding protects nothing, and takes nothing
	})
}

// Req 13, 111: financial data is visible or editable by field.
func TestCapabilities_fields(t *testing.T) {
	inSample(t, "crm-groups", func(t *testing.T, s sample) {
		t.Helper()
		const price, margin = "CRM.Orders.Fields.PurchasePrice", "CRM.Orders.Fields.GrossMargin"
		c := decode[api.Capabilities](t, s.do(http.MethodGet, "/users/accountant-1/capabilities", ""))
		for _, field := range []string{price, margin} {
			if got := slices.Contains(c.Fields.Visible, field); got != s.allowed("user:accountant-1", field, "show", "") || !got {
				t.Errorf("%s visible: %v", field, got)
			}
			if got := slices.Contains(c.Fields.Editable, field); got != s.allowed("user:accountant-1", field, "update", "") {
				t.Errorf("%s editable: %v", field, got)
			}
		}
		c = decode[api.Capabilities](t, s.do(http.MethodGet, "/users/sales-1/capabilities", ""))
		if len(c.Fields.Visible)+len(c.Fields.Editable) != 0 || len(c.Sections) == 0 {
			t.Errorf("sales: %+v", c)
		}
	})
}

// A document is kept as long as nothing that bears upon it has changed, and not
// longer than a right lasts.
func TestCapabilities_tag(t *testing.T) {
	inSample(t, "crm-groups", func(t *testing.T, s sample) {
		t.Helper()
		now := time.Now()
		s.now = func() time.Time { return now }
		for _, path := range []string{"/users/sales-1/capabilities", "/users/sales-1/navigation", "/users/sales-1/capabilities?scope=*"} {
			get := func(tag string) (int, string) {
				w := s.do(http.MethodGet, path, "", "If-None-Match", tag)
				if w.Code == 304 && w.Body.Len() > 0 {
					t.Errorf("304 with a body")
				}
				return w.Code, w.Header().Get("ETag")
			}
			_, tag := get("")
			if code, again := get(`"x", W/` + tag); code != 304 || again != tag {
				t.Errorf("%s: %d", path, code)
			}
			s.must(wantStatus(s.do(http.MethodPatch, "/users/courier-1", `{"name":"Courier `+strings.Repeat("x", len(path)%7)+path[len(path)-1:]+`"}`), 200))
			if code, _ := get(tag); code != 304 {
				t.Errorf("%s: somebody else changed, and it is %d", path, code)
			}
			s.must(wantStatus(s.do(http.MethodPatch, "/users/sales-1", `{"name":"Sales `+path[len(path)-1:]+`"}`), 200))
			code, next := get(tag)
			if code != 200 || next == tag {
				t.Errorf("%s: he changed, and it is %d", path, code)
			}
			s.must(wantStatus(s.do(http.MethodPatch, "/groups/couriers", `{"grants":[{"section":"CRM.Costs","rights":["show"]}]}`), 200))
			s.must(wantStatus(s.do(http.MethodPatch, "/groups/couriers", `{"grants":[]}`), 200))
			if code, _ := get(next); code != 200 {
				t.Errorf("%s: the policy changed, and it is %d", path, code)
			}
		}
		until := now.Add(time.Hour).UTC().Truncate(time.Second)
		s.must(wantStatus(s.do(http.MethodPatch, "/groups/sales-managers", `{"grants":[{"section":"CRM.Costs","rights":["show"],"until":"`+until.Format(time.RFC3339)+`"}]}`), 200))
		w := s.do(http.MethodGet, "/users/sales-1/capabilities", "")
		if c := decode[api.Capabilities](t, w); !c.ValidUntil.Equal(until) {
			t.Fatalf("valid until %v", c.ValidUntil)
		}
		tag := w.Header().Get("ETag")
		s.must(wantStatus(s.do(http.MethodGet, "/users/sales-1/capabilities", "", "If-None-Match", tag), 304))
		now = until
		s.must(s.follower.Poll(t.Context()))
		s.must(wantStatus(s.do(http.MethodGet, "/users/sales-1/capabilities", "", "If-None-Match", tag), 200))
	})
}

// Req 19, 20, 21: the first group's signature, in the user's order.
func TestSignature_render(t *testing.T) {
	inSample(t, "crm-groups", func(t *testing.T, s sample) {
		t.Helper()
		render := func(body string) api.Signature {
			t.Helper()
			return decode[api.Signature](t, s.do(http.MethodPost, "/users/sales-2/signature:render", body))
		}
		if g := render(`{}`); g.Group != "sales-managers" || g.Context != "text" || strings.TrimSpace(g.Signature) != "Sales 2\nSales, sales-2@example.com" {
			t.Errorf("%+v", g)
		}
		s.must(wantStatus(s.do(http.MethodPatch, "/users/sales-2", `{"name":"<b>Zoë</b>"}`), 200))
		if g := render(`{"context":"html"}`); !strings.HasPrefix(g.Signature, "&lt;b&gt;Zoë&lt;/b&gt;<br>\n") {
			t.Errorf("%q", g.Signature)
		}
		if g := render(`{"context":"header"}`); strings.ContainsAny(g.Signature, "\r\n") || !strings.HasPrefix(g.Signature, "=?utf-8?q?") {
			t.Errorf("%q", g.Signature)
		}
		s.must(wantStatus(s.do(http.MethodPut, "/users/sales-2/groups", `{"groups":[{"group":"customer-service"},{"group":"sales-managers"}]}`), 200))
		if g := render(`{}`); g.Group != "customer-service" || !strings.Contains(g.Signature, "Customer service") {
			t.Errorf("in another order: %+v", g)
		}
		s.must(wantStatus(s.do(http.MethodPatch, "/groups/customer-service", `{"signature":null}`), 200))
		if g := render(`{}`); g.Signature != "" {
			t.Errorf("empty means none: %+v", g)
		}
		p := s.wantProblem(s.do(http.MethodPatch, "/groups/customer-service", `{"signature":"Hi\n{{ user.password }}"}`), 400, "invalid")
		if p.Details[0].Field != "signature" || !strings.Contains(p.Detail, "line 2, column 1") {
			t.Errorf("%+v", p)
		}
		s.wantProblem(s.do(http.MethodPost, "/groups", `{"code":"bad","name":"Bad","signature":"{{ user.name"}`), 400, "invalid")
		s.wantProblem(s.do(http.MethodPost, "/users/sales-2/signature:render", `{"context":"sms"}`), 400, "invalid")
		s.wantProblem(s.do(http.MethodPost, "/users/sales-2/signature:render", `{"template":"x"}`), 400, "invalid")
		s.wantProblem(s.do(http.MethodPost, "/users/nobody/signature:render", `{}`), 404, "not_found")
	})
}

func TestNavigation_badInput(t *testing.T) {
	h := newHouse(t)
	for path, status := range map[string]int{
		"/users/alice/navigation?lang=DEU_": 400, "/users/alice/navigation?scope=eu": 400, "/users/nobody/navigation": 404,
		"/users/nobody/capabilities": 404, "/users/alice/capabilities?scope=store:none": 200, "/users/anonymous/capabilities": 200,
	} {
		if w := h.send(http.MethodGet, "/v1/tenants/default"+path, h.root, ""); w.Code != status {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	none := decode[api.Capabilities](t, h.send(http.MethodGet, "/v1/tenants/default/users/alice/capabilities?scope=store:none", h.root, ""))
	if len(none.Sections) != 0 {
		t.Errorf("an unknown scope: %+v", none)
	}
}
