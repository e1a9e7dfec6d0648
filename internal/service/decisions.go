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
	decider   Decider
	state     *Follower
	authority *Authority
	past      *Past      // nil where nothing is known of it
	directory *Directory // who is shown what of it
	log       Recorder   // nil: nothing is recorded
}

// NewDecisions answers from the decider as long as the follower is fresh. The
// authority tells what people may ask.
func NewDecisions(d Decider, f *Follower, a *Authority) *Decisions {
	return &Decisions{decider: d, state: f, authority: a}
}

// Recall lets callers ask as of earlier states too. People are answered about
// whomever the directory shows them of these.
func (d *Decisions) Recall(p *Past, directory *Directory) { d.past, d.directory = p, directory }

// by gives who answers: what is in force, or a state that is rebuilt. The past
// shows what was changed, so of keys it needs one of kind read.
func (d *Decisions) by(ctx context.Context, caller access.Caller, tenant string, want access.Consistency) (Decider, error) {
	if want.AsOf.Now() {
		return d.decider, nil
	}
	if d.past == nil {
		return nil, access.Invalid("as_of", "there is no history here")
	}
	if caller.IsKey() {
		if err := caller.Require(access.KeyRead, tenant); err != nil {
			return nil, err
		}
	}
	answers, _, err := d.past.At(ctx, tenant, want.AsOf)
	return answers, err
}

// Check answers one question. A denial is an answer; an error means that there
// is none: ErrForbidden for the caller, ErrInvalid for the question,
// ErrNotFound for the tenant, ErrUnavailable when the policy may be stale, and
// ErrBehind when the revision that is wanted is not here in time.
//
// People may ask about themselves, and about whomever they may look at.
func (d *Decisions) Check(ctx context.Context, caller access.Caller, tenant string, r *access.Request, want access.Consistency) (access.Decision, error) {
	if err := d.open(ctx, caller, tenant, want, r); err != nil {
		return access.Decision{}, err
	}
	by, err := d.by(ctx, caller, tenant, want)
	if err != nil {
		return access.Decision{}, err
	}
	began := d.asking(tenant)
	answer, err := by.Decide(ctx, tenant, r)
	if err != nil {
		return access.Decision{}, d.explained(tenant, err)
	}
	if err := d.record(ctx, caller, tenant, want, began, r, answer); err != nil {
		return access.Decision{}, err
	}
	return answer, nil
}

// CheckAll answers several questions from one revision, in their order. A
// malformed question is a denial in its place, not an error.
func (d *Decisions) CheckAll(ctx context.Context, caller access.Caller, tenant string, rs []access.Request, want access.Consistency) ([]access.Decision, error) {
	if err := d.openAll(ctx, caller, tenant, want, rs); err != nil {
		return nil, err
	}
	by, err := d.by(ctx, caller, tenant, want)
	if err != nil {
		return nil, err
	}
	began := d.asking(tenant)
	answers, err := by.DecideAll(ctx, tenant, rs)
	if err != nil {
		return nil, d.explained(tenant, err)
	}
	if err := d.recordAll(ctx, caller, tenant, want, began, rs, answers); err != nil {
		return nil, err
	}
	return answers, nil
}

// Explain answers one question with everything that led to the answer. It shows
// rules, so it needs a key of kind read, or of people the right to look at all of
// the policy.
func (d *Decisions) Explain(ctx context.Context, caller access.Caller, tenant string, r *access.Request, want access.Consistency) (access.Explanation, error) {
	if _, err := d.authority.Allow(ctx, caller, tenant, wholePolicy); err != nil {
		return access.Explanation{}, err
	}
	if err := d.satisfy(ctx, tenant, want); err != nil {
		return access.Explanation{}, err
	}
	by, err := d.by(ctx, caller, tenant, want)
	if err != nil {
		return access.Explanation{}, err
	}
	d.authority.looked(caller, tenant, r.Subject, "explanation")
	answer, err := by.Explain(ctx, tenant, r)
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

// open lets in whoever may ask a question, waits for the revision that he wants,
// and lets nobody in while the answers cannot be trusted.
func (d *Decisions) open(ctx context.Context, caller access.Caller, tenant string, want access.Consistency, r *access.Request) error {
	if err := d.mayAsk(ctx, caller, tenant, want.AsOf, r); err != nil {
		return err
	}
	return d.satisfy(ctx, tenant, want)
}

func (d *Decisions) openAll(ctx context.Context, caller access.Caller, tenant string, want access.Consistency, rs []access.Request) error {
	if len(rs) == 0 || caller.IsKey() {
		return d.open(ctx, caller, tenant, want, nil)
	}
	asked := map[access.Subject]bool{}
	for i := range rs {
		if asked[rs[i].Subject] && rs[i].Raw == nil {
			continue
		}
		asked[rs[i].Subject] = true
		if err := d.mayAsk(ctx, caller, tenant, want.AsOf, &rs[i]); err != nil {
			return err
		}
	}
	return d.satisfy(ctx, tenant, want)
}

func (d *Decisions) satisfy(ctx context.Context, tenant string, want access.Consistency) error {
	if want != (access.Consistency{}) {
		if err := d.state.satisfy(ctx, tenant, want); err != nil {
			return err
		}
	}
	return d.state.Fresh()
}

// wholePolicy is needed for what is not about single users.
var wholePolicy = Need{Part: "Policies", Action: "show", Scope: access.Everywhere}

// mayAsk lets in keys, people about themselves, whoever may look at all of the
// policy, and whoever may look at the user that a question is about, now and in
// the state that it is about.
func (d *Decisions) mayAsk(ctx context.Context, caller access.Caller, tenant string, of access.AsOf, r *access.Request) error {
	if caller.IsKey() && caller.Require(access.KeyDecide, tenant) == nil {
		return nil // by far the most common, and quick
	}
	about := r != nil && r.Raw == nil
	need := wholePolicy
	need.Key, need.Own = access.KeyDecide, about && r.Subject == caller.Subject
	_, err := d.authority.ask(ctx, caller, tenant, need)
	if errors.Is(err, access.ErrForbidden) && about && !caller.IsKey() {
		shown, other := d.authority.shown(ctx, caller, tenant, r.Subject)
		if shown && !of.Now() {
			shown, other = d.shownThen(ctx, caller, tenant, of, r.Subject)
		}
		if shown || other != nil {
			err = other
		}
	}
	if err == nil && about {
		d.authority.looked(caller, tenant, r.Subject, "decision")
	}
	return d.authority.noted(caller, tenant, need, err)
}

// shownThen tells whether somebody whom the caller is shown now is shown to him in
// an earlier state too.
func (d *Decisions) shownThen(ctx context.Context, caller access.Caller, tenant string, of access.AsOf, who access.Subject) (bool, error) {
	if d.directory == nil {
		return false, errNoPast
	}
	in, err := d.authority.ask(ctx, caller, tenant, Need{Part: "Users", Action: "show"})
	if err != nil {
		return false, err
	}
	seen, err := d.directory.AsOf(of).seesSubject(ctx, tenant, in)
	if err != nil {
		return false, err
	}
	return seen(who)
}

// explained tells a tenant that does not exist from one that exists and could
// not be loaded: the second is our trouble, not the caller's mistake.
func (d *Decisions) explained(tenant string, err error) error {
	if errors.Is(err, access.ErrNotFound) && d.state.known(tenant) {
		return access.Unavailable("tenant %q exists, but its policy could not be loaded", tenant)
	}
	return err
}
