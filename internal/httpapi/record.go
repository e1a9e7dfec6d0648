package httpapi

import (
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const (
	recordsPath = "/v1/tenants/{tenant}/decisions"
	recordPath  = recordsPath + "/{id}"
)

var recordRoutes = []route{
	{
		method: http.MethodGet, path: recordsPath, tenant: true, need: access.KeyRead,
		serve: (*call).listRecords, tag: "Audit", summary: "Search the log of decisions",
		text: "Newest first unless forward is true. Only what was kept in the store is found: see decisions.sinks. " +
			"Questions to /v1/enforce, its batch, and AuthZEN evaluations are kept; explanations and searches are not.",
		query: recordParams, answer: api.RecordedDecisions{},
	},
	{
		method: http.MethodGet, path: recordPath, tenant: true, need: access.KeyRead,
		serve: (*call).showRecord, tag: "Audit", summary: "Show one recorded decision", answer: api.RecordedDecision{},
	},
	{
		method: http.MethodPost, path: recordPath + ":replay", tenant: true, need: access.KeyRead,
		serve: (*call).replay, tag: "Audit", summary: "Give a recorded decision again",
		text: "By the same revision and at the same moment, from the history. An answer that comes out otherwise is an alarm: it is counted and logged. " +
			"409 where the question was masked, or the history was replaced since.",
		answer: api.Replay{},
	},
}

var recordParams = []param{
	{name: "subject", text: "user:ID, app:CODE or anonymous. Where users are masked, the id is masked before it is looked for."},
	{name: "section", text: "The section and those below it."},
	{name: "outcome", oneOf: []string{"allow", "deny"}, text: "Only such answers."},
	{name: "reason", text: "Only answers for this reason, for instance no_grant."},
	{name: "caller", text: "Only answers to this caller, for instance key:crm."},
	{name: "request_id", text: "Only answers of this request."},
	{name: "from", kind: momentParam, text: "Asked at this moment or later."},
	{name: "until", kind: momentParam, text: "Asked before this moment."},
	{name: "forward", kind: flagParam, text: "Oldest first."},
	pageSizeParam, pageTokenParam,
}

func (c *call) listRecords() error {
	q := access.RecordedSearch{
		Subject: c.word("subject"), Section: access.Section(c.word("section")), Reason: access.Reason(c.word("reason")),
		Caller: c.word("caller"), RequestID: c.word("request_id"), From: c.moment("from"), Until: c.moment("until"), Most: c.number("page_size"),
	}
	if outcome := c.word("outcome"); outcome != "" {
		q.Allowed = new(outcome == "allow")
	}
	if forward := c.flag("forward"); forward != nil {
		q.Forward = *forward
	}
	if c.api.o.Records == nil {
		return errRoute
	}
	found, next, err := c.api.o.Records.Find(c.ctx(), c.caller, c.tenant, q, c.word("page_token"))
	if err != nil {
		return err
	}
	w := api.RecordedDecisions{Decisions: make([]api.RecordedDecision, len(found)), NextPageToken: next}
	for i := range found {
		w.Decisions[i] = RecordedOf(&found[i])
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) showRecord() error {
	if c.api.o.Records == nil {
		return errRoute
	}
	e, err := c.api.o.Records.Get(c.ctx(), c.caller, c.tenant, c.g.Param("id"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, RecordedOf(&e))
}

func (c *call) replay() error {
	if c.api.o.Records == nil {
		return errRoute
	}
	done, err := c.api.o.Records.Replay(c.ctx(), c.caller, c.tenant, c.g.Param("id"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, ReplayOf(&done))
}

// ReplayOf gives a replay as it goes over the wire.
func ReplayOf(r *service.Replay) api.Replay {
	w := api.Replay{Same: len(r.Differs) == 0, Differs: r.Differs, Recorded: RecordedOf(&r.Recorded)}
	if r.Again.Reason != "" {
		again := DecisionOf(r.Recorded.Tenant, &r.Again)
		w.Again = &again
	}
	return w
}

// RecordedOf gives a recorded answer as it goes over the wire.
func RecordedOf(r *access.Recorded) api.RecordedDecision {
	return api.RecordedDecision{
		ID: r.ID, At: utc(r.At), Took: r.Took.Microseconds(), Epoch: r.Epoch, Caller: r.Caller, RequestID: r.RequestID,
		Question: askedOf(&r.Request), Decision: DecisionOf(r.Tenant, &r.Decision), Masked: r.Masked,
	}
}

// askedOf is the reverse of RequestOf.
func askedOf(r *access.Request) api.Request {
	w := api.Request{
		Section: string(r.Section), Scope: string(r.Scope), SubjectAttributes: r.SubjectAttributes,
		ActionAttributes: r.ActionAttributes, Context: r.Context, Request: r.Raw, ContextSet: r.RawSet,
	}
	if r.Subject != (access.Subject{}) {
		w.Subject = r.Subject.String()
	}
	for _, a := range r.Actions {
		w.Action.Names = append(w.Action.Names, string(a))
	}
	if r.Entity != (access.Entity{}) || len(r.ResourceAttributes) > 0 {
		w.Resource = &api.Resource{Type: r.Entity.Type, ID: r.Entity.ID, Attributes: r.ResourceAttributes}
	}
	return w
}
