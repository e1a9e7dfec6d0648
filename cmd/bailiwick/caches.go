package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/cache"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// caches are where answers are kept, and who tells other replicas of new
// revisions. The zero value keeps nothing and tells nobody.
type caches struct {
	options   cache.Options
	subjects  int64 // bytes for what is known of users; a default when 0
	redis     *cache.Redis
	messenger *cache.Messenger
}

// openCaches opens what is configured. A Redis that does not answer is no
// reason not to start.
func openCaches(ctx context.Context, cfg config.Cache, dev bool, traces tracing, log *slog.Logger) (*caches, error) {
	c := &caches{options: cache.Options{Memory: int64(cfg.Memory)}, subjects: int64(cfg.Subjects)}
	if len(cfg.Redis.Addresses) == 0 {
		return c, nil
	}
	if cfg.Redis.Secret == "" && dev {
		cfg.Redis.Secret = rand.Text() + rand.Text()
	}
	if err := secretGiven(cfg.Redis); err != nil {
		return nil, err
	}
	o, err := redisOptions(cfg.Redis, log)
	if err != nil {
		return nil, err
	}
	o.Tracing = traces.spans()
	if c.redis, err = cache.OpenRedis(o); err != nil {
		return nil, err
	}
	c.messenger = cache.NewMessenger(c.redis)
	c.options.Redis, c.options.Mode = c.redis, cache.Mode(cfg.Redis.Mode)
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := c.redis.Ping(ctx); err != nil {
		log.Warn("redis does not answer; answers come from the store until it does", "error", err)
	}
	return c, nil
}

var errNoSecret = errors.New("cache.redis.secret is required with cache.redis.addresses: whoever can write to Redis " +
	"could make answers otherwise; make one with openssl rand -hex 32, and give it to every replica")

func secretGiven(r config.Redis) error {
	if len(r.Addresses) == 0 || r.Secret != "" {
		return nil
	}
	return &exitError{exitUsage, errNoSecret}
}

func redisOptions(r config.Redis, log *slog.Logger) (cache.RedisOptions, error) {
	secure, err := tlsConfig(r)
	return cache.RedisOptions{
		Addresses: r.Addresses, Master: r.Master, Cluster: r.Cluster, Database: r.Database,
		Username: r.Username, Password: r.Password, SentinelUsername: r.SentinelUsername, SentinelPassword: r.SentinelPassword,
		TLS: secure, Prefix: r.Prefix, Secret: r.Secret, Timeout: r.Timeout, TTL: r.TTL, Log: log,
	}, err
}

func tlsConfig(r config.Redis) (*tls.Config, error) {
	if !r.TLS {
		return nil, nil //nolint:nilnil // none is what is wanted
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.TLSName}
	if r.TLSCA != "" {
		text, err := os.ReadFile(r.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("cache.redis.tls_ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("cache.redis.tls_ca: %s holds no certificate", r.TLSCA)
		}
	}
	if r.TLSCertificate != "" {
		own, err := tls.LoadX509KeyPair(r.TLSCertificate, r.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("cache.redis.tls_certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

func (c *caches) close() error {
	if c.redis == nil {
		return nil
	}
	return c.redis.Close()
}

// announce tells other replicas of a revision, without waiting.
func (c *caches) announce(tenant string, revision access.Revision) {
	if c.messenger != nil {
		c.messenger.Announce(tenant, revision)
	}
}

// run sends and hears news of revisions until ctx ends; wake looks at the store.
func (c *caches) run(ctx context.Context, wake func()) {
	if c.messenger != nil {
		c.messenger.Run(ctx, func(string, access.Revision) { wake() })
	}
}

// pinning shows the engine to the cache.
type pinning struct{ *engine.Engine }

// Pin takes hold of the snapshot in force.
func (p pinning) Pin(tenant string) (cache.Snapshot, error) { return p.Engine.Pin(tenant) }

// series are the measures of the caches, as they stand in /metrics.
func (c *caches) series(kept *cache.Decisions) []httpapi.Series {
	s := kept.Stats()
	all := layer("memory", s.Memory.Hits, s.Memory.Misses)
	all = append(all,
		httpapi.Series{Name: "bailiwick_cache_entries", Help: "Answers kept in this process.", Value: float64(s.Memory.Entries)},
		httpapi.Series{Name: "bailiwick_cache_bytes", Help: "About what they take in memory.", Value: float64(s.Memory.Bytes)})
	if c.redis == nil {
		return all
	}
	all = append(all, layer("redis", s.Redis.Hits, s.Redis.Misses)...)
	r := c.redis.Stats()
	all = append(all,
		counter("bailiwick_cache_redis_reads_total", "Round trips to Redis for answers.", float64(r.Reads)),
		counter("bailiwick_cache_redis_read_seconds_total", "Time they took.", r.ReadSeconds),
		counter("bailiwick_cache_redis_errors_total", "Round trips that failed or took too long.", float64(r.Errors)),
		counter("bailiwick_cache_redis_refused_total", "Round trips that were not tried while Redis is left alone.", float64(r.Refused)),
		counter("bailiwick_cache_redis_forged_total", "Values in Redis that no replica wrote for their place: an alarm.", float64(r.Forged)),
		counter("bailiwick_cache_redis_written_total", "Answers written to Redis.", float64(r.Written)),
		counter("bailiwick_cache_redis_write_errors_total", "Answers that Redis did not take.", float64(r.WriteErrors)),
		counter("bailiwick_cache_redis_dropped_total", "Answers not written because too many waited or Redis was left alone.", float64(r.Dropped)),
		httpapi.Series{Name: "bailiwick_cache_redis_open", Help: "1 while Redis is left alone because it failed.", Value: truth(r.Breaker != "closed")})
	m := c.messenger.Stats()
	return append(all,
		counter("bailiwick_news_sent_total", "Revisions that other replicas were told of.", float64(m.Sent)),
		counter("bailiwick_news_failed_total", "Revisions that they could not be told of; they poll.", float64(m.Failed)),
		counter("bailiwick_news_heard_total", "Revisions that other replicas told of.", float64(m.Heard)),
		counter("bailiwick_news_refused_total", "Messages that no replica wrote.", float64(m.Refused)))
}

func layer(name string, hits, misses uint64) []httpapi.Series {
	h := counter("bailiwick_cache_hits_total", "Answers that were found in a cache.", float64(hits))
	m := counter("bailiwick_cache_misses_total", "Answers that were looked for in a cache in vain.", float64(misses))
	h.Label, h.Of, m.Label, m.Of = "layer", name, "layer", name
	return []httpapi.Series{h, m}
}

func counter(name, help string, value float64) httpapi.Series {
	return httpapi.Series{Name: name, Help: help, Counts: true, Value: value}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
