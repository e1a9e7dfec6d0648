package service

import (
	"cmp"
	"context"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// GroupSummary says in a few words what it means to be in a group. All of it but
// the description comes from the policy as it decides now.
type GroupSummary struct {
	Group    GroupEntry
	Manages  []access.Group        // groups whose users its members may change
	Views    []access.SectionEntry // sections with a place in the menu that its members may be shown, somewhere
	Scopes   []access.Scope        // where anything is allowed to them; Everywhere is all, present and future
	Revision access.Revision
}

// GroupSummary gives the summary of one group. Only groups that the caller is
// shown are named in it.
func (d *Directory) GroupSummary(ctx context.Context, caller access.Caller, tenant, code string) (GroupSummary, error) {
	var sum GroupSummary
	need := Need{Part: "Groups", Action: "show"}
	err := d.readWithin(ctx, caller, tenant, need, func(r access.Reading, in Reach) error {
		all, err := d.groupsLike(ctx, tenant, r, in, GroupQuery{})
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(e GroupEntry) bool { return e.Code == code })
		if at < 0 {
			return access.NotFound("group", code)
		}
		if sum.Group, err = entryOf(r, r.Policy(), code); err != nil {
			return err
		}
		sum.Revision = r.Revision()
		return d.authority.upToDate(ctx, tenant, 0, func() error {
			s, err := d.sight(ctx, tenant)
			if err != nil {
				return err
			}
			return sum.look(ctx, s, r.Policy().Groups, all)
		})
	})
	return sum, err
}

// look fills in what the engine knows. shown are the groups that may be named.
func (sum *GroupSummary) look(ctx context.Context, s access.Sight, groups []access.Group, shown []GroupEntry) error {
	name := access.Name(access.KindGroup, sum.Group.Code)
	held, err := s.Holdings(ctx, name, access.Now)
	if err != nil {
		return err
	}
	sum.Scopes, sum.Views, sum.Manages = scopesOf(held), views(s, held), nil
	in := reachOf(s, held, Need{Part: "Users", Action: "update"})
	if !in.Everywhere && len(in.Scopes) == 0 {
		return nil
	}
	c, err := chargeOf(ctx, s, groups, name, Need{Part: "Users", Action: "update"})
	if err != nil {
		return err
	}
	for _, g := range shown {
		theirs, err := s.Holdings(ctx, access.Name(access.KindGroup, g.Code), access.Ever)
		if err != nil {
			return err
		}
		if !in.Superuser && (in.bounds(g.Code, theirs, s.Above) != nil || !c.all && !c.holds(groups, g.Code)) {
			continue
		}
		sum.Manages = append(sum.Manages, g.Group)
	}
	return nil
}

// reachOf tells where members of a group may do something, by what the group holds.
func reachOf(s access.Sight, held access.Holdings, need Need) Reach {
	in := Reach{Superuser: held.Superuser, Everywhere: held.Superuser, held: held}
	right, _ := access.RightOf(string(need.Action))
	section := access.OwnSection(s.Frame().Root, need.Part)
	for _, scope := range scopesOf(held) {
		if !allows(s, held, section, right, scope) {
			continue
		}
		in.Everywhere = in.Everywhere || scope == access.Everywhere
		in.Scopes = append(in.Scopes, scope)
	}
	return in
}

// allows tells whether a holder has a right in a scope, under whatever condition.
func allows(s access.Sight, held access.Holdings, section access.Section, right access.Rights, scope access.Scope) bool {
	conditions := []string{access.NoCondition}
	for _, r := range held.Rules {
		conditions = append(conditions, r.Condition)
	}
	slices.Sort(conditions)
	for _, condition := range slices.Compact(conditions) {
		want := access.Holding{Scope: scope, Section: section, Act: access.RuleAct{Rights: right}, Effect: access.Allow, Condition: condition}
		if _, ok := held.Covers(access.Holdings{Rules: []access.Holding{want}}, s.Above); ok {
			return true
		}
	}
	return false
}

// scopesOf are the scopes in which somebody is allowed something, wide ones alone
// where they are everywhere.
func scopesOf(held access.Holdings) []access.Scope {
	var scopes []access.Scope
	for _, r := range held.Rules {
		if r.Effect != access.Deny {
			scopes = append(scopes, r.Scope)
		}
	}
	if held.Superuser || slices.Contains(scopes, access.Everywhere) {
		return []access.Scope{access.Everywhere}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// views are the sections with a place in the menu that may be shown in some scope,
// in the order of the menu.
func views(s access.Sight, held access.Holdings) []access.SectionEntry {
	var all []access.SectionEntry
	for _, a := range s.Frame().Catalogue {
		for _, e := range a.Sections {
			visible := func(scope access.Scope) bool { return allows(s, held, e.Path, access.Show, scope) }
			if e.Menu != nil && slices.ContainsFunc(scopesOf(held), visible) {
				all = append(all, e)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b access.SectionEntry) int { return cmp.Compare(a.Menu.Order, b.Menu.Order) })
	return all
}
