package httpapi

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const scopePath = "/v1/tenants/{tenant}/scopes"

var scopeRoutes = []route{
	{
		method: http.MethodGet, path: scopePath, tenant: true, need: access.KeyRead,
		serve: (*call).listScopes, tag: "Directory", summary: "Show the tree of companies, stores and what lies in them",
		answer: api.Scopes{},
	},
	{
		method: http.MethodPost, path: scopePath, tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).createScope, tag: "Directory", summary: "Create a scope, with groups of its own where that is wanted",
		text: changeText + "Rights on all scopes include the new one at once. A group is called like the scope and the attribute store_group of the group it is based on, for instance eu-1-registered, and reaches this scope alone.",
		body: api.NewScope{}, answer: api.CreatedScope{}, status: http.StatusCreated,
	},
	{
		method: http.MethodGet, path: scopePath + "/{scope}", tenant: true, need: access.KeyRead,
		serve: (*call).showScope, tag: "Directory", summary: "Show a scope", answer: api.ScopeNode{},
	},
	{
		method: http.MethodPatch, path: scopePath + "/{scope}", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).patchScope, tag: "Directory", summary: "Rename or move a scope",
		text: changeText + "Only superusers move scopes. 409 where that would make a circle, or a tree that is too deep.",
		body: api.ScopePatch{}, answer: api.ScopeNode{},
	},
	{
		method: http.MethodDelete, path: scopePath + "/{scope}", tenant: true, need: access.KeyAdmin, change: true,
		query: editParams,
		serve: (*call).deleteScope, tag: "Directory", summary: "Delete a scope",
		text:   changeText + "409 while scopes lie in it, or rights, memberships or groups name it: the detail lists them.",
		answer: api.DirectoryChanged{},
	},
}

var (
	newScopeNames   = names{known: slices.Concat([]string{"scope", "parent", "name", "groups", "code"}, editMembers), closed: true}
	scopePatchNames = names{known: slices.Concat([]string{"parent", "name"}, editMembers), closed: true}
)

func (c *call) listScopes() error {
	tree, revision, err := c.directory().Scopes(c.ctx(), c.caller, c.tenant)
	if err != nil {
		return err
	}
	w := api.Scopes{Scopes: scopesOf(tree), Revision: uint64(revision)}
	if w.Scopes == nil {
		w.Scopes = []api.ScopeNode{}
	}
	return c.reply(http.StatusOK, w)
}

func scopesOf(tree []service.ScopeTree) []api.ScopeNode {
	var all []api.ScopeNode
	for _, s := range tree {
		n := nodeOf(s.ScopeNode, 0)
		n.Scopes = scopesOf(s.Below)
		all = append(all, n)
	}
	return all
}

func nodeOf(s access.ScopeNode, revision access.Revision) api.ScopeNode {
	return api.ScopeNode{
		Scope: string(s.Scope), Parent: string(cmp.Or(s.Parent, access.Everywhere)), Name: s.Name, Revision: uint64(revision),
	}
}

func (c *call) createScope() error {
	var n service.NewScope
	var edit api.Edit
	err := c.read(func(r *reader) error {
		return r.object("", &newScopeNames, func(name string) error {
			switch name {
			case "scope":
				return r.text(name, (*string)(&n.Scope))
			case "parent":
				return r.text(name, (*string)(&n.Parent))
			case "name":
				return r.text(name, &n.Name)
			case "groups":
				return r.flag(name, &n.Groups)
			case "code":
				return r.text(name, &n.Code)
			}
			return r.edit(name, &edit)
		})
	})
	if err != nil {
		return err
	}
	return made(c, http.StatusCreated, c.changeOf(edit), func(change access.Change) ([]string, access.Revision, error) {
		return c.directory().CreateScope(c.ctx(), c.caller, c.tenant, n, change)
	}, func(groups *[]string, revision access.Revision) api.CreatedScope {
		s := access.ScopeNode{Scope: n.Scope, Parent: n.Parent, Name: n.Name}
		return api.CreatedScope{ScopeNode: nodeOf(s, revision), Groups: *groups}
	})
}

func (c *call) showScope() error {
	s, revision, err := c.directory().Scope(c.ctx(), c.caller, c.tenant, access.Scope(c.g.Param("scope")))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, nodeOf(s, revision))
}

func (c *call) patchScope() error {
	var patch service.ScopePatch
	var edit api.Edit
	err := c.read(func(r *reader) error {
		return r.object("", &scopePatchNames, func(name string) error {
			switch name {
			case "name":
				return r.optional(name, maxIDBytes, &patch.Name)
			case "parent":
				patch.Parent = new(access.Scope)
				return r.text(name, (*string)(patch.Parent))
			}
			return r.edit(name, &edit)
		})
	})
	if err != nil {
		return err
	}
	s, revision, err := c.directory().PatchScope(c.ctx(), c.caller, c.tenant, access.Scope(c.g.Param("scope")), patch, c.changeOf(edit))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, nodeOf(s, revision))
}

func (c *call) deleteScope() error {
	revision, err := c.directory().DeleteScope(c.ctx(), c.caller, c.tenant, access.Scope(c.g.Param("scope")), c.changeAsked())
	return c.changed(revision, err)
}
