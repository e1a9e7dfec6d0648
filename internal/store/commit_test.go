package store_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

var any1 = access.Change{Base: access.AnyRevision, Author: "tester"}

// TestApply_allOrNothing breaks a change off before its first statement, its
// second and so on: what is there afterwards is what was there before, until
// it gets through to the end.
func TestApply_allOrNothing(t *testing.T) {
	onEach(t, func(d database) {
		t, o := d.t, d.options
		s, fragile := accesstest.OpenStore(t, o), accesstest.OpenStore(t, o)
		tenant := access.DefaultTenant
		before := apply(t, s, accesstest.StorePolicy(tenant))
		next := accesstest.RandomPolicy(rand.New(rand.NewPCG(3, 3)), tenant)
		left, cancel := 0, context.CancelFunc(nil)
		err := fragile.BeforeStatement(func() {
			if left--; left == 0 {
				cancel()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		broken := 0
		for ; ; broken++ {
			var ctx context.Context
			ctx, cancel = context.WithCancel(t.Context())
			left = broken + 1
			_, err := fragile.Apply(ctx, next, any1)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if after := load(t, s, tenant); !reflect.DeepEqual(before, after) {
				t.Fatalf("broken off before statement %d it left\n%+v\nof\n%+v", broken+1, after, before)
			}
			verify(t, s, tenant)
		}
		if broken < 10 {
			t.Errorf("a change of everything has only %d statements: the test looks beside", broken)
		}
		if after := load(t, s, tenant); after.Revision != before.Revision+1 {
			t.Errorf("revision %d after %d", after.Revision, before.Revision)
		}
		verify(t, s, tenant)
	})
}

// TestCommit_everyRowCounts: a database that quietly leaves out a row (here by
// a trigger) makes the whole change fail, that of the history most of all.
func TestCommit_everyRowCounts(t *testing.T) {
	for name, event := range map[string]string{
		"a document that goes":    "BEFORE DELETE ON roles BEGIN SELECT RAISE(IGNORE); END",
		"a document that comes":   "BEFORE INSERT ON user_groups BEGIN SELECT RAISE(IGNORE); END",
		"a rule that comes":       "BEFORE INSERT ON casbin_rule BEGIN SELECT RAISE(IGNORE); END",
		"a rule that changes":     "AFTER INSERT ON casbin_rule WHEN NEW.v4 = 'deny' BEGIN UPDATE casbin_rule SET v4 = 'Deny' WHERE v4 = 'deny'; END",
		"a user":                  "BEFORE INSERT ON users BEGIN SELECT RAISE(IGNORE); END",
		"the revision":            "BEFORE INSERT ON revision BEGIN SELECT RAISE(IGNORE); END",
		"a change in the history": "BEFORE INSERT ON revision_change WHEN NEW.n = 2 BEGIN SELECT RAISE(IGNORE); END",
		"the counter":             "BEFORE UPDATE ON tenant BEGIN SELECT RAISE(IGNORE); END",
	} {
		t.Run(name, func(t *testing.T) {
			o := databases["sqlite"](t)
			s := accesstest.OpenStore(t, o)
			p := &access.Policy{Tenant: access.DefaultTenant, Roles: []access.Role{{Code: "goes"}}}
			before := apply(t, s, p)
			execute(t, beside(t, o), "CREATE TRIGGER spoiler "+event)
			next := accesstest.StorePolicy(access.DefaultTenant)
			if _, err := s.Apply(t.Context(), next, any1); err == nil {
				t.Error("the change has gone through")
			}
			if after := load(t, s, p.Tenant); !reflect.DeepEqual(before, after) {
				t.Errorf("it left\n%+v\nof\n%+v", after, before)
			}
			verify(t, s, p.Tenant)
			execute(t, beside(t, o), "DROP TRIGGER spoiler")
			apply(t, s, next)
		})
	}
	t.Run("a key", func(t *testing.T) {
		o := databases["sqlite"](t)
		s := accesstest.OpenStore(t, o)
		key := access.APIKey{ID: "k", Tenant: access.AllTenants, Kind: access.KeyRead, Name: "n", SecretHash: [32]byte{1}}
		execute(t, beside(t, o), "CREATE TRIGGER spoiler BEFORE INSERT ON api_key BEGIN SELECT RAISE(IGNORE); END")
		if err := s.AddKey(t.Context(), key, any1); err == nil {
			t.Error("a key that was not kept was acknowledged")
		}
		execute(t, beside(t, o), "DROP TRIGGER spoiler")
		if err := s.AddKey(t.Context(), key, any1); err != nil {
			t.Fatal(err)
		}
		execute(t, beside(t, o), "CREATE TRIGGER spoiler BEFORE UPDATE ON api_key BEGIN SELECT RAISE(IGNORE); END")
		if err := s.RevokeKey(t.Context(), access.AllTenants, "k", any1); err == nil {
			t.Error("a revocation that was not kept was acknowledged")
		}
	})
}

// TestApply_loadable: what Load would refuse is refused before it is committed.
func TestApply_loadable(t *testing.T) {
	s := accesstest.OpenStore(t, databases["sqlite"](t))
	p := &access.Policy{Tenant: access.DefaultTenant, Groups: []access.Group{{Code: "sales"}}, Users: []access.User{{ID: "42", Groups: []access.Link{{To: "sales"}}}}}
	for value, fits := range map[string]bool{"u:42": true, "g:sales": true, "g:nobody": false, "u:a,b": false, "42": false, "": false, "u:4\x1f2": false} {
		if err := s.Loadable(t.Context(), p, value); (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "casbin_rule row") {
			t.Errorf("a rule that begins with %q: %v", value, err)
		}
	}
}

// TestLoad_alike: of users whose documents are alike each is looked at.
func TestLoad_alike(t *testing.T) {
	onEach(t, func(d database) {
		t := d.t
		s := accesstest.OpenStore(t, d.options)
		p := &access.Policy{Tenant: access.DefaultTenant, Users: []access.User{{ID: "a"}, {ID: "b"}, {ID: "c"}}}
		p.Users[1].Status = access.UserLocked
		if f := apply(t, s, p); f.Users[1].ID != "b" || f.Users[1].Status != access.UserLocked || f.Users[2].Status != access.UserActive {
			t.Errorf("loaded %+v", f.Users)
		}
		execute(t, beside(t, d.options), "UPDATE users SET status = 'Locked' WHERE id = 'b'")
		if _, err := s.Load(t.Context(), p.Tenant); !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), "user b") {
			t.Errorf("with a status that there is not: %v", err)
		}
	})
}

// TestLoad_mark: a value that holds what separates values on the way from the
// database is read as it is, and refused by the rule that it is in; so is a number
// that is none. The next policy mends it.
func TestLoad_mark(t *testing.T) {
	onEach(t, func(d database) {
		t := d.t
		s, raw := accesstest.OpenStore(t, d.options), beside(t, d.options)
		p := accesstest.StorePolicy(access.DefaultTenant)
		before := apply(t, s, p)
		for _, spoil := range []string{"v0 = CONCAT('u:a', CHAR(31), 'b')", "v1 = CONCAT(CHAR(31), 'g:sales')", "v5 = CONCAT('', CHAR(31))", "origin = CONCAT('x', CHAR(31), 'y')"} {
			execute(t, raw, "UPDATE casbin_rule SET "+spoil+" WHERE v0 = 'u:later'")
			_, err := s.Load(t.Context(), p.Tenant)
			if !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), "casbin_rule row") {
				t.Errorf("after %s: %v", spoil, err)
			}
			p.Description += "."
			apply(t, s, p)
			after := load(t, s, p.Tenant)
			if !reflect.DeepEqual(accesstest.Policy(t, after), accesstest.Policy(t, before)) {
				t.Errorf("after %s and a policy:\n%+v\nwant\n%+v", spoil, after, before)
			}
		}
		execute(t, raw, "UPDATE casbin_rule SET v2 = CONCAT(v2, CHAR(31)) WHERE v0 = 'u:later'")
		if got, err := s.Subjects(t.Context(), p.Tenant, []string{"later"}); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("asked for him: %+v, %v", got, err)
		}
	})
}

// TestCommit_triesAgain: somebody else holds the tenant's row for longer than
// MySQL waits; the change begins again instead of failing.
func TestCommit_triesAgain(t *testing.T) {
	o := databases["mysql"](t)
	accesstest.OpenStore(t, o)
	db := beside(t, o)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE tenant SET description = 'held'"); err != nil {
		t.Fatal(err)
	}
	o.DSN += separator(o.DSN) + "innodb_lock_wait_timeout=1"
	s := accesstest.OpenStore(t, store.Options{Driver: o.Driver, DSN: o.DSN})
	began := time.Now()
	released := time.AfterFunc(1500*time.Millisecond, func() { _ = tx.Rollback() })
	defer released.Stop()
	apply(t, s, accesstest.StorePolicy(access.DefaultTenant))
	if took := time.Since(began); took < time.Second {
		t.Errorf("it took %s: nobody held the row", took)
	}
}

// TestVerify_forged: a revision that was rewritten together with its hash is
// given away by the one after it.
func TestVerify_forged(t *testing.T) {
	s := accesstest.OpenStore(t, databases["sqlite"](t))
	p := accesstest.StorePolicy(access.DefaultTenant)
	for _, p.Description = range []string{"second", "third"} {
		apply(t, s, p)
	}
	if err := s.Forge(access.DefaultTenant, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), access.DefaultTenant); err == nil || !strings.Contains(err.Error(), "revision 3: does not follow") {
		t.Errorf("Verify gives %v", err)
	}
	if store.Sum("ab", "c") == store.Sum("a", "bc") {
		t.Error("two histories that differ have the same hash")
	}
}

// TestLoad_oneRevision: what is loaded beside a writer is one revision as a whole.
func TestLoad_oneRevision(t *testing.T) {
	onEach(t, func(d database) {
		t, o := d.t, d.options
		s := accesstest.OpenStore(t, o)
		r := rand.New(rand.NewPCG(5, 5))
		written := map[access.Revision]access.Facts{1: accesstest.Policy(t, load(t, s, access.DefaultTenant))}
		var policies []*access.Policy
		for range 60 {
			p := accesstest.RandomPolicy(r, access.DefaultTenant)
			written[access.Revision(len(policies)+2)] = accesstest.Policy(t, p.Facts())
			policies = append(policies, p)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, p := range policies {
				if _, err := s.Apply(context.WithoutCancel(t.Context()), p, any1); err != nil {
					t.Error(err)
				}
			}
		}()
		for writing, n := true, 0; writing; n++ {
			select {
			case <-done:
				writing = false
			default:
			}
			f := load(t, s, access.DefaultTenant)
			if got := accesstest.Policy(t, f); !reflect.DeepEqual(got, written[f.Revision]) {
				t.Fatalf("revision %d was loaded as\n%+v\nand written as\n%+v", f.Revision, got, written[f.Revision])
			}
		}
	})
}

// TestLoad_folded: should a server's comparison be changed under a running
// store, what it takes for equal is not.
func TestLoad_folded(t *testing.T) {
	o := databases["mysql"](t)
	s := accesstest.OpenStore(t, o)
	key := access.APIKey{ID: "k", Tenant: access.AllTenants, Kind: access.KeyRead, Name: "n", SecretHash: [32]byte{1}}
	if err := s.AddKey(t.Context(), key, any1); err != nil {
		t.Fatal(err)
	}
	execute(t, beside(t, o), "ALTER TABLE tenant MODIFY code VARCHAR(100) COLLATE utf8mb4_general_ci NOT NULL",
		"ALTER TABLE api_key MODIFY id VARCHAR(100) COLLATE utf8mb4_general_ci NOT NULL")
	_, load := s.Load(t.Context(), "Default")
	_, history := s.Revisions(t.Context(), "défault")
	for what, err := range map[string]error{
		"load": load, "history": history, "revoke": s.RevokeKey(t.Context(), access.AllTenants, "K", any1),
	} {
		if !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s gives %v, want not found", what, err)
		}
	}
}

// TestLoad_cancelled: a load that is broken off is an error, not a smaller policy.
func TestLoad_cancelled(t *testing.T) {
	onEach(t, func(d database) {
		t, o := d.t, d.options
		s := accesstest.OpenStore(t, o)
		apply(t, s, accesstest.StorePolicy(access.DefaultTenant))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Load(ctx, access.DefaultTenant); !errors.Is(err, context.Canceled) || !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("loaded with error %v", err)
		}
	})
}

func apply(t *testing.T, s *store.Store, p *access.Policy) access.Facts {
	t.Helper()
	if _, err := s.Apply(t.Context(), p, any1); err != nil {
		t.Fatal(err)
	}
	return load(t, s, p.Tenant)
}

func load(t *testing.T, s *store.Store, tenant string) access.Facts {
	t.Helper()
	f, err := s.Load(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func verify(t *testing.T, s *store.Store, tenant string) {
	t.Helper()
	if err := s.Verify(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
}

// TestHeads_besideWriters: however busy the connections are that write, the
// newest revisions and the keys can be read; without them a replica would stop
// deciding.
func TestHeads_besideWriters(t *testing.T) {
	onEach(t, func(d database) {
		t, o := d.t, d.options
		accesstest.OpenStore(t, o) // to migrate takes two connections
		o.MaxOpenConns = 1
		s := accesstest.OpenStore(t, o)
		asked := 0
		err := s.BeforeStatement(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := s.Heads(ctx)
			if err == nil {
				_, err = s.Keys(ctx)
			}
			if err != nil {
				t.Errorf("while a writer is at work: %v", err)
			}
			asked++
		})
		if err != nil {
			t.Fatal(err)
		}
		apply(t, s, accesstest.StorePolicy(access.DefaultTenant))
		if asked == 0 {
			t.Error("nothing was asked")
		}
	})
}
