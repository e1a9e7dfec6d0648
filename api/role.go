package api

// Role is a named set of rights.
type Role struct {
	// The symbolic code. It never changes.
	Code string `json:"code"`
	RoleFields
	// How many users hold the role themselves.
	Members int `json:"members"`
	// How many groups give it.
	Groups   int    `json:"groups"`
	Revision uint64 `json:"revision,omitzero"`
}

// RoleFields is what can be changed about a role.
type RoleFields struct {
	// What people call it.
	Name string `json:"name"`
	// What it is for, in words for those who choose.
	Description string `json:"description,omitempty"`
	// Roles that it inherits.
	Roles []RoleLink `json:"roles,omitempty"`
	// Its own rights.
	Grants []Right `json:"grants,omitempty"`
}

// NewRole makes a role.
type NewRole struct {
	Code string `json:"code"`
	RoleFields
	Edit
}

// RolePatch changes a role. What is left out stays; null makes empty; lists are
// replaced as a whole.
type RolePatch struct {
	RoleFields
	Edit
}

// Roles is one page of a list of roles.
type Roles struct {
	Roles []Role `json:"roles"`
	// How many there are on all pages.
	Total int `json:"total"`
	// Stands for the next page; left out behind the last.
	NextPageToken string `json:"next_page_token,omitempty"`
	Revision      uint64 `json:"revision"`
}
