package cache_test

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/cache"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// replica is an engine with a cache in front of it, and a clock of its own.
type replica struct {
	*cache.Decisions
	engine *engine.Engine
	redis  *cache.Redis
	people people
	cold   atomic.Int32 // of how many questions in a hundred it is said that the facts are not at hand
	now    atomic.Pointer[time.Time]
}

// people are a store's users, who are asked for one by one.
type people struct{ now *access.Facts }

// Subjects reads users.
func (p *people) Subjects(_ context.Context, _ string, ids []string) ([]access.SubjectFacts, error) {
	all := make([]access.SubjectFacts, len(ids))
	for i, id := range ids {
		all[i] = p.user(id)
	}
	return all, nil
}

// Users reads a page of them.
func (p *people) Users(_ context.Context, _, after string, most int) ([]access.SubjectFacts, error) {
	var page []access.SubjectFacts
	for _, id := range userIDs { // in order
		if id > after && len(page) < most {
			page = append(page, p.user(id))
		}
	}
	return page, nil
}

func (p *people) user(id string) access.SubjectFacts {
	found := access.SubjectFacts{Revision: p.now.Revision, Changed: p.now.Stripes[access.StripeOf(id)]}
	for _, u := range p.now.Users {
		if u.ID == id {
			found.UserFacts, found.Known = u, true
		}
	}
	for _, r := range p.now.Rules {
		if r.Values[0] == "u:"+id {
			found.Rules = append(found.Rules, r)
		}
	}
	return found
}

// catchUp brings the tenant whose users are fetched to where its store is.
func (r *replica) catchUp(context.Context, string) error {
	install, err := r.engine.Prepare(withoutUsers(*r.people.now))
	if err == nil {
		install(r.people.now.Revision)
	}
	return err
}

// withoutUsers gives the facts of ours as those of a tenant whose users are fetched.
func withoutUsers(f access.Facts) access.Facts {
	f.Tenant, f.Fetched, f.Users = fetched, true, nil
	f.Rules = slices.DeleteFunc(slices.Clone(f.Rules), func(r access.Rule) bool {
		return strings.HasPrefix(r.Values[0], "u:") && r.Values[0] != access.Anonymous.Rule()
	})
	return f
}

// pinning gives the cache what the wiring of the server gives it. A cold
// question is one of which the engine says that it is.
type pinning struct {
	*engine.Engine
	of *replica
}

func (p pinning) Pin(tenant string) (cache.Snapshot, error) {
	s, err := p.Engine.Pin(tenant)
	return pinned{s, p.of}, err
}

type pinned struct {
	engine.Pinned
	of *replica
}

func (p pinned) Warm(r *access.Request) bool {
	return p.Pinned.Warm(r) && rand.Int32N(100) >= p.of.cold.Load()
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newReplica makes a replica whose questions are all cold.
func newReplica(t testing.TB, o cache.Options) *replica {
	t.Helper()
	r := &replica{redis: o.Redis}
	r.now.Store(new(start))
	r.cold.Store(100)
	o.Clock = r.clock
	r.engine = engine.New(engine.Options{Clock: r.clock, Subjects: &r.people, Behind: r.catchUp, CacheBytes: 4000})
	r.Decisions = cache.New(pinning{r.engine, r}, o)
	return r
}

func (r *replica) clock() time.Time { return *r.now.Load() }

func (r *replica) pass(d time.Duration) { r.now.Store(new(r.clock().Add(d))) }

// installAll puts the state of a world in force.
func (r *replica) installAll(t testing.TB, w *world) {
	t.Helper()
	r.people.now = &w.ours
	r.install(t, w.ours)
	r.install(t, w.theirs)
	r.install(t, withoutUsers(w.ours))
}

// install puts a state in force.
func (r *replica) install(t testing.TB, f access.Facts) {
	t.Helper()
	install, err := r.engine.Prepare(f)
	if err != nil {
		t.Fatal(err)
	}
	install(f.Revision)
}

// ask puts a question to the cache and to the engine behind it, and expects one
// answer. The clock stands still meanwhile.
func (r *replica) ask(t testing.TB, tenant string, q *access.Request) (d access.Decision) {
	t.Helper()
	r.agree(t, tenant, q,
		func() (any, error) { var err error; d, err = r.Decide(t.Context(), tenant, q); return d, err },
		func() (any, error) { return r.engine.Decide(t.Context(), tenant, q) })
	return d
}

// agree expects one answer to a question. An engine that finds its store ahead
// of it moves on while it answers: then the cache is asked once more.
func (r *replica) agree(t testing.TB, tenant string, q any, cached, direct func() (any, error)) {
	t.Helper()
	for {
		before := r.revision(tenant)
		got, err := cached()
		want, wantErr := direct()
		switch {
		case fmt.Sprint(err) == fmt.Sprint(wantErr) && reflect.DeepEqual(plain(got), plain(want)):
			return
		case r.revision(tenant) == before:
			t.Fatalf("%s: %+v\ngot  %+v, %v\nwant %+v, %v", tenant, q, got, err, want, wantErr)
		}
	}
}

func (r *replica) revision(tenant string) access.Revision {
	s, ok := r.engine.Snapshot(tenant)
	if !ok {
		return 0
	}
	return s.Revision()
}

// plain gives answers whose lists may be empty or missing as text.
func plain(answer any) any {
	switch answer.(type) {
	case access.Menu, access.Holders:
		return fmt.Sprintf("%+v", answer)
	}
	return answer
}

// secretOfTests is known to all replicas of the tests, and not to the attacker.
const secretOfTests = "a secret of at least thirty-two bytes"

var prefixes sync.Map

// prefixOf is the prefix of one run of one test: runs make other states under
// the same revisions.
func prefixOf(t testing.TB) string {
	t.Helper()
	p, known := prefixes.LoadOrStore(t.Name(), "bw-"+t.Name()+"-"+crand.Text()+":")
	if !known {
		t.Cleanup(func() { prefixes.Delete(t.Name()) })
	}
	return p.(string) //nolint:forcetypeassert // nothing else is in it
}

// openRedis uses the shared test Redis under a prefix of the test's own.
func openRedis(t testing.TB, edit ...func(*cache.RedisOptions)) *cache.Redis {
	t.Helper()
	o := cache.RedisOptions{
		Secret: secretOfTests, Prefix: prefixOf(t),
		Timeout: 5 * time.Second, // so long that a busy machine makes no misses
		Retry:   10 * time.Millisecond,
	}
	for _, e := range edit {
		e(&o)
	}
	if len(o.Addresses) == 0 {
		o.Addresses = []string{accesstest.Redis(t)}
	}
	r, err := cache.OpenRedis(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// world makes random states of two tenants, one with the built-in model and one
// with a model of its own, and random questions about them.
type world struct {
	*rand.Rand
	ours   access.Facts
	theirs access.Facts
	policy *access.Policy
	places map[string]int64 // of rules
}

const (
	ours    = "ours"
	theirs  = "theirs"
	fetched = "fetched" // as ours, with users that are asked for one by one
)

var (
	userIDs  = []string{"1", "2", "3", "4", "5", "6"}
	groups   = []string{"g0", "g1", "g2"}
	sections = []access.Section{"S", "S.A", "S.A.B", "S.C"}
	places   = []access.Scope{"*", "store:a", "store:b"}
	texts    = []string{
		"", "", "", "", "context.level > 2", "resource.amount < 100", "now < timestamp('2026-03-02T00:00:00Z')", "context.missing == 1",
	}
)

const theirModel = `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = (g(r.sub, p.sub) || p.sub == "all") && keyMatch2(r.obj, p.obj) && regexMatch(r.act, p.act)
`

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), places: map[string]int64{}}
	w.policy = &access.Policy{Tenant: ours, Anonymous: "g0", Scopes: []access.ScopeNode{{Scope: "store:a", Parent: "*"}, {Scope: "store:b", Parent: "*"}}}
	app := access.Application{Code: "shop", Grants: w.grants(2)}
	for _, s := range sections {
		app.Sections = append(app.Sections, access.SectionEntry{Path: s})
	}
	w.policy.Catalogue = []access.Application{app}
	for _, g := range groups {
		w.policy.Groups = append(w.policy.Groups, access.Group{Code: g, Grants: w.grants(4)})
	}
	for _, id := range userIDs {
		w.policy.Users = append(w.policy.Users, access.User{ID: id, Groups: w.links(), Grants: w.grants(1)})
	}
	w.ours, w.theirs = w.facts(), access.Facts{Tenant: theirs, Model: theirModel, Rules: w.lines()}
	for _, f := range []*access.Facts{&w.ours, &w.theirs} {
		f.Epoch, f.Revision, f.Policy, f.Stripes = "epoch-1", 1, 1, map[access.Stripe]access.Revision{}
	}
	return w
}

// facts numbers the rules, as a store does: a rule that stays keeps its place.
func (w *world) facts() access.Facts {
	f := w.policy.Facts()
	for i := range f.Rules {
		line := fmt.Sprintf("%+v %+v", f.Rules[i], f.Rules[i].Validity)
		if w.places[line] == 0 {
			w.places[line] = int64(len(w.places) + 1)
		}
		f.Rules[i].Place = w.places[line]
	}
	slices.SortStableFunc(f.Rules, func(a, b access.Rule) int { return cmp.Compare(a.Place, b.Place) })
	return f
}

func one[T any](w *world, from []T) T { return from[w.IntN(len(from))] }

func (w *world) validity() access.Validity {
	switch w.IntN(8) {
	case 0:
		return access.Validity{Until: start.Add(time.Duration(w.IntN(100)) * time.Minute)}
	case 1:
		return access.Validity{From: start.Add(time.Duration(w.IntN(100)) * time.Minute)}
	}
	return access.Validity{}
}

func (w *world) grants(most int) []access.Grant {
	var all []access.Grant
	for range w.IntN(most + 1) {
		g := access.Grant{
			Section: one(w, sections), Rights: access.Rights(w.IntN(64)), Scope: one(w, places),
			Condition: one(w, texts), Validity: w.validity(),
		}
		if w.IntN(4) == 0 {
			g.Effect = access.Deny
		}
		all = append(all, g)
	}
	return all
}

func (w *world) links() []access.Link {
	var all []access.Link
	for _, g := range groups {
		if w.IntN(3) == 0 {
			all = append(all, access.Link{To: g, Scope: one(w, places), Validity: w.validity()})
		}
	}
	return all
}

func (w *world) lines() []access.Rule {
	var all []access.Rule
	for range 30 {
		effect := one(w, []string{"allow", "allow", "deny"})
		all = append(all, access.Rule{
			Type: "p", Validity: w.validity(),
			Values: []string{one(w, []string{"all", "r1", "r2", "1"}), one(w, []string{"/a/:id", "/b", "/c/*"}), one(w, []string{"get", "g.t", "post|put"}), effect},
		})
	}
	for _, id := range userIDs {
		all = append(all, access.Rule{Type: "g", Values: []string{id, one(w, []string{"r1", "r2"})}, Validity: w.validity()})
	}
	return all
}

// step changes something: a user alone, or what concerns all.
func (w *world) step() {
	if w.IntN(3) == 0 {
		f := w.theirs
		f.Revision++
		f.Policy, f.Rules = f.Revision, w.lines()
		w.theirs = f
		return
	}
	before := w.ours
	if w.IntN(2) == 0 {
		w.policy.Groups[w.IntN(len(groups))].Grants = w.grants(4)
		w.ours = w.facts()
		w.ours.Policy, w.ours.Stripes = before.Revision+1, before.Stripes
	} else {
		i := w.IntN(len(userIDs))
		u := access.User{ID: userIDs[i], Groups: w.links(), Grants: w.grants(1), Status: one(w, []access.UserStatus{access.UserActive, access.UserActive, access.UserDisabled})}
		w.policy.Users = slices.Clone(w.policy.Users)
		w.policy.Users[i] = u
		w.ours = w.facts()
		w.ours.Policy, w.ours.Stripes = before.Policy, map[access.Stripe]access.Revision{access.StripeOf(u.ID): before.Revision + 1}
		for s, r := range before.Stripes {
			if _, ok := w.ours.Stripes[s]; !ok {
				w.ours.Stripes[s] = r
			}
		}
	}
	w.ours.Revision, w.ours.Epoch = before.Revision+1, before.Epoch
}

// question makes a question for one of the tenants, now and then a wrong one.
func (w *world) question() (tenant string, q *access.Request) {
	if w.IntN(4) == 0 {
		q := &access.Request{Raw: []any{one(w, userIDs), one(w, []string{"/a/1", "/b", "/c/d/e"}), one(w, []string{"get", "put", "delete"})}}
		if w.IntN(20) == 0 {
			q.Raw = q.Raw[:2]
		}
		return theirs, q
	}
	q = &access.Request{
		Subject: access.Subject{Kind: access.KindUser, ID: one(w, append(userIDs, "nobody"))}, Section: one(w, sections), Scope: one(w, places),
		Actions: []access.Action{one(w, []access.Action{"show", "update", "delete"})},
	}
	if w.IntN(3) == 0 {
		q.Context = map[string]any{"level": float64(w.IntN(5))}
		q.ResourceAttributes = map[string]any{"amount": one(w, []any{50.0, 500.0, "50", nil})}
	}
	switch w.IntN(30) {
	case 0:
		q.Subject = access.Anonymous
	case 1:
		q.Subject = access.Subject{Kind: access.KindApplication, ID: "shop"}
	case 2:
		q.Section = "S.Unknown"
	case 3:
		q.Actions = nil
	case 4:
		q.Actions = append(q.Actions, "insert")
	}
	if w.IntN(2) == 0 {
		return fetched, q
	}
	return ours, q
}

// askAnything puts one question, some questions at once or a search.
func (w *world) askAnything(t testing.TB, r *replica) {
	t.Helper()
	tenant, q := w.question()
	switch w.IntN(10) {
	case 0:
		w.askAll(t, r, tenant, q)
	case 1:
		w.search(t, r, tenant, q)
	default:
		r.ask(t, tenant, q)
	}
}

func (w *world) askAll(t testing.TB, r *replica, tenant string, first *access.Request) {
	t.Helper()
	all := []access.Request{*first}
	for len(all) < 10 {
		if other, q := w.question(); other == tenant {
			all = append(all, *q)
		}
	}
	r.agree(t, tenant, all,
		func() (any, error) { return r.DecideAll(t.Context(), tenant, all) },
		func() (any, error) { return r.engine.DecideAll(t.Context(), tenant, all) })
}

func (w *world) search(t testing.TB, r *replica, tenant string, q *access.Request) {
	t.Helper()
	switch w.IntN(3) {
	case 0:
		r.agree(t, tenant, q,
			func() (any, error) { return r.SearchActions(t.Context(), tenant, q) },
			func() (any, error) { return r.engine.SearchActions(t.Context(), tenant, q) })
	case 1:
		r.agree(t, tenant, q,
			func() (any, error) { return r.SearchSections(t.Context(), tenant, q) },
			func() (any, error) { return r.engine.SearchSections(t.Context(), tenant, q) })
	default:
		s := &access.SubjectSearch{Request: *q, Most: 1 + w.IntN(5)}
		if w.IntN(2) == 0 {
			s.After = access.Subject{Kind: access.KindUser, ID: one(w, userIDs)}
		}
		r.agree(t, tenant, s,
			func() (any, error) { return r.SearchSubjects(t.Context(), tenant, s) },
			func() (any, error) { return r.engine.SearchSubjects(t.Context(), tenant, s) })
	}
}
