// Package oracle answers questions by stock Casbin, freshly loaded, with as
// little code of our own as possible. It is the reference that the engine is
// held to by tests, by the doctor and by benchmarks; it is slow and naive on
// purpose and shares nothing with the engine but the compiling of conditions.
package oracle

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// Oracle answers for one tenant at one revision. It must not be used by several
// goroutines at once. Stock Casbin remembers each subject that it was asked
// about, so an oracle that is asked about many must be thrown away at times.
type Oracle struct {
	facts      access.Facts
	adapter    persist.Adapter
	conditions map[string]*engine.Condition
	parents    map[access.Scope]access.Scope

	turns    []time.Time      // moments at which some rule begins or ceases to hold
	span     int              // how many of them had passed when it was loaded
	enforcer *casbin.Enforcer // nil until somebody asks; of the built-in model
	stock    *plan.Stock      // the same, of a model of the tenant's own
	rules    []access.Rule    // what stock was loaded with
}

// New makes an oracle of the facts. Where an adapter is given, stock Casbin
// loads its rules from it instead of from the facts; rules limited in time are
// then taken as the adapter gives them, except that those which the facts hold
// with a validity are left out while it does not hold.
func New(f access.Facts, a persist.Adapter) (*Oracle, error) {
	o := &Oracle{facts: f, adapter: a, turns: turns(f.Rules), conditions: map[string]*engine.Condition{}, parents: map[access.Scope]access.Scope{}}
	for _, c := range f.Conditions {
		compiled, err := engine.CompileCondition(c.Text)
		if err != nil {
			return nil, fmt.Errorf("condition %s: %w", c.ID, err)
		}
		o.conditions[c.ID] = compiled
	}
	for _, n := range f.Scopes {
		o.parents[n.Scope] = n.Parent
		if n.Parent == "" {
			o.parents[n.Scope] = access.Everywhere
		}
	}
	return o, nil
}

// Decide answers a question at the moment now, through the same gates.
func (o *Oracle) Decide(r *access.Request, now time.Time) (access.Decision, error) {
	if err := o.load(now); err != nil {
		return access.Decision{}, err
	}
	if !o.facts.Ours() {
		return o.foreign(r)
	}
	if r.Raw != nil {
		var err error
		if r, err = engine.FromRaw(r.Raw); err != nil {
			return access.Decision{Reason: access.ReasonRequestInvalid}, err
		}
	}
	if err := r.Check(); err != nil {
		return access.Decision{Reason: access.ReasonRequestInvalid}, err
	}
	var d access.Decision
	for _, action := range r.Actions {
		c := &question{Oracle: o, request: *r, action: action, now: now}
		d = access.Judge(c)
		if c.err != nil {
			return access.Decision{}, c.err
		}
		d.Action = action
		if !d.Allowed {
			break
		}
	}
	d.Revision = o.facts.Revision
	return d, nil
}

// Verdict gives stock Casbin's own answer for one action, without the gates.
func (o *Oracle) Verdict(r *access.Request, action access.Action, now time.Time) (access.Verdict, error) {
	if err := o.load(now); err != nil {
		return access.Verdict{}, err
	}
	c := &question{Oracle: o, request: *r, action: action, now: now}
	v := c.Verdict()
	return v, c.err
}

// Enforce puts raw request values to stock Casbin, as they are, with the rules
// that hold at the moment now. It is for the built-in model.
func (o *Oracle) Enforce(now time.Time, values ...any) (allowed bool, rule []string, err error) {
	if err := o.load(now); err != nil {
		return false, nil, err
	}
	return o.enforcer.EnforceEx(slices.Clone(values)...)
}

func (o *Oracle) verdict(allowed bool, values []string, now time.Time) access.Verdict {
	v := access.Verdict{Allowed: allowed, Reason: access.ReasonNoGrant, Rule: o.rule(values, now)}
	switch {
	case allowed:
		v.Reason = access.ReasonGrantedBy
	case len(values) > 0:
		v.Reason = access.ReasonDeniedBy
	}
	return v
}

// rule finds the rule with these values that holds now.
func (o *Oracle) rule(values []string, now time.Time) *access.Rule {
	if len(values) == 0 {
		return nil
	}
	for i, r := range o.facts.Rules {
		if r.Type == "p" && slices.Equal(r.Values, values) && r.Validity.At(now) {
			return &o.facts.Rules[i]
		}
	}
	return &access.Rule{Type: "p", Values: values}
}

// load loads stock Casbin, unless it was loaded with the rules that hold now.
func (o *Oracle) load(now time.Time) error {
	span := o.passed(now)
	if (o.enforcer != nil || o.stock != nil) && o.span == span {
		return nil
	}
	o.enforcer, o.stock, o.span = nil, nil, span
	if o.facts.Ours() {
		return o.loadOurs(now)
	}
	return o.loadForeign(now)
}

// Held gives the rules that hold at the moment now, as the adapter gives them,
// each kind in its order; those of the facts where there is no adapter.
func (o *Oracle) Held(now time.Time) ([]access.Rule, error) { return o.held(o.text(), now) }

func (o *Oracle) text() string {
	if o.facts.Ours() {
		return engine.Model(o.facts.Combining)
	}
	return o.facts.Model
}

func (o *Oracle) loadOurs(now time.Time) error {
	text := o.text()
	rules, err := o.held(text, now)
	if err != nil {
		return err
	}
	m, err := model.NewModelFromString(text)
	if err != nil {
		return fmt.Errorf("read the model: %w", err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return fmt.Errorf("make stock casbin: %w", err)
	}
	o.functions(e)
	e.SetAdapter(&lines{rules: rules})
	if err := e.LoadPolicy(); err != nil {
		return fmt.Errorf("load the rules into stock casbin: %w", err)
	}
	o.enforcer = e
	return nil
}

// turns lists the moments at which rules begin or cease to hold.
func turns(rules []access.Rule) []time.Time {
	var all []time.Time
	for _, r := range rules {
		for _, at := range []time.Time{r.Validity.From, r.Validity.Until} {
			if !at.IsZero() {
				all = append(all, at)
			}
		}
	}
	return all
}

func (o *Oracle) passed(now time.Time) int {
	n := 0
	for _, at := range o.turns {
		if !now.Before(at) {
			n++
		}
	}
	return n
}

// held gives the rules that hold now, as they stand in the facts or as the
// adapter gives them.
func (o *Oracle) held(text string, now time.Time) ([]access.Rule, error) {
	if o.adapter == nil {
		return slices.DeleteFunc(slices.Clone(o.facts.Rules), func(r access.Rule) bool { return !r.Validity.At(now) }), nil
	}
	m, err := model.NewModelFromString(text)
	if err != nil {
		return nil, fmt.Errorf("read the model: %w", err)
	}
	if err := o.adapter.LoadPolicy(m); err != nil {
		return nil, fmt.Errorf("load the rules through the adapter: %w", err)
	}
	dead := map[string]bool{}
	for _, r := range o.facts.Rules {
		if !r.Validity.At(now) {
			dead[r.String()] = true
		}
	}
	return slices.DeleteFunc(listed(m), func(r access.Rule) bool { return dead[r.String()] }), nil
}

// listed gives the rules in a model, each kind in its order.
func listed(m model.Model) []access.Rule {
	var rules []access.Rule
	for _, section := range []string{"p", "g"} {
		for _, key := range slices.Sorted(maps.Keys(m[section])) {
			for _, values := range m[section][key].Policy {
				rules = append(rules, access.Rule{Type: key, Values: values})
			}
		}
	}
	return rules
}

// functions registers what the built-in model's matcher calls.
func (o *Oracle) functions(e *casbin.Enforcer) {
	text := func(f func(a []string) bool) func(...any) (any, error) {
		return func(args ...any) (any, error) {
			var a []string
			for _, arg := range args {
				a = append(a, arg.(string))
			}
			return f(a), nil
		}
	}
	e.AddFunction("scopeIn", text(func(a []string) bool { return access.ScopeIn(a[0], a[1]) }))
	e.AddFunction("sectionIn", text(func(a []string) bool { return access.SectionIn(a[0], a[1], a[2]) }))
	e.AddFunction("rights", text(func(a []string) bool { return access.ActIn(a[0], a[1]) }))
	e.AddFunction("holds", func(args ...any) (any, error) {
		return o.holds(args[0].(string), args[1].(string), args[2].(map[string]any)), nil
	})
	e.AddNamedDomainMatchingFunc("g", "scopeIn", access.ScopeIn)
}

func (o *Oracle) holds(condition, effect string, variables map[string]any) bool {
	if condition == access.NoCondition {
		return true
	}
	compiled := o.conditions[condition]
	if compiled == nil {
		return effect == string(access.Deny)
	}
	held, err := compiled.Holds(variables)
	if err != nil {
		return effect == string(access.Deny)
	}
	return held
}

// lines is an adapter that gives rules in their order. It cannot write.
type lines struct {
	persist.Adapter
	rules []access.Rule
}

// LoadPolicy gives the rules to Casbin.
func (l *lines) LoadPolicy(m model.Model) error {
	for _, r := range l.rules {
		if err := persist.LoadPolicyArray(append([]string{r.Type}, r.Values...), m); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	return nil
}

// merged gives request attributes under stored ones.
func merged(request, stored map[string]any) map[string]any {
	all := map[string]any{}
	maps.Copy(all, request)
	maps.Copy(all, stored)
	return all
}
