package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/casbin/v2/model"

	"github.com/bailiwick/bailiwick/internal/access"
)

// policy is the rules of one policy definition, in the order in which Casbin
// goes through them after loading.
type policy struct {
	key      string
	tokens   []string  // "p_sub", "p_obj"
	cells    []uint32  // row by row, numbers of names
	outcomes []outcome // nil where the definition has no effect: every rule allows
	rules    []int32   // where each row stands among the rules that were compiled
}

func (p *policy) len() int { return len(p.rules) }

func (p *policy) row(i int) []uint32 {
	w := len(p.tokens)
	return p.cells[i*w : (i+1)*w : (i+1)*w]
}

func (p *policy) outcome(i int) outcome {
	if p.outcomes == nil {
		return allow
	}
	return p.outcomes[i]
}

// origin is the number of row i among the rules that were compiled.
func (p *policy) origin(i int) int {
	if i < 0 {
		return -1
	}
	return int(p.rules[i])
}

// loader sorts rules into policies and links, and collects what is wrong.
type loader struct {
	names    *names
	model    model.Model
	rules    []access.Rule
	policies map[string]*policy
	links    map[string][]int // by role definition, where they stand among the rules
	seen     map[string]int   // the rule by what Casbin takes for its identity
	problems access.Problems
}

// maxProblems bounds the report on a policy in which everything is wrong.
const maxProblems = 100

func newLoader(s *Model, n *names, rules []access.Rule) *loader {
	l := &loader{
		names: n, model: s.model, rules: rules, policies: map[string]*policy{},
		links: map[string][]int{}, seen: make(map[string]int, len(rules)),
	}
	count := map[string]int{}
	for _, r := range rules {
		count[r.Type]++
	}
	for key, a := range s.model["p"] {
		p := &policy{key: key, tokens: a.Tokens, rules: make([]int32, 0, count[key]), cells: make([]uint32, 0, count[key]*len(a.Tokens))}
		if slices.Contains(a.Tokens, key+"_eft") {
			p.outcomes = make([]outcome, 0, count[key])
		}
		l.policies[key] = p
	}
	return l
}

func (l *loader) problem(rule int, code, hint, format string, args ...any) {
	if len(l.problems) < maxProblems {
		l.problems = append(l.problems, access.Problem{
			Origin: l.rules[rule].Origin, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint,
		})
	}
}

func (l *loader) load() {
	for i := range l.rules {
		if l.sound(i) && !l.repeated(i) {
			l.take(i)
		}
	}
	l.seen = nil
	if len(l.problems) > 0 {
		return
	}
	if effects[l.model["e"]["e"].Value] == subjectPriority {
		l.sortBySubject()
	}
	for key := range l.policies {
		l.sortByPriority(key)
	}
}

// switches turn off single safety rules, so that a test can show that the
// comparison with stock Casbin would notice. All are off outside of tests.
var switches struct {
	anyArity, badPatterns, indexAnything, noStringCheck, patternRoles, unsorted, emptyDenies bool
}

// sound tells whether a rule has the shape that its definition asks for.
func (l *loader) sound(i int) bool {
	r := &l.rules[i]
	section := ""
	if r.Type != "" {
		section = r.Type[:1]
	}
	a := l.model[section][r.Type]
	if a == nil || (section != "p" && section != "g") {
		l.problem(i, "rule-type", "", "the model has no definition %q", r.Type)
		return false
	}
	want, hint := len(a.Tokens), "Casbin would refuse the whole policy"
	if section == "g" {
		want = strings.Count(a.Value, "_") // with the parameters of a condition
		if len(r.Values) > want {
			hint = "Casbin would drop the rest, and the link would hold everywhere"
		}
	}
	if len(r.Values) != want && !switches.anyArity {
		l.problem(i, "rule-arity", hint, "a %s line has %d fields in this model, this one has %d", r.Type, want, len(r.Values))
		return false
	}
	return true
}

// repeated tells whether Casbin has this rule already. It takes rules for the
// same if they are after joining their values by commas.
func (l *loader) repeated(i int) bool {
	r := &l.rules[i]
	identity := r.Type + ":" + strings.Join(r.Values, ",")
	first, ok := l.seen[identity]
	if !ok {
		l.seen[identity] = i
		return false
	}
	if !slices.Equal(l.rules[first].Values, r.Values) {
		l.problem(i, "rule-comma", "write names without commas", "Casbin takes this rule for %q, because it joins values by commas, and would drop it", l.rules[first].String())
	}
	return true
}

func (l *loader) take(i int) {
	r := &l.rules[i]
	if r.Type[0] == 'g' {
		l.links[r.Type] = append(l.links[r.Type], i)
		return
	}
	p := l.policies[r.Type]
	for field, token := range p.tokens {
		value := ""
		if field < len(r.Values) {
			value = r.Values[field]
		}
		p.cells = append(p.cells, l.names.add(value))
		if token == p.key+"_eft" {
			p.outcomes = append(p.outcomes, l.outcome(i, value))
		}
	}
	p.rules = append(p.rules, int32(i)) //nolint:gosec // maxRules keeps it small
}

func (l *loader) outcome(rule int, eft string) outcome {
	switch eft {
	case "allow":
		return allow
	case "deny":
		return deny
	case "indeterminate":
		return indeterminate
	}
	l.problem(rule, "rule-effect", "write allow, deny or indeterminate", "%q is not an effect: Casbin would pass over the rule in silence", eft)
	return indeterminate
}

// sortByPriority orders the rules of a definition with a field "priority" as
// Casbin does after loading, whatever the effect.
func (l *loader) sortByPriority(key string) {
	p := l.policies[key]
	field := slices.Index(p.tokens, key+"_"+constant.PriorityIndex)
	if field < 0 {
		return
	}
	numbers := make([]int, p.len())
	for i := range numbers {
		text := l.names.texts[p.row(i)[field]]
		n, err := strconv.Atoi(text)
		if err != nil {
			l.problem(p.origin(i), "rule-priority", "", "the priority %q is not an integer, and Casbin's order would make no sense", text)
		}
		numbers[i] = n
	}
	p.sort(func(a, b int) int { return cmp.Compare(numbers[a], numbers[b]) })
}

// sort orders the rows, keeping the order of equals.
func (p *policy) sort(compare func(a, b int) int) {
	order := make([]int, p.len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	sorted := *p
	sorted.cells, sorted.rules, sorted.outcomes = make([]uint32, 0, len(p.cells)), make([]int32, 0, p.len()), nil
	for _, i := range order {
		sorted.cells = append(sorted.cells, p.row(i)...)
		sorted.rules = append(sorted.rules, p.rules[i])
		if p.outcomes != nil {
			sorted.outcomes = append(sorted.outcomes, p.outcomes[i])
		}
	}
	*p = sorted
}
