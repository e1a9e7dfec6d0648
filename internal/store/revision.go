package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"

	"github.com/bailiwick/bailiwick/internal/access"
)

// revisionRow is a row of revision: who changed a tenant, when and why.
type revisionRow struct {
	TenantID int64
	Number   access.Revision
	Parent   string
	Hash     string
	Author   string
	Source   string
	Reason   string
	MadeAt   int64 // microseconds
}

// TableName is asked by gorm.
func (revisionRow) TableName() string { return "revision" }

// changeRow is a row of revision_change: one thing that was changed. Secrets
// never stand in it.
type changeRow struct {
	TenantID int64
	Revision access.Revision
	N        int64 // from 1
	Kind     string
	Name     string
	OldValue string // JSON; empty: was not there
	NewValue string // JSON; empty: is no longer there
}

// TableName is asked by gorm.
func (changeRow) TableName() string { return "revision_change" }

func (r changeRow) size() int { return len(r.OldValue) + len(r.NewValue) }

// link computes the hash of one revision: SHA-256 over its fields and those of
// its changes, each with its length in front, so that no two histories are
// written alike. The parent's hash is among them.
type link struct{ h hash.Hash }

func newLink(tenant string, r revisionRow) link {
	l := link{sha256.New()}
	l.add(tenant, r.Parent, strconv.FormatUint(uint64(r.Number), 10), r.Author, r.Source, r.Reason, strconv.FormatInt(r.MadeAt, 10))
	return l
}

func (l link) change(c changeRow) {
	l.add(strconv.FormatInt(c.N, 10), c.Kind, c.Name, c.OldValue, c.NewValue)
}

func (l link) add(fields ...string) {
	for _, f := range fields {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(f)))
		l.h.Write(length[:])
		l.h.Write([]byte(f))
	}
}

func (l link) sum() string { return hex.EncodeToString(l.h.Sum(nil)) }

// Revisions lists a tenant's history, oldest first.
func (s *Store) Revisions(ctx context.Context, tenant string) ([]access.RevisionEntry, error) {
	var entries []access.RevisionEntry
	err := s.snapshot(ctx, tenant, func(v view) error {
		query := "SELECT number, parent, hash, author, source, reason, made_at FROM revision WHERE tenant_id = ? ORDER BY number"
		return each(ctx, v.tx, query, []any{v.tenant.ID}, func(rows *sql.Rows) error {
			var e access.RevisionEntry
			var at int64
			if err := rows.Scan(&e.Number, &e.Parent, &e.Hash, &e.Author, &e.Source, &e.Reason, &at); err != nil {
				return err
			}
			e.At = moment(at)
			entries = append(entries, e)
			return nil
		})
	})
	return entries, fault("list revisions", err)
}

// Verify recomputes the hash chain of a tenant's history and names the first
// revision that is not what was written. It cannot see that the newest
// revisions were removed together with the counter: compare Heads with a copy
// kept elsewhere.
func (s *Store) Verify(ctx context.Context, tenant string) error {
	err := s.snapshot(ctx, tenant, func(v view) error {
		walk := &chainWalk{tenant: v.tenant}
		if err := each(ctx, v.tx, chainQuery, []any{v.tenant.ID, 0}, walk.row); err != nil {
			return err
		}
		if err := walk.finish(); err != nil {
			return err
		}
		return strayChanges(ctx, v)
	})
	return fault("verify the history of "+tenant, err)
}

// chainQuery reads a tenant's revisions after one, joined with their changes.
const chainQuery = `SELECT r.number, r.parent, r.hash, r.author, r.source, r.reason, r.made_at,
	c.n, c.kind, c.name, c.old_value, c.new_value
	FROM revision r LEFT JOIN revision_change c ON c.tenant_id = r.tenant_id AND c.revision = r.number
	WHERE r.tenant_id = ? AND r.number > ? ORDER BY r.number, c.n`

// chainWalk goes through revisions joined with their changes.
type chainWalk struct {
	tenant tenantRow
	now    revisionRow // the revision being read, or the one behind which to begin
	link   link        // of what is read of it; empty where nothing is
	take   func(changeRow) error
}

func (c *chainWalk) row(rows *sql.Rows) error {
	var r revisionRow
	var n sql.NullInt64
	var kind, name, oldValue, newValue sql.NullString
	err := rows.Scan(&r.Number, &r.Parent, &r.Hash, &r.Author, &r.Source, &r.Reason, &r.MadeAt,
		&n, &kind, &name, &oldValue, &newValue)
	if err != nil {
		return err
	}
	if r.Number != c.now.Number || c.link.h == nil {
		if err := c.next(r); err != nil {
			return err
		}
	}
	if !n.Valid {
		return broken(r.Number, "has no changes")
	}
	change := changeRow{Revision: r.Number, N: n.Int64, Kind: kind.String, Name: name.String, OldValue: oldValue.String, NewValue: newValue.String}
	c.link.change(change)
	if c.take == nil {
		return nil
	}
	return c.take(change)
}

// next ends the revision before and begins r.
func (c *chainWalk) next(r revisionRow) error {
	if err := c.end(); err != nil {
		return err
	}
	if r.Number != c.now.Number+1 {
		return broken(c.now.Number+1, "is missing")
	}
	if r.Parent != c.now.Hash {
		return broken(r.Number, "does not follow from the one before")
	}
	c.now, c.link = r, newLink(c.tenant.Code, r)
	return nil
}

func (c *chainWalk) end() error {
	if c.link.h != nil && c.link.sum() != c.now.Hash {
		return broken(c.now.Number, "is not what was written")
	}
	return nil
}

func (c *chainWalk) finish() error {
	if err := c.end(); err != nil {
		return err
	}
	if c.now.Number != c.tenant.Revision {
		return broken(c.now.Number+1, "is missing: the tenant is at %d", c.tenant.Revision)
	}
	return nil
}

func strayChanges(ctx context.Context, v view) error {
	var n sql.Null[access.Revision]
	err := v.tx.QueryRowContext(ctx, `SELECT MIN(revision) FROM revision_change c WHERE tenant_id = ? AND NOT EXISTS
		(SELECT 1 FROM revision r WHERE r.tenant_id = c.tenant_id AND r.number = c.revision)`, v.tenant.ID).Scan(&n)
	if err != nil || !n.Valid {
		return err
	}
	return broken(n.V, "is missing and has changes")
}

func broken(number access.Revision, format string, args ...any) error {
	return access.Invalid(fmtRevision(number), format, args...)
}

func fmtRevision(number access.Revision) string {
	return "revision " + strconv.FormatUint(uint64(number), 10)
}
