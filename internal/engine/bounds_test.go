package engine_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

// TestBounds: however many known and unknown subjects, sections and scopes are
// asked about, what is remembered of them stays within the bound.
func TestBounds(t *testing.T) { bounds(t, 100_000) }

// TestSoakBounds does the same with a million of each.
func TestSoakBounds(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") == "" {
		t.Skip("takes minutes: set BAILIWICK_SOAK=1")
	}
	bounds(t, 1_000_000)
}

// endless knows all users whose ids begin with "known", each in three groups.
type endless struct{ groups int }

// Subjects makes users up.
func (s *endless) Subjects(_ context.Context, _ string, ids []string) ([]access.SubjectFacts, error) {
	all := make([]access.SubjectFacts, len(ids))
	for i, id := range ids {
		all[i] = access.SubjectFacts{Revision: 1, Known: strings.HasPrefix(id, "known"), UserFacts: access.UserFacts{ID: id}}
		for j := range 3 {
			group := fmt.Sprintf("g:group-%d", (int(access.StripeOf(id))+j)%s.groups)
			all[i].Rules = append(all[i].Rules, access.Rule{Type: "g", Place: int64(j + 1), Values: []string{"u:" + id, group, "*"}})
		}
	}
	return all, nil
}

// Users is not asked for here.
func (s *endless) Users(context.Context, string, string, int) ([]access.SubjectFacts, error) {
	return nil, nil
}

func bounds(t *testing.T, n int) {
	t.Helper()
	const limit = 16 << 20
	f := oracle.Sample(11_000)
	placed(&f)
	f.Users = nil
	e := engine.New(engine.Options{Clock: func() time.Time { return clock }, CacheBytes: limit, Subjects: &endless{groups: len(f.Groups)}})
	install(t, e, withoutUsers(f))
	before := heap()
	allowed := 0
	for i := range n {
		known := oracle.SampleRequest(11_000, i)
		known.Subject.ID = fmt.Sprintf("known-%d", i)
		for _, r := range []access.Request{
			known, known, // the second time by a table
			{Subject: access.Subject{Kind: access.KindUser, ID: fmt.Sprintf("unknown-%d", i)}, Section: known.Section, Actions: known.Actions},
			{Subject: access.Anonymous, Section: access.Section(fmt.Sprintf("Nowhere.%d", i)), Actions: known.Actions, Scope: access.Scope(fmt.Sprintf("store:%d", i))},
		} {
			d, err := e.Decide(t.Context(), f.Tenant, &r)
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed {
				allowed++
			}
		}
	}
	grown := heap() - before
	stats := e.Stats()[0]
	t.Logf("%d allowed; %d entries of %d bytes remembered, %d bytes of heap", allowed, stats.CacheEntries, stats.CacheBytes, grown)
	if allowed < n/10 {
		t.Errorf("only %d allowed", allowed)
	}
	// Otter's tables and what it has not thrown out yet come on top.
	if grown > limit*3/2 {
		t.Errorf("the heap has grown by %d bytes, with %d for what is remembered", grown, limit)
	}
	runtime.KeepAlive(e)
}

// TestMemory: bytes of heap for a rule and for a subject, all in.
func TestMemory(t *testing.T) {
	if raced {
		t.Skip("the race detector needs memory of its own")
	}
	facts := oracle.Sample(110_000)
	placed(&facts)
	if got := bytesPerRule(t, &facts, len(facts.Rules)); got > 40 {
		t.Errorf("%.1f bytes a rule, 40 are the goal", got)
	} else {
		t.Logf("%.1f bytes a rule", got)
	}
	users := func(n int) access.Facts {
		f := oracle.Sample(1_100)
		for i := range n {
			id := fmt.Sprintf("resident-%d", i)
			f.Users = append(f.Users, access.UserFacts{ID: id, Status: access.UserActive})
			for j := range 3 {
				f.Rules = append(f.Rules, access.Rule{Type: "g", Values: []string{"u:" + id, fmt.Sprintf("g:group-%d", (i+j)%len(f.Groups)), "*"}})
			}
		}
		placed(&f)
		return f
	}
	const n = 50_000
	few, more := users(0), users(n)
	base, all := bytesPerRule(t, &few, 1), bytesPerRule(t, &more, 1)
	if got := (all - base) / n; got > 150 {
		t.Errorf("%.1f bytes a user with three memberships, 150 are the goal", got)
	} else {
		t.Logf("%.1f bytes a user with three memberships", got)
	}
}

// TestEngine_noAllocation: a question about somebody who was asked about before
// allocates nothing, whether users are kept or fetched, pinned or not.
func TestEngine_noAllocation(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	f := oracle.Sample(11_000)
	placed(&f)
	f.Stripes = map[access.Stripe]access.Revision{}
	resident := engine.New(engine.Options{})
	install(t, resident, f)
	fetched, _ := fetching(t, f, engine.Options{})
	for name, e := range map[string]*engine.Engine{"resident": resident, "fetched": fetched} {
		pin, err := e.Pin(f.Tenant)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			r := oracle.SampleRequest(11_000, i)
			for how, decide := range map[string]func() (access.Decision, error){
				"":       func() (access.Decision, error) { return e.Decide(t.Context(), f.Tenant, &r) },
				"pinned": func() (access.Decision, error) { return pin.Decide(t.Context(), &r) },
			} {
				for range 3 { // by what is held, by a new table, with the rule written out
					if _, err := decide(); err != nil {
						t.Fatal(err)
					}
				}
				if n := testing.AllocsPerRun(100, func() { _, _ = decide() }); n != 0 {
					t.Errorf("%s %s: question %d allocates %v times", name, how, i, n)
				}
				if n := testing.AllocsPerRun(100, func() { _ = pin.Warm(&r); _ = pin.Stamp(r.Subject) }); n != 0 {
					t.Errorf("%s: asking whether question %d is warm allocates %v times", name, i, n)
				}
			}
		}
	}
}
