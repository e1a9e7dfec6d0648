package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// What changes are called in the history.
const (
	kindTenant = "tenant" // the settings
	kindRole   = "role"
	kindUser   = "user"
	kindRule   = "rule"
	kindKey    = "key"
	kindEpoch  = "epoch"

	kindToken    = "token"    // that a one-time token was made
	kindMail     = "mail"     // that a mail was queued
	kindPassword = "password" // that one was set, without it
	kindSession  = "session"  // that somebody else has ended them, or let their user try again

	kindSecondFactor = "second_factor" // that one was set up or taken away, without what it is made of
)

// event tells whether a change of this kind only says what has happened. No
// decision reads it, and no row of ours is what its images say.
func event(kind string) bool {
	switch kind {
	case kindToken, kindMail, kindPassword, kindSecondFactor, kindSession:
		return true
	}
	return false
}

// maxFollowed is how many changes a difference may be made of: beyond it a full
// load is quicker.
const maxFollowed = 20_000

// Changes gives the difference between the facts of a tenant at a revision and
// now, from one snapshot. It is ErrStale where there is no way but to load in
// full: the revision is not one of this history, the history is not what was
// written, the epoch is new, or there is too much in between.
func (s *Store) Changes(ctx context.Context, tenant string, from access.Revision) (access.Delta, error) {
	var d access.Delta
	err := s.snapshot(ctx, tenant, func(v view) (err error) {
		d, err = v.since(from)
		return err
	})
	if err != nil {
		return access.Delta{}, fault("read the changes of "+tenant, err)
	}
	return d, nil
}

// since folds what was written after a revision, and goes along the chain of
// hashes while it reads: what has been edited is not followed.
func (v view) since(from access.Revision) (access.Delta, error) {
	f := newFold(v.tenant, from)
	if from == v.tenant.Revision {
		return f.delta, nil
	}
	walk, err := v.walkFrom(from)
	if err != nil {
		return access.Delta{}, err
	}
	walk.take = f.take
	if err := each(v.ctx, v.tx, chainQuery, []any{v.tenant.ID, from}, walk.row); err != nil {
		return access.Delta{}, unfollowed(from, err)
	}
	if err := walk.finish(); err != nil {
		return access.Delta{}, unfollowed(from, err)
	}
	if f.epoch {
		return access.Delta{}, loadInFull(from, "the tenant has a new epoch")
	}
	return f.sum(v, walk.now.MadeAt)
}

// walkFrom begins behind a revision after looking whether that is worth while.
func (v view) walkFrom(from access.Revision) (*chainWalk, error) {
	if from > v.tenant.Revision {
		return nil, loadInFull(from, "the tenant is only at revision %d", v.tenant.Revision)
	}
	now := revisionRow{Number: from}
	query := "SELECT hash FROM revision WHERE tenant_id = ? AND number = ?"
	err := v.tx.QueryRowContext(v.ctx, query, v.tenant.ID, from).Scan(&now.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, loadInFull(from, "it is not in the history")
	}
	if err != nil {
		return nil, err
	}
	if v.tenant.Revision-from > maxFollowed {
		return nil, loadInFull(from, "there are more than %d revisions since", maxFollowed)
	}
	var count sql.NullInt64
	query = `SELECT SUM((SELECT MAX(n) FROM revision_change c WHERE c.tenant_id = r.tenant_id AND c.revision = r.number))
		FROM revision r WHERE tenant_id = ? AND number > ?`
	if err := v.tx.QueryRowContext(v.ctx, query, v.tenant.ID, from).Scan(&count); err != nil {
		return nil, err
	}
	if count.Int64 > maxFollowed {
		return nil, loadInFull(from, "there are %d changes since, more than %d", count.Int64, maxFollowed)
	}
	return &chainWalk{tenant: v.tenant, now: now}, nil
}

func loadInFull(from access.Revision, format string, args ...any) error {
	return &access.Error{Kind: access.ErrStale, Field: "revision", Message: fmtRevision(from) +
		" cannot be followed, load in full: " + access.Invalid("", format, args...).Error()}
}

// unfollowed turns what is wrong with the history into ErrStale: what decides
// lies in other tables, which a full load judges.
func unfollowed(from access.Revision, err error) error {
	if errors.Is(err, access.ErrInvalid) {
		return loadInFull(from, "%v", err)
	}
	return err
}

// fold sums up changes, oldest first, into the difference that they make.
type fold struct {
	delta  access.Delta
	rules  map[string]edit[access.Rule] // by line
	users  map[string]edit[access.UserFacts]
	policy bool // more than single users has changed
	ruled  bool // a rule has changed
	frame  bool // something has changed that is neither a user nor a rule
	epoch  bool
}

func newFold(tenant tenantRow, from access.Revision) *fold {
	return &fold{
		delta: access.Delta{Tenant: tenant.Code, Epoch: tenant.Epoch, From: from, To: tenant.Revision, Policy: tenant.PolicyRevision},
		rules: map[string]edit[access.Rule]{}, users: map[string]edit[access.UserFacts]{},
	}
}

func (f *fold) take(c changeRow) error {
	if event(c.Kind) {
		return nil
	}
	switch c.Kind {
	case kindRule:
		return f.rule(c)
	case kindUser:
		return f.user(c)
	case kindKey:
	case kindRole: // decisions read what rules were made of it
		f.policy = true
	case kindEpoch:
		f.epoch, f.policy = true, true
	default:
		f.frame, f.policy = true, true
	}
	return nil
}

func (f *fold) user(c changeRow) error {
	e, err := sides(c, userFactsOf)
	f.stripe(c.Name, c.Revision)
	merged(f.users, c.Name, e)
	return err
}

func (f *fold) rule(c changeRow) error {
	e, err := sides(c, ruleOf)
	line := e.old
	if e.hasNew {
		line = e.new
	}
	merged(f.rules, line.Type+"\x00"+strings.Join(line.Values, "\x00"), e)
	f.ruled = true
	if id, ok := line.User(); ok {
		f.stripe(id, c.Revision)
	} else {
		f.policy = true
	}
	return err
}

func (f *fold) stripe(user string, r access.Revision) {
	if f.delta.Stripes == nil {
		f.delta.Stripes = map[access.Stripe]access.Revision{}
	}
	f.delta.Stripes[access.StripeOf(user)] = r
}

// sides reads what a change says was there before and is there after it. What
// was there may be what somebody has spoilt by hand and the change has mended:
// it counts as far as it is understood. Facts that held something else at its
// place will not take the difference.
func sides[R any](c changeRow, read func(name, image string) (R, error)) (edit[R], error) {
	e := edit[R]{hadOld: c.OldValue != "", hasNew: c.NewValue != ""}
	var err error
	if e.hadOld {
		e.old, _ = read(c.Name, c.OldValue)
	}
	if e.hasNew {
		e.new, err = read(c.Name, c.NewValue)
	}
	return e, err
}

// merged adds an edit to the one that those before it make together.
func merged[R any](edits map[string]edit[R], key string, e edit[R]) {
	if first, there := edits[key]; there {
		e.old, e.hadOld = first.old, first.hadOld
	}
	edits[key] = e
}

func ruleOf(name, image string) (access.Rule, error) {
	var i ruleImage
	if err := decode("rule "+name, image, &i); err != nil {
		return access.Rule{}, err
	}
	r, err := i.rule()
	if err == nil {
		err = checkLine(r)
	}
	return r, err
}

func userFactsOf(id, image string) (access.UserFacts, error) {
	var i userImage
	if err := decode("user "+id, image, &i); err != nil {
		return access.UserFacts{}, err
	}
	return userRow{ID: id, Status: i.Status, Body: string(i.Body)}.facts()
}

// sum gives the difference as it stands at the view's revision, which was
// written at a moment in microseconds.
func (f *fold) sum(v view, madeAt int64) (access.Delta, error) {
	d := &f.delta
	d.To, d.Policy, d.At = v.tenant.Revision, v.tenant.PolicyRevision, moment(madeAt)
	for _, e := range f.rules {
		if e.hadOld && e.hasNew && reflect.DeepEqual(e.old, e.new) {
			continue
		}
		if e.hadOld {
			d.Gone = append(d.Gone, e.old)
		}
		if e.hasNew {
			d.Rules = append(d.Rules, e.new)
		}
	}
	users := v.tenant.Users // at the beginning
	for id, e := range f.users {
		switch {
		case e.hadOld && !e.hasNew:
			d.Left = append(d.Left, id)
			users++
		case e.hasNew && (!e.hadOld || !reflect.DeepEqual(e.old, e.new)):
			d.Users = append(d.Users, e.new)
		}
		if e.hasNew && !e.hadOld {
			users--
		}
	}
	slices.SortFunc(d.Gone, byPlace)
	slices.SortFunc(d.Rules, byPlace)
	slices.SortFunc(d.Users, func(a, b access.UserFacts) int { return strings.Compare(a.ID, b.ID) })
	slices.Sort(d.Left)
	if f.frame || (users > v.resident) != (v.tenant.Users > v.resident) {
		return *d, f.readFrame(v)
	}
	return *d, nil
}

func byPlace(a, b access.Rule) int { return cmp.Compare(a.Place, b.Place) }

func (f *fold) readFrame(v view) error {
	l := v.loader()
	if err := l.frame(); err != nil {
		return err
	}
	f.delta.Frame = &l.facts
	return nil
}

// keepStripes notes at which revision users were last changed.
func (w *write) keepStripes(stripes map[access.Stripe]access.Revision) error {
	all := slices.Sorted(maps.Keys(stripes))
	for chunk := range slices.Chunk(all, w.chunk) {
		var there []access.Stripe
		err := w.tx.Table("subject_stripe").Where("tenant_id = ? AND stripe IN ?", w.tenant.ID, chunk).Pluck("stripe", &there).Error
		if err != nil {
			return err
		}
		done := w.tx.Table("subject_stripe").Where("tenant_id = ? AND stripe IN ?", w.tenant.ID, there).Update("revision", w.tenant.Revision)
		if err := exactly(len(there), done); err != nil {
			return err
		}
		var rows []stripeRow
		for _, stripe := range chunk {
			if !slices.Contains(there, stripe) {
				rows = append(rows, stripeRow{w.tenant.ID, stripe, w.tenant.Revision})
			}
		}
		if err := insert(w, "subject_stripe", rows); err != nil {
			return err
		}
	}
	return nil
}

// stripeRow is a row of subject_stripe.
type stripeRow struct {
	TenantID int64
	Stripe   access.Stripe
	Revision access.Revision
}

func (stripeRow) size() int { return 0 }
