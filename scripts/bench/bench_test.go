package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

// TestMain lets the program of the tests be its own child, as the bench is.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		say("%v", err)
		os.Exit(1)
	}
}

// TestQuick takes every figure for a moment: none may be missing, in the file or
// in the tables.
func TestQuick(t *testing.T) {
	accesstest.MySQL(t) // the bench leaves out what it cannot reach, and the test must not
	accesstest.Redis(t)
	file := filepath.Join(t.TempDir(), "bench.json")
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-quick", "-json", file}, &out); err != nil {
		t.Fatal(err)
	}
	r, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	if m := r.Machine; m.CPU == "" || m.Cores == 0 || m.OS == "" || m.Go == "" || m.MySQL == "" {
		t.Errorf("the machine is not described: %+v", m)
	}
	if len(r.Shapes) != len(shapes)*len(quick.rules) {
		t.Errorf("%d cells of shapes, want %d", len(r.Shapes), len(shapes)*len(quick.rules))
	}
	for _, c := range r.Shapes {
		for name, v := range map[string]float64{
			"load": c.Ours.Load, "warm": c.Ours.Warm, "first": c.Ours.First, "bytes": c.Ours.Bytes, "commit": c.Ours.Commit,
			"stock's load": c.Stock.Load, "stock's warm": c.Stock.Warm, "stock's first": c.Stock.First,
		} {
			if v <= 0 {
				t.Errorf("%s, %d rules: %s is missing", c.Shape, c.Rules, name)
			}
		}
	}
	for _, g := range groups[1:] {
		found := 0
		for _, f := range r.Figures {
			if f.Group != g.name {
				continue
			}
			found++
			if f.Ours <= 0 || f.Beside != "" && f.Theirs <= 0 {
				t.Errorf("%s, %s: a figure is missing: %+v", g.name, f.What, f)
			}
			if !strings.Contains(out.String(), f.What) {
				t.Errorf("%s is not in the tables", f.What)
			}
		}
		if found == 0 {
			t.Errorf("there are no figures of %s", g.name)
		}
	}
}

// TestShapes: the questions are about the subjects that there are, each about
// the next, and about half are answered with yes.
func TestShapes(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			const rules = 1_100
			facts := s.facts(rules)
			ask, err := stockCasbin(facts)
			if err != nil {
				t.Fatal(err)
			}
			subjects, yes, questions := map[string]bool{}, 0, min(100, 2*s.subjects(rules))
			for i := range questions {
				r := s.ask(rules, i)
				subjects[fmt.Sprint(r.Subject, firstOf(r.Raw))] = true
				allowed, err := ask(r)
				if err != nil {
					t.Fatal(err)
				}
				if allowed {
					yes++
				}
			}
			if want := min(questions, s.subjects(rules)); len(subjects) != want {
				t.Errorf("%d questions are about %d subjects, want %d", questions, len(subjects), want)
			}
			if yes*4 < questions || yes*4 > 3*questions {
				t.Errorf("of %d questions %d are allowed", questions, yes)
			}
		})
	}
}

func firstOf(raw []any) any {
	if len(raw) == 0 {
		return nil
	}
	return raw[0]
}

func TestShapes_ownSubjects(t *testing.T) {
	own := shapes[len(shapes)-1]
	for _, rules := range []int{1_100, 11_000, 110_000} {
		if got, want := own.subjects(rules), len(oracle.Sample(rules).Users); got != want {
			t.Errorf("%d rules: %d subjects, want %d", rules, got, want)
		}
	}
}

// TestSameAnswers: figures of two that do not answer alike are none.
func TestSameAnswers(t *testing.T) {
	c := cell{Ours: side{Answers: "+-+-"}, Stock: side{Answers: "+-"}}
	if err := sameAnswers(c); err != nil {
		t.Error(err)
	}
	c.Stock.Answers = "++"
	if err := sameAnswers(c); err == nil {
		t.Error("another answer of stock Casbin was not noticed")
	}
}

// TestStockCell: stock Casbin is not asked where it cannot answer in time, and
// what is known by then is kept.
func TestStockCell(t *testing.T) {
	b := &bench{plan: quick}
	slow := cell{Shape: "acl", Rules: 110, Stock: side{First: float64(quick.stock) / 2}}
	c := cell{Shape: "acl", Rules: 1_100}
	if err := b.stockCell(t.Context(), &c, slow); err != nil || c.Stock != (side{}) || !strings.HasPrefix(c.Note, "not run") {
		t.Errorf("got %+v, %v; want it not run", c, err)
	}
	b.stock = 1
	c = cell{Shape: "acl", Rules: 1_100}
	if err := b.stockCell(t.Context(), &c, cell{}); err != nil || c.Stock.Warm != 0 || !strings.HasPrefix(c.Note, "given up") {
		t.Errorf("got %+v, %v; want it given up", c, err)
	}
}

// TestRatio: above 1 always means that ours is better.
func TestRatio(t *testing.T) {
	for _, f := range []figure{{Unit: "ns", Ours: 10, Theirs: 30}, {Unit: "/s", Ours: 30, Theirs: 10}, {Unit: "B", Ours: 10, Theirs: 30}} {
		f.Beside = "other"
		if r := f.ratio(); r != 3 {
			t.Errorf("%+v: %v times as good, want 3", f, r)
		}
	}
}

func TestQuantile(t *testing.T) {
	all := []float64{5, 1, 4, 2, 3}
	if m := median(all); m != 3 {
		t.Errorf("median %v, want 3", m)
	}
	if p := quantile(all, 0.99); p != 5 {
		t.Errorf("99th percentile %v, want 5", p)
	}
	if all[0] != 5 {
		t.Error("the values were put into another order")
	}
}

func TestPlanned(t *testing.T) {
	for args, want := range map[string]string{"-only shape": "no group", "-rules 5": "not a number of rules", "-rules x": "not a number of rules", "-nonsense": "not defined"} {
		if _, _, err := planned(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestAnswer(t *testing.T) {
	for name, c := range map[string]struct{ wire, body, err string }{
		"length":      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", ""},
		"chunks":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "ok", ""},
		"not 200":     {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "", "401"},
		"no length":   {"HTTP/1.1 200 OK\r\n\r\n", "", "not an answer"},
		"too long":    {"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", "", "Content-Length"},
		"cut short":   {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "", "EOF"},
		"long chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", "", "chunk"},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := answer(bufio.NewReader(strings.NewReader(c.wire)), make([]byte, 0, 64))
			if string(body) != c.body && c.err == "" {
				t.Errorf("got %q, want %q", body, c.body)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want one with %q", err, c.err)
			}
		})
	}
}

func TestThousands(t *testing.T) {
	for v, want := range map[float64]string{7: "7", 999: "999", 1000: "1,000", 110_000: "110,000", 1_234_567: "1,234,567"} {
		if got := thousands(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

// TestPage holds the page and its chart to the figures that are kept: run
// `go run ./scripts/bench page` after taking new ones.
func TestPage(t *testing.T) {
	const root = "../.."
	for path, made := range map[string]func(string) (string, error){pageFile: page, chartFile: chartOf} {
		want, err := made(root)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the figures make: go run ./scripts/bench page", path)
		}
	}
}

// TestPage_written: the command writes what the test compares.
func TestPage_written(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(benchFile)), 0o755); err != nil {
		t.Fatal(err)
	}
	r := report{Machine: machine{CPU: "a processor of this test"}, Shapes: []cell{{Shape: "acl", Rules: small, Ours: side{Warm: 100}, Note: "not run: too slow"}}}
	for _, path := range []string{benchFile, membershipsFile, changesFile} {
		if err := r.write(filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(t.Context(), []string{"page", root}, nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{pageFile: "a processor of this test", chartFile: "<title>acl, 1,100 rules, ours: 100 ns</title>"} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q: %v", path, want, err)
		}
	}
}

// TestGoals: a goal is met or not by the figures alone, and one without figures
// is neither.
func TestGoals(t *testing.T) {
	if text := (report{}).goalTable(); strings.Contains(text, "yes") || strings.Count(text, "not measured") != len(goals) {
		t.Errorf("without any figures:\n%s", text)
	}
	for _, good := range []bool{true, false} {
		text := reportOf(good).goalTable()
		if met, unmet := strings.Count(text, "| yes "), strings.Count(text, "**no**"); good && met != len(goals) || !good && unmet != len(goals) {
			t.Errorf("all figures good: %v\n%s", good, text)
		}
	}
}

// reportOf makes figures that meet all goals, or none.
func reportOf(good bool) report {
	pick := func(yes, no float64) float64 {
		if good {
			return yes
		}
		return no
	}
	var r report
	for _, s := range shapes {
		r.Shapes = append(r.Shapes,
			cell{Shape: s.name, Rules: small, Ours: side{Warm: 200}},
			cell{Shape: s.name, Rules: million, Ours: side{
				Warm: pick(400, 501), First: pick(10_000, 10_001), Allocs: pick(0, 1), Bytes: pick(40, 41), Commit: pick(100_000, 100_001),
			}})
	}
	for _, f := range []figure{
		{Group: "http", What: httpSingle, Size: small, Unit: "/s", Ours: 5, Beside: "bare gin", Theirs: 1},
		{Group: "http", What: httpSingle, Size: million, Unit: "/s", Ours: pick(100, 99), Beside: "bare gin", Theirs: 100},
		{Group: "http", What: httpSingle, Size: small, Unit: "/s", Ours: 1, Beside: "stock Casbin in gin", Theirs: 9},
		{Group: "http", What: httpBatch, Size: small, Unit: "/s", Ours: pick(200, 199), Beside: "bare gin", Theirs: 100},
		{Group: "subjects", What: subjectSize, Unit: "B", Ours: pick(150, 151)},
		{Group: "start", What: coldStart + "MariaDB", Size: 1_053_751, Unit: "ns", Ours: pick(4e9, 4e9+1)},
		{Group: "replicas", What: inForceRedis, Unit: "ns", Ours: 1, P99: pick(1e9, 1e9+1)},
		{Group: "replicas", What: inForcePolled, Unit: "ns", Ours: 1, P99: pick(1e9, 1e9+1)},
		{Group: "subjects", What: coldSubject + "MariaDB", Size: 3_000, Unit: "ns", Ours: pick(9e9, 1)},
		{Group: "subjects", What: coldSubject + "MariaDB", Size: bigSoak, Unit: "ns", Ours: pick(3e5, 3e5+1)},
		{Group: "subjects", What: coldSubject + "SQLite", Size: bigSoak, Unit: "ns", Ours: pick(1e5, 1e5+1)},
		{Group: "plans", What: planTime, Size: 100_000, Unit: "ns", Ours: pick(10e9, 10e9+1)},
	} {
		r.add(f)
	}
	return r
}

// TestChart: every figure has its point within the paper, by decades, and labels
// do not cover one another.
func TestChart(t *testing.T) {
	text := reportOf(true).chart()
	if n := strings.Count(text, "<circle"); n != 2*len(shapes) {
		t.Errorf("%d points, want %d", n, 2*len(shapes))
	}
	if low, high := yOf(100), yOf(1000); high >= low || high-low != yOf(1e6)-yOf(1e5) {
		t.Errorf("a decade is %v high here and %v there", low-high, yOf(1e5)-yOf(1e6))
	}
	for _, l := range apartFrom([]label{{y: 100}, {y: 100}, {y: 104}, {y: 300}}) {
		if l.y < 100 || l.y > 300 {
			t.Errorf("a label went to %v", l.y)
		}
	}
	spread := apartFrom([]label{{y: 100}, {y: 100}, {y: 104}})
	for i := range spread {
		for j := range i {
			if d := spread[i].y - spread[j].y; d < 14 && d > -14 {
				t.Errorf("labels at %v and %v", spread[i].y, spread[j].y)
			}
		}
	}
}

// TestSoakMemberships asks about users among ten million memberships, on MariaDB
// and on SQLite, and looks at every answer. BAILIWICK_SOAK_MEMBERSHIPS makes it
// another number, BAILIWICK_SOAK_JSON keeps the figures.
func TestSoakMemberships(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") == "" {
		t.Skip("set BAILIWICK_SOAK=1: filling the databases takes minutes")
	}
	accesstest.MySQL(t)
	args := []string{"memberships"}
	if n := os.Getenv("BAILIWICK_SOAK_MEMBERSHIPS"); n != "" {
		args = append(args, "-memberships", n)
	}
	if file := os.Getenv("BAILIWICK_SOAK_JSON"); file != "" {
		args = append(args, "-json", file)
	}
	var out bytes.Buffer
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	for _, name := range []string{coldSubject + "MariaDB", coldSubject + "SQLite"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("there is no figure of %s", name)
		}
	}
}

// BenchmarkDecide is for profiles of single shapes:
// go test ./scripts/bench -run none -bench Decide/acl -cpuprofile cpu.out.
func BenchmarkDecide(b *testing.B) {
	const rules = 110_000
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			e := engine.New(engine.Options{})
			if err := install(e, s.facts(rules)); err != nil {
				b.Fatal(err)
			}
			all := (&measuring{shape: s, rules: rules}).questions(0, asked)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := e.Decide(b.Context(), access.DefaultTenant, &all[i%asked]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
