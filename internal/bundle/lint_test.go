package bundle_test

import (
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/bundle"
)

func TestLint(t *testing.T) {
	for _, tc := range []struct{ name, files, want string }{
		{"nothing to say", "", ""},
		{"errors", "-- x.txt --\n", "x.txt: a bundle has no such file (names beginning with _ or . are left alone) [file-unknown]"},
		{
			"warning of the check", section("{path: Shop.X, licence: phone}"),
			`catalogue/more.yaml:5:5: warning: section "Shop.X" needs the licence "phone", which this tenant does not hold [licence-not-held]`,
		},
		{"role that nobody has", role("spare", "code: spare"), `roles/spare.yaml:1:1: warning: nothing here has the role "spare" [role-unused]`},
		{"role of a role", role("spare", "code: spare") + role("clerk", "code: clerk\nroles: [spare]"), ""},
		{"role by a plain line", role("spare", "code: spare") + "-- a.csv --\ng, u:guest, r:spare, *\n", ""},
		{"role of a subject of a suite", role("spare", "code: spare") + strings.Replace(tests("{name: a, ask: ["+sound+"]}"), "tests:", "subjects: {bob: {roles: [spare]}}\ntests:", 1), ""},
		{"role of a group that may reach nothing", role("spare", "code: spare") + group("staff", "scopes: none, roles: [spare, clerk]"), ""},
		{"group without members", group("spare", ""), `groups/spare.yaml:1:1: warning: nobody here is in the group "spare" and no group is based on it [group-unused]`},
		{"default group waits for new accounts", group("spare", "type: default"), ""},
		{"group of a bundle without accounts", group("spare", "") + "-- users/all.yaml --" + head + "Users\nusers: []\n-- tests/all.yaml --" + head + "Tests\nname: A\ntests: [{name: a, ask: [{subject: anonymous, section: Shop.Orders, action: show, expect: deny}]}]\n", ""},
		{"template without heirs", group("spare", "type: template"), `groups/spare.yaml:1:1: warning: nobody here is in the group "spare" and no group is based on it [group-unused]`},
		{"template with heirs", group("spare", "type: template") + group("staff", "base: spare, roles: [clerk]"), ""},
		{
			"account in templates only", group("staff", "type: template, roles: [clerk]"),
			`users/all.yaml:4:5: warning: user "ann" is in template groups only (staff) and is therefore denied everything [template-only]`,
		},
		{
			"grant of nothing", grant("section: Shop.Orders, rights: 0") + users("{id: bob, roles: [more]}"),
			`roles/more.yaml:5:5: warning: the grant on "Shop.Orders" grants nothing [grant-empty]`,
		},
		{
			"grant of inherit alone", users("{id: bob, grants: [{section: Shop.Orders, rights: [inherit]}]}"),
			`users/more.yaml:4:24: warning: the grant on "Shop.Orders" grants nothing [grant-empty]`,
		},
		{"grant of a declared action", users("{id: bob, grants: [{section: Shop.Orders, rights: [send]}]}"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, problems, err := bundle.Lint(files(shop, tc.files), bundle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := problems.Error(); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if (b == nil) != (problems.Err() != nil) {
				t.Errorf("bundle %v with problems %v", b, problems)
			}
		})
	}
}

func TestLint_folderThatIsNotThere(t *testing.T) {
	if _, _, err := bundle.Lint(brokenFS{}, bundle.Options{}); err == nil {
		t.Error("no error")
	}
}

func group(code, more string) string {
	if more != "" {
		more = ", " + more
	}
	return "-- groups/" + code + ".yaml --\n{apiVersion: bailiwick/v1, kind: Group, code: " + code + more + "}\n"
}
