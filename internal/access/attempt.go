package access

import "time"

// RefusedAttempt is an administrative attempt that was refused.
type RefusedAttempt struct {
	ID        string
	At        time.Time // UTC
	Tenant    string
	Caller    string // who tried
	RequestID string
	Need      string // what would have been needed, for instance "Users/update"; empty where a door refused
	Door      string // where, for instance "POST /v1/tenants/{tenant}/users"; empty for a service
	Why       string
	Times     int // how many attempts the entry stands for: more than one where somebody tried too often
}

// RefusalSearch narrows a list of refused attempts. What is empty narrows nothing.
type RefusalSearch struct {
	Caller      string
	Need        string // all of it, or its part: "Users" or "Users/update"
	RequestID   string
	From, Until time.Time // at or after; before
	After       string    // the id of the attempt behind which the list goes on
	Most        int
}
