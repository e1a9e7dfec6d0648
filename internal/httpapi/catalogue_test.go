package httpapi_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
	"github.com/bailiwick/bailiwick/policies"
)

func init() {
	const applications, users = "/v1/tenants/default/applications", "/v1/tenants/default/users"
	maps.Copy(matrix, map[string]entry{
		"GET /v1/tenants/{tenant}/applications":                         {need: access.KeyRead},
		"GET /v1/tenants/{tenant}/applications/{application}":           {need: access.KeyRead, path: applications + "/records"},
		"PUT /v1/tenants/{tenant}/applications/{application}/catalogue": {need: access.KeyAdmin, path: applications + "/till/catalogue", body: `{"name":"Till","sections":[{"path":"Till","name":"Till"}]}`},
		"PUT /v1/tenants/{tenant}/applications/{application}/rights":    {need: access.KeyAdmin, path: applications + "/records/rights", body: `{"roles":[],"grants":[]}`},
		"DELETE /v1/tenants/{tenant}/applications/{application}":        {need: access.KeyAdmin, path: applications + "/unknown", status: 404},
		"GET /v1/tenants/{tenant}/rights-catalogue":                     {need: access.KeyRead},
		"GET /v1/rights":                                        {need: access.KeyDecide, any: true, path: "/v1/rights?crud=10"},
		"GET /v1/tenants/{tenant}/scopes":                       {need: access.KeyRead},
		"POST /v1/tenants/{tenant}/scopes":                      {need: access.KeyAdmin, body: `{"scope":"store:new-%d"}`, status: 201},
		"GET /v1/tenants/{tenant}/scopes/{scope}":               {need: access.KeyRead, path: "/v1/tenants/default/scopes/store:eu-1"},
		"PATCH /v1/tenants/{tenant}/scopes/{scope}":             {need: access.KeyAdmin, path: "/v1/tenants/default/scopes/store:eu-1", body: `{"name":"Europe"}`},
		"DELETE /v1/tenants/{tenant}/scopes/{scope}":            {need: access.KeyAdmin, path: "/v1/tenants/default/scopes/store:eu-1", status: 409},
		"GET /v1/tenants/{tenant}/licences":                     {need: access.KeyRead},
		"GET /v1/tenants/{tenant}/licences/{feature}":           {need: access.KeyRead, path: "/v1/tenants/default/licences/none", status: 404},
		"PUT /v1/tenants/{tenant}/licences/{feature}":           {need: access.KeyAdmin, path: "/v1/tenants/default/licences/chats", body: `{"seats":3}`},
		"DELETE /v1/tenants/{tenant}/licences/{feature}":        {need: access.KeyAdmin, path: "/v1/tenants/default/licences/unknown", status: 404},
		"GET /v1/tenants/{tenant}/users/{id}/navigation":        {need: access.KeyDecide, path: users + "/alice/navigation"},
		"GET /v1/tenants/{tenant}/users/{id}/capabilities":      {need: access.KeyDecide, path: users + "/alice/capabilities"},
		"GET /v1/tenants/{tenant}/users/{id}/permissions":       {need: access.KeyRead, path: users + "/alice/permissions"},
		"POST /v1/tenants/{tenant}/users/{id}/signature:render": {need: access.KeyDecide, path: users + "/alice/signature:render", body: `{}`},
	})
}

// inSample runs a story in a sample tenant, over both databases.
func inSample(t *testing.T, tenant string, story func(*testing.T, sample)) {
	t.Helper()
	bundle, err := policies.FS(tenant)
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		h.load(tenant, bundle)
		story(t, sample{h, tenant})
	}
	t.Run("sqlite", func(t *testing.T) { run(t, sqliteFile(t)) })
	t.Run("mysql", func(t *testing.T) { run(t, store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t)}) })
}

type sample struct {
	*house
	tenant string
}

func (s sample) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(method, "/v1/tenants/"+s.tenant+path, s.root, body, headers...)
}

// allowed asks one question.
func (s sample) allowed(subject, section, action, scope string) bool {
	s.t.Helper()
	w := s.send(http.MethodPost, "/t/"+s.tenant+"/v1/enforce", s.root, mustJSON(s.t, map[string]any{
		"subject": subject, "section": section, "action": action, "scope": cmp.Or(scope, "*"),
	}))
	return decode[api.Decision](s.t, w).Allowed
}

func (s sample) want(want bool, subject, section, action, scope string) {
	s.t.Helper()
	if got := s.allowed(subject, section, action, scope); got != want {
		s.t.Errorf("%s %s %s at %q: got %v", subject, action, section, scope, got)
	}
}

func (s sample) revision() uint64 {
	s.t.Helper()
	return decode[api.Applications](s.t, s.do(http.MethodGet, "/applications", "")).Revision
}

const sends = `{"name":"Mailer","names":{"de":"Versand"},"version":"1","families":[{"name":"Mailings","names":{"de":"Sendungen"}}],"sections":[
	{"path":"Mailer.Lists","name":"Lists","names":{"de":"Verteiler","pt-BR":"Listas"},"family":"Mailings","actions":[{"name":"send","label":"Send","labels":{"de":"Senden"}},{"name":"test"}],"menu":{"label":"Lists","labels":{"de":"Verteilerlisten"},"order":5}},
	{"path":"Mailer.Price","name":"Price","field":true,"prerequisites":[{"section":"Mailer.Lists","rights":["show"]}]}]}`

// Req 66, 68: an application registers its sections as often as it starts.
func TestCatalogue_registersOnce(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		t.Helper()
		const path = "/applications/mailer/catalogue"
		before := s.revision()
		plan := decode[api.CataloguePlan](t, s.do(http.MethodPut, path+"?dry_run=true", sends))
		if len(plan.Added) != 2 || !plan.DryRun || s.revision() != before {
			t.Fatalf("a dry run: %+v, revision %d after %d", plan, s.revision(), before)
		}
		plan = decode[api.CataloguePlan](t, s.do(http.MethodPut, path, sends))
		if len(plan.Added) != 2 || !plan.Described || plan.Revision != before+1 {
			t.Fatalf("the first time: %+v", plan)
		}
		plan = decode[api.CataloguePlan](t, s.do(http.MethodPut, path, sends))
		if plan.Revision != before+1 || len(plan.Added)+len(plan.Changed)+len(plan.Removed) > 0 || plan.Described {
			t.Errorf("the same document made a change: %+v", plan)
		}
		shown := decode[api.Application](t, s.do(http.MethodGet, "/applications/mailer", ""))
		again := decode[api.CataloguePlan](t, s.do(http.MethodPut, path, mustJSON(t, shown.CatalogueFields)))
		if again.Revision != before+1 {
			t.Errorf("what is shown cannot be put back: %+v", again)
		}
		plan = decode[api.CataloguePlan](t, s.do(http.MethodPut, path, strings.ReplaceAll(sends, `"Lists"`, `"Recipients"`)))
		if !slices.Equal(plan.Changed, []string{"Mailer.Lists"}) || plan.Revision != before+2 {
			t.Errorf("a new label: %+v", plan)
		}
		plan = decode[api.CataloguePlan](t, s.do(http.MethodPut, path, strings.NewReplacer(`"Lists"`, `"Recipients"`, "Sendungen", "Post").Replace(sends)))
		if !plan.Described || len(plan.Changed) > 0 || plan.Revision != before+3 {
			t.Errorf("a new heading in one language: %+v", plan)
		}
	})
}

// An application that came by files stays as it is when it registers itself with
// the same words, and keeps what it may do itself.
func TestCatalogue_takesOverFiles(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		t.Helper()
		before := s.revision()
		for _, code := range []string{"retail", "planner", "erp-sync"} {
			shown := decode[api.Application](t, s.do(http.MethodGet, "/applications/"+code, ""))
			plan := decode[api.CataloguePlan](t, s.do(http.MethodPut, "/applications/"+code+"/catalogue", mustJSON(t, shown.CatalogueFields)))
			if plan.Revision != before {
				t.Errorf("%s: %+v", code, plan)
			}
		}
		s.want(true, "app:erp-sync", "System.Orders.Overview", "show", "company:7")
	})
}

// Req 68: rights of removed sections never come back to life.
func TestCatalogue_removedRightsStayAway(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		t.Helper()
		const path = "/applications/mailer/catalogue"
		decode[api.CataloguePlan](t, s.do(http.MethodPut, path, sends))
		decode[api.Group](t, s.do(http.MethodPost, "/groups", `{"code":"mailers","name":"Mailers","grants":[{"section":"Mailer.Lists","rights":["show","send"]}]}`))
		for _, id := range []string{"mailer-1", "mailer-2"} {
			s.must(wantStatus(s.do(http.MethodPost, "/users", `{"id":"`+id+`","name":"Mailer","email":"`+id+`@example.com","groups":[{"group":"mailers"}],"grants":[{"section":"Mailer.Lists","rights":["test"]},{"section":"System.Content","rights":["show"]}]}`), 201))
			s.must(wantStatus(s.do(http.MethodPost, "/users/"+id+":activate", `{}`), 200))
		}
		s.want(true, "user:mailer-1", "Mailer.Lists", "send", "")
		s.want(true, "user:mailer-1", "Mailer.Lists", "test", "")
		s.must(wantStatus(s.do(http.MethodDelete, "/users/mailer-2", ""), 200))

		before := s.revision()
		p := s.wantProblem(s.do(http.MethodDelete, "/applications/mailer", ""), 409, "conflict")
		var holders []string
		for _, d := range p.Details {
			holders = append(holders, d.Field)
		}
		slices.Sort(holders)
		if !slices.Equal(holders, []string{"group:mailers", "user:mailer-1"}) {
			t.Errorf("orphans: %v", p.Details)
		}
		none := `{"name":"Mailer","names":{"de":"Versand"},"version":"1","sections":[]}`
		s.wantProblem(s.do(http.MethodPut, path, none), 409, "conflict")
		plan := decode[api.CataloguePlan](t, s.do(http.MethodDelete, "/applications/mailer?dry_run=true", ""))
		if len(plan.Orphans) != 2 || s.revision() != before {
			t.Fatalf("dry run: %+v", plan)
		}
		plan = decode[api.CataloguePlan](t, s.do(http.MethodPut, path+"?remove_grants=true", none))
		if plan.Revision != before+1 || len(plan.Orphans) != 2 || len(plan.Removed) != 2 {
			t.Fatalf("removal: %+v", plan)
		}
		decode[api.CataloguePlan](t, s.do(http.MethodPut, path, sends))
		s.must(wantStatus(s.do(http.MethodPost, "/users/mailer-2:restore", `{}`), 200))
		s.must(wantStatus(s.do(http.MethodPost, "/users/mailer-2:activate", `{}`), 200))
		for _, id := range []string{"mailer-1", "mailer-2"} {
			for _, action := range []string{"show", "send", "test"} {
				s.want(false, "user:"+id, "Mailer.Lists", action, "")
			}
			s.want(true, "user:"+id, "System.Content", "show", "")
		}
	})
}

// An action that is gone takes its rights with it, and leaves the others.
func TestCatalogue_removedAction(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		const path = "/applications/mailer/catalogue"
		decode[api.CataloguePlan](t, s.do(http.MethodPut, path, sends))
		decode[api.Group](t, s.do(http.MethodPost, "/groups", `{"code":"mailers","name":"Mailers","grants":[{"section":"Mailer.Lists","rights":["show","send","test"]},{"section":"Mailer.Lists","rights":["inherit","test"],"effect":"deny"}]}`))
		without := strings.Replace(sends, `,{"name":"test"}`, "", 1)
		s.wantProblem(s.do(http.MethodPut, path, without), 409, "conflict")
		plan := decode[api.CataloguePlan](t, s.do(http.MethodPut, path+"?remove_grants=true", without))
		if len(plan.Orphans) != 2 {
			t.Errorf("%+v", plan)
		}
		g := decode[api.Group](t, s.do(http.MethodGet, "/groups/mailers", ""))
		if len(g.Grants) != 1 || !slices.Equal(g.Grants[0].Rights, []string{"show", "send"}) {
			t.Errorf("left: %+v", g.Grants)
		}
	})
}

// Req 82: names belong to whoever has them; the other is named.
func TestCatalogue_collisions(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		for path, owner := range map[string]string{
			"System.Orders": "retail", "Planner.Shifts": "planner", "Planner.Invented": "planner", "Planner": "planner",
			"System.Access.Users": "bailiwick", "System.Access": "bailiwick", "System.Access.Invented": "bailiwick",
		} {
			w := s.do(http.MethodPut, "/applications/mailer/catalogue", `{"name":"Mailer","sections":[{"path":"`+path+`","name":"X"}]}`)
			p := s.wantProblem(w, 409, "conflict")
			if p.Details[0].Field != "sections[0].path" || !strings.Contains(p.Detail, `"`+owner+`"`) {
				t.Errorf("%s: %+v", path, p)
			}
		}
		s.must(wantStatus(s.do(http.MethodPut, "/applications/mailer/catalogue", `{"name":"Mailer","sections":[{"path":"System.Mailer","name":"X"},{"path":"Mailer","name":"Y"}]}`), 200))
	})
}

// A section that others need cannot be taken away, whatever is asked for.
func TestCatalogue_neededSection(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		decode[api.CataloguePlan](t, s.do(http.MethodPut, "/applications/mailer/catalogue", sends))
		needs := `{"name":"Other","sections":[{"path":"Other","name":"X","prerequisites":[{"section":"Mailer.Lists","rights":["show"]}]}]}`
		decode[api.CataloguePlan](t, s.do(http.MethodPut, "/applications/other/catalogue", needs))
		p := s.wantProblem(s.do(http.MethodDelete, "/applications/mailer?remove_grants=true", ""), 409, "conflict")
		if len(p.Details) != 1 || p.Details[0].Field != "section:Other" {
			t.Errorf("%+v", p.Details)
		}
	})
}

// Req 81: an application is a subject with rights of its own.
func TestApplication_rights(t *testing.T) {
	inSample(t, "retail-rights", func(t *testing.T, s sample) {
		t.Helper()
		s.want(false, "app:planner", "System.Content", "show", "")
		s.must(wantStatus(s.do(http.MethodPut, "/applications/planner/rights", `{"roles":[],"grants":[{"name":"System.Content","crud":2}]}`), 200))
		s.want(true, "app:planner", "System.Content", "show", "")
		s.wantProblem(s.do(http.MethodPut, "/applications/planner/rights", `{"roles":[]}`), 400, "invalid")
		s.wantProblem(s.do(http.MethodPut, "/applications/unknown/rights", `{"roles":[],"grants":[]}`), 404, "not_found")
	})
}

// Req 10, 61: rights come in families with words that say what they are.
func TestRightsCatalogue(t *testing.T) {
	inSample(t, "crm-groups", func(t *testing.T, s sample) {
		t.Helper()
		c := decode[api.RightsCatalogue](t, s.do(http.MethodGet, "/rights-catalogue?lang=de-AT", ""))
		sum := 0
		for _, r := range c.Standard {
			sum += r.Value
			if r.Description == "" {
				t.Errorf("%s is not described", r.Name)
			}
		}
		if sum != 63 || len(c.Standard) != 6 {
			t.Errorf("standard rights: %+v", c.Standard)
		}
		found := false
		for _, f := range c.Families {
			for _, e := range f.Sections {
				if e.Description == "" || e.Label == "" {
					t.Errorf("%s is not described", e.Section)
				}
				if e.Section == "CRM.Orders" {
					found = f.Family == "Orders and customers" && f.Label == "Bestellungen und Kunden" && e.Label == "Bestellungen" && len(e.Actions) == 1 && e.Actions[0].Label == "Bestellungen annehmen"
				}
			}
		}
		if !found {
			t.Errorf("orders: %+v", c.Families)
		}
		s.wantProblem(s.do(http.MethodGet, "/rights-catalogue?lang=DE_", ""), 400, "invalid")
	})
}

// Req 69, 70: 10 is show and update, both ways; nothing beyond 0 to 63.
func TestRights_converter(t *testing.T) {
	h := newHouse(t)
	for query, want := range map[string]string{
		"crud=10": `{"crud":10,"rights":["show","update"]}`, "names=update,show": `{"crud":10,"rights":["show","update"]}`,
		"crud=0": `{"crud":0,"rights":[]}`, "names=": `{"crud":0,"rights":[]}`,
		"crud=63": `{"crud":63,"rights":["inherit","show","insert","update","delete","execute"]}`,
		"crud=46": `{"crud":46,"rights":["show","insert","update","execute"]}`,
	} {
		if w := h.send(http.MethodGet, "/v1/rights?"+query, h.root, ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	for _, query := range []string{"crud=64", "crud=-1", "crud=ten", "crud=1e1", "crud=", "", "names=Show", "names=show,,update", "names=send", "crud=2&names=show"} {
		h.wantProblem(h.send(http.MethodGet, "/v1/rights?"+query, h.root, ""), 400, "invalid")
	}
}

func wantStatus(w *httptest.ResponseRecorder, status int) error {
	if w.Code != status {
		return fmt.Errorf("got %d, want %d: %s", w.Code, status, w.Body)
	}
	return nil
}

// TestCatalogue_badInput: a field that names what is wrong, and nothing has changed.
func TestCatalogue_badInput(t *testing.T) {
	h := newHouse(t)
	entry := func(more string) string {
		return `{"name":"T","sections":[{"path":"Till","name":"Till",` + more + `}]}`
	}
	for name, tc := range map[string]struct{ body, field string }{
		"no name":                      {`{"sections":[]}`, "name"},
		"no sections":                  {`{"name":"T"}`, "sections"},
		"an unknown member":            {`{"name":"T","sections":[],"grants":[]}`, "grants"},
		"a heading over nothing":       {`{"name":"T","families":[{"name":"Tils","names":{"de":"Kassen"}}],"sections":[{"path":"Till","name":"Till","family":"Tills"}]}`, "families[0].name"},
		"a heading in no language":     {`{"name":"T","families":[{"name":"X","names":{"german":"Y"}}],"sections":[{"path":"Till","name":"Till","family":"X"}]}`, "families[0].names"},
		"a heading twice":              {`{"name":"T","families":[{"name":"X"},{"name":"X"}],"sections":[{"path":"Till","name":"Till","family":"X"}]}`, "families[1].name"},
		"a heading without a name":     {`{"name":"T","families":[{"names":{"de":"Y"}}],"sections":[{"path":"Till","name":"Till"}]}`, "families[0].name"},
		"a section without a name":     {`{"name":"T","sections":[{"path":"Till"}]}`, "sections[0].name"},
		"a path with a hole":           {`{"name":"T","sections":[{"path":"Till..X","name":"X"}]}`, "sections[0].path"},
		"a path twice":                 {`{"name":"T","sections":[{"path":"Till","name":"X"},{"path":"Till","name":"X"}]}`, "sections[1].path"},
		"a language that is none":      {entry(`"names":{"german":"X"}`), "sections[0].names"},
		"a label that is none":         {entry(`"names":{"de":3}`), "sections[0].names.de"},
		"a menu in no language":        {entry(`"menu":{"labels":{"german":"X"}}`), "sections[0].menu.labels"},
		"an action in no language":     {entry(`"actions":[{"name":"send","labels":{"":"X"}}]`), "sections[0].actions[0].labels"},
		"an action that is standard":   {entry(`"actions":[{"name":"show"}]`), "sections[0].actions[0]"},
		"an action in capitals":        {entry(`"actions":[{"name":"Send"}]`), "sections[0].actions[0]"},
		"an action twice":              {entry(`"actions":[{"name":"send"},{"name":"send"}]`), "sections[0].actions[1]"},
		"an unknown prerequisite":      {entry(`"prerequisites":[{"section":"Nowhere","rights":["show"]}]`), "sections[0].prerequisites[0]"},
		"a prerequisite of no right":   {entry(`"prerequisites":[{"section":"record","rights":[]}]`), "sections[0].prerequisites[0]"},
		"a prerequisite of an action":  {entry(`"prerequisites":[{"section":"record","rights":["read"]}]`), "sections[0].prerequisites[0].rights"},
		"a section that needs itself":  {entry(`"prerequisites":[{"section":"Till","rights":["show"]}]`), "sections[0]"},
		"a licence in capitals":        {entry(`"licence":"Chats"`), "sections[0].licence"},
		"an order beyond all bounds":   {entry(`"menu":{"order":1000001}`), "sections[0].menu.order"},
		"a flag that is none":          {entry(`"cascade":"yes"`), "sections[0].cascade"},
		"a family with an end of line": {entry(`"family":"a\nb"`), "sections[0].family"},
	} {
		t.Run(name, func(t *testing.T) {
			p := h.wantProblem(h.send(http.MethodPut, "/v1/tenants/default/applications/till/catalogue", h.root, tc.body), 400, "invalid")
			if p.Details[0].Field != tc.field {
				t.Errorf("field %q, want %q: %s", p.Details[0].Field, tc.field, p.Detail)
			}
		})
	}
	for path, body := range map[string]string{
		"/applications/Till/catalogue": `{"name":"T","sections":[]}`, "/applications/bailiwick/catalogue": `{"name":"T","sections":[]}`,
		"/applications/superuser/catalogue": `{"name":"T","sections":[]}`, "/applications/till/catalogue?dry_run=yes": `{"name":"T","sections":[]}`,
	} {
		h.wantProblem(h.send(http.MethodPut, "/v1/tenants/default"+path, h.root, body), 400, "invalid")
	}
	h.wantProblem(h.send(http.MethodGet, "/v1/tenants/default/applications/till", h.root, ""), 404, "not_found")
	stale := `{"name":"T","sections":[],"base_revision":1}`
	h.wantProblem(h.send(http.MethodPut, "/v1/tenants/default/applications/till/catalogue", h.root, stale), 409, "stale")
}
