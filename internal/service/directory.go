package service

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Directory is what a tenant consists of besides policy files: groups, roles,
// users and all that is said of them. Each noun has a file of its own; all of
// them read by read and change by change, where the caller's authority is
// looked at.
type Directory struct {
	store     DirectoryStore
	decider   Decider
	authority *Authority
	state     *Follower
	opts      DirectoryOptions

	past *Past // nil where nothing is known of it
	then DirectoryPast
	of   access.AsOf // the state that is read
	now  *Directory  // the one that is in force, where of is an earlier state
}

// DirectoryStore is where the directory is kept.
type DirectoryStore interface {
	// View hands one consistent reading to a function.
	View(ctx context.Context, tenant string, read func(access.Reading) error) error
	// Account gives one account, or an error of kind ErrNotFound.
	Account(ctx context.Context, tenant, id string) (access.User, error)
	// Edit makes one revision of what edit does to a draft, unless judge refuses
	// the difference. Both run while the tenant is locked.
	Edit(ctx context.Context, tenant string, c access.Change, edit func(access.Draft) error, judge func(access.Delta) error) (access.Delta, error)
	// MailsTo gives the newest mail of a purpose to each of these users.
	MailsTo(ctx context.Context, tenant string, purpose access.MailPurpose, users []string) (map[string]access.Mail, error)
	// PresenceOf tells what each of these users says of himself, by id.
	PresenceOf(ctx context.Context, tenant string, users []string) (map[string]access.Presence, error)
	// FindUsers gives one page of a list of accounts.
	FindUsers(ctx context.Context, tenant string, q access.UserSearch) (access.FoundUsers, error)
}

// DirectoryOptions for NewDirectory. The zero value works.
type DirectoryOptions struct {
	// RestoreWindow is how long a deleted account can be restored;
	// DefaultRestoreWindow when 0.
	RestoreWindow time.Duration
	// Mails sends what changes bring about. When it is nil, or has no mail server,
	// mails wait in the store.
	Mails *Mails
}

// NewDirectory keeps everything in the store, asks the authority what callers may
// do, and puts in force what they change.
func NewDirectory(s DirectoryStore, d Decider, a *Authority, state *Follower, o DirectoryOptions) *Directory {
	return &Directory{store: s, decider: d, authority: a, state: state, opts: o}
}

// change makes one revision of an edit, for a caller who may do what is needed.
// Whether he may is looked at before, and on the resulting state while the
// tenant is locked. What was changed decides before change returns.
func (d *Directory) change(ctx context.Context, caller access.Caller, tenant string, need Need, c access.Change, edit func(access.Draft) error) (access.Revision, error) {
	in, err := d.authority.Allow(ctx, caller, tenant, need)
	if err != nil {
		return 0, err
	}
	c.Author = caller.Name
	if c.Base == 0 {
		c.Base = access.AnyRevision
	}
	var w *watched
	var j *judgement
	delta, err := d.store.Edit(ctx, tenant, c, func(draft access.Draft) error {
		w = &watched{Draft: draft}
		if err := d.matches(ctx, tenant, need, in, w, c.Match); err != nil {
			return err
		}
		return edit(w)
	}, func(delta access.Delta) (err error) {
		j, err = d.judge(ctx, caller, need, w, c, delta)
		return err
	})
	if again := (*access.Repeated)(nil); errors.As(err, &again) { // maybe by another replica, just now
		return 0, cmp.Or(d.state.reach(ctx, d.state.tenant(tenant), again.Revision), err)
	}
	if err != nil {
		return 0, d.authority.noted(caller, tenant, need, err)
	}
	if c.Rehearse {
		return 0, d.authority.rehearsed(ctx, j, delta)
	}
	if w.mailed && d.opts.Mails != nil {
		d.opts.Mails.Wake()
	}
	return delta.To, d.state.inForce(ctx, tenant, delta)
}

// read runs one consistent reading, for a caller who may do what is needed in
// need.Scope, or everywhere where that is empty.
func (d *Directory) read(ctx context.Context, caller access.Caller, tenant string, need Need, look func(access.Reading) error) error {
	return d.readWithin(ctx, caller, tenant, need, func(r access.Reading, in Reach) error {
		if need.Scope == "" && !need.Own && !in.Everywhere {
			return access.Forbidden("%s may do this in some scopes only", caller.Name)
		}
		return look(r)
	})
}

// readWithin is read for lists and records that are shown as far as the caller
// reaches: who may look in some scopes only is let in, and the function must
// leave out what lies in no scope of its reach.
func (d *Directory) readWithin(ctx context.Context, caller access.Caller, tenant string, need Need, look func(access.Reading, Reach) error) error {
	in, err := d.authority.Allow(ctx, caller, tenant, need)
	if err != nil {
		return err
	}
	err = d.store.View(ctx, tenant, func(r access.Reading) error { return look(r, in) })
	return d.authority.noted(caller, tenant, need, err)
}
