// Bench prints one table that puts our figures beside those of others, taken in
// the same run on the same machine: one decision in process beside stock Casbin
// with the same rules, and decisions over HTTP beside a bare gin handler that
// binds the same body and answers a constant, and beside stock Casbin behind gin.
//
//	go run ./scripts/bench
//	go run ./scripts/bench -for 3s -rounds 5 -json bench.json
//	go run ./scripts/bench -rules 1100 -stock 0
//
// The rules are those of package oracle's Sample: the built-in model, 20 grants
// a role, users in three groups of four roles each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

// plan is what a run measures, and for how long.
type plan struct {
	rules       []int
	span        time.Duration // of one measurement over HTTP
	rounds      int           // of each pair that is compared; the median counts
	connections int
	stock       time.Duration // bounds each figure of stock Casbin; 0 leaves them out
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		say("%v", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var p plan
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	rules := f.String("rules", "1100,11000,110000", "numbers of rules, with commas")
	file := f.String("json", "", "also write the figures to this file")
	f.DurationVar(&p.span, "for", time.Second, "length of one measurement over HTTP")
	f.IntVar(&p.rounds, "rounds", 5, "measurements of each side of a pair, in turns; the median counts")
	f.IntVar(&p.connections, "connections", 64, "connections over HTTP")
	f.DurationVar(&p.stock, "stock", 90*time.Second, "most time for one figure of stock Casbin; 0: without it")
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.rules, err = numbers(*rules); err != nil {
		return err
	}
	r := report{Machine: thisMachine(time.Now())}
	if r.Rows, err = p.measure(ctx); err != nil {
		return err
	}
	if err := r.print(out); err != nil || *file == "" {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*file, append(text, '\n'), 0o644) //nolint:gosec // figures are no secret
}

func numbers(list string) (all []int, err error) {
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-rules: %q is not a number of rules", word)
		}
		all = append(all, n)
	}
	return all, nil
}

// measure leaves what stock Casbin takes long for to the end: a figure of it
// that is given up goes on using the processor.
func (p plan) measure(ctx context.Context) ([]row, error) {
	var rows []row
	for _, rules := range p.rules {
		say("HTTP, %s rules", thousands(float64(rules)))
		more, err := p.overHTTP(ctx, rules)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	var inside []row
	for _, rules := range p.rules {
		say("in process, %s rules", thousands(float64(rules)))
		more, err := p.inProcess(ctx, rules)
		if err != nil {
			return nil, err
		}
		inside = append(inside, more...)
	}
	return append(inside, rows...), ctx.Err()
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
