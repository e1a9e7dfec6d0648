package faults_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestSoakGalera: three replicas over three nodes of a Galera cluster, each
// with writers and askers. Again and again a node crashes or hangs, its replica
// is led to another, and the node comes back. No acknowledged write is lost, no
// answer is wrong, and in the end all nodes hold the same unbroken history.
func TestSoakGalera(t *testing.T) {
	soak(t)
	nodes := accesstest.GaleraCluster(t)
	s := newSite(t, onMySQL(nodes[0].Database(t)))
	g := &galera{site: s, keys: map[string]bool{}, ends: make(chan struct{})}
	for _, n := range nodes {
		r := s.start()
		r.store.lead(g.address(n.Address))
		g.replicas = append(g.replicas, r)
	}
	eventually(t, "all are ready", func() bool {
		return !slices.ContainsFunc(g.replicas, func(r *replica) bool { return !r.readyNow() })
	})
	var clients sync.WaitGroup
	for i := range g.replicas {
		clients.Go(func() { g.write(i) })
		clients.Go(func() { g.makeKeys(i) })
	}
	for i := range 12 {
		lost, other := i%3, (i+1)%3
		time.Sleep(3 * time.Second)
		if i%2 == 0 {
			nodes[lost].Crash(t)
		} else {
			nodes[lost].Freeze(t)
		}
		time.Sleep(2 * time.Second)
		g.replicas[lost].store.lead(g.address(nodes[other].Address))
		time.Sleep(5 * time.Second)
		if i%2 == 0 {
			nodes[lost].Revive(t)
		} else {
			nodes[lost].Thaw(t)
		}
		g.whole(nodes)
		g.replicas[lost].store.lead(g.address(nodes[lost].Address))
	}
	close(g.ends)
	clients.Wait()
	g.compare(nodes)
	t.Logf("%d policies and %d keys were acknowledged, %d writes refused; %d answers were right, %d refused",
		g.written, len(g.keys), g.refused, g.right, g.silent)
	if g.written == 0 || len(g.keys) == 0 || g.right == 0 {
		t.Error("nothing was done")
	}
}

// galera is what the clients of a cluster know.
type galera struct {
	*site
	replicas []*replica
	ends     chan struct{}

	mu                              sync.Mutex
	keys                            map[string]bool
	written, refused, right, silent int
}

func (g *galera) address(dsn string) string {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		g.t.Fatal(err)
	}
	return config.Addr
}

// count adds to one of the counters.
func (g *galera) count(n *int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*n++
}

// over tells whether the clients are to end.
func (g *galera) over() bool {
	select {
	case <-g.ends:
		return true
	default:
		return false
	}
}

// write changes the policy of a tenant of its own through one replica and asks
// all by the revision that it was told.
func (g *galera) write(i int) {
	tenant := fmt.Sprint("tenant-", i)
	for !g.over() {
		p := everybody()
		p.in[rand.IntN(len(p.in))] = false
		p.role = rand.IntN(4) > 0
		w := p.policy()
		w.CreateTenant = true
		a := g.replicas[i].do(http.MethodPut, "/v1/tenants/"+tenant+"/policy", w)
		var loaded api.PolicyLoaded
		if a.status != http.StatusOK || json.Unmarshal(a.body, &loaded) != nil {
			g.count(&g.refused)
			time.Sleep(20 * time.Millisecond)
			continue // what may be stored now is not known; nobody asks before the next
		}
		g.count(&g.written)
		for _, r := range g.replicas {
			g.ask(r, tenant, p, loaded.Revision)
		}
	}
}

func (g *galera) ask(r *replica, tenant string, p staff, revision uint64) {
	user := rand.IntN(len(p.in))
	q := question(user)
	q.AtLeast = revision
	a := r.do(http.MethodPost, "/t/"+tenant+"/v1/enforce", q)
	var d api.Decision
	switch {
	case a.status == http.StatusServiceUnavailable || a.status == http.StatusNotFound:
		g.count(&g.silent) // a tenant may be so new that this replica has not heard of it
	case a.status != http.StatusOK || json.Unmarshal(a.body, &d) != nil:
		g.t.Errorf("%s of %s at %d: %s", q.Subject, tenant, revision, a)
	case d.Revision < revision || d.Revision == revision && d.Allowed != p.allows(user):
		g.t.Errorf("%s of %s at %d: %s", q.Subject, tenant, revision, a)
	default:
		g.count(&g.right)
	}
}

// makeKeys lets all replicas write to one and the same tenant.
func (g *galera) makeKeys(i int) {
	for !g.over() {
		a := g.replicas[i].do(http.MethodPost, "/v1/tenants/default/keys", api.NewKey{Kind: "decide", Name: fmt.Sprint("till ", i)})
		var made api.CreatedKey
		if a.status != http.StatusCreated || json.Unmarshal(a.body, &made) != nil {
			g.count(&g.refused)
			time.Sleep(20 * time.Millisecond)
			continue
		}
		g.mu.Lock()
		g.keys[made.ID] = true
		g.mu.Unlock()
	}
}

// whole waits until all nodes are members again.
func (g *galera) whole(nodes []*accesstest.Server) {
	g.t.Helper()
	for _, n := range nodes {
		db := openMySQL(g.t, n.Address)
		eventually(g.t, "three nodes", func() bool {
			var name, size, ready string
			err := db.QueryRowContext(g.t.Context(), "SHOW STATUS LIKE 'wsrep_cluster_size'").Scan(&name, &size)
			if err == nil {
				err = db.QueryRowContext(g.t.Context(), "SHOW STATUS LIKE 'wsrep_ready'").Scan(&name, &ready)
			}
			return err == nil && size == "3" && ready == "ON"
		})
		_ = db.Close()
	}
}

// compare looks into every node.
func (g *galera) compare(nodes []*accesstest.Server) {
	t := g.t
	t.Helper()
	var first string
	for _, n := range nodes {
		config, err := mysql.ParseDSN(g.store.DSN)
		if err != nil {
			t.Fatal(err)
		}
		config.Addr = g.address(n.Address)
		db, err := store.Open(t.Context(), onMySQL(config.FormatDSN()))
		if err != nil {
			t.Fatal(err)
		}
		heads, err := db.Heads(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for tenant := range heads {
			if err := db.Verify(t.Context(), tenant); err != nil {
				t.Errorf("%s: the history of %s is broken: %v", n.Address, tenant, err)
			}
		}
		keys, err := db.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, k := range keys {
			there[k.ID] = true
		}
		for id := range g.keys {
			if !there[id] {
				t.Errorf("%s: key %s was acknowledged and is not there", n.Address, id)
			}
		}
		if all := fmt.Sprint(heads); first == "" {
			first = all
		} else if all != first {
			t.Errorf("nodes differ: %s and %s", first, all)
		}
		_ = db.Close()
	}
}

// TestSoakRedisCluster: nodes of a Redis Cluster are lost in turn while what is
// revoked through one replica is asked of the other.
func TestSoakRedisCluster(t *testing.T) {
	soak(t)
	nodes := accesstest.RedisCluster(t)
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.Address)
	}
	i := 0
	lossOfRedis(t, []string{"--cache-redis-cluster=true", "--cache-redis-addresses=" + strings.Join(addresses, ",")}, func() *accesstest.Server {
		i++
		return nodes[i%len(nodes)]
	})
}

// TestSoakRedisSentinel does the same with the masters that Sentinels choose.
func TestSoakRedisSentinel(t *testing.T) {
	soak(t)
	watched := accesstest.RedisWithSentinels(t)
	flags := []string{"--cache-redis-master=" + watched.Name, "--cache-redis-addresses=" + strings.Join(watched.Sentinels, ",")}
	lossOfRedis(t, flags, func() *accesstest.Server { return watched.Master(t) })
}

func lossOfRedis(t *testing.T, flags []string, next func() *accesstest.Server) {
	t.Helper()
	s := newSite(t, onMySQL(accesstest.MySQL(t)))
	s.flags = append(append(s.flags, flags...), "--cache-redis-mode=always", "--cache-redis-secret="+redisSecret)
	e := &enemy{policy: everybody(), a: s.start(), b: s.start()}
	rounds := 0
	for range 8 {
		lost := next()
		lost.Freeze(t)
		for end := time.Now().Add(4 * time.Second); time.Now().Before(end); rounds++ {
			e.round(t, true)
		}
		lost.Thaw(t)
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); rounds++ {
			e.round(t, true)
		}
		e.a.agrees(e.policy)
	}
	if e.wrong > 0 || e.late > 0 {
		t.Errorf("of %d revocations %d did not hold, and %d were answered 503", rounds, e.wrong, e.late)
	}
	t.Logf("%d revocations held", rounds)
}
