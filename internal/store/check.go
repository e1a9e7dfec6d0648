package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// olderError says that the schema is older than this program.
type olderError struct{ has, needs int64 }

func (e *olderError) Error() string {
	return fmt.Sprintf("the database's schema is at version %d and this program needs %d: run `bailiwick migrate up`", e.has, e.needs)
}

func (e *olderError) Unwrap() error { return access.ErrUnavailable }

// Check refuses a database that would not keep what it is given: a schema of
// another version, tables that are not ours, columns that compare text otherwise than byte by byte, a
// sql_mode that cuts values. The error is one line.
func (s *Store) Check(ctx context.Context) error {
	for _, check := range []func(context.Context) error{s.notNewer, s.notOlder, s.columns, s.collations, s.sqlMode} {
		if err := check(ctx); err != nil {
			s.fit.Store(false)
			return err
		}
	}
	s.fit.Store(true)
	return nil
}

// usable is asked by everything that touches a table.
func (s *Store) usable(ctx context.Context) error {
	if s.fit.Load() {
		return nil
	}
	return s.Check(ctx)
}

func (s *Store) versions(ctx context.Context) (has, needs int64, err error) {
	if needs, err = s.target(); err != nil {
		return 0, 0, fault("check the schema", err)
	}
	has, err = s.version(ctx)
	return has, needs, fault("check the schema", err)
}

func (s *Store) notNewer(ctx context.Context) error {
	has, needs, err := s.versions(ctx)
	if err == nil && has > needs {
		err = access.Unavailable("the database's schema is at version %d and this program only knows %d: this program is too old for it", has, needs)
	}
	return err
}

func (s *Store) notOlder(ctx context.Context) error {
	has, needs, err := s.versions(ctx)
	if err == nil && has < needs {
		err = &olderError{has: has, needs: needs}
	}
	return err
}

// tables are all tables with the columns that this program needs. A database
// that is shared with another application may have its own tables of that name.
var tables = map[string]string{ //nolint:gosec // names of columns
	"tenant":          "id, code, description, epoch, revision, rules, next_at, settings",
	"subject_stripe":  "tenant_id, stripe, revision",
	"casbin_rule":     "tenant_id, id, ptype, v0, v1, v2, v3, v4, v5, valid_from, valid_until, pending, origin",
	"applications":    "tenant_id, code, position, body",
	"roles":           "tenant_id, code, position, body",
	"user_groups":     "tenant_id, code, position, body",
	"scopes":          "tenant_id, code, position, body",
	"conditions":      "tenant_id, code, position, body",
	"users":           "tenant_id, id, position, email, login, name, status, body",
	"api_key":         "id, tenant, kind, name, secret_hash, created_at, revoked_at",
	"credential":      "tenant_id, user_id, password, set_at, must_change, former, attempts",
	"session":         "secret_hash, id, tenant_id, user_id, epoch, steps, created_at, seen_at, idle, ends_at, address, agent",
	"sign_in_failure": "tenant_id, counted, failures, since_at, seen_at, wait_until, locked_until, ends_at",
	"one_time_token":  "tenant_id, user_id, purpose, token_hash, expires_at",
	"second_factor":   "tenant_id, user_id, sealed, pending, confirmed_at, last_step, recovery",
	"shared_secret":   "name, value",
	"identity":        "tenant_id, issuer, subject, user_id",
	"presence":        "tenant_id, user_id, status, note, since_at",
	"mail":            "tenant_id, user_id, purpose, id, recipient, state, created_at, due_at, tries, settled_at, expires_at, trouble",
	"attempt":         "id, caller, request, made_at, revision, status, etag, answer",
	"replica":         "id, address, version, started_at, seen_at, tenants, behind, lag",
	"refusal":         "seq, tenant, id, refused_at, caller, request_id, need, door, why, times",
	"checkpoint":      "tenant_id, number, epoch, revision, hash, made_at, previous, key_name, signature",
	"decision":        "seq, tenant, id, asked_at, subject, section, allowed, reason, caller, request_id, body",
	"revision":        "tenant_id, number, parent, hash, author, source, reason, made_at",
	"revision_change": "tenant_id, revision, n, kind, name, old_value, new_value",
}

// addedColumns are those that later steps of the schema have added to tables
// of earlier ones: a migration that was killed may not have come to them yet.
var addedColumns = map[string]string{"tenant": "policy_revision, users, user_rules", "casbin_rule": "plain", "users": "external_id, created_at, mail_key, name_key, seats, search, deleted_at, home"}

// tenantColumns are all columns of tenant.
var tenantColumns = tables["tenant"] + ", " + addedColumns["tenant"]

func tableNames() []string { return slices.Sorted(maps.Keys(tables)) }

func (s *Store) columns(ctx context.Context) error {
	for _, name := range tableNames() {
		if err := s.ours(ctx, name, tables[name]); err != nil {
			return err
		}
	}
	for name, columns := range addedColumns {
		if err := s.ours(ctx, name, columns); err != nil {
			return err
		}
	}
	return nil
}

// ours makes sure that a table has the columns that we need.
func (s *Store) ours(ctx context.Context, table, columns string) error {
	err := s.db.WithContext(ctx).Exec("SELECT " + columns + " FROM " + table + " WHERE 1 = 0").Error
	return fault(fmt.Sprintf("the table %s is not one that this program has made", table), err)
}

func (s *Store) collations(ctx context.Context) error {
	if s.driver != MySQL {
		return nil
	}
	var wrong []string
	err := s.db.WithContext(ctx).Raw(`SELECT CONCAT(table_name, '.', column_name, ' has ', collation_name)
		FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN ?
		AND collation_name IS NOT NULL AND collation_name <> ? ORDER BY table_name, ordinal_position`, tableNames(), s.collation).
		Scan(&wrong).Error
	if err != nil {
		return fault("check the collation", err)
	}
	if len(wrong) == 0 {
		return nil
	}
	return access.Unavailable("the database compares text wrongly: column %s, and %d others; every column needs %s",
		wrong[0], len(wrong)-1, s.collation)
}

func (s *Store) sqlMode(ctx context.Context) error {
	if s.driver != MySQL {
		return nil
	}
	var mode string
	if err := s.db.WithContext(ctx).Raw("SELECT @@SESSION.sql_mode").Scan(&mode).Error; err != nil {
		return fault("check the sql_mode", err)
	}
	if strings.Contains(mode, "STRICT_ALL_TABLES") || strings.Contains(mode, "STRICT_TRANS_TABLES") {
		return nil
	}
	return access.Unavailable("the database cuts values that are too long: sql_mode is %q and needs STRICT_ALL_TABLES", mode)
}
