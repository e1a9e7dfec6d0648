package httpapi_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// TestMetrics_exports (Req 18): every way to ask about an export is counted by
// its answer, and nothing else is: neither what is only explained, nor what
// could not be decided.
func TestMetrics_exports(t *testing.T) {
	h := newHouse(t)
	h.load("exports", files(map[string]string{
		"bundle.yaml": "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: exports\n",
		"catalogue/shop.yaml": `apiVersion: bailiwick/v1
kind: Application
code: shop
name: Shop
sections:
  - {path: Shop.Orders, name: Orders, actions: [export]}
  - {path: Shop.Orders.Export, name: Export}
  - {path: Shop.Exporters, name: Exporters}
`,
		"groups/managers.yaml": `apiVersion: bailiwick/v1
kind: Group
code: managers
name: Managers
grants:
  - {section: Shop.Orders.Export, rights: [execute]}
  - {section: Shop.Exporters, rights: [show]}
`,
		"users/all.yaml": "apiVersion: bailiwick/v1\nkind: Users\nusers:\n  - {id: sales-1, groups: [managers]}\n",
	}))
	ask := func(path, body string) { h.send(http.MethodPost, "/t/exports"+path, h.root, body) }
	const (
		allowed = `{"subject":"user:sales-1","action":"execute","section":"Shop.Orders.Export"}`
		denied  = `{"subject":"user:sales-1","action":"export","section":"Shop.Orders"}`
		other   = `{"subject":"user:sales-1","action":"show","section":"Shop.Exporters"}`
	)
	ask("/v1/enforce", allowed)
	ask("/v1/enforce", denied)
	ask("/v1/enforce", other)
	ask("/v1/enforce", `{"subject":5,"section":"Shop.Orders.Export"}`)
	ask("/v1/enforce/batch", `{"requests":[`+allowed+`,`+denied+`,`+other+`]}`)
	ask("/access/v1/evaluation", `{"subject":{"type":"user","id":"sales-1"},"action":{"name":"execute"},"resource":{"type":"Shop.Orders.Export","id":"1"}}`)
	ask("/v1/explain", allowed)
	h.send(http.MethodPost, "/t/made-up-tenant/v1/enforce", h.root, allowed)
	page := h.send(http.MethodGet, "/metrics", "", "").Body.String()
	for _, want := range []string{
		`bailiwick_export_decisions_total{decision="allowed",tenant="exports"} 3`,
		`bailiwick_export_decisions_total{decision="denied",tenant="exports"} 2`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing in\n%s", want, lines(page, "bailiwick_export"))
		}
	}
	if n := strings.Count(page, "\nbailiwick_export_decisions_total{"); n != 2 {
		t.Errorf("there are %d series of exports", n)
	}
}

func lines(page, with string) string {
	all := strings.Split(page, "\n")
	return strings.Join(slices.DeleteFunc(all, func(line string) bool { return !strings.Contains(line, with) }), "\n")
}

// TestMetrics_ready goes with readiness.
func TestMetrics_ready(t *testing.T) {
	h := newHouse(t)
	if page := h.send(http.MethodGet, "/metrics", "", "").Body.String(); !strings.Contains(page, "\nbailiwick_ready 1\n") {
		t.Error("a server that answers is not ready")
	}
	s, err := httpapi.NewServer(unpolled(h))
	h.must(err)
	h.server = s
	if page := h.send(http.MethodGet, "/metrics", "", "").Body.String(); !strings.Contains(page, "\nbailiwick_ready 0\n") {
		t.Error("a server that has read nothing is ready")
	}
}

// TestTrace: a span is named after its route, says what came of the request, and
// tells nothing of what was asked or by whom.
func TestTrace(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	h := newHouse(t, func(o *httpapi.Options) { o.Tracing = sdk.NewTracerProvider(sdk.WithSyncer(kept)) })
	for name, c := range map[string]struct {
		method, path, key, body string
		want                    string // the span's name; none when empty
		status                  int
		tenant                  string
	}{
		"a question":             {"POST", "/v1/enforce", h.root, question, "POST /v1/enforce", 200, "default"},
		"of a tenant":            {"POST", "/t/default/v1/enforce", h.root, question, "POST /t/{tenant}/v1/enforce", 200, "default"},
		"of no tenant":           {"POST", "/t/made-up/v1/enforce", h.root, question, "POST /t/{tenant}/v1/enforce", 404, ""},
		"without a key":          {"POST", "/v1/enforce", "", question, "POST /v1/enforce", 401, ""},
		"a path that is not one": {"GET", "/made-up/4711", "", "", "", 404, ""},
		"a probe":                {"GET", "/readyz", "", "", "", 200, ""},
		"measurements":           {"GET", "/metrics", "", "", "", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			kept.Reset()
			w := h.send(c.method, c.path, c.key, c.body)
			spans := kept.GetSpans()
			if c.want == "" {
				if len(spans) != 0 {
					t.Errorf("there are spans: %v", spans)
				}
				return
			}
			if len(spans) != 1 || spans[0].Name != c.want {
				t.Fatalf("the spans are %v", spans)
			}
			told := map[attribute.Key]string{}
			for _, a := range spans[0].Attributes {
				told[a.Key] = a.Value.String()
			}
			for key, want := range map[attribute.Key]string{
				"http.route": strings.TrimPrefix(c.want, c.method+" "), "http.response.status_code": strconv.Itoa(c.status), "bailiwick.tenant": c.tenant,
			} {
				if told[key] != want {
					t.Errorf("%s is %q, want %q", key, told[key], want)
				}
			}
			if len(told) > 5 || told["bailiwick.request_id"] != w.Header().Get("X-Request-Id") {
				t.Errorf("it tells %v", told)
			}
		})
	}
	if log := h.log.String(); !strings.Contains(log, `"trace_id":"`) {
		t.Error("the log does not lead to the trace")
	}
}

// TestTrace_goesOn: who traces finds our span below his, and what a service
// waits for below ours.
func TestTrace_goesOn(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	h := newHouse(t, func(o *httpapi.Options) { o.Tracing = sdk.NewTracerProvider(sdk.WithSyncer(kept)) })
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	w := h.send(http.MethodGet, "/v1/tenants/default/revisions", h.key[access.KeyAdmin], "", "Traceparent", "00-"+trace+"-"+span+"-01")
	var ours *tracetest.SpanStub
	spans := kept.GetSpans()
	for i, s := range spans {
		if s.SpanContext.TraceID().String() != trace {
			t.Errorf("%s is in trace %s", s.Name, s.SpanContext.TraceID())
		}
		if s.Parent.SpanID().String() == span {
			ours = &spans[i]
		}
	}
	if ours == nil || !ours.Parent.IsRemote() {
		t.Fatalf("%d: no span of ours below the caller's in %v", w.Code, spans)
	}
	if !slices.ContainsFunc(spans, func(s tracetest.SpanStub) bool { return s.Parent.SpanID() == ours.SpanContext.SpanID() }) {
		t.Errorf("the store is not below ours: %v", spans)
	}
}

// TestTrace_off: a caller who traces does not make a server trace.
func TestTrace_off(t *testing.T) {
	h := newHouse(t)
	if strings.Contains(h.log.String(), "trace_id") {
		t.Error("there is a trace")
	}
	w := h.send(http.MethodPost, "/v1/enforce", h.root, question, "Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if w.Code != http.StatusOK || strings.Contains(h.log.String(), "trace_id") {
		t.Errorf("%d: a caller has switched tracing on", w.Code)
	}
}
