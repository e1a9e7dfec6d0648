package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// credentialRow is a row of credential.
type credentialRow struct {
	TenantID   int64
	UserID     string
	Password   string
	SetAt      int64 // microseconds; 0: never
	MustChange bool
	Former     string // JSON
	Attempts   string // JSON
}

// TableName is asked by gorm.
func (credentialRow) TableName() string { return "credential" }

// passwordImage is how a password stands in the history: without its hash, and
// with a hash of that, whose salt nobody knows, see keyImage.
type passwordImage struct {
	Set        time.Time `json:"set"`
	MustChange bool      `json:"must_change,omitempty"`
	Check      string    `json:"check,omitempty"`
}

func (r credentialRow) image() any {
	if r.Password == "" {
		return nil
	}
	return passwordImage{Set: moment(r.SetAt), MustChange: r.MustChange, Check: checkOf("password", []byte(r.Password))}
}

type attemptDocument struct {
	At      time.Time `json:"at"`
	Refusal string    `json:"refusal,omitempty"`
	Address string    `json:"address,omitempty"`
}

func attemptOf(a access.Attempt) attemptDocument {
	return attemptDocument{At: a.At.UTC(), Refusal: string(a.Refusal), Address: a.Address}
}

func (d attemptDocument) attempt() access.Attempt {
	return access.Attempt{At: d.At, Refusal: access.Refusal(d.Refusal), Address: d.Address}
}

func (r credentialRow) password() (access.Password, error) {
	p := access.Password{Hash: r.Password, Set: moment(r.SetAt), MustChange: r.MustChange}
	if r.Former == "" {
		return p, nil
	}
	return p, decode("credential "+r.UserID, r.Former, &p.Former)
}

func credentialRowOf(tenant int64, user string, p access.Password) (credentialRow, error) {
	former, err := encode(p.Former)
	row := credentialRow{TenantID: tenant, UserID: user, Password: p.Hash, MustChange: p.MustChange, Former: former}
	if !p.Set.IsZero() {
		row.SetAt = p.Set.UnixMicro()
	}
	return row, err
}

// credential reads what somebody signs in with. Nobody has a row until there is
// something to keep.
func (v view) credential(user string) (credentialRow, error) {
	r := credentialRow{TenantID: v.tenant.ID, UserID: user}
	query := "SELECT user_id, password, set_at, must_change, former, attempts FROM credential WHERE tenant_id = ? AND user_id = ?"
	err := v.tx.QueryRowContext(v.ctx, query, v.tenant.ID, user).Scan(&r.UserID, &r.Password, &r.SetAt, &r.MustChange, &r.Former, &r.Attempts)
	if errors.Is(err, sql.ErrNoRows) || err == nil && r.UserID != user {
		return credentialRow{TenantID: v.tenant.ID, UserID: user}, nil
	}
	return r, err
}

// AccountByLogin gives the account that signs in with this e-mail, in any case
// of letters. Where several stores have one, it is that of the store which is
// named. That there is none is no error.
func (s *Store) AccountByLogin(ctx context.Context, tenant, email string, home access.Scope) (access.Account, error) {
	return s.signingIn(ctx, tenant, func(v view, a *access.Account, d *settingsDocument) (userRow, error) {
		rows, err := v.mailRows(email)
		if err != nil {
			return userRow{}, err
		}
		a.Shared = len(rows) > 1
		return meant(rows, string(home), d.Accounts.rules().EmailUnique == access.EmailPerStore)
	})
}

// meant chooses among the accounts with one e-mail. sql.ErrNoRows: it is none of
// them, or was not said.
func meant(rows []userRow, home string, perStore bool) (userRow, error) {
	for _, r := range rows {
		if r.Home == home || r.Home == "" || len(rows) == 1 && (home == "" || !perStore) {
			return r, nil
		}
	}
	return userRow{}, sql.ErrNoRows
}

// AccountOf gives the account with an id. That there is none is no error.
func (s *Store) AccountOf(ctx context.Context, tenant, id string) (access.Account, error) {
	return s.signingIn(ctx, tenant, func(v view, a *access.Account, _ *settingsDocument) (userRow, error) {
		row, err := (&reading{view: v}).userRow("id", id)
		if err == nil && row.ID != id {
			err = sql.ErrNoRows
		}
		if err != nil {
			return row, err
		}
		others, err := v.mailRows(row.Email)
		a.Shared = len(others) > 1
		return row, err
	})
}

func (s *Store) signingIn(ctx context.Context, tenant string, find func(view, *access.Account, *settingsDocument) (userRow, error)) (access.Account, error) {
	a := access.Account{Tenant: tenant}
	err := s.snapshot(ctx, tenant, func(v view) error {
		var d settingsDocument
		if err := decode("settings", v.tenant.Settings, &d); err != nil {
			return err
		}
		a.Rules = d.SignIn.rules()
		row, err := find(v, &a, &d)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		a.Known = true
		return v.account(&a, row, s.now())
	})
	return a, fault("read an account", err)
}

func (v view) account(a *access.Account, row userRow, now time.Time) (err error) {
	if a.User, err = row.user(); err != nil {
		return err
	}
	if a.Template, err = v.onlyTemplates(a.User, now); err != nil {
		return err
	}
	c, err := v.credential(a.User.ID)
	if err != nil {
		return err
	}
	if a.Password, err = c.password(); err != nil {
		return err
	}
	second, err := v.secondFactor(a.User.ID)
	if err != nil {
		return err
	}
	a.SecondFactor, err = second.secondFactor()
	return err
}

// onlyTemplates tells whether all groups that somebody is in now only serve
// inheritance. Who is in none may sign in.
func (v view) onlyTemplates(u access.User, now time.Time) (bool, error) {
	codes := []any{v.tenant.ID}
	for _, l := range u.Groups {
		if l.Validity.At(now) {
			codes = append(codes, l.To)
		}
	}
	if len(codes) == 1 {
		return false, nil
	}
	only := true
	query := "SELECT code, position, body FROM user_groups WHERE tenant_id = ? AND code IN (" + marks(len(codes)-1) + ")"
	err := each(v.ctx, v.tx, query, codes, func(rows *sql.Rows) error {
		var code, body string
		var position int64
		if err := rows.Scan(&code, &position, &body); err != nil {
			return err
		}
		var d groupDocument
		err := decode("group "+code, body, &d)
		only = only && d.group().Kind == access.GroupTemplate
		return err
	})
	return only, err
}

// Password gives what is kept of somebody's password.
func (d *draft) Password(user string) (access.Password, error) {
	row, err := d.credential(user)
	if err != nil {
		return access.Password{}, err
	}
	return row.password()
}

// PutPassword keeps somebody's password and records that it was changed. All
// tokens and sessions of his end, but the one session that is named.
func (d *draft) PutPassword(user string, p access.Password, but [32]byte) error {
	had, err := d.credential(user)
	if err != nil {
		return err
	}
	row, err := credentialRowOf(d.tenant.ID, user, p)
	if err != nil {
		return err
	}
	upsert := clause.OnConflict{
		Columns:   []clause.Column{{Name: "tenant_id"}, {Name: "user_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"password", "set_at", "must_change", "former"}),
	}
	if err := d.w.tx.Clauses(upsert).Create(&row).Error; err != nil {
		return err
	}
	if err := errors.Join(d.DropTokens(user), endSessions(d.w.tx, d.tenant.ID, []string{user}, but)); err != nil {
		return err
	}
	return d.w.note(kindPassword, user, had.image(), row.image())
}

// Rehash replaces a password's hash by a stronger one of the same password,
// unless it was changed meanwhile.
func (s *Store) Rehash(ctx context.Context, tenant, user, had, has string) error {
	c := access.Change{Base: access.AnyRevision, Author: "user:" + user, Source: "sign-in", Reason: "a stronger hash of the same password"}
	_, err := s.commit(ctx, c, existing(tenant), func(w *write) error {
		row, err := w.view().credential(user)
		if err != nil || row.Password != had {
			return err
		}
		before := row.image()
		row.Password = has
		done := w.tx.Model(&credentialRow{}).Where("tenant_id = ? AND user_id = ?", w.tenant.ID, user).Update("password", has)
		if err := exactly(1, done); err != nil {
			return err
		}
		return w.note(kindPassword, user, before, row.image())
	})
	return fault("keep a password's hash", err)
}

func tenantIn(tx *gorm.DB, code string) (tenantRow, error) {
	var row tenantRow
	err := tx.Where("code = ?", code).Take(&row).Error
	return row, known(code, row, err)
}

// attempted remembers a try of somebody, in front of those before.
func attempted(tx *gorm.DB, tenant int64, user string, a access.Attempt) error {
	row := credentialRow{TenantID: tenant, UserID: user}
	if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&credentialRow{TenantID: tenant, UserID: user, Former: "[]", Attempts: "[]"}).Error; err != nil {
		return err
	}
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("tenant_id = ? AND user_id = ?", tenant, user).Take(&row).Error
	if err != nil {
		return err
	}
	var before []attemptDocument
	if row.Attempts != "" {
		if err := decode("credential "+user, row.Attempts, &before); err != nil {
			return err
		}
	}
	text, err := encode(append([]attemptDocument{attemptOf(a)}, before[:min(len(before), access.MaxAttempts-1)]...))
	if err != nil {
		return err
	}
	return tx.Model(&credentialRow{}).Where("tenant_id = ? AND user_id = ?", tenant, user).Update("attempts", text).Error
}

// Attempts gives the last tries to sign in to an account, newest first.
func (s *Store) Attempts(ctx context.Context, tenant, user string) ([]access.Attempt, error) {
	var all []access.Attempt
	err := s.snapshot(ctx, tenant, func(v view) error {
		row, err := v.credential(user)
		if err != nil || row.Attempts == "" {
			return err
		}
		var d []attemptDocument
		err = decode("credential "+user, row.Attempts, &d)
		all = convert(d, attemptDocument.attempt)
		return err
	})
	return all, fault("read the tries to sign in", err)
}
