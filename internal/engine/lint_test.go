package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// grantAt is a grant with a place, on the section Shop.<name>.
func grantAt(name string, section access.Section, rights access.Rights) access.Grant {
	return access.Grant{Section: section, Rights: rights, Origin: access.Origin{File: name}}
}

// lintPolicy is a policy about which there is nothing to say.
func lintPolicy() *access.Policy {
	return &access.Policy{
		Tenant: "shop",
		Scopes: []access.ScopeNode{{Scope: "store:a", Parent: access.Everywhere}},
		Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{
			{Path: "Shop", Menu: &access.MenuEntry{}},
			{Path: "Shop.Orders"},
			{Path: "Shop.Export", Prerequisites: []access.Prerequisite{{Section: "Shop.Orders", Rights: access.Show}}},
			{Path: "Stock", Origin: access.Origin{File: "stock"}},
		}}},
		Roles:  []access.Role{{Code: "clerk", Grants: []access.Grant{grantAt("clerk", "Shop", access.Show|access.Inherit)}}},
		Groups: []access.Group{{Code: "staff", Roles: []access.Link{{To: "clerk"}}}, {Code: "temps"}},
		Users:  []access.User{{ID: "ann", Groups: []access.Link{{To: "staff"}}, Origin: access.Origin{File: "ann"}}},
	}
}

// Req 45, 78: what a policy says in vain or against itself.
func TestLint(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	group := func(p *access.Policy, g ...access.Grant) { p.Groups[0].Grants = append(p.Groups[0].Grants, g...) }
	both := func(p *access.Policy, g access.Grant) {
		p.Groups[1].Grants = append(p.Groups[1].Grants, g)
		p.Users[0].Groups = append(p.Users[0].Groups, access.Link{To: "temps"})
	}
	deny := func(g access.Grant) access.Grant { g.Effect = access.Deny; return g }
	for name, tc := range map[string]struct {
		change func(p *access.Policy)
		want   string // the beginning of the only line; empty: nothing
	}{
		"nothing to say":          {func(*access.Policy) {}, ""},
		"given by a role already": {func(p *access.Policy) { group(p, grantAt("g", "Shop.Orders", access.Show)) }, `g: warning: what this grants on "Shop.Orders" to g:staff is given by "p, r:clerk, *, Shop, 3, allow, -" at clerk by way of r:clerk already (take it away, or narrow the other one) [grant-shadowed]`},
		"more than the role":      {func(p *access.Policy) { group(p, grantAt("g", "Shop.Orders", access.Show|access.Update)) }, ""},
		"given under a condition only": {func(p *access.Policy) {
			p.Roles[0].Grants[0].Condition = "resource.a == 1"
			group(p, grantAt("g", "Shop.Orders", access.Show))
		}, ""},
		"given for a while only": {func(p *access.Policy) {
			p.Roles[0].Grants[0].Validity.Until = now.Add(time.Hour)
			group(p, grantAt("g", "Shop.Orders", access.Show))
		}, ""},
		"given in a narrower scope": {func(p *access.Policy) {
			p.Roles[0].Grants[0].Scope = "store:a"
			group(p, grantAt("g", "Shop.Orders", access.Show))
		}, ""},
		"of two alike the later one": {func(p *access.Policy) {
			group(p, grantAt("first", "Stock", 2), grantAt("second", "Stock", access.Show|access.Inherit))
		}, `first: warning: what this grants on "Stock"`},
		"beaten by a prohibition": {func(p *access.Policy) {
			group(p, grantAt("g", "Stock", access.Show), deny(grantAt("d", "Stock", access.Show|access.Update)))
		}, `g: warning: this allow on "Stock" never counts for g:staff: "p, g:staff, *, Stock, 10, deny, -" at d beats it (take one of them away, or narrow it) [grant-unreachable]`},
		"a prohibition beaten by a permission": {func(p *access.Policy) {
			p.Combining = access.AllowOverrides
			group(p, grantAt("g", "Stock", access.Show), deny(grantAt("d", "Stock", access.Show)))
		}, `d: warning: this deny on "Stock" never counts`},
		"a prohibition of a part": {func(p *access.Policy) { group(p, deny(grantAt("d", "Shop.Orders", access.Show))) }, ""},
		"groups against each other": {
			func(p *access.Policy) { both(p, deny(grantAt("d", "Shop", access.Show))) },
			`ann: warning: u:ann is allowed "Shop" by "p, r:clerk, *, Shop, 3, allow, -" at clerk by way of g:staff -> r:clerk and denied it by "p, g:temps, *, Shop, 2, deny, -" at d by way of g:temps (the prohibition wins) [rights-conflict]`,
		},
		"a condition that never holds": {func(p *access.Policy) { p.Roles[0].Grants[0].Condition = "1 > 2" }, `clerk: warning: the condition "1 > 2" is always false [condition-constant]`},
		"a condition that may hold":    {func(p *access.Policy) { p.Roles[0].Grants[0].Condition = "resource.a > 2" }, ""},
		"a grant that is over":         {func(p *access.Policy) { g := grantAt("g", "Stock", access.Show); g.Validity.Until = now; group(p, g) }, `g: warning: the grant on "Stock" of g:staff ended at 2030-01-01T00:00:00Z (take it away) [grant-over]`},
		"a deprecated section":         {func(p *access.Policy) { p.Catalogue[0].Sections[0].Deprecated = "use Stock" }, `clerk: warning: the section "Shop" is deprecated (use Stock) [section-deprecated]`},
		"a menu entry for nobody":      {func(p *access.Policy) { p.Catalogue[0].Sections[3].Menu = &access.MenuEntry{} }, `stock: warning: the menu has an entry for "Stock", which nobody here may be shown (grant show on it to somebody, or leave it out of the menu) [menu-without-right]`},
		"a menu entry for superusers": {func(p *access.Policy) {
			p.Catalogue[0].Sections[3].Menu = &access.MenuEntry{}
			p.Users[0].Roles = []access.Link{{To: access.SuperuserRole}}
		}, ""},
		"a menu chosen without a right": {func(p *access.Policy) { p.Users[0].Menu = []access.Section{"Shop", "Stock"} }, `ann: warning: the menu of user "ann" names "Stock", which he may not be shown (grant it, or take it out of the menu) [menu-without-right]`},
		"a right without an entry":      {func(p *access.Policy) { group(p, grantAt("g", "Stock", access.Show)) }, `stock: warning: "Stock" may be shown, and no entry of the menu leads to it (give it a menu entry, or one to a section above it) [right-without-menu]`},
		"a field without an entry": {func(p *access.Policy) {
			group(p, grantAt("g", "Stock", access.Show))
			p.Catalogue[0].Sections[3].Field = true
		}, ""},
		"a model of one's own": {func(p *access.Policy) { p.Model = "[request_definition]\n"; p.Roles[0].Grants[0].Condition = "1 > 2" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := lintPolicy()
			tc.change(p)
			problems, err := engine.Lint(context.Background(), p, now)
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, p := range problems {
				said = append(said, p.String())
			}
			if got := strings.Join(said, "\n"); tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// Req 82: a guarantee about nobody is kept, and shows nothing.
func TestLint_guarantees(t *testing.T) {
	for name, tc := range map[string]struct {
		who    []string
		change func(p *access.Policy)
		idle   bool
	}{
		"a group without members":           {who: []string{"group:temps"}, idle: true},
		"two of them":                       {who: []string{"group:temps", "role:spare"}, idle: true},
		"a group with a member":             {who: []string{"group:staff"}},
		"one of two has a member":           {who: []string{"group:temps", "group:staff"}},
		"a role that a group has":           {who: []string{"role:clerk"}},
		"everybody":                         {},
		"whoever there is":                  {who: []string{"superusers"}},
		"an account of elsewhere":           {who: []string{"group:temps", "user:bob"}},
		"a group that another one is based": {who: []string{"group:temps"}, change: func(p *access.Policy) { p.Groups[0].Base = "temps" }},
		"a member without account yet": {who: []string{"group:temps"}, change: func(p *access.Policy) {
			p.Users[0].Status, p.Users[0].Groups = access.UserInvited, []access.Link{{To: "temps"}}
		}},
		"a member of one store": {who: []string{"group:temps"}, change: func(p *access.Policy) {
			p.Users[0].Groups = append(p.Users[0].Groups, access.Link{To: "temps", Scope: "store:a"})
		}},
		"no accounts at all": {who: []string{"group:temps"}, change: func(p *access.Policy) { p.Users = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			p := lintPolicy()
			p.Roles = append(p.Roles, access.Role{Code: "spare"})
			p.Guarantees = []access.Guarantee{{
				Name: "x", Rule: access.Never, Who: tc.who, Origin: access.Origin{File: "guarantees.yaml"},
				Rights: []access.GuardedRight{{Section: "Stock", Rights: access.Delete}},
			}}
			if tc.change != nil {
				tc.change(p)
			}
			problems, err := engine.Lint(context.Background(), p, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Contains(problems.Error(), `guarantees.yaml: warning: the guarantee "x" shows nothing: nobody here is in `+strings.Join(tc.who, " or ")+` (put somebody in, or see that accounts of elsewhere are) [guarantee-idle]`)
			if said != tc.idle {
				t.Errorf("got %v", problems)
			}
		})
	}
}

// Req 78: rights that need others are warned of where they are given without, and
// where nobody can have them.
func TestLint_prerequisites(t *testing.T) {
	p := lintPolicy()
	p.Groups[0].Roles = nil
	p.Groups[0].Grants = []access.Grant{grantAt("export", "Shop.Export", access.Execute)}
	p.Catalogue[0].Sections[0].Menu = nil
	problems, err := engine.Lint(context.Background(), p, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := `export: warning: g:staff has rights on "Shop.Export", which needs show on "Shop.Orders", and lacks that (grant show on Shop.Orders at * too) [prerequisite-unmet]
export: warning: u:ann has rights on "Shop.Export", which needs show on "Shop.Orders", and lacks that (grant show on Shop.Orders at * too) [prerequisite-unmet]
warning: "Shop.Export" needs show on "Shop.Orders", which nobody who has rights on it holds (grant it to somebody, or take it out) [prerequisite-impossible]`
	if got := problems.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
