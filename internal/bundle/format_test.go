package bundle_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

func format(t *testing.T, name, src string) string {
	t.Helper()
	out, err := bundle.Format(name, []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	again, err := bundle.Format(name, out)
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("formatting again gives (%v)\n%s", err, again)
	}
	return string(out)
}

func TestFormat_golden(t *testing.T) {
	for in, name := range map[string]string{"role": "roles/clerk.yaml", "users": "users/all.yaml"} {
		src, err := os.ReadFile(filepath.Join("testdata", "format", in+".in.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("format", in+".out.yaml"), format(t, name, string(src)))
	}
}

func TestFormat_rules(t *testing.T) {
	role := func(rest string) string { return "apiVersion: bailiwick/v1\nkind: Role\ncode: a\n" + rest }
	for name, tc := range map[string]struct{ in, want string }{
		"keys in the order of the format": {"kind: Role\ncode: a\napiVersion: bailiwick/v1\n", role("")},
		"no needless quotes":              {role("name: \"Ann's friend\"\n"), role("name: Ann's friend\n")},
		"quotes around a colon":           {role("name: 'a:b'\n"), role("name: \"a:b\"\n")},
		"quotes around what is no text":   {role("name: '1e3'\n"), role("name: \"1e3\"\n")},
		"quotes around old truth values":  {role("name: 'no'\n"), role("name: \"no\"\n")},
		"single quotes around double":     {role("name: \"\\\"a\\\" b\"\n"), role("name: '\"a\" b'\n")},
		"a comma needs quotes in a line":  {role("roles: [{role: 'a,b'}]\nname: a, b\n"), role("name: a, b\nroles: [{role: \"a,b\"}]\n")},
		"moment in a block":               {role("roles:\n  - role: b\n    from: '2026-01-01T00:00:00Z'\n"), role("roles:\n  - role: b\n    from: 2026-01-01T00:00:00Z\n")},
		"moment in a line":                {role("roles: [{role: b, from: 2026-01-01T00:00:00Z}]\n"), role("roles: [{role: b, from: \"2026-01-01T00:00:00Z\"}]\n")},
		"blank lines, one at a time":      {role("\n\n\nname: b\n\n\n"), role("\nname: b\n")},
		"windows lines":                   {strings.ReplaceAll(role("name: b\n"), "\n", "\r\n"), role("name: b\n")},
		"comment above the whole":         {"# c\n" + role(""), "# c\n" + role("")},
		"comment of a key that moves":     {"code: a # c\n" + "apiVersion: bailiwick/v1\nkind: Role\n", "apiVersion: bailiwick/v1\nkind: Role\ncode: a # c\n"},
		"comment below a list in a line":  {role("roles:\n  - {role: b}\n  # c\nname: d\n"), role("name: d\nroles:\n  - {role: b}\n  # c\n")},
		"hash within text":                {role("name: \"a # b\" # c\n"), role("name: \"a # b\" # c\n")},
	} {
		t.Run(name, func(t *testing.T) {
			if got := format(t, "roles/a.yaml", tc.in); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestFormat_filesOfOthersAreOnlyTrimmed(t *testing.T) {
	for _, name := range []string{"rules.csv", "model.conf"} {
		if got := format(t, name, "\n  # c\t\r\np, b,  c  \n\n\n"); got != "\n  # c\np, b,  c\n" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestFormat_refuses(t *testing.T) {
	for name, tc := range map[string]struct{ file, src string }{
		"a file with mistakes":    {"roles/a.yaml", "apiVersion: bailiwick/v1\nkind: Role\ncode: a\nnome: b\n"},
		"what is not YAML":        {"roles/a.yaml", "a: [b"},
		"what is not text":        {"rules.csv", "\xff"},
		"an unknown place":        {"role/a.yaml", "a: b"},
		"an unknown file":         {"other.yaml", "a: b"},
		"an unknown kind":         {"roles/a.txt", "a"},
		"a second bundle.yaml":    {"roles/sub/bundle.yaml", "a: b"},
		"a comment it would lose": {"roles/a.yaml", "apiVersion: bailiwick/v1\nkind: Role\ncode: a\nroles: [\n  # lonely\n]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := bundle.Format(tc.file, []byte(tc.src)); !errors.Is(err, access.ErrInvalid) {
				t.Errorf("got %v and\n%s", err, out)
			}
		})
	}
}
