package engine_test

import (
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/policies"
)

// TestSamples_likeStock asks every subject of every sample tenant about every
// action of every section in every scope, and compares with stock Casbin.
func TestSamples_likeStock(t *testing.T) {
	for _, tenant := range policies.Tenants() {
		t.Run(tenant, func(t *testing.T) {
			fsys, err := policies.FS(tenant)
			if err != nil {
				t.Fatal(err)
			}
			b, err := bundle.Read(fsys, bundle.Options{ModelOf: engine.ModelOf})
			if err != nil {
				t.Fatal(err)
			}
			facts := b.Policy.Facts()
			s, o := both(t, facts)
			all := questions(&facts)
			allowed, step := 0, len(all)/some(len(all)) // every one, or every fourth
			for i := 0; i < len(all); i += step {
				if d := difference(s, o, &all[i], clock); d != "" {
					t.Error(d)
				}
				if decide(t, s, &all[i]).Allowed {
					allowed++
				}
			}
			t.Logf("%d questions, %d allowed", len(all), allowed)
			if allowed == 0 {
				t.Error("nothing is allowed to anybody")
			}
		})
	}
}

// questions gives every question that the policy's own names can make.
func questions(f *access.Facts) []access.Request {
	subjects := []access.Subject{access.Anonymous}
	for _, u := range f.Users {
		subjects = append(subjects, access.Subject{Kind: access.KindUser, ID: u.ID})
	}
	for _, a := range f.Catalogue {
		subjects = append(subjects, access.Subject{Kind: access.KindApplication, ID: a.Code})
	}
	scopes := []access.Scope{access.Everywhere}
	for _, n := range f.Scopes {
		scopes = append(scopes, n.Scope)
	}
	var all []access.Request
	for _, subject := range subjects {
		for _, app := range f.Catalogue {
			for _, section := range app.Sections {
				actions := []string{"show", "insert", "update", "delete", "execute"}
				for _, a := range section.Actions {
					actions = append(actions, a.Name)
				}
				for _, action := range actions {
					for _, scope := range scopes {
						all = append(all, access.Request{Subject: subject, Section: section.Path, Scope: scope, Actions: []access.Action{access.Action(action)}})
					}
				}
			}
		}
	}
	return all
}
