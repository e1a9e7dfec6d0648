package plan_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// exampleFunctions are what Casbin's own tests register for its examples.
var exampleFunctions = map[string]access.Functions{
	"rbac_with_pattern_model.conf":                  {Roles: map[string]string{"g2": "keyMatch2"}},
	"rbac_with_all_pattern_model.conf":              {Roles: map[string]string{"g": "keyMatch2"}, Domains: map[string]string{"g": "keyMatch2"}},
	"rbac_with_domain_pattern_model.conf":           {Domains: map[string]string{"g": "keyMatch2"}},
	"rbac_with_pattern_large_scale_model.conf":      {Roles: map[string]string{"g": "keyMatch4"}},
	"rbac_with_temporal_roles_model.conf":           {Conditions: map[string]string{"g": "timeMatch"}},
	"rbac_with_domain_temporal_roles_model.conf":    {Conditions: map[string]string{"g": "timeMatch"}},
	"rbac_with_domains_conditional_model.conf":      {Conditions: map[string]string{"g": "timeMatch"}},
	"rbac_with_different_types_of_roles_model.conf": {Conditions: map[string]string{"g": "timeMatch"}},
}

// exampleRefusals are the examples that we refuse although stock Casbin loads
// them, by model or by model and policy, with the code of the problem.
var exampleRefusals = map[string]string{
	// The function is not among Casbin's: stock errs at every question.
	"keymatch_custom_model.conf": "matcher-invalid",
	// Its second matcher names a field of another definition: stock errs at it.
	"rbac_with_multiple_policy_model.conf": "matcher-invalid",
	// Rules meant for another model: their effect is no effect, so stock passes
	// over them in silence; or their text is no text to evaluate, so stock errs.
	"*": "rule-effect rule-eval rule-pattern rule-arity",
}

func examples(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/casbin/casbin/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "examples")
}

func files(t *testing.T, pattern ...string) []string {
	t.Helper()
	var all []string
	for _, p := range pattern {
		found, err := filepath.Glob(p)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %d files", p, err, len(found))
		}
		all = append(all, found...)
	}
	return all
}

// TestExamples puts every policy that Casbin ships under every model that it
// ships. Where stock Casbin loads them, the answers are the same or the refusal
// is one of those stated above.
func TestExamples(t *testing.T) {
	dir := examples(t)
	models := files(t, filepath.Join(dir, "*.conf"), filepath.Join(dir, "performance", "*.conf"))
	policies := files(t, filepath.Join(dir, "*.csv"), filepath.Join(dir, "performance", "*.csv"))
	if raced {
		models, policies = models[:20], policies[:20]
	}
	pairs, asked := 0, 0
	for _, model := range models {
		before := asked
		for _, policy := range policies {
			n := tryExample(t, model, policy)
			if n > 0 {
				pairs++
			}
			asked += n
		}
		if name := filepath.Base(model); asked == before && exampleRefusals[name] == "" {
			t.Errorf("%s: no policy was compared under it", name)
		}
	}
	t.Logf("%d models, %d policies: %d pairs that stock Casbin loads, %d questions", len(models), len(policies), pairs, asked)
}

func tryExample(t *testing.T, model, policy string) (asked int) {
	t.Helper()
	name := filepath.Base(model)
	text, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := plan.ParsePolicy(filepath.Base(policy), lines)
	if err != nil {
		t.Fatalf("%s: %v", policy, err)
	}
	o := plan.Options{Model: string(text), Rules: rules, Functions: exampleFunctions[name]}
	o.Functions.Eval = true
	stock, stockErr := plan.NewStock(o)
	ours, err := plan.Compile(o)
	if err != nil {
		var problems access.Problems
		if !errors.As(err, &problems) {
			t.Fatal(err)
		}
		if code := problems[0].Code; stockErr == nil && !strings.Contains(exampleRefusals[name]+" "+exampleRefusals["*"], code) {
			t.Errorf("%s with %s: refused: %v", name, filepath.Base(policy), problems[0])
		}
		return 0
	}
	if stockErr != nil {
		t.Fatalf("%s with %s: stock does not load it: %v", name, filepath.Base(policy), stockErr)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, info := range ours.Plans() {
		for range 60 {
			values := exampleRequest(r, width(string(text), info.Set), rules)
			got, want := ask(ours, rules, info.Set, values), ask(stock, rules, info.Set, values)
			if got != want {
				t.Fatalf("%s with %s, set %q, plan %s, %v\ngot  %v\nwant %v", name, filepath.Base(policy), info.Set, info.Name, values, got, want)
			}
			asked++
		}
	}
	return asked
}

// width is how many fields the request definition of a set has.
func width(model, set string) int {
	for _, key := range []string{"r" + set, "r"} {
		for line := range strings.Lines(model) {
			if name, fields, ok := strings.Cut(line, "="); ok && strings.TrimSpace(name) == key {
				return strings.Count(fields, ",") + 1
			}
		}
	}
	return 0
}

// exampleRequest takes its values from anywhere in the rules, so that some fit.
func exampleRequest(r *rand.Rand, width int, rules []access.Rule) []any {
	values := make([]any, width)
	rule := rules[r.IntN(len(rules))]
	for i := range values {
		values[i] = "nobody"
		switch n := r.IntN(20); {
		case n < 11 && i < len(rule.Values):
			values[i] = rule.Values[i]
		case n < 13:
			other := rules[r.IntN(len(rules))]
			values[i] = other.Values[r.IntN(len(other.Values))]
		case n < 15:
			values[i] = map[string]any{"Age": r.IntN(80), "Name": "alice", "Owner": "alice", "Sub": "alice"}
		case n < 17:
			values[i] = r.IntN(4)
		case n < 18:
			values[i] = fmt.Sprintf("/foo/%d", r.IntN(3))
		}
	}
	return values
}
