package engine_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

func lines(rules []access.Rule) string {
	var all []string
	for _, r := range rules {
		all = append(all, r.String())
	}
	return strings.Join(all, "; ")
}

func explain(t testing.TB, s *engine.Snapshot, r *access.Request) access.Explanation {
	t.Helper()
	x, err := s.Explain(r, clock)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestExplain shows path, losing rules and gates of a grant, a denial and a
// superuser.
func TestExplain(t *testing.T) {
	p := small()
	p.Groups[0].Base = "guests" // clerks are guests too
	p.Groups[1].Roles = []access.Link{{To: "clerk"}}
	p.Users[0].Grants = []access.Grant{
		{Section: "System.Orders", Rights: access.Update, Effect: access.Deny, Scope: "company:7"},
		{Section: "System.Orders", Rights: access.Update, Scope: "store:a"},
		{Section: "System.Orders", Rights: access.Update, Scope: "store:a", Condition: "false"},
	}
	s := compile(t, p)
	for name, tc := range map[string]struct {
		r                  *access.Request
		scope              access.Scope
		reason             access.Reason
		rule, path, losing string
		failed             access.Gate
	}{
		"the shortest path": {
			ask("user:clerk-2", "System.Orders", "show"), "", access.ReasonGrantedBy,
			"p, r:clerk, *, System.Orders, 10, allow, -",
			"g, u:clerk-2, g:clerks, *; g, g:clerks, r:clerk, *", "", "",
		},
		"a denial beats two permissions": {
			ask("user:clerk-1", "System.Orders", "update"), "store:a", access.ReasonDeniedBy,
			"p, u:clerk-1, company:7, System.Orders, 8, deny, -",
			"", "p, r:clerk, *, System.Orders, 10, allow, -; p, u:clerk-1, store:a, System.Orders, 8, allow, -", access.GateVerdict,
		},
		"elsewhere it does not hold": {
			ask("user:clerk-1", "System.Orders", "update"), "", access.ReasonGrantedBy,
			"p, r:clerk, *, System.Orders, 10, allow, -",
			"g, u:clerk-1, g:clerks, *; g, g:clerks, r:clerk, *", "", "",
		},
		"superuser": {
			ask("user:root-1", "System.Orders", "update"), "", access.ReasonSuperuser,
			"", "g, u:root-1, superuser, *", "", "",
		},
		"no seat": {
			ask("user:clerk-1", "System.Chats", "show"), "", access.ReasonLicenceMissing, "", "", "", access.GateLicence,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.r.Scope = tc.scope
			x := explain(t, s, tc.r)
			part := x.Parts[0]
			rule := ""
			if x.Rule != nil {
				rule = x.Rule.String()
			}
			if x.Reason != tc.reason || rule != tc.rule {
				t.Errorf("got %s by %q", x.Reason, rule)
			}
			if got := lines(part.Path); got != tc.path {
				t.Errorf("path: %s", got)
			}
			if got := lines(part.Losing); got != tc.losing {
				t.Errorf("losing: %s", got)
			}
			for _, g := range part.Gates {
				if (g.Outcome == access.GateFailed) != (g.Gate == tc.failed) {
					t.Errorf("gate %s: %s", g.Gate, g.Outcome)
				}
			}
		})
	}
	two := explain(t, s, ask("user:clerk-2", "System.Orders", "show", "delete", "update"))
	if len(two.Parts) != 2 || two.Action != "delete" || two.Parts[1].Action != "delete" {
		t.Errorf("several actions end with the first denial: %+v", two)
	}
}

// TestExplain_nearest: the smallest grants come first by how many they reach.
func TestExplain_nearest(t *testing.T) {
	s := compile(t, small())
	r := ask("user:clerk-2", "System.Orders", "send")
	r.Scope = "store:a"
	x := explain(t, s, r)
	part := x.Parts[0]
	// clerk-2 alone; clerks with three members; clerk with those, one more and the application.
	if got := strings.Join(part.NearestTo, " "); got != "u:clerk-2 g:clerks r:clerk" {
		t.Errorf("to %s", got)
	}
	for _, g := range part.Nearest {
		if g.Section != "System.Orders" || g.Rights != 0 || !slices.Equal(g.Actions, []string{"send"}) || g.Scope != "store:a" || g.Effect != access.Allow {
			t.Errorf("got %+v", g)
		}
	}
	if part := explain(t, s, ask("user:biller-1", "System.Bills", "show")).Parts[0]; len(part.Nearest) != 2 || part.Nearest[0].Section != "System.Orders" || part.Nearest[0].Rights != access.Show {
		t.Errorf("a missing prerequisite is what should be granted: %+v", part.Nearest)
	}
}

// TestExplain_random holds explanations of random policies to what they say:
// the decision is Decide's; the path leads, link by link, from the subject to
// the grantee; every losing rule decides once those before it are gone; every
// suggested grant, added to the policy, turns the denial; and where none is
// suggested, none of those that could be would.
func TestExplain_random(t *testing.T) {
	suggested, paths, losing := 0, 0, 0
	for seed := range uint64(some(50)) {
		m := newMaker(seed)
		facts := m.policy().Facts()
		s := mustCompile(t, facts)
		for range 25 {
			r := m.request()
			r.Actions = r.Actions[:1]
			d, x := decide(t, s, r), explain(t, s, r)
			if !reflect.DeepEqual(x.Decision, d) {
				t.Fatalf("seed %d: explained %+v, decided %+v", seed, x.Decision, d)
			}
			part := x.Parts[0]
			if len(part.Path) > 0 {
				paths++
				checkPath(t, r, x)
			}
			losing += len(part.Losing)
			checkLosing(t, facts, r, x)
			for i, g := range part.Nearest {
				suggested++
				if !decide(t, mustCompile(t, with(facts, part.NearestTo[i], g)), r).Allowed {
					t.Errorf("seed %d: %s to %s would not help: %+v", seed, lines([]access.Rule{lineOf(part.NearestTo[i], g)}), r.Subject, x)
				}
			}
			if d.Reason == access.ReasonNoGrant && len(part.Nearest) == 0 {
				g := access.Grant{Section: r.Section, Rights: r.Actions[0].Right(), Scope: scopeOf(r)}
				if g.Rights == 0 {
					g.Actions = []string{string(r.Actions[0])}
				}
				if decide(t, mustCompile(t, with(facts, r.Subject.Rule(), g)), r).Allowed {
					t.Errorf("seed %d: a grant to %s would help and was not suggested", seed, r.Subject)
				}
			}
			if !d.Allowed && d.Reason != access.ReasonNoGrant && d.Reason != access.ReasonPrerequisiteMissing && len(part.Nearest) > 0 {
				t.Errorf("seed %d: a grant suggested against %s", seed, d.Reason)
			}
		}
	}
	t.Logf("%d suggestions, %d paths, %d losing rules", suggested, paths, losing)
	if suggested < some(300) || paths < some(20) || losing < some(20) {
		t.Error("too little was explained to mean anything")
	}
}

func scopeOf(r *access.Request) access.Scope {
	if r.Scope == "" {
		return access.Everywhere
	}
	return r.Scope
}

func lineOf(to string, g access.Grant) access.Rule {
	act := access.RuleAct{Rights: g.Rights}
	if len(g.Actions) > 0 {
		act.Name = g.Actions[0]
	}
	return access.Rule{Type: "p", Values: []string{to, string(g.Scope), string(g.Section), act.String(), "allow", access.NoCondition}}
}

func with(facts access.Facts, to string, g access.Grant) access.Facts {
	facts.Rules = append(slices.Clone(facts.Rules), lineOf(to, g))
	return facts
}

func checkPath(t *testing.T, r *access.Request, x access.Explanation) {
	t.Helper()
	at := r.Subject.Rule()
	for _, link := range x.Parts[0].Path {
		if link.Type != "g" || link.Values[0] != at {
			t.Fatalf("the path is broken at %s: %s", at, lines(x.Parts[0].Path))
		}
		at = link.Values[1]
	}
	if x.Reason == access.ReasonSuperuser && at != access.SuperuserRole || x.Rule != nil && at != x.Rule.Values[0] {
		t.Fatalf("the path ends at %s: %+v", at, x)
	}
}

// checkLosing takes the deciding rule and all but one of the losing ones away:
// then that one decides, or one of the other effect would have.
func checkLosing(t *testing.T, facts access.Facts, r *access.Request, x access.Explanation) {
	t.Helper()
	for i, rule := range x.Parts[0].Losing {
		if facts.Combining == access.AllowOverrides && rule.Values[4] == "deny" {
			continue // matches and can never decide
		}
		fewer := facts
		fewer.Rules = slices.DeleteFunc(slices.Clone(facts.Rules), func(o access.Rule) bool {
			if x.Rule != nil && o.Same(*x.Rule) {
				return true
			}
			for j, other := range x.Parts[0].Losing {
				if i != j && o.Same(other) && !o.Same(rule) {
					return true
				}
			}
			return false
		})
		if x.Rule.Same(rule) {
			continue // the same line once more
		}
		d := decide(t, mustCompile(t, fewer), r)
		if d.Reason != access.ReasonPrerequisiteMissing && (d.Rule == nil || !d.Rule.Same(rule)) {
			t.Errorf("%s was said to lose; alone it is not what decides: %s", rule, say(d))
		}
	}
}
