package store

import (
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

type linkDocument struct {
	To     string    `json:"to"`
	Scope  string    `json:"scope,omitempty"`
	From   time.Time `json:"from,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Origin place     `json:"origin,omitzero"`
}

type grantDocument struct {
	Section   string    `json:"section"`
	Rights    uint8     `json:"rights"`
	Actions   []string  `json:"actions,omitempty"`
	Scope     string    `json:"scope,omitempty"`
	Effect    string    `json:"effect,omitempty"`
	Condition string    `json:"condition,omitempty"`
	From      time.Time `json:"from,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Origin    place     `json:"origin,omitzero"`
}

type roleDocument struct {
	Code        string          `json:"code"`
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Roles       []linkDocument  `json:"roles,omitempty"`
	Grants      []grantDocument `json:"grants,omitempty"`
	Origin      place           `json:"origin,omitzero"`
}

type groupDocument struct {
	Code        string          `json:"code"`
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Kind        string          `json:"kind"`
	Base        string          `json:"base,omitempty"`
	Roles       []linkDocument  `json:"roles,omitempty"`
	Grants      []grantDocument `json:"grants,omitempty"`
	Signature   string          `json:"signature,omitempty"`
	Scopes      []string        `json:"scopes"` // null: no ceiling
	Attributes  attributes      `json:"attributes,omitempty"`
	Manages     []string        `json:"manages,omitzero"` // left out: bounds nothing
	Origin      place           `json:"origin,omitzero"`
}

type conditionDocument struct {
	Text   string `json:"text"`
	Origin place  `json:"origin,omitzero"`
}

func linkOf(l access.Link) linkDocument {
	return linkDocument{
		To: l.To, Scope: string(l.Scope), From: l.Validity.From.UTC(), Until: l.Validity.Until.UTC(), Origin: place(l.Origin),
	}
}

func (d linkDocument) link() access.Link {
	return access.Link{
		To: d.To, Scope: access.Scope(d.Scope), Validity: access.Validity{From: d.From, Until: d.Until}, Origin: access.Origin(d.Origin),
	}
}

func grantOf(g access.Grant) grantDocument {
	return grantDocument{
		Section: string(g.Section), Rights: uint8(g.Rights), Actions: g.Actions, Scope: string(g.Scope), Effect: string(g.Effect),
		Condition: g.Condition, From: g.Validity.From.UTC(), Until: g.Validity.Until.UTC(), Origin: place(g.Origin),
	}
}

func (d grantDocument) grant() access.Grant {
	return access.Grant{
		Section: access.Section(d.Section), Rights: access.Rights(d.Rights), Actions: d.Actions, Scope: access.Scope(d.Scope),
		Effect: access.Effect(d.Effect), Condition: d.Condition,
		Validity: access.Validity{From: d.From, Until: d.Until}, Origin: access.Origin(d.Origin),
	}
}

func roleOf(r access.Role) roleDocument {
	return roleDocument{
		Code: r.Code, Name: r.Name, Description: r.Description,
		Roles: convert(r.Roles, linkOf), Grants: convert(r.Grants, grantOf), Origin: place(r.Origin),
	}
}

func groupOf(g access.Group, kind access.GroupKind) groupDocument {
	return groupDocument{
		Code: g.Code, Name: g.Name, Description: g.Description, Kind: string(kind), Base: g.Base,
		Roles: convert(g.Roles, linkOf), Grants: convert(g.Grants, grantOf),
		Signature: g.Signature, Scopes: texts(g.Scopes), Attributes: g.Attributes, Manages: g.Manages, Origin: place(g.Origin),
	}
}

func (d roleDocument) role() access.Role {
	return access.Role{
		Code: d.Code, Name: d.Name, Description: d.Description,
		Roles: convert(d.Roles, linkDocument.link), Grants: convert(d.Grants, grantDocument.grant), Origin: access.Origin(d.Origin),
	}
}

func (d groupDocument) group() access.Group {
	return access.Group{
		Code: d.Code, Name: d.Name, Description: d.Description, Kind: access.GroupKind(d.Kind), Base: d.Base,
		Roles: convert(d.Roles, linkDocument.link), Grants: convert(d.Grants, grantDocument.grant),
		Signature: d.Signature, Scopes: retyped[access.Scope](d.Scopes), Attributes: d.Attributes, Manages: d.Manages, Origin: access.Origin(d.Origin),
	}
}

// texts keeps the difference between none and empty: of scopes, no ceiling is
// something else than one that leaves nothing.
func texts[S ~string](names []S) []string { return retyped[string](names) }

func retyped[B, A ~string](names []A) []B {
	if names == nil {
		return nil
	}
	out := make([]B, len(names))
	for i, s := range names {
		out[i] = B(s)
	}
	return out
}
