package api

import "time"

// Group is a set of users with common rights.
type Group struct {
	// The symbolic code: lower-case letters, digits, - and _. It never changes.
	Code string `json:"code"`
	GroupFields
	// How many users are in the group themselves.
	Members int `json:"members"`
	// How many groups are based on it.
	Children int    `json:"children"`
	Revision uint64 `json:"revision,omitzero"`
}

// GroupFields is what can be changed about a group.
type GroupFields struct {
	// What people call it.
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// regular, default or template; regular when left out. Members of templates alone cannot sign in.
	Kind string `json:"kind,omitempty"`
	// Code of the group whose rights it inherits.
	Base string `json:"base,omitempty"`
	// Roles that it gives.
	Roles []RoleLink `json:"roles,omitempty"`
	// Its own rights.
	Grants []Right `json:"grants,omitempty"`
	// Template of the e-mail signature.
	Signature string `json:"signature,omitempty"`
	// Which scopes it reaches at most: all, present and future ones, the selected ones, or none. All when left out.
	Reach string `json:"reach,omitempty"`
	// The selected scopes, for instance store:eu-1.
	Scopes []string `json:"scopes,omitempty"`
	// Groups whose users, and those of groups based on them, its members may look after, as far as their rights go: an
	// empty list for nobody. It bounds nothing when left out.
	Manages []string `json:"manages,omitzero"`
	// Values of the business system's own.
	Attributes map[string]any `json:"attributes,omitempty"`
}

// GroupSummary says what it means to be in a group, from the policy that decides now.
type GroupSummary struct {
	Code        string `json:"code"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// How many users are in the group themselves.
	Members int `json:"members"`
	// Groups whose users its members may change.
	Manages []GroupName `json:"manages"`
	// Sections with a place in the menu that its members may be shown somewhere, in the order of the menu.
	Views []SectionName `json:"views"`
	// Where anything is allowed to them: all, present and future scopes, selected ones, or none.
	Reach string `json:"reach"`
	// The selected scopes.
	Scopes   []string `json:"scopes,omitempty"`
	Revision uint64   `json:"revision,omitzero"`
}

// GroupName names a group.
type GroupName struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

// SectionName names a section.
type SectionName struct {
	Section string `json:"section"`
	Name    string `json:"name,omitempty"`
}

// NewGroup makes a group.
type NewGroup struct {
	Code string `json:"code"`
	GroupFields
	Edit
}

// GroupPatch changes a group. What is left out stays; null makes empty; lists are
// replaced as a whole and attributes merged member by member.
type GroupPatch struct {
	GroupFields
	Edit
}

// Edit is what every change carries.
type Edit struct {
	// The revision that the change was made for; 409 when the tenant has moved on. Any when left out.
	BaseRevision uint64 `json:"base_revision,omitzero"`
	// Why, for the history.
	Reason string `json:"reason,omitempty"`
}

// RoleLink gives a role, or a role to a role.
type RoleLink struct {
	Role string `json:"role"`
	// Where it holds; everywhere when left out.
	Scope string `json:"scope,omitempty"`
	Term
}

// Term bounds something in time.
type Term struct {
	// The first moment at which it holds.
	From time.Time `json:"from,omitzero"`
	// The first moment at which it no longer does.
	Until time.Time `json:"until,omitzero"`
}

// Right gives or takes rights on one section.
type Right struct {
	// A dotted path of the catalogue. A change may write name instead.
	Section string `json:"section"`
	// Names of rights: inherit, show, insert, update, delete, execute, and actions that the section declares.
	Rights []string `json:"rights"`
	// The six standard rights as a sum, 0 to 63. A change may give names, the sum, or both if they agree.
	Crud int `json:"crud"`
	// Where it holds; everywhere when left out.
	Scope string `json:"scope,omitempty"`
	// allow or deny; allow when left out.
	Effect string `json:"effect,omitempty"`
	// A CEL expression that must hold too.
	Condition string `json:"condition,omitempty"`
	Term
}

// Groups is one page of a list of groups.
type Groups struct {
	Groups []Group `json:"groups"`
	// How many there are on all pages.
	Total int `json:"total"`
	// Stands for the next page; left out behind the last.
	NextPageToken string `json:"next_page_token,omitempty"`
	Revision      uint64 `json:"revision"`
}

// GroupTree is groups by what they are based on.
type GroupTree struct {
	Groups   []GroupNode `json:"groups"`
	Revision uint64      `json:"revision"`
}

// GroupNode is a group in a tree.
type GroupNode struct {
	Code    string `json:"code"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Members int    `json:"members"`
	// How many groups are based on it, shown here or not.
	Children int         `json:"children"`
	Groups   []GroupNode `json:"groups,omitempty"`
}

// Rights replaces all own rights of a group.
type Rights struct {
	Grants []Right `json:"grants"`
	Edit
}

// Members is one page of the members of a group.
type Members struct {
	Members []Member `json:"members"`
	// How many there are on all pages; left out where not all may be seen.
	Total int `json:"total,omitzero"`
	// Stands for the next page; left out behind the last.
	NextPageToken string `json:"next_page_token,omitempty"`
	Revision      uint64 `json:"revision"`
}

// Member is a user in a group.
type Member struct {
	User   string `json:"user"`
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Status string `json:"status"`
	// Which of the user's groups this is, from 1: the first gives signature and link.
	Place int `json:"place"`
	// Where and when he is a member.
	Within []Within `json:"within"`
}

// Within is where and when a membership holds.
type Within struct {
	// Everywhere when left out.
	Scope string `json:"scope,omitempty"`
	Term
}

// NewMembers puts users into a group: all of them, or none.
type NewMembers struct {
	Members []NewMember `json:"members"`
	Edit
}

// NewMember puts a user into a group.
type NewMember struct {
	User string `json:"user"`
	// Makes the group the user's first one. Otherwise it becomes his last.
	First bool `json:"first,omitempty"`
	Within
}

// MovedMembers takes users out of a group.
type MovedMembers struct {
	Users []string `json:"users"`
	// Code of the group that they come to be in instead. Required for those who have no other one.
	MoveTo string `json:"move_to,omitempty"`
	Edit
}

// Permissions is everything that reaches whoever is in a group or holds a role.
type Permissions struct {
	// Everything is allowed, whatever else stands here.
	Superuser   bool         `json:"superuser"`
	Permissions []Permission `json:"permissions"`
	Revision    uint64       `json:"revision"`
}

// Permission is a right with its origin.
type Permission struct {
	Right
	// Whose right it is: own, group:<code> or role:<code>.
	Origin string `json:"origin"`
	// By which groups and roles it comes here, nearest first; the last is the origin.
	Via []string `json:"via,omitempty"`
}

// DirectoryChanged tells of a change that has no other answer.
type DirectoryChanged struct {
	Revision uint64 `json:"revision"`
	// How many users were moved to another group.
	Moved int `json:"moved,omitzero"`
}
