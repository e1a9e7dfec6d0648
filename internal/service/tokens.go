package service

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// How long one-time tokens are good for.
const (
	BootstrapTime = 24 * time.Hour
	ActivateTime  = 24 * time.Hour
	ResetTime     = time.Hour
	SignInTime    = time.Hour
)

// NewToken draws a one-time token of 256 bits. Its text goes to its user and
// nowhere else; the rest is for the store.
func NewToken(tenant, user string, purpose access.Purpose, expires time.Time) (text string, t access.Token) {
	text = secret()
	hash, _ := HashOf(text)
	return text, access.Token{Hash: hash, Tenant: tenant, User: user, Purpose: purpose, Expires: expires.UTC().Truncate(time.Microsecond)}
}

// secret draws 256 bits, as text of secretLen characters.
func secret() string {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(bits[:])
}

// HashOf gives what is kept of a token's or session's text. False: no such text
// can have been ours. Text that was cut is none of ours.
func HashOf(text string) (hash [sha256.Size]byte, ok bool) {
	return sha256.Sum256([]byte(text)), len(text) == secretLen
}
