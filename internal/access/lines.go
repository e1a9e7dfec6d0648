package access

// lines writes the policy as Casbin lines of the built-in model:
//
//	p, <grantee>, <scope>, <section>, <rights or action>, <effect>, <condition>
//	g, <member>, <group or role>, <scope>
//
// The order is fixed: the superuser's rule, roles, groups, applications, users,
// plain lines. Under a foreign model only the plain lines count.
func (p *Policy) lines() ([]Rule, []Condition) {
	if p.Model != "" {
		return p.Rules, nil
	}
	w := lineWriter{root: p.root(), cascades: map[Section]bool{}, seen: map[string]bool{}}
	for _, app := range p.Catalogue {
		for _, s := range app.Sections {
			w.cascades[s.Path] = s.Cascade
		}
	}
	w.rules = append(make([]Rule, 0, p.size()), Sentinel())
	for _, r := range p.Roles {
		w.links(Name(KindRole, r.Code), KindRole, r.Roles, nil)
		w.grants(Name(KindRole, r.Code), r.Grants, nil)
	}
	for _, g := range p.Groups {
		w.group(g)
	}
	if p.Anonymous != "" {
		w.links(Anonymous.Rule(), KindGroup, []Link{{To: p.Anonymous, Origin: p.Origin}}, nil)
	}
	for _, a := range p.Catalogue {
		w.holder(Name(KindApplication, a.Code), a.Groups, a.Roles, a.Grants)
	}
	for _, u := range p.Users {
		if u.Status == UserDeleted {
			continue
		}
		w.holder(Name(KindUser, u.ID), u.Groups, u.Roles, u.Grants)
	}
	w.rules = append(w.rules, p.Rules...)
	return w.rules, w.conditions
}

// size is about how many rules the policy will be: a line for each link and
// grant.
func (p *Policy) size() int {
	n := 1 + len(p.Rules)
	for _, r := range p.Roles {
		n += len(r.Roles) + len(r.Grants)
	}
	for _, g := range p.Groups {
		n += 1 + len(g.Roles) + len(g.Grants)
	}
	for _, u := range p.Users {
		n += len(u.Groups) + len(u.Roles) + len(u.Grants)
	}
	return n
}

type lineWriter struct {
	root       Section
	cascades   map[Section]bool
	seen       map[string]bool // ids of conditions written
	rules      []Rule
	conditions []Condition
}

func (w *lineWriter) group(g Group) {
	name := Name(KindGroup, g.Code)
	ceiling := g.Scopes
	if ceiling != nil && len(ceiling) == 0 {
		return // may reach nothing, so nothing of it becomes a rule
	}
	if g.Base != "" {
		w.links(name, KindGroup, []Link{{To: g.Base, Origin: g.Origin}}, ceiling)
	}
	w.links(name, KindRole, g.Roles, ceiling)
	w.grants(name, g.Grants, ceiling)
}

func (w *lineWriter) holder(name string, groups, roles []Link, grants []Grant) {
	w.links(name, KindGroup, groups, nil)
	w.links(name, KindRole, roles, nil)
	w.grants(name, grants, nil)
}

// links writes one line for each link, or for each scope of the ceiling where
// the link itself holds everywhere.
func (w *lineWriter) links(from string, kind Kind, links []Link, ceiling []Scope) {
	for _, l := range links {
		for _, scope := range within(l.Scope, ceiling) {
			w.rules = append(w.rules, Rule{
				Type:     "g",
				Values:   []string{from, Name(kind, l.To), string(scope)},
				Validity: l.Validity, Origin: l.Origin,
			})
		}
	}
}

func (w *lineWriter) grants(holder string, grants []Grant, ceiling []Scope) {
	for _, g := range grants {
		for _, scope := range within(g.Scope, ceiling) {
			w.grant(holder, g, scope)
		}
	}
}

func (w *lineWriter) grant(holder string, g Grant, scope Scope) {
	if w.makesSuperuser(g, scope) {
		w.rules = append(w.rules, Rule{
			Type:     "g",
			Values:   []string{holder, SuperuserRole, string(Everywhere)},
			Validity: g.Validity, Origin: g.Origin,
		})
		return
	}
	rights := g.Rights
	if w.cascades[g.Section] && (rights != 0 || len(g.Actions) > 0) {
		rights |= Inherit
	}
	if rights&^Inherit != 0 {
		w.rule(holder, g, scope, RuleAct{Rights: rights})
	}
	for _, name := range g.Actions {
		w.rule(holder, g, scope, RuleAct{Rights: rights & Inherit, Name: name})
	}
}

// makesSuperuser: all rights on the root section, everywhere, is membership of
// the reserved role.
func (w *lineWriter) makesSuperuser(g Grant, scope Scope) bool {
	return g.Section == w.root && g.Rights == AllRights && scope == Everywhere &&
		g.Effect != Deny && g.Condition == ""
}

func (w *lineWriter) rule(holder string, g Grant, scope Scope, act RuleAct) {
	effect := g.Effect
	if effect == "" {
		effect = Allow
	}
	w.rules = append(w.rules, Rule{
		Type:     "p",
		Values:   []string{holder, string(scope), string(g.Section), act.String(), string(effect), w.condition(g)},
		Validity: g.Validity, Origin: g.Origin,
	})
}

func (w *lineWriter) condition(g Grant) string {
	if g.Condition == "" {
		return NoCondition
	}
	id := ConditionID(g.Condition)
	if !w.seen[id] {
		w.seen[id] = true
		w.conditions = append(w.conditions, Condition{ID: id, Text: g.Condition, Origin: g.Origin})
	}
	return id
}

// within gives the scopes in which something with this scope holds under a
// ceiling. A scope of its own is kept: Check has made sure it is below the ceiling.
func within(scope Scope, ceiling []Scope) []Scope {
	if scope != "" && scope != Everywhere {
		return []Scope{scope}
	}
	if ceiling == nil {
		return []Scope{Everywhere}
	}
	return ceiling
}
