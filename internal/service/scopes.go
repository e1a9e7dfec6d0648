package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// StoreGroup is the attribute of a group of kind default or template that says
// how the group is called that a new store gets from it: "registered" makes
// eu-1-registered for store:eu-1.
const StoreGroup = "store_group"

// NewScope makes a scope.
type NewScope struct {
	Scope  access.Scope
	Parent access.Scope // Everywhere when empty
	Name   string
	// Groups makes the scope's own groups by the same revision: one from every
	// group that has the attribute StoreGroup or, where none has, from every default
	// group and template. They reach this scope alone.
	Groups bool
	// Code begins the codes of these groups; the id of the scope when empty.
	Code string
}

// ScopePatch says what is to be different about a scope. What is nil stays.
type ScopePatch struct {
	Name   *string
	Parent *access.Scope
}

// ScopeTree is a scope with those below it.
type ScopeTree struct {
	access.ScopeNode
	Below []ScopeTree
}

// Scopes gives the tree of scopes, as far as the caller reaches.
func (d *Directory) Scopes(ctx context.Context, caller access.Caller, tenant string) ([]ScopeTree, access.Revision, error) {
	var tree []ScopeTree
	var revision access.Revision
	err := d.readWithin(ctx, caller, tenant, Need{Part: "Stores", Action: "show"}, func(r access.Reading, in Reach) error {
		p := r.Policy()
		tree, revision = scopeTree(p.Scopes, in), r.Revision()
		return nil
	})
	return tree, revision, err
}

// scopeTree gives the parts of the tree that a reach lets see. The top of each
// stands at the top.
func scopeTree(scopes []access.ScopeNode, in Reach) []ScopeTree {
	parents := parentsOf(scopes)
	seen := func(s access.Scope) bool {
		return in.Everywhere || s != access.Everywhere && slices.ContainsFunc(in.Scopes, func(top access.Scope) bool {
			return access.LiesIn(s, top, func(s access.Scope) access.Scope { return parents[s] })
		})
	}
	below := map[access.Scope][]access.ScopeNode{}
	for _, s := range scopes {
		if !seen(s.Scope) {
			continue
		}
		parent := parents[s.Scope]
		if !seen(parent) {
			parent = access.Everywhere
		}
		below[parent] = append(below[parent], s)
	}
	var grow func(of access.Scope) []ScopeTree
	grow = func(of access.Scope) []ScopeTree {
		var all []ScopeTree
		for _, s := range below[of] {
			all = append(all, ScopeTree{ScopeNode: s, Below: grow(s.Scope)})
		}
		slices.SortFunc(all, func(a, b ScopeTree) int { return strings.Compare(string(a.Scope), string(b.Scope)) })
		return all
	}
	return grow(access.Everywhere)
}

func parentsOf(scopes []access.ScopeNode) map[access.Scope]access.Scope {
	parents := map[access.Scope]access.Scope{}
	for _, s := range scopes {
		parents[s.Scope] = cmp.Or(s.Parent, access.Everywhere)
	}
	return parents
}

// Scope gives one scope.
func (d *Directory) Scope(ctx context.Context, caller access.Caller, tenant string, scope access.Scope) (access.ScopeNode, access.Revision, error) {
	var node access.ScopeNode
	var revision access.Revision
	if err := validNode(scope); err != nil {
		return node, 0, err
	}
	err := d.read(ctx, caller, tenant, Need{Part: "Stores", Action: "show", Scope: scope}, func(r access.Reading) error {
		s, err := scopeOf(r.Policy(), scope)
		if err == nil {
			node, revision = *s, r.Revision()
		}
		return err
	})
	return node, revision, err
}

func scopeOf(p *access.Policy, scope access.Scope) (*access.ScopeNode, error) {
	if i := slices.IndexFunc(p.Scopes, func(s access.ScopeNode) bool { return s.Scope == scope }); i >= 0 {
		return &p.Scopes[i], nil
	}
	return nil, access.NotFound("scope", string(scope))
}

// CreateScope makes a scope and, where that is wanted, its groups. Whoever may do
// that in the scope above it may do it; at the top, that is nobody but superusers
// unless the right was granted everywhere. Rights on all scopes include the new
// one at once.
func (d *Directory) CreateScope(ctx context.Context, caller access.Caller, tenant string, n NewScope, c access.Change) (groups []string, revision access.Revision, err error) {
	n.Parent = cmp.Or(n.Parent, access.Everywhere)
	if err := n.valid(); err != nil {
		return nil, 0, err
	}
	need := Need{Part: "Stores", Action: "insert", Scope: n.Parent}
	if n.Groups {
		also := Need{Part: "Groups", Action: "insert", Scope: n.Parent}
		if _, err := d.authority.Allow(ctx, caller, tenant, also); err != nil {
			return nil, 0, err
		}
	}
	revision, err = d.change(ctx, caller, tenant, need, c.Making(&groups), func(t access.Draft) error {
		p := t.Policy()
		if err := n.add(p); err != nil {
			return err
		}
		groups = nil
		if n.Groups {
			groups, err = n.addGroups(p)
		}
		return err
	})
	return groups, revision, err
}

func validNode(s access.Scope) error {
	if s == access.Everywhere {
		return access.Invalid("scope", "* is always there; write type:id, for instance store:eu-1")
	}
	return access.ValidScope("scope", s)
}

func (n *NewScope) valid() error {
	if err := validNode(n.Scope); err != nil {
		return err
	}
	if err := access.ValidScope("parent", n.Parent); err != nil {
		return err
	}
	if n.Name != "" {
		if err := access.ValidName("name", n.Name); err != nil {
			return err
		}
	}
	if !n.Groups {
		if n.Code != "" {
			return access.Invalid("code", "is only for the groups of the scope")
		}
		return nil
	}
	if n.Code != "" {
		return access.ValidCode("code", n.Code)
	}
	_, n.Code, _ = strings.Cut(string(n.Scope), ":")
	if access.ValidCode("code", n.Code) != nil {
		return access.Invalid("code", "is required: %q cannot begin the code of a group", n.Code)
	}
	return nil
}

func (n *NewScope) add(p *access.Policy) error {
	if _, err := scopeOf(p, n.Scope); err == nil {
		return access.Exists("scope", string(n.Scope))
	}
	p.Scopes = append(p.Scopes, access.ScopeNode{Scope: n.Scope, Parent: n.Parent, Name: n.Name})
	return soundTree(p, n.Scope)
}

// soundTree refuses a place in the tree that does not exist, is too deep, or lies
// below the scope itself.
func soundTree(p *access.Policy, scope access.Scope) error {
	parents := parentsOf(p.Scopes)
	if above := parents[scope]; above != access.Everywhere {
		if _, there := parents[above]; !there {
			return access.Invalid("parent", "there is no scope %q", above)
		}
	}
	starts := append([]access.Scope{scope}, slices.Sorted(maps.Keys(parents))...) // a circle holds the scope itself
	for _, start := range starts {
		way := []string{string(start)}
		for at := parents[start]; at != access.Everywhere && at != ""; at = parents[at] {
			if way = append(way, string(at)); at == start {
				return scopeConflict("parent", "would make a circle: %s", strings.Join(way, " in "))
			}
			if len(way) > access.MaxScopeDepth {
				break
			}
		}
		if len(way) > access.MaxScopeDepth {
			return scopeConflict("parent", "would be deeper than %d levels: %s", access.MaxScopeDepth, strings.Join(way, " in "))
		}
	}
	return nil
}

func scopeConflict(field, format string, args ...any) error {
	return &access.Error{Kind: ErrConflict, Field: field, Message: fmt.Sprintf(format, args...)}
}

// ofSuperusers tells whether a group makes superusers: of a store there are none.
func ofSuperusers(g *access.Group) bool {
	return slices.ContainsFunc(g.Roles, func(l access.Link) bool { return l.To == access.SuperuserRole })
}

// addGroups derives a scope's own groups from those that are there for that.
func (n *NewScope) addGroups(p *access.Policy) ([]string, error) {
	bases := map[string]string{} // suffix by code
	for _, marked := range []bool{true, false} {
		for _, g := range p.Groups {
			suffix, isMarked := g.Attributes[StoreGroup].(string)
			if g.Kind != access.GroupDefault && g.Kind != access.GroupTemplate || isMarked != marked || !marked && ofSuperusers(&g) {
				continue
			}
			bases[g.Code] = cmp.Or(suffix, g.Code)
		}
		if len(bases) > 0 {
			break
		}
	}
	if len(bases) == 0 {
		return nil, access.Invalid("groups", "there is no default group or template to make groups from")
	}
	var made []string
	for _, base := range p.Groups {
		suffix, wanted := bases[base.Code]
		if !wanted {
			continue
		}
		g := access.Group{
			Code: n.Code + "-" + suffix, Kind: access.GroupRegular, Base: base.Code, Scopes: []access.Scope{n.Scope},
			Name: shortened(cmp.Or(n.Name, string(n.Scope)) + ", " + cmp.Or(base.Name, base.Code)),
		}
		if groupAt(p, g.Code) >= 0 {
			return nil, access.Exists("code", g.Code)
		}
		if err := validGroup(&g); err != nil {
			return nil, err
		}
		p.Groups = append(p.Groups, g)
		made = append(made, g.Code)
	}
	return made, nil
}

// shortened cuts a name that was put together to what a name may be.
func shortened(name string) string {
	for len(name) > access.MaxName {
		name = strings.TrimRight(name[:len(name)-1], " ")
		name = strings.ToValidUTF8(name, "")
	}
	return name
}

// PatchScope renames or moves a scope. Moving changes what everybody's rights
// mean, so only superusers do that.
func (d *Directory) PatchScope(ctx context.Context, caller access.Caller, tenant string, scope access.Scope, patch ScopePatch, c access.Change) (access.ScopeNode, access.Revision, error) {
	var node access.ScopeNode
	if err := errors.Join(validNode(scope), patch.valid()); err != nil {
		return node, 0, err
	}
	need := Need{Part: "Stores", Action: "update", Scope: scope}
	revision, err := d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		s, err := scopeOf(p, scope)
		if err != nil {
			return err
		}
		set(&s.Name, patch.Name)
		if patch.Parent != nil && *patch.Parent != cmp.Or(s.Parent, access.Everywhere) {
			s.Parent = *patch.Parent
		}
		node = *s
		return soundTree(p, scope)
	})
	return node, revision, err
}

func (patch *ScopePatch) valid() error {
	if patch.Name != nil && *patch.Name != "" {
		if err := access.ValidName("name", *patch.Name); err != nil {
			return err
		}
	}
	if patch.Parent == nil {
		return nil
	}
	return access.ValidScope("parent", *patch.Parent)
}

// DeleteScope takes a scope away. That is refused while something lies in it or
// names it, and the error says what.
func (d *Directory) DeleteScope(ctx context.Context, caller access.Caller, tenant string, scope access.Scope, c access.Change) (access.Revision, error) {
	if err := validNode(scope); err != nil {
		return 0, err
	}
	need := Need{Part: "Stores", Action: "delete", Scope: scope}
	return d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		if _, err := scopeOf(p, scope); err != nil {
			return err
		}
		users, err := namedIn(t, p, scope)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return scopeConflict("scope", "%q is named by %s", scope, listed(users))
		}
		p.Scopes = slices.DeleteFunc(p.Scopes, func(s access.ScopeNode) bool { return s.Scope == scope })
		return forget(t, scope)
	})
}

// namedIn lists what names a scope.
func namedIn(t access.Draft, p *access.Policy, scope access.Scope) ([]string, error) {
	var all []string
	for _, s := range p.Scopes {
		if s.Parent == scope {
			all = append(all, "scope "+string(s.Scope))
		}
	}
	for _, g := range p.Groups {
		if slices.Contains(g.Scopes, scope) || isIn(scope, g.Grants, g.Roles) {
			all = append(all, "group "+g.Code)
		}
	}
	for _, r := range p.Roles {
		if isIn(scope, r.Grants, r.Roles) {
			all = append(all, "role "+r.Code)
		}
	}
	for _, a := range p.Catalogue {
		if isIn(scope, a.Grants, a.Groups, a.Roles) {
			all = append(all, "application "+a.Code)
		}
	}
	for _, r := range p.Rules {
		if slices.Contains(r.Values, string(scope)) {
			all = append(all, "the plain line "+r.String())
		}
	}
	err := t.EachUser(func(u access.User) error {
		if u.Status != access.UserDeleted && (u.Home == scope || isIn(scope, u.Grants, u.Groups, u.Roles)) {
			all = append(all, "user "+u.ID)
		}
		return nil
	})
	return all, err
}

func isIn(scope access.Scope, grants []access.Grant, links ...[]access.Link) bool {
	return slices.ContainsFunc(grants, func(g access.Grant) bool { return g.Scope == scope }) ||
		slices.ContainsFunc(slices.Concat(links...), func(l access.Link) bool { return l.Scope == scope })
}

// forget takes from deleted accounts what they had in a scope that is gone: whoever
// is restored must not come to hold it in another scope of the same name.
func forget(t access.Draft, scope access.Scope) error {
	var users []access.User
	err := t.EachUser(func(u access.User) error {
		if isIn(scope, u.Grants, u.Groups, u.Roles) {
			u.Grants = slices.DeleteFunc(u.Grants, func(g access.Grant) bool { return g.Scope == scope })
			u.Groups = slices.DeleteFunc(u.Groups, func(l access.Link) bool { return l.Scope == scope })
			u.Roles = slices.DeleteFunc(u.Roles, func(l access.Link) bool { return l.Scope == scope })
			users = append(users, u)
		}
		return nil
	})
	for _, u := range users {
		t.PutUser(u)
	}
	return err
}

// withdrawn refuses to take a scope from a group that still holds something in
// that very scope, such as the right to approve its orders.
func withdrawn(p *access.Policy, g *access.Group) error {
	if g.Scopes == nil {
		return nil
	}
	parents := parentsOf(p.Scopes)
	above := func(s access.Scope) access.Scope { return parents[s] }
	lost := func(s access.Scope) bool {
		_, there := parents[s]
		return there && !slices.ContainsFunc(g.Scopes, func(top access.Scope) bool { return access.LiesIn(s, top, above) })
	}
	var held []string
	for i := range g.Grants {
		if lost(g.Grants[i].Scope) {
			held = append(held, inWords(&g.Grants[i]))
		}
	}
	for _, l := range g.Roles {
		if lost(l.Scope) {
			held = append(held, fmt.Sprintf("the role %s at %s", l.To, l.Scope))
		}
	}
	if len(held) > 0 {
		return scopeConflict("scopes", "the group would lose a scope in which it still has %s; take that away first", listed(held))
	}
	return nil
}
