package engine_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/casbin/casbin/v2"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// examples is the folder of models and policies that casbin's own module ships.
func examples(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/casbin/casbin/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "examples")
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, dir, err)
	}
	return found
}

// readLines reads a Casbin file of rules the way Casbin does.
func readLines(t *testing.T, file string) []access.Rule {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rules []access.Rule
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		r := csv.NewReader(strings.NewReader(line))
		r.TrimLeadingSpace, r.Comment = true, '#'
		values, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, access.Rule{Type: values[0], Values: values[1:], Origin: access.Origin{File: filepath.Base(file), Line: i + 1}})
	}
	return rules
}

// TestForeign_casbinExamples puts every example model together with every
// example policy of casbin's own module. Whatever we accept is answered as by
// stock Casbin reading the files itself.
func TestForeign_casbinExamples(t *testing.T) {
	dir := examples(t)
	random := rand.New(rand.NewPCG(1, 2))
	accepted, own, asked, allowed := 0, 0, 0, 0
	for _, modelFile := range glob(t, dir, "*.conf") {
		text, err := os.ReadFile(modelFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, policyFile := range glob(t, dir, "*.csv") {
			facts := access.Facts{Tenant: "t", Model: string(text), Functions: access.Functions{Eval: true}, Rules: readLines(t, policyFile)}
			s, err := engine.Compile(facts)
			if err != nil {
				if !errors.Is(err, access.ErrInvalid) {
					t.Errorf("%s with %s: %v is not a list of problems", modelFile, policyFile, err)
				}
				continue
			}
			accepted++
			if strings.TrimSuffix(filepath.Base(modelFile), "_model.conf") == strings.TrimSuffix(filepath.Base(policyFile), "_policy.csv") {
				own++
			}
			stock, err := casbin.NewEnforcer(modelFile, policyFile)
			if err != nil {
				t.Errorf("%s with %s: we accept what stock does not: %v", modelFile, policyFile, err)
				continue
			}
			for range 20 {
				values := randomValues(random, stock, facts.Rules)
				if hasEmptyPolicy(stock) {
					continue
				}
				asked++
				if sameAsStock(t, s, stock, values) {
					allowed++
				}
			}
		}
	}
	t.Logf("%d pairs accepted, %d of them a model with its own policy; %d questions, %d allowed", accepted, own, asked, allowed)
	if own < 20 || allowed < 500 {
		t.Error("too little was compared to mean anything")
	}
}

func hasEmptyPolicy(e *casbin.Enforcer) bool {
	return len(e.GetModel()["p"]["p"].Policy) == 0 && strings.Contains(e.GetModel()["m"]["m"].Value, "p_")
}

func randomValues(random *rand.Rand, stock *casbin.Enforcer, rules []access.Rule) []any {
	pool := []any{
		"alice", "bob", "data1", "read", "/alice_data/resource1", "192.168.2.1", 5.0, true,
		map[string]any{"Owner": "alice", "Name": "bob", "Age": 30.0},
	}
	for _, r := range rules {
		for _, v := range r.Values {
			pool = append(pool, v)
		}
	}
	values := make([]any, len(stock.GetModel()["r"]["r"].Tokens))
	line := rules[random.IntN(len(rules))].Values // often near a rule, so that some are allowed
	for i := range values {
		values[i] = pool[random.IntN(len(pool))]
		if i < len(line) && random.IntN(3) > 0 {
			values[i] = line[i]
		}
	}
	return values
}

// sameAsStock compares decision and deciding rule, and gives the decision.
func sameAsStock(t *testing.T, s *engine.Snapshot, stock *casbin.Enforcer, values []any) bool {
	t.Helper()
	want, rule, err := stock.EnforceEx(append([]any(nil), values...)...)
	want = want && err == nil
	got, err2 := s.Decide(&access.Request{Raw: values}, clock)
	if err2 != nil {
		t.Fatal(err2)
	}
	if got.Allowed != want {
		t.Errorf("%v: ours %v, stock %v (%v)", values, got.Allowed, want, err)
	}
	if got.Rule != nil && strings.Join(got.Rule.Values, ",") != strings.Join(rule, ",") {
		t.Errorf("%v: ours by %v, stock by %v", values, got.Rule, rule)
	}
	if got.Rule == nil && len(rule) > 0 && err == nil && strings.Contains(stock.GetModel()["m"]["m"].Value, "p_") {
		t.Errorf("%v: ours by no rule, stock by %v", values, rule)
	}
	return want
}

const aclModel = `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
`

func line(kind string, values ...string) access.Rule {
	return access.Rule{Type: kind, Values: values, Origin: access.Origin{File: "rules.csv", Line: 7}}
}

// TestForeign_refused shows what stock Casbin would take and then fail on, hang
// on or get wrong; we say where it stands instead.
func TestForeign_refused(t *testing.T) {
	model := func(old, new string) string { return strings.Replace(aclModel, old, new, 1) }
	subjectPriority := model("e = some(where (p.eft == allow)) && !some(where (p.eft == deny))", "e = subjectPriority(p.eft) || deny")
	diamond := []access.Rule{line("p", "a0", "d", "read", "allow")}
	for i := range 30 {
		for _, way := range []string{"l", "r"} {
			diamond = append(diamond, line("g", fmt.Sprint(way, i), fmt.Sprint("a", i)), line("g", fmt.Sprint("a", i+1), fmt.Sprint(way, i)))
		}
	}
	ok := line("p", "alice", "data1", "read", "allow")
	for name, tc := range map[string]struct {
		model string
		rules []access.Rule
		says  string
	}{
		"too few fields":          {aclModel, []access.Rule{line("p", "alice", "data1", "read")}, "rules.csv:7: a p line has 4 fields"},
		"too many fields":         {aclModel, []access.Rule{line("p", "alice", "data1", "read", "allow", "x")}, "rules.csv:7: a p line has 4 fields"},
		"link too short":          {aclModel, []access.Rule{line("g", "alice")}, "rules.csv:7: a g line has 2 fields"},
		"kind unknown":            {aclModel, []access.Rule{line("p2", "alice", "data1", "read", "allow")}, `no definition "p2"`},
		"kind blank":              {aclModel, []access.Rule{line("", "alice")}, `no definition ""`},
		"kind of the request":     {aclModel, []access.Rule{line("r", "alice", "data1", "read")}, `no definition "r"`},
		"effect misspelt":         {aclModel, []access.Rule{line("p", "alice", "data1", "read", "Deny")}, `rules.csv:7: "Deny" is not an effect`},
		"field blank":             {aclModel, []access.Rule{line("p", "alice", "", "read", "deny")}, "rules.csv:7: field 2 is blank"},
		"bad regular expression":  {model("r.obj == p.obj", "regexMatch(r.obj, p.obj)"), []access.Rule{line("p", "a", "(", "read", "allow")}, `rules.csv:7: "(" is no pattern for regexMatch`},
		"bad keyMatch2":           {model("r.obj == p.obj", "keyMatch2(r.obj, p.obj)"), []access.Rule{line("p", "a", "/(", "read", "allow")}, "is no pattern for keyMatch2"},
		"bad keyMatch4":           {model("r.obj == p.obj", "keyMatch4(r.obj, p.obj)"), []access.Rule{line("p", "a", "/(x)/{id}", "read", "allow")}, "is no pattern for keyMatch4"},
		"bad address":             {model("r.obj == p.obj", "ipMatch(r.obj, p.obj)"), []access.Rule{line("p", "a", "ten", "read", "allow")}, "is no pattern for ipMatch"},
		"bad glob":                {model("r.obj == p.obj", "globMatch(r.obj, p.obj)"), []access.Rule{line("p", "a", "[", "read", "allow")}, "is no pattern for globMatch"},
		"bad operator pattern":    {model("r.obj == p.obj", "r.obj =~ p.obj"), []access.Rule{line("p", "a", "(", "read", "allow")}, `rules.csv:7: "(" is no pattern for regexMatch`},
		"pattern from request":    {model("r.obj == p.obj", "keyMatch4(p.obj, r.obj)"), []access.Rule{ok}, "model.conf:10: m: keyMatch4 takes its pattern from elsewhere"},
		"key from request":        {model("r.obj == p.obj", "keyMatch(p.obj, r.obj)"), []access.Rule{ok}, "model.conf:10: m: keyMatch takes its pattern from the request"},
		"key from request in m2":  {aclModel + "m2 = r.sub == p.sub && keyMatch(p.obj, r.obj)\n", []access.Rule{ok}, "model.conf:11: m2: keyMatch takes its pattern from the request"},
		"address from request":    {model("r.obj == p.obj", "ipMatch(p.obj, r.obj)"), []access.Rule{ok}, "model.conf:10: m: ipMatch takes its pattern from the request"},
		"eval":                    {model("r.obj == p.obj", "eval(p.obj)"), []access.Rule{ok}, "model.conf:10: m: eval()"},
		"unknown effect":          {model("some(where (p.eft == allow)) &&", "some(where (p.eft==allow)) &&"), nil, "model.conf:8: e: stock Casbin knows no policy effect"},
		"unknown function":        {model("r.obj == p.obj", "magic(r.obj, p.obj)"), nil, "model.conf:10: m:"},
		"unknown field":           {model("r.obj == p.obj", "r.object == p.obj"), nil, "model.conf:10: m: there is no field or function r.object"},
		"too long":                {aclModel + "#" + strings.Repeat("x", plan.MaxModel), nil, "the model is"},
		"matcher too long":        {model("r.obj == p.obj", strings.Repeat("r.obj == p.obj && \\\n", plan.MaxMatcher/10)+"true"), nil, "the matcher is"},
		"line cut in two":         {model("r.obj == p.obj", strings.Repeat("r.obj == p.obj && ", 250)+"true"), nil, "model.conf:10: the line is"},
		"nested too deep":         {model("r.obj == p.obj", strings.Repeat("(", 101)+"true"+strings.Repeat(")", 101)), nil, "nested more than 100 deep"},
		"too many signs":          {model("r.obj == p.obj", strings.Repeat("!", 101)+"true"), nil, "nested more than 100 deep"},
		"no sections":             {"r = sub", nil, "missing required sections"},
		"no equals sign":          {"[request_definition]\nsub, obj", nil, "model.conf:"},
		"allows everything in m2": {strings.NewReplacer("[matchers]", "e2 = !some(where (p.eft == deny))\n[matchers]\nm2 = r.sub == 'x'").Replace(aclModel), nil, "model.conf:11: m2: the matcher mentions no rule"},
		"allows everything":       {strings.NewReplacer("g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", "r.sub == 'x'", "some(where (p.eft == allow)) && ", "").Replace(aclModel), nil, "everything would be allowed"},
		"priority no number":      {strings.NewReplacer("p = sub", "p = priority, sub").Replace(aclModel), []access.Rule{line("p", "x", "a", "data1", "read", "allow")}, `the priority "x" is not an integer`},
		"circle":                  {subjectPriority, []access.Rule{line("g", "a", "root"), line("g", "b", "a"), line("g", "a", "b")}, "runs in a circle"},
		"ambiguous depth": {subjectPriority, []access.Rule{
			line("p", "u", "d", "read", "allow"),
			line("g", "u", "root1"), line("g", "x", "root2"), line("g", "u", "x"),
		}, "rules.csv:7: the subject of this rule stands at different depths"},
		"ways without end": {subjectPriority, diamond, "ways through the links"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := engine.Compile(access.Facts{Tenant: "t", Model: tc.model, Rules: tc.rules})
			var problems access.Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want problems that say %q", err, tc.says)
			}
		})
	}
}

// TestForeign_eval shows that eval() works where the tenant's policy says so and
// nowhere else, and that texts of rules are bounded there.
func TestForeign_eval(t *testing.T) {
	model := strings.Replace(aclModel, "r.obj == p.obj", "eval(p.obj)", 1)
	facts := access.Facts{Tenant: "t", Model: model, Rules: []access.Rule{line("p", "alice", "r.obj.Age > 18", "read", "allow")}}
	if _, err := engine.Compile(facts); err == nil || !strings.Contains(err.Error(), "eval() runs the texts of rules as code") {
		t.Errorf("not declared: got %v", err)
	}
	facts.Functions.Eval = true
	e := engine.New(engine.Options{})
	install, err := e.Prepare(facts)
	if err != nil {
		t.Fatal(err)
	}
	install(3)
	for age, want := range map[float64]bool{17: false, 19: true} {
		d, err := e.Decide(t.Context(), "t", &access.Request{Raw: []any{"alice", map[string]any{"Age": age}, "read"}})
		if err != nil || d.Allowed != want || d.Revision != 3 {
			t.Errorf("at %v: %+v, %v", age, d, err)
		}
	}
	facts.Rules = []access.Rule{line("p", "alice", strings.Repeat("(", 200)+"true"+strings.Repeat(")", 200), "read", "allow")}
	if _, err := e.Prepare(facts); err == nil {
		t.Error("a rule text without bounds was accepted")
	}
}

// TestForeign_request shows which questions are refused, and that none of them
// is ever allowed.
func TestForeign_request(t *testing.T) {
	s, err := engine.Compile(access.Facts{
		Tenant: "t", Model: aclModel,
		Users: []access.UserFacts{{ID: "bob", Status: access.UserDisabled}, {ID: "eve", Status: access.UserActive}},
		Rules: []access.Rule{line("p", "bob", "data1", "read", "allow"), line("p", "u:bob", "data1", "read", "allow"), line("p", "eve", "data1", "read", "allow")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		raw    []any
		reason access.Reason
		says   string
	}{
		"allowed":                {[]any{"eve", "data1", "read"}, access.ReasonGrantedBy, ""},
		"no rule":                {[]any{"eve", "data2", "read"}, access.ReasonNoGrant, ""},
		"disabled":               {[]any{"bob", "data1", "read"}, access.ReasonSubjectDisabled, ""},
		"disabled by typed name": {[]any{"u:bob", "data1", "read"}, access.ReasonSubjectDisabled, ""},
		"a panic in casbin":      {[]any{5.0, "data1", "read"}, access.ReasonNoGrant, ""},
		"too few":                {[]any{"eve", "data1"}, access.ReasonRequestInvalid, "wants 3: sub, obj, act"},
		"none":                   {nil, access.ReasonRequestInvalid, "wants 3: sub, obj, act"},
		"blank":                  {[]any{"", "data1", "read"}, access.ReasonRequestInvalid, "request.sub: must not be blank"},
		"nothing":                {[]any{"eve", nil, "read"}, access.ReasonRequestInvalid, "request.obj: must be"},
		"a list":                 {[]any{"eve", "data1", []any{"read"}}, access.ReasonRequestInvalid, "request.act: must be"},
		"a thing with methods":   {[]any{"eve", &strings.Builder{}, "read"}, access.ReasonRequestInvalid, "request.obj: must be"},
		"methods deep inside":    {[]any{"eve", map[string]any{"a": &strings.Builder{}}, "read"}, access.ReasonRequestInvalid, "request.obj: must be"},
		"another context":        {[]any{casbin.NewEnforceContext("2"), "eve", "data1", "read"}, access.ReasonRequestInvalid, "wants 3"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := s.Decide(&access.Request{Raw: tc.raw}, clock)
			if d.Reason != tc.reason || d.Allowed != (tc.reason == access.ReasonGrantedBy) {
				t.Errorf("got %+v", d)
			}
			if (tc.says != "") != errors.Is(err, access.ErrInvalid) || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got the error %v", err)
			}
			if (name == "a panic in casbin") != strings.HasPrefix(d.Detail, "the model could not be evaluated: ") {
				t.Errorf("got the detail %q", d.Detail)
			}
			if x, _ := s.Explain(&access.Request{Raw: tc.raw}, clock); x.Decision != d {
				t.Errorf("explained as %+v, decided as %+v", x.Decision, d)
			}
		})
	}
	if s.ConditionErrors() == 0 {
		t.Error("the failure inside casbin was not counted")
	}
}

// TestForeign_emptyPolicy: stock Casbin would allow everybody by r.sub != p.sub
// where there is no rule at all.
func TestForeign_emptyPolicy(t *testing.T) {
	model := strings.Replace(aclModel, "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", "r.sub != p.sub", 1)
	s, err := engine.Compile(access.Facts{Tenant: "t", Model: model})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := s.Decide(&access.Request{Raw: []any{"a", "b", "c"}}, clock); err != nil || d.Allowed {
		t.Errorf("got %+v, %v", d, err)
	}
}

// TestForeign_validity: rules limited in time are judged by the clock.
func TestForeign_validity(t *testing.T) {
	from, until := clock.Add(time.Hour), clock.Add(2*time.Hour)
	limited := line("p", "alice", "data1", "read", "allow")
	limited.Validity = access.Validity{From: from, Until: until}
	facts := access.Facts{Tenant: "t", Model: aclModel, Rules: []access.Rule{limited}}
	s, err := engine.Compile(facts)
	if err != nil {
		t.Fatal(err)
	}
	o, err := oracle.New(facts, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		now   time.Time
		want  bool
		until time.Time
	}{
		{clock, false, from}, {from, true, until}, {until.Add(-1), true, until}, {until, false, time.Time{}}, {clock, false, from},
	} {
		r := &access.Request{Raw: []any{"alice", "data1", "read"}}
		d, err := s.Decide(r, tc.now)
		if err != nil || d.Allowed != tc.want || !d.ValidUntil.Equal(tc.until) {
			t.Errorf("at %v: %+v, %v", tc.now, d, err)
		}
		stock, err := o.Decide(r, tc.now)
		if err != nil || stock.Allowed != tc.want {
			t.Errorf("stock at %v: %+v, %v", tc.now, stock, err)
		}
	}
}

// TestForeign_conditions: links that hold for a time are judged by the moment of
// the question, and the answer says how long it holds.
func TestForeign_conditions(t *testing.T) {
	facts := access.Facts{
		Tenant: "t", Model: strings.Replace(aclModel, "g = _, _", "g = _, _, (_, _)", 1),
		Functions: access.Functions{Conditions: map[string]string{"g": "timeMatch"}},
		Rules: []access.Rule{
			line("p", "staff", "data1", "read", "allow"),
			line("g", "alice", "staff", "2026-01-15 13:00:00", "2026-01-15 14:00:00"),
		},
	}
	s, err := engine.Compile(facts)
	if err != nil {
		t.Fatal(err)
	}
	from, until := clock.Add(time.Hour+1), clock.Add(2*time.Hour) // Casbin wants a moment behind the first
	for _, tc := range []struct {
		now   time.Time
		want  bool
		until time.Time
	}{
		{clock, false, from}, {from.Add(-1), false, from}, {from, true, until}, {until.Add(-1), true, until}, {until, false, time.Time{}}, {from, true, until},
	} {
		d, err := s.Decide(&access.Request{Raw: []any{"alice", "data1", "read"}}, tc.now)
		if err != nil || d.Allowed != tc.want || !d.ValidUntil.Equal(tc.until) {
			t.Errorf("at %v: %+v, %v", tc.now, d, err)
		}
	}
	facts.Functions = access.Functions{}
	if _, err := engine.Compile(facts); err == nil || !strings.Contains(err.Error(), "model.conf:6: g: without a declared condition") {
		t.Errorf("not declared: %v", err)
	}
}

// TestForeign_sets: each set of definitions has its own fields, rules and matcher.
func TestForeign_sets(t *testing.T) {
	model := strings.NewReplacer("r = sub, obj, act\n", "r = sub, obj, act\nr2 = act, sub\n", "eft\n[role", "eft\np2 = sub, act\n[role").Replace(aclModel) + "m2 = r2.sub.Name == p2.sub && r2.act == p2.act\n"
	s, err := engine.Compile(access.Facts{
		Tenant: "t", Model: model, Users: []access.UserFacts{{ID: "bob", Status: access.UserLocked}},
		Rules: []access.Rule{line("p2", "alice", "read")},
	})
	if err != nil {
		t.Fatal(err)
	}
	alice := map[string]any{"Name": "alice"}
	for name, tc := range map[string]struct {
		request access.Request
		reason  access.Reason
		says    string
	}{
		"by the second":             {access.Request{RawSet: "2", Raw: []any{"read", alice}}, access.ReasonGrantedBy, ""},
		"not by the second":         {access.Request{RawSet: "2", Raw: []any{"write", alice}}, access.ReasonNoGrant, ""},
		"an error of the second":    {access.Request{RawSet: "2", Raw: []any{"read", map[string]any{}}}, access.ReasonNoGrant, ""},
		"the first has no rules":    {access.Request{Raw: []any{"alice", "data", "read"}}, access.ReasonNoGrant, ""},
		"an account, by the second": {access.Request{RawSet: "2", Raw: []any{"read", "bob"}}, access.ReasonSubjectDisabled, ""},
		"fields of the first":       {access.Request{RawSet: "2", Raw: []any{"alice", "data", "read"}}, access.ReasonRequestInvalid, "wants 2: act, sub"},
		"none such":                 {access.Request{RawSet: "3", Raw: []any{"alice", "data", "read"}}, access.ReasonRequestInvalid, `context_set: this tenant's model has no definitions "3"`},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := s.Decide(&tc.request, clock)
			if d.Reason != tc.reason || d.Allowed != (tc.reason == access.ReasonGrantedBy) || (tc.says != "") != errors.Is(err, access.ErrInvalid) || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %+v, %v", d, err)
			}
			if x, _ := s.Explain(&tc.request, clock); x.Decision != d {
				t.Errorf("explained as %+v, decided as %+v", x.Decision, d)
			}
		})
	}
}

// TestForeign_bounded: stock Casbin would remember every role question for ever,
// here 60,000 of them in more than 5 MB. We remember none.
func TestForeign_bounded(t *testing.T) {
	rules := []access.Rule{}
	for i := range 300 {
		rules = append(rules, line("p", fmt.Sprint("role", i), "data1", "read", "allow"))
	}
	s, err := engine.Compile(access.Facts{Tenant: "t", Model: aclModel, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(from, n int) uint64 {
		for i := range n {
			r := &access.Request{Raw: []any{fmt.Sprint("user", from+i), "data1", "read"}}
			if d, err := s.Decide(r, clock); err != nil || d.Allowed {
				t.Fatalf("got %+v, %v", d, err)
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := ask(0, 1)
	if after := ask(1, 20_000); after > before+1<<20 {
		t.Errorf("20,000 questions made the heap grow from %d to %d", before, after)
	}
	runtime.KeepAlive(s)
}

// TestForeign_tomorrow: a rule that does not hold yet is refused today.
func TestForeign_tomorrow(t *testing.T) {
	model := strings.Replace(aclModel, "r.obj == p.obj", "regexMatch(r.obj, p.obj)", 1)
	later := line("p", "alice", "(", "read", "allow")
	later.Validity.From = clock.Add(time.Hour)
	_, err := engine.Compile(access.Facts{Tenant: "t", Model: model, Rules: []access.Rule{later}})
	if !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), "rules.csv:7: \"(\" is no pattern") {
		t.Errorf("got %v", err)
	}
}

// TestForeign_callersValues: Casbin never gets hold of the caller's own slice.
func TestForeign_callersValues(t *testing.T) {
	s, err := engine.Compile(access.Facts{Tenant: "t", Model: aclModel, Rules: []access.Rule{line("p", "alice", "data1", "read", "allow")}})
	if err != nil {
		t.Fatal(err)
	}
	raw := []any{`{"a":1}`, "data1", "read"}
	if _, err := s.Decide(&access.Request{Raw: raw}, clock); err != nil || raw[0] != `{"a":1}` {
		t.Errorf("left %v, %v", raw, err)
	}
}

// TestForeign_plan: the reader is told how questions are answered, and why, for
// every set of definitions.
func TestForeign_plan(t *testing.T) {
	interpreted := strings.Replace(aclModel, "r.obj == p.obj", "r.obj.Owner == p.obj", 1)
	two := strings.Replace(aclModel, "[matchers]\n", "[matchers]\nm2 = r.sub.Age > 18 && g(r.sub, p.sub)\n", 1)
	for name, tc := range map[string]struct{ model, want string }{
		"built-in":    {"", "[native]"},
		"understood":  {aclModel, "[native]"},
		"interpreted": {interpreted, "[candidates]"},
		"two sets":    {two, "[native 2 scan]"},
	} {
		s, err := engine.Compile(access.Facts{Tenant: "t", Model: tc.model})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range s.Plans() {
			got = append(got, strings.TrimSpace(p.Set+" "+p.Name))
			if p.Why == "" {
				t.Errorf("%s: no reason for %s", name, p.Name)
			}
		}
		if fmt.Sprint(got) != tc.want {
			t.Errorf("%s: got %v, want %s", name, got, tc.want)
		}
		if first, why := s.Plan(); first != s.Plans()[0].Name || why != s.Plans()[0].Why {
			t.Errorf("%s: got %s because %q", name, first, why)
		}
	}
}
