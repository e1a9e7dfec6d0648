package main

import (
	"context"
	"fmt"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// What is measured of plans.
const (
	planTime   = "who gains and loses what, 1,000 lines changed"
	planBeside = "every answer asked before and after, of 20 users, times all"
)

// planLooked is how many users are asked for one by one: all would take minutes.
const planLooked = 20

// plans measures how long it takes to tell the consequences of 1,000 changed
// lines, beside asking what everybody may do in every scope before and after.
func (b *bench) plans(ctx context.Context) error {
	users := b.grants / grantsPerUser
	f := figure{Group: "plans", What: planTime, Size: b.grants, Of: "grants", Unit: "ns", Beside: planBeside, Note: thousands(float64(users)) + " users"}
	say("plans: 1,000 lines of %s users with %s grants", thousands(float64(users)), thousands(float64(b.grants)))
	before, after := departments(b.grants), departments(b.grants)
	changeLines(after)
	var ours, theirs []float64
	for range b.rounds {
		e := engine.New(engine.Options{})
		was, err := e.Imagine(before.Facts())
		if err != nil {
			return err
		}
		began := time.Now()
		is, err := e.Imagine(after.Facts())
		if err != nil {
			return err
		}
		found, err := e.Consequences(ctx, was, is, access.ConsequenceOptions{})
		if err != nil {
			return err
		}
		ours = append(ours, float64(time.Since(began)))
		asked, differs, err := askEverything(ctx, was, is, before)
		if err != nil {
			return err
		}
		if (found.Users > 0) != differs {
			return fmt.Errorf("%d users are concerned, and their answers differ: %t", found.Users, differs)
		}
		theirs = append(theirs, float64(asked)*float64(users)/planLooked)
	}
	f.Ours, f.Theirs = median(ours), median(theirs)
	b.report.add(f)
	return nil
}

// departments is a tenant of users in 50 groups, in chains of five, with a fifth of
// all grants in the groups and the others in stores.
func departments(grants int) *access.Policy {
	p := manyGrants(grants)
	var stores []access.Scope
	for i := range 100 {
		stores = append(stores, access.Scope(fmt.Sprintf("store:%d", i)))
		p.Scopes = append(p.Scopes, access.ScopeNode{Scope: stores[i]})
	}
	for i := range 50 {
		g := access.Group{Code: fmt.Sprintf("g%d", i)}
		if i%5 > 0 {
			g.Base = fmt.Sprintf("g%d", i-1)
		}
		for j := range grants / 5 / 50 {
			g.Grants = append(g.Grants, access.Grant{
				Section: access.Section(fmt.Sprintf("Shop.S%d", j%100)), Rights: access.Show << (j / 100 % 5), Scope: stores[(i+j)%100],
			})
		}
		p.Groups = append(p.Groups, g)
	}
	for i := range p.Users {
		u := &p.Users[i]
		u.Groups, u.Grants = []access.Link{{To: fmt.Sprintf("g%d", i%50)}}, u.Grants[:grantsPerUser*4/5]
		for j := range u.Grants {
			u.Grants[j].Scope = stores[(i+j)%100]
		}
	}
	return p
}

// changeLines changes 500 grants of groups, so that everybody is concerned, and 500
// of users.
func changeLines(p *access.Policy) {
	for i := range 500 {
		of := p.Groups[i%50].Grants
		of[i/50%len(of)].Rights ^= access.Delete
		p.Users[i*7%len(p.Users)].Grants[0].Rights ^= access.Execute
	}
}

// askEverything takes the time of asking what some users may do, everywhere, in
// both states.
func askEverything(ctx context.Context, was, is access.Sight, p *access.Policy) (took time.Duration, differs bool, err error) {
	scopes := []access.Scope{access.Everywhere}
	for _, n := range p.Scopes {
		scopes = append(scopes, n.Scope)
	}
	began := time.Now()
	for i := range planLooked {
		who := access.Subject{Kind: access.KindUser, ID: p.Users[i*len(p.Users)/planLooked].ID}
		for _, scope := range scopes {
			var found [2]access.Menu
			for n, s := range []access.Sight{was, is} {
				if found[n], err = s.Sections(ctx, &access.Request{Subject: who, Scope: scope}); err != nil {
					return 0, false, err
				}
			}
			differs = differs || fmt.Sprint(found[0].Sections) != fmt.Sprint(found[1].Sections)
		}
	}
	return time.Since(began), differs, nil
}
