package service

import (
	"cmp"
	"context"
	"errors"

	"github.com/bailiwick/bailiwick/internal/access"
)

// sees gives what tells whether somebody with this reach is shown a holder, as
// the directory is or was: his reach is what he may do now, and all that the
// holder held at the time that is looked at must lie in it. What was shows nobody
// whom he is not shown now: all that the holder holds now must lie in it too.
func (d *Directory) sees(ctx context.Context, tenant string, in Reach) (func(name string) (bool, error), error) {
	then, err := in.sees(ctx, func() (access.Sight, error) { return d.sight(ctx, tenant) })
	if err != nil || d.now == nil || in.Everywhere {
		return then, err
	}
	now, err := d.now.sees(ctx, tenant, in)
	return func(name string) (bool, error) {
		if shown, err := now(name); err != nil || !shown {
			return false, err
		}
		return then(name)
	}, err
}

// seesAccount is sees for accounts. One that was deleted holds nothing any more,
// and is shown to whoever was shown it before.
func (d *Directory) seesAccount(ctx context.Context, tenant string, in Reach) (func(*access.User) (bool, error), error) {
	seen, err := d.sees(ctx, tenant, in)
	if err != nil || in.Everywhere {
		return func(*access.User) (bool, error) { return true, nil }, err
	}
	s, err := d.sight(ctx, tenant)
	return func(u *access.User) (bool, error) {
		if shown, err := d.stillSees(ctx, tenant, in, u.ID); err != nil || !shown {
			return false, err
		}
		if u.Status != access.UserDeleted {
			return seen(access.Name(access.KindUser, u.ID))
		}
		held, err := formerly(ctx, s, u)
		return err == nil && in.Holds(held, s.Above), err
	}, err
}

// seesSubject is sees for whoever can be asked about. Nobody may tell by an earlier
// state who was deleted since beyond his reach.
func (d *Directory) seesSubject(ctx context.Context, tenant string, in Reach) (func(access.Subject) (bool, error), error) {
	seen, err := d.sees(ctx, tenant, in)
	return func(who access.Subject) (bool, error) {
		if who.Kind == access.KindUser {
			if shown, err := d.stillSees(ctx, tenant, in, who.ID); err != nil || !shown {
				return false, err
			}
		}
		return seen(who.Rule())
	}, err
}

// stillSees tells whether an account of an earlier state is one that somebody with
// this reach is shown now, deleted or not. One that is not there any more at all
// holds nothing.
func (d *Directory) stillSees(ctx context.Context, tenant string, in Reach, id string) (bool, error) {
	if d.now == nil {
		return true, nil
	}
	u, err := d.now.store.Account(ctx, tenant, id)
	if errors.Is(err, access.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	seen, err := d.now.seesAccount(ctx, tenant, in)
	if err != nil {
		return false, err
	}
	return seen(&u)
}

// visible refuses a holder that somebody with this reach is not shown, as if it
// did not exist.
func (d *Directory) visible(ctx context.Context, tenant string, in Reach, kind access.Kind, code string) error {
	seen, err := d.sees(ctx, tenant, in)
	if err != nil {
		return err
	}
	if shown, err := seen(access.Name(kind, code)); err != nil || !shown {
		return cmp.Or(err, access.NotFound(nouns[kind], code))
	}
	return nil
}

// visibleAccount is visible for an account.
func (d *Directory) visibleAccount(ctx context.Context, tenant string, in Reach, u *access.User) error {
	seen, err := d.seesAccount(ctx, tenant, in)
	if err != nil {
		return err
	}
	if shown, err := seen(u); err != nil || !shown {
		return cmp.Or(err, access.NotFound("user", u.ID))
	}
	return nil
}

// visibleIn is visible for what is being read.
func (d *Directory) visibleIn(ctx context.Context, tenant string, in Reach, r access.Reading, kind access.Kind, code string) error {
	if kind != access.KindUser || in.Everywhere {
		return d.visible(ctx, tenant, in, kind, code)
	}
	u, err := r.User(code)
	if err != nil {
		return err
	}
	return d.visibleAccount(ctx, tenant, in, &u)
}

// formerly gives what would reach an account that was deleted if it was given
// back as it is.
func formerly(ctx context.Context, s access.Sight, u *access.User) (access.Holdings, error) {
	var all access.Holdings
	for kind, links := range map[access.Kind][]access.Link{access.KindGroup: u.Groups, access.KindRole: u.Roles} {
		for _, l := range links {
			held, err := s.Holdings(ctx, access.Name(kind, l.To), access.Ever)
			if err != nil {
				return all, err
			}
			everywhere := l.Scope == "" || l.Scope == access.Everywhere
			all.Superuser = all.Superuser || everywhere && (held.Superuser || kind == access.KindRole && l.To == access.SuperuserRole)
			all.Rules = append(all.Rules, narrowed(held.Rules, l.Scope, s.Above)...)
		}
	}
	for i := range u.Grants {
		g := &u.Grants[i]
		scope := cmp.Or(g.Scope, access.Everywhere)
		if g.Section == s.Frame().Root && g.Rights == access.AllRights && scope == access.Everywhere && g.Effect != access.Deny {
			all.Superuser = true
		}
		all.Rules = append(all.Rules, ownHoldings(g, scope)...)
	}
	return all, nil
}

// ownHoldings are what a grant gives its holder; that it may cascade is assumed.
func ownHoldings(g *access.Grant, scope access.Scope) []access.Holding {
	h := access.Holding{
		Scope: scope, Section: g.Section, Effect: cmp.Or(g.Effect, access.Allow), Condition: access.NoCondition,
		Act: access.RuleAct{Rights: g.Rights | access.Inherit},
	}
	if g.Condition != "" {
		h.Condition = access.ConditionID(g.Condition)
	}
	all := []access.Holding{h}
	for _, name := range g.Actions {
		h.Act = access.RuleAct{Rights: access.Inherit, Name: name}
		all = append(all, h)
	}
	return all
}

// narrowed gives rules as they come through a link with a scope.
func narrowed(rules []access.Holding, scope access.Scope, above func(access.Scope) access.Scope) []access.Holding {
	if scope == "" || scope == access.Everywhere {
		return rules
	}
	var through []access.Holding
	for _, r := range rules {
		switch {
		case access.LiesIn(r.Scope, scope, above):
			through = append(through, r)
		case access.LiesIn(scope, r.Scope, above):
			r.Scope = scope
			through = append(through, r)
		}
	}
	return through
}
