package policies_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/policies"
)

// Every sample keeps its guarantees, in all times.
func TestGuarantees_kept(t *testing.T) {
	for _, tenant := range policies.Tenants() {
		b, _ := read(t, tenant)
		if len(b.Policy.Guarantees) == 0 {
			t.Errorf("%s has no guarantees", tenant)
		}
		for _, now := range []time.Time{time.Unix(0, 0), time.Now(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)} {
			broken, err := engine.Broken(context.Background(), &b.Policy, now)
			if err != nil || len(broken) > 0 {
				t.Errorf("%s at %s: %v, %v", tenant, now, broken, err)
			}
		}
	}
}

// edit changes the policy of a sample.
type edit struct {
	t *testing.T
	p *access.Policy
}

// group and user give what is to be changed.
func (e edit) group(code string) *access.Group {
	return found(e.t, code, e.p.Groups, func(g *access.Group) bool { return g.Code == code })
}

func (e edit) role(code string) *access.Role {
	return found(e.t, code, e.p.Roles, func(r *access.Role) bool { return r.Code == code })
}

func (e edit) user(id string) *access.User {
	return found(e.t, id, e.p.Users, func(u *access.User) bool { return u.ID == id })
}

func (e edit) app(code string) *access.Application {
	return found(e.t, code, e.p.Catalogue, func(a *access.Application) bool { return a.Code == code })
}

func found[T any](t *testing.T, name string, all []T, is func(*T) bool) *T {
	t.Helper()
	for i := range all {
		if is(&all[i]) {
			return &all[i]
		}
	}
	t.Fatalf("the sample has no %s", name)
	return nil
}

// join puts a user into a group.
func (e edit) join(id, group string) {
	u := e.user(id)
	u.Groups = append(u.Groups, access.Link{To: group})
}

// joins makes so many accounts in a group.
func (e edit) joins(n int, group string) {
	for i := range n {
		e.p.Users = append(e.p.Users, access.User{ID: "one-more-" + string(rune('a'+i)), Groups: []access.Link{{To: group}}})
	}
}

// lose takes the grants on a section away from a list.
func lose(grants *[]access.Grant, section access.Section) {
	*grants = slices.DeleteFunc(*grants, func(g access.Grant) bool { return g.Section == section })
}

func grant(section access.Section, rights access.Rights) access.Grant {
	return access.Grant{Section: section, Rights: rights}
}

// breaking says for each guarantee of a sample a change that somebody might make
// without meaning harm, and a part of the way that must be named.
var breaking = map[string]struct {
	change func(e edit)
	way    string
}{
	"call-center calls-and-staff":  {func(e edit) { e.join("operator-1", "personnel") }, "u:operator-1 <- g:personnel <- r:staff-administration"},
	"call-center few-manage-staff": {func(e edit) { e.joins(4, "personnel") }, "6 users would hold it, and 5 may"},
	"call-center recordings-stay":  {func(e edit) { e.role("quality-control").Grants[0].Rights |= access.Inherit }, "u:quality-1 <- g:quality <- r:quality-control"},
	"call-center quality-never-speaks": {func(e edit) {
		e.group("quality").Roles = append(e.group("quality").Roles, access.Link{To: "supervision"})
	}, "u:quality-1 <- g:quality <- r:supervision"},
	"call-center sales-line-is-answered":    {func(e edit) { e.join("operator-2", "office-only") }, "u:operator-2"},
	"call-center telephony-from-the-office": {func(e edit) { e.role("telephony-settings").Grants[0].Rights |= access.Update }, "u:engineer-1 <- g:telephony-engineers <- r:telephony-settings"},

	"crm-groups trainees-take-nothing-out": {func(e edit) { lose(&e.group("trainees").Grants, "CRM.Orders.Export") }, "u:trainee-1 <- g:administrators <- r:export-orders"},
	"crm-groups few-export-customers":      {func(e edit) { e.joins(2, "administrators") }, "5 users would hold it, and 4 may"},
	"crm-groups prices-and-exports":        {func(e edit) { e.join("purchaser-1", "administrators") }, "u:purchaser-1"},
	"crm-groups machines-take-nothing-out": {func(e edit) {
		e.app("automation").Grants = append(e.app("automation").Grants, grant("CRM.Orders.Export", access.Execute))
	}, "a:automation"},
	"crm-groups sales-see-orders": {func(e edit) {
		e.role("order-processing").Grants[0].Scope = "store:berlin"
	}, "sales-"},
	"crm-groups couriers-see-deliveries": {func(e edit) { e.join("courier-1", "sales-managers") }, "u:courier-1 <- g:sales-managers <- r:order-processing"},

	"crm-users auditors-change-nothing": {func(e edit) { lose(&e.role("auditor").Grants, "CRM.Deals") }, "u:auditor-1 <- r:sales"},
	"crm-users accounts-and-money":      {func(e edit) { e.user("admin-1").Roles = append(e.user("admin-1").Roles, access.Link{To: "accounting"}) }, "u:admin-1"},
	"crm-users few-change-bank-details": {func(e edit) {
		for _, id := range []string{"sales-1", "lead-1"} {
			e.user(id).Roles = append(e.user(id).Roles, access.Link{To: "accounting"})
		}
	}, "3 users would hold it, and 2 may"},
	"crm-users north-stays-north": {func(e edit) { e.user("north-1").Roles = []access.Link{{To: "sales"}} }, "u:north-1 <- r:sales"},
	"crm-users service-sees-tickets": {func(e edit) {
		deny := grant("Helpdesk.Tickets", access.Show)
		deny.Effect = access.Deny
		e.user("support-2").Grants = append(e.user("support-2").Grants, deny)
	}, "u:support-2 <- p, u:support-2, *, Helpdesk.Tickets"},

	"default customers-are-kept": {func(e edit) {
		lose(&e.group("managers").Grants, "Shop.Customers")
		e.group("managers").Grants = append(e.group("managers").Grants, grant("Shop.Customers", access.AllRights))
	}, "u:manager-1 <- g:managers <- p, g:managers, *, Shop.Customers"},
	"default market-is-served": {func(e edit) { e.group("market-team").Roles[0].Scope = "store:station" }, "u:clerk-1"},
	"default rules-and-money": {func(e edit) {
		e.user("manager-1").Grants = append(e.user("manager-1").Grants, grant("Shop.Settings", access.Update))
	}, "u:manager-1"},
	"default few-owners":         {func(e edit) { e.joins(3, "owners") }, "4 users would hold it, and 3 may"},
	"default refunds-stay-small": {func(e edit) { e.role("shop-manager").Grants[1].Condition = "resource.amount <= 5000" }, "u:manager-1 <- g:managers <- r:shop-manager"},

	"retail-rights orders-are-kept":           {func(e edit) { e.role("store-manager").Grants[0].Rights = access.AllRights }, "u:manager-1 <- g:north-managers <- r:store-manager"},
	"retail-rights warehouse-keeps-to-itself": {func(e edit) { e.group("warehouse-5").Roles[0].Scope = "" }, "u:warehouse-1 <- g:warehouse-5 <- r:warehouse-operator"},
	"retail-rights few-main-administrators":   {func(e edit) { e.joins(3, "founders") }, "6 users would hold it, and 5 may"},
	"retail-rights invoices-and-stock":        {func(e edit) { e.join("accountant-1", "north-managers") }, "u:accountant-1"},
	"retail-rights managers-see-their-company": {func(e edit) {
		lose(&e.role("store-manager").Grants, "System.Settings.Companies")
	}, "u:manager-1"},

	"web-to-print superusers-make-stores":  {func(e edit) { e.role("store-administrator").Grants[0].Rights |= access.Insert }, "u:administrator-1 <- g:letterheads-administrators <- "},
	"web-to-print operators-manage-nobody": {func(e edit) { e.join("operator-1", "letterheads-administrators") }, "u:operator-1 <- g:letterheads-administrators"},
	"web-to-print visitors-order-nothing":  {func(e edit) { e.group("cards-anonymous").Base = "customer" }, "u:anonymous <- g:cards-anonymous"},
	"web-to-print four-eyes": {func(e edit) {
		e.group("posters-key-buyers").Grants[2].Condition = ""
	}, "u:key-buyer-1 <- g:posters-key-buyers <- p, g:posters-key-buyers, store:posters, BackOffice.Orders"},
	"web-to-print selling-and-approving":        {func(e edit) { e.join("key-buyer-1", "print-shop") }, "u:key-buyer-1"},
	"web-to-print letterheads-are-looked-after": {func(e edit) { lose(&e.role("store-administrator").Grants, "BackOffice.Stores") }, "u:administrator-1"},
	"web-to-print few-superusers":               {func(e edit) { e.joins(3, "superuser-root") }, "5 users would hold it, and 4 may"},
}

// A guarantee that nothing can break guarantees nothing: each has a change that
// breaks it, and it alone, told with the way and with the guarantee's place.
func TestGuarantees_canBreak(t *testing.T) {
	tried := 0
	for _, tenant := range policies.Tenants() {
		b, _ := read(t, tenant)
		for _, g := range b.Policy.Guarantees {
			t.Run(tenant+"/"+g.Name, func(t *testing.T) {
				how, known := breaking[tenant+" "+g.Name]
				if !known {
					t.Fatal("nobody has shown that it can be broken")
				}
				tried++
				b, _ := read(t, tenant)
				how.change(edit{t, &b.Policy})
				broken, err := engine.Broken(context.Background(), &b.Policy, time.Now())
				if err != nil || len(broken) == 0 {
					t.Fatalf("it is kept: %v", err)
				}
				for _, x := range broken {
					if x.Guarantee != g.Name || x.Origin != g.Origin || g.Origin.File != "guarantees.yaml" || g.Origin.Line == 0 {
						t.Errorf("%s at %s is broken: %s", x.Guarantee, x.Origin, x.String())
					}
				}
				if !slices.ContainsFunc(broken, func(x access.Breach) bool { return strings.Contains(x.String(), how.way) }) {
					t.Errorf("no way goes by %q: %s", how.way, broken[0].String())
				}
			})
		}
	}
	if tried != len(breaking) {
		t.Errorf("%d guarantees are broken here, the samples have %d", len(breaking), tried)
	}
}
