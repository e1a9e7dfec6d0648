package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// TestConsequences_alone changes one thing at a time: what hangs upon it is found,
// in other sections too, and nothing else.
func TestConsequences_alone(t *testing.T) {
	policy := func() *access.Policy {
		return &access.Policy{
			Tenant: "t", Licences: []access.Licence{{Feature: "chats"}},
			Catalogue: []access.Application{
				{Code: "a", Sections: []access.SectionEntry{
					{Path: "Shop.Orders", Prerequisites: []access.Prerequisite{{Section: "Firm.Books", Rights: access.Show}}},
					{Path: "Shop.Orders.Export"},
					{Path: "Shop.Goods"},
				}},
				{Code: "b", Sections: []access.SectionEntry{{Path: "Firm.Books"}, {Path: "Chats.Use", Licence: "chats"}}},
			},
			Groups: []access.Group{{Code: "sales", Grants: []access.Grant{
				{Section: "Shop.Orders", Rights: access.Show},
				{Section: "Firm.Books", Rights: access.Show},
				{Section: "Chats.Use", Rights: access.Show},
				{Section: "Shop.Goods", Rights: access.Show, Condition: "subject.floor == 3"},
			}}},
			Roles: []access.Role{
				{Code: "spare"},
				{Code: "one", Roles: []access.Link{{To: "two"}}},
				{Code: "two", Roles: []access.Link{{To: "three"}}},
				{Code: "three", Roles: []access.Link{{To: "one"}}}, // which no store would take
			},
			Users: []access.User{{ID: "6", Roles: []access.Link{{To: "one"}}}, {ID: "7", Groups: []access.Link{{To: "sales"}}, Roles: []access.Link{{To: "spare"}, {To: "three"}}, Licences: []string{"chats"}, Attributes: map[string]any{"floor": 3}}},
		}
	}
	for name, tc := range map[string]struct {
		change func(p *access.Policy)
		want   []string // of user 7
	}{
		"nothing": {func(*access.Policy) {}, nil},
		"a right of his own": {func(p *access.Policy) {
			p.Users[1].Grants = []access.Grant{{Section: "Shop.Goods", Rights: access.Delete}}
		}, []string{"gained delete Shop.Goods"}},
		"a right of his group": {func(p *access.Policy) { p.Groups[0].Grants[0].Rights = access.Show | access.Update }, []string{"gained update Shop.Orders"}},
		"the first right of a role": {func(p *access.Policy) {
			p.Roles[0].Grants = []access.Grant{{Section: "Shop.Goods", Rights: access.Delete}}
		}, []string{"gained delete Shop.Goods"}},
		"a right that comes round in a circle": {func(p *access.Policy) {
			p.Roles[2].Grants = []access.Grant{{Section: "Shop.Goods", Rights: access.Delete}}
		}, []string{"gained delete Shop.Goods"}},
		"a right that passes down": {func(p *access.Policy) { p.Groups[0].Grants[0].Rights |= access.Inherit }, []string{"gained show Shop.Orders.Export"}},
		"what another right needs": {func(p *access.Policy) { p.Groups[0].Grants[1].Rights = access.Update }, []string{"gained update Firm.Books", "lost show Firm.Books", "lost show Shop.Orders"}},
		"a seat":                   {func(p *access.Policy) { p.Users[1].Licences = nil }, []string{"lost show Chats.Use"}},
		"an application":           {func(p *access.Policy) { p.Users[1].ApplicationsOff = []string{"a"} }, []string{"lost show Shop.Goods", "lost show Shop.Orders"}},
		"what a condition reads":   {func(p *access.Policy) { p.Users[1].Attributes["floor"] = 4 }, []string{"changed show Shop.Goods"}},
		"a group": {func(p *access.Policy) {
			p.Users[1].Groups[0].Scope = access.Everywhere
			p.Users[1].Status = access.UserDisabled
		}, []string{"lost show Chats.Use", "lost show Firm.Books", "lost show Shop.Goods", "lost show Shop.Orders"}},
		"when a membership ends": {func(p *access.Policy) { p.Users[1].Groups[0].Validity.Until = clock.Add(time.Hour) }, []string{"lost show Chats.Use", "lost show Firm.Books", "lost show Shop.Goods", "lost show Shop.Orders"}},
		"the place of a section's need": {func(p *access.Policy) {
			p.Catalogue[0].Sections[2].Prerequisites = []access.Prerequisite{{Section: "Firm.Books", Rights: access.Delete}}
		}, []string{"lost show Shop.Goods"}},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := policy(), policy()
			tc.change(after)
			for _, fetched := range []bool{false, true} {
				if got := foretold(t, before.Facts(), after.Facts(), fetched); !slices.Equal(got, tc.want) {
					t.Errorf("users fetched %v: %q, want %q", fetched, got, tc.want)
				}
			}
		})
	}
}

// foretold lists what becomes of user 7.
func foretold(t *testing.T, before, after access.Facts, fetched bool) []string {
	t.Helper()
	before.Revision, after.Revision = 1, 2
	for _, f := range []*access.Facts{&before, &after} {
		f.Stripes = map[access.Stripe]access.Revision{}
		for i := range f.Rules {
			f.Rules[i].Place = int64(1 + i)
		}
	}
	e := newSide(t, before, fetched).e
	was, is, err := e.Foresee(context.Background(), deltaOf(&before, &after))
	if err != nil {
		t.Fatal(err)
	}
	all, err := e.Consequences(context.Background(), was, is, access.ConsequenceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range all.All {
		for _, a := range x.Actions {
			if slices.Contains(x.UserIDs, "7") {
				got = append(got, fmt.Sprintf("%s %s %s", x.Turn, a, x.Section))
			}
		}
	}
	slices.Sort(got)
	return got
}

// What is more than can be told of one change is refused, never cut.
func TestConsequences_bounded(t *testing.T) {
	before, after := company(), company()
	before.Users, after.Users = before.Users[:50], after.Users[:50]
	for i := range 500 {
		after.Groups[i%50].Grants[i/50].Rights ^= access.Delete
	}
	e := engine.New(engine.Options{Clock: func() time.Time { return clock }})
	was, _ := e.Imagine(before.Facts())
	is, _ := e.Imagine(after.Facts())
	for _, bound := range []*int{engine.MaxTurns, engine.TallyRoom} {
		old := *bound
		*bound = 10
		if _, err := e.Consequences(context.Background(), was, is, access.ConsequenceOptions{}); !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), "are the limit; make it in parts") {
			t.Errorf("more is told than fits: %v", err)
		}
		*bound = old
	}
	if all, err := e.Consequences(context.Background(), was, is, access.ConsequenceOptions{}); err != nil || len(all.All) < 20 {
		t.Errorf("%d consequences, %v", len(all.All), err)
	}
}
