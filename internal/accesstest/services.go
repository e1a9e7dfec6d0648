// Package accesstest holds what tests of several rooms share: test services,
// a server in process, and the batteries every store and cache must pass.
//
// Test services are real: a MariaDB or MySQL and a Redis whose addresses
// scripts/services puts into the environment. A test that asks for one and does
// not find it fails. It is never skipped, because a green run that left out the
// database would be a lie.
package accesstest

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// The variables by which scripts/services hands over what it started.
const (
	mysqlVariable = "BAILIWICK_TEST_MYSQL" // a go-sql-driver DSN whose user may create databases
	redisVariable = "BAILIWICK_TEST_REDIS" // host:port
)

// serviceTimeout bounds one conversation with a test service: long enough for
// DROP DATABASE on a busy machine with two cores and a slow disk.
const serviceTimeout = 5 * time.Minute

// MySQL creates a fresh database that compares text byte by byte without
// padding (utf8mb4_nopad_bin on MariaDB, utf8mb4_0900_bin on MySQL) and returns
// its DSN. The database is dropped when the test ends.
func MySQL(t testing.TB) string {
	t.Helper()
	return MySQLWith(t, "")
}

// MySQLWith is MySQL with a default collation of the test's choice, for tests
// of what happens on a database that was created wrongly. An empty collation
// means the right one.
func MySQLWith(t testing.TB, collation string) string {
	t.Helper()
	config, err := mysql.ParseDSN(address(t, mysqlVariable))
	if err != nil {
		t.Fatalf("%s is not a MySQL DSN: %v", mysqlVariable, err)
	}
	server := open(t, config)
	if collation == "" {
		collation = binaryCollation(t, server)
	}
	config.DBName = "bw_" + strings.ToLower(rand.Text())
	execute(t, server, fmt.Sprintf("CREATE DATABASE `%s` CHARACTER SET utf8mb4 COLLATE `%s`", config.DBName, collation))
	t.Cleanup(func() {
		execute(t, server, fmt.Sprintf("DROP DATABASE IF EXISTS `%s`", config.DBName))
		if err := server.Close(); err != nil {
			t.Errorf("close the connection to the test server: %v", err)
		}
	})
	return config.FormatDSN()
}

// Redis returns the address of the test Redis, which has answered a PING. The
// server is shared by all tests of the run: each keeps to keys of its own.
func Redis(t testing.TB) string {
	t.Helper()
	addr := address(t, redisVariable)
	if err := ping(t.Context(), addr); err != nil {
		t.Fatalf("the Redis at %s=%s does not answer: %v", redisVariable, addr, err)
	}
	return addr
}

func address(t testing.TB, variable string) string {
	t.Helper()
	addr := os.Getenv(variable)
	if addr == "" {
		t.Fatalf("%s is not set, and this test needs the service: run `make test`, or `scripts/services run -- go test ./...`", variable)
	}
	return addr
}

func open(t testing.TB, config *mysql.Config) *sql.DB {
	t.Helper()
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatalf("%s: %v", mysqlVariable, err)
	}
	return sql.OpenDB(connector)
}

func binaryCollation(t testing.TB, server *sql.DB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), serviceTimeout)
	defer cancel()
	var version string
	if err := server.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		t.Fatalf("the server at %s does not answer: %v", mysqlVariable, err)
	}
	if strings.Contains(strings.ToLower(version), "mariadb") {
		return "utf8mb4_nopad_bin"
	}
	return "utf8mb4_0900_bin"
}

// execute does not use t.Context: in a cleanup that is cancelled already.
func execute(t testing.TB, server *sql.DB, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), serviceTimeout)
	defer cancel()
	if _, err := server.ExecContext(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func ping(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && answer != "+PONG\r\n" {
		err = fmt.Errorf("PING is answered with %q", answer)
	}
	return err
}
