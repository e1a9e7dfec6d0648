package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Noun is a kind of thing in a tenant's directory, as it stands in paths.
type Noun string

// The nouns whose things are listed, shown, made, changed and deleted alike.
const (
	NounUser        Noun = "users"
	NounGroup       Noun = "groups"
	NounRole        Noun = "roles"
	NounScope       Noun = "scopes"
	NounLicence     Noun = "licences"
	NounApplication Noun = "applications"
)

// tableHTTP waits as long as a table may take to be written or read.
var tableHTTP = &http.Client{Timeout: 10 * time.Minute, CheckRedirect: noRedirect}

// List gives one page of the things of a noun into an answer such as *Users.
// The query narrows it as the API documents.
func (c *Client) List(ctx context.Context, n Noun, query url.Values, into any) error {
	return c.do(ctx, http.MethodGet, c.below(n, "", query), nil, into)
}

// Show gives one thing into an answer such as *User.
func (c *Client) Show(ctx context.Context, n Noun, id string, into any) error {
	return c.do(ctx, http.MethodGet, c.below(n, id, nil), nil, into)
}

// Look gives what is told of a thing beside itself, such as the permissions of a
// user, into an answer such as *Permissions.
func (c *Client) Look(ctx context.Context, n Noun, id, part string, query url.Values, into any) error {
	return c.do(ctx, http.MethodGet, c.below(n, id, nil)+"/"+part+questioned(query), nil, into)
}

// Create makes a thing of a body such as NewUser, and gives it as it is then.
func (c *Client) Create(ctx context.Context, n Noun, body, into any) error {
	return c.change(ctx, http.MethodPost, c.below(n, "", nil), body, into)
}

// Patch changes the members of a thing that are in the patch; others stay. The
// members base_revision and reason are those of Edit.
func (c *Client) Patch(ctx context.Context, n Noun, id string, patch map[string]any, into any) error {
	return c.change(ctx, http.MethodPatch, c.below(n, id, nil), patch, into)
}

// Put replaces a thing, or a part of it such as the rights of a group.
func (c *Client) Put(ctx context.Context, n Noun, id, part string, body, into any) error {
	path := c.below(n, id, nil)
	if part != "" {
		path += "/" + part
	}
	return c.change(ctx, http.MethodPut, path, body, into)
}

// Delete deletes a thing. The query holds reason, and what else the API documents.
func (c *Client) Delete(ctx context.Context, n Noun, id string, query url.Values, into any) error {
	return c.change(ctx, http.MethodDelete, c.below(n, id, query), nil, into)
}

// Act does one of the acts of the API that stand behind a colon, for instance
// Act(ctx, NounUser, "42", "deactivate", Edit{}, &user). Without an id it is about all,
// as bulk is. An act on a part of a thing names both: groups:add.
func (c *Client) Act(ctx context.Context, n Noun, id, act string, body, into any) error {
	sign := ":"
	if strings.Contains(act, ":") {
		sign = "/"
	}
	return c.change(ctx, http.MethodPost, c.below(n, id, nil)+sign+act, body, into)
}

// change is do for what can be rehearsed.
func (c *Client) change(ctx context.Context, method, path string, in, out any) error {
	return c.do(ctx, method, c.tried(path), in, out)
}

// tried is the path of a change that is made, or only rehearsed.
func (c *Client) tried(path string) string {
	switch {
	case !c.DryRun:
		return path
	case strings.Contains(path, "?"):
		return path + "&dry_run=true"
	}
	return path + "?dry_run=true"
}

// ImportUsers sends a table of accounts: CSV, or XLSX where its type says so.
func (c *Client) ImportUsers(ctx context.Context, table io.Reader, xlsx bool, query url.Values) (Imported, error) {
	var done Imported
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address(c.tried(c.below(NounUser, "", nil)+":import"+questioned(query))), table)
	if err != nil {
		return done, err
	}
	request.Header.Set("Content-Type", "text/csv")
	if xlsx {
		request.Header.Set("Content-Type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
	}
	response, err := c.send(request)
	if err != nil {
		return done, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil {
		err = read(response, body, &done)
	}
	if err != nil {
		return Imported{}, err
	}
	return done, nil
}

// Export writes a table as the API gives it. what is the path of it below the
// tenant, for instance users:export or groups/sales/members:export. Where the
// error is not nil, what was written is not whole.
func (c *Client) Export(ctx context.Context, what string, query url.Values, to io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address(tenantPath(c.tenant(), what)+questioned(query)), nil)
	if err != nil {
		return err
	}
	response, err := c.send(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return err
		}
		return read(response, body, &struct{}{})
	}
	if _, err := io.Copy(to, response.Body); err != nil {
		return fmt.Errorf("the table broke off: %w", err)
	}
	return nil
}

func (c *Client) send(request *http.Request) (*http.Response, error) {
	if c.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.Key)
	}
	if c.HTTP != nil {
		return c.HTTP.Do(request)
	}
	return tableHTTP.Do(request)
}

func (c *Client) address(path string) string { return strings.TrimRight(c.URL, "/") + path }

func (c *Client) tenant() string {
	if c.Tenant == "" {
		return "default"
	}
	return c.Tenant
}

// below gives the path of a noun, or of one thing.
func (c *Client) below(n Noun, id string, query url.Values) string {
	path := tenantPath(c.tenant(), string(n))
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return path + questioned(query)
}

func questioned(query url.Values) string {
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}
