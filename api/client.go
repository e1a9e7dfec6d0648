package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what a client reads of an answer, in bytes.
const maxAnswer = 64 << 20

// defaultTimeout is how long a question may take, where Client.HTTP is nil.
const defaultTimeout = 10 * time.Second

var defaultHTTP = &http.Client{Timeout: defaultTimeout, CheckRedirect: noRedirect}

// policyHTTP waits as long as a server may take to test and compile a policy.
var policyHTTP = &http.Client{Timeout: 3 * time.Minute, CheckRedirect: noRedirect}

// noRedirect: an answer comes from the address that was asked, and the key goes
// nowhere else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Client asks a server. URL is required; a Client must not be changed while it
// is in use, and can be used by many goroutines.
type Client struct {
	URL    string       // for instance https://access.example.com
	Key    string       // the API key: bw_…
	Tenant string       // whose questions; the tenant default when empty
	HTTP   *http.Client // one that follows no redirects and gives up after 10 s when nil
	// DryRun has changes of the directory tried only: their answers are those of a
	// Rehearsal, but for applications, whose CataloguePlan tells it.
	DryRun bool
}

// Check asks one question. The error is a *Problem where the server gave one.
// Whatever the error is, it does not mean allow.
func (c *Client) Check(ctx context.Context, r Request) (Decision, error) {
	return answer[Decision](ctx, c, http.MethodPost, c.asked("/v1/enforce"), r)
}

// CheckAll asks up to 100 questions, which are answered from one revision and
// in their order.
func (c *Client) CheckAll(ctx context.Context, rs []Request) ([]Decision, error) {
	d, err := answer[Decisions](ctx, c, http.MethodPost, c.asked("/v1/enforce/batch"), Batch{Requests: rs})
	if err != nil {
		return nil, err
	}
	if len(d.Decisions) != len(rs) {
		return nil, fmt.Errorf("%d answers came to %d questions", len(d.Decisions), len(rs))
	}
	return d.Decisions, nil
}

// Explain asks one question and why it is answered so.
func (c *Client) Explain(ctx context.Context, r Request) (Explanation, error) {
	return answer[Explanation](ctx, c, http.MethodPost, c.asked("/v1/explain"), r)
}

// Tenants lists the tenants that the key may see.
func (c *Client) Tenants(ctx context.Context) ([]Tenant, error) {
	t, err := answer[Tenants](ctx, c, http.MethodGet, "/v1/tenants", nil)
	return t.Tenants, err
}

// CreateTenant makes a tenant. It allows nothing yet, unless it has a template.
func (c *Client) CreateTenant(ctx context.Context, t Tenant) (Tenant, error) {
	t.Revision = 0
	return answer[Tenant](ctx, c, http.MethodPost, "/v1/tenants", t)
}

// LoadPolicy puts a policy into force. Where the policy holds mistakes or does
// not keep its own tests, the error is a *Problem with all of them as details.
func (c *Client) LoadPolicy(ctx context.Context, tenant string, p Policy) (PolicyLoaded, error) {
	return foretoldWhole(ctx, c, http.MethodPut, tenantPath(tenant, "policy"), p, func(l *PolicyLoaded) *Consequences { return l.Consequences })
}

// Revisions gives a page of the history of a tenant, newest first. The query is
// that of the route, for instance "author" or "page_token".
func (c *Client) Revisions(ctx context.Context, tenant string, query url.Values) (Revisions, error) {
	return answer[Revisions](ctx, c, http.MethodGet, queried(tenantPath(tenant, "revisions"), query), nil)
}

// Revision gives a revision with what it changed.
func (c *Client) Revision(ctx context.Context, tenant string, number uint64) (Revision, error) {
	return answer[Revision](ctx, c, http.MethodGet, tenantPath(tenant, fmt.Sprintf("revisions/%d", number)), nil)
}

// Diff tells what turns one state of a tenant into another. States are numbers
// of revisions or times; the newest where empty. With effect it tells who holds what
// in the one and not in the other, too.
func (c *Client) Diff(ctx context.Context, tenant, from, to string, effect bool) (Difference, error) {
	query := url.Values{}
	for name, state := range map[string]string{"from": from, "to": to} {
		if state != "" {
			query.Set(name, state)
		}
	}
	if effect {
		query.Set("effect", "true")
	}
	return foretoldWhole(ctx, c, http.MethodGet, queried(tenantPath(tenant, "diff"), query), nil, func(d *Difference) *Consequences { return d.Consequences })
}

// PolicyFiles gives the policy of a tenant as files: of a revision or time, or
// where that is empty what is in force; with users, all accounts too.
func (c *Client) PolicyFiles(ctx context.Context, tenant, asOf string, users bool) (PolicyFiles, error) {
	query := url.Values{}
	if asOf != "" {
		query.Set("as_of", asOf)
	}
	if users {
		query.Set("users", "true")
	}
	return answer[PolicyFiles](ctx, c, http.MethodGet, queried(tenantPath(tenant, "policy"), query), nil)
}

// Blame tells who made what leads to an answer. The query is that of the route.
func (c *Client) Blame(ctx context.Context, tenant string, query url.Values) (Blame, error) {
	return answer[Blame](ctx, c, http.MethodGet, queried(tenantPath(tenant, "blame"), query), nil)
}

// Rollback puts an earlier state in force again, or tells what that would change.
func (c *Client) Rollback(ctx context.Context, tenant string, r Rollback) (Undone, error) {
	return foretoldWhole(ctx, c, http.MethodPost, tenantPath(tenant, "revisions:rollback"), r, func(u *Undone) *Consequences { return u.Consequences })
}

// Revert reverses what one revision has changed, or tells what that would change.
func (c *Client) Revert(ctx context.Context, tenant string, number uint64, u Undo) (Undone, error) {
	return foretoldWhole(ctx, c, http.MethodPost, tenantPath(tenant, fmt.Sprintf("revisions/%d:revert", number)), u, func(u *Undone) *Consequences { return u.Consequences })
}

func queried(path string, query url.Values) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// Keys lists the API keys of a tenant, or with * those for all tenants.
func (c *Client) Keys(ctx context.Context, tenant string) ([]Key, error) {
	k, err := answer[Keys](ctx, c, http.MethodGet, tenantPath(tenant, "keys"), nil)
	return k.Keys, err
}

// CreateKey makes an API key. Its text is in this answer only.
func (c *Client) CreateKey(ctx context.Context, tenant string, k NewKey) (CreatedKey, error) {
	return answer[CreatedKey](ctx, c, http.MethodPost, tenantPath(tenant, "keys"), k)
}

// RevokeKey ends an API key; the reason is kept in the history.
func (c *Client) RevokeKey(ctx context.Context, tenant, id, reason string) error {
	path := tenantPath(tenant, "keys/"+url.PathEscape(id))
	return c.do(ctx, http.MethodDelete, path+"?reason="+url.QueryEscape(reason), nil, nil)
}

// Ready tells how the server does. That it is not ready is an answer, not an error.
func (c *Client) Ready(ctx context.Context) (Health, error) {
	var h Health
	err := c.do(ctx, http.MethodGet, "/readyz", nil, &h)
	if h.Status != "" {
		err = nil
	}
	return h, err
}

// answer gives the zero answer with every error, so that nothing of half an
// answer can be taken for one.
func answer[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out, none T
	if err := c.do(ctx, method, path, in, &out); err != nil {
		return none, err
	}
	return out, nil
}

// asked gives the path of a question to the client's tenant.
func (c *Client) asked(path string) string {
	if c.Tenant == "" {
		return path
	}
	return "/t/" + url.PathEscape(c.Tenant) + path
}

func tenantPath(tenant, rest string) string {
	return "/v1/tenants/" + url.PathEscape(tenant) + "/" + rest
}

// do sends in as JSON and reads the answer into out, where they are not nil.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	request, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	response, err := c.client(in).Do(request) //nolint:gosec // to the URL that the program's author gave
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("the answer of %s is larger than %d bytes", path, maxAnswer)
	}
	return read(response, body, out)
}

func (c *Client) client(in any) *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	if _, long := in.(Policy); long {
		return policyHTTP
	}
	return defaultHTTP
}

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.URL, "/")+path, body) //nolint:gosec // to the URL that the program's author gave
	if err != nil {
		return nil, err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.Key)
	}
	return request, nil
}

// errNotOurs is the answer of something that is no server of ours.
var errNotOurs = errors.New("this is no answer of a Bailiwick server")

func read(response *http.Response, body []byte, out any) error {
	kind := response.Header.Get("Content-Type")
	switch {
	case response.StatusCode/100 == 2 && out == nil:
		return nil
	case kind == "application/problem+json":
		problem := &Problem{}
		if err := json.Unmarshal(body, problem); err != nil || problem.Code == "" {
			return fmt.Errorf("%s: %w", response.Status, errNotOurs)
		}
		return problem
	case kind != "application/json":
		return fmt.Errorf("%s: %w", response.Status, errNotOurs)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s: %w: %w", response.Status, errNotOurs, err)
	}
	if response.StatusCode/100 != 2 {
		return errors.New(response.Status)
	}
	return nil
}
