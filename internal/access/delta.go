package access

import (
	"hash/fnv"
	"time"
)

// Head is where a tenant stands in the store.
type Head struct {
	Revision Revision
	Epoch    string // random; changes when stored history was replaced, as by a restore
}

// Delta is the difference between the facts of a tenant at two revisions: what
// a replica that knows From needs to know to be at To. Applied to the facts at
// From it gives exactly those that a full load at To would give.
type Delta struct {
	Tenant   string
	Epoch    string // of the store when it was read, see Head; empty: that of From
	From, To Revision
	At       time.Time           // when To was committed, by the clock of its writer; zero where To is From
	Policy   Revision            // newest revision up to To that changed more than single users
	Stripes  map[Stripe]Revision // stripes of users that changed, each with the revision that last did so
	Frame    *Facts              // everything but users and rules at To; nil where nothing of it changed. A Fetched that differs asks for a full load
	Gone     []Rule              // rules that are there no longer, found by Place; a changed rule is in Rules too
	Rules    []Rule              // new rules, each at its Place
	Users    []UserFacts         // users that are new or changed
	Left     []string            // ids of users that are there no longer
}

// Stripe is one of the sets into which users are divided by a hash of their ids.
// What was remembered about a user holds until a revision changes one of his
// stripe: memory for this is bounded, whatever the number of users, and two
// users in one stripe only cost a reload.
type Stripe uint16

// Stripes is how many there are. The store keeps their revisions: changing the
// number or the hash needs a migration.
const Stripes = 1 << 14

// StripeOf gives the stripe of a user's id (FNV-1a, 32 bits, folded).
func StripeOf(id string) Stripe {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	sum := h.Sum32()
	return Stripe((sum ^ sum>>16) % Stripes)
}

// SubjectFacts is what decisions read of one user, where users are not loaded
// with the policy but asked for one by one.
type SubjectFacts struct {
	UserFacts
	Known    bool     // false: there is no such user, the rest is empty
	Rules    []Rule   // the user's own lines, in policy order, with their places
	Revision Revision // the tenant's revision when this was read
	Changed  Revision // the revision of the user's stripe at that time
}

// Stamp names everything of a tenant's state that an answer about one subject
// depends on. Together with the question it identifies the answer: under the
// same stamp the same question has the same answer, on every replica.
type Stamp struct {
	Tenant  string
	Epoch   string
	Policy  Revision // newest revision that changed more than single users
	Subject Revision // newest revision that changed the subject's stripe; 0: none did
	Engine  string   // version of what evaluates, with the hash of a foreign model
}

// Consistency says how fresh the revision must be that answers a question. The
// zero value accepts what the replica knows.
type Consistency struct {
	AtLeast Revision // no older revision than this one may answer
	Fully   bool     // the newest committed revision at the time of asking
	AsOf    AsOf     // an earlier state, whatever is in force; the others mean nothing then
}
