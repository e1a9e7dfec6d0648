package main

import (
	"context"
	"errors"
	"testing/fstest"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// administration is what the commands that change things need. api.Client
// does it through a server, local on a database.
type administration interface {
	Tenants(ctx context.Context) ([]api.Tenant, error)
	CreateTenant(ctx context.Context, t api.Tenant) (api.Tenant, error)
	LoadPolicy(ctx context.Context, tenant string, p api.Policy) (api.PolicyLoaded, error)
	PlanPolicy(ctx context.Context, tenant string, p api.PolicyPlanAsked, told func(api.Progress)) (api.PolicyPlan, error)
	Keys(ctx context.Context, tenant string) ([]api.Key, error)
	CreateKey(ctx context.Context, tenant string, k api.NewKey) (api.CreatedKey, error)
	RevokeKey(ctx context.Context, tenant, id, reason string) error
	Decisions(ctx context.Context, tenant string, q api.DecisionQuery) (api.RecordedDecisions, error)
	Decision(ctx context.Context, tenant, id string) (api.RecordedDecision, error)
	Replay(ctx context.Context, tenant, id string) (api.Replay, error)
	Refusals(ctx context.Context, tenant string, q api.RefusalQuery) (api.RefusedAttempts, error)
}

// local works on a database directly, as the operator. Servers over the same
// database follow within their poll interval.
type local struct {
	*house
	store *store.Store
}

const sourceCLI = "cli"

// openLocal opens the configured database and moves in. What cannot be loaded
// does not keep the operator from mending it.
func (c *cli) openLocal(ctx context.Context, cfg config.Config) (*local, error) {
	log := c.log(cfg.Log)
	s, err := openStore(ctx, cfg, log, false)
	if err != nil {
		return nil, err
	}
	signIfPossible(s, cfg, log)
	l := &local{house: furnish(s, &caches{}, cfg, sourceCLI, aside{}, log), store: s}
	l.lookBack(s, cfg.Decisions, log)
	if err := l.follower.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return l, nil
}

// Tenants lists all tenants.
func (l *local) Tenants(ctx context.Context) ([]api.Tenant, error) {
	all, err := l.tenants.List(ctx, operator())
	if err != nil {
		return nil, err
	}
	tenants := make([]api.Tenant, len(all))
	for i, t := range all {
		tenants[i] = api.Tenant{Code: t.Code, Description: t.Description, Revision: uint64(t.Revision)}
	}
	return tenants, nil
}

// CreateTenant makes an empty tenant.
func (l *local) CreateTenant(ctx context.Context, t api.Tenant) (api.Tenant, error) {
	made := access.Tenant{Code: t.Code, Description: t.Description}
	revision, err := l.tenants.Create(ctx, operator(), made, t.Template, access.Change{Source: sourceCLI})
	t.Revision = uint64(revision)
	return t, err
}

// LoadPolicy puts files into force.
func (l *local) LoadPolicy(ctx context.Context, tenant string, p api.Policy) (api.PolicyLoaded, error) {
	files := fstest.MapFS{}
	for name, text := range p.Files {
		files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o444}
	}
	r, err := l.policies.Load(ctx, operator(), tenant, files, service.LoadOptions{
		Base: access.Revision(p.BaseRevision), Reason: p.Reason, Source: sourceCLI,
		DryRun: p.DryRun, CreateTenant: p.CreateTenant, Plan: p.Plan,
	})
	return api.PolicyLoaded{
		Tenant: r.Tenant, Revision: uint64(r.Revision), Changed: r.Changed, DryRun: p.DryRun,
		Tests:    api.TestSummary{Passed: r.Tests.Passed, Failed: r.Tests.Failed, Skipped: r.Tests.Skipped},
		Warnings: httpapi.DetailsOf(r.Warnings), Foretold: httpapi.ForetoldOf(r.Foretold),
	}, err
}

// Keys lists the keys of a tenant.
func (l *local) Keys(ctx context.Context, tenant string) ([]api.Key, error) {
	all, err := l.keys.List(ctx, operator(), tenant)
	if err != nil {
		return nil, err
	}
	keys := make([]api.Key, len(all))
	for i, k := range all {
		keys[i] = keyOf(k)
	}
	return keys, nil
}

// CreateKey makes a key.
func (l *local) CreateKey(ctx context.Context, tenant string, k api.NewKey) (api.CreatedKey, error) {
	text, key, err := l.keys.Create(ctx, operator(), tenant, access.KeyKind(k.Kind), k.Name)
	return api.CreatedKey{Key: keyOf(key), Text: text}, err
}

// RevokeKey ends a key.
func (l *local) RevokeKey(ctx context.Context, tenant, id, reason string) error {
	return l.keys.Revoke(ctx, operator(), tenant, id, reason)
}

func keyOf(k access.APIKey) api.Key {
	return api.Key{ID: k.ID, Tenant: k.Tenant, Kind: string(k.Kind), Name: k.Name, Created: k.Created, Revoked: k.Revoked}
}
