package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// TestReplicas: what a replica says takes the place of what it said before; one
// that leaves, or is silent for a day, is forgotten.
func TestReplicas(t *testing.T) {
	onEach(t, func(d database) {
		now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
		d.options.Clock = func() time.Time { return now }
		s := accesstest.OpenStore(d.t, d.options)
		must := func(err error) {
			d.t.Helper()
			if err != nil {
				d.t.Fatal(err)
			}
		}
		a := access.Replica{ID: "b", Address: "127.0.0.1:8080", Version: "1.2.3", Started: now.Add(-time.Hour), Tenants: 5, Behind: 2, Lag: 7}
		b := access.Replica{ID: "a", Started: now}
		must(s.Beat(d.t.Context(), b))
		must(s.Beat(d.t.Context(), access.Replica{ID: a.ID, Started: a.Started, Behind: 9}))
		now = now.Add(24 * time.Hour)
		must(s.Beat(d.t.Context(), a))
		a.Seen, b.Seen = now, now.Add(-24*time.Hour)
		all, err := s.Replicas(d.t.Context())
		must(err)
		if !reflect.DeepEqual(all, []access.Replica{a, b}) {
			d.t.Errorf("got %+v", all)
		}
		now = now.Add(time.Microsecond)
		must(s.Beat(d.t.Context(), a))
		a.Seen = now
		all, err = s.Replicas(d.t.Context())
		must(err)
		if !reflect.DeepEqual(all, []access.Replica{a}) {
			d.t.Errorf("after a day: %+v", all)
		}
		must(s.Leave(d.t.Context(), "b"))
		all, err = s.Replicas(d.t.Context())
		must(err)
		if len(all) != 0 {
			d.t.Errorf("who left is there: %+v", all)
		}
	})
}
