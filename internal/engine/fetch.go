package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Bounds on asking for users.
const (
	fetchTimeout  = 2 * time.Second // for each call
	fetchesAtOnce = 32              // calls, over all tenants
	fetchAttempts = 4               // to get what is new enough
	usersPerPage  = 1000            // of searches
)

// fetched is a user as the store had it at one revision.
type fetched struct {
	id       string
	subject  *subject        // without an account where there is no such user
	revision access.Revision // when it was read
	changed  access.Revision // the revision of its stripe at that time
	shape    uint64          // of the policy by which it was bound, 0 where any will do
	holders  uint32          // how many names that one can belong to its links speak of
}

func (f *fetched) weight() int {
	h := f.subject.held()
	w := 160 + len(f.id) + len(f.subject.name) + h.weight()
	if a := f.subject.account; a != nil && a != plainUser {
		w += 200 + 32*(len(a.licences)+len(a.off)) + attributesWeight(a.attributes)
	}
	return w
}

// attributesWeight takes stored attributes for what they are as a text, several
// times over.
func attributesWeight(attributes map[string]any) int {
	if len(attributes) == 0 {
		return 0
	}
	return 64*len(attributes) + 4*len(fmt.Sprint(attributes))
}

// errBehind says that the store knows something of a user that the snapshot
// does not know yet.
var errBehind = errors.New("the store is ahead of what is in force")

// aheadError is an errBehind for snapshots older than a revision. Who shares a
// call with others may get it though his own snapshot is new enough.
type aheadError struct{ changed access.Revision }

// Error says what errBehind says.
func (aheadError) Error() string { return errBehind.Error() }

// Unwrap makes it one.
func (aheadError) Unwrap() error { return errBehind }

// ofOthers tells whether an error concerns only snapshots older than s.
func (s *Snapshot) ofOthers(err error) bool {
	var ahead aheadError
	return errors.As(err, &ahead) && ahead.changed <= s.revision
}

// use tells whether a record may answer questions of a snapshot. It is too old
// if the user's stripe has changed since it was read, and too new if it tells of
// a change that the snapshot does not know.
func (f *fetched) use(s *Snapshot, id string) (ok bool, err error) {
	if f.id != id || f.shape != 0 && f.shape != s.shape || f.holders > s.names.len() {
		return false, nil
	}
	if !unguarded && f.revision < s.stripeOf(access.StripeOf(id)).revision {
		return false, nil
	}
	if f.changed > s.revision {
		return false, aheadError{f.changed}
	}
	return true, nil
}

// unguarded is set by one test, which shows that the guard is needed.
var unguarded bool

// recall gives the record of a user if one is at hand that may be used, or nil.
func (s *Snapshot) recall(id string) *fetched {
	e, ok := s.memory.cache.GetIfPresent(s.userKey(id))
	if !ok {
		return nil
	}
	f, ok := e.(*fetched)
	if !ok {
		return nil
	}
	if ok, err := f.use(s, id); !ok || err != nil {
		return nil
	}
	return f
}

func (s *Snapshot) userKey(id string) key {
	return s.key(access.Subject{Kind: access.KindUser, ID: id}, 0)
}

// fetcher asks for users, for one snapshot.
type fetcher struct {
	engine *Engine
	*Snapshot
}

// user gives the record of a user, from memory or from the store. Many who ask
// for the same user at the same time cause one call.
func (f fetcher) user(ctx context.Context, id string) (*fetched, error) {
	k := f.userKey(id)
	for range fetchAttempts {
		e, err := f.memory.cache.Get(ctx, k, otter.LoaderFunc[key, entry](func(ctx context.Context, _ key) (entry, error) {
			all, err := f.load(ctx, []string{id})
			if err != nil {
				return nil, err
			}
			return all[0], nil
		}))
		if f.ofOthers(err) {
			continue
		}
		if err != nil {
			return nil, unavailable(err)
		}
		found := e.(*fetched) //nolint:forcetypeassert // only these stand under scope 0
		if found.id != id {
			return f.alone(ctx, id)
		}
		ok, err := found.use(f.Snapshot, id)
		if ok || err != nil {
			return found, err
		}
		f.drop(k, found)
	}
	return nil, access.Unavailable("what the store knows of user %q is older than what is in force", id)
}

// alone asks for a user whose place in memory another one takes.
func (f fetcher) alone(ctx context.Context, id string) (*fetched, error) {
	all, err := f.load(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	ok, err := all[0].use(f.Snapshot, id)
	if !ok && err == nil {
		err = access.Unavailable("what the store knows of user %q is older than what is in force", id)
	}
	return all[0], err
}

// drop forgets a record that is out of date, unless it was replaced already.
func (f fetcher) drop(k key, old *fetched) {
	f.memory.cache.ComputeIfPresent(k, func(now entry) (entry, otter.ComputeOp) {
		if now == entry(old) {
			return nil, otter.InvalidateOp
		}
		return now, otter.CancelOp
	})
}

// users gives the records of many, those that are not at hand by one call.
func (f fetcher) users(ctx context.Context, ids []string) (map[string]*fetched, error) {
	all, keys, wanted := make(map[string]*fetched, len(ids)), []key(nil), map[key]string{}
	for _, id := range ids {
		if found := f.recall(id); found != nil {
			all[id] = found
			continue
		}
		k := f.userKey(id)
		if e, ok := f.memory.cache.GetIfPresent(k); ok {
			if old, ok := e.(*fetched); ok {
				f.drop(k, old)
			}
		}
		keys, wanted[k] = append(keys, k), id
	}
	if len(keys) > 0 {
		if err := f.bulk(ctx, keys, wanted); err != nil && !f.ofOthers(err) {
			return nil, err
		}
	}
	for _, id := range wanted {
		found, err := f.user(ctx, id)
		if err != nil {
			return nil, err
		}
		all[id] = found
	}
	return all, nil
}

func (f fetcher) bulk(ctx context.Context, keys []key, wanted map[key]string) error {
	_, err := f.memory.cache.BulkGet(ctx, keys, otter.BulkLoaderFunc[key, entry](func(ctx context.Context, keys []key) (map[key]entry, error) {
		ids := make([]string, len(keys))
		for i, k := range keys {
			ids[i] = wanted[k]
		}
		found, err := f.load(ctx, ids)
		if err != nil {
			return nil, err
		}
		loaded := make(map[key]entry, len(keys))
		for i, k := range keys {
			loaded[k] = found[i]
		}
		return loaded, nil
	}))
	return unavailable(err)
}

// load asks the store, within bounds that no caller's patience shortens: others
// may wait for the same answer.
func (f fetcher) load(ctx context.Context, ids []string) ([]*fetched, error) {
	var all []access.SubjectFacts
	err := f.engine.call(context.WithoutCancel(ctx), func(ctx context.Context, from Subjects) (err error) {
		all, err = from.Subjects(ctx, f.tenant, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(all) != len(ids) {
		return nil, access.Unavailable("the store gave %d of %d users", len(all), len(ids))
	}
	loaded := make([]*fetched, len(ids))
	for i := range all {
		if loaded[i], err = f.bind(&all[i], ids[i]); err != nil {
			return nil, err
		}
	}
	if hook := f.engine.loaded; hook != nil {
		hook()
	}
	return loaded, nil
}

// call asks the store for users, when there is room, and in time.
func (e *Engine) call(ctx context.Context, ask func(context.Context, Subjects) error) error {
	if e.options.Subjects == nil {
		return access.Unavailable("users are not kept here, and there is nowhere to ask for them")
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	select {
	case e.fetches <- struct{}{}:
		defer func() { <-e.fetches }()
	case <-ctx.Done():
		return access.Unavailable("too many users are asked for at once")
	}
	return unavailable(ask(ctx, e.options.Subjects))
}

func unavailable(err error) error {
	if err == nil || errors.Is(err, access.ErrUnavailable) || errors.Is(err, errBehind) {
		return err
	}
	return access.Unavailable("a user cannot be looked up: %s", err)
}

// bind makes the record of a user. Rows that do not fit the policy are an error:
// what they would deny is not known.
func (f fetcher) bind(facts *access.SubjectFacts, id string) (*fetched, error) {
	who := access.Subject{Kind: access.KindUser, ID: strings.Clone(id)}
	found := &fetched{id: who.ID, revision: facts.Revision, changed: facts.Changed, subject: &subject{name: who.Rule()}}
	if facts.Changed > f.revision {
		return nil, aheadError{facts.Changed}
	}
	if !facts.Known {
		return found, nil
	}
	if facts.ID != id {
		return nil, access.Unavailable("the store gave user %q for %q", facts.ID, id)
	}
	b := binder{s: f.Snapshot, reading: true}
	var lines loose
	for i := range facts.Rules {
		r := &facts.Rules[i]
		if owner, ok := b.owner(r); ok && owner != who {
			return nil, access.Unavailable("the store gave a line of %q for user %q", r.Values[0], id)
		} else if ok {
			b.line(&lines, r, b.place(r, i))
		}
	}
	if err := b.problems.Err(); err != nil {
		return nil, access.Unavailable("the lines of user %q do not fit the policy: %s", id, err)
	}
	if b.unknown {
		found.shape = f.shape
	}
	for _, l := range lines.links {
		if l.to&stranger == 0 {
			found.holders = max(found.holders, l.to+1)
		}
	}
	found.subject.account = newAccount(&facts.UserFacts)
	found.subject.hold(lines.pack(&room{}))
	return found, nil
}

// userPages goes through users in order, as long as each wants more.
type userPages func(after access.Subject, each func(*subject) bool) error

// pages asks for users page by page. They are not kept: a search would drive out
// those who ask.
func (f fetcher) pages(ctx context.Context) userPages {
	return func(behind access.Subject, each func(*subject) bool) error {
		after := ""
		if behind.Type() == access.TypeUser {
			after = behind.ID
		}
		for {
			page, err := f.page(ctx, after)
			if err != nil {
				return err
			}
			for _, found := range page {
				if !each(found.subject) {
					return nil
				}
			}
			if len(page) < usersPerPage {
				return nil
			}
			after = page[len(page)-1].id
		}
	}
}

func (f fetcher) page(ctx context.Context, after string) ([]*fetched, error) {
	var facts []access.SubjectFacts
	err := f.engine.call(ctx, func(ctx context.Context, from Subjects) (err error) {
		facts, err = from.Users(ctx, f.tenant, after, usersPerPage)
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]*fetched, len(facts))
	for i := range facts {
		facts[i].Known = true // or it would not be here
		if facts[i].ID <= after {
			return nil, access.Unavailable("the store gave users out of order")
		}
		after = facts[i].ID
		if all[i], err = f.bind(&facts[i], facts[i].ID); err != nil {
			return nil, err
		}
		if ok, err := all[i].use(f.Snapshot, after); err != nil {
			return nil, err
		} else if !ok {
			return nil, access.Unavailable("what the store knows of user %q is older than what is in force", after)
		}
	}
	return all, nil
}
