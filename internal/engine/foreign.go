package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"

	"github.com/bailiwick/bailiwick/internal/access"
)

// foreign answers for a tenant with a Casbin model of its own by putting every
// question to stock Casbin. It is right for every model that is accepted, and
// slow: stock Casbin looks at every rule.
type foreign struct {
	text       string
	rules      []access.Rule
	fields     []string // of the request, without the prefix
	usesPolicy bool     // the matcher reads fields of rules
	inactive   map[string]access.UserStatus
	turns      []time.Time // moments at which some rule begins or ceases to hold, in order

	current atomic.Pointer[stock]
	loading sync.Mutex
}

// stock is a Casbin enforcer loaded with the rules that hold during one span
// between two turns.
type stock struct {
	enforcer *casbin.Enforcer
	span     int
	lines    map[string]*access.Rule // by their values
	links    []string                // role definitions whose answers Casbin remembers
	weight   int64                   // answers that one question can make it remember

	// Casbin remembers every answer of g for ever. Questions hold clearing for
	// reading; whoever finds the memory too full holds it for writing.
	clearing   sync.RWMutex
	remembered atomic.Int64
}

// maxRemembered bounds what Casbin may remember of role questions: about 150
// bytes each.
const maxRemembered = 500_000

func newForeign(f *access.Facts, o Options) (*foreign, error) {
	m, err := parseModel(f.Model)
	if err != nil {
		return nil, err
	}
	if err := checkForeignMatcher(f.Model, m, o); err != nil {
		return nil, err
	}
	if err := checkForeignRules(f.Rules, m).Err(); err != nil {
		return nil, err
	}
	x := &foreign{
		text: f.Model, rules: f.Rules, inactive: map[string]access.UserStatus{},
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
	x.turns = turns(f.Rules)
	if !x.usesPolicy && m["e"]["e"].Value == constant.DenyOverrideEffect {
		return nil, modelProblem(lineOfKey(f.Model, "m"), "m: the matcher reads no rule and the effect allows whatever is not denied, so everything would be allowed")
	}
	s, err := x.load(0)
	if err != nil {
		return nil, err
	}
	// Casbin parses the matcher before it counts the values of a request.
	if _, err := s.enforcer.Enforce(); err != nil && !strings.Contains(err.Error(), "invalid request size") {
		return nil, modelProblem(lineOfKey(f.Model, "m"), "m: %s", firstLine(err))
	}
	x.current.Store(s)
	return x, nil
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

// load makes an enforcer of the rules that hold in a span.
func (x *foreign) load(span int) (*stock, error) {
	m, err := model.NewModelFromString(x.text)
	if err != nil {
		return nil, modelProblem(lineOf(err.Error()), "%s", err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("make casbin's enforcer: %w", err)
	}
	s := &stock{enforcer: e, span: span, lines: map[string]*access.Rule{}}
	e.SetAdapter(&spanAdapter{foreign: x, stock: s})
	if err := e.LoadPolicy(); err != nil {
		return nil, fmt.Errorf("load the rules into casbin: %w", err)
	}
	for key, a := range e.GetModel()["g"] {
		if a.RM != nil { // links with conditions are not remembered
			s.links = append(s.links, key)
		}
	}
	s.weight = int64(len(s.links) * (1 + len(s.lines)))
	return s, nil
}

// spanAdapter gives Casbin the rules that hold in one span. It cannot write.
type spanAdapter struct {
	persist.Adapter
	foreign *foreign
	stock   *stock
}

// LoadPolicy gives the rules in their order.
func (a *spanAdapter) LoadPolicy(m model.Model) error {
	for i := range a.foreign.rules {
		r := &a.foreign.rules[i]
		if !a.foreign.during(r.Validity, a.stock.span) {
			continue
		}
		if err := persist.LoadPolicyArray(append([]string{r.Type}, r.Values...), m); err != nil {
			return err
		}
		key := lineKey(r.Values)
		if r.Type == "p" && a.stock.lines[key] == nil {
			a.stock.lines[key] = r
		}
	}
	return nil
}

func lineKey(values []string) string { return strings.Join(values, "\x00") }

// during tells whether a validity holds throughout a span.
func (x *foreign) during(v access.Validity, span int) bool {
	if span == 0 {
		return v.From.IsZero()
	}
	return v.At(x.turns[span-1])
}

// at gives the enforcer for the moment now.
func (x *foreign) at(now time.Time) (*stock, error) {
	span := x.span(now)
	if s := x.current.Load(); s.span == span {
		return s, nil
	}
	x.loading.Lock()
	defer x.loading.Unlock()
	if s := x.current.Load(); s.span == span {
		return s, nil
	}
	s, err := x.load(span)
	if err != nil {
		return nil, access.Unavailable("load the rules that hold now: %s", err)
	}
	x.current.Store(s)
	return s, nil
}

// enforce asks Casbin, which turns its own panics into errors.
func (s *stock) enforce(values []any) (allowed bool, rule []string, err error) {
	if s.remembered.Add(s.weight) > maxRemembered {
		s.forget()
	}
	s.clearing.RLock()
	defer s.clearing.RUnlock()
	return s.enforcer.EnforceEx(values...)
}

// forget drops what Casbin remembers. Setting a role manager again does that
// and nothing else.
func (s *stock) forget() {
	s.clearing.Lock()
	defer s.clearing.Unlock()
	if s.remembered.Load() <= maxRemembered {
		return // another question has done it
	}
	for _, key := range s.links {
		s.enforcer.SetNamedRoleManager(key, s.enforcer.GetNamedRoleManager(key))
	}
	s.remembered.Store(0)
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

// question checks the values of a request and puts them to Casbin.
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
	e, err := x.at(now)
	if err != nil {
		return nil, err
	}
	if c.verdict, err = x.verdict(e, values); err != nil {
		s.failures.Add(1)
		c.failure = fmt.Sprintf("the model could not be evaluated: %.200s", firstLine(err))
	}
	return c, nil
}

// verdict is Casbin's answer. Where Casbin errs, and where it would allow by an
// empty policy, the answer is no.
func (x *foreign) verdict(e *stock, values []any) (access.Verdict, error) {
	v := access.Verdict{Reason: access.ReasonNoGrant}
	if x.usesPolicy && len(e.lines) == 0 {
		return v, nil
	}
	allowed, rule, err := e.enforce(values)
	if err != nil {
		return v, err
	}
	v.Allowed = allowed
	if x.usesPolicy {
		v.Rule = e.lines[lineKey(rule)] // without a policy Casbin names a rule that decided nothing
	}
	switch {
	case allowed:
		v.Reason = access.ReasonGrantedBy
	case v.Rule != nil:
		v.Reason = access.ReasonDeniedBy
	}
	return v, nil
}

// values checks what is put to Casbin: as many values as the model wants, none
// of them blank, and only kinds on which Casbin calls no methods.
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

// foreignCase puts Casbin's answer through the gates. Only the gates of subject
// and verdict mean something under a model that is not ours.
type foreignCase struct {
	status  access.UserStatus // of an account that may not be used
	verdict access.Verdict
	failure string // why Casbin could not answer
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

// Verdict is Casbin's answer.
func (c *foreignCase) Verdict() access.Verdict { return c.verdict }

// Prerequisites finds nothing.
func (c *foreignCase) Prerequisites() access.Finding { return access.Finding{} }

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
