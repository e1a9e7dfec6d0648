package store_test

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// trailed is a database with a history that was signed twice.
type trailed struct {
	database
	store  *store.Store
	public ed25519.PublicKey
}

func newTrailed(d database) *trailed {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	t := &trailed{database: d, store: accesstest.OpenStore(d.t, d.options), public: public}
	for i := range 3 {
		p := accesstest.StorePolicy(access.DefaultTenant)
		p.Description = fmt.Sprint("round ", i)
		apply(d.t, t.store, p)
		if i == 1 {
			continue
		}
		c, err := t.store.AddCheckpoint(d.t.Context(), access.DefaultTenant, private)
		if err != nil || c.Number == 0 {
			d.t.Fatalf("%+v, %v", c, err)
		}
	}
	again, err := t.store.AddCheckpoint(d.t.Context(), access.DefaultTenant, private)
	if err != nil || again.Number != 0 {
		d.t.Fatalf("the same revision was signed twice: %+v, %v", again, err)
	}
	return t
}

func (t *trailed) verify(keys ...ed25519.PublicKey) access.TrailReport {
	t.t.Helper()
	trail := access.NewTrail(keys)
	if err := t.store.Trail(t.t.Context(), access.DefaultTenant, func(l access.TrailLine) error { trail.Take(l); return nil }); err != nil {
		t.t.Fatal(err)
	}
	return trail.Done()
}

// TestVerify_everyColumn edits each column of each kind of row of the history, and
// what verifies finds it every time (A2).
func TestVerify_everyColumn(t *testing.T) {
	onEach(t, func(d database) {
		s := newTrailed(d)
		r := s.verify(s.public)
		if len(r.Wrong) > 0 || r.Signed != r.Revision || r.Checkpoints != 2 || r.Changes == 0 {
			d.t.Fatalf("before anything was done: %+v", r)
		}
		db := beside(d.t, d.options)
		for table, at := range map[string]string{
			"revision": "number = 2", "revision_change": "revision = 2 AND n = 1", "checkpoint": "number = 1",
		} {
			for _, column := range columnsOf(d, table) {
				// A text gets longer or another, a number another.
				for _, edit := range []string{"'~' || %[1]s", "%[1]s + 700"} {
					if strings.Contains(edit, "||") == numeric(table, column) {
						continue
					}
					if d.options.Driver == store.MySQL {
						edit = strings.Replace(edit, "'~' || %[1]s", "CONCAT('~', SUBSTR(%[1]s, 2))", 1)
					}
					set := fmt.Sprintf(edit, column)
					if _, err := db.Exec("CREATE TABLE kept AS SELECT * FROM " + table); err != nil {
						d.t.Fatal(err)
					}
					execute(d.t, db, "UPDATE "+table+" SET "+column+" = "+set+" WHERE tenant_id = 1 AND "+at)
					if r := s.verify(s.public); len(r.Wrong) == 0 {
						d.t.Errorf("%s.%s can be edited", table, column)
					}
					execute(d.t, db, "DELETE FROM "+table, "INSERT INTO "+table+" SELECT * FROM kept", "DROP TABLE kept")
				}
			}
		}
		if r := s.verify(s.public); len(r.Wrong) > 0 {
			d.t.Fatalf("after all was put back: %+v", r)
		}
	})
}

func columnsOf(d database, table string) []string {
	rows, err := beside(d.t, d.options).Query("SELECT * FROM " + table + " WHERE 1 = 0")
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || rows.Err() != nil || len(columns) < 7 {
		d.t.Fatal(columns, err, rows.Err())
	}
	return columns
}

func numeric(table, column string) bool {
	switch column {
	case "tenant_id", "number", "made_at", "n":
		return true
	case "revision":
		return true
	}
	return table == ""
}

// TestVerify_removedAndSwapped: rows that were removed or exchanged are found; the
// newest ones, removed together with the counter, by the checkpoint, or by a
// report that was kept elsewhere.
func TestVerify_removedAndSwapped(t *testing.T) {
	onEach(t, func(d database) {
		s := newTrailed(d)
		noted := s.verify(s.public)
		db := beside(d.t, d.options)
		last := noted.Revision
		cut := []string{
			fmt.Sprintf("DELETE FROM revision WHERE tenant_id = 1 AND number = %d", last),
			fmt.Sprintf("DELETE FROM revision_change WHERE tenant_id = 1 AND revision = %d", last),
			fmt.Sprintf("UPDATE tenant SET revision = %d WHERE id = 1", last-1),
		}
		swap := func(table, column, where string) []string {
			return []string{
				fmt.Sprintf("UPDATE %s SET %s = 900 WHERE tenant_id = 1 AND %s = 2%s", table, column, column, where),
				fmt.Sprintf("UPDATE %s SET %s = 2 WHERE tenant_id = 1 AND %s = 1%s", table, column, column, where),
				fmt.Sprintf("UPDATE %s SET %s = 1 WHERE tenant_id = 1 AND %s = 900%s", table, column, column, where),
			}
		}
		for name, statements := range map[string][]string{
			"a revision is removed":                {"DELETE FROM revision WHERE tenant_id = 1 AND number = 2"},
			"a change is removed":                  {"DELETE FROM revision_change WHERE tenant_id = 1 AND revision = 2 AND n = 1"},
			"all changes of one":                   {"DELETE FROM revision_change WHERE tenant_id = 1 AND revision = 2"},
			"a revision with its changes":          {"DELETE FROM revision WHERE tenant_id = 1 AND number = 2", "DELETE FROM revision_change WHERE tenant_id = 1 AND revision = 2"},
			"a checkpoint is removed":              {"DELETE FROM checkpoint WHERE tenant_id = 1 AND number = 1"},
			"revisions are exchanged":              swap("revision", "number", ""),
			"changes are exchanged":                swap("revision_change", "n", " AND revision = 2"),
			"changes change revisions":             swap("revision_change", "revision", " AND n = 1"),
			"checkpoints are exchanged":            swap("checkpoint", "number", ""),
			"the newest are cut off":               cut,
			"the newest are cut off by half":       cut[:2],
			"the counter alone is set back":        cut[2:],
			"a change of no revision is put in":    {"INSERT INTO revision_change (tenant_id, revision, n, kind, name, old_value, new_value) VALUES (1, 77, 1, 'user', 'x', '', '{}')"},
			"a change is put in beside the others": {"INSERT INTO revision_change (tenant_id, revision, n, kind, name, old_value, new_value) VALUES (1, 2, 500, 'user', 'x', '', '{}')"},
		} {
			tables := []string{"tenant", "revision", "revision_change", "checkpoint"}
			for _, table := range tables {
				execute(d.t, db, "CREATE TABLE kept_"+table+" AS SELECT * FROM "+table)
			}
			execute(d.t, db, statements...)
			if r := s.verify(s.public); len(r.Wrong) == 0 {
				d.t.Errorf("%s, and nothing was found", name)
			}
			for _, table := range tables {
				execute(d.t, db, "DELETE FROM "+table, "INSERT INTO "+table+" SELECT * FROM kept_"+table, "DROP TABLE kept_"+table)
			}
		}
		if r := s.verify(s.public); len(r.Wrong) > 0 {
			d.t.Fatalf("after all was put back: %+v", r)
		}
		// With the checkpoint gone too, only what was noted elsewhere tells.
		execute(d.t, db, append(cut, "DELETE FROM checkpoint WHERE tenant_id = 1 AND number = 2")...)
		if r := s.verify(s.public); len(r.Wrong) > 0 {
			d.t.Fatalf("it cannot be seen: %+v", r)
		}
		trail := access.NewTrail(nil)
		if err := s.store.Trail(d.t.Context(), access.DefaultTenant, func(l access.TrailLine) error { trail.Take(l); return nil }); err != nil {
			d.t.Fatal(err)
		}
		if trail.Holds(noted); len(trail.Done().Wrong) == 0 {
			d.t.Error("what was noted elsewhere does not tell")
		}
	})
}
