package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
)

// TestStatus_notReady: a server that refuses questions is not shown as one that
// does well because it still says how it does.
func TestStatus_notReady(t *testing.T) {
	now := time.Now()
	s := api.Status{
		Replica: api.Replica{ID: "asked"},
		Replicas: []api.Replica{
			{ID: "asked", Seen: now}, {ID: "other", Seen: now}, {ID: "late", Seen: now, Behind: 1}, {ID: "ended", Seen: now, Gone: true},
		},
	}
	health := api.Health{Status: "unavailable", Checks: []api.HealthCheck{
		{Name: "policy", Status: "unavailable", Reasons: []string{"the policy could not be confirmed for 12s"}}, {Name: "shadow", Status: "ok"},
	}}
	var text strings.Builder
	writeStatus(&text, s, health)
	for _, want := range []string{
		`^unavailable: the policy could not be confirmed for 12s\n\nSERVER`, `\nasked .* unavailable\n`, `\nother .* ok\n`, `\nlate .* behind\n`,
		`\nended .* gone since \S+\n`,
	} {
		if !regexp.MustCompile(want).MatchString(text.String()) {
			t.Errorf("%s is not in\n%s", want, text.String())
		}
	}
}
