package httpapi

import (
	"errors"
	"slices"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

var (
	actionSearchNames  = searchNames("subject", "section")
	sectionSearchNames = searchNames("subject", "action")
	subjectSearchNames = searchNames("action", "section", "type", "page_size", "page_token")

	subjectQueryNames = names{known: []string{"subject", "action", "resource", "context", "page"}}
	actionQueryNames  = names{known: []string{"subject", "resource", "context"}}
	pageNames         = names{known: []string{"token", "limit"}}
)

func searchNames(own ...string) names {
	return names{known: append(own, "scope", "resource", "subject_attributes", "action_attributes", "context", "at_least", "fully_consistent", "as_of")}
}

// searchActions finds what a subject may do in one section.
func (c *call) searchActions() error {
	var wire api.Request
	err := c.read(func(r *reader) error {
		return r.object("", &actionSearchNames, func(name string) error { return r.requestMember(name, &wire) })
	})
	if err != nil {
		return err
	}
	subject, err := subjectOf(wire.Subject)
	if err != nil {
		return err
	}
	ask := questionOf(&wire, subject, nil)
	want, done, err := c.admit(searches, wire.Consistency)
	if err != nil {
		return err
	}
	defer done()
	menu, err := c.api.o.Decisions.SearchActions(c.ctx(), c.caller, c.tenant, &ask, want)
	if err != nil {
		return err
	}
	return c.told(api.FoundActions{Actions: namesOf(actionsIn(menu)), Found: c.found(menu)})
}

// searchSections finds where a subject may do something, or all that it may do.
func (c *call) searchSections() error {
	var wire api.Request
	all := true
	err := c.read(func(r *reader) error {
		return r.object("", &sectionSearchNames, func(name string) error {
			all = all && name != "action"
			return r.requestMember(name, &wire)
		})
	})
	if err != nil {
		return err
	}
	subject, err := subjectOf(wire.Subject)
	if err != nil {
		return err
	}
	var actions []access.Action
	if !all {
		if actions, err = actionsOf(wire.Action); err != nil {
			return err
		}
	}
	ask := questionOf(&wire, subject, actions)
	want, done, err := c.admit(searches, wire.Consistency)
	if err != nil {
		return err
	}
	defer done()
	menu, err := c.api.o.Decisions.SearchSections(c.ctx(), c.caller, c.tenant, &ask, want)
	if err != nil {
		return err
	}
	w := api.FoundSections{Sections: make([]api.SectionActions, len(menu.Sections)), Found: c.found(menu)}
	for i, s := range menu.Sections {
		w.Sections[i] = api.SectionActions{Section: string(s.Section), Actions: namesOf(s.Actions)}
	}
	return c.told(w)
}

// searchSubjects finds a page of those who may do something.
func (c *call) searchSubjects() error {
	var wire api.Request
	var kind string
	var page service.Page
	err := c.read(func(r *reader) error {
		return r.object("", &subjectSearchNames, func(name string) error {
			switch name {
			case "type":
				return r.subjectType(name, &kind)
			case "page_size":
				return r.pageSize(name, &page.Size)
			case "page_token":
				return r.text(name, &page.Token)
			}
			return r.requestMember(name, &wire)
		})
	})
	if err != nil {
		return err
	}
	actions, err := actionsOf(wire.Action)
	if err != nil {
		return err
	}
	ask := questionOf(&wire, access.Subject{}, actions)
	want, done, err := c.admit(searches, wire.Consistency)
	if err != nil {
		return err
	}
	defer done()
	holders, next, err := c.api.o.Decisions.SearchSubjects(c.ctx(), c.caller, c.tenant, &ask, kind, page, want)
	if err != nil {
		return err
	}
	w := api.FoundSubjects{NextPageToken: next, Found: api.Found{
		Tenant: c.tenant, Revision: uint64(holders.Revision), ValidUntil: utc(holders.ValidUntil),
	}}
	for _, s := range holders.Subjects {
		w.Subjects = append(w.Subjects, s.String())
	}
	return c.told(w)
}

func (r *reader) subjectType(field string, to *string) error {
	if err := r.text(field, to); err != nil {
		return err
	}
	if err := access.ValidSubjectType(field, *to); err != nil {
		r.note(err)
	}
	return nil
}

// pageSize reads how many results are wanted. More than there may be are
// refused: who asks for 2000 must not take 1000 for all.
func (r *reader) pageSize(field string, to *int) error {
	var n int64
	if err := r.integer(field, &n); err != nil {
		return err
	}
	if n < 1 || n > service.MaxPage {
		r.note(access.Invalid(field, "must be 1 to %d", service.MaxPage))
		return nil
	}
	*to = int(n)
	return nil
}

func (c *call) found(m access.Menu) api.Found {
	return api.Found{Tenant: c.tenant, Revision: uint64(m.Revision), ValidUntil: utc(m.ValidUntil)}
}

// actionsIn gives the actions of a menu of one section.
func actionsIn(m access.Menu) []access.Action {
	if len(m.Sections) == 0 {
		return nil
	}
	return m.Sections[0].Actions
}

func namesOf(actions []access.Action) []string {
	all := make([]string, len(actions))
	for i, a := range actions {
		all[i] = string(a)
	}
	return all
}

// querySubjects is the subject search of AuthZEN.
func (c *call) querySubjects() error {
	var wire api.Evaluation
	var page service.Page
	err := c.read(func(r *reader) error {
		return r.object("", &subjectQueryNames, func(name string) error {
			if name == "page" {
				return r.object(name, &pageNames, func(member string) error {
					if member == "token" {
						return r.text("page.token", &page.Token)
					}
					return r.pageSize("page.limit", &page.Size)
				})
			}
			return r.evaluationMember(name, &wire)
		})
	})
	if err != nil {
		return err
	}
	wanted, ask, err := subjectQuery(&wire)
	if err != nil {
		return err
	}
	want, done, err := c.admit(searches, api.Consistency{})
	if err != nil {
		return err
	}
	defer done()
	holders, next, err := c.api.o.Decisions.SearchSubjects(c.ctx(), c.caller, c.tenant, &ask, wanted, page, want)
	if err != nil && !impossible(err) {
		return err
	}
	w := api.SubjectResults{Page: api.NextPage{NextToken: next}}
	for _, s := range holders.Subjects {
		w.Results = append(w.Results, api.EntityResult{Type: wire.Subject.Type, ID: s.ID})
	}
	return c.told(w)
}

// subjectQuery gives the type of subjects that are wanted and the question, for
// which somebody stands in.
func subjectQuery(wire *api.Evaluation) (string, access.Request, error) {
	switch {
	case wire.Subject == nil:
		return "", access.Request{}, access.Invalid("subject", "is required")
	case wire.Subject.Type == "":
		return "", access.Request{}, access.Invalid("subject.type", "is required")
	}
	somebody := *wire
	somebody.Subject = &api.Entity{Type: access.TypeAnonymous, ID: access.AnonymousID, Properties: wire.Subject.Properties}
	q, err := evaluationOf(&somebody)
	if wire.Subject.Type == "application" {
		return access.TypeApplication, q.ask, err
	}
	return wire.Subject.Type, q.ask, err
}

// queryActions is the action search of AuthZEN. A section has few actions: they
// come all at once.
func (c *call) queryActions() error {
	var wire api.Evaluation
	err := c.read(func(r *reader) error {
		return r.object("", &actionQueryNames, func(name string) error { return r.evaluationMember(name, &wire) })
	})
	if err != nil {
		return err
	}
	wire.Action = &api.Verb{Name: "any"} // stands in for what is searched for
	q, err := evaluationOf(&wire)
	if err != nil {
		return err
	}
	if q.wrong != nil {
		q.ask.Subject = access.Subject{} // nobody, whoever it looks like
	}
	want, done, err := c.admit(searches, api.Consistency{})
	if err != nil {
		return err
	}
	defer done()
	menu, err := c.api.o.Decisions.SearchActions(c.ctx(), c.caller, c.tenant, &q.ask, want)
	if err != nil && !impossible(err) {
		return err
	}
	var w api.ActionResults
	for _, a := range actionsIn(menu) {
		w.Results = append(w.Results, api.VerbResult{Name: string(a)})
	}
	return c.told(w)
}

// impossible tells whether a search failed because it names what could not
// exist here. By the standard it is well-formed all the same, and finds nothing.
func impossible(err error) bool {
	var told *access.Error
	return errors.As(err, &told) && errors.Is(told, access.ErrInvalid) &&
		slices.Contains([]string{"subject", "action", "section", "scope"}, told.Field)
}
