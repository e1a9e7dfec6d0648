package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strings"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Arrange is arrange, for tests of what SQL cannot show.
var Arrange = arrange

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
