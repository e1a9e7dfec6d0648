package bundle_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/engine"
)

var example = regexp.MustCompile("(?s)<!-- file: (\\S+) -->\n```\\w+\n(.*?)```")

// guide gives the text of the policy guide and the bundle that its examples are.
func guide(t *testing.T) (string, fstest.MapFS) {
	t.Helper()
	text, err := os.ReadFile("../../docs/policy-guide.md")
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for _, m := range example.FindAllStringSubmatch(string(text), -1) {
		fsys[m[1]] = &fstest.MapFile{Data: []byte(m[2])}
	}
	return string(text), fsys
}

func TestGuide_examplesAreTrue(t *testing.T) {
	text, fsys := guide(t)
	if marked, blocks := len(fsys), strings.Count(text, "```yaml")+strings.Count(text, "```csv"); marked != blocks {
		t.Errorf("%d of %d examples name their file", marked, blocks)
	}
	b, problems, err := bundle.Lint(fsys, bundle.Options{ModelOf: engine.ModelOf})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	report, err := bundle.RunTests(b, func(p *access.Policy) (bundle.Decide, error) {
		s, err := engine.Compile(p.Facts())
		if err != nil {
			return nil, err
		}
		return s.Decide, nil
	}, bundle.RunOptions{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Passed() {
		var out strings.Builder
		_ = report.Text(&out, false)
		t.Error(out.String())
	}
	for name, f := range fsys {
		if got := format(t, name, string(f.Data)); got != string(f.Data) {
			t.Errorf("%s is not formatted; write\n%s", name, got)
		}
	}
}

func TestGuide_namesEveryKey(t *testing.T) {
	text, _ := guide(t)
	for _, key := range bundle.Keys() {
		if !regexp.MustCompile("`[^`]*\\b" + key + "\\b[^`]*`").MatchString(text) {
			t.Errorf("the key %q is not in the guide", key)
		}
	}
	if n := len(bundle.Keys()); n < 50 {
		t.Errorf("only %d keys were found in the types", n)
	}
}
