package access_test

import (
	"slices"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// TestOurselves_everywhere: the sections of the administration are in the facts
// of every tenant, below its own root, and can be granted.
func TestOurselves_everywhere(t *testing.T) {
	p := access.Policy{Tenant: "shop", Root: "Shop", Groups: []access.Group{
		{Code: "staff", Grants: []access.Grant{{Section: "Shop.Access.Users", Rights: access.Show}}},
	}}
	if err := p.Check().Err(); err != nil {
		t.Fatal(err)
	}
	f := p.Facts()
	if len(f.Catalogue) != 1 || f.Catalogue[0].Code != access.Ourselves || len(f.Catalogue[0].Sections) != 9 {
		t.Errorf("catalogue: %+v", f.Catalogue)
	}
	if len(p.Catalogue) != 0 {
		t.Error("it has come into the policy itself")
	}
	p.Model = "[request_definition]"
	if f := p.Facts(); len(f.Catalogue) != 0 {
		t.Error("it is in a tenant with a model of its own")
	}
}

// TestOurselves_declared: what a tenant declares itself is left as it is.
func TestOurselves_declared(t *testing.T) {
	mine := []access.Application{
		{Code: "shop", Sections: []access.SectionEntry{{Path: "System.Access.Users", Name: "People"}}},
		{Code: access.Ourselves, Name: "Ours", Sections: []access.SectionEntry{{Path: "System.Access.Roles", Name: "Parts"}}},
	}
	all := access.WithOurselves(mine, "")
	if len(all) != 2 || all[1].Name != "Ours" || len(all[1].Sections) != 8 || all[1].Sections[0].Name != "Parts" {
		t.Errorf("got %+v", all)
	}
	if slices.ContainsFunc(all[1].Sections, func(s access.SectionEntry) bool { return s.Path == "System.Access.Users" }) {
		t.Error("a section is there twice")
	}
	if len(mine[1].Sections) != 1 {
		t.Error("what was given has changed")
	}
}
