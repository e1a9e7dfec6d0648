package main

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// TestServe_withRedis: a server that is told of a Redis uses it, and one whose
// Redis is not there starts and answers all the same.
func TestServe_withRedis(t *testing.T) {
	for name, c := range map[string]struct{ address, want string }{
		"there":     {accesstest.Redis(t), `(?m)^bailiwick_cache_hits_total\{layer="redis"\} [1-9]`},
		"not there": {"127.0.0.1:1", `(?m)^bailiwick_cache_redis_(errors|refused)_total [1-9]`},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, `"url"`, "serve", "--dev", "-o", "json", "--listen", "127.0.0.1:0",
				"--cache-redis-addresses", c.address, "--cache-redis-mode", "always", "--cache-redis-timeout", "1s", "--cache-memory", "0")
			var ready readyAnswer
			if err := json.Unmarshal([]byte(server.out.String()), &ready); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(patience); ; {
				answer := fetch(t, ready.URL+"/v1/enforce", ready.APIKey,
					`{"subject":"user:clerk-1","action":"show","section":"Shop.Orders","scope":"store:market"}`)
				if !strings.Contains(answer, `"allowed":true`) && !strings.Contains(answer, `"decision":true`) {
					t.Fatalf("got %s", answer)
				}
				metrics := fetch(t, ready.URL+"/metrics", ready.APIKey, "")
				if regexp.MustCompile(c.want).MatchString(metrics) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s is not in\n%s", c.want, metrics)
				}
			}
			if code := server.stop(); code != 0 {
				t.Errorf("it ended with code %d", code)
			}
		})
	}
}

// fetch asks a server, by POST where there is a body.
func fetch(t *testing.T, url, key, body string) string {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
