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
	Clock     func() time.Time // time.Now where nil
	AllowEval bool             // accept Casbin models that evaluate rule texts by eval()
}

// Engine holds the snapshots in force. All its methods may be used by many
// goroutines.
type Engine struct {
	options   Options
	snapshots atomic.Pointer[map[string]*Snapshot]
	write     sync.Mutex // taken by Install and Remove only
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
	e.swap(func(all map[string]*Snapshot) {
		e.retire(all[s.tenant])
		all[s.tenant] = s
	})
}

// Remove forgets a tenant.
func (e *Engine) Remove(tenant string) {
	e.swap(func(all map[string]*Snapshot) {
		e.retire(all[tenant])
		delete(all, tenant)
	})
}

func (e *Engine) swap(edit func(map[string]*Snapshot)) {
	e.write.Lock()
	defer e.write.Unlock()
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
	now := e.options.Clock()
	all := make([]access.Decision, len(rs))
	for i := range rs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
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
	if err := ctx.Err(); err != nil {
		return nil, access.Unavailable("the question was given up: %s", err)
	}
	s, ok := e.Snapshot(tenant)
	if !ok {
		return nil, access.NotFound("tenant", tenant)
	}
	return s, nil
}
