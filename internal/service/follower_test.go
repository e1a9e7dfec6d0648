package service_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// source is a store whose answers a test decides; what follows it is real.
type source struct {
	mu      sync.Mutex
	heads   map[string]access.Revision
	epochs  map[string]string
	broken  map[string]error
	down    error
	keys    []access.APIKey
	loading func(tenant string) // called while a tenant is loaded in full

	polls, loads, reads, keyReads int  // how often heads, facts, differences and keys were read
	cut                           bool // the history is not there: only full loads do
}

func (s *source) Heads(context.Context) (map[string]access.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polls++
	heads := map[string]access.Head{}
	for t, r := range s.heads {
		heads[t] = access.Head{Revision: r, Epoch: s.epochs[t]}
	}
	return heads, s.down
}

func (s *source) Load(_ context.Context, tenant string) (access.Facts, error) {
	s.mu.Lock()
	s.loads++
	facts := access.Facts{Tenant: tenant, Revision: s.heads[tenant], Epoch: s.epochs[tenant]}
	err, loading := s.broken[tenant], s.loading
	s.mu.Unlock()
	if loading != nil {
		loading(tenant)
	}
	return facts, err
}

func (s *source) Changes(_ context.Context, tenant string, from access.Revision) (access.Delta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.cut {
		return access.Delta{}, &access.Error{Kind: access.ErrStale, Message: "load in full"}
	}
	return access.Delta{Tenant: tenant, From: from, To: s.heads[tenant], At: committed}, s.broken[tenant]
}

// committed is when every revision of a source was.
var committed = time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC)

func (s *source) Expire(context.Context, string, time.Time) (access.Delta, error) {
	return access.Delta{}, nil
}

// commit makes a revision of the tenant crm, and of it the difference.
func (s *source) commit() access.Delta {
	const tenant = "crm"
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heads[tenant]++
	return access.Delta{Tenant: tenant, From: s.heads[tenant] - 1, To: s.heads[tenant], At: committed}
}

func (s *source) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *source) Keys(context.Context) ([]access.APIKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyReads++
	return append([]access.APIKey(nil), s.keys...), nil
}

func (s *source) AddKey(_ context.Context, k access.APIKey, _ access.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, k)
	return nil
}

func (s *source) RevokeKey(_ context.Context, tenant, id string, _ access.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.keys {
		if s.keys[i].ID == id && s.keys[i].Tenant == tenant {
			s.keys[i].Revoked = time.Now()
			return nil
		}
	}
	return access.NotFound("key", id)
}

// installed records what was put into force.
type installed struct {
	mu  sync.Mutex
	now map[string]access.Revision
	all []string
	bad error // of every difference
}

func (e *installed) history() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.all, " ")
}

func (e *installed) Prepare(f access.Facts) (func(access.Revision), error) {
	return func(r access.Revision) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.now[f.Tenant] = r
		e.all = append(e.all, fmt.Sprintf("%s:%d", f.Tenant, r))
	}, nil
}

func (e *installed) Advance(d access.Delta) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bad != nil || e.now[d.Tenant] != d.From {
		return cmp.Or(e.bad, error(&access.Error{Kind: access.ErrStale, Message: "another revision"}))
	}
	e.now[d.Tenant] = d.To
	e.all = append(e.all, fmt.Sprintf("%s:%d+%d", d.Tenant, d.From, d.To-d.From))
	return nil
}

func (e *installed) Remove(tenant string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.now, tenant)
}

func (e *installed) Decide(_ context.Context, tenant string, _ *access.Request) (access.Decision, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.now[tenant]
	if !ok {
		return access.Decision{}, access.NotFound("tenant", tenant)
	}
	return access.Decision{Allowed: true, Revision: r}, nil
}

func (e *installed) DecideAll(ctx context.Context, tenant string, rs []access.Request) ([]access.Decision, error) {
	d, err := e.Decide(ctx, tenant, nil)
	return []access.Decision{d}[:min(len(rs), 1)], err
}

func (e *installed) Explain(ctx context.Context, tenant string, r *access.Request) (access.Explanation, error) {
	d, err := e.Decide(ctx, tenant, r)
	return access.Explanation{Decision: d}, err
}

type rig struct {
	source    *source
	engine    *installed
	keys      *service.Keys
	follower  *service.Follower
	decisions *service.Decisions
	now       time.Time
}

func (r *rig) clock() time.Time {
	r.source.mu.Lock()
	defer r.source.mu.Unlock()
	return r.now
}

func (r *rig) tick(d time.Duration) { r.source.set(func() { r.now = r.now.Add(d) }) }

func newRig(change ...func(*service.FollowerOptions)) *rig {
	r := &rig{
		source: &source{heads: map[string]access.Revision{"crm": 1}, epochs: map[string]string{}, broken: map[string]error{}},
		engine: &installed{now: map[string]access.Revision{}}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	r.keys = service.NewKeys(r.source, service.KeysOptions{})
	o := service.FollowerOptions{Clock: r.clock, CatchUpWithin: time.Minute}
	for _, c := range change {
		c(&o)
	}
	r.follower = service.NewFollower(r.engine, r.source, r.keys, o)
	r.decisions = service.NewDecisions(r.engine, r.follower, nil)
	return r
}

var asker = access.Caller{Name: "key:crm", Tenant: "crm", May: access.KeyDecide}

func (r *rig) check(t *testing.T) (access.Decision, error) {
	t.Helper()
	return r.decisions.Check(t.Context(), asker, "crm", &access.Request{}, access.Consistency{})
}

// TestFollower_staleRefuses: no decision before the first poll, and none later
// than 10 s after the last one that was confirmed (C4, D2).
func TestFollower_staleRefuses(t *testing.T) {
	r := newRig()
	if _, err := r.check(t); !errors.Is(err, access.ErrUnavailable) {
		t.Fatalf("before the first poll: %v", err)
	}
	if err := r.follower.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.source.down = errors.New("dial tcp 10.0.0.5:3306: refused")
	r.tick(10 * time.Second)
	if err := r.follower.Poll(t.Context()); err == nil {
		t.Fatal("a poll of a store that is down succeeds")
	}
	if d, err := r.check(t); err != nil || !d.Allowed {
		t.Fatalf("after 10 s: %v", err)
	}
	if got := r.follower.Ready(); !got.Ready || len(got.Reasons) != 1 || strings.Contains(got.Reasons[0], "10.0.0.5") {
		t.Errorf("degraded, in words, without addresses: %+v", got)
	}
	r.tick(time.Nanosecond)
	if _, err := r.check(t); !errors.Is(err, access.ErrUnavailable) {
		t.Fatalf("after more than 10 s: %v", err)
	}
	if got := r.follower.Ready(); got.Ready {
		t.Errorf("ready: %+v", got)
	}
	r.source.down = nil
	if err := r.follower.Poll(t.Context()); err != nil || !r.follower.Ready().Ready {
		t.Errorf("it does not recover: %v", err)
	}
}

// TestFollower_brokenTenantKeepsLastGood (F2): one tenant that cannot be loaded
// keeps deciding by its last good revision, the others go on.
func TestFollower_brokenTenantKeepsLastGood(t *testing.T) {
	r := newRig()
	_ = r.follower.Poll(t.Context())
	r.source.heads = map[string]access.Revision{"crm": 2, "shop": 1, "new": 1}
	r.source.broken["crm"] = access.Problems{{Message: "rule 7 is malformed", Code: "rule-malformed"}}
	r.source.broken["new"] = errors.New("odd")
	if err := r.follower.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d, err := r.check(t); err != nil || d.Revision != 1 {
		t.Errorf("crm: %+v %v", d, err)
	}
	if r.engine.now["shop"] != 1 {
		t.Error("shop was not loaded")
	}

	if _, err := r.decisions.Check(t.Context(), everybody, "new", &access.Request{}, access.Consistency{}); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("a tenant that exists and was never loaded: %v", err)
	}
	if _, err := r.decisions.Check(t.Context(), everybody, "none", &access.Request{}, access.Consistency{}); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a tenant that does not exist: %v", err)
	}
	got := strings.Join(r.follower.Ready().Reasons, "\n")
	if !strings.Contains(got, `revision 1 of tenant "crm" stays: rule 7 is malformed`) {
		t.Errorf("ready says %s", got)
	}
	delete(r.source.broken, "crm")
	r.tick(6 * time.Second)
	_ = r.follower.Poll(t.Context())
	if d, _ := r.check(t); d.Revision != 2 {
		t.Errorf("it does not recover: %+v", d)
	}
}

// TestFollower_neverBackwards: a slow load of an old revision cannot undo a
// newer one, and a store that lost revisions is not followed.
func TestFollower_neverBackwards(t *testing.T) {
	r := newRig()
	_ = r.follower.Poll(t.Context())
	r.source.cut, r.source.heads["crm"] = true, 2
	r.source.loading = func(string) { // while revision 2 is loaded, 3 is committed and put in force
		r.source.set(func() { r.source.loading = nil })
		d := r.source.commit()
		d.From = 1
		if err := service.InForce(t.Context(), r.follower, "crm", d); err != nil {
			t.Error(err)
		}
	}
	_ = r.follower.Poll(t.Context())
	if got := r.engine.history(); got != "crm:1 crm:1+2" {
		t.Fatalf("installed %s", got)
	}
	r.source.heads["crm"] = 1
	if err := r.follower.Poll(t.Context()); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("a store that lost a revision is followed: %v", err)
	}
	r.tick(11 * time.Second)
	if _, err := r.check(t); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("and decides: %v", err)
	}
}

// TestDecisions_callerFirst: nobody learns anything about a tenant that is not
// his, not even that it is stale.
func TestDecisions_callerFirst(t *testing.T) {
	r := newRig()
	for name, c := range map[string]access.Caller{
		"another tenant": {Tenant: "shop", May: access.KeyAdmin}, "no kind": {Tenant: "crm"}, "nobody": {},
	} {
		if _, err := r.decisions.Check(t.Context(), c, "crm", &access.Request{}, access.Consistency{}); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("Check by %s: %v", name, err)
		}
		if _, err := r.decisions.CheckAll(t.Context(), c, "crm", nil, access.Consistency{}); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("CheckAll by %s: %v", name, err)
		}
	}
	if _, err := r.decisions.Explain(t.Context(), asker, "crm", &access.Request{}, access.Consistency{}); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("Explain with a key of kind decide: %v", err)
	}
}

// TestKeys_authenticate: random, hashed, compared as a whole; all failures alike.
func TestKeys_authenticate(t *testing.T) {
	r := newRig()
	admin := access.Caller{Name: "operator-1", Tenant: "crm", May: access.KeyAdmin}
	text, key, err := r.keys.Create(t.Context(), admin, "crm", access.KeyRead, "till")
	if err != nil {
		t.Fatal(err)
	}
	if len(text) != 59 || !strings.HasPrefix(text, "bw_"+key.ID+"_") {
		t.Errorf("the text is %q", text)
	}
	if c, err := r.keys.Authenticate(text); err != nil || c != (access.Caller{Name: "key:till", Tenant: "crm", May: access.KeyRead}) {
		t.Errorf("got %+v, %v", c, err)
	}
	other, _, _ := r.keys.Create(t.Context(), admin, "crm", access.KeyRead, "other")
	for _, bad := range []string{"", text[:58], text + "a", text[:16] + other[16:], other[:16] + text[16:], strings.Replace(text, "bw_", "bx_", 1)} {
		if c, err := r.keys.Authenticate(bad); !errors.Is(err, service.ErrUnauthenticated) || c != (access.Caller{}) {
			t.Errorf("%q: %+v, %v", bad, c, err)
		}
	}
	if err := r.keys.Revoke(t.Context(), admin, "crm", key.ID, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.keys.Authenticate(text); !errors.Is(err, service.ErrUnauthenticated) {
		t.Errorf("revoked: %v", err)
	}
	if _, _, err := r.keys.Create(t.Context(), admin, access.AllTenants, access.KeyAdmin, "up"); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("an administrator of one tenant makes a key for all: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = r.keys.Authenticate(other) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestFollower_startTakesLong: a first load that takes longer than a confirmation
// holds is no reason not to start.
func TestFollower_startTakesLong(t *testing.T) {
	r := newRig()
	r.source.loading = func(string) { r.tick(time.Minute) }
	if err := r.follower.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ready := r.follower.Ready(); !ready.Ready || len(ready.Reasons) > 0 {
		t.Errorf("not ready after the start: %v", ready.Reasons)
	}
}
