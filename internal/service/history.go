package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// History shows what was changed, by whom and why, and undoes it by new
// revisions.
type History struct {
	store     HistoryStore
	state     *Follower
	authority *Authority
	past      *Past
	policies  *Policies
}

// HistoryStore keeps the history.
type HistoryStore interface {
	View(ctx context.Context, tenant string, read func(access.Reading) error) error
	ViewAt(ctx context.Context, tenant string, at access.Revision, read func(access.Reading) error) error
	StateAt(ctx context.Context, tenant string, of access.AsOf) (access.State, error)
	History(ctx context.Context, tenant string, q access.HistorySearch) (access.FoundVersions, error)
	Revision(ctx context.Context, tenant string, number access.Revision) (access.Version, error)
	Operations(ctx context.Context, tenant string, from, to access.Revision) ([]access.Operation, error)
	Made(ctx context.Context, tenant string, at access.Revision, rules []access.Rule) ([]access.RevisionEntry, error)
	Change(ctx context.Context, tenant string, number access.Revision) (before, after *access.Policy, head access.Revision, err error)
	UsersSince(ctx context.Context, tenant string, after access.Revision) ([]string, error)
}

// NewHistory reads from the store, asks the past, and changes by way of policies.
func NewHistory(s HistoryStore, f *Follower, a *Authority, past *Past, p *Policies) *History {
	return &History{store: s, state: f, authority: a, past: past, policies: p}
}

// audit is needed to look at histories.
var audit = Need{Part: "Audit", Action: "show", Scope: access.Everywhere}

func (h *History) open(ctx context.Context, caller access.Caller, tenant string) error {
	_, err := h.authority.Allow(ctx, caller, tenant, audit)
	return err
}

// List gives a page of a tenant's history, newest first, and the token of the
// next one, or "" behind the last.
func (h *History) List(ctx context.Context, caller access.Caller, tenant string, q access.HistorySearch, p Page) ([]access.Version, string, error) {
	if err := h.open(ctx, caller, tenant); err != nil {
		return nil, "", err
	}
	l, err := h.state.list(tenant, "revisions", q)
	if err != nil {
		return nil, "", err
	}
	if err := h.state.pages.open(ctx, l, p.Token, &q.Before); err != nil {
		return nil, "", err
	}
	q.Most = cmp.Or(p.Size, DefaultPage)
	found, err := h.store.History(ctx, tenant, q)
	if err != nil || !found.More {
		return found.Versions, "", err
	}
	next, err := h.state.pages.seal(ctx, l, found.Versions[len(found.Versions)-1].Number)
	return found.Versions, next, err
}

// Show gives one revision with what it changed.
func (h *History) Show(ctx context.Context, caller access.Caller, tenant string, number access.Revision) (access.Version, error) {
	if err := h.open(ctx, caller, tenant); err != nil {
		return access.Version{}, err
	}
	return h.store.Revision(ctx, tenant, number)
}

// Difference is what turns one state into another.
type Difference struct {
	From, To     access.State
	Operations   []access.Operation
	Consequences *access.Consequences // where they were asked for
}

// Diff compares two states; what is not said is the newest. With effect it tells
// who holds what in the one and not in the other, too, by the clock of the one that
// it leads to: of the newest, that is now.
func (h *History) Diff(ctx context.Context, caller access.Caller, tenant string, from, to access.AsOf, effect bool) (Difference, error) {
	var d Difference
	err := h.open(ctx, caller, tenant)
	if err == nil {
		d.From, err = h.store.StateAt(ctx, tenant, from)
	}
	if err == nil {
		d.To, err = h.store.StateAt(ctx, tenant, to)
	}
	if err == nil {
		d.Operations, err = h.store.Operations(ctx, tenant, d.From.Revision, d.To.Revision)
	}
	if err == nil && effect {
		d.Consequences, err = h.effect(ctx, tenant, d.From, d.To, to)
	}
	return d, err
}

// effect compares what is held in two states.
func (h *History) effect(ctx context.Context, tenant string, from, to access.State, asked access.AsOf) (*access.Consequences, error) {
	before, err := h.past.Sight(ctx, tenant, from.Revision)
	if err != nil {
		return nil, err
	}
	after, err := h.authority.sights.Sight(tenant)
	if err == nil && (!asked.Now() || after.Revision() != to.Revision) {
		after, err = h.sightOf(ctx, tenant, to, asked)
	}
	if err != nil {
		return nil, err
	}
	all, err := h.authority.sights.Consequences(ctx, before, after, access.ConsequenceOptions{})
	return &all, err
}

// sightOf looks at an earlier state, at the time that was named, or else at its own.
func (h *History) sightOf(ctx context.Context, tenant string, state access.State, asked access.AsOf) (access.Sight, error) {
	if asked.Now() {
		asked = access.AsOf{Revision: state.Revision}
	}
	answers, _, err := h.past.At(ctx, tenant, asked)
	if err != nil {
		return nil, err
	}
	return answers.Sight(tenant)
}

// Blamed is a rule with the revision that made it.
type Blamed struct {
	Rule access.Rule
	Made access.RevisionEntry // zero: no revision has, it is part of every policy
}

// Blame says who made what leads to an answer: the links from the subject to the
// rule that decides, and the rule, for each action that was asked about.
func (h *History) Blame(ctx context.Context, caller access.Caller, tenant string, r *access.Request, of access.AsOf) (access.Explanation, []Blamed, error) {
	if err := h.open(ctx, caller, tenant); err != nil {
		return access.Explanation{}, nil, err
	}
	answers, state, err := h.past.At(ctx, tenant, of)
	if err != nil {
		return access.Explanation{}, nil, err
	}
	why, err := answers.Explain(ctx, tenant, r)
	if err != nil {
		return why, nil, err
	}
	var rules []access.Rule
	for _, part := range why.Parts {
		rules = append(rules, part.Path...)
	}
	if why.Rule != nil {
		rules = append(rules, *why.Rule)
	}
	all, err := h.blamed(ctx, tenant, state.Revision, rules)
	return why, all, err
}

// BlameHolder says who made everything that reaches a holder, who is named as in
// rules, and the links by which it does.
func (h *History) BlameHolder(ctx context.Context, caller access.Caller, tenant, holder string, of access.AsOf) (access.State, []Blamed, error) {
	if err := h.open(ctx, caller, tenant); err != nil {
		return access.State{}, nil, err
	}
	answers, state, err := h.past.At(ctx, tenant, of)
	if err != nil {
		return state, nil, err
	}
	sight, err := answers.Sight(tenant)
	if err != nil {
		return state, nil, err
	}
	reached, err := sight.Reached(ctx, holder, access.Now)
	if err != nil {
		return state, nil, err
	}
	var rules []access.Rule
	for _, r := range reached {
		rules = append(append(rules, r.Path...), r.Rule)
	}
	all, err := h.blamed(ctx, tenant, state.Revision, rules)
	return state, all, err
}

func (h *History) blamed(ctx context.Context, tenant string, at access.Revision, rules []access.Rule) ([]Blamed, error) {
	seen := map[string]bool{}
	rules = slices.DeleteFunc(rules, func(r access.Rule) bool {
		again := seen[r.String()]
		seen[r.String()] = true
		return again
	})
	made, err := h.store.Made(ctx, tenant, at, rules)
	if err != nil {
		return nil, err
	}
	all := make([]Blamed, len(rules))
	for i := range rules {
		all[i] = Blamed{rules[i], made[i]}
	}
	return all, nil
}

// everybody is what whoever reads the accounts in policy files needs besides.
var everybody = Need{Part: "Users", Action: "show", Scope: access.Everywhere}

// Files gives a policy as files, of what is in force or of an earlier state.
// Accounts stand in them that came from files; with users, all the others too.
// Whoever may not be shown all accounts gets none: the policy alone is no list of
// people.
func (h *History) Files(ctx context.Context, caller access.Caller, tenant string, of access.AsOf, users bool) (map[string]string, access.State, error) {
	if _, err := h.authority.Allow(ctx, caller, tenant, wholePolicy); err != nil {
		return nil, access.State{}, err
	}
	_, people := h.authority.ask(ctx, caller, tenant, everybody)
	if people != nil && (users || !errors.Is(people, access.ErrForbidden)) {
		return nil, access.State{}, h.authority.noted(caller, tenant, everybody, people)
	}
	named := people == nil
	state, err := h.store.StateAt(ctx, tenant, of)
	if err != nil {
		return nil, state, err
	}
	var p *access.Policy
	read := func(r access.Reading) error {
		if p = r.Policy(); !named {
			return nil
		}
		return r.EachUser(func(u access.User) error {
			if users || u.Origin.File != "" {
				p.Users = append(p.Users, u)
			}
			return nil
		})
	}
	if of.Now() {
		err = h.store.View(ctx, tenant, func(r access.Reading) error {
			state.Revision = r.Revision()
			return read(r)
		})
	} else {
		err = h.store.ViewAt(ctx, tenant, state.Revision, read)
	}
	if err != nil {
		return nil, state, err
	}
	files, err := h.policies.bundles.Write(p)
	return files, state, err
}

// UndoOptions says how something is undone. The zero value does it, whatever the
// newest revision is.
type UndoOptions struct {
	Base   access.Revision // refuse unless this is the newest; any when 0
	Reason string
	Source string
	DryRun bool // tell what would be, and change nothing
}

// Undone says what became of it.
type Undone struct {
	Base       access.Revision // that it was made for
	Revision   access.Revision // in force now
	Operations []access.Operation
	Foretold   *Rehearsed // of a dry run that would change something
}

// restoring is needed to put an earlier state in force: it may hold anything, so
// of people only superusers may.
var restoring = Need{Part: "Policies", Action: "update", Superuser: true}

// Rollback makes a revision by which the policy is what it was in an earlier
// state: its documents, settings and plain lines. Accounts that were changed since
// get back their memberships, roles, grants, seats and applications of then, if
// they were there then and are not deleted now; names, e-mails, states, attributes
// and credentials stay as they are, and so do accounts that have come since. The
// new state is judged like any change: what cannot be had back is refused by name.
func (h *History) Rollback(ctx context.Context, caller access.Caller, tenant string, to access.AsOf, o UndoOptions) (Undone, error) {
	var u Undone
	if to.Now() {
		return u, access.Invalid("to", "is required: the number of a revision, or a time")
	}
	if _, err := h.authority.Allow(ctx, caller, tenant, restoring); err != nil {
		return u, err
	}
	state, err := h.store.StateAt(ctx, tenant, to)
	if err != nil {
		return u, err
	}
	changed, err := h.store.UsersSince(ctx, tenant, state.Revision)
	if err != nil {
		return u, err
	}
	var then *access.Policy
	err = h.store.ViewAt(ctx, tenant, state.Revision, func(r access.Reading) error {
		then = r.Policy()
		then.Users, err = usersOf(r, changed)
		return err
	})
	if err != nil {
		return u, err
	}
	return h.undo(ctx, caller, tenant, o, changed, func(now *access.Policy) (*access.Policy, error) {
		then.Users = restored(then.Users, now.Users)
		return then, housed(then)
	})
}

// housed refuses a policy without a group or role that one of its accounts has.
func housed(p *access.Policy) error {
	lost := p.Lost(p.Users)
	if len(lost) == 0 {
		return nil
	}
	return &access.Error{Kind: ErrConflict, Field: "to", Message: "the earlier state does not have what accounts have now: " + listed(lost)}
}

// usersOf gives some users, without those who are not there.
func usersOf(r access.Reading, ids []string) ([]access.User, error) {
	var all []access.User
	for _, id := range ids {
		u, err := r.User(id)
		if errors.Is(err, access.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// restored gives the accounts of now what they held then.
func restored(then, now []access.User) []access.User {
	held := map[string]access.User{}
	for _, u := range then {
		held[u.ID] = u
	}
	all := slices.Clone(now)
	for i := range all {
		was, there := held[all[i].ID]
		if !there || all[i].Status == access.UserDeleted || was.Status == access.UserDeleted {
			continue
		}
		all[i].Groups, all[i].Roles, all[i].Grants = was.Groups, was.Roles, was.Grants
		all[i].Licences, all[i].ApplicationsOff = was.Licences, was.ApplicationsOff
	}
	return all
}

// Revert makes a revision that reverses exactly what another one has changed, as
// far as nobody has changed it since: else the error is of kind ErrStale and says
// what. Accounts that the revision has made cannot be unmade.
func (h *History) Revert(ctx context.Context, caller access.Caller, tenant string, number access.Revision, o UndoOptions) (Undone, error) {
	if _, err := h.authority.Allow(ctx, caller, tenant, restoring); err != nil {
		return Undone{}, err
	}
	before, after, _, err := h.store.Change(ctx, tenant, number)
	if err != nil {
		return Undone{}, err
	}
	if len(access.Diff(before, after)) == 0 {
		return Undone{}, access.Invalid("revision", "revision %d has changed nothing that can be had back: neither policy nor accounts", number)
	}
	var ids []string
	for _, u := range after.Users {
		ids = append(ids, u.ID)
		if !slices.ContainsFunc(before.Users, func(b access.User) bool { return b.ID == u.ID }) {
			return Undone{}, access.Invalid("revision", "revision %d has made the account %s, which can be deleted but not unmade", number, u.ID)
		}
	}
	return h.undo(ctx, caller, tenant, o, ids, func(now *access.Policy) (*access.Policy, error) {
		return reverted(before, after, now, number)
	})
}

// undo makes one revision of what is made of the newest state. Of the accounts it
// is given those with the ids.
func (h *History) undo(ctx context.Context, caller access.Caller, tenant string, o UndoOptions, ids []string, make func(now *access.Policy) (*access.Policy, error)) (Undone, error) {
	var u Undone
	var now, want *access.Policy
	err := h.store.View(ctx, tenant, func(r access.Reading) (err error) {
		u.Base, u.Revision = r.Revision(), r.Revision()
		now = r.Policy()
		now.Users, err = usersOf(r, ids)
		return err
	})
	if err == nil && o.Base != 0 && o.Base != access.AnyRevision && o.Base != u.Base {
		err = &access.Error{Kind: access.ErrStale, Field: "base_revision", Message: fmt.Sprintf("the tenant is at revision %d, not at %d", u.Base, o.Base)}
	}
	if err == nil {
		want, err = make(now)
	}
	if err != nil {
		return u, err
	}
	want.Tenant = tenant
	u.Operations = access.Diff(now, want)
	if len(u.Operations) == 0 {
		return u, nil
	}
	if err := h.authority.attainable(want); err != nil {
		return u, err
	}
	if o.DryRun {
		c := access.Change{Base: u.Base, Author: caller.Name, Source: o.Source, Rehearse: true}
		j, d, err := h.policies.replace(ctx, caller, want, c)
		if err == nil {
			u.Foretold, err = foretold(h.authority.rehearsed(ctx, j, d))
		}
		return u, err
	}
	result := LoadResult{Tenant: tenant, Revision: u.Base}
	err = h.policies.write(ctx, caller, want, LoadOptions{Base: u.Base, Reason: o.Reason, Source: o.Source}, &result)
	u.Revision = result.Revision
	return u, err
}

// reverted puts what a revision has changed back into the policy of now.
func reverted(before, after, now *access.Policy, number access.Revision) (*access.Policy, error) {
	if since := changedSince(after, now, before); len(since) > 0 {
		return nil, &access.Error{Kind: access.ErrStale, Field: "revision", Message: fmt.Sprintf(
			"what revision %d has changed was changed again since: %s", number, strings.Join(since, "; "))}
	}
	want := *now
	if settingsDiffer(before, after) {
		want = *before
		want.Catalogue, want.Scopes, want.Roles, want.Groups, want.Users, want.Rules = now.Catalogue, now.Scopes, now.Roles, now.Groups, now.Users, now.Rules
	}
	want.Catalogue = putBack(before.Catalogue, after.Catalogue, want.Catalogue, func(a access.Application) string { return a.Code })
	want.Scopes = putBack(before.Scopes, after.Scopes, want.Scopes, func(s access.ScopeNode) string { return string(s.Scope) })
	want.Roles = putBack(before.Roles, after.Roles, want.Roles, func(r access.Role) string { return r.Code })
	want.Groups = putBack(before.Groups, after.Groups, want.Groups, func(g access.Group) string { return g.Code })
	want.Users = putBack(before.Users, after.Users, want.Users, func(u access.User) string { return u.ID })
	want.Rules = putBack(before.Rules, after.Rules, want.Rules, access.Rule.String)
	return &want, nil
}

// settingsDiffer tells whether anything else than lists of their own differs.
func settingsDiffer(a, b *access.Policy) bool {
	x, y := *a, *b
	for _, p := range []*access.Policy{&x, &y} {
		p.Catalogue, p.Scopes, p.Roles, p.Groups, p.Users, p.Rules = nil, nil, nil, nil, nil, nil
	}
	return !reflect.DeepEqual(x, y)
}

// changedSince says what differs between what a revision has left behind and now,
// of that which it has changed.
func changedSince(after, now, before *access.Policy) []string {
	only := *now
	if !settingsDiffer(before, after) {
		only = *after
	}
	only.Catalogue = among(after.Catalogue, before.Catalogue, now.Catalogue, func(a access.Application) string { return a.Code })
	only.Scopes = among(after.Scopes, before.Scopes, now.Scopes, func(s access.ScopeNode) string { return string(s.Scope) })
	only.Roles = among(after.Roles, before.Roles, now.Roles, func(r access.Role) string { return r.Code })
	only.Groups = among(after.Groups, before.Groups, now.Groups, func(g access.Group) string { return g.Code })
	only.Users = among(after.Users, before.Users, now.Users, func(u access.User) string { return u.ID })
	only.Rules = among(after.Rules, before.Rules, now.Rules, access.Rule.String)
	var all []string
	for _, o := range access.Diff(after, &only) {
		all = append(all, o.String())
	}
	return all[:min(len(all), maxListed)]
}

// among gives those of now that either list names.
func among[T any](a, b, now []T, code func(T) string) []T {
	named := map[string]bool{}
	for _, x := range slices.Concat(a, b) {
		named[code(x)] = true
	}
	return slices.DeleteFunc(slices.Clone(now), func(x T) bool { return !named[code(x)] })
}

// putBack replaces in now what a revision has made by what was there before it.
func putBack[T any](before, after, now []T, code func(T) string) []T {
	old, gone := map[string]T{}, map[string]bool{}
	for _, x := range before {
		old[code(x)] = x
	}
	for _, x := range after {
		_, stays := old[code(x)]
		gone[code(x)] = !stays
	}
	var all []T
	for _, x := range now {
		was, there := old[code(x)]
		switch {
		case there:
			all = append(all, was)
			delete(old, code(x))
		case !gone[code(x)]:
			all = append(all, x)
		}
	}
	for _, x := range before {
		if _, left := old[code(x)]; left {
			all = append(all, x)
		}
	}
	return all
}
