package httpapi

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const revisionPath = "/v1/tenants/{tenant}/revisions"

const undoText = "It is a new revision, made and judged like any other change: guarantees hold. Of people only superusers may. With dry_run it is planned and told, and nothing is changed; the same with base_revision then does exactly that, or answers 409. "

var (
	historyParams = slices.Concat(pageParams, []param{
		{name: "author", text: "Only what this caller has made."},
		{name: "source", text: "Only what came through this door: http, cli, start, expiry."},
		{name: "from", kind: momentParam, text: "Only what was made at this moment or after it."},
		{name: "until", kind: momentParam, text: "Only what was made before this moment."},
		{name: "kind", oneOf: access.HistoryKinds(), text: "Only what has changed something of this kind; tenant is its settings, session that sessions were ended."},
		{name: "name", text: "Only what has changed the thing of that kind with this code or id."},
		{name: "operations", kind: flagParam, text: "Tell what was changed, too; of kind and name alone where they are given."},
	})
	asOfParam   = param{name: queryAsOf, kind: stateParam, text: "The state that is asked about: the number of a revision, or a time in the form of RFC 3339. What is in force when left out."}
	blameParams = []param{
		{name: "subject", text: "Who is asked about: user:<id>, app:<code> or anonymous."},
		{name: "section"},
		{name: "action"},
		{name: "scope"},
		{name: "holder", text: "Instead of a question: who holds something, as in rules, for instance g:sales or u:42."},
		asOfParam,
	}
)

var revisionRoutes = slices.Concat([]route{
	{
		method: http.MethodGet, path: revisionPath, tenant: true, need: access.KeyRead, query: historyParams,
		serve: (*call).listRevisions, tag: "Administration", summary: "Show the history of a tenant", text: "Newest first.", answer: api.Revisions{},
	},
	{
		method: http.MethodGet, path: revisionPath + "/{revision}", tenant: true, need: access.KeyRead,
		serve: (*call).showRevision, tag: "Administration", summary: "Show a revision and what it changed", answer: api.Revision{},
	},
	{
		method: http.MethodPost, path: revisionPath + "/{revision}:revert", tenant: true, need: access.KeyAdmin, change: true, keyless: true,
		serve: (*call).revert, tag: "Administration", summary: "Reverse what one revision has changed",
		text: undoText + "409 with what was changed again since.", body: api.Undo{}, answer: api.Undone{},
	},
	{
		method: http.MethodPost, path: revisionPath + ":rollback", tenant: true, need: access.KeyAdmin, change: true, keyless: true, time: policyTime,
		serve: (*call).rollback, tag: "Administration", summary: "Put an earlier state of the policy in force again",
		text: undoText + "Documents, settings and plain lines become what they were. Accounts that were changed since get back what they held, as far as they are there; who they are and how they sign in stays.",
		body: api.Rollback{}, answer: api.Undone{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/diff", tenant: true, need: access.KeyRead,
		query: []param{
			{name: "from", kind: stateParam, text: "The number of a revision, or a time; the newest when left out."},
			{name: "to", kind: stateParam, text: "The number of a revision, or a time; the newest when left out."},
			{name: "effect", kind: flagParam, text: "Tell who holds what in the one and not in the other, too: by the clock of the state that it leads to, or now for the newest."},
		},
		time:  policyTime,
		serve: (*call).diff, tag: "Administration", summary: "Tell what turns one state of a tenant into another", answer: api.Difference{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/policy", tenant: true, need: access.KeyRead, time: policyTime,
		query: []param{asOfParam, {name: "users", kind: flagParam, text: "With accounts that did not come from files, too. Accounts need the right to show Users everywhere; without it there are none."}},
		serve: (*call).policyFiles, tag: "Administration", summary: "Give the policy of a tenant as files",
		text: "Canonical files, which give the same policy when they are loaded. Tests are no part of what is kept, nor are comments.", answer: api.PolicyFiles{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/blame", tenant: true, need: access.KeyRead, query: blameParams, time: pastTime,
		serve: (*call).blame, tag: "Administration", summary: "Tell which revisions have made what leads to an answer, or all that reaches a holder",
		answer: api.Blame{},
	},
}, historiesOf())

// historiesOf are the histories of single things, which are the tenant's, narrowed.
func historiesOf() []route {
	var all []route
	for _, of := range []struct{ path, kind, noun string }{
		{"/groups/{code}", "group", "a group"},
		{"/roles/{code}", "role", "a role"},
		{"/users/{id}", "user", "an account"},
		{"/scopes/{scope}", "scope", "a scope"},
		{"/applications/{application}", "application", "an application"},
	} {
		all = append(all, route{
			method: http.MethodGet, path: "/v1/tenants/{tenant}" + of.path + "/history", tenant: true, need: access.KeyRead, query: historyParams[:6],
			serve: func(c *call) error { return c.history(of.kind) }, tag: "Directory", summary: "Show the history of " + of.noun,
			text: "Newest first, with what was changed, also of what is gone.", answer: api.Revisions{},
		})
	}
	return all
}

var (
	undoNames     = names{known: []string{"reason", "base_revision", "dry_run"}, closed: true}
	rollbackNames = names{known: append([]string{"to"}, undoNames.known...), closed: true}
)

func (c *call) listRevisions() error {
	told := c.flag("operations")
	return c.revisions(access.HistorySearch{Kind: c.word("kind"), Name: c.word("name"), Told: told != nil && *told})
}

// history shows what became of the thing that the path names.
func (c *call) history(kind string) error {
	thing := c.g.Params[len(c.g.Params)-1].Value
	return c.revisions(access.HistorySearch{Kind: kind, Name: thing, Told: true})
}

func (c *call) revisions(q access.HistorySearch) error {
	q.Author, q.Source, q.From, q.Until = c.word("author"), c.word("source"), c.moment("from"), c.moment("until")
	if q.Name != "" && q.Kind == "" {
		return access.Invalid("kind", "is required beside name")
	}
	all, next, err := c.api.o.History.List(c.ctx(), c.caller, c.tenant, q, c.page())
	if err != nil {
		return err
	}
	w := api.Revisions{Revisions: make([]api.Revision, len(all)), NextPageToken: next}
	for i, v := range all {
		w.Revisions[i] = versionOf(v)
	}
	return c.reply(http.StatusOK, w)
}

func versionOf(v access.Version) api.Revision {
	w := revisionOf(v.RevisionEntry)
	if v.Operations != nil {
		w.Operations = operationsOf(v.Operations)
	}
	return w
}

func revisionOf(e access.RevisionEntry) api.Revision {
	return api.Revision{
		Number: uint64(e.Number), Parent: e.Parent, Hash: e.Hash, Author: e.Author, Source: e.Source, Reason: e.Reason, At: utc(e.At),
	}
}

func operationsOf(all []access.Operation) []api.Operation {
	w := make([]api.Operation, len(all))
	for i, o := range all {
		w[i] = api.Operation{
			Verb: string(o.Verb), Kind: o.Kind, Of: o.Of, Name: o.Name, Field: o.Field, Before: o.Before, After: o.After, Text: o.String(),
		}
	}
	return w
}

// revision reads the number in the path.
func (c *call) revision() (access.Revision, error) {
	n, err := strconv.ParseUint(c.g.Param("revision"), 10, 63)
	if err != nil || n == 0 {
		return 0, access.Invalid("revision", "%q is not the number of a revision", c.g.Param("revision"))
	}
	return access.Revision(n), nil
}

func (c *call) showRevision() error {
	number, err := c.revision()
	if err != nil {
		return err
	}
	v, err := c.api.o.History.Show(c.ctx(), c.caller, c.tenant, number)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, versionOf(v))
}

func (c *call) diff() error {
	effect := c.flag("effect")
	d, err := c.api.o.History.Diff(c.ctx(), c.caller, c.tenant, c.state("from"), c.state("to"), effect != nil && *effect)
	if err != nil {
		return err
	}
	return c.foretell(func(most int) any {
		w := api.Difference{From: uint64(d.From.Revision), To: uint64(d.To.Revision), Operations: operationsOf(d.Operations)}
		if d.Consequences != nil {
			all := consequencesOf(d.Consequences, most)
			w.Consequences = &all
		}
		return w
	}, d.Consequences, nil)
}

func (c *call) policyFiles() error {
	users := c.flag("users")
	files, state, err := c.api.o.History.Files(c.ctx(), c.caller, c.tenant, c.state(queryAsOf), users != nil && *users)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, api.PolicyFiles{Tenant: c.tenant, Revision: uint64(state.Revision), Files: files})
}

func (c *call) blame() error {
	if holder := c.word("holder"); holder != "" {
		return c.blameHolder(holder)
	}
	ask, err := c.requestOf(&api.Request{
		Subject: c.word("subject"), Section: c.word("section"), Scope: c.word("scope"), Action: api.Actions{Names: []string{c.word("action")}},
	})
	if err == nil {
		err = ask.Check()
	}
	if err != nil {
		return err
	}
	why, all, err := c.api.o.History.Blame(c.ctx(), c.caller, c.tenant, &ask, c.state(queryAsOf))
	if err != nil {
		return err
	}
	w := blamedOf(why.Revision, all)
	w.Allowed, w.Reason = &why.Allowed, string(why.Reason)
	return c.reply(http.StatusOK, w)
}

func (c *call) blameHolder(holder string) error {
	state, all, err := c.api.o.History.BlameHolder(c.ctx(), c.caller, c.tenant, holder, c.state(queryAsOf))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, blamedOf(state.Revision, all))
}

func blamedOf(revision access.Revision, all []service.Blamed) api.Blame {
	w := api.Blame{Revision: uint64(revision), Rules: make([]api.Blamed, len(all))}
	for i, b := range all {
		w.Rules[i] = api.Blamed{Rule: b.Rule.String(), Origin: b.Rule.Origin.String()}
		if b.Made.Number != 0 {
			made := revisionOf(b.Made)
			w.Rules[i].Made = &made
		}
	}
	return w
}

// undoing reads the body of what undoes something.
func (c *call) undoing(n *names, to *string) (service.UndoOptions, error) {
	o, edit := service.UndoOptions{Source: source}, api.Edit{}
	err := c.read(func(r *reader) error {
		return r.object("", n, func(name string) error {
			switch name {
			case "to":
				return r.asOf(name, to)
			case "dry_run":
				return r.flag(name, &o.DryRun)
			}
			return r.edit(name, &edit)
		})
	})
	o.Base, o.Reason = access.Revision(edit.BaseRevision), edit.Reason
	return o, err
}

func (c *call) revert() error {
	number, err := c.revision()
	if err != nil {
		return err
	}
	o, err := c.undoing(&undoNames, nil)
	if err != nil {
		return err
	}
	u, err := c.api.o.History.Revert(c.ctx(), c.caller, c.tenant, number, o)
	return c.undone(u, err)
}

func (c *call) rollback() error {
	var text string
	o, err := c.undoing(&rollbackNames, &text)
	if err != nil {
		return err
	}
	to, err := access.ParseAsOf("to", text)
	if err != nil {
		return err
	}
	u, err := c.api.o.History.Rollback(c.ctx(), c.caller, c.tenant, to, o)
	return c.undone(u, err)
}

func (c *call) undone(u service.Undone, err error) error {
	if err != nil {
		return err
	}
	return c.foretell(func(most int) any {
		return api.Undone{
			BaseRevision: uint64(u.Base), Revision: uint64(u.Revision), Operations: operationsOf(u.Operations), Foretold: foretoldOf(u.Foretold, most),
		}
	}, toldBy(u.Foretold), nil)
}
