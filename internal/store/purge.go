package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// purgeBatch is how many accounts one revision purges.
const purgeBatch = 500

// Purge takes away everything of accounts that were deleted before a moment but
// their ids, moments and successors, as one revision for some of them: as long as
// To is not From, there may be more. What they were stays in the history.
//
// It is cheap to call when there is nothing to do.
func (s *Store) Purge(ctx context.Context, tenant string, before time.Time) (access.Delta, error) {
	var none access.Delta
	found := false
	err := s.snapshot(ctx, tenant, func(v view) error {
		ids, err := purgeableIDs(v, before, 1)
		none, found = newFold(v.tenant, v.tenant.Revision).delta, len(ids) > 0
		return err
	})
	if err != nil || !found {
		return none, fault("purge", err)
	}
	c := access.Change{Base: access.AnyRevision, Author: "bailiwick", Source: "purge", Reason: "deleted accounts that can no longer be restored"}
	return s.Edit(ctx, tenant, c, func(t access.Draft) error {
		ids, err := purgeableIDs(t.(*draft).view, before, purgeBatch) //nolint:forcetypeassert // Edit gives no other
		for _, id := range ids {
			u, err := t.User(id)
			if err == nil {
				err = t.(*draft).forget(id) //nolint:forcetypeassert // Edit gives no other
			}
			if err != nil {
				return err
			}
			t.PutUser(access.User{
				ID: u.ID, Status: u.Status, CreatedAt: u.CreatedAt, DeletedAt: u.DeletedAt, Successor: u.Successor, PurgedAt: t.Now(),
			})
		}
		return err
	}, nil)
}

// forget takes away what is kept of somebody beside the account.
func (d *draft) forget(id string) error {
	for _, table := range []string{"one_time_token", "credential", "session", "second_factor", "mail", "identity", "presence"} {
		if err := d.w.tx.Exec("DELETE FROM "+table+" WHERE tenant_id = ? AND user_id = ?", d.w.tenant.ID, id).Error; err != nil {
			return err
		}
	}
	return nil
}

func purgeableIDs(v view, before time.Time, most int) ([]string, error) {
	var ids []string
	query := "SELECT id FROM users WHERE tenant_id = ? AND deleted_at > 0 AND deleted_at < ? ORDER BY deleted_at LIMIT ?"
	err := each(v.ctx, v.tx, query, []any{v.tenant.ID, before.UnixMicro(), most}, func(rows *sql.Rows) error {
		ids = append(ids, "")
		return rows.Scan(&ids[len(ids)-1])
	})
	return ids, err
}
