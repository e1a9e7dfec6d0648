package plan

import (
	"regexp"
	"slices"

	"github.com/casbin/govaluate"
)

// set is one matcher with the definitions it goes with, ready to answer.
type set struct {
	name    string
	parts   parts
	world   *world
	request []string // "r_sub", "r_obj"
	policy  *policy
	effect  effect

	reads     bool // goes through the rules at all
	evaluates bool // calls eval()

	// The plan: index narrows down the rules, filter is what all of them must
	// satisfy, rest is left to the interpreter. Each is nil if there is none.
	index  *index
	filter term
	rest   *govaluate.EvaluableExpression

	// For questions that do not conform, the whole matcher.
	whole     *govaluate.EvaluableExpression
	wantsText uint64 // fields of the question that must be texts, as bits
	wantsIP   uint64
	spreads   uint64 // fields that go straight into a function

	links       []*linkedTo
	evals       map[int]map[uint32]*govaluate.EvaluableExpression // by field and text
	expressions map[int]map[uint32]*regexp.Regexp                 // by field and text, where they stand behind =~
	info        Info
}

// needs notes what a question must give for the terms to be total.
func (s *set) needs(o operand, ip bool) {
	if o.kind != ofRequest {
		return
	}
	s.wantsText |= 1 << o.field
	if ip {
		s.wantsIP |= 1 << o.field
	}
}

// notePassed notes which fields of the question are arguments of functions.
func (s *set) notePassed(tokens []token) {
	for _, c := range calls(tokens) {
		for _, argument := range c.arguments {
			if inner := bare(argument); len(inner) == 1 && slices.Contains(s.request, inner[0].name) {
				s.spreads |= 1 << slices.Index(s.request, inner[0].name)
			}
		}
	}
}

// link makes a term of a call of a role definition.
func (s *set) link(m *roles, args []operand) *linkedTo {
	t := &linkedTo{roles: m, member: args[0], role: args[1], slot: len(s.links)}
	t.domain = operand{word: word{s.world.names.find(""), ""}, value: ""}
	if len(args) == 3 {
		t.domain = args[2]
	}
	for _, a := range args {
		s.needs(a, false)
	}
	s.links = append(s.links, t)
	return t
}

// compiled gives the patterns in a field of the rules.
func (s *set) compiled(function string, field int) map[uint32]pattern {
	byNumber := map[uint32]pattern{}
	for i := range s.policy.len() {
		id := s.policy.row(i)[field]
		if p, _ := s.world.patterns.add(function, s.world.names.text(id)); p != nil {
			byNumber[id] = p
		}
	}
	return byNumber
}

// plan chooses how to answer.
func (s *set) plan(tokens []token) error {
	d := &reader{s}
	branches := d.branches(tokens)
	var err error
	if s.whole, err = build(s.coded(tokens, false), s.world.functions); err != nil {
		return err
	}
	left := s.left(branches, tokens)
	if left != nil {
		if s.rest, err = build(s.coded(left, true), s.world.functions); err != nil {
			return err
		}
	}
	s.filter = filterOf(branches)
	s.index = s.newIndex(branches)
	s.info = s.describe(branches, left)
	s.info.Uses = s.uses(tokens)
	return nil
}

// left is what the interpreter must still be asked once the filter holds. Behind
// a prefix that holds stock Casbin has "true && ..." before it.
func (s *set) left(branches []branch, tokens []token) []token {
	if !slices.ContainsFunc(branches, func(b branch) bool { return len(b.rest) > 0 }) {
		return nil
	}
	if len(branches) > 1 || len(branches[0].prefix) == 0 {
		return tokens
	}
	left := []token{boolean(true)}
	for _, conjunct := range branches[0].rest {
		left = append(append(left, conjunction()), conjunct...)
	}
	return left
}

// filterOf is true of every rule that can match.
func filterOf(branches []branch) term {
	var alternatives some
	for _, b := range branches {
		if len(b.prefix) == 0 {
			return nil
		}
		alternatives = append(alternatives, every(b.prefix))
	}
	if len(alternatives) == 1 {
		return alternatives[0]
	}
	return alternatives
}

// newIndex makes an index if every branch narrows down the rules.
func (s *set) newIndex(branches []branch) *index {
	if !s.reads {
		return nil
	}
	x := &index{}
	for _, b := range branches {
		t, ok := newTable(s.world.names, s.policy, b)
		if !ok {
			return nil
		}
		x.tables = append(x.tables, t)
	}
	return x
}

// coded makes the tokens ready for the interpreter: variables are numbers, and
// so are calls that need to know the rule or the question.
func (s *set) coded(tokens []token, links bool) []token {
	d := &reader{s}
	out := replace(tokens, func(c call) (string, bool) {
		if c.function == "eval" {
			return coded(evaluated, slices.Index(s.policy.tokens, c.arguments[0][0].name)), true
		}
		m := s.world.roles[c.function]
		if !links || m == nil || len(s.links) >= 64 {
			return "", false
		}
		args := make([]operand, len(c.arguments))
		for i, tokens := range c.arguments {
			var ok bool
			if args[i], ok = d.operand(tokens); !ok || !args[i].text() {
				return "", false
			}
		}
		if len(args) < 2 || len(args) > 3 {
			return "", false
		}
		return coded(linked, s.link(m, args).slot), true
	})
	out = s.timed(out)
	for i, t := range out {
		if t.Kind != govaluate.VARIABLE {
			continue
		}
		if n := slices.Index(s.request, t.name); n >= 0 {
			out[i] = variable(coded(fieldOfRequest, n))
		} else if n := slices.Index(s.policy.tokens, t.name); n >= 0 && i > 0 && isMatch(out[i-1]) {
			s.compileExpressions(n)
			out[i] = variable(coded(expression, n))
		} else if n >= 0 {
			out[i] = variable(coded(fieldOfRule, n))
		}
	}
	return out
}

// timed gives the question as a first argument to what must know its moment.
func (s *set) timed(tokens []token) []token {
	var out []token
	for i, t := range tokens {
		out = append(out, t)
		if i == 0 || tokens[i-1].Kind != govaluate.FUNCTION {
			continue
		}
		m := s.world.roles[tokens[i-1].name]
		if m == nil || m.spans == nil {
			continue
		}
		// There are others: check wants as many as the definition has fields.
		out = append(out, variable(coded(asked, 0)), token{ExpressionToken: govaluate.ExpressionToken{Kind: govaluate.SEPARATOR, Value: ","}})
	}
	return out
}

// compileExpressions compiles the regular expressions in a field of the rules.
// Whether a field holds such has been checked where it must.
func (s *set) compileExpressions(field int) {
	if s.expressions[field] != nil {
		return
	}
	if s.expressions == nil {
		s.expressions = map[int]map[uint32]*regexp.Regexp{}
	}
	byNumber := map[uint32]*regexp.Regexp{}
	for i := range s.policy.len() {
		id := s.policy.row(i)[field]
		if byNumber[id] == nil {
			byNumber[id], _ = regexp.Compile(s.world.names.text(id))
		}
	}
	s.expressions[field] = byNumber
}
