package httpapi

import (
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/service"
)

// The states of health.
const (
	healthOK          = "ok"
	healthDegraded    = "degraded"
	healthUnavailable = "unavailable"
)

func (c *call) livez() error {
	return c.reply(http.StatusOK, api.Health{Status: healthOK})
}

// readyz answers 503 when questions are not answered. A tenant that could not
// be loaded only degrades it: the others are answered, and that one by its last
// good revision.
func (c *call) readyz() error {
	policy := c.api.policyCheck()
	h := api.Health{Status: policy.Status, Checks: []api.HealthCheck{policy}}
	for _, other := range []api.HealthCheck{c.api.storeCheck(), c.api.shadowCheck(), c.api.recordingCheck()} {
		if other.Name == "" {
			continue
		}
		h.Checks = append(h.Checks, other)
		if h.Status == healthOK {
			h.Status = other.Status
		}
	}
	if c.api.draining.Load() {
		h.Status = healthUnavailable
		h.Checks = append(h.Checks, api.HealthCheck{
			Name: "server", Status: healthUnavailable, Reasons: []string{"the server is shutting down"},
		})
	}
	status := http.StatusOK
	if h.Status == healthUnavailable {
		status = http.StatusServiceUnavailable
	}
	return c.reply(status, h)
}

func (a *door) policyCheck() api.HealthCheck {
	ready := a.o.Follower.Ready()
	check := api.HealthCheck{Name: "policy", Status: healthOK, Reasons: ready.Reasons, Following: followingOf(a.o.Follower.Following())}
	switch {
	case !ready.Ready:
		check.Status = healthUnavailable
	case len(ready.Reasons) > 0:
		check.Status = healthDegraded
	}
	return check
}

// mostLate is how many tenants /readyz names: the rest is for /v1/status.
const mostLate = 10

func followingOf(f service.Following) *api.Following {
	w := &api.Following{Tenants: len(f.Tenants), Behind: f.Behind()}
	if f.PollAge >= 0 {
		millis := f.PollAge.Milliseconds()
		w.Age = &millis
	}
	for _, t := range f.MostBehind(mostLate) {
		if !t.AtHead {
			w.Late = append(w.Late, api.LateTenant{Code: t.Tenant, Revision: uint64(t.Revision), Head: uint64(t.Head.Revision), Lag: t.Lag()})
		}
	}
	return w
}

// storeCheck shows a store that is read but cannot be written: full, or made
// read-only. It only degrades, for no answer depends on it.
func (a *door) storeCheck() api.HealthCheck {
	if a.o.Replicas == nil {
		return api.HealthCheck{}
	}
	check := api.HealthCheck{Name: "store", Status: healthOK}
	if why := a.o.Replicas.Trouble(); why != "" {
		check.Status, check.Reasons = healthDegraded, []string{why}
	}
	return check
}

// shadowCheck shows answers that differ from those of stock Casbin. They only
// degrade: which of both is wrong is for people to find out.
func (a *door) shadowCheck() api.HealthCheck {
	if a.o.Shadow == nil {
		return api.HealthCheck{}
	}
	check := api.HealthCheck{Name: "shadow", Status: healthOK, Reasons: a.o.Shadow()}
	if len(check.Reasons) > 0 {
		check.Status = healthDegraded
	}
	return check
}

// recordingCheck shows answers that are missing in the log of decisions. They
// only degrade: where nothing may be answered without it, it is not.
func (a *door) recordingCheck() api.HealthCheck {
	if a.o.Recording == nil {
		return api.HealthCheck{}
	}
	check := api.HealthCheck{Name: "decisions", Status: healthOK, Reasons: a.o.Recording()}
	if len(check.Reasons) > 0 {
		check.Status = healthDegraded
	}
	return check
}
