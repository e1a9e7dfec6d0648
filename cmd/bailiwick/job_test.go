package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"
)

// ciJob is a job of GitHub's form (steps) or of GitLab's (script).
type ciJob struct {
	Environment any               `yaml:"environment"`
	Env         map[string]string `yaml:"env"`
	Variables   map[string]string `yaml:"variables"`
	Script      []string          `yaml:"script"`
	Steps       []struct {
		Name, Uses, Run string
		Env             map[string]string
	}
}

type ciFile struct {
	Env         map[string]string
	Variables   map[string]string
	Permissions map[string]string
	On          map[string]any
	Jobs        map[string]ciJob
}

// readCI reads a file of either form strictly enough to run it.
func readCI(path string) (ciFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return ciFile{}, err
	}
	var f ciFile
	if err := yaml.Unmarshal(text, &f); err != nil || len(f.Jobs) > 0 {
		return f, err
	}
	var all map[string]yaml.Node
	if err := yaml.Unmarshal(text, &all); err != nil {
		return f, err
	}
	f.Jobs = map[string]ciJob{}
	for name, node := range all {
		var j ciJob
		if node.Decode(&j) == nil && len(j.Script) > 0 {
			f.Jobs[name] = j
		}
	}
	return f, nil
}

// runJob gives each step what the file says but for secrets, for which the
// script's own environment stands.
func runJob(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: job FILE JOB")
	}
	f, err := readCI(ts.MkAbs(args[0]))
	ts.Check(err)
	job, known := f.Jobs[args[1]]
	if !known {
		ts.Fatalf("%s has no job %s", args[0], args[1])
	}
	steps := []string{strings.Join(job.Script, "\n")}
	for _, s := range job.Steps {
		if s.Run != "" && s.Name != "Install" {
			steps = append(steps, exports(s.Env)+s.Run)
		}
	}
	before := exports(f.Env) + exports(f.Variables) + exports(job.Env) + exports(job.Variables)
	for _, step := range steps {
		if err = ts.Exec("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", before+step); err != nil {
			break
		}
	}
	if failed := err != nil; failed != neg {
		ts.Fatalf("the job ended with %v", err)
	}
}

func exports(env map[string]string) string {
	var all strings.Builder
	for name, value := range env {
		if !strings.Contains(value, "${{") && !strings.HasPrefix(value, "$") && os.Getenv(name) == "" {
			all.WriteString("export " + name + "='" + value + "'\n")
		}
	}
	return all.String()
}

func takeNotes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: note FILE")
	}
	file := ts.MkAbs(args[0])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(file, []byte(r.Method+" "+r.URL.Path+" "+r.Header.Get("Private-Token")+"\n"+string(body)), 0o600)
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("NOTES", server.URL)
}

// TestCI: the examples of CI files hold what keeps secrets: no pull_request_target,
// no right to write but where a comment is made, no key where files of others run
// a program, and keys by reference alone.
func TestCI(t *testing.T) {
	for _, path := range []string{"../../conf/git/github-actions.yml", "../../conf/git/gitlab-ci.yml"} {
		f, err := readCI(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"check", "plan", "apply", "drift"} {
			if len(f.Jobs[name].Steps)+len(f.Jobs[name].Script) == 0 {
				t.Errorf("%s: no job %s", path, name)
			}
		}
		if f.Jobs["apply"].Environment != "production" || f.Jobs["plan"].Environment != nil {
			t.Errorf("%s: the key that may change is of the environment production alone", path)
		}
		for name, job := range f.Jobs {
			env := []map[string]string{f.Env, f.Variables, job.Env, job.Variables}
			for _, s := range job.Steps {
				if s.Name == "Install" && len(s.Env) > 0 {
					t.Errorf("%s: %s: what is installed sees %v", path, name, s.Env)
				}
				env = append(env, s.Env)
			}
			for _, e := range env {
				if key, has := e["BAILIWICK_API_KEY"]; has && (!strings.HasPrefix(key, "$") || name == "check" || (name == "apply") != strings.Contains(key, "ADMIN")) {
					t.Errorf("%s: %s: the key is %q", path, name, key)
				}
			}
		}
		if _, target := f.On["pull_request_target"]; target || f.Permissions != nil && f.Permissions["contents"] != "read" || len(f.Permissions) > 1 {
			t.Errorf("%s: on %v with %v", path, f.On, f.Permissions)
		}
	}
}
