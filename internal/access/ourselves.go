package access

import "slices"

// Ourselves is the code of the application by which Bailiwick guards its own
// administration. It is part of every tenant in the built-in model, without
// being written down anywhere.
const Ourselves = "bailiwick"

// ownParts are the sections below <root>.Access, with what people call them.
var ownParts = []struct{ part, name, description string }{
	{"Users", "Users", "Accounts: make, change, activate and delete them"},
	{"Groups", "Groups", "Groups and who belongs to them"},
	{"Roles", "Roles", "Roles and who holds them"},
	{"Grants", "Grants", "Rights of single users"},
	{"Stores", "Stores", "Scopes: companies, stores and what lies in them"},
	{"Policies", "Policies", "Applications, their sections, and policies as files"},
	{"Audit", "Audit", "The history of changes and the log of decisions"},
	{"Settings", "Settings", "Settings of the tenant: licences, passwords, sign-in"},
}

// OwnSection gives the section that guards a part of the administration, for
// instance "System.Access.Users"; the one above all of them where part is empty.
func OwnSection(root Section, part string) Section {
	if root == "" {
		root = DefaultRoot
	}
	if part == "" {
		return root + ".Access"
	}
	return root + ".Access." + Section(part)
}

// WithOurselves gives the applications of a tenant with our own among them.
// Sections that an application declares itself are left as they are declared.
func WithOurselves(catalogue []Application, root Section) []Application {
	declared, own := map[Section]bool{}, -1
	for i, a := range catalogue {
		if a.Code == Ourselves {
			own = i
		}
		for _, s := range a.Sections {
			declared[s.Path] = true
		}
	}
	missing, all := missingSections(root, declared), slices.Clone(catalogue)
	if own < 0 {
		return append(all, Application{Code: Ourselves, Name: "Bailiwick", Description: "Administration of access", Sections: missing})
	}
	all[own].Sections = slices.Concat(all[own].Sections, missing)
	return all
}

// catalogue gives the applications that take part in decisions.
func (p *Policy) catalogue() []Application {
	if p.Model != "" {
		return p.Catalogue
	}
	return WithOurselves(p.Catalogue, p.root())
}

func missingSections(root Section, declared map[Section]bool) []SectionEntry {
	var missing []SectionEntry
	add := func(part, name, description string) {
		if path := OwnSection(root, part); !declared[path] {
			missing = append(missing, SectionEntry{Path: path, Name: name, Description: description, Family: "Access"})
		}
	}
	add("", "Access", "Administration of access")
	for _, p := range ownParts {
		add(p.part, p.name, p.description)
	}
	return missing
}
