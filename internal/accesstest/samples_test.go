package accesstest_test

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
	"github.com/bailiwick/bailiwick/internal/store"
	"github.com/bailiwick/bailiwick/policies"
)

// TestSamples_stockCasbinAgrees puts every question of the sample tenants' own
// tests to our engine and to a stock Casbin enforcer that gorm-adapter loads
// from the same database. Decision, reason and deciding rule must be equal.
func TestSamples_stockCasbinAgrees(t *testing.T) {
	for driver, dsn := range map[string]func(t *testing.T) string{
		store.SQLite: func(t *testing.T) string { t.Helper(); return filepath.Join(t.TempDir(), "samples.db") },
		store.MySQL:  func(t *testing.T) string { t.Helper(); return accesstest.MySQL(t) },
	} {
		t.Run(driver, func(t *testing.T) {
			s, err := store.Open(t.Context(), store.Options{Driver: driver, DSN: dsn(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, tenant := range policies.Tenants() {
				t.Run(tenant, func(t *testing.T) { agrees(t, s, tenant) })
			}
		})
	}
}

// asked is one question at the moment for which its test asks it.
type asked struct {
	bundle.Question
	now time.Time
}

func agrees(t *testing.T, s *store.Store, tenant string) {
	t.Helper()
	b := sample(t, tenant)
	now := time.Now()
	b.Policy.Users = slices.Concat(b.Policy.Users, subjectsOf(b))
	b.Policy.Licences = unlimited(b.Policy.Licences)
	change := access.Change{Base: access.AnyRevision, Author: "test", Source: "test"}
	if _, err := s.CreateTenant(t.Context(), access.Tenant{Code: tenant}, change); err != nil && tenant != access.DefaultTenant {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), &b.Policy, change); err != nil {
		t.Fatal(err)
	}
	questions := questionsOf(b, now)
	var both pair
	for _, q := range questions {
		if both.at.IsZero() || !both.at.Equal(q.now) {
			both = open(t, s, tenant, q.now, now)
		}
		both.compare(t, q)
	}
	t.Logf("%d questions, the same answers", len(questions))
	if len(questions) < 20 {
		t.Errorf("only %d questions: too few to mean anything", len(questions))
	}
}

// pair is the engine and the oracle for one moment.
type pair struct {
	at     time.Time
	ours   *engine.Snapshot
	theirs *oracle.Oracle
}

// open loads both from the database. For a moment that lies ahead, the rules
// that begin or end until then are put in force first, as the sweep would.
func open(t *testing.T, s *store.Store, tenant string, at, now time.Time) pair {
	t.Helper()
	if at.After(now) {
		if _, err := s.Expire(t.Context(), tenant, at); err != nil {
			t.Fatal(err)
		}
	}
	facts, err := s.Load(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := engine.Compile(facts)
	if err != nil {
		t.Fatal(err)
	}
	adapter, err := s.CasbinAdapter(context.Background(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := oracle.New(facts, adapter)
	if err != nil {
		t.Fatal(err)
	}
	return pair{at: at, ours: ours, theirs: theirs}
}

func (p pair) compare(t *testing.T, q asked) {
	t.Helper()
	ours, err := p.ours.Decide(&q.Request, p.at)
	if err != nil {
		t.Fatalf("%s: %v", q.Origin, err)
	}
	theirs, err := p.theirs.Decide(&q.Request, p.at)
	if err != nil {
		t.Fatalf("%s: stock: %v", q.Origin, err)
	}
	if ours.Allowed != theirs.Allowed || ours.Reason != theirs.Reason || line(ours.Rule) != line(theirs.Rule) {
		t.Errorf("%s: %s\nours:  %v %s %s\nstock: %v %s %s", q.Origin, q.Question,
			ours.Allowed, ours.Reason, line(ours.Rule), theirs.Allowed, theirs.Reason, line(theirs.Rule))
	}
}

func line(r *access.Rule) string {
	if r == nil {
		return ""
	}
	return r.String()
}

func sample(t *testing.T, tenant string) *bundle.Bundle {
	t.Helper()
	files, err := policies.FS(tenant)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Read(files, bundle.Options{ModelOf: engine.ModelOf})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// subjectsOf gives the accounts of all suites; of several with one id the first.
func subjectsOf(b *bundle.Bundle) []access.User {
	var users []access.User
	for _, suite := range b.Tests {
		for _, u := range suite.Subjects {
			if !slices.ContainsFunc(users, func(o access.User) bool { return o.ID == u.ID }) {
				users = append(users, u)
			}
		}
	}
	return users
}

// unlimited lifts the number of seats: the suites' accounts stand beside the
// policy's own and would not all find one.
func unlimited(licences []access.Licence) []access.Licence {
	all := slices.Clone(licences)
	for i := range all {
		all[i].Seats = 0
	}
	return all
}

// questionsOf lists the questions in the order of their moments, so that time
// only goes forward.
func questionsOf(b *bundle.Bundle, now time.Time) []asked {
	var questions []asked
	for _, suite := range b.Tests {
		for _, test := range suite.Tests {
			at := test.Now
			if at.IsZero() {
				at = now
			}
			for _, q := range test.Questions {
				questions = append(questions, asked{Question: q, now: at})
			}
		}
	}
	slices.SortStableFunc(questions, func(a, b asked) int { return cmp.Compare(a.now.UnixNano(), b.now.UnixNano()) })
	return questions
}
