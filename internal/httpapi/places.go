package httpapi

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Places bounds how much is done at one time, so that under any load those who
// are let in are answered soon, and the others are told at once. What is zero
// has the value named behind it.
type Places struct {
	Checks     int           // questions: 256
	Consistent int           // questions that name a revision or want the newest, and may wait for it: 128
	Searches   int           // searches, explanations and lists: 16
	Scans      int           // questions to tenants whose model must be scanned: 8
	Writes     int           // changes: 16
	Waiting    int           // requests of one kind that wait for a place: 512
	Wait       time.Duration // that a request waits for a place before it is refused: 25 ms
}

// work is a kind of work that has places of its own.
type work int

const (
	checks work = iota
	consistent
	searches
	scans
	writes
	works // how many there are
)

// String names the kind, for measurements.
func (w work) String() string {
	return [works]string{"checks", "consistent", "searches", "scans", "writes"}[w]
}

// errOverloaded says that there is no place. Nothing was done.
var errOverloaded = errors.New("overloaded")

// places are the rooms for all kinds of work.
type places struct {
	rooms [works]room
	queue int64
	wait  time.Duration
}

// room holds what is in work of one kind.
type room struct {
	taken   chan struct{} // filled by those inside; its capacity is the limit
	waiting atomic.Int64
	refused atomic.Uint64
}

func newPlaces(o Places) *places {
	p := &places{queue: int64(cmp.Or(o.Waiting, 512)), wait: cmp.Or(o.Wait, 25*time.Millisecond)}
	for w, size := range [works]int{
		checks: cmp.Or(o.Checks, 256), consistent: cmp.Or(o.Consistent, 128), searches: cmp.Or(o.Searches, 16),
		scans: cmp.Or(o.Scans, 8), writes: cmp.Or(o.Writes, 16),
	} {
		p.rooms[w].taken = make(chan struct{}, size)
	}
	return p
}

// enter takes a place, at once or after a short wait among few. Who leaves
// before, or waits in vain, takes none.
func (p *places) enter(ctx context.Context, w work) error {
	r := &p.rooms[w]
	select {
	case r.taken <- struct{}{}:
		return nil
	default:
	}
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > p.queue {
		return r.refuse()
	}
	patience := time.NewTimer(p.wait)
	defer patience.Stop()
	select {
	case r.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return r.refuse()
	}
}

func (p *places) leave(w work) { <-p.rooms[w].taken }

func (r *room) refuse() error {
	r.refused.Add(1)
	return &access.Error{Kind: errOverloaded, Message: "more is being asked than can be answered soon; nothing was done, ask again later"}
}

// enter takes a place for this request until its answer is ready.
func (c *call) enter(w work) error {
	if err := c.api.places.enter(c.ctx(), w); err != nil {
		return err
	}
	c.work, c.inside = w, true
	return nil
}

// leave gives the place back. A client that reads slowly holds none.
func (c *call) leave() {
	if c.inside {
		c.inside = false
		c.api.places.leave(c.work)
	}
}

var (
	takenDesc   = prometheus.NewDesc("bailiwick_work_in_flight", "Requests that have a place, by kind of work.", []string{"work"}, nil)
	limitDesc   = prometheus.NewDesc("bailiwick_work_places", "Requests that may have a place at one time, by kind of work.", []string{"work"}, nil)
	queuedDesc  = prometheus.NewDesc("bailiwick_work_queued", "Requests that wait for a place, by kind of work.", []string{"work"}, nil)
	refusedDesc = prometheus.NewDesc("bailiwick_work_refused_total", "Requests that were refused because there was no place, by kind of work.", []string{"work"}, nil)
)

// Describe tells Prometheus what there is.
func (p *places) Describe(ch chan<- *prometheus.Desc) {
	ch <- takenDesc
	ch <- limitDesc
	ch <- queuedDesc
	ch <- refusedDesc
}

// Collect measures.
func (p *places) Collect(ch chan<- prometheus.Metric) {
	for w := range works {
		r, name := &p.rooms[w], w.String()
		ch <- prometheus.MustNewConstMetric(takenDesc, prometheus.GaugeValue, float64(len(r.taken)), name)
		ch <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(cap(r.taken)), name)
		ch <- prometheus.MustNewConstMetric(queuedDesc, prometheus.GaugeValue, float64(r.waiting.Load()), name)
		ch <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(r.refused.Load()), name)
	}
}
