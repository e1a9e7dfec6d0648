package cache_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/cache"
)

// attacker can do everything to Redis, knows how values are written, and does
// not know the secret.
type attacker struct {
	t      *testing.T
	client *redis.Client
	prefix string
}

func newAttacker(t *testing.T) *attacker {
	t.Helper()
	a := &attacker{t: t, client: redis.NewClient(&redis.Options{Addr: accesstest.Redis(t)}), prefix: prefixOf(t)}
	t.Cleanup(func() {
		if err := a.client.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func (a *attacker) keys() []string {
	a.t.Helper()
	all, err := a.client.Keys(a.t.Context(), a.prefix+"d:*").Result()
	if err != nil {
		a.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func (a *attacker) get(key string) string {
	a.t.Helper()
	value, err := a.client.Get(a.t.Context(), key).Result()
	if err != nil {
		a.t.Fatal(err)
	}
	return value
}

func (a *attacker) set(key, value string) {
	a.t.Helper()
	if err := a.client.Set(a.t.Context(), key, value, redis.KeepTTL).Err(); err != nil {
		a.t.Fatal(err)
	}
}

// place reads the place out of a key, as anybody can.
func (a *attacker) place(key string) (place cache.Place) {
	a.t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(key, a.prefix+"d:"))
	if err != nil || copy(place[:], raw) != len(place) {
		a.t.Fatalf("%q is no place: %v", key, err)
	}
	return place
}

// victims are one replica that fills Redis and one that believes it.
func victims(t *testing.T) (writer, reader *replica) {
	t.Helper()
	writer = newReplica(t, cache.Options{Redis: openRedis(t)})
	reader = newReplica(t, cache.Options{Redis: openRedis(t)})
	for _, r := range []*replica{writer, reader} {
		r.install(t, policyOf(ours, 1, true))
		r.install(t, policyOf("other", 1, false))
	}
	return writer, reader
}

// policyOf is a policy under which user 1 may show S.A, or not.
func policyOf(tenant string, revision access.Revision, allowed bool) access.Facts {
	p := access.Policy{
		Tenant: tenant, Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{{Path: "S"}, {Path: "S.A"}, {Path: "S.B"}}}},
		Users: []access.User{{ID: "1"}, {ID: "2"}},
	}
	if allowed {
		p.Users[0].Grants = []access.Grant{{Section: "S.A", Rights: access.Show}}
	}
	f := p.Facts()
	f.Revision, f.Policy, f.Epoch = revision, 1, "e"
	f.Stripes = map[access.Stripe]access.Revision{access.StripeOf("1"): revision}
	return f
}

func may(user string, section access.Section) *access.Request {
	return &access.Request{Subject: access.Subject{Kind: access.KindUser, ID: user}, Section: section, Actions: []access.Action{"show"}}
}

// fill makes the writer write the answer to a question, and gives its key.
func (a *attacker) fill(writer *replica, tenant string, q *access.Request) string {
	a.t.Helper()
	before := a.keys()
	writer.ask(a.t, tenant, q)
	writer.redis.Flush()
	for _, k := range a.keys() {
		if !slices.Contains(before, k) {
			return k
		}
	}
	a.t.Fatal("no answer was written")
	return ""
}

// TestForging_changesNoAnswer writes into Redis what an attacker can think of.
// No answer changes, and every value is counted. It kills these mutants: no MAC,
// a MAC that leaves out the place, a value that is used in another place.
func TestForging_changesNoAnswer(t *testing.T) {
	a := newAttacker(t)
	writer, reader := victims(t)
	denied := may("2", "S.A")
	yes, no := a.fill(writer, ours, may("1", "S.A")), a.fill(writer, ours, denied)
	allowing, honest := a.get(yes), a.get(no)
	allowed := cache.EncodeDecision(access.Decision{Allowed: true, Reason: access.ReasonSuperuser, Revision: 1})
	at := start.Add(-time.Minute)

	attacks := map[string]string{
		"the allow of another":         allowing,
		"nothing":                      "\x00",
		"cut off":                      honest[:len(honest)-1],
		"with something behind":        honest + "x",
		"the body alone":               allowed,
		"sealed with a guessed secret": cache.Seal("guessed, and long enough to be one", a.place(no), at, time.Time{}, allowed),
		"sealed with no secret":        cache.Seal("", a.place(no), at, time.Time{}, allowed),
		"sealed with the secret as it is configured": cache.Seal(secretOfTests, a.place(no), at, time.Time{}, allowed),
		"head of one, MAC of another":                honest[:len(honest)-32] + allowing[len(allowing)-32:],
		"long":                                       strings.Repeat(honest, 1000),
	}
	for i := range len(honest) {
		edited := []byte(honest)
		edited[i] ^= 1 << (i % 8)
		attacks[fmt.Sprintf("a bit of byte %d changed", i)] = string(edited)
	}
	for i := range 50 {
		random := make([]byte, rand.IntN(400)+1)
		for j := range random {
			random[j] = byte(rand.Uint32())
		}
		attacks[fmt.Sprintf("random %d", i)] = string(random)
	}
	for name, value := range attacks {
		a.set(no, value)
		before := reader.Stats().Redis
		if reader.ask(t, ours, denied).Allowed {
			t.Errorf("%s: allowed", name)
		}
		after := reader.Stats().Redis
		if after.Forged != before.Forged+1 || after.Hits != before.Hits {
			t.Errorf("%s: it was not counted as forged, but %+v", name, after)
		}
		reader.redis.Flush() // the true answer is there again, and is replaced
	}
}

// TestForging_swapped exchanges the values of all keys.
func TestForging_swapped(t *testing.T) {
	a := newAttacker(t)
	writer, reader := victims(t)
	var asked []*access.Request
	for _, user := range []string{"1", "2", "3"} {
		for _, section := range []access.Section{"S", "S.A", "S.B", "S.X"} {
			asked = append(asked, may(user, section))
			writer.ask(t, ours, asked[len(asked)-1])
		}
	}
	writer.redis.Flush()
	keys := a.keys()
	var values []string
	for _, k := range keys {
		values = append(values, a.get(k))
	}
	for i, k := range keys {
		a.set(k, values[(i+1)%len(values)])
	}
	for _, q := range asked {
		reader.ask(t, ours, q)
	}
	if s := reader.Stats().Redis; s.Forged != uint64(len(keys)) || s.Hits != 0 {
		t.Errorf("of %d values: %+v", len(keys), s)
	}
}

// TestForging_replayed puts the answer of an older revision where that of the
// newer one belongs, and the answer of one tenant where that of another does.
func TestForging_replayed(t *testing.T) {
	a := newAttacker(t)
	writer, reader := victims(t)
	q := may("1", "S.A")
	old := a.get(a.fill(writer, ours, q))

	for _, r := range []*replica{writer, reader} {
		r.install(t, policyOf(ours, 2, false)) // the right is taken away
	}
	for name, key := range map[string]string{"revision": a.fill(writer, ours, q), "tenant": a.fill(writer, "other", q)} {
		a.set(key, old)
		tenant := ours
		if name == "tenant" {
			tenant = "other"
		}
		before := reader.Stats().Redis.Forged
		if reader.ask(t, tenant, q).Allowed {
			t.Errorf("the answer of another %s is used", name)
		}
		if reader.Stats().Redis.Forged != before+1 {
			t.Errorf("the answer of another %s is not counted", name)
		}
	}
}

// TestForging_wrongTypes puts other things than texts where answers belong.
func TestForging_wrongTypes(t *testing.T) {
	a := newAttacker(t)
	writer, reader := victims(t)
	q := may("2", "S.A")
	key := a.fill(writer, ours, q)
	for name, put := range map[string]func(context.Context) error{
		"list":   func(ctx context.Context) error { return a.client.LPush(ctx, key, "a").Err() },
		"hash":   func(ctx context.Context) error { return a.client.HSet(ctx, key, "a", "b").Err() },
		"set":    func(ctx context.Context) error { return a.client.SAdd(ctx, key, "a").Err() },
		"sorted": func(ctx context.Context) error { return a.client.ZAdd(ctx, key, redis.Z{Member: "a"}).Err() },
		"stream": func(ctx context.Context) error {
			return a.client.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"a", "b"}}).Err()
		},
	} {
		if err := a.client.Del(t.Context(), key).Err(); err != nil {
			t.Fatal(err)
		}
		if err := put(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := reader.Stats().Redis
		reader.ask(t, ours, q)
		if s := reader.Stats().Redis; s.Forged != before.Forged+1 || s.Breaker != "closed" {
			t.Errorf("%s: %+v", name, s)
		}
		reader.redis.Flush()
	}
	// In a batch the others are still found.
	other := may("1", "S.A")
	a.fill(writer, ours, other)
	if err := a.client.Del(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	if err := a.client.LPush(t.Context(), key, "a").Err(); err != nil {
		t.Fatal(err)
	}
	before := reader.Stats().Redis.Hits
	answers, err := reader.DecideAll(t.Context(), ours, []access.Request{*q, *other})
	if err != nil || answers[0].Allowed || !answers[1].Allowed {
		t.Errorf("got %+v, %v", answers, err)
	}
	if reader.Stats().Redis.Hits != before+1 {
		t.Error("the other answer of the batch was not found")
	}
}
