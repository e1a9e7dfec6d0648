package access

import "time"

// UserSort is what a list of accounts is sorted by. Ids settle what is equal.
type UserSort string

// The columns that lists of accounts can be sorted by; letters in any case.
const (
	SortCreated UserSort = "created_at"
	SortName    UserSort = "name"
	SortEmail   UserSort = "email"
	SortID      UserSort = "id"
)

// OnlineFor is how long somebody is called online after his session was used.
const OnlineFor = 5 * time.Minute

// UserSearch says which accounts a list shows and from where on. What is empty
// does not narrow it.
type UserSearch struct {
	Text         string // part of e-mail, name or id, in any case of letters
	Email        string // the whole e-mail, in any case of letters
	ExternalID   string
	Home         Scope        // belongs to this store
	Statuses     []UserStatus // none: every status but UserDeleted
	Group, Role  string       // linked to it himself
	AnyGroup     []string     // in one of these himself
	EveryGroup   []string     // in all of these himself
	Licence      string       // holds a seat of it
	Superuser    *bool
	Manager      *bool // in a group whose attribute is_manager is true
	Online       *bool // has a session that was used within OnlineFor
	Presence     PresenceStatus
	CreatedFrom  time.Time // at or after
	CreatedUntil time.Time // before

	Sort       UserSort // SortCreated when empty
	Descending bool
	After      UserPlace // the last account of the page before
	Most       int       // accounts wanted, at least 1
}

// UserPlace is where an account stands in a sorted list. The zero value stands
// before the first.
type UserPlace struct {
	Key string // what the list is sorted by, as text; empty when sorted by id
	ID  string
}

// FoundUsers is one page of a list of accounts.
type FoundUsers struct {
	Revision Revision
	Users    []User
	Places   []UserPlace // of each of them
	More     bool        // there is another page
	Total    int         // accounts on all pages; -1: it would cost too much to count them
}
