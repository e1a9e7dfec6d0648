package httpapi

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

var auditRoutes = []route{
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/refusals", tenant: true, need: access.KeyRead,
		serve: (*call).listRefusals, tag: "Audit", summary: "List administrative attempts that were refused",
		text: "Newest first. Of one caller at most 30 a minute are kept one by one; further ones are one entry with their number. Write * for what concerns no tenant.",
		query: []param{
			{name: "caller", text: "Only attempts of this caller, for instance user:operator-1."},
			{name: "need", text: "Only those that would have needed this, for instance Users or Users/update."},
			{name: "request_id", text: "Only those of this request."},
			{name: "from", kind: momentParam, text: "Refused at this moment or later."},
			{name: "until", kind: momentParam, text: "Refused before this moment."},
			pageSizeParam, pageTokenParam,
		}, answer: api.RefusedAttempts{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/trail", tenant: true, need: access.KeyRead, time: policyTime,
		serve: (*call).writeTrail, tag: "Audit", summary: "Write a tenant's whole history down",
		text:  "One JSON object a line: the head, each revision followed by its changes, the signed checkpoints, and the end, without which something was cut off. `bailiwick verify --export FILE` verifies it with the public key alone.",
		media: "application/x-ndjson",
	},
}

func (c *call) listRefusals() error {
	if c.api.o.Refusals == nil {
		return errRoute
	}
	found, next, err := c.api.o.Refusals.List(c.ctx(), c.caller, c.tenant, access.RefusalSearch{
		Caller: c.word("caller"), Need: c.word("need"), RequestID: c.word("request_id"), From: c.moment("from"), Until: c.moment("until"),
	}, c.page())
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, RefusedOf(found, next))
}

// RefusedOf writes a page of refused attempts.
func RefusedOf(found []access.RefusedAttempt, next string) api.RefusedAttempts {
	w := api.RefusedAttempts{Refusals: make([]api.RefusedAttempt, len(found)), NextPageToken: next}
	for i, r := range found {
		w.Refusals[i] = api.RefusedAttempt{
			ID: r.ID, At: utc(r.At), Caller: r.Caller, RequestID: r.RequestID, Need: r.Need, Door: r.Door, Why: r.Why, Times: r.Times,
		}
	}
	return w
}

// noteRefusal records that a known caller was refused a change by this door
// itself. What a service refuses is recorded there.
func (c *call) noteRefusal(err error) {
	if !c.route.change || c.caller.Name == "" || service.Noted(err) {
		return
	}
	if errors.Is(err, access.ErrForbidden) || errors.Is(err, service.ErrUnauthenticated) {
		c.api.o.Refusals.Note(access.RefusedAttempt{
			Tenant: c.tenant, Caller: c.caller.Name, RequestID: c.id, Door: c.route.method + " " + c.route.path, Why: problemOf(err).Message,
		})
	}
}

// writeTrail sends lines as they are read. What fails after the first one ends
// the answer without its end.
func (c *call) writeTrail() error {
	if c.api.o.Trails == nil {
		return errRoute
	}
	out := bufio.NewWriterSize(c.g.Writer, 64<<10)
	lines, began := json.NewEncoder(out), false
	lines.SetEscapeHTML(false)
	err := c.api.o.Trails.Write(c.ctx(), c.caller, c.tenant, func(l access.TrailLine) error {
		if !began {
			began = true
			c.g.Writer.Header()["Content-Type"] = []string{"application/x-ndjson"}
			c.g.Writer.WriteHeader(http.StatusOK)
		}
		return lines.Encode(l)
	})
	if err != nil {
		if began {
			_ = out.Flush() // the client is gone, or hears by the cut that something is missing
		}
		return err
	}
	return out.Flush()
}
