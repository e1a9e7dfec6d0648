package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(built.folder)
	os.Exit(code)
}

// built is the program under test, made once and only when a test needs it.
var built struct {
	once         sync.Once
	folder, path string
	err          error
}

func program(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.folder, built.err = os.MkdirTemp("", "bailiwick-faults."); built.err != nil { //nolint:usetesting // for all tests
			return
		}
		built.path = filepath.Join(built.folder, "bailiwick")
		out, err := exec.Command("go", "build", "-o", built.path, "../../cmd/bailiwick").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatalf("build the program: %v", built.err)
	}
	return built.path
}

// site is one installation: a database, a Redis, a key for both, and whatever
// replicas a test starts over them.
type site struct {
	t      testing.TB
	store  store.Options
	redis  string   // host:port; no Redis when empty
	prefix string   // of this site's keys in Redis
	flags  []string // of every replica
	key    string
	tap    *tap // between the replicas and MySQL; none when nil
}

// newSite prepares a database. Its replicas look often, so that tests need not
// wait long, and none is stale because its machine is slow.
func newSite(t testing.TB, o store.Options) *site {
	t.Helper()
	s := &site{t: t, store: o, prefix: rand.Text() + ":", flags: []string{"--store-poll-interval=50ms", "--store-stale-after=1m"}}
	db := accesstest.OpenStore(t, o)
	admin := access.Caller{Name: "test", Tenant: access.AllTenants, May: access.KeyAdmin}
	var err error
	if s.key, _, err = service.NewKeys(db, service.KeysOptions{}).Create(t.Context(), admin, access.AllTenants, access.KeyAdmin, "operator-1"); err != nil {
		t.Fatal(err)
	}
	return s
}

func onMySQL(dsn string) store.Options { return store.Options{Driver: store.MySQL, DSN: dsn} }

// replica is one running server, with lines of its own to what it needs.
type replica struct {
	site        *site
	url         string
	store, data *line // to the database and to Redis; nil where there is none
	cmd         *exec.Cmd
	said        *lockedBuffer
	http        *http.Client
}

// redisSecret is what replicas share, and an attacker does not know.
const redisSecret = "a secret of thirty-two characters or more"

// start starts a replica and waits until it answers.
func (s *site) start(flags ...string) *replica {
	s.t.Helper()
	r := &replica{site: s, said: &lockedBuffer{}, http: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	dsn := s.store.DSN
	if s.store.Driver == store.MySQL {
		config, err := mysql.ParseDSN(dsn)
		if err != nil {
			s.t.Fatal(err)
		}
		r.store = newLine(s.t, config.Addr)
		config.Addr = r.store.address()
		if s.tap != nil {
			config.Addr = s.tap.to(config.Addr)
		}
		dsn = config.FormatDSN()
	}
	args := append([]string{"serve", "-o", "json", "--listen=127.0.0.1:0", "--allow-empty", "--store-driver=" + s.store.Driver}, s.flags...)
	if s.redis != "" {
		r.data = newLine(s.t, s.redis)
		args = append(args, "--cache-redis-addresses="+r.data.address(), "--cache-redis-secret="+redisSecret, "--cache-redis-prefix="+s.prefix)
	}
	r.run(append(args, flags...), "BAILIWICK_STORE_DSN="+dsn)
	return r
}

func (r *replica) run(args []string, env ...string) {
	t := r.site.t
	t.Helper()
	r.cmd = exec.Command(program(t), args...)
	r.cmd.Env = append(os.Environ(), env...)
	r.cmd.Stderr = r.said
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var ready struct {
		URL string `json:"url"`
	}
	if err != nil || json.Unmarshal(line, &ready) != nil {
		t.Fatalf("the replica did not start: %v\n%s%s", err, line, r.said)
	}
	r.url = ready.URL
}

// stop ends a replica as an orchestrator does, with more patience; a test that
// failed shows the end of its log.
func (r *replica) stop() {
	if r.cmd.ProcessState != nil {
		return
	}
	r.signal(syscall.SIGCONT)
	r.signal(syscall.SIGTERM)
	late := time.AfterFunc(patience, func() { _ = r.cmd.Process.Kill() })
	defer late.Stop()
	if err := r.cmd.Wait(); err != nil {
		r.site.t.Errorf("the replica ended with %v", err)
	}
	if r.site.t.Failed() {
		r.site.t.Logf("the replica at %s said: %s", r.url, r.said.tail())
	}
}

// kill ends it without a chance to clean up.
func (r *replica) kill() {
	r.signal(syscall.SIGKILL)
	_ = r.cmd.Wait()
}

func (r *replica) signal(s syscall.Signal) { _ = r.cmd.Process.Signal(s) }

// answer is what came back over HTTP.
type answer struct {
	status int    // 0 when there was no answer at all
	code   string // of a problem
	body   []byte
	retry  string // Retry-After
	took   time.Duration
	err    error
}

func (a answer) String() string {
	return fmt.Sprintf("%d %s %v after %s: %.300s", a.status, a.code, a.err, a.took.Round(time.Millisecond), a.body)
}

func (r *replica) do(method, path string, in any) answer {
	body, err := json.Marshal(in)
	if err != nil {
		return answer{err: err}
	}
	return r.send(method, path, "application/json", body, "")
}

// send sends a body of any kind, and an Idempotency-Key unless it is empty.
func (r *replica) send(method, path, media string, body []byte, once string) answer {
	request, err := http.NewRequestWithContext(context.Background(), method, r.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	request.Header.Set("Authorization", "Bearer "+r.site.key)
	request.Header.Set("Content-Type", media)
	if once != "" {
		request.Header.Set("Idempotency-Key", once)
	}
	began := time.Now()
	response, err := r.http.Do(request)
	if err != nil {
		return answer{err: err, took: time.Since(began)}
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, retry: response.Header.Get("Retry-After")}
	a.body, a.err = io.ReadAll(response.Body)
	a.took = time.Since(began)
	if a.status >= 400 {
		var p api.Problem
		_ = json.Unmarshal(a.body, &p)
		a.code = p.Code
	}
	return a
}

// ready asks for the readiness: 200 or 503, with the status in words.
func (r *replica) ready() (int, api.Health) {
	a := r.do(http.MethodGet, "/readyz", nil)
	var h api.Health
	_ = json.Unmarshal(a.body, &h)
	return a.status, h
}

// lockedBuffer takes what a process writes while a test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lockedBuffer) tail() string {
	s := b.String()
	return s[max(0, len(s)-4000):]
}

// patience bounds waits that only a broken program makes long.
const patience = 2 * time.Minute

// eventually waits until it holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}
