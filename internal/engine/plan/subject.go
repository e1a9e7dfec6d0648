package plan

import (
	"cmp"
	"maps"
	"slices"

	"github.com/casbin/casbin/v2/constant"
)

// maxVisits bounds the walk by which subjects are ordered. Stock Casbin goes
// every way through the links once, of which there can be exponentially many.
const maxVisits = 1_000_000

// hierarchy is the graph of "g" lines as Casbin orders subjects by it: from
// roles down to members, names carrying their domain.
type hierarchy struct {
	below  map[string][]string
	member map[string]bool
	line   map[string]int // a rule that the name is in
	depth  map[string]int
	unsure map[string]bool // at different depths below different roots
	visits int
}

// sortBySubject orders all rules so that those of the subjects deepest below a
// root come first. It refuses links with which stock Casbin would never end, or
// would order rules by chance.
func (l *loader) sortBySubject() {
	h := &hierarchy{below: map[string][]string{}, member: map[string]bool{}, line: map[string]int{}, depth: map[string]int{}, unsure: map[string]bool{}}
	links := l.links["g"]
	for i := range links.len() {
		h.link(links.number(i), l.book.values(links.row(i)))
	}
	if name := h.circle(); name != "" {
		l.problem(h.line[name], "link-circle", "", "inheritance runs in a circle here, and Casbin's order by subject would never end")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(h.below)) {
		if !h.member[name] {
			h.walk(name)
		}
		if h.visits > maxVisits {
			l.problem(h.line[name], "link-ways", "", "there are more than %d ways through the links below this role, all of which Casbin would go", maxVisits)
			return
		}
	}
	for _, p := range l.policies {
		l.sortPolicyBySubject(p, h)
	}
}

func (l *loader) sortPolicyBySubject(p *policy, h *hierarchy) {
	domain := slices.Index(p.tokens, p.key+"_"+constant.DomainIndex)
	depths := make([]int, p.len())
	for i := range depths {
		name := "::" + l.names.text(p.row(i)[0])
		if domain >= 0 {
			name = l.names.text(p.row(i)[domain]) + name
		}
		if h.unsure[name] {
			l.problem(p.number(i), "link-depth", "", "the subject of this rule stands at different depths below different roles, so Casbin would place the rule by chance")
		}
		depths[i] = h.depth[name]
	}
	p.sort(func(a, b int) int { return cmp.Compare(depths[b], depths[a]) })
}

func (h *hierarchy) link(line int, values []string) {
	domain := ""
	if len(values) != 2 {
		domain = values[2]
	}
	member, role := domain+"::"+values[0], domain+"::"+values[1]
	h.below[role] = append(h.below[role], member)
	h.member[member] = true
	h.line[member], h.line[role] = line, line
}

// circle gives a name on a circle, or "".
func (h *hierarchy) circle() string {
	const open, closed = 1, 2
	state := map[string]int{}
	var visit func(string) string
	visit = func(name string) string {
		state[name] = open
		for _, next := range h.below[name] {
			if state[next] == open {
				return next
			}
			if state[next] == 0 {
				if found := visit(next); found != "" {
					return found
				}
			}
		}
		state[name] = closed
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(h.below)) {
		if state[name] == 0 {
			if found := visit(name); found != "" {
				return found
			}
		}
	}
	return ""
}

// walk gives every name below a root its depth there, the greatest if there are
// several ways, as stock Casbin's walk by levels leaves it.
func (h *hierarchy) walk(root string) {
	here := map[string]int{}
	level := []string{root}
	for depth := 0; len(level) > 0; depth++ {
		var next []string
		for _, name := range level {
			here[name] = depth
			next = append(next, h.below[name]...)
		}
		if h.visits += len(level); h.visits > maxVisits {
			return
		}
		level = next
	}
	for name, depth := range here {
		if before, ok := h.depth[name]; ok && before != depth {
			h.unsure[name] = true
		}
		h.depth[name] = depth
	}
}
