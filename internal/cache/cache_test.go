package cache_test

import (
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/cache"
)

// TestDecisions_sameAnswers puts the same random questions, between the same
// changes and turns of the clock, through every mode, through replicas that
// share a Redis and run ahead of each other, warm and cold. Every answer is
// that of the replica's own engine at that moment.
func TestDecisions_sameAnswers(t *testing.T) {
	w := newWorld(20260301)
	replicas := []struct {
		name string
		*replica
	}{
		{"auto", newReplica(t, cache.Options{Redis: openRedis(t), Memory: 1 << 20})},
		{"auto, another", newReplica(t, cache.Options{Redis: openRedis(t)})},
		{"always", newReplica(t, cache.Options{Redis: openRedis(t), Mode: cache.Always})},
		{"always, small", newReplica(t, cache.Options{Redis: openRedis(t), Mode: cache.Always, Memory: 20 << 10})},
		{"off", newReplica(t, cache.Options{Redis: openRedis(t), Mode: cache.Off, Memory: 1 << 20})},
		{"off, nothing", newReplica(t, cache.Options{})},
	}
	all := func(do func(*replica)) {
		for _, r := range replicas {
			do(r.replica)
		}
	}
	all(func(r *replica) { r.installAll(t, w); r.cold.Store(50) })
	for round := range 1700 {
		if w.IntN(60) == 0 {
			w.step()
		}
		all(func(r *replica) {
			if w.IntN(10) == 0 { // some are behind
				r.installAll(t, w)
			}
			if w.IntN(100) == 0 { // and their clocks do not agree
				r.pass(time.Duration(w.IntN(20)-8) * time.Minute)
			}
			if round%50 == 0 {
				r.cold.Store(int32(w.IntN(3)) * 50)
			}
			w.askAnything(t, r)
		})
	}
	for _, r := range replicas {
		s, name := r.Stats(), r.name
		t.Logf("%-13s memory %d of %d, redis %d of %d, expired %d, errors %d, dropped %d, written %d", name,
			s.Memory.Hits, s.Memory.Hits+s.Memory.Misses, s.Redis.Hits, s.Redis.Hits+s.Redis.Misses, s.Redis.Expired, s.Redis.Errors, s.Redis.Dropped, s.Redis.Written)
		if r.redis != nil && s.Mode != cache.Off && (s.Redis.Hits == 0 || s.Redis.Forged > 0) {
			t.Errorf("%s: nothing was found in Redis, or what was there was refused: %+v", name, s.Redis)
		}
	}
}
