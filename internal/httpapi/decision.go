package httpapi

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// enforce answers one question. It is the path that everything else waits for,
// so it neither reflects nor keeps anything between questions.
func (c *call) enforce() error {
	ask, fresh, err := c.asked()
	if err != nil {
		return err
	}
	want, done, err := c.admit(checks, fresh)
	if err != nil {
		return err
	}
	defer done()
	d, err := c.api.o.Decisions.Check(c.ctx(), c.caller, c.tenant, &ask, want)
	if c.answered(&ask, &d, err); err != nil {
		return err
	}
	c.age()
	c.in.out = c.in.appendDecision(c.in.out[:0], c.tenant, &d)
	return c.answer(200, c.in.out)
}

// asked reads one question, and how fresh its answer must be.
func (c *call) asked() (access.Request, api.Consistency, error) {
	var wire api.Request
	if err := c.read(func(r *reader) error { return r.request(&wire) }); err != nil {
		return access.Request{}, wire.Consistency, err
	}
	ask, err := c.requestOf(&wire)
	return ask, wire.Consistency, err
}

// requestOf needs to know the tenant's model only for positional questions.
func (c *call) requestOf(w *api.Request) (access.Request, error) {
	return RequestOf(w, w.Request == nil || c.api.o.Decisions.Ours(c.tenant))
}

// enforceBatch answers several questions from one revision. A question that
// breaks a rule is denied in its place.
func (c *call) enforceBatch() error {
	c.in.questions, c.in.fresh = c.in.questions[:0], api.Consistency{}
	var whole api.Consistency
	err := c.read(func(r *reader) error {
		return r.object("", &batchNames, func(name string) error {
			if name != "requests" {
				return r.consistencyMember(name, &whole)
			}
			return r.list(name, func(i int) error {
				if i == maxBatch {
					return tooMany(name)
				}
				return c.question(r)
			})
		})
	})
	if err != nil {
		return err
	}
	if len(c.in.questions) == 0 {
		return access.Invalid("requests", "must hold at least one question")
	}
	want, done, err := c.admit(checks, stronger(whole, c.in.fresh))
	if err != nil {
		return err
	}
	defer done()
	answers, err := c.decideAll(c.in.questions, want)
	if err != nil {
		return err
	}
	c.age()
	out := c.in.out[:0]
	out = append(out, `{"decisions":[`...)
	for i := range answers {
		if i > 0 {
			out = append(out, ',')
		}
		out = c.in.appendDecision(out, c.tenant, &answers[i])
	}
	out = append(out, "]}"...)
	c.in.out = out // grown, and kept for the next request
	return c.answer(200, out)
}

func tooMany(field string) error {
	return access.Invalid(field, "holds more than %d questions", maxBatch)
}

// question is one of several: what is asked, or what is wrong with it.
type question struct {
	ask   access.Request
	wrong error
}

// question reads one element of a list. What is wrong with it stays with it.
func (c *call) question(r *reader) error {
	outer := r.wrong
	r.wrong = nil
	var wire api.Request
	err := r.request(&wire)
	r.questions = append(r.questions, question{wrong: r.wrong})
	r.wrong = outer
	r.fresh = stronger(r.fresh, wire.Consistency)
	if q := &r.questions[len(r.questions)-1]; err == nil && q.wrong == nil {
		q.ask, q.wrong = c.requestOf(&wire)
	}
	return err
}

// decideAll asks the questions that can be asked, all of one revision, and
// puts a denial in the place of the others.
func (c *call) decideAll(questions []question, want access.Consistency) ([]access.Decision, error) {
	c.in.asks = c.in.asks[:0]
	for i := range questions {
		if questions[i].wrong == nil {
			c.in.asks = append(c.in.asks, questions[i].ask)
		}
	}
	given, err := c.api.o.Decisions.CheckAll(c.ctx(), c.caller, c.tenant, c.in.asks, want)
	if err != nil {
		return nil, err
	}
	answers := make([]access.Decision, len(questions))
	for i := range answers {
		q := &questions[i] //nolint:gosec // there is an answer for each
		if wrong := q.wrong; wrong != nil {
			answers[i] = access.Decision{Reason: access.ReasonRequestInvalid, Detail: problemOf(wrong).Message}
		} else {
			answers[i], given = given[0], given[1:]
		}
		c.answered(&q.ask, &answers[i], nil)
	}
	return answers, nil
}

// decided counts an answer. Only a tenant that exists has any.
func (c *call) decided(reason access.Reason, err error) {
	if err == nil {
		c.api.metrics.decided(c.tenant, reason)
	}
}

// explain answers one question with everything that led to the answer.
func (c *call) explain() error {
	ask, fresh, err := c.asked()
	if err != nil {
		return err
	}
	want, done, err := c.admit(searches, fresh)
	if err != nil {
		return err
	}
	defer done()
	e, err := c.api.o.Decisions.Explain(c.ctx(), c.caller, c.tenant, &ask, want)
	if c.decided(e.Reason, err); err != nil {
		return err
	}
	return c.told(ExplanationOf(c.tenant, &e))
}

// DecisionOf gives a decision as it goes over the wire.
func DecisionOf(tenant string, d *access.Decision) api.Decision {
	w := api.Decision{
		Allowed: d.Allowed, Reason: string(d.Reason), Detail: d.Detail, Action: string(d.Action),
		Tenant: tenant, Revision: uint64(d.Revision), ValidUntil: utc(d.ValidUntil),
	}
	if d.Rule != nil {
		w.Rule = &api.Rule{Line: d.Rule.String(), Origin: d.Rule.Origin.String()}
	}
	return w
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// appendDecision writes what marshalling DecisionOf would write.
func (r *reader) appendDecision(b []byte, tenant string, d *access.Decision) []byte {
	b = strconv.AppendBool(append(b, `{"decision":`...), d.Allowed)
	b = appendText(append(b, `,"reason":`...), string(d.Reason))
	if d.Detail != "" {
		b = appendText(append(b, `,"detail":`...), d.Detail)
	}
	if d.Action != "" {
		b = appendText(append(b, `,"action":`...), string(d.Action))
	}
	if d.Rule != nil {
		b = r.appendRule(append(b, `,"rule":`...), d.Rule)
	}
	if tenant != "" {
		b = appendText(append(b, `,"tenant":`...), tenant)
	}
	if d.Revision != 0 {
		b = strconv.AppendUint(append(b, `,"revision":`...), uint64(d.Revision), 10)
	}
	if !d.ValidUntil.IsZero() {
		b = d.ValidUntil.UTC().AppendFormat(append(b, `,"valid_until":"`...), time.RFC3339Nano)
		b = append(b, '"')
	}
	return append(b, '}')
}

func (r *reader) appendRule(b []byte, rule *access.Rule) []byte {
	r.line = append(append(r.line[:0], rule.Type...), ", "...)
	for i, v := range rule.Values {
		if i > 0 {
			r.line = append(r.line, ", "...)
		}
		r.line = append(r.line, v...)
	}
	b = appendText(append(b, `{"line":`...), r.line)
	if rule.Origin.File != "" {
		r.line = appendOrigin(r.line[:0], rule.Origin)
		b = appendText(append(b, `,"origin":`...), r.line)
	}
	return append(b, '}')
}

// appendOrigin writes what Origin.String gives.
func appendOrigin(b []byte, o access.Origin) []byte {
	b = append(b, o.File...)
	if o.Line == 0 {
		return b
	}
	b = strconv.AppendInt(append(b, ':'), int64(o.Line), 10)
	if o.Column == 0 {
		return b
	}
	return strconv.AppendInt(append(b, ':'), int64(o.Column), 10)
}

// appendText writes a JSON string. What is not UTF-8 comes out as U+FFFD.
func appendText[T ~[]byte | ~string](b []byte, s T) []byte {
	b, _ = jsontext.AppendQuote(b, s) // the error says that there was invalid UTF-8
	return b
}

// ExplanationOf gives an explanation as it goes over the wire.
func ExplanationOf(tenant string, e *access.Explanation) api.Explanation {
	w := api.Explanation{Decision: DecisionOf(tenant, &e.Decision)}
	for i := range e.Parts {
		w.Parts = append(w.Parts, partOf(&e.Parts[i]))
	}
	return w
}

func partOf(p *access.ExplanationPart) api.ExplanationPart {
	w := api.ExplanationPart{
		Action: string(p.Action), Gates: make([]api.Gate, len(p.Gates)),
		Path: rulesOf(p.Path), Losing: rulesOf(p.Losing),
	}
	for i, g := range p.Gates {
		w.Gates[i] = api.Gate{Gate: string(g.Gate), Outcome: string(g.Outcome), Reason: string(g.Reason), Detail: g.Detail}
	}
	for i := range p.Nearest {
		g := grantOf(&p.Nearest[i])
		if i < len(p.NearestTo) {
			g.To = p.NearestTo[i]
		}
		w.Nearest = append(w.Nearest, g)
	}
	return w
}

func rulesOf(rules []access.Rule) []api.Rule {
	var w []api.Rule
	for _, r := range rules {
		w = append(w, api.Rule{Line: r.String(), Origin: r.Origin.String()})
	}
	return w
}

func grantOf(g *access.Grant) api.Grant {
	return api.Grant{
		Section: string(g.Section), Rights: append(g.Rights.Names(), g.Actions...), Scope: string(g.Scope),
		Effect: string(g.Effect), Condition: g.Condition, From: utc(g.Validity.From), Until: utc(g.Validity.Until),
	}
}

// marshal writes an answer in which every member is known and valid.
func marshal(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }
