package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// CatalogueOptions say how an application is registered or taken away.
type CatalogueOptions struct {
	// RemoveGrants takes away what would be left without its section, by the same
	// revision. Without it, such a change is refused.
	RemoveGrants bool
	DryRun       bool // only tell what would change
}

// CataloguePlan is what registering or taking away an application changes.
type CataloguePlan struct {
	Added, Changed, Removed []access.Section // in the order of their bytes
	Described               bool             // name, version or description differ
	Orphans                 []Orphan         // what loses its section or action
	Foretold                *Rehearsed       // what it would do, where it was only rehearsed and can be done
}

// Empty tells whether nothing changes.
func (p *CataloguePlan) Empty() bool {
	return len(p.Added)+len(p.Changed)+len(p.Removed)+len(p.Orphans) == 0 && !p.Described
}

// Orphan is something that names what is taken away.
type Orphan struct {
	Holder string // group:<code>, role:<code>, app:<code>, user:<id>, section:<path> or line
	What   string // in words
	Keeps  bool   // cannot be taken away with it: it must be changed first
}

// Orphaned refuses a change that would leave something without its section.
type Orphaned struct { //nolint:errname // the list is what matters; the error in words is inside
	Orphans []Orphan
}

// Error says how many there are; the list is for whoever shows it.
func (o *Orphaned) Error() string { return o.Unwrap().Error() }

// Unwrap gives the error in words, of kind ErrConflict.
func (o *Orphaned) Unwrap() error {
	var names []string
	for _, x := range o.Orphans {
		names = append(names, x.Holder+" ("+x.What+")")
	}
	hint := "take them away first, or ask for remove_grants"
	if slices.ContainsFunc(o.Orphans, func(x Orphan) bool { return x.Keeps }) {
		hint = "change them first"
	}
	return &access.Error{Kind: ErrConflict, Field: "application", Message: fmt.Sprintf(
		"%d things name what would be gone: %s; %s", len(names), listed(names), hint)}
}

// Applications lists the applications of a tenant, our own among them.
func (d *Directory) Applications(ctx context.Context, caller access.Caller, tenant string) ([]access.Application, access.Revision, error) {
	var all []access.Application
	var revision access.Revision
	err := d.readWithin(ctx, caller, tenant, Need{Part: "Policies", Action: "show"}, func(r access.Reading, _ Reach) error {
		all, revision = catalogueOf(r.Policy()), r.Revision()
		return nil
	})
	return all, revision, err
}

func catalogueOf(p *access.Policy) []access.Application {
	if p.Model != "" {
		return p.Catalogue
	}
	return access.WithOurselves(p.Catalogue, p.Root)
}

// Application gives one application.
func (d *Directory) Application(ctx context.Context, caller access.Caller, tenant, code string) (access.Application, access.Revision, error) {
	all, revision, err := d.Applications(ctx, caller, tenant)
	if err != nil {
		return access.Application{}, 0, err
	}
	if i := applicationAt(all, code); i >= 0 {
		return all[i], revision, nil
	}
	return access.Application{}, 0, access.NotFound("application", code)
}

func applicationAt(all []access.Application, code string) int {
	return slices.IndexFunc(all, func(a access.Application) bool { return a.Code == code })
}

// PutCatalogue registers an application with the sections that it declares, or
// registers it anew. What it may do itself stays. The same document once more
// changes nothing and makes no revision.
//
// Where a section or action is gone, so must be every right on it: a section that
// is declared again later starts with what is granted then, not with what once was.
func (d *Directory) PutCatalogue(ctx context.Context, caller access.Caller, tenant string, app access.Application, o CatalogueOptions, c access.Change) (CataloguePlan, access.Revision, error) {
	if err := validApplication(&app); err != nil {
		return CataloguePlan{}, 0, err
	}
	return d.reregister(ctx, caller, tenant, app.Code, &app, o, c)
}

// DeleteApplication takes an application and its sections away.
func (d *Directory) DeleteApplication(ctx context.Context, caller access.Caller, tenant, code string, o CatalogueOptions, c access.Change) (CataloguePlan, access.Revision, error) {
	return d.reregister(ctx, caller, tenant, code, nil, o, c)
}

func (d *Directory) reregister(ctx context.Context, caller access.Caller, tenant, code string, app *access.Application, o CatalogueOptions, c access.Change) (CataloguePlan, access.Revision, error) {
	var plan CataloguePlan
	need := Need{Part: "Policies", Action: "update", Scope: access.Everywhere}
	if app == nil {
		need.Action = "delete"
	}
	var base access.Revision
	c.Rehearse = o.DryRun
	revision, err := d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		base = t.Revision()
		users, made, err := registered(t, code, app)
		if err != nil {
			return err
		}
		if plan = made; refused(plan.Orphans, o.RemoveGrants || o.DryRun) {
			return &Orphaned{Orphans: plan.Orphans}
		}
		for _, u := range users {
			t.PutUser(u)
		}
		return nil
	})
	if orphaned := (*Orphaned)(nil); o.DryRun && errors.As(err, &orphaned) {
		return plan, base, nil // the orphans say why it cannot be done
	}
	if plan.Foretold, err = foretold(err); plan.Foretold != nil {
		revision = base
	}
	return plan, revision, err
}

func refused(orphans []Orphan, remove bool) bool {
	return len(orphans) > 0 && !remove || slices.ContainsFunc(orphans, func(o Orphan) bool { return o.Keeps })
}

// registered puts an application into the policy of a reading, or takes it away
// where app is nil, with all rights that lose their sections. It gives the users
// that are to be changed for that.
func registered(r access.Draft, code string, app *access.Application) ([]access.User, CataloguePlan, error) {
	p := r.Policy()
	before := access.Application{Code: code}
	at := applicationAt(p.Catalogue, code)
	if at >= 0 {
		before = p.Catalogue[at]
	} else if app == nil {
		return nil, CataloguePlan{}, access.NotFound("application", code)
	}
	if err := placeIn(p, at, app, &before); err != nil {
		return nil, CataloguePlan{}, err
	}
	plan := planOf(&before, app, at < 0)
	if app != nil {
		if err := checkedApplication(p, code); err != nil {
			return nil, plan, err
		}
	}
	if app != nil && !takesAway(&before, app) {
		return nil, plan, nil
	}
	w := newSweep(p, &before, app)
	users, err := w.run(r)
	plan.Orphans = w.orphans
	return users, plan, err
}

// placeIn puts an application into the catalogue. What did not change stays as it
// is stored, so that it makes no difference.
func placeIn(p *access.Policy, at int, app, before *access.Application) error {
	if app == nil {
		p.Catalogue = slices.Delete(p.Catalogue, at, at+1)
		return nil
	}
	if p.Model != "" {
		return access.Invalid("tenant", "%q brings a Casbin model of its own, which knows no sections", p.Tenant)
	}
	if err := collision(p, app, before); err != nil {
		return err
	}
	placed := *app
	placed.Groups, placed.Roles, placed.Grants, placed.Origin = before.Groups, before.Roles, before.Grants, before.Origin
	if reflect.DeepEqual(bareFamilies(before), bareFamilies(app)) {
		placed.Families = before.Families
	}
	placed.Sections = slices.Clone(app.Sections)
	for i, s := range placed.Sections {
		if old := sectionOf(before, s.Path); old != nil && reflect.DeepEqual(bare(*old), s) {
			placed.Sections[i] = *old
		}
	}
	if at < 0 {
		p.Catalogue = append(p.Catalogue, placed)
	} else {
		p.Catalogue[at] = placed
	}
	return nil
}

func sectionOf(a *access.Application, path access.Section) *access.SectionEntry {
	for i := range a.Sections {
		if a.Sections[i].Path == path {
			return &a.Sections[i]
		}
	}
	return nil
}

// bare is a section as a document says it: without the places where files had it.
func bare(s access.SectionEntry) access.SectionEntry {
	s.Origin = access.Origin{}
	s.Actions, s.Prerequisites = slices.Clone(s.Actions), slices.Clone(s.Prerequisites)
	for i := range s.Actions {
		s.Actions[i].Origin = access.Origin{}
	}
	for i := range s.Prerequisites {
		s.Prerequisites[i].Origin = access.Origin{}
	}
	return s
}

// bareFamilies are those of an application without the places where files had them.
func bareFamilies(a *access.Application) []access.FamilyEntry {
	all := slices.Clone(a.Families)
	for i := range all {
		all[i].Origin = access.Origin{}
	}
	return all
}

// collision refuses sections that are another application's: those that it
// declares, those by which we guard ourselves, and whatever begins with the first
// part of its paths, unless that is the root, which all share.
func collision(p *access.Policy, app, before *access.Application) error {
	root := cmp.Or(p.Root, access.DefaultRoot)
	own := access.OwnSection(root, "")
	owners, spaces := map[access.Section]string{own: access.Ourselves}, map[access.Section]string{}
	for _, other := range p.Catalogue {
		if other.Code == app.Code {
			continue
		}
		for _, s := range other.Sections {
			owners[s.Path], spaces[firstPart(s.Path)] = other.Code, other.Code
		}
	}
	delete(spaces, root)
	for i, s := range app.Sections {
		owner := cmp.Or(owners[s.Path], spaces[firstPart(s.Path)])
		if own.Above(s.Path) {
			owner = access.Ourselves
		}
		if owner != "" && sectionOf(before, s.Path) == nil { // else it has been its own so far
			return &access.Error{Kind: ErrConflict, Field: fmt.Sprintf("sections[%d].path", i), Message: fmt.Sprintf(
				"%q belongs to the application %q", s.Path, owner)}
		}
	}
	return nil
}

func firstPart(s access.Section) access.Section {
	first, _, _ := strings.Cut(string(s), ".")
	return access.Section(first)
}

// planOf tells how the sections of an application change.
func planOf(before, app *access.Application, isNew bool) CataloguePlan {
	var plan CataloguePlan
	after := &access.Application{}
	if app != nil {
		after = app
		plan.Described = isNew || before.Name != app.Name || before.Description != app.Description || before.Version != app.Version ||
			!maps.Equal(before.Names, app.Names) || !reflect.DeepEqual(bareFamilies(before), bareFamilies(app))
	}
	for _, s := range after.Sections {
		old := sectionOf(before, s.Path)
		switch {
		case old == nil:
			plan.Added = append(plan.Added, s.Path)
		case !reflect.DeepEqual(bare(*old), s):
			plan.Changed = append(plan.Changed, s.Path)
		}
	}
	for _, s := range before.Sections {
		if sectionOf(after, s.Path) == nil {
			plan.Removed = append(plan.Removed, s.Path)
		}
	}
	slices.Sort(plan.Added)
	slices.Sort(plan.Changed)
	slices.Sort(plan.Removed)
	return plan
}

// takesAway tells whether a section or an action of a section is gone.
func takesAway(before, app *access.Application) bool {
	return slices.ContainsFunc(before.Sections, func(old access.SectionEntry) bool {
		s := sectionOf(app, old.Path)
		return s == nil || slices.ContainsFunc(old.Actions, func(a access.ActionEntry) bool {
			return !slices.ContainsFunc(s.Actions, func(b access.ActionEntry) bool { return a.Name == b.Name })
		})
	})
}

// sweep takes away all rights that name what is gone.
type sweep struct {
	p        *access.Policy
	gone     map[access.Section]bool // sections
	declared map[access.Section]map[string]bool
	app      string // code of an application that is gone
	orphans  []Orphan
}

func newSweep(p *access.Policy, before, app *access.Application) *sweep {
	w := &sweep{p: p, gone: map[access.Section]bool{}, declared: map[access.Section]map[string]bool{}}
	if app == nil {
		w.app = before.Code
	}
	for _, a := range catalogueOf(p) {
		for _, s := range a.Sections {
			w.declared[s.Path] = map[string]bool{}
			for _, action := range s.Actions {
				w.declared[s.Path][action.Name] = true
			}
		}
	}
	for _, s := range before.Sections {
		w.gone[s.Path] = w.declared[s.Path] == nil
	}
	return w
}

// run goes through everything that can hold a right, and gives the users that
// are to be changed. Deleted accounts are cleaned too, but stop nothing: they
// hold nothing, and could be restored one day.
func (w *sweep) run(r access.Reading) ([]access.User, error) {
	for i := range w.p.Roles {
		w.p.Roles[i].Grants = w.kept("role:"+w.p.Roles[i].Code, w.p.Roles[i].Grants)
	}
	for i := range w.p.Groups {
		w.p.Groups[i].Grants = w.kept("group:"+w.p.Groups[i].Code, w.p.Groups[i].Grants)
	}
	for i := range w.p.Catalogue {
		a := &w.p.Catalogue[i]
		a.Grants = w.kept("app:"+a.Code, a.Grants)
		w.needed(a)
	}
	w.lines()
	var changed []access.User
	err := r.EachUser(func(u access.User) error {
		orphans := len(w.orphans)
		u.Grants = w.kept("user:"+u.ID, u.Grants)
		if w.app != "" && slices.Contains(u.ApplicationsOff, w.app) {
			u.ApplicationsOff = slices.DeleteFunc(slices.Clone(u.ApplicationsOff), func(a string) bool { return a == w.app })
			w.orphans = append(w.orphans, Orphan{Holder: "user:" + u.ID, What: "the application is switched off for this user"})
		}
		if len(w.orphans) > orphans {
			changed = append(changed, u)
		}
		if u.Status == access.UserDeleted {
			w.orphans = w.orphans[:orphans]
		}
		return nil
	})
	return changed, err
}

// kept gives the grants without what is gone.
func (w *sweep) kept(holder string, grants []access.Grant) []access.Grant {
	if !slices.ContainsFunc(grants, func(g access.Grant) bool { return w.loses(&g) }) {
		return grants
	}
	var all []access.Grant
	for _, g := range grants {
		if !w.loses(&g) {
			all = append(all, g)
			continue
		}
		lost := w.cut(&g)
		if w.orphans = append(w.orphans, Orphan{Holder: holder, What: inWords(&lost)}); g.Rights != 0 || len(g.Actions) > 0 {
			all = append(all, g)
		}
	}
	return all
}

// loses tells whether a grant names a section or an action that is gone.
func (w *sweep) loses(g *access.Grant) bool {
	return w.gone[g.Section] || slices.ContainsFunc(g.Actions, func(a string) bool { return !w.known(g, a) })
}

// known tells whether an action of a grant is declared by its section, or by one
// below it where the grant is inherited.
func (w *sweep) known(g *access.Grant, action string) bool {
	for path, actions := range w.declared {
		if actions[action] && (path == g.Section || g.Rights&access.Inherit != 0 && g.Section.Above(path)) {
			return true
		}
	}
	return false
}

// cut takes from a grant what is gone, and gives that. A grant that would be left
// with nothing but inherit is taken as a whole.
func (w *sweep) cut(g *access.Grant) access.Grant {
	lost := *g
	if w.gone[g.Section] {
		g.Rights, g.Actions = 0, nil
		return lost
	}
	lost.Rights, lost.Actions = 0, nil
	var left []string
	for _, a := range g.Actions {
		if w.known(g, a) {
			left = append(left, a)
		} else {
			lost.Actions = append(lost.Actions, a)
		}
	}
	if g.Actions = left; len(left) == 0 && g.Rights&^access.Inherit == 0 {
		g.Rights = 0
	}
	return lost
}

func inWords(g *access.Grant) string {
	words := string(g.Section) + ": " + strings.Join(append(g.Rights.Names(), g.Actions...), ", ")
	if g.Effect == access.Deny {
		words += " denied"
	}
	if g.Scope != "" && g.Scope != access.Everywhere {
		words += " at " + string(g.Scope)
	}
	return words
}

// needed notes sections that need one that is gone.
func (w *sweep) needed(a *access.Application) {
	for _, s := range a.Sections {
		for _, q := range s.Prerequisites {
			if w.gone[q.Section] {
				w.orphans = append(w.orphans, Orphan{Holder: "section:" + string(s.Path), What: "needs " + string(q.Section), Keeps: true})
			}
		}
	}
}

// lines notes plain lines, which only files can change.
func (w *sweep) lines() {
	app := access.Name(access.KindApplication, w.app)
	for _, r := range w.p.Rules {
		named := w.app != "" && slices.Contains(r.Values, app)
		if r.Type == "p" && len(r.Values) > 2 {
			named = named || w.gone[access.Section(r.Values[2])]
		}
		if named {
			w.orphans = append(w.orphans, Orphan{Holder: "line", What: r.String(), Keeps: true})
		}
	}
}

// validApplication checks what Policy.Check leaves to whoever reads a document.
func validApplication(a *access.Application) error {
	if err := access.ValidCode("application", a.Code); err != nil {
		return err
	}
	if a.Code == access.Ourselves || a.Code == access.SuperuserRole {
		return access.Invalid("application", "%q is reserved", a.Code)
	}
	if err := access.ValidName("name", a.Name); err != nil {
		return err
	}
	if a.Version != "" {
		if err := access.ValidName("version", a.Version); err != nil {
			return err
		}
	}
	if err := validNames("names", a.Names); err != nil {
		return err
	}
	for i, f := range a.Families {
		at := fmt.Sprintf("families[%d].", i)
		if err := firstOf([]error{access.ValidName(at+"name", f.Name), validNames(at+"names", f.Names)}); err != nil {
			return err
		}
	}
	seen := map[access.Section]bool{}
	for i, s := range a.Sections {
		at := fmt.Sprintf("sections[%d].", i)
		if err := validSection(at, &s); err != nil {
			return err
		}
		if seen[s.Path] {
			return access.Invalid(at+"path", "%q is there twice", s.Path)
		}
		seen[s.Path] = true
	}
	return nil
}

func validSection(at string, s *access.SectionEntry) error {
	errs := []error{access.ValidSection(at+"path", s.Path), access.ValidName(at+"name", s.Name), validNames(at+"names", s.Names)}
	if s.Family != "" {
		errs = append(errs, access.ValidName(at+"family", s.Family))
	}
	if s.Licence != "" {
		errs = append(errs, access.ValidCode(at+"licence", s.Licence))
	}
	if s.Menu != nil {
		errs = append(errs, validLabels(at+"menu.label", s.Menu.Label, s.Menu.Labels)...)
	}
	for i, a := range s.Actions {
		errs = append(errs, validLabels(fmt.Sprintf("%sactions[%d].label", at, i), a.Label, a.Labels)...)
	}
	return firstOf(errs)
}

func validLabels(field, label string, labels map[string]string) []error {
	errs := []error{validNames(field+"s", labels)}
	if label != "" {
		errs = append(errs, access.ValidName(field, label))
	}
	return errs
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// languageTag is what a language is named by: de, pt-BR.
var languageTag = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

func validNames(field string, names map[string]string) error {
	for _, tag := range slices.Sorted(maps.Keys(names)) {
		if err := ValidLanguage(field, tag); err != nil {
			return err
		}
		if err := access.ValidName(field+"."+tag, names[tag]); err != nil {
			return err
		}
	}
	return nil
}

// ValidLanguage refuses what is no language tag.
func ValidLanguage(field, tag string) error {
	if len(tag) > 35 || !languageTag.MatchString(tag) {
		return access.Invalid(field, "%q is not a language; write for instance de or pt-BR", tag)
	}
	return nil
}

// InLanguage chooses among names: the one in a language, in the language it is a
// kind of, or the usual one.
func InLanguage(names map[string]string, language, usual string) string {
	base, _, _ := strings.Cut(language, "-")
	return cmp.Or(names[language], names[base], usual)
}

// FamilyIn gives what the heading of a section is called in a language: by its own
// application, or else as it stands.
func FamilyIn(a *access.Application, family, language string) string {
	for _, f := range a.Families {
		if f.Name == family {
			return InLanguage(f.Names, language, family)
		}
	}
	return family
}

// checkedApplication looks for mistakes in a policy of which one application was
// written, and names the field. What does not lie in the application is none of
// this document's mistakes: rights that lose their section are swept later.
func checkedApplication(p *access.Policy, code string) error {
	checked := access.Policy{
		Tenant: p.Tenant, Root: p.Root, Licences: p.Licences, Scopes: p.Scopes, Roles: p.Roles, Groups: p.Groups,
		Catalogue: slices.Clone(p.Catalogue),
	}
	a := &checked.Catalogue[applicationAt(checked.Catalogue, code)]
	a.Families, a.Sections = bareFamilies(a), slices.Clone(a.Sections)
	for i := range a.Families {
		a.Families[i].Origin.File = fmt.Sprintf("families[%d].name", i)
	}
	for i := range a.Sections {
		a.Sections[i] = numbered(a.Sections[i], i)
	}
	var mistake *access.Error
	for _, problem := range checked.Check().Errors() {
		if field := problem.Origin.File; strings.HasPrefix(field, "sections[") || strings.HasPrefix(field, "families[") {
			mistake = &access.Error{Kind: access.ErrInvalid, Field: field, Message: problem.Message}
			break
		}
	}
	if mistake != nil {
		return mistake
	}
	return nil
}

// numbered is a section whose parts say where in the document they stand.
func numbered(s access.SectionEntry, i int) access.SectionEntry {
	s = bare(s)
	at := fmt.Sprintf("sections[%d]", i)
	s.Origin = access.Origin{File: at}
	for j := range s.Actions {
		s.Actions[j].Origin = access.Origin{File: fmt.Sprintf("%s.actions[%d]", at, j)}
	}
	for j := range s.Prerequisites {
		s.Prerequisites[j].Origin = access.Origin{File: fmt.Sprintf("%s.prerequisites[%d]", at, j)}
	}
	return s
}

// ApplicationRights replaces what an application may do itself, as a subject.
func (d *Directory) ApplicationRights(ctx context.Context, caller access.Caller, tenant, code string, roles []access.Link, grants []access.Grant, c access.Change) (access.Revision, error) {
	need := Need{Part: "Grants", Action: "update"}
	return d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		at := applicationAt(p.Catalogue, code)
		if at < 0 {
			return access.NotFound("application", code)
		}
		a := &p.Catalogue[at]
		a.Roles, a.Grants = roles, grants
		return checked(p, &a.Origin, "application", a.Roles, a.Grants)
	})
}

// RightsCatalogue is everything that can be granted in a tenant.
func (d *Directory) RightsCatalogue(ctx context.Context, caller access.Caller, tenant string) ([]access.Application, access.Revision, error) {
	var all []access.Application
	var revision access.Revision
	var err error
	for _, part := range []string{"Policies", "Groups", "Roles", "Grants"} { // whoever shows rights needs their names
		if _, err = d.authority.ask(ctx, caller, tenant, Need{Part: part, Action: "show"}); !errors.Is(err, access.ErrForbidden) {
			break
		}
	}
	if err == nil {
		err = d.store.View(ctx, tenant, func(r access.Reading) error {
			all, revision = catalogueOf(r.Policy()), r.Revision()
			return nil
		})
	}
	return all, revision, d.authority.noted(caller, tenant, Need{Part: "Policies", Action: "show"}, err)
}
