package engine

import (
	"context"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// A search is many questions with one answer: what it finds is exactly what
// would be allowed if everything were asked one by one, at one moment and of one
// revision. Each candidate passes all gates; the searches only save asking
// about what cannot be allowed.

// Actions finds what the subject of a request may do in its section. The
// request's actions are not looked at. A subject that is unknown may do nothing; a
// section that is, and what is malformed, is an error of kind access.ErrInvalid. A search that cannot be
// finished before ctx ends is an error of kind access.ErrUnavailable.
func (s *Snapshot) Actions(ctx context.Context, r *access.Request, now time.Time) (access.Menu, error) {
	menu, err := s.actionsOf(ctx, r, now, nil)
	return menu, notHere(err)
}

func (s *Snapshot) actionsOf(ctx context.Context, r *access.Request, now time.Time, given *subject) (access.Menu, error) {
	sought := *r
	sought.Actions = anyActions
	return s.menu(ctx, &sought, now, given, func(sc *scratch, found *finding) error {
		if err := s.known(sought.Section); err != nil {
			return err
		}
		return found.in(sc.sections.id(sought.Section), nil)
	})
}

// Sections finds the sections in which the subject of a request may do all its
// actions; without actions, everything that the subject may do anywhere. The
// request's section is not looked at. Errors are those of Actions.
func (s *Snapshot) Sections(ctx context.Context, r *access.Request, now time.Time) (access.Menu, error) {
	menu, err := s.sectionsOf(ctx, r, now, nil)
	return menu, notHere(err)
}

func (s *Snapshot) sectionsOf(ctx context.Context, r *access.Request, now time.Time, given *subject) (access.Menu, error) {
	sought := *r
	sought.Section = anySection
	if len(r.Actions) == 0 {
		sought.Actions = anyActions
	}
	return s.menu(ctx, &sought, now, given, func(_ *scratch, found *finding) error {
		for _, section := range s.menuOrder() {
			if err := found.in(section, r.Actions); err != nil {
				return err
			}
		}
		return nil
	})
}

// What stands in a request in the place of what is searched for, while the form
// of the rest is checked.
var anyActions = []access.Action{"show"}

const anySection access.Section = "any"

func (s *Snapshot) menu(ctx context.Context, r *access.Request, now time.Time, given *subject, search func(*scratch, *finding) error) (access.Menu, error) {
	if err := s.searchable(r); err != nil {
		return access.Menu{}, err
	}
	sc := s.scratch()
	defer sc.end()
	if err := sc.begin(r, now, given); err != nil {
		return access.Menu{}, err
	}
	sc.many = true
	found := finding{scratch: sc, patience: patience{ctx: ctx}}
	if err := search(sc, &found); err != nil {
		return access.Menu{}, err
	}
	return access.Menu{Sections: found.sections, Revision: s.revision, ValidUntil: sc.until}, nil
}

// searchable refuses what cannot be searched: in a model that is not ours,
// nobody knows which values a question could have.
func (s *Snapshot) searchable(r *access.Request) error {
	if s.foreign != nil {
		return access.Invalid("tenant", "%q brings a Casbin model of its own, which can be asked but not searched", s.tenant)
	}
	if r.Raw != nil {
		return access.Invalid("request", "cannot be searched; name subject, action, section and scope instead")
	}
	return nil
}

// known refuses a section that nobody declares. Nothing is allowed there, but who
// searches there has misspelt it: that nothing was found would say something else.
func (s *Snapshot) known(section access.Section) error {
	if !s.section(s.sections.id(section)).declared {
		return access.Invalid("section", "the catalogue knows no section %q", section)
	}
	return nil
}

// finding collects what one subject may do. All questions share one scratch, so
// that what the subject holds is looked up once.
type finding struct {
	*scratch
	patience
	sections []access.Allowed
}

// in asks about one section: about all of the wanted actions, or about every
// action there is.
func (f *finding) in(section uint32, wanted []access.Action) error {
	allowed, err := f.allowed(section, wanted)
	if err != nil || len(allowed) == 0 {
		return err
	}
	f.sections = append(f.sections, access.Allowed{Section: f.scratch.sections.name(section), Actions: allowed})
	return nil
}

// allowed gives the actions that are allowed in a section. Where all of the
// wanted ones must be, it ends at the first that is not.
func (f *finding) allowed(section uint32, wanted []access.Action) ([]access.Action, error) {
	if !f.scratch.Snapshot.section(section).declared {
		return nil, nil
	}
	every := wanted
	if wanted == nil {
		every = f.verbs(section)
	}
	var allowed []access.Action
	for _, a := range every {
		if err := f.ready(); err != nil {
			return nil, err
		}
		switch {
		case access.Judge(f.ask(0, section, a)).Allowed:
			allowed = append(allowed, a)
		case wanted != nil:
			return nil, nil
		}
	}
	return allowed, nil
}

// verbs lists the actions that can be asked about in a section: the standard
// ones, then those it declares, by name.
func (s *Snapshot) verbs(section uint32) []access.Action {
	all := slices.Clone(standardActions)
	for _, a := range s.section(section).actions {
		all = append(all, access.Action(s.actions.name(a)))
	}
	slices.Sort(all[len(standardActions):])
	return slices.Compact(all)
}

var standardActions = func() []access.Action {
	var all []access.Action
	for _, name := range (access.AllRights &^ access.Inherit).Names() {
		all = append(all, access.Action(name))
	}
	return all
}()

// Subjects finds who may do what a request asks, whatever its subject is: the
// users, applications and anonymous, in the order of access.CompareSubjects,
// behind After and at most Most of them. Errors are those of Actions.
func (s *Snapshot) Subjects(ctx context.Context, search *access.SubjectSearch, now time.Time) (access.Holders, error) {
	if s.fetched {
		return access.Holders{}, notHere(errAbsent)
	}
	return s.subjectsOf(ctx, search, now, nil)
}

// subjectsOf goes through the subjects that are at hand, and then through those
// that users gives, if it is given.
func (s *Snapshot) subjectsOf(ctx context.Context, search *access.SubjectSearch, now time.Time, users userPages) (access.Holders, error) {
	r := search.Request
	if err := s.searchable(&r); err != nil {
		return access.Holders{}, err
	}
	if search.Most < 1 {
		return access.Holders{}, access.Invalid("most", "must be at least 1")
	}
	r.Subject = access.Anonymous
	sc := s.scratch()
	defer sc.end()
	sc.quiet = true
	if err := sc.begin(&r, now, nil); err != nil {
		return access.Holders{}, err
	}
	if err := s.known(r.Section); err != nil {
		return access.Holders{}, err
	}
	h := hunt{scratch: sc, search: search, request: &r, patience: patience{ctx: ctx}}
	if err := h.run(users); err != nil {
		return access.Holders{}, err
	}
	h.found.Revision, h.found.ValidUntil = s.revision, sc.until
	return h.found, nil
}

// hunt is a search for subjects.
type hunt struct {
	*scratch
	patience
	search  *access.SubjectSearch
	request *access.Request
	fitting map[uint32]bool // holders from which links lead to a grant that fits
	found   access.Holders
	err     error
}

func (h *hunt) run(users userPages) error {
	if err := h.candidates(); err != nil {
		return err
	}
	if after := h.search.After; after == (access.Subject{}) || access.CompareSubjects(after, access.Anonymous) < 0 {
		if !h.try(h.anonymous) {
			return h.err
		}
	}
	done := false
	h.subjects.behind(h.search.After, func(p *subject) bool {
		done = !h.try(p)
		return !done
	})
	if done || h.err != nil || users == nil || h.search.Type != "" && h.search.Type != access.TypeUser {
		return h.err
	}
	return users(h.search.After, h.try)
}

// try asks about one subject, and tells whether more are wanted.
func (h *hunt) try(p *subject) bool {
	who := p.subject()
	if p.account == nil || h.search.Type != "" && h.search.Type != who.Type() || !h.candidate(p) {
		return true
	}
	if h.err = h.ready(); h.err != nil {
		return false
	}
	h.request.Subject = who
	h.be(p)
	h.closed, h.grouped, h.values = false, false, nil
	if !h.decide().Allowed {
		return true
	}
	if h.found.More = len(h.found.Subjects) == h.search.Most; h.found.More {
		return false
	}
	h.found.Subjects = append(h.found.Subjects, who)
	return true
}

// candidates marks every holder from which links of any scope and time lead to a
// grant that fits the question's first action, or to the superuser's role.
// Nobody else can be allowed it, now or at any later moment of this revision,
// except by rules of his own.
func (h *hunt) candidates() error {
	var fit []uint32
	if h.superuser != 0 {
		fit = append(fit, h.superuser)
	}
	q := h.first()
	grants := h.graph.grants()
	for _, section := range h.sectionChain.of(q.section) {
		for _, g := range grants.of(section) {
			if err := h.patience.step(); err != nil {
				return err
			}
			if q.fits(&h.holder(g.to).rules[g.nth]) {
				fit = append(fit, g.to)
			}
		}
	}
	h.fitting = h.graph.below(fit...)
	return h.look()
}

func (h *hunt) first() *question {
	return h.ask(0, h.sections.id(h.scratch.request.Section), h.scratch.request.Actions[0])
}

// candidate tells whether somebody need be asked about at all.
func (h *hunt) candidate(p *subject) bool {
	if p.reaches(h.fitting) {
		return true
	}
	q, own := h.first(), p.held()
	for i := range own.rules {
		if q.fits(&own.rules[i]) && slices.Contains(q.sectionChain.of(q.section), own.rules[i].section) {
			return true
		}
	}
	return false
}

// fits tells whether a rule on a section that reaches the question's allows it
// in its scope.
func (q *question) fits(r *rule) bool {
	return !r.act.denies() && q.covers(r.section, r.act) && onPath(q.path, r.scope)
}

// patience looks now and then whether anybody still waits for the answer.
type patience struct {
	ctx   context.Context
	steps uint
}

// Looking costs as much as a small step, and much less than a question.
const (
	stepsPerLook  = 1024
	stepsPerReady = 32
)

// step is for what takes nanoseconds.
func (p *patience) step() error {
	if p.steps++; p.steps%stepsPerLook != 0 {
		return nil
	}
	return p.look()
}

// ready is for whole questions, which may hold conditions.
func (p *patience) ready() error {
	if p.steps%stepsPerLook+stepsPerReady >= stepsPerLook {
		p.steps = 0
		return p.look()
	}
	p.steps += stepsPerReady
	return nil
}

func (p *patience) look() error {
	if err := p.ctx.Err(); err != nil {
		return access.Unavailable("the search could not be finished in time; ask for less at once")
	}
	return nil
}
