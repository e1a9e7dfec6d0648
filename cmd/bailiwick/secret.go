package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// secondFactors gives what seals second factors: nil where the operator of a
// MySQL has set no secret.
func secondFactors(cfg config.Config, log *slog.Logger) (*service.Sealer, error) {
	secret := cfg.Server.Secret
	if secret == "" && !unsealed(cfg) {
		var err error
		if secret, err = keptSecret(cfg.Store.DSN + ".secret"); err != nil {
			return nil, fmt.Errorf("server.secret: %w", err)
		}
	}
	if secret == "" {
		log.Warn("server.secret is not set, so nobody can use a second factor")
		return nil, nil
	}
	return service.NewSealer(secret, "second factor")
}

// unsealed tells whether there is no secret, and none is made: beside a database
// that others use it would not be theirs.
func unsealed(cfg config.Config) bool {
	return cfg.Server.Secret == "" && cfg.Store.DriverName() != store.SQLite
}

// keptSecret reads a secret from a file that only we can read, and makes it where
// there is none. It stands beside the database and never in it: whoever has only
// the database, or a backup of it, cannot open what is sealed.
func keptSecret(path string) (string, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSecret(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		text, err = os.ReadFile(filepath.Clean(path))
	}
	return strings.TrimSpace(string(text)), err
}

// makeSecret leaves a whole file or none, and never another one's.
func makeSecret(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // nobody else can read it
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	bits := make([]byte, service.LeastSecret)
	_, _ = rand.Read(bits) // never fails: crypto/rand ends the program instead
	_, err = fmt.Fprintln(f, hex.EncodeToString(bits))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
