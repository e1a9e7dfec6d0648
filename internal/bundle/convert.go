package bundle

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The functions in this file turn the structs of kinds.go into access.Policy.
// What lacks its identifying value has been reported and is left out, so that
// the check of the whole policy does not report it a second time.

func (f *bundleFile) into(p *access.Policy) {
	p.Tenant, p.Description = f.Tenant, f.Description
	p.Combining, p.Root, p.Anonymous = access.Combining(f.Combining), access.Section(f.Root), f.Anonymous
	p.NeedBase, p.Origin = f.NeedBase, f.Origin
	if f.SignIn != nil {
		p.SignIn = f.SignIn.rules()
	}
	if f.Accounts != nil {
		p.Accounts = access.AccountRules{
			EmailPattern: f.Accounts.EmailPattern, Required: f.Accounts.Required, EmailUnique: access.EmailUnique(f.Accounts.EmailUnique),
		}
	}
	if f.Functions != nil {
		p.Functions = f.Functions.functions()
	}
	for _, l := range f.Licences {
		if l.Feature != "" {
			p.Licences = append(p.Licences, access.Licence{Feature: l.Feature, Seats: l.Seats, Origin: l.Origin})
		}
	}
	for _, s := range f.Scopes {
		if s.Scope != "" {
			p.Scopes = append(p.Scopes, access.ScopeNode{
				Scope: access.Scope(s.Scope), Parent: topIfEmpty(s.Parent), Name: s.Name, Origin: s.Origin,
			})
		}
	}
}

func (e *signInEntry) rules() access.SignInRules {
	minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	return access.SignInRules{
		MinLength: e.MinLength, Lower: e.Lower, Upper: e.Upper, Digits: e.Digits, Symbols: e.Symbols, NoReuse: e.NoReuse, ExpireDays: e.ExpireDays,
		Failures: e.Failures, FailureWindow: minutes(e.FailureMinutes), LockFor: minutes(e.LockMinutes), LockForGood: e.LockForGood,
		IdleTime: minutes(e.IdleMinutes), TotalTime: minutes(e.TotalMinutes), SecondFactor: access.SecondFactorMode(e.SecondFactor),
	}
}

func (e *functionsEntry) functions() access.Functions {
	f := access.Functions{Origins: map[string]access.Origin{}}
	f.Roles = declared(e.Roles, "roles", f.Origins)
	f.Domains = declared(e.Domains, "domains", f.Origins)
	f.Conditions = declared(e.Conditions, "conditions", f.Origins)
	if e.Eval != nil {
		f.Eval, f.Origins["eval"] = e.Eval.is, e.Eval.at
	}
	return f
}

// declared notes where each name stands. A name that could not be read is left out.
func declared[N matching | limiting](entries map[string]N, kind string, origins map[string]access.Origin) map[string]string {
	var names map[string]string
	for definition, n := range entries {
		if name := word(n); name.text != "" {
			if names == nil {
				names = map[string]string{}
			}
			names[definition], origins[kind+" "+definition] = name.text, name.at
		}
	}
	return names
}

func topIfEmpty(parent string) access.Scope {
	if parent == "" {
		return access.Everywhere
	}
	return access.Scope(parent)
}

func (f *guaranteesFile) into(p *access.Policy) {
	for _, e := range f.Guarantees {
		if e.Name != "" {
			p.Guarantees = append(p.Guarantees, e.guarantee())
		}
	}
}

func (e *guaranteeEntry) guarantee() access.Guarantee {
	g := access.Guarantee{
		Name: e.Name, Description: e.Description, Rule: access.GuaranteeRule(e.Rule), Who: known(e.Who), Except: known(e.Except),
		Scope: access.Scope(e.Scope), Most: e.Holders, Condition: strings.TrimSpace(e.Condition), Origin: e.Origin,
	}
	for _, r := range e.Rights {
		if r.Section != "" {
			g.Rights = append(g.Rights, access.GuardedRight{
				Section: access.Section(r.Section), Rights: r.Rights.sum, Actions: r.Rights.actions, Origin: r.Origin,
			})
		}
	}
	return g
}

func (f *applicationFile) into(p *access.Policy) {
	app := access.Application{
		Code: f.Code, Name: f.Name, Names: f.Names, Description: f.Description, Version: f.Version,
		Groups: groupLinks(f.Groups), Roles: roleLinks(f.Roles), Grants: grants(f.Grants), Origin: f.Origin,
	}
	for _, e := range f.Families {
		if e.Name != "" {
			app.Families = append(app.Families, access.FamilyEntry{Name: e.Name, Names: e.Names, Origin: e.Origin})
		}
	}
	for _, s := range f.Sections {
		if s.Path != "" {
			app.Sections = append(app.Sections, s.section())
		}
	}
	p.Catalogue = append(p.Catalogue, app)
}

func (e *sectionEntry) section() access.SectionEntry {
	s := access.SectionEntry{
		Path: access.Section(e.Path), Name: e.Name, Names: e.Names, Description: e.Description, Family: e.Family,
		Licence: e.Licence, Field: e.Field, Cascade: e.Cascade, Deprecated: e.Deprecated, Origin: e.Origin,
	}
	for _, a := range e.Actions {
		if a.Name != "" {
			s.Actions = append(s.Actions, access.ActionEntry{Name: a.Name, Label: a.Label, Labels: a.Labels, Description: a.Description, Origin: a.Origin})
		}
	}
	for _, q := range e.Prerequisites {
		if q.Section != "" && q.Rights != 0 {
			s.Prerequisites = append(s.Prerequisites, access.Prerequisite{
				Section: access.Section(q.Section), Rights: access.Rights(q.Rights), Origin: q.Origin,
			})
		}
	}
	if e.Menu != nil {
		s.Menu = &access.MenuEntry{Label: e.Menu.Label, Labels: e.Menu.Labels, Order: e.Menu.Order}
	}
	return s
}

// check: a prerequisite of nothing could never fail.
func (e *prerequisiteEntry) check(d *decoder, n *yaml.Node) {
	if e.Rights == 0 {
		d.add(n, "rights-invalid", "rights: a prerequisite needs at least one right")
	}
}

func (f *roleFile) into(p *access.Policy) {
	p.Roles = append(p.Roles, access.Role{
		Code: f.Code, Name: f.Name, Description: f.Description,
		Roles: roleLinks(f.Roles), Grants: grants(f.Grants), Origin: f.Origin,
	})
}

func (f *groupFile) into(p *access.Policy) {
	g := access.Group{
		Code: f.Code, Name: f.Name, Description: f.Description, Kind: access.GroupKind(f.Type), Base: f.Base,
		Roles: roleLinks(f.Roles), Grants: grants(f.Grants), Signature: f.Signature, Attributes: f.Attributes, Origin: f.Origin,
	}
	if f.Scopes.limited {
		g.Scopes = []access.Scope{}
	}
	for _, s := range f.Scopes.names {
		g.Scopes = append(g.Scopes, access.Scope(s))
	}
	if f.Manages.limited {
		g.Manages = append([]string{}, f.Manages.names...)
	}
	p.Groups = append(p.Groups, g)
}

func (f *usersFile) into(p *access.Policy) {
	for _, u := range f.Users {
		if u.ID != "" {
			p.Users = append(p.Users, u.user(u.ID, u.Origin))
		}
	}
}

func (b *userBody) user(id string, at access.Origin) access.User {
	return access.User{
		ID: id, Email: b.Email, Home: access.Scope(b.Home), Name: b.Name, Status: access.UserStatus(b.Status),
		Groups: groupLinks(b.Groups), Roles: roleLinks(b.Roles), Grants: grants(b.Grants),
		Licences: known(b.Licences), ApplicationsOff: known(b.ApplicationsOff), Attributes: b.Attributes,
		ExternalID: b.ExternalID, Menu: sections(b.Menu), Origin: at,
	}
}

// sections keeps the difference between no choice of a menu and an empty one.
func sections(paths []string) []access.Section {
	if paths == nil {
		return nil
	}
	all := make([]access.Section, 0, len(paths))
	for _, p := range known(paths) {
		all = append(all, access.Section(p))
	}
	return all
}

// known leaves out the values that could not be decoded.
func known(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

func groupLinks(entries []groupLink) []access.Link {
	var links []access.Link
	for _, e := range entries {
		if e.Group != "" {
			links = append(links, e.link(e.Group, e.Origin))
		}
	}
	return links
}

func roleLinks(entries []roleLink) []access.Link {
	var links []access.Link
	for _, e := range entries {
		if e.Role != "" {
			links = append(links, e.link(e.Role, e.Origin))
		}
	}
	return links
}

func (r *reach) link(to string, at access.Origin) access.Link {
	return access.Link{To: to, Scope: access.Scope(r.Scope), Validity: r.validity(), Origin: at}
}

func (r *reach) validity() access.Validity { return access.Validity{From: r.From, Until: r.Until} }

func grants(entries []grantEntry) []access.Grant {
	var list []access.Grant
	for _, e := range entries {
		if e.Section != "" || e.Name != "" {
			list = append(list, e.grant())
		}
	}
	return list
}

func (e *grantEntry) grant() access.Grant {
	g := access.Grant{
		Section: access.Section(e.Section), Rights: e.Rights.sum, Actions: e.Rights.actions,
		Scope: access.Scope(e.Scope), Effect: access.Effect(e.Effect), Condition: strings.TrimSpace(e.Condition),
		Validity: e.validity(), Origin: e.Origin,
	}
	if e.Name != "" {
		g.Section = access.Section(e.Name)
	}
	if e.Crud != nil {
		g.Rights = access.Rights(*e.Crud)
	}
	return g
}
