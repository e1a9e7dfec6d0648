// Package plan answers questions under any Casbin model with stock Casbin's
// answers and without looking at every rule.
//
// Stock Casbin v2.135.0, freshly loaded with the same model and rules, is the
// meaning of a policy: the decision, the rule that decides and the fact of an
// error are the same. What stock Casbin would fail on at questions, never finish,
// leave to chance or read differently from how it is written is refused when a
// policy is compiled, with its place.
//
// Read conjunct.go first: it says why rules may be skipped. scan.go has the one
// loop that all plans share:
//
//   - native: the whole matcher is understood, the interpreter is not needed
//   - candidates: an index finds the few rules that can match, and the
//     interpreter is asked about these
//   - scan: nothing can be left out, so the interpreter is asked about every rule
package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/casbin/govaluate"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Options is everything that decides, but for the question.
type Options struct {
	Model string        // the text of a model.conf
	Rules []access.Rule // in the order of the policy; they are not kept as they are
	Book  *Book         // rules that an engine of the same model has read before, in place of Rules
	// Holds tells which rules take part; nil: all do.
	Holds     func(access.Validity) bool
	Functions access.Functions
	Clock     func() time.Time // for links that hold for a time; nil is the real clock
}

// Answer is a decision, and the rule that decided: its number among
// Options.Rules, or -1 if no single rule did.
type Answer struct {
	Allowed bool
	Rule    int
}

var noAnswer = Answer{Rule: -1}

// Info describes the plan for one set of definitions.
type Info struct {
	Set   string // "" for r, p, e and m; "2" for r2, p2, e2 and m2
	Name  string // native, candidates or scan
	Why   string
	Rules int
	// Reads is false where the matcher mentions no rule. Where it does and there
	// are no rules, Casbin evaluates the matcher with blank fields, which can come
	// out as an allow.
	Reads bool
	// Slow is true where a question goes through so many rules that it has to queue.
	Slow bool
	// Uses says, for people, what else decides: the effect, the order of the rules,
	// functions, conditions on links, eval().
	Uses []string
}

// Engine answers questions. It never changes, and serves any number of
// goroutines.
type Engine struct {
	sets      map[string]*set
	book      *Book
	turns     []time.Time
	questions sync.Pool
}

// world is what all sets of an engine share.
type world struct {
	names     *names
	patterns  patterns
	roles     map[string]*roles
	functions map[string]govaluate.ExpressionFunction
	clock     func() time.Time
	eval      bool
}

// Compile makes an engine. What is wrong comes as access.Problems.
func Compile(o Options) (*Engine, error) {
	m, err := ReadModel(o.Model)
	if err != nil {
		return nil, err
	}
	return m.Compile(o)
}

// Compile makes an engine of the model; o.Model is not looked at.
func (s *Model) Compile(o Options) (*Engine, error) {
	c := &compiler{source: s, options: o, world: &world{patterns: patterns{}, roles: map[string]*roles{}, clock: o.Clock, eval: o.Functions.Eval}}
	if c.world.clock == nil {
		c.world.clock = time.Now
	}
	e, err := c.compile()
	var problems access.Problems
	if errors.As(err, &problems) {
		slices.SortStableFunc(problems, func(a, b access.Problem) int {
			return cmp.Or(cmp.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line), cmp.Compare(a.Message, b.Message))
		})
	}
	return e, err
}

// Plans describes the plan of each set, the set "" first.
func (e *Engine) Plans() []Info {
	infos := make([]Info, 0, len(e.sets))
	for _, name := range slices.Sorted(maps.Keys(e.sets)) {
		infos = append(infos, e.sets[name].info)
	}
	return infos
}

// Fields names the values that a question to a set consists of, such as sub, obj
// and act; nil if there is no such set.
func (e *Engine) Fields(set string) []string {
	s, ok := e.sets[set]
	if !ok {
		return nil
	}
	fields := make([]string, len(s.request))
	for i, token := range s.request {
		fields[i] = strings.TrimPrefix(token, s.parts.r+"_")
	}
	return fields
}

// Turns are the moments at which some link begins or ceases to hold, in order:
// between two of them the same question has the same answer.
func (e *Engine) Turns() []time.Time { return slices.Clone(e.turns) }

// Book is the rules that the engine reads. Several engines can share one.
func (e *Engine) Book() *Book { return e.book }

// Enforce answers a question to a set of definitions, "" or the number that its
// definitions end in. An error means that stock Casbin would give an error too,
// or that the question is no question; it never comes with an allow.
func (e *Engine) Enforce(set string, values []any) (Answer, error) {
	return e.EnforceAt(context.Background(), time.Time{}, set, values)
}

// EnforceAt answers for the moment now; the zero time is that of Options.Clock.
// A question that has to queue and whose context ends first is an error of kind
// access.ErrUnavailable.
func (e *Engine) EnforceAt(ctx context.Context, now time.Time, set string, values []any) (a Answer, err error) {
	s, ok := e.sets[set]
	if !ok {
		return noAnswer, access.NotFound("context", set)
	}
	q := e.questions.Get().(*question)
	defer e.questions.Put(q)
	defer q.forget()
	defer func() {
		if p := recover(); p != nil {
			a, err = noAnswer, &EvaluationError{-1, fmt.Errorf("panic: %v", p)}
		}
	}()
	if err := q.ask(s, values); err != nil {
		return noAnswer, err
	}
	q.ctx, q.moment = ctx, now
	return s.decide(q)
}
