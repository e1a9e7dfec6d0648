package engine

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Compile turns the facts of a tenant into a snapshot. What is wrong with rules,
// conditions and model comes as access.Problems, all at once, each with the
// place where it was written. The snapshot points into the facts, which must not
// be changed any more.
func Compile(f access.Facts) (*Snapshot, error) { return compile(f, Options{}) }

func compile(f access.Facts, o Options) (*Snapshot, error) {
	s := &Snapshot{tenant: f.Tenant, revision: f.Revision, combining: f.Combining, lines: f.Rules, facts: f, options: o}
	if s.combining == "" {
		s.combining = access.DenyOverrides
	}
	if !f.Ours() {
		var err error
		s.foreign, err = newForeign(&f, o)
		return s, err
	}
	c := &compiler{
		Snapshot: s, facts: &f, times: map[access.Validity]uint32{}, conditionOf: map[string]uint32{},
	}
	c.tables()
	c.scopeTree()
	c.readCatalogue()
	c.readConditions()
	c.readLinks()
	c.readSubjects()
	c.readRules()
	if err := c.problems.Err(); err != nil {
		return nil, err
	}
	c.chains()
	c.nearSuperuser()
	s.members = sync.OnceValue(s.reverse)
	s.grants = sync.OnceValue(s.grantsBySection)
	s.menuOrder = sync.OnceValue(s.sortedSections)
	s.subjectOrder = sync.OnceValue(s.sortedSubjects)
	return s, nil
}

type compiler struct {
	*Snapshot
	facts       *access.Facts
	problems    access.Problems
	parents     map[access.Scope]access.Scope
	times       map[access.Validity]uint32
	conditionOf map[string]uint32
}

func (c *compiler) problem(at access.Origin, code, format string, args ...any) {
	c.problems = append(c.problems, access.Problem{Origin: at, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) tables() {
	c.names = newTable[access.Subject]()
	c.sections = newTable[access.Section]()
	c.scopes = newTable[access.Scope]()
	c.actions, c.features, c.applications = newTable[string](), newTable[string](), newTable[string]()
	c.scopes.add(access.Everywhere)
	c.sections.add(allSections)
	c.validity = make([]access.Validity, 1)
	c.conditions = make([]*Condition, 1)
	c.accounts = make([]account, 1)
}

// allSections stands in the superuser's rule.
const allSections access.Section = "*"

func (c *compiler) scopeTree() {
	c.parents = map[access.Scope]access.Scope{}
	for _, n := range c.facts.Scopes {
		c.parents[n.Scope] = n.Parent
		if n.Parent == "" {
			c.parents[n.Scope] = access.Everywhere
		}
		c.scopes.add(n.Scope)
	}
	var of, entries []uint32
	for id := uint32(1); id < c.scopes.len(); id++ {
		for depth, at := 0, c.scopes.names[id]; ; depth, at = depth+1, c.parents[at] {
			above := c.scopes.id(at)
			if above == 0 || depth > access.MaxScopeDepth {
				c.problem(c.scopeOrigin(id), "scope-invalid", "scope %q does not lead up to *", c.scopes.names[id])
				break
			}
			of, entries = append(of, id), append(entries, above)
			if at == access.Everywhere {
				break
			}
		}
	}
	c.scopeChain = newRuns(c.scopes.len(), of, entries)
}

func (c *compiler) scopeOrigin(id uint32) access.Origin {
	for _, n := range c.facts.Scopes {
		if n.Scope == c.scopes.names[id] {
			return n.Origin
		}
	}
	return access.Origin{}
}

func (c *compiler) readCatalogue() {
	for _, l := range c.facts.Licences {
		c.features.add(l.Feature)
	}
	c.licences = make([]bool, c.features.len())
	for i := range c.licences {
		c.licences[i] = i > 0
	}
	for _, app := range c.facts.Catalogue {
		for i := range app.Sections {
			c.sections.add(app.Sections[i].Path)
		}
	}
	c.catalogue = make([]section, c.sections.len())
	for _, app := range c.facts.Catalogue {
		id := c.applications.add(app.Code)
		for i := range app.Sections {
			c.catalogue[c.sections.id(app.Sections[i].Path)] = c.section(id, &app.Sections[i])
		}
	}
}

func (c *compiler) section(application uint32, e *access.SectionEntry) section {
	s := section{declared: true, application: application}
	if e.Licence != "" {
		s.licence = c.features.add(e.Licence)
	}
	for _, a := range e.Actions {
		s.actions = append(s.actions, c.actions.add(a.Name))
	}
	for _, q := range e.Prerequisites {
		for _, name := range (q.Rights &^ access.Inherit).Names() {
			s.prerequisites = append(s.prerequisites, prerequisite{
				section: c.sections.add(q.Section),
				action:  access.Action(name),
				detail:  string(q.Section) + "/" + name,
			})
		}
	}
	return s
}

func (c *compiler) readConditions() {
	for _, text := range c.facts.Conditions {
		compiled, err := CompileCondition(text.Text)
		if err != nil {
			c.problem(text.Origin, "condition-invalid", "%s", err)
		}
		c.conditionOf[text.ID] = number(len(c.conditions))
		c.conditions = append(c.conditions, compiled)
	}
}

// readLinks numbers what can be linked to before anything else, so that marks
// for it can be kept in a short slice.
func (c *compiler) readLinks() {
	var good []int
	for i, r := range c.facts.Rules {
		switch {
		case r.Type == "g" && len(r.Values) == 3:
			if to, ok := c.name(r, 1); ok {
				if to.Kind != access.KindGroup && to.Kind != access.KindRole {
					c.problem(r.Origin, "link-target", "%q is neither a group (g:) nor a role (r:)", r.Values[1])
				}
				c.names.add(to)
				good = append(good, i)
			}
		case r.Type != "p" || len(r.Values) != 6:
			c.problem(r.Origin, "rule-arity", "%q is no line of the built-in model: p has 6 fields, g has 3", r.String())
		}
	}
	c.targets = c.names.len()
	c.superuser = c.names.id(superuser)
	var members []uint32
	var entries []link
	for _, i := range good {
		r := c.facts.Rules[i]
		member, _ := c.name(r, 0)
		members = append(members, c.names.add(member))
		to, _ := c.name(r, 1)
		entries = append(entries, link{
			to: c.names.id(to), scope: c.scope(r, 2), validity: c.valid(r.Validity), line: number(i),
		})
	}
	c.addAccountNames()
	c.links = newRuns(c.names.len(), members, entries)
}

var superuser = access.Subject{Kind: access.KindRole, ID: access.SuperuserRole}

func (c *compiler) name(r access.Rule, field int) (access.Subject, bool) {
	kind, id, ok := access.ParseName(r.Values[field])
	if !ok {
		c.problem(r.Origin, "name-invalid", "%q is not a name of a rule; write u:<user>, a:<application>, g:<group>, r:<role> or superuser", r.Values[field])
	}
	return access.Subject{Kind: kind, ID: id}, ok
}

func (c *compiler) scope(r access.Rule, field int) uint32 {
	id := c.scopes.id(access.Scope(r.Values[field]))
	if id == 0 {
		c.problem(r.Origin, "scope-unknown", "scope %q does not exist", r.Values[field])
	}
	return id
}

func (c *compiler) valid(v access.Validity) uint32 {
	if v.From.IsZero() && v.Until.IsZero() {
		return 0
	}
	id, ok := c.times[v]
	if !ok {
		id = number(len(c.validity))
		c.times[v] = id
		c.validity = append(c.validity, v)
	}
	return id
}

// addAccountNames numbers everybody who can be a subject or hold a rule.
func (c *compiler) addAccountNames() {
	c.names.add(access.Anonymous)
	for i := range c.facts.Catalogue {
		c.names.add(access.Subject{Kind: access.KindApplication, ID: c.facts.Catalogue[i].Code})
	}
	for i := range c.facts.Users {
		c.names.add(access.Subject{Kind: access.KindUser, ID: c.facts.Users[i].ID})
	}
	for _, r := range c.facts.Rules {
		if r.Type == "p" && len(r.Values) == 6 {
			if name, ok := c.name(r, 0); ok {
				c.names.add(name)
			}
		}
	}
}

func (c *compiler) readSubjects() {
	c.accountOf = make([]uint32, c.names.len())
	c.account(access.Anonymous, account{status: access.UserActive})
	for i := range c.facts.Catalogue {
		name := access.Subject{Kind: access.KindApplication, ID: c.facts.Catalogue[i].Code}
		c.account(name, account{status: access.UserActive})
	}
	for i := range c.facts.Users {
		u := &c.facts.Users[i]
		a := account{status: u.Status, person: true, attributes: u.Attributes}
		for _, feature := range u.Licences {
			a.licences = append(a.licences, c.features.add(feature))
		}
		for _, app := range u.ApplicationsOff {
			a.off = append(a.off, c.applications.add(app))
		}
		c.account(access.Subject{Kind: access.KindUser, ID: u.ID}, a)
	}
	c.template = make([]bool, c.names.len())
	for id, name := range c.names.names {
		c.template[id] = name.Kind == access.KindGroup && c.facts.Groups[name.ID] == access.GroupTemplate
	}
}

func (c *compiler) account(name access.Subject, a account) {
	if a.status == "" {
		a.status = access.UserActive
	}
	c.accountOf[c.names.id(name)] = number(len(c.accounts))
	c.accounts = append(c.accounts, a)
}

func (c *compiler) readRules() {
	var grantees []uint32
	var entries []rule
	for i, line := range c.facts.Rules {
		if line.Type != "p" || len(line.Values) != 6 {
			continue
		}
		kind, id, _ := access.ParseName(line.Values[0])
		grantees = append(grantees, c.names.id(access.Subject{Kind: kind, ID: id}))
		entries = append(entries, c.rule(number(i), line))
	}
	c.rules = newRuns(c.names.len(), grantees, entries)
	for owner := range c.names.len() {
		slices.SortFunc(c.rules.of(owner), rule.compare)
	}
}

func (c *compiler) rule(i uint32, line access.Rule) rule {
	act, err := access.ParseRuleAct("act", line.Values[3])
	if err != nil {
		c.problem(line.Origin, "act-invalid", "%s", err)
	}
	if err := access.ValidEffect("effect", access.Effect(line.Values[4])); err != nil {
		c.problem(line.Origin, "effect-invalid", "%s", err)
	}
	condition, known := c.conditionOf[line.Values[5]]
	if !known && line.Values[5] != access.NoCondition {
		c.problem(line.Origin, "condition-unknown", "condition %q does not exist", line.Values[5])
	}
	r := rule{
		scope: c.scope(line, 1), section: c.sections.add(access.Section(line.Values[2])),
		condition: condition, validity: c.valid(line.Validity), line: i,
		rights: act.Rights, deny: line.Values[4] == string(access.Deny),
	}
	switch {
	case act.All:
		r.action = anyAction
	case act.Name != "":
		r.action = c.actions.add(act.Name)
	}
	return r
}

// compare orders the rules of one grantee by scope, section and place.
func (r rule) compare(o rule) int {
	return cmp.Or(cmp.Compare(r.scope, o.scope), cmp.Compare(r.section, o.section), cmp.Compare(r.line, o.line))
}

// chains notes for every section the sections whose rules can reach it.
func (c *compiler) chains() {
	c.catalogue = append(c.catalogue, make([]section, int(c.sections.len())-len(c.catalogue))...)
	c.licences = append(c.licences, make([]bool, int(c.features.len())-len(c.licences))...)
	all := c.sections.id(allSections)
	var of, entries []uint32
	for id := uint32(1); id < c.sections.len(); id++ {
		if !c.catalogue[id].declared {
			continue // cannot be asked about
		}
		for at := c.sections.names[id]; at != ""; at = at.Parent() {
			if above := c.sections.id(at); above != 0 {
				of, entries = append(of, id), append(entries, above)
			}
		}
		of, entries = append(of, id), append(entries, all)
	}
	c.sectionChain = newRuns(c.sections.len(), of, entries)
}

// nearSuperuser marks the names from which links lead to the superuser's role,
// so that all others are spared the search for it.
func (c *compiler) nearSuperuser() {
	c.mayBeSuper = make([]bool, c.names.len())
	if c.superuser == 0 {
		return
	}
	members := c.reverse()
	c.mayBeSuper[c.superuser] = true
	for queue := []uint32{c.superuser}; len(queue) > 0; queue = queue[1:] {
		for _, m := range members.of(queue[0]) {
			if !c.mayBeSuper[m] {
				c.mayBeSuper[m] = true
				queue = append(queue, m)
			}
		}
	}
}

// reverse gives the members of every name.
func (s *Snapshot) reverse() runs[uint32] {
	var of, entries []uint32
	for member := range s.names.len() {
		for _, l := range s.links.of(member) {
			of, entries = append(of, l.to), append(entries, member)
		}
	}
	return newRuns(s.names.len(), of, entries)
}
