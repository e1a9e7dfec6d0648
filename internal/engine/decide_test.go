package engine_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

// small is a policy with one of everything, for tests that want to be read.
func small() *access.Policy {
	return &access.Policy{
		Tenant: "t", Anonymous: "guests",
		Licences: []access.Licence{{Feature: "chats"}},
		Scopes:   []access.ScopeNode{{Scope: "company:7"}, {Scope: "store:a", Parent: "company:7"}},
		Catalogue: []access.Application{{Code: "crm", Roles: []access.Link{{To: "clerk"}}, Sections: []access.SectionEntry{
			{Path: "System"},
			{Path: "System.Orders", Actions: []access.ActionEntry{{Name: "send"}}},
			{Path: "System.Orders.Export"},
			{Path: "System.OrdersOld"},
			{Path: "System.Chats", Licence: "chats"},
			{Path: "System.Bills", Prerequisites: []access.Prerequisite{{Section: "System.Orders", Rights: access.Show}}},
		}}},
		Roles: []access.Role{
			{Code: "clerk", Grants: []access.Grant{
				{Section: "System.Orders", Rights: access.Show | access.Update},
				{Section: "System.Chats", Rights: access.Show},
			}},
			{Code: "biller", Grants: []access.Grant{{Section: "System.Bills", Rights: access.Show}}},
		},
		Groups: []access.Group{
			{Code: "clerks", Roles: []access.Link{{To: "clerk"}}},
			{Code: "guests", Grants: []access.Grant{{Section: "System.Chats", Rights: access.Show}}},
			{Code: "pattern", Kind: access.GroupTemplate, Roles: []access.Link{{To: "clerk"}}},
		},
		Users: []access.User{
			{ID: "clerk-1", Groups: []access.Link{{To: "clerks"}}},
			{ID: "clerk-2", Groups: []access.Link{{To: "clerks"}}, Licences: []string{"chats"}},
			{ID: "biller-1", Roles: []access.Link{{To: "biller"}}},
			{ID: "root-1", Grants: []access.Grant{{Section: "System", Rights: access.AllRights}}},
			{ID: "root-2", Status: access.UserLocked, Grants: []access.Grant{{Section: "System", Rights: access.AllRights}}},
			{ID: "off-1", Groups: []access.Link{{To: "clerks"}}, ApplicationsOff: []string{"crm"}},
			{ID: "model-1", Groups: []access.Link{{To: "pattern"}}},
		},
	}
}

func compile(t testing.TB, p *access.Policy) *engine.Snapshot {
	t.Helper()
	s, err := engine.Compile(p.Facts())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(subject string, section access.Section, actions ...access.Action) *access.Request {
	s, err := access.ParseSubject("subject", subject)
	if err != nil {
		panic(err)
	}
	return &access.Request{Subject: s, Section: section, Actions: actions}
}

// TestDecide_gates walks through the gates, each with its reason. Req 15: a
// licence that is missing; Req 40: an application switched off; Req 50: nothing
// is allowed that nobody granted; Req 78: a prerequisite; Req 101: questions
// without a user; Req 102: template groups only serve inheritance.
func TestDecide_gates(t *testing.T) {
	s := compile(t, small())
	for name, tc := range map[string]struct {
		r      *access.Request
		reason access.Reason
		detail string
	}{
		"granted":                              {ask("user:clerk-1", "System.Orders", "show"), access.ReasonGrantedBy, ""},
		"both of two":                          {ask("user:clerk-1", "System.Orders", "show", "update"), access.ReasonGrantedBy, ""},
		"one of two":                           {ask("user:clerk-1", "System.Orders", "show", "delete"), access.ReasonNoGrant, ""},
		"not handed down":                      {ask("user:clerk-1", "System.Orders.Export", "show"), access.ReasonNoGrant, ""},
		"a name alike":                         {ask("user:clerk-1", "System.OrdersOld", "show"), access.ReasonNoGrant, ""},
		"unknown subject":                      {ask("user:nobody", "System.Orders", "show"), access.ReasonSubjectUnknown, "nobody"},
		"a role is no user":                    {ask("user:clerk", "System.Orders", "show"), access.ReasonSubjectUnknown, "clerk"},
		"unknown application":                  {ask("app:erp", "System.Orders", "show"), access.ReasonSubjectUnknown, "erp"},
		"application":                          {ask("app:crm", "System.Orders", "show"), access.ReasonGrantedBy, ""},
		"application needs no seat":            {ask("app:crm", "System.Chats", "show"), access.ReasonGrantedBy, ""},
		"anonymous needs no seat":              {ask("anonymous", "System.Chats", "show"), access.ReasonGrantedBy, ""},
		"anonymous":                            {ask("anonymous", "System.Orders", "show"), access.ReasonNoGrant, ""},
		"template only":                        {ask("user:model-1", "System.Orders", "show"), access.ReasonSubjectTemplateOnly, ""},
		"superuser":                            {ask("user:root-1", "System.Bills", "delete"), access.ReasonSuperuser, ""},
		"superuser, unknown section":           {ask("user:root-1", "System.Bill", "show"), access.ReasonSectionUnknown, "System.Bill"},
		"superuser, unknown action":            {ask("user:root-1", "System.Bills", "send"), access.ReasonActionUnknown, "send"},
		"superuser, declared action":           {ask("user:root-1", "System.Orders", "send"), access.ReasonSuperuser, ""},
		"superuser who is locked":              {ask("user:root-2", "System.Bills", "show"), access.ReasonSubjectDisabled, "locked"},
		"application switched off":             {ask("user:off-1", "System.Orders", "show"), access.ReasonApplicationOff, "crm"},
		"no seat":                              {ask("user:clerk-1", "System.Chats", "show"), access.ReasonLicenceMissing, "chats"},
		"a seat":                               {ask("user:clerk-2", "System.Chats", "show"), access.ReasonGrantedBy, ""},
		"prerequisite missing":                 {ask("user:biller-1", "System.Bills", "show"), access.ReasonPrerequisiteMissing, "System.Orders/show"},
		"casbin's habit":                       {&access.Request{Raw: []any{"clerk-1", "*", "System.Orders", 10.0}}, access.ReasonGrantedBy, ""},
		"casbin's habit, name":                 {&access.Request{Raw: []any{"user:clerk-1", "store:a", "System.Orders", "show", map[string]any{"ip": "x"}}}, access.ReasonGrantedBy, ""},
		"casbin's habit, sum in text":          {&access.Request{Raw: []any{"clerk-1", "*", "System.Orders", "18"}}, access.ReasonNoGrant, ""},
		"casbin's habit, a role named as user": {&access.Request{Raw: []any{"r:clerk", "*", "System.Orders", "show"}}, access.ReasonSubjectUnknown, "r:clerk"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := s.Decide(tc.r, clock)
			if err != nil {
				t.Fatal(err)
			}
			allowed := tc.reason == access.ReasonGrantedBy || tc.reason == access.ReasonSuperuser
			if d.Reason != tc.reason || d.Detail != tc.detail || d.Allowed != allowed {
				t.Errorf("got %+v", d)
			}
		})
	}
	r := ask("user:clerk-1", "System.Orders", "show")
	r.Scope = "store:b"
	if d, err := s.Decide(r, clock); err != nil || d.Reason != access.ReasonScopeUnknown || d.Detail != "store:b" {
		t.Errorf("an unknown scope: %+v, %v", d, err)
	}
}

// TestDecide_malformed: a malformed question is an error that names the field,
// and a denial.
func TestDecide_malformed(t *testing.T) {
	s := compile(t, small())
	good := func(edit func(*access.Request)) *access.Request {
		r := ask("user:clerk-1", "System.Orders", "show")
		edit(r)
		return r
	}
	for field, r := range map[string]*access.Request{
		"subject":          good(func(r *access.Request) { r.Subject = access.Subject{} }),
		"subject ":         good(func(r *access.Request) { r.Subject = access.Subject{Kind: access.KindRole, ID: "clerk"} }),
		"subject  ":        good(func(r *access.Request) { r.Subject.ID = "" }),
		"action":           good(func(r *access.Request) { r.Actions = nil }),
		"action ":          good(func(r *access.Request) { r.Actions = []access.Action{"show", ""} }),
		"action  ":         good(func(r *access.Request) { r.Actions = []access.Action{"inherit"} }),
		"section":          good(func(r *access.Request) { r.Section = "" }),
		"section ":         good(func(r *access.Request) { r.Section = "*" }),
		"scope":            good(func(r *access.Request) { r.Scope = "store" }),
		"request":          {Raw: []any{"clerk-1"}},
		"request.subject":  {Raw: []any{"", "*", "System.Orders", "show"}},
		"request.scope":    {Raw: []any{"clerk-1", nil, "System.Orders", "show"}},
		"request.action":   {Raw: []any{"clerk-1", "*", "System.Orders", 1.5}},
		"request.action ":  {Raw: []any{"clerk-1", "*", "System.Orders", 11.0}},
		"request.action  ": {Raw: []any{"clerk-1", "*", "System.Orders", nil}},
		"request.context":  {Raw: []any{"clerk-1", "*", "System.Orders", "show", "x"}},
	} {
		d, err := s.Decide(r, clock)
		var problem *access.Error
		if !errors.As(err, &problem) || !errors.Is(err, access.ErrInvalid) || problem.Field != strings.TrimSpace(field) {
			t.Errorf("%s: got the error %v", field, err)
		}
		if d.Allowed || d.Reason != access.ReasonRequestInvalid {
			t.Errorf("%s: got %+v", field, d)
		}
		if _, err := s.Explain(r, clock); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("%s: explained with the error %v", field, err)
		}
	}
}

// TestDecide_noAllocation: neither a warm question nor one about unknown names
// leaves anything behind.
func TestDecide_noAllocation(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	s, err := engine.Compile(oracle.Sample(11_000))
	if err != nil {
		t.Fatal(err)
	}
	requests := sampleRequests(11_000)[:50]
	requests = append(requests, access.Request{
		Subject: access.Subject{Kind: access.KindUser, ID: "nobody"}, Section: "System.Nowhere", Scope: "store:nowhere", Actions: []access.Action{"fax"},
	})
	for i := range requests {
		allocations := testing.AllocsPerRun(100, func() {
			if _, err := s.Decide(&requests[i], clock); err != nil {
				t.Error(err)
			}
		})
		if allocations != 0 {
			t.Errorf("question %d allocates %v times", i, allocations)
		}
	}
}

// TestDecide_masks asks for every sum of rights, every action and every depth,
// exactly as the arithmetic says (Req 69).
func TestDecide_masks(t *testing.T) {
	sections := []access.Section{"System", "System.A", "System.A.B", "System.A.B.C"}
	for _, effect := range []access.Effect{access.Allow, access.Deny} {
		for mask := range access.AllRights + 1 {
			p := small()
			p.Catalogue[0].Sections = nil
			for _, path := range sections {
				p.Catalogue[0].Sections = append(p.Catalogue[0].Sections, access.SectionEntry{Path: path})
			}
			p.Roles, p.Groups, p.Anonymous = nil, nil, ""
			p.Catalogue[0].Roles = nil
			p.Users = []access.User{{ID: "1", Grants: []access.Grant{{Section: "System.A", Rights: mask, Effect: effect}}}}
			if effect == access.Deny {
				p.Users[0].Grants = append(p.Users[0].Grants, access.Grant{Section: "System", Rights: access.AllRights, Scope: "company:7"})
			}
			s := compile(t, p)
			for depth, section := range sections {
				for bit := access.Show; bit <= access.Execute; bit <<= 1 {
					r := ask("user:1", section, access.Action(bit.Names()[0]))
					r.Scope = "store:a"
					covered := mask&bit != 0 && (depth == 1 || depth > 1 && mask&access.Inherit != 0)
					want := covered == (effect == access.Allow)
					if d, err := s.Decide(r, clock); err != nil || d.Allowed != want {
						t.Errorf("%s %d on System.A: %v on %s gives %v, %v", effect, mask, r.Actions, section, d.Allowed, err)
					}
				}
			}
		}
	}
}

// TestDecide_metamorphic: more denials never allow more, rules of others and the
// order of rules change no answer.
func TestDecide_metamorphic(t *testing.T) {
	for seed := range uint64(some(60)) {
		m := newMaker(seed)
		p := m.policy()
		p.Combining = access.DenyOverrides
		facts := p.Facts()
		before := mustCompile(t, facts)

		denied := facts
		denied.Rules = slices.Clone(facts.Rules)
		grantee := access.Name(access.KindRole, pick(m, roleCodes[:6]))
		denied.Rules = append(denied.Rules, access.Rule{Type: "p", Values: []string{grantee, string(m.scope()), string(pick(m, paths)), "63", "deny", "-"}})
		withDeny := mustCompile(t, denied)

		unrelated := facts
		unrelated.Users = append(slices.Clone(facts.Users), access.UserFacts{ID: "stranger", Status: access.UserActive})
		unrelated.Rules = append(slices.Clone(facts.Rules), access.Rule{Type: "p", Values: []string{"u:stranger", "*", "T", "63", "deny", "-"}})
		withOthers := mustCompile(t, unrelated)

		shuffled := facts
		shuffled.Rules = slices.Clone(facts.Rules)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(shuffled.Rules), func(i, j int) {
			shuffled.Rules[i], shuffled.Rules[j] = shuffled.Rules[j], shuffled.Rules[i]
		})
		inDisorder := mustCompile(t, shuffled)

		for range 100 {
			r := m.request()
			d := decide(t, before, r)
			if !d.Allowed && decide(t, withDeny, r).Allowed {
				t.Errorf("seed %d: one more denial allowed %+v", seed, r)
			}
			if say(decide(t, withOthers, r)) != say(d) {
				t.Errorf("seed %d: a stranger's rule changed the answer to %+v", seed, r)
			}
			if o := decide(t, inDisorder, r); o.Allowed != d.Allowed || o.Reason != d.Reason {
				t.Errorf("seed %d: the order of rules changed the answer to %+v", seed, r)
			}
		}
	}
}

func mustCompile(t testing.TB, f access.Facts) *engine.Snapshot {
	t.Helper()
	s, err := engine.Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decide(t testing.TB, s *engine.Snapshot, r *access.Request) access.Decision {
	t.Helper()
	d, err := s.Decide(r, clock)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDecide_validUntil: nothing that a decision rests upon changes before the
// moment it names. At that moment the answer may be another.
func TestDecide_validUntil(t *testing.T) {
	hour := func(n int) time.Time { return clock.Add(time.Duration(n) * time.Hour) }
	p := small()
	p.Users = append(p.Users, access.User{
		ID:     "temp-1",
		Groups: []access.Link{{To: "clerks", Validity: access.Validity{Until: hour(2)}}},
		Grants: []access.Grant{
			{Section: "System.Orders", Rights: access.Delete, Validity: access.Validity{From: hour(1), Until: hour(5)}},
			{Section: "System.Orders", Rights: access.Execute, Condition: "now < timestamp('2030-01-01T00:00:00Z')"},
			{Section: "System.OrdersOld", Rights: access.Show, Validity: access.Validity{From: hour(-5), Until: hour(-1)}},
		},
	})
	s := compile(t, p)
	for name, tc := range map[string]struct {
		r       *access.Request
		now     time.Time
		allowed bool
		until   time.Time
	}{
		"for good":                     {ask("user:clerk-1", "System.Orders", "show"), clock, true, time.Time{}},
		"as long as the membership":    {ask("user:temp-1", "System.Orders", "show"), clock, true, hour(2)},
		"after the membership":         {ask("user:temp-1", "System.Orders", "show"), hour(2), false, time.Time{}},
		"until a grant begins":         {ask("user:temp-1", "System.Orders", "delete"), clock, false, hour(1)},
		"while it lasts":               {ask("user:temp-1", "System.Orders", "delete"), hour(3), true, hour(5)},
		"once it is over":              {ask("user:temp-1", "System.Orders", "delete"), hour(5), false, time.Time{}},
		"what is over stays over":      {ask("user:temp-1", "System.OrdersOld", "show"), hour(3), false, time.Time{}},
		"a condition that has a clock": {ask("user:temp-1", "System.Orders", "execute"), hour(3), true, hour(3)},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := s.Decide(tc.r, tc.now)
			if err != nil || d.Allowed != tc.allowed || !d.ValidUntil.Equal(tc.until) {
				t.Errorf("got %+v, %v", d, err)
			}
		})
	}
}

// TestDecide_validUntilIsKept asks random policies again just before the moment
// that a decision names: the answer must be the same.
func TestDecide_validUntilIsKept(t *testing.T) {
	limited := 0
	for seed := range uint64(some(60)) {
		m := newMaker(seed)
		s := compile(t, m.policy())
		for range 60 {
			r := m.request()
			now := clock.Add(time.Duration(m.IntN(72)-36) * time.Hour)
			d, err := s.Decide(r, now)
			if err != nil {
				t.Fatal(err)
			}
			later := clock.AddDate(1, 0, 0)
			if !d.ValidUntil.IsZero() {
				limited++
				later = d.ValidUntil.Add(-1)
			}
			if later.Before(now) {
				continue // it says that it may change at once
			}
			again, err := s.Decide(r, later)
			if err != nil || say(again) != say(d) {
				t.Errorf("seed %d: %+v\n at %v: %s until %v\n at %v: %s", seed, r, now, say(d), d.ValidUntil, later, say(again))
			}
		}
	}
	if limited < some(500) {
		t.Errorf("only %d decisions were limited in time", limited)
	}
}

// TestCompile_refused: a row that cannot be understood is a problem with its
// place, never a row that is passed over.
func TestCompile_refused(t *testing.T) {
	for says, r := range map[string]access.Rule{
		"rules.csv:7: \"p, u:1\" is no line":            line("p", "u:1"),
		"is no line of the built-in model":              line("p2", "u:1", "*", "System", "2", "allow", "-"),
		"\"1\" is not a name of a rule":                 line("p", "1", "*", "System", "2", "allow", "-"),
		"scope \"store:z\" does not exist":              line("p", "u:1", "store:z", "System", "2", "deny", "-"),
		"\"show\"":                                      line("p", "u:1", "*", "System", "show", "allow", "-"),
		"\"Deny\" is not an effect":                     line("p", "u:1", "*", "System", "2", "Deny", "-"),
		"condition \"c1\" does not exist":               line("p", "u:1", "*", "System", "2", "deny", "c1"),
		"\"u:2\" is neither a group":                    line("g", "u:1", "u:2", "*"),
		"\"clerks\" is not a name of a rule":            line("g", "u:1", "clerks", "*"),
		"\"g:\" is not a name of a rule":                line("g", "g:", "r:clerk", "*"),
		"rules.csv:7: scope \"store:y\" does not exist": line("g", "u:1", "r:clerk", "store:y"),
	} {
		facts := small().Facts()
		facts.Rules = append(facts.Rules, r)
		_, err := engine.Compile(facts)
		var problems access.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want problems that say %q", err, says)
		}
	}
	p := small()
	p.Roles[0].Grants[0].Condition = "resource.amount <"
	p.Roles[0].Grants[0].Origin = access.Origin{File: "roles/clerk.yaml", Line: 4, Column: 7}
	if _, err := engine.Compile(p.Facts()); err == nil || !strings.HasPrefix(err.Error(), "roles/clerk.yaml:4:7: condition: 1:18: ") {
		t.Errorf("a bad condition gave %v", err)
	}
}

// TestDecide_deepPrerequisites: prerequisites that never end are never met.
func TestDecide_deepPrerequisites(t *testing.T) {
	facts := small().Facts()
	section := &facts.Catalogue[0].Sections[1] // needs itself, which Policy.Check refuses
	section.Prerequisites = []access.Prerequisite{{Section: section.Path, Rights: access.Show}}
	s, o := both(t, facts)
	r := ask("user:clerk-1", section.Path, "show")
	if d := decide(t, s, r); d.Reason != access.ReasonPrerequisiteMissing {
		t.Errorf("got %+v", d)
	}
	if d := difference(s, o, r, clock); d != "" {
		t.Error(d)
	}
}
