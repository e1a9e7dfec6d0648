package oracle_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

const twoSets = `[request_definition]
r = sub, obj, act
r2 = sub, act
[policy_definition]
p = sub, obj, act, eft
p2 = sub, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
e2 = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act
m2 = r2.sub.level > 3 && r2.act == p2.act
`

func foreign() access.Facts {
	return access.Facts{
		Tenant: "t", Revision: 3, Model: twoSets, Functions: access.Functions{Roles: map[string]string{"g": "keyMatch"}},
		Users: []access.UserFacts{{ID: "carol", Status: access.UserLocked}},
		Rules: []access.Rule{
			{Type: "p", Values: []string{"staff", "/orders/:id", "read", "allow"}},
			{Type: "p", Values: []string{"bob", "/orders/:id", "read", "deny"}},
			{Type: "g", Values: []string{"desk/*", "staff"}},
			{Type: "g", Values: []string{"bob", "staff"}, Validity: access.Validity{Until: now}},
		},
	}
}

// TestOracle_foreign: stock Casbin's answers for a model of the tenant's own,
// with its functions and sets of definitions, and what is refused before it is
// asked. The engine agrees.
func TestOracle_foreign(t *testing.T) {
	f := foreign()
	o, err := oracle.New(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := engine.Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		raw    []any
		set    string
		reason access.Reason
		rule   int
		fails  bool
	}{
		"by a pattern of a role":   {raw: []any{"desk/7", "/orders/1", "read"}, reason: access.ReasonGrantedBy, rule: 0},
		"by nobody":                {raw: []any{"desk/7", "/orders/1", "write"}, reason: access.ReasonNoGrant, rule: -1},
		"denied":                   {raw: []any{"bob", "/orders/1", "read"}, reason: access.ReasonDeniedBy, rule: 1},
		"locked":                   {raw: []any{"carol", "/orders/1", "read"}, reason: access.ReasonSubjectDisabled, rule: -1},
		"locked, by name":          {raw: []any{"u:carol", "/orders/1", "read"}, reason: access.ReasonSubjectDisabled, rule: -1},
		"blank":                    {raw: []any{"bob", "", "read"}, reason: access.ReasonRequestInvalid, rule: -1},
		"too few":                  {raw: []any{"bob", "read"}, reason: access.ReasonRequestInvalid, rule: -1},
		"unknown set":              {raw: []any{"bob", "read"}, set: "3", reason: access.ReasonRequestInvalid, rule: -1},
		"a set without rules":      {raw: []any{map[string]any{"level": 9.0}, "read"}, set: "2", reason: access.ReasonNoGrant, rule: -1},
		"an evaluation that fails": {raw: []any{"desk/7", map[string]any{}, "read"}, reason: access.ReasonNoGrant, rule: -1, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &access.Request{Raw: tc.raw, RawSet: tc.set}
			d, err := o.Decide(r, now)
			if d.Reason != tc.reason || errors.Is(err, access.ErrInvalid) != (tc.reason == access.ReasonRequestInvalid) {
				t.Errorf("%+v, %v", d, err)
			}
			if (d.Rule != nil) != (tc.rule >= 0) || d.Rule != nil && !d.Rule.Same(f.Rules[tc.rule]) {
				t.Errorf("by %v", d.Rule)
			}
			if failed := d.Reason == access.ReasonNoGrant && d.Detail != ""; failed != tc.fails {
				t.Errorf("detail %q", d.Detail)
			}
			ours, _ := s.Decide(r, now)
			if ours.Allowed != d.Allowed || ours.Reason != d.Reason || (ours.Rule == nil) != (d.Rule == nil) || (ours.Reason == access.ReasonNoGrant && (ours.Detail != "") != tc.fails) {
				t.Errorf("the engine says %+v", ours)
			}
		})
	}
}

// counted counts how often it loads.
type counted struct {
	persist.Adapter
	rules []access.Rule
	loads int
}

func (c *counted) LoadPolicy(m model.Model) error {
	c.loads++
	for _, r := range c.rules {
		if err := persist.LoadPolicyArray(append([]string{r.Type}, r.Values...), m); err != nil {
			return err
		}
	}
	return nil
}

// TestOracle_loads: stock Casbin is loaded when somebody asks, and again only
// where other rules hold than before, for both kinds of models.
func TestOracle_loads(t *testing.T) {
	for name, f := range map[string]access.Facts{"built-in": facts(), "own": foreign()} {
		t.Run(name, func(t *testing.T) {
			from := &counted{rules: f.Rules}
			o, err := oracle.New(f, from)
			if err != nil {
				t.Fatal(err)
			}
			r := request()
			if !f.Ours() {
				r = &access.Request{Raw: []any{"bob", "/orders/1", "read"}}
			}
			for i, step := range []struct {
				at    time.Time
				loads int
			}{{now.Add(-2), 1}, {now.Add(-1), 1}, {now, 2}, {now.Add(time.Minute), 2}, {now.Add(-1), 3}} {
				if _, err := o.Decide(r, step.at); err != nil || from.loads != step.loads {
					t.Errorf("step %d: %d loads, %v", i, from.loads, err)
				}
			}
		})
	}
}

// TestQuestions: they are the same every time, come up with both answers under
// both kinds of models, and stock Casbin and the engine agree.
func TestQuestions(t *testing.T) {
	for name, f := range map[string]access.Facts{"built-in": oracle.Sample(500), "own": foreign()} {
		t.Run(name, func(t *testing.T) {
			o, err := oracle.New(f, nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := engine.Compile(f)
			if err != nil {
				t.Fatal(err)
			}
			questions, again := oracle.Questions(f, 300), oracle.Questions(f, 300)
			allowed := 0
			for i, q := range questions {
				if !reflect.DeepEqual(q, again[i]) {
					t.Fatalf("%+v, and then %+v", q, again[i])
				}
				d, err := o.Decide(&q, now)
				if err != nil {
					t.Fatalf("%+v: %v", q, err)
				}
				if d.Allowed {
					allowed++
				}
				if ours, err := s.Decide(&q, now); err != nil || ours.Allowed != d.Allowed || ours.Reason != d.Reason {
					t.Errorf("%+v: ours %+v, stock %+v, %v", q, ours, d, err)
				}
			}
			if allowed < 15 || allowed > 285 {
				t.Errorf("%d of %d allowed", allowed, len(questions))
			}
		})
	}
}

// TestOracle_Held gives what the adapter holds, less what does not hold now.
func TestOracle_Held(t *testing.T) {
	f := foreign()
	o, err := oracle.New(f, &counted{rules: f.Rules[1:]})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]int{now.Add(-1): 3, now: 2} {
		held, err := o.Held(at)
		if err != nil || len(held) != want {
			t.Errorf("at %v: %v, %v", at, held, err)
		}
	}
}
