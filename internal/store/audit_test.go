package store_test

import (
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// restricted is a MariaDB user with the grants of docs/audit.md, who may not
// change the history.
type restricted struct {
	options store.Options
	root    *sql.DB
	user    string
}

// ownGrants are the tables on which the service has other rights than SELECT,
// INSERT, UPDATE and DELETE while it runs.
var ownGrants = map[string]string{
	"revision": "SELECT, INSERT", "revision_change": "SELECT, INSERT", "checkpoint": "SELECT, INSERT",
	"decision": "SELECT, INSERT, DELETE", "refusal": "SELECT, INSERT, DELETE",
}

func newRestricted(t *testing.T) *restricted {
	t.Helper()
	o := store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t)}
	accesstest.OpenStore(t, o) // makes the tables, as `bailiwick migrate up` does with another user
	config, err := mysqldriver.ParseDSN(o.DSN)
	if err != nil {
		t.Fatal(err)
	}
	r := &restricted{root: beside(t, o), user: config.DBName[:20]}
	who := fmt.Sprintf("'%s'@'%%'", r.user)
	execute(t, r.root, "CREATE USER "+who+" IDENTIFIED BY 'restricted'")
	t.Cleanup(func() { _, _ = r.root.Exec("DROP USER " + who) })
	rows, err := r.root.Query("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", config.DBName)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if rows.Err() != nil || !slices.Contains(names, "revision") {
		t.Fatal(names, rows.Err())
	}
	for _, name := range names {
		rights, special := ownGrants[name]
		if !special {
			rights = "SELECT, INSERT, UPDATE, DELETE"
		}
		execute(t, r.root, "GRANT "+rights+" ON `"+config.DBName+"`.`"+name+"` TO "+who)
	}
	config.User, config.Passwd = r.user, "restricted"
	r.options = store.Options{Driver: store.MySQL, DSN: config.FormatDSN()}
	return r
}

// rowsOf counts the rows of the tables that a change writes.
func rowsOf(t *testing.T, db *sql.DB) (all string) {
	t.Helper()
	for _, table := range []string{"revision", "revision_change", "casbin_rule", "users", "user_groups", "roles"} {
		var n int
		if err := db.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		all += fmt.Sprint(table, " ", n, "; ")
	}
	return all
}

// TestGrants: with the rights that docs/audit.md names, a real database user can
// do everything that the service does, and can neither change nor remove a row
// of the history.
func TestGrants(t *testing.T) {
	r := newRestricted(t)
	s, err := store.Open(t.Context(), r.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	apply(t, s, accesstest.StorePolicy(access.DefaultTenant))
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.SignWith(key, nil, nil)
	if c, err := s.AddCheckpoint(t.Context(), access.DefaultTenant); err != nil || c.Number != 1 {
		t.Error(c, err)
	}
	if err := s.RenewEpoch(t.Context(), access.DefaultTenant, any1); err != nil {
		t.Error(err)
	}
	for _, err := range []error{
		s.KeepDecisions(t.Context(), decisionsOf("crm", 3)),
		s.KeepDecisions(t.Context(), decisionsOf("crm", 4)),
		s.KeepRefusals(t.Context(), []access.RefusedAttempt{{ID: "1", At: time.Now(), Tenant: "crm", Times: 1}}),
		s.Beat(t.Context(), access.Replica{ID: "a"}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if done, err := s.ForgetDecisions(t.Context(), time.Now(), 0); err != nil || !done {
		t.Error(done, err)
	}
	if done, err := s.ForgetRefusals(t.Context(), time.Now().Add(time.Hour), 0); err != nil || !done {
		t.Error(done, err)
	}
	own := beside(t, r.options)
	for _, statement := range []string{
		"UPDATE revision SET author = 'x'", "DELETE FROM revision", "UPDATE revision_change SET name = 'x'", "DELETE FROM revision_change",
		"UPDATE checkpoint SET hash = 'x'", "DELETE FROM checkpoint", "TRUNCATE TABLE revision", "DROP TABLE revision", "ALTER TABLE revision DROP COLUMN hash",
		"UPDATE decision SET body = 'x'", "UPDATE refusal SET caller = 'x'",
	} {
		var denied *mysqldriver.MySQLError
		if _, err := own.Exec(statement); !errors.As(err, &denied) || !strings.Contains(denied.Message, "denied") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// TestNoRowNoChange_revoked: where a row of the history cannot be written, the
// change does not happen (A1).
func TestNoRowNoChange_revoked(t *testing.T) {
	for _, table := range []string{"revision", "revision_change"} {
		t.Run(table, func(t *testing.T) {
			r := newRestricted(t)
			s, err := store.Open(t.Context(), r.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			p := accesstest.StorePolicy(access.DefaultTenant)
			apply(t, s, p)
			before, facts := rowsOf(t, r.root), load(t, s, access.DefaultTenant)
			execute(t, r.root, "REVOKE INSERT ON "+table+" FROM '"+r.user+"'@'%'")
			p.Users[0].Status = access.UserLocked
			p.Description = "changed"
			if _, err := s.Apply(t.Context(), p, any1); !errors.Is(err, access.ErrUnavailable) {
				t.Errorf("a policy: %v", err)
			}
			if err := s.AddKey(t.Context(), access.APIKey{ID: "k", Tenant: "default", Kind: access.KeyRead, Name: "k", SecretHash: [32]byte{1}}, any1); !errors.Is(err, access.ErrUnavailable) {
				t.Errorf("a key: %v", err)
			}
			if _, err := s.CreateTenant(t.Context(), access.Tenant{Code: "new"}, any1); !errors.Is(err, access.ErrUnavailable) {
				t.Errorf("a tenant: %v", err)
			}
			if after := rowsOf(t, r.root); after != before {
				t.Errorf("before %s\nafter  %s", before, after)
			}
			if now := load(t, s, access.DefaultTenant); now.Revision != facts.Revision || len(now.Rules) != len(facts.Rules) {
				t.Errorf("revision %d and %d rules, before %d and %d", now.Revision, len(now.Rules), facts.Revision, len(facts.Rules))
			}
			verify(t, s, access.DefaultTenant)
			execute(t, r.root, "GRANT INSERT ON "+table+" TO '"+r.user+"'@'%'")
			p = accesstest.StorePolicy(access.DefaultTenant)
			p.Description = "again"
			apply(t, s, p)
		})
	}
}

// TestNoRowNoChange_refused: on both databases, where one refuses a row of the
// history, or of what is changed behind it, nothing of the change is there: a
// policy, an account, a key (A1).
func TestNoRowNoChange_refused(t *testing.T) {
	onEach(t, func(d database) {
		t := d.t
		s := accesstest.OpenStore(t, d.options)
		p := accesstest.StorePolicy(access.DefaultTenant)
		apply(t, s, p)
		db := beside(t, d.options)
		before, facts := rowsOf(t, db), load(t, s, access.DefaultTenant)
		refuse := "BEGIN SELECT RAISE(ABORT, 'this row is refused'); END"
		if d.options.Driver == store.MySQL {
			refuse = "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'this row is refused'"
		}
		for _, event := range []string{"INSERT ON revision", "INSERT ON revision_change", "UPDATE ON tenant"} {
			execute(t, db, "CREATE TRIGGER refusing BEFORE "+event+" "+refuse)
			p.Description, p.Users[0].Status = event, access.UserLocked
			for what, write := range map[string]func() error{
				"a policy": func() error { _, err := s.Apply(t.Context(), p, any1); return err },
				"an account": func() error {
					_, err := s.Edit(t.Context(), access.DefaultTenant, any1, func(d access.Draft) error { d.PutUser(access.User{ID: "late"}); return nil }, nil)
					return err
				},
				"a key": func() error {
					return s.AddKey(t.Context(), access.APIKey{ID: "k", Tenant: "default", Kind: access.KeyRead, Name: "k", SecretHash: [32]byte{1}}, any1)
				},
			} {
				if err := write(); err == nil {
					t.Errorf("%s refused: %s is acknowledged", event, what)
				}
			}
			execute(t, db, "DROP TRIGGER refusing")
			if after := rowsOf(t, db); after != before {
				t.Errorf("%s refused: before %s\nafter  %s", event, before, after)
			}
			if now := load(t, s, access.DefaultTenant); now.Revision != facts.Revision || len(now.Rules) != len(facts.Rules) {
				t.Errorf("%s refused: revision %d and %d rules, before %d and %d", event, now.Revision, len(now.Rules), facts.Revision, len(facts.Rules))
			}
			keys, err := s.Keys(t.Context())
			if err != nil || len(keys) > 0 {
				t.Errorf("%s refused: %d keys (%v)", event, len(keys), err)
			}
			verify(t, s, access.DefaultTenant)
		}
		apply(t, s, p)
	})
}

// TestNoRowNoChange_full: on a disk that is full nothing is half done, at whatever
// statement it fills up, and when there is room again all goes on (A1).
func TestNoRowNoChange_full(t *testing.T) {
	o := databases["sqlite"](t)
	s := accesstest.OpenStore(t, o)
	p := accesstest.StorePolicy(access.DefaultTenant)
	apply(t, s, p)
	before, facts := rowsOf(t, beside(t, o)), load(t, s, access.DefaultTenant)
	for i := range 400 {
		p.Groups = append(p.Groups, access.Group{Code: fmt.Sprintf("full-%d", i), Name: strings.Repeat("x", 90), Kind: access.GroupRegular})
	}
	failed := 0
	for room := range 12 {
		if err := s.LimitPages(4 * room); err != nil {
			t.Fatal(err)
		}
		_, err := s.Apply(t.Context(), p, any1)
		if err == nil {
			break // there was enough room
		}
		if failed++; !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("with room for %d pages: %v", 4*room, err)
		}
		if after := rowsOf(t, beside(t, o)); after != before {
			t.Fatalf("with room for %d pages: before %s\nafter  %s", 4*room, before, after)
		}
		verify(t, s, access.DefaultTenant)
		if now := load(t, s, access.DefaultTenant); now.Revision != facts.Revision {
			t.Fatalf("it is at revision %d", now.Revision)
		}
	}
	if failed < 3 {
		t.Errorf("the disk was full %d times only", failed)
	}
	if err := s.LimitPages(1 << 20); err != nil {
		t.Fatal(err)
	}
	p.Description = "there is room again"
	apply(t, s, p)
	verify(t, s, access.DefaultTenant)
}
