package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

func (c *cli) keysCommand() *cobra.Command {
	cmd := group("keys", "Make keys that servers use", `  bailiwick keys audit audit.key`)
	cmd.AddCommand(&cobra.Command{
		Use:   "audit FILE",
		Short: "Make the key that signs the history, or show its public half",
		Long: `Make the Ed25519 key that signs the history, in a file that only its owner can
read, and print its public key. A file that is there already is left as it is.
Name the file in audit.signing_key; keep the public key where whoever can change
the database cannot.`,
		Example: `  bailiwick keys audit /etc/bailiwick/audit.key > audit.pub`,
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := readOrMakeKey(args[0])
			if err != nil {
				return err
			}
			public := key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // by its documentation
			answer := keyAnswer{Key: access.KeyName(public), Public: base64.StdEncoding.EncodeToString(public)}
			return c.answer(answer, func(w io.Writer) { fmt.Fprintln(w, answer.Public) })
		},
	})
	return cmd
}

type keyAnswer struct {
	Key    string `json:"key"`
	Public string `json:"public"`
}

const pemKind = "PRIVATE KEY"

func readOrMakeKey(path string) (ed25519.PrivateKey, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return readKey(path) // somebody else was quicker
	}
	if err != nil {
		return nil, err
	}
	return key, errors.Join(pem.Encode(file, &pem.Block{Type: pemKind, Bytes: der}), file.Sync(), file.Close())
}

// readKey refuses a file that others on the machine can read.
func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: chmod 600 %s", path, path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // that is what was configured
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemKind {
		return nil, fmt.Errorf("%s holds no private key in PEM; make one with bailiwick keys audit", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s holds no Ed25519 key; make one with bailiwick keys audit", path)
	}
	return key, nil
}

// signingKey gives the configured key, or nil where there is none. That of an
// embedded database lies beside it, and is made when it is first needed.
func signingKey(cfg config.Config, make bool) (ed25519.PrivateKey, error) {
	switch {
	case cfg.Audit.SigningKey != "":
		return readKey(cfg.Audit.SigningKey)
	case cfg.Store.DriverName() != store.SQLite:
		return nil, nil
	case make:
		return readOrMakeKey(cfg.Store.DSN + ".audit-key")
	}
	return readKey(cfg.Store.DSN + ".audit-key")
}

// sign looks after the signatures of the history until ctx ends; the function
// waits for the last of them.
func (h *house) sign(ctx context.Context, db *store.Store, log *slog.Logger) (wait func()) {
	if !db.Signs() {
		log.Warn("the history is not signed: audit.signing_key names no key")
		return func() {}
	}
	h.checkpoints = service.NewCheckpoints(db, h.follower, log)
	return meanwhile(ctx, h.checkpoints.Run)
}

// recordRefusals writes refused attempts until ctx ends; the function waits for
// the last of them.
func (h *house) recordRefusals(ctx context.Context) (wait func()) {
	return meanwhile(ctx, h.refusals.Run)
}

func meanwhile(ctx context.Context, run func(context.Context)) (wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	return func() { cancel(); <-done }
}

func (h *house) auditSeries() []httpapi.Series {
	kept, lost := h.refusals.Counts()
	all := []httpapi.Series{
		counter("bailiwick_refusals_recorded_total", "Entries of administrative attempts that were refused.", float64(kept)),
		counter("bailiwick_refusals_lost_total", "Refused attempts that could not be recorded: an alarm.", float64(lost)),
	}
	if h.checkpoints == nil {
		return all
	}
	made, failed := h.checkpoints.Counts()
	return append(all,
		counter("bailiwick_checkpoints_total", "Checkpoints of histories that were signed here.", float64(made)),
		counter("bailiwick_checkpoint_failures_total", "Checkpoints that could not be kept.", float64(failed)))
}

func (c *cli) auditCommand() *cobra.Command {
	cmd := group("audit", "Write down for auditors what was done, and what was refused", `  bailiwick audit export --tenant crm > crm.ndjson
  bailiwick audit refusals --tenant crm --since 24h`)
	var tenant string
	export := &cobra.Command{
		Use:   "export",
		Short: "Write a tenant's whole history down, to be verified anywhere",
		Long: `Write a tenant's whole history down, one JSON object a line, with its signed
checkpoints. bailiwick verify --export verifies it with the public key alone.
From a database whose key is at hand, the newest revision is signed first.`,
		Example: `  bailiwick audit export --tenant crm > crm.ndjson
  bailiwick verify --export crm.ndjson --public-key audit.pub`,
		Args: exactly(0),
	}
	at := &target{store: settingsFlags(export, "store.", "audit.")}
	at.serverFlags(export.Flags())
	tenantFlag(export, &tenant, "tenant whose history is written down")
	export.RunE = func(cmd *cobra.Command, _ []string) error { return c.exportTrail(cmd.Context(), at, tenant) }
	cmd.AddCommand(export, c.auditRefusalsCommand())
	return cmd
}

func (c *cli) exportTrail(ctx context.Context, at *target, tenant string) (err error) {
	server, err := at.remote()
	if err != nil {
		return err
	}
	if server != nil && !at.store.any() {
		return server.Trail(ctx, tenant, c.out)
	}
	cfg, err := at.store.load()
	if err != nil {
		return err
	}
	db, err := openStore(ctx, cfg, c.log(cfg.Log), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	signIfPossible(db, cfg, c.log(cfg.Log))
	if _, err := db.AddCheckpoint(ctx, tenant); err != nil {
		c.say("the newest revision is not signed: %v", err) // that is in the export too
	}
	return db.Trail(ctx, tenant, func(l access.TrailLine) error { return writeJSON(c.out, l) })
}
