package oracle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"
	stringadapter "github.com/casbin/casbin/v2/persist/string-adapter"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

var now = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func facts() access.Facts {
	show := []string{"u:1", "*", "System.Orders", "2", "allow", access.NoCondition}
	return access.Facts{
		Tenant: "t", Revision: 4, Combining: access.DenyOverrides, Scopes: []access.ScopeNode{{Scope: "store:a"}},
		Catalogue: []access.Application{{Code: "crm", Sections: []access.SectionEntry{{Path: "System.Orders"}}}},
		Users:     []access.UserFacts{{ID: "1", Status: access.UserActive}},
		Rules: []access.Rule{
			access.Sentinel(),
			{Type: "p", Values: []string{"u:1", "*", "System.Orders", "63", "deny", access.NoCondition}, Validity: access.Validity{Until: now}},
			{Type: "p", Values: show},
			{Type: "p", Values: []string{"u:1", "*", "System.Orders", "6", "allow", access.NoCondition}},
			{Type: "g", Values: []string{"u:1", access.SuperuserRole, "*"}, Validity: access.Validity{From: now.Add(time.Hour)}},
		},
	}
}

func request() *access.Request {
	return &access.Request{Subject: access.Subject{Kind: access.KindUser, ID: "1"}, Section: "System.Orders", Scope: "store:a", Actions: []access.Action{"show"}}
}

// TestOracle_Decide: the same answers whether stock Casbin gets its rules from
// the facts or from an adapter, and rules only while they hold.
func TestOracle_Decide(t *testing.T) {
	f := facts()
	var text []string
	for _, r := range f.Rules {
		text = append(text, r.String())
	}
	loaded, err := oracle.New(f, stringadapter.NewAdapter(strings.Join(text, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	direct, err := oracle.New(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]*oracle.Oracle{"facts": direct, "adapter": loaded} {
		for _, tc := range []struct {
			at     time.Time
			reason access.Reason
			rule   int
		}{
			{now.Add(-1), access.ReasonDeniedBy, 1},
			{now, access.ReasonGrantedBy, 2}, // the first in policy order, though a rule before it is gone
			{now.Add(time.Hour), access.ReasonSuperuser, -1},
		} {
			d, err := o.Decide(request(), tc.at)
			if err != nil || d.Reason != tc.reason || d.Revision != 4 {
				t.Errorf("%s at %v: %+v, %v", name, tc.at, d, err)
			}
			if tc.rule >= 0 && (d.Rule == nil || !d.Rule.Same(f.Rules[tc.rule])) {
				t.Errorf("%s at %v: by %v", name, tc.at, d.Rule)
			}
		}
		v, err := o.Verdict(request(), "delete", now)
		if err != nil || v.Allowed || v.Reason != access.ReasonNoGrant {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		if allowed, rule, err := o.Enforce(now, "u:1", "*/store:a", "System.Orders", "2", map[string]any{}); err != nil || !allowed || len(rule) != 6 {
			t.Errorf("%s: %v by %v, %v", name, allowed, rule, err)
		}
	}
}

// broken is an adapter whose rules do not fit the model.
type broken struct{ persist.Adapter }

func (broken) LoadPolicy(m model.Model) error {
	return persist.LoadPolicyLine("p, too, short", m)
}

// TestOracle_adapterFails: rules that cannot be loaded are an error and never an
// answer.
func TestOracle_adapterFails(t *testing.T) {
	o, err := oracle.New(facts(), broken{})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := o.Decide(request(), now); err == nil || d.Allowed {
		t.Errorf("got %+v, %v", d, err)
	}
	if v, err := o.Verdict(request(), "show", now); err == nil || v.Allowed {
		t.Errorf("got %+v, %v", v, err)
	}
}

// TestSample: about as many rules as asked for, and stock Casbin and the engine
// agree about them.
func TestSample(t *testing.T) {
	const rules = 1_100
	f := oracle.Sample(rules)
	if n := len(f.Rules); n < rules*8/10 || n > rules*12/10 {
		t.Errorf("%d rules", n)
	}
	o, err := oracle.New(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := engine.Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	allowed := 0
	for i := range 200 {
		r := oracle.SampleRequest(rules, i)
		want, err := o.Decide(&r, now)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Decide(&r, now)
		if err != nil || got.Allowed != want.Allowed || got.Rule != nil && !got.Rule.Same(*want.Rule) {
			t.Errorf("%+v: ours %+v, stock %+v, %v", r, got, want, err)
		}
		if got.Allowed {
			allowed++
		}
	}
	if allowed < 40 || allowed > 160 {
		t.Errorf("%d of 200 allowed", allowed)
	}
}
