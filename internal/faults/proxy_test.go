package faults_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// TestSoakProxy: two replicas behind the proxy of conf/compose.yaml, one of which
// is killed, told to stop, or hangs. Whoever asks through the proxy gets his
// answer all the same.
func TestSoakProxy(t *testing.T) {
	soak(t)
	for name, signal := range map[string]syscall.Signal{
		"killed": syscall.SIGKILL, "told to stop": syscall.SIGTERM, "hangs": syscall.SIGSTOP,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, onMySQL(accesstest.MySQL(t)))
			s.redis = accesstest.Redis(t)
			a, b := s.start(), s.start()
			p := everybody()
			p.in[3] = false
			through := proxied(t, a, b)
			revision := through.mustWrite(p)
			a.agreesAt(p, revision)
			b.agreesAt(p, revision)
			asked := &asking{t: t, through: through, p: p}
			asked.begin()
			eventually(t, "questions are answered by both", func() bool { return asked.answered.Load() > 500 })
			before := asked.answered.Load()
			a.signal(signal)
			eventually(t, "questions are answered by the other", func() bool { return asked.answered.Load() > before+2000 })
			time.Sleep(3 * time.Second) // until the proxy has noticed
			asked.end()
			if signal == syscall.SIGKILL {
				_ = a.cmd.Wait()
			}
			t.Logf("%d answered, %d wrong, %d not answered", asked.answered.Load(), asked.wrong.Load(), asked.failed.Load())
			if asked.wrong.Load() > 0 || asked.failed.Load() > 0 {
				t.Errorf("%d wrong, %d not answered; the last one: %v", asked.wrong.Load(), asked.failed.Load(), asked.last.Load())
			}
			p.in[3] = true
			through.mustWrite(p)
			through.agrees(p)
		})
	}
}

// askers ask through the proxy at one time.
const askers = 8

type asking struct {
	t       *testing.T
	through *replica
	p       staff

	stop                    atomic.Bool
	done                    sync.WaitGroup
	answered, wrong, failed atomic.Int64
	last                    atomic.Value
}

func (q *asking) begin() {
	for i := range askers {
		q.done.Go(func() {
			for user := i; !q.stop.Load(); user = (user + 1) % len(q.p.in) {
				d, a := q.through.check(user)
				switch {
				case a.status != 200:
					q.failed.Add(1)
					q.last.Store(a.String())
				case d.Allowed != q.p.allows(user):
					q.wrong.Add(1)
				default:
					q.answered.Add(1)
				}
			}
		})
	}
}

func (q *asking) end() {
	q.stop.Store(true)
	q.done.Wait()
}

// proxied starts HAProxy with the configuration of conf/, whose names of replicas
// lead to ours, and gives it in the shape of a replica.
func proxied(t *testing.T, a, b *replica) *replica {
	t.Helper()
	text, err := os.ReadFile("../../conf/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.Command("../../scripts/services", "program", "haproxy").Output()
	if err != nil {
		t.Fatalf("haproxy: %v", err)
	}
	address := freeAddress(t)
	host := func(r *replica) string { return strings.TrimPrefix(r.url, "http://") }
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	config := strings.NewReplacer("bind :8080", "bind "+address, "bailiwick:8080", host(a), "bailiwick-2:8080", host(b)).Replace(string(text))
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	said := &lockedBuffer{}
	cmd := exec.Command(strings.TrimSpace(string(program)), "-db", "-f", file)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the proxy said: %s", said.tail())
		}
	})
	through := &replica{site: a.site, url: "http://" + address, said: said, http: a.http}
	eventually(t, "the proxy answers", func() bool { status, _ := through.ready(); return status == 200 })
	return through
}

// freeAddress was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
