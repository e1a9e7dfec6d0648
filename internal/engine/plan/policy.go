package plan

import (
	"cmp"
	"fmt"
	"math/bits"
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
	rows
	key         string
	tokens      []string // "p_sub", "p_obj"
	eft         int      // the field with the effect; -1 where there is none and every rule allows
	allow, deny uint32   // numbers of the texts in it
}

func (p *policy) outcome(i int) outcome {
	if p.eft < 0 {
		return allow
	}
	switch p.row(i)[p.eft] {
	case p.allow:
		return allow
	case p.deny:
		return deny
	}
	return indeterminate
}

// loader sorts rules into policies and links, and collects what is wrong.
type loader struct {
	book     *Book
	names    *names
	model    model.Model
	holds    func(access.Validity) bool // nil: all rules take part
	policies map[string]*policy
	links    map[string]rows // by role definition
	problems access.Problems
}

// maxProblems bounds the report on a policy in which everything is wrong.
const maxProblems = 100

func newLoader(s *Model, b *Book, holds func(access.Validity) bool) *loader {
	return &loader{book: b, names: b.names, model: s.model, holds: holds, policies: map[string]*policy{}, links: map[string]rows{}}
}

func (l *loader) problem(rule int, code, hint, format string, args ...any) {
	if len(l.problems) < maxProblems {
		l.problems = append(l.problems, access.Problem{
			Origin: l.book.origin(rule), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint,
		})
	}
}

func (l *loader) load() {
	for key := range l.model["g"] {
		l.links[key] = l.counting(l.book.lists[key])
	}
	for key, a := range l.model["p"] {
		p := &policy{key: key, tokens: a.Tokens, rows: l.counting(l.book.lists[key]), eft: slices.Index(a.Tokens, key+"_eft")}
		p.allow, p.deny = l.names.find("allow"), l.names.find("deny")
		l.checkOutcomes(p)
		l.policies[key] = p
	}
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

// widths are how many values the lines of each definition have.
func (s *Model) widths() map[string]int {
	all := map[string]int{}
	for key, a := range s.model["p"] {
		all[key] = len(a.Tokens)
	}
	for key, a := range s.model["g"] {
		all[key] = strings.Count(a.Value, "_") // with the parameters of a condition
	}
	return all
}

// sound gives what is wrong with the shape of rules.
func sound(rules []access.Rule, widths map[string]int) (problems access.Problems) {
	for i := range rules {
		r := &rules[i]
		want, ok := widths[r.Type]
		p := access.Problem{Origin: r.Origin}
		switch {
		case !ok:
			p.Code, p.Message = "rule-type", fmt.Sprintf("the model has no definition %q", r.Type)
		case len(r.Values) != want && !switches.anyArity:
			p.Code, p.Hint = "rule-arity", "Casbin would refuse the whole policy"
			p.Message = fmt.Sprintf("a %s line has %d fields in this model, this one has %d", r.Type, want, len(r.Values))
			if r.Type[0] == 'g' && len(r.Values) > want {
				p.Hint = "Casbin would drop the rest, and the link would hold everywhere"
			}
		default:
			continue
		}
		if problems = append(problems, p); len(problems) == maxProblems {
			break
		}
	}
	return problems
}

// counting gives the rows of a list that take part, each only once. Casbin takes
// rules for the same if they are after joining their values by commas.
func (l *loader) counting(list *list) rows {
	all := rows{list: list}
	n := all.len()
	seen, odd := newSeen(list), map[string]int{}
	commas := l.names.withCommas()
	var order []uint32
	for i := range n {
		repeated := !l.takesPart(&all, i)
		if row := list.row(i); !repeated && slices.ContainsFunc(row, func(id uint32) bool { return commas[id] }) {
			repeated = l.joined(&all, i, odd)
		} else if !repeated {
			repeated = seen.repeated(i)
		}
		if repeated && order == nil {
			order = make([]uint32, 0, n)
			for k := range i {
				order = append(order, uint32(k))
			}
		}
		if !repeated && order != nil {
			order = append(order, uint32(i))
		}
	}
	all.order = order
	return all
}

func (l *loader) takesPart(all *rows, i int) bool {
	if l.holds == nil || len(l.book.validity) == 0 {
		return true
	}
	return l.holds(l.book.validity[all.number(i)])
}

// joined tells whether a rule with commas is there already, and refuses it if it
// is another one.
func (l *loader) joined(all *rows, i int, odd map[string]int) bool {
	values := l.book.values(all.row(i))
	identity := strings.Join(values, ",")
	first, ok := odd[identity]
	if !ok {
		odd[identity] = i
		return false
	}
	if !slices.Equal(all.row(first), all.row(i)) {
		l.problem(all.number(i), "rule-comma", "write names without commas", "Casbin takes this rule for %q, because it joins values by commas, and would drop it", l.book.Rule(all.number(first)).String())
	}
	return true
}

// withCommas gives the numbers of texts that contain commas.
func (n *names) withCommas() map[uint32]bool {
	found := map[uint32]bool{}
	if !strings.Contains(n.all, ",") {
		return found
	}
	for id := range n.ends {
		if strings.Contains(n.text(uint32(id)), ",") {
			found[uint32(id)] = true
		}
	}
	return found
}

// seen is a set of rows of a list.
type seen struct {
	list  *list
	table []uint32
}

func newSeen(list *list) *seen {
	s := &seen{list: list, table: make([]uint32, 1<<bits.Len(uint(2*list.numbers.len())))}
	fill(s.table, unknown)
	return s
}

// repeated tells whether a row like this one is in the set, and else adds it.
func (s *seen) repeated(i int) bool {
	row, hash := s.list.row(i), uint64(0)
	for _, id := range row {
		hash = mix(hash, uint64(id))
	}
	mask := uint64(len(s.table) - 1) //nolint:gosec // it is never empty
	for at := hash & mask; ; at = (at + 1) & mask {
		if s.table[at] == unknown {
			s.table[at] = uint32(i) //nolint:gosec // maxRules keeps it small
			return false
		}
		if slices.Equal(s.list.row(int(s.table[at])), row) {
			return true
		}
	}
}

// checkOutcomes wants every effect to be one.
func (l *loader) checkOutcomes(p *policy) {
	if p.eft < 0 {
		return
	}
	neither := l.names.find("indeterminate")
	for i := range p.len() {
		if eft := p.row(i)[p.eft]; eft != p.allow && eft != p.deny && eft != neither {
			l.problem(p.number(i), "rule-effect", "write allow, deny or indeterminate", "%q is not an effect: Casbin would pass over the rule in silence", l.names.text(eft))
		}
	}
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
		text := l.names.text(p.row(i)[field])
		n, err := strconv.Atoi(text)
		if err != nil {
			l.problem(p.number(i), "rule-priority", "", "the priority %q is not an integer, and Casbin's order would make no sense", text)
		}
		numbers[i] = n
	}
	p.sort(func(a, b int) int { return cmp.Compare(numbers[a], numbers[b]) })
}
