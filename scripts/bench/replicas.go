package main

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/store"
	"github.com/bailiwick/bailiwick/policies"
)

// What is measured of replicas.
const (
	inForceRedis  = "commit to in force on another replica, told by Redis"
	inForcePolled = "commit to in force on another replica, polled"
	twoSingle     = "two replicas, one decision"
	twoBatch      = "two replicas, decisions in batches of 50"
)

// replicas measures two servers over one MariaDB.
func (b *bench) replicas(ctx context.Context) error {
	if drivers()[0] != store.MySQL {
		return nil
	}
	d, remove, err := b.newDatabase(ctx, store.MySQL)
	if err != nil {
		return err
	}
	defer remove()
	if err := d.found(ctx, access.Facts{}); err != nil {
		return err
	}
	if settings := redisSettings(d); settings != nil {
		news, err := barePublishes(ctx, b.commits)
		if err != nil {
			return err
		}
		if err := b.inForce(ctx, d, inForceRedis, settings, figure{Beside: "bare PUBLISH to received", Theirs: median(news), TheirsP99: quantile(news, 0.99)}); err != nil {
			return fmt.Errorf("%s: %w", inForceRedis, err)
		}
	}
	if err := b.inForce(ctx, d, inForcePolled, nil, figure{Note: "the store is asked every 250 ms"}); err != nil {
		return fmt.Errorf("%s: %w", inForcePolled, err)
	}
	return b.together(ctx)
}

// two starts two replicas.
func (b *bench) two(ctx context.Context, d *database, settings []string) (both []*process, stop func(), err error) {
	stop = func() {
		for _, p := range both {
			p.stop()
		}
	}
	settings = append(settings, "BAILIWICK_SERVER_SHUTDOWN_TIMEOUT=1s")
	for range 2 {
		p, err := b.serve(ctx, d, settings...)
		if err != nil {
			stop()
			return nil, nil, err
		}
		both = append(both, p)
	}
	return both, stop, nil
}

// inForce changes a right on one replica, and measures from the answer to the
// writer until the other replica decides by it.
func (b *bench) inForce(ctx context.Context, d *database, what string, settings []string, f figure) error {
	say("%s", what)
	both, stop, err := b.two(ctx, d, settings)
	if err != nil {
		return err
	}
	defer stop()
	writer, reader := &api.Client{URL: "http://" + both[0].addr, Key: d.key}, &api.Client{URL: "http://" + both[1].addr, Key: d.key}
	var took []float64
	for turn := range b.commits + 1 {
		loaded, err := writer.LoadPolicy(ctx, access.DefaultTenant, policyWith(turn))
		if err != nil {
			return err
		}
		began := time.Now()
		if err := decides(ctx, reader, loaded.Revision, turn%2 == 0); err != nil {
			return err
		}
		if turn > 0 { // the first was more than one rule
			took = append(took, float64(time.Since(began)))
		}
	}
	f.Group, f.What, f.Unit = "replicas", what, "ns"
	f.Ours, f.P99 = median(took), quantile(took, 0.99)
	b.report.add(f)
	return nil
}

// decides asks a replica until it answers by a revision, and looks at the answer.
func decides(ctx context.Context, c *api.Client, revision uint64, want bool) error {
	ask := api.Request{Subject: "user:" + benchUser, Action: api.Do("delete"), Section: "Shop.Orders"}
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		a, err := c.Check(ctx, ask)
		if err != nil {
			return err
		}
		if a.Revision < revision {
			continue
		}
		if a.Allowed != want {
			return fmt.Errorf("revision %d answers %v, want %v", a.Revision, a.Allowed, want)
		}
		return nil
	}
	return fmt.Errorf("revision %d is not in force after 10 s", revision)
}

const benchUser = "bench"

// policyWith is the sample policy, with one user more who has a right on even
// turns.
func policyWith(turn int) api.Policy {
	files := map[string]string{}
	sample, err := policies.FS(access.DefaultTenant)
	if err == nil {
		err = fs.WalkDir(sample, ".", func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := fs.ReadFile(sample, path)
			files[path] = string(text)
			return err
		})
	}
	if err != nil {
		panic(err) // it is part of this program
	}
	files["bench.csv"] = "p, u:" + benchUser + ", *, Shop.Orders, 2, allow, -\n"
	if turn%2 == 0 {
		files["bench.csv"] += "p, u:" + benchUser + ", *, Shop.Orders, 16, allow, -\n"
	}
	files["users/bench.yaml"] = strings.Join([]string{
		"apiVersion: bailiwick/v1", "kind: Users", "users:", "  - {id: " + benchUser + "}", "",
	}, "\n")
	return api.Policy{Files: files, Reason: "bench"}
}

// togetherSize is the number of rules of the replicas that are asked together.
const togetherSize = 1_100

// together compares two replicas with one. Each may use one processor, so that
// two can do more than one at all; the client takes its share of them too.
func (b *bench) together(ctx context.Context) error {
	say("checks of two replicas beside one")
	d, remove, _, err := b.filled(ctx, store.MySQL, togetherSize)
	if err != nil {
		return err
	}
	defer remove()
	both, stop, err := b.two(ctx, d, append(redisSettings(d), "GOMAXPROCS=1"))
	if err != nil {
		return err
	}
	defer stop()
	l := load{requests: singles(togetherSize, d.key), mustHold: []byte(`"decision":`), connections: b.connections}
	f := figure{Group: "replicas", What: twoSingle, Size: togetherSize, Of: "rules", Unit: "/s", Beside: "one replica"}
	for _, step := range []struct {
		what     string
		requests [][]byte
		each     float64
	}{{twoSingle, l.requests, 1}, {twoBatch, batches(togetherSize, d.key), batchSize}} {
		l.requests, f.What = step.requests, step.what
		l.addrs = []string{both[0].addr, both[1].addr}
		if f.Ours, f.Theirs, err = b.pair(ctx, l, both[0].addr); err != nil {
			return err
		}
		f.Ours, f.Theirs = f.Ours*step.each, f.Theirs*step.each
		b.report.add(f)
	}
	return nil
}
