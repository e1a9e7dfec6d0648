package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// RecordedDecision is an answer that was given, as the log of decisions keeps it.
type RecordedDecision struct {
	ID string `json:"id"`
	// When the question was put.
	At time.Time `json:"at"`
	// Microseconds until it was answered.
	Took int64 `json:"took_us"`
	// Changes when stored history was replaced, as by a restore.
	Epoch string `json:"epoch,omitempty"`
	// Who asked.
	Caller string `json:"caller"`
	// Of the request in which it was asked; the questions of a batch share it.
	RequestID string `json:"request_id,omitempty"`
	// What was asked, as it would be asked again.
	Question Request `json:"question"`
	// The answer: decision, reason, rule and so on.
	Decision
	// What of the question was not kept as it was; such an answer cannot be replayed exactly.
	Masked []string `json:"masked,omitempty"`
}

// RecordedDecisions is a page of the log of decisions.
type RecordedDecisions struct {
	Decisions []RecordedDecision `json:"decisions"`
	// Empty behind the last page.
	NextPageToken string `json:"next_page_token,omitempty"`
}

// Replay is an answer as it was given, and as the same revision gives it again.
type Replay struct {
	// True where both are the same. False is an alarm: either the history or the program that decided is not what it was.
	Same bool `json:"same"`
	// What came out otherwise: decision, reason, detail, action, rule, valid_until, revision.
	Differs  []string         `json:"differs,omitempty"`
	Recorded RecordedDecision `json:"recorded"`
	// The answer of today; left out where there is none.
	Again *Decision `json:"again,omitempty"`
}

// DecisionQuery says which recorded decisions are wanted. What is empty does not
// narrow it.
type DecisionQuery struct {
	Subject, Section, Reason, Caller, RequestID string
	Outcome                                     string // "allow" or "deny"
	From, Until                                 time.Time
	Forward                                     bool // oldest first
	PageSize                                    int
	PageToken                                   string
}

func (q DecisionQuery) query() string {
	v := url.Values{}
	for name, value := range map[string]string{
		"subject": q.Subject, "section": q.Section, "reason": q.Reason, "caller": q.Caller, "request_id": q.RequestID,
		"outcome": q.Outcome, "page_token": q.PageToken,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"from": q.From, "until": q.Until} {
		if !at.IsZero() {
			v.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if q.Forward {
		v.Set("forward", "true")
	}
	if q.PageSize > 0 {
		v.Set("page_size", strconv.Itoa(q.PageSize))
	}
	return v.Encode()
}

// Decisions gives a page of a tenant's log of decisions.
func (c *Client) Decisions(ctx context.Context, tenant string, q DecisionQuery) (RecordedDecisions, error) {
	return answer[RecordedDecisions](ctx, c, http.MethodGet, tenantPath(tenant, "decisions?"+q.query()), nil)
}

// Decision gives one recorded decision.
func (c *Client) Decision(ctx context.Context, tenant, id string) (RecordedDecision, error) {
	return answer[RecordedDecision](ctx, c, http.MethodGet, tenantPath(tenant, "decisions/"+url.PathEscape(id)), nil)
}

// Replay has a recorded decision given again by the revision of that time.
func (c *Client) Replay(ctx context.Context, tenant, id string) (Replay, error) {
	return answer[Replay](ctx, c, http.MethodPost, tenantPath(tenant, "decisions/"+url.PathEscape(id)+":replay"), nil)
}
