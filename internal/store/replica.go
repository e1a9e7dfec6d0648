package store

import (
	"context"
	"time"

	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// replicaRow is a row of replica.
type replicaRow struct {
	ID        string
	Address   string
	Version   string
	StartedAt int64 // microseconds
	SeenAt    int64 // microseconds
	Tenants   int
	Behind    int
	Lag       uint64
}

// TableName is asked by gorm.
func (replicaRow) TableName() string { return "replica" }

// forgotten is after how long a replica that says nothing is removed.
const forgotten = 24 * time.Hour

// Beat keeps what a replica says of itself, in the place of what it said
// before, and removes those that have said nothing for a day. Its Seen is now.
func (s *Store) Beat(ctx context.Context, r access.Replica) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	now := s.now()
	row := replicaRow{
		ID: r.ID, Address: r.Address, Version: r.Version, StartedAt: r.Started.UnixMicro(), SeenAt: now.UnixMicro(),
		Tenants: r.Tenants, Behind: r.Behind, Lag: r.Lag,
	}
	db := s.db.WithContext(ctx)
	if err := db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fault("keep the state of this replica", err)
	}
	old := now.Add(-forgotten).UnixMicro()
	if err := db.Where("seen_at < ?", old).Delete(&replicaRow{}).Error; err != nil {
		return fault("forget replicas", err)
	}
	return s.ForgetAttempts(ctx)
}

// Leave forgets a replica that ends.
func (s *Store) Leave(ctx context.Context, id string) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	return fault("forget this replica", s.db.WithContext(ctx).Where("id = ?", id).Delete(&replicaRow{}).Error)
}

// Replicas lists the replicas that said something within the last day, those
// that started first in front.
func (s *Store) Replicas(ctx context.Context) ([]access.Replica, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var rows []replicaRow
	if err := s.reader.WithContext(ctx).Order("started_at, id").Find(&rows).Error; err != nil {
		return nil, fault("list replicas", err)
	}
	return convert(rows, func(r replicaRow) access.Replica {
		return access.Replica{
			ID: r.ID, Address: r.Address, Version: r.Version, Started: moment(r.StartedAt), Seen: moment(r.SeenAt),
			Tenants: r.Tenants, Behind: r.Behind, Lag: r.Lag,
		}
	}), nil
}
