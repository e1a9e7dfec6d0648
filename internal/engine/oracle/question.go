package oracle

import (
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// question is an access.Case looked up by plain loops over the facts.
type question struct {
	*Oracle
	request access.Request
	action  access.Action
	now     time.Time
	depth   int
	err     error
}

// Subject finds accounts that may not be used.
func (q *question) Subject() access.Finding {
	s := q.request.Subject
	switch {
	case s == access.Anonymous:
	case s.Kind == access.KindApplication:
		if !slices.ContainsFunc(q.facts.Catalogue, func(a access.Application) bool { return a.Code == s.ID }) {
			return access.Finding{Reason: access.ReasonSubjectUnknown, Detail: s.ID}
		}
	default:
		u := q.user()
		if u == nil {
			return access.Finding{Reason: access.ReasonSubjectUnknown, Detail: s.ID}
		}
		if u.Status != access.UserActive {
			return access.Finding{Reason: access.ReasonSubjectDisabled, Detail: string(u.Status)}
		}
	}
	if q.templatesOnly() {
		return access.Finding{Reason: access.ReasonSubjectTemplateOnly}
	}
	return access.Finding{}
}

func (q *question) user() *access.UserFacts {
	for i := range q.facts.Users {
		if q.request.Subject.Kind == access.KindUser && q.facts.Users[i].ID == q.request.Subject.ID {
			return &q.facts.Users[i]
		}
	}
	return nil
}

func (q *question) templatesOnly() bool {
	templates := 0
	for _, r := range q.facts.Rules {
		if r.Type != "g" || r.Values[0] != q.request.Subject.Rule() || !r.Validity.At(q.now) {
			continue
		}
		kind, code, _ := access.ParseName(r.Values[1])
		if kind != access.KindGroup {
			continue
		}
		if q.facts.Groups[code] != access.GroupTemplate {
			return false
		}
		templates++
	}
	return templates > 0
}

func (q *question) section() (*access.Application, *access.SectionEntry) {
	for i := range q.facts.Catalogue {
		app := &q.facts.Catalogue[i]
		for j := range app.Sections {
			if app.Sections[j].Path == q.request.Section {
				return app, &app.Sections[j]
			}
		}
	}
	return nil, nil
}

// Catalogue finds names that nobody declared.
func (q *question) Catalogue() access.Finding {
	_, s := q.section()
	if s == nil {
		return access.Finding{Reason: access.ReasonSectionUnknown, Detail: string(q.request.Section)}
	}
	if q.action.Right() == 0 && !slices.ContainsFunc(s.Actions, func(a access.ActionEntry) bool { return a.Name == string(q.action) }) {
		return access.Finding{Reason: access.ReasonActionUnknown, Detail: string(q.action)}
	}
	if _, ok := q.path(); !ok {
		return access.Finding{Reason: access.ReasonScopeUnknown, Detail: string(q.request.Scope)}
	}
	return access.Finding{}
}

func (q *question) scope() access.Scope {
	if q.request.Scope == "" {
		return access.Everywhere
	}
	return q.request.Scope
}

func (q *question) path() (access.ScopePath, bool) { return q.scope().Path(q.parents) }

// Superuser asks stock Casbin's role manager.
func (q *question) Superuser() bool {
	has, err := q.enforcer.GetRoleManager().HasLink(q.request.Subject.Rule(), access.SuperuserRole, string(access.Everywhere))
	if err != nil {
		q.err = err
	}
	return has && err == nil
}

// Application finds applications that are switched off for the user.
func (q *question) Application() access.Finding {
	app, _ := q.section()
	if u := q.user(); u != nil && slices.Contains(u.ApplicationsOff, app.Code) {
		return access.Finding{Reason: access.ReasonApplicationOff, Detail: app.Code}
	}
	return access.Finding{}
}

// Licence finds features that are not held.
func (q *question) Licence() access.Finding {
	_, s := q.section()
	tenant := slices.ContainsFunc(q.facts.Licences, func(l access.Licence) bool { return l.Feature == s.Licence })
	u := q.user()
	if s.Licence == "" || tenant && (u == nil || slices.Contains(u.Licences, s.Licence)) {
		return access.Finding{}
	}
	return access.Finding{Reason: access.ReasonLicenceMissing, Detail: s.Licence}
}

// Verdict asks stock Casbin.
func (q *question) Verdict() access.Verdict {
	path, _ := q.path()
	allowed, values, err := q.enforcer.EnforceEx(q.request.Subject.Rule(), string(path), string(q.request.Section), q.action.Rule(), q.variables())
	if err != nil {
		q.err = err
		return access.Verdict{Reason: access.ReasonNoGrant}
	}
	return q.verdict(allowed, values, q.now)
}

func (q *question) variables() map[string]any {
	r := q.request
	var stored map[string]any
	if u := q.user(); u != nil {
		stored = u.Attributes
	}
	kind := "user"
	if r.Subject.Kind == access.KindApplication {
		kind = "app"
	}
	if r.Subject == access.Anonymous {
		kind = "anonymous"
	}
	return map[string]any{
		"subject": merged(merged(r.SubjectAttributes, stored), map[string]any{"id": r.Subject.ID, "type": kind}),
		"resource": merged(r.ResourceAttributes, map[string]any{
			"type": r.Entity.Type, "id": r.Entity.ID, "section": string(r.Section), "scope": string(q.scope()),
		}),
		"action":  merged(r.ActionAttributes, map[string]any{"name": string(q.action)}),
		"context": merged(r.Context, nil),
		"now":     q.now,
	}
}

// Prerequisites asks the whole question again for each right that is needed too.
func (q *question) Prerequisites() access.Finding {
	_, s := q.section()
	for _, p := range s.Prerequisites {
		for _, name := range (p.Rights &^ access.Inherit).Names() {
			next := &question{Oracle: q.Oracle, request: q.request, action: access.Action(name), now: q.now, depth: q.depth + 1}
			next.request.Section = p.Section
			if next.depth > access.MaxPrerequisiteDepth || !access.Judge(next).Allowed || next.err != nil {
				q.err = next.err
				return access.Finding{Reason: access.ReasonPrerequisiteMissing, Detail: string(p.Section) + "/" + name}
			}
		}
	}
	return access.Finding{}
}
