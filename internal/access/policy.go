package access

import (
	"fmt"
	"iter"
)

// Combining says how permissions and prohibitions combine.
type Combining string

// The two shipped ways of combining; DenyOverrides when empty.
const (
	DenyOverrides  Combining = "deny-overrides"
	AllowOverrides Combining = "allow-overrides"
)

// DefaultRoot is the root section of a tenant that names no other.
const DefaultRoot Section = "System"

// MaxInheritance is how many links may lead from a subject to a role. Stock
// Casbin's role manager silently stops there, so longer chains are refused when
// they are written.
const MaxInheritance = 10

// MaxGroups is how many groups a user may be in.
const MaxGroups = 100

// Policy is what security teams edit: everything that decides about access in
// one tenant, and the accounts that are delivered with it.
type Policy struct {
	Tenant      string
	Description string
	Combining   Combining
	Root        Section   // granting all rights on it everywhere makes a superuser
	Model       string    // text of a Casbin model; empty: the built-in one
	Functions   Functions // for a model other than the built-in one
	Anonymous   string    // code of the group that questions without a user belong to
	NeedBase    bool      // every regular group must be based on another one
	SignIn      SignInRules
	Accounts    AccountRules
	Licences    []Licence
	Scopes      []ScopeNode
	Catalogue   []Application
	Roles       []Role
	Groups      []Group
	Users       []User // accounts delivered with the policy; others are left alone
	Rules       []Rule // plain Casbin lines, in their order
	Guarantees  []Guarantee
	Origin      Origin
}

// Facts is everything that decisions of one tenant read at one revision, in the
// form that the store keeps and the engine compiles.
type Facts struct {
	Tenant     string
	Epoch      string // of the store, see Head
	Revision   Revision
	Policy     Revision            // newest revision that changed more than single users
	Stripes    map[Stripe]Revision // users' stripes that ever changed, with the newest revision that did it
	Fetched    bool                // users and their rules are not here: they are asked for one by one
	Combining  Combining
	Root       Section
	Model      string    // empty: the built-in one
	Functions  Functions // for a model other than the built-in one
	Catalogue  []Application
	Scopes     []ScopeNode
	Licences   []Licence
	Groups     map[string]GroupKind // by code
	Users      []UserFacts
	Rules      []Rule // in policy order
	Conditions []Condition
	Guarantees []Guarantee // no decision reads them
}

// ValidFilter refuses to look for what lies at a section or below it where nothing
// is declared: it would find nothing, which says something else.
func (f *Facts) ValidFilter(field string, section Section) error {
	for _, a := range f.Catalogue {
		for i := range a.Sections {
			if at := a.Sections[i].Path; at == section || section.Above(at) {
				return nil
			}
		}
	}
	return Invalid(field, "the catalogue knows no section %q, nor one below it", section)
}

// UserFacts is what decisions need to know of a user besides the rules.
type UserFacts struct {
	ID              string
	Status          UserStatus
	Licences        []string
	ApplicationsOff []string
	Attributes      map[string]any
}

// EachGrants visits every list of grants with the name of its holder as in rules.
// The grants may be changed in place.
func (p *Policy) EachGrants() iter.Seq2[string, []Grant] {
	return func(yield func(string, []Grant) bool) {
		for i := range p.Catalogue {
			if !yield(Name(KindApplication, p.Catalogue[i].Code), p.Catalogue[i].Grants) {
				return
			}
		}
		for i := range p.Roles {
			if !yield(Name(KindRole, p.Roles[i].Code), p.Roles[i].Grants) {
				return
			}
		}
		for i := range p.Groups {
			if !yield(Name(KindGroup, p.Groups[i].Code), p.Groups[i].Grants) {
				return
			}
		}
		for i := range p.Users {
			if !yield(Name(KindUser, p.Users[i].ID), p.Users[i].Grants) {
				return
			}
		}
	}
}

// Lost names, one by one, the groups and roles that accounts have and the policy
// does not. Deleted accounts do not count: what is gone is not restored with them.
func (p *Policy) Lost(users []User) []string {
	known := map[string]bool{Name(KindRole, SuperuserRole): true}
	for _, g := range p.Groups {
		known[Name(KindGroup, g.Code)] = true
	}
	for _, r := range p.Roles {
		known[Name(KindRole, r.Code)] = true
	}
	var lost []string
	for _, u := range users {
		if u.Status == UserDeleted {
			continue
		}
		for _, l := range u.Groups {
			if !known[Name(KindGroup, l.To)] {
				lost = append(lost, fmt.Sprintf("user %s is in group %s", u.ID, l.To))
			}
		}
		for _, l := range u.Roles {
			if !known[Name(KindRole, l.To)] {
				lost = append(lost, fmt.Sprintf("user %s has role %s", u.ID, l.To))
			}
		}
	}
	return lost
}

// Ours tells whether the policy uses the built-in model. Only then do its
// roles, groups, users and catalogue take part in decisions.
func (f *Facts) Ours() bool { return f.Model == "" }

// Facts compiles the policy into what decisions read. The policy must have
// passed Check; what Check would refuse is not treated in a defined way here.
func (p *Policy) Facts() Facts {
	f := Facts{
		Tenant: p.Tenant, Combining: p.combining(), Root: p.root(), Model: p.Model, Functions: p.Functions,
		Catalogue: p.catalogue(), Scopes: p.Scopes, Licences: p.Licences, Guarantees: p.Guarantees,
		Groups: map[string]GroupKind{},
	}
	for _, g := range p.Groups {
		f.Groups[g.Code] = g.kind()
	}
	for _, u := range p.Users {
		f.Users = append(f.Users, u.facts())
	}
	f.Rules, f.Conditions = p.lines()
	return f
}

func (p *Policy) combining() Combining {
	if p.Combining == "" {
		return DenyOverrides
	}
	return p.Combining
}

func (p *Policy) root() Section {
	if p.Root == "" {
		return DefaultRoot
	}
	return p.Root
}

func (g *Group) kind() GroupKind {
	if g.Kind == "" {
		return GroupRegular
	}
	return g.Kind
}

func (u *User) facts() UserFacts {
	status := u.Status
	if status == "" {
		status = UserActive
	}
	return UserFacts{
		ID: u.ID, Status: status, Licences: u.Licences,
		ApplicationsOff: u.ApplicationsOff, Attributes: u.Attributes,
	}
}
