package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// keyRow is a row of api_key.
type keyRow struct {
	ID         string
	Tenant     string
	Kind       string
	Name       string
	SecretHash []byte
	CreatedAt  int64 // microseconds
	RevokedAt  int64 // microseconds; 0: works
}

// TableName is asked by gorm.
func (keyRow) TableName() string { return "api_key" }

// keyImage is how a key stands in the history: without its hash, and with a hash
// of that, by which it shows when somebody has put another secret in its place.
type keyImage struct {
	Tenant  string    `json:"tenant"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Revoked time.Time `json:"revoked,omitzero"`
	Check   string    `json:"check,omitempty"`
}

func (r keyRow) image() any {
	return keyImage{Tenant: r.Tenant, Kind: r.Kind, Name: r.Name, Created: moment(r.CreatedAt), Revoked: moment(r.RevokedAt), Check: r.check()}
}

// check is of use only to compare: secrets are random and long.
func (r keyRow) check() string { return checkOf("an API key", r.SecretHash) }

func checkOf(what string, hash []byte) string {
	sum := sha256.Sum256(append([]byte("check of "+what+"\n"), hash...))
	return hex.EncodeToString(sum[:16])
}

func (r keyRow) key() (access.APIKey, error) {
	k := access.APIKey{
		ID: r.ID, Tenant: r.Tenant, Kind: access.KeyKind(r.Kind), Name: r.Name,
		Created: moment(r.CreatedAt), Revoked: moment(r.RevokedAt),
	}
	if copy(k.SecretHash[:], r.SecretHash) != len(k.SecretHash) || len(r.SecretHash) != len(k.SecretHash) {
		return k, access.Invalid("api_key "+r.ID, "its hash has %d bytes instead of %d", len(r.SecretHash), len(k.SecretHash))
	}
	return k, access.ValidKeyKind("api_key "+r.ID, k.Kind)
}

// historyOf is the tenant in whose history a key for this tenant stands.
func historyOf(tenant string) string {
	if tenant == access.AllTenants {
		return access.DefaultTenant
	}
	return tenant
}

// Keys lists all API keys, revoked ones too, by id.
func (s *Store) Keys(ctx context.Context) ([]access.APIKey, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var rows []keyRow
	if err := s.follow.WithContext(ctx).Order("id").Find(&rows).Error; err != nil {
		return nil, fault("list keys", err)
	}
	keys := make([]access.APIKey, len(rows))
	for i, r := range rows {
		var err error
		if keys[i], err = r.key(); err != nil {
			return nil, fault("list keys", err)
		}
	}
	return keys, nil
}

// AddKey keeps a new API key and records it, without its hash, in the history
// of its tenant; a key for all tenants in that of the tenant default. An id is
// never used twice.
func (s *Store) AddKey(ctx context.Context, k access.APIKey, c access.Change) error {
	if err := checkKey(k); err != nil {
		return err
	}
	_, err := s.commit(ctx, c, existing(historyOf(k.Tenant)), func(w *write) error {
		row := keyRow{ID: k.ID, Tenant: k.Tenant, Kind: string(k.Kind), Name: k.Name, SecretHash: k.SecretHash[:]}
		if k.Created.IsZero() {
			k.Created = w.now
		}
		row.CreatedAt = k.Created.UnixMicro()
		err := exactly(1, w.tx.Create(&row))
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return access.Exists("key", k.ID)
		}
		if err != nil {
			return fmt.Errorf("insert key: %w", err)
		}
		return w.note(kindKey, row.ID, nil, row.image())
	})
	return err
}

func checkKey(k access.APIKey) error {
	if !k.Revoked.IsZero() {
		return access.Invalid("revoked", "a new key cannot be revoked already")
	}
	if k.SecretHash == [32]byte{} {
		return access.Invalid("secret", "is required")
	}
	return errors.Join(access.ValidID("id", k.ID), access.ValidKeyKind("kind", k.Kind), access.ValidName("name", k.Name))
}

// RevokeKey makes a tenant's key worthless from now on. A key that was revoked
// before is left as it is.
func (s *Store) RevokeKey(ctx context.Context, tenant, id string, c access.Change) error {
	_, err := s.commit(ctx, c, existing(historyOf(tenant)), func(w *write) error {
		var row keyRow
		err := w.tx.Where("id = ?", id).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) || (err == nil && (row.ID != id || row.Tenant != tenant)) {
			return access.NotFound("key", id)
		}
		if err != nil || row.RevokedAt != 0 {
			return err
		}
		before := row.image()
		row.RevokedAt = w.now.UnixMicro()
		if err := exactly(1, w.tx.Model(&row).Update("revoked_at", row.RevokedAt)); err != nil {
			return fmt.Errorf("revoke key: %w", err)
		}
		return w.note(kindKey, id, before, row.image())
	})
	return err
}
