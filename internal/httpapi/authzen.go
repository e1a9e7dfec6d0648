package httpapi

import (
	"errors"
	"strings"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// How AuthZEN's words become ours is told in docs/authzen.md.

var (
	evaluationNames  = names{known: []string{"subject", "action", "resource", "context"}}
	evaluationsNames = names{known: []string{"subject", "action", "resource", "context", "evaluations", "options"}}
	entityNames      = names{known: []string{"type", "id", "properties"}}
	verbNames        = names{known: []string{"name", "properties"}}
	optionNames      = names{known: []string{"evaluations_semantic"}}
)

// The three ways to answer a list of questions.
const (
	executeAll          = "execute_all"
	denyOnFirstDeny     = "deny_on_first_deny"
	permitOnFirstPermit = "permit_on_first_permit"
)

// evaluation answers one question.
func (c *call) evaluation() error {
	var wire api.Evaluation
	err := c.read(func(r *reader) error {
		return r.object("", &evaluationNames, func(name string) error { return r.evaluationMember(name, &wire) })
	})
	if err != nil {
		return err
	}
	return c.evaluateOne(&wire)
}

func (c *call) evaluateOne(wire *api.Evaluation) error {
	q, err := evaluationOf(wire)
	if err != nil {
		return err
	}
	want, done, err := c.admit(checks, api.Consistency{})
	if err != nil {
		return err
	}
	defer done()
	d, err := c.decideEvaluation(&q, want)
	if err != nil {
		return err
	}
	c.age()
	c.in.out = appendEvaluation(c.in.out[:0], &d)
	return c.answer(200, c.in.out)
}

// decideEvaluation gives a denial where the question names something that
// could not exist here: by the standard, it is well-formed all the same.
func (c *call) decideEvaluation(q *question, want access.Consistency) (access.Decision, error) {
	if q.wrong == nil {
		d, err := c.api.o.Decisions.Check(c.ctx(), c.caller, c.tenant, &q.ask, want)
		if !errors.Is(err, access.ErrInvalid) {
			c.answered(&q.ask, &d, err)
			return d, err
		}
		q.wrong = err
	}
	d, err := c.decideAll([]question{*q}, want) // still asks who is calling
	if err != nil {
		return access.Decision{}, err
	}
	return d[0], nil
}

// evaluations answers a list of questions, or one where there is no list.
func (c *call) evaluations() error {
	var list evaluationList
	if err := c.read(list.read); err != nil {
		return err
	}
	if len(list.items) == 0 {
		return c.evaluateOne(&list.defaults)
	}
	c.in.questions = c.in.questions[:0]
	for i := range list.items {
		c.in.questions = append(c.in.questions, list.question(i))
	}
	want, done, err := c.admit(checks, api.Consistency{})
	if err != nil {
		return err
	}
	defer done()
	answers, err := c.decideAll(c.in.questions, want)
	if err != nil {
		return err
	}
	c.age()
	answers = cut(answers, list.semantic)
	out := c.in.out[:0]
	out = append(out, `{"evaluations":[`...)
	for i := range answers {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendEvaluation(out, &answers[i])
	}
	out = append(out, "]}"...)
	c.in.out = out // grown, and kept for the next request
	return c.answer(200, out)
}

// cut ends a list of answers behind the one that settled it.
func cut(answers []access.Decision, semantic string) []access.Decision {
	if semantic == executeAll {
		return answers
	}
	for i := range answers {
		if answers[i].Allowed == (semantic == permitOnFirstPermit) {
			return answers[:i+1]
		}
	}
	return answers
}

// evaluationList is the body of a request for several answers.
type evaluationList struct {
	defaults api.Evaluation
	items    []api.Evaluation
	wrong    []error // of the items, by index
	semantic string
}

func (l *evaluationList) read(r *reader) error {
	l.semantic = executeAll
	return r.object("", &evaluationsNames, func(name string) error {
		switch name {
		case "evaluations":
			return r.list(name, func(i int) error { return l.readItem(r, i) })
		case "options":
			return r.object(name, &optionNames, func(string) error { return l.readSemantic(r) })
		}
		return r.evaluationMember(name, &l.defaults)
	})
}

// readItem keeps what is wrong with an item apart from the rest of the body.
func (l *evaluationList) readItem(r *reader, i int) error {
	if i == maxBatch {
		return tooMany("evaluations")
	}
	var item api.Evaluation
	outer := r.wrong
	r.wrong = nil
	err := r.object("", &evaluationNames, func(name string) error { return r.evaluationMember(name, &item) })
	l.items, l.wrong = append(l.items, item), append(l.wrong, r.wrong)
	r.wrong = outer
	return err
}

func (l *evaluationList) readSemantic(r *reader) error {
	const field = "options.evaluations_semantic"
	if err := r.text(field, &l.semantic); err != nil {
		return err
	}
	switch l.semantic {
	case executeAll, denyOnFirstDeny, permitOnFirstPermit:
		return nil
	}
	r.note(access.Invalid(field, "must be %s, %s or %s", executeAll, denyOnFirstDeny, permitOnFirstPermit))
	return nil
}

// question gives an item with the defaults in the place of what it leaves out,
// each as a whole.
func (l *evaluationList) question(i int) question {
	if l.wrong[i] != nil {
		return question{wrong: l.wrong[i]}
	}
	item := &l.items[i]
	if item.Subject == nil {
		item.Subject = l.defaults.Subject
	}
	if item.Action == nil {
		item.Action = l.defaults.Action
	}
	if item.Resource == nil {
		item.Resource = l.defaults.Resource
	}
	if item.Context == nil {
		item.Context = l.defaults.Context
	}
	q, err := evaluationOf(item)
	if err != nil {
		q.wrong = err
	}
	return q
}

func (r *reader) evaluationMember(name string, to *api.Evaluation) error {
	switch name {
	case "subject":
		to.Subject = &api.Entity{}
		return r.entity("subject", to.Subject)
	case "resource":
		to.Resource = &api.Entity{}
		return r.entity("resource", to.Resource)
	case "action":
		to.Action = &api.Verb{}
		return r.verb(to.Action)
	}
	return r.attributes(name, &to.Context)
}

func (r *reader) entity(field string, to *api.Entity) error {
	return r.object(field, &entityNames, func(name string) error {
		switch name {
		case "type":
			return r.text(field+".type", &to.Type)
		case "id":
			return r.text(field+".id", &to.ID)
		}
		return r.attributes(field+".properties", &to.Properties)
	})
}

func (r *reader) verb(to *api.Verb) error {
	return r.object("action", &verbNames, func(name string) error {
		if name == "name" {
			return r.text("action.name", &to.Name)
		}
		return r.attributes("action.properties", &to.Properties)
	})
}

// evaluationOf turns an AuthZEN question into ours. Its error says what the
// standard requires and the question lacks; question.wrong says that a name
// could not exist here.
func evaluationOf(w *api.Evaluation) (question, error) {
	if err := complete(w); err != nil {
		return question{}, err
	}
	scope, properties, err := scopeOf(w)
	if err != nil {
		return question{}, err
	}
	q := question{ask: access.Request{
		Actions:           verbOf(w.Action.Name),
		Section:           access.Section(w.Resource.Type),
		Entity:            access.Entity{Type: w.Resource.Type, ID: w.Resource.ID},
		Scope:             scope,
		SubjectAttributes: w.Subject.Properties, ResourceAttributes: properties,
		ActionAttributes: w.Action.Properties, Context: w.Context,
	}}
	q.ask.Subject, q.wrong = evaluationSubject(w.Subject)
	return q, nil
}

// complete looks for what the standard requires.
func complete(w *api.Evaluation) error {
	switch {
	case w.Subject == nil:
		return access.Invalid("subject", "is required")
	case w.Action == nil:
		return access.Invalid("action", "is required")
	case w.Resource == nil:
		return access.Invalid("resource", "is required")
	}
	for _, part := range []struct{ field, value string }{
		{"subject.type", w.Subject.Type},
		{"subject.id", w.Subject.ID},
		{"action.name", w.Action.Name},
		{"resource.type", w.Resource.Type},
		{"resource.id", w.Resource.ID},
	} {
		if part.value == "" {
			return access.Invalid(part.field, "is required")
		}
	}
	return nil
}

func verbOf(name string) []access.Action {
	if one, ok := single[name]; ok {
		return one
	}
	return []access.Action{access.Action(name)}
}

func evaluationSubject(e *api.Entity) (access.Subject, error) {
	switch e.Type {
	case "user":
		return access.Subject{Kind: access.KindUser, ID: e.ID}, access.ValidUserID("subject.id", e.ID)
	case "app", "application":
		return access.Subject{Kind: access.KindApplication, ID: e.ID}, access.ValidCode("subject.id", e.ID)
	case access.AnonymousID:
		return access.Anonymous, nil
	}
	return access.Subject{}, access.Invalid("subject.type", "%q is not a type of subject here; write user, app or anonymous", e.Type)
}

// scopeOf finds the scope among the properties of the resource or in the
// context, and gives the properties without it. A question that says it twice
// in two ways, or almost says it, is refused: it would be decided elsewhere.
func scopeOf(w *api.Evaluation) (access.Scope, map[string]any, error) {
	own, properties, err := takeScope("resource.properties", w.Resource.Properties)
	if err != nil {
		return "", nil, err
	}
	around, _, err := takeScope("context", w.Context)
	switch {
	case err != nil:
		return "", nil, err
	case own == "":
		return around, properties, nil
	case around != "" && around != own:
		return "", nil, access.Invalid("context.scope", "differs from resource.properties.scope")
	}
	return own, properties, nil
}

func takeScope(field string, from map[string]any) (access.Scope, map[string]any, error) {
	var scope access.Scope
	rest := from
	for name, value := range from {
		if len(name) < len("scope") || !looksLike(name, "scope") {
			continue
		}
		text, ok := value.(string)
		if name != "scope" || !ok || text == "" {
			return "", nil, access.Invalid(field+"."+name, "must be written scope and be a string that is not empty")
		}
		scope, rest = access.Scope(text), without(from, name)
	}
	return scope, rest, nil
}

func without(m map[string]any, name string) map[string]any {
	rest := make(map[string]any, len(m))
	for k, v := range m {
		if k != name {
			rest[k] = v
		}
	}
	return rest
}

// appendEvaluation writes an api.EvaluationAnswer.
func appendEvaluation(b []byte, d *access.Decision) []byte {
	if d.Allowed {
		b = append(b, `{"decision":true,"context":{"reason":`...)
	} else {
		b = append(b, `{"decision":false,"context":{"reason":`...)
	}
	b = appendText(b, string(d.Reason))
	if d.Detail != "" {
		b = appendText(append(b, `,"detail":`...), d.Detail)
	}
	if d.Revision != 0 {
		b = append(append(b, `,"revision":`...), itoa(int64(d.Revision))...) //nolint:gosec // counted one by one
	}
	return append(b, "}}"...)
}

// authzenConfiguration tells where to ask. It goes by the configuration alone:
// a Host header could send other clients anywhere.
func (c *call) authzenConfiguration() error {
	base := *c.api.publicURL.Load()
	if c.route.tenant {
		if err := access.ValidCode("tenant", c.tenant); err != nil {
			return errRoute
		}
		base += "/t/" + c.tenant
	}
	return c.reply(200, api.AuthZENConfiguration{
		PolicyDecisionPoint:       base,
		AccessEvaluationEndpoint:  base + "/access/v1/evaluation",
		AccessEvaluationsEndpoint: base + "/access/v1/evaluations",
		SearchSubjectEndpoint:     base + "/access/v1/search/subject",
		SearchActionEndpoint:      base + "/access/v1/search/action",
	})
}

func (a *door) setPublicURL(url string) {
	url = strings.TrimRight(url, "/")
	a.publicURL.Store(&url)
}

func (a *door) https() bool { return strings.HasPrefix(*a.publicURL.Load(), "https://") }
