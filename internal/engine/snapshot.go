package engine

import (
	"slices"
	"sync"
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
	tenant    string
	revision  access.Revision
	combining access.Combining
	foreign   *foreign // set where the tenant brings a Casbin model of its own
	facts     access.Facts
	options   Options

	names        table[access.Subject] // users, applications, groups and roles; what can be linked to comes first
	targets      uint32                // one more than the highest number that can be linked to
	sections     table[access.Section]
	scopes       table[access.Scope]
	actions      table[string] // declared ones
	features     table[string] // licences
	applications table[string]

	catalogue    []section    // by number of the section
	sectionChain runs[uint32] // section, the ones above it, "*"
	scopeChain   runs[uint32] // scope, the ones above it, "*"; empty where it is not in the tree
	licences     []bool       // by number of the feature: the tenant holds it
	accounts     []account
	accountOf    []uint32 // by number of the name; 0: no account
	template     []bool   // by number of the name: a template group
	mayBeSuper   []bool   // by number of the name: superuser's role can be reached if all links hold
	superuser    uint32   // number of the reserved role, 0 where nothing names it
	rules        runs[rule]
	links        runs[link]
	validity     []access.Validity    // 0 is always
	conditions   []*Condition         // 0 is none
	lines        []access.Rule        // in policy order
	members      func() runs[uint32]  // by number of the name, made when first wanted
	grants       func() runs[granted] // by number of the section, likewise
	menuOrder    func() []uint32      // sections as searches list them, likewise
	subjectOrder func() []uint32      // subjects as searches list them, likewise
	scratches    sync.Pool
	failures     atomic.Uint64
}

// section is one section of the catalogue, or one that only rules name.
type section struct {
	declared      bool
	application   uint32
	licence       uint32 // 0: none
	actions       []uint32
	prerequisites []prerequisite
}

// prerequisite is one right on another section that must be held too.
type prerequisite struct {
	section uint32
	action  access.Action
	detail  string // "section/right"
}

// account is what gates and conditions need to know of a subject.
type account struct {
	status     access.UserStatus
	person     bool // a user, who must hold a seat of what is licensed
	licences   []uint32
	off        []uint32 // applications switched off
	attributes map[string]any
}

// rule is a compiled p line.
type rule struct {
	scope, section uint32
	condition      uint32
	validity       uint32
	line           uint32 // its place in policy order
	action         uint32 // declared action; anyAction is the superuser's "*"
	rights         access.Rights
	deny           bool
}

const anyAction = ^uint32(0)

// link is a compiled g line.
type link struct {
	to, scope uint32
	validity  uint32
	line      uint32
}

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
		Name: "native", Why: "the built-in model, compiled: a question looks only at what its subject holds", Rules: len(s.lines), Reads: true,
	}}
}

// ConditionErrors is how many conditions could not be evaluated so far.
func (s *Snapshot) ConditionErrors() uint64 { return s.failures.Load() }

// Decide answers a question at the moment now. A malformed question is a denial
// with an error of kind access.ErrInvalid; nothing unknown is ever allowed.
func (s *Snapshot) Decide(r *access.Request, now time.Time) (access.Decision, error) {
	if s.foreign != nil {
		return s.foreign.decide(s, r, now)
	}
	sc := s.scratch()
	defer sc.end()
	if err := sc.begin(r, now); err != nil {
		return s.malformed(), err
	}
	return sc.decide(), nil
}

func (s *Snapshot) malformed() access.Decision {
	return access.Decision{Reason: access.ReasonRequestInvalid, Revision: s.revision}
}

func (s *Snapshot) scratch() *scratch {
	if sc, ok := s.scratches.Get().(*scratch); ok {
		return sc
	}
	return newScratch(s)
}
