package engine

import (
	"cmp"
	"slices"
	"sort"

	"github.com/bailiwick/bailiwick/internal/access"
)

// longRun is the length from which a grantee's rules are searched by halving
// instead of being read one by one.
const longRun = 64

// spot is a rule that matches a question, in a run or in a table.
type spot struct {
	place      int64
	act        act
	owner, nth uint32 // whose rule it is, and which of his
	gate       *gate
	held       *held   // of the owner; nil where effect is set
	effect     *effect // where it came from a table
}

func (s *spot) rule() *rule { return &s.held.rules[s.nth] }

// Verdict is the answer of the built-in Casbin model: with deny-overrides the
// first deny that matches in policy order, else the first allow; with
// allow-overrides the first allow.
func (q *question) Verdict() access.Verdict {
	q.close()
	q.until = access.Sooner(q.until, q.untilReached)
	q.match()
	won := q.settle()
	switch {
	case won == nil && q.supposes():
		return access.Verdict{Allowed: true, Reason: access.ReasonGrantedBy}
	case won == nil:
		q.lack = q
		return access.Verdict{Reason: access.ReasonNoGrant}
	case won.act.denies():
		return access.Verdict{Reason: access.ReasonDeniedBy, Rule: q.line(won)}
	}
	return access.Verdict{Allowed: true, Reason: access.ReasonGrantedBy, Rule: q.line(won)}
}

// match collects the rules that match but for what they hang upon: from a table
// if there is one, else from the runs of all that the subject holds.
func (q *question) match() {
	clear(q.spots)
	q.spots = q.spots[:0]
	if t := q.table; t != nil {
		if !t.complete {
			q.table = q.fill(t)
		}
		q.look(q.table)
		return
	}
	if !q.quiet {
		t := q.remember()
		if q.many {
			q.table = q.fill(t)
			q.look(q.table)
			return
		}
	}
	q.touch()
	for i := range q.nodes {
		q.scan(q.nodes[i].name)
	}
}

// touch reads a little of every run before any is read in full, so that the
// processor waits for memory once and not for one run after the other: at a
// million rules that takes a third off the time.
func (q *question) touch() {
	var sum uint32
	for i := range q.nodes {
		rules := q.linesOf(q.nodes[i].name).rules
		for j := 0; j < len(rules); j += 4 { // four to a line of cache
			sum += rules[j].scope
		}
	}
	q.touched = sum
}

// scan collects the rules of one owner.
func (q *question) scan(owner uint32) {
	h := q.linesOf(owner)
	rules, chain := h.rules, q.sectionChain.of(q.section)
	if len(rules) <= longRun {
		for i := range rules {
			r := &rules[i]
			if q.covers(r.section, r.act) && slices.Contains(chain, r.section) && onPath(q.path, r.scope) {
				q.spot(h, owner, i)
			}
		}
		return
	}
	for _, scope := range q.path {
		from, to := within(rules, scope, func(r *rule) uint32 { return r.scope })
		for _, section := range chain {
			first, last := within(rules[from:to], section, func(r *rule) uint32 { return r.section })
			for i := from + first; i < from+last; i++ {
				if q.covers(section, rules[i].act) {
					q.spot(h, owner, i)
				}
			}
		}
	}
}

func (sc *scratch) spot(h *held, owner uint32, i int) {
	r := &h.rules[i]
	if r.act.denies() && sc.exempt {
		return
	}
	sc.spots = append(sc.spots, spot{place: h.rest.places[i], act: r.act, owner: owner, nth: number(i), gate: h.gate(r), held: h})
}

// within tells which part of sorted rules has this key.
func within(rules []rule, key uint32, of func(*rule) uint32) (from, to int) {
	from = sort.Search(len(rules), func(i int) bool { return of(&rules[i]) >= key })
	to = from + sort.Search(len(rules)-from, func(i int) bool { return of(&rules[from+i]) > key })
	return from, to
}

// linesOf gives what an owner holds, 0 being the subject itself.
func (sc *scratch) linesOf(owner uint32) *held {
	if owner == 0 {
		return &sc.own
	}
	return &sc.holder(owner).held
}

// covers tells whether a rule's action is the one asked about, and whether a
// rule on a section above is handed down.
func (q *question) covers(section uint32, a act) bool {
	if q.right != 0 && a&act(q.right) == 0 {
		return false
	}
	if section != q.section && a.rights()&access.Inherit == 0 {
		return false
	}
	return q.right != 0 || a&anyAction != 0 || q.named != 0 && a.action() == q.named
}

// settle finds the rule that decides, or nil. Rules that hang upon something are
// looked at by place, denials first, and only as long as they could decide: so
// conditions are evaluated and moments are noted alike, however rules were found.
func (q *question) settle() *spot {
	denied, allowed, hanging := q.certain()
	if !hanging {
		return cmp.Or(denied, allowed)
	}
	if denials := q.combining == access.DenyOverrides; denials {
		denied = q.first(true, denied)
	}
	if denied != nil {
		return denied
	}
	return q.first(false, allowed)
}

// certain finds the first denial and the first permission among the rules that
// always hold, and tells whether there are others. Then it leaves spots by place.
func (q *question) certain() (denied, allowed *spot, hanging bool) {
	hanging = slices.ContainsFunc(q.spots, func(s spot) bool { return s.gate != nil })
	if hanging {
		slices.SortFunc(q.spots, func(a, b spot) int { return cmp.Compare(a.place, b.place) })
	}
	for i := range q.spots {
		s := &q.spots[i]
		switch {
		case s.gate != nil:
		case !s.act.denies():
			allowed = sooner(allowed, s)
		case q.combining == access.DenyOverrides:
			denied = sooner(denied, s)
		}
	}
	return denied, allowed, hanging
}

func sooner(a, b *spot) *spot {
	if a == nil || b.place < a.place {
		return b
	}
	return a
}

// first finds the first rule of an effect that stands, up to one that is certain to.
func (q *question) first(denies bool, certain *spot) *spot {
	for i := range q.spots {
		s := &q.spots[i]
		if certain != nil && s.place >= certain.place {
			break
		}
		if s.gate != nil && s.act.denies() == denies && q.stands(s) {
			return s
		}
	}
	return certain
}

// stands tells whether a rule holds now and its condition does too. A condition
// that cannot be evaluated lets an allow fail and a deny stand.
func (q *question) stands(s *spot) bool {
	if s.gate == nil {
		return true
	}
	v := &s.gate.validity
	q.until = access.Sooner(q.until, v.Next(q.now))
	if !v.At(q.now) {
		return false
	}
	c := s.gate.condition
	if c == nil {
		return true
	}
	if c.readsNow {
		q.until = q.now
	}
	held, err := c.Holds(q.variables())
	if err != nil {
		q.failures.Add(1)
		return s.act.denies()
	}
	return held
}

// line writes the deciding rule out. Nobody reads those of prerequisites and of
// searches.
func (q *question) line(s *spot) *access.Rule {
	switch {
	case q.depth > 0 || q.quiet && !q.explaining:
		return nil
	case s.effect != nil:
		return q.write(q.table, s.effect)
	}
	r := q.ruleOf(s.owner, s.held, int(s.nth))
	return &r
}
