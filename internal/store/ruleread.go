package store

import (
	"bytes"
	"database/sql"
	"strconv"

	"github.com/bailiwick/bailiwick/internal/access"
)

// readRules streams a tenant's rules in their order. Those of which a value
// holds the mark that separates values here come last: they are read again,
// column by column.
func readRules(v view, take func(ruleRow) error) error {
	return readPacked(v, "", "1 = 1 ORDER BY id", take)
}

// policyRanges are the parts of the index of rules that hold everything but
// rules of users, for which whole tenants would have to be read otherwise.
var policyRanges = []string{
	"ptype < 'g'",
	"ptype = 'g' AND v0 < 'u:'", "ptype = 'g' AND v0 = 'u:anonymous'", "ptype = 'g' AND v0 >= 'u;'",
	"ptype > 'g' AND ptype < 'p'",
	"ptype = 'p' AND v0 < 'u:'", "ptype = 'p' AND v0 = 'u:anonymous'", "ptype = 'p' AND v0 >= 'u;'",
	"ptype > 'p'",
}

// readPolicyRules streams a tenant's rules that are no user's own, in no order.
func readPolicyRules(v view, take func(ruleRow) error) error {
	for _, part := range policyRanges {
		if err := readPacked(v, v.byLine, part, take); err != nil {
			return err
		}
	}
	return nil
}

// mark separates values. None that is fit holds it.
const mark = 0x1f

// packedColumns are those of a rule, numbers first.
const packedColumns = "r.id, r.valid_from, r.valid_until, r.pending, r.plain, r.ptype, r.v0, r.v1, r.v2, r.v3, r.v4, r.v5, r.origin"

// packed gives columns as one: what a driver takes for a column is most of what
// it takes for a row. The mark makes bytes of it in MySQL.
func packed(columns string) string { return "CONCAT_WS(CHAR(31), " + columns + ")" }

// packedSQLite makes bytes of it, for which SQLite's driver takes less than for
// text.
func packedSQLite(columns string) string { return "CAST(" + packed(columns) + " AS BLOB)" }

func readPacked(v view, hint, where string, take func(ruleRow) error) error {
	query := "SELECT " + v.packed(packedColumns) + " FROM casbin_rule r " + hint + " WHERE tenant_id = ? AND " + where
	p := unpacking{tenant: v.tenant.ID, kept: map[string]string{}}
	var again []int64
	var packed sql.RawBytes
	into := []any{&packed}
	err := each(v.ctx, v.tx, query, []any{v.tenant.ID}, func(rows *sql.Rows) error {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		r, whole, err := p.rule(packed)
		if err != nil {
			return err
		}
		if !whole {
			again = append(again, r.ID)
			return nil
		}
		return take(r)
	})
	for _, id := range again {
		if err == nil {
			err = readRulesWhere(v, "id = ?", take, id)
		}
	}
	return err
}

// readRulesWhere streams some of a tenant's rules.
func readRulesWhere(v view, where string, take func(ruleRow) error, args ...any) error {
	query := "SELECT " + ruleColumns + " FROM casbin_rule WHERE tenant_id = ? AND " + where
	return each(v.ctx, v.tx, query, append([]any{v.tenant.ID}, args...), func(rows *sql.Rows) error {
		r := ruleRow{TenantID: v.tenant.ID}
		err := rows.Scan(&r.ID, &r.Ptype, &r.V0, &r.V1, &r.V2, &r.V3, &r.V4, &r.V5,
			&r.ValidFrom, &r.ValidUntil, &r.Pending, &r.Plain, &r.Origin)
		if err != nil {
			return err
		}
		return take(r)
	})
}

// unpacking makes rows of packed ones. Of a million rules most values are the
// same few thousand, and each of those is kept once.
type unpacking struct {
	tenant int64
	kept   map[string]string
	last   [8]string // the texts of the row before
}

// maxKnown bounds what is kept to find values again.
const maxKnown = 1 << 16

// rule reads a packed row. One that does not divide as it should is not whole,
// and only its id is known.
func (u *unpacking) rule(packed []byte) (r ruleRow, whole bool, err error) {
	r.TenantID = u.tenant
	var pending, plain int64
	numbers := []*int64{&r.ID, &r.ValidFrom, &r.ValidUntil, &pending, &plain}
	for i, n := range numbers {
		text, rest, more := bytes.Cut(packed, []byte{mark})
		*n, err = strconv.ParseInt(string(text), 10, 64)
		if i == 0 && err != nil {
			return r, false, access.Invalid("casbin_rule", "a row has the id %q", text)
		}
		if err != nil || !more {
			return r, false, nil //nolint:nilerr // it is read again, by whoever says what is wrong
		}
		packed = rest
	}
	texts := [...]*string{&r.Ptype, &r.V0, &r.V1, &r.V2, &r.V3, &r.V4, &r.V5, &r.Origin}
	for i, into := range texts {
		end := bytes.IndexByte(packed, mark)
		if (end < 0) != (i == len(texts)-1) {
			return r, false, nil
		}
		if end < 0 {
			end = len(packed)
		}
		*into = u.text(i, packed[:end])
		packed = packed[min(end+1, len(packed)):]
	}
	r.Pending, r.Plain = pending == 1, plain == 1
	return r, uint64(pending) <= 1 && uint64(plain) <= 1, nil //nolint:gosec // whatever it becomes, it is above 1
}

func (u *unpacking) text(column int, b []byte) string {
	if u.last[column] == string(b) {
		return u.last[column]
	}
	s, there := u.kept[string(b)]
	if !there {
		s = string(b)
		if len(u.kept) < maxKnown {
			u.kept[s] = s
		}
	}
	u.last[column] = s
	return s
}
