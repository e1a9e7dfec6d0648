package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/bailiwick/bailiwick/internal/config"
)

// The secret of an embedded database is made once, for nobody else to read; of
// those who make it at once, all have the same.
func TestKeptSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bailiwick.db.secret")
	found := make([]string, 8)
	var all sync.WaitGroup
	for i := range found {
		all.Go(func() {
			var err error
			if found[i], err = keptSecret(path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, secret := range found {
		if secret != found[0] || len(secret) != 64 {
			t.Errorf("found %q and %q", found[0], secret)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("others can read it: %s", info.Mode())
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSecondFactors_secret(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	cfg := config.Default()
	cfg.Store.DSN = filepath.Join(t.TempDir(), "bailiwick.db")
	first, err := secondFactors(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	again, err := secondFactors(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Seal("mine", []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := again.Open("mine", sealed); err != nil || string(text) != "text" {
		t.Errorf("after a restart: %q, %v", text, err)
	}
	cfg.Store.DSN = "u:p@tcp(127.0.0.1:1)/d"
	if s, err := secondFactors(cfg, log); s != nil || err != nil {
		t.Errorf("without a secret: %v, %v", s, err)
	}
}
