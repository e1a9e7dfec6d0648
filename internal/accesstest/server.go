package accesstest

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// Server is a MariaDB or Redis of one test's own: unlike those that all tests
// share it may be filled, frozen and made read-only. It ends with its test.
type Server struct {
	Address string // a go-sql-driver DSN without database, or host:port

	folder string
}

// OwnMySQL starts a MariaDB or MySQL with further arguments for the server.
func OwnMySQL(t testing.TB, args ...string) *Server {
	t.Helper()
	return ownServer(t, "mysql", args)
}

// OwnRedis starts a Redis with further arguments for the server.
func OwnRedis(t testing.TB, args ...string) *Server {
	t.Helper()
	return ownServer(t, "redis", args)
}

func ownServer(t testing.TB, service string, args []string) *Server {
	t.Helper()
	said := services(t, append([]string{"own", service}, args...)...)
	address, folder, two := strings.Cut(strings.TrimSpace(said), "\n")
	if !two {
		t.Fatalf("scripts/services own %s says %q", service, said)
	}
	t.Cleanup(func() { services(t, "stop", folder) })
	return &Server{Address: address, folder: folder}
}

// Freeze lets the server hang with its connections open, as if the network to
// it dropped everything.
func (s *Server) Freeze(t testing.TB) {
	t.Helper()
	services(t, "freeze", s.folder)
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw(t testing.TB) {
	t.Helper()
	services(t, "thaw", s.folder)
}

// Crash ends the server as a power cut does; its data stays.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	services(t, "crash", s.folder)
}

// Revive starts a crashed server on its old port with its old data.
func (s *Server) Revive(t testing.TB) {
	t.Helper()
	services(t, "revive", s.folder)
}

// GaleraCluster starts three MariaDB servers that form a cluster.
func GaleraCluster(t testing.TB) []*Server {
	t.Helper()
	ports := freePorts(t, 9) // each node's for its neighbours, for differences and for copies
	var all []string
	for i := range 3 {
		all = append(all, "127.0.0.1:"+ports[3*i])
	}
	var nodes []*Server
	for i, address := range all {
		args := []string{
			"--wsrep-cluster-address=gcomm://" + strings.Join(all, ","), "--wsrep-node-address=" + address,
			"--wsrep-sst-receive-address=127.0.0.1:" + ports[3*i+2],
			"--wsrep-provider-options=gmcast.listen_addr=tcp://" + address + ";ist.recv_addr=127.0.0.1:" + ports[3*i+1] +
				";evs.keepalive_period=PT0.2S;evs.suspect_timeout=PT1S;evs.inactive_timeout=PT3S;gcache.size=16M",
		}
		if i == 0 {
			args = append(args, "--wsrep-new-cluster")
		}
		nodes = append(nodes, ownServer(t, "galera", args))
	}
	return nodes
}

// freePorts finds ports that were free a moment ago.
func freePorts(t testing.TB, many int) []string {
	t.Helper()
	var ports []string
	for range many {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

// Database creates a database on a MySQL server, with a user who may do
// everything in it and nothing beside it, and returns the user's DSN.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	config, err := mysql.ParseDSN(s.Address)
	if err != nil {
		t.Fatalf("%q is not a MySQL DSN: %v", s.Address, err)
	}
	root := open(t, config)
	defer root.Close()
	config.DBName = "bw_" + strings.ToLower(rand.Text())
	config.User, config.Passwd = config.DBName, rand.Text()
	for _, statement := range []string{
		fmt.Sprintf("CREATE DATABASE `%s` CHARACTER SET utf8mb4 COLLATE `%s`", config.DBName, binaryCollation(t, root)),
		fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", config.User, config.Passwd),
		fmt.Sprintf("GRANT ALL ON `%s`.* TO '%s'@'%%'", config.DBName, config.User),
	} {
		execute(t, root, statement)
	}
	return config.FormatDSN()
}

// services runs scripts/services. It does not use t.Context: in a cleanup that
// is cancelled already.
func services(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(moduleRoot(t), "scripts", "services"), args...) //nolint:gosec,noctx // ours, and it bounds itself
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scripts/services %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return string(out)
}

// moduleRoot is the folder of go.mod; tests run in the folder of their package.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no go.mod above the folder of the test")
	return ""
}
