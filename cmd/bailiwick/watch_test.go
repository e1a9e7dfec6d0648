package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// alerting is conf/alerts.yaml, as far as it is ours.
type alerting struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert       string
			Expr        string
			For         string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

// promised are the alerts that docs/operations.md explains.
var promised = []string{
	"BailiwickBehind", "BailiwickConditionErrors", "BailiwickDecisionErrors", "BailiwickDecisionsLost", "BailiwickDown", "BailiwickExportsDenied",
	"BailiwickFirstExports", "BailiwickForgedAnswers", "BailiwickForgedNews", "BailiwickLag", "BailiwickMailFailing", "BailiwickMailGivenUp", "BailiwickMailLate", "BailiwickMemory", "BailiwickNotReady", "BailiwickNotSigned",
	"BailiwickOverloaded", "BailiwickPanics", "BailiwickRedisLeftAlone", "BailiwickRefusalsLost", "BailiwickReplayDiffers", "BailiwickRevocationSlow", "BailiwickShadowDifference",
	"BailiwickStale", "BailiwickStoreFailures", "BailiwickUnusualExports",
}

// TestAlerts: every alert that was promised is there, is explained, and goes by
// measures that a server really has. (Req 18: exports.)
func TestAlerts(t *testing.T) {
	var all alerting
	text, err := os.ReadFile("../../conf/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	series := scrape(t)
	var names []string
	for _, g := range all.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Alert)
			if !strings.Contains(string(manual), "`"+r.Alert+"`") {
				t.Errorf("%s is not explained in docs/operations.md", r.Alert)
			}
			if s := r.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s has severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" {
				t.Errorf("%s does not say what it is about", r.Alert)
			}
			series.check(t, r.Alert, r.Expr)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, promised) {
		t.Errorf("the alerts are\n%v, and promised are\n%v", names, promised)
	}
}

// TestDashboard: every panel shows measures that a server really has.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../conf/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Definition string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	series := scrape(t)
	ids := map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("%s has the number of another panel", p.Title)
		}
		ids[p.ID] = true
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("%s shows %d measures", p.Title, len(p.Targets))
		}
		for _, target := range p.Targets {
			series.check(t, p.Title, target.Expr)
		}
	}
	for _, v := range board.Templating.List {
		of := labelValues.FindStringSubmatch(v.Definition)
		if v.Definition != "" && (of == nil || !slices.Contains(series[of[1]], of[2])) {
			t.Errorf("no server has the values of %s", v.Definition)
		}
	}
}

// measures are the labels of each measure that a server has, by its name.
type measures map[string][]string

// scrape asks a server that uses Redis and compares with stock Casbin for its
// measures, after something of each kind has happened.
func scrape(t *testing.T) measures {
	t.Helper()
	server := start(t, `"url"`, "serve", "--dev", "-o", "json", "--listen", "127.0.0.1:0", "--shadow-fraction", "1",
		"--cache-redis-addresses", accesstest.Redis(t))
	var ready readyAnswer
	if err := json.Unmarshal([]byte(server.out.String()), &ready); err != nil {
		t.Fatal(err)
	}
	fetch(t, ready.URL+"/t/crm-groups/v1/enforce", ready.APIKey, `{"subject":"user:admin-1","section":"CRM.Orders.Export","action":"execute"}`)
	found := measures{"up": {"job", "instance"}}
	for _, line := range regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? `).FindAllStringSubmatch(fetch(t, ready.URL+"/metrics", "", ""), -1) {
		labels := []string{"job", "instance"} // Prometheus adds them
		for _, l := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(line[2], -1) {
			labels = append(labels, l[1])
		}
		found[line[1]] = labels
	}
	return found
}

var (
	measureName = regexp.MustCompile(`\b((?:bailiwick|go|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?`)
	labelName   = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping    = regexp.MustCompile(`by \(([^)]*)\)`)
	labelValues = regexp.MustCompile(`^label_values\(([a-z_]+), ([a-z_]+)\)$`)
	quoted      = regexp.MustCompile(`"[^"]*"`)
)

// check fails where an expression names a measure or a label that is not there.
func (m measures) check(t *testing.T, where, expr string) {
	t.Helper()
	uses := measureName.FindAllStringSubmatch(expr, -1)
	var labels []string
	for _, u := range uses {
		known, ok := m[u[1]]
		if !ok {
			t.Errorf("%s: no server has %s", where, u[1])
		}
		labels = append(labels, known...)
		for _, l := range labelName.FindAllStringSubmatch(quoted.ReplaceAllString(u[2], `""`), -1) {
			if !slices.Contains(known, l[1]) {
				t.Errorf("%s: %s has no label %s", where, u[1], l[1])
			}
		}
	}
	if len(uses) == 0 && expr != "" {
		t.Errorf("%s: %q goes by nothing", where, expr)
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, l := range strings.Split(g[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(labels, l) {
				t.Errorf("%s: nothing has a label %s", where, l)
			}
		}
	}
}
