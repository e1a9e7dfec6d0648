package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// tokenRow is a row of one_time_token.
type tokenRow struct {
	TenantID  int64 `gorm:"primaryKey"`
	UserID    string
	Purpose   string
	TokenHash []byte
	ExpiresAt int64 // microseconds
}

// TableName is asked by gorm.
func (tokenRow) TableName() string { return "one_time_token" }

// tokenImage is how a token stands in the history: without its hash.
type tokenImage struct {
	User    string    `json:"user,omitempty"`
	Purpose string    `json:"purpose"`
	Expires time.Time `json:"expires"`
}

// PutToken keeps a one-time token in the place of the one that its user had for
// the same purpose, and records that there is one.
func (s *Store) PutToken(ctx context.Context, t access.Token, c access.Change) error {
	_, err := s.commit(ctx, c, existing(t.Tenant), func(w *write) error { return w.putToken(t) })
	return err
}

// PutToken is Store.PutToken as a part of the edit's revision.
func (d *draft) PutToken(t access.Token) error { return d.w.putToken(t) }

func (w *write) putToken(t access.Token) error {
	if err := checkToken(t); err != nil {
		return err
	}
	row := tokenRow{
		TenantID: w.tenant.ID, UserID: t.User, Purpose: string(t.Purpose), TokenHash: t.Hash[:], ExpiresAt: t.Expires.UnixMicro(),
	}
	upsert := clause.OnConflict{
		Columns:   []clause.Column{{Name: "tenant_id"}, {Name: "user_id"}, {Name: "purpose"}},
		DoUpdates: clause.AssignmentColumns([]string{"token_hash", "expires_at"}),
	}
	if err := w.tx.Clauses(upsert).Create(&row).Error; err != nil {
		return err
	}
	return w.note(kindToken, t.User, nil, tokenImage{User: t.User, Purpose: row.Purpose, Expires: moment(row.ExpiresAt)})
}

func checkToken(t access.Token) error {
	if t.Hash == [32]byte{} || t.Purpose == "" || t.Expires.IsZero() {
		return access.Invalid("token", "needs a hash, a purpose and an end")
	}
	if t.User == "" {
		return nil
	}
	return access.ValidUserID("user", t.User)
}

// TakeToken uses a tenant's token up and tells whose it was. One that is
// unknown, for something else, used or too old is the same ErrNotFound, after
// the same statements.
func (s *Store) TakeToken(ctx context.Context, tenant string, purpose access.Purpose, hash [32]byte) (access.Token, error) {
	var taken access.Token
	err := s.aside(ctx, func(tx *gorm.DB) error {
		var row tenantRow
		err := tx.Where("code = ?", tenant).Take(&row).Error
		if err := known(tenant, row, err); err != nil {
			return err
		}
		taken, err = takeToken(tx, row, s.now(), purpose, hash)
		return err
	})
	return taken, fault("take a token", err)
}

// PeekToken tells whose a token is without using it up; the errors are those of
// TakeToken.
func (s *Store) PeekToken(ctx context.Context, tenant string, purpose access.Purpose, hash [32]byte) (access.Token, error) {
	var row tokenRow
	err := s.snapshot(ctx, tenant, func(v view) error {
		query := "SELECT user_id, expires_at FROM one_time_token WHERE tenant_id = ? AND purpose = ? AND token_hash = ? AND expires_at > ?"
		err := v.tx.QueryRowContext(ctx, query, v.tenant.ID, string(purpose), hash[:], s.now().UnixMicro()).Scan(&row.UserID, &row.ExpiresAt)
		if errors.Is(err, sql.ErrNoRows) {
			return worthless()
		}
		return err
	})
	return access.Token{Hash: hash, Tenant: tenant, User: row.UserID, Purpose: purpose, Expires: moment(row.ExpiresAt)}, fault("look at a token", err)
}

// HasToken tells whether a user has a token for a purpose that is still good.
func (s *Store) HasToken(ctx context.Context, tenant, user string, purpose access.Purpose) (bool, error) {
	n := 0
	err := s.snapshot(ctx, tenant, func(v view) error {
		query := "SELECT COUNT(*) FROM one_time_token WHERE tenant_id = ? AND user_id = ? AND purpose = ? AND expires_at > ?"
		return v.tx.QueryRowContext(ctx, query, v.tenant.ID, user, string(purpose), s.now().UnixMicro()).Scan(&n)
	})
	return n > 0, fault("look for a token", err)
}

func worthless() error {
	return &access.Error{Kind: access.ErrNotFound, Field: "token", Message: "is unknown, used or too old"}
}

// TakeToken is Store.TakeToken as a part of the edit: when that fails, the token
// is as good as before.
func (d *draft) TakeToken(purpose access.Purpose, hash [32]byte) (access.Token, error) {
	return takeToken(d.w.tx, d.w.tenant, d.w.now, purpose, hash)
}

// takeToken: of two who take the same token, the database lets one delete it.
func takeToken(tx *gorm.DB, tenant tenantRow, now time.Time, purpose access.Purpose, hash [32]byte) (access.Token, error) {
	var row tokenRow
	query := "tenant_id = ? AND purpose = ? AND token_hash = ? AND expires_at > ?"
	args := []any{tenant.ID, string(purpose), hash[:], now.UnixMicro()}
	err := tx.Where(query, args...).Take(&row).Error
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return access.Token{}, err
	}
	done := tx.Where(query, args...).Delete(&tokenRow{})
	if done.Error != nil {
		return access.Token{}, done.Error
	}
	if err != nil || done.RowsAffected != 1 || row.Purpose != string(purpose) || !bytes.Equal(row.TokenHash, hash[:]) {
		return access.Token{}, worthless()
	}
	return access.Token{Hash: hash, Tenant: tenant.Code, User: row.UserID, Purpose: purpose, Expires: moment(row.ExpiresAt)}, nil
}

// DropTokens makes all tokens of a user worthless.
func (d *draft) DropTokens(user string) error {
	return d.w.tx.Where("tenant_id = ? AND user_id = ?", d.w.tenant.ID, user).Delete(&tokenRow{}).Error
}

// aside runs a transaction that is no revision: what it writes bears upon no
// decision. After a lost race it is run again.
func (s *Store) aside(ctx context.Context, do func(tx *gorm.DB) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := s.db.WithContext(ctx).Transaction(do)
		if err == nil || try == tries || !lostRace(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 10 * time.Millisecond):
		}
	}
}
