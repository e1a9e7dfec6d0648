package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

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
	writes, reads := sqliteDSN(o.DSN, "immediate", ""), sqliteDSN(o.DSN, "deferred", "query_only(1)")
	var err error
	if s.db, err = openSQLite(ctx, writes, 1, 1); err != nil {
		return fault("open "+o.DSN, err)
	}
	open := orElse(o.MaxOpenConns, 4)
	if s.reader, err = openSQLite(ctx, reads, open, orElse(o.MaxIdleConns, open)); err != nil {
		return fault("open "+o.DSN, err)
	}
	return nil
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
	q := url.Values{"_txlock": {lock}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}}
	if pragma != "" {
		q.Add("_pragma", pragma)
	}
	return fmt.Sprintf("%s?%s", path, q.Encode())
}

func openSQLite(ctx context.Context, dsn string, open, idle int) (*gorm.DB, error) {
	conns, err := sql.Open(sqlite.DriverName, dsn)
	if err != nil {
		return nil, err
	}
	conns.SetMaxOpenConns(open)
	conns.SetMaxIdleConns(idle)
	if err := conns.PingContext(ctx); err != nil {
		return nil, err
	}
	return gorm.Open(sqlite.Dialector{Conn: conns}, gormConfig())
}

func orElse(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
