package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Reference is stock Casbin, freshly loaded with the facts of one tenant.
type Reference interface {
	// Decide answers for the moment now. A malformed question is a denial with
	// an error of kind ErrInvalid; any other error means that stock Casbin has no
	// answer.
	Decide(r *access.Request, now time.Time) (access.Decision, error)
}

// Stock makes references, and knows what decides at this moment.
type Stock interface {
	Load(f access.Facts) (Reference, error)
	// InForce gives the number of rules that the tenant keeps in memory here and
	// the epoch that they are of.
	InForce(tenant string) (rules int, epoch string)
}

// ShadowSource is what shadow mode reads from the store.
type ShadowSource interface {
	Load(ctx context.Context, tenant string) (access.Facts, error)
	Subjects(ctx context.Context, tenant string, ids []string) ([]access.SubjectFacts, error)
}

// ShadowOptions bound what shadow mode may cost. The zero value of all but
// Fraction works.
type ShadowOptions struct {
	Fraction float64       // share of the answers that are compared, 0 to 1
	MaxRules int           // tenants with more rules are left out; 10,000 when zero
	Timeout  time.Duration // a tenant for which stock Casbin takes longer is left out until restart; 10 s when zero
	Queue    int           // questions that may wait, about 16 KiB each at most; 256 when zero
	Clock    func() time.Time
	Log      *slog.Logger
}

// Shadow answers by a Decider and has a sample of its answers given again by
// stock Casbin, later and on another goroutine. It changes no answer and waits
// for nothing: what cannot be compared is counted and forgotten.
//
// An answer is compared only with what is stored at the very revision that gave
// it. A difference is counted, logged once for each question, and stays among
// the Warnings until restart.
type Shadow struct {
	Decider
	source ShadowSource
	stock  Stock
	opts   ShadowOptions
	below  uint64 // a question is chosen when a random number is below
	queue  chan sample

	compared, differences atomic.Uint64
	skipped               [len(skips)]atomic.Uint64

	mu       sync.Mutex
	slow     map[string]bool // tenants that are left out until restart: stock Casbin took too long
	large    map[string]bool // and those that were found too large when they were read
	stuck    string          // the tenant with which stock Casbin is past its time right now
	reported reports

	loaded *loaded // used by Run alone
	owed   time.Duration
}

// sample is an answer that is to be compared.
type sample struct {
	asking
	request access.Request
	answer  access.Decision
	after   time.Time
}

// asking is what is known when a question is put.
type asking struct {
	tenant string
	rules  int
	epoch  string
	before time.Time
}

// skip says why an answer was not compared.
type skip int

const (
	skipQueue   skip = iota // too many are waiting
	skipSize                // the question is too large to keep
	skipRules               // the tenant has too many rules
	skipSlow                // stock Casbin took too long with the tenant before
	skipMoved               // the tenant is at another revision by now
	skipFetched             // its users are not in memory, and the question does not tell its user
	skipLate                // stock Casbin reads a clock, and the answer was for a moment that has passed
	skipStore               // the store could not be read
	skipFailed              // stock Casbin panicked
	skipNone
)

// skips are their names, for metrics.
var skips = [...]string{"queue", "size", "rules", "slow", "moved", "fetched", "late", "store", "failed"}

// NewShadow compares answers of d with those of stock once Run runs.
func NewShadow(d Decider, source ShadowSource, stock Stock, o ShadowOptions) *Shadow {
	o.Timeout = orDefault(o.Timeout, 10*time.Second)
	if o.MaxRules <= 0 {
		o.MaxRules = 10_000
	}
	if o.Queue <= 0 {
		o.Queue = 256
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Shadow{
		Decider: d, source: source, stock: stock, opts: o, below: threshold(o.Fraction),
		queue: make(chan sample, o.Queue), slow: map[string]bool{}, large: map[string]bool{}, reported: newReports(),
	}
}

func threshold(fraction float64) uint64 {
	switch {
	case fraction >= 1:
		return math.MaxUint64
	case fraction > 0:
		return uint64(fraction * math.MaxUint64)
	}
	return 0
}

func (s *Shadow) chosen() bool { return rand.Uint64() < s.below } //nolint:gosec // a sample need not be secret

// Decide answers one question.
func (s *Shadow) Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error) {
	if !s.chosen() {
		return s.Decider.Decide(ctx, tenant, r)
	}
	a := s.ask(tenant)
	d, err := s.Decider.Decide(ctx, tenant, r)
	if err == nil || errors.Is(err, access.ErrInvalid) {
		s.keep(a, r, d)
	}
	return d, err
}

// DecideAll answers several questions; each is chosen for itself.
func (s *Shadow) DecideAll(ctx context.Context, tenant string, rs []access.Request) ([]access.Decision, error) {
	if s.below == 0 {
		return s.Decider.DecideAll(ctx, tenant, rs)
	}
	a := s.ask(tenant)
	ds, err := s.Decider.DecideAll(ctx, tenant, rs)
	if err != nil {
		return nil, err
	}
	for i := range ds {
		if s.chosen() {
			s.keep(a, &rs[i], ds[i])
		}
	}
	return ds, nil
}

// ask looks at the epoch before the question is answered: if it changes in
// between, what is stored is of another one, and nothing is compared.
func (s *Shadow) ask(tenant string) asking {
	a := asking{tenant: tenant, before: s.opts.Clock()}
	a.rules, a.epoch = s.stock.InForce(tenant)
	return a
}

// keep puts an answer into the queue.
func (s *Shadow) keep(a asking, r *access.Request, d access.Decision) {
	if a.rules > s.opts.MaxRules {
		s.skip(skipRules)
		return
	}
	if len(s.queue) == cap(s.queue) { // do not copy for nothing
		s.skip(skipQueue)
		return
	}
	q, ok := copied(r)
	if !ok {
		s.skip(skipSize)
		return
	}
	select {
	case s.queue <- sample{asking: a, request: q, answer: d, after: s.opts.Clock()}:
	default:
		s.skip(skipQueue)
	}
}

func (s *Shadow) skip(why skip) {
	if why != skipNone {
		s.skipped[why].Add(1)
	}
}

// Run compares until ctx ends. It must run once: stock Casbin cannot be
// interrupted, so while it hangs everything else waits, the queue fills up, and
// nothing piles up behind it.
func (s *Shadow) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-s.queue:
			began := time.Now()
			s.skip(s.compare(ctx, &q))
			s.rest(ctx, time.Since(began))
		}
	}
}

// nap is the shortest rest that is worth it.
const nap = 10 * time.Millisecond

// rest leaves half of one processor to those who wait for answers.
func (s *Shadow) rest(ctx context.Context, worked time.Duration) {
	if s.owed += min(worked, s.opts.Timeout); s.owed < nap {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(s.owed):
	}
	s.owed = 0
}

// compare has stock Casbin answer, and where it answers otherwise once more
// after loading everything afresh: it remembers what it has been asked.
func (s *Shadow) compare(ctx context.Context, q *sample) skip {
	var found *difference
	for range 2 {
		d, why := s.once(ctx, q)
		if why != skipNone {
			return why
		}
		if found = d; found == nil {
			break
		}
		s.loaded = nil
	}
	if found != nil {
		s.report(q, found)
	}
	s.compared.Add(1) // last: who sees the count sees its difference too
	return skipNone
}

func (s *Shadow) once(ctx context.Context, q *sample) (*difference, skip) {
	if why := s.leftOut(q.tenant); why != skipNone {
		return nil, why
	}
	l, why := s.load(ctx, q)
	if why != skipNone {
		return nil, why
	}
	if l.readsClock() && q.past(s.opts.Clock()) {
		return nil, skipLate
	}
	var d *difference
	failed := false
	inTime := s.timed(q.tenant, func() {
		defer func() {
			if p := recover(); p != nil {
				failed, s.loaded = true, nil
				s.opts.Log.Error("stock Casbin panicked in shadow mode", "tenant", q.tenant, "panic", fmt.Sprint(p))
			}
		}()
		d = s.judge(l, q)
	})
	switch {
	case failed:
		return nil, skipFailed
	case !inTime:
		s.loaded = nil
		return nil, skipSlow
	}
	return d, skipNone
}

// judge gives what is different, or nil. Loading is part of it, because a
// policy that stock Casbin cannot load should not have been accepted.
func (s *Shadow) judge(l *loaded, q *sample) *difference {
	if l.stock == nil {
		var err error
		if l.stock, err = s.stock.Load(l.facts); err != nil {
			return &difference{what: "stock Casbin cannot load the rules", err: err}
		}
	}
	var d *difference
	for _, at := range q.moments() {
		stock, err := l.stock.Decide(&q.request, at)
		if err != nil && !errors.Is(err, access.ErrInvalid) {
			return &difference{what: "stock Casbin gives no answer", err: err}
		}
		if d = differ(&q.answer, &stock); d == nil {
			break
		}
	}
	return d
}

// moments are those for which the answer may have been given. It holds until
// ValidUntil, which is the moment itself where a condition reads the clock.
func (q *sample) moments() []time.Time {
	until := q.answer.ValidUntil
	if until.IsZero() || until.After(q.after) {
		return []time.Time{q.after}
	}
	return []time.Time{until, q.before}
}

func (q *sample) past(now time.Time) bool {
	until := q.answer.ValidUntil
	return !until.IsZero() && !until.After(now)
}

// timed runs f and tells whether it came back in time. When it did not, the
// tenant is left out from that moment on, whether f comes back or not.
func (s *Shadow) timed(tenant string, f func()) bool {
	late := time.AfterFunc(s.opts.Timeout, func() { s.leaveOut(tenant) })
	f()
	if late.Stop() {
		return true
	}
	s.leaveOut(tenant) // the timer's own goroutine may not have come to it yet
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = ""
	return false
}

func (s *Shadow) leaveOut(tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow[tenant] { // it came back meanwhile
		return
	}
	s.slow[tenant], s.stuck = true, tenant
	s.opts.Log.Warn("shadow mode leaves a tenant out until restart: stock Casbin took too long",
		"tenant", tenant, "timeout", s.opts.Timeout)
}

func (s *Shadow) leftOut(tenant string) skip {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.slow[tenant]:
		return skipSlow
	case s.large[tenant]:
		return skipRules
	}
	return skipNone
}

// tooLarge leaves out a tenant whose size shows only when it is read: it would
// be read in vain again and again.
func (s *Shadow) tooLarge(tenant string) skip {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.large[tenant] = true
	return skipRules
}
