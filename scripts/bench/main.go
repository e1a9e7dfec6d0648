// Bench measures our figures and puts beside each the reference of the same
// run on the same machine: stock Casbin with the same rules, a bare gin handler
// that binds the same body, a bare query of the same rows. It prints tables for
// people and writes a JSON file, from which the page docs/benchmarks.md and its
// chart are made.
//
//	scripts/services run -- go run ./scripts/bench -json docs/benchmarks/bench.json
//	go run ./scripts/bench -quick          every figure for a moment: does it work?
//	go run ./scripts/bench -only shapes    one group: shapes, http, start, subjects, replicas, plans, past
//	go run ./scripts/bench memberships -json docs/benchmarks/memberships.json
//	go run ./scripts/bench -only plans,past -json docs/benchmarks/changes.json
//	go run ./scripts/bench page            write docs/benchmarks.md and its chart again
//
// What needs MariaDB or Redis finds them as tests do, by the variables that
// scripts/services sets; without them it says so and leaves those figures out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plan is what a run measures, and for how long.
type plan struct {
	rules       []int // sizes of the shapes
	sizes       []int // of the stores that are asked over HTTP
	start       int   // rules of the cold start
	members     int   // memberships of the store whose subjects are asked for
	asked       int   // subjects
	remembered  int   // subjects whose memory is measured; 0: that and what does not need a large crowd is left out
	only        []string
	cell        time.Duration // of the warm decisions of one shape at one size
	stock       time.Duration // budget of one shape and size of stock Casbin; 0: without it
	span        time.Duration // of one measurement over HTTP
	rounds      int           // of each pair that is compared; the median counts
	connections int
	commits     int // seen on another replica
	grants      int // of the tenant whose past is looked at
	revisions   int // that it has
}

// whole is what `make bench` measures.
var whole = plan{
	rules: []int{1_100, 11_000, 110_000, 1_100_000}, sizes: []int{1_100, 110_000, 1_100_000}, start: 1_100_000, members: 300_000, asked: 5_000, remembered: 100_000,
	cell: time.Second, stock: 45 * time.Second, span: time.Second, rounds: 5, connections: 64, commits: 200, grants: 100_000, revisions: 1_000,
}

// quick takes every figure, none of which means anything.
var quick = plan{
	rules: []int{110, 1_100}, sizes: []int{1_100}, start: 1_100, members: 3_000, asked: 200, remembered: 2_000,
	cell: 10 * time.Millisecond, stock: 5 * time.Second, span: 20 * time.Millisecond, rounds: 1, connections: 2, commits: 3, grants: 1_000, revisions: 20,
}

// runMemberships measures what a database takes long to be filled for: users of
// a large crowd.
func runMemberships(ctx context.Context, args []string, out io.Writer) error {
	p := whole
	var file string
	f := flag.NewFlagSet("memberships", flag.ContinueOnError)
	f.StringVar(&file, "json", "", "also write the figures to this file")
	f.IntVar(&p.members, "memberships", bigSoak, "how many, three to a user")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if p.members < groupsPerUser*2 {
		return fmt.Errorf("-memberships: %d are too few", p.members)
	}
	p.only, p.remembered = []string{"subjects"}, 0
	return (&bench{plan: p, report: newReport(ctx, append([]string{"memberships"}, args...))}).run(ctx, file, out)
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

// commands besides the measuring itself. Those of the first block are its children.
var commands = map[string]func(ctx context.Context, args []string, out io.Writer) error{
	"cell":    func(_ context.Context, args []string, out io.Writer) error { return runCell(args, out) },
	"gin":     runGin,
	"adapter": runAdapter,

	"memberships": runMemberships,
	"page":        writePage,
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		if command, ok := commands[args[0]]; ok {
			return command(ctx, args[1:], out)
		}
	}
	p, file, err := planned(args)
	if err != nil {
		return err
	}
	if p == nil { // help was asked for
		return nil
	}
	return (&bench{plan: *p, report: newReport(ctx, args)}).run(ctx, file, out)
}

// planned reads the flags.
func planned(args []string) (p *plan, file string, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	brief := f.Bool("quick", false, "every figure for a moment, to see that all of it works")
	f.StringVar(&file, "json", "", "also write the figures to this file")
	only := f.String("only", "", "groups to measure, with commas: "+strings.Join(groupNames(), ", "))
	rules := f.String("rules", "", "numbers of rules of the shapes, with commas")
	limit := f.Duration("stock", -1, "most time for stock Casbin with one shape and size; 0: without it")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil, "", nil
	} else if err != nil {
		return nil, "", err
	}
	chosen := whole
	if *brief {
		chosen = quick
	}
	if *limit >= 0 {
		chosen.stock = *limit
	}
	if *rules != "" {
		if chosen.rules, err = numbers(*rules); err != nil {
			return nil, "", err
		}
	}
	if *only != "" {
		chosen.only = strings.Split(*only, ",")
	}
	for _, name := range chosen.only {
		if !slices.Contains(groupNames(), name) {
			return nil, "", fmt.Errorf("-only: there is no group %q; there are %s", name, strings.Join(groupNames(), ", "))
		}
	}
	return &chosen, file, nil
}

func numbers(list string) (all []int, err error) {
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 100 {
			return nil, fmt.Errorf("-rules: %q is not a number of rules from 100", word)
		}
		all = append(all, n)
	}
	return all, nil
}

// groups of figures, in the order in which they are taken and printed.
var groups = []struct {
	name    string
	title   string
	measure func(*bench, context.Context) error
}{
	{"shapes", "One decision in process", (*bench).cells},
	{"http", "Decisions over HTTP", (*bench).http},
	{"start", "Cold start", (*bench).startup},
	{"subjects", "Users who are asked for one by one", (*bench).subjects},
	{"replicas", "Several replicas", (*bench).replicas},
	{"plans", "Plans", (*bench).plans},
	{"past", "Questions as of an earlier revision", (*bench).past},
}

func groupNames() (names []string) {
	for _, g := range groups {
		names = append(names, g.name)
	}
	return names
}

// bench is one run.
type bench struct {
	plan
	dir    string // for the program and for databases; gone at the end
	report report
}

// run measures, prints, and writes the file if there is to be one. What was
// measured before something failed is printed, and not written.
func (b *bench) run(ctx context.Context, file string, out io.Writer) error {
	failed := b.measure(ctx)
	if err := errors.Join(failed, b.report.print(out)); err != nil || file == "" {
		return err
	}
	return b.report.write(file)
}

func (b *bench) takes(group string) bool { return b.only == nil || slices.Contains(b.only, group) }

func (b *bench) measure(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "bailiwick-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	for _, g := range groups {
		if !b.takes(g.name) {
			continue
		}
		began := time.Now()
		if err := g.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		say("%s took %s", g.name, time.Since(began).Round(time.Second))
	}
	return ctx.Err()
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
