package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

// held is a decider that answers when it is let.
type held struct {
	service.Decider
	entered chan string   // what is being answered
	release chan struct{} // one for each answer
	free    atomic.Bool   // who comes now is held no more
}

func (d *held) hold(ctx context.Context, what string) {
	if d.free.Load() {
		return
	}
	d.entered <- what
	select {
	case <-d.release:
	case <-ctx.Done():
	}
}

func (d *held) Decide(ctx context.Context, tenant string, r *access.Request) (access.Decision, error) {
	d.hold(ctx, "check")
	return d.Decider.Decide(ctx, tenant, r)
}

func (d *held) DecideAll(ctx context.Context, tenant string, rs []access.Request) ([]access.Decision, error) {
	d.hold(ctx, "batch")
	return d.Decider.DecideAll(ctx, tenant, rs)
}

func (d *held) Explain(ctx context.Context, tenant string, r *access.Request) (access.Explanation, error) {
	d.hold(ctx, "explain")
	return d.Decider.Explain(ctx, tenant, r)
}

func (d *held) SearchSections(ctx context.Context, tenant string, r *access.Request) (access.Menu, error) {
	d.hold(ctx, "search")
	return d.Decider.SearchSections(ctx, tenant, r)
}

// crowded is a house whose answers are held back.
type crowded struct {
	*house
	held *held
}

func newCrowded(t *testing.T, p httpapi.Places) *crowded {
	t.Helper()
	c := &crowded{held: &held{entered: make(chan string, 100), release: make(chan struct{})}}
	c.house = newHouse(t, func(o *httpapi.Options) { o.Places = p })
	c.held.Decider = c.engine
	c.options.Decisions = service.NewDecisions(c.held, c.follower, nil)
	server, err := httpapi.NewServer(c.options)
	c.must(err)
	c.server = server
	return c
}

// begin sends a request that is answered later.
func (c *crowded) begin(ctx context.Context, path, body string) chan *httptest.ResponseRecorder {
	answered := make(chan *httptest.ResponseRecorder, 1)
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.root)
	go func() {
		w := httptest.NewRecorder()
		c.server.Handler().ServeHTTP(w, r)
		answered <- w
	}()
	return answered
}

// await waits until a measurement has a value.
func (c *crowded) await(line string) {
	for !strings.Contains(c.measured(), line+"\n") {
		runtime.Gosched()
	}
}

func (c *crowded) measured() string {
	w := httptest.NewRecorder()
	c.server.Metrics().ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil))
	return w.Body.String()
}

// TestPlaces_full (F4): with N inside and M waiting, one more is refused at
// once; who waited comes in when somebody leaves, in his turn.
func TestPlaces_full(t *testing.T) {
	c := newCrowded(t, httpapi.Places{Checks: 2, Waiting: 1, Wait: time.Hour})
	first, second := c.begin(t.Context(), "/v1/enforce", question), c.begin(t.Context(), "/v1/enforce", question)
	<-c.held.entered
	<-c.held.entered
	third := c.begin(t.Context(), "/v1/enforce", question)
	c.await(`bailiwick_work_queued{work="checks"} 1`)
	w := c.send(http.MethodPost, "/v1/enforce", c.root, question)
	c.wantProblem(w, 503, "overloaded")
	if w.Header().Get("Retry-After") != "1" {
		t.Error("Retry-After is missing")
	}
	for _, want := range []string{
		`bailiwick_work_in_flight{work="checks"} 2`, `bailiwick_work_places{work="checks"} 2`,
		`bailiwick_work_refused_total{work="checks"} 1`, `bailiwick_work_refused_total{work="searches"} 0`,
	} {
		if !strings.Contains(c.measured(), want) {
			t.Errorf("%s is missing", want)
		}
	}
	c.held.release <- struct{}{}
	<-c.held.entered // the third, in the place of one of the others
	c.held.release <- struct{}{}
	c.held.release <- struct{}{}
	for i, answered := range []chan *httptest.ResponseRecorder{first, second, third} {
		if w := <-answered; w.Code != 200 {
			t.Errorf("%d: %d %s", i, w.Code, w.Body)
		}
	}
	c.await(`bailiwick_work_in_flight{work="checks"} 0`)
	c.await(`bailiwick_work_queued{work="checks"} 0`)
}

// TestPlaces_patience: who waits in vain is refused after Places.Wait.
func TestPlaces_patience(t *testing.T) {
	c := newCrowded(t, httpapi.Places{Checks: 1, Wait: time.Millisecond})
	first := c.begin(t.Context(), "/v1/enforce", question)
	<-c.held.entered
	c.wantProblem(c.send(http.MethodPost, "/v1/enforce", c.root, question), 503, "overloaded")
	c.held.release <- struct{}{}
	if w := <-first; w.Code != 200 {
		t.Errorf("got %d", w.Code)
	}
}

// TestPlaces_clientLeaves: who goes away takes no place with him, whether he
// was waiting or inside.
func TestPlaces_clientLeaves(t *testing.T) {
	c := newCrowded(t, httpapi.Places{Checks: 1, Waiting: 1, Wait: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	first := c.begin(ctx, "/v1/enforce", question)
	<-c.held.entered
	second := c.begin(ctx, "/v1/enforce", question)
	c.await(`bailiwick_work_queued{work="checks"} 1`)
	leave()
	<-first
	<-second
	third := c.begin(t.Context(), "/v1/enforce", question)
	<-c.held.entered
	c.held.release <- struct{}{}
	if w := <-third; w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(c.measured(), `bailiwick_work_refused_total{work="checks"} 0`) {
		t.Error("who left counts as refused")
	}
}

// TestPlaces_panic: a panic leaves no place taken.
func TestPlaces_panic(t *testing.T) {
	c := newCrowded(t, httpapi.Places{Checks: 1, Wait: time.Millisecond})
	close(c.held.release)
	good := c.held.Decider
	c.held.Decider = nil
	c.wantProblem(c.send(http.MethodPost, "/v1/enforce", c.root, question), 500, "internal")
	c.held.Decider = good
	if w := c.send(http.MethodPost, "/v1/enforce", c.root, question); w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// TestPlaces_apart: each kind of work has its own places, so that none keeps
// another from being done. One of the kind is inside; the next one is refused,
// and what is of other kinds comes in.
func TestPlaces_apart(t *testing.T) {
	search := `{"subject":"user:alice"}`
	for name, k := range map[string]struct{ path, body, work string }{
		"question":                {"/v1/enforce", question, "checks"},
		"batch":                   {"/v1/enforce/batch", `{"requests":[` + question + `]}`, "checks"},
		"AuthZEN":                 {one, body(alice, read, rec1), "checks"},
		"AuthZEN, several":        {many, body(alice, read, `"evaluations":[{`+rec1+`}]`), "checks"},
		"with a revision":         {"/v1/enforce", with(question, `"at_least":1`), "consistent"},
		"the newest":              {"/v1/enforce", with(question, `"fully_consistent":true`), "consistent"},
		"a batch, the newest":     {"/v1/enforce/batch", `{"requests":[` + question + `],"fully_consistent":true}`, "consistent"},
		"explanation":             {"/v1/explain", question, "searches"},
		"search":                  {"/v1/search/sections", search, "searches"},
		"to a model of one's own": {"/t/scanned/v1/enforce", question, "scans"},
		"and with a revision":     {"/t/scanned/v1/enforce", with(question, `"at_least":1`), "scans"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowded(t, httpapi.Places{Checks: 1, Consistent: 1, Searches: 1, Scans: 1, Wait: time.Millisecond})
			c.load("scanned", authzenPolicy)
			inside := c.begin(t.Context(), k.path, k.body)
			<-c.held.entered
			c.held.free.Store(true)
			c.wantProblem(c.send(http.MethodPost, k.path, c.root, k.body), 503, "overloaded")
			for other, x := range map[string]struct{ path, body string }{
				"checks": {"/v1/enforce", question}, "searches": {"/v1/explain", question}, "scans": {"/t/scanned/v1/enforce", question},
			} {
				if other == k.work {
					continue
				}
				if w := c.send(http.MethodPost, x.path, c.root, x.body); w.Code != 200 {
					t.Errorf("%s while %s is full: %d %s", other, k.work, w.Code, w.Body)
				}
			}
			if want := fmt.Sprintf(`bailiwick_work_refused_total{work=%q} 1`, k.work); !strings.Contains(c.measured(), want) {
				t.Errorf("%s is missing", want)
			}
			c.held.release <- struct{}{}
			if w := <-inside; w.Code != 200 {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

// TestPlaces_lists: lists share their places with searches.
func TestPlaces_lists(t *testing.T) {
	c := newCrowded(t, httpapi.Places{Searches: 1, Wait: time.Millisecond})
	inside := c.begin(t.Context(), "/v1/explain", question)
	<-c.held.entered
	for _, path := range []string{"/v1/tenants", "/v1/tenants/default/revisions", "/v1/tenants/default/keys"} {
		c.wantProblem(c.send(http.MethodGet, path, c.root, ""), 503, "overloaded")
	}
	c.held.release <- struct{}{}
	if w := <-inside; w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// TestPlaces_writes: changes have places of their own, taken before the body is
// read, so that what is uploaded at one time is bounded.
func TestPlaces_writes(t *testing.T) {
	c := newCrowded(t, httpapi.Places{Writes: 1, Wait: time.Millisecond})
	close(c.held.release)
	body := &slowBody{began: make(chan struct{}), end: make(chan struct{})}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/tenants", body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.root)
	done := make(chan struct{})
	go func() {
		c.server.Handler().ServeHTTP(httptest.NewRecorder(), r)
		close(done)
	}()
	<-body.began
	c.wantProblem(c.send(http.MethodPost, "/v1/tenants", c.root, `{"code":"x"}`), 503, "overloaded")
	if w := c.send(http.MethodPost, "/v1/enforce", c.root, question); w.Code != 200 {
		t.Errorf("a question beside it: %d", w.Code)
	}
	if w := c.send(http.MethodGet, "/v1/tenants", c.root, ""); w.Code != 200 {
		t.Errorf("a list beside it: %d", w.Code)
	}
	close(body.end)
	<-done
	if w := c.send(http.MethodPost, "/v1/tenants", c.root, `{"code":"x"}`); w.Code != 201 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

// slowBody is a body that ends when it is let.
type slowBody struct{ began, end chan struct{} }

func (b *slowBody) Read([]byte) (int, error) {
	close(b.began)
	<-b.end
	return 0, io.ErrUnexpectedEOF
}
