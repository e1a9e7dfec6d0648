package store_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// viewed gives the policy that readings of a tenant get.
func viewed(t *testing.T, s *store.Store, tenant string) (p *access.Policy, at access.Revision) {
	t.Helper()
	err := s.View(t.Context(), tenant, func(r access.Reading) error {
		p, at = r.Policy(), r.Revision()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, at
}

// renamed gives the one group of a tenant another name, as one revision.
func renamed(t *testing.T, s *store.Store, tenant, name string) access.Revision {
	t.Helper()
	d, err := s.Edit(t.Context(), tenant, access.Change{Author: "tester", Base: access.AnyRevision}, func(d access.Draft) error {
		d.Policy().Groups[0].Name = name
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.To
}

// TestView_decodedOnce: the policy of a revision is decoded once, and never shown
// for another one, whoever makes that: this server, another one, or a new epoch.
func TestView_decodedOnce(t *testing.T) {
	for name, o := range map[string]store.Options{
		"sqlite": {Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "b.db")}, "mysql": {Driver: store.MySQL, DSN: accesstest.MySQL(t)},
	} {
		t.Run(name, func(t *testing.T) {
			s, other := accesstest.OpenStore(t, o), accesstest.OpenStore(t, o)
			if _, err := s.CreateTenant(t.Context(), access.Tenant{Code: "crm"}, access.Change{Author: "tester"}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(t.Context(), &access.Policy{Tenant: "crm", Groups: []access.Group{{Code: "sales", Name: "0"}}}, access.Change{Author: "tester", Base: access.AnyRevision}); err != nil {
				t.Fatal(err)
			}
			first, at := viewed(t, s, "crm")
			first.Users = []access.User{{ID: "mine"}} // its own fields may be set
			if again, now := viewed(t, s, "crm"); &again.Groups[0] != &first.Groups[0] || now != at || again.Users != nil {
				t.Error("the same revision was decoded twice, or what a reader made of it shows")
			}
			for i, by := range []*store.Store{s, other, s} {
				want := string(rune('1' + i))
				made := renamed(t, by, "crm", want)
				for _, reader := range []*store.Store{s, other} {
					if p, now := viewed(t, reader, "crm"); p.Groups[0].Name != want || now != made {
						t.Errorf("revision %d is %q at %d, want %q", made, p.Groups[0].Name, now, want)
					}
				}
			}
			refused := access.Invalid("name", "no")
			_, err := s.Edit(t.Context(), "crm", access.Change{Author: "tester", Base: access.AnyRevision}, func(d access.Draft) error {
				d.Policy().Groups[0].Name = "never"
				return refused
			}, nil)
			if p, _ := viewed(t, s, "crm"); err == nil || p.Groups[0].Name != "3" {
				t.Errorf("%v; a draft is shared with readings: %q", err, p.Groups[0].Name)
			}
		})
	}
}

// longText is most of what a policy with it is.
var longText = strings.Repeat("x", 1000)

// TestView_decodedBounded: what is kept decoded stays within its bound, the one
// that was not used for the longest time goes first, and what is too large for it
// is read each time.
func TestView_decodedBounded(t *testing.T) {
	s := accesstest.OpenStore(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "b.db")})
	tenants := []string{"a", "b", "c"}
	for _, code := range tenants {
		if _, err := s.CreateTenant(t.Context(), access.Tenant{Code: code}, access.Change{Author: "tester"}); err != nil {
			t.Fatal(err)
		}
		p := &access.Policy{Tenant: code, Groups: []access.Group{{Code: "sales", Description: longText}}}
		if _, err := s.Apply(t.Context(), p, access.Change{Author: "tester", Base: access.AnyRevision}); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(code string) bool {
		x, _ := viewed(t, s, code)
		y, _ := viewed(t, s, code)
		return &x.Groups[0] == &y.Groups[0]
	}
	s.Decoded(2 * len(longText) * 3 / 2)
	for _, code := range append(tenants, tenants...) {
		if !kept(code) {
			t.Errorf("%s is not kept though there is room", code)
		}
		if n, bytes := s.DecodedNow(); n > 2 || bytes > 3*len(longText) {
			t.Errorf("%d policies of %d bytes are kept", n, bytes)
		}
	}
	s.Decoded(len(longText) / 2)
	if kept("a") {
		t.Error("what is too large is kept")
	}
}
