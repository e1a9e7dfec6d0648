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
)

// Oracle answers for one tenant at one revision. It must not be used by several
// goroutines at once.
type Oracle struct {
	facts      access.Facts
	adapter    persist.Adapter
	conditions map[string]*engine.Condition
	parents    map[access.Scope]access.Scope

	enforcer *casbin.Enforcer
	loaded   time.Time // the moment for which enforcer was loaded
}

// New makes an oracle of the facts. Where an adapter is given, stock Casbin
// loads its rules from it instead of from the facts; rules limited in time are
// then taken as the adapter gives them, except that those which the facts hold
// with a validity are left out while it does not hold.
func New(f access.Facts, a persist.Adapter) (*Oracle, error) {
	o := &Oracle{facts: f, adapter: a, conditions: map[string]*engine.Condition{}, parents: map[access.Scope]access.Scope{}}
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
		return o.foreign(r, now)
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
// that hold at the moment now.
func (o *Oracle) Enforce(now time.Time, values ...any) (allowed bool, rule []string, err error) {
	if err := o.load(now); err != nil {
		return false, nil, err
	}
	return o.enforcer.EnforceEx(slices.Clone(values)...)
}

// foreign answers for a model that is not ours.
func (o *Oracle) foreign(r *access.Request, now time.Time) (access.Decision, error) {
	allowed, values, err := o.Enforce(now, r.Raw...)
	if err != nil {
		// What stock Casbin cannot evaluate is denied.
		return access.Decision{Reason: access.ReasonNoGrant, Revision: o.facts.Revision}, nil //nolint:nilerr // denied is an answer
	}
	v := o.verdict(allowed, values, now)
	return access.Decision{Allowed: v.Allowed, Reason: v.Reason, Rule: v.Rule, Revision: o.facts.Revision}, nil
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

// load makes a fresh enforcer, unless the one at hand was loaded for this moment.
func (o *Oracle) load(now time.Time) error {
	if o.enforcer != nil && o.loaded.Equal(now) {
		return nil
	}
	text := o.facts.Model
	if o.facts.Ours() {
		text = engine.Model(o.facts.Combining)
	}
	m, err := model.NewModelFromString(text)
	if err != nil {
		return fmt.Errorf("read the model: %w", err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return fmt.Errorf("make stock casbin: %w", err)
	}
	if o.facts.Ours() {
		o.functions(e)
	}
	e.SetAdapter(&lines{rules: o.facts.Rules, from: o.adapter, now: now})
	if err := e.LoadPolicy(); err != nil {
		return fmt.Errorf("load the rules into stock casbin: %w", err)
	}
	o.enforcer, o.loaded = e, now
	return nil
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

// lines is an adapter that gives rules in their order, without those that do
// not hold now. It cannot write.
type lines struct {
	persist.Adapter
	rules []access.Rule
	from  persist.Adapter
	now   time.Time
}

// LoadPolicy gives the rules to Casbin.
func (l *lines) LoadPolicy(m model.Model) error {
	if l.from != nil {
		return l.filtered(m)
	}
	for _, r := range l.rules {
		if !r.Validity.At(l.now) {
			continue
		}
		if err := persist.LoadPolicyArray(append([]string{r.Type}, r.Values...), m); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	return nil
}

// filtered loads from the other adapter and takes out what does not hold now,
// keeping the order: Casbin's own removal would move the last rule up.
func (l *lines) filtered(m model.Model) error {
	if err := l.from.LoadPolicy(m); err != nil {
		return err
	}
	dead := map[string]bool{}
	for _, r := range l.rules {
		if !r.Validity.At(l.now) {
			dead[r.String()] = true
		}
	}
	for _, section := range []string{"p", "g"} {
		for key, a := range m[section] {
			kept := slices.DeleteFunc(slices.Clone(a.Policy), func(values []string) bool {
				return dead[access.Rule{Type: key, Values: values}.String()]
			})
			a.Policy, a.PolicyMap = nil, map[string]int{}
			if err := m.AddPolicies(section, key, kept); err != nil {
				return err
			}
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
