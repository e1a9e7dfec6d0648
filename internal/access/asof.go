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
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.IsZero() || at.Year() < 1970 {
		return AsOf{}, Invalid(field, "%q is neither the number of a revision nor a time such as 2026-03-01T12:00:00Z", text)
	}
	return AsOf{At: at.UTC()}, nil
}
