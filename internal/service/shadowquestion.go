package service

import (
	"encoding/json"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// maxCopy bounds what is kept of a question, in bytes.
const maxCopy = 16 << 10

// copied gives a question that shares nothing with the one given, whose strings
// are cut out of a request's body; or false if it is too large.
func copied(r *access.Request) (access.Request, bool) {
	c := copier{left: maxCopy}
	q := access.Request{
		Subject: access.Subject{Kind: r.Subject.Kind, ID: c.text(r.Subject.ID)},
		Section: access.Section(c.text(string(r.Section))), Scope: access.Scope(c.text(string(r.Scope))),
		Entity:            access.Entity{Type: c.text(r.Entity.Type), ID: c.text(r.Entity.ID)},
		SubjectAttributes: c.object(r.SubjectAttributes), ResourceAttributes: c.object(r.ResourceAttributes),
		ActionAttributes: c.object(r.ActionAttributes), Context: c.object(r.Context),
		Raw: c.list(r.Raw), RawSet: c.text(r.RawSet),
	}
	for _, a := range r.Actions {
		q.Actions = append(q.Actions, access.Action(c.text(string(a))))
	}
	return q, c.left >= 0
}

// copier copies values until it has copied too much.
type copier struct{ left int }

const perValue = 16 // bytes that a value takes at least

func (c *copier) text(s string) string {
	if c.left -= perValue + len(s); c.left < 0 {
		return ""
	}
	return strings.Clone(s)
}

func (c *copier) object(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	all := map[string]any{}
	for k, v := range m {
		if c.left < 0 {
			break
		}
		all[c.text(k)] = c.value(v)
	}
	return all
}

func (c *copier) list(from []any) []any {
	if from == nil {
		return nil
	}
	all := []any{}
	for _, v := range from {
		if c.left < 0 {
			break
		}
		all = append(all, c.value(v))
	}
	return all
}

func (c *copier) value(v any) any {
	c.left -= perValue
	switch v := v.(type) {
	case string:
		return c.text(v)
	case json.Number:
		return json.Number(c.text(string(v)))
	case map[string]any:
		return c.object(v)
	case []any:
		return c.list(v)
	}
	return v // numbers and the like
}
