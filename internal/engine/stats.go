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
	Misses   uint64 // questions for which nothing was remembered about the subject

	CacheEntries int    // remembered tables and users, over all tenants
	CacheBytes   uint64 // what they take, nearly
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
	t := TenantStats{
		Tenant: s.tenant, Revision: s.revision, Plans: s.Plans(), Rules: s.lines, Users: s.users(), Fetched: s.fetched,
		CacheEntries: s.memory.cache.EstimatedSize(), CacheBytes: s.memory.cache.WeightedSize(),
	}
	for i := range s.counts {
		t.Hits += s.counts[i].hits.Load()
		t.Misses += s.counts[i].misses.Load()
	}
	return t
}

// users counts the users in memory; nearly, as there can be records without an account.
func (s *Snapshot) users() int {
	if s.foreign != nil {
		return len(s.facts.Users)
	}
	return s.subjects.n - len(s.source.Catalogue)
}
