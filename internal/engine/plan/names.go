package plan

import "hash/maphash"

// unknown is the number of a text that no rule contains.
const unknown = ^uint32(0)

// names numbers the texts of a policy, so that rules are rows of small numbers
// and comparing two texts is comparing their numbers. It is filled while a
// policy is compiled and never by questions: a text from outside is looked up,
// and is unknown or not.
type names struct {
	seed  maphash.Seed
	texts []string
	table []uint32 // of numbers, by hash; a power of two, at most half full
}

func newNames() *names {
	n := &names{seed: maphash.MakeSeed(), table: make([]uint32, 64)}
	fill(n.table, unknown)
	return n
}

func fill(s []uint32, v uint32) {
	for i := range s {
		s[i] = v
	}
}

// slot finds where a text stands in the table, or the free place for it.
func (n *names) slot(text string) int {
	mask := len(n.table) - 1
	for at := int(maphash.String(n.seed, text)) & mask; ; at = (at + 1) & mask { //nolint:gosec // any bits will do
		if id := n.table[at]; id == unknown || n.texts[id] == text {
			return at
		}
	}
}

// find gives the number of a text, or unknown.
func (n *names) find(text string) uint32 { return n.table[n.slot(text)] }

// add gives a text a number, the same one every time.
func (n *names) add(text string) uint32 {
	at := n.slot(text)
	if n.table[at] != unknown {
		return n.table[at]
	}
	id := uint32(len(n.texts)) //nolint:gosec // maxRules keeps it small
	n.table[at] = id
	n.texts = append(n.texts, text)
	if 2*len(n.texts) > len(n.table) {
		n.grow()
	}
	return id
}

func (n *names) grow() {
	n.table = make([]uint32, 2*len(n.table))
	fill(n.table, unknown)
	for id, text := range n.texts {
		n.table[n.slot(text)] = uint32(id)
	}
}
