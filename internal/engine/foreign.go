package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/casbin/v2/model"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// foreign answers for a tenant with a Casbin model of its own, by the plan that
// suits the model. Sub-room plan knows how Casbin reads models and rules; here
// are validity, accounts and what a question may hold.
type foreign struct {
	text       string
	eval       bool
	rules      []access.Rule
	plans      []plan.Info
	fields     []string // of the request, without the prefix
	usesPolicy bool     // the matcher reads fields of rules
	inactive   map[string]access.UserStatus
	turns      []time.Time // moments at which some rule begins or ceases to hold, in order

	current atomic.Pointer[spell] // nil until somebody asks, where rules have turns
	loading sync.Mutex
}

// spell is the rules that hold during one span between two turns, compiled.
type spell struct {
	engine *plan.Engine
	span   int
	rules  []access.Rule
	empty  bool // no rule of the matcher's kind holds
}

func newForeign(f *access.Facts, o Options) (*foreign, error) {
	m, lines, err := plan.ReadModel(f.Model)
	if err != nil {
		return nil, err
	}
	if err := checkForeignMatcher(m, lines); err != nil {
		return nil, err
	}
	x := &foreign{
		text: f.Model, eval: o.AllowEval, rules: f.Rules, inactive: map[string]access.UserStatus{}, turns: turns(f.Rules),
		usesPolicy: strings.Contains(m["m"]["m"].Value, "p_"),
	}
	for _, token := range m["r"]["r"].Tokens {
		x.fields = append(x.fields, strings.TrimPrefix(token, "r_"))
	}
	for _, u := range f.Users {
		if u.Status != access.UserActive && u.Status != "" {
			x.inactive[u.ID] = u.Status
		}
	}
	return x, x.check()
}

// patternOfRequest finds the patterns that plan leaves to a question, because
// they are no expressions: a question must not say what it is compared with.
var patternOfRequest = regexp.MustCompile(`\b(keyMatch|keyGet|ipMatch)\s*\(\s*[^,()]+,\s*r\d*_\w`)

// checkForeignMatcher refuses what plan would answer as stock Casbin does, and
// nobody can want.
func checkForeignMatcher(m model.Model, lines map[string]int) error {
	for key, a := range m["m"] {
		if found := patternOfRequest.FindStringSubmatch(a.Value); found != nil {
			return matcherProblem(lines[key], "%s: %s takes its pattern from the request", key, found[1])
		}
	}
	if !strings.Contains(m["m"]["m"].Value, "p_") && m["e"]["e"].Value == constant.DenyOverrideEffect {
		return matcherProblem(lines["m"], "m: the matcher reads no rule and the effect allows whatever is not denied, so everything would be allowed")
	}
	return nil
}

func matcherProblem(line int, format string, args ...any) error {
	return access.Problems{{
		Origin: access.Origin{File: plan.ModelFile, Line: line}, Code: "model-invalid", Message: fmt.Sprintf(format, args...),
	}}
}

// check compiles all rules, whenever they hold, so that a rule of tomorrow is
// refused today. Where no rule has turns that is what questions are put to.
func (x *foreign) check() error {
	problems := blanks(x.rules)
	s, err := x.compile(0, x.rules)
	var more access.Problems
	if errors.As(err, &more) {
		return append(problems, more...).Err()
	}
	if err != nil || len(problems) > 0 {
		return errors.Join(err, problems.Err())
	}
	x.plans = s.engine.Plans()
	if len(x.turns) == 0 {
		x.current.Store(s)
	}
	return nil
}

func blanks(rules []access.Rule) (problems access.Problems) {
	for _, r := range rules {
		if i := slices.Index(r.Values, ""); i >= 0 {
			problems = append(problems, access.Problem{Origin: r.Origin, Code: "field-blank", Message: fmt.Sprintf("field %d is blank", i+1)})
		}
	}
	return problems
}

func (x *foreign) compile(span int, rules []access.Rule) (*spell, error) {
	e, err := plan.Compile(plan.Options{Model: x.text, Rules: rules, Eval: x.eval})
	if err != nil {
		return nil, err
	}
	empty := !slices.ContainsFunc(rules, func(r access.Rule) bool { return r.Type == "p" })
	return &spell{engine: e, span: span, rules: rules, empty: empty}, nil
}

func turns(rules []access.Rule) []time.Time {
	var all []time.Time
	for _, r := range rules {
		for _, at := range []time.Time{r.Validity.From, r.Validity.Until} {
			if !at.IsZero() {
				all = append(all, at)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// span numbers the spans between turns: span 0 lasts until the first turn.
func (x *foreign) span(now time.Time) int {
	n, exact := slices.BinarySearchFunc(x.turns, now, time.Time.Compare)
	if exact {
		n++
	}
	return n
}

// during tells whether a validity holds throughout a span.
func (x *foreign) during(v access.Validity, span int) bool {
	if span == 0 {
		return v.From.IsZero()
	}
	return v.At(x.turns[span-1])
}

// at gives the rules that hold at the moment now.
func (x *foreign) at(now time.Time) (*spell, error) {
	span := x.span(now)
	if s := x.current.Load(); s != nil && s.span == span {
		return s, nil
	}
	x.loading.Lock()
	defer x.loading.Unlock()
	if s := x.current.Load(); s != nil && s.span == span {
		return s, nil
	}
	var rules []access.Rule
	for _, r := range x.rules {
		if x.during(r.Validity, span) {
			rules = append(rules, r)
		}
	}
	s, err := x.compile(span, rules)
	if err != nil {
		return nil, access.Unavailable("compile the rules that hold now: %s", err)
	}
	x.current.Store(s)
	return s, nil
}

func (x *foreign) decide(s *Snapshot, r *access.Request, now time.Time) (access.Decision, error) {
	c, err := x.question(s, r, now)
	if err != nil {
		return x.refused(s, err)
	}
	return x.finish(s, c, access.Judge(c), now), nil
}

func (x *foreign) explain(s *Snapshot, r *access.Request, now time.Time) (access.Explanation, error) {
	c, err := x.question(s, r, now)
	if err != nil {
		d, err := x.refused(s, err)
		return access.Explanation{Decision: d}, err
	}
	d, gates := access.JudgeExplained(c)
	part := access.ExplanationPart{Gates: gates}
	return access.Explanation{Decision: x.finish(s, c, d, now), Parts: []access.ExplanationPart{part}}, nil
}

func (x *foreign) refused(s *Snapshot, err error) (access.Decision, error) {
	d := access.Decision{Reason: access.ReasonRequestInvalid, Revision: s.revision}
	if !errors.Is(err, access.ErrInvalid) {
		d.Reason = access.ReasonNoGrant
	}
	return d, err
}

// finish adds what the gates do not know.
func (x *foreign) finish(s *Snapshot, c *foreignCase, d access.Decision, now time.Time) access.Decision {
	d.Revision = s.revision
	if c.failure != "" {
		d.Detail = c.failure
	}
	if span := x.span(now); span < len(x.turns) {
		d.ValidUntil = x.turns[span]
	}
	return d
}

// question checks the values of a request and puts them to the model.
func (x *foreign) question(s *Snapshot, r *access.Request, now time.Time) (*foreignCase, error) {
	values, err := x.values(r.Raw)
	if err != nil {
		return nil, err
	}
	c := &foreignCase{}
	if i := slices.Index(x.fields, "sub"); i >= 0 {
		id, _ := values[i].(string)
		c.status = x.inactive[id]
		if c.status == "" {
			c.status = x.inactive[strings.TrimPrefix(id, "u:")]
		}
	}
	if c.status != "" {
		return c, nil
	}
	held, err := x.at(now)
	if err != nil {
		return nil, err
	}
	var failed *plan.EvaluationError
	if c.verdict, err = x.verdict(held, values); errors.As(err, &failed) {
		s.failures.Add(1)
		c.failure = fmt.Sprintf("the model could not be evaluated: %.200s", firstLine(failed.Err))
		return c, nil
	}
	return c, err
}

// verdict is the model's answer. Where it errs, and where it would allow by an
// empty policy, the answer is no.
func (x *foreign) verdict(s *spell, values []any) (access.Verdict, error) {
	v := access.Verdict{Reason: access.ReasonNoGrant}
	if x.usesPolicy && s.empty {
		return v, nil
	}
	a, err := s.engine.Enforce("", values)
	if err != nil {
		return v, err
	}
	v.Allowed = a.Allowed
	if a.Rule >= 0 {
		v.Rule = &s.rules[a.Rule]
	}
	switch {
	case a.Allowed:
		v.Reason = access.ReasonGrantedBy
	case v.Rule != nil:
		v.Reason = access.ReasonDeniedBy
	}
	return v, nil
}

// values checks what is put to the model: as many values as it wants, none of
// them blank, and only kinds on which the interpreter calls no methods.
func (x *foreign) values(raw []any) ([]any, error) {
	if len(raw) != len(x.fields) {
		return nil, access.Invalid("request", "has %d values; this tenant's model wants %d: %s", len(raw), len(x.fields), strings.Join(x.fields, ", "))
	}
	values := make([]any, len(raw))
	for i, v := range raw {
		field := "request." + x.fields[i]
		switch v := v.(type) {
		case string:
			if v == "" {
				return nil, access.Invalid(field, "must not be blank")
			}
			values[i] = v
		case bool, float64, int, int64:
			values[i] = v
		case json.Number:
			n, err := v.Float64()
			if err != nil {
				return nil, access.Invalid(field, "is no number")
			}
			values[i] = n
		case map[string]any:
			if v == nil {
				return nil, access.Invalid(field, "must not be blank")
			}
			values[i] = v
		default:
			return nil, access.Invalid(field, "must be a text, a number, true, false or an object")
		}
	}
	return values, nil
}

// foreignCase puts the model's answer through the gates. Only the gates of subject
// and verdict mean something under a model that is not ours.
type foreignCase struct {
	status  access.UserStatus // of an account that may not be used
	verdict access.Verdict
	failure string // why the model could not answer
}

// Subject finds users that may not be used.
func (c *foreignCase) Subject() access.Finding {
	if c.status == "" {
		return access.Finding{}
	}
	return access.Finding{Reason: access.ReasonSubjectDisabled, Detail: string(c.status)}
}

// Catalogue finds nothing: the model is asked about whatever it likes.
func (c *foreignCase) Catalogue() access.Finding { return access.Finding{} }

// Superuser is unknown to models that are not ours.
func (c *foreignCase) Superuser() bool { return false }

// Application finds nothing.
func (c *foreignCase) Application() access.Finding { return access.Finding{} }

// Licence finds nothing.
func (c *foreignCase) Licence() access.Finding { return access.Finding{} }

// Verdict is the model's answer.
func (c *foreignCase) Verdict() access.Verdict { return c.verdict }

// Prerequisites finds nothing.
func (c *foreignCase) Prerequisites() access.Finding { return access.Finding{} }

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
