package engine

import (
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// maxLinks is how far inheritance is followed.
const maxLinks = access.MaxInheritance

// close finds out what the subject holds everywhere and in the scope of the
// question, unless it is known.
func (sc *scratch) close() {
	if sc.closed {
		return
	}
	if !sc.grouped {
		sc.group()
	}
	sc.closed = true
	sc.super = sc.follow(sc.scopeChain.of(everywhere), &sc.untilSuper)
	if sc.scope == everywhere {
		sc.exempt, sc.untilReached = sc.super, sc.untilSuper
		return
	}
	sc.exempt = sc.follow(sc.path, &sc.untilReached)
}

// follow fills nodes with everything that links on the path lead to from the
// subject, nearest first, over at most as many links as stock Casbin follows.
// It tells whether the superuser's role is among them.
func (sc *scratch) follow(path []uint32, until *time.Time) bool {
	sc.newMark()
	sc.nodes = append(sc.nodes[:0], node{from: -1})
	super, at := false, 0
	for range maxLinks {
		end := len(sc.nodes)
		for ; at < end; at++ {
			super = sc.step(at, path, until) || super
		}
		if len(sc.nodes) == end {
			break
		}
	}
	return super
}

// newMark makes all marks of before void.
func (sc *scratch) newMark() {
	if missing := int(sc.names.len()) - len(sc.marks); missing > 0 {
		sc.marks = append(sc.marks, make([]uint32, missing)...)
	}
	sc.mark++
	if sc.mark == 0 { // wrapped around: old marks could be taken for new ones
		clear(sc.marks)
		sc.mark = 1
	}
}

func (sc *scratch) step(from int, path []uint32, until *time.Time) (super bool) {
	h := sc.linesOf(sc.nodes[from].name)
	for i := range h.links {
		l := &h.links[i]
		if sc.met(l.to) || !onPath(path, l.scope) || !sc.holds(h.timed(i), until) {
			continue
		}
		sc.nodes = append(sc.nodes, node{name: l.to, from: from, link: i})
		if l.to&stranger == 0 {
			sc.marks[l.to] = sc.mark
		}
		super = super || l.to == sc.superuser
	}
	return super
}

// met tells whether a name is among the nodes already. Only the subject's own
// links lead to strangers.
func (sc *scratch) met(name uint32) bool {
	if name&stranger == 0 {
		return sc.marks[name] == sc.mark
	}
	called := sc.nameOf(name)
	return slices.ContainsFunc(sc.nodes, func(n node) bool { return n.name&stranger != 0 && sc.nameOf(n.name) == called })
}

func onPath(path []uint32, scope uint32) bool { return slices.Contains(path, scope) }

// nameOf gives the name of a node, as in rules.
func (sc *scratch) nameOf(id uint32) string {
	switch {
	case id == 0:
		return sc.person.name
	case id&stranger != 0:
		return sc.own.extras().strangers[id&^stranger]
	}
	return sc.names.name(id)
}

// pathTo gives the shortest chain of links from the subject to a node.
func (sc *scratch) pathTo(name uint32) []access.Rule {
	var path []access.Rule
	at := slices.IndexFunc(sc.nodes, func(n node) bool { return n.name == name })
	for ; at > 0; at = sc.nodes[at].from {
		n := sc.nodes[at]
		owner := sc.nodes[n.from].name
		path = append(path, sc.linkOf(owner, sc.linesOf(owner), n.link))
	}
	slices.Reverse(path)
	return path
}

// ruleOf writes a p line out as it was.
func (sc *scratch) ruleOf(owner uint32, h *held, i int) access.Rule {
	r := &h.rules[i]
	line := access.Rule{Type: "p", Place: sc.placeOf(h.rest.places[i]), Origin: h.extras().ofRules.get(i)}
	effect, condition := string(access.Allow), access.NoCondition
	if r.act.denies() {
		effect = string(access.Deny)
	}
	if g := h.gate(r); g != nil {
		condition, line.Validity = g.id, g.validity
	}
	what := access.RuleAct{Rights: r.act.rights(), All: r.act&anyAction != 0}
	if r.act.action() != 0 {
		what.Name = sc.actions.name(r.act.action())
	}
	line.Values = []string{
		sc.nameOf(owner), string(sc.scopes.name(r.scope)), string(sc.sections.name(r.section)), what.String(), effect, condition,
	}
	return line
}

// linkOf writes a g line out as it was.
func (sc *scratch) linkOf(owner uint32, h *held, i int) access.Rule {
	l := &h.links[i]
	line := access.Rule{Type: "g", Place: sc.placeOf(l.place), Origin: h.extras().ofLinks.get(i)}
	if g := h.timed(i); g != nil {
		line.Validity = g.validity
	}
	line.Values = []string{sc.nameOf(owner), sc.nameOf(l.to), string(sc.scopes.name(l.scope))}
	return line
}

// placeOf gives the place that a line was given.
func (s *Snapshot) placeOf(place int64) int64 {
	if s.placed {
		return place
	}
	return 0
}
