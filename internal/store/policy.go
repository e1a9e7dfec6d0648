package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Apply makes a policy what its tenant has, and gives the difference that was
// committed; where there is none but in the lines of files where things are
// written, and their order, nothing is written and To is From.
//
// Users whom the policy lists are made or changed. Others are left alone and
// keep what is theirs. Users' rules keep their order among one another, which
// means nothing. A policy that no longer has a group or role of theirs is refused, with a list.
// Rules that have ended by the clock are not stored.
func (s *Store) Apply(ctx context.Context, p *access.Policy, c access.Change) (access.Delta, error) {
	return s.Replace(ctx, p, c, nil)
}

// Replace is Apply with a judge, who is given what there would be and the
// difference before it is committed and may refuse it; nil judges nothing. He
// runs while the tenant is locked, see Edit.
func (s *Store) Replace(ctx context.Context, p *access.Policy, c access.Change, judge func(access.Reading, access.Delta) error) (access.Delta, error) {
	if err := p.Check().Err(); err != nil {
		return access.Delta{}, err
	}
	if !utf8.ValidString(p.Description) || len(p.Description) > maxDocument {
		return access.Delta{}, access.Invalid("description", "is not text of at most %d bytes", maxDocument)
	}
	return s.commit(ctx, c, existing(p.Tenant), func(w *write) error {
		if judge != nil {
			w.judge = func(d access.Delta) error {
				r, err := w.view().reading()
				if err != nil {
					return err
				}
				return judge(r, d)
			}
		}
		if err := s.apply(w, p); err != nil {
			return err
		}
		if same, err := w.onlyPlaces(); err != nil || same {
			return cmp.Or(err, errNothing)
		}
		return nil
	})
}

func (s *Store) apply(w *write, p *access.Policy) error {
	have, err := w.have()
	if err != nil {
		return err
	}
	whole, err := merge(p, have.users)
	if err != nil {
		return err
	}
	want, err := w.want(whole)
	if err != nil {
		return err
	}
	w.keepCreated(have.users, want.users)
	usersAsStored(have.rules, want.rules)
	conditionsAsStored(have.documents["conditions"], want.documents["conditions"])
	if len(want.rules) > s.maxRules {
		return access.Invalid("rules", "the policy has %d rules; %d is the limit", len(want.rules), s.maxRules)
	}
	if err := w.settings(want); err != nil {
		return err
	}
	for _, t := range documentTables {
		if err := replace(w, t.name, "code", t.kind, have.documents[t.name], want.documents[t.name]); err != nil {
			return err
		}
	}
	if err := replace(w, "users", "id", kindUser, have.users, want.users); err != nil {
		return err
	}
	if err := replace(w, "casbin_rule", "id", kindRule, have.rules, want.rules); err != nil {
		return err
	}
	return w.loadable(want)
}

// onlyPlaces tells whether nothing has changed but where things are written and in
// which order: what is pulled into files, and loaded from there, says what was
// there. In which file an account or a plain line is written is kept for the next
// pull.
func (w *write) onlyPlaces() (bool, error) {
	c := &comparison{view: w.view(), edits: map[object]edit[string]{}}
	for _, r := range w.changes {
		if r.OldValue == "" || r.NewValue == "" || fileOf(r.Kind, r.OldValue) != fileOf(r.Kind, r.NewValue) {
			return false, nil
		}
		if err := c.take(r, object{}); err != nil {
			return false, err
		}
	}
	told, err := c.operations()
	return len(told) == 0 && len(w.changes) > 0, err
}

// fileOf gives the file that an account or a rule of its own is written in.
func fileOf(kind, image string) string {
	var i struct {
		Plain  bool  `json:"plain"`
		Origin place `json:"origin"`
		Body   struct {
			Origin place `json:"origin"`
		} `json:"body"`
	}
	if kind != kindUser && kind != kindRule || json.Unmarshal([]byte(image), &i) != nil {
		return ""
	}
	if kind == kindUser {
		return i.Body.Origin.File
	}
	if i.Plain {
		return i.Origin.File
	}
	return ""
}

// loadable makes sure, before anything is committed, that Load will understand
// what there is then: a tenant that cannot be loaded must never come about. What
// is not written stands there as it is wanted; what is written was read back.
func (w *write) loadable(want content) error {
	if len(w.changes) == 0 {
		return nil
	}
	l := loader{source: want, tenant: w.tenant, resident: math.MaxInt64}
	if err := l.load(); err != nil {
		return fmt.Errorf("load what would be there: %w", err)
	}
	return nil
}

// documentTables are the tables of documents and what their rows are called in
// the history.
var documentTables = []struct{ name, kind string }{
	{"applications", "application"}, {"scopes", "scope"}, {"roles", kindRole}, {"user_groups", "group"}, {"conditions", "condition"},
}

// content is everything of a tenant that a policy decides about, as rows.
type content struct {
	settings  settingsDocument
	documents map[string][]documentRow // by table
	users     []userRow
	rules     []ruleRow
}

func (c content) eachDocument(table string, take func(documentRow) error) error {
	return takeEach(c.documents[table], take)
}

func (c content) eachRole(take func(string) error) error {
	return takeEach(c.documents["roles"], func(r documentRow) error { return take(r.Code) })
}

func (c content) eachUser(take func(userRow) error) error       { return takeEach(c.users, take) }
func (c content) eachRule(take func(ruleRow) error) error       { return takeEach(c.rules, take) }
func (c content) eachPolicyRule(take func(ruleRow) error) error { return c.eachRule(take) }

func takeEach[R any](rows []R, take func(R) error) error {
	for _, r := range rows {
		if err := take(r); err != nil {
			return err
		}
	}
	return nil
}

// have reads what is stored, without judging it: what somebody has spoilt by
// hand is mended by the next policy.
func (w *write) have() (content, error) {
	c := content{documents: map[string][]documentRow{}}
	q, tenant := w.tx.Statement.ConnPool, w.tenant.ID
	for _, t := range documentTables {
		err := readDocuments(w.ctx, q, t.name, tenant, func(r documentRow) error {
			c.documents[t.name] = append(c.documents[t.name], r)
			return nil
		})
		if err != nil {
			return c, err
		}
	}
	c.users = make([]userRow, 0, expected(w.tenant.Users))
	err := readUsers(w.ctx, q, tenant, "position", func(r userRow) error {
		c.users = append(c.users, r)
		return nil
	})
	if err != nil {
		return c, err
	}
	c.rules = make([]ruleRow, 0, expected(w.tenant.Rules))
	err = readRules(w.view(), func(r ruleRow) error {
		c.rules = append(c.rules, r)
		return nil
	})
	slices.SortFunc(c.rules, func(a, b ruleRow) int { return cmp.Compare(a.ID, b.ID) })
	return c, err
}

// merge adds the users whom the policy does not list, and checks the whole.
func merge(p *access.Policy, stored []userRow) (*access.Policy, error) {
	listed := map[string]bool{}
	for _, u := range p.Users {
		listed[u.ID] = true
	}
	var others []access.User
	for _, row := range stored {
		if listed[row.ID] {
			continue
		}
		u, err := row.user()
		if err != nil {
			return nil, err
		}
		others = append(others, u)
	}
	if len(others) == 0 {
		return p, nil
	}
	if err := keepsHeld(p, others); err != nil {
		return nil, err
	}
	whole := *p
	whole.Users = slices.Concat(p.Users, others)
	return &whole, whole.Check().Err()
}

// keepsHeld refuses a policy without a group or role that other users have.
func keepsHeld(p *access.Policy, others []access.User) error {
	lost := p.Lost(others)
	if len(lost) == 0 {
		return nil
	}
	return access.Invalid("groups", "users whom the policy does not list still have what it no longer holds: %s", strings.Join(lost, ", "))
}

// want makes rows of a whole policy.
func (w *write) want(p *access.Policy) (content, error) {
	f := p.Facts()
	c := content{settings: settingsOf(p, &f)}
	var err error
	if c.documents, err = w.documents(p, &f); err != nil {
		return c, err
	}
	if c.users, err = w.userRows(p, &f); err != nil {
		return c, err
	}
	if p.Model != "" { // else the policy's check has looked
		if err := once(p.Rules); err != nil {
			return c, err
		}
	}
	c.rules, err = w.ruleRows(f.Rules, len(f.Rules)-len(p.Rules))
	return c, err
}

func (w *write) documents(p *access.Policy, f *access.Facts) (map[string][]documentRow, error) {
	d := documents{tenant: w.tenant.ID, rows: map[string][]documentRow{}}
	for _, a := range p.Catalogue {
		d.add("applications", a.Code, applicationOf(a))
	}
	for _, s := range p.Scopes {
		d.add("scopes", string(s.Scope), scopeOf(s))
	}
	for _, r := range p.Roles {
		d.add("roles", r.Code, roleOf(r))
	}
	for _, g := range p.Groups {
		d.add("user_groups", g.Code, groupOf(g, f.Groups[g.Code]))
	}
	for _, c := range f.Conditions {
		d.add("conditions", c.ID, conditionDocument{Text: c.Text, Origin: place(c.Origin)})
	}
	return d.rows, d.err
}

// keepCreated lets users keep the moment at which they were made.
func (w *write) keepCreated(have, want []userRow) {
	made := map[string]int64{}
	for _, row := range have {
		made[row.ID] = row.CreatedAt
	}
	for i := range want {
		at, old := made[want[i].ID]
		if !old {
			at = w.now.UnixMicro()
		}
		want[i].CreatedAt = at
	}
}

// usersAsStored puts users' rules in the order in which users have theirs
// already, those who have none last. The order of different users' rules means
// nothing, and what Edit has appended must not count as a difference.
func usersAsStored(have, want []ruleRow) {
	own := func(row ruleRow) bool { return !row.Plain && row.users() }
	from := slices.IndexFunc(want, own)
	if from < 0 {
		return
	}
	to := from
	for to < len(want) && own(want[to]) {
		to++
	}
	first := map[string]int64{}
	for _, row := range have {
		if _, seen := first[row.V0]; !seen && own(row) {
			first[row.V0] = row.ID
		}
	}
	at := func(row ruleRow) int64 { return cmp.Or(first[row.V0], math.MaxInt64) }
	byUser := func(a, b ruleRow) int {
		if a.V0 == b.V0 {
			return 0
		}
		return cmp.Compare(at(a), at(b))
	}
	if users := want[from:to]; !slices.IsSortedFunc(users, byUser) { // sorting moves large rows
		slices.SortStableFunc(users, byUser)
	}
}

// conditionsAsStored does the same for conditions, whose order means nothing either.
func conditionsAsStored(have, want []documentRow) {
	at := map[string]int64{}
	for _, row := range have {
		at[row.Code] = row.Position
	}
	place := func(row documentRow) int64 { return cmp.Or(at[row.Code], math.MaxInt64) }
	slices.SortStableFunc(want, func(a, b documentRow) int { return cmp.Compare(place(a), place(b)) })
}

// documents gathers rows; the first error stays.
type documents struct {
	tenant int64
	rows   map[string][]documentRow // by table
	err    error
}

func (d *documents) add(table, code string, document any) {
	body, err := encode(document)
	if d.err == nil {
		d.err = err
	}
	d.rows[table] = append(d.rows[table], documentRow{TenantID: d.tenant, Code: code, Body: body})
}

func (w *write) userRows(p *access.Policy, f *access.Facts) ([]userRow, error) {
	rows := make([]userRow, 0, len(p.Users))
	for i, u := range p.Users {
		row, err := userRowOf(w.tenant.ID, u, f.Users[i].Status)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// ruleRows makes rows of rules, those from plain on being plain lines. Those
// that have ended are left out.
func (w *write) ruleRows(rules []access.Rule, plain int) ([]ruleRow, error) {
	rows := make([]ruleRow, 0, len(rules))
	for i, r := range rules {
		row, err := ruleRowOf(w.tenant.ID, r, w.now)
		if err != nil {
			return nil, err
		}
		row.Plain = i >= plain
		if r.Validity.Until.IsZero() || r.Validity.Until.After(w.now) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// once refuses two rules that are the same line.
func once(rules []access.Rule) error {
	lines := make(map[string]bool, len(rules))
	for _, r := range rules {
		line := r.Type + "\x00" + strings.Join(r.Values, "\x00")
		if lines[line] {
			return access.Invalid("rules", "the rule %q is there twice", r.String())
		}
		lines[line] = true
	}
	return nil
}

// settings writes what is kept in the tenant's own row.
func (w *write) settings(want content) error {
	body, err := encode(want.settings)
	if err != nil {
		return err
	}
	w.tenant.Rules, w.tenant.Users, w.tenant.UserRules, w.tenant.NextAt = int64(len(want.rules)), int64(len(want.users)), 0, 0
	for _, r := range want.rules {
		w.tenant.NextAt = sooner(w.tenant.NextAt, r.next())
		if r.users() {
			w.tenant.UserRules++
		}
	}
	if body == w.tenant.Settings {
		return nil
	}
	var before any
	if w.tenant.Settings != "" {
		before = json.RawMessage(w.tenant.Settings)
	}
	w.tenant.Settings, w.tenant.Description = body, want.settings.Description
	return w.note(kindTenant, w.tenant.Code, before, json.RawMessage(body))
}
