package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Report is a table for people who look into who may do what. It is whole: what
// would be too long is refused, never cut.
type Report struct {
	Title   string
	State   access.State // that was looked at, or the later one of two
	Columns []string
	Rows    [][]string
	Notes   []string // what a reader has to know to understand it rightly
}

// maxReport is how many rows a report may have.
const maxReport = 200_000

var errLongReport = access.Invalid("report", "would have more than %d rows; ask for one user, group or section", maxReport)

func (r *Report) add(cells ...string) error {
	if len(r.Rows) == maxReport {
		return errLongReport
	}
	r.Rows = append(r.Rows, cells)
	return nil
}

// Reports are for auditors. Whoever may look at the history may have them.
type Reports struct {
	history *History
	records *Records // nil: no log of decisions is kept
}

// NewReports looks at the past, the history and the log of decisions. records is
// nil where no log is kept.
func NewReports(h *History, records *Records) *Reports { return &Reports{h, records} }

// AccessQuery says who and what a report of rights is about. What is empty does
// not narrow it.
type AccessQuery struct {
	Of          access.AsOf
	User, Group string
	Section     access.Section // this one and those below it
	Used        bool           // tell when each right was last used
	UnusedSince time.Time      // only rights that were not used at this moment or later
}

// reportUser is an account that a report speaks of.
type reportUser struct{ id, name, email, status string }

// Access tells who has what, where it comes from, since when and until when, and
// by whose revision.
func (p *Reports) Access(ctx context.Context, caller access.Caller, tenant string, q AccessQuery) (Report, error) {
	r := Report{Title: "Who may do what", Columns: []string{
		"user", "name", "email", "status", "section", "rights", "scope", "effect", "condition", "origin", "since", "by", "reason", "revision", "until",
	}}
	sight, err := p.sight(ctx, caller, tenant, q.Of, &r)
	if err != nil {
		return r, err
	}
	if q.Section != "" {
		if err := sight.Frame().ValidFilter("section", q.Section); err != nil {
			return r, err
		}
	}
	users, err := p.users(ctx, tenant, &r, q)
	if err != nil {
		return r, err
	}
	uses, err := p.uses(ctx, tenant, q, &r)
	if err != nil {
		return r, err
	}
	a := accessReport{p: p, report: &r, sight: sight, query: q, uses: uses, tenant: tenant, made: map[string]access.RevisionEntry{}, conditions: map[string]string{}}
	for _, c := range sight.Frame().Conditions {
		a.conditions[c.ID] = c.Text
	}
	for _, u := range users {
		if err := a.user(ctx, u); err != nil {
			return r, err
		}
	}
	return r, nil
}

// sight opens a state for whoever may look at the history.
func (p *Reports) sight(ctx context.Context, caller access.Caller, tenant string, of access.AsOf, r *Report) (access.Sight, error) {
	if err := p.history.open(ctx, caller, tenant); err != nil {
		return nil, err
	}
	answers, state, err := p.history.past.At(ctx, tenant, of)
	if err != nil {
		return nil, err
	}
	r.State = state
	s, err := answers.Sight(tenant)
	if err == nil && !s.Frame().Ours() {
		err = access.Invalid("tenant", "has a Casbin model of its own, whose rights are not those of users and groups")
	}
	return s, err
}

func (p *Reports) users(ctx context.Context, tenant string, r *Report, q AccessQuery) ([]reportUser, error) {
	var all []reportUser
	err := p.history.store.ViewAt(ctx, tenant, r.State.Revision, func(reading access.Reading) error {
		if q.Group != "" && groupAt(reading.Policy(), q.Group) < 0 {
			return access.NotFound("group", q.Group)
		}
		return reading.EachUser(func(u access.User) error {
			in := q.Group == "" || slices.ContainsFunc(u.Groups, func(l access.Link) bool { return l.To == q.Group })
			if in && (q.User == "" || u.ID == q.User) && u.Status != access.UserDeleted {
				all = append(all, reportUser{u.ID, u.Name, u.Email, string(cmp.Or(u.Status, access.UserActive))})
			}
			return nil
		})
	})
	if err == nil && q.User != "" && len(all) == 0 {
		err = access.NotFound("user", q.User)
	}
	return all, err
}

// use is what counts as one use of a right.
type use struct {
	subject string
	section access.Section
}

// maxUses is how many answers of the log are looked at for when rights were used.
const maxUses = 200_000

// uses finds when rights were last used, by the log of decisions: the newest
// permission for somebody in a section or below it.
func (p *Reports) uses(ctx context.Context, tenant string, q AccessQuery, r *Report) (map[use]time.Time, error) {
	if !q.Used && q.UnusedSince.IsZero() {
		return nil, nil //nolint:nilnil // it is not asked for
	}
	if p.records == nil {
		return nil, access.Invalid("used", "no log of decisions is kept here: set decisions.store")
	}
	r.Columns = append(r.Columns, "last used")
	log, err := p.records.Recent(ctx, tenant, maxUses)
	if err != nil {
		return nil, err
	}
	last := map[use]time.Time{}
	for _, e := range log {
		if !e.Decision.Allowed {
			continue
		}
		for s := e.Request.Section; s != ""; s = s.Parent() {
			if at := (use{e.Request.Subject.String(), s}); e.At.After(last[at]) {
				last[at] = e.At
			}
		}
	}
	since := "an empty log"
	if len(log) > 0 {
		since = "the log since " + log[len(log)-1].At.Format(time.RFC3339)
	}
	r.Notes = append(r.Notes, "When a right was last used is told by "+since+"; what is sampled or masked there is not seen.")
	return last, nil
}

// accessReport is one report on its way.
type accessReport struct {
	p          *Reports
	report     *Report
	sight      access.Sight
	query      AccessQuery
	uses       map[use]time.Time
	tenant     string
	made       map[string]access.RevisionEntry // by rule: those of groups are asked for again and again
	conditions map[string]string
}

func (a *accessReport) user(ctx context.Context, u reportUser) error {
	who := access.Subject{Kind: access.KindUser, ID: u.id}
	reached, err := a.sight.Reached(ctx, who.Rule(), access.Ever)
	if err != nil {
		return err
	}
	if err := a.blame(ctx, reached); err != nil {
		return err
	}
	for _, r := range reached {
		if s := a.query.Section; s != "" && r.Holding.Section != s && !s.Above(r.Holding.Section) && r.Rule.Values[0] != access.SuperuserRole {
			continue
		}
		if err := a.right(u, who, r); err != nil {
			return err
		}
	}
	return nil
}

// blame asks which revisions made rules that were not seen before.
func (a *accessReport) blame(ctx context.Context, reached []access.Reached) error {
	var unknown []access.Rule
	for _, r := range reached {
		for _, rule := range append(slices.Clone(r.Path), r.Rule) {
			if _, known := a.made[rule.String()]; !known {
				a.made[rule.String()] = access.RevisionEntry{}
				unknown = append(unknown, rule)
			}
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	entries, err := a.p.history.store.Made(ctx, a.tenant, a.report.State.Revision, unknown)
	for i := range entries {
		a.made[unknown[i].String()] = entries[i]
	}
	return err
}

func (a *accessReport) right(u reportUser, who access.Subject, r access.Reached) error {
	since, until := access.RevisionEntry{}, time.Time{}
	for _, rule := range append(slices.Clone(r.Path), r.Rule) {
		if e := a.made[rule.String()]; e.Number > since.Number {
			since = e // the right is there since the last part of its way is
		}
		until = access.Sooner(until, rule.Validity.Until)
	}
	cells := []string{
		u.id, u.name, u.email, u.status, sectionText(r), rightsText(r.Holding), string(r.Holding.Scope), string(r.Holding.Effect),
		a.conditions[r.Holding.Condition], originText(r), momentText(since.At), since.Author, since.Reason, revisionText(since.Number), momentText(until),
	}
	if a.uses != nil {
		last := a.uses[use{who.String(), r.Holding.Section}]
		if !a.query.UnusedSince.IsZero() && (!last.Before(a.query.UnusedSince) || r.Holding.Effect == access.Deny) {
			return nil
		}
		cells = append(cells, momentText(last))
	}
	return a.report.add(cells...)
}

func sectionText(r access.Reached) string {
	if r.Rule.Values[0] == access.SuperuserRole {
		return "everything"
	}
	if r.Holding.Act.Inherits() {
		return string(r.Holding.Section) + " and below"
	}
	return string(r.Holding.Section)
}

func rightsText(h access.Holding) string {
	if h.Act.All {
		return "all"
	}
	names := slices.DeleteFunc(h.Act.Rights.Names(), func(name string) bool { return name == "inherit" })
	if h.Act.Name != "" {
		names = append(names, h.Act.Name)
	}
	return strings.Join(names, ", ")
}

// originText is the way of a right to its holder.
func originText(r access.Reached) string {
	var way []string
	for _, link := range r.Path {
		way = append(way, holderText(link.Values[1]))
	}
	if len(way) == 0 {
		return "own"
	}
	return strings.Join(way, " > ")
}

func holderText(name string) string {
	kind, id, _ := access.ParseName(name)
	if noun := nouns[kind]; noun != "" {
		return noun + " " + id
	}
	return name
}

func momentText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func revisionText(n access.Revision) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}

// Who tells who may do something, and by which rule.
func (p *Reports) Who(ctx context.Context, caller access.Caller, tenant string, ask access.Request, of access.AsOf) (Report, error) {
	r := Report{Columns: []string{"subject", "reason", "rule", "origin", "until"}}
	if _, err := p.sight(ctx, caller, tenant, of, &r); err != nil {
		return r, err
	}
	answers, _, err := p.history.past.At(ctx, tenant, access.AsOf{Revision: r.State.Revision, At: of.At})
	if err != nil {
		return r, err
	}
	r.Title = fmt.Sprintf("Who may %s %s at %s", ask.Actions[0], ask.Section, ask.Scope)
	search := access.SubjectSearch{Request: ask, Most: MaxPage}
	for {
		found, err := answers.SearchSubjects(ctx, tenant, &search)
		if err != nil {
			return r, err
		}
		for _, s := range found.Subjects {
			ask.Subject = s
			why, err := answers.Explain(ctx, tenant, &ask)
			if err == nil {
				err = r.add(s.String(), string(why.Reason), lineOf(why.Rule), wayOf(why), momentText(why.ValidUntil))
			}
			if err != nil {
				return r, err
			}
		}
		if !found.More {
			return r, nil
		}
		search.After = found.Subjects[len(found.Subjects)-1]
	}
}

func wayOf(why access.Explanation) string {
	var way []string
	for _, part := range why.Parts {
		for _, link := range part.Path {
			way = append(way, holderText(link.Values[1]))
		}
	}
	return strings.Join(way, " > ")
}

// Changes tells what was changed between two states, revision by revision.
func (p *Reports) Changes(ctx context.Context, caller access.Caller, tenant string, from, to access.AsOf) (Report, error) {
	r := Report{Title: "What was changed", Columns: []string{"revision", "at", "by", "door", "reason", "change"}}
	if err := p.history.open(ctx, caller, tenant); err != nil {
		return r, err
	}
	begin, err := p.history.store.StateAt(ctx, tenant, from)
	if errors.Is(err, access.ErrNotFound) && !from.At.IsZero() {
		begin, err = access.State{}, nil // there was nothing yet
	}
	if err == nil {
		r.State, err = p.history.store.StateAt(ctx, tenant, to)
	}
	if err != nil {
		return r, err
	}
	q := access.HistorySearch{Before: r.State.Revision + 1, Told: true, Most: MaxPage}
	for {
		page, err := p.history.store.History(ctx, tenant, q)
		if err != nil {
			return r, err
		}
		for _, v := range page.Versions {
			if v.Number <= begin.Revision {
				return r, nil
			}
			if err := r.version(v); err != nil {
				return r, err
			}
			q.Before = v.Number
		}
		if !page.More {
			return r, nil
		}
	}
}

func (r *Report) version(v access.Version) error {
	for _, o := range v.Operations {
		if err := r.add(revisionText(v.Number), momentText(v.At), v.Author, v.Source, v.Reason, o.String()); err != nil {
			return err
		}
	}
	if len(v.Operations) == 0 {
		return r.add(revisionText(v.Number), momentText(v.At), v.Author, v.Source, v.Reason, "")
	}
	return nil
}

// Book says in plain words what a holder may do; of every group where it is
// empty. Holders are named as in rules: "g:sales", "u:42".
func (p *Reports) Book(ctx context.Context, caller access.Caller, tenant, holder string, of access.AsOf) (Report, error) {
	r := Report{Title: "Policy book", Columns: []string{"who", "says"}}
	s, err := p.sight(ctx, caller, tenant, of, &r)
	if err != nil {
		return r, err
	}
	b := book{report: &r, sight: s, conditions: map[string]string{}, labels: map[access.Section]string{}}
	for _, c := range s.Frame().Conditions {
		b.conditions[c.ID] = c.Text
	}
	for _, a := range s.Frame().Catalogue {
		for _, e := range a.Sections {
			b.labels[e.Path] = e.Name
		}
	}
	if holder != "" {
		if _, _, ok := access.ParseName(holder); !ok {
			return r, access.Invalid("holder", "%q is not a name of a rule such as g:sales or u:42", holder)
		}
		return r, b.chapter(ctx, holder)
	}
	for _, code := range slices.Sorted(maps.Keys(s.Frame().Groups)) {
		if err := b.chapter(ctx, access.Name(access.KindGroup, code)); err != nil {
			return r, err
		}
	}
	return r, nil
}

// book writes sentences.
type book struct {
	report     *Report
	sight      access.Sight
	conditions map[string]string
	labels     map[access.Section]string
}

func (b *book) chapter(ctx context.Context, holder string) error {
	reached, err := b.sight.Reached(ctx, holder, access.Ever)
	if err != nil {
		return err
	}
	who := holderText(holder)
	if len(reached) == 0 {
		return b.report.add(who, "may do nothing.")
	}
	for _, r := range reached {
		if err := b.report.add(who, b.sentence(r)); err != nil {
			return err
		}
	}
	return nil
}

// sentence is one rule in words, for instance: may show and update Orders
// (Shop.Orders) and what lies below it, in store:eu-1, by role clerk.
func (b *book) sentence(r access.Reached) string {
	if r.Rule.Values[0] == access.SuperuserRole {
		return "may do everything everywhere, by " + originText(r) + "."
	}
	may := "may "
	if r.Holding.Effect == access.Deny {
		may = "must not "
	}
	text := may + strings.ReplaceAll(rightsText(r.Holding), ", ", " and ") + " " + string(r.Holding.Section)
	if label := b.labels[r.Holding.Section]; label != "" {
		text = may + strings.ReplaceAll(rightsText(r.Holding), ", ", " and ") + " " + label + " (" + string(r.Holding.Section) + ")"
	}
	if r.Holding.Act.Inherits() {
		text += " and what lies below it"
	}
	if r.Holding.Scope != access.Everywhere {
		text += ", in " + string(r.Holding.Scope)
	}
	if condition := b.conditions[r.Holding.Condition]; condition != "" {
		text += ", where " + condition
	}
	if from := r.Rule.Validity.From; !from.IsZero() {
		text += ", from " + momentText(from)
	}
	if until := r.Rule.Validity.Until; !until.IsZero() {
		text += ", until " + momentText(until)
	}
	if len(r.Path) > 0 {
		text += ", by " + originText(r)
	}
	return text + "."
}
