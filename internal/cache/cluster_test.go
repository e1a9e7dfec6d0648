package cache_test

import (
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/cache"
)

// TestCluster: the same answers from a Redis Cluster of three processes, also
// while one of them hangs.
func TestCluster(t *testing.T) {
	t.Parallel() // it waits most of the time
	nodes := accesstest.RedisCluster(t)
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.Address)
	}
	cluster := func(o *cache.RedisOptions) { o.Addresses = addresses; o.Timeout = 100 * time.Millisecond }
	w := newWorld(11)
	a := newReplica(t, cache.Options{Redis: openRedis(t, cluster), Mode: cache.Always})
	b := newReplica(t, cache.Options{Redis: openRedis(t, cluster), Mode: cache.Always})
	both := func(do func(r *replica)) { do(a); do(b) }
	both(func(r *replica) { r.installAll(t, w) })
	eventually(t, "the Cluster is used", func() bool {
		both(func(r *replica) { askMany(t, w, r, 20) })
		return a.Stats().Redis.Hits > 100 && b.Stats().Redis.Hits > 100
	})
	news := listen(t, openRedis(t, cluster))
	other := listen(t, openRedis(t, cluster))
	eventually(t, "news through the Cluster", func() bool { other.Announce("default", 3); return news.heard(news3) })

	nodes[1].Freeze(t)
	both(func(r *replica) { askMany(t, w, r, 100) })
	nodes[1].Thaw(t)
	before := a.Stats().Redis.Hits
	eventually(t, "the Cluster is used again", func() bool {
		askMany(t, w, a, 10)
		return a.Stats().Redis.Hits > before+100
	})
	both(func(r *replica) {
		if n := r.Stats().Redis.Forged; n > 0 {
			t.Errorf("%d values were taken for forged", n)
		}
	})
}

var news3 = news{"default", 3}

// TestSentinel: the same answers behind Sentinels, through the loss of a master.
func TestSentinel(t *testing.T) {
	t.Parallel()
	watched := accesstest.RedisWithSentinels(t)
	sentinels := func(o *cache.RedisOptions) {
		o.Addresses, o.Master, o.Timeout = watched.Sentinels, watched.Name, 100*time.Millisecond
	}
	w := newWorld(12)
	r := newReplica(t, cache.Options{Redis: openRedis(t, sentinels), Mode: cache.Always})
	r.installAll(t, w)
	eventually(t, "the master is used", func() bool { askMany(t, w, r, 20); return r.Stats().Redis.Hits > 50 })
	listener, other := listen(t, openRedis(t, sentinels)), listen(t, openRedis(t, sentinels))

	lost := watched.Master(t)
	lost.Freeze(t)
	defer lost.Thaw(t)
	eventually(t, "another master", func() bool { w.askAnything(t, r); return watched.Master(t) != lost })
	before := r.Stats().Redis
	eventually(t, "the new master is used", func() bool {
		askMany(t, w, r, 10)
		s := r.Stats().Redis
		return s.Hits > before.Hits+50 && s.Written > before.Written
	})
	eventually(t, "news through the new master", func() bool { other.Announce("default", 3); return listener.heard(news3) })
}
