package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/cache"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/store"
)

// benchmarked is how the server wires engine and cache.
type benchmarked struct{ *engine.Engine }

func (b benchmarked) Pin(tenant string) (cache.Snapshot, error) { return b.Engine.Pin(tenant) }

const benchUsers = 2000

// BenchmarkSubject asks about users of a tenant whose users are fetched from
// MySQL: at hand (warm, with and without the cache in front), from the store
// (sql), and answered by another replica before (redis).
func BenchmarkSubject(b *testing.B) {
	db := benchStore(b)
	facts, err := db.Load(b.Context(), access.DefaultTenant)
	if err != nil || !facts.Fetched {
		b.Fatalf("fetched %v, %v", facts.Fetched, err)
	}
	shared := openRedis(b)
	for _, c := range []struct {
		name   string
		warm   bool
		behind cache.Options
	}{
		{"warm/no cache", true, cache.Options{}},
		{"warm/auto", true, cache.Options{Redis: shared, Memory: 1 << 20}},
		{"sql", false, cache.Options{}},
		{"redis", false, cache.Options{Redis: shared}},
	} {
		b.Run(c.name, func(b *testing.B) {
			o := engine.Options{Subjects: db, CacheBytes: 1}
			if c.warm {
				o.CacheBytes = 0
			}
			e := engine.New(o)
			install(b, e, facts)
			d := cache.New(benchmarked{e}, c.behind)
			n := benchUsers / 2
			for i := range n {
				decideFor(b, d, i)
			}
			if c.behind.Redis != nil {
				shared.Flush()
			}
			i := 0
			for b.Loop() {
				decideFor(b, d, i%n)
				i++
			}
			if s := d.Stats().Redis; c.name == "redis" && s.Hits < uint64(b.N)*9/10 {
				b.Fatalf("of %d questions: %+v", b.N, s)
			}
		})
	}
}

func install(b *testing.B, e *engine.Engine, f access.Facts) {
	b.Helper()
	put, err := e.Prepare(f)
	if err != nil {
		b.Fatal(err)
	}
	put(f.Revision)
}

func decideFor(b *testing.B, d *cache.Decisions, user int) {
	b.Helper()
	q := may(fmt.Sprintf("user-%04d", user), "S.A")
	if got, err := d.Decide(b.Context(), access.DefaultTenant, q); err != nil || !got.Allowed {
		b.Fatalf("%+v: got %+v, %v", q, got, err)
	}
}

func benchStore(b *testing.B) *store.Store {
	b.Helper()
	db, err := store.Open(b.Context(), store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(b), ResidentUsers: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	p := &access.Policy{
		Tenant: access.DefaultTenant, Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{{Path: "S"}, {Path: "S.A"}}}},
		Groups: []access.Group{{Code: "sales", Grants: []access.Grant{{Section: "S.A", Rights: access.Show}}}},
	}
	for i := range benchUsers {
		p.Users = append(p.Users, access.User{ID: fmt.Sprintf("user-%04d", i), Groups: []access.Link{{To: "sales"}}})
	}
	if _, err := db.Apply(b.Context(), p, access.Change{Base: access.AnyRevision, Author: "bench", Reason: "bench"}); err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkScan asks a tenant whose model can only be answered by looking at all
// its rules: without a cache, and with the answer kept in Redis, in the process.
func BenchmarkScan(b *testing.B) {
	const model = `[request_definition]
r = sub, obj, act, age
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.age + 1 > 18 && regexMatch(r.sub, p.sub) && regexMatch(r.obj, p.obj) && r.act == p.act
`
	for _, rules := range []int{100, 1000} {
		f := access.Facts{Tenant: access.DefaultTenant, Revision: 1, Policy: 1, Epoch: b.Name() + time.Now().String(), Model: model}
		for i := range rules {
			f.Rules = append(f.Rules, access.Rule{Type: "p", Values: []string{fmt.Sprintf("^user%d$", i), "^/a/.*$", "get"}})
		}
		for _, c := range []struct {
			name   string
			behind cache.Options
		}{
			{"no cache", cache.Options{}},
			{"redis", cache.Options{Redis: openRedis(b)}},
			{"memory", cache.Options{Memory: 1 << 20}},
		} {
			b.Run(fmt.Sprintf("%d rules/%s", rules, c.name), func(b *testing.B) {
				e := engine.New(engine.Options{})
				install(b, e, f)
				d := cache.New(benchmarked{e}, c.behind)
				q := &access.Request{Raw: []any{fmt.Sprintf("user%d", rules-1), "/a/b", "get", 30.0}}
				if s, _ := e.Pin(access.DefaultTenant); s.Warm(q) {
					b.Fatal("the model is not scanned")
				}
				ask := func(ctx context.Context) {
					if got, err := d.Decide(ctx, access.DefaultTenant, q); err != nil || !got.Allowed {
						b.Fatalf("got %+v, %v", got, err)
					}
				}
				ask(b.Context())
				if c.behind.Redis != nil {
					c.behind.Redis.Flush()
				}
				for b.Loop() {
					ask(b.Context())
				}
			})
		}
	}
}

// BenchmarkRedis_together asks from many goroutines, whose reads share round trips.
func BenchmarkRedis_together(b *testing.B) {
	r := newReplica(b, cache.Options{Redis: openRedis(b)})
	r.install(b, policyOf(ours, 1, true))
	ask := func() {
		if got, err := r.Decide(b.Context(), ours, may("1", "S.A")); err != nil || !got.Allowed {
			b.Fatalf("got %+v, %v", got, err)
		}
	}
	ask()
	r.redis.Flush()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ask()
		}
	})
}
