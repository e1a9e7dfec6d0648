package service

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// UserOperation is one of the operations of a bulk change.
type UserOperation struct {
	Op    string // one of UserOperations
	ID    string // of the account; when one is made it may be empty, and stands in New
	New   NewUser
	Patch UserPatch
	Links []access.Link // groups or roles to add
	Codes []string      // groups or roles to remove or order
	From  string        // the group to leave, or the user to be like
	To    string        // the group to be in instead
}

// MaxOperations is how many operations a bulk change may have.
const MaxOperations = 1000

// userOperation says what an operation needs and does.
type userOperation struct {
	action access.Action
	act    func(caller access.Caller, o *UserOperation) UserAct // nil: it makes an account
}

var userOperations = map[string]userOperation{
	"create":        {action: "insert"},
	"update":        {"update", func(_ access.Caller, o *UserOperation) UserAct { return o.Patch.Act }},
	"activate":      {"update", func(access.Caller, *UserOperation) UserAct { return activating }},
	"deactivate":    {"update", func(caller access.Caller, _ *UserOperation) UserAct { return deactivating(caller) }},
	"delete":        {"delete", func(caller access.Caller, _ *UserOperation) UserAct { return deleting(caller) }},
	"add_groups":    {"update", func(_ access.Caller, o *UserOperation) UserAct { return adding(ofGroups, o.Links) }},
	"remove_groups": {"update", func(_ access.Caller, o *UserOperation) UserAct { return removing(ofGroups, o.Codes) }},
	"order_groups":  {"update", func(_ access.Caller, o *UserOperation) UserAct { return ordering(ofGroups, o.Codes) }},
	"add_roles":     {"update", func(_ access.Caller, o *UserOperation) UserAct { return adding(ofRoles, o.Links) }},
	"remove_roles":  {"update", func(_ access.Caller, o *UserOperation) UserAct { return removing(ofRoles, o.Codes) }},
	"move_group":    {"update", func(_ access.Caller, o *UserOperation) UserAct { return moving(o.From, o.To) }},
	"copy_rights":   {"update", func(_ access.Caller, o *UserOperation) UserAct { return copying(o.From) }},
}

// UserOperations lists the names of the operations.
func UserOperations() []string {
	var all []string
	for name := range userOperations {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// ChangeUsers does several operations, in their order, as one revision: all of
// them, or none. An error names the operation that it is about.
func (d *Directory) ChangeUsers(ctx context.Context, caller access.Caller, tenant string, ops []UserOperation, c access.Change) ([]access.User, access.Revision, error) {
	if len(ops) == 0 || len(ops) > MaxOperations {
		return nil, 0, access.Invalid("operations", "must be 1 to %d", MaxOperations)
	}
	need, err := d.needOf(ctx, caller, tenant, ops)
	if err != nil {
		return nil, 0, err
	}
	var after []access.User
	revision, err := d.change(ctx, caller, tenant, need, c.Making(&after), func(t access.Draft) error {
		after = make([]access.User, len(ops))
		for i := range ops {
			if after[i], err = ops[i].do(caller, t); err != nil {
				return at(fmt.Sprintf("operations[%d]", i), err)
			}
		}
		return nil
	})
	return after, revision, err
}

// needOf gives what a bulk change needs.
func (d *Directory) needOf(ctx context.Context, caller access.Caller, tenant string, ops []UserOperation) (Need, error) {
	var actions []access.Action
	for i := range ops {
		op, known := userOperations[ops[i].Op]
		if !known {
			return Need{}, access.Invalid(fmt.Sprintf("operations[%d].op", i), "%q is none of %v", ops[i].Op, UserOperations())
		}
		if !slices.Contains(actions, op.action) {
			actions = append(actions, op.action)
		}
	}
	need, _, err := d.needAll(ctx, caller, tenant, actions)
	return need, err
}

// needAll is for changes that do several things to users: their caller must be
// allowed each of them, and in the same scopes, since the result is judged as a
// whole.
func (d *Directory) needAll(ctx context.Context, caller access.Caller, tenant string, actions []access.Action) (need Need, first Reach, err error) {
	for i, action := range actions {
		next := Need{Part: "Users", Action: action}
		in, err := d.authority.Allow(ctx, caller, tenant, next)
		if err != nil {
			return need, in, err
		}
		if i > 0 && (in.Everywhere != first.Everywhere || !reflect.DeepEqual(in.Scopes, first.Scopes)) {
			return need, in, access.Forbidden("%s may do these operations in different scopes; send each kind by itself", caller.Name)
		}
		need, first = next, in
	}
	return need, first, nil
}

func (o *UserOperation) do(caller access.Caller, t access.Draft) (access.User, error) {
	op := userOperations[o.Op]
	if op.act == nil {
		return o.New.create(t)
	}
	return acted(t, o.ID, op.act(caller, o))
}

// at puts the place of what was wrong before the field of an error.
func at(place string, err error) error {
	var told *access.Error
	if !errors.As(err, &told) {
		return err
	}
	placed := *told
	if placed.Field = place; told.Field != "" {
		placed.Field += "." + told.Field
	}
	return &placed
}

// moving puts an account into another group instead of one, at its place.
func moving(from, to string) UserAct {
	return func(_ access.Draft, u *access.User) error {
		if !slices.ContainsFunc(u.Groups, func(l access.Link) bool { return l.To == from }) {
			return &access.Error{Kind: access.ErrNotFound, Field: "from", Message: fmt.Sprintf("user %q is not in group %q", u.ID, from)}
		}
		var groups []access.Link
		has := func(links []access.Link, to string, s access.Scope) bool {
			return slices.ContainsFunc(links, func(l access.Link) bool { return l.To == to && same(l.Scope, s) })
		}
		for _, l := range u.Groups {
			switch {
			case l.To != from:
				groups = append(groups, l)
			case !has(u.Groups, to, l.Scope): // he is there already otherwise
				l.To = to
				groups = append(groups, l)
			}
		}
		u.Groups = groups
		return nil
	}
}

// copying gives an account the rights of another one in place of its own:
// groups, roles, grants and applications that are off. Seats of licences are not
// multiplied so.
func copying(from string) UserAct {
	return func(t access.Draft, u *access.User) error {
		like, err := t.User(from)
		if err == nil && like.Status == access.UserDeleted {
			err = access.NotFound("from", from)
		}
		if err != nil {
			return at("from", err)
		}
		u.Groups, u.Roles, u.Grants, u.ApplicationsOff = like.Groups, like.Roles, like.Grants, like.ApplicationsOff
		return nil
	}
}
