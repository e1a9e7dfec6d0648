package service_test

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// silent is a store behind a dead network: it answers nothing.
type silent struct{ service.PolicyStore }

func (silent) Heads(ctx context.Context) (map[string]access.Head, error) {
	<-ctx.Done()
	return nil, access.Unavailable("nothing came back")
}

// TestPolicies_silentStore: that nothing can be stored is said within three
// seconds, however long policies may take to be tested.
func TestPolicies_silentStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := service.NewPolicies(nil, nil, silent{}, nil, nil)
		admin := access.Caller{Name: "operator-1", Tenant: "crm", May: access.KeyAdmin}
		began := time.Now()
		_, err := p.Load(t.Context(), admin, "crm", fstest.MapFS{}, service.LoadOptions{})
		if !errors.Is(err, access.ErrUnavailable) || time.Since(began) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}
