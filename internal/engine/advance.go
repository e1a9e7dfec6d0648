package engine

import (
	"fmt"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Advance gives the snapshot to which a difference leads, and leaves s as it is.
// They share all but what differs. An error of kind access.ErrStale says that
// the difference does not fit, or that only compiling everything can tell what
// is wrong with it: the facts must be loaded in full.
func (s *Snapshot) Advance(d access.Delta) (*Snapshot, error) {
	if s.foreign != nil {
		return s.advanceForeign(&d)
	}
	if err := s.fits(&d); err != nil {
		return nil, err
	}
	a := s.beginAdvance(&d)
	if err := a.read(&d); err != nil {
		return nil, err
	}
	return a.finish(&d), nil
}

func (s *Snapshot) fits(d *access.Delta) error {
	if err := fits(s.tenant, s.revision, d); err != nil {
		return err
	}
	if !s.placed && len(d.Gone)+len(d.Rules) > 0 {
		return misfit("the rules in force have no places")
	}
	if f := d.Frame; f != nil && (!f.Ours() || f.Fetched != s.fetched) {
		return misfit("the difference changes the model or how users are kept")
	}
	return nil
}

// advance is a snapshot on its way to the next.
type advance struct {
	binder
	crowd  *crowding       // nil as long as no subject is changed
	policy bool            // more than single users is changed
	users  map[string]bool // ids of users that are changed
}

// edit is what changes of one name's lines.
type edit struct {
	who   access.Subject
	gone  []*access.Rule
	rules []*access.Rule
}

func (s *Snapshot) beginAdvance(d *access.Delta) *advance {
	next := *s
	next.revision = d.To
	return &advance{
		binder: binder{s: &next, holders: s.holders.draft()},
		users:  map[string]bool{}, policy: d.Frame != nil || d.Policy > s.policy,
	}
}

func (a *advance) read(d *access.Delta) error {
	before, sections := a.s.frame, a.s.sections.len()
	if d.Frame != nil {
		a.frame(*d.Frame)
		a.groups()
		a.ungroup(before)
	}
	for name, e := range a.edits(d) {
		if err := a.edit(name, e); err != nil {
			return err
		}
	}
	if err := a.problems.Err(); err != nil {
		return fmt.Errorf("%w: %w", misfit("the difference cannot be put into force"), err)
	}
	a.readAccounts(d)
	if d.Frame != nil || a.s.sections.len() != sections {
		a.catalogue()
	}
	if d.Frame != nil {
		return a.missing(before)
	}
	return nil
}

// edits gathers the changes of lines by whose they are.
func (a *advance) edits(d *access.Delta) map[string]*edit {
	all := map[string]*edit{}
	of := func(r *access.Rule) *edit {
		who, ok := a.owner(r)
		a.note(who)
		if !ok || a.elsewhere(who) {
			return &edit{}
		}
		if all[r.Values[0]] == nil {
			all[r.Values[0]] = &edit{who: who}
		}
		return all[r.Values[0]]
	}
	for i := range d.Gone {
		e := of(&d.Gone[i])
		e.gone = append(e.gone, &d.Gone[i])
	}
	for i := range d.Rules {
		e := of(&d.Rules[i])
		e.rules = append(e.rules, &d.Rules[i])
	}
	return all
}

// note remembers whom a line concerns.
func (a *advance) note(who access.Subject) {
	if who.Kind == access.KindUser && who != access.Anonymous {
		a.users[who.ID] = true
		return
	}
	a.policy = true
}

// edit changes the lines of one name.
func (a *advance) edit(name string, e *edit) error {
	var p *subject
	var h held
	if personal(e.who) {
		p = a.subject(e.who)
		h = p.held()
	} else {
		h = a.holders.edit(a.holder(name, e.who)).held
	}
	var lines loose
	lines.take(&h)
	if err := lines.drop(e.gone); err != nil {
		return err
	}
	for _, r := range e.rules {
		a.line(&lines, r, r.Place)
	}
	if len(a.problems) == 0 && !lines.apart() {
		return misfit("two lines of %q have the same place", name)
	}
	a.s.lines += len(e.rules) - len(e.gone)
	if h = lines.pack(&room{}); p == nil {
		a.holders.edit(a.s.names.id(name)).held = h
		return nil
	}
	p.hold(h)
	a.put(p)
	return nil
}

// drop takes lines away, each of which must be there.
func (l *loose) drop(gone []*access.Rule) error {
	if len(gone) == 0 {
		return nil
	}
	places := make(map[int64]bool, len(gone))
	for _, r := range gone {
		places[r.Place] = true
	}
	before := len(l.rules) + len(l.links)
	l.rules = slices.DeleteFunc(l.rules, func(e looseRule) bool { return places[e.place] })
	l.links = slices.DeleteFunc(l.links, func(e looseLink) bool { return places[e.place] })
	if before-len(l.rules)-len(l.links) != len(gone) {
		return misfit("a line of %q that should go is not there", gone[0].Values[0])
	}
	return nil
}

// apart tells whether all lines have places, and no two the same.
func (l *loose) apart() bool {
	var places []int64
	for i := range l.rules {
		places = append(places, l.rules[i].place)
	}
	for i := range l.links {
		places = append(places, l.links[i].place)
	}
	slices.Sort(places)
	return len(slices.Compact(places)) == len(l.rules)+len(l.links) && (len(places) == 0 || places[0] > 0)
}

// subject gives a copy of a subject's record as it is after the changes so far.
func (a *advance) subject(who access.Subject) *subject {
	p := a.s.resident(who)
	if a.crowd != nil && who != access.Anonymous {
		p = a.crowd.find(who)
	}
	if p == nil {
		return &subject{name: who.Rule()}
	}
	next := *p
	return &next
}

func (a *advance) put(p *subject) {
	if p.subject() == access.Anonymous {
		a.s.anonymous = p
		return
	}
	if a.crowd == nil {
		a.crowd = a.s.subjects.draft()
	}
	a.crowd.put(p)
}

func (a *advance) account(who access.Subject, now *account) {
	p := a.subject(who)
	p.account = now
	a.put(p)
}

// readAccounts takes up new, changed and removed accounts.
func (a *advance) readAccounts(d *access.Delta) {
	for _, id := range d.Left {
		a.readUser(id, nil)
	}
	for i := range d.Users {
		a.readUser(d.Users[i].ID, newAccount(&d.Users[i]))
	}
	if d.Frame != nil {
		a.readApplications()
	}
}

func (a *advance) readUser(id string, now *account) {
	a.users[id] = true
	if !a.s.fetched {
		a.account(access.Subject{Kind: access.KindUser, ID: id}, now)
	}
}

// readApplications gives an account to every application, and takes it from
// those that are gone.
func (a *advance) readApplications() {
	known := map[string]bool{}
	for i := range a.s.source.Catalogue {
		known[a.s.source.Catalogue[i].Code] = true
	}
	var gone []access.Subject
	a.s.subjects.behind(access.Subject{}, func(p *subject) bool {
		who := p.subject()
		if who.Kind == access.KindApplication && p.account != nil && !known[who.ID] {
			gone = append(gone, who)
		}
		return who.Kind == access.KindApplication
	})
	for _, who := range gone {
		a.account(who, nil)
	}
	for code := range known {
		a.account(access.Subject{Kind: access.KindApplication, ID: code}, plainGear)
	}
}

// missing refuses a frame without a scope or a condition that lines still name.
// Lines are looked at only where something went.
func (a *advance) missing(before *frame) error {
	scopes, conditions := map[uint32]bool{}, map[string]bool{}
	for scope := range before.parents {
		if !a.s.knows(scope) {
			scopes[a.s.scopes.id(scope)] = true
		}
	}
	for id := range before.conditions {
		if _, still := a.s.conditions[id]; !still {
			conditions[id] = true
		}
	}
	if len(scopes)+len(conditions) == 0 {
		return nil
	}
	named := func(h *held) bool { return h.names(scopes, conditions) }
	person := func(p *subject) bool {
		h := p.held()
		return named(&h)
	}
	bad := person(a.s.anonymous)
	for id := range a.holders.n {
		bad = bad || named(&a.holders.at(id).held)
	}
	people := a.s.subjects
	if a.crowd != nil {
		people = a.crowd.crowd
	}
	people.behind(access.Subject{}, func(p *subject) bool {
		bad = bad || person(p)
		return !bad
	})
	if bad {
		return misfit("lines name a scope or a condition that is there no longer")
	}
	return nil
}

// names tells whether a line names one of these.
func (h *held) names(scopes map[uint32]bool, conditions map[string]bool) bool {
	return slices.ContainsFunc(h.links, func(l link) bool { return scopes[l.scope] }) ||
		slices.ContainsFunc(h.rules, func(r rule) bool { return scopes[r.scope] }) ||
		slices.ContainsFunc(h.extras().gates, func(g *gate) bool { return conditions[g.id] })
}

// finish makes the snapshot one that can be put in force.
func (a *advance) finish(d *access.Delta) *Snapshot {
	a.seal()
	s, shape := a.s, shapes.Add(1)
	if a.crowd != nil {
		s.subjects = a.crowd.crowd
	}
	if a.policy {
		if s.shape = shape; d.Policy <= s.policy {
			s.policy = d.To
		}
		s.graph = newGraph(s.holders, s.sections.len())
	}
	s.policy = max(s.policy, d.Policy)
	stripes := s.stripes.draft()
	for id := range a.users {
		*stripes.edit(uint32(access.StripeOf(id))) = stripe{revision: d.To, shape: shape}
	}
	for at, revision := range d.Stripes {
		*stripes.edit(uint32(at)) = stripe{revision: revision, shape: shape}
	}
	s.stripes = stripes.pages
	return s
}
