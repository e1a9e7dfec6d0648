package plan_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

const modelHead = `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act%s
[role_definition]
g = _, _
[policy_effect]
e = %s
[matchers]
m = %s
`

// shape is a kind of policy that people have, in any size.
type shape struct {
	name  string
	model string
	rules func(n int) []access.Rule
	ask   func(n int) []any // allowed by a rule in the middle
	slow  int               // from this size on a question takes stock Casbin seconds
}

func line(kind string, values ...string) access.Rule { return access.Rule{Type: kind, Values: values} }

var shapes = []shape{
	{
		"rbac", fmt.Sprintf(modelHead, "", "some(where (p.eft == allow))", "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act"),
		func(n int) (rules []access.Rule) { // ten users to each role, as in Casbin's own benchmark
			for i := range n / 11 {
				role := fmt.Sprint("group", i)
				rules = append(rules, line("p", role, fmt.Sprint("data", i/10), "read"))
				for j := range 10 {
					rules = append(rules, line("g", fmt.Sprint("user", i*10+j), role))
				}
			}
			return rules
		},
		func(n int) []any {
			i := n / 22
			return []any{fmt.Sprint("user", i*10+1), fmt.Sprint("data", i/10), "read"}
		},
		2_000_000,
	},
	{
		"acl", fmt.Sprintf(modelHead, "", "some(where (p.eft == allow))", "r.sub == p.sub && r.obj == p.obj && r.act == p.act"),
		func(n int) (rules []access.Rule) {
			for i := range n {
				rules = append(rules, line("p", fmt.Sprint("user", i), fmt.Sprint("data", i/10), "read"))
			}
			return rules
		},
		func(n int) []any { return []any{fmt.Sprint("user", n/2), fmt.Sprint("data", n/20), "read"} },
		2_000_000,
	},
	{
		"rest", fmt.Sprintf(modelHead, "", "some(where (p.eft == allow))", "r.sub == p.sub && keyMatch(r.obj, p.obj) && regexMatch(r.act, p.act)"),
		func(n int) (rules []access.Rule) { // a hundred resources to each service
			for i := range n {
				rules = append(rules, line("p", fmt.Sprint("service", i/100), fmt.Sprintf("/api/v1/resource%d/*", i%100), []string{"GET", "(GET)|(POST)"}[i%2]))
			}
			return rules
		},
		func(n int) []any {
			return []any{fmt.Sprint("service", n/200), fmt.Sprintf("/api/v1/resource%d/17", n/2%100), "GET"}
		},
		2_000_000,
	},
	{
		"priority", fmt.Sprintf(modelHead, ", eft", "priority(p.eft) || deny", "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act"),
		func(n int) (rules []access.Rule) {
			for i := range n {
				rules = append(rules, line("p", fmt.Sprint("user", i/2), fmt.Sprint("data", i/20), "read", []string{"allow", "deny"}[i%2]))
			}
			return rules
		},
		func(n int) []any { return []any{fmt.Sprint("user", n/4), fmt.Sprint("data", n/40), "read"} },
		20_000, // stock Casbin takes time in the square of the rules
	},
}

// sizes are the numbers of rules; the large ones only with BAILIWICK_SOAK=1.
func sizes() []int {
	if os.Getenv("BAILIWICK_SOAK") != "" {
		return []int{1_100, 11_000, 110_000, 1_100_000}
	}
	return []int{1_100, 11_000, 110_000}
}

// BenchmarkEnforce asks one question that is allowed, and one that is not.
func BenchmarkEnforce(b *testing.B) {
	for _, s := range shapes {
		for _, n := range sizes() {
			o := plan.Options{Model: s.model, Rules: s.rules(n)}
			allowed := s.ask(n)
			denied := []any{allowed[0], allowed[1], "nothing"}
			b.Run(fmt.Sprintf("%s/%d/ours", s.name, n), func(b *testing.B) {
				e, size := measured(b, o)
				ask := func(values []any, want bool) func(*testing.B) {
					return func(b *testing.B) {
						b.Helper()
						b.ReportAllocs()
						for b.Loop() {
							if a, err := e.Enforce("", values); err != nil || a.Allowed != want {
								b.Fatal(a, err)
							}
						}
						b.ReportMetric(size, "B/rule")
					}
				}
				b.Run("allow", ask(allowed, true))
				b.Run("deny", ask(denied, false))
			})
			b.Run(fmt.Sprintf("%s/%d/stock", s.name, n), func(b *testing.B) {
				if n >= s.slow || (n > 20_000 && os.Getenv("BAILIWICK_SOAK") == "") {
					b.Skip("it would take stock Casbin too long")
				}
				e, err := plan.NewStock(o)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if a, err := e.Enforce("", allowed); err != nil || !a.Allowed {
						b.Fatal(a, err)
					}
				}
			})
		}
	}
}

// measured compiles, and tells how much memory the engine keeps for each rule,
// their texts and all.
func measured(tb testing.TB, o plan.Options) (*plan.Engine, float64) {
	tb.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	e, err := plan.Compile(o)
	if err != nil {
		tb.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(o)
	return e, float64(after.HeapAlloc-before.HeapAlloc) / float64(len(o.Rules))
}

// BenchmarkCompile loads policies.
func BenchmarkCompile(b *testing.B) {
	for _, s := range shapes {
		for _, n := range sizes() {
			o := plan.Options{Model: s.model, Rules: s.rules(n)}
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := plan.Compile(o); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
