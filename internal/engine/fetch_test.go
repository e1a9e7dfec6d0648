package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// source gives users out of facts, as a store would.
type source struct {
	mu    sync.Mutex
	facts access.Facts
	fails error
	calls [][]string // ids of each call of Subjects
	pages int
	block chan struct{} // where set, calls wait until it is closed or they are given up

	now, most int // calls under way
}

func (s *source) enter(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += n
	s.most = max(s.most, s.now)
}

func (s *source) set(f access.Facts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.facts = f
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = err
}

// Subjects reads users of one revision.
func (s *source) Subjects(ctx context.Context, _ string, ids []string) ([]access.SubjectFacts, error) {
	s.enter(1)
	defer s.enter(-1)
	if s.block != nil {
		select {
		case <-s.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, ids)
	if s.fails != nil {
		return nil, s.fails
	}
	all := make([]access.SubjectFacts, len(ids))
	for i, id := range ids {
		all[i] = s.user(id)
	}
	return all, nil
}

func (s *source) user(id string) access.SubjectFacts {
	found := access.SubjectFacts{Revision: s.facts.Revision, Changed: s.facts.Stripes[access.StripeOf(id)]}
	for _, u := range s.facts.Users {
		if u.ID == id {
			found.UserFacts, found.Known = u, true
		}
	}
	for _, r := range s.facts.Rules {
		if found.Known && r.Values[0] == "u:"+id {
			found.Rules = append(found.Rules, r)
		}
	}
	return found
}

// Users reads one page.
func (s *source) Users(_ context.Context, _, after string, most int) ([]access.SubjectFacts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages++
	if s.fails != nil {
		return nil, s.fails
	}
	users := slices.Clone(s.facts.Users)
	slices.SortFunc(users, func(a, b access.UserFacts) int { return cmp.Compare(a.ID, b.ID) })
	var page []access.SubjectFacts
	for _, u := range users {
		if u.ID > after && len(page) < most {
			page = append(page, s.user(u.ID))
		}
	}
	return page, nil
}

func (s *source) called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// withoutUsers gives facts as a store does where users are fetched.
func withoutUsers(f access.Facts) access.Facts {
	f.Fetched, f.Users = true, nil
	f.Rules = slices.DeleteFunc(slices.Clone(f.Rules), func(r access.Rule) bool {
		return strings.HasPrefix(r.Values[0], "u:") && r.Values[0] != "u:anonymous"
	})
	return f
}

func fetching(t testing.TB, f access.Facts, o engine.Options) (*engine.Engine, *source) {
	t.Helper()
	from := &source{facts: f}
	o.Subjects, o.Clock = from, func() time.Time { return clock }
	e := engine.New(o)
	install(t, e, withoutUsers(f))
	return e, from
}

func install(t testing.TB, e *engine.Engine, f access.Facts) {
	t.Helper()
	put, err := e.Prepare(f)
	if err != nil {
		t.Fatal(err)
	}
	put(f.Revision)
}

// both ways of keeping users, side by side through one history.
type pairOf struct {
	resident, fetched *engine.Engine
	from              *source
}

func (p *pairOf) advance(t *testing.T, h *history) {
	t.Helper()
	d := h.step()
	p.from.set(h.facts)
	if err := p.resident.Advance(d); err != nil {
		t.Fatal(err)
	}
	if d.Frame != nil {
		f := *d.Frame
		f.Fetched = true
		d.Frame = &f
	}
	if h.chance(50) { // a store may leave out what is not kept
		mine := func(r access.Rule) bool { return strings.HasPrefix(r.Values[0], "u:") && r.Values[0] != "u:anonymous" }
		d.Users, d.Left = nil, nil
		d.Gone, d.Rules = slices.DeleteFunc(d.Gone, mine), slices.DeleteFunc(d.Rules, mine)
	}
	if err := p.fetched.Advance(d); err != nil {
		t.Fatal(err)
	}
}

// ask gives everything an engine answers about requests. What to grant comes in
// another order where nobody knows how many users there are.
func askAll(t *testing.T, e *engine.Engine, rs []access.Request) string {
	t.Helper()
	ctx := t.Context()
	var all []any
	batch, err := e.DecideAll(ctx, "random", rs)
	all = append(all, batch, err)
	for i := range rs {
		r := &rs[i]
		d, err := e.Decide(ctx, "random", r)
		x, err2 := e.Explain(ctx, "random", r)
		for i := range x.Parts {
			slices.Sort(x.Parts[i].NearestTo)
		}
		actions, err3 := e.SearchActions(ctx, "random", r)
		sections, err4 := e.SearchSections(ctx, "random", r)
		who, err5 := e.SearchSubjects(ctx, "random", &access.SubjectSearch{Request: *r, Most: 100})
		first, err6 := e.SearchSubjects(ctx, "random", &access.SubjectSearch{Request: *r, Most: 2, After: access.Subject{Kind: access.KindUser, ID: "2"}})
		pin, err7 := e.Pin("random")
		all = append(all, d, x, actions, sections, who, first, pin.Stamp(r.Subject))
		if err := errors.Join(err, err2, known(err3), err4, known(err5), known(err6), err7); err != nil {
			t.Fatal(err)
		}
	}
	return text(t, all...)
}

// TestFetched_likeResident: whether users are kept or fetched makes no
// difference, through random histories.
func TestFetched_likeResident(t *testing.T) {
	for seed := range uint64(some(24)) {
		h := newHistory(seed)
		p := pairOf{resident: engine.New(engine.Options{Clock: func() time.Time { return clock }})}
		p.fetched, p.from = fetching(t, h.facts, engine.Options{})
		install(t, p.resident, h.facts)
		for step := range 20 {
			var rs []access.Request
			for range 6 {
				rs = append(rs, *h.request())
			}
			got, want := askAll(t, p.fetched, rs), askAll(t, p.resident, rs)
			if got != want {
				t.Fatalf("seed %d, step %d\n fetched: %s\nresident: %s", seed, step, got, want)
			}
			p.advance(t, h)
		}
	}
}

// some users, one of whom can be made to hold a role or not.
func revocable() access.Facts {
	f := small().Facts()
	f.Revision, f.Policy, f.Stripes = 1, 1, map[access.Stripe]access.Revision{}
	placed(&f)
	return f
}

// revoke takes all lines from clerk-1, or gives them back.
func revoke(f access.Facts, held []access.Rule) (access.Facts, access.Delta) {
	next := clone(f)
	next.Revision++
	if slices.ContainsFunc(f.Rules, func(r access.Rule) bool { return r.Values[0] == "u:clerk-1" }) {
		next.Rules = slices.DeleteFunc(next.Rules, func(r access.Rule) bool { return r.Values[0] == "u:clerk-1" })
	} else {
		next.Rules = append(next.Rules, held...)
		slices.SortFunc(next.Rules, func(a, b access.Rule) int { return cmp.Compare(a.Place, b.Place) })
	}
	return next, deltaOf(&f, &next)
}

func clerkLines(f access.Facts) []access.Rule {
	return slices.DeleteFunc(slices.Clone(f.Rules), func(r access.Rule) bool { return r.Values[0] != "u:clerk-1" })
}

// TestFetched_calls: a user is asked for once, whether he exists or not, and
// the users of a batch by one call.
func TestFetched_calls(t *testing.T) {
	e, from := fetching(t, revocable(), engine.Options{})
	show := func(id string) access.Request { return *ask("user:"+id, "System.Orders", "show") }
	for range 3 {
		for id, allowed := range map[string]bool{"clerk-1": true, "nobody": false} {
			r := show(id)
			if d, err := e.Decide(t.Context(), "t", &r); err != nil || d.Allowed != allowed {
				t.Fatalf("%s: %+v, %v", id, d, err)
			}
		}
	}
	if n := from.called(); n != 2 {
		t.Errorf("%d calls for two users", n)
	}
	batch := []access.Request{show("clerk-1"), show("clerk-2"), show("off-1"), show("biller-1"), show("clerk-2"), {}, {Raw: []any{"model-1", "*", "System.Orders", "show"}}}
	all, err := e.DecideAll(t.Context(), "t", batch)
	if err != nil || from.called() != 3 {
		t.Fatalf("%d calls, %v: %q", from.called(), err, from.calls)
	}
	if !all[0].Allowed || !all[1].Allowed || all[2].Reason != access.ReasonApplicationOff || !all[4].Allowed || all[5].Reason != access.ReasonRequestInvalid || all[6].Reason != access.ReasonSubjectTemplateOnly {
		t.Errorf("got %+v", all)
	}
	if got := slices.Sorted(slices.Values(from.calls[2])); !slices.Equal(got, []string{"biller-1", "clerk-2", "model-1", "off-1"}) {
		t.Errorf("asked for %q", got)
	}
	if d, err := e.Decide(t.Context(), "t", &access.Request{Subject: access.Subject{Kind: access.KindUser, ID: "a,b"}}); !errors.Is(err, access.ErrInvalid) || d.Allowed || from.called() != 3 {
		t.Errorf("a malformed id: %+v, %v, %d calls", d, err, from.called())
	}
	if d, err := e.Decide(t.Context(), "t", ask("anonymous", "System.Chats", "show")); err != nil || !d.Allowed || from.called() != 3 {
		t.Errorf("anonymous: %+v, %v, %d calls", d, err, from.called())
	}
}

// TestFetched_together: many who ask for one user at the same time cause one call.
func TestFetched_together(t *testing.T) {
	e, from := fetching(t, revocable(), engine.Options{})
	from.block = make(chan struct{})
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if d, err := e.Decide(context.Background(), "t", ask("user:clerk-1", "System.Orders", "show")); err != nil || !d.Allowed {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
	time.Sleep(10 * time.Millisecond) // lets some of them wait for the same call
	close(from.block)
	wait.Wait()
	if n := from.called(); n != 1 {
		t.Errorf("%d calls", n)
	}
	if d, err := e.Decide(t.Context(), "t", ask("user:clerk-1", "System.Orders", "show")); err != nil || !d.Allowed {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestFetched_failures: a store that fails gives an error of kind ErrUnavailable,
// never a denial for want of roles, and is asked again the next time.
func TestFetched_failures(t *testing.T) {
	e, from := fetching(t, revocable(), engine.Options{})
	r := ask("user:clerk-1", "System.Orders", "show")
	from.fail(errors.New("no connection"))
	for range 2 {
		d, err := e.Decide(t.Context(), "t", r)
		if !errors.Is(err, access.ErrUnavailable) || d.Allowed || d.Reason != "" {
			t.Errorf("got %+v, %v", d, err)
		}
		if all, err := e.DecideAll(t.Context(), "t", []access.Request{*r}); !errors.Is(err, access.ErrUnavailable) || len(all) > 0 && all[0].Allowed {
			t.Errorf("got %+v, %v", all, err)
		}
		if x, err := e.Explain(t.Context(), "t", r); !errors.Is(err, access.ErrUnavailable) || x.Allowed {
			t.Errorf("got %+v, %v", x, err)
		}
		if found, err := e.SearchSubjects(t.Context(), "t", &access.SubjectSearch{Request: *r, Most: 9}); !errors.Is(err, access.ErrUnavailable) || len(found.Subjects) > 0 {
			t.Errorf("got %+v, %v", found, err)
		}
	}
	from.fail(nil)
	if d, err := e.Decide(t.Context(), "t", r); err != nil || !d.Allowed {
		t.Errorf("once it works: %+v, %v", d, err)
	}
	nowhere := engine.New(engine.Options{})
	install(t, nowhere, withoutUsers(revocable()))
	if d, err := nowhere.Decide(t.Context(), "t", r); !errors.Is(err, access.ErrUnavailable) || d.Allowed {
		t.Errorf("without a source: %+v, %v", d, err)
	}
	s, _ := nowhere.Snapshot("t")
	if d, err := s.Decide(r, clock); !errors.Is(err, access.ErrUnavailable) || d.Allowed {
		t.Errorf("the snapshot alone: %+v, %v", d, err)
	}
}

// TestFetched_slow: a store that does not answer in time is one that fails, and
// never are more calls under way than may be.
func TestFetched_slow(t *testing.T) {
	e, from := fetching(t, revocable(), engine.Options{})
	engine.Hurry(e, 20*time.Millisecond)
	from.block = make(chan struct{})
	var wait sync.WaitGroup
	for i := range 3 * engine.FetchesAtOnce {
		wait.Go(func() {
			r := ask(fmt.Sprintf("user:slow-%d", i), "System.Orders", "show")
			if d, err := e.Decide(context.Background(), "t", r); !errors.Is(err, access.ErrUnavailable) || d.Allowed {
				t.Errorf("got %+v, %v", d, err)
			}
		})
	}
	wait.Wait()
	if most := from.most; most > engine.FetchesAtOnce || most < 2 {
		t.Errorf("%d calls at once", most)
	}
	close(from.block)
	engine.Hurry(e, time.Minute)
	if d, err := e.Decide(t.Context(), "t", ask("user:clerk-1", "System.Orders", "show")); err != nil || !d.Allowed {
		t.Errorf("once it answers: %+v, %v", d, err)
	}
}

// strange gives wrong answers.
type strange struct {
	*source
	edit func([]access.SubjectFacts) []access.SubjectFacts
}

// Subjects changes what the source gives.
func (s strange) Subjects(ctx context.Context, tenant string, ids []string) ([]access.SubjectFacts, error) {
	all, err := s.source.Subjects(ctx, tenant, ids)
	return s.edit(all), err
}

// TestFetched_wrongAnswers: whatever a store gives that does not fit the
// question or the policy, nobody is allowed anything by it.
func TestFetched_wrongAnswers(t *testing.T) {
	for name, edit := range map[string]func([]access.SubjectFacts) []access.SubjectFacts{
		"nobody":        func([]access.SubjectFacts) []access.SubjectFacts { return nil },
		"somebody else": func(a []access.SubjectFacts) []access.SubjectFacts { a[0].ID = "clerk-2"; return a },
		"lines of others": func(a []access.SubjectFacts) []access.SubjectFacts {
			a[0].Rules = []access.Rule{{Type: "g", Values: []string{"u:root-1", "superuser", "*"}, Place: 1}}
			return a
		},
		"an unknown scope": func(a []access.SubjectFacts) []access.SubjectFacts {
			a[0].Rules = append(a[0].Rules, access.Rule{Type: "p", Values: []string{"u:clerk-1", "store:z", "System.Orders", "2", "deny", "-"}, Place: 1})
			return a
		},
		"an old state":  func(a []access.SubjectFacts) []access.SubjectFacts { a[0].Revision = 0; return a },
		"a later state": func(a []access.SubjectFacts) []access.SubjectFacts { a[0].Revision, a[0].Changed = 9, 9; return a },
	} {
		f := revocable()
		f.Stripes[access.StripeOf("clerk-1")] = 1
		e := engine.New(engine.Options{Subjects: strange{&source{facts: f}, edit}})
		install(t, e, withoutUsers(f))
		d, err := e.Decide(t.Context(), "t", ask("user:clerk-1", "System.Orders", "show"))
		if !errors.Is(err, access.ErrUnavailable) || d.Allowed {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// TestFetched_behind: what the store knows before the snapshot does is not used;
// the question starts again once the snapshot has caught up.
func TestFetched_behind(t *testing.T) {
	f := revocable()
	held := clerkLines(f)
	var e *engine.Engine
	var late []access.Delta
	behind := 0
	catchUp := func(_ context.Context, tenant string) error {
		if behind++; tenant != "t" || len(late) == 0 {
			return errors.New("nothing new")
		}
		d := late[0]
		late = late[1:]
		return e.Advance(d)
	}
	e, from := fetching(t, f, engine.Options{Behind: catchUp})
	next, d := revoke(f, held)
	from.set(next)
	late = []access.Delta{d}
	r := ask("user:clerk-1", "System.Orders", "show")
	if d, err := e.Decide(t.Context(), "t", r); err != nil || d.Allowed || d.Revision != 2 || behind != 1 {
		t.Errorf("got %+v, %v after %d", d, err, behind)
	}
	if d, err := e.Decide(t.Context(), "t", ask("user:clerk-2", "System.Orders", "show")); err != nil || !d.Allowed || behind != 1 {
		t.Errorf("somebody else: %+v, %v after %d", d, err, behind)
	}
	next, _ = revoke(next, held)
	from.set(next)
	if d, err := e.DecideAll(t.Context(), "t", []access.Request{*r}); err != nil || d[0].Allowed || behind != 1 {
		t.Errorf("what is remembered holds at its revision: %+v, %v", d, err)
	}
	pin, err := e.Pin("t")
	if err != nil || !pin.Warm(r) || pin.Warm(ask("user:off-1", "System.Orders", "show")) || !pin.Warm(ask("app:crm", "System.Orders", "show")) {
		t.Errorf("warm is not who was asked about, %v", err)
	}
	engine.ForgetAll(e)
	if d, err := e.DecideAll(t.Context(), "t", []access.Request{*r}); !errors.Is(err, access.ErrUnavailable) || behind != 2 {
		t.Errorf("nothing newer is in force: %+v, %v after %d", d, err, behind)
	}
	if found, err := e.SearchSubjects(t.Context(), "t", &access.SubjectSearch{Request: *r, Most: 9}); !errors.Is(err, access.ErrUnavailable) || behind != 3 {
		t.Errorf("nothing newer is in force: %+v, %v after %d", found, err, behind)
	}
}

// TestFetched_behindScope: so it is where a user's lines name what the snapshot
// does not know at all.
func TestFetched_behindScope(t *testing.T) {
	f := revocable()
	next := clone(f)
	next.Revision++
	next.Scopes = append(next.Scopes, access.ScopeNode{Scope: "store:new"})
	next.Rules = append(next.Rules, access.Rule{Type: "p", Place: 9000, Values: []string{"u:clerk-1", "store:new", "System.Orders", "16", "allow", "-"}})
	d := deltaOf(&f, &next)
	frame := *d.Frame
	frame.Fetched, d.Frame = true, &frame
	var e *engine.Engine
	e, from := fetching(t, f, engine.Options{Behind: func(context.Context, string) error { return e.Advance(d) }})
	from.set(next)
	r := ask("user:clerk-1", "System.Orders", "delete")
	r.Scope = "store:new"
	if d, err := e.Decide(t.Context(), "t", r); err != nil || !d.Allowed || d.Revision != 2 {
		t.Errorf("got %+v, %v", d, err)
	}
}

// TestFetched_sharedByRevisions: a record that was read for a later revision is
// of use to an earlier one only as far as that knows its names.
func TestFetched_sharedByRevisions(t *testing.T) {
	f := revocable()
	f.Rules = append(f.Rules, access.Rule{Type: "g", Place: 8000, Values: []string{"u:clerk-1", "r:lonely", "*"}})
	e, from := fetching(t, f, engine.Options{})
	old, err := e.Pin("t")
	first, _ := e.Snapshot("t")
	if err != nil {
		t.Fatal(err)
	}
	next := clone(f)
	next.Revision++
	next.Rules = append(next.Rules, access.Rule{Type: "p", Place: 9000, Values: []string{"r:lonely", "*", "System.Orders", "16", "allow", "-"}})
	if err := e.Advance(deltaOf(&f, &next)); err != nil {
		t.Fatal(err)
	}
	from.set(next)
	r := ask("user:clerk-1", "System.Orders", "delete")
	if _, err := e.Decide(t.Context(), "t", r); err != nil {
		t.Fatal(err)
	}
	if x, err := first.Explain(r, clock); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("what names a role that is not known is used: %+v", x)
	}
	for range 3 {
		for revision, decide := range map[access.Revision]func() (access.Decision, error){
			2: func() (access.Decision, error) { return e.Decide(t.Context(), "t", r) },
			1: func() (access.Decision, error) { return old.Decide(t.Context(), r) },
		} {
			if d, err := decide(); err != nil || d.Revision != revision || d.Allowed != (revision == 2) {
				t.Errorf("got %+v, %v", d, err)
			}
		}
	}
}

// TestFetched_revocationIsNotLost: a user who is read, then revoked, and only
// then remembered, is not allowed by what was read.
func TestFetched_revocationIsNotLost(t *testing.T) {
	if lost := revocations(t, 300); lost > 0 {
		t.Errorf("%d revocations lost", lost)
	}
	engine.Unguard(true)
	defer engine.Unguard(false)
	if lost := revocations(t, 20); lost == 0 {
		t.Error("without the guard nothing is lost: the test shows nothing")
	}
}

func revocations(t *testing.T, rounds int) (lost int) {
	t.Helper()
	f := revocable()
	held := clerkLines(f)
	e, from := fetching(t, f, engine.Options{})
	r := ask("user:clerk-1", "System.Orders", "show")
	once := func() {}
	engine.OnLoaded(e, func() { once() })
	for range rounds {
		engine.ForgetAll(e)
		once = func() { // between the store's read and the remembering
			once = func() {}
			next, d := revoke(f, held)
			from.set(next)
			if err := e.Advance(d); err != nil {
				t.Error(err)
			}
			f = next
		}
		if _, err := e.Decide(t.Context(), "t", r); err != nil {
			t.Fatal(err)
		}
		d, err := e.Decide(t.Context(), "t", r)
		if err != nil {
			t.Fatal(err)
		}
		if d.Allowed {
			lost++
		}
		f, _ = restore(t, e, from, f, held)
	}
	return lost
}

// restore gives clerk-1 his lines back.
func restore(t *testing.T, e *engine.Engine, from *source, f access.Facts, held []access.Rule) (access.Facts, error) {
	t.Helper()
	next, d := revoke(f, held)
	from.set(next)
	err := e.Advance(d)
	if err != nil {
		t.Fatal(err)
	}
	return next, err
}

// TestFetched_race: while a user is revoked and restored, whoever asks after a
// change is in force is answered by it.
func TestFetched_race(t *testing.T) {
	f := revocable()
	held := clerkLines(f)
	var e *engine.Engine
	e, from := fetching(t, f, engine.Options{Behind: func(ctx context.Context, _ string) error {
		time.Sleep(time.Millisecond)
		return ctx.Err()
	}})
	r := ask("user:clerk-1", "System.Orders", "show")
	done := make(chan struct{})
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				d, err := e.Decide(context.Background(), "t", r)
				if err != nil && !errors.Is(err, access.ErrUnavailable) {
					t.Error(err)
				}
				if odd := d.Revision%2 == 1; err == nil && d.Allowed != odd { // revision 1 has the role, 2 has not
					t.Errorf("revision %d gives %v", d.Revision, d.Allowed)
				}
			}
		})
	}
	for range some(2000) {
		next, d := revoke(f, held)
		from.set(next)
		if err := e.Advance(d); err != nil {
			t.Fatal(err)
		}
		f = next
		got, err := e.Decide(context.Background(), "t", r)
		if err != nil || got.Allowed != (f.Revision%2 == 1) {
			t.Fatalf("revision %d is in force and gives %+v, %v", f.Revision, got, err)
		}
	}
	close(done)
	wait.Wait()
}

// TestFetched_pages: a search goes through all users, in order and by pages, and
// remembers none of them.
func TestFetched_pages(t *testing.T) {
	f := revocable()
	for i := range 2500 {
		id := fmt.Sprintf("more-%04d", i)
		f.Users = append(f.Users, access.UserFacts{ID: id, Status: access.UserActive})
		if i%2 == 0 {
			f.Rules = append(f.Rules, access.Rule{Type: "g", Values: []string{"u:" + id, "r:clerk", "*"}, Place: int64(100_000 + i)})
		}
	}
	e, from := fetching(t, f, engine.Options{})
	resident := engine.New(engine.Options{Clock: func() time.Time { return clock }})
	install(t, resident, f)
	search := access.SubjectSearch{Request: *ask("anonymous", "System.Orders", "show"), Most: 5000}
	got, err := e.SearchSubjects(t.Context(), "t", &search)
	want, err2 := resident.SearchSubjects(t.Context(), "t", &search)
	if err != nil || err2 != nil || text(t, got) != text(t, want) || len(got.Subjects) < 1250 {
		t.Errorf("%d found, %d where users are kept, %v %v", len(got.Subjects), len(want.Subjects), err, err2)
	}
	if from.pages != 3 || from.called() != 0 || e.Stats()[0].CacheEntries != 0 {
		t.Errorf("%d pages, %d calls, %d remembered", from.pages, from.called(), e.Stats()[0].CacheEntries)
	}
}
