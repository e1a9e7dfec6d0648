package service

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Settings are what holds for a tenant as a whole and can be changed without
// policy files.
type Settings struct {
	SignIn   access.SignInRules
	Accounts access.AccountRules
	NeedBase bool // every regular group must be based on another one
}

// settingsOf gives a tenant's settings, with the defaults filled in.
func settingsOf(p *access.Policy) Settings {
	return Settings{SignIn: p.SignIn.Filled(), Accounts: p.Accounts.Filled(), NeedBase: p.NeedBase}
}

// Settings gives a tenant's settings, with the defaults filled in.
func (d *Directory) Settings(ctx context.Context, caller access.Caller, tenant string) (Settings, access.Revision, error) {
	var s Settings
	var revision access.Revision
	err := d.read(ctx, caller, tenant, Need{Part: "Settings", Action: "show"}, func(r access.Reading) error {
		s, revision = settingsOf(r.Policy()), r.Revision()
		return nil
	})
	return s, revision, err
}

// SetSettings changes a tenant's settings by a function, which is given them
// without defaults.
func (d *Directory) SetSettings(ctx context.Context, caller access.Caller, tenant string, change func(*Settings), c access.Change) (Settings, access.Revision, error) {
	var after Settings
	need := Need{Part: "Settings", Action: "update", Scope: access.Everywhere}
	revision, err := d.change(ctx, caller, tenant, need, c, func(t access.Draft) error {
		p := t.Policy()
		s := Settings{SignIn: p.SignIn, Accounts: p.Accounts, NeedBase: p.NeedBase}
		shared := p.Accounts.EmailUnique == access.EmailPerStore
		change(&s)
		p.SignIn, p.Accounts, p.NeedBase = s.SignIn, s.Accounts, s.NeedBase
		after = settingsOf(p)
		if err := d.authority.settle(p); err != nil || !shared || s.Accounts.EmailUnique == access.EmailPerStore {
			return err
		}
		return nobodyShares(t)
	})
	return after, revision, err
}

// settle refuses settings that cannot be kept.
func (a *Authority) settle(p *access.Policy) error {
	if err := p.SignIn.Check(); err != nil {
		return err
	}
	if err := p.Accounts.Check(); err != nil {
		return err
	}
	if err := baseless(p); err != nil {
		return err
	}
	return a.attainable(p)
}

// nobodyShares refuses to make e-mails unique in the tenant while several accounts
// have the same, and lists them.
func nobodyShares(r access.Reading) error {
	owners := map[string][]string{} // the e-mail as it is written, and the ids of its accounts
	err := r.EachUser(func(u access.User) error {
		if u.Status != access.UserDeleted && u.Email != "" {
			mail := access.FoldCase(u.Email)
			if owners[mail] == nil {
				owners[mail] = []string{u.Email}
			}
			owners[mail] = append(owners[mail], u.ID)
		}
		return nil
	})
	var all []string
	for _, names := range owners {
		if ids := names[1:]; len(ids) > 1 {
			all = append(all, names[0]+" of "+strings.Join(ids, " and "))
		}
	}
	if err != nil || len(all) == 0 {
		return err
	}
	slices.Sort(all)
	return &access.Error{Kind: ErrConflict, Field: "accounts.email_unique", Message: "accounts share their e-mail, give them others first: " + listed(all)}
}

// attainable refuses to require a second factor of people who could not set one
// up: nobody without one could finish signing in any more.
func (a *Authority) attainable(p *access.Policy) error {
	if a == nil || !a.opts.Unsealed || p.SignIn.SecondFactor != access.SecondFactorRequired {
		return nil
	}
	return access.Invalid("sign_in.second_factor", "cannot be required: there is no secret to encrypt second factors with, so nobody could set one up; "+
		"set server.secret first, the same on all servers and for commands")
}

// baseless refuses to demand a base while there are groups without one.
func baseless(p *access.Policy) error {
	if !p.NeedBase {
		return nil
	}
	var without []string
	for _, g := range p.Groups {
		if g.Base == "" && (g.Kind == access.GroupRegular || g.Kind == "") {
			without = append(without, g.Code)
		}
	}
	if len(without) == 0 {
		return nil
	}
	return &access.Error{Kind: ErrConflict, Field: "groups_need_base", Message: fmt.Sprintf(
		"these groups are based on no other one, give them a base first: %s", listed(without))}
}
