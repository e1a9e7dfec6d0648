package engine

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// Snapshot is one tenant at one revision, compiled. It never changes, so any
// number of goroutines may ask it; a question neither locks nor counts anything
// that others write too.
//
// In our own model names are numbers, rules stand in runs by grantee and links
// in runs by member, so what a question costs depends on what its subject
// holds and not on how much there is.
type Snapshot struct {
	tenant   string
	revision access.Revision
	epoch    string
	policy   access.Revision // newest that changed more than single users
	fetched  bool            // users are asked for one by one
	options  Options

	foreign *foreign      // set where the tenant brings a Casbin model of its own
	facts   *access.Facts // only there: what it was compiled from, without the rules

	*frame
	*life
	names     register[string] // groups, roles and the superuser's role, as in rules
	sections  register[access.Section]
	scopes    register[access.Scope]
	actions   register[string] // declared ones
	superuser uint32           // number of the reserved role, 0 where nothing names it
	holders   pages[holder]    // by number of the name
	anonymous *subject
	subjects  crowd
	lines     int  // how many p and g lines there are
	placed    bool // lines came with places, as from a store

	shape   uint64        // differs between any two snapshots that differ in more than users
	stripes pages[stripe] // by number of the stripe
	graph   *graph        // what only searches and explanations need
}

// stripe is when the users of one stripe were last changed.
type stripe struct {
	revision access.Revision // as the store counts, on every replica alike
	shape    uint64          // as Snapshot.shape, for what this process remembers
}

// life is what all snapshots share that were advanced from one another. Numbers
// of names mean the same in all of them.
type life struct {
	number   uint32 // differs between any two lives
	memory   *memory
	failures atomic.Uint64 // evaluations of conditions that failed
	counts   [stripesOfCounts]counts
}

// lives and shapes number what must be told apart in this process.
var lives atomic.Uint32

var shapes atomic.Uint64

// Tenant is the code of the tenant.
func (s *Snapshot) Tenant() string { return s.tenant }

// Revision is the revision that was compiled.
func (s *Snapshot) Revision() access.Revision { return s.revision }

// Plan gives the name of the way in which questions are answered, "native",
// "candidates" or "scan", and the reason for it.
func (s *Snapshot) Plan() (name, why string) {
	p := s.Plans()[0]
	return p.Name, p.Why
}

// Plans describes the plan for each set of definitions in the tenant's model. The
// first is the one that answers questions.
func (s *Snapshot) Plans() []plan.Info {
	if s.foreign != nil {
		return slices.Clone(s.foreign.plans)
	}
	return []plan.Info{{
		Name: "native", Why: "the built-in model, compiled: a question looks only at what its subject holds", Rules: s.lines, Reads: true,
	}}
}

// ConditionErrors is how many conditions could not be evaluated so far.
func (s *Snapshot) ConditionErrors() uint64 { return s.failures.Load() }

// Decide answers a question at the moment now. A malformed question is a denial
// with an error of kind access.ErrInvalid; nothing unknown is ever allowed. Users
// that are fetched can only be asked about through an Engine.
func (s *Snapshot) Decide(r *access.Request, now time.Time) (access.Decision, error) {
	d, err := s.decide(context.Background(), r, now, nil)
	return d, notHere(err)
}

// notHere says what it means for a snapshot alone that a user must be fetched.
func notHere(err error) error {
	if err == errAbsent { //nolint:errorlint // it is never wrapped
		return access.Unavailable("users of this tenant are fetched when they are asked about")
	}
	return err
}

// decide answers a question about a subject that was fetched, or where given is
// nil about one that is at hand.
func (s *Snapshot) decide(ctx context.Context, r *access.Request, now time.Time, given *subject) (access.Decision, error) {
	if s.foreign != nil {
		return s.foreign.decide(ctx, s, r, now)
	}
	sc := s.scratch()
	defer sc.end()
	if err := sc.begin(r, now, given); err != nil {
		return s.refused(err), err
	}
	return sc.decide(), nil
}

// refused is the denial that comes with an error.
func (s *Snapshot) refused(err error) access.Decision {
	d := access.Decision{Revision: s.revision}
	if errors.Is(err, access.ErrInvalid) {
		d.Reason = access.ReasonRequestInvalid
	}
	return d
}
