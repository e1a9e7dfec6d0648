package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Sight looks at the holders of a tenant at one revision. It implements
// access.Sight.
type Sight struct {
	engine   *Engine
	snapshot *Snapshot
	now      time.Time
	users    map[string]*subject // of tenants that fetch them, as they are foreseen
	rules    bool                // decisions name their rules
}

// Sight gives a sight of what is in force. Its error is of kind
// access.ErrNotFound for an unknown tenant.
func (e *Engine) Sight(tenant string) (access.Sight, error) {
	s, ok := e.Snapshot(tenant)
	if !ok {
		return nil, access.NotFound("tenant", tenant)
	}
	return &Sight{engine: e, snapshot: s, now: e.options.Clock()}, nil
}

// Imagine gives a sight of facts that are not in force. Its error is access.Problems
// where they cannot be compiled.
func (e *Engine) Imagine(f access.Facts) (access.Sight, error) {
	s, err := compile(f, e.options, e.memory)
	if err != nil {
		return nil, err
	}
	return &Sight{engine: e, snapshot: s, now: e.options.Clock()}, nil
}

// At gives the same sight at another moment: what is limited in time is judged
// by it. Its decisions name their rules, as those of Engine do.
func (s *Sight) At(now time.Time) access.Sight {
	at := *s
	at.now, at.rules = now, true
	return &at
}

// Foresee gives sights of what is in force and of what a difference would lead
// to. Nothing is put in force. An error of kind access.ErrStale says that the
// difference does not begin at what is in force; access.Problems, that it leads
// to something that cannot be compiled.
func (e *Engine) Foresee(ctx context.Context, d access.Delta) (before, after access.Sight, err error) {
	s, ok := e.Snapshot(d.Tenant)
	if !ok {
		return nil, nil, access.NotFound("tenant", d.Tenant)
	}
	if d.Frame != nil && d.Frame.Fetched != s.fetched { // how users are kept is all the same here
		frame := *d.Frame
		frame.Fetched = s.fetched
		d.Frame = &frame
	}
	next, err := s.Advance(d)
	if err != nil {
		return nil, nil, err
	}
	was := &Sight{engine: e, snapshot: s, now: e.options.Clock()}
	will := &Sight{engine: e, snapshot: next, now: was.now}
	if s.fetched {
		will.users, err = e.foreseeUsers(ctx, s, next, &d)
	}
	return was, will, err
}

// foreseeUsers makes the records of users that a difference changes.
func (e *Engine) foreseeUsers(ctx context.Context, s, next *Snapshot, d *access.Delta) (map[string]*subject, error) {
	ids := map[string]bool{}
	for _, rules := range [][]access.Rule{d.Gone, d.Rules} {
		for _, r := range rules {
			if id, ok := r.User(); ok {
				ids[id] = true
			}
		}
	}
	for i := range d.Users {
		ids[d.Users[i].ID] = true
	}
	for _, id := range d.Left {
		ids[id] = true
	}
	users := make(map[string]*subject, len(ids))
	for id := range ids {
		before, err := e.factsOf(ctx, s, id)
		if err != nil {
			return nil, err
		}
		after, err := foresee(before, id, d)
		if err != nil {
			return nil, err
		}
		bound, err := fetcher{e, next}.bind(&after, id)
		if err != nil {
			return nil, err
		}
		users[id] = bound.subject
	}
	return users, nil
}

// factsOf asks the store for a user, and refuses what is not of the snapshot's time.
func (e *Engine) factsOf(ctx context.Context, s *Snapshot, id string) (access.SubjectFacts, error) {
	var all []access.SubjectFacts
	err := e.call(ctx, func(ctx context.Context, from Subjects) (err error) {
		all, err = from.Subjects(ctx, s.tenant, []string{id})
		return err
	})
	if err != nil {
		return access.SubjectFacts{}, err
	}
	if len(all) != 1 || all[0].Changed > s.revision {
		return access.SubjectFacts{}, misfit("the store knows more of user %q than what is in force", id)
	}
	return all[0], nil
}

// foresee applies a difference to what is stored of one user.
func foresee(before access.SubjectFacts, id string, d *access.Delta) (access.SubjectFacts, error) {
	only := *d
	own := func(r access.Rule) bool {
		owner, ok := r.User()
		return !ok || owner != id
	}
	only.Gone = slices.DeleteFunc(slices.Clone(d.Gone), own)
	only.Rules = slices.DeleteFunc(slices.Clone(d.Rules), own)
	after, err := before, error(nil)
	if after.Rules, err = applyRules(before.Rules, &only); err != nil {
		return after, err
	}
	if slices.Contains(d.Left, id) {
		after.Known, after.UserFacts = false, access.UserFacts{}
	}
	for i := range d.Users {
		if d.Users[i].ID == id {
			after.Known, after.UserFacts = true, d.Users[i]
		}
	}
	after.Changed = 0 // it is what the difference makes of it
	return after, nil
}

// Revision is the one that is looked at.
func (v *Sight) Revision() access.Revision { return v.snapshot.revision }

// Frame gives everything but users and rules.
func (v *Sight) Frame() *access.Facts {
	if v.snapshot.foreign != nil {
		return v.snapshot.facts
	}
	return &v.snapshot.source
}

// Above gives the scope above another one, and "" for one that is not in the tree.
func (v *Sight) Above(s access.Scope) access.Scope {
	if v.snapshot.foreign != nil {
		return ""
	}
	return v.snapshot.parents[s]
}

// Decide answers a question like Engine.Decide; nothing of it is remembered.
func (v *Sight) Decide(ctx context.Context, r *access.Request) (access.Decision, error) {
	if v.snapshot.foreign != nil {
		return v.snapshot.decide(ctx, r, v.now, nil)
	}
	who, err := v.person(ctx, subjectOf(r))
	if err != nil {
		return access.Decision{}, err
	}
	sc := v.snapshot.scratch()
	defer sc.end()
	sc.quiet, sc.explaining = true, v.rules
	if err := sc.begin(r, v.now, who); err != nil {
		return v.snapshot.refused(err), err
	}
	return sc.decide(), nil
}

// Sections searches like Engine.SearchSections; nothing of it is remembered.
func (v *Sight) Sections(ctx context.Context, r *access.Request) (access.Menu, error) {
	if v.snapshot.foreign != nil {
		return v.snapshot.Sections(ctx, r, v.now) // says that it cannot be searched
	}
	who, err := v.person(ctx, subjectOf(r))
	if err != nil {
		return access.Menu{}, err
	}
	return v.snapshot.sectionsOf(ctx, r, v.now, who)
}

// Stamp names all that an answer about a subject depends on, like Pinned.Stamp.
func (v *Sight) Stamp(s access.Subject) access.Stamp { return v.snapshot.stamp(s) }

// person gives somebody who has to be fetched, and nil for those who are at hand.
func (v *Sight) person(ctx context.Context, who access.Subject) (*subject, error) {
	if !v.snapshot.absent(who) {
		return nil, nil //nolint:nilnil // nobody has to be given
	}
	if p := v.users[who.ID]; p != nil {
		return p, nil
	}
	facts, err := v.engine.factsOf(ctx, v.snapshot, who.ID)
	if err != nil {
		return nil, err
	}
	found, err := fetcher{v.engine, v.snapshot}.bind(&facts, who.ID)
	if errors.Is(err, errBehind) {
		err = misfit("the store knows more of user %q than what is in force", who.ID)
	}
	if err != nil {
		return nil, err
	}
	return found.subject, nil
}

// Holdings gives everything that reaches a holder by way of links, each rule in
// the narrowest of the scopes on its way. Where two of them have nothing in
// common, nothing comes through.
func (v *Sight) Holdings(ctx context.Context, holder string, when access.Moment) (access.Holdings, error) {
	var all access.Holdings
	err := v.walk(ctx, holder, when, func(w *walk, at int) {
		all.Superuser = all.Superuser || w.superuser(at)
		w.rules(at, func(_ int, h access.Holding) { all.Rules = append(all.Rules, h) })
	})
	return all, err
}

// Reached is Holdings with the way of each rule to the holder, nearest first.
func (v *Sight) Reached(ctx context.Context, holder string, when access.Moment) ([]access.Reached, error) {
	var all []access.Reached
	err := v.walk(ctx, holder, when, func(w *walk, at int) {
		w.rules(at, func(i int, h access.Holding) {
			r := w.ruleOf(w.stops[at].name, w.linesOf(w.stops[at].name), i)
			all = append(all, access.Reached{Holding: h, Rule: r, Path: w.way(at)})
		})
	})
	return all, err
}

// walk goes from a holder along all its links.
type walk struct {
	*scratch
	when  access.Moment
	stops []stop
	terms []access.Validity // that stops have; the first is none
}

// stop is a name that was reached, in which scope, and for how long: the number of
// a term.
type stop struct {
	name, scope, term uint32
	from, link        int
}

// walk visits every name that links lead to, in every scope in which they do.
// Like decisions it follows as many links as stock Casbin does.
func (v *Sight) walk(ctx context.Context, holder string, when access.Moment, visit func(w *walk, at int)) error {
	kind, id, ok := access.ParseName(holder)
	if !ok {
		return access.Invalid("holder", "%q is not a name of a rule", holder)
	}
	if v.snapshot.foreign != nil {
		return access.Invalid("tenant", "has a Casbin model of its own, in which nobody holds anything by our words")
	}
	who := access.Subject{Kind: kind, ID: id}
	given, err := v.person(ctx, who)
	if err != nil {
		return err
	}
	sc := v.snapshot.scratch()
	defer sc.end()
	sc.now, sc.quiet = v.now, true
	w := &walk{scratch: sc, when: when, terms: []access.Validity{{}}}
	if w.begin(who, given) {
		w.run(visit)
	}
	return nil
}

// begin tells whether there is somebody to begin with.
func (w *walk) begin(who access.Subject, given *subject) bool {
	first := uint32(0)
	switch {
	case !personal(who):
		if first = w.names.id(who.Rule()); first == 0 {
			return false
		}
	case given != nil:
		w.be(given)
	default:
		w.be(w.resident(who))
	}
	w.stops = []stop{{name: first, scope: everywhere, from: -1}}
	return first != 0 || w.person != nil
}

func (w *walk) run(visit func(w *walk, at int)) {
	seen := map[[3]uint32]bool{{w.stops[0].name, w.stops[0].scope, 0}: true}
	at := 0
	for depth := 0; ; depth++ {
		end := len(w.stops)
		for ; at < end; at++ {
			visit(w, at)
			if depth < maxLinks {
				w.follow(at, seen)
			}
		}
		if len(w.stops) == end {
			return
		}
	}
}

// follow goes to where nobody was before, or not for as long.
func (w *walk) follow(at int, seen map[[3]uint32]bool) {
	from := w.stops[at]
	h := w.linesOf(from.name)
	for i, l := range h.links {
		scope := w.common(from.scope, l.scope)
		if scope == 0 || l.to&stranger != 0 || seen[[3]uint32{l.to, scope, 0}] || !w.counts(h.timed(i)) {
			continue
		}
		next := stop{name: l.to, scope: scope, term: w.term(from.term, h.timed(i)), from: at, link: i}
		if here := [3]uint32{l.to, scope, next.term}; !seen[here] {
			seen[here] = true
			w.stops = append(w.stops, next)
		}
	}
}

// term gives the number of a term within which something hangs upon a gate.
func (w *walk) term(of uint32, g *gate) uint32 {
	if g == nil || g.validity == (access.Validity{}) {
		return of
	}
	v := w.validity(of, g)
	if i := slices.Index(w.terms, v); i >= 0 {
		return uint32(i) //nolint:gosec // as many as there are links
	}
	w.terms = append(w.terms, v)
	return uint32(len(w.terms) - 1) //nolint:gosec // as many as there are links
}

// validity is what is left of a term where something hangs upon a gate.
func (w *walk) validity(of uint32, g *gate) access.Validity {
	v := w.terms[of]
	if g == nil {
		return v
	}
	v.Until = access.Sooner(v.Until, g.validity.Until)
	if from := g.validity.From; from.After(w.now) && from.After(v.From) {
		v.From = from
	}
	return v
}

// common gives the deeper of two scopes of which one lies in the other, else 0.
func (w *walk) common(a, b uint32) uint32 {
	switch {
	case slices.Contains(w.scopeChain.of(a), b):
		return a
	case slices.Contains(w.scopeChain.of(b), a):
		return b
	}
	return 0
}

func (w *walk) counts(g *gate) bool { return g == nil || w.when.Counts(g.validity, w.now) }

// superuser tells whether this is the reserved role, held everywhere.
func (w *walk) superuser(at int) bool {
	s := w.stops[at]
	return s.name != 0 && s.name == w.Snapshot.superuser && s.scope == everywhere
}

// rules gives the rules of a name as they reach the holder.
func (w *walk) rules(at int, each func(i int, h access.Holding)) {
	s := w.stops[at]
	h := w.linesOf(s.name)
	for i := range h.rules {
		r := &h.rules[i]
		scope := w.common(s.scope, r.scope)
		if scope == 0 || r.section == 0 || !w.counts(h.gate(r)) {
			continue
		}
		each(i, w.holding(h, r, scope, s.term))
	}
}

func (w *walk) holding(h *held, r *rule, scope, term uint32) access.Holding {
	got := access.Holding{
		Validity: w.validity(term, h.gate(r)),
		Scope:    w.scopes.name(scope), Section: w.sections.name(r.section), Effect: access.Allow, Condition: access.NoCondition,
		Act: access.RuleAct{Rights: r.act.rights(), All: r.act&anyAction != 0},
	}
	if r.act.denies() {
		got.Effect = access.Deny
	}
	if n := r.act.action(); n != 0 {
		got.Act.Name = w.actions.name(n)
	}
	if g := h.gate(r); g != nil {
		got.Condition, got.OfSubject = g.id, g.condition != nil && g.condition.readsSubject
	}
	return got
}

// way gives the links that lead to a stop.
func (w *walk) way(at int) []access.Rule {
	var links []access.Rule
	for s := w.stops[at]; s.from >= 0; s = w.stops[s.from] {
		owner := w.stops[s.from].name
		links = append(links, w.linkOf(owner, w.linesOf(owner), s.link))
	}
	slices.Reverse(links)
	return links
}
