package plan_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// TestBook_Rules: what was put in comes out again.
func TestBook_Rules(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, 2))
	var rules []access.Rule
	for i := range 5000 {
		r := line("p", fmt.Sprint("u", random.IntN(3000)), "data", fmt.Sprint("act", i%7))
		if random.IntN(3) == 0 {
			r = line("g", fmt.Sprint("u", i), "admin")
		}
		r.Place = int64(i)<<30 + int64(random.IntN(2))
		r.Origin = access.Origin{File: fmt.Sprint("f", i/1000), Line: i, Column: random.IntN(2)}
		switch random.IntN(50) {
		case 0:
			r.Origin = access.Origin{File: "long", Line: 1 << 40, Column: 1 << 30}
		case 1:
			r.Origin = access.Origin{}
		case 2:
			r.Validity.From = at
		case 3:
			r.Validity.Until = at.Add(time.Hour)
		}
		rules = append(rules, r)
	}
	b := mustCompile(t, plan.Options{Model: modelOf("", "g = _, _", "", "g(r.sub, p.sub) && r.act == p.act"), Rules: rules}).Book()
	if b.Len() != len(rules) || !reflect.DeepEqual(b.Rules(), rules) {
		t.Error("other rules came out")
	}
	for i := range rules {
		if got := *b.Rule(i); !reflect.DeepEqual(got, rules[i]) {
			t.Fatalf("rule %d: got %+v, want %+v", i, got, rules[i])
		}
	}
	if got := b.Turns(); !slices.Equal(got, []time.Time{at, at.Add(time.Hour)}) {
		t.Errorf("turns %v", got)
	}
}

// TestCompile_holds: of the rules of a book only those take part that hold.
func TestCompile_holds(t *testing.T) {
	later := line("p", "bob", "b", "c")
	later.Validity.From = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	o := plan.Options{Model: modelOf("", "", "", "r.sub == p.sub"), Rules: []access.Rule{later, line("p", "alice", "b", "c"), line("p", "bob", "b", "c")}}
	all := mustCompile(t, o)
	o.Rules, o.Book = nil, all.Book()
	o.Holds = func(v access.Validity) bool { return v.From.IsZero() }
	some := mustCompile(t, o)
	for e, want := range map[*plan.Engine]int{all: 0, some: 2} {
		if a, err := e.Enforce("", []any{"bob", "x", "y"}); err != nil || a.Rule != want {
			t.Errorf("got %v, %v, want rule %d", a, err, want)
		}
	}
	if n := some.Plans()[0].Rules; n != 2 {
		t.Errorf("%d rules take part", n)
	}
}

// TestSeries: any numbers come back, and ascending ones are found.
func TestSeries(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for name, next := range map[string]func(i int, before int64) int64{
		"evenly apart": func(i int, _ int64) int64 { return int64(i) << 36 },
		"constant":     func(int, int64) int64 { return 0 },
		"anyhow":       func(_ int, before int64) int64 { return before + 1 + random.Int64N(3) },
		"falling":      func(i int, _ int64) int64 { return -int64(i * i) },
		"far apart":    func(i int, _ int64) int64 { return math.MaxInt64 * int64(i%2) },
	} {
		var all []int64
		for i := range 300 {
			before := int64(0)
			if i > 0 {
				before = all[i-1]
			}
			all = append(all, next(i, before))
		}
		back, found, runs := plan.Series(all)
		if !slices.Equal(back, all) {
			t.Errorf("%s: other numbers came back", name)
		}
		ascending := slices.IsSorted(all) && all[0] != all[1]
		for i, at := range found {
			if ascending && at != i {
				t.Errorf("%s: number %d was found at %d", name, i, at)
			}
		}
		if name == "evenly apart" && runs != 1 {
			t.Errorf("%s: kept in %d runs", name, runs)
		}
	}
}

// TestEnforceAt_deadline: who waits for his turn waits no longer than he wants.
func TestEnforceAt_deadline(t *testing.T) {
	release := plan.OccupyScans()
	defer release()
	var rules []access.Rule
	for i := range 1000 {
		rules = append(rules, line("p", fmt.Sprint("u", i), "b", "c"))
	}
	e := mustCompile(t, plan.Options{Model: modelOf("", "", "", "r.act + 'x' != p.act"), Rules: rules})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if a, err := e.EnforceAt(ctx, time.Time{}, "", []any{"a", "b", "c"}); a.Allowed || !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("got %v, %v", a, err)
	}
}
