package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestMetrics_count shows what is counted, and that no request can add a label.
func TestMetrics_count(t *testing.T) {
	h := newHouse(t)
	for range 3 {
		h.send(http.MethodPost, "/v1/enforce", h.root, question)
	}
	h.send(http.MethodPost, "/v1/enforce/batch", h.root, `{"requests":[`+question+`,{"subject":5}]}`)
	h.send(http.MethodPost, "/t/made-up-tenant/v1/enforce", h.root, question)
	h.send(http.MethodGet, "/made-up-path", "", "")
	page := h.send(http.MethodGet, "/metrics", "", "").Body.String()
	for _, want := range []string{
		`bailiwick_decisions_total{reason="granted_by",tenant="default"} 4`,
		`bailiwick_decisions_total{reason="request_invalid",tenant="default"} 1`,
		`bailiwick_http_requests_total{method="POST",route="/v1/enforce",status="2xx"} 3`,
		`bailiwick_http_request_seconds_count{method="POST",route="/v1/enforce"} 3`,
		`bailiwick_revision{tenant="default"} `, `bailiwick_store_poll_age_seconds `, `bailiwick_reload_failures_total 0`,
		`bailiwick_panics_total 0`, `bailiwick_condition_errors_total 0`, `go_goroutines `, `process_open_fds `,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(page, "made-up") {
		t.Error("a request has made a label")
	}
}

// TestMetrics_apart: on a listener of their own they are not on the public one.
func TestMetrics_apart(t *testing.T) {
	h := newHouse(t, func(o *httpapi.Options) { o.MetricsApart = true })
	h.wantProblem(h.send(http.MethodGet, "/metrics", "", ""), 404, "path_unknown")
	w := httptest.NewRecorder()
	h.server.Metrics().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if !strings.Contains(w.Body.String(), "bailiwick_panics_total") {
		t.Errorf("got %s", w.Body)
	}
}

// TestReadyz_before: a process that has loaded nothing is alive and not ready.
func TestReadyz_before(t *testing.T) {
	h := newHouse(t)
	s, err := httpapi.NewServer(unpolled(h))
	h.must(err)
	h.server = s
	if got := decode[api.Health](t, h.send(http.MethodGet, "/livez", "", "")); got.Status != "ok" {
		t.Errorf("livez: %+v", got)
	}
	w := h.send(http.MethodGet, "/readyz", "", "")
	if w.Code != 503 || !strings.Contains(w.Body.String(), "no policy has been loaded yet") {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
	h.wantProblem(h.send(http.MethodPost, "/v1/enforce", h.key[access.KeyDecide], question), 503, "unavailable")
}

// TestDocs_page: a page that loads nothing and runs nothing, and leads from
// every problem to its meaning.
func TestDocs_page(t *testing.T) {
	h := newHouse(t)
	w := h.send(http.MethodGet, "/docs", "", "")
	page := w.Body.String()
	for _, never := range []string{"<script", "<link", "src=", "@import", "http://cdn", "https://"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %s", never)
		}
	}
	for _, want := range []string{"viewport", "prefers-color-scheme: dark", "/v1/enforce/batch", `id="type-Decision"`, `id="problem-stale"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	ids := map[string]bool{}
	for _, id := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		ids[id[1]] = true
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !ids[link[1]] {
			t.Errorf("#%s leads nowhere", link[1])
		}
	}
	p := h.wantProblem(h.send(http.MethodGet, "/nothing", "", ""), 404, "path_unknown")
	if !ids[strings.TrimPrefix(p.Type, "/docs#")] {
		t.Errorf("%s leads nowhere", p.Type)
	}
}

// TestReadyz_shadow: answers that differ from those of stock Casbin degrade, and
// nothing is said of a comparison that is off.
func TestReadyz_shadow(t *testing.T) {
	for name, tc := range map[string]struct {
		shadow func() []string
		status string
		checks int
	}{
		"off":         {status: "ok", checks: 2},
		"alike":       {shadow: func() []string { return nil }, status: "ok", checks: 3},
		"differences": {shadow: func() []string { return []string{"6 answers differ"} }, status: "degraded", checks: 3},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, func(o *httpapi.Options) { o.Shadow = tc.shadow })
			w := h.send(http.MethodGet, "/readyz", "", "")
			got := decode[api.Health](t, w)
			if w.Code != http.StatusOK || got.Status != tc.status || len(got.Checks) != tc.checks {
				t.Errorf("%d %+v", w.Code, got)
			}
			if last := got.Checks[len(got.Checks)-1]; tc.status == "degraded" && (last.Name != "shadow" || len(last.Reasons) != 1) {
				t.Errorf("%+v", last)
			}
		})
	}
}

// TestReadyz_following: whoever looks sees how far the store is followed, and
// which tenants are late.
func TestReadyz_following(t *testing.T) {
	h := newHouse(t)
	far := neighbour(t, h, 0)
	got := decode[api.Health](t, far.send(http.MethodGet, "/readyz", "", "")).Checks[0].Following
	if got == nil || got.Tenants != 1 || got.Behind != 0 || got.Age == nil || got.Late != nil {
		t.Fatalf("at the head: %+v", got)
	}
	h.follower = service.NewFollower(engine.New(engine.Options{}), unread{h.store}, h.keys, service.FollowerOptions{StaleAfter: never})
	o := h.options
	o.Follower = h.follower
	server, err := httpapi.NewServer(o)
	h.must(err)
	h.server = server
	h.must(h.follower.Poll(t.Context()))
	got = decode[api.Health](t, h.send(http.MethodGet, "/readyz", "", "")).Checks[0].Following
	if got.Behind != 1 || len(got.Late) != 1 || got.Late[0].Code != "default" || got.Late[0].Lag == 0 || got.Late[0].Lag != got.Late[0].Head {
		t.Errorf("behind: %+v", got)
	}
}

// unread is a store whose heads alone can be read.
type unread struct{ *store.Store }

func (unread) Load(context.Context, string) (access.Facts, error) {
	return access.Facts{}, access.Unavailable("not now")
}
