package access

import "strings"

// Section is a protected area: a dotted path in the catalogue, for instance
// "System.Orders.Export".
type Section string

// ValidSection checks a path of segments [A-Za-z0-9_-]+ joined by dots, at
// most MaxName bytes.
func ValidSection(field string, s Section) error {
	if s == "" {
		return Invalid(field, "is required")
	}
	if len(s) > MaxName {
		return Invalid(field, "is %d bytes long; %d is the limit", len(s), MaxName)
	}
	start := true
	for _, c := range []byte(s) {
		switch {
		case isLower(c) || isUpper(c) || isDigit(c) || c == '_' || c == '-':
			start = false
		case c == '.' && !start:
			start = true
		default:
			return badSection(field, s)
		}
	}
	if start {
		return badSection(field, s)
	}
	return nil
}

func badSection(field string, s Section) error {
	return Invalid(field, "%q is not a section: write letters, digits, - and _ in parts joined by dots", string(s))
}

// Parent gives the section above, or "" for a root section.
func (s Section) Parent() Section {
	i := strings.LastIndexByte(string(s), '.')
	if i < 0 {
		return ""
	}
	return s[:i]
}

// Above tells whether other lies below s. It goes by segments: T.A is above
// T.A.B and not above T.Abc.
func (s Section) Above(other Section) bool {
	return len(other) > len(s) && other[len(s)] == '.' && other[:len(s)] == s
}
