package httpapi_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

func user(change func(*service.Directory, context.Context) error) func(*service.Directory) error {
	return group(change)
}

func patchUser(caller access.Caller, id string, p service.UserPatch) func(*service.Directory) error {
	return user(func(d *service.Directory, ctx context.Context) error {
		_, _, err := d.PatchUser(ctx, caller, caller.Tenant, id, p, once)
		return err
	})
}

func createUser(caller access.Caller, n service.NewUser) func(*service.Directory) error {
	return user(func(d *service.Directory, ctx context.Context) error {
		_, _, err := d.CreateUser(ctx, caller, caller.Tenant, n, once)
		return err
	})
}

// Req 30, 99: an account that was deleted holds nothing any more, and is none the
// less the business of those only who could touch it before. What was is shown by
// what it was then, not by what is left of it.
func TestDelegation_deleted(t *testing.T) {
	h := printHouse(t)
	ctx, d := context.Background(), h.options.Directory
	before, err := h.store.Load(ctx, "print")
	h.must(err)
	for _, id := range []string{"customer-1", "customer-2", "operator-1"} {
		_, _, err := d.DeleteUser(ctx, person("print", "root"), "print", id, "", once)
		h.must(err)
	}
	admin := person("print", "admin-1")
	handOver := func(id string) func(*service.Directory) error {
		return user(func(d *service.Directory, ctx context.Context) error {
			_, _, err := d.HandOver(ctx, admin, "print", id, "guest-1", once)
			return err
		})
	}
	h.attempts("print", access.ErrForbidden, map[string]func(*service.Directory) error{
		"a customer of another store": handOver("customer-2"),
		"an operator":                 handOver("operator-1"),
	})
	h.must(handOver("customer-1")(d))
	then := d.AsOf(access.AsOf{Revision: before.Revision})
	for id, shown := range map[string]bool{"customer-1": true, "customer-2": false, "operator-1": true} { // operators of his store he sees
		for name, d := range map[string]*service.Directory{"now": d, "then": then} {
			if _, _, err := d.User(ctx, admin, "print", id); errors.Is(err, access.ErrNotFound) == shown || err != nil && !errors.Is(err, access.ErrNotFound) {
				t.Errorf("%s, %s: shown must be %v: %v", id, name, shown, err)
			}
			page, err := d.Users(ctx, admin, "print", access.UserSearch{Statuses: []access.UserStatus{access.UserActive, access.UserDeleted}}, "")
			h.must(err)
			listed := false
			for _, u := range page.Users {
				listed = listed || u.ID == id
			}
			if listed != shown {
				t.Errorf("%s, %s: listed is %v", id, name, listed)
			}
		}
	}
}

// regions is a tenant in which a condition reads where somebody works.
var regions = files(map[string]string{
	"bundle.yaml":         "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: regions\n",
	"catalogue/shop.yaml": "apiVersion: bailiwick/v1\nkind: Application\ncode: shop\nname: Shop\nsections: [{path: Orders, name: Orders}, {path: Prices, name: Prices}]\n",
	"catalogue/crm.yaml":  "apiVersion: bailiwick/v1\nkind: Application\ncode: crm\nname: CRM\nsections: [{path: Deals, name: Deals}]\n",
	"groups/staff.yaml": `apiVersion: bailiwick/v1
kind: Group
code: staff
name: Staff
grants:
  - {section: Orders, rights: [show], condition: "subject.region == resource.region"}
  - {section: Prices, rights: [show], condition: "context.hour < 18"}
`,
	"groups/sellers.yaml":   "apiVersion: bailiwick/v1\nkind: Group\ncode: sellers\nname: Sellers\ngrants: [{section: Deals, rights: [show]}]\n",
	"groups/hours.yaml":     "apiVersion: bailiwick/v1\nkind: Group\ncode: hours\nname: Hours\ngrants: [{section: Prices, rights: [show], condition: \"context.hour < 18\"}]\n",
	"groups/delegates.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: delegates\nname: Delegates\nbase: staff\ngrants: [{section: System.Access.Users, rights: [show, insert, update]}, {section: Deals, rights: [show]}]\n",
	"users/all.yaml": `apiVersion: bailiwick/v1
kind: Users
users:
  - {id: root, email: root@example.com, name: root, roles: [superuser]}
  - {id: delegate-1, email: delegate-1@example.com, name: delegate-1, groups: [delegates], attributes: {region: eu, desk: 7}, applications_off: [crm]}
  - {id: delegate-2, email: delegate-2@example.com, name: delegate-2, groups: [delegates], attributes: {region: eu}}
  - {id: staff-1, email: staff-1@example.com, name: staff-1, groups: [staff], attributes: {region: us}}
  - {id: seller-1, email: seller-1@example.com, name: seller-1, groups: [sellers], applications_off: [crm]}
  - {id: seller-2, email: seller-2@example.com, name: seller-2, groups: [sellers]}
  - {id: hours-1, email: hours-1@example.com, name: hours-1, groups: [hours]}
`,
})

// Nobody gives what he does not hold: attributes that conditions read, and
// applications that are switched off, decide like rights.
func TestDelegation_decidingFacts(t *testing.T) {
	h := newHouse(t)
	h.load("regions", regions)
	one, two := person("regions", "delegate-1"), person("regions", "delegate-2")
	region := func(r any) service.UserPatch { return service.UserPatch{Attributes: map[string]any{"region": r}} }
	none, staff := []string{}, []access.Link{{To: "staff"}}
	name := "Seller"
	h.attempts("regions", access.ErrForbidden, map[string]func(*service.Directory) error{
		"another region for oneself":           patchUser(one, "delegate-1", region("us")),
		"no region, to be filled in by others": patchUser(one, "delegate-1", region(nil)),
		"another region for a friend":          patchUser(one, "staff-1", region("asia")),
		"a friend with another region":         createUser(two, service.NewUser{ID: "friend", Email: "friend@example.com", Name: "friend", Groups: staff, Attributes: map[string]any{"region": "us"}}),
		"an application for oneself":           patchUser(one, "delegate-1", service.UserPatch{ApplicationsOff: &none}),
		"an application for a friend":          patchUser(one, "seller-1", service.UserPatch{ApplicationsOff: &none}),
		"a friend with an application":         createUser(one, service.NewUser{ID: "friend", Email: "friend@example.com", Name: "friend", Groups: []access.Link{{To: "sellers"}}}),
		"touch who may act in it":              patchUser(one, "seller-2", service.UserPatch{Name: &name}),
	})
	for what, allowed := range map[string]func(*service.Directory) error{
		"the own region for somebody else":        patchUser(one, "staff-1", region("eu")),
		"an attribute that no condition reads":    patchUser(one, "hours-1", region("us")),
		"a new one with the own region":           createUser(two, service.NewUser{ID: "colleague", Email: "colleague@example.com", Name: "colleague", Groups: staff, Attributes: map[string]any{"region": "eu"}}),
		"who may act in what is on for oneself":   patchUser(two, "seller-1", service.UserPatch{ApplicationsOff: &none}),
		"any region by whoever is bound by none":  patchUser(person("regions", "root"), "staff-1", region("asia")),
		"who is switched off in the same respect": patchUser(one, "staff-1", service.UserPatch{ApplicationsOff: &[]string{"crm"}}),
	} {
		if err := allowed(h.options.Directory); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Who may read the policy is not thereby shown who works here.
func TestDelegation_policyFiles(t *testing.T) {
	h := newHouse(t)
	h.load("regions", regions)
	readers := []access.Grant{{Section: "System.Access.Policies", Rights: access.Show}}
	both := append([]access.Grant{{Section: "System.Access.Users", Rights: access.Show}}, readers...)
	for id, grants := range map[string][]access.Grant{"reader": readers, "both": both} {
		h.must(createUser(person("regions", "root"), service.NewUser{ID: id, Email: id + "@example.com", Name: id, Grants: grants})(h.options.Directory))
	}
	for id, shown := range map[string]bool{"reader": false, "both": true} {
		files, _, err := h.options.History.Files(context.Background(), person("regions", id), "regions", access.AsOf{}, false)
		h.must(err)
		_, there := files["users/all.yaml"]
		if _, policy := files["groups/staff.yaml"]; !policy || there != shown {
			t.Errorf("%s: accounts are in the files: %v; the policy: %v", id, there, policy)
		}
		if _, _, err = h.options.History.Files(context.Background(), person("regions", id), "regions", access.AsOf{}, true); errors.Is(err, access.ErrForbidden) == shown {
			t.Errorf("%s asks for accounts: %v", id, err)
		}
	}
}

// shifts are administrators for a time: weekend-1 is one for a day, and night-1
// will be forbidden tomorrow to see orders.
var shifts = files(map[string]string{
	"bundle.yaml":           "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: shifts\n",
	"catalogue/shop.yaml":   "apiVersion: bailiwick/v1\nkind: Application\ncode: shop\nname: Shop\nsections: [{path: Orders, name: Orders}, {path: Prices, name: Prices}]\n",
	"groups/staff.yaml":     "apiVersion: bailiwick/v1\nkind: Group\ncode: staff\nname: Staff\ngrants: [{section: Orders, rights: [show]}]\n",
	"groups/delegates.yaml": "apiVersion: bailiwick/v1\nkind: Group\ncode: delegates\nname: Delegates\nbase: staff\ngrants: [{section: System.Access.Users, rights: [show, insert, update]}, {section: System.Access.Groups, rights: [show, insert, update]}]\n",
	"users/all.yaml": `apiVersion: bailiwick/v1
kind: Users
users:
  - {id: root, email: root@example.com, name: root, roles: [superuser]}
  - {id: weekend-1, email: weekend-1@example.com, name: weekend-1}
  - {id: night-1, email: night-1@example.com, name: night-1, groups: [delegates]}
  - {id: staff-1, email: staff-1@example.com, name: staff-1, groups: [staff]}
  - {id: guest-1, email: guest-1@example.com, name: guest-1}
`,
})

// Nobody gives what he holds for longer than he holds it, to himself no more than
// to others, nor does he rid himself of a prohibition before it begins.
func TestDelegation_terms(t *testing.T) {
	h := newHouse(t)
	h.load("shifts", shifts)
	weekend, night, root := person("shifts", "weekend-1"), person("shifts", "night-1"), person("shifts", "root")
	day, after := access.Validity{Until: inADay}, access.Validity{Until: inADay.Add(time.Hour)}
	links := func(group string, v access.Validity) service.UserPatch {
		return service.UserPatch{Groups: &[]access.Link{{To: group, Validity: v}}}
	}
	grants := func(v access.Validity, more ...access.Grant) *[]access.Grant {
		all := append([]access.Grant{{Section: "Orders", Rights: access.Show, Validity: v}}, more...)
		return &all
	}
	h.must(patchUser(root, "weekend-1", links("delegates", day))(h.options.Directory))
	ban := access.Grant{Section: "Orders", Rights: access.Show, Effect: access.Deny, Validity: access.Validity{From: inADay}}
	h.must(patchUser(root, "night-1", service.UserPatch{Grants: &[]access.Grant{ban}})(h.options.Directory))
	name, none := "Renamed", []access.Grant{}
	h.attempts("shifts", access.ErrForbidden, map[string]func(*service.Directory) error{
		"the own membership for good":         patchUser(weekend, "weekend-1", links("delegates", access.Validity{})),
		"for an hour more":                    patchUser(weekend, "weekend-1", links("delegates", after)),
		"from when it ends":                   patchUser(weekend, "weekend-1", service.UserPatch{Groups: &[]access.Link{{To: "delegates", Validity: day}, {To: "staff", Validity: access.Validity{From: inADay}}}}),
		"the same right for good":             patchUser(weekend, "weekend-1", service.UserPatch{Grants: grants(access.Validity{})}),
		"for a friend":                        addMember(weekend, "shifts", "staff", service.NewMember{ID: "guest-1"}),
		"for a friend, longer":                addMember(weekend, "shifts", "staff", service.NewMember{ID: "guest-1", Validity: after}),
		"for a new friend":                    createUser(weekend, service.NewUser{ID: "friend", Email: "friend@example.com", Name: "friend", Groups: []access.Link{{To: "delegates"}}}),
		"for a new group":                     createGroup(weekend, "shifts", access.Group{Code: "mine", Name: "Mine", Base: "staff"}),
		"for an old group":                    patchGroup(weekend, "shifts", "staff", service.GroupPatch{Grants: grants(access.Validity{}, access.Grant{Section: "System.Access.Users", Rights: access.Show})}),
		"lose a prohibition that is to come":  patchUser(night, "night-1", service.UserPatch{Grants: &none}),
		"a friend to whom it does not come":   addMember(night, "shifts", "staff", service.NewMember{ID: "guest-1"}),
		"a friend for a day, and a day after": addMember(night, "shifts", "staff", service.NewMember{ID: "guest-1", Validity: after}),
	})
	for what, allowed := range map[string]func(*service.Directory) error{
		"another name for who holds it for good":  patchUser(weekend, "staff-1", service.UserPatch{Name: &name}),
		"another name for who is one himself":     patchUser(weekend, "weekend-1", service.UserPatch{Name: &name}),
		"what somebody had for good, another way": patchUser(weekend, "staff-1", service.UserPatch{Grants: grants(access.Validity{})}),
		"the same for as long":                    addMember(weekend, "shifts", "staff", service.NewMember{ID: "guest-1", Validity: day}),
		"a new colleague for as long":             createUser(weekend, service.NewUser{ID: "colleague", Email: "colleague@example.com", Name: "colleague", Groups: []access.Link{{To: "delegates", Validity: day}}}),
		"a group with a right that ends":          createGroup(weekend, "shifts", access.Group{Code: "mine", Name: "Mine", Grants: *grants(day)}),
	} {
		if err := allowed(h.options.Directory); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	both := service.UserPatch{Groups: &[]access.Link{{To: "delegates", Validity: after}, {To: "staff"}}}
	h.must(patchUser(root, "weekend-1", both)(h.options.Directory))
	if err := addMember(weekend, "shifts", "staff", service.NewMember{ID: "guest-1"})(h.options.Directory); err != nil {
		t.Errorf("what one holds for a time by one way, and for good by another: %v", err)
	}
}
