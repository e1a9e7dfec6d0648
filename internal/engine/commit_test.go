package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// TestEngine_Advance: a difference takes effect as a whole or not at all.
func TestEngine_Advance(t *testing.T) {
	f := revocable()
	e := engine.New(engine.Options{Clock: func() time.Time { return clock }})
	if err := e.Advance(access.Delta{Tenant: "t"}); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("an unknown tenant: %v", err)
	}
	install(t, e, f)
	line := func(place int64, values ...string) access.Rule {
		r := access.Rule{Type: "p", Values: values, Place: place}
		if len(values) == 3 {
			r.Type = "g"
		}
		return r
	}
	good := line(5000, "u:clerk-1", "*", "System.OrdersOld", "2", "allow", "-")
	for name, d := range map[string]access.Delta{
		"another base":         {From: 2, To: 3},
		"backwards":            {From: 1, To: 0},
		"a line not there":     {From: 1, To: 2, Rules: []access.Rule{good}, Gone: []access.Rule{line(7777, "u:clerk-1", "g:clerks", "*")}},
		"the same place":       {From: 1, To: 2, Rules: []access.Rule{good, line(5000, "u:clerk-1", "g:clerks", "*")}},
		"no place":             {From: 1, To: 2, Rules: []access.Rule{line(0, "u:clerk-1", "g:clerks", "*")}},
		"an unknown scope":     {From: 1, To: 2, Rules: []access.Rule{good, line(6000, "u:clerk-1", "g:clerks", "store:z")}},
		"a bad line":           {From: 1, To: 2, Rules: []access.Rule{good, line(6000, "clerk-1", "g:clerks", "*")}},
		"a bad condition":      {From: 1, To: 2, Rules: []access.Rule{good}, Frame: edited(f, func(f *access.Facts) { f.Conditions = []access.Condition{{ID: "c", Text: "1 +"}} })},
		"another model":        {From: 1, To: 2, Rules: []access.Rule{good}, Frame: edited(f, func(f *access.Facts) { f.Model = aclModel })},
		"users kept elsewhere": {From: 1, To: 2, Rules: []access.Rule{good}, Frame: edited(f, func(f *access.Facts) { f.Fetched = true })},
		"a scope in use":       {From: 1, To: 2, Frame: edited(f, func(f *access.Facts) { f.Scopes = nil }), Rules: []access.Rule{line(6000, "u:clerk-1", "g:clerks", "store:a")}},
	} {
		d.Tenant = "t"
		if err := e.Advance(d); !errors.Is(err, access.ErrStale) {
			t.Errorf("%s: %v", name, err)
		}
		if s, _ := e.Snapshot("t"); s.Revision() != 1 {
			t.Fatalf("%s took effect", name)
		}
		if d, err := e.Decide(t.Context(), "t", ask("user:clerk-1", "System.OrdersOld", "show")); err != nil || d.Allowed {
			t.Errorf("%s took effect in part: %+v, %v", name, d, err)
		}
	}
	if err := e.Advance(access.Delta{Tenant: "t", From: 1, To: 2, Rules: []access.Rule{good}}); err != nil {
		t.Fatal(err)
	}
	if d, err := e.Decide(t.Context(), "t", ask("user:clerk-1", "System.OrdersOld", "show")); err != nil || !d.Allowed || d.Revision != 2 || d.Rule.Place != 5000 {
		t.Errorf("got %+v, %v", d, err)
	}
}

func edited(f access.Facts, edit func(*access.Facts)) *access.Facts {
	f = frame(f)
	edit(&f)
	return &f
}

// TestAdvance_scopeInUse: a scope that lines name cannot go, be they lines of
// users, roles or anonymous; nor can a condition.
func TestAdvance_scopeInUse(t *testing.T) {
	for _, owner := range []string{"u:clerk-1", "r:clerk", "u:anonymous"} {
		for _, names := range []access.Rule{
			{Type: "g", Values: []string{owner, "g:guests", "company:7"}, Place: 9000},
			{Type: "p", Values: []string{owner, "company:7", "System.Orders", "2", "allow", "-"}, Place: 9000},
			{Type: "p", Values: []string{owner, "*", "System.Orders", "2", "allow", "c"}, Place: 9000},
		} {
			f := revocable()
			f.Conditions = []access.Condition{{ID: "c", Text: "true"}}
			f.Rules = append(f.Rules, names)
			s := mustCompile(t, f)
			d := access.Delta{Tenant: "t", From: 1, To: 2, Frame: edited(f, func(f *access.Facts) { f.Scopes, f.Conditions = nil, nil })}
			if _, err := s.Advance(d); !errors.Is(err, access.ErrStale) {
				t.Errorf("%s: %v", names, err)
			}
			d.Gone = []access.Rule{names}
			if _, err := s.Advance(d); err != nil {
				t.Errorf("without %s: %v", names, err)
			}
		}
	}
}

// TestAdvance_foreign: a tenant with a model of its own advances too.
func TestAdvance_foreign(t *testing.T) {
	f := access.Facts{Tenant: "t", Model: aclModel, Revision: 1, Rules: []access.Rule{line("p", "alice", "data1", "read", "allow"), line("p", "bob", "data1", "read", "allow")}}
	placed(&f)
	s := mustCompile(t, f)
	next := line("p", "carol", "data1", "read", "allow")
	next.Place = 15
	d := access.Delta{Tenant: "t", From: 1, To: 2, Gone: f.Rules[1:], Rules: []access.Rule{next}}
	after, err := s.Advance(d)
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string][2]bool{"alice": {true, true}, "bob": {true, false}, "carol": {false, true}} {
		for i, s := range []*engine.Snapshot{s, after} {
			r := &access.Request{Raw: []any{who, "data1", "read"}}
			if d, err := s.Decide(r, clock); err != nil || d.Allowed != want[i] || d.Revision != access.Revision(i+1) {
				t.Errorf("%s at revision %d: %+v, %v", who, i+1, d, err)
			}
		}
	}
	if _, err := after.Advance(d); !errors.Is(err, access.ErrStale) {
		t.Errorf("twice: %v", err)
	}
	d.From, d.To = 2, 3
	if _, err := after.Advance(d); !errors.Is(err, access.ErrStale) {
		t.Errorf("a rule that is gone already: %v", err)
	}
	if a, b := engine.StampOf(s, access.Anonymous), engine.StampOf(after, access.Anonymous); a == b || a.Engine != b.Engine {
		t.Errorf("stamps %+v, %+v", a, b)
	}
}

// TestStamp names what an answer depends on and nothing else.
func TestStamp(t *testing.T) {
	f := revocable()
	f.Epoch = "e1"
	s := mustCompile(t, f)
	user, other := access.Subject{Kind: access.KindUser, ID: "clerk-1"}, access.Subject{Kind: access.KindUser, ID: "clerk-2"}
	next, d := revoke(f, nil)
	after, err := s.Advance(d)
	if err != nil {
		t.Fatal(err)
	}
	if engine.StampOf(s, other) != engine.StampOf(after, other) {
		t.Error("somebody else's change is in the stamp")
	}
	if engine.StampOf(s, user) == engine.StampOf(after, user) {
		t.Error("the user's own change is not in the stamp")
	}
	if got := engine.StampOf(after, user); got.Subject != 2 || got.Policy != 1 || got.Epoch != "e1" || got.Tenant != "t" || got.Engine == "" {
		t.Errorf("got %+v", got)
	}
	policy := access.Delta{Tenant: "t", From: 2, To: 3, Policy: 3, Rules: []access.Rule{{Type: "p", Place: 9000, Values: []string{"r:clerk", "*", "System.Bills", "2", "allow", "-"}}}}
	if after, err = after.Advance(policy); err != nil || engine.StampOf(after, other).Policy != 3 {
		t.Errorf("a change of the policy is not in the stamp: %v", err)
	}
	if s := mustCompile(t, next); engine.StampOf(s, user).Subject != 2 {
		t.Error("compiling does not know the stripe")
	}
}

// TestTables_survive: what is remembered of a user lasts through changes of
// others, and not through those of himself or of the policy.
func TestTables_survive(t *testing.T) {
	f := revocable()
	e := engine.New(engine.Options{})
	install(t, e, f)
	misses := func() uint64 {
		before := e.Stats()[0].Misses
		if _, err := e.Decide(t.Context(), "t", ask("user:clerk-2", "System.Orders", "show")); err != nil {
			t.Fatal(err)
		}
		return e.Stats()[0].Misses - before
	}
	if misses() != 1 || misses() != 0 {
		t.Fatal("nothing is remembered")
	}
	rule := func(i int64, owner string) access.Delta {
		at, _ := e.Snapshot("t")
		return access.Delta{Tenant: "t", From: at.Revision(), To: at.Revision() + 1, Rules: []access.Rule{
			{Type: "p", Place: 9000 + i, Values: []string{owner, "*", "System.Bills", "2", "allow", "-"}},
		}}
	}
	for i, tc := range []struct {
		owner string
		lost  uint64
	}{{"u:clerk-1", 0}, {"u:clerk-2", 1}, {"u:somebody", 0}, {"r:clerk", 1}, {"a:crm", 1}, {"u:anonymous", 1}} {
		if err := e.Advance(rule(int64(i), tc.owner)); err != nil {
			t.Fatal(err)
		}
		if got := misses(); got != tc.lost {
			t.Errorf("after a change of %s %d tables are missed", tc.owner, got)
		}
	}
}

// TestTables_misplaced: what is found in the place of somebody else is not used.
func TestTables_misplaced(t *testing.T) {
	f := revocable()
	resident := engine.New(engine.Options{})
	install(t, resident, f)
	fetched, _ := fetching(t, f, engine.Options{})
	for name, e := range map[string]*engine.Engine{"resident": resident, "fetched": fetched} {
		clerk, biller := ask("user:clerk-1", "System.Orders", "update"), ask("user:biller-1", "System.Orders", "update")
		for range 2 {
			if d, err := e.Decide(t.Context(), "t", clerk); err != nil || !d.Allowed {
				t.Fatalf("%s: %+v, %v", name, d, err)
			}
		}
		s, _ := e.Snapshot("t")
		engine.Misplace(s, clerk.Subject, biller.Subject)
		if d, err := e.Decide(t.Context(), "t", biller); err != nil || d.Allowed {
			t.Errorf("%s: one is taken for the other: %+v, %v", name, d, err)
		}
		engine.Misplace(s, clerk.Subject, biller.Subject)
		if all, err := e.DecideAll(t.Context(), "t", []access.Request{*biller}); err != nil || all[0].Allowed {
			t.Errorf("%s: one is taken for the other: %+v, %v", name, all, err)
		}
	}
}

// TestEngine_commits: a subject granted directly and denied through a role is
// never allowed, and two rules that change together are never seen apart, while
// ten thousand differences are put into force.
func TestEngine_commits(t *testing.T) {
	f := small().Facts()
	f.Revision = 1
	f.Rules = append(f.Rules,
		access.Rule{Type: "p", Values: []string{"u:clerk-2", "*", "System.Chats", "8", "allow", "-"}},
		access.Rule{Type: "p", Values: []string{"r:clerk", "*", "System.Chats", "8", "deny", "-"}},
	)
	placed(&f)
	e := engine.New(engine.Options{})
	install(t, e, f)
	// Each difference moves a right from one user to another, by a rule of his own
	// and by one of a role.
	bills := access.Rule{Type: "p", Place: 9001, Values: []string{"u:clerk-2", "*", "System.Bills", "32", "allow", "-"}}
	old := access.Rule{Type: "p", Place: 9002, Values: []string{"r:clerk", "*", "System.OrdersOld", "32", "allow", "-"}}
	if err := e.Advance(access.Delta{Tenant: "t", From: 1, To: 2, Policy: 2, Rules: []access.Rule{old}}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				all, err := e.DecideAll(context.Background(), "t", []access.Request{
					*ask("user:clerk-2", "System.Chats", "update"),
					*ask("user:clerk-2", "System.Bills", "execute"), *ask("user:clerk-1", "System.OrdersOld", "execute"),
				})
				if err != nil || all[0].Allowed || all[1].Allowed == all[2].Allowed {
					t.Errorf("half a revision: %+v, %v", all, err)
					return
				}
			}
		})
	}
	for i := range 10_000 {
		s, _ := e.Snapshot("t")
		d := access.Delta{Tenant: "t", From: s.Revision(), To: s.Revision() + 1, Policy: s.Revision() + 1}
		if d.Rules, d.Gone = []access.Rule{bills}, []access.Rule{old}; i%2 == 1 {
			d.Rules, d.Gone = d.Gone, d.Rules
		}
		if err := e.Advance(d); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	wait.Wait()
}

// TestAdvance_newSection: a rule on a section that nobody has declared is handed
// down to those below it, whoever holds it.
func TestAdvance_newSection(t *testing.T) {
	for _, owner := range []string{"u:clerk-1", "g:clerks"} {
		f := revocable()
		f.Catalogue[0].Sections = append(f.Catalogue[0].Sections, access.SectionEntry{Path: "Other.Part"})
		s := mustCompile(t, f)
		r := ask("user:clerk-1", "Other.Part", "show")
		if decide(t, s, r).Allowed {
			t.Fatal("allowed from the start")
		}
		next, err := s.Advance(access.Delta{Tenant: "t", From: 1, To: 2, Rules: []access.Rule{
			{Type: "p", Place: 9000, Values: []string{owner, "*", "Other", "3", "allow", "-"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if d := decide(t, next, r); !d.Allowed || decide(t, s, r).Allowed {
				t.Errorf("%s: %+v", owner, d)
			}
		}
	}
}
