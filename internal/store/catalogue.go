package store

import "github.com/bailiwick/bailiwick/internal/access"

type applicationDocument struct {
	Code        string            `json:"code"`
	Name        string            `json:"name,omitempty"`
	Names       map[string]string `json:"names,omitempty"`
	Description string            `json:"description,omitempty"`
	Version     string            `json:"version,omitempty"`
	Families    []familyDocument  `json:"families,omitempty"`
	Sections    []sectionDocument `json:"sections,omitempty"`
	Groups      []linkDocument    `json:"groups,omitempty"`
	Roles       []linkDocument    `json:"roles,omitempty"`
	Grants      []grantDocument   `json:"grants,omitempty"`
	Origin      place             `json:"origin,omitzero"`
}

type familyDocument struct {
	Name   string            `json:"name"`
	Names  map[string]string `json:"names,omitempty"`
	Origin place             `json:"origin,omitzero"`
}

type sectionDocument struct {
	Path          string                 `json:"path"`
	Name          string                 `json:"name,omitempty"`
	Names         map[string]string      `json:"names,omitempty"`
	Description   string                 `json:"description,omitempty"`
	Family        string                 `json:"family,omitempty"`
	Actions       []actionDocument       `json:"actions,omitempty"`
	Prerequisites []prerequisiteDocument `json:"prerequisites,omitempty"`
	Licence       string                 `json:"licence,omitempty"`
	Menu          *menuDocument          `json:"menu,omitempty"`
	Field         bool                   `json:"field,omitempty"`
	Cascade       bool                   `json:"cascade,omitempty"`
	Deprecated    string                 `json:"deprecated,omitempty"`
	Origin        place                  `json:"origin,omitzero"`
}

type actionDocument struct {
	Name        string            `json:"name"`
	Label       string            `json:"label,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Description string            `json:"description,omitempty"`
	Origin      place             `json:"origin,omitzero"`
}

type prerequisiteDocument struct {
	Section string `json:"section"`
	Rights  uint8  `json:"rights"`
	Origin  place  `json:"origin,omitzero"`
}

type menuDocument struct {
	Label  string            `json:"label,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Order  int               `json:"order,omitempty"`
}

func applicationOf(a access.Application) applicationDocument {
	return applicationDocument{
		Code: a.Code, Name: a.Name, Names: a.Names, Description: a.Description, Version: a.Version,
		Families: convert(a.Families, familyOf), Sections: convert(a.Sections, sectionOf), Groups: convert(a.Groups, linkOf), Roles: convert(a.Roles, linkOf),
		Grants: convert(a.Grants, grantOf), Origin: place(a.Origin),
	}
}

func (d applicationDocument) application() access.Application {
	return access.Application{
		Code: d.Code, Name: d.Name, Names: d.Names, Description: d.Description, Version: d.Version,
		Families: convert(d.Families, familyDocument.family), Sections: convert(d.Sections, sectionDocument.section), Groups: convert(d.Groups, linkDocument.link),
		Roles: convert(d.Roles, linkDocument.link), Grants: convert(d.Grants, grantDocument.grant), Origin: access.Origin(d.Origin),
	}
}

func familyOf(f access.FamilyEntry) familyDocument {
	return familyDocument{Name: f.Name, Names: f.Names, Origin: place(f.Origin)}
}

func (d familyDocument) family() access.FamilyEntry {
	return access.FamilyEntry{Name: d.Name, Names: d.Names, Origin: access.Origin(d.Origin)}
}

func sectionOf(s access.SectionEntry) sectionDocument {
	d := sectionDocument{
		Path: string(s.Path), Name: s.Name, Names: s.Names, Description: s.Description, Family: s.Family,
		Actions: convert(s.Actions, actionOf), Prerequisites: convert(s.Prerequisites, prerequisiteOf),
		Licence: s.Licence, Field: s.Field, Cascade: s.Cascade, Deprecated: s.Deprecated, Origin: place(s.Origin),
	}
	if s.Menu != nil {
		d.Menu = &menuDocument{Label: s.Menu.Label, Labels: s.Menu.Labels, Order: s.Menu.Order}
	}
	return d
}

func (d sectionDocument) section() access.SectionEntry {
	s := access.SectionEntry{
		Path: access.Section(d.Path), Name: d.Name, Names: d.Names, Description: d.Description, Family: d.Family,
		Actions: convert(d.Actions, actionDocument.action), Prerequisites: convert(d.Prerequisites, prerequisiteDocument.prerequisite),
		Licence: d.Licence, Field: d.Field, Cascade: d.Cascade, Deprecated: d.Deprecated, Origin: access.Origin(d.Origin),
	}
	if d.Menu != nil {
		s.Menu = &access.MenuEntry{Label: d.Menu.Label, Labels: d.Menu.Labels, Order: d.Menu.Order}
	}
	return s
}

func actionOf(a access.ActionEntry) actionDocument {
	return actionDocument{Name: a.Name, Label: a.Label, Labels: a.Labels, Description: a.Description, Origin: place(a.Origin)}
}

func (d actionDocument) action() access.ActionEntry {
	return access.ActionEntry{Name: d.Name, Label: d.Label, Labels: d.Labels, Description: d.Description, Origin: access.Origin(d.Origin)}
}

func prerequisiteOf(p access.Prerequisite) prerequisiteDocument {
	return prerequisiteDocument{Section: string(p.Section), Rights: uint8(p.Rights), Origin: place(p.Origin)}
}

func (d prerequisiteDocument) prerequisite() access.Prerequisite {
	return access.Prerequisite{Section: access.Section(d.Section), Rights: access.Rights(d.Rights), Origin: access.Origin(d.Origin)}
}
