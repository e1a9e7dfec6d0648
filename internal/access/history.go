package access

import "time"

// Version is a revision with what it changed.
type Version struct {
	RevisionEntry
	Operations []Operation
}

// HistorySearch says which revisions of a tenant are wanted, newest first. What
// is empty does not narrow it.
type HistorySearch struct {
	Author, Source string
	From           time.Time // at or after
	Until          time.Time // before
	Kind, Name     string    // that changed this: "group" and a code, "user" and an id, and so on
	Before         Revision  // older than this one: the last of the page before
	Told           bool      // with what was changed, of Kind and Name where they are given
	Most           int       // revisions wanted, at least 1
}

// HistoryKinds are the kinds of what changes are about.
func HistoryKinds() []string {
	return []string{
		"application", "condition", "epoch", "group", "key", "mail", "password", "role", "rule", "scope", "second_factor", "session", "tenant", "token", "user",
	}
}

// FoundVersions is one page of a history.
type FoundVersions struct {
	Versions []Version
	More     bool // there is another page
}
