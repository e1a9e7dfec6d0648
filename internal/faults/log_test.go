package faults_test

import (
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestTable_logRefused: in strict mode, while the log of decisions takes no row,
// nobody is answered; when it does again, all are (A4). Without it they are
// answered meanwhile.
func TestTable_logRefused(t *testing.T) {
	t.Parallel()
	for name, strict := range map[string]string{"strict": "true", "otherwise": "false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRow(t, onMySQL(accesstest.MySQL(t)), "--decisions-sinks=store", "--decisions-strict="+strict, strictWait)
			db := openMySQL(t, w.store.DSN)
			sqlExec(t, db, "CREATE TRIGGER refusing BEFORE INSERT ON decision FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'")
			if strict == "true" {
				w.refusesLogged()
			} else {
				w.replica.agrees(w.policy)
			}
			eventually(t, "it says so", func() bool { _, health := w.replica.ready(); return health.Status == "degraded" })
			sqlExec(t, db, "DROP TRIGGER refusing")
			eventually(t, "answers again", func() bool { _, a := w.replica.check(0); return a.status == http.StatusOK })
			w.replica.agrees(w.policy)
		})
	}
}

// strictWait is long enough for a log that takes rows, on however slow a disk.
const strictWait = "--decisions-strict-wait=5s"

// refusesLogged: no log, no decision, for nobody who asks meanwhile.
func (w *row) refusesLogged() {
	w.t.Helper()
	var asking sync.WaitGroup
	for user := range w.policy.in {
		asking.Go(func() {
			if d, a := w.replica.check(user); a.status != http.StatusServiceUnavailable || a.retry == "" || d.Allowed {
				w.t.Errorf("user-%d: %s, want 503 with Retry-After", user, a)
			}
		})
	}
	asking.Wait()
}

// TestTable_logDiskFull: the same with a file on a disk that is full. What is no
// decision goes on.
func TestTable_logDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no full disk to write to")
	}
	t.Parallel()
	full := filepath.Join(t.TempDir(), "decisions.ndjson")
	if err := os.Symlink("/dev/full", full); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")})
	w := &row{site: s, policy: everybody()}
	w.replica = s.start("--decisions-sinks=file", "--decisions-file="+full, "--decisions-strict=true", strictWait)
	w.replica.mustWrite(w.policy)
	w.refusesLogged()
	eventually(t, "it says so", func() bool { _, health := w.replica.ready(); return health.Status == "degraded" })
	if _, a := w.replica.write(w.other()); a.status != http.StatusOK {
		t.Errorf("a change: %s", a)
	}
	w.replica.kill() // such a file cannot be closed well
}
