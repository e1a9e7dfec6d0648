// Package engine decides. It compiles the facts of each tenant into an immutable
// snapshot and answers questions from it: our own Casbin model natively, by
// numbers and sorted runs, any other through sub-package plan. Its answers are those
// of stock Casbin freshly loaded with the same rules, which the sub-package
// oracle and the differential tests hold it to.
//
// The engine keeps one pointer to a map of snapshots. Installing a revision
// swaps the pointer, so a question sees a whole revision or the one before.
package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Options for New. The zero value works.
type Options struct {
	Clock func() time.Time // time.Now where nil

	// Subjects gives the users of tenants whose facts are Fetched; needed only there.
	Subjects Subjects
	// Behind is called where the store knows a user newer than the tenant's
	// snapshot is. It returns once a newer one is in force, or with an error.
	Behind func(ctx context.Context, tenant string) error
	// CacheBytes bounds what is remembered of subjects, over all tenants, in
	// bytes; 128 MiB when zero.
	CacheBytes int64
}

// Subjects is where users are asked for one by one. Each call reads one
// consistent state.
type Subjects interface {
	// Subjects gives users in the order of ids, Known being false for strangers.
	Subjects(ctx context.Context, tenant string, ids []string) ([]access.SubjectFacts, error)
	// Users gives at most so many users behind after, in the order of the bytes of their ids.
	Users(ctx context.Context, tenant, after string, most int) ([]access.SubjectFacts, error)
}

// Engine holds the snapshots in force. All its methods may be used by many
// goroutines.
type Engine struct {
	options   Options
	snapshots atomic.Pointer[map[string]*Snapshot]
	write     sync.Mutex    // one change of the map at a time
	retired   atomic.Uint64 // failures of conditions counted by lives that are over
	memory    *memory
	fetches   chan struct{} // as many as may ask for users at once
	timeout   time.Duration // for each time that users are asked for
	loaded    func()        // called by tests between the reading of users and their being remembered
}

// New makes an engine without tenants.
func New(o Options) *Engine {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	e := &Engine{options: o, memory: newMemory(o.CacheBytes), fetches: make(chan struct{}, fetchesAtOnce), timeout: fetchTimeout}
	e.snapshots.Store(&map[string]*Snapshot{})
	return e
}

// Prepare compiles now and lets the caller make the result visible later, once
// its revision is known. The function it gives must be called at most once.
func (e *Engine) Prepare(f access.Facts) (install func(access.Revision), err error) {
	s, err := compile(f, e.options, e.memory)
	if err != nil {
		return nil, err
	}
	return func(revision access.Revision) {
		s.revision = revision
		e.Install(s)
	}, nil
}

// Install puts a snapshot in force for its tenant.
func (e *Engine) Install(s *Snapshot) {
	e.write.Lock()
	defer e.write.Unlock()
	e.put(s)
}

func (e *Engine) put(s *Snapshot) {
	e.swap(func(all map[string]*Snapshot) {
		if before := all[s.tenant]; before != nil && before.life != s.life {
			e.retire(before)
		}
		all[s.tenant] = s
	})
}

// Advance puts a tenant at a later revision, as a whole, or changes nothing. An
// error of kind access.ErrStale says that the difference does not begin at what
// is in force: the facts must be loaded in full.
func (e *Engine) Advance(d access.Delta) error {
	before, ok := e.Snapshot(d.Tenant)
	if !ok {
		return access.NotFound("tenant", d.Tenant)
	}
	next, err := before.Advance(d)
	if err != nil {
		return err
	}
	e.write.Lock()
	defer e.write.Unlock()
	if now, _ := e.Snapshot(d.Tenant); now != before {
		return misfit("tenant %q was changed at the same time", d.Tenant)
	}
	e.put(next)
	return nil
}

// Remove forgets a tenant.
func (e *Engine) Remove(tenant string) {
	e.write.Lock()
	defer e.write.Unlock()
	e.swap(func(all map[string]*Snapshot) {
		if before := all[tenant]; before != nil {
			e.retire(before)
		}
		delete(all, tenant)
	})
}

// swap edits a copy of the map of tenants and puts it in force. The caller holds write.
func (e *Engine) swap(edit func(map[string]*Snapshot)) {
	all := maps.Clone(*e.snapshots.Load())
	edit(all)
	e.snapshots.Store(&all)
}

func (e *Engine) retire(s *Snapshot) {
	e.retired.Add(s.ConditionErrors())
}

// ConditionErrors is how many evaluations of conditions have failed since the
// start, over all tenants. It is meant for metrics; what a snapshot counts
// after it was replaced is not in it.
func (e *Engine) ConditionErrors() uint64 {
	n := e.retired.Load()
	for _, s := range *e.snapshots.Load() {
		n += s.ConditionErrors()
	}
	return n
}

// Snapshot gives the snapshot in force, and false for an unknown tenant.
func (e *Engine) Snapshot(tenant string) (*Snapshot, bool) {
	s, ok := (*e.snapshots.Load())[tenant]
	return s, ok
}

// Decide answers one question. Its errors are of kind access.ErrNotFound for an
// unknown tenant and access.ErrInvalid for a malformed question.
func (e *Engine) Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return access.Decision{Reason: access.ReasonTenantUnknown}, err
	}
	return e.decide(ctx, s, r)
}

// decide answers by a snapshot, or by a later one if that is needed to make
// sense of what the store knows of the subject.
func (e *Engine) decide(ctx context.Context, s *Snapshot, r *access.Request) (access.Decision, error) {
	now := e.options.Clock()
	d, err := s.decide(ctx, r, now, nil)
	if err != errAbsent { //nolint:errorlint // it is never wrapped
		return d, err
	}
	err = e.about(ctx, s, r, func(s *Snapshot, who *subject) (err error) {
		d, err = s.decide(ctx, r, now, who)
		return err
	})
	return d, err
}

// DecideAll answers questions from one snapshot and at one moment, in their
// order. A malformed one is a denial among the others.
func (e *Engine) DecideAll(ctx context.Context, tenant string, rs []access.Request) ([]access.Decision, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return e.decideAll(ctx, s, rs)
}

func (e *Engine) decideAll(ctx context.Context, s *Snapshot, rs []access.Request) ([]access.Decision, error) {
	now := e.options.Clock()
	for range catchUps {
		all, err := e.decideAt(ctx, s, rs, now)
		if !errors.Is(err, errBehind) {
			return all, err
		}
		if s, err = e.later(ctx, s); err != nil {
			return nil, err
		}
	}
	return nil, tooFast()
}

// decideAt answers by one snapshot. Users who are not at hand are fetched together.
func (e *Engine) decideAt(ctx context.Context, s *Snapshot, rs []access.Request, now time.Time) ([]access.Decision, error) {
	all := make([]access.Decision, len(rs))
	absent := map[int]string{} // ids by number of the question
	for i := range rs {
		if err := waiting(ctx); err != nil {
			return nil, err
		}
		var err error
		all[i], err = s.decide(ctx, &rs[i], now, nil)
		switch {
		case err == errAbsent: //nolint:errorlint // it is never wrapped
			absent[i] = subjectOf(&rs[i]).ID
		case errors.Is(err, access.ErrInvalid):
			all[i].Detail = err.Error()
		case err != nil:
			return nil, err
		}
	}
	if len(absent) == 0 {
		return all, nil
	}
	return all, e.decideAbsent(ctx, s, rs, all, absent, now)
}

func (e *Engine) decideAbsent(ctx context.Context, s *Snapshot, rs []access.Request, all []access.Decision, absent map[int]string, now time.Time) error {
	ids := slices.Sorted(maps.Values(absent))
	users, err := fetcher{e, s}.users(ctx, slices.Compact(ids))
	if err != nil {
		return err
	}
	for i, id := range absent {
		if all[i], err = s.decide(ctx, &rs[i], now, users[id].subject); err != nil {
			return err
		}
	}
	return nil
}

// subjectOf gives whom a question that was understood is about.
func subjectOf(r *access.Request) access.Subject {
	if r.Raw == nil {
		return r.Subject
	}
	if read, err := FromRaw(r.Raw); err == nil {
		return read.Subject
	}
	return access.Subject{}
}

// about lets a question be answered about a subject who may have to be fetched.
// Where the store knows more of him than the snapshot, it starts again with a
// later one.
func (e *Engine) about(ctx context.Context, s *Snapshot, r *access.Request, answer func(*Snapshot, *subject) error) error {
	who := subjectOf(r)
	for range catchUps {
		var given *subject
		if s.absent(who) && access.ValidID("", who.ID) == nil {
			found, err := fetcher{e, s}.user(ctx, who.ID)
			if errors.Is(err, errBehind) {
				if s, err = e.later(ctx, s); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return err
			}
			given = found.subject
		}
		return answer(s, given)
	}
	return tooFast()
}

// catchUps is how often a question starts again.
const catchUps = 4

func tooFast() error {
	return access.Unavailable("users change faster than they can be looked up")
}

// later gives a snapshot newer than s, once it is in force.
func (e *Engine) later(ctx context.Context, s *Snapshot) (*Snapshot, error) {
	if now, err := e.tenant(ctx, s.tenant); err != nil || now.revision > s.revision {
		return now, err
	}
	if e.options.Behind == nil {
		return nil, access.Unavailable("the store is ahead of revision %d, which is in force", s.revision)
	}
	if err := e.options.Behind(ctx, s.tenant); err != nil {
		return nil, access.Unavailable("a later revision than %d is not in force yet: %s", s.revision, err)
	}
	next, err := e.tenant(ctx, s.tenant)
	if err == nil && next.revision <= s.revision {
		err = access.Unavailable("no later revision than %d is in force yet", s.revision)
	}
	return next, err
}

// Explain answers one question with everything that led to the answer.
func (e *Engine) Explain(ctx context.Context, tenant string, r *access.Request) (access.Explanation, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return access.Explanation{Decision: access.Decision{Reason: access.ReasonTenantUnknown}}, err
	}
	var x access.Explanation
	err = e.about(ctx, s, r, func(s *Snapshot, who *subject) (err error) {
		x, err = s.explain(ctx, r, e.options.Clock(), who)
		return err
	})
	return x, err
}

// SearchActions finds what a subject may do in one section. Like all searches,
// it gives an error of kind access.ErrNotFound for an unknown tenant.
func (e *Engine) SearchActions(ctx context.Context, tenant string, r *access.Request) (access.Menu, error) {
	return e.menu(ctx, tenant, r, (*Snapshot).actionsOf)
}

// SearchSections finds where a subject may do something.
func (e *Engine) SearchSections(ctx context.Context, tenant string, r *access.Request) (access.Menu, error) {
	return e.menu(ctx, tenant, r, (*Snapshot).sectionsOf)
}

func (e *Engine) menu(ctx context.Context, tenant string, r *access.Request,
	search func(*Snapshot, context.Context, *access.Request, time.Time, *subject) (access.Menu, error),
) (access.Menu, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return access.Menu{}, err
	}
	var found access.Menu
	err = e.about(ctx, s, r, func(s *Snapshot, who *subject) (err error) {
		found, err = search(s, ctx, r, e.options.Clock(), who)
		return err
	})
	return found, err
}

// SearchSubjects finds who may do something.
func (e *Engine) SearchSubjects(ctx context.Context, tenant string, search *access.SubjectSearch) (access.Holders, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return access.Holders{}, err
	}
	for range catchUps {
		var users userPages
		if s.fetched {
			users = fetcher{e, s}.pages(ctx)
		}
		found, err := s.subjectsOf(ctx, search, e.options.Clock(), users)
		if !errors.Is(err, errBehind) {
			return found, err
		}
		if s, err = e.later(ctx, s); err != nil {
			return access.Holders{}, err
		}
	}
	return access.Holders{}, tooFast()
}

func (e *Engine) tenant(ctx context.Context, tenant string) (*Snapshot, error) {
	if err := waiting(ctx); err != nil {
		return nil, err
	}
	s, ok := e.Snapshot(tenant)
	if !ok {
		return nil, access.NotFound("tenant", tenant)
	}
	return s, nil
}

// waiting tells whether anybody still waits for an answer.
func waiting(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return access.Unavailable("the question was given up: %s", err)
	}
	return nil
}
