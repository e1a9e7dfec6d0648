package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// A search is many questions with one answer: what it finds is exactly what
// would be allowed if everything were asked one by one, at one moment and of one
// revision. Each candidate passes all gates; the searches only save asking
// about what cannot be allowed.

// Actions finds what the subject of a request may do in its section. The
// request's actions are not looked at. What is unknown finds nothing; what is
// malformed is an error of kind access.ErrInvalid. A search that cannot be
// finished before ctx ends is an error of kind access.ErrUnavailable.
func (s *Snapshot) Actions(ctx context.Context, r *access.Request, now time.Time) (access.Menu, error) {
	sought := *r
	sought.Actions = anyActions
	return s.menu(ctx, &sought, now, func(sc *scratch, found *finding) error {
		return found.in(sc.sections.id(sought.Section), nil)
	})
}

// Sections finds the sections in which the subject of a request may do all its
// actions; without actions, everything that the subject may do anywhere. The
// request's section is not looked at. Errors are those of Actions.
func (s *Snapshot) Sections(ctx context.Context, r *access.Request, now time.Time) (access.Menu, error) {
	sought := *r
	sought.Section = anySection
	if len(r.Actions) == 0 {
		sought.Actions = anyActions
	}
	return s.menu(ctx, &sought, now, func(_ *scratch, found *finding) error {
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

func (s *Snapshot) menu(ctx context.Context, r *access.Request, now time.Time, search func(*scratch, *finding) error) (access.Menu, error) {
	if err := s.searchable(r); err != nil {
		return access.Menu{}, err
	}
	sc := s.scratch()
	defer sc.end()
	if err := sc.begin(r, now); err != nil {
		return access.Menu{}, err
	}
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
	f.sections = append(f.sections, access.Allowed{Section: f.scratch.sections.names[section], Actions: allowed})
	return nil
}

// allowed gives the actions that are allowed in a section. Where all of the
// wanted ones must be, it ends at the first that is not.
func (f *finding) allowed(section uint32, wanted []access.Action) ([]access.Action, error) {
	if !f.catalogue[section].declared {
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
	for _, a := range s.catalogue[section].actions {
		all = append(all, access.Action(s.actions.names[a]))
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

// sortedSections gives the numbers of all declared sections in the order of
// their names.
func (s *Snapshot) sortedSections() []uint32 {
	var all []uint32
	for id := range number(len(s.catalogue)) {
		if s.catalogue[id].declared {
			all = append(all, id)
		}
	}
	slices.SortFunc(all, func(a, b uint32) int {
		return strings.Compare(string(s.sections.names[a]), string(s.sections.names[b]))
	})
	return all
}

// Subjects finds who may do what a request asks, whatever its subject is: the
// users, applications and anonymous, in the order of access.CompareSubjects,
// behind After and at most Most of them. Errors are those of Actions.
func (s *Snapshot) Subjects(ctx context.Context, search *access.SubjectSearch, now time.Time) (access.Holders, error) {
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
	if err := sc.begin(&r, now); err != nil {
		return access.Holders{}, err
	}
	found := access.Holders{Revision: s.revision}
	p := patience{ctx: ctx}
	candidates, err := sc.candidates(&p)
	if err != nil {
		return access.Holders{}, err
	}
	for _, name := range s.behind(search.After) {
		if !candidates[name] || search.Type != "" && search.Type != s.names.names[name].Type() {
			continue
		}
		if err := p.ready(); err != nil {
			return access.Holders{}, err
		}
		if sc.turn(&r, name); !sc.decide().Allowed {
			continue
		}
		if found.More = len(found.Subjects) == search.Most; found.More {
			break
		}
		found.Subjects = append(found.Subjects, s.names.names[name])
	}
	found.ValidUntil = sc.until
	return found, nil
}

// turn puts another subject into the place of the one that was asked about.
func (sc *scratch) turn(r *access.Request, name uint32) {
	r.Subject = sc.names.names[name]
	sc.subject, sc.account = name, sc.accountOf[name]
	sc.closed, sc.values = false, nil
}

// behind gives the subjects that come after one in the order of searches.
func (s *Snapshot) behind(after access.Subject) []uint32 {
	all := s.subjectOrder()
	if after == (access.Subject{}) {
		return all
	}
	at, found := slices.BinarySearchFunc(all, after, func(name uint32, to access.Subject) int {
		return access.CompareSubjects(s.names.names[name], to)
	})
	if found {
		at++
	}
	return all[at:]
}

// sortedSubjects gives the numbers of all subjects in the order of searches.
func (s *Snapshot) sortedSubjects() []uint32 {
	var all []uint32
	for name := range s.names.len() {
		if s.accountOf[name] != 0 {
			all = append(all, name)
		}
	}
	slices.SortFunc(all, func(a, b uint32) int {
		return access.CompareSubjects(s.names.names[a], s.names.names[b])
	})
	return all
}

// candidates marks every name from which links of any scope and time lead to a
// grant that fits the question's first action, or to the superuser's role.
// Nobody else can be allowed it, now or at any later moment of this revision.
func (sc *scratch) candidates(p *patience) ([]bool, error) {
	marked := make([]bool, sc.names.len())
	var queue []uint32
	mark := func(name uint32) {
		if !marked[name] {
			marked[name] = true
			queue = append(queue, name)
		}
	}
	mark(sc.superuser) // number 0 has no members
	q := sc.ask(0, sc.sections.id(sc.request.Section), sc.request.Actions[0])
	for _, section := range sc.sectionChain.of(q.section) {
		grants := sc.grants()
		for _, g := range grants.of(section) {
			if err := p.step(); err != nil {
				return nil, err
			}
			if r := &sc.rules.entries[g.rule]; q.covers(r) && onPath(sc.path, r.scope) {
				mark(g.to)
			}
		}
	}
	members := sc.members()
	for ; len(queue) > 0; queue = queue[1:] {
		for _, m := range members.of(queue[0]) {
			if err := p.step(); err != nil {
				return nil, err
			}
			mark(m)
		}
	}
	return marked, nil
}

// granted is one rule that allows something, and to whom.
type granted struct{ to, rule uint32 }

// grantsBySection finds the rules that allow something by the section they
// stand on.
func (s *Snapshot) grantsBySection() runs[granted] {
	var of []uint32
	var entries []granted
	for to := range s.names.len() {
		first := s.rules.starts[to]
		for i, r := range s.rules.of(to) {
			if !r.deny {
				of, entries = append(of, r.section), append(entries, granted{to: to, rule: first + number(i)})
			}
		}
	}
	return newRuns(s.sections.len(), of, entries)
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

// SearchActions finds what a subject may do in one section. Like all searches,
// it gives an error of kind access.ErrNotFound for an unknown tenant.
func (e *Engine) SearchActions(ctx context.Context, tenant string, r *access.Request) (access.Menu, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return access.Menu{}, err
	}
	return s.Actions(ctx, r, e.options.Clock())
}

// SearchSections finds where a subject may do something.
func (e *Engine) SearchSections(ctx context.Context, tenant string, r *access.Request) (access.Menu, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return access.Menu{}, err
	}
	return s.Sections(ctx, r, e.options.Clock())
}

// SearchSubjects finds who may do something.
func (e *Engine) SearchSubjects(ctx context.Context, tenant string, search *access.SubjectSearch) (access.Holders, error) {
	s, err := e.tenant(ctx, tenant)
	if err != nil {
		return access.Holders{}, err
	}
	return s.Subjects(ctx, search, e.options.Clock())
}
