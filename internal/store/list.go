package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// maxSeats is how long the codes of a user's licences may be together, in
// bytes: what an index of InnoDB can hold.
const maxSeats = 700

// fillKeys derives from a row what lists are sorted and searched by.
func (r *userRow) fillKeys(licences []string) {
	r.MailKey, r.NameKey, r.Seats = access.FoldCase(r.Email), access.FoldCase(r.Name), ""
	if len(licences) > 0 {
		r.Seats = "," + strings.Join(licences, ",") + ","
	}
	r.Search = r.MailKey + "\n" + r.NameKey + "\n" + access.FoldCase(r.ID)
}

// fillKeys fills in what users who are older than the columns lack.
func (s *Store) fillKeys(ctx context.Context) error {
	for {
		var rows []userRow
		if err := s.db.WithContext(ctx).Where("search = ''").Limit(chunkRowsSQLite).Find(&rows).Error; err != nil || len(rows) == 0 {
			return err
		}
		err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			for _, r := range rows {
				u, err := r.user()
				if err != nil {
					return err
				}
				r.fillKeys(u.Licences)
				err = tx.Exec("UPDATE users SET mail_key = ?, name_key = ?, seats = ?, search = ? WHERE tenant_id = ? AND id = ?",
					r.MailKey, r.NameKey, r.Seats, r.Search, r.TenantID, r.ID).Error
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// FindUsers gives one page of a list of accounts.
//
// What filters leave is looked for in memory, see roster, and the page is read.
// In tenants that are too large for that the database does it: where one of the
// filters alone leaves few accounts, those are taken and sorted; else most pass,
// and the list is walked in its order until the page is full. Neither reads all
// accounts, but for a text that hardly anybody has: that is looked for in one
// narrow index.
func (s *Store) FindUsers(ctx context.Context, tenant string, q access.UserSearch) (access.FoundUsers, error) {
	var found access.FoundUsers
	err := s.snapshot(ctx, tenant, func(v view) error {
		l, err := v.userList(q, s.driver == SQLite, s.now())
		if err == nil {
			found, err = l.page()
		}
		return err
	})
	return found, fault("list users", err)
}

// few is how many accounts are sorted rather than walked.
const few = 2000

// userList is a search on its way to SQL. All texts in it are ours; what the
// user wrote is among the arguments.
type userList struct {
	view
	q       access.UserSearch
	sqlite  bool
	filters []userFilter
}

// userFilter is one condition of a list, in two forms.
type userFilter struct {
	ids   string // selects the ids of all accounts that pass; empty: those are many
	args  []any
	where string // tells of one account u whether it passes
	with  []any
	text  bool       // it is the one for a text
	roll  *condition // how the roster is asked; nil: it does not know
}

// sorts is the closed map of the columns that lists are sorted by.
var sorts = map[access.UserSort]struct{ column, index string }{
	access.SortCreated: {"created_at", "users_created"},
	access.SortName:    {"name_key", "users_name"},
	access.SortEmail:   {"mail_key", "users_mail"},
	access.SortID:      {"id", "PRIMARY"},
}

func (v view) userList(q access.UserSearch, sqlite bool, now time.Time) (*userList, error) {
	if q.Sort == "" {
		q.Sort = access.SortCreated
	}
	if _, known := sorts[q.Sort]; !known {
		return nil, access.Invalid("sort", "%q is none of created_at, name, email, id", string(q.Sort))
	}
	l := &userList{view: v, q: q, sqlite: sqlite}
	l.columns()
	l.links()
	l.online(now)
	l.presence()
	if err := cmp.Or(l.superuser(), l.manager()); err != nil {
		return nil, err
	}
	if q.Text != "" { // the last one
		l.filters = append(l.filters, userFilter{where: "INSTR(search, ?) > 0", with: []any{access.FoldCase(q.Text)}, text: true})
	}
	return l, nil
}

// column adds a filter of the table itself.
func (l *userList) column(roll *condition, where string, with ...any) {
	l.filters = append(l.filters, userFilter{
		ids: "SELECT id AS chosen FROM users WHERE tenant_id = ? AND " + where, args: append([]any{l.tenant.ID}, with...), where: where, with: with, roll: roll,
	})
}

func (l *userList) columns() {
	q := l.q
	if q.Email != "" {
		l.column(nil, "mail_key = ?", access.FoldCase(q.Email))
	}
	if q.ExternalID != "" {
		l.column(nil, "external_id = ?", q.ExternalID)
	}
	if q.Home != "" {
		l.column(nil, "home > '' AND home = ?", string(q.Home)) // which tells SQLite that its index has them
	}
	if q.Licence != "" {
		l.column(&condition{any: []string{seatTrait(q.Licence)}}, "seats > '' AND INSTR(seats, ?) > 0", ","+q.Licence+",")
	}
	if len(q.Statuses) > 0 {
		var with []any
		in := &condition{}
		for _, s := range q.Statuses {
			with, in.any = append(with, string(s)), append(in.any, stateTrait(s))
		}
		l.column(in, "status IN ("+marks(len(with))+")", with...)
	} else {
		out := &condition{any: []string{stateTrait(access.UserDeleted)}, not: true}
		l.filters = append(l.filters, userFilter{where: "status <> ?", with: []any{string(access.UserDeleted)}, roll: out})
	}
	if !q.CreatedFrom.IsZero() {
		l.column(&condition{from: q.CreatedFrom.UnixMicro()}, "created_at >= ?", q.CreatedFrom.UnixMicro())
	}
	if !q.CreatedUntil.IsZero() {
		l.column(&condition{until: q.CreatedUntil.UnixMicro()}, "created_at < ?", q.CreatedUntil.UnixMicro())
	}
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func (l *userList) links() {
	if l.q.Group != "" {
		l.linked(false, access.Name(access.KindGroup, l.q.Group))
	}
	if len(l.q.AnyGroup) > 0 {
		l.linked(false, groupNames(l.q.AnyGroup)...)
	}
	for _, name := range groupNames(l.q.EveryGroup) {
		l.linked(false, name)
	}
	if l.q.Role != "" {
		l.linked(false, access.Name(access.KindRole, l.q.Role))
	}
}

func groupNames(codes []string) []string {
	names := make([]string, len(codes))
	for i, code := range codes {
		names[i] = access.Name(access.KindGroup, code)
	}
	return names
}

// linked adds a filter for those who are linked to one of several names, or not.
func (l *userList) linked(not bool, names ...string) {
	var with []any
	for _, name := range names {
		with = append(with, name)
	}
	with = append([]any{l.tenant.ID}, with...)
	// Of one account all links are counted, which are few: databases that are
	// asked whether there are any begin with the links of a group, which may be many.
	links, to := "(SELECT COUNT(*) FROM casbin_rule "+l.byLine+" WHERE tenant_id = ? AND ptype = 'g' AND ", " IN ("+marks(len(names))+")"
	f := userFilter{where: links + l.linkedTo() + to + " AND v0 = " + l.holder() + ") > 0", with: with, roll: &condition{any: names, not: not}}
	if not {
		f.where = strings.TrimSuffix(f.where, "> 0") + "= 0"
	} else {
		f.ids = "SELECT DISTINCT SUBSTR(v0, 3) AS chosen FROM casbin_rule WHERE tenant_id = ? AND ptype = 'g' AND v1" + to + " AND v0 > 'u:' AND v0 < 'u;'"
		f.args = with
	}
	l.filters = append(l.filters, f)
}

// manager adds the filter for those who are themselves in a group that manages.
func (l *userList) manager() error {
	if l.q.Manager == nil {
		return nil
	}
	var names []string
	query := `SELECT code, body FROM user_groups WHERE tenant_id = ? AND body LIKE '%"is_manager":true%'`
	err := each(l.ctx, l.tx, query, []any{l.tenant.ID}, func(rows *sql.Rows) error {
		var code, body string
		var d groupDocument
		if err := cmp.Or(rows.Scan(&code, &body), decode(code, body, &d)); err != nil {
			return err
		}
		if d.Attributes["is_manager"] == true {
			names = append(names, access.Name(access.KindGroup, code))
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(names) > 0:
		l.linked(!*l.q.Manager, names...)
	case *l.q.Manager:
		l.column(&condition{}, "1 = 0")
	}
	return nil
}

// online adds the filter for those whose session was used just now.
func (l *userList) online(now time.Time) {
	if l.q.Online == nil {
		return
	}
	used := " FROM session WHERE tenant_id = ? AND seen_at > ? AND ends_at > ?"
	with := []any{l.tenant.ID, now.Add(-access.OnlineFor).UnixMicro(), now.UnixMicro()}
	// Of one account its sessions are read, not all that are in use.
	own := " FROM session WHERE tenant_id = ? AND +seen_at > ? AND +ends_at > ? AND user_id = users.id"
	f := userFilter{where: "EXISTS (SELECT 1" + own + ")", with: with}
	if *l.q.Online {
		f.ids, f.args = "SELECT DISTINCT user_id AS chosen"+used, with
	} else {
		f.where = "NOT " + f.where
	}
	l.filters = append(l.filters, f)
}

// linkedTo is what a link leads to, where it shall not be looked up in an index.
func (l *userList) linkedTo() string {
	if l.sqlite {
		return "+v1"
	}
	return "CONCAT(v1)"
}

func (l *userList) holder() string {
	if l.sqlite {
		return "'u:' || users.id"
	}
	return "CONCAT('u:', users.id)"
}

// superuser adds the filter for those who hold the reserved role everywhere,
// themselves or by what they are linked to.
func (l *userList) superuser() error {
	if l.q.Superuser == nil {
		return nil
	}
	names := []string{access.SuperuserRole}
	for seen := 0; seen < len(names); {
		next := names[seen:]
		seen = len(names)
		if err := l.bearers(next, &names); err != nil {
			return err
		}
	}
	l.linked(!*l.q.Superuser, names...)
	return nil
}

// bearers adds the groups and roles that are linked everywhere to one of some names.
func (l *userList) bearers(of []string, names *[]string) error {
	query := "SELECT DISTINCT v0 FROM casbin_rule WHERE tenant_id = ? AND ptype = 'g' AND v1 IN (" + marks(len(of)) +
		") AND v2 = '*' AND pending = 0 AND (v0 < 'u:' OR v0 >= 'u;')"
	args := []any{l.tenant.ID}
	for _, name := range of {
		args = append(args, name)
	}
	return each(l.ctx, l.tx, query, args, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		if err == nil && !slices.Contains(*names, name) {
			*names = append(*names, name)
		}
		return err
	})
}

// page reads the page.
func (l *userList) page() (access.FoundUsers, error) {
	found := access.FoundUsers{Revision: l.tenant.Revision, Total: -1}
	start, err := l.start((*userFilter).unknown)
	if err == nil && start < 0 && (len(l.filters) > 1 || len(l.q.Statuses) > 0) {
		hits, whole, failed := l.hits()
		if failed != nil {
			return found, failed
		}
		if hits != nil {
			return l.show(hits, whole)
		}
		start, err = l.start((*userFilter).known)
	}
	if err != nil {
		return found, err
	}
	if found.Total, err = l.total(start); err != nil {
		return found, err
	}
	query, args := l.statement(start)
	return found, l.read(&found, query, args)
}

// read appends accounts to the page until it is full.
func (l *userList) read(found *access.FoundUsers, query string, args []any) error {
	return each(l.ctx, l.tx, query, args, func(rows *sql.Rows) error {
		row, err := scanUser(l.tenant.ID, rows)
		if err != nil || len(found.Users) == l.q.Most {
			found.More = found.More || err == nil
			return err
		}
		u, err := row.user()
		found.Users, found.Places = append(found.Users, u), append(found.Places, l.place(row))
		return err
	})
}

// statement reads the accounts of the page, and one more.
func (l *userList) statement(start int) (string, []any) {
	from, args := l.from(start)
	if after, with := l.after(); after != "" {
		from, args = from+" AND "+after, append(args, with...)
	}
	return "SELECT " + userColumns + from + l.order() + " LIMIT ?", append(args, l.q.Most+1)
}

// hits asks the roster for accounts that pass, and tells whether all filters
// were asked of it; nil where it does not tell.
func (l *userList) hits() (found *hits, whole bool, err error) {
	ask := rosterSearch{sort: l.q.Sort, down: l.q.Descending, after: l.q.After, most: l.q.Most + 1}
	whole = true
	for _, f := range l.filters {
		switch {
		case f.text:
			ask.text = f.with[0].(string)
		case f.roll != nil:
			ask.conditions = append(ask.conditions, *f.roll)
		default:
			whole, ask.most = false, few
		}
	}
	found, err = l.rosters.find(l.view, ask)
	return found, whole, err
}

// show fills the page with hits. Where so many of them are kept out by the
// filters that the roster does not know, the list is walked from where it has
// come to.
func (l *userList) show(hits *hits, whole bool) (found access.FoundUsers, err error) {
	found.Revision, found.Total = l.tenant.Revision, -1
	if whole {
		found.Total = hits.total
	} else if hits.total <= few {
		if found.Total, err = l.count(hits.all); err != nil {
			return found, err
		}
	}
	for part := range slices.Chunk(hits.next, max(l.q.Most+1, few/4)) {
		query, args := l.among(len(part), func(i int) string { return part[i].ID })
		if err := l.read(&found, "SELECT "+userColumns+query+l.order(), args); err != nil || found.More {
			return found, err
		}
		l.q.After = part[len(part)-1]
	}
	if !hits.more {
		return found, nil
	}
	query, args := l.statement(-1)
	return found, l.read(&found, query, args)
}

// count counts those of some accounts that pass the other filters.
func (l *userList) count(ids []string) (n int, err error) {
	for part := range slices.Chunk(ids, few/4) {
		some := 0
		query, args := l.among(len(part), func(i int) string { return part[i] })
		if err := l.tx.QueryRowContext(l.ctx, "SELECT COUNT(*)"+query, args...).Scan(&some); err != nil {
			return 0, err
		}
		n += some
	}
	return n, nil
}

// among gives what n accounts of the roster are read from as far as they pass the
// filters that it does not know.
func (l *userList) among(n int, id func(int) string) (string, []any) {
	ids, rest := make([]any, n), *l
	for i := range ids {
		ids[i] = id(i)
	}
	rest.filters = []userFilter{l.named(ids)}
	for _, f := range l.filters {
		if f.unknown() {
			rest.filters = append(rest.filters, f)
		}
	}
	return rest.from(0)
}

// named is a filter that these accounts pass.
func (l *userList) named(ids []any) userFilter {
	if len(ids) == 0 {
		ids = []any{""} // no id is empty
	}
	return userFilter{ids: "SELECT id AS chosen FROM users WHERE tenant_id = ? AND id IN (" + marks(len(ids)) + ")", args: append([]any{l.tenant.ID}, ids...)}
}

// start gives the place of a filter that leaves few accounts, or -1.
func (l *userList) start(of func(*userFilter) bool) (int, error) {
	for i := range l.filters {
		f := &l.filters[i]
		if !of(f) {
			continue
		}
		if f.text {
			l.scanned(f)
		}
		if isFew, err := l.leavesFew(f); isFew || err != nil {
			return i, err
		}
	}
	return -1, nil
}

func (f *userFilter) known() bool   { return f.text || f.roll != nil }
func (f *userFilter) unknown() bool { return !f.known() }

// scanned makes the filter for a text read one narrow index, where databases may
// think that another is as good: they do not know that it is narrow.
func (l *userList) scanned(f *userFilter) {
	hint := "FORCE INDEX (users_search)"
	if l.sqlite {
		hint = "INDEXED BY users_search"
	}
	f.ids, f.args = "SELECT id AS chosen FROM users "+hint+" WHERE tenant_id = ? AND "+f.where, append([]any{l.tenant.ID}, f.with...)
}

// leavesFew tells whether few accounts pass a filter. Where they are very few
// they are named from there on, so that nothing is searched twice.
func (l *userList) leavesFew(f *userFilter) (bool, error) {
	if f.ids == "" {
		return false, nil
	}
	var ids []any
	err := each(l.ctx, l.tx, f.ids+" LIMIT ?", append(slices.Clone(f.args), few+1), func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err == nil && len(ids) <= chunkRowsSQLite {
		named := l.named(ids)
		f.ids, f.args = named.ids, named.args
	}
	return err == nil && len(ids) <= few, err
}

// from gives what a list is read from, with every condition but the place.
func (l *userList) from(start int) (string, []any) {
	var args []any
	text := " FROM users"
	switch index := sorts[l.q.Sort].index; {
	case start >= 0: // both kinds of join keep the order; else the few might be looked for among all
		join := " STRAIGHT_JOIN"
		if l.sqlite {
			join = " CROSS JOIN"
		}
		text = " FROM (" + l.filters[start].ids + ") AS few" + join + " users ON users.id = few.chosen"
		args = append(args, l.filters[start].args...)
	case !l.sqlite:
		text += " FORCE INDEX (" + index + ")"
	case l.q.Sort != access.SortID: // SQLite has no name for the primary key, and uses it
		text += " INDEXED BY " + index
	}
	text += " WHERE users.tenant_id = ?"
	args = append(args, l.tenant.ID)
	for i, f := range l.filters {
		if i != start {
			text += " AND " + f.where
			args = append(args, f.with...)
		}
	}
	return text, args
}

// total counts where that is cheap.
func (l *userList) total(start int) (int, error) {
	from, args := l.from(start)
	n, query := 0, "SELECT COUNT(*)"+from
	if start < 0 {
		if len(l.filters) > 1 || len(l.q.Statuses) > 0 {
			return -1, nil
		}
		query, args = "SELECT COUNT(*) FROM users WHERE tenant_id = ? AND status = ?", []any{l.tenant.ID, string(access.UserDeleted)}
	}
	if err := l.tx.QueryRowContext(l.ctx, query, args...).Scan(&n); err != nil {
		return -1, err
	}
	if start < 0 { // all but the deleted ones
		return int(l.tenant.Users) - n, nil
	}
	return n, nil
}

// after leaves out what stands before the page.
func (l *userList) after() (string, []any) {
	column, beyond := sorts[l.q.Sort].column, " > ?"
	if l.q.Descending {
		beyond = " < ?"
	}
	at := l.q.After
	switch {
	case at == access.UserPlace{}:
		return "", nil
	case l.q.Sort == access.SortID:
		return "users.id" + beyond, []any{at.ID}
	}
	var key any = at.Key
	if l.q.Sort == access.SortCreated {
		key, _ = strconv.ParseInt(at.Key, 10, 64)
	}
	// The first condition is implied by the second; it is the one that finds the
	// place in the index.
	return fmt.Sprintf("%[1]s%[2]s AND (%[1]s%[3]s OR users.id%[3]s)", column, strings.Replace(beyond, " ?", "= ?", 1), beyond), []any{key, key, at.ID}
}

func (l *userList) order() string {
	way := ""
	if l.q.Descending {
		way = " DESC"
	}
	if l.q.Sort == access.SortID {
		return " ORDER BY users.id" + way
	}
	return " ORDER BY " + sorts[l.q.Sort].column + way + ", users.id" + way
}

func (l *userList) place(r userRow) access.UserPlace {
	at := access.UserPlace{ID: r.ID}
	switch l.q.Sort {
	case access.SortCreated:
		at.Key = strconv.FormatInt(r.CreatedAt, 10)
	case access.SortName:
		at.Key = r.NameKey
	case access.SortEmail:
		at.Key = r.MailKey
	case access.SortID:
	}
	return at
}
