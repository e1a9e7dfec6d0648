package accesstest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/bailiwick/bailiwick/internal/accesstest"
)

func TestMySQL_comparesBytes(t *testing.T) {
	db := connect(t, accesstest.MySQL(t))
	mustExec(t, db, "CREATE TABLE names (name VARCHAR(20) PRIMARY KEY)")
	for _, name := range []string{"alice", "Alice", "alice ", "alicé"} {
		mustExec(t, db, "INSERT INTO names VALUES (?)", name)
	}
}

func TestMySQL_modeIsStrict(t *testing.T) {
	db := connect(t, accesstest.MySQL(t))
	mustExec(t, db, "CREATE TABLE short (name VARCHAR(2))")
	if _, err := db.ExecContext(t.Context(), "INSERT INTO short VALUES ('abc')"); err == nil {
		t.Error("a value too long for its column was cut silently")
	}
}

func TestMySQLWith_wrongCollation(t *testing.T) {
	db := connect(t, accesstest.MySQLWith(t, "utf8mb4_general_ci"))
	var got string
	if err := db.QueryRowContext(t.Context(), "SELECT @@collation_database").Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != "utf8mb4_general_ci" {
		t.Errorf("collation %q, asked for utf8mb4_general_ci", got)
	}
}

func TestMySQL_eachTestItsOwnAndDropped(t *testing.T) {
	var first string
	t.Run("create", func(t *testing.T) {
		first = accesstest.MySQL(t)
		if second := accesstest.MySQL(t); first == second {
			t.Errorf("two databases are one: %s", first)
		}
	})
	config, err := mysql.ParseDSN(first)
	if err != nil {
		t.Fatal(err)
	}
	db := connect(t, accesstest.MySQL(t))
	var left int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", config.DBName).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left != 0 {
		t.Errorf("database %s is still there after its test", config.DBName)
	}
}

func TestRedis_answers(t *testing.T) {
	addr := accesstest.Redis(t)
	if _, _, err := net.SplitHostPort(addr); err != nil {
		t.Errorf("%q is not host:port", addr)
	}
}

func TestMissingServiceFails(t *testing.T) {
	for name, ask := range map[string]func(testing.TB) string{
		"BAILIWICK_TEST_MYSQL": accesstest.MySQL,
		"BAILIWICK_TEST_REDIS": accesstest.Redis,
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "")
			said := failure(t, ask)
			if !strings.Contains(said, name) || !strings.Contains(said, "scripts/services run -- go test ./...") {
				t.Errorf("the failure does not say what to do: %q", said)
			}
		})
	}
}

func TestRedis_strangerOnThePort(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 400 Bad Request\r\n")
		conn.Close()
	}()
	t.Setenv("BAILIWICK_TEST_REDIS", listener.Addr().String())
	if said := failure(t, accesstest.Redis); !strings.Contains(said, "does not answer") {
		t.Errorf("a stranger passes for Redis: %q", said)
	}
}

// failure runs ask on a recorder and returns what it failed with; it fails the
// test when ask passed or skipped.
func failure(t *testing.T, ask func(testing.TB) string) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ask(r)
	}()
	<-done
	if r.said == "" {
		t.Fatalf("passed without the service (addresses: %q, %q)", os.Getenv("BAILIWICK_TEST_MYSQL"), os.Getenv("BAILIWICK_TEST_REDIS"))
	}
	return r.said
}

// recorder keeps the fatal message and ends the goroutine, as a test does.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func connect(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func mustExec(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s %v: %v", statement, args, err)
	}
}

// TestOwnMySQL_frozen: a frozen server keeps its connections and answers
// nothing until it is thawed; its users cannot leave their database.
func TestOwnMySQL_frozen(t *testing.T) {
	own := accesstest.OwnMySQL(t)
	db := connect(t, own.Database(t))
	mustExec(t, db, "CREATE TABLE names (name VARCHAR(20) PRIMARY KEY)")
	if _, err := db.ExecContext(t.Context(), "SET GLOBAL max_connections = 9"); err == nil {
		t.Error("the user of one database may change the server")
	}
	own.Freeze(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(ctx, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a frozen server answers %v", err)
	}
	own.Thaw(t)
	mustExec(t, db, "SELECT 1")
}
