package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Explain answers a question like Decide and says what led to the answer.
func (s *Snapshot) Explain(r *access.Request, now time.Time) (access.Explanation, error) {
	x, err := s.explain(context.Background(), r, now, nil)
	return x, notHere(err)
}

func (s *Snapshot) explain(ctx context.Context, r *access.Request, now time.Time, given *subject) (access.Explanation, error) {
	if s.foreign != nil {
		return s.foreign.explain(ctx, s, r, now)
	}
	sc := s.scratch()
	defer sc.end()
	sc.quiet, sc.explaining = true, true
	if err := sc.begin(r, now, given); err != nil {
		return access.Explanation{Decision: s.refused(err)}, err
	}
	var e access.Explanation
	for _, a := range sc.request.Actions {
		var part access.ExplanationPart
		e.Decision, part = sc.explain(a)
		e.Parts = append(e.Parts, part)
		if !e.Allowed {
			break
		}
	}
	e.Revision, e.ValidUntil = s.revision, sc.until
	return e, nil
}

func (sc *scratch) explain(a access.Action) (access.Decision, access.ExplanationPart) {
	section := sc.sections.id(sc.request.Section)
	sc.lack = nil
	d, gates := access.JudgeExplained(sc.ask(0, section, a))
	d.Action = a
	part := access.ExplanationPart{Action: a, Gates: gates}
	until := sc.until // what explaining looks at beyond the decision does not bound it
	switch d.Reason {
	case access.ReasonSuperuser:
		part.Path = sc.pathToSuperuser()
	case access.ReasonDeniedBy, access.ReasonGrantedBy:
		part.Path, part.Losing = sc.ask(0, section, a).reasons()
	case access.ReasonNoGrant, access.ReasonPrerequisiteMissing:
		part.Nearest, part.NearestTo = sc.nearest(section, a)
	default: // another gate decided; its detail says all
	}
	sc.until = until
	return d, part
}

// pathToSuperuser gives the links that hold everywhere and lead to the reserved role.
func (sc *scratch) pathToSuperuser() []access.Rule {
	var until time.Time
	sc.follow(sc.scopeChain.of(everywhere), &until)
	sc.closed = false // nodes are now those of another scope
	return sc.pathTo(sc.superuser)
}

// reasons gives the links that lead to the deciding rule's grantee, and all
// other rules that match, in policy order.
func (q *question) reasons() (path, losing []access.Rule) {
	q.close()
	q.match()
	won := q.settle()
	owner, place := won.owner, won.place
	all := slices.DeleteFunc(slices.Clone(q.spots), func(s spot) bool { return s.place == place || !q.stands(&s) })
	slices.SortFunc(all, func(a, b spot) int { return cmp.Compare(a.place, b.place) })
	for _, s := range all {
		losing = append(losing, q.ruleOf(s.owner, s.held, int(s.nth)))
	}
	return q.pathTo(owner), losing
}
