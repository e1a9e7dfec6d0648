package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Subjects gives what decisions read of users, in the order of their ids and
// all from one state of the tenant. A user who is not there is not Known; his
// Revision and Changed say how long that holds.
func (s *Store) Subjects(ctx context.Context, tenant string, ids []string) ([]access.SubjectFacts, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	r := s.subjects(ctx, tenant)
	if len(ids) > r.most { // one statement sees one state, several need a transaction
		err := s.snapshot(ctx, tenant, func(v view) error { return r.read(v.tx, ids) })
		return r.found, fault("read subjects", err)
	}
	conns, err := s.reader.DB()
	if err == nil {
		err = r.read(conns, ids)
	}
	if err != nil {
		return nil, fault("read subjects", err)
	}
	return r.found, nil
}

// Users gives users in the byte order of their ids, those behind one id and at
// most so many, as Subjects does. After the last there is none.
func (s *Store) Users(ctx context.Context, tenant, after string, most int) ([]access.SubjectFacts, error) {
	r := s.subjects(ctx, tenant)
	err := s.snapshot(ctx, tenant, func(v view) error {
		var ids []string
		query := "SELECT id FROM users WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?"
		err := each(ctx, v.tx, query, []any{v.tenant.ID, after, most}, func(rows *sql.Rows) error {
			ids = append(ids, "")
			return rows.Scan(&ids[len(ids)-1])
		})
		if err != nil {
			return err
		}
		return r.read(v.tx, ids)
	})
	if err != nil {
		return nil, fault("list users", err)
	}
	return r.found, nil
}

// subjectReader gathers users.
type subjectReader struct {
	judge
	ctx    context.Context
	tenant string
	most   int // users whom a statement may ask for
	byLine string
	found  []access.SubjectFacts

	at      map[string][]int // places in found, by id
	stripes map[access.Stripe]access.Revision
	head    access.Revision // 0: the tenant has not been seen
}

func (s *Store) subjects(ctx context.Context, tenant string) *subjectReader {
	return &subjectReader{judge: judge{ours: true}, ctx: ctx, tenant: tenant, most: s.chunk / 4, byLine: s.byLine}
}

// subjectQuery reads everything about some users at once: one way to the server
// and back is most of what it costs. Each part finds its rows by an index.
const subjectQuery = `
	SELECT 0 AS part, t.revision AS n, 0 AS valid_from, 0 AS valid_until, 0 AS pending, t.code AS name, '' AS kind,
		'' AS v1, '' AS v2, '' AS v3, '' AS v4, '' AS v5, '' AS body FROM tenant t WHERE t.code = ?
	UNION ALL
	SELECT 1, s.revision, s.stripe, 0, 0, '', '', '', '', '', '', '', ''
		FROM tenant t JOIN subject_stripe s ON s.tenant_id = t.id WHERE t.code = ? AND s.stripe IN (?)
	UNION ALL
	SELECT 2, 0, 0, 0, 0, u.id, u.status, '', '', '', '', '', u.body
		FROM tenant t JOIN users u ON u.tenant_id = t.id WHERE t.code = ? AND u.id IN (?)
	UNION ALL
	SELECT 3, r.id, r.valid_from, r.valid_until, r.pending, r.v0, r.ptype, r.v1, r.v2, r.v3, r.v4, r.v5, r.origin
		FROM tenant t JOIN casbin_rule r {{byLine}} ON r.tenant_id = t.id WHERE t.code = ? AND r.ptype IN ('g', 'p') AND r.v0 IN (?)`

// The parts of its answer.
const (
	partTenant = iota
	partStripe
	partUser
	partRule
)

func (r *subjectReader) read(q gorm.ConnPool, ids []string) error {
	for chunk := range slices.Chunk(ids, r.most) {
		if err := r.chunk(q, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (r *subjectReader) chunk(q gorm.ConnPool, ids []string) error {
	r.at, r.stripes, r.head = map[string][]int{}, map[access.Stripe]access.Revision{}, 0
	first := len(r.found)
	query, args := r.question(ids)
	for i, id := range ids {
		r.found = append(r.found, access.SubjectFacts{UserFacts: access.UserFacts{ID: id}})
		r.at[id] = append(r.at[id], first+i)
	}
	if err := each(r.ctx, q, query, args, r.row); err != nil {
		return err
	}
	if r.head == 0 {
		return access.NotFound("tenant", r.tenant)
	}
	for i := first; i < len(r.found); i++ {
		f := &r.found[i]
		f.Revision, f.Changed = r.head, r.stripes[access.StripeOf(f.ID)]
		slices.SortFunc(f.Rules, byPlace)
		if !f.Known {
			f.Rules = nil // they wait for him
		}
	}
	return nil
}

// question fills the query in for some users.
func (r *subjectReader) question(ids []string) (string, []any) {
	list := "IN (" + strings.TrimSuffix(strings.Repeat("?, ", len(ids)), ", ") + ")"
	stripes, users, names := []any{r.tenant, r.tenant}, []any{r.tenant}, []any{r.tenant}
	for _, id := range ids {
		stripes = append(stripes, access.StripeOf(id))
		users = append(users, id)
		names = append(names, access.Name(access.KindUser, id))
	}
	return strings.NewReplacer("IN (?)", list, "{{byLine}}", r.byLine).Replace(subjectQuery), slices.Concat(stripes, users, names)
}

func (r *subjectReader) row(rows *sql.Rows) error {
	var part int
	var name, body string
	var l ruleRow
	err := rows.Scan(&part, &l.ID, &l.ValidFrom, &l.ValidUntil, &l.Pending, &name, &l.Ptype, &l.V1, &l.V2, &l.V3, &l.V4, &l.V5, &body)
	if err != nil {
		return err
	}
	switch part {
	case partTenant:
		if name == r.tenant { // byte by byte, whatever the database takes for equal
			r.head = access.Revision(l.ID) //nolint:gosec // it was written as one
		}
	case partStripe:
		r.stripes[access.Stripe(l.ValidFrom)] = access.Revision(l.ID) //nolint:gosec // as above
	case partUser:
		return r.user(userRow{ID: name, Status: l.Ptype, Body: body})
	case partRule:
		l.V0, l.Origin = name, body
		return r.rule(l)
	}
	return nil
}

func (r *subjectReader) user(row userRow) error {
	asked := r.at[row.ID]
	if asked == nil {
		return nil // not byte by byte the one asked for
	}
	facts, err := row.facts()
	for _, i := range asked {
		r.found[i].Known, r.found[i].UserFacts = true, facts
	}
	return err
}

func (r *subjectReader) rule(row ruleRow) error {
	id, _ := access.Rule{Values: []string{row.V0}}.User()
	asked := r.at[id]
	if asked == nil {
		return nil
	}
	rule, err := r.judged(row)
	for _, i := range asked {
		r.found[i].Rules = append(r.found[i].Rules, rule)
	}
	return err
}
