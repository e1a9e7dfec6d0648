package engine

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// table is what one subject may do in one scope: what it holds by way of links
// and, once it was asked about again, all rules that can decide, by section. It
// holds for one state of policy and subject, and as long as no link begins or
// ceases to hold.
type table struct {
	subject *subject
	scope   uint32
	shape   uint64 // of the policy
	stripe  access.Stripe
	changed uint64 // shape of the stripe
	closure
	reached []uint32 // numbers of what is held, the subject's own lines first as 0

	complete bool
	sections []uint32 // in order
	starts   []uint32 // by section: where its effects begin; one more for the end
	effects  []effect // of each section by place
	named    atomic.Int32
}

// closure is what following links gives, and for how long.
type closure struct {
	templates    bool      // all groups of the subject are templates
	super        bool      // the superuser's role is held everywhere
	exempt       bool      // it is held in this scope: denials do not count
	timed        bool      // some link is limited in time
	from         time.Time // when links were looked at
	untilGroups  time.Time // the next moment at which templates may change; zero: never
	untilSuper   time.Time // likewise for super
	untilReached time.Time // likewise for all else
}

// at tells whether the same links hold at the moment now.
func (c *closure) at(now time.Time) bool {
	if !c.timed {
		return true
	}
	ends := access.Sooner(access.Sooner(c.untilGroups, c.untilSuper), c.untilReached)
	return !now.Before(c.from) && (ends.IsZero() || now.Before(ends))
}

// effect is a rule in a table.
type effect struct {
	place                 int64
	gate                  *gate
	line                  atomic.Pointer[access.Rule] // made when it first decides
	section, scope, owner uint32
	act                   act
	nth                   uint32 // which of the owner's rules it is
}

// weight counts what was written out so far twice over, see table.write.
func (t *table) weight() int {
	h := t.subject.held()
	return 400 + h.weight() + 4*len(t.reached) + 4*(len(t.sections)+len(t.starts)) + 64*len(t.effects) + 2*lineWeight*int(t.named.Load())
}

const lineWeight = 320

// table finds what is known of a subject in a scope, if it holds.
func (s *Snapshot) table(who access.Subject, scope uint32, now time.Time) *table {
	e, ok := s.memory.cache.GetIfPresent(s.key(who, scope))
	if !ok {
		return nil
	}
	t, ok := e.(*table)
	if !ok || !t.holds(s) || !t.about(who, scope) || !t.at(now) {
		return nil
	}
	return t
}

func (t *table) about(who access.Subject, scope uint32) bool {
	return t.scope == scope && t.subject.name[0] == byte(who.Kind) && t.subject.name[2:] == who.ID
}

// holds tells whether neither the policy nor the subject has changed.
func (t *table) holds(s *Snapshot) bool {
	return t.shape == s.shape && t.changed == s.stripeOf(t.stripe).shape
}

func (s *Snapshot) stripeOf(at access.Stripe) stripe {
	if found := s.stripes.at(uint32(at)); found != nil {
		return *found
	}
	return stripe{}
}

// remember keeps what the subject holds. Only the next question about it makes a
// complete table: most who are asked about once are not asked about again.
func (sc *scratch) remember() *table {
	stripe := access.StripeOf(sc.person.subject().ID)
	t := &table{
		subject: sc.person, scope: sc.scope, shape: sc.shape, stripe: stripe, changed: sc.stripeOf(stripe).shape,
		closure: sc.closure, reached: make([]uint32, 0, len(sc.nodes)),
	}
	for _, n := range sc.nodes {
		if n.name&stranger == 0 {
			t.reached = append(t.reached, n.name)
		}
	}
	sc.keep(t)
	return t
}

func (sc *scratch) keep(t *table) {
	sc.memory.cache.Set(sc.key(t.subject.subject(), t.scope), t)
}

// fill gives the complete table.
func (sc *scratch) fill(t *table) *table {
	full := &table{
		subject: t.subject, scope: t.scope, shape: t.shape, stripe: t.stripe, changed: t.changed,
		closure: t.closure, reached: t.reached, complete: true,
	}
	for _, owner := range t.reached {
		sc.gather(owner, t)
	}
	slices.SortFunc(sc.order, func(a, b sortKey) int {
		return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.place, b.place))
	})
	full.take(sc.gathered, sc.order)
	clear(sc.gathered)
	sc.gathered, sc.order = sc.gathered[:0], sc.order[:0]
	sc.keep(full)
	return full
}

// gather collects the rules of one owner that can ever decide in the scope.
func (sc *scratch) gather(owner uint32, t *table) {
	h := sc.linesOf(owner)
	idle := t.exempt || sc.combining == access.AllowOverrides // whatever denies
	rules := h.rules
	for i := range rules {
		r := &rules[i]
		if onPath(sc.path, r.scope) && (!idle || !r.act.denies()) {
			sc.order = append(sc.order, sortKey{place: h.rest.places[i], section: r.section, at: number(len(sc.gathered))})
			sc.gathered = append(sc.gathered, spot{place: h.rest.places[i], act: r.act, gate: h.gate(r), held: h, owner: owner, nth: number(i)})
		}
	}
}

// sortKey is by what effects are sorted, and which rule it stands for.
type sortKey struct {
	place       int64
	section, at uint32
}

// take makes the effects of rules in the order of the keys, leaving out those
// that others in front of them make idle.
func (t *table) take(spots []spot, order []sortKey) {
	kept := order[:0]
	var seen [2]idle // by effect
	for _, k := range order {
		s := &spots[k.at]
		r := s.rule()
		if len(t.sections) == 0 || t.sections[len(t.sections)-1] != r.section {
			t.sections, t.starts = append(t.sections, r.section), append(t.starts, number(len(kept)))
			seen = [2]idle{}
		}
		by := &seen[0]
		if r.act.denies() {
			by = &seen[1]
		}
		if !by.covers(s) {
			kept = append(kept, k)
		}
	}
	t.starts = append(t.starts, number(len(kept)))
	t.sections, t.starts = slices.Clip(t.sections), slices.Clip(t.starts)
	t.effects = make([]effect, len(kept))
	for i, k := range kept {
		s, e := &spots[k.at], &t.effects[i]
		r := s.rule()
		e.place, e.gate, e.act, e.owner, e.nth = s.place, s.gate, s.act, s.owner, s.nth
		e.section, e.scope = r.section, r.scope
	}
}

// idle is what rules of one section and effect, read by place, make those behind
// them unable to decide.
type idle struct {
	here, below access.Rights // in the section itself, and in those below it
	actions     []act         // declared actions, likewise
}

// covers tells whether a rule can never decide, and takes note of it.
func (i *idle) covers(s *spot) bool {
	rights := s.act.rights() &^ access.Inherit
	handed := s.act.rights()&access.Inherit != 0
	if s.act.action() != 0 || s.act&anyAction != 0 {
		return i.coversAction(s)
	}
	if rights&^i.here == 0 && (!handed || rights&^i.below == 0) {
		return true
	}
	if s.gate == nil {
		i.here |= rights
		if handed {
			i.below |= rights
		}
	}
	return false
}

func (i *idle) coversAction(s *spot) bool {
	if slices.Contains(i.actions, s.act) {
		return true
	}
	if s.gate == nil {
		i.actions = append(i.actions, s.act)
	}
	return false
}

// in gives the effects on one section.
func (t *table) in(section uint32) []effect {
	i, found := slices.BinarySearch(t.sections, section)
	if !found {
		return nil
	}
	return t.effects[t.starts[i]:t.starts[i+1]]
}

// look collects the effects that match a question.
func (q *question) look(t *table) {
	for _, section := range q.sectionChain.of(q.section) {
		run := t.in(section)
		for i := range run {
			if e := &run[i]; q.covers(section, e.act) {
				q.spots = append(q.spots, spot{place: e.place, act: e.act, gate: e.gate, effect: e})
			}
		}
	}
}

// write gives the line of an effect, which is written out once.
func (sc *scratch) write(t *table, e *effect) *access.Rule {
	if r := e.line.Load(); r != nil {
		return r
	}
	line := sc.ruleOf(e.owner, sc.linesOf(e.owner), int(e.nth))
	if !e.line.CompareAndSwap(nil, &line) {
		return e.line.Load()
	}
	if n := t.named.Add(1); n&(n-1) == 0 { // a power of two: let the cache weigh it again
		sc.keep(t)
	}
	return &line
}
