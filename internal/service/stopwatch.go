package service

import (
	"sync/atomic"
	"time"
)

// inForceBounds are the upper bounds of what a stopwatch counts into, in seconds.
var inForceBounds = [...]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60}

// stopwatch counts times. It takes no lock.
type stopwatch struct {
	counts [len(inForceBounds) + 1]atomic.Uint64 // the last one: longer than all bounds
	sum    atomic.Int64                          // nanoseconds
}

// observe counts a time. Clocks of two machines may differ; what seems to lie
// in the future took no time.
func (s *stopwatch) observe(took time.Duration) {
	took = max(took, 0)
	i := 0
	for i < len(inForceBounds) && took.Seconds() > inForceBounds[i] {
		i++
	}
	s.counts[i].Add(1)
	s.sum.Add(int64(took))
}

// Histogram says how often something took how long.
type Histogram struct {
	Count   uint64
	Sum     float64            // seconds
	Buckets map[float64]uint64 // by upper bound in seconds: how many took no longer
}

func (s *stopwatch) read() Histogram {
	h := Histogram{Sum: time.Duration(s.sum.Load()).Seconds(), Buckets: map[float64]uint64{}}
	for i := range s.counts {
		h.Count += s.counts[i].Load()
		if i < len(inForceBounds) {
			h.Buckets[inForceBounds[i]] = h.Count
		}
	}
	return h
}
