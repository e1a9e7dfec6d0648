package engine

import (
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// scratch is the working memory of one question. It belongs to one snapshot and
// goes back to its pool, so that a question allocates nothing.
type scratch struct {
	*Snapshot
	request *access.Request
	now     time.Time
	until   time.Time // the next moment at which something looked at may change

	subject uint32 // number of its name, 0 if unknown
	account uint32
	scope   uint32
	path    []uint32 // the scope and all above it

	nodes   []node   // what the subject holds by way of links, itself first
	closed  bool     // nodes is filled for path
	exempt  bool     // the superuser's role is among nodes: denials do not count
	marks   []uint32 // by number of the name: == mark once it is in nodes
	mark    uint32
	values  map[string]any // what conditions see, made when first wanted
	lack    *question      // the last question that found no grant
	extra   *supposed      // a grant that is supposed to be there
	collect *[]uint32      // places of all rules that match, where they are wanted

	questions [access.MaxPrerequisiteDepth + 1]question
}

// node is a name in the closure, with the link and the node it was reached by.
type node struct {
	name uint32
	via  *link
	from int
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

func newScratch(s *Snapshot) *scratch {
	sc := &scratch{Snapshot: s, marks: make([]uint32, s.targets)}
	for i := range sc.questions {
		sc.questions[i].scratch, sc.questions[i].depth = sc, i
	}
	return sc
}

// end gives the scratch back, keeping nothing of the request.
func (sc *scratch) end() {
	sc.request, sc.values, sc.collect, sc.extra = nil, nil, nil, nil
	sc.scratches.Put(sc)
}

// begin looks up what the request names. Names that the snapshot knows are
// well-formed; only for others is the request's form checked.
func (sc *scratch) begin(r *access.Request, now time.Time) error {
	if r.Raw != nil {
		var err error
		if r, err = FromRaw(r.Raw); err != nil {
			return err
		}
	}
	sc.request, sc.now, sc.until = r, now, time.Time{}
	sc.closed, sc.values, sc.lack, sc.extra, sc.collect = false, nil, nil, nil, nil
	sc.subject = sc.names.id(r.Subject)
	scope := r.Scope
	if scope == "" {
		scope = access.Everywhere
	}
	sc.scope = sc.scopes.id(scope)
	sc.path = sc.scopeChain.of(sc.scope)
	if sc.familiar(r) {
		sc.account = sc.accountOf[sc.subject]
		return nil
	}
	if err := r.Check(); err != nil {
		return err
	}
	sc.account = sc.accountOf[sc.subject]
	return nil
}

// familiar tells whether the snapshot knows every name in the request.
func (sc *scratch) familiar(r *access.Request) bool {
	if r.Subject.Kind != access.KindUser && r.Subject.Kind != access.KindApplication {
		return false
	}
	if sc.subject == 0 || sc.scope == 0 || sc.sections.id(r.Section) == 0 || r.Section == allSections {
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
	for _, a := range sc.request.Actions {
		d = access.Judge(sc.ask(0, sc.sections.id(sc.request.Section), a))
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

// holds tells whether something with this validity holds now, and remembers
// when that may change.
func (sc *scratch) holds(validity uint32) bool {
	if validity == 0 {
		return true
	}
	v := &sc.validity[validity]
	sc.until = access.Sooner(sc.until, v.Next(sc.now))
	return v.At(sc.now)
}

// Subject finds accounts that do not exist, may not be used, or are members of
// template groups only.
func (q *question) Subject() access.Finding {
	if q.account == 0 {
		return access.Finding{Reason: access.ReasonSubjectUnknown, Detail: q.request.Subject.ID}
	}
	if status := q.accounts[q.account].status; status != access.UserActive {
		return access.Finding{Reason: access.ReasonSubjectDisabled, Detail: string(status)}
	}
	groups, real := 0, 0
	for i := range q.links.of(q.subject) {
		l := &q.links.of(q.subject)[i]
		if q.names.names[l.to].Kind != access.KindGroup || !q.holds(l.validity) {
			continue
		}
		groups++
		if !q.template[l.to] {
			real++
		}
	}
	if groups > 0 && real == 0 {
		return access.Finding{Reason: access.ReasonSubjectTemplateOnly}
	}
	return access.Finding{}
}

// Catalogue finds sections, actions and scopes that nobody declared.
func (q *question) Catalogue() access.Finding {
	s := &q.catalogue[q.section]
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
	if !q.mayBeSuper[q.subject] {
		return false
	}
	q.closed = false // the closure is now that of another path
	return q.close(q.scopeChain.of(everywhere))
}

// everywhere is the number of the scope "*", the first in its table.
const everywhere = 1

// Application finds that the section's application is switched off for the user.
func (q *question) Application() access.Finding {
	app := q.catalogue[q.section].application
	if slices.Contains(q.accounts[q.account].off, app) {
		return access.Finding{Reason: access.ReasonApplicationOff, Detail: q.applications.names[app]}
	}
	return access.Finding{}
}

// Licence finds a feature that the tenant does not hold, or of which the user
// has no seat. Applications and anonymous questions need no seat.
func (q *question) Licence() access.Finding {
	feature := q.catalogue[q.section].licence
	a := &q.accounts[q.account]
	if feature == 0 || q.licences[feature] && (!a.person || slices.Contains(a.licences, feature)) {
		return access.Finding{}
	}
	return access.Finding{Reason: access.ReasonLicenceMissing, Detail: q.features.names[feature]}
}

// Prerequisites finds a right that must be held too and is missing. Each is a
// full decision of its own.
func (q *question) Prerequisites() access.Finding {
	for i := range q.catalogue[q.section].prerequisites {
		p := &q.catalogue[q.section].prerequisites[i]
		if q.depth == access.MaxPrerequisiteDepth || !access.Judge(q.ask(q.depth+1, p.section, p.action)).Allowed {
			return access.Finding{Reason: access.ReasonPrerequisiteMissing, Detail: p.detail}
		}
	}
	return access.Finding{}
}
