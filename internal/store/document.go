package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Documents are what is kept as JSON. They have types of their own, so that
// renaming a field in access does not change what is stored, and so that a
// stored document that is not understood is an error.

// documentRow is a row of one of the tables of documents.
type documentRow struct {
	TenantID int64
	Code     string
	Position int64
	Body     string
}

func (r documentRow) key() string                 { return r.Code }
func (r documentRow) name() string                { return r.Code }
func (r documentRow) number() int64               { return r.Position }
func (r documentRow) at(number int64) documentRow { r.Position = number; return r }
func (r documentRow) handle() any                 { return r.Code }

func (r documentRow) size() int { return len(r.Body) }

// documentImage is how a document stands in the history.
type documentImage struct {
	Position int64           `json:"position"`
	Body     json.RawMessage `json:"body"`
}

func (r documentRow) image() any { return documentImage{r.Position, json.RawMessage(r.Body)} }

func readDocuments(ctx context.Context, q gorm.ConnPool, table string, tenant int64, take func(documentRow) error) error {
	query := "SELECT code, position, body FROM " + table + " WHERE tenant_id = ? ORDER BY position"
	return each(ctx, q, query, []any{tenant}, func(rows *sql.Rows) error {
		r := documentRow{TenantID: tenant}
		if err := rows.Scan(&r.Code, &r.Position, &r.Body); err != nil {
			return err
		}
		return take(r)
	})
}

// encode writes JSON that people can read in the history.
func encode(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", access.Invalid("document", "cannot be kept: %v", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// decode reads a stored document; what it does not know is an error.
func decode(what, body string, into any) error {
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.Decode(new(any)) != io.EOF {
		err = fmt.Errorf("something follows it")
	}
	if err != nil {
		return access.Invalid(what, "the stored document cannot be understood: %v", err)
	}
	return nil
}

// convert keeps nil slices nil.
func convert[A, B any](in []A, f func(A) B) []B {
	var out []B
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}

// functionsDocument is what a tenant declares for its own Casbin model. It is
// left out where that is nothing.
type functionsDocument struct {
	Roles      map[string]string `json:"roles,omitempty"`
	Domains    map[string]string `json:"domains,omitempty"`
	Conditions map[string]string `json:"conditions,omitempty"`
	Eval       bool              `json:"eval,omitempty"`
	Origins    map[string]place  `json:"origins,omitempty"`
}

func functionsOf(f access.Functions) *functionsDocument {
	if len(f.Roles)+len(f.Domains)+len(f.Conditions) == 0 && !f.Eval {
		return nil
	}
	d := &functionsDocument{Roles: f.Roles, Domains: f.Domains, Conditions: f.Conditions, Eval: f.Eval}
	for what, o := range f.Origins {
		if d.Origins == nil {
			d.Origins = map[string]place{}
		}
		d.Origins[what] = place(o)
	}
	return d
}

func (d *functionsDocument) functions() access.Functions {
	if d == nil {
		return access.Functions{}
	}
	f := access.Functions{Roles: d.Roles, Domains: d.Domains, Conditions: d.Conditions, Eval: d.Eval}
	for what, p := range d.Origins {
		if f.Origins == nil {
			f.Origins = map[string]access.Origin{}
		}
		f.Origins[what] = access.Origin(p)
	}
	return f
}

// place is an Origin in a document.
type place access.Origin

func (p place) MarshalText() ([]byte, error) {
	text, err := originText(access.Origin(p))
	return []byte(text), err
}

func (p *place) UnmarshalText(text []byte) error {
	o, err := parseOrigin(string(text))
	*p = place(o)
	return err
}
