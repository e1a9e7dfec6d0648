package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// TestLimits tests every limit of F5 at N and at N+1.
func TestLimits(t *testing.T) {
	h := newHouse(t)
	padded := func(size int) string {
		return question[:len(question)-1] + `,"pad":"` + strings.Repeat("x", size-len(question)-9) + `"}`
	}
	subject := func(n int) string {
		return `{"subject":"user:` + strings.Repeat("a", n) + `","section":"record","action":"read"}`
	}
	resource := func(n int) string {
		return body(alice, read, `"resource":{"type":"record","id":"`+strings.Repeat("a", n)+`"}`)
	}
	evaluations := func(n int) string {
		return body(alice, read, `"evaluations":[{`+rec1+`}`+strings.Repeat(`,{`+rec1+`}`, n-1)+`]`)
	}
	batch := func(n int) string {
		return `{"requests":[` + question + strings.Repeat(`,`+question, n-1) + `]}`
	}
	policy := func(size int) string {
		b := policyBody(`"dry_run":true`)
		return b[:len(b)-1] + strings.Repeat(" ", size-len(b)) + "}"
	}
	for name, c := range map[string]struct {
		method, path string
		make         func(int) string
		n, status    int // the status at n+1
		code         string
	}{
		"bytes of a body":          {"POST", "/v1/enforce", padded, 1 << 20, 413, "too_large"},
		"bytes of a policy":        {"PUT", "/v1/tenants/default/policy", policy, 16 << 20, 413, "too_large"},
		"bytes of a subject's id":  {"POST", "/v1/enforce", subject, 98, 400, "invalid"},
		"bytes of a resource's id": {"POST", one, resource, 256, 400, "invalid"},
		"questions of a batch":     {"POST", "/v1/enforce/batch", batch, 100, 400, "invalid"},
		"questions of AuthZEN":     {"POST", many, evaluations, 100, 400, "invalid"},
		"members of an object":     {"POST", "/v1/enforce", func(n int) string { return question[:len(question)-1] + "," + members(n - 3)[1:] }, 1000, 400, "json_invalid"},
		"depth": {"POST", "/v1/enforce", func(n int) string {
			return `{"subject":"user:alice","section":"record","action":"read","x":` + nested(n-1) + `}`
		}, 32, 400, "json_invalid"},
		"depth of free form": {"POST", "/v1/enforce", func(n int) string {
			return `{"subject":"user:alice","section":"record","action":"read","context":{"x":` + nested(n-2) + `}}`
		}, 32, 400, "json_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			if w := h.send(c.method, c.path, h.root, c.make(c.n)); w.Code != 200 {
				t.Errorf("%d: got %d %.300s", c.n, w.Code, w.Body)
			}
			h.wantProblem(h.send(c.method, c.path, h.root, c.make(c.n+1)), c.status, c.code)
		})
	}
	t.Run("a body that does not say its length", func(t *testing.T) {
		for n, want := range map[int]int{1 << 20: 200, 1<<20 + 1: 413} {
			r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/enforce", io.NopCloser(strings.NewReader(padded(n))))
			h.must(err)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-API-Key", h.root)
			w := &recorder{header: http.Header{}}
			if h.server.Handler().ServeHTTP(w, r); w.status != want {
				t.Errorf("%d: got %d", n, w.status)
			}
		}
	})
	t.Run("request id", func(t *testing.T) {
		for id, echoed := range map[string]bool{
			strings.Repeat("a", 128): true, strings.Repeat("a", 129): false, "a b": false, "a\x7f": false, "ä": false, "~!": true,
		} {
			w := h.send(http.MethodPost, "/v1/enforce", h.root, question, "X-Request-ID", id)
			if got := w.Header().Get("X-Request-ID"); (got == id) != echoed || got == "" || len(got) > 128 {
				t.Errorf("%q becomes %q", id, got)
			}
		}
	})
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

// start serves on a loopback port until the test ends or stop is called.
func (h *house) start() (address string, stop func() error) {
	h.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	h.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(ctx, l) }()
	stopped := false
	stop = func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		return <-done
	}
	h.t.Cleanup(func() { _ = stop() })
	return l.Addr().String(), stop
}

// TestServer_headLimit: the request line and all headers, 64 KiB (F5).
func TestServer_headLimit(t *testing.T) {
	h := newHouse(t)
	address, _ := h.start()
	for n, want := range map[int]int{64 << 10: 200, 64<<10 + 1: 431} {
		head := "GET /livez HTTP/1.1\r\nHost: x\r\nX-Pad: "
		head += strings.Repeat("a", n-len(head)-4) + "\r\n\r\n"
		if got := raw(t, address, head); got.StatusCode != want {
			t.Errorf("%d bytes: got %d", n, got.StatusCode)
		}
	}
}

func raw(t *testing.T, address, text string) *http.Response {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(never))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Body.Close() })
	return r
}

// TestServer_timeouts pins the figures of F5 to the server that is built.
func TestServer_timeouts(t *testing.T) {
	h := newHouse(t)
	s := httpapi.HTTP(h.server)
	got := fmt.Sprint(s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout)
	if got != "5s 10s 30s 1m0s" {
		t.Errorf("got %s", got)
	}
	ours := httpapi.Bounds{Head: 8192, ReadHeader: 1, Read: 2, Write: 3, Idle: 4}
	bounded, err := httpapi.NewServer(httpapi.Options{Bounds: ours})
	h.must(err)
	s = httpapi.HTTP(bounded)
	if got := fmt.Sprint(s.MaxHeaderBytes, s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout); got != "4096 1ns 2ns 3ns 4ns" {
		t.Errorf("bounds that were set: got %s", got)
	}
}

// TestServer_stopsGracefully: what has begun is finished, and /readyz says that
// nothing new should come.
func TestServer_stopsGracefully(t *testing.T) {
	h := newHouse(t)
	began := make(chan struct{}, 1)
	door := h.server.Handler()
	httpapi.HTTP(h.server).Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		door.ServeHTTP(w, r)
	})
	address, stop := h.start()
	c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	h.must(err)
	defer c.Close()
	_, err = fmt.Fprintf(c, "POST /v1/enforce HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n%s",
		h.root, len(question), question[:10])
	h.must(err)
	<-began
	done := make(chan error, 1)
	go func() { done <- stop() }()
	for h.send(http.MethodGet, "/readyz", "", "").Code != 503 {
		time.Sleep(time.Millisecond)
	}
	_, err = io.WriteString(c, question[10:])
	h.must(err)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != 200 {
		t.Errorf("what had begun was not finished: %v %v", r, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestServer_saysNothingOfItself: no server or version headers, and the headers
// that browsers and proxies go by.
func TestServer_saysNothingOfItself(t *testing.T) {
	h := newHouse(t)
	address, _ := h.start()
	for _, path := range []string{"/livez", "/docs", "/nothing", "/v1/enforce"} {
		r := raw(t, address, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		for _, name := range []string{"Server", "X-Powered-By", "Via"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s: %s is %q", path, name, r.Header.Get(name))
			}
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Strict-Transport-Security": "max-age=31536000",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if csp := r.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: %q", path, csp)
		}
	}
}

// TestServer_publicURL: without configuration it is what is listened on.
func TestServer_publicURL(t *testing.T) {
	h := newHouse(t, func(o *httpapi.Options) { o.PublicURL = "" })
	address, _ := h.start()
	r := raw(t, address, "GET /.well-known/authzen-configuration HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
	text, _ := io.ReadAll(r.Body)
	if !strings.Contains(string(text), `"policy_decision_point":"http://`+address+`"`) {
		t.Errorf("got %s", text)
	}
}

// TestLog_client: nobody may say whom a request comes from, unless trusted.
func TestLog_client(t *testing.T) {
	for trusted, want := range map[string]string{"": "192.0.2.1", "192.0.2.1": "203.0.113.9"} {
		h := newHouse(t, func(o *httpapi.Options) {
			if trusted != "" {
				o.TrustedProxies = []string{trusted}
			}
		})
		h.send(http.MethodPost, "/v1/enforce", h.key[access.KeyDecide], question, "X-Forwarded-For", "203.0.113.9")
		if !strings.Contains(h.log.String(), `"client":"`+want+`"`) {
			t.Errorf("trusting %q: want %s in %s", trusted, want, h.log)
		}
	}
}
