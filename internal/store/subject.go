package store

import (
	"bytes"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

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
	if err := r.read(s.asking, ids); err != nil {
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
	unpacking
	ctx    context.Context
	tenant string
	most   int    // users whom a statement may ask for
	one    string // the query for a single user
	byLine string
	packed func(columns string) string
	found  []access.SubjectFacts

	at      map[string][]int // places in found, by id
	stripes map[access.Stripe]access.Revision
	head    access.Revision // 0: the tenant has not been seen

	raw  sql.RawBytes // the row that is being read
	into []any
}

func (s *Store) subjects(ctx context.Context, tenant string) *subjectReader {
	r := &subjectReader{
		judge: judge{ours: true}, unpacking: unpacking{kept: map[string]string{}}, ctx: ctx, tenant: tenant,
		most: s.chunk / 4, one: s.askOne, byLine: s.byLine, packed: s.packed,
	}
	r.into = []any{&r.raw}
	return r
}

// The parts of what is asked about users.
const (
	partTenant = "0"
	partUser   = "1"
	partRule   = "2"
)

// subjectQuery reads everything about some users at once: one way to the server
// and back is most of what it costs. Each part finds its rows by an index, and
// gives its columns as one, as packedRule does.
func subjectQuery(users int, byLine string, packed func(columns string) string) string {
	list := "(?" + strings.Repeat(", ?", users-1) + ")"
	return "SELECT " + packed(partTenant+", t.code, t.revision, COALESCE(s.stripe, -1), COALESCE(s.revision, 0)") +
		" FROM tenant t LEFT JOIN subject_stripe s ON s.tenant_id = t.id AND s.stripe IN " + list + " WHERE t.code = ?" +
		" UNION ALL SELECT " + packed(partUser+", u.id, u.status, u.body") +
		" FROM tenant t JOIN users u ON u.tenant_id = t.id WHERE t.code = ? AND u.id IN " + list +
		" UNION ALL SELECT " + packed(partRule+", "+packedColumns) +
		" FROM tenant t JOIN casbin_rule r " + byLine + " ON r.tenant_id = t.id WHERE t.code = ? AND r.ptype IN ('g', 'p') AND r.v0 IN " + list
}

func (r *subjectReader) read(q querier, ids []string) error {
	for chunk := range slices.Chunk(ids, r.most) {
		if err := r.chunk(q, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (r *subjectReader) chunk(q querier, ids []string) error {
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
	args := make([]any, 0, 3*len(ids)+3)
	for _, id := range ids {
		args = append(args, access.StripeOf(id))
	}
	args = append(args, r.tenant, r.tenant)
	for _, id := range ids {
		args = append(args, id)
	}
	args = append(args, r.tenant)
	for _, id := range ids {
		args = append(args, access.Name(access.KindUser, id))
	}
	if len(ids) == 1 {
		return r.one, args
	}
	return subjectQuery(len(ids), r.byLine, r.packed), args
}

func (r *subjectReader) row(rows *sql.Rows) error {
	if err := rows.Scan(r.into...); err != nil {
		return err
	}
	part, rest, _ := bytes.Cut(r.raw, []byte{mark})
	switch string(part) {
	case partTenant:
		return r.stripe(rest)
	case partUser:
		id, rest, _ := strings.Cut(string(rest), string(rune(mark)))
		status, body, _ := strings.Cut(rest, string(rune(mark)))
		return r.user(userRow{ID: id, Status: status, Body: body})
	}
	row, whole, err := r.rule(rest)
	if err == nil && !whole {
		err = access.Invalid("casbin_rule", "row %d cannot be read: a value holds the character U+001F, or a number is none", row.ID)
	}
	if err != nil {
		return err
	}
	return r.take(row)
}

// stripe reads where the tenant stands, and one of its stripes.
func (r *subjectReader) stripe(packed []byte) error {
	code, numbers, _ := strings.Cut(string(packed), string(rune(mark)))
	if code != r.tenant { // byte by byte, whatever the database takes for equal
		return nil
	}
	var n [3]uint64
	for i, text := range strings.SplitN(numbers, string(rune(mark)), len(n)) {
		if i == 1 && text == "-1" { // the tenant has none of the stripes
			return nil
		}
		var err error
		if n[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			return access.Invalid("subject_stripe", "%q is not a number", text)
		}
		r.head = access.Revision(n[0])
	}
	r.stripes[access.Stripe(n[1])] = access.Revision(n[2]) //nolint:gosec // it was asked for by its number
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

func (r *subjectReader) take(row ruleRow) error {
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
