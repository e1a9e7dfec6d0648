package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ErrBehind is the kind of error, beside access.ErrUnavailable, of a question
// whose revision is not in force here within its time. Asking again later helps.
var ErrBehind = fmt.Errorf("behind: %w", access.ErrUnavailable)

// CatchUp waits until a revision of a tenant, or a newer one, decides here. It
// gives up after FollowerOptions.CatchUpWithin with ErrBehind. That the store
// has no such tenant is no error: whoever asks will be told.
func (f *Follower) CatchUp(ctx context.Context, tenant string, revision access.Revision) error {
	if t, ok := f.lookup(tenant); ok && t.has(revision) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.opts.CatchUpWithin)
	defer cancel()
	for {
		moved, done := f.closer(ctx, tenant, revision)
		if done {
			return nil
		}
		if !f.rest(ctx, moved) {
			return f.notHere(tenant, revision)
		}
	}
}

// closer looks at the store once and goes as far as it can. The channel is
// closed when the tenant's revision changes after that.
func (f *Follower) closer(ctx context.Context, tenant string, revision access.Revision) (moved <-chan struct{}, done bool) {
	looked := f.look(ctx)
	t, ok := f.lookup(tenant)
	switch {
	case !ok && looked == nil:
		return nil, true
	case !ok:
		return nil, false
	}
	t.mu.Lock()
	moved = t.moved
	t.mu.Unlock()
	head := t.head.Load()
	if head != nil && head.Revision >= revision && !t.has(revision) && !f.hopeless(t) {
		_ = f.reach(ctx, t, revision) // kept for Ready; who asks is told that it is not here
	}
	return moved, t.has(revision)
}

// rest waits for something to change, and reports false when the time is over.
func (f *Follower) rest(ctx context.Context, moved <-chan struct{}) bool {
	next := time.NewTimer(f.opts.PollInterval)
	defer next.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-moved:
	case <-next.C:
	}
	return ctx.Err() == nil
}

func (f *Follower) notHere(tenant string, revision access.Revision) error {
	now := access.Revision(0)
	if t, ok := f.lookup(tenant); ok {
		now = t.revision()
	}
	return &access.Error{Kind: ErrBehind, Field: "at_least", Message: fmt.Sprintf(
		"revision %d of tenant %q is not in force here yet; revision %d is", revision, tenant, now)}
}

// Refresh makes sure that what decides for a tenant is no older than what was
// stored when it was called. It gives up as CatchUp does.
func (f *Follower) Refresh(ctx context.Context, tenant string) error {
	ctx, cancel := context.WithTimeout(ctx, f.opts.CatchUpWithin)
	defer cancel()
	if err := f.look(ctx); err != nil {
		return &access.Error{Kind: ErrBehind, Field: "fully_consistent", Message: "the newest revision could not be read"}
	}
	t, ok := f.lookup(tenant)
	if !ok || t.atHead() {
		return nil
	}
	var err error
	for range 3 {
		if f.hopeless(t) || t.atHead() {
			break
		}
		if err = f.pursue(t).wait(ctx); err != nil {
			break
		}
	}
	if t.atHead() {
		return nil
	}
	return errors.Join(f.notHere(tenant, t.standing().Head.Revision), err)
}

// satisfy waits for what a question asks of the revision that answers it.
func (f *Follower) satisfy(ctx context.Context, tenant string, want access.Consistency) error {
	if want.Fully {
		if err := f.Refresh(ctx, tenant); err != nil {
			return err
		}
	}
	if want.AtLeast == 0 {
		return nil
	}
	return f.CatchUp(ctx, tenant, want.AtLeast)
}
