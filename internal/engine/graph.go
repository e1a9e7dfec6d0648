package engine

import "sync"

// graph is the policy read against its direction, for searches and explanations.
// It is made when first wanted and lasts until something else than users changes.
type graph struct {
	members func() runs[uint32]  // by number of the holder: holders that belong to it
	grants  func() runs[granted] // by number of the section: rules that allow something on it
}

// granted is one rule of a holder.
type granted struct{ to, nth uint32 }

func newGraph(holders pages[holder], sections uint32) *graph {
	return &graph{
		members: sync.OnceValue(func() runs[uint32] { return membersOf(holders) }),
		grants:  sync.OnceValue(func() runs[granted] { return grantsOf(holders, sections) }),
	}
}

func membersOf(holders pages[holder]) runs[uint32] {
	var of, entries []uint32
	for member := range holders.n {
		for _, l := range holders.at(member).links {
			of, entries = append(of, l.to), append(entries, member)
		}
	}
	return newRuns(holders.n, of, entries)
}

func grantsOf(holders pages[holder], sections uint32) runs[granted] {
	var of []uint32
	var entries []granted
	for to := range holders.n {
		for i, r := range holders.at(to).rules {
			if !r.act.denies() {
				of, entries = append(of, r.section), append(entries, granted{to: to, nth: number(i)})
			}
		}
	}
	return newRuns(sections, of, entries)
}

// below marks holders and all that belong to them, by links of any scope and time.
func (g *graph) below(holders ...uint32) map[uint32]bool {
	members := g.members()
	marked := make(map[uint32]bool, len(holders))
	for _, h := range holders {
		marked[h] = true
	}
	for queue := holders; len(queue) > 0; queue = queue[1:] {
		for _, m := range members.of(queue[0]) {
			if !marked[m] {
				marked[m] = true
				queue = append(queue, m)
			}
		}
	}
	return marked
}
