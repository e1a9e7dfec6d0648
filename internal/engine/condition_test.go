package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// TestCheckCondition_refused shows what cannot be written as a condition.
func TestCheckCondition_refused(t *testing.T) {
	for name, tc := range map[string]struct{ text, says string }{
		"empty":                     {"", "1:"},
		"unknown variable":          {"subject.id == 'a' && user.age > 3", "1:22: undeclared reference"},
		"not a truth":               {"subject.id", "true or false is wanted"},
		"a number":                  {"1 + 2", "true or false is wanted"},
		"macro":                     {"context.list.all(x, x > 1)", "undeclared reference"},
		"has is a macro too":        {"has(context.ip)", "undeclared reference"},
		"comparison of types":       {"subject.id == 'a' && 1 == 'one'", "found no matching overload"},
		"too long":                  {"subject.id == '" + strings.Repeat("a", engine.MaxCondition) + "'", "is the limit"},
		"too deep":                  {strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500), "recursion"},
		"bad pattern":               {"subject.id.matches('(')", "missing"},
		"pattern too large":         {"subject.id.matches('a{999}b{999}')", "exceeds"},
		"pattern from the request":  {strings.Repeat("string(context.a).matches(string(context.b)) && ", 20) + "true", "could cost"},
		"says which text":           {"a b", `in "a b"`},
		"second line has its place": {"subject.id == 'a' &&\n  nobody", "2:3: undeclared reference"},
	} {
		t.Run(name, func(t *testing.T) {
			err := engine.CheckCondition(tc.text)
			if !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want one that says %q", err, tc.says)
			}
		})
	}
}

// TestCondition_Holds shows what conditions see and that an error is never a yes.
// Req 65: lists of permitted addresses by inRange.
func TestCondition_Holds(t *testing.T) {
	variables := map[string]any{
		"subject":  map[string]any{"id": "op-1", "type": "user", "level": float64(3)},
		"resource": map[string]any{"amount": float64(999), "tags": []any{"a", "b"}},
		"action":   map[string]any{"name": "show"},
		"context":  map[string]any{"ip": "10.1.2.3", "mapped": "::ffff:10.1.2.3"},
		"now":      time.Date(2026, 7, 1, 21, 30, 0, 0, time.UTC),
	}
	for text, want := range map[string]string{
		"resource.amount < 1000":                      "true",
		"resource.amount == 999":                      "true",
		"subject.level >= 3 && action.name == 'show'": "true",
		"'b' in resource.tags":                        "true",
		"'port' in context":                           "false",
		"context.port == 1":                           "error",
		"context.port == 1 || subject.id == 'op-1'":   "true",
		"resource.amount < 'x'":                       "error",
		"now.getHours('Europe/Berlin') == 23":         "true",
		"now.getHours() == 21":                        "true",
		"now.getHours('Nowhere/At-all') == 21":        "error",
		"inRange(context.ip, '10.0.0.0/8')":           "true",
		"inRange(context.ip, '10.1.2.3')":             "true",
		"inRange(context.mapped, '10.0.0.0/8')":       "true",
		"inRange(context.ip, '192.168.0.0/16')":       "false",
		"inRange('ten', '10.0.0.0/8')":                "error",
		"inRange(context.ip, '10.0.0.0/99')":          "error",
		"inRange(context.ip, 'ten')":                  "error",
		"inRange(context.nothing, '10.0.0.0/8')":      "error",
	} {
		t.Run(text, func(t *testing.T) {
			c, err := engine.CompileCondition(text)
			if err != nil {
				t.Fatal(err)
			}
			got := "error"
			if held, err := c.Holds(variables); err == nil {
				got = map[bool]string{true: "true", false: "false"}[held]
			} else if held {
				t.Error("an error came with a yes")
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if c.ReadsNow() != strings.Contains(text, "now.") {
				t.Errorf("ReadsNow is %v", c.ReadsNow())
			}
		})
	}
}
