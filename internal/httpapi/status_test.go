package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

// TestStatus_overHTTP: what a server says of itself, by the client that we
// deliver; keys that only ask may not look.
func TestStatus_overHTTP(t *testing.T) {
	h := newHouse(t)
	o := h.options
	o.Replicas = service.NewReplicas(h.store, h.follower, service.ReplicasOptions{
		Version: "1.2.3",
		Tenants: func() map[string]service.TenantReport {
			return map[string]service.TenantReport{"default": {Rules: 9, Plans: []service.PlanReport{{Plan: "native", Why: "ours"}}}}
		},
		Caches: func() []service.CacheReport { return []service.CacheReport{{Layer: "answers", Hits: 3}} },
	})
	server, err := httpapi.NewServer(o)
	h.must(err)
	h.server = server
	h.must(h.store.Beat(t.Context(), access.Replica{ID: "other", Address: "10.0.0.2:8080", Behind: 1, Lag: 2}))

	s := decode[api.Status](t, h.send(http.MethodGet, "/v1/status", h.root, ""))
	if len(s.Replicas) != 2 || s.Replicas[0] != s.Replica || s.Replicas[1].ID != "other" || s.Replicas[1].Lag != 2 || s.Replica.Version != "1.2.3" {
		t.Errorf("replicas: %+v", s.Replicas)
	}
	if d := s.Tenants[0]; d.Code != "default" || d.Revision == 0 || d.Head != d.Revision || d.Epoch == "" || d.Age == nil || d.Plans[0].Why != "ours" || d.Rules != 9 {
		t.Errorf("tenant: %+v", d)
	}
	if len(s.Work) != 5 || s.Work[2].Work != "searches" || s.Work[2].InFlight != 1 || s.Work[2].Places != 16 || s.Caches[0].Hits != 3 {
		t.Errorf("work and caches: %+v, %+v", s.Work, s.Caches)
	}
	own := decode[api.Status](t, h.send(http.MethodGet, "/v1/status", h.key[access.KeyRead], ""))
	if len(own.Tenants) != 1 || own.Replicas != nil || own.Work != nil || own.Caches != nil {
		t.Errorf("a key of one tenant sees %+v", own)
	}
	h.wantProblem(h.send(http.MethodGet, "/v1/status", h.key[access.KeyDecide], ""), 403, "forbidden")
	h.wantProblem(h.send(http.MethodGet, "/v1/status", "", ""), 401, "unauthenticated")
}
