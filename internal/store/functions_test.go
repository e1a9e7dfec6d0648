package store_test

import (
	"reflect"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// TestStore_functions: what a tenant declares for its Casbin model is loaded as
// it was applied, and is gone when the policy no longer declares it.
func TestStore_functions(t *testing.T) {
	onEach(t, func(d database) {
		t := d.t
		s := accesstest.OpenStore(t, d.options)
		change := access.Change{Author: "operator-1", Source: "cli", Base: access.AnyRevision}
		if _, err := s.CreateTenant(t.Context(), access.Tenant{Code: "library"}, change); err != nil {
			t.Fatal(err)
		}
		for _, f := range []access.Functions{
			{
				Roles: map[string]string{"g2": "keyMatch2"}, Domains: map[string]string{"g": "keyMatch"},
				Conditions: map[string]string{"g3": "timeMatch"}, Eval: true,
				Origins: map[string]access.Origin{"roles g2": {File: "bundle.yaml", Line: 5, Column: 15}, "eval": {File: "bundle.yaml", Line: 8, Column: 9}},
			},
			{Eval: true},
			{},
		} {
			p := &access.Policy{Tenant: "library", Model: "m", Functions: f}
			if _, err := s.Apply(t.Context(), p, change); err != nil {
				t.Fatal(err)
			}
			got, err := s.Load(t.Context(), "library")
			if err != nil || !reflect.DeepEqual(got.Functions, f) {
				t.Errorf("loaded %+v, %v\nwant %+v", got.Functions, err, f)
			}
		}
	})
}
