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

// TestEngine walks through the life of a tenant.
func TestEngine(t *testing.T) {
	e := engine.New(engine.Options{Clock: func() time.Time { return clock }})
	r := ask("user:clerk-1", "System.Orders", "show")
	if d, err := e.Decide(t.Context(), "t", r); !errors.Is(err, access.ErrNotFound) || d.Allowed || d.Reason != access.ReasonTenantUnknown {
		t.Errorf("an unknown tenant: %+v, %v", d, err)
	}
	install, err := e.Prepare(small().Facts())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := e.Snapshot("t"); ok {
		t.Error("what is prepared is in force already")
	}
	install(7)
	if s, ok := e.Snapshot("t"); !ok || s.Revision() != 7 || s.Tenant() != "t" {
		t.Error("what was installed is not in force")
	}
	if d, err := e.Decide(t.Context(), "t", r); err != nil || !d.Allowed || d.Revision != 7 {
		t.Errorf("got %+v, %v", d, err)
	}
	if x, err := e.Explain(t.Context(), "t", r); err != nil || !x.Allowed || x.Revision != 7 {
		t.Errorf("got %+v, %v", x, err)
	}
	if _, err := e.Explain(t.Context(), "other", r); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	e.Remove("t")
	if _, err := e.DecideAll(t.Context(), "t", nil); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a removed tenant: %v", err)
	}
}

// TestEngine_DecideAll: a malformed item is a denial among the others, and a
// question given up is an error.
func TestEngine_DecideAll(t *testing.T) {
	e := engine.New(engine.Options{})
	e.Install(compile(t, small()))
	good := *ask("user:clerk-1", "System.Orders", "show")
	bad := good
	bad.Section = ""
	all, err := e.DecideAll(t.Context(), "t", []access.Request{good, bad, good})
	if err != nil || len(all) != 3 || !all[0].Allowed || all[1].Allowed || !all[2].Allowed {
		t.Fatalf("got %+v, %v", all, err)
	}
	if all[1].Reason != access.ReasonRequestInvalid || all[1].Detail != "section: is required" {
		t.Errorf("got %+v", all[1])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.DecideAll(ctx, "t", []access.Request{good}); err == nil {
		t.Error("a question that was given up is answered")
	}
}

// TestEngine_conditionErrors: failures are counted over revisions, and an error
// is never a yes: the allow fails and the deny stands.
func TestEngine_conditionErrors(t *testing.T) {
	p := small()
	p.Roles[0].Grants = []access.Grant{
		{Section: "System.Orders", Rights: access.Show, Condition: "context.nothing == 1"},
		{Section: "System.Orders", Rights: access.Update},
		{Section: "System.Orders", Rights: access.Update, Effect: access.Deny, Condition: "context.nothing == 1"},
	}
	e := engine.New(engine.Options{})
	for range 2 {
		e.Install(compile(t, p))
		for action, reason := range map[access.Action]access.Reason{"show": access.ReasonNoGrant, "update": access.ReasonDeniedBy} {
			d, err := e.Decide(t.Context(), "t", ask("user:clerk-1", "System.Orders", action))
			if err != nil || d.Allowed || d.Reason != reason {
				t.Errorf("%s: %+v, %v", action, d, err)
			}
		}
	}
	if n := e.ConditionErrors(); n != 4 {
		t.Errorf("%d failures counted", n)
	}
	e.Remove("t")
	if n := e.ConditionErrors(); n != 4 {
		t.Errorf("%d failures counted once the tenant is gone", n)
	}
}

// TestEngine_wholeRevisions installs two revisions by turns, in each of which
// the subject may do the one thing or the other but never both or neither, while
// others ask. A subject allowed directly and denied through a role is never
// allowed.
func TestEngine_wholeRevisions(t *testing.T) {
	pair := func(first, second access.Rights) *engine.Snapshot {
		p := small()
		p.Roles[0].Grants = []access.Grant{
			{Section: "System.Orders", Rights: first},
			{Section: "System.OrdersOld", Rights: second},
			{Section: "System.Chats", Rights: access.Update, Effect: access.Deny},
		}
		p.Users[1].Grants = []access.Grant{{Section: "System.Chats", Rights: access.Update}}
		return compile(t, p)
	}
	e := engine.New(engine.Options{})
	odd, even := pair(access.Show, access.Update), pair(access.Update, access.Show)
	e.Install(odd)
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
					*ask("user:clerk-2", "System.Orders", "show"), *ask("user:clerk-2", "System.OrdersOld", "show"),
					*ask("user:clerk-2", "System.Chats", "update"),
				})
				if err != nil || all[0].Allowed == all[1].Allowed || all[2].Allowed {
					t.Errorf("half a revision: %+v, %v", all, err)
					return
				}
			}
		})
	}
	for i := range 1000 {
		if i%2 == 0 {
			e.Install(even)
		} else {
			e.Install(odd)
		}
	}
	close(done)
	wait.Wait()
}

// TestForeign_concurrent puts questions from many sides while a rule begins and
// ceases to hold, so that the rules are compiled again and again.
func TestForeign_concurrent(t *testing.T) {
	late := line("p", "late", "data1", "read", "allow")
	late.Validity.From = clock.Add(time.Hour)
	s, err := engine.Compile(access.Facts{Tenant: "t", Model: aclModel, Rules: []access.Rule{
		line("p", "admin", "data1", "read", "allow"), line("p", "guest", "data1", "read", "deny"), late,
		line("g", "alice", "admin"), line("g", "bob", "admin"), line("g", "bob", "guest"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range 300 {
				now := clock.Add(time.Duration(i%2) * time.Hour)
				for who, want := range map[string]bool{"alice": true, "bob": false, "eve": false, "late": i%2 == 1} {
					d, err := s.Decide(&access.Request{Raw: []any{who, "data1", "read"}}, now)
					if err != nil || d.Allowed != want {
						t.Errorf("%s: %+v, %v", who, d, err)
					}
				}
			}
		})
	}
	wait.Wait()
}
