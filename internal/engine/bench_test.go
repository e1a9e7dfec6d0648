package engine_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

var sizes = []int{1_100, 11_000, 110_000, 1_100_000}

func sampleRequests(rules int) []access.Request {
	all := make([]access.Request, 1000)
	for i := range all {
		all[i] = oracle.SampleRequest(rules, i)
	}
	return all
}

// wide is the sample with one more user for each request, who holds forty roles:
// the widest subject in the goals of the blueprint.
func wide(rules, users int) (access.Facts, []access.Request) {
	f := oracle.Sample(rules)
	roles := max(1, rules*10/11/20)
	var requests []access.Request
	for u := range users {
		id := fmt.Sprintf("wide-%d", u)
		f.Users = append(f.Users, access.UserFacts{ID: id, Status: access.UserActive})
		for i := range 40 {
			role := fmt.Sprintf("r:role-%d", (u*7919+i*104729)%roles)
			f.Rules = append(f.Rules, access.Rule{Type: "g", Values: []string{"u:" + id, role, "*"}})
		}
		r := oracle.SampleRequest(rules, u)
		r.Subject.ID = id
		requests = append(requests, r)
	}
	placed(&f)
	return f, requests
}

// placed numbers rules as a store does.
func placed(f *access.Facts) {
	for i := range f.Rules {
		f.Rules[i].Place = int64(i+1) * 10
	}
}

func ask1(b *testing.B, s *engine.Snapshot, requests []access.Request) {
	b.Helper()
	allowed := 0
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		d, err := s.Decide(&requests[i%len(requests)], clock)
		if err != nil {
			b.Fatal(err)
		}
		if d.Allowed {
			allowed++
		}
	}
	b.ReportMetric(100*float64(allowed)/float64(b.N), "%allowed")
}

// BenchmarkDecide is one decision in process, in the shape of our own model: of
// a user with twelve roles, and of one with forty, asked about before (warm) or
// never (first).
func BenchmarkDecide(b *testing.B) {
	for _, rules := range sizes {
		if rules > 110_000 && testing.Short() {
			continue
		}
		facts, requests := wide(rules, 1000)
		s, err := engine.Compile(facts)
		if err != nil {
			b.Fatal(err)
		}
		narrow := sampleRequests(rules)[:50]
		for name, asked := range map[string][]access.Request{"twelve-roles": narrow, "forty-roles": requests[:50]} {
			b.Run(fmt.Sprintf("warm/%s/rules=%d", name, rules), func(b *testing.B) {
				for i := range 3 * len(asked) {
					if _, err := s.Decide(&asked[i%len(asked)], clock); err != nil {
						b.Fatal(err)
					}
				}
				ask1(b, s, asked)
			})
		}
		b.Run(fmt.Sprintf("first/forty-roles/rules=%d", rules), func(b *testing.B) {
			engine.Forget(s)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				if i%len(requests) == 0 {
					b.StopTimer()
					engine.Forget(s)
					b.StartTimer()
				}
				if _, err := s.Decide(&requests[i%len(requests)], clock); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAdvance is the cost of putting one rule into force.
func BenchmarkAdvance(b *testing.B) {
	for _, rules := range sizes {
		if rules > 110_000 && testing.Short() {
			continue
		}
		facts := oracle.Sample(rules)
		placed(&facts)
		base, err := engine.Compile(facts)
		if err != nil {
			b.Fatal(err)
		}
		facts.Rules = facts.Rules[:1:1]
		for name, owner := range map[string]string{"role": "r:role-%d", "user": "u:user-%d"} {
			b.Run(fmt.Sprintf("%s/rules=%d", name, rules), func(b *testing.B) {
				s := base
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; b.Loop(); i++ {
					next, err := s.Advance(oneRule(s, fmt.Sprintf(owner, i/2%10), i))
					if err != nil {
						b.Fatal(err)
					}
					s = next
				}
			})
		}
	}
}

// oneRule adds a rule to an owner, and takes it away the next time.
func oneRule(s *engine.Snapshot, owner string, i int) access.Delta {
	d := access.Delta{Tenant: s.Tenant(), From: s.Revision(), To: s.Revision() + 1}
	rule := []access.Rule{{
		Type: "p", Place: 1 << 40, Values: []string{owner, "*", "System.Area1", "2", "allow", access.NoCondition},
	}}
	if i%2 == 0 {
		d.Rules = rule
	} else {
		d.Gone = rule
	}
	return d
}

// BenchmarkStock is the same question put to stock Casbin, loaded with the same
// rules and warm for the one subject that asks.
func BenchmarkStock(b *testing.B) {
	for _, rules := range sizes {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			if rules > 11_000 && testing.Short() || rules > 110_000 {
				b.Skip("stock Casbin takes minutes to answer its first question here")
			}
			o, err := oracle.New(oracle.Sample(rules), nil)
			if err != nil {
				b.Fatal(err)
			}
			r := oracle.SampleRequest(rules, 0)
			if _, err := o.Decide(&r, clock); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := o.Decide(&r, clock); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCompile is the cost of loading, and what stays of a rule in memory
// once the facts are gone.
func BenchmarkCompile(b *testing.B) {
	for _, rules := range sizes {
		if rules > 110_000 && testing.Short() {
			continue
		}
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			facts := oracle.Sample(rules)
			placed(&facts)
			lines := len(facts.Rules)
			for b.Loop() {
				if _, err := engine.Compile(facts); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(bytesPerRule(b, &facts, lines), "B/rule")
		})
	}
}

// bytesPerRule compiles facts and forgets them.
func bytesPerRule(t testing.TB, facts *access.Facts, lines int) float64 {
	t.Helper()
	s, err := engine.Compile(*facts)
	if err != nil {
		t.Fatal(err)
	}
	*facts = access.Facts{}
	with := heap()
	runtime.KeepAlive(s)
	return float64(with-heap()) / float64(lines)
}

// heap is how much memory is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
