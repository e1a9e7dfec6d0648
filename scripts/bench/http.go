package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/store"
)

// batchSize is the number of questions in one batch.
const batchSize = 50

// variety is how many different questions the connections ask.
const variety = 8

// stockRules is the most with which stock Casbin behind gin is measured: its
// first answer to each subject takes a minute at ten times as many.
const stockRules = 11_000

// What is measured over HTTP.
const (
	httpSingle = "one decision"
	httpBatch  = "decisions in batches of 50"
)

// http measures the smaller stores over HTTP; the largest is measured on the
// way by startup, which has to fill it anyway.
func (b *bench) http(ctx context.Context) error {
	for _, size := range b.sizes {
		if size == b.start && b.takes("start") {
			continue
		}
		d, remove, _, err := b.filled(ctx, store.SQLite, size)
		if err != nil {
			return err
		}
		err = b.overHTTP(ctx, d, size)
		remove()
		if err != nil {
			return err
		}
	}
	return nil
}

// overHTTP compares a server with a bare gin handler, in turns: ours, theirs,
// ours, theirs. Both are processes of their own.
func (b *bench) overHTTP(ctx context.Context, d *database, size int) error {
	say("HTTP, %s rules", thousands(float64(size)))
	ours, err := b.serve(ctx, d)
	if err != nil {
		return err
	}
	defer ours.stop()
	bare, err := serveGin(ctx, 0)
	if err != nil {
		return err
	}
	defer bare.stop()

	single := load{addrs: []string{ours.addr}, requests: singles(size, d.key), mustHold: []byte(`"decision":`), connections: b.connections}
	first := figure{Group: "http", What: httpSingle, Size: size, Of: "rules", Unit: "/s", Beside: "bare gin"}
	if first.Ours, first.Theirs, err = b.pair(ctx, single, bare.addr); err != nil {
		return err
	}
	many := single
	many.requests = batches(size, d.key)
	second := figure{Group: "http", What: httpBatch, Size: size, Of: "rules", Unit: "/s", Beside: "bare gin"}
	if second.Ours, second.Theirs, err = b.pair(ctx, many, bare.addr); err != nil {
		return err
	}
	second.Ours, second.Theirs = second.Ours*batchSize, second.Theirs*batchSize
	b.report.add(first)
	b.report.add(second)
	if b.stock == 0 || size > stockRules {
		return nil
	}
	third := first
	third.Beside = "stock Casbin in gin"
	if third.Theirs, err = b.stockBehindGin(ctx, single, size); err != nil {
		return err
	}
	b.report.add(third)
	return nil
}

// pair measures ours and theirs in turns and gives the medians.
func (b *bench) pair(ctx context.Context, ours load, theirs string) (x, y float64, err error) {
	other := ours
	other.addrs = []string{theirs}
	var xs, ys []float64
	for round := range b.rounds + 1 {
		span := b.span
		if round == 0 {
			span /= 4 // both warm up first
		}
		x, err := ours.run(ctx, span)
		if err != nil {
			return 0, 0, fmt.Errorf("ours: %w", err)
		}
		y, err := other.run(ctx, span)
		if err != nil {
			return 0, 0, fmt.Errorf("theirs: %w", err)
		}
		if round > 0 {
			xs, ys = append(xs, x), append(ys, y)
		}
	}
	return median(xs), median(ys), ctx.Err()
}

func (b *bench) stockBehindGin(ctx context.Context, l load, size int) (float64, error) {
	p, err := serveGin(ctx, size)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	l.addrs = []string{p.addr}
	return l.run(ctx, 2*b.span)
}

// wire gives a question as it goes over the network, with a record.
func wire(size, n int) api.Request {
	r := shapes[len(shapes)-1].ask(size, n)
	return api.Request{
		Subject: r.Subject.String(), Action: api.Do(string(r.Actions[0])), Section: string(r.Section), Scope: string(r.Scope),
		Resource: &api.Resource{Type: "order", ID: "17", Attributes: map[string]any{"amount": 100}},
	}
}

func singles(size int, key string) [][]byte {
	var all [][]byte
	for i := range variety {
		body, _ := json.Marshal(wire(size, i)) // texts and a number
		all = append(all, request("/v1/enforce", key, body))
	}
	return all
}

func batches(size int, key string) [][]byte {
	var batch api.Batch
	for i := range batchSize {
		batch.Requests = append(batch.Requests, wire(size, i))
	}
	body, _ := json.Marshal(batch) // texts and a number
	return [][]byte{request("/v1/enforce/batch", key, body)}
}
