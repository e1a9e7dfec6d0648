package engine

import (
	"cmp"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// rule is a p line as decisions read it. Most are 16 bytes among many, so that
// what a question looks at lies close together.
type rule struct {
	scope, section uint32
	act            act
	gate           uint32 // 0: it always holds; else one more than its place in extras.gates
}

// act is what a rule is about: rights in the low six bits, two flags, and the
// number of a declared action above them.
type act uint32

const (
	denies    act = 1 << 6 // an allow without it
	anyAction act = 1 << 7 // the superuser's "*"
	actShift      = 8
)

func (a act) rights() access.Rights { return access.Rights(a & act(access.AllRights)) }
func (a act) denies() bool          { return a&denies != 0 }
func (a act) action() uint32        { return uint32(a >> actShift) }

// link is a g line as decisions read it.
type link struct {
	to, scope uint32
	place     int64
}

// gate is what an entry hangs upon besides its names.
type gate struct {
	id        string // of the condition, as in rules; blank for links
	condition *Condition
	validity  access.Validity
}

// held is what a name holds by its own lines.
type held struct {
	links []link // by place
	rules []rule // by scope, section and place
	rest  *rest  // nil where there are links only, and nothing is to be said of them
}

// rest is what is only looked at where a line decides or is in question.
type rest struct {
	places []int64 // of rules
	extras *extras // nil where all holds always and nothing was written in a file
}

// extras is what few names have. Lists are nil where nothing of the sort is there.
type extras struct {
	gates     []*gate
	timed     []uint32 // by link, as rule.gate
	ofRules   origins
	ofLinks   origins
	strangers []string // names that were unknown when these lines were read, see stranger
}

// stranger marks the number of a group or role about which nothing is known but
// that somebody belongs to it.
const stranger = 1 << 31

func (h *held) extras() *extras {
	if h.rest == nil || h.rest.extras == nil {
		return &noExtras
	}
	return h.rest.extras
}

var noExtras extras

// gate gives what a rule hangs upon, or nil.
func (h *held) gate(r *rule) *gate {
	if r.gate == 0 {
		return nil
	}
	return h.rest.extras.gates[r.gate-1]
}

// timed gives what a link hangs upon, or nil.
func (h *held) timed(i int) *gate {
	x := h.extras()
	if x.timed == nil || x.timed[i] == 0 {
		return nil
	}
	return x.gates[x.timed[i]-1]
}

// looseRule and looseLink are lines while those of one name are collected or
// changed.
type looseRule struct {
	rule
	place  int64
	gate   *gate
	origin access.Origin
}

type looseLink struct {
	link
	gate   *gate
	origin access.Origin
}

// loose is all lines of one name while they are collected or changed.
type loose struct {
	rules     []looseRule
	links     []looseLink
	strangers []string
}

func (l *loose) reset() { l.rules, l.links, l.strangers = l.rules[:0], l.links[:0], nil }

// take copies what a name holds, to be changed.
func (l *loose) take(h *held) {
	l.reset()
	x := h.extras()
	l.strangers = x.strangers
	for i, r := range h.rules {
		l.rules = append(l.rules, looseRule{rule: r, place: h.rest.places[i], gate: h.gate(&r), origin: x.ofRules.get(i)})
	}
	for i, k := range h.links {
		l.links = append(l.links, looseLink{link: k, gate: h.timed(i), origin: x.ofLinks.get(i)})
	}
}

// pack puts the lines into the form that decisions read.
func (l *loose) pack(room *room) held {
	slices.SortFunc(l.rules, func(a, b looseRule) int {
		return cmp.Or(cmp.Compare(a.scope, b.scope), cmp.Compare(a.section, b.section), cmp.Compare(a.place, b.place))
	})
	slices.SortFunc(l.links, func(a, b looseLink) int { return cmp.Compare(a.place, b.place) })
	x := l.extras()
	h := held{links: take(&room.links, len(l.links)), rules: take(&room.rules, len(l.rules))}
	for i := range l.links {
		h.links[i] = l.links[i].link
	}
	if len(l.rules) == 0 && x == nil {
		return h
	}
	h.rest = room.one()
	*h.rest = rest{places: take(&room.places, len(l.rules)), extras: x}
	for i := range l.rules {
		h.rules[i], h.rest.places[i] = l.rules[i].rule, l.rules[i].place
	}
	return h
}

// extras gathers what is seldom there, and numbers the gates.
func (l *loose) extras() *extras {
	x := extras{strangers: l.strangers}
	for i := range l.rules {
		e := &l.rules[i]
		e.rule.gate = x.gate(e.gate)
		x.ofRules.put(i, len(l.rules), e.origin)
	}
	for i := range l.links {
		e := &l.links[i]
		if e.gate != nil {
			if x.timed == nil {
				x.timed = make([]uint32, len(l.links))
			}
			x.timed[i] = x.gate(e.gate)
		}
		x.ofLinks.put(i, len(l.links), e.origin)
	}
	if x.gates == nil && x.ofRules.at == nil && x.ofLinks.at == nil && x.strangers == nil {
		return nil
	}
	return &x
}

func (x *extras) gate(g *gate) uint32 {
	if g == nil {
		return 0
	}
	i := slices.Index(x.gates, g)
	if i < 0 {
		i = len(x.gates)
		x.gates = append(x.gates, g)
	}
	return number(i + 1)
}

// room is where lines are packed. Compiling gives one for all names, so that
// nothing is lost between them; the zero room makes a new list for each.
type room struct {
	rules  []rule
	places []int64
	links  []link
	rest   []rest
	many   bool // make many of the last sort at once
}

func (r *room) one() *rest {
	if !r.many {
		return &rest{}
	}
	if len(r.rest) == 0 {
		r.rest = make([]rest, pageSize)
	}
	return &take(&r.rest, 1)[0]
}

// take cuts a list of n entries off, or makes one.
func take[T any](from *[]T, n int) []T {
	if n == 0 {
		return nil
	}
	if len(*from) < n {
		return make([]T, n)
	}
	list := (*from)[:n:n]
	*from = (*from)[n:]
	return list
}

// weight is how many bytes this takes, nearly.
func (h *held) weight() int {
	w := 16 * len(h.links)
	if h.rest == nil {
		return w
	}
	x := h.extras()
	return w + 32 + 24*len(h.rules) + 72*len(x.gates) + 4*len(x.timed) + 8*(len(x.ofRules.at)+len(x.ofLinks.at)) + 116*len(x.strangers)
}
