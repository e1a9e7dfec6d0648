package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/store"
)

// witness is a file beside the database in which every checkpoint is noted, a line
// each. Whoever can change the database, or puts a backup in its place, does not
// change it.
type witness struct {
	path string
	log  *slog.Logger
	mu   sync.Mutex
	file *os.File // open as long as the process lasts
}

// signIfPossible is signWith for commands: where their user may not read the key,
// a server signs what they have done.
func signIfPossible(db *store.Store, cfg config.Config, log *slog.Logger) {
	if err := signWith(db, cfg, false, log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("what is written here is signed by the next server that sees it", "error", err)
	}
}

// signWith has the database sign what is written from now on, if there is a key,
// or one may be made.
func signWith(db *store.Store, cfg config.Config, make bool, log *slog.Logger) error {
	key, err := signingKey(cfg, make)
	if err != nil {
		return fmt.Errorf("audit.signing_key: %w", err)
	}
	if key == nil {
		return nil
	}
	if cfg.Audit.Witness == "" {
		db.SignWith(key, nil, nil)
		return nil
	}
	known, err := readWitness(cfg.Audit.Witness)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("audit.witness: %w", err)
	}
	w := &witness{path: cfg.Audit.Witness, log: log}
	if err := w.open(); err != nil {
		return fmt.Errorf("audit.witness: %w", err)
	}
	db.SignWith(key, known, w.note)
	return nil
}

func (w *witness) open() (err error) {
	w.file, err = os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := w.file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := w.file.ReadAt(last, info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = w.file.WriteString("\n") // the machine stopped in the middle of a line
	return err
}

// note writes a checkpoint down. It cannot undo what was signed: that it is missing
// here is said in the log.
func (w *witness) note(c access.Checkpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line, err := json.Marshal(c)
	if err == nil {
		_, err = w.file.Write(append(line, '\n'))
	}
	if err != nil {
		w.log.Error("a checkpoint could not be noted", "file", w.path, "tenant", c.Tenant, "revision", c.Revision, "error", err)
	}
}

// readWitness reads checkpoints that were noted, oldest first. A line that the
// machine has not finished before it stopped is no checkpoint.
func readWitness(path string) ([]access.Checkpoint, error) {
	file, err := os.Open(path) //nolint:gosec // that is what was asked for
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []access.Checkpoint
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		var c access.Checkpoint
		if json.Unmarshal(bytes.TrimSpace(line), &c) == nil && c.Signature != "" {
			all = append(all, c)
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
