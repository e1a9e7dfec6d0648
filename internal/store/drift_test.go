package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

// TestDrift: whatever is written through the store adds up to its rows; a row
// that is edited, added or removed by hand shows.
func TestDrift(t *testing.T) {
	onEach(t, func(db database) {
		t := db.t
		now := time.Now().Truncate(time.Second)
		db.options.Clock = func() time.Time { return now }
		s := accesstest.OpenStore(t, db.options)
		written(t, s, &now)
		drifted := func() []store.Drift {
			t.Helper()
			found, err := s.Drift(t.Context(), "default")
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		if found := drifted(); len(found) != 0 {
			t.Fatalf("nobody has touched it: %v", found)
		}
		raw := beside(t, db.options)
		for _, tc := range []struct{ kind, do, undo string }{
			{"rule", "UPDATE casbin_rule SET v3 = '6' WHERE v3 = '4'", "UPDATE casbin_rule SET v3 = '4' WHERE v3 = '6'"},
			{"rule", "UPDATE casbin_rule SET valid_until = 1 WHERE v0 = 'u:later'", "UPDATE casbin_rule SET valid_until = 0 WHERE v0 = 'u:later'"},
			{"user", "UPDATE users SET status = 'active' WHERE id = '17'", "UPDATE users SET status = 'disabled' WHERE id = '17'"},
			{"key", "UPDATE api_key SET kind = 'admin' WHERE id = 'k2'", "UPDATE api_key SET kind = 'read' WHERE id = 'k2'"},
			{"group", "UPDATE user_groups SET body = REPLACE(body, 'company', 'kompany'), code = 'Sales' WHERE code = 'sales'", "UPDATE user_groups SET body = REPLACE(body, 'kompany', 'company'), code = 'sales' WHERE code = 'Sales'"},
			{"tenant", "UPDATE tenant SET settings = REPLACE(settings, 'allow-ov', 'deny-ov')", "UPDATE tenant SET settings = REPLACE(settings, 'deny-ov', 'allow-ov')"},
			{"counter", "UPDATE tenant SET rules = rules + 1", "UPDATE tenant SET rules = rules - 1"},
			{"counter", "UPDATE tenant SET user_rules = user_rules - 1", "UPDATE tenant SET user_rules = user_rules + 1"},
			{"counter", "UPDATE tenant SET users = 0 - users", "UPDATE tenant SET users = 0 - users"},
			{"counter", "UPDATE tenant SET policy_revision = policy_revision - 5", "UPDATE tenant SET policy_revision = policy_revision + 5"},
		} {
			execute(t, raw, tc.do)
			if found := drifted(); len(found) != 2 || found[0].Kind != tc.kind || !found[0].There && !found[1].There || found[0].There && found[1].There {
				t.Errorf("%s: found %v", tc.do, found)
			}
			execute(t, raw, tc.undo)
			if found := drifted(); len(found) != 0 {
				t.Errorf("%s: found %v", tc.undo, found)
			}
		}
		execute(t, raw, "DELETE FROM casbin_rule WHERE v0 = 'u:later'", "UPDATE roles SET body = REPLACE(body, '{', '') WHERE code = 'seller'",
			"INSERT INTO scopes (tenant_id, code, position, body) SELECT tenant_id, 'new', 99, '{}' FROM scopes WHERE code = 'store:a'")
		var said []string
		for _, d := range drifted() {
			said = append(said, d.String())
		}
		want := []string{
			`role "seller" is stored in a way that no revision wrote`, `role "seller" is not stored as the history has it`,
			`rule "g, u:later, r:seller, *" is not stored as the history has it`, `scope "new" is stored in a way that no revision wrote`,
		}
		if !slices.Equal(said, want) {
			t.Errorf("found %q", said)
		}
		if err := s.Verify(t.Context(), "default"); err != nil {
			t.Errorf("the history was not touched: %v", err)
		}
	})
}

// keyed is by what one row of each table is found.
var keyed = map[string]string{
	"tenant": "code", "casbin_rule": "id", "applications": "code", "roles": "code", "user_groups": "code", "scopes": "code", "conditions": "code",
	"users": "id", "api_key": "id",
}

// unwatched are columns that doctor has nothing to hold against, and why that does
// no harm.
var unwatched = map[string]string{
	"tenant.revision":    "verify finds it",
	"tenant.description": "what people call the tenant; nothing is decided by it",
	"tenant.next_at":     "when the next sweep is due; decisions go by the clock",
	"casbin_rule.plain":  "filled in by a migration; says in which form a line is pulled",
}

// columnKinds gives the columns of a table, and which are numbers.
func columnKinds(d database, table string) map[string]bool {
	rows, err := beside(d.t, d.options).Query("SELECT * FROM " + table + " WHERE 1 = 0")
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil || rows.Err() != nil {
		d.t.Fatal(err, rows.Err())
	}
	kinds := map[string]bool{}
	for _, c := range types {
		kinds[c.Name()] = strings.Contains(strings.ToUpper(c.DatabaseTypeName()), "INT")
	}
	return kinds
}

// TestDrift_everyColumn edits each column of each table that a decision may come
// from, as the real schema has them, and doctor finds it every time.
func TestDrift_everyColumn(t *testing.T) {
	onEach(t, func(d database) {
		t := d.t
		now := time.Now().Truncate(time.Second)
		d.options.Clock = func() time.Time { return now }
		s := accesstest.OpenStore(t, d.options)
		written(t, s, &now)
		db := beside(t, d.options)
		wrong := func() string {
			found, err := s.Drift(t.Context(), "default")
			if err == nil && len(found) == 0 {
				_, err = s.Load(t.Context(), "default")
			}
			return fmt.Sprint(found, err)
		}
		sound := wrong()
		for _, table := range []string{"tenant", "casbin_rule", "applications", "roles", "user_groups", "scopes", "conditions", "users", "api_key"} {
			var key string
			one := "SELECT MIN(" + keyed[table] + ") FROM " + table
			if table == "users" {
				one += " WHERE login IS NOT NULL"
			}
			if err := db.QueryRow(one).Scan(&key); err != nil {
				t.Fatal(table, err)
			}
			for column, number := range columnKinds(d, table) {
				if _, known := unwatched[table+"."+column]; known {
					continue
				}
				set := "%[1]s = '~' || SUBSTR(%[1]s, 2)"
				switch {
				case column == "secret_hash":
					set = "%[1]s = x'" + strings.Repeat("ab", 32) + "'"
				case number:
					set = "%[1]s = CASE WHEN %[1]s = 0 THEN 1 ELSE 0 END"
				case d.options.Driver == store.MySQL:
					set = "%[1]s = CONCAT('~', SUBSTR(%[1]s, 2))"
				}
				set = fmt.Sprintf(set, column)
				execute(t, db, "CREATE TABLE kept AS SELECT * FROM "+table)
				execute(t, db, "UPDATE "+table+" SET "+set+" WHERE "+keyed[table]+" = '"+key+"'")
				if wrong() == sound {
					t.Errorf("%s.%s can be edited", table, column)
				}
				execute(t, db, "DELETE FROM "+table, "INSERT INTO "+table+" SELECT * FROM kept", "DROP TABLE kept")
			}
		}
		if now := wrong(); now != sound {
			t.Errorf("after all was put back: %s", now)
		}
	})
}

// TestDrift_stripes: a stripe by which replicas know what they may remember of
// users is held against their newest changes; a new epoch is a new beginning.
func TestDrift_stripes(t *testing.T) {
	onEach(t, func(db database) {
		t := db.t
		s, raw := accesstest.OpenStore(t, db.options), beside(t, db.options)
		apply(t, s, accesstest.StorePolicy("default"))
		stripe := access.StripeOf("42")
		drifted := func(statement string, want ...string) {
			t.Helper()
			execute(t, raw, strings.ReplaceAll(statement, "{s}", fmt.Sprint(stripe)))
			found, err := s.Drift(t.Context(), "default")
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, d := range found {
				said = append(said, d.String())
			}
			for i, w := range want {
				want[i] = fmt.Sprintf(w, stripe)
			}
			if !slices.Equal(said, want) {
				t.Errorf("after %s: %q, want %q", statement, said, want)
			}
		}
		const lacks = `stripe "%d at revision 2" is not stored as the history has it`
		drifted("UPDATE subject_stripe SET revision = revision")
		drifted("UPDATE subject_stripe SET revision = 1 WHERE stripe = {s}", `stripe "%d at revision 1" is stored in a way that no revision wrote`, lacks)
		drifted("UPDATE subject_stripe SET revision = 9 WHERE stripe = {s}", lacks, `stripe "%d at revision 9" is stored in a way that no revision wrote`)
		drifted("DELETE FROM subject_stripe WHERE stripe = {s}", lacks)
		drifted("INSERT INTO subject_stripe (tenant_id, stripe, revision) SELECT id, {s}, 9 FROM tenant", lacks, `stripe "%d at revision 9" is stored in a way that no revision wrote`)
		if err := s.RenewEpoch(t.Context(), "default", any1); err != nil {
			t.Fatal(err)
		}
		drifted("UPDATE subject_stripe SET revision = revision")
		drifted("UPDATE subject_stripe SET revision = 4 WHERE stripe = {s}", `stripe "%d at revision 4" is stored in a way that no revision wrote`)
	})
}

// TestHost: how the clocks stand to each other, and what is due by them.
func TestHost(t *testing.T) {
	onEach(t, func(db database) {
		t := db.t
		var off time.Duration
		db.options.Clock = func() time.Time { return time.Now().Add(off) }
		s := accesstest.OpenStore(t, db.options)
		for _, off = range []time.Duration{0, -time.Hour, time.Hour} {
			h, err := s.Host(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ahead := h.Ahead()
			if db.options.Driver == store.SQLite && ahead != 0 {
				t.Errorf("our own clock is ahead by %s", ahead)
			}
			if db.options.Driver == store.MySQL && (ahead < -off-30*time.Minute || ahead > -off+30*time.Minute || h.Connections == 0) {
				t.Errorf("with our clock %s off: %+v", off, h)
			}
		}
	})
}

// TestDue counts what begins and ends by the clock.
func TestDue(t *testing.T) {
	onEach(t, func(db database) {
		t := db.t
		s := accesstest.OpenStore(t, db.options)
		c := access.Change{Base: access.AnyRevision, Author: "tester"}
		if _, err := s.Apply(t.Context(), accesstest.StorePolicy("default"), c); err != nil {
			t.Fatal(err)
		}
		for at, want := range map[int]int{2026: 0, 2092: 1, 2094: 2} {
			now := time.Date(at, 6, 1, 0, 0, 0, 0, time.UTC)
			if n, err := s.Due(t.Context(), "default", now); err != nil || n != want {
				t.Errorf("in %d: %d, %v", at, n, err)
			}
		}
	})
}

// written writes everything that can be written, several times over.
func written(t *testing.T, s *store.Store, now *time.Time) {
	t.Helper()
	c := access.Change{Base: access.AnyRevision, Author: "tester"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(3, 3))
	for range 6 {
		_, err := s.Apply(t.Context(), accesstest.RandomPolicy(r, "default"), c)
		must(err)
	}
	p := accesstest.StorePolicy("default")
	_, err := s.Apply(t.Context(), p, c)
	must(err)
	must(s.AddKey(t.Context(), access.APIKey{ID: "k1", Tenant: "*", Kind: access.KeyRead, Name: "one", SecretHash: [32]byte{1}}, c))
	must(s.AddKey(t.Context(), access.APIKey{ID: "k2", Tenant: "default", Kind: access.KeyRead, Name: "two", SecretHash: [32]byte{1}}, c))
	must(s.RevokeKey(t.Context(), "*", "k1", c))
	must(s.RenewEpoch(t.Context(), "default", c))
	*now = now.Add(100 * 365 * 24 * time.Hour)
	_, err = s.Expire(t.Context(), "default", *now)
	must(err)
}

// TestDrift_signIn: a password or a second factor that somebody has put in the
// place of another, or taken away, shows; what people do themselves does not.
func TestDrift_signIn(t *testing.T) {
	onEach(t, func(db database) {
		t := db.t
		now := time.Now().Truncate(time.Second).UTC()
		db.options.Clock = func() time.Time { return now }
		s, raw := accesstest.OpenStore(t, db.options), beside(t, db.options)
		apply(t, s, accesstest.StorePolicy("default"))
		_, err := s.Edit(t.Context(), "default", any1, func(d access.Draft) error {
			return errors.Join(
				d.PutPassword("42", access.Password{Hash: "weak", Set: now}, [32]byte{}),
				d.PutPassword("17", access.Password{Hash: "other", Set: now, MustChange: true}, [32]byte{}),
				d.PutSecondFactor("42", access.SecondFactor{Sealed: []byte("sealed"), Confirmed: now, Recovery: [][32]byte{{1}, {2}}}))
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Rehash(t.Context(), "default", "42", "weak", "strong"), s.TakeRecovery(t.Context(), "default", "42", [32]byte{1}),
			s.Rehash(t.Context(), "default", "17", "was changed meanwhile", "strong")); err != nil {
			t.Fatal(err)
		}
		drifted := func() string {
			t.Helper()
			found, err := s.Drift(t.Context(), "default")
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, d := range found {
				all = append(all, d.Kind+" "+d.Name)
			}
			return strings.Join(all, ", ")
		}
		if found := drifted(); found != "" {
			t.Fatalf("nobody has touched it: %s", found)
		}
		other := "INSERT INTO credential (tenant_id, user_id, password, set_at, must_change, former, attempts) SELECT id, 'ＡＢ', 'mine', 0, 0, '[]', '[]' FROM tenant"
		for statement, want := range map[string]string{
			"UPDATE credential SET password = 'mine' WHERE user_id = '42'":         "password 42",
			"UPDATE credential SET must_change = 0 WHERE user_id = '17'":           "password 17",
			"UPDATE credential SET set_at = set_at + 1000000 WHERE user_id = '17'": "password 17",
			other:                       "password ＡＢ",
			"DELETE FROM second_factor": "second_factor 42",
			"UPDATE second_factor SET sealed = x'00'":   "second_factor 42",
			"UPDATE second_factor SET sealed = x''":     "second_factor 42",
			"UPDATE second_factor SET confirmed_at = 1": "second_factor 42",
			"UPDATE second_factor SET recovery = '[\"" + strings.Repeat("00", 32) + "\",\"" + strings.Repeat("01", 32) + "\",\"" + strings.Repeat("02", 32) + "\"]'": "second_factor 42",
		} {
			for _, table := range []string{"credential", "second_factor"} {
				execute(t, raw, "CREATE TABLE kept_"+table+" AS SELECT * FROM "+table)
			}
			execute(t, raw, statement)
			if found := drifted(); found != want {
				t.Errorf("%s: found %q", statement, found)
			}
			for _, table := range []string{"credential", "second_factor"} {
				execute(t, raw, "DELETE FROM "+table, "INSERT INTO "+table+" SELECT * FROM kept_"+table, "DROP TABLE kept_"+table)
			}
		}
		now = now.Add(time.Hour)
		_, err = s.Edit(t.Context(), "default", any1, func(d access.Draft) error {
			u, err := d.User("42")
			u.Status, u.DeletedAt = access.UserDeleted, now
			d.PutUser(u)
			return err
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Purge(t.Context(), "default", now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if found := drifted(); found != "" {
			t.Errorf("after he was purged: %s", found)
		}
	})
}
