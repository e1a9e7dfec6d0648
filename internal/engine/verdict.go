package engine

import (
	"slices"
	"sort"

	"github.com/bailiwick/bailiwick/internal/access"
)

// longRun is the length from which a grantee's rules are searched by halving
// instead of being read one by one.
const longRun = 64

// best holds the places of the rules that decide, or none.
type best struct {
	allow, deny uint32
}

const none = ^uint32(0)

// Verdict is the answer of the built-in Casbin model: with deny-overrides the
// first deny that matches in policy order, else the first allow; with
// allow-overrides the first allow.
func (q *question) Verdict() access.Verdict {
	if !q.closed {
		q.exempt = q.close(q.path)
		q.closed = true
	}
	b := best{allow: none, deny: none}
	for i := range q.nodes {
		q.grantee(q.nodes[i].name, &b)
	}
	switch {
	case b.deny != none:
		return access.Verdict{Reason: access.ReasonDeniedBy, Rule: &q.lines[b.deny]}
	case b.allow != none:
		return access.Verdict{Allowed: true, Reason: access.ReasonGrantedBy, Rule: &q.lines[b.allow]}
	case q.supposes():
		return access.Verdict{Allowed: true, Reason: access.ReasonGrantedBy}
	}
	q.lack = q
	return access.Verdict{Reason: access.ReasonNoGrant}
}

// close fills nodes with everything that links on the path lead to from the
// subject, nearest first, over at most as many links as stock Casbin follows.
// It tells whether the superuser's role is among them.
func (sc *scratch) close(path []uint32) bool {
	sc.mark++
	if sc.mark == 0 { // wrapped around: old marks could be taken for new ones
		clear(sc.marks)
		sc.mark = 1
	}
	sc.nodes = append(sc.nodes[:0], node{name: sc.subject, from: -1})
	super := false
	level := 0
	for range maxLinks {
		end := len(sc.nodes)
		for ; level < end; level++ {
			super = sc.follow(level, path) || super
		}
		if len(sc.nodes) == end {
			break
		}
	}
	return super
}

// maxLinks is how far inheritance is followed.
const maxLinks = access.MaxInheritance

func (sc *scratch) follow(from int, path []uint32) (super bool) {
	links := sc.links.of(sc.nodes[from].name)
	for i := range links {
		l := &links[i]
		if sc.marks[l.to] == sc.mark || !onPath(path, l.scope) || !sc.holds(l.validity) {
			continue
		}
		sc.marks[l.to] = sc.mark
		sc.nodes = append(sc.nodes, node{name: l.to, via: l, from: from})
		super = super || l.to == sc.superuser
	}
	return super
}

func onPath(path []uint32, scope uint32) bool { return slices.Contains(path, scope) }

// grantee considers those rules of one grantee that can match.
func (q *question) grantee(name uint32, b *best) {
	run := q.rules.of(name)
	chain := q.sectionChain.of(q.section)
	if len(run) <= longRun {
		for i := range run {
			r := &run[i]
			if onPath(q.path, r.scope) && slices.Contains(chain, r.section) {
				q.consider(r, b)
			}
		}
		return
	}
	for _, scope := range q.path {
		inScope := find(run, scope, func(r *rule) uint32 { return r.scope })
		for _, section := range chain {
			if len(inScope) == 0 {
				break
			}
			in := find(inScope, section, func(r *rule) uint32 { return r.section })
			for i := range in {
				q.consider(&in[i], b)
			}
		}
	}
}

// find gives the part of sorted rules that has this key.
func find(run []rule, key uint32, of func(*rule) uint32) []rule {
	from := sort.Search(len(run), func(i int) bool { return of(&run[i]) >= key })
	run = run[from:]
	to := sort.Search(len(run), func(i int) bool { return of(&run[i]) > key })
	return run[:to]
}

// consider takes up a rule whose grantee, scope and section chain fit. A rule
// that could not decide any more is left out, so its condition costs nothing.
func (q *question) consider(r *rule, b *best) {
	if !q.covers(r) || !q.holds(r.validity) || r.deny && q.exempt {
		return
	}
	if q.collect != nil {
		if q.conditionHolds(r) {
			*q.collect = append(*q.collect, r.line)
		}
		return
	}
	switch {
	case r.deny:
		if q.combining == access.DenyOverrides && r.line < b.deny && q.conditionHolds(r) {
			b.deny = r.line
		}
	case b.deny == none && r.line < b.allow && q.conditionHolds(r):
		b.allow = r.line
	}
}

// covers tells whether the rule's action is the one asked about, and whether a
// rule on a section above is handed down.
func (q *question) covers(r *rule) bool {
	if r.section != q.section && r.rights&access.Inherit == 0 {
		return false
	}
	if q.right != 0 {
		return r.rights&q.right != 0
	}
	return r.action == anyAction || r.action == q.named
}

// conditionHolds evaluates a rule's condition. One that cannot be evaluated
// lets an allow fail and a deny stand.
func (q *question) conditionHolds(r *rule) bool {
	if r.condition == 0 {
		return true
	}
	c := q.conditions[r.condition]
	if c.readsNow {
		q.until = q.now
	}
	held, err := c.Holds(q.variables())
	if err != nil {
		q.failures.Add(1)
		return r.deny
	}
	return held
}
