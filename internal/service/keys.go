package service

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The text of an API key is bw_<id>_<secret>: 12 characters of id, which is
// public, and 256 random bits of secret.
const (
	keyPrefix    = "bw_"
	keyIDLen     = 12
	secretStart  = len(keyPrefix) + keyIDLen + 1
	secretLen    = 43 // base64url of 32 bytes, without padding
	keyTextLen   = secretStart + secretLen
	keySeparator = '_'
)

// KeyStore keeps API keys.
type KeyStore interface {
	Keys(ctx context.Context) ([]access.APIKey, error)
	AddKey(ctx context.Context, k access.APIKey, c access.Change) error
	RevokeKey(ctx context.Context, tenant, id string, c access.Change) error
}

// Keys makes, lists, revokes and recognises API keys. All keys are resident, so
// that recognising one needs no database.
type Keys struct {
	store KeyStore
	opts  KeysOptions
	known atomic.Pointer[map[string]*knownKey]

	authority *Authority // nil until Under
	mu        sync.Mutex // one Reload at a time: an older reading must not replace a newer one
}

// KeysOptions has a zero value that works.
type KeysOptions struct {
	Clock  func() time.Time // the real one when nil
	Source string           // the door of changes in histories, for instance "http"
}

type knownKey struct {
	hash   [sha256.Size]byte
	caller access.Caller // the zero Caller when revoked
}

// NewKeys knows no key until Reload.
func NewKeys(s KeyStore, o KeysOptions) *Keys {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	k := &Keys{store: s, opts: o}
	k.known.Store(&map[string]*knownKey{})
	return k
}

// Under lets people manage keys as far as an authority allows. It comes after
// NewKeys, since an authority looks at what is in force, and to follow that one
// must know the keys.
func (k *Keys) Under(a *Authority) { k.authority = a }

// allow lets somebody act on keys of a kind. Nobody hands out, or takes away,
// more than he may do himself: a key of kind admin or read may do what otherwise
// only a superuser may for sure, and one of kind decide may ask about everybody.
func (k *Keys) allow(ctx context.Context, caller access.Caller, tenant string, action access.Action, kind access.KeyKind) error {
	needs := []Need{{Part: "Settings", Action: action, Scope: access.Everywhere, Key: access.KeyAdmin, Superuser: kind != access.KeyDecide}}
	for _, part := range []string{"Policies", "Users"} {
		needs = append(needs, Need{Part: part, Action: "show", Scope: access.Everywhere, Key: access.KeyAdmin})
	}
	for _, need := range needs {
		if _, err := k.authority.Allow(ctx, caller, tenant, need); err != nil {
			return err
		}
	}
	return nil
}

// Reload reads all keys from the store.
func (k *Keys) Reload(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	stored, err := k.store.Keys(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]*knownKey, len(stored))
	for _, s := range stored {
		entry := &knownKey{hash: s.SecretHash}
		if s.Revoked.IsZero() {
			entry.caller = access.Caller{Name: "key:" + s.Name, Tenant: s.Tenant, May: s.Kind}
		}
		known[s.ID] = entry
	}
	k.known.Store(&known)
	return nil
}

// nobody takes the place of a key that is not known, so that the work and the
// answer are the same for unknown, wrong and revoked keys.
var nobody knownKey

// Authenticate tells whose key this is. Every failure is the same error.
func (k *Keys) Authenticate(text string) (access.Caller, error) {
	entry, secret := &nobody, ""
	if len(text) == keyTextLen && text[:len(keyPrefix)] == keyPrefix && text[secretStart-1] == keySeparator {
		secret = text[secretStart:]
		if found, ok := (*k.known.Load())[text[len(keyPrefix):secretStart-1]]; ok {
			entry = found
		}
	}
	var buf [secretLen]byte // keeps the copy on the stack
	hash := sha256.Sum256(buf[:copy(buf[:], secret)])
	same := subtle.ConstantTimeCompare(hash[:], entry.hash[:]) == 1
	if !same || entry.caller.May == "" {
		return access.Caller{}, ErrUnauthenticated
	}
	return entry.caller, nil
}

// ErrUnauthenticated is the one answer to a key that is missing, unknown,
// wrong or revoked. It is not one of the kinds of package access, which concern
// callers that are known.
var ErrUnauthenticated = errors.New("the API key is missing or not valid")

// Create makes a key. Its text is returned here and never again.
func (k *Keys) Create(ctx context.Context, caller access.Caller, tenant string, kind access.KeyKind, name string) (text string, key access.APIKey, err error) {
	if err := k.allow(ctx, caller, tenant, "insert", kind); err != nil {
		return "", access.APIKey{}, err
	}
	if err := validKey(tenant, kind, name); err != nil {
		return "", access.APIKey{}, err
	}
	text, key = newKey()
	key.Tenant, key.Kind, key.Name, key.Created = tenant, kind, name, k.opts.Clock().UTC().Truncate(time.Microsecond)
	if err := k.store.AddKey(ctx, key, k.change(caller, "create API key "+name)); err != nil {
		return "", access.APIKey{}, err
	}
	return text, key, k.Reload(ctx)
}

func validKey(tenant string, kind access.KeyKind, name string) error {
	if tenant != access.AllTenants {
		if err := access.ValidCode("tenant", tenant); err != nil {
			return err
		}
	}
	if err := access.ValidKeyKind("kind", kind); err != nil {
		return err
	}
	return access.ValidName("name", name)
}

// newKey draws a key's id and secret.
func newKey() (string, access.APIKey) {
	var id [8]byte          // 12.8 characters of base32
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	idText := strings.ToLower(base32.StdEncoding.EncodeToString(id[:]))[:keyIDLen]
	secretText := secret()
	return keyPrefix + idText + string(keySeparator) + secretText,
		access.APIKey{ID: idText, SecretHash: sha256.Sum256([]byte(secretText))}
}

// List gives the keys of a tenant, oldest first, revoked ones included. For
// AllTenants it gives the keys that may act on every tenant.
func (k *Keys) List(ctx context.Context, caller access.Caller, tenant string) ([]access.APIKey, error) {
	if _, err := k.authority.Allow(ctx, caller, tenant, Need{Part: "Settings", Action: "show", Scope: access.Everywhere, Key: access.KeyAdmin}); err != nil {
		return nil, err
	}
	all, err := k.store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	keys := slices.DeleteFunc(all, func(key access.APIKey) bool { return key.Tenant != tenant })
	slices.SortFunc(keys, func(a, b access.APIKey) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return keys, nil
}

// Revoke ends a key. On this process it takes effect before Revoke returns, on
// others with their next poll.
func (k *Keys) Revoke(ctx context.Context, caller access.Caller, tenant, id, reason string) error {
	kind, err := k.kindOf(ctx, tenant, id)
	if err != nil {
		return err
	}
	if err := k.allow(ctx, caller, tenant, "delete", kind); err != nil {
		return err
	}
	if err := k.store.RevokeKey(ctx, tenant, id, k.change(caller, reason)); err != nil {
		return err
	}
	return k.Reload(ctx)
}

// kindOf gives the kind of a tenant's key; admin, the most, for one that it has
// not.
func (k *Keys) kindOf(ctx context.Context, tenant, id string) (access.KeyKind, error) {
	all, err := k.store.Keys(ctx)
	for i := range all {
		if all[i].Tenant == tenant && all[i].ID == id {
			return all[i].Kind, err
		}
	}
	return access.KeyAdmin, err
}

func (k *Keys) change(caller access.Caller, reason string) access.Change {
	return access.Change{Base: access.AnyRevision, Author: caller.Name, Source: k.opts.Source, Reason: reason}
}
