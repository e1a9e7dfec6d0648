package cache_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/cache"
)

// line is the network between a replica and its Redis.
type line struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	none := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()) // proxies are made from it; it serves nothing
	l := &line{t: t, proxy: toxiproxy.NewProxy(none, t.Name(), "127.0.0.1:0", to)}
	l.mend()
	t.Cleanup(l.proxy.Stop)
	return l
}

func (l *line) toxic(kind, attributes string) {
	l.t.Helper()
	text := fmt.Sprintf(`{"type": %q, "stream": "downstream", "attributes": {%s}}`, kind, attributes)
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) mend() {
	l.t.Helper()
	l.proxy.Toxics.ResetToxics(context.Background())
	if l.proxy.Enabled {
		return
	}
	if err := l.proxy.Start(); err != nil {
		l.t.Fatal(err)
	}
}

// short is a replica's use of Redis over a line, with the usual patience.
func short(address string) func(*cache.RedisOptions) {
	return func(o *cache.RedisOptions) {
		o.Addresses, o.Timeout, o.Retry = []string{address}, 50*time.Millisecond, 20*time.Millisecond
	}
}

// askMany puts many random questions; each answer is that of the engine.
func askMany(t *testing.T, w *world, r *replica, n int) {
	t.Helper()
	for range n {
		w.askAnything(t, r)
	}
}

// eventually waits for what must come, on however slow a machine.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it did not come about", what)
		}
	}
}

// TestFaults: whatever happens to Redis, the answers are the same; while it does
// not answer it is left alone, and when it does again it is used again.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]struct {
		begin func(*line)
		opens bool
	}{
		"down":            {func(l *line) { l.proxy.Stop() }, true},
		"slow":            {func(l *line) { l.toxic("latency", `"latency": 200`) }, true},
		"silent":          {func(l *line) { l.toxic("timeout", `"timeout": 0`) }, true},
		"dies in answers": {func(l *line) { l.toxic("limit_data", `"bytes": 300`) }, true},
		"resets":          {func(l *line) { l.toxic("reset_peer", `"timeout": 0`) }, true},
		"in pieces":       {func(l *line) { l.toxic("slicer", `"average_size": 7, "size_variation": 3, "delay": 1`) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, l := newWorld(7), newLine(t, accesstest.Redis(t))
			r := newReplica(t, cache.Options{Redis: openRedis(t, short(l.proxy.Listen)), Mode: cache.Always})
			r.installAll(t, w)
			eventually(t, "Redis is used", func() bool { w.askAnything(t, r); return r.Stats().Redis.Hits > 0 })

			fault.begin(l)
			askMany(t, w, r, 50)
			if fault.opens {
				eventually(t, "Redis is left alone", func() bool { w.askAnything(t, r); return r.Stats().Redis.Refused > 0 })
			}
			askMany(t, w, r, 200)

			l.mend()
			before := r.Stats().Redis.Hits
			eventually(t, "Redis is used again", func() bool {
				w.askAnything(t, r)
				return r.Stats().Redis.Hits > before && r.Stats().Redis.Breaker == "closed"
			})
			if n := r.Stats().Redis.Forged; n > 0 {
				t.Errorf("%d values were taken for forged", n)
			}
		})
	}
}

// TestFaults_ofTheServer: a Redis that is emptied, full, read-only, frozen or
// wants another password changes no answer either.
func TestFaults_ofTheServer(t *testing.T) {
	own := accesstest.OwnRedis(t)
	client := redis.NewClient(&redis.Options{Addr: own.Address})
	defer client.Close()
	do := func(args ...any) {
		t.Helper()
		if err := client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	w := newWorld(8)
	r := newReplica(t, cache.Options{Redis: openRedis(t, short(own.Address)), Mode: cache.Always})
	r.installAll(t, w)
	used := func() {
		t.Helper()
		before := r.Stats().Redis
		eventually(t, "Redis is used", func() bool {
			w.askAnything(t, r)
			s := r.Stats().Redis
			return s.Hits > before.Hits && s.Written > before.Written && s.Breaker == "closed"
		})
		w.step() // so that what was written before is not asked for
		r.installAll(t, w)
	}
	writesFail := func() {
		t.Helper()
		before := r.Stats().Redis.WriteErrors
		eventually(t, "writes fail", func() bool {
			w.step()
			r.installAll(t, w)
			w.askAnything(t, r)
			return r.Stats().Redis.WriteErrors > before
		})
		askMany(t, w, r, 100)
	}
	used()
	for range 20 {
		do("FLUSHALL")
		askMany(t, w, r, 10)
	}
	used()

	do("CONFIG", "SET", "maxmemory", "1") // and nothing may be thrown out
	writesFail()
	do("CONFIG", "SET", "maxmemory", "0")
	used()

	do("REPLICAOF", "127.0.0.1", "1")
	writesFail()
	do("REPLICAOF", "NO", "ONE")
	used()

	own.Freeze(t)
	eventually(t, "Redis is left alone", func() bool { w.askAnything(t, r); return r.Stats().Redis.Refused > 0 })
	askMany(t, w, r, 100)
	own.Thaw(t)
	used()

	do("CONFIG", "SET", "requirepass", "another")
	do("AUTH", "another")
	do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	eventually(t, "Redis is left alone", func() bool { w.askAnything(t, r); return r.Stats().Redis.Refused > 0 })
	askMany(t, w, r, 100)
}

// TestWrites_areBounded: what cannot be written is dropped and counted, and
// nobody waits for it.
func TestWrites_areBounded(t *testing.T) {
	own := accesstest.OwnRedis(t)
	r := newReplica(t, cache.Options{Redis: openRedis(t, short(own.Address), func(o *cache.RedisOptions) { o.Queue = 4 }), Mode: cache.Always})
	r.install(t, policyOf(ours, 1, true))
	own.Freeze(t)
	for i := range 1000 {
		q := may("1", "S.A")
		q.Context = map[string]any{"n": i}
		r.ask(t, ours, q)
	}
	own.Thaw(t)
	s := r.Stats().Redis
	if s.Dropped < 900 || s.Waiting > 4 {
		t.Errorf("%+v", s)
	}
}

// TestGivenUp: whoever asks and goes away is no failure of Redis.
func TestGivenUp(t *testing.T) {
	own := accesstest.OwnRedis(t)
	r := newReplica(t, cache.Options{Redis: openRedis(t, func(o *cache.RedisOptions) { o.Addresses = []string{own.Address} })})
	r.install(t, policyOf(ours, 1, true))
	own.Freeze(t)
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, _ = r.Decide(ctx, ours, may("1", "S.A")) // nobody waits for it
		cancel()
	}
	own.Thaw(t)
	if s := r.Stats().Redis; s.Breaker != "closed" || s.Refused > 0 {
		t.Errorf("%+v", s)
	}
}

// TestRights: a user with the rights that docs/operations.md names is enough.
func TestRights(t *testing.T) {
	own := accesstest.OwnRedis(t)
	admin := redis.NewClient(&redis.Options{Addr: own.Address})
	defer admin.Close()
	rights := "on >secret ~bw-* &bw-* +get +set +publish +subscribe +unsubscribe +ping +hello +client|setname"
	args := []any{"ACL", "SETUSER", "replica"}
	for _, right := range strings.Fields(rights) {
		args = append(args, right)
	}
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	as := func(o *cache.RedisOptions) {
		o.Addresses, o.Username, o.Password = []string{own.Address}, "replica", "secret"
	}
	r := newReplica(t, cache.Options{Redis: openRedis(t, as)})
	r.install(t, policyOf(ours, 1, true))
	r.ask(t, ours, may("1", "S.A"))
	r.redis.Flush()
	r.ask(t, ours, may("1", "S.A"))
	if s := r.Stats().Redis; s.Written != 1 || s.Hits != 1 || s.Errors+s.WriteErrors > 0 {
		t.Errorf("%+v", s)
	}
	a, b := listen(t, openRedis(t, as)), listen(t, openRedis(t, as))
	a.Announce("default", 3)
	eventually(t, "the news", func() bool { return b.heard(news3) })
	log, err := admin.Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil || len(log) > 0 {
		t.Errorf("refused was %v, %v", log, err)
	}
}
