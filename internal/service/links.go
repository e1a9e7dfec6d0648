package service

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ErrLink is the one answer to a one-time link that is unknown, used or too old.
var ErrLink = &access.Error{Kind: access.ErrNotFound, Field: "token", Message: "is unknown, used or too old; ask for a new link"}

// linkHash gives the hash of a link's token. One that was cut is none.
func linkHash(text string) ([32]byte, error) {
	hash, ok := HashOf(text)
	if !ok {
		return hash, ErrLink
	}
	return hash, nil
}

// ChoosePassword lets whoever has the link of an invitation, or one for those who
// have forgotten their password, choose one. Who was invited becomes active. He
// is signed in. A password that is refused leaves the link good.
func (a *Accounts) ChoosePassword(ctx context.Context, tenant string, purpose access.Purpose, token, password string, from Client, c access.Change) (Secret, SignedIn, error) {
	hash, err := linkHash(token)
	if err != nil {
		return "", SignedIn{}, err
	}
	t, err := a.store.PeekToken(ctx, tenant, purpose, hash)
	if err != nil {
		return "", SignedIn{}, err
	}
	account, err := a.account(ctx, tenant, t.User)
	if err != nil {
		return "", SignedIn{}, ErrLink
	}
	if want := waitsFor[purpose]; account.User.Status != want {
		return "", SignedIn{}, ErrLink
	}
	next, err := a.chosen(ctx, &account, password, 1)
	if err != nil {
		return "", SignedIn{}, err
	}
	self := signedIn(access.Session{Tenant: tenant, User: t.User}, "").Caller
	_, err = a.directory.change(ctx, self, tenant, Need{Part: "Users", Action: "update", Own: true}, c, func(d access.Draft) error {
		return a.chooses(d, &account, purpose, hash, next)
	})
	if err != nil {
		return "", SignedIn{}, err
	}
	return a.enter(ctx, tenant, t.User, from)
}

// waitsFor is the status of those to whom links of a purpose belong.
var waitsFor = map[access.Purpose]access.UserStatus{
	access.PurposeActivate: access.UserInvited,
	access.PurposeReset:    access.UserActive,
}

func (a *Accounts) chooses(d access.Draft, account *access.Account, purpose access.Purpose, hash [32]byte, next access.Password) error {
	t, err := d.TakeToken(purpose, hash)
	if err != nil {
		return err
	}
	u, err := d.User(t.User)
	if err != nil {
		return err
	}
	if t.User != account.User.ID || u.Status != waitsFor[purpose] {
		return ErrLink
	}
	u.Status = access.UserActive
	d.PutUser(u)
	return putPassword(d, account, next, [32]byte{})
}

// enter signs somebody in who has shown in another way than by a password who he
// is. What else keeps him out still does.
func (a *Accounts) enter(ctx context.Context, tenant, id string, from Client) (Secret, SignedIn, error) {
	account, err := a.account(ctx, tenant, id)
	if err != nil {
		return "", SignedIn{}, err
	}
	key := accountKey(account.User.Email)
	if why := account.Refused(); why != "" {
		return "", SignedIn{}, a.refused(ctx, &account, why, key, from)
	}
	if account.Shared { // no try was counted, so none is forgiven
		key = [32]byte{}
	}
	return a.open(ctx, &account, from, a.steps(&account), key, [32]byte{})
}

// SignInByLink signs in whoever has a link for that.
func (a *Accounts) SignInByLink(ctx context.Context, tenant, token string, from Client) (Secret, SignedIn, error) {
	hash, err := linkHash(token)
	if err != nil {
		return "", SignedIn{}, err
	}
	t, err := a.store.TakeToken(ctx, tenant, access.PurposeSignIn, hash)
	if err != nil {
		return "", SignedIn{}, err
	}
	return a.enter(ctx, tenant, t.User, from)
}

// SignInLink makes a link that signs an account in once. It is for whoever has
// the machine.
func (a *Accounts) SignInLink(ctx context.Context, caller access.Caller, tenant, user string) (string, error) {
	return a.link(ctx, caller, tenant, user, access.PurposeSignIn, "/sign-in")
}

// SuperuserLink makes a link that makes a superuser once. It is for whoever has
// the machine; links made before stop working.
func (a *Accounts) SuperuserLink(ctx context.Context, caller access.Caller, tenant string) (string, error) {
	return a.link(ctx, caller, tenant, "", access.PurposeBootstrap, "/first-superuser")
}

// link gives the path of a page with a new token in the fragment, which browsers
// send to nobody: neither logs nor other sites get it.
func (a *Accounts) link(ctx context.Context, caller access.Caller, tenant, user string, purpose access.Purpose, page string) (string, error) {
	if err := caller.Require(access.KeyAdmin, access.AllTenants); err != nil {
		return "", err
	}
	lasts := BootstrapTime
	if purpose == access.PurposeSignIn {
		lasts = SignInTime
	}
	text, t := NewToken(tenant, user, purpose, a.now().Add(lasts))
	c := access.Change{Base: access.AnyRevision, Author: caller.Name, Source: "start", Reason: "a link to " + string(purpose)}
	if err := a.store.PutToken(ctx, t, c); err != nil {
		return "", err
	}
	return page + "?tenant=" + tenant + "#token=" + text, a.directory.state.Refresh(ctx, tenant)
}

// WantsSuperuser tells whether a tenant has no superuser who could sign in, and
// no link by which one could be made.
func (a *Accounts) WantsSuperuser(ctx context.Context, caller access.Caller, tenant string) (bool, error) {
	if made, err := a.store.HasToken(ctx, tenant, "", access.PurposeBootstrap); made || err != nil {
		return false, err
	}
	yes, next := true, ""
	for {
		page, err := a.directory.Users(ctx, caller, tenant, access.UserSearch{Superuser: &yes}, next)
		if err != nil {
			return false, err
		}
		for _, u := range page.Users {
			account, err := a.store.AccountOf(ctx, tenant, u.ID)
			if err != nil {
				return false, err
			}
			if account.Refused() == "" && account.Password.Hash != "" {
				return false, nil
			}
		}
		if next = page.Next; next == "" {
			return true, nil
		}
	}
}

// FirstSuperuser is whom a link of SuperuserLink makes.
type FirstSuperuser struct{ Email, Name, Password string }

// MakeSuperuser makes a superuser of whoever has the link, once, and signs him
// in. What is refused leaves the link good.
func (a *Accounts) MakeSuperuser(ctx context.Context, tenant, token string, s FirstSuperuser, from Client, c access.Change) (Secret, SignedIn, error) {
	hash, err := linkHash(token)
	if err == nil {
		_, err = a.store.PeekToken(ctx, tenant, access.PurposeBootstrap, hash)
	}
	if err != nil {
		return "", SignedIn{}, err
	}
	account, err := a.byLogin(ctx, tenant, Login{Email: s.Email})
	if err != nil {
		return "", SignedIn{}, err
	}
	account.Password = access.Password{} // he is somebody else; whether the e-mail is free is looked at below
	next, err := a.chosen(ctx, &account, s.Password, 0)
	if err != nil {
		return "", SignedIn{}, err
	}
	var made access.User
	machine := access.Caller{Name: "first-superuser", Tenant: tenant, May: access.KeyAdmin}
	_, err = a.directory.change(ctx, machine, tenant, Need{Part: "Users", Action: "insert"}, c, func(d access.Draft) (err error) {
		if _, err = d.TakeToken(access.PurposeBootstrap, hash); err != nil {
			return err
		}
		made, err = NewUser{Email: s.Email, Name: s.Name, Roles: []access.Link{{To: access.SuperuserRole}}}.create(d)
		if err != nil {
			return err
		}
		return d.PutPassword(made.ID, next, [32]byte{})
	})
	if err != nil {
		return "", SignedIn{}, err
	}
	return a.enter(ctx, tenant, made.ID, from)
}
