package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Then asks about users as they were at a revision. Whether the history is what
// was written is for LoadAt to say.
type Then struct {
	store *Store
	at    access.Revision
}

// Then gives who is asked about users as they were at a revision.
func (s *Store) Then(at access.Revision) *Then { return &Then{store: s, at: at} }

// Subjects gives what Store.Subjects gave at the revision.
func (t *Then) Subjects(ctx context.Context, tenant string, ids []string) ([]access.SubjectFacts, error) {
	var found []access.SubjectFacts
	err := t.store.snapshot(ctx, tenant, func(v view) error {
		all, err := v.usersAt(t.at, ids)
		for i := 0; i < len(ids) && err == nil; i++ {
			var f access.SubjectFacts
			f, err = all[ids[i]].facts(ids[i], t.at)
			found = append(found, f)
		}
		return err
	})
	return found, fault("read subjects as they were", err)
}

// Users gives what Store.Users gave at the revision.
func (t *Then) Users(ctx context.Context, tenant, after string, most int) ([]access.SubjectFacts, error) {
	var found []access.SubjectFacts
	err := t.store.snapshot(ctx, tenant, func(v view) error {
		return v.eachUserAt(t.at, after, func(u *userAt) (bool, error) {
			f, err := u.facts(u.row.ID, t.at)
			found = append(found, f)
			return len(found) < most, err
		})
	})
	return found, fault("list users as they were", err)
}

// userAt is a user at a revision.
type userAt struct {
	row   userRow
	known bool
	rules []ruleRow // his own
}

// facts gives what decisions read of the user.
func (u *userAt) facts(id string, at access.Revision) (access.SubjectFacts, error) {
	f := access.SubjectFacts{UserFacts: access.UserFacts{ID: id}, Revision: at}
	if u == nil || !u.known {
		return f, nil
	}
	var err error
	if f.UserFacts, err = u.row.facts(); err != nil {
		return f, err
	}
	f.Known = true
	j := judge{ours: true}
	for _, row := range u.rules {
		rule, err := j.judged(row)
		if err != nil {
			return f, err
		}
		f.Rules = append(f.Rules, rule)
	}
	slices.SortFunc(f.Rules, byPlace)
	return f, nil
}

// usersAtOnce is how many users one statement asks for.
const usersAtOnce = 25

// usersAt looks users up as they were at a revision: as they are, but for what
// was changed since.
func (v view) usersAt(at access.Revision, ids []string) (map[string]*userAt, error) {
	found := make(map[string]*userAt, len(ids))
	for some := range slices.Chunk(ids, usersAtOnce) {
		l := lookup{view: v, at: at, ids: some, found: found, rules: map[string]map[string]ruleRow{}}
		for _, id := range some {
			found[id], l.rules[id] = &userAt{}, map[string]ruleRow{}
		}
		if err := inTurn(l.usersNow, l.rulesNow, l.usersThen, l.rulesThen); err != nil {
			return nil, err
		}
		for id, rules := range l.rules {
			found[id].rules = slices.Collect(maps.Values(rules))
		}
	}
	return found, nil
}

// lookup asks for some users.
type lookup struct {
	view
	at    access.Revision
	ids   []string
	found map[string]*userAt
	rules map[string]map[string]ruleRow // by id and key
}

// args are those of a query: the tenant's id, and a text for each user.
func (l *lookup) args(text func(id string) string) []any {
	args := []any{l.tenant.ID}
	for _, id := range l.ids {
		args = append(args, text(id))
	}
	return args
}

func itself(id string) string { return id }

func (l *lookup) usersNow() error {
	query := "SELECT " + userColumns + " FROM users WHERE tenant_id = ? AND id IN (" + marks(len(l.ids)) + ")"
	return each(l.ctx, l.tx, query, l.args(itself), func(rows *sql.Rows) error {
		row, err := scanUser(l.tenant.ID, rows)
		if u := l.found[row.ID]; u != nil {
			u.row, u.known = row, true
		}
		return err
	})
}

func (l *lookup) rulesNow() error {
	where := "ptype IN ('g', 'p') AND v0 IN (" + marks(len(l.ids)) + ")"
	name := func(id string) string { return access.Name(access.KindUser, id) }
	return readRulesWhere(l.view, where, func(row ruleRow) error {
		l.put(row)
		return nil
	}, l.args(name)[1:]...)
}

// put keeps a rule of one of the users.
func (l *lookup) put(row ruleRow) {
	if id, ok := (access.Rule{Values: []string{row.V0}}).User(); ok && l.rules[id] != nil {
		l.rules[id][row.key()] = row
	}
}

func (l *lookup) usersThen() error {
	where := "kind = '" + kindUser + "' AND name IN (" + marks(len(l.ids)) + ")"
	return l.history(where, l.args(itself), func(id, image, _ string) (err error) {
		u := l.found[id]
		switch {
		case u == nil: // not byte by byte the one asked for
		case image == "":
			*u = userAt{}
		default:
			u.known = true
			u.row, err = userThen(l.tenant.ID, id, image)
		}
		return err
	})
}

// rulesThen: what rules of users are called begins with their kind and holder.
func (l *lookup) rulesThen() error {
	where, args := "", []any{l.tenant.ID}
	for _, id := range l.ids {
		for _, kind := range []string{"g", "p"} {
			from := kind + ", " + access.Name(access.KindUser, id) + ","
			where += " OR name >= ? AND name < ?"
			args = append(args, from+" ", from+"!")
		}
	}
	where = "kind = '" + kindRule + "' AND (" + strings.TrimPrefix(where, " OR ") + ")"
	return l.history(where, args, func(_, before, after string) error {
		p := past{view: l.view}
		for _, image := range []string{after, before} {
			if image == "" {
				continue
			}
			row, err := p.ruleThen(image)
			if err != nil {
				return err
			}
			if id, ok := (access.Rule{Values: []string{row.V0}}).User(); ok && l.rules[id] != nil {
				delete(l.rules[id], row.key())
				if image == before {
					l.rules[id][row.key()] = row
				}
			}
		}
		return nil
	})
}

// history goes back through what was changed after the revision, newest change
// first: what is taken last is how it was.
func (l *lookup) history(where string, args []any, take func(name, before, after string) error) error {
	query := "SELECT name, old_value, new_value FROM revision_change WHERE tenant_id = ? AND " + where +
		" AND revision > ? ORDER BY revision DESC, n DESC"
	return each(l.ctx, l.tx, query, append(args, l.at), func(rows *sql.Rows) error {
		var name, before, after string
		if err := rows.Scan(&name, &before, &after); err != nil {
			return err
		}
		return take(name, before, after)
	})
}

// pageAt is how many users are looked up together when all are gone through.
const pageAt = 500

// eachUserAt goes through the users as they were at a revision, in the order of
// the bytes of their ids, those behind one id, as long as more are wanted.
func (v view) eachUserAt(at access.Revision, after string, visit func(*userAt) (more bool, err error)) error {
	for {
		ids, err := v.idsAt(at, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		found, err := v.usersAt(at, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if u := found[id]; u.known {
				if more, err := visit(u); err != nil || !more {
					return err
				}
			}
		}
		after = ids[len(ids)-1]
	}
}

// idsAt names the next users that are there, or were changed since.
func (v view) idsAt(at access.Revision, after string) ([]string, error) {
	ids := map[string]bool{}
	take := func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids[id] = true
		return err
	}
	query := "SELECT id FROM users WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?"
	if err := each(v.ctx, v.tx, query, []any{v.tenant.ID, after, pageAt}, take); err != nil {
		return nil, fmt.Errorf("list ids: %w", err)
	}
	query = "SELECT DISTINCT name FROM revision_change WHERE tenant_id = ? AND kind = '" + kindUser + "' AND name > ? AND revision > ? ORDER BY name LIMIT ?"
	if err := each(v.ctx, v.tx, query, []any{v.tenant.ID, after, at, pageAt}, take); err != nil {
		return nil, fmt.Errorf("list ids of the history: %w", err)
	}
	all := slices.Sorted(maps.Keys(ids))
	return all[:min(len(all), pageAt)], nil
}
