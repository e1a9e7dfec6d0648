package cache

import (
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Stats is what can be measured about the caches of this process.
type Stats struct {
	Mode   Mode
	Memory MemoryStats
	Redis  RedisStats // zero where no Redis is used for answers
}

// MemoryStats measures the cache in this process. The counts are since the start.
type MemoryStats struct {
	Hits, Misses, Stored uint64
	Entries              int
	Bytes                uint64 // weight of the entries, an estimate from above
}

// RedisStats measures the shared cache, as this process uses it. The counts are
// since the start.
type RedisStats struct {
	Hits, Misses uint64 // questions
	Expired      uint64 // misses because of an answer that no longer, or not yet, holds here
	Forged       uint64 // values that no replica wrote for their place: an alarm
	Reads        uint64 // round trips, each for one question or a batch
	Errors       uint64 // round trips that failed or took too long
	Refused      uint64 // round trips that were not tried while Redis is left alone
	ReadSeconds  float64
	Written      uint64 // answers
	WriteErrors  uint64 // answers that Redis did not take
	Dropped      uint64 // answers that were not written because too many waited, or Redis was left alone
	Waiting      int    // answers that wait to be written
	Breaker      string // "closed" when all is well; "open" while Redis is left alone; "half-open" while one read tries
}

// Stats measures.
func (c *Decisions) Stats() Stats {
	s := Stats{Mode: c.mode}
	if c.memory != nil {
		s.Memory = c.memory.stats()
	}
	if c.redis != nil {
		s.Redis = c.redis.Stats()
		s.Redis.Hits, s.Redis.Misses, s.Redis.Expired = c.hits.Load(), c.misses.Load(), c.expired.Load()
	}
	return s
}

func (m *memory) stats() MemoryStats {
	return MemoryStats{
		Hits: m.hits.Load(), Misses: m.misses.Load(), Stored: m.stored.Load(),
		Entries: m.entries.EstimatedSize(), Bytes: m.entries.WeightedSize(),
	}
}

// Stats measures the use of Redis, without hits and misses, which those know
// who ask.
func (r *Redis) Stats() RedisStats {
	n := &r.counts
	return RedisStats{
		Forged: n.forged.Load(), Reads: n.reads.Load(), Errors: n.errors.Load(), Refused: n.refused.Load(),
		ReadSeconds: time.Duration(n.nanos.Load()).Seconds(),
		Written:     n.written.Load(), WriteErrors: n.writeErrors.Load(), Dropped: n.dropped.Load(),
		Waiting: len(r.queue), Breaker: r.breaker.State().String(),
	}
}

type redisCounts struct {
	forged, reads, errors, refused atomic.Uint64
	written, writeErrors, dropped  atomic.Uint64
	nanos                          atomic.Int64
}

func (n *redisCounts) read(took time.Duration, err error) {
	if isRefusal(err) {
		n.refused.Add(1)
		return
	}
	n.reads.Add(1)
	n.nanos.Add(int64(took))
	if err != nil {
		n.errors.Add(1)
	}
}

func isRefusal(err error) bool {
	return err == gobreaker.ErrOpenState || err == gobreaker.ErrTooManyRequests //nolint:errorlint // they come as they are
}

// alarm lets one of many equal messages through in alarmEvery.
type alarm struct{ next atomic.Int64 }

const alarmEvery = 10 * time.Second

func (a *alarm) rings() bool {
	now, next := time.Now().UnixNano(), a.next.Load()
	return now >= next && a.next.CompareAndSwap(next, now+int64(alarmEvery))
}
