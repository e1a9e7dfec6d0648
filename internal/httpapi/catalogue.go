package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const applicationPath = "/v1/tenants/{tenant}/applications"

// orphanText is what holds for whatever takes sections away.
const orphanText = "409 while rights of anybody name what would be gone: the details list them. With remove_grants=true they are taken away by the same revision, so that a section that is declared again later starts without them."

var catalogueRoutes = []route{
	{
		method: http.MethodGet, path: applicationPath, tenant: true, need: access.KeyRead,
		serve: (*call).listApplications, tag: "Directory", summary: "List applications with their sections",
		answer: api.Applications{},
	},
	{
		method: http.MethodGet, path: applicationPath + "/{application}", tenant: true, need: access.KeyRead,
		serve: (*call).showApplication, tag: "Directory", summary: "Show an application", answer: api.Application{},
	},
	{
		method: http.MethodPut, path: applicationPath + "/{application}/catalogue", tenant: true, need: access.KeyAdmin, change: true,
		limit: maxPolicyBody, query: catalogueParams,
		serve: (*call).putCatalogue, tag: "Directory", summary: "Register an application with all its sections",
		text: "Made for the start of an application: the same document again changes nothing and makes no revision. 409 where a section belongs to another application, which is named; the first part of a path belongs to the application that uses it first, unless it is the root of the tenant. " + orphanText,
		body: api.Catalogue{}, answer: api.CataloguePlan{},
	},
	{
		method: http.MethodPut, path: applicationPath + "/{application}/rights", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).putApplicationRights, tag: "Directory", summary: "Replace what an application may do itself",
		text: changeText, body: api.ApplicationRights{}, answer: api.DirectoryChanged{},
	},
	{
		method: http.MethodDelete, path: applicationPath + "/{application}", tenant: true, need: access.KeyAdmin, change: true,
		query: append(catalogueParams, editParams...),
		serve: (*call).deleteApplication, tag: "Directory", summary: "Unregister an application",
		text: orphanText, answer: api.CataloguePlan{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/rights-catalogue", tenant: true, need: access.KeyRead,
		serve: (*call).rightsCatalogue, tag: "Directory", summary: "Show everything that can be granted, by families",
		query: []param{languageParam}, answer: api.RightsCatalogue{},
	},
	{
		method: http.MethodGet, path: "/v1/rights", need: access.KeyDecide,
		serve: (*call).convertRights, tag: "Directory", summary: "Turn a sum of standard rights into names, or names into the sum",
		query: []param{
			{name: "crud", kind: numberParam, max: 63, text: "A sum; or else:"},
			{name: "names", text: "Names with commas between them, for instance show,update."},
		},
		answer: api.RightsSum{},
	},
}

var (
	catalogueNames    = names{known: slices.Concat([]string{"name", "names", "description", "version", "families", "sections"}, editMembers), closed: true}
	sectionNames      = names{known: []string{"path", "name", "names", "description", "family", "actions", "prerequisites", "licence", "menu", "field", "cascade", "deprecated"}, closed: true}
	familyNames       = names{known: []string{"name", "names"}, closed: true}
	catalogueAction   = names{known: []string{"name", "label", "labels", "description"}, closed: true}
	prerequisiteNames = names{known: []string{"section", "rights"}, closed: true}
	menuNames         = names{known: []string{"label", "labels", "order"}, closed: true}
	appRightsNames    = names{known: slices.Concat([]string{"roles", "grants"}, editMembers), closed: true}
)

// The limits of a document that registers an application.
const (
	maxSections = 5000
	maxActions  = 100
)

func (c *call) listApplications() error {
	all, revision, err := c.directory().Applications(c.ctx(), c.caller, c.tenant)
	if err != nil {
		return err
	}
	w := api.Applications{Applications: make([]api.Application, len(all)), Revision: uint64(revision)}
	for i := range all {
		w.Applications[i] = applicationOf(&all[i])
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) showApplication() error {
	a, revision, err := c.directory().Application(c.ctx(), c.caller, c.tenant, c.g.Param("application"))
	if err != nil {
		return err
	}
	w := applicationOf(&a)
	w.Revision = uint64(revision)
	return c.reply(http.StatusOK, w)
}

func applicationOf(a *access.Application) api.Application {
	w := api.Application{
		Code: a.Code, Roles: roleLinksOf(a.Roles), Grants: rightsOf(a.Grants), BuiltIn: a.Code == access.Ourselves,
		CatalogueFields: api.CatalogueFields{
			Name: a.Name, Names: a.Names, Description: a.Description, Version: a.Version,
			Sections: make([]api.CatalogueEntry, len(a.Sections)),
		},
	}
	for _, f := range a.Families {
		w.Families = append(w.Families, api.CatalogueFamily{Name: f.Name, Names: f.Names})
	}
	for i := range a.Sections {
		w.Sections[i] = entryOf(&a.Sections[i])
	}
	return w
}

func entryOf(s *access.SectionEntry) api.CatalogueEntry {
	w := api.CatalogueEntry{
		Path: string(s.Path), Name: s.Name, Names: s.Names, Description: s.Description, Family: s.Family,
		Actions: actionsDeclared(s), Licence: s.Licence, Field: s.Field, Cascade: s.Cascade,
		Deprecated: s.Deprecated,
	}
	for _, q := range s.Prerequisites {
		w.Prerequisites = append(w.Prerequisites, api.Prerequisite{Section: string(q.Section), Rights: q.Rights.Names()})
	}
	if s.Menu != nil {
		w.Menu = &api.CatalogueMenu{Label: s.Menu.Label, Labels: s.Menu.Labels, Order: s.Menu.Order}
	}
	return w
}

func actionsDeclared(s *access.SectionEntry) []api.CatalogueAction {
	var all []api.CatalogueAction
	for _, a := range s.Actions {
		all = append(all, api.CatalogueAction{Name: a.Name, Label: a.Label, Labels: a.Labels, Description: a.Description})
	}
	return all
}

func (c *call) putCatalogue() error {
	o := c.catalogueOptions()
	app := access.Application{Code: c.g.Param("application")}
	var edit api.Edit
	given := false
	err := c.read(func(r *reader) error {
		return r.object("", &catalogueNames, func(name string) error {
			given = given || name == "sections"
			return r.catalogueMember(name, &app, &edit)
		})
	})
	if err == nil && !given {
		err = access.Invalid("sections", "is required; an empty list takes all sections away")
	}
	if err != nil {
		return err
	}
	plan, revision, err := c.directory().PutCatalogue(c.ctx(), c.caller, c.tenant, app, o, c.changeOf(edit))
	return c.planned(&plan, o, revision, err)
}

func (c *call) deleteApplication() error {
	o := c.catalogueOptions()
	plan, revision, err := c.directory().DeleteApplication(c.ctx(), c.caller, c.tenant, c.g.Param("application"), o, c.changeAsked())
	return c.planned(&plan, o, revision, err)
}

func (c *call) catalogueOptions() service.CatalogueOptions {
	asked := func(name string) bool { return c.query[name] == "true" }
	return service.CatalogueOptions{RemoveGrants: asked("remove_grants"), DryRun: asked("dry_run")}
}

func (c *call) planned(plan *service.CataloguePlan, o service.CatalogueOptions, revision access.Revision, err error) error {
	if err != nil {
		return err
	}
	return c.foretell(func(most int) any {
		w := api.CataloguePlan{
			Added: pathsOf(plan.Added), Changed: pathsOf(plan.Changed), Removed: pathsOf(plan.Removed), Described: plan.Described,
			Orphans: make([]api.Orphan, len(plan.Orphans)), DryRun: o.DryRun, Revision: uint64(revision), Foretold: foretoldOf(plan.Foretold, most),
		}
		for i, x := range plan.Orphans {
			w.Orphans[i] = api.Orphan{Holder: x.Holder, What: x.What, Keeps: x.Keeps}
		}
		return w
	}, toldBy(plan.Foretold), nil)
}

func pathsOf(sections []access.Section) []string {
	all := make([]string, len(sections))
	for i, s := range sections {
		all[i] = string(s)
	}
	return all
}

func (r *reader) catalogueMember(name string, a *access.Application, edit *api.Edit) error {
	switch name {
	case "name":
		return r.text(name, &a.Name)
	case "names":
		return r.labels(name, &a.Names)
	case "description":
		return r.prose(name, &a.Description)
	case "version":
		return r.text(name, &a.Version)
	case "families":
		return r.listUpTo(name, maxSections, func(i int) error {
			var f access.FamilyEntry
			err := r.family(fmt.Sprintf("families[%d]", i), &f)
			a.Families = append(a.Families, f)
			return err
		})
	case "sections":
		return r.listUpTo(name, maxSections, func(i int) error {
			var s access.SectionEntry
			err := r.section(fmt.Sprintf("sections[%d]", i), &s)
			a.Sections = append(a.Sections, s)
			return err
		})
	}
	return r.edit(name, edit)
}

func (r *reader) family(at string, f *access.FamilyEntry) error {
	return r.object(at, &familyNames, func(name string) error {
		if name == "name" {
			return r.text(at+"."+name, &f.Name)
		}
		return r.labels(at+"."+name, &f.Names)
	})
}

// labels reads names by language.
func (r *reader) labels(field string, to *map[string]string) error {
	var all map[string]any
	if err := r.attributes(field, &all); err != nil {
		return err
	}
	for tag, v := range all {
		text, ok := v.(string)
		if !ok {
			r.note(access.Invalid(field+"."+tag, "must be a string"))
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[tag] = text
	}
	return nil
}

func (r *reader) section(at string, s *access.SectionEntry) error {
	return r.object(at, &sectionNames, func(name string) error {
		field := at + "." + name
		switch name {
		case "path":
			return r.text(field, (*string)(&s.Path))
		case "name":
			return r.text(field, &s.Name)
		case "names":
			return r.labels(field, &s.Names)
		case "description":
			return r.prose(field, &s.Description)
		case "family":
			return r.text(field, &s.Family)
		case "licence":
			return r.text(field, &s.Licence)
		case "field":
			return r.flag(field, &s.Field)
		case "cascade":
			return r.flag(field, &s.Cascade)
		case "deprecated":
			return r.prose(field, &s.Deprecated)
		case "menu":
			return r.menuEntry(field, &s.Menu)
		case "actions":
			return r.declaredActions(field, &s.Actions)
		}
		return r.prerequisites(field, &s.Prerequisites)
	})
}

func (r *reader) menuEntry(field string, to **access.MenuEntry) error {
	if r.null() {
		return nil
	}
	*to = &access.MenuEntry{}
	return r.object(field, &menuNames, func(name string) error {
		switch name {
		case "label":
			return r.text(field+"."+name, &(*to).Label)
		case "labels":
			return r.labels(field+"."+name, &(*to).Labels)
		}
		var n int64
		err := r.integer(field+"."+name, &n)
		if n < -1_000_000 || n > 1_000_000 {
			r.note(access.Invalid(field+"."+name, "must lie between -1000000 and 1000000"))
		}
		(*to).Order = int(n)
		return err
	})
}

func (r *reader) declaredActions(field string, to *[]access.ActionEntry) error {
	return r.listUpTo(field, maxActions, func(i int) error {
		at := fmt.Sprintf("%s[%d]", field, i)
		var a access.ActionEntry
		err := r.object(at, &catalogueAction, func(name string) error {
			switch name {
			case "name":
				return r.text(at+"."+name, &a.Name)
			case "label":
				return r.text(at+"."+name, &a.Label)
			case "labels":
				return r.labels(at+"."+name, &a.Labels)
			}
			return r.prose(at+"."+name, &a.Description)
		})
		*to = append(*to, a)
		return err
	})
}

func (r *reader) prerequisites(field string, to *[]access.Prerequisite) error {
	return r.listUpTo(field, maxActions, func(i int) error {
		at := fmt.Sprintf("%s[%d]", field, i)
		var q access.Prerequisite
		err := r.object(at, &prerequisiteNames, func(name string) error {
			if name == "section" {
				return r.text(at+"."+name, (*string)(&q.Section))
			}
			return r.standardRights(at+"."+name, &q.Rights)
		})
		*to = append(*to, q)
		return err
	})
}

// standardRights reads a list of names of standard rights.
func (r *reader) standardRights(field string, to *access.Rights) error {
	return r.list(field, func(int) error {
		var name string
		err := r.text(field, &name)
		right, ok := access.RightOf(name)
		if !ok && err == nil {
			r.note(access.Invalid(field, "%q is none of %s", name, strings.Join(access.RightNames(), ", ")))
		}
		*to |= right
		return err
	})
}

func (c *call) putApplicationRights() error {
	roles, grants := []access.Link(nil), []access.Grant(nil)
	given := map[string]bool{}
	var edit api.Edit
	err := c.read(func(r *reader) error {
		return r.object("", &appRightsNames, func(name string) error {
			given[name] = true
			switch name {
			case "roles":
				return r.links(name, &roles)
			case "grants":
				return r.grants(name, &grants)
			}
			return r.edit(name, &edit)
		})
	})
	for _, name := range []string{"grants", "roles"} {
		if err == nil && !given[name] {
			err = access.Invalid(name, "is required; an empty list gives nothing")
		}
	}
	if err != nil {
		return err
	}
	revision, err := c.directory().ApplicationRights(c.ctx(), c.caller, c.tenant, c.g.Param("application"), roles, grants, c.changeOf(edit))
	return c.changed(revision, err)
}

// standardTexts describe the six standard rights.
var standardTexts = map[string]string{
	"inherit": "Passes the other rights of a grant down to the subsections",
	"show":    "Open it and read what is there",
	"insert":  "Make something new there",
	"update":  "Change what is there",
	"delete":  "Take away what is there",
	"execute": "Run what it is for",
}

func (c *call) rightsCatalogue() error {
	language, err := c.language()
	if err != nil {
		return err
	}
	all, revision, err := c.directory().RightsCatalogue(c.ctx(), c.caller, c.tenant)
	if err != nil {
		return err
	}
	w := api.RightsCatalogue{Families: familiesOf(all, language), Revision: uint64(revision)}
	for _, name := range access.RightNames() {
		right, _ := access.RightOf(name)
		w.Standard = append(w.Standard, api.StandardRight{Name: name, Value: int(right), Description: standardTexts[name]})
	}
	return c.reply(http.StatusOK, w)
}

// familiesOf puts sections under their headings, in the order of the catalogue.
// What has none stands under the name of its application.
func familiesOf(all []access.Application, language string) []api.RightsFamily {
	families, at := []api.RightsFamily{}, map[string]int{}
	for i := range all {
		a := &all[i]
		for j := range a.Sections {
			s := &a.Sections[j]
			heading, label := s.Family, service.FamilyIn(a, s.Family, language)
			if heading == "" {
				heading = service.InLanguage(a.Names, language, cmp.Or(a.Name, a.Code))
				label = heading
			}
			if _, there := at[heading]; !there {
				at[heading] = len(families)
				families = append(families, api.RightsFamily{Family: heading, Label: heading})
			}
			f := &families[at[heading]]
			if f.Label == heading { // nobody has said otherwise yet
				f.Label = label
			}
			f.Sections = append(f.Sections, api.RightsEntry{
				Section: string(s.Path), Application: a.Code, Description: s.Description, Licence: s.Licence, Field: s.Field, Cascade: s.Cascade,
				Deprecated: s.Deprecated, Label: cmp.Or(service.InLanguage(s.Names, language, s.Name), string(s.Path)), Actions: actionsLabelled(s, language),
			})
		}
	}
	return families
}

// actionsLabelled are the further actions of a section, labelled in a language.
func actionsLabelled(s *access.SectionEntry, language string) []api.CatalogueAction {
	all := actionsDeclared(s)
	for i := range all {
		a := &all[i]
		a.Label, a.Labels = service.InLanguage(a.Labels, language, a.Label), nil
	}
	return all
}

// language gives the language that labels are wanted in.
func (c *call) language() (string, error) {
	tag, given := c.query["lang"]
	if !given {
		return "", nil
	}
	return tag, service.ValidLanguage("lang", tag)
}

func (c *call) convertRights() error {
	sum, isSum := c.query["crud"]
	list, isList := c.query["names"]
	if isSum == isList {
		return access.Invalid("crud", "or names is required, and not both")
	}
	var rights access.Rights
	if isSum {
		n, err := strconv.ParseInt(sum, 10, 64)
		if err != nil {
			return access.Invalid("crud", "%q is not an integer", sum)
		}
		if rights, err = access.RightsOf("crud", n); err != nil {
			return err
		}
	}
	for name := range strings.SplitSeq(list, ",") {
		if list == "" {
			break
		}
		right, ok := access.RightOf(name)
		if !ok {
			return access.Invalid("names", "%q is none of %s", name, strings.Join(access.RightNames(), ", "))
		}
		rights |= right
	}
	return c.reply(http.StatusOK, api.RightsSum{Crud: int(rights), Rights: rights.Names()})
}
