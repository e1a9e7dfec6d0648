package access

import "strings"

// Scope names which entities something is about: one node of the tenant's
// scope tree, such as "store:eu-1", or Everywhere. It is Casbin's domain.
type Scope string

// Everywhere is all entities, present and future.
const Everywhere Scope = "*"

// ScopeNode is one node of a tenant's scope tree.
type ScopeNode struct {
	Scope  Scope
	Parent Scope // Everywhere for the nodes at the top
	Name   string
	Origin Origin
}

// MaxScopeDepth is how deep the scope tree may nest below Everywhere.
const MaxScopeDepth = 8

// ValidScope checks "*" or type:id, at most MaxName bytes, where the type is a
// code and the id a name without "/" and ",": rules and requests join scopes by
// "/".
func ValidScope(field string, s Scope) error {
	if s == Everywhere {
		return nil
	}
	kind, id, ok := strings.Cut(string(s), ":")
	if !ok {
		return Invalid(field, "%q is not a scope: write * or type:id, for instance store:eu-1", string(s))
	}
	if err := ValidName(field, string(s)); err != nil {
		return err
	}
	if err := ValidCode(field, kind); err != nil {
		return err
	}
	if err := ValidID(field, id); err != nil {
		return err
	}
	if strings.ContainsRune(id, '/') {
		return Invalid(field, "the id of a scope must not hold a slash")
	}
	return nil
}

// ScopePath is the way from Everywhere down to one scope, joined by "/", for
// instance "*/company:7/store:eu-1". It is the domain of a Casbin request.
type ScopePath string

// Path gives the scope path of a scope under the given parents, and false if
// the scope is not in the tree. The parents must be free of cycles, which
// Policy.Check makes sure of.
func (s Scope) Path(parents map[Scope]Scope) (ScopePath, bool) {
	if s == Everywhere {
		return ScopePath(Everywhere), true
	}
	parent, ok := parents[s]
	if !ok {
		return "", false
	}
	above, ok := parent.Path(parents)
	return above + "/" + ScopePath(s), ok
}
