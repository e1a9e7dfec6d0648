package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// tenantMaker makes tenants with a Casbin model of their own and questions that
// are likely to meet their rules. Sub-package plan compares far more kinds of
// matchers; here it is what a tenant declares, and what surrounds the model.
type tenantMaker struct {
	*rand.Rand
	features map[string]bool // of the tenant that was made last
}

func (m *tenantMaker) chance(percent int) bool { return m.IntN(100) < percent }

func (m *tenantMaker) one(of ...string) string { return of[m.IntN(len(of))] }

// with notes a feature that is there in some of the cases.
func (m *tenantMaker) with(percent int, feature string) bool {
	there := m.chance(percent)
	if there {
		m.features[feature] = true
	}
	return there
}

var tenantEffects = []string{
	"some(where (p.eft == allow))", "!some(where (p.eft == deny))", "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
	"priority(p.eft) || deny", "subjectPriority(p.eft) || deny",
}

func (m *tenantMaker) tenant() access.Facts {
	m.features = map[string]bool{}
	f := access.Facts{Tenant: "t"}
	f.Functions.Roles, f.Functions.Domains, f.Functions.Conditions = map[string]string{}, map[string]string{}, map[string]string{}
	g, link := "_, _", "g(r.sub, p.sub)"
	if m.with(50, "domains") {
		g, link = "_, _, _", "g(r.sub, p.sub, r.dom)"
		if m.with(40, "domain function") {
			f.Functions.Domains["g"] = m.one("keyMatch", "keyMatch2", "globMatch")
		}
	}
	switch {
	case len(f.Functions.Domains) == 0 && m.with(35, "conditions"):
		g += ", (_, _)"
		f.Functions.Conditions["g"] = m.one("timeMatch", "timeMatch", "none")
	case m.with(30, "role function"):
		f.Functions.Roles["g"] = m.one("keyMatch", "regexMatch", "globMatch")
	}
	if m.chance(30) {
		f.Functions.Roles["g2"] = "keyMatch2"
	}
	effect := m.one(tenantEffects...)
	m.features[effect] = true
	f.Functions.Eval = m.with(50, "eval")
	p, p2 := "sub, dom, obj, act, eft", "rule, obj, act, eft"
	if m.with(20, "priority field") {
		p = "priority, " + p
	}
	f.Model = fmt.Sprintf(`[request_definition]
r = sub, dom, obj, act
r2 = sub, obj, act
[policy_definition]
p = %s
p2 = %s
[role_definition]
g = %s
g2 = _, _
[policy_effect]
e = %s
e2 = %s
[matchers]
m = %s
m2 = %s
`, p, p2, g, effect, m.one(tenantEffects[:4]...), m.matcher(link), m.attributes(f.Functions.Eval))
	for range 2 + m.IntN(12) {
		f.Rules = append(f.Rules, m.rule("p", p), m.rule("p2", p2))
	}
	for range m.IntN(8) {
		f.Rules = append(f.Rules, m.link(g))
		f.Rules = append(f.Rules, access.Rule{Type: "g2", Values: []string{m.one("/data/:id", "/data/1", "book"), m.one("data", "books")}})
	}
	m.Shuffle(len(f.Rules), func(i, j int) { f.Rules[i], f.Rules[j] = f.Rules[j], f.Rules[i] })
	f.Rules = slices.CompactFunc(f.Rules, func(a, b access.Rule) bool { return a.String() == b.String() })
	if m.with(15, "an account that may not be used") {
		f.Users = []access.UserFacts{{ID: "bob", Status: access.UserDisabled}}
	}
	return f
}

func (m *tenantMaker) matcher(link string) string {
	parts := []string{
		m.one(link, link, "r.sub == p.sub", link+" || r.sub == 'root'"),
		m.one("r.obj == p.obj", "keyMatch(r.obj, p.obj)", "g2(r.obj, p.obj)", "(r.obj == p.obj || p.obj == '*')", "regexMatch(r.obj, p.obj)"),
		m.one("r.act == p.act", "(r.act == p.act || p.act == '*')", "r.act in ('read', 'write')", "(r.act == p.act ? true : false)"),
	}
	if m.chance(30) {
		parts = append(parts, m.one("r.dom == p.dom", "keyMatch(r.dom, p.dom)"))
	}
	m.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return "(" + strings.Join(parts, ") && (") + ")"
}

// attributes is a matcher that reads fields of objects.
func (m *tenantMaker) attributes(eval bool) string {
	first := m.one("r2.obj == p2.obj", "r2.act == p2.act", "true")
	if eval {
		return first + " && eval(p2.rule) && r2.act == p2.act"
	}
	return first + " && " + m.one("r2.sub.Age > 18", "r2.sub.Name == p2.obj", "r2.sub.Age >= 18 || r2.act == 'read'")
}

func (m *tenantMaker) rule(kind, fields string) access.Rule {
	r := access.Rule{Type: kind}
	for field := range strings.SplitSeq(fields, ", ") {
		value := map[string]string{
			"priority": m.one("1", "2", "3"), "sub": m.one("alice", "bob", "admin", "staff", "a*"), "dom": m.one("d1", "d2", "d*"),
			"obj": m.one("data", "books", "/data/1", "/data/*", "*"), "act": m.one("read", "write", "*"),
			"eft": m.one("allow", "allow", "allow", "deny"), "rule": m.one("r2.sub.Age > 18", "r2.sub.Name == 'alice'", "true", "r2.obj == p2.obj && r2.sub.Age < 60"),
		}[field]
		if field == "obj" && value == "*" && m.chance(50) {
			value = "." // a regular expression, too
		}
		r.Values = append(r.Values, value)
	}
	if m.with(3, "a rule of the wrong length") {
		r.Values = r.Values[1:]
	}
	switch {
	case m.with(5, "a rule that is over"):
		r.Validity.Until = clock.Add(-time.Hour)
	case m.with(5, "a rule that has not begun"):
		r.Validity.From = clock.Add(time.Hour)
	case m.with(5, "a rule that holds now"):
		r.Validity = access.Validity{From: clock.Add(-time.Hour), Until: clock.Add(time.Hour)}
	}
	return r
}

func (m *tenantMaker) link(g string) access.Rule {
	r := access.Rule{Type: "g", Values: []string{m.one("alice", "bob", "carl", "staff", "al.*", "*"), m.one("admin", "staff", "a*")}}
	if strings.HasPrefix(g, "_, _, _") {
		r.Values = append(r.Values, m.one("d1", "d2", "d*", "*"))
	}
	if strings.Contains(g, "(") {
		r.Values = append(r.Values, m.one("_", "2000-01-01 00:00:00", "2990-01-01 00:00:00"), m.one("_", "2000-01-02 00:00:00", "2999-01-01 00:00:00"))
	}
	return r
}

func (m *tenantMaker) question() *access.Request {
	object := map[string]any{"Name": m.one("alice", "data"), "Age": float64(m.IntN(80))}
	var sub any = m.one("alice", "bob", "carl", "admin", "root")
	if m.chance(7) {
		sub = []any{object, 5.0, true}[m.IntN(3)]
	}
	switch n := m.IntN(100); {
	case n < 2:
		return &access.Request{Raw: []any{"alice", "d1"}}
	case n < 4:
		return &access.Request{Raw: []any{"alice", "data", "read"}, RawSet: "3"}
	case n < 60:
		return &access.Request{Raw: []any{sub, m.one("d1", "d2", "d3"), m.one("data", "books", "/data/1", "/data/2"), m.one("read", "write", "drop")}}
	}
	if m.chance(10) {
		delete(object, "Age") // a matcher that reads it errs
	}
	return &access.Request{Raw: []any{object, m.one("data", "books", "/data/1"), m.one("read", "write")}, RawSet: "2"}
}

// held gives the rules that hold now.
func held(rules []access.Rule) []access.Rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r access.Rule) bool { return !r.Validity.At(clock) })
}

// stockDecision is the answer that stock Casbin, freshly loaded, stands for.
func stockDecision(t *testing.T, f *access.Facts, stock *plan.Stock, r *access.Request) string {
	t.Helper()
	if want := map[string]int{"": 4, "2": 3}[r.RawSet]; len(r.Raw) != want {
		return "invalid"
	}
	if id, text := r.Raw[0].(string); text && slices.ContainsFunc(f.Users, func(u access.UserFacts) bool { return u.ID == id }) {
		return "disabled"
	}
	rules := held(f.Rules)
	if !slices.ContainsFunc(rules, func(rule access.Rule) bool { return rule.Type == "p"+r.RawSet }) {
		return "denied by -" // we never let a matcher decide alone that reads rules
	}
	a, err := stock.Enforce(r.RawSet, slices.Clone(r.Raw))
	switch {
	case err != nil:
		return "error"
	case a.Rule < 0:
		return fmt.Sprint(verb(a.Allowed), " by -")
	}
	return fmt.Sprint(verb(a.Allowed), " by ", rules[a.Rule].String())
}

func verb(allowed bool) string {
	if allowed {
		return "allowed"
	}
	return "denied"
}

func ourDecision(t *testing.T, e *engine.Engine, r *access.Request) string {
	t.Helper()
	d, err := e.Decide(t.Context(), "t", r)
	switch {
	case d.Allowed && (err != nil || d.Reason != access.ReasonGrantedBy):
		return fmt.Sprintf("allowed with %v, %s", err, d.Reason)
	case errors.Is(err, access.ErrInvalid):
		return "invalid"
	case err != nil:
		return err.Error()
	case d.Reason == access.ReasonSubjectDisabled:
		return "disabled"
	case strings.HasPrefix(d.Detail, "the model could not be evaluated"):
		return "error"
	case d.Rule == nil:
		return verb(d.Allowed) + " by -"
	}
	return verb(d.Allowed) + " by " + d.Rule.String()
}

// TestForeign_random: tenants with models of their own, with everything that can
// be declared for them, have the answers of stock Casbin freshly loaded with the
// rules that hold: the decision, the rule and the fact of an error, which denies.
func TestForeign_random(t *testing.T) {
	n := 1500
	if testing.Short() {
		n = 200
	}
	answers, features, refused := map[string]int{}, map[string]int{}, map[string]int{}
	for seed := range n {
		m := &tenantMaker{Rand: rand.New(rand.NewPCG(uint64(seed), 8))}
		f := m.tenant()
		e := engine.New(engine.Options{Clock: func() time.Time { return clock }})
		install, err := e.Prepare(f)
		if err != nil {
			var problems access.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			refused[problems[0].Code]++
			continue
		}
		install(1)
		stock, err := plan.NewStock(plan.Options{Model: f.Model, Rules: held(f.Rules), Functions: f.Functions})
		if err != nil {
			t.Fatalf("seed %d: stock does not load what we take: %v\n%s", seed, err, f.Model)
		}
		for range 12 {
			r := m.question()
			got, want := ourDecision(t, e, r), stockDecision(t, &f, stock, r)
			if got != want {
				t.Fatalf("seed %d, %+v\n%s%v\n%v set %q\ngot  %s\nwant %s", seed, f.Functions, f.Model, f.Rules, r.Raw, r.RawSet, got, want)
			}
			kind, _, _ := strings.Cut(want, " ")
			answers[kind]++
			if kind == "allowed" {
				for feature := range m.features {
					features[feature]++
				}
			}
		}
	}
	t.Logf("answers %v; allowed with %v; refused %v", answers, features, refused)
	for _, kind := range []string{"allowed", "denied", "error", "invalid", "disabled"} {
		if answers[kind] < n/20 {
			t.Errorf("only %d questions were answered by %s", answers[kind], kind)
		}
	}
	for _, feature := range append([]string{"domains", "domain function", "conditions", "role function", "eval", "priority field", "a rule that is over", "a rule that holds now"}, tenantEffects...) {
		if features[feature] < n/50 {
			t.Errorf("only %d questions were allowed with %s", features[feature], feature)
		}
	}
}
