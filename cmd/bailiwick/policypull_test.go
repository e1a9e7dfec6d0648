package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// TestPull_onlyPolicyFiles: a server that is not what it seems sends files that whoever
// pulls would rather not have written.
func TestPull_onlyPolicyFiles(t *testing.T) {
	good := "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: shop\n"
	for _, name := range []string{"../outside.yaml", "/outside.yaml", ".git/hooks/pre-commit", "_x.yaml", "groups/../../outside.yaml", "groups/.x.yaml", "README.md", ""} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := pull{dir: filepath.Join(dir, "in"), theirs: api.PolicyFiles{Tenant: "shop", Revision: 1, Files: map[string]string{"bundle.yaml": good, name: "x"}}}
			if err := p.run(); err == nil || !strings.Contains(err.Error(), "is not the name of a policy file") {
				t.Errorf("got %v", err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("something was written: %v %v", left, err)
			}
		})
	}
}

// TestPull_linksOutside: nothing is written or removed where links of the folder lead.
func TestPull_linksOutside(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for _, d := range []string{in, out} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(out, filepath.Join(in, "groups")); err != nil {
		t.Fatal(err)
	}
	p := pull{dir: in, theirs: api.PolicyFiles{Tenant: "shop", Revision: 1, Files: map[string]string{
		"bundle.yaml":       "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: shop\n",
		"groups/sales.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: sales\n",
	}}}
	if err := p.run(); err == nil {
		t.Error("what was asked for could not be done, and nobody was told")
	}
	if err := p.bring(); err == nil {
		t.Error("what was asked for could not be done, and nobody was told")
	}
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("something was written outside: %v %v", left, err)
	}
}
