package service

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// OpenID asks one OpenID provider who somebody is.
type OpenID interface {
	// Begin gives the URL to send a browser to.
	Begin(ctx context.Context, state, nonce, verifier string) (string, error)
	// Finish tells who came back with a code; ErrForbidden where that is not shown.
	Finish(ctx context.Context, code, nonce, verifier string) (access.Identity, error)
}

// Provider is an OpenID provider that a tenant trusts to say who somebody is.
// Operators configure it; tenants cannot.
type Provider struct {
	Tenant, Code string // the code stands in paths
	Name         string // what people call it
	OpenID       OpenID
	ByEmail      bool              // somebody new to it may be the account that has his verified e-mail
	Create       bool              // or else gets an account
	Groups       map[string]string // group of the tenant by value of the claim; other groups stay as they are
}

// Attempt is what a browser keeps while somebody signs in at a provider: three
// secrets of this one attempt, the provider's code, and the store whose page he
// came from, if any.
type Attempt struct {
	State, Nonce, Verifier, Provider string
	Store                            access.Scope
}

// Trust lets people sign in at OpenID providers. It is called before anybody does.
func (a *Accounts) Trust(all []Provider) { a.providers = all }

// Provider gives a provider of a tenant.
func (a *Accounts) Provider(tenant, code string) (*Provider, error) {
	for i := range a.providers {
		if p := &a.providers[i]; p.Tenant == tenant && p.Code == code {
			return p, nil
		}
	}
	return nil, access.NotFound("provider", code)
}

// Providers lists those of a tenant, in the order of the configuration.
func (a *Accounts) Providers(tenant string) []Provider {
	return slices.DeleteFunc(slices.Clone(a.providers), func(p Provider) bool { return p.Tenant != tenant })
}

// BeginAt begins to sign somebody in at a provider: where to send the browser,
// and what it must bring back. The store may be empty.
func (a *Accounts) BeginAt(ctx context.Context, p *Provider, store access.Scope) (url string, t Attempt, err error) {
	if err := (&Login{Store: store}).check(); err != nil {
		return "", t, err
	}
	t = Attempt{State: secret(), Nonce: secret(), Verifier: secret(), Provider: p.Code, Store: store}
	url, err = p.OpenID.Begin(ctx, t.State, t.Nonce, t.Verifier)
	return url, t, err
}

// FinishAt signs in whoever came back from a provider, if it was he who was sent
// there. His groups are what the provider says from now on. Every refusal is the
// same ErrRefused.
func (a *Accounts) FinishAt(ctx context.Context, p *Provider, t Attempt, state, code string, from Client) (Secret, SignedIn, error) {
	if t.State == "" || t.Provider != p.Code || code == "" || subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1 {
		return "", SignedIn{}, a.strange(p, from, "this browser was not sent there")
	}
	who, err := p.OpenID.Finish(ctx, code, t.Nonce, t.Verifier)
	if errors.Is(err, access.ErrForbidden) {
		return "", SignedIn{}, a.strange(p, from, words(err))
	}
	if err != nil {
		return "", SignedIn{}, err
	}
	id, err := a.known(ctx, p, who, t.Store)
	if err != nil || id == "" {
		if err == nil {
			err = a.strange(p, from, "there is no account for him")
		}
		return "", SignedIn{}, a.neutral(p, from, err)
	}
	account, err := a.account(ctx, p.Tenant, id)
	if errors.Is(err, access.ErrNotFound) {
		return "", SignedIn{}, a.strange(p, from, "his account was deleted")
	}
	if err != nil {
		return "", SignedIn{}, err
	}
	if why := account.Refused(); why != "" && why != access.RefusedInvited && why != access.RefusedTemplate {
		return "", SignedIn{}, a.refused(ctx, &account, why, accountKey(account.User.Email), from)
	}
	if err := a.placed(ctx, p, id, who); err != nil {
		return "", SignedIn{}, a.neutral(p, from, err)
	}
	return a.enter(ctx, p.Tenant, id, from)
}

// strange notes why somebody was refused, and gives the neutral answer.
func (a *Accounts) strange(p *Provider, from Client, why string) error {
	a.opts.Log.Warn("signing in by a provider was refused", "tenant", p.Tenant, "provider", p.Code, "why", why, "client", from.Address)
	return ErrRefused
}

// neutral is strange for what the tenant's rules say against an account or its
// groups: whoever is not signed in is told nothing of them.
func (a *Accounts) neutral(p *Provider, from Client, err error) error {
	for _, kind := range []error{access.ErrInvalid, access.ErrNotFound, access.ErrExists, access.ErrForbidden} {
		if errors.Is(err, kind) {
			return a.strange(p, from, words(err))
		}
	}
	return err
}

// known finds the account of somebody: the one that he was linked with when he
// first came, or else the one with his e-mail, which is linked from now on, or
// else a new one. An account that belongs to somebody else at this provider is
// not found: a changed e-mail takes nothing over. Each store may have an account
// of his.
func (a *Accounts) known(ctx context.Context, p *Provider, who access.Identity, store access.Scope) (string, error) {
	for _, home := range []access.Scope{store, ""} {
		id, err := a.store.UserOf(ctx, p.Tenant, who.Issuer, linkedAs(who.Subject, home))
		if !errors.Is(err, access.ErrNotFound) {
			return id, err
		}
	}
	if who.Email == "" {
		return "", nil
	}
	account, err := a.byLogin(ctx, p.Tenant, Login{Email: who.Email, Store: store})
	switch {
	case err != nil:
		return "", err
	case account.Known:
		return a.linked(ctx, p, who, &account.User, p.ByEmail)
	case account.Shared, !p.Create:
		return "", nil
	}
	u, err := a.make(ctx, p, who, store)
	if errors.Is(err, access.ErrExists) {
		return "", nil // there is one, of all stores or of another one
	}
	if err != nil {
		return "", err
	}
	return a.linked(ctx, p, who, &u, true)
}

// linkedAs is somebody's name at a provider for the account of one store of his;
// those of all stores have the name itself.
func linkedAs(subject string, home access.Scope) string {
	if home == "" {
		return subject
	}
	return subject + "\n" + string(home)
}

// linked gives the id of an account that somebody is linked with, or may be from
// now on.
func (a *Accounts) linked(ctx context.Context, p *Provider, who access.Identity, u *access.User, may bool) (string, error) {
	subject := linkedAs(who.Subject, u.Home)
	id, err := a.store.UserOf(ctx, p.Tenant, who.Issuer, subject)
	switch {
	case err == nil && id == u.ID:
		return id, nil
	case err == nil:
		return "", nil
	case !errors.Is(err, access.ErrNotFound):
		return "", err
	case !may:
		return "", nil
	}
	err = a.store.Link(ctx, p.Tenant, who.Issuer, subject, u.ID)
	if errors.Is(err, access.ErrExists) {
		return "", nil
	}
	return u.ID, err
}

// operating is who changes accounts for a provider: the operator, who has said
// what it may do.
func (p *Provider) operating() (access.Caller, access.Change) {
	return access.Caller{Name: "oidc:" + p.Code, Tenant: p.Tenant, May: access.KeyAdmin},
		access.Change{Base: access.AnyRevision, Source: "oidc", Reason: "signed in at " + p.Code}
}

func (a *Accounts) make(ctx context.Context, p *Provider, who access.Identity, store access.Scope) (access.User, error) {
	caller, change := p.operating()
	name := who.Name
	if access.ValidName("name", name) != nil {
		name, _, _ = strings.Cut(who.Email, "@")
	}
	u, _, err := a.directory.CreateUser(ctx, caller, p.Tenant, NewUser{Email: who.Email, Home: store, Name: name}, change)
	return u, err
}

// placed puts somebody into the groups that the provider says, and takes him out
// of those that it no longer says, as one revision. Groups without a rule are
// not touched. Who was invited has shown that the e-mail is his.
func (a *Accounts) placed(ctx context.Context, p *Provider, id string, who access.Identity) error {
	caller, change := p.operating()
	_, _, err := a.directory.editUser(ctx, caller, p.Tenant, id, "update", change, func(t access.Draft, u *access.User) error {
		if u.Status == access.UserInvited {
			u.Status = access.UserActive
		}
		if !who.NoGroups {
			u.Groups = p.places(t.Policy(), u.Groups, who.Groups)
		}
		if len(u.Groups) == 0 {
			u.Groups = newcomers(t.Policy())
		}
		return nil
	})
	return err
}

// places gives the groups that somebody is to be in.
func (p *Provider) places(policy *access.Policy, has []access.Link, said []string) []access.Link {
	ruled, wanted := map[string]bool{}, map[string]bool{}
	for _, group := range p.Groups {
		ruled[group] = true
	}
	for _, value := range said {
		if group, ok := p.Groups[value]; ok && groupAt(policy, group) >= 0 {
			wanted[group] = true
		}
	}
	var links []access.Link
	for _, l := range has {
		if !ruled[l.To] || wanted[l.To] {
			links = append(links, l)
			delete(wanted, l.To)
		}
	}
	for _, value := range said { // in the provider's order
		if group := p.Groups[value]; wanted[group] {
			links = append(links, access.Link{To: group})
			delete(wanted, group)
		}
	}
	return links
}
