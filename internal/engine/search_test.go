package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

// naive answers searches by asking everything, one by one.
type naive struct {
	t testing.TB
	s *engine.Snapshot
	f access.Facts
}

func (n naive) allowed(r access.Request, now time.Time) (bool, time.Time) {
	n.t.Helper()
	d, err := n.s.Decide(&r, now)
	if err != nil {
		n.t.Fatal(err)
	}
	return d.Allowed, d.ValidUntil
}

// menu asks for every section and every action that some section knows, or for
// all actions at once where they are given.
func (n naive) menu(r access.Request, only access.Section, now time.Time) access.Menu {
	menu := access.Menu{Revision: n.s.Revision()}
	for _, section := range n.sections() {
		if only != "" && section != only {
			continue
		}
		ask := r
		ask.Section = section
		if len(r.Actions) > 0 {
			if ok, _ := n.allowed(ask, now); ok {
				menu.Sections = append(menu.Sections, access.Allowed{Section: section, Actions: r.Actions})
			}
			continue
		}
		var actions []access.Action
		for _, a := range append([]access.Action{"show", "insert", "update", "delete", "execute", "fax"}, "print", "send") {
			ask.Actions = []access.Action{a}
			if ok, _ := n.allowed(ask, now); ok {
				actions = append(actions, a)
			}
		}
		if len(actions) > 0 {
			menu.Sections = append(menu.Sections, access.Allowed{Section: section, Actions: actions})
		}
	}
	return menu
}

func (n naive) sections() []access.Section {
	all := []access.Section{"T.A.X", "Tx", "S"}
	for _, app := range n.f.Catalogue {
		for i := range app.Sections {
			all = append(all, app.Sections[i].Path)
		}
	}
	slices.Sort(all)
	return all
}

// declares tells whether the catalogue has a section. Who searches in another one
// is told so.
func (n naive) declares(section access.Section) bool { return n.knows(section, "show") }

// subjects asks for everybody there is, and somebody there is not.
func (n naive) subjects(r access.Request, kind string, now time.Time) []access.Subject {
	everybody := []access.Subject{access.Anonymous, {Kind: access.KindUser, ID: "nobody"}, {Kind: access.KindApplication, ID: "three"}}
	for i := range n.f.Users {
		everybody = append(everybody, access.Subject{Kind: access.KindUser, ID: n.f.Users[i].ID})
	}
	for i := range n.f.Catalogue {
		everybody = append(everybody, access.Subject{Kind: access.KindApplication, ID: n.f.Catalogue[i].Code})
	}
	slices.SortFunc(everybody, func(a, b access.Subject) int { return strings.Compare(a.String(), b.String()) })
	var found []access.Subject
	for _, s := range everybody {
		ask := r
		ask.Subject = s
		if ok, _ := n.allowed(ask, now); ok && (kind == "" || kind == s.Type()) {
			found = append(found, s)
		}
	}
	return found
}

func forEachPolicy(t *testing.T, policies int, each func(m maker, n naive, now time.Time)) {
	t.Helper()
	for seed := range uint64(policies) {
		m := newMaker(seed)
		facts := m.policy().Facts()
		facts.Revision = access.Revision(seed)
		s, err := engine.Compile(facts)
		if err != nil {
			t.Fatal(err)
		}
		now := clock.Add([]time.Duration{0, 0, -24 * time.Hour, 24 * time.Hour, 36 * time.Hour}[seed%5])
		each(m, naive{t: t, s: s, f: facts}, now)
	}
}

// TestSearch_likeOneByOne: what a search finds is what is allowed when
// everything is asked one by one, no more and no less (D3).
func TestSearch_likeOneByOne(t *testing.T) {
	policies, each := some(200), 8
	searches, found := map[string]int{}, map[string]int{}
	count := func(name string, n int) {
		searches[name]++
		if n > 0 {
			found[name]++
		}
	}
	ctx := t.Context()
	forEachPolicy(t, policies, func(m maker, n naive, now time.Time) {
		for range each {
			r := *m.request()
			got, err := n.s.Actions(ctx, &r, now)
			one := r
			one.Actions = nil
			declared := n.declares(r.Section)
			if declared {
				compare(t, "actions", r, got, n.menu(one, r.Section, now), err)
				count("actions", len(got.Sections))
			} else if !errors.Is(err, access.ErrInvalid) {
				t.Errorf("actions on %s, which nobody declares: %v", r.Section, err)
			}

			got, err = n.s.Sections(ctx, &r, now)
			compare(t, "sections", r, got, n.menu(r, "", now), err)
			count("sections", len(got.Sections))

			got, err = n.s.Sections(ctx, &one, now)
			compare(t, "menu", one, got, n.menu(one, "", now), err)
			count("menu", len(got.Sections))

			kind := pick(m, []string{"", "", "user", "app", "anonymous"})
			who, err := n.s.Subjects(ctx, &access.SubjectSearch{Request: r, Type: kind, Most: 1000}, now)
			if !declared {
				if !errors.Is(err, access.ErrInvalid) || who.Subjects != nil {
					t.Errorf("subjects on %s, which nobody declares: %v, %v", r.Section, who.Subjects, err)
				}
				continue
			}
			compare(t, "subjects "+kind, r, who.Subjects, n.subjects(r, kind, now), err)
			count("subjects", len(who.Subjects))
			if who.More {
				t.Fatal("more is promised behind the last")
			}
		}
	})
	t.Logf("searches %v, of which found something %v", searches, found)
	for name, total := range searches {
		if found[name] < total/10 || found[name] > total*99/100 {
			t.Errorf("%s: %d of %d found something: the comparison does not cover both", name, found[name], total)
		}
	}
}

func compare[T any](t *testing.T, what string, r access.Request, got, want T, err error) {
	t.Helper()
	if m, ok := any(&got).(*access.Menu); ok {
		m.ValidUntil = time.Time{} // has a test of its own
	}
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Fatalf("%s of %s %v on %s at %q\n  found: %+v (%v)\n  one by one: %+v", what, r.Subject, r.Actions, r.Section, r.Scope, got, err, want)
	}
}

// TestSearch_catchesShortcuts: a candidate that is not found is noticed, however
// the reverse graph is broken.
func TestSearch_catchesShortcuts(t *testing.T) {
	for name, mutate := range engine.SearchMutations {
		t.Run(name, func(t *testing.T) {
			noticed := false
			forEachPolicy(t, 60, func(m maker, n naive, now time.Time) {
				if noticed {
					return
				}
				mutate(n.s)
				for range 8 {
					r := *m.request()
					if !n.declares(r.Section) {
						continue
					}
					got, err := n.s.Subjects(t.Context(), &access.SubjectSearch{Request: r, Most: 1000}, now)
					noticed = noticed || err != nil || fmt.Sprint(got.Subjects) != fmt.Sprint(n.subjects(r, "", now))
				}
			})
			if !noticed {
				t.Error("the comparison did not notice it")
			}
		})
	}
}

// TestSearch_paging: parts of any size make the same whole.
func TestSearch_paging(t *testing.T) {
	parts := 0
	forEachPolicy(t, some(200), func(m maker, n naive, now time.Time) {
		r := *m.request()
		r.Section = "T.A"
		whole := fmt.Sprint(n.subjects(r, "", now))
		for _, size := range []int{1, 5, 16, 100} {
			var all []access.Subject
			search := access.SubjectSearch{Request: r, Most: size}
			for more := true; more; parts++ {
				part, err := n.s.Subjects(t.Context(), &search, now)
				if err != nil || len(part.Subjects) > size || part.More && len(part.Subjects) != size {
					t.Fatalf("size %d: %+v, %v", size, part, err)
				}
				if all = append(all, part.Subjects...); part.More {
					search.After = all[len(all)-1]
				}
				more = part.More
			}
			if fmt.Sprint(all) != whole {
				t.Fatalf("size %d: %v, want %s", size, all, whole)
			}
		}
	})
	if parts < some(800) {
		t.Errorf("only %d parts", parts)
	}
}

// TestSearch_after: a part begins behind a name even where nobody has it.
func TestSearch_after(t *testing.T) {
	facts := access.Policy{
		Tenant: "t", Catalogue: []access.Application{{Code: "a", Sections: []access.SectionEntry{{Path: "T"}}}},
		Roles: []access.Role{{Code: "r", Grants: []access.Grant{{Section: "T", Rights: access.Show}}}},
	}
	for _, id := range []string{"1", "2", "4"} {
		facts.Users = append(facts.Users, access.User{ID: id, Roles: []access.Link{{To: "r"}}})
	}
	s, err := engine.Compile(facts.Facts())
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[string]string{"0": "[user:1 user:2 user:4]", "1": "[user:2 user:4]", "3": "[user:4]", "4": "[]", "9": "[]"} {
		got, err := s.Subjects(t.Context(), &access.SubjectSearch{
			Request: access.Request{Section: "T", Actions: []access.Action{"show"}},
			After:   access.Subject{Kind: access.KindUser, ID: after}, Most: 10,
		}, clock)
		if err != nil || fmt.Sprint(got.Subjects) != want {
			t.Errorf("behind %s: %v, %v; want %s", after, got.Subjects, err, want)
		}
	}
}

// TestSearch_superuser: who passes the superuser's gate is found even where no
// rule stands behind it.
func TestSearch_superuser(t *testing.T) {
	p := access.Policy{
		Tenant: "t", Catalogue: []access.Application{{Code: "a", Sections: []access.SectionEntry{{Path: "T"}}}},
		Users: []access.User{{ID: "1", Roles: []access.Link{{To: access.SuperuserRole}}}, {ID: "2"}},
	}
	facts := p.Facts()
	facts.Rules = slices.DeleteFunc(slices.Clone(facts.Rules), func(r access.Rule) bool { return r.Type == "p" })
	s, err := engine.Compile(facts)
	if err != nil {
		t.Fatal(err)
	}
	search := access.SubjectSearch{Request: access.Request{Section: "T", Actions: []access.Action{"show"}}, Most: 10}
	got, err := s.Subjects(t.Context(), &search, clock)
	if err != nil || fmt.Sprint(got.Subjects) != "[user:1]" {
		t.Errorf("found %v, %v", got.Subjects, err)
	}
}

// TestSearch_candidates: nobody is asked about whom no grant could help, and
// everybody is whom one may help later.
func TestSearch_candidates(t *testing.T) {
	grant := func(g access.Grant) []access.Grant { return []access.Grant{g} }
	p := access.Policy{
		Tenant: "t", Scopes: []access.ScopeNode{{Scope: "store:a"}, {Scope: "store:b"}},
		Catalogue: []access.Application{{Code: "a", Sections: []access.SectionEntry{{Path: "T"}, {Path: "T.A"}, {Path: "U"}}}},
		Users: []access.User{
			{ID: "above", Grants: grant(access.Grant{Section: "T", Rights: access.Show})},
			{ID: "denied", Grants: grant(access.Grant{Section: "T.A", Rights: access.Show, Effect: access.Deny})},
			{ID: "elsewhere", Grants: grant(access.Grant{Section: "T.A", Rights: access.Show, Scope: "store:b"})},
			{ID: "here", Grants: grant(access.Grant{Section: "T.A", Rights: access.Show, Scope: "store:a"})},
			{ID: "inherits", Grants: grant(access.Grant{Section: "T", Rights: access.Show | access.Inherit})},
			{ID: "later", Grants: grant(access.Grant{Section: "T.A", Rights: access.Show, Validity: access.Validity{From: clock.Add(time.Hour)}})},
			{ID: "nothing"},
			{ID: "other", Grants: grant(access.Grant{Section: "U", Rights: access.Show})},
			{ID: "super", Roles: []access.Link{{To: access.SuperuserRole}}},
			{ID: "update", Grants: grant(access.Grant{Section: "T.A", Rights: access.Update})},
		},
	}
	s, err := engine.Compile(p.Facts())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Candidates(access.Request{Section: "T.A", Actions: []access.Action{"show"}, Scope: "store:a"})
	if want := "[user:here user:inherits user:later user:super]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v, %v; want %s", got, err, want)
	}
}

// TestSearch_validUntil: until then nothing that was found changes, and it is
// not later than that of any answer for one of the sections.
func TestSearch_validUntil(t *testing.T) {
	bounded := 0
	forEachPolicy(t, some(100), func(m maker, n naive, now time.Time) {
		r := *m.request()
		r.Section = "T.A"
		menu, err := n.s.Sections(t.Context(), &access.Request{Subject: r.Subject, Scope: r.Scope, Context: r.Context}, now)
		who, err2 := n.s.Subjects(t.Context(), &access.SubjectSearch{Request: r, Most: 3}, now)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		want := time.Time{}
		for _, section := range n.sections() {
			for _, a := range []access.Action{"show", "insert", "update", "delete", "execute", "print", "send"} {
				if n.knows(section, a) {
					_, until := n.allowed(access.Request{Subject: r.Subject, Scope: r.Scope, Context: r.Context, Section: section, Actions: []access.Action{a}}, now)
					want = access.Sooner(want, until)
				}
			}
		}
		if !menu.ValidUntil.Equal(want) {
			t.Fatalf("the menu of %s holds until %s, its answers until %s", r.Subject, menu.ValidUntil, want)
		}
		if who.ValidUntil.After(now) {
			bounded++
			later, err := n.s.Subjects(t.Context(), &access.SubjectSearch{Request: r, Most: 3}, who.ValidUntil.Add(-1))
			if err != nil || fmt.Sprint(later.Subjects, later.More) != fmt.Sprint(who.Subjects, who.More) {
				t.Fatalf("found %v until %s, and %v just before (%v)", who.Subjects, who.ValidUntil, later.Subjects, err)
			}
		}
	})
	if bounded < 5 {
		t.Errorf("only %d searches are bounded in time", bounded)
	}
}

// knows tells whether a section can be asked about an action.
func (n naive) knows(section access.Section, a access.Action) bool {
	for _, app := range n.f.Catalogue {
		for i := range app.Sections {
			if app.Sections[i].Path == section {
				return a.Right() != 0 || slices.ContainsFunc(app.Sections[i].Actions, func(e access.ActionEntry) bool { return e.Name == string(a) })
			}
		}
	}
	return false
}

// impatient ends after it was looked at a number of times.
type impatient struct {
	context.Context
	looks int
}

func (c *impatient) Err() error {
	if c.looks--; c.looks < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestSearch_unfinished: a search that is cut off is an error and never a part
// of the answer.
func TestSearch_unfinished(t *testing.T) {
	e := engine.New(engine.Options{})
	s, err := engine.Compile(populous(11_000, 5_000))
	if err != nil {
		t.Fatal(err)
	}
	e.Install(s)
	r := oracle.SampleRequest(11_000, 0)
	all := r
	all.Actions = nil
	for name, search := range map[string]func(context.Context) (string, error){
		"sections": func(ctx context.Context) (string, error) {
			m, err := e.SearchSections(ctx, s.Tenant(), &all)
			return fmt.Sprint(m.Sections), err
		},
		"subjects": func(ctx context.Context) (string, error) {
			h, err := e.SearchSubjects(ctx, s.Tenant(), &access.SubjectSearch{Request: r, Most: 1 << 30})
			return fmt.Sprint(h.Subjects), err
		},
	} {
		whole, err := search(t.Context())
		if err != nil || len(whole) < 10 {
			t.Fatalf("%s: %s, %v", name, whole, err)
		}
		cutOff := 0
		for looks := 0; ; looks++ {
			got, err := search(&impatient{Context: context.Background(), looks: looks})
			if err == nil {
				if got != whole {
					t.Errorf("%s: a part was given as the whole", name)
				}
				break
			}
			cutOff++
			if !errors.Is(err, access.ErrUnavailable) || got != "[]" {
				t.Fatalf("%s: %s, %v", name, got, err)
			}
		}
		if cutOff < 2 {
			t.Errorf("%s: nobody looked at the time while searching", name)
		}
	}
}

// TestSearch_refuses what cannot be searched, naming the field, a section that is
// not known too; any other unknown name finds nothing.
func TestSearch_refuses(t *testing.T) {
	e := engine.New(engine.Options{})
	foreign := access.Facts{Tenant: "foreign", Model: "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n" +
		"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n"}
	for _, f := range []access.Facts{newMaker(1).policy().Facts(), foreign} {
		s, err := engine.Compile(f)
		if err != nil {
			t.Fatal(err)
		}
		e.Install(s)
	}
	good := access.Request{Subject: access.Anonymous, Actions: []access.Action{"show"}, Section: "T.A"}
	with := func(edit func(*access.Request)) access.Request {
		r := good
		edit(&r)
		return r
	}
	for name, c := range map[string]struct {
		tenant string
		r      access.Request
		fails  string // initials of the searches that refuse it
	}{
		"good":              {"random", good, ""},
		"foreign model":     {"foreign", good, "asw"},
		"raw":               {"random", access.Request{Raw: []any{"1", "*", "T.A", "show"}}, "asw"},
		"no subject":        {"random", with(func(r *access.Request) { r.Subject = access.Subject{} }), "as"},
		"no section":        {"random", with(func(r *access.Request) { r.Section = "" }), "aw"},
		"no action":         {"random", with(func(r *access.Request) { r.Actions = nil }), "w"},
		"unknown section":   {"random", with(func(r *access.Request) { r.Section = "T.Nowhere" }), "aw"},
		"unknown action":    {"random", with(func(r *access.Request) { r.Actions = []access.Action{"juggle"} }), ""},
		"unknown scope":     {"random", with(func(r *access.Request) { r.Scope = "store:nowhere" }), ""},
		"malformed section": {"random", with(func(r *access.Request) { r.Section = "T..A" }), "aw"},
		"malformed scope":   {"random", with(func(r *access.Request) { r.Scope = "store" }), "asw"},
		"malformed action":  {"random", with(func(r *access.Request) { r.Actions = []access.Action{"inherit"} }), "sw"},
	} {
		_, a := e.SearchActions(t.Context(), c.tenant, &c.r)
		_, s := e.SearchSections(t.Context(), c.tenant, &c.r)
		_, w := e.SearchSubjects(t.Context(), c.tenant, &access.SubjectSearch{Request: c.r, Most: 1})
		for i, err := range []error{a, s, w} {
			letter := "asw"[i : i+1]
			if want := strings.Contains(c.fails, letter); errors.Is(err, access.ErrInvalid) != want || !want && err != nil {
				t.Errorf("%s: %s: %v", name, letter, err)
			}
		}
	}
	if _, err := e.SearchSubjects(t.Context(), "random", &access.SubjectSearch{Request: good}); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("at most nothing: %v", err)
	}
	if _, err := e.SearchSubjects(t.Context(), "nowhere", &access.SubjectSearch{Request: good, Most: 1}); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("unknown tenant: %v", err)
	}
}

// populous adds users to the sample, each in one group.
func populous(rules, users int) access.Facts {
	facts := oracle.Sample(rules)
	groups := len(facts.Groups)
	for i := range users {
		id := fmt.Sprintf("more-%d", i)
		facts.Users = append(facts.Users, access.UserFacts{ID: id, Status: access.UserActive})
		facts.Rules = append(facts.Rules, access.Rule{Type: "g", Values: []string{"u:" + id, fmt.Sprintf("g:group-%d", i%groups), "*"}})
	}
	return facts
}

// BenchmarkSearch is a whole menu and all holders of a right, beside asking for
// the same one by one.
func BenchmarkSearch(b *testing.B) {
	const rules = 110_000
	facts := populous(rules, 100_000)
	s, err := engine.Compile(facts)
	if err != nil {
		b.Fatal(err)
	}
	r := oracle.SampleRequest(rules, 0)
	all := r
	all.Actions = nil
	n := naive{t: b, s: s, f: facts}
	for name, run := range map[string]func() int{
		"menu":            func() int { m, _ := s.Sections(b.Context(), &all, clock); return len(m.Sections) },
		"menu/one-by-one": func() int { return len(n.menu(all, "", clock).Sections) },
		"subjects": func() int {
			h, _ := s.Subjects(b.Context(), &access.SubjectSearch{Request: r, Most: 1 << 30}, clock)
			return len(h.Subjects)
		},
		"subjects/one-by-one": func() int { return len(n.subjects(r, "", clock)) },
		"subjects/a-page-of-50": func() int {
			h, _ := s.Subjects(b.Context(), &access.SubjectSearch{Request: r, Most: 50}, clock)
			return len(h.Subjects)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			found := 0
			for b.Loop() {
				found = run()
			}
			b.ReportMetric(float64(found), "found")
		})
	}
}
