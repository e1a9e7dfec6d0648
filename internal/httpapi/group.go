package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const groupPath = "/v1/tenants/{tenant}/groups"

// changeText is what holds for changes of the directory.
const changeText = "Nobody gives what he does not hold, and nobody touches what holds more than he does: 403, and nothing has changed. What was changed decides when the answer is sent. "

// groupParams choose which groups a list has.
var groupParams = append([]param{
	qParam,
	{name: "kind", oneOf: []string{"default", "template", "regular"}, text: "Only groups of this kind."},
	{name: "base", text: "Only groups that are based on the group with this code."},
	sortParam("default groups come first, then templates, and among them names decide", "name", "code", "kind", "members"),
	{name: "view", oneOf: []string{"grid", "tree"}, text: "A list, or the tree; the list when left out."},
	{name: "node", text: "Only the tree below the group with this code; all when left out."},
	{name: "depth", kind: numberParam, max: access.MaxInheritance, text: "How many levels of the tree; all when 0 or left out."},
}, pageParams...)

var groupRoutes = []route{
	{
		method: http.MethodGet, path: groupPath, tenant: true, need: access.KeyRead,
		serve: (*call).listGroups, tag: "Directory", summary: "List groups",
		query:  groupParams,
		text:   "With view=tree the answer is the tree of groups by what they are based on.",
		answer: api.Groups{}, also: api.GroupTree{},
	},
	{
		method: http.MethodPost, path: groupPath, tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).createGroup, tag: "Directory", summary: "Create a group",
		text: changeText, body: api.NewGroup{}, answer: api.Group{}, status: http.StatusCreated,
	},
	{
		method: http.MethodGet, path: groupPath + "/{code}", tenant: true, need: access.KeyRead,
		serve: (*call).showGroup, tag: "Directory", summary: "Show a group", answer: api.Group{},
	},
	{
		method: http.MethodPatch, path: groupPath + "/{code}", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).patchGroup, tag: "Directory", summary: "Change a group",
		text: changeText + "409 where the new base would make a circle or a chain that is too deep; the detail shows it.",
		body: api.GroupPatch{}, answer: api.Group{},
	},
	{
		method: http.MethodDelete, path: groupPath + "/{code}", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).deleteGroup, tag: "Directory", summary: "Delete a group",
		query:  append(editParams, moveToParam),
		text:   changeText + "409 while it is somebody's only group: the details name the users. With move_to=<code> in the query they come to be in that group by the same revision. Also 409 while groups are based on it, and for default groups and templates.",
		answer: api.DirectoryChanged{},
	},
	{
		method: http.MethodPut, path: groupPath + "/{code}/rights", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).putRights, tag: "Directory", summary: "Replace the own rights of a group",
		text: changeText, body: api.Rights{}, answer: api.Group{},
	},
	{
		method: http.MethodGet, path: groupPath + "/{code}/permissions", tenant: true, need: access.KeyRead,
		serve: (*call).groupPermissions, tag: "Directory", summary: "Show what members of a group may do, and where it comes from",
		answer: api.Permissions{},
	},
	{
		method: http.MethodGet, path: groupPath + "/{code}/summary", tenant: true, need: access.KeyRead,
		serve: (*call).groupSummary, tag: "Directory", summary: "Say what it means to be in a group",
		text:   "Whom its members manage, what they are shown and which scopes they reach, from the policy that decides now.",
		answer: api.GroupSummary{},
	},
	{
		method: http.MethodGet, path: groupPath + "/{code}/members", tenant: true, need: access.KeyRead,
		serve: (*call).listMembers, tag: "Directory", summary: "List the members of a group",
		query:  pageParams,
		text:   "In the order of their ids.",
		answer: api.Members{},
	},
	{
		method: http.MethodPost, path: groupPath + "/{code}/members", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).addMembers, tag: "Directory", summary: "Put users into a group",
		text: changeText, body: api.NewMembers{}, answer: api.DirectoryChanged{},
	},
	{
		method: http.MethodPost, path: groupPath + "/{code}/members/move", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).moveMembers, tag: "Directory", summary: "Take users out of a group, or move them to another one",
		text: changeText + "409 for those who would be left without a group.",
		body: api.MovedMembers{}, answer: api.DirectoryChanged{},
	},
	{
		method: http.MethodDelete, path: groupPath + "/{code}/members/{user}", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).removeMember, tag: "Directory", summary: "Take a user out of a group",
		query:  append(editParams, moveToParam),
		text:   changeText + "409 where it is his only one, unless move_to=<code> is in the query.",
		answer: api.DirectoryChanged{},
	},
}

// groupMembers are the fields of a group that can be written.
var groupMembers = []string{"name", "description", "kind", "base", "roles", "grants", "signature", "reach", "scopes", "manages", "attributes"}

var (
	groupNames     = names{known: slices.Concat([]string{"code"}, groupMembers, editMembers), closed: true}
	patchNames     = names{known: slices.Concat(groupMembers, editMembers), closed: true}
	rightsNames    = names{known: slices.Concat([]string{"grants"}, editMembers), closed: true}
	membersNames   = names{known: slices.Concat([]string{"members"}, editMembers), closed: true}
	newMemberNames = names{known: []string{"user", "first", "scope", "from", "until"}, closed: true}
	moveNames      = names{known: slices.Concat([]string{"users", "move_to"}, editMembers), closed: true}
)

// groupBody is what a body says of a group.
type groupBody struct {
	code   string
	patch  service.GroupPatch
	reach  string
	scopes []access.Scope
	given  map[string]bool
	edit   api.Edit
}

func (c *call) readGroup(n *names) (*groupBody, error) {
	b := &groupBody{given: map[string]bool{}}
	err := c.read(func(r *reader) error {
		return r.object("", n, func(name string) error {
			b.given[name] = true
			return r.groupMember(name, b)
		})
	})
	if err == nil {
		err = b.ceiling()
	}
	return b, err
}

func (r *reader) groupMember(name string, b *groupBody) error {
	switch name {
	case "code":
		return r.text(name, &b.code)
	case "name":
		return r.optional(name, maxIDBytes, &b.patch.Name)
	case "description":
		b.patch.Description = new(string)
		if r.null() {
			return nil
		}
		return r.prose(name, b.patch.Description)
	case "base":
		return r.optional(name, maxIDBytes, &b.patch.Base)
	case "signature":
		return r.optional(name, maxSignature, &b.patch.Signature)
	case "kind":
		b.patch.Kind = new(access.GroupKind)
		if r.null() {
			return nil
		}
		return r.text(name, (*string)(b.patch.Kind))
	case "roles":
		b.patch.Roles = new([]access.Link)
		if r.null() {
			return nil
		}
		return r.links(name, b.patch.Roles)
	case "grants":
		b.patch.Grants = new([]access.Grant)
		if r.null() {
			return nil
		}
		return r.grants(name, b.patch.Grants)
	case "reach":
		if r.null() {
			return nil
		}
		return r.text(name, &b.reach)
	case "scopes":
		return r.scopes(name, &b.scopes)
	case "manages":
		return r.manages(name, &b.patch.Manages)
	case "attributes":
		return r.attributes(name, &b.patch.Attributes)
	}
	return r.edit(name, &b.edit)
}

// optional reads a text that null makes empty.
func (r *reader) optional(field string, limit int, to **string) error {
	*to = new(string)
	if r.null() {
		return nil
	}
	return r.textUpTo(field, limit, *to)
}

// manages keeps the difference between null, which bounds nothing, and nobody.
func (r *reader) manages(field string, to **[]string) error {
	*to = new([]string)
	if r.null() {
		return nil
	}
	**to = []string{}
	return r.list(field, func(i int) error {
		var code string
		err := r.text(fmt.Sprintf("%s[%d]", field, i), &code)
		**to = append(**to, code)
		return err
	})
}

func (r *reader) scopes(field string, to *[]access.Scope) error {
	if r.null() {
		return nil
	}
	return r.list(field, func(i int) error {
		var s string
		err := r.text(fmt.Sprintf("%s[%d]", field, i), &s)
		*to = append(*to, access.Scope(s))
		return err
	})
}

// ceiling makes one of reach and scopes. The selected scopes alone mean selected.
func (b *groupBody) ceiling() error {
	if !b.given["reach"] && !b.given["scopes"] {
		return nil
	}
	if b.reach == "" && len(b.scopes) > 0 {
		b.reach = "selected"
	}
	scopes := []access.Scope(nil)
	switch b.reach {
	case "", "all":
	case "none":
		scopes = []access.Scope{}
	case "selected":
		scopes = b.scopes
		if len(scopes) == 0 {
			return access.Invalid("scopes", "names no scope, and reach is selected")
		}
	default:
		return access.Invalid("reach", "%q is none of all, selected, none", b.reach)
	}
	if b.reach != "selected" && len(b.scopes) > 0 {
		return access.Invalid("scopes", "are only for reach selected")
	}
	b.patch.Scopes = &scopes
	return nil
}

func (c *call) createGroup() error {
	b, err := c.readGroup(&groupNames)
	if err != nil {
		return err
	}
	g := access.Group{Code: b.code}
	b.patch.Apply(&g)
	return made(c, http.StatusCreated, c.changeOf(b.edit), func(change access.Change) (service.GroupEntry, access.Revision, error) {
		return c.directory().CreateGroup(c.ctx(), c.caller, c.tenant, g, change)
	}, groupOf)
}

func (c *call) patchGroup() error {
	b, err := c.readGroup(&patchNames)
	if err != nil {
		return err
	}
	g, revision, err := c.directory().PatchGroup(c.ctx(), c.caller, c.tenant, c.g.Param("code"), b.patch, c.changeOf(b.edit))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, groupOf(&g, revision))
}

func (c *call) showGroup() error {
	g, revision, err := c.directory().Group(c.ctx(), c.caller, c.tenant, c.g.Param("code"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, groupOf(&g, revision))
}

func groupOf(g *service.GroupEntry, revision access.Revision) api.Group {
	w := api.Group{Code: g.Code, Members: g.Members, Children: g.Children, Revision: uint64(revision)}
	w.GroupFields = api.GroupFields{
		Name: g.Name, Description: g.Description, Kind: string(cmp.Or(g.Kind, access.GroupRegular)), Base: g.Base,
		Roles: roleLinksOf(g.Roles), Grants: rightsOf(g.Grants), Signature: g.Signature, Attributes: g.Attributes, Manages: g.Manages, Reach: "all",
	}
	if g.Scopes != nil {
		w.Reach = "none"
	}
	for _, s := range g.Scopes {
		w.Reach = "selected"
		w.Scopes = append(w.Scopes, string(s))
	}
	return w
}

func (c *call) putRights() error {
	var b groupBody
	given := false
	err := c.read(func(r *reader) error {
		return r.object("", &rightsNames, func(name string) error {
			given = given || name == "grants"
			return r.groupMember(name, &b)
		})
	})
	if err == nil && !given {
		err = access.Invalid("grants", "is required")
	}
	if err != nil {
		return err
	}
	g, revision, err := c.directory().GroupRights(c.ctx(), c.caller, c.tenant, c.g.Param("code"), *b.patch.Grants, c.changeOf(b.edit))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, groupOf(&g, revision))
}

func (c *call) deleteGroup() error {
	moved, revision, err := c.directory().DeleteGroup(c.ctx(), c.caller, c.tenant, c.g.Param("code"), c.word("move_to"), c.changeAsked())
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, api.DirectoryChanged{Revision: uint64(revision), Moved: moved})
}

func (c *call) listGroups() error {
	tree := c.word("view") == "tree"
	others, of := []string{"node", "depth"}, "only for view=tree"
	if tree {
		others, of = []string{"q", "kind", "base", "sort", "page_size", "page_token"}, "not for view=tree, which shows all"
	}
	for _, name := range others {
		if _, given := c.query[name]; given { // passed over, it would be taken for obeyed
			return access.Invalid(name, "is %s", of)
		}
	}
	if tree {
		return c.groupTree()
	}
	page, err := c.directory().Groups(c.ctx(), c.caller, c.tenant, service.GroupQuery{
		Q: c.word("q"), Kind: access.GroupKind(c.word("kind")), Base: c.word("base"),
		Sort: c.word("sort"), Page: c.page(),
	})
	if err != nil {
		return err
	}
	w := api.Groups{Groups: make([]api.Group, len(page.Groups)), Total: page.Total, NextPageToken: page.Next, Revision: uint64(page.Revision)}
	for i := range page.Groups {
		w.Groups[i] = groupOf(&page.Groups[i], 0)
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) groupTree() error {
	tree, revision, err := c.directory().GroupTree(c.ctx(), c.caller, c.tenant, c.word("node"), c.number("depth"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, api.GroupTree{Groups: nodesOf(tree), Revision: uint64(revision)})
}

func nodesOf(nodes []service.GroupNode) []api.GroupNode {
	all := []api.GroupNode{}
	for i := range nodes {
		n := &nodes[i]
		w := api.GroupNode{
			Code: n.Code, Name: n.Name, Kind: string(cmp.Or(n.Kind, access.GroupRegular)), Members: n.Members, Children: n.Children,
		}
		if len(n.Nodes) > 0 {
			w.Groups = nodesOf(n.Nodes)
		}
		all = append(all, w)
	}
	return all
}

func (c *call) groupPermissions() error {
	p, err := c.directory().GroupPermissions(c.ctx(), c.caller, c.tenant, c.g.Param("code"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, permissionsOf(&p))
}

func (c *call) userPermissions() error {
	p, err := c.directory().UserPermissions(c.ctx(), c.caller, c.tenant, c.g.Param("id"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, permissionsOf(&p))
}

func (c *call) groupSummary() error {
	sum, err := c.directory().GroupSummary(c.ctx(), c.caller, c.tenant, c.g.Param("code"))
	if err != nil {
		return err
	}
	g := &sum.Group
	w := api.GroupSummary{
		Code: g.Code, Name: g.Name, Description: g.Description, Members: g.Members,
		Manages: []api.GroupName{}, Views: []api.SectionName{}, Reach: "none", Revision: uint64(sum.Revision),
	}
	for _, m := range sum.Manages {
		w.Manages = append(w.Manages, api.GroupName{Code: m.Code, Name: m.Name})
	}
	for _, v := range sum.Views {
		w.Views = append(w.Views, api.SectionName{Section: string(v.Path), Name: v.Name})
	}
	for _, s := range sum.Scopes {
		if s == access.Everywhere {
			w.Reach = "all"
			continue
		}
		w.Reach = "selected"
		w.Scopes = append(w.Scopes, string(s))
	}
	return c.reply(http.StatusOK, w)
}

func permissionsOf(p *service.Permissions) api.Permissions {
	w := api.Permissions{Superuser: p.Superuser, Permissions: []api.Permission{}, Revision: uint64(p.Revision)}
	for _, r := range p.Reached {
		if r.Rule.Values[0] == access.SuperuserRole {
			continue // it stands for itself
		}
		permission := api.Permission{Origin: "own", Right: api.Right{
			Section: string(r.Holding.Section), Rights: r.Holding.Act.Rights.Names(), Crud: int(r.Holding.Act.Rights),
			Scope: narrow(r.Holding.Scope), Effect: string(r.Holding.Effect), Condition: p.Conditions[r.Holding.Condition], Term: termOf(r.Rule.Validity),
		}}
		if r.Holding.Act.Name != "" {
			permission.Rights = append(permission.Rights, r.Holding.Act.Name)
		}
		for _, link := range r.Path {
			permission.Via = append(permission.Via, holderOf(link.Values[1]))
		}
		if n := len(permission.Via); n > 0 {
			permission.Origin = permission.Via[n-1]
		}
		w.Permissions = append(w.Permissions, permission)
	}
	return w
}

// holderOf writes the name of a group or role for people: "group:sales".
func holderOf(name string) string {
	if code, ok := strings.CutPrefix(name, "g:"); ok {
		return "group:" + code
	}
	return "role:" + strings.TrimPrefix(name, "r:")
}

func (c *call) listMembers() error {
	page, err := c.directory().Members(c.ctx(), c.caller, c.tenant, c.g.Param("code"), c.page())
	if err != nil {
		return err
	}
	w := api.Members{Members: make([]api.Member, len(page.Members)), Total: page.Total, NextPageToken: page.Next, Revision: uint64(page.Revision)}
	for i, m := range page.Members {
		w.Members[i] = api.Member{
			User: m.User.ID, Name: m.User.Name, Email: m.User.Email, Status: string(cmp.Or(m.User.Status, access.UserActive)), Place: m.Place,
		}
		for _, l := range m.Within {
			w.Members[i].Within = append(w.Members[i].Within, api.Within{Scope: narrow(l.Scope), Term: termOf(l.Validity)})
		}
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) addMembers() error {
	var members []service.NewMember
	var edit api.Edit
	err := c.read(func(r *reader) error {
		return r.object("", &membersNames, func(name string) error {
			if name != "members" {
				return r.edit(name, &edit)
			}
			return r.newMembers(name, &members)
		})
	})
	if err == nil && len(members) == 0 {
		err = access.Invalid("members", "is required")
	}
	if err != nil {
		return err
	}
	return c.alone(c.changeOf(edit), func(change access.Change) (access.Revision, error) {
		return c.directory().AddMembers(c.ctx(), c.caller, c.tenant, c.g.Param("code"), members, change)
	})
}

func (c *call) changed(revision access.Revision, err error) error {
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, api.DirectoryChanged{Revision: uint64(revision)})
}

func (r *reader) newMembers(field string, to *[]service.NewMember) error {
	return r.listUpTo(field, maxGrants, func(i int) error {
		at := fmt.Sprintf("%s[%d].", field, i)
		var m service.NewMember
		err := r.object(at[:len(at)-1], &newMemberNames, func(name string) error {
			switch name {
			case "user":
				return r.text(at+name, &m.ID)
			case "first":
				return r.flag(at+name, &m.First)
			case "scope":
				return r.text(at+name, (*string)(&m.Scope))
			case "from":
				return r.moment(at+name, &m.Validity.From)
			}
			return r.moment(at+name, &m.Validity.Until)
		})
		*to = append(*to, m)
		return err
	})
}

func (c *call) moveMembers() error {
	var w api.MovedMembers
	err := c.read(func(r *reader) error {
		return r.object("", &moveNames, func(name string) error {
			switch name {
			case "users":
				return r.list(name, func(i int) error {
					var id string
					err := r.text(fmt.Sprintf("users[%d]", i), &id)
					w.Users = append(w.Users, id)
					return err
				})
			case "move_to":
				return r.text(name, &w.MoveTo)
			}
			return r.edit(name, &w.Edit)
		})
	})
	if err == nil && (len(w.Users) == 0 || len(w.Users) > maxGrants) {
		err = access.Invalid("users", "must name 1 to %d users", maxGrants)
	}
	if err != nil {
		return err
	}
	return c.alone(c.changeOf(w.Edit), func(change access.Change) (access.Revision, error) {
		return c.directory().RemoveMembers(c.ctx(), c.caller, c.tenant, c.g.Param("code"), w.Users, w.MoveTo, change)
	})
}

func (c *call) removeMember() error {
	revision, err := c.directory().RemoveMembers(c.ctx(), c.caller, c.tenant, c.g.Param("code"), []string{c.g.Param("user")}, c.word("move_to"), c.changeAsked())
	return c.changed(revision, err)
}
