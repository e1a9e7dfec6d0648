package store

import "github.com/bailiwick/bailiwick/internal/access"

// guaranteeDocument is a guarantee among the settings of its tenant.
type guaranteeDocument struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Rule        string            `json:"rule"`
	Who         []string          `json:"who,omitempty"`
	Except      []string          `json:"except,omitempty"`
	Rights      []guardedDocument `json:"rights"`
	Scope       string            `json:"scope,omitempty"`
	Most        int               `json:"most,omitempty"`
	Condition   string            `json:"condition,omitempty"`
	Origin      place             `json:"origin,omitzero"`
}

type guardedDocument struct {
	Section string   `json:"section"`
	Rights  int      `json:"rights,omitempty"`
	Actions []string `json:"actions,omitempty"`
	Origin  place    `json:"origin,omitzero"`
}

func guaranteeOf(g access.Guarantee) guaranteeDocument {
	return guaranteeDocument{
		Name: g.Name, Description: g.Description, Rule: string(g.Rule), Who: g.Who, Except: g.Except,
		Rights: convert(g.Rights, func(r access.GuardedRight) guardedDocument {
			return guardedDocument{Section: string(r.Section), Rights: int(r.Rights), Actions: r.Actions, Origin: place(r.Origin)}
		}),
		Scope: string(g.Scope), Most: g.Most, Condition: g.Condition, Origin: place(g.Origin),
	}
}

func (d guaranteeDocument) guarantee() access.Guarantee {
	return access.Guarantee{
		Name: d.Name, Description: d.Description, Rule: access.GuaranteeRule(d.Rule), Who: d.Who, Except: d.Except,
		Rights: convert(d.Rights, func(r guardedDocument) access.GuardedRight {
			return access.GuardedRight{Section: access.Section(r.Section), Rights: access.Rights(r.Rights), Actions: r.Actions, Origin: access.Origin(r.Origin)} //nolint:gosec // what was written was 0 to 63
		}),
		Scope: access.Scope(d.Scope), Most: d.Most, Condition: d.Condition, Origin: access.Origin(d.Origin),
	}
}
