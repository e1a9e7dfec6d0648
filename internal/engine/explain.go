package engine

import (
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Explain answers a question like Decide and says what led to the answer.
func (s *Snapshot) Explain(r *access.Request, now time.Time) (access.Explanation, error) {
	if s.foreign != nil {
		return s.foreign.explain(s, r, now)
	}
	sc := s.scratch()
	defer sc.end()
	if err := sc.begin(r, now); err != nil {
		return access.Explanation{Decision: s.malformed()}, err
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
		sc.close(sc.scopeChain.of(everywhere))
		part.Path = sc.pathTo(sc.superuser)
	case access.ReasonDeniedBy, access.ReasonGrantedBy:
		part.Path, part.Losing = sc.ask(0, section, a).reasons(d.Rule)
	case access.ReasonNoGrant, access.ReasonPrerequisiteMissing:
		part.Nearest, part.NearestTo = sc.nearest(section, a)
	default: // another gate decided; its detail says all
	}
	sc.until = until
	return d, part
}

// reasons gives the links that lead to the deciding rule's grantee, and all
// other rules that match, in policy order.
func (q *question) reasons(decided *access.Rule) (path, losing []access.Rule) {
	var all []uint32
	q.collect, q.closed = &all, false
	q.Verdict()
	q.collect = nil
	slices.Sort(all)
	for _, line := range all {
		if &q.lines[line] != decided {
			losing = append(losing, q.lines[line])
		}
	}
	kind, id, _ := access.ParseName(decided.Values[0])
	return q.pathTo(q.names.id(access.Subject{Kind: kind, ID: id})), losing
}

// pathTo gives the shortest chain of links from the subject to a name.
func (sc *scratch) pathTo(name uint32) []access.Rule {
	var path []access.Rule
	at := slices.IndexFunc(sc.nodes, func(n node) bool { return n.name == name })
	for ; at > 0; at = sc.nodes[at].from {
		path = append(path, sc.lines[sc.nodes[at].via.line])
	}
	slices.Reverse(path)
	return path
}
