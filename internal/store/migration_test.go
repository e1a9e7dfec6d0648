package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestMigrate_follow: a database of the first version of the schema migrates
// with its data: the same policy, history and answers, counters of what is
// there, and changes go on from there.
func TestMigrate_follow(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			model := accesstest.OpenStore(t, open(t))
			o := firstVersion(t, open, model)
			old, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			unfit(t, old.Check(t.Context()), "version 1", "bailiwick migrate up")
			want := load(t, model, access.DefaultTenant)
			want.Policy, want.Stripes = 3, map[access.Stripe]access.Revision{} // what was, nobody has remembered
			for range 2 {                                                      // the second time as after a kill, before it was noted
				if err := old.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := load(t, old, access.DefaultTenant); !reflect.DeepEqual(got, want) {
					t.Errorf("migrated to\n%+v\nwant\n%+v", got, want)
				}
				counters := strings.Join(lines(t, o, "SELECT policy_revision, users, user_rules FROM tenant WHERE code = 'default'"), "")
				if counters != "3 3 3" { // the rules: a group of 42, a role of 17, a line for later; not that of anonymous
					t.Errorf("the counters are %s", counters)
				}
				if o.Driver == store.MySQL {
					execute(t, beside(t, o), "DELETE FROM bailiwick_version WHERE version_id > 1")
				}
			}
			p := changed(accesstest.StorePolicy(access.DefaultTenant))
			p.Users[0].Status = access.UserLocked
			d, err := old.Apply(t.Context(), p, any1)
			if err != nil || d.From != 3 || d.To != 4 || len(d.Users) != 1 {
				t.Errorf("the next change is %+v (%v)", d, err)
			}
			verify(t, old, access.DefaultTenant)
		})
	}
}

// changed has one group less for its first user, and a rule for anonymous.
func changed(p *access.Policy) *access.Policy {
	p.Users[0].Groups = p.Users[0].Groups[:1]
	p.Rules = append(p.Rules, access.Rule{Type: "g", Values: []string{"u:anonymous", "r:seller", "store:a"}})
	return p
}

// firstVersion makes a database of the first version and fills it with what the
// model is given: the sample, and a change of it.
func firstVersion(t *testing.T, open func(testing.TB) store.Options, model *store.Store) store.Options {
	t.Helper()
	apply(t, model, accesstest.StorePolicy(access.DefaultTenant))
	apply(t, model, changed(accesstest.StorePolicy(access.DefaultTenant)))
	o := open(t)
	db := beside(t, o)
	text, err := os.ReadFile(filepath.Join("migrations", o.Driver, "00001_init.sql"))
	if err != nil {
		t.Fatal(err)
	}
	id, options := "INTEGER PRIMARY KEY AUTOINCREMENT", ""
	if o.Driver == store.MySQL {
		id, options = "SERIAL PRIMARY KEY", "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE="+model.Collation()
	}
	for statement := range strings.SplitSeq(strings.ReplaceAll(string(text), "{{table}}", options), ";\n") {
		if strings.TrimSpace(statement) != "" {
			execute(t, db, statement)
		}
	}
	execute(t, db, "CREATE TABLE bailiwick_version (id "+id+", version_id BIGINT NOT NULL, is_applied BOOLEAN NOT NULL, tstamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP)",
		"INSERT INTO bailiwick_version (version_id, is_applied) VALUES (0, 1), (1, 1)")
	for table, columns := range store.FirstTables() {
		copyTable(t, model.Rows, db, table, columns)
	}
	return o
}

func copyTable(t *testing.T, from func(string) (*sql.Rows, error), to *sql.DB, table, columns string) {
	t.Helper()
	rows, err := from("SELECT " + columns + " FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := strings.Count(columns, ",") + 1
	insert := "INSERT INTO " + table + " (" + columns + ") VALUES (?" + strings.Repeat(", ?", n-1) + ")"
	for rows.Next() {
		values, into := make([]any, n), make([]any, n)
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		if _, err := to.ExecContext(t.Context(), insert, values...); err != nil {
			t.Fatalf("%s: %v", insert, err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
