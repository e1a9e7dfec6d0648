package service

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// HeldGrant is a right or prohibition with whoever holds it himself.
type HeldGrant struct {
	Kind   access.Kind
	Holder string // id or code
	Grant  access.Grant
}

// EachGrant visits what roles, groups, applications and users hold themselves,
// as far as the caller may see them, and tells how many grants that are.
func (d *Directory) EachGrant(ctx context.Context, caller access.Caller, tenant string, take func([]HeldGrant) error) (n int, err error) {
	var written []HeldGrant
	need := Need{Part: "Grants", Action: "show"}
	in, err := d.authority.Allow(ctx, caller, tenant, need)
	if err != nil {
		return 0, err
	}
	err = d.readWithin(ctx, caller, tenant, need, func(r access.Reading, in Reach) error {
		seen, err := d.sees(ctx, tenant, in)
		if err == nil {
			written, err = grantsOf(r.Policy(), seen)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := take(written); err != nil {
		return 0, err
	}
	n = len(written)
	_, err = d.eachUser(ctx, tenant, in, access.UserSearch{Sort: access.SortID}, func(users []access.User) error {
		var own []HeldGrant
		for _, u := range users {
			own = appendHeld(own, access.KindUser, u.ID, u.Grants)
		}
		n += len(own)
		return take(own)
	})
	return n, err
}

// grantsOf lists the grants that stand in a policy, but for users'.
func grantsOf(p *access.Policy, seen func(string) (bool, error)) ([]HeldGrant, error) {
	var all []HeldGrant
	for _, r := range p.Roles {
		all = appendHeld(all, access.KindRole, r.Code, r.Grants)
	}
	for _, g := range p.Groups {
		all = appendHeld(all, access.KindGroup, g.Code, g.Grants)
	}
	for _, a := range p.Catalogue {
		all = appendHeld(all, access.KindApplication, a.Code, a.Grants)
	}
	shown := all[:0]
	for _, held := range all {
		ok, err := seen(access.Name(held.Kind, held.Holder))
		if err != nil {
			return nil, err
		}
		if ok {
			shown = append(shown, held)
		}
	}
	return shown, nil
}

func appendHeld(all []HeldGrant, kind access.Kind, holder string, grants []access.Grant) []HeldGrant {
	for _, g := range grants {
		all = append(all, HeldGrant{Kind: kind, Holder: holder, Grant: g})
	}
	return all
}

// EachGroup visits the groups of a list that the caller may see, page by page.
func (d *Directory) EachGroup(ctx context.Context, caller access.Caller, tenant string, q GroupQuery, take func([]GroupEntry) error) (n int, err error) {
	for q.Page.Size = MaxPage; ; {
		page, err := d.Groups(ctx, caller, tenant, q)
		if err != nil {
			return n, err
		}
		if err := take(page.Groups); err != nil {
			return n, err
		}
		if n += len(page.Groups); page.Next == "" {
			return n, nil
		}
		q.Page.Token = page.Next
	}
}
