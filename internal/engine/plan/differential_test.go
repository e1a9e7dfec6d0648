package plan_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// count is what happened in a run of the comparison.
type count struct {
	sync.Mutex
	models  uint64
	asked   int
	allowed int
	erred   int
	plans   map[string]int // questions by plan
	refused map[string]int // models by code
}

// compare puts the questions of one case to both. It gives the first
// difference, or "".
func compare(c randomCase, n *count) (difference string) {
	defer func() {
		if p := recover(); p != nil {
			difference = fmt.Sprint("a panic: ", p)
		}
	}()
	n.Lock()
	n.models++
	n.Unlock()
	ours, err := plan.Compile(c.options)
	if err != nil {
		var problems access.Problems
		if !errors.As(err, &problems) {
			return "refused without a problem: " + err.Error()
		}
		n.Lock()
		n.refused[problems[0].Code]++
		n.Unlock()
		return ""
	}
	type loaded struct {
		stock *plan.Stock
		err   error
	}
	stock, ok := within(time.Minute, func() loaded { s, err := plan.NewStock(c.options); return loaded{s, err} })
	if !ok {
		return "stock hangs while loading, and we did not refuse"
	}
	if stock.err != nil {
		return "stock cannot load, and we did not refuse: " + stock.err.Error()
	}
	name := ""
	for _, info := range ours.Plans() {
		if info.Set == c.set {
			name = info.Name
		}
	}
	wanted := make([]verdict, len(c.requests))
	for i, values := range c.requests {
		want, ok := within(time.Minute, func() verdict { return ask(stock.stock, c.options.Rules, c.set, slices.Clone(values)) })
		if !ok {
			return "stock hangs at a question"
		}
		if got := ask(ours, c.options.Rules, c.set, values); strings.Contains(got.err, "must not be a list") && !got.allowed {
			want = got // stock Casbin makes several arguments of a list; we refuse it
		}
		wanted[i] = want
		n.note(name, want)
		if got := ask(ours, c.options.Rules, c.set, values); got != want {
			return fmt.Sprint("plan ", name, "\nrequest ", values, "\ngot  ", got, "\nwant ", want)
		}
	}
	for i, values := range slices.Backward(c.requests) { // questions must leave no trace
		if got := ask(ours, c.options.Rules, c.set, values); got != wanted[i] {
			return fmt.Sprint("plan ", name, ", asked again\nrequest ", values, "\ngot  ", got, "\nwant ", wanted[i])
		}
	}
	return ""
}

func (n *count) note(name string, v verdict) {
	n.Lock()
	defer n.Unlock()
	n.asked++
	n.plans[name]++
	if v.allowed {
		n.allowed++
	}
	if v.err != "" {
		n.erred++
	}
}

// run compares cases by their seeds until one differs.
func run(from, to uint64, until time.Time) (*count, uint64, string) {
	n := &count{plans: map[string]int{}, refused: map[string]int{}}
	var next atomic.Uint64
	next.Store(from)
	var mu sync.Mutex
	var where uint64
	what := ""
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				seed := next.Add(1) - 1
				if seed >= to || time.Now().After(until) {
					return
				}
				if difference := compare(newCase(seed), n); difference != "" {
					mu.Lock()
					where, what = seed, difference
					mu.Unlock()
					next.Store(to)
					return
				}
			}
		})
	}
	wg.Wait()
	return n, where, what
}

// TestDifferential puts random questions about random policies under random
// models to us and to stock Casbin. The decision, the rule and the error must be
// the same.
func TestDifferential(t *testing.T) {
	models := uint64(10_000)
	if raced || testing.Short() {
		models = 500
	}
	differential(t, models, 40*time.Second)
}

// TestSoakDifferential does it with a million models.
func TestSoakDifferential(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") == "" {
		t.Skip("takes long; set BAILIWICK_SOAK=1")
	}
	models := uint64(1_000_000)
	if raced {
		models = 50_000
	}
	differential(t, models, 2*time.Hour)
}

func differential(t *testing.T, models uint64, limit time.Duration) {
	t.Helper()
	n, seed, difference := run(0, models, time.Now().Add(limit))
	if difference != "" {
		t.Fatalf("seed %d\n%s\n%s", seed, newCase(seed), difference)
	}
	t.Logf("%d of %d models, %d questions, %d allowed, %d errors; questions by plan %v; models refused %v", n.models, models, n.asked, n.allowed, n.erred, n.plans, n.refused)
	if n.models < models/10 {
		t.Errorf("there was time for %d models only", n.models)
	}
	for _, name := range []string{"native", "candidates", "scan"} {
		if n.plans[name] < n.asked/20 {
			t.Errorf("the plan %s has had only %d of %d questions", name, n.plans[name], n.asked)
		}
	}
	if n.allowed < n.asked/20 || n.erred < n.asked/20 {
		t.Errorf("of %d questions only %d were allowed and %d erred", n.asked, n.allowed, n.erred)
	}
}

// TestDifferential_notices turns off each safety rule and wants the comparison
// to notice.
func TestDifferential_notices(t *testing.T) {
	if raced {
		t.Skip("the switches are shared, and this is slow")
	}
	for _, name := range slices.Sorted(maps.Keys(plan.Switches)) {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			*plan.Switches[name] = true
			defer func() { *plan.Switches[name] = false }()
			_, seed, difference := run(0, 20_000, time.Now().Add(time.Minute))
			if difference == "" {
				t.Fatal("nothing differs from stock Casbin with this rule off")
			}
			t.Logf("noticed at model %d: %s", seed, difference)
		})
	}
}
