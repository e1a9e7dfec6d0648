package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// bare takes from a policy what the gates before the verdict look at and what
// holdings do not know of: licences, prerequisites, templates, conditions, and
// accounts that may not be used.
func bare(p *access.Policy) {
	plain := func(grants []access.Grant) {
		for i := range grants {
			grants[i].Condition = ""
		}
	}
	for i := range p.Catalogue {
		plain(p.Catalogue[i].Grants)
		for j := range p.Catalogue[i].Sections {
			p.Catalogue[i].Sections[j].Licence, p.Catalogue[i].Sections[j].Prerequisites = "", nil
		}
	}
	for i := range p.Roles {
		plain(p.Roles[i].Grants)
	}
	for i := range p.Groups {
		plain(p.Groups[i].Grants)
		if p.Groups[i].Kind == access.GroupTemplate {
			p.Groups[i].Kind = access.GroupRegular
		}
	}
	for i := range p.Users {
		plain(p.Users[i].Grants)
		p.Users[i].Status, p.Users[i].ApplicationsOff = access.UserActive, nil
	}
}

// says tells by holdings alone what the answer to a question must be.
func says(h access.Holdings, combining access.Combining, section access.Section, action access.Action, scope access.Scope, above func(access.Scope) access.Scope) bool {
	allowed, denied, exempt := false, false, false
	for _, r := range h.Rules {
		covers := r.Act.All || r.Act.Name == "" && r.Act.Rights&action.Right() != 0 || r.Act.Name != "" && r.Act.Name == string(action)
		reaches := r.Section == "*" || r.Section == section || r.Act.Inherits() && r.Section.Above(section)
		if !covers || !reaches || !access.LiesIn(scope, r.Scope, above) {
			continue
		}
		allowed, denied, exempt = allowed || r.Effect == access.Allow, denied || r.Effect == access.Deny, exempt || r.Act.All
	}
	return h.Superuser || exempt || allowed && (!denied || combining == access.AllowOverrides)
}

// TestHoldings_likeDecisions asks everything one by one, and holds each answer
// against what the holdings of the subject say.
func TestHoldings_likeDecisions(t *testing.T) {
	ctx, asked, allowed := context.Background(), 0, 0
	for seed := range uint64(150) {
		m := newMaker(seed + 1000)
		p := m.policy()
		bare(p)
		facts := p.Facts()
		e := engine.New(engine.Options{Clock: func() time.Time { return clock }})
		install, err := e.Prepare(facts)
		if err != nil {
			t.Fatal(err)
		}
		install(1)
		sight, err := e.Sight(p.Tenant)
		if err != nil {
			t.Fatal(err)
		}
		subjects := []access.Subject{access.Anonymous, {Kind: access.KindApplication, ID: "one"}}
		for _, u := range p.Users {
			subjects = append(subjects, access.Subject{Kind: access.KindUser, ID: u.ID})
		}
		for _, who := range subjects {
			held, err := sight.Holdings(ctx, who.Rule(), access.Now)
			if err != nil {
				t.Fatal(err)
			}
			for _, app := range p.Catalogue {
				for _, s := range app.Sections {
					for _, action := range []access.Action{"show", "insert", "update", "delete", "execute", "send", "print"} {
						for _, scope := range scopes {
							d, err := e.Decide(ctx, p.Tenant, &access.Request{Subject: who, Actions: []access.Action{action}, Section: s.Path, Scope: scope})
							if err != nil {
								t.Fatal(err)
							}
							if d.Reason == access.ReasonActionUnknown {
								continue
							}
							asked++
							if d.Allowed {
								allowed++
							}
							if want := says(held, facts.Combining, s.Path, action, scope, sight.Above); d.Allowed != want {
								t.Fatalf("seed %d: %s, %s on %s at %s: the decision is %v (%s), holdings say %v\n%+v",
									seed, who, action, s.Path, scope, d.Allowed, d.Reason, want, held)
							}
						}
					}
				}
			}
		}
	}
	if allowed < 1000 || asked-allowed < 1000 {
		t.Fatalf("%d of %d were allowed: that shows little", allowed, asked)
	}
}

// sightsOf gives sights before and after one edit of a policy: with users in the
// snapshot, and with users that are fetched.
func sightsOf(t *testing.T, edit func(*access.Policy)) map[string][2]access.Sight {
	t.Helper()
	p := holdingsPolicy()
	before := atPlaces(p.Facts())
	edit(p)
	after := atPlaces(p.Facts())
	delta := wholeDifference(before, after)
	all := map[string][2]access.Sight{}
	for name, fetched := range map[string]bool{"resident": false, "fetched": true} {
		f := before
		f.Fetched = fetched
		keep := &usersKept{facts: before}
		e := engine.New(engine.Options{Clock: func() time.Time { return clock }, Subjects: keep})
		if fetched {
			f.Users = nil
			f.Rules = slices.DeleteFunc(slices.Clone(f.Rules), func(r access.Rule) bool { _, own := r.User(); return own })
		}
		install, err := e.Prepare(f)
		if err != nil {
			t.Fatal(err)
		}
		install(before.Revision)
		was, will, err := e.Foresee(context.Background(), delta)
		if err != nil {
			t.Fatal(err)
		}
		if now, _ := e.Snapshot(p.Tenant); now.Revision() != before.Revision {
			t.Fatalf("foreseeing has put revision %d in force", now.Revision())
		}
		all[name] = [2]access.Sight{was, will}
	}
	return all
}

// usersKept gives users as a store does.
type usersKept struct{ facts access.Facts }

func (k *usersKept) Subjects(_ context.Context, _ string, ids []string) ([]access.SubjectFacts, error) {
	all := make([]access.SubjectFacts, len(ids))
	for i, id := range ids {
		all[i].Revision = k.facts.Revision
		for _, u := range k.facts.Users {
			if u.ID == id {
				all[i].UserFacts, all[i].Known = u, true
			}
		}
		for _, r := range k.facts.Rules {
			if own, ok := r.User(); ok && own == id {
				all[i].Rules = append(all[i].Rules, r)
			}
		}
	}
	return all, nil
}

func (k *usersKept) Users(ctx context.Context, tenant, after string, most int) ([]access.SubjectFacts, error) {
	var ids []string
	for _, u := range k.facts.Users {
		if u.ID > after {
			ids = append(ids, u.ID)
		}
	}
	slices.Sort(ids)
	return k.Subjects(ctx, tenant, ids[:min(len(ids), most)])
}

// atPlaces gives lines the places that their texts have had since they were first seen.
func atPlaces(f access.Facts) access.Facts {
	f.Revision, f.Tenant = 1, "holdings"
	for i := range f.Rules {
		f.Rules[i].Place = int64(i+1) * 1000
	}
	return f
}

// wholeDifference takes away all lines and brings the new ones.
func wholeDifference(before, after access.Facts) access.Delta {
	frame := after
	frame.Users, frame.Rules = nil, nil
	frame.Revision = 2
	d := access.Delta{Tenant: before.Tenant, From: 1, To: 2, Policy: 2, Frame: &frame, Gone: before.Rules, Rules: after.Rules, Users: after.Users}
	for _, u := range before.Users {
		if !slices.ContainsFunc(after.Users, func(o access.UserFacts) bool { return o.ID == u.ID }) {
			d.Left = append(d.Left, u.ID)
		}
	}
	return d
}

func holdingsPolicy() *access.Policy {
	show := func(section access.Section, scope access.Scope) []access.Grant {
		return []access.Grant{{Section: section, Rights: access.Show, Scope: scope}}
	}
	return &access.Policy{
		Tenant: "holdings",
		Scopes: []access.ScopeNode{{Scope: "company:1"}, {Scope: "store:a", Parent: "company:1"}, {Scope: "store:b", Parent: "company:1"}},
		Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{
			{Path: "System.A"}, {Path: "System.B"}, {Path: "System.C"},
		}}},
		Roles:  []access.Role{{Code: "base", Grants: show("System.A", "")}, {Code: "in-a", Grants: show("System.B", "store:a")}},
		Groups: []access.Group{{Code: "root", Roles: []access.Link{{To: "base"}}}, {Code: "staff", Base: "root"}, {Code: "other"}},
		Users: []access.User{
			{ID: "1", Groups: []access.Link{{To: "staff", Scope: "company:1"}}, Roles: []access.Link{{To: "in-a", Scope: "company:1"}}},
			{ID: "2", Groups: []access.Link{{To: "other"}}},
		},
	}
}

func holdsIn(t *testing.T, s access.Sight, holder string, when access.Moment) []string {
	t.Helper()
	h, err := s.Holdings(context.Background(), holder, when)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	if h.Superuser {
		all = append(all, "superuser")
	}
	for _, r := range h.Rules {
		all = append(all, string(r.Section)+"@"+string(r.Scope)+" "+string(r.Effect))
	}
	slices.Sort(all)
	return all
}

func TestHoldings_foreseen(t *testing.T) {
	day := 24 * time.Hour
	for name, tc := range map[string]struct {
		edit          func(p *access.Policy)
		holder        string
		when          access.Moment
		before, after []string
	}{
		"scopes narrow along the path": {
			func(p *access.Policy) { p.Users[0].Groups[0].Scope = "store:b" }, "u:1", access.Now,
			[]string{"System.A@company:1 allow", "System.B@store:a allow"},
			[]string{"System.A@store:b allow", "System.B@store:a allow"},
		},
		"where scopes are apart, nothing comes through": {
			func(p *access.Policy) { p.Users[0].Roles[0].Scope = "store:b" }, "u:1", access.Now,
			[]string{"System.A@company:1 allow", "System.B@store:a allow"},
			[]string{"System.A@company:1 allow"},
		},
		"a change of a role reaches by way of groups": {
			func(p *access.Policy) { p.Roles[0].Grants[0].Section = "System.C" }, "g:staff", access.Now,
			[]string{"System.A@* allow"},
			[]string{"System.C@* allow"},
		},
		"a new user": {
			func(p *access.Policy) {
				p.Users = append(p.Users, access.User{ID: "3", Groups: []access.Link{{To: "staff"}}})
			}, "u:3", access.Now, nil, []string{"System.A@* allow"},
		},
		"a user who leaves": {
			func(p *access.Policy) { p.Users = p.Users[1:] }, "u:1", access.Now,
			[]string{"System.A@company:1 allow", "System.B@store:a allow"},
			nil,
		},
		"what comes later is not held now": {
			func(p *access.Policy) {
				p.Users[1].Roles = []access.Link{{To: "base", Validity: access.Validity{From: clock.Add(day)}}}
			}, "u:2", access.Now, nil, nil,
		},
		"and will be": {
			func(p *access.Policy) {
				p.Users[1].Roles = []access.Link{{To: "base", Validity: access.Validity{From: clock.Add(day)}}}
			}, "u:2", access.Ever, nil, []string{"System.A@* allow"},
		},
		"what is over never will": {
			func(p *access.Policy) {
				p.Users[1].Roles = []access.Link{{To: "base", Validity: access.Validity{Until: clock}}}
			}, "u:2", access.Ever, nil, nil,
		},
		"what ends is not for good": {
			func(p *access.Policy) {
				p.Users[1].Roles = []access.Link{{To: access.SuperuserRole, Validity: access.Validity{Until: clock.Add(day)}}}
			}, "u:2", access.ForGood, nil, nil,
		},
		"a superuser": {
			func(p *access.Policy) {
				p.Groups[2].Grants = []access.Grant{{Section: "System", Rights: access.AllRights}}
			}, "u:2", access.ForGood, nil, []string{"superuser", "*@* allow"},
		},
		"all rights in one scope are no superuser": {
			func(p *access.Policy) {
				p.Groups[2].Grants = []access.Grant{{Section: "System", Rights: access.AllRights}}
				p.Users[1].Groups[0].Scope = "store:a"
			}, "u:2", access.Now, nil, []string{"*@store:a allow"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			slices.Sort(tc.after)
			for kind, s := range sightsOf(t, tc.edit) {
				if got := holdsIn(t, s[0], tc.holder, tc.when); !slices.Equal(got, tc.before) {
					t.Errorf("%s: before: got %q, want %q", kind, got, tc.before)
				}
				if got := holdsIn(t, s[1], tc.holder, tc.when); !slices.Equal(got, tc.after) {
					t.Errorf("%s: after: got %q, want %q", kind, got, tc.after)
				}
			}
		})
	}
}

// TestForesee_cannotBeCompiled: what would not decide is known before it is stored.
func TestForesee_cannotBeCompiled(t *testing.T) {
	p := holdingsPolicy()
	before := atPlaces(p.Facts())
	e := engine.New(engine.Options{})
	install, err := e.Prepare(before)
	if err != nil {
		t.Fatal(err)
	}
	install(1)
	p.Roles[0].Grants[0].Condition = "no such thing ("
	_, _, err = e.Foresee(context.Background(), wholeDifference(before, atPlaces(p.Facts())))
	var problems access.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want what is wrong with the condition", err)
	}
}

func TestReached_path(t *testing.T) {
	s := sightsOf(t, func(*access.Policy) {})["resident"][0]
	all, err := s.Reached(context.Background(), "u:1", access.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Holding.Section != "System.A" {
			continue
		}
		var way []string
		for _, link := range r.Path {
			way = append(way, link.Values[1])
		}
		if !slices.Equal(way, []string{"g:staff", "g:root", "r:base"}) {
			t.Errorf("the way is %q", way)
		}
		return
	}
	t.Error("it does not reach the user")
}

// TestSight_at: a sight can be had of another moment than now.
func TestSight_at(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e := engine.New(engine.Options{Clock: func() time.Time { return began }})
	p := access.Policy{
		Tenant: "t", Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{{Path: "S"}}}},
		Users: []access.User{{ID: "1", Grants: []access.Grant{
			{Section: "S", Rights: access.Show, Validity: access.Validity{Until: began.Add(time.Hour)}},
		}}},
	}
	facts := p.Facts()
	facts.Revision = 1
	snapshot, err := engine.Compile(facts)
	if err != nil {
		t.Fatal(err)
	}
	e.Install(snapshot)
	now, err := e.Sight("t")
	if err != nil {
		t.Fatal(err)
	}
	later := now.(interface{ At(time.Time) access.Sight }).At(began.Add(2 * time.Hour))
	ask := access.Request{Subject: access.Subject{Kind: access.KindUser, ID: "1"}, Actions: []access.Action{"show"}, Section: "S"}
	for _, c := range []struct {
		s    access.Sight
		want bool
	}{{now, true}, {later, false}, {now, true}} {
		if d, err := c.s.Decide(t.Context(), &ask); err != nil || d.Allowed != c.want {
			t.Errorf("%+v, %v, want %v", d, err, c.want)
		}
	}
}
