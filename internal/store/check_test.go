package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// beside opens the database of a store beside it.
func beside(t *testing.T, o store.Options) *sql.DB {
	t.Helper()
	db, err := sql.Open(o.Driver, o.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// unfit fails unless the error is one line of kind unavailable with these words.
func unfit(t *testing.T, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, access.ErrUnavailable) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("the error is %v, want one line of kind unavailable", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
}

// TestCheck_older: until it is migrated, a store can do nothing but that.
func TestCheck_older(t *testing.T) {
	onEach(t, func(d database) {
		t, o := d.t, d.options
		s, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		unfit(t, s.Check(t.Context()), "version 0", "needs ", "bailiwick migrate up")
		for what, try := range map[string]func() error{
			"Load":         func() error { _, err := s.Load(t.Context(), "default"); return err },
			"Heads":        func() error { _, err := s.Heads(t.Context()); return err },
			"Tenants":      func() error { _, err := s.Tenants(t.Context()); return err },
			"Keys":         func() error { _, err := s.Keys(t.Context()); return err },
			"CreateTenant": func() error { _, err := s.CreateTenant(t.Context(), access.Tenant{Code: "x"}, any1); return err },
		} {
			if err := try(); err == nil || !strings.Contains(err.Error(), "bailiwick migrate up") {
				t.Errorf("%s gives %v", what, err)
			}
		}
		state(t, s, false)
		unfit(t, s.Check(t.Context()), "version 0") // asking has written nothing
		if found, err := has(t, o, "bailiwick_version"); err != nil || found {
			t.Errorf("asking for the state made a table: %t, %v", found, err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		state(t, s, true)
		if heads, err := s.Heads(t.Context()); err != nil || heads[access.DefaultTenant].Revision != 1 {
			t.Errorf("after migrating heads are %v (%v)", heads, err)
		}
	})
}

// has tells whether a table can be read.
func has(t *testing.T, o store.Options, table string) (bool, error) {
	t.Helper()
	query := "SELECT COUNT(*) FROM sqlite_master WHERE name = ?"
	if o.Driver == store.MySQL {
		query = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?"
	}
	var n int
	err := beside(t, o).QueryRowContext(t.Context(), query, table).Scan(&n)
	return n > 0, err
}

func state(t *testing.T, s *store.Store, applied bool) {
	t.Helper()
	steps, err := s.MigrationStatus(t.Context())
	if err != nil || len(steps) == 0 {
		t.Fatalf("%d steps (%v)", len(steps), err)
	}
	for _, step := range steps {
		if step.Applied.IsZero() == applied || step.Name == "" || step.Version == 0 {
			t.Errorf("%+v, want applied %t", step, applied)
		}
	}
}

func TestCheck_newer(t *testing.T) {
	onEach(t, func(d database) {
		t, o := d.t, d.options
		s := accesstest.OpenStore(t, o)
		execute(t, beside(t, o), "INSERT INTO bailiwick_version (version_id, is_applied) VALUES (99, 1)")
		_, err := store.Open(t.Context(), o)
		unfit(t, err, "version 99", "too old")
		unfit(t, s.Check(t.Context()), "version 99", "too old")
		unfit(t, s.Migrate(t.Context()), "version 99", "too old")
	})
}

func TestCheck_collation(t *testing.T) {
	for _, column := range []string{
		"casbin_rule MODIFY v0 VARCHAR(100) COLLATE utf8mb4_general_ci NOT NULL",
		"casbin_rule MODIFY v5 VARCHAR(100) COLLATE utf8mb4_bin NOT NULL", // pads with blanks
		"tenant MODIFY code VARCHAR(100) COLLATE utf8mb4_unicode_ci NOT NULL",
		"users MODIFY login VARCHAR(300) CHARACTER SET latin1 NULL",
		"api_key MODIFY id VARCHAR(100) COLLATE utf8mb4_general_ci NOT NULL",
	} {
		t.Run(column, func(t *testing.T) {
			o := databases["mysql"](t)
			s := accesstest.OpenStore(t, o)
			execute(t, beside(t, o), "ALTER TABLE "+column)
			words := strings.Fields(column)
			_, err := store.Open(t.Context(), o)
			unfit(t, err, words[0]+"."+words[2])
			unfit(t, s.Check(t.Context()), words[0]+"."+words[2])
		})
	}
}

func TestCheck_sqlMode(t *testing.T) {
	o := databases["mysql"](t)
	accesstest.OpenStore(t, o)
	o.DSN += separator(o.DSN) + "sql_mode=%27NO_ENGINE_SUBSTITUTION%27"
	_, err := store.Open(t.Context(), o)
	unfit(t, err, "sql_mode", "STRICT_ALL_TABLES")
}

// separator stands between a DSN and one more of its parameters.
func separator(dsn string) string {
	if strings.Contains(dsn, "?") {
		return "&"
	}
	return "?"
}

// TestMigrate_foreignTables: tables of another application, or of a stock
// gorm-adapter, are not taken for ours.
func TestMigrate_foreignTables(t *testing.T) {
	for _, table := range []string{"casbin_rule", "users"} {
		onEach(t, func(d database) {
			t, o := d.t, d.options
			execute(t, beside(t, o), "CREATE TABLE "+table+" (id INTEGER PRIMARY KEY, v0 VARCHAR(100))")
			s, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			unfit(t, s.Migrate(t.Context()), "the table "+table)
			execute(t, beside(t, o), "DROP TABLE "+table)
			if err := s.Migrate(t.Context()); err != nil {
				t.Errorf("without the table in the way: %v", err)
			}
		})
	}
}

// TestMigrate_together: one works, the others wait, and it is done once.
func TestMigrate_together(t *testing.T) {
	onEach(t, func(d database) {
		t, o := d.t, d.options
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				s, err := store.Open(t.Context(), o)
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if err := s.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		for query, want := range map[string]int{
			"SELECT COUNT(*) FROM bailiwick_version WHERE version_id = 1": 1,
			"SELECT COUNT(*) FROM revision":                               1, // that of the tenant default
		} {
			var n int
			if err := beside(t, o).QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != want {
				t.Errorf("%s gives %d (%v), want %d", query, n, err, want)
			}
		}
	})
}

// TestCheck_columns: a table that somebody has altered is noticed.
func TestCheck_columns(t *testing.T) {
	onEach(t, func(d database) {
		t, o := d.t, d.options
		accesstest.OpenStore(t, o)
		execute(t, beside(t, o), "ALTER TABLE casbin_rule DROP COLUMN pending")
		_, err := store.Open(t.Context(), o)
		unfit(t, err, "the table casbin_rule")
	})
}

// TestMigrate_killed: on MySQL a step that was broken off is finished by the next.
func TestMigrate_killed(t *testing.T) {
	o := databases["mysql"](t)
	accesstest.OpenStore(t, o)
	execute(t, beside(t, o), "DELETE FROM bailiwick_version WHERE version_id > 0", "DELETE FROM tenant", "DELETE FROM revision",
		"DROP TABLE users", "DROP TABLE api_key", "DROP TABLE revision_change")
	s := accesstest.OpenStore(t, o)
	apply(t, s, accesstest.StorePolicy(access.DefaultTenant))
}

// TestPlan: what one subject holds is found by indexes, row by row. On MariaDB
// wider columns would turn the unique key into a hash, which cannot be searched.
func TestPlan(t *testing.T) {
	p := &access.Policy{Tenant: access.DefaultTenant, Groups: []access.Group{{Code: "a"}, {Code: "b"}}}
	for i := range 3000 {
		p.Users = append(p.Users, access.User{ID: fmt.Sprint(i), Groups: []access.Link{{To: "a"}, {To: "b"}}})
	}
	t.Run("sqlite", func(t *testing.T) {
		o := databases["sqlite"](t)
		s := accesstest.OpenStore(t, o)
		apply(t, s, p)
		for _, query := range []string{s.SubjectQuestion("17"), s.SubjectQuestion("17", "99")} {
			plan := strings.Join(lines(t, o, "EXPLAIN QUERY PLAN "+query), "\n")
			for _, step := range []string{
				"SEARCH s USING PRIMARY KEY (tenant_id=? AND stripe=?)", "SEARCH u USING PRIMARY KEY (tenant_id=? AND id=?)",
				"SEARCH r USING INDEX casbin_rule_line (tenant_id=? AND ptype=? AND v0=?)",
			} {
				if !strings.Contains(plan, step) || strings.Contains(plan, "SCAN") {
					t.Errorf("the plan lacks %s or reads a whole table:\n%s", step, plan)
				}
			}
		}
	})
	t.Run("mysql", func(t *testing.T) {
		o := databases["mysql"](t)
		s := accesstest.OpenStore(t, o)
		apply(t, s, p)
		lines(t, o, "ANALYZE TABLE casbin_rule, users, subject_stripe")
		for _, query := range []string{s.SubjectQuestion("17"), s.SubjectQuestion("17", "99")} {
			plan := strings.Join(lines(t, o, "EXPLAIN "+query), "\n")
			for table, key := range map[string]string{"s": "PRIMARY", "u": "PRIMARY", "r": "casbin_rule_line"} {
				step := regexp.MustCompile(`(?m)^\d \S+ ` + table + ` (\S* )?(const|eq_ref|ref|range) \S+ ` + key + ` `)
				if !step.MatchString(plan) {
					t.Errorf("the table %s is not read by %s:\n%s", table, key, plan)
				}
			}
		}
		if table := strings.Join(lines(t, o, "SHOW CREATE TABLE casbin_rule"), " "); strings.Contains(table, "HASH") || !strings.Contains(table, "ENGINE=InnoDB") {
			t.Errorf("the table is %s", table)
		}
	})
}

// lines gives the rows of an answer, each joined by blanks.
func lines(t *testing.T, o store.Options, query string) []string {
	t.Helper()
	rows, err := beside(t, o).QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		var fields []string
		for _, v := range values {
			fields = append(fields, v.String)
		}
		out = append(out, strings.Join(fields, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
