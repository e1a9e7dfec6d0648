package access_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// TestFunctions_check: what Casbin does not know is refused at its place, and so
// is what the built-in model would not heed.
func TestFunctions_check(t *testing.T) {
	at := func(line int) access.Origin { return access.Origin{File: "bundle.yaml", Line: line} }
	for name, tc := range map[string]struct {
		model     string
		functions access.Functions
		want      string
	}{
		"none":     {"", access.Functions{}, "[]"},
		"declared": {"#", access.Functions{Roles: map[string]string{"g": "keyMatch2"}, Domains: map[string]string{"g2": "globMatch"}, Conditions: map[string]string{"g10": "timeMatch"}, Eval: true}, "[]"},
		"misspelt": {
			"#",
			access.Functions{Roles: map[string]string{"g": "keymatch2"}, Origins: map[string]access.Origin{"roles g": at(7)}},
			`[bundle.yaml:7: roles: there is no function "keymatch2" for g (did you mean "keyMatch2"?) [function-unknown]]`,
		},
		"of another kind": {
			"#",
			access.Functions{Conditions: map[string]string{"g": "keyMatch"}, Origins: map[string]access.Origin{"conditions g": at(8)}},
			`[bundle.yaml:8: conditions: there is no function "keyMatch" for g (write one of: timeMatch, none) [function-unknown]]`,
		},
		"no role definition": {
			"#",
			access.Functions{Domains: map[string]string{"p": "keyMatch"}, Origins: map[string]access.Origin{"domains p": at(9)}},
			`[bundle.yaml:9: domains: "p" is no role definition (write g, g2 and so on, as in the model) [function-misplaced]]`,
		},
		"built-in model": {
			"",
			access.Functions{Roles: map[string]string{"g": "keyMatch"}, Eval: true, Origins: map[string]access.Origin{"roles g": at(3), "eval": at(4)}},
			"[bundle.yaml:3: roles g: functions are for a Casbin model of your own; the built-in model has no use for them [functions-builtin] bundle.yaml:4: eval: functions are for a Casbin model of your own; the built-in model has no use for them [functions-builtin]]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := access.Policy{Tenant: "t", Model: tc.model, Functions: tc.functions}
			got := p.Check()
			if fmt.Sprint([]access.Problem(got)) != tc.want {
				t.Errorf("got  %v\nwant %s", []access.Problem(got), tc.want)
			}
		})
	}
	if f := (&access.Policy{Model: "#", Functions: access.Functions{Eval: true}}).Facts(); !f.Functions.Eval {
		t.Error("the facts do not carry what was declared")
	}
}

// TestRequest_contextSet: a set of definitions means something for the request of
// a Casbin model alone.
func TestRequest_contextSet(t *testing.T) {
	r := access.Request{Subject: access.Subject{Kind: access.KindUser, ID: "a"}, Actions: []access.Action{"show"}, Section: "Shop"}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	r.RawSet = "2"
	if err := r.Check(); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
