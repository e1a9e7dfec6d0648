package accesstest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// editing are the tests of edits of single groups, roles and users.
var editing = map[string]func(*storeBattery){
	"an edit is what the whole policy would be": editEqualsApply,
	"an edit that is refused leaves nothing":    editRefused,
	"an edit of users needs no other ones":      editSeats,
}

func editPolicy(tenant string) *access.Policy {
	section := func(path string) access.SectionEntry {
		return access.SectionEntry{Path: access.Section(path), Actions: []access.ActionEntry{{Name: "send"}}}
	}
	return &access.Policy{
		Tenant:    tenant,
		Licences:  []access.Licence{{Feature: "chats", Seats: 2}},
		Scopes:    []access.ScopeNode{{Scope: "store:1"}, {Scope: "store:2"}},
		Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{section("System.A"), section("System.B"), section("System.B.C")}}},
		Roles:     []access.Role{{Code: "reader", Grants: []access.Grant{{Section: "System.A", Rights: access.Show}}}},
		Groups:    []access.Group{{Code: "staff", Roles: []access.Link{{To: "reader"}}}, {Code: "guests"}},
		Users:     []access.User{{ID: "u1", Email: "u1@example.com", Groups: []access.Link{{To: "staff"}}}, {ID: "u2"}},
		Rules: []access.Rule{ // none that randomGrants makes too
			{Type: "p", Values: []string{"g:guests", "store:2", "System.B", "2", "allow", "-"}},
			{Type: "g", Values: []string{"u:later", "g:guests", "*"}},
		},
	}
}

// editEqualsApply makes random edits and holds, after each, what is loaded
// against the policy that the edits have made, and the difference against both.
func editEqualsApply(b *storeBattery) {
	const tenant = "edits"
	p := editPolicy(tenant)
	b.empty(b.t, tenant)
	b.apply(b.t, p)
	r := rand.New(rand.NewPCG(11, 7)) //nolint:gosec // chance for a test, that can be repeated
	before := b.facts(tenant)
	for step := range 60 {
		edit := randomEdit(r)
		edit(p, func(u access.User) { putUser(p, u) })
		delta, err := b.store.Edit(b.t.Context(), tenant, change(access.AnyRevision), func(d access.Draft) error {
			edit(d.Policy(), d.PutUser)
			return nil
		}, nil)
		if err != nil {
			b.t.Fatalf("step %d: %v", step, err)
		}
		after := b.facts(tenant)
		b.sameRules(step, p, after)
		if before, err = before.Apply(delta); err != nil {
			b.t.Fatalf("step %d: apply the difference: %v", step, err)
		}
		if !reflect.DeepEqual(before, after) {
			b.t.Fatalf("step %d: the difference gives\n%+v\nand a load\n%+v", step, before, after)
		}
		again, err := b.store.Apply(b.t.Context(), p, change(access.AnyRevision))
		if err != nil || again.From != again.To {
			b.t.Fatalf("step %d: the policy of the edits is a change, from %d to %d (%v)", step, again.From, again.To, err)
		}
	}
	if err := b.store.Verify(b.t.Context(), tenant); err != nil {
		b.t.Error(err)
	}
}

// sameRules compares lines as sets of each holder, in their order.
func (b *storeBattery) sameRules(step int, p *access.Policy, got access.Facts) {
	b.t.Helper()
	lines := func(rules []access.Rule) map[string][]string {
		m := map[string][]string{}
		for _, r := range rules {
			id, _ := r.User()
			m[id] = append(m[id], r.String())
		}
		return m
	}
	want := p.Facts()
	if w, g := lines(want.Rules), lines(got.Rules); !reflect.DeepEqual(w, g) {
		b.t.Fatalf("step %d: rules are\n%v\nwant\n%v", step, g, w)
	}
}

func (b *storeBattery) facts(tenant string) access.Facts {
	b.t.Helper()
	f, err := b.store.Load(b.t.Context(), tenant)
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

func putUser(p *access.Policy, u access.User) {
	i := slices.IndexFunc(p.Users, func(x access.User) bool { return x.ID == u.ID })
	if i < 0 {
		p.Users = append(p.Users, u)
		return
	}
	p.Users[i] = u
}

// randomEdit gives one edit that can be made both to a policy and to a draft.
func randomEdit(r *rand.Rand) func(*access.Policy, func(access.User)) {
	n, m := r.IntN(6), r.IntN(4)
	grants := randomGrants(r)
	switch r.IntN(7) {
	case 0:
		return func(p *access.Policy, _ func(access.User)) {
			code := fmt.Sprintf("g%d", n)
			if !slices.ContainsFunc(p.Groups, func(g access.Group) bool { return g.Code == code }) {
				p.Groups = append(p.Groups, access.Group{Code: code, Base: "staff"})
			}
		}
	case 1:
		return func(p *access.Policy, _ func(access.User)) { p.Groups[n%len(p.Groups)].Grants = grants }
	case 2:
		return func(p *access.Policy, _ func(access.User)) { p.Roles[0].Grants = grants }
	case 3:
		return func(p *access.Policy, _ func(access.User)) {
			slices.SortFunc(p.Groups, func(a, b access.Group) int { return len(b.Grants) - len(a.Grants) })
		}
	case 4:
		return func(p *access.Policy, _ func(access.User)) { p.Catalogue[0].Sections[0].Cascade = m%2 == 0 }
	default:
		u := access.User{ID: fmt.Sprintf("u%d", n), Grants: grants, Attributes: map[string]any{"n": int64(m)}}
		if m > 0 {
			u.Groups = []access.Link{{To: "staff", Scope: []access.Scope{"", "store:1", "store:2"}[m-1]}}
			u.Home, u.Email = u.Groups[0].Scope, u.ID+"@example.com"
		}
		if m == 3 {
			u.Status = access.UserDeleted
		}
		return func(_ *access.Policy, put func(access.User)) { put(u) }
	}
}

func randomGrants(r *rand.Rand) []access.Grant {
	var grants []access.Grant
	for i, section := range []access.Section{"System.A", "System.B", "System.B.C"} {
		switch r.IntN(4) {
		case 0:
			grants = append(grants, access.Grant{Section: section, Rights: []access.Rights{2, 10, 46, 63}[r.IntN(4)], Scope: []access.Scope{"", "store:1"}[r.IntN(2)]})
		case 1:
			grants = append(grants, access.Grant{Section: section, Rights: access.Show, Condition: fmt.Sprintf("resource.amount < %d", 10*i+r.IntN(2))})
		}
	}
	return grants
}

func editRefused(b *storeBattery) {
	const tenant = "refusals"
	b.empty(b.t, tenant)
	b.apply(b.t, editPolicy(tenant))
	before := b.facts(tenant)
	no := errors.New("no")
	for name, test := range map[string]struct {
		edit  func(access.Draft) error
		judge func(access.Delta) error
		want  error
	}{
		"by the edit":  {func(access.Draft) error { return no }, nil, no},
		"by the judge": {func(d access.Draft) error { d.PutUser(access.User{ID: "u9"}); return nil }, func(access.Delta) error { return no }, no},
		"an unknown group": {func(d access.Draft) error {
			d.PutUser(access.User{ID: "u9", Groups: []access.Link{{To: "nobody"}}})
			return nil
		}, nil, access.ErrInvalid},
		"a group that somebody has": {func(d access.Draft) error {
			p := d.Policy()
			p.Groups = slices.DeleteFunc(p.Groups, func(g access.Group) bool { return g.Code == "staff" })
			return nil
		}, nil, access.ErrInvalid},
		"an e-mail that somebody has": {func(d access.Draft) error {
			d.PutUser(access.User{ID: "u9", Email: "U1@example.com"})
			return nil
		}, nil, access.ErrExists},
		"a rule that is a plain line": {func(d access.Draft) error {
			d.Policy().Groups[1].Grants = []access.Grant{{Section: "System.B", Rights: access.Show, Scope: "store:2"}}
			return nil
		}, nil, access.ErrInvalid},
		"a plain line": {func(d access.Draft) error { d.Policy().Rules = nil; return nil }, nil, access.ErrInvalid},
	} {
		if _, err := b.store.Edit(b.t.Context(), tenant, change(access.AnyRevision), test.edit, test.judge); !errors.Is(err, test.want) {
			b.t.Errorf("%s: the error is %v, want %v", name, err, test.want)
		}
		if after := b.facts(tenant); !reflect.DeepEqual(before, after) {
			b.t.Errorf("%s: something has changed", name)
		}
	}
}

// editSeats: Req 44: the seats of those count too whom the edit does not touch.
func editSeats(b *storeBattery) {
	const tenant = "seats"
	b.empty(b.t, tenant)
	b.apply(b.t, editPolicy(tenant))
	hold := func(id string) error {
		_, err := b.store.Edit(b.t.Context(), tenant, change(access.AnyRevision), func(d access.Draft) error {
			d.PutUser(access.User{ID: id, Licences: []string{"chats"}})
			return nil
		}, nil)
		return err
	}
	if err := errors.Join(hold("a"), hold("b"), hold("a")); err != nil {
		b.t.Fatal(err)
	}
	if err := hold("c"); !errors.Is(err, access.ErrExists) {
		b.t.Errorf("a third holder of two seats: %v", err)
	}
}
