package access

// Application is a program that asks about access. It declares the sections it
// protects and can be a subject itself.
type Application struct {
	Code        string
	Name        string
	Names       map[string]string // by language tag, for instance "de"
	Description string
	Version     string
	Families    []FamilyEntry // of those that are called otherwise in other languages
	Sections    []SectionEntry
	Groups      []Link // what the application itself may do, as a subject
	Roles       []Link
	Grants      []Grant
	Origin      Origin
}

// FamilyEntry says what a heading is called in other languages.
type FamilyEntry struct {
	Name   string            // as sections name it
	Names  map[string]string // by language tag
	Origin Origin
}

// SectionEntry describes one section in the catalogue.
type SectionEntry struct {
	Path          Section
	Name          string
	Names         map[string]string // by language tag
	Description   string
	Family        string // heading under which people find it, for instance "Notifications"
	Actions       []ActionEntry
	Prerequisites []Prerequisite
	Licence       string // feature that tenant and user must hold; empty: none
	Menu          *MenuEntry
	Field         bool   // stands for a field of a record rather than a screen
	Cascade       bool   // rights on it always hold in its subsections too
	Deprecated    string // what to use instead, or since when; empty: it is not
	Origin        Origin
}

// ActionEntry is a further action of a section, granted by name only.
type ActionEntry struct {
	Name        string
	Label       string
	Labels      map[string]string // by language tag
	Description string
	Origin      Origin
}

// Prerequisite is a right on another section that must be held too.
type Prerequisite struct {
	Section Section
	Rights  Rights // every one of them, by the same subject in the same scope
	Origin  Origin
}

// MenuEntry places a section in the menu.
type MenuEntry struct {
	Label  string            // the section's name when empty
	Labels map[string]string // by language tag; the section's names where there is none
	Order  int
}

// Licence is a feature that a tenant holds, with a number of seats.
type Licence struct {
	Feature string
	Seats   int // 0: as many as are wanted
	Origin  Origin
}
