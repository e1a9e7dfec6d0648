package bundle_test

import (
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

// shop is a small sound bundle that the tests spoil in one place each.
const shop = `
-- bundle.yaml --
apiVersion: bailiwick/v1
kind: Bundle
tenant: shop
licences: [{feature: chats, seats: 1}]
scopes: [{scope: "store:a"}, {scope: "desk:1", parent: "store:a"}]
-- catalogue/shop.yaml --
apiVersion: bailiwick/v1
kind: Application
code: shop
sections:
  - path: Shop.Orders
    actions: [send]
  - path: Shop.Stock
    prerequisites: [{section: Shop.Orders, rights: [show]}]
-- roles/clerk.yaml --
apiVersion: bailiwick/v1
kind: Role
code: clerk
grants:
  - {section: Shop.Orders, rights: [show, send]}
-- groups/staff.yaml --
apiVersion: bailiwick/v1
kind: Group
code: staff
roles: [clerk]
-- users/all.yaml --
apiVersion: bailiwick/v1
kind: Users
users:
  - {id: ann, groups: [staff]}
-- tests/all.yaml --
apiVersion: bailiwick/v1
kind: Tests
name: All
tests:
  - name: orders
    ask:
      - {subject: "user:ann", section: Shop.Orders, action: show, expect: allow}
`

// files turns an archive into a file system; later archives replace files of
// earlier ones.
func files(archives ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, a := range archives {
		for _, f := range txtar.Parse([]byte(a)).Files {
			fsys[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return fsys
}

// read gives the bundle, or the problems one a line.
func read(t *testing.T, fsys fs.FS) (*bundle.Bundle, string) {
	t.Helper()
	b, err := bundle.Read(fsys, bundle.Options{})
	var problems access.Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatalf("%v is not access.Problems", err)
	}
	if err != nil && !errors.Is(err, access.ErrInvalid) {
		t.Errorf("%v is not of kind ErrInvalid", err)
	}
	return b, strings.TrimSuffix(problems.Error(), "\n")
}

func mustRead(t *testing.T, fsys fs.FS) *bundle.Bundle {
	t.Helper()
	b, problems := read(t, fsys)
	if problems != "" {
		t.Fatal(problems)
	}
	return b
}

func TestRead_soundBundle(t *testing.T) {
	b := mustRead(t, files(shop))
	if got := len(b.Policy.Roles) + len(b.Policy.Groups) + len(b.Policy.Users) + len(b.Policy.Catalogue); got != 4 {
		t.Errorf("%d parts, want one each of four", got)
	}
	if len(b.Warnings) > 0 {
		t.Errorf("warnings: %v", b.Warnings)
	}
}

func TestRead_ignoresOnlyReadmeUnderscoreAndDot(t *testing.T) {
	mustRead(t, files(shop, `
-- README.md --
hello
-- _drafts/x.yaml --
a: b: c
-- .git/config --
x
-- roles/README.md --
roles
-- roles/_old.yaml --
nonsense
`))
}

func TestRead_orderIsByCodeNotByFile(t *testing.T) {
	b := mustRead(t, files(shop, `
-- roles/a-b.yaml --
{apiVersion: bailiwick/v1, kind: Role, code: a-b}
-- roles/a.yaml --
{apiVersion: bailiwick/v1, kind: Role, code: a}
-- users/aaa.yaml --
{apiVersion: bailiwick/v1, kind: Users, users: [{id: zoe}, {id: bob}]}
-- b.csv --
p, g:staff, *, Shop.Stock, 2, allow, -
-- a.csv --
# comment
g, u:guest, g:staff, *

g, u:bob, g:staff, "store:a"
`))
	var codes, users, rules []string
	for _, r := range b.Policy.Roles {
		codes = append(codes, r.Code)
	}
	for _, u := range b.Policy.Users {
		users = append(users, u.ID)
	}
	for _, r := range b.Policy.Rules {
		rules = append(rules, r.Origin.String()+" "+r.String())
	}
	for _, c := range []struct{ got, want string }{
		{strings.Join(codes, " "), "a a-b clerk"},
		{strings.Join(users, " "), "zoe bob ann"},
		{strings.Join(rules, "\n"), "a.csv:2:1 g, u:guest, g:staff, *\na.csv:4:1 g, u:bob, g:staff, store:a\nb.csv:1:1 p, g:staff, *, Shop.Stock, 2, allow, -"},
	} {
		if c.got != c.want {
			t.Errorf("got\n%s\nwant\n%s", c.got, c.want)
		}
	}
}

func TestRead_originsAreThoseOfTheEntries(t *testing.T) {
	b := mustRead(t, files(shop, `
-- groups/staff.yaml --
apiVersion: bailiwick/v1
kind: Group
code: staff
roles:
  - clerk
  - role: superuser
    from: 2026-01-01T00:00:00+01:00
grants:
  - {section: Shop.Orders, rights: 2}
  - name: Shop.Stock
    crud: 10
`))
	g := b.Policy.Groups[0]
	for _, c := range []struct {
		got  access.Origin
		want string
	}{
		{g.Origin, "groups/staff.yaml:1:1"},
		{g.Roles[0].Origin, "groups/staff.yaml:5:5"},
		{g.Roles[1].Origin, "groups/staff.yaml:6:5"},
		{g.Grants[0].Origin, "groups/staff.yaml:9:5"},
		{g.Grants[1].Origin, "groups/staff.yaml:10:5"},
		{b.Policy.Catalogue[0].Sections[1].Origin, "catalogue/shop.yaml:7:5"},
		{b.Policy.Catalogue[0].Sections[0].Actions[0].Origin, "catalogue/shop.yaml:6:15"},
		{b.Policy.Users[0].Groups[0].Origin, "users/all.yaml:4:24"},
		{b.Policy.Scopes[1].Origin, "bundle.yaml:5:30"},
		{b.Tests[0].Tests[0].Questions[0].Origin, "tests/all.yaml:7:9"},
	} {
		if c.got.String() != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	if g.Grants[1].Section != "Shop.Stock" || g.Grants[1].Rights != access.Show|access.Update {
		t.Errorf("crud: got %+v", g.Grants[1])
	}
	if got := g.Roles[1].Validity.From.Format("2006-01-02T15:04:05Z07:00"); got != "2025-12-31T23:00:00Z" {
		t.Errorf("from: got %s, want it in UTC", got)
	}
}

func TestRead_everyKeyArrives(t *testing.T) {
	b := mustRead(t, files(`
-- bundle.yaml --
apiVersion: bailiwick/v1
kind: Bundle
tenant: all
description: Everything
combining: allow-overrides
root: Root
anonymous: guests
groups_need_base: true
sign_in:
  min_length: 14
  lower: true
  upper: true
  digits: true
  symbols: true
  no_reuse: 5
  expire_days: 90
  failures: 8
  failure_minutes: 20
  lock_minutes: 30
  lock_for_good: true
  idle_minutes: 10
  total_minutes: 60
  second_factor: required
licences: [{feature: chats, seats: 5}]
scopes: [{scope: "company:7", name: North}, {scope: "store:a", parent: "company:7"}]
-- catalogue/app.yaml --
apiVersion: bailiwick/v1
kind: Application
code: app
name: App
names: {de: Anwendung}
description: Words
version: "1.0"
families:
  - {name: Letters, names: {de: Buchstaben}}
sections:
  - path: Root.A
    name: A
    names: {de: Ah}
    description: First
    family: Letters
    actions: [send, {name: stop, label: Stop, description: Ends}]
    prerequisites: [{section: Root.B, rights: 2}]
    licence: chats
    menu: {label: AA, order: -3}
    field: true
    cascade: true
    deprecated: use Root.B
  - path: Root.B
groups: [guests]
roles: [reader]
grants: [{section: Root.B, rights: [show]}]
-- roles/reader.yaml --
apiVersion: bailiwick/v1
kind: Role
code: reader
name: Reader
description: Reads
roles: [{role: base, scope: "store:a", from: 2026-01-01T00:00:00Z, until: 2027-01-01T00:00:00Z}]
grants: [{section: Root.A, rights: [inherit, show, send], scope: "company:7", effect: deny, condition: " 1 < 2 ", from: 2026-01-01T00:00:00Z}]
-- roles/base.yaml --
{apiVersion: bailiwick/v1, kind: Role, code: base}
-- groups/guests.yaml --
apiVersion: bailiwick/v1
kind: Group
code: guests
name: Guests
description: Anybody
type: template
base: none-at-all
signature: "--"
scopes: none
attributes: {is_manager: true, sites: [a]}
-- groups/none-at-all.yaml --
{apiVersion: bailiwick/v1, kind: Group, code: none-at-all, type: default, scopes: ["company:7"], manages: [guests]}
-- users/u.yaml --
apiVersion: bailiwick/v1
kind: Users
users:
  - id: ann
    email: ann@example.com
    home: "store:a"
    name: Ann
    status: locked
    groups: [{group: guests, scope: "store:a"}]
    roles: [superuser]
    grants: [{section: Root, rights: 0}]
    licences: [chats]
    applications_off: [app]
    attributes: {level: 3, tags: [a, true], home: {city: x}, since: 2026-01-01}
    external_id: crm-7
    menu: [Root.A]
  - {id: bob, menu: []}
-- guarantees.yaml --
apiVersion: bailiwick/v1
kind: Guarantees
guarantees:
  - name: few
    description: Few
    rule: at_most
    who: [users, "group:guests"]
    except: [superusers]
    rights: [{section: Root.A, rights: [show, send]}]
    scope: "store:a"
    holders: 2
  - {name: small, rule: only_if, rights: [{section: Root.A, rights: 2}], condition: " 1 < 2 "}
`))
	golden(t, "everykey.json", dump(t, b.Policy))
}

// TestRead_functions: what is declared for a Casbin model of one's own, with its
// places, and the definitions that a test asks.
func TestRead_functions(t *testing.T) {
	b := mustRead(t, files(`
-- bundle.yaml --
apiVersion: bailiwick/v1
kind: Bundle
tenant: t
functions:
  roles: {g2: keyMatch2}
  domains: {g: keyMatch}
  conditions: {g3: timeMatch}
  eval: true
-- model.conf --
x
-- tests/a.yaml --
apiVersion: bailiwick/v1
kind: Tests
name: A
tests:
  - name: b
    ask: [{context_set: "2", request: [alice, {Age: 20}], expect: deny}]
`))
	at := func(line, column int) access.Origin {
		return access.Origin{File: "bundle.yaml", Line: line, Column: column}
	}
	want := access.Functions{
		Roles: map[string]string{"g2": "keyMatch2"}, Domains: map[string]string{"g": "keyMatch"}, Conditions: map[string]string{"g3": "timeMatch"}, Eval: true,
		Origins: map[string]access.Origin{"roles g2": at(5, 15), "domains g": at(6, 16), "conditions g3": at(7, 20), "eval": at(8, 9)},
	}
	if got := b.Policy.Functions; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	q := b.Tests[0].Tests[0].Questions[0]
	if q.Request.RawSet != "2" || q.String() != "alice, map[Age:20] by context set 2" {
		t.Errorf("got %+v, %s", q.Request, q)
	}
}

func TestRead_folderThatIsNotThere(t *testing.T) {
	_, err := bundle.Read(brokenFS{}, bundle.Options{})
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, access.ErrInvalid) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

type brokenFS struct{}

func (brokenFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func TestRead_limitsOfSize(t *testing.T) {
	line := strings.Repeat("#", 1023) + "\n"
	full := strings.Repeat(line, bundle.MaxFile/len(line))
	fsys := files(shop)
	fsys["a.csv"] = &fstest.MapFile{Data: []byte(full)}
	mustRead(t, fsys)

	fsys["a.csv"].Data = append(fsys["a.csv"].Data, '\n')
	if _, got := read(t, fsys); got != "a.csv: the file is larger than 1048576 bytes [file-too-large]" {
		t.Errorf("got %s", got)
	}

	fsys["a.csv"].Data = []byte(full)
	for i := range 17 {
		fsys["b"+string(rune('a'+i))+".csv"] = fsys["a.csv"]
	}
	if _, got := read(t, fsys); !strings.HasPrefix(got, "bp.csv: with this file the bundle is larger") || strings.Count(got, "\n") > 0 {
		t.Errorf("got %s", got)
	}
}

func TestRead_onlyRegularFiles(t *testing.T) {
	fsys := files(shop)
	fsys["roles/pipe.yaml"] = &fstest.MapFile{Mode: fs.ModeNamedPipe}
	if _, got := read(t, fsys); got != "roles/pipe.yaml: the file cannot be read: it is not a regular file [file-unreadable]" {
		t.Errorf("got %s", got)
	}
}

func TestRead_modelIsLookedAtByTheEngine(t *testing.T) {
	conf := "\n-- model.conf --\n[request_definition]\n"
	options := func(model string, c access.Combining, err error) bundle.Options {
		return bundle.Options{ModelOf: func(string) (string, access.Combining, error) { return model, c, err }}
	}
	foreign := files("-- bundle.yaml --\n{apiVersion: bailiwick/v1, kind: Bundle, tenant: t}\n-- r.csv --\np, alice, data1, read\n" + conf)
	combined := files("-- bundle.yaml --\n{apiVersion: bailiwick/v1, kind: Bundle, tenant: t, combining: allow-overrides}\n" + conf)
	for name, tc := range map[string]struct {
		fsys fs.FS
		o    bundle.Options
		want string
	}{
		"foreign":              {foreign, options("m", "", nil), ""},
		"nobody to ask":        {foreign, bundle.Options{}, ""},
		"ours, same combining": {combined, options("", access.AllowOverrides, nil), ""},
		"ours, other combining": {
			combined, options("", access.DenyOverrides, nil),
			"model.conf: the model says deny-overrides, bundle.yaml says allow-overrides [combining-conflict]",
		},
		"foreign with combining": {
			combined, options("m", "", nil),
			"bundle.yaml:1:1: combining: allow-overrides has no effect, because model.conf says how rules combine (leave combining out) [combining-conflict]",
		},
		"broken": {foreign, options("", "", errors.New("no matcher")), "model.conf: no matcher [model-invalid]"},
		"broken with place": {
			foreign, options("", "", access.Problems{{Origin: access.Origin{Line: 7}, Code: "x", Message: "y"}}),
			"model.conf:7: y [x]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := bundle.Read(tc.fsys, tc.o)
			got := ""
			if err != nil {
				got = err.Error()
			} else if name == "foreign" && b.Policy.Model != "m" || name == "ours, same combining" && b.Policy.Combining != access.AllowOverrides {
				t.Errorf("model %q, combining %q", b.Policy.Model, b.Policy.Combining)
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
