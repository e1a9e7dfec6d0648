package access

import "time"

// KeyKind says what the bearer of an API key may do.
type KeyKind string

// The kinds of keys, each including the one before.
const (
	KeyDecide KeyKind = "decide" // ask for decisions
	KeyRead   KeyKind = "read"   // also explanations and definitions
	KeyAdmin  KeyKind = "admin"  // also changes
)

// Caller is who is talking to us, as opposed to whom a question is about: the
// bearer of an API key, or somebody who has signed in.
type Caller struct {
	Name   string  // shown in histories, for instance "key:crm", "user:42" or "cli"
	Tenant string  // the one tenant it may act on, or AllTenants
	May    KeyKind // what a key may do there; empty for people

	// Subject is who has signed in; zero for keys. What he may do is asked of the
	// engine, in the sections of the application Ourselves.
	Subject Subject

	RequestID string // of the request that he talks to us with, for what is recorded; may be empty
}

// IsKey tells whether the caller came with an API key, and not as a person.
func (c Caller) IsKey() bool { return c.Subject == (Subject{}) }

// ActsOn tells whether a tenant is one that the caller may act on at all.
func (c Caller) ActsOn(tenant string) bool { return c.Tenant == AllTenants || c.Tenant == tenant }

// ValidKeyKind refuses everything but the three kinds.
func ValidKeyKind(field string, k KeyKind) error {
	if rank(k) == 0 {
		return Invalid(field, "%q is not a kind of key; write decide, read or admin", string(k))
	}
	return nil
}

func rank(k KeyKind) int {
	switch k {
	case KeyDecide:
		return 1
	case KeyRead:
		return 2
	case KeyAdmin:
		return 3
	}
	return 0
}

// Require gives an error of kind ErrForbidden unless the caller may do what a
// key of kind need may do on the tenant. Pass AllTenants for what concerns the
// installation as a whole.
func (c Caller) Require(need KeyKind, tenant string) error {
	if !c.ActsOn(tenant) {
		return Forbidden("this key is for another tenant")
	}
	if rank(c.May) == 0 || rank(c.May) < rank(need) {
		return Forbidden("this needs a key of kind %s", need)
	}
	return nil
}

// APIKey is what is kept of an API key once it was made: never the key itself.
type APIKey struct {
	ID         string // public part of the key's text
	Tenant     string // code of the tenant, or AllTenants
	Kind       KeyKind
	Name       string    // what it is for
	SecretHash [32]byte  // SHA-256 of the secret part; leaves neither store nor service
	Created    time.Time // UTC
	Revoked    time.Time // UTC; zero while the key works
}
