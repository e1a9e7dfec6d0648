package accesstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/store"
)

// following are the tests of what replicas read: heads, differences and single
// users.
var following = map[string]func(*storeBattery){
	"differences lead to what is loaded":           differences,
	"differences of foreign models":                foreignDifferences,
	"differences say what kind of change it was":   kindsOfChange,
	"what cannot be followed is stale":             unfollowed,
	"what was spoilt by hand is not followed":      mended,
	"a new epoch is recorded and ends following":   newEpoch,
	"expiry is a difference too":                   expiryFollowed,
	"users are fetched where there are many":       fetched,
	"a fetched tenant is counted too":              fetchedCounted,
	"single users are what is loaded":              singleUsers,
	"single users are compared byte by byte":       alikeUsers,
	"users are listed in byte order":               listedUsers,
	"malformed rows of single users are refused":   malformedUsers,
	"single users are of one revision as a whole":  wholeUsers,
	"unknown tenants have no changes and no users": nothingUnknown,
}

// many opens the battery's database as if every tenant had too many users.
func (b *storeBattery) many(t *testing.T) *store.Store {
	t.Helper()
	o := b.options
	o.ResidentUsers = -1
	return OpenStore(t, o)
}

func facts(t *testing.T, s *store.Store, tenant string) access.Facts {
	t.Helper()
	f, err := s.Load(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// follows fails unless the facts and the changes since give what is loaded, and
// gives it and the difference.
func follows(t *testing.T, s *store.Store, from access.Facts) (access.Facts, access.Delta) {
	t.Helper()
	d, err := s.Changes(t.Context(), from.Tenant, from.Revision)
	if err != nil {
		t.Fatal(err)
	}
	got, err := from.Apply(d)
	if err != nil {
		t.Fatalf("%v, of %+v", err, d)
	}
	want := facts(t, s, from.Tenant)
	if len(got.Rules) == 0 {
		got.Rules = nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v\nleads from revision %d to\n%+v\nwant\n%+v", d, from.Revision, got, want)
	}
	return want, d
}

// differences applies random policies one after another. Each difference is the
// same whether a writer or a reader asks for it, and leads, like those over
// several revisions, exactly to what a full load gives.
func differences(b *storeBattery) {
	t := b.t
	b.empty(t, "follow")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // chance for a test, that can be repeated
	for _, s := range []*store.Store{b.store, b.many(t)} {
		history := []access.Facts{facts(t, s, "follow")}
		for range 25 {
			before := history[len(history)-1]
			told := b.step(r, s)
			now, read := follows(t, s, before)
			if told.Tenant != "" && !reflect.DeepEqual(told, read) {
				t.Fatalf("the writer was told\n%+v\nand a reader\n%+v", told, read)
			}
			follows(t, s, history[r.IntN(len(history))])
			history = append(history, now)
		}
	}
}

// step makes one random change, and gives what its writer was told, if he was.
func (b *storeBattery) step(r *rand.Rand, s *store.Store) access.Delta {
	t := b.t
	t.Helper()
	if r.IntN(5) == 0 {
		k := sampleKey(fmt.Sprint("k", r.Uint64()), "follow", "1")
		if err := s.AddKey(t.Context(), k, change(access.AnyRevision)); err != nil {
			t.Fatal(err)
		}
		return access.Delta{}
	}
	p := RandomPolicy(r, "follow")
	for p.Model != "" {
		p = RandomPolicy(r, "follow")
	}
	p.Users = randomUsers(r)
	told, err := s.Apply(t.Context(), p, change(access.AnyRevision))
	if err != nil {
		t.Fatal(err)
	}
	return told
}

func randomUsers(r *rand.Rand) []access.User {
	var users []access.User
	for _, i := range r.Perm(12)[:r.IntN(12)] {
		u := access.User{ID: fmt.Sprint("user-", i), Name: fmt.Sprint("n", r.IntN(3)), Attributes: map[string]any{"n": int64(r.IntN(3))}}
		u.Groups = []access.Link{{To: []string{"guests", "sales"}[r.IntN(2)]}}
		if r.IntN(2) == 0 {
			u.Status, u.Licences = access.UserLocked, []string{"mails"}
			u.Grants = []access.Grant{{Section: "System.Stores", Rights: access.Show << r.IntN(3), Scope: "store:a"}}
		}
		users = append(users, u)
	}
	return users
}

func foreignDifferences(b *storeBattery) {
	t := b.t
	b.empty(t, "follow-foreign")
	r := rand.New(rand.NewPCG(4, 4)) //nolint:gosec // chance for a test, that can be repeated
	now := facts(t, b.store, "follow-foreign")
	for range 15 {
		p := foreignPolicy(r, "follow-foreign")
		if r.IntN(4) == 0 {
			p = RandomPolicy(r, "follow-foreign")
		}
		if r.IntN(2) == 0 {
			p.Rules = append(p.Rules, access.Rule{Type: "p", Values: []string{"u:a", "store:a", "System.Stores", "2", "allow", "-"}})
		}
		p.Description = fmt.Sprint(r.Uint64())
		b.apply(t, p)
		now, _ = follows(t, b.store, now)
		if now.Policy != now.Revision {
			t.Errorf("policy %d at revision %d: any rule of a foreign model may decide about anybody", now.Policy, now.Revision)
		}
	}
	if f := facts(t, b.many(t), "follow-foreign"); f.Fetched != f.Ours() {
		t.Errorf("fetched %t, ours %t", f.Fetched, f.Ours())
	}
	b.apply(t, foreignPolicy(r, "follow-foreign"))
	if f := facts(t, b.many(t), "follow-foreign"); f.Fetched {
		t.Error("a foreign model's rules cannot be fetched by user")
	}
}

// kindsOfChange: a change of one user leaves the policy revision and all other
// stripes alone; the frame is read only where it has changed.
func kindsOfChange(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "kinds")
	stripe := func(ids ...string) map[access.Stripe]access.Revision {
		stripes := map[access.Stripe]access.Revision{}
		for _, id := range ids {
			stripes[access.StripeOf(id)] = 0
		}
		return stripes
	}
	for _, c := range []struct {
		what          string
		change        func()
		policy, frame bool
		stripes       map[access.Stripe]access.Revision
	}{
		{"a user's group", func() { p.Users[0].Groups = p.Users[0].Groups[:1] }, false, false, stripe("42")},
		{"a user's name", func() { p.Users[0].Name = "New" }, false, false, stripe("42")},
		{"two users", func() { p.Users[0].Name, p.Users[1].Status = "Newer", access.UserActive }, false, false, stripe("42", "17")},
		{"a new user", func() { p.Users = append(p.Users, access.User{ID: "99"}) }, false, false, stripe("99")},
		{"a rule of somebody who comes later", func() { p.Rules[0].Values = []string{"u:later", "r:boss", "*"} }, false, false, stripe("later")},
		{"a grant of a role", func() { p.Roles[0].Grants[1].Rights = 4 }, true, false, nil},
		{"a name of a role", func() { p.Roles[0].Name = "New" }, true, false, nil},
		{"the group of anonymous questions", func() { p.Anonymous = "sales" }, true, true, nil},
		{"a section", func() { p.Catalogue[0].Sections[2].Name = "New" }, true, true, nil},
		{"a user and a scope", func() { p.Scopes[0].Name, p.Users[2].Status = "New", access.UserLocked }, true, true, stripe("ＡＢ")},
	} {
		before := facts(t, b.store, "kinds")
		c.change()
		b.apply(t, p)
		after, d := follows(t, b.store, before)
		if (after.Policy == after.Revision) != c.policy || (!c.policy && after.Policy != before.Policy) || (d.Frame != nil) != c.frame {
			t.Errorf("%s: policy revision %d at %d, frame %t", c.what, after.Policy, after.Revision, d.Frame != nil)
		}
		for s := range c.stripes {
			c.stripes[s] = after.Revision
		}
		if len(d.Stripes) != len(c.stripes) || len(c.stripes) > 0 && !reflect.DeepEqual(d.Stripes, c.stripes) {
			t.Errorf("%s: stripes %v, want %v", c.what, d.Stripes, c.stripes)
		}
		if d.At.IsZero() || time.Since(d.At) > time.Hour {
			t.Errorf("%s: committed at %s", c.what, d.At)
		}
	}
	b.loads(t, p)
	before := facts(t, b.store, "kinds")
	if err := b.store.AddKey(t.Context(), sampleKey("kinds", "kinds", "1"), change(access.AnyRevision)); err != nil {
		t.Fatal(err)
	}
	after, d := follows(t, b.store, before)
	if after.Policy != before.Policy || d.Frame != nil || len(d.Stripes) > 0 {
		t.Errorf("a key, by which nothing is decided, makes %+v", d)
	}
	if d, err := b.store.Changes(t.Context(), "kinds", after.Revision); err != nil || d.From != d.To || d.To != after.Revision {
		t.Errorf("no change is %+v (%v)", d, err)
	}
}

// stale fails unless there is no way from the revision but a full load.
func (b *storeBattery) staleFrom(t *testing.T, tenant string, from access.Revision, words string) {
	t.Helper()
	d, err := b.store.Changes(t.Context(), tenant, from)
	if !errors.Is(err, access.ErrStale) || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "load in full") {
		t.Errorf("from revision %d: %+v, %v, want stale that says %q", from, d, err, words)
	}
}

func unfollowed(b *storeBattery) {
	t := b.t
	for i, c := range []struct {
		statement string
		from      access.Revision
		words     string
	}{
		{"", 0, "not in the history"},
		{"", 5, "only at revision 4"},
		{"DELETE FROM revision WHERE tenant_id = {t} AND number = 2", 2, "not in the history"},
		{"DELETE FROM revision WHERE tenant_id = {t} AND number = 3", 2, "revision 3: is missing"},
		{"DELETE FROM revision WHERE tenant_id = {t} AND number = 4", 2, "revision 4: is missing"},
		{"UPDATE revision SET hash = parent WHERE tenant_id = {t} AND number = 2", 2, "revision 3: does not follow"},
		{"UPDATE revision_change SET new_value = '' WHERE tenant_id = {t} AND revision = 3 AND n = 1", 2, "revision 3: is not what was written"},
		{"UPDATE revision_change SET new_value = '{}' WHERE tenant_id = {t} AND revision = 4 AND n = 1", 2, "revision 4: is not what was written"},
		{"DELETE FROM revision_change WHERE tenant_id = {t} AND revision = 4", 2, "revision 4: has no changes"},
		{"INSERT INTO revision_change (tenant_id, revision, n, kind, name, old_value, new_value) VALUES ({t}, 4, 20001, 'rule', 'x', '', '{}')", 2, "more than 20000"},
		{"UPDATE tenant SET revision = 50000 WHERE id = {t}", 2, "more than 20000"},
	} {
		tenant := fmt.Sprint("unfollowed-", i)
		p := b.tenant(t, tenant)
		for _, p.Description = range []string{"third", "fourth"} {
			b.apply(t, p)
		}
		if _, err := b.store.Changes(t.Context(), tenant, 2); err != nil {
			t.Fatal(err)
		}
		if c.statement != "" {
			b.exec(t, tenant, c.statement)
		}
		b.staleFrom(t, tenant, c.from, c.words)
	}
}

// mended: what was never written as a revision is not followed either, and the
// policy that mends it does not go on from it.
func mended(b *storeBattery) {
	t := b.t
	for i, statement := range []string{
		"UPDATE casbin_rule SET v4 = 'Deny' WHERE tenant_id = {t} AND v4 = 'deny'",
		"DELETE FROM casbin_rule WHERE tenant_id = {t} AND v4 = 'deny'",
		"INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1, v2) VALUES ({t}, 1, 'g', 'u:42', 'superuser', '*')",
	} {
		tenant := fmt.Sprint("mended-", i)
		p := b.tenant(t, tenant)
		before := facts(t, b.store, tenant)
		b.exec(t, tenant, statement)
		told, err := b.store.Apply(t.Context(), p, change(access.AnyRevision))
		if err != nil {
			t.Fatal(err)
		}
		if after, err := before.Apply(told); err == nil && !reflect.DeepEqual(after, facts(t, b.store, tenant)) {
			t.Errorf("after %s the difference %+v leads elsewhere", statement, told)
		}
		b.loads(t, p)
	}
}

func newEpoch(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "epoch")
	before := facts(t, b.store, "epoch")
	c := change(2)
	c.Reason = "restored from the backup"
	if err := b.store.RenewEpoch(t.Context(), "epoch", c); err != nil {
		t.Fatal(err)
	}
	after := facts(t, b.store, "epoch")
	if after.Epoch == before.Epoch || len(after.Epoch) < 20 || after.Revision != 3 || after.Policy != 3 {
		t.Errorf("epoch %q at revision %d became %q at %d", before.Epoch, before.Revision, after.Epoch, after.Revision)
	}
	b.staleFrom(t, "epoch", 2, "new epoch")
	b.loads(t, p)
	history, err := b.store.Revisions(t.Context(), "epoch")
	if err != nil || len(history) != 3 || history[2].Author != "tester" || history[2].Reason != c.Reason {
		t.Errorf("the history is %+v (%v)", history, err)
	}
	if err := b.store.Verify(t.Context(), "epoch"); err != nil {
		t.Error(err)
	}
	if err := b.store.RenewEpoch(t.Context(), "epoch", change(2)); !errors.Is(err, access.ErrStale) {
		t.Errorf("for an old revision: %v", err)
	}
	if err := b.store.RenewEpoch(t.Context(), "epoch", access.Change{Base: 3}); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("by nobody: %v", err)
	}
	p.Description = "goes on"
	b.apply(t, p)
	follows(t, b.store, after)
}

func expiryFollowed(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "expiry-follow")
	until := time.Now().UTC().Truncate(time.Microsecond).Add(time.Hour)
	p.Users[0].Roles = []access.Link{{To: "seller", Validity: access.Validity{Until: until}}}
	p.Roles[1].Roles[0].Validity = access.Validity{From: until, Until: until.Add(time.Hour)}
	b.apply(t, p)
	for _, s := range []*store.Store{b.store, b.many(t)} {
		before := facts(t, s, "expiry-follow")
		told, err := s.Expire(t.Context(), "expiry-follow", until)
		if err != nil || told.From != before.Revision {
			t.Fatalf("%+v (%v)", told, err)
		}
		if _, read := follows(t, s, before); !reflect.DeepEqual(told, read) {
			t.Errorf("the writer was told\n%+v\nand a reader\n%+v", told, read)
		}
		until = until.Add(time.Hour)
	}
}

// policyOnly gives what is left of facts where users are fetched.
func policyOnly(f access.Facts) access.Facts {
	f.Fetched, f.Users = true, nil
	f.Rules = slices.DeleteFunc(slices.Clone(f.Rules), func(r access.Rule) bool { _, own := r.User(); return own })
	return f
}

func fetched(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "fetched")
	p.Rules = append(p.Rules, access.Rule{Type: "g", Values: []string{"u:anonymous", "r:seller", "store:a"}})
	b.apply(t, p)
	whole := facts(t, b.store, "fetched")
	if got := facts(t, b.many(t), "fetched"); !reflect.DeepEqual(got, policyOnly(whole)) || whole.Fetched {
		t.Errorf("fetched facts are\n%+v\nof\n%+v", got, whole)
	}
	for users, want := range map[int]bool{len(p.Users) - 1: true, len(p.Users): false} {
		o := b.options
		o.ResidentUsers = users
		if f := facts(t, OpenStore(t, o), "fetched"); f.Fetched != want {
			t.Errorf("%d users of at most %d are fetched: %t", len(p.Users), users, f.Fetched)
		}
	}
	// Growing over the limit is a difference that does not fit: it takes a full load.
	o := b.options
	o.ResidentUsers = len(p.Users)
	s := OpenStore(t, o)
	p.Users = append(p.Users, access.User{ID: "one-more"})
	told, err := s.Apply(t.Context(), p, change(access.AnyRevision))
	if err != nil {
		t.Fatal(err)
	}
	read, err := s.Changes(t.Context(), "fetched", whole.Revision)
	if err != nil || !reflect.DeepEqual(told, read) || read.Frame == nil || !read.Frame.Fetched {
		t.Errorf("told %+v and read %+v (%v)", told, read, err)
	}
	if _, err := whole.Apply(read); !errors.Is(err, access.ErrStale) {
		t.Errorf("applied with error %v, want stale", err)
	}
}

func fetchedCounted(b *storeBattery) {
	t := b.t
	s := b.many(t)
	for i, c := range []struct{ statement, words string }{
		{"DELETE FROM casbin_rule WHERE tenant_id = {t} AND v0 = 'g:sales' AND v2 = 'System.Stores' AND v3 = '4'", "were written"},
		{"INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1, v2) VALUES ({t}, 1, 'g', 'g:sales', 'superuser', '*')", "were written"},
		{"INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1, v2) VALUES ({t}, 1, '', 'g:sales', 'superuser', '*')", "casbin_rule row 1"},
		{"INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1, v2) VALUES ({t}, 1, 'g2', 'u:42', 'superuser', '*')", "casbin_rule row 1"},
		{"INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1, v2) VALUES ({t}, 1, 'q', 'u:42', 'superuser', '*')", "casbin_rule row 1"},
		{"INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1, v2) VALUES ({t}, 1, 'g', 'u', 'superuser', '*')", "casbin_rule row 1"},
		{"INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1, v2) VALUES ({t}, 1, 'g', 'v:42', 'superuser', '*')", "casbin_rule row 1"},
	} {
		tenant := fmt.Sprint("counted-", i)
		b.tenant(t, tenant)
		facts(t, s, tenant)
		b.exec(t, tenant, c.statement)
		if _, err := s.Load(t.Context(), tenant); !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("after %s loaded with error %v, want %q", c.statement, err, c.words)
		}
	}
}

// wanted gives what single users must be by the facts as a whole.
func wanted(f access.Facts, ids []string) []access.SubjectFacts {
	var want []access.SubjectFacts
	for _, id := range ids {
		s := access.SubjectFacts{UserFacts: access.UserFacts{ID: id}, Revision: f.Revision, Changed: f.Stripes[access.StripeOf(id)]}
		for _, u := range f.Users {
			if u.ID == id {
				s.UserFacts, s.Known = u, true
			}
		}
		for _, r := range f.Rules {
			if own, ok := r.User(); ok && own == id && s.Known {
				s.Rules = append(s.Rules, r)
			}
		}
		want = append(want, s)
	}
	return want
}

func (b *storeBattery) subjects(t *testing.T, tenant string, ids []string) {
	t.Helper()
	got, err := b.store.Subjects(t.Context(), tenant, ids)
	if err != nil {
		t.Fatal(err)
	}
	if want := wanted(facts(t, b.store, tenant), ids); !slices.EqualFunc(got, want, func(a, b access.SubjectFacts) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("%q are\n%+v\nwant\n%+v", ids, got, want)
	}
}

func singleUsers(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "single")
	p.Users[1].Grants = []access.Grant{{Section: "System.Orders", Rights: 3, Condition: "true", Validity: access.Validity{Until: time.Date(2093, 1, 1, 0, 0, 0, 0, time.UTC)}}}
	b.apply(t, p)
	b.subjects(t, "single", nil)
	b.subjects(t, "single", []string{"42"})
	b.subjects(t, "single", []string{"nobody"})
	b.subjects(t, "single", []string{"later"}) // has a rule and no account
	b.subjects(t, "single", []string{"17", "nobody", "42", "17", "anonymous", "ＡＢ", ""})
	var ids []string // more than one statement carries
	for i := range 700 {
		ids = append(ids, fmt.Sprint(i))
	}
	b.subjects(t, "single", ids)
}

func alikeUsers(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "alike-single")
	for i, name := range alike[:3] {
		p.Users = append(p.Users, access.User{ID: name, Roles: []access.Link{{To: []string{"seller", "boss"}[i%2]}}})
	}
	b.apply(t, p)
	b.subjects(t, "alike-single", append([]string{"alice ", " alice", "alice\x00", "alice'", `alice\`, `" OR 1=1 --`}, alike...))
}

func listedUsers(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "listed")
	for i := range 40 {
		p.Users = append(p.Users, access.User{ID: fmt.Sprint("user-", i*7%40), Groups: []access.Link{{To: "guests"}}})
	}
	b.apply(t, p)
	var ids []string
	for _, u := range p.Users {
		ids = append(ids, u.ID)
	}
	slices.Sort(ids)
	want := wanted(facts(t, b.store, "listed"), ids)
	for _, most := range []int{1, 7, len(ids), len(ids) + 1} {
		var got []access.SubjectFacts
		for after := ""; ; after = got[len(got)-1].ID {
			page, err := b.store.Users(t.Context(), "listed", after, most)
			if err != nil || len(page) > most {
				t.Fatalf("%d users after %q (%v)", len(page), after, err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("in pages of %d\n%+v\nwant\n%+v", most, got, want)
		}
	}
}

func malformedUsers(b *storeBattery) {
	t := b.t
	for i, statement := range []string{
		"UPDATE users SET status = 'Active' WHERE tenant_id = {t} AND id = '42'",
		"UPDATE users SET body = '{' WHERE tenant_id = {t} AND id = '42'",
		"UPDATE casbin_rule SET v1 = 'sales' WHERE tenant_id = {t} AND v0 = 'u:42' AND v1 = 'g:sales'",
		"UPDATE casbin_rule SET v2 = '' WHERE tenant_id = {t} AND v0 = 'u:42' AND v1 = 'g:sales'",
		"UPDATE casbin_rule SET v3 = 'x' WHERE tenant_id = {t} AND v0 = 'u:42' AND v1 = 'g:sales'",
		"UPDATE casbin_rule SET origin = 'x:y' WHERE tenant_id = {t} AND v0 = 'u:42' AND v1 = 'g:sales'",
		"UPDATE casbin_rule SET pending = 1 WHERE tenant_id = {t} AND v0 = 'u:42' AND v1 = 'g:sales'",
		"INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1, v2, v3, v4, v5) VALUES ({t}, 1, 'p', 'u:42', '*', 'System', '*', 'allow', '-')",
		"INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1, v2, v3, v4, v5) VALUES ({t}, 1, 'p', 'u:42', '*', 'System', '2', 'Allow', '-')",
	} {
		tenant := fmt.Sprint("malformed-single-", i)
		b.tenant(t, tenant)
		b.subjects(t, tenant, []string{"42"})
		b.exec(t, tenant, statement)
		if got, err := b.store.Subjects(t.Context(), tenant, []string{"17", "42"}); !errors.Is(err, access.ErrInvalid) || got != nil && len(got[1].Rules) > 0 {
			t.Errorf("after %s: %+v, %v", statement, got, err)
		}
		if got, err := b.store.Users(t.Context(), tenant, "", 10); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("after %s listed: %+v, %v", statement, got, err)
		}
		b.subjectsOf(t, tenant, "17")
	}
}

// subjectsOf fails unless this user can still be read.
func (b *storeBattery) subjectsOf(t *testing.T, tenant, id string) {
	t.Helper()
	if got, err := b.store.Subjects(t.Context(), tenant, []string{id}); err != nil || len(got) != 1 || !got[0].Known {
		t.Errorf("%s: %+v, %v", id, got, err)
	}
}

// wholeUsers: beside a writer who always changes two users together, they are
// never seen apart, and the revision is the one at which they were like this.
func wholeUsers(b *storeBattery) {
	t := b.t
	p := &access.Policy{Tenant: "whole", Groups: []access.Group{{Code: "even"}, {Code: "odd"}}}
	write := func(to string) (access.Delta, error) {
		link := []access.Link{{To: to}}
		p.Users = []access.User{{ID: "a", Groups: link}, {ID: "b", Groups: link}}
		return b.store.Apply(context.WithoutCancel(t.Context()), p, change(access.AnyRevision))
	}
	b.empty(t, "whole")
	if _, err := write("even"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 60 {
			if _, err := write([]string{"odd", "even"}[i%2]); err != nil {
				t.Error(err)
			}
		}
	}()
	long := slices.Repeat([]string{"x"}, 300)
	for writing := true; writing; {
		select {
		case <-done:
			writing = false
		default:
		}
		for _, ids := range [][]string{{"a", "b"}, slices.Concat([]string{"a"}, long, []string{"b"})} {
			got, err := b.store.Subjects(t.Context(), "whole", ids)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"g, u:a, g:even, *", "g, u:b, g:even, *"}
			if got[0].Revision%2 == 1 {
				want = []string{"g, u:a, g:odd, *", "g, u:b, g:odd, *"}
			}
			first, last := got[0], got[len(got)-1]
			if lines := []string{first.Rules[0].String(), last.Rules[0].String()}; !slices.Equal(lines, want) || last.Revision != first.Revision || last.Changed != last.Revision {
				t.Fatalf("at revision %d and %d, changed at %d: %q, want %q", first.Revision, last.Revision, last.Changed, lines, want)
			}
		}
	}
}

func nothingUnknown(b *storeBattery) {
	t := b.t
	b.tenant(t, "known-too")
	for _, code := range []string{"nobody", "KNOWN-TOO", ""} {
		_, changes := b.store.Changes(t.Context(), code, 1)
		_, one := b.store.Subjects(t.Context(), code, []string{"42"})
		_, several := b.store.Subjects(t.Context(), code, slices.Repeat([]string{"42"}, 400))
		_, list := b.store.Users(t.Context(), code, "", 10)
		epoch := b.store.RenewEpoch(t.Context(), code, change(access.AnyRevision))
		for what, err := range map[string]error{"changes": changes, "one": one, "several": several, "list": list, "epoch": epoch} {
			if !errors.Is(err, access.ErrNotFound) {
				t.Errorf("%s of %q gives %v, want not found", what, code, err)
			}
		}
	}
}
