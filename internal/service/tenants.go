package service

import (
	"context"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// TenantStore keeps tenants and their histories.
type TenantStore interface {
	CreateTenant(ctx context.Context, t access.Tenant, c access.Change) (access.Revision, error)
	Tenants(ctx context.Context) ([]access.Tenant, error)
	Revisions(ctx context.Context, tenant string) ([]access.RevisionEntry, error)
}

// Tenants lists and creates tenants and shows their histories.
type Tenants struct {
	store     TenantStore
	state     *Follower
	authority *Authority
}

// NewTenants keeps tenants in the store; what it creates decides at once. The
// authority tells what people may look at.
func NewTenants(s TenantStore, f *Follower, a *Authority) *Tenants {
	return &Tenants{store: s, state: f, authority: a}
}

// List gives the tenants that the caller may see, by code. People see their own.
func (t *Tenants) List(ctx context.Context, caller access.Caller) ([]access.Tenant, error) {
	if _, err := t.authority.Allow(ctx, caller, caller.Tenant, Need{Part: "Settings", Action: "show", Own: true}); err != nil {
		return nil, err
	}
	all, err := t.store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	seen := slices.DeleteFunc(all, func(x access.Tenant) bool { return !caller.ActsOn(x.Code) })
	slices.SortFunc(seen, func(a, b access.Tenant) int { return strings.Compare(a.Code, b.Code) })
	return seen, nil
}

// Create makes a tenant with an empty policy, which allows nothing. Only keys of
// all tenants may do that.
func (t *Tenants) Create(ctx context.Context, caller access.Caller, tenant access.Tenant, c access.Change) (access.Revision, error) {
	if _, err := t.authority.Allow(ctx, caller, access.AllTenants, Need{Part: "Settings", Action: "insert"}); err != nil {
		return 0, err
	}
	if err := access.ValidCode("code", tenant.Code); err != nil {
		return 0, err
	}
	c.Base, c.Author = access.AnyRevision, caller.Name
	revision, err := t.store.CreateTenant(ctx, tenant, c)
	if err != nil {
		return 0, err
	}
	return revision, t.state.inForce(ctx, tenant.Code, access.Delta{To: revision})
}

// Revisions gives the history of a tenant, newest last.
func (t *Tenants) Revisions(ctx context.Context, caller access.Caller, tenant string) ([]access.RevisionEntry, error) {
	if _, err := t.authority.Allow(ctx, caller, tenant, Need{Part: "Audit", Action: "show", Scope: access.Everywhere}); err != nil {
		return nil, err
	}
	return t.store.Revisions(ctx, tenant)
}
