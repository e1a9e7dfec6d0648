package engine

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// turn is what becomes of one cell in one scope. Turns that are the same come to
// different holders together.
type turn struct {
	cell          int
	scope, except string // except: scopes, each behind a NUL
	was, is       uint32 // formulas
	from, until   int64  // microseconds; 0: now, or never
}

// tally gathers what becomes of the cells, and of whom.
type tally struct {
	turns map[turn]*came
	order []turn
	room  int // bytes that are left for what is gathered
}

// Bounds on what is gathered of one change.
var (
	maxTurns  = 1_000_000
	tallyRoom = 256 << 20 // bytes
)

// came is to which classes a turn comes, by their numbers, each as the distance
// from the one before: most take a byte.
type came struct {
	classes []byte
	last    uint32
}

// add notes that a turn comes to a class. Classes come in the order of their numbers.
func (t *tally) add(what turn, class uint32) {
	c := t.turns[what]
	if c == nil {
		c = &came{}
		t.turns[what] = c
		t.order = append(t.order, what)
	}
	n := len(c.classes)
	c.classes, c.last = binary.AppendUvarint(c.classes, uint64(class-c.last)), class
	t.room -= len(c.classes) - n
}

// full is the error of a change that does too much to be told at once.
func (t *tally) full() error {
	if t.room >= 0 && len(t.turns) <= maxTurns {
		return nil
	}
	return access.Invalid("consequences", "are more than can be told of one change: %d, and lists of those concerned of %d MiB, are the limit; make it in parts, or without asking what it would do", maxTurns, tallyRoom>>20)
}

// each gives the numbers of the classes.
func (c *came) each(yield func(uint32) bool) {
	at := uint32(0)
	for rest := c.classes; len(rest) > 0; {
		step, n := binary.Uvarint(rest)
		rest, at = rest[n:], at+uint32(step) //nolint:gosec // what add has written
		if !yield(at) {
			return
		}
	}
}

// consequences compares the classes one by one.
func (c *comparison) consequences(o access.ConsequenceOptions) (access.Consequences, error) {
	t := &tally{turns: map[turn]*came{}, room: tallyRoom}
	var all access.Consequences
	for _, k := range c.order {
		all.Looked += k.size()
	}
	done := 0
	for i, k := range c.order {
		if err := waiting(c.ctx); err != nil {
			return all, err
		}
		c.compare(k, func(what turn) { t.add(what, number(i)) })
		if err := t.full(); err != nil {
			return all, err
		}
		c.superusers(k, &all)
		if done += k.size(); o.Progress != nil {
			o.Progress(done, all.Looked)
		}
	}
	c.sum(t, &all)
	c.write(t, cmp.Or(o.Names, defaultNames), &all)
	return all, nil
}

func (c *class) size() int {
	n := c.users + len(c.groups) + len(c.apps)
	if c.visitor {
		n++
	}
	return n
}

// superusers notes users who become superusers, or are none any more.
func (c *comparison) superusers(k *class, all *access.Consequences) {
	if k.users == 0 {
		return
	}
	var super [2]bool
	for i, s := range c.sides {
		super[i] = s.isSuper(k.people[i], c.now)
	}
	switch {
	case super[0] == super[1]:
	case super[1]:
		all.SuperusersMade = append(all.SuperusersMade, k.names...)
	default:
		all.SuperusersLost = append(all.SuperusersLost, k.names...)
	}
}

func (m *matrix) isSuper(p person, at time.Time) bool {
	if !p.able() {
		return false
	}
	m.begin(p, everywhere, at)
	return m.super && !m.templates
}

// compare finds all that becomes of a class.
func (c *comparison) compare(k *class, found func(turn)) {
	only := c.foci.of(k)
	if only != nil && len(only.sections) == 0 {
		return
	}
	for _, s := range c.sides {
		s.only = only
	}
	scopes, moments := c.surveyed(k)
	for i, s := range c.sides {
		s.fresh = k.fresh && i == 1
		c.rows[i] = grown(c.rows[i], len(scopes)*len(moments), c.cells.n)
		for n, scope := range scopes {
			at := c.within(s, scope)
			for t, moment := range moments {
				s.fill(k.people[i], at, moment, c.rows[i][n*len(moments)+t])
			}
		}
	}
	if c.same(len(scopes) * len(moments)) {
		return
	}
	above := c.above(scopes)
	for i := range c.sides[0].looked() {
		s := &c.cells.sections[i]
		for v := range s.verbs {
			c.cell(s.first+v, scopes, above, moments, found)
		}
	}
}

func (c *comparison) same(rows int) bool {
	for r := range rows {
		if !slices.Equal(c.rows[0][r], c.rows[1][r]) {
			return false
		}
	}
	return true
}

// grown makes room for so many rows.
func grown(rows [][]uint32, n, width int) [][]uint32 {
	for len(rows) < n {
		rows = append(rows, make([]uint32, width))
	}
	return rows
}

// stretch is a part of time in which a cell is one thing before and another after.
type stretch struct {
	was, is     uint32
	from, until int64
}

// cell compares one cell in all scopes. What becomes of it in a scope becomes of
// it in those below, unless something else is said there.
func (c *comparison) cell(cell int, scopes []access.Scope, above []int, moments []time.Time, found func(turn)) {
	differs := false
	for r := 0; r < len(scopes)*len(moments) && !differs; r++ {
		differs = c.rows[0][r][cell] != c.rows[1][r][cell]
	}
	if !differs {
		return
	}
	all := make([][]stretch, len(scopes))
	for n := range scopes {
		all[n] = c.stretches(cell, n*len(moments), moments)
	}
	for n, scope := range scopes {
		for _, s := range all[n] {
			if above[n] >= 0 && slices.Contains(all[above[n]], s) {
				continue
			}
			found(turn{
				cell: cell, scope: string(scope), except: excepted(s, n, scopes, above, all),
				was: s.was, is: s.is, from: s.from, until: s.until,
			})
		}
	}
}

// excepted lists the scopes below one in which a stretch of it does not hold. What
// lies below those is not looked at: where it holds there it is said again.
func excepted(s stretch, n int, scopes []access.Scope, above []int, all [][]stretch) string {
	covered := make([]bool, len(scopes))
	covered[n] = true
	var b strings.Builder
	for i := n + 1; i < len(scopes); i++ {
		if above[i] < 0 || !covered[above[i]] {
			continue
		}
		if slices.Contains(all[i], s) {
			covered[i] = true
			continue
		}
		b.WriteString("\x00" + string(scopes[i]))
	}
	return b.String()
}

// stretches gives the parts of time in which a cell differs, as long as possible.
func (c *comparison) stretches(cell, row int, moments []time.Time) []stretch {
	var all []stretch
	for t := range moments {
		was, is := c.rows[0][row+t][cell], c.rows[1][row+t][cell]
		at := int64(0)
		if t > 0 {
			at = moments[t].UnixMicro()
		}
		if n := len(all); n > 0 && all[n-1].until == 0 {
			if all[n-1].was == was && all[n-1].is == is {
				continue
			}
			all[n-1].until = at
		}
		if was != is {
			all = append(all, stretch{was: was, is: is, from: at})
		}
	}
	return all
}

// surveyed gives the scopes, each behind the one above it, and the moments at
// which what a class holds may differ.
func (c *comparison) surveyed(k *class) ([]access.Scope, []time.Time) {
	scopes, moments := map[access.Scope]bool{access.Everywhere: true}, map[time.Time]bool{}
	for i, s := range c.sides {
		s.survey(k.people[i], c.now, scopes, moments)
	}
	for _, scope := range c.moved {
		if c.matters(scope, scopes) {
			scopes[scope] = true
		}
	}
	var where []access.Scope
	depth := map[access.Scope]int{}
	for scope := range scopes {
		for _, s := range c.sides {
			if s.knows(scope) && depth[scope] == 0 {
				where, depth[scope] = append(where, scope), 1+len(c.path(scope))
			}
		}
	}
	slices.SortFunc(where, func(a, b access.Scope) int { return cmp.Or(cmp.Compare(depth[a], depth[b]), cmp.Compare(a, b)) })
	when := []time.Time{c.now}
	for t := range moments {
		when = append(when, t)
	}
	slices.SortFunc(when, time.Time.Compare)
	return where, slices.CompactFunc(when, time.Time.Equal)
}

// matters tells whether a scope that has moved lies in other scopes that are
// spoken of than before.
func (c *comparison) matters(scope access.Scope, spoken map[access.Scope]bool) bool {
	var paths [2][]access.Scope
	for i, s := range c.sides {
		for at := scope; at != "" && at != access.Everywhere; at = s.parents[at] {
			if spoken[at] {
				paths[i] = append(paths[i], at)
			}
		}
	}
	return !slices.Equal(paths[0], paths[1])
}

// parent gives the scope above another one as it is after, or was before.
func (c *comparison) parent(scope access.Scope) access.Scope {
	for _, s := range []*side{c.sides[1], c.sides[0]} {
		if above, there := s.parents[scope]; there {
			return above
		}
	}
	return access.Everywhere
}

// path lists the scopes above one, without "*".
func (c *comparison) path(scope access.Scope) []access.Scope {
	var all []access.Scope
	for at := scope; at != access.Everywhere && len(all) <= 2*access.MaxScopeDepth; at = c.parent(at) {
		all = append(all, at)
	}
	return all
}

// within gives the number of a scope on one side, or of the nearest above it that
// there is.
func (c *comparison) within(s *side, scope access.Scope) uint32 {
	for n := 0; scope != access.Everywhere && n <= 2*access.MaxScopeDepth; n++ {
		if s.knows(scope) {
			return s.scopes.id(scope)
		}
		scope = c.parent(scope)
	}
	return everywhere
}

// above gives for each scope the place of the nearest one above it, or -1.
func (c *comparison) above(scopes []access.Scope) []int {
	place := map[access.Scope]int{}
	for i, scope := range scopes {
		place[scope] = i
	}
	above := make([]int, len(scopes))
	for i, scope := range scopes {
		if above[i] = -1; scope == access.Everywhere {
			continue
		}
		for at := c.parent(scope); ; at = c.parent(at) {
			if p, there := place[at]; there {
				above[i] = p
				break
			}
		}
	}
	return above
}

// survey adds what somebody's links and rules name, wherever they lead.
func (s *side) survey(p person, now time.Time, scopes map[access.Scope]bool, moments map[time.Time]bool) {
	if p.subject == nil || p.account == nil {
		return
	}
	own := &survey{scopes: map[uint32]bool{}, moments: map[time.Time]bool{}}
	h := p.held()
	own.lines(&h, now, s.reads())
	reached := map[uint32]bool{}
	for _, l := range h.links {
		s.collect(l.to, now, reached, own)
	}
	for id := range own.scopes {
		scopes[s.scopes.name(id)] = true
	}
	for t := range own.moments {
		moments[t] = true
	}
}

// collect adds what a group or role and all it belongs to name.
func (s *side) collect(id uint32, now time.Time, reached map[uint32]bool, to *survey) {
	if id&stranger != 0 || reached[id] {
		return
	}
	reached[id] = true
	h := &s.holder(id).held
	seen := s.seen
	if s.only != nil {
		seen = s.only.seen[s.side]
	}
	mine := seen[id]
	if mine == nil {
		mine = &survey{scopes: map[uint32]bool{}, moments: map[time.Time]bool{}}
		mine.lines(h, now, s.reads())
		seen[id] = mine
	}
	for scope := range mine.scopes {
		to.scopes[scope] = true
	}
	for t := range mine.moments {
		to.moments[t] = true
	}
	for _, l := range h.links {
		s.collect(l.to, now, reached, to)
	}
}

// reads tells of each section whether its rules are looked at; nil: all are.
func (m *matrix) reads() []bool {
	if m.only == nil {
		return nil
	}
	return m.only.reads[m.side]
}

func (v *survey) lines(h *held, now time.Time, reads []bool) {
	for i, l := range h.links {
		v.scopes[l.scope] = true
		v.gate(h.timed(i), now)
	}
	for i := range h.rules {
		if reads != nil && !reads[h.rules[i].section] {
			continue
		}
		v.scopes[h.rules[i].scope] = true
		v.gate(h.gate(&h.rules[i]), now)
	}
}

func (v *survey) gate(g *gate, now time.Time) {
	if g == nil {
		return
	}
	for _, t := range []time.Time{g.validity.From, g.validity.Until} {
		if t.After(now) {
			v.moments[t.UTC()] = true
		}
	}
}

// sum counts to whom anything comes.
func (c *comparison) sum(t *tally, all *access.Consequences) {
	kinds := make([]map[access.Turn]bool, len(c.order))
	for what, came := range t.turns {
		for k := range came.each {
			if kinds[k] == nil {
				kinds[k] = map[access.Turn]bool{}
			}
			kinds[k][what.kind()] = true
		}
	}
	for i, k := range c.order {
		if kinds[i] == nil {
			continue
		}
		all.Users, all.Groups, all.Applications = all.Users+k.users, all.Groups+len(k.groups), all.Applications+len(k.apps)
		for kind, to := range map[access.Turn]*int{access.TurnGained: &all.Gaining, access.TurnLost: &all.Losing, access.TurnChanged: &all.Changing} {
			if kinds[i][kind] {
				*to += k.users
			}
		}
	}
	slices.Sort(all.SuperusersMade)
	slices.Sort(all.SuperusersLost)
}

func (t turn) kind() access.Turn {
	switch {
	case t.was == never:
		return access.TurnGained
	case t.is == never:
		return access.TurnLost
	}
	return access.TurnChanged
}

// write puts turns of the same section that come to the same holders together.
func (c *comparison) write(t *tally, names int, all *access.Consequences) {
	type like struct {
		turn // without its action: its cell is the section's first
		whom uint64
	}
	seed, at := maphash.MakeSeed(), map[like]int{}
	slices.SortFunc(t.order, func(a, b turn) int { return cmp.Compare(a.cell, b.cell) })
	for _, what := range t.order {
		section, verb := c.cells.at(what.cell)
		came := t.turns[what]
		var h maphash.Hash
		h.SetSeed(seed)
		_, _ = h.Write(came.classes)
		key := like{turn: what, whom: h.Sum64()}
		key.cell = section.first
		if i, there := at[key]; there {
			all.All[i].Actions = append(all.All[i].Actions, verb.action)
			continue
		}
		at[key] = len(all.All)
		all.All = append(all.All, c.consequence(what, section, verb, came, names))
	}
	slices.SortStableFunc(all.All, func(a, b access.Consequence) int {
		return cmp.Or(
			cmp.Compare(turnOrder[a.Turn], turnOrder[b.Turn]), cmp.Compare(a.Section, b.Section),
			cmp.Compare(a.Scope, b.Scope), a.From.Compare(b.From),
		)
	})
}

var turnOrder = map[access.Turn]int{access.TurnLost: 0, access.TurnGained: 1, access.TurnChanged: 2}

func (c *comparison) consequence(what turn, section *cellSection, verb *cellVerb, came *came, names int) access.Consequence {
	x := access.Consequence{
		Turn: what.kind(), Section: section.name, Actions: []access.Action{verb.action}, Scope: access.Scope(what.scope),
		Before: c.forms.of(what.was), After: c.forms.of(what.is), From: instant(what.from), Until: instant(what.until),
	}
	for _, scope := range strings.Split(what.except, "\x00")[1:] {
		x.Except = append(x.Except, access.Scope(scope))
	}
	for n := range came.each {
		k := c.order[n]
		x.Users, x.Groups = x.Users+k.users, x.Groups+len(k.groups)
		x.UserIDs, x.GroupCodes = append(x.UserIDs, k.names...), append(x.GroupCodes, k.groups...)
		x.Applications, x.Anonymous = append(x.Applications, k.apps...), x.Anonymous || k.visitor
		if len(x.UserIDs) > 2*names {
			x.UserIDs = first(x.UserIDs, names)
		}
	}
	x.UserIDs, x.GroupCodes = first(x.UserIDs, names), first(x.GroupCodes, names)
	slices.Sort(x.Applications)
	return x
}

// first gives the first of some names, in order.
func first(names []string, most int) []string {
	slices.Sort(names)
	return names[:min(len(names), most)]
}

func instant(micro int64) time.Time {
	if micro == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micro).UTC()
}
