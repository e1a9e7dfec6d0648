package engine_test

import (
	"fmt"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

var sizes = []int{1_100, 11_000, 110_000}

func sampleRequests(rules int) []access.Request {
	all := make([]access.Request, 1000)
	for i := range all {
		all[i] = oracle.SampleRequest(rules, i)
	}
	return all
}

// BenchmarkDecide is one decision in process, in the shape of our own model.
func BenchmarkDecide(b *testing.B) {
	for _, rules := range sizes {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			s, err := engine.Compile(oracle.Sample(rules))
			if err != nil {
				b.Fatal(err)
			}
			requests, allowed := sampleRequests(rules), 0
			b.ReportAllocs()
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
		})
	}
}

// BenchmarkStock is the same question put to stock Casbin, loaded with the same
// rules and warm for the one subject that asks.
func BenchmarkStock(b *testing.B) {
	for _, rules := range sizes {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			if rules > 11_000 && testing.Short() {
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

// BenchmarkCompile is the cost of a new revision.
func BenchmarkCompile(b *testing.B) {
	facts := oracle.Sample(11_000)
	for b.Loop() {
		if _, err := engine.Compile(facts); err != nil {
			b.Fatal(err)
		}
	}
}
