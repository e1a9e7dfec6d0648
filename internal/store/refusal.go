package store

import (
	"context"
	"strings"
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

// Refusals gives refused attempts of a tenant, newest first.
func (s *Store) Refusals(ctx context.Context, tenant string, q access.RefusalSearch) ([]access.RefusedAttempt, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	db := s.reader.WithContext(ctx).Where("tenant = ?", tenant).Order("id DESC").Limit(q.Most)
	narrow := func(wanted bool, condition string, with ...any) {
		if wanted {
			db = db.Where(condition, with...)
		}
	}
	narrow(q.After != "", "id < ?", q.After)
	narrow(q.Caller != "", "caller = ?", q.Caller)
	narrow(q.RequestID != "", "request_id = ?", q.RequestID)
	narrow(strings.Contains(q.Need, "/"), "need = ?", q.Need)
	narrow(q.Need != "" && !strings.Contains(q.Need, "/"), "need > ? AND need < ?", q.Need+"/", q.Need+"0") // "0" comes behind "/"
	narrow(!q.From.IsZero(), "refused_at >= ?", q.From.UnixMicro())
	narrow(!q.Until.IsZero(), "refused_at < ?", q.Until.UnixMicro())
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
