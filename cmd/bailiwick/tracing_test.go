package main

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// otlpReceiver is a small collector: it keeps what it is sent over HTTP.
type otlpReceiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
	names map[string]bool // of services
}

func newReceiver(t *testing.T) *otlpReceiver {
	t.Helper()
	r := &otlpReceiver{names: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *otlpReceiver) take(w http.ResponseWriter, q *http.Request) {
	body := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	text, _ := io.ReadAll(body)
	var batch collector.ExportTraceServiceRequest
	if q.URL.Path != "/v1/traces" || proto.Unmarshal(text, &batch) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range batch.ResourceSpans {
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				r.names[a.Value.GetStringValue()] = true
			}
		}
		for _, scope := range resource.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// in gives the spans of one trace, by name; some names come more than once.
func (r *otlpReceiver) in(trace string) map[string][]*otlp.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string][]*otlp.Span{}
	for _, s := range r.spans {
		if hex.EncodeToString(s.TraceId) == trace {
			found[s.Name] = append(found[s.Name], s)
		}
	}
	return found
}

// TestServe_traced asks a real server, whose users are asked for one by one and
// whose answers are kept in Redis, and reads what it has sent to a collector: the
// request goes on with its caller's trace, and what it waited for hangs on it.
func TestServe_traced(t *testing.T) {
	receiver := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	t.Setenv("OTEL_SERVICE_NAME", "access-1")
	server := start(t, `"url"`, "serve", "--dev", "-o", "json", "--listen", "127.0.0.1:0", "--limits-resident-users", "0",
		"--cache-redis-addresses", accesstest.Redis(t), "--cache-redis-mode", "always", "--cache-redis-timeout", "1s", "--cache-memory", "0")
	var ready readyAnswer
	if err := json.Unmarshal([]byte(server.out.String()), &ready); err != nil {
		t.Fatal(err)
	}
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ready.URL+"/v1/enforce",
		strings.NewReader(`{"subject":"user:clerk-1","action":"show","section":"Shop.Orders","scope":"store:market"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+ready.APIKey)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Traceparent", "00-"+trace+"-"+span+"-01")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	http.DefaultClient.CloseIdleConnections()
	if code := server.stop(); code != exitFine { // it sends what is left
		t.Fatalf("it ended with code %d", code)
	}
	receiver.check(t, trace, span)
}

func (r *otlpReceiver) check(t *testing.T, trace, caller string) {
	t.Helper()
	spans := r.in(trace)
	requests := spans["POST /v1/enforce"]
	if len(requests) != 1 || hex.EncodeToString(requests[0].ParentSpanId) != caller {
		t.Fatalf("the request is %v among %d spans", requests, len(r.spans))
	}
	of := map[string]bool{string(requests[0].SpanId): true}
	for _, name := range []string{"redis answers", "read transaction"} {
		for _, s := range spans[name] {
			of[string(s.SpanId)] = true
		}
	}
	for _, name := range []string{"redis answers", "SELECT tenant"} {
		if len(spans[name]) == 0 {
			t.Errorf("there is no %s among %v", name, spans)
		}
		for _, s := range spans[name] {
			if !of[string(s.ParentSpanId)] {
				t.Errorf("%s does not hang on the request: %v", name, s)
			}
		}
	}
	if !r.names["access-1"] {
		t.Errorf("the services are %v", r.names)
	}
	seen := map[string]bool{}
	for _, s := range r.spans {
		seen[s.Name] = true
		if text := s.String(); strings.Contains(text, "clerk") || strings.Contains(text, "Shop") {
			t.Errorf("a span tells what was asked: %s", text)
		}
	}
	for _, name := range []string{"load tenant", "redis.pipeline set"} {
		if !seen[name] {
			t.Errorf("there is no %s among %v", name, seen)
		}
	}
}

// TestTracingWanted: nothing is traced until somebody says where to, and what is
// not offered is refused rather than replaced.
func TestTracingWanted(t *testing.T) {
	const address, traces = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	for name, c := range map[string]struct {
		env     map[string]string
		want    bool
		mistake string
	}{
		"nothing is said":       {nil, false, ""},
		"an address":            {map[string]string{address: "http://127.0.0.1:4318"}, true, ""},
		"an address for traces": {map[string]string{traces: "http://127.0.0.1:4318/v1/traces"}, true, ""},
		"the usual address":     {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		"for others only":       {map[string]string{address: "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		"switched off":          {map[string]string{address: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "TRUE"}, false, ""},
		"another exporter":      {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, "OTEL_TRACES_EXPORTER"},
		"another protocol":      {map[string]string{address: "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, "OTEL_EXPORTER_OTLP_PROTOCOL"},
	} {
		t.Run(name, func(t *testing.T) {
			wanted, err := tracingWanted(func(name string) string { return c.env[name] })
			if wanted != c.want || (err == nil) != (c.mistake == "") {
				t.Fatalf("got %v, %v", wanted, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), c.mistake+": ") {
				t.Errorf("it does not name the variable: %v", err)
			}
		})
	}
}

// TestTracing_off: without tracing nothing stands between the rooms.
func TestTracing_off(t *testing.T) {
	off, err := openTracing(t.Context(), func(string) string { return "" }, slog.New(slog.DiscardHandler))
	if err != nil || off.spans() != nil {
		t.Fatalf("%v, %v", off.spans(), err)
	}
	s := &noted{}
	if got := traceReading(s, off); got != storage(s) {
		t.Errorf("%T stands before the storage", got)
	}
	off.close()
}

// TestTracing_deadCollector: a collector that is not there costs the end of a
// server a few seconds at most, and no error.
func TestTracing_deadCollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	server := start(t, `"url"`, "serve", "--dev", "-o", "json", "--listen", "127.0.0.1:0")
	var ready readyAnswer
	if err := json.Unmarshal([]byte(server.out.String()), &ready); err != nil {
		t.Fatal(err)
	}
	if answer := fetch(t, ready.URL+"/v1/tenants", ready.APIKey, ""); !strings.Contains(answer, "call-center") {
		t.Errorf("got %s", answer)
	}
	began := time.Now()
	if code := server.stop(); code != exitFine {
		t.Errorf("it ended with code %d after %s", code, time.Since(began))
	}
}
