// Package oidc asks an OpenID provider who somebody is: the code flow with PKCE,
// and nothing else of the standard.
//
// What the provider says counts only in a token that it signed, for us, for this
// attempt to sign in, and that has not expired. What to make of it is decided
// elsewhere.
package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Options say which provider is asked, and who we are to it. Issuer, ClientID
// and RedirectURL are required.
type Options struct {
	Issuer       string   // its URL; the tokens must name the same
	ClientID     string   // we; the tokens must be for it
	ClientSecret string   // empty for a public client
	RedirectURL  string   // where browsers come back to
	Scopes       []string // asked for beside openid
	GroupsClaim  string   // where groups stand, "groups" or a path like "realm_access.roles"; none are read when empty

	Transport http.RoundTripper // http.DefaultTransport when nil
	Clock     func() time.Time  // time.Now when nil
}

// Provider is one provider. It is asked for its endpoints when it is first
// needed, so that one that is down keeps nobody from starting.
type Provider struct {
	opts   Options
	client *http.Client
	mu     sync.Mutex
	known  *oidc.Provider
}

const (
	answerTime = 5 * time.Second // for each answer of a provider
	mostAnswer = 1 << 20         // bytes of it
)

// New prepares to ask a provider.
func New(o Options) (*Provider, error) {
	switch {
	case o.Issuer == "":
		return nil, access.Invalid("issuer", "is required: without it anybody's tokens would do")
	case o.ClientID == "":
		return nil, access.Invalid("client_id", "is required: without it tokens for others would do")
	case o.RedirectURL == "":
		return nil, access.Invalid("redirect_url", "is required")
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	client := &http.Client{
		Transport: bounded{o.Transport}, Timeout: answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a provider must not lead elsewhere") },
	}
	return &Provider{opts: o, client: client}, nil
}

// bounded cuts answers that are too long.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	w, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		w.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(w.Body, mostAnswer), w.Body}
	}
	return w, err
}

// provider gives what is known of the provider, asking it where that is nothing.
// Its keys are fetched with a context of their own: they outlive one sign-in.
func (p *Provider) provider() (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil {
		return p.known, nil
	}
	known, err := oidc.NewProvider(oidc.ClientContext(context.Background(), p.client), p.opts.Issuer)
	if err != nil {
		return nil, access.Unavailable("the OpenID provider %s cannot be asked: %v", p.opts.Issuer, err)
	}
	p.known = known
	return known, nil
}

func (p *Provider) oauth(known *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.opts.ClientID, ClientSecret: p.opts.ClientSecret, RedirectURL: p.opts.RedirectURL,
		Endpoint: known.Endpoint(), Scopes: append([]string{oidc.ScopeOpenID}, p.opts.Scopes...),
	}
}

// Begin gives the URL to send a browser to. state, nonce and verifier are this
// attempt's own secrets.
func (p *Provider) Begin(_ context.Context, state, nonce, verifier string) (string, error) {
	known, err := p.provider()
	if err != nil {
		return "", err
	}
	return p.oauth(known).AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// Finish tells who came back with a code. ErrForbidden: the provider's answer
// does not show that.
func (p *Provider) Finish(ctx context.Context, code, nonce, verifier string) (access.Identity, error) {
	known, err := p.provider()
	if err != nil {
		return access.Identity{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	answer, err := p.oauth(known).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500 {
		return access.Identity{}, access.Forbidden("the provider does not take the code: %s", refused.ErrorCode)
	}
	if err != nil {
		return access.Identity{}, access.Unavailable("the OpenID provider %s does not answer: %v", p.opts.Issuer, err)
	}
	raw, _ := answer.Extra("id_token").(string)
	if raw == "" {
		return access.Identity{}, access.Forbidden("the provider's answer holds no token of who somebody is")
	}
	token, err := known.Verifier(&oidc.Config{ClientID: p.opts.ClientID, Now: p.opts.Clock}).Verify(ctx, raw)
	if err != nil {
		return access.Identity{}, access.Forbidden("the provider's token cannot be believed: %v", err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return access.Identity{}, access.Forbidden("the provider's token is for another attempt to sign in")
	}
	return p.identity(token)
}

// identity reads the claims. An e-mail that was not verified is nobody's.
func (p *Provider) identity(token *oidc.IDToken) (access.Identity, error) {
	var all map[string]json.RawMessage
	if err := token.Claims(&all); err != nil || token.Subject == "" {
		return access.Identity{}, access.Forbidden("the provider's token cannot be understood")
	}
	id := access.Identity{Issuer: token.Issuer, Subject: token.Subject, Name: text(all["name"])}
	if verified(all["email_verified"]) {
		id.Email = text(all["email"])
	}
	id.Groups, id.NoGroups = groups(all, p.opts.GroupsClaim)
	return id, nil
}

func text(claim json.RawMessage) string {
	var s string
	_ = json.Unmarshal(claim, &s) // what is no text says nothing
	return s
}

// verified takes true, and the text "true" that some providers write.
func verified(claim json.RawMessage) bool { return string(claim) == "true" || text(claim) == "true" }

// groups reads a claim that holds a list of texts, or one. Dots lead into
// objects, unless there is a claim of that very name.
func groups(claims map[string]json.RawMessage, path string) (all []string, none bool) {
	claim, there := claims[path]
	for rest := path; !there; {
		name, below, more := strings.Cut(rest, ".")
		var inner map[string]json.RawMessage
		if !more || json.Unmarshal(claims[name], &inner) != nil {
			return nil, true
		}
		claims, rest = inner, below
		claim, there = claims[rest]
	}
	if json.Unmarshal(claim, &all) == nil {
		return all, false
	}
	if one := text(claim); one != "" {
		return []string{one}, false
	}
	return nil, true
}

// String names the provider for logs.
func (p *Provider) String() string { return fmt.Sprintf("OpenID provider %s", p.opts.Issuer) }
