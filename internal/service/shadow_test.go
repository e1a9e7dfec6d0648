package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
	"github.com/bailiwick/bailiwick/internal/service"
)

// stock is stock Casbin beside a real engine.
type stock struct {
	engine *engine.Engine
	epoch  string
	load   func(access.Facts) (service.Reference, error) // stock Casbin when nil
	loads  atomic.Int32
}

func (s *stock) Load(f access.Facts) (service.Reference, error) {
	s.loads.Add(1)
	if s.load != nil {
		return s.load(f)
	}
	return oracle.New(f, nil)
}

func (s *stock) InForce(tenant string) (int, string) {
	n := 0
	if snapshot, ok := s.engine.Snapshot(tenant); ok {
		n = snapshot.Plans()[0].Rules
	}
	return n, s.epoch
}

// shelf is a store that holds facts of tenants.
type shelf struct {
	facts    map[string]access.Facts
	subjects []access.SubjectFacts
	loads    atomic.Int32
	before   func() // called before facts are given
}

func (s *shelf) Load(_ context.Context, tenant string) (access.Facts, error) {
	s.loads.Add(1)
	if s.before != nil {
		s.before()
	}
	f, ok := s.facts[tenant]
	if !ok {
		return f, access.Unavailable("the store is away")
	}
	return f, nil
}

func (s *shelf) Subjects(_ context.Context, _ string, ids []string) ([]access.SubjectFacts, error) {
	i := slices.IndexFunc(s.subjects, func(u access.SubjectFacts) bool { return u.ID == ids[0] })
	if i < 0 {
		return []access.SubjectFacts{{Revision: s.facts["sample"].Revision}}, nil
	}
	return s.subjects[i : i+1], nil
}

// liar is a decider that turns one answer over.
type liar struct {
	service.Decider
	lies func(*access.Request) bool
}

func (l *liar) Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error) {
	d, err := l.Decider.Decide(ctx, tenant, r)
	if err == nil && l.lies != nil && l.lies(r) {
		d.Allowed = !d.Allowed
	}
	return d, err
}

// shade is shadow mode over real engines: ours, and stock Casbin.
type shade struct {
	*service.Shadow
	stock *stock
	shelf *shelf
	liar  *liar
	log   *syncBuffer
	stop  context.CancelFunc
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// lines gives what was logged at a level.
func (b *syncBuffer) lines(level string) []string {
	var all []string
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, `"level":"`+level+`"`) {
			all = append(all, line)
		}
	}
	return all
}

func newShade(t testing.TB, o service.ShadowOptions, all ...access.Facts) *shade {
	t.Helper()
	e := engine.New(engine.Options{})
	s := &shade{stock: &stock{engine: e}, shelf: &shelf{facts: map[string]access.Facts{}}, liar: &liar{Decider: e}, log: &syncBuffer{}}
	for _, f := range all {
		install, err := e.Prepare(f)
		if err != nil {
			t.Fatal(err)
		}
		install(f.Revision)
		s.shelf.facts[f.Tenant] = f
	}
	o.Log = slog.New(slog.NewJSONHandler(s.log, nil))
	s.Shadow = service.NewShadow(s.liar, s.shelf, s.stock, o)
	return s
}

// run compares in the background until the test ends.
func (s *shade) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	s.stop = stop
	t.Cleanup(func() { stop(); <-done })
}

// patience bounds waits that only a broken program makes long.
const patience = 5 * time.Minute

// handled waits until n questions were compared or skipped.
func (s *shade) handled(t *testing.T, n uint64) service.ShadowCounts {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c := s.Counts()
		sum := c.Compared
		for _, skipped := range c.Skipped {
			sum += skipped
		}
		if sum >= n {
			return c
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d questions: %+v", sum, n, c)
		}
	}
}

const shadowModel = `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act
`

// ownModel is a tenant with a Casbin model of its own.
func ownModel() access.Facts {
	f := access.Facts{Tenant: "rest", Revision: 2, Model: shadowModel, Users: []access.UserFacts{{ID: "s3", Status: access.UserLocked}}}
	add := func(kind string, values ...string) {
		f.Rules = append(f.Rules, access.Rule{Type: kind, Values: values})
	}
	for i := range 20 {
		add("p", fmt.Sprintf("r%d", i%5), fmt.Sprintf("/o%d/:id", i%7), []string{"read", "write"}[i%2], []string{"allow", "allow", "deny"}[i%3])
		add("g", fmt.Sprintf("s%d", i), fmt.Sprintf("r%d", i*3%5))
	}
	f.Rules[0].Validity.Until = time.Now().Add(-time.Hour).Truncate(time.Second)
	return f
}

func ownQuestion(n *rand.Rand) access.Request {
	raw := []any{fmt.Sprintf("s%d", n.IntN(22)), fmt.Sprintf("/o%d/%d", n.IntN(8), n.IntN(3)), []string{"read", "write"}[n.IntN(2)]}
	switch n.IntN(20) {
	case 0:
		raw = raw[:2]
	case 1:
		raw[1] = map[string]any{"path": "/o1/1"}
	}
	return access.Request{Raw: raw}
}

const sampleRules = 200

func sampleQuestion(n *rand.Rand) access.Request {
	r := oracle.SampleRequest(sampleRules, n.IntN(100_000))
	switch n.IntN(12) {
	case 0:
		r.Subject.ID = "nobody"
	case 1:
		r.Section = ""
	case 2:
		r.Subject = access.Anonymous
	case 3:
		r.Actions = append(slices.Clone(r.Actions), "delete")
	}
	return r
}

// TestShadow_likeStock: an engine that is right shows no difference, alone and in
// batches, under the built-in model and under one of the tenant's own.
func TestShadow_likeStock(t *testing.T) {
	const questions = 2000
	s := newShade(t, service.ShadowOptions{Fraction: 1, Queue: questions}, oracle.Sample(sampleRules), ownModel())
	s.run(t)
	n := rand.New(rand.NewPCG(9, 9))
	for range questions / 4 {
		r := sampleQuestion(n)
		_, _ = s.Decide(t.Context(), "sample", &r) // what is malformed has an error
		r = ownQuestion(n)
		_, _ = s.Decide(t.Context(), "rest", &r)
	}
	for range questions / 40 {
		var ours, own []access.Request
		for range 10 {
			ours, own = append(ours, sampleQuestion(n)), append(own, ownQuestion(n))
		}
		if _, err := s.DecideAll(t.Context(), "sample", ours); err != nil {
			t.Fatal(err)
		}
		if _, err := s.DecideAll(t.Context(), "rest", own); err != nil {
			t.Fatal(err)
		}
	}
	if c := s.handled(t, questions); c.Compared != questions || c.Differences != 0 {
		t.Errorf("%+v\n%s", c, s.log.lines("ERROR"))
	}
	if w := s.Warnings(); w != nil {
		t.Errorf("warnings %q", w)
	}
}

// TestShadow_finds: an answer that is wrong is found, counted each time, logged
// once for each question, and warned of. The log names the question and none of
// its attributes.
func TestShadow_finds(t *testing.T) {
	s := newShade(t, service.ShadowOptions{Fraction: 1}, oracle.Sample(sampleRules), ownModel())
	s.liar.lies = func(r *access.Request) bool { return r.Subject.ID == "user-1" || r.Raw != nil && r.Raw[0] == "s1" }
	s.run(t)
	ask := func(tenant string, r access.Request) {
		if _, err := s.Decide(t.Context(), tenant, &r); err != nil {
			t.Fatal(err)
		}
	}
	right, wrong := oracle.SampleRequest(sampleRules, 2), oracle.SampleRequest(sampleRules, 1)
	wrong.Context = map[string]any{"diagnosis": "canary"}
	ask("sample", right)
	for range 5 {
		ask("sample", wrong)
	}
	ask("rest", access.Request{Raw: []any{"s1", "/o1/1", "read"}})
	c := s.handled(t, 7)
	if c.Compared != 7 || c.Differences != 6 {
		t.Errorf("%+v", c)
	}
	logged := s.log.lines("ERROR")
	if len(logged) != 2 {
		t.Fatalf("logged %d times:\n%s", len(logged), logged)
	}
	var line struct {
		Tenant, Digest string
		Revision       int
		Question       struct{ Subject, Section string }
	}
	if err := json.Unmarshal([]byte(logged[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Tenant != "sample" || line.Revision != 1 || len(line.Digest) != 16 || line.Question.Subject != "user:user-1" || line.Question.Section != string(wrong.Section) {
		t.Errorf("logged %s", logged[0])
	}
	if strings.Contains(logged[0], "canary") || strings.Contains(logged[0], "diagnosis") {
		t.Errorf("an attribute was logged: %s", logged[0])
	}
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], `6 answers differ from those of stock Casbin, first in tenant "sample" at revision 1`) {
		t.Errorf("warnings %q", w)
	}
}

// TestShadow_rightReason: reason, deciding rule and failure are compared, not
// only the decision.
func TestShadow_rightReason(t *testing.T) {
	f := ownModel()
	for name, spoil := range map[string]func(*access.Decision){
		"reason":  func(d *access.Decision) { d.Reason = access.ReasonDeniedBy },
		"rule":    func(d *access.Decision) { d.Rule = &f.Rules[1] },
		"no rule": func(d *access.Decision) { d.Rule = nil },
		"failure": func(d *access.Decision) {
			*d = access.Decision{Reason: access.ReasonNoGrant, Detail: "failed", Revision: 2}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShade(t, service.ShadowOptions{Fraction: 1}, f)
			s.Decider = &spoiler{s.liar, spoil}
			s.run(t)
			r := access.Request{Raw: []any{"s2", "/o6/1", "read"}} // granted by a rule
			if name == "failure" {
				r.Raw[2] = "nothing" // granted by none
			}
			if _, err := s.Decide(t.Context(), "rest", &r); err != nil {
				t.Fatal(err)
			}
			if c := s.handled(t, 1); c.Differences != 1 {
				t.Errorf("%+v", c)
			}
		})
	}
}

type spoiler struct {
	service.Decider
	spoil func(*access.Decision)
}

func (s *spoiler) Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error) {
	d, err := s.Decider.Decide(ctx, tenant, r)
	s.spoil(&d)
	return d, err
}

// TestShadow_off: without a fraction nothing is looked at, copied or allocated.
func TestShadow_off(t *testing.T) {
	s := newShade(t, service.ShadowOptions{}, oracle.Sample(sampleRules))
	s.run(t)
	r := oracle.SampleRequest(sampleRules, 1)
	if n := testing.AllocsPerRun(1000, func() { _, _ = s.Decide(context.Background(), "sample", &r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if _, err := s.DecideAll(t.Context(), "sample", []access.Request{r}); err != nil {
		t.Fatal(err)
	}
	if c := s.handled(t, 0); c.Compared != 0 || s.shelf.loads.Load() != 0 || s.stock.loads.Load() != 0 {
		t.Errorf("%+v, %d loads", c, s.shelf.loads.Load())
	}
}

// TestShadow_skips: what cannot be compared is counted by its reason, and never
// taken for a difference. Every answer of these engines is wrong.
func TestShadow_skips(t *testing.T) {
	small := oracle.Sample(sampleRules)
	fetched := ownModel()
	fetched.Tenant, fetched.Fetched = "sample", true
	timed := ownModel()
	timed.Tenant = "sample"
	timed.Model = strings.Replace(timed.Model, "g = _, _", "g = _, _, (_, _)", 1)
	timed.Functions.Conditions = map[string]string{"g": "timeMatch"}
	for i, r := range timed.Rules {
		if r.Type == "g" {
			timed.Rules[i].Values = append(slices.Clone(r.Values), "_", "_")
		}
	}
	raw := access.Request{Raw: []any{"s1", "/o1/1", "read"}}
	for why, tc := range map[string]struct {
		options service.ShadowOptions
		stored  access.Facts
		ask     access.Request
		spoil   func(*shade)
	}{
		"moved":           {stored: func() access.Facts { f := small; f.Revision++; return f }(), ask: oracle.SampleRequest(sampleRules, 1)},
		"moved, by epoch": {stored: func() access.Facts { f := small; f.Epoch = "restored"; return f }(), ask: oracle.SampleRequest(sampleRules, 1)},
		"rules":           {stored: small, options: service.ShadowOptions{MaxRules: 50}, ask: oracle.SampleRequest(sampleRules, 1)},
		"size": {stored: small, ask: func() access.Request {
			r := oracle.SampleRequest(sampleRules, 1)
			r.Context = map[string]any{"text": []any{strings.Repeat("x", 17<<10)}}
			return r
		}()},
		"fetched": {stored: fetched, ask: raw},
		"store":   {stored: small, ask: oracle.SampleRequest(sampleRules, 1), spoil: func(s *shade) { s.shelf.facts = nil }},
		"failed": {stored: small, ask: oracle.SampleRequest(sampleRules, 1), spoil: func(s *shade) {
			s.stock.load = func(access.Facts) (service.Reference, error) { panic("spoilt") }
		}},
		"late": {stored: timed, ask: raw, spoil: func(s *shade) {
			s.Decider = &spoiler{s.liar, func(d *access.Decision) { d.ValidUntil = time.Now().Add(-time.Second) }}
		}},
	} {
		t.Run(why, func(t *testing.T) {
			tc.options.Fraction = 1
			installed := tc.stored
			installed.Revision, installed.Epoch = small.Revision, ""
			if !installed.Ours() {
				installed.Revision = 2
			}
			installed.Fetched = false
			s := newShade(t, tc.options, installed)
			s.shelf.facts["sample"] = tc.stored
			s.liar.lies = func(*access.Request) bool { return true }
			if tc.spoil != nil {
				tc.spoil(s)
			}
			s.run(t)
			if _, err := s.Decide(t.Context(), "sample", &tc.ask); err != nil {
				t.Fatal(err)
			}
			c := s.handled(t, 1)
			why, _, _ := strings.Cut(why, ",")
			if c.Skipped[why] != 1 || c.Compared != 0 || c.Differences != 0 {
				t.Errorf("%+v", c)
			}
			if why == "rules" && s.shelf.loads.Load() != 0 {
				t.Error("a tenant that is too big was loaded")
			}
		})
	}
}

// TestShadow_large: a tenant whose size shows only when it is read is read once.
func TestShadow_large(t *testing.T) {
	s := newShade(t, service.ShadowOptions{Fraction: 1, MaxRules: 30}, ownModel()) // 20 p and 20 g
	s.run(t)
	for range 3 {
		_, _ = s.Decide(t.Context(), "rest", &access.Request{Raw: []any{"s1", "/o1/1", "read"}})
	}
	if c := s.handled(t, 3); c.Skipped["rules"] != 3 || s.shelf.loads.Load() != 1 || s.stock.loads.Load() != 0 {
		t.Errorf("%+v, read %d times", c, s.shelf.loads.Load())
	}
}

// TestShadow_fetched: where users are not in memory, stock Casbin is given the
// frame and the one user whom the question is about.
func TestShadow_fetched(t *testing.T) {
	whole := oracle.Sample(sampleRules)
	for i := range whole.Rules {
		whole.Rules[i].Place = int64(i + 1)
	}
	frame := whole
	frame.Fetched, frame.Users, frame.Rules = true, nil, nil
	s := newShade(t, service.ShadowOptions{Fraction: 1}, whole)
	for _, u := range whole.Users {
		s.shelf.subjects = append(s.shelf.subjects, access.SubjectFacts{UserFacts: u, Known: true, Revision: 1})
	}
	for _, r := range whole.Rules {
		i := slices.IndexFunc(s.shelf.subjects, func(u access.SubjectFacts) bool { return r.Values[0] == "u:"+u.ID })
		if i < 0 {
			frame.Rules = append(frame.Rules, r)
		} else {
			s.shelf.subjects[i].Rules = append(s.shelf.subjects[i].Rules, r)
		}
	}
	s.shelf.facts["sample"] = frame
	s.run(t)
	n := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		r := sampleQuestion(n)
		_, _ = s.Decide(t.Context(), "sample", &r) // what is malformed has an error
	}
	if c := s.handled(t, 200); c.Compared != 200 || c.Differences != 0 {
		t.Errorf("%+v\n%s", c, s.log.lines("ERROR"))
	}
	s.shelf.subjects[1].Revision = 2 // somebody changed him since
	r := oracle.SampleRequest(sampleRules, 1)
	_, _ = s.Decide(t.Context(), "sample", &r)
	if c := s.handled(t, 201); c.Skipped["moved"] != 1 {
		t.Errorf("%+v", c)
	}
}

// TestShadow_queue: questions wait up to the bound, and further ones are dropped
// at once.
func TestShadow_queue(t *testing.T) {
	s := newShade(t, service.ShadowOptions{Fraction: 1, Queue: 3}, oracle.Sample(sampleRules))
	for i := range 10 { // nobody compares yet
		r := oracle.SampleRequest(sampleRules, i)
		if _, err := s.Decide(t.Context(), "sample", &r); err != nil {
			t.Fatal(err)
		}
	}
	if c := s.Counts(); c.Skipped["queue"] != 7 {
		t.Errorf("%+v", c)
	}
	s.run(t)
	if c := s.handled(t, 10); c.Compared != 3 || c.Differences != 0 {
		t.Errorf("%+v", c)
	}
}

// TestShadow_confirms: stock Casbin remembers what it was asked, so a difference
// counts only if it is there after loading everything afresh.
func TestShadow_confirms(t *testing.T) {
	s := newShade(t, service.ShadowOptions{Fraction: 1}, oracle.Sample(sampleRules))
	s.stock.load = func(f access.Facts) (service.Reference, error) {
		if s.stock.loads.Load() == 1 {
			return patient{}, nil // stands for one that has gone wrong
		}
		return oracle.New(f, nil)
	}
	s.run(t)
	r := access.Request{Subject: access.Anonymous, Actions: []access.Action{"show"}, Section: "Nowhere"}
	if d, err := s.Decide(t.Context(), "sample", &r); err != nil || d.Reason == access.ReasonNoGrant {
		t.Fatalf("%+v, %v", d, err)
	}
	if c := s.handled(t, 1); c.Compared != 1 || c.Differences != 0 || s.stock.loads.Load() != 2 || s.shelf.loads.Load() != 2 {
		t.Errorf("%+v, stock loaded %d times, facts %d times", c, s.stock.loads.Load(), s.shelf.loads.Load())
	}
}

// TestShadow_unloadable: a policy that is answered from and that stock Casbin
// cannot load, or cannot answer from, is a difference.
func TestShadow_unloadable(t *testing.T) {
	for name, load := range map[string]func(access.Facts) (service.Reference, error){
		"load":   func(access.Facts) (service.Reference, error) { return nil, errors.New("no") },
		"answer": func(access.Facts) (service.Reference, error) { return mute{}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShade(t, service.ShadowOptions{Fraction: 1}, oracle.Sample(sampleRules))
			s.stock.load = load
			s.run(t)
			r := oracle.SampleRequest(sampleRules, 1)
			_, _ = s.Decide(t.Context(), "sample", &r)
			if c := s.handled(t, 1); c.Compared != 1 || c.Differences != 1 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// mute has no answers.
type mute struct{}

func (mute) Decide(*access.Request, time.Time) (access.Decision, error) {
	return access.Decision{}, errors.New("no answer")
}

// hanging stands for a stock Casbin that does not come back.
type hanging struct{ release <-chan struct{} }

func (h hanging) Decide(*access.Request, time.Time) (access.Decision, error) {
	<-h.release
	return access.Decision{}, nil
}

// TestShadow_hangs: while stock Casbin hangs nothing else is started, answers go
// on, and readiness says so; when it comes back the tenant stays left out, and
// the others are compared again. What it said late is not used.
func TestShadow_hangs(t *testing.T) {
	release := make(chan struct{})
	s := newShade(t, service.ShadowOptions{Fraction: 1, Timeout: time.Millisecond, Queue: 2}, oracle.Sample(sampleRules), ownModel())
	s.stock.load = func(f access.Facts) (service.Reference, error) {
		if f.Tenant == "sample" {
			return hanging{release}, nil
		}
		return patient{}, nil
	}
	s.run(t)
	r := oracle.SampleRequest(sampleRules, 1)
	if _, err := s.Decide(t.Context(), "sample", &r); err != nil {
		t.Fatal(err)
	}
	until(t, "it is said that stock Casbin hangs", func() bool {
		w := s.Warnings()
		return len(w) == 1 && strings.Contains(w[0], `stock Casbin does not come back from tenant "sample"`)
	})
	for range 10 {
		if _, err := s.Decide(t.Context(), "sample", &r); err != nil {
			t.Fatal(err)
		}
	}
	if c := s.Counts(); c.Skipped["queue"] != 8 || s.stock.loads.Load() != 1 {
		t.Errorf("%+v, loaded %d times", c, s.stock.loads.Load())
	}
	close(release)
	c := s.handled(t, 11)
	if c.Skipped["slow"] != 3 || c.Compared != 0 || len(s.Warnings()) != 0 || s.stock.loads.Load() != 1 {
		t.Errorf("%+v, %q, loaded %d times", c, s.Warnings(), s.stock.loads.Load())
	}
	if len(s.log.lines("WARN")) != 1 {
		t.Errorf("logged %q", s.log.lines("WARN"))
	}
	own := access.Request{Raw: []any{"s1", "/nothing", "read"}}
	_, _ = s.Decide(t.Context(), "rest", &own)
	if c := s.handled(t, 12); c.Compared+c.Skipped["slow"] != 4 {
		t.Errorf("another tenant is not looked at any more: %+v", c)
	}
}

// patient answers at once that nothing is granted.
type patient struct{}

func (patient) Decide(*access.Request, time.Time) (access.Decision, error) {
	return access.Decision{Reason: access.ReasonNoGrant}, nil
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so: %s", what)
		}
	}
}

// TestShadow_moments: a rule that ends between answer and comparison is no
// difference, nor a condition that reads the clock.
func TestShadow_moments(t *testing.T) {
	f := oracle.Sample(sampleRules)
	soon := time.Now().Add(time.Hour)
	moment := soon.Add(-time.Second)
	f.Conditions = []access.Condition{{ID: access.ConditionID("now < timestamp('" + soon.UTC().Format(time.RFC3339) + "')"), Text: "now < timestamp('" + soon.UTC().Format(time.RFC3339) + "')"}}
	for i := range f.Rules {
		if f.Rules[i].Type == "p" && i > 0 {
			f.Rules[i].Validity.Until = soon
			if i%2 == 0 {
				f.Rules[i].Values = slices.Clone(f.Rules[i].Values)
				f.Rules[i].Values[5] = f.Conditions[0].ID
			}
		}
	}
	var now atomic.Pointer[time.Time]
	now.Store(&moment)
	clock := func() time.Time { return *now.Load() }
	e := engine.New(engine.Options{Clock: clock})
	install, err := e.Prepare(f)
	if err != nil {
		t.Fatal(err)
	}
	install(f.Revision)
	s := newShade(t, service.ShadowOptions{Fraction: 1, Clock: clock}, f)
	later := soon.Add(time.Minute)
	s.Decider = &jump{e, func() { now.Store(&later) }}
	s.run(t)
	n := rand.New(rand.NewPCG(5, 5))
	for range 100 {
		now.Store(&moment)
		r := sampleQuestion(n)
		_, _ = s.Decide(t.Context(), "sample", &r) // what is malformed has an error
	}
	if c := s.handled(t, 100); c.Compared != 100 || c.Differences != 0 {
		t.Errorf("%+v\n%s", c, s.log.lines("ERROR"))
	}
}

// jump lets time pass between the answer and its return.
type jump struct {
	service.Decider
	pass func()
}

func (j *jump) Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error) {
	defer j.pass()
	return j.Decider.Decide(ctx, tenant, r)
}

// TestShadow_copies: a question may be used anew as soon as it is answered.
func TestShadow_copies(t *testing.T) {
	s := newShade(t, service.ShadowOptions{Fraction: 1}, ownModel())
	attributes := map[string]any{"path": "/o1/1", "tags": []any{"a", map[string]any{"b": 1.0}}}
	r := access.Request{Raw: []any{"s1", attributes, "read"}}
	d, err := s.Decide(t.Context(), "rest", &r)
	if err != nil || d.Detail == "" {
		t.Fatalf("%+v, %v", d, err)
	}
	r.Raw[0], r.Raw[1], r.Raw[2] = "s2", "/o6/1", "read" // would be granted
	clear(attributes)
	s.run(t)
	if c := s.handled(t, 1); c.Compared != 1 || c.Differences != 0 {
		t.Errorf("%+v\n%s", c, s.log.lines("ERROR"))
	}
}

// TestShadow_memory: stock Casbin is loaded anew before it remembers too much.
func TestShadow_memory(t *testing.T) {
	s := newShade(t, service.ShadowOptions{Fraction: 1}, oracle.Sample(8_000))
	s.stock.load = func(access.Facts) (service.Reference, error) { return patient{}, nil }
	s.Decider = &spoiler{s.liar, func(d *access.Decision) {
		*d = access.Decision{Reason: access.ReasonNoGrant, Revision: d.Revision} // as stock Casbin's stand-in says
	}}
	s.run(t)
	for range 100 {
		r := access.Request{Subject: access.Subject{Kind: access.KindUser, ID: "user-1"}, Actions: []access.Action{"execute"}, Section: "System", Scope: "store:a"}
		_, _ = s.Decide(t.Context(), "sample", &r)
	}
	if c := s.handled(t, 100); c.Compared != 100 || c.Differences != 0 || s.stock.loads.Load() < 4 {
		t.Errorf("%+v, loaded %d times", c, s.stock.loads.Load())
	}
}
