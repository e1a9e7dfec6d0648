package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// manyLines gives one rule to each of n users.
func manyLines(n int) []access.Rule {
	var rules []access.Rule
	for i := range n {
		rules = append(rules, line("p", fmt.Sprint("user", i), "data1", "read", "allow"))
	}
	return rules
}

// TestForeign_allocatesNothing for questions of plain texts, whoever decides,
// where the plan needs no interpreter, and as little as the interpreter itself
// where it finds nothing to interpret.
func TestForeign_allocatesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	for name, model := range map[string]string{
		"native":     aclModel,
		"candidates": strings.Replace(aclModel, "r.act == p.act", "r.act == p.act && r.act.Name == 'x'", 1),
	} {
		e := engine.New(engine.Options{Clock: func() time.Time { return clock }})
		facts := access.Facts{Tenant: "t", Model: model, Rules: manyLines(500), Users: []access.UserFacts{{ID: "user9", Status: access.UserDisabled}}}
		install, err := e.Prepare(facts)
		if err != nil {
			t.Fatal(err)
		}
		install(1)
		if s, _ := e.Snapshot("t"); s.Plans()[0].Name != name {
			t.Fatalf("%s: the plan is %s", name, s.Plans()[0].Name)
		}
		ctx := context.Background()
		for _, raw := range [][]any{{"user7", "data1", "read"}, {"user7", "data1", "write"}, {"user9", "data1", "read"}, {"stranger", "x", "y"}} {
			if name == "candidates" && raw[2] == "read" {
				continue // these are interpreted
			}
			r := &access.Request{Raw: raw}
			allocated := testing.AllocsPerRun(100, func() {
				if d, err := e.Decide(ctx, "t", r); err != nil || name == "native" && d.Allowed != (raw[0] == "user7" && raw[2] == "read") {
					t.Fatal(d, err)
				}
			})
			if allocated != 0 {
				t.Errorf("%s, %v: %v allocations", name, raw, allocated)
			}
		}
	}
}

// TestForeign_ruleIsOne: whoever is told of a rule is told of the same, as it
// was given, however many others decide in between.
func TestForeign_ruleIsOne(t *testing.T) {
	rules := manyLines(20_000) // more than are kept written out
	for i := range rules {
		rules[i].Place = int64(i+1) << 30
		rules[i].Origin = access.Origin{File: "p.csv", Line: i + 1, Column: i % 9000}
	}
	rules[7].Validity = access.Validity{From: clock.Add(-time.Hour)}
	s, err := engine.Compile(access.Facts{Tenant: "t", Model: aclModel, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i, want := range rules {
			d, err := s.Decide(&access.Request{Raw: []any{fmt.Sprint("user", i), "data1", "read"}}, clock)
			if err != nil || d.Rule == nil || !d.Rule.Same(want) || d.Rule.Place != want.Place || d.Rule.Origin != want.Origin || d.Rule.Validity != want.Validity {
				t.Fatalf("got %+v, %v, want %+v", d.Rule, err, want)
			}
		}
	}
}

// late is over, but nobody has noticed yet.
type late struct{ context.Context }

func (late) Err() error { return nil }

// TestForeign_deadline: a question that has to queue waits no longer than its
// caller does. Where its turn has come and its time is over, either may be first.
func TestForeign_deadline(t *testing.T) {
	model := strings.Replace(aclModel, "g(r.sub, p.sub)", "r.sub.Name == p.sub", 1)
	e := engine.New(engine.Options{Clock: func() time.Time { return clock }})
	install, err := e.Prepare(access.Facts{Tenant: "t", Model: model, Rules: manyLines(2000)})
	if err != nil {
		t.Fatal(err)
	}
	install(1)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	ctx := late{over}
	r := &access.Request{Raw: []any{map[string]any{"Name": "user7"}, "data1", "read"}}
	for name, ask := range map[string]func() (bool, error){
		"one":     func() (bool, error) { d, err := e.Decide(ctx, "t", r); return d.Allowed, err },
		"many":    func() (bool, error) { all, err := e.DecideAll(ctx, "t", []access.Request{*r}); return all != nil, err },
		"explain": func() (bool, error) { x, err := e.Explain(ctx, "t", r); return x.Allowed, err },
	} {
		givenUp := false
		for range 64 {
			allowed, err := ask()
			if err != nil && (allowed || !errors.Is(err, access.ErrUnavailable)) {
				t.Fatalf("%s: got %v, %v", name, allowed, err)
			}
			givenUp = givenUp || err != nil
		}
		if !givenUp {
			t.Errorf("%s: its context was never heeded", name)
		}
	}
}

// TestDecide_setOfBuiltInModel: the built-in model has one set of definitions.
func TestDecide_setOfBuiltInModel(t *testing.T) {
	s, err := engine.Compile(access.Facts{Tenant: "t"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Decide(&access.Request{Raw: []any{"alice", "*", "/x", "show"}, RawSet: "2"}, clock)
	if !errors.Is(err, access.ErrInvalid) || !strings.Contains(fmt.Sprint(err), "context_set") || d.Allowed || d.Reason != access.ReasonRequestInvalid {
		t.Errorf("got %+v, %v", d, err)
	}
}

// TestAdvance_foreignShares: a change of users or settings compiles nothing, and
// is in force.
func TestAdvance_foreignShares(t *testing.T) {
	facts := access.Facts{Tenant: "t", Revision: 1, Model: aclModel, Rules: manyLines(10)}
	for i := range facts.Rules {
		facts.Rules[i].Place = int64(i + 1)
	}
	s, err := engine.Compile(facts)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(s *engine.Snapshot) access.Reason {
		d, err := s.Decide(&access.Request{Raw: []any{"user7", "data1", "read"}}, clock)
		if err != nil || d.Revision != s.Revision() {
			t.Fatal(d, err)
		}
		return d.Reason
	}
	frame := facts
	frame.Rules, frame.Scopes = nil, []access.ScopeNode{{Scope: "/x"}}
	other := frame
	other.Functions.Eval = true
	for _, step := range []struct {
		name   string
		delta  access.Delta
		want   access.Reason
		shared bool
	}{
		{"a user is disabled", access.Delta{Users: []access.UserFacts{{ID: "user7", Status: access.UserDisabled}}}, access.ReasonSubjectDisabled, true},
		{"settings", access.Delta{Frame: &frame}, access.ReasonSubjectDisabled, true},
		{"he is gone", access.Delta{Left: []string{"user7"}}, access.ReasonGrantedBy, true},
		{"functions", access.Delta{Frame: &other}, access.ReasonGrantedBy, false},
		{"a rule is gone", access.Delta{Gone: facts.Rules[7:8]}, access.ReasonNoGrant, false},
		{"a rule is back", access.Delta{Rules: facts.Rules[7:8]}, access.ReasonGrantedBy, false},
	} {
		before, reason := s, ask(s)
		step.delta.Tenant, step.delta.From, step.delta.To = "t", s.Revision(), s.Revision()+1
		if s, err = before.Advance(step.delta); err != nil {
			t.Fatal(step.name, err)
		}
		if got := ask(s); got != step.want {
			t.Errorf("%s: got %s, want %s", step.name, got, step.want)
		}
		if got := ask(before); got != reason {
			t.Errorf("%s: the revision before says %s now", step.name, got)
		}
		if shared := engine.SameRules(before, s); shared != step.shared {
			t.Errorf("%s: what is compiled is shared: %v", step.name, shared)
		}
	}
}

// TestForeign_keepsRulesOnce: as numbers, and not as they came.
func TestForeign_keepsRulesOnce(t *testing.T) {
	if raced {
		t.Skip("the race detector keeps books of its own")
	}
	heap := func() uint64 {
		var m runtime.MemStats
		for range 2 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const n = 100_000
	before := heap()
	s, err := engine.Compile(access.Facts{Tenant: "t", Model: aclModel, Rules: manyLines(n)})
	if err != nil {
		t.Fatal(err)
	}
	after := heap()
	if perRule := float64(int64(after)-int64(before)) / n; perRule > 70 {
		t.Errorf("%.0f bytes for each rule", perRule)
	} else {
		t.Logf("%.0f bytes for each rule", perRule)
	}
	runtime.KeepAlive(s)
}
