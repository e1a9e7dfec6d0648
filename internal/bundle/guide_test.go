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

// guide gives the text of the policy guide and the bundles that its examples are:
// one with the built-in model and, in the folder casbin, one with its own.
func guide(t *testing.T) (text string, builtIn, own fstest.MapFS) {
	t.Helper()
	src, err := os.ReadFile("../../docs/policy-guide.md")
	if err != nil {
		t.Fatal(err)
	}
	builtIn, own = fstest.MapFS{}, fstest.MapFS{}
	for _, m := range example.FindAllStringSubmatch(string(src), -1) {
		fsys, name := builtIn, m[1]
		if inside, ok := strings.CutPrefix(name, "casbin/"); ok {
			fsys, name = own, inside
		}
		fsys[name] = &fstest.MapFile{Data: []byte(m[2])}
	}
	return string(src), builtIn, own
}

func TestGuide_examplesAreTrue(t *testing.T) {
	text, builtIn, own := guide(t)
	marked, blocks := len(builtIn)+len(own), 0
	for _, language := range []string{"yaml", "csv", "ini"} {
		blocks += strings.Count(text, "```"+language)
	}
	if marked != blocks {
		t.Errorf("%d of %d examples name their file", marked, blocks)
	}
	t.Run("built-in model", func(t *testing.T) { trueBundle(t, builtIn) })
	t.Run("own model", func(t *testing.T) { trueBundle(t, own) })
}

func trueBundle(t *testing.T, fsys fstest.MapFS) {
	t.Helper()
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
	text, _, _ := guide(t)
	for _, key := range bundle.Keys() {
		if !regexp.MustCompile("`[^`]*\\b" + key + "\\b[^`]*`").MatchString(text) {
			t.Errorf("the key %q is not in the guide", key)
		}
	}
	if n := len(bundle.Keys()); n < 50 {
		t.Errorf("only %d keys were found in the types", n)
	}
}
