package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Apply gives the facts at d.To, which are those that a full load would give;
// the receiver stays as it is. It is ErrStale where the difference does not fit:
// then the facts must be loaded in full.
func (f *Facts) Apply(d Delta) (Facts, error) {
	if d.Tenant != f.Tenant || d.From != f.Revision {
		return Facts{}, unfit("it begins at revision %d of tenant %q; the facts are at %d of %q", d.From, d.Tenant, f.Revision, f.Tenant)
	}
	if d.Epoch != "" && d.Epoch != f.Epoch {
		return Facts{}, unfit("the epoch is new")
	}
	next := *f
	if d.Frame != nil {
		next = *d.Frame
		next.Users, next.Rules = f.Users, f.Rules
	}
	if next.Fetched != f.Fetched {
		return Facts{}, unfit("users are now loaded otherwise")
	}
	next.Revision, next.Policy, next.Stripes = d.To, d.Policy, maps.Clone(f.Stripes)
	if next.Stripes == nil {
		next.Stripes = map[Stripe]Revision{}
	}
	maps.Copy(next.Stripes, d.Stripes)
	var err error
	if next.Rules, err = f.rulesAfter(d); err != nil {
		return Facts{}, err
	}
	if !f.Fetched {
		next.Users = f.usersAfter(d)
	}
	return next, nil
}

// rulesAfter takes away by place what is gone and puts what is new at its place.
func (f *Facts) rulesAfter(d Delta) ([]Rule, error) {
	gone, added := f.held(d.Gone), f.held(d.Rules)
	if len(gone) == 0 && len(added) == 0 {
		return f.Rules, nil
	}
	rules := make([]Rule, 0, max(0, len(f.Rules)-len(gone))+len(added))
	for _, r := range f.Rules {
		for len(added) > 0 && added[0].Place < r.Place {
			rules, added = append(rules, added[0]), added[1:]
		}
		if len(gone) > 0 && gone[0].Place == r.Place && gone[0].Same(r) {
			gone = gone[1:]
			continue
		}
		if len(added) > 0 && added[0].Place == r.Place {
			return nil, unfit("place %d of the rule %q is taken by %q", r.Place, added[0], r)
		}
		rules = append(rules, r)
	}
	if len(gone) > 0 {
		return nil, unfit("the rule %q, which is gone, was not at place %d", gone[0], gone[0].Place)
	}
	return append(rules, added...), nil
}

// held gives the rules that these facts hold: those of users only where users
// are loaded.
func (f *Facts) held(rules []Rule) []Rule {
	if !f.Fetched {
		return rules
	}
	return slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool { _, own := r.User(); return own })
}

func (f *Facts) usersAfter(d Delta) []UserFacts {
	if len(d.Users) == 0 && len(d.Left) == 0 {
		return f.Users
	}
	replaced := map[string]bool{}
	for _, u := range d.Users {
		replaced[u.ID] = true
	}
	for _, id := range d.Left {
		replaced[id] = true
	}
	users := slices.DeleteFunc(slices.Clone(f.Users), func(u UserFacts) bool { return replaced[u.ID] })
	users = append(users, d.Users...)
	slices.SortFunc(users, func(a, b UserFacts) int { return strings.Compare(a.ID, b.ID) })
	return users
}

func unfit(format string, args ...any) error {
	return &Error{Kind: ErrStale, Field: "delta", Message: "the difference does not fit: " + fmt.Sprintf(format, args...)}
}
