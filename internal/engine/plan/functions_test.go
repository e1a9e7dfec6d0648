package plan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2/util"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// stockMatch compares with Casbin's own function; ok is false where it fails.
func stockMatch(function, text, with string) (matched, ok bool) {
	defer func() {
		if recover() != nil {
			matched, ok = false, false
		}
	}()
	switch function {
	case "keyMatch":
		return util.KeyMatch(text, with), true
	case "keyMatch2":
		return util.KeyMatch2(text, with), true
	case "keyMatch3":
		return util.KeyMatch3(text, with), true
	case "keyMatch4":
		return util.KeyMatch4(text, with), true
	case "keyMatch5":
		return util.KeyMatch5(text, with), true
	case "regexMatch":
		return util.RegexMatch(text, with), true
	case "ipMatch":
		return util.IPMatch(text, with), true
	}
	matched, err := util.GlobMatch(text, with)
	return matched, err == nil
}

var patternFunctions = []string{"keyMatch", "keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "regexMatch", "globMatch", "ipMatch"}

// samePattern compares ours with Casbin's, and holds the index to its promise: a
// text that matches begins with the anchor.
func samePattern(t *testing.T, function, text, with string) {
	t.Helper()
	got, ok := plan.MatchPattern(function, text, with)
	want, stockOK := stockMatch(function, text, with)
	switch {
	case function == "ipMatch" && !stockOK:
		return // the text may be no address, for which such questions go another way
	case function == "keyMatch4" && plan.Grouped(with):
		if ok {
			t.Fatalf("keyMatch4 takes %q, with which Casbin fails when it matches", with)
		}
		return
	case ok != stockOK:
		t.Fatalf("%s(%q, %q): usable is %v, with Casbin %v", function, text, with, ok, stockOK)
	case got != want:
		t.Fatalf("%s(%q, %q) = %v, Casbin says %v", function, text, with, got, want)
	}
	prefix, exact := plan.Anchor(function, with)
	if want && (!strings.HasPrefix(text, prefix) || exact && text != with) {
		t.Fatalf("%s(%q, %q) matches, but its anchor is %q, exact %v", function, text, with, prefix, exact)
	}
}

// TestPatterns compares with Casbin's functions on texts that are likely to meet.
func TestPatterns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	parts := []string{"/", "/", "/a", "/b", "a", "b", "*", ":x", "{x}", "{y}", "/*", "/:id", "/{id}", ".", "|", "?", "+", "^", "$", "(", ")", "[a]", "\\", "\n", "é", "\xff", "10.0.0.1", "/24", "::1", "-", ",", "{a,b}", "**", "{2}", "(?i)", "?q=1"}
	text := func(n int, from []string) string {
		var b strings.Builder
		for range r.IntN(n) {
			b.WriteString(from[r.IntN(len(from))])
		}
		return b.String()
	}
	matched := map[string]int{}
	n := 150_000
	if raced {
		n = 15_000
	}
	for range n {
		function := patternFunctions[r.IntN(len(patternFunctions))]
		with := text(6, parts)
		what := text(6, parts[:6])
		switch r.IntN(4) {
		case 0:
			what = text(5, parts)
		case 1: // what the pattern looks like, with its signs filled in
			what = strings.NewReplacer("*", text(3, parts[:6]), ":x", "v", ":id", "v", "{x}", "v", "{id}", "v", "{y}", "w", "?", "a").Replace(with)
		}
		samePattern(t, function, what, with)
		if ok, _ := plan.MatchPattern(function, what, with); ok {
			matched[function]++
		}
	}
	for _, function := range patternFunctions {
		if matched[function] < n/3000 {
			t.Errorf("%s matched only %d times", function, matched[function])
		}
	}
}

// FuzzPatterns: no pattern does otherwise than Casbin's.
func FuzzPatterns(f *testing.F) {
	for _, with := range []string{"/a/*", "/a/:id", "/{x}/{x}", "^/a|b$", "10.0.0.0/8", "*.go", "{a,b}/**"} {
		f.Add("/a/1", with)
	}
	f.Fuzz(func(t *testing.T, text, with string) {
		if len(text)+len(with) > 200 {
			t.Skip()
		}
		for _, function := range patternFunctions {
			samePattern(t, function, text, with)
		}
	})
}

// FuzzModel: no text of a model makes us panic.
func FuzzModel(f *testing.F) {
	for _, m := range []string{modelOf("", "", "", ""), modelOf("sub, obj, act, eft", "g = _, _", bySubject, "g(r.sub, p.sub) || keyMatch(r.obj, p.obj)"), modelOf("", "g = _, _, (_, _)", "", "eval(p.sub)")} {
		f.Add(m)
	}
	f.Fuzz(func(_ *testing.T, model string) {
		e, err := plan.Compile(plan.Options{Model: model, Functions: access.Functions{Conditions: map[string]string{"g": "timeMatch"}, Eval: true}})
		if err == nil {
			_, _ = e.Enforce("", []any{"a", "b", "c"})
		}
	})
}

// FuzzMatcher: a matcher that we take has stock Casbin's answer.
func FuzzMatcher(f *testing.F) {
	for _, m := range []string{"r.sub == p.sub", "r.sub == p.sub && (r.obj == p.obj || p.act == '*')", "!(g(r.sub, p.sub)) || keyMatch2(r.obj, p.obj)", "r.sub in ('a', 'b') ? true : r.obj > 5", "r.sub.Age > 3 && p.act == 'x'", "(r.sub == p.sub) == true", "1 + 2 - p.sub", "r.sub == p.sub && ()", "r.sub) && (r.obj", "[r_sub] == 'a'"} {
		f.Add(m, "alice")
	}
	rules, err := plan.ParsePolicy("policy.csv", []byte("p, alice, /a/*, read\np, *, /b/:id, write\np, admin, data, *\ng, bob, admin\ng, carl, bob"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, matcher, sub string) {
		if strings.Count(matcher, "\n") > 0 || len(matcher) > 500 {
			t.Skip()
		}
		o := plan.Options{Model: modelOf("", "g = _, _", "", matcher), Rules: rules}
		ours, err := plan.Compile(o)
		if err != nil {
			return
		}
		stock, err := plan.NewStock(o)
		if err != nil {
			t.Fatalf("stock does not load what we take: %v", err)
		}
		for _, values := range [][]any{{sub, "/a/1", "read"}, {"bob", "data", sub}, {sub, 5, nil}, {map[string]any{"Age": 5}, sub, "write"}} {
			got, want := ask(ours, rules, "", values), ask(stock, rules, "", values)
			if got != want && !strings.Contains(got.err, "must not be a list") {
				t.Fatalf("%s\n%v\ngot  %v\nwant %v", matcher, values, got, want)
			}
		}
	})
}

// FuzzRules: rules of any text neither make us panic nor allow more than stock.
func FuzzRules(f *testing.F) {
	for _, text := range []string{"p, alice, /a/*, read, allow\ng, bob, alice", "p, *, (, x, deny", "g, a, b, c\np, ':x', y, z, allow"} {
		f.Add(text, "alice")
	}
	f.Fuzz(func(t *testing.T, text, sub string) {
		rules, err := plan.ParsePolicy("policy.csv", []byte(text))
		if err != nil {
			return
		}
		o := plan.Options{
			Model: modelOf("sub, obj, act, eft", "g = _, _", "some(where (p.eft == allow)) && !some(where (p.eft == deny))", "g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && regexMatch(r.act, p.act)"), Rules: rules,
		}
		ours, err := plan.Compile(o)
		if err != nil {
			return
		}
		stock, err := plan.NewStock(o)
		if err != nil {
			t.Fatalf("stock does not load what we take: %v", err)
		}
		for _, values := range [][]any{{sub, "/a/1", "read"}, {"bob", sub, "read"}} {
			if got, want := ask(ours, rules, "", values), ask(stock, rules, "", values); got != want {
				t.Fatalf("%q %v\ngot  %v\nwant %v", text, values, got, want)
			}
		}
	})
}

// FuzzRequest: no question makes us panic, and none that errs is allowed.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{`["alice", {"Age": 5}, "read"]`, `{"context": "2", "request": [1, null, true]}`, `[[1], [], {}]`, `[1e400]`, `{}`, `[`} {
		f.Add([]byte(text))
	}
	rules, err := plan.ParsePolicy("policy.csv", []byte("p, alice, data, read\np, *, r.sub.Age > 3, read"))
	if err != nil {
		f.Fatal(err)
	}
	e, err := plan.Compile(plan.Options{Model: modelOf("", "g = _, _", "", "g(r.sub, p.sub) && r.obj.Age > 3 || ipMatch(r.sub, '10.0.0.1')"), Rules: rules})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := plan.ParseRequest(text)
		if err != nil {
			return
		}
		if a, err := e.Enforce(r.Set, r.Values); err != nil && (a.Allowed || a.Rule != -1) {
			t.Fatalf("%s: %v with %v", text, a, err)
		}
	})
}

// TestParseRequest reads what people send.
func TestParseRequest(t *testing.T) {
	for text, want := range map[string]string{
		`["alice", 5, {"a": [1]}]`:             `{"" [alice 5 map[a:[1]]]}`,
		` {"context": "2", "request": ["x"]} `: `{"2" [x]}`,
		`[]`:                                   `{"" []}`,
		`null`:                                 "request: write an array",
		``:                                     "request: cannot be read",
		`[1] [2]`:                              "request: is followed",
		`{"request": ["x"], "sudo": true}`:     "request: cannot be read",
		`{"context": "2"}`:                     "request: is missing",
		strings.Repeat("[", 20000):             "request: cannot be read",
		`"alice"`:                              "request: cannot be read",
		`{"context": 2, "request": ["alice"]}`: "request: cannot be read",
		`["alice", 1e999]`:                     "request: cannot be read",
		`{"context": "", "request": ["a", null, 1.5, ""]}`: `{"" [a <nil> 1.5 ]}`,
	} {
		r, err := plan.ParseRequest([]byte(text))
		got := fmt.Sprintf("{%q %v}", r.Set, r.Values)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%.40s: got %s, want %s", text, got, want)
		}
	}
}
