package accesstest

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisCluster starts a Redis Cluster of three masters, each with a third of the
// keys. It goes on answering for the others when one of them is frozen.
func RedisCluster(t testing.TB) []*Server {
	t.Helper()
	var nodes []*Server
	for range 3 {
		nodes = append(nodes, ownServer(t, "node", []string{
			"--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000",
		}))
	}
	const slots = 16384
	for i, n := range nodes {
		redisDo(t, n.Address, "CLUSTER", "ADDSLOTSRANGE", slots*i/3, slots*(i+1)/3-1)
		redisDo(t, n.Address, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
	}
	for _, n := range nodes[1:] {
		host, port, _ := net.SplitHostPort(nodes[0].Address)
		redisDo(t, n.Address, "CLUSTER", "MEET", host, port)
	}
	for _, n := range nodes {
		waitFor(t, "the Cluster", func() bool {
			info, _ := redisDo(t, n.Address, "CLUSTER", "INFO").(string)
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") &&
				strings.Contains(info, "cluster_slots_ok:16384")
		})
	}
	return nodes
}

// WatchedRedis is a Redis with a replica and three Sentinels that watch over them.
type WatchedRedis struct {
	Name      string   // by which the Sentinels know it
	Sentinels []string // their addresses

	nodes []*Server
}

// RedisWithSentinels starts one. When its master is frozen another is made
// within a few seconds.
func RedisWithSentinels(t testing.TB) *WatchedRedis {
	t.Helper()
	w := &WatchedRedis{Name: "main"}
	master := ownServer(t, "node", nil)
	host, port, _ := net.SplitHostPort(master.Address)
	w.nodes = append(w.nodes, master, ownServer(t, "node", []string{"--replicaof", host + " " + port}))
	for range 3 {
		s := ownServer(t, "sentinel", nil).Address
		redisDo(t, s, "SENTINEL", "MONITOR", w.Name, host, port, 2)
		redisDo(t, s, "SENTINEL", "SET", w.Name, "down-after-milliseconds", 500)
		redisDo(t, s, "SENTINEL", "SET", w.Name, "failover-timeout", 2000)
		w.Sentinels = append(w.Sentinels, s)
	}
	for _, s := range w.Sentinels {
		waitFor(t, "the Sentinels", func() bool {
			known, _ := redisDo(t, s, "SENTINEL", "SENTINELS", w.Name).([]any)
			replicas, _ := redisDo(t, s, "SENTINEL", "REPLICAS", w.Name).([]any)
			return len(known) == 2 && len(replicas) == 1
		})
	}
	return w
}

// Master is the server that the Sentinels take for the master now.
func (w *WatchedRedis) Master(t testing.TB) *Server {
	t.Helper()
	address, _ := redisDo(t, w.Sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", w.Name).([]any)
	for _, n := range w.nodes {
		host, port, _ := net.SplitHostPort(n.Address)
		if len(address) == 2 && address[0] == host && address[1] == port {
			return n
		}
	}
	t.Fatalf("the Sentinels know the master %v, which is none of ours", address)
	return nil
}

// redisDo says one thing to one server.
func redisDo(t testing.TB, address string, args ...any) any {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), serviceTimeout)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	defer client.Close()
	answer, err := client.Do(ctx, args...).Result()
	if err != nil {
		t.Fatalf("%s: %v: %v", address, args, err)
	}
	return answer
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(serviceTimeout); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
	}
}
