package access_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// shop is a small policy without mistakes; each test spoils a copy of it.
func shop() *access.Policy {
	return &access.Policy{
		Tenant:   "shop",
		Licences: []access.Licence{{Feature: "chats", Seats: 1}},
		Scopes: []access.ScopeNode{
			{Scope: "company:7"}, {Scope: "store:1", Parent: "company:7"}, {Scope: "store:2", Parent: "company:7"},
		},
		Catalogue: []access.Application{{Code: "crm", Sections: []access.SectionEntry{
			{Path: "System"},
			{Path: "System.Orders", Cascade: true, Prerequisites: []access.Prerequisite{{Section: "System.Stores", Rights: access.Show}}},
			{Path: "System.Orders.Export", Actions: []access.ActionEntry{{Name: "send"}}},
			{Path: "System.Stores"},
		}}},
		Roles: []access.Role{{Code: "clerk", Grants: []access.Grant{
			{Section: "System.Orders", Rights: access.Show | access.Update},
			{Section: "System.Stores", Rights: access.Show, Condition: "context.ok"},
		}}},
		Groups: []access.Group{
			{Code: "staff", Kind: access.GroupDefault, Roles: []access.Link{{To: "clerk"}}},
			{Code: "eu", Base: "staff", Scopes: []access.Scope{"store:1", "store:2"}, Grants: []access.Grant{
				{Section: "System.Orders.Export", Actions: []string{"send"}, Effect: access.Deny, Scope: "store:1"},
			}},
		},
		Anonymous: "staff",
		Users:     []access.User{{ID: "op-1", Groups: []access.Link{{To: "eu", Scope: "store:1"}}, Licences: []string{"chats"}}},
	}
}

func TestPolicy_lines(t *testing.T) {
	p := shop()
	if problems := p.Check(); len(problems) > 0 {
		t.Fatal(problems)
	}
	facts := p.Facts()
	cond := access.ConditionID("context.ok")
	want := []string{
		"p, superuser, *, *, *, allow, -",
		"p, r:clerk, *, System.Orders, 11, allow, -", // it cascades, so inherit is added
		"p, r:clerk, *, System.Stores, 2, allow, " + cond,
		"g, g:staff, r:clerk, *",
		"g, g:eu, g:staff, store:1", // the ceiling limits what is inherited
		"g, g:eu, g:staff, store:2",
		"p, g:eu, store:1, System.Orders.Export, send, deny, -",
		"g, u:anonymous, g:staff, *",
		"g, u:op-1, g:eu, store:1",
	}
	var got []string
	for _, r := range facts.Rules {
		got = append(got, r.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(facts.Conditions) != 1 || facts.Conditions[0].ID != cond {
		t.Errorf("conditions: %+v", facts.Conditions)
	}
	if facts.Users[0].Status != access.UserActive || facts.Groups["eu"] != access.GroupRegular {
		t.Errorf("defaults: %+v %+v", facts.Users, facts.Groups)
	}
}

// Req 72: all rights on the root section everywhere is membership of superuser.
func TestPolicy_rootGrant(t *testing.T) {
	for name, c := range map[string]struct {
		grant access.Grant
		want  string
	}{
		"everything everywhere":   {access.Grant{Section: "System", Rights: 63}, "g, r:clerk, superuser, *"},
		"not without inherit":     {access.Grant{Section: "System", Rights: 62}, "p, r:clerk, *, System, 62, allow, -"},
		"not in one store":        {access.Grant{Section: "System", Rights: 63, Scope: "store:1"}, "p, r:clerk, store:1, System, 63, allow, -"},
		"not as a deny":           {access.Grant{Section: "System", Rights: 63, Effect: access.Deny}, "p, r:clerk, *, System, 63, deny, -"},
		"not on another section":  {access.Grant{Section: "System.Stores", Rights: 63}, "p, r:clerk, *, System.Stores, 63, allow, -"},
		"not under a condition":   {access.Grant{Section: "System", Rights: 63, Condition: "true"}, "p, r:clerk, *, System, 63, allow, " + access.ConditionID("true")},
		"rights 0 grants nothing": {access.Grant{Section: "System", Rights: 0}, ""},
		"inherit alone is air":    {access.Grant{Section: "System", Rights: 1}, ""},
	} {
		p := shop()
		p.Roles = []access.Role{{Code: "clerk", Grants: []access.Grant{c.grant}}}
		got := ""
		for _, r := range p.Facts().Rules {
			if r.Values[0] == "r:clerk" {
				got = r.String()
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestPolicy_emptyCeilingIsNothing(t *testing.T) {
	p := shop()
	p.Groups[1].Scopes = []access.Scope{}
	for _, r := range p.Facts().Rules {
		if r.Values[0] == "g:eu" {
			t.Errorf("a group that may reach nothing has the rule %s", r)
		}
	}
}

func TestPolicy_Check(t *testing.T) {
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		spoil func(p *access.Policy)
		code  string
		says  string
	}{
		"tenant":              {func(p *access.Policy) { p.Tenant = "My shop" }, "name-invalid", "tenant"},
		"combining":           {func(p *access.Policy) { p.Combining = "most-specific" }, "combining-invalid", "most-specific"},
		"root":                {func(p *access.Policy) { p.Root = "A..B" }, "name-invalid", "root"},
		"anonymous":           {func(p *access.Policy) { p.Anonymous = "staf" }, "group-unknown", `did you mean "staff"?`},
		"licence twice":       {func(p *access.Policy) { p.Licences = append(p.Licences, p.Licences[0]) }, "duplicate", "chats"},
		"negative seats":      {func(p *access.Policy) { p.Licences[0].Seats = -1 }, "seats-invalid", "chats"},
		"too many seats":      {func(p *access.Policy) { p.Users = append(p.Users, access.User{ID: "2", Licences: []string{"chats"}}) }, "seats-exceeded", "1 seats and 2 users"}, // Req 44
		"scope *":             {func(p *access.Policy) { p.Scopes[0].Scope = "*" }, "scope-reserved", "*"},
		"scope form":          {func(p *access.Policy) { p.Scopes[1].Scope = "store 1" }, "name-invalid", "store 1"},
		"scope parent":        {func(p *access.Policy) { p.Scopes[1].Parent = "company:8" }, "scope-unknown", "company:8"},
		"scope circle":        {func(p *access.Policy) { p.Scopes[0].Parent = "store:1" }, "scope-depth", "circle"},
		"section form":        {func(p *access.Policy) { p.Catalogue[0].Sections[3].Path = "System Stores" }, "name-invalid", "System Stores"},
		"section twice":       {func(p *access.Policy) { p.Catalogue[0].Sections[3].Path = "System.Orders" }, "duplicate", "System.Orders"}, // Req 82
		"standard action":     {func(p *access.Policy) { p.Catalogue[0].Sections[2].Actions[0].Name = "show" }, "action-reserved", "show"},
		"prerequisite":        {func(p *access.Policy) { p.Catalogue[0].Sections[1].Prerequisites[0].Section = "System.Store" }, "section-unknown", "System.Stores"},
		"prerequisite rights": {func(p *access.Policy) { p.Catalogue[0].Sections[1].Prerequisites[0].Rights = access.Inherit }, "prerequisite-rights", "at least one right"},
		"prerequisite circle": {func(p *access.Policy) {
			p.Catalogue[0].Sections[3].Prerequisites = []access.Prerequisite{{Section: "System.Orders", Rights: access.Show}}
		}, "prerequisite-depth", "System.Orders needs System.Stores"},
		"role code":             {func(p *access.Policy) { p.Roles[0].Code = "Clerk" }, "name-invalid", "Clerk"},
		"role superuser":        {func(p *access.Policy) { p.Roles = append(p.Roles, access.Role{Code: "superuser"}) }, "role-reserved", "superuser"},
		"group superuser":       {func(p *access.Policy) { p.Groups[1].Code = "superuser" }, "group-reserved", "superuser"},
		"application superuser": {func(p *access.Policy) { p.Catalogue[0].Code = "superuser" }, "application-reserved", "superuser"},
		"role of a group":       {func(p *access.Policy) { p.Groups[0].Roles[0].To = "clark" }, "role-unknown", `did you mean "clerk"?`},
		"group twice":           {func(p *access.Policy) { p.Groups[1].Code = "staff" }, "duplicate", "staff"}, // Req 5
		"group kind":            {func(p *access.Policy) { p.Groups[1].Kind = "odd" }, "kind-invalid", "odd"},
		"group base":            {func(p *access.Policy) { p.Groups[1].Base = "stuff" }, "group-unknown", `did you mean "staff"?`},
		"group without base":    {func(p *access.Policy) { p.NeedBase, p.Groups[1].Base = true, "" }, "base-required", "base is required"}, // Req 89
		"unknown managed group": {func(p *access.Policy) { p.Groups[0].Manages = []string{"staf"} }, "group-unknown", "staf"},              // Req 96
		"group circle":          {func(p *access.Policy) { p.Groups[0].Base = "eu" }, "inheritance-cycle", "g:eu -> g:staff -> g:eu"},      // Req 104
		"ceiling":               {func(p *access.Policy) { p.Groups[1].Scopes = []access.Scope{"store:2"} }, "scope-beyond-ceiling", "store:1"},
		"ceiling unknown":       {func(p *access.Policy) { p.Groups[1].Scopes[1] = "store:3" }, "scope-unknown", "store:3"},
		"user id":               {func(p *access.Policy) { p.Users[0].ID = "anonymous" }, "name-invalid", "reserved"},
		"user twice":            {func(p *access.Policy) { p.Users = append(p.Users, access.User{ID: "op-1"}) }, "duplicate", "op-1"},
		"mail twice": {func(p *access.Policy) {
			p.Users[0].Email = "op@example.com"
			p.Users = append(p.Users, access.User{ID: "2", Email: "OP@example.com"})
		}, "duplicate", "e-mail"},
		"status":                             {func(p *access.Policy) { p.Users[0].Status = "enabled" }, "status-invalid", "enabled"},
		"application off":                    {func(p *access.Policy) { p.Users[0].ApplicationsOff = []string{"crn"} }, "application-unknown", `"crm"`},
		"licence of a user":                  {func(p *access.Policy) { p.Users[0].Licences = []string{"chat"} }, "licence-unknown", `"chats"`},
		"validity":                           {func(p *access.Policy) { p.Users[0].Groups[0].Validity = access.Validity{From: day, Until: day} }, "validity-empty", "before"},
		"superuser in scope":                 {func(p *access.Policy) { p.Users[0].Roles = []access.Link{{To: "superuser", Scope: "store:1"}} }, "superuser-scoped", "store:1"},
		"grant section":                      {func(p *access.Policy) { p.Roles[0].Grants[0].Section = "System.Order" }, "section-unknown", `"System.Orders"`},
		"grant action":                       {func(p *access.Policy) { p.Groups[1].Grants[0].Actions[0] = "sent" }, "action-unknown", `"send"`},
		"grant action above without inherit": {func(p *access.Policy) { p.Groups[1].Grants[0].Section = "System.Orders" }, "action-unknown", "send"},
		"grant rights":                       {func(p *access.Policy) { p.Roles[0].Grants[0].Rights = 64 }, "rights-invalid", "64"},
		"grant scope":                        {func(p *access.Policy) { p.Roles[0].Grants[0].Scope = "store:9" }, "scope-unknown", "store:9"},
		"grant effect":                       {func(p *access.Policy) { p.Roles[0].Grants[0].Effect = "Deny" }, "name-invalid", "Deny"},
		"grant twice":                        {func(p *access.Policy) { p.Roles[0].Grants = append(p.Roles[0].Grants, p.Roles[0].Grants[0]) }, "duplicate", "System.Orders"},
		"line type":                          {line("p2", "g:eu"), "rule-type", "p2"},
		"line arity":                         {line("g", "g:eu", "r:clerk"), "rule-arity", "3 fields"},
		"line name":                          {line("g", "eu", "r:clerk", "*"), "name-invalid", "eu"},
		"line to a user":                     {line("g", "g:eu", "u:op-1", "*"), "link-target", "u:op-1"},
		"line scope":                         {line("g", "g:eu", "r:clerk", ""), "name-invalid", "scope"},
		"line effect":                        {line("p", "g:eu", "*", "System.Stores", "2", "Deny", "-"), "name-invalid", "Deny"},
		"line no effect":                     {line("p", "g:eu", "*", "System.Stores", "2", "", "-"), "name-invalid", "effect"},
		"line act":                           {line("p", "g:eu", "*", "System.Stores", "02", "allow", "-"), "name-invalid", "canonical"},
		"line condition":                     {line("p", "g:eu", "*", "System.Stores", "2", "allow", "c1"), "rule-condition", "condition"},
		"line sentinel":                      {line("p", "superuser", "*", "*", "*", "allow", "-"), "superuser-rule", "built-in"},
		"line all":                           {line("p", "g:eu", "*", "*", "2", "allow", "-"), "superuser-rule", "built-in"},
		"line superuser":                     {line("g", "u:op-1", "superuser", "store:1"), "superuser-scoped", "store:1"},
		"line group":                         {line("g", "u:op-1", "g:eo", "*"), "group-unknown", `"eu"`},
		"line twice":                         {line("g", "u:op-1", "g:eu", "store:1"), "duplicate", "u:op-1"},
		"foreign model":                      {func(p *access.Policy) { p.Model = "[matchers]" }, "model-foreign", "plain lines"},
	} {
		t.Run(name, func(t *testing.T) {
			p := shop()
			c.spoil(p)
			problems := p.Check().Errors()
			for _, problem := range problems {
				if problem.Code == c.code && strings.Contains(problem.String(), c.says) {
					return
				}
			}
			t.Errorf("want %s with %q, got %v", c.code, c.says, problems)
		})
	}
}

func line(ptype string, values ...string) func(p *access.Policy) {
	return func(p *access.Policy) { p.Rules = append(p.Rules, access.Rule{Type: ptype, Values: values}) }
}

// Stock Casbin follows 10 links and is silent about the rest, so 10 must pass
// and 11 must be refused with the path.
func TestPolicy_inheritanceDepth(t *testing.T) {
	chain := func(n int) *access.Policy {
		p := &access.Policy{Tenant: "deep"}
		for i := range n {
			r := access.Role{Code: fmt.Sprintf("r%02d", i)}
			if i > 0 {
				r.Roles = []access.Link{{To: fmt.Sprintf("r%02d", i-1)}}
			}
			p.Roles = append(p.Roles, r)
		}
		p.Users = []access.User{{ID: "op", Roles: []access.Link{{To: fmt.Sprintf("r%02d", n-1)}}}}
		return p
	}
	if problems := chain(10).Check(); len(problems) > 0 {
		t.Errorf("10 links must pass: %v", problems)
	}
	problems := chain(11).Check()
	if len(problems) == 0 || problems[0].Code != "inheritance-depth" {
		t.Fatalf("11 links must be refused: %v", problems)
	}
	if !strings.Contains(problems.Error(), "u:op -> r:r10 -> r:r09") {
		t.Errorf("the path must be shown: %v", problems)
	}
}

func TestPolicy_groupsOfAUser(t *testing.T) {
	member := func(n int) *access.Policy {
		p := &access.Policy{Tenant: "many", Users: []access.User{{ID: "op"}}}
		for i := range n {
			code := fmt.Sprintf("g%03d", i)
			p.Groups = append(p.Groups, access.Group{Code: code})
			p.Users[0].Groups = append(p.Users[0].Groups, access.Link{To: code})
		}
		return p
	}
	if problems := member(100).Check(); len(problems) > 0 {
		t.Errorf("100 groups must pass: %v", problems)
	}
	if problems := member(101).Check(); len(problems) != 1 || problems[0].Code != "groups-too-many" {
		t.Errorf("101 groups must be refused: %v", problems)
	}
}

func TestProblems(t *testing.T) {
	ps := access.Problems{
		{Origin: access.Origin{File: "roles/a.yaml", Line: 3, Column: 5}, Code: "x", Message: "wrong", Hint: "did you mean right?"},
		{Code: "y", Message: "odd", Warning: true},
	}
	want := "roles/a.yaml:3:5: wrong (did you mean right?) [x]\nwarning: odd [y]"
	if got := ps.Error(); got != want {
		t.Errorf("got %q", got)
	}
	if len(ps.Errors()) != 1 || ps.Err() == nil || ps[1:].Err() != nil {
		t.Error("warnings are no errors")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"operators", "administrators", "leads", "show"}
	for in, want := range map[string]string{"shwo": "show", "shoe": "show", "wosh": "", "operator": "operators", "Leads": "leads", "admins": "", "xyz": "", "": ""} {
		if got := access.Nearest(in, known); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
