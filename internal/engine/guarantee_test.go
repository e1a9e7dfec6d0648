package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// TestBreaches shows for each rule what keeps it and what breaks it.
func TestBreaches(t *testing.T) {
	right := func(s access.Section, r access.Rights) access.GuardedRight {
		return access.GuardedRight{Section: s, Rights: r}
	}
	pay, approve := right("S.Pay", access.Execute), right("S.Approve", access.Execute)
	grant := func(s access.Section, condition string) access.Grant {
		return access.Grant{Section: s, Rights: access.Execute, Condition: condition}
	}
	later := grant("S.Pay", "")
	later.Validity.From = clock.AddDate(1, 0, 0)
	deny := grant("S.Pay", "resource.by == subject.id")
	deny.Effect = access.Deny
	only := access.Guarantee{Rule: access.OnlyIf, Rights: []access.GuardedRight{pay}, Condition: "resource.by != subject.id"}
	never := access.Guarantee{Rule: access.Never, Who: []string{"group:g"}, Rights: []access.GuardedRight{pay}}
	for name, tc := range map[string]struct {
		g      access.Guarantee
		grants []access.Grant
		broken bool
	}{
		"never, nothing held":       {never, nil, false},
		"never, held":               {never, []access.Grant{grant("S.Pay", "")}, true},
		"never, under a condition":  {never, []access.Grant{grant("S.Pay", "resource.n == 1")}, true},
		"never, later":              {never, []access.Grant{later}, true},
		"always, held":              {access.Guarantee{Rule: access.Always, Who: []string{"group:g"}, Rights: []access.GuardedRight{pay}}, []access.Grant{grant("S.Pay", "")}, false},
		"always, under a condition": {access.Guarantee{Rule: access.Always, Who: []string{"group:g"}, Rights: []access.GuardedRight{pay}}, []access.Grant{grant("S.Pay", "resource.n == 1")}, true},
		"always, not held":          {access.Guarantee{Rule: access.Always, Who: []string{"group:g"}, Rights: []access.GuardedRight{pay}}, nil, true},
		"separate, one":             {access.Guarantee{Rule: access.Separate, Rights: []access.GuardedRight{pay, approve}}, []access.Grant{grant("S.Pay", "")}, false},
		"separate, both":            {access.Guarantee{Rule: access.Separate, Rights: []access.GuardedRight{pay, approve}}, []access.Grant{grant("S.Pay", ""), grant("S.Approve", "")}, true},
		"at most one, two hold":     {access.Guarantee{Rule: access.AtMost, Most: 1, Rights: []access.GuardedRight{pay}}, []access.Grant{grant("S.Pay", "")}, true},
		"at most two, two hold":     {access.Guarantee{Rule: access.AtMost, Most: 2, Rights: []access.GuardedRight{pay}}, []access.Grant{grant("S.Pay", "")}, false},
		"only if, without":          {only, []access.Grant{grant("S.Pay", "")}, true},
		"only if, joined":           {only, []access.Grant{grant("S.Pay", "resource.n==1 && (resource.by!=subject.id)")}, false},
		"only if, or":               {only, []access.Grant{grant("S.Pay", "resource.n==1 || resource.by!=subject.id")}, true},
		"only if, by a prohibition": {only, []access.Grant{grant("S.Pay", ""), deny}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tc.g.Name = "x"
			p := &access.Policy{
				Tenant:    "t",
				Catalogue: []access.Application{{Code: "a", Sections: []access.SectionEntry{{Path: "S.Pay"}, {Path: "S.Approve"}}}},
				Groups:    []access.Group{{Code: "g", Grants: tc.grants}},
				Users: []access.User{
					{ID: "1", Groups: []access.Link{{To: "g"}}},
					{ID: "2", Groups: []access.Link{{To: "g"}}},
				},
				Guarantees: []access.Guarantee{tc.g},
			}
			if err := p.Check().Err(); err != nil {
				t.Fatal(err)
			}
			e := engine.New(engine.Options{Clock: func() time.Time { return clock }})
			v, err := e.Imagine(p.Facts())
			if err != nil {
				t.Fatal(err)
			}
			found, err := e.Breaches(context.Background(), nil, v, nil)
			if err != nil || len(found) > 0 != tc.broken {
				t.Fatalf("%+v, %v", found, err)
			}
			if tc.broken && tc.g.Rule == access.Never && len(found[0].Path) != 2 {
				t.Errorf("the way is %v", found[0].Path)
			}
		})
	}
}
