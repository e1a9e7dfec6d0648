package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The collations that compare text byte by byte, without padding.
const (
	mariadbCollation = "utf8mb4_nopad_bin"
	mysqlCollation   = "utf8mb4_0900_bin"
)

// sessionSettings are forced upon every connection unless the DSN has its own.
// Outside strict mode MySQL cuts values that are too long, and a cut rule is
// a rule for somebody else. A lock is waited for less long than an answer.
var sessionSettings = map[string]string{
	"sql_mode":                 "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
	"innodb_lock_wait_timeout": "10",
}

func (s *Store) connectMySQL(ctx context.Context, o Options) error {
	config, err := mysqlConfig(o.DSN)
	if err != nil {
		return err
	}
	connector, err := mysqldriver.NewConnector(config)
	if err != nil {
		return access.Invalid("dsn", "%v", err)
	}
	open := orElse(o.MaxOpenConns, 16)
	if s.db, err = openMySQL(connector, open, orElse(o.MaxIdleConns, open)); err != nil {
		return fault("connect to MySQL", err)
	}
	if s.follow, err = openMySQL(connector, 1, 1); err != nil {
		return fault("connect to MySQL", errors.Join(err, s.Close()))
	}
	s.reader = s.db
	conns, err := s.db.DB()
	if err != nil {
		return fault("connect to MySQL", errors.Join(err, s.Close()))
	}
	s.asking = &prepared{conns: conns, query: s.askOne}
	if s.collation, err = collationOf(ctx, s.db); err != nil {
		return fault("connect to MySQL", errors.Join(err, s.Close()))
	}
	return nil
}

func openMySQL(connector driver.Connector, open, idle int) (*gorm.DB, error) {
	conns := sql.OpenDB(connector)
	conns.SetMaxOpenConns(open)
	conns.SetMaxIdleConns(idle)
	conns.SetConnMaxLifetime(5 * time.Minute) // so that a failed-over server is left in time
	return gorm.Open(mysql.New(mysql.Config{Conn: conns, SkipInitializeWithVersion: true}), gormConfig())
}

// prepared sends one query as a prepared statement, which the server need not
// read each time, and others as they are.
type prepared struct {
	conns     *sql.DB
	query     string
	statement atomic.Pointer[sql.Stmt] // nil: none yet
}

// QueryContext asks.
func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if query != p.query {
		return p.conns.QueryContext(ctx, query, args...)
	}
	statement := p.statement.Load() //nolint:sqlclosecheck // it ends with the connections
	if statement == nil {
		var err error
		if statement, err = p.conns.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
		if !p.statement.CompareAndSwap(nil, statement) { // somebody else has prepared it meanwhile
			_ = statement.Close()          //nolint:sqlclosecheck // only this one
			statement = p.statement.Load() //nolint:sqlclosecheck // it ends with the connections
		}
	}
	return statement.QueryContext(ctx, args...)
}

// mysqlConfig reads the DSN and settles what must not be left to chance.
func mysqlConfig(dsn string) (*mysqldriver.Config, error) {
	config, err := mysqldriver.ParseDSN(dsn)
	if err != nil {
		return nil, access.Invalid("dsn", "%v", err)
	}
	if config.DBName == "" {
		return nil, access.Invalid("dsn", "names no database")
	}
	config.ParseTime, config.Loc = true, time.UTC
	config.MultiStatements, config.AllowAllFiles = false, false
	config.InterpolateParams = true          // one way to the server and back for a statement, not three
	config.Logger = &mysqldriver.NopLogger{} // it would write past our log what comes back as an error too
	config.Timeout = orElseDuration(config.Timeout, 5*time.Second)
	config.ReadTimeout = orElseDuration(config.ReadTimeout, 30*time.Second)
	config.WriteTimeout = orElseDuration(config.WriteTimeout, 30*time.Second)
	params := maps.Clone(sessionSettings)
	maps.Copy(params, config.Params)
	config.Params = params
	return config, nil
}

func orElseDuration(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func collationOf(ctx context.Context, db *gorm.DB) (string, error) {
	var version string
	if err := db.WithContext(ctx).Raw("SELECT VERSION()").Scan(&version).Error; err != nil {
		return "", err
	}
	if strings.Contains(strings.ToLower(version), "mariadb") {
		return mariadbCollation, nil
	}
	return mysqlCollation, nil
}

// The numbers of errors after which MySQL has rolled back and asks to try again.
const (
	mysqlRecordChanged = 1020
	mysqlLockTimeout   = 1205
	mysqlDeadlock      = 1213
)

func lostRace(err error) bool {
	var e *mysqldriver.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	return e.Number == mysqlRecordChanged || e.Number == mysqlLockTimeout || e.Number == mysqlDeadlock
}
