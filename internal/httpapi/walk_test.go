package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// walkTexts are a company in which delegate-1 may administer something and holds
// the work of the staff besides, strong-1 holds more than he does, and root all.
// Words in capitals are filled in.
var walkTexts = map[string]string{
	"bundle.yaml": `apiVersion: bailiwick/v1
kind: Bundle
tenant: TENANT
combining: COMBINING
licences: [{feature: reports, seats: 3}]
scopes:
  - {scope: "company:1", name: One}
  - {scope: "company:2", name: Two}
  - {scope: "store:a", name: A, parent: "company:1"}
  - {scope: "store:b", name: B, parent: "company:1"}
  - {scope: "store:c", name: C, parent: "company:2"}
`,
	"catalogue/shop.yaml": `apiVersion: bailiwick/v1
kind: Application
code: shop
name: Shop
sections:
  - {path: Orders, name: Orders, actions: [produce]}
  - {path: Orders.Export, name: Export, prerequisites: [{section: Prices, rights: [show]}]}
  - {path: Prices, name: Prices}
  - {path: Reports, name: Reports, licence: reports}
`,
	"catalogue/crm.yaml": "apiVersion: bailiwick/v1\nkind: Application\ncode: crm\nname: CRM\nsections: [{path: Deals, name: Deals}]\n",
	"roles/exporter.yaml": `apiVersion: bailiwick/v1
kind: Role
code: exporter
name: Exporter
grants: [{section: Orders.Export, rights: [show, execute]}]
`,
	"roles/auditor.yaml":   "apiVersion: bailiwick/v1\nkind: Role\ncode: auditor\nname: Auditor\ngrants: [{section: Reports, rights: [show, update, delete]}]\n",
	"groups/template.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: template\nname: Template\ntype: template\ngrants: [{section: Orders, rights: [show]}]\n",
	"groups/staff.yaml": `apiVersion: bailiwick/v1
kind: Group
code: staff
name: Staff
base: template
roles: [exporter]
grants:
  - {section: Orders, rights: [update], condition: "subject.region == resource.region"}
  - {section: Prices, rights: [show], scope: "company:1"}
  - {section: Prices, rights: [update], effect: deny, scope: "store:b"}
  - {section: Deals, rights: [show]}
`,
	"groups/clerks.yaml":   "apiVersion: bailiwick/v1\nkind: Group\ncode: clerks\nname: Clerks\nbase: template\ngrants: [{section: Orders, rights: [show], scope: \"store:a\"}]\n",
	"groups/strong.yaml":   "apiVersion: bailiwick/v1\nkind: Group\ncode: strong\nname: Strong\nroles: [auditor]\ngrants: [{section: Orders, rights: [inherit, show, insert, update, delete, execute]}, {section: Prices, rights: [update]}]\n",
	"groups/seasoned.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: seasoned\nname: Seasoned\nbase: staff\ngrants: [{section: Deals, rights: [update]}]\n",
	"groups/delegates.yaml": `apiVersion: bailiwick/v1
kind: Group
code: delegates
name: Delegates
base: staff
MANAGES
grants: [PARTS]
`,
	"users/all.yaml": `apiVersion: bailiwick/v1
kind: Users
users:
  - {id: root, email: root@example.com, name: root, roles: [superuser]}
  - {id: strong-1, email: strong-1@example.com, name: strong-1, groups: [strong], licences: [reports]}
  - {id: delegate-1, email: delegate-1@example.com, name: delegate-1, groups: [DELEGATES], attributes: {region: eu}, licences: [reports], applications_off: [OFF]}
  - {id: staff-1, email: staff-1@example.com, name: staff-1, groups: [staff], attributes: {region: us}}
  - {id: clerk-1, email: clerk-1@example.com, name: clerk-1, groups: [{group: clerks, scope: "store:a"}]}
  - {id: guest-1, email: guest-1@example.com, name: guest-1, groups: [template]}
`,
}

// walk is one delegate at random work.
type walk struct {
	*house
	tenant string
	random *rand.Rand
	us     map[string]bool // accounts that he acts by: his own, and those that he came to sign in as
	done   []string        // what was allowed, in its order
	soon   time.Time
	acts   []walkAct
	able   []walkAct // those of what he may administer
}

type walkAct struct {
	part string // of Access, whose it is
	name string
	do   func(ctx context.Context, by access.Caller) error
}

// walkParts are the parts of Access that delegates may administer: each alone, all
// pairs, and everything. ("Audit" lets nobody change anything.)
var walkParts = func() [][]string {
	parts := []string{".Users", ".Groups", ".Roles", ".Grants", ".Stores", ".Policies", ".Settings", ".Audit"}
	all := [][]string{{""}, {".Users", ".Groups", ".Roles", ".Grants"}}
	for i, part := range parts {
		for _, other := range parts[:i] {
			all = append(all, []string{other, part})
		}
		all = append(all, []string{part})
	}
	return all
}()

// newWalk draws what the delegate may administer, and where.
func newWalk(h *house, tenant string, seed uint64) *walk {
	w := &walk{house: h, tenant: tenant, random: rand.New(rand.NewPCG(seed, 7)), us: map[string]bool{"delegate-1": true}}
	w.soon = time.Now().Add(40 * 24 * time.Hour).UTC().Truncate(time.Second)
	where := pick(w, "", "", "", "store:a", "company:1")
	var grants []string
	parts := walkParts[seed%uint64(len(walkParts))]
	for _, part := range parts {
		scope := ""
		if where != "" {
			scope = `, scope: "` + where + `"`
		}
		grants = append(grants, "{section: System.Access"+part+", rights: [inherit, show, insert, update, delete]"+scope+"}")
	}
	fill := strings.NewReplacer("TENANT", tenant, "PARTS", strings.Join(grants, ", "),
		"MANAGES", pick(w, "", "", "", "manages: [clerks]", "manages: [staff, clerks, delegates]"),
		"DELEGATES", pick(w, "delegates", "delegates", `{group: delegates, until: "`+w.soon.Format(time.RFC3339)+`"}`),
		"OFF", pick(w, "", "", "crm"), "COMBINING", pick(w, "deny-overrides", "allow-overrides"))
	texts := map[string]string{}
	for name, text := range walkTexts {
		texts[name] = fill.Replace(text)
	}
	h.load(tenant, files(texts))
	w.done = append(w.done, fmt.Sprintf("seed %d: %s in %q", seed, strings.Join(grants, " "), where))
	w.acts = slices.Concat(w.groupActs(), w.roleActs(), w.userActs(), w.otherActs(), w.forbiddenActs())
	w.able = slices.DeleteFunc(slices.Clone(w.acts), func(a walkAct) bool { return !slices.Contains(parts, "") && !slices.Contains(parts, a.part) })
	return w
}

// pick draws one of several.
func pick[T any](w *walk, of ...T) T { return of[w.random.IntN(len(of))] }

func (w *walk) scope() access.Scope {
	return pick[access.Scope](w, "", "", "", "", "", "company:1", "store:a", "store:b", "store:c", "store:new")
}

func (w *walk) shop() access.Scope {
	return pick[access.Scope](w, "company:1", "store:a", "store:b", "store:c", "store:new", "store:new")
}

func (w *walk) validity() access.Validity {
	return pick(w, access.Validity{}, access.Validity{}, access.Validity{}, access.Validity{}, access.Validity{}, access.Validity{}, access.Validity{Until: w.soon}, access.Validity{From: w.soon}, access.Validity{Until: w.soon.Add(time.Hour)})
}

func (w *walk) group() string {
	return pick(w, "template", "template", "staff", "staff", "clerks", "clerks", "strong", "seasoned", "delegates", "mine-1", "mine-1", "mine-2", "new-clerks")
}

func (w *walk) role() string {
	return pick(w, "exporter", "exporter", "auditor", access.SuperuserRole, "made-1", "made-1")
}

func (w *walk) user() string {
	return pick(w, "root", "strong-1", "delegate-1", "delegate-1", "staff-1", "clerk-1", "guest-1", "guest-1", "friend-1", "friend-1", "friend-2")
}

func (w *walk) links(code func() string, most int) []access.Link {
	links := []access.Link{}
	for range w.random.IntN(most + 1) {
		if to := code(); !slices.ContainsFunc(links, func(l access.Link) bool { return l.To == to }) {
			links = append(links, access.Link{To: to, Scope: w.scope(), Validity: w.validity()})
		}
	}
	return links
}

func (w *walk) grants() []access.Grant {
	grants := []access.Grant{}
	for range w.random.IntN(3) {
		grants = append(grants, access.Grant{
			Section: pick[access.Section](w, "Orders", "Orders", "Orders.Export", "Prices", "Reports", "Deals", "System", "System.Access.Users", "System.Access.Groups"),
			Rights:  pick(w, access.Show, access.Show, access.Show|access.Update, access.Inherit|access.Show, access.AllRights, access.Execute), Scope: w.scope(), Validity: w.validity(),
			Effect:    pick[access.Effect](w, "", "", "", access.Deny),
			Condition: pick(w, "", "", "", "subject.region == resource.region", "resource.region == \"us\""),
		})
	}
	return grants
}

// maybe leaves something as it is, mostly.
func maybe[T any](w *walk, draw func() T) *T {
	if w.random.IntN(6) > 0 {
		return nil
	}
	v := draw()
	return &v
}

func (w *walk) groupActs() []walkAct {
	d := w.options.Directory
	return []walkAct{
		{".Groups", "create a group", func(ctx context.Context, by access.Caller) error {
			g := access.Group{Code: pick(w, "mine-1", "mine-2"), Name: "Mine", Base: pick(w, "", w.group()), Grants: w.grants(), Roles: w.links(w.role, 1)}
			if manages := maybe(w, w.group); manages != nil {
				g.Manages = []string{*manages}
			}
			_, _, err := d.CreateGroup(ctx, by, w.tenant, g, once)
			return err
		}},
		{".Groups", "change a group", func(ctx context.Context, by access.Caller) error {
			p := service.GroupPatch{
				Base: maybe(w, func() string { return pick(w, "", w.group()) }), Grants: maybe(w, w.grants), Signature: maybe(w, func() string { return "{{ user.name }}" }),
				Roles: maybe(w, func() []access.Link { return w.links(w.role, 2) }),
				Kind: maybe(w, func() access.GroupKind {
					return pick(w, access.GroupRegular, access.GroupTemplate, access.GroupDefault)
				}),
				Scopes:  maybe(w, func() []access.Scope { return pick(w, nil, []access.Scope{"store:a"}, []access.Scope{}) }),
				Manages: maybe(w, func() []string { return pick(w, nil, []string{w.group()}, []string{}) }),
			}
			_, _, err := d.PatchGroup(ctx, by, w.tenant, w.group(), p, once)
			return err
		}},
		{".Groups", "set rights of a group", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.GroupRights(ctx, by, w.tenant, w.group(), w.grants(), once)
			return err
		}},
		{".Groups", "delete a group", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.DeleteGroup(ctx, by, w.tenant, w.group(), pick(w, "", w.group()), once)
			return err
		}},
		{".Users", "add a member", func(ctx context.Context, by access.Caller) error {
			m := service.NewMember{ID: w.user(), Scope: w.scope(), Validity: w.validity(), First: w.random.IntN(2) == 0}
			_, err := d.AddMembers(ctx, by, w.tenant, w.group(), []service.NewMember{m}, once)
			return err
		}},
		{".Users", "remove a member", func(ctx context.Context, by access.Caller) error {
			_, err := d.RemoveMembers(ctx, by, w.tenant, w.group(), []string{w.user()}, pick(w, "", w.group()), once)
			return err
		}},
	}
}

func (w *walk) roleActs() []walkAct {
	d := w.options.Directory
	return []walkAct{
		{".Roles", "create a role", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.CreateRole(ctx, by, w.tenant, access.Role{Code: "made-1", Name: "Made", Grants: w.grants(), Roles: w.links(w.role, 1)}, once)
			return err
		}},
		{".Roles", "change a role", func(ctx context.Context, by access.Caller) error {
			p := service.RolePatch{Grants: maybe(w, w.grants), Roles: maybe(w, func() []access.Link { return w.links(w.role, 1) })}
			_, _, err := d.PatchRole(ctx, by, w.tenant, w.role(), p, once)
			return err
		}},
		{".Roles", "delete a role", func(ctx context.Context, by access.Caller) error {
			_, err := d.DeleteRole(ctx, by, w.tenant, w.role(), once)
			return err
		}},
		{".Grants", "set rights of an application", func(ctx context.Context, by access.Caller) error {
			_, err := d.ApplicationRights(ctx, by, w.tenant, pick(w, "shop", "crm"), w.links(w.role, 1), w.grants(), once)
			return err
		}},
	}
}

func (w *walk) userActs() []walkAct {
	d := w.options.Directory
	region := func() map[string]any {
		return pick(w, nil, nil, nil, nil, nil, map[string]any{"region": pick[any](w, "eu", "us", nil)})
	}
	patch := func() service.UserPatch {
		return service.UserPatch{
			Groups: maybe(w, func() []access.Link { return w.links(w.group, 2) }), Roles: maybe(w, func() []access.Link { return w.links(w.role, 1) }),
			Grants: maybe(w, w.grants), Attributes: region(), Licences: maybe(w, func() []string { return pick(w, []string{}, []string{"reports"}) }),
			ApplicationsOff: maybe(w, func() []string { return pick(w, []string{}, []string{"crm"}) }), Menu: maybe(w, func() []access.Section { return []access.Section{"Reports"} }),
			Home: maybe(w, w.scope), Name: maybe(w, func() string { return "Renamed" }),
		}
	}
	act := func(name string, f func(context.Context, access.Caller, string, string, access.Change) (access.User, access.Revision, error)) walkAct {
		return walkAct{".Users", name, func(ctx context.Context, by access.Caller) error {
			_, _, err := f(ctx, by, w.tenant, w.user(), once)
			return err
		}}
	}
	return []walkAct{
		{".Users", "create an account", func(ctx context.Context, by access.Caller) error {
			id := pick(w, "friend-1", "friend-2")
			n := service.NewUser{
				ID: id, Email: id + "@example.com", Name: id, Groups: w.links(w.group, 2), Roles: w.links(w.role, 1), Grants: w.grants(), Attributes: region(),
				Licences: pick(w, nil, []string{"reports"}), Home: pick(w, "", w.scope()), ApplicationsOff: pick(w, nil, []string{"crm"}),
			}
			_, _, err := d.CreateUser(ctx, by, w.tenant, n, once)
			if err == nil {
				w.us[id] = true
			}
			return err
		}},
		{".Users", "change an account", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.PatchUser(ctx, by, w.tenant, w.user(), patch(), once)
			return err
		}},
		{".Users", "give rights like somebody's", func(ctx context.Context, by access.Caller) error {
			ops := []service.UserOperation{{Op: "copy_rights", ID: w.user(), From: w.user()}}
			_, _, err := d.ChangeUsers(ctx, by, w.tenant, ops, once)
			return err
		}},
		{".Users", "move somebody, and change another one", func(ctx context.Context, by access.Caller) error {
			ops := []service.UserOperation{
				{Op: "move_group", ID: w.user(), From: w.group(), To: w.group()},
				{Op: "update", ID: w.user(), Patch: patch()},
			}
			_, _, err := d.ChangeUsers(ctx, by, w.tenant, ops, once)
			return err
		}},
		{".Users", "import an account", func(ctx context.Context, by access.Caller) error {
			rows := []service.ImportRow{{Line: 2, ID: w.user(), Patch: patch()}}
			_, _, err := d.ImportUsers(ctx, by, w.tenant, service.UserImport{Mode: "upsert", Rows: rows, Groups: w.links(w.group, 1)}, once)
			return err
		}},
		act("activate an account", d.ActivateUser),
		act("deactivate an account", d.DeactivateUser),
		act("restore an account", d.RestoreUser),
		{".Users", "delete an account", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.DeleteUser(ctx, by, w.tenant, w.user(), pick(w, "", w.user()), once)
			return err
		}},
		{".Users", "hand over", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.HandOver(ctx, by, w.tenant, w.user(), w.user(), once)
			return err
		}},
		{".Users", "sign in as somebody", func(ctx context.Context, by access.Caller) error {
			id := w.user()
			_, _, err := w.options.Accounts.EndSessionsOf(ctx, by, w.tenant, id, once) // who may do this may set a password as well
			if err == nil {
				w.us[id] = true
			}
			return err
		}},
	}
}

func (w *walk) otherActs() []walkAct {
	d := w.options.Directory
	catalogue := func() access.Application {
		app := access.Application{Code: "shop", Name: "Shop", Sections: []access.SectionEntry{
			{Path: "Orders", Name: "Orders", Actions: []access.ActionEntry{{Name: "produce"}}, Cascade: w.random.IntN(4) == 0},
			{Path: "Orders.Export", Name: "Export", Prerequisites: pick(w, nil, []access.Prerequisite{{Section: "Prices", Rights: access.Show}})},
			{Path: "Prices", Name: "Prices"},
			{Path: "Reports", Name: "Reports", Licence: pick(w, "", "reports")},
		}}
		if w.random.IntN(3) == 0 {
			app.Sections = append(app.Sections, access.SectionEntry{Path: "Orders.Drafts", Name: "Drafts"})
		}
		return app
	}
	return []walkAct{
		{".Stores", "make a store", func(ctx context.Context, by access.Caller) error {
			n := service.NewScope{Scope: "store:new", Parent: pick(w, "", w.scope()), Name: "New"}
			if w.random.IntN(2) == 0 {
				n.Groups, n.Code = true, "new"
			}
			_, _, err := d.CreateScope(ctx, by, w.tenant, n, once)
			return err
		}},
		{".Stores", "move a store", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.PatchScope(ctx, by, w.tenant, w.shop(), service.ScopePatch{Parent: new(w.shop())}, once)
			return err
		}},
		{".Stores", "delete a store", func(ctx context.Context, by access.Caller) error {
			_, err := d.DeleteScope(ctx, by, w.tenant, w.shop(), once)
			return err
		}},
		{".Settings", "change a licence", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.PutLicence(ctx, by, w.tenant, access.Licence{Feature: "reports", Seats: w.random.IntN(5)}, once)
			return err
		}},
		{".Settings", "delete a licence", func(ctx context.Context, by access.Caller) error {
			_, err := d.DeleteLicence(ctx, by, w.tenant, "reports", once)
			return err
		}},
		{".Policies", "declare a catalogue", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.PutCatalogue(ctx, by, w.tenant, catalogue(), service.CatalogueOptions{RemoveGrants: w.random.IntN(2) == 0}, once)
			return err
		}},
		{".Policies", "take an application away", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.DeleteApplication(ctx, by, w.tenant, "crm", service.CatalogueOptions{RemoveGrants: w.random.IntN(2) == 0}, once)
			return err
		}},
		{".Settings", "change the settings", func(ctx context.Context, by access.Caller) error {
			_, _, err := d.SetSettings(ctx, by, w.tenant, func(s *service.Settings) {
				s.NeedBase = w.random.IntN(2) == 0
				s.Accounts.EmailUnique = pick(w, "", access.EmailPerStore)
			}, once)
			return err
		}},
		{".Audit", "change the own profile", func(ctx context.Context, by access.Caller) error {
			name := "Myself"
			_, _, err := d.PatchProfile(ctx, by, service.Profile{Name: &name}, once)
			return err
		}},
	}
}

// forbiddenActs are what no delegate may ever do.
func (w *walk) forbiddenActs() []walkAct {
	never := func(err error) error {
		if !errors.Is(err, access.ErrForbidden) {
			w.t.Errorf("%s: what only superusers may do was answered with %v", w.story(), err)
		}
		return errors.Join(err, access.ErrForbidden)
	}
	return []walkAct{
		{".Settings", "make a key", func(ctx context.Context, by access.Caller) error {
			_, _, err := w.keys.Create(ctx, by, w.tenant, pick(w, access.KeyAdmin, access.KeyRead), "mine")
			return never(err)
		}},
		{".Settings", "roll back", func(ctx context.Context, by access.Caller) error {
			_, err := w.options.History.Rollback(ctx, by, w.tenant, access.AsOf{Revision: 1}, service.UndoOptions{Reason: "mine"})
			return never(err)
		}},
		{".Users", "set a superuser's password", func(ctx context.Context, by access.Caller) error {
			_, _, err := w.options.Accounts.SetPassword(ctx, by, w.tenant, "root", ownPassword, once)
			return never(err)
		}},
		{".Users", "take a superuser's second factor", func(ctx context.Context, by access.Caller) error {
			_, _, err := w.options.Accounts.ResetSecondFactor(ctx, by, w.tenant, "root", once)
			return never(err)
		}},
	}
}

func (w *walk) story() string { return strings.Join(w.done, "\n  ") }

// wander lets the delegate, or somebody that he can sign in as, do so many things.
func (w *walk) wander(steps int) (done int) {
	ctx := context.Background()
	for range steps {
		by := pick(w, slices.Sorted(maps.Keys(w.us))...)
		act := pick(w, w.able...)
		if w.random.IntN(8) == 0 {
			act = pick(w, w.acts...)
		}
		err := act.do(ctx, person(w.tenant, by))
		if err == nil {
			w.done = append(w.done, by+": "+act.name)
			done++
		}
		for _, kind := range []error{nil, access.ErrForbidden, access.ErrInvalid, access.ErrNotFound, access.ErrExists, access.ErrStale, service.ErrConflict} {
			if errors.Is(err, kind) {
				err = nil
			}
		}
		var wrong access.Problems
		if err != nil && !errors.As(err, &wrong) {
			w.t.Errorf("%s\n  %s: %s: %v", w.story(), by, act.name, err)
		}
	}
	return done
}

// walkQuestion is one thing that somebody may be allowed.
type walkQuestion struct {
	section access.Section
	action  access.Action
	scope   access.Scope
	region  string
	later   bool // just before what delegates may do ends, or long after
}

func walkQuestions() []walkQuestion {
	var all []walkQuestion
	sections := []access.Section{"Orders", "Orders.Export", "Orders.Drafts", "Prices", "Reports", "Deals", "System.Other"}
	for _, part := range []string{"Users", "Groups", "Roles", "Grants", "Stores", "Policies", "Audit", "Settings"} {
		sections = append(sections, access.Section("System.Access."+part))
	}
	for _, section := range sections {
		for _, action := range []access.Action{"show", "insert", "update", "execute"} {
			for _, scope := range []access.Scope{access.Everywhere, "company:1", "store:a", "store:b", "store:c", "store:new"} {
				for _, region := range []string{"eu", "us"} {
					for _, later := range []bool{false, true} {
						all = append(all, walkQuestion{section, action, scope, region, later})
					}
				}
			}
		}
	}
	return all
}

// allowed is what everybody may do now.
func (w *walk) allowed() map[access.Subject]map[walkQuestion]bool {
	ctx := context.Background()
	now, err := w.engine.Sight(w.tenant)
	w.must(err)
	later := now.(interface{ At(time.Time) access.Sight }).At(w.soon.Add(time.Minute))
	who := []access.Subject{access.Anonymous, {Kind: access.KindApplication, ID: "shop"}, {Kind: access.KindApplication, ID: "crm"}}
	for _, id := range []string{"root", "strong-1", "delegate-1", "staff-1", "clerk-1", "guest-1", "friend-1", "friend-2"} {
		who = append(who, access.Subject{Kind: access.KindUser, ID: id})
	}
	all := map[access.Subject]map[walkQuestion]bool{}
	for _, subject := range who {
		all[subject] = map[walkQuestion]bool{}
		for _, q := range walkQuestions() {
			at := now
			if q.later {
				at = later
			}
			d, err := at.Decide(ctx, &access.Request{
				Subject: subject, Section: q.section, Actions: []access.Action{q.action}, Scope: q.scope, ResourceAttributes: map[string]any{"region": q.region},
			})
			if all[subject][q] = d.Allowed; err != nil {
				delete(all[subject], q)
			}
		}
	}
	return all
}

// TestDelegation_walk: whatever a delegate does that he is let do, for himself and
// by whomever he comes to sign in as, in whatever order: nobody comes to be allowed
// what neither he himself was allowed before nor any of those to whom he had access
// from the beginning. Whoever held more than he does is as he was.
func TestDelegation_walk(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		step := uint64(2) // of all that delegates may administer
		if o.Driver == store.MySQL {
			step = 11
		}
		wandered(t, newHouseOn(t, o), 0, step, uint64(len(walkParts)), 50)
	})
}

// TestSoakDelegation is the same for other seeds each time, and longer.
func TestSoakDelegation(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") == "" {
		t.Skip("BAILIWICK_SOAK is not set")
	}
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		seed := rand.Uint64() >> 16
		t.Logf("seeds from %d", seed)
		wandered(t, newHouseOn(t, o), seed, 1, 200, 150)
	})
}

func wandered(t *testing.T, h *house, seed, step, walks uint64, steps int) {
	t.Helper()
	done := 0
	for i := uint64(0); i < walks; i += step {
		w := newWalk(h, fmt.Sprintf("walk-%d", i), seed+i)
		before, held := w.allowed(), w.untouchable()
		done += w.wander(steps)
		w.gained(before, w.allowed())
		if now := w.untouchable(); !reflect.DeepEqual(held, now) {
			t.Errorf("%s\nwho holds more than the delegate was touched: %v, now %v", w.story(), held, now)
		}
	}
	t.Logf("%d steps were allowed", done)
	if done < 2*int(walks/step) {
		t.Errorf("only %d steps were allowed: this shows nothing", done)
	}
}

// untouchable gives the accounts that no delegate may touch.
func (w *walk) untouchable() []access.User {
	var all []access.User
	for _, id := range []string{"root", "strong-1"} {
		u, err := w.store.Account(context.Background(), w.tenant, id)
		w.must(err)
		all = append(all, u)
	}
	return all
}

// gained tells who came to be allowed something that he was not to be.
func (w *walk) gained(before, after map[access.Subject]map[walkQuestion]bool) {
	w.t.Helper()
	for subject, answers := range after {
		for q, allowed := range answers {
			if !allowed || before[subject][q] {
				continue
			}
			was := q
			if q.scope == "store:new" { // of which nobody knew: he had it if he had it above
				node, _, err := w.options.Directory.Scope(context.Background(), person(w.tenant, "root"), w.tenant, q.scope)
				w.must(err)
				was.scope = node.Parent
				if was.scope == "" {
					was.scope = access.Everywhere
				}
			}
			if q.section == "Orders.Drafts" {
				was.section = "Orders"
			}
			held := before[subject][was]
			for id := range w.us {
				held = held || before[access.Subject{Kind: access.KindUser, ID: id}][was]
			}
			if !held {
				w.t.Fatalf("%s\n%s has come to be allowed %+v", w.story(), subject, q)
			}
		}
	}
}
