package httpapi

import (
	"strconv"
	"strings"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

func itoa[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

func parseFloat(b []byte) (float64, error) { return strconv.ParseFloat(string(b), 64) }

// shorten keeps a message readable whatever was sent.
func shorten(b []byte) string {
	if len(b) > 32 {
		return string(b[:32]) + "…"
	}
	return string(b)
}

var (
	requestNames  = names{known: []string{"subject", "action", "section", "scope", "resource", "subject_attributes", "action_attributes", "context", "request", "context_set", "at_least", "fully_consistent", "as_of"}}
	resourceNames = names{known: []string{"type", "id", "attributes"}}
	batchNames    = names{known: []string{"requests", "at_least", "fully_consistent", "as_of"}}
)

// request reads a question in our own form.
func (r *reader) request(to *api.Request) error {
	return r.object("", &requestNames, func(name string) error { return r.requestMember(name, to) })
}

func (r *reader) requestMember(name string, to *api.Request) error {
	switch name {
	case "subject":
		return r.text(name, &to.Subject)
	case "action":
		return r.actions(name, &to.Action)
	case "section":
		return r.text(name, &to.Section)
	case "scope":
		return r.text(name, &to.Scope)
	case "resource":
		return r.resource(name, to)
	case "subject_attributes":
		return r.attributes(name, &to.SubjectAttributes)
	case "action_attributes":
		return r.attributes(name, &to.ActionAttributes)
	case "context":
		return r.attributes(name, &to.Context)
	case "context_set":
		return r.text(name, &to.ContextSet)
	case "at_least", "fully_consistent", "as_of":
		return r.consistencyMember(name, &to.Consistency)
	}
	return r.positional(name, &to.Request)
}

func (r *reader) resource(field string, to *api.Request) error {
	to.Resource = &api.Resource{}
	return r.object(field, &resourceNames, func(name string) error {
		switch name {
		case "type":
			return r.text("resource.type", &to.Resource.Type)
		case "id":
			return r.text("resource.id", &to.Resource.ID)
		}
		return r.attributes("resource.attributes", &to.Resource.Attributes)
	})
}

// actions reads a name, an array of names or a sum of rights.
func (r *reader) actions(field string, to *api.Actions) error {
	switch r.dec.PeekKind() {
	case '0':
		return r.integer(field, &to.Sum)
	case '[':
		return r.list(field, func(int) error {
			var name string
			err := r.text(field, &name)
			to.Names = append(to.Names, name)
			return err
		})
	case '"':
		var name string
		err := r.text(field, &name)
		if to.Names = usual[name]; to.Names == nil {
			to.Names = []string{name}
		}
		return err
	default:
		return r.mismatch(field, "a name, an array of names or a sum of rights")
	}
}

func (r *reader) positional(field string, to *[]any) error {
	*to = []any{}
	return r.list(field, func(int) error {
		v, err := r.any()
		*to = append(*to, v)
		return err
	})
}

// RequestOf turns a question from its wire form into ours. Whether the tenant's
// model is ours decides how a positional question is read: as subject, scope,
// section and action there, and as it stands in any other Casbin model. Names
// that whoever decides has never heard of are checked there.
func RequestOf(w *api.Request, ours bool) (access.Request, error) {
	if w.Request != nil {
		return positionalOf(w, ours)
	}
	if w.ContextSet != "" {
		return access.Request{}, access.Invalid("context_set", "is for a request under a Casbin model of one's own")
	}
	subject, err := subjectOf(w.Subject)
	if err != nil {
		return access.Request{}, err
	}
	actions, err := actionsOf(w.Action)
	if err != nil {
		return access.Request{}, err
	}
	return questionOf(w, subject, actions), nil
}

// questionOf puts a question together from what was read already and the rest
// of its wire form.
func questionOf(w *api.Request, subject access.Subject, actions []access.Action) access.Request {
	r := access.Request{
		Subject: subject, Actions: actions, Section: access.Section(w.Section), Scope: access.Scope(w.Scope),
		SubjectAttributes: w.SubjectAttributes, ActionAttributes: w.ActionAttributes, Context: w.Context,
	}
	if w.Resource != nil {
		r.Entity = access.Entity{Type: w.Resource.Type, ID: w.Resource.ID}
		r.ResourceAttributes = w.Resource.Attributes
	}
	return r
}

// subjectOf is access.ParseSubject, except that a user's id is left to whoever
// decides, which knows at a glance the ids that exist.
func subjectOf(s string) (access.Subject, error) {
	if s == "" {
		return access.Subject{}, access.Invalid("subject", "is required")
	}
	if id, ok := strings.CutPrefix(s, "user:"); ok && id != "" && id != access.AnonymousID {
		return access.Subject{Kind: access.KindUser, ID: id}, nil
	}
	return access.ParseSubject("subject", s)
}

// usual and single hold what most questions ask for, so that asking it
// allocates nothing. Whoever gets them leaves them as they are.
var (
	usual  = map[string][]string{}
	single = map[string][]access.Action{}
)

func init() {
	for _, name := range access.RightNames()[1:] { // inherit cannot be asked about
		usual[name], single[name] = []string{name}, []access.Action{access.Action(name)}
	}
}

func actionsOf(a api.Actions) ([]access.Action, error) {
	if a.IsZero() {
		return nil, access.Invalid("action", "is required")
	}
	if len(a.Names) == 0 {
		return access.ActionsOf("action", a.Sum)
	}
	if one, ok := single[a.Names[0]]; ok && len(a.Names) == 1 {
		return one, nil
	}
	actions := make([]access.Action, len(a.Names))
	for i, name := range a.Names {
		actions[i] = access.Action(name)
	}
	return actions, nil
}

// positionalOf reads a question in Casbin's form.
func positionalOf(w *api.Request, ours bool) (access.Request, error) {
	if w.Subject != "" || !w.Action.IsZero() || w.Section != "" || w.Scope != "" || w.Resource != nil {
		return access.Request{}, access.Invalid("request", "cannot stand beside subject, action, section, scope or resource")
	}
	if len(w.Request) == 0 {
		return access.Request{}, access.Invalid("request", "is empty")
	}
	if !ours {
		return rawOf(w)
	}
	if w.ContextSet != "" {
		return access.Request{}, access.Invalid("context_set", "is for tenants with a Casbin model of their own")
	}
	if len(w.Request) != 4 {
		return access.Request{}, access.Invalid("request", "has %d values; write subject, scope, section and action", len(w.Request))
	}
	var texts [3]string
	for i := range texts {
		text, ok := w.Request[i].(string)
		if !ok {
			return access.Request{}, access.Invalid("request", "value %d must be a string", i+1)
		}
		texts[i] = text
	}
	action, err := positionalAction(w.Request[3])
	if err != nil {
		return access.Request{}, err
	}
	named := api.Request{
		Subject: typedSubject(texts[0]), Scope: texts[1], Section: texts[2], Action: action,
		SubjectAttributes: w.SubjectAttributes, ActionAttributes: w.ActionAttributes, Context: w.Context,
	}
	return RequestOf(&named, true)
}

// rawOf reads a question to a tenant with a Casbin model of its own. Attributes
// are objects among its values there.
func rawOf(w *api.Request) (access.Request, error) {
	if w.Context != nil || w.SubjectAttributes != nil || w.ActionAttributes != nil {
		return access.Request{}, access.Invalid("request", "cannot stand beside context or attributes under this tenant's model: write objects in it")
	}
	return access.Request{Raw: w.Request, RawSet: w.ContextSet}, nil
}

// typedSubject takes a bare name for a user's id.
func typedSubject(s string) string {
	if s == "" || s == access.AnonymousID || strings.HasPrefix(s, "user:") || strings.HasPrefix(s, "app:") {
		return s
	}
	return "user:" + s
}

// positionalAction reads a name or a sum of rights, also one in a string.
func positionalAction(v any) (api.Actions, error) {
	switch v := v.(type) {
	case float64:
		if v == float64(int64(v)) {
			return api.Actions{Sum: int64(v)}, nil
		}
	case string:
		if sum, err := strconv.ParseInt(v, 10, 64); err == nil {
			return api.Actions{Sum: sum}, nil
		}
		return api.Do(v), nil
	}
	return api.Actions{}, access.Invalid("request", "value 4 must be an action or a sum of rights")
}
