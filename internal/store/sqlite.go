package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// connectSQLite opens the file twice: one connection that writes, so that
// writers queue here and not inside SQLite, and a few that read beside it.
func (s *Store) connectSQLite(ctx context.Context, o Options) error {
	if o.DSN == "" || strings.HasPrefix(o.DSN, ":") || strings.HasPrefix(o.DSN, "file:") || strings.Contains(o.DSN, "?") {
		return access.Invalid("dsn", "%q is not the path of a database file", o.DSN)
	}
	if err := privateFile(o.DSN); err != nil {
		return fault("open "+o.DSN, err)
	}
	writes, reads := sqliteDSN(o.DSN, "immediate", "journal_mode(WAL)"), sqliteDSN(o.DSN, "deferred", "query_only(1)")
	var err error
	if s.db, err = openSQLite(ctx, writes, 1, 1); err != nil {
		return fault("open "+o.DSN, err)
	}
	open := orElse(o.MaxOpenConns, 4)
	if s.reader, err = openSQLite(ctx, reads, open, orElse(o.MaxIdleConns, open)); err != nil {
		return fault("open "+o.DSN, err)
	}
	s.follow = s.reader
	s.asking, err = s.reader.DB() // its driver remembers no statements
	return err
}

// privateFile makes the file before SQLite does: others on the machine must
// not be able to read it.
func privateFile(path string) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// sqliteDSN: synchronous FULL makes every acknowledged commit survive a power
// cut; an immediate transaction takes the write lock before it reads.
func sqliteDSN(path, lock, pragma string) string {
	q := url.Values{"_txlock": {lock}, "_pragma": {"busy_timeout(5000)", pragma, "synchronous(FULL)", "foreign_keys(1)"}}
	return fmt.Sprintf("%s?%s", path, q.Encode())
}

func openSQLite(ctx context.Context, dsn string, open, idle int) (*gorm.DB, error) {
	conns, err := sql.Open(sqlite.DriverName, dsn)
	if err != nil {
		return nil, err
	}
	conns.SetMaxOpenConns(open)
	conns.SetMaxIdleConns(idle)
	if err := ping(ctx, conns); err != nil {
		return nil, errors.Join(err, conns.Close())
	}
	return gorm.Open(sqlite.Dialector{Conn: conns}, gormConfig())
}

// ping makes the first connection. While another process turns a new file into
// WAL mode, SQLite says "busy" at once, whatever the busy timeout.
func ping(ctx context.Context, conns *sql.DB) error {
	for try := 1; ; try++ {
		err := conns.PingContext(ctx)
		if err == nil || try == 50 || !busy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func busy(err error) bool {
	var e interface {
		error
		Code() int
	}
	const sqliteBusy = 5
	return errors.As(err, &e) && e.Code()&0xff == sqliteBusy
}

func orElse(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
