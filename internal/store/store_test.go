package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// databases are the two kinds of databases that every test here runs on.
var databases = map[string]func(testing.TB) store.Options{
	"sqlite": func(t testing.TB) store.Options {
		t.Helper()
		return store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")}
	},
	"mysql": func(t testing.TB) store.Options {
		t.Helper()
		return store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t)}
	},
}

// database is a fresh one for a test.
type database struct {
	t       *testing.T
	options store.Options
}

// onEach runs a test on each kind of database.
func onEach(t *testing.T, test func(database)) {
	t.Helper()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) { test(database{t, open(t)}) })
	}
}

func TestStore(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) { accesstest.Store(t, open) })
	}
	// The tables say how they compare, whatever the database's default is.
	t.Run("mysql created with a collation that folds case", func(t *testing.T) {
		accesstest.Store(t, func(t testing.TB) store.Options {
			t.Helper()
			return store.Options{Driver: store.MySQL, DSN: accesstest.MySQLWith(t, "utf8mb4_general_ci")}
		})
	})
}

func TestOpen_refused(t *testing.T) {
	for name, o := range map[string]store.Options{
		"no driver":          {DSN: "x"},
		"unknown driver":     {Driver: "postgres", DSN: "x"},
		"no file":            {Driver: store.SQLite},
		"memory":             {Driver: store.SQLite, DSN: ":memory:"},
		"URI":                {Driver: store.SQLite, DSN: "file:x.db"},
		"file with settings": {Driver: store.SQLite, DSN: "x.db?_pragma=synchronous(0)"},
		"no DSN":             {Driver: store.MySQL},
		"malformed DSN":      {Driver: store.MySQL, DSN: "root@somewhere"},
		"no database":        {Driver: store.MySQL, DSN: "root@tcp(127.0.0.1:1)/"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := store.Open(t.Context(), o); !errors.Is(err, access.ErrInvalid) {
				t.Errorf("opened with error %v, want one of kind invalid", err)
			}
		})
	}
	for name, o := range map[string]store.Options{
		"nobody listens": {Driver: store.MySQL, DSN: "root@tcp(127.0.0.1:1)/x"},
		"no folder":      {Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "none", "x.db")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := store.Open(t.Context(), o); !errors.Is(err, access.ErrUnavailable) {
				t.Errorf("opened with error %v, want one of kind unavailable", err)
			}
		})
	}
}

// TestOpen_durable: what is acknowledged is on the disk, and nobody else on the
// machine can read it.
func TestOpen_durable(t *testing.T) {
	o := databases["sqlite"](t)
	s := accesstest.OpenStore(t, o)
	for query, want := range map[string]string{
		"PRAGMA journal_mode": "wal", "PRAGMA synchronous": "2", "PRAGMA foreign_keys": "1", "PRAGMA busy_timeout": "5000",
	} {
		if write, read, err := s.Setting(query); err != nil || write != want || read != want {
			t.Errorf("%s is %s and %s (%v), want %s", query, write, read, err, want)
		}
	}
	for _, name := range []string{o.DSN, o.DSN + "-wal"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", name, info.Mode(), err)
		}
	}
}

// TestOpen_strict: values that are too long are refused by the server too,
// whatever its own default is.
func TestOpen_strict(t *testing.T) {
	s := accesstest.OpenStore(t, databases["mysql"](t))
	if write, _, err := s.Setting("SELECT @@SESSION.sql_mode"); err != nil || !strings.Contains(write, "STRICT_ALL_TABLES") {
		t.Errorf("sql_mode is %s (%v)", write, err)
	}
}
