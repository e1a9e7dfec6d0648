package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"
	"github.com/casbin/casbin/v2/rbac"
	"github.com/casbin/casbin/v2/util"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// stockFunctions are Casbin's functions as a role manager takes them.
var stockFunctions = map[string]rbac.MatchingFunc{
	"keyMatch": util.KeyMatch, "keyMatch2": util.KeyMatch2, "keyMatch3": util.KeyMatch3, "keyMatch4": util.KeyMatch4,
	"keyMatch5": util.KeyMatch5, "regexMatch": util.RegexMatch,
	"globMatch": func(a, b string) bool { ok, err := util.GlobMatch(a, b); return ok && err == nil },
}

// rulesAdapter gives an enforcer rules in their order.
type rulesAdapter struct {
	persist.Adapter
	rules []access.Rule
}

func (a *rulesAdapter) LoadPolicy(m model.Model) error {
	for _, r := range a.rules {
		if err := persist.LoadPolicyArray(append([]string{r.Type}, r.Values...), m); err != nil {
			return err
		}
	}
	return nil
}

// newStock is stock Casbin, freshly loaded, with functions registered as an
// application would.
func newStock(o plan.Options) (*casbin.Enforcer, error) {
	m, err := model.NewModelFromString(o.Model)
	if err != nil {
		return nil, err
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, err
	}
	for key, name := range o.Functions.Roles {
		if !e.AddNamedMatchingFunc(key, name, stockFunctions[name]) {
			return nil, fmt.Errorf("no role manager %s", key)
		}
	}
	for key, name := range o.Functions.Domains {
		if !e.AddNamedDomainMatchingFunc(key, name, stockFunctions[name]) {
			return nil, fmt.Errorf("no role manager %s", key)
		}
	}
	e.SetAdapter(&rulesAdapter{rules: o.Rules})
	if err := e.LoadPolicy(); err != nil {
		return nil, err
	}
	for key, name := range o.Functions.Conditions {
		if name == "timeMatch" {
			addConditions(e, key, o.Rules)
		}
	}
	return e, nil
}

func addConditions(e *casbin.Enforcer, key string, rules []access.Rule) {
	domained := len(e.GetModel()["g"][key].Tokens) > 2
	for _, r := range rules {
		switch {
		case r.Type != key:
		case domained:
			e.AddNamedDomainLinkConditionFunc(key, r.Values[0], r.Values[1], r.Values[2], util.TimeMatchFunc)
		default:
			e.AddNamedLinkConditionFunc(key, r.Values[0], r.Values[1], util.TimeMatchFunc)
		}
	}
}

// verdict is an answer in a form that both sides have.
type verdict struct {
	allowed bool
	rule    string
	err     string
}

func (v verdict) String() string { return fmt.Sprintf("%v by [%s] %s", v.allowed, v.rule, v.err) }

// contextOf names the definitions of a set as an application would.
func contextOf(m model.Model, set string) casbin.EnforceContext {
	or := func(letter string) string {
		if m[letter][letter+set] != nil {
			return letter + set
		}
		return letter
	}
	return casbin.EnforceContext{RType: or("r"), PType: or("p"), EType: or("e"), MType: or("m")}
}

func askStock(e *casbin.Enforcer, set string, values []any) verdict {
	context := contextOf(e.GetModel(), set)
	arguments := append([]any{context}, values...)
	allowed, rule, err := e.EnforceEx(arguments...)
	v := verdict{allowed: allowed, rule: strings.Join(rule, ", "), err: firstLine(err)}
	m := e.GetModel()
	if !strings.Contains(m["m"][context.MType].Value, context.PType+"_") {
		v.rule = "" // Casbin names the first rule here, which decided nothing
	}
	if err != nil {
		v.rule = ""
	}
	return v
}

func askOurs(e *plan.Engine, rules []access.Rule, set string, values []any) verdict {
	a, err := e.Enforce(set, values)
	v := verdict{allowed: a.Allowed}
	if a.Rule >= 0 {
		v.rule = strings.Join(rules[a.Rule].Values, ", ")
	}
	if err != nil {
		var at *plan.EvaluationError
		if errors.As(err, &at) {
			err = at.Err
		}
		v.err = firstLine(err)
		if errors.Is(err, access.ErrInvalid) {
			v.err = "invalid request size"
		}
	}
	return v
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	if strings.HasPrefix(line, "invalid request size") {
		return "invalid request size"
	}
	if line == "" {
		return "error"
	}
	if _, cause, ok := strings.Cut(line, "error parsing regexp: "); ok {
		return "panic: " + cause // MustCompile words it differently from Compile
	}
	return line
}

// within gives what f gives, or false if that takes too long: stock Casbin can
// hang.
func within[T any](limit time.Duration, f func() T) (T, bool) {
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case v := <-done:
		return v, true
	case <-time.After(limit):
		var none T
		return none, false
	}
}

func sprint(parts ...any) string { return fmt.Sprint(parts...) }
