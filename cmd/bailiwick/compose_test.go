package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/internal/config"
)

// TestCompose: conf/compose.yaml holds together, publishes nothing beyond this
// machine, runs images of one version each, and says secrets by file alone.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile("../../conf/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Services map[string]struct {
			Image       string
			Build       any
			Command     any
			Environment map[string]string
			Secrets     []string
			Ports       []string
			Volumes     []string
			Profiles    []string
			DependsOn   yaml.Node `yaml:"depends_on"`
		}
		Secrets map[string]struct{ File string }
		Volumes map[string]any
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, k := range config.Keys() {
		known[k.Variable()] = true
	}
	pinned := regexp.MustCompile(`^[a-z]+:\d+\.\d+\.\d+$|^bailiwick:\$\{VERSION:-local\}$`)
	used := map[string]bool{}
	for name, s := range c.Services {
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %s is not of one version", name, s.Image)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to others", name, p)
			}
		}
		for variable, value := range s.Environment {
			if strings.HasPrefix(variable, "BAILIWICK_") && !known[variable] {
				t.Errorf("%s: there is no setting %s", name, variable)
			}
			if strings.Contains(variable, "PASSWORD") || strings.Contains(variable, "SECRET") || strings.Contains(variable, "DSN") {
				secret, isFile := strings.CutPrefix(value, "/run/secrets/")
				if !strings.HasSuffix(variable, "_FILE") || !isFile || !slices.Contains(s.Secrets, secret) {
					t.Errorf("%s: %s is no file of a secret that it is given", name, variable)
				}
			}
		}
		for _, secret := range s.Secrets {
			used[secret] = true
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			_, named := c.Volumes[from]
			_, err := os.Stat(filepath.Join("../../conf", from))
			if !named && (!strings.HasPrefix(from, "./") || err != nil) {
				t.Errorf("%s: there is no volume %s", name, from)
			}
		}
		for _, on := range dependencies(t, &s.DependsOn) {
			other, there := c.Services[on]
			if !there || len(other.Profiles) > 0 && !slices.Equal(other.Profiles, s.Profiles) {
				t.Errorf("%s depends on %s, which need not run", name, on)
			}
		}
	}
	for secret, s := range c.Secrets {
		if !used[secret] || s.File != "secrets/"+secret || !strings.Contains(string(text), "> conf/"+s.File+"\n") {
			t.Errorf("the secret %s is not used, or nobody is told how to make it", secret)
		}
	}
	replicasOf(t, c.Services["bailiwick"].Environment, c.Services["bailiwick-2"].Environment)
}

// dependencies come as a list, or as keys with conditions.
func dependencies(t *testing.T, n *yaml.Node) []string {
	t.Helper()
	var names []string
	for i, item := range n.Content {
		if n.Kind == yaml.SequenceNode || i%2 == 0 {
			names = append(names, item.Value)
		}
	}
	return names
}

// replicasOf: both answer over the same database with the same secret, and the
// proxy knows both.
func replicasOf(t *testing.T, one, other map[string]string) {
	t.Helper()
	for _, variable := range []string{"BAILIWICK_STORE_DSN_FILE", "BAILIWICK_CACHE_REDIS_ADDRESSES", "BAILIWICK_CACHE_REDIS_SECRET_FILE"} {
		if one[variable] == "" || one[variable] != other[variable] {
			t.Errorf("%s is %q and %q", variable, one[variable], other[variable])
		}
	}
	proxy, err := os.ReadFile("../../conf/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" bailiwick:8080\n", " bailiwick-2:8080\n", "\n    option httpchk GET /readyz\n"} {
		if !strings.Contains(string(proxy), want) {
			t.Errorf("the proxy's configuration lacks %q", want)
		}
	}
}
