package store

import (
	"bytes"
	"cmp"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bailiwick/bailiwick/internal/access"
)

// No index of either database finds a part of a name, nor the accounts of a
// large group in the order of their names. So what lists of accounts are searched,
// filtered and sorted by stays in memory, where 100,000 of them are looked through
// in a few milliseconds. It is a copy of one revision, and follows the changes of
// accounts when it is next used; writing costs nothing.

// maxRosters is how many accounts are kept so, of all tenants together, at about
// 200 bytes each. Lists of tenants that do not fit are read by indexes.
const maxRosters = 500_000

// readAtOnce is up to how many accounts a roster is read while somebody waits.
const readAtOnce = 25_000

// maxReplaced is how many changes a roster follows before it is read anew.
const maxReplaced = 5000

// rosters are those of some tenants, the longest unused one first.
type rosters struct {
	sync.Mutex
	all  []*roster
	most int // accounts of all; maxRosters when 0
	view func(tenant string, read func(view) error) error

	atOnce int64 // readAtOnce when 0
}

// roster is the accounts of a tenant, as far as lists need them.
type roster struct {
	sync.Mutex
	tenant   int64
	epoch    string // empty: it holds nothing that can be used
	revision access.Revision
	text     []byte  // the search columns of all entries, each with a parting behind
	traits   []int32 // of all entries, one behind the other
	entries  []entry // in the order of the text; the sorted ones in that of ids
	sorted   int     // entries up to here came together; the others have changed since
	numbers  map[string]int32
	strange  bool         // somebody without account is linked to something
	size     atomic.Int64 // how many entries there are, for others
	coming   atomic.Bool  // it is being read
}

// parting is no part of any text in UTF-8.
const parting = 0xff

// entry is an account. Its text is e-mail, name and id, a line each.
type entry struct {
	id         string
	start      int // of its text
	mail, name int // where these end in it
	traits     int // where those of the entry begin,
	end        int // and where they end
	created    int64
	gone       bool // there is a newer entry, or none
}

// A trait is something that an account is filtered by: its state, a licence, or
// the name of a group or role that it is linked to itself.

func stateTrait(s access.UserStatus) string { return "=" + string(s) }
func seatTrait(feature string) string       { return "+" + feature }

// condition is what a list asks of each account.
type condition struct {
	any         []string // one of these traits
	not         bool     // or none of them
	from, until int64    // or when it was created, in microseconds; 0: unbounded
}

// rosterSearch asks for the accounts of a page.
type rosterSearch struct {
	text       string
	conditions []condition
	sort       access.UserSort
	down       bool
	after      access.UserPlace
	most       int // of the hits behind the place
}

// hits are accounts that pass.
type hits struct {
	total int
	all   []string           // their ids, where they are few
	next  []access.UserPlace // the first ones behind the place, in the order of the list
	more  bool               // there are others behind them
}

// of gives the roster of a tenant, to be filled in under its lock; nil where
// the tenant is too large.
func (rs *rosters) of(t *tenantRow) *roster {
	if t.Users > int64(rs.room()) {
		return nil
	}
	rs.Lock()
	defer rs.Unlock()
	at := slices.IndexFunc(rs.all, func(r *roster) bool { return r.tenant == t.ID })
	r := &roster{tenant: t.ID}
	if at >= 0 {
		r = rs.all[at]
		rs.all = slices.Delete(rs.all, at, at+1)
	}
	rs.all = append(rs.all, r)
	return r
}

func (rs *rosters) room() int { return cmp.Or(rs.most, maxRosters) }

// shrink forgets those that were not used for the longest time.
func (rs *rosters) shrink() {
	rs.Lock()
	defer rs.Unlock()
	room := rs.room()
	for i := len(rs.all) - 1; i >= 0; i-- {
		if room -= int(rs.all[i].size.Load()); room < 0 {
			rs.all = slices.Delete(rs.all, 0, i+1)
			return
		}
	}
}

// find looks for accounts of a reading. It gives nil where the roster does not
// tell: the tenant is too large, or somebody was ahead.
func (rs *rosters) find(v view, q rosterSearch) (found *hits, err error) {
	err = rs.use(v, func(r *roster) { found = r.find(q) })
	return found, err
}

// count counts the accounts with each of some traits; nil where the roster does
// not tell.
func (rs *rosters) count(v view, traits []string) (map[string]int, error) {
	var counts map[string]int
	err := rs.use(v, func(r *roster) {
		if !r.strange {
			counts = r.count(traits)
		}
	})
	return counts, err
}

// use has something looked up in the roster of a reading, if there is one.
func (rs *rosters) use(v view, look func(*roster)) error {
	if rs == nil {
		return nil
	}
	r := rs.of(&v.tenant)
	if r == nil {
		return nil
	}
	read, err := rs.at(v, r, look)
	if read {
		rs.shrink()
	}
	return err
}

func (rs *rosters) at(v view, r *roster, look func(*roster)) (read bool, err error) {
	r.Lock()
	defer r.Unlock()
	stale, err := r.follow(v)
	if err != nil {
		return false, err
	}
	if stale && v.tenant.Users > cmp.Or(rs.atOnce, readAtOnce) {
		rs.readLater(r, v.tenant.Code)
		return false, nil
	}
	if stale {
		if err := r.read(v); err != nil {
			return false, err
		}
	}
	if r.revision == v.tenant.Revision {
		look(r)
	}
	return stale, nil
}

// readLater reads a roster beside what is asked, which the database answers in
// the meantime: it may take longer than a request has time.
func (rs *rosters) readLater(r *roster, tenant string) {
	if !r.coming.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer r.coming.Store(false)
		fresh := &roster{}
		if err := rs.view(tenant, fresh.read); err != nil {
			return // whoever asks next tries again
		}
		r.Lock()
		r.epoch, r.revision, r.text, r.traits, r.entries = fresh.epoch, fresh.revision, fresh.text, fresh.traits, fresh.entries
		r.sorted, r.numbers, r.strange = fresh.sorted, fresh.numbers, fresh.strange
		r.size.Store(int64(r.sorted))
		r.Unlock()
		rs.shrink()
	}()
}

func (r *roster) count(traits []string) map[string]int {
	n, counts := make([]int, len(r.numbers)), make(map[string]int, len(traits))
	for i := range r.entries {
		if e := &r.entries[i]; !e.gone {
			for _, t := range r.traits[e.traits:e.end] {
				n[t]++
			}
		}
	}
	for _, trait := range traits {
		if at, known := r.numbers[trait]; known && n[at] > 0 {
			counts[trait] = n[at]
		}
	}
	return counts
}

// follow brings the roster to the revision of a reading, or tells that it has to
// be read anew for that.
func (r *roster) follow(v view) (stale bool, err error) {
	t := &v.tenant
	if r.epoch != t.Epoch {
		return true, nil
	}
	if r.revision >= t.Revision {
		return false, nil
	}
	ids, all, err := changedUsers(v, r.revision)
	if err != nil {
		return false, err
	}
	if !all || len(r.entries)-r.sorted+len(ids) > maxReplaced+r.sorted/8 {
		return true, nil
	}
	return false, r.replace(v, ids)
}

// read takes in all accounts.
func (r *roster) read(v view) error {
	n := int(v.tenant.Users)
	r.epoch, r.text, r.traits, r.entries, r.numbers, r.strange = "", make([]byte, 0, 64*n), make([]int32, 0, 3*n), make([]entry, 0, n), map[string]int32{}, false
	if err := r.add(v, "", "v0 > 'u:' AND v0 < 'u;'", nil, nil); err != nil {
		return err
	}
	r.epoch, r.revision, r.sorted = v.tenant.Epoch, v.tenant.Revision, len(r.entries)
	r.size.Store(int64(r.sorted))
	return nil
}

// add appends accounts with their links.
func (r *roster) add(v view, which, linked string, ids, names []any) error {
	links := map[string][]int32{}
	query := "SELECT v0, v1 FROM casbin_rule " + v.byLine + " WHERE tenant_id = ? AND ptype = 'g' AND " + linked
	err := each(v.ctx, v.tx, query, append([]any{v.tenant.ID}, names...), func(rows *sql.Rows) error {
		var holder, to string
		err := rows.Scan(&holder, &to)
		links[holder] = append(links[holder], r.number(to))
		return err
	})
	if err != nil {
		return err
	}
	query = "SELECT id, search, created_at, status, seats FROM users WHERE tenant_id = ?" + which + " ORDER BY id"
	err = each(v.ctx, v.tx, query, append([]any{v.tenant.ID}, ids...), func(rows *sql.Rows) error {
		e := entry{start: len(r.text), traits: len(r.traits)}
		var text sql.RawBytes
		var status, seats string
		if err := rows.Scan(&e.id, &text, &e.created, &status, &seats); err != nil {
			return err
		}
		e.mail = max(bytes.IndexByte(text, '\n'), 0)
		e.name = max(bytes.LastIndexByte(text, '\n'), e.mail+1)
		r.traits = append(r.traits, r.number(stateTrait(access.UserStatus(status))))
		for feature := range strings.SplitSeq(strings.Trim(seats, ","), ",") {
			r.traits = append(r.traits, r.number(seatTrait(feature)))
		}
		name := access.Name(access.KindUser, e.id)
		r.traits = append(r.traits, links[name]...)
		delete(links, name)
		own := r.traits[e.traits:]
		slices.Sort(own)
		e.end = e.traits + len(slices.Compact(own))
		r.traits = r.traits[:e.end]
		r.text, r.entries = append(append(r.text, text...), parting), append(r.entries, e)
		return nil
	})
	delete(links, access.Anonymous.Rule())
	r.strange = r.strange || len(links) > 0
	return err
}

// number gives the number of a trait.
func (r *roster) number(trait string) int32 {
	n, known := r.numbers[trait]
	if !known {
		n = int32(len(r.numbers)) //nolint:gosec // there are fewer traits than codes
		r.numbers[trait] = n
	}
	return n
}

// replace takes in accounts that have changed.
func (r *roster) replace(v view, ids []string) error {
	epoch := r.epoch
	r.epoch = "" // until it is whole again
	r.leaveOut(ids)
	for part := range slices.Chunk(ids, chunkRowsSQLite) {
		all, names := make([]any, len(part)), make([]any, len(part))
		for i, id := range part {
			all[i], names[i] = id, access.Name(access.KindUser, id)
		}
		in := " IN (" + marks(len(part)) + ")"
		if err := r.add(v, " AND id"+in, "v0"+in, all, names); err != nil {
			return err
		}
	}
	r.epoch, r.revision = epoch, v.tenant.Revision
	return nil
}

// leaveOut says of the entries of accounts that they are old.
func (r *roster) leaveOut(ids []string) {
	changed := map[string]bool{}
	for _, id := range ids {
		changed[id] = true
		at, found := slices.BinarySearchFunc(r.entries[:r.sorted], id, func(e entry, id string) int { return strings.Compare(e.id, id) })
		if found {
			r.entries[at].gone = true
		}
	}
	for i := r.sorted; i < len(r.entries); i++ {
		r.entries[i].gone = r.entries[i].gone || changed[r.entries[i].id]
	}
}

// changedUsers names the accounts that have changed since a revision, or whose
// links have; all is false where there is too much to look through.
func changedUsers(v view, since access.Revision) (ids []string, all bool, err error) {
	query := "SELECT kind, name, old_value, new_value FROM revision_change WHERE tenant_id = ? AND revision > ? AND revision <= ? AND kind IN (?, ?) LIMIT ?"
	changed := map[string]bool{}
	n, args := 0, []any{v.tenant.ID, since, v.tenant.Revision, kindUser, kindRule, maxReplaced + 1}
	err = each(v.ctx, v.tx, query, args, func(rows *sql.Rows) error {
		var c changeRow
		if err := rows.Scan(&c.Kind, &c.Name, &c.OldValue, &c.NewValue); err != nil {
			return err
		}
		n++
		if c.Kind == kindUser {
			changed[c.Name] = true
			return nil
		}
		e, err := sides(c, ruleOf)
		for _, line := range []access.Rule{e.old, e.new} {
			if id, is := line.User(); is {
				changed[id] = true
			}
		}
		return err
	})
	return slices.Collect(maps.Keys(changed)), n <= maxReplaced, err
}

// find looks through all accounts.
func (r *roster) find(q rosterSearch) *hits {
	found, first, passes := &hits{}, newSelection(q), r.passes(q.conditions)
	take := func(e *entry) {
		if e.gone || !passes(e) {
			return
		}
		if found.total++; found.total <= few {
			found.all = append(found.all, e.id)
		}
		first.take(r.rank(e, q.sort))
	}
	switch {
	case q.text == "" && q.down: // those that come first first: the others are quickly told to come later
		for i := range slices.Backward(r.entries) {
			take(&r.entries[i])
		}
	case q.text == "":
		for i := range r.entries {
			take(&r.entries[i])
		}
	default:
		r.holding(q.text, take)
	}
	found.next, found.more = first.places()
	return found
}

// holding visits the entries that hold a text.
func (r *roster) holding(text string, visit func(*entry)) {
	for at := 0; at < len(r.text); {
		i := bytes.Index(r.text[at:], []byte(text))
		if i < 0 {
			return
		}
		n, exact := slices.BinarySearchFunc(r.entries, at+i, func(e entry, at int) int { return cmp.Compare(e.start, at) })
		if !exact {
			n--
		}
		visit(&r.entries[n])
		if n+1 == len(r.entries) {
			return
		}
		at = r.entries[n+1].start
	}
}

// passes gives what tells whether an entry meets all conditions.
func (r *roster) passes(all []condition) func(*entry) bool {
	wanted := make([][]bool, len(all))
	for i, c := range all {
		wanted[i] = make([]bool, len(r.numbers))
		for _, trait := range c.any {
			if n, known := r.numbers[trait]; known {
				wanted[i][n] = true
			}
		}
	}
	return func(e *entry) bool {
		for i := range all {
			c := &all[i]
			switch {
			case c.from != 0 || c.until != 0:
				if e.created < c.from || c.until != 0 && e.created >= c.until {
					return false
				}
			case r.has(e, wanted[i]) == c.not:
				return false
			}
		}
		return true
	}
}

// has tells whether an entry has one of some traits.
func (r *roster) has(e *entry, wanted []bool) bool {
	for _, n := range r.traits[e.traits:e.end] {
		if wanted[n] {
			return true
		}
	}
	return false
}

// rank is where an account stands in a list.
type rank struct {
	key     []byte // a part of the roster's text
	created int64
	id      string
}

func (r *roster) rank(e *entry, by access.UserSort) rank {
	at := rank{id: e.id}
	switch by {
	case access.SortCreated:
		at.created = e.created
	case access.SortName:
		at.key = r.text[e.start+e.mail+1 : e.start+e.name]
	case access.SortEmail:
		at.key = r.text[e.start : e.start+e.mail]
	case access.SortID:
	}
	return at
}

// selection keeps the first of many in the order of a list.
type selection struct {
	rosterSearch
	after rank
	kept  []rank // at most twice as many as wanted
	more  bool   // others were left out
}

func newSelection(q rosterSearch) *selection {
	s := &selection{rosterSearch: q, after: rank{key: []byte(q.after.Key), id: q.after.ID}}
	if q.sort == access.SortCreated {
		s.after.key = nil
		s.after.created, _ = strconv.ParseInt(q.after.Key, 10, 64)
	}
	return s
}

func (s *selection) compare(a, b rank) int {
	c := cmp.Or(cmp.Compare(a.created, b.created), bytes.Compare(a.key, b.key), strings.Compare(a.id, b.id))
	if s.down {
		return -c
	}
	return c
}

func (s *selection) take(r rank) {
	switch {
	case s.rosterSearch.after != (access.UserPlace{}) && s.compare(r, s.after) <= 0:
	case s.more && s.compare(r, s.kept[s.most-1]) > 0: // the last one that is still wanted
	default:
		if s.kept = append(s.kept, r); len(s.kept) == 2*s.most {
			s.cut()
		}
	}
}

func (s *selection) cut() {
	slices.SortFunc(s.kept, s.compare)
	if len(s.kept) > s.most {
		s.kept, s.more = s.kept[:s.most], true
	}
}

// places gives what was kept, and whether there are others behind it.
func (s *selection) places() ([]access.UserPlace, bool) {
	s.cut()
	all := make([]access.UserPlace, len(s.kept))
	for i, r := range s.kept {
		all[i] = access.UserPlace{Key: string(r.key), ID: r.id}
		if s.sort == access.SortCreated {
			all[i].Key = strconv.FormatInt(r.created, 10)
		}
	}
	return all, s.more
}
