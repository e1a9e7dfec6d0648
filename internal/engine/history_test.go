package engine_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
)

// history is a tenant that changes at random, revision by revision.
type history struct {
	maker
	facts access.Facts
	place int64 // of the last rule
}

func newHistory(seed uint64) *history {
	h := &history{maker: newMaker(seed)}
	h.facts = h.policy().Facts()
	h.facts.Revision, h.facts.Policy, h.facts.Epoch, h.facts.Stripes = 1, 1, "e", map[access.Stripe]access.Revision{}
	for i := range h.facts.Rules {
		h.place += 100
		h.facts.Rules[i].Place = h.place
		if h.chance(30) {
			h.facts.Rules[i].Origin = access.Origin{File: pick(h.maker, []string{"a.yaml", "b.csv"}), Line: i + 1, Column: h.IntN(3)}
		}
	}
	return h
}

// step makes the next revision, and gives the difference to it.
func (h *history) step() access.Delta {
	before := h.facts
	h.facts = clone(before)
	h.facts.Revision++
	for range 1 + h.IntN(3) {
		h.change()
	}
	if h.chance(30) {
		h.forget()
	}
	return deltaOf(&before, &h.facts)
}

func clone(f access.Facts) access.Facts {
	f.Rules, f.Users, f.Scopes, f.Conditions = slices.Clone(f.Rules), slices.Clone(f.Users), slices.Clone(f.Scopes), slices.Clone(f.Conditions)
	f.Groups, f.Stripes, f.Licences = maps.Clone(f.Groups), maps.Clone(f.Stripes), slices.Clone(f.Licences)
	f.Catalogue = slices.Clone(f.Catalogue)
	for i := range f.Catalogue {
		f.Catalogue[i].Sections = slices.Clone(f.Catalogue[i].Sections)
	}
	return f
}

func (h *history) change() {
	f := &h.facts
	switch h.IntN(20) {
	case 0, 1, 2, 3:
		h.addRule(h.grant())
	case 4, 5, 6:
		h.addRule(h.link())
	case 7, 8, 9, 10:
		if i := 1 + h.IntN(len(f.Rules)-1); len(f.Rules) > 20 { // the first is the sentinel
			f.Rules = slices.Delete(f.Rules, i, i+1)
		}
	case 11:
		f.Rules[1+h.IntN(len(f.Rules)-1)].Validity = h.validity()
	case 12, 13:
		h.changeUser()
	case 14:
		f.Groups[pick(h.maker, append(groupCodes, "g9"))] = pick(h.maker, []access.GroupKind{access.GroupRegular, access.GroupTemplate})
	case 15:
		delete(f.Groups, pick(h.maker, groupCodes))
	case 16:
		h.changeCatalogue()
	case 17:
		h.changeScopes()
	case 18:
		f.Licences = nil
		if h.chance(60) {
			f.Licences = []access.Licence{{Feature: pick(h.maker, []string{"chats", "faxes"})}}
		}
	case 19:
		f.Combining = pick(h.maker, []access.Combining{access.DenyOverrides, access.AllowOverrides})
	}
}

// owner gives somebody to hold a rule, sometimes one that nobody has heard of.
func (h *history) owner() string {
	return pick(h.maker, []string{
		"u:" + pick(h.maker, append(userIDs, "new", "ghost")), "u:" + pick(h.maker, userIDs), "u:anonymous",
		"a:" + pick(h.maker, []string{"one", "two", "three"}),
		"g:" + pick(h.maker, append(groupCodes, "g9")), "r:" + pick(h.maker, append(roleCodes[:6:6], "r9", "deep3", "deep10")),
	})
}

func (h *history) known() string {
	scopes := []string{"*"}
	for _, n := range h.facts.Scopes {
		scopes = append(scopes, string(n.Scope))
	}
	return pick(h.maker, scopes)
}

func (h *history) grant() access.Rule {
	what := access.RuleAct{Rights: access.Rights(1 + h.IntN(63))}
	if h.chance(20) {
		what = access.RuleAct{Rights: what.Rights & access.Inherit, Name: pick(h.maker, declared)}
	}
	condition := access.NoCondition
	if text := pick(h.maker, texts); text != "" {
		condition = access.ConditionID(text)
		if !slices.ContainsFunc(h.facts.Conditions, func(c access.Condition) bool { return c.ID == condition }) {
			h.facts.Conditions = append(h.facts.Conditions, access.Condition{ID: condition, Text: text})
		}
	}
	section := pick(h.maker, append(paths, "T.New", "U"))
	effect := pick(h.maker, []string{"allow", "allow", "deny"})
	return access.Rule{Type: "p", Values: []string{h.owner(), h.known(), string(section), what.String(), effect, condition}}
}

func (h *history) link() access.Rule {
	to := "g:" + pick(h.maker, append(groupCodes, "g9"))
	if h.chance(60) {
		to = "r:" + pick(h.maker, append(roleCodes[:6:6], "r9", "lonely"))
	}
	if h.chance(4) {
		to = access.SuperuserRole
	}
	return access.Rule{Type: "g", Values: []string{h.owner(), to, h.known()}}
}

// addRule puts a rule at the end, or at a free place among the others.
func (h *history) addRule(r access.Rule) {
	if slices.ContainsFunc(h.facts.Rules, r.Same) {
		return // a store keeps no line twice
	}
	r.Validity = h.validity()
	h.place += 100
	r.Place = h.place
	taken := func(o access.Rule) bool { return o.Place == r.Place }
	if h.chance(50) {
		if r.Place = 101 + h.Int64N(h.place-101); slices.ContainsFunc(h.facts.Rules, taken) {
			r.Place = h.place
		}
	}
	h.facts.Rules = append(h.facts.Rules, r)
	slices.SortFunc(h.facts.Rules, func(a, b access.Rule) int { return cmp.Compare(a.Place, b.Place) })
}

func (h *history) changeUser() {
	f := &h.facts
	id := pick(h.maker, append(userIDs, "new", "newer"))
	at := slices.IndexFunc(f.Users, func(u access.UserFacts) bool { return u.ID == id })
	if at >= 0 && h.chance(30) {
		f.Users = slices.Delete(f.Users, at, at+1)
		return
	}
	u := access.UserFacts{ID: id, Status: h.status()}
	if h.chance(50) {
		u.Attributes = map[string]any{"level": float64(h.IntN(5))}
		u.Licences = []string{pick(h.maker, []string{"chats", "faxes"})}
	}
	if h.chance(20) {
		u.ApplicationsOff = []string{pick(h.maker, []string{"one", "two"})}
	}
	if at < 0 {
		f.Users = append(f.Users, u)
		return
	}
	f.Users[at] = u
}

func (h *history) changeCatalogue() {
	f := &h.facts
	if len(f.Catalogue) < 2 || h.chance(20) {
		f.Catalogue = []access.Application{h.application("one", paths[:4]), h.application("two", paths[4:])}
		if h.chance(50) {
			f.Catalogue = append(f.Catalogue, access.Application{Code: "three", Sections: []access.SectionEntry{{Path: "T.New.Sub"}, {Path: "T.New"}}})
		}
		return
	}
	if h.chance(30) {
		f.Catalogue = f.Catalogue[:len(f.Catalogue)-1]
		return
	}
	if app := &f.Catalogue[h.IntN(len(f.Catalogue))]; (app.Code == "one" || app.Code == "two") && len(app.Sections) > 1 {
		path := app.Sections[0].Path
		*app = h.application(app.Code, []access.Section{path})
	}
}

// forget drops conditions that no rule names.
func (h *history) forget() {
	h.facts.Conditions = slices.DeleteFunc(h.facts.Conditions, func(c access.Condition) bool {
		return !slices.ContainsFunc(h.facts.Rules, func(r access.Rule) bool { return slices.Contains(r.Values, c.ID) })
	})
}

// changeScopes adds, moves or removes a scope; one that rules name stays.
func (h *history) changeScopes() {
	f := &h.facts
	switch h.IntN(3) {
	case 0:
		if scope := access.Scope(fmt.Sprintf("store:%d", h.IntN(4))); !slices.ContainsFunc(f.Scopes, func(n access.ScopeNode) bool { return n.Scope == scope }) {
			f.Scopes = append(f.Scopes, access.ScopeNode{Scope: scope, Parent: pick(h.maker, []access.Scope{"", "company:1", "company:11"})})
		}
	case 1:
		for i := range f.Scopes {
			if f.Scopes[i].Scope == "store:a" {
				f.Scopes[i].Parent = pick(h.maker, []access.Scope{"", "company:1", "company:11"})
			}
		}
	case 2:
		i := h.IntN(len(f.Scopes))
		name := f.Scopes[i].Scope
		used := slices.ContainsFunc(f.Rules, func(r access.Rule) bool { return slices.Contains(r.Values, string(name)) }) ||
			slices.ContainsFunc(f.Scopes, func(n access.ScopeNode) bool { return n.Parent == name })
		if !used && len(f.Scopes) > 3 {
			f.Scopes = slices.Delete(f.Scopes, i, i+1)
		}
	}
}

// deltaOf compares facts, and completes those of the later revision by what
// the store knows of policy and stripes.
func deltaOf(before, after *access.Facts) access.Delta {
	d := access.Delta{Tenant: after.Tenant, From: before.Revision, To: after.Revision, Stripes: map[access.Stripe]access.Revision{}}
	policy := false
	concern := func(r *access.Rule) {
		if kind, id, _ := access.ParseName(r.Values[0]); kind == access.KindUser && id != access.AnonymousID {
			d.Stripes[access.StripeOf(id)] = after.Revision
			return
		}
		policy = true
	}
	was := map[int64]*access.Rule{}
	for i := range before.Rules {
		was[before.Rules[i].Place] = &before.Rules[i]
	}
	for i := range after.Rules {
		r := &after.Rules[i]
		old := was[r.Place]
		delete(was, r.Place)
		if old != nil && reflect.DeepEqual(*old, *r) {
			continue
		}
		if concern(r); old != nil {
			concern(old)
			d.Gone = append(d.Gone, *old)
		}
		d.Rules = append(d.Rules, *r)
	}
	for _, r := range was {
		concern(r)
		d.Gone = append(d.Gone, *r)
	}
	users := map[string]access.UserFacts{}
	for _, u := range before.Users {
		users[u.ID] = u
	}
	for _, u := range after.Users {
		if old, known := users[u.ID]; !known || !reflect.DeepEqual(old, u) {
			d.Users = append(d.Users, u)
			d.Stripes[access.StripeOf(u.ID)] = after.Revision
		}
		delete(users, u.ID)
	}
	for id := range users {
		d.Left = append(d.Left, id)
		d.Stripes[access.StripeOf(id)] = after.Revision
	}
	if one, two := frame(*before), frame(*after); !reflect.DeepEqual(one, two) {
		d.Frame = &two
		policy = true
	}
	if after.Policy = before.Policy; policy {
		after.Policy = after.Revision
	}
	d.Policy = after.Policy
	maps.Copy(after.Stripes, d.Stripes)
	return d
}

func frame(f access.Facts) access.Facts {
	f.Rules, f.Users, f.Stripes, f.Revision, f.Policy, f.Epoch = nil, nil, nil, 0, 0, ""
	return f
}

// text writes an answer with all that it points to.
func text(t testing.TB, values ...any) string {
	t.Helper()
	out, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// answers asks a snapshot everything that can be asked about a request.
func answers(t *testing.T, s *engine.Snapshot, r *access.Request, now time.Time) string {
	t.Helper()
	d, err := s.Decide(r, now)
	x, err2 := s.Explain(r, now)
	actions, err3 := s.Actions(t.Context(), r, now)
	sections, err4 := s.Sections(t.Context(), r, now)
	who, err5 := s.Subjects(t.Context(), &access.SubjectSearch{Request: *r, Most: 100}, now)
	for _, err := range []error{err, err2, known(err3), err4, known(err5)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return text(t, d, x, actions, sections, who)
}

// known leaves out that nobody declares a section, which two who answer alike both say.
func known(err error) error {
	if errors.Is(err, access.ErrInvalid) && strings.Contains(err.Error(), "the catalogue knows no section") {
		return nil
	}
	return err
}

// TestAdvance_likeCompile: after every step of random histories the advanced
// snapshot answers, explains and finds what a fresh compile of the same facts
// does, and that what stock Casbin answers.
func TestAdvance_likeCompile(t *testing.T) {
	histories, steps := some(28), 30
	asked, onlyUsers := 0, 0
	for seed := range uint64(histories) {
		h := newHistory(seed)
		advanced := mustCompile(t, h.facts)
		for step := range steps {
			d := h.step()
			if d.Policy < d.To {
				onlyUsers++
			}
			next, err := advanced.Advance(d)
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			advanced = next
			fresh := mustCompile(t, h.facts)
			now := clock.Add([]time.Duration{0, -24 * time.Hour, 24 * time.Hour}[h.IntN(3)])
			for range 6 {
				r := h.request()
				asked++
				if got, want := answers(t, advanced, r, now), answers(t, fresh, r, now); got != want {
					t.Fatalf("seed %d, step %d: %+v\n%+v\nadvanced: %s\n   fresh: %s", seed, step, d, r, got, want)
				}
				if engine.StampOf(advanced, r.Subject) != engine.StampOf(fresh, r.Subject) {
					t.Fatalf("seed %d, step %d: the stamp is %+v", seed, step, engine.StampOf(advanced, r.Subject))
				}
			}
			if step%8 == 7 {
				likeStock(t, h, advanced, now)
			}
		}
	}
	t.Logf("%d questions; %d of %d steps changed only users", asked, onlyUsers, histories*steps)
	if onlyUsers < histories*steps/20 {
		t.Error("too few steps change only users")
	}
}

func likeStock(t *testing.T, h *history, s *engine.Snapshot, now time.Time) {
	t.Helper()
	o, err := oracle.New(h.facts, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if d := difference(s, o, h.request(), now); d != "" {
			t.Fatalf("revision %d: %s", s.Revision(), d)
		}
	}
}

// TestAdvance_leavesItsBase: a snapshot answers as before when others were
// advanced from it, even two different ones.
func TestAdvance_leavesItsBase(t *testing.T) {
	for seed := range uint64(some(12)) {
		h := newHistory(seed)
		base := mustCompile(t, h.facts)
		var requests []*access.Request
		var before []string
		for range 12 {
			requests = append(requests, h.request())
			before = append(before, answers(t, base, requests[len(requests)-1], clock))
		}
		start := h.facts
		for range 3 { // branches
			h.facts = start
			branch := base
			for range 4 {
				next, err := branch.Advance(h.step())
				if err != nil {
					t.Fatal(err)
				}
				branch = next
				for i, r := range requests[:4] {
					answers(t, branch, r, clock) // fills tables
					if got := answers(t, base, r, clock); got != before[i] {
						t.Fatalf("seed %d: the base answers otherwise: %s\n%s", seed, got, before[i])
					}
				}
			}
			fresh := mustCompile(t, h.facts)
			for i, r := range requests {
				if got := answers(t, base, r, clock); got != before[i] {
					t.Fatalf("seed %d: the base answers otherwise", seed)
				}
				if got, want := answers(t, branch, r, clock), answers(t, fresh, r, clock); got != want {
					t.Fatalf("seed %d: a branch answers otherwise than a fresh compile: %s\n%s", seed, got, want)
				}
			}
		}
	}
}
