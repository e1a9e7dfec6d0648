package plan_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// random makes models, rules and questions that are likely to meet.
type random struct {
	*rand.Rand
	fields  []string // of the rule and the question
	domains bool     // g has three fields
	second  bool     // there is a g2
	eval    bool     // there is a field "rule"
	wild    bool     // expressions that are not total, values that are no texts
	bad     bool     // broken patterns and rules
	set     string   // r2.sub instead of r.sub
}

type randomCase struct {
	options  plan.Options
	set      string
	requests [][]any
}

func (c randomCase) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", c.options.Model)
	for _, r := range c.options.Rules {
		fmt.Fprintf(&b, "%s\n", r)
	}
	fmt.Fprintf(&b, "functions %+v", c.options.Functions)
	return b.String()
}

func pick[T any](r *random, from ...T) T { return from[r.IntN(len(from))] }

func (r *random) chance(percent int) bool { return r.IntN(100) < percent }

func newCase(seed uint64) randomCase {
	r := &random{Rand: rand.New(rand.NewPCG(seed, 1))}
	r.fields = []string{"sub", "obj", "act"}
	r.domains, r.second, r.eval, r.wild, r.bad = r.chance(40), r.chance(30), r.chance(15), r.chance(50), r.chance(5)
	if r.domains || r.chance(20) {
		r.fields = []string{"sub", "dom", "obj", "act"}
	}
	c := randomCase{options: plan.Options{Functions: access.Functions{Eval: true}}}
	if r.chance(15) {
		c.set, r.set = "2", "2"
	}
	c.options.Model = r.model(&c.options.Functions)
	c.options.Rules = r.rules(c.options.Model)
	for range 6 {
		c.requests = append(c.requests, r.request())
	}
	return c
}

func (r *random) model(f *access.Functions) string {
	var b strings.Builder
	rule := strings.Join(r.fields, ", ")
	if r.eval {
		rule += ", rule"
	}
	effect := pick(r, "some(where (p.eft == allow))", "!some(where (p.eft == deny))",
		"some(where (p.eft == allow)) && !some(where (p.eft == deny))", "priority(p.eft) || deny", "subjectPriority(p.eft) || deny")
	if r.chance(60) {
		rule += ", eft"
	}
	if r.chance(10) {
		rule += ", priority"
	}
	fmt.Fprintf(&b, "[request_definition]\nr = %s\n", strings.Join(r.fields, ", "))
	if r.set != "" {
		fmt.Fprintf(&b, "r2 = %s\n", strings.Join(r.fields, ", "))
	}
	fmt.Fprintf(&b, "[policy_definition]\np = %s\n", rule)
	if r.set != "" {
		fmt.Fprintf(&b, "p2 = %s\n", rule)
	}
	b.WriteString("[role_definition]\n")
	r.roles(&b, f)
	fmt.Fprintf(&b, "[policy_effect]\ne = %s\n", effect)
	fmt.Fprintf(&b, "[matchers]\n")
	if r.set != "" {
		b.WriteString("m = r.sub == p.sub\nm2 = " + r.matcher() + "\n")
	} else {
		b.WriteString("m = " + r.matcher() + "\n")
	}
	return b.String()
}

func (r *random) roles(b *strings.Builder, f *access.Functions) {
	functions := []string{"keyMatch", "keyMatch2", "keyMatch3", "keyMatch5", "regexMatch", "globMatch", "keyMatch4"}
	conditional := r.chance(8)
	g := "_, _"
	if r.domains {
		g += ", _"
		if !conditional && r.chance(35) {
			f.Domains = map[string]string{"g": pick(r, functions...)}
		}
	}
	if conditional {
		g += ", (_, _)"
		f.Conditions = map[string]string{"g": pick(r, "timeMatch", "timeMatch", "none")}
	} else if r.chance(20) {
		f.Roles = map[string]string{"g": pick(r, functions...)}
	}
	fmt.Fprintf(b, "g = %s\n", g)
	if r.second {
		b.WriteString("g2 = _, _\n")
		if r.chance(30) {
			if f.Roles == nil {
				f.Roles = map[string]string{}
			}
			f.Roles["g2"] = pick(r, functions...)
		}
	}
}

// r and p give a field of the question and of the rule.
func (r *random) r(field string) string { return "r" + r.set + "." + field }
func (r *random) p(field string) string { return "p" + r.set + "." + field }
func (r *random) field() string         { return pick(r, r.fields...) }

func (r *random) matcher() string {
	var conjuncts []string
	for range 1 + r.IntN(4) {
		conjuncts = append(conjuncts, r.atom(2))
	}
	text := strings.Join(conjuncts, " && ")
	if r.chance(15) {
		text += " || " + r.atom(1)
	}
	if r.chance(10) {
		text += " || " + r.atom(1) + " && " + r.atom(1)
	}
	if r.chance(5) {
		text = "(" + text + ")"
	}
	if r.domains && r.chance(5) {
		text = "g(r.sub, p.sub, r.dom) && keyMatch(r.dom, p.dom) && " + text
		text = strings.ReplaceAll(strings.ReplaceAll(text, "r.", r.r("")), "p.", r.p(""))
		text = strings.ReplaceAll(strings.ReplaceAll(text, "r2r2.", "r2."), "r22.", "r2.")
	}
	return text
}

// atom is one conjunct; depth bounds how far they nest.
func (r *random) atom(depth int) string {
	kinds := 17
	if r.wild {
		kinds = 31
	}
	a, b := r.field(), r.field()
	switch r.IntN(kinds) {
	case 0, 1, 2:
		return r.r(a) + " == " + r.p(a)
	case 3:
		return r.p(a) + " != " + r.r(b)
	case 4:
		return fmt.Sprintf("(%s == %s || %s == '*')", r.r(a), r.p(a), r.p(a))
	case 5:
		return fmt.Sprintf("%s == '%s'", pick(r, r.r(a), r.p(a)), r.plainName())
	case 6, 7:
		return fmt.Sprintf("%s(%s, %s)", pick(r, "keyMatch", "keyMatch", "keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "regexMatch", "globMatch"), r.r(a), r.p(a))
	case 8, 9, 10:
		return r.link()
	case 11:
		return fmt.Sprintf("ipMatch(%s, %s)", r.r(a), r.p(a))
	case 12:
		return fmt.Sprintf("keyMatch2(%s, '/a/:id')", r.r(a))
	case 13:
		return fmt.Sprintf("(%s == %s || keyMatch(%s, %s))", r.r(a), r.p(a), r.r(a), r.p(a))
	case 14:
		return r.compound(depth)
	case 15:
		return pick(r, r.r(a)+" == "+r.r(b), r.p(a)+" == "+r.p(b), r.p(a)+" != '"+r.plainName()+"'")
	case 16:
		return pick(r, "true", "false", "1 == 1", "'a' != 'b'", "'group_x' != "+r.r(a))
	}
	return r.wildAtom(a, b)
}

func (r *random) compound(depth int) string {
	if depth == 0 {
		return "true"
	}
	x, y := r.atom(depth-1), r.atom(depth-1)
	return pick(r, "!("+x+")", "("+x+" || "+y+")", "("+x+" && "+y+")", "!("+x+" && "+y+")")
}

func (r *random) wildAtom(a, b string) string {
	switch r.IntN(14) {
	case 0:
		if r.eval {
			return "eval(" + r.p("rule") + ")"
		}
		return r.r(a) + ".Age > 18"
	case 1:
		return fmt.Sprintf("%s.%s == %q", r.r(a), pick(r, "Age", "Name", "Inner.Name", "Missing"), r.plainName())
	case 2:
		return fmt.Sprintf("(%s == %s ? true : %s)", r.r(a), r.p(b), r.atom(0))
	case 3:
		return fmt.Sprintf("%s in ('alice', '/a', %q)", pick(r, r.r(a), r.p(a)), r.plainName())
	case 4:
		return fmt.Sprintf("%s %s %s", pick(r, r.r(a), r.p(a)), pick(r, "<", ">", ">=", "<="), pick(r, "5", "'b'", r.p(b)))
	case 5:
		return fmt.Sprintf("%s + 1 > 3", r.r(a))
	case 6:
		return fmt.Sprintf("%s =~ %s", r.r(a), pick(r, r.p(a), "'^a'"))
	case 7:
		return pick(r, r.r(a), r.r(a), "1", "0") // true only if the question has a bool there
	case 8:
		return fmt.Sprintf("%s(%s, %s, 'id') == %q", pick(r, "keyGet2", "keyGet3"), r.r(a), r.p(a), pick(r, "1", "x", ""))
	case 9:
		return fmt.Sprintf("%s(%s, %s)", pick(r, "keyMatch", "keyMatch", "ipMatch"), r.p(a), r.r(b))
	case 10:
		return fmt.Sprintf("%s == %s", r.r(a), pick(r, "5", "true", "5.5", "'5'"))
	case 11:
		return fmt.Sprintf("keyMatch(%s)", r.r(a)) // errs always
	case 12:
		return fmt.Sprintf("keyMatch(%s, %s) == %s", r.r(a), r.p(a), pick(r, "true", "false"))
	}
	return fmt.Sprintf("g(%s, %s)", r.r(a), pick(r, r.p(b)+" + ''", r.r(b), r.p(b)))
}

func (r *random) link() string {
	if r.second && r.chance(30) {
		return fmt.Sprintf("g2(%s, %s)", r.r("obj"), pick(r, r.p("obj"), r.p("obj"), "'/a'"))
	}
	if !r.domains {
		return pick(r, fmt.Sprintf("g(%s, %s)", r.r("sub"), r.p("sub")), fmt.Sprintf("g(%s, %s)", r.r("sub"), r.p("sub")),
			fmt.Sprintf("g(%s, 'admin')", r.r("sub")), fmt.Sprintf("g(%s, %s)", r.p("sub"), r.r("sub")), fmt.Sprintf("g(%s, %s, %s)", r.r("sub"), r.p("sub"), r.r("obj")))
	}
	return fmt.Sprintf("g(%s, %s, %s)", pick(r, r.r("sub"), r.r("sub"), r.p("sub")), pick(r, r.p("sub"), r.p("sub"), r.p("sub"), "'admin'", r.r("sub")),
		pick(r, r.r("dom"), r.r("dom"), r.p("dom"), "'d1'"))
}

// name is a text that fits more than one kind of field, plainName one without
// odd bytes.
func (r *random) plainName() string {
	return pick(r, "alice", "bob", "admin", "staff", "d1", "/a", "/a/b", "read", "*", "10.0.0.1")
}

func (r *random) name() string {
	if r.chance(5) {
		return pick(r, "é", "\xff", "\xfe", "\ufffd", "a\nb", "")
	}
	return pick(r, "alice", "bob", "admin", "staff", "d1", "d2", "/a", "/a/b", "read", "*", "10.0.0.1", "10.0.0.2")
}

// pattern is a text that matches some others.
func (r *random) pattern() string {
	if r.bad && r.chance(15) {
		return pick(r, "/a(b", "[", "*a", "a{2", "(/a)", `\`)
	}
	return pick(r, "*", "/a/*", "/a/:id", "/a/{id}", "/*", "/a*", "/a/{id}/b/{id}", "a.*", "al|bo", "^/a", "/a/?", "10.0.0.0/24", "10.0.0.1", "/x.y", "/a/*/b", "r*", "/a/:id/*", "/{x}", "d*", "/{a,b}/*",
		"/a/1/b/1", "/:x/:y", "staff*", ".*")
}

func (r *random) value(field string) string {
	switch {
	case r.chance(2):
		return ""
	case r.chance(15):
		return r.pattern()
	case r.chance(20):
		return r.name()
	}
	switch field {
	case "sub":
		if r.chance(5) {
			return pick(r, "é", "\xff", "\xfe", "\ufffd", "a\nb", "")
		}
		return pick(r, "alice", "bob", "carl", "admin", "staff", "root", "boss")
	case "dom":
		return pick(r, "d1", "d2", "d3", "d1/x", "*", "d*")
	case "obj":
		return pick(r, "/a", "/a/1", "/b", "/a/1/b/1", "/a/1/b/2", "data", "/a/b?x=1", "10.0.0.7")
	}
	return pick(r, "read", "write", "*", "10.0.0.1")
}

// rules fit the model, unless they should not.
func (r *random) rules(model string) []access.Rule {
	var rules []access.Rule
	key := "p" + r.set
	definition := strings.Split(lineOf(model, key+" = "), ", ")
	n := r.IntN(12)
	if r.chance(10) {
		n = 40 + r.IntN(60)
	}
	if r.chance(1) {
		n = 500 // enough for an index of patterns to pay
	}
	for range n {
		var values []string
		for _, field := range definition {
			values = append(values, r.cell(field))
		}
		if r.bad && r.chance(3) {
			values = values[:len(values)-1]
		}
		rules = append(rules, access.Rule{Type: key, Values: values})
	}
	for range r.IntN(10) {
		rules = append(rules, access.Rule{Type: "g", Values: r.linkValues(model)})
		if r.second {
			rules = append(rules, access.Rule{Type: "g2", Values: []string{r.value("obj"), r.value("obj")}})
		}
	}
	r.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
	return rules
}

func lineOf(text, prefix string) string {
	for _, line := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return rest
		}
	}
	return ""
}

func (r *random) linkValues(model string) []string {
	values := []string{r.value("sub"), r.value("sub")}
	if r.domains {
		values = append(values, r.value("dom"))
	}
	if strings.Contains(lineOf(model, "g = "), "(") {
		values = append(values, pick(r, "_", "2000-01-01 00:00:00", "2990-01-01 00:00:00"), pick(r, "_", "2000-01-02 00:00:00", "2999-01-01 00:00:00"))
	}
	return values
}

func (r *random) cell(field string) string {
	switch field {
	case "eft":
		return pick(r, "allow", "allow", "allow", "deny", "indeterminate")
	case "priority":
		return fmt.Sprint(r.IntN(4) - 1)
	case "rule":
		return pick(r, r.r("sub")+" == 'alice'", r.r("sub")+".Age > 18", "true", r.r("obj")+" == "+r.p("obj"), "keyMatch("+r.r("obj")+", '/a/*')", "1", r.r("act")+" == 'read' && "+r.p("sub")+" != 'bob'")
	}
	return r.value(field)
}

func (r *random) request() []any {
	values := make([]any, len(r.fields))
	for i, field := range r.fields {
		values[i] = r.value(field)
		if r.chance(5) || (r.wild && r.chance(25)) {
			values[i] = r.odd(field)
		}
	}
	if r.chance(1) {
		return values[1:]
	}
	return values
}

// odd is a value that is no plain name.
func (r *random) odd(field string) any {
	switch r.IntN(11) {
	case 0:
		return r.IntN(10)
	case 1:
		return nil
	case 2:
		return map[string]any{"Age": r.IntN(40), "Name": r.name(), "Inner": map[string]any{"Name": r.name()}}
	case 3:
		var v any
		if err := json.Unmarshal([]byte(`{"Age": 30, "Name": "alice", "List": ["a", 1]}`), &v); err != nil {
			panic(err)
		}
		return v
	case 4:
		return true
	case 5:
		return 5.5
	case 6:
		return []any{"alice", "/a"}
	case 7:
		return r.pattern()
	case 8:
		return pick(r, "(", "[", "*", "a|b")
	}
	return r.value(field)
}
