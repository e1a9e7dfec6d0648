package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

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

func checkpointRowOf(tenant int64, c access.Checkpoint) checkpointRow {
	return checkpointRow{
		TenantID: tenant, Number: c.Number, Epoch: c.Epoch, Revision: c.Revision, Hash: c.Hash, MadeAt: c.At,
		Previous: c.Before, KeyName: c.Key, Signature: c.Signature,
	}
}

// signer signs histories, and remembers the newest checkpoint that it has seen of
// each tenant: what is signed next must follow from it.
type signer struct {
	key  ed25519.PrivateKey // nil: nothing is signed
	told func(access.Checkpoint)
	mu   sync.Mutex
	seen map[string]access.Checkpoint
}

// SignWith signs every revision in the transaction that makes it. known are
// checkpoints that were noted elsewhere, oldest first: they must still be there;
// told hears of each that is new. It is called before anything is written.
func (s *Store) SignWith(key ed25519.PrivateKey, known []access.Checkpoint, told func(access.Checkpoint)) {
	s.signer = signer{key: key, told: told, seen: map[string]access.Checkpoint{}}
	for _, c := range known {
		s.signer.seen[c.Tenant] = c
	}
}

// Signs tells whether it has a key for that.
func (s *Store) Signs() bool { return s.signer.key != nil }

func (s *signer) last(tenant string) access.Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[tenant]
}

// keep remembers a checkpoint, unless a newer one of its epoch is known.
func (s *signer) keep(c access.Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.seen[c.Tenant]
	if s.key == nil || c.Number == 0 || c.Epoch == was.Epoch && c.Number <= was.Number {
		return
	}
	if s.seen[c.Tenant] = c; s.told != nil {
		s.told(c)
	}
}

// sign signs the revision that is being made, if everything before it is signed.
// Where it is not, or not as it was, AddCheckpoint signs, or says what is wrong:
// that must not keep anybody from taking a right away.
func (w *write) sign(r revisionRow) error {
	if w.signer == nil || w.signer.key == nil {
		return nil
	}
	v := w.view()
	last, err := v.lastCheckpoint()
	if err != nil || last.Revision+1 != r.Number || last.Hash != r.Parent {
		return err
	}
	if err := v.still(w.signer.last(w.tenant.Code), last); err != nil {
		if errors.Is(err, access.ErrInvalid) {
			return nil
		}
		return err
	}
	w.signed = v.next(last, r, w.now, w.signer.key)
	row := checkpointRowOf(w.tenant.ID, w.signed)
	return exactly(1, w.tx.Create(&row))
}

// next is the checkpoint after another.
func (v view) next(last access.Checkpoint, r revisionRow, now time.Time, key ed25519.PrivateKey) access.Checkpoint {
	c := access.Checkpoint{
		Tenant: v.tenant.Code, Number: last.Number + 1, Epoch: v.tenant.Epoch, Revision: r.Number, Hash: r.Hash,
		At: now.UnixMicro(), Before: last.Signature,
	}
	c.Sign(key)
	return c
}

const checkpointColumns = "number, epoch, revision, hash, made_at, previous, key_name, signature"

// lastCheckpoint is the newest, or a zero one.
func (v view) lastCheckpoint() (access.Checkpoint, error) {
	var r checkpointRow
	query := "SELECT " + checkpointColumns + " FROM checkpoint WHERE tenant_id = ? ORDER BY number DESC LIMIT 1"
	err := v.tx.QueryRowContext(v.ctx, query, v.tenant.ID).Scan(&r.Number, &r.Epoch, &r.Revision, &r.Hash, &r.MadeAt, &r.Previous, &r.KeyName, &r.Signature)
	if errors.Is(err, sql.ErrNoRows) {
		return access.Checkpoint{}, nil
	}
	return r.checkpoint(v.tenant.Code), err
}

// still wants a checkpoint that was seen to be there as it was, unless the tenant
// is in another epoch since, as after a restore.
func (v view) still(seen, last access.Checkpoint) error {
	if seen.Number == 0 || seen.Epoch != v.tenant.Epoch || seen.Signature == last.Signature {
		return nil
	}
	var signature string
	query := "SELECT signature FROM checkpoint WHERE tenant_id = ? AND number = ?"
	err := v.tx.QueryRowContext(v.ctx, query, v.tenant.ID, seen.Number).Scan(&signature)
	if err != nil && !errors.Is(err, sql.ErrNoRows) || signature == seen.Signature {
		return err
	}
	return access.Invalid(fmt.Sprintf("checkpoint %d", seen.Number), "of revision %d, seen earlier, is not there any more: "+
		"the history was rewritten, or restored without bailiwick tenant renew-epoch; see bailiwick verify", seen.Revision)
}

// AddCheckpoint signs the newest revision of a tenant, unless that was done, in
// the transaction that made it, or by another server. What was signed before and
// all that follows must be as it was written: ErrInvalid names what is not.
// Without a key it does nothing.
func (s *Store) AddCheckpoint(ctx context.Context, tenant string) (access.Checkpoint, error) {
	if s.signer.key == nil {
		return access.Checkpoint{}, nil
	}
	seen := s.signer.last(tenant)
	var last, made access.Checkpoint
	var head revisionRow
	err := s.snapshot(ctx, tenant, func(v view) (err error) {
		last, head, err = v.unsigned(seen, s.signer.key, revisionRow{})
		return err
	})
	if err == nil && head.Number > 0 {
		// Nobody else writes from here on, and there is little left to look at.
		err = s.aside(ctx, func(tx *gorm.DB) error {
			row, err := existing(tenant)(tx)
			if err != nil {
				return err
			}
			v := view{ctx: ctx, tx: tx.Statement.ConnPool, tenant: row}
			if last, head, err = v.unsigned(seen, s.signer.key, head); err != nil || head.Number == 0 {
				return err
			}
			made = v.next(last, head, s.now(), s.signer.key)
			last = made
			kept := checkpointRowOf(row.ID, made)
			return exactly(1, tx.Create(&kept))
		})
	}
	if err != nil {
		return access.Checkpoint{}, fault("sign the history of "+tenant, err)
	}
	s.signer.keep(last)
	return made, nil
}

// unsigned goes along the chain from what is signed, or from a later revision up
// to which that was done, to the newest revision, which it gives if it is not
// signed yet.
func (v view) unsigned(seen access.Checkpoint, key ed25519.PrivateKey, done revisionRow) (last access.Checkpoint, head revisionRow, err error) {
	if last, err = v.lastCheckpoint(); err != nil {
		return last, head, err
	}
	if err := v.still(seen, last); err != nil {
		return last, head, err
	}
	if own := key.Public().(ed25519.PublicKey); last.Key == access.KeyName(own) && !last.SignedBy([]ed25519.PublicKey{own}) { //nolint:forcetypeassert // by its documentation
		return last, head, access.Invalid(fmt.Sprintf("checkpoint %d", last.Number), "was not signed by our key, which it names; see bailiwick verify")
	}
	from := revisionRow{Number: last.Revision, Hash: last.Hash}
	if done.Number > from.Number {
		from = done
	}
	if from.Number > 0 {
		r, err := v.entry(from.Number)
		if err == nil && r.Hash != from.Hash {
			err = broken(from.Number, "is not what was signed; see bailiwick verify")
		}
		if err != nil {
			return last, head, err
		}
	}
	walk := &chainWalk{tenant: v.tenant, now: from}
	if err := each(v.ctx, v.tx, chainQuery, []any{v.tenant.ID, from.Number}, walk.row); err != nil {
		return last, head, err
	}
	if err := walk.finish(); err != nil || last.Revision == v.tenant.Revision && last.Epoch == v.tenant.Epoch {
		return last, head, err
	}
	return last, walk.now, nil
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

// strays are rows that should not be: revisions before the first, and changes
// without a revision.
func (t *trail) strays() error {
	query := `SELECT 'revision', number, 0 FROM revision WHERE tenant_id = ? AND number < 1
		UNION ALL SELECT 'change', revision, n FROM revision_change c WHERE tenant_id = ? AND (revision < 1 OR NOT EXISTS
		(SELECT 1 FROM revision r WHERE r.tenant_id = c.tenant_id AND r.number = c.revision)) ORDER BY 2, 3`
	return each(t.ctx, t.tx, query, []any{t.tenant.ID, t.tenant.ID}, func(rows *sql.Rows) error {
		var kind string
		var number, n int64
		if err := rows.Scan(&kind, &number, &n); err != nil {
			return err
		}
		if number < 1 {
			return t.take(access.TrailLine{Kind: fmt.Sprintf("%s of a revision %d", kind, number)})
		}
		return t.take(access.TrailLine{Kind: access.TrailChange, Revision: access.Revision(number), N: n})
	})
}

func (t *trail) checkpoints() error {
	query := "SELECT " + checkpointColumns + " FROM checkpoint WHERE tenant_id = ? ORDER BY number"
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
