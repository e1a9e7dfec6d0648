package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// secondFactorRow is a row of second_factor.
type secondFactorRow struct {
	TenantID    int64
	UserID      string
	Sealed      []byte
	Pending     []byte
	ConfirmedAt int64 // microseconds; 0: never
	LastStep    int64
	Recovery    string // JSON: hexadecimal hashes
}

// TableName is asked by gorm.
func (secondFactorRow) TableName() string { return "second_factor" }

// secondFactorImage is how a second factor stands in the history: without
// anything that it is made of.
type secondFactorImage struct {
	Confirmed     time.Time `json:"confirmed"`
	RecoveryCodes int       `json:"recovery_codes"`
	Check         string    `json:"check,omitempty"` // of what is sealed, see keyImage
}

func (r *secondFactorRow) image() any {
	f, err := r.secondFactor()
	if err != nil || !f.Active() {
		return nil
	}
	return secondFactorImage{Confirmed: f.Confirmed, RecoveryCodes: len(f.Recovery), Check: checkOf("a second factor", f.Sealed)}
}

func (r *secondFactorRow) secondFactor() (access.SecondFactor, error) {
	f := access.SecondFactor{Sealed: r.Sealed, Pending: r.Pending, Confirmed: moment(r.ConfirmedAt), LastStep: r.LastStep}
	if r.Recovery == "" {
		return f, nil
	}
	var texts []string
	if err := decode("second factor of "+r.UserID, r.Recovery, &texts); err != nil {
		return f, err
	}
	for _, text := range texts {
		hash, err := hex.DecodeString(text)
		if err != nil || len(hash) != len([32]byte{}) {
			return f, access.Invalid("second_factor", "of %s holds what is no hash", r.UserID)
		}
		f.Recovery = append(f.Recovery, [32]byte(hash))
	}
	return f, nil
}

func secondFactorRowOf(tenant int64, user string, f access.SecondFactor) (secondFactorRow, error) {
	texts := make([]string, len(f.Recovery))
	for i, hash := range f.Recovery {
		texts[i] = hex.EncodeToString(hash[:])
	}
	text, err := encode(texts)
	row := secondFactorRow{
		TenantID: tenant, UserID: user, Sealed: orNothing(f.Sealed), Pending: orNothing(f.Pending), LastStep: f.LastStep, Recovery: text,
	}
	if !f.Confirmed.IsZero() {
		row.ConfirmedAt = f.Confirmed.UnixMicro()
	}
	return row, err
}

// orNothing: the columns are never NULL.
func orNothing(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

const secondFactorColumns = "user_id, sealed, pending, confirmed_at, last_step, recovery"

// secondFactor reads the second factor of a user. Nobody has a row until he has
// begun to set one up.
func (v view) secondFactor(user string) (secondFactorRow, error) {
	r := secondFactorRow{TenantID: v.tenant.ID, UserID: user}
	query := "SELECT " + secondFactorColumns + " FROM second_factor WHERE tenant_id = ? AND user_id = ?"
	err := v.tx.QueryRowContext(v.ctx, query, v.tenant.ID, user).Scan(&r.UserID, &r.Sealed, &r.Pending, &r.ConfirmedAt, &r.LastStep, &r.Recovery)
	if errors.Is(err, sql.ErrNoRows) || err == nil && r.UserID != user {
		return secondFactorRow{TenantID: v.tenant.ID, UserID: user}, nil
	}
	return r, err
}

// ProposeSecondFactor keeps what somebody is setting up. What he has stays as it
// is until he shows that the new one works.
func (s *Store) ProposeSecondFactor(ctx context.Context, tenant, user string, pending []byte) error {
	err := s.aside(ctx, func(tx *gorm.DB) error {
		t, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		row, err := secondFactorRowOf(t.ID, user, access.SecondFactor{Pending: pending})
		if err != nil {
			return err
		}
		return upsertSecondFactor(tx, &row, "pending")
	})
	return fault("keep a second factor", err)
}

func upsertSecondFactor(tx *gorm.DB, row *secondFactorRow, columns ...string) error {
	return tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "tenant_id"}, {Name: "user_id"}}, DoUpdates: clause.AssignmentColumns(columns),
	}).Create(row).Error
}

// TakeCode takes the code of a half minute, once: one of it or before it that
// comes later, or at the same time, is ErrStale.
func (s *Store) TakeCode(ctx context.Context, tenant, user string, step int64) error {
	err := s.aside(ctx, func(tx *gorm.DB) error {
		t, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		done := tx.Model(&secondFactorRow{}).Where("tenant_id = ? AND user_id = ? AND last_step < ?", t.ID, user, step).Update("last_step", step)
		return taken(done)
	})
	return fault("take a code", err)
}

// TakeRecovery takes one of the codes that somebody has for having lost the app.
// One that he has not, or no longer has, is ErrStale.
func (s *Store) TakeRecovery(ctx context.Context, tenant, user string, hash [32]byte) error {
	err := s.aside(ctx, func(tx *gorm.DB) error {
		t, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		row, err := lockSecondFactor(tx, t.ID, user)
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return errCodeTaken
		}
		if err != nil {
			return err
		}
		f, err := row.secondFactor()
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(f.Recovery), func(h [32]byte) bool { return bytes.Equal(h[:], hash[:]) })
		if len(left) == len(f.Recovery) {
			return errCodeTaken
		}
		f.Recovery = left
		next, err := secondFactorRowOf(t.ID, user, f)
		if err != nil {
			return err
		}
		return taken(tx.Model(&secondFactorRow{}).Where("tenant_id = ? AND user_id = ?", t.ID, user).Update("recovery", next.Recovery))
	})
	return fault("take a code", err)
}

var errCodeTaken = &access.Error{Kind: access.ErrStale, Field: "code", Message: "has been used"}

func taken(done *gorm.DB) error {
	if done.Error == nil && done.RowsAffected != 1 {
		return errCodeTaken
	}
	return done.Error
}

// SecondFactor gives what is kept of somebody's second factor. It is locked until
// the edit ends: a code that is taken beside it must not be good again after it.
func (d *draft) SecondFactor(user string) (access.SecondFactor, error) {
	row, err := d.lockedSecondFactor(user)
	if err != nil {
		return access.SecondFactor{}, err
	}
	return row.secondFactor()
}

func (d *draft) lockedSecondFactor(user string) (secondFactorRow, error) {
	r, err := lockSecondFactor(d.w.tx, d.tenant.ID, user)
	if errors.Is(err, gorm.ErrRecordNotFound) || err == nil && r.UserID != user {
		return secondFactorRow{TenantID: d.tenant.ID, UserID: user}, nil
	}
	return r, err
}

// lockSecondFactor reads the row of a user, and locks it until the transaction ends.
func lockSecondFactor(tx *gorm.DB, tenant int64, user string) (r secondFactorRow, err error) {
	err = tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("tenant_id = ? AND user_id = ?", tenant, user).Take(&r).Error
	return r, err
}

// PutSecondFactor keeps somebody's second factor, none where it is empty, and
// records that it was changed.
func (d *draft) PutSecondFactor(user string, f access.SecondFactor) error {
	had, err := d.lockedSecondFactor(user)
	if err != nil {
		return err
	}
	row, err := secondFactorRowOf(d.tenant.ID, user, f)
	if err != nil {
		return err
	}
	if err := upsertSecondFactor(d.w.tx, &row, "sealed", "pending", "confirmed_at", "last_step", "recovery"); err != nil {
		return err
	}
	return d.w.note(kindSecondFactor, user, had.image(), row.image())
}
