package store

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/bailiwick/bailiwick/internal/access"
)

//go:embed migrations
var migrations embed.FS

// versionTable is where goose notes what it has done. It has a name of its own
// because an installation's database may know goose already.
const (
	versionTable = "bailiwick_version"
	lockTable    = "bailiwick_lock"
)

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string    // of its file
	Applied time.Time // zero: not yet
}

// Migrate brings the schema up to date and makes the tenant default. When two
// do it at once, one works and the other waits.
func (s *Store) Migrate(ctx context.Context) error {
	provider, err := s.provider()
	if err != nil {
		return fault("migrate", err)
	}
	if err := s.notNewer(ctx); err != nil {
		return err
	}
	if err := s.strangers(ctx); err != nil {
		return err
	}
	if err := s.up(ctx, provider); err != nil {
		return fault("migrate", err)
	}
	if err := s.Check(ctx); err != nil {
		return err
	}
	if err := s.fillKeys(ctx); err != nil {
		return fault("migrate", err)
	}
	return s.ensureDefault(ctx)
}

// up: on SQLite a step is one transaction, so of two migrators one gets the
// lock and the other fails on what the first has made. It looks again then.
func (s *Store) up(ctx context.Context, provider *goose.Provider) error {
	var err error
	for range 5 {
		if _, err = provider.Up(ctx); err == nil || s.driver == MySQL || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// strangers refuses a database without our schema in which tables of our names
// lie already. Those that a killed migration has left are ours.
func (s *Store) strangers(ctx context.Context) error {
	if has, err := s.version(ctx); err != nil || has > 0 {
		return fault("migrate", err)
	}
	for _, name := range tableNames() {
		there, err := s.hasTable(ctx, name)
		if err == nil && there {
			err = s.ours(ctx, name, tables[name])
		}
		if err != nil {
			return fault("migrate", err)
		}
	}
	return nil
}

func (s *Store) ensureDefault(ctx context.Context) error {
	heads, err := s.Heads(ctx)
	if _, there := heads[access.DefaultTenant]; there || err != nil {
		return err
	}
	_, err = s.CreateTenant(ctx, access.Tenant{Code: access.DefaultTenant}, access.Change{
		Base: access.AnyRevision, Author: "bailiwick", Source: "start", Reason: "the tenant that always exists",
	})
	if errors.Is(err, access.ErrExists) {
		return nil
	}
	return err
}

// MigrationStatus lists the steps of the schema and which of them were done. It
// writes nothing.
func (s *Store) MigrationStatus(ctx context.Context) ([]Migration, error) {
	provider, err := s.provider()
	if err != nil {
		return nil, fault("migration status", err)
	}
	applied, err := s.applied(ctx)
	if err != nil {
		return nil, fault("migration status", err)
	}
	var steps []Migration
	for _, source := range provider.ListSources() {
		steps = append(steps, Migration{Version: source.Version, Name: source.Path, Applied: applied[source.Version]})
	}
	return steps, nil
}

// applied gives the moment at which each step was done.
func (s *Store) applied(ctx context.Context) (map[int64]time.Time, error) {
	there, err := s.hasTable(ctx, versionTable)
	if err != nil || !there {
		return nil, err
	}
	conns, err := s.db.DB()
	if err != nil {
		return nil, err
	}
	moments := map[int64]time.Time{}
	return moments, each(ctx, conns, "SELECT version_id, tstamp FROM "+versionTable+" WHERE is_applied", nil, func(rows *sql.Rows) error {
		var version int64
		var at time.Time
		err := rows.Scan(&version, &at)
		moments[version] = at.UTC()
		return err
	})
}

func (s *Store) provider() (*goose.Provider, error) {
	conns, err := s.db.DB()
	if err != nil {
		return nil, err
	}
	steps, err := s.steps()
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true)}
	if s.driver == SQLite {
		return goose.NewProvider(goose.DialectSQLite3, conns, steps, options...)
	}
	locker, err := s.migrationLock()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectMySQL, conns, steps, append(options, goose.WithLocker(locker))...)
}

// migrationLock is a leased row rather than GET_LOCK, which Galera keeps to one
// node. A killed migrator's lease ends after 15 seconds.
func (s *Store) migrationLock() (lock.Locker, error) {
	return lock.NewMySQLTableLocker(
		lock.WithTableLogger(s.log),
		lock.WithTableName(lockTable),
		lock.WithTableLeaseDuration(15*time.Second),
		lock.WithTableHeartbeatInterval(3*time.Second),
		lock.WithTableLockTimeout(time.Second, 120),
	)
}

// steps gives the migrations of this database.
func (s *Store) steps() (fs.FS, error) {
	files, err := fs.Sub(migrations, "migrations/"+s.driver)
	if err != nil || s.driver == SQLite {
		return files, err
	}
	return collated{files, "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=" + s.collation}, nil
}

// collated is a folder of migrations in which {{table}} is filled in: the
// right collation has another name on MariaDB than on MySQL.
type collated struct {
	fs.FS
	table string
}

func (c collated) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return f, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	text = bytes.ReplaceAll(text, []byte("{{table}}"), []byte(c.table))
	return filled{f, bytes.NewReader(text)}, nil
}

type filled struct {
	fs.File
	text io.Reader
}

func (f filled) Read(p []byte) (int, error) { return f.text.Read(p) }

// version gives the schema's version in the database, 0 if it has none.
func (s *Store) version(ctx context.Context) (int64, error) {
	applied, err := s.applied(ctx)
	newest := int64(0)
	for version := range applied {
		newest = max(newest, version)
	}
	return newest, err
}

func (s *Store) hasTable(ctx context.Context, name string) (bool, error) {
	conns, err := s.db.DB()
	if err != nil {
		return false, err
	}
	query := "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
	if s.driver == MySQL {
		query = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?"
	}
	var n int
	err = conns.QueryRowContext(ctx, query, name).Scan(&n)
	return n > 0, err
}

// target is the version that this program was written for.
func (s *Store) target() (int64, error) {
	steps, err := s.steps()
	if err != nil {
		return 0, err
	}
	names, err := fs.Glob(steps, "*.sql")
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(names[len(names)-1])
}
