package accesstest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/store"
)

// Store is what every database must pass. The function names a fresh, empty
// database; the battery migrates it and gives each test a tenant of its own.
func Store(t *testing.T, database func(testing.TB) store.Options) {
	t.Helper()
	b := &storeBattery{options: database(t)}
	b.store = OpenStore(t, b.options)
	b.raw = rawDatabase(t, b.options)
	for name, test := range map[string]func(*storeBattery){
		"what is loaded is what was applied":            loadedIsApplied,
		"random policies are loaded as applied":         randomPolicies,
		"no difference is no revision":                  noDifference,
		"a small change stays small":                    smallChange,
		"names that look alike stay apart":              alikeNames,
		"what a column cannot hold is refused":          tooLong,
		"duplicates are refused":                        duplicates,
		"tenants do not see one another":                apart,
		"unknown tenants are not found":                 unknownTenant,
		"parallel writers leave no gap":                 parallelWriters,
		"a change for an old revision is stale":         stale,
		"of two changes for one revision one wins":      lostUpdate,
		"a change needs an author":                      changeChecked,
		"users who are not listed keep what is theirs":  unlistedUsers,
		"what unlisted users have cannot be taken away": heldGroups,
		"logins are unique whatever their case":         logins,
		"what the words' rules refuse is not stored":    unchecked,
		"a policy has a limit of rules":                 ruleLimit,
		"missing and foreign rows are noticed":          countedRows,
		"malformed rules are refused by name":           malformedRules,
		"malformed documents are refused by name":       malformedDocuments,
		"verify finds every edit of the history":        editedHistory,
		"rules end and begin by recorded revisions":     expiry,
		"times that cannot be kept are refused":         times,
		"keys are kept, revoked and recorded":           keys,
		"no secret stands in the database":              canary,
	} {
		t.Run(name, func(t *testing.T) { test(b.in(t)) })
	}
	for name, test := range editing {
		t.Run(name, func(t *testing.T) { test(b.in(t)) })
	}
	for name, test := range signingIn {
		t.Run(name, func(t *testing.T) { test(b.in(t)) })
	}
	for name, test := range rebuilding {
		t.Run(name, func(t *testing.T) { test(b.in(t)) })
	}
	for name, test := range mailing {
		t.Run(name, func(t *testing.T) { test(b.in(t)) })
	}
	for name, test := range following {
		t.Run(name, func(t *testing.T) { test(b.in(t)) })
	}
}

// OpenStore opens a store, migrates it and closes it when the test ends.
func OpenStore(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// storeBattery is one database under test, also open beside the store, so that
// tests can do what a careless administrator does.
type storeBattery struct {
	t       *testing.T // the test that is running
	options store.Options
	store   *store.Store
	raw     *sql.DB
}

// in is the battery for one of its tests.
func (b *storeBattery) in(t *testing.T) *storeBattery {
	t.Helper()
	inner := *b
	inner.t = t
	return &inner
}

func rawDatabase(t testing.TB, o store.Options) *sql.DB {
	t.Helper()
	dsn := o.DSN
	if o.Driver == store.SQLite {
		dsn += "?_pragma=busy_timeout(10000)"
	}
	raw, err := sql.Open(o.Driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := raw.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return raw
}

// exec runs a statement beside the store. In it, {t} is the number of the tenant.
func (b *storeBattery) exec(t *testing.T, tenant, statement string, args ...any) {
	t.Helper()
	var id int64
	if err := b.raw.QueryRowContext(t.Context(), "SELECT id FROM tenant WHERE code = ?", tenant).Scan(&id); err != nil {
		t.Fatal(err)
	}
	done, err := b.raw.ExecContext(t.Context(), strings.ReplaceAll(statement, "{t}", fmt.Sprint(id)), args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s met no row (%v)", statement, err)
	}
}

// tenant makes a tenant of its own for a test, with the sample policy.
func (b *storeBattery) tenant(t *testing.T, code string) *access.Policy {
	t.Helper()
	b.empty(t, code)
	p := StorePolicy(code)
	b.apply(t, p)
	return p
}

func (b *storeBattery) apply(t *testing.T, p *access.Policy) access.Revision {
	t.Helper()
	d, err := b.store.Apply(t.Context(), p, change(access.AnyRevision))
	if err != nil {
		t.Fatal(err)
	}
	return d.To
}

// loads fails unless the tenant's facts are those of the policy.
func (b *storeBattery) loads(t *testing.T, p *access.Policy) {
	t.Helper()
	got, err := b.store.Load(t.Context(), p.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	head := access.Head{Revision: got.Revision, Epoch: got.Epoch}
	if heads, err := b.store.Heads(t.Context()); err != nil || heads[p.Tenant] != head || got.Epoch == "" {
		t.Errorf("Load says %+v, Heads says %+v (%v)", head, heads[p.Tenant], err)
	}
	want := p.Facts()
	if got = Policy(t, got); !reflect.DeepEqual(got, Policy(t, want)) {
		t.Fatalf("loaded\n%+v\nand applied\n%+v", got, want)
	}
}

// Policy gives the part of facts that comes from a policy, in one form: without
// what the store adds (revisions, epoch, places, which must rise) and with users
// in the order of their ids.
func Policy(t testing.TB, f access.Facts) access.Facts {
	t.Helper()
	f.Epoch, f.Revision, f.Policy, f.Stripes = "", 0, 0, nil
	f.Users, f.Rules, f.Conditions = slices.Clone(f.Users), slices.Clone(f.Rules), slices.Clone(f.Conditions)
	slices.SortFunc(f.Conditions, func(a, b access.Condition) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(f.Users, func(a, b access.UserFacts) int { return strings.Compare(a.ID, b.ID) })
	for i, place := 0, int64(0); i < len(f.Rules); i++ {
		if next := f.Rules[i].Place; next != 0 && next <= place {
			t.Errorf("rule %q is at place %d, behind one at %d", f.Rules[i], next, place)
		}
		place, f.Rules[i].Place = f.Rules[i].Place, 0
	}
	slices.SortStableFunc(f.Rules, func(a, b access.Rule) int { // the order of different users' rules means nothing
		x, _ := a.User()
		y, _ := b.User()
		return strings.Compare(x, y)
	})
	return f
}

// refuses fails unless Load refuses the tenant and says these words.
func (b *storeBattery) refuses(t *testing.T, tenant string, words ...string) {
	t.Helper()
	_, err := b.store.Load(t.Context(), tenant)
	if !errors.Is(err, access.ErrInvalid) {
		t.Fatalf("loaded with error %v, want one of kind invalid", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
}

func change(base access.Revision) access.Change {
	return access.Change{Base: base, Author: "tester", Source: "test", Reason: "a test of the store"}
}

// StorePolicy is a policy that uses whatever a policy can hold.
func StorePolicy(tenant string) *access.Policy {
	at := func(line int) access.Origin { return access.Origin{File: "groups/a:b.yaml", Line: line, Column: 3} }
	until := time.Date(2093, 1, 2, 3, 4, 5, 678000, time.UTC)
	from := time.Date(2092, 1, 1, 0, 0, 0, 0, time.UTC)
	return &access.Policy{
		Tenant: tenant, Description: "Über <all>", Combining: access.AllowOverrides, Root: "System", Anonymous: "guests", Origin: at(1),
		Licences: []access.Licence{{Feature: "chats", Seats: 5, Origin: at(2)}, {Feature: "mails"}},
		Scopes: []access.ScopeNode{
			{Scope: "store:b", Parent: "company:7", Name: "B"},
			{Scope: "company:7", Parent: "*", Name: "North", Origin: at(4)},
			{Scope: "store:a", Parent: "company:7"},
		},
		Catalogue: []access.Application{{
			Code: "shop", Name: "Shop", Names: map[string]string{"de": "Laden"}, Description: "sells", Version: "1.2", Origin: at(5),
			Families: []access.FamilyEntry{{Name: "F", Names: map[string]string{"de": "Familie"}, Origin: at(9)}},
			Groups:   []access.Link{{To: "guests", Scope: "store:a"}},
			Sections: []access.SectionEntry{
				{Path: "System", Name: "All", Names: map[string]string{"de": "Alles"}, Family: "F", Origin: at(6)},
				{
					Path: "System.Orders", Licence: "chats", Menu: &access.MenuEntry{Label: "Orders", Labels: map[string]string{"de": "Bestellungen"}, Order: 3}, Cascade: true,
					Actions:       []access.ActionEntry{{Name: "send", Label: "Send", Labels: map[string]string{"de": "Senden"}, Description: "by mail", Origin: at(7)}},
					Prerequisites: []access.Prerequisite{{Section: "System.Stores", Rights: access.Show, Origin: at(8)}},
				},
				{Path: "System.Stores", Field: true},
			},
		}, {Code: "empty"}},
		Roles: []access.Role{
			{Code: "seller", Name: "Seller", Description: "sells", Origin: at(9), Grants: []access.Grant{
				{Section: "System.Orders", Rights: 10, Actions: []string{"send"}, Scope: "store:a", Condition: "resource.amount < 1000 && true", Origin: at(10)},
				{Section: "System.Stores", Rights: 2, Effect: access.Deny, Validity: access.Validity{Until: until}},
			}},
			{Code: "boss", Roles: []access.Link{{To: "seller", Scope: "company:7", Validity: access.Validity{From: from, Until: until}, Origin: at(11)}}},
		},
		Groups: []access.Group{
			{Code: "guests", Name: "Guests", Kind: access.GroupDefault, Signature: "Best, {name}"},
			{Code: "frozen", Kind: access.GroupTemplate, Scopes: []access.Scope{}, Grants: []access.Grant{{Section: "System.Stores", Rights: 2}}},
			{
				Code: "sales", Description: "d", Base: "guests", Scopes: []access.Scope{"store:b", "store:a"}, Origin: at(12),
				Roles:  []access.Link{{To: "boss", Scope: "store:a"}},
				Grants: []access.Grant{{Section: "System.Stores", Rights: 63, Condition: "false"}},
			},
		},
		Users: []access.User{
			{
				ID: "42", Email: "Sales-1@example.com", Name: "Sales One", Groups: []access.Link{{To: "sales"}, {To: "guests"}},
				Licences: []string{"chats"}, ApplicationsOff: []string{"empty"}, Origin: at(13),
				Attributes: map[string]any{
					"whole": int64(5), "float": 5.0, "half": 0.5, "big": 1e300, "huge": uint64(1) << 63,
					"list": []any{int64(1), 2.0, "x", nil, true}, "deep": map[string]any{"a": int64(-1)},
				},
			},
			{ID: "17", Status: access.UserDisabled, Roles: []access.Link{{To: access.SuperuserRole}}},
			{ID: "ＡＢ", Status: access.UserActive},
		},
		Rules: []access.Rule{
			{Type: "g", Values: []string{"u:later", "r:seller", "*"}, Origin: access.Origin{File: "extra.csv", Line: 1}},
			{Type: "p", Values: []string{"g:sales", "store:a", "System.Stores", "4", "allow", "-"}},
		},
	}
}

func loadedIsApplied(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "loaded")
	b.loads(t, p)
	tenants, err := b.store.Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range tenants {
		if tenant == (access.Tenant{Code: "loaded", Description: "Über <all>", Revision: 2}) {
			return
		}
	}
	t.Errorf("the tenant is not listed as it is: %+v", tenants)
}

// randomPolicies shuffles, drops and repeats parts of the sample, and holds
// what is loaded against what was applied after each step.
func randomPolicies(b *storeBattery) {
	t := b.t
	b.empty(t, "random")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // chance for a test, that can be repeated
	for range 40 {
		p := RandomPolicy(r, "random")
		b.apply(t, p)
		b.loads(t, p)
	}
	if err := b.store.Verify(t.Context(), "random"); err != nil {
		t.Error(err)
	}
}

// RandomPolicy gives a valid policy of the built-in or, one time in eight, of a
// foreign model, whose parts stand in random order.
func RandomPolicy(r *rand.Rand, tenant string) *access.Policy {
	p := StorePolicy(tenant)
	p.Users = nil // those who are not listed stay, see unlistedUsers
	shuffle(r, p.Scopes)
	shuffle(r, p.Licences)
	shuffle(r, p.Groups)
	shuffle(r, p.Catalogue[0].Sections[1:])
	for i := range 3 + r.IntN(20) {
		p.Roles = append(p.Roles, access.Role{Code: fmt.Sprintf("role%d", i), Grants: []access.Grant{
			{Section: "System.Orders", Rights: access.AllRights >> r.IntN(6), Scope: "store:b"},
			{Section: "System.Stores", Rights: 2, Condition: fmt.Sprintf("%d > 1", r.IntN(5)), Origin: access.Origin{File: "r", Line: r.IntN(3)}},
		}})
	}
	shuffle(r, p.Roles)
	shuffle(r, p.Rules)
	p.Rules = p.Rules[:r.IntN(len(p.Rules)+1)]
	if r.IntN(8) == 0 {
		return foreignPolicy(r, tenant)
	}
	return p
}

func foreignPolicy(r *rand.Rand, tenant string) *access.Policy {
	p := &access.Policy{Tenant: tenant, Model: "[request_definition]\nr = sub, obj\n"}
	for i := range r.IntN(10) {
		p.Rules = append(p.Rules, access.Rule{Type: "p2", Values: []string{fmt.Sprint("n", i), "r.sub.Age > 18, perhaps"}})
	}
	shuffle(r, p.Rules)
	return p
}

func shuffle[T any](r *rand.Rand, s []T) {
	r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}

func noDifference(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "same")
	before := b.apply(t, p)
	d, err := b.store.Apply(t.Context(), StorePolicy("same"), change(before))
	if err != nil || d.From != before || d.To != before {
		t.Errorf("the same policy gave %+v (%v), want revision %d", d, err, before)
	}
	history, err := b.store.Revisions(t.Context(), "same")
	if err != nil || len(history) != 2 {
		t.Errorf("%d revisions (%v), want the tenant's and the policy's", len(history), err)
	}
}

func smallChange(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "small")
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // chance for a test, that can be repeated
	for range 100 {                  // the gap between two neighbours is used up several times
		at := 1 + r.IntN(2)
		grant := access.Grant{Section: "System.Stores", Rights: access.Show, Condition: fmt.Sprintf("%d == 0", r.Int())}
		p.Roles[0].Grants = append(p.Roles[0].Grants[:at:at], append([]access.Grant{grant}, p.Roles[0].Grants[at:]...)...)
		b.apply(t, p)
	}
	b.loads(t, p)
	p.Roles[0].Grants[50].Rights = access.Insert
	rev := b.apply(t, p)
	var n int
	err := b.raw.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM revision_change c JOIN tenant t ON t.id = c.tenant_id
		WHERE t.code = 'small' AND c.revision = ?`, rev).Scan(&n)
	if err != nil || n != 3 { // the role, a rule gone, a rule added
		t.Errorf("one changed grant made %d changes (%v), want 3", n, err)
	}
}

var alike = []string{"Alice", "alice", "alicé", "ａlice", "ALICE", "straße", "strasse"}

// alikeNames: databases that fold case or pad with blanks take these for one.
func alikeNames(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "alike")
	for i, name := range alike {
		p.Users = append(p.Users, access.User{ID: name, Roles: []access.Link{{To: []string{"seller", "boss"}[i%2]}}})
	}
	b.apply(t, p)
	b.loads(t, p)
	names := append([]string{"alice ", " alice", "alice\u200b", "alice\x00"}, alike...)
	for i, name := range names {
		b.exec(t, "alike", "INSERT INTO casbin_rule (tenant_id, id, ptype, v0) VALUES ({t}, ?, 'x', ?)", i+1, name)
	}
	for _, name := range names {
		var n int
		err := b.raw.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM casbin_rule r JOIN tenant t ON t.id = r.tenant_id
			WHERE t.code = 'alike' AND ptype = 'x' AND v0 = ?`, name).Scan(&n)
		if err != nil || n != 1 {
			t.Errorf("%q is found %d times (%v)", name, n, err)
		}
	}
}

func tooLong(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "long")
	p.Users = append(p.Users, access.User{ID: strings.Repeat("é", 49)}) // 98 bytes
	b.apply(t, p)
	b.loads(t, p)
	for words, spoil := range map[string]func(*access.Policy){
		"is 100 bytes long":      func(p *access.Policy) { p.Users[0].ID += strings.Repeat("x", 98) },
		"not a place of at most": func(p *access.Policy) { p.Rules[0].Origin.File = strings.Repeat("x", 500) },
		"not text of at most":    func(p *access.Policy) { p.Description = "\xff" },
		"is larger than":         func(p *access.Policy) { p.Roles[0].Description = strings.Repeat("x", 5<<20) },
	} {
		p := StorePolicy("long")
		spoil(p)
		b.rejects(t, p, words)
	}
	b.loads(t, p)
	b.empty(t, "long-foreign")
	for words, rule := range map[string]access.Rule{
		"v0: is 101 bytes long": {Type: "p", Values: []string{strings.Repeat("x", 101)}},
		"has 7 values":          {Type: "p", Values: strings.Split("abcdefg", "")},
		"has 0 values":          {Type: "p"},
		"v1: is required":       {Type: "p", Values: []string{"a", "", "c"}},
		"begins or ends with":   {Type: "p", Values: []string{"a", "c "}},
		"is not a kind of rule": {Type: "p1", Values: []string{"a"}},
	} {
		b.rejects(t, &access.Policy{Tenant: "long-foreign", Model: "m", Rules: []access.Rule{rule}}, words)
	}
}

// empty makes a tenant without policy.
func (b *storeBattery) empty(t *testing.T, code string) {
	t.Helper()
	if _, err := b.store.CreateTenant(t.Context(), access.Tenant{Code: code}, change(0)); err != nil {
		t.Fatal(err)
	}
}

// rejects fails unless the policy is refused with these words.
func (b *storeBattery) rejects(t *testing.T, p *access.Policy, words string) {
	t.Helper()
	_, err := b.store.Apply(t.Context(), p, change(access.AnyRevision))
	if !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), words) {
		t.Errorf("applied with error %v, want one of kind invalid that says %q", err, words)
	}
}

func duplicates(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "twice")
	twice := *p
	twice.Rules = append(twice.Rules, twice.Rules[0])
	b.rejects(t, &twice, "is there twice")
	b.empty(t, "twice-foreign")
	b.rejects(t, &access.Policy{Tenant: "twice-foreign", Model: "m", Rules: []access.Rule{
		{Type: "p", Values: []string{"a"}}, {Type: "p", Values: []string{"a"}},
	}}, "is there twice")
	if _, err := b.store.CreateTenant(t.Context(), access.Tenant{Code: "twice"}, change(0)); !errors.Is(err, access.ErrExists) {
		t.Errorf("made a tenant twice with error %v", err)
	}
	b.loads(t, p)
}

// apart: what one tenant does is no matter of another with the same rules.
func apart(b *storeBattery) {
	t := b.t
	left, right := b.tenant(t, "left"), b.tenant(t, "right")
	right.Roles[0].Grants = nil
	b.apply(t, right)
	b.loads(t, left)
	b.loads(t, right)
}

func unknownTenant(b *storeBattery) {
	t := b.t
	b.tenant(t, "known")
	ctx := t.Context()
	for _, code := range []string{"nobody", "KNOWN", "Known", "known ", "ｋnown", ""} {
		_, load := b.store.Load(ctx, code)
		_, list := b.store.Revisions(ctx, code)
		_, expire := b.store.Expire(ctx, code, time.Now())
		_, adapter := b.store.CasbinAdapter(ctx, code)
		revoke := b.store.RevokeKey(ctx, code, "k", change(access.AnyRevision))
		for what, err := range map[string]error{
			"load": load, "list": list, "expire": expire, "adapter": adapter, "revoke": revoke, "verify": b.store.Verify(ctx, code),
		} {
			if !errors.Is(err, access.ErrNotFound) {
				t.Errorf("%s of %q gives %v, want not found", what, code, err)
			}
		}
	}
	_, err := b.store.Apply(ctx, &access.Policy{Tenant: "nobody"}, change(access.AnyRevision))
	if !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a policy for nobody gives %v, want not found", err)
	}
}

// parallelWriters uses two stores on one database, as two replicas do.
func parallelWriters(b *storeBattery) {
	t := b.t
	const writers, commits = 2, 50
	b.tenant(t, "parallel")
	var wait sync.WaitGroup
	for w := range writers {
		s := OpenStore(t, b.options)
		wait.Go(func() {
			for i := range commits {
				p := StorePolicy("parallel")
				p.Description = fmt.Sprintf("%d of writer %d", i, w)
				p.Roles[0].Grants[0].Rights = access.Rights(2 + i)
				if _, err := s.Apply(context.WithoutCancel(t.Context()), p, change(access.AnyRevision)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	history, err := b.store.Revisions(t.Context(), "parallel")
	if err != nil || len(history) != 2+writers*commits {
		t.Fatalf("%d revisions (%v), want %d", len(history), err, 2+writers*commits)
	}
	for i, entry := range history {
		if entry.Number != access.Revision(i+1) {
			t.Fatalf("revision %d stands at place %d", entry.Number, i+1)
		}
	}
	if err := b.store.Verify(t.Context(), "parallel"); err != nil {
		t.Error(err)
	}
}

func stale(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "stale")
	p.Description = "newer"
	_, err := b.store.Apply(t.Context(), p, change(1))
	if !errors.Is(err, access.ErrStale) || !strings.Contains(err.Error(), "revision 1") || !strings.Contains(err.Error(), "revision 2") {
		t.Errorf("a change for revision 1 of 2 gives %v, want stale with both numbers", err)
	}
	if _, err := b.store.Apply(t.Context(), p, change(3)); !errors.Is(err, access.ErrStale) {
		t.Errorf("a change for a revision to come gives %v, want stale", err)
	}
	b.loads(t, StorePolicy("stale"))
	if d, err := b.store.Apply(t.Context(), p, change(2)); err != nil || d.From != 2 || d.To != 3 {
		t.Errorf("a change for revision 2 of 2 gives %+v, %v", d, err)
	}
}

func lostUpdate(b *storeBattery) {
	t := b.t
	b.tenant(t, "race")
	results := make(chan error, 8)
	for i := range cap(results) {
		go func() {
			p := StorePolicy("race")
			p.Description = fmt.Sprint("writer ", i)
			_, err := b.store.Apply(context.WithoutCancel(t.Context()), p, change(2))
			results <- err
		}()
	}
	won := 0
	for range cap(results) {
		if err := <-results; err == nil {
			won++
		} else if !errors.Is(err, access.ErrStale) {
			t.Errorf("the others get %v, want stale", err)
		}
	}
	if won != 1 {
		t.Errorf("%d writers won, want 1", won)
	}
}

func changeChecked(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "change")
	p.Description = "other"
	for field, c := range map[string]access.Change{
		"author": {Base: access.AnyRevision},
		"reason": {Base: access.AnyRevision, Author: "a", Reason: strings.Repeat("x", 4097)},
		"source": {Base: access.AnyRevision, Author: "a", Source: "\xff"},
	} {
		_, err := b.store.Apply(t.Context(), p, c)
		var e *access.Error
		if !errors.As(err, &e) || e.Field != field || !errors.Is(err, access.ErrInvalid) {
			t.Errorf("a bad %s gives %v", field, err)
		}
	}
}

func unlistedUsers(b *storeBattery) {
	t := b.t
	whole := b.tenant(t, "unlisted")
	part := StorePolicy("unlisted")
	part.Users = []access.User{{ID: "new", Groups: []access.Link{{To: "guests"}}}, whole.Users[2]}
	part.Roles[0].Name = "renamed"
	b.apply(t, part)
	part.Users = append(part.Users, whole.Users[0], whole.Users[1])
	b.loads(t, part)
	// What their rules are made of follows the catalogue: orders cascade no more.
	part.Catalogue[0].Sections[1].Cascade = false
	users := part.Users
	part.Users = nil
	b.apply(t, part)
	part.Users = users
	b.loads(t, part)
}

func heldGroups(b *storeBattery) {
	t := b.t
	b.tenant(t, "held")
	p := StorePolicy("held")
	p.Users, p.Groups, p.Rules = nil, p.Groups[:2], p.Rules[:1]
	_, err := b.store.Apply(t.Context(), p, change(access.AnyRevision))
	var e *access.Error
	if !errors.As(err, &e) || e.Field != "groups" || !strings.Contains(e.Message, "user 42 is in group sales") {
		t.Errorf("taking away the group of user 42 gives %v", err)
	}
	b.loads(t, StorePolicy("held"))
}

func logins(b *storeBattery) {
	t := b.t
	b.tenant(t, "logins")
	p := StorePolicy("logins")
	for _, email := range []string{"sales-1@example.com", "SALES-1@EXAMPLE.COM", "\u017fales-1@example.com"} { // the last with a long s
		p.Users = []access.User{{ID: "other", Email: email}}
		b.rejects(t, p, "e-mail")
	}
}

func unchecked(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "unchecked")
	circle := *p
	circle.Roles = append(circle.Roles[:len(p.Roles):len(p.Roles)],
		access.Role{Code: "a", Roles: []access.Link{{To: "b"}}}, access.Role{Code: "b", Roles: []access.Link{{To: "a"}}})
	b.rejects(t, &circle, "circle")
	b.loads(t, p)
	if _, err := b.store.CreateTenant(t.Context(), access.Tenant{Code: "No Code"}, change(0)); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("a tenant without a proper code gives %v", err)
	}
}

func ruleLimit(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "limit")
	o := b.options
	o.MaxRules = len(p.Facts().Rules)
	s := OpenStore(t, o)
	p.Description = "as many as may be"
	if _, err := s.Apply(t.Context(), p, change(access.AnyRevision)); err != nil {
		t.Error(err)
	}
	p.Roles[0].Grants = append(p.Roles[0].Grants, access.Grant{Section: "System.Stores", Rights: 4})
	_, err := s.Apply(t.Context(), p, change(access.AnyRevision))
	if !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), "is the limit") {
		t.Errorf("one rule too many gives %v", err)
	}
}
