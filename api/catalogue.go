package api

// Application is a program that declares the sections it protects.
type Application struct {
	Code string `json:"code"`
	CatalogueFields
	// Roles of the application itself, as a subject.
	Roles []RoleLink `json:"roles,omitempty"`
	// Rights of the application itself, as a subject.
	Grants []Right `json:"grants,omitempty"`
	// This is Bailiwick itself: its sections are there in every tenant.
	BuiltIn  bool   `json:"built_in,omitempty"`
	Revision uint64 `json:"revision,omitzero"`
}

// Applications is the catalogue of a tenant.
type Applications struct {
	Applications []Application `json:"applications"`
	Revision     uint64        `json:"revision"`
}

// Catalogue registers an application: what it is called, and all its sections.
type Catalogue struct {
	CatalogueFields
	Edit
}

// CatalogueFields is what an application declares.
type CatalogueFields struct {
	// What people call it.
	Name string `json:"name"`
	// Its name by language, for instance de or pt-BR.
	Names       map[string]string `json:"names,omitempty"`
	Description string            `json:"description,omitempty"`
	// The application's own version of what it declares.
	Version string `json:"version,omitempty"`
	// What headings are called in other languages.
	Families []CatalogueFamily `json:"families,omitempty"`
	Sections []CatalogueEntry  `json:"sections"`
}

// CatalogueFamily says what a heading is called in other languages.
type CatalogueFamily struct {
	// The heading, as sections name it by family.
	Name string `json:"name"`
	// What it is called by language.
	Names map[string]string `json:"names"`
}

// CatalogueEntry is one protected section.
type CatalogueEntry struct {
	// A dotted path, for instance System.Orders.Export.
	Path string `json:"path"`
	Name string `json:"name"`
	// Its name by language.
	Names       map[string]string `json:"names,omitempty"`
	Description string            `json:"description,omitempty"`
	// Heading under which people find it.
	Family string `json:"family,omitempty"`
	// What can be done there beyond the six standard rights.
	Actions []CatalogueAction `json:"actions,omitempty"`
	// Rights elsewhere that are needed too.
	Prerequisites []Prerequisite `json:"prerequisites,omitempty"`
	// Feature that tenant and user must hold.
	Licence string         `json:"licence,omitempty"`
	Menu    *CatalogueMenu `json:"menu,omitempty"`
	// Stands for a field of a record rather than a screen.
	Field bool `json:"field,omitempty"`
	// Rights on it always hold in its subsections too.
	Cascade bool `json:"cascade,omitempty"`
	// What to use instead; grants on it are warned of.
	Deprecated string `json:"deprecated,omitempty"`
}

// CatalogueAction is a further action, granted by name only.
type CatalogueAction struct {
	Name  string `json:"name"`
	Label string `json:"label,omitempty"`
	// What it is called by language.
	Labels      map[string]string `json:"labels,omitempty"`
	Description string            `json:"description,omitempty"`
}

// Prerequisite is a right on another section that must be held too.
type Prerequisite struct {
	Section string   `json:"section"`
	Rights  []string `json:"rights"`
}

// CatalogueMenu places a section in the menu.
type CatalogueMenu struct {
	// The section's name when left out.
	Label string `json:"label,omitempty"`
	// Its text by language; the section's names where there is none.
	Labels map[string]string `json:"labels,omitempty"`
	Order  int               `json:"order,omitempty"`
}

// CataloguePlan tells what registering an application changed, or would change.
type CataloguePlan struct {
	// Paths of sections.
	Added   []string `json:"added"`
	Changed []string `json:"changed"`
	Removed []string `json:"removed"`
	// Name, version or description of the application differ.
	Described bool `json:"described"`
	// What named sections or actions that are gone.
	Orphans []Orphan `json:"orphans"`
	// Nothing was changed: it was only asked what would.
	DryRun   bool   `json:"dry_run"`
	Revision uint64 `json:"revision"`
	// In a dry run of what can be done.
	Foretold
}

// Orphan is something that names what is gone.
type Orphan struct {
	// group:<code>, role:<code>, app:<code>, user:<id>, section:<path> or line.
	Holder string `json:"holder"`
	What   string `json:"what"`
	// It is not taken away by remove_grants: it must be changed first.
	Keeps bool `json:"keeps,omitempty"`
}

// ApplicationRights replaces what an application may do itself.
type ApplicationRights struct {
	Roles  []RoleLink `json:"roles"`
	Grants []Right    `json:"grants"`
	Edit
}

// RightsCatalogue is everything that can be granted.
type RightsCatalogue struct {
	// The six standard rights, which every section knows.
	Standard []StandardRight `json:"standard"`
	Families []RightsFamily  `json:"families"`
	Revision uint64          `json:"revision"`
}

// StandardRight is one of the six rights with a value.
type StandardRight struct {
	Name        string `json:"name"`
	Value       int    `json:"value"`
	Description string `json:"description"`
}

// RightsFamily is the sections under one heading.
type RightsFamily struct {
	// The heading as sections name it.
	Family string `json:"family"`
	// In the language that was asked for, if there is such a name.
	Label    string        `json:"label"`
	Sections []RightsEntry `json:"sections"`
}

// RightsEntry is a section as a picker of rights shows it.
type RightsEntry struct {
	Section     string `json:"section"`
	Application string `json:"application"`
	// In the language that was asked for, if there is such a name.
	Label       string            `json:"label"`
	Description string            `json:"description,omitempty"`
	Actions     []CatalogueAction `json:"actions,omitempty"`
	Licence     string            `json:"licence,omitempty"`
	Field       bool              `json:"field,omitempty"`
	Cascade     bool              `json:"cascade,omitempty"`
	// What to use instead.
	Deprecated string `json:"deprecated,omitempty"`
}

// RightsSum is a set of standard rights in both its forms.
type RightsSum struct {
	// The sum of their values, 0 to 63.
	Crud   int      `json:"crud"`
	Rights []string `json:"rights"`
}
