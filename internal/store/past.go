package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// maxPast is how many changes may be gone through to rebuild a state.
const maxPast = 5_000_000

// maxPastBytes is how much may be noted of what was otherwise then, and pastEntry
// what a note takes besides its texts, about.
var maxPastBytes = 512 << 20

const pastEntry = 100

// StateAt finds the state that something is asked about: of a revision, at the
// moment at which it was made unless another is named; or the one that was in
// force at a moment. Without either it is the newest, now.
func (s *Store) StateAt(ctx context.Context, tenant string, of access.AsOf) (access.State, error) {
	var at access.State
	err := s.snapshot(ctx, tenant, func(v view) (err error) {
		at, err = v.stateAt(of, s.now())
		return err
	})
	return at, fault("find a state of "+tenant, err)
}

func (v view) stateAt(of access.AsOf, now time.Time) (access.State, error) {
	at := access.State{Revision: of.Revision, At: of.At}
	switch {
	case of.Now():
		at.Revision, at.At = v.tenant.Revision, now
	case of.At.After(now):
		return at, access.Invalid("as_of", "%s has not come yet", of.At.Format(time.RFC3339Nano))
	case of.Revision == 0:
		query := "SELECT number FROM revision WHERE tenant_id = ? AND made_at <= ? ORDER BY number DESC LIMIT 1"
		err := v.tx.QueryRowContext(v.ctx, query, v.tenant.ID, of.At.UnixMicro()).Scan(&at.Revision)
		if errors.Is(err, sql.ErrNoRows) {
			return at, asOf("nothing was there at %s: the tenant is younger", of.At.Format(time.RFC3339Nano))
		}
		if err != nil {
			return at, err
		}
	}
	entry, err := v.entry(at.Revision)
	if at.Hash = entry.Hash; at.At.IsZero() {
		at.At = moment(entry.MadeAt)
	}
	return at, err
}

func asOf(format string, args ...any) error {
	return &access.Error{Kind: access.ErrNotFound, Field: "as_of", Message: fmt.Sprintf(format, args...)}
}

// entry reads a revision.
func (v view) entry(number access.Revision) (revisionRow, error) {
	r := revisionRow{TenantID: v.tenant.ID, Number: number}
	query := "SELECT parent, hash, author, source, reason, made_at FROM revision WHERE tenant_id = ? AND number = ?"
	err := v.tx.QueryRowContext(v.ctx, query, v.tenant.ID, number).Scan(&r.Parent, &r.Hash, &r.Author, &r.Source, &r.Reason, &r.MadeAt)
	switch {
	case !errors.Is(err, sql.ErrNoRows):
		return r, err
	case number > v.tenant.Revision:
		return r, asOf("revision %d does not exist yet: the tenant is at %d", number, v.tenant.Revision)
	case number == 0:
		return r, asOf("there is no revision 0: the first is 1")
	}
	return r, broken(number, "is missing from the history")
}

// LoadAt gives what Load gave at a revision, rebuilt from the history and
// checked in the same way. Which revisions changed whom is not in it.
//
// The way back from what is stored now, or the way from the first revision, is
// gone along the chain of hashes: an edited history is an error of kind
// ErrInvalid that names the revision.
func (s *Store) LoadAt(ctx context.Context, tenant string, at access.Revision) (access.Facts, error) {
	var f access.Facts
	err := s.snapshot(ctx, tenant, func(v view) error {
		p, err := v.past(at, true)
		if err != nil {
			return err
		}
		l := &loader{source: p, tenant: p.tenant, resident: v.resident}
		if p.lean {
			l.resident = -1
		}
		err = l.load()
		f = l.facts
		f.Policy = at
		return err
	})
	if err != nil {
		return access.Facts{}, fault(fmt.Sprintf("rebuild tenant %s as of revision %d", tenant, at), err)
	}
	return f, nil
}

// past is a tenant as it was at a revision, as rows: what is stored now, or
// nothing, but for what was otherwise then. Its tenant is that of then.
type past struct {
	view
	at   access.Revision
	bare bool // nothing of what is stored now counts
	lean bool // users and their rules are looked up one by one

	foreign bool // by a Casbin model of the tenant's own
	then    map[object]string
	bytes   int // of then
}

// object names something in the history. A rule's name is its key.
type object struct{ kind, name string }

// past goes through the history once. Without users it notes nothing of them.
func (v view) past(at access.Revision, users bool) (*past, error) {
	entry, err := v.entry(at)
	if err != nil {
		return nil, err
	}
	p := &past{view: v, at: at, then: map[object]string{}}
	p.tenant.Revision = at
	if err := p.settings(); err != nil {
		return nil, err
	}
	if p.bare, err = v.nearerBeginning(at); err != nil {
		return nil, err
	}
	if err := p.ownModel(); err != nil {
		return nil, err
	}
	p.lean = !p.foreign && (!users || v.tenant.Users > v.resident)
	return p, p.walk(v.tenant, entry)
}

// nearerBeginning tells whether the way from the first revision is shorter than
// the one back from now, for which all that is stored must be read.
func (v view) nearerBeginning(at access.Revision) (bool, error) {
	before, err := v.changes(0, at)
	if err != nil {
		return false, err
	}
	after, err := v.changes(at, v.tenant.Revision)
	if err != nil {
		return false, err
	}
	shorter := before < after+v.tenant.Rules+v.tenant.Users
	if min(before, after) > maxPast {
		return false, asOf("cannot be rebuilt: %d changes have been made since revision %d, and %d before; %d is the limit", after, at, before, maxPast)
	}
	return shorter && before <= maxPast, nil
}

// changes counts those of the revisions after one, up to another.
func (v view) changes(after, to access.Revision) (int64, error) {
	var n sql.NullInt64
	query := `SELECT SUM((SELECT MAX(n) FROM revision_change c WHERE c.tenant_id = r.tenant_id AND c.revision = r.number))
		FROM revision r WHERE tenant_id = ? AND number > ? AND number <= ?`
	err := v.tx.QueryRowContext(v.ctx, query, v.tenant.ID, after, to).Scan(&n)
	return n.Int64, err
}

// settings finds those of then, and the epoch.
func (p *past) settings() error {
	settings, changed, err := p.first(kindTenant, p.tenant.Code)
	if err != nil {
		return err
	}
	if changed {
		p.tenant.Settings = settings
	}
	epoch, changed, err := p.first(kindEpoch, p.tenant.Code)
	if err == nil && changed {
		err = decode("epoch", epoch, &p.tenant.Epoch)
	}
	return err
}

// first gives what something was before the first change after the past's
// revision, and whether there was one.
func (p *past) first(kind, name string) (image string, changed bool, err error) {
	query := `SELECT old_value FROM revision_change WHERE tenant_id = ? AND kind = ? AND name = ? AND revision > ?
		ORDER BY revision, n LIMIT 1`
	err = p.tx.QueryRowContext(p.ctx, query, p.tenant.ID, kind, name, p.at).Scan(&image)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return image, err == nil, err
}

// ownModel looks whether the tenant had a Casbin model of its own then.
func (p *past) ownModel() error {
	var d settingsDocument
	err := decode("settings", p.tenant.Settings, &d)
	p.foreign = d.Model != ""
	return err
}

// walk goes through the revisions up to the past's own, or through those after
// it, and makes sure that they are what was written.
func (p *past) walk(now tenantRow, entry revisionRow) error {
	walk := &chainWalk{tenant: now, now: revisionRow{Number: entry.Number, Hash: entry.Hash}}
	query, args := chainQuery, []any{p.tenant.ID, p.at}
	walk.take = p.undo
	if p.bare {
		walk.now = revisionRow{}
		walk.tenant.Revision = p.at
		query, args = strings.Replace(chainQuery, "ORDER BY", "AND r.number <= ? ORDER BY", 1), []any{p.tenant.ID, 0, p.at}
		walk.take = p.redo
		p.tenant.Rules, p.tenant.Users, p.tenant.UserRules = 0, 0, 0
	}
	if err := each(p.ctx, p.tx, query, args, walk.row); err != nil {
		return err
	}
	return walk.finish()
}

// undo notes what something was before it was first changed.
func (p *past) undo(c changeRow) error {
	o, kept, err := p.object(c, -1)
	if err != nil || !kept {
		return err
	}
	if _, known := p.then[o]; !known {
		return p.note(o, c.OldValue)
	}
	return nil
}

// redo notes what something became.
func (p *past) redo(c changeRow) error {
	o, kept, err := p.object(c, 1)
	switch {
	case err != nil || !kept:
	case c.NewValue == "":
		if before, known := p.then[o]; known {
			p.bytes -= noted(o, before)
		}
		delete(p.then, o)
	default:
		return p.note(o, c.NewValue)
	}
	return err
}

// note keeps what something was, as long as there is room.
func (p *past) note(o object, image string) error {
	if before, known := p.then[o]; known {
		p.bytes -= noted(o, before)
	}
	if p.bytes += noted(o, image); p.bytes > maxPastBytes {
		return asOf("revision %d cannot be rebuilt: what was otherwise then takes more than %d MiB; ask about a later one", p.at, maxPastBytes>>20)
	}
	p.then[o] = image
	return nil
}

func noted(o object, image string) int { return len(o.name) + len(image) + pastEntry }

// object names what a change is about, and counts it: forth where way is 1, back
// where it is -1. It is not kept where nobody asks for it here.
func (p *past) object(c changeRow, way int64) (o object, kept bool, err error) {
	more := way * (there(c.NewValue) - there(c.OldValue))
	switch c.Kind {
	case kindUser:
		p.tenant.Users += more
		return object{c.Kind, c.Name}, !p.lean, nil
	case kindRule:
		row, err := p.ruleThen(cmp.Or(c.NewValue, c.OldValue))
		if err != nil {
			return o, false, err
		}
		p.tenant.Rules += more
		if row.users() {
			p.tenant.UserRules += more
		}
		plain := row.Plain || strings.Contains(c.OldValue, `"plain":true`)
		return object{c.Kind, row.key()}, !p.lean || plain || !row.users(), nil
	}
	return object{c.Kind, c.Name}, documentKinds[c.Kind], nil
}

// documentKinds are what rows of documents are called in the history.
var documentKinds = func() map[string]bool {
	kinds := map[string]bool{}
	for _, t := range documentTables {
		kinds[t.kind] = true
	}
	return kinds
}()

func there(image string) int64 {
	if image == "" {
		return 0
	}
	return 1
}

// ruleThen makes a row of an image.
func (p *past) ruleThen(image string) (ruleRow, error) {
	var i ruleImage
	if err := decode("rule", image, &i); err != nil {
		return ruleRow{}, err
	}
	row, err := i.row(p.tenant.ID)
	row.Plain = row.Plain || p.foreign
	return row, err
}

// row gives the row that an image is of. Whether it was a plain line does not
// stand in images that are older than the column: a migration told by the file.
func (i ruleImage) row(tenant int64) (ruleRow, error) {
	if len(i.Line) < 2 || len(i.Line) > access.MaxRuleValues+1 {
		return ruleRow{}, access.Invalid("rule", "the line %q in the history has %d values", i.Line, len(i.Line)-1)
	}
	row := ruleRow{
		TenantID: tenant, ID: i.ID, Ptype: i.Line[0], Pending: i.Pending, Origin: i.Origin,
		Plain: i.Plain || strings.Contains(i.Origin, ".csv:"),
	}
	for at, into := range []*string{&row.V0, &row.V1, &row.V2, &row.V3, &row.V4, &row.V5}[:len(i.Line)-1] {
		*into = i.Line[at+1]
	}
	var err error
	if row.ValidFrom, err = micros("from", i.From); err == nil {
		row.ValidUntil, err = micros("until", i.Until)
	}
	return row, err
}

// documentThen makes a row of an image.
func documentThen(tenant int64, code, image string) (documentRow, error) {
	var i documentImage
	err := decode(code, image, &i)
	return documentRow{TenantID: tenant, Code: code, Position: i.Position, Body: string(i.Body)}, err
}

// userThen makes a row of an image.
func userThen(tenant int64, id, image string) (userRow, error) {
	var i userImage
	if err := decode("user "+id, image, &i); err != nil {
		return userRow{}, err
	}
	row := userRow{
		TenantID: tenant, ID: id, Position: i.Position, Email: i.Email, Name: i.Name, Status: i.Status,
		Body: string(i.Body), ExternalID: i.External,
	}
	if !i.Created.IsZero() {
		row.CreatedAt = i.Created.UnixMicro()
	}
	var held struct {
		Home     string   `json:"home"`
		Licences []string `json:"licences"`
	}
	err := json.Unmarshal(i.Body, &held)
	if row.Home = held.Home; i.Status != string(access.UserDeleted) {
		row.Login = loginOf(i.Email, held.Home)
	}
	row.fillKeys(held.Licences)
	return row, err
}

// eachDocument gives the documents of a table as they were, in their order.
func (p *past) eachDocument(table string, take func(documentRow) error) error {
	kind := ""
	for _, t := range documentTables {
		if t.name == table {
			kind = t.kind
		}
	}
	all, err := rowsThen(p, kind, func(name, image string) (documentRow, error) { return documentThen(p.tenant.ID, name, image) })
	if err != nil {
		return err
	}
	if !p.bare {
		err = readDocuments(p.ctx, p.tx, table, p.tenant.ID, func(r documentRow) error {
			if _, other := p.then[object{kind, r.Code}]; !other {
				all = append(all, r)
			}
			return nil
		})
	}
	slices.SortFunc(all, func(a, b documentRow) int { return cmp.Compare(a.Position, b.Position) })
	return errors.Join(err, takeEach(all, take))
}

func (p *past) eachRole(take func(string) error) error {
	return p.eachDocument("roles", func(r documentRow) error { return take(r.Code) })
}

// rowsThen makes rows of all images of a kind.
func rowsThen[R any](p *past, kind string, row func(name, image string) (R, error)) ([]R, error) {
	var all []R
	for o, image := range p.then {
		if o.kind != kind || image == "" {
			continue
		}
		r, err := row(o.name, image)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// eachUser gives the accounts by id.
func (p *past) eachUser(take func(userRow) error) error {
	all, err := rowsThen(p, kindUser, func(name, image string) (userRow, error) { return userThen(p.tenant.ID, name, image) })
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b userRow) int { return strings.Compare(a.ID, b.ID) })
	m := merging[userRow]{then: all, before: func(a, b userRow) bool { return a.ID < b.ID }, take: take}
	if !p.bare {
		err = p.view.eachUser(func(r userRow) error {
			if _, other := p.then[object{kindUser, r.ID}]; other {
				return nil
			}
			return m.row(r)
		})
	}
	return m.rest(err)
}

// eachRule gives the rules in their order.
func (p *past) eachRule(take func(ruleRow) error) error { return p.mergeRules(p.view.eachRule, take) }

// eachPolicyRule gives those that were no user's own.
func (p *past) eachPolicyRule(take func(ruleRow) error) error {
	return p.mergeRules(p.view.eachPolicyRule, func(r ruleRow) error {
		if r.users() {
			return nil
		}
		return take(r)
	})
}

func (p *past) mergeRules(now func(func(ruleRow) error) error, take func(ruleRow) error) error {
	all, err := rowsThen(p, kindRule, func(_, image string) (ruleRow, error) { return p.ruleThen(image) })
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b ruleRow) int { return cmp.Compare(a.ID, b.ID) })
	m := merging[ruleRow]{then: all, before: func(a, b ruleRow) bool { return a.ID < b.ID }, take: take}
	if !p.bare {
		err = now(func(r ruleRow) error {
			if _, other := p.then[object{kindRule, r.key()}]; other {
				return nil
			}
			return m.row(r)
		})
	}
	return m.rest(err)
}

// plainRules gives the policy's plain lines in their order.
func (p *past) plainRules() ([]access.Rule, error) {
	var all []access.Rule
	now := func(take func(ruleRow) error) error { return readRulesWhere(p.view, "plain = 1 ORDER BY id", take) }
	err := p.mergeRules(now, func(row ruleRow) error {
		if !row.Plain {
			return nil
		}
		rule, err := row.rule(row.values())
		rule.Place = 0 // that is the store's business
		all = append(all, rule)
		return err
	})
	return all, err
}

// merging puts rows of then between those that are read, both in one order.
type merging[R any] struct {
	then   []R
	before func(a, b R) bool
	take   func(R) error
}

func (m *merging[R]) row(r R) error {
	for len(m.then) > 0 && m.before(m.then[0], r) {
		next := m.then[0]
		m.then = m.then[1:]
		if err := m.take(next); err != nil {
			return err
		}
	}
	return m.take(r)
}

// rest hands over what comes after all that was read, unless reading has failed.
func (m *merging[R]) rest(failed error) error {
	if failed == nil {
		failed = takeEach(m.then, m.take)
	}
	return failed
}
