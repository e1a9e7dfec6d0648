package store_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

var any1 = access.Change{Base: access.AnyRevision, Author: "tester"}

// TestApply_allOrNothing breaks a change off before its first statement, its
// second and so on: what is there afterwards is what was there before, until
// it gets through to the end.
func TestApply_allOrNothing(t *testing.T) {
	onEach(t, func(t *testing.T, o store.Options) {
		s, fragile := accesstest.OpenStore(t, o), accesstest.OpenStore(t, o)
		tenant := access.DefaultTenant
		before := apply(t, s, accesstest.StorePolicy(tenant))
		next := accesstest.RandomPolicy(rand.New(rand.NewPCG(3, 3)), tenant)
		left, cancel := 0, context.CancelFunc(nil)
		err := fragile.BeforeStatement(func() {
			if left--; left == 0 {
				cancel()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		broken := 0
		for ; ; broken++ {
			var ctx context.Context
			ctx, cancel = context.WithCancel(t.Context())
			left = broken + 1
			_, err := fragile.Apply(ctx, next, any1)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if after := load(t, s, tenant); !reflect.DeepEqual(before, after) {
				t.Fatalf("broken off before statement %d it left\n%+v\nof\n%+v", broken+1, after, before)
			}
			verify(t, s, tenant)
		}
		if broken < 10 {
			t.Errorf("a change of everything has only %d statements: the test looks beside", broken)
		}
		if after := load(t, s, tenant); after.Revision != before.Revision+1 {
			t.Errorf("revision %d after %d", after.Revision, before.Revision)
		}
		verify(t, s, tenant)
	})
}

func apply(t *testing.T, s *store.Store, p *access.Policy) access.Facts {
	t.Helper()
	if _, err := s.Apply(t.Context(), p, any1); err != nil {
		t.Fatal(err)
	}
	return load(t, s, p.Tenant)
}

func load(t *testing.T, s *store.Store, tenant string) access.Facts {
	t.Helper()
	f, err := s.Load(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func verify(t *testing.T, s *store.Store, tenant string) {
	t.Helper()
	if err := s.Verify(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
}
