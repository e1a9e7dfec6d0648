package engine

import (
	"slices"
	"strings"
	"sync"

	"github.com/bailiwick/bailiwick/internal/access"
)

// frame is everything about a tenant but its lines and users: the catalogue, the
// scope tree, licences and conditions. It is small, and made anew where any of
// it changes.
type frame struct {
	source    access.Facts // without users and rules
	combining access.Combining
	parents   map[access.Scope]access.Scope
	licences  map[string]bool

	conditions map[string]*Condition // by id

	catalogue    []section    // by number of the section; those beyond its end are not declared
	sectionChain runs[uint32] // section, the ones above it, "*"; empty where it is not declared
	scopeChain   runs[uint32] // scope, the ones above it, "*"; empty where it is not in the tree
	menuOrder    func() []uint32
}

// section is one section of the catalogue, or one that only rules name.
type section struct {
	declared      bool
	application   string
	licence       string // blank: none
	actions       []uint32
	prerequisites []prerequisite
}

// prerequisite is one right on another section that must be held too.
type prerequisite struct {
	section uint32
	action  access.Action
	detail  string // "section/right"
}

var noSection section

// section gives what is known of a section.
func (f *frame) section(id uint32) *section {
	if int(id) >= len(f.catalogue) {
		return &noSection
	}
	return &f.catalogue[id]
}

// allSections stands in the superuser's rule.
const allSections access.Section = "*"

// everywhere is the number of the scope "*", the first in its table.
const everywhere = 1

// frame reads everything but lines and users, and leaves the catalogue for when
// the lines are read. Conditions that the snapshot had before are not compiled
// again.
func (b *binder) frame(facts access.Facts) {
	facts.Users, facts.Rules, facts.Stripes = nil, nil, nil
	before := b.s.frame
	f := &frame{source: facts, combining: facts.Combining, licences: map[string]bool{}}
	if f.combining == "" {
		f.combining = access.DenyOverrides
	}
	for _, l := range facts.Licences {
		f.licences[l.Feature] = true
	}
	b.s.frame = f
	b.scopeTree()
	b.readConditions(before)
	for _, g := range facts.Guarantees {
		if g.Rule == access.OnlyIf {
			if err := CheckCondition(g.Condition); err != nil {
				b.problem(g.Origin, "condition-invalid", "guarantee %s: %s", g.Name, err)
			}
		}
	}
}

func (b *binder) scopeTree() {
	f := b.s.frame
	f.parents = map[access.Scope]access.Scope{}
	for _, n := range f.source.Scopes {
		f.parents[n.Scope] = n.Parent
		if n.Parent == "" {
			f.parents[n.Scope] = access.Everywhere
		}
		b.s.scopes.add(n.Scope)
	}
	var of, entries []uint32
	chain := func(scope access.Scope, origin access.Origin) {
		id := b.s.scopes.id(scope)
		for depth, at := 0, scope; ; depth, at = depth+1, f.parents[at] {
			above := b.s.scopes.id(at)
			if above == 0 || depth > access.MaxScopeDepth {
				b.problem(origin, "scope-invalid", "scope %q does not lead up to *", scope)
				return
			}
			of, entries = append(of, id), append(entries, above)
			if at == access.Everywhere {
				return
			}
		}
	}
	chain(access.Everywhere, access.Origin{})
	seen := map[access.Scope]bool{access.Everywhere: true}
	for _, n := range f.source.Scopes {
		if !seen[n.Scope] {
			seen[n.Scope] = true
			chain(n.Scope, n.Origin)
		}
	}
	f.scopeChain = newRuns(b.s.scopes.len(), of, entries)
}

// knows tells whether a scope is in the tree.
func (f *frame) knows(scope access.Scope) bool {
	_, ok := f.parents[scope]
	return ok || scope == access.Everywhere
}

func (b *binder) readConditions(before *frame) {
	f := b.s.frame
	f.conditions = make(map[string]*Condition, len(f.source.Conditions))
	for _, c := range f.source.Conditions {
		if before != nil {
			if known := before.conditions[c.ID]; known != nil && known.text == c.Text {
				f.conditions[c.ID] = known
				continue
			}
		}
		compiled, err := CompileCondition(c.Text)
		if err != nil {
			b.problem(c.Origin, "condition-invalid", "%s", err)
		}
		f.conditions[c.ID] = compiled
	}
}

// catalogue numbers the sections and notes for every one the sections whose
// rules can reach it. It is done again where rules name sections that are new.
func (b *binder) catalogue() {
	f := &frame{}
	*f = *b.s.frame
	b.s.frame = f
	for _, app := range f.source.Catalogue {
		for i := range app.Sections {
			b.s.sections.add(app.Sections[i].Path)
		}
	}
	f.catalogue = make([]section, b.s.sections.len())
	for _, app := range f.source.Catalogue {
		for i := range app.Sections {
			e := &app.Sections[i]
			f.catalogue[b.s.sections.id(e.Path)] = b.entry(app.Code, e)
		}
	}
	f.sectionChain = b.s.chains()
	f.menuOrder = sync.OnceValue(f.ordered(b.s.sections.names))
}

func (b *binder) entry(application string, e *access.SectionEntry) section {
	s := section{declared: true, application: application, licence: e.Licence}
	for _, a := range e.Actions {
		s.actions = append(s.actions, b.s.actions.add(a.Name))
	}
	for _, q := range e.Prerequisites {
		for _, name := range (q.Rights &^ access.Inherit).Names() {
			s.prerequisites = append(s.prerequisites, prerequisite{
				section: b.s.sections.add(q.Section),
				action:  access.Action(name),
				detail:  string(q.Section) + "/" + name,
			})
		}
	}
	return s
}

func (s *Snapshot) chains() runs[uint32] {
	all := s.sections.id(allSections)
	var of, entries []uint32
	for id := range number(len(s.catalogue)) {
		if !s.catalogue[id].declared {
			continue // cannot be asked about
		}
		for at := s.sections.name(id); at != ""; at = at.Parent() {
			if above := s.sections.id(at); above != 0 {
				of, entries = append(of, id), append(entries, above)
			}
		}
		of, entries = append(of, id), append(entries, all)
	}
	return newRuns(s.sections.len(), of, entries)
}

// ordered lists the numbers of all declared sections by their names.
func (f *frame) ordered(names pages[access.Section]) func() []uint32 {
	return func() []uint32 {
		var all []uint32
		for id := range number(len(f.catalogue)) {
			if f.catalogue[id].declared {
				all = append(all, id)
			}
		}
		slices.SortFunc(all, func(a, b uint32) int { return strings.Compare(string(*names.at(a)), string(*names.at(b))) })
		return all
	}
}
