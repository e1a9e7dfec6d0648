package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// person is a caller who has signed in to a tenant.
func person(tenant, id string) access.Caller {
	return access.Caller{Name: "user:" + id, Tenant: tenant, Subject: access.Subject{Kind: access.KindUser, ID: id}}
}

// attempts makes each attempt as a caller. Each must be refused, noted in the
// log, and leave everything as it was.
func (h *house) attempts(tenant string, kind error, attempts map[string]func(*service.Directory) error) {
	h.t.Helper()
	ctx := context.Background()
	before, err := h.store.Load(ctx, tenant)
	h.must(err)
	history, err := h.store.Revisions(ctx, tenant)
	h.must(err)
	for name, attempt := range attempts {
		if err := attempt(h.options.Directory); !errors.Is(err, kind) {
			h.t.Errorf("%s: got %v, want %v", name, err, kind)
		}
	}
	after, err := h.store.Load(ctx, tenant)
	h.must(err)
	if !reflect.DeepEqual(before, after) {
		h.t.Errorf("something changed: revision %d became %d", before.Revision, after.Revision)
	}
	if now, err := h.store.Revisions(ctx, tenant); err != nil || now[len(now)-1].Hash != history[len(history)-1].Hash {
		h.t.Errorf("the history changed: %v", err)
	}
	if errors.Is(kind, access.ErrForbidden) && strings.Count(h.log.String(), "an attempt was refused") < len(attempts) {
		h.t.Error("not every attempt is in the log")
	}
}

// inADay is tomorrow, as precisely as it can be kept.
var inADay = time.Now().Add(24 * time.Hour).Truncate(time.Microsecond)

var once = access.Change{Base: access.AnyRevision, Source: "test"}

func group(change func(*service.Directory, context.Context) error) func(*service.Directory) error {
	return func(d *service.Directory) error { return change(d, context.Background()) }
}

func patchGroup(caller access.Caller, tenant, code string, p service.GroupPatch) func(*service.Directory) error {
	return group(func(d *service.Directory, ctx context.Context) error {
		_, _, err := d.PatchGroup(ctx, caller, tenant, code, p, once)
		return err
	})
}

func addMember(caller access.Caller, tenant, code string, m service.NewMember) func(*service.Directory) error {
	return group(func(d *service.Directory, ctx context.Context) error {
		_, err := d.AddMembers(ctx, caller, tenant, code, []service.NewMember{m}, once)
		return err
	})
}

func removeMember(caller access.Caller, tenant, code, id, moveTo string) func(*service.Directory) error {
	return group(func(d *service.Directory, ctx context.Context) error {
		_, err := d.RemoveMembers(ctx, caller, tenant, code, []string{id}, moveTo, once)
		return err
	})
}

func deleteGroup(caller access.Caller, tenant, code, moveTo string) func(*service.Directory) error {
	return group(func(d *service.Directory, ctx context.Context) error {
		_, _, err := d.DeleteGroup(ctx, caller, tenant, code, moveTo, once)
		return err
	})
}

func createGroup(caller access.Caller, tenant string, g access.Group) func(*service.Directory) error {
	return group(func(d *service.Directory, ctx context.Context) error {
		_, _, err := d.CreateGroup(ctx, caller, tenant, g, once)
		return err
	})
}

func patchRole(caller access.Caller, tenant, code string, p service.RolePatch) func(*service.Directory) error {
	return group(func(d *service.Directory, ctx context.Context) error {
		_, _, err := d.PatchRole(ctx, caller, tenant, code, p, once)
		return err
	})
}

// delegated adds to the call centre an administrator of users, groups and roles
// who may do that everywhere, and holds nothing else but the work of team A.
func delegatedHouse(t *testing.T) *house {
	t.Helper()
	h := staffHouse(t)
	decode[api.Group](t, h.admin(http.MethodPost, "/groups", `{"code":"delegates","name":"Delegates","base":"operators",
		"grants":[{"section":"System.Access","crud":63},{"section":"Reports","crud":2,"scope":"team:a"},{"section":"Calls.Queue","rights":["accept"],"scope":"team:b","effect":"deny"}]}`))
	decode[api.DirectoryChanged](t, h.admin(http.MethodPost, "/groups/delegates/members", `{"members":[{"user":"two","first":true}]}`))
	decode[api.Group](t, h.admin(http.MethodPost, "/groups", `{"code":"bosses","name":"Bosses","grants":[{"section":"Reports","crud":62}]}`))
	return h
}

// Req 52, 74, 100: whoever manages users, groups and roles cannot come to hold
// more by it, nor touch whoever does. Each step of the attack is refused.
func TestDelegation_malicious(t *testing.T) {
	h := delegatedHouse(t)
	two, text := person("calls", "two"), func(s string) *string { return &s }
	everything := []access.Grant{{Section: "System", Rights: access.AllRights}}
	one := func(section access.Section, r access.Rights, scope access.Scope) *[]access.Grant {
		return &[]access.Grant{{Section: section, Rights: r, Scope: scope}}
	}
	h.attempts("calls", access.ErrForbidden, map[string]func(*service.Directory) error{
		"rename the group of the superusers":    patchGroup(two, "calls", "administrators", service.GroupPatch{Name: text("Mine")}),
		"rename a group that holds more":        patchGroup(two, "calls", "bosses", service.GroupPatch{Name: text("Mine")}),
		"base the own group on a stronger one":  patchGroup(two, "calls", "delegates", service.GroupPatch{Base: text("administrators")}),
		"base a new group on a stronger one":    createGroup(two, "calls", access.Group{Code: "mine", Name: "Mine", Base: "administrators"}),
		"a new group with the superuser's role": createGroup(two, "calls", access.Group{Code: "mine", Name: "Mine", Roles: []access.Link{{To: access.SuperuserRole}}}),
		"a new group with what is not held":     createGroup(two, "calls", access.Group{Code: "mine", Name: "Mine", Grants: *one("Reports", access.Update, "team:a")}),
		"a right of the own one, elsewhere":     createGroup(two, "calls", access.Group{Code: "mine", Name: "Mine", Grants: *one("Reports", access.Show, "")}),
		"a right that is prohibited to oneself": createGroup(two, "calls", access.Group{Code: "mine", Name: "Mine", Roles: []access.Link{{To: "handling", Scope: "team:b"}}}),
		"lose a prohibition":                    patchGroup(two, "calls", "delegates", service.GroupPatch{Grants: one("System.Access", access.AllRights, "")}),
		"all rights for the own group":          patchGroup(two, "calls", "delegates", service.GroupPatch{Grants: &everything}),
		"a right for another group":             patchGroup(two, "calls", "team-a", service.GroupPatch{Grants: one("Reports", access.Update, "")}),
		"a right for the own role":              patchRole(two, "calls", "handling", service.RolePatch{Grants: one("Reports", access.Execute, "")}),
		"join the superusers":                   addMember(two, "calls", "administrators", service.NewMember{ID: "two"}),
		"let another one join them":             addMember(two, "calls", "administrators", service.NewMember{ID: "one"}),
		"join them tomorrow":                    addMember(two, "calls", "administrators", service.NewMember{ID: "one", Validity: access.Validity{From: inADay}}),
		"put the superuser into the own group":  addMember(two, "calls", "delegates", service.NewMember{ID: "root"}),
		"throw the superuser out":               removeMember(two, "calls", "administrators", "root", "newcomers"),
		"delete the group of the superusers":    deleteGroup(two, "calls", "administrators", "newcomers"),
		"change another tenant":                 patchGroup(two, "default", "readers", service.GroupPatch{Name: text("Mine")}),
		"change as somebody of another tenant":  patchGroup(person("default", "two"), "calls", "team-a", service.GroupPatch{Name: text("Mine")}),
		"change as an operator, Req 52":         patchGroup(person("calls", "one"), "calls", "team-a", service.GroupPatch{Name: text("Mine")}),
		"change as nobody who is known":         patchGroup(person("calls", "nobody"), "calls", "team-a", service.GroupPatch{Name: text("Mine")}),
	})
	for name, allowed := range map[string]func(*service.Directory) error{
		"a group of the own rights":       createGroup(two, "calls", access.Group{Code: "smaller", Name: "Smaller", Grants: *one("Reports", access.Show, "team:a")}),
		"somebody who holds less into it": addMember(two, "calls", "newcomers", service.NewMember{ID: "one"}),
	} {
		if err := allowed(h.options.Directory); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// printShop is a web shop with two stores. delegate-1 manages all users, and holds no
// more than every customer besides.
var printShop = files(map[string]string{
	"bundle.yaml": `apiVersion: bailiwick/v1
kind: Bundle
tenant: print
combining: allow-overrides
scopes: [{scope: "store:eu", name: EU}, {scope: "store:us", name: US}]
`,
	"catalogue/shop.yaml": `apiVersion: bailiwick/v1
kind: Application
code: shop
name: Shop
sections:
  - {path: Orders, name: Orders, actions: [produce]}
`,
	"groups/customer.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: customer\nname: Customer\ntype: template\ngrants: [{section: Orders, rights: [show, insert]}]\n",
	"groups/operator.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: operator\nname: Operator\ntype: template\ngrants: [{section: Orders, rights: [show, update, produce]}]\n",
	"groups/administrator.yaml": `apiVersion: bailiwick/v1
kind: Group
code: administrator
name: Administrator
type: template
base: customer
grants:
  - {section: Orders, rights: [update]}
  - {section: System.Access.Users, rights: [show, insert, update, delete]}
  - {section: System.Access.Groups, rights: [show]}
`,
	"groups/eu-registered.yaml":     "apiVersion: bailiwick/v1\nkind: Group\ncode: eu-registered\nname: EU customers\nbase: customer\nscopes: [\"store:eu\"]\n",
	"groups/us-registered.yaml":     "apiVersion: bailiwick/v1\nkind: Group\ncode: us-registered\nname: US customers\nbase: customer\nscopes: [\"store:us\"]\n",
	"groups/eu-operators.yaml":      "apiVersion: bailiwick/v1\nkind: Group\ncode: eu-operators\nname: EU operators\nbase: operator\nscopes: [\"store:eu\"]\n",
	"groups/eu-administrators.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: eu-administrators\nname: EU administrators\nbase: administrator\nscopes: [\"store:eu\"]\n",
	"groups/superusers.yaml":        "apiVersion: bailiwick/v1\nkind: Group\ncode: superusers\nname: Superusers\nroles: [superuser]\n",
	"groups/delegates.yaml": `apiVersion: bailiwick/v1
kind: Group
code: delegates
name: Delegates
base: customer
grants: [{section: System.Access.Users, rights: [show, insert, update, delete]}]
`,
	"users/all.yaml": `apiVersion: bailiwick/v1
kind: Users
users:
  - {id: root, name: root, email: root@example.com, groups: [superusers]}
  - {id: admin-1, name: admin-1, email: admin-1@example.com, groups: [eu-administrators]}
  - {id: operator-1, name: operator-1, email: operator-1@example.com, groups: [eu-operators]}
  - {id: customer-1, name: customer-1, email: customer-1@example.com, groups: [eu-registered]}
  - {id: customer-2, name: customer-2, email: customer-2@example.com, groups: [us-registered]}
  - {id: guest-1, name: guest-1, email: guest-1@example.com, groups: []}
  - {id: delegate-1, name: delegate-1, email: delegate-1@example.com, groups: [delegates]}
`,
})

// printHouse has that shop as tenant print.
func printHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.load("print", printShop)
	return h
}

// Req 97, 98, 99, 100: a store's administrator manages the customers of his
// stores, and nobody else.
func TestDelegation_storeAdministrator(t *testing.T) {
	h := printHouse(t)
	admin := person("print", "admin-1")
	h.attempts("print", access.ErrForbidden, map[string]func(*service.Directory) error{
		"make somebody an operator":        addMember(admin, "print", "eu-operators", service.NewMember{ID: "customer-1"}),
		"touch an operator":                addMember(admin, "print", "eu-registered", service.NewMember{ID: "operator-1"}),
		"take an operator out":             removeMember(admin, "print", "eu-operators", "operator-1", "eu-registered"),
		"a customer of another store":      addMember(admin, "print", "eu-registered", service.NewMember{ID: "customer-2"}),
		"make a customer of another store": addMember(admin, "print", "us-registered", service.NewMember{ID: "guest-1"}),
		"somebody of all stores":           addMember(admin, "print", "customer", service.NewMember{ID: "guest-1"}),
		"touch the superuser":              addMember(admin, "print", "eu-registered", service.NewMember{ID: "root"}),
		"make a group":                     createGroup(admin, "print", access.Group{Code: "mine", Name: "Mine"}),
		"a customer managing":              addMember(person("print", "customer-1"), "print", "eu-registered", service.NewMember{ID: "guest-1"}),
		"an operator managing":             addMember(person("print", "operator-1"), "print", "eu-registered", service.NewMember{ID: "guest-1"}),
	})
	h.must(addMember(admin, "print", "eu-registered", service.NewMember{ID: "guest-1"})(h.options.Directory))
	h.must(addMember(person("print", "root"), "print", "eu-operators", service.NewMember{ID: "guest-1"})(h.options.Directory))
	page, err := h.options.Directory.Groups(context.Background(), admin, "print", service.GroupQuery{Page: service.Page{Size: 50}})
	h.must(err)
	var seen []string
	for _, g := range page.Groups {
		seen = append(seen, g.Code)
	}
	if got := strings.Join(seen, " "); got != "eu-administrators eu-registered eu-operators" || page.Total != len(seen) {
		t.Errorf("he is shown %q of %d", got, page.Total)
	}
	if _, _, err := h.options.Directory.Group(context.Background(), admin, "print", "us-registered"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a group of another store: %v", err)
	}
	if _, _, err := h.options.Directory.User(context.Background(), admin, "print", "root"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("the superuser, who is one everywhere: %v", err)
	}
}

// Req 96, 99: a group says whom it manages. Its administrators hold all that
// operators hold, and look after customers all the same; they cannot widen it by
// a group or a friend of theirs.
func TestDelegation_managedGroups(t *testing.T) {
	h := newHouse(t)
	grants := "grants:\n  - {section: Orders, rights: [show, update]}\n"
	access63 := "  - {section: System.Access.Users, rights: [show, insert, update, delete]}\n  - {section: System.Access.Groups, rights: [show, insert, update]}\n"
	group := func(code, more string) string {
		return "apiVersion: bailiwick/v1\nkind: Group\ncode: " + code + "\nname: " + code + "\n" + more
	}
	h.load("print", files(map[string]string{
		"bundle.yaml":                   "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: print\n",
		"catalogue/shop.yaml":           "apiVersion: bailiwick/v1\nkind: Application\ncode: shop\nname: Shop\nsections: [{path: Orders, name: Orders}]\n",
		"groups/customer.yaml":          group("customer", grants),
		"groups/regular.yaml":           group("regular", "base: customer\n"),
		"groups/operator.yaml":          group("operator", grants),
		"groups/administrator.yaml":     group("administrator", "manages: [customer]\n"+grants+access63),
		"groups/eu-administrators.yaml": group("eu-administrators", "base: administrator\n"),
		"groups/nobody.yaml":            group("nobody", "manages: none\nbase: administrator\n"),
		"groups/b.yaml":                 group("b", "base: customer\n"+"grants:\n"+access63),
		"groups/a.yaml":                 group("a", "base: b\nmanages: [regular]\n"),
		"groups/c.yaml":                 group("c", "base: b\n"),
		"groups/all.yaml":               group("all", "base: customer\n"+grants+access63),
		"users/all.yaml": `apiVersion: bailiwick/v1
kind: Users
users:
  - {id: root, roles: [superuser]}
  - {id: admin-1, groups: [eu-administrators]}
  - {id: admin-2, groups: [nobody]}
  - {id: operator-1, groups: [operator]}
  - {id: customer-1, groups: [customer]}
  - {id: customer-2, groups: [regular]}
  - {id: customer-3, groups: [a]}
`,
	}))
	admin := person("print", "admin-1")
	unbounded := access.Group{Code: "mine", Name: "Mine", Base: "customer", Grants: []access.Grant{{Section: "System.Access.Users", Rights: access.Show}}}
	bounded := unbounded
	bounded.Code, bounded.Manages = "ours", []string{"regular"}
	wider := []string{"operator", "customer"}
	h.attempts("print", access.ErrForbidden, map[string]func(*service.Directory) error{
		"make somebody an operator":           addMember(admin, "print", "operator", service.NewMember{ID: "customer-1"}),
		"touch an operator":                   addMember(admin, "print", "regular", service.NewMember{ID: "operator-1"}),
		"touch another administrator":         addMember(admin, "print", "regular", service.NewMember{ID: "admin-2"}),
		"make somebody an administrator":      addMember(admin, "print", "eu-administrators", service.NewMember{ID: "customer-1"}),
		"widen the own group":                 patchGroup(admin, "print", "eu-administrators", service.GroupPatch{Manages: &wider}),
		"make a group of managers":            createGroup(admin, "print", unbounded),
		"put somebody into one that is there": addMember(admin, "print", "all", service.NewMember{ID: "customer-1"}),
		"on a second way to the same right":   addMember(admin, "print", "c", service.NewMember{ID: "customer-3"}),
		"who manages nobody":                  addMember(person("print", "admin-2"), "print", "regular", service.NewMember{ID: "customer-1"}),
	})
	h.must(addMember(admin, "print", "regular", service.NewMember{ID: "customer-1"})(h.options.Directory))
	h.must(createGroup(admin, "print", bounded)(h.options.Directory))
	h.must(addMember(person("print", "root"), "print", "regular", service.NewMember{ID: "operator-1"})(h.options.Directory))
	if w := h.send(http.MethodPatch, "/v1/tenants/print/groups/nobody", h.root, `{"manages":["nowhere"]}`); w.Code != http.StatusBadRequest && w.Code != http.StatusNotFound {
		t.Errorf("a group that is not there: %d %s", w.Code, w.Body)
	}
}

// Req 99: whoever may manage in one scope only touches nobody who reaches beyond
// it, even where he holds all that they hold.
func TestDelegation_scope(t *testing.T) {
	h := staffHouse(t)
	decode[api.Group](t, h.admin(http.MethodPost, "/groups", `{"code":"leads","name":"Leads","roles":[{"role":"handling"}],
		"grants":[{"section":"System.Access.Users","crud":62,"scope":"team:a"}]}`))
	decode[api.Group](t, h.admin(http.MethodPost, "/groups", `{"code":"team-b","name":"Team B","base":"operators","scopes":["team:b"]}`))
	decode[api.DirectoryChanged](t, h.admin(http.MethodPost, "/groups/leads/members", `{"members":[{"user":"two"}]}`))
	lead := person("calls", "two")
	h.attempts("calls", access.ErrForbidden, map[string]func(*service.Directory) error{
		"into the other team": addMember(lead, "calls", "team-b", service.NewMember{ID: "one"}),
		"into all teams":      addMember(lead, "calls", "operators", service.NewMember{ID: "one"}),
	})
	h.must(addMember(lead, "calls", "newcomers", service.NewMember{ID: "one"})(h.options.Directory))
}

// Req 48, 74, U8: the last superuser stays, whoever asks, keys included.
func TestSuperuser_last(t *testing.T) {
	h := staffHouse(t)
	template := access.GroupTemplate
	tomorrow := access.Validity{Until: inADay}
	for _, caller := range []access.Caller{rootCaller, person("calls", "root")} {
		h.attempts("calls", service.ErrConflict, map[string]func(*service.Directory) error{
			"move":                removeMember(caller, "calls", "administrators", "root", "newcomers"),
			"let it expire":       addMember(caller, "calls", "administrators", service.NewMember{ID: "root", Validity: tomorrow}),
			"delete the group":    deleteGroup(caller, "calls", "administrators", "newcomers"),
			"take the rights":     patchGroup(caller, "calls", "administrators", service.GroupPatch{Grants: &[]access.Grant{}}),
			"make it a template":  patchGroup(caller, "calls", "administrators", service.GroupPatch{Kind: &template}),
			"withdraw all scopes": patchGroup(caller, "calls", "administrators", service.GroupPatch{Scopes: &[]access.Scope{}}),
			"one who ends for another": group(func(d *service.Directory, ctx context.Context) error {
				if _, err := d.AddMembers(ctx, caller, "calls", "administrators", []service.NewMember{{ID: "root", Validity: tomorrow}, {ID: "one", Validity: tomorrow}}, once); err != nil {
					return err
				}
				return nil
			}),
		})
	}
	h.must(addMember(person("calls", "root"), "calls", "administrators", service.NewMember{ID: "one"})(h.options.Directory))
	h.must(removeMember(person("calls", "one"), "calls", "administrators", "root", "newcomers")(h.options.Directory))
	h.attempts("calls", service.ErrConflict, map[string]func(*service.Directory) error{
		"the one who is left": removeMember(rootCaller, "calls", "administrators", "one", ""),
	})
}

// onBoth runs a story over a database of either kind.
func onBoth(t *testing.T, story func(*testing.T, store.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { story(t, sqliteFile(t)) })
	t.Run("mysql", func(t *testing.T) { story(t, store.Options{Driver: store.MySQL, DSN: accesstest.MySQL(t)}) })
}

// U8: two superusers at once cannot remove each other.
func TestSuperuser_race(t *testing.T) { onBoth(t, superuserRace) }

func superuserRace(t *testing.T, o store.Options) {
	t.Helper()
	h := staffed(t, newHouseOn(t, o))
	for range 10 {
		h.must(addMember(rootCaller, "calls", "administrators", service.NewMember{ID: "one"})(h.options.Directory))
		h.must(addMember(rootCaller, "calls", "administrators", service.NewMember{ID: "root"})(h.options.Directory))
		var both sync.WaitGroup
		errs := make([]error, 2)
		for i, pair := range [][2]string{{"one", "root"}, {"root", "one"}} {
			both.Go(func() {
				errs[i] = removeMember(person("calls", pair[0]), "calls", "administrators", pair[1], "newcomers")(h.options.Directory)
			})
		}
		both.Wait()
		m := decode[api.Members](t, h.admin(http.MethodGet, "/groups/administrators/members", ""))
		if m.Total != 1 || (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("%d are left, %v", m.Total, errs)
		}
	}
}
