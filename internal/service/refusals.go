package service

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// RefusalStore keeps refused attempts.
type RefusalStore interface {
	// KeepRefusals keeps attempts, all or none, in a transaction of their own.
	KeepRefusals(ctx context.Context, all []access.RefusedAttempt) error
	// ForgetRefusals removes what was refused before a moment, and the oldest
	// beyond so many, some at a time.
	ForgetRefusals(ctx context.Context, before time.Time, most int) (done bool, err error)
	Refusals(ctx context.Context, tenant string, q access.RefusalSearch) ([]access.RefusedAttempt, error)
}

// RefusalsOptions for NewRefusals. The zero value works.
type RefusalsOptions struct {
	PerMinute int           // attempts of one caller that are kept one by one in a minute; 30 when 0. Further ones are counted
	Age       time.Duration // attempts older than that are forgotten; a year when 0
	Rows      int           // and the oldest beyond so many; a million when 0
	Clock     func() time.Time
	Log       *slog.Logger
}

// Refusals keeps administrative attempts that were refused. That one cannot be
// kept changes nothing about its refusal: it is counted, and an alarm. Whoever
// is refused again and again fills a bounded number of rows.
type Refusals struct {
	store     RefusalStore
	authority *Authority
	state     *Follower
	opts      RefusalsOptions
	queue     chan access.RefusedAttempt
	kept      atomic.Uint64
	lost      atomic.Uint64
	trouble   atomic.Bool // the last attempt to write failed

	mu      sync.Mutex
	minute  time.Time // that is being counted
	callers map[string]*tries
}

// tries is how often a caller was refused in a minute.
type tries struct {
	n    int
	last access.RefusedAttempt // the last one that was only counted
	more int
}

const (
	refusalQueue   = 1000
	refusalCallers = 10_000 // in a minute; those beyond are lost
	refusalTime    = 3 * time.Second
)

// NewRefusals writes once Run runs.
func NewRefusals(s RefusalStore, o RefusalsOptions) *Refusals {
	if o.PerMinute <= 0 {
		o.PerMinute = 30
	}
	if o.Rows <= 0 {
		o.Rows = 1_000_000
	}
	o.Age = orDefault(o.Age, 365*24*time.Hour)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Refusals{store: s, opts: o, queue: make(chan access.RefusedAttempt, refusalQueue), callers: map[string]*tries{}}
}

// Note keeps an attempt, soon. It waits for nothing. A nil Refusals keeps none.
func (r *Refusals) Note(a access.RefusedAttempt) {
	if r == nil {
		return
	}
	a.At, a.Times = r.opts.Clock().UTC().Truncate(time.Microsecond), 1
	if a.Tenant == "" {
		a.Tenant = access.AllTenants
	}
	if !r.within(a) {
		return
	}
	r.put(a)
}

func (r *Refusals) put(a access.RefusedAttempt) {
	select {
	case r.queue <- a:
	default:
		r.lost.Add(uint64(a.Times)) //nolint:gosec // counted up from 1
	}
}

// within counts an attempt, and tells whether it is kept for itself.
func (r *Refusals) within(a access.RefusedAttempt) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute := a.At.Truncate(time.Minute); !minute.Equal(r.minute) {
		r.turn(minute)
	}
	t := r.callers[a.Tenant+"\n"+a.Caller]
	if t == nil {
		if len(r.callers) == refusalCallers {
			r.lost.Add(1)
			return false
		}
		t = &tries{}
		r.callers[a.Tenant+"\n"+a.Caller] = t
	}
	if t.n++; t.n <= r.opts.PerMinute {
		return true
	}
	t.last, t.more = a, t.more+1
	return false
}

// turn begins a new minute. What was only counted becomes one entry.
func (r *Refusals) turn(minute time.Time) {
	for _, t := range r.callers {
		if t.more > 0 {
			t.last.Times = t.more
			r.put(t.last)
		}
	}
	clear(r.callers)
	r.minute = minute
}

// Run writes until ctx ends, and then what is left.
func (r *Refusals) Run(ctx context.Context) {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case a := <-r.queue:
			r.write(context.WithoutCancel(ctx), a)
		case <-minute.C:
			r.tend(ctx)
		case <-ctx.Done():
			r.mu.Lock()
			r.turn(time.Time{})
			r.mu.Unlock()
			r.drain(context.WithoutCancel(ctx))
			return
		}
	}
}

func (r *Refusals) drain(ctx context.Context) {
	for {
		select {
		case a := <-r.queue:
			r.write(ctx, a)
		default:
			return
		}
	}
}

// tend ends a minute in which nobody was refused any more, and forgets what is old.
func (r *Refusals) tend(ctx context.Context) {
	now := r.opts.Clock().UTC()
	r.mu.Lock()
	if minute := now.Truncate(time.Minute); !minute.Equal(r.minute) {
		r.turn(minute)
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, refusalTime)
	defer cancel()
	if _, err := r.store.ForgetRefusals(ctx, now.Add(-r.opts.Age), r.opts.Rows); err != nil && ctx.Err() == nil {
		r.opts.Log.Error("old refusals could not be removed", "error", err)
	}
}

// write keeps an attempt and those that wait behind it.
func (r *Refusals) write(ctx context.Context, first access.RefusedAttempt) {
	batch := []access.RefusedAttempt{first}
	for len(batch) < 100 && len(r.queue) > 0 {
		batch = append(batch, <-r.queue)
	}
	for i := range batch {
		var random [access.RecordedRandom]byte
		_, _ = rand.Read(random[:]) // it never fails, by its own promise
		batch[i].ID = access.RecordedID(batch[i].At, random)
	}
	ctx, cancel := context.WithTimeout(ctx, refusalTime)
	defer cancel()
	err := r.store.KeepRefusals(ctx, batch)
	if r.trouble.Store(err != nil); err == nil {
		r.kept.Add(uint64(len(batch)))
		return
	}
	for _, a := range batch {
		r.lost.Add(uint64(a.Times)) //nolint:gosec // counted up from 1
	}
	r.opts.Log.Error("refused attempts could not be recorded", "attempts", len(batch), "error", err)
}

// Counts tells how many attempts were kept, and how many are missing.
func (r *Refusals) Counts() (kept, lost uint64) { return r.kept.Load(), r.lost.Load() }

// Trouble says in words that attempts cannot be recorded now; nothing when they can.
func (r *Refusals) Trouble() []string {
	if r == nil || !r.trouble.Load() {
		return nil
	}
	return []string{"refused attempts cannot be recorded now; the log says why"}
}

// Under says who may look at refused attempts, and of which tenants there are.
func (r *Refusals) Under(a *Authority, f *Follower) { r.authority, r.state = a, f }

// List gives a page of refused attempts, newest first, and the token of the next
// one.
func (r *Refusals) List(ctx context.Context, caller access.Caller, tenant string, q access.RefusalSearch, p Page) ([]access.RefusedAttempt, string, error) {
	if _, err := r.authority.Allow(ctx, caller, tenant, ofRecords); err != nil {
		return nil, "", err
	}
	list, err := r.state.list(tenant, "refusals", q)
	if err != nil {
		return nil, "", err
	}
	if err := r.state.pages.open(ctx, list, p.Token, &q.After); err != nil {
		return nil, "", err
	}
	q.Most = p.Size + 1
	found, err := r.store.Refusals(ctx, tenant, q)
	if err != nil || len(found) <= p.Size {
		return found, "", err
	}
	next, err := r.state.pages.seal(ctx, list, found[p.Size-1].ID)
	return found[:p.Size], next, err
}

// notedError is a refusal that was recorded.
type notedError struct{ error }

// Unwrap gives the refusal itself.
func (e notedError) Unwrap() error { return e.error }

// Noted tells whether a refusal was recorded already.
func Noted(err error) bool {
	var noted notedError
	return errors.As(err, &noted)
}
