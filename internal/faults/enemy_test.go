package faults_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// TestEnemy_replicas (C2): two replicas, each behind lines that delay, drop and
// break. Somebody loses a right through the first; whoever asks the second with
// the revision of that change is never told that he has it. Without the
// revision he is, or the test would show nothing.
func TestEnemy_replicas(t *testing.T) {
	t.Parallel()
	enemyOfReplicas(t, 120)
}

// TestSoakEnemyReplicas is TestEnemy_replicas for long.
func TestSoakEnemyReplicas(t *testing.T) {
	soak(t)
	enemyOfReplicas(t, 20_000)
}

func enemyOfReplicas(t *testing.T, guarded int) {
	t.Helper()
	s := newSite(t, onMySQL(accesstest.MySQL(t)))
	s.redis = accesstest.Redis(t)
	a, b := s.start(), s.start()
	e := &enemy{policy: everybody(), a: a, b: b}
	a.mustWrite(e.policy)
	eventually(t, "the second follows", func() bool { d, _ := b.check(0); return d.Allowed })
	b.data.cut()
	b.store.drop() // what it knows is as old as it may be
	e.round(t, false)
	if e.wrong == 0 {
		t.Error("without a revision the second replica was not behind: the test shows nothing")
	}
	b.data.mend()
	b.store.mend()
	stop := trouble(b)
	e.wrong, e.late = 0, 0
	for range guarded {
		e.round(t, true)
	}
	stop()
	if e.wrong > 0 {
		t.Errorf("%d of %d revocations did not hold", e.wrong, guarded)
	}
	if e.late == guarded {
		t.Error("no question was answered: the trouble is too much to show anything")
	}
	t.Logf("with the revision none of %d; %d were answered 503", guarded, e.late)
}

// enemy asks for what he has just lost.
type enemy struct {
	policy      staff
	a, b        *replica
	wrong, late int
}

// round takes the right from one user, by his membership or his group's role,
// gives back what the round before took, and asks at once.
func (e *enemy) round(t *testing.T, guarded bool) {
	t.Helper()
	user := rand.IntN(len(e.policy.in))
	e.policy = everybody()
	e.policy.role = rand.IntN(8) > 0
	e.policy.in[user] = false
	revision := e.a.mustWrite(e.policy)
	if !guarded {
		revision = 0
	}
	d, answer := e.b.checkAt(user, revision)
	switch {
	case answer.status == http.StatusOK && d.Allowed:
		e.wrong++
	case answer.status == http.StatusServiceUnavailable:
		e.late++
	case answer.status != http.StatusOK:
		t.Errorf("asked with revision %d: %s", revision, answer)
	}
}

// trouble breaks the lines of a replica again and again in every way.
func trouble(r *replica) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, l := range []*line{r.store, r.data} {
		running.Go(func() {
			for ctx.Err() == nil {
				l.anything()
				time.Sleep(rand.N(60 * time.Millisecond))
				l.mend()
				time.Sleep(rand.N(120 * time.Millisecond))
			}
		})
	}
	return func() { cancel(); running.Wait() }
}

// anything does one of the things that happen to networks.
func (l *line) anything() {
	switch rand.IntN(6) {
	case 0:
		l.cut()
	case 1:
		l.drop()
	case 2:
		l.deaf()
	case 3:
		l.crumble()
	default:
		l.slow(time.Duration(rand.IntN(40))*time.Millisecond, 20*time.Millisecond)
	}
}
