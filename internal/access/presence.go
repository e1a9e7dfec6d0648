package access

import (
	"slices"
	"time"
)

// PresenceStatus is what somebody says of whether he can be given work.
type PresenceStatus string

// The statuses.
const (
	PresenceAvailable PresenceStatus = "available" // who has said nothing is it too
	PresenceBusy      PresenceStatus = "busy"
	PresenceBreak     PresenceStatus = "break"
	PresenceAway      PresenceStatus = "away"
)

// PresenceStatuses lists them all.
var PresenceStatuses = []PresenceStatus{PresenceAvailable, PresenceBusy, PresenceBreak, PresenceAway}

// Presence is what somebody says of himself, and whether he is there. It decides
// nothing about access: it is for whoever hands out work.
type Presence struct {
	Status PresenceStatus
	Note   string    // in his words; may be empty
	Since  time.Time // when he said it; zero: never
	Online bool      // his session was used within OnlineFor
}

// Check refuses statuses that there are not, and notes that are no names.
func (p *Presence) Check() error {
	if !slices.Contains(PresenceStatuses, p.Status) {
		return Invalid("status", "%q is none of %v", string(p.Status), PresenceStatuses)
	}
	if p.Note == "" {
		return nil
	}
	return ValidName("note", p.Note)
}
