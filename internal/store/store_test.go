package store_test

import (
	"path/filepath"
	"testing"

	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// databases are the two kinds of databases that every test here runs on.
var databases = map[string]func(testing.TB) store.Options{
	"sqlite": func(t testing.TB) store.Options {
		return store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "bailiwick.db")}
	},
	"mysql": func(t testing.TB) store.Options {
		return store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t)}
	},
}

// onEach runs a test on each kind of database.
func onEach(t *testing.T, test func(t *testing.T, o store.Options)) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) { test(t, database(t)) })
	}
}

func TestStore(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) { accesstest.Store(t, database) })
	}
}
