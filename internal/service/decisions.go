// Package service holds the use cases: whoever asks or changes something goes
// through one of its types, and each of them first looks at who is calling.
//
// It is free of HTTP, SQL and Casbin. What it needs of other rooms it declares
// as small interfaces beside their only user; the command wires them up. No
// type here ever turns an error into an allow: where no answer can be given,
// the answer is an error.
package service

import (
	"context"
	"errors"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Decider answers questions from the snapshot of a tenant that is in force.
type Decider interface {
	Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error)
	DecideAll(ctx context.Context, tenant string, rs []access.Request) ([]access.Decision, error)
	Explain(ctx context.Context, tenant string, r *access.Request) (access.Explanation, error)
	Searcher
}

// Decisions answers questions of callers.
type Decisions struct {
	decider Decider
	state   *Follower
	pages   *pages
}

// NewDecisions answers from the decider as long as the follower is fresh.
func NewDecisions(d Decider, f *Follower) *Decisions {
	return &Decisions{decider: d, state: f, pages: newPages()}
}

// Check answers one question. A denial is an answer; an error means that there
// is none: ErrForbidden for the caller, ErrInvalid for the question,
// ErrNotFound for the tenant, ErrUnavailable when the policy may be stale, and
// ErrBehind when the revision that is wanted is not here in time.
func (d *Decisions) Check(ctx context.Context, caller access.Caller, tenant string, r *access.Request, want access.Consistency) (access.Decision, error) {
	if err := d.open(ctx, caller, access.KeyDecide, tenant, want); err != nil {
		return access.Decision{}, err
	}
	answer, err := d.decider.Decide(ctx, tenant, r)
	if err != nil {
		return access.Decision{}, d.explained(tenant, err)
	}
	return answer, nil
}

// CheckAll answers several questions from one revision, in their order. A
// malformed question is a denial in its place, not an error.
func (d *Decisions) CheckAll(ctx context.Context, caller access.Caller, tenant string, rs []access.Request, want access.Consistency) ([]access.Decision, error) {
	if err := d.open(ctx, caller, access.KeyDecide, tenant, want); err != nil {
		return nil, err
	}
	answers, err := d.decider.DecideAll(ctx, tenant, rs)
	if err != nil {
		return nil, d.explained(tenant, err)
	}
	return answers, nil
}

// Explain answers one question with everything that led to the answer.
func (d *Decisions) Explain(ctx context.Context, caller access.Caller, tenant string, r *access.Request, want access.Consistency) (access.Explanation, error) {
	if err := d.open(ctx, caller, access.KeyRead, tenant, want); err != nil {
		return access.Explanation{}, err
	}
	answer, err := d.decider.Explain(ctx, tenant, r)
	if err != nil {
		return access.Explanation{}, d.explained(tenant, err)
	}
	return answer, nil
}

// Ours tells whether the tenant's rules are in the built-in model, so that a
// question in Casbin's positional form means subject, scope, section, action.
// It is true for a tenant that is not known.
func (d *Decisions) Ours(tenant string) bool {
	in, ok := d.state.installed(tenant)
	return !ok || in.ours
}

// Scans tells whether the tenant's model can only be answered by looking at all
// its rules, which costs far more than a question does otherwise.
func (d *Decisions) Scans(tenant string) bool {
	in, ok := d.state.installed(tenant)
	return ok && in.scans
}

// MayWait tells whether a question to the tenant may have to wait for the store.
func (d *Decisions) MayWait(tenant string) bool {
	in, ok := d.state.installed(tenant)
	return ok && in.fetched
}

// open lets a caller in, waits for the revision that he wants, and lets nobody
// in while the answers cannot be trusted.
func (d *Decisions) open(ctx context.Context, caller access.Caller, need access.KeyKind, tenant string, want access.Consistency) error {
	if err := caller.Require(need, tenant); err != nil {
		return err
	}
	if want != (access.Consistency{}) {
		if err := d.state.satisfy(ctx, tenant, want); err != nil {
			return err
		}
	}
	return d.state.Fresh()
}

// explained tells a tenant that does not exist from one that exists and could
// not be loaded: the second is our trouble, not the caller's mistake.
func (d *Decisions) explained(tenant string, err error) error {
	if errors.Is(err, access.ErrNotFound) && d.state.known(tenant) {
		return access.Unavailable("tenant %q exists, but its policy could not be loaded", tenant)
	}
	return err
}
