package service

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// charge is whom somebody may look after, as the groups say by which he may do
// it: users and groups of some groups, and of what is based on them.
type charge struct {
	all    bool
	groups map[string]bool // codes
}

// chargeOf gathers the charge of somebody for what is needed. Each way on which
// the right comes to him counts by itself: on one without a group that says whom
// it manages, nothing is bounded.
func chargeOf(ctx context.Context, s access.Sight, groups []access.Group, holder string, need Need) (charge, error) {
	section := access.OwnSection(s.Frame().Root, need.Part)
	right, _ := access.RightOf(string(need.Action))
	return chargeBy(ctx, s, groups, holder, access.Now, func(h access.Holding) bool { return gives(h, section, right, s.Above) })
}

// administers is the charge of somebody for all the administration that he may
// do, now or later.
func administers(ctx context.Context, s access.Sight, groups []access.Group, holder string) (charge, error) {
	own := access.OwnSection(s.Frame().Root, "")
	return chargeBy(ctx, s, groups, holder, access.Ever, func(h access.Holding) bool {
		return h.Effect != access.Deny && (h.Section == own || own.Above(h.Section) || h.Act.Inherits() && h.Section.Above(own))
	})
}

func chargeBy(ctx context.Context, s access.Sight, groups []access.Group, holder string, when access.Moment, counts func(access.Holding) bool) (charge, error) {
	c := charge{groups: map[string]bool{}}
	reached, err := s.Reached(ctx, holder, when)
	if err != nil {
		return c, err
	}
	manages := map[string][]string{}
	for _, g := range groups {
		if g.Manages != nil {
			manages[access.Name(access.KindGroup, g.Code)] = g.Manages
		}
	}
	for _, r := range reached {
		if counts(r.Holding) {
			c.add(manages, holder, r.Path)
		}
	}
	return c, nil
}

// gives tells whether a rule allows a right on a section, wherever it does.
func gives(h access.Holding, section access.Section, right access.Rights, above func(access.Scope) access.Scope) bool {
	if h.Effect == access.Deny {
		return false
	}
	want := h
	want.Section, want.Act = section, access.RuleAct{Rights: right}
	_, ok := access.Holdings{Rules: []access.Holding{h}}.Covers(access.Holdings{Rules: []access.Holding{want}}, above)
	return ok
}

// add takes one way into account: the nearest group that says something counts.
func (c *charge) add(manages map[string][]string, holder string, path []access.Rule) {
	names := []string{holder} // which may be a group
	for _, link := range path {
		names = append(names, link.Values[1])
	}
	for _, name := range names {
		if codes, says := manages[name]; says {
			for _, code := range codes {
				c.groups[code] = true
			}
			return
		}
	}
	c.all = true
}

// holds tells whether a group is one of the charge, or based on one.
func (c *charge) holds(p []access.Group, code string) bool {
	for range access.MaxInheritance + 1 {
		if c.groups[code] {
			return true
		}
		at := slices.IndexFunc(p, func(g access.Group) bool { return g.Code == code })
		if at < 0 || p[at].Base == "" {
			return false
		}
		code = p[at].Base
	}
	return false
}

// charged refuses to touch whoever is not in the caller's charge, before or after.
func (j *judgement) charged(ctx context.Context, caller access.Caller, need Need, w *watched) error {
	before := w.before()
	c, err := chargeOf(ctx, j.before, before, caller.Subject.Rule(), need)
	if err != nil || c.all {
		return err
	}
	after := j.draft.Policy().Groups
	for _, name := range j.touched {
		within, err := j.within(&c, w, name, before, after)
		if err == nil && within {
			within, err = j.handsOn(ctx, &c, name, after)
		}
		if err != nil {
			return err
		}
		if !within {
			return access.Forbidden("%s looks after %s only, and %q is or would be beyond that", caller.Name, c.words(), name)
		}
	}
	return nil
}

// handsOn tells whether somebody would look after no more than the charge. Each
// of a user's groups is asked about by itself: of several ways to one right, only
// the nearest is seen from the user.
func (j *judgement) handsOn(ctx context.Context, c *charge, name string, after []access.Group) (bool, error) {
	names := []string{name}
	if kind, id, _ := access.ParseName(name); kind == access.KindUser {
		u, err := j.draft.User(id)
		if err != nil && !errors.Is(err, access.ErrNotFound) {
			return false, err
		}
		for _, l := range u.Groups {
			names = append(names, access.Name(access.KindGroup, l.To))
		}
	}
	for _, name := range names {
		theirs, err := administers(ctx, j.after, after, name)
		if err != nil || !c.encloses(after, &theirs) {
			return false, err
		}
	}
	return true, nil
}

func (c *charge) encloses(p []access.Group, other *charge) bool {
	for code := range other.groups {
		if !c.holds(p, code) {
			return false
		}
	}
	return !other.all
}

func (c *charge) words() string {
	if len(c.groups) == 0 {
		return "nobody"
	}
	return "the groups " + strings.Join(slices.Sorted(maps.Keys(c.groups)), ", ")
}

func (j *judgement) within(c *charge, w *watched, name string, before, after []access.Group) (bool, error) {
	kind, id, _ := access.ParseName(name)
	switch kind {
	case access.KindGroup:
		return (c.holds(before, id) || !there(before, id)) && (c.holds(after, id) || !there(after, id)), nil
	case access.KindUser:
		u, err := j.draft.User(id)
		if err != nil && !errors.Is(err, access.ErrNotFound) {
			return false, err
		}
		was, err := w.was(id)
		return c.holdsAll(before, was.Groups) && c.holdsAll(after, u.Groups), err
	case access.KindRole, access.KindApplication: // whose holders may be anybody
	}
	return false, nil
}

func there(groups []access.Group, code string) bool {
	return slices.ContainsFunc(groups, func(g access.Group) bool { return g.Code == code })
}

func (c *charge) holdsAll(p []access.Group, links []access.Link) bool {
	return !slices.ContainsFunc(links, func(l access.Link) bool { return !c.holds(p, l.To) })
}
