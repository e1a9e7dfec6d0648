package main

import "fmt"

// goal is something that the blueprint promises, held against what was
// measured: nothing here is written by hand.
type goal struct {
	what   string
	target string
	look   func(report) (measured string, met bool)
}

// The sizes that goals speak of.
const (
	million = 1_100_000
	small   = 1_100
	bigSoak = 10_000_000 // memberships
)

var goals = []goal{
	{
		"one decision in process, Casbin's RBAC shape, 1.1 million rules", "≤ 0.5 µs",
		func(r report) (string, bool) { return r.time("rbac", warmTime, 500) },
	},
	{
		"the same, against its time at 1,100 rules", "≤ 2×",
		func(r report) (string, bool) { return r.growth("rbac") },
	},
	{
		"one decision in process, our own model, 1.1 million rules, a subject's first", "≤ 10 µs",
		func(r report) (string, bool) { return r.time("own", firstTime, 10_000) },
	},
	{
		"the same, warm", "≤ 0.5 µs",
		func(r report) (string, bool) { return r.time("own", warmTime, 500) },
	},
	{
		"the same, heap allocations of a warm decision", "0",
		func(r report) (string, bool) {
			c, ok := r.cell("own", million)
			if !ok {
				return "", false
			}
			return fmt.Sprintf("%.0f", c.Ours.Allocs), c.Ours.Allocs == 0
		},
	},
	{
		"growth from 1,100 to 1.1 million rules, the worst shape, warm", "≤ 2×",
		func(r report) (string, bool) {
			var names []string
			for _, s := range shapes {
				names = append(names, s.name)
			}
			return r.growth(names...)
		},
	},
	{
		"one decision over HTTP, share of a bare gin handler, the worst size", "≥ 1.00×",
		func(r report) (string, bool) { return r.worst(httpSingle, "bare gin", 1) },
	},
	{
		"decisions in batches of 50 over HTTP, share of a bare gin handler, the worst size", "≥ 2.00×",
		func(r report) (string, bool) { return r.worst(httpBatch, "bare gin", 2) },
	},
	{
		"memory of a rule, our own model, 1.1 million rules", "≤ 40 B",
		func(r report) (string, bool) { return r.bytes(40, "own") },
	},
	{
		"memory of a rule, the worst shape, 1.1 million rules", "≤ 40 B",
		func(r report) (string, bool) { return r.bytes(40, "rbac", "acl", "rest", "priority", "own") },
	},
	{
		"memory of a warm subject", "≤ 150 B",
		func(r report) (string, bool) { return r.below("subjects", subjectSize, "B", 150, 0, figure.ours) },
	},
	{
		"cold start, a million rules from MariaDB to ready", "≤ 4 s",
		func(r report) (string, bool) {
			return r.below("start", coldStart+"MariaDB", "ns", 4e9, 1_000_000, figure.ours)
		},
	},
	{
		"one-rule commit in force on the writing replica, after the transaction, our own model, 1.1 million rules", "≤ 100 µs",
		func(r report) (string, bool) { return r.time("own", commitTime, 100_000) },
	},
	{
		"commit in force on another replica, 99th percentile, told by Redis", "≤ 1 s",
		func(r report) (string, bool) { return r.below("replicas", inForceRedis, "ns", 1e9, 0, figure.p99) },
	},
	{
		"commit in force on another replica, 99th percentile, polled", "≤ 1 s",
		func(r report) (string, bool) { return r.below("replicas", inForcePolled, "ns", 1e9, 0, figure.p99) },
	},
	{
		"cold subject at 10 million memberships, MariaDB, median", "≤ 0.3 ms",
		func(r report) (string, bool) {
			return r.below("subjects", coldSubject+"MariaDB", "ns", 300_000, bigSoak, figure.ours)
		},
	},
	{
		"cold subject at 10 million memberships, SQLite, median", "≤ 0.1 ms",
		func(r report) (string, bool) {
			return r.below("subjects", coldSubject+"SQLite", "ns", 100_000, bigSoak, figure.ours)
		},
	},
	{
		"plan of 1,000 lines, 10,000 users with 100,000 grants: who gains and loses what", "≤ 10 s",
		func(r report) (string, bool) { return r.below("plans", planTime, "ns", 10e9, 100_000, figure.ours) },
	},
}

func warmTime(s side) float64   { return s.Warm }
func firstTime(s side) float64  { return s.First }
func commitTime(s side) float64 { return s.Commit }

func (f figure) ours() float64 { return f.Ours }
func (f figure) p99() float64  { return f.P99 }

// time holds a time of a shape at its largest against a limit in nanoseconds.
func (r report) time(shape string, of func(side) float64, limit float64) (string, bool) {
	c, _ := r.cell(shape, million)
	v := of(c.Ours)
	return figureOf(v, "ns"), v <= limit
}

// growth gives the worst of some shapes.
func (r report) growth(names ...string) (measured string, met bool) {
	worst := 0.0
	for _, name := range names {
		few, _ := r.cell(name, small)
		many, ok := r.cell(name, million)
		if !ok || few.Ours.Warm == 0 {
			return "", false
		}
		if g := many.Ours.Warm / few.Ours.Warm; g > worst {
			worst, measured = g, times(g)+of(name, names)
		}
	}
	return measured, worst <= 2
}

// of names one of several.
func of(name string, names []string) string {
	if len(names) == 1 {
		return ""
	}
	return " (" + name + ")"
}

func (r report) bytes(limit float64, names ...string) (measured string, met bool) {
	worst := 0.0
	for _, name := range names {
		c, ok := r.cell(name, million)
		if !ok {
			return "", false
		}
		if c.Ours.Bytes > worst {
			worst, measured = c.Ours.Bytes, figureOf(c.Ours.Bytes, "B")+of(name, names)
		}
	}
	return measured, worst <= limit
}

// worst gives the lowest ratio to a reference over all sizes.
func (r report) worst(what, beside string, limit float64) (measured string, met bool) {
	lowest := 0.0
	for _, f := range r.find("http", what) {
		if f.Beside == beside && (lowest == 0 || f.ratio() < lowest) {
			lowest = f.ratio()
			measured = fmt.Sprintf("%s at %s rules", times(lowest), thousands(float64(f.Size)))
		}
	}
	return measured, lowest >= limit
}

// below holds the figure of the largest size, from a least size, against a
// limit.
func (r report) below(group, what, unit string, limit float64, least int, of func(figure) float64) (string, bool) {
	var largest figure
	for _, f := range r.find(group, what) {
		if f.Size >= least && f.Size >= largest.Size {
			largest = f
		}
	}
	return figureOf(of(largest), unit), of(largest) <= limit
}

// goalTable says of each goal whether it is met.
func (r report) goalTable() string {
	var lines [][]string
	for _, g := range goals {
		measured, met := g.look(r)
		verdict := "**no**"
		switch {
		case measured == "":
			verdict = "not measured"
		case met:
			verdict = "yes"
		}
		lines = append(lines, []string{g.what, g.target, measured, verdict})
	}
	return table([]string{"goal", ">limit", ">measured", "met"}, lines)
}
