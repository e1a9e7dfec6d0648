package cache

import (
	"context"
	"time"

	"github.com/sony/gobreaker/v2"
)

// write is an answer on its way.
type write struct {
	place    key
	value    value
	deadline time.Time // with a reading of the monotonic clock
}

// bytes is about what a write takes in memory and in Redis.
func (w *write) bytes() int64 { return int64(len(w.value.body)) + entryOverhead }

// put hands a value over to be written later. It never waits: what does not fit
// is dropped, and so is everything while Redis does not answer.
func (r *Redis) put(k key, v value, life time.Duration) {
	w := write{place: k, value: v, deadline: time.Now().Add(life)}
	if r.waiting.Add(w.bytes()) > queueBytes || r.breaker.State() == gobreaker.StateOpen {
		r.drop(w)
		return
	}
	select {
	case r.queue <- w:
	default:
		r.drop(w)
	}
}

func (r *Redis) drop(w write) {
	r.counts.dropped.Add(1)
	r.waiting.Add(-w.bytes())
}

// writing writes what put handed over, until ctx ends.
func (r *Redis) writing(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-r.queue:
			r.write(ctx, r.batch(w))
		}
	}
}

// batch adds to a write what waits behind it.
func (r *Redis) batch(first write) []write {
	all := []write{first}
	for len(all) < writeBatch {
		select {
		case w := <-r.queue:
			all = append(all, w)
		default:
			return all
		}
	}
	return all
}

// write writes a batch in one round trip. What fails is not tried again: the
// next question of the kind will be written in its turn.
func (r *Redis) write(ctx context.Context, all []write) {
	ctx, cancel := context.WithTimeout(ctx, 2*r.options.Timeout)
	defer cancel()
	pipe := r.client.Pipeline()
	for _, w := range all {
		if life := time.Until(w.deadline); life >= time.Millisecond {
			pipe.Set(ctx, r.nameOf(w.place), r.seals.seal(w.place, w.value), life.Truncate(time.Millisecond))
		}
	}
	commands, err := pipe.Exec(ctx)
	for _, c := range commands {
		if c.Err() == nil {
			r.counts.written.Add(1)
			continue
		}
		r.counts.writeErrors.Add(1)
	}
	for _, w := range all {
		r.waiting.Add(-w.bytes())
	}
	if err != nil && r.trouble.rings() {
		r.log.Warn("answers could not be written to redis", "error", err)
	}
}
