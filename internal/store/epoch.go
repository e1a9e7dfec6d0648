package store

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// RenewEpoch declares what is stored of a tenant the truth, also where replicas
// have seen later revisions: after a restore, or a failover to a copy that lacked
// the last commits. Everything that was remembered of the tenant anywhere is
// forgotten, and revisions that were lost may come again. It is recorded as a
// revision of its own.
func (s *Store) RenewEpoch(ctx context.Context, tenant string, c access.Change) error {
	_, err := s.commit(ctx, c, existing(tenant), func(w *write) error {
		before := w.tenant.Epoch
		w.tenant.Epoch = newEpoch()
		err := w.tx.Table("subject_stripe").Where("tenant_id = ?", w.tenant.ID).Update("revision", w.tenant.Revision+1).Error
		if err != nil {
			return err
		}
		return w.note(kindEpoch, tenant, before, w.tenant.Epoch)
	})
	return err
}
