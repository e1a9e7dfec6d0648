package access

import "strings"

// Entities does what Entity does with every grant of a policy. What is wrong comes
// with the place of its grant.
func (p *Policy) Entities() Problems {
	var wrong Problems
	for _, grants := range p.EachGrants() {
		for i := range grants {
			if err := p.Entity("section", &grants[i]); err != nil {
				wrong = append(wrong, Problem{Origin: grants[i].Origin, Code: "entity-unclear", Message: err.Error()})
			}
		}
	}
	return wrong
}

// Entity turns a right on one entity, as binary rights tables write it, into a
// right in its scope: "System.Settings.Stores{5}" is System.Settings.Stores in the
// one scope whose id is 5; where the id is not unique, the whole scope stands in
// the braces: {store:5}. The field stands in the error.
func (p *Policy) Entity(field string, g *Grant) error {
	section, id, braced := strings.Cut(string(g.Section), "{")
	if !braced {
		return nil
	}
	g.Section = Section(section)
	id, closed := strings.CutSuffix(id, "}")
	scopes := p.scopesOf(id)
	switch {
	case !closed || id == "":
		return Invalid(field, "an entity stands in braces at the end, as in %s{5}", section)
	case g.Scope != "":
		return Invalid(field, "the entity in braces and the scope %q say the same thing twice", string(g.Scope))
	case len(scopes) == 0:
		return Invalid(field, "no scope has the id %q", id)
	case len(scopes) > 1:
		return Invalid(field, "several scopes have the id %q: write %s{%s} or another one whole", id, section, scopes[0])
	}
	g.Scope = scopes[0]
	return nil
}

func (p *Policy) scopesOf(id string) []Scope {
	var found []Scope
	for _, n := range p.Scopes {
		if _, own, _ := strings.Cut(string(n.Scope), ":"); own == id || string(n.Scope) == id {
			found = append(found, n.Scope)
		}
	}
	return found
}
