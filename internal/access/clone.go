package access

import "slices"

// Clone gives a group that shares nothing that can be changed with this one.
func (g Group) Clone() Group {
	g.Roles, g.Grants, g.Scopes = slices.Clone(g.Roles), cloneGrants(g.Grants), slices.Clone(g.Scopes)
	g.Manages = slices.Clone(g.Manages)
	if g.Attributes != nil {
		g.Attributes = cloneValue(g.Attributes).(map[string]any) //nolint:forcetypeassert // it is what goes in
	}
	return g
}

// Clone gives a role that shares nothing that can be changed with this one.
func (r Role) Clone() Role {
	r.Roles, r.Grants = slices.Clone(r.Roles), cloneGrants(r.Grants)
	return r
}

func cloneGrants(grants []Grant) []Grant {
	all := slices.Clone(grants)
	for i := range all {
		all[i].Actions = slices.Clone(all[i].Actions)
	}
	return all
}

// cloneValue copies a JSON value.
func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			m[k] = cloneValue(x)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = cloneValue(x)
		}
		return list
	}
	return v
}
