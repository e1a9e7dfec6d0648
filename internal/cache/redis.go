package cache

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/trace"
)

// RedisOptions say which Redis is used and how. Addresses and Secret are
// required; the rest works when zero.
type RedisOptions struct {
	// Addresses are host:port. One is a single server, several are nodes of a
	// Cluster, and with Master they are Sentinels.
	Addresses []string
	Master    string // name by which Sentinels know the master
	Cluster   bool   // the one address is that of a Cluster
	Database  int    // of a single server or behind Sentinels

	Username, Password                 string
	SentinelUsername, SentinelPassword string
	TLS                                *tls.Config // nil: none

	Prefix string // of all keys and the channel; "bailiwick:" when empty

	// Secret is known to all replicas and to nobody else: it keeps whoever can
	// write to Redis from making answers. At least MinSecret bytes.
	Secret string

	Timeout time.Duration // most that a question waits for Redis; 50 ms when 0
	TTL     time.Duration // most that an answer is kept; 10 minutes when 0
	Retry   time.Duration // how long Redis is left alone after FailuresToOpen failures; 1 s when 0
	Queue   int           // answers that wait to be written, at most; 4096 when 0

	Tracing trace.TracerProvider // where spans go; nil: nowhere
	Log     *slog.Logger
}

// MinSecret is the least length of a secret, in bytes.
const MinSecret = 32

// failuresToOpen is how many reads in a row may fail before Redis is left alone.
const failuresToOpen = 5

// The most that waits to be written, and that is written at once.
const (
	defaultQueue = 4096
	queueBytes   = 16 << 20
	writeBatch   = 128
)

// maxBody is the largest answer that is kept, in bytes.
const maxBody = 256 << 10

// Redis is what replicas share: answers, and the news of revisions. Nothing
// depends on it: without it everything is answered, and a little later.
type Redis struct {
	options RedisOptions
	client  redis.UniversalClient
	reads   *redis.AutoPipeliner // many questions in one round trip
	breaker *gobreaker.CircuitBreaker[[]string]
	keySeed []byte
	seals   *seals
	notes   []byte // secret of messages
	log     *slog.Logger

	queue   chan write
	waiting atomic.Int64 // bytes in queue and under way
	stop    context.CancelFunc
	done    sync.WaitGroup
	forged  alarm
	trouble alarm

	counts redisCounts
}

// OpenRedis makes a client. It does not wait for Redis, and fails only for what
// cannot be right; a Redis that does not answer is tried again and again.
func OpenRedis(o RedisOptions) (*Redis, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("no address of a Redis is given")
	}
	if len(o.Secret) < MinSecret {
		return nil, fmt.Errorf("the secret for answers in Redis must have at least %d bytes: make one with openssl rand -hex 32, "+
			"and give it to every replica", MinSecret)
	}
	o = o.withDefaults()
	logging.Disable() // it writes to standard error by itself; what matters is in our log
	r := &Redis{options: o, client: redis.NewUniversalClient(o.universal()), log: o.Log, queue: make(chan write, o.Queue)}
	if err := errors.Join(r.derive(o.Secret), r.trace()); err != nil {
		return nil, errors.Join(err, r.client.Close())
	}
	var err error
	r.reads, err = r.client.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{
		MaxBatchSize: 200, MaxConcurrentBatches: 4, Unordered: true, MaxQueuedCommands: defaultQueue,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pipeline of reads: %w", err), r.client.Close())
	}
	r.breaker = r.newBreaker()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.done.Go(func() { r.writing(ctx) })
	return r, nil
}

func (o RedisOptions) withDefaults() RedisOptions {
	set(&o.Prefix, "bailiwick:")
	set(&o.Timeout, 50*time.Millisecond)
	set(&o.TTL, defaultTTL)
	set(&o.Retry, time.Second)
	set(&o.Queue, defaultQueue)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// universal puts the options into words of the client. Nothing is tried twice:
// a question that waits for a second try would have been answered from the
// store, and the breaker sees each failure.
func (o RedisOptions) universal() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs: o.Addresses, MasterName: o.Master, IsClusterMode: o.Cluster, DB: o.Database,
		Username: o.Username, Password: o.Password, SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
		TLSConfig: o.TLS, ClientName: "bailiwick",
		MaxRetries: -1, DialerRetries: 1, DialTimeout: max(time.Second, o.Timeout), ReadTimeout: o.Timeout, WriteTimeout: o.Timeout,
		ContextTimeoutEnabled: true, FailingTimeoutSeconds: 1, DisableIdentity: true,
	}
}

// derive makes a key for each purpose out of the one secret.
func (r *Redis) derive(secret string) error {
	var err error
	purpose := func(name string) []byte {
		k, failed := hkdf.Key(sha256.New, []byte(secret), nil, "bailiwick cache "+name, sha256.Size)
		err = errors.Join(err, failed)
		return k
	}
	r.keySeed, r.seals, r.notes = purpose("keys"), newSeals(purpose("values")), purpose("messages")
	return err
}

// newBreaker leaves Redis alone once it has failed several times in a row, and
// then lets one read at a time see whether it is back.
func (r *Redis) newBreaker() *gobreaker.CircuitBreaker[[]string] {
	return gobreaker.NewCircuitBreaker[[]string](gobreaker.Settings{
		Timeout:     r.options.Retry,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToOpen },
		IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) }, // the asker gave up, not Redis
		OnStateChange: func(_ string, from, to gobreaker.State) {
			if to == gobreaker.StateOpen && from == gobreaker.StateClosed {
				r.log.Warn("redis does not answer in time and is left alone for a while; answers come from the store", "retry", r.options.Retry)
			}
			if to == gobreaker.StateClosed {
				r.log.Info("redis answers again")
			}
		},
	})
}

// Close writes nothing more and lets the connections go.
func (r *Redis) Close() error {
	r.stop()
	r.done.Wait()
	return errors.Join(r.reads.Close(), r.client.Close())
}

func (r *Redis) nameOf(k key) string {
	return r.options.Prefix + "d:" + base64.RawURLEncoding.EncodeToString(k[:])
}

// get reads the values in some places, in one round trip or none. What is not
// there, cannot be had in time or was not written by a replica is left out.
func (r *Redis) get(ctx context.Context, places []key) map[key]value {
	began, step := time.Now(), look(ctx, len(places))
	texts, err := r.breaker.Execute(func() ([]string, error) { return r.fetch(ctx, places) })
	r.counts.read(time.Since(began), err)
	found := make(map[key]value, len(texts))
	defer func() { looked(step, len(found), err) }()
	for i, text := range texts {
		if text == "" {
			continue
		}
		v, ok := r.seals.open(places[i], text)
		if !ok {
			r.suspect()
			continue
		}
		found[places[i]] = v
	}
	return found
}

// fetch gives what stands in some places, "" where nothing does. The reads
// belong to the pipeline from the moment they are submitted: those that are
// given up come to their end without us, and nobody looks at their result.
func (r *Redis) fetch(asker context.Context, places []key) ([]string, error) {
	ctx, cancel := context.WithTimeout(asker, r.options.Timeout)
	defer cancel()
	commands := make([]*redis.StringCmd, len(places))
	waits := make([]redis.AutoFuture, len(places))
	for i, k := range places {
		commands[i] = redis.NewStringCmd(ctx, "get", r.nameOf(k))
		waits[i] = r.reads.Submit(ctx, commands[i])
	}
	texts := make([]string, len(places))
	for i := range waits {
		err := waits[i].WaitContext(ctx)
		switch {
		case err == nil:
			texts[i] = commands[i].Val()
		case errors.Is(err, redis.Nil):
		case isWrongType(err):
			r.suspect()
		case asker.Err() != nil:
			return nil, context.Canceled
		default:
			return nil, err
		}
	}
	return texts, nil
}

// isWrongType tells whether something stands in a place that is no text, so
// that no replica can have written it.
func isWrongType(err error) bool {
	var said redis.Error
	return errors.As(err, &said) && strings.HasPrefix(said.Error(), "WRONGTYPE")
}

// suspect counts a value that no replica wrote for its place, and says so.
func (r *Redis) suspect() {
	n := r.counts.forged.Add(1)
	if r.forged.rings() {
		r.log.Error("redis holds an answer that no replica wrote for its place; it was not used. "+
			"Somebody else writes to this Redis under our prefix", "seen", n)
	}
}

// Ping asks whether Redis is there.
func (r *Redis) Ping(ctx context.Context) error { return r.client.Ping(ctx).Err() }
