package service

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// GroupEntry is a group with what lists say of it.
type GroupEntry struct {
	access.Group
	Members  int // users who are in the group themselves
	Children int // groups that are based on it
}

// GroupPatch says what is to be different about a group. What is nil stays.
type GroupPatch struct {
	Name, Description, Base, Signature *string
	Kind                               *access.GroupKind
	Roles                              *[]access.Link
	Grants                             *[]access.Grant
	Scopes                             *[]access.Scope // a pointer to nil: no ceiling
	Manages                            *[]string       // a pointer to nil: bounds nothing
	Attributes                         map[string]any  // merged member by member; null takes away
}

// maxListed is how many users or groups an error names.
const maxListed = 20

// CreateGroup makes a group.
func (d *Directory) CreateGroup(ctx context.Context, caller access.Caller, tenant string, g access.Group, c access.Change) (GroupEntry, access.Revision, error) {
	if err := validGroup(&g); err != nil {
		return GroupEntry{}, 0, err
	}
	need, made := Need{Part: "Groups", Action: "insert"}, GroupEntry{Group: g}
	revision, err := d.change(ctx, caller, tenant, need, c.Making(&made), func(t access.Draft) error {
		p := t.Policy()
		if groupAt(p, g.Code) >= 0 {
			return access.Exists("code", g.Code)
		}
		p.Groups = append(p.Groups, g)
		return sound(p, &p.Groups[len(p.Groups)-1])
	})
	return made, revision, err
}

func validGroup(g *access.Group) error {
	if err := access.ValidCode("code", g.Code); err != nil {
		return err
	}
	if g.Code == access.SuperuserRole {
		return access.Invalid("code", "%q is reserved", g.Code)
	}
	if err := access.ValidName("name", g.Name); err != nil {
		return err
	}
	if _, err := access.ParseSignature("signature", g.Signature); err != nil {
		return err
	}
	for i, s := range g.Scopes {
		if err := access.ValidScope(fmt.Sprintf("scopes[%d]", i), s); err != nil {
			return err
		}
	}
	g.Kind = cmp.Or(g.Kind, access.GroupRegular)
	if !slices.Contains([]access.GroupKind{access.GroupDefault, access.GroupTemplate, access.GroupRegular}, g.Kind) {
		return access.Invalid("kind", "%q is none of default, template, regular", string(g.Kind))
	}
	return nil
}

func groupAt(p *access.Policy, code string) int {
	return slices.IndexFunc(p.Groups, func(g access.Group) bool { return g.Code == code })
}

// groupOf gives the group of a code to be changed.
func groupOf(p *access.Policy, code string) (*access.Group, error) {
	if i := groupAt(p, code); i >= 0 {
		return &p.Groups[i], nil
	}
	return nil, access.NotFound("group", code)
}

// sound checks a policy after one of its groups was written, and says in which
// field of the group a mistake is.
func sound(p *access.Policy, g *access.Group) error {
	for i, code := range g.Manages {
		if groupAt(p, code) < 0 {
			return access.Invalid(fmt.Sprintf("manages[%d]", i), "group %q does not exist", code)
		}
	}
	return checked(p, &g.Origin, "base", g.Roles, g.Grants)
}

// checked looks for mistakes in a policy of which one group or role was written.
// The fields of what was written stand where files would for as long as that
// takes; rest is the field of what has no place of its own.
func checked(p *access.Policy, of *access.Origin, rest string, links []access.Link, grants []access.Grant) error {
	if err := entities(p, grants); err != nil {
		return err
	}
	was := *of
	*of = access.Origin{File: rest}
	for i := range links {
		links[i].Origin = access.Origin{File: fmt.Sprintf("roles[%d]", i)}
	}
	for i := range grants {
		grants[i].Origin = access.Origin{File: fmt.Sprintf("grants[%d]", i)}
	}
	problems := p.Check().Errors()
	*of = was
	for i := range links {
		links[i].Origin = access.Origin{}
	}
	for i := range grants {
		grants[i].Origin = access.Origin{}
	}
	if len(problems) == 0 {
		return nil
	}
	first := problems[0]
	mistake := &access.Error{Kind: access.ErrInvalid, Field: cmp.Or(first.Origin.File, rest), Message: first.Message}
	switch first.Code {
	case "inheritance-cycle", "inheritance-depth":
		mistake.Kind = ErrConflict
	case "scope-unknown":
		if first.Origin.File == rest {
			mistake.Field = "scopes"
		}
	}
	if first.Hint != "" {
		mistake.Message += " (" + first.Hint + ")"
	}
	return mistake
}

// entities turns rights on entities in braces into rights in scopes.
func entities(p *access.Policy, grants []access.Grant) error {
	for i := range grants {
		if err := p.Entity(fmt.Sprintf("grants[%d].section", i), &grants[i]); err != nil {
			return err
		}
	}
	return nil
}

// PatchGroup changes what is named in the patch. The code of a group never changes.
func (d *Directory) PatchGroup(ctx context.Context, caller access.Caller, tenant, code string, patch GroupPatch, c access.Change) (GroupEntry, access.Revision, error) {
	var entry GroupEntry
	need := Need{Part: "Groups", Action: "update"}
	revision, err := d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		g, err := groupOf(p, code)
		if err != nil {
			return err
		}
		patch.Apply(g)
		if err := validGroup(g); err != nil {
			return err
		}
		if patch.Scopes != nil {
			if err := withdrawn(p, g); err != nil {
				return err
			}
		}
		if err := sound(p, g); err != nil {
			return err
		}
		entry, err = entryOf(t, p, code)
		return err
	})
	return entry, revision, err
}

// Apply changes what is named in the patch.
func (patch *GroupPatch) Apply(g *access.Group) {
	set(&g.Name, patch.Name)
	set(&g.Description, patch.Description)
	set(&g.Base, patch.Base)
	set(&g.Signature, patch.Signature)
	set(&g.Kind, patch.Kind)
	set(&g.Roles, patch.Roles)
	set(&g.Grants, patch.Grants)
	set(&g.Scopes, patch.Scopes)
	set(&g.Manages, patch.Manages)
	if patch.Attributes != nil {
		g.Attributes = merged(g.Attributes, patch.Attributes)
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// merged applies a JSON merge patch (RFC 7396).
func merged(old, patch map[string]any) map[string]any {
	all := map[string]any{}
	for k, v := range old {
		all[k] = v
	}
	for k, v := range patch {
		below, isObject := v.(map[string]any)
		switch {
		case v == nil:
			delete(all, k)
		case isObject:
			was, _ := all[k].(map[string]any)
			all[k] = merged(was, below)
		default:
			all[k] = v
		}
	}
	return all
}

// Group gives one group.
func (d *Directory) Group(ctx context.Context, caller access.Caller, tenant, code string) (GroupEntry, access.Revision, error) {
	var entry GroupEntry
	var revision access.Revision
	err := d.readWithin(ctx, caller, tenant, Need{Part: "Groups", Action: "show"}, func(r access.Reading, in Reach) error {
		err := d.visible(ctx, tenant, in, access.KindGroup, code)
		if err != nil {
			return err
		}
		revision = r.Revision()
		entry, err = entryOf(r, r.Policy(), code)
		return err
	})
	return entry, revision, err
}

func entryOf(r access.Reading, p *access.Policy, code string) (GroupEntry, error) {
	g, err := groupOf(p, code)
	if err != nil {
		return GroupEntry{}, err
	}
	counts, err := r.CountHolders(access.KindGroup, []string{code})
	return GroupEntry{Group: *g, Members: counts[code], Children: children(p)[code]}, err
}

// children counts the groups based on each group.
func children(p *access.Policy) map[string]int {
	n := map[string]int{}
	for _, g := range p.Groups {
		n[g.Base]++
	}
	return n
}

// GroupQuery says which groups a list is to have, and in which order.
type GroupQuery struct {
	Q    string           // in code, name or description, in any case of letters
	Kind access.GroupKind // all when empty
	Base string           // only those based on this group
	// Sort is "name", "code", "kind" or "members", with - before it for the
	// reverse. By default the kinds stand in their order, default groups first, and
	// within a kind names.
	Sort string
	Page Page
}

// GroupPage is one page of a list of groups.
type GroupPage struct {
	Groups   []GroupEntry
	Total    int    // of all pages
	Next     string // token of the next page; empty behind the last
	Revision access.Revision
}

// Groups lists groups that the caller may see.
func (d *Directory) Groups(ctx context.Context, caller access.Caller, tenant string, q GroupQuery) (GroupPage, error) {
	var page GroupPage
	order, err := groupOrder(q.Sort)
	if err != nil {
		return page, err
	}
	err = d.readWithin(ctx, caller, tenant, Need{Part: "Groups", Action: "show"}, func(r access.Reading, in Reach) error {
		page.Revision = r.Revision()
		all, err := d.groupsLike(ctx, tenant, r, in, q)
		if err != nil {
			return err
		}
		if strings.TrimPrefix(q.Sort, "-") == "members" {
			if err := count(r, all); err != nil {
				return err
			}
		}
		slices.SortFunc(all, order)
		page.Total = len(all)
		page.Groups, page.Next, err = cut(ctx, d.state, tenant, all, q.Page, []any{"groups", q.Q, q.Kind, q.Base, q.Sort}, order, groupPlace)
		if err != nil {
			return err
		}
		return count(r, page.Groups)
	})
	return page, err
}

// groupPlace keeps of a group what it is sorted by.
func groupPlace(e GroupEntry) GroupEntry {
	return GroupEntry{Group: access.Group{Code: e.Code, Name: e.Name, Kind: e.Kind}, Members: e.Members}
}

func (d *Directory) groupsLike(ctx context.Context, tenant string, r access.Reading, in Reach, q GroupQuery) ([]GroupEntry, error) {
	seen, err := d.sees(ctx, tenant, in)
	if err != nil {
		return nil, err
	}
	p := r.Policy()
	based, wanted := children(p), strings.ToLower(q.Q)
	var all []GroupEntry
	for _, g := range p.Groups {
		switch {
		case q.Kind != "" && cmp.Or(g.Kind, access.GroupRegular) != q.Kind, q.Base != "" && g.Base != q.Base,
			!strings.Contains(strings.ToLower(g.Code+"\n"+g.Name+"\n"+g.Description), wanted):
			continue
		}
		shown, err := seen(access.Name(access.KindGroup, g.Code))
		if err != nil {
			return nil, err
		}
		if shown {
			all = append(all, GroupEntry{Group: g, Children: based[g.Code]})
		}
	}
	return all, nil
}

// count puts in how many members groups have.
func count(r access.Reading, all []GroupEntry) error {
	codes := make([]string, len(all))
	for i := range all {
		codes[i] = all[i].Code
	}
	counts, err := r.CountHolders(access.KindGroup, codes)
	for i := range all {
		all[i].Members = counts[all[i].Code]
	}
	return err
}

var kindOrder = map[access.GroupKind]int{access.GroupDefault: 0, access.GroupTemplate: 1, access.GroupRegular: 2}

// groupOrders are the ways to sort groups. Codes settle what is equal.
var groupOrders = map[string]func(a, b *GroupEntry) int{
	"":        func(a, b *GroupEntry) int { return cmp.Or(byKind(a, b), strings.Compare(a.Name, b.Name)) },
	"name":    func(a, b *GroupEntry) int { return strings.Compare(a.Name, b.Name) },
	"code":    func(_, _ *GroupEntry) int { return 0 },
	"kind":    byKind,
	"members": func(a, b *GroupEntry) int { return cmp.Compare(a.Members, b.Members) },
}

func byKind(a, b *GroupEntry) int {
	return cmp.Compare(kindOrder[cmp.Or(a.Kind, access.GroupRegular)], kindOrder[cmp.Or(b.Kind, access.GroupRegular)])
}

func groupOrder(sort string) (func(a, b GroupEntry) int, error) {
	column, reverse := strings.CutPrefix(sort, "-")
	by := groupOrders[column]
	if by == nil || sort == "-" {
		return nil, access.Invalid("sort", "%q is none of name, code, kind, members, or one of them behind -", sort)
	}
	return func(a, b GroupEntry) int {
		c := cmp.Or(by(&a, &b), strings.Compare(a.Code, b.Code))
		if reverse {
			return -c
		}
		return c
	}, nil
}

// GroupNode is a group in the tree of bases.
type GroupNode struct {
	GroupEntry
	Nodes []GroupNode // groups based on it, as deep as was asked for
}

// GroupTree gives the tree of groups below one group, or from the groups without
// a base where node is empty, so many levels deep; all levels when depth is 0.
func (d *Directory) GroupTree(ctx context.Context, caller access.Caller, tenant, node string, depth int) ([]GroupNode, access.Revision, error) {
	var tree []GroupNode
	var revision access.Revision
	err := d.readWithin(ctx, caller, tenant, Need{Part: "Groups", Action: "show"}, func(r access.Reading, in Reach) error {
		revision = r.Revision()
		all, err := d.groupsLike(ctx, tenant, r, in, GroupQuery{})
		if err != nil {
			return err
		}
		if node != "" && !slices.ContainsFunc(all, func(e GroupEntry) bool { return e.Code == node }) {
			return access.NotFound("group", node)
		}
		if err := count(r, all); err != nil {
			return err
		}
		order, _ := groupOrder("") // it exists
		slices.SortFunc(all, order)
		tree = grown(all, node, depth)
		return nil
	})
	return tree, revision, err
}

// grown makes the tree below one group. A group whose base is not shown stands
// among those without one.
func grown(all []GroupEntry, node string, depth int) []GroupNode {
	shown, below := map[string]bool{}, map[string][]GroupEntry{}
	for _, e := range all {
		shown[e.Code] = true
	}
	for _, e := range all {
		base := e.Base
		if !shown[base] {
			base = ""
		}
		below[base] = append(below[base], e)
	}
	var grow func(base string, depth int) []GroupNode
	grow = func(base string, depth int) []GroupNode {
		var nodes []GroupNode
		for _, e := range below[base] {
			n := GroupNode{GroupEntry: e}
			if depth != 1 {
				n.Nodes = grow(e.Code, depth-1)
			}
			nodes = append(nodes, n)
		}
		return nodes
	}
	return grow(node, depth)
}

// GroupRights replaces the own rights of a group as a whole.
func (d *Directory) GroupRights(ctx context.Context, caller access.Caller, tenant, code string, grants []access.Grant, c access.Change) (GroupEntry, access.Revision, error) {
	return d.PatchGroup(ctx, caller, tenant, code, GroupPatch{Grants: &grants}, c)
}

// DeleteGroup takes a group away. That is refused while somebody has it as his
// only group, unless moveTo names a group that those come to be in instead; while
// a group is based on it, an application is in it, or it is the group of anonymous
// questions; and for default groups and templates.
func (d *Directory) DeleteGroup(ctx context.Context, caller access.Caller, tenant, code, moveTo string, c access.Change) (moved int, revision access.Revision, err error) {
	need := Need{Part: "Groups", Action: "delete"}
	revision, err = d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		g, err := groupOf(p, code)
		if err != nil {
			return err
		}
		if err := replaceable(p, code, moveTo); err != nil {
			return err
		}
		if err := needless(p, g); err != nil {
			return err
		}
		if moved, err = leaveAll(t, code, moveTo); err != nil {
			return err
		}
		p.Groups = slices.Delete(p.Groups, groupAt(p, code), groupAt(p, code)+1)
		return nil
	})
	return moved, revision, err
}

// replaceable refuses a group to move to that is none.
func replaceable(p *access.Policy, code, moveTo string) error {
	if moveTo == "" {
		return nil
	}
	if moveTo == code || groupAt(p, moveTo) < 0 {
		return access.Invalid("move_to", "%q is no other group", moveTo)
	}
	return nil
}

// needless refuses to take away a group that something else than users needs.
func needless(p *access.Policy, g *access.Group) error {
	var based, apps []string
	for _, other := range p.Groups {
		if other.Base == g.Code {
			based = append(based, other.Code)
		}
	}
	for _, a := range p.Catalogue {
		if slices.ContainsFunc(a.Groups, func(l access.Link) bool { return l.To == g.Code }) {
			apps = append(apps, a.Code)
		}
	}
	name := access.Name(access.KindGroup, g.Code)
	plain := slices.ContainsFunc(p.Rules, func(r access.Rule) bool { return slices.Contains(r.Values, name) })
	switch {
	case g.Kind == access.GroupDefault || g.Kind == access.GroupTemplate:
		return inUse("%q is a group of kind %s, which others derive from; it cannot be deleted", g.Code, g.Kind)
	case len(based) > 0:
		return inUse("%d groups are based on %q: %s", len(based), g.Code, listed(based))
	case len(apps) > 0:
		return inUse("applications are in %q: %s", g.Code, listed(apps))
	case p.Anonymous == g.Code:
		return inUse("%q is the group of questions without a user", g.Code)
	case plain:
		return inUse("plain lines of the policy name %q", g.Code)
	}
	return nil
}

// ErrConflict is an ErrExists of a change that what is there forbids: somebody
// needs what would go, or the whole would be without sense.
var ErrConflict = fmt.Errorf("conflict: %w", access.ErrExists)

func inUse(format string, args ...any) error {
	return &access.Error{Kind: ErrConflict, Field: "group", Message: fmt.Sprintf(format, args...)}
}

func listed(names []string) string {
	if len(names) <= maxListed {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:maxListed], ", ") + fmt.Sprintf(" and %d more", len(names)-maxListed)
}
