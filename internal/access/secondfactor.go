package access

import (
	"slices"
	"time"
)

// SecondFactorMode says whether people of a tenant show more than a password.
type SecondFactorMode string

// The modes. The empty one is SecondFactorOptional.
const (
	SecondFactorOff      SecondFactorMode = "off"      // nobody is asked for one
	SecondFactorOptional SecondFactorMode = "optional" // whoever has set one up is asked for it
	SecondFactorRequired SecondFactorMode = "required" // whoever has none must set one up when he next signs in
)

// ValidSecondFactorMode refuses everything but the three modes.
func ValidSecondFactorMode(field string, m SecondFactorMode) error {
	if !slices.Contains([]SecondFactorMode{SecondFactorOff, SecondFactorOptional, SecondFactorRequired}, m) {
		return Invalid(field, "%q is none of off, optional and required", string(m))
	}
	return nil
}

// SecondFactor is what is kept of the app on somebody's phone that makes codes.
type SecondFactor struct {
	Sealed    []byte     // what it makes them from, encrypted; empty: there is none
	Pending   []byte     // likewise, of one that is being set up
	Confirmed time.Time  // when it was set up
	LastStep  int64      // number of the half minute of the last code that was taken; no older one is
	Recovery  [][32]byte // SHA-256 of the codes that are left for whoever has lost it
}

// Active tells whether there is one.
func (f *SecondFactor) Active() bool { return len(f.Sealed) > 0 }
