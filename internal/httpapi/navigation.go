package httpapi

import (
	"cmp"
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// seenText is what holds for what programs draw their pages by.
const seenText = "Write anonymous for whoever has not signed in. The answer may be kept as long as its ETag is confirmed with If-None-Match, which costs next to nothing, and until valid_until. "

var whereParam = param{name: "scope", text: "Where, for instance store:eu-1; everywhere when left out."}

var navigationRoutes = []route{
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/users/{id}/navigation", tenant: true, need: access.KeyDecide,
		query: []param{whereParam, languageParam},
		serve: (*call).navigation, tag: "Directory", summary: "Show a user's menu",
		text:   "Sections with a menu entry that he may show and has chosen, if he chose any, below the sections above them. It is no protection: whoever serves a section must ask all the same. " + seenText,
		answer: api.Navigation{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/users/{id}/capabilities", tenant: true, need: access.KeyDecide,
		query: []param{whereParam},
		serve: (*call).capabilities, tag: "Directory", summary: "Show everything that a user may do: sections, actions, fields",
		text:   "It is what would be allowed if everything were asked one by one about no record in particular. " + seenText,
		answer: api.Capabilities{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/users/{id}/permissions", tenant: true, need: access.KeyRead,
		serve: (*call).userPermissions, tag: "Directory", summary: "Show what a user may do by which rule, and where it comes from",
		text:   "Every rule that reaches him, with the groups and roles on its way and its term. What is decided in the end is asked with /v1/explain.",
		answer: api.Permissions{},
	},
	{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/users/{id}/signature:render", tenant: true, need: access.KeyDecide,
		serve: (*call).renderSignature, tag: "Directory", summary: "Write the signature of a user",
		text: "It is that of the first group in his order; where that has none, he has none. It is encoded for where it goes: text, html, or header, which is one line by RFC 2047.",
		body: api.SignatureQuestion{}, answer: api.Signature{},
	},
}

var signatureNames = names{known: []string{"context"}, closed: true}

// outlook reads what a question for a user's pages asks.
func (c *call) outlook() (service.Outlook, error) {
	language, err := c.language()
	return service.Outlook{
		User: c.g.Param("id"), Scope: access.Scope(c.word("scope")), Language: language, Tags: tagsIn(c.g.Request.Header["If-None-Match"]),
	}, err
}

func (c *call) navigation() error {
	q, err := c.outlook()
	if err != nil {
		return err
	}
	entries, seen, err := c.directory().Navigation(c.ctx(), c.caller, c.tenant, q)
	if err != nil {
		return err
	}
	w := api.Navigation{User: q.User, Scope: whereIn(q), Entries: linesOf(entries), Seen: seenOf(seen)}
	if w.Entries == nil {
		w.Entries = []api.NavigationEntry{}
	}
	return c.tagged(seen, w)
}

func linesOf(entries []service.NavigationEntry) []api.NavigationEntry {
	var all []api.NavigationEntry
	for _, e := range entries {
		all = append(all, api.NavigationEntry{
			Section: string(e.Section), Application: e.Application, Label: e.Label, Order: e.Order, Family: e.Family, Opens: e.Opens, Entries: linesOf(e.Below),
		})
	}
	return all
}

func whereIn(q service.Outlook) string { return string(cmp.Or(q.Scope, access.Everywhere)) }

func seenOf(s service.Seen) api.Seen {
	return api.Seen{Revision: uint64(s.Revision), ValidUntil: utc(s.ValidUntil)}
}

// tagged sends an answer with its tag, or says that the client has it.
func (c *call) tagged(s service.Seen, v any) error {
	c.tell(s.Tag)
	c.age()
	if s.Same || c.known(s.Tag) {
		c.write(http.StatusNotModified, nil)
		return nil
	}
	body, err := marshal(v)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, body)
}

func (c *call) capabilities() error {
	q, err := c.outlook()
	if err != nil {
		return err
	}
	found, seen, err := c.directory().Capabilities(c.ctx(), c.caller, c.tenant, q)
	if err != nil {
		return err
	}
	w := api.Capabilities{
		User: q.User, Scope: whereIn(q), Sections: make([]api.SectionActions, len(found.Sections)), Seen: seenOf(seen),
		Fields: api.Fields{Visible: pathsOf(found.Visible), Editable: pathsOf(found.Editable)},
	}
	for i, s := range found.Sections {
		w.Sections[i] = api.SectionActions{Section: string(s.Section), Actions: namesOf(s.Actions)}
	}
	return c.tagged(seen, w)
}

func (c *call) renderSignature() error {
	w := api.Signature{Context: string(access.SignatureText)}
	err := c.read(func(r *reader) error {
		return r.object("", &signatureNames, func(name string) error { return r.text(name, &w.Context) })
	})
	if err != nil {
		return err
	}
	s, err := c.directory().Signature(c.ctx(), c.caller, c.tenant, c.g.Param("id"), access.SignatureContext(w.Context))
	if err != nil {
		return err
	}
	w.Signature, w.Group, w.Revision = s.Text, s.Group, uint64(s.Revision)
	return c.reply(http.StatusOK, w)
}
