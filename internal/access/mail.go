package access

import (
	"errors"
	"time"
)

// MailPurpose says what a mail is about. Each has a text of its own.
type MailPurpose string

// The mails that are sent. Those with a link tell of something that the reader
// can do, the others of something that was done to his account.
const (
	MailActivate          MailPurpose = "activate"            // choose the first password; with a link
	MailReset             MailPurpose = "reset"               // choose a new password; with a link
	MailPasswordChanged   MailPurpose = "password-changed"    // somebody else has set the password
	MailEmailChanged      MailPurpose = "email-changed"       // to the address of before
	MailSecondFactorReset MailPurpose = "second-factor-reset" // somebody else has taken the second factor away
	MailSecondFactorOn    MailPurpose = "second-factor-on"    // he has set one up
	MailSecondFactorOff   MailPurpose = "second-factor-off"   // he does without one
)

// MailState tells how far a mail has come.
type MailState string

// The states of a mail.
const (
	MailWaiting MailState = "waiting" // to be sent when it is due
	MailSent    MailState = "sent"    // the mail server has taken it
	MailFailed  MailState = "failed"  // given up
)

// Mail is a mail to a user on its way out. There is one at most of a user and a
// purpose: a newer one takes the place of the one before. What it says is
// written when it is sent, so neither text nor link are ever kept.
type Mail struct {
	ID      string // random, new with each mail; the store makes it
	Tenant  string
	User    string // id of the account that it is about
	Purpose MailPurpose
	To      string // the address

	State   MailState
	Created time.Time
	Due     time.Time // when it is tried next; who claims it moves this away from others
	Tries   int       // how often it was claimed
	Settled time.Time // when it was sent or given up
	Expires time.Time // when the link in it becomes worthless; zero where there is none
	Trouble string    // why the last try failed, in words
}

// MailCounts is how many mails have not been sent.
type MailCounts struct {
	Waiting, Failed int
	Oldest          time.Time // when the one that waits longest was made; zero where none waits
}

// Letter is a mail as it goes over the wire.
type Letter struct {
	ID            string // the same for each try of a mail, so that receivers know it again
	To            string
	Subject, Text string
}

// ErrMailbox says that the server will never take a mail for this address:
// there is no use in trying again.
var ErrMailbox = errors.New("the mail server refuses the address")
