package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// apply gives the facts to which a difference leads: those that a full load at
// d.To would give. A difference that does not fit is an error of kind
// access.ErrStale. The facts given are left as they are.
func apply(f access.Facts, d *access.Delta) (access.Facts, error) {
	if err := fits(f.Tenant, f.Revision, d); err != nil {
		return f, err
	}
	if d.Frame != nil {
		before := f
		f = *d.Frame
		f.Epoch, f.Policy, f.Stripes = before.Epoch, before.Policy, before.Stripes
		f.Users, f.Rules = before.Users, before.Rules
	}
	f.Tenant, f.Revision, f.Policy = d.Tenant, d.To, max(f.Policy, d.Policy)
	f.Stripes = maps.Clone(f.Stripes)
	if f.Stripes == nil {
		f.Stripes = map[access.Stripe]access.Revision{}
	}
	maps.Copy(f.Stripes, d.Stripes)
	f.Users = applyUsers(f.Users, d)
	var err error
	f.Rules, err = applyRules(f.Rules, d)
	return f, err
}

// fits refuses a difference that does not begin where the facts are.
func fits(tenant string, at access.Revision, d *access.Delta) error {
	if d.Tenant != tenant || d.From != at || d.To < d.From {
		return misfit("the difference leads from revision %d of tenant %q to %d; revision %d of %q is known", d.From, d.Tenant, d.To, at, tenant)
	}
	return nil
}

func applyUsers(users []access.UserFacts, d *access.Delta) []access.UserFacts {
	if len(d.Users) == 0 && len(d.Left) == 0 {
		return users
	}
	gone := map[string]bool{}
	for _, id := range d.Left {
		gone[id] = true
	}
	for i := range d.Users {
		gone[d.Users[i].ID] = true
	}
	kept := slices.DeleteFunc(slices.Clone(users), func(u access.UserFacts) bool { return gone[u.ID] })
	return append(kept, d.Users...)
}

// applyRules takes out what is gone and puts new rules at their places.
func applyRules(rules []access.Rule, d *access.Delta) ([]access.Rule, error) {
	if len(d.Gone) == 0 && len(d.Rules) == 0 {
		return rules, nil
	}
	gone := map[int64]bool{}
	for _, r := range d.Gone {
		gone[r.Place] = true
	}
	kept := make([]access.Rule, 0, len(rules)+len(d.Rules))
	for _, r := range rules {
		if r.Place == 0 || !gone[r.Place] {
			kept = append(kept, r)
		}
	}
	if len(kept) != len(rules)-len(gone) || len(gone) != len(d.Gone) {
		return nil, misfit("the difference takes away rules that are not there")
	}
	kept = append(kept, d.Rules...)
	slices.SortStableFunc(kept, func(a, b access.Rule) int { return cmp.Compare(a.Place, b.Place) })
	for i, r := range kept {
		if r.Place == 0 || i > 0 && kept[i-1].Place == r.Place {
			return nil, misfit("the difference leaves two rules at place %d", r.Place)
		}
	}
	return kept, nil
}

func misfit(format string, args ...any) error {
	return &access.Error{Kind: access.ErrStale, Message: fmt.Sprintf(format, args...)}
}
