package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Arrange is arrange, for tests of what SQL cannot show.
var Arrange = arrange

// Rosters bounds how many accounts are searched in memory.
func (s *Store) Rosters(most int) { s.rosters.most = most }

// ReadAtOnce bounds how many accounts are read into memory while somebody waits.
func (s *Store) ReadAtOnce(most int64) { s.rosters.atOnce = most }

// Rostered counts those that are.
func (s *Store) Rostered() (n int) {
	s.rosters.Lock()
	defer s.rosters.Unlock()
	for _, r := range s.rosters.all {
		n += int(r.size.Load())
	}
	return n
}

// Decoded bounds how many bytes of documents are kept decoded.
func (s *Store) Decoded(most int) { s.policies.most = most }

// DecodedNow counts the policies that are, and their bytes.
func (s *Store) DecodedNow() (n, size int) {
	s.policies.Lock()
	defer s.policies.Unlock()
	for _, d := range s.policies.all {
		size += d.size
	}
	return len(s.policies.all), size
}

// PastBytes bounds what rebuilding a state may note; the function undoes that.
func PastBytes(most int) (undo func()) {
	was := maxPastBytes
	maxPastBytes = most
	return func() { maxPastBytes = was }
}

// Step is the gap between neighbours.
const Step = step

// BeforeStatement calls f before every statement that writes, whatever kind it is.
func (s *Store) BeforeStatement(f func()) error {
	call := func(*gorm.DB) { f() }
	callbacks := s.db.Callback()
	for _, register := range []func(string, func(*gorm.DB)) error{
		callbacks.Create().Before("gorm:create").Register,
		callbacks.Update().Before("gorm:update").Register,
		callbacks.Raw().Before("gorm:raw").Register,
		callbacks.Query().Before("gorm:query").Register,
	} {
		if err := register("test:before", call); err != nil {
			return err
		}
	}
	return nil
}

// Setting asks both sides of the store for a setting of their connections.
func (s *Store) Setting(query string) (write, read string, err error) {
	if err = s.db.Raw(query).Scan(&write).Error; err == nil {
		err = s.reader.Raw(query).Scan(&read).Error
	}
	return write, read, err
}

// Sum is the hash over fields.
func Sum(fields ...string) string {
	l := link{sha256.New()}
	l.add(fields...)
	return l.sum()
}

// Forge rewrites a revision of a tenant under another author, with the hash
// that fits it.
func (s *Store) Forge(tenant string, number access.Revision) error {
	var t tenantRow
	var r revisionRow
	var changes []changeRow
	err := errors.Join(s.db.Where("code = ?", tenant).Take(&t).Error,
		s.db.Where("tenant_id = ? AND number = ?", t.ID, number).Take(&r).Error,
		s.db.Where("tenant_id = ? AND revision = ?", t.ID, number).Order("n").Find(&changes).Error)
	if err != nil {
		return err
	}
	r.Author = "forger"
	l := newLink(tenant, r)
	for _, c := range changes {
		l.change(c)
	}
	return s.db.Exec("UPDATE revision SET author = ?, hash = ? WHERE tenant_id = ? AND number = ?", r.Author, l.sum(), t.ID, number).Error
}

// SubjectQuestion is what is asked of the database about users of the tenant
// default, with the values in their places.
func (s *Store) SubjectQuestion(ids ...string) string {
	r := s.subjects(context.Background(), access.DefaultTenant)
	query, args := r.question(ids)
	for _, a := range args {
		if text, ok := a.(string); ok {
			a = "'" + text + "'"
		}
		query = strings.Replace(query, "?", fmt.Sprint(a), 1)
	}
	return query
}

// FirstTables are the tables of the schema's first version with their columns.
func FirstTables() map[string]string {
	first := maps.Clone(tables)
	delete(first, "subject_stripe")
	return first
}

// Collation is that of MySQL's columns.
func (s *Store) Collation() string { return s.collation }

// Rows runs a query.
func (s *Store) Rows(query string) (*sql.Rows, error) { return s.reader.Raw(query).Rows() }

// Loadable judges what Apply would leave of a policy, with the first value of
// its last rule spoilt.
func (s *Store) Loadable(ctx context.Context, p *access.Policy, value string) error {
	w := &write{ctx: ctx, tenant: tenantRow{ID: 1, Code: p.Tenant}, now: s.now(), changes: []changeRow{{}}}
	c, err := w.want(p)
	if err != nil {
		return err
	}
	if err := w.settings(c); err != nil {
		return err
	}
	c.rules[len(c.rules)-1].V0 = value
	return w.loadable(c)
}

// Seed makes a policy what the tenant has, row for row as Apply would, but
// without its history: a million lines of it are not what a benchmark is about.
func (s *Store) Seed(ctx context.Context, p *access.Policy) error {
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		tenant, err := existing(p.Tenant)(tx)
		if err != nil {
			return err
		}
		w := &write{ctx: ctx, tx: tx, tenant: tenant, now: s.now(), chunk: s.chunk}
		c, err := w.want(p)
		if err != nil {
			return err
		}
		if err := w.settings(c); err != nil {
			return err
		}
		for _, t := range documentTables {
			tx.Exec("DELETE FROM "+t.name+" WHERE tenant_id = ?", tenant.ID)
			if err := seed(w, t.name, c.documents[t.name], "tenant_id, code, position, body", func(r documentRow) []any {
				return []any{r.TenantID, r.Code, r.Position, r.Body}
			}); err != nil {
				return err
			}
		}
		tx.Exec("DELETE FROM casbin_rule WHERE tenant_id = ?", tenant.ID)
		err = seed(w, "users", c.users, "tenant_id, "+userColumns, func(r userRow) []any {
			return []any{r.TenantID, r.ID, r.Position, r.Email, r.Login, r.Name, r.Status, r.Body, r.ExternalID, r.CreatedAt, r.MailKey, r.NameKey, r.Seats, r.Search, r.DeletedAt, r.Home}
		})
		if err != nil {
			return err
		}
		err = seed(w, "casbin_rule", c.rules, "tenant_id, "+ruleColumns, func(r ruleRow) []any {
			return []any{r.TenantID, r.ID, r.Ptype, r.V0, r.V1, r.V2, r.V3, r.V4, r.V5, r.ValidFrom, r.ValidUntil, r.Pending, r.Plain, r.Origin}
		})
		if err != nil {
			return err
		}
		return tx.Save(&w.tenant).Error
	})
}

// seed inserts rows by prepared statements, as many in one as is quick.
func seed[R record[R]](w *write, table string, rows []R, columns string, values func(R) []any) error {
	marks := "(?" + strings.Repeat(", ?", strings.Count(columns, ",")) + ")"
	at := int64(0)
	for chunk := range slices.Chunk(rows, w.chunk/2) {
		var args []any
		for _, r := range chunk {
			at += step
			args = append(args, values(r.at(at))...)
		}
		query := "INSERT INTO " + table + " (" + columns + ") VALUES " + marks + strings.Repeat(", "+marks, len(chunk)-1)
		if _, err := w.tx.Statement.ConnPool.ExecContext(w.ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// Plan tells by which indexes the statements of a list find their rows.
func (s *Store) Plan(ctx context.Context, tenant string, q access.UserSearch) (plan []string, err error) {
	err = s.snapshot(ctx, tenant, func(v view) error {
		l, err := v.userList(q, s.driver == SQLite, s.now())
		if err != nil {
			return err
		}
		explain := "EXPLAIN "
		if s.driver == SQLite {
			explain += "QUERY PLAN "
		}
		note := func(rows *sql.Rows) error {
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			line := ""
			for i, c := range columns {
				line += c + "=" + values[i].String + " "
			}
			plan = append(plan, line)
			return nil
		}
		hits, _, err := l.hits()
		if err != nil {
			return err
		}
		for i := range l.filters {
			f := &l.filters[i]
			if f.text {
				l.scanned(f)
			}
			if f.ids != "" && (hits == nil || f.unknown()) {
				if err := each(ctx, v.tx, explain+f.ids, f.args, note); err != nil {
					return err
				}
			}
		}
		start, err := l.start((*userFilter).unknown)
		if err != nil {
			return err
		}
		if hits == nil && start < 0 {
			if start, err = l.start((*userFilter).known); err != nil {
				return err
			}
		}
		query, args := l.statement(start)
		if hits != nil && start < 0 && len(l.filters) > 1 {
			query, args = l.among(len(hits.next), func(i int) string { return hits.next[i].ID })
			query = "SELECT " + userColumns + query + l.order()
		}
		return each(ctx, v.tx, explain+query, args, note)
	})
	return plan, err
}

// LimitPages lets an SQLite file grow by so many pages and no more, as a disk
// that is nearly full does.
func (s *Store) LimitPages(more int) error {
	var pages int
	if err := s.db.Raw("PRAGMA page_count").Scan(&pages).Error; err != nil {
		return err
	}
	var limit int
	return s.db.Raw("PRAGMA max_page_count = " + strconv.Itoa(pages+more)).Scan(&limit).Error
}

// HashAnew gives a revision the hash of what stands in the database now, as
// somebody who covers up an edit would.
func (s *Store) HashAnew(ctx context.Context, tenant string, number access.Revision) error {
	return s.snapshot(ctx, tenant, func(v view) error {
		r, err := v.entry(number)
		if err != nil {
			return err
		}
		l := newLink(tenant, r)
		query := "SELECT n, kind, name, old_value, new_value FROM revision_change WHERE tenant_id = ? AND revision = ? ORDER BY n"
		err = each(ctx, v.tx, query, []any{v.tenant.ID, number}, func(rows *sql.Rows) error {
			var c changeRow
			err := rows.Scan(&c.N, &c.Kind, &c.Name, &c.OldValue, &c.NewValue)
			l.change(c)
			return err
		})
		if err != nil {
			return err
		}
		return s.db.Exec("UPDATE revision SET hash = ? WHERE tenant_id = ? AND number = ?", l.sum(), v.tenant.ID, number).Error
	})
}
