package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// database is a store of this run, filled from facts past its door: through it
// a million rules would be a million lines of history.
type database struct {
	driver, dsn string
	key         string // an operator's
}

// Where scripts/services says what it started.
const (
	mysqlVariable = "BAILIWICK_TEST_MYSQL"
	redisVariable = "BAILIWICK_TEST_REDIS"
)

// drivers gives those that can be measured here.
func drivers() []string {
	if os.Getenv(mysqlVariable) == "" {
		say("%s is not set: MariaDB is left out (run: scripts/services run -- go run ./scripts/bench)", mysqlVariable)
		return []string{store.SQLite}
	}
	return []string{store.MySQL, store.SQLite}
}

// named is what people call a driver.
func named(driver string) string {
	return map[string]string{store.MySQL: "MariaDB", store.SQLite: "SQLite"}[driver]
}

// newDatabase makes an empty one; the function removes it.
func (b *bench) newDatabase(ctx context.Context, driver string) (d *database, remove func(), err error) {
	name := "bw_bench_" + strings.ToLower(rand.Text())
	if driver == store.SQLite {
		d = &database{driver: driver, dsn: filepath.Join(b.dir, name+".db")}
		return d, func() {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(d.dsn + suffix)
			}
		}, nil
	}
	server := os.Getenv(mysqlVariable)
	conn, err := sql.Open("mysql", server)
	if err != nil {
		return nil, nil, err
	}
	drop := func() {
		// ctx may be over.
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE IF EXISTS "+name); err != nil {
			say("drop %s: %v", name, err)
		}
		_ = conn.Close()
	}
	if err := conn.QueryRowContext(ctx, "SELECT VERSION()").Scan(&b.report.Machine.MySQL); err != nil {
		drop()
		return nil, nil, fmt.Errorf("%s: %w", mysqlVariable, err)
	}
	collation := "utf8mb4_0900_bin"
	if strings.Contains(b.report.Machine.MySQL, "MariaDB") {
		collation = "utf8mb4_nopad_bin"
	}
	if _, err := conn.ExecContext(ctx, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4 COLLATE "+collation); err != nil {
		drop()
		return nil, nil, err
	}
	address, params, _ := strings.Cut(server, "?")
	return &database{driver: driver, dsn: strings.TrimSuffix(address+name+"?"+params, "?")}, drop, nil
}

// options for the store.
func (d *database) options() store.Options {
	return store.Options{Driver: d.driver, DSN: d.dsn, MaxRules: 10_000_000}
}

// found makes the schema, the tenant's frame and an operator's key.
func (d *database) found(ctx context.Context, f access.Facts) (err error) {
	s, err := store.Open(ctx, d.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	operator := access.Caller{Name: "bench", Tenant: access.AllTenants, May: access.KeyAdmin}
	keys := service.NewKeys(s, service.KeysOptions{Source: "bench"})
	if d.key, _, err = keys.Create(ctx, operator, access.AllTenants, access.KeyAdmin, "bench"); err != nil {
		return err
	}
	frame := &access.Policy{Tenant: access.DefaultTenant, Combining: f.Combining, Root: f.Root, Scopes: f.Scopes, Catalogue: f.Catalogue}
	_, err = s.Apply(ctx, frame, access.Change{Base: access.AnyRevision, Author: "bench", Reason: "frame"})
	return err
}

// crowd is what fills a database, row by row, so that it need never be in
// memory as a whole. The rules of users must come last.
type crowd struct {
	roles, groups, users iter.Seq[string]
	rules                iter.Seq[access.Rule]
}

// crowdOf gives the facts' own.
func crowdOf(f access.Facts) crowd {
	roles := map[string]bool{}
	for _, r := range f.Rules {
		if kind, code, ok := access.ParseName(r.Values[0]); ok && kind == access.KindRole && code != access.SuperuserRole {
			roles[code] = true
		}
	}
	return crowd{
		roles: keysOf(roles), groups: keysOf(f.Groups), rules: slices.Values(f.Rules),
		users: func(yield func(string) bool) {
			for _, u := range f.Users {
				if !yield(u.ID) {
					return
				}
			}
		},
	}
}

func keysOf[V any](m map[string]V) iter.Seq[string] {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return slices.Values(all)
}

// filled makes a database with the facts of our own shape, and tells how many
// rules that are.
func (b *bench) filled(ctx context.Context, driver string, size int) (d *database, remove func(), rules int, err error) {
	say("%s: filling in about %s rules", named(driver), thousands(float64(size)))
	if d, remove, err = b.newDatabase(ctx, driver); err != nil {
		return nil, nil, 0, err
	}
	f := shapes[len(shapes)-1].facts(size)
	if rules, err = d.fill(ctx, f, crowdOf(f)); err != nil {
		remove()
	}
	return d, remove, rules, err
}

// fill makes the tenant hold a crowd. It must follow found, and nobody may have
// the store open.
func (d *database) fill(ctx context.Context, f access.Facts, c crowd) (rules int, err error) {
	if err := d.found(ctx, f); err != nil {
		return 0, err
	}
	i, err := d.filler(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, i.db.Close()) }()
	if err := i.documents("roles", c.roles, `{"code":%q}`); err != nil {
		return 0, err
	}
	if err := i.documents("user_groups", c.groups, `{"code":%q,"kind":"regular","scopes":null}`); err != nil {
		return 0, err
	}
	users, err := i.users(c.users)
	if err != nil {
		return 0, err
	}
	rules, own, err := i.rules(c.rules)
	if err != nil {
		return 0, err
	}
	if d.driver == store.MySQL {
		if _, err := i.db.ExecContext(ctx, "ANALYZE TABLE casbin_rule, users"); err != nil {
			return 0, err
		}
	}
	_, err = i.db.ExecContext(ctx, "UPDATE tenant SET rules = ?, users = ?, user_rules = ? WHERE id = ?", rules, users, own, i.tenant)
	return rules, err
}

// filler inserts many rows by few statements.
type filler struct {
	ctx    context.Context
	db     *sql.DB
	tenant int64
	chunk  int // rows of one statement
}

// filler opens the database without the care for every commit that the store takes.
func (d *database) filler(ctx context.Context) (*filler, error) {
	i := &filler{ctx: ctx, chunk: 500}
	var err error
	if d.driver == store.MySQL {
		i.db, err = sql.Open("mysql", d.dsn)
	} else {
		i.chunk = 100
		i.db, err = sql.Open("sqlite", d.dsn+"?"+url.Values{"_pragma": {"synchronous(OFF)", "cache_size(-262144)"}}.Encode())
	}
	if err != nil {
		return nil, err
	}
	i.db.SetMaxOpenConns(1)
	err = i.db.QueryRowContext(ctx, "SELECT id FROM tenant WHERE code = ?", access.DefaultTenant).Scan(&i.tenant)
	return i, err
}

func (i *filler) documents(table string, codes iter.Seq[string], body string) error {
	return i.insert(table, "tenant_id, code, position, body", func(yield func([]any) bool) {
		position := int64(0)
		for code := range codes {
			position += gap
			if !yield([]any{i.tenant, code, position, fmt.Sprintf(body, code)}) {
				return
			}
		}
	})
}

func (i *filler) users(ids iter.Seq[string]) (n int, err error) {
	err = i.insert("users", "tenant_id, id, position, email, name, status, body", func(yield func([]any) bool) {
		for id := range ids {
			n++
			if !yield([]any{i.tenant, id, int64(n) * gap, "", "", string(access.UserActive), "{}"}) {
				return
			}
		}
	})
	return n, err
}

// rules replaces what the frame had. It also counts those of users.
func (i *filler) rules(rules iter.Seq[access.Rule]) (n, own int, err error) {
	if _, err := i.db.ExecContext(i.ctx, "DELETE FROM casbin_rule WHERE tenant_id = ?", i.tenant); err != nil {
		return 0, 0, err
	}
	err = i.insert("casbin_rule", "tenant_id, id, ptype, v0, v1, v2, v3, v4, v5", func(yield func([]any) bool) {
		for r := range rules {
			n++
			if strings.HasPrefix(r.Values[0], "u:") {
				own++
			}
			row := []any{i.tenant, int64(n) * gap, r.Type}
			for _, v := range r.Values {
				row = append(row, v)
			}
			for len(row) < 3+access.MaxRuleValues {
				row = append(row, "")
			}
			if !yield(row) {
				return
			}
		}
	})
	return n, own, err
}

// statements make one transaction.
const statements = 200

// insert streams rows, and says how it does while that takes long.
func (i *filler) insert(table, columns string, rows iter.Seq[[]any]) error {
	next, stop := iter.Pull(rows)
	defer stop()
	width := strings.Count(columns, ",") + 1
	values := "(" + strings.TrimSuffix(strings.Repeat("?,", width), ",") + ")"
	query := func(n int) string {
		return "INSERT INTO " + table + " (" + columns + ") VALUES " + strings.TrimSuffix(strings.Repeat(values+",", n), ",")
	}
	done, told := 0, time.Now()
	for more := true; more; {
		tx, err := i.db.BeginTx(i.ctx, nil)
		if err != nil {
			return err
		}
		n, err := i.inserts(tx, query, next)
		if err := errors.Join(err, tx.Commit()); err != nil {
			return fmt.Errorf("fill %s: %w", table, err)
		}
		done += n
		more = n == statements*i.chunk
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			say("%s: %s rows", table, thousands(float64(done)))
		}
	}
	return nil
}

// inserts fills one transaction, as far as there are rows.
func (i *filler) inserts(tx *sql.Tx, query func(int) string, next func() ([]any, bool)) (n int, err error) {
	whole, err := tx.PrepareContext(i.ctx, query(i.chunk))
	if err != nil {
		return 0, err
	}
	defer whole.Close()
	for range statements {
		var args []any
		rows := 0
		for rows < i.chunk {
			row, ok := next()
			if !ok {
				break
			}
			args = append(args, row...)
			rows++
		}
		n += rows
		switch {
		case rows == i.chunk:
			_, err = whole.ExecContext(i.ctx, args...)
		case rows > 0:
			_, err = tx.ExecContext(i.ctx, query(rows), args...)
		}
		if err != nil || rows < i.chunk {
			return n, err
		}
	}
	return n, nil
}
