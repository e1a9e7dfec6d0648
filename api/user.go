package api

import "time"

// User is a person's account.
type User struct {
	// Chosen by the business system or random. It never changes and is never used again.
	ID string `json:"id"`
	UserFields
	// invited, active, disabled, locked or deleted. Only an active account is allowed anything.
	Status string `json:"status"`
	// The path of the account by way of its first group.
	Link      string    `json:"link"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	// While it is invited: how far that has come.
	Invitation *Invitation `json:"invitation,omitempty"`
	// What he says of himself and whether he is online; left out where he has never said anything and is not, and of earlier states.
	Presence *Presence `json:"presence,omitempty"`
	// When it was deleted.
	DeletedAt time.Time `json:"deleted_at,omitzero"`
	// Until when a deleted account can be restored.
	RestorableUntil time.Time `json:"restorable_until,omitzero"`
	// Id of the account that took over what a deleted one was responsible for. It may be deleted itself by now, and have a successor.
	Successor string `json:"successor,omitempty"`
	// When everything but ids and moments was taken away from a deleted account.
	PurgedAt time.Time `json:"purged_at,omitzero"`
	Revision uint64    `json:"revision,omitzero"`
}

// Invitation tells how far an account that is invited has come.
type Invitation struct {
	// When it was last invited.
	InvitedAt time.Time `json:"invited_at,omitzero"`
	// waiting, sent or failed.
	Mail string `json:"mail,omitempty"`
	// Why the mail was not sent the last time that it was tried.
	Trouble string `json:"trouble,omitempty"`
	// When it was sent, or given up.
	SettledAt time.Time `json:"settled_at,omitzero"`
	// When the link in the mail becomes worthless.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// The link itself: once, in the answer to whoever invites, and only where no
	// mail server is set. Whoever has it gets the account.
	Link string `json:"link,omitempty"`
}

// UserFields is what can be changed about an account.
type UserFields struct {
	// The address to sign in with, in any case of letters unique in the tenant, or in each store where the settings say so.
	Email string `json:"email"`
	// The scope of the one store that the account belongs to; left out: all. It gives no right.
	Home string `json:"home,omitempty"`
	// What people call him.
	Name string `json:"name"`
	// The key of the business system for the account.
	ExternalID string `json:"external_id,omitempty"`
	// Groups in their order: the first gives signature and link.
	Groups []Membership `json:"groups,omitempty"`
	// Roles beyond those of the groups.
	Roles []RoleLink `json:"roles,omitempty"`
	// Rights and prohibitions beyond those of groups and roles.
	Grants []Right `json:"grants,omitempty"`
	// Features of which the account holds a seat.
	Licences []string `json:"licences,omitempty"`
	// Codes of the applications that are switched off for the account.
	ApplicationsOff []string `json:"applications_off,omitempty"`
	// Values for conditions.
	Attributes map[string]any `json:"attributes,omitempty"`
	// Sections that shall be in his menu; left out or null: all that he may see.
	Menu []string `json:"menu,omitzero"`
}

// Membership puts a user into a group.
type Membership struct {
	Group string `json:"group"`
	// Where it holds; everywhere when left out.
	Scope string `json:"scope,omitempty"`
	Term
}

// NewUser makes an account. It is active unless its status is disabled.
type NewUser struct {
	ID     string `json:"id,omitempty"`
	Status string `json:"status,omitempty"`
	// The account is invited, and a mail with a link to choose a password is sent to it.
	Invite bool `json:"invite,omitempty"`
	UserFields
	Edit
}

// UserPatch changes an account. What is left out stays; null makes empty; lists
// are replaced as a whole and attributes merged member by member.
type UserPatch struct {
	UserFields
	Edit
}

// Users is one page of a list of accounts.
type Users struct {
	Users []User `json:"users"`
	// How many there are on all pages; left out where counting would take long.
	Total *int `json:"total,omitempty"`
	// Stands for the next page; left out behind the last.
	NextPageToken string `json:"next_page_token,omitempty"`
	Revision      uint64 `json:"revision"`
}

// UserGroups names groups of an account: to be put into, taken out of, or in
// this order.
type UserGroups struct {
	// Codes, or when they are added also where and when they hold.
	Groups []Membership `json:"groups"`
	Edit
}

// UserRoles names roles of an account: to be given or taken.
type UserRoles struct {
	Roles []RoleLink `json:"roles"`
	Edit
}

// UserLicences names features of which an account gets or gives back seats.
type UserLicences struct {
	Licences []string `json:"licences"`
	Edit
}

// UserRights replaces all own rights of an account.
type UserRights struct {
	Grants []Right `json:"grants"`
	Edit
}

// Profile changes the own account. What is left out stays.
type Profile struct {
	Name string `json:"name,omitempty"`
	// Sections that shall be in the menu; null for all that may be seen.
	Menu []string `json:"menu,omitzero"`
	Edit
}

// UserMenu replaces the choice of what is in the menu; null: everything.
type UserMenu struct {
	Menu []string `json:"menu"`
	Edit
}

// ApplicationAccess switches an application on or off for an account.
type ApplicationAccess struct {
	Enabled bool `json:"enabled"`
	Edit
}

// UserOperations does several things to accounts: all of them, or none.
type UserOperations struct {
	Operations []UserOperation `json:"operations"`
	Edit
}

// UserOperation is one of them, in its place.
type UserOperation struct {
	// create, update, activate, deactivate, delete, add_groups, remove_groups, order_groups, add_roles, remove_roles, move_group or copy_rights.
	Op string `json:"op"`
	// Whose account. May be left out where one is made.
	ID string `json:"id,omitempty"`
	// What create and update write.
	User *UserFields `json:"user,omitempty"`
	// For the operations with groups.
	Groups []Membership `json:"groups,omitempty"`
	// For the operations with roles.
	Roles []RoleLink `json:"roles,omitempty"`
	// move_group: the group to leave. copy_rights: the account to be like.
	From string `json:"from,omitempty"`
	// move_group: the group to be in instead.
	To string `json:"to,omitempty"`
}

// UsersChanged are the accounts after a bulk change, in the order of the operations.
type UsersChanged struct {
	Users    []User `json:"users"`
	Revision uint64 `json:"revision"`
}

// HandOver names who took over from a deleted account.
type HandOver struct {
	// The id of the successor.
	To string `json:"to"`
	Edit
}
