package access

import "strings"

// Kind tells what sort of name a subject or grantee is.
type Kind byte

// The kinds and their prefixes in rules. Rules hold typed names, so that a
// user can never be taken for a role.
const (
	KindUser        Kind = 'u'
	KindApplication Kind = 'a'
	KindGroup       Kind = 'g'
	KindRole        Kind = 'r'
)

// AnonymousID is the reserved user id of questions without a user.
const AnonymousID = "anonymous"

// SuperuserRole is the reserved role, and the one name in rules without prefix.
const SuperuserRole = "superuser"

// Subject is whom a question is about.
type Subject struct {
	Kind Kind // KindUser or KindApplication
	ID   string
}

// Anonymous is the subject of a question that names no user.
var Anonymous = Subject{Kind: KindUser, ID: AnonymousID}

// ParseSubject reads "user:<id>", "app:<code>" or "anonymous".
func ParseSubject(field, s string) (Subject, error) {
	if s == AnonymousID {
		return Anonymous, nil
	}
	kind, id, _ := strings.Cut(s, ":")
	switch kind {
	case "user":
		if id == AnonymousID {
			return Subject{}, Invalid(field, "write anonymous, not user:anonymous")
		}
		return Subject{Kind: KindUser, ID: id}, ValidID(field, id)
	case "app":
		return Subject{Kind: KindApplication, ID: id}, ValidCode(field, id)
	}
	return Subject{}, Invalid(field, "%q is not a subject: write user:<id>, app:<code> or anonymous", s)
}

// String gives the form that ParseSubject reads.
func (s Subject) String() string {
	switch {
	case s == Anonymous:
		return AnonymousID
	case s.Kind == KindApplication:
		return "app:" + s.ID
	}
	return "user:" + s.ID
}

// Rule gives the subject's name in rules, for instance "u:42".
func (s Subject) Rule() string { return Name(s.Kind, s.ID) }

// Name gives the name of something in rules: its kind's prefix and its id. The
// reserved role stands there bare.
func Name(k Kind, id string) string {
	if k == KindRole && id == SuperuserRole {
		return SuperuserRole
	}
	return string([]byte{byte(k), ':'}) + id
}

// ParseName takes a name in rules apart, and reports false for anything that
// Name does not give.
func ParseName(name string) (Kind, string, bool) {
	if name == SuperuserRole {
		return KindRole, name, true
	}
	if len(name) < 3 || name[1] != ':' {
		return 0, "", false
	}
	k, id := Kind(name[0]), name[2:]
	switch k {
	case KindUser:
		return k, id, ValidID("", id) == nil
	case KindApplication, KindGroup, KindRole:
		return k, id, ValidCode("", id) == nil && id != SuperuserRole
	}
	return 0, "", false
}

// ValidUserID checks the id of a user; the id of anonymous questions is taken.
func ValidUserID(field, id string) error {
	if id == AnonymousID {
		return Invalid(field, "%q is reserved for questions without a user", id)
	}
	if id == "." || id == ".." { // which clients take out of the paths of URLs
		return Invalid(field, "%q cannot be the name of anything in a URL", id)
	}
	return ValidID(field, id)
}
