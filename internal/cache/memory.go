package cache

import (
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// entryOverhead is what an entry weighs besides its answer, in bytes: key,
// times, pointers and the bookkeeping of the cache, measured and rounded up.
const entryOverhead = 400

// memory keeps answers in this process. What it holds is bounded by weight.
type memory struct {
	entries *otter.Cache[key, kept]

	hits, misses, stored atomic.Uint64
}

// kept is a value, read once: its answer shares no memory with the question.
type kept struct {
	value
	answer   any
	deadline time.Time // with a reading of the monotonic clock, which nobody can set
}

// newMemory makes a cache of at most so many bytes; nil, which keeps nothing,
// where there are none.
func newMemory(bytes int64) *memory {
	if bytes <= 0 {
		return nil
	}
	return &memory{entries: otter.Must(&otter.Options[key, kept]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(_ key, k kept) uint32 { return uint32(2*len(k.body) + entryOverhead) }, //nolint:gosec // bodies are bounded by maxBody
	})}
}

// get finds an answer that holds now.
func (m *memory) get(k key, now time.Time) (any, bool) {
	if m == nil {
		return nil, false
	}
	found, ok := m.entries.GetIfPresent(k)
	if !ok || !found.holds(now) || !now.Before(found.deadline) {
		m.misses.Add(1)
		return nil, false
	}
	m.hits.Add(1)
	return found.answer, true
}

func (m *memory) put(k key, v value, answer any, deadline time.Time) {
	if m == nil {
		return
	}
	m.entries.Set(k, kept{value: v, answer: answer, deadline: deadline})
	m.stored.Add(1)
}
