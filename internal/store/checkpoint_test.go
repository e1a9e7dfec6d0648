package store_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// trailed is a database with a history that was signed three times.
type trailed struct {
	database
	store   *store.Store
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func newTrailed(d database) *trailed {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	t := &trailed{database: d, store: accesstest.OpenStore(d.t, d.options), public: public}
	signed := func(number int64) {
		d.t.Helper()
		c, err := t.store.AddCheckpoint(d.t.Context(), access.DefaultTenant)
		if err != nil || c.Number != number {
			d.t.Fatalf("want checkpoint %d: %+v, %v", number, c, err)
		}
	}
	t.store.SignWith(private, nil, nil)
	signed(1)                                                         // of the revision that a new database begins with
	for i, key := range []ed25519.PrivateKey{private, nil, private} { // the second is signed by nobody, nor what follows it
		t.store.SignWith(key, nil, nil)
		p := accesstest.StorePolicy(access.DefaultTenant)
		p.Description = fmt.Sprint("round ", i)
		apply(d.t, t.store, p)
	}
	signed(3) // the first round signed itself
	signed(0) // that is done
	t.private = private
	return t
}

func (t *trailed) verify(keys ...ed25519.PublicKey) access.TrailReport {
	t.t.Helper()
	trail := access.NewTrail(keys, nil)
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
		if len(r.Wrong) > 0 || r.Signed != r.Revision || r.Checkpoints != 3 || r.Changes == 0 {
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

// TestVerify_export edits each member of each line of an export, removes, repeats
// and exchanges lines, and what verifies the file finds it with the public key
// alone (A2).
func TestVerify_export(t *testing.T) {
	s := newTrailed(database{t, databases["sqlite"](t)})
	var lines []map[string]any
	err := s.store.Trail(t.Context(), access.DefaultTenant, func(l access.TrailLine) error {
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		var line map[string]any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err = d.Decode(&line)
		lines = append(lines, line)
		return err
	})
	if err != nil || len(lines) < 30 {
		t.Fatal(len(lines), err)
	}
	wrong := func() bool {
		trail := access.NewTrail([]ed25519.PublicKey{s.public}, nil)
		for _, line := range lines {
			text, err := json.Marshal(line)
			if err != nil {
				t.Fatal(err)
			}
			var l access.TrailLine
			if err := json.Unmarshal(text, &l); err != nil {
				t.Fatal(err)
			}
			trail.Take(l)
		}
		return len(trail.Done().Wrong) > 0
	}
	if wrong() {
		t.Fatal("nobody has touched it")
	}
	edits := 0
	for n, line := range lines {
		for at := range edited(line) {
			if line["kind"] == "head" && at == "at" {
				continue // when it was written down: no part of the history
			}
			if edits++; !wrong() {
				t.Errorf("line %d (%v): %s can be edited", n+1, line["kind"], at)
			}
		}
	}
	whole := slices.Clone(lines)
	for n := range whole {
		if n == len(whole)-2 {
			continue // without the newest checkpoint the same is signed up to an earlier revision, and verify says so
		}
		for what, now := range map[string][]map[string]any{
			"removed": slices.Delete(slices.Clone(whole), n, n+1), "repeated": slices.Insert(slices.Clone(whole), n, whole[n]),
		} {
			if lines = now; !wrong() {
				t.Errorf("line %d (%v) can be %s", n+1, whole[n]["kind"], what)
			}
		}
		if lines = slices.Clone(whole); n > 0 {
			lines[n-1], lines[n] = lines[n], lines[n-1]
			if !wrong() {
				t.Errorf("lines %d and %d (%v, %v) can be exchanged", n, n+1, whole[n-1]["kind"], whole[n]["kind"])
			}
		}
	}
	t.Logf("%d lines, %d edits", len(whole), edits)
}

// edited edits one member after the other, as long as somebody looks at it, and
// puts it back.
func edited(line map[string]any) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name, was := range line {
			switch v := was.(type) {
			case map[string]any:
				for inner := range edited(v) {
					if !yield(name + "." + inner) {
						return
					}
				}
				continue
			case string:
				line[name] = "~" + v
				if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
					line[name] = at.Add(time.Second).Format(time.RFC3339Nano)
				} else if raw, err := base64.StdEncoding.DecodeString(v); err == nil && len(raw) > 0 {
					raw[0] ^= 1
					line[name] = base64.StdEncoding.EncodeToString(raw)
				}
			case json.Number:
				n, _ := v.Int64()
				line[name] = n + 1
			}
			if !yield(name) {
				return
			}
			line[name] = was
		}
	}
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
			"a revision is removed":             {"DELETE FROM revision WHERE tenant_id = 1 AND number = 2"},
			"a change is removed":               {"DELETE FROM revision_change WHERE tenant_id = 1 AND revision = 2 AND n = 1"},
			"all changes of one":                {"DELETE FROM revision_change WHERE tenant_id = 1 AND revision = 2"},
			"a revision with its changes":       {"DELETE FROM revision WHERE tenant_id = 1 AND number = 2", "DELETE FROM revision_change WHERE tenant_id = 1 AND revision = 2"},
			"a checkpoint is removed":           {"DELETE FROM checkpoint WHERE tenant_id = 1 AND number = 1"},
			"revisions are exchanged":           swap("revision", "number", ""),
			"changes are exchanged":             swap("revision_change", "n", " AND revision = 2"),
			"changes change revisions":          swap("revision_change", "revision", " AND n = 1"),
			"checkpoints are exchanged":         swap("checkpoint", "number", ""),
			"the newest are cut off":            cut,
			"the newest are cut off by half":    cut[:2],
			"the counter alone is set back":     cut[2:],
			"a change of no revision is put in": {"INSERT INTO revision_change (tenant_id, revision, n, kind, name, old_value, new_value) VALUES (1, 77, 1, 'user', 'x', '', '{}')"},
			"a revision is put in before the first": {
				"INSERT INTO revision (tenant_id, number, parent, hash, author, source, reason, made_at) VALUES (1, 0, '', 'x', 'a', '', '', 1)",
				"INSERT INTO revision_change (tenant_id, revision, n, kind, name, old_value, new_value) VALUES (1, 0, 1, 'user', 'x', '', '{}')",
			},
			"a change is put in before the first":  {"INSERT INTO revision_change (tenant_id, revision, n, kind, name, old_value, new_value) VALUES (1, -7, 1, 'user', 'x', '', '{}')"},
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
		execute(d.t, db, append(cut, "DELETE FROM checkpoint WHERE tenant_id = 1 AND number = 3")...)
		if r := s.verify(s.public); len(r.Wrong) > 0 {
			d.t.Fatalf("it cannot be seen: %+v", r)
		}
		trail := access.NewTrail(nil, nil)
		if err := s.store.Trail(d.t.Context(), access.DefaultTenant, func(l access.TrailLine) error { trail.Take(l); return nil }); err != nil {
			d.t.Fatal(err)
		}
		if trail.Holds(noted); len(trail.Done().Wrong) == 0 {
			d.t.Error("what was noted elsewhere does not tell")
		}
	})
}

// TestSign_rewritten: whoever rewrites what is signed, hashes it anew and removes
// the signature of it gets no signature over that, neither from the server that has
// signed it nor from one that has seen it, nor from one that starts and has it from
// a witness. Changes go on all the same; verify tells up to where history is proven.
func TestSign_rewritten(t *testing.T) {
	const edit = "UPDATE revision SET author = 'somebody else' WHERE tenant_id = 1 AND number = 4"
	for name, tc := range map[string]struct {
		statements []string
		wrong      bool // verify finds it too; otherwise it says that the newest are not signed
	}{
		"the newest revision":               {[]string{edit}, true},
		"with its checkpoint":               {[]string{edit, "DELETE FROM checkpoint WHERE number = 3"}, false},
		"its checkpoint alone":              {[]string{"DELETE FROM checkpoint WHERE number = 3"}, false},
		"all checkpoints":                   {[]string{edit, "DELETE FROM checkpoint"}, false},
		"a checkpoint of our key's name":    {[]string{"UPDATE checkpoint SET signature = previous WHERE number = 3"}, true},
		"the revision with all that was it": {[]string{"DELETE FROM checkpoint WHERE number = 3", "DELETE FROM revision_change WHERE revision = 4", "DELETE FROM revision WHERE number = 4", "UPDATE tenant SET revision = 3"}, false},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			onEach(t, func(d database) {
				s := newTrailed(d)
				var witness []access.Checkpoint
				seen := accesstest.OpenStore(d.t, d.options) // another server
				seen.SignWith(s.private, nil, func(c access.Checkpoint) { witness = append(witness, c) })
				if c, err := seen.AddCheckpoint(d.t.Context(), access.DefaultTenant); err != nil || c.Number != 0 || len(witness) != 1 {
					d.t.Fatal(c, err, witness)
				}
				execute(d.t, beside(d.t, d.options), tc.statements...)
				if slices.Contains(tc.statements, edit) {
					if err := s.store.HashAnew(d.t.Context(), access.DefaultTenant, 4); err != nil {
						d.t.Fatal(err)
					}
				}
				started := accesstest.OpenStore(d.t, d.options)
				started.SignWith(s.private, witness, nil)
				for i, server := range []*store.Store{s.store, seen, started} {
					before := s.verify(s.public)
					p := accesstest.StorePolicy(access.DefaultTenant)
					p.Description = fmt.Sprint("go on ", i)
					apply(d.t, server, p)
					if c, err := server.AddCheckpoint(d.t.Context(), access.DefaultTenant); !errors.Is(err, access.ErrInvalid) {
						d.t.Errorf("server %d signed %+v, %v", i, c, err)
					}
					if after := s.verify(s.public); after.Checkpoints != before.Checkpoints || after.Signed != before.Signed || after.Signed >= 4 || tc.wrong != (len(after.Wrong) > 0) {
						d.t.Errorf("server %d: %+v, before %+v", i, after, before)
					}
				}
			})
		})
	}
}

// TestSign_restored: after a backup was put back and that was declared, servers
// sign again.
func TestSign_restored(t *testing.T) {
	onEach(t, func(d database) {
		s := newTrailed(d)
		execute(d.t, beside(d.t, d.options), "DELETE FROM checkpoint WHERE number = 3", "DELETE FROM revision_change WHERE revision = 4",
			"DELETE FROM revision WHERE number = 4", "UPDATE tenant SET revision = 3")
		if _, err := s.store.AddCheckpoint(d.t.Context(), access.DefaultTenant); !errors.Is(err, access.ErrInvalid) {
			d.t.Fatal(err)
		}
		if err := s.store.RenewEpoch(d.t.Context(), access.DefaultTenant, any1); err != nil {
			d.t.Fatal(err)
		}
		for _, want := range []int64{3, 0} {
			if c, err := s.store.AddCheckpoint(d.t.Context(), access.DefaultTenant); err != nil || c.Number != want {
				d.t.Errorf("want checkpoint %d: %+v, %v", want, c, err)
			}
		}
		apply(d.t, s.store, accesstest.StorePolicy(access.DefaultTenant))
		if r := s.verify(s.public); len(r.Wrong) > 0 || r.Signed != r.Revision || r.Checkpoints != 4 {
			d.t.Errorf("%+v", r)
		}
	})
}

// TestSign_inTheTransaction: a revision is signed when it is made, and what was
// rolled back leaves no signature; of servers that write and sign at once all go
// on from one another.
func TestSign_inTheTransaction(t *testing.T) {
	onEach(t, func(d database) {
		s := newTrailed(d)
		var all sync.WaitGroup
		for range 2 {
			server := accesstest.OpenStore(d.t, d.options)
			server.SignWith(s.private, nil, nil)
			for range 2 {
				all.Go(func() {
					for range 5 {
						if err := server.RenewEpoch(d.t.Context(), access.DefaultTenant, any1); err != nil {
							d.t.Error(err)
						}
						if _, err := server.AddCheckpoint(d.t.Context(), access.DefaultTenant); err != nil {
							d.t.Error(err)
						}
					}
				})
			}
		}
		all.Wait()
		rehearsal := any1
		rehearsal.Rehearse = true
		if err := s.store.RenewEpoch(d.t.Context(), access.DefaultTenant, rehearsal); err != nil {
			d.t.Error(err)
		}
		if r := s.verify(s.public); len(r.Wrong) > 0 || r.Revision != 24 || r.Signed != 24 || r.Checkpoints != 23 {
			d.t.Errorf("%+v", r)
		}
	})
}
