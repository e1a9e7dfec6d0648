package service

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// User gives one account.
func (d *Directory) User(ctx context.Context, caller access.Caller, tenant, id string) (access.User, access.Revision, error) {
	var user access.User
	var revision access.Revision
	err := d.readWithin(ctx, caller, tenant, Need{Part: "Users", Action: "show"}, func(r access.Reading, in Reach) error {
		u, err := r.User(id)
		if err == nil {
			err = d.visibleAccount(ctx, tenant, in, &u)
		}
		if err != nil {
			return err
		}
		user, revision = u, r.Revision()
		return nil
	})
	return user, revision, err
}

// UserPage is one page of a list of accounts.
type UserPage struct {
	Users    []access.User
	Total    int    // of all pages; -1 where counting would cost too much, or tell too much
	Next     string // token of the next page; empty behind the last
	Revision access.Revision
}

// maxLooked is how many accounts are looked through for one page of somebody who
// is shown some of them only. A page may be shorter than asked for because of it.
const maxLooked = 5 * MaxPage

// Users lists the accounts that the caller may see. A token continues the very
// list it came from; what has changed in the meantime shows.
func (d *Directory) Users(ctx context.Context, caller access.Caller, tenant string, q access.UserSearch, token string) (UserPage, error) {
	none := UserPage{}
	if q.Most == 0 {
		q.Most = DefaultPage
	}
	if q.Most < 1 || q.Most > MaxPage {
		return none, access.Invalid("page_size", "must be 1 to %d", MaxPage)
	}
	need := Need{Part: "Users", Action: "show"}
	in, err := d.authority.Allow(ctx, caller, tenant, need)
	if err != nil {
		return none, err
	}
	asked := q
	asked.Most = 0
	list, err := d.state.list(tenant, "users", []any{asked, d.of})
	if err == nil {
		err = d.state.pages.open(ctx, list, token, &q.After)
	}
	if err != nil {
		return none, err
	}
	found, last, err := d.usersWithin(ctx, tenant, in, q)
	if err != nil {
		return none, err
	}
	page := UserPage{Users: found.Users, Total: found.Total, Revision: found.Revision}
	if found.More {
		page.Next, err = d.state.pages.seal(ctx, list, last)
	}
	return page, err
}

// usersWithin leaves out what is beyond the caller's reach, and does not tell
// how many accounts that are. last is where it stopped looking.
func (d *Directory) usersWithin(ctx context.Context, tenant string, in Reach, q access.UserSearch) (shown access.FoundUsers, last access.UserPlace, err error) {
	shown.Total = -1
	for looked := 0; looked < maxLooked; looked += q.Most {
		part, err := d.store.FindUsers(ctx, tenant, q)
		if err != nil {
			return shown, last, err
		}
		if in.Everywhere {
			shown.Total = part.Total
		}
		seen, err := d.seesAt(ctx, tenant, in, part.Revision)
		if err != nil {
			return shown, last, err
		}
		shown.Revision = part.Revision
		for i, u := range part.Users {
			q.After = part.Places[i]
			ok, err := seen(&u)
			if err != nil {
				return shown, last, err
			}
			if ok {
				shown.Users = append(shown.Users, u)
			}
			if shown.More = part.More || i+1 < len(part.Users); len(shown.Users) == q.Most {
				return shown, q.After, nil
			}
		}
		if !part.More {
			shown.More = false
			return shown, last, nil
		}
	}
	return shown, q.After, nil
}

// seesAt is sees for what was read at a revision: the caller must not be shown
// by older rules what newer ones keep from him.
func (d *Directory) seesAt(ctx context.Context, tenant string, in Reach, revision access.Revision) (func(*access.User) (bool, error), error) {
	if !in.Everywhere {
		if err := d.state.reach(ctx, d.state.tenant(tenant), revision); err != nil {
			return nil, err
		}
	}
	return d.seesAccount(ctx, tenant, in)
}
