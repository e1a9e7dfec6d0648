package service

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// DirectoryPast is where the directory of earlier states is read.
type DirectoryPast interface {
	StateAt(ctx context.Context, tenant string, of access.AsOf) (access.State, error)
	ViewAt(ctx context.Context, tenant string, at access.Revision, read func(access.Reading) error) error
	FindUsersAt(ctx context.Context, tenant string, at access.Revision, q access.UserSearch) (access.FoundUsers, error)
}

// Recall lets the directory be read as of earlier states too.
func (d *Directory) Recall(p *Past, s DirectoryPast) { d.past, d.then = p, s }

// AsOf gives the directory as it was. It can be read, not changed; whether the
// caller may is judged by what he may do now.
func (d *Directory) AsOf(of access.AsOf) *Directory {
	if of.Now() {
		return d
	}
	then := *d
	then.of, then.now, then.store = of, d, pastDirectory{DirectoryStore: d.store, then: d.then, of: of}
	return &then
}

// sight looks at the tenant as it is, or was.
func (d *Directory) sight(ctx context.Context, tenant string) (access.Sight, error) {
	if d.of.Now() {
		return d.authority.sights.Sight(tenant)
	}
	if d.past == nil {
		return nil, errNoPast
	}
	answers, _, err := d.past.At(ctx, tenant, d.of)
	if err != nil {
		return nil, err
	}
	return answers.Sight(tenant)
}

var errNoPast = access.Invalid("as_of", "there is no history here")

// pastDirectory reads one state, whatever is in force.
type pastDirectory struct {
	DirectoryStore
	then DirectoryPast
	of   access.AsOf
}

func (p pastDirectory) at(ctx context.Context, tenant string) (access.Revision, error) {
	if p.then == nil {
		return 0, errNoPast
	}
	state, err := p.then.StateAt(ctx, tenant, p.of)
	return state.Revision, err
}

// View reads the state.
func (p pastDirectory) View(ctx context.Context, tenant string, read func(access.Reading) error) error {
	at, err := p.at(ctx, tenant)
	if err != nil {
		return err
	}
	return p.then.ViewAt(ctx, tenant, at, read)
}

// Account gives an account as it was.
func (p pastDirectory) Account(ctx context.Context, tenant, id string) (access.User, error) {
	var u access.User
	err := p.View(ctx, tenant, func(r access.Reading) (err error) {
		u, err = r.User(id)
		return err
	})
	return u, err
}

// FindUsers lists accounts as they were.
func (p pastDirectory) FindUsers(ctx context.Context, tenant string, q access.UserSearch) (access.FoundUsers, error) {
	at, err := p.at(ctx, tenant)
	if err != nil {
		return access.FoundUsers{}, err
	}
	return p.then.FindUsersAt(ctx, tenant, at, q)
}

// Edit changes nothing: what was is over.
func (pastDirectory) Edit(context.Context, string, access.Change, func(access.Draft) error, func(access.Delta) error) (access.Delta, error) {
	return access.Delta{}, access.Invalid("as_of", "an earlier state cannot be changed; see rollback")
}
