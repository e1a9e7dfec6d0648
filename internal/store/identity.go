package store

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// identityRow is a row of identity.
type identityRow struct {
	TenantID int64
	Issuer   string
	Subject  string
	UserID   string
}

// TableName is asked by gorm.
func (identityRow) TableName() string { return "identity" }

// UserOf gives the id of the account that somebody at an OpenID provider was
// linked with, or ErrNotFound.
func (s *Store) UserOf(ctx context.Context, tenant, issuer, subject string) (string, error) {
	var row identityRow
	err := s.aside(ctx, func(tx *gorm.DB) error {
		t, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		err = tx.Where("tenant_id = ? AND issuer = ? AND subject = ?", t.ID, issuer, subject).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) || err == nil && (row.Issuer != issuer || row.Subject != subject) {
			return access.NotFound("identity", subject)
		}
		return err
	})
	return row.UserID, fault("look for an identity", err)
}

// Link links an account with somebody at an OpenID provider, for good. ErrExists:
// one of the two is linked already.
func (s *Store) Link(ctx context.Context, tenant, issuer, subject, user string) error {
	const most = 255
	if subject == "" || len(subject) > most || issuer == "" || len(issuer) > most {
		return access.Invalid("subject", "must have 1 to %d bytes", most)
	}
	return fault("link an identity", s.aside(ctx, func(tx *gorm.DB) error {
		t, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		err = tx.Create(&identityRow{TenantID: t.ID, Issuer: issuer, Subject: subject, UserID: user}).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return access.Exists("identity", subject)
		}
		return err
	}))
}
