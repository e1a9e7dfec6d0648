package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ViewAt hands a reading of a tenant as it was at a revision to a function. What
// lists all users goes through all of them, one page after the other.
func (s *Store) ViewAt(ctx context.Context, tenant string, at access.Revision, read func(access.Reading) error) error {
	err := s.snapshot(ctx, tenant, func(v view) error {
		r, err := v.readingAt(at)
		if err != nil {
			return err
		}
		return read(r)
	})
	return fault(fmt.Sprintf("read tenant %s as of revision %d", tenant, at), err)
}

// pastReading is a reading whose users are looked up in the history too.
type pastReading struct{ *reading }

func (v view) readingAt(at access.Revision) (*pastReading, error) {
	p, err := v.past(at, false)
	if err != nil {
		return nil, err
	}
	r := &reading{view: p.view, rows: map[string][]documentRow{}}
	for _, t := range documentTables {
		err := p.eachDocument(t.name, func(row documentRow) error {
			r.rows[t.name] = append(r.rows[t.name], row)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if r.plain, err = p.plainRules(); err != nil {
		return nil, err
	}
	r.policy, err = r.decode()
	return &pastReading{r}, err
}

// User gives an account by its id.
func (r *pastReading) User(id string) (access.User, error) {
	found, err := r.usersAt(r.tenant.Revision, []string{id})
	if err != nil {
		return access.User{}, err
	}
	if u := found[id]; u.known {
		return u.row.user()
	}
	return access.User{}, access.NotFound("user", id)
}

// WithEmail gives the accounts that had this e-mail and were not deleted.
func (r *pastReading) WithEmail(email string) ([]access.User, error) {
	var found []access.User
	key := access.FoldCase(email)
	err := r.each(func(u *userAt) error {
		if key == "" || u.row.MailKey != key || u.row.Status == string(access.UserDeleted) {
			return nil
		}
		is, err := u.row.user()
		found = append(found, is)
		return err
	})
	return found, err
}

// each goes through all users.
func (r *pastReading) each(visit func(*userAt) error) error {
	return r.eachUserAt(r.tenant.Revision, "", func(u *userAt) (bool, error) {
		err := visit(u)
		return err == nil, err
	})
}

// EachUser visits every account in the order of ids.
func (r *pastReading) EachUser(visit func(access.User) error) error {
	return r.each(func(u *userAt) error {
		user, err := u.row.user()
		if err != nil {
			return err
		}
		return visit(user)
	})
}

// holds tells which of some names a user was linked to himself.
func (u *userAt) holds(names map[string]bool) map[string]bool {
	held := map[string]bool{}
	for _, r := range u.rules {
		if r.Ptype == "g" && names[r.V1] {
			held[r.V1] = true
		}
	}
	return held
}

// Holders lists users who were linked to a group or role themselves.
func (r *pastReading) Holders(kind access.Kind, code, after string, most int) ([]string, error) {
	var ids []string
	names := map[string]bool{access.Name(kind, code): true}
	err := r.eachUserAt(r.tenant.Revision, after, func(u *userAt) (bool, error) {
		if len(ids) < most && len(u.holds(names)) > 0 {
			ids = append(ids, u.row.ID)
		}
		return len(ids) < most, nil
	})
	return ids, err
}

// CountHolders counts them, by code.
func (r *pastReading) CountHolders(kind access.Kind, codes []string) (map[string]int, error) {
	names, counts := map[string]bool{}, map[string]int{}
	for _, code := range codes {
		names[access.Name(kind, code)] = true
	}
	err := r.each(func(u *userAt) error {
		for name := range u.holds(names) {
			_, code, _ := access.ParseName(name)
			counts[code]++
		}
		return nil
	})
	return counts, err
}

// CountSeats counts the accounts that held a seat, by feature.
func (r *pastReading) CountSeats() (map[string]int, error) {
	seats := map[string]int{}
	err := r.EachUser(func(u access.User) error {
		addSeats(seats, &u, 1)
		return nil
	})
	return seats, err
}

// FindUsersAt gives one page of a list of accounts as they were at a revision.
// It goes through all of them, and keeps no more than the page.
func (s *Store) FindUsersAt(ctx context.Context, tenant string, at access.Revision, q access.UserSearch) (access.FoundUsers, error) {
	found := access.FoundUsers{Revision: at}
	q.Sort = cmp.Or(q.Sort, access.SortCreated)
	if _, known := sorts[q.Sort]; !known {
		return found, access.Invalid("sort", "%q is none of created_at, name, email, id", string(q.Sort))
	}
	if q.Manager != nil || q.Online != nil || q.Presence != "" {
		return found, access.Invalid("as_of", "is not for a list of those who manage or are online, nor by presence, which are known of now only")
	}
	err := s.snapshot(ctx, tenant, func(v view) error {
		p, err := v.past(at, false)
		if err != nil {
			return err
		}
		l := pastList{userList: userList{view: v, q: q}, found: &found}
		if err := l.prepare(p); err != nil {
			return err
		}
		err = v.eachUserAt(at, "", func(u *userAt) (bool, error) {
			l.take(u)
			return true, nil
		})
		return errors.Join(err, l.fill())
	})
	return found, fault("list users as they were", err)
}

// pastList is a list of accounts in the making, sorted.
type pastList struct {
	userList
	bosses map[string]bool // names that make a superuser; nil where nobody asks
	rows   []userRow
	found  *access.FoundUsers
}

// prepare finds the names by which somebody was a superuser then.
func (l *pastList) prepare(p *past) error {
	if l.q.Superuser == nil {
		return nil
	}
	var links []ruleRow
	err := p.eachPolicyRule(func(r ruleRow) error {
		if r.Ptype == "g" && r.V2 == string(access.Everywhere) && !r.Pending {
			links = append(links, r)
		}
		return nil
	})
	l.bosses = map[string]bool{access.SuperuserRole: true}
	for size := 0; size < len(l.bosses); {
		size = len(l.bosses)
		for _, r := range links {
			if l.bosses[r.V1] {
				l.bosses[r.V0] = true
			}
		}
	}
	return err
}

// take puts an account in its place, if it passes and is on the page.
func (l *pastList) take(u *userAt) {
	if !l.passes(u) {
		return
	}
	l.found.Total++
	if l.q.After != (access.UserPlace{}) && l.compare(l.place(u.row), l.q.After) <= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(l.rows, u.row, func(a, b userRow) int { return l.compare(l.place(a), l.place(b)) })
	if at < l.q.Most {
		l.rows = slices.Insert(l.rows, at, u.row)
	}
	if at == l.q.Most || len(l.rows) > l.q.Most {
		l.rows, l.found.More = l.rows[:l.q.Most], true
	}
}

// fill shows the page.
func (l *pastList) fill() error {
	for _, row := range l.rows {
		u, err := row.user()
		if err != nil {
			return err
		}
		l.found.Users, l.found.Places = append(l.found.Users, u), append(l.found.Places, l.place(row))
	}
	return nil
}

// compare says which of two places comes first in the list.
func (l *pastList) compare(a, b access.UserPlace) int {
	by := strings.Compare(a.Key, b.Key)
	if l.q.Sort == access.SortCreated { // numbers as text: a longer one is larger
		by = cmp.Or(cmp.Compare(len(a.Key), len(b.Key)), by)
	}
	by = cmp.Or(by, strings.Compare(a.ID, b.ID))
	if l.q.Descending {
		return -by
	}
	return by
}

func (l *pastList) passes(u *userAt) bool {
	q, row := l.q, u.row
	status := access.UserStatus(row.Status)
	switch {
	case len(q.Statuses) == 0 && status == access.UserDeleted,
		len(q.Statuses) > 0 && !slices.Contains(q.Statuses, status),
		q.Email != "" && row.MailKey != access.FoldCase(q.Email),
		q.Home != "" && row.Home != string(q.Home),
		q.ExternalID != "" && row.ExternalID != q.ExternalID,
		q.Licence != "" && !strings.Contains(row.Seats, ","+q.Licence+","),
		!q.CreatedFrom.IsZero() && row.CreatedAt < q.CreatedFrom.UnixMicro(),
		!q.CreatedUntil.IsZero() && row.CreatedAt >= q.CreatedUntil.UnixMicro(),
		q.Text != "" && !strings.Contains(row.Search, access.FoldCase(q.Text)):
		return false
	}
	return l.linkedTo(u)
}

func nameSet(groups []string) map[string]bool {
	set := map[string]bool{}
	for _, name := range groupNames(groups) {
		set[name] = true
	}
	return set
}

func (l *pastList) linkedTo(u *userAt) bool {
	for kind, code := range map[access.Kind]string{access.KindGroup: l.q.Group, access.KindRole: l.q.Role} {
		if code != "" && len(u.holds(map[string]bool{access.Name(kind, code): true})) == 0 {
			return false
		}
	}
	if any := nameSet(l.q.AnyGroup); len(any) > 0 && len(u.holds(any)) == 0 {
		return false
	}
	if every := nameSet(l.q.EveryGroup); len(u.holds(every)) < len(every) {
		return false
	}
	return l.q.Superuser == nil || (len(u.holds(l.bosses)) > 0) == *l.q.Superuser
}
