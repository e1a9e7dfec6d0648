package access_test

import (
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Req 80: an id in braces makes a right one for that entity alone.
func TestEntities(t *testing.T) {
	for name, tc := range map[string]struct {
		section access.Section
		scope   access.Scope
		want    string // section and scope, or a part of what is wrong
	}{
		"without braces for all":     {"System.Stores", "", "System.Stores "},
		"an id":                      {"System.Stores{5}", "", "System.Stores store:5"},
		"the whole scope":            {"System.Stores{company:7}", "", "System.Stores company:7"},
		"an id that two have":        {"System.Stores{7}", "", "several scopes"},
		"an id that nobody has":      {"System.Stores{8}", "", `no scope has the id "8"`},
		"both ways":                  {"System.Stores{5}", "store:5", "twice"},
		"nothing in the braces":      {"System.Stores{}", "", "stands in braces at the end"},
		"braces that are not closed": {"System.Stores{5", "", "stands in braces at the end"},
		"braces not at the end":      {"System{5}.Stores", "", "stands in braces at the end"},
	} {
		t.Run(name, func(t *testing.T) {
			p := access.Policy{
				Scopes: []access.ScopeNode{{Scope: "store:5"}, {Scope: "store:7"}, {Scope: "company:7"}},
				Groups: []access.Group{{Code: "g", Grants: []access.Grant{{Section: tc.section, Scope: tc.scope}}}},
			}
			got := ""
			if wrong := p.Entities(); len(wrong) > 0 {
				got = wrong.Error()
			} else {
				g := p.Groups[0].Grants[0]
				got = string(g.Section) + " " + string(g.Scope)
			}
			if !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
