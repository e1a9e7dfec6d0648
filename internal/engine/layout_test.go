package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// TestMatrix_likeDecisions holds every cell against the decisions about everybody,
// everything, everywhere and however conditions come out: what a row says holds
// there and below, as long as no row of a deeper scope says otherwise.
func TestMatrix_likeDecisions(t *testing.T) {
	cells, held := 0, map[string]int{}
	for seed := uint64(1); seed <= 6; seed++ {
		f := switched(newHistory(seed).facts)
		f.Revision, f.Stripes = 1, map[access.Stripe]access.Revision{}
		s := newSide(t, f, seed%2 == 0)
		b := newBrute(t, s, s)
		m, err := s.e.Matrix(context.Background(), s.sight(t), access.MatrixQuery{Kind: access.KindUser})
		if err != nil {
			t.Fatal(err)
		}
		type place struct {
			holder  string
			scope   access.Scope
			section access.Section
		}
		rows := map[place]*access.MatrixRow{}
		for i := range m.Rows {
			r := &m.Rows[i]
			rows[place{r.Holder, r.Scope, r.Section}] = r
		}
		for _, u := range f.Users {
			who := access.Subject{Kind: access.KindUser, ID: u.ID}
			for _, section := range paths {
				for _, scope := range b.scopes {
					row := rows[place{who.Rule(), scope, section}]
					for at := scope; row == nil && at != access.Everywhere; row = rows[place{who.Rule(), at, section}] {
						at = s.above(at)
					}
					for _, action := range []access.Action{"show", "update", "execute", "send"} {
						cells++
						want := sometimes(b, s, access.Request{Subject: who, Section: section, Scope: scope, Actions: []access.Action{action}})
						if got := heldAs(row, action); got != want {
							t.Fatalf("seed %d: %s %s on %s at %s is %q, and the matrix says %q", seed, u.ID, action, section, scope, want, got)
						}
						held[want]++
					}
				}
			}
		}
	}
	t.Logf("%d cells, %v", cells, held)
	for _, how := range []string{"always", "never", "if"} {
		if held[how] < 100 {
			t.Errorf("%d cells are held %s: that shows little", held[how], how)
		}
	}
}

// sometimes tells how decisions come out.
func sometimes(b *brute, s sideOf, r access.Request) string {
	yes := 0
	for _, c := range contexts {
		if r.Context = c; b.ask(s, &r) {
			yes++
		}
	}
	switch yes {
	case 0:
		return "never"
	case len(contexts):
		return "always"
	}
	return "if"
}

func heldAs(row *access.MatrixRow, a access.Action) string {
	switch {
	case row == nil:
	case slices.Contains(row.Actions, a):
		return "always"
	case slices.ContainsFunc(row.If, func(x access.ConditionalRight) bool { return x.Action == a }):
		return "if"
	}
	return "never"
}

// What cannot be laid out is refused, never left out.
func TestMatrix_refused(t *testing.T) {
	f := switched(newHistory(1).facts)
	s := newSide(t, f, false)
	for name, tc := range map[string]struct {
		q    access.MatrixQuery
		kind error
	}{
		"a role":           {access.MatrixQuery{Holders: []string{"r:clerk"}}, access.ErrInvalid},
		"no name":          {access.MatrixQuery{Holders: []string{"somebody"}}, access.ErrInvalid},
		"an unknown group": {access.MatrixQuery{Holders: []string{"g:nobody"}}, access.ErrNotFound},
		"an unknown user":  {access.MatrixQuery{Holders: []string{"u:nobody"}}, access.ErrNotFound},
		"an unknown scope": {access.MatrixQuery{Scope: "store:nowhere"}, access.ErrNotFound},
	} {
		if _, err := s.e.Matrix(context.Background(), s.sight(t), tc.q); !errors.Is(err, tc.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
