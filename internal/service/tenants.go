package service

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// TenantStore keeps tenants and their histories.
type TenantStore interface {
	// Found makes a tenant that begins with a policy.
	Found(ctx context.Context, p *access.Policy, c access.Change) (access.Revision, error)
	Tenants(ctx context.Context) ([]access.Tenant, error)
	Revisions(ctx context.Context, tenant string) ([]access.RevisionEntry, error)
}

// Tenants lists and creates tenants and shows their histories.
type Tenants struct {
	store     TenantStore
	state     *Follower
	authority *Authority
	templates func(name string) (access.Policy, error)
}

// NewTenants keeps tenants in the store; what it creates decides at once. The
// authority tells what people may look at. templates gives policies that a new
// tenant can begin with, or an error that names the field "template".
func NewTenants(s TenantStore, f *Follower, a *Authority, templates func(name string) (access.Policy, error)) *Tenants {
	return &Tenants{store: s, state: f, authority: a, templates: templates}
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

// Create makes a tenant. Its policy allows nothing, unless a template is named:
// then it has the catalogue, roles and groups of that, and none of its accounts.
// Only keys of all tenants may do that.
func (t *Tenants) Create(ctx context.Context, caller access.Caller, tenant access.Tenant, template string, c access.Change) (access.Revision, error) {
	if _, err := t.authority.Allow(ctx, caller, access.AllTenants, Need{Part: "Settings", Action: "insert"}); err != nil {
		return 0, err
	}
	if err := access.ValidCode("code", tenant.Code); err != nil {
		return 0, err
	}
	begin := access.Policy{}
	if template != "" {
		var err error
		if begin, err = t.templates(template); err != nil {
			return 0, err
		}
	}
	begin.Tenant, begin.Users = tenant.Code, nil
	begin.Description = cmp.Or(tenant.Description, begin.Description)
	c.Base, c.Author = access.AnyRevision, caller.Name
	revision, err := t.store.Found(ctx, &begin, c)
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
