package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/bailiwick/bailiwick/api"
)

// remote talks to a server.
type remote struct {
	base string
	key  string
	http *http.Client
}

func newRemote(address, key string, transport http.RoundTripper) (*remote, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usage("--server: %q is not an address such as http://127.0.0.1:8080", address)
	}
	return &remote{base: strings.TrimSuffix(address, "/"), key: key, http: &http.Client{Transport: transport}}, nil
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

func call[A any](ctx context.Context, r *remote, method, path string, body any) (a A, err error) {
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return a, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(text))
	if err != nil {
		return a, err
	}
	request.Header.Set("Authorization", "Bearer "+r.key)
	request.Header.Set("Content-Type", "application/json")
	answer, err := r.http.Do(request)
	if err != nil {
		return a, err
	}
	defer answer.Body.Close()
	if text, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer)); err != nil {
		return a, err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		p := &api.Problem{}
		if err := json.Unmarshal(text, p); err != nil || p.Code == "" {
			return a, fmt.Errorf("%s answers with status %d; is it bailiwick?", r.base, answer.StatusCode)
		}
		return a, p
	}
	if len(text) == 0 {
		return a, nil
	}
	return a, json.Unmarshal(text, &a)
}

func (r *remote) Check(ctx context.Context, tenant string, q api.Request) (api.Decision, error) {
	return call[api.Decision](ctx, r, http.MethodPost, "/t/"+url.PathEscape(tenant)+"/v1/enforce", q)
}

func (r *remote) Explain(ctx context.Context, tenant string, q api.Request) (api.Explanation, error) {
	return call[api.Explanation](ctx, r, http.MethodPost, "/t/"+url.PathEscape(tenant)+"/v1/explain", q)
}

func (r *remote) Tenants(ctx context.Context) ([]api.Tenant, error) {
	all, err := call[api.Tenants](ctx, r, http.MethodGet, "/v1/tenants", nil)
	return all.Tenants, err
}

func (r *remote) CreateTenant(ctx context.Context, t api.Tenant) (api.Tenant, error) {
	return call[api.Tenant](ctx, r, http.MethodPost, "/v1/tenants", t)
}

func (r *remote) LoadPolicy(ctx context.Context, tenant string, p api.Policy) (api.PolicyLoaded, error) {
	return call[api.PolicyLoaded](ctx, r, http.MethodPut, "/v1/tenants/"+url.PathEscape(tenant)+"/policy", p)
}

func (r *remote) Keys(ctx context.Context, tenant string) ([]api.Key, error) {
	all, err := call[api.Keys](ctx, r, http.MethodGet, "/v1/tenants/"+url.PathEscape(tenant)+"/keys", nil)
	return all.Keys, err
}

func (r *remote) CreateKey(ctx context.Context, tenant string, k api.NewKey) (api.CreatedKey, error) {
	return call[api.CreatedKey](ctx, r, http.MethodPost, "/v1/tenants/"+url.PathEscape(tenant)+"/keys", k)
}

func (r *remote) RevokeKey(ctx context.Context, tenant, id string) error {
	_, err := call[struct{}](ctx, r, http.MethodDelete, "/v1/tenants/"+url.PathEscape(tenant)+"/keys/"+url.PathEscape(id), nil)
	return err
}
