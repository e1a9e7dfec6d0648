package service_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// TestFollower_howItFollows: by the difference where there is one, else by a
// full load; a lower revision only in another epoch.
func TestFollower_howItFollows(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(*rig)
		want    string
	}{
		"nothing":                  {func(*rig) {}, "crm:1"},
		"one revision":             {func(r *rig) { r.source.commit() }, "crm:1 crm:1+1"},
		"several revisions":        {func(r *rig) { r.source.heads["crm"] = 9 }, "crm:1 crm:1+8"},
		"the history is gone":      {func(r *rig) { r.source.heads["crm"], r.source.cut = 9, true }, "crm:1 crm:9"},
		"the engine cannot":        {func(r *rig) { r.source.heads["crm"], r.engine.bad = 2, errors.New("odd") }, "crm:1 crm:2"},
		"another epoch, higher":    {func(r *rig) { r.source.heads["crm"], r.source.epochs["crm"] = 5, "new" }, "crm:1 crm:5"},
		"another epoch, the same":  {func(r *rig) { r.source.epochs["crm"] = "new" }, "crm:1 crm:1"},
		"another epoch, lower":     {func(r *rig) { r.source.heads["crm"], r.source.epochs["crm"] = 0, "new" }, "crm:1 crm:0"},
		"lower in the same epoch":  {func(r *rig) { r.source.heads["crm"] = 0 }, "crm:1"},
		"a tenant that is new":     {func(r *rig) { r.source.heads["shop"] = 3 }, "crm:1 shop:3"},
		"a history that is broken": {func(r *rig) { r.source.heads["crm"], r.source.broken["crm"] = 2, errors.New("odd") }, "crm:1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			_ = r.follower.Poll(t.Context())
			c.happens(r)
			_ = r.follower.Poll(t.Context())
			_ = r.follower.Poll(t.Context())
			if got := r.engine.history(); got != c.want {
				t.Errorf("put in force %s, want %s", got, c.want)
			}
		})
	}
}

// TestFollower_anotherEpochOfADifference: a difference that was read after a
// restore does not fit what was loaded before it.
func TestFollower_anotherEpochOfADifference(t *testing.T) {
	r := newRig()
	_ = r.follower.Poll(t.Context())
	d := r.source.commit()
	d.Epoch = "restored"
	if err := service.InForce(t.Context(), r.follower, "crm", d); err != nil {
		t.Fatal(err)
	}
	if got := r.engine.history(); got != "crm:1 crm:1+1" || r.source.reads != 1 {
		t.Errorf("put in force %s after %d readings; it must be read again", got, r.source.reads)
	}
}

// TestFollower_splitBrain: a store that shows less than what decides here is
// not trusted: not ready at once, and no decision when it stays so (4.6).
func TestFollower_splitBrain(t *testing.T) {
	r := newRig()
	r.source.heads["crm"] = 7
	_ = r.follower.Poll(t.Context())
	r.source.heads["crm"] = 6
	if err := r.follower.Poll(t.Context()); !errors.Is(err, access.ErrUnavailable) {
		t.Fatalf("followed: %v", err)
	}
	got := r.follower.Ready()
	if want := `store: the store holds revision 6 of tenant "crm", older than 7 that decides here`; got.Ready || fmt.Sprint(got.Reasons) != "["+want+"]" {
		t.Errorf("ready: %+v", got)
	}
	r.tick(11 * time.Second)
	if _, err := r.check(t); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("decides: %v", err)
	}
	r.source.heads["crm"] = 7
	if err := r.follower.Poll(t.Context()); err != nil || !r.follower.Ready().Ready {
		t.Errorf("it does not recover: %v", err)
	}
}

// TestFollower_slowLoad: while tenants load, others are followed and everything
// stays fresh; one load for a tenant, and no more at once than there may be.
func TestFollower_slowLoad(t *testing.T) {
	r := newRig(func(o *service.FollowerOptions) { o.Loads = 2 })
	_ = r.follower.Poll(t.Context())
	release, entered := make(chan struct{}), make(chan string, 100)
	var inside, most atomic.Int64
	r.source.loading = func(tenant string) {
		most.Store(max(most.Load(), inside.Add(1)))
		entered <- tenant
		<-release
		inside.Add(-1)
	}
	r.source.set(func() {
		for i := range 5 {
			r.source.heads[fmt.Sprintf("slow-%d", i)] = 1
		}
	})
	for range 3 { // each poll ends although the loads do not
		if err := service.Look(t.Context(), r.follower); err != nil {
			t.Fatal(err)
		}
	}
	<-entered
	<-entered
	r.tick(9 * time.Second)
	r.source.commit()
	if err := service.Look(t.Context(), r.follower); err != nil {
		t.Fatal(err)
	}
	if err := r.follower.CatchUp(t.Context(), "crm", 2); err != nil {
		t.Fatal(err)
	}
	r.tick(9 * time.Second)
	if d, err := r.check(t); err != nil || d.Revision != 2 {
		t.Errorf("crm: %+v, %v", d, err)
	}
	close(release)
	if err := r.follower.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if most.Load() != 2 || r.source.loads != 6 {
		t.Errorf("%d loads at once and %d in all", most.Load(), r.source.loads)
	}
}

// TestFollower_ownDifference: what was committed here is put in force without
// asking the store; where another revision came between, by what is stored.
func TestFollower_ownDifference(t *testing.T) {
	var announced []string
	r := newRig(func(o *service.FollowerOptions) {
		o.Announce = func(tenant string, revision access.Revision) {
			announced = append(announced, fmt.Sprint(tenant, revision))
		}
	})
	_ = r.follower.Poll(t.Context())
	put := func(d access.Delta) {
		t.Helper()
		if err := service.InForce(t.Context(), r.follower, "crm", d); err != nil {
			t.Fatal(err)
		}
	}
	put(r.source.commit())
	if r.source.reads != 0 || r.source.loads != 1 {
		t.Errorf("the store was read: %d, %d", r.source.reads, r.source.loads)
	}
	third, fourth := r.source.commit(), r.source.commit()
	put(fourth)
	put(third)
	put(access.Delta{From: 4, To: 4})
	if got := r.engine.history(); got != "crm:1 crm:1+1 crm:2+2" || r.source.reads != 1 {
		t.Errorf("put in force %s with %d readings", got, r.source.reads)
	}
	if got := fmt.Sprint(announced); got != "[crm2 crm4 crm3]" {
		t.Errorf("announced %s", got)
	}
}

// TestFollower_ownDifferenceFails: a revision that is stored and cannot be put
// in force is not called a success.
func TestFollower_ownDifferenceFails(t *testing.T) {
	r := newRig()
	_ = r.follower.Poll(t.Context())
	r.engine.bad, r.source.broken["crm"] = errors.New("odd"), errors.New("odd")
	err := service.InForce(t.Context(), r.follower, "crm", r.source.commit())
	if !errors.Is(err, access.ErrUnavailable) || !strings.Contains(err.Error(), "revision 2 of tenant \"crm\" is stored, but not in force here yet") {
		t.Errorf("got %v", err)
	}
	if d, err := r.check(t); err != nil || d.Revision != 1 {
		t.Errorf("the last good revision: %+v, %v", d, err)
	}
}

// TestFollower_keysOnlyWhenSomethingChanged: a change of keys is a revision, so
// heads that stay the same mean keys that stay the same.
func TestFollower_keysOnlyWhenSomethingChanged(t *testing.T) {
	r := newRig()
	for range 3 {
		_ = r.follower.Poll(t.Context())
	}
	if r.source.keyReads != 1 {
		t.Errorf("keys were read %d times", r.source.keyReads)
	}
	r.source.commit()
	_ = r.follower.Poll(t.Context())
	_ = r.follower.Poll(t.Context())
	if r.source.keyReads != 2 {
		t.Errorf("after a revision keys were read %d times in all", r.source.keyReads)
	}
}

// TestFollower_wake: whoever wakes it does not wait for the next poll.
func TestFollower_wake(t *testing.T) {
	r := newRig(func(o *service.FollowerOptions) { o.PollInterval = time.Hour })
	_ = r.follower.Poll(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.follower.Run(ctx); close(done) }()
	r.source.commit()
	moved := service.Moved(r.follower, "crm")
	for range 100 {
		r.follower.Wake()
	}
	<-moved
	cancel()
	<-done
}

// TestFollower_age: an answer is as old as the last moment at which its tenant
// was known to be at its head.
func TestFollower_age(t *testing.T) {
	r := newRig()
	age := func(tenant string) time.Duration {
		d, ok := r.follower.Age(tenant, r.clock())
		if !ok {
			t.Fatal("no age")
		}
		return d
	}
	if _, ok := r.follower.Age("crm", r.clock()); ok {
		t.Error("an age before the first poll")
	}
	r.source.heads["shop"] = 1
	_ = r.follower.Poll(t.Context())
	r.source.broken["crm"] = errors.New("odd")
	r.source.commit()
	for range 3 {
		r.tick(time.Second)
		_ = r.follower.Poll(t.Context())
	}
	if age("crm") != 3*time.Second || age("shop") != 0 {
		t.Errorf("crm %s, shop %s", age("crm"), age("shop"))
	}
	delete(r.source.broken, "crm")
	r.tick(10 * time.Second)
	_ = r.follower.Poll(t.Context())
	if age("crm") != 0 {
		t.Errorf("caught up: %s", age("crm"))
	}
}

// TestFollower_revocationClock measures from the commit to being in force, and
// how far each tenant is behind.
func TestFollower_revocationClock(t *testing.T) {
	r := newRig()
	_ = r.follower.Poll(t.Context())
	r.tick(committed.Add(30 * time.Millisecond).Sub(r.clock()))
	r.source.commit()
	_ = r.follower.Poll(t.Context())
	r.tick(committed.Add(-time.Hour).Sub(r.clock())) // the writer's clock is ahead of ours
	if err := service.InForce(t.Context(), r.follower, "crm", r.source.commit()); err != nil {
		t.Fatal(err)
	}
	r.source.broken["crm"] = access.Problems{{Message: "rule 7 is malformed"}}
	r.source.heads["crm"] = 7
	_ = r.follower.Poll(t.Context())
	got := r.follower.Following()
	if h := got.InForce; h.Count != 2 || h.Sum != 0.03 || h.Buckets[0.025] != 1 || h.Buckets[0.05] != 2 {
		t.Errorf("measured %+v", h)
	}
	if s := got.Tenants[0]; s.Lag() != 4 || s.Revision != 3 || s.Head.Revision != 7 || !strings.HasPrefix(s.Trouble, "rule 7 is malformed") {
		t.Errorf("standing %+v", s)
	}
}

// TestCatchUp_waits (C2): a question that names a revision is answered by that
// one or a newer one, or not at all.
func TestCatchUp_waits(t *testing.T) {
	r := newRig(func(o *service.FollowerOptions) { o.PollInterval = time.Millisecond })
	_ = r.follower.Poll(t.Context())
	ask := func(tenant string, want access.Consistency) (access.Decision, error) {
		return r.decisions.Check(t.Context(), everybody, tenant, &access.Request{}, want)
	}
	r.source.commit()
	if d, err := r.check(t); err != nil || d.Revision != 1 {
		t.Fatalf("without a wish: %+v, %v", d, err)
	}
	if d, err := ask("crm", access.Consistency{AtLeast: 2}); err != nil || d.Revision != 2 {
		t.Errorf("at least 2: %+v, %v", d, err)
	}
	polls := r.source.polls
	if d, err := ask("crm", access.Consistency{AtLeast: 1}); err != nil || d.Revision != 2 || r.source.polls != polls {
		t.Errorf("what decides already: %+v, %v, %d polls", d, err, r.source.polls-polls)
	}
	r.source.commit()
	if d, err := ask("crm", access.Consistency{Fully: true}); err != nil || d.Revision != 3 {
		t.Errorf("the newest: %+v, %v", d, err)
	}
	for name, want := range map[string]access.Consistency{"at least": {AtLeast: 1}, "fully": {Fully: true}} {
		tenant := strings.ReplaceAll(name, " ", "-")
		r.source.set(func() { r.source.heads[tenant] = 1 })
		if d, err := ask(tenant, want); err != nil || d.Revision != 1 {
			t.Errorf("%s: a tenant made elsewhere: %+v, %v", name, d, err)
		}
		if _, err := ask("nowhere", want); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s: a tenant that is nowhere: %v", name, err)
		}
	}
	waited := make(chan error, 1)
	go func() {
		d, err := ask("crm", access.Consistency{AtLeast: 5})
		if d.Revision < 5 && err == nil {
			err = fmt.Errorf("revision %d answers", d.Revision)
		}
		waited <- err
	}()
	for range 2 { // it is not there yet, and comes while somebody waits
		service.Look(t.Context(), r.follower) //nolint:errcheck // it only passes time
		r.source.commit()
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// TestCatchUp_givesUp: with an error of its own, never with an older answer.
func TestCatchUp_givesUp(t *testing.T) {
	r := newRig(func(o *service.FollowerOptions) {
		o.CatchUpWithin, o.PollInterval = 20*time.Millisecond, time.Millisecond
	})
	_ = r.follower.Poll(t.Context())
	behind := func(name string, want access.Consistency) {
		t.Helper()
		_, err := r.decisions.Check(t.Context(), everybody, "crm", &access.Request{}, want)
		if !errors.Is(err, service.ErrBehind) || !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	behind("a revision that is not there", access.Consistency{AtLeast: 2})
	r.source.broken["crm"] = errors.New("odd")
	r.source.commit()
	behind("a revision that is broken", access.Consistency{AtLeast: 2})
	behind("a newest revision that is broken", access.Consistency{Fully: true})
	reads := r.source.reads
	behind("a revision that failed a moment ago", access.Consistency{Fully: true})
	if r.source.reads != reads {
		t.Error("each question has it read again")
	}
	r.source.down = errors.New("down")
	behind("the newest of a store that is down", access.Consistency{Fully: true})
	behind("a revision of a store that is down", access.Consistency{AtLeast: 2})
}

// TestRefresh_shared: any number of questions for the newest cost the store one
// reading at a time, which began after each of them.
func TestRefresh_shared(t *testing.T) {
	r := newRig()
	_ = r.follower.Poll(t.Context())
	began := r.source.polls
	hold := service.HoldLooks(r.follower) // as a reading that is under way
	const many = 100
	done := make(chan error, many)
	for range many {
		go func() { done <- r.follower.Refresh(t.Context(), "crm") }()
	}
	service.AwaitLooks(r.follower, many)
	r.source.commit() // after they asked, but before the store is read
	hold()
	for range many {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if polls := r.source.polls - began; polls != 1 {
		t.Errorf("%d readings", polls)
	}
	if d, err := r.check(t); err != nil || d.Revision != 2 {
		t.Errorf("got %+v, %v", d, err)
	}
}

var everybody = access.Caller{Name: "key:all", Tenant: access.AllTenants, May: access.KeyDecide}
