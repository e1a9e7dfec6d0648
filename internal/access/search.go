package access

import (
	"strings"
	"time"
)

// Allowed is a section with actions that are allowed in it.
type Allowed struct {
	Section Section
	Actions []Action // the standard ones in the order of their values, then declared ones by name
}

// Menu is what a subject may do where: every section in which something that
// was looked for is allowed, in the order of their bytes.
type Menu struct {
	Sections   []Allowed
	Revision   Revision  // the revision that was searched
	ValidUntil time.Time // a time-limited fact may change the answer then; zero: until the next revision
}

// Types of subjects, as conditions see them and searches name them.
const (
	TypeUser        = "user"
	TypeApplication = "app"
	TypeAnonymous   = AnonymousID
)

// SubjectSearch asks who may do something. Subjects come in the order of
// CompareSubjects, so that a long answer can be read in parts.
type SubjectSearch struct {
	Request        // the question; its subject is not looked at
	Type    string // only subjects of this type; all when empty
	After   Subject
	Most    int // how many at most; at least 1
}

// Holders is one part of the answer to a SubjectSearch.
type Holders struct {
	Subjects   []Subject
	More       bool      // there are further ones behind the last
	Revision   Revision  // the revision that was searched
	ValidUntil time.Time // a time-limited fact may change this part then; zero: until the next revision
}

// Type tells which type of subject this is, or "" for what is none.
func (s Subject) Type() string {
	switch {
	case s == Anonymous:
		return TypeAnonymous
	case s.Kind == KindApplication:
		return TypeApplication
	case s.Kind == KindUser:
		return TypeUser
	}
	return ""
}

// CompareSubjects orders subjects by the bytes of String, without making the
// strings.
func CompareSubjects(a, b Subject) int {
	if c := strings.Compare(a.Type(), b.Type()); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// ValidSubjectType refuses everything but the types of subjects.
func ValidSubjectType(field, name string) error {
	switch name {
	case TypeUser, TypeApplication, TypeAnonymous:
		return nil
	}
	return Invalid(field, "%q is not a type of subject; write %s, %s or %s", name, TypeUser, TypeApplication, TypeAnonymous)
}
