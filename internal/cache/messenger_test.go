package cache_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/cache"
)

// listener runs a messenger and notes what it is woken by.
type listener struct {
	*cache.Messenger
	mu    sync.Mutex
	woken []news
}

type news struct {
	tenant   string
	revision access.Revision
}

func listen(t *testing.T, r *cache.Redis) *listener {
	t.Helper()
	l := &listener{Messenger: cache.NewMessenger(r)}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		l.Run(ctx, func(tenant string, revision access.Revision) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.woken = append(l.woken, news{tenant, revision})
		})
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	eventually(t, "it listens", func() bool { return l.heard(news{}) })
	return l
}

func (l *listener) heard(n news) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.woken {
		if w == n {
			return true
		}
	}
	return false
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.woken)
}

// TestMessenger_tellsOthers: news reaches every other replica and not the one
// that it comes from.
func TestMessenger_tellsOthers(t *testing.T) {
	a, b, c := listen(t, openRedis(t)), listen(t, openRedis(t)), listen(t, openRedis(t))
	a.Announce("default", 7)
	for _, l := range []*listener{b, c} {
		eventually(t, "the news", func() bool { return l.heard(news{"default", 7}) })
	}
	b.Announce("default", 8) // when this has come back, so has what was said before
	eventually(t, "the answer", func() bool { return a.heard(news{"default", 8}) })
	if a.heard(news{"default", 7}) {
		t.Error("it is woken by its own news")
	}
	if s := a.Stats(); s.Sent != 1 || s.Failed != 0 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// TestMessenger_floods: any number of messages, ours or an attacker's, wake no
// more often than the pace allows.
func TestMessenger_floods(t *testing.T) {
	l, other := listen(t, openRedis(t)), listen(t, openRedis(t))
	client := redis.NewClient(&redis.Options{Addr: accesstest.Redis(t)})
	defer client.Close()
	channel := prefixOf(t) + "revisions"
	subscription := client.Subscribe(t.Context(), channel)
	defer subscription.Close()
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	other.Announce("default", 1)
	message, err := subscription.ReceiveMessage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began, before := time.Now(), l.count()
	pipe := client.Pipeline()
	for range 5000 {
		pipe.Publish(t.Context(), channel, message.Payload) // what was heard, once more
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		other.Announce("default", access.Revision(i+2))
	}
	eventually(t, "the last news", func() bool { return l.heard(news{"default", 5001}) })
	if woken, most := l.count()-before, int(time.Since(began)/(10*time.Millisecond))+2; woken > most {
		t.Errorf("woken %d times, at most %d are due", woken, most)
	}
	if s := other.Stats(); s.Sent > 2500 {
		t.Errorf("5000 revisions made %d messages", s.Sent)
	}
}

// TestMessenger_refuses: what no replica wrote wakes nobody, and is counted.
func TestMessenger_refuses(t *testing.T) {
	l, other := listen(t, openRedis(t)), listen(t, openRedis(t))
	stranger := listen(t, openRedis(t, func(o *cache.RedisOptions) { o.Secret = "another secret of thirty-two bytes" }))
	client := redis.NewClient(&redis.Options{Addr: accesstest.Redis(t)})
	defer client.Close()
	for _, text := range []string{"", "default", string(make([]byte, 32)), string(make([]byte, 200))} {
		if err := client.Publish(t.Context(), prefixOf(t)+"revisions", text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	stranger.Announce("default", 99)
	eventually(t, "all are refused", func() bool { return l.Stats().Refused == 5 })
	other.Announce("default", 3)
	eventually(t, "the news", func() bool { return l.heard(news{"default", 3}) })
	if l.heard(news{"default", 99}) {
		t.Error("a stranger's news is believed")
	}
}

// TestMessenger_comesBack: after a lost connection it listens again, and says
// that something may have been missed.
func TestMessenger_comesBack(t *testing.T) {
	wire := newLine(t, accesstest.Redis(t))
	l, other := listen(t, openRedis(t, short(wire.proxy.Listen))), listen(t, openRedis(t))
	before := l.count()
	wire.proxy.Stop()
	other.Announce("default", 5) // nobody hears it
	wire.mend()
	eventually(t, "it says that something was missed", func() bool { return l.count() > before })
	eventually(t, "it hears again", func() bool { other.Announce("default", 6); return l.heard(news{"default", 6}) })
}
