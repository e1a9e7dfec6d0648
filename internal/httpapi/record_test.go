package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/audit"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

// recorded is a house whose log of decisions is on.
type recorded struct {
	*house
	kept   *audit.Log
	alarms []service.Replay
}

func newRecorded(t testing.TB, change ...func(*audit.Options)) *recorded {
	t.Helper()
	r := &recorded{house: newHouse(t, func(o *httpapi.Options) { o.Recording = func() []string { return nil } })}
	o := audit.Options{Sinks: []audit.Sink{&audit.Stored{Keeper: r.store}}}
	for _, c := range change {
		c(&o)
	}
	r.kept = audit.New(o)
	t.Cleanup(func() { _ = r.kept.Close() })
	r.options.Decisions.RecordTo(r.kept)
	r.options.Records = service.NewRecords(r.store, r.past, r.follower, r.authority, service.RecordsOptions{
		Subject: o.Mask.Subject, Alarm: func(x service.Replay) { r.alarms = append(r.alarms, x) },
	})
	r.options.Recording = r.kept.Trouble
	var err error
	r.server, err = httpapi.NewServer(r.options)
	r.must(err)
	return r
}

// flush waits until everything is kept.
func (r *recorded) flush() {
	for r.kept.Stats().Waiting > 0 {
		time.Sleep(time.Millisecond)
	}
}

func (r *recorded) find(query string) []api.RecordedDecision {
	r.t.Helper()
	r.flush()
	w := r.send(http.MethodGet, "/v1/tenants/default/decisions?"+query, r.key[access.KeyRead], "")
	return decode[api.RecordedDecisions](r.t, w).Decisions
}

// TestRecords_everyDoor: whatever door a question comes through, its answer is in
// the log; what nobody acts upon is not.
func TestRecords_everyDoor(t *testing.T) {
	const (
		one     = `{"subject":"user:alice","action":["show","update"],"section":"System.Orders","scope":"store:eu-1","resource":{"type":"order","id":"17","attributes":{"amount":100}},"context":{"ip":"10.0.0.1"}}`
		authzen = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"9"}}`
	)
	r := newRecorded(t)
	for name, tc := range map[string]struct {
		path, body string
		want       int
	}{
		"enforce":              {"/v1/enforce", one, 1},
		"of a tenant":          {"/t/default/v1/enforce", one, 1},
		"as Casbin":            {"/v1/enforce", `{"request":["alice","store:eu-1","System.Orders","show"]}`, 1},
		"batch":                {"/v1/enforce/batch", `{"requests":[` + one + `,` + one + `,{"subject":"user:alice"}]}`, 2}, // the third is no question
		"evaluation":           {"/access/v1/evaluation", authzen, 1},
		"evaluations":          {"/access/v1/evaluations", `{"evaluations":[` + authzen + `,` + authzen + `]}`, 2},
		"explain is no answer": {"/v1/explain", one, 0},
		"nor is a search":      {"/v1/search/actions", `{"subject":"user:alice","section":"System.Orders"}`, 0},
		"a malformed question": {"/v1/enforce", `{"subject":"user:alice"}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r.send(http.MethodPost, tc.path, r.key[access.KeyRead], tc.body, "X-Request-Id", "door-"+strings.ReplaceAll(name, " ", "-"))
			if got := r.find("request_id=door-" + strings.ReplaceAll(name, " ", "-")); len(got) != tc.want {
				t.Errorf("%d answers are in the log", len(got))
			}
		})
	}
	got := r.find("request_id=door-enforce")[0]
	head, err := r.store.Heads(t.Context())
	r.must(err)
	if got.ID == "" || got.At.IsZero() || got.Caller != "key:test-read" || got.Epoch != head["default"].Epoch || got.Revision != 2 ||
		!got.Allowed || got.Reason != "granted_by" || got.Rule == nil || got.Tenant != "default" {
		t.Errorf("not all of it is there: %+v", got)
	}
	var asked api.Request
	r.must(json.Unmarshal([]byte(one), &asked))
	if !reflect.DeepEqual(got.Question, asked) {
		t.Errorf("the question is kept as %+v", got.Question)
	}
	if w := r.send(http.MethodGet, "/v1/tenants/default/decisions/"+got.ID, r.key[access.KeyRead], ""); decode[api.RecordedDecision](t, w).ID != got.ID {
		t.Errorf("%s", w.Body)
	}
	r.wantProblem(r.send(http.MethodGet, "/v1/tenants/default/decisions/nope", r.key[access.KeyRead], ""), 404, "not_found")
	r.wantProblem(r.send(http.MethodGet, "/v1/tenants/default/decisions", r.key[access.KeyDecide], ""), 403, "forbidden")
}

// TestRecords_exports: each decision about an export is in the log, with who,
// when and why, whatever the sample says (Req 18).
func TestRecords_exports(t *testing.T) {
	sample, err := audit.ParseSample("sample", []string{"0"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorded(t, func(o *audit.Options) { o.Sample = sample })
	for range 5 {
		r.ask("/v1/enforce", `{"subject":"user:alice","action":"show","section":"System.Orders"}`)
		r.ask("/v1/enforce", `{"subject":"user:alice","action":"execute","section":"System.Orders.Export"}`)
		r.ask("/v1/enforce/batch", `{"requests":[{"subject":"user:bob","action":"export","section":"System.Orders"}]}`)
	}
	got := r.find("")
	if len(got) != 10 {
		t.Fatalf("%d of 10 exports are in the log", len(got))
	}
	for _, d := range got {
		if d.Caller == "" || d.At.IsZero() || d.Reason == "" || d.Question.Subject == "" {
			t.Errorf("%+v", d)
		}
	}
}

// TestRecords_searched: filters, pages in both directions.
func TestRecords_searched(t *testing.T) {
	r := newRecorded(t)
	for i := range 7 {
		who := []string{"alice", "bob"}[i%2]
		r.ask("/v1/enforce", `{"subject":"user:`+who+`","action":"show","section":"System.Orders","scope":"store:eu-1"}`)
	}
	for query, want := range map[string]int{
		"subject=user:alice": 4, "subject=user:bob&outcome=deny": 3, "outcome=allow": 4, "section=System": 7, "section=Syst": 0,
		"reason=granted_by": 4, "caller=key:test-read": 7, "caller=key:x": 0, "from=2026-01-01T00:00:00Z": 7, "until=2026-01-01T00:00:00Z": 0,
	} {
		if got := r.find(query); len(got) != want {
			t.Errorf("%s: %d", query, len(got))
		}
	}
	for _, forward := range []string{"true", "false"} {
		seen, token := map[string]bool{}, ""
		for range 4 {
			w := r.send(http.MethodGet, "/v1/tenants/default/decisions?page_size=2&forward="+forward+"&page_token="+token, r.key[access.KeyRead], "")
			page := decode[api.RecordedDecisions](t, w)
			for _, d := range page.Decisions {
				seen[d.ID] = true
			}
			if token = page.NextPageToken; token == "" {
				break
			}
		}
		if len(seen) != 7 || token != "" {
			t.Errorf("forward %s: %d seen", forward, len(seen))
		}
	}
	w := r.send(http.MethodGet, "/v1/tenants/default/decisions?page_size=2&page_token=x", r.key[access.KeyRead], "")
	r.wantProblem(w, 400, "invalid")
}

// TestRecords_replayed: an answer comes out the same again, an edited one is an
// alarm, and a masked one says that it cannot be replayed.
func TestRecords_replayed(t *testing.T) {
	r := newRecorded(t)
	r.ask("/v1/enforce/batch", `{"requests":[{"subject":"user:alice","action":"show","section":"System.Orders","scope":"store:eu-1"},
		{"subject":"user:nobody","action":"show","section":"Unheard"},{"subject":"user:alice","action":"write","section":"record","resource":{"attributes":{"status":"archived"}}},
		{"subject":"user:alice","action":"show","section":"record","context":{"password":"x"}}]}`)
	all := r.find("")
	replay := func(id string) (int, api.Replay) {
		w := r.send(http.MethodPost, "/v1/tenants/default/decisions/"+id+":replay", r.key[access.KeyRead], "")
		if w.Code != http.StatusOK {
			return w.Code, api.Replay{}
		}
		return w.Code, decode[api.Replay](t, w)
	}
	for _, d := range all {
		status, again := replay(d.ID)
		if d.Masked != nil {
			if status != http.StatusConflict {
				t.Errorf("what was masked is replayed: %d", status)
			}
			continue
		}
		if status != http.StatusOK || !again.Same || again.Again == nil {
			t.Errorf("%d, %+v", status, again)
		}
	}
	if len(all) != 4 || len(r.alarms) != 0 {
		t.Fatalf("%d answers, %d alarms", len(all), len(r.alarms))
	}
	var edited access.Recorded
	for _, d := range all {
		if d.Allowed && d.Masked == nil {
			var err error
			edited, err = r.store.Decision(t.Context(), "default", d.ID)
			r.must(err)
		}
	}
	for name, edit := range map[string]func(*access.Recorded){
		"decision":    func(e *access.Recorded) { e.Decision.Allowed = !e.Decision.Allowed },
		"reason":      func(e *access.Recorded) { e.Decision.Reason = "x" },
		"detail":      func(e *access.Recorded) { e.Decision.Detail = "x" },
		"action":      func(e *access.Recorded) { e.Decision.Action = "x" },
		"rule":        func(e *access.Recorded) { e.Decision.Rule = nil },
		"valid_until": func(e *access.Recorded) { e.Decision.ValidUntil = time.Now() },
		"revision":    func(e *access.Recorded) { e.Decision.Revision = 99 },
	} {
		e := edited
		e.ID = "edited-" + name
		edit(&e)
		r.must(r.store.KeepDecisions(t.Context(), []access.Recorded{e}))
		before := len(r.alarms)
		if status, again := replay(e.ID); status != http.StatusOK || again.Same || len(again.Differs) != 1 || again.Differs[0] != name || len(r.alarms) != before+1 {
			t.Errorf("%s: %d, %+v", name, status, again)
		}
	}
	elsewhere := edited
	elsewhere.ID, elsewhere.Epoch, elsewhere.Decision.Allowed = "elsewhere", "another", false
	r.must(r.store.KeepDecisions(t.Context(), []access.Recorded{elsewhere}))
	if status, _ := replay("elsewhere"); status != http.StatusConflict {
		t.Errorf("an answer of a history that was replaced: %d", status)
	}
}

// TestRecords_atItsMoment: an answer is replayed at the moment at which it was
// given, not now.
func TestRecords_atItsMoment(t *testing.T) {
	r := newRecorded(t)
	texts := map[string]string{}
	for name, text := range authzenTexts {
		texts[name] = text
	}
	texts["groups/readers.yaml"] = `apiVersion: bailiwick/v1
kind: Group
code: readers
name: Readers
grants: [{section: record, rights: [read], until: "` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}]
`
	r.load("default", files(texts))
	r.ask("/v1/enforce", `{"subject":"user:bob","action":"read","section":"record"}`)
	d := r.find("")[0]
	if !d.Allowed || d.ValidUntil.IsZero() {
		t.Fatalf("%+v", d)
	}
	r.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	done, err := r.options.Records.Replay(t.Context(), rootCaller, "default", d.ID)
	if err != nil || len(done.Differs) != 0 || !done.Again.Allowed {
		t.Errorf("%+v, %v", done, err)
	}
}

// badSink fails when it is told to.
type badSink struct {
	mu  sync.Mutex
	bad bool
}

func (*badSink) Name() string               { return "bad" }
func (*badSink) Tend(context.Context) error { return nil }
func (*badSink) Close() error               { return nil }

func (s *badSink) Write(context.Context, []access.Recorded) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad {
		return errors.New("no")
	}
	return nil
}

// TestRecords_strict: no log, no decision, through every door (A4).
func TestRecords_strict(t *testing.T) {
	sink := &badSink{}
	r := newRecorded(t, func(o *audit.Options) { o.Strict, o.Wait, o.Sinks = true, never, []audit.Sink{sink} })
	doors := map[string]string{
		"/v1/enforce":            `{"subject":"user:alice","action":"show","section":"System.Orders","scope":"store:eu-1"}`,
		"/v1/enforce/batch":      `{"requests":[{"subject":"user:alice","action":"show","section":"System.Orders","scope":"store:eu-1"}]}`,
		"/access/v1/evaluation":  `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"9"}}`,
		"/access/v1/evaluations": `{"evaluations":[{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"9"}}]}`,
	}
	for path, body := range doors {
		if w := r.ask(path, body); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	sink.mu.Lock()
	sink.bad = true
	sink.mu.Unlock()
	for path, body := range doors {
		w := r.ask(path, body)
		r.wantProblem(w, http.StatusServiceUnavailable, "unavailable")
		if strings.Contains(w.Body.String(), "granted") {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	health := decode[api.Health](t, r.send(http.MethodGet, "/readyz", "", ""))
	if health.Status != "degraded" || !strings.Contains(mustJSON(t, health), "decisions cannot be written") {
		t.Errorf("%+v", health)
	}
}

// BenchmarkEnforceRecorded is BenchmarkEnforce with a log of decisions: one in a
// hundred, and all.
func BenchmarkEnforceRecorded(b *testing.B) {
	for name, rule := range map[string]string{"one in a hundred": "0.01", "all": "1"} {
		b.Run(name, func(b *testing.B) {
			sample, err := audit.ParseSample("sample", []string{rule})
			if err != nil {
				b.Fatal(err)
			}
			h := newHouse(b, quiet)
			kept := audit.New(audit.Options{Sinks: []audit.Sink{audit.Stream{To: io.Discard}}, Sample: sample, Queue: 1 << 16})
			defer kept.Close()
			h.options.Decisions.RecordTo(kept)
			drive(b, h.server.Handler(), h.request("/v1/enforce", benchBody), benchBody)
			b.ReportMetric(float64(kept.Stats().Lost)/float64(b.N), "lost/op")
		})
	}
}

// TestEnforce_offCostsNothing: without a log of decisions nothing is allocated
// for one, nor by asking what it wants.
func TestEnforce_offCostsNothing(t *testing.T) {
	h := newHouse(t, quiet)
	r := access.Request{Subject: access.Subject{Kind: access.KindUser, ID: "alice"}, Actions: []access.Action{"show"}, Section: "System.Orders", Scope: "store:eu-1"}
	ctx, key := context.Background(), access.Caller{Name: "key:x", Tenant: "default", May: access.KeyDecide, RequestID: "r"}
	check := func() {
		if d, err := h.options.Decisions.Check(ctx, key, "default", &r, access.Consistency{}); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
	}
	bare := testing.AllocsPerRun(1000, func() { _, _ = h.engine.Decide(ctx, "default", &r) })
	if n := testing.AllocsPerRun(1000, check); n != bare {
		t.Errorf("off: %v allocations, and %v of the engine", n, bare)
	}
	sample, err := audit.ParseSample("sample", []string{"0"})
	h.must(err)
	h.options.Decisions.RecordTo(audit.New(audit.Options{Sample: sample}))
	if n := testing.AllocsPerRun(1000, check); n != bare {
		t.Errorf("not in the sample: %v allocations", n)
	}
}
