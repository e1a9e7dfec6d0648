package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Authority finds out whether and where a caller may do what he asks for. All
// services ask it, so that there is one place where keys and people are judged.
// A nil Authority lets keys in, and nobody else.
type Authority struct {
	sights Foresight
	state  *Follower
	opts   AuthorityOptions
}

// Foresight looks at a tenant as it is, and as it would be.
type Foresight interface {
	Sight(tenant string) (access.Sight, error)
	// Foresee gives sights of the tenant before and after a difference, without
	// putting it in force. ErrStale: it does not begin at what is in force.
	Foresee(ctx context.Context, d access.Delta) (before, after access.Sight, err error)
	// Imagine gives a sight of facts that are not in force.
	Imagine(f access.Facts) (access.Sight, error)
	// Consequences tells who gains, loses or has changed what between two sights.
	Consequences(ctx context.Context, before, after access.Sight, o access.ConsequenceOptions) (access.Consequences, error)
	// Matrix lays out what holders may do in a sight.
	Matrix(ctx context.Context, s access.Sight, q access.MatrixQuery) (access.Matrix, error)
	// Breaches tells which guarantees are not kept in the later of two sights, as
	// far as those can break them who are named and whoever has links to them. All
	// are looked at where the sight before is nil.
	Breaches(ctx context.Context, before, after access.Sight, who []string) ([]access.Breach, error)
}

// AuthorityOptions for NewAuthority. The zero value works.
type AuthorityOptions struct {
	Log      *slog.Logger // where refused attempts are noted
	Refusals *Refusals    // and recorded; nil: they are not
	Unsealed bool         // nothing can be encrypted here, so nobody can set up a second factor
}

// NewAuthority asks what callers may do of what is in force.
func NewAuthority(f Foresight, state *Follower, o AuthorityOptions) *Authority {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Authority{sights: f, state: state, opts: o}
}

// Need is what a caller must be allowed for a use case: an action on a part of
// the tenant's section Access.
type Need struct {
	Part   string // "Users", "Groups", "Roles", "Grants", "Stores", "Policies", "Audit" or "Settings"
	Action access.Action

	// Scope is where. When it is empty, a change may be made by whoever may do the
	// action in some scope, as long as all that the change touches lies in it.
	Scope access.Scope

	// Own is set where people change or look at their own account: they need no
	// right for that. Changing it, they must neither touch anybody else nor come
	// to hold anything else.
	Own bool

	// Superuser is set where of people only superusers will do.
	Superuser bool

	// Key is the least kind of key; when it is empty, one of kind read to show
	// something and one of kind admin for the rest.
	Key access.KeyKind
}

func (n *Need) key() access.KeyKind {
	if n.Key == "" && n.Action == "show" {
		return access.KeyRead
	}
	return cmp.Or(n.Key, access.KeyAdmin)
}

// Reach is where a caller may do what he asks for.
type Reach struct {
	Superuser  bool           // nothing bounds him
	Everywhere bool           // in every scope, present and future
	Scopes     []access.Scope // else in these and below
	caller     string
	held       access.Holdings
}

// Allow tells where a caller may do what is needed, and notes it when he may
// not: the error is of kind ErrForbidden then, and names what he lacks. Keys act
// for the tenant's superusers, as far as their kind goes. People are asked about
// like anybody else.
func (a *Authority) Allow(ctx context.Context, caller access.Caller, tenant string, need Need) (Reach, error) {
	in, err := a.ask(ctx, caller, tenant, need)
	return in, a.noted(caller, tenant, need, err)
}

// ask is Allow, without a note of it.
func (a *Authority) ask(ctx context.Context, caller access.Caller, tenant string, need Need) (Reach, error) {
	if caller.IsKey() {
		return Reach{Superuser: true, Everywhere: true, caller: caller.Name}, caller.Require(need.key(), tenant)
	}
	switch {
	case a == nil:
		return Reach{}, access.Forbidden("only API keys may do this here")
	case caller.Tenant != tenant:
		return Reach{}, access.Forbidden("%s belongs to another tenant", caller.Name)
	}
	if err := a.state.Fresh(); err != nil {
		return Reach{}, err
	}
	var in Reach
	err := a.upToDate(ctx, tenant, 0, func() error {
		s, err := a.sights.Sight(tenant)
		if err == nil {
			in, err = reach(ctx, s, caller, need)
		}
		return err
	})
	return in, err
}

// noted logs and records that somebody was refused, once.
func (a *Authority) noted(caller access.Caller, tenant string, need Need, err error) error {
	if a == nil || !errors.Is(err, access.ErrForbidden) || Noted(err) {
		return err
	}
	a.opts.Log.Warn("an attempt was refused", "caller", caller.Name, "tenant", tenant,
		"part", need.Part, "action", need.Action, "why", words(err))
	a.opts.Refusals.Note(access.RefusedAttempt{
		Tenant: tenant, Caller: caller.Name, RequestID: caller.RequestID, Need: need.Part + "/" + string(need.Action), Why: words(err),
	})
	return notedError{err}
}

// looked notes that somebody looked at what another one may see and do.
func (a *Authority) looked(caller access.Caller, tenant string, at access.Subject, how string) {
	if a != nil && !caller.IsKey() && at != caller.Subject {
		a.opts.Log.Info("somebody looked at things as another user", "caller", caller.Name, "tenant", tenant, "user", at.String(), "how", how)
	}
}

// upToDate runs something that needs what is stored to be in force, and again
// once it is. Somebody may have made a later revision a moment ago, here or
// through another replica.
func (a *Authority) upToDate(ctx context.Context, tenant string, revision access.Revision, do func() error) error {
	err := do()
	for range 3 {
		var wrong access.Problems
		if !errors.Is(err, access.ErrStale) || errors.As(err, &wrong) {
			return err
		}
		if revision == 0 {
			err = a.state.Refresh(ctx, tenant)
		} else {
			err = a.state.reach(ctx, a.state.tenant(tenant), revision)
		}
		if err != nil {
			return err
		}
		err = do()
	}
	if errors.Is(err, access.ErrStale) {
		return access.Unavailable("the tenant changes faster than it can be looked at: %s", words(err))
	}
	return err
}

// reach tells where somebody who has signed in may do what is needed.
func reach(ctx context.Context, s access.Sight, caller access.Caller, need Need) (Reach, error) {
	in := Reach{caller: caller.Name}
	if need.Own {
		return in, nil
	}
	if !s.Frame().Ours() {
		return in, access.Forbidden("the tenant has a Casbin model of its own; only keys administer it")
	}
	ask := access.Request{
		Subject: caller.Subject, Actions: []access.Action{need.Action}, Section: access.OwnSection(s.Frame().Root, need.Part),
		Scope: cmp.Or(need.Scope, access.Everywhere),
	}
	answer, err := s.Decide(ctx, &ask)
	if err != nil {
		return in, err
	}
	in.Superuser = answer.Reason == access.ReasonSuperuser
	if in.held, err = holdsNow(ctx, s, caller.Subject, in.Superuser); err != nil {
		return in, err
	}
	if need.Superuser && !in.Superuser {
		return in, access.Forbidden("only superusers may do this, and %s is none", caller.Name)
	}
	switch {
	case answer.Allowed && ask.Scope == access.Everywhere:
		in.Everywhere = true
	case answer.Allowed:
		in.Scopes = []access.Scope{ask.Scope}
	case need.Scope == "":
		if in.Scopes, err = allowedIn(ctx, s, ask, in.held); err != nil {
			return in, err
		}
	}
	if !in.Everywhere && len(in.Scopes) == 0 {
		return in, lacking(caller, &ask)
	}
	return in, nil
}

// holdsNow is what somebody holds now, and what is or will be prohibited to him:
// nobody rids himself of a prohibition before it begins.
func holdsNow(ctx context.Context, s access.Sight, who access.Subject, superuser bool) (access.Holdings, error) {
	held, err := s.Holdings(ctx, who.Rule(), access.Ever)
	held.Superuser = superuser
	held.Rules = slices.DeleteFunc(held.Rules, func(h access.Holding) bool {
		return h.Effect != access.Deny && !h.Validity.From.IsZero()
	})
	return held, err
}

// lacking names the right that somebody would need.
func lacking(caller access.Caller, ask *access.Request) error {
	return &access.Error{Kind: access.ErrForbidden, Field: string(ask.Section), Message: fmt.Sprintf(
		"this needs the right %q at %s, which %s does not hold", ask.Actions[0], ask.Scope, caller.Name)}
}

// allowedIn looks for scopes in which something is allowed. Only those of rules
// can be such.
func allowedIn(ctx context.Context, s access.Sight, ask access.Request, held access.Holdings) ([]access.Scope, error) {
	asked := map[access.Scope]bool{access.Everywhere: false}
	for _, r := range held.Rules {
		ask.Scope = r.Scope
		if _, known := asked[r.Scope]; known {
			continue
		}
		answer, err := s.Decide(ctx, &ask)
		if err != nil {
			return nil, err
		}
		asked[r.Scope] = answer.Allowed
	}
	var scopes []access.Scope
	for scope, allowed := range asked {
		if allowed {
			scopes = append(scopes, scope)
		}
	}
	slices.Sort(scopes)
	return scopes, nil
}

// Holds tells whether all that somebody holds lies within the reach. Who holds
// nothing lies in every reach.
func (in Reach) Holds(theirs access.Holdings, above func(access.Scope) access.Scope) bool {
	if in.Everywhere {
		return true
	}
	if theirs.Superuser {
		return false
	}
	return !slices.ContainsFunc(theirs.Rules, func(r access.Holding) bool {
		return !slices.ContainsFunc(in.Scopes, func(s access.Scope) bool { return access.LiesIn(r.Scope, s, above) })
	})
}

// sees gives what tells whether somebody with this reach is shown a holder: all
// that the holder holds must lie in it.
func (a *Authority) sees(ctx context.Context, tenant string, in Reach) (func(name string) (bool, error), error) {
	return in.sees(ctx, func() (access.Sight, error) { return a.sights.Sight(tenant) })
}

// sees is that for what a sight shows, which is asked for where it is needed.
func (in Reach) sees(ctx context.Context, at func() (access.Sight, error)) (func(name string) (bool, error), error) {
	if in.Everywhere {
		return func(string) (bool, error) { return true, nil }, nil
	}
	s, err := at()
	return func(name string) (bool, error) {
		held, err := s.Holdings(ctx, name, access.Ever)
		return err == nil && in.Holds(held, s.Above), err
	}, err
}

// nouns are what errors call those who hold rights.
var nouns = map[access.Kind]string{access.KindUser: "user", access.KindGroup: "group", access.KindRole: "role", access.KindApplication: "application"}

// shown tells whether somebody may look at a subject. Nobody in particular lies
// beyond a reach that is bounded: whoever does not exist is not shown either, so
// that the answer does not tell who exists elsewhere.
func (a *Authority) shown(ctx context.Context, caller access.Caller, tenant string, who access.Subject) (bool, error) {
	in, err := a.ask(ctx, caller, tenant, Need{Part: "Users", Action: "show"})
	if errors.Is(err, access.ErrForbidden) {
		return false, nil
	}
	if err != nil || in.Everywhere {
		return in.Everywhere, err
	}
	shown := false
	err = a.upToDate(ctx, tenant, 0, func() error {
		sees, err := a.sees(ctx, tenant, in)
		if err == nil {
			shown, err = sees(who.Rule())
		}
		if err != nil || !shown {
			return err
		}
		s, err := a.sights.Sight(tenant)
		if err != nil {
			return err
		}
		answer, err := s.Decide(ctx, &access.Request{Subject: who, Actions: []access.Action{"show"}, Section: access.OwnSection(s.Frame().Root, "")})
		shown = err == nil && answer.Reason != access.ReasonSubjectUnknown
		return err
	})
	return shown, err
}
