package access

import "time"

// Purpose says what a one-time token is good for.
type Purpose string

// The purposes of one-time tokens.
const (
	PurposeBootstrap Purpose = "bootstrap" // make the tenant's first superuser; belongs to nobody yet
	PurposeActivate  Purpose = "activate"  // choose the first password
	PurposeReset     Purpose = "reset"     // choose a new password
	PurposeSignIn    Purpose = "sign-in"   // sign in once without a password
)

// Token is what is kept of a one-time token: never its text. It is good for one
// thing, once, and the newest of a user and a purpose only.
type Token struct {
	Hash    [32]byte // SHA-256 of the text; leaves neither store nor service
	Tenant  string
	User    string // id; empty where the purpose is nobody's
	Purpose Purpose
	Expires time.Time // the first moment at which it is worthless
}
