package service

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// SignInRules gives a tenant's rules of signing in, with the defaults filled in.
func (d *Directory) SignInRules(ctx context.Context, caller access.Caller, tenant string) (access.SignInRules, access.Revision, error) {
	var rules access.SignInRules
	var revision access.Revision
	err := d.read(ctx, caller, tenant, Need{Part: "Settings", Action: "show"}, func(r access.Reading) error {
		rules, revision = r.Policy().SignIn.Filled(), r.Revision()
		return nil
	})
	return rules, revision, err
}

// SetSignInRules changes a tenant's rules of signing in by a function.
func (d *Directory) SetSignInRules(ctx context.Context, caller access.Caller, tenant string, change func(*access.SignInRules), c access.Change) (access.SignInRules, access.Revision, error) {
	var after access.SignInRules
	revision, err := d.change(ctx, caller, tenant, Need{Part: "Settings", Action: "update", Scope: access.Everywhere}, c, func(t access.Draft) error {
		p := t.Policy()
		change(&p.SignIn)
		after = p.SignIn.Filled()
		return p.SignIn.Check()
	})
	return after, revision, err
}
