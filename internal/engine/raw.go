package engine

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// FromRaw reads a question in Casbin's habit, [subject, scope, section, action]
// and optionally an object that becomes the context, for tenants with the
// built-in model. A subject without "user:" or "app:" in front is a user; the
// action is a name or a sum of rights.
func FromRaw(raw []any) (*access.Request, error) {
	if len(raw) != 4 && len(raw) != 5 {
		return nil, access.Invalid("request", "has %d values; write [subject, scope, section, action] or add an object with the context", len(raw))
	}
	var words [3]string
	for i, field := range []string{"subject", "scope", "section"} {
		word, ok := raw[i].(string)
		if !ok || word == "" {
			return nil, access.Invalid("request."+field, "must be a text and not blank")
		}
		words[i] = word
	}
	r := &access.Request{Scope: access.Scope(words[1]), Section: access.Section(words[2])}
	var err error
	if r.Subject, err = rawSubject(words[0]); err != nil {
		return nil, err
	}
	if r.Actions, err = rawActions(raw[3]); err != nil {
		return nil, err
	}
	if len(raw) == 5 {
		context, ok := raw[4].(map[string]any)
		if !ok {
			return nil, access.Invalid("request.context", "must be an object")
		}
		r.Context = context
	}
	return r, nil
}

func rawSubject(word string) (access.Subject, error) {
	if word != access.AnonymousID && !strings.HasPrefix(word, "user:") && !strings.HasPrefix(word, "app:") {
		word = "user:" + word
	}
	return access.ParseSubject("request.subject", word)
}

func rawActions(value any) ([]access.Action, error) {
	const field = "request.action"
	switch v := value.(type) {
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return access.ActionsOf(field, n)
		}
		return []access.Action{access.Action(v)}, access.ValidAction(field, v)
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			return nil, access.Invalid(field, "is no whole number")
		}
		return access.ActionsOf(field, n)
	case float64:
		if v != float64(int64(v)) {
			return nil, access.Invalid(field, "is no whole number")
		}
		return access.ActionsOf(field, int64(v))
	case int:
		return access.ActionsOf(field, int64(v))
	case int64:
		return access.ActionsOf(field, v)
	}
	return nil, access.Invalid(field, "must be the name of an action or a sum of rights")
}
