package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// failureRow is a row of sign_in_failure.
type failureRow struct {
	TenantID    int64
	Counted     []byte
	Failures    int
	SinceAt     int64 // microseconds, like the others
	SeenAt      int64
	WaitUntil   int64
	LockedUntil int64 // 0: not locked
	EndsAt      int64
}

// TableName is asked by gorm.
func (failureRow) TableName() string { return "sign_in_failure" }

// forGood is the end of a lock that somebody must end.
const forGood = math.MaxInt64

// longestWait is between two tries to sign in.
const longestWait = time.Minute

// CountFailures counts a try to sign in as failed before it is made, so that no
// two can be made at once on the same count, and tells where each counter
// stands. While one has to wait, none is counted. What is over is forgotten.
func (s *Store) CountFailures(ctx context.Context, tenant string, rules ...access.CounterRule) ([]access.Counter, error) {
	var counters []access.Counter
	err := s.aside(ctx, func(tx *gorm.DB) error {
		counters = counters[:0]
		row, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		now := s.now()
		if err := tx.Where("ends_at <= ?", now.UnixMicro()).Delete(&failureRow{}).Error; err != nil {
			return err
		}
		rows := make([]failureRow, len(rules))
		waiting := false
		for i, rule := range rules {
			if rows[i], err = counting(tx, row.ID, rule, now); err != nil {
				return err
			}
			waiting = waiting || rows[i].WaitUntil > now.UnixMicro()
		}
		for i, rule := range rules {
			counters = append(counters, rows[i].counter(rule.Key, now))
			if waiting || counters[i].Locked {
				continue
			}
			rows[i].fail(rule, now)
			if err := save(tx, rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return counters, fault("count a try to sign in", err)
}

// counting locks the row of a counter, and makes one where there is none.
func counting(tx *gorm.DB, tenant int64, rule access.CounterRule, now time.Time) (failureRow, error) {
	fresh := failureRow{
		TenantID: tenant, Counted: rule.Key[:], SinceAt: now.UnixMicro(), SeenAt: now.UnixMicro(), EndsAt: now.Add(rule.Window).UnixMicro(),
	}
	if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&fresh).Error; err != nil {
		return fresh, err
	}
	var row failureRow
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("tenant_id = ? AND counted = ?", tenant, rule.Key[:]).Take(&row).Error
	return row, err
}

func (r *failureRow) counter(key [32]byte, now time.Time) access.Counter {
	c := access.Counter{Key: key, Failures: r.Failures, Locked: r.LockedUntil > now.UnixMicro()}
	if r.WaitUntil > now.UnixMicro() {
		c.Wait = moment(r.WaitUntil).Sub(now)
	}
	if c.Locked && r.LockedUntil != forGood {
		c.Until = moment(r.LockedUntil)
	}
	return c
}

// fail counts one more failure and says what follows.
func (r *failureRow) fail(rule access.CounterRule, now time.Time) {
	r.Failures++
	r.SeenAt = now.UnixMicro()
	if over := r.Failures - rule.Free; over > 0 {
		wait := min(time.Second<<min(over-1, 10), longestWait)
		r.WaitUntil = now.Add(wait).UnixMicro()
	}
	if rule.Lock > 0 && r.Failures >= rule.Lock {
		r.LockedUntil, r.WaitUntil = forGood, 0
		if rule.For > 0 {
			r.LockedUntil = now.Add(rule.For).UnixMicro()
		}
	}
	r.EndsAt = max(moment(r.SinceAt).Add(rule.Window).UnixMicro(), r.WaitUntil, r.LockedUntil)
}

func save(tx *gorm.DB, r failureRow) error {
	return tx.Model(&failureRow{}).Where("tenant_id = ? AND counted = ?", r.TenantID, r.Counted).
		Select("failures", "seen_at", "wait_until", "locked_until", "ends_at").Updates(&r).Error
}

// forgive forgets one counter, and takes one failure from another, with what
// followed from it.
func forgive(tx *gorm.DB, tenant int64, cleared, forgiven [32]byte) error {
	return errors.Join(
		tx.Where("tenant_id = ? AND counted = ?", tenant, cleared[:]).Delete(&failureRow{}).Error,
		tx.Model(&failureRow{}).Where("tenant_id = ? AND counted = ? AND failures > 0", tenant, forgiven[:]).
			Updates(map[string]any{"failures": gorm.Expr("failures - 1"), "wait_until": 0, "locked_until": 0}).Error)
}

// Forgive forgets one counter, and takes one failure from another.
func (s *Store) Forgive(ctx context.Context, tenant string, cleared, forgiven [32]byte) error {
	err := s.aside(ctx, func(tx *gorm.DB) error {
		row, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		return forgive(tx, row.ID, cleared, forgiven)
	})
	return fault("forgive failures", err)
}

// Failed remembers a try that failed, and whose it was where that is known. It
// takes as long where it is not.
func (s *Store) Failed(ctx context.Context, tenant, user string, a access.Attempt, counted [32]byte) error {
	err := s.aside(ctx, func(tx *gorm.DB) error {
		row, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		err = tx.Model(&failureRow{}).Where("tenant_id = ? AND counted = ?", row.ID, counted[:]).Update("seen_at", a.At.UnixMicro()).Error
		if err != nil || user == "" {
			return err
		}
		return attempted(tx, row.ID, user, a)
	})
	return fault("remember a try to sign in", err)
}

// Failures tells where a counter stands.
func (s *Store) Failures(ctx context.Context, tenant string, counted [32]byte) (access.Counter, error) {
	c := access.Counter{Key: counted}
	err := s.snapshot(ctx, tenant, func(v view) error {
		var r failureRow
		query := "SELECT failures, wait_until, locked_until, ends_at FROM sign_in_failure WHERE tenant_id = ? AND counted = ?"
		return each(ctx, v.tx, query, []any{v.tenant.ID, counted[:]}, func(rows *sql.Rows) error {
			err := rows.Scan(&r.Failures, &r.WaitUntil, &r.LockedUntil, &r.EndsAt)
			if now := s.now(); r.EndsAt > now.UnixMicro() {
				c = r.counter(counted, now)
			}
			return err
		})
	})
	return c, fault("read failures", err)
}

// Unlock forgets the failures of an account and records it.
func (d *draft) Unlock(user string, counted [32]byte) error {
	if err := forgive(d.w.tx, d.tenant.ID, counted, [32]byte{}); err != nil {
		return err
	}
	return d.w.note(kindSession, user, nil, map[string]string{"unlocked": "failures"})
}
