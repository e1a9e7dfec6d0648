package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Expire keeps the stored rules true for tools that know no clock: it removes
// those that have ended and shows those that have begun, as one revision. It
// is cheap to call when there is nothing to do; To is From then.
func (s *Store) Expire(ctx context.Context, tenant string, now time.Time) (access.Delta, error) {
	var row tenantRow
	err := s.snapshot(ctx, tenant, func(v view) error {
		row = v.tenant
		return nil
	})
	if err != nil {
		return access.Delta{}, fault("expire", err)
	}
	if row.NextAt == 0 || row.NextAt > now.UnixMicro() {
		return newFold(row, row.Revision).delta, nil
	}
	c := access.Change{Base: access.AnyRevision, Author: "bailiwick", Source: "expiry", Reason: "rules that end or begin by the clock"}
	return s.commit(ctx, c, existing(tenant), func(w *write) error { return w.expire(now.UnixMicro()) })
}

func (w *write) expire(now int64) error {
	due, err := w.due(now)
	if err != nil {
		return err
	}
	var stay []ruleRow
	for _, r := range due {
		if r.ValidUntil == 0 || r.ValidUntil > now {
			r.Pending = false
			stay = append(stay, r)
		} else if r.users() {
			w.tenant.UserRules--
		}
	}
	if err := replace(w, "casbin_rule", "id", kindRule, due, stay); err != nil {
		return err
	}
	w.tenant.Rules -= int64(len(due) - len(stay))
	return w.nextAt()
}

// due lists the rules that have ended, and those that have begun unseen.
func (w *write) due(now int64) ([]ruleRow, error) {
	var due []ruleRow
	err := w.tx.Where("tenant_id = ?", w.tenant.ID).
		Where("(valid_until <> 0 AND valid_until <= ?) OR (pending = 1 AND valid_from <= ?)", now, now).
		Order("id").Find(&due).Error
	return due, err
}

// nextAt notes when there is something to do again.
func (w *write) nextAt() error {
	var begins, ends sql.NullInt64
	query := `SELECT MIN(CASE WHEN pending = 1 THEN valid_from END), MIN(CASE WHEN pending = 0 AND valid_until <> 0 THEN valid_until END)
		FROM casbin_rule WHERE tenant_id = ?`
	if err := w.tx.Raw(query, w.tenant.ID).Row().Scan(&begins, &ends); err != nil {
		return err
	}
	w.tenant.NextAt = sooner(begins.Int64, ends.Int64)
	return nil
}
