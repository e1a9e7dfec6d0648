package plan

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// index finds the rules that a question can be about. For each branch of the
// matcher it has a table from hashes of rule fields to rules. What it finds is
// looked at as closely as any rule, so rules too many do no harm; rules too few
// would, and conjunct.go says why none of these is missing.
type index struct {
	tables []table
}

// table is the index of one branch.
type table struct {
	gates   []term // those that no rule has a say in: if one is false, no rule matches
	lookups []lookup
	starts  []uint32 // of each bucket in rows
	rows    []uint32 // bucket by bucket, in policy order
}

// lookup says which values of a rule's field let a conjunct be true.
type lookup struct {
	field    int
	function string // the field is a pattern of this function; "" if it is a value
	sources  []supply
	lengths  []int // of the anchors of patterns among the rules, shortest first
}

// supply gives values for a lookup: a text of the question or of the matcher, or
// everything that somebody is, or for patterns whatever matches a text.
type supply struct {
	text    operand
	links   *linkedTo
	pattern bool
}

// lookupOf finds what a term asks of a rule, if it is that some field has one of
// a few values.
func lookupOf(t term) (lookup, bool) {
	switch t := t.(type) {
	case equalField:
		return lookup{field: t.rule, sources: []supply{{text: operand{kind: ofRequest, field: t.request}}}}, !t.negated
	case equal:
		return literalLookup(t)
	case *linkedTo:
		return lookup{field: t.role.field, sources: []supply{{links: t}}}, t.role.kind == ofRule && t.fixed() && t.roles.roleFunction == ""
	case *matches:
		return lookup{field: t.with.field, function: t.function, sources: []supply{{text: t.text, pattern: true}}}, t.with.kind == ofRule && t.text.kind != ofRule
	case some:
		return anyLookup(t)
	}
	return lookup{}, false
}

// literalLookup is for comparisons such as p.sub == "*".
func literalLookup(t equal) (lookup, bool) {
	if t.a.kind == literal {
		t.a, t.b = t.b, t.a
	}
	return lookup{field: t.a.field, sources: []supply{{text: t.b}}}, !t.negated && t.a.kind == ofRule && t.b.kind == literal
}

// anyLookup joins alternatives that are all about one field.
func anyLookup(terms some) (lookup, bool) {
	var joined lookup
	for i, t := range terms {
		l, ok := lookupOf(t)
		if !ok || (i > 0 && l.field != joined.field) || (joined.function != "" && l.function != "" && l.function != joined.function) {
			return lookup{}, false
		}
		joined.field = l.field
		joined.function = max(joined.function, l.function)
		joined.sources = append(joined.sources, l.sources...)
	}
	return joined, len(terms) > 0
}

const mixer = 0x9e3779b97f4a7c15

// mix makes one hash of two.
func mix(h, v uint64) uint64 {
	high, low := bits.Mul64(h^v^mixer, mixer^(v<<1))
	return high ^ low
}

// key is the hash of a rule's field for a lookup.
func (l *lookup) key(n *names, id uint32) uint64 {
	if l.function == "" {
		return mix(1, uint64(id))
	}
	prefix, exact := anchor(l.function, n.text(id))
	return textKey(n, prefix, exact)
}

func textKey(n *names, text string, exact bool) uint64 {
	h := maphash.String(n.seed, text)
	if exact {
		return mix(2, h)
	}
	return mix(3, h)
}

// keys gives the hashes that a question looks for, each once.
func (l *lookup) keys(q *question, keys []uint64) []uint64 {
	n := q.set.world.names
	for _, s := range l.sources {
		switch {
		case s.links != nil:
			for _, id := range q.reach(s.links).list {
				keys = append(keys, l.key(n, id))
			}
		case s.pattern:
			keys = l.anchors(n, s.text.string(q, nil), keys)
		default:
			if id := s.text.id(q, nil); id != unknown {
				keys = append(keys, l.key(n, id))
			}
		}
	}
	if len(l.sources) > 1 {
		slices.Sort(keys)
		keys = slices.Compact(keys)
	}
	return keys
}

// anchors gives the hashes of all patterns that could match a text.
func (l *lookup) anchors(n *names, text string, keys []uint64) []uint64 {
	keys = append(keys, textKey(n, text, true))
	for _, length := range l.lengths {
		if length > len(text) {
			break
		}
		keys = append(keys, textKey(n, text[:length], false))
	}
	return keys
}

// measure finds which lengths the anchors of the rules have.
func (l *lookup) measure(n *names, p *policy) {
	if l.function == "" {
		return
	}
	seen := map[int]bool{}
	for i := range p.len() {
		if prefix, exact := anchor(l.function, n.text(p.row(i)[l.field])); !exact && !seen[len(prefix)] {
			seen[len(prefix)] = true
			l.lengths = append(l.lengths, len(prefix))
		}
	}
	slices.Sort(l.lengths)
}

// Beyond manyRows rules in a bucket it pays to look for patterns too, for which
// there are several places to look.
const manyRows = 32

// newTable makes the index of a branch; ok is false if nothing about the branch
// narrows down the rules.
func newTable(n *names, p *policy, b branch) (t table, ok bool) {
	var patterns []lookup
	for _, c := range b.prefix {
		if !readsRule(c) {
			t.gates = append(t.gates, c)
			continue
		}
		l, ok := lookupOf(c)
		switch {
		case !ok:
		case l.function == "":
			t.lookups = append(t.lookups, l)
		default:
			patterns = append(patterns, l)
		}
	}
	t.build(n, p)
	for _, l := range patterns {
		before := t.crowd()
		if len(t.lookups) > 0 && before <= manyRows {
			break
		}
		wider := table{gates: t.gates, lookups: append(slices.Clip(t.lookups), l)}
		last := &wider.lookups[len(wider.lookups)-1]
		last.measure(n, p)
		wider.build(n, p)
		if 2*wider.crowd() <= before {
			t = wider
		}
	}
	return t, len(t.lookups)+len(t.gates) > 0
}

// build puts the rules into buckets.
func (t *table) build(n *names, p *policy) {
	t.starts, t.rows = nil, nil
	if len(t.lookups) == 0 {
		return
	}
	buckets := p.len()/2 + 1
	t.starts = make([]uint32, buckets+1)
	hashes := make([]uint32, p.len())
	for i := range hashes {
		h := uint64(0)
		for j := range t.lookups {
			h = mix(h, t.lookups[j].key(n, p.row(i)[t.lookups[j].field]))
		}
		hashes[i] = t.bucket(h)
		t.starts[hashes[i]+1]++
	}
	for i := range buckets {
		t.starts[i+1] += t.starts[i]
	}
	t.rows = make([]uint32, p.len())
	next := slices.Clone(t.starts)
	for i, h := range hashes {
		t.rows[next[h]] = uint32(i)
		next[h]++
	}
}

// bucket is where the rules of a hash are.
func (t *table) bucket(h uint64) uint32 {
	high, _ := bits.Mul64(h, uint64(len(t.starts)-1)) //nolint:gosec // there is one more start than buckets
	return uint32(high)                               //nolint:gosec // there are fewer than 2^32 rules
}

// crowd is how many rules share a bucket with a rule, on average.
func (t *table) crowd() float64 {
	if len(t.rows) == 0 {
		return 1e9
	}
	sum := 0.0
	for i := range len(t.starts) - 1 {
		n := float64(t.starts[i+1] - t.starts[i])
		sum += n * n
	}
	return sum / float64(len(t.rows))
}

// candidates gives the rules that must be looked at, in policy order; few is
// false if it is all of them.
func (x *index) candidates(q *question) (rows []uint32, few bool) {
	if x == nil {
		return nil, false
	}
	q.rows = q.rows[:0]
	for i := range x.tables {
		if t := &x.tables[i]; t.open(q) && !t.find(q) {
			return nil, false
		}
	}
	if !slices.IsSorted(q.rows) && !switches.unsorted {
		slices.Sort(q.rows)
	}
	return slices.Compact(q.rows), true
}

func (t *table) open(q *question) bool {
	for _, gate := range t.gates {
		if !gate.holds(q, nil) {
			return false
		}
	}
	return true
}

// find adds the rules under all combinations of the values that are looked for.
// It is false where that would be more work than to look at every rule.
func (t *table) find(q *question) bool {
	if len(t.lookups) == 0 {
		return false
	}
	q.hashes = append(q.hashes[:0], 0)
	for i := range t.lookups {
		q.keys = t.lookups[i].keys(q, q.keys[:0])
		if len(q.hashes)*len(q.keys) > max(1024, len(t.rows)) {
			return false
		}
		q.combine()
	}
	for _, h := range q.hashes {
		bucket := t.bucket(h)
		q.rows = append(q.rows, t.rows[t.starts[bucket]:t.starts[bucket+1]]...)
	}
	return true
}

// combine makes a hash of every hash so far with every key.
func (q *question) combine() {
	if len(q.keys) == 1 {
		for i, h := range q.hashes {
			q.hashes[i] = mix(h, q.keys[0])
		}
		return
	}
	q.spare = q.spare[:0]
	for _, h := range q.hashes {
		for _, k := range q.keys {
			q.spare = append(q.spare, mix(h, k))
		}
	}
	q.hashes, q.spare = q.spare, q.hashes
}
