package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const (
	userPath = "/v1/tenants/{tenant}/users"
	onePath  = userPath + "/{id}"
)

// maxUserBulk is how large the body of a bulk change may be.
const maxUserBulk = 8 << 20

var userRoutes = []route{
	{
		method: http.MethodGet, path: userPath, tenant: true, need: access.KeyRead,
		serve: (*call).listUsers, tag: "Directory", summary: "List accounts",
		query: userParams, text: listUsersText, answer: api.Users{},
	},
	{
		method: http.MethodPost, path: userPath, tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).createUser, tag: "Directory", summary: "Create an account",
		text: changeText + "Without a group it is put into the tenant's only group of kind default; where there are several, into none.",
		body: api.NewUser{}, answer: api.User{}, status: http.StatusCreated,
	},
	{
		method: http.MethodPost, path: userPath + ":bulk", tenant: true, need: access.KeyAdmin, change: true, limit: maxUserBulk, time: time.Minute,
		serve: (*call).bulkUsers, tag: "Directory", summary: "Change many accounts as one revision",
		text: changeText + "At most 1000 operations, in their order, all or none. copy_rights gives an account the groups, roles, rights and switched-off applications of another one.",
		body: api.UserOperations{}, answer: api.UsersChanged{},
	},
	{
		method: http.MethodGet, path: onePath, tenant: true, need: access.KeyRead,
		serve: (*call).showUser, tag: "Directory", summary: "Show an account", answer: api.User{},
	},
	{
		method: http.MethodGet, path: groupPath + "/{code}/users/{id}", tenant: true, need: access.KeyRead,
		serve: (*call).showMember, tag: "Directory", summary: "Show an account by way of one of its groups", answer: api.User{},
	},
	{
		method: http.MethodPatch, path: onePath, tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).patchUser, tag: "Directory", summary: "Change an account",
		text: changeText + "Nobody is taken out of his last group: 409.", body: api.UserPatch{}, answer: api.User{},
	},
	{
		method: http.MethodDelete, path: onePath, tenant: true, need: access.KeyAdmin, change: true,
		query: append([]param{{name: "hand_over_to", text: "Id of the account that takes over what this one is responsible for."}}, editParams...),
		serve: (*call).deleteUser, tag: "Directory", summary: "Delete an account",
		text: changeText + "It can be restored for a while, and is listed with status=deleted. Then all but its id, its successor and the moments is taken away from it.", answer: api.User{},
	},
	{
		method: http.MethodPost, path: onePath + ":hand-over", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).handOver, tag: "Directory", summary: "Say who took over from a deleted account",
		text: changeText + "Applications that find the account deleted find its successor in it. He gets no right by it: copy_rights does that.",
		body: api.HandOver{}, answer: api.User{},
	},
	actRoute(":restore", "Restore a deleted account",
		"It comes back disabled, with what it had as far as that still exists. 409 where somebody else has its e-mail by now, 410 when the time for it is over.",
		func(c *call, id string, change access.Change) (access.User, access.Revision, error) {
			return c.directory().RestoreUser(c.ctx(), c.caller, c.tenant, id, change)
		}),
	actRoute(":activate", "Let a disabled account act again", "",
		func(c *call, id string, change access.Change) (access.User, access.Revision, error) {
			return c.directory().ActivateUser(c.ctx(), c.caller, c.tenant, id, change)
		}),
	actRoute(":deactivate", "Deny an account everything",
		"It keeps all that it has. 409 for the own account, and for the last superuser.",
		func(c *call, id string, change access.Change) (access.User, access.Revision, error) {
			return c.directory().DeactivateUser(c.ctx(), c.caller, c.tenant, id, change)
		}),
	inviteRoute(":invite", "Invite an account that is disabled, or once more one that is invited", (*service.Directory).InviteUser),
	inviteRoute(":resend", "Send an invitation again", (*service.Directory).ResendInvitation),
	fieldRoute(http.MethodPut, "/groups", "groups", api.UserGroups{}, "Replace the groups of an account, in their order", func(b *userBody) service.UserAct { return b.patch.Act }),
	fieldRoute(http.MethodPost, "/groups:add", "groups", api.UserGroups{}, "Put an account into groups, all or none", func(b *userBody) service.UserAct { return service.AddGroups(*b.patch.Groups) }),
	fieldRoute(http.MethodPost, "/groups:remove", "groups", api.UserGroups{}, "Take an account out of groups, all or none", func(b *userBody) service.UserAct { return service.RemoveGroups(codesOf(*b.patch.Groups)) }),
	fieldRoute(http.MethodPost, "/groups:reorder", "groups", api.UserGroups{}, "Say in which order an account is in its groups", func(b *userBody) service.UserAct { return service.OrderGroups(codesOf(*b.patch.Groups)) }),
	fieldRoute(http.MethodPut, "/roles", "roles", api.UserRoles{}, "Replace the roles of an account", func(b *userBody) service.UserAct { return b.patch.Act }),
	fieldRoute(http.MethodPost, "/roles:add", "roles", api.UserRoles{}, "Give an account roles, all or none", func(b *userBody) service.UserAct { return service.AddRoles(*b.patch.Roles) }),
	fieldRoute(http.MethodPost, "/roles:remove", "roles", api.UserRoles{}, "Take roles from an account, all or none", func(b *userBody) service.UserAct { return service.RemoveRoles(codesOf(*b.patch.Roles)) }),
	fieldRoute(http.MethodPut, "/grants", "grants", api.UserRights{}, "Replace the own rights and prohibitions of an account", func(b *userBody) service.UserAct { return b.patch.Act }),
	fieldRoute(http.MethodPut, "/menu", "menu", api.UserMenu{}, "Choose what is in the menu of an account", func(b *userBody) service.UserAct { return b.patch.Act }),
	fieldRoute(http.MethodPost, "/licences:add", "licences", api.UserLicences{}, "Give an account seats of licences; 409 where none is left", func(b *userBody) service.UserAct { return service.AddLicences(*b.patch.Licences) }),
	fieldRoute(http.MethodPost, "/licences:remove", "licences", api.UserLicences{}, "Take seats of licences from an account", func(b *userBody) service.UserAct { return service.RemoveLicences(*b.patch.Licences) }),
	{
		method: http.MethodPut, path: onePath + "/applications/{application}", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).switchApplication, tag: "Directory", summary: "Switch an application on or off for an account",
		text: changeText, body: api.ApplicationAccess{}, answer: api.User{},
	},
}

const listUsersText = "Deleted accounts are listed with status=deleted only. " +
	"What the caller may not see is neither listed nor counted; a page may be shorter than asked for then."

// maxCodes bounds a list of codes in a query, in bytes.
const maxCodes = 4096

// userParams choose which accounts a list has.
var userParams = append([]param{
	{name: "q", text: "Only accounts with this text in their e-mail, name or id, in any case of letters."},
	{name: "email", text: "The one with this e-mail, in any case of letters."},
	{name: "external_id", text: "Those with this id of another system."},
	{name: "home", text: "Those that belong to this store."},
	{name: "status", oneOf: []string{"active", "invited", "disabled", "locked", "deleted"}, text: "Only those in this state."},
	{name: "active", kind: flagParam, text: "Those that are active, or those that are not; not together with status."},
	{name: "group", text: "Those in the group with this code."},
	{name: "any_group", max: maxCodes, text: "Those in at least one of the groups with these codes, with commas between."},
	{name: "every_group", max: maxCodes, text: "Those in all of the groups with these codes, with commas between."},
	{name: "role", text: "Those who hold the role with this code themselves."},
	{name: "licence", text: "Those who hold a seat of this feature."},
	{name: "superuser", kind: flagParam, text: "Superusers, or all others."},
	{name: "manager", kind: flagParam, text: "Those in a group whose attribute is_manager is true, or all others."},
	{name: "online", kind: flagParam, text: "Those whose session was used within the last 5 minutes, or all others."},
	{name: "presence", oneOf: []string{"available", "busy", "break", "away"}, text: "Those who say this of themselves; who has said nothing is available."},
	{name: "created_from", kind: momentParam, text: "Those created at this moment or later."},
	{name: "created_until", kind: momentParam, text: "Those created before this moment."},
	sortParam("-created_at", "created_at", "name", "email", "id"),
}, pageParams...)

// actRoute is an act on an account that needs nothing but its name.
func actRoute(verb, summary, text string, do func(*call, string, access.Change) (access.User, access.Revision, error)) route {
	return route{
		method: http.MethodPost, path: onePath + verb, tenant: true, need: access.KeyAdmin, change: true,
		serve: func(c *call) error {
			change, err := c.editAlone()
			if err != nil {
				return err
			}
			return made(c, http.StatusOK, change, func(change access.Change) (access.User, access.Revision, error) {
				return do(c, c.g.Param("id"), change)
			}, c.userOf)
		},
		tag: "Directory", summary: summary, text: strings.TrimSpace(changeText + text), body: api.Edit{}, answer: api.User{},
	}
}

// fieldRoute changes one field of an account.
func fieldRoute(method, below, field string, body any, summary string, act func(*userBody) service.UserAct) route {
	known := names{known: slices.Concat([]string{field}, editMembers), closed: true}
	return route{
		method: method, path: onePath + below, tenant: true, need: access.KeyAdmin, change: true,
		serve: func(c *call) error {
			b, err := c.readUser(&known)
			if err == nil && !b.given[field] {
				err = access.Invalid(field, "is required")
			}
			if err != nil {
				return err
			}
			return made(c, http.StatusOK, c.changeOf(b.edit), func(change access.Change) (access.User, access.Revision, error) {
				return c.directory().EditUser(c.ctx(), c.caller, c.tenant, c.g.Param("id"), act(b), change)
			}, c.userOf)
		},
		tag: "Directory", summary: summary, text: strings.TrimSpace(changeText), body: body, answer: api.User{},
	}
}

// userMembers are the fields of an account that can be written.
var userMembers = []string{"email", "home", "name", "external_id", "groups", "roles", "grants", "licences", "applications_off", "attributes", "menu"}

var (
	newUserNames     = names{known: slices.Concat([]string{"id", "status", "invite"}, userMembers, editMembers), closed: true}
	userPatchNames   = names{known: slices.Concat(userMembers, editMembers), closed: true}
	userFieldNames   = names{known: slices.Concat([]string{"status"}, userMembers), closed: true}
	membershipNames  = names{known: []string{"group", "scope", "from", "until"}, closed: true}
	editNames        = names{known: editMembers, closed: true}
	applicationNames = names{known: slices.Concat([]string{"enabled"}, editMembers), closed: true}
	bulkNames        = names{known: slices.Concat([]string{"operations"}, editMembers), closed: true}
	operationNames   = names{known: []string{"op", "id", "user", "groups", "roles", "from", "to"}, closed: true}
)

// userBody is what a body says of an account.
type userBody struct {
	id, status string
	invite     bool
	patch      service.UserPatch
	given      map[string]bool
	edit       api.Edit
}

func (c *call) readUser(n *names) (*userBody, error) {
	b := &userBody{given: map[string]bool{}}
	err := c.read(func(r *reader) error {
		return r.object("", n, func(name string) error { return r.userMember("", name, b) })
	})
	return b, err
}

func (r *reader) userMember(at, name string, b *userBody) error {
	b.given[name] = true
	field := at + name
	switch name {
	case "id":
		return r.text(field, &b.id)
	case "status":
		return r.text(field, &b.status)
	case "invite":
		return r.flag(field, &b.invite)
	case "email":
		return r.optional(field, maxIDBytes, &b.patch.Email)
	case "name":
		return r.optional(field, maxIDBytes, &b.patch.Name)
	case "home":
		var home *string
		err := r.optional(field, maxIDBytes, &home)
		b.patch.Home = (*access.Scope)(home)
		return err
	case "external_id":
		return r.optional(field, maxIDBytes, &b.patch.ExternalID)
	case "groups":
		return optionalList(r, &b.patch.Groups, func(to *[]access.Link) error { return r.memberships(field, to) })
	case "roles":
		return optionalList(r, &b.patch.Roles, func(to *[]access.Link) error { return r.links(field, to) })
	case "grants":
		return optionalList(r, &b.patch.Grants, func(to *[]access.Grant) error { return r.grants(field, to) })
	case "licences":
		return optionalList(r, &b.patch.Licences, func(to *[]string) error { return r.codes(field, to) })
	case "applications_off":
		return optionalList(r, &b.patch.ApplicationsOff, func(to *[]string) error { return r.codes(field, to) })
	case "menu":
		return optionalList(r, &b.patch.Menu, func(to *[]access.Section) error { return r.sections(field, to) })
	case "attributes":
		if b.patch.NoAttributes = r.null(); b.patch.NoAttributes {
			return nil
		}
		return r.attributes(field, &b.patch.Attributes)
	}
	return r.edit(name, &b.edit)
}

// optionalList reads a list that null makes empty.
func optionalList[T any](r *reader, to **[]T, read func(*[]T) error) error {
	*to = new([]T)
	if r.null() {
		return nil
	}
	**to = []T{}
	return read(*to)
}

func (r *reader) codes(field string, to *[]string) error {
	return r.listUpTo(field, maxGrants, func(i int) error {
		*to = append(*to, "")
		return r.text(fmt.Sprintf("%s[%d]", field, i), &(*to)[i])
	})
}

func (r *reader) sections(field string, to *[]access.Section) error {
	var texts []string
	err := r.codes(field, &texts)
	for _, s := range texts {
		*to = append(*to, access.Section(s))
	}
	return err
}

// memberships reads a list of groups, each by its code or as an object.
func (r *reader) memberships(field string, to *[]access.Link) error {
	return r.listUpTo(field, maxGrants, func(i int) error {
		var l access.Link
		err := r.membership(fmt.Sprintf("%s[%d]", field, i), &l)
		*to = append(*to, l)
		return err
	})
}

func (r *reader) membership(at string, l *access.Link) error {
	if r.dec.PeekKind() == '"' {
		return r.text(at, &l.To)
	}
	err := r.object(at, &membershipNames, func(name string) error {
		switch name {
		case "group":
			return r.text(at+"."+name, &l.To)
		case "scope":
			return r.text(at+"."+name, (*string)(&l.Scope))
		case "from":
			return r.moment(at+"."+name, &l.Validity.From)
		}
		return r.moment(at+"."+name, &l.Validity.Until)
	})
	if l.To == "" {
		r.note(access.Invalid(at+".group", "is required"))
	}
	return err
}

func codesOf(links []access.Link) []string {
	codes := make([]string, len(links))
	for i, l := range links {
		codes[i] = l.To
	}
	return codes
}

func (b *userBody) newUser() service.NewUser {
	n := service.NewUser{ID: b.id, Status: access.UserStatus(b.status), Attributes: b.patch.Attributes}
	given(&n.Email, b.patch.Email)
	given(&n.Name, b.patch.Name)
	given(&n.ExternalID, b.patch.ExternalID)
	given(&n.Home, b.patch.Home)
	given(&n.Groups, b.patch.Groups)
	given(&n.Roles, b.patch.Roles)
	given(&n.Grants, b.patch.Grants)
	given(&n.Licences, b.patch.Licences)
	given(&n.ApplicationsOff, b.patch.ApplicationsOff)
	given(&n.Menu, b.patch.Menu)
	return n
}

func given[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func (c *call) createUser() error {
	b, err := c.readUser(&newUserNames)
	if err == nil && b.given["id"] && b.id == "" {
		err = access.Invalid("id", "is empty; leave it out for a random one")
	}
	if err != nil {
		return err
	}
	if b.invite {
		u, link, revision, err := c.directory().CreateInvited(c.ctx(), c.caller, c.tenant, b.newUser(), c.changeOf(b.edit))
		return c.invited(http.StatusCreated, &u, link, revision, err)
	}
	return made(c, http.StatusCreated, c.changeOf(b.edit), func(change access.Change) (access.User, access.Revision, error) {
		return c.directory().CreateUser(c.ctx(), c.caller, c.tenant, b.newUser(), change)
	}, c.userOf)
}

func (c *call) patchUser() error {
	b, err := c.readUser(&userPatchNames)
	if err != nil {
		return err
	}
	u, revision, err := c.directory().PatchUser(c.ctx(), c.caller, c.tenant, c.g.Param("id"), b.patch, c.changeOf(b.edit))
	return c.user(&u, revision, err)
}

func (c *call) deleteUser() error {
	u, revision, err := c.directory().DeleteUser(c.ctx(), c.caller, c.tenant, c.g.Param("id"), c.word("hand_over_to"), c.changeAsked())
	return c.user(&u, revision, err)
}

var handOverNames = names{known: slices.Concat([]string{"to"}, editMembers), closed: true}

func (c *call) handOver() error {
	var w api.HandOver
	err := c.read(func(r *reader) error {
		return r.object("", &handOverNames, func(name string) error {
			if name == "to" {
				return r.text(name, &w.To)
			}
			return r.edit(name, &w.Edit)
		})
	})
	if err != nil {
		return err
	}
	return made(c, http.StatusOK, c.changeOf(w.Edit), func(change access.Change) (access.User, access.Revision, error) {
		return c.directory().HandOver(c.ctx(), c.caller, c.tenant, c.g.Param("id"), w.To, change)
	}, c.userOf)
}

func (c *call) showUser() error {
	u, revision, err := c.directory().User(c.ctx(), c.caller, c.tenant, c.g.Param("id"))
	return c.user(&u, revision, err)
}

func (c *call) showMember() error {
	u, revision, err := c.directory().User(c.ctx(), c.caller, c.tenant, c.g.Param("id"))
	if code := c.g.Param("code"); err == nil && !slices.Contains(codesOf(u.Groups), code) {
		err = access.NotFound("group", code)
	}
	return c.user(&u, revision, err)
}

// user answers with an account.
func (c *call) user(u *access.User, revision access.Revision, err error) error {
	return c.invited(http.StatusOK, u, "", revision, err)
}

// userOf is wireUser at a revision.
func (c *call) userOf(u *access.User, revision access.Revision) api.User {
	w := c.wireUser(u)
	w.Revision = uint64(revision)
	return w
}

// editAlone reads a body that says nothing but why; it may be left out.
func (c *call) editAlone() (access.Change, error) {
	var edit api.Edit
	if c.g.Request.ContentLength == 0 {
		return c.changeOf(edit), nil
	}
	err := c.read(func(r *reader) error {
		return r.object("", &editNames, func(name string) error { return r.edit(name, &edit) })
	})
	return c.changeOf(edit), err
}

func (c *call) wireUser(u *access.User) api.User {
	w := api.User{
		ID: u.ID, Status: string(cmp.Or(u.Status, access.UserActive)), CreatedAt: utc(u.CreatedAt), DeletedAt: utc(u.DeletedAt),
		Link: "/v1/tenants/" + c.tenant + "/users/" + url.PathEscape(u.ID),
		UserFields: api.UserFields{
			Email: u.Email, Home: string(u.Home), Name: u.Name, ExternalID: u.ExternalID, Roles: roleLinksOf(u.Roles), Grants: rightsOf(u.Grants),
			Licences: u.Licences, ApplicationsOff: u.ApplicationsOff, Attributes: u.Attributes,
		},
	}
	if len(u.Groups) > 0 {
		w.Link = "/v1/tenants/" + c.tenant + "/groups/" + u.Groups[0].To + "/users/" + url.PathEscape(u.ID)
	}
	if u.Status == access.UserDeleted {
		w.Successor, w.PurgedAt = u.Successor, utc(u.PurgedAt)
		w.RestorableUntil = utc(c.directory().RestorableUntil(*u))
	}
	for _, l := range u.Groups {
		w.Groups = append(w.Groups, api.Membership{Group: l.To, Scope: narrow(l.Scope), Term: termOf(l.Validity)})
	}
	if u.Menu != nil {
		w.Menu = []string{}
	}
	for _, s := range u.Menu {
		w.Menu = append(w.Menu, string(s))
	}
	return w
}

func (c *call) switchApplication() error {
	var w api.ApplicationAccess
	told := false
	err := c.read(func(r *reader) error {
		return r.object("", &applicationNames, func(name string) error {
			if name == "enabled" {
				told = true
				return r.flag(name, &w.Enabled)
			}
			return r.edit(name, &w.Edit)
		})
	})
	if err == nil && !told {
		err = access.Invalid("enabled", "is required")
	}
	if err != nil {
		return err
	}
	act := service.SwitchApplication(c.g.Param("application"), w.Enabled)
	u, revision, err := c.directory().EditUser(c.ctx(), c.caller, c.tenant, c.g.Param("id"), act, c.changeOf(w.Edit))
	return c.user(&u, revision, err)
}

func (c *call) bulkUsers() error {
	var ops []service.UserOperation
	var edit api.Edit
	err := c.read(func(r *reader) error {
		return r.object("", &bulkNames, func(name string) error {
			if name != "operations" {
				return r.edit(name, &edit)
			}
			return r.listUpTo(name, service.MaxOperations, func(i int) error {
				o, err := r.operation(fmt.Sprintf("%s[%d]", name, i))
				if i < service.MaxOperations {
					ops = append(ops, o)
				}
				return err
			})
		})
	})
	if err != nil {
		return err
	}
	return made(c, http.StatusOK, c.changeOf(edit), func(change access.Change) ([]access.User, access.Revision, error) {
		return c.directory().ChangeUsers(c.ctx(), c.caller, c.tenant, ops, change)
	}, func(users *[]access.User, revision access.Revision) api.UsersChanged {
		w := api.UsersChanged{Users: make([]api.User, len(*users)), Revision: uint64(revision)}
		for i := range *users {
			w.Users[i] = c.wireUser(&(*users)[i])
		}
		return w
	})
}

func (r *reader) operation(at string) (service.UserOperation, error) {
	var o service.UserOperation
	b := &userBody{given: map[string]bool{}}
	err := r.object(at, &operationNames, func(name string) error {
		field := at + "." + name
		switch name {
		case "op":
			return r.text(field, &o.Op)
		case "id":
			return r.text(field, &o.ID)
		case "from":
			return r.text(field, &o.From)
		case "to":
			return r.text(field, &o.To)
		case "groups":
			return r.memberships(field, &o.Links)
		case "roles":
			return r.links(field, &o.Links)
		}
		return r.object(field, &userFieldNames, func(name string) error { return r.userMember(field+".", name, b) })
	})
	b.id = o.ID
	o.New, o.Patch, o.Codes = b.newUser(), b.patch, codesOf(o.Links)
	if b.given["status"] && o.Op != "create" {
		r.note(access.Invalid(at+".user.status", "is for create; activate and deactivate are operations of their own"))
	}
	return o, err
}

// userSorts is the closed map of what lists of accounts are sorted by.
var userSorts = map[string]access.UserSort{
	"created_at": access.SortCreated, "name": access.SortName, "email": access.SortEmail, "id": access.SortID,
}

func (c *call) listUsers() error {
	q, err := c.userSearch()
	if err != nil {
		return err
	}
	page, err := c.directory().Users(c.ctx(), c.caller, c.tenant, q, c.word("page_token"))
	if err != nil {
		return err
	}
	w := api.Users{Users: make([]api.User, len(page.Users)), NextPageToken: page.Next, Revision: uint64(page.Revision)}
	for i := range page.Users {
		w.Users[i] = c.wireUser(&page.Users[i])
	}
	if err := c.tellInvitations(w.Users, page.Users); err != nil {
		return err
	}
	if err := c.tellPresence(w.Users, page.Users); err != nil {
		return err
	}
	if page.Total >= 0 {
		w.Total = &page.Total
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) userSearch() (access.UserSearch, error) {
	q := access.UserSearch{
		Superuser: c.flag("superuser"), Manager: c.flag("manager"), Online: c.flag("online"),
		AnyGroup: parted(c.word("any_group")), EveryGroup: parted(c.word("every_group")),
		Presence:    access.PresenceStatus(c.word("presence")),
		CreatedFrom: c.moment("created_from"), CreatedUntil: c.moment("created_until"), Most: c.page().Size,
	}
	for name, to := range map[string]*string{
		"q": &q.Text, "email": &q.Email, "external_id": &q.ExternalID, "home": (*string)(&q.Home), "group": &q.Group, "role": &q.Role, "licence": &q.Licence,
	} {
		*to = strings.TrimSpace(c.word(name))
	}
	for name, codes := range map[string][]string{"any_group": q.AnyGroup, "every_group": q.EveryGroup} {
		if c.word(name) != "" && len(codes) == 0 {
			return q, access.Invalid(name, "names no group")
		}
	}
	if !q.CreatedFrom.IsZero() && !q.CreatedUntil.IsZero() && !q.CreatedUntil.After(q.CreatedFrom) {
		return q, access.Invalid("created_until", "must be after created_from")
	}
	column, descending := strings.CutPrefix(cmp.Or(c.word("sort"), "-created_at"), "-")
	q.Sort, q.Descending = userSorts[column], descending
	return q, c.statuses(&q)
}

// statuses reads status and active, which say the same in two ways.
func (c *call) statuses(q *access.UserSearch) error {
	status, active := access.UserStatus(c.word("status")), c.flag("active")
	switch {
	case status != "" && active != nil:
		return access.Invalid("active", "is not for a list with a status")
	case status != "":
		q.Statuses = []access.UserStatus{status}
	case active != nil && *active:
		q.Statuses = []access.UserStatus{access.UserActive}
	case active != nil:
		q.Statuses = []access.UserStatus{access.UserInvited, access.UserDisabled, access.UserLocked}
	}
	return nil
}
