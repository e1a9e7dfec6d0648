package cache

import (
	"context"
	"strconv"

	"github.com/bailiwick/bailiwick/internal/access"
)

// SearchActions finds what a subject may do in a section.
func (c *Decisions) SearchActions(ctx context.Context, tenant string, r *access.Request) (access.Menu, error) {
	return c.menu(ctx, sortActions, tenant, r, c.engine.SearchActions)
}

// SearchSections finds the sections in which a subject may do something.
func (c *Decisions) SearchSections(ctx context.Context, tenant string, r *access.Request) (access.Menu, error) {
	return c.menu(ctx, sortSections, tenant, r, c.engine.SearchSections)
}

// SearchSubjects finds those who may do something. It looks at all users, so
// every change makes it another question.
func (c *Decisions) SearchSubjects(ctx context.Context, tenant string, search *access.SubjectSearch) (access.Holders, error) {
	ask := func() (access.Holders, error) { return c.engine.SearchSubjects(ctx, tenant, search) }
	s, ok := c.pinned(tenant)
	if !ok {
		return ask()
	}
	k, ok := c.keys.of(sortSubjects, everybody(s), &search.Request,
		search.Type, string(search.After.Kind), search.After.ID, strconv.Itoa(search.Most))
	if !ok {
		return ask()
	}
	return through(ctx, c, &holders, k, s, ask)
}

type searching func(context.Context, string, *access.Request) (access.Menu, error)

func (c *Decisions) menu(ctx context.Context, of sort, tenant string, r *access.Request, search searching) (access.Menu, error) {
	ask := func() (access.Menu, error) { return search(ctx, tenant, r) }
	s, ok := c.pinned(tenant)
	if !ok {
		return ask()
	}
	at := s.Stamp(r.Subject)
	if r.Raw != nil {
		at = everybody(s)
	}
	k, ok := c.keys.of(of, at, r)
	if !ok {
		return ask()
	}
	return through(ctx, c, &menus, k, s, ask)
}

// pinned gives the snapshot of a tenant, where answers are kept at all.
func (c *Decisions) pinned(tenant string) (Snapshot, bool) {
	if c.memory == nil && c.redis == nil {
		return nil, false
	}
	s, err := c.engine.Pin(tenant)
	return s, err == nil
}
