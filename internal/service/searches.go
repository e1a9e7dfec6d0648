package service

import (
	"context"
	"fmt"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Searcher finds everything that would be allowed if it were asked one by one.
type Searcher interface {
	SearchActions(ctx context.Context, tenant string, r *access.Request) (access.Menu, error)
	SearchSections(ctx context.Context, tenant string, r *access.Request) (access.Menu, error)
	SearchSubjects(ctx context.Context, tenant string, s *access.SubjectSearch) (access.Holders, error)
}

// The sizes of a page.
const (
	DefaultPage = 50
	MaxPage     = 1000
)

// Page says which part of a long answer is wanted. Its zero value is the first
// part of usual size.
type Page struct {
	Size  int    // DefaultPage when 0; more than MaxPage is refused
	Token string // as it came with the part before
}

// SearchActions finds what the subject of a request may do in its section. A
// key that may ask may search so: it finds nothing that it could not ask.
func (d *Decisions) SearchActions(ctx context.Context, caller access.Caller, tenant string, r *access.Request, want access.Consistency) (access.Menu, error) {
	if err := d.open(ctx, caller, tenant, want, r); err != nil {
		return access.Menu{}, err
	}
	by, err := d.by(ctx, caller, tenant, want)
	if err != nil {
		return access.Menu{}, err
	}
	menu, err := by.SearchActions(ctx, tenant, r)
	if err != nil {
		return access.Menu{}, d.explained(tenant, err)
	}
	return menu, nil
}

// SearchSections finds the sections in which the subject of a request may do
// all its actions, or without actions everything that it may do anywhere. It
// needs what SearchActions needs.
func (d *Decisions) SearchSections(ctx context.Context, caller access.Caller, tenant string, r *access.Request, want access.Consistency) (access.Menu, error) {
	if err := d.open(ctx, caller, tenant, want, r); err != nil {
		return access.Menu{}, err
	}
	by, err := d.by(ctx, caller, tenant, want)
	if err != nil {
		return access.Menu{}, err
	}
	menu, err := by.SearchSections(ctx, tenant, r)
	if err != nil {
		return access.Menu{}, d.explained(tenant, err)
	}
	return menu, nil
}

// SearchSubjects finds a page of those who may do what a request asks, and the
// token of the next page, or "" behind the last. It lists people, whom a key
// that merely asks must already know by name, so it needs a key of kind read, or
// of people the right to look at users. Who may look at some of them only finds
// those, so that a page may be shorter than was asked for.
//
// A token continues the very search it came from, at the same revision: after
// a change the pages would not fit together, and the error is of kind
// ErrStale. Each page is judged at its own moment.
func (d *Decisions) SearchSubjects(ctx context.Context, caller access.Caller, tenant string, r *access.Request, kind string, p Page, want access.Consistency) (access.Holders, string, error) {
	none := access.Holders{}
	in, err := d.authority.Allow(ctx, caller, tenant, Need{Part: "Users", Action: "show"})
	if err != nil {
		return none, "", err
	}
	if err := d.satisfy(ctx, tenant, want); err != nil {
		return none, "", err
	}
	search := access.SubjectSearch{Request: *r, Type: kind, Most: p.Size}
	if p.Size == 0 {
		search.Most = DefaultPage
	}
	if search.Most < 1 || search.Most > MaxPage {
		return none, "", access.Invalid("page_size", "must be 1 to %d", MaxPage)
	}
	asked := search.Request
	asked.Subject = access.Subject{}
	list, err := d.state.list(tenant, "subjects", []any{kind, asked, want.AsOf})
	if err != nil {
		return none, "", err
	}
	var at place
	if err := d.state.pages.open(ctx, list, p.Token, &at); err != nil {
		return none, "", err
	}
	by, err := d.by(ctx, caller, tenant, want)
	if err != nil {
		return none, "", err
	}
	search.After = at.After
	found, err := by.SearchSubjects(ctx, tenant, &search)
	if err != nil {
		return none, "", d.explained(tenant, err)
	}
	if p.Token != "" && at.Revision != found.Revision {
		return none, "", stalePage(at.Revision, found.Revision)
	}
	next := ""
	if found.More {
		last := found.Subjects[len(found.Subjects)-1]
		if next, err = d.state.pages.seal(ctx, list, place{Revision: found.Revision, After: last}); err != nil {
			return none, "", err
		}
	}
	found.Subjects, err = d.within(ctx, tenant, in, want.AsOf, found)
	return found, next, err
}

// within leaves out whom the caller is not shown: of an earlier state, whoever is
// beyond his reach now, or was then.
func (d *Decisions) within(ctx context.Context, tenant string, in Reach, of access.AsOf, found access.Holders) ([]access.Subject, error) {
	if in.Everywhere {
		return found.Subjects, nil
	}
	if d.directory == nil {
		return nil, errNoPast
	}
	seen, err := d.directory.AsOf(of).seesSubject(ctx, tenant, in)
	if err != nil {
		return nil, err
	}
	var shown []access.Subject
	for _, who := range found.Subjects {
		ok, err := seen(who)
		if err != nil {
			return nil, err
		}
		if ok {
			shown = append(shown, who)
		}
	}
	return shown, nil
}

func stalePage(then, now access.Revision) error {
	return &access.Error{Kind: access.ErrStale, Field: "page_token", Message: fmt.Sprintf(
		"comes from revision %d, and revision %d is in force now; begin again without it", then, now)}
}

// place is where a page of a search ended.
type place struct {
	Revision access.Revision
	After    access.Subject
}
