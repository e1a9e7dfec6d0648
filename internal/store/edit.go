package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Edit changes a tenant by what edit leaves behind in its draft, as one
// revision and in one transaction, and gives the difference. judge is given
// that difference before it is committed and may refuse it; nil judges nothing.
// Both run while the tenant is locked: they must not write to the store by
// another way, nor wait for somebody who does. After a lost race both are run
// again.
//
// Only what was touched is read and written, as long as the edit is about
// groups, roles and users. An edit of the catalogue, the scopes or the settings
// can change what everybody's grants mean, so it goes through the whole tenant.
func (s *Store) Edit(ctx context.Context, tenant string, c access.Change, edit func(access.Draft) error, judge func(access.Delta) error) (access.Delta, error) {
	return s.commit(ctx, c, existing(tenant), func(w *write) error {
		w.judge = judge
		r, err := w.view().reading()
		if err != nil {
			return err
		}
		d := &draft{reading: r, w: w, at: map[string]int{}, mails: map[string][]int{}}
		if err := edit(d); err != nil {
			return err
		}
		return d.write(s)
	})
}

// draft is a reading that can be changed, see access.Draft.
type draft struct {
	*reading
	w     *write
	puts  []touched        // in the order in which they were first put
	at    map[string]int   // where an account is among them, by id
	mails map[string][]int // and by e-mail with case folded; some may have another one by now
}

// touched is an account that the edit makes or changes.
type touched struct {
	user access.User
	row  userRow // as it was
	old  bool    // there was one
}

// Now is the moment of the revision.
func (d *draft) Now() time.Time { return d.w.now }

// PutUser notes an account; the last one with an id counts.
func (d *draft) PutUser(u access.User) {
	i, again := d.at[u.ID]
	if again {
		d.puts[i] = touched{user: u}
	} else {
		i = len(d.puts)
		d.at[u.ID] = i
		d.puts = append(d.puts, touched{user: u})
	}
	if mail := access.FoldCase(u.Email); !slices.Contains(d.mails[mail], i) {
		d.mails[mail] = append(d.mails[mail], i)
	}
}

// put tells whether the edit has put an account.
func (d *draft) put(id string) bool {
	_, ok := d.at[id]
	return ok
}

// User gives an account as the edit has left it.
func (d *draft) User(id string) (access.User, error) {
	if i, ok := d.at[id]; ok {
		return d.puts[i].user, nil
	}
	return d.reading.User(id)
}

// WithEmail gives accounts as the edit has left them.
func (d *draft) WithEmail(email string) ([]access.User, error) {
	stored, err := d.reading.WithEmail(email)
	if err != nil || email == "" {
		return nil, err
	}
	all := slices.DeleteFunc(stored, func(u access.User) bool { return d.put(u.ID) })
	mail := access.FoldCase(email)
	for _, i := range d.mails[mail] {
		if u := d.puts[i].user; u.Status != access.UserDeleted && access.FoldCase(u.Email) == mail {
			all = append(all, u)
		}
	}
	return all, nil
}

// write turns the draft into rows.
func (d *draft) write(s *Store) error {
	if err := d.readTouched(); err != nil {
		return err
	}
	before, err := d.decode()
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(before.Rules, d.policy.Rules) {
		return access.Invalid("rules", "plain lines can only be changed as files")
	}
	if d.wide(before) {
		return d.writeWhole(s)
	}
	return d.writeNarrow(s, before)
}

// writeNarrow goes through the whole tenant after all where there is no other
// way, and forgets what it had begun.
func (d *draft) writeNarrow(s *Store, before *access.Policy) error {
	tenant, changes := d.w.tenant, len(d.w.changes)
	if err := d.w.tx.SavePoint("narrow").Error; err != nil {
		return err
	}
	err := d.writeTouched(s, before)
	if !errors.Is(err, errWhole) {
		return err
	}
	if err := d.w.tx.RollbackTo("narrow").Error; err != nil {
		return err
	}
	d.w.tenant, d.w.changes = tenant, d.w.changes[:changes]
	return d.writeWhole(s)
}

// errWhole asks for the way through the whole tenant.
var errWhole = errors.New("not without the whole tenant")

// wide tells whether the edit can change what the grants of users whom it did
// not touch mean.
func (d *draft) wide(before *access.Policy) bool {
	p := *d.policy
	p.Groups, p.Roles = before.Groups, before.Roles
	return !reflect.DeepEqual(&p, before) || p.Model != ""
}

// readTouched reads the accounts as they were.
func (d *draft) readTouched() error {
	for chunk := range slices.Chunk(d.puts, d.w.chunk) {
		args := []any{d.tenant.ID}
		for _, t := range chunk {
			args = append(args, t.user.ID)
		}
		query := "SELECT " + userColumns + " FROM users WHERE tenant_id = ? AND id IN (" + marks(len(chunk)) + ")"
		err := each(d.ctx, d.tx, query, args, func(rows *sql.Rows) error {
			row, err := scanUser(d.tenant.ID, rows)
			if i, ok := d.at[row.ID]; ok {
				d.puts[i].row, d.puts[i].old = row, true
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeWhole hands over the whole tenant as it shall be. Users keep their order.
func (d *draft) writeWhole(s *Store) error {
	whole := *d.policy
	err := d.eachUser("position", func(u access.User) error {
		whole.Users = append(whole.Users, u)
		return nil
	})
	if err != nil {
		return err
	}
	if err := whole.Check().Err(); err != nil {
		return err
	}
	return s.apply(d.w, &whole)
}

// writeTouched writes the documents of groups and roles, the users that were
// touched, and the rules that are made of them.
func (d *draft) writeTouched(s *Store, before *access.Policy) error {
	had, want := *before, *d.policy
	for _, t := range d.puts {
		want.Users = append(want.Users, t.user)
		if t.old {
			u, err := t.row.user()
			if err != nil {
				return err
			}
			had.Users = append(had.Users, u)
		}
	}
	if err := want.Check().Err(); err != nil {
		return err
	}
	if err := errors.Join(d.keepsHeld(before), d.seats()); err != nil {
		return err
	}
	e := ruleEdit{draft: d, store: s, plain: len(d.plain)}
	if reflect.DeepEqual(had.Groups, want.Groups) && reflect.DeepEqual(had.Roles, want.Roles) {
		had.Groups, had.Roles = nil, nil // their rules stay; users' own do not depend on them
		bare := want
		bare.Groups, bare.Roles = nil, nil
		e.had, e.want = had.Facts(), bare.Facts()
	} else {
		e.had, e.want = had.Facts(), want.Facts()
	}
	if err := e.plan(); err != nil {
		return err
	}
	if err := d.writeDocuments(&want); err != nil {
		return err
	}
	if err := d.writeUsers(&e.want); err != nil {
		return err
	}
	return e.write()
}

// writeDocuments writes groups and roles.
func (d *draft) writeDocuments(want *access.Policy) error {
	bare := *want
	bare.Users, bare.Rules = nil, nil
	f := bare.Facts()
	rows, err := d.w.documents(&bare, &f)
	if err != nil {
		return err
	}
	for _, t := range documentTables {
		if t.name == "conditions" {
			continue
		}
		if err := replace(d.w, t.name, "code", t.kind, d.rows[t.name], rows[t.name]); err != nil {
			return err
		}
	}
	return nil
}

// writeUsers puts new users behind those that are there.
func (d *draft) writeUsers(f *access.Facts) error {
	var last sql.NullInt64
	err := d.tx.QueryRowContext(d.ctx, "SELECT MAX(position) FROM users WHERE tenant_id = ?", d.tenant.ID).Scan(&last)
	if err != nil {
		return err
	}
	var gone []any
	var added []userRow
	for i, t := range d.puts {
		row, err := userRowOf(d.tenant.ID, t.user, f.Users[i].Status)
		if err != nil {
			return err
		}
		row.Position, row.CreatedAt = t.row.Position, t.row.CreatedAt
		if !t.old {
			last.Int64 += step
			row.Position, row.CreatedAt = last.Int64, d.w.now.UnixMicro()
			d.w.tenant.Users++
		}
		if t.old && t.row == row {
			continue
		}
		var before any
		if t.old {
			before = t.row.image()
			gone = append(gone, row.ID)
		}
		if err := d.w.note(kindUser, row.ID, before, row.image()); err != nil {
			return err
		}
		added = append(added, row)
	}
	if err := remove(d.w, "users", "id", gone); err != nil {
		return err
	}
	err = insert(d.w, "users", added)
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return &access.Error{Kind: access.ErrExists, Field: "email", Message: "another account has this e-mail already"}
	}
	return err
}

// keepsHeld refuses to take away a group or role that a user has whom the edit
// did not touch.
func (d *draft) keepsHeld(before *access.Policy) error {
	if !d.lost(before) {
		return nil
	}
	var all []access.User
	err := d.EachUser(func(u access.User) error {
		all = append(all, u)
		return nil
	})
	return errors.Join(err, keepsHeld(d.policy, all))
}

func (d *draft) lost(before *access.Policy) bool {
	there := map[string]bool{}
	for _, g := range d.policy.Groups {
		there[access.Name(access.KindGroup, g.Code)] = true
	}
	for _, r := range d.policy.Roles {
		there[access.Name(access.KindRole, r.Code)] = true
	}
	for _, g := range before.Groups {
		if !there[access.Name(access.KindGroup, g.Code)] {
			return true
		}
	}
	return slices.ContainsFunc(before.Roles, func(r access.Role) bool { return !there[access.Name(access.KindRole, r.Code)] })
}

// seats refuses more holders of a licence than it has seats.
func (d *draft) seats() error {
	limits := map[string]int{}
	for _, l := range d.policy.Licences {
		if l.Seats > 0 {
			limits[l.Feature] = l.Seats
		}
	}
	if !slices.ContainsFunc(d.puts, func(t touched) bool {
		return t.user.Status != access.UserDeleted && slices.ContainsFunc(t.user.Licences, func(f string) bool { return limits[f] > 0 })
	}) {
		return nil
	}
	taken, err := d.CountSeats()
	for feature, limit := range limits {
		if err == nil && taken[feature] > limit {
			err = &access.Error{Kind: access.ErrExists, Field: "licences", Message: fmt.Sprintf("licence %q has %d seats, and %d users would hold one", feature, limit, taken[feature])}
		}
	}
	return err
}
