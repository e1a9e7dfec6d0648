package engine_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// company is a tenant of 10,000 users with 100,000 grants: 50 groups in chains,
// 100 stores in 10 companies, 300 sections, eight grants of each user's own and
// 400 of each group's.
func company() *access.Policy {
	p := &access.Policy{Tenant: "company"}
	app := access.Application{Code: "erp"}
	for i := range 300 {
		path := access.Section(fmt.Sprintf("System.M%d", i/10))
		if i%10 > 0 {
			path += access.Section(fmt.Sprintf(".S%d", i%10))
		}
		app.Sections = append(app.Sections, access.SectionEntry{Path: path})
	}
	p.Catalogue = []access.Application{app}
	for i := range 10 {
		p.Scopes = append(p.Scopes, access.ScopeNode{Scope: access.Scope(fmt.Sprintf("company:%d", i))})
	}
	for i := range 100 {
		p.Scopes = append(p.Scopes, access.ScopeNode{Scope: access.Scope(fmt.Sprintf("store:%d", i)), Parent: access.Scope(fmt.Sprintf("company:%d", i/10))})
	}
	section := func(n int) access.Section { return app.Sections[n%300].Path }
	for i := range 50 {
		g := access.Group{Code: fmt.Sprintf("g%d", i)}
		if i%5 > 0 {
			g.Base = fmt.Sprintf("g%d", i-1)
		}
		for j := range 400 {
			grant := access.Grant{Section: section(i*7 + j*3), Rights: access.Show << (j % 5)}
			if j%4 == 0 {
				grant.Scope = access.Scope(fmt.Sprintf("company:%d", i%10))
			}
			if j%50 == 0 {
				grant.Condition = fmt.Sprintf("resource.amount < %d", j)
			}
			g.Grants = append(g.Grants, grant)
		}
		p.Groups = append(p.Groups, g)
	}
	for i := range 10_000 {
		u := access.User{ID: fmt.Sprintf("%05d", i), Groups: []access.Link{{To: fmt.Sprintf("g%d", i%50)}, {To: fmt.Sprintf("g%d", (i/50)%50)}}}
		for j := range 8 {
			u.Grants = append(u.Grants, access.Grant{Section: section(i + j*13), Rights: access.Update, Scope: access.Scope(fmt.Sprintf("store:%d", (i+j)%100))})
		}
		p.Users = append(p.Users, u)
	}
	return p
}

// thousandLines changes 500 grants of groups, so that nearly everybody is
// concerned, and 500 of users.
func thousandLines(p *access.Policy) {
	for i := range 500 {
		g := &p.Groups[i%50]
		g.Grants[i/50].Rights ^= access.Delete
		p.Users[i*17%10_000].Grants[0].Rights |= access.Execute
	}
}

// changedCompany is the company in force, and a change of 1,000 lines.
func changedCompany(b *testing.B) (*engine.Engine, access.Delta) {
	b.Helper()
	p := company()
	before := atPlaces(p.Facts())
	before.Tenant = p.Tenant
	thousandLines(p)
	after := p.Facts()
	for i := range after.Rules {
		after.Rules[i].Place = int64(i+1) * 1000
	}
	after.Revision, before.Stripes, after.Stripes = 2, map[access.Stripe]access.Revision{}, map[access.Stripe]access.Revision{}
	e := engine.New(engine.Options{Clock: func() time.Time { return clock }})
	install, err := e.Prepare(before)
	if err != nil {
		b.Fatal(err)
	}
	install(1)
	b.ReportMetric(float64(len(before.Rules)), "rules")
	return e, deltaOf(&before, &after)
}

// BenchmarkConsequences_thousandLines: what changing 1,000 lines does to 10,000
// users with 100,000 grants. The goal is 10 s.
func BenchmarkConsequences_thousandLines(b *testing.B) {
	ctx := context.Background()
	e, delta := changedCompany(b)
	b.ReportMetric(float64(len(delta.Rules)), "lines")
	for b.Loop() {
		was, will, err := e.Foresee(ctx, delta)
		if err != nil {
			b.Fatal(err)
		}
		all, err := e.Consequences(ctx, was, will, access.ConsequenceOptions{Who: touchedBy(&delta), Some: true})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(all.Users), "users")
		b.ReportMetric(float64(len(all.All)), "consequences")
	}
}

// BenchmarkConsequences_byDecisions is the reference of the same run: what is
// allowed to 20 of the 10,000 users in every scope, before and after, without
// looking at conditions any other way than one. It reports what that comes to for
// everybody, in seconds.
func BenchmarkConsequences_byDecisions(b *testing.B) {
	ctx, users, looked := context.Background(), 10_000, 20
	e, delta := changedCompany(b)
	was, will, err := e.Foresee(ctx, delta)
	if err != nil {
		b.Fatal(err)
	}
	scopes := []access.Scope{access.Everywhere}
	for _, s := range was.Frame().Scopes {
		scopes = append(scopes, s.Scope)
	}
	for b.Loop() {
		began, turned := time.Now(), 0
		for i := range looked {
			who := access.Subject{Kind: access.KindUser, ID: fmt.Sprintf("%05d", i*users/looked)}
			for _, scope := range scopes {
				var found [2]access.Menu
				for n, s := range []access.Sight{was, will} {
					if found[n], err = s.Sections(ctx, &access.Request{Subject: who, Scope: scope}); err != nil {
						b.Fatal(err)
					}
				}
				if !reflect.DeepEqual(found[0].Sections, found[1].Sections) {
					turned++
				}
			}
		}
		b.ReportMetric(time.Since(began).Seconds()*float64(users)/float64(looked), "s/everybody")
		b.ReportMetric(float64(turned), "places-that-turn")
	}
}
