package plan_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

func mustCompile(t *testing.T, o plan.Options) *plan.Engine {
	t.Helper()
	e, err := plan.Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mustParse(t *testing.T, text string) []access.Rule {
	t.Helper()
	rules, err := plan.ParsePolicy("policy.csv", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// TestPlans shows which plan a matcher gets, and why.
func TestPlans(t *testing.T) {
	for matcher, want := range map[string]string{
		"r.sub == p.sub && r.obj == p.obj":                        "native: the matcher is understood as a whole; rules are found by p.sub, p.obj",
		"g(r.sub, p.sub) && (r.obj == p.obj || p.obj == '*')":     "native: the matcher is understood as a whole; rules are found by p.sub (through roles), p.obj",
		"r.sub == p.sub || r.sub == 'root'":                       "native: the matcher is understood as a whole; rules are found by p.sub, or by the question alone",
		"r.sub != p.sub":                                          "native: the matcher is understood as a whole; nothing in it narrows",
		"r.sub == p.sub && r.obj.Age > 18 && r.act == p.act":      "candidates: rules are found by p.sub; for these `r.obj.Age > 18` is interpreted",
		"g(r.sub, p.sub) && (r.act == p.act && r.obj > 5)":        "candidates: rules are found by p.sub (through roles), p.act; for these `(r.act == p.act && r.obj > 5)` is interpreted",
		"(r.sub == p.sub && r.obj > 5) || r.act == p.act":         "candidates: rules are found by p.sub, or by p.act; for these `(r.sub == p.sub && r.obj > 5)` is interpreted",
		"r.obj > 5 && r.sub == p.sub":                             "scan: `r.obj > 5` may err, and nothing before it narrows down the rules",
		"eval(p.sub) && r.obj == p.obj":                           "scan: `eval(p.sub)` may err",
		"r.sub == r.obj.Owner":                                    "scan: the matcher mentions no rule, so it is evaluated once",
		"r.act == p.act && (r.sub =~ '^a' || r.obj !~ p.obj)":     "native: the matcher is understood as a whole; rules are found by p.act",
		"keyMatch2(r.sub, p.sub)":                                 "native: the matcher is understood as a whole; rules are found by p.sub (keyMatch2)",
		"g2(r.sub, p.sub) && r.obj == p.obj":                      "scan: `g2(r.sub, p.sub)` may err",
		"r.obj == p.obj && g2(r.sub, p.sub)":                      "candidates: rules are found by p.obj; for these `g2(r.sub, p.sub)` is interpreted",
		"r.sub == p.sub && (r.obj == p.obj ? true : r.act == '')": "candidates: rules are found by p.sub; for these",
	} {
		o := plan.Options{
			Model: modelOf("", "g = _, _\ng2 = _, _", "", matcher), Rules: mustParse(t, "p, r.sub == 'x', b, c\np, r.sub == 'y', b, c\np, true, b, c"),
			Functions: access.Functions{Roles: map[string]string{"g2": "keyMatch2"}, Eval: true},
		}
		if strings.HasPrefix(matcher, "keyMatch2") {
			o.Rules = nil
			for i := range 100 {
				o.Rules = append(o.Rules, line("p", fmt.Sprintf("/shop%d/*", i), "b", "c"))
			}
		}
		if strings.Contains(matcher, "g2(") {
			o.Rules = nil
		}
		info := mustCompile(t, o).Plans()[0]
		if got := info.Name + ": " + info.Why; !strings.HasPrefix(got, want) {
			t.Errorf("%s\ngot  %s\nwant %s", matcher, got, want)
		}
	}
}

// TestEngine_Fields are those of the request definition.
func TestEngine_Fields(t *testing.T) {
	e := mustCompile(t, plan.Options{Model: modelOf("", "", "", "") + "m2 = r2.user == p.sub\n[request_definition]\nr2 = user\n"})
	if got := fmt.Sprint(e.Fields(""), e.Fields("2"), e.Fields("3")); got != "[sub obj act] [user] []" {
		t.Errorf("got %s", got)
	}
	if p := e.Plans(); len(p) != 2 || !p[0].Reads || p[1].Set != "2" {
		t.Errorf("got %+v", p)
	}
}

// TestEnforce_roleDepth: ten links are followed and no more, as in stock Casbin.
func TestEnforce_roleDepth(t *testing.T) {
	var rules []access.Rule
	for i := range 12 {
		rules = append(rules, line("p", fmt.Sprint("r", i), fmt.Sprint("at", i), "x"), line("g", fmt.Sprint("r", i), fmt.Sprint("r", i+1)))
	}
	for _, m := range []string{"g(r.sub, p.sub) && r.obj == p.obj", "r.obj == p.obj && g(r.sub, p.sub) && r.act > 'a'"} {
		o := plan.Options{Model: modelOf("", "g = _, _", "", m), Rules: rules}
		e := mustCompile(t, o)
		stock, err := plan.NewStock(o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			values := []any{"r0", fmt.Sprint("at", i), "x"}
			got, want := ask(e, rules, "", values), ask(stock, rules, "", values)
			if got != want || got.allowed != (i <= 10) {
				t.Errorf("%d links: got %v, want %v", i, got, want)
			}
		}
	}
}

// TestEnforce_time: a link holds for a time, by the clock that was given.
func TestEnforce_time(t *testing.T) {
	now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	e := mustCompile(t, plan.Options{
		Model: modelOf("", "g = _, _, (_, _)", "", "g(r.sub, p.sub)"), Clock: func() time.Time { return now },
		Rules: mustParse(t, "p, admin, x, y\ng, alice, staff, 2026-01-15 11:00:00, 2026-01-15 13:00:00\ng, staff, admin, _, _"), Functions: access.Functions{Conditions: map[string]string{"g": "timeMatch"}},
	})
	for offset, want := range map[time.Duration]bool{0: true, -61 * time.Minute: false, 61 * time.Minute: false, -time.Hour: false, time.Hour: false, time.Hour - 1: true} {
		start := now
		now = now.Add(offset)
		if a, err := e.Enforce("", []any{"alice", "x", "y"}); err != nil || a.Allowed != want {
			t.Errorf("at %s: got %v %v, want %v", now, a, err, want)
		}
		now = start
	}
}

// TestEnforce_scansQueue: questions that look at many rules leave a processor to
// the others. The clock, which each of these asks, counts how many are under way.
func TestEnforce_scansQueue(t *testing.T) {
	limit := max(1, runtime.GOMAXPROCS(0)-1)
	for n, queue := range map[int]bool{999: false, 1000: true} {
		var mu sync.Mutex
		now, most, beyond := 0, 0, make(chan struct{})
		stay := 5 * time.Millisecond // for others to come, who should not
		if !queue {
			stay = time.Minute // they come
		}
		clock := func() time.Time {
			mu.Lock()
			now++
			if most < now && now == limit+1 {
				close(beyond)
			}
			most = max(most, now)
			mu.Unlock()
			select {
			case <-beyond:
			case <-time.After(stay):
			}
			mu.Lock()
			now--
			mu.Unlock()
			return time.Now()
		}
		rules := mustParse(t, "g, alice, admin, _, _")
		for i := range n {
			rules = append(rules, line("p", fmt.Sprint("x", i), "b", "c"))
		}
		o := plan.Options{
			Model: modelOf("", "g = _, _, (_, _)", "", "r.act + 'x' != 'x' && g(r.sub, p.sub)"), Rules: rules, Clock: clock,
			Functions: access.Functions{Conditions: map[string]string{"g": "timeMatch"}},
		}
		engines := []*plan.Engine{mustCompile(t, o), mustCompile(t, o)} // of two tenants
		if got := strings.Contains(engines[0].Plans()[0].Why, "WARNING: with 1000 rules"); got != queue || engines[0].Plans()[0].Slow != queue {
			t.Errorf("%d rules: warned is %v", n, got)
		}
		var wg sync.WaitGroup
		for i := range 4 * limit {
			wg.Go(func() {
				if _, err := engines[i%2].Enforce("", []any{"alice", "b", "c"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if queue != (most <= limit) {
			t.Errorf("%d rules: %d questions at once, the limit is %d", n, most, limit)
		}
	}
}

// TestEnforce_refusesValues on which the interpreter could call methods, or that
// stock Casbin would make several of.
func TestEnforce_refusesValues(t *testing.T) {
	e := mustCompile(t, plan.Options{Model: modelOf("", "g = _, _", "", "g(r.sub, p.sub) && r.obj.Age > 3"), Rules: mustParse(t, "p, alice, b, c\ng, alice, admin")})
	deep := any("x")
	for range 40 {
		deep = map[string]any{"x": deep}
	}
	for name, values := range map[string][]any{
		"a struct":            {"alice", struct{ Age int }{5}, "x"},
		"a pointer":           {"alice", new(int), "x"},
		"a function in a map": {"alice", map[string]any{"Age": func() int { return 5 }}, "x"},
		"a list for g":        {[]any{"alice", "admin"}, map[string]any{"Age": 5}, "x"},
		"too deep":            {"alice", deep, "x"},
		"too few":             {"alice"},
		"a strange map":       {"alice", map[string]string{"Age": "5"}, "x"},
	} {
		if a, err := e.Enforce("", values); !errors.Is(err, access.ErrInvalid) || a.Allowed {
			t.Errorf("%s: got %v, %v", name, a, err)
		}
	}
	if a, err := e.Enforce("", []any{"alice", map[string]any{"Age": 5}, "x"}); err != nil || !a.Allowed {
		t.Errorf("a plain question: got %v, %v", a, err)
	}
	if _, err := e.Enforce("3", []any{"alice"}); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("an unknown set: got %v", err)
	}
}

// TestEnforce_callersListStays: the interpreter appends to lists it is given,
// which must not be the caller's.
func TestEnforce_callersListStays(t *testing.T) {
	e := mustCompile(t, plan.Options{Model: modelOf("", "", "", "p.act == 'c' && keyMatch(r.obj.list, p.sub)"), Rules: mustParse(t, "p, alice, b, c")})
	room := make([]any, 1, 8)
	room[0] = "alice"
	if _, err := e.Enforce("", []any{"x", map[string]any{"list": room}, "y"}); err != nil {
		t.Fatal(err)
	}
	if got := room[:2][1]; got != nil {
		t.Errorf("%v was written into the caller's list", got)
	}
}

// TestEnforce_errorIsLikeStocks and never an allow; it names the rule.
func TestEnforce_error(t *testing.T) {
	e := mustCompile(t, plan.Options{Model: modelOf("", "", "", "r.sub == p.sub && r.obj.Age > 3"), Rules: mustParse(t, "p, bob, b, c\np, alice, b, c")})
	a, err := e.Enforce("", []any{"alice", map[string]any{}, "x"})
	var at *plan.EvaluationError
	if a.Allowed || a.Rule != -1 || !errors.As(err, &at) || at.Rule != 1 {
		t.Errorf("got %v, %v", a, err)
	}
}

// TestEnforce_allocatesNothing where the plan is native, and the memory kept for
// a rule is bounded.
func TestEnforce_allocatesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	for _, s := range shapes {
		const n = 20_000
		o := plan.Options{Model: s.model, Rules: s.rules(n)}
		e, size := measured(t, o)
		if size > 70 {
			t.Errorf("%s: %.0f bytes for each rule", s.name, size)
		}
		for _, values := range [][]any{s.ask(n), {"nobody", "nothing", "never"}} {
			allocated := testing.AllocsPerRun(200, func() {
				if _, err := e.Enforce("", values); err != nil {
					t.Fatal(err)
				}
			})
			if math.Round(allocated) != 0 {
				t.Errorf("%s: %v allocations", s.name, allocated)
			}
		}
	}
}

// TestEnforce_compilesNothing: what is interpreted was parsed at load, and so were
// patterns and the texts for eval(). Compiling one pattern or text for each of the
// hundred rules would allocate thousands of times.
func TestEnforce_compilesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	for matcher, values := range map[string][]any{
		"r.obj.Name =~ p.obj": {"x", map[string]any{"Name": "no"}, "y"}, "r.obj.Name !~ p.obj && false": {"x", map[string]any{"Name": "no"}, "y"},
		"regexMatch(r.obj.Name, p.obj)": {"x", map[string]any{"Name": "no"}, "y"}, "keyMatch2(r.obj.Name, p.obj)": {"x", map[string]any{"Name": "no"}, "y"},
		"keyMatch4(r.obj.Name, p.obj)": {"x", map[string]any{"Name": "no"}, "y"}, "globMatch(r.obj.Name, p.obj)": {"x", map[string]any{"Name": "no"}, "y"},
		"eval(p.act)": {"x", map[string]any{"Name": "no"}, "y"},
	} {
		var rules []access.Rule
		for i := range 100 {
			rules = append(rules, line("p", "a", fmt.Sprintf("/x%d/{id}/[ab]c*", i), fmt.Sprintf("r.obj.Name == 'n%d' && r.obj.Name =~ '^n(a|b)+$'", i)))
		}
		e := mustCompile(t, plan.Options{Model: modelOf("", "", "", matcher), Rules: rules, Functions: access.Functions{Eval: true}})
		allocated := testing.AllocsPerRun(20, func() {
			if a, err := e.Enforce("", values); err != nil || a.Allowed {
				t.Fatal(a, err)
			}
		})
		if allocated > 1000 {
			t.Errorf("%s: %v allocations for a question to 100 rules", matcher, allocated)
		}
	}
}

// TestEnforce_keepsNothingAboutQuestions: a million subjects, known and unknown,
// leave no memory behind.
func TestEnforce_keepsNothingAboutQuestions(t *testing.T) {
	s := shapes[0]
	e := mustCompile(t, plan.Options{
		Model: strings.Replace(s.model, "r.act == p.act", "r.act == p.act && r.act =~ '^r'", 1), Rules: s.rules(1100),
	})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	n := 1_000_000
	if raced || testing.Short() {
		n = 100_000
	}
	for i := range n {
		if _, err := e.Enforce("", []any{fmt.Sprint("user", i), fmt.Sprint("data", i%1000), "read"}); err != nil {
			t.Fatal(err)
		}
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d bytes more after %d questions", after-before, n)
	}
}

// TestEnforce_atOnce asks from several goroutines; with the race detector on it
// shows that questions share nothing.
func TestEnforce_atOnce(t *testing.T) {
	for seed := range uint64(150) {
		c := newCase(seed)
		e, err := plan.Compile(c.options)
		if err != nil {
			continue
		}
		want := make([]verdict, len(c.requests))
		for i, values := range c.requests {
			want[i] = ask(e, c.options.Rules, c.set, values)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i, values := range c.requests {
					if got := ask(e, c.options.Rules, c.set, values); got != want[i] {
						t.Errorf("seed %d, %v: got %v, alone %v", seed, values, got, want[i])
					}
				}
			})
		}
		wg.Wait()
	}
}
