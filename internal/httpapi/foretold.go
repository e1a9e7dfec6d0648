package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// maxForetold is how many consequences one document lists, and how many decisions
// that turn. It always says how many there are; answers in lines tell all.
var maxForetold = 5000 // fewer in tests

const ndjson = "application/x-ndjson"

// inLines tells whether an answer in lines is wanted.
func (c *call) inLines() bool { return strings.Contains(c.g.GetHeader("Accept"), ndjson) }

// foretell answers with what a change does: as one document, or in lines, of which
// none is left out and the last tells that all are there. wire gives the document
// with at most so many things in its lists.
func (c *call) foretell(wire func(most int) any, all *access.Consequences, turned []service.Turned) error {
	if !c.inLines() {
		return c.reply(http.StatusOK, wire(maxForetold))
	}
	body, err := marshal(wire(0))
	if err != nil {
		return err
	}
	c.leave()
	err = c.put(api.Line{Answer: body})
	end := api.LineEnd{Turned: len(turned)}
	if all != nil {
		end.Consequences = len(all.All)
	}
	for i := 0; err == nil && i < end.Consequences; i++ {
		x := consequenceOf(&all.All[i])
		err = c.put(api.Line{Consequence: &x})
	}
	for i := 0; err == nil && i < len(turned); i++ {
		d := turnedOf(&turned[i])
		err = c.put(api.Line{Turned: &d})
	}
	if err != nil {
		return err
	}
	return c.line(api.Line{End: &end})
}

// line sends one line of an answer, at once.
func (c *call) line(v any) error {
	err := c.put(v)
	c.g.Writer.Flush()
	return err
}

// put writes one line of an answer.
func (c *call) put(v any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	if !c.g.Writer.Written() {
		c.g.Writer.Header()["Content-Type"] = []string{ndjson}
		c.g.Writer.WriteHeader(http.StatusOK)
	}
	_, err = c.g.Writer.Write(append(body, '\n'))
	return err
}

// PlanOf gives a plan as it goes over the wire, with at most so many consequences
// and decisions.
func PlanOf(p *service.Plan, most int) api.PolicyPlan {
	w := api.PolicyPlan{
		Tenant: p.Tenant, BaseRevision: uint64(p.Base), Plan: p.Hash, Changes: p.Changes, Operations: operationsOf(p.Operations),
		Consequences: consequencesOf(&p.Consequences, most), Broken: breachesOf(p.Broken),
		Decisions: api.TurnedDecisions{Asked: p.Asked, Unasked: p.Unasked, Turned: len(p.Turned)},
		Tests:     api.TestSummary{Passed: p.Tests.Passed, Failed: p.Tests.Failed, Skipped: p.Tests.Skipped},
		Warnings:  DetailsOf(p.Warnings),
	}
	for i := range p.Turned[:min(len(p.Turned), most)] {
		w.Decisions.All = append(w.Decisions.All, turnedOf(&p.Turned[i]))
	}
	return w
}

func turnedOf(t *service.Turned) api.TurnedDecision {
	q := &t.Recorded.Request
	d := api.TurnedDecision{
		ID: t.Recorded.ID, At: t.Recorded.At, Actions: texts(q.Actions), Section: string(q.Section), Scope: string(q.Scope),
		Before: t.Before.Allowed, After: t.After.Allowed, Reason: string(t.After.Reason),
	}
	if q.Subject != (access.Subject{}) {
		d.Subject = q.Subject.String()
	}
	return d
}

// ForetoldOf gives all that a change would do as it goes over the wire; nothing
// where it was made.
func ForetoldOf(r *service.Rehearsed) api.Foretold {
	if r == nil {
		return api.Foretold{}
	}
	return foretoldOf(r, len(r.Consequences.All))
}

// foretoldOf is ForetoldOf with at most so many consequences.
func foretoldOf(r *service.Rehearsed, most int) api.Foretold {
	if r == nil {
		return api.Foretold{}
	}
	all := consequencesOf(&r.Consequences, most)
	return api.Foretold{Consequences: &all, Broken: breachesOf(r.Broken)}
}

// toldBy gives the consequences of a rehearsal, or nil.
func toldBy(r *service.Rehearsed) *access.Consequences {
	if r == nil {
		return nil
	}
	return &r.Consequences
}

func consequencesOf(all *access.Consequences, most int) api.Consequences {
	w := api.Consequences{
		Foreign: all.Foreign, Looked: all.Looked, Users: all.Users, Groups: all.Groups, Applications: all.Applications,
		UsersGaining: all.Gaining, UsersLosing: all.Losing, UsersChanging: all.Changing,
		SuperusersMade: all.SuperusersMade, SuperusersLost: all.SuperusersLost,
		Total: len(all.All), All: []api.Consequence{},
	}
	for i := range all.All[:min(len(all.All), most)] {
		w.All = append(w.All, consequenceOf(&all.All[i]))
	}
	return w
}

func consequenceOf(x *access.Consequence) api.Consequence {
	return api.Consequence{
		Turn: string(x.Turn), Section: string(x.Section), Actions: texts(x.Actions), Scope: string(x.Scope), Except: texts(x.Except),
		Before: api.Hold(x.Before), After: api.Hold(x.After), From: momentOf(x.From), Until: momentOf(x.Until),
		Users: x.Users, Groups: x.Groups, UserIDs: x.UserIDs, GroupCodes: x.GroupCodes, Applications: x.Applications, Anonymous: x.Anonymous,
	}
}

func momentOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func breachesOf(all []access.Breach) []api.Breach {
	out := make([]api.Breach, len(all))
	for i := range all {
		b := &all[i]
		out[i] = api.Breach{
			Guarantee: b.Guarantee, Origin: b.Origin.String(), Holder: b.Holder, Section: string(b.Section), Action: string(b.Action), Scope: string(b.Scope),
			From: momentOf(b.From), Count: b.Count, Path: b.Path, Rule: b.Rule.String(), Text: service.BreachText(b),
		}
	}
	return out
}
