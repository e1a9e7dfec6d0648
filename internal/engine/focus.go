package engine

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// focus is the part of matrices that can differ for somebody: most changes are
// about a few sections, and whoever holds what he held in all others need not be
// looked at there.
type focus struct {
	sections []int     // of cells that can differ
	reads    [2][]bool // by side and number of a section: its rules bear upon those cells
	seen     [2]map[uint32]*survey
}

// maxFoci is how many are kept at a time: each knows much of groups and roles.
const maxFoci = 256

// foci finds the focus of everybody.
type foci struct {
	c      *comparison
	whole  bool             // something differs that bears upon all
	bits   map[string]int   // sections that rules are about, by name
	own    map[uint32]marks // by number on the first side: what differs of a holder
	known  map[uint32]marks // and of all that it belongs to, too
	chains [][]int          // by section of cells: the bits that bear upon it, on either side
	needs  [][]int          // the sections whose rights must be held too
	made   map[string]*focus
}

// marks is a set of sections by their bits; nil is none, and everything where
// links differ.
type marks struct {
	set   []uint64
	whole bool
}

func newFoci(c *comparison) *foci {
	f := &foci{c: c, whole: bearsOnAll(c.sides[0].Snapshot, c.sides[1].Snapshot), bits: map[string]int{}, own: map[uint32]marks{}, known: map[uint32]marks{}, made: map[string]*focus{}}
	if f.whole {
		return f
	}
	place := map[access.Section]int{}
	for i := range c.cells.sections {
		place[c.cells.sections[i].name] = i
	}
	f.chains, f.needs = make([][]int, len(c.cells.sections)), make([][]int, len(c.cells.sections))
	for i := range c.cells.sections {
		for n, s := range c.sides {
			number := c.cells.sections[i].number[n]
			for _, at := range s.sectionChain.of(number) {
				f.chains[i] = append(f.chains[i], f.bit(string(s.sections.name(at))))
			}
			for _, p := range s.Snapshot.section(number).prerequisites {
				if j, there := place[s.sections.name(p.section)]; there {
					f.needs[i] = append(f.needs[i], j)
				}
			}
		}
	}
	return f
}

func (f *foci) bit(section string) int {
	n, known := f.bits[section]
	if !known {
		n = len(f.bits)
		f.bits[section] = n
	}
	return n
}

func (m *marks) add(bit int) {
	for len(m.set) <= bit/64 {
		m.set = append(m.set, 0)
	}
	m.set[bit/64] |= 1 << (bit % 64)
}

func (m *marks) join(o marks) {
	m.whole = m.whole || o.whole
	for len(m.set) < len(o.set) {
		m.set = append(m.set, 0)
	}
	for i, word := range o.set {
		m.set[i] |= word
	}
}

func (m *marks) has(bit int) bool { return bit/64 < len(m.set) && m.set[bit/64]&(1<<(bit%64)) != 0 }

// of gives the focus of a class, or nil where everything has to be looked at.
func (f *foci) of(k *class) *focus {
	was, is := k.people[0], k.people[1]
	if f.whole || k.fresh || !was.able() || !is.able() || !sameAccount(was.account, is.account) {
		return nil
	}
	before, after := was.held(), is.held()
	m := f.differing(&before, &after)
	if m.whole {
		return nil
	}
	for i, l := range before.links { // those of the other side are alike
		if l.to&stranger != 0 && after.links[i].to&stranger == 0 {
			return nil // nothing was known of it: all that it has is new
		}
		m.join(f.above(l.to))
	}
	if m.whole {
		return nil
	}
	return f.focus(m)
}

func sameAccount(a, b *account) bool {
	return a == b || a.person == b.person && slices.Equal(a.licences, b.licences) && slices.Equal(a.off, b.off)
}

// above gives what differs of a holder and of all that it belongs to.
func (f *foci) above(id uint32) marks {
	m, known := f.known[id]
	if !known {
		f.collect(id, map[uint32]bool{}, &m)
		f.known[id] = m
	}
	return m
}

func (f *foci) collect(id uint32, reached map[uint32]bool, to *marks) {
	if id&stranger != 0 || reached[id] {
		return
	}
	reached[id] = true
	was := &f.c.sides[0].holder(id).held
	own, known := f.own[id]
	if !known {
		is := &f.c.sides[1].holder(f.c.sides[1].names.id(f.c.sides[0].names.name(id))).held
		own = f.differing(was, is)
		f.own[id] = own
	}
	to.join(own)
	for _, l := range was.links {
		f.collect(l.to, reached, to)
	}
}

// differing gives the sections about which two lists of lines differ.
func (f *foci) differing(was, is *held) marks {
	var m marks
	if sameList(was.links, is.links) && sameList(was.rules, is.rules) && was.rest == is.rest {
		return m
	}
	if !slices.Equal(f.links(0, was), f.links(1, is)) {
		return marks{whole: true}
	}
	before, after := f.rules(0, was), f.rules(1, is)
	for section, lines := range before {
		if !slices.Equal(lines, after[section]) {
			m.add(f.bit(section))
		}
	}
	for section := range after {
		if before[section] == nil {
			m.add(f.bit(section))
		}
	}
	return m
}

// sameList tells whether two lists are one and the same.
func sameList[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// links writes links without numbers.
func (f *foci) links(side int, h *held) []string {
	s, all := f.c.sides[side], make([]string, len(h.links))
	for i, l := range h.links {
		to := ""
		if l.to&stranger != 0 {
			to = h.extras().strangers[l.to&^stranger]
		} else {
			to = s.names.name(l.to)
		}
		all[i] = string(appendGate([]byte(to+"\x00"+string(s.scopes.name(l.scope))+"\x00"), h.timed(i)))
	}
	return all
}

// rules writes rules without numbers, by section.
func (f *foci) rules(side int, h *held) map[string][]string {
	s, all := f.c.sides[side], map[string][]string{}
	for i := range h.rules {
		r := &h.rules[i]
		b := binary.LittleEndian.AppendUint32(nil, uint32(r.act&(1<<actShift-1)))
		b = appendText(b, string(s.scopes.name(r.scope)))
		if n := r.act.action(); n != 0 {
			b = appendText(b, s.actions.name(n))
		}
		section := string(s.sections.name(r.section))
		all[section] = append(all[section], string(appendGate(b, h.gate(r))))
	}
	for _, lines := range all {
		slices.Sort(lines)
	}
	return all
}

// focus gives what can differ where rules on some sections do.
func (f *foci) focus(m marks) *focus {
	var key strings.Builder
	for _, word := range m.set {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], word)
		_, _ = key.Write(b[:])
	}
	known := f.made[key.String()]
	if known == nil {
		if len(f.made) == maxFoci {
			clear(f.made)
		}
		known = f.make(m)
		f.made[key.String()] = known
	}
	return known
}

func (f *foci) make(m marks) *focus {
	differs := make([]bool, len(f.chains))
	for i, chain := range f.chains {
		differs[i] = slices.ContainsFunc(chain, m.has)
	}
	for more := true; more; {
		more = false
		for i, needs := range f.needs {
			if !differs[i] && slices.ContainsFunc(needs, func(j int) bool { return differs[j] }) {
				differs[i], more = true, true
			}
		}
	}
	out := &focus{seen: [2]map[uint32]*survey{{}, {}}}
	read := make([]bool, len(f.chains))
	for n, s := range f.c.sides {
		out.reads[n] = make([]bool, s.sections.len())
	}
	for i, yes := range differs {
		if yes {
			out.sections = append(out.sections, i)
			f.reads(i, read, out)
		}
	}
	return out
}

// reads notes the rules that bear upon a section, and upon those that it needs.
func (f *foci) reads(section int, read []bool, out *focus) {
	if read[section] {
		return
	}
	read[section] = true
	for n, s := range f.c.sides {
		for _, at := range s.sectionChain.of(f.c.cells.sections[section].number[n]) {
			out.reads[n][at] = true
		}
	}
	for _, j := range f.needs[section] {
		f.reads(j, read, out)
	}
}
