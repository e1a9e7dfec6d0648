package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// watched is a draft that remembers what an edit may have touched.
type watched struct {
	access.Draft
	groups []access.Group // as they were
	roles  []access.Role
	users  []string // ids that were put
	mailed bool     // a mail was queued
	asked  bool

	accounts map[string]access.User // those who were put, as they were
	wrong    error                  // met while those were read
}

// Policy gives the draft's policy, and keeps groups and roles as they were.
func (w *watched) Policy() *access.Policy {
	p := w.Draft.Policy()
	if !w.asked {
		w.asked = true
		for _, g := range p.Groups {
			w.groups = append(w.groups, g.Clone())
		}
		for _, r := range p.Roles {
			w.roles = append(w.roles, r.Clone())
		}
	}
	return p
}

// PutUser makes or changes an account.
func (w *watched) PutUser(u access.User) {
	w.users = append(w.users, u.ID)
	if _, known := w.accounts[u.ID]; !known {
		w.remember(u.ID)
	}
	w.Draft.PutUser(u)
}

func (w *watched) remember(id string) {
	was, err := w.User(id)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		w.wrong = err
	}
	if w.accounts == nil {
		w.accounts = map[string]access.User{}
	}
	w.accounts[id] = was
}

// was gives an account as it was before the edit; an empty one where there was
// none.
func (w *watched) was(id string) (access.User, error) {
	if u, put := w.accounts[id]; put {
		return u, w.wrong
	}
	return account(w, id)
}

// account gives an account, or an empty one where there is none.
func account(r access.Reading, id string) (access.User, error) {
	u, err := r.User(id)
	if errors.Is(err, access.ErrNotFound) {
		err = nil
	}
	return u, err
}

// before gives the groups as they were.
func (w *watched) before() []access.Group {
	if w.asked {
		return w.groups
	}
	return w.Draft.Policy().Groups
}

// Send queues a mail.
func (w *watched) Send(m access.Mail) error {
	w.mailed = true
	return w.Draft.Send(m)
}

// PutPassword keeps somebody's password.
func (w *watched) PutPassword(user string, p access.Password, but [32]byte) error {
	w.users = append(w.users, user)
	return w.Draft.PutPassword(user, p, but)
}

// PutSecondFactor keeps somebody's second factor.
func (w *watched) PutSecondFactor(user string, f access.SecondFactor) error {
	w.users = append(w.users, user)
	return w.Draft.PutSecondFactor(user, f)
}

// EndSessions ends somebody's sessions.
func (w *watched) EndSessions(user string) error {
	w.users = append(w.users, user)
	return w.Draft.EndSessions(user)
}

// Unlock lets somebody try to sign in again.
func (w *watched) Unlock(user string, counted [32]byte) error {
	w.users = append(w.users, user)
	return w.Draft.Unlock(user, counted)
}

// PutToken keeps a token of somebody.
func (w *watched) PutToken(t access.Token) error {
	if t.User != "" {
		w.users = append(w.users, t.User)
	}
	return w.Draft.PutToken(t)
}

// touchedBy names whom a difference is about.
func touchedBy(d *access.Delta) map[string]bool {
	names := map[string]bool{}
	for _, rules := range [][]access.Rule{d.Gone, d.Rules} {
		for _, r := range rules {
			names[r.Values[0]] = true
		}
	}
	for _, u := range d.Users {
		names[access.Name(access.KindUser, u.ID)] = true
	}
	for _, id := range d.Left {
		names[access.Name(access.KindUser, id)] = true
	}
	delete(names, access.SuperuserRole)
	return names
}

// touched names everybody and everything that an edit changed in itself.
func (w *watched) touched(d *access.Delta) []string {
	names := touchedBy(d)
	for _, id := range w.users {
		names[access.Name(access.KindUser, id)] = true
	}
	if w.asked {
		p := w.Draft.Policy()
		differing(names, access.KindGroup, w.groups, p.Groups, func(g access.Group) string { return g.Code })
		differing(names, access.KindRole, w.roles, p.Roles, func(r access.Role) string { return r.Code })
	}
	return slices.Sorted(maps.Keys(names))
}

func differing[T any](names map[string]bool, kind access.Kind, before, after []T, code func(T) string) {
	was := map[string]T{}
	for _, x := range before {
		was[code(x)] = x
	}
	for _, x := range after {
		if old, there := was[code(x)]; !there || !reflect.DeepEqual(old, x) {
			names[access.Name(kind, code(x))] = true
		}
		delete(was, code(x))
	}
	for gone := range was {
		names[access.Name(kind, gone)] = true
	}
}

// judgement is one change in front of its judge.
type judgement struct {
	before, after access.Sight
	touched       []string
	draft         access.Reading // of what the change leads to
	broken        []access.Breach
}

// judge refuses a change that its caller has no authority for, or that breaks a
// guarantee. It runs while the tenant is locked, so what it sees is what the
// change meets and leads to. A change that is only rehearsed is judged too, but
// for the guarantees, which are told.
func (d *Directory) judge(ctx context.Context, caller access.Caller, need Need, w *watched, c access.Change, delta access.Delta) (*judgement, error) {
	j := &judgement{touched: w.touched(&delta), draft: w.Draft}
	if delta.Frame != nil && !delta.Frame.Ours() {
		return j, nil // only keys come so far, and nobody holds anything by our words
	}
	in, err := d.authority.foresee(ctx, caller, need, j, delta)
	if err != nil || !j.before.Frame().Ours() {
		return j, err
	}
	if need.Own {
		err = j.own(ctx, caller)
	} else if !in.Superuser {
		if err = j.ceiling(ctx, in); err == nil {
			err = j.homes(in, w)
		}
		if err == nil {
			err = j.charged(ctx, caller, need, w)
		}
		if err == nil {
			err = j.decisive(ctx, in, caller, w)
		}
		if err == nil {
			err = d.authority.indirect(ctx, caller, j)
		}
	}
	if err == nil {
		err = j.keepsSuperuser(ctx)
	}
	if err == nil {
		err = d.authority.guarantees(ctx, j, c.Rehearse)
	}
	return j, err
}

// foresee looks at what a difference leads to, and at where the caller may make it.
func (a *Authority) foresee(ctx context.Context, caller access.Caller, need Need, j *judgement, delta access.Delta) (Reach, error) {
	var in Reach
	err := a.upToDate(ctx, delta.Tenant, delta.From, func() (err error) {
		if j.before, j.after, err = a.sights.Foresee(ctx, delta); err != nil {
			return err
		}
		if caller.IsKey() {
			in = Reach{Superuser: true, Everywhere: true}
			return nil
		}
		in, err = reach(ctx, j.before, caller, need)
		return err
	})
	return in, err
}

// guarantees refuses what would break one. Where a change is only rehearsed, what
// it would break is noted.
func (a *Authority) guarantees(ctx context.Context, j *judgement, rehearse bool) error {
	var err error
	j.broken, err = a.sights.Breaches(ctx, j.before, j.after, j.touched)
	if err == nil && len(j.broken) > 0 && !rehearse {
		err = &GuaranteeBroken{Breaches: j.broken}
	}
	return err
}

// GuaranteeBroken is an ErrConflict: the change would break guarantees.
type GuaranteeBroken struct{ Breaches []access.Breach } //nolint:errname // it says what happened

// Error names the first breach and the way that leads to it.
func (e *GuaranteeBroken) Error() string {
	text := "the guarantee " + BreachText(&e.Breaches[0])
	if n := len(e.Breaches) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// Unwrap makes it an error of kind ErrConflict.
func (*GuaranteeBroken) Unwrap() error { return ErrConflict }

// BreachText tells a breach in one sentence: which guarantee, whom, what, and the
// way from the holder to the rule.
func BreachText(b *access.Breach) string {
	return b.Guarantee + " would be broken: " + b.String()
}

// mostSuperusers is as many as are told from others who gain a new section.
const mostSuperusers = 1000

// indirect: who is no superuser changes what others may do by way of catalogue and
// licences only as far as he may do it himself. Taking a section away is what its
// declaration is about; of one that is new, he must have what others come to hold.
func (a *Authority) indirect(ctx context.Context, caller access.Caller, j *judgement) error {
	was, is := j.before.Frame(), j.after.Frame()
	if was == is || sameBearing(was, is) {
		return nil
	}
	all, err := a.sights.Consequences(ctx, j.before, j.after, access.ConsequenceOptions{Names: mostSuperusers})
	if err != nil {
		return err
	}
	old, left := declaredIn(was), declaredIn(is)
	for i := range all.All {
		x, sight := &all.All[i], j.before
		switch {
		case !left[x.Section]:
			continue
		case !old[x.Section]:
			sight = j.after
			given, err := superusersOnly(ctx, sight, x)
			if err != nil {
				return err
			}
			if given {
				continue
			}
		}
		for _, action := range x.Actions {
			d, err := sight.Decide(ctx, &access.Request{Subject: caller.Subject, Section: x.Section, Actions: []access.Action{action}, Scope: x.Scope})
			if err != nil {
				return err
			}
			if !d.Allowed {
				return access.Forbidden("%s on %s at %s would be %s by %d users, and %s may not do that himself", action, x.Section, x.Scope, x.Turn, x.Users, caller.Name)
			}
		}
	}
	return nil
}

// superusersOnly tells whether a consequence is about nobody but superusers, who
// may do whatever is new.
func superusersOnly(ctx context.Context, s access.Sight, x *access.Consequence) (bool, error) {
	if x.Anonymous || len(x.UserIDs) < x.Users || len(x.GroupCodes) < x.Groups {
		return false, nil
	}
	for kind, ids := range map[access.Kind][]string{access.KindUser: x.UserIDs, access.KindGroup: x.GroupCodes, access.KindApplication: x.Applications} {
		for _, id := range ids {
			if held, err := s.Holdings(ctx, access.Name(kind, id), access.Now); err != nil || !held.Superuser {
				return false, err
			}
		}
	}
	return true, nil
}

// sameBearing tells whether catalogue and licences mean the same for decisions.
func sameBearing(was, is *access.Facts) bool {
	return reflect.DeepEqual(was.Catalogue, is.Catalogue) && reflect.DeepEqual(was.Licences, is.Licences) && reflect.DeepEqual(was.Groups, is.Groups)
}

func declaredIn(f *access.Facts) map[access.Section]bool {
	all := map[access.Section]bool{}
	for _, app := range f.Catalogue {
		for _, s := range app.Sections {
			all[s.Path] = true
		}
	}
	return all
}

// own refuses to touch anybody else than oneself, or what one holds.
func (j *judgement) own(ctx context.Context, caller access.Caller) error {
	for _, name := range j.touched {
		if name != caller.Subject.Rule() {
			return access.Forbidden("%s may change nothing but the own account in this way", caller.Name)
		}
		before, err := j.before.Holdings(ctx, name, access.Ever)
		if err != nil {
			return err
		}
		after, err := j.after.Holdings(ctx, name, access.Ever)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(before, after) {
			return access.Forbidden("%s may not change what the own account holds", caller.Name)
		}
	}
	return nil
}

// ceiling: nobody touches whoever holds more than he does, before or after, nor
// anybody beyond the scopes of his right. What he holds himself is what he held
// before.
func (j *judgement) ceiling(ctx context.Context, in Reach) error {
	if structural(j.before.Frame(), j.after.Frame()) {
		return access.Forbidden("only superusers change what bears upon everybody: the model, the root section, how rights combine, and where a scope lies")
	}
	for _, name := range j.touched {
		was, err := j.holdings(ctx, j.before, name)
		if err != nil {
			return err
		}
		is, err := j.holdings(ctx, j.after, name)
		if err != nil {
			return err
		}
		if err := cmp.Or(in.bounds(name, was, j.above), in.bounds(name, is, j.above), in.outlasts(name, was, is, j.above)); err != nil {
			return err
		}
	}
	return nil
}

// outlasts: who holds something for a time gives it for no longer, not to himself
// either. What somebody had for longer already he keeps.
func (in Reach) outlasts(name string, was, is access.Holdings, above func(access.Scope) access.Scope) error {
	if !in.held.Bounded() {
		return nil
	}
	for _, h := range is.Rules {
		covers := func(held access.Holdings) bool {
			_, ok := held.Lasting(h.Validity).Covers(access.Holdings{Rules: []access.Holding{h}}, above)
			return ok
		}
		if h.Effect != access.Deny && !covers(in.held) && !covers(was) {
			return access.Forbidden("%q would hold %s on %s at %s for longer than %s does", name, h.Act, h.Section, h.Scope, in.caller)
		}
	}
	return nil
}

// holdings are those of a sight. An account that was deleted is judged by what it
// had: whoever may not touch it may not say who took over from it.
func (j *judgement) holdings(ctx context.Context, s access.Sight, name string) (access.Holdings, error) {
	if kind, id, _ := access.ParseName(name); kind == access.KindUser {
		u, err := account(j.draft, id)
		if err != nil {
			return access.Holdings{}, err
		}
		if u.Status == access.UserDeleted {
			return formerly(ctx, s, &u)
		}
	}
	return s.Holdings(ctx, name, access.Ever)
}

// homes: whoever may act in some stores only has accounts of those stores made or
// changed, and where stores share e-mails none of all stores, which would keep an
// e-mail from all others.
func (j *judgement) homes(in Reach, w *watched) error {
	if in.Everywhere {
		return nil
	}
	perStore := j.draft.Policy().Accounts.EmailUnique == access.EmailPerStore
	for _, id := range w.users {
		was, err := w.was(id)
		if err != nil {
			return err
		}
		now, err := account(j.draft, id)
		if err != nil {
			return err
		}
		for _, home := range []access.Scope{was.Home, now.Home} {
			if home != "" && !slices.ContainsFunc(in.Scopes, func(s access.Scope) bool { return access.LiesIn(home, s, j.above) }) {
				return access.Forbidden("the account %q belongs or would belong to %s, beyond the scopes in which %s may do this", id, home, in.caller)
			}
		}
		if perStore && now.Home == "" && (was.ID == "" || was.Home != "") {
			return access.Forbidden("%s may make accounts of single stores only: name one as home", in.caller)
		}
	}
	return nil
}

func (in Reach) bounds(name string, theirs access.Holdings, above func(access.Scope) access.Scope) error {
	if theirs.Superuser {
		return access.Forbidden("only superusers make or change superusers, and %q is one or would be", name)
	}
	if lacking, ok := in.held.Covers(theirs, above); !ok {
		return access.Forbidden("%q holds or would hold %s on %s at %s, which %s does not hold", name, lacking.Act, lacking.Section, lacking.Scope, in.caller)
	}
	if !in.Holds(theirs, above) {
		return access.Forbidden("%q reaches beyond the scopes in which %s may do this", name, in.caller)
	}
	return nil
}

// above gives the scope above another one, be it one that goes or comes.
func (j *judgement) above(s access.Scope) access.Scope {
	return cmp.Or(j.after.Above(s), j.before.Above(s))
}

// structural tells whether something changed that bears upon what everybody
// holds, whoever was touched.
func structural(before, after *access.Facts) bool {
	if before == after {
		return false
	}
	if before.Root != after.Root || before.Combining != after.Combining || before.Model != after.Model {
		return true
	}
	parents := map[access.Scope]access.Scope{}
	for _, s := range before.Scopes {
		parents[s.Scope] = cmp.Or(s.Parent, access.Everywhere)
	}
	return slices.ContainsFunc(after.Scopes, func(s access.ScopeNode) bool {
		was, there := parents[s.Scope]
		return there && was != cmp.Or(s.Parent, access.Everywhere)
	})
}

// keepsSuperuser refuses to take away the last superuser who can act. It is
// looked at only where one was touched.
func (j *judgement) keepsSuperuser(ctx context.Context) error {
	var last []string // who is one, and was touched
	for _, name := range j.touched {
		held, err := j.before.Holdings(ctx, name, access.Now)
		if err != nil {
			return err
		}
		if held.Superuser {
			last = append(last, name)
		}
	}
	if len(last) == 0 {
		return nil
	}
	for _, when := range []access.Moment{access.ForGood, access.Now} {
		left, err := j.superuserLeft(ctx, j.after, when)
		if left || err != nil {
			return err
		}
		had, err := j.superuserLeft(ctx, j.before, when)
		if err != nil {
			return err
		}
		if had {
			return &access.Error{Kind: ErrConflict, Field: "superuser", Message: "this would leave the tenant without an active superuser for good; make another one first, or keep " + listed(last)}
		}
	}
	return nil
}

// superuserLeft looks for a superuser who can act. Those who could be one are
// whoever was touched, and the members of all that make superusers.
func (j *judgement) superuserLeft(ctx context.Context, s access.Sight, when access.Moment) (bool, error) {
	for _, name := range j.touched {
		if kind, id, _ := access.ParseName(name); kind == access.KindUser {
			if able, err := superuser(ctx, s, id, when); able || err != nil {
				return able, err
			}
		}
	}
	p := j.draft.Policy()
	if found, err := j.among(ctx, s, access.KindRole, access.SuperuserRole, when); found || err != nil {
		return found, err
	}
	for _, g := range p.Groups {
		if found, err := j.amongMakers(ctx, s, access.KindGroup, g.Code, when); found || err != nil {
			return found, err
		}
	}
	for _, r := range p.Roles {
		if found, err := j.amongMakers(ctx, s, access.KindRole, r.Code, when); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (j *judgement) amongMakers(ctx context.Context, s access.Sight, kind access.Kind, code string, when access.Moment) (bool, error) {
	held, err := s.Holdings(ctx, access.Name(kind, code), access.Now)
	if err != nil || !held.Superuser {
		return false, err
	}
	return j.among(ctx, s, kind, code, when)
}

// holdersPage is how many holders are read at a time.
const holdersPage = 100

// among looks for a superuser among the direct holders of a group or role.
func (j *judgement) among(ctx context.Context, s access.Sight, kind access.Kind, code string, when access.Moment) (bool, error) {
	after := ""
	for {
		ids, err := j.draft.Holders(kind, code, after, holdersPage)
		if err != nil {
			return false, err
		}
		for _, id := range ids {
			if able, err := superuser(ctx, s, id, when); able || err != nil {
				return able, err
			}
		}
		if len(ids) < holdersPage {
			return false, nil
		}
		after = ids[len(ids)-1]
	}
}

// superuser tells whether a user is one and can act.
func superuser(ctx context.Context, s access.Sight, id string, when access.Moment) (bool, error) {
	who := access.Subject{Kind: access.KindUser, ID: id}
	if who == access.Anonymous {
		return false, nil
	}
	held, err := s.Holdings(ctx, who.Rule(), when)
	if err != nil || !held.Superuser {
		return false, err
	}
	answer, err := s.Decide(ctx, &access.Request{Subject: who, Actions: []access.Action{"show"}, Section: access.OwnSection(s.Frame().Root, "")})
	return answer.Reason == access.ReasonSuperuser, err
}
