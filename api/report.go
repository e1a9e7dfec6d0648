package api

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Report gives one of the reports access, who, changes and book. The query has the
// parameters that the API has.
func (c *Client) Report(ctx context.Context, tenant, name string, query url.Values) (Report, error) {
	return answer[Report](ctx, c, http.MethodGet, queried(tenantPath(tenant, "reports/"+name), query), nil)
}

// Report is a table for people who look into who may do what.
type Report struct {
	Title string `json:"title"`
	// The state that was looked at, or the later one of two.
	Revision uint64    `json:"revision"`
	AsOf     time.Time `json:"as_of"`
	Columns  []string  `json:"columns"`
	// The cells of each row, in the order of the columns.
	Rows [][]string `json:"rows"`
	// What a reader has to know to understand it rightly.
	Notes []string `json:"notes,omitempty"`
}
