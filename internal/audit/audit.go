// Package audit keeps the log of decisions: answers that applications act upon,
// with everything that is needed to give them again.
//
// Answers come in through a queue that is bounded in number; what is kept of
// each is bounded in size by whoever records it. One goroutine takes them out,
// masks what must not be written down, and writes them in batches to every sink:
// a file, standard output, the store. What cannot be kept is counted as lost,
// never waited for, unless the log is strict: then an answer that is not kept
// is not given.
//
// The log is no part of the history of changes, which package store chains by
// hashes and writes in the transaction of the change itself.
package audit

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Sink is a place where answers are kept.
type Sink interface {
	// Name says what it is, for metrics: "file", "stdout" or "store".
	Name() string
	// Write keeps answers, in their order. Where it fails it may be called again
	// with the same ones.
	Write(ctx context.Context, batch []access.Recorded) error
	// Tend is called about once a minute, for what has to be done beside.
	Tend(ctx context.Context) error
	// Close ends it.
	Close() error
}

// Options for New. The zero value of all but Sinks works.
type Options struct {
	Sinks  []Sink
	Queue  int           // answers that may wait to be written; 4096 when 0
	Strict bool          // an answer that is not kept in every sink is not given
	Wait   time.Duration // how long an answer waits for that; 1 s when 0
	Sample Sample        // which answers are kept; its zero value keeps all
	Mask   Mask          // what must not be written down
	Clock  func() time.Time
	Log    *slog.Logger
}

// Log is a log of decisions. It implements service.Recorder.
type Log struct {
	opts    Options
	queue   chan item
	waiting atomic.Int64 // answers
	closing sync.RWMutex // held while one is put into the queue; for good once it is closed
	closed  bool
	done    chan struct{}

	recorded, left atomic.Uint64
	lostInQueue    atomic.Uint64
	lastLoss       atomic.Int64 // microseconds; 0: never
	sinks          []*sinkState
}

// item is what was recorded at once.
type item struct {
	answers []access.Recorded
	kept    chan error // nil: nobody waits
}

// sinkState is how a sink does.
type sinkState struct {
	Sink
	written, lost, failures atomic.Uint64
	trouble                 atomic.Pointer[string] // why the last attempt failed; nil when it did not
}

const (
	defaultQueue = 4096
	defaultWait  = time.Second
	maxBatch     = 500
	tendEvery    = time.Minute
	writeTime    = 5 * time.Second // of one attempt
	retryPause   = 250 * time.Millisecond
)

// New begins to write. Close ends it.
func New(o Options) *Log {
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{opts: o, queue: make(chan item, o.Queue), done: make(chan struct{})}
	for _, s := range o.Sinks {
		l.sinks = append(l.sinks, &sinkState{Sink: s})
	}
	go l.run()
	return l
}

// Wants tells whether an answer is to be kept. Those about exports always are.
func (l *Log) Wants(tenant string, r *access.Request, allowed bool, reason access.Reason) bool {
	if r.Export() || l.opts.Sample.wants(tenant, r, allowed, reason) {
		return true
	}
	l.left.Add(1)
	return false
}

// Record keeps answers, which belong to the log from then on. It waits for
// nothing and never fails, unless the log is strict.
func (l *Log) Record(ctx context.Context, answers []access.Recorded) error {
	i := item{answers: answers}
	if l.opts.Strict {
		i.kept = make(chan error, 1)
	}
	if !l.put(i) {
		l.lose(&l.lostInQueue, len(answers))
		if l.opts.Strict {
			return access.Unavailable("the log of decisions takes no more now, and nothing is decided without it")
		}
		return nil
	}
	if !l.opts.Strict {
		return nil
	}
	return l.await(ctx, i.kept)
}

func (l *Log) put(i item) bool {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed {
		return false
	}
	n := int64(len(i.answers))
	if l.waiting.Add(n) > int64(l.opts.Queue) {
		l.waiting.Add(-n)
		return false
	}
	l.queue <- i // there is room: no more items than answers are waiting
	return true
}

func (l *Log) await(ctx context.Context, kept <-chan error) error {
	limit := time.NewTimer(l.opts.Wait)
	defer limit.Stop()
	select {
	case err := <-kept:
		if err != nil {
			return access.Unavailable("the decision could not be written to the log, and nothing is decided without it")
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the log of decisions: %w", ctx.Err())
	case <-limit.C:
		return access.Unavailable("the decision was not written to the log within %s, and nothing is decided without it", l.opts.Wait)
	}
}

func (l *Log) lose(counter *atomic.Uint64, n int) {
	counter.Add(uint64(n)) //nolint:gosec // a length
	l.lastLoss.Store(l.opts.Clock().UnixMicro())
}

// Close writes what is waiting and ends all sinks. Nothing is recorded any more.
func (l *Log) Close() error {
	l.closing.Lock()
	was := l.closed
	l.closed = true
	if !was {
		close(l.queue)
	}
	l.closing.Unlock()
	<-l.done
	if was {
		return nil
	}
	var failed error
	for _, s := range l.sinks {
		if err := s.Close(); err != nil && failed == nil {
			failed = fmt.Errorf("close the log of decisions, %s: %w", s.Name(), err)
		}
	}
	return failed
}

// run writes until the queue is closed and empty.
func (l *Log) run() {
	defer close(l.done)
	tend := time.NewTicker(tendEvery)
	defer tend.Stop()
	for {
		select {
		case i, open := <-l.queue:
			if !open {
				return
			}
			l.write(l.gather(i))
		case <-tend.C:
			l.tend()
		}
	}
}

// gather takes what else is waiting, up to a batch.
func (l *Log) gather(first item) []item {
	items, n := []item{first}, len(first.answers)
	for n < maxBatch {
		select {
		case i, open := <-l.queue:
			if !open {
				return items
			}
			items, n = append(items, i), n+len(i.answers)
		default:
			return items
		}
	}
	return items
}

// write gives answers their ids, masks them and writes them to every sink.
func (l *Log) write(items []item) {
	var batch []access.Recorded
	for _, i := range items {
		batch = append(batch, i.answers...)
	}
	for n := range batch {
		batch[n].ID = newID(batch[n].At)
		l.opts.Mask.apply(&batch[n])
	}
	var failed error
	for _, s := range l.sinks {
		if err := l.writeTo(s, batch); err != nil {
			failed = err
		}
	}
	if failed == nil {
		l.recorded.Add(uint64(len(batch)))
	}
	l.waiting.Add(-int64(len(batch)))
	for _, i := range items {
		if i.kept != nil {
			i.kept <- failed
		}
	}
}

// writeTo tries again for a while, as long as nobody waits and the queue has
// room: databases fail over within seconds.
func (l *Log) writeTo(s *sinkState, batch []access.Recorded) error {
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		err := s.Write(ctx, batch)
		cancel()
		if err == nil {
			s.written.Add(uint64(len(batch)))
			s.trouble.Store(nil)
			return nil
		}
		s.failures.Add(1)
		l.troubled(s, err)
		if l.opts.Strict || try == retries || l.crowded() {
			l.lose(&s.lost, len(batch))
			return err
		}
		time.Sleep(retryPause)
	}
}

const retries = 20

// crowded tells that the queue is half full, or closed: what is lost then is
// better lost from the batch at hand.
func (l *Log) crowded() bool {
	l.closing.RLock()
	defer l.closing.RUnlock()
	return l.closed || l.waiting.Load() > int64(l.opts.Queue)/2
}

// troubled logs the first of several failures that are alike.
func (l *Log) troubled(s *sinkState, err error) {
	why := err.Error()
	if was := s.trouble.Swap(&why); was == nil || *was != why {
		l.opts.Log.Error("decisions could not be written to their log", "sink", s.Name(), "error", err)
	}
}

func (l *Log) tend() {
	for _, s := range l.sinks {
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		if err := s.Tend(ctx); err != nil {
			l.opts.Log.Error("the log of decisions could not be tended", "sink", s.Name(), "error", err)
		}
		cancel()
	}
}

// newID draws the id of an answer.
func newID(at time.Time) string {
	var random [access.RecordedRandom]byte
	_, _ = rand.Read(random[:]) // it never fails, by its own promise
	return access.RecordedID(at, random)
}

// Stats is how the log does.
type Stats struct {
	Recorded uint64 // kept in every sink
	LeftOut  uint64 // by the rules of the sample
	Lost     uint64 // because the queue was full
	Waiting  int64
	Queue    int
	Sinks    []SinkStats
}

// SinkStats is how one sink does.
type SinkStats struct {
	Name                    string
	Written, Lost, Failures uint64
}

// Stats measures the log.
func (l *Log) Stats() Stats {
	s := Stats{
		Recorded: l.recorded.Load(), LeftOut: l.left.Load(), Lost: l.lostInQueue.Load(),
		Waiting: l.waiting.Load(), Queue: l.opts.Queue,
	}
	for _, x := range l.sinks {
		s.Sinks = append(s.Sinks, SinkStats{Name: x.Name(), Written: x.written.Load(), Lost: x.lost.Load(), Failures: x.failures.Load()})
	}
	return s
}

// lossShown is how long a loss shows in Trouble.
const lossShown = 10 * time.Minute

// Trouble says in words what is wrong; nothing when all is well.
func (l *Log) Trouble() []string {
	var all []string
	for _, s := range l.sinks {
		if s.trouble.Load() != nil {
			all = append(all, fmt.Sprintf("decisions cannot be written to their log, %s, now; the log of this program says why", s.Name()))
		}
	}
	last := l.lastLoss.Load()
	if last == 0 || l.opts.Clock().Sub(time.UnixMicro(last)) > lossShown {
		return all
	}
	lost := l.lostInQueue.Load()
	for _, s := range l.sinks {
		lost += s.lost.Load()
	}
	return append(all, fmt.Sprintf("%d decisions are missing in their log, the last since %s", lost, time.UnixMicro(last).UTC().Format(time.RFC3339)))
}
