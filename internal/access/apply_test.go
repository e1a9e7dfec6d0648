package access_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

func placed(place int64, values ...string) access.Rule {
	return access.Rule{Type: "g", Values: values, Place: place}
}

func sampleFacts() access.Facts {
	return access.Facts{
		Tenant: "crm", Epoch: "e", Revision: 4, Policy: 2, Stripes: map[access.Stripe]access.Revision{1: 2},
		Users: []access.UserFacts{{ID: "a"}, {ID: "c"}},
		Rules: []access.Rule{placed(10, "u:a", "g:x", "*"), placed(20, "g:x", "r:y", "*"), placed(30, "u:c", "g:x", "*")},
	}
}

func TestFacts_Apply(t *testing.T) {
	before := sampleFacts()
	frame := access.Facts{Tenant: "crm", Epoch: "e", Revision: 5, Root: "New"}
	d := access.Delta{
		Tenant: "crm", From: 4, To: 6, Policy: 5, Stripes: map[access.Stripe]access.Revision{1: 6, 7: 5}, Frame: &frame,
		Gone:  []access.Rule{placed(10, "u:a", "g:x", "*"), placed(30, "u:c", "g:x", "*")},
		Rules: []access.Rule{placed(5, "u:b", "g:x", "*"), placed(10, "g:z", "r:y", "*"), placed(25, "u:c", "g:x", "*"), placed(40, "u:b", "g:z", "*")},
		Users: []access.UserFacts{{ID: "b"}, {ID: "c", Status: access.UserLocked}}, Left: []string{"a"},
	}
	got, err := before.Apply(d)
	want := access.Facts{
		Tenant: "crm", Epoch: "e", Revision: 6, Policy: 5, Stripes: map[access.Stripe]access.Revision{1: 6, 7: 5}, Root: "New",
		Users: []access.UserFacts{{ID: "b"}, {ID: "c", Status: access.UserLocked}},
		Rules: []access.Rule{
			placed(5, "u:b", "g:x", "*"), placed(10, "g:z", "r:y", "*"), placed(20, "g:x", "r:y", "*"),
			placed(25, "u:c", "g:x", "*"), placed(40, "u:b", "g:z", "*"),
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("gives %+v (%v)\nwant %+v", got, err, want)
	}
	if !reflect.DeepEqual(before, sampleFacts()) {
		t.Errorf("the facts before have become %+v", before)
	}
}

// TestFacts_Apply_fetched: facts without users take nothing of users but stripes.
func TestFacts_Apply_fetched(t *testing.T) {
	before := access.Facts{Tenant: "crm", Revision: 1, Fetched: true, Rules: []access.Rule{placed(20, "g:x", "r:y", "*")}}
	got, err := before.Apply(access.Delta{
		Tenant: "crm", From: 1, To: 2, Stripes: map[access.Stripe]access.Revision{3: 2},
		Gone:  []access.Rule{placed(10, "u:a", "g:x", "*")},
		Rules: []access.Rule{placed(11, "u:a", "g:z", "*"), placed(12, "u:anonymous", "g:x", "*")}, Users: []access.UserFacts{{ID: "a"}},
	})
	want := access.Facts{
		Tenant: "crm", Revision: 2, Fetched: true, Stripes: map[access.Stripe]access.Revision{3: 2},
		Rules: []access.Rule{placed(12, "u:anonymous", "g:x", "*"), placed(20, "g:x", "r:y", "*")},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("gives %+v (%v)\nwant %+v", got, err, want)
	}
}

// TestFacts_Apply_unfit: what does not fit exactly is not taken.
func TestFacts_Apply_unfit(t *testing.T) {
	for name, d := range map[string]access.Delta{
		"another tenant":                  {Tenant: "shop", From: 4, To: 5},
		"another revision":                {Tenant: "crm", From: 3, To: 5},
		"users are fetched now":           {Tenant: "crm", From: 4, To: 5, Frame: &access.Facts{Epoch: "e", Fetched: true}},
		"a new epoch":                     {Tenant: "crm", From: 4, To: 5, Epoch: "f"},
		"gone from where nothing is":      {Tenant: "crm", From: 4, To: 5, Gone: []access.Rule{placed(11, "u:a", "g:x", "*")}},
		"gone from behind the last":       {Tenant: "crm", From: 4, To: 5, Gone: []access.Rule{placed(31, "u:a", "g:x", "*")}},
		"gone from where another line is": {Tenant: "crm", From: 4, To: 5, Gone: []access.Rule{placed(10, "u:b", "g:x", "*")}},
		"new at a place that is taken":    {Tenant: "crm", From: 4, To: 5, Rules: []access.Rule{placed(20, "u:b", "g:x", "*")}},
	} {
		t.Run(name, func(t *testing.T) {
			f := sampleFacts()
			if got, err := f.Apply(d); !errors.Is(err, access.ErrStale) {
				t.Errorf("gives %+v, %v, want ErrStale", got, err)
			}
		})
	}
}

func TestRule_User(t *testing.T) {
	for first, want := range map[string]string{"u:42": "42", "u:anonymous": "", "g:42": "", "42": "", "U:42": "", "superuser": "", "": ""} {
		if id, ok := (access.Rule{Values: []string{first}}).User(); id != want || ok != (want != "") {
			t.Errorf("%q is of user %q (%t), want %q", first, id, ok, want)
		}
	}
	if _, ok := (access.Rule{}).User(); ok {
		t.Error("an empty rule is somebody's")
	}
}
