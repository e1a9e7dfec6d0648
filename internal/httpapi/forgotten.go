package httpapi

import (
	"net/http"

	"github.com/bailiwick/bailiwick/api"
)

var forgottenRoutes = []route{
	{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/password-reset", tenant: true, change: true, apart: true, sameSite: true,
		serve: (*call).askReset, tag: "Signing in", summary: "Ask for a link to choose a new password",
		text: "It is mailed to the account with this e-mail, if there is one that may sign in; the link works once and for an hour. " +
			"The answer is the same for all. After too many, 429 says when to try again.",
		body: api.AskReset{}, status: http.StatusNoContent,
	},
}

var askResetNames = names{known: []string{"email", "store"}, closed: true}

func (c *call) askReset() error {
	var w api.AskReset
	err := c.read(func(r *reader) error {
		return r.object("", &askResetNames, func(name string) error {
			if name == "store" {
				return r.text(name, &w.Store)
			}
			return r.textUpTo(name, maxLogin, &w.Email)
		})
	})
	if err != nil {
		return err
	}
	return c.nothing(c.api.o.Accounts.AskReset(c.ctx(), c.tenant, loginOf(w.Login), c.client()))
}
