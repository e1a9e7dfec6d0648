package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// RefusedAttempt is an administrative attempt that was refused.
type RefusedAttempt struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
	// Who tried.
	Caller    string `json:"caller"`
	RequestID string `json:"request_id,omitempty"`
	// What would have been needed, as part and action: Users/update.
	Need string `json:"need,omitempty"`
	// The route that refused, where no right was asked for.
	Door string `json:"door,omitempty"`
	Why  string `json:"why"`
	// How many attempts the entry stands for; more than 1 where a caller tried too often within a minute.
	Times int `json:"times"`
}

// RefusedAttempts is a page of refused attempts, newest first.
type RefusedAttempts struct {
	Refusals []RefusedAttempt `json:"refusals"`
	// Empty behind the last page.
	NextPageToken string `json:"next_page_token,omitempty"`
}

// RefusalQuery narrows a list of refused attempts; its zero value asks for all.
type RefusalQuery struct {
	Caller      string
	Need        string // for instance Users or Users/update
	RequestID   string
	From, Until time.Time // at or after; before
	PageSize    int
	PageToken   string
}

// Refusals gives a page of the attempts that were refused in a tenant, newest
// first. The tenant * stands for what concerns none.
func (c *Client) Refusals(ctx context.Context, tenant string, q RefusalQuery) (RefusedAttempts, error) {
	v := url.Values{}
	for name, value := range map[string]string{"caller": q.Caller, "need": q.Need, "request_id": q.RequestID, "page_token": q.PageToken} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"from": q.From, "until": q.Until} {
		if !at.IsZero() {
			v.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if q.PageSize > 0 {
		v.Set("page_size", strconv.Itoa(q.PageSize))
	}
	return answer[RefusedAttempts](ctx, c, http.MethodGet, tenantPath(tenant, "refusals?"+v.Encode()), nil)
}

// Trail copies a tenant's whole history to a writer, one JSON object a line. It
// ends with a line of the kind end; without it something was cut off.
func (c *Client) Trail(ctx context.Context, tenant string, to io.Writer) error {
	path := tenantPath(tenant, "trail")
	request, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{} // a long history takes its time; ctx bounds it
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.Header.Get("Content-Type") != "application/x-ndjson" {
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return err
		}
		return read(response, body, nil)
	}
	if _, err := io.Copy(to, response.Body); err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return nil
}
