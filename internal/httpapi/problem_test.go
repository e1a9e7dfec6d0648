package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

// TestProblem_kinds is the table from kinds of errors to answers. What stands
// around or in an error never leaves the house.
func TestProblem_kinds(t *testing.T) {
	const inside = "SELECT secret FROM casbin_rule"
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{access.Invalid("section", "is required"), 400, "invalid"},
		{access.NotFound("tenant", "x"), 404, "not_found"},
		{access.Exists("tenant", "x"), 409, "exists"},
		{&access.Error{Kind: access.ErrStale, Message: "moved on"}, 409, "stale"},
		{access.Forbidden("no"), 403, "forbidden"},
		{access.Unavailable("later"), 503, "unavailable"},
		{&access.Error{Kind: access.ErrOutcomeUnknown, Message: "look"}, 503, "outcome_unknown"},
		{&access.Error{Kind: service.ErrBehind, Message: "not yet"}, 503, "behind"},
		{service.ErrUnauthenticated, 401, "unauthenticated"},
		{access.Problems{{Message: "bad", Code: "x"}}, 422, "policy_invalid"},
		{&service.TestsFailed{Report: service.TestReport{Failed: 1}}, 422, "tests_failed"},
		{context.DeadlineExceeded, 503, "timeout"},
		{context.Canceled, 503, "timeout"},
		{errors.New("boom"), 500, "internal"},
	} {
		p := httpapi.ProblemOf(fmt.Errorf("%s: %w", inside, c.err))
		if p.Status != c.status || p.Code != c.code {
			t.Errorf("%v: got %d %s", c.err, p.Status, p.Code)
		}
		if strings.Contains(fmt.Sprint(p), "SELECT") || strings.Contains(fmt.Sprint(p), "boom") {
			t.Errorf("%v leaks: %+v", c.err, p)
		}
	}
}

func TestProblem_overHTTP(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		code, field        string
	}{
		"no such path":            {"GET", "/nothing", "", 404, "path_unknown", ""},
		"a slash too many":        {"POST", "/v1/enforce/", question, 404, "path_unknown", ""},
		"no such method":          {"GET", "/v1/enforce", "", 405, "method_not_allowed", ""},
		"no subject":              {"POST", "/v1/enforce", `{"section":"record","action":"read"}`, 400, "invalid", "subject"},
		"no action":               {"POST", "/v1/enforce", `{"subject":"user:alice","section":"record"}`, 400, "invalid", "action"},
		"no section":              {"POST", "/v1/enforce", `{"subject":"user:alice","action":"read"}`, 400, "invalid", "section"},
		"a blank user":            {"POST", "/v1/enforce", `{"subject":"user:","action":"read","section":"record"}`, 400, "invalid", "subject"},
		"a user without kind":     {"POST", "/v1/enforce", `{"subject":"alice","action":"read","section":"record"}`, 400, "invalid", "subject"},
		"inherit":                 {"POST", "/v1/enforce", `{"subject":"user:alice","action":11,"section":"record"}`, 400, "invalid", "action"},
		"three values":            {"POST", "/v1/enforce", `{"request":["alice","record","read"]}`, 400, "invalid", "request"},
		"both forms":              {"POST", "/v1/enforce", `{"request":["alice","*","record","read"],"subject":"user:bob"}`, 400, "invalid", "request"},
		"no questions":            {"POST", "/v1/enforce/batch", `{"requests":[]}`, 400, "invalid", "requests"},
		"no such tenant":          {"POST", "/t/nowhere/v1/enforce", question, 404, "not_found", "tenant"},
		"a tenant twice":          {"POST", "/v1/tenants", `{"code":"default"}`, 409, "exists", "tenant"},
		"a tenant with blanks":    {"POST", "/v1/tenants", `{"code":"a b"}`, 400, "invalid", "code"},
		"a member misspelt":       {"POST", "/v1/tenants", `{"cod":"a"}`, 400, "invalid", "cod"},
		"a kind of key too many":  {"POST", "/v1/tenants/default/keys", `{"kind":"root","name":"x"}`, 400, "invalid", "kind"},
		"a policy without files":  {"PUT", "/v1/tenants/default/policy", `{"files":{}}`, 400, "invalid", "files"},
		"a path that leads out":   {"PUT", "/v1/tenants/default/policy", `{"files":{"../x":""}}`, 400, "invalid", "files"},
		"a stale policy":          {"PUT", "/v1/tenants/default/policy", policyBody(`"base_revision":99`), 409, "stale", "base_revision"},
		"a policy for nobody":     {"PUT", "/v1/tenants/nobody/policy", policyBody(), 404, "not_found", "tenant"},
		"a policy with a mistake": {"PUT", "/v1/tenants/default/policy", `{"files":{"bundle.yaml":"kind: Bundle"}}`, 422, "policy_invalid", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := h.wantProblem(h.send(c.method, c.path, h.root, c.body), c.status, c.code)
			if c.field != "" && (len(p.Details) == 0 || p.Details[0].Field != c.field) {
				t.Errorf("the field %s is not named: %+v", c.field, p)
			}
		})
	}
	w := h.send(http.MethodPost, "/v1/tenants", h.root, `{"cod":"a"}`)
	if !strings.Contains(w.Body.String(), "did you mean code?") {
		t.Errorf("no hint: %s", w.Body)
	}
	if w := h.send(http.MethodGet, "/v1/enforce", h.root, ""); w.Header().Get("Allow") != "POST" {
		t.Error("Allow is missing")
	}
	h.wantProblem(h.send(http.MethodPost, "/v1/enforce", h.root, question, "Content-Type", "text/plain"), 415, "content_type")
}

// TestServe_panic: a panic is a problem, is counted, and the process lives (F3).
func TestServe_panic(t *testing.T) {
	h := newHouse(t)
	calls := 0
	fine := time.Now()
	h.now = func() time.Time {
		if calls++; calls == 2 { // the first call is the door's own
			panic("clock out of order: secret")
		}
		return fine
	}
	w := h.send(http.MethodPost, "/v1/enforce", h.root, question)
	h.wantProblem(w, 500, "internal")
	if strings.Contains(w.Body.String(), "secret") {
		t.Error("the cause leaks")
	}
	if !strings.Contains(h.log.String(), "clock out of order") {
		t.Error("the cause is not in the log")
	}
	if page := h.send(http.MethodGet, "/metrics", "", "").Body.String(); !strings.Contains(page, "bailiwick_panics_total 1") {
		t.Error("the panic is not counted")
	}
	if w := h.send(http.MethodPost, "/v1/enforce", h.root, question); w.Code != 200 {
		t.Error("the process does not answer any more")
	}
}

// TestServe_stale: a process that cannot confirm its revision answers 503 (C4).
func TestServe_stale(t *testing.T) {
	h := newHouse(t)
	at := time.Now()
	h.now = func() time.Time { return at }
	h.must(h.follower.Poll(context.Background()))
	at = at.Add(never)
	if w := h.send(http.MethodPost, "/v1/enforce", h.root, question); w.Code != 200 {
		t.Fatalf("at the last moment: %d", w.Code)
	}
	at = at.Add(time.Millisecond)
	for _, path := range []string{"/v1/enforce", "/v1/explain"} {
		w := h.send(http.MethodPost, path, h.root, question)
		h.wantProblem(w, 503, "unavailable")
		if w.Header().Get("Retry-After") == "" {
			t.Error("Retry-After is missing")
		}
	}
	h.wantProblem(h.send(http.MethodPost, one, h.root, body(alice, read, rec1)), 503, "unavailable")
	h.wantProblem(h.send(http.MethodPost, one, h.root, body(alice, `"action":{"name":"GET"}`, rec1)), 503, "unavailable")
	w := h.send(http.MethodGet, "/readyz", "", "")
	if w.Code != 503 || !strings.Contains(w.Body.String(), "could not be confirmed for 1h0m0s") {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
	h.must(h.follower.Poll(context.Background()))
	if got := decode[api.Health](t, h.send(http.MethodGet, "/readyz", "", "")); got.Status != "ok" {
		t.Errorf("readyz: %+v", got)
	}
}
