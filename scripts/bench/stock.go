package main

import (
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

// stockCasbin loads stock Casbin as its documentation shows, and gives a
// function that asks it. Under our own model it needs some functions of ours,
// which the oracle of the differential tests has.
func stockCasbin(f access.Facts) (ask func(access.Request) (bool, error), err error) {
	if f.Ours() {
		return stockWithOurModel(f)
	}
	m, err := model.NewModelFromString(f.Model)
	if err != nil {
		return nil, err
	}
	e, err := casbin.NewEnforcer(m, &lines{rules: f.Rules})
	if err != nil {
		return nil, err
	}
	return func(r access.Request) (bool, error) { return e.Enforce(r.Raw...) }, nil
}

// lines gives an enforcer rules in their order. It cannot write.
type lines struct {
	persist.Adapter
	rules []access.Rule
}

// LoadPolicy gives the rules.
func (l *lines) LoadPolicy(m model.Model) error {
	for _, r := range l.rules {
		if err := persist.LoadPolicyArray(append([]string{r.Type}, r.Values...), m); err != nil {
			return err
		}
	}
	return nil
}

func stockWithOurModel(f access.Facts) (func(access.Request) (bool, error), error) {
	o, err := oracle.New(f, nil)
	if err != nil {
		return nil, err
	}
	parents := map[access.Scope]access.Scope{}
	for _, n := range f.Scopes {
		parents[n.Scope] = n.Parent
	}
	now, none := time.Now(), map[string]any{}
	_, _, _ = o.Enforce(now) // loads, and is refused for want of values
	return func(r access.Request) (bool, error) {
		path, _ := r.Scope.Path(parents)
		allowed, _, err := o.Enforce(now, r.Subject.Rule(), string(path), string(r.Section), r.Actions[0].Rule(), none)
		return allowed, err
	}, nil
}
