package store

import (
	"context"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// refusalRow is a row of refusal.
type refusalRow struct {
	Seq       int64 `gorm:"primaryKey"`
	Tenant    string
	ID        string
	RefusedAt int64 // microseconds
	Caller    string
	RequestID string
	Need      string
	Door      string
	Why       string
	Times     int
}

// TableName is asked by gorm.
func (refusalRow) TableName() string { return "refusal" }

// maxWhy bounds what is kept of a reason, in bytes.
const maxWhy = 2000

// KeepRefusals keeps refused attempts, all or none, in a transaction of their own.
func (s *Store) KeepRefusals(ctx context.Context, all []access.RefusedAttempt) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	rows := convert(all, func(r access.RefusedAttempt) refusalRow {
		return refusalRow{
			Tenant: fits(r.Tenant, 100), ID: r.ID, RefusedAt: r.At.UnixMicro(), Caller: fits(r.Caller, 255), RequestID: fits(r.RequestID, 128),
			Need: fits(r.Need, 255), Door: fits(r.Door, 255), Why: fits(r.Why, maxWhy), Times: r.Times,
		}
	})
	return fault("keep refusals", s.db.WithContext(ctx).Clauses(s.leaveThere()).Omit("seq").Create(&rows).Error)
}

// ForgetRefusals removes what is old, like ForgetDecisions.
func (s *Store) ForgetRefusals(ctx context.Context, before time.Time, most int) (done bool, err error) {
	done, err = s.forgetLog(ctx, "refusal", "refused_at", before, most)
	return done, fault("forget refusals", err)
}

// Refusals gives refused attempts of a tenant, newest first, after one of them,
// at most so many. A caller that is not empty narrows them to his.
func (s *Store) Refusals(ctx context.Context, tenant, caller, after string, most int) ([]access.RefusedAttempt, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	db := s.reader.WithContext(ctx).Where("tenant = ?", tenant).Order("id DESC").Limit(most)
	if after != "" {
		db = db.Where("id < ?", after)
	}
	if caller != "" {
		db = db.Where("caller = ?", caller)
	}
	var rows []refusalRow
	if err := db.Find(&rows).Error; err != nil {
		return nil, fault("list refusals", err)
	}
	return convert(rows, func(r refusalRow) access.RefusedAttempt {
		return access.RefusedAttempt{
			ID: r.ID, At: moment(r.RefusedAt), Tenant: r.Tenant, Caller: r.Caller, RequestID: r.RequestID, Need: r.Need, Door: r.Door, Why: r.Why, Times: r.Times,
		}
	}), nil
}
