package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

// inProcess compares one decision of the engine with one of stock Casbin:
// warm, when the subject has asked before, and the subject's first one.
func (p plan) inProcess(ctx context.Context, rules int) ([]row, error) {
	facts := oracle.Sample(rules)
	warm, allocs, err := oursWarm(ctx, facts, rules)
	if err != nil {
		return nil, err
	}
	first, err := oursFirst(facts, rules)
	if err != nil {
		return nil, err
	}
	rows := []row{
		compare("in process, warm subject", rules, "ns", warm, "", 0),
		compare("in process, subject's first", rules, "ns", first, "", 0),
	}
	if p.stock > 0 {
		stock, err := p.stockFigures(facts, rules)
		if err != nil {
			return nil, err
		}
		if !stock.gaveUp {
			rows[0] = compare(rows[0].What, rules, "ns", warm, "stock Casbin", stock.warm)
		}
		rows[1] = compare(rows[1].What, rules, "ns", first, "stock Casbin", stock.first)
		rows[1].AtLeast = stock.gaveUp
	}
	rows[0].Allocs = allocs
	return rows, nil
}

func requests(rules, n int) []access.Request {
	all := make([]access.Request, n)
	for i := range all {
		all[i] = oracle.SampleRequest(rules, i)
	}
	return all
}

// oursWarm asks what production asks, the engine with its clock.
func oursWarm(ctx context.Context, facts access.Facts, rules int) (ns, allocs float64, err error) {
	e := engine.New(engine.Options{})
	install, err := e.Prepare(facts)
	if err != nil {
		return 0, 0, err
	}
	install(1)
	all := requests(rules, 1000)
	result := testing.Benchmark(func(b *testing.B) { //nolint:thelper // the benchmark itself
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := e.Decide(ctx, facts.Tenant, &all[i%len(all)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	if result.N == 0 {
		return 0, 0, fmt.Errorf("%d rules: the engine could not be measured", rules)
	}
	return float64(result.T.Nanoseconds()) / float64(result.N), float64(result.AllocsPerOp()), nil
}

// oursFirst is the median of the first questions of many subjects.
func oursFirst(facts access.Facts, rules int) (float64, error) {
	var took []float64
	for len(took) < 200 {
		s, err := engine.Compile(facts)
		if err != nil {
			return 0, err
		}
		runtime.GC()
		now := time.Now()
		for i := range min(len(facts.Users), 200) {
			r := oracle.SampleRequest(rules, i)
			began := time.Now()
			if _, err := s.Decide(&r, now); err != nil {
				return 0, err
			}
			took = append(took, float64(time.Since(began)))
		}
	}
	return median(took), nil
}

func median(all []float64) float64 {
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

// stock is what stock Casbin takes, without any gate of ours around it.
type stock struct {
	warm, first float64
	gaveUp      bool // the first took longer than this, and warm is not known
}

// stockFigures asks in a goroutine of its own, because a question to stock
// Casbin cannot be called off.
func (p plan) stockFigures(facts access.Facts, rules int) (stock, error) {
	type outcome struct {
		stock
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		s, err := askStock(facts, rules)
		done <- outcome{s, err}
	}()
	select {
	case o := <-done:
		return o.stock, o.err
	case <-time.After(p.stock):
		say("stock Casbin at %s rules: given up after %s", thousands(float64(rules)), p.stock)
		limit := float64(p.stock)
		return stock{first: limit, gaveUp: true}, nil
	}
}

// askStock takes the first answer after a fresh load, without the load itself,
// and then the median of some for the same subject.
func askStock(facts access.Facts, rules int) (s stock, err error) {
	ask, err := stockEnforcer(facts)
	if err != nil {
		return s, err
	}
	r := oracle.SampleRequest(rules, 1)
	began := time.Now()
	if err := ask(r); err != nil {
		return s, err
	}
	s.first = float64(time.Since(began))
	var took []float64
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until) || len(took) < 3; {
		began := time.Now()
		if err := ask(r); err != nil {
			return s, err
		}
		took = append(took, float64(time.Since(began)))
	}
	s.warm = median(took)
	return s, nil
}

// stockEnforcer loads stock Casbin and gives a function that asks it.
func stockEnforcer(facts access.Facts) (func(access.Request) error, error) {
	o, err := oracle.New(facts, nil)
	if err != nil {
		return nil, err
	}
	parents := map[access.Scope]access.Scope{}
	for _, n := range facts.Scopes {
		parents[n.Scope] = n.Parent
	}
	now, none := time.Now(), map[string]any{}
	ask := func(r access.Request) error {
		path, _ := r.Scope.Path(parents)
		_, _, err := o.Enforce(now, r.Subject.Rule(), string(path), string(r.Section), r.Actions[0].Rule(), none)
		return err
	}
	_, _, _ = o.Enforce(now) // loads, and is refused for want of values
	return ask, nil
}
