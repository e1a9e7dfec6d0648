package bundle_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every code that a test of this room meets is explained, and what is explained
// stands somewhere in the programs.
func TestCodes_areExplained(t *testing.T) {
	explained := map[string]bool{}
	for line := range strings.Lines(texts(t, "../../docs/lint.md")) {
		cell, _, row := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		if !row || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(cell, -1) {
			explained[m[1]] = true
		}
	}
	tests := texts(t, "mistakes_test.go", "silence_test.go", "lint_test.go", "../engine/lint_test.go")
	for _, m := range regexp.MustCompile(`[a-z)"'] \[([a-z]+(?:-[a-z]+)+)\]`).FindAllStringSubmatch(tests, -1) {
		if !explained[m[1]] {
			t.Errorf("docs/lint.md does not explain %s", m[1])
		}
	}
	sources := texts(t, "*.go", "../access/*.go", "../engine/*.go", "../engine/plan/*.go", "../../cmd/bailiwick/*.go")
	for code := range explained {
		_, end, _ := strings.Cut(code, "-") // those that are made of a noun
		if !strings.Contains(sources, `"`+code+`"`) && !strings.Contains(sources, `noun+"-`+end+`"`) {
			t.Errorf("docs/lint.md explains %s, which nothing says", code)
		}
	}
}

// texts joins files.
func texts(t *testing.T, patterns ...string) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}
