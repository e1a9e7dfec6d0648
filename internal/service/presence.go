package service

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// SetPresence keeps what somebody says of himself. It ends with nothing but what
// he says next, and decides nothing.
func (a *Accounts) SetPresence(ctx context.Context, by SignedIn, p access.Presence) (access.Presence, error) {
	if err := p.Check(); err != nil {
		return p, err
	}
	p.Since = a.now()
	if err := a.store.SetPresence(ctx, by.Session.Tenant, by.Session.User, p); err != nil {
		return p, err
	}
	return a.Presence(ctx, by)
}

// Presence tells what somebody has said of himself.
func (a *Accounts) Presence(ctx context.Context, by SignedIn) (access.Presence, error) {
	all, err := a.store.PresenceOf(ctx, by.Session.Tenant, []string{by.Session.User})
	return all[by.Session.User], err
}

// Presences tells of accounts what they say of themselves and whether they are
// online, by id; nothing of an earlier state. Whoever may see the accounts may
// see that.
func (d *Directory) Presences(ctx context.Context, tenant string, users []access.User) (map[string]access.Presence, error) {
	if !d.of.Now() {
		return nil, nil //nolint:nilnil // nothing is known of then
	}
	var ids []string
	for i := range users {
		if users[i].Status != access.UserDeleted {
			ids = append(ids, users[i].ID)
		}
	}
	return d.store.PresenceOf(ctx, tenant, ids)
}
