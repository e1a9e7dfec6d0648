package engine

import (
	"context"
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
	book      *plan.Book
	plans     []plan.Info
	fields    map[string][]string // by set, the values that a question consists of
	sub       map[string]int      // by set, which of them names who asks; -1: none does
	inactive  map[string]access.UserStatus
	changes   []time.Time // moments at which some rule or link begins or ceases to hold
	spells    *spells
}

// spells is the rules as they hold from time to time. Revisions in which only
// users differ share it.
type spells struct {
	turns   []time.Time           // moments at which some rule begins or ceases to hold, in order
	current atomic.Pointer[spell] // nil until somebody asks, where rules have turns
	loading sync.Mutex
}

// spell is the rules that hold during one span between two turns, compiled.
type spell struct {
	engine *plan.Engine
	span   int
	empty  map[string]bool // by set: its matcher reads rules, and none holds
}

// compileForeign compiles a policy with a model that is not ours. What its rules
// are is in the book; the facts of the snapshot have none.
func (s *Snapshot) compileForeign(f access.Facts) (*Snapshot, error) {
	var err error
	if s.foreign, err = newForeign(&f); err != nil {
		return nil, err
	}
	f.Rules, s.facts, s.lines = nil, &f, s.foreign.book.Len()
	return s, nil
}

func newForeign(f *access.Facts) (*foreign, error) {
	m, err := plan.ReadModel(f.Model)
	if err != nil {
		return nil, err
	}
	if err := checkForeignMatchers(m); err != nil {
		return nil, err
	}
	x := &foreign{model: m, functions: f.Functions, fields: map[string][]string{}, sub: map[string]int{}, inactive: inactive(f.Users)}
	return x, x.check(f.Rules)
}

// inactive gives the users that may not be used.
func inactive(users []access.UserFacts) map[string]access.UserStatus {
	all := map[string]access.UserStatus{}
	for i := range users {
		if u := &users[i]; u.Status != access.UserActive && u.Status != "" {
			all[u.ID] = u.Status
		}
	}
	return all
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
func (x *foreign) check(rules []access.Rule) error {
	problems := blanks(rules)
	s, err := x.compile(0, plan.Options{Rules: rules})
	var more access.Problems
	if errors.As(err, &more) {
		return append(problems, more...).Err()
	}
	if err != nil || len(problems) > 0 {
		return errors.Join(err, problems.Err())
	}
	x.book, x.plans = s.engine.Book(), s.engine.Plans()
	for _, p := range x.plans {
		x.fields[p.Set] = s.engine.Fields(p.Set)
		x.sub[p.Set] = slices.Index(x.fields[p.Set], "sub")
	}
	x.spells = &spells{turns: x.book.Turns()}
	x.changes = slices.SortedFunc(slices.Values(slices.Concat(x.spells.turns, s.engine.Turns())), time.Time.Compare)
	if len(x.spells.turns) == 0 {
		x.spells.current.Store(s)
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

func (x *foreign) compile(span int, o plan.Options) (*spell, error) {
	o.Functions = x.functions
	e, err := x.model.Compile(o)
	if err != nil {
		return nil, err
	}
	s := &spell{engine: e, span: span, empty: map[string]bool{}}
	for _, p := range e.Plans() {
		s.empty[p.Set] = p.Reads && p.Rules == 0
	}
	return s, nil
}

// following gives the place of the first moment after now.
func following(moments []time.Time, now time.Time) int {
	return sort.Search(len(moments), func(i int) bool { return moments[i].After(now) })
}

// during tells whether a validity holds throughout a span.
func (s *spells) during(v access.Validity, span int) bool {
	if span == 0 {
		return v.From.IsZero()
	}
	return v.At(s.turns[span-1])
}

// at gives the rules that hold at the moment now.
func (x *foreign) at(now time.Time) (*spell, error) {
	all := x.spells
	span := following(all.turns, now) // they are numbered by the turn that ends them
	if s := all.current.Load(); s != nil && s.span == span {
		return s, nil
	}
	all.loading.Lock()
	defer all.loading.Unlock()
	if s := all.current.Load(); s != nil && s.span == span {
		return s, nil
	}
	holds := func(v access.Validity) bool { return all.during(v, span) }
	s, err := x.compile(span, plan.Options{Book: x.book, Holds: holds})
	if err != nil {
		return nil, access.Unavailable("compile the rules that hold now: %s", err)
	}
	all.current.Store(s)
	return s, nil
}

func (x *foreign) decide(ctx context.Context, s *Snapshot, r *access.Request, now time.Time) (access.Decision, error) {
	c := foreignCases.Get().(*foreignCase) //nolint:forcetypeassert // nothing else is in it
	defer c.end()
	if err := x.question(ctx, s, c, r, now); err != nil {
		return x.refused(s, err)
	}
	return x.finish(s, c, access.Judge(c), now), nil
}

func (x *foreign) explain(ctx context.Context, s *Snapshot, r *access.Request, now time.Time) (access.Explanation, error) {
	c := &foreignCase{}
	if err := x.question(ctx, s, c, r, now); err != nil {
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
func (x *foreign) question(ctx context.Context, s *Snapshot, c *foreignCase, r *access.Request, now time.Time) error {
	held, err := x.at(now)
	if err != nil {
		return err
	}
	values, err := x.values(r)
	if err != nil {
		return err
	}
	if c.status = x.status(r.RawSet, values); c.status != "" {
		return nil
	}
	if c.verdict, err = held.verdict(ctx, now, r.RawSet, values); err != nil {
		return c.fail(s, err)
	}
	return nil
}

// status is that of an account that may not be used.
func (x *foreign) status(set string, values []any) access.UserStatus {
	i := x.sub[set]
	if i < 0 || len(x.inactive) == 0 {
		return ""
	}
	id, _ := values[i].(string)
	if status := x.inactive[id]; status != "" {
		return status
	}
	return x.inactive[strings.TrimPrefix(id, "u:")]
}

// fail notes that the model could not be evaluated; other errors it gives back.
func (c *foreignCase) fail(s *Snapshot, err error) error {
	var failed *plan.EvaluationError
	if !errors.As(err, &failed) {
		return err
	}
	s.failures.Add(1)
	c.failure = fmt.Sprintf("the model could not be evaluated: %.200s", firstLine(failed.Err))
	return nil
}

// verdict is the model's answer. Where it errs, and where it would allow by an
// empty policy, the answer is no.
func (s *spell) verdict(ctx context.Context, now time.Time, set string, values []any) (access.Verdict, error) {
	v := access.Verdict{Reason: access.ReasonNoGrant}
	if s.empty[set] {
		return v, nil
	}
	a, err := s.engine.EnforceAt(ctx, now, set, values)
	if err != nil {
		return v, err
	}
	v.Allowed = a.Allowed
	if a.Rule >= 0 {
		v.Rule = s.engine.Book().Rule(a.Rule)
	}
	switch {
	case a.Allowed:
		v.Reason = access.ReasonGrantedBy
	case v.Rule != nil:
		v.Reason = access.ReasonDeniedBy
	}
	return v, nil
}

// values checks what is put to the model: a set of definitions that it has, as
// many values as that wants, none of them blank, and only kinds on which the
// interpreter calls no methods.
func (x *foreign) values(r *access.Request) ([]any, error) {
	fields, ok := x.fields[r.RawSet]
	if !ok {
		return nil, access.Invalid("context_set", "this tenant's model has no definitions %q", r.RawSet)
	}
	if len(r.Raw) != len(fields) {
		return nil, access.Invalid("request", "has %d values; this tenant's model wants %d: %s", len(r.Raw), len(fields), strings.Join(fields, ", "))
	}
	if !slices.ContainsFunc(r.Raw, notText) {
		return r.Raw, nil // plan makes a copy of its own
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

func notText(v any) bool {
	text, ok := v.(string)
	return !ok || text == ""
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

// foreignCases are used again, so that a question allocates nothing.
var foreignCases = sync.Pool{New: func() any { return &foreignCase{} }}

func (c *foreignCase) end() {
	*c = foreignCase{}
	foreignCases.Put(c)
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

// advanceForeign shares what is compiled where only users or settings differ.
// Else it compiles the rules anew: any rule of such a model may bear upon any
// question.
func (s *Snapshot) advanceForeign(d *access.Delta) (*Snapshot, error) {
	same := len(d.Gone) == 0 && len(d.Rules) == 0 && (d.Frame == nil || s.sameModel(d.Frame))
	before := *s.facts
	if !same {
		before.Rules = s.foreign.book.Rules()
	}
	facts, err := apply(before, d)
	if err != nil {
		return nil, err
	}
	if !same {
		next, err := compile(facts, s.options, s.memory)
		if err != nil {
			return nil, misfit("the difference cannot be put into force: %s", err)
		}
		return next, nil
	}
	next, x := *s, *s.foreign
	if len(d.Users)+len(d.Left) > 0 {
		x.inactive = inactive(facts.Users)
	}
	next.revision, next.policy, next.facts, next.foreign = facts.Revision, facts.Policy, &facts, &x
	return &next, nil
}

// sameModel tells whether other settings mean the same to questions.
func (s *Snapshot) sameModel(f *access.Facts) bool {
	return f.Model == s.facts.Model && f.Fetched == s.fetched && sameFunctions(&f.Functions, &s.facts.Functions)
}

func sameFunctions(a, b *access.Functions) bool {
	return a.Eval == b.Eval && maps.Equal(a.Roles, b.Roles) && maps.Equal(a.Domains, b.Domains) && maps.Equal(a.Conditions, b.Conditions)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
