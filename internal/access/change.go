package access

import "time"

// AnyRevision as the base of a change accepts whatever is there now.
const AnyRevision = ^Revision(0)

// Change says who changes a tenant, why, and what he believes to be changing.
type Change struct {
	Base   Revision // the revision it was made for, or AnyRevision; else ErrStale
	Author string   // the caller's name
	Source string   // the door it came through: "http", "cli", "start", "expiry"
	Reason string   // in the author's words; may be empty
	Match  *Match   // what he has seen of the thing that it is about; nil: he does not say

	// Rehearse goes through everything but the commit: what is wrong with the
	// change comes to light, and nothing is written.
	Rehearse bool
	Once     *Once // makes it at most once; nil: as often as it is asked for
}

// Match makes a change depend on one thing as its author has seen it, however
// much else was changed since.
type Match struct {
	Kind string // "group", "role", "user", "application", "scope", "licence" or "settings"
	Code string // or id; empty for the settings
	// Judge is given the thing as it stands when the change is made, inside its
	// transaction: a Group, Role, User, Application, ScopeNode, Licence or the
	// settings, or nil where there is none. Its error refuses the change.
	Judge func(thing any) error
}

// RevisionEntry is one line of a tenant's history.
type RevisionEntry struct {
	Number Revision
	Parent string // hash of the revision before, hexadecimal; empty for the first
	Hash   string // over parent, entry and all its change rows, hexadecimal
	Author string
	Source string
	Reason string
	At     time.Time // UTC, whole microseconds
}
