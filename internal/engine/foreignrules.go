package engine

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/util"

	"github.com/bailiwick/bailiwick/internal/access"
)

var (
	quoted     = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	fieldNames = regexp.MustCompile(`\b([rp]\d*)_(\w+)`)
	anyEval    = regexp.MustCompile(`\beval\s*\(`)
	// patternCalls finds the functions that take a pattern, and the pattern.
	patternCalls = regexp.MustCompile(`\b(keyMatch[2345]?|keyGet[23]?|regexMatch|globMatch|ipMatch)\s*\(\s*[^,()]+,\s*([^,()]+?)\s*[,)]`)
	patternSigns = regexp.MustCompile(`(=~)\s*([rp]\d*_\w+)`)
	requestField = regexp.MustCompile(`^r\d*_\w`)
)

// checkForeignMatcher refuses matchers that stock Casbin would take and then
// fail on at every question, or be made to work without bounds by.
func checkForeignMatcher(text string, m model.Model, o Options) error {
	for key, a := range m["m"] {
		line := lineOfKey(text, key)
		if anyEval.MatchString(a.Value) && !o.AllowEval {
			return modelProblem(line, "%s: eval() runs the texts of rules as code and is not allowed here", key)
		}
		for _, f := range fieldNames.FindAllStringSubmatch(quoted.ReplaceAllString(a.Value, "''"), -1) {
			definition := m[f[1][:1]][f[1]]
			if definition == nil || !slices.Contains(definition.Tokens, f[0]) {
				return modelProblem(line, "%s: %s.%s is not defined", key, f[1], f[2])
			}
		}
		for _, p := range patterns(a.Value) {
			if requestField.MatchString(p.field) {
				return modelProblem(line, "%s: %s takes its pattern from the request", key, p.function)
			}
		}
	}
	return nil
}

// pattern is a place in a matcher where a value serves as a pattern.
type pattern struct{ function, field string }

func patterns(matcher string) []pattern {
	var all []pattern
	for _, finder := range []*regexp.Regexp{patternCalls, patternSigns} {
		for _, found := range finder.FindAllStringSubmatch(matcher, -1) {
			all = append(all, pattern{found[1], found[2]})
		}
	}
	return all
}

// checkForeignRules finds the rules at which stock Casbin would fail to load,
// err at questions that have nothing to do with them, or hang.
func checkForeignRules(rules []access.Rule, m model.Model) access.Problems {
	c := &foreignChecker{model: m, problems: nil}
	for _, a := range m["m"] {
		c.patterns = append(c.patterns, patterns(a.Value)...)
		c.eval = c.eval || anyEval.MatchString(a.Value)
	}
	for _, r := range rules {
		c.rule(r)
	}
	if m["e"]["e"].Value == constant.SubjectPriorityEffect && len(c.problems) == 0 {
		c.subjectOrder(rules)
	}
	return c.problems
}

type foreignChecker struct {
	model    model.Model
	patterns []pattern
	eval     bool
	problems access.Problems
}

func (c *foreignChecker) add(r access.Rule, code, format string, args ...any) {
	c.problems = append(c.problems, access.Problem{Origin: r.Origin, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (c *foreignChecker) rule(r access.Rule) {
	if r.Type == "" || (r.Type[0] != 'p' && r.Type[0] != 'g') || c.model[r.Type[:1]][r.Type] == nil {
		c.add(r, "rule-type", "the model has no definition %q", r.Type)
		return
	}
	definition := c.model[r.Type[:1]][r.Type]
	if r.Type[0] == 'g' {
		if want := strings.Count(definition.Value, "_"); len(r.Values) < want {
			c.add(r, "rule-arity", "a %s line has %d fields in this model, this one has %d", r.Type, want, len(r.Values))
		}
	} else if len(r.Values) != len(definition.Tokens) {
		c.add(r, "rule-arity", "a %s line has %d fields in this model, this one has %d", r.Type, len(definition.Tokens), len(r.Values))
		return
	}
	for i, v := range r.Values {
		if v == "" {
			c.add(r, "field-blank", "field %d is blank", i+1)
		}
	}
	if r.Type[0] == 'p' {
		c.fields(r, definition.Tokens)
	}
}

func (c *foreignChecker) fields(r access.Rule, tokens []string) {
	for i, token := range tokens {
		v := r.Values[i]
		switch strings.TrimPrefix(token, r.Type+"_") {
		case "eft":
			// Casbin passes over a rule of any other effect; this is the spelling for it.
			if v != "allow" && v != "deny" && v != "indeterminate" {
				c.add(r, "effect-invalid", "%q is not an effect; write allow, deny or indeterminate", v)
			}
		case constant.PriorityIndex:
			if _, err := strconv.Atoi(v); err != nil {
				c.add(r, "priority-invalid", "the priority %q is not an integer", v)
			}
		}
		for _, p := range c.patterns {
			if p.field == token {
				c.pattern(r, p.function, v)
			}
		}
		if c.eval && (len(v) > MaxMatcher || nesting(v) > maxMatcherDepth) {
			c.add(r, "rule-invalid", "field %d is too long or nested too deep to be evaluated", i+1)
		}
	}
}

func (c *foreignChecker) pattern(r access.Rule, function, v string) {
	if err := try(function, v); err != nil {
		c.add(r, "pattern-invalid", "%q is no pattern for %s: %v", v, function, err)
	}
}

// try uses a pattern once, as Casbin would.
func try(function, pattern string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	switch function {
	case "keyMatch2":
		util.KeyMatch2("/", pattern)
	case "keyMatch3":
		util.KeyMatch3("/", pattern)
	case "keyMatch4":
		if strings.ContainsAny(pattern, "()") {
			return fmt.Errorf("a group in it would make Casbin fail")
		}
		util.KeyMatch4("/", pattern)
	case "keyMatch5":
		util.KeyMatch5("/", pattern)
	case "keyGet2":
		util.KeyGet2("/", pattern, "x")
	case "keyGet3":
		util.KeyGet3("/", pattern, "x")
	case "globMatch":
		_, err = util.GlobMatch("/", pattern)
	case "ipMatch":
		util.IPMatch("127.0.0.1", pattern)
	case "regexMatch", "=~":
		_, err = regexp.Compile(pattern)
	}
	return err
}

// maxVisits bounds the walk that stock Casbin makes to order subjects: it goes
// every way through the links once.
const maxVisits = 1_000_000

// subjectOrder refuses links under which the order by subject, as stock Casbin
// makes it, would never end (a circle), would not be the same every time (a
// subject at different depths below different roots), or would take for ever.
func (c *foreignChecker) subjectOrder(rules []access.Rule) {
	o := &order{children: map[string][]string{}, child: map[string]bool{}, origin: map[string]access.Rule{}, depth: map[string]int{}, state: map[string]byte{}}
	domain := slices.Index(c.model["p"]["p"].Tokens, "p_"+constant.DomainIndex)
	asked := map[string]bool{}
	for _, r := range rules {
		switch r.Type {
		case "g":
			o.link(r)
		case "p":
			name := "::" + r.Values[0]
			if domain >= 0 {
				name = r.Values[domain] + name
			}
			asked[name] = true
		}
	}
	if at := o.circle(); at != "" {
		c.add(o.origin[at], "inheritance-cycle", "inheritance runs in a circle at %q, and this model orders rules by inheritance", bare(at))
		return
	}
	for _, root := range o.roots() {
		for _, clash := range o.walk(root) {
			if asked[clash] {
				c.add(o.origin[clash], "inheritance-ambiguous", "%q stands at different depths below different roots, so that the order of its rules would be left to chance", bare(clash))
			}
		}
		if o.visits > maxVisits {
			c.add(o.origin[root], "inheritance-wide", "there are more than %d ways through the links", maxVisits)
			return
		}
	}
}

// order is the graph of links as Casbin orders subjects by it, downwards. Names
// carry their domain.
type order struct {
	children map[string][]string
	child    map[string]bool
	origin   map[string]access.Rule
	depth    map[string]int
	state    map[string]byte
	visits   int
}

func bare(name string) string {
	_, n, _ := strings.Cut(name, "::")
	return n
}

func (o *order) link(r access.Rule) {
	domain := ""
	if len(r.Values) > 2 {
		domain = r.Values[2]
	}
	member, above := domain+"::"+r.Values[0], domain+"::"+r.Values[1]
	o.children[above] = append(o.children[above], member)
	o.child[member] = true
	o.origin[member], o.origin[above] = r, r
}

// circle gives a name on a circle, or "".
func (o *order) circle() string {
	var visit func(string) string
	visit = func(name string) string {
		o.state[name] = 'o'
		for _, below := range o.children[name] {
			if o.state[below] == 'o' {
				return below
			}
			if o.state[below] == 0 {
				if at := visit(below); at != "" {
					return at
				}
			}
		}
		o.state[name] = 'd'
		return ""
	}
	for name := range o.children {
		if o.state[name] == 0 {
			if at := visit(name); at != "" {
				return at
			}
		}
	}
	return ""
}

func (o *order) roots() []string {
	var roots []string
	for name := range o.children {
		if !o.child[name] {
			roots = append(roots, name)
		}
	}
	slices.Sort(roots)
	return roots
}

// walk gives every name below a root its depth there, the greatest if there are
// several ways, and reports those that have another depth below another root.
func (o *order) walk(root string) (clashes []string) {
	here := map[string]int{}
	level := []string{root}
	for depth := 0; len(level) > 0; depth++ {
		var next []string
		for _, name := range level {
			here[name] = depth
			next = append(next, o.children[name]...)
		}
		if o.visits += len(level); o.visits > maxVisits {
			return nil
		}
		level = next
	}
	for name, depth := range here {
		if before, ok := o.depth[name]; ok && before != depth {
			clashes = append(clashes, name)
		}
		o.depth[name] = depth
	}
	slices.Sort(clashes)
	return clashes
}
