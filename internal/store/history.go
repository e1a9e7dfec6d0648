package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// maxTold is how many changes are told in words at once.
const maxTold = 500_000

// History gives one page of a tenant's history, newest first.
func (s *Store) History(ctx context.Context, tenant string, q access.HistorySearch) (access.FoundVersions, error) {
	var found access.FoundVersions
	err := s.snapshot(ctx, tenant, func(v view) (err error) {
		if found, err = v.versions(q); err != nil || !q.Told {
			return err
		}
		for i := range found.Versions {
			e := &found.Versions[i]
			if e.Operations, err = v.told(e.Number-1, e.Number, object{q.Kind, q.Name}); err != nil {
				return err
			}
		}
		return nil
	})
	return found, fault("list the history", err)
}

// Revision gives one revision with what it changed.
func (s *Store) Revision(ctx context.Context, tenant string, number access.Revision) (access.Version, error) {
	var found access.Version
	err := s.snapshot(ctx, tenant, func(v view) error {
		r, err := v.entry(number)
		if err != nil {
			return err
		}
		found.RevisionEntry = r.entry()
		found.Operations, err = v.told(number-1, number, object{})
		return err
	})
	return found, fault("read a revision", err)
}

// Operations tells what turns the tenant of one revision into that of another,
// which may be the older one; revision 0 is the tenant before there was anything.
func (s *Store) Operations(ctx context.Context, tenant string, from, to access.Revision) ([]access.Operation, error) {
	var all []access.Operation
	err := s.snapshot(ctx, tenant, func(v view) (err error) {
		for _, number := range []access.Revision{from, to} {
			if _, err := v.entry(number); err != nil && number != 0 {
				return err
			}
		}
		all, err = v.told(from, to, object{})
		return err
	})
	return all, fault("compare two revisions", err)
}

func (r revisionRow) entry() access.RevisionEntry {
	return access.RevisionEntry{
		Number: r.Number, Parent: r.Parent, Hash: r.Hash, Author: r.Author, Source: r.Source, Reason: r.Reason, At: moment(r.MadeAt),
	}
}

// versions reads a page of revisions.
func (v view) versions(q access.HistorySearch) (access.FoundVersions, error) {
	var found access.FoundVersions
	where, args := "tenant_id = ?", []any{v.tenant.ID}
	narrow := func(wanted bool, condition string, with ...any) {
		if wanted {
			where, args = where+" AND "+condition, append(args, with...)
		}
	}
	narrow(q.Before != 0, "number < ?", q.Before)
	narrow(q.Author != "", "author = ?", q.Author)
	narrow(q.Source != "", "source = ?", q.Source)
	narrow(!q.From.IsZero(), "made_at >= ?", q.From.UnixMicro())
	narrow(!q.Until.IsZero(), "made_at < ?", q.Until.UnixMicro())
	changed := "number IN (SELECT revision FROM revision_change WHERE tenant_id = ? AND kind = ?"
	narrow(q.Kind != "" && q.Name == "", changed+")", v.tenant.ID, q.Kind)
	narrow(q.Kind != "" && q.Name != "", changed+" AND name = ?)", v.tenant.ID, q.Kind, q.Name)
	query := "SELECT number, parent, hash, author, source, reason, made_at FROM revision WHERE " + where + " ORDER BY number DESC LIMIT ?"
	err := each(v.ctx, v.tx, query, append(args, q.Most+1), func(rows *sql.Rows) error {
		var r revisionRow
		err := rows.Scan(&r.Number, &r.Parent, &r.Hash, &r.Author, &r.Source, &r.Reason, &r.MadeAt)
		if found.More = len(found.Versions) == q.Most; !found.More {
			found.Versions = append(found.Versions, access.Version{RevisionEntry: r.entry()})
		}
		return err
	})
	return found, err
}

// told goes through the changes between two revisions along the chain of hashes,
// and says in words what they come to; of one thing only, where it is named.
func (v view) told(from, to access.Revision, only object) ([]access.Operation, error) {
	c, err := v.between(min(from, to), max(from, to), only)
	if err != nil {
		return nil, err
	}
	if from > to {
		for o, e := range c.edits {
			c.edits[o] = edit[string]{old: e.new, new: e.old}
		}
	}
	return c.operations()
}

// comparison is what became of everything that was changed between two states:
// images, empty where it was not there.
type comparison struct {
	view
	edits map[object]edit[string]
	order []object // as they were first changed
}

// between reads the changes after one revision, up to another.
func (v view) between(after, to access.Revision, only object) (*comparison, error) {
	c := &comparison{view: v, edits: map[object]edit[string]{}}
	if only.name != "" {
		return c, c.of(only, after, to)
	}
	count, err := v.changes(after, to)
	if err != nil {
		return nil, err
	}
	if count > maxTold {
		return nil, access.Invalid("to", "there are %d changes in between, more than %d: take smaller steps", count, maxTold)
	}
	walk := &chainWalk{tenant: v.tenant, now: revisionRow{Number: after}, take: func(r changeRow) error { return c.take(r, only) }}
	walk.tenant.Revision = to
	if after > 0 {
		entry, err := v.entry(after)
		if err != nil {
			return nil, err
		}
		walk.now.Hash = entry.Hash
	}
	query := strings.Replace(chainQuery, "ORDER BY", "AND r.number <= ? ORDER BY", 1)
	if err := each(v.ctx, v.tx, query, []any{v.tenant.ID, after, to}, walk.row); err != nil {
		return nil, err
	}
	return c, walk.finish()
}

// of reads what became of one thing, without going through all that the revisions
// have changed: they may be imports of thousands. Whether the chain of hashes is
// whole is left to those who read all of it.
func (c *comparison) of(only object, after, to access.Revision) error {
	query := `SELECT kind, name, old_value, new_value FROM revision_change ` + strings.Replace(c.byLine, "casbin_rule_line", "revision_change_name", 1) + `
		WHERE tenant_id = ? AND kind = ? AND name = ? AND revision > ? AND revision <= ? ORDER BY revision, n`
	return each(c.ctx, c.tx, query, []any{c.tenant.ID, only.kind, only.name, after, to}, func(rows *sql.Rows) error {
		var r changeRow
		if err := rows.Scan(&r.Kind, &r.Name, &r.OldValue, &r.NewValue); err != nil {
			return err
		}
		return c.take(r, only)
	})
}

func (c *comparison) take(r changeRow, only object) error {
	o := object{r.Kind, r.Name}
	if only.kind != "" && (o.kind != only.kind || only.name != "" && o.name != only.name) {
		return nil
	}
	e, known := c.edits[o]
	if !known {
		e.old = r.OldValue
		c.order = append(c.order, o)
	}
	e.new = r.NewValue
	c.edits[o] = e
	return nil
}

// operations tells the comparison. What the rules made of documents have become
// follows from those; where nothing else has changed, as when a right has ended
// by the clock, they speak for themselves.
func (c *comparison) operations() ([]access.Operation, error) {
	before, err := c.side(func(e edit[string]) string { return e.old })
	if err != nil {
		return nil, err
	}
	after, err := c.side(func(e edit[string]) string { return e.new })
	if err != nil {
		return nil, err
	}
	all := access.Diff(before, after)
	if len(all) == 0 {
		all, err = c.rules()
	}
	if len(all) == 0 && err == nil {
		all, err = c.moved()
	}
	return append(all, c.others()...), err
}

// moved tells which lines got another place under a model of the tenant's own,
// where the order may decide. Where lines came and went too, those are told, and
// not the places that others got for it.
func (c *comparison) moved() ([]access.Operation, error) {
	var d settingsDocument
	if err := decode("settings", c.tenant.Settings, &d); err != nil || d.Model == "" {
		return nil, err
	}
	p := past{view: c.view}
	var lines []string
	for _, o := range c.order {
		e := c.edits[o]
		if o.kind != kindRule || e.old == "" || e.new == "" {
			continue
		}
		was, err := p.ruleThen(e.old)
		if err != nil {
			return nil, err
		}
		is, err := p.ruleThen(e.new)
		if err != nil {
			return nil, err
		}
		if was.ID != is.ID {
			lines = append(lines, o.name)
		}
	}
	if len(lines) == 0 {
		return nil, nil
	}
	return []access.Operation{{Verb: access.Changed, Kind: kindRule, Field: "order", After: strings.Join(lines[:min(len(lines), 10)], "; ")}}, nil
}

// side makes a policy of what has changed alone, as it was on one side.
func (c *comparison) side(of func(edit[string]) string) (*access.Policy, error) {
	r := &reading{view: c.view, rows: map[string][]documentRow{}}
	r.tenant.Settings = "{}"
	var users []access.User
	for _, o := range c.order {
		image := of(c.edits[o])
		if image == "" {
			continue
		}
		if o.kind == kindTenant {
			r.tenant.Settings = image
			continue
		}
		user, err := c.document(r, o, image)
		if err != nil {
			return nil, err
		}
		users = append(users, user...)
	}
	p, err := r.decode()
	if err != nil {
		return nil, err
	}
	p.Users = users
	return p, nil
}

// document puts an image where it belongs, or gives the user that it is of.
func (c *comparison) document(r *reading, o object, image string) ([]access.User, error) {
	switch o.kind {
	case kindUser:
		row, err := userThen(c.tenant.ID, o.name, image)
		if err != nil {
			return nil, err
		}
		u, err := row.user()
		return []access.User{u}, err
	case kindRule:
		return nil, c.plainRule(r, image)
	}
	at := slices.IndexFunc(documentTables, func(t struct{ name, kind string }) bool { return t.kind == o.kind })
	if at < 0 || o.kind == "condition" {
		return nil, nil
	}
	row, err := documentThen(c.tenant.ID, o.name, image)
	r.rows[documentTables[at].name] = append(r.rows[documentTables[at].name], row)
	return nil, err
}

func (c *comparison) plainRule(r *reading, image string) error {
	p := past{view: c.view}
	row, err := p.ruleThen(image)
	if err != nil || !row.Plain {
		return err
	}
	rule, err := row.rule(row.values())
	rule.Place = 0
	r.plain = append(r.plain, rule)
	return err
}

// rules tells what became of the lines that are derived from documents.
func (c *comparison) rules() ([]access.Operation, error) {
	var before, after access.Policy
	p := past{view: c.view}
	for _, o := range c.order {
		e := c.edits[o]
		if o.kind != kindRule || e.old == e.new { // it went, and has come again
			continue
		}
		for image, into := range map[string]*access.Policy{e.old: &before, e.new: &after} {
			if image == "" {
				continue
			}
			row, err := p.ruleThen(image)
			if err != nil {
				return nil, err
			}
			rule, err := row.rule(row.values())
			if err != nil {
				return nil, err
			}
			into.Rules = append(into.Rules, rule)
		}
	}
	return access.Diff(&before, &after), nil
}

// others tells what is no part of a policy: keys, epochs and the like.
func (c *comparison) others() []access.Operation {
	known := []string{kindTenant, kindUser, kindRule}
	for _, t := range documentTables {
		known = append(known, t.kind)
	}
	var all []access.Operation
	for _, o := range c.order {
		e := c.edits[o]
		if slices.Contains(known, o.kind) || e.old == e.new {
			continue
		}
		op := access.Operation{Verb: access.Changed, Kind: o.kind, Name: o.name, Before: e.old, After: e.new}
		switch {
		case e.old == "":
			op.Verb = access.Added
		case e.new == "":
			op.Verb = access.Removed
		default:
			op.Field = "value"
		}
		all = append(all, op)
	}
	return all
}

// Made names for each rule the revision that made it, or last changed until when
// it holds, as of a revision. A rule that no revision has made gives a zero entry.
func (s *Store) Made(ctx context.Context, tenant string, at access.Revision, rules []access.Rule) ([]access.RevisionEntry, error) {
	all := make([]access.RevisionEntry, len(rules))
	err := s.snapshot(ctx, tenant, func(v view) error {
		for i, rule := range rules {
			number, err := v.madeBy(rule, at)
			if err != nil || number == 0 {
				return err
			}
			r, err := v.entry(number)
			if err != nil {
				return err
			}
			all[i] = r.entry()
		}
		return nil
	})
	return all, fault("find who made a rule", err)
}

// madeBy goes back through what became of a line.
func (v view) madeBy(rule access.Rule, at access.Revision) (access.Revision, error) {
	var made access.Revision
	p := past{view: v}
	query := `SELECT revision, old_value, new_value FROM revision_change
		WHERE tenant_id = ? AND kind = ? AND name = ? AND revision <= ? ORDER BY revision DESC, n DESC`
	err := each(v.ctx, v.tx, query, []any{v.tenant.ID, kindRule, rule.String(), at}, func(rows *sql.Rows) error {
		var number access.Revision
		var before, after string
		if err := rows.Scan(&number, &before, &after); err != nil || made != 0 || after == "" {
			return err
		}
		is, err := p.ruleThen(after)
		if err != nil || !rule.Same(access.Rule{Type: is.Ptype, Values: is.values()}) {
			return err
		}
		if before == "" {
			made = number
			return nil
		}
		was, err := p.ruleThen(before)
		if was.ValidFrom != is.ValidFrom || was.ValidUntil != is.ValidUntil {
			made = number
		}
		return err
	})
	return made, err
}

// Change gives what a revision changed, and nothing else, as it was before and
// after it, and the newest revision.
func (s *Store) Change(ctx context.Context, tenant string, number access.Revision) (before, after *access.Policy, head access.Revision, err error) {
	err = s.snapshot(ctx, tenant, func(v view) error {
		if _, err := v.entry(number); err != nil {
			return err
		}
		c, err := v.between(number-1, number, object{})
		if err != nil {
			return err
		}
		head = v.tenant.Revision
		if before, err = c.side(func(e edit[string]) string { return e.old }); err == nil {
			after, err = c.side(func(e edit[string]) string { return e.new })
		}
		return err
	})
	return before, after, head, fault(fmt.Sprintf("read what revision %d changed", number), err)
}

// UsersSince names the users whom revisions after one have changed, by id.
func (s *Store) UsersSince(ctx context.Context, tenant string, after access.Revision) ([]string, error) {
	var ids []string
	err := s.snapshot(ctx, tenant, func(v view) error {
		query := "SELECT DISTINCT name FROM revision_change WHERE tenant_id = ? AND kind = ? AND revision > ? ORDER BY name"
		return each(ctx, v.tx, query, []any{v.tenant.ID, kindUser, after}, func(rows *sql.Rows) error {
			ids = append(ids, "")
			return rows.Scan(&ids[len(ids)-1])
		})
	})
	return ids, fault("list whom revisions have changed", err)
}
