package access_test

import (
	"cmp"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// TestCompareSubjects: the order is that of the written forms.
func TestCompareSubjects(t *testing.T) {
	user := func(id string) access.Subject { return access.Subject{Kind: access.KindUser, ID: id} }
	app := func(id string) access.Subject { return access.Subject{Kind: access.KindApplication, ID: id} }
	all := []access.Subject{
		access.Anonymous, app("a"), app("crm"), app("crm-2"), user("1"), user("10"), user("2"), user("Z"), user("a"), user("ä"),
		user("app:crm"), user("anonymouse"),
	}
	for _, a := range all {
		for _, b := range all {
			if got, want := access.CompareSubjects(a, b), cmp.Compare(a.String(), b.String()); got != want {
				t.Errorf("%s and %s: got %d, want %d", a, b, got, want)
			}
		}
	}
}

// TestSubject_Type: every subject has a type that ValidSubjectType accepts, and
// what is no subject has none.
func TestSubject_Type(t *testing.T) {
	for s, want := range map[access.Subject]string{
		access.Anonymous:                                "anonymous",
		{Kind: access.KindUser, ID: "1"}:                "user",
		{Kind: access.KindApplication, ID: "anonymous"}: "app",
		{Kind: access.KindGroup, ID: "sales"}:           "",
		{}:                                              "",
	} {
		if got := s.Type(); got != want {
			t.Errorf("%+v: got %q, want %q", s, got, want)
		}
		if got := access.ValidSubjectType("type", want) == nil; got != (want != "") {
			t.Errorf("%q: valid is %v", want, got)
		}
	}
}
