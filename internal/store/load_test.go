package store_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// loadSizes of policies, in rules; BAILIWICK_RULES names others, with commas.
func loadSizes(b *testing.B) (sizes []int) {
	b.Helper()
	for text := range strings.SplitSeq(os.Getenv("BAILIWICK_RULES"), ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return []int{110_000}
		}
		sizes = append(sizes, n)
	}
	return sizes
}

// seeded opens a store that holds a large policy, written past its history.
func seeded(b *testing.B, open func(testing.TB) store.Options, rules int) (*store.Store, *access.Policy) {
	b.Helper()
	o := open(b)
	o.MaxRules, o.ResidentUsers = 10_000_000, 10_000_000
	s, p := accesstest.OpenStore(b, o), large(rules)
	if err := s.Seed(b.Context(), p); err != nil {
		b.Fatal(err)
	}
	return s, p
}

// BenchmarkLoad reads a large policy as a whole.
func BenchmarkLoad(b *testing.B) {
	for name, open := range databases {
		for _, rules := range loadSizes(b) {
			b.Run(fmt.Sprintf("%s/rules=%d", name, rules), func(b *testing.B) {
				s, _ := seeded(b, open, rules)
				runtime.GC()
				rows, peak := 0, watchHeap()
				b.ReportAllocs()
				for b.Loop() {
					f, err := s.Load(b.Context(), access.DefaultTenant)
					if err != nil {
						b.Fatal(err)
					}
					rows = len(f.Rules) + len(f.Users)
				}
				b.ReportMetric(float64(peak())/(1<<20), "peak-MB")
				b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N)/float64(rows), "us/row")
			})
		}
	}
}

// BenchmarkApply_oneRule changes one grant of a large policy.
func BenchmarkApply_oneRule(b *testing.B) {
	for name, open := range databases {
		for _, rules := range loadSizes(b) {
			b.Run(fmt.Sprintf("%s/rules=%d", name, rules), func(b *testing.B) {
				s, p := seeded(b, open, rules)
				n, peak := 0, watchHeap()
				b.ReportAllocs()
				for b.Loop() {
					n++
					p.Roles[7].Grants[3].Rights = []access.Rights{access.Update, access.Insert}[n%2]
					if d, err := s.Apply(b.Context(), p, any1); err != nil || len(d.Rules) != 1 {
						b.Fatalf("%+v, %v", d, err)
					}
				}
				b.ReportMetric(float64(peak())/(1<<20), "peak-MB")
			})
		}
	}
}

// watchHeap gives the most that objects in the heap take until it is asked.
func watchHeap() func() uint64 {
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick, most := time.NewTicker(5*time.Millisecond), uint64(0)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-done:
				peak <- most
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 { close(done); return <-peak }
}
