package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// settle writes every refused attempt that waits.
func (h *house) settle() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.refusals.Run(ctx)
}

func (h *house) refused(query string) []api.RefusedAttempt {
	h.t.Helper()
	h.settle()
	return decode[api.RefusedAttempts](h.t, h.send(http.MethodGet, "/v1/tenants/default/refusals?"+query, h.key[access.KeyRead], "")).Refusals
}

// TestRefusals_recorded: a caller who may not is refused, and the attempt stands
// where auditors see it (Req 52, A1).
func TestRefusals_recorded(t *testing.T) {
	h := newHouse(t)
	for _, r := range []struct{ method, path, body string }{
		{http.MethodPost, "/v1/tenants/default/users", `{"id":"eve"}`},
		{http.MethodDelete, "/v1/tenants/default/groups/writers", ""},
		{http.MethodPut, "/v1/tenants/default/policy", policyBody()},
		{http.MethodPost, "/v1/tenants/default/keys", `{"kind":"admin","name":"mine"}`},
		{http.MethodGet, "/v1/tenants/default/users", ""},
	} {
		key := h.key[access.KeyDecide]
		if w := h.send(r.method, r.path, key, r.body, "X-Request-Id", "try-"+r.method+r.path); w.Code != http.StatusForbidden {
			t.Fatalf("%s %s: %d %s", r.method, r.path, w.Code, w.Body)
		}
	}
	got := h.refused("")
	if len(got) != 5 {
		t.Fatalf("%d of 5 are recorded: %+v", len(got), got)
	}
	for _, a := range got {
		if a.Caller != "key:test-decide" || !strings.HasPrefix(a.RequestID, "try-") || a.Need == "" || a.Why == "" || a.At.IsZero() || a.Times != 1 || a.ID == "" {
			t.Errorf("%+v", a)
		}
	}
	for query, want := range map[string]int{
		"caller=key:nobody": 0, "caller=key:test-decide": 5, "need=Users": 2, "need=Users/insert": 1, "need=User": 0,
		"request_id=" + url.QueryEscape(got[0].RequestID): 1, "from=2000-01-01T00:00:00Z": 5, "until=2000-01-01T00:00:00Z": 0,
		"page_size=2": 2,
	} {
		if all := h.refused(query); len(all) != want {
			t.Errorf("%s: %d, want %d: %+v", query, len(all), want, all)
		}
	}
	h.send(http.MethodPost, "/v1/tenants/default/users", h.key[access.KeyAdmin], `{"id":"good"}`)
	if len(h.refused("")) != 5 {
		t.Error("what was allowed, or asked before by the reader, counts as refused")
	}
	h.wantProblem(h.send(http.MethodGet, "/v1/tenants/default/refusals", h.key[access.KeyDecide], ""), 403, "forbidden")
}

// TestRefusals_flood: a caller who tries without end fills a bounded number of
// rows, and how often he tried is told. Others are recorded meanwhile.
func TestRefusals_flood(t *testing.T) {
	h := newHouse(t)
	minute := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h.now = func() time.Time { return minute }
	r := service.NewRefusals(h.store, service.RefusalsOptions{PerMinute: 10, Clock: func() time.Time { return minute }})
	r.Under(h.authority, h.follower)
	for range 500 {
		r.Note(access.RefusedAttempt{Tenant: "default", Caller: "key:flood", Why: "no"})
	}
	r.Note(access.RefusedAttempt{Tenant: "default", Caller: "key:other", Why: "no"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Run(ctx)
	all, next, err := r.List(t.Context(), rootCaller, "default", access.RefusalSearch{}, service.Page{Size: 100})
	h.must(err)
	times, rows := map[string]int{}, map[string]int{}
	for _, a := range all {
		times[a.Caller] += a.Times
		rows[a.Caller]++
	}
	if next != "" || rows["key:flood"] != 11 || times["key:flood"] != 500 || times["key:other"] != 1 {
		t.Errorf("rows %v, times %v", rows, times)
	}
	page, next, err := r.List(t.Context(), rootCaller, "default", access.RefusalSearch{}, service.Page{Size: 7})
	h.must(err)
	rest, last, err := r.List(t.Context(), rootCaller, "default", access.RefusalSearch{}, service.Page{Size: 7, Token: next})
	if h.must(err); len(page)+len(rest) != 12 || last != "" {
		t.Errorf("pages of %d and %d, %q", len(page), len(rest), last)
	}
}

// fullStore cannot keep a refusal.
type fullStore struct{ service.RefusalStore }

func (fullStore) KeepRefusals(context.Context, []access.RefusedAttempt) error {
	return errors.New("the disk is full")
}

// TestRefusals_lost: where an attempt cannot be recorded its refusal stands, and
// an alarm counts (A1).
func TestRefusals_lost(t *testing.T) {
	h := newHouse(t)
	r := service.NewRefusals(fullStore{h.store}, service.RefusalsOptions{})
	a := service.NewAuthority(h.engine, h.follower, service.AuthorityOptions{Refusals: r})
	caller := access.Caller{Name: "key:x", Tenant: "default", May: access.KeyDecide}
	_, err := a.Allow(t.Context(), caller, "default", service.Need{Part: "Users", Action: "update"})
	if !errors.Is(err, access.ErrForbidden) || !service.Noted(err) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Run(ctx)
	if kept, lost := r.Counts(); kept != 0 || lost != 1 || len(r.Trouble()) != 1 {
		t.Errorf("kept %d, lost %d, %q", kept, lost, r.Trouble())
	}
}

// TestTrail_overHTTP: the history comes whole, and with an end.
func TestTrail_overHTTP(t *testing.T) {
	h := newHouse(t)
	w := h.send(http.MethodGet, "/v1/tenants/default/trail", h.key[access.KeyRead], "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if !strings.Contains(lines[0], `"kind":"head"`) || !strings.Contains(lines[len(lines)-1], `"kind":"end"`) {
		t.Errorf("it begins with %s and ends with %s", lines[0], lines[len(lines)-1])
	}
	for _, secret := range []string{strings.SplitN(h.root, "_", 3)[2], strings.SplitN(h.key[access.KeyAdmin], "_", 3)[2]} {
		if strings.Contains(w.Body.String(), secret) {
			t.Error("the secret of a key is in it")
		}
	}
	h.wantProblem(h.send(http.MethodGet, "/v1/tenants/nowhere/trail", h.root, ""), 404, "not_found")
}
