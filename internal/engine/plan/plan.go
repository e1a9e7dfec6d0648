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
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/casbin/casbin/v2/util"
	"github.com/casbin/govaluate"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Options is everything that decides, but for the question.
type Options struct {
	Model     string        // the text of a model.conf
	Rules     []access.Rule // in the order of the policy; they are not kept
	Functions Functions
	Eval      bool             // whether matchers may run texts of rules by eval()
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
}

// Engine answers questions. It never changes, and serves any number of
// goroutines.
type Engine struct {
	sets      map[string]*set
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
	src, err := readModel(o.Model)
	if err != nil {
		return nil, err
	}
	c := &compiler{source: src, options: o, world: &world{names: newNames(), patterns: patterns{}, roles: map[string]*roles{}, clock: o.Clock, eval: o.Eval}}
	if c.world.clock == nil {
		c.world.clock = time.Now
	}
	return c.compile()
}

// Plans describes the plan of each set, the set "" first.
func (e *Engine) Plans() []Info {
	infos := make([]Info, 0, len(e.sets))
	for _, name := range slices.Sorted(maps.Keys(e.sets)) {
		infos = append(infos, e.sets[name].info)
	}
	return infos
}

// Enforce answers a question to a set of definitions, "" or the number that its
// definitions end in. An error means that stock Casbin would give an error too,
// or that the question is no question; it never comes with an allow.
func (e *Engine) Enforce(set string, values []any) (a Answer, err error) {
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
	return s.decide(q)
}

// maxRules is what rules can be numbered with, at sixty-four fields each.
const maxRules = 1 << 25

// compiler makes an engine of a model and rules.
type compiler struct {
	source   *parsedModel
	options  Options
	world    *world
	loader   *loader
	problems access.Problems
}

func (c *compiler) compile() (*Engine, error) {
	c.checkFunctions()
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	if n := len(c.options.Rules); n > maxRules {
		return nil, modelProblem(0, "rules-many", "", "there are %d rules; %d is the limit", n, maxRules)
	}
	c.loader = newLoader(c.source, c.world.names, c.options.Rules)
	c.loader.load()
	if len(c.loader.problems) > 0 {
		return nil, c.loader.problems
	}
	c.linkAll()
	c.world.functions = c.world.patterns.functions()
	maps.Copy(c.world.functions, c.world.linkFunctions())
	e := &Engine{sets: map[string]*set{}}
	for name, p := range c.source.sets() {
		e.sets[name] = c.set(name, p)
	}
	if c.problems = append(c.problems, c.loader.problems...); len(c.problems) > 0 {
		return nil, c.problems
	}
	e.questions.New = func() any { return &question{clock: c.world.clock} }
	return e, nil
}

func (c *compiler) problem(key, code, hint, format string, args ...any) {
	c.problems = append(c.problems, c.source.problem(key, code, hint, format, args...)...)
}

// checkFunctions wants declarations to fit the role definitions.
func (c *compiler) checkFunctions() {
	f, g := c.options.Functions, c.source.model["g"]
	for what, declared := range map[string]map[string]string{"roles": f.Roles, "domains": f.Domains, "conditions": f.Conditions} {
		for key, name := range declared {
			a := g[key]
			allowed := matching
			if what == "conditions" {
				allowed = []string{"timeMatch", "none"}
			}
			switch {
			case a == nil:
				c.problem(key, "function-misplaced", "", "%s are declared for %s, which the model does not define", what, key)
			case !slices.Contains(allowed, name):
				c.problem(key, "function-unknown", "write one of: "+strings.Join(allowed, ", "), "there is no function %q for %s", name, what)
			case what == "domains" && len(a.Tokens) < 3, what == "conditions" && len(a.ParamsTokens) == 0, what != "conditions" && len(a.ParamsTokens) > 0:
				c.problem(key, "function-misplaced", "", "this role definition has no use for a function for %s", what)
			}
		}
	}
	for key, a := range g {
		conditional := len(a.ParamsTokens) > 0
		switch {
		case conditional && f.Conditions[key] == "":
			c.problem(key, "function-missing", "declare the condition timeMatch, or none", "without a declared condition Casbin would take every link as valid, whatever its parameters say")
		case conditional && len(a.Tokens) > 2 && c.source.implicitDomains():
			c.problem(key, "function-misplaced", "", "Casbin cannot load conditional links together with keyMatch(r.dom, p.dom) in the matcher")
		case f.Conditions[key] == "timeMatch" && len(a.ParamsTokens) != 2:
			c.problem(key, "function-misplaced", "", "timeMatch takes two parameters")
		}
	}
}

// linkAll builds the graphs of roles.
func (c *compiler) linkAll() {
	for key, a := range c.source.model["g"] {
		m := &roles{
			names: c.world.names, domained: len(a.Tokens) > 2, patterns: c.world.patterns,
			links: map[node][]edge{}, domains: map[uint32][]source{},
			roleFunction: c.options.Functions.Roles[key], domainFunction: c.options.Functions.Domains[key],
			since: map[node]uint32{}, matches: map[uint32][]uint32{},
			conditional: len(a.ParamsTokens) > 0,
		}
		if m.domained && m.domainFunction == "" && c.source.implicitDomains() {
			m.domainFunction = "keyMatch"
		}
		if c.options.Functions.Conditions[key] == "timeMatch" {
			m.spans = map[uint32]span{}
		}
		for line, i := range c.loader.links[key] {
			if c.soundLink(m, i) {
				c.link(m, uint32(line), i, len(a.Tokens))
			}
		}
		if len(c.loader.problems) == 0 {
			m.seal()
		}
		c.world.roles[key] = m
	}
}

// soundLink wants names that serve as patterns to be patterns.
func (c *compiler) soundLink(m *roles, rule int) bool {
	before := len(c.loader.problems)
	values := c.options.Rules[rule].Values
	for i, v := range values[:min(len(values), 3)] {
		function := m.roleFunction
		if i == 2 {
			function = m.domainFunction
		}
		if function != "" {
			c.wantPattern(function, v, rule)
		}
	}
	if m.conditional && m.domained && values[2] == "" {
		c.loader.problem(rule, "rule-blank", "", "the domain of a conditional link is blank")
	}
	return len(c.loader.problems) == before
}

func (c *compiler) link(m *roles, line uint32, rule, fields int) {
	values := c.options.Rules[rule].Values
	if len(values) < fields {
		return // only if a switch lets it through
	}
	m.add(line, values)
	if m.spans == nil {
		return
	}
	s, err := parseSpan(values[fields:])
	if err != nil {
		c.loader.problem(rule, "rule-condition", "", "%s", err)
	}
	m.spans[line] = s
}

// wantPattern wants a text of a rule to be a pattern of a function.
func (c *compiler) wantPattern(function, text string, rule int) {
	if _, err := c.world.patterns.add(function, text); err != nil && !switches.badPatterns {
		c.loader.problem(rule, "rule-pattern", "", "%q is no pattern for %s: %s", text, function, shown(err.Error()))
	}
}

// set compiles one matcher.
func (c *compiler) set(name string, p parts) *set {
	m := c.source.model
	matcher := m["m"][p.m].Value
	s := &set{
		name: name, parts: p, world: c.world, request: m["r"][p.r].Tokens, policy: c.loader.policies[p.p],
		effect: effects[m["e"][p.e].Value], reads: readsRules(matcher, p.p), evaluates: hasEval(matcher),
		evals: map[int]map[uint32]*govaluate.EvaluableExpression{},
	}
	tokens, err := lex(matcher, c.functionNames(s.evaluates))
	if err != nil {
		c.problem(p.m, "matcher-invalid", "", "%s", shown(err.Error()))
		return s
	}
	if problem := c.check(s, tokens); problem != "" {
		c.problem(p.m, "matcher-invalid", "", "%s", problem)
		return s
	}
	if err := c.checkPatterns(s, tokens, everyRow(s.policy)); err != nil {
		c.problem(p.m, "matcher-pattern", "", "%s", err)
	}
	c.parseEvals(s, tokens)
	if len(c.problems)+len(c.loader.problems) > 0 {
		return s
	}
	if err := s.plan(tokens); err != nil {
		c.problem(p.m, "matcher-invalid", "", "%s", shown(err.Error()))
	}
	return s
}

func (c *compiler) functionNames(eval bool) []string {
	all := slices.Collect(maps.Keys(builtins))
	for key := range c.world.roles {
		all = append(all, key)
	}
	if eval {
		all = append(all, "eval")
	}
	return all
}

// check finds what would make stock Casbin err at every question.
func (c *compiler) check(s *set, tokens []token) string {
	s.notePassed(tokens)
	for _, t := range tokens {
		if (t.Kind == govaluate.VARIABLE || t.Kind == govaluate.ACCESSOR) && !slices.Contains(s.request, t.name) && !slices.Contains(s.policy.tokens, t.name) {
			return fmt.Sprintf("there is no field or function %s", dotted(t.name))
		}
	}
	for _, call := range calls(tokens) {
		m := c.world.roles[call.function]
		switch {
		case call.function == "eval" && !c.world.eval:
			return "eval() runs the texts of rules as code and is not allowed here"
		case call.function == "eval" && !isField(s, call):
			return "eval() must be given a field of a rule, such as eval(p.rule)"
		case m != nil && m.conditional && len(call.arguments) != 2+b2i(m.domained):
			return fmt.Sprintf("%s is called with %d values, and Casbin would not heed its conditions", call.function, len(call.arguments))
		}
	}
	return ""
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func isField(s *set, c call) bool {
	return len(c.arguments) == 1 && len(c.arguments[0]) == 1 && slices.Contains(s.policy.tokens, c.arguments[0][0].name) && c.arguments[0][0].Kind == govaluate.VARIABLE
}

func everyRow(p *policy) []int {
	rows := make([]int, p.len())
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// checkPatterns wants everything that serves as a pattern to be one.
func (c *compiler) checkPatterns(s *set, tokens []token, rows []int) error {
	for _, call := range calls(tokens) {
		function, at := call.function, []int{1}
		if m := c.world.roles[function]; m != nil {
			function, at = m.roleFunction, []int{0, 1}
		}
		for _, i := range at {
			if function == "" || function == "eval" || i >= len(call.arguments) {
				continue
			}
			if err := c.checkPattern(s, function, call.arguments[i], rows, c.world.roles[call.function] != nil); err != nil {
				return err
			}
		}
	}
	for i, t := range tokens {
		if t.Kind == govaluate.COMPARATOR && (t.Value == "=~" || t.Value == "!~") {
			if err := c.checkPattern(s, "regexMatch", tokens[i+1:i+2], rows, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *compiler) checkPattern(s *set, function string, tokens []token, rows []int, name bool) error {
	d := &reader{s}
	o, ok := d.operand(tokens)
	switch {
	case ok && o.kind == ofRule:
		for _, row := range rows {
			c.wantPattern(function, s.world.names.texts[s.policy.row(row)[o.field]], s.policy.origin(row))
		}
	case ok && o.kind == literal && o.text():
		if _, err := c.world.patterns.add(function, o.word.text); err != nil {
			return fmt.Errorf("%q is no pattern for %s: %s", o.word.text, function, shown(err.Error()))
		}
	case !name && slices.Contains(expressions, function) && !isPattern(tokens):
		return fmt.Errorf("%s takes its pattern from elsewhere than a field of a rule or a text", function)
	}
	return nil
}

func isPattern(tokens []token) bool {
	return len(tokens) == 1 && tokens[0].Kind == govaluate.PATTERN
}

// parseEvals parses the texts of rules that the matcher runs.
func (c *compiler) parseEvals(s *set, tokens []token) {
	for _, call := range calls(tokens) {
		if call.function != "eval" {
			continue
		}
		field := slices.Index(s.policy.tokens, call.arguments[0][0].name)
		parsed := map[uint32]*govaluate.EvaluableExpression{}
		for row := range s.policy.len() {
			id := s.policy.row(row)[field]
			if parsed[id] != nil && !strings.Contains(s.world.names.texts[id], "atch") {
				continue // a text with patterns is checked against each row
			}
			x, err := c.parseEval(s, s.world.names.texts[id], row)
			if err != nil {
				c.loader.problem(s.policy.origin(row), "rule-eval", "", "%q cannot be evaluated: %s", shown(s.world.names.texts[id]), shown(err.Error()))
			}
			parsed[id] = x
		}
		s.evals[field] = parsed
	}
}

func (c *compiler) parseEval(s *set, text string, row int) (*govaluate.EvaluableExpression, error) {
	if len(text) > MaxMatcher || nesting(text) > MaxNesting {
		return nil, errors.New("it is too long or nested too deep")
	}
	if odd := oddQuote(text); odd != "" {
		return nil, errors.New(odd)
	}
	tokens, err := lex(util.EscapeAssertion(text), c.functionNames(false))
	if err != nil {
		return nil, err
	}
	if problem := c.check(s, tokens); problem != "" {
		return nil, errors.New(problem)
	}
	if err := c.checkPatterns(s, tokens, []int{row}); err != nil {
		return nil, err
	}
	return build(s.coded(tokens, false), c.world.functions)
}
