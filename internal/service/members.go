package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Member is a user as a member of one group.
type Member struct {
	User   access.User
	Place  int           // of the group among the user's groups, from 1
	Within []access.Link // each of the user's links to the group
}

// MemberPage is one page of the members of a group, in the order of their ids.
type MemberPage struct {
	Members  []Member
	Total    int
	Next     string // token of the next page; empty behind the last
	Revision access.Revision
}

// NewMember puts a user into a group, or says where and when he is in it.
type NewMember struct {
	ID       string
	Scope    access.Scope
	Validity access.Validity
	First    bool // the group becomes his first one, else his last
}

// Members lists users who are in a group themselves.
func (d *Directory) Members(ctx context.Context, caller access.Caller, tenant, code string, p Page) (MemberPage, error) {
	var page MemberPage
	var after string
	list, err := d.state.list(tenant, "members", []any{code, d.of})
	if err == nil {
		err = d.state.pages.open(ctx, list, p.Token, &after)
	}
	if err != nil {
		return page, err
	}
	most := cmp.Or(p.Size, DefaultPage)
	err = d.readWithin(ctx, caller, tenant, Need{Part: "Groups", Action: "show"}, func(r access.Reading, in Reach) error {
		if err := d.visible(ctx, tenant, in, access.KindGroup, code); err != nil {
			return err
		}
		entry, err := entryOf(r, r.Policy(), code)
		if err != nil {
			return err
		}
		seen, err := d.seesAccount(ctx, tenant, in)
		if err != nil {
			return err
		}
		page.Revision, page.Total = r.Revision(), entry.Members
		return page.fill(r, seen, code, after, most)
	})
	if err == nil && page.Next != "" {
		page.Next, err = d.state.pages.seal(ctx, list, page.Next)
	}
	return page, err
}

func (page *MemberPage) fill(r access.Reading, seen func(*access.User) (bool, error), code, after string, most int) error {
	ids, err := r.Holders(access.KindGroup, code, after, most+1)
	if err != nil {
		return err
	}
	if len(ids) > most {
		ids = ids[:most]
		page.Next = ids[most-1]
	}
	for _, id := range ids {
		u, err := r.User(id)
		if err != nil {
			return err
		}
		shown, err := seen(&u)
		if err != nil {
			return err
		}
		if !shown { // only those are counted that are shown; the total would tell of others
			page.Total = 0
			continue
		}
		page.Members = append(page.Members, memberOf(u, code))
	}
	return nil
}

func memberOf(u access.User, code string) Member {
	m := Member{User: u}
	for i, l := range u.Groups {
		if l.To == code {
			m.Within = append(m.Within, l)
			if m.Place == 0 {
				m.Place = i + 1
			}
		}
	}
	return m
}

// AddMembers puts users into a group, all of them or none.
func (d *Directory) AddMembers(ctx context.Context, caller access.Caller, tenant, code string, members []NewMember, c access.Change) (access.Revision, error) {
	need := Need{Part: "Users", Action: "update"}
	return d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		if _, err := groupOf(t.Policy(), code); err != nil {
			return err
		}
		for i, m := range members {
			u, err := userIn(t, fmt.Sprintf("members[%d].user", i), m.ID)
			if err != nil {
				return err
			}
			u.Groups = joined(u.Groups, code, m)
			t.PutUser(u)
		}
		return nil
	})
}

// joined puts a link to a group among others, in the place of one with the same
// scope if there is one.
func joined(links []access.Link, code string, m NewMember) []access.Link {
	l := access.Link{To: code, Scope: m.Scope, Validity: m.Validity}
	all := slices.Clone(links)
	if i := slices.IndexFunc(all, func(o access.Link) bool { return o.To == code && everywhere(o.Scope) == everywhere(m.Scope) }); i >= 0 {
		all[i] = l
		return all
	}
	if m.First {
		return slices.Insert(all, 0, l)
	}
	return append(all, l)
}

func everywhere(s access.Scope) access.Scope {
	if s == "" {
		return access.Everywhere
	}
	return s
}

// userIn gives a user of a draft whom an input names.
func userIn(t access.Draft, field, id string) (access.User, error) {
	u, err := t.User(id)
	if errors.Is(err, access.ErrNotFound) || err == nil && u.Status == access.UserDeleted {
		err = access.Invalid(field, "there is no user %q", id)
	}
	return u, err
}

// RemoveMembers takes users out of a group, or puts them into another one in its
// place. Nobody loses his last group.
func (d *Directory) RemoveMembers(ctx context.Context, caller access.Caller, tenant, code string, ids []string, moveTo string, c access.Change) (access.Revision, error) {
	need := Need{Part: "Users", Action: "update"}
	return d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		if _, err := groupOf(p, code); err != nil {
			return err
		}
		if err := replaceable(p, code, moveTo); err != nil {
			return err
		}
		var stranded []string
		for i, id := range ids {
			u, err := userIn(t, fmt.Sprintf("members[%d]", i), id)
			if err != nil {
				return err
			}
			if memberOf(u, code).Place == 0 {
				return access.NotFound("member", id)
			}
			if u.Groups = left(u.Groups, code, moveTo); len(u.Groups) == 0 {
				stranded = append(stranded, id)
			}
			t.PutUser(u)
		}
		return strand(code, stranded)
	})
}

// left gives links without those to a group; the first of them leads to another
// one where one is named and there is none to it yet.
func left(links []access.Link, code, moveTo string) []access.Link {
	var all []access.Link
	there := moveTo == "" || slices.ContainsFunc(links, func(l access.Link) bool { return l.To == moveTo })
	for _, l := range links {
		switch {
		case l.To != code:
			all = append(all, l)
		case !there:
			l.To, there = moveTo, true
			all = append(all, l)
		}
	}
	return all
}

// Stranded is the error of a change that would leave users without a group.
type Stranded struct { //nolint:errname // it says what would happen
	Users []string // their ids
	err   error
}

// Error names some of them.
func (e *Stranded) Error() string { return e.err.Error() }

// Unwrap gives the error in words, of kind ErrConflict.
func (e *Stranded) Unwrap() error { return e.err }

// strand refuses to leave users without a group.
func strand(code string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	return &Stranded{Users: ids, err: &access.Error{Kind: ErrConflict, Field: "move_to", Message: fmt.Sprintf(
		"%q is the only group of %d users: %s; name a group to move them to", code, len(ids), listed(ids))}}
}

// leaveAll takes everybody out of a group. Whoever has no other one is put into
// moveTo; where that is empty, it is refused.
func leaveAll(t access.Draft, code, moveTo string) (moved int, err error) {
	var stranded []string
	after := ""
	for {
		ids, err := t.Holders(access.KindGroup, code, after, holdersPage)
		if err != nil {
			return moved, err
		}
		for _, id := range ids {
			u, err := t.User(id)
			if err != nil {
				return moved, err
			}
			rest := left(u.Groups, code, "")
			if len(rest) == 0 && moveTo != "" {
				rest = left(u.Groups, code, moveTo)
				moved++
			} else if len(rest) == 0 {
				stranded = append(stranded, id)
			}
			u.Groups = rest
			t.PutUser(u)
		}
		if len(ids) < holdersPage {
			return moved, strand(code, stranded)
		}
		after = ids[len(ids)-1]
	}
}
