package bundle_test

import (
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

func TestSilence(t *testing.T) {
	fsys := files("\n-- groups/a.yaml --\n# lint: ignore group-unused: people come next week\ncode: a # lint: ignore grant-shadowed: above\nname: A\n# lint: ignore grant-empty\n# lint: ignore typo-here: because\ngrants: []\n")
	at := func(line int, code string, warning bool) access.Problem {
		return access.Problem{Origin: access.Origin{File: "groups/a.yaml", Line: line, Column: 1}, Code: code, Message: "x", Warning: warning}
	}
	left := bundle.Silence(fsys, access.Problems{
		at(2, "group-unused", true), at(2, "grant-shadowed", true), at(3, "group-unused", true),
		at(2, "group-unused", false), at(6, "grant-empty", true),
	})
	want := `groups/a.yaml:2:1: x [group-unused]
groups/a.yaml:3:1: warning: x [group-unused]
groups/a.yaml:4:1: the comment silences grant-empty and does not say why (write # lint: ignore grant-empty: and the reason) [silence-reason]
groups/a.yaml:5:1: warning: there is no typo-here here to silence [silence-unused]`
	if left.Error() != want {
		t.Errorf("got\n%s\nwant\n%s", left.Error(), want)
	}
}
