package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/casbin/casbin/v2/util"
	"github.com/casbin/govaluate"

	"github.com/bailiwick/bailiwick/internal/access"
)

// maxRules is what rules can be numbered with, at sixty-four fields each.
const maxRules = 1 << 25

// compiler makes an engine of a model and rules.
type compiler struct {
	source   *Model
	options  Options
	world    *world
	book     *Book
	loader   *loader
	problems access.Problems
}

func (c *compiler) compile() (*Engine, error) {
	c.checkFunctions()
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	if err := c.read(); err != nil {
		return nil, err
	}
	c.world.names = c.book.names
	c.loader = newLoader(c.source, c.book, c.options.Holds)
	c.loader.load()
	if len(c.loader.problems) > 0 {
		return nil, c.loader.problems
	}
	c.linkAll()
	c.world.functions = c.world.patterns.functions()
	maps.Copy(c.world.functions, c.world.linkFunctions())
	e := &Engine{sets: map[string]*set{}, book: c.book, turns: c.turns()}
	for name, p := range c.source.sets() {
		e.sets[name] = c.set(name, p)
	}
	if c.problems = append(c.problems, c.loader.problems...); len(c.problems) > 0 {
		return nil, c.problems
	}
	clock := c.world.clock // and not c, which holds the rules as they came
	e.questions.New = func() any { return &question{clock: clock} }
	return e, nil
}

// read makes a book of the rules, if there is none yet.
func (c *compiler) read() error {
	if c.book = c.options.Book; c.book != nil {
		return nil
	}
	if n := len(c.options.Rules); n > maxRules {
		return modelProblem(0, "rules-many", "", "there are %d rules; %d is the limit", n, maxRules)
	}
	widths := c.source.widths()
	if problems := sound(c.options.Rules, widths); len(problems) > 0 {
		return problems
	}
	if c.book = newBook(c.options.Rules, widths); c.book.names.full {
		return modelProblem(0, "rules-many", "", "the rules name more than %d things, or their names are longer than %d bytes together", maxNames, int64(maxText))
	}
	return nil
}

func (c *compiler) problem(key, code, hint, format string, args ...any) {
	c.problems = append(c.problems, c.source.problem(key, code, hint, format, args...)...)
}

// checkFunctions wants declarations to fit the role definitions.
func (c *compiler) checkFunctions() {
	for _, p := range c.options.Functions.Check() {
		if p.Origin.File == "" {
			p.Origin.File = ModelFile
		}
		c.problems = append(c.problems, p)
	}
	for _, d := range c.options.Functions.Declarations() {
		a := c.source.model["g"][d.Definition]
		switch {
		case a == nil:
			c.misdeclared(d, "the model defines no %s", d.Definition)
		case d.Kind == "domains" && len(a.Tokens) < 3:
			c.misdeclared(d, "%s has no domains", d.Definition)
		case d.Kind == "conditions" && len(a.ParamsTokens) == 0:
			c.misdeclared(d, "the links of %s have no conditions", d.Definition)
		case d.Kind != "conditions" && len(a.ParamsTokens) > 0:
			c.misdeclared(d, "Casbin compares no names in %s, whose links have conditions", d.Definition)
		case d.Name == "timeMatch" && len(a.ParamsTokens) != 2:
			c.misdeclared(d, "timeMatch takes two parameters, and %s has %d", d.Definition, len(a.ParamsTokens))
		}
	}
	for key, a := range c.source.model["g"] {
		switch conditional := len(a.ParamsTokens) > 0; {
		case conditional && c.options.Functions.Conditions[key] == "":
			c.problem(key, "function-missing", "declare the condition timeMatch, or none", "without a declared condition Casbin would take every link as valid, whatever its parameters say")
		case conditional && len(a.Tokens) > 2 && c.source.implicitDomains():
			c.problem(key, "function-misplaced", "", "Casbin cannot load conditional links together with keyMatch(r.dom, p.dom) in the matcher")
		}
	}
}

// misdeclared reports a declaration where it stands, or else where the model
// defines what it is about.
func (c *compiler) misdeclared(d access.FunctionDeclaration, format string, args ...any) {
	at, hint := d.Origin, ""
	if at == (access.Origin{}) {
		at = access.Origin{File: ModelFile, Line: c.source.lines[d.Definition]}
	}
	if near := access.Nearest(d.Definition, slices.Sorted(maps.Keys(c.source.model["g"]))); near != "" && near != d.Definition {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.problems = append(c.problems, access.Problem{
		Origin: at, Code: "function-misplaced", Hint: hint, Message: d.Kind + " " + d.Definition + ": " + fmt.Sprintf(format, args...),
	})
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
		c.link(m, c.loader.links[key], len(a.Tokens))
		c.world.roles[key] = m
	}
}

// turns gathers when links begin and cease to hold. Casbin wants a moment behind
// the one at which a link begins.
func (c *compiler) turns() []time.Time {
	var all []time.Time
	for _, m := range c.world.roles {
		for _, s := range m.spans {
			if s.after != nil {
				all = append(all, s.after.Add(1))
			}
			if s.before != nil {
				all = append(all, *s.before)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// link puts the links of a definition into its graph.
func (c *compiler) link(m *roles, links rows, fields int) {
	if m.simple() {
		m.pack(links)
		return
	}
	for i := range links.len() {
		values := c.book.values(links.row(i))
		if !c.soundLink(m, values, links.number(i)) {
			continue
		}
		line := uint32(i)
		m.add(line, links.row(i))
		if m.spans == nil {
			continue
		}
		s, err := parseSpan(values[fields:])
		if err != nil {
			c.loader.problem(links.number(i), "rule-condition", "", "%s", err)
		}
		m.spans[line] = s
	}
	if len(c.loader.problems) == 0 {
		m.seal()
	}
}

// soundLink wants names that serve as patterns to be patterns.
func (c *compiler) soundLink(m *roles, values []string, rule int) bool {
	before := len(c.loader.problems)
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
	if !s.reads && s.effect == denyOverride {
		c.problem(p.m, "effect-all", "", "the matcher mentions no rule and the effect allows what is not denied, so everything would be allowed")
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
			return "eval() runs the texts of rules as code and is not allowed here; eval: true among the functions, or --eval, allows it"
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
		if isMatch(t) {
			if err := c.checkPattern(s, "regexMatch", rightOf(tokens, i), rows, false); err != nil {
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
			c.wantPattern(function, s.world.names.text(s.policy.row(row)[o.field]), s.policy.number(row))
		}
	case ok && o.kind == literal && o.text():
		if _, err := c.world.patterns.add(function, o.word.text); err != nil {
			return fmt.Errorf("%q is no pattern for %s: %s", o.word.text, function, shown(err.Error()))
		}
	case !name && slices.Contains(expressions, function) && !isPattern(bare(tokens)):
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
		tokens := map[uint32][]token{}
		for row := range s.policy.len() {
			id := s.policy.row(row)[field]
			var err error
			if _, ok := parsed[id]; !ok {
				tokens[id], parsed[id], err = c.parseEval(s, s.world.names.text(id))
			}
			if err == nil {
				err = c.checkPatterns(s, tokens[id], []int{row}) // the patterns are this row's
			}
			if err != nil {
				c.loader.problem(s.policy.number(row), "rule-eval", "", "%q cannot be evaluated: %s", shown(s.world.names.text(id)), shown(err.Error()))
			}
		}
		s.evals[field] = parsed
	}
}

func (c *compiler) parseEval(s *set, text string) ([]token, *govaluate.EvaluableExpression, error) {
	if len(text) > MaxMatcher || nesting(text) > MaxNesting {
		return nil, nil, errors.New("it is too long or nested too deep")
	}
	if odd := oddQuote(text); odd != "" {
		return nil, nil, errors.New(odd)
	}
	tokens, err := lex(util.EscapeAssertion(text), c.functionNames(false))
	if err != nil {
		return nil, nil, err
	}
	if problem := c.check(s, tokens); problem != "" {
		return nil, nil, errors.New(problem)
	}
	x, err := build(s.coded(tokens, false), c.world.functions)
	return tokens, x, err
}
