package store_test

import (
	"fmt"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// large gives a policy of about so many rules: roles with 20 grants each, held
// by users through groups.
func large(rules int) *access.Policy {
	p := &access.Policy{
		Tenant:    access.DefaultTenant,
		Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{{Path: "System"}}}},
		Groups:    []access.Group{{Code: "a"}, {Code: "b"}},
	}
	for i := range 100 {
		p.Catalogue[0].Sections = append(p.Catalogue[0].Sections, access.SectionEntry{Path: access.Section(fmt.Sprintf("System.S%d", i))})
	}
	for i := range rules / 40 {
		r := access.Role{Code: fmt.Sprintf("role%d", i)}
		for j := range 20 {
			r.Grants = append(r.Grants, access.Grant{Section: access.Section(fmt.Sprintf("System.S%d", (i+j)%100)), Rights: access.Show})
		}
		p.Roles = append(p.Roles, r)
	}
	for i := range rules / 4 {
		p.Users = append(p.Users, access.User{
			ID: fmt.Sprintf("user-%d", i), Groups: []access.Link{{To: "a"}}, Roles: []access.Link{{To: fmt.Sprintf("role%d", i%max(1, rules/40))}},
		})
	}
	return p
}

// filled opens a store with a large policy.
func filled(b *testing.B, open func(testing.TB) store.Options, rules int) (*store.Store, *access.Policy) {
	b.Helper()
	o := open(b)
	o.MaxRules = 10_000_000
	s, p := accesstest.OpenStore(b, o), large(rules)
	if _, err := s.Apply(b.Context(), p, any1); err != nil {
		b.Fatal(err)
	}
	return s, p
}

// BenchmarkSubjects reads one user who was not asked about before.
func BenchmarkSubjects(b *testing.B) {
	for name, open := range databases {
		b.Run(name, func(b *testing.B) {
			s, p := filled(b, open, 40_000)
			n := 0
			for b.Loop() {
				n++
				id := p.Users[n*7919%len(p.Users)].ID
				if f, err := s.Subjects(b.Context(), access.DefaultTenant, []string{id}); err != nil || len(f[0].Rules) != 2 {
					b.Fatalf("%+v, %v", f, err)
				}
			}
		})
	}
}
