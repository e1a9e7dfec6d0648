package access_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Req 108: a tenant demands a form of e-mails, and fields that must not be empty.
func TestAccountRules(t *testing.T) {
	rules := access.AccountRules{EmailPattern: `[^@]+@example\.com|root@x\.org`, Required: []string{"external_id", "attributes.region"}}
	if err := rules.Check(); err != nil {
		t.Fatal(err)
	}
	full := access.User{ID: "1", Email: "a@example.com", ExternalID: "x", Attributes: map[string]any{"region": "eu"}}
	with := func(change func(*access.User)) access.User {
		u := full
		change(&u)
		return u
	}
	bare := access.User{ID: "1", Email: "old@elsewhere.org"}
	for name, c := range map[string]struct {
		was, now access.User
		field    string
	}{
		"a new account that has everything":  {access.User{}, full, ""},
		"an address of another form":         {access.User{}, with(func(u *access.User) { u.Email = "a@example.com.evil.org" }), "email"},
		"one that only begins like it":       {access.User{}, with(func(u *access.User) { u.Email = "root@x.orgs" }), "email"},
		"a field that is empty":              {access.User{}, with(func(u *access.User) { u.ExternalID = "" }), "external_id"},
		"an attribute that is not there":     {access.User{}, with(func(u *access.User) { u.Attributes = nil }), "attributes.region"},
		"an attribute that is empty":         {access.User{}, with(func(u *access.User) { u.Attributes = map[string]any{"region": ""} }), "attributes.region"},
		"an older account as it is":          {bare, bare, ""},
		"an older account that is changed":   {bare, access.User{ID: "1", Email: "old@elsewhere.org", Name: "New"}, ""},
		"an older account with a new e-mail": {bare, access.User{ID: "1", Email: "new@elsewhere.org"}, "email"},
		"a field that is taken away":         {full, with(func(u *access.User) { u.ExternalID = "" }), "external_id"},
	} {
		t.Run(name, func(t *testing.T) {
			err := rules.Admits(&c.was, &c.now)
			var told *access.Error
			if c.field == "" && err != nil || c.field != "" && (!errors.As(err, &told) || told.Field != c.field) {
				t.Errorf("got %v, want %q", err, c.field)
			}
		})
	}
	for name, wrong := range map[string]access.AccountRules{
		"no expression":     {EmailPattern: "("},
		"a long expression": {EmailPattern: strings.Repeat("a", 501)},
		"no such field":     {Required: []string{"phone"}},
		"no attribute":      {Required: []string{"attributes."}},
		"many fields":       {Required: make([]string, 51)},
	} {
		if wrong.Check() == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
