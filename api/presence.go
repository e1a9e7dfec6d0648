package api

import "time"

// OwnPresence is what somebody says of whether he can be given work.
type OwnPresence struct {
	// available (who has said nothing is it too), busy, break or away.
	Status string `json:"status"`
	// In his words, at most 100 bytes.
	Note string `json:"note,omitempty"`
}

// Presence is what somebody says of himself, and whether he is there. It decides
// nothing about access.
type Presence struct {
	OwnPresence
	// When he said it; left out: never.
	Since time.Time `json:"since,omitzero"`
	// His session was used within the last 5 minutes.
	Online bool `json:"online"`
}
