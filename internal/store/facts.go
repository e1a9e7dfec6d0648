package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// view is one consistent snapshot of one tenant.
type view struct {
	ctx    context.Context
	tx     gorm.ConnPool // an open transaction
	tenant tenantRow

	rosters  *rosters // nil in the middle of a change
	resident int64    // users up to which a tenant is loaded with them
	byLine   string   // makes a query find rules by their line
	packed   func(columns string) string
}

// snapshot opens a transaction that only reads and sees one state of the
// database: that of its first statement, which is the tenant's row with the
// revision.
func (s *Store) snapshot(ctx context.Context, tenant string, read func(view) error) (err error) {
	ctx, step := span(ctx, "read transaction")
	defer func() { end(step, err) }()
	if err := s.usable(ctx); err != nil {
		return err
	}
	conns, err := s.reader.DB()
	if err != nil {
		return err
	}
	tx, err := conns.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it has changed nothing
	row, err := readTenant(ctx, tx, tenant)
	if err != nil {
		return err
	}
	return read(view{ctx: ctx, tx: tx, tenant: row, rosters: &s.rosters, resident: s.resident, byLine: s.byLine, packed: s.packed})
}

func readTenant(ctx context.Context, q gorm.ConnPool, code string) (tenantRow, error) {
	var r tenantRow
	err := q.QueryRowContext(ctx, "SELECT "+tenantColumns+" FROM tenant WHERE code = ?", code).
		Scan(&r.ID, &r.Code, &r.Description, &r.Epoch, &r.Revision, &r.Rules, &r.NextAt, &r.Settings, &r.PolicyRevision, &r.Users, &r.UserRules)
	if errors.Is(err, sql.ErrNoRows) {
		err = gorm.ErrRecordNotFound
	}
	return r, known(code, r, err)
}

// Load gives everything that decisions of a tenant read, from one snapshot.
// Every row is checked as it passes; one that is not understood, or a number of
// rules that is not the number last written, is an error of kind ErrInvalid
// that names it. Nothing is left out, but that a tenant with more users than
// Options.ResidentUsers gives Fetched facts, which lack users and their rules.
func (s *Store) Load(ctx context.Context, tenant string) (access.Facts, error) {
	var f access.Facts
	err := s.snapshot(ctx, tenant, func(v view) error {
		l := v.loader()
		err := l.load()
		f = l.facts
		if err == nil {
			f.Stripes, err = v.stripes()
		}
		return err
	})
	if err != nil {
		return access.Facts{}, fault("load tenant "+tenant, err)
	}
	return f, nil
}

// source is where rows come from: a database, or what is about to be written.
type source interface {
	eachDocument(table string, take func(documentRow) error) error
	eachRole(take func(code string) error) error
	eachUser(take func(userRow) error) error       // by id; of the columns at least id, status and body
	eachRule(take func(ruleRow) error) error       // in their order
	eachPolicyRule(take func(ruleRow) error) error // those that are no user's own, in no order
}

func (v view) loader() *loader { return &loader{source: v, tenant: v.tenant, resident: v.resident} }

func (v view) eachDocument(table string, take func(documentRow) error) error {
	return readDocuments(v.ctx, v.tx, table, v.tenant.ID, take)
}

// eachRole: what a role holds has become rules, and its document can be long.
func (v view) eachRole(take func(string) error) error {
	query := "SELECT code FROM roles WHERE tenant_id = ? ORDER BY position"
	return each(v.ctx, v.tx, query, []any{v.tenant.ID}, func(rows *sql.Rows) error {
		var code string
		if err := rows.Scan(&code); err != nil {
			return err
		}
		return take(code)
	})
}

func (v view) eachUser(take func(userRow) error) error {
	query := "SELECT id, status, body FROM users WHERE tenant_id = ? ORDER BY id"
	return each(v.ctx, v.tx, query, []any{v.tenant.ID}, func(rows *sql.Rows) error {
		r := userRow{TenantID: v.tenant.ID}
		if err := rows.Scan(&r.ID, &r.Status, &r.Body); err != nil {
			return err
		}
		return take(r)
	})
}

func (v view) eachRule(take func(ruleRow) error) error       { return readRules(v, take) }
func (v view) eachPolicyRule(take func(ruleRow) error) error { return readPolicyRules(v, take) }

func (v view) stripes() (map[access.Stripe]access.Revision, error) {
	all := map[access.Stripe]access.Revision{}
	query := "SELECT stripe, revision FROM subject_stripe WHERE tenant_id = ?"
	return all, each(v.ctx, v.tx, query, []any{v.tenant.ID}, func(rows *sql.Rows) error {
		var stripe access.Stripe
		var revision access.Revision
		err := rows.Scan(&stripe, &revision)
		all[stripe] = revision
		return err
	})
}

// loader gathers facts and the names by which rules are checked.
type loader struct {
	source
	judge
	tenant   tenantRow
	resident int64 // users up to which a tenant is loaded with them
	facts    access.Facts
	bodies   map[string]access.UserFacts // what is read of users' documents, most of which are alike
}

func (l *loader) load() error {
	return inTurn(l.frame, l.roles, l.users, l.rules)
}

// frame reads everything but users and rules.
func (l *loader) frame() error {
	l.known = map[string]bool{access.SuperuserRole: true}
	l.scopes, l.sections, l.conds = map[string]bool{string(access.Everywhere): true}, map[string]bool{}, map[string]bool{}
	return inTurn(l.settings, l.catalogue, l.scopeTree, l.groups, l.conditions)
}

// inTurn does one thing after the other up to the first error.
func inTurn(parts ...func() error) error {
	for _, part := range parts {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) settings() error {
	var d settingsDocument
	if err := decode("settings", l.tenant.Settings, &d); err != nil {
		return err
	}
	l.facts = access.Facts{
		Tenant: l.tenant.Code, Epoch: l.tenant.Epoch, Revision: l.tenant.Revision, Policy: l.tenant.PolicyRevision,
		Fetched:   d.Model == "" && l.tenant.Users > l.resident,
		Combining: access.Combining(d.Combining), Root: access.Section(d.Root), Model: d.Model, Functions: d.Functions.functions(),
		Licences:   convert(d.Licences, licenceDocument.licence),
		Guarantees: convert(d.Guarantees, guaranteeDocument.guarantee), Groups: map[string]access.GroupKind{},
	}
	l.ours, l.sections[d.Root] = l.facts.Ours(), true
	if c := l.facts.Combining; c != access.DenyOverrides && c != access.AllowOverrides {
		return access.Invalid("combining", "%q is neither %s nor %s", c, access.DenyOverrides, access.AllowOverrides)
	}
	return access.ValidSection("root", l.facts.Root)
}

func (l *loader) catalogue() error {
	err := l.eachDocument("applications", func(r documentRow) error {
		var d applicationDocument
		if err := decode("application "+r.Code, r.Body, &d); err != nil {
			return err
		}
		a := d.application()
		l.facts.Catalogue = append(l.facts.Catalogue, a)
		return same("application", r.Code, a.Code)
	})
	if l.facts.Ours() {
		l.facts.Catalogue = access.WithOurselves(l.facts.Catalogue, l.facts.Root)
	}
	for _, a := range l.facts.Catalogue {
		for _, s := range a.Sections {
			l.sections[string(s.Path)] = true
		}
		l.known[access.Name(access.KindApplication, a.Code)] = true
	}
	return err
}

func (l *loader) scopeTree() error {
	return l.eachDocument("scopes", func(r documentRow) error {
		var d scopeDocument
		if err := decode("scope "+r.Code, r.Body, &d); err != nil {
			return err
		}
		l.scopes[d.Scope] = true
		l.facts.Scopes = append(l.facts.Scopes, d.scope())
		return same("scope", r.Code, d.Scope)
	})
}

func (l *loader) roles() error {
	return l.eachRole(func(code string) error {
		l.known[access.Name(access.KindRole, code)] = true
		return access.ValidCode("role", code)
	})
}

func (l *loader) groups() error {
	return l.eachDocument("user_groups", func(r documentRow) error {
		var d groupDocument
		if err := decode("group "+r.Code, r.Body, &d); err != nil {
			return err
		}
		l.known[access.Name(access.KindGroup, d.Code)] = true
		kind := access.GroupKind(d.Kind)
		if kind != access.GroupDefault && kind != access.GroupTemplate && kind != access.GroupRegular {
			return access.Invalid("group "+r.Code, "kind %q is none of default, template, regular", d.Kind)
		}
		l.facts.Groups[d.Code] = kind
		return same("group", r.Code, d.Code)
	})
}

// conditions: the id of a condition is derived from its text, so an edited
// text shows.
func (l *loader) conditions() error {
	return l.eachDocument("conditions", func(r documentRow) error {
		var d conditionDocument
		if err := decode("condition "+r.Code, r.Body, &d); err != nil {
			return err
		}
		l.conds[r.Code] = true
		l.facts.Conditions = append(l.facts.Conditions, access.Condition{ID: r.Code, Text: d.Text, Origin: access.Origin(d.Origin)})
		return same("condition", r.Code, access.ConditionID(d.Text))
	})
}

// same: the code of a row is the one in its document, byte by byte.
func same(noun, row, document string) error {
	if row == document {
		return nil
	}
	return access.Invalid(noun+" "+row, "its document is that of %q", document)
}

func (l *loader) users() error {
	if l.facts.Fetched {
		return nil
	}
	l.facts.Users = slices.Grow(l.facts.Users, expected(l.tenant.Users))
	l.bodies = map[string]access.UserFacts{}
	if err := l.eachUser(l.user); err != nil {
		return err
	}
	l.bodies = nil
	return counted("users", "users", int64(len(l.facts.Users)), l.tenant.Users)
}

// expected is for how many rows there is made room at once: what is stored may
// be spoilt.
func expected(rows int64) int { return int(max(0, min(rows, 1<<20))) }

// longBody is the length above which documents are hardly ever alike.
const longBody = 256

func (l *loader) user(r userRow) error {
	u, same := l.bodies[r.Body]
	if same {
		u.ID, u.Status = r.ID, access.UserStatus(r.Status)
		l.facts.Users = append(l.facts.Users, u)
		return validUser(u)
	}
	u, err := r.facts()
	l.facts.Users = append(l.facts.Users, u)
	if err == nil && len(r.Body) <= longBody && len(l.bodies) < maxKnown {
		l.bodies[r.Body] = u
	}
	return err
}

func (l *loader) rules() error {
	want := l.tenant.Rules
	if l.facts.Fetched {
		want -= l.tenant.UserRules
	}
	l.facts.Rules = slices.Grow(l.facts.Rules, expected(want))
	var err error
	if l.facts.Fetched {
		err = l.eachPolicyRule(l.rule)
		slices.SortFunc(l.facts.Rules, byPlace)
	} else {
		err = l.eachRule(l.rule)
	}
	if err != nil {
		return err
	}
	if l.facts.Ours() && !l.sentinel {
		err = access.Invalid("casbin_rule", "lacks the rule of the superuser, %q", access.Sentinel())
	}
	return errors.Join(counted("casbin_rule", "rules", int64(len(l.facts.Rules)), want), err)
}

func counted(table, noun string, n, want int64) error {
	if n == want {
		return nil
	}
	return access.Invalid(table, "holds %d %s of the tenant, and %d were written", n, noun, want)
}

// rule takes one row over after checking it.
func (l *loader) rule(r ruleRow) error {
	rule, err := l.judged(r)
	l.facts.Rules = append(l.facts.Rules, rule)
	return err
}
