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
	sc.closed = false
	sc.lack.Verdict() // makes nodes those of the request's scope again
	names := make([]uint32, 0, len(sc.nodes))
	for _, n := range sc.nodes {
		if n.name != sc.superuser {
			names = append(names, n.name)
		}
	}
	names = slices.DeleteFunc(names, func(name uint32) bool {
		lack.name = name
		sc.extra = &lack
		defer func() { sc.extra = nil }()
		return !access.Judge(sc.ask(0, section, a)).Allowed
	})
	holders := make(map[uint32]int, len(names))
	for _, name := range names {
		holders[name] = sc.countHolders(name)
	}
	slices.SortStableFunc(names, func(a, b uint32) int { return cmp.Compare(holders[a], holders[b]) })
	grants, to := make([]access.Grant, len(names)), make([]string, len(names))
	for i, name := range names {
		grants[i] = sc.grant(lack)
		to[i] = sc.names.names[name].Rule()
	}
	return grants, to
}

func (sc *scratch) grant(of supposed) access.Grant {
	g := access.Grant{
		Section: sc.sections.names[of.section], Rights: of.action.Right(),
		Scope: sc.scopes.names[sc.scope], Effect: access.Allow,
	}
	if g.Rights == 0 {
		g.Actions = []string{string(of.action)}
	}
	return g
}

// countHolders counts the accounts that links of any scope and time lead from
// to a name, itself included.
func (sc *scratch) countHolders(name uint32) int {
	members := sc.members()
	seen := map[uint32]bool{name: true}
	count := 0
	for queue := []uint32{name}; len(queue) > 0; queue = queue[1:] {
		if sc.accountOf[queue[0]] != 0 {
			count++
		}
		for _, m := range members.of(queue[0]) {
			if !seen[m] {
				seen[m] = true
				queue = append(queue, m)
			}
		}
	}
	return count
}
