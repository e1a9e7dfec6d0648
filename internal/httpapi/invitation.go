package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const inviteText = "A mail with a link to choose a password goes to the account's e-mail; the link works once and for 24 hours, and those of before stop working. " +
	"The answer tells how far it has come, as GET of the account does later: nobody waits for the mail server. " +
	"Where no mail server is set, the link stands in the answer, once, for the caller to pass on."

// inviteRoute invites an account.
func inviteRoute(verb, summary string, do func(*service.Directory, context.Context, access.Caller, string, string, access.Change) (access.User, string, access.Revision, error)) route {
	return route{
		method: http.MethodPost, path: onePath + verb, tenant: true, need: access.KeyAdmin, change: true, keyless: true,
		serve: func(c *call) error {
			change, err := c.editAlone()
			if err != nil {
				return err
			}
			u, link, revision, err := do(c.api.o.Directory, c.ctx(), c.caller, c.tenant, c.g.Param("id"), change)
			return c.invited(http.StatusOK, &u, link, revision, err)
		},
		tag: "Directory", summary: summary, text: strings.TrimSpace(changeText + inviteText), body: api.Edit{}, answer: api.User{},
	}
}

// invited answers with an account and, where that is for the caller, the link
// that gives it to its user.
func (c *call) invited(status int, u *access.User, link string, revision access.Revision, err error) error {
	if err != nil {
		return err
	}
	w := []api.User{c.wireUser(u)}
	if err := c.tellInvitations(w, []access.User{*u}); err != nil { // what was changed is changed all the same
		c.api.o.Log.Warn("the state of an invitation could not be read", "request_id", c.id, "error", err)
	}
	if c.route.method == http.MethodGet {
		if err := c.tellPresence(w, []access.User{*u}); err != nil {
			return err
		}
	}
	w[0].Revision = uint64(revision)
	if link != "" {
		if w[0].Invitation == nil {
			w[0].Invitation = &api.Invitation{InvitedAt: utc(u.InvitedAt)}
		}
		w[0].Invitation.Link = *c.api.publicURL.Load() + link
	}
	return c.reply(status, w[0])
}

// tellInvitations adds to accounts that are invited how far that has come.
func (c *call) tellInvitations(w []api.User, users []access.User) error {
	mails, err := c.directory().Invitations(c.ctx(), c.tenant, users)
	if err != nil {
		return err
	}
	for i := range users {
		if users[i].Status != access.UserInvited {
			continue
		}
		m := mails[users[i].ID]
		w[i].Invitation = &api.Invitation{
			InvitedAt: utc(users[i].InvitedAt), Mail: string(m.State), Trouble: m.Trouble, SettledAt: utc(m.Settled), ExpiresAt: utc(m.Expires),
		}
	}
	return nil
}
