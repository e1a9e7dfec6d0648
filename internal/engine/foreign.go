package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// foreign answers for a tenant with a Casbin model of its own, by the plan that
// suits the model. Sub-room plan knows how Casbin reads models and rules; here
// are validity, accounts and what a question may hold.
type foreign struct {
	model     *plan.Model
	functions access.Functions
	rules     []access.Rule
	plans     []plan.Info
	sub       map[string]int // by set, which value of a question names who asks; -1: none does
	inactive  map[string]access.UserStatus
	turns     []time.Time // moments at which some rule begins or ceases to hold, in order
	changes   []time.Time // those and the moments at which some link does

	current atomic.Pointer[spell] // nil until somebody asks, where rules have turns
	loading sync.Mutex
}

// spell is the rules that hold during one span between two turns, compiled.
type spell struct {
	engine *plan.Engine
	span   int
	rules  []access.Rule
	empty  map[string]bool // by set: its matcher reads rules, and none holds
}

func newForeign(f *access.Facts, _ Options) (*foreign, error) {
	m, err := plan.ReadModel(f.Model)
	if err != nil {
		return nil, err
	}
	if err := checkForeignMatchers(m); err != nil {
		return nil, err
	}
	x := &foreign{
		model: m, functions: f.Functions, rules: f.Rules, turns: turns(f.Rules),
		sub: map[string]int{}, inactive: map[string]access.UserStatus{},
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

// checkForeignMatchers refuses what plan would answer as stock Casbin does, and
// nobody can want.
func checkForeignMatchers(m *plan.Model) error {
	var problems access.Problems
	matchers := m.Definitions("m")
	for _, key := range slices.Sorted(maps.Keys(matchers)) {
		if found := patternOfRequest.FindStringSubmatch(matchers[key]); found != nil {
			problems = append(problems, access.Problem{
				Origin: access.Origin{File: plan.ModelFile, Line: m.Line(key)}, Code: "model-invalid",
				Message: fmt.Sprintf("%s: %s takes its pattern from the request", key, found[1]),
			})
		}
	}
	return problems.Err()
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
	for _, p := range x.plans {
		x.sub[p.Set] = slices.Index(s.engine.Fields(p.Set), "sub")
	}
	x.changes = slices.SortedFunc(slices.Values(slices.Concat(x.turns, s.engine.Turns())), time.Time.Compare)
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
	e, err := x.model.Compile(plan.Options{Rules: rules, Functions: x.functions})
	if err != nil {
		return nil, err
	}
	s := &spell{engine: e, span: span, rules: rules, empty: map[string]bool{}}
	for _, p := range e.Plans() {
		s.empty[p.Set] = p.Reads && p.Rules == 0
	}
	return s, nil
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

// following gives the place of the first moment after now.
func following(moments []time.Time, now time.Time) int {
	return sort.Search(len(moments), func(i int) bool { return moments[i].After(now) })
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
	span := following(x.turns, now) // they are numbered by the turn that ends them
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
	if next := following(x.changes, now); next < len(x.changes) {
		d.ValidUntil = x.changes[next]
	}
	return d
}

// question checks the values of a request and puts them to the model.
func (x *foreign) question(s *Snapshot, r *access.Request, now time.Time) (*foreignCase, error) {
	held, err := x.at(now)
	if err != nil {
		return nil, err
	}
	values, err := foreignValues(held.engine, r)
	if err != nil {
		return nil, err
	}
	c := &foreignCase{}
	if i := x.sub[r.RawSet]; i >= 0 {
		id, _ := values[i].(string)
		c.status = x.inactive[id]
		if c.status == "" {
			c.status = x.inactive[strings.TrimPrefix(id, "u:")]
		}
	}
	if c.status != "" {
		return c, nil
	}
	var failed *plan.EvaluationError
	if c.verdict, err = held.verdict(now, r.RawSet, values); errors.As(err, &failed) {
		s.failures.Add(1)
		c.failure = fmt.Sprintf("the model could not be evaluated: %.200s", firstLine(failed.Err))
		return c, nil
	}
	return c, err
}

// verdict is the model's answer. Where it errs, and where it would allow by an
// empty policy, the answer is no.
func (s *spell) verdict(now time.Time, set string, values []any) (access.Verdict, error) {
	v := access.Verdict{Reason: access.ReasonNoGrant}
	if s.empty[set] {
		return v, nil
	}
	a, err := s.engine.EnforceAt(now, set, values)
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

// foreignValues checks what is put to the model: a set of definitions that it
// has, as many values as that wants, none of them blank, and only kinds on which
// the interpreter calls no methods.
func foreignValues(e *plan.Engine, r *access.Request) ([]any, error) {
	fields := e.Fields(r.RawSet)
	if fields == nil {
		return nil, access.Invalid("context_set", "this tenant's model has no definitions %q", r.RawSet)
	}
	if len(r.Raw) != len(fields) {
		return nil, access.Invalid("request", "has %d values; this tenant's model wants %d: %s", len(r.Raw), len(fields), strings.Join(fields, ", "))
	}
	values := make([]any, len(fields))
	for i, v := range r.Raw {
		var err error
		if values[i], err = foreignValue("request."+fields[i], v); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func foreignValue(field string, v any) (any, error) {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil, access.Invalid(field, "must not be blank")
		}
		return v, nil
	case bool, float64, int, int64:
		return v, nil
	case json.Number:
		n, err := v.Float64()
		if err != nil {
			return nil, access.Invalid(field, "is no number")
		}
		return n, nil
	case map[string]any:
		if v == nil {
			return nil, access.Invalid(field, "must not be blank")
		}
		return v, nil
	}
	return nil, access.Invalid(field, "must be a text, a number, true, false or an object")
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
