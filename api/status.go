package api

import (
	"context"
	"net/http"
	"time"
)

// Status tells how a server does, and how the others over the same store do.
type Status struct {
	// The server that answered.
	Replica Replica `json:"replica"`
	// Those that the key may see, by code.
	Tenants []TenantStatus `json:"tenants"`
	// The caches of this server; left out for keys of one tenant.
	Caches []CacheStatus `json:"caches,omitempty"`
	// How much of each kind of work is being done; left out for keys of one tenant.
	Work []WorkStatus `json:"work,omitempty"`
	// Outgoing mails, as of a few seconds ago.
	Mail *MailStatus `json:"mail,omitempty"`
	// All servers, this one first; left out for keys of one tenant.
	Replicas []Replica `json:"replicas,omitempty"`
	// Why other servers are not shown.
	Trouble string `json:"trouble,omitempty"`
}

// Replica is one server, as it last said of itself.
type Replica struct {
	// Random, new with each start.
	ID      string    `json:"id"`
	Address string    `json:"address,omitempty"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`
	// It has said nothing for a minute.
	Gone bool `json:"gone,omitzero"`
	// How many tenants it follows.
	Tenants int `json:"tenants"`
	// How many of them are not at their newest revision.
	Behind int `json:"behind"`
	// How many revisions the last of them lacks.
	Lag uint64 `json:"lag"`
}

// TenantStatus is what decides for a tenant on the server that answered.
type TenantStatus struct {
	Code string `json:"code"`
	// The revision that decides.
	Revision uint64 `json:"revision"`
	// The newest one that is stored, as far as this server knows.
	Head uint64 `json:"head"`
	// How many revisions are stored and do not decide here.
	Lag uint64 `json:"lag"`
	// Changes when stored history was replaced, as by a restore.
	Epoch string `json:"epoch,omitempty"`
	// The newest revision that changed more than single users.
	PolicyRevision uint64 `json:"policy_revision"`
	// Milliseconds since what decides was known to be the newest; left out when it never was.
	Age *int64 `json:"age_ms,omitempty"`
	// Why the newest revision does not decide.
	Trouble string `json:"trouble,omitempty"`
	// Rule lines in memory.
	Rules int `json:"rules"`
	// Accounts in memory.
	Users int `json:"users"`
	// Accounts are asked for one by one; they are too many to be in memory.
	Fetched bool `json:"fetched,omitzero"`
	// How questions are answered, for each set of definitions.
	Plans []Plan `json:"plans"`
}

// Plan is how questions are answered under one set of definitions.
type Plan struct {
	// "2" for r2, p2, e2 and m2; left out for r, p, e and m.
	Set string `json:"set,omitempty"`
	// One of native, candidates, scan.
	Plan string `json:"plan"`
	Why  string `json:"why,omitempty"`
}

// CacheStatus is how one layer of caches does; the counts are since the start.
type CacheStatus struct {
	Layer   string `json:"layer"`
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
	Entries int    `json:"entries,omitzero"`
	Bytes   uint64 `json:"bytes,omitzero"`
	// Left out when all is well.
	State string `json:"state,omitempty"`
}

// WorkStatus is how much of one kind of work is being done.
type WorkStatus struct {
	Work     string `json:"work"`
	InFlight int    `json:"in_flight"`
	Places   int    `json:"places"`
	Queued   int    `json:"queued"`
	// Since the start.
	Refused uint64 `json:"refused"`
}

// Status tells how the server does and, with a key of all tenants, how all
// servers over the same store do.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return answer[Status](ctx, c, http.MethodGet, "/v1/status", nil)
}

// MailStatus tells how the sending of mails does.
type MailStatus struct {
	// off where no mail server is set, failing where it cannot be used, else ok.
	State string `json:"state"`
	// Why it cannot be used.
	Trouble string `json:"trouble,omitempty"`
	// Mails that wait to be sent, by any server over the same store.
	Waiting int `json:"waiting"`
	// Since when the first of them waits.
	Oldest time.Time `json:"oldest,omitzero"`
	// Mails of the last 30 days that were given up.
	Failed int `json:"failed"`
	// Mails that the server that was asked has sent since it began.
	Sent uint64 `json:"sent"`
}
