package engine

import (
	"cmp"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// supposed is a grant that is not there. Explaining asks what would be if it
// were, so that it suggests nothing that would not help.
type supposed struct {
	name, section uint32
	action        access.Action
}

// supposes tells whether the supposed grant would answer this question.
func (q *question) supposes() bool {
	return q.extra != nil && q.extra.section == q.section && q.extra.action == q.action &&
		slices.ContainsFunc(q.nodes, func(n node) bool { return n.name == q.extra.name })
}

// nearest gives the smallest single grants that would turn the denial, and to
// whom each would be given: exactly the action and section that were found
// wanting, at the scope of the request, to the subject or to something it
// holds. Those that fewest subjects would profit from come first.
func (sc *scratch) nearest(section uint32, a access.Action) ([]access.Grant, []string) {
	if sc.lack == nil {
		return nil, nil
	}
	lack := supposed{section: sc.lack.section, action: sc.lack.action}
	names := make([]uint32, 0, len(sc.nodes))
	for _, n := range sc.nodes {
		if n.name != sc.superuser || n.name == 0 {
			names = append(names, n.name)
		}
	}
	names = slices.DeleteFunc(names, func(name uint32) bool {
		lack.name = name
		sc.extra = &lack
		defer func() { sc.extra = nil }()
		return !access.Judge(sc.ask(0, section, a)).Allowed
	})
	reach := sc.countHolders(names)
	slices.SortStableFunc(names, func(a, b uint32) int { return cmp.Compare(reach[a], reach[b]) })
	grants, to := make([]access.Grant, len(names)), make([]string, len(names))
	for i, name := range names {
		grants[i] = sc.grant(lack)
		to[i] = sc.nameOf(name)
	}
	return grants, to
}

func (sc *scratch) grant(of supposed) access.Grant {
	g := access.Grant{
		Section: sc.sections.name(of.section), Rights: of.action.Right(),
		Scope: sc.scopes.name(sc.scope), Effect: access.Allow,
	}
	if g.Rights == 0 {
		g.Actions = []string{string(of.action)}
	}
	return g
}

// countHolders counts, for each name, the accounts that links of any scope and
// time lead from to it, the subject itself being one. Where users are fetched
// nobody knows how many there are: groups and roles are counted instead.
func (sc *scratch) countHolders(names []uint32) map[uint32]int {
	reach := make(map[uint32]int, len(names))
	for _, name := range names {
		if name == 0 || name&stranger != 0 {
			reach[name] = 1
			continue
		}
		below := sc.graph.below(name)
		if sc.fetched {
			reach[name] = 1 + len(below)
		}
		count := func(p *subject) bool {
			if p.account != nil && p.reaches(below) {
				reach[name]++
			}
			return true
		}
		count(sc.anonymous)
		sc.subjects.behind(access.Subject{}, count)
	}
	return reach
}

// reaches tells whether a link of the subject leads to one of these holders.
func (p *subject) reaches(holders map[uint32]bool) bool {
	return slices.ContainsFunc(p.links, func(l link) bool { return holders[l.to] })
}
