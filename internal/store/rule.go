package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ruleRow is a row of casbin_rule.
type ruleRow struct {
	TenantID                      int64
	ID                            int64 `gorm:"primaryKey;autoIncrement:false"`
	Ptype, V0, V1, V2, V3, V4, V5 string
	ValidFrom, ValidUntil         int64 // microseconds since 1970; 0: unbounded
	Pending                       bool
	Plain                         bool // a plain line of the policy, not derived from a document
	Origin                        string
}

// TableName is asked by gorm.
func (ruleRow) TableName() string { return "casbin_rule" }

const ruleColumns = "id, ptype, v0, v1, v2, v3, v4, v5, valid_from, valid_until, pending, plain, origin"

// Two rules are the same if they are the same line, whatever else differs.
func (r ruleRow) key() string {
	return r.Ptype + "\x00" + r.V0 + "\x00" + r.V1 + "\x00" + r.V2 + "\x00" + r.V3 + "\x00" + r.V4 + "\x00" + r.V5
}
func (r ruleRow) number() int64           { return r.ID }
func (r ruleRow) at(number int64) ruleRow { r.ID = number; return r }
func (r ruleRow) fields() [access.MaxRuleValues]string {
	return [...]string{r.V0, r.V1, r.V2, r.V3, r.V4, r.V5}
}
func (r ruleRow) users() bool { _, ok := access.Rule{Values: []string{r.V0}}.User(); return ok }
func (r ruleRow) handle() any { return r.ID }

func (ruleRow) size() int { return 300 }

// values gives the fields up to the last that is not blank.
func (r ruleRow) values() []string {
	v := r.fields()
	return append([]string(nil), v[:r.count()]...)
}

// count is how many values there are.
func (r ruleRow) count() int {
	v := r.fields()
	n := len(v)
	for n > 0 && v[n-1] == "" {
		n--
	}
	return n
}

func (r ruleRow) name() string { return access.Rule{Type: r.Ptype, Values: r.values()}.String() }

// ruleImage is how a rule stands in the history.
type ruleImage struct {
	ID      int64     `json:"id"`
	Line    []string  `json:"line"`
	From    time.Time `json:"from,omitzero"`
	Until   time.Time `json:"until,omitzero"`
	Pending bool      `json:"pending,omitempty"`
	Plain   bool      `json:"plain,omitempty"`
	Origin  string    `json:"origin,omitempty"`
}

func (r ruleRow) image() any {
	return ruleImage{
		ID: r.ID, Line: append([]string{r.Ptype}, r.values()...),
		From: moment(r.ValidFrom), Until: moment(r.ValidUntil), Pending: r.Pending, Plain: r.Plain, Origin: r.Origin,
	}
}

func (i ruleImage) rule() (access.Rule, error) {
	if len(i.Line) == 0 {
		return access.Rule{}, access.Invalid("rule", "the stored line is empty")
	}
	origin, err := parseOrigin(i.Origin)
	return access.Rule{
		Type: i.Line[0], Values: i.Line[1:], Place: i.ID, Origin: origin,
		Validity: access.Validity{From: i.From, Until: i.Until},
	}, err
}

// ruleRowOf makes a row of a rule. The store must be able to give back exactly
// what it was given, so what it could not keep is refused.
func ruleRowOf(tenant int64, r access.Rule, now time.Time) (ruleRow, error) {
	row := ruleRow{TenantID: tenant, Ptype: r.Type}
	if err := checkLine(r); err != nil {
		return row, err
	}
	fields := []*string{&row.V0, &row.V1, &row.V2, &row.V3, &row.V4, &row.V5}
	for i, v := range r.Values {
		*fields[i] = v
	}
	var err error
	if row.ValidFrom, err = micros("from", r.Validity.From); err != nil {
		return row, err
	}
	if row.ValidUntil, err = micros("until", r.Validity.Until); err != nil {
		return row, err
	}
	row.Pending = row.ValidFrom != 0 && r.Validity.From.After(now)
	row.Origin, err = originText(r.Origin)
	return row, err
}

// checkLine refuses lines that Casbin's adapter or a column could not carry.
func checkLine(r access.Rule) error {
	if !ruleType(r.Type) {
		return access.Invalid("rules", "%q is not a kind of rule: p or g, with a number if need be", r.Type)
	}
	if len(r.Values) == 0 || len(r.Values) > access.MaxRuleValues {
		return access.Invalid("rules", "the rule %q has %d values; it must have 1 to %d", r, len(r.Values), access.MaxRuleValues)
	}
	for i, v := range r.Values {
		if err := access.ValidName(valueNames[i], v); err != nil {
			return fmt.Errorf("rule %q: %w", r, err)
		}
	}
	return nil
}

var valueNames = [access.MaxRuleValues]string{"v0", "v1", "v2", "v3", "v4", "v5"}

// next is when the row must be changed for the clock's sake, 0: never.
func (r ruleRow) next() int64 {
	if r.Pending {
		return r.ValidFrom
	}
	return r.ValidUntil
}

// sooner gives the earlier of two moments, where 0 is never.
func sooner(a, b int64) int64 {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// ruleType: "p", "g", "p2", "g3" and so on.
func ruleType(s string) bool {
	if s == "" || len(s) > 3 || (s[0] != 'p' && s[0] != 'g') {
		return false
	}
	if len(s) == 1 {
		return true
	}
	n, err := strconv.Atoi(s[1:])
	return err == nil && n >= 2 && strconv.Itoa(n) == s[1:]
}

// rule gives the rule of a row as it was written, with the values of the row.
func (r ruleRow) rule(values []string) (access.Rule, error) {
	origin, err := parseOrigin(r.Origin)
	return access.Rule{
		Type: r.Ptype, Values: values, Place: r.ID, Origin: origin,
		Validity: access.Validity{From: moment(r.ValidFrom), Until: moment(r.ValidUntil)},
	}, err
}

// querier is asked: a pool of connections, a transaction, prepared statements.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each runs a query and hands over its rows. A query that breaks off is an
// error, never a shorter result.
func each(ctx context.Context, q querier, query string, args []any, take func(*sql.Rows) error) (err error) {
	ctx, step := statement(ctx, query)
	defer func() { end(step, err) }()
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return ctx.Err()
}

// micros turns a moment into microseconds since 1970, where 0 is "unbounded".
func micros(field string, t time.Time) (int64, error) {
	if t.IsZero() {
		return 0, nil
	}
	n := t.UnixMicro()
	if n == 0 || !time.UnixMicro(n).Equal(t) || t.Year() < 1 || t.Year() > 9999 {
		return 0, access.Invalid(field, "%s cannot be kept: use whole microseconds, years 1 to 9999, and not the first moment of 1970", t)
	}
	return n, nil
}

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

const maxOrigin = 500 // characters in the column

// originText writes file:line:column, always with both numbers, so that names
// of files may hold colons.
func originText(o access.Origin) (string, error) {
	if o == (access.Origin{}) {
		return "", nil
	}
	text := fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
	if len(text) > maxOrigin || !utf8.ValidString(text) {
		return "", access.Invalid("origin", "%q is not a place of at most %d bytes", text, maxOrigin)
	}
	return text, nil
}

func parseOrigin(text string) (access.Origin, error) {
	if text == "" {
		return access.Origin{}, nil
	}
	rest, column, ok := cutLast(text)
	file, line, ok2 := cutLast(rest)
	if !ok || !ok2 {
		return access.Origin{}, access.Invalid("origin", "%q is not file:line:column", text)
	}
	return access.Origin{File: file, Line: line, Column: column}, nil
}

func cutLast(s string) (string, int, bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.Atoi(s[i+1:])
	return s[:i], n, err == nil
}
