package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ruleEdit turns the rules made of some documents into those made of them after
// an edit, without reading the others. Rules lie in zones that follow one
// another: those of the policy's documents, those of users, plain lines. Within
// a zone a new rule gets a number between those of its neighbours; the order of
// different users' rules means nothing, since nobody is decided by both.
type ruleEdit struct {
	draft     *draft
	store     *Store
	had, want access.Facts
	plain     int // how many plain lines both end with
	zones     []zone
}

// zone is what happens to the rules of the documents, or of one user.
type zone struct {
	user      bool
	had, want []ruleRow // without numbers
}

// maxRuleEdits is how many rules are changed one by one; more are quicker done
// with the whole tenant at hand.
const maxRuleEdits = 2000

// plan divides the rules into zones.
func (e *ruleEdit) plan() error {
	at := map[string]int{"": 0}
	e.zones = []zone{{}}
	take := func(f access.Facts, into func(*zone) *[]ruleRow) error {
		rows, err := e.draft.w.ruleRows(f.Rules[:len(f.Rules)-e.plain], len(f.Rules))
		if err != nil {
			return err
		}
		for _, row := range rows {
			name := ""
			if row.users() {
				name = row.V0
			}
			i, ok := at[name]
			if !ok {
				i = len(e.zones)
				at[name] = i
				e.zones = append(e.zones, zone{user: true})
			}
			list := into(&e.zones[i])
			*list = append(*list, row)
		}
		return nil
	}
	if err := take(e.had, func(z *zone) *[]ruleRow { return &z.had }); err != nil {
		return err
	}
	if err := take(e.want, func(z *zone) *[]ruleRow { return &z.want }); err != nil {
		return err
	}
	return e.small()
}

// small refuses what is better done with the whole tenant at hand: very much,
// or rules that change their order.
func (e *ruleEdit) small() error {
	changed := 0
	for _, z := range e.zones {
		if !inOrder(z.had, z.want) {
			return errWhole
		}
		gone, added := z.difference()
		changed += len(gone) + len(added)
	}
	if changed > maxRuleEdits {
		return errWhole
	}
	return nil
}

// inOrder tells whether what two lists have in common has the same order.
func inOrder(had, want []ruleRow) bool {
	place := make(map[string]int, len(had))
	for i, row := range had {
		place[row.key()] = i + 1
	}
	last := 0
	for _, row := range want {
		if at := place[row.key()]; at != 0 {
			if at < last {
				return false
			}
			last = at
		}
	}
	return true
}

// difference lists what goes and what comes; a rule that changes in anything
// but its line does both.
func (z *zone) difference() (gone, added []ruleRow) {
	want := make(map[string]ruleRow, len(z.want))
	for _, row := range z.want {
		want[row.key()] = row
	}
	had := make(map[string]ruleRow, len(z.had))
	for _, row := range z.had {
		had[row.key()] = row
		if now, stays := want[row.key()]; !stays || now != row {
			gone = append(gone, row)
		}
	}
	for _, row := range z.want {
		if was, there := had[row.key()]; !there || was != row {
			added = append(added, row)
		}
	}
	return gone, added
}

func (e *ruleEdit) write() error {
	if err := e.addConditions(); err != nil {
		return err
	}
	for _, z := range e.zones {
		if err := e.zone(z); err != nil {
			return err
		}
	}
	return e.dropConditions()
}

func (e *ruleEdit) zone(z zone) error {
	gone, added := z.difference()
	if len(gone)+len(added) == 0 {
		return nil
	}
	removed, err := e.remove(gone)
	if err != nil {
		return err
	}
	if err := e.number(z, added, removed); err != nil {
		return err
	}
	return e.note(z, added, removed)
}

// remove deletes rules and gives them as they were stored, by line. One that
// has ended by the clock may be gone already.
func (e *ruleEdit) remove(gone []ruleRow) (map[string]ruleRow, error) {
	removed := map[string]ruleRow{}
	var ids []any
	for _, row := range gone {
		stored, there, err := e.stored(row)
		if err != nil {
			return nil, err
		}
		if there {
			removed[row.key()] = stored
			ids = append(ids, stored.ID)
		}
	}
	return removed, remove(e.draft.w, "casbin_rule", "id", ids)
}

// stored finds a rule by its line.
func (e *ruleEdit) stored(row ruleRow) (ruleRow, bool, error) {
	var found ruleRow
	err := e.draft.w.tx.Where("tenant_id = ? AND ptype = ? AND v0 = ? AND v1 = ? AND v2 = ? AND v3 = ? AND v4 = ? AND v5 = ?",
		row.TenantID, row.Ptype, row.V0, row.V1, row.V2, row.V3, row.V4, row.V5).Take(&found).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return ruleRow{}, false, nil
	}
	if err == nil && found.key() != row.key() {
		return ruleRow{}, false, nil
	}
	return found, err == nil, err
}

// number gives new rules their places: behind the rule that is written before
// them. One that was there keeps its own.
func (e *ruleEdit) number(z zone, added []ruleRow, removed map[string]ruleRow) error {
	slot := make(map[string]int, len(added))
	for i, row := range added {
		slot[row.key()] = i
	}
	isNew := func(at int) bool { _, ok := slot[z.want[at].key()]; return ok }
	before, known := int64(0), false
	var waiting []int
	flush := func(after int64) error {
		if len(waiting) == 0 {
			return nil
		}
		defer func() { waiting = nil }()
		if !known {
			var err error
			if before, err = e.behindUsers(); err != nil {
				return err
			}
		}
		return e.space(added, waiting, before, after)
	}
	for at, row := range z.want {
		if i, ok := slot[row.key()]; ok {
			was, there := removed[row.key()]
			if !there {
				waiting = append(waiting, i)
				continue
			}
			added[i].ID = was.ID
			if err := flush(was.ID); err != nil {
				return err
			}
			before, known = was.ID, true
			continue
		}
		if len(waiting) == 0 && !nextIsNew(z.want, at, isNew) {
			continue
		}
		stored, there, err := e.stored(row)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if err := flush(stored.ID); err != nil {
			return err
		}
		before, known = stored.ID, true
	}
	return flush(0)
}

// nextIsNew tells whether a new rule may have to be put behind this one: those
// between that may have ended by the clock count as if they were not there.
func nextIsNew(rows []ruleRow, at int, isNew func(int) bool) bool {
	for at++; at < len(rows); at++ {
		if isNew(at) {
			return true
		}
		if rows[at].ValidUntil == 0 {
			return false
		}
	}
	return false
}

// behindUsers is the number of the last rule before the plain lines.
func (e *ruleEdit) behindUsers() (int64, error) {
	d := e.draft
	var first, last sql.NullInt64
	query := "SELECT MIN(id) FROM casbin_rule WHERE tenant_id = ? AND plain = 1"
	if err := d.tx.QueryRowContext(d.ctx, query, d.tenant.ID).Scan(&first); err != nil {
		return 0, err
	}
	query, args := "SELECT MAX(id) FROM casbin_rule WHERE tenant_id = ?", []any{d.tenant.ID}
	if first.Valid {
		query, args = query+" AND id < ?", append(args, first.Int64)
	}
	err := d.tx.QueryRowContext(d.ctx, query, args...).Scan(&last)
	return last.Int64, err
}

// space numbers some of the new rules evenly between two neighbours. The one
// behind may be somebody else's.
func (e *ruleEdit) space(added []ruleRow, which []int, before, after int64) error {
	d := e.draft
	var next sql.NullInt64
	query := "SELECT MIN(id) FROM casbin_rule WHERE tenant_id = ? AND id > ?"
	if err := d.tx.QueryRowContext(d.ctx, query, d.tenant.ID, before).Scan(&next); err != nil {
		return err
	}
	if after == 0 || next.Valid && next.Int64 < after {
		after = next.Int64
	}
	numbers := make([]int64, len(which)+2)
	numbers[0], numbers[len(numbers)-1] = before, after
	if after == 0 {
		numbers = numbers[:len(numbers)-1]
	}
	if !fill(numbers, 1, len(which)+1) {
		return errWhole
	}
	for i, at := range which {
		added[at].ID = numbers[i+1]
	}
	return nil
}

// note writes the new rules and records what became of the zone.
func (e *ruleEdit) note(z zone, added []ruleRow, removed map[string]ruleRow) error {
	w := e.draft.w
	if err := e.fit(added); err != nil {
		return err
	}
	for _, row := range added {
		was, there := removed[row.key()]
		var before any
		if there {
			before = was.image()
			delete(removed, row.key())
			w.count(-1, z.user)
		}
		if err := w.note(kindRule, row.name(), before, row.image()); err != nil {
			return err
		}
		w.count(1, z.user)
		w.tenant.NextAt = sooner(w.tenant.NextAt, row.next())
	}
	for _, row := range sortedRows(removed) {
		if err := w.note(kindRule, row.name(), row.image(), nil); err != nil {
			return err
		}
		w.count(-1, z.user)
	}
	if w.tenant.Rules > int64(e.store.maxRules) {
		return access.Invalid("rules", "the policy would have %d rules; %d is the limit", w.tenant.Rules, e.store.maxRules)
	}
	err := insert(w, "casbin_rule", added)
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return access.Invalid("rules", "a rule that this makes is a plain line of the policy already")
	}
	return err
}

func (w *write) count(n int64, user bool) {
	w.tenant.Rules += n
	if user {
		w.tenant.UserRules += n
	}
}

func sortedRows(rows map[string]ruleRow) []ruleRow {
	var all []ruleRow
	for _, row := range rows {
		all = append(all, row)
	}
	slices.SortFunc(all, func(a, b ruleRow) int { return int(min(max(a.ID-b.ID, -1), 1)) })
	return all
}

// fit makes sure that a load will understand what is written.
func (e *ruleEdit) fit(rows []ruleRow) error {
	f := &e.want
	j := judge{
		ours: true, known: map[string]bool{access.SuperuserRole: true}, scopes: map[string]bool{string(access.Everywhere): true},
		sections: map[string]bool{string(f.Root): true}, conds: map[string]bool{},
	}
	for _, a := range f.Catalogue {
		j.known[access.Name(access.KindApplication, a.Code)] = true
		for _, s := range a.Sections {
			j.sections[string(s.Path)] = true
		}
	}
	for _, s := range f.Scopes {
		j.scopes[string(s.Scope)] = true
	}
	for _, r := range e.draft.policy.Roles {
		j.known[access.Name(access.KindRole, r.Code)] = true
	}
	for _, g := range e.draft.policy.Groups {
		j.known[access.Name(access.KindGroup, g.Code)] = true
	}
	for _, c := range f.Conditions {
		j.conds[c.ID] = true
	}
	for _, row := range rows {
		if _, err := j.judged(row); err != nil {
			return fmt.Errorf("read back what would be written: %w", err)
		}
	}
	return nil
}

// addConditions writes the texts that new rules refer to.
func (e *ruleEdit) addConditions() error {
	d := e.draft
	there := map[string]bool{}
	last := int64(0)
	for _, row := range d.rows["conditions"] {
		there[row.Code] = true
		last = max(last, row.Position)
	}
	var added []documentRow
	for _, c := range e.want.Conditions {
		if there[c.ID] {
			continue
		}
		body, err := encode(conditionDocument{Text: c.Text, Origin: place(c.Origin)})
		if err != nil {
			return err
		}
		last += step
		row := documentRow{TenantID: d.tenant.ID, Code: c.ID, Position: last, Body: body}
		if err := d.w.note("condition", row.Code, nil, row.image()); err != nil {
			return err
		}
		added = append(added, row)
	}
	return insert(d.w, "conditions", added)
}

// dropConditions removes the texts that no rule refers to any longer.
func (e *ruleEdit) dropConditions() error {
	d := e.draft
	for _, c := range e.had.Conditions {
		if slices.ContainsFunc(e.want.Conditions, func(w access.Condition) bool { return w.ID == c.ID }) {
			continue
		}
		var n int
		query := "SELECT COUNT(*) FROM (SELECT 1 AS one FROM casbin_rule WHERE tenant_id = ? AND v5 = ? LIMIT 1) x"
		if err := d.tx.QueryRowContext(d.ctx, query, d.tenant.ID, c.ID).Scan(&n); err != nil {
			return err
		}
		i := slices.IndexFunc(d.rows["conditions"], func(r documentRow) bool { return r.Code == c.ID })
		if n > 0 || i < 0 {
			continue
		}
		if err := d.w.note("condition", c.ID, d.rows["conditions"][i].image(), nil); err != nil {
			return err
		}
		if err := remove(d.w, "conditions", "code", []any{c.ID}); err != nil {
			return err
		}
	}
	return nil
}
