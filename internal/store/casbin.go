package store

import (
	"context"
	"errors"

	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"
	gormadapter "github.com/casbin/gorm-adapter/v3"
)

// CasbinAdapter gives the rules of a tenant that are in force to a stock Casbin
// enforcer, by way of gorm-adapter. Nothing can be written through it.
func (s *Store) CasbinAdapter(ctx context.Context, tenant string) (persist.Adapter, error) {
	var row tenantRow
	err := s.snapshot(ctx, tenant, func(v view) error {
		row = v.tenant
		return nil
	})
	if err != nil {
		return nil, fault("open a Casbin adapter", err)
	}
	db := s.reader.WithContext(ctx).Where("tenant_id = ? AND pending = 0", row.ID)
	gormadapter.TurnOffAutoMigrate(db)
	inner, err := gormadapter.NewAdapterByDB(db)
	if err != nil {
		return nil, fault("open a Casbin adapter", err)
	}
	return readOnly{inner}, nil
}

// readOnly hides what gorm-adapter can write: it truncates outside its
// transaction, swallows errors of deletes and leaves blank fields out of WHERE.
type readOnly struct{ from *gormadapter.Adapter }

var errReadOnly = errors.New("the Casbin adapter only loads; change policies through the store")

// LoadPolicy loads the rules into a model.
func (a readOnly) LoadPolicy(m model.Model) error { return a.from.LoadPolicy(m) }

// An enforcer panics when an adapter lacks the methods for many rules or for
// updates, so all of them are there, and all of them refuse.
var (
	_ persist.BatchAdapter     = readOnly{}
	_ persist.UpdatableAdapter = readOnly{}
)

func (readOnly) SavePolicy(model.Model) error                                { return errReadOnly }
func (readOnly) AddPolicy(string, string, []string) error                    { return errReadOnly }
func (readOnly) AddPolicies(string, string, [][]string) error                { return errReadOnly }
func (readOnly) RemovePolicy(string, string, []string) error                 { return errReadOnly }
func (readOnly) RemovePolicies(string, string, [][]string) error             { return errReadOnly }
func (readOnly) RemoveFilteredPolicy(string, string, int, ...string) error   { return errReadOnly }
func (readOnly) UpdatePolicy(string, string, []string, []string) error       { return errReadOnly }
func (readOnly) UpdatePolicies(string, string, [][]string, [][]string) error { return errReadOnly }

func (readOnly) UpdateFilteredPolicies(string, string, [][]string, int, ...string) ([][]string, error) {
	return nil, errReadOnly
}
