package cache

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The paces of news. A tenant's revisions within one of these spans are one
// piece of news: the last revision is all that counts.
const (
	wakeEvery   = 10 * time.Millisecond
	probeEvery  = 3 * time.Second // how often a silent subscription is asked whether it is alive
	retryAfter  = time.Second / 2 // between attempts to subscribe
	mostTenants = 1024            // with news that has not been passed on yet; of others nothing is said
)

// Messenger tells other replicas of new revisions, and hears of theirs. News
// only ever makes a replica look at the store a little sooner: lost, late,
// doubled or invented news changes no answer.
type Messenger struct {
	redis   *Redis
	channel string
	self    string // tells our own news from that of others

	outgoing news
	counts   MessengerStats
	mu       sync.Mutex // over counts
}

// MessengerStats counts news since the start.
type MessengerStats struct {
	Sent, Failed uint64 // pieces of news of this process
	Heard        uint64 // pieces of news of others
	Refused      uint64 // messages that no replica wrote
}

// NewMessenger makes a messenger over a Redis.
func NewMessenger(r *Redis) *Messenger {
	return &Messenger{
		redis: r, channel: r.options.Prefix + "revisions", self: rand.Text(),
		outgoing: newNews(),
	}
}

// Stats counts.
func (m *Messenger) Stats() MessengerStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts
}

func (m *Messenger) count(n *uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*n++
}

// Announce tells others that a tenant has a new revision. It does not wait: the
// news is sent by Run.
func (m *Messenger) Announce(tenant string, revision access.Revision) {
	m.outgoing.add(tenant, revision)
}

// Run sends news and listens until ctx ends. It calls wake for each tenant with
// news, with the newest revision that was named, at most every few
// milliseconds; and with no tenant when news may have been missed.
func (m *Messenger) Run(ctx context.Context, wake func(tenant string, revision access.Revision)) {
	incoming := newNews()
	var all sync.WaitGroup
	all.Go(func() { m.outgoing.passOn(ctx, func(t string, r access.Revision) { m.publish(ctx, t, r) }) })
	all.Go(func() { incoming.passOn(ctx, wake) })
	all.Go(func() { m.listen(ctx, &incoming) })
	all.Wait()
}

func (m *Messenger) publish(ctx context.Context, tenant string, revision access.Revision) {
	ctx, cancel := context.WithTimeout(ctx, 4*m.redis.options.Timeout)
	defer cancel()
	if err := m.redis.client.Publish(ctx, m.channel, m.write(tenant, revision)).Err(); err != nil {
		m.count(&m.counts.Failed) // others will see it at their next poll
		return
	}
	m.count(&m.counts.Sent)
}

// listen subscribes again and again until ctx ends.
func (m *Messenger) listen(ctx context.Context, incoming *news) {
	for ctx.Err() == nil {
		subscription := m.redis.client.Subscribe(ctx, m.channel)
		stop := context.AfterFunc(ctx, func() { _ = subscription.Close() }) // it waits for messages, not for ctx
		m.hear(ctx, subscription, incoming)
		stop()
		_ = subscription.Close() // it is given up
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}

// hear reads messages until the connection is lost, or silent although it was
// asked for a sign of life: behind a dead network nobody says that it is gone.
// Each time it has been subscribed, something may have been missed before.
func (m *Messenger) hear(ctx context.Context, s *redis.PubSub, incoming *news) {
	for asked := false; ; {
		message, err := s.ReceiveTimeout(ctx, probeEvery)
		var network net.Error
		switch {
		case err == nil:
			asked = false
		case !errors.As(err, &network) || !network.Timeout() || asked || s.Ping(ctx) != nil:
			return
		default:
			asked = true
		}
		switch message := message.(type) {
		case *redis.Subscription:
			incoming.add("", 0)
		case *redis.Message:
			m.take(message.Payload, incoming)
		}
	}
}

func (m *Messenger) take(message string, incoming *news) {
	from, tenant, revision, ok := m.read(message)
	switch {
	case !ok:
		m.count(&m.counts.Refused)
	case from != m.self:
		m.count(&m.counts.Heard)
		incoming.add(tenant, revision)
	}
}

// write makes a message: who says it, what, and a MAC over both.
func (m *Messenger) write(tenant string, revision access.Revision) []byte {
	e := encoding{}
	e.tag(encodingVersion)
	e.text(m.self)
	e.text(tenant)
	e.number(uint64(revision))
	return append(e.bytes, m.mac(e.bytes)...)
}

func (m *Messenger) read(message string) (from, tenant string, revision access.Revision, ok bool) {
	end := len(message) - sha256.Size
	if end < 0 || !hmac.Equal([]byte(message[end:]), m.mac([]byte(message[:end]))) {
		return "", "", 0, false
	}
	r := reading{rest: message[:end]}
	version := r.octet()
	from, tenant, revision = r.text(), r.text(), access.Revision(r.number())
	return from, tenant, revision, version == encodingVersion && r.end()
}

func (m *Messenger) mac(message []byte) []byte {
	h := hmac.New(sha256.New, m.redis.notes)
	_, _ = h.Write(message) // never fails
	return h.Sum(nil)
}

// news is what is to be passed on: of each tenant the newest revision.
type news struct {
	mu      *sync.Mutex
	newest  map[string]access.Revision
	arrived chan struct{}
}

func newNews() news {
	return news{mu: &sync.Mutex{}, newest: map[string]access.Revision{}, arrived: make(chan struct{}, 1)}
}

func (n *news) add(tenant string, revision access.Revision) {
	n.mu.Lock()
	if _, known := n.newest[tenant]; known || len(n.newest) < mostTenants {
		n.newest[tenant] = max(n.newest[tenant], revision)
	}
	n.mu.Unlock()
	select {
	case n.arrived <- struct{}{}:
	default: // it is known that there is something
	}
}

func (n *news) takeAll() map[string]access.Revision {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.newest
	n.newest = map[string]access.Revision{}
	return all
}

// passOn passes news on as it arrives, but not without pause: the first piece
// at once, and what comes in the pause together.
func (n *news) passOn(ctx context.Context, pass func(tenant string, revision access.Revision)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.arrived:
		}
		for tenant, revision := range n.takeAll() {
			pass(tenant, revision)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wakeEvery):
		}
	}
}
