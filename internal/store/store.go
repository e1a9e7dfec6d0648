// Package store keeps tenants, their policies and their history in SQLite or
// MySQL.
//
// There is one way to write: commit locks the tenant's row, lets a function
// change rows, and records what changed as the next revision of a hash-chained
// history, all in one transaction. There is one way to read what decides:
// Load, which takes everything from one consistent snapshot and refuses a row
// that it does not understand instead of leaving it out.
//
// The rules lie in casbin_rule in Casbin's own shape, so that a stock enforcer
// with gorm-adapter loads them too; writing through that adapter is refused,
// because it loses data in ways that internal/store's battery of tests shows.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The two drivers.
const (
	SQLite = "sqlite"
	MySQL  = "mysql"
)

// DefaultMaxRules is how many rules a policy may have unless Options say otherwise.
const DefaultMaxRules = 200_000

// DefaultResidentUsers is up to how many users a tenant is loaded with them
// unless Options say otherwise.
const DefaultResidentUsers = 200_000

// Options say where the store is. Driver and DSN are required, the rest has
// working zero values.
type Options struct {
	Driver string // SQLite or MySQL
	DSN    string // a path of a file, or a DSN of go-sql-driver/mysql

	MaxOpenConns int // MySQL: 16 when 0, and one more that follows. SQLite: connections that read, 4 when 0; one writes
	MaxIdleConns int // as many as may be open when 0
	MaxRules     int // rules a policy may have; DefaultMaxRules when 0

	// ResidentUsers is up to how many users a tenant is loaded with them; those
	// of larger ones are asked for one by one. DefaultResidentUsers when 0,
	// none when negative.
	ResidentUsers int

	Clock func() time.Time // time.Now when nil
	Log   *slog.Logger     // discarded when nil
}

// Store is a database of tenants. It is safe for use by many goroutines.
type Store struct {
	db        *gorm.DB // writes
	reader    *gorm.DB // reads; the same as db on MySQL
	follow    *gorm.DB // reads heads and keys, over a connection that nobody else can keep busy; the same as reader on SQLite
	driver    string
	collation string // of MySQL's columns; empty on SQLite
	byLine    string // makes a query find rules by their line
	packed    func(columns string) string
	askOne    string  // asks about a single user
	asking    querier // for that, past transactions
	maxRules  int
	resident  int64 // users up to which a tenant is loaded with them
	chunk     int   // rows a statement may carry
	clock     func() time.Time
	log       *slog.Logger
	rosters   rosters
	policies  policies
	signer    signer
	closed    context.CancelFunc // ends what is read beside requests
	fit       atomic.Bool        // Check has found nothing wrong
	counted   sync.Map           // table of a log -> its newest seq when it was last within its bounds
}

// Open connects to a database and checks it as Check does. Only a schema that
// is older than this program is let through, so that Migrate can be called;
// until then every other method fails with what Check says.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{driver: o.Driver, maxRules: o.MaxRules, resident: int64(max(o.ResidentUsers, -1)), clock: o.Clock, log: o.Log}
	s.defaults()
	closing, closed := context.WithCancel(context.WithoutCancel(ctx))
	s.closed = closed
	s.rosters.view = func(tenant string, read func(view) error) error { return s.snapshot(closing, tenant, read) }
	if err := s.connect(ctx, o); err != nil {
		return nil, err
	}
	err := s.Check(ctx)
	if old := (*olderError)(nil); err != nil && !errors.As(err, &old) {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) defaults() {
	if s.maxRules == 0 {
		s.maxRules = DefaultMaxRules
	}
	if s.resident == 0 {
		s.resident = DefaultResidentUsers
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
}

func (s *Store) connect(ctx context.Context, o Options) error {
	switch o.Driver {
	case SQLite:
		s.chunk, s.byLine, s.packed = chunkRowsSQLite, "INDEXED BY casbin_rule_line", packedSQLite
		s.askOne = subjectQuery(1, s.byLine, s.packed)
		return s.connectSQLite(ctx, o)
	case MySQL:
		s.chunk, s.byLine, s.packed = chunkRows, "FORCE INDEX (casbin_rule_line)", packed
		s.askOne = subjectQuery(1, s.byLine, s.packed)
		return s.connectMySQL(ctx, o)
	}
	return access.Invalid("driver", "%q is neither %s nor %s", o.Driver, SQLite, MySQL)
}

// Close ends all connections.
func (s *Store) Close() error {
	s.closed()
	var errs []error
	for _, db := range []*gorm.DB{s.follow, s.reader, s.db} {
		if db == nil {
			continue
		}
		conns, err := db.DB()
		if err == nil {
			err = conns.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// gormConfig keeps gorm from writing SQL into logs, where it would bring
// personal data, and from wrapping statements in transactions of its own.
func gormConfig() *gorm.Config {
	return &gorm.Config{
		Logger: logger.Discard, SkipDefaultTransaction: true, TranslateError: true, DisableAutomaticPing: true,
		Plugins: map[string]gorm.Plugin{tracing{}.Name(): tracing{}},
	}
}

// fault adds the step to an error. What is not one of the six kinds comes from
// the database or the way to it, and means that it could not be done now.
func fault(step string, err error) error {
	if err == nil {
		return nil
	}
	for _, kind := range []error{
		access.ErrInvalid, access.ErrNotFound, access.ErrExists, access.ErrStale, access.ErrForbidden, access.ErrUnavailable,
	} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	return fmt.Errorf("%s: %w: %w", step, access.ErrUnavailable, err)
}
