package store_test

import (
	"fmt"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
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

// BenchmarkSubjects reads users who were not asked about before, one by one and
// many at once.
func BenchmarkSubjects(b *testing.B) {
	for name, open := range databases {
		s, p := seeded(b, open, 40_000)
		for _, many := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/users=%d", name, many), func(b *testing.B) {
				n, ids := 0, make([]string, many)
				for b.Loop() {
					for i := range ids {
						n++
						ids[i] = p.Users[n*7919%len(p.Users)].ID
					}
					if f, err := s.Subjects(b.Context(), access.DefaultTenant, ids); err != nil || len(f[many-1].Rules) != 2 {
						b.Fatalf("%+v, %v", f, err)
					}
				}
			})
		}
	}
}
