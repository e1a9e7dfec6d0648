package faults_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// TestFollow_withoutRevision (C3): with default settings and nobody naming a
// revision, what one replica revoked is in force on the others at once where
// Redis passes the news on, and soon where only the poll does. The promise is a
// second at the 99th percentile and five seconds always.
func TestFollow_withoutRevision(t *testing.T) {
	t.Parallel()
	followed(t, 25)
}

// TestSoakFollow is TestFollow_withoutRevision for long.
func TestSoakFollow(t *testing.T) {
	soak(t)
	followed(t, 2000)
}

func followed(t *testing.T, rounds int) {
	t.Helper()
	s := newSite(t, onMySQL(accesstest.MySQL(t)))
	s.redis, s.flags = accesstest.Redis(t), nil // as they come
	a, b, c := s.start(), s.start(), s.start()
	p := everybody()
	a.mustWrite(p)
	news, poll := &lags{}, &lags{}
	for _, way := range []*lags{news, poll} {
		if way == poll {
			b.data.cut()
			c.data.cut()
		}
		for range rounds {
			user := rand.IntN(len(p.in))
			p = everybody()
			a.mustWrite(p)
			p.in[user] = false
			revision := a.mustWrite(p)
			way.take(t, user, revision, b, c)
		}
	}
	t.Logf("with Redis:    %s", news)
	t.Logf("by poll alone: %s", poll)
	if !slices.IsSorted([]time.Duration{news.at(50), poll.at(50)}) {
		t.Log("news through Redis were no quicker than the poll")
	}
}

// lags are times from the answer of a write to the first answer by it elsewhere.
type lags struct{ all []time.Duration }

// take asks other replicas until they decide by a revision.
func (l *lags) take(t *testing.T, user int, revision uint64, replicas ...*replica) {
	t.Helper()
	began := time.Now()
	for _, r := range replicas {
		for {
			d, a := r.check(user)
			if a.status != http.StatusOK {
				t.Fatalf("without a revision: %s", a)
			}
			if d.Revision >= revision {
				if d.Allowed {
					t.Fatalf("revision %d allows what it revoked", d.Revision)
				}
				break
			}
			if time.Since(began) > 5*time.Second+slack {
				t.Fatalf("revision %d is not in force after %s", revision, time.Since(began))
			}
		}
		l.all = append(l.all, time.Since(began))
	}
	slices.Sort(l.all)
}

func (l *lags) at(percent int) time.Duration { return l.all[(len(l.all)-1)*percent/100] }

// String is a histogram: how many were in force within which time.
func (l *lags) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "p50 %s, p99 %s, most %s;", l.at(50).Round(time.Microsecond), l.at(99).Round(time.Microsecond), l.at(100).Round(time.Microsecond))
	for _, bound := range []time.Duration{5, 10, 25, 50, 100, 250, 500, 1000, 5000} {
		within, _ := slices.BinarySearch(l.all, bound*time.Millisecond)
		fmt.Fprintf(&b, " ≤%dms %d", bound, within)
	}
	return b.String()
}
