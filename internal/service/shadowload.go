package service

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// loaded is a tenant at one revision as shadow mode has read it. There is one
// at a time, so the memory for it is bounded by ShadowOptions.MaxRules.
type loaded struct {
	frame access.Facts // as it was read
	facts access.Facts // with the subject's own, where users are fetched
	stock Reference    // nil until stock Casbin has loaded the facts
	left  int          // questions that stock Casbin may still be asked
}

// memory bounds what stock Casbin remembers: for each subject that it is asked
// about, something for each role in the policy. It is loaded anew after this
// many rules times questions.
const memory = 200_000

// load gives the tenant at the sample's revision.
func (s *Shadow) load(ctx context.Context, q *sample) (*loaded, skip) {
	if s.loaded == nil || s.loaded.left <= 0 || !s.loaded.at(q) {
		s.loaded = nil
		ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
		defer cancel()
		f, err := s.source.Load(ctx, q.tenant)
		if err != nil {
			return nil, s.unread(err)
		}
		s.loaded = &loaded{frame: f, facts: f, left: max(1, memory/max(1, len(f.Rules)))}
	}
	l := s.loaded
	switch {
	case !l.at(q):
		return nil, skipMoved
	case len(l.frame.Rules) > s.opts.MaxRules:
		s.loaded = nil
		return nil, s.tooLarge(q.tenant)
	}
	l.left--
	if !l.frame.Fetched {
		return l, skipNone
	}
	return l, s.subject(ctx, l, q)
}

func (l *loaded) at(q *sample) bool {
	return l.frame.Tenant == q.tenant && l.frame.Revision == q.answer.Revision && l.frame.Epoch == q.epoch
}

// readsClock tells whether stock Casbin heeds another clock than ours.
func (l *loaded) readsClock() bool { return len(l.frame.Functions.Conditions) > 0 }

// subject adds what belongs to the user whom the question is about, at the same
// revision. Stock Casbin is loaded for each question then.
func (s *Shadow) subject(ctx context.Context, l *loaded, q *sample) skip {
	l.stock, l.facts = nil, l.frame
	who := q.request.Subject
	if !l.frame.Ours() || q.request.Raw != nil {
		return skipFetched
	}
	if who.Kind != access.KindUser || who == access.Anonymous {
		return skipNone
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	found, err := s.source.Subjects(ctx, q.tenant, []string{who.ID})
	switch {
	case err != nil:
		return s.unread(err)
	case len(found) != 1 || found[0].Revision != l.frame.Revision:
		return skipMoved
	case len(l.frame.Rules)+len(found[0].Rules) > s.opts.MaxRules:
		return skipRules
	}
	l.facts = with(l.frame, &found[0])
	return skipNone
}

// with adds a user to facts that were loaded without users.
func with(f access.Facts, user *access.SubjectFacts) access.Facts {
	if !user.Known {
		return f
	}
	f.Users = append(slices.Clone(f.Users), user.UserFacts)
	f.Rules = slices.Concat(f.Rules, user.Rules)
	slices.SortStableFunc(f.Rules, func(a, b access.Rule) int { return cmp.Compare(a.Place, b.Place) })
	return f
}

func (s *Shadow) unread(err error) skip {
	if !errors.Is(err, context.Canceled) { // the end of the process is no trouble
		s.opts.Log.Warn("shadow mode could not read the store", "error", err)
	}
	return skipStore
}
