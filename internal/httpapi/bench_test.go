package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

const benchBody = `{"subject":"user:alice","action":"show","section":"System.Orders","scope":"store:eu-1","resource":{"type":"order","id":"17","attributes":{"amount":100}}}`

// quiet is what a server in production logs at: no line per question.
func quiet(o *httpapi.Options) {
	o.Log = slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo})) //nolint:sloglint // a level that is on, at its real cost
}

// BenchmarkEnforce is one question through the whole door and the engine,
// without the network. BenchmarkBareGin is what it is measured by.
func BenchmarkEnforce(b *testing.B) {
	h := newHouse(b, quiet)
	ask := h.request("/v1/enforce", benchBody)
	if w := h.send(http.MethodPost, "/v1/enforce", h.key[access.KeyDecide], benchBody); !decode[api.Decision](b, w).Allowed {
		b.Fatal(w.Body)
	}
	drive(b, h.server.Handler(), ask, benchBody)
}

// BenchmarkBareGin binds the same body with gin's usual binding, strips nothing
// and answers a constant.
func BenchmarkBareGin(b *testing.B) {
	h := newHouse(b, quiet)
	drive(b, bareGin(), h.request("/v1/enforce", benchBody), benchBody)
}

// BenchmarkEnforceBatch asks 50 questions at once; BenchmarkBareGinBatch binds
// the same body.
func BenchmarkEnforceBatch(b *testing.B) {
	h := newHouse(b, quiet)
	body := batchBody(50)
	drive(b, h.server.Handler(), h.request("/v1/enforce/batch", body), body)
}

// BenchmarkBareGinBatch binds what BenchmarkEnforceBatch answers.
func BenchmarkBareGinBatch(b *testing.B) {
	h := newHouse(b, quiet)
	body := batchBody(50)
	drive(b, bareGin(), h.request("/v1/enforce/batch", body), body)
}

func batchBody(n int) string {
	var b bytes.Buffer
	b.WriteString(`{"requests":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(benchBody)
	}
	return b.String() + `]}`
}

// boundRequest is what gin's binding fills.
type boundRequest struct {
	Subject  string `json:"subject"`
	Action   string `json:"action"`
	Section  string `json:"section"`
	Scope    string `json:"scope"`
	Resource struct {
		Type       string         `json:"type"`
		ID         string         `json:"id"`
		Attributes map[string]any `json:"attributes"`
	} `json:"resource"`
}

func bareGin() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.POST("/v1/enforce", func(c *gin.Context) {
		var r boundRequest
		if err := c.ShouldBindJSON(&r); err != nil {
			c.AbortWithStatus(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusOK, gin.H{"decision": true, "reason": "granted_by"})
	})
	g.POST("/v1/enforce/batch", func(c *gin.Context) {
		var r struct {
			Requests []boundRequest `json:"requests"`
		}
		if err := c.ShouldBindJSON(&r); err != nil {
			c.AbortWithStatus(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusOK, gin.H{"decisions": make([]gin.H, len(r.Requests))})
	})
	return g
}

// request is one that can be sent again and again.
func (h *house) request(path, body string) *http.Request {
	h.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, path, nil)
	h.must(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+h.key[access.KeyDecide])
	r.Header.Set("User-Agent", "bench")
	r.ContentLength = int64(len(body))
	r.RemoteAddr = "127.0.0.1:1234"
	return r
}

// sink is the cheapest ResponseWriter there is.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

func drive(b *testing.B, handler http.Handler, r *http.Request, body string) {
	b.Helper()
	w := &sink{header: http.Header{}}
	text := []byte(body)
	reader := bytes.NewReader(text)
	r.Body = io.NopCloser(reader)
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(text)
		clear(w.header)
		handler.ServeHTTP(w, r)
	}
	if w.status != http.StatusOK {
		b.Fatal(w.status)
	}
}
