package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// The built-in model with what it needs for loading.
const builtIn = `
[request_definition]
r = sub, dom, obj, act, ctx
[policy_definition]
p = sub, dom, obj, act, eft, cond
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act`

// TestCasbinAdapter_stock: a stock enforcer loads the rules of one tenant that
// are in force, all of them and in their order.
func TestCasbinAdapter_stock(t *testing.T) {
	onEach(t, func(d database) {
		t, o := d.t, d.options
		s := accesstest.OpenStore(t, o)
		if _, err := s.CreateTenant(t.Context(), access.Tenant{Code: "other"}, any1); err != nil {
			t.Fatal(err)
		}
		other := accesstest.StorePolicy("other")
		other.Users[0].ID = "of-the-other-tenant"
		apply(t, s, other)
		p := accesstest.StorePolicy(access.DefaultTenant)
		apply(t, s, p)
		// Written later, yet it stands before the others.
		p.Roles = append([]access.Role{{Code: "first", Grants: []access.Grant{{Section: "System.Stores", Rights: 8, Scope: "store:a"}}}}, p.Roles...)
		p.Users[0].Roles = []access.Link{{To: "first", Scope: "store:a"}}
		facts := apply(t, s, p)

		e := enforcer(t, s, access.DefaultTenant)
		for _, ptype := range []string{"p", "g"} {
			var want, got []string
			for _, r := range facts.Rules {
				if r.Type == ptype && r.Validity.At(time.Now()) {
					want = append(want, strings.Join(r.Values, ", "))
				}
			}
			for _, values := range e.GetModel()[ptype][ptype].Policy {
				got = append(got, strings.Join(values, ", "))
			}
			if !slices.Equal(got, want) {
				t.Errorf("Casbin has\n%q\nand the store\n%q", got, want)
			}
		}
		if len(facts.Rules) == len(e.GetModel()["p"]["p"].Policy)+len(e.GetModel()["g"]["g"].Policy) {
			t.Error("no rule lies ahead: the test looks at too little")
		}
		for subject, want := range map[string]bool{"u:42": true, "u:of-the-other-tenant": false} {
			if ok, err := e.Enforce(subject, "store:a", "System.Stores", "8", ""); err != nil || ok != want {
				t.Errorf("%s: %t, %v, want %t", subject, ok, err, want)
			}
		}
	})
}

func enforcer(t *testing.T, s *store.Store, tenant string) *casbin.Enforcer {
	t.Helper()
	m, err := model.NewModelFromString(builtIn)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.CasbinAdapter(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	e, err := casbin.NewEnforcer(m, a)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestCasbinAdapter_readOnly: whatever a stock enforcer tries to write is an error.
func TestCasbinAdapter_readOnly(t *testing.T) {
	s := accesstest.OpenStore(t, databases["sqlite"](t))
	before := apply(t, s, accesstest.StorePolicy(access.DefaultTenant))
	e := enforcer(t, s, access.DefaultTenant)
	line := []any{"u:x", "*", "System", "2", "allow", "-"}
	existing := e.GetModel()["p"]["p"].Policy[1]
	for what, try := range map[string]func() error{
		"SavePolicy": e.SavePolicy,
		"AddPolicy":  func() error { _, err := e.AddPolicy(line...); return err },
		"AddPolicies": func() error {
			_, err := e.AddPolicies([][]string{{"u:y", "*", "System", "2", "allow", "-"}})
			return err
		},
		"RemovePolicy":   func() error { _, err := e.RemovePolicy(existing); return err },
		"RemovePolicies": func() error { _, err := e.RemovePolicies([][]string{existing}); return err },
		"UpdatePolicy": func() error {
			_, err := e.UpdatePolicy(existing, []string{"u:z", "*", "System", "2", "allow", "-"})
			return err
		},
		"UpdatePolicies": func() error {
			_, err := e.UpdatePolicies([][]string{existing}, [][]string{{"u:z", "*", "System", "2", "allow", "-"}})
			return err
		},
		"UpdateFiltered": func() error {
			_, err := e.UpdateFilteredPolicies([][]string{{"u:z", "*", "System", "2", "allow", "-"}}, 0, existing[0])
			return err
		},
		"RemoveFilteredPolicy": func() error { _, err := e.RemoveFilteredPolicy(0, existing[0]); return err },
	} {
		if err := try(); err == nil {
			t.Errorf("%s has worked", what)
		}
	}
	if after := load(t, s, access.DefaultTenant); len(after.Rules) != len(before.Rules) {
		t.Errorf("%d rules are left of %d", len(after.Rules), len(before.Rules))
	}
}
