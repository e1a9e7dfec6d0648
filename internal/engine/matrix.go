package engine

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// A matrix tells all that a holder may do in one scope at one moment, cell by
// cell: sections, each with its actions. Unlike a decision it evaluates no
// condition: a cell says under which ones the right is held.

// cells are the columns of matrices, the same for all that are compared.
type cells struct {
	sections []cellSection
	n        int
}

// cellSection is a section that one side or the other declares.
type cellSection struct {
	name   access.Section
	number [2]uint32 // by side; 0 where it is not declared
	first  int       // its first cell
	verbs  []cellVerb
}

type cellVerb struct {
	action access.Action
	right  access.Rights // 0 for a declared action
	named  [2]uint32     // by side: the number of a declared action there
	known  [2]bool       // by side
}

// cellsOf gives the cells for one snapshot or two.
func cellsOf(sides ...*Snapshot) *cells {
	byName := map[access.Section]*cellSection{}
	for side, s := range sides {
		for _, id := range s.menuOrder() {
			name := s.sections.name(id)
			c := byName[name]
			if c == nil {
				c = &cellSection{name: name}
				byName[name] = c
			}
			c.number[side] = id
			for _, a := range s.verbs(id) {
				c.verb(side, a, s.actions.id(string(a)))
			}
		}
	}
	all := &cells{}
	for _, c := range byName {
		slices.SortFunc(c.verbs, byVerb)
		all.sections = append(all.sections, *c)
	}
	slices.SortFunc(all.sections, func(a, b cellSection) int { return strings.Compare(string(a.name), string(b.name)) })
	for i := range all.sections {
		all.sections[i].first = all.n
		all.n += len(all.sections[i].verbs)
	}
	return all
}

func (c *cellSection) verb(side int, a access.Action, named uint32) {
	i := slices.IndexFunc(c.verbs, func(v cellVerb) bool { return v.action == a })
	if i < 0 {
		i = len(c.verbs)
		c.verbs = append(c.verbs, cellVerb{action: a, right: a.Right()})
	}
	c.verbs[i].known[side] = true
	if c.verbs[i].right == 0 {
		c.verbs[i].named[side] = named
	}
}

// byVerb: the standard actions by their values, then the declared ones by name.
func byVerb(a, b cellVerb) int {
	if (a.right == 0) != (b.right == 0) {
		if a.right != 0 {
			return -1
		}
		return 1
	}
	if a.right != b.right {
		return int(a.right) - int(b.right)
	}
	return strings.Compare(string(a.action), string(b.action))
}

// at gives section and action of a cell.
func (c *cells) at(cell int) (*cellSection, *cellVerb) {
	i, found := slices.BinarySearchFunc(c.sections, cell, func(s cellSection, cell int) int { return s.first - cell })
	if !found {
		i--
	}
	s := &c.sections[i]
	return s, &s.verbs[cell-s.first]
}

// person is whose matrix is made: a subject, or what every member of a group
// has, which is somebody who is in that group alone and has every licence.
type person struct {
	*subject
	whole bool // it stands for a group, be that a template or not
	awake bool // as if the account were active, unless it is deleted
}

// able tells whether the account can be allowed anything.
func (p person) able() bool {
	return p.subject != nil && p.account != nil &&
		(p.account.status == access.UserActive || p.awake && p.account.status != access.UserDeleted)
}

// memberOf stands for the members of a group.
func (s *Snapshot) memberOf(group string) person {
	id := s.names.id(access.Name(access.KindGroup, group))
	if _, known := s.source.Groups[group]; !known || id == 0 {
		return person{whole: true}
	}
	links := []link{{to: id, scope: everywhere}}
	return person{whole: true, subject: &subject{name: access.Name(access.KindUser, group), account: plainGear, links: links}}
}

// matrix makes matrices of one snapshot.
type matrix struct {
	*scratch
	side  int
	cells *cells
	forms *formulas
	sums  []sum    // by number of the section
	used  []uint32 // sections of sums that hold something
	fresh bool     // the subject's attributes are not what they were
	only  *focus   // what is looked at; nil: everything

	when   [][]uint32 // while a cell is made
	unless []uint32
}

// sum is what all rules on one section give, those that always hold by rights.
type sum struct {
	allow, deny           access.Rights // in the section itself
	allowBelow, denyBelow access.Rights // and in those below
	lines                 []sumLine     // of declared actions, and under conditions
}

type sumLine struct {
	act       act
	condition *gate // nil: it always holds
}

func newMatrix(s *Snapshot, side int, c *cells, f *formulas) *matrix {
	m := &matrix{scratch: s.scratch(), side: side, cells: c, forms: f, sums: make([]sum, s.sections.len())}
	m.quiet = true
	return m
}

// fill makes the matrix of somebody in a scope at a moment.
func (m *matrix) fill(p person, scope uint32, at time.Time, out []uint32) {
	clear(out)
	if !p.able() {
		return
	}
	m.begin(p, scope, at)
	if m.templates && !p.whole {
		return
	}
	if !m.super {
		m.gather()
	}
	for i := range m.looked() {
		if s := &m.cells.sections[i]; s.number[m.side] != 0 {
			m.section(s, out[s.first:])
		}
	}
}

// looked gives the places of the sections that are looked at.
func (m *matrix) looked() iter.Seq[int] {
	if m.only != nil {
		return slices.Values(m.only.sections)
	}
	return func(yield func(int) bool) {
		for i := range m.cells.sections {
			if !yield(i) {
				return
			}
		}
	}
}

// begin finds out what somebody holds.
func (m *matrix) begin(p person, scope uint32, at time.Time) {
	m.now, m.until = at, time.Time{}
	m.scope, m.path = scope, m.scopeChain.of(scope)
	m.closed, m.grouped, m.table = false, false, nil
	m.be(p.subject)
	m.close()
}

// gather adds up the rules that hold at this moment in this scope.
func (m *matrix) gather() {
	for _, section := range m.used {
		m.sums[section] = sum{lines: m.sums[section].lines[:0]}
	}
	m.used = m.used[:0]
	for i := range m.nodes {
		h := m.linesOf(m.nodes[i].name)
		if len(h.rules) <= longRun {
			m.addAll(h, h.rules)
			continue
		}
		for _, scope := range m.path {
			from, to := within(h.rules, scope, func(r *rule) uint32 { return r.scope })
			m.addAll(h, h.rules[from:to])
		}
	}
}

// addAll adds up those of a holder's rules that hold.
func (m *matrix) addAll(h *held, rules []rule) {
	idle := m.exempt || m.combining == access.AllowOverrides // whatever denies
	for i := range rules {
		r := &rules[i]
		if m.only != nil && !m.only.reads[m.side][r.section] {
			continue
		}
		if idle && r.act.denies() || !onPath(m.path, r.scope) {
			continue
		}
		if g := h.gate(r); g == nil || g.validity.At(m.now) {
			m.add(r, g)
		}
	}
}

func (m *matrix) add(r *rule, g *gate) {
	s := &m.sums[r.section]
	m.used = append(m.used, r.section)
	if g != nil && g.condition == nil {
		g = nil
	}
	if g != nil || r.act.action() != 0 || r.act&anyAction != 0 {
		s.lines = append(s.lines, sumLine{r.act, g})
		return
	}
	rights := r.act.rights()
	below := rights
	if rights&access.Inherit == 0 {
		below = 0
	}
	if r.act.denies() {
		s.deny, s.denyBelow = s.deny|rights, s.denyBelow|below
		return
	}
	s.allow, s.allowBelow = s.allow|rights, s.allowBelow|below
}

// section makes the cells of one section. Most are about standard actions and
// hang upon nothing: those are read off at once.
func (m *matrix) section(s *cellSection, out []uint32) {
	number := s.number[m.side]
	rights, plain := m.plain(number)
	if rights == 0 && plain && !m.super {
		return
	}
	for i := range s.verbs {
		v := &s.verbs[i]
		switch {
		case !v.known[m.side]:
		case !plain || m.super:
			out[i] = m.hold(number, v.right, v.named[m.side], v.action)
		case rights&v.right != 0:
			out[i] = always
		}
	}
}

// plain gives the rights on a section that are held whatever happens; false where
// that is not all there is to be said.
func (m *matrix) plain(section uint32) (access.Rights, bool) {
	var allow, deny access.Rights
	for _, at := range m.sectionChain.of(section) {
		s := &m.sums[at]
		if len(s.lines) > 0 {
			return 0, false
		}
		if at == section {
			allow, deny = allow|s.allow, deny|s.deny
		} else {
			allow, deny = allow|s.allowBelow, deny|s.denyBelow
		}
	}
	if allow &^= deny; allow == 0 {
		return 0, true
	}
	s := m.Snapshot.section(section)
	return allow, len(s.prerequisites) == 0 && s.licence == "" && len(m.person.account.off) == 0
}

// hold gives the formula of one action on one section.
func (m *matrix) hold(section uint32, right access.Rights, named uint32, a access.Action) uint32 {
	if m.super {
		return always
	}
	m.when, m.unless = m.when[:0], m.unless[:0]
	if !m.require(section, right, named, a, 0) {
		return never
	}
	return m.forms.number(m.when, m.unless)
}

// require passes the gates behind the superuser's for one question, and adds what
// it hangs upon; false: it is never allowed.
func (m *matrix) require(section uint32, right access.Rights, named uint32, a access.Action, depth int) bool {
	s := m.Snapshot.section(section)
	account := m.person.account
	switch {
	case slices.Contains(account.off, s.application):
		return false
	case s.licence != "" && (!m.licences[s.licence] || account.person && !slices.Contains(account.licences, s.licence)):
		return false
	case !m.verdict(section, right, named, a, depth):
		return false
	}
	for i := range s.prerequisites {
		p := &s.prerequisites[i]
		if depth == access.MaxPrerequisiteDepth || !m.Snapshot.section(p.section).declared {
			return false
		}
		if !m.require(p.section, p.action.Right(), 0, p.action, depth+1) {
			return false
		}
	}
	return true
}

// verdict is what the rules say. It adds the conditions of which one must hold,
// and those of which none may.
func (m *matrix) verdict(section uint32, right access.Rights, named uint32, a access.Action, depth int) bool {
	certain, one := false, []uint32(nil)
	chain := m.sectionChain.of(section)
	for _, at := range chain {
		s := &m.sums[at]
		allow, deny := s.allow, s.deny
		if at != section {
			allow, deny = s.allowBelow, s.denyBelow
		}
		if deny&right != 0 {
			return false
		}
		certain = certain || allow&right != 0
		for i := range s.lines {
			l := &s.lines[i]
			if !covers(l.act, right, named, at != section) {
				continue
			}
			switch {
			case l.condition == nil && l.act.denies():
				return false
			case l.condition == nil:
				certain = true
			case l.act.denies():
				m.unless = append(m.unless, m.atom(l.condition, section, a, depth))
			default:
				one = append(one, m.atom(l.condition, section, a, depth))
			}
		}
	}
	switch {
	case certain:
	case len(one) == 0:
		return false
	default:
		m.when = append(m.when, one)
	}
	return true
}

func covers(a act, right access.Rights, named uint32, below bool) bool {
	if below && a.rights()&access.Inherit == 0 {
		return false
	}
	if right != 0 {
		return a&act(right) != 0
	}
	return a&anyAction != 0 || named != 0 && a.action() == named
}

// atom numbers a condition as it is evaluated here. The same condition of a
// right that must be held too may come out otherwise where it reads what is asked
// for, and that of somebody whose attributes have changed where it reads those.
func (m *matrix) atom(g *gate, section uint32, a access.Action, depth int) uint32 {
	name := g.id
	if depth > 0 && g.condition.readsQuestion {
		name += "@" + string(m.sections.name(section)) + "/" + string(a)
	}
	if m.fresh && g.condition.readsSubject {
		name += freshMark
	}
	return m.forms.atom(name)
}

// freshMark tells a condition from the same one about other attributes.
const freshMark = "\x00"

// The formulas that every comparison knows.
const (
	never uint32 = iota
	always
)

// formulas numbers what rights can hang upon. Two are the same number if and only
// if they hold for the same values of their conditions.
type formulas struct {
	atoms []string
	ids   map[string]uint32
	all   []formula
	known map[string]uint32
}

type formula struct {
	when   [][]uint32 // in order; no list holds another one, nor one of unless
	unless []uint32   // in order
}

func newFormulas() *formulas {
	return &formulas{ids: map[string]uint32{}, all: make([]formula, always+1), known: map[string]uint32{}}
}

func (f *formulas) atom(name string) uint32 {
	id, known := f.ids[name]
	if !known {
		id = number(len(f.atoms))
		f.ids[name], f.atoms = id, append(f.atoms, name)
	}
	return id
}

// number puts a formula into its one form. A condition that must not hold, nor
// fail, cannot be one that lets something pass.
func (f *formulas) number(when [][]uint32, unless []uint32) uint32 {
	if len(when)+len(unless) == 0 {
		return always
	}
	slices.Sort(unless)
	unless = slices.Compact(unless)
	lists := make([][]uint32, 0, len(when))
	for _, list := range when {
		left := make([]uint32, 0, len(list))
		for _, a := range list {
			if _, no := slices.BinarySearch(unless, a); !no {
				left = append(left, a)
			}
		}
		if len(left) == 0 {
			return never
		}
		slices.Sort(left)
		lists = append(lists, slices.Compact(left))
	}
	lists = smallest(lists)
	key := keyOf(lists, unless)
	id, known := f.known[key]
	if !known {
		id = number(len(f.all))
		f.known[key], f.all = id, append(f.all, formula{lists, slices.Clone(unless)})
	}
	return id
}

// smallest leaves out lists that hold all of another one.
func smallest(lists [][]uint32) [][]uint32 {
	slices.SortFunc(lists, func(a, b []uint32) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return slices.Compare(a, b)
	})
	var kept [][]uint32
	for _, list := range lists {
		if !slices.ContainsFunc(kept, func(k []uint32) bool { return holdsAll(k, list) }) {
			kept = append(kept, list)
		}
	}
	return kept
}

// holdsAll tells whether all of a small list, in order, is in a large one.
func holdsAll(small, large []uint32) bool {
	return !slices.ContainsFunc(small, func(a uint32) bool { _, in := slices.BinarySearch(large, a); return !in })
}

func keyOf(lists [][]uint32, unless []uint32) string {
	b := binary.LittleEndian.AppendUint32(nil, number(len(lists)))
	for _, list := range lists {
		b = appendNumbers(b, list)
	}
	return string(appendNumbers(b, unless))
}

// appendNumbers writes a list with its length in front.
func appendNumbers(b []byte, list []uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, number(len(list)))
	for _, a := range list {
		b = binary.LittleEndian.AppendUint32(b, a)
	}
	return b
}

// of writes a formula out.
func (f *formulas) of(id uint32) access.Hold {
	h := access.Hold{May: id != never}
	for _, list := range f.all[id].when {
		h.When = append(h.When, f.names(list))
	}
	h.Unless = f.names(f.all[id].unless)
	return h
}

func (f *formulas) names(list []uint32) []string {
	var names []string
	for _, a := range list {
		names = append(names, strings.TrimSuffix(f.atoms[a], freshMark))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
