package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// userRow is a row of users.
type userRow struct {
	TenantID int64
	ID       string
	Position int64
	Email    string
	Login    login
	Name     string
	Status   string
	Body     string

	ExternalID string
	Home       string
	CreatedAt  int64 // microseconds; 0: not known
	DeletedAt  int64 // microseconds, until it is purged; 0: neither deleted nor to be purged

	// What lists are sorted and searched by, see list.go.
	MailKey, NameKey, Seats, Search string
}

// TableName is asked by gorm.
func (userRow) TableName() string { return "users" }

func (r userRow) key() string             { return r.ID }
func (r userRow) name() string            { return r.ID }
func (r userRow) number() int64           { return r.Position }
func (r userRow) at(number int64) userRow { r.Position = number; return r }
func (r userRow) handle() any             { return r.ID }

func (r userRow) size() int { return len(r.Body) }

// userImage is how a user stands in the history.
type userImage struct {
	Position int64           `json:"position"`
	Email    string          `json:"email,omitempty"`
	Name     string          `json:"name,omitempty"`
	Status   string          `json:"status"`
	External string          `json:"external_id,omitempty"`
	Created  time.Time       `json:"created_at,omitzero"`
	Body     json.RawMessage `json:"body"`
}

func (r userRow) image() any {
	return userImage{r.Position, r.Email, r.Name, r.Status, r.ExternalID, moment(r.CreatedAt), json.RawMessage(r.Body)}
}

// login is an e-mail in the form in which it is unique, with the store behind it
// to which its user belongs. Users without an e-mail have none, and do not collide.
type login = sql.NullString

func loginOf(email, home string) login {
	text := access.FoldCase(email)
	if home != "" {
		text += "\n" + home
	}
	return login{String: text, Valid: email != ""}
}

type userDocument struct {
	Home            string          `json:"home,omitempty"`
	Groups          []linkDocument  `json:"groups,omitempty"`
	Roles           []linkDocument  `json:"roles,omitempty"`
	Grants          []grantDocument `json:"grants,omitempty"`
	Licences        []string        `json:"licences,omitempty"`
	ApplicationsOff []string        `json:"applications_off,omitempty"`
	Attributes      attributes      `json:"attributes,omitempty"`
	Menu            []string        `json:"menu,omitzero"` // nil: everything
	InvitedAt       time.Time       `json:"invited_at,omitzero"`
	DeletedAt       time.Time       `json:"deleted_at,omitzero"`
	Successor       string          `json:"successor,omitempty"`
	PurgedAt        time.Time       `json:"purged_at,omitzero"`
	Origin          place           `json:"origin,omitzero"`
}

func userRowOf(tenant int64, u access.User, status access.UserStatus) (userRow, error) {
	body, err := encode(userDocument{
		Home:   string(u.Home),
		Groups: convert(u.Groups, linkOf), Roles: convert(u.Roles, linkOf), Grants: convert(u.Grants, grantOf),
		Licences: u.Licences, ApplicationsOff: u.ApplicationsOff, Attributes: u.Attributes,
		Menu: texts(u.Menu), InvitedAt: u.InvitedAt.UTC(), DeletedAt: u.DeletedAt.UTC(), Successor: u.Successor, PurgedAt: u.PurgedAt.UTC(), Origin: place(u.Origin),
	})
	row := userRow{
		TenantID: tenant, ID: u.ID, Email: u.Email, Login: loginOf(u.Email, string(u.Home)), Name: u.Name, Status: string(status), Body: body,
		ExternalID: u.ExternalID, Home: string(u.Home),
	}
	if status == access.UserDeleted {
		row.Login = login{} // somebody else may have the e-mail now
		row.DeletedAt = purgeable(u)
	}
	row.fillKeys(u.Licences)
	if err == nil && u.ExternalID != "" {
		err = access.ValidName("external_id", u.ExternalID)
	}
	if err == nil && len(row.Seats) > maxSeats {
		err = access.Invalid("licences", "the codes of the licences of user %q are longer than %d bytes together", u.ID, maxSeats)
	}
	return row, err
}

// purgeable gives when an account was deleted, as long as it can be purged.
func purgeable(u access.User) int64 {
	if u.Status != access.UserDeleted || u.DeletedAt.IsZero() || !u.PurgedAt.IsZero() {
		return 0
	}
	return u.DeletedAt.UnixMicro()
}

// user gives the account of a row.
func (r userRow) user() (access.User, error) {
	var d userDocument
	if err := decode("user "+r.ID, r.Body, &d); err != nil {
		return access.User{}, err
	}
	return access.User{
		ID: r.ID, Email: r.Email, Home: access.Scope(d.Home), Name: r.Name, Status: access.UserStatus(r.Status),
		Groups: convert(d.Groups, linkDocument.link), Roles: convert(d.Roles, linkDocument.link), Grants: convert(d.Grants, grantDocument.grant),
		Licences: d.Licences, ApplicationsOff: d.ApplicationsOff, Attributes: d.Attributes,
		ExternalID: r.ExternalID, Menu: retyped[access.Section](d.Menu), CreatedAt: moment(r.CreatedAt), InvitedAt: d.InvitedAt, DeletedAt: d.DeletedAt,
		Successor: d.Successor, PurgedAt: d.PurgedAt,
		Origin: access.Origin(d.Origin),
	}, nil
}

// facts gives what decisions need to know of a user besides the rules.
func (r userRow) facts() (access.UserFacts, error) {
	u, err := r.user()
	if err != nil {
		return access.UserFacts{}, err
	}
	f := access.UserFacts{
		ID: u.ID, Status: u.Status, Licences: u.Licences, ApplicationsOff: u.ApplicationsOff, Attributes: u.Attributes,
	}
	return f, validUser(f)
}

func validUser(u access.UserFacts) error {
	switch u.Status {
	case access.UserActive, access.UserInvited, access.UserDisabled, access.UserLocked, access.UserDeleted:
		return access.ValidUserID("user", u.ID)
	}
	return access.Invalid("user "+u.ID, "status %q is none of active, invited, disabled, locked, deleted", u.Status)
}

// readUsers streams a tenant's users in an order: "position" or "id".
func readUsers(ctx context.Context, q gorm.ConnPool, tenant int64, order string, take func(userRow) error) error {
	query := "SELECT " + userColumns + " FROM users WHERE tenant_id = ? ORDER BY " + order
	return each(ctx, q, query, []any{tenant}, func(rows *sql.Rows) error {
		r, err := scanUser(tenant, rows)
		if err != nil {
			return err
		}
		return take(r)
	})
}

const userColumns = "id, position, email, login, name, status, body, external_id, created_at, mail_key, name_key, seats, search, deleted_at, home"

func scanUser(tenant int64, rows *sql.Rows) (userRow, error) {
	r := userRow{TenantID: tenant}
	err := rows.Scan(&r.ID, &r.Position, &r.Email, &r.Login, &r.Name, &r.Status, &r.Body, &r.ExternalID, &r.CreatedAt,
		&r.MailKey, &r.NameKey, &r.Seats, &r.Search, &r.DeletedAt, &r.Home)
	return r, err
}

// attributes keep the difference between whole numbers and others, which
// conditions can see and plain JSON loses.
type attributes map[string]any

func (a attributes) MarshalJSON() ([]byte, error) {
	return json.Marshal(exact(map[string]any(a)))
}

// exact replaces floating-point numbers that are whole by their text with ".0".
func exact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = exact(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = exact(e)
		}
		return out
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e21 {
			return json.RawMessage(strconv.FormatFloat(v, 'f', 1, 64))
		}
	}
	return v
}

func (a *attributes) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return err
	}
	v, err := numbers(m)
	if err == nil {
		*a = v.(map[string]any)
	}
	return err
}

// numbers turns whole numbers into int64, or uint64 where that is needed, and
// others into float64.
func numbers(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if v[k], err = numbers(e); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, e := range v {
			if v[i], err = numbers(e); err != nil {
				return nil, err
			}
		}
	case json.Number:
		return number(v.String())
	}
	return v, nil
}

func number(s string) (any, error) {
	if strings.ContainsAny(s, ".eE") {
		return strconv.ParseFloat(s, 64)
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	return strconv.ParseUint(s, 10, 64)
}
