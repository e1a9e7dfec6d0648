package engine_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// clock is the moment at which random policies are asked.
var clock = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// maker makes random policies of the built-in model and random questions about
// them, dense enough that the rules meet: few names, many links.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 7))} }

func pick[T any](m maker, from []T) T { return from[m.IntN(len(from))] }

func (m maker) chance(percent int) bool { return m.IntN(100) < percent }

var (
	// T.Abc begins like T.A and is not below it.
	paths      = []access.Section{"System", "System.Orders", "System.Orders.Export", "System.OrdersOld", "T", "T.A", "T.A.B", "T.A.B.C", "T.Abc", "T.C"}
	scopes     = []access.Scope{"*", "company:1", "company:11", "store:a", "store:b", "warehouse:w"}
	roleCodes  = []string{"r0", "r1", "r2", "r3", "r4", "r5", "superuser"}
	groupCodes = []string{"g0", "g1", "g2", "g3", "g4"}
	userIDs    = []string{"1", "2", "3", "4", "5", "r0"}
	declared   = []string{"send", "print"}
	texts      = []string{
		"", "", "", "", "", "true", "false", "resource.amount < 1000", "context.missing == 1", "subject.level > 2",
		"now < timestamp('2026-01-16T00:00:00Z')", "inRange(context.ip, '10.0.0.0/8')", "action.name == 'show'",
		"resource.section == 'T.A'", "resource.scope == 'store:a'", "subject.type == 'app'", "subject.id == '1'",
		"resource.type == 'order' && resource.id == '17'",
	}
)

func (m maker) validity() access.Validity {
	day := 24 * time.Hour
	switch m.IntN(10) {
	case 0:
		return access.Validity{Until: clock.Add(-day)} // past
	case 1:
		return access.Validity{From: clock.Add(day)} // future
	case 2:
		return access.Validity{From: clock.Add(-day), Until: clock.Add(day)}
	case 3:
		return access.Validity{From: clock} // from this very moment
	case 4:
		return access.Validity{Until: clock} // until just before it
	}
	return access.Validity{}
}

func (m maker) scope() access.Scope {
	if m.chance(50) {
		return access.Everywhere
	}
	return pick(m, scopes)
}

func (m maker) links(codes []string, most int) []access.Link {
	var links []access.Link
	for range m.IntN(most + 1) {
		l := access.Link{To: pick(m, codes), Scope: m.scope(), Validity: m.validity()}
		if l.To == access.SuperuserRole && m.chance(75) {
			l.To = "r0" // keep superusers rare enough
		}
		links = append(links, l)
	}
	return links
}

func (m maker) grants(most int) []access.Grant {
	var grants []access.Grant
	for range m.IntN(most + 1) {
		g := access.Grant{
			Section: pick(m, paths), Rights: access.Rights(m.IntN(64)), Scope: m.scope(),
			Condition: pick(m, texts), Validity: m.validity(),
		}
		if m.chance(30) {
			g.Effect = access.Deny
		}
		if m.chance(20) {
			g.Actions = []string{pick(m, declared)}
		}
		if m.chance(1) {
			g = access.Grant{Section: "System", Rights: access.AllRights, Validity: m.validity()} // a superuser
		}
		grants = append(grants, g)
	}
	return grants
}

func (m maker) ceiling() []access.Scope {
	switch m.IntN(6) {
	case 0:
		return []access.Scope{}
	case 1:
		return []access.Scope{pick(m, scopes), pick(m, scopes)}
	}
	return nil
}

func (m maker) application(code string, own []access.Section) access.Application {
	app := access.Application{Code: code, Groups: m.links(groupCodes, 1), Roles: m.links(roleCodes, 1), Grants: m.grants(2)}
	for _, path := range own {
		s := access.SectionEntry{Path: path, Cascade: m.chance(15)}
		for _, a := range declared {
			if m.chance(90) {
				s.Actions = append(s.Actions, access.ActionEntry{Name: a})
			}
		}
		if m.chance(8) {
			s.Licence = pick(m, []string{"chats", "faxes"})
		}
		if m.chance(20) && path != paths[0] {
			s.Prerequisites = []access.Prerequisite{{Section: paths[m.IntN(index(path))], Rights: access.Rights(1+m.IntN(31)) << 1}}
		}
		app.Sections = append(app.Sections, s)
	}
	return app
}

func index(path access.Section) int {
	for i, p := range paths {
		if p == path {
			return i
		}
	}
	return 0
}

// policy makes a random policy.
func (m maker) policy() *access.Policy {
	p := &access.Policy{
		Tenant: "random", Combining: pick(m, []access.Combining{access.DenyOverrides, access.DenyOverrides, access.AllowOverrides}),
		Scopes: []access.ScopeNode{
			{Scope: "company:1"},
			{Scope: "company:11"},
			{Scope: "store:a", Parent: "company:1"},
			{Scope: "store:b", Parent: "company:11"},
			{Scope: "warehouse:w", Parent: "store:a"},
		},
		Catalogue: []access.Application{m.application("one", paths[:4]), m.application("two", paths[4:])},
		Licences:  []access.Licence{{Feature: "chats"}},
	}
	if m.chance(70) {
		p.Anonymous = pick(m, groupCodes)
	}
	for _, code := range roleCodes[:6] {
		p.Roles = append(p.Roles, access.Role{Code: code, Roles: m.links(roleCodes, 2), Grants: m.grants(4)})
	}
	for i, code := range groupCodes {
		g := access.Group{
			Code: code, Kind: pick(m, []access.GroupKind{"", access.GroupRegular, access.GroupDefault, access.GroupTemplate}),
			Roles: m.links(roleCodes, 2), Grants: m.grants(2), Scopes: m.ceiling(),
		}
		if i > 0 && m.chance(50) {
			g.Base = groupCodes[i-1]
		}
		p.Groups = append(p.Groups, g)
	}
	for _, id := range userIDs {
		u := access.User{
			ID: id, Status: m.status(),
			Groups: m.links(groupCodes, 3), Roles: m.links(roleCodes, 2), Grants: m.grants(2),
			Attributes: map[string]any{"level": float64(m.IntN(5))},
		}
		if m.chance(50) {
			u.Licences = []string{pick(m, []string{"chats", "faxes"})}
		}
		if m.chance(10) {
			u.ApplicationsOff = []string{pick(m, []string{"one", "two"})}
		}
		p.Users = append(p.Users, u)
	}
	m.chain(p)
	m.crowd(p)
	return p
}

func (m maker) status() access.UserStatus {
	if m.chance(90) {
		return access.UserActive
	}
	return pick(m, []access.UserStatus{access.UserInvited, access.UserDisabled, access.UserLocked})
}

// chain hangs user 1 and 2 below chains of roles of 10 and 11 links.
func (m maker) chain(p *access.Policy) {
	for i := range 11 {
		r := access.Role{Code: fmt.Sprintf("deep%d", i)}
		if i < 10 {
			r.Roles = []access.Link{{To: fmt.Sprintf("deep%d", i+1)}}
		} else {
			r.Grants = []access.Grant{{Section: "T.C", Rights: access.Show | access.Insert}}
		}
		p.Roles = append(p.Roles, r)
	}
	p.Users[0].Roles = append(p.Users[0].Roles, access.Link{To: "deep1"}) // 10 links to deep10
	p.Users[1].Roles = append(p.Users[1].Roles, access.Link{To: "deep0"}) // 11
}

// crowd gives one role more rules than are read one by one.
func (m maker) crowd(p *access.Policy) {
	for range 30 {
		p.Roles[0].Grants = append(p.Roles[0].Grants, m.grants(4)...)
	}
}

// request makes a random question, now and then about something unknown.
func (m maker) request() *access.Request {
	r := &access.Request{
		Subject: access.Subject{Kind: access.KindUser, ID: pick(m, userIDs)},
		Section: pick(m, paths), Scope: pick(m, append(scopes, "")),
		Actions:            []access.Action{m.action()},
		ResourceAttributes: map[string]any{"amount": float64(m.IntN(2000)), "section": "T.A", "id": "99"},
		SubjectAttributes:  map[string]any{"level": float64(9)},
		Context:            map[string]any{"ip": pick(m, []string{"10.1.1.1", "192.168.1.1", "nonsense"})},
	}
	if m.chance(30) {
		r.Entity = access.Entity{Type: "order", ID: "17"}
	}
	if m.chance(10) {
		r.Actions = append(r.Actions, m.action())
	}
	switch m.IntN(36) {
	case 0, 1:
		r.Subject = access.Anonymous
	case 2, 3:
		r.Subject = access.Subject{Kind: access.KindApplication, ID: pick(m, []string{"one", "two", "three"})}
	case 4:
		r.Subject.ID = "nobody"
	case 5:
		r.Section = pick(m, []access.Section{"T.A.X", "Tx", "T.A.BC", "S"})
	case 6:
		r.Scope = pick(m, []access.Scope{"store:c", "company:111"})
	}
	return r
}

func (m maker) action() access.Action {
	return pick(m, []access.Action{"show", "insert", "update", "delete", "execute", "send", "print", "show", "show", "fax"})
}
