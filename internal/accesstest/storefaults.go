package accesstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// countedRows: whoever truncates casbin_rule, or writes into it by hand, is
// noticed, even where there is no rule of the superuser to be missed.
func countedRows(b *storeBattery) {
	t := b.t
	foreign := &access.Policy{Model: "m", Rules: []access.Rule{{Type: "p", Values: []string{"alice", "data1"}}, {Type: "p", Values: []string{"bob", "data1"}}}}
	for name, statement := range map[string]string{
		"truncated": "DELETE FROM casbin_rule WHERE tenant_id = {t}",
		"one-less":  "DELETE FROM casbin_rule WHERE tenant_id = {t} AND v0 = 'bob'",
		"one-more":  "INSERT INTO casbin_rule (tenant_id, id, ptype, v0, v1) VALUES ({t}, 1, 'p', 'carl', 'data1')",
	} {
		b.empty(t, name)
		foreign.Tenant = name
		b.apply(t, foreign)
		b.loads(t, foreign)
		b.exec(t, name, statement)
		b.refuses(t, name, "casbin_rule", "2 were written")
		if b.apply(t, foreign); t.Failed() {
			continue
		}
		b.loads(t, foreign) // the next policy mends it
	}
	p := b.tenant(t, "sentinel")
	b.exec(t, "sentinel", "DELETE FROM casbin_rule WHERE tenant_id = {t} AND v0 = 'superuser'")
	b.exec(t, "sentinel", "UPDATE tenant SET rules = rules - 1 WHERE id = {t}")
	b.refuses(t, "sentinel", "superuser")
	b.apply(t, p)
	b.loads(t, p)
}

// malformedRules spoils one row at a time: each is refused by its number and
// line, and none is left out.
func malformedRules(b *storeBattery) {
	t := b.t
	p := b.tenant(t, "malformed")
	const grant = "ptype = 'p' AND v0 = 'r:seller' AND v2 = 'System.Stores'"
	const link = "ptype = 'g' AND v0 = 'u:later'"
	for name, row := range map[string]struct{ where, set string }{
		"unknown kind":               {grant, "ptype = 'p9'"},
		"no kind":                    {grant, "ptype = ''"},
		"kind in upper case":         {grant, "ptype = 'P'"},
		"kind with a blank":          {grant, "ptype = 'p '"},
		"one value less":             {grant, "v5 = ''"},
		"a gap":                      {grant, "v3 = ''"},
		"no values":                  {link, "v0 = '', v1 = '', v2 = ''"},
		"one value more":             {link, "v3 = 'x'"},
		"blank grantee":              {grant, "v0 = ''"},
		"padded grantee":             {grant, "v0 = 'r:seller '"},
		"grantee without prefix":     {grant, "v0 = 'seller'"},
		"unknown role":               {grant, "v0 = 'r:Seller'"},
		"unknown group":              {grant, "v0 = 'g:nobody'"},
		"unknown application":        {grant, "v0 = 'a:nobody'"},
		"grant to the superuser":     {grant, "v0 = 'superuser'"},
		"unknown scope":              {grant, "v1 = 'store:x'"},
		"unknown section":            {grant, "v2 = 'System.stores'"},
		"all sections":               {grant, "v2 = '*'"},
		"act not canonical":          {grant, "v3 = '010'"},
		"act out of range":           {grant, "v3 = '64'"},
		"act nothing":                {grant, "v3 = '0'"},
		"act everything":             {grant, "v3 = '*'"},
		"act by name":                {grant, "v3 = 'show'"},
		"effect in upper case":       {grant, "v4 = 'Deny'"},
		"effect with a blank":        {grant, "v4 = 'deny '"},
		"unknown effect":             {grant, "v4 = 'refuse'"},
		"unknown condition":          {grant, "v5 = 'c0'"},
		"control character":          {grant, "v0 = 'u:a\tb'"},
		"not normal form C":          {link, "v0 = 'u:e\u0301'"},
		"comma":                      {link, "v0 = 'u:a,b'"},
		"member of a user":           {link, "v1 = 'u:42'"},
		"member of an unknown group": {link, "v1 = 'g:x'"},
		"membership in no scope":     {link, "v2 = ''"},
		"membership unknown scope":   {link, "v2 = 'store:x'"},
		"superuser in one scope":     {link, "v1 = 'superuser', v2 = 'store:a'"},
		"pending without beginning":  {link, "pending = 1"},
		"place not readable":         {link, "origin = 'x:y'"},
	} {
		t.Run(name, func(t *testing.T) {
			var id int64
			err := b.raw.QueryRowContext(t.Context(), "SELECT r.id FROM casbin_rule r JOIN tenant t ON t.id = r.tenant_id WHERE t.code = 'malformed' AND "+row.where).Scan(&id)
			if err != nil {
				t.Fatal(err)
			}
			b.exec(t, "malformed", "UPDATE casbin_rule SET "+row.set+" WHERE tenant_id = {t} AND "+row.where)
			b.refuses(t, "malformed", fmt.Sprintf("casbin_rule row %d", id))
			p.Description += "." // so that there is something to write
			b.apply(t, p)
			b.loads(t, p)
		})
	}
	t.Run("in a foreign model", func(t *testing.T) { malformedForeign(b.in(t)) })
}

func malformedForeign(b *storeBattery) {
	t := b.t
	p := &access.Policy{Tenant: "malformed", Model: "m", Rules: []access.Rule{{Type: "p", Values: []string{"alice", "data1", "read"}}}}
	b.empty(t, "foreign")
	p.Tenant = "foreign"
	for _, set := range []string{"ptype = 'q'", "ptype = 'p1'", "ptype = ''", "v0 = ''", "v1 = ''", "v0 = 'alice '", "v0 = '', v1 = '', v2 = ''"} {
		b.apply(t, p)
		b.loads(t, p)
		b.exec(t, "foreign", "UPDATE casbin_rule SET "+set+" WHERE tenant_id = {t}")
		b.refuses(t, "foreign", "casbin_rule row")
	}
}

func malformedDocuments(b *storeBattery) {
	t := b.t
	for i, c := range []struct{ statement, words string }{
		{"UPDATE tenant SET settings = '{' WHERE id = {t}", "settings"},
		{"UPDATE tenant SET settings = '{\"combining\":\"deny\",\"root\":\"System\"}' WHERE id = {t}", "combining"},
		{"UPDATE applications SET body = '{\"code\":\"shop\",\"unheard\":1}' WHERE tenant_id = {t} AND code = 'shop'", "application shop"},
		{"UPDATE applications SET body = '{\"code\":\"shop\"}{}' WHERE tenant_id = {t} AND code = 'shop'", "application shop"},
		{"UPDATE applications SET body = '{\"code\":\"Shop\"}' WHERE tenant_id = {t} AND code = 'shop'", "application shop"},
		{"UPDATE scopes SET body = '{\"scope\":\"store:c\"}' WHERE tenant_id = {t} AND code = 'store:a'", "scope store:a"},
		{"UPDATE user_groups SET body = REPLACE(body, 'template', 'Template') WHERE tenant_id = {t} AND code = 'frozen'", "group frozen"},
		{"UPDATE conditions SET body = REPLACE(body, '1000', '9000') WHERE tenant_id = {t} AND body LIKE '%1000%'", "condition c"},
		{"UPDATE users SET status = 'Active' WHERE tenant_id = {t} AND id = '42'", "user 42"},
		{"UPDATE users SET body = '' WHERE tenant_id = {t} AND id = '42'", "user 42"},
		{"UPDATE users SET id = 'anonymous' WHERE tenant_id = {t} AND id = '42'", "anonymous"},
		{"UPDATE roles SET code = 'Boss' WHERE tenant_id = {t} AND code = 'boss'", "role"},
	} {
		tenant := fmt.Sprintf("document-%d", i)
		b.tenant(t, tenant)
		b.exec(t, tenant, c.statement)
		b.refuses(t, tenant, c.words)
	}
}

// editedHistory does to a copy of a history whatever SQL can do to it.
func editedHistory(b *storeBattery) {
	t := b.t
	for i, c := range []struct{ statement, words string }{
		{"UPDATE revision SET author = 'somebody' WHERE tenant_id = {t} AND number = 2", "revision 2"},
		{"UPDATE revision SET source = 'somewhere' WHERE tenant_id = {t} AND number = 2", "revision 2"},
		{"UPDATE revision SET reason = 'some reason' WHERE tenant_id = {t} AND number = 2", "revision 2"},
		{"UPDATE revision SET made_at = made_at + 1 WHERE tenant_id = {t} AND number = 2", "revision 2"},
		{"UPDATE revision SET hash = parent WHERE tenant_id = {t} AND number = 2", "revision 2"},
		{"UPDATE revision SET parent = hash WHERE tenant_id = {t} AND number = 2", "revision 2"},
		{"UPDATE revision SET number = 9 WHERE tenant_id = {t} AND number = 3", "revision 3"},
		{"DELETE FROM revision WHERE tenant_id = {t} AND number = 1", "revision 1"},
		{"DELETE FROM revision WHERE tenant_id = {t} AND number = 2", "revision 2"},
		{"DELETE FROM revision WHERE tenant_id = {t} AND number = 4", "revision 4"},
		{"UPDATE revision SET number = number + 10 WHERE tenant_id = {t}", "revision 1"},
		{"UPDATE revision_change SET kind = 'x' WHERE tenant_id = {t} AND revision = 2 AND n = 2", "revision 2"},
		{"UPDATE revision_change SET name = 'x' WHERE tenant_id = {t} AND revision = 2 AND n = 2", "revision 2"},
		{"UPDATE revision_change SET old_value = 'x' WHERE tenant_id = {t} AND revision = 3 AND n = 1", "revision 3"},
		{"UPDATE revision_change SET new_value = 'x' WHERE tenant_id = {t} AND revision = 2 AND n = 2", "revision 2"},
		{"UPDATE revision_change SET n = 1000 WHERE tenant_id = {t} AND revision = 2 AND n = 2", "revision 2"},
		{"UPDATE revision_change SET revision = 4, n = 1000 WHERE tenant_id = {t} AND revision = 2 AND n = 2", "revision 2"},
		{"DELETE FROM revision_change WHERE tenant_id = {t} AND revision = 2 AND n = 2", "revision 2"},
		{"DELETE FROM revision_change WHERE tenant_id = {t} AND revision = 3", "revision 3"},
		{"DELETE FROM revision_change WHERE tenant_id = {t} AND revision = 2 AND n = (SELECT * FROM (SELECT MAX(n) FROM revision_change WHERE tenant_id = {t} AND revision = 2) x)", "revision 2"},
		{"INSERT INTO revision_change (tenant_id, revision, n, kind, name, old_value, new_value) VALUES ({t}, 2, 1000, 'rule', 'x', '', '{}')", "revision 2"},
		{"INSERT INTO revision_change (tenant_id, revision, n, kind, name, old_value, new_value) VALUES ({t}, 77, 1, 'rule', 'x', '', '{}')", "revision 77"},
		{"UPDATE tenant SET revision = 3 WHERE id = {t}", "revision"},
		{"UPDATE tenant SET revision = 5 WHERE id = {t}", "revision 5"},
	} {
		tenant := fmt.Sprintf("history-%d", i)
		p := b.tenant(t, tenant)
		for _, d := range []string{"third", "fourth"} {
			p.Description = d
			b.apply(t, p)
		}
		if err := b.store.Verify(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		b.exec(t, tenant, c.statement)
		err := b.store.Verify(t.Context(), tenant)
		if !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("after %s Verify gives %v, want %s", c.statement, err, c.words)
		}
	}
	t.Run("swapped changes", func(t *testing.T) {
		b.tenant(t, "swapped")
		for _, n := range [][2]int{{1, 1000}, {2, 1}, {1000, 2}} {
			b.exec(t, "swapped", "UPDATE revision_change SET n = ? WHERE tenant_id = {t} AND revision = 2 AND n = ?", n[1], n[0])
		}
		if err := b.store.Verify(t.Context(), "swapped"); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("Verify gives %v", err)
		}
	})
	t.Run("nothing is written after a missing revision", func(t *testing.T) {
		p := b.tenant(t, "cut")
		b.exec(t, "cut", "DELETE FROM revision WHERE tenant_id = {t} AND number = 2")
		p.Description = "next"
		if _, err := b.store.Apply(t.Context(), p, change(access.AnyRevision)); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("a policy after the cut gives %v", err)
		}
	})
}

func expiry(b *storeBattery) {
	t := b.t
	ctx := t.Context()
	begin := time.Now().UTC().Truncate(time.Microsecond).Add(time.Hour)
	later, end := begin.Add(time.Hour), begin.Add(2*time.Hour)
	p := &access.Policy{Tenant: "expiry", Catalogue: StorePolicy("x").Catalogue[:0]}
	p.Groups = []access.Group{{Code: "g"}}
	p.Users = []access.User{{ID: "u", Groups: []access.Link{
		{To: "g", Validity: access.Validity{From: begin, Until: end}},
	}, Roles: []access.Link{
		{To: access.SuperuserRole, Validity: access.Validity{Until: later}},
	}}, {ID: "old", Groups: []access.Link{{To: "g", Validity: access.Validity{Until: begin.Add(-2 * time.Hour)}}}}}
	b.empty(t, "expiry")
	b.apply(t, p)
	for _, step := range []struct {
		now      time.Time
		revision access.Revision
		rules    []string // without the superuser's
		pending  int
	}{
		{begin.Add(-time.Microsecond), 2, []string{"g, u:u, g:g, *", "g, u:u, superuser, *"}, 1},
		{begin, 3, []string{"g, u:u, g:g, *", "g, u:u, superuser, *"}, 0},
		{begin, 3, []string{"g, u:u, g:g, *", "g, u:u, superuser, *"}, 0},
		{later.Add(-time.Microsecond), 3, []string{"g, u:u, g:g, *", "g, u:u, superuser, *"}, 0},
		{later, 4, []string{"g, u:u, g:g, *"}, 0},
		{end, 5, []string{}, 0},
		{end.Add(time.Hour), 5, []string{}, 0},
	} {
		d, err := b.store.Expire(ctx, "expiry", step.now)
		if err != nil || d.To != step.revision {
			t.Fatalf("at %s revision %d (%v), want %d", step.now, d.To, err, step.revision)
		}
		f, err := b.store.Load(ctx, "expiry")
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{}
		for _, r := range f.Rules[1:] {
			lines = append(lines, r.String())
		}
		if !slices.Equal(lines, step.rules) {
			t.Errorf("at %s rules %q, want %q", step.now, lines, step.rules)
		}
		var pending int
		if err := b.raw.QueryRowContext(ctx, "SELECT COUNT(*) FROM casbin_rule r JOIN tenant t ON t.id = r.tenant_id WHERE t.code = 'expiry' AND pending = 1").Scan(&pending); err != nil || pending != step.pending {
			t.Errorf("at %s %d rules pending (%v), want %d", step.now, pending, err, step.pending)
		}
	}
	var next int64
	if err := b.raw.QueryRowContext(ctx, "SELECT next_at FROM tenant WHERE code = 'expiry'").Scan(&next); err != nil || next != 0 {
		t.Errorf("there is nothing left to do, and it is planned for %d (%v)", next, err)
	}
	if err := b.store.Verify(ctx, "expiry"); err != nil {
		t.Error(err)
	}
}

func times(b *storeBattery) {
	t := b.t
	b.tenant(t, "times")
	for _, at := range map[string]time.Time{
		"finer than a microsecond":   time.Date(2092, 1, 1, 0, 0, 0, 1, time.UTC),
		"the one that says no bound": time.Unix(0, 0),
		"year 10000":                 time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		p := StorePolicy("times")
		p.Roles[1].Roles[0].Validity = access.Validity{Until: at}
		b.rejects(t, p, "cannot be kept")
	}
}

func sampleKey(id, tenant, secret string) access.APIKey {
	return access.APIKey{
		ID: id, Tenant: tenant, Kind: access.KeyAdmin, Name: "for tests", SecretHash: sha256.Sum256([]byte(secret)),
		Created: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
	}
}

func keys(b *storeBattery) {
	t := b.t
	ctx := t.Context()
	b.tenant(t, "keys")
	heads := func() map[string]access.Head {
		h, err := b.store.Heads(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	before := heads()
	own, all := sampleKey("own", "keys", "1"), sampleKey("all", access.AllTenants, "2")
	for _, k := range []access.APIKey{own, all} {
		if err := b.store.AddKey(ctx, k, change(access.AnyRevision)); err != nil {
			t.Fatal(err)
		}
	}
	if after := heads(); after["keys"].Revision != before["keys"].Revision+1 || after["default"].Revision != before["default"].Revision+1 {
		t.Errorf("the keys made revisions %v of %v", after, before)
	}
	got, err := b.store.Keys(ctx)
	if err != nil || !slices.Contains(got, own) || !slices.Contains(got, all) {
		t.Errorf("keys %+v (%v)", got, err)
	}
	if err := b.store.AddKey(ctx, own, change(access.AnyRevision)); !errors.Is(err, access.ErrExists) {
		t.Errorf("a key twice gives %v", err)
	}
	for _, c := range []struct{ tenant, id string }{{"keys", "all"}, {"keys", "OWN"}, {access.AllTenants, "own"}, {"keys", "none"}} {
		if err := b.store.RevokeKey(ctx, c.tenant, c.id, change(access.AnyRevision)); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("revoking %s of %s gives %v", c.id, c.tenant, err)
		}
	}
	revoked := heads()["keys"].Revision + 1
	for range 2 { // the second time there is nothing to do
		if err := b.store.RevokeKey(ctx, "keys", "own", change(access.AnyRevision)); err != nil {
			t.Fatal(err)
		}
		if at := heads()["keys"].Revision; at != revoked {
			t.Errorf("revision %d, want %d", at, revoked)
		}
	}
	got, err = b.store.Keys(ctx)
	at := slices.IndexFunc(got, func(k access.APIKey) bool { return k.ID == "own" })
	if err != nil || at < 0 || got[at].Revoked.IsZero() {
		t.Errorf("keys %+v (%v), want own revoked", got, err)
	}
	badKeys(b)
	if err := b.store.Verify(ctx, "keys"); err != nil {
		t.Error(err)
	}
}

func badKeys(b *storeBattery) {
	t := b.t
	for name, spoil := range map[string]func(*access.APIKey){
		"kind":    func(k *access.APIKey) { k.Kind = "root" },
		"id":      func(k *access.APIKey) { k.ID = "" },
		"name":    func(k *access.APIKey) { k.Name = " x" },
		"secret":  func(k *access.APIKey) { k.SecretHash = [32]byte{} },
		"revoked": func(k *access.APIKey) { k.Revoked = k.Created },
	} {
		k := sampleKey("bad", "keys", "3")
		spoil(&k)
		if err := b.store.AddKey(t.Context(), k, change(access.AnyRevision)); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("a bad %s gives %v", name, err)
		}
	}
	k := sampleKey("lost", "nobody", "3")
	if err := b.store.AddKey(t.Context(), k, change(access.AnyRevision)); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a key of no tenant gives %v", err)
	}
}

// canary: neither a key's secret nor, outside its own column, its hash stands
// anywhere in the database.
func canary(b *storeBattery) {
	t := b.t
	const canaryText = "canary-jX2v9QmLr7"
	k := sampleKey("canary", access.AllTenants, canaryText)
	if err := b.store.AddKey(t.Context(), k, change(access.AnyRevision)); err != nil {
		t.Fatal(err)
	}
	if err := b.store.RevokeKey(t.Context(), access.AllTenants, "canary", change(access.AnyRevision)); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b.dump(t), k.SecretHash[:]); n != 1 {
		t.Errorf("the hash is there %d times, want once: the test looks at too little or the store writes too much", n)
	}
	hash := k.SecretHash[:]
	for _, trace := range []string{canaryText, hex.EncodeToString(hash), base64.StdEncoding.EncodeToString(hash), base64.RawURLEncoding.EncodeToString(hash)} {
		if bytes.Contains(bytes.ToLower(b.dump(t)), []byte(strings.ToLower(trace))) {
			t.Errorf("%q stands in the database", trace)
		}
	}
}

// dump gives everything that stands in the tables.
func (b *storeBattery) dump(t *testing.T) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, table := range []string{
		"tenant", "subject_stripe", "casbin_rule", "applications", "roles", "user_groups", "scopes", "conditions",
		"users", "api_key", "one_time_token", "credential", "session", "sign_in_failure", "revision", "revision_change", "bailiwick_version",
	} {
		if err := dumpTable(t.Context(), b.raw, table, &all); err != nil {
			t.Fatal(err)
		}
	}
	return all.Bytes()
}

func dumpTable(ctx context.Context, db *sql.DB, table string, into *bytes.Buffer) error {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+table) //nolint:gosec // one of the names above
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, pointers := make([][]byte, len(columns)), make([]any, len(columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		into.Write(bytes.Join(values, []byte{'\n'}))
	}
	return rows.Err()
}
