package access_test

import (
	"slices"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Req 69: 0 is nothing, 63 everything, anything else outside is refused.
func TestRightsOf(t *testing.T) {
	for _, n := range []int64{-1, 64, 256, 1 << 40} {
		if _, err := access.RightsOf("rights", n); err == nil {
			t.Errorf("%d must be refused", n)
		}
	}
	for n := int64(0); n <= 63; n++ {
		r, err := access.RightsOf("rights", n)
		if err != nil {
			t.Fatal(err)
		}
		var back access.Rights
		for _, name := range r.Names() {
			one, ok := access.RightOf(name)
			if !ok {
				t.Fatalf("%q is not a right", name)
			}
			back |= one
		}
		if back != r {
			t.Errorf("%d: names %v give %d", n, r.Names(), back)
		}
	}
}

// Req 70: view and edit is 10; 46 is everything but delete and inherit.
func TestRights_sums(t *testing.T) {
	for n, names := range map[access.Rights][]string{
		10: {"show", "update"},
		46: {"show", "insert", "update", "execute"},
		63: {"inherit", "show", "insert", "update", "delete", "execute"},
		0:  {},
	} {
		if got := n.Names(); !slices.Equal(got, names) {
			t.Errorf("%d: %v", n, got)
		}
	}
}

func TestParseRuleAct(t *testing.T) {
	for in, want := range map[string]access.RuleAct{
		"10": {Rights: 10}, "63": {Rights: 63}, "send": {Name: "send"},
		"1+send": {Rights: access.Inherit, Name: "send"}, "*": {Rights: 63, All: true},
	} {
		got, err := access.ParseRuleAct("act", in)
		if err != nil || got != want || got.String() != in {
			t.Errorf("%q: %+v %v", in, got, err)
		}
	}
	for _, in := range []string{"", "0", "64", "-1", "010", "+1", " 1", "1.0", "0x1", "show", "1+show", "2+send", "Send", "1+", "inherit", "99999999999999999999"} {
		if got, err := access.ParseRuleAct("act", in); err == nil {
			t.Errorf("%q must be refused, got %+v", in, got)
		}
	}
}

// A misspelt effect denies nothing in stock Casbin, so it must not get in.
func TestValidEffect(t *testing.T) {
	for _, e := range []access.Effect{"", "Deny", "deny ", "ALLOW", "forbid"} {
		if access.ValidEffect("effect", e) == nil {
			t.Errorf("%q must be refused", e)
		}
	}
	if access.ValidEffect("effect", access.Deny) != nil || access.ValidEffect("effect", access.Allow) != nil {
		t.Error("the two effects must be accepted")
	}
}

func TestActionsOf(t *testing.T) {
	got, err := access.ActionsOf("action", 10)
	if err != nil || !slices.Equal(got, []access.Action{"show", "update"}) {
		t.Errorf("10: %v %v", got, err)
	}
	for _, n := range []int64{0, 1, 3, 63, 64, -2} {
		if got, err := access.ActionsOf("action", n); err == nil {
			t.Errorf("%d cannot be asked, got %v", n, got)
		}
	}
}

func TestMatchFunctions_areTotal(t *testing.T) {
	odd := []string{"", "*", ".", "/", "1", "1+", "superuser", "\x00", "64", "A.", "*/", "show"}
	for _, a := range odd {
		for _, b := range odd {
			access.ScopeIn(a, b)
			access.ActIn(a, b)
			for _, c := range odd {
				access.SectionIn(a, b, c)
			}
		}
	}
}

func TestActIn(t *testing.T) {
	for _, c := range []struct {
		rule, req string
		want      bool
	}{
		{"10", "2", true},
		{"10", "8", true},
		{"10", "4", false},
		{"63", "32", true},
		{"63", "1", false},
		{"1", "1", false},   // inherit cannot be asked about
		{"10", "10", false}, // several rights are several questions
		{"send", "send", true},
		{"1+send", "send", true},
		{"63", "send", false},
		{"send", "2", false},
		{"*", "send", true},
		{"*", "2", true},
		{"*", "", false},
		{"Deny", "2", false},
	} {
		if got := access.ActIn(c.rule, c.req); got != c.want {
			t.Errorf("rule %q, asked %q: %v", c.rule, c.req, got)
		}
	}
}

func TestScopeIn(t *testing.T) {
	for _, c := range []struct {
		path, node string
		want       bool
	}{
		{"*/company:7/store:1", "*", true},
		{"*/company:7/store:1", "company:7", true},
		{"*/company:7/store:1", "store:1", true},
		{"*/company:7/store:1", "store:12", false},
		{"*/company:7/store:12", "store:1", false},
		{"*", "store:1", false},
		{"", "", false},
	} {
		if got := access.ScopeIn(c.path, c.node); got != c.want {
			t.Errorf("%q in %q: %v", c.node, c.path, got)
		}
	}
}

func TestSectionIn(t *testing.T) {
	for _, c := range []struct {
		req, rule, act string
		want           bool
	}{
		{"T.A", "T.A", "2", true},
		{"T.A.B", "T.A", "2", false},
		{"T.A.B", "T.A", "3", true},
		{"T.Abc", "T.A", "3", false},
		{"T", "T.A", "3", false},
		{"T.A.B", "T.A", "1+send", true},
		{"T.A.B", "T.A", "send", false},
		{"T.A", "*", "*", true},
		{"T.A", "*", "2", false},
	} {
		if got := access.SectionIn(c.req, c.rule, c.act); got != c.want {
			t.Errorf("asked %q, rule %q %q: %v", c.req, c.rule, c.act, got)
		}
	}
}
