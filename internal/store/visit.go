package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// EachUser visits every account in the order of ids.
func (r *reading) EachUser(visit func(access.User) error) error {
	return r.eachUser("id", visit)
}

func (r *reading) eachUser(order string, visit func(access.User) error) error {
	return readUsers(r.ctx, r.tx, r.tenant.ID, order, func(row userRow) error {
		u, err := row.user()
		if err != nil {
			return err
		}
		return visit(u)
	})
}

// EachUser visits every account as the edit has left it.
func (d *draft) EachUser(visit func(access.User) error) error {
	return d.eachUser("id", visit)
}

// eachUser visits new accounts last, in the order in which they were put.
func (d *draft) eachUser(order string, visit func(access.User) error) error {
	left := map[string]access.User{}
	for _, t := range d.puts {
		left[t.user.ID] = t.user
	}
	err := d.reading.eachUser(order, func(u access.User) error {
		if put, ok := left[u.ID]; ok {
			u = put
			delete(left, put.ID)
		}
		return visit(u)
	})
	for _, t := range d.puts {
		if u, ok := left[t.user.ID]; ok && err == nil {
			err = visit(u)
		}
	}
	return err
}

// CountSeats counts the accounts that hold a seat, by feature. Accounts that hold
// the same licences come as one row.
func (r *reading) CountSeats() (map[string]int, error) {
	held := map[string]int{}
	query := "SELECT seats, COUNT(*) FROM users WHERE tenant_id = ? AND seats > '' AND status <> ? GROUP BY seats"
	err := each(r.ctx, r.tx, query, []any{r.tenant.ID, string(access.UserDeleted)}, func(rows *sql.Rows) error {
		var seats string
		var n int
		if err := rows.Scan(&seats, &n); err != nil {
			return err
		}
		features := strings.Split(strings.Trim(seats, ","), ",")
		slices.Sort(features)
		for _, f := range slices.Compact(features) {
			held[f] += n
		}
		return nil
	})
	return held, err
}

// CountSeats counts as the edit has left the accounts.
func (d *draft) CountSeats() (map[string]int, error) {
	held, err := d.reading.CountSeats()
	if err == nil {
		err = d.readTouched()
	}
	for _, t := range d.puts {
		if err == nil && t.old {
			var was access.User
			was, err = t.row.user()
			addSeats(held, &was, -1)
		}
		addSeats(held, &t.user, 1)
	}
	return held, err
}

func addSeats(held map[string]int, u *access.User, n int) {
	if u.Status == access.UserDeleted {
		return
	}
	features := slices.Clone(u.Licences)
	slices.Sort(features)
	for _, f := range slices.Compact(features) {
		held[f] += n
	}
}

// Account gives one account without reading anything else of its tenant.
func (s *Store) Account(ctx context.Context, tenant, id string) (access.User, error) {
	var u access.User
	err := s.snapshot(ctx, tenant, func(v view) (err error) {
		u, err = (&reading{view: v}).User(id)
		return err
	})
	return u, fault("read user "+id, err)
}
