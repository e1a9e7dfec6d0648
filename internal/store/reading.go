package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// View hands one consistent reading of a tenant to a function. The reading must
// not be used after it. What its policy holds is shared with other readings.
func (s *Store) View(ctx context.Context, tenant string, read func(access.Reading) error) error {
	err := s.snapshot(ctx, tenant, func(v view) error {
		if p := s.policies.at(&v.tenant); p != nil {
			return read(&reading{view: v, policy: p})
		}
		r, err := v.reading()
		if err != nil {
			return err
		}
		s.policies.keep(&v.tenant, r.policy, r.size())
		return read(r)
	})
	return fault("read tenant "+tenant, err)
}

// reading is a tenant's policy, read; users are read when they are asked for.
type reading struct {
	view
	rows   map[string][]documentRow // by table; none where the policy was there already
	plain  []access.Rule
	policy *access.Policy
}

// size is about how many bytes the policy was read from.
func (r *reading) size() int {
	n := len(r.tenant.Settings)
	for _, rows := range r.rows {
		for _, row := range rows {
			n += row.size()
		}
	}
	for _, rule := range r.plain {
		n += len(rule.String())
	}
	return n
}

func (v view) reading() (*reading, error) {
	r := &reading{view: v, rows: map[string][]documentRow{}}
	for _, t := range documentTables {
		err := readDocuments(r.ctx, r.tx, t.name, r.tenant.ID, func(row documentRow) error {
			r.rows[t.name] = append(r.rows[t.name], row)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	err := readRulesWhere(r.view, "plain = 1 ORDER BY id", func(row ruleRow) error {
		rule, err := row.rule(row.values())
		rule.Place = 0 // that is the store's business
		r.plain = append(r.plain, rule)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.policy, err = r.decode()
	return r, err
}

// decode makes a policy of the rows; each call makes a new one.
func (r *reading) decode() (*access.Policy, error) {
	var d settingsDocument
	if err := decode("settings", r.tenant.Settings, &d); err != nil {
		return nil, err
	}
	p := &access.Policy{
		Tenant: r.tenant.Code, Description: d.Description, Combining: access.Combining(d.Combining), Root: access.Section(d.Root),
		Model: d.Model, Functions: d.Functions.functions(), SignIn: d.SignIn.rules(), Accounts: d.Accounts.rules(), Anonymous: d.Anonymous, NeedBase: d.NeedBase,
		Licences:   convert(d.Licences, licenceDocument.licence),
		Guarantees: convert(d.Guarantees, guaranteeDocument.guarantee), Origin: access.Origin(d.Origin),
		Rules: append([]access.Rule(nil), r.plain...),
	}
	var errs [4]error
	p.Catalogue, errs[0] = decoded(r.rows["applications"], applicationDocument.application)
	p.Scopes, errs[1] = decoded(r.rows["scopes"], scopeDocument.scope)
	p.Roles, errs[2] = decoded(r.rows["roles"], roleDocument.role)
	p.Groups, errs[3] = decoded(r.rows["user_groups"], groupDocument.group)
	return p, errors.Join(errs[:]...)
}

func decoded[D, T any](rows []documentRow, of func(D) T) ([]T, error) {
	var all []T
	for _, row := range rows {
		var d D
		if err := decode(row.Code, row.Body, &d); err != nil {
			return nil, err
		}
		all = append(all, of(d))
	}
	return all, nil
}

// Revision is the one that everything was read at.
func (r *reading) Revision() access.Revision { return r.tenant.Revision }

// Policy gives everything but users.
func (r *reading) Policy() *access.Policy { return r.policy }

// User gives an account by its id.
func (r *reading) User(id string) (access.User, error) {
	row, err := r.userRow("id", id)
	if err == nil && row.ID != id {
		err = sql.ErrNoRows
	}
	return r.account(row, id, err)
}

// WithEmail gives the accounts with an e-mail in any case of letters.
func (r *reading) WithEmail(email string) ([]access.User, error) {
	rows, err := r.mailRows(email)
	if err != nil {
		return nil, err
	}
	var all []access.User
	for _, row := range rows {
		u, err := row.user()
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// mailRows reads the accounts with an e-mail, but for deleted ones.
func (v view) mailRows(email string) ([]userRow, error) {
	var rows []userRow
	if email == "" {
		return nil, nil
	}
	key := access.FoldCase(email)
	query := "SELECT " + userColumns + " FROM users WHERE tenant_id = ? AND mail_key = ? AND status <> ? ORDER BY id"
	err := each(v.ctx, v.tx, query, []any{v.tenant.ID, key, string(access.UserDeleted)}, func(found *sql.Rows) error {
		row, err := scanUser(v.tenant.ID, found)
		if err == nil && row.MailKey == key {
			rows = append(rows, row)
		}
		return err
	})
	return rows, err
}

func (r *reading) account(row userRow, name string, err error) (access.User, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return access.User{}, access.NotFound("user", name)
	}
	if err != nil {
		return access.User{}, err
	}
	return row.user()
}

func (r *reading) userRow(column, value string) (userRow, error) {
	found := userRow{}
	query := "SELECT " + userColumns + " FROM users WHERE tenant_id = ? AND " + column + " = ?"
	err := each(r.ctx, r.tx, query, []any{r.tenant.ID, value}, func(rows *sql.Rows) (err error) {
		found, err = scanUser(r.tenant.ID, rows)
		return err
	})
	if err == nil && found.TenantID == 0 {
		err = sql.ErrNoRows
	}
	return found, err
}

// Holders lists users who are linked to a group or role themselves.
func (r *reading) Holders(kind access.Kind, code, after string, most int) ([]string, error) {
	var ids []string
	// In the order of the index of links, so that no more of them are read than wanted.
	query := `SELECT r.v0 FROM casbin_rule r WHERE r.tenant_id = ? AND r.ptype = 'g' AND r.v1 = ? AND r.v0 > ? AND r.v0 < 'u;'
		AND (SELECT COUNT(*) FROM users u WHERE u.tenant_id = r.tenant_id AND u.id = SUBSTR(r.v0, 3)) > 0 GROUP BY r.v0 ORDER BY r.v0 LIMIT ?`
	args := []any{r.tenant.ID, access.Name(kind, code), access.Name(access.KindUser, after), most}
	err := each(r.ctx, r.tx, query, args, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		ids = append(ids, strings.TrimPrefix(name, "u:"))
		return err
	})
	return ids, err
}
