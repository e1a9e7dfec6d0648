package engine_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// switches are the conditions of these tests: each is one member of the context,
// so that every way they can come out can be asked about.
var switches = []string{"context.a == true", "context.b == true"}

// contexts are all ways: each condition holds, does not hold, or fails.
var contexts = func() []map[string]any {
	var all []map[string]any
	values := []any{true, false, nil}
	for _, a := range values {
		for _, b := range values {
			c := map[string]any{}
			if a != nil {
				c["a"] = a
			}
			if b != nil {
				c["b"] = b
			}
			all = append(all, c)
		}
	}
	return all
}()

// switched puts a condition of ours in the place of every other one, adds
// somebody to each group who is in nothing else that gives anything, and gives
// him all seats.
func switched(f access.Facts) access.Facts {
	f.Rules, f.Conditions = slices.Clone(f.Rules), nil
	f.Catalogue = slices.DeleteFunc(slices.Clone(f.Catalogue), func(a access.Application) bool { return a.Code == access.Ourselves })
	for _, text := range switches {
		f.Conditions = append(f.Conditions, access.Condition{ID: access.ConditionID(text), Text: text})
	}
	for i, r := range f.Rules {
		if r.Type != "p" || r.Values[5] == access.NoCondition {
			continue
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(r.Values[5]))
		f.Rules[i].Values = slices.Clone(r.Values)
		f.Rules[i].Values[5] = access.NoCondition
		if n := int(h.Sum32() % 3); n < len(switches) {
			f.Rules[i].Values[5] = access.ConditionID(switches[n])
		}
	}
	groups := map[string]access.GroupKind{"plain": access.GroupRegular}
	for code, kind := range f.Groups {
		groups[code] = kind
	}
	f.Groups, f.Users = groups, slices.Clone(f.Users)
	for i, code := range append(groupCodes[:len(groupCodes):len(groupCodes)], "g9") {
		probe := "probe-" + code
		f.Users = append(f.Users, access.UserFacts{ID: probe, Status: access.UserActive, Licences: []string{"chats", "faxes"}})
		for j, to := range []string{"g:" + code, "g:plain"} {
			f.Rules = append(f.Rules, access.Rule{Type: "g", Values: []string{"u:" + probe, to, "*"}, Place: int64(10_000_000 + 10*i + j)})
		}
	}
	return f
}

// sideOf is an engine with facts, and a clock that can be set.
type sideOf struct {
	facts access.Facts
	e     *engine.Engine
	now   *time.Time
}

func newSide(t testing.TB, f access.Facts, fetched bool) sideOf {
	t.Helper()
	now := clock
	keep := &usersKept{facts: f}
	e := engine.New(engine.Options{Clock: func() time.Time { return now }, Subjects: keep})
	held := f
	if held.Fetched = fetched; fetched {
		held.Users = nil
		held.Rules = slices.DeleteFunc(slices.Clone(f.Rules), func(r access.Rule) bool { _, own := r.User(); return own })
	}
	install, err := e.Prepare(held)
	if err != nil {
		t.Fatal(err)
	}
	install(f.Revision)
	return sideOf{f, e, &now}
}

func (s sideOf) sight(t testing.TB) access.Sight {
	t.Helper()
	v, err := s.e.Sight(s.facts.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (s sideOf) knows(scope access.Scope) bool {
	return scope == access.Everywhere || slices.ContainsFunc(s.facts.Scopes, func(n access.ScopeNode) bool { return n.Scope == scope })
}

func (s sideOf) above(scope access.Scope) access.Scope {
	for _, n := range s.facts.Scopes {
		if n.Scope == scope && n.Parent != "" {
			return n.Parent
		}
	}
	return access.Everywhere
}

// right is one cell of what is compared.
type right struct {
	holder  string
	section access.Section
	action  access.Action
	scope   access.Scope
	moment  int
}

// brute asks everything one by one, before and after, and tells what turns.
type brute struct {
	t       testing.TB
	was, is sideOf
	scopes  []access.Scope
	moments []time.Time
	asked   int
}

func newBrute(t testing.TB, was, is sideOf) *brute {
	t.Helper()
	b := &brute{t: t, was: was, is: is, scopes: []access.Scope{access.Everywhere}, moments: []time.Time{clock}}
	for _, s := range []sideOf{was, is} {
		for _, n := range s.facts.Scopes {
			b.scopes = append(b.scopes, n.Scope)
		}
		for _, r := range s.facts.Rules {
			for _, at := range []time.Time{r.Validity.From, r.Validity.Until} {
				if at.After(clock) {
					b.moments = append(b.moments, at.UTC())
				}
			}
		}
	}
	slices.Sort(b.scopes)
	b.scopes = slices.Compact(b.scopes)
	slices.SortFunc(b.moments, time.Time.Compare)
	b.moments = slices.CompactFunc(b.moments, time.Time.Equal)
	return b
}

// in gives the scope to ask about: the nearest one that a side knows.
func (b *brute) in(s, other sideOf, scope access.Scope) access.Scope {
	for !s.knows(scope) {
		scope = other.above(scope)
	}
	return scope
}

func (b *brute) turns() map[right]access.Turn {
	all := map[right]access.Turn{}
	whom := map[string]access.Subject{"u:anonymous": access.Anonymous}
	for _, s := range []sideOf{b.was, b.is} {
		for _, u := range s.facts.Users {
			whom["u:"+u.ID] = access.Subject{Kind: access.KindUser, ID: u.ID}
		}
		for _, a := range s.facts.Catalogue {
			whom["a:"+a.Code] = access.Subject{Kind: access.KindApplication, ID: a.Code}
		}
	}
	for name, who := range whom {
		for m := range b.moments {
			*b.was.now, *b.is.now = b.moments[m], b.moments[m]
			for _, scope := range b.scopes {
				for at, turn := range b.turn(who, scope) {
					all[right{name, at.section, at.action, scope, m}] = turn
				}
			}
		}
	}
	*b.was.now, *b.is.now = clock, clock
	return all
}

// allowed is an action on a section.
type allowed struct {
	section access.Section
	action  access.Action
}

// turn tells what turns for somebody in a scope, by what is allowed before and
// after, however conditions come out.
func (b *brute) turn(who access.Subject, scope access.Scope) map[allowed]access.Turn {
	turns := map[allowed]access.Turn{}
	had, has, differs := map[allowed]bool{}, map[allowed]bool{}, map[allowed]bool{}
	for _, c := range contexts {
		before := b.menu(b.was, access.Request{Subject: who, Scope: b.in(b.was, b.is, scope), Context: c})
		after := b.menu(b.is, access.Request{Subject: who, Scope: b.in(b.is, b.was, scope), Context: c})
		for at := range before {
			had[at], differs[at] = true, differs[at] || !after[at]
		}
		for at := range after {
			has[at], differs[at] = true, differs[at] || !before[at]
		}
	}
	for at, yes := range differs {
		switch {
		case !yes:
		case !had[at]:
			turns[at] = access.TurnGained
		case !has[at]:
			turns[at] = access.TurnLost
		default:
			turns[at] = access.TurnChanged
		}
	}
	return turns
}

// everyAction is what is asked about.
var everyAction = []access.Action{"show", "insert", "update", "delete", "execute", "send", "print"}

// menu finds everything that is allowed. Now and then a decision about something is
// held against it: tests of searches show that they always agree.
func (b *brute) menu(s sideOf, r access.Request) map[allowed]bool {
	found, err := s.e.SearchSections(context.Background(), s.facts.Tenant, &r)
	if err != nil {
		b.t.Fatal(err)
	}
	menu := map[allowed]bool{}
	for _, at := range found.Sections {
		for _, a := range at.Actions {
			menu[allowed{at.Section, a}] = true
		}
	}
	b.asked++
	r.Section, r.Actions = paths[b.asked%len(paths)], everyAction[b.asked%len(everyAction):][:1]
	if d, err := s.e.Decide(context.Background(), s.facts.Tenant, &r); err != nil || d.Allowed != menu[allowed{r.Section, r.Actions[0]}] {
		b.t.Fatalf("%+v: decided %v (%v), found %v", r, d.Allowed, err, menu)
	}
	return menu
}

func (b *brute) ask(s sideOf, r *access.Request) bool {
	b.asked++
	d, err := s.e.Decide(context.Background(), s.facts.Tenant, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return d.Allowed
}

// spread writes consequences out, right by right.
func (b *brute) spread(all access.Consequences) map[right]access.Turn {
	out := map[right]access.Turn{}
	put := func(holder string, x *access.Consequence, scope access.Scope) {
		for m, at := range b.moments {
			if !x.From.IsZero() && at.Before(x.From) || !x.Until.IsZero() && !at.Before(x.Until) {
				continue
			}
			for _, a := range x.Actions {
				cell := right{holder, x.Section, a, scope, m}
				if _, twice := out[cell]; twice {
					b.t.Fatalf("%v is said twice", cell)
				}
				out[cell] = x.Turn
			}
		}
	}
	for i := range all.All {
		x := &all.All[i]
		for _, scope := range b.scopes {
			if !b.covers(x, scope) {
				continue
			}
			for _, id := range x.UserIDs {
				put("u:"+id, x, scope)
			}
			for _, code := range x.GroupCodes {
				put("g:"+code, x, scope)
			}
			for _, code := range x.Applications {
				put("a:"+code, x, scope)
			}
			if x.Anonymous {
				put("u:anonymous", x, scope)
			}
		}
	}
	return out
}

// covers tells whether a consequence speaks of a scope.
func (b *brute) covers(x *access.Consequence, scope access.Scope) bool {
	for at := scope; ; {
		if slices.Contains(x.Except, at) {
			return false
		}
		if at == x.Scope {
			return true
		}
		if at == access.Everywhere {
			return false
		}
		if b.is.knows(at) {
			at = b.is.above(at)
		} else {
			at = b.was.above(at)
		}
	}
}

// compare holds what was said of each right against the answers.
func (b *brute) compare(name string, want map[right]access.Turn, all access.Consequences) {
	b.t.Helper()
	got := b.spread(all)
	for cell, turn := range want {
		if got[cell] != turn {
			b.t.Fatalf("%s: %+v turns out %q, and %q is said", name, cell, turn, got[cell])
		}
		group := cell
		if id, probe := trimmed(cell.holder, "u:probe-"); probe {
			group.holder = "g:" + id
			_, was := b.was.facts.Groups[id]
			_, is := b.is.facts.Groups[id]
			if was && is && got[group] != turn {
				b.t.Fatalf("%s: %+v turns out %q, and %q is said", name, group, turn, got[group])
			}
		}
	}
	for cell, turn := range got {
		if code, group := trimmed(cell.holder, "g:"); group {
			_, was := b.was.facts.Groups[code]
			_, is := b.is.facts.Groups[code]
			if !was || !is || code == "plain" {
				continue
			}
			cell.holder = "u:probe-" + code
		}
		if want[cell] != turn {
			b.t.Fatalf("%s: %q is said of %+v, which turns out %q", name, turn, cell, want[cell])
		}
	}
}

func trimmed(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || s[:len(prefix)] != prefix {
		return s, false
	}
	return s[len(prefix):], true
}

// touchedBy names whom a difference is about.
func touchedBy(d *access.Delta) []string {
	var names []string
	for _, rules := range [][]access.Rule{d.Gone, d.Rules} {
		for _, r := range rules {
			names = append(names, r.Values[0])
		}
	}
	for _, u := range d.Users {
		names = append(names, "u:"+u.ID)
	}
	for _, id := range d.Left {
		names = append(names, "u:"+id)
	}
	return names
}

// TestConsequences_likeDecisions holds what is said to be gained, lost and changed
// against the decisions about everybody, everything, everywhere, at every moment
// and however conditions come out.
func TestConsequences_likeDecisions(t *testing.T) { consequences(t, 1, 50) }

func TestSoakConsequences(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") == "" {
		t.Skip("takes minutes; set BAILIWICK_SOAK=1")
	}
	consequences(t, 10_000, 5000)
}

func consequences(t *testing.T, first, count uint64) {
	t.Helper()
	ctx, asked, turned := context.Background(), 0, map[access.Turn]int{}
	for seed := first; seed < first+count; seed++ {
		h := newHistory(seed)
		before := switched(h.facts)
		for range 1 + h.IntN(4) {
			h.step()
		}
		after := switched(h.facts)
		before.Revision, after.Revision, after.Stripes = 1, 2, map[access.Stripe]access.Revision{}
		before.Stripes = map[access.Stripe]access.Revision{}
		delta := deltaOf(&before, &after)
		b := newBrute(t, newSide(t, before, false), newSide(t, after, false))
		want := b.turns()
		for _, turn := range want {
			turned[turn]++
		}
		asked += b.asked
		all, err := b.was.e.Consequences(ctx, b.was.sight(t), b.is.sight(t), access.ConsequenceOptions{Names: 1000})
		if err != nil {
			t.Fatal(err)
		}
		b.compare(fmt.Sprintf("seed %d, two engines", seed), want, all)
		for _, fetched := range []bool{false, true} {
			e := newSide(t, before, fetched).e
			was, will, err := e.Foresee(ctx, delta)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range []access.ConsequenceOptions{{}, {Who: touchedBy(&delta), Some: true}} {
				o.Names = 1000
				all, err := e.Consequences(ctx, was, will, o)
				if err != nil {
					t.Fatal(err)
				}
				b.compare(fmt.Sprintf("seed %d, fetched %v, only %v", seed, fetched, o.Who), want, all)
			}
		}
	}
	t.Logf("%d answers, %v", asked, turned)
	for _, turn := range []access.Turn{access.TurnGained, access.TurnLost, access.TurnChanged} {
		if turned[turn] < 10*int(count) {
			t.Fatalf("%d times something was %s: that shows little", turned[turn], turn)
		}
	}
}
