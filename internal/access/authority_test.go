package access_test

import (
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

func holding(section string, rights access.Rights) access.Holding {
	return access.Holding{
		Scope: access.Everywhere, Section: access.Section(section), Act: access.RuleAct{Rights: rights},
		Effect: access.Allow, Condition: access.NoCondition,
	}
}

func (b built) in(scope access.Scope) built { b.Scope = scope; return b }
func (b built) deny() built                 { b.Effect = access.Deny; return b }
func (b built) when(id string) built        { b.Condition = id; return b }
func (b built) named(name string, inherit bool) built {
	b.Act = access.RuleAct{Name: name}
	if inherit {
		b.Act.Rights = access.Inherit
	}
	return b
}

type built struct{ access.Holding }

func h(section string, rights access.Rights) built { return built{holding(section, rights)} }

func list(bs ...built) access.Holdings {
	var all access.Holdings
	for _, b := range bs {
		all.Rules = append(all.Rules, b.Holding)
	}
	return all
}

func TestHoldings_covers(t *testing.T) {
	const show, update, inherit = access.Show, access.Update, access.Inherit
	tests := map[string]struct {
		held, want access.Holdings
		covered    bool
	}{
		"the same":                                {list(h("A", show)), list(h("A", show)), true},
		"nothing needs nothing":                   {list(), list(), true},
		"somebody with nothing gives nothing":     {list(), list(h("A", show)), false},
		"one right of two":                        {list(h("A", show)), list(h("A", show|update)), false},
		"two rights from two rules":               {list(h("A", show), h("A", update)), list(h("A", show|update)), true},
		"a section above, handed down":            {list(h("A", show|inherit)), list(h("A.B", show)), true},
		"a section above, not handed down":        {list(h("A", show)), list(h("A.B", show)), false},
		"handing down needs handing down":         {list(h("A", show)), list(h("A", show|inherit)), false},
		"a section that only looks like below":    {list(h("A", show|inherit)), list(h("AB", show)), false},
		"a section below is not the one above":    {list(h("A.B", show|inherit)), list(h("A", show)), false},
		"a scope below":                           {list(h("A", show).in("company:7")), list(h("A", show).in("store:eu")), true},
		"a scope above":                           {list(h("A", show).in("store:eu")), list(h("A", show).in("company:7")), false},
		"everywhere":                              {list(h("A", show).in("store:eu")), list(h("A", show)), false},
		"a scope that is not in the tree":         {list(h("A", show).in("company:7")), list(h("A", show).in("store:no")), false},
		"a condition of one's own":                {list(h("A", show).when("c1")), list(h("A", show)), false},
		"the same condition":                      {list(h("A", show).when("c1")), list(h("A", show).when("c1")), true},
		"another condition":                       {list(h("A", show).when("c1")), list(h("A", show).when("c2")), false},
		"a condition more":                        {list(h("A", show)), list(h("A", show).when("c1")), true},
		"a prohibition of one's own":              {list(h("A", show|inherit), h("A.B", show).deny()), list(h("A.B", show)), false},
		"a prohibition somewhere below":           {list(h("A", show|inherit), h("A.B", show).deny()), list(h("A", show|inherit)), false},
		"a prohibition in a scope below":          {list(h("A", show), h("A", show).deny().in("store:eu")), list(h("A", show)), false},
		"a prohibition elsewhere":                 {list(h("A", show), h("A", show).deny().in("store:us")), list(h("A", show).in("store:eu")), true},
		"a prohibition of another right":          {list(h("A", show), h("A", update).deny()), list(h("A", show)), true},
		"a conditional prohibition counts always": {list(h("A", show), h("A", show).deny().when("c1")), list(h("A", show)), false},
		"handing out a prohibition":               {list(), list(h("A", show).deny()), true},
		"a declared action":                       {list(h("A", 0).named("send", false)), list(h("A", 0).named("send", false)), true},
		"another declared action":                 {list(h("A", 0).named("send", false)), list(h("A", 0).named("export", false)), false},
		"a declared action is no standard one":    {list(h("A", access.AllRights)), list(h("A", 0).named("send", false)), false},
		"a declared action handed down":           {list(h("A", 0).named("send", false)), list(h("A", 0).named("send", true)), false},
	}
	parents := map[access.Scope]access.Scope{"company:7": "*", "store:eu": "company:7", "store:us": "company:7"}
	above := func(s access.Scope) access.Scope { return parents[s] }
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			lacking, ok := test.held.Covers(test.want, above)
			if ok != test.covered {
				t.Errorf("covered: %v, want %v; lacking %+v", ok, test.covered, lacking)
			}
		})
	}
}

func TestHoldings_superusers(t *testing.T) {
	none := func(access.Scope) access.Scope { return "" }
	all, some := access.Holdings{Superuser: true}, list(h("A", access.Show))
	if _, ok := some.Covers(all, none); ok {
		t.Error("only superusers make superusers")
	}
	if _, ok := all.Covers(all, none); !ok {
		t.Error("a superuser may make another one")
	}
	if _, ok := all.Covers(some, none); !ok {
		t.Error("a superuser may give everything")
	}
}
