package engine

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// scratch is the working memory of one question, so that a question allocates
// nothing. Marks of holders outlive questions and snapshots: they are told apart
// by their numbers.
type scratch struct {
	*Snapshot
	request *access.Request
	now     time.Time
	until   time.Time // the next moment at which something looked at may change

	person *subject // nil if unknown
	own    held     // what it holds by its own lines
	scope  uint32
	path   []uint32 // the scope and all above it

	closure             // of person in scope, where closed
	closed     bool     // closure is made
	grouped    bool     // closure.templates is made
	table      *table   // what is remembered of person in scope, nil where nothing is
	quiet      bool     // nothing is to be remembered
	many       bool     // more questions about the same will follow
	explaining bool     // all that was looked at is wanted, so nothing remembered is of use
	nodes      []node   // what person holds by way of links, itself first; only where table is nil
	marks      []uint32 // by number of the holder: == mark once it is in nodes
	mark       uint32

	spots    []spot         // rules that match
	gathered []spot         // rules of a table that is being made
	order    []sortKey      // of gathered
	values   map[string]any // what conditions see, made when first wanted
	touched  uint32         // keeps touch from being taken for idle
	lack     *question      // the last question that found no grant
	extra    *supposed      // a grant that is supposed to be there

	stripe    int // where this scratch counts
	questions [access.MaxPrerequisiteDepth + 1]question
}

// node is a name in the closure, with the node and its link by which it was reached.
type node struct {
	name uint32 // 0 for the subject itself
	from int
	link int
}

// question is one action in one section; prerequisites ask further ones with the
// same subject, scope and clock. It implements access.Case.
type question struct {
	*scratch
	depth   int
	section uint32
	action  access.Action
	right   access.Rights // 0 for a declared action
	named   uint32        // the declared action, 0 if there is none of that name
}

var scratches = sync.Pool{New: func() any {
	sc := &scratch{stripe: rand.IntN(stripesOfCounts)} //nolint:gosec // spreads counts, keeps no secret
	for i := range sc.questions {
		sc.questions[i].scratch, sc.questions[i].depth = sc, i
	}
	return sc
}}

func (s *Snapshot) scratch() *scratch {
	sc := scratches.Get().(*scratch) //nolint:forcetypeassert // nothing else is in it
	sc.Snapshot, sc.quiet, sc.many, sc.explaining = s, false, false, false
	return sc
}

// end gives the scratch back, keeping nothing of request and snapshot.
func (sc *scratch) end() {
	sc.Snapshot, sc.request, sc.person, sc.path, sc.table = nil, nil, nil, nil, nil
	sc.own = held{}
	sc.values, sc.extra, sc.lack = nil, nil, nil
	clear(sc.spots)
	sc.spots = sc.spots[:0]
	scratches.Put(sc)
}

// errAbsent says that a user must be fetched first.
var errAbsent = errors.New("the user is not at hand")

// begin looks up what the request names. Names that the snapshot knows are
// well-formed; only for others is the request's form checked. Where the subject
// was fetched it is given.
func (sc *scratch) begin(r *access.Request, now time.Time, given *subject) error {
	if r.Raw != nil {
		if r.RawSet != "" {
			return access.Invalid("context_set", "the built-in model has no definitions %q", r.RawSet)
		}
		var err error
		if r, err = FromRaw(r.Raw); err != nil {
			return err
		}
	}
	sc.request, sc.now, sc.until = r, now, time.Time{}
	sc.values, sc.lack, sc.extra = nil, nil, nil
	scope := r.Scope
	if scope == "" {
		scope = access.Everywhere
	}
	sc.scope = sc.scopes.id(scope)
	if sc.path = sc.scopeChain.of(sc.scope); len(sc.path) == 0 {
		sc.scope = 0
	}
	known := sc.meet(r.Subject, given)
	if sc.familiar(r) {
		return nil
	}
	if err := r.Check(); err != nil {
		return err
	}
	return known
}

// meet finds the subject, by what is remembered of it if there is anything.
func (sc *scratch) meet(who access.Subject, given *subject) error {
	sc.closed, sc.grouped, sc.table, sc.person = false, false, nil, nil
	if sc.scope != 0 && !sc.quiet {
		if sc.table = sc.Snapshot.table(who, sc.scope, sc.now); sc.table != nil {
			sc.closure = sc.table.closure
			sc.be(sc.table.subject)
			sc.closed, sc.grouped = true, true
			sc.counts[sc.stripe].hits.Add(1)
			return nil
		}
	}
	sc.counts[sc.stripe].misses.Add(1)
	switch {
	case given != nil:
		sc.be(given)
	case sc.absent(who):
		f := sc.recall(who.ID)
		if f == nil {
			return errAbsent
		}
		sc.be(f.subject)
	default:
		sc.be(sc.resident(who))
	}
	return nil
}

// be makes somebody the subject of the question.
func (sc *scratch) be(p *subject) {
	sc.person, sc.own = p, held{}
	if p != nil {
		sc.own = p.held()
	}
}

// resident finds a subject that came with the policy.
func (s *Snapshot) resident(who access.Subject) *subject {
	if who == access.Anonymous {
		return s.anonymous
	}
	return s.subjects.find(who)
}

// absent tells whether this is one of those who are fetched.
func (s *Snapshot) absent(who access.Subject) bool {
	return s.fetched && who.Kind == access.KindUser && who != access.Anonymous
}

// familiar tells whether the snapshot knows every name in the request.
func (sc *scratch) familiar(r *access.Request) bool {
	if r.Subject.Kind != access.KindUser && r.Subject.Kind != access.KindApplication {
		return false
	}
	if sc.person == nil || sc.scope == 0 || sc.sections.id(r.Section) == 0 || r.Section == allSections {
		return false
	}
	for _, a := range r.Actions {
		if a.Right() <= access.Inherit && sc.actions.id(string(a)) == 0 {
			return false
		}
	}
	return len(r.Actions) > 0
}

// decide puts the gates to every action in turn and stops at the first denial.
func (sc *scratch) decide() access.Decision {
	var d access.Decision
	section := sc.sections.id(sc.request.Section)
	for _, a := range sc.request.Actions {
		d = access.Judge(sc.ask(0, section, a))
		d.Action = a
		if !d.Allowed {
			break
		}
	}
	d.Revision, d.ValidUntil = sc.revision, sc.until
	return d
}

func (sc *scratch) ask(depth int, section uint32, a access.Action) *question {
	q := &sc.questions[depth]
	q.section, q.action, q.right, q.named = section, a, a.Right(), 0
	if q.right == 0 {
		q.named = sc.actions.id(string(a))
	}
	return q
}

// Subject finds accounts that do not exist, may not be used, or are members of
// template groups only.
func (q *question) Subject() access.Finding {
	if q.person == nil || q.person.account == nil {
		return access.Finding{Reason: access.ReasonSubjectUnknown, Detail: q.request.Subject.ID}
	}
	if status := q.person.account.status; status != access.UserActive {
		return access.Finding{Reason: access.ReasonSubjectDisabled, Detail: string(status)}
	}
	if !q.grouped {
		q.group()
	}
	q.until = access.Sooner(q.until, q.untilGroups)
	if q.templates {
		return access.Finding{Reason: access.ReasonSubjectTemplateOnly}
	}
	return access.Finding{}
}

// group tells whether the subject is in groups and all of them are templates.
func (sc *scratch) group() {
	sc.closure = closure{from: sc.now}
	groups, real := 0, 0
	for i := range sc.person.links {
		group, template := sc.groupAt(i)
		if !group || !sc.holds(sc.own.timed(i), &sc.untilGroups) {
			continue
		}
		groups++
		if !template {
			real++
		}
	}
	sc.templates, sc.grouped = groups > 0 && real == 0, true
}

func (sc *scratch) groupAt(i int) (group, template bool) {
	to := sc.person.links[i].to
	if to&stranger != 0 {
		return sc.own.extras().strangers[to&^stranger][0] == byte(access.KindGroup), false
	}
	h := sc.holder(to)
	return h.group, h.template
}

// holds tells whether a link holds now, and until when that stays so.
func (sc *scratch) holds(g *gate, until *time.Time) bool {
	if g == nil {
		return true
	}
	sc.timed = true
	*until = access.Sooner(*until, g.validity.Next(sc.now))
	return g.validity.At(sc.now)
}

// Catalogue finds sections, actions and scopes that nobody declared.
func (q *question) Catalogue() access.Finding {
	s := q.Snapshot.section(q.section)
	switch {
	case !s.declared:
		return access.Finding{Reason: access.ReasonSectionUnknown, Detail: string(q.request.Section)}
	case q.right == 0 && !slices.Contains(s.actions, q.named):
		return access.Finding{Reason: access.ReasonActionUnknown, Detail: string(q.action)}
	case q.scope == 0:
		return access.Finding{Reason: access.ReasonScopeUnknown, Detail: string(q.request.Scope)}
	}
	return access.Finding{}
}

// Superuser tells whether links that hold everywhere lead to the reserved role.
func (q *question) Superuser() bool {
	q.close()
	q.until = access.Sooner(q.until, q.untilSuper)
	return q.super
}

// Application finds that the section's application is switched off for the user.
func (q *question) Application() access.Finding {
	app := q.Snapshot.section(q.section).application
	if slices.Contains(q.person.account.off, app) {
		return access.Finding{Reason: access.ReasonApplicationOff, Detail: app}
	}
	return access.Finding{}
}

// Licence finds a feature that the tenant does not hold, or of which the user
// has no seat. Applications and anonymous questions need no seat.
func (q *question) Licence() access.Finding {
	feature := q.Snapshot.section(q.section).licence
	a := q.person.account
	if feature == "" || q.licences[feature] && (!a.person || slices.Contains(a.licences, feature)) {
		return access.Finding{}
	}
	return access.Finding{Reason: access.ReasonLicenceMissing, Detail: feature}
}

// Prerequisites finds a right that must be held too and is missing. Each is a
// full decision of its own.
func (q *question) Prerequisites() access.Finding {
	needs := q.Snapshot.section(q.section).prerequisites
	for i := range needs {
		p := &needs[i]
		if q.depth == access.MaxPrerequisiteDepth || !access.Judge(q.ask(q.depth+1, p.section, p.action)).Allowed {
			return access.Finding{Reason: access.ReasonPrerequisiteMissing, Detail: p.detail}
		}
	}
	return access.Finding{}
}
