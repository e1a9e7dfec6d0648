package service

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// RoleEntry is a role with what lists say of it.
type RoleEntry struct {
	access.Role
	Members int // users who hold the role themselves
	Groups  int // groups that were given it
}

// RolePatch says what is to be different about a role. What is nil stays.
type RolePatch struct {
	Name, Description *string
	Roles             *[]access.Link
	Grants            *[]access.Grant
}

// CreateRole makes a role.
func (d *Directory) CreateRole(ctx context.Context, caller access.Caller, tenant string, r access.Role, c access.Change) (RoleEntry, access.Revision, error) {
	if err := validRole(&r); err != nil {
		return RoleEntry{}, 0, err
	}
	need, made := Need{Part: "Roles", Action: "insert"}, RoleEntry{Role: r}
	revision, err := d.change(ctx, caller, tenant, need, c.Making(&made), func(t access.Draft) error {
		p := t.Policy()
		if roleAt(p, r.Code) >= 0 {
			return access.Exists("code", r.Code)
		}
		p.Roles = append(p.Roles, r)
		return soundRole(p, &p.Roles[len(p.Roles)-1])
	})
	return made, revision, err
}

func validRole(r *access.Role) error {
	if err := access.ValidCode("code", r.Code); err != nil {
		return err
	}
	if r.Code == access.SuperuserRole {
		return access.Invalid("code", "%q is reserved", r.Code)
	}
	return access.ValidName("name", r.Name)
}

func soundRole(p *access.Policy, r *access.Role) error {
	return checked(p, &r.Origin, "roles", r.Roles, r.Grants)
}

func roleAt(p *access.Policy, code string) int {
	return slices.IndexFunc(p.Roles, func(r access.Role) bool { return r.Code == code })
}

func roleOf(p *access.Policy, code string) (*access.Role, error) {
	if i := roleAt(p, code); i >= 0 {
		return &p.Roles[i], nil
	}
	return nil, access.NotFound("role", code)
}

// PatchRole changes what is named in the patch.
func (d *Directory) PatchRole(ctx context.Context, caller access.Caller, tenant, code string, patch RolePatch, c access.Change) (RoleEntry, access.Revision, error) {
	var entry RoleEntry
	need := Need{Part: "Roles", Action: "update"}
	revision, err := d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		r, err := roleOf(p, code)
		if err != nil {
			return err
		}
		patch.Apply(r)
		if err := validRole(r); err != nil {
			return err
		}
		if err := soundRole(p, r); err != nil {
			return err
		}
		entry, err = roleEntry(t, p, code)
		return err
	})
	return entry, revision, err
}

// Apply changes what is named in the patch.
func (patch *RolePatch) Apply(r *access.Role) {
	set(&r.Name, patch.Name)
	set(&r.Description, patch.Description)
	set(&r.Roles, patch.Roles)
	set(&r.Grants, patch.Grants)
}

// Role gives one role.
func (d *Directory) Role(ctx context.Context, caller access.Caller, tenant, code string) (RoleEntry, access.Revision, error) {
	var entry RoleEntry
	var revision access.Revision
	err := d.readWithin(ctx, caller, tenant, Need{Part: "Roles", Action: "show"}, func(r access.Reading, in Reach) error {
		err := d.visible(ctx, tenant, in, access.KindRole, code)
		if err != nil {
			return err
		}
		revision = r.Revision()
		entry, err = roleEntry(r, r.Policy(), code)
		return err
	})
	return entry, revision, err
}

func roleEntry(r access.Reading, p *access.Policy, code string) (RoleEntry, error) {
	role, err := roleOf(p, code)
	if err != nil {
		return RoleEntry{}, err
	}
	all := []RoleEntry{{Role: *role, Groups: len(groupsWith(p, code))}}
	err = countRoles(r, all)
	return all[0], err
}

func countRoles(r access.Reading, all []RoleEntry) error {
	codes := make([]string, len(all))
	for i := range all {
		codes[i] = all[i].Code
	}
	counts, err := r.CountHolders(access.KindRole, codes)
	for i := range all {
		all[i].Members = counts[all[i].Code]
	}
	return err
}

// groupsWith lists the groups that were given a role.
func groupsWith(p *access.Policy, code string) []string {
	var groups []string
	for _, g := range p.Groups {
		if linked(g.Roles, code) {
			groups = append(groups, g.Code)
		}
	}
	return groups
}

func linked(links []access.Link, code string) bool {
	return slices.ContainsFunc(links, func(l access.Link) bool { return l.To == code })
}

// RoleQuery says which roles a list is to have.
type RoleQuery struct {
	Q    string // in code, name or description, in any case of letters
	Sort string // "code", the default, or "name", with - before it for the reverse
	Page Page
}

// RolePage is one page of a list of roles.
type RolePage struct {
	Roles    []RoleEntry
	Total    int    // of all pages
	Next     string // token of the next page; empty behind the last
	Revision access.Revision
}

// Roles lists roles that the caller may see.
func (d *Directory) Roles(ctx context.Context, caller access.Caller, tenant string, q RoleQuery) (RolePage, error) {
	var page RolePage
	order, err := roleOrder(q.Sort)
	if err != nil {
		return page, err
	}
	err = d.readWithin(ctx, caller, tenant, Need{Part: "Roles", Action: "show"}, func(r access.Reading, in Reach) error {
		seen, err := d.sees(ctx, tenant, in)
		if err != nil {
			return err
		}
		p, all := r.Policy(), []RoleEntry(nil)
		for _, role := range p.Roles {
			if !strings.Contains(strings.ToLower(role.Code+"\n"+role.Name+"\n"+role.Description), strings.ToLower(q.Q)) {
				continue
			}
			shown, err := seen(access.Name(access.KindRole, role.Code))
			if err != nil {
				return err
			}
			if shown {
				all = append(all, RoleEntry{Role: role, Groups: len(groupsWith(p, role.Code))})
			}
		}
		slices.SortFunc(all, order)
		page.Revision, page.Total = r.Revision(), len(all)
		page.Roles, page.Next, err = cut(ctx, d.state, tenant, all, q.Page, []any{"roles", q.Q, q.Sort}, order, rolePlace)
		if err != nil {
			return err
		}
		return countRoles(r, page.Roles)
	})
	return page, err
}

// rolePlace keeps of a role what it is sorted by.
func rolePlace(e RoleEntry) RoleEntry {
	return RoleEntry{Role: access.Role{Code: e.Code, Name: e.Name}}
}

func roleOrder(sort string) (func(a, b RoleEntry) int, error) {
	column, reverse := strings.CutPrefix(sort, "-")
	if column != "" && column != "code" && column != "name" || sort == "-" {
		return nil, access.Invalid("sort", "%q is none of code, name, or one of them behind -", sort)
	}
	return func(a, b RoleEntry) int {
		c := strings.Compare(a.Code, b.Code)
		if column == "name" {
			c = cmp.Or(strings.Compare(a.Name, b.Name), c)
		}
		if reverse {
			return -c
		}
		return c
	}, nil
}

// DeleteRole takes a role away. That is refused while anybody or anything holds
// it, and the error says who.
func (d *Directory) DeleteRole(ctx context.Context, caller access.Caller, tenant, code string, c access.Change) (access.Revision, error) {
	need := Need{Part: "Roles", Action: "delete"}
	return d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		if _, err := roleOf(p, code); err != nil {
			return err
		}
		holders, err := holdersOf(t, p, code)
		if err != nil {
			return err
		}
		if len(holders) > 0 {
			return &access.Error{Kind: ErrConflict, Field: "role", Message: fmt.Sprintf("%q is held by %s", code, listed(holders))}
		}
		p.Roles = slices.Delete(p.Roles, roleAt(p, code), roleAt(p, code)+1)
		return nil
	})
}

// holdersOf names who holds a role, as far as an error lists them.
func holdersOf(t access.Draft, p *access.Policy, code string) ([]string, error) {
	var holders []string
	for _, g := range groupsWith(p, code) {
		holders = append(holders, "group "+g)
	}
	for _, r := range p.Roles {
		if linked(r.Roles, code) {
			holders = append(holders, "role "+r.Code)
		}
	}
	for _, a := range p.Catalogue {
		if linked(a.Roles, code) {
			holders = append(holders, "application "+a.Code)
		}
	}
	name := access.Name(access.KindRole, code)
	for _, r := range p.Rules {
		if slices.Contains(r.Values, name) {
			holders = append(holders, "the plain line "+r.String())
		}
	}
	users, err := t.Holders(access.KindRole, code, "", maxListed+1)
	for _, id := range users {
		holders = append(holders, "user "+id)
	}
	return holders, err
}

// Permissions is everything that reaches a holder now, with where it comes from.
type Permissions struct {
	Superuser  bool
	Reached    []access.Reached  // nearest first
	Conditions map[string]string // texts by the ids in Reached
	Revision   access.Revision
}

// GroupPermissions gives what everybody in a group may do, and where it comes from.
func (d *Directory) GroupPermissions(ctx context.Context, caller access.Caller, tenant, code string) (Permissions, error) {
	_, revision, err := d.Group(ctx, caller, tenant, code)
	if err != nil {
		return Permissions{}, err
	}
	return d.permissions(ctx, tenant, access.Name(access.KindGroup, code), revision)
}

// UserPermissions gives what one user may do, and where it comes from.
func (d *Directory) UserPermissions(ctx context.Context, caller access.Caller, tenant, id string) (Permissions, error) {
	_, revision, err := d.User(ctx, caller, tenant, id)
	if err != nil {
		return Permissions{}, err
	}
	return d.permissions(ctx, tenant, access.Name(access.KindUser, id), revision)
}

// RolePermissions gives what a role gives, and where it comes from.
func (d *Directory) RolePermissions(ctx context.Context, caller access.Caller, tenant, code string) (Permissions, error) {
	_, revision, err := d.Role(ctx, caller, tenant, code)
	if err != nil {
		return Permissions{}, err
	}
	return d.permissions(ctx, tenant, access.Name(access.KindRole, code), revision)
}

// permissions looks at a holder by a revision that is at least as new as one that
// was read. The caller must have been let in before.
func (d *Directory) permissions(ctx context.Context, tenant, holder string, revision access.Revision) (Permissions, error) {
	var all Permissions
	if err := d.state.CatchUp(ctx, tenant, revision); err != nil {
		return all, err
	}
	err := d.authority.upToDate(ctx, tenant, 0, func() error {
		s, err := d.sight(ctx, tenant)
		if err != nil {
			return err
		}
		held, err := s.Holdings(ctx, holder, access.Now)
		if err != nil {
			return err
		}
		all.Superuser, all.Revision, all.Conditions = held.Superuser, s.Revision(), map[string]string{}
		if all.Reached, err = s.Reached(ctx, holder, access.Now); err != nil {
			return err
		}
		for _, c := range s.Frame().Conditions {
			all.Conditions[c.ID] = c.Text
		}
		return nil
	})
	return all, err
}
