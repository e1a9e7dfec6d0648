package service

import (
	"context"

	"github.com/bailiwick/bailiwick/internal/access"
)

// RenderedSignature is the signature under which a user writes.
type RenderedSignature struct {
	Text     string // empty: none
	Group    string // code of the group that gives it; empty where the user is in none
	Revision access.Revision
}

// Signature renders the signature of a user for a place it goes to: that of the
// first group in his order. Where that group has none, he has none.
func (d *Directory) Signature(ctx context.Context, caller access.Caller, tenant, id string, to access.SignatureContext) (RenderedSignature, error) {
	var signature RenderedSignature
	if err := access.ValidSignatureContext("context", to); err != nil {
		return signature, err
	}
	if err := d.maySee(ctx, caller, tenant, id); err != nil {
		return signature, err
	}
	err := d.store.View(ctx, tenant, func(r access.Reading) error {
		signature.Revision = r.Revision()
		u, err := r.User(id)
		if err != nil {
			return err
		}
		if u.Status == access.UserDeleted {
			return access.NotFound("user", id)
		}
		code := u.FirstGroup(d.state.opts.Clock())
		if code == "" {
			return nil
		}
		g, err := groupOf(r.Policy(), code)
		if err != nil {
			return err
		}
		template, err := access.ParseSignature("signature", g.Signature)
		if err != nil {
			return err
		}
		signature.Group, signature.Text = code, template.Render(&u, g, to)
		return nil
	})
	return signature, err
}
