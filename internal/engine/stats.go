package engine

import (
	"cmp"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// TenantStats is what is known of one tenant, for status pages and metrics.
type TenantStats struct {
	Tenant   string
	Revision access.Revision
	Plans    []plan.Info
	Rules    int  // lines in force, without those of users that are fetched
	Users    int  // accounts held in memory
	Fetched  bool // users are asked for one by one
	Hits     uint64
	Misses   uint64 // questions for which nothing was at hand about the subject
}

// Stats describes all tenants, in the order of their codes.
func (e *Engine) Stats() []TenantStats {
	var all []TenantStats
	for _, s := range *e.snapshots.Load() {
		all = append(all, s.stats())
	}
	slices.SortFunc(all, func(a, b TenantStats) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return all
}

func (s *Snapshot) stats() TenantStats {
	return TenantStats{
		Tenant: s.tenant, Revision: s.revision, Plans: s.Plans(), Rules: len(s.lines),
		Users: len(s.facts.Users), Fetched: s.facts.Fetched,
	}
}
