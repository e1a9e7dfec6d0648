package service_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// replicaList is a store of replicas in memory.
type replicaList struct {
	mu    sync.Mutex
	all   map[string]access.Replica
	err   error
	full  error // of every write
	beats chan access.Replica
}

func (l *replicaList) Beat(_ context.Context, r access.Replica) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full == nil {
		l.all[r.ID] = r
	}
	l.beats <- r
	return l.full
}

func (l *replicaList) Leave(_ context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, id)
	return nil
}

func (l *replicaList) Replicas(context.Context) ([]access.Replica, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []access.Replica
	for _, r := range l.all {
		all = append(all, r)
	}
	return all, l.err
}

func newReplicas(r *rig) (*service.Replicas, *replicaList) {
	l := &replicaList{all: map[string]access.Replica{}, beats: make(chan access.Replica, 100)}
	return service.NewReplicas(l, r.follower, service.ReplicasOptions{
		Version: "1.2.3", Every: time.Millisecond, Clock: r.clock,
		Tenants: func() map[string]service.TenantReport { return map[string]service.TenantReport{"crm": {Rules: 7}} },
		Caches:  func() []service.CacheReport { return []service.CacheReport{{Layer: "answers", Hits: 5}} },
	}), l
}

// TestReplicas_beats: a replica says how it does, again and again, and at its
// end that it has left.
func TestReplicas_beats(t *testing.T) {
	r := newRig()
	replicas, l := newReplicas(r)
	_ = r.follower.Poll(t.Context())
	r.source.broken["crm"], r.source.heads["crm"] = errors.New("odd"), 4
	_ = r.follower.Poll(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { replicas.Run(ctx, "127.0.0.1:8080"); close(done) }()
	first, second := <-l.beats, <-l.beats
	if first != second || first.Address != "127.0.0.1:8080" || first.Version != "1.2.3" || first.Tenants != 1 || first.Behind != 1 || first.Lag != 3 {
		t.Errorf("says %+v, then %+v", first, second)
	}
	cancel()
	<-done
	if all, _ := l.Replicas(t.Context()); len(all) != 0 {
		t.Errorf("left behind: %+v", all)
	}
}

// TestReplicas_full: that nothing can be written is known, and its end too.
func TestReplicas_full(t *testing.T) {
	r := newRig()
	replicas, l := newReplicas(r)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	beaten := func(full error) {
		l.mu.Lock()
		l.full = full
		l.mu.Unlock()
		for range 102 { // those that wait in the channel, and one that began before
			<-l.beats
		}
	}
	go func() { replicas.Run(ctx, ""); close(done) }()
	beaten(access.Unavailable("full"))
	if replicas.Trouble() == "" {
		t.Error("a store that is full is no trouble")
	}
	beaten(nil)
	if why := replicas.Trouble(); why != "" {
		t.Errorf("trouble is not over: %s", why)
	}
	cancel()
	<-done
}

// TestReplicas_status: who may see all tenants sees all replicas, others their
// own tenant and nothing of addresses; one that is silent for a minute is gone.
func TestReplicas_status(t *testing.T) {
	r := newRig()
	r.source.heads["shop"] = 3
	replicas, l := newReplicas(r)
	_ = r.follower.Poll(t.Context())
	for name, ago := range map[string]time.Duration{"fresh": time.Minute, "silent": time.Minute + 1} {
		l.all[name] = access.Replica{ID: name, Address: "10.0.0.1:1", Seen: r.clock().Add(-ago)}
	}
	all := access.Caller{Tenant: access.AllTenants, May: access.KeyRead}
	s, err := replicas.Status(t.Context(), all)
	if err != nil || len(s.Replicas) != 3 || len(s.Tenants) != 2 || s.Caches[0].Hits != 5 || s.Replicas[0].ID != s.Self.ID {
		t.Fatalf("got %+v, %v", s, err)
	}
	for _, x := range s.Replicas {
		if x.Gone != (x.ID == "silent") {
			t.Errorf("%s: gone %v", x.ID, x.Gone)
		}
	}
	if crm := s.Tenants[0]; crm.Rules != 7 || crm.Revision != 1 || crm.Age != 0 {
		t.Errorf("crm: %+v", crm)
	}
	s, err = replicas.Status(t.Context(), access.Caller{Tenant: "shop", May: access.KeyRead})
	if err != nil || len(s.Tenants) != 1 || s.Tenants[0].Tenant != "shop" || s.Replicas != nil || s.Caches != nil || s.Self.Tenants != 0 {
		t.Errorf("a key of one tenant: %+v, %v", s, err)
	}
	if _, err := replicas.Status(t.Context(), asker); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("a key that only asks: %v", err)
	}
	l.err = fmt.Errorf("dial 10.0.0.5: refused")
	if s, err = replicas.Status(t.Context(), all); err != nil || len(s.Tenants) != 2 || s.Trouble != "it could not be read; the log says why" {
		t.Errorf("while the store is down: %+v, %v", s, err)
	}
}
