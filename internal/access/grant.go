package access

import "time"

// Grant gives or takes rights on one section to whoever holds it: a role, a
// group, a user or an application. It is Casbin's p.
type Grant struct {
	Section   Section
	Rights    Rights   // may be 0 when Actions are given, or to grant nothing
	Actions   []string // declared actions beyond the six standard ones
	Scope     Scope    // Everywhere when empty
	Effect    Effect   // Allow when empty
	Condition string   // CEL over subject, resource, action and context; empty: always
	Validity  Validity
	Origin    Origin
}

// Link makes its holder a member of a group or gives it a role.
type Link struct {
	To       string // the code of the group or role
	Scope    Scope  // limits what flows through the link; Everywhere when empty
	Validity Validity
	Origin   Origin
}

// Role is a named set of rights; it may inherit roles.
type Role struct {
	Code        string
	Name        string
	Description string
	Roles       []Link // roles it inherits
	Grants      []Grant
	Origin      Origin
}

// GroupKind tells what a group is for.
type GroupKind string

// The kinds of groups. Template groups only serve inheritance: a user all of
// whose groups are templates is denied everything.
const (
	GroupDefault  GroupKind = "default"
	GroupTemplate GroupKind = "template"
	GroupRegular  GroupKind = "regular"
)

// Group is a set of users with common rights, addressed by its code.
type Group struct {
	Code        string // URL-safe, immutable, unique in the tenant
	Name        string
	Description string
	Kind        GroupKind // GroupRegular when empty
	Base        string    // the group it inherits from, or empty
	Roles       []Link
	Grants      []Grant
	Signature   string         // template of the e-mail signature
	Scopes      []Scope        // ceiling: nil is no ceiling, empty is nothing at all
	Attributes  map[string]any // JSON values of the business system's own, for instance how orders are distributed

	// Manages bounds whom those may look after who may do so by being in this
	// group: users and groups of these groups and of what is based on them. nil
	// bounds nothing, empty is nobody at all. Where a group and its base both say
	// something, the group does.
	Manages []string
	Origin  Origin
}

// UserStatus tells whether an account may be used.
type UserStatus string

// The states of an account. Only an active one is ever allowed anything.
const (
	UserActive   UserStatus = "active"
	UserInvited  UserStatus = "invited"
	UserDisabled UserStatus = "disabled"
	UserLocked   UserStatus = "locked"
	UserDeleted  UserStatus = "deleted" // gone for decisions; may be restored for a while
)

// User is a person's account.
type User struct {
	ID              string // chosen by the business system or random; never reused
	Email           string // login, unique in case-folded form as AccountRules say; may be empty
	Home            Scope  // the one store that the account belongs to; empty: all. It gives no right
	Name            string
	Status          UserStatus // UserActive when empty
	Groups          []Link     // ordered: the first group gives signature and URL
	Roles           []Link
	Grants          []Grant
	Licences        []string       // features of which the user holds a seat
	ApplicationsOff []string       // applications switched off for this user
	Attributes      map[string]any // JSON values, for conditions
	ExternalID      string         // the business system's own key for the user; may be empty
	Menu            []Section      // sections the user wants in his menu; nil: all that he may see
	InvitedAt       time.Time      // when he was last asked to choose a password; zero when never
	CreatedAt       time.Time      // the store says; nobody else can
	DeletedAt       time.Time      // when Status became UserDeleted
	Successor       string         // id of the account that took over what a deleted one was responsible for; may be empty
	PurgedAt        time.Time      // when all but ids and moments of a deleted account was taken away
	Origin          Origin
}
