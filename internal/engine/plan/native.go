package plan

import (
	"reflect"
	"slices"

	"github.com/casbin/casbin/v2/util"
)

// term is a total expression over a question and a rule.
type term interface {
	holds(q *question, row []uint32) bool
}

// operand is a value in an expression: a field of the question or of the rule,
// or a literal.
type operand struct {
	kind  kind
	field int
	word  word // of a literal that is a text
	value any  // of a literal
}

type kind uint8

const (
	literal kind = iota
	ofRequest
	ofRule
)

// text tells whether the operand is a text, as far as that is known beforehand.
func (o operand) text() bool {
	_, text := o.value.(string)
	return text || o.kind != literal
}

// isText tells whether the operand is a text in this question.
func (o operand) isText(q *question) bool {
	if o.kind != ofRequest {
		return o.text()
	}
	_, text := q.values[o.field].(string)
	return text
}

// id is the number of the operand's text: unknown also for what is no text.
func (o operand) id(q *question, row []uint32) uint32 {
	switch o.kind {
	case ofRequest:
		return q.words[o.field].id
	case ofRule:
		return row[o.field]
	case literal:
	}
	return o.word.id
}

// string gives the operand's text.
func (o operand) string(q *question, row []uint32) string {
	switch o.kind {
	case ofRequest:
		return q.words[o.field].text
	case ofRule:
		return q.set.world.names.text(row[o.field])
	case literal:
	}
	return o.word.text
}

func (o operand) both(q *question, row []uint32) word { return word{o.id(q, row), o.string(q, row)} }

// any gives the operand's value as the interpreter sees it.
func (o operand) any(q *question, row []uint32) any {
	switch o.kind {
	case ofRequest:
		return q.values[o.field]
	case ofRule:
		return q.set.world.names.text(row[o.field])
	case literal:
	}
	return o.value
}

type truth bool

func (t truth) holds(*question, []uint32) bool { return bool(t) }

type not struct{ term }

func (t not) holds(q *question, row []uint32) bool { return !t.term.holds(q, row) }

type every []term

func (t every) holds(q *question, row []uint32) bool {
	for _, x := range t {
		if !x.holds(q, row) {
			return false
		}
	}
	return true
}

type some []term

func (t some) holds(q *question, row []uint32) bool {
	for _, x := range t {
		if x.holds(q, row) {
			return true
		}
	}
	return false
}

// equalField compares a field of the question with one of the rule. What is not
// a text has no number that any rule has, and equals none.
type equalField struct {
	request, rule int
	negated       bool
}

func (t equalField) holds(q *question, row []uint32) bool {
	return (q.words[t.request].id == row[t.rule]) != t.negated
}

// equal compares any other two operands.
type equal struct {
	a, b    operand
	negated bool
}

func (t equal) holds(q *question, row []uint32) bool {
	if a, b := t.a.id(q, row), t.b.id(q, row); a != unknown && b != unknown {
		return (a == b) != t.negated
	}
	if t.a.isText(q) && t.b.isText(q) {
		return (t.a.string(q, row) == t.b.string(q, row)) != t.negated
	}
	return reflect.DeepEqual(t.a.any(q, row), t.b.any(q, row)) != t.negated
}

// matches compares a text with a pattern.
type matches struct {
	function   string
	text, with operand
	names      *names
	fixed      pattern            // of a literal; nil if it is matched as it stands
	compiled   map[uint32]pattern // by the pattern's number, those that are not matched as they stand
}

func (t *matches) holds(q *question, row []uint32) bool {
	text := t.text.string(q, row)
	p := t.fixed
	if t.with.kind == ofRule {
		p = t.compiled[row[t.with.field]]
	}
	switch {
	case p != nil:
		return p(text)
	case t.function == "keyMatch":
		return util.KeyMatch(text, t.with.string(q, row))
	}
	return matchPath(t.function, text, t.with.string(q, row))
}

// linkedTo asks a role definition.
type linkedTo struct {
	roles                *roles
	member, role, domain operand
	slot                 int // where the question keeps who the member is, if no rule has a say in that
}

func (t *linkedTo) fixed() bool { return t.member.kind != ofRule && t.domain.kind != ofRule }

func (t *linkedTo) holds(q *question, row []uint32) bool {
	if t.roles.roleFunction != "" || !t.fixed() {
		return t.roles.linked(q, t.member.both(q, row), t.role.both(q, row), t.domain.both(q, row))
	}
	if role := t.role.id(q, row); role != unknown {
		return q.reach(t).has(role)
	}
	return t.member.string(q, row) == t.role.string(q, row)
}

// readsRule tells whether a rule has a say in a term.
func readsRule(t term) bool {
	switch t := t.(type) {
	case truth:
		return false
	case not:
		return readsRule(t.term)
	case every:
		return slices.ContainsFunc(t, readsRule)
	case some:
		return slices.ContainsFunc(t, readsRule)
	case equal:
		return t.a.kind == ofRule || t.b.kind == ofRule
	case *matches:
		return t.text.kind == ofRule || t.with.kind == ofRule
	case *linkedTo:
		return !t.fixed() || t.role.kind == ofRule
	}
	return true
}
