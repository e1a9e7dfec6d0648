package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
)

func TestActions_threeForms(t *testing.T) {
	for text, want := range map[string]api.Actions{
		`"show"`: api.Do("show"), `["show","update"]`: api.Do("show", "update"), `10`: {Sum: 10},
	} {
		var got api.Actions
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != text {
			t.Errorf("%s: comes back as %s, %v", text, back, err)
		}
	}
	var got api.Actions
	for _, bad := range []string{`1.5`, `true`, `{}`, `[1]`} {
		if json.Unmarshal([]byte(bad), &got) == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestRequireHTTP_onlyAllowLetsThrough(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		kind   string
		body   string
		want   int
	}{
		"allowed":             {200, "application/json", `{"decision":true,"reason":"granted_by"}`, 200},
		"denied":              {200, "application/json", `{"decision":false,"reason":"no_grant"}`, 403},
		"no decision in it":   {200, "application/json", `{}`, 403},
		"half an answer":      {200, "application/json", `{"decision":true,"reason":`, 503},
		"wrong types":         {200, "application/json", `{"decision":true,"reason":5}`, 503},
		"a sign-in page":      {200, "text/html", `{"decision":true}`, 503},
		"a redirect":          {302, "text/html", ``, 503},
		"stale":               {503, "application/problem+json", `{"status":503,"code":"unavailable","message":"later"}`, 503},
		"a key that is wrong": {401, "application/problem+json", `{"status":401,"code":"unauthenticated","message":"no"}`, 503},
		"a bad gateway":       {502, "application/json", `{"decision":true}`, 503},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				if r.URL.Path != "/t/crm/v1/enforce" {
					_, _ = w.Write([]byte(`{"decision":true}`)) // where a redirect or a wrong path would lead
					return
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			ran := false
			guarded := api.RequireHTTP(&api.Client{URL: server.URL, Tenant: "crm"},
				func(*http.Request) (api.Request, error) { return api.Request{Subject: "user:alice"}, nil },
				http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true }))
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			if w.Code != c.want || ran != (c.want == 200) {
				t.Errorf("got %d, ran %v", w.Code, ran)
			}
		})
	}
}

func TestClient_givesUp(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	d, err := (&api.Client{URL: server.URL}).Check(ctx, api.Request{})
	if !errors.Is(err, context.DeadlineExceeded) || d.Allowed {
		t.Errorf("got %+v, %v", d, err)
	}
}
