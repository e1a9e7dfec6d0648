package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
)

// TestServe_shadow: with a fraction the answers are given again by stock Casbin,
// which is shown in the metrics and in readiness; without one there is nothing
// of it.
func TestServe_shadow(t *testing.T) {
	for name, args := range map[string][]string{"off": nil, "on": {"--shadow-fraction", "1"}} {
		t.Run(name, func(t *testing.T) {
			server := start(t, `"api_key"`, append([]string{"serve", "--dev", "--listen", "127.0.0.1:0", "-o", "json"}, args...)...)
			var ready readyAnswer
			if err := json.Unmarshal([]byte(server.out.String()), &ready); err != nil {
				t.Fatal(err)
			}
			client := &api.Client{URL: ready.URL, Key: ready.APIKey, Tenant: "default"}
			for range 7 {
				if d, err := client.Check(t.Context(), sample()); err != nil || !d.Allowed {
					t.Fatalf("%+v, %v", d, err)
				}
			}
			if name == "off" {
				if page := get(t, ready.URL+"/metrics") + get(t, ready.URL+"/readyz"); strings.Contains(page, "shadow") {
					t.Error("shadow mode is on")
				}
				return
			}
			for end := time.Now().Add(patience); !strings.Contains(get(t, ready.URL+"/metrics"), "bailiwick_shadow_compared_total 7\n"); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal(get(t, ready.URL+"/metrics"))
				}
			}
			page := get(t, ready.URL+"/metrics")
			for _, want := range []string{"\nbailiwick_shadow_differences_total 0\n", `bailiwick_shadow_skipped_total{reason="moved"} 0`} {
				if !strings.Contains(page, want) {
					t.Errorf("%s is missing", want)
				}
			}
			if health := get(t, ready.URL+"/readyz"); !strings.Contains(health, `{"name":"shadow","status":"ok"}`) {
				t.Errorf("readyz: %s", health)
			}
		})
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
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
