package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// Bounds on what a plan lists. It always says how much there is.
const (
	maxConsequences = 5000
	maxTurned       = 1000
	maxNamed        = 10_000
)

const ndjson = "application/x-ndjson"

var planRoutes = []route{
	{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/policy:plan", tenant: true, need: access.KeyRead,
		limit: maxPolicyBody, time: policyTime,
		serve: (*call).planPolicy, tag: "Administration", summary: "Tell what putting a policy into force would do",
		text: "Writes nothing. The files are checked and tested as if they were put into force. What the answer tells: operations, who gains and loses which right where, which guarantees would break, which of the last recorded decisions would turn. With Accept: application/x-ndjson the answer is a line for each step of the work, and the plan as the last one.",
		body: api.PolicyPlanAsked{}, answer: api.PolicyPlan{},
	},
	{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/guarantees", tenant: true, need: access.KeyRead,
		serve: (*call).listGuarantees, tag: "Administration", summary: "Show what must be true of every revision",
		answer: api.Guarantees{},
	},
}

var dryRunParam = param{name: "dry_run", kind: flagParam, text: "Write nothing, and answer with who would gain and lose what: dry_run, base_revision, consequences and broken guarantees."}

// rehearsable adds dry_run to the changes of the directory that have none of their own.
func rehearsable(all []route) []route {
	for i := range all {
		r := &all[i]
		if !r.change || r.tag != "Directory" || hasParam(r.query, dryRunParam.name) {
			continue
		}
		r.query = append(r.query[:len(r.query):len(r.query)], dryRunParam)
		r.rehearsed = true
	}
	return all
}

func hasParam(params []param, name string) bool {
	for i := range params {
		if params[i].name == name {
			return true
		}
	}
	return false
}

// rehearsing tells whether the change is only to be rehearsed.
func (c *call) rehearsing() bool {
	asked := c.flag(dryRunParam.name)
	return c.route.rehearsed && asked != nil && *asked
}

// rehearsal answers where an error is none: a change that was rehearsed.
func (c *call) rehearsal(err error) bool {
	var r *service.Rehearsed
	if !errors.As(err, &r) {
		return false
	}
	return c.reply(http.StatusOK, api.Rehearsal{
		DryRun: true, BaseRevision: uint64(r.Base), Consequences: ConsequencesOf(&r.Consequences), Broken: breachesOf(r.Broken),
	}) == nil
}

func (c *call) planPolicy() error {
	var w api.PolicyPlanAsked
	if err := c.read(func(r *reader) error { return r.planAsked(&w) }); err != nil {
		return err
	}
	files, err := filesOf(w.Files)
	if err != nil {
		return err
	}
	o := service.PlanOptions{Base: access.Revision(w.BaseRevision), Last: w.Last, Names: w.Names}
	if c.api.o.Records != nil {
		o.Recents = c.api.o.Records
	}
	if !strings.Contains(c.g.GetHeader("Accept"), ndjson) {
		plan, err := c.api.o.Policies.Plan(c.ctx(), c.caller, c.tenant, files, o)
		if err != nil {
			return err
		}
		return c.reply(http.StatusOK, PlanOf(plan))
	}
	o.Progress = func(stage string, done, total int) error {
		return c.line(api.PlanProgress{Progress: &api.Progress{Stage: stage, Done: done, Total: total}})
	}
	plan, err := c.api.o.Policies.Plan(c.ctx(), c.caller, c.tenant, files, o)
	switch {
	case err != nil && !c.g.Writer.Written():
		return err
	case err != nil:
		c.err = err
		p := problemOf(err)
		p.RequestID = c.id
		body, _ := json.Marshal(p) // strings and numbers: cannot fail
		return c.line(api.PlanProgress{Problem: body})
	}
	answer := PlanOf(plan)
	return c.line(api.PlanProgress{Plan: &answer})
}

// line sends one line of an answer, at once.
func (c *call) line(v any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	if !c.g.Writer.Written() {
		c.g.Writer.Header()["Content-Type"] = []string{ndjson}
		c.g.Writer.WriteHeader(http.StatusOK)
	}
	_, err = c.g.Writer.Write(append(body, '\n'))
	c.g.Writer.Flush()
	return err
}

var planNames = names{known: []string{"files", "base_revision", "last", "names"}, closed: true}

func (r *reader) planAsked(to *api.PolicyPlanAsked) error {
	return r.object("", &planNames, func(name string) error {
		if name == "files" {
			var p api.Policy
			err := r.files(name, &p)
			to.Files = p.Files
			return err
		}
		var n int64
		err := r.integer(name, &n)
		switch {
		case n < 0:
			r.note(access.Invalid(name, "must not be negative"))
		case name == "base_revision":
			to.BaseRevision = uint64(n)
		case name == "last" && n > service.MaxLast:
			r.note(access.Invalid(name, "must be at most %d", service.MaxLast))
		case name == "last":
			to.Last = int(n)
		case n > maxNamed:
			r.note(access.Invalid(name, "must be at most %d", maxNamed))
		default:
			to.Names = int(n)
		}
		return err
	})
}

func (c *call) listGuarantees() error {
	all, revision, err := c.api.o.Directory.Guarantees(c.ctx(), c.caller, c.tenant)
	if err != nil {
		return err
	}
	w := api.Guarantees{Guarantees: []api.Guarantee{}, Revision: uint64(revision)}
	for i := range all {
		w.Guarantees = append(w.Guarantees, guaranteeOf(&all[i]))
	}
	return c.reply(http.StatusOK, w)
}

func guaranteeOf(g *access.Guarantee) api.Guarantee {
	w := api.Guarantee{
		Name: g.Name, Description: g.Description, Rule: string(g.Rule), Who: g.Who, Except: g.Except,
		Scope: string(g.Scope), Holders: g.Most, Condition: g.Condition, Origin: g.Origin.String(),
	}
	if w.Scope == "" {
		w.Scope = string(access.Everywhere)
	}
	for _, r := range g.Rights {
		w.Rights = append(w.Rights, api.GuardedRight{Section: string(r.Section), Actions: texts(r.Names())})
	}
	return w
}

func texts[T ~string](all []T) []string {
	var out []string
	for _, x := range all {
		out = append(out, string(x))
	}
	return out
}

// PlanOf gives a plan as it goes over the wire.
func PlanOf(p *service.Plan) api.PolicyPlan {
	w := api.PolicyPlan{
		Tenant: p.Tenant, BaseRevision: uint64(p.Base), Plan: p.Hash, Changes: p.Changes, Operations: operationsOf(p.Operations),
		Consequences: ConsequencesOf(&p.Consequences), Broken: breachesOf(p.Broken),
		Decisions: api.TurnedDecisions{Asked: p.Asked, Unasked: p.Unasked, Turned: len(p.Turned)},
		Tests:     api.TestSummary{Passed: p.Tests.Passed, Failed: p.Tests.Failed, Skipped: p.Tests.Skipped},
		Warnings:  DetailsOf(p.Warnings),
	}
	for _, t := range p.Turned[:min(len(p.Turned), maxTurned)] {
		q := &t.Recorded.Request
		d := api.TurnedDecision{
			ID: t.Recorded.ID, At: t.Recorded.At, Actions: texts(q.Actions), Section: string(q.Section), Scope: string(q.Scope),
			Before: t.Before.Allowed, After: t.After.Allowed, Reason: string(t.After.Reason),
		}
		if q.Subject != (access.Subject{}) {
			d.Subject = q.Subject.String()
		}
		w.Decisions.All = append(w.Decisions.All, d)
	}
	return w
}

// ConsequencesOf gives consequences as they go over the wire.
func ConsequencesOf(all *access.Consequences) api.Consequences {
	w := api.Consequences{
		Foreign: all.Foreign, Looked: all.Looked, Users: all.Users, Groups: all.Groups, Applications: all.Applications,
		UsersGaining: all.Gaining, UsersLosing: all.Losing, UsersChanging: all.Changing,
		SuperusersMade: all.SuperusersMade, SuperusersLost: all.SuperusersLost,
		Total: len(all.All), All: []api.Consequence{},
	}
	for i := range all.All[:min(len(all.All), maxConsequences)] {
		x := &all.All[i]
		w.All = append(w.All, api.Consequence{
			Turn: string(x.Turn), Section: string(x.Section), Actions: texts(x.Actions), Scope: string(x.Scope), Except: texts(x.Except),
			Before: api.Hold(x.Before), After: api.Hold(x.After), From: momentOf(x.From), Until: momentOf(x.Until),
			Users: x.Users, Groups: x.Groups, UserIDs: x.UserIDs, GroupCodes: x.GroupCodes, Applications: x.Applications, Anonymous: x.Anonymous,
		})
	}
	return w
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
			Guarantee: b.Guarantee, Holder: b.Holder, Section: string(b.Section), Action: string(b.Action), Scope: string(b.Scope),
			From: momentOf(b.From), Count: b.Count, Path: b.Path, Text: service.BreachText(b),
		}
	}
	return out
}
