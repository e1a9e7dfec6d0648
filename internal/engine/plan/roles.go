package plan

import (
	"maps"
	"math"
	"slices"
	"time"
)

// maxEdges is how far stock Casbin follows links, in silence.
const maxEdges = 10

// word is a text with its number, unknown if no rule contains it.
type word struct {
	id   uint32
	text string
}

// roles is the graph of one role definition: who is a member of what, in which
// domain. It does not change after loading and keeps nothing about questions.
type roles struct {
	names    *names
	domained bool
	links    map[node][]edge // while loading
	runs     map[node]run    // afterwards: where in edges the links of a name are
	edges    []edge

	// Where a definition is simple, by number of the name, in place of all that.
	starts []uint32
	direct []uint32

	// With a domain matching function a domain has the links of others too.
	domainFunction string
	domains        map[uint32][]source // of each domain that has links, where they come from
	domainPatterns []uint32            // the domains that can match others

	// With a role matching function names are patterns.
	roleFunction string
	patterns     patterns
	since        map[node]uint32     // the first line that mentions a name
	groups       []uint32            // members that are patterns: whoever matches has their roles
	matches      map[uint32][]uint32 // of a role that is a pattern, the names that match

	// With conditions a link holds for a time.
	conditional bool
	spans       map[uint32]span // by line
}

type node struct{ domain, name uint32 }

// edge is one link, and the line that made it.
type edge struct{ role, line uint32 }

// run is a piece of a list.
type run struct{ start, length uint32 }

// of gives the links of a name in a domain.
func (m *roles) of(domain, name uint32) []edge {
	r := m.runs[node{domain, name}]
	return m.edges[r.start : r.start+r.length]
}

// simple tells whether links are nothing but pairs of names.
func (m *roles) simple() bool { return !m.domained && !m.conditional && m.roleFunction == "" }

// pack takes all links of a simple definition.
func (m *roles) pack(links rows) {
	if links.len() == 0 {
		return
	}
	m.starts, m.direct = make([]uint32, m.names.len()+2), make([]uint32, links.len())
	for i := range links.len() {
		m.starts[links.row(i)[0]+2]++
	}
	for i := 2; i < len(m.starts); i++ {
		m.starts[i] += m.starts[i-1]
	}
	for i := range links.len() {
		next := &m.starts[links.row(i)[0]+1]
		m.direct[*next] = links.row(i)[1]
		*next++
	}
}

// directly gives the roles of a name in a simple definition.
func (m *roles) directly(name uint32) []uint32 {
	if m.starts == nil {
		return nil
	}
	return m.direct[m.starts[name]:m.starts[name+1]]
}

// source is a domain whose links another one has: those of lines before limit.
type source struct{ domain, limit uint32 }

// undomained stands for the domain where there are none.
const undomained = unknown - 1

// add takes the link of one line. Lines must come in order.
func (m *roles) add(line uint32, row []uint32) {
	domain, member, role := undomained, row[0], row[1]
	if m.domained {
		domain = row[2]
	}
	if m.domains[domain] == nil {
		m.found(domain, line)
	}
	at := node{domain, member}
	if !m.conditional || !m.renew(at, role, line) {
		m.links[at] = append(m.links[at], edge{role, line})
	}
	if m.roleFunction != "" {
		m.mention(at, line)
		m.mention(node{domain, role}, line)
	}
}

// renew finds a link that is there already: the last line's condition holds.
// Without conditions two lines would be the same, and one has been dropped.
func (m *roles) renew(at node, role, line uint32) bool {
	i := slices.IndexFunc(m.links[at], func(e edge) bool { return e.role == role })
	if i >= 0 {
		m.links[at][i].line = line
	}
	return i >= 0
}

func (m *roles) mention(at node, line uint32) {
	if _, ok := m.since[at]; !ok {
		m.since[at] = line
	}
}

// found is called for the first link of a domain. Stock Casbin copies to it what
// the domains have by then whose patterns it matches, which can include copies;
// links that are added to them later come over too, copies do not.
func (m *roles) found(domain, line uint32) {
	m.domains[domain] = []source{{domain, math.MaxUint32}}
	if m.domainFunction == "" {
		return
	}
	text := m.names.text(domain)
	sources := m.domains[domain]
	for _, other := range m.domainPatterns {
		if m.domainMatches(text, other) {
			sources = join(sources, source{other, math.MaxUint32})
			for _, s := range m.domains[other] {
				sources = join(sources, source{s.domain, min(s.limit, line)})
			}
		}
	}
	m.domains[domain] = sources
	if single(m.domainFunction, text) {
		return
	}
	for other := range m.domains {
		if other != domain && m.domainMatches(m.names.text(other), domain) {
			m.domains[other] = join(m.domains[other], source{domain, math.MaxUint32})
		}
	}
	m.domainPatterns = append(m.domainPatterns, domain)
}

// join adds a source, or raises the limit of one that is there.
func join(sources []source, s source) []source {
	for i := range sources {
		if sources[i].domain == s.domain {
			sources[i].limit = max(sources[i].limit, s.limit)
			return sources
		}
	}
	return append(sources, s)
}

func (m *roles) domainMatches(text string, pattern uint32) bool {
	return m.matchNames(m.domainFunction, text, m.names.text(pattern))
}

// matchNames compares two names as Casbin's role manager does.
func (m *roles) matchNames(function, text, with string) bool {
	if text == with {
		return true
	}
	if function == "" || single(function, with) {
		return false
	}
	p := m.patterns[function][with]
	if p == nil {
		var err error
		if p, err = compile(function, with); err != nil && function != "globMatch" {
			panic(err) // as Casbin does; it comes out as an error
		} else if err != nil {
			return false
		}
	}
	return p(text)
}

// seal is called once all links are in. It packs them, which takes half the
// memory, and prepares what the role matching function needs.
func (m *roles) seal() {
	if m.roleFunction != "" {
		m.prepare()
	}
	m.runs = make(map[node]run, len(m.links))
	for at, edges := range m.links {
		m.runs[at] = run{uint32(len(m.edges)), uint32(len(edges))} //nolint:gosec // maxRules keeps it small
		m.edges = append(m.edges, edges...)
	}
	m.edges, m.links = slices.Clip(m.edges), nil
}

func (m *roles) prepare() {
	known, members, roles := map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}
	for at, edges := range m.links {
		known[at.name], members[at.name] = true, true
		for _, e := range edges {
			known[e.role], roles[e.role] = true, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if single(m.roleFunction, m.names.text(name)) {
			continue
		}
		if members[name] {
			m.groups = append(m.groups, name)
		}
		if roles[name] {
			m.matches[name] = m.matching(name, known)
		}
	}
}

func (m *roles) matching(pattern uint32, known map[uint32]bool) []uint32 {
	var found []uint32
	for name := range known {
		if name != pattern && m.matchNames(m.roleFunction, m.names.text(name), m.names.text(pattern)) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// sources gives where the links of a domain come from. Room is for those that
// must be computed; the others are shared and must not be written to.
func (m *roles) sources(domain word, room *[]source) []source {
	found := (*room)[:0]
	if !m.domained {
		found = append(found, source{undomained, math.MaxUint32})
	} else if known := m.domains[domain.id]; known != nil {
		return known
	}
	for _, pattern := range m.domainPatterns {
		if m.domainMatches(domain.text, pattern) {
			for _, s := range m.domains[pattern] {
				found = join(found, s)
			}
		}
	}
	*room = found
	return found
}

// reach collects a name and all roles it has, over at most ten links, where no
// role matching function is at work.
func (m *roles) reach(into *numbers, name uint32, from []source, now time.Time) {
	if name == unknown {
		return
	}
	into.add(name)
	start := 0
	for depth := 0; depth < maxEdges && start < into.len(); depth++ {
		end := into.len()
		for i := start; i < end; i++ {
			for _, role := range m.directly(into.at(i)) {
				into.add(role)
			}
			for _, s := range from {
				for _, e := range m.of(s.domain, into.at(i)) {
					if e.line < s.limit && m.holds(e, depth, now) {
						into.add(e.role)
					}
				}
			}
		}
		start = end
	}
}

// holds tells whether a link's condition is met. In a definition with domains
// stock Casbin heeds the conditions of the first link only.
func (m *roles) holds(e edge, depth int, now time.Time) bool {
	if m.spans == nil || (m.domained && depth > 0) {
		return true
	}
	return m.spans[e.line].holds(now)
}

// linked is HasLink of stock Casbin's role manager for all kinds of definitions.
// It panics where Casbin does: with a name that is no pattern, though names are
// patterns here.
func (m *roles) linked(q *question, member, role, domain word) bool {
	if member.text == role.text {
		return true
	}
	if m.roleFunction != "" {
		return m.linkedByPattern(member, role, m.sources(domain, &q.sources))
	}
	if member.id == unknown || role.id == unknown {
		return false
	}
	q.reached.clear()
	m.reach(&q.reached, member.id, m.sources(domain, &q.sources), q.now())
	return q.reached.has(role.id)
}

// linkedByPattern walks level by level, as Casbin does with a role matching
// function: from a name to its roles, to all names that match these, and to the
// roles of all patterns that the name matches.
func (m *roles) linkedByPattern(member, role word, from []source) bool {
	if m.matchNames(m.roleFunction, member.text, role.text) {
		return true
	}
	m.compareStrangers(member, role, from)
	strange := !m.present(role.id, from)
	seen := map[word]bool{member: true}
	level := []word{member}
	for depth := 0; depth <= maxEdges && len(level) > 0; depth++ {
		var next []word
		visit := func(w word) {
			if !seen[w] {
				seen[w] = true
				next = append(next, w)
			}
		}
		for _, w := range level {
			if m.matchNames(m.roleFunction, w.text, role.text) {
				return true
			}
			m.step(w, from, visit)
			if strange && m.stepsTo(w, role.text, from) {
				visit(role)
			}
		}
		level = next
	}
	return false
}

func (m *roles) step(w word, from []source, visit func(word)) {
	for _, s := range from {
		for _, e := range m.before(s, w.id) {
			visit(m.word(e.role))
			for _, name := range m.matches[e.role] {
				if m.present(name, from) {
					visit(m.word(name))
				}
			}
		}
	}
	for _, group := range m.groups {
		if group == w.id || !m.matchNames(m.roleFunction, w.text, m.names.text(group)) {
			continue
		}
		for _, s := range from {
			for _, e := range m.before(s, group) {
				visit(m.word(e.role))
			}
		}
	}
}

// stepsTo tells whether a name that no link mentions is reached all the same:
// because it matches a role.
func (m *roles) stepsTo(w word, strange string, from []source) bool {
	for _, s := range from {
		for _, e := range m.before(s, w.id) {
			if m.matchNames(m.roleFunction, strange, m.names.text(e.role)) {
				return true
			}
		}
	}
	return false
}

// before gives the links of a name that a source has.
func (m *roles) before(s source, name uint32) []edge {
	edges := m.of(s.domain, name)
	end := slices.IndexFunc(edges, func(e edge) bool { return e.line >= s.limit })
	if end < 0 {
		return edges
	}
	return edges[:end]
}

func (m *roles) word(id uint32) word { return word{id, m.names.text(id)} }

// present tells whether a link of these sources mentions a name.
func (m *roles) present(name uint32, from []source) bool {
	return slices.ContainsFunc(from, func(s source) bool {
		line, ok := m.since[node{s.domain, name}]
		return ok && line < s.limit
	})
}

// compareStrangers does nothing but panic: stock Casbin compares a name that no
// link mentions with all others, each way, and so fails if it is a broken pattern.
func (m *roles) compareStrangers(member, role word, from []source) {
	if !m.present(member.id, from) {
		m.compareAll(member.text, role.text, from)
	}
	if !m.present(role.id, from) {
		m.compareAll(role.text, member.text, from)
	}
}

func (m *roles) compareAll(stranger, other string, from []source) {
	if single(m.roleFunction, stranger) {
		return
	}
	m.matchNames(m.roleFunction, other, stranger)
	if m.roleFunction != "keyMatch4" || !grouped(stranger) {
		return // whether the pattern can be compiled is all there is to know
	}
	for at := range m.since {
		if m.present(at.name, from) {
			m.matchNames(m.roleFunction, m.names.text(at.name), stranger)
		}
	}
}

// numbers is a set that keeps the order in which it was filled. It is made to be
// used again.
type numbers struct {
	list  []uint32
	index map[uint32]struct{} // from a size on at which a search would be slow
}

const searchable = 16

func (s *numbers) len() int        { return len(s.list) }
func (s *numbers) at(i int) uint32 { return s.list[i] }

func (s *numbers) clear() {
	s.list = s.list[:0]
	clear(s.index)
}

func (s *numbers) has(n uint32) bool {
	if len(s.list) <= searchable {
		return slices.Contains(s.list, n)
	}
	_, ok := s.index[n]
	return ok
}

func (s *numbers) add(n uint32) {
	if s.has(n) {
		return
	}
	s.list = append(s.list, n)
	if len(s.list) <= searchable {
		return
	}
	if s.index == nil {
		s.index = map[uint32]struct{}{}
	}
	if len(s.list) == searchable+1 {
		for _, old := range s.list {
			s.index[old] = struct{}{}
		}
	}
	s.index[n] = struct{}{}
}
