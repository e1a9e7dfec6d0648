package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// modelOf makes a model of four fields; what is blank is as usual.
func modelOf(p, g, e, m string) string {
	or := func(text, usual string) string {
		if text == "" {
			return usual
		}
		return text
	}
	if g != "" {
		g = "[role_definition]\n" + g + "\n"
	}
	return "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = " + or(p, "sub, obj, act") + "\n" + g +
		"[policy_effect]\ne = " + or(e, "some(where (p.eft == allow))") + "\n[matchers]\nm = " + or(m, "r.sub == p.sub && r.obj == p.obj && r.act == p.act") + "\n"
}

const bySubject = "subjectPriority(p.eft) || deny"

// TestCompile_refuses what stock Casbin fails on later, never finishes, leaves to
// chance, or reads differently from how it is written. The place is the line of
// the model, or of the rule.
func TestCompile_refuses(t *testing.T) {
	roles := func(name string) access.Functions { return access.Functions{Roles: map[string]string{"g": name}} }
	conditions := func(name string) access.Functions {
		return access.Functions{Conditions: map[string]string{"g": name}}
	}
	for name, c := range map[string]struct {
		model, rules string
		functions    access.Functions
		place, code  string
	}{
		"no model":                            {"", "", access.Functions{}, "model.conf", "model-invalid"},
		"an unknown section":                  {modelOf("", "", "", "") + "[matcher]\nx = 1\n", "", access.Functions{}, "model.conf:10", "definition-ignored"},
		"a definition behind a gap":           {modelOf("", "", "", "") + "m3 = true\n", "", access.Functions{}, "model.conf:9", "definition-ignored"},
		"a definition twice":                  {modelOf("", "", "", "") + "m = true\n", "", access.Functions{}, "model.conf:9", "definition-twice"},
		"a field twice":                       {modelOf("sub, sub, act", "", "", ""), "", access.Functions{}, "model.conf:4", "model-field"},
		"four fields of a role":               {modelOf("", "g = _, _, _, _", "", ""), "", access.Functions{}, "model.conf:6", "model-roles"},
		"an effect of its own":                {modelOf("", "", "some(where (p.eft==allow))", ""), "", access.Functions{}, "model.conf:6", "effect-unknown"},
		"an effect of p2":                     {modelOf("", "", "some(where (p2.eft == allow))", ""), "", access.Functions{}, "model.conf:6", "effect-unknown"},
		"subject priority without roles":      {modelOf("", "", bySubject, ""), "", access.Functions{}, "model.conf:6", "model-roles"},
		"a matcher that ends early":           {modelOf("", "", "", "r.sub == p.sub &&"), "", access.Functions{}, "model.conf:8", "matcher-invalid"},
		"a matcher too long":                  {modelOf("", "", "", "true"+strings.Repeat(" && \\\n true", 1200)), "", access.Functions{}, "model.conf:8", "matcher-size"},
		"a matcher nested too deep":           {modelOf("", "", "", strings.Repeat("(", 101)+"true"+strings.Repeat(")", 101)), "", access.Functions{}, "model.conf:8", "matcher-nesting"},
		"a line too long":                     {modelOf("", "", "", strings.Repeat("true && ", 600)+"true"), "", access.Functions{}, "model.conf:8", "model-size"},
		"mixed quotes":                        {modelOf("", "", "", `r.sub == "it's"`), "", access.Functions{}, "model.conf:8", "matcher-quote"},
		"a comment sign in quotes":            {modelOf("", "", "", `r.sub == "a#b" && r.obj == p.obj`), "", access.Functions{}, "model.conf:8", "matcher-comment"},
		"brackets in quotes, and in":          {modelOf("", "", "", `regexMatch(r.obj, '[a-z]') && r.act in ('a', 'b')`), "", access.Functions{}, "model.conf:8", "matcher-literal"},
		"a field name in quotes":              {modelOf("", "", "", `r.sub == 'for p.sub'`), "", access.Functions{}, "model.conf:8", "matcher-literal"},
		"an unknown function":                 {modelOf("", "", "", "mine(r.sub, p.sub)"), "", access.Functions{}, "model.conf:8", "matcher-invalid"},
		"an unknown field":                    {modelOf("", "", "", "r.sub == p.user"), "", access.Functions{}, "model.conf:8", "matcher-invalid"},
		"eval of the question":                {modelOf("", "", "", "p.sub == r.sub && eval(r.obj)"), "", access.Functions{}, "model.conf:8", "matcher-invalid"},
		"a broken pattern in the matcher":     {modelOf("", "", "", "regexMatch(r.sub, '(')"), "", access.Functions{}, "model.conf:8", "matcher-pattern"},
		"a pattern out of the question":       {modelOf("", "", "", "regexMatch(p.sub, r.sub)"), "", access.Functions{}, "model.conf:8", "matcher-pattern"},
		"a computed pattern":                  {modelOf("", "", "", "keyMatch4(r.sub, p.sub + r.obj)"), "", access.Functions{}, "model.conf:8", "matcher-pattern"},
		"one that a question completes":       {modelOf("", "", "", "r.sub =~ p.sub + r.obj"), "", access.Functions{}, "model.conf:8", "matcher-pattern"},
		"a regular expression of a question":  {modelOf("", "", "", "r.sub =~ r.obj"), "", access.Functions{}, "model.conf:8", "matcher-pattern"},
		"an effect that nothing can deny":     {modelOf("", "", "!some(where (p.eft == deny))", "r.sub == r.obj.Owner"), "", access.Functions{}, "model.conf:8", "effect-all"},
		"a rule of no definition":             {modelOf("", "", "", ""), "p2, a, b, c", access.Functions{}, "policy.csv:1", "rule-type"},
		"a rule that is no rule":              {modelOf("", "", "", ""), "m, a, b, c", access.Functions{}, "policy.csv:1", "rule-type"},
		"a short rule":                        {modelOf("", "", "", ""), "p, a, b, c\np, a, b", access.Functions{}, "policy.csv:2", "rule-arity"},
		"a long rule":                         {modelOf("", "", "", ""), "p, a, b, c, d", access.Functions{}, "policy.csv:1", "rule-arity"},
		"a link with a domain too many":       {modelOf("", "g = _, _", "", ""), "g, alice, admin, shop1", access.Functions{}, "policy.csv:1", "rule-arity"},
		"a misspelt effect":                   {modelOf("sub, obj, act, eft", "", "", ""), "p, a, b, c, Deny", access.Functions{}, "policy.csv:1", "rule-effect"},
		"a priority that is no number":        {modelOf("sub, obj, act, priority", "", "", ""), "p, a, b, c, 1\np, a, b, d, x", access.Functions{}, "policy.csv:2", "rule-priority"},
		"rules that Casbin takes for one":     {modelOf("", "", "", ""), "p, \"a,b\", c, d\np, a, \"b,c\", d", access.Functions{}, "policy.csv:2", "rule-comma"},
		"a broken pattern":                    {modelOf("", "", "", "regexMatch(r.obj, p.obj)"), "p, a, b, c\np, a, (, c", access.Functions{}, "policy.csv:2", "rule-pattern"},
		"a broken pattern behind an operator": {modelOf("", "", "", "r.obj =~ p.obj"), "p, a, (, c", access.Functions{}, "policy.csv:1", "rule-pattern"},
		"a group in keyMatch4":                {modelOf("", "", "", "keyMatch4(r.obj, p.obj)"), "p, a, /(x)/{y}, c", access.Functions{}, "policy.csv:1", "rule-pattern"},
		"no address":                          {modelOf("", "", "", "ipMatch(r.obj, p.obj)"), "p, a, home, c", access.Functions{}, "policy.csv:1", "rule-pattern"},
		"a broken glob":                       {modelOf("", "", "", "globMatch(r.obj, p.obj)"), "p, a, [, c", access.Functions{}, "policy.csv:1", "rule-pattern"},
		"a broken name among patterns":        {modelOf("", "g = _, _", "", "g(r.sub, p.sub)"), "g, (, admin", roles("keyMatch2"), "policy.csv:1", "rule-pattern"},
		"a broken subject among patterns":     {modelOf("", "g = _, _", "", "g(r.sub, p.sub)"), "p, (, b, c", roles("regexMatch"), "policy.csv:1", "rule-pattern"},
		"a text that is no expression":        {modelOf("", "", "", "eval(p.sub)"), "p, r.sub ==, b, c", access.Functions{}, "policy.csv:1", "rule-eval"},
		"a text that calls eval":              {modelOf("", "", "", "eval(p.sub)"), "p, eval(p.sub), b, c", access.Functions{}, "policy.csv:1", "rule-eval"},
		"a text with a broken pattern":        {modelOf("", "", "", "eval(p.sub)"), "p, \"regexMatch(r.sub, p.obj)\", (, c", access.Functions{}, "policy.csv:1", "rule-pattern"},
		"a text with another row's pattern":   {modelOf("", "", "", "eval(p.sub)"), "p, r.obj =~ p.obj, a, c\np, r.obj =~ p.obj, (, c", access.Functions{}, "policy.csv:2", "rule-pattern"},
		"a text nested too deep":              {modelOf("", "", "", "eval(p.sub)"), "p, " + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200) + ", b, c", access.Functions{}, "policy.csv:1", "rule-eval"},
		"a circle under subject priority":     {modelOf("", "g = _, _", bySubject, ""), "g, a, b\ng, b, c\ng, c, a", access.Functions{}, "policy.csv:3", "link-circle"},
		"an unsure depth":                     {modelOf("", "g = _, _", bySubject, ""), "g, a, top\ng, a, b\ng, b, other\np, a, b, c", access.Functions{}, "policy.csv:4", "link-depth"},
		"too many ways":                       {modelOf("", "g = _, _", bySubject, ""), ladder(25), access.Functions{}, "policy.csv:3", "link-ways"},
		"conditions not declared":             {modelOf("", "g = _, _, (_, _)", "", ""), "", access.Functions{}, "model.conf:6", "function-missing"},
		"a time that is none":                 {modelOf("", "g = _, _, (_, _)", "", ""), "g, a, b, yesterday, _", conditions("timeMatch"), "policy.csv:1", "rule-condition"},
		"conditions with a stray domain":      {modelOf("", "g = _, _, (_, _)", "", "g(r.sub, p.sub, r.obj)"), "", conditions("timeMatch"), "model.conf:10", "matcher-invalid"},
		"a function for no definition":        {modelOf("", "", "", ""), "", roles("keyMatch"), "model.conf", "function-misplaced"},
		"a function nobody knows":             {modelOf("", "g = _, _", "", ""), "", roles("mine"), "model.conf", "function-unknown"},
		"domains where there are none":        {modelOf("", "g = _, _", "", ""), "", access.Functions{Domains: map[string]string{"g": "keyMatch"}}, "model.conf:6", "function-misplaced"},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := plan.ParsePolicy("policy.csv", []byte(c.rules))
			if err != nil {
				t.Fatal(err)
			}
			c.functions.Eval = true
			_, err = plan.Compile(plan.Options{Model: c.model, Rules: rules, Functions: c.functions})
			var problems access.Problems
			if !errors.As(err, &problems) || !errors.Is(err, access.ErrInvalid) {
				t.Fatalf("got %v, want a problem %s", err, c.code)
			}
			if p := problems[0]; p.Code != c.code || p.Origin.String() != c.place {
				t.Errorf("got %v\nwant %s at %s", p, c.code, c.place)
			}
		})
	}
}

// ladder is a graph with 2^n ways from top to bottom.
func ladder(n int) string {
	var b strings.Builder
	for i := range n {
		for _, from := range []string{"a", "b"} {
			for _, to := range []string{"a", "b"} {
				b.WriteString("g, " + from + strings.Repeat("x", i+1) + ", " + to + strings.Repeat("x", i) + "\n")
			}
		}
	}
	return b.String()
}

// TestCompile_eval is allowed by a setting only.
func TestCompile_eval(t *testing.T) {
	o := plan.Options{Model: modelOf("", "", "", "eval(p.sub)")}
	if _, err := plan.Compile(o); err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("got %v", err)
	}
	o.Functions.Eval = true
	if _, err := plan.Compile(o); err != nil {
		t.Error(err)
	}
}

// TestParsePolicy_mistakes have their line.
func TestParsePolicy_mistakes(t *testing.T) {
	for text, want := range map[string]string{
		"p, a\n\"": "policy.csv:2", "# x\n, a": "policy.csv:2", "p, " + strings.Repeat("x", 70_000): "policy.csv:1",
	} {
		_, err := plan.ParsePolicy("policy.csv", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want+": ") {
			t.Errorf("%.20q: got %v, want %s", text, err, want)
		}
	}
}
