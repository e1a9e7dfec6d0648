package cache_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/cache"
)

// policyUntil is a policy under which user 1 may show S.A during a validity,
// and S.B under a condition that reads the clock.
func policyUntil(v access.Validity) access.Facts {
	p := access.Policy{
		Tenant: ours, Catalogue: []access.Application{{Code: "shop", Sections: []access.SectionEntry{{Path: "S"}, {Path: "S.A"}, {Path: "S.B"}}}},
		Users: []access.User{{ID: "1", Grants: []access.Grant{
			{Section: "S.A", Rights: access.Show, Validity: v},
			{Section: "S.B", Rights: access.Show, Condition: "now < timestamp('2026-03-01T12:10:00Z')"},
		}}},
	}
	f := p.Facts()
	f.Revision, f.Policy, f.Epoch = 1, 1, "e"
	return f
}

// kinds are the caches that must not keep an answer for too long.
var kinds = map[string]func(t *testing.T) *replica{
	"memory": func(t *testing.T) *replica { t.Helper(); return newReplica(t, cache.Options{Memory: 1 << 20}) },
	"redis":  func(t *testing.T) *replica { t.Helper(); return newReplica(t, cache.Options{Redis: openRedis(t)}) },
	"both": func(t *testing.T) *replica {
		t.Helper()
		return newReplica(t, cache.Options{Redis: openRedis(t), Memory: 1 << 20})
	},
}

func hits(r *replica) uint64 { s := r.Stats(); return s.Memory.Hits + s.Redis.Hits }

// TestValidUntil_isNeverOutlived: an answer is used up to the last moment at
// which it holds, and not at the first at which it no longer does. It kills the
// mutant that does not look at valid_until.
func TestValidUntil_isNeverOutlived(t *testing.T) {
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			r.install(t, policyUntil(access.Validity{Until: start.Add(5 * time.Minute)}))
			r.ask(t, ours, may("1", "S.A"))
			flush(r)
			r.pass(5*time.Minute - time.Nanosecond)
			if !r.ask(t, ours, may("1", "S.A")).Allowed || hits(r) != 1 {
				t.Error("at the last moment it was not found")
			}
			r.pass(time.Nanosecond)
			if r.ask(t, ours, may("1", "S.A")).Allowed {
				t.Error("it is allowed afterwards")
			}
			flush(r)
			r.pass(-time.Hour) // somebody sets the clock back: it is as the engine says
			r.ask(t, ours, may("1", "S.A"))
		})
	}
}

// TestValidFrom_holdsNotYet: what began to hold by the clock of one replica does
// not hold yet on one whose clock is behind. It kills the mutant that does not
// look at when an answer was given.
func TestValidFrom_holdsNotYet(t *testing.T) {
	ahead, behind := newReplica(t, cache.Options{Redis: openRedis(t)}), newReplica(t, cache.Options{Redis: openRedis(t)})
	for _, r := range []*replica{ahead, behind} {
		r.install(t, policyUntil(access.Validity{From: start.Add(10 * time.Minute)}))
	}
	ahead.pass(time.Hour)
	if !ahead.ask(t, ours, may("1", "S.A")).Allowed {
		t.Fatal("it does not hold where the clock is ahead")
	}
	ahead.redis.Flush()
	if behind.ask(t, ours, may("1", "S.A")).Allowed {
		t.Error("it holds where the clock is behind")
	}
	if s := behind.Stats().Redis; s.Expired != 1 || s.Forged != 0 {
		t.Errorf("it was not counted: %+v", s)
	}
}

func flush(r *replica) {
	if r.redis != nil {
		r.redis.Flush()
	}
}

// TestNotKept: failures, and answers that depend on the clock itself.
func TestNotKept(t *testing.T) {
	foreign := access.Facts{Tenant: theirs, Revision: 1, Epoch: "e", Model: theirModel, Rules: []access.Rule{
		{Type: "p", Values: []string{"all", "/b", "get", "allow"}},
	}}
	for name, q := range map[string]struct {
		tenant string
		r      *access.Request
	}{
		"reads the clock":   {ours, may("1", "S.B")},
		"malformed":         {ours, &access.Request{Subject: access.Subject{Kind: access.KindUser, ID: "1"}, Section: "S.A"}},
		"no subject":        {ours, &access.Request{Section: "S.A", Actions: []access.Action{"show"}}},
		"unknown tenant":    {"nowhere", may("1", "S.A")},
		"too few values":    {theirs, &access.Request{Raw: []any{"1"}}},
		"the model fails":   {theirs, &access.Request{Raw: []any{"1", "/b", 5.0}}}, // a number is no text to match
		"unknown set":       {theirs, &access.Request{Raw: []any{"1", "/b", "get"}, RawSet: "9"}},
		"of a strange type": {ours, &access.Request{Subject: access.Subject{Kind: access.KindUser, ID: "1"}, Section: "S.A", Actions: []access.Action{"show"}, Context: map[string]any{"v": struct{}{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, cache.Options{Redis: openRedis(t), Memory: 1 << 20})
			r.install(t, policyUntil(access.Validity{}))
			r.install(t, foreign)
			for range 2 {
				r.ask(t, q.tenant, q.r)
				r.agree(t, q.tenant, q.r,
					func() (any, error) { return r.DecideAll(t.Context(), q.tenant, []access.Request{*q.r}) },
					func() (any, error) { return r.engine.DecideAll(t.Context(), q.tenant, []access.Request{*q.r}) })
			}
			r.redis.Flush()
			if s := r.Stats(); s.Memory.Stored != 0 || s.Redis.Written != 0 {
				t.Errorf("it was kept: %+v", s)
			}
		})
	}
}

// stand is an engine that answers as a test wants, for what a real one does only
// now and then.
type stand struct {
	cache.Engine // nil: what a test does not expect ends it
	at           standing
}

func (s *stand) Pin(string) (cache.Snapshot, error) { return &s.at, nil }

type standing struct {
	revision access.Revision
	asked    [][]access.Request
	decide   func(r *access.Request) (access.Decision, error)
}

func (s *standing) Revision() access.Revision         { return s.revision }
func (s *standing) Stamp(access.Subject) access.Stamp { return access.Stamp{Tenant: ours, Policy: 1} }
func (s *standing) Warm(*access.Request) bool         { return false }

func (s *standing) Decide(_ context.Context, r *access.Request) (access.Decision, error) {
	s.asked = append(s.asked, []access.Request{*r})
	return s.decide(r)
}

func (s *standing) DecideAll(_ context.Context, rs []access.Request) ([]access.Decision, error) {
	s.asked = append(s.asked, rs)
	all := make([]access.Decision, len(rs))
	for i := range rs {
		all[i], _ = s.decide(&rs[i])
	}
	return all, nil
}

var granted = access.Decision{Allowed: true, Reason: access.ReasonGrantedBy, Action: "show", Revision: 5}

// TestNotKept_cutOff: an answer that came when nobody waited any more, one with
// an error, and one of a newer revision than the place it would be kept in.
func TestNotKept_cutOff(t *testing.T) {
	for name, decide := range map[string]func(context.CancelFunc) (access.Decision, error){
		"given up":   func(cancel context.CancelFunc) (access.Decision, error) { cancel(); return granted, nil },
		"with error": func(context.CancelFunc) (access.Decision, error) { return granted, errors.New("no store") },
		"newer": func(context.CancelFunc) (access.Decision, error) {
			newer := granted
			newer.Revision = 6
			return newer, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &stand{at: standing{revision: 5}}
			c := cache.New(s, cache.Options{Memory: 1 << 20})
			s.at.decide = func(*access.Request) (access.Decision, error) { return decide(cancel) }
			_, _ = c.Decide(ctx, ours, may("1", "S.A")) // whether it was kept is the matter
			if n := c.Stats().Memory.Stored; n != 0 {
				t.Errorf("%d were kept", n)
			}
		})
	}
}

// TestRevision_isThatOfTheAsker: an answer that was given at one revision and is
// asked for at a later one, which did not concern it, names the later one.
func TestRevision_isThatOfTheAsker(t *testing.T) {
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			f := policyOf(ours, 1, true)
			r.install(t, f)
			r.ask(t, ours, may("1", "S.A"))
			flush(r)
			f.Revision = 9 // somebody else was changed
			r.install(t, f)
			if got := r.ask(t, ours, may("1", "S.A")); got.Revision != 9 || hits(r) != 1 {
				t.Errorf("got %+v after %d hits", got, hits(r))
			}
			f.Revision, f.Stripes = 10, map[access.Stripe]access.Revision{access.StripeOf("1"): 10} // the user himself
			r.install(t, f)
			if r.ask(t, ours, may("1", "S.A")); hits(r) != 1 {
				t.Error("an answer from before a change of its user was found")
			}
		})
	}
}

// TestSearchSubjects_concernsAll: who may do something is asked anew after every
// change, whomever it was about.
func TestSearchSubjects_concernsAll(t *testing.T) {
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			search := &access.SubjectSearch{Request: *may("nobody", "S.A"), Type: access.TypeUser, Most: 10}
			for revision, want := range []int{1: 1, 2: 0} {
				if revision == 0 {
					continue
				}
				r.install(t, policyOf(ours, access.Revision(revision), want > 0)) // only user 1 is changed
				for range 2 {
					got, err := r.SearchSubjects(t.Context(), ours, search)
					if err != nil || len(got.Subjects) != want || got.Revision != access.Revision(revision) {
						t.Errorf("revision %d: got %+v, %v", revision, got, err)
					}
					flush(r)
				}
			}
			if hits(r) != 2 {
				t.Errorf("%d hits", hits(r))
			}
		})
	}
}

// TestDecideAll_oneRevision: where what is asked for is newer than what was
// found, all is asked for once more.
func TestDecideAll_oneRevision(t *testing.T) {
	s := &stand{at: standing{revision: 5, decide: func(*access.Request) (access.Decision, error) { return granted, nil }}}
	c := cache.New(s, cache.Options{Memory: 1 << 20})
	if _, err := c.Decide(t.Context(), ours, may("1", "S.A")); err != nil {
		t.Fatal(err)
	}
	s.at.asked = nil
	denied := access.Decision{Reason: access.ReasonNoGrant, Revision: 6}
	s.at.decide = func(*access.Request) (access.Decision, error) { return denied, nil }
	got, err := c.DecideAll(t.Context(), ours, []access.Request{*may("1", "S.A"), *may("2", "S.A")})
	if err != nil || !reflect.DeepEqual(got, []access.Decision{denied, denied}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if len(s.at.asked) != 2 || len(s.at.asked[0]) != 1 || len(s.at.asked[1]) != 2 {
		t.Errorf("asked for %v", s.at.asked)
	}
}

// TestDecideAll_oneMoment: what expired while the rest was decided is asked for
// once more with it.
func TestDecideAll_oneMoment(t *testing.T) {
	now := start
	limited := granted
	limited.ValidUntil = start.Add(time.Minute)
	s := &stand{at: standing{revision: 5, decide: func(*access.Request) (access.Decision, error) { return limited, nil }}}
	c := cache.New(s, cache.Options{Memory: 1 << 20, Clock: func() time.Time { return now }})
	if _, err := c.Decide(t.Context(), ours, may("1", "S.A")); err != nil {
		t.Fatal(err)
	}
	s.at.asked = nil
	denied := access.Decision{Reason: access.ReasonNoGrant, Revision: 5}
	s.at.decide = func(*access.Request) (access.Decision, error) { now = start.Add(time.Minute); return denied, nil }
	got, err := c.DecideAll(t.Context(), ours, []access.Request{*may("1", "S.A"), *may("2", "S.A")})
	if err != nil || !reflect.DeepEqual(got, []access.Decision{denied, denied}) || len(s.at.asked) != 2 {
		t.Errorf("got %+v, %v after %v", got, err, s.at.asked)
	}
}

// TestTTL: an answer lives in Redis as long as it holds, and no longer than is
// configured.
func TestTTL(t *testing.T) {
	a := newAttacker(t)
	r := newReplica(t, cache.Options{Redis: openRedis(t)})
	for most, until := range map[time.Duration]time.Time{time.Minute: start.Add(time.Minute), 10 * time.Minute: start.Add(time.Hour)} {
		f := policyUntil(access.Validity{Until: until})
		f.Policy = access.Revision(most) // so that it is another question
		r.install(t, f)
		key := a.fill(r, ours, may("1", "S.A"))
		ttl, err := a.client.PTTL(t.Context(), key).Result()
		if err != nil || ttl <= 0 || ttl > most {
			t.Errorf("it lives for %s, at most %s is wanted: %v", ttl, most, err)
		}
	}
}

// TestMemory_deadline: what this process keeps it forgets after a while by the
// clock that nobody can set.
func TestMemory_deadline(t *testing.T) {
	now := time.Now()
	s := &stand{at: standing{revision: 5, decide: func(*access.Request) (access.Decision, error) { return granted, nil }}}
	c := cache.New(s, cache.Options{Memory: 1 << 20, Clock: func() time.Time { return now }})
	for _, want := range []struct {
		after time.Duration
		asked int
	}{{0, 1}, {time.Minute, 1}, {10 * time.Minute, 2}} {
		now = now.Add(want.after)
		if _, err := c.Decide(t.Context(), ours, may("1", "S.A")); err != nil || len(s.at.asked) != want.asked {
			t.Errorf("after %s more it was asked for %d times, want %d: %v", want.after, len(s.at.asked), want.asked, err)
		}
	}
}

// TestMemory_sharesNothing: what is kept does not hold on to what it came from.
func TestMemory_sharesNothing(t *testing.T) {
	rule := &access.Rule{Type: "p", Values: []string{"u:1"}}
	s := &stand{at: standing{revision: 5, decide: func(*access.Request) (access.Decision, error) {
		d := granted
		d.Rule = rule
		return d, nil
	}}}
	c := cache.New(s, cache.Options{Memory: 1 << 20})
	for range 2 {
		d, err := c.Decide(t.Context(), ours, may("1", "S.A"))
		if err != nil || !reflect.DeepEqual(d.Rule, rule) {
			t.Fatalf("got %+v, %v", d, err)
		}
		if len(s.at.asked) == 2 {
			t.Error("it was not kept")
		}
	}
	rule.Values[0] = "u:2"
	if d, _ := c.Decide(t.Context(), ours, may("1", "S.A")); d.Rule.Values[0] != "u:1" {
		t.Error("what is kept changes with what it came from")
	}
}

// TestMemory_isBounded: a hundred thousand questions stay within the weight.
func TestMemory_isBounded(t *testing.T) {
	const most = 200 << 10
	r := newReplica(t, cache.Options{Memory: most})
	r.install(t, policyOf(ours, 1, true))
	for i := range 20_000 {
		q := may("1", "S.A")
		q.Context = map[string]any{"n": i}
		r.ask(t, ours, q)
	}
	if s := r.Stats().Memory; s.Stored != 20_000 || s.Bytes > 2*most || s.Entries > 2*most/400 {
		t.Errorf("%+v", s)
	}
}

// TestWarm_isNotLookedFor: what is answered at once is looked for only where
// everything is.
func TestWarm_isNotLookedFor(t *testing.T) {
	for mode, want := range map[cache.Mode]uint64{cache.Auto: 0, cache.Always: 1} {
		r := newReplica(t, cache.Options{Redis: openRedis(t), Mode: mode, Memory: 1 << 20})
		r.cold.Store(0)
		r.install(t, policyOf(ours, 1, true))
		r.ask(t, ours, may("1", "S.A"))
		if s := r.Stats().Redis; s.Reads != want {
			t.Errorf("%s: %+v", mode, s)
		}
	}
}

// TestOpenRedis_wantsASecret: without a good one nothing is opened, and the
// error says how to make one.
func TestOpenRedis_wantsASecret(t *testing.T) {
	for _, secret := range []string{"", "short", string(make([]byte, cache.MinSecret-1))} {
		if _, err := cache.OpenRedis(cache.RedisOptions{Addresses: []string{"127.0.0.1:1"}, Secret: secret}); err == nil {
			t.Errorf("%q is accepted", secret)
		}
	}
	if _, err := cache.OpenRedis(cache.RedisOptions{Secret: secretOfTests}); err == nil {
		t.Error("no address is accepted")
	}
}
