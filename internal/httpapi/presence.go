package httpapi

import (
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

const presencePath = "/v1/session/presence"

var presenceRoutes = []route{
	{
		method: http.MethodGet, path: presencePath, need: needSession,
		serve: (*call).showPresence, tag: "Signing in", summary: "Show the own presence", answer: api.Presence{},
	},
	{
		method: http.MethodPut, path: presencePath, need: needSession, change: true,
		serve: (*call).setPresence, tag: "Signing in", summary: "Say whether one can be given work",
		text: "It stays when the session ends, until it is said anew. It changes no decision and makes no revision: it is for whoever hands out work.",
		body: api.OwnPresence{}, answer: api.Presence{},
	},
}

var presenceNames = names{known: []string{"status", "note"}, closed: true}

func (c *call) showPresence() error {
	p, err := c.api.o.Accounts.Presence(c.ctx(), c.signed)
	return c.presence(&p, err)
}

func (c *call) setPresence() error {
	var p access.Presence
	err := c.read(func(r *reader) error {
		return r.object("", &presenceNames, func(name string) error {
			if name == "status" {
				return r.text(name, (*string)(&p.Status))
			}
			return r.text(name, &p.Note)
		})
	})
	if err != nil {
		return err
	}
	p, err = c.api.o.Accounts.SetPresence(c.ctx(), c.signed, p)
	return c.presence(&p, err)
}

func (c *call) presence(p *access.Presence, err error) error {
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, presenceOf(p))
}

func presenceOf(p *access.Presence) api.Presence {
	return api.Presence{OwnPresence: api.OwnPresence{Status: string(p.Status), Note: p.Note}, Since: utc(p.Since), Online: p.Online}
}

// tellPresence adds to accounts that are read what they say of themselves, where
// they say something or are online.
func (c *call) tellPresence(w []api.User, users []access.User) error {
	all, err := c.directory().Presences(c.ctx(), c.tenant, users)
	if err != nil {
		return err
	}
	for i := range users {
		if p, known := all[users[i].ID]; known && (p.Online || !p.Since.IsZero()) {
			told := presenceOf(&p)
			w[i].Presence = &told
		}
	}
	return nil
}
