package plan

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/casbin/govaluate"

	"github.com/bailiwick/bailiwick/internal/access"
)

// EvaluationError is stock Casbin's error at a rule: the matcher could not be
// evaluated there. The question is not answered, and that never means allow.
type EvaluationError struct {
	Rule int // among the rules that were compiled; -1 if it was no rule's fault
	Err  error
}

// Error names the rule.
func (e *EvaluationError) Error() string {
	if e.Rule < 0 {
		return "evaluate the matcher: " + e.Err.Error()
	}
	return fmt.Sprintf("evaluate the matcher at rule %d: %s", e.Rule, e.Err)
}

// Unwrap gives the interpreter's error.
func (e *EvaluationError) Unwrap() error { return e.Err }

// longScan is from how many rules on a question has to queue: questions that
// look at so many leave one processor to all others.
const longScan = 1000

// scans holds a token for each long scan under way. There is one for the whole
// process, because its processors are shared by all engines.
var scans = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))

// decide answers a question: rule by rule in policy order, stopping at the same
// rule as stock Casbin. All three plans are this one loop. They differ in which
// rules it goes through, and whether the interpreter is asked about them.
func (s *set) decide(q *question) (Answer, error) {
	if s.policy.len() == 0 || !s.reads {
		return s.once(q)
	}
	filter, rest := s.filter, s.rest
	var rows []uint32
	few := false
	if q.conforms() {
		rows, few = s.index.candidates(q)
	} else {
		filter, rest = nil, s.whole
	}
	n := s.policy.len()
	if few {
		n = len(rows)
	}
	if n >= longScan {
		select {
		case scans <- struct{}{}:
			defer func() { <-scans }()
		case <-q.ctx.Done():
			return noAnswer, access.Unavailable("the question waited for its turn: %s", q.ctx.Err())
		}
	}
	t := newTally(s.effect)
	for i := range n {
		rule := i
		if few {
			rule = int(rows[i])
		}
		row := s.policy.row(rule)
		if filter != nil && !filter.holds(q, row) {
			continue
		}
		if rest != nil {
			matched, err := s.interpret(q, rest, row)
			if err != nil {
				return noAnswer, &EvaluationError{s.policy.number(rule), err}
			}
			if !matched {
				continue
			}
		}
		if a, done := t.add(rule, s.policy.outcome(rule)); done {
			return s.placed(a), nil
		}
	}
	return s.placed(t.end()), nil
}

// placed turns the number of a row into that of the rule.
func (s *set) placed(a Answer) Answer {
	a.Rule = s.policy.number(a.Rule)
	return a
}

// interpret evaluates an expression on one rule.
func (s *set) interpret(q *question, x *govaluate.EvaluableExpression, row []uint32) (bool, error) {
	q.row = row
	result, err := x.Eval(q)
	if err != nil {
		return false, err
	}
	switch result := result.(type) {
	case bool:
		return result, nil
	case float64:
		return result != 0, nil
	}
	return false, errors.New("matcher result should be bool, int or float")
}

// once is what stock Casbin does where there is no rule, or where the matcher
// does not mention any: it evaluates the matcher once, with blank fields in
// place of a rule's.
func (s *set) once(q *question) (Answer, error) {
	if switches.emptyDenies {
		return noAnswer, nil
	}
	if s.evaluates && s.policy.len() == 0 {
		return noAnswer, &EvaluationError{-1, errors.New("please make sure rule exists in policy when using eval() in matcher")}
	}
	q.row = nil
	result, err := s.whole.Eval(q)
	if err != nil {
		return noAnswer, &EvaluationError{-1, err}
	}
	matched := result.(bool) // what is none makes stock Casbin panic, and comes out as an error
	return Answer{Allowed: matched || s.effect == denyOverride, Rule: -1}, nil
}

// Variables of expressions that we have built are two bytes: what it is, and
// its number. All others come from accessors such as r_sub.Age.
const (
	fieldOfRequest = 'r'
	fieldOfRule    = 'p'
	evaluated      = 'e'
	linked         = 'g'
	asked          = 'q' // the question itself, for functions that must know its moment
	expression     = '~' // a field of the rule as a regular expression
)

func coded(what byte, n int) string {
	return string([]byte{what, byte(n)}) //nolint:gosec // there are at most 64 of each
}

// Get gives the interpreter the value of a variable.
func (q *question) Get(name string) (any, error) {
	if len(name) == 2 && name[1] < 64 {
		n := int(name[1])
		switch name[0] {
		case fieldOfRequest:
			return q.values[n], nil
		case fieldOfRule:
			return q.cell(n), nil
		case evaluated:
			return q.evaluate(n)
		case linked:
			return q.set.links[n].holds(q, q.row), nil
		case asked:
			return q, nil
		case expression:
			return q.expression(n), nil
		}
	}
	for i, token := range q.set.request {
		if token == name {
			return q.values[i], nil
		}
	}
	for i, token := range q.set.policy.tokens {
		if token == name {
			return q.cell(i), nil
		}
	}
	return nil, errors.New("No parameter '" + name + "' found.")
}

func (q *question) cell(field int) string {
	if q.row == nil {
		return ""
	}
	return q.set.world.names.text(q.row[field])
}

// expression gives the interpreter a field of the rule behind =~, compiled; it
// would compile a text for every rule and question. What is none is left to it.
func (q *question) expression(field int) any {
	if q.row != nil {
		if re := q.set.expressions[field][q.row[field]]; re != nil {
			return re
		}
	}
	return q.cell(field)
}

// evaluate is eval() on a field of the rule, whose text was parsed beforehand.
func (q *question) evaluate(field int) (any, error) {
	x := q.set.evals[field][q.row[field]]
	return x.Eval(q)
}

// linkFunctions gives the role definitions as functions, for calls that are not plain
// enough to be terms. Like stock Casbin's they panic at what is no text. Those
// whose links hold for a time are given the question first, by timed.
func (w *world) linkFunctions() map[string]govaluate.ExpressionFunction {
	table := map[string]govaluate.ExpressionFunction{}
	for key, m := range w.roles {
		table[key] = func(args ...any) (any, error) {
			q := &question{clock: w.clock}
			if m.spans != nil {
				q.moment, args = args[0].(*question).now(), spread(args[1:])
			}
			if m.conditional && len(args) > 2+b2i(m.domained) {
				return nil, errors.New(key + " is given a list, and Casbin would not heed its conditions")
			}
			texts := make([]word, max(3, len(args)))
			for i, a := range args {
				text := a.(string)
				texts[i] = word{w.names.find(text), text}
			}
			_ = args[1]
			if len(args) == 2 {
				texts[2] = word{w.names.find(""), ""}
			}
			return m.linked(q, texts[0], texts[1], texts[2]), nil
		}
	}
	return table
}

// spread does what the interpreter does to arguments of which the first is a list.
func spread(args []any) []any {
	if list, ok := args[0].([]any); ok {
		return append(slices.Clone(list), args[1:]...)
	}
	return args
}

// shown shortens a text for a message.
func shown(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 80 {
		return text[:80] + "…"
	}
	return text
}
