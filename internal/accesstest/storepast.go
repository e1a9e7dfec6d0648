package accesstest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/store"
)

// rebuilding are the tests of what a tenant was at earlier revisions.
var rebuilding = map[string]func(*storeBattery){
	"every revision is rebuilt as it was":           rebuilt,
	"the past of edits is rebuilt":                  rebuiltEdits,
	"a state is found by its revision and its time": states,
	"an edited history is not rebuilt from":         editedPast,
	"what was renewed or expired is rebuilt":        rebuiltEpoch,
}

// moment is all that can be seen of a tenant at one revision.
type moment struct {
	facts    access.Facts
	policy   *access.Policy
	users    []access.User
	subjects []access.SubjectFacts
	found    map[string]access.FoundUsers
	holders  map[string]int
	named    []string
	seats    map[string]int
}

// look reads what is in force, by the functions for that.
func look(t *testing.T, s *store.Store, tenant string) moment {
	t.Helper()
	m := moment{facts: facts(t, s, tenant), found: map[string]access.FoundUsers{}}
	err := s.View(t.Context(), tenant, m.read)
	var users []access.SubjectFacts
	if err == nil {
		users, err = s.Users(t.Context(), tenant, "", 1000)
	}
	m.subjects = asKnown(users)
	for name, q := range searches {
		if err == nil {
			m.found[name], err = s.FindUsers(t.Context(), tenant, q)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.then()
}

// lookAt reads the same of a revision.
func lookAt(t *testing.T, s *store.Store, tenant string, at access.Revision) moment {
	t.Helper()
	m := moment{found: map[string]access.FoundUsers{}}
	var err error
	if m.facts, err = s.LoadAt(t.Context(), tenant, at); err == nil {
		err = s.ViewAt(t.Context(), tenant, at, m.read)
	}
	if err == nil {
		m.subjects, err = s.Then(at).Users(t.Context(), tenant, "", 1000)
	}
	for name, q := range searches {
		if err == nil {
			m.found[name], err = s.FindUsersAt(t.Context(), tenant, at, q)
		}
	}
	if err != nil {
		t.Fatalf("revision %d: %v", at, err)
	}
	return m.then()
}

var searches = func() map[string]access.UserSearch {
	yes, no := true, false
	return map[string]access.UserSearch{
		"by id": {Sort: access.SortID, Most: 4}, "down": {Sort: access.SortID, Descending: true, Most: 3},
		"second": {Sort: access.SortName, After: access.UserPlace{Key: "n0", ID: "user-2"}, Most: 3},
		"group":  {Group: "sales", Most: 100}, "locked": {Statuses: []access.UserStatus{access.UserLocked}, Sort: access.SortName, Most: 100},
		"text": {Text: "USER-1", Sort: access.SortEmail, Most: 2}, "superusers": {Superuser: &yes, Most: 100}, "others": {Superuser: &no, Most: 100},
		"one of": {AnyGroup: []string{"sales", "nobody"}, Most: 100}, "all of": {EveryGroup: []string{"sales", "staff"}, Most: 100},
		"seats": {Licence: "mails", Most: 100}, "deleted": {Statuses: []access.UserStatus{access.UserDeleted}, Most: 100},
		"home": {Home: "store:1", Most: 100},
	}
}()

func (m *moment) read(r access.Reading) error {
	m.policy = r.Policy()
	err := r.EachUser(func(u access.User) error {
		m.users = append(m.users, u)
		return nil
	})
	if err == nil {
		m.holders, err = r.CountHolders(access.KindGroup, []string{"sales", "staff", "nobody"})
	}
	if err == nil {
		m.named, err = r.Holders(access.KindGroup, "sales", "user-1", 3)
	}
	if err == nil {
		m.seats, err = r.CountSeats()
	}
	return err
}

// then leaves out what no rebuilding gives: when things were changed, and how
// many a list has where nobody counts them.
func (m moment) then() moment {
	m.facts.Policy, m.facts.Stripes = 0, nil
	for name, f := range m.found {
		f.Total = 0
		m.found[name] = f
	}
	return m
}

func asKnown(users []access.SubjectFacts) []access.SubjectFacts {
	for i := range users {
		users[i].Known, users[i].Changed = true, 0
	}
	return users
}

// same fails unless every revision is rebuilt as it was.
func (b *storeBattery) same(t *testing.T, s *store.Store, tenant string, history map[access.Revision]moment) {
	t.Helper()
	for _, at := range slices.Sorted(maps.Keys(history)) {
		want, got := history[at], lookAt(t, s, tenant, at)
		for name, pair := range map[string][2]any{
			"facts": {got.facts, want.facts}, "policy": {got.policy, want.policy}, "users": {got.users, want.users},
			"subjects": {got.subjects, want.subjects}, "lists": {got.found, want.found}, "counts": {got.holders, want.holders},
			"holders": {got.named, want.named}, "seats": {got.seats, want.seats},
		} {
			if !reflect.DeepEqual(pair[0], pair[1]) {
				t.Fatalf("%s of revision %d are rebuilt as\n%+v\nthey were\n%+v", name, at, pair[0], pair[1])
			}
		}
		ids := []string{"user-3", "nobody", "user-11", "user-3"}
		if singly, err := s.Then(at).Subjects(t.Context(), tenant, ids); err != nil || !reflect.DeepEqual(singly, among(want.subjects, ids, at)) {
			t.Fatalf("revision %d: single users are rebuilt as\n%+v (%v)\nthey were\n%+v", at, singly, err, among(want.subjects, ids, at))
		}
	}
}

// among gives some users, and strangers for those who are not there.
func among(all []access.SubjectFacts, ids []string, at access.Revision) []access.SubjectFacts {
	var some []access.SubjectFacts
	for _, id := range ids {
		i := slices.IndexFunc(all, func(f access.SubjectFacts) bool { return f.ID == id })
		if i >= 0 {
			some = append(some, all[i])
			continue
		}
		some = append(some, access.SubjectFacts{UserFacts: access.UserFacts{ID: id}, Revision: at})
	}
	return some
}

// rebuilt makes a random history, of foreign models too, and rebuilds all of it:
// as a tenant that is loaded with its users, and as one whose users are fetched.
func rebuilt(b *storeBattery) {
	t := b.t
	b.empty(t, "past")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // chance for a test, that can be repeated
	many := b.many(t)
	whole, fetched := map[access.Revision]moment{}, map[access.Revision]moment{}
	for step := range 16 {
		p := RandomPolicy(r, "past")
		for p.Model != "" && step >= 6 { // it has no groups for those who are there by then
			p = RandomPolicy(r, "past")
		}
		if step >= 6 {
			p.Users = randomUsers(r)
		}
		if _, err := b.store.Apply(t.Context(), p, change(access.AnyRevision)); err != nil {
			t.Fatal(err)
		}
		now := look(t, b.store, "past")
		whole[now.facts.Revision], fetched[now.facts.Revision] = now, look(t, many, "past")
	}
	b.same(t, b.store, "past", whole)
	b.same(t, many, "past", fetched)
}

// rebuiltEdits does the same with small edits of groups, roles and users.
func rebuiltEdits(b *storeBattery) {
	t := b.t
	const tenant = "past-edits"
	b.empty(t, tenant)
	b.apply(t, editPolicy(tenant))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 6)) //nolint:gosec // chance for a test, that can be repeated
	many := b.many(t)
	whole, fetched := map[access.Revision]moment{}, map[access.Revision]moment{}
	for range 24 {
		edit := randomEdit(r)
		_, err := b.store.Edit(t.Context(), tenant, change(access.AnyRevision), func(d access.Draft) error {
			edit(d.Policy(), d.PutUser)
			return nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		now := look(t, b.store, tenant)
		whole[now.facts.Revision], fetched[now.facts.Revision] = now, look(t, many, tenant)
	}
	b.same(t, b.store, tenant, whole)
	b.same(t, many, tenant, fetched)
}

func states(b *storeBattery) {
	t := b.t
	const tenant = "states"
	b.empty(t, tenant)
	b.apply(t, StorePolicy(tenant))
	entries, err := b.store.Revisions(t.Context(), tenant)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%+v, %v", entries, err)
	}
	first, second := entries[0].At, entries[1].At
	for name, tc := range map[string]struct {
		of, want access.AsOf
		kind     error
	}{
		"by revision":               {of: access.AsOf{Revision: 1}, want: access.AsOf{Revision: 1, At: first}},
		"by revision, judged later": {of: access.AsOf{Revision: 1, At: second}, want: access.AsOf{Revision: 1, At: second}},
		"at its moment":             {of: access.AsOf{At: second}, want: access.AsOf{Revision: 2, At: second}},
		"just before":               {of: access.AsOf{At: second.Add(-time.Microsecond)}, want: access.AsOf{Revision: 1, At: second.Add(-time.Microsecond)}},
		"before everything":         {of: access.AsOf{At: first.Add(-time.Microsecond)}, kind: access.ErrNotFound},
		"not yet":                   {of: access.AsOf{Revision: 3}, kind: access.ErrNotFound},
		"in the future":             {of: access.AsOf{At: time.Now().Add(time.Hour)}, kind: access.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if second.Equal(first) {
				t.Skip("both revisions were made in the same microsecond")
			}
			got, err := b.store.StateAt(t.Context(), tenant, tc.of)
			if tc.kind != nil {
				if !errors.Is(err, tc.kind) {
					t.Errorf("gives %+v, %v; want an error of kind %v", got, err, tc.kind)
				}
				return
			}
			if err != nil || got.Revision != tc.want.Revision || !got.At.Equal(tc.want.At) {
				t.Errorf("gives %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
	if now, err := b.store.StateAt(t.Context(), tenant, access.AsOf{}); err != nil || now.Revision != 2 || now.At.Before(second) {
		t.Errorf("now is %+v, %v", now, err)
	}
	for _, at := range []access.Revision{0, 3} {
		if f, err := b.store.LoadAt(t.Context(), tenant, at); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("revision %d is rebuilt: %+v, %v", at, f, err)
		}
	}
}

// editedPast: whatever was edited in the part of the history that is gone
// through, nothing is rebuilt from it.
func editedPast(b *storeBattery) {
	t := b.t
	for i, statement := range []string{
		"UPDATE revision SET author = 'x' WHERE tenant_id = {t} AND number = 3",
		"UPDATE revision_change SET old_value = REPLACE(old_value, 'seller', 'sailor') WHERE tenant_id = {t} AND revision = 3 AND n = 1",
		"DELETE FROM revision_change WHERE tenant_id = {t} AND revision = 3 AND n = 1",
		"DELETE FROM revision WHERE tenant_id = {t} AND number = 3",
	} {
		tenant := fmt.Sprint("edited-past", i)
		p := b.tenant(t, tenant)
		p.Roles[0].Name = "another"
		b.apply(t, p)
		p.Roles[0].Name = "a third"
		b.apply(t, p)
		if _, err := b.store.LoadAt(t.Context(), tenant, 2); err != nil {
			t.Fatal(err)
		}
		b.exec(t, tenant, statement)
		for name, read := range map[string]func() error{
			"load": func() error { _, err := b.store.LoadAt(t.Context(), tenant, 2); return err },
			"view": func() error {
				return b.store.ViewAt(t.Context(), tenant, 2, func(access.Reading) error { return nil })
			},
			"list": func() error {
				_, err := b.store.FindUsersAt(t.Context(), tenant, 2, access.UserSearch{Most: 1})
				return err
			},
		} {
			if err := read(); !errors.Is(err, access.ErrInvalid) {
				t.Errorf("after %s: %s gives %v", statement, name, err)
			}
		}
	}
}

// rebuiltEpoch: epochs and what the clock has ended are part of the past.
func rebuiltEpoch(b *storeBattery) {
	t := b.t
	const tenant = "past-epoch"
	p := b.tenant(t, tenant)
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	p.Users[0].Groups[0].Validity.Until = soon
	b.apply(t, p)
	history := map[access.Revision]moment{3: look(t, b.store, tenant)}
	if err := b.store.RenewEpoch(t.Context(), tenant, change(access.AnyRevision)); err != nil {
		t.Fatal(err)
	}
	history[4] = look(t, b.store, tenant)
	if _, err := b.store.Expire(t.Context(), tenant, soon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	history[5] = look(t, b.store, tenant)
	if history[3].facts.Epoch == history[4].facts.Epoch || len(history[4].facts.Rules) == len(history[5].facts.Rules) {
		t.Fatalf("nothing has happened: %+v", history)
	}
	b.same(t, b.store, tenant, history)
	for at, want := range history {
		if f, err := b.store.LoadAt(t.Context(), tenant, at); err != nil || f.Epoch != want.facts.Epoch {
			t.Errorf("the epoch of revision %d is %s (%v), want %s", at, f.Epoch, err, want.facts.Epoch)
		}
	}
}
