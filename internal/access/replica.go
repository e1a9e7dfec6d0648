package access

import "time"

// Replica is one process that answers over a store, as it last said of itself.
type Replica struct {
	ID      string // random, new with each start
	Address string // that it listens on
	Version string // of the program
	Started time.Time
	Seen    time.Time // when it said so
	Tenants int       // that it follows
	Behind  int       // of these, those that are not at their newest revision
	Lag     uint64    // revisions that the last of these lacks
}
