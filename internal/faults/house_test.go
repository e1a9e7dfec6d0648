package faults_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// house is a replica within this process, without doors: many more rounds can
// be played with it, and its clock and its messages are in our hands.
type house struct {
	follower  *service.Follower
	policies  *service.Policies
	decisions *service.Decisions
}

func newHouse(t *testing.T, s source, clock func() time.Time, announce func(string, access.Revision)) *house {
	t.Helper()
	h := &house{}
	e := engine.New(engine.Options{Clock: clock})
	keys := service.NewKeys(s, service.KeysOptions{Clock: clock})
	h.follower = service.NewFollower(e, s, keys, service.FollowerOptions{
		PollInterval: 20 * time.Millisecond, CatchUpWithin: patience, Clock: clock, Announce: announce,
	})
	h.policies = service.NewPolicies(asTheyAre{}, e, s, h.follower, nil)
	h.decisions = service.NewDecisions(e, h.follower, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.follower.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

// source is what a house needs of a store.
type source interface {
	service.Source
	service.KeyStore
	service.PolicyStore
}

// asTheyAre passes on a policy that was never written as files.
type asTheyAre struct{}

type written struct {
	fs.FS
	policy access.Policy
}

func (asTheyAre) Write(*access.Policy) (map[string]string, error) { return nil, nil } //nolint:nilnil // nobody asks

func (asTheyAre) Read(files fs.FS) (service.Bundle, error) {
	return service.Bundle{
		Policy: files.(written).policy,
		Test:   func(context.Context) (service.TestReport, error) { return service.TestReport{}, nil },
	}, nil
}

// unreliable is a store behind a network that delays questions and answers,
// each for itself, so that they overtake each other, and loses some of both.
type unreliable struct {
	*store.Store
	most time.Duration // of a rare long delay
}

func (u unreliable) Heads(ctx context.Context) (map[string]access.Head, error) {
	return through(ctx, u, func() (map[string]access.Head, error) { return u.Store.Heads(ctx) })
}

func (u unreliable) Load(ctx context.Context, tenant string) (access.Facts, error) {
	return through(ctx, u, func() (access.Facts, error) { return u.Store.Load(ctx, tenant) })
}

func (u unreliable) Changes(ctx context.Context, tenant string, from access.Revision) (access.Delta, error) {
	return through(ctx, u, func() (access.Delta, error) { return u.Store.Changes(ctx, tenant, from) })
}

func through[T any](ctx context.Context, u unreliable, ask func() (T, error)) (T, error) {
	var none T
	if err := u.way(ctx); err != nil {
		return none, err
	}
	answer, err := ask()
	if lost := u.way(ctx); lost != nil {
		return none, lost
	}
	return answer, err
}

// way is the way of one message there or back.
func (u unreliable) way(ctx context.Context) error {
	delay := rand.N(2 * time.Millisecond)
	switch rand.IntN(50) {
	case 0:
		delay = rand.N(u.most)
	case 1, 2:
		return access.Unavailable("the network lost it")
	}
	select {
	case <-ctx.Done():
		return access.Unavailable("no answer in time")
	case <-time.After(delay):
		return nil
	}
}

// skewed is a clock that is up to five seconds wrong, each time differently.
type skewed struct{ by atomic.Int64 }

func (c *skewed) now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

func (c *skewed) jump() { c.by.Store(int64(rand.N(10*time.Second) - 5*time.Second)) }

// TestEnemy_houses (C2) plays many rounds between two replicas in this process:
// what one has revoked the other never allows, if it is told the revision.
func TestEnemy_houses(t *testing.T) {
	t.Parallel()
	enemyOfHouses(t, 200, 2000, 20*time.Millisecond)
}

// TestSoakEnemyHouses is TestEnemy_houses for long, with long delays.
func TestSoakEnemyHouses(t *testing.T) {
	soak(t)
	enemyOfHouses(t, 1000, 100_000, 500*time.Millisecond)
}

// enemies play at one time, each in a tenant of his own.
const enemies = 16

func enemyOfHouses(t *testing.T, unguarded, guarded int, most time.Duration) {
	t.Helper()
	options := onMySQL(accesstest.MySQL(t))
	var clock skewed
	var b *house
	news := func(string, access.Revision) {
		for range rand.IntN(3) { // lost, once or twice
			time.AfterFunc(rand.N(20*time.Millisecond), b.follower.Wake)
		}
	}
	b = newHouse(t, unreliable{accesstest.OpenStore(t, options), most}, clock.now, nil)
	a := newHouse(t, accesstest.OpenStore(t, options), time.Now, news)
	for _, rounds := range []struct {
		guarded bool
		many    int
	}{{false, unguarded}, {true, guarded}} {
		var wrong, late atomic.Int64
		var playing sync.WaitGroup
		for i := range enemies {
			e := &inside{t: t, tenant: fmt.Sprint("tenant-", i), a: a, b: b, wrong: &wrong, late: &late}
			playing.Go(func() {
				for range rounds.many / enemies {
					clock.jump()
					e.round(rounds.guarded)
				}
			})
		}
		playing.Wait()
		t.Logf("guarded %v: %d of %d revocations did not hold, %d questions were not answered", rounds.guarded, wrong.Load(), rounds.many, late.Load())
		switch {
		case !rounds.guarded && wrong.Load() == 0:
			t.Error("without a revision the second replica was never behind: the test shows nothing")
		case rounds.guarded && wrong.Load() > 0:
			t.Errorf("%d wrong allows", wrong.Load())
		case late.Load() > int64(rounds.many/2):
			t.Error("most questions were not answered: that shows little")
		}
	}
}

// inside is an enemy between two houses.
type inside struct {
	t           *testing.T
	tenant      string
	a, b        *house
	wrong, late *atomic.Int64
}

func (e *inside) round(guarded bool) {
	p, user := everybody(), rand.IntN(8)
	p.role, p.in[user] = rand.IntN(8) > 0, false
	admin := access.Caller{Name: "operator-1", Tenant: access.AllTenants, May: access.KeyAdmin}
	loaded, err := e.a.policies.Load(context.Background(), admin, e.tenant, written{policy: p.read(e.t)}, service.LoadOptions{CreateTenant: true})
	if err != nil {
		e.t.Errorf("write: %v", err)
		return
	}
	want := access.Consistency{}
	if guarded {
		want.AtLeast = loaded.Revision
	}
	subject, section := access.Subject{Kind: access.KindUser, ID: fmt.Sprint("user-", user)}, access.Section("Shop.Orders")
	d, err := e.b.decisions.Check(context.Background(), admin, e.tenant, &access.Request{Subject: subject, Section: section, Actions: []access.Action{"show"}}, want)
	switch {
	case err != nil:
		e.late.Add(1)
	case d.Allowed:
		e.wrong.Add(1)
	}
}
