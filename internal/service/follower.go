package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Installer compiles facts now and makes them decide later.
type Installer interface {
	Prepare(f access.Facts) (install func(access.Revision), err error)
	Remove(tenant string)
}

// Source is what the follower reads from the store.
type Source interface {
	Heads(ctx context.Context) (map[string]access.Head, error)
	Load(ctx context.Context, tenant string) (access.Facts, error)
	Expire(ctx context.Context, tenant string, now time.Time) (access.Delta, error)
}

// FollowerOptions says how closely the store is followed. Its zero value works.
type FollowerOptions struct {
	PollInterval  time.Duration // how often heads are read; 250 ms when zero
	StaleAfter    time.Duration // without a confirmed poll no decision is made; 10 s when zero
	SweepInterval time.Duration // how often expired facts are removed; 1 minute when zero
	Clock         func() time.Time
	Log           *slog.Logger
}

// Follower keeps what decides in step with what is stored. It is the only one
// that installs snapshots, so that a tenant's revision never goes backwards.
type Follower struct {
	engine Installer
	source Source
	keys   *Keys
	opts   FollowerOptions

	confirmed atomic.Pointer[time.Time] // start of the last poll that read all heads
	state     atomic.Pointer[followed]
	failures  atomic.Uint64

	mu sync.Mutex // held while state is replaced and while a snapshot is installed
}

// followed is what the follower knows; it is replaced as a whole.
type followed struct {
	tenants  map[string]installation    // what decides, by tenant
	heads    map[string]access.Revision // what is stored, as of the last confirmed poll
	troubles map[string]trouble         // why a tenant is not at its head
	source   string                     // why the last poll failed, in words
}

type trouble struct {
	why  string
	head access.Revision // the revision that failed
	at   time.Time
}

type installation struct {
	revision access.Revision
	ours     bool
}

// NewFollower makes a follower that knows nothing yet: until the first poll it
// is neither ready nor fresh.
func NewFollower(engine Installer, source Source, keys *Keys, o FollowerOptions) *Follower {
	o.PollInterval = orDefault(o.PollInterval, 250*time.Millisecond)
	o.StaleAfter = orDefault(o.StaleAfter, 10*time.Second)
	o.SweepInterval = orDefault(o.SweepInterval, time.Minute)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Follower{engine: engine, source: source, keys: keys, opts: o}
	f.state.Store(&followed{source: "nothing has been loaded yet"})
	return f
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// Run polls and sweeps until ctx ends. Failures are logged and shown by Ready;
// they never end it.
func (f *Follower) Run(ctx context.Context) {
	poll, sweep := time.NewTicker(f.opts.PollInterval), time.NewTicker(f.opts.SweepInterval)
	defer poll.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
			_ = f.Poll(ctx) // logged and kept for Ready
		case <-sweep.C:
			f.Sweep(ctx)
		}
	}
}

// Poll reads the heads once and loads what has changed. A poll counts as
// confirmed from the moment it began, once the heads were read and none of them
// is older than what decides here.
func (f *Follower) Poll(ctx context.Context) error {
	began, before := f.opts.Clock(), f.state.Load()
	heads, err := f.heads(ctx, before)
	if err != nil {
		f.failures.Add(1)
		if f.update(func(s *followed) { s.source = words(err) }) {
			f.opts.Log.Error("the store could not be followed", "error", err)
		}
		return err
	}
	f.confirmed.Store(&began)
	f.follow(ctx, before, heads)
	return nil
}

// heads reads heads and keys. It refuses a store that lost revisions: after a
// restore or a failover to a copy that lags, it must not decide what has been
// revoked since.
func (f *Follower) heads(ctx context.Context, before *followed) (map[string]access.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, f.opts.StaleAfter/2)
	defer cancel()
	stored, err := f.source.Heads(ctx)
	if err != nil {
		return nil, fmt.Errorf("read heads: %w", err)
	}
	heads := make(map[string]access.Revision, len(stored))
	for tenant, head := range stored {
		heads[tenant] = head.Revision
	}
	for tenant, in := range before.tenants {
		if head, ok := heads[tenant]; ok && head < in.revision {
			return nil, access.Unavailable("the store holds revision %d of tenant %q, older than %d that decides here",
				head, tenant, in.revision)
		}
	}
	if err := f.keys.Reload(ctx); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return heads, nil
}

// follow brings every tenant to its head; one that fails stays as it is. What
// was installed after before was taken may be newer than heads and is left alone.
func (f *Follower) follow(ctx context.Context, before *followed, heads map[string]access.Revision) {
	if before.source != "" || !maps.Equal(before.heads, heads) {
		f.update(func(s *followed) { s.source, s.heads = "", heads })
	}
	for tenant, head := range heads {
		in, ok := f.installed(tenant)
		if ok && in.revision >= head || f.hopeless(before.troubles[tenant], head) {
			continue
		}
		if err := f.Reload(ctx, tenant); err != nil {
			f.opts.Log.Error("a tenant could not be loaded; its last good revision stays",
				"tenant", tenant, "revision", in.revision, "head", head, "error", err)
		}
	}
	for tenant := range before.tenants {
		if _, ok := heads[tenant]; !ok {
			f.remove(tenant)
		}
	}
}

// retryAfter spaces attempts to load one and the same broken revision.
const retryAfter = 5 * time.Second

// hopeless tells whether this head failed a moment ago.
func (f *Follower) hopeless(t trouble, head access.Revision) bool {
	return t.why != "" && t.head == head && f.opts.Clock().Sub(t.at) < retryAfter
}

// Reload loads what is stored of one tenant, compiles it and lets it decide.
// When it fails, the last good revision stays and Ready says why.
func (f *Follower) Reload(ctx context.Context, tenant string) error {
	facts, install, err := f.prepare(ctx, tenant)
	if err != nil {
		f.failures.Add(1)
		at := f.opts.Clock()
		f.update(func(s *followed) { s.troubles[tenant] = trouble{why: words(err), head: s.heads[tenant], at: at} })
		return err
	}
	f.install(facts, install)
	return nil
}

// inForce makes sure that a revision which was just committed decides here
// before its writer is told so.
func (f *Follower) inForce(ctx context.Context, tenant string, revision access.Revision) error {
	if in, ok := f.installed(tenant); ok && in.revision >= revision {
		return nil
	}
	if err := f.Reload(ctx, tenant); err != nil {
		f.opts.Log.Error("a committed revision could not be put into force", "tenant", tenant, "revision", revision, "error", err)
		return access.Unavailable("revision %d of tenant %q is stored, but not in force here yet", revision, tenant)
	}
	return nil
}

func (f *Follower) prepare(ctx context.Context, tenant string) (access.Facts, func(access.Revision), error) {
	facts, err := f.source.Load(ctx, tenant)
	if err != nil {
		return access.Facts{}, nil, fmt.Errorf("load tenant %q: %w", tenant, err)
	}
	install, err := f.engine.Prepare(facts)
	if err != nil {
		return access.Facts{}, nil, fmt.Errorf("compile tenant %q at revision %d: %w", tenant, facts.Revision, err)
	}
	return facts, install, nil
}

// install lets facts decide unless something newer does already.
func (f *Follower) install(facts access.Facts, install func(access.Revision)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.state.Load().clone()
	if in, ok := next.tenants[facts.Tenant]; ok && in.revision > facts.Revision {
		return
	}
	install(facts.Revision)
	next.tenants[facts.Tenant] = installation{revision: facts.Revision, ours: facts.Ours()}
	next.heads[facts.Tenant] = max(next.heads[facts.Tenant], facts.Revision)
	delete(next.troubles, facts.Tenant)
	f.state.Store(next)
}

func (f *Follower) remove(tenant string) {
	f.engine.Remove(tenant)
	f.update(func(s *followed) {
		delete(s.tenants, tenant)
		delete(s.troubles, tenant)
	})
}

// update replaces the state and reports whether the words about the source changed.
func (f *Follower) update(change func(*followed)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.state.Load()
	next := before.clone()
	change(next)
	f.state.Store(next)
	return before.source != next.source
}

func (s *followed) clone() *followed {
	c := &followed{
		tenants: map[string]installation{}, heads: map[string]access.Revision{},
		troubles: map[string]trouble{}, source: s.source,
	}
	maps.Copy(c.tenants, s.tenants)
	maps.Copy(c.heads, s.heads)
	maps.Copy(c.troubles, s.troubles)
	return c
}

// Sweep removes, in every tenant, what has run out of its validity. Decisions
// do not wait for it, they look at the clock themselves; it keeps the stored
// rules true for any other Casbin tool.
func (f *Follower) Sweep(ctx context.Context) {
	for tenant := range f.state.Load().heads {
		if _, err := f.source.Expire(ctx, tenant, f.opts.Clock()); err != nil {
			f.opts.Log.Error("expired facts could not be removed", "tenant", tenant, "error", err)
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

// Readiness is how well the store is followed, in words for operators.
type Readiness struct {
	Ready   bool     // decisions are made
	Reasons []string // what is wrong, sorted; may be filled although Ready
}

// Ready tells whether decisions are made, and everything that is wrong.
func (f *Follower) Ready() Readiness {
	s := f.state.Load()
	r := Readiness{Ready: true}
	if err := f.Fresh(); err != nil {
		r.Ready = false
		r.Reasons = append(r.Reasons, err.Error())
	}
	if s.source != "" {
		r.Reasons = append(r.Reasons, "store: "+s.source)
	}
	for tenant, t := range s.troubles {
		r.Reasons = append(r.Reasons, fmt.Sprintf("revision %d of tenant %q stays: %s", s.tenants[tenant].revision, tenant, t.why))
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
	Revisions map[string]access.Revision // what decides, by tenant
	PollAge   time.Duration              // since the last confirmed poll; negative before the first
	Failures  uint64                     // polls and loads that failed since the start
}

// Following measures the follower.
func (f *Follower) Following() Following {
	m := Following{Revisions: map[string]access.Revision{}, PollAge: -1, Failures: f.failures.Load()}
	for tenant, in := range f.state.Load().tenants {
		m.Revisions[tenant] = in.revision
	}
	if at := f.confirmed.Load(); at != nil {
		m.PollAge = f.opts.Clock().Sub(*at)
	}
	return m
}

func (f *Follower) installed(tenant string) (installation, bool) {
	in, ok := f.state.Load().tenants[tenant]
	return in, ok
}

// known tells whether the store has the tenant, loaded or not.
func (f *Follower) known(tenant string) bool {
	_, ok := f.state.Load().heads[tenant]
	return ok
}
