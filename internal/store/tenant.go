package store

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// tenantRow is a row of tenant.
type tenantRow struct {
	ID          int64
	Code        string
	Description string
	Epoch       string // random; changes when a backup is restored
	Revision    access.Revision
	Rules       int64 // how many rows of casbin_rule it has
	NextAt      int64 // microseconds; when a rule next begins or ends; 0: never
	Settings    string

	PolicyRevision access.Revision // the newest that changed more than single users
	Users          int64           // how many rows of users it has
	UserRules      int64           // how many of its rules are users' own
}

// TableName is asked by gorm.
func (tenantRow) TableName() string { return "tenant" }

type scopeDocument struct {
	Scope  string `json:"scope"`
	Parent string `json:"parent,omitempty"`
	Name   string `json:"name,omitempty"`
	Origin place  `json:"origin,omitzero"`
}

type licenceDocument struct {
	Feature string `json:"feature"`
	Seats   int    `json:"seats,omitempty"`
	Origin  place  `json:"origin,omitzero"`
}

type settingsDocument struct {
	Description string              `json:"description,omitempty"`
	Combining   string              `json:"combining"`
	Root        string              `json:"root"`
	Model       string              `json:"model,omitempty"`
	Functions   *functionsDocument  `json:"functions,omitempty"`
	SignIn      *signInDocument     `json:"sign_in,omitempty"`
	Accounts    *accountsDocument   `json:"accounts,omitempty"`
	Anonymous   string              `json:"anonymous,omitempty"`
	NeedBase    bool                `json:"groups_need_base,omitempty"`
	Licences    []licenceDocument   `json:"licences,omitempty"`
	Guarantees  []guaranteeDocument `json:"guarantees,omitempty"`
	Origin      place               `json:"origin,omitzero"`
}

// accountsDocument is access.AccountRules among a tenant's settings.
type accountsDocument struct {
	EmailPattern string   `json:"email_pattern,omitempty"`
	Required     []string `json:"required,omitempty"`
	EmailUnique  string   `json:"email_unique,omitempty"`
}

func accountsOf(r access.AccountRules) *accountsDocument {
	if r.Empty() {
		return nil
	}
	return &accountsDocument{r.EmailPattern, r.Required, string(r.EmailUnique)}
}

func (d *accountsDocument) rules() access.AccountRules {
	if d == nil {
		return access.AccountRules{}
	}
	return access.AccountRules{EmailPattern: d.EmailPattern, Required: d.Required, EmailUnique: access.EmailUnique(d.EmailUnique)}
}

func scopeOf(s access.ScopeNode) scopeDocument {
	return scopeDocument{Scope: string(s.Scope), Parent: string(s.Parent), Name: s.Name, Origin: place(s.Origin)}
}

func (d scopeDocument) scope() access.ScopeNode {
	return access.ScopeNode{Scope: access.Scope(d.Scope), Parent: access.Scope(d.Parent), Name: d.Name, Origin: access.Origin(d.Origin)}
}

func licenceOf(l access.Licence) licenceDocument {
	return licenceDocument{Feature: l.Feature, Seats: l.Seats, Origin: place(l.Origin)}
}

func (d licenceDocument) licence() access.Licence {
	return access.Licence{Feature: d.Feature, Seats: d.Seats, Origin: access.Origin(d.Origin)}
}

// settingsOf keeps what concerns the tenant as a whole. Combining and root
// come from the facts, where they are filled in.
func settingsOf(p *access.Policy, f *access.Facts) settingsDocument {
	return settingsDocument{
		Description: p.Description, Combining: string(f.Combining), Root: string(f.Root), Model: p.Model, Functions: functionsOf(p.Functions),
		SignIn: signInOf(p.SignIn), Accounts: accountsOf(p.Accounts), Anonymous: p.Anonymous, NeedBase: p.NeedBase, Licences: convert(p.Licences, licenceOf),
		Guarantees: convert(p.Guarantees, guaranteeOf), Origin: place(p.Origin),
	}
}

// CreateTenant makes a tenant whose policy holds nothing but the superuser's
// rule, and gives its first revision. Its Revision field is not looked at; the
// change's base must be 0 or AnyRevision.
func (s *Store) CreateTenant(ctx context.Context, t access.Tenant, c access.Change) (access.Revision, error) {
	return s.Found(ctx, &access.Policy{Tenant: t.Code, Description: t.Description}, c)
}

// Found makes a tenant that begins with a policy, like CreateTenant.
func (s *Store) Found(ctx context.Context, p *access.Policy, c access.Change) (access.Revision, error) {
	if err := p.Check().Err(); err != nil {
		return 0, err
	}
	insert := func(tx *gorm.DB) (tenantRow, error) { return newTenant(tx, p.Tenant) }
	d, err := s.commit(ctx, c, insert, func(w *write) error { return s.apply(w, p) })
	return d.To, err
}

func newTenant(tx *gorm.DB, code string) (tenantRow, error) {
	row := tenantRow{Code: code, Epoch: newEpoch()}
	err := exactly(1, tx.Create(&row))
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		err = access.Exists("tenant", code)
	}
	return row, err
}

func newEpoch() string { return strings.ToLower(rand.Text()) }

// existing gives the function that locks a tenant's row for a write.
func existing(code string) func(*gorm.DB) (tenantRow, error) {
	return func(tx *gorm.DB) (tenantRow, error) {
		var row tenantRow
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("code = ?", code).Take(&row).Error
		return row, known(code, row, err)
	}
}

// known makes a missing row ErrNotFound. A row that the database found equal
// and Go does not is missing too: it is another tenant's.
func known(code string, row tenantRow, err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) || (err == nil && row.Code != code) {
		return access.NotFound("tenant", code)
	}
	return err
}

// Tenants lists all tenants by code.
func (s *Store) Tenants(ctx context.Context) ([]access.Tenant, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var rows []tenantRow
	if err := s.reader.WithContext(ctx).Order("code").Find(&rows).Error; err != nil {
		return nil, fault("list tenants", err)
	}
	tenants := make([]access.Tenant, len(rows))
	for i, r := range rows {
		tenants[i] = access.Tenant{Code: r.Code, Description: r.Description, Revision: r.Revision}
	}
	return tenants, nil
}

// Heads gives where every tenant stands, by its code.
func (s *Store) Heads(ctx context.Context) (map[string]access.Head, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var rows []tenantRow
	if err := s.follow.WithContext(ctx).Select("code", "revision", "epoch").Find(&rows).Error; err != nil {
		return nil, fault("read the newest revisions", err)
	}
	heads := make(map[string]access.Head, len(rows))
	for _, r := range rows {
		heads[r.Code] = access.Head{Revision: r.Revision, Epoch: r.Epoch}
	}
	return heads, nil
}
