package service

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync/atomic"

	"github.com/bailiwick/bailiwick/internal/access"
)

// pages seals the place where a page of a list ended into the token of the next
// one. Tokens can neither be read, changed nor made up, and are good for one list
// of one tenant in one epoch. All servers that share the secret take each
// other's.
type pages struct {
	secret func(context.Context) ([]byte, error)
	box    atomic.Pointer[cipher.AEAD] // made of the secret, when it is first needed
}

// ownSecret is for servers that share nothing with others: it ends with them.
func ownSecret() func(context.Context) ([]byte, error) {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // it never fails, by its own promise
	return func(context.Context) ([]byte, error) { return secret, nil }
}

func (p *pages) aead(ctx context.Context) (cipher.AEAD, error) {
	if box := p.box.Load(); box != nil {
		return *box, nil
	}
	secret, err := p.secret(ctx)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "page tokens", 2*aes.BlockSize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	box, err := cipher.NewGCMWithRandomNonce(block)
	if err == nil {
		p.box.Store(&box)
	}
	return box, err
}

// list is everything that makes a list what it is. A token of another one is
// refused. The size of pages is no part of it.
type list []byte

// list names a list: what it is of, and the query behind it.
func (f *Follower) list(tenant, of string, query any) (list, error) {
	text, err := json.Marshal([]any{of, tenant, f.epoch(tenant), query}) // members of maps come in order
	if err != nil {
		return nil, access.Invalid("query", "holds what JSON cannot")
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// seal writes a token for a place, which JSON can hold.
func (p *pages) seal(ctx context.Context, l list, place any) (string, error) {
	box, err := p.aead(ctx)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(place)
	return base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, text, l)), err //nolint:gosec // the box makes its nonces itself
}

var errPageToken = access.Invalid("page_token", "does not belong to this list; begin again without it")

// open reads a token into a place, which stays as it is without one. It refuses
// everything that seal did not write for the same list.
func (p *pages) open(ctx context.Context, l list, token string, place any) error {
	if token == "" {
		return nil
	}
	box, err := p.aead(ctx)
	if err != nil {
		return err
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return errPageToken
	}
	text, err := box.Open(nil, nil, sealed, l)
	if err != nil || json.Unmarshal(text, place) != nil {
		return errPageToken
	}
	return nil
}

// cut gives the page of a sorted list that follows the place in a token, and
// the token of the next one. An entry that is gone by now still has its place:
// keep gives what of an entry says where it stands.
func cut[T any](ctx context.Context, f *Follower, tenant string, all []T, p Page, asked []any, order func(a, b T) int, keep func(T) T) (part []T, next string, err error) {
	l, err := f.list(tenant, "directory", asked)
	if err != nil {
		return nil, "", err
	}
	if p.Token != "" {
		var last T
		if err := f.pages.open(ctx, l, p.Token, &last); err != nil {
			return nil, "", err
		}
		at, found := slices.BinarySearchFunc(all, last, order)
		if found {
			at++
		}
		all = all[at:]
	}
	most := cmp.Or(p.Size, DefaultPage)
	if len(all) <= most {
		return all, "", nil
	}
	next, err = f.pages.seal(ctx, l, keep(all[most-1]))
	return all[:most], next, err
}
