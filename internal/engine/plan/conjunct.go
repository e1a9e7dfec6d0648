package plan

import (
	"regexp"
	"slices"

	"github.com/casbin/govaluate"
)

// Why rules may be skipped.
//
// A matcher is a chain of branches joined by ||, each a chain of conjuncts
// joined by &&. Call a conjunct total if for every rule, and for the question at
// hand, it yields true or false: no error, no panic, no side effect. Let a
// branch's prefix be its longest run of total conjuncts from the left. If for
// some rule every branch has a false conjunct in its prefix, stock Casbin would
// evaluate nothing but prefixes on that rule, find it not matching and go on to
// the next. So leaving the rule out changes neither the decision, nor the rule
// that decides, nor the error. A conjunct behind one that is not total must not
// be used: stock Casbin may err at the one before.
//
// A term is a total expression that we evaluate ourselves. An expression that
// this file does not recognise is left to the interpreter.

// branch is one alternative of a matcher.
type branch struct {
	prefix []term    // the longest run of total conjuncts
	rest   [][]token // the conjuncts from the first on that is not total
}

// reader turns tokens into terms for one set of definitions.
type reader struct {
	set *set
}

// branches takes a matcher apart.
func (d *reader) branches(tokens []token) []branch {
	tokens = bare(tokens)
	if has(tokens, govaluate.TERNARY) || has(tokens, govaluate.SEPARATOR) {
		return []branch{{rest: [][]token{tokens}}}
	}
	var all []branch
	for _, part := range split(tokens, token.or) {
		all = append(all, d.branch(part))
	}
	return all
}

func (d *reader) branch(tokens []token) branch {
	var b branch
	parts := split(tokens, token.and)
	for i, part := range parts {
		if inner := bare(part); len(inner) < len(part) && isChain(inner) {
			nested := d.branch(inner)
			b.prefix = append(b.prefix, nested.prefix...)
			if len(nested.rest) == 0 {
				continue
			}
		} else if t, ok := d.term(part); ok {
			b.prefix = append(b.prefix, t)
			continue
		}
		// The parentheses stay: (x && y) does not err where x && y would.
		b.rest = append(b.rest, parts[i])
		if !switches.indexAnything {
			b.rest = append(b.rest, parts[i+1:]...)
			break
		}
	}
	return b
}

// isChain tells whether tokens are conjuncts joined by && and nothing else.
func isChain(tokens []token) bool {
	return len(split(tokens, token.and)) > 1 && len(split(tokens, token.or)) == 1 &&
		!has(tokens, govaluate.TERNARY) && !has(tokens, govaluate.SEPARATOR)
}

// term reads a total expression.
func (d *reader) term(tokens []token) (term, bool) {
	tokens = bare(tokens)
	if len(tokens) == 0 || has(tokens, govaluate.TERNARY) || has(tokens, govaluate.SEPARATOR) {
		return nil, false
	}
	if parts := split(tokens, token.or); len(parts) > 1 {
		terms, ok := d.terms(parts)
		return some(terms), ok
	}
	if parts := split(tokens, token.and); len(parts) > 1 {
		terms, ok := d.terms(parts)
		return every(terms), ok
	}
	if parts := split(tokens, func(t token) bool { return t.Kind == govaluate.COMPARATOR }); len(parts) > 1 {
		return d.comparison(parts, tokens)
	}
	switch first := tokens[0]; {
	case first.is(govaluate.PREFIX, "!"):
		t, ok := d.primary(tokens[1:])
		return not{t}, ok
	default:
		return d.primary(tokens)
	}
}

// primary reads what binds closer than any operator: true, a call, or anything
// in parentheses.
func (d *reader) primary(tokens []token) (term, bool) {
	if len(tokens) == 0 {
		return nil, false
	}
	switch first := tokens[0]; {
	case first.Kind == govaluate.BOOLEAN && len(tokens) == 1:
		return truth(first.Value.(bool)), true
	case first.Kind == govaluate.FUNCTION && closing(tokens, 1) == len(tokens)-1:
		return d.call(calls(tokens)[0])
	case closing(tokens, 0) == len(tokens)-1:
		return d.term(tokens)
	}
	return nil, false
}

func (d *reader) terms(parts [][]token) ([]term, bool) {
	var terms []term
	for _, part := range parts {
		t, ok := d.term(part)
		if !ok {
			return nil, false
		}
		terms = append(terms, t)
	}
	return terms, true
}

func (d *reader) comparison(sides [][]token, whole []token) (term, bool) {
	if len(sides) != 2 {
		return nil, false
	}
	sign := whole[len(sides[0])]
	if isMatch(sign) {
		return d.regular(sign, sides[0], sides[1])
	}
	a, ok1 := d.operand(sides[0])
	b, ok2 := d.operand(sides[1])
	if !ok1 || !ok2 || (sign.Value != "==" && sign.Value != "!=") {
		return nil, false
	}
	if a.kind == ofRule && b.kind == ofRequest {
		a, b = b, a
	}
	if a.kind == ofRequest && b.kind == ofRule {
		return equalField{a.field, b.field, sign.Value == "!="}, true
	}
	return equal{a, b, sign.Value == "!="}, true
}

// regular reads =~ and !~, which compare as regexMatch does.
func (d *reader) regular(sign token, left, right []token) (term, bool) {
	text, ok1 := d.operand(left)
	with, ok2 := d.operand(right)
	if isPattern(bare(right)) {
		expression := bare(right)[0].Value.(*regexp.Regexp).String()
		with, ok2 = operand{word: word{unknown, expression}, value: expression}, true
	}
	if !ok1 || !ok2 || !text.text() || !with.text() {
		return nil, false
	}
	t, ok := d.match("regexMatch", text, with)
	if ok && sign.Value == "!~" {
		t = not{t}
	}
	return t, ok
}

// call reads a function that is total with these arguments.
func (d *reader) call(c call) (term, bool) {
	args := make([]operand, len(c.arguments))
	for i, tokens := range c.arguments {
		var ok bool
		if args[i], ok = d.operand(tokens); !ok || !args[i].text() {
			return nil, false
		}
	}
	if m := d.set.world.roles[c.function]; m != nil {
		return d.link(m, args)
	}
	if len(args) != 2 || !slices.Contains(total, c.function) {
		return nil, false
	}
	return d.match(c.function, args[0], args[1])
}

// total are the functions of two texts that yield true or false whatever the
// first one is, if the second has been compiled.
var total = []string{"keyMatch", "keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "regexMatch", "globMatch", "ipMatch"}

// match reads a comparison with a pattern out of a rule or the matcher.
func (d *reader) match(function string, text, with operand) (term, bool) {
	if with.kind == ofRequest || (function == "ipMatch" && text.kind != ofRequest) {
		return nil, false
	}
	t := &matches{function: function, text: text, with: with, names: d.set.world.names}
	if with.kind == literal {
		t.fixed, _ = d.set.world.patterns.add(function, with.word.text)
	} else if function != "keyMatch" {
		t.compiled = d.set.compiled(function, with.field)
	}
	d.set.needs(text, function == "ipMatch")
	return t, true
}

// link reads a call of a role definition. Where names are patterns it is not
// total: a name out of the question could be a broken one.
func (d *reader) link(m *roles, args []operand) (term, bool) {
	if (m.roleFunction != "" && !switches.patternRoles) || len(args) < 2 || len(args) > 3 {
		return nil, false
	}
	return d.set.link(m, args), true
}

// operand reads a value.
func (d *reader) operand(tokens []token) (operand, bool) {
	tokens = bare(tokens)
	if len(tokens) != 1 {
		return operand{}, false
	}
	switch t := tokens[0]; t.Kind { //nolint:exhaustive // all others are no operands
	case govaluate.VARIABLE:
		if i := slices.Index(d.set.request, t.name); i >= 0 {
			return operand{kind: ofRequest, field: i}, true
		}
		i := slices.Index(d.set.policy.tokens, t.name)
		return operand{kind: ofRule, field: i}, i >= 0
	case govaluate.STRING:
		text := t.Value.(string)
		return operand{word: word{d.set.world.names.find(text), text}, value: text}, true
	case govaluate.NUMERIC, govaluate.BOOLEAN:
		return operand{word: word{id: unknown}, value: t.Value}, true
	}
	return operand{}, false
}
