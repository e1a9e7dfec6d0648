package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// checkpointRow is a row of checkpoint.
type checkpointRow struct {
	TenantID  int64
	Number    int64
	Epoch     string
	Revision  access.Revision
	Hash      string
	MadeAt    int64
	Previous  string
	KeyName   string
	Signature string
}

// TableName is asked by gorm.
func (checkpointRow) TableName() string { return "checkpoint" }

func (r checkpointRow) checkpoint(tenant string) access.Checkpoint {
	return access.Checkpoint{
		Tenant: tenant, Number: r.Number, Epoch: r.Epoch, Revision: r.Revision, Hash: r.Hash, At: r.MadeAt,
		Before: r.Previous, Key: r.KeyName, Signature: r.Signature,
	}
}

// AddCheckpoint signs the newest revision of a tenant, unless that was done
// before. Of two servers that sign at once one does nothing.
func (s *Store) AddCheckpoint(ctx context.Context, tenant string, key ed25519.PrivateKey) (access.Checkpoint, error) {
	c := access.Checkpoint{Tenant: tenant, At: s.now().UnixMicro()}
	var row checkpointRow
	err := s.snapshot(ctx, tenant, func(v view) error {
		c.Epoch, c.Revision, row.TenantID = v.tenant.Epoch, v.tenant.Revision, v.tenant.ID
		query := "SELECT hash FROM revision WHERE tenant_id = ? AND number = ?"
		if err := v.tx.QueryRowContext(ctx, query, v.tenant.ID, v.tenant.Revision).Scan(&c.Hash); err != nil {
			return err
		}
		var last checkpointRow
		query = "SELECT number, epoch, revision, signature FROM checkpoint WHERE tenant_id = ? ORDER BY number DESC LIMIT 1"
		err := v.tx.QueryRowContext(ctx, query, v.tenant.ID).Scan(&last.Number, &last.Epoch, &last.Revision, &last.Signature)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if c.Number, c.Before = last.Number+1, last.Signature; last.Revision == c.Revision && last.Epoch == c.Epoch {
			c.Number = 0 // it is signed already
		}
		return nil
	})
	if err != nil || c.Number == 0 {
		return access.Checkpoint{}, fault("sign the history of "+tenant, err)
	}
	c.Sign(key)
	row.Number, row.Epoch, row.Revision, row.Hash, row.MadeAt = c.Number, c.Epoch, c.Revision, c.Hash, c.At
	row.Previous, row.KeyName, row.Signature = c.Before, c.Key, c.Signature
	err = s.db.WithContext(ctx).Create(&row).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return access.Checkpoint{}, nil // another server was quicker
	}
	return c, fault("keep a checkpoint", err)
}

// Trail writes a tenant's whole history down, line by line, from one consistent
// reading.
func (s *Store) Trail(ctx context.Context, tenant string, take func(access.TrailLine) error) error {
	err := s.snapshot(ctx, tenant, func(v view) error {
		head := access.TrailLine{Kind: access.TrailHead, Tenant: tenant, Epoch: v.tenant.Epoch, Revision: v.tenant.Revision, At: s.now().UnixMicro()}
		if err := take(head); err != nil {
			return err
		}
		t := trail{view: v, take: take}
		return inTurn(t.revisions, t.strays, t.checkpoints, t.end)
	})
	return fault("read the history of "+tenant, err)
}

// trail is a history that is being written down.
type trail struct {
	view
	take func(access.TrailLine) error
	last access.TrailLine
}

func (t *trail) revisions() error {
	return each(t.ctx, t.tx, chainQuery, []any{t.tenant.ID, 0}, func(rows *sql.Rows) error {
		r := access.TrailLine{Kind: access.TrailRevision}
		var n sql.NullInt64
		var kind, name, oldValue, newValue sql.NullString
		err := rows.Scan(&r.Revision, &r.Parent, &r.Hash, &r.Author, &r.Source, &r.Reason, &r.At, &n, &kind, &name, &oldValue, &newValue)
		if err != nil {
			return err
		}
		if t.last.Kind == "" || r.Revision != t.last.Revision {
			t.last = r
			if err := t.take(r); err != nil {
				return err
			}
		}
		if !n.Valid {
			return nil
		}
		return t.take(access.TrailLine{
			Kind: access.TrailChange, Revision: r.Revision, N: n.Int64, Of: kind.String, Name: name.String, Old: oldValue.String, New: newValue.String,
		})
	})
}

// strays are changes without a revision, which should not be.
func (t *trail) strays() error {
	query := `SELECT revision, n FROM revision_change c WHERE tenant_id = ? AND NOT EXISTS
		(SELECT 1 FROM revision r WHERE r.tenant_id = c.tenant_id AND r.number = c.revision) ORDER BY revision, n`
	return each(t.ctx, t.tx, query, []any{t.tenant.ID}, func(rows *sql.Rows) error {
		l := access.TrailLine{Kind: access.TrailChange}
		if err := rows.Scan(&l.Revision, &l.N); err != nil {
			return err
		}
		return t.take(l)
	})
}

func (t *trail) checkpoints() error {
	query := "SELECT number, epoch, revision, hash, made_at, previous, key_name, signature FROM checkpoint WHERE tenant_id = ? ORDER BY number"
	return each(t.ctx, t.tx, query, []any{t.tenant.ID}, func(rows *sql.Rows) error {
		var r checkpointRow
		if err := rows.Scan(&r.Number, &r.Epoch, &r.Revision, &r.Hash, &r.MadeAt, &r.Previous, &r.KeyName, &r.Signature); err != nil {
			return err
		}
		c := r.checkpoint(t.tenant.Code)
		return t.take(access.TrailLine{Kind: access.TrailCheckpoint, Checkpoint: &c})
	})
}

func (t *trail) end() error {
	return t.take(access.TrailLine{Kind: access.TrailEnd, Revision: t.last.Revision, Hash: t.last.Hash})
}
