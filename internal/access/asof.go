package access

import (
	"strconv"
	"time"
)

// AsOf says which state of a tenant is asked about: that of a revision, or the
// one that was in force at a moment. The zero value is what is in force.
type AsOf struct {
	Revision Revision
	// At is the moment by which everything with a validity is judged; where the
	// revision is not said, it also says which. Zero beside a revision: the
	// moment at which that was made.
	At time.Time
}

// Now tells whether what is in force is asked about.
func (a AsOf) Now() bool { return a == AsOf{} }

// State is one state of a tenant, found.
type State struct {
	Revision Revision
	At       time.Time // by which validity is judged
	Hash     string    // of the revision, see RevisionEntry: no other history has it
}

// ParseAsOf reads the number of a revision or a time in the form of RFC 3339.
// Empty text is what is in force.
func ParseAsOf(field, text string) (AsOf, error) {
	if text == "" {
		return AsOf{}, nil
	}
	if n, err := strconv.ParseUint(text, 10, 63); err == nil && n > 0 {
		return AsOf{Revision: Revision(n)}, nil
	}
	at, err := ParseMoment(field, text)
	if err != nil {
		return AsOf{}, Invalid(field, "%q is neither the number of a revision nor a time such as 2026-03-01T12:00:00Z", text)
	}
	return AsOf{At: at.UTC()}, nil
}

// ParseMoment reads a moment by RFC 3339, since 1970 as in policy files. The first
// moment of all stands for no moment at all: what ended then would never end.
func ParseMoment(field, text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if at = at.UTC(); err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return time.Time{}, Invalid(field, "%q is not a moment like 2027-01-31T12:00:00Z, since 1970", text)
	}
	return at, nil
}
