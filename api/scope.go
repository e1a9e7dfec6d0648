package api

// ScopeNode is one node of the tree of companies, stores and what lies in them.
type ScopeNode struct {
	// type:id, for instance store:eu-1.
	Scope string `json:"scope"`
	// The scope above; * at the top.
	Parent string `json:"parent"`
	Name   string `json:"name,omitempty"`
	// Scopes in it, in a tree.
	Scopes   []ScopeNode `json:"scopes,omitempty"`
	Revision uint64      `json:"revision,omitzero"`
}

// Scopes is the tree of scopes.
type Scopes struct {
	Scopes   []ScopeNode `json:"scopes"`
	Revision uint64      `json:"revision"`
}

// NewScope makes a scope.
type NewScope struct {
	// type:id, for instance store:eu-1.
	Scope string `json:"scope"`
	// The scope above; * when left out.
	Parent string `json:"parent,omitempty"`
	Name   string `json:"name,omitempty"`
	// Makes its own groups too: one from each group with the attribute store_group or, where none has it, from each default group and template but those of superusers.
	Groups bool `json:"groups,omitempty"`
	// Begins the codes of these groups; the id of the scope when left out.
	Code string `json:"code,omitempty"`
	Edit
}

// CreatedScope is a scope that was made.
type CreatedScope struct {
	ScopeNode
	// Codes of the groups that were made with it.
	Groups []string `json:"groups,omitempty"`
}

// ScopePatch changes a scope. What is left out stays.
type ScopePatch struct {
	Name string `json:"name,omitempty"`
	// Moves it. Only superusers may.
	Parent string `json:"parent,omitempty"`
	Edit
}
