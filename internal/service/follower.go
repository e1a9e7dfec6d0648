package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Installer compiles facts now and makes them decide later, or moves what
// decides by a difference: as a whole, or not at all.
type Installer interface {
	Prepare(f access.Facts) (install func(access.Revision), err error)
	Advance(d access.Delta) error
	Remove(tenant string)
}

// Source is what the follower reads from the store.
type Source interface {
	Heads(ctx context.Context) (map[string]access.Head, error)
	Load(ctx context.Context, tenant string) (access.Facts, error)
	// Changes gives the difference from a revision to the newest one, or
	// ErrStale where only a full load can.
	Changes(ctx context.Context, tenant string, from access.Revision) (access.Delta, error)
	Expire(ctx context.Context, tenant string, now time.Time) (access.Delta, error)
}

// FollowerOptions says how closely the store is followed. Its zero value works.
type FollowerOptions struct {
	PollInterval  time.Duration // how often heads are read; 250 ms when zero
	StaleAfter    time.Duration // without a confirmed poll no decision is made; 10 s when zero
	SweepInterval time.Duration // how often expired facts are removed; 1 minute when zero
	CatchUpWithin time.Duration // how long a question waits for a revision; 1 s when zero
	Loads         int           // tenants that are loaded in full at one time; 4 when zero

	// Scans tells of a tenant that was just put in force whether its model can
	// only be answered by looking at all rules. Nobody's when nil.
	Scans func(tenant string) bool
	// Announce tells other replicas of a revision that was committed here. It
	// must not wait. It is only to hurry them: they poll all the same.
	Announce func(tenant string, revision access.Revision)
	// Secret gives a random text that all servers over one store share: page tokens
	// are sealed with it. When it is nil, tokens are good for this process only.
	Secret func(context.Context) ([]byte, error)
	// Purge takes away what is left of some accounts of a tenant that can no longer
	// be restored. Nobody does when nil.
	Purge func(ctx context.Context, tenant string, now time.Time) (access.Delta, error)
	Clock func() time.Time
	Log   *slog.Logger
}

// Follower keeps what decides in step with what is stored. It is the only one
// that installs snapshots, so that a tenant's revision never goes backwards
// within one epoch of the store.
//
// It reads the heads of all tenants at once, and brings each tenant that is
// behind to its head in a goroutine of its own: by the difference where there
// is one, else by a full load.
type Follower struct {
	engine Installer
	source Source
	keys   *Keys
	opts   FollowerOptions
	pages  *pages

	confirmed atomic.Pointer[time.Time] // start of the last poll that read all heads
	fault     atomic.Pointer[fault]     // why the last poll failed; nil when it did not
	tenants   atomic.Pointer[map[string]*followed]
	mu        sync.Mutex // held while the map of tenants is replaced

	rounds sync.Mutex             // held while next is looked at
	next   *round                 // the poll that has not begun yet, for all who want one
	turn   sync.Mutex             // held by the poll that is under way
	read   map[string]access.Head // under turn: the heads with which the keys were read
	wake   chan struct{}

	loads, reads chan struct{} // filled by full loads and by readings of differences
	clock        stopwatch
	failures     atomic.Uint64
	waiting      atomic.Int64 // who waits for the heads to be read

	life context.Context // of what is done in the background; ends with Run
	end  context.CancelFunc

	late func(install func()) // set by a test to show what installing too late does
}

// fault is why the store could not be followed.
type fault struct {
	words string // for people
	older bool   // it holds less than what decides here
}

// NewFollower makes a follower that knows nothing yet: until the first poll it
// is neither ready nor fresh.
func NewFollower(engine Installer, source Source, keys *Keys, o FollowerOptions) *Follower {
	o.PollInterval = orDefault(o.PollInterval, 250*time.Millisecond)
	o.StaleAfter = orDefault(o.StaleAfter, 10*time.Second)
	o.SweepInterval = orDefault(o.SweepInterval, time.Minute)
	o.CatchUpWithin = orDefault(o.CatchUpWithin, time.Second)
	if o.Loads <= 0 {
		o.Loads = 4
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Follower{
		engine: engine, source: source, keys: keys, opts: o, wake: make(chan struct{}, 1),
		loads: make(chan struct{}, o.Loads), reads: make(chan struct{}, 2*o.Loads),
	}
	f.pages = &pages{secret: o.Secret}
	if o.Secret == nil {
		f.pages.secret = ownSecret()
	}
	f.life, f.end = context.WithCancel(context.Background())
	f.tenants.Store(&map[string]*followed{})
	f.fault.Store(&fault{words: "nothing has been loaded yet"})
	return f
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// wakePause spaces polls that were asked for: a flood of messages cannot turn
// into a flood of questions to the store.
const wakePause = 5 * time.Millisecond

// Run polls and sweeps until ctx ends, and what is under way in the background
// ends with it. Failures are logged and shown by Ready; they never end it.
func (f *Follower) Run(ctx context.Context) {
	defer f.end()
	var sweeping sync.WaitGroup
	sweeping.Go(func() { f.sweeps(ctx) })
	defer sweeping.Wait()
	poll := time.NewTicker(f.opts.PollInterval)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
			_ = f.look(ctx) // logged and kept for Ready
		case <-f.wake:
			_ = f.look(ctx)
			time.Sleep(wakePause)
		}
	}
}

// Start brings every tenant to its head for the first time. That may take longer
// than a reading of the heads is good for, so there is one more behind it.
func (f *Follower) Start(ctx context.Context) error {
	if err := f.Poll(ctx); err != nil {
		return err
	}
	return f.Poll(ctx)
}

// Wake makes Run look at once. It never waits.
func (f *Follower) Wake() {
	select {
	case f.wake <- struct{}{}:
	default: // it is about to look
	}
}

// Poll reads the heads once and waits until every tenant that was behind is at
// its head or has failed.
func (f *Follower) Poll(ctx context.Context) error {
	if err := f.look(ctx); err != nil {
		return err
	}
	for _, t := range *f.tenants.Load() {
		if p := t.pursuing(); p != nil {
			_ = p.wait(ctx) // logged and kept for Ready
		}
	}
	return nil
}

// round is one reading of the heads, shared by all who asked before it began.
type round struct {
	done chan struct{}
	err  error
}

// look waits for a reading of the heads that begins after it was called. All
// who wait for the next reading share it, so that any number of questions costs
// the store one at a time.
func (f *Follower) look(ctx context.Context) error {
	f.rounds.Lock()
	r := f.next
	if r == nil {
		r = &round{done: make(chan struct{})}
		f.next = r
		go f.begin(r)
	}
	f.rounds.Unlock()
	f.waiting.Add(1)
	defer f.waiting.Add(-1)
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return access.Unavailable("the newest revisions could not be read in time")
	}
}

// begin reads the heads when the reading before is over. From then on, who asks
// waits for the next one.
func (f *Follower) begin(r *round) {
	f.turn.Lock()
	defer f.turn.Unlock()
	f.rounds.Lock()
	f.next = nil
	f.rounds.Unlock()
	ctx, cancel := context.WithTimeout(f.life, f.opts.StaleAfter/2)
	defer cancel()
	r.err = f.readHeads(ctx)
	close(r.done)
}

// readHeads reads the heads once and sends out for what has changed. What is
// known counts as confirmed from the moment the reading began, once the heads
// were read and none of them is older than what decides here.
func (f *Follower) readHeads(ctx context.Context) error {
	began, before := f.opts.Clock(), f.standings()
	heads, err := f.source.Heads(ctx)
	if err != nil {
		return f.failed(fault{words: words(err)}, fmt.Errorf("read heads: %w", err))
	}
	if err := plausible(before, heads); err != nil {
		return f.failed(fault{words: words(err), older: true}, err)
	}
	if err := f.readKeys(ctx, heads); err != nil {
		return f.failed(fault{words: words(err)}, fmt.Errorf("read keys: %w", err))
	}
	last := f.confirmed.Swap(&began)
	f.fault.Store(nil)
	f.follow(before, heads, last)
	return nil
}

// failed keeps why the store could not be followed, and logs it once.
func (f *Follower) failed(why fault, err error) error {
	if f.life.Err() != nil {
		return err // it ended because we did
	}
	f.failures.Add(1)
	if was := f.fault.Swap(&why); was == nil || *was != why {
		f.opts.Log.Error("the store could not be followed", "error", err)
	}
	return err
}

// plausible refuses a store that lost revisions: after a failover to a copy
// that lags, it must not decide what has been revoked since. Only a new epoch
// says that the lower number is meant.
func plausible(before map[string]*standing, heads map[string]access.Head) error {
	for tenant, now := range before {
		head, ok := heads[tenant]
		if ok && now != nil && head.Epoch == now.epoch && head.Revision < now.revision {
			return access.Unavailable("the store holds revision %d of tenant %q, older than %d that decides here",
				head.Revision, tenant, now.revision)
		}
	}
	return nil
}

// readKeys reads the keys where they may have changed: a change of keys is a
// revision of some tenant.
func (f *Follower) readKeys(ctx context.Context, heads map[string]access.Head) error {
	if f.read != nil && maps.Equal(f.read, heads) {
		return nil
	}
	if err := f.keys.Reload(ctx); err != nil {
		return err
	}
	f.read = heads
	return nil
}

// follow takes in new heads. What was installed after before was taken may be
// newer than they are, and is left alone.
func (f *Follower) follow(before map[string]*standing, heads map[string]access.Head, last *time.Time) {
	f.welcome(heads)
	for tenant, t := range *f.tenants.Load() {
		head, stored := heads[tenant]
		if _, known := before[tenant]; known && !stored {
			f.forget(t)
		} else if stored && t.see(head, last) && !f.hopeless(t) {
			f.pursue(t)
		}
	}
}

// welcome makes room for tenants that were not known.
func (f *Follower) welcome(heads map[string]access.Head) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := *f.tenants.Load()
	copied := false
	for tenant := range heads {
		if _, known := all[tenant]; known {
			continue
		}
		if !copied {
			all, copied = maps.Clone(all), true
		}
		all[tenant] = newFollowed(tenant)
	}
	f.tenants.Store(&all)
}

// forget ends a tenant that is stored no longer.
func (f *Follower) forget(t *followed) {
	f.mu.Lock()
	all := maps.Clone(*f.tenants.Load())
	delete(all, t.name)
	f.tenants.Store(&all)
	f.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	f.engine.Remove(t.name)
}

// standings gives what decides now, nil for tenants that are known and were
// never loaded.
func (f *Follower) standings() map[string]*standing {
	all := map[string]*standing{}
	for tenant, t := range *f.tenants.Load() {
		all[tenant] = t.now.Load()
	}
	return all
}

// tenant gives a tenant, known or not yet.
func (f *Follower) tenant(name string) *followed {
	if t, ok := f.lookup(name); ok {
		return t
	}
	f.welcome(map[string]access.Head{name: {}})
	t, _ := f.lookup(name)
	return t
}

// epoch is that of what decides for a tenant; empty before the first load.
func (f *Follower) epoch(tenant string) string {
	if t, ok := f.lookup(tenant); ok {
		return t.standing().Epoch
	}
	return ""
}

func (f *Follower) lookup(tenant string) (*followed, bool) {
	t, ok := (*f.tenants.Load())[tenant]
	return t, ok
}

func (f *Follower) sweeps(ctx context.Context) {
	sweep := time.NewTicker(f.opts.SweepInterval)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			f.Sweep(ctx)
		}
	}
}

// Sweep removes, in every tenant, what has run out of its validity, and accounts
// that can no longer be restored. Decisions do not wait for it, they look at the
// clock themselves; it keeps the stored rules true for any other Casbin tool.
func (f *Follower) Sweep(ctx context.Context) {
	for tenant := range *f.tenants.Load() {
		for _, sweep := range []func(context.Context, string, time.Time) (access.Delta, error){f.source.Expire, f.opts.Purge} {
			if sweep != nil {
				f.sweep(ctx, tenant, sweep)
			}
		}
	}
}

// maxSweeps bounds how many revisions one sweep of a tenant makes.
const maxSweeps = 20

func (f *Follower) sweep(ctx context.Context, tenant string, sweep func(context.Context, string, time.Time) (access.Delta, error)) {
	for range maxSweeps {
		d, err := sweep(ctx, tenant, f.opts.Clock())
		if err == nil && d.From == d.To {
			return
		}
		if err == nil {
			err = f.inForce(ctx, tenant, d)
		}
		if err != nil {
			if ctx.Err() == nil {
				f.opts.Log.Error("what has run out could not be removed", "tenant", tenant, "error", err)
			}
			return
		}
	}
}

// Fresh gives ErrUnavailable while this process cannot be sure of deciding by
// the current revisions.
func (f *Follower) Fresh() error {
	at := f.confirmed.Load()
	if at == nil {
		return access.Unavailable("no policy has been loaded yet")
	}
	if age := f.opts.Clock().Sub(*at); age > f.opts.StaleAfter {
		return access.Unavailable("the policy could not be confirmed for %s", age.Round(time.Second))
	}
	return nil
}

// Age tells how long before now that which decides for a tenant was known to be
// the newest; false before the first poll.
func (f *Follower) Age(tenant string, now time.Time) (time.Duration, bool) {
	at := f.confirmed.Load()
	if at == nil {
		return 0, false
	}
	if t, ok := f.lookup(tenant); ok {
		if since := t.behind.Load(); since != nil {
			at = since
		}
	}
	return max(0, now.Sub(*at)), true
}

// Readiness is how well the store is followed, in words for operators.
type Readiness struct {
	Ready   bool     // decisions are made, and by a store that is to be trusted
	Reasons []string // what is wrong, sorted; may be filled although Ready
}

// Ready tells whether decisions are made, and everything that is wrong.
func (f *Follower) Ready() Readiness {
	r := Readiness{Ready: true}
	if err := f.Fresh(); err != nil {
		r.Ready = false
		r.Reasons = append(r.Reasons, err.Error())
	}
	if why := f.fault.Load(); why != nil {
		r.Ready = r.Ready && !why.older
		r.Reasons = append(r.Reasons, "store: "+why.words)
	}
	for _, t := range *f.tenants.Load() {
		if trouble := t.trouble.Load(); trouble != nil {
			r.Reasons = append(r.Reasons, fmt.Sprintf("revision %d of tenant %q stays: %s", t.revision(), t.name, trouble.why))
		}
	}
	slices.Sort(r.Reasons)
	return r
}

// words gives what anybody may read of an error: what was written for people.
// The rest, such as a driver's text with addresses, is for the log.
func words(err error) string {
	var mistakes access.Problems
	if errors.As(err, &mistakes) {
		return mistakes.Error()
	}
	var told *access.Error
	if errors.As(err, &told) {
		return told.Error()
	}
	return "it could not be read; the log says why"
}

// Following is what can be measured about a follower.
type Following struct {
	Tenants  []Standing    // by tenant
	PollAge  time.Duration // since the last confirmed poll; negative before the first
	Failures uint64        // polls and loads that failed since the start
	Waiting  int64         // questions that wait for the newest revisions to be read
	InForce  Histogram     // seconds from the commit of a revision until it decided here
}

// Behind is how many tenants are not at their head.
func (m Following) Behind() int {
	n := 0
	for _, t := range m.Tenants {
		if !t.AtHead {
			n++
		}
	}
	return n
}

// MostBehind gives the tenants with the greatest lag, at most so many.
func (m Following) MostBehind(most int) []Standing {
	all := slices.Clone(m.Tenants)
	slices.SortStableFunc(all, func(a, b Standing) int { return cmp.Compare(b.Lag(), a.Lag()) })
	return all[:min(len(all), most)]
}

// Standing is how far a tenant was followed.
type Standing struct {
	Tenant   string
	Revision access.Revision // what decides; 0 before the first load
	Head     access.Head     // what is stored, as of the last poll
	AtHead   bool            // what decides is what is stored
	Epoch    string          // of what decides
	Trouble  string          // why it is not at its head, in words
}

// Lag is how many revisions are stored and not in force here.
func (s Standing) Lag() uint64 {
	if s.Head.Revision <= s.Revision {
		return 0
	}
	return uint64(s.Head.Revision - s.Revision)
}

// Following measures the follower.
func (f *Follower) Following() Following {
	m := Following{PollAge: -1, Failures: f.failures.Load(), Waiting: f.waiting.Load(), InForce: f.clock.read()}
	for _, t := range *f.tenants.Load() {
		m.Tenants = append(m.Tenants, t.standing())
	}
	slices.SortFunc(m.Tenants, func(a, b Standing) int { return strings.Compare(a.Tenant, b.Tenant) })
	if at := f.confirmed.Load(); at != nil {
		m.PollAge = f.opts.Clock().Sub(*at)
	}
	return m
}

func (f *Follower) installed(tenant string) (*standing, bool) {
	t, ok := f.lookup(tenant)
	if !ok {
		return nil, false
	}
	now := t.now.Load()
	return now, now != nil
}

// known tells whether the store has the tenant, loaded or not.
func (f *Follower) known(tenant string) bool {
	t, ok := f.lookup(tenant)
	return ok && t.head.Load() != nil
}
