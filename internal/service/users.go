package service

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// NewUser is an account to be made.
type NewUser struct {
	ID, Email, Name, ExternalID string            // a random id when empty
	Home                        access.Scope      // empty: all stores
	Status                      access.UserStatus // active or disabled; active when empty
	Invite                      bool              // the account is invited instead, and gets a mail with a link
	Groups, Roles               []access.Link     // without a group: the tenant's one group for newcomers
	Grants                      []access.Grant
	Licences, ApplicationsOff   []string
	Attributes                  map[string]any
	Menu                        []access.Section // nil: everything he may see
}

// UserPatch says what is to be different about an account. What is nil stays.
// The id never changes, and the status by acts of its own.
type UserPatch struct {
	Email, Name, ExternalID   *string
	Home                      *access.Scope
	Groups, Roles             *[]access.Link
	Grants                    *[]access.Grant
	Licences, ApplicationsOff *[]string
	Attributes                map[string]any // merged member by member; null takes away
	NoAttributes              bool           // they are all taken away first
	Menu                      *[]access.Section
}

// maxAttributes is how large the attributes of an account may be, as JSON.
const maxAttributes = 16 << 10

// DefaultRestoreWindow is how long a deleted account can be restored.
const DefaultRestoreWindow = 14 * 24 * time.Hour

// ErrGone is an ErrNotFound of what was there and can no longer be had back.
var ErrGone = fmt.Errorf("gone: %w", access.ErrNotFound)

// UserAct changes one account in an edit.
type UserAct func(t access.Draft, u *access.User) error

// CreateUser makes an account.
func (d *Directory) CreateUser(ctx context.Context, caller access.Caller, tenant string, n NewUser, c access.Change) (access.User, access.Revision, error) {
	var made access.User
	revision, err := d.change(ctx, caller, tenant, Need{Part: "Users", Action: "insert"}, c.Making(&made), func(t access.Draft) (err error) {
		made, err = n.create(t)
		return err
	})
	return made, revision, err
}

func (n NewUser) create(t access.Draft) (access.User, error) {
	u, err := n.begin(t)
	if err != nil {
		return u, err
	}
	return u, put(t, &u)
}

// begin gives the account as it shall be, without having looked through it.
func (n NewUser) begin(t access.Draft) (access.User, error) {
	u := access.User{
		ID: n.ID, Email: n.Email, Home: n.Home, Name: n.Name, ExternalID: n.ExternalID, Status: n.Status, Groups: n.Groups, Roles: n.Roles, Grants: n.Grants,
		Licences: n.Licences, ApplicationsOff: n.ApplicationsOff, Attributes: n.Attributes, Menu: n.Menu, CreatedAt: t.Now(),
	}
	if u.ID == "" {
		u.ID = strings.ToLower(rand.Text())
	}
	switch {
	case n.Invite && u.Status != "":
		return u, access.Invalid("status", "is not for an account that is invited")
	case n.Invite:
		u.Status = access.UserInvited
	case u.Status == "":
		u.Status = access.UserActive
	case u.Status != access.UserActive && u.Status != access.UserDisabled:
		return u, access.Invalid("status", "%q is neither active nor disabled, with which accounts can begin", string(u.Status))
	}
	if err := access.ValidUserID("id", u.ID); err != nil {
		return u, err
	}
	if _, err := t.User(u.ID); err == nil {
		return u, access.Exists("id", u.ID) // also where it was deleted: ids are never used again
	} else if !errors.Is(err, access.ErrNotFound) {
		return u, err
	}
	if err := inMenu(t.Policy(), u.Menu); err != nil {
		return u, err
	}
	if len(u.Groups) == 0 {
		u.Groups = newcomers(t.Policy())
	}
	if n.Invite {
		if err := invite(t, &u); err != nil {
			return u, err
		}
	}
	return u, nil
}

// newcomers gives the group of accounts that are made without one: the one of
// kind default, where there is just one besides that of anonymous. Of several,
// none may be taken: one of them could be that of the administrators.
func newcomers(p *access.Policy) []access.Link {
	var links []access.Link
	for _, g := range p.Groups {
		if g.Kind == access.GroupDefault && g.Code != p.Anonymous {
			links = append(links, access.Link{To: g.Code})
		}
	}
	if len(links) != 1 {
		return nil
	}
	return links
}

// editUser makes one revision of an act on an account that is not deleted.
func (d *Directory) editUser(ctx context.Context, caller access.Caller, tenant, id string, action access.Action, c access.Change, act UserAct) (access.User, access.Revision, error) {
	var after access.User
	revision, err := d.change(ctx, caller, tenant, Need{Part: "Users", Action: action}, c.Making(&after), func(t access.Draft) (err error) {
		after, err = acted(t, id, act)
		return err
	})
	return after, revision, err
}

func acted(t access.Draft, id string, act UserAct) (access.User, error) {
	u, err := t.User(id)
	if err != nil {
		return u, err
	}
	if u.Status == access.UserDeleted {
		return u, access.NotFound("user", id)
	}
	if err := act(t, &u); err != nil {
		return u, err
	}
	return u, put(t, &u)
}

// put leaves an account in the draft, after it was looked through.
func put(t access.Draft, u *access.User) error {
	if err := entities(t.Policy(), u.Grants); err != nil {
		return err
	}
	if err := validUser(t, u); err != nil {
		return err
	}
	t.PutUser(*u)
	return nil
}

// validUser says in which field of an account a mistake is.
func validUser(t access.Draft, u *access.User) error {
	if u.Status == access.UserDeleted {
		return nil
	}
	if err := validByItself(t, u); err != nil {
		return err
	}
	return checkedUser(t.Policy(), *u)
}

// validByItself is validUser but for the names of groups, roles and the like.
func validByItself(t access.Draft, u *access.User) error {
	if err := entities(t.Policy(), u.Grants); err != nil {
		return err
	}
	if err := validWords(u); err != nil {
		return err
	}
	if err := admitted(t, u); err != nil {
		return err
	}
	return free(t, u)
}

// admitted looks at what the tenant demands of accounts.
func admitted(t access.Draft, u *access.User) error {
	rules := t.Policy().Accounts
	if rules.EmailPattern == "" && len(rules.Required) == 0 {
		return nil
	}
	was, err := t.User(u.ID)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return err
	}
	return rules.Admits(&was, u)
}

func validWords(u *access.User) error {
	if err := validEmail(u.Email); err != nil {
		return err
	}
	if err := access.ValidName("name", u.Name); err != nil {
		return err
	}
	if u.ExternalID != "" {
		if err := access.ValidName("external_id", u.ExternalID); err != nil {
			return err
		}
	}
	whole, _ := exactNumbers(u.Attributes).(map[string]any)
	u.Attributes = whole
	text, err := json.Marshal(u.Attributes)
	if err != nil || len(text) > maxAttributes {
		return access.Invalid("attributes", "are more than %d bytes", maxAttributes)
	}
	for i, s := range u.Menu {
		if err := access.ValidSection(fmt.Sprintf("menu[%d]", i), s); err != nil {
			return err
		}
	}
	link := func(l access.Link) string { return l.To + "\n" + strings.TrimSuffix(string(l.Scope), "*") }
	itself := func(s string) string { return s }
	return cmp.Or(single("groups", u.Groups, link), single("roles", u.Roles, link), single("licences", u.Licences, itself),
		single("applications_off", u.ApplicationsOff, itself))
}

// single refuses what is listed twice.
func single[T any](field string, list []T, key func(T) string) error {
	seen := map[string]bool{}
	for i, x := range list {
		if seen[key(x)] {
			return access.Invalid(fmt.Sprintf("%s[%d]", field, i), "is there twice")
		}
		seen[key(x)] = true
	}
	return nil
}

func validEmail(email string) error {
	if err := access.ValidName("email", email); err != nil {
		return err
	}
	address, err := mail.ParseAddress(email)
	if err != nil || address.Address != email || address.Name != "" {
		return access.Invalid("email", "%q is not an e-mail address", email)
	}
	return nil
}

// exactNumbers makes whole numbers of those that JSON gave as others, so that
// they are what files would have made of them.
func exactNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			m[k] = exactNumbers(x)
		}
		if len(m) == 0 {
			return map[string]any(nil)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = exactNumbers(x)
		}
		return list
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	}
	return v
}

// free refuses the e-mail of somebody else, unless it is that of another store's
// account and the tenant lets those share it.
func free(t access.Draft, u *access.User) error {
	others, err := t.WithEmail(u.Email)
	if err != nil {
		return err
	}
	rules := t.Policy().Accounts
	for i := range others {
		if o := &others[i]; o.ID != u.ID && !rules.MayShare(o.Home, u.Home) {
			return &access.Error{Kind: access.ErrExists, Field: "email", Message: "another account has this e-mail already"}
		}
	}
	return nil
}

// checkedUser looks for names that stand for nothing. The fields stand where
// files would for as long as that takes.
func checkedUser(p *access.Policy, u access.User) error {
	if u.Home != "" {
		if err := access.ValidScope("home", u.Home); err != nil {
			return err
		}
	}
	q := outline(p)
	u.Groups, u.Roles, u.Grants = placed("groups", u.Groups), placed("roles", u.Roles), slices.Clone(u.Grants)
	for i := range u.Grants {
		u.Grants[i].Origin = access.Origin{File: fmt.Sprintf("grants[%d]", i)}
	}
	u.Origin = access.Origin{File: "user"}
	q.Users = []access.User{u}
	problems := q.Check().Errors()
	if len(problems) == 0 {
		return nil
	}
	first, field := problems[0], problems[0].Origin.File
	if field == "user" || field == "" {
		field = map[string]string{"application-unknown": "applications_off", "licence-unknown": "licences", "groups-too-many": "groups", "scope-unknown": "home"}[first.Code]
	}
	message := first.Message
	if first.Hint != "" {
		message += " (" + first.Hint + ")"
	}
	return access.Invalid(field, "%s", message)
}

// outline is what accounts name of a policy. What groups and roles hold was
// looked at when they were written, and the store looks at the whole again.
func outline(p *access.Policy) access.Policy {
	q := *p
	q.Groups, q.Roles, q.Rules = make([]access.Group, len(p.Groups)), make([]access.Role, len(p.Roles)), nil
	q.NeedBase = false // the outlined groups have none
	for i, g := range p.Groups {
		q.Groups[i] = access.Group{Code: g.Code}
	}
	for i, r := range p.Roles {
		q.Roles[i] = access.Role{Code: r.Code}
	}
	return q
}

func placed(field string, links []access.Link) []access.Link {
	links = slices.Clone(links)
	for i := range links {
		links[i].Origin = access.Origin{File: fmt.Sprintf("%s[%d]", field, i)}
	}
	return links
}

// PatchUser changes what is named in the patch.
func (d *Directory) PatchUser(ctx context.Context, caller access.Caller, tenant, id string, patch UserPatch, c access.Change) (access.User, access.Revision, error) {
	return d.editUser(ctx, caller, tenant, id, "update", c, patch.Act)
}

// Profile is what people change about their own account. What is nil stays.
type Profile struct {
	Name *string
	Menu *[]access.Section
}

// PatchProfile changes the account of the caller himself, who needs no right for
// that, and nothing that decides about access.
func (d *Directory) PatchProfile(ctx context.Context, caller access.Caller, p Profile, c access.Change) (access.User, access.Revision, error) {
	var after access.User
	if caller.Subject.Kind != access.KindUser {
		return after, 0, access.Forbidden("only people have a profile")
	}
	patch := UserPatch{Name: p.Name, Menu: p.Menu}
	need := Need{Part: "Users", Action: "update", Own: true}
	revision, err := d.change(ctx, caller, caller.Tenant, need, c, func(t access.Draft) (err error) {
		after, err = acted(t, caller.Subject.ID, patch.Act)
		return err
	})
	return after, revision, err
}

// Act makes the patch an act on an account.
func (patch *UserPatch) Act(t access.Draft, u *access.User) error {
	if patch.Groups != nil && len(*patch.Groups) == 0 && len(u.Groups) > 0 {
		return groupless(u)
	}
	if patch.Email != nil && *patch.Email != u.Email {
		if err := moved(t, u, *patch.Email); err != nil {
			return err
		}
	}
	set(&u.Name, patch.Name)
	set(&u.ExternalID, patch.ExternalID)
	set(&u.Home, patch.Home)
	set(&u.Groups, patch.Groups)
	set(&u.Roles, patch.Roles)
	set(&u.Grants, patch.Grants)
	set(&u.Licences, patch.Licences)
	set(&u.ApplicationsOff, patch.ApplicationsOff)
	set(&u.Menu, patch.Menu)
	if patch.Menu != nil {
		if err := inMenu(t.Policy(), u.Menu); err != nil {
			return err
		}
	}
	if patch.NoAttributes {
		u.Attributes = nil
	}
	if patch.Attributes != nil {
		u.Attributes = merged(u.Attributes, patch.Attributes)
	}
	return nil
}

// inMenu refuses sections that no application has declared. What was chosen
// before its section went away stays.
func inMenu(p *access.Policy, menu []access.Section) error {
	declared := map[access.Section]bool{}
	var names []string
	for _, a := range access.WithOurselves(p.Catalogue, p.Root) {
		for _, s := range a.Sections {
			declared[s.Path] = true
			names = append(names, string(s.Path))
		}
	}
	for i, s := range menu {
		if declared[s] {
			continue
		}
		field, message := fmt.Sprintf("menu[%d]", i), fmt.Sprintf("section %q is not declared by any application", s)
		if near := access.Nearest(string(s), names); near != "" {
			message += "; did you mean " + near + "?"
		}
		return cmp.Or(access.ValidSection(field, s), access.Invalid(field, "%s", message))
	}
	return nil
}

// moved gives an account another e-mail. Links that went to the one of before
// stop working; who acts is told there, and who is invited is invited here.
func moved(t access.Draft, u *access.User, email string) error {
	if err := t.DropTokens(u.ID); err != nil {
		return err
	}
	before := u.Email
	switch u.Email = email; {
	case email == "":
	case u.Status == access.UserInvited:
		return invite(t, u)
	case before != "" && statusOf(u) == access.UserActive && access.FoldCase(before) != access.FoldCase(email):
		return t.Send(access.Mail{User: u.ID, To: before, Purpose: access.MailEmailChanged})
	}
	return nil
}

func groupless(u *access.User) error {
	return &access.Error{Kind: ErrConflict, Field: "groups", Message: fmt.Sprintf("user %q would be in no group any more; put him into another one first", u.ID)}
}

// Which of the two ordered lists of links of an account is meant.
const (
	ofGroups = "groups"
	ofRoles  = "roles"
)

func linksOf(u *access.User, list string) *[]access.Link {
	if list == ofRoles {
		return &u.Roles
	}
	return &u.Groups
}

// adding puts links behind those that are there; one that is there already,
// with the same scope, takes over the new validity and keeps its place.
func adding(list string, links []access.Link) UserAct {
	return func(t access.Draft, u *access.User) error {
		alone := access.User{ID: u.ID} // so that a mistake is named by its place in what was sent
		*linksOf(&alone, list) = links
		if err := checkedUser(t.Policy(), alone); err != nil {
			return err
		}
		have := linksOf(u, list)
		*have = slices.Clone(*have)
		for _, l := range links {
			at := slices.IndexFunc(*have, func(x access.Link) bool { return x.To == l.To && same(x.Scope, l.Scope) })
			if at >= 0 {
				(*have)[at] = l
			} else {
				*have = append(*have, l)
			}
		}
		return nil
	}
}

func same(a, b access.Scope) bool {
	return a == b || a == "" && b == access.Everywhere || a == access.Everywhere && b == ""
}

// removing takes links away, in whatever scopes they are.
func removing(list string, codes []string) UserAct {
	return func(_ access.Draft, u *access.User) error {
		have := linksOf(u, list)
		for i, code := range codes {
			if !slices.ContainsFunc(*have, func(l access.Link) bool { return l.To == code }) {
				return &access.Error{Kind: access.ErrNotFound, Field: fmt.Sprintf("%s[%d]", list, i), Message: fmt.Sprintf("user %q does not have %q", u.ID, code)}
			}
		}
		left := slices.DeleteFunc(slices.Clone(*have), func(l access.Link) bool { return slices.Contains(codes, l.To) })
		if list == ofGroups && len(left) == 0 {
			return groupless(u)
		}
		*have = left
		return nil
	}
}

// ordering puts the links into the order of codes, which must name each once.
func ordering(list string, codes []string) UserAct {
	return func(_ access.Draft, u *access.User) error {
		have := linksOf(u, list)
		at := map[string]int{}
		for i, code := range codes {
			if _, twice := at[code]; twice || !slices.ContainsFunc(*have, func(l access.Link) bool { return l.To == code }) {
				return access.Invalid(fmt.Sprintf("%s[%d]", list, i), "%q is not one of the user's, or there twice", code)
			}
			at[code] = i
		}
		for _, l := range *have {
			if _, named := at[l.To]; !named {
				return access.Invalid(list, "the order does not name %q", l.To)
			}
		}
		*have = slices.Clone(*have)
		slices.SortStableFunc(*have, func(a, b access.Link) int { return at[a.To] - at[b.To] })
		return nil
	}
}

// EditUser does one act to an account.
func (d *Directory) EditUser(ctx context.Context, caller access.Caller, tenant, id string, act UserAct, c access.Change) (access.User, access.Revision, error) {
	return d.editUser(ctx, caller, tenant, id, "update", c, act)
}

// AddGroups puts a user into groups, all or none, behind those he is in.
func AddGroups(groups []access.Link) UserAct { return adding(ofGroups, groups) }

// RemoveGroups takes a user out of groups, all or none, and never out of his last.
func RemoveGroups(codes []string) UserAct { return removing(ofGroups, codes) }

// OrderGroups says in which order a user is in his groups.
func OrderGroups(codes []string) UserAct { return ordering(ofGroups, codes) }

// AddRoles gives a user roles, all or none.
func AddRoles(roles []access.Link) UserAct { return adding(ofRoles, roles) }

// RemoveRoles takes roles from a user, all or none.
func RemoveRoles(codes []string) UserAct { return removing(ofRoles, codes) }

// AddLicences gives a user seats of features.
func AddLicences(features []string) UserAct {
	return func(_ access.Draft, u *access.User) error {
		u.Licences = slices.Clone(u.Licences)
		for _, f := range features {
			if !slices.Contains(u.Licences, f) {
				u.Licences = append(u.Licences, f)
			}
		}
		return nil
	}
}

// RemoveLicences takes seats of features from a user, all or none.
func RemoveLicences(features []string) UserAct {
	return func(_ access.Draft, u *access.User) error {
		for i, f := range features {
			if !slices.Contains(u.Licences, f) {
				return &access.Error{Kind: access.ErrNotFound, Field: fmt.Sprintf("licences[%d]", i), Message: fmt.Sprintf("user %q holds no seat of %q", u.ID, f)}
			}
		}
		u.Licences = slices.DeleteFunc(slices.Clone(u.Licences), func(f string) bool { return slices.Contains(features, f) })
		return nil
	}
}

// SwitchApplication switches an application on or off for a user.
func SwitchApplication(code string, on bool) UserAct {
	return func(t access.Draft, u *access.User) error {
		p := t.Policy()
		apps := access.WithOurselves(p.Catalogue, p.Root)
		if !slices.ContainsFunc(apps, func(a access.Application) bool { return a.Code == code }) {
			return access.NotFound("application", code)
		}
		u.ApplicationsOff = slices.DeleteFunc(slices.Clone(u.ApplicationsOff), func(off string) bool { return off == code })
		if !on {
			u.ApplicationsOff = append(u.ApplicationsOff, code)
		}
		return nil
	}
}

// ActivateUser lets a disabled account act again, with all that it had.
func (d *Directory) ActivateUser(ctx context.Context, caller access.Caller, tenant, id string, c access.Change) (access.User, access.Revision, error) {
	return d.editUser(ctx, caller, tenant, id, "update", c, activating)
}

func activating(_ access.Draft, u *access.User) error {
	if u.Status != access.UserDisabled && u.Status != access.UserActive {
		return &access.Error{Kind: ErrConflict, Field: "status", Message: fmt.Sprintf("user %q is %s, which has an act of its own to end it", u.ID, u.Status)}
	}
	u.Status = access.UserActive
	return nil
}

// DeactivateUser denies an account everything at once and keeps all that it has.
// Nobody does that to himself.
func (d *Directory) DeactivateUser(ctx context.Context, caller access.Caller, tenant, id string, c access.Change) (access.User, access.Revision, error) {
	return d.editUser(ctx, caller, tenant, id, "update", c, deactivating(caller))
}

func deactivating(caller access.Caller) UserAct {
	return func(_ access.Draft, u *access.User) error {
		if err := notOneself(caller, u, "deactivate"); err != nil {
			return err
		}
		u.Status = access.UserDisabled
		return nil
	}
}

func notOneself(caller access.Caller, u *access.User, act string) error {
	if caller.Subject == (access.Subject{Kind: access.KindUser, ID: u.ID}) {
		return &access.Error{Kind: ErrConflict, Field: "user", Message: "nobody can " + act + " the own account; ask another administrator"}
	}
	return nil
}

// DeleteUser takes an account away from decisions and lists. For a while it can
// be restored as it was. Where a successor is named, applications are told who
// took over what the account was responsible for.
func (d *Directory) DeleteUser(ctx context.Context, caller access.Caller, tenant, id, successor string, c access.Change) (access.User, access.Revision, error) {
	hand, err := d.handing(ctx, caller, tenant, "hand_over_to", successor)
	if err != nil {
		return access.User{}, 0, err
	}
	remove := deleting(caller)
	return d.editUser(ctx, caller, tenant, id, "delete", c, func(t access.Draft, u *access.User) error {
		if err := hand(t, u); err != nil {
			return err
		}
		return remove(t, u)
	})
}

// HandOver names, or names anew, who took over from a deleted account.
func (d *Directory) HandOver(ctx context.Context, caller access.Caller, tenant, id, successor string, c access.Change) (access.User, access.Revision, error) {
	if successor == "" {
		return access.User{}, 0, access.Invalid("to", "is required")
	}
	hand, err := d.handing(ctx, caller, tenant, "to", successor)
	if err != nil {
		return access.User{}, 0, err
	}
	var after access.User
	revision, err := d.change(ctx, caller, tenant, Need{Part: "Users", Action: "delete"}, c.Making(&after), func(t access.Draft) (err error) {
		if after, err = t.User(id); err != nil {
			return err
		}
		if after.Status != access.UserDeleted {
			return &access.Error{Kind: ErrConflict, Field: "status", Message: fmt.Sprintf("user %q is not deleted; name the successor when he is", id)}
		}
		if err := hand(t, &after); err != nil {
			return err
		}
		t.PutUser(after)
		return nil
	})
	return after, revision, err
}

// handing gives the act that names a successor: an account that is there, and
// that the caller may see. It gives the successor no right. The field is where he
// was named.
func (d *Directory) handing(ctx context.Context, caller access.Caller, tenant, field, successor string) (UserAct, error) {
	if successor == "" {
		return func(access.Draft, *access.User) error { return nil }, nil
	}
	in, err := d.authority.Allow(ctx, caller, tenant, Need{Part: "Users", Action: "delete"})
	if err != nil {
		return nil, err
	}
	seen, err := d.sees(ctx, tenant, in)
	if err != nil {
		return nil, err
	}
	return func(t access.Draft, u *access.User) error {
		if successor == u.ID {
			return access.Invalid(field, "nobody takes over from himself")
		}
		shown, err := seen(access.Name(access.KindUser, successor))
		if err != nil {
			return err
		}
		if !shown {
			return access.Invalid(field, "there is no user %q", successor)
		}
		if _, err := userIn(t, field, successor); err != nil {
			return err
		}
		u.Successor = successor
		return nil
	}, nil
}

func deleting(caller access.Caller) UserAct {
	return func(t access.Draft, u *access.User) error {
		if err := notOneself(caller, u, "delete"); err != nil {
			return err
		}
		u.Status, u.DeletedAt = access.UserDeleted, t.Now()
		return nil
	}
}

// RestoreUser gives back an account that was deleted not too long ago: inactive,
// with what it had, as far as that still exists.
func (d *Directory) RestoreUser(ctx context.Context, caller access.Caller, tenant, id string, c access.Change) (access.User, access.Revision, error) {
	var after access.User
	revision, err := d.change(ctx, caller, tenant, Need{Part: "Users", Action: "insert"}, c.Making(&after), func(t access.Draft) (err error) {
		if after, err = t.User(id); err != nil {
			return err
		}
		if after.Status != access.UserDeleted {
			return &access.Error{Kind: ErrConflict, Field: "status", Message: fmt.Sprintf("user %q is not deleted", id)}
		}
		if until := d.RestorableUntil(after); !t.Now().Before(until) || !after.PurgedAt.IsZero() {
			return &access.Error{Kind: ErrGone, Field: "user", Message: fmt.Sprintf("%q could be restored until %s", id, until.UTC().Format(time.RFC3339))}
		}
		after.Status, after.DeletedAt, after.Successor = access.UserDisabled, time.Time{}, ""
		keepExisting(t.Policy(), &after)
		return put(t, &after)
	})
	return after, revision, err
}

// RestorableUntil tells until when a deleted account can be restored.
func (d *Directory) RestorableUntil(u access.User) time.Time {
	window := d.opts.RestoreWindow
	if window == 0 {
		window = DefaultRestoreWindow
	}
	return u.DeletedAt.Add(window)
}

// keepExisting leaves out what an account had that is no longer there.
func keepExisting(p *access.Policy, u *access.User) {
	role := func(code string) bool {
		return code == access.SuperuserRole || slices.ContainsFunc(p.Roles, func(r access.Role) bool { return r.Code == code })
	}
	scope := func(s access.Scope) bool {
		return s == "" || s == access.Everywhere || slices.ContainsFunc(p.Scopes, func(n access.ScopeNode) bool { return n.Scope == s })
	}
	apps := access.WithOurselves(p.Catalogue, p.Root)
	if !scope(u.Home) {
		u.Home = ""
	}
	u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(l access.Link) bool { return groupAt(p, l.To) < 0 || !scope(l.Scope) })
	u.Roles = slices.DeleteFunc(slices.Clone(u.Roles), func(l access.Link) bool { return !role(l.To) || !scope(l.Scope) })
	u.Licences = slices.DeleteFunc(slices.Clone(u.Licences), func(f string) bool {
		return !slices.ContainsFunc(p.Licences, func(l access.Licence) bool { return l.Feature == f })
	})
	u.ApplicationsOff = slices.DeleteFunc(slices.Clone(u.ApplicationsOff), func(code string) bool {
		return !slices.ContainsFunc(apps, func(a access.Application) bool { return a.Code == code })
	})
	u.Grants = slices.DeleteFunc(slices.Clone(u.Grants), func(g access.Grant) bool {
		alone := access.User{ID: u.ID, Grants: []access.Grant{g}}
		return checkedUser(p, alone) != nil
	})
}
