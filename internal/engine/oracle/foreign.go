package oracle

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/casbin/casbin/v2/model"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// loadForeign loads stock Casbin with a model of the tenant's own.
func (o *Oracle) loadForeign(now time.Time) error {
	rules, err := o.held(o.facts.Model, now)
	if err != nil {
		return err
	}
	stock, err := plan.NewStock(plan.Options{Model: o.facts.Model, Rules: rules, Functions: o.facts.Functions})
	if err != nil {
		return err
	}
	o.stock, o.rules = stock, rules
	return nil
}

// foreign answers for a model of the tenant's own. Stock Casbin is not asked
// where the account may not be used, or where it would let a matcher decide that
// reads rules and finds none.
func (o *Oracle) foreign(r *access.Request) (access.Decision, error) {
	d := access.Decision{Reason: access.ReasonNoGrant, Revision: o.facts.Revision}
	s, err := o.setOf(r)
	if err != nil {
		d.Reason = access.ReasonRequestInvalid
		return d, err
	}
	if status := o.status(s); status != access.UserActive {
		d.Reason, d.Detail = access.ReasonSubjectDisabled, string(status)
		return d, nil
	}
	if s.reads && !slices.ContainsFunc(o.rules, func(r access.Rule) bool { return r.Type == s.rules }) {
		return d, nil
	}
	answer, err := o.stock.Enforce(r.RawSet, s.values)
	var failed *plan.EvaluationError
	if errors.As(err, &failed) {
		d.Detail = failed.Error()
		return d, nil
	}
	if err != nil {
		return access.Decision{}, err
	}
	d.Allowed = answer.Allowed
	if answer.Rule >= 0 {
		d.Rule, d.Reason = &o.rules[answer.Rule], access.ReasonDeniedBy
	}
	if answer.Allowed {
		d.Reason = access.ReasonGrantedBy
	}
	return d, nil
}

// set is a question, and the definitions that answer it.
type set struct {
	values  []any
	subject string // the value of the field sub, where it is a text
	rules   string // "p" or "p2"
	reads   bool   // the matcher mentions rules
}

func (o *Oracle) setOf(r *access.Request) (set, error) {
	m, err := model.NewModelFromString(o.facts.Model)
	if err != nil {
		return set{}, err
	}
	def := definition(m, r.RawSet)
	if m["m"]["m"+r.RawSet] == nil {
		return set{}, access.Invalid("context_set", "%q is not defined", r.RawSet)
	}
	request := def("r")
	if len(r.Raw) != len(request.Tokens) {
		return set{}, access.Invalid("request", "has %d values instead of %d", len(r.Raw), len(request.Tokens))
	}
	s := set{rules: def("p").Key, values: slices.Clone(r.Raw)}
	s.reads = strings.Contains(def("m").Value, s.rules+"_")
	for i, token := range request.Tokens {
		if s.values[i], err = value(s.values[i]); err != nil {
			return set{}, err
		}
		if text, ok := s.values[i].(string); ok && token == request.Key+"_sub" {
			s.subject = text
		}
	}
	return s, nil
}

// definition finds the definitions of a set: the plain one where there is none of
// its number.
func definition(m model.Model, set string) func(letter string) *model.Assertion {
	return func(letter string) *model.Assertion {
		if a := m[letter][letter+set]; a != nil {
			return a
		}
		return m[letter][letter]
	}
}

// value refuses what no question may hold.
func value(v any) (any, error) {
	switch v := v.(type) {
	case string:
		if v != "" {
			return v, nil
		}
	case bool, float64, int, int64:
		return v, nil
	case json.Number:
		if n, err := v.Float64(); err == nil {
			return n, nil
		}
	case map[string]any:
		if v != nil {
			return v, nil
		}
	}
	return nil, access.Invalid("request", "%v cannot be asked about", v)
}

// status finds the account of whom the question is about, by its id or its name
// in rules. Whoever has none is not hindered.
func (o *Oracle) status(s set) access.UserStatus {
	for _, id := range []string{s.subject, strings.TrimPrefix(s.subject, "u:")} {
		for _, u := range o.facts.Users {
			if u.ID == id && u.Status != "" && u.Status != access.UserActive {
				return u.Status
			}
		}
	}
	return access.UserActive
}
