package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// shared is a site of two replicas that keep all answers in a Redis of their own.
type shared struct {
	*site
	a, b   *replica
	own    *accesstest.Server
	client *redis.Client
	policy staff
}

func newShared(t *testing.T) *shared {
	t.Helper()
	s := &shared{site: newSite(t, onMySQL(accesstest.MySQL(t))), own: accesstest.OwnRedis(t), policy: everybody()}
	s.redis = s.own.Address
	s.client = redis.NewClient(&redis.Options{Addr: s.redis})
	t.Cleanup(func() { _ = s.client.Close() })
	s.a, s.b = s.start("--cache-redis-mode=always", "--cache-memory=0"), s.start("--cache-redis-mode=always", "--cache-memory=0")
	s.policy.in[1] = false
	s.a.mustWrite(s.policy)
	eventually(t, "the second follows", func() bool { d, _ := s.b.check(1); return !d.Allowed && d.Reason == "no_grant" })
	eventually(t, "answers are kept in Redis", func() bool {
		s.agree()
		return len(s.keys()) >= len(s.policy.in)
	})
	return s
}

// agree asks both replicas about everybody.
func (s *shared) agree() {
	s.t.Helper()
	s.a.agrees(s.policy)
	s.b.agrees(s.policy)
}

// keys are the names of all answers in Redis.
func (s *shared) keys() []string {
	s.t.Helper()
	keys, err := s.client.Keys(s.t.Context(), s.prefix+"*").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// unmoved asks, writes through one replica and asks the other again, while
// something is wrong with Redis.
func (s *shared) unmoved() {
	t := s.t
	t.Helper()
	var took []time.Duration
	for range 3 {
		s.agree()
		for user := range s.policy.in {
			_, a := s.a.check(user)
			took = append(took, a.took)
		}
		gone := int(time.Now().UnixMicro()) % len(s.policy.in)
		s.policy.in[gone] = !s.policy.in[gone]
		revision := s.a.mustWrite(s.policy)
		s.a.agrees(s.policy)
		s.b.agreesAt(s.policy, revision)
	}
	for _, r := range []*replica{s.a, s.b} {
		if status, health := r.ready(); status != http.StatusOK {
			t.Errorf("readiness: %d %+v", status, health)
		}
	}
	slices.Sort(took)
	t.Logf("checks took %s at the median, %s at most", took[len(took)/2], took[len(took)-1])
}

// TestTable_redis: whatever becomes of Redis, the answers are the same, writes
// go on and replicas are ready.
func TestTable_redis(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(s *shared) (mend func()){
		"down": func(s *shared) func() { s.a.data.cut(); s.b.data.cut(); return s.mendLines },
		"slow": func(s *shared) func() {
			s.a.data.slow(300*time.Millisecond, 200*time.Millisecond)
			s.b.data.slow(300*time.Millisecond, 200*time.Millisecond)
			return s.mendLines
		},
		"half open":           func(s *shared) func() { s.a.data.drop(); s.b.data.drop(); return s.mendLines },
		"deaf":                func(s *shared) func() { s.a.data.deaf(); s.b.data.deaf(); return s.mendLines },
		"crumbling":           func(s *shared) func() { s.a.data.crumble(); s.b.data.crumble(); return s.mendLines },
		"down for one of two": func(s *shared) func() { s.b.data.cut(); return s.mendLines },
		"frozen":              func(s *shared) func() { s.own.Freeze(s.t); return func() { s.own.Thaw(s.t) } },
		"flushed again and again": func(s *shared) func() {
			return s.meanwhile(func(ctx context.Context) { s.client.FlushAll(ctx) })
		},
		"of the wrong type": func(s *shared) func() {
			return s.meanwhile(func(ctx context.Context) {
				for _, key := range s.client.Keys(ctx, s.prefix+"*").Val() {
					s.client.Del(ctx, key)
					s.client.LPush(ctx, key, "x")
				}
			})
		},
		"full": func(s *shared) func() {
			s.client.ConfigSet(s.t.Context(), "maxmemory-policy", "noeviction")
			if err := s.client.ConfigSet(s.t.Context(), "maxmemory", "1").Err(); err != nil {
				s.t.Fatal(err)
			}
			return func() { s.client.ConfigSet(context.Background(), "maxmemory", "0") }
		},
		"read-only": func(s *shared) func() {
			if err := s.client.ReplicaOf(s.t.Context(), "127.0.0.1", "1").Err(); err != nil {
				s.t.Fatal(err)
			}
			return func() { s.client.ReplicaOf(context.Background(), "NO", "ONE") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShared(t)
			mend := wrong(s)
			s.unmoved()
			mend()
			s.unmoved()
		})
	}
}

func (s *shared) mendLines() { s.a.data.mend(); s.b.data.mend() }

// meanwhile does something to Redis again and again until it is ended.
func (s *shared) meanwhile(do func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			do(ctx)
			time.Sleep(time.Millisecond)
		}
	}()
	return func() { cancel(); <-done }
}

// TestTable_redisHostile: an attacker who can do everything in Redis but does
// not know the secret exchanges answers, brings back those of before, edits and
// invents some, and shouts on the channel. No answer changes.
func TestTable_redisHostile(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	before := s.copy()
	revoked := s.policy
	revoked.in = [8]bool{}
	s.policy = revoked
	revision := s.a.mustWrite(s.policy)
	s.b.agreesAt(s.policy, revision)
	eventually(t, "denials are kept in Redis", func() bool { s.agree(); return len(s.keys()) > len(before) })
	allows := make([]string, 0, len(before)) // values from when nearly all was allowed
	for _, value := range before {
		allows = append(allows, value)
	}
	round := 0
	end := s.meanwhile(func(ctx context.Context) {
		round++
		for i, key := range s.client.Keys(ctx, s.prefix+"*").Val() {
			value := allows[(i+round)%len(allows)]
			switch round % 4 {
			case 1:
				value = value[:len(value)-1] + string(value[len(value)-1]^1)
			case 2:
				value = s.client.Get(ctx, key).Val()
				if len(value) > 0 { // every byte in turn
					at := round % len(value)
					value = value[:at] + string([]byte{value[at] ^ 1}) + value[at+1:]
				}
			case 3:
				value = before[key] + value
			}
			s.client.Set(ctx, key, value, 0)
		}
		for key, value := range before {
			s.client.Set(ctx, key, value, 0)
		}
		for _, channel := range s.client.PubSubChannels(ctx, "*").Val() {
			s.client.Publish(ctx, channel, fmt.Sprintf("default %d", round))
			s.client.Publish(ctx, channel, allows[round%len(allows)])
		}
	})
	for range 20 {
		s.agree()
	}
	s.unmoved()
	end()
	s.unmoved()
	if round < 4 {
		t.Errorf("only %d attacks were made", round)
	}
}

// copy gives everything that is kept in Redis.
func (s *shared) copy() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, key := range s.keys() {
		if value, err := s.client.Get(s.t.Context(), key).Result(); err == nil {
			all[key] = value
		}
	}
	if len(all) == 0 {
		s.t.Fatal("nothing is kept in Redis")
	}
	return all
}
