package service

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

var listUsers = Need{Part: "Users", Action: "show"}

// MayListUsers refuses whoever may see no accounts at all.
func (d *Directory) MayListUsers(ctx context.Context, caller access.Caller, tenant string) error {
	_, err := d.authority.Allow(ctx, caller, tenant, listUsers)
	return err
}

// EachUser visits the accounts of a list that the caller may see, page by page,
// and tells how many they were. A change that comes in between shows in the
// pages behind it.
func (d *Directory) EachUser(ctx context.Context, caller access.Caller, tenant string, q access.UserSearch, take func([]access.User) error) (n int, err error) {
	in, err := d.authority.Allow(ctx, caller, tenant, listUsers)
	if err != nil {
		return 0, err
	}
	return d.eachUser(ctx, tenant, in, q, take)
}

func (d *Directory) eachUser(ctx context.Context, tenant string, in Reach, q access.UserSearch, take func([]access.User) error) (n int, err error) {
	q.Most = MaxPage
	for {
		found, last, err := d.usersWithin(ctx, tenant, in, q)
		if err != nil {
			return n, err
		}
		if err := take(found.Users); err != nil {
			return n, err
		}
		if n += len(found.Users); !found.More {
			return n, nil
		}
		q.After = last
	}
}

// EachMember is EachUser for the members of a group that the caller may see.
func (d *Directory) EachMember(ctx context.Context, caller access.Caller, tenant, code string, q access.UserSearch, take func([]access.User) error) (int, error) {
	if _, _, err := d.Group(ctx, caller, tenant, code); err != nil {
		return 0, err
	}
	q.Group = code
	return d.EachUser(ctx, caller, tenant, q, take)
}

// ImportMode says what an import may do.
type ImportMode string

// The modes of an import.
const (
	ImportCreate ImportMode = "create" // every row makes an account
	ImportUpdate ImportMode = "update" // every row is about an account that is there
	ImportUpsert ImportMode = "upsert" // one or the other
)

// MaxImport is how many accounts an import may be about.
const MaxImport = 10_000

// UserImport is a table of accounts that shall be so.
type UserImport struct {
	Mode   ImportMode
	Rows   []ImportRow
	Groups []access.Link // everybody in the table is to be in these too
	Wrong  ImportMistakes
}

// ImportRow is one account of a table. What is nil in the patch is not said.
type ImportRow struct {
	Line   int
	ID     string            // empty: he is found by his e-mail, or gets a random one
	Status access.UserStatus // empty: as it is, or active
	Patch  UserPatch
}

// Imported tells what an import has done, or would do.
type Imported struct {
	Created, Updated, Unchanged int
	Rows                        []ImportedRow // those that are not unchanged, by line
	Foretold                    *Rehearsed    // what it would do, where it was only rehearsed
}

// ImportedRow is an account that was made, or changed in some fields.
type ImportedRow struct {
	Line    int
	User    access.User
	Created bool
	Random  bool     // his id was made up
	Fields  []string // that differ
}

// ImportMistake is what is wrong in a table.
type ImportMistake struct {
	Line   int    // 0: the table as a whole
	Field  string // the column and what is in it, for instance groups[1]
	Reason string
}

// ImportMistakes is everything that is wrong in a table, by line: as an error it
// is of kind ErrInvalid, and nothing was imported.
type ImportMistakes []ImportMistake //nolint:errname // a list of what is wrong, which happens to be an error too

// maxMistakes is how many mistakes of a table are told.
const maxMistakes = 100

// Error counts them, and gives the first.
func (ms ImportMistakes) Error() string {
	if len(ms) == 0 {
		return ""
	}
	first := ms[0].Field + ": " + ms[0].Reason
	if ms[0].Line > 0 {
		first = fmt.Sprintf("line %d: %s", ms[0].Line, first)
	}
	return fmt.Sprintf("nothing was imported: %d mistakes, %s", len(ms), strings.TrimPrefix(first, ": "))
}

// Unwrap makes them an error of kind ErrInvalid.
func (ms ImportMistakes) Unwrap() error { return access.ErrInvalid }

// told gives them by line, as many as are told; nil where there are none.
func (ms ImportMistakes) told() error {
	if len(ms) == 0 {
		return nil
	}
	ms = slices.Clone(ms)
	slices.SortStableFunc(ms, func(a, b ImportMistake) int { return cmp.Compare(a.Line, b.Line) })
	if len(ms) > maxMistakes {
		ms = append(ms[:maxMistakes:maxMistakes], ImportMistake{Reason: fmt.Sprintf("%d more mistakes are not listed", len(ms)-maxMistakes)})
	}
	return ms
}

// ImportUsers makes accounts as a table says, as one revision: all of them, or
// none. Whoever imports needs the rights, and keeps to the bounds, of whoever
// does the same by hand. With c.Rehearse it tells what it would do.
func (d *Directory) ImportUsers(ctx context.Context, caller access.Caller, tenant string, table UserImport, c access.Change) (Imported, access.Revision, error) {
	actions := map[ImportMode][]access.Action{ImportCreate: {"insert"}, ImportUpdate: {"update"}, ImportUpsert: {"insert", "update"}}[table.Mode]
	if actions == nil {
		return Imported{}, 0, access.Invalid("mode", "%q is none of create, update, upsert", string(table.Mode))
	}
	if len(table.Rows) > MaxImport {
		return Imported{}, 0, access.Invalid("rows", "are more than %d", MaxImport)
	}
	need, in, err := d.needAll(ctx, caller, tenant, actions)
	if err != nil {
		return Imported{}, 0, err
	}
	seen, err := d.sees(ctx, tenant, in)
	if err != nil {
		return Imported{}, 0, err
	}
	var done Imported
	revision, err := d.change(ctx, caller, tenant, need, c.Making(&done), func(t access.Draft) (err error) {
		run := importing{UserImport: table, caller: caller, draft: t, seen: seen, lines: map[string]int{}}
		done, err = run.all()
		return err
	})
	if done.Foretold, err = foretold(err); done.Foretold != nil {
		revision = done.Foretold.Base
	}
	return done, revision, err
}

// importing is one run of an import over a draft.
type importing struct {
	UserImport
	caller access.Caller
	draft  access.Draft
	seen   func(string) (bool, error)
	lines  map[string]int // by id: where an account is in the table
	done   Imported
}

func (i *importing) all() (Imported, error) {
	for at := range i.Rows {
		row := &i.Rows[at]
		err := i.row(row)
		if err == nil {
			continue
		}
		var told *access.Error
		if !errors.As(err, &told) {
			return i.done, err
		}
		i.wrong(row.Line, told.Field, told.Message)
	}
	full := i.namesExist()
	return i.done, cmp.Or(i.Wrong.told(), full)
}

func (i *importing) wrong(line int, field, reason string) {
	i.Wrong = append(i.Wrong, ImportMistake{Line: line, Field: field, Reason: reason})
}

// row does what one row says. An error in words is a mistake of the row.
func (i *importing) row(row *ImportRow) error {
	was, there, err := i.find(row)
	if err != nil {
		return err
	}
	now := was
	switch {
	case there && i.Mode == ImportCreate:
		return access.Exists(row.foundBy(), row.named())
	case there && was.Status == access.UserDeleted:
		if row.Status == access.UserDeleted {
			i.done.Unchanged++
			return nil
		}
		return &access.Error{Kind: ErrConflict, Field: row.foundBy(), Message: fmt.Sprintf("account %q is deleted; restore it first", was.ID)}
	case there:
		err = i.change(row, &now)
	case i.Mode == ImportUpdate:
		return access.NotFound(row.foundBy(), row.named())
	default:
		now, err = i.create(row)
	}
	if err != nil {
		return err
	}
	return i.put(row, &was, &now, !there)
}

// foundBy names the column that an account is found by.
func (row *ImportRow) foundBy() string {
	if row.ID != "" {
		return "id"
	}
	return "email"
}

func (row *ImportRow) named() string {
	if row.ID == "" && row.Patch.Email != nil {
		return *row.Patch.Email
	}
	return row.ID
}

// find looks for the account of a row. Accounts beyond the caller's reach are
// not his to change, and he is told no more than whoever makes one like them.
func (i *importing) find(row *ImportRow) (access.User, bool, error) {
	var u access.User
	var err error
	switch {
	case row.ID != "":
		u, err = i.draft.User(row.ID)
	case row.Patch.Email == nil || *row.Patch.Email == "":
		return u, false, access.Invalid("email", "is required where there is no id")
	default:
		u, err = i.withEmail(row)
	}
	if errors.Is(err, access.ErrNotFound) {
		return access.User{}, false, nil
	}
	if err != nil {
		return u, false, err
	}
	if line := i.lines[u.ID]; line > 0 {
		return u, false, access.Invalid(row.foundBy(), "the account stands in line %d already", line)
	}
	shown, err := i.seen(access.Name(access.KindUser, u.ID))
	if err == nil && !shown {
		err = access.Exists(row.foundBy(), row.named())
	}
	return u, true, err
}

// withEmail finds an account by its e-mail and, where several stores have one
// with it, by its store.
func (i *importing) withEmail(row *ImportRow) (access.User, error) {
	all, err := i.draft.WithEmail(*row.Patch.Email)
	if err != nil {
		return access.User{}, err
	}
	rules := i.draft.Policy().Accounts
	for _, u := range all {
		if p := row.Patch.Home; p == nil && len(all) == 1 || p != nil && !rules.MayShare(u.Home, *p) {
			return u, nil
		}
	}
	if row.Patch.Home == nil && len(all) > 1 {
		return access.User{}, access.Invalid("email", "several stores have an account with this e-mail; name its home, or its id")
	}
	return access.User{}, access.NotFound("user", *row.Patch.Email)
}

func (i *importing) create(row *ImportRow) (access.User, error) {
	p := row.Patch
	n := NewUser{ID: row.ID, Status: row.Status, Attributes: p.Attributes}
	if row.Status == access.UserInvited { // he gets a mail, as if he was invited by hand
		n.Status, n.Invite = "", true
	}
	set(&n.Email, p.Email)
	set(&n.Name, p.Name)
	set(&n.ExternalID, p.ExternalID)
	set(&n.Home, p.Home)
	set(&n.Groups, p.Groups)
	set(&n.Roles, p.Roles)
	set(&n.Grants, p.Grants)
	set(&n.Licences, p.Licences)
	set(&n.ApplicationsOff, p.ApplicationsOff)
	set(&n.Menu, p.Menu)
	n.Groups = joinedAll(n.Groups, i.Groups)
	return n.begin(i.draft)
}

func (i *importing) change(row *ImportRow, u *access.User) error {
	if err := row.Patch.Act(i.draft, u); err != nil {
		return err
	}
	u.Groups = joinedAll(u.Groups, i.Groups)
	is := cmp.Or(u.Status, access.UserActive)
	switch {
	case row.Status == "" || row.Status == is:
		return nil
	case row.Status == access.UserDisabled && is == access.UserActive:
		return deactivating(i.caller)(i.draft, u)
	case row.Status == access.UserActive && is == access.UserDisabled:
		return activating(i.draft, u)
	}
	return access.Invalid("status", "an import makes active of disabled and disabled of active, not %q of %q", string(row.Status), string(is))
}

// joinedAll puts links behind others that are not there yet in the same scope.
func joinedAll(links, more []access.Link) []access.Link {
	all := slices.Clone(links)
	for _, l := range more {
		if !slices.ContainsFunc(all, func(x access.Link) bool { return x.To == l.To && same(x.Scope, l.Scope) }) {
			all = append(all, l)
		}
	}
	return all
}

func (i *importing) put(row *ImportRow, was, now *access.User, created bool) error {
	fields := differences(was, now)
	if !created && len(fields) == 0 {
		i.lines[now.ID] = row.Line
		i.done.Unchanged++
		return nil
	}
	if err := validByItself(i.draft, now); err != nil {
		return err
	}
	i.lines[now.ID] = row.Line
	i.draft.PutUser(*now)
	if created {
		i.done.Created++
	} else {
		i.done.Updated++
	}
	i.done.Rows = append(i.done.Rows, ImportedRow{Line: row.Line, User: *now, Created: created, Random: created && row.ID == "", Fields: fields})
	return nil
}

// differences names the fields in which an account differs, and leaves the
// others as they were: where a link was written is no difference.
func differences(was, now *access.User) (fields []string) {
	compare := func(field string, equal bool, keep func()) {
		if equal {
			keep()
		} else {
			fields = append(fields, field)
		}
	}
	nothing := func() {}
	compare("email", was.Email == now.Email, nothing)
	compare("name", was.Name == now.Name, nothing)
	compare("status", cmp.Or(was.Status, access.UserActive) == cmp.Or(now.Status, access.UserActive), func() { now.Status = was.Status })
	compare("external_id", was.ExternalID == now.ExternalID, nothing)
	compare("home", was.Home == now.Home, nothing)
	compare("groups", slices.EqualFunc(was.Groups, now.Groups, sameLink), func() { now.Groups = was.Groups })
	compare("roles", slices.EqualFunc(was.Roles, now.Roles, sameLink), func() { now.Roles = was.Roles })
	compare("grants", slices.EqualFunc(was.Grants, now.Grants, sameGrant), func() { now.Grants = was.Grants })
	compare("licences", slices.Equal(was.Licences, now.Licences), func() { now.Licences = was.Licences })
	compare("applications_off", slices.Equal(was.ApplicationsOff, now.ApplicationsOff), func() { now.ApplicationsOff = was.ApplicationsOff })
	compare("attributes", sameAttributes(was.Attributes, now.Attributes), func() { now.Attributes = was.Attributes })
	compare("menu", slices.Equal(was.Menu, now.Menu) && (was.Menu == nil) == (now.Menu == nil), nothing)
	return fields
}

func sameLink(a, b access.Link) bool {
	return a.To == b.To && same(a.Scope, b.Scope) && sameTerm(a.Validity, b.Validity)
}

func sameTerm(a, b access.Validity) bool { return a.From.Equal(b.From) && a.Until.Equal(b.Until) }

func sameGrant(a, b access.Grant) bool {
	return a.Section == b.Section && a.Rights == b.Rights && slices.Equal(a.Actions, b.Actions) && same(a.Scope, b.Scope) &&
		cmp.Or(a.Effect, access.Allow) == cmp.Or(b.Effect, access.Allow) && a.Condition == b.Condition && sameTerm(a.Validity, b.Validity)
}

// sameAttributes compares them as JSON, in which tables hold them.
func sameAttributes(a, b map[string]any) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	return errLeft == nil && errRight == nil && string(left) == string(right)
}

// importedFrom marks the place of a row where otherwise files stand.
const importedFrom = "import/"

// namesExist looks for names that stand for nothing in all rows at once. Its error
// is that of a licence with fewer seats than the table alone needs.
func (i *importing) namesExist() (full error) {
	q := outline(i.draft.Policy())
	for _, row := range i.done.Rows {
		u, at := row.User, func(field string) access.Origin { return access.Origin{File: importedFrom + field, Line: row.Line} }
		u.Groups, u.Roles, u.Grants = slices.Clone(u.Groups), slices.Clone(u.Roles), slices.Clone(u.Grants)
		for n := range u.Groups {
			u.Groups[n].Origin = at(fmt.Sprintf("groups[%d]", n))
		}
		for n := range u.Roles {
			u.Roles[n].Origin = at(fmt.Sprintf("roles[%d]", n))
		}
		for n := range u.Grants {
			u.Grants[n].Origin = at(fmt.Sprintf("grants[%d]", n))
		}
		u.Origin = at("")
		q.Users = append(q.Users, u)
	}
	for _, p := range q.Check().Errors() {
		field, ours := strings.CutPrefix(p.Origin.File, importedFrom)
		if !ours && p.Code != "seats-exceeded" {
			continue // it was there before
		}
		if !ours {
			full = &access.Error{Kind: access.ErrExists, Field: "licences", Message: p.Message}
			continue
		}
		if p.Hint != "" {
			p.Message += " (" + p.Hint + ")"
		}
		i.wrong(p.Origin.Line, cmp.Or(field, fieldsOf[p.Code]), p.Message)
	}
	return full
}

// fieldsOf names the columns of what has no place of its own.
var fieldsOf = map[string]string{"application-unknown": "applications_off", "licence-unknown": "licences", "groups-too-many": "groups"}
