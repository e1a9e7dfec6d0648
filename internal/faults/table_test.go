package faults_test

import (
	"context"
	"database/sql"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// slack is what a slow machine may add to a bound. What the bounds keep away
// takes longer: half a minute until the driver gives up, or as long as the fault.
const slack = 20 * time.Second

// forgetful has a replica forget soon what it cannot confirm, for tests that wait
// for that.
const forgetful = "--store-stale-after=4s"

// row is one fault on its way through the table: a site with one replica, the
// policy that is in force, and what the last write was to be.
type row struct {
	*site
	replica *replica
	policy  staff
}

func newRow(t *testing.T, o store.Options, flags ...string) *row {
	t.Helper()
	s := newSite(t, o)
	w := &row{site: s, policy: everybody()}
	w.policy.in[1] = false
	w.replica = s.start(flags...)
	w.replica.mustWrite(w.policy)
	w.replica.agrees(w.policy)
	return w
}

// other is a policy that nobody has tried yet in this row.
func (w *row) other() staff {
	p := w.policy
	p.in[1], p.in[2] = !p.in[1], !p.in[2]
	return p
}

// refusesWrites tries a policy and a key, which must be refused as told within
// the bound.
func (w *row) refusesWrites(bound time.Duration) {
	w.t.Helper()
	_, a := w.replica.write(w.other())
	w.refused("policy", a, bound)
	w.refusesKeys(bound)
}

// refusesKeys tries to make a key.
func (w *row) refusesKeys(bound time.Duration) {
	w.t.Helper()
	w.refused("key", w.replica.do(http.MethodPost, "/v1/tenants/default/keys", api.NewKey{Kind: "read", Name: "till"}), bound)
}

func (w *row) refused(what string, a answer, bound time.Duration) {
	w.t.Helper()
	if a.status != http.StatusServiceUnavailable || a.retry == "" {
		w.t.Errorf("a %s gives %s, want 503 with Retry-After", what, a)
	}
	if a.took > bound+slack {
		w.t.Errorf("a %s was refused after %s; %s was promised", what, a.took, bound)
	}
	w.t.Logf("%s refused after %s (promised: %s)", what, a.took.Round(time.Millisecond), bound)
}

// decidesWhileReady asks until the replica says that it is not ready, or for
// the given time; answers are right as long as it says that it is.
func (w *row) decidesWhileReady(most time.Duration) (degraded int) {
	w.t.Helper()
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		status, health := w.replica.ready()
		user := int(time.Now().UnixMicro()) % len(w.policy.in)
		d, a := w.replica.check(user)
		if a.status == http.StatusOK && d.Allowed != w.policy.allows(user) {
			w.t.Fatalf("user-%d: allowed is %v", user, d.Allowed)
		}
		if after, _ := w.replica.ready(); after != http.StatusOK {
			return degraded
		}
		if status == http.StatusOK && a.status != http.StatusOK {
			w.t.Fatalf("ready before and after, and answers %s", a)
		}
		if health.Status == "degraded" {
			degraded++
		}
	}
	return degraded
}

// refusesChecks: beyond the stale limit there is no answer, and readiness says so.
func (w *row) refusesChecks() {
	w.t.Helper()
	for user := range w.policy.in {
		if _, a := w.replica.check(user); a.status != http.StatusServiceUnavailable || a.retry == "" {
			w.t.Errorf("user-%d: %s, want 503 with Retry-After", user, a)
		}
	}
	if status, health := w.replica.ready(); status != http.StatusServiceUnavailable || health.Status != "unavailable" {
		w.t.Errorf("ready: %d %+v", status, health)
	}
}

// recovers waits until the replica is as it was, and writes once more. A write
// that was refused is not there, unless it was said that this is not known.
func (w *row) recovers() {
	w.t.Helper()
	eventually(w.t, "ready without complaint", func() bool {
		status, health := w.replica.ready()
		return status == http.StatusOK && health.Status == "ok"
	})
	w.replica.agrees(w.policy)
	w.policy = w.other()
	w.replica.mustWrite(w.policy)
	w.replica.agrees(w.policy)
	w.verify()
}

// verify looks into the database itself: an unbroken chain, readable facts.
func (s *site) verify() access.Revision {
	s.t.Helper()
	db, err := store.Open(s.t.Context(), s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	facts, err := db.Load(s.t.Context(), access.DefaultTenant)
	if err != nil {
		s.t.Errorf("the facts cannot be read: %v", err)
	}
	if err := db.Verify(s.t.Context(), access.DefaultTenant); err != nil {
		s.t.Errorf("the history is broken: %v", err)
	}
	return facts.Revision
}

// TestTable_storeDown: the store refuses connections. Checks are answered from
// memory until the stale limit, writes are refused at once.
func TestTable_storeDown(t *testing.T) {
	t.Parallel()
	w := newRow(t, onMySQL(accesstest.MySQL(t)), forgetful)
	w.replica.store.cut()
	w.refusesWrites(2 * time.Second)
	if w.decidesWhileReady(patience) == 0 {
		t.Error("it never said that it was degraded")
	}
	w.refusesChecks()
	w.refusesWrites(2 * time.Second)
	w.replica.store.mend()
	w.recovers()
}

// TestTable_storeHalfOpen: nothing passes, and nobody is told. As down.
func TestTable_storeHalfOpen(t *testing.T) {
	t.Parallel()
	w := newRow(t, onMySQL(accesstest.MySQL(t)), forgetful)
	w.replica.store.drop()
	w.halfOpen()
	w.replica.store.mend()
	w.recovers()
}

// TestTable_storeFrozen: the database hangs with its connections open.
func TestTable_storeFrozen(t *testing.T) {
	t.Parallel()
	own := accesstest.OwnMySQL(t)
	w := newRow(t, onMySQL(own.Database(t)), forgetful)
	own.Freeze(t)
	w.halfOpen()
	own.Thaw(t)
	w.recovers()
}

func (w *row) halfOpen() {
	w.t.Helper()
	w.refusesWrites(3 * time.Second)
	if w.decidesWhileReady(patience) == 0 && w.replica.readyNow() {
		w.t.Error("it is ready for ever")
	}
	w.refusesChecks()
}

func (r *replica) readyNow() bool { status, _ := r.ready(); return status == http.StatusOK }

// TestTable_storeSlow: every answer of the store takes more than a second. Checks
// do not notice; what is not done within three seconds is given up. (A policy has
// minutes, as it may be large.)
func TestTable_storeSlow(t *testing.T) {
	t.Parallel()
	w := newRow(t, onMySQL(accesstest.MySQL(t)), "--store-stale-after=10s")
	w.replica.store.slow(1200*time.Millisecond, 0) // a new connection is ready to be asked in time, too
	w.refusesKeys(3 * time.Second)
	w.decidesWhileReady(12 * time.Second) // longer than what is known holds
	if status, health := w.replica.ready(); status != http.StatusOK {
		t.Errorf("a slow store: %d %+v", status, health)
	}
	w.replica.store.mend()
	w.recovers()
}

// TestTable_storeReadOnly: the store lets itself be read only.
func TestTable_storeReadOnly(t *testing.T) {
	t.Parallel()
	own := accesstest.OwnMySQL(t)
	w := newRow(t, onMySQL(own.Database(t)))
	root := openMySQL(t, own.Address)
	sqlExec(t, root, "SET GLOBAL read_only = 1")
	w.refusesWrites(2 * time.Second)
	w.replica.agrees(w.policy)
	eventually(t, "readiness says that nothing can be written", func() bool {
		status, health := w.replica.ready()
		return status == http.StatusOK && health.Status == "degraded" && strings.Contains(reasons(health.Checks), "nothing can be written")
	})
	sqlExec(t, root, "SET GLOBAL read_only = 0")
	w.recovers()
}

// TestTable_storeOlder: the store was failed over to a copy that lacks our
// newest revision. What was revoked since does not come back: readiness says it
// at once, answers come by what is known here until that is too old, then none
// come, until the store has caught up.
func TestTable_storeOlder(t *testing.T) {
	t.Parallel()
	w, undo := lostRevision(t)
	eventually(t, "no answers", func() bool {
		d, a := w.replica.check(3)
		if a.status == http.StatusOK && d.Allowed {
			t.Fatal("what was revoked is allowed again")
		}
		return a.status == http.StatusServiceUnavailable
	})
	w.refusesChecks()
	undo()
	w.recovers()
}

// TestTable_storeRestored: the same, and somebody says that it is meant: an
// older backup was restored, and what it holds is the truth from now on.
func TestTable_storeRestored(t *testing.T) {
	t.Parallel()
	w, _ := lostRevision(t)
	db, err := store.Open(t.Context(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	change := access.Change{Base: access.AnyRevision, Author: "operator-1", Reason: "restored the backup"}
	if err := db.RenewEpoch(t.Context(), access.DefaultTenant, change); err != nil {
		t.Fatal(err)
	}
	w.policy.in[3] = true
	eventually(t, "what was restored decides", func() bool { d, _ := w.replica.check(3); return d.Allowed })
	w.recovers()
}

// lostRevision is a row whose store has lost the newest revision, by which
// user-3 lost his right.
func lostRevision(t *testing.T) (w *row, undo func()) {
	t.Helper()
	own := accesstest.OwnMySQL(t)
	w = newRow(t, onMySQL(own.Database(t)), forgetful)
	restore := backup(t, openMySQL(t, own.Address), w.store.DSN)
	w.policy.in[3] = false
	w.replica.mustWrite(w.policy)
	undo = restore()
	eventually(t, "not ready", func() bool {
		if d, a := w.replica.check(3); a.status == http.StatusOK && d.Allowed {
			t.Fatal("what was revoked is allowed again")
		}
		return !w.replica.readyNow()
	})
	if _, health := w.replica.ready(); !strings.Contains(reasons(health.Checks), "older than") {
		t.Errorf("readiness does not say why: %+v", health)
	}
	return w, undo
}

// TestTable_storeFull: nothing more can be stored. The error is the database's own.
func TestTable_storeFull(t *testing.T) {
	t.Parallel()
	own := accesstest.OwnMySQL(t, "--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:48M")
	w := newRow(t, onMySQL(own.Database(t)))
	db := openMySQL(t, w.store.DSN)
	makeRoom := fill(t, db)
	eventually(t, "full", func() bool {
		if _, a := w.replica.write(w.other()); a.status != http.StatusOK {
			return true
		}
		w.policy = w.other()
		return false
	})
	_, a := w.replica.write(w.other()) // a key is so small that it may fit somewhere
	w.refused("policy", a, 2*time.Second)
	w.decidesWhileReady(time.Second)
	w.replica.agrees(w.policy)
	makeRoom()
	eventually(t, "writes again", func() bool { // what was thrown away is cleared behind the scenes
		if _, a := w.replica.write(w.other()); a.status != http.StatusOK {
			return false
		}
		w.policy = w.other()
		return true
	})
	w.recovers()
}

// fill leaves no room in the database. What makes room again was deleted before,
// in a transaction that is held open: a full database cannot even delete.
func fill(t testing.TB, db *sql.DB) (makeRoom func()) {
	t.Helper()
	sqlExec(t, db, "CREATE TABLE reserve (n INT AUTO_INCREMENT PRIMARY KEY, x LONGBLOB)")
	sqlExec(t, db, "CREATE TABLE small (n INT AUTO_INCREMENT PRIMARY KEY, x VARBINARY(7000))")
	for range 4 {
		sqlExec(t, db, "INSERT INTO reserve (x) VALUES (REPEAT('x', 2000000))")
	}
	held, err := db.BeginTx(context.Background(), nil)
	if err == nil {
		_, err = held.ExecContext(t.Context(), "DELETE FROM reserve")
	}
	if err != nil {
		t.Fatal(err)
	}
	// Rows that fit into a page: to roll back a larger one takes room, and MariaDB
	// ends where there is none.
	for size := 7000; size > 0; {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO small (x) VALUES (REPEAT('x', ?))", size); err != nil {
			size /= 2
		}
	}
	return func() {
		if err := held.Commit(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "room", func() bool { // what was deleted is cleared away behind the scenes
			_, err := db.ExecContext(t.Context(), "INSERT INTO reserve (x) VALUES (REPEAT('x', 4000000))")
			return err == nil
		})
		sqlExec(t, db, "DROP TABLE small")
	}
}

// backup copies all tables of a database. What it returns puts the copy in the
// place of the tables, at once, and returns a function that undoes this.
func backup(t testing.TB, root *sql.DB, dsn string) (restore func() (undo func())) {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := config.DBName
	rows, err := root.QueryContext(t.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	if err := rows.Err(); err != nil || len(tables) == 0 {
		t.Fatalf("%d tables: %v", len(tables), err)
	}
	for _, other := range []string{"_copy", "_away"} {
		sqlExec(t, root, "CREATE DATABASE "+name+other)
	}
	for _, table := range tables {
		sqlExec(t, root, "CREATE TABLE "+name+"_copy."+table+" LIKE "+name+"."+table)
		sqlExec(t, root, "INSERT INTO "+name+"_copy."+table+" SELECT * FROM "+name+"."+table)
	}
	move := func(steps ...[2]string) {
		var moves []string
		for _, step := range steps {
			for _, table := range tables {
				moves = append(moves, name+step[0]+"."+table+" TO "+name+step[1]+"."+table)
			}
		}
		sqlExec(t, root, "RENAME TABLE "+strings.Join(moves, ", "))
	}
	return func() func() {
		move([2]string{"", "_away"}, [2]string{"_copy", ""})
		return func() { move([2]string{"", "_copy"}, [2]string{"_away", ""}) }
	}
}

func openMySQL(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// openDatabase opens it past all replicas.
func openDatabase(t testing.TB, o store.Options) *sql.DB {
	t.Helper()
	if o.Driver == store.MySQL {
		return openMySQL(t, o.DSN)
	}
	db, err := sql.Open("sqlite", "file:"+o.DSN+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func sqlExec(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		t.Fatalf("%.200s: %v", statement, err)
	}
}

func reasons(checks []api.HealthCheck) string {
	var all []string
	for _, c := range checks {
		all = append(all, c.Reasons...)
	}
	return strings.Join(all, "; ")
}

// TestTable_commitUnanswered: the database holds a commit back. Whoever waits
// for it is told in time that nobody knows whether the change was made; it is
// made later.
func TestTable_commitUnanswered(t *testing.T) {
	t.Parallel()
	own := accesstest.OwnMySQL(t)
	w := newRow(t, onMySQL(own.Database(t)))
	release := holdCommits(t, openMySQL(t, own.Address))
	a := w.replica.do(http.MethodPost, "/v1/tenants/default/keys", api.NewKey{Kind: "read", Name: "late"})
	w.refused("key", a, 3*time.Second)
	if a.code != "outcome_unknown" {
		t.Errorf("a commit without an answer gives %s", a)
	}
	release()
	eventually(t, "the key is there", func() bool {
		list := w.replica.do(http.MethodGet, "/v1/tenants/default/keys", nil)
		return strings.Contains(string(list.body), `"late"`)
	})
	w.recovers()
}

// holdCommits lets every transaction run up to its commit and no further.
func holdCommits(t testing.TB, root *sql.DB) (release func()) {
	t.Helper()
	conn, err := root.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, stage := range []string{"START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"} {
		if _, err := conn.ExecContext(t.Context(), "BACKUP STAGE "+stage); err != nil {
			t.Skipf("only MariaDB can hold commits back: %v", err)
		}
	}
	return func() {
		if _, err := conn.ExecContext(context.Background(), "BACKUP STAGE END"); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
}
