package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// cells measures every shape at every size, ours and then stock Casbin. Each
// side has a process of its own, so that its heap holds nothing else and stock
// Casbin, whose questions cannot be called off, can be ended.
func (b *bench) cells(ctx context.Context) (err error) {
	for _, s := range shapes {
		var before cell
		for _, rules := range b.rules {
			say("%s, %s rules", s.name, thousands(float64(rules)))
			c := cell{Shape: s.name, Rules: rules}
			if c.Ours, err = b.apart(ctx, s.name, rules, ours, 0); err != nil {
				return fmt.Errorf("%s, %d rules, ours: %w", s.name, rules, err)
			}
			if err := b.stockCell(ctx, &c, before); err != nil {
				return fmt.Errorf("%s, %d rules, stock Casbin: %w", s.name, rules, err)
			}
			b.report.Shapes, before = append(b.report.Shapes, c), c
		}
	}
	return nil
}

// The two sides.
const (
	ours  = "ours"
	stock = "stock"
)

// givenUp begins the note of a cell that took stock Casbin too long.
const givenUp = "given up"

// stockCell leaves out what cannot be done within the budget: a decision takes
// stock Casbin at least time in proportion to the rules.
func (p plan) stockCell(ctx context.Context, c *cell, before cell) (err error) {
	if p.stock == 0 {
		c.Note = "not run: asked for without stock Casbin"
		return nil
	}
	known := time.Duration(max(before.Stock.First, before.Stock.Warm))
	if strings.HasPrefix(before.Note, "not run") || before.Rules > 0 && known/time.Duration(before.Rules)*time.Duration(c.Rules) > p.stock {
		c.Note = fmt.Sprintf("not run: at %s rules it was too slow to be asked at more", thousands(float64(before.Rules)))
		return nil
	}
	if c.Stock, err = p.apart(ctx, c.Shape, c.Rules, stock, p.stock); err != nil {
		return err
	}
	switch {
	case c.Stock.Load == 0:
		c.Note = fmt.Sprintf("%s after %s, before the rules were loaded", givenUp, p.stock)
	case c.Stock.First == 0:
		c.Stock.First, c.Stock.AtLeast = float64(p.stock)-c.Stock.Load, true
		c.Note = fmt.Sprintf("%s after %s, before the first answer", givenUp, p.stock)
	case c.Stock.Warm == 0:
		c.Note = fmt.Sprintf("%s after %s, before the second answer", givenUp, p.stock)
	}
	return sameAnswers(*c)
}

// sameAnswers makes sure that both were asked the same and agreed.
func sameAnswers(c cell) error {
	if !strings.HasPrefix(c.Ours.Answers, c.Stock.Answers) {
		return fmt.Errorf("the answers differ: ours %q, stock Casbin %q", c.Ours.Answers, c.Stock.Answers)
	}
	return nil
}

// child makes a command of this program. Tests, whose program is another, tell
// by the environment that they are meant.
func child(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stderr = os.Stderr
	return cmd
}

const childVariable = "BAILIWICK_BENCH_CHILD"

// apart measures one side in a process of its own, which tells what it has so
// far whenever it knows more. After the budget it is ended; 0 is no budget.
func (p plan) apart(ctx context.Context, shape string, rules int, name string, budget time.Duration) (s side, err error) {
	limited := ctx
	if budget > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, budget)
		defer cancel()
	}
	var told bytes.Buffer
	cmd := child(limited, "cell", shape, strconv.Itoa(rules), name, p.cell.String())
	cmd.Stdout = &told
	err = cmd.Run()
	if limited.Err() != nil && ctx.Err() == nil {
		err = nil // its time was over
	}
	if err != nil {
		return s, err
	}
	lines := bytes.SplitAfter(told.Bytes(), []byte("\n"))
	for _, text := range lines[:len(lines)-1] { // a line that was cut off is none
		var t tale
		if err := json.Unmarshal(text, &t); err != nil {
			return s, err
		}
		s = t.side
		s.Answers = t.Answers
	}
	return s, ctx.Err()
}

// tale is a line from a child.
type tale struct {
	side
	Answers string `json:"answers"`
}

// runCell is the child.
func runCell(args []string, out io.Writer) error {
	if len(args) != 4 {
		return fmt.Errorf("cell: want SHAPE RULES SIDE SPAN")
	}
	i := slices.IndexFunc(shapes, func(s shape) bool { return s.name == args[0] })
	rules, err := strconv.Atoi(args[1])
	if i < 0 || err != nil {
		return fmt.Errorf("cell: no such shape %q at %q rules", args[0], args[1])
	}
	span, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	m := &measuring{shape: shapes[i], rules: rules, span: span, out: json.NewEncoder(out)}
	if args[2] == stock {
		return m.stock()
	}
	return m.ours()
}

// measuring is one side in the making.
type measuring struct {
	shape shape
	rules int
	span  time.Duration // of the warm decisions
	side  side
	out   *json.Encoder
}

func (m *measuring) tell() error { return m.out.Encode(tale{m.side, m.side.Answers}) }

// asked is how many questions there are. They go round: with many rules that is
// what brings them from memory, and not from the processor's caches.
const asked = 1000

// ours measures the engine as production uses it, with its clock and gates.
func (m *measuring) ours() error {
	before := heap()
	facts := m.shape.facts(m.rules)
	count, one := len(facts.Rules), facts.Rules[len(facts.Rules)/2]
	e := engine.New(engine.Options{})
	began := time.Now()
	if err := install(e, facts); err != nil {
		return err
	}
	m.side.Load = float64(time.Since(began))
	facts = access.Facts{}
	m.side.Bytes = float64(heap()-before) / float64(count)
	if err := m.oursFirst(e); err != nil {
		return err
	}
	if err := m.oursWarm(e); err != nil {
		return err
	}
	if err := m.oursCommit(e, one); err != nil {
		return err
	}
	return m.tell()
}

func install(e *engine.Engine, f access.Facts) error {
	put, err := e.Prepare(f)
	if err != nil {
		return err
	}
	put(f.Revision)
	return nil
}

// heap is what is on the heap and still in use.
func heap() int64 {
	var m runtime.MemStats
	for range 2 { // the second frees what finalizers and pools kept
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // less than 2^63 bytes
}

// firsts is how many subjects' first questions make a median. They are timed a
// few together, because one alone is shorter than what the clock takes.
const (
	firsts = 200
	batch  = 10
)

// oursFirst takes the median of the first questions of many subjects. Where
// there are fewer subjects, they are asked again of an engine that knows none.
func (m *measuring) oursFirst(e *engine.Engine) error {
	there := min(firsts, m.shape.subjects(m.rules))
	few := min(batch, there)
	for took := []float64{}; ; {
		for n := 0; n+few <= there; n += few {
			all := m.questions(n, few)
			began := time.Now()
			if _, err := answers(e, all); err != nil {
				return err
			}
			took = append(took, float64(time.Since(began))/float64(few))
		}
		if len(took)*few >= firsts || len(took) >= firsts/batch {
			m.side.First = median(took)
			return nil
		}
		e = engine.New(engine.Options{})
		if err := install(e, m.shape.facts(m.rules)); err != nil {
			return err
		}
	}
}

// commits is how many changes of one rule make a median, where they fit the span.
const commits = 400

// oursCommit takes a rule away and puts it back, again and again, and asks a
// question after each: that is when a change is in force.
func (m *measuring) oursCommit(e *engine.Engine, one access.Rule) error {
	r := m.shape.ask(m.rules, 0)
	var took []float64
	for turn := 0; turn < 2 || turn < commits && !enough(took, 2*m.span); turn++ {
		d := access.Delta{Tenant: access.DefaultTenant, From: access.Revision(1 + turn), To: access.Revision(2 + turn), Policy: access.Revision(2 + turn)}
		if turn%2 == 0 {
			d.Gone = []access.Rule{one}
		} else {
			d.Rules = []access.Rule{one}
		}
		began := time.Now()
		if err := e.Advance(d); err != nil {
			return err
		}
		a, err := e.Decide(context.Background(), access.DefaultTenant, &r)
		took = append(took, float64(time.Since(began)))
		if err != nil || a.Revision != d.To {
			return errors.Join(err, fmt.Errorf("revision %d answers after %d was put in force", a.Revision, d.To))
		}
	}
	m.side.Commit = median(took)
	return nil
}

func (m *measuring) questions(from, count int) []access.Request {
	all := make([]access.Request, count)
	for i := range all {
		all[i] = m.shape.ask(m.rules, from+i)
	}
	return all
}

// answers asks all and writes down what was answered.
func answers(e *engine.Engine, all []access.Request) (string, error) {
	var b strings.Builder
	for i := range all {
		d, err := e.Decide(context.Background(), access.DefaultTenant, &all[i])
		if err != nil {
			return "", err
		}
		b.WriteByte(sign(d.Allowed))
	}
	return b.String(), nil
}

func sign(allowed bool) byte {
	if allowed {
		return '+'
	}
	return '-'
}

func (m *measuring) oursWarm(e *engine.Engine) (err error) {
	all := m.questions(0, asked)
	if m.side.Answers, err = answers(e, all); err != nil {
		return err
	}
	ctx := context.Background()
	ask := func(i int) error {
		_, err := e.Decide(ctx, access.DefaultTenant, &all[i%asked])
		return err
	}
	if m.side.Warm, err = typical(m.span, ask); err != nil {
		return err
	}
	i := 0
	m.side.Allocs = testing.AllocsPerRun(asked, func() { err = ask(i); i++ })
	return err
}

// stock measures stock Casbin.
func (m *measuring) stock() error {
	facts := m.shape.facts(m.rules)
	before := heap()
	began := time.Now()
	ask, err := stockCasbin(facts)
	if err != nil {
		return err
	}
	m.side.Load = float64(time.Since(began))
	m.side.Bytes = float64(heap()-before) / float64(len(facts.Rules))
	if err := m.tell(); err != nil {
		return err
	}
	questions := m.questions(0, min(asked, m.shape.subjects(m.rules)))
	var took []float64
	for i := range questions {
		began := time.Now()
		allowed, err := ask(questions[i])
		if err != nil {
			return err
		}
		took = append(took, float64(time.Since(began)))
		m.side.Answers += string(sign(allowed))
		m.side.First = median(took)
		if err := m.tell(); err != nil {
			return err
		}
		if enough(took, 2*m.span) {
			break
		}
	}
	m.side.Warm, err = typical(m.span, func(i int) error {
		_, err := ask(questions[i%len(took)])
		return err
	})
	if err != nil {
		return err
	}
	return m.tell()
}

// enough tells whether these took as long as a measurement may.
func enough(took []float64, span time.Duration) bool {
	var sum float64
	for _, t := range took {
		sum += t
	}
	return sum > float64(span)
}

// typical gives the nanoseconds of one call, the median of batches that fill
// the span; a call that takes longer is made once.
func typical(span time.Duration, call func(i int) error) (float64, error) {
	next := 0
	many := func(n int) (time.Duration, error) {
		began := time.Now()
		for range n {
			if err := call(next); err != nil {
				return 0, err
			}
			next++
		}
		return time.Since(began), nil
	}
	for n := 1; ; n *= 2 {
		took, err := many(n)
		if err != nil {
			return 0, err
		}
		if took < span/20 {
			continue
		}
		all := []float64{float64(took) / float64(n)}
		for until := time.Now().Add(span - took); time.Now().Before(until); {
			took, err := many(n)
			if err != nil {
				return 0, err
			}
			all = append(all, float64(took)/float64(n))
		}
		return median(all), nil
	}
}

func median(all []float64) float64 { return quantile(all, 0.5) }

// quantile sorts a copy and takes the nearest rank.
func quantile(all []float64, q float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
