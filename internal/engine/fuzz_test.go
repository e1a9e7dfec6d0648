package engine_test

import (
	"errors"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// FuzzModel: whatever stands in a model, reading it ends, with problems or with
// a snapshot that never allows where stock Casbin errs and never panics.
func FuzzModel(f *testing.F) {
	for _, text := range []string{aclModel, engine.Model(access.DenyOverrides), engine.Model(access.AllowOverrides), "", "[matchers]\nm = ((("} {
		f.Add(text, "alice")
	}
	f.Fuzz(func(t *testing.T, text, subject string) {
		kept, _, err := engine.ModelOf(text)
		if err != nil {
			if !errors.Is(err, access.ErrInvalid) {
				t.Errorf("%v is not of a known kind", err)
			}
			return
		}
		if kept == "" {
			return
		}
		rules := []access.Rule{{Type: "p", Values: []string{"alice", "data1", "read", "allow"}}}
		s, err := engine.Compile(access.Facts{Tenant: "t", Model: kept, Rules: rules})
		if err != nil {
			if !errors.Is(err, access.ErrInvalid) {
				t.Errorf("%v is not of a known kind", err)
			}
			return
		}
		d, err := s.Decide(&access.Request{Raw: []any{subject, "data1", "read"}}, clock)
		if err != nil && d.Allowed {
			t.Error("an error came with a yes")
		}
		if d.Allowed {
			m, err := model.NewModelFromString(kept)
			if err != nil {
				t.Fatal(err)
			}
			stock, err := casbin.NewEnforcer(m)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stock.AddPolicy("alice", "data1", "read", "allow"); err != nil {
				t.Fatal(err)
			}
			if ok, err := stock.Enforce(subject, "data1", "read"); !ok || err != nil {
				t.Errorf("stock Casbin says %v, %v", ok, err)
			}
		}
	})
}

// FuzzCondition: whatever is written as a condition, compiling it ends, and what
// compiles can be evaluated, an error never being a yes.
func FuzzCondition(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Add("subject.a.b[3].matches('(a+)+$') || now + duration('1h') > now")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := engine.CompileCondition(text)
		if err != nil {
			if !errors.Is(err, access.ErrInvalid) {
				t.Errorf("%v is not of a known kind", err)
			}
			return
		}
		held, err := c.Holds(map[string]any{
			"subject": map[string]any{"id": "1"}, "resource": map[string]any{}, "action": map[string]any{},
			"context": map[string]any{}, "now": clock,
		})
		if err != nil && held {
			t.Error("an error came with a yes")
		}
	})
}
