package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// followed is a tenant and how far it was followed.
type followed struct {
	name    string
	now     atomic.Pointer[standing]    // what decides; nil before the first load
	head    atomic.Pointer[access.Head] // what is stored, as far as is known; nil while nothing is
	trouble atomic.Pointer[trouble]     // why it is not at its head; nil when nothing is wrong
	behind  atomic.Pointer[time.Time]   // when it was last known to be at its head; nil while it is

	mu    sync.Mutex    // held while any of these or what decides is replaced
	moved chan struct{} // closed when something else decides
	run   *pursuit      // that is under way
	gone  bool          // stored no longer
}

// standing is what decides for a tenant.
type standing struct {
	revision access.Revision
	epoch    string
	ours     bool // in the built-in model
	fetched  bool // users are asked for one by one
	scans    bool // its model can only be answered by looking at all rules
}

type trouble struct {
	why  string
	head access.Head // what could not be reached
	at   time.Time
}

func newFollowed(tenant string) *followed {
	return &followed{name: tenant, moved: make(chan struct{})}
}

// see takes in a head and tells whether what decides is behind it. A head that
// was read before a newer revision was put in force here is none.
func (t *followed) see(head access.Head, last *time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.head.Load()
	if known == nil || known.Epoch != head.Epoch || known.Revision < head.Revision {
		t.head.Store(&head)
	}
	if t.atHead() {
		return false
	}
	if t.behind.Load() == nil {
		t.behind.Store(last)
	}
	return true
}

// atHead tells whether what decides is what is stored, as far as is known.
func (t *followed) atHead() bool {
	now, head := t.now.Load(), t.head.Load()
	return now != nil && head != nil && now.epoch == head.Epoch && now.revision >= head.Revision
}

// has tells whether a revision, or a newer one, decides.
func (t *followed) has(revision access.Revision) bool {
	now := t.now.Load()
	return now != nil && now.revision >= revision
}

func (t *followed) revision() access.Revision {
	if now := t.now.Load(); now != nil {
		return now.revision
	}
	return 0
}

func (t *followed) standing() Standing {
	s := Standing{Tenant: t.name, AtHead: t.atHead()}
	if now := t.now.Load(); now != nil {
		s.Revision, s.Epoch = now.revision, now.epoch
	}
	if head := t.head.Load(); head != nil {
		s.Head = *head
	}
	if trouble := t.trouble.Load(); trouble != nil {
		s.Trouble = trouble.why
	}
	return s
}

// stand notes what was just put in force. Its caller holds t.mu.
func (f *Follower) stand(t *followed, now standing) {
	now.scans = f.opts.Scans != nil && f.opts.Scans(t.name)
	t.now.Store(&now)
	head := t.head.Load()
	if head == nil || head.Epoch != now.epoch || head.Revision < now.revision {
		t.head.Store(&access.Head{Revision: now.revision, Epoch: now.epoch})
	}
	t.trouble.Store(nil)
	if t.atHead() {
		t.behind.Store(nil)
	}
	close(t.moved)
	t.moved = make(chan struct{})
}

// pursuit is one way of a tenant to what is stored, shared by all who want it.
type pursuit struct {
	done chan struct{}
	err  error
}

func (p *pursuit) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return access.Unavailable("the revision could not be put in force in time")
	}
}

func (t *followed) pursuing() *pursuit {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.run
}

// pursue brings a tenant to what is stored in a goroutine of its own, so that
// no tenant waits for another and nobody's patience ends the work.
func (f *Follower) pursue(t *followed) *pursuit {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.run != nil {
		return t.run
	}
	p := &pursuit{done: make(chan struct{})}
	t.run = p
	go func() {
		p.err = f.bring(t)
		t.mu.Lock()
		t.run = nil
		t.mu.Unlock()
		close(p.done)
	}()
	return p
}

// loadTime is how long a tenant may take to be read and compiled.
const loadTime = 10 * time.Minute

// bring reads what is stored of a tenant and puts it in force. When it fails,
// the last good revision stays and Ready says why.
func (f *Follower) bring(t *followed) error {
	ctx, cancel := context.WithTimeout(f.life, loadTime)
	defer cancel()
	err := f.difference(ctx, t)
	if errors.Is(err, access.ErrStale) {
		err = f.load(ctx, t)
	}
	if err == nil || f.life.Err() != nil {
		return err
	}
	f.failures.Add(1)
	why := &trouble{why: words(err), at: f.opts.Clock()}
	if head := t.head.Load(); head != nil {
		why.head = *head
	}
	t.trouble.Store(why)
	f.opts.Log.Error("a tenant could not be loaded; its last good revision stays",
		"tenant", t.name, "revision", t.revision(), "head", why.head.Revision, "error", err)
	return err
}

// retryAfter spaces attempts to reach one and the same broken head.
const retryAfter = 5 * time.Second

// hopeless tells whether a tenant's head failed a moment ago.
func (f *Follower) hopeless(t *followed) bool {
	why, head := t.trouble.Load(), t.head.Load()
	return why != nil && head != nil && why.head == *head && f.opts.Clock().Sub(why.at) < retryAfter
}

var (
	errFull  = &access.Error{Kind: access.ErrStale, Message: "only a full load will do"}
	errMoved = &access.Error{Kind: access.ErrStale, Message: "the difference does not begin at what decides"}
)

// difference advances a tenant by what has changed. When a revision is put in
// force here in the meantime, it begins again from there.
func (f *Follower) difference(ctx context.Context, t *followed) error {
	err := error(errFull)
	for range 3 {
		now, head := t.now.Load(), t.head.Load()
		if now == nil || head != nil && head.Epoch != now.epoch {
			return errFull
		}
		var d access.Delta
		if d, err = f.changes(ctx, t.name, now.revision); err != nil {
			return err
		}
		if err = f.advance(t, d); !errors.Is(err, errMoved) {
			return err
		}
	}
	return err
}

func (f *Follower) changes(ctx context.Context, tenant string, from access.Revision) (access.Delta, error) {
	release, err := seat(ctx, f.reads)
	if err != nil {
		return access.Delta{}, err
	}
	defer release()
	d, err := f.source.Changes(ctx, tenant, from)
	if err != nil {
		return access.Delta{}, fmt.Errorf("read what changed in tenant %q since revision %d: %w", tenant, from, err)
	}
	return d, nil
}

// seat waits for one of the places that a channel has.
func seat(ctx context.Context, in chan struct{}) (release func(), err error) {
	select {
	case in <- struct{}{}:
		return func() { <-in }, nil
	case <-ctx.Done():
		return nil, access.Unavailable("it could not be read in time")
	}
}

// advance puts a difference in force, if it follows what decides. One that is
// in force already changes nothing.
func (f *Follower) advance(t *followed, d access.Delta) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now.Load()
	switch {
	case now == nil || t.gone || d.Epoch != "" && d.Epoch != now.epoch:
		return errFull
	case now.revision >= d.To:
		return nil
	case now.revision != d.From:
		return errMoved
	}
	if err := f.engine.Advance(d); err != nil {
		return fmt.Errorf("advance tenant %q to revision %d: %w: %w", t.name, d.To, errFull, err)
	}
	next := *now
	next.revision = d.To
	if d.Frame != nil {
		next.ours, next.fetched = d.Frame.Ours(), d.Frame.Fetched
	}
	f.stand(t, next)
	f.clock.observe(f.opts.Clock().Sub(d.At))
	return nil
}

// load reads a tenant in full, compiles it and lets it decide.
func (f *Follower) load(ctx context.Context, t *followed) error {
	release, err := seat(ctx, f.loads)
	if err != nil {
		return err
	}
	defer release()
	facts, err := f.source.Load(ctx, t.name)
	if err != nil {
		return fmt.Errorf("load tenant %q: %w", t.name, err)
	}
	install, err := f.engine.Prepare(facts)
	if err != nil {
		return fmt.Errorf("compile tenant %q at revision %d: %w", t.name, facts.Revision, err)
	}
	f.install(t, &facts, install)
	return nil
}

// install lets facts decide, unless something newer of the same epoch does. A
// tenant has one load at a time, so another epoch than the one that decides is
// a later one.
func (f *Follower) install(t *followed, facts *access.Facts, install func(access.Revision)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now.Load()
	if t.gone || now != nil && now.epoch == facts.Epoch && now.revision > facts.Revision {
		return
	}
	install(facts.Revision)
	f.stand(t, standing{revision: facts.Revision, epoch: facts.Epoch, ours: facts.Ours(), fetched: facts.Fetched})
}

// inForce makes sure that a revision which was just committed here decides
// before its writer is told so.
func (f *Follower) inForce(ctx context.Context, tenant string, d access.Delta) error {
	if f.late != nil {
		f.late(func() { _ = f.enforce(ctx, tenant, d) })
		return nil
	}
	return f.enforce(ctx, tenant, d)
}

// enforce goes by the writer's own difference, and only where that does not
// follow what decides by what is stored.
func (f *Follower) enforce(ctx context.Context, tenant string, d access.Delta) error {
	t := f.tenant(tenant)
	err := error(errMoved)
	if d.From != d.To {
		err = f.advance(t, d)
	}
	if err != nil {
		err = f.reach(ctx, t, d.To)
	}
	if d.From != d.To && f.opts.Announce != nil {
		f.opts.Announce(tenant, d.To)
	}
	if err == nil {
		return nil
	}
	f.opts.Log.Error("a committed revision could not be put in force", "tenant", tenant, "revision", d.To, "error", err)
	return access.Unavailable("revision %d of tenant %q is stored, but not in force here yet", d.To, tenant)
}

// reach brings a tenant to a revision that is stored. A pursuit that was under
// way may have read the store before that revision was there, so it takes
// another one.
func (f *Follower) reach(ctx context.Context, t *followed, revision access.Revision) error {
	for range 3 {
		if t.has(revision) {
			return nil
		}
		if err := f.pursue(t).wait(ctx); err != nil {
			return err
		}
	}
	if t.has(revision) {
		return nil
	}
	return access.Unavailable("the store does not show revision %d of tenant %q yet", revision, t.name)
}
