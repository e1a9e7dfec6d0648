package httpapi

import (
	"net/http"
	"slices"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const rolePath = "/v1/tenants/{tenant}/roles"

var roleRoutes = []route{
	{
		method: http.MethodGet, path: rolePath, tenant: true, need: access.KeyRead,
		serve: (*call).listRoles, tag: "Directory", summary: "List roles",
		query:  append([]param{qParam, sortParam("code", "code", "name")}, pageParams...),
		answer: api.Roles{},
	},
	{
		method: http.MethodPost, path: rolePath, tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).createRole, tag: "Directory", summary: "Create a role",
		text: changeText, body: api.NewRole{}, answer: api.Role{}, status: http.StatusCreated,
	},
	{
		method: http.MethodGet, path: rolePath + "/{code}", tenant: true, need: access.KeyRead,
		serve: (*call).showRole, tag: "Directory", summary: "Show a role", answer: api.Role{},
	},
	{
		method: http.MethodPatch, path: rolePath + "/{code}", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).patchRole, tag: "Directory", summary: "Change a role",
		text: changeText, body: api.RolePatch{}, answer: api.Role{},
	},
	{
		method: http.MethodDelete, path: rolePath + "/{code}", tenant: true, need: access.KeyAdmin, change: true,
		query: editParams,
		serve: (*call).deleteRole, tag: "Directory", summary: "Delete a role",
		text: changeText + "409 while anybody holds it; the detail says who.", answer: api.DirectoryChanged{},
	},
	{
		method: http.MethodGet, path: rolePath + "/{code}/permissions", tenant: true, need: access.KeyRead,
		serve: (*call).rolePermissions, tag: "Directory", summary: "Show what a role gives, and where it comes from",
		answer: api.Permissions{},
	},
}

var roleMembers = []string{"name", "description", "roles", "grants"}

var (
	roleNames      = names{known: slices.Concat([]string{"code"}, roleMembers, editMembers), closed: true}
	rolePatchNames = names{known: slices.Concat(roleMembers, editMembers), closed: true}
)

// readRole reads what a body says of a role: fewer things than of a group, and
// the same of those.
func (c *call) readRole(n *names) (code string, patch service.RolePatch, edit api.Edit, err error) {
	b, err := c.readGroup(n)
	patch = service.RolePatch{Name: b.patch.Name, Description: b.patch.Description, Roles: b.patch.Roles, Grants: b.patch.Grants}
	return b.code, patch, b.edit, err
}

func (c *call) createRole() error {
	code, patch, edit, err := c.readRole(&roleNames)
	if err != nil {
		return err
	}
	role := access.Role{Code: code}
	patch.Apply(&role)
	return made(c, http.StatusCreated, c.changeOf(edit), func(change access.Change) (service.RoleEntry, access.Revision, error) {
		return c.directory().CreateRole(c.ctx(), c.caller, c.tenant, role, change)
	}, roleOf)
}

func (c *call) patchRole() error {
	_, patch, edit, err := c.readRole(&rolePatchNames)
	if err != nil {
		return err
	}
	r, revision, err := c.directory().PatchRole(c.ctx(), c.caller, c.tenant, c.g.Param("code"), patch, c.changeOf(edit))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, roleOf(&r, revision))
}

func (c *call) showRole() error {
	r, revision, err := c.directory().Role(c.ctx(), c.caller, c.tenant, c.g.Param("code"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, roleOf(&r, revision))
}

func roleOf(r *service.RoleEntry, revision access.Revision) api.Role {
	w := api.Role{Code: r.Code, Members: r.Members, Groups: r.Groups, Revision: uint64(revision)}
	w.RoleFields = api.RoleFields{Name: r.Name, Description: r.Description, Roles: roleLinksOf(r.Roles), Grants: rightsOf(r.Grants)}
	return w
}

func (c *call) deleteRole() error {
	revision, err := c.directory().DeleteRole(c.ctx(), c.caller, c.tenant, c.g.Param("code"), c.changeAsked())
	return c.changed(revision, err)
}

func (c *call) listRoles() error {
	page, err := c.directory().Roles(c.ctx(), c.caller, c.tenant, service.RoleQuery{
		Q: c.word("q"), Sort: c.word("sort"), Page: c.page(),
	})
	if err != nil {
		return err
	}
	w := api.Roles{Roles: make([]api.Role, len(page.Roles)), Total: page.Total, NextPageToken: page.Next, Revision: uint64(page.Revision)}
	for i := range page.Roles {
		w.Roles[i] = roleOf(&page.Roles[i], 0)
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) rolePermissions() error {
	p, err := c.directory().RolePermissions(c.ctx(), c.caller, c.tenant, c.g.Param("code"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, permissionsOf(&p))
}
