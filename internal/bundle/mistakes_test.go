package bundle_test

import (
	"strings"
	"testing"
)

// Each case spoils the shop in one way and tells everything that is to be said
// about it. "file: text" in mistakes replaces or adds a file.
var mistakes = []struct{ name, files, want string }{
	// What files there are.
	{"no bundle.yaml", "", "bundle.yaml: there is no bundle.yaml here [bundle-missing]"},
	{"unknown file at the top", "-- bundel.yaml --\n", `bundel.yaml: a bundle has no such file (did you mean "bundle.yaml"?) [file-unknown]`},
	{"unknown file far from any", "-- promises.txt --\n", `promises.txt: a bundle has no such file (names beginning with _ or . are left alone) [file-unknown]`},
	{"guarantees misspelt", "-- guarantee.yaml --\n", `guarantee.yaml: a bundle has no such file (did you mean "guarantees.yaml"?) [file-unknown]`},
	{"unknown folder", "-- role/x.yaml --\n", `role: a bundle has no such file (did you mean "roles"?) [file-unknown]`},
	{"folder in a folder", "-- roles/sub/x.yaml --\n", `roles/sub: a bundle has no such file (names beginning with _ or . are left alone) [file-unknown]`},
	{"yml", "-- roles/a.yml --\n", `roles/a.yml: a bundle has no such file (did you mean "a.yaml"?) [file-unknown]`},
	{"csv in a folder", "-- roles/a.csv --\n", `roles/a.csv: a bundle has no such file (names beginning with _ or . are left alone) [file-unknown]`},
	{
		"file not named like its code", role("clark", "code: clerk2"),
		"roles/clark.yaml:1:1: code \"clerk2\" stands in the file clark.yaml; the names must be the same (name the file clerk2.yaml) [file-name]",
	},

	// What a file is made of.
	{"not UTF-8", "-- roles/a.yaml --\napiVersion: bailiwick/v1\nname: \"\u00e9\xff\"\n", "roles/a.yaml:2:9: the file is not valid UTF-8 here [file-encoding]"},
	{"byte order mark", "-- roles/a.yaml --\n\ufeffcode: a\n", "roles/a.yaml:1:1: the file begins with a byte order mark; save it as UTF-8 without one [file-encoding]"},
	{"empty file", "-- roles/a.yaml --\n", "roles/a.yaml:1: the file is empty [file-empty]"},
	{"only comments", "-- roles/a.yaml --\n# nothing\n", "roles/a.yaml:1: the file is empty [file-empty]"},
	{"not YAML", "-- roles/a.yaml --\na: b\nc: [d\n", "roles/a.yaml:2: this is not YAML: did not find expected ',' or ']' [yaml-syntax]"},
	{"tab as indent", "-- roles/a.yaml --\na:\n\t- b\n", "roles/a.yaml:2: this is not YAML: found character that cannot start any token [yaml-syntax]"},
	{"several documents", role("a", "code: a\n---\nb: c"), "roles/a.yaml:4:1: a file holds one document; this is a second one [yaml-documents]"},
	{"second document is no YAML", role("a", "code: a\n---\nb: [c"), "roles/a.yaml:5: this is not YAML: did not find expected ',' or ']' [yaml-syntax]"},
	{"a list", "-- roles/a.yaml --\n- a\n", "roles/a.yaml:1:1: the file must be a mapping, not a list [value-type]"},
	{
		"anchor and alias", role("a", "code: a\nname: &n Ah\ndescription: *n"),
		"roles/a.yaml:4:7: anchors (&n) are not allowed; write the value out where it is used [yaml-anchor]\n" +
			"roles/a.yaml:5:14: aliases (*n) are not allowed; write the value out [yaml-anchor]",
	},
	{
		"alias in a list of rights", role("a", "code: a\nname: &n show\ngrants: [{section: Shop.Orders, rights: [*n]}]"),
		"roles/a.yaml:4:7: anchors (&n) are not allowed; write the value out where it is used [yaml-anchor]\n" +
			"roles/a.yaml:5:42: aliases (*n) are not allowed; write the value out [yaml-anchor]",
	},
	{"tag", role("a", "code: a\nname: !!str 5"), "roles/a.yaml:4:7: tags (!!str) are not allowed [yaml-tag]\n" +
		`roles/a.yaml:4:7: name must be text, not the number 5 (write it in quotes: "5") [value-type]`},
	{
		"tags that lie", users("{id: bob, attributes: {a: !!map [b], c: !!bool '', d: !!null {e: 1}}}"),
		"users/more.yaml:4:31: tags (!!map) are not allowed [yaml-tag]\n" +
			"users/more.yaml:4:45: tags (!!bool) are not allowed [yaml-tag]\n" +
			"users/more.yaml:4:59: tags (!!null) are not allowed [yaml-tag]",
	},
	{
		"entity in braces that nobody has", role("a", "code: a\nname: A\ngrants: [{section: 'Shop.Orders{9}', rights: [show]}]"),
		`roles/a.yaml:5:10: section: no scope has the id "9" [entity-unclear]`,
	},
	{"merge key", role("a", "code: a\n<<: {name: x}"), `roles/a.yaml:4:1: unknown key "<<" (known here: apiVersion, kind, code, name, description, roles, grants) [key-unknown]`},
	{"key that is no word", role("a", "code: a\n? [x]\n: y"), "roles/a.yaml:4:3: a key must be a word [key-invalid]"},
	{"duplicate key", role("a", "code: a\nname: x\nname: y"), `roles/a.yaml:5:1: key "name" is there twice (first at line 4) [key-duplicate]`},
	{"duplicate key among attributes", users("{id: bob, attributes: {a: 1, a: 2}}"), `users/more.yaml:4:34: key "a" is there twice (first at line 4) [key-duplicate]`},
	{
		"nested too deeply", users("{id: bob, attributes: {a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}}"),
		"users/more.yaml:4:59: values are nested deeper than 32 levels [yaml-depth]",
	},
	{"nesting bomb", "-- roles/a.yaml --\n" + strings.Repeat("[", 20000), "roles/a.yaml:1: this is not YAML: exceeded max depth of 10000 [yaml-syntax]"},

	// Version and kind.
	{"no apiVersion", "-- roles/a.yaml --\n{kind: Role, code: a}\n", `roles/a.yaml:1:1: the file needs the key "apiVersion" [key-missing]`},
	{
		"unknown apiVersion", "-- roles/a.yaml --\n{apiVersion: bailiwick/v2, kind: Role, code: a}\n",
		`roles/a.yaml:1:14: apiVersion: "bailiwick/v2" is not known; write bailiwick/v1 (did you mean "bailiwick/v1"?) [value-unknown]`,
	},
	{"no kind", "-- roles/a.yaml --\n{apiVersion: bailiwick/v1, code: a}\n", `roles/a.yaml:1:1: the file needs the key "kind" [key-missing]`},
	{
		"unknown kind", "-- roles/a.yaml --\n{apiVersion: bailiwick/v1, kind: Rolle, code: a}\n",
		`roles/a.yaml:1:34: kind: "Rolle" does not belong here; this must be Role [kind-wrong]`,
	},
	{
		"kind of another folder", "-- roles/a.yaml --\n{apiVersion: bailiwick/v1, kind: Group, code: a, base: b}\n",
		`roles/a.yaml:1:34: kind: "Group" does not belong here; this must be Role (files of this kind belong in groups) [kind-wrong]`,
	},

	// Keys and values.
	{"unknown key", role("a", "code: a\ngrant: []"), `roles/a.yaml:4:1: unknown key "grant" (did you mean "grants"?) [key-unknown]`},
	{"unknown key inside", role("a", "code: a\nroles: [{role: clerk, unti: x}]"), `roles/a.yaml:4:23: unknown key "unti" (did you mean "until"?) [key-unknown]`},
	{"missing key", users("{name: Bob}"), `users/more.yaml:4:5: users[0] needs the key "id" [key-missing]`},
	{"missing code stands for the file's name", role("a", "name: A"), `roles/a.yaml:1:1: the file needs the key "code" [key-missing]`},
	{"no value", role("a", "code: a\nname:"), "roles/a.yaml:4:6: name has no value; give it one or leave the key out [value-blank]"},
	{"null", role("a", "code: a\nroles: ~"), "roles/a.yaml:4:8: roles has no value; give it one or leave the key out [value-blank]"},
	{"blank text", role("a", `code: a`+"\n"+`name: " "`), "roles/a.yaml:4:7: name is blank; give it a value or leave the key out [value-blank]"},
	{"blank required text is said once", role("a", `code: ""`), "roles/a.yaml:3:7: code is blank; give it a value or leave the key out [value-blank]"},
	{
		"blank tenant is said once", "-- bundle.yaml --\napiVersion: bailiwick/v1\nkind: Bundle\ntenant: \"\"\nscopes: [{scope: \"store:a\"}]\nlicences: []\n",
		"bundle.yaml:3:9: tenant is blank; give it a value or leave the key out [value-blank]",
	},
	{
		"blank code in a list", users(`{id: bob, groups: [""], licences: [""]}`),
		"users/more.yaml:4:24: groups[0] is blank; give it a value or leave the key out [value-blank]\n" +
			"users/more.yaml:4:40: licences[0] is blank; give it a value or leave the key out [value-blank]",
	},
	{"number for text", users("{id: 42}"), `users/more.yaml:4:10: id must be text, not the number 42 (write it in quotes: "42") [value-type]`},
	{"truth value for text", users("{id: bob, name: true}"), `users/more.yaml:4:21: name must be text, not the truth value true (write it in quotes: "true") [value-type]`},
	{"date for text", users("{id: bob, name: 2026-01-01}"), `users/more.yaml:4:21: name must be text, not the date 2026-01-01 (write it in quotes: "2026-01-01") [value-type]`},
	{"text for a list", users("{id: bob, groups: staff}"), `users/more.yaml:4:23: groups must be a list, not "staff" [value-type]`},
	{"list for text", users("{id: [bob]}"), `users/more.yaml:4:10: id must be text, not a list [value-type]`},
	{"list for a mapping", users("[bob]"), `users/more.yaml:4:5: users[0] must be a mapping, not a list [value-type]`},
	{"mapping for a list", users("{id: bob, groups: {staff: 1}}"), `users/more.yaml:4:23: groups must be a list, not a mapping [value-type]`},
	{"text for a number", section("{path: Shop.X, menu: {label: X, order: first}}"), `catalogue/more.yaml:5:44: order must be a whole number, not "first" [value-type]`},
	{"fraction", section("{path: Shop.X, menu: {label: X, order: 1.5}}"), `catalogue/more.yaml:5:44: order must be a whole number, not the number 1.5 [value-type]`},
	{"text for a truth value", section("{path: Shop.X, field: yes}"), `catalogue/more.yaml:5:27: field must be true or false, not "yes" [value-type]`},
	{"text for names", section("{path: Shop.X, names: X}"), `catalogue/more.yaml:5:27: names must be a mapping, not "X" [value-type]`},
	{
		"misspelt effect", grant("section: Shop.Orders, rights: 2, effect: dney"),
		`roles/more.yaml:5:47: effect: "dney" is not known; write allow, deny (did you mean "deny"?) [value-unknown]`,
	},
	{
		"misspelt effect, near", grant("section: Shop.Orders, rights: 2, effect: Deny"),
		`roles/more.yaml:5:47: effect: "Deny" is not known; write allow, deny (did you mean "deny"?) [value-unknown]`,
	},
	{
		"misspelt status", users("{id: bob, status: activ}"),
		`users/more.yaml:4:23: status: "activ" is not known; write active, invited, disabled, locked (did you mean "active"?) [value-unknown]`,
	},
	{
		"misspelt combining", "-- bundle.yaml --\n{apiVersion: bailiwick/v1, kind: Bundle, tenant: t, combining: deny-override, scopes: [{scope: \"store:a\"}]}\n",
		`bundle.yaml:1:64: combining: "deny-override" is not known; write deny-overrides, allow-overrides (did you mean "deny-overrides"?) [value-unknown]`,
	},

	// Rights.
	{"rights above 63", grant("section: Shop.Orders, rights: 64"), `roles/more.yaml:5:36: rights: 64 is not a sum of rights; it must be 0 to 63 [rights-invalid]`},
	{"rights below 0", grant("section: Shop.Orders, rights: -1"), `roles/more.yaml:5:36: rights: -1 is not a sum of rights; it must be 0 to 63 [rights-invalid]`},
	{
		"huge rights", grant("section: Shop.Orders, rights: 18446744073709551625"),
		"roles/more.yaml:5:36: rights must be a list of actions or a sum of rights from 0 to 63, not the number 18446744073709551625 [rights-invalid]",
	},
	{
		"rights in hexadecimal", grant("section: Shop.Orders, rights: 0x0A"),
		"roles/more.yaml:5:36: rights must be a list of actions or a sum of rights from 0 to 63, not the number 0x0A [rights-invalid]",
	},
	{
		"rights in quotes", grant(`section: Shop.Orders, rights: "10"`),
		`roles/more.yaml:5:36: rights must be a list of actions or a sum of rights from 0 to 63, not "10" [rights-invalid]`,
	},
	{
		"rights as a word", grant("section: Shop.Orders, rights: show"),
		`roles/more.yaml:5:36: rights must be a list of actions or a sum of rights from 0 to 63, not "show" [rights-invalid]`,
	},
	{"no rights", grant("section: Shop.Orders, rights: []"), "roles/more.yaml:5:36: rights is an empty list [value-blank]"},
	{"right twice", grant("section: Shop.Orders, rights: [show, show]"), `roles/more.yaml:5:43: rights: "show" is there twice [value-duplicate]`},
	{"misspelt right", grant("section: Shop.Orders, rights: [shw]"), `roles/more.yaml:5:5: action "shw" does not exist (did you mean "show"?) [action-unknown]`},
	{
		"crud as a list", grant("name: Shop.Orders, crud: [show]"),
		"roles/more.yaml:5:31: crud must be a list of actions or a sum of rights from 0 to 63, not a list [rights-invalid]",
	},
	{"grant of both spellings", grant("section: Shop.Orders, rights: 2, crud: 2"), "roles/more.yaml:5:5: a grant has either section and rights, or name and crud [grant-mixed]"},
	{"name without crud", grant("name: Shop.Orders"), "roles/more.yaml:5:5: a grant with name or crud needs both of them [key-missing]"},
	{"section without rights", grant("section: Shop.Orders"), "roles/more.yaml:5:5: a grant needs section and rights [key-missing]"},
	{"empty grant", grant(""), "roles/more.yaml:5:5: a grant needs section and rights [key-missing]"},
	{
		"prerequisite of a declared action", section("{path: Shop.X, prerequisites: [{section: Shop.Orders, rights: [shew]}]}"),
		"catalogue/more.yaml:5:67: rights: \"shew\" is not one of the standard actions inherit, show, insert, update, delete, execute (did you mean \"show\"?) [rights-invalid]",
	},
	{
		"prerequisite of nothing", section("{path: Shop.X, prerequisites: [{section: Shop.Orders, rights: 0}]}"),
		"catalogue/more.yaml:5:36: rights: a prerequisite needs at least one right [rights-invalid]",
	},
	{
		"ceiling", "-- groups/a.yaml --\n{apiVersion: bailiwick/v1, kind: Group, code: a, scopes: some}\n",
		`groups/a.yaml:1:58: scopes must be all, none or a list, not "some" [value-unknown]`,
	},
	{
		"ceiling of nothing", "-- groups/a.yaml --\n{apiVersion: bailiwick/v1, kind: Group, code: a, scopes: []}\n",
		"groups/a.yaml:1:58: scopes is an empty list [value-blank]",
	},

	// Moments and numbers.
	{
		"date without time", grant("section: Shop.Orders, rights: 2, until: 2026-01-01"),
		"roles/more.yaml:5:46: until must be a moment since 1970, not the date 2026-01-01 (write it like 2026-01-31T08:00:00Z) [time-invalid]",
	},
	{
		"moment without zone", grant(`section: Shop.Orders, rights: 2, until: "2026-01-01T00:00:00"`),
		"roles/more.yaml:5:46: until must be a moment since 1970, not \"2026-01-01T00:00:00\" (write it like 2026-01-31T08:00:00Z) [time-invalid]",
	},
	{
		"the moment that means never", grant(`section: Shop.Orders, rights: 2, until: "0001-01-01T00:00:00Z"`),
		"roles/more.yaml:5:46: until must be a moment since 1970, not \"0001-01-01T00:00:00Z\" (write it like 2026-01-31T08:00:00Z) [time-invalid]",
	},
	{
		"list for a moment", grant("section: Shop.Orders, rights: 2, until: []"),
		"roles/more.yaml:5:46: until must be a moment since 1970, not a list (write it like 2026-01-31T08:00:00Z) [time-invalid]",
	},
	{
		"number that is not exact", users("{id: bob, attributes: {a: 9007199254740993, b: .inf, c: 0x10}}"),
		"users/more.yaml:4:31: attributes.a: 9007199254740993 is not a number that can be kept exactly (write it in quotes, as text) [value-number]\n" +
			"users/more.yaml:4:52: attributes.b: .inf is not a number that can be kept exactly (write it in quotes, as text) [value-number]\n" +
			"users/more.yaml:4:61: attributes.c: 0x10 is not a number that can be kept exactly (write it in quotes, as text) [value-number]",
	},
	{"attributes as a list", users("{id: bob, attributes: [a]}"), "users/more.yaml:4:27: attributes must be a mapping, not a list [value-type]"},
	{"attribute without value", users("{id: bob, attributes: {a: }}"), "users/more.yaml:4:31: attributes.a has no value; give it one or leave the key out [value-blank]"},
	{"attribute with a number as name", users("{id: bob, attributes: {1: a}}"), "users/more.yaml:4:28: the key must be text, not the number 1 (write it in quotes: \"1\") [value-type]"},

	// The policy as a whole: a few of access.Policy.Check, to see that they come with their places.
	{"unknown role", users("{id: bob, roles: [clark]}"), `users/more.yaml:4:23: role "clark" does not exist (did you mean "clerk"?) [role-unknown]`},
	{"unknown section", grant("section: Shop.Order, rights: 2"), `roles/more.yaml:5:5: section "Shop.Order" does not exist (did you mean "Shop.Orders"?) [section-unknown]`},
	{"unknown scope", grant(`section: Shop.Orders, rights: 2, scope: "store:b"`), `roles/more.yaml:5:5: scope "store:b" does not exist (did you mean "store:a"?) [scope-unknown]`},
	{
		"circle", role("a", "code: a\nroles: [b]") + role("b", "code: b\nroles:\n- a"),
		"roles/b.yaml:5:3: inheritance runs in a circle: r:a -> r:b -> r:a [inheritance-cycle]",
	},
	{"user twice", users("{id: ann}"), `users/more.yaml:4:5: user "ann" is there twice [duplicate]`},
	{
		"what refers to a broken file is not wrong too", role("clerk", "code: [") + users("{id: bob, roles: [clerk]}"),
		"roles/clerk.yaml:4: this is not YAML: did not find expected node content [yaml-syntax]",
	},

	// Plain lines.
	{"csv: unknown kind of line", "-- a.csv --\np, g:staff, *, Shop.Stock, 2, allow, -\n  x, g:staff\n", `a.csv:2:3: a line begins with p or g (or p2, g2 and so on), not with "x" [csv-type]`},
	{"csv: kind of line that the model lacks", "-- a.csv --\np2, g:staff\n", `a.csv:1:1: "p2" is not a kind of line of the built-in model; it has p and g [rule-type]`},
	{"csv: blank value", "-- a.csv --\np, g:staff, , Shop.Stock, 2, allow, -\n", "a.csv:1:13: value 2 is blank [csv-blank]"},
	{"csv: blank at the end", "-- a.csv --\ng, u:bob, g:staff,\n", "a.csv:1:19: value 3 is blank [csv-blank]"},
	{"csv: no values", "-- a.csv --\np\n", "a.csv:1:1: the line has no values [csv-values]"},
	{"csv: too many values", "-- a.csv --\np, a, b, c, d, e, f, g\n", "a.csv:1:22: a line has at most 6 values, this one has 7 [csv-values]"},
	{"csv: blank that Casbin keeps", "-- a.csv --\ng, u:bob , g:staff, *\n", "a.csv:1:4: value 1 begins or ends with a blank [csv-value]"},
	{"csv: too long", "-- a.csv --\ng, u:" + strings.Repeat("b", 99) + ", g:staff, *\n", "a.csv:1:4: value 1 is 101 bytes long; 100 is the limit [csv-value]"},
	{"csv: open quote", "-- a.csv --\ng, \"u:bob, g:staff, *\n", "a.csv:1:22: Casbin cannot read this line: extraneous or missing \" in quoted-field [csv-syntax]"},
	{"csv: quote inside", "-- a.csv --\ng, u:\"bob\", g:staff, *\n", "a.csv:1:6: Casbin cannot read this line: bare \" in non-quoted-field [csv-syntax]"},
	{"csv: only a comma", "-- a.csv --\n,\n", `a.csv:1:1: a line begins with p or g (or p2, g2 and so on), not with "" [csv-type]` + "\na.csv:1:2: value 1 is blank [csv-blank]"},
	{"csv: line too long for Casbin", "-- a.csv --\n\n# " + strings.Repeat("x", 70000) + "\n", "a.csv:2: the line is longer than Casbin reads: 65536 bytes [csv-syntax]"},
	{"csv: line twice", "-- a.csv --\ng, u:bob, g:staff, *\ng,u:bob,g:staff,*\n", `a.csv:2:1: the rule "g, u:bob, g:staff, *" is there twice (first at a.csv:1:1) [duplicate]`},
	{
		"csv: line twice in a model of one's own", "-- model.conf --\nx\n-- bundle.yaml --\n{apiVersion: bailiwick/v1, kind: Bundle, tenant: t}\n-- a.csv --\np, \"a,b\", c\np, a, \"b,c\"\n",
		`a.csv:2:1: the rule "p, a, b,c" is there twice (first at a.csv:1:1) [duplicate]`,
	},

	// Tests.
	{"no tests", tests(""), "tests/more.yaml:1:1: the suite has no tests, so it could never fail [test-empty]"},
	{"test without question", tests("{name: a}"), "tests/more.yaml:5:5: the test asks nothing (ask or table), so it could never fail [test-empty]"},
	{"test with an empty list", tests("{name: a, ask: []}"), "tests/more.yaml:5:5: the test asks nothing (ask or table), so it could never fail [test-empty]"},
	{"test twice", tests("{name: a, ask: [" + sound + "]}\n  - {name: a, ask: [" + sound + "]}"), `tests/more.yaml:6:5: a test named "a" is there twice [duplicate]`},
	{
		"suite twice", strings.Replace(tests("{name: a, ask: ["+sound+"]}"), "name: More", "name: All", 1),
		`tests/more.yaml:1:1: a suite named "All" is there twice (first at tests/all.yaml) [duplicate]`,
	},
	{"requirement number", tests("{name: a, shows: [0], ask: [" + sound + "]}"), "tests/more.yaml:5:5: shows: requirements have numbers from 1, not 0 [shows-invalid]"},
	{
		"missing parts of a question", ask("expect: deny"),
		"tests/more.yaml:5:21: a question needs the key \"subject\" [key-missing]\n" +
			"tests/more.yaml:5:21: a question needs the key \"section\" [key-missing]\n" +
			"tests/more.yaml:5:21: a question needs the key \"action\" [key-missing]",
	},
	{"no expectation", ask(`subject: anonymous, section: Shop.Orders, action: show`), `tests/more.yaml:5:21: ask[0] needs the key "expect" [key-missing]`},
	{
		"misspelt expectation", ask(`subject: anonymous, section: Shop.Orders, action: show, expect: alow`),
		`tests/more.yaml:5:86: expect: "alow" is not known; write allow, deny (did you mean "allow"?) [value-unknown]`,
	},
	{
		"misspelt reason", ask(`subject: anonymous, section: Shop.Orders, action: show, expect: deny, reason: no_grnt`),
		`tests/more.yaml:5:100: reason: "no_grnt" is not known; write request_invalid, subject_unknown, subject_disabled, subject_template_only, section_unknown, action_unknown, scope_unknown, superuser, application_off, license_missing, denied_by, granted_by, no_grant, prerequisite_missing (did you mean "no_grant"?) [value-unknown]`,
	},
	{
		"reason against the answer", ask(`subject: anonymous, section: Shop.Orders, action: show, expect: allow, reason: no_grant`),
		"tests/more.yaml:5:21: reason: no_grant is not a reason to allow [test-contradiction]",
	},
	{
		"unknown subject", ask(`subject: "user:anne", section: Shop.Orders, action: show, expect: deny`),
		`tests/more.yaml:5:31: subject "user:anne" does not exist (did you mean "user:ann"?) [subject-unknown]`,
	},
	{
		"unknown application", ask(`subject: "app:crm-system", section: Shop.Orders, action: show, expect: deny`),
		`tests/more.yaml:5:31: subject "app:crm-system" does not exist (to test that, expect the reason subject_unknown) [subject-unknown]`,
	},
	{
		"subject without kind", ask(`subject: ann, section: Shop.Orders, action: show, expect: deny`),
		`tests/more.yaml:5:31: subject: "ann" is not a subject: write user:<id>, app:<code> or anonymous [name-invalid]`,
	},
	{
		"section of a question", ask(`subject: anonymous, section: Shop.Order, action: show, expect: deny`),
		`tests/more.yaml:5:51: section "Shop.Order" does not exist (did you mean "Shop.Orders"?) [section-unknown]`,
	},
	{
		"action that the section lacks", ask(`subject: anonymous, section: Shop.Stock, action: send, expect: deny`),
		`tests/more.yaml:5:21: action "send" does not exist (to test that, expect the reason action_unknown) [action-unknown]`,
	},
	{
		"asking for inherit", ask(`subject: anonymous, section: Shop.Stock, action: inherit, expect: deny`),
		`tests/more.yaml:5:21: action: inherit cannot be asked about; it passes the other rights of a grant to subsections [name-invalid]`,
	},
	{
		"asking for a sum with inherit", ask(`subject: anonymous, section: Shop.Stock, action: 3, expect: deny`),
		`tests/more.yaml:5:71: action: 3 cannot be asked about; use a sum of 2, 4, 8, 16 and 32 [rights-invalid]`,
	},
	{
		"scope of a question", ask(`subject: anonymous, section: Shop.Stock, action: show, scope: "store:b", expect: deny`),
		`tests/more.yaml:5:84: scope "store:b" does not exist (did you mean "store:a"?) [scope-unknown]`,
	},
	{
		"raw question on the built-in model", ask(`request: [ann, x], expect: deny`),
		"tests/more.yaml:5:21: request is for bundles with a model of their own; ask with subject, section and action [test-foreign]",
	},
	{
		"subject of the suite in an unknown group", strings.Replace(tests("{name: a, ask: ["+sound+"]}"), "tests:", "subjects: {bob: {groups: [stuff]}}\ntests:", 1),
		`tests/more.yaml:4:27: group "stuff" does not exist (did you mean "staff"?) [group-unknown]`,
	},
	{
		"subject of the suite that exists", strings.Replace(tests("{name: a, ask: ["+sound+"]}"), "tests:", "subjects: {ann: {}}\ntests:", 1),
		`tests/more.yaml:4:12: user "ann" is there twice [duplicate]`,
	},
	{
		"table: nothing to ask", table("subjects: [], sections: [Shop.Orders], actions: [show], unlisted: deny"),
		"tests/more.yaml:5:22: subjects is empty, so the table could never fail [test-empty]",
	},
	{
		"table: unknown names", table(`subjects: ["user:anne"], sections: [Shop.Order], actions: [shw], scopes: ["store:b"], unlisted: deny`),
		`tests/more.yaml:5:34: subject "user:anne" does not exist (did you mean "user:ann"?) [subject-unknown]` + "\n" +
			`tests/more.yaml:5:59: section "Shop.Order" does not exist (did you mean "Shop.Orders"?) [section-unknown]` + "\n" +
			`tests/more.yaml:5:97: scope "store:b" does not exist (did you mean "store:a"?) [scope-unknown]`,
	},
	{
		"table: action that one section lacks", table(`subjects: ["user:ann"], sections: [Shop.Orders, Shop.Stock], actions: [send], unlisted: deny`),
		`tests/more.yaml:5:94: action "send" does not exist (to test that, expect the reason action_unknown) [action-unknown]`,
	},
	{
		"table: word twice", table(`subjects: ["user:ann"], sections: [Shop.Orders], actions: [show, show], unlisted: deny`),
		`tests/more.yaml:5:88: actions: "show" is there twice [value-duplicate]`,
	},
	{
		"table: not all listed", table(`subjects: ["user:ann"], sections: [Shop.Orders], actions: [show, update], allow: [{subject: "user:ann", section: Shop.Orders, actions: [show]}]`),
		"tests/more.yaml:5:22: 1 combinations are not listed, the first is user:ann update Shop.Orders (list them or write unlisted: deny) [test-unlisted]",
	},
	{
		"table: listed twice", table(`subjects: ["user:ann"], sections: [Shop.Orders], actions: [show], allow: [{}], deny: [{section: Shop.Orders}]`),
		"tests/more.yaml:5:109: user:ann show Shop.Orders is listed twice (first at tests/more.yaml:5:97) [test-contradiction]",
	},
	{
		"table: cell outside", table(`subjects: ["user:ann"], sections: [Shop.Orders], actions: [show], unlisted: deny, allow: [{section: Shop.Order}]`),
		`tests/more.yaml:5:123: section "Shop.Order" is not in the table (did you mean "Shop.Orders"?) [section-unknown]`,
	},
	{
		"table: reason against the answer", table(`subjects: ["user:ann"], sections: [Shop.Orders], actions: [show], allow: [{reason: denied_by}]`),
		"tests/more.yaml:5:97: reason: denied_by is not a reason to allow [test-contradiction]",
	},
	{"raw question for a model of one's own", foreignTest("{expect: allow}"), `tests/a.yaml:5:21: the bundle has a model of its own, so a question needs the key "request" [key-missing]`},
	{
		"named question for a model of one's own", foreignTest("{request: [a], subject: anonymous, expect: allow}"),
		"tests/a.yaml:5:21: the bundle has a model of its own, which is asked by request alone [test-foreign]",
	},
	{"question for a model of one's own that is no list", foreignTest("{request: a, expect: allow}"), `tests/a.yaml:5:31: request must be a list, not "a" [value-type]`},
	{
		"table for a model of one's own", strings.Replace(foreignTest(""), "ask: []", "table: {subjects: [anonymous], sections: [A], actions: [show], unlisted: deny}", 1),
		"tests/a.yaml:5:22: the bundle has a model of its own, which is asked by request alone [test-foreign]",
	},
	// Functions of a Casbin model.
	{
		"functions: names", own("functions:\n  roles: {g: keymatch2}\n  domains: {p: keyMatch}\n  conditions: {g2: keyMatch}"),
		"bundle.yaml:5:14: roles: there is no function \"keymatch2\" for g (did you mean \"keyMatch2\"?) [function-unknown]\n" +
			"bundle.yaml:6:16: domains: \"p\" is no role definition (write g, g2 and so on, as in the model) [function-misplaced]\n" +
			"bundle.yaml:7:20: conditions: there is no function \"keyMatch\" for g2 (write one of: timeMatch, none) [function-unknown]",
	},
	{
		"functions: keys", own("functions:\n  role: {g: keyMatch}\n  eval: yes\n  domains: [g]\n  conditions: {g: 1}"),
		"bundle.yaml:5:3: unknown key \"role\" (did you mean \"roles\"?) [key-unknown]\n" +
			"bundle.yaml:6:9: eval must be true or false, not \"yes\" [value-type]\n" +
			"bundle.yaml:7:12: domains must be a mapping, not a list [value-type]\n" +
			"bundle.yaml:8:19: conditions.g must be text, not the number 1 (write it in quotes: \"1\") [value-type]",
	},
	{
		"functions: of the built-in model", "-- bundle.yaml --\napiVersion: bailiwick/v1\nkind: Bundle\ntenant: t\nfunctions: {domains: {g: keyMatch}, eval: true}\n",
		"bundle.yaml:4:26: domains g: functions are for a Casbin model of your own; the built-in model has no use for them [functions-builtin]\n" +
			"bundle.yaml:4:43: eval: functions are for a Casbin model of your own; the built-in model has no use for them [functions-builtin]",
	},
	{
		"model that is not text", "-- model.conf --\n\xff\n-- bundle.yaml --\n{apiVersion: bailiwick/v1, kind: Bundle, tenant: t}\n-- a.csv --\np, alice, read\n",
		"model.conf:1:1: the file is not valid UTF-8 here [file-encoding]",
	},
	{"empty question for a model of one's own", foreignTest("{request: [], expect: allow}"), "tests/a.yaml:5:31: request is an empty list [value-blank]"},
}

const head = "\napiVersion: bailiwick/v1\nkind: "

const sound = `{subject: "user:ann", section: Shop.Orders, action: show, expect: allow}`

func role(code, rest string) string {
	return "-- roles/" + code + ".yaml --" + head + "Role\n" + rest + "\n"
}

func users(user string) string {
	return "-- users/more.yaml --" + head + "Users\nusers:\n  - " + user + "\n"
}
func grant(grant string) string  { return role("more", "code: more\ngrants:\n  - {"+grant+"}") }
func ask(question string) string { return tests("{name: a, ask: [{" + question + "}]}") }
func table(table string) string  { return tests("{name: a, table: {" + table + "}}") }

func section(section string) string {
	return "-- catalogue/more.yaml --" + head + "Application\ncode: more\nsections:\n  - " + section + "\n"
}

func tests(test string) string {
	list := " []"
	if test != "" {
		list = "\n  - " + test
	}
	return "-- tests/more.yaml --" + head + "Tests\nname: More\ntests:" + list + "\n"
}

// own is a bundle.yaml of a bundle with a model of its own.
func own(keys string) string {
	return "-- model.conf --\nx\n-- bundle.yaml --\napiVersion: bailiwick/v1\nkind: Bundle\ntenant: t\n" + keys + "\n"
}

func foreignTest(ask string) string {
	return "-- model.conf --\nx\n-- bundle.yaml --\n{apiVersion: bailiwick/v1, kind: Bundle, tenant: t}\n-- tests/a.yaml --" + head +
		"Tests\nname: A\ntests:\n  - {name: b, ask: [" + ask + "]}\n"
}

func TestRead_mistakes(t *testing.T) {
	for _, tc := range mistakes {
		t.Run(tc.name, func(t *testing.T) {
			fsys := files(shop, tc.files)
			if tc.files == "" || strings.Contains(tc.files, "model.conf") {
				fsys = files(tc.files)
			}
			if _, got := read(t, fsys); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestRead_allMistakesAtOnceInOrder(t *testing.T) {
	_, got := read(t, files(shop, role("b", "code: b\nnome: B\ngrants: [{section: Shop.Order, rights: 99}]"), role("a", "code: [x]"), "-- zz.txt --\n", users("{id: bob, groups: [stuff]}")))
	want := `roles/a.yaml:3:7: code must be text, not a list [value-type]
roles/b.yaml:4:1: unknown key "nome" (did you mean "name"?) [key-unknown]
roles/b.yaml:5:10: section "Shop.Order" does not exist (did you mean "Shop.Orders"?) [section-unknown]
roles/b.yaml:5:40: rights: 99 is not a sum of rights; it must be 0 to 63 [rights-invalid]
users/more.yaml:4:24: group "stuff" does not exist (did you mean "staff"?) [group-unknown]
zz.txt: a bundle has no such file (names beginning with _ or . are left alone) [file-unknown]`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
