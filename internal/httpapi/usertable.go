package httpapi

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// A table of accounts has a row for each, and a column for each field, in any
// order. What is exported can be imported again; columns that nobody can write
// are passed over then.

// userColumn is a column of a table of accounts.
type userColumn struct {
	name  string
	write func(*api.User) string
	read  func(*reader, string, *service.ImportRow) error // nil: nobody can write it
}

var userColumns = []userColumn{
	{"id", func(u *api.User) string { return u.ID }, func(_ *reader, cell string, row *service.ImportRow) error { row.ID = cell; return nil }},
	{"email", func(u *api.User) string { return u.Email }, textCell(func(p *service.UserPatch) **string { return &p.Email })},
	{"name", func(u *api.User) string { return u.Name }, textCell(func(p *service.UserPatch) **string { return &p.Name })},
	{"status", func(u *api.User) string { return u.Status }, readStatusCell},
	{"external_id", func(u *api.User) string { return u.ExternalID }, textCell(func(p *service.UserPatch) **string { return &p.ExternalID })},
	{"home", func(u *api.User) string { return u.Home }, func(_ *reader, cell string, row *service.ImportRow) error {
		row.Patch.Home = (*access.Scope)(&cell)
		return nil
	}},
	{"groups", func(u *api.User) string { return groupsCell(u.Groups) }, linksCell("groups", func(p *service.UserPatch) **[]access.Link { return &p.Groups })},
	{"roles", func(u *api.User) string { return rolesCell(u.Roles) }, linksCell("roles", func(p *service.UserPatch) **[]access.Link { return &p.Roles })},
	{"grants", func(u *api.User) string { return jsonCell(u.Grants, len(u.Grants)) }, readGrantsCell},
	{"licences", func(u *api.User) string { return listCell(u.Licences) }, namesCell(func(p *service.UserPatch) **[]string { return &p.Licences })},
	{"applications_off", func(u *api.User) string { return listCell(u.ApplicationsOff) }, namesCell(func(p *service.UserPatch) **[]string { return &p.ApplicationsOff })},
	{"attributes", func(u *api.User) string { return jsonCell(u.Attributes, len(u.Attributes)) }, readAttributesCell},
	{"menu", menuCell, readMenuCell},
	{"created_at", func(u *api.User) string { return momentCell(u.CreatedAt) }, nil},
	{"deleted_at", func(u *api.User) string { return momentCell(u.DeletedAt) }, nil},
	{"successor", func(u *api.User) string { return u.Successor }, nil},
}

func userColumnNames(writable bool) []string {
	var all []string
	for _, c := range userColumns {
		if !writable || c.read != nil {
			all = append(all, c.name)
		}
	}
	return all
}

// emptyMenu is a menu with nothing in it; an empty cell is one with everything.
const emptyMenu = "[]"

func menuCell(u *api.User) string {
	if u.Menu != nil && len(u.Menu) == 0 {
		return emptyMenu
	}
	return listCell(u.Menu)
}

func listCell(names []string) string { return strings.Join(names, ", ") }

func momentCell(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339Nano)
}

// jsonCell is what has no shorter form, as the API writes it.
func jsonCell(v any, n int) string {
	if n == 0 {
		return ""
	}
	text, _ := json.Marshal(v, json.Deterministic(true)) // it came out of JSON
	return string(text)
}

// A link is written as its code, then from when and until when, then where:
// "sales from 2027-01-01T00:00:00Z until 2028-01-01T00:00:00Z@store:eu-1". Links
// are parted by commas, which neither codes nor scopes can hold.

func groupsCell(groups []api.Membership) string {
	all := make([]string, len(groups))
	for i, g := range groups {
		all[i] = linkCell(g.Group, g.Scope, g.Term)
	}
	return listCell(all)
}

func rolesCell(roles []api.RoleLink) string {
	all := make([]string, len(roles))
	for i, r := range roles {
		all[i] = linkCell(r.Role, r.Scope, r.Term)
	}
	return listCell(all)
}

func linkCell(code, scope string, t api.Term) string {
	if !t.From.IsZero() {
		code += " from " + momentCell(t.From)
	}
	if !t.Until.IsZero() {
		code += " until " + momentCell(t.Until)
	}
	if scope != "" {
		code += "@" + scope
	}
	return code
}

func readLink(field, text string) (access.Link, error) {
	term, scope, scoped := strings.Cut(text, "@")
	words := strings.Fields(term)
	l := access.Link{Scope: access.Scope(scope)}
	if len(words)%2 == 0 || scoped && scope == "" {
		return l, access.Invalid(field, "%q is not like sales, sales@store:1 or sales from 2027-01-31T12:00:00Z until 2028-01-31T12:00:00Z", text)
	}
	l.To = words[0]
	for i := 1; i < len(words); i += 2 {
		to := map[string]*time.Time{"from": &l.Validity.From, "until": &l.Validity.Until}[words[i]]
		if to == nil || !to.IsZero() {
			return l, access.Invalid(field, "%q cannot stand behind a code; write from or until and a moment", words[i])
		}
		var err error
		if *to, err = access.ParseMoment(field, words[i+1]); err != nil {
			return l, err
		}
	}
	return l, nil
}

func textCell(of func(*service.UserPatch) **string) func(*reader, string, *service.ImportRow) error {
	return func(_ *reader, cell string, row *service.ImportRow) error {
		*of(&row.Patch) = &cell
		return nil
	}
}

func readStatusCell(_ *reader, cell string, row *service.ImportRow) error {
	row.Status = access.UserStatus(cell)
	switch row.Status {
	case "", access.UserActive, access.UserInvited, access.UserDisabled, access.UserLocked, access.UserDeleted:
		return nil
	}
	return access.Invalid("status", "%q is none of active, invited, disabled, locked, deleted", cell)
}

func linksCell(name string, of func(*service.UserPatch) **[]access.Link) func(*reader, string, *service.ImportRow) error {
	return func(_ *reader, cell string, row *service.ImportRow) error {
		links := []access.Link{}
		for i, text := range parted(cell) {
			l, err := readLink(fmt.Sprintf("%s[%d]", name, i), text)
			if err != nil {
				return err
			}
			links = append(links, l)
		}
		*of(&row.Patch) = &links
		return nil
	}
}

func namesCell(of func(*service.UserPatch) **[]string) func(*reader, string, *service.ImportRow) error {
	return func(_ *reader, cell string, row *service.ImportRow) error {
		*of(&row.Patch) = new(parted(cell))
		return nil
	}
}

// parted gives what stands between commas.
func parted(cell string) []string {
	var all []string
	for text := range strings.SplitSeq(cell, ",") {
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, text)
		}
	}
	return all
}

func readMenuCell(_ *reader, cell string, row *service.ImportRow) error {
	row.Patch.Menu = new([]access.Section)
	if cell == emptyMenu {
		*row.Patch.Menu = []access.Section{}
		return nil
	}
	for _, s := range parted(cell) {
		*row.Patch.Menu = append(*row.Patch.Menu, access.Section(s))
	}
	return nil
}

func readGrantsCell(r *reader, cell string, row *service.ImportRow) error {
	row.Patch.Grants = new([]access.Grant)
	return readCell(r, "grants", cell, func() error { return r.grants("grants", row.Patch.Grants) })
}

func readAttributesCell(r *reader, cell string, row *service.ImportRow) error {
	row.Patch.NoAttributes = true // the cell is the whole of them
	return readCell(r, "attributes", cell, func() error { return r.attributes("attributes", &row.Patch.Attributes) })
}

// readCell reads a cell that holds JSON, by the rules of bodies.
func readCell(r *reader, field, cell string, read func() error) error {
	if cell == "" {
		return nil
	}
	r.body = append(r.body[:0], cell...)
	if err := r.decode(read); err != nil {
		return access.Invalid(field, "%s", strings.Replace(err.Error(), "the body", "the cell", 1))
	}
	return r.wrong
}

// userTable reads a table of accounts.
type userTable struct {
	rows    []service.ImportRow
	wrong   service.ImportMistakes
	columns []*userColumn // of the cells, in their order; nil: nobody can write it
	cells   *reader
}

// row takes in a row; the first one is the head.
func (t *userTable) row(line int, cells []string) error {
	if t.columns == nil {
		return t.head(cells)
	}
	row := service.ImportRow{Line: line}
	sound := true
	for i, cell := range cells {
		if i >= len(t.columns) {
			if cell != "" {
				sound = t.note(line, "", access.Invalid(fmt.Sprintf("column %d", i+1), "stands under no head"))
			}
			continue
		}
		if column := t.columns[i]; column != nil {
			sound = t.note(line, column.name, column.read(t.cells, cell, &row)) && sound
		}
	}
	for i := len(cells); i < len(t.columns); i++ { // programs leave out empty cells at the end
		if column := t.columns[i]; column != nil {
			sound = t.note(line, column.name, column.read(t.cells, "", &row)) && sound
		}
	}
	if sound {
		t.rows = append(t.rows, row)
	}
	return nil
}

// note keeps what is wrong with a cell, and tells whether nothing is.
func (t *userTable) note(line int, field string, err error) bool {
	if err == nil {
		return true
	}
	reason := err.Error()
	var told *access.Error
	if errors.As(err, &told) {
		reason = told.Message
		if told.Field != "" {
			field = told.Field
		}
	}
	t.wrong = append(t.wrong, service.ImportMistake{Line: line, Field: field, Reason: reason})
	return false
}

// head finds the column of each name.
func (t *userTable) head(names []string) error {
	t.columns = make([]*userColumn, len(names))
	seen, writable := map[string]bool{}, 0
	for i, name := range names {
		name = strings.TrimSpace(name)
		column := userColumnNamed(name)
		switch {
		case name == "":
			return access.Invalid("head", "column %d has no name", i+1)
		case column == nil:
			message := fmt.Sprintf("there is no column %q", name)
			if near := access.Nearest(name, userColumnNames(false)); near != "" {
				message += "; did you mean " + near + "?"
			}
			return access.Invalid("head", "%s", message)
		case seen[name]:
			return access.Invalid("head", "column %q is there twice", name)
		}
		seen[name] = true
		if column.read != nil {
			t.columns[i] = column
			writable++
		}
	}
	if writable == 0 || !seen["id"] && !seen["email"] {
		return access.Invalid("head", "there must be a column id or email")
	}
	return nil
}

func userColumnNamed(name string) *userColumn {
	for i := range userColumns {
		if userColumns[i].name == name {
			return &userColumns[i]
		}
	}
	return nil
}
