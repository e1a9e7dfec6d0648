package service

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/bailiwick/bailiwick/internal/access"
)

// LeastSecret is how long a server's secret must be, in bytes.
const LeastSecret = 32

// Sealer encrypts what nobody may read who sees the database only. A nil Sealer
// seals nothing: it gives an error of kind ErrUnavailable.
type Sealer struct{ aead cipher.AEAD }

// NewSealer makes a key for one purpose from the server's secret.
func NewSealer(secret, purpose string) (*Sealer, error) {
	if len(secret) < LeastSecret {
		return nil, fmt.Errorf("the server's secret has %d bytes and needs at least %d", len(secret), LeastSecret)
	}
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "bailiwick "+purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Sealer{aead}, err
}

var errNoSecret = access.Unavailable("this server has no secret to encrypt with: set server.secret, the same on all servers")

// errSealed is no mistake of whoever is calling, and his trying again does not
// help: the secret must be put back, or what was sealed set up anew.
var errSealed = access.Unavailable("what was encrypted cannot be read: server.secret is not the one of then")

// sealVersion is the first byte of what is sealed.
const sealVersion = 1

// Seal encrypts a text for an owner: in anybody else's place it is worthless.
func (s *Sealer) Seal(owner string, text []byte) ([]byte, error) {
	if s == nil {
		return nil, errNoSecret
	}
	return s.aead.Seal([]byte{sealVersion}, nil, text, []byte(owner)), nil //nolint:gosec // the cipher makes its nonces itself
}

// Open is the reverse of Seal.
func (s *Sealer) Open(owner string, sealed []byte) ([]byte, error) {
	if s == nil {
		return nil, errNoSecret
	}
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, errSealed
	}
	text, err := s.aead.Open(nil, nil, sealed[1:], []byte(owner))
	if err != nil {
		return nil, errSealed
	}
	return text, nil
}

// random gives bytes that nobody can guess.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}
