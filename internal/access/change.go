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
	DryRun bool     // judged as if it were made, and then not made; the directory knows it
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
