package plan

import (
	"hash/maphash"
	"math/bits"
	"strings"
)

// unknown is the number of a text that no rule contains.
const unknown = ^uint32(0)

// maxNames leaves room for a tag in every entry of the table.
const (
	nameBits = 26
	maxNames = 1<<nameBits - 1
	nameMask = 1<<nameBits - 1
)

// names numbers the texts of a policy, so that rules are rows of small numbers
// and comparing two texts is comparing their numbers. It is filled while rules
// are read and never by questions: a text from outside is looked up, and is
// unknown or not. All texts stand in one, one behind the other.
type names struct {
	seed  maphash.Seed
	all   string
	ends  []uint32 // of each text in all
	table []uint32 // numbers with some bits of the hash above, by the hash; unknown where it is free
	room  strings.Builder
	full  bool // some text found no room
}

func newNames() *names {
	n := &names{seed: maphash.MakeSeed()}
	n.resize(64)
	return n
}

func (n *names) len() int { return len(n.ends) }

// text gives the text of a number.
func (n *names) text(id uint32) string {
	start := uint32(0)
	if id > 0 {
		start = n.ends[id-1]
	}
	return n.all[start:n.ends[id]]
}

// slot finds where a text stands in the table, or the free place for it, and the
// tag that goes with it. The tag spares a look at nearly all other texts.
func (n *names) slot(text string) (at int, tag uint32) {
	hash := maphash.String(n.seed, text)
	tag = uint32(hash) &^ nameMask //nolint:gosec // some bits of it are wanted
	high, _ := bits.Mul64(hash, uint64(len(n.table)))
	for at = int(high); ; at++ { //nolint:gosec // less than the length
		if at == len(n.table) {
			at = 0
		}
		e := n.table[at]
		if e == unknown || e&^nameMask == tag && n.text(e&nameMask) == text {
			return at, tag
		}
	}
}

// find gives the number of a text, or unknown.
func (n *names) find(text string) uint32 {
	at, _ := n.slot(text)
	if n.table[at] == unknown {
		return unknown
	}
	return n.table[at] & nameMask
}

// add gives a text a number, the same one every time. Where there is no room for
// another it gives unknown.
func (n *names) add(text string) uint32 {
	at, tag := n.slot(text)
	if n.table[at] != unknown {
		return n.table[at] & nameMask
	}
	if len(n.ends) >= maxNames || len(n.all)+len(text) > maxText {
		n.full = true
		return unknown
	}
	id := uint32(len(n.ends)) //nolint:gosec // less than maxNames
	n.table[at] = tag | id
	n.room.WriteString(text)
	n.all = n.room.String()
	n.ends = append(n.ends, uint32(len(n.all))) //nolint:gosec // less than maxText
	if 2*len(n.ends) > len(n.table) {
		n.resize(2 * len(n.table))
	}
	return id
}

// maxText is how many bytes of texts can be told apart.
const maxText = 1<<32 - 1

// seal is called once all texts are in: it gives back what is to spare.
func (n *names) seal() {
	n.all = strings.Clone(n.all)
	n.room = strings.Builder{}
	n.ends = append(make([]uint32, 0, len(n.ends)), n.ends...)
	n.resize(len(n.ends)*4/3 + 1)
}

func (n *names) resize(size int) {
	n.table = make([]uint32, size)
	fill(n.table, unknown)
	for id := range n.ends {
		at, tag := n.slot(n.text(uint32(id)))
		n.table[at] = tag | uint32(id)
	}
}

func fill(s []uint32, v uint32) {
	for i := range s {
		s[i] = v
	}
}
