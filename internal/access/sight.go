package access

import (
	"context"
	"time"
)

// Sight is one tenant at one revision, in force or foreseen, whose holders can
// be looked at. Users of tenants that keep them in the store are fetched.
type Sight interface {
	Revision() Revision
	// Frame gives everything but users and rules. It must not be changed.
	Frame() *Facts
	// Above gives the scope above another one, and "" for one that is not in the tree.
	Above(s Scope) Scope
	// Decide answers a question, like the engine.
	Decide(ctx context.Context, r *Request) (Decision, error)
	// Sections finds everything that the subject of a request may do anywhere, or
	// where it may do all the request's actions, like the engine.
	Sections(ctx context.Context, r *Request) (Menu, error)
	// Stamp names all that an answer about a subject depends on, see Stamp.
	Stamp(s Subject) Stamp
	// Holdings gives everything that reaches a holder by way of links. Holders are
	// named as in rules: "u:42", "g:sales". A stranger holds nothing.
	Holdings(ctx context.Context, holder string, when Moment) (Holdings, error)
	// Reached is Holdings with the way of each rule to the holder, nearest first.
	Reached(ctx context.Context, holder string, when Moment) ([]Reached, error)
}

// Reached is a rule that reaches a holder, and by which links.
type Reached struct {
	Holding Holding
	Rule    Rule
	Path    []Rule // empty: it is the holder's own
}

// Moment says which links and rules with a validity are looked at.
type Moment int

// The moments.
const (
	Now     Moment = iota // those that hold now
	Ever                  // those that hold now or will
	ForGood               // those that hold now and have no end
)

// Counts tells whether something is looked at.
func (m Moment) Counts(v Validity, now time.Time) bool {
	switch m {
	case Now:
		return v.At(now)
	case Ever:
		return v.Until.IsZero() || now.Before(v.Until)
	case ForGood:
		return v.At(now) && v.Until.IsZero()
	}
	return false
}
