package httpapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// asked is a question whether somebody may show orders.
func asked(id string) *access.Request {
	return &access.Request{
		Subject: access.Subject{Kind: access.KindUser, ID: id}, Actions: []access.Action{"show"}, Section: "Orders", Scope: "store:eu",
	}
}

// Req 52, 116: people ask about themselves, and about whom they are shown. What
// they are not shown cannot be told from what does not exist.
func TestPeople_decisions(t *testing.T) {
	h := printHouse(t)
	d, ctx := h.options.Decisions, context.Background()
	ways := map[string]func(access.Caller, *access.Request) error{
		"ask": func(c access.Caller, r *access.Request) error {
			_, err := d.Check(ctx, c, "print", r, access.Consistency{})
			return err
		},
		"ask in a batch": func(c access.Caller, r *access.Request) error {
			_, err := d.CheckAll(ctx, c, "print", []access.Request{*asked(c.Subject.ID), *r}, access.Consistency{})
			return err
		},
		"search actions": func(c access.Caller, r *access.Request) error {
			_, err := d.SearchActions(ctx, c, "print", r, access.Consistency{})
			return err
		},
		"search sections": func(c access.Caller, r *access.Request) error {
			_, err := d.SearchSections(ctx, c, "print", r, access.Consistency{})
			return err
		},
	}
	for _, x := range []struct {
		who, about string
		may        bool
	}{
		{"customer-1", "customer-1", true},
		{"customer-1", "customer-2", false},
		{"customer-1", "nobody", false},
		{"operator-1", "operator-1", true},
		{"operator-1", "customer-1", false},
		{"admin-1", "admin-1", true},
		{"admin-1", "customer-1", true},
		{"admin-1", "customer-2", false}, // of another store
		{"admin-1", "root", false},
		{"admin-1", "nobody", false},
		{"delegate-1", "customer-2", true},
		{"delegate-1", "root", true},
		{"root", "customer-1", true},
		{"nobody", "customer-1", false},
	} {
		for way, ask := range ways {
			err := ask(person("print", x.who), asked(x.about))
			if (err == nil) != x.may || err != nil && !errors.Is(err, access.ErrForbidden) {
				t.Errorf("%s wants to %s about %s: %v", x.who, way, x.about, err)
			}
		}
	}
	for way, ask := range ways {
		if err := ask(person("default", "alice"), asked("customer-1")); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("somebody of another tenant wants to %s: %v", way, err)
		}
		other := ask(person("print", "admin-1"), asked("customer-2"))
		if none := ask(person("print", "admin-1"), asked("nobody")); none.Error() != other.Error() {
			t.Errorf("%s tells who exists elsewhere: %v, %v", way, none, other)
		}
	}
}

// Req 116: explanations show rules, so they need the right to look at the
// policy; lists of people have whom one is shown.
func TestPeople_explainAndSearch(t *testing.T) {
	h := printHouse(t)
	d, ctx := h.options.Decisions, context.Background()
	for who, want := range map[string]struct {
		explains bool
		found    string
	}{
		"customer-1": {},
		"operator-1": {},
		"admin-1":    {found: "admin-1 customer-1 operator-1"},
		"delegate-1": {found: "admin-1 customer-1 delegate-1 operator-1 root"},
		"root":       {explains: true, found: "admin-1 customer-1 delegate-1 operator-1 root"},
	} {
		caller := person("print", who)
		if _, err := d.Explain(ctx, caller, "print", asked("customer-1"), access.Consistency{}); (err == nil) != want.explains || err != nil && !errors.Is(err, access.ErrForbidden) {
			t.Errorf("%s explains: %v", who, err)
		}
		found, _, err := d.SearchSubjects(ctx, caller, "print", asked(""), "user", service.Page{}, access.Consistency{})
		var ids []string
		for _, s := range found.Subjects {
			ids = append(ids, s.ID)
		}
		if got := strings.Join(ids, " "); got != want.found || (err != nil) != (want.found == "") {
			t.Errorf("%s is shown %q, %v", who, got, err)
		}
	}
}

// A short page still leads to the next one: what is left out is left out behind
// the place where the page ends.
func TestPeople_searchInPages(t *testing.T) {
	h := printHouse(t)
	var ids []string
	page := service.Page{Size: 1}
	for range 10 {
		found, next, err := h.options.Decisions.SearchSubjects(context.Background(), person("print", "admin-1"), "print", asked(""), "user", page, access.Consistency{})
		h.must(err)
		for _, s := range found.Subjects {
			ids = append(ids, s.ID)
		}
		if page.Token = next; next == "" {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "admin-1 customer-1 operator-1" || page.Token != "" {
		t.Errorf("found %q", got)
	}
}

// Req 116: whoever looks at things as another user is in the log; nothing is
// changed, nobody's session touched, and what he may do himself stays what it is.
func TestPeople_viewAsUser(t *testing.T) {
	h := printHouse(t)
	ctx, d := context.Background(), h.options.Directory
	before := h.footprint()
	ways := map[string]func(access.Caller, string) error{
		"decision": func(c access.Caller, id string) error {
			_, err := h.options.Decisions.Check(ctx, c, "print", asked(id), access.Consistency{})
			return err
		},
		"navigation": func(c access.Caller, id string) error {
			_, _, err := d.Navigation(ctx, c, "print", service.Outlook{User: id})
			return err
		},
		"capabilities": func(c access.Caller, id string) error {
			_, _, err := d.Capabilities(ctx, c, "print", service.Outlook{User: id})
			return err
		},
	}
	for way, look := range ways {
		h.must(look(person("print", "customer-1"), "customer-1"))
		if strings.Contains(h.log.String(), `"how":"`+way+`"`) {
			t.Errorf("%s: whoever looks at his own is said to look at another's", way)
		}
		h.must(look(person("print", "admin-1"), "customer-1"))
		want := `"caller":"user:admin-1","tenant":"print","user":"user:customer-1","how":"` + way + `"`
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("%s is not in the log", way)
		}
		for who, whom := range map[string]string{"customer-1": "customer-2", "operator-1": "customer-1", "admin-1": "customer-2"} {
			if err := look(person("print", who), whom); !errors.Is(err, access.ErrForbidden) && !errors.Is(err, access.ErrNotFound) {
				t.Errorf("%s looks at the %s of %s: %v", who, way, whom, err)
			}
			if strings.Contains(h.log.String(), `"caller":"user:`+who+`","tenant":"print","user":"user:`+whom+`"`) {
				t.Errorf("that %s looked at %s is in the log, and he was refused", who, whom)
			}
		}
	}
	for table, sum := range h.footprint() {
		if before[table] != sum {
			t.Errorf("looking changed the table %s", table)
		}
	}
}

// Req 52, 100: nobody makes or ends an API key that may do more than he may.
func TestPeople_keys(t *testing.T) {
	h := printHouse(t)
	ctx := context.Background()
	h.must(patchGroup(person("print", "root"), "print", "delegates", service.GroupPatch{Grants: &[]access.Grant{
		{Section: "System.Access.Users", Rights: access.AllRights},
		{Section: "System.Access.Policies", Rights: access.Show},
		{Section: "System.Access.Settings", Rights: access.Show | access.Insert | access.Delete},
	}})(h.options.Directory))
	h.must(createGroup(person("print", "root"), "print", access.Group{Code: "clerks", Name: "Clerks", Grants: []access.Grant{
		{Section: "System.Access.Settings", Rights: access.AllRights}, // but nobody is shown to them
	}})(h.options.Directory))
	h.must(addMember(person("print", "root"), "print", "clerks", service.NewMember{ID: "guest-1"})(h.options.Directory))
	h.must(patchGroup(person("print", "root"), "print", "administrator", service.GroupPatch{Grants: &[]access.Grant{
		{Section: "System.Access.Settings", Rights: access.AllRights}, // of one store only, by way of the group based on it
	}})(h.options.Directory))
	for who, may := range map[string]map[access.KeyKind]bool{
		"customer-1": {}, "operator-1": {}, "admin-1": {}, "guest-1": {},
		"delegate-1": {access.KeyDecide: true},
		"root":       {access.KeyDecide: true, access.KeyRead: true, access.KeyAdmin: true},
	} {
		caller := person("print", who)
		for _, kind := range []access.KeyKind{access.KeyDecide, access.KeyRead, access.KeyAdmin} {
			_, made, err := h.keys.Create(ctx, caller, "print", kind, "made")
			if (err == nil) != may[kind] || err != nil && !errors.Is(err, access.ErrForbidden) {
				t.Errorf("%s makes a key of kind %s: %v", who, kind, err)
			}
			if err != nil {
				_, made, err = h.keys.Create(ctx, rootCaller, "print", kind, "there")
				h.must(err)
			}
			if err := h.keys.Revoke(ctx, caller, "print", made.ID, ""); (err == nil) != may[kind] || err != nil && !errors.Is(err, access.ErrForbidden) {
				t.Errorf("%s revokes a key of kind %s: %v", who, kind, err)
			}
		}
		if _, err := h.keys.List(ctx, caller, "print"); (err == nil) != (may[access.KeyDecide] || who == "guest-1") {
			t.Errorf("%s lists keys: %v", who, err)
		}
		if _, _, err := h.keys.Create(ctx, caller, access.AllTenants, access.KeyDecide, "all"); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("%s makes a key of all tenants: %v", who, err)
		}
	}
}

// Req 52, 100: what bears upon the whole tenant, and what reaches beyond it.
func TestPeople_tenant(t *testing.T) {
	h := printHouse(t)
	ctx := context.Background()
	h.must(patchGroup(person("print", "root"), "print", "administrator", service.GroupPatch{Grants: &[]access.Grant{
		{Section: "System.Access", Rights: access.AllRights}, // of one store only, by way of the group based on it
	}})(h.options.Directory))
	acts := map[string]func(access.Caller) error{
		"history": func(c access.Caller) error {
			_, err := h.tenants.Revisions(ctx, c, "print")
			return err
		},
		"policy": func(c access.Caller) error {
			_, err := h.policies.Load(ctx, c, "print", printShop, service.LoadOptions{DryRun: true})
			return err
		},
		"status": func(c access.Caller) error {
			_, err := h.options.Replicas.Status(ctx, c)
			return err
		},
		"other history": func(c access.Caller) error {
			_, err := h.tenants.Revisions(ctx, c, "default")
			return err
		},
		"other policy": func(c access.Caller) error {
			_, err := h.policies.Load(ctx, c, "default", printShop, service.LoadOptions{DryRun: true})
			return err
		},
		"new policy": func(c access.Caller) error {
			_, err := h.policies.Load(ctx, c, "mine", printShop, service.LoadOptions{CreateTenant: true})
			return err
		},
		"new tenant": func(c access.Caller) error {
			_, err := h.tenants.Create(ctx, c, access.Tenant{Code: "mine"}, "", access.Change{})
			return err
		},
	}
	for _, who := range []string{"customer-1", "operator-1", "admin-1", "delegate-1", "root"} {
		caller := person("print", who)
		for name, act := range acts {
			may := who == "root" && (name == "history" || name == "policy" || name == "status")
			if err := act(caller); (err == nil) != may || err != nil && !errors.Is(err, access.ErrForbidden) {
				t.Errorf("%s and the %s: %v", who, name, err)
			}
		}
		seen, err := h.tenants.List(ctx, caller)
		if err != nil || len(seen) != 1 || seen[0].Code != "print" {
			t.Errorf("%s is shown the tenants %v, %v", who, seen, err)
		}
	}
}

// A tenant with a Casbin model of its own has nobody of whom our words say what
// he may do, whatever its rules are called.
func TestPeople_foreignModel(t *testing.T) {
	h := newHouse(t)
	h.load("plain", files(map[string]string{
		"bundle.yaml": "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: plain\n",
		"model.conf":  "[request_definition]\nr = sub, dom, obj, act, ctx\n[policy_definition]\np = sub, dom, obj, act, eft, cond\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = true\n",
		"rules.csv":   "p, u:root, *, System.Access.Users, 63, allow, -\n",
	}))
	caller, ctx := person("plain", "root"), context.Background()
	if _, err := h.tenants.Revisions(ctx, caller, "plain"); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("the history: %v", err)
	}
	if _, _, err := h.options.Directory.User(ctx, caller, "plain", "root"); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("a user: %v", err)
	}
	raw := &access.Request{Subject: caller.Subject, Raw: []any{"alice", "*", "x", "y", "z"}}
	if _, err := h.options.Decisions.Check(ctx, caller, "plain", raw, access.Consistency{}); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("a positional question: %v", err)
	}
}
