package accesstest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/store"
)

// signingIn are the tests of what people sign in with.
var signingIn = map[string]func(*storeBattery){
	"a one-time token is taken once":               tokenOnce,
	"of two who take a token one gets it":          tokenRace,
	"a token ends when it is used, not when made":  tokenExpiry,
	"only the newest token of a purpose is good":   tokenNewest,
	"an edit that fails leaves its token good":     tokenInEdit,
	"of a token nothing but its hash is kept":      tokenCanary,
	"tokens are recorded and decide about nothing": tokenRecorded,
}

func sampleToken(tenant, user, text string) access.Token {
	return access.Token{
		Hash: sha256.Sum256([]byte(text)), Tenant: tenant, User: user, Purpose: access.PurposeActivate,
		Expires: time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond),
	}
}

func (b *storeBattery) putToken(tokens ...access.Token) {
	b.t.Helper()
	for _, k := range tokens {
		if err := b.store.PutToken(b.t.Context(), k, change(access.AnyRevision)); err != nil {
			b.t.Fatal(err)
		}
	}
}

func worthless(t *testing.T, err error) {
	t.Helper()
	var told *access.Error
	if !errors.As(err, &told) || !errors.Is(err, access.ErrNotFound) || told.Error() != "token: is unknown, used or too old" {
		t.Errorf("taken with error %v, want that it is worthless", err)
	}
}

func tokenOnce(b *storeBattery) {
	t, ctx := b.t, b.t.Context()
	const tenant = "token-once"
	b.empty(t, tenant)
	b.empty(t, "token-twin")
	mine := sampleToken(tenant, "u1", "once")
	b.putToken(mine, sampleToken(tenant, "", "nobody's"))
	cut := mine.Hash
	cut[31]++
	for name, ask := range map[string]struct {
		tenant  string
		purpose access.Purpose
		hash    [32]byte
	}{
		"unknown":     {tenant, access.PurposeActivate, cut},
		"tenant":      {"token-twin", access.PurposeActivate, mine.Hash},
		"purpose":     {tenant, access.PurposeReset, mine.Hash},
		"case":        {tenant, "Activate", mine.Hash},
		"empty value": {tenant, access.PurposeActivate, [32]byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.store.TakeToken(ctx, ask.tenant, ask.purpose, ask.hash)
			worthless(t, err)
		})
	}
	if got, err := b.store.TakeToken(ctx, tenant, access.PurposeActivate, mine.Hash); err != nil || got != mine {
		t.Errorf("took %+v (%v), want %+v", got, err, mine)
	}
	_, err := b.store.TakeToken(ctx, tenant, access.PurposeActivate, mine.Hash)
	worthless(t, err)
	if _, err := b.store.TakeToken(ctx, "token-none", access.PurposeActivate, mine.Hash); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a tenant that does not exist gives %v", err)
	}
}

// tokenRace needs a real race: each round two begin at the same moment, over
// connections of their own.
func tokenRace(b *storeBattery) {
	t := b.t
	const tenant = "token-race"
	b.empty(t, tenant)
	other := OpenStore(t, b.options)
	for range 20 {
		k := sampleToken(tenant, "u1", time.Now().String())
		b.putToken(k)
		var taken atomic.Int32
		var both sync.WaitGroup
		begin := make(chan struct{})
		for _, s := range []*store.Store{b.store, other} {
			both.Go(func() {
				<-begin
				if _, err := s.TakeToken(t.Context(), tenant, k.Purpose, k.Hash); err == nil {
					taken.Add(1)
				} else {
					worthless(t, err)
				}
			})
		}
		close(begin)
		both.Wait()
		if n := taken.Load(); n != 1 {
			t.Fatalf("%d took the token", n)
		}
	}
}

func tokenExpiry(b *storeBattery) {
	t := b.t
	const tenant = "token-expiry"
	b.empty(t, tenant)
	var now atomic.Pointer[time.Time]
	set := func(at time.Time) { now.Store(&at) }
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	set(start)
	o := b.options
	o.Clock = func() time.Time { return *now.Load() }
	s := OpenStore(t, o)
	put := func(user string) access.Token {
		k := sampleToken(tenant, user, user)
		k.Expires = start.Add(time.Hour)
		if err := s.PutToken(t.Context(), k, change(access.AnyRevision)); err != nil {
			t.Fatal(err)
		}
		return k
	}
	inTime, late := put("u1"), put("u2")
	set(start.Add(time.Hour - time.Microsecond))
	if _, err := s.TakeToken(t.Context(), tenant, inTime.Purpose, inTime.Hash); err != nil {
		t.Errorf("in its last moment: %v", err)
	}
	set(start.Add(time.Hour))
	_, err := s.TakeToken(t.Context(), tenant, late.Purpose, late.Hash)
	worthless(t, err)
}

func tokenNewest(b *storeBattery) {
	t, ctx := b.t, b.t.Context()
	const tenant = "token-newest"
	b.empty(t, tenant)
	first, second := sampleToken(tenant, "u1", "first"), sampleToken(tenant, "u1", "second")
	reset, others := sampleToken(tenant, "u1", "reset"), sampleToken(tenant, "U1", "another")
	reset.Purpose = access.PurposeReset
	b.putToken(first, reset, others, second)
	_, err := b.store.TakeToken(ctx, tenant, first.Purpose, first.Hash)
	worthless(t, err)
	for _, k := range []access.Token{second, reset, others} {
		if got, err := b.store.TakeToken(ctx, tenant, k.Purpose, k.Hash); err != nil || got != k {
			t.Errorf("took %+v (%v), want %+v", got, err, k)
		}
	}
	dropped := sampleToken(tenant, "u1", "dropped")
	b.putToken(dropped)
	_, err = b.store.Edit(ctx, tenant, change(access.AnyRevision), func(d access.Draft) error {
		d.PutUser(access.User{ID: "u1"})
		return d.DropTokens("u1")
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.store.TakeToken(ctx, tenant, dropped.Purpose, dropped.Hash)
	worthless(t, err)
}

func tokenInEdit(b *storeBattery) {
	t := b.t
	const tenant = "token-edit"
	b.empty(t, tenant)
	k := sampleToken(tenant, "u1", "in an edit")
	edit := func(fail error, do func(access.Draft) error) error {
		_, err := b.store.Edit(t.Context(), tenant, change(access.AnyRevision), func(d access.Draft) error {
			if err := do(d); err != nil {
				return err
			}
			return fail
		}, nil)
		return err
	}
	put := func(d access.Draft) error { return d.PutToken(k) }
	take := func(d access.Draft) error {
		got, err := d.TakeToken(k.Purpose, k.Hash)
		d.PutUser(access.User{ID: got.User})
		return err
	}
	refused := access.Invalid("password", "is too short")
	if err := edit(refused, put); !errors.Is(err, access.ErrInvalid) {
		t.Fatal(err)
	}
	worthless(t, edit(nil, take))
	if err := edit(nil, put); err != nil {
		t.Fatal(err)
	}
	if err := edit(refused, take); !errors.Is(err, access.ErrInvalid) {
		t.Fatal(err)
	}
	if err := edit(nil, take); err != nil {
		t.Errorf("after an edit that failed: %v", err)
	}
	worthless(t, edit(nil, take))
	if err := edit(nil, func(d access.Draft) error { return d.PutToken(access.Token{User: "u1"}) }); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("a token of nothing gives %v", err)
	}
}

func tokenCanary(b *storeBattery) {
	t := b.t
	const tenant, text = "token-canary", "canary-8Kq2vMw4Zt"
	b.empty(t, tenant)
	k := sampleToken(tenant, "u1", text)
	b.putToken(k)
	dump := b.dump(t)
	if n := bytes.Count(dump, k.Hash[:]); n != 1 {
		t.Errorf("the hash is there %d times, want once", n)
	}
	for _, trace := range []string{text, hex.EncodeToString(k.Hash[:])} {
		if bytes.Contains(bytes.ToLower(dump), bytes.ToLower([]byte(trace))) {
			t.Errorf("%q stands in the database", trace)
		}
	}
}

// tokenRecorded: each is a revision of its own, which moves nothing that
// decides, and which looks like no damage.
func tokenRecorded(b *storeBattery) {
	t, ctx := b.t, b.t.Context()
	const tenant = "token-recorded"
	b.tenant(t, tenant)
	before := facts(t, b.store, tenant)
	b.putToken(sampleToken(tenant, "u1", "one"), sampleToken(tenant, "u1", "two"))
	after, d := follows(t, b.store, before)
	if d.To != before.Revision+2 || d.Frame != nil || len(d.Users) > 0 || len(d.Rules) > 0 || after.Policy != before.Policy {
		t.Errorf("two tokens made %+v", d)
	}
	if err := b.store.Verify(ctx, tenant); err != nil {
		t.Error(err)
	}
	if drift, err := b.store.Drift(ctx, tenant); err != nil || len(drift) > 0 {
		t.Errorf("drift %v (%v)", drift, err)
	}
}
