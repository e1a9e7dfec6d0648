package service

import (
	"cmp"
	"context"
	"fmt"

	"github.com/bailiwick/bailiwick/internal/access"
)

// An account that is invited belongs to nobody yet: whoever has the link of its
// mail chooses the first password, and with that it becomes active. (The link is
// made when the mail is sent.)

// CreateInvited makes an account that is invited. Where no mail server is set,
// the caller gets the path of the link, to pass it on himself.
func (d *Directory) CreateInvited(ctx context.Context, caller access.Caller, tenant string, n NewUser, c access.Change) (u access.User, link string, _ access.Revision, err error) {
	n.Invite = true
	revision, err := d.change(ctx, caller, tenant, Need{Part: "Users", Action: "insert"}, c, func(t access.Draft) (err error) {
		if u, err = n.create(t); err == nil {
			link, err = d.handedOut(t, tenant, &u)
		}
		return err
	})
	return u, link, revision, err
}

// InviteUser invites an account that is disabled, or once more one that is
// invited: the link of before is worthless then. The link is given as
// CreateInvited does.
func (d *Directory) InviteUser(ctx context.Context, caller access.Caller, tenant, id string, c access.Change) (u access.User, link string, _ access.Revision, err error) {
	return d.invite(ctx, caller, tenant, id, c, access.UserInvited, access.UserDisabled)
}

// ResendInvitation is InviteUser for accounts that are invited already.
func (d *Directory) ResendInvitation(ctx context.Context, caller access.Caller, tenant, id string, c access.Change) (u access.User, link string, _ access.Revision, err error) {
	return d.invite(ctx, caller, tenant, id, c, access.UserInvited, access.UserInvited)
}

func (d *Directory) invite(ctx context.Context, caller access.Caller, tenant, id string, c access.Change, from, orFrom access.UserStatus) (u access.User, link string, _ access.Revision, err error) {
	revision, err := d.change(ctx, caller, tenant, Need{Part: "Users", Action: "update"}, c, func(t access.Draft) (err error) {
		u, err = acted(t, id, func(t access.Draft, u *access.User) error {
			if status := cmp.Or(u.Status, access.UserActive); status != from && status != orFrom {
				return &access.Error{Kind: ErrConflict, Field: "status", Message: fmt.Sprintf("user %q is %s, so he cannot be invited", u.ID, status)}
			}
			return invite(t, u)
		})
		if err == nil {
			link, err = d.handedOut(t, tenant, &u)
		}
		return err
	})
	return u, link, revision, err
}

// invite queues the mail. Links of before stop working at once, not only when it
// is sent.
func invite(t access.Draft, u *access.User) error {
	u.Status, u.InvitedAt = access.UserInvited, t.Now()
	if err := t.DropTokens(u.ID); err != nil {
		return err
	}
	return t.Send(access.Mail{User: u.ID, To: u.Email, Purpose: access.MailActivate})
}

// handedOut gives the path of a link where there is no mail server that would
// bring it. Whoever may do this could as well set a password, and the account
// holds nothing that he does not hold himself.
func (d *Directory) handedOut(t access.Draft, tenant string, u *access.User) (string, error) {
	if d.opts.Mails != nil && d.opts.Mails.Configured() {
		return "", nil
	}
	text, token := NewToken(tenant, u.ID, access.PurposeActivate, t.Now().Add(ActivateTime))
	return LinkPath(access.MailActivate, tenant, text), t.PutToken(token)
}

// Invitations tells how far the mails of accounts that are invited have come, by
// id. Whoever may see the accounts may see that.
func (d *Directory) Invitations(ctx context.Context, tenant string, users []access.User) (map[string]access.Mail, error) {
	var invited []string
	for i := range users {
		if users[i].Status == access.UserInvited {
			invited = append(invited, users[i].ID)
		}
	}
	if len(invited) == 0 {
		return nil, nil //nolint:nilnil // nobody is invited
	}
	return d.store.MailsTo(ctx, tenant, access.MailActivate, invited)
}
