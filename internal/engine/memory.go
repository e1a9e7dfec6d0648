package engine

import (
	"hash/maphash"
	"sync/atomic"
	"unsafe"

	"github.com/maypok86/otter/v2"

	"github.com/bailiwick/bailiwick/internal/access"
)

// defaultCacheBytes bounds what is remembered where options do not.
const defaultCacheBytes = 128 << 20

// memory is what is remembered of subjects, over all tenants of an engine: their
// tables, and the records of those that were fetched. It is bounded by weight,
// and whatever is in it can be forgotten at any time. Nothing is ever deleted
// because it became wrong: entries tell for which state they hold.
type memory struct {
	cache *otter.Cache[key, entry]
	seed  maphash.Seed
}

// key finds an entry. The name is hashed, so whoever finds something looks
// whether it is about the right subject.
type key struct {
	life  uint32
	scope uint32 // 0 for the record of a subject
	name  uint64
}

// entry is a *table or a *fetched.
type entry interface {
	weight() int // bytes, nearly
}

// overhead is what an entry costs besides its own weight, nearly.
const overhead = 120

func newMemory(bytes int64) *memory {
	if bytes <= 0 {
		bytes = defaultCacheBytes
	}
	return &memory{
		seed: maphash.MakeSeed(),
		cache: otter.Must(&otter.Options[key, entry]{
			MaximumWeight: uint64(bytes),
			Weigher:       func(_ key, e entry) uint32 { return number(overhead + e.weight()) },
		}),
	}
}

func (s *Snapshot) key(who access.Subject, scope uint32) key {
	name := maphash.String(s.memory.seed, who.ID) ^ uint64(who.Kind)
	return key{life: s.number, scope: scope, name: name}
}

// counts are hits and misses. They are counted in many places, so that
// processors do not wait for one another.
type counts struct {
	hits, misses atomic.Uint64
	_            [64 - 2*unsafe.Sizeof(atomic.Uint64{})]byte // a cache line of its own
}

// stripesOfCounts is in how many places is counted.
const stripesOfCounts = 16
