package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/api/middleware"
)

type checker func(api.Request) (api.Decision, error)

func (c checker) Check(_ context.Context, r api.Request) (api.Decision, error) { return c(r) }

// TestGin_onlyAllowLetsThrough, and what is behind does not run otherwise.
func TestGin_onlyAllowLetsThrough(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	for name, c := range map[string]struct {
		answer api.Decision
		err    error
		askErr error
		want   int
	}{
		"allowed":               {api.Decision{Allowed: true}, nil, nil, 200},
		"denied":                {api.Decision{}, nil, nil, 403},
		"no answer":             {api.Decision{}, errors.New("timeout"), nil, 503},
		"an error beside a yes": {api.Decision{Allowed: true}, errors.New("odd"), nil, 503},
		"no question":           {api.Decision{Allowed: true}, nil, errors.New("nobody"), 403},
		"the key is refused":    {api.Decision{Allowed: true}, &api.Problem{Status: 401}, nil, 503},
		"a malformed question":  {api.Decision{Allowed: true}, &api.Problem{Status: 400}, nil, 403},
	} {
		ran := false
		g := gin.New()
		g.GET("/orders", middleware.Gin(
			checker(func(r api.Request) (api.Decision, error) { return c.answer, c.err }),
			func(*http.Request) (api.Request, error) { return api.Request{Subject: "user:alice"}, c.askErr },
		), func(g *gin.Context) { ran = true })
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders", nil))
		if w.Code != c.want || ran != (c.want == 200) {
			t.Errorf("%s: got %d, ran %v", name, w.Code, ran)
		}
	}
}
