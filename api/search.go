package api

import (
	"context"
	"net/http"
	"time"
)

// ActionSearch asks what a subject may do in one section.
type ActionSearch struct {
	// Whom it is about: user:<id>, app:<code> or anonymous.
	Subject string `json:"subject"`
	// The protected area, a dotted path of the catalogue.
	Section string `json:"section"`
	Circumstances
}

// SectionSearch asks in which sections a subject may do something.
type SectionSearch struct {
	// Whom it is about: user:<id>, app:<code> or anonymous.
	Subject string `json:"subject"`
	// What must be allowed, all of it. Everything the subject may do anywhere when left out.
	Action Actions `json:"action,omitzero"`
	Circumstances
}

// SubjectSearch asks who may do something.
type SubjectSearch struct {
	// What must be allowed, all of it.
	Action Actions `json:"action"`
	// The protected area, a dotted path of the catalogue.
	Section string `json:"section"`
	// Only subjects of this type: user, app or anonymous. All when left out.
	Type string `json:"type,omitempty"`
	// How many at once, 1 to 1000; 50 when left out.
	PageSize int `json:"page_size,omitzero"`
	// The next_page_token of the page before. All else must be as it was, except page_size.
	PageToken string `json:"page_token,omitempty"`
	Circumstances
}

// Circumstances is what a search has besides subject, action and section.
type Circumstances struct {
	// Which entities, for instance store:eu-1; everywhere when left out.
	Scope string `json:"scope,omitempty"`
	// The record that the search is about, for conditions.
	Resource *Resource `json:"resource,omitempty"`
	// What conditions see of the subject; stored attributes beat these.
	SubjectAttributes map[string]any `json:"subject_attributes,omitempty"`
	// What conditions see of the action.
	ActionAttributes map[string]any `json:"action_attributes,omitempty"`
	// What conditions see of the circumstances.
	Context map[string]any `json:"context,omitempty"`
	Consistency
}

// FoundActions answers an ActionSearch, completely.
type FoundActions struct {
	// The standard actions in the order of their values, then declared ones by name.
	Actions []string `json:"actions"`
	Found
}

// FoundSections answers a SectionSearch, completely.
type FoundSections struct {
	// In the order of their paths.
	Sections []SectionActions `json:"sections"`
	Found
}

// SectionActions is a section and what is allowed there of what was asked for.
type SectionActions struct {
	Section string   `json:"section"`
	Actions []string `json:"actions"`
}

// FoundSubjects is one page of the answer to a SubjectSearch.
type FoundSubjects struct {
	// In the order of their bytes: user:<id>, app:<code> or anonymous.
	Subjects []string `json:"subjects"`
	// Stands for the next page; left out behind the last. 409 when the policy has changed since.
	NextPageToken string `json:"next_page_token,omitempty"`
	Found
}

// Found tells of which state a search was made.
type Found struct {
	Tenant string `json:"tenant,omitempty"`
	// The revision that was searched; left out when files were.
	Revision uint64 `json:"revision,omitzero"`
	// A time-limited fact may change what was found then.
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

// SearchActions asks what a subject may do in one section.
func (c *Client) SearchActions(ctx context.Context, s ActionSearch) (FoundActions, error) {
	return answer[FoundActions](ctx, c, http.MethodPost, c.asked("/v1/search/actions"), s)
}

// SearchSections asks where a subject may do something, or all that it may do.
func (c *Client) SearchSections(ctx context.Context, s SectionSearch) (FoundSections, error) {
	return answer[FoundSections](ctx, c, http.MethodPost, c.asked("/v1/search/sections"), s)
}

// SearchSubjects asks for one page of those who may do something.
func (c *Client) SearchSubjects(ctx context.Context, s SubjectSearch) (FoundSubjects, error) {
	return answer[FoundSubjects](ctx, c, http.MethodPost, c.asked("/v1/search/subjects"), s)
}

// AllSubjects asks for page after page until it has everybody who may do
// something. The pages are of one revision: where it changes on the way, the
// error is a *Problem with the code stale.
func (c *Client) AllSubjects(ctx context.Context, s SubjectSearch) (FoundSubjects, error) {
	all := FoundSubjects{Subjects: []string{}}
	for {
		page, err := c.SearchSubjects(ctx, s)
		if err != nil {
			return FoundSubjects{}, err
		}
		if until := page.ValidUntil; all.ValidUntil.IsZero() || !until.IsZero() && until.Before(all.ValidUntil) {
			all.ValidUntil = until
		}
		all.Subjects = append(all.Subjects, page.Subjects...)
		all.Tenant, all.Revision = page.Tenant, page.Revision
		if page.NextPageToken == "" {
			return all, nil
		}
		s.PageToken = page.NextPageToken
	}
}
