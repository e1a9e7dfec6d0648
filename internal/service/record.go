package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Recorder keeps the answers that applications act upon.
type Recorder interface {
	// Wants tells whether an answer is to be kept.
	Wants(tenant string, r *access.Request, allowed bool, reason access.Reason) bool
	// Record keeps answers, at least one, which belong to the recorder from then
	// on. An error says that they are not kept and must not be given.
	Record(ctx context.Context, answers []access.Recorded) error
}

// RecordTo has answers of Check and CheckAll recorded. It is called before the
// first question, or never.
func (d *Decisions) RecordTo(r Recorder) { d.log = r }

// posed is what is known when a question is put.
type posed struct {
	at    time.Time
	epoch string
}

// asking looks at the epoch before the question is answered. Where nothing is
// recorded it looks at nothing.
func (d *Decisions) asking(tenant string) posed {
	if d.log == nil {
		return posed{}
	}
	a := posed{at: d.state.opts.Clock()}
	if in, ok := d.state.installed(tenant); ok {
		a.epoch = in.epoch
	}
	return a
}

// record keeps an answer. What is asked of the past nobody acts upon. It takes
// the answer by value: one that is looked at through an interface
// would have to be allocated for every question.
func (d *Decisions) record(ctx context.Context, caller access.Caller, tenant string, want access.Consistency, began posed, r *access.Request, answer access.Decision) error {
	if d.log == nil || !want.AsOf.Now() || !d.log.Wants(tenant, r, answer.Allowed, answer.Reason) {
		return nil
	}
	return d.log.Record(ctx, []access.Recorded{recorded(caller, tenant, began, d.state.opts.Clock(), r, &answer)})
}

func (d *Decisions) recordAll(ctx context.Context, caller access.Caller, tenant string, want access.Consistency, began posed, rs []access.Request, answers []access.Decision) error {
	if d.log == nil || !want.AsOf.Now() {
		return nil
	}
	var all []access.Recorded
	ended := d.state.opts.Clock()
	for i := range answers {
		if d.log.Wants(tenant, &rs[i], answers[i].Allowed, answers[i].Reason) {
			all = append(all, recorded(caller, tenant, began, ended, &rs[i], &answers[i]))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return d.log.Record(ctx, all)
}

// recorded copies all that the log keeps: a question's strings are cut out of
// the body of a request, which would stay in memory with them.
func recorded(caller access.Caller, tenant string, began posed, ended time.Time, r *access.Request, d *access.Decision) access.Recorded {
	e := access.Recorded{
		At: began.at.UTC().Truncate(time.Microsecond), Took: ended.Sub(began.at), Tenant: strings.Clone(tenant), Epoch: began.epoch,
		Caller: caller.Name, RequestID: caller.RequestID, Decision: *d,
	}
	whole := false
	if e.Request, whole = copied(r); !whole {
		e.Request, e.Masked = namesOf(r), []string{"attributes"}
	}
	e.Decision.Detail = strings.Clone(d.Detail)
	if d.Rule != nil {
		e.Decision.Rule = &access.Rule{Type: d.Rule.Type, Values: d.Rule.Values}
	}
	return e
}

// namesOf is what is kept of a question that is too large to be kept whole.
func namesOf(r *access.Request) access.Request {
	const most = 256
	cut := func(s string) string { return strings.Clone(s[:min(len(s), most)]) }
	q := access.Request{
		Subject: access.Subject{Kind: r.Subject.Kind, ID: cut(r.Subject.ID)}, Section: access.Section(cut(string(r.Section))),
		Scope: access.Scope(cut(string(r.Scope))), Entity: access.Entity{Type: cut(r.Entity.Type), ID: cut(r.Entity.ID)}, RawSet: cut(r.RawSet),
	}
	for _, a := range r.Actions[:min(len(r.Actions), most)] {
		q.Actions = append(q.Actions, access.Action(cut(string(a))))
	}
	for _, v := range r.Raw[:min(len(r.Raw), most)] {
		if text, ok := v.(string); ok {
			v = cut(text)
		} else {
			v = nil
		}
		q.Raw = append(q.Raw, v)
	}
	return q
}

// RecordStore is where recorded answers are looked up.
type RecordStore interface {
	Decision(ctx context.Context, tenant, id string) (access.Recorded, error)
	FindDecisions(ctx context.Context, tenant string, q access.RecordedSearch) ([]access.Recorded, error)
	// EpochAt gives the epoch in which a revision of the history was made.
	EpochAt(ctx context.Context, tenant string, revision access.Revision) (string, error)
}

// RecordsOptions for NewRecords. The zero value works.
type RecordsOptions struct {
	// Subject gives a subject as it stands in the log. As it is when nil.
	Subject func(string) string
	// Alarm is called with every replay that came out otherwise.
	Alarm func(Replay)
}

// Records looks into the log of decisions.
type Records struct {
	store     RecordStore
	past      *Past
	state     *Follower
	authority *Authority
	opts      RecordsOptions
}

// NewRecords looks up answers in the store and gives them again by the past.
func NewRecords(s RecordStore, p *Past, f *Follower, a *Authority, o RecordsOptions) *Records {
	return &Records{store: s, past: p, state: f, authority: a, opts: o}
}

// ofRecords is needed of whoever looks into the log.
var ofRecords = Need{Part: "Audit", Action: "show", Scope: access.Everywhere}

// Recent gives the newest answers of a tenant that were kept, at most so many. It
// asks nobody: it is for what is shown to those who may see the tenant's policy.
func (r *Records) Recent(ctx context.Context, tenant string, n int) ([]access.Recorded, error) {
	var all []access.Recorded
	q := access.RecordedSearch{}
	for len(all) < n {
		q.Most = min(n-len(all), MaxPage)
		page, err := r.store.FindDecisions(ctx, tenant, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < q.Most {
			break
		}
		q.After = page[len(page)-1].ID
	}
	return all, nil
}

// Find gives a page of answers, and the token of the next one, or "" behind the
// last.
func (r *Records) Find(ctx context.Context, caller access.Caller, tenant string, q access.RecordedSearch, token string) ([]access.Recorded, string, error) {
	if _, err := r.authority.Allow(ctx, caller, tenant, ofRecords); err != nil {
		return nil, "", err
	}
	if q.Most == 0 {
		q.Most = DefaultPage
	}
	if q.Most < 1 || q.Most > MaxPage {
		return nil, "", access.Invalid("page_size", "must be 1 to %d", MaxPage)
	}
	if r.opts.Subject != nil {
		q.Subject = r.opts.Subject(q.Subject)
	}
	wanted := q.Most
	q.Most = 0 // no part of the list
	list, err := r.state.list(tenant, "decisions", q)
	if err != nil {
		return nil, "", err
	}
	if err := r.state.pages.open(ctx, list, token, &q.After); err != nil {
		return nil, "", err
	}
	q.Most = wanted + 1
	found, err := r.store.FindDecisions(ctx, tenant, q)
	if err != nil || len(found) <= wanted {
		return found, "", err
	}
	next, err := r.state.pages.seal(ctx, list, found[wanted-1].ID)
	return found[:wanted], next, err
}

// Get gives one answer.
func (r *Records) Get(ctx context.Context, caller access.Caller, tenant, id string) (access.Recorded, error) {
	if _, err := r.authority.Allow(ctx, caller, tenant, ofRecords); err != nil {
		return access.Recorded{}, err
	}
	return r.store.Decision(ctx, tenant, id)
}

// Replay is an answer as it was given and as it is given again.
type Replay struct {
	Recorded access.Recorded
	Again    access.Decision
	Differs  []string // what came out otherwise: an alarm
}

// Replay gives an answer again, by the same revision and at the same moment.
// What was masked cannot be.
func (r *Records) Replay(ctx context.Context, caller access.Caller, tenant, id string) (Replay, error) {
	e, err := r.Get(ctx, caller, tenant, id)
	if err != nil {
		return Replay{}, err
	}
	return r.again(ctx, e)
}

func (r *Records) again(ctx context.Context, e access.Recorded) (Replay, error) {
	done := Replay{Recorded: e}
	if !e.Replayable() {
		return done, &access.Error{Kind: ErrConflict, Field: "id", Message: "cannot be replayed exactly: of the question, " +
			strings.Join(e.Masked, ", ") + " was not kept as it was"}
	}
	if err := r.judge(ctx, &done); err != nil || len(done.Differs) == 0 {
		return done, err
	}
	epoch, err := r.store.EpochAt(ctx, e.Tenant, e.Decision.Revision)
	if err != nil {
		return done, err
	}
	if epoch != e.Epoch {
		return done, &access.Error{Kind: ErrConflict, Field: "id", Message: fmt.Sprintf(
			"cannot be replayed: the history with revision %d of that time was replaced since, as by a restore", e.Decision.Revision)}
	}
	if r.opts.Alarm != nil {
		r.opts.Alarm(done)
	}
	return done, nil
}

// judge gives the answer again, for the moments between which it was given.
func (r *Records) judge(ctx context.Context, done *Replay) error {
	e := &done.Recorded
	if r.past == nil {
		return access.Unavailable("what was in force once is not kept here")
	}
	for _, at := range []time.Time{e.At, e.At.Add(e.Took)} {
		by, _, err := r.past.At(ctx, e.Tenant, access.AsOf{Revision: e.Decision.Revision, At: at})
		if errors.Is(err, access.ErrNotFound) || errors.Is(err, access.ErrInvalid) {
			done.Differs = []string{"revision"} // it is not there, or not what was written
			return nil
		}
		if err != nil {
			return err
		}
		again, err := by.DecideAll(ctx, e.Tenant, []access.Request{e.Request})
		if err != nil {
			return err
		}
		done.Again = again[0]
		if done.Differs = unlike(&e.Decision, &done.Again); len(done.Differs) == 0 {
			break
		}
	}
	return nil
}

// unlike names what two answers do not have in common.
func unlike(was, is *access.Decision) []string {
	var all []string
	for _, x := range []struct {
		name    string
		differs bool
	}{
		{"decision", was.Allowed != is.Allowed},
		{"reason", was.Reason != is.Reason},
		{"detail", was.Detail != is.Detail},
		{"action", was.Action != is.Action},
		{"rule", lineOf(was.Rule) != lineOf(is.Rule)},
		{"valid_until", !was.ValidUntil.Equal(is.ValidUntil)},
		{"revision", was.Revision != is.Revision},
	} {
		if x.differs {
			all = append(all, x.name)
		}
	}
	return all
}

func lineOf(r *access.Rule) string {
	if r == nil {
		return ""
	}
	return r.String()
}
