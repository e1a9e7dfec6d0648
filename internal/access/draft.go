package access

import "time"

// Reading is one consistent reading of a tenant: everything in it is of one
// revision.
type Reading interface {
	Revision() Revision
	// Policy gives everything but users. The caller may set its fields; what they
	// hold is shared with other readings and must not be changed, but in a Draft,
	// whose policy is its own.
	Policy() *Policy
	// User gives an account, or an error of kind ErrNotFound.
	User(id string) (User, error)
	// WithEmail gives the accounts with this e-mail in any case of letters, but for
	// deleted ones.
	WithEmail(email string) ([]User, error)
	// Holders gives the ids of users who are linked to a group or role
	// themselves, in the order of their bytes, after one of them: at most so many.
	Holders(kind Kind, code, after string, most int) ([]string, error)
	// CountHolders counts them, by code. What nobody holds is left out.
	CountHolders(kind Kind, codes []string) (map[string]int, error)
	// EachUser visits every account in the order of ids, deleted ones too. Nothing
	// else of the reading can be asked for meanwhile, but Policy.
	EachUser(visit func(User) error) error
	// CountSeats counts the accounts that hold a seat, by feature. Deleted ones
	// hold none.
	CountSeats() (map[string]int, error)
}

// Draft is a tenant in the hands of one edit, inside the transaction that
// writes it. What the edit leaves behind in Policy and by PutUser becomes the
// next revision.
type Draft interface {
	Reading
	// Now is the moment that the revision will carry.
	Now() time.Time
	// PutUser makes or changes an account. What is wrong with it shows when the
	// edit is over.
	PutUser(u User)
	// PutToken keeps a one-time token in the place of the one that its user had
	// for the same purpose. That there is one is recorded.
	PutToken(t Token) error
	// TakeToken uses a token up. One that is unknown, for something else, used or
	// too old is ErrNotFound. When the edit fails, it is as good as before.
	TakeToken(purpose Purpose, hash [32]byte) (Token, error)
	// DropTokens makes all tokens of a user worthless.
	DropTokens(user string) error
	// Send queues a mail to an account, of which User, To and Purpose must be
	// given. It goes out when the edit is committed, in the place of one for the same
	// purpose that has not.
	Send(m Mail) error
	// Password gives what is kept of somebody's password.
	Password(user string) (Password, error)
	// PutPassword keeps somebody's password and records that it was changed. All
	// tokens and sessions of his end, but the session with the hash that is named.
	PutPassword(user string, p Password, but [32]byte) error
	// SecondFactor gives what is kept of somebody's second factor.
	SecondFactor(user string) (SecondFactor, error)
	// PutSecondFactor keeps somebody's second factor, none where it is empty, and
	// records that it was changed.
	PutSecondFactor(user string, f SecondFactor) error
	// EndSessions ends all sessions of a user, and records it.
	EndSessions(user string) error
	// Unlock forgets the failures of a user to sign in, and records it.
	Unlock(user string, counted [32]byte) error
}
