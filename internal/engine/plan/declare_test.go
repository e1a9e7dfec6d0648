package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// TestParseFunctions reads what people declare, with the place of every name.
func TestParseFunctions(t *testing.T) {
	f, err := plan.ParseFunctions("f.yaml", []byte("roles: {g2: keyMatch2}\ndomains: {g: globMatch}\nconditions:\n  g3: none\neval: true\n"))
	got := ""
	for _, d := range f.Declarations() {
		got += fmt.Sprintf("%s %s %s at %s:%d; ", d.Kind, d.Definition, d.Name, d.Origin, d.Origin.Column)
	}
	if want := "conditions g3 none at f.yaml:4:7:7; domains g globMatch at f.yaml:2:14:14; roles g2 keyMatch2 at f.yaml:1:13:13; "; err != nil || got != want || !f.Eval {
		t.Errorf("got  %s (eval %v), %v\nwant %s", got, f.Eval, err, want)
	}
	for text, want := range map[string]string{
		"role: {g: keyMatch}":              "f.yaml:1: ",
		"roles: [g]":                       "f.yaml:1: ",
		"\nroles: {g: keymatch}":           `f.yaml:2:12: roles: there is no function "keymatch" for g (did you mean "keyMatch"?)`,
		"conditions:\n  g: keyMatch":       `f.yaml:2:6: conditions: there is no function "keyMatch" for g (write one of: timeMatch, none)`,
		"roles: {g: [keyMatch]}":           "f.yaml:1:12: roles: there is no function",
		"domains: {h: keyMatch}":           `f.yaml:1:14: domains: "h" is no role definition`,
		"roles: {g: keyMatch, g: keyGet2}": "f.yaml:1: ",
	} {
		_, err := plan.ParseFunctions("f.yaml", []byte(text))
		var problems access.Problems
		if !errors.As(err, &problems) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if _, err := plan.ParseFunctions("f.yaml", nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

// timed is a model whose links hold for a time, with a policy of one link.
func timed(t *testing.T, matcher string) *plan.Engine {
	t.Helper()
	return mustCompile(t, plan.Options{
		Model: modelOf("", "g = _, _, (_, _)", "", matcher), Clock: func() time.Time { t.Error("the clock was asked"); return time.Time{} },
		Rules:     mustParse(t, "p, staff, x, y\ng, alice, staff, 2026-01-15 11:00:00, 2026-01-15 13:00:00"),
		Functions: access.Functions{Conditions: map[string]string{"g": "timeMatch"}},
	})
}

// TestEnforceAt: the moment of a question holds for all links, whether the index
// walks them, a term, or the interpreter.
func TestEnforceAt(t *testing.T) {
	for _, matcher := range []string{
		"g(r.sub, p.sub)", "r.obj == p.obj && g(r.sub, p.sub)", "r.obj == p.obj && (g(r.sub, p.sub) ? true : false)",
		"r.obj == p.obj && g(r.sub, p.sub + '')", "r.obj == p.obj && r.act + '' == 'y' && g(r.sub, p.sub)", "g(r.sub, 'staff') && p.sub == 'staff'",
	} {
		e := timed(t, matcher)
		for hour, want := range map[int]bool{10: false, 12: true, 14: false} {
			now := time.Date(2026, 1, 15, hour, 0, 0, 0, time.UTC)
			if a, err := e.EnforceAt(t.Context(), now, "", []any{"alice", "x", "y"}); err != nil || a.Allowed != want {
				t.Errorf("%s at %d: got %v %v, want %v", matcher, hour, a, err, want)
			}
		}
	}
}

// TestEnforceAt_lists: a list that a question brings along is spread over the
// arguments as in stock Casbin.
func TestEnforceAt_lists(t *testing.T) {
	o := plan.Options{
		Model: modelOf("", "g = _, _, (_, _)", "", "g(r.sub.Names, p.sub)"), Rules: mustParse(t, "p, staff, x, y\ng, alice, staff, _, _"),
		Functions: access.Functions{Conditions: map[string]string{"g": "timeMatch"}},
	}
	e, stock := mustCompile(t, o), mustStock(t, o)
	for _, names := range [][]any{{"alice"}, {"bob"}, {}, {5.0}} {
		values := []any{map[string]any{"Names": names}, "x", "y"}
		if got, want := ask(e, o.Rules, "", values), ask(stock, o.Rules, "", values); got != want {
			t.Errorf("%v: got %v, want %v", names, got, want)
		}
	}
}

func mustStock(t *testing.T, o plan.Options) *plan.Stock {
	t.Helper()
	s, err := plan.NewStock(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTurns: at and between two of them the same question has the same answer.
func TestTurns(t *testing.T) {
	e := timed(t, "g(r.sub, p.sub)")
	at := func(hour int) time.Time { return time.Date(2026, 1, 15, hour, 0, 0, 0, time.UTC) }
	if got, want := fmt.Sprint(e.Turns()), fmt.Sprint([]time.Time{at(11).Add(1), at(13)}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for now, want := range map[time.Time]bool{at(11): false, at(11).Add(1): true, at(13).Add(-1): true, at(13): false} {
		if a, err := e.EnforceAt(t.Context(), now, "", []any{"alice", "x", "y"}); err != nil || a.Allowed != want {
			t.Errorf("at %s: got %v %v, want %v", now, a, err, want)
		}
	}
}

// TestPlans_uses: whatever decides besides the matcher's comparisons is told.
func TestPlans_uses(t *testing.T) {
	for name, tc := range map[string]struct {
		fields, roles, effect, matcher string
		functions                      access.Functions
		want                           string
	}{
		"nothing":        {"", "", "", "", access.Functions{}, "[effect allow-override]"},
		"deny override":  {"", "", "!some(where (p.eft == deny))", "", access.Functions{}, "[effect deny-override]"},
		"both":           {"", "", "some(where (p.eft == allow)) && !some(where (p.eft == deny))", "", access.Functions{}, "[effect allow-and-deny]"},
		"priority":       {"priority, sub, obj, act", "", "priority(p.eft) || deny", "", access.Functions{}, "[effect priority rules in the order of p.priority]"},
		"subjects":       {"", "g = _, _", bySubject, "g(r.sub, p.sub)", access.Functions{}, "[effect subject-priority rules in the order of their subjects]"},
		"eval":           {"", "", "", "eval(p.sub)", access.Functions{Eval: true}, "[effect allow-override eval() runs texts of rules as code]"},
		"functions":      {"", "g = _, _, _\ng2 = _, _", "", "g(r.sub, p.sub, r.obj) && g2(r.act, p.act)", access.Functions{Roles: map[string]string{"g2": "regexMatch"}, Domains: map[string]string{"g": "keyMatch"}}, "[effect allow-override domains in g are patterns (keyMatch) names in g2 are patterns (regexMatch)]"},
		"implicit":       {"sub, dom, obj", "g = _, _, _", "", "g(r.sub, p.sub, r.dom) && keyMatch(r.dom, p.dom)", access.Functions{}, "[effect allow-override domains in g are patterns (keyMatch)]"},
		"for a time":     {"", "g = _, _, (_, _)", "", "g(r.sub, p.sub)", access.Functions{Conditions: map[string]string{"g": "timeMatch"}}, "[effect allow-override links of g hold for a time (timeMatch)]"},
		"not heeded":     {"", "g = _, _, (_, _)", "", "g(r.sub, p.sub)", access.Functions{Conditions: map[string]string{"g": "none"}}, "[effect allow-override links of g hold whatever their conditions say (none)]"},
		"not called for": {"", "g = _, _", "", "", access.Functions{Roles: map[string]string{"g": "keyMatch"}}, "[effect allow-override]"},
	} {
		model := modelOf(tc.fields, tc.roles, tc.effect, tc.matcher)
		if strings.Contains(model, "p = sub, dom") {
			model = strings.Replace(model, "r = sub, obj, act", "r = sub, dom, obj", 1)
		}
		e := mustCompile(t, plan.Options{Model: model, Functions: tc.functions})
		if got := fmt.Sprint(e.Plans()[0].Uses); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}
