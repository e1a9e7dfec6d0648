package access

import (
	"fmt"
	"slices"
	"strings"
)

// plainRules holds plain Casbin lines of a policy in our own model to the same
// rules as everything else.
func (c *checker) plainRules() {
	for _, r := range c.p.Rules {
		switch {
		case r.Type == "p" && len(r.Values) == 6:
			c.plainGrant(r)
		case r.Type == "g" && len(r.Values) == 3:
			c.plainLink(r)
		case r.Type != "p" && r.Type != "g":
			c.add(r.Origin, "rule-type", "%q is not a kind of line of the built-in model; it has p and g", r.Type)
		default:
			want := map[string]int{"p": 6, "g": 3}[r.Type]
			c.add(r.Origin, "rule-arity", "a %s line has %d fields here, this one has %d", r.Type, want, len(r.Values))
		}
	}
}

func (c *checker) plainGrant(r Rule) {
	v := r.Values
	c.plainName(r.Origin, v[0])
	c.scopeRef(r.Origin, Scope(v[1]))
	act, err := ParseRuleAct("act", v[3])
	switch {
	case v[0] == SuperuserRole || v[2] == "*" || act.All:
		c.add(r.Origin, "superuser-rule", "only the built-in rule of the superuser may name all sections or all actions")
		return
	case !c.valid(r.Origin, err):
		return
	case v[5] != NoCondition:
		c.add(r.Origin, "rule-condition", "a plain line cannot carry a condition; write the grant in a role or group file")
	}
	g := Grant{Section: Section(v[2]), Rights: act.Rights, Scope: Scope(v[1]), Effect: Effect(v[4]), Origin: r.Origin}
	if act.Name != "" {
		g.Actions = []string{act.Name}
	}
	if g.Effect == "" {
		g.Effect = "(blank)"
	}
	c.grant(g)
}

func (c *checker) plainLink(r Rule) {
	v := r.Values
	c.plainName(r.Origin, v[0])
	if kind, ok := c.plainName(r.Origin, v[1]); ok && kind != KindGroup && kind != KindRole {
		c.add(r.Origin, "link-target", "%q is neither a group (g:) nor a role (r:)", v[1])
	}
	c.scopeRef(r.Origin, Scope(v[2]))
	if v[2] == "" {
		c.add(r.Origin, "name-invalid", "scope: is required")
	}
	if v[1] == SuperuserRole && Scope(v[2]) != Everywhere {
		c.add(r.Origin, "superuser-scoped", "the role superuser can only be held everywhere, not at %q", v[2])
	}
}

// plainName checks a typed name. Users need not be listed in the policy: they
// may be accounts that it does not deliver.
func (c *checker) plainName(at Origin, name string) (Kind, bool) {
	kind, id, ok := ParseName(name)
	if !ok {
		c.add(at, "name-invalid", "%q is not a name of a rule; write u:<user>, a:<application>, g:<group>, r:<role> or superuser", name)
		return 0, false
	}
	switch {
	case kind == KindGroup && !c.groupSet[id]:
		c.unknown(at, "group", id, keys(c.groupSet))
	case kind == KindRole && !c.roleSet[id]:
		c.unknown(at, "role", id, keys(c.roleSet))
	case kind == KindApplication && !c.apps[id]:
		c.unknown(at, "application", id, keys(c.apps))
	}
	return kind, true
}

// graph refuses circles and chains of links that are too long. Groups and roles
// must leave one link for their members.
func (c *checker) graph(rules []Rule) {
	next := map[string][]*Rule{}
	for i := range rules {
		if r := &rules[i]; r.Type == "g" && len(r.Values) == 3 {
			next[r.Values[0]] = append(next[r.Values[0]], r)
		}
	}
	w := &walker{next: next, depth: map[string]int{}, onPath: map[string]bool{}}
	for _, name := range keys(next) {
		w.visit(name, nil)
		if w.circle != "" {
			c.add(w.at, "inheritance-cycle", "inheritance runs in a circle: %s", w.circle)
			return
		}
	}
	for _, name := range keys(next) {
		limit := MaxInheritance
		if kind, _, _ := ParseName(name); kind == KindGroup || kind == KindRole {
			limit--
		}
		if w.depth[name] > limit {
			c.add(next[name][0].Origin, "inheritance-depth", "inheritance is %d links deep, %d is the limit here: %s",
				w.depth[name], limit, w.longest(name))
		}
	}
}

type walker struct {
	next   map[string][]*Rule
	depth  map[string]int // links to the farthest name above
	onPath map[string]bool
	circle string
	at     Origin
}

func (w *walker) visit(name string, path []string) int {
	if d, done := w.depth[name]; done || w.circle != "" {
		return d
	}
	w.onPath[name] = true
	path = append(path, name)
	deepest := 0
	for _, r := range w.next[name] {
		to := r.Values[1]
		if w.onPath[to] {
			from := slices.Index(path, to)
			w.circle, w.at = strings.Join(append(path[from:], to), " -> "), r.Origin
			return 0
		}
		deepest = max(deepest, 1+w.visit(to, path))
		if w.circle != "" {
			return 0
		}
	}
	w.onPath[name] = false
	w.depth[name] = deepest
	return deepest
}

func (w *walker) longest(name string) string {
	path := name
	for w.depth[name] > 0 {
		for _, r := range w.next[name] {
			if w.depth[r.Values[1]] == w.depth[name]-1 {
				name = r.Values[1]
				break
			}
		}
		path += " -> " + name
	}
	return path
}

// duplicates refuses two rules that are the same line: Casbin would keep one
// of them, and removing either would remove both.
func (c *checker) duplicates(rules []Rule) {
	first := make(map[string]int, len(rules))
	for i, r := range rules {
		line := r.String()
		if at, twice := first[line]; twice {
			problem := c.add(r.Origin, "duplicate", "the rule %q is there twice", line)
			if place := rules[at].Origin.String(); place != "" {
				problem.Hint = fmt.Sprintf("first at %s", place)
			}
			continue
		}
		first[line] = i
	}
}

// Nearest gives the known name that name was probably meant to be, or "". It
// is the one at the smallest edit distance, if that is at most a third of the
// name's length, or 1.
func Nearest(name string, known []string) string {
	best, limit := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < limit {
			best, limit = k, d
		}
	}
	return best
}

// distance counts the bytes to put in, leave out, replace or swap with the next one.
func distance(a, b string) int {
	var two []int // the rows before
	one := make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			row[j] = one[j-1]
			if a[i-1] != b[j-1] {
				row[j] = 1 + min(one[j-1], one[j], row[j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], 1+two[j-2])
			}
		}
		two, one = one, row
	}
	return one[len(b)]
}
