package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// maxNamed is how many users and groups a consequence can be asked to name.
const maxNamed = 10_000

var planRoutes = []route{
	{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/policy:plan", tenant: true, need: access.KeyRead,
		limit: maxPolicyBody, time: policyTime,
		serve: (*call).planPolicy, tag: "Administration", summary: "Tell what putting a policy into force would do",
		text: "Writes nothing. The files are checked and tested as if they were put into force. What the answer tells: operations, who gains and loses which right where, which guarantees would break, which of the last recorded decisions would turn. With Accept: application/x-ndjson the answer is a line for each step of the work, then one for the plan, for each consequence and for each decision, and one at the end: nothing is left out.",
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
	return slices.ContainsFunc(params, func(p param) bool { return p.name == name })
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
	return c.foretell(func(most int) any {
		return api.Rehearsal{DryRun: true, BaseRevision: uint64(r.Base), Foretold: foretoldOf(r, most)}
	}, &r.Consequences, nil) == nil
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
	if c.inLines() {
		o.Progress = func(stage string, done, total int) error {
			return c.line(api.Line{Progress: &api.Progress{Stage: stage, Done: done, Total: total}})
		}
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
		return c.line(api.Line{Problem: body})
	}
	return c.foretell(func(most int) any { return PlanOf(plan, most) }, &plan.Consequences, plan.Turned)
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
