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
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Options for New. The zero value works.
type Options struct {
	Clock func() time.Time // time.Now where nil
}

// Engine holds the snapshots in force. All its methods may be used by many
// goroutines.
type Engine struct {
	options   Options
	snapshots atomic.Pointer[map[string]*Snapshot]
	write     sync.Mutex // one change of the map at a time
	retired   atomic.Uint64
}

// New makes an engine without tenants.
func New(o Options) *Engine {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	e := &Engine{options: o}
	e.snapshots.Store(&map[string]*Snapshot{})
	return e
}

// Prepare compiles now and lets the caller make the result visible later, once
// its revision is known. The function it gives must be called at most once.
func (e *Engine) Prepare(f access.Facts) (install func(access.Revision), err error) {
	s, err := compile(f, e.options)
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
		e.retire(all[s.tenant])
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
		e.retire(all[tenant])
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
	if s != nil {
		e.retired.Add(s.ConditionErrors())
	}
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
	return s.Decide(r, e.options.Clock())
}

// DecideAll answers questions from one snapshot and at one moment, in their
// order. A malformed one is a denial among the others.
func (e *Engine) DecideAll(ctx context.Context, tenant string, rs []access.Request) ([]access.Decision, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return s.decideAll(ctx, rs, e.options.Clock())
}

func (s *Snapshot) decideAll(ctx context.Context, rs []access.Request, now time.Time) ([]access.Decision, error) {
	all := make([]access.Decision, len(rs))
	for i := range rs {
		if err := waiting(ctx); err != nil {
			return nil, err
		}
		var err error
		all[i], err = s.Decide(&rs[i], now)
		if errors.Is(err, access.ErrInvalid) {
			all[i].Detail = err.Error()
		} else if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Explain answers one question with everything that led to the answer.
func (e *Engine) Explain(ctx context.Context, tenant string, r *access.Request) (access.Explanation, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return access.Explanation{Decision: access.Decision{Reason: access.ReasonTenantUnknown}}, err
	}
	return s.Explain(r, e.options.Clock())
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
