package engine

import (
	"maps"

	"github.com/bailiwick/bailiwick/internal/access"
)

// variables gives what conditions see. They are made once for a request; only
// section and action differ between a question and its prerequisites.
func (q *question) variables() map[string]any {
	if q.values == nil {
		r := q.request
		subject := merged(r.SubjectAttributes, q.person.account.attributes)
		subject["id"], subject["type"] = r.Subject.ID, subjectType(r.Subject)
		resource := merged(r.ResourceAttributes, nil)
		resource["type"], resource["id"] = r.Entity.Type, r.Entity.ID
		resource["scope"] = string(q.scopes.name(q.scope))
		q.values = map[string]any{
			"subject": subject, "resource": resource, "action": merged(r.ActionAttributes, nil),
			"context": merged(r.Context, nil), "now": q.now,
		}
	}
	q.values["resource"].(map[string]any)["section"] = string(q.sections.name(q.section))
	q.values["action"].(map[string]any)["name"] = string(q.action)
	return q.values
}

// merged gives the attributes of a request under stored ones, which beat them.
func merged(request, stored map[string]any) map[string]any {
	all := make(map[string]any, len(request)+len(stored)+4)
	maps.Copy(all, request)
	maps.Copy(all, stored)
	return all
}

func subjectType(s access.Subject) string {
	switch {
	case s == access.Anonymous:
		return access.AnonymousID
	case s.Kind == access.KindApplication:
		return "app"
	}
	return "user"
}
