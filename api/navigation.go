package api

import "time"

// Navigation is a user's menu. It is no protection: whoever serves a section must
// ask all the same.
type Navigation struct {
	User    string            `json:"user"`
	Scope   string            `json:"scope"`
	Entries []NavigationEntry `json:"entries"`
	Seen
}

// NavigationEntry is one line of a menu.
type NavigationEntry struct {
	Section     string `json:"section"`
	Application string `json:"application"`
	// In the language that was asked for, if there is such a name.
	Label string `json:"label"`
	Order int    `json:"order"`
	// The heading under which the section stands where rights are given, in the
	// language that was asked for.
	Family string `json:"family,omitempty"`
	// The user may show the section; otherwise this is a heading for what stands below.
	Opens   bool              `json:"opens"`
	Entries []NavigationEntry `json:"entries,omitempty"`
}

// Capabilities is everything that a user may do in one scope.
type Capabilities struct {
	User     string           `json:"user"`
	Scope    string           `json:"scope"`
	Sections []SectionActions `json:"sections"`
	Fields   Fields           `json:"fields"`
	Seen
}

// Fields is what a user may do with fields of records.
type Fields struct {
	// Sections of fields that may be shown.
	Visible []string `json:"visible"`
	// Sections of fields that may be updated.
	Editable []string `json:"editable"`
}

// Seen tells how long an answer holds.
type Seen struct {
	Revision uint64 `json:"revision"`
	// A time-limited right may change the answer then. Left out: until the next revision.
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

// SignatureQuestion asks for a user's signature.
type SignatureQuestion struct {
	// Where it goes: text, html or header; text when left out.
	Context string `json:"context,omitempty"`
}

// Signature is what stands below a user's messages.
type Signature struct {
	// Empty: he has none.
	Signature string `json:"signature"`
	Context   string `json:"context"`
	// Code of the group that gives it: the user's first.
	Group    string `json:"group,omitempty"`
	Revision uint64 `json:"revision"`
}
