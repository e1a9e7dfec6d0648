package plan

import (
	"fmt"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"
	"github.com/casbin/casbin/v2/rbac"
	"github.com/casbin/casbin/v2/util"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Stock is stock Casbin with the same options: the reference that an Engine is
// held to, in tests and wherever somebody wants to see for himself. It is slow,
// remembers every question, and may never come back from a policy that Compile
// refuses. It is for one goroutine.
type Stock struct {
	options  Options
	enforcer *casbin.Enforcer
	numbers  map[string]int // of rules, by type and values
}

// NewStock loads stock Casbin and registers functions as an application would.
func NewStock(o Options) (*Stock, error) {
	s := &Stock{options: o, numbers: make(map[string]int, len(o.Rules))}
	for i, r := range o.Rules {
		if _, ok := s.numbers[identity(r.Type, r.Values)]; !ok {
			s.numbers[identity(r.Type, r.Values)] = i
		}
	}
	return s, s.load()
}

func identity(kind string, values []string) string {
	return kind + "\x00" + strings.Join(values, "\x00")
}

func (s *Stock) load() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("load stock casbin: panic: %v", p)
		}
	}()
	m, err := model.NewModelFromString(s.options.Model)
	if err != nil {
		return fmt.Errorf("read the model with stock casbin: %w", err)
	}
	if s.enforcer, err = casbin.NewEnforcer(m); err != nil {
		return fmt.Errorf("make stock casbin's enforcer: %w", err)
	}
	for key, name := range s.options.Functions.Roles {
		s.enforcer.AddNamedMatchingFunc(key, name, stockMatching(name))
	}
	for key, name := range s.options.Functions.Domains {
		s.enforcer.AddNamedDomainMatchingFunc(key, name, stockMatching(name))
	}
	s.enforcer.SetAdapter(&rulesAdapter{rules: s.options.Rules})
	if err := s.enforcer.LoadPolicy(); err != nil {
		return fmt.Errorf("load the rules into stock casbin: %w", err)
	}
	for key, name := range s.options.Functions.Conditions {
		if name == "timeMatch" {
			s.addConditions(key)
		}
	}
	return nil
}

func stockMatching(name string) rbac.MatchingFunc {
	function := builtins[name]
	return func(a, b string) bool {
		matched, err := function(a, b)
		return err == nil && matched.(bool)
	}
}

func (s *Stock) addConditions(key string) {
	domained := len(s.enforcer.GetModel()["g"][key].Tokens) > 2
	for _, r := range s.options.Rules {
		switch {
		case r.Type != key:
		case domained:
			s.enforcer.AddNamedDomainLinkConditionFunc(key, r.Values[0], r.Values[1], r.Values[2], util.TimeMatchFunc)
		default:
			s.enforcer.AddNamedLinkConditionFunc(key, r.Values[0], r.Values[1], util.TimeMatchFunc)
		}
	}
}

// rulesAdapter gives an enforcer rules in their order. It cannot write.
type rulesAdapter struct {
	persist.Adapter
	rules []access.Rule
}

// LoadPolicy gives the rules.
func (a *rulesAdapter) LoadPolicy(m model.Model) error {
	for _, r := range a.rules {
		if err := persist.LoadPolicyArray(append([]string{r.Type}, r.Values...), m); err != nil {
			return err
		}
	}
	return nil
}

// Enforce asks stock Casbin what Engine.Enforce is asked. Where the matcher
// mentions no rule Casbin names the first one, which decided nothing: here it is
// none.
func (s *Stock) Enforce(set string, values []any) (Answer, error) {
	m := s.enforcer.GetModel()
	p := (&Model{model: m}).partsOf(set)
	context := casbin.EnforceContext{RType: p.r, PType: p.p, EType: p.e, MType: p.m}
	allowed, rule, err := s.enforcer.EnforceEx(append([]any{context}, values...)...)
	if err != nil {
		return noAnswer, s.failed(err)
	}
	a := Answer{Allowed: allowed, Rule: -1}
	if number, ok := s.numbers[identity(p.p, rule)]; ok && len(rule) > 0 && readsRules(m["m"][p.m].Value, p.p) {
		a.Rule = number
	}
	return a, nil
}

// failed loads stock Casbin anew where a question has spoiled it: a name that is
// a broken pattern stays in its role manager and fails all later questions.
func (s *Stock) failed(err error) error {
	first, _, _ := strings.Cut(err.Error(), "\n")
	if strings.HasPrefix(first, "panic") && len(s.options.Functions.Roles) > 0 {
		if err := s.load(); err != nil {
			return err
		}
	}
	return &EvaluationError{-1, fmt.Errorf("%s", first)}
}
