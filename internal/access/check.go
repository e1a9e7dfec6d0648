package access

import (
	"fmt"
	"slices"
	"strings"
)

// Check looks for everything that makes the policy unfit for use: names that
// break the rules or stand for nothing, duplicates, cycles, chains that are too
// deep. It reports all of it at once, in the order of the policy. Texts of
// conditions and models are compiled by the engine, not here.
func (p *Policy) Check() Problems {
	c := newChecker(p)
	c.bundle()
	c.functions()
	c.scopeTree()
	c.catalogue()
	c.roles()
	c.groups()
	c.applications()
	c.users()
	c.guarantees()
	if p.Model == "" {
		c.plainRules()
		rules, _ := p.lines()
		c.graph(rules)
		c.duplicates(rules)
	} else if len(p.Catalogue)+len(p.Roles)+len(p.Groups) > 0 {
		c.add(p.Origin, "model-foreign", "a policy with a Casbin model of its own is decided by its plain lines alone; "+
			"it cannot have applications, roles or groups")
	}
	return c.problems
}

type checker struct {
	p        *Policy
	problems Problems
	sections map[Section]*SectionEntry
	apps     map[string]bool
	roleSet  map[string]bool
	groupSet map[string]bool
	licences map[string]bool
	parents  map[Scope]Scope
}

func newChecker(p *Policy) *checker {
	c := &checker{
		p: p, sections: map[Section]*SectionEntry{}, apps: map[string]bool{},
		roleSet: map[string]bool{SuperuserRole: true}, groupSet: map[string]bool{},
		licences: map[string]bool{}, parents: map[Scope]Scope{},
	}
	for _, a := range p.catalogue() {
		c.apps[a.Code] = true
		for j := range a.Sections {
			c.sections[a.Sections[j].Path] = &a.Sections[j]
		}
	}
	for _, r := range p.Roles {
		c.roleSet[r.Code] = true
	}
	for _, g := range p.Groups {
		c.groupSet[g.Code] = true
	}
	for _, l := range p.Licences {
		c.licences[l.Feature] = true
	}
	for _, s := range p.Scopes {
		c.parents[s.Scope] = parentOf(s)
	}
	return c
}

func parentOf(s ScopeNode) Scope {
	if s.Parent == "" {
		return Everywhere
	}
	return s.Parent
}

func (c *checker) add(at Origin, code, format string, args ...any) *Problem {
	c.problems = append(c.problems, Problem{Origin: at, Code: code, Message: fmt.Sprintf(format, args...)})
	return &c.problems[len(c.problems)-1]
}

// valid reports an error of one of the name rules.
func (c *checker) valid(at Origin, err error) bool {
	if err == nil {
		return true
	}
	c.add(at, "name-invalid", "%s", err.Error())
	return false
}

func (c *checker) unknown(at Origin, noun, name string, known []string) {
	problem := c.add(at, noun+"-unknown", "%s %q does not exist", noun, name)
	if near := Nearest(name, known); near != "" {
		problem.Hint = fmt.Sprintf("did you mean %q?", near)
	}
}

func (c *checker) bundle() {
	p := c.p
	c.valid(p.Origin, ValidCode("tenant", p.Tenant))
	if p.Combining != "" && p.Combining != DenyOverrides && p.Combining != AllowOverrides {
		c.add(p.Origin, "combining-invalid", "combining: %q is neither %s nor %s", p.Combining, DenyOverrides, AllowOverrides)
	}
	if p.Root != "" {
		c.valid(p.Origin, ValidSection("root", p.Root))
	}
	if err := p.SignIn.Check(); err != nil {
		c.add(p.Origin, "sign-in", "%s", err.Error())
	}
	if err := p.Accounts.Check(); err != nil {
		c.add(p.Origin, "accounts", "%s", err.Error())
	}
	if p.Anonymous != "" && !c.groupSet[p.Anonymous] {
		c.unknown(p.Origin, "group", p.Anonymous, keys(c.groupSet))
	}
	seen := map[string]bool{}
	for _, l := range p.Licences {
		c.valid(l.Origin, ValidCode("licence", l.Feature))
		if l.Seats < 0 {
			c.add(l.Origin, "seats-invalid", "licence %q: the number of seats must not be negative", l.Feature)
		}
		c.once(seen, l.Origin, "licence", l.Feature)
	}
}

func (c *checker) once(seen map[string]bool, at Origin, noun, name string) {
	if seen[name] {
		c.add(at, "duplicate", "%s %q is there twice", noun, name)
	}
	seen[name] = true
}

// email refuses an e-mail that another account has which may not share it.
func (c *checker) email(seen map[string][]Scope, u *User) {
	mail := FoldCase(u.Email)
	for _, home := range seen[mail] {
		if !c.p.Accounts.MayShare(home, u.Home) {
			c.add(u.Origin, "duplicate", "e-mail %q is there twice", u.Email)
			break
		}
	}
	seen[mail] = append(seen[mail], u.Home)
}

func (c *checker) scopeTree() {
	seen := map[string]bool{}
	for _, s := range c.p.Scopes {
		if s.Scope == Everywhere {
			c.add(s.Origin, "scope-reserved", "the scope * is always there and cannot be declared")
			continue
		}
		if !c.valid(s.Origin, ValidScope("scope", s.Scope)) {
			continue
		}
		c.once(seen, s.Origin, "scope", string(s.Scope))
		c.scopeRef(s.Origin, s.Parent)
		c.scopeDepth(s)
	}
}

func (c *checker) scopeDepth(s ScopeNode) {
	depth := 0
	for at := s.Scope; at != Everywhere; at = c.parents[at] {
		if depth++; depth > MaxScopeDepth {
			c.add(s.Origin, "scope-depth", "scope %q lies in a circle or deeper than %d levels", s.Scope, MaxScopeDepth)
			return
		}
		if _, ok := c.parents[at]; !ok {
			return // reported as unknown
		}
	}
}

func (c *checker) scopeRef(at Origin, s Scope) {
	if s == "" || s == Everywhere {
		return
	}
	if !c.valid(at, ValidScope("scope", s)) {
		return
	}
	if _, ok := c.parents[s]; !ok {
		c.unknown(at, "scope", string(s), keys(c.parents))
	}
}

func (c *checker) catalogue() {
	apps, sections := map[string]bool{}, map[string]bool{}
	for _, a := range c.p.Catalogue {
		c.valid(a.Origin, ValidCode("application", a.Code))
		c.notReserved(a.Origin, "application", a.Code)
		c.once(apps, a.Origin, "application", a.Code)
		for i := range a.Sections {
			s := &a.Sections[i]
			c.valid(s.Origin, ValidSection("section", s.Path))
			c.once(sections, s.Origin, "section", string(s.Path))
			c.section(s)
		}
		c.families(&a)
	}
	c.prerequisiteCycles()
}

// families refuses names of a heading under which nothing stands.
func (c *checker) families(a *Application) {
	used, seen := map[string]bool{}, map[string]bool{}
	for i := range a.Sections {
		if a.Sections[i].Family != "" {
			used[a.Sections[i].Family] = true
		}
	}
	for _, f := range a.Families {
		c.once(seen, f.Origin, "family", f.Name)
		if !used[f.Name] {
			c.unknown(f.Origin, "family", f.Name, keys(used))
		}
	}
}

func (c *checker) section(s *SectionEntry) {
	if s.Licence != "" && !c.licences[s.Licence] {
		// Not an error: a tenant whose tariff lacks the feature has such sections.
		problem := c.add(s.Origin, "licence-not-held", "section %q needs the licence %q, which this tenant does not hold", s.Path, s.Licence)
		problem.Warning = true
	}
	seen := map[string]bool{}
	for _, a := range s.Actions {
		if !c.valid(a.Origin, ValidAction("action", a.Name)) {
			continue
		}
		if _, standard := RightOf(a.Name); standard {
			c.add(a.Origin, "action-reserved", "action %q is one of the six standard ones, which every section has", a.Name)
		}
		c.once(seen, a.Origin, "action", a.Name)
	}
	for _, q := range s.Prerequisites {
		if c.sections[q.Section] == nil {
			c.unknown(q.Origin, "section", string(q.Section), keys(c.sections))
		}
		if q.Rights&^Inherit == 0 || q.Rights&Inherit != 0 {
			c.add(q.Origin, "prerequisite-rights", "prerequisite %q must name at least one right, and not inherit", q.Section)
		}
	}
}

// prerequisiteCycles refuses sections that need one another, and chains that
// are longer than decisions follow.
func (c *checker) prerequisiteCycles() {
	for _, a := range c.p.Catalogue {
		for i := range a.Sections {
			c.prerequisiteChain(&a.Sections[i], &a.Sections[i], nil)
		}
	}
}

func (c *checker) prerequisiteChain(start, s *SectionEntry, path []string) bool {
	path = append(path, string(s.Path))
	if len(path) > MaxPrerequisiteDepth {
		c.add(start.Origin, "prerequisite-depth", "prerequisites form a circle or are deeper than %d levels: %s",
			MaxPrerequisiteDepth, strings.Join(path, " needs "))
		return false
	}
	for _, q := range s.Prerequisites {
		if next := c.sections[q.Section]; next != nil && !c.prerequisiteChain(start, next, path) {
			return false
		}
	}
	return true
}

func (c *checker) roles() {
	seen := map[string]bool{}
	for _, r := range c.p.Roles {
		c.valid(r.Origin, ValidCode("role", r.Code))
		c.displayName(r.Origin, r.Name)
		c.notReserved(r.Origin, "role", r.Code)
		c.once(seen, r.Origin, "role", r.Code)
		c.links(r.Roles, "role", c.roleSet)
		c.grants(r.Grants)
	}
}

// notReserved: ParseName takes no name but the role's own to be "superuser".
func (c *checker) notReserved(at Origin, noun, code string) {
	if code == SuperuserRole {
		c.add(at, noun+"-reserved", "the %s code %q is reserved for the role that has all rights", noun, SuperuserRole)
	}
}

func (c *checker) displayName(at Origin, name string) {
	if name != "" {
		c.valid(at, ValidName("name", name))
	}
}

func (c *checker) groups() {
	seen := map[string]bool{}
	for _, g := range c.p.Groups {
		c.valid(g.Origin, ValidCode("code", g.Code))
		c.notReserved(g.Origin, "group", g.Code)
		c.displayName(g.Origin, g.Name)
		c.once(seen, g.Origin, "group", g.Code)
		if k := g.kind(); k != GroupDefault && k != GroupTemplate && k != GroupRegular {
			c.add(g.Origin, "kind-invalid", "group %q: kind %q is none of default, template, regular", g.Code, k)
		}
		if g.Base != "" && !c.groupSet[g.Base] {
			c.unknown(g.Origin, "group", g.Base, keys(c.groupSet))
		}
		for _, s := range g.Scopes {
			c.scopeRef(g.Origin, s)
		}
		if c.p.NeedBase && g.Base == "" && g.kind() == GroupRegular {
			c.add(g.Origin, "base-required", "group %q: base is required, as groups_need_base says", g.Code)
		}
		for _, code := range g.Manages {
			if !c.groupSet[code] {
				c.unknown(g.Origin, "group", code, keys(c.groupSet))
			}
		}
		if _, err := ParseSignature("signature", g.Signature); err != nil {
			c.add(g.Origin, "signature-invalid", "group %q: %s", g.Code, err)
		}
		c.links(g.Roles, "role", c.roleSet)
		c.grants(g.Grants)
		c.ceiling(g)
	}
}

// ceiling refuses scopes of links and grants that reach beyond their group's.
func (c *checker) ceiling(g Group) {
	if g.Scopes == nil {
		return
	}
	for _, l := range g.Roles {
		c.below(l.Origin, l.Scope, g.Scopes)
	}
	for _, grant := range g.Grants {
		c.below(grant.Origin, grant.Scope, g.Scopes)
	}
}

func (c *checker) below(at Origin, s Scope, ceiling []Scope) {
	if s == "" || s == Everywhere {
		return
	}
	path, ok := c.path(s)
	if !ok {
		return // reported as unknown
	}
	for _, top := range ceiling {
		if ScopeIn(path, string(top)) {
			return
		}
	}
	c.add(at, "scope-beyond-ceiling", "scope %q is not within the scopes of the group", s)
}

// path is Scope.Path for trees that may hold circles.
func (c *checker) path(s Scope) (string, bool) {
	path := string(s)
	for depth := 0; s != Everywhere; depth++ {
		parent, ok := c.parents[s]
		if !ok || depth > MaxScopeDepth {
			return "", false
		}
		s, path = parent, string(parent)+"/"+path
	}
	return path, true
}

func (c *checker) applications() {
	for _, a := range c.p.Catalogue {
		c.links(a.Groups, "group", c.groupSet)
		c.links(a.Roles, "role", c.roleSet)
		c.grants(a.Grants)
	}
}

func (c *checker) users() {
	ids, mails := map[string]bool{}, map[string][]Scope{}
	for _, u := range c.p.Users {
		c.valid(u.Origin, ValidUserID("id", u.ID))
		c.displayName(u.Origin, u.Name)
		c.once(ids, u.Origin, "user", u.ID)
		if u.Status == UserDeleted {
			continue // holds nothing; what it names may be gone by now
		}
		if u.Email != "" {
			c.valid(u.Origin, ValidName("email", u.Email))
			c.email(mails, &u)
		}
		if u.Home != "" {
			c.scopeRef(u.Origin, u.Home)
		}
		if u.ExternalID != "" {
			c.valid(u.Origin, ValidName("external_id", u.ExternalID))
		}
		for _, s := range u.Menu {
			c.valid(u.Origin, ValidSection("menu", s))
		}
		switch u.facts().Status {
		case UserActive, UserInvited, UserDisabled, UserLocked:
		default:
			c.add(u.Origin, "status-invalid", "user %q: status %q is none of active, invited, disabled, locked", u.ID, u.Status)
		}
		for _, app := range u.ApplicationsOff {
			if !c.apps[app] {
				c.unknown(u.Origin, "application", app, keys(c.apps))
			}
		}
		for _, l := range u.Licences {
			if !c.licences[l] {
				c.unknown(u.Origin, "licence", l, keys(c.licences))
			}
		}
		if len(u.Groups) > MaxGroups {
			c.add(u.Origin, "groups-too-many", "user %q is in %d groups, %d is the limit", u.ID, len(u.Groups), MaxGroups)
		}
		c.links(u.Groups, "group", c.groupSet)
		c.links(u.Roles, "role", c.roleSet)
		c.grants(u.Grants)
	}
	c.seats()
}

func (c *checker) seats() {
	taken := map[string]int{}
	for _, u := range c.p.Users {
		for _, l := range u.Licences {
			if u.Status != UserDeleted {
				taken[l]++
			}
		}
	}
	for _, l := range c.p.Licences {
		if l.Seats > 0 && taken[l.Feature] > l.Seats {
			c.add(l.Origin, "seats-exceeded", "licence %q has %d seats and %d users hold one", l.Feature, l.Seats, taken[l.Feature])
		}
	}
}

func (c *checker) links(links []Link, noun string, known map[string]bool) {
	for _, l := range links {
		if !known[l.To] {
			c.unknown(l.Origin, noun, l.To, keys(known))
		}
		c.scopeRef(l.Origin, l.Scope)
		c.validity(l.Origin, l.Validity)
		if noun == "role" && l.To == SuperuserRole && l.Scope != "" && l.Scope != Everywhere {
			c.add(l.Origin, "superuser-scoped", "the role superuser can only be held everywhere, not at %q", l.Scope)
		}
	}
}

func (c *checker) validity(at Origin, v Validity) {
	if !v.From.IsZero() && !v.Until.IsZero() && !v.From.Before(v.Until) {
		c.add(at, "validity-empty", "it ends (until) before it begins (from)")
	}
}

func (c *checker) grants(grants []Grant) {
	for _, g := range grants {
		c.grant(g)
	}
}

func (c *checker) grant(g Grant) {
	if g.Section == c.p.root() && c.sections[g.Section] == nil {
		// The root may be granted although no application declares it.
	} else if c.sections[g.Section] == nil {
		c.unknown(g.Origin, "section", string(g.Section), keys(c.sections))
	}
	if g.Rights > AllRights {
		c.add(g.Origin, "rights-invalid", "%d is not a sum of rights; it must be 0 to 63", g.Rights)
	}
	for _, a := range g.Actions {
		c.declared(g, a)
	}
	c.scopeRef(g.Origin, g.Scope)
	c.validity(g.Origin, g.Validity)
	if g.Effect != "" {
		c.valid(g.Origin, ValidEffect("effect", g.Effect))
	}
}

// declared: a named action must be declared by the section itself or, for a
// grant that is inherited, by one below it.
func (c *checker) declared(g Grant, action string) {
	var known []string
	for path, s := range c.sections {
		if path != g.Section && (g.Rights&Inherit == 0 || !g.Section.Above(path)) {
			continue
		}
		for _, a := range s.Actions {
			known = append(known, a.Name)
		}
	}
	if !slices.Contains(known, action) {
		c.unknown(g.Origin, "action", action, append(known, RightNames()...))
	}
}

func keys[K ~string, V any](m map[K]V) []string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, string(k))
	}
	slices.Sort(names)
	return names
}
