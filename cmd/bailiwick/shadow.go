package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

// compareWithStock puts shadow mode between the doors and what decides. Without
// a fraction there is none, and nothing in between.
func (h *house) compareWithStock(from service.ShadowSource, cfg config.Shadow, log *slog.Logger) {
	if cfg.Fraction == 0 {
		return
	}
	h.shadow = service.NewShadow(h.kept, from, stockCasbin{h.engine}, service.ShadowOptions{
		Fraction: cfg.Fraction, MaxRules: cfg.MaxRules, Timeout: cfg.Timeout, Queue: cfg.Queue, Log: log,
	})
	h.decisions = service.NewDecisions(h.shadow, h.follower, h.authority)
	h.decisions.Recall(h.past, h.directory)
}

// startShadow compares until ctx ends. Nobody waits for the end: stock Casbin
// cannot be interrupted.
func (h *house) startShadow(ctx context.Context) {
	if h.shadow != nil {
		go h.shadow.Run(ctx)
	}
}

// warnings are shadow mode's, for readiness; nil where it is off.
func (h *house) warnings() func() []string {
	if h.shadow == nil {
		return nil
	}
	return h.shadow.Warnings
}

// stockCasbin is stock Casbin as shadow mode wants it.
type stockCasbin struct{ engine *engine.Engine }

// Load loads it afresh.
func (stockCasbin) Load(f access.Facts) (service.Reference, error) {
	o, err := oracle.New(f, nil)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// InForce looks at what decides.
func (s stockCasbin) InForce(tenant string) (rules int, epoch string) {
	snapshot, ok := s.engine.Snapshot(tenant)
	if !ok {
		return 0, ""
	}
	pinned, err := s.engine.Pin(tenant)
	if err != nil {
		return 0, ""
	}
	return snapshot.Plans()[0].Rules, pinned.Stamp(access.Anonymous).Epoch
}

// shadowSeries are the measures of shadow mode.
func (h *house) shadowSeries() []httpapi.Series {
	if h.shadow == nil {
		return nil
	}
	c := h.shadow.Counts()
	all := []httpapi.Series{
		counter("bailiwick_shadow_compared_total", "Answers that stock Casbin gave again.", float64(c.Compared)),
		counter("bailiwick_shadow_differences_total", "Those that came out otherwise: an alarm.", float64(c.Differences)),
	}
	for _, why := range slices.Sorted(maps.Keys(c.Skipped)) {
		s := counter("bailiwick_shadow_skipped_total", "Answers that were chosen and not compared, by reason.", float64(c.Skipped[why]))
		s.Label, s.Of = "reason", why
		all = append(all, s)
	}
	return all
}
