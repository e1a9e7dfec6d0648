// Command provider is a real OpenID provider for tests, made of a library for
// such providers. It is a module of its own, so that nothing of the program
// depends on that library.
//
// It knows one client, asks nobody for a password, and says of whoever comes what
// it was last told by POST /claims. It writes its issuer as its only line and
// runs until its standard input ends.
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"
	"golang.org/x/crypto/bcrypt"
)

type provider struct {
	issuer string
	oauth  fosite.OAuth2Provider
	key    *rsa.PrivateKey
	mu     sync.Mutex
	claims map[string]any
}

func main() {
	client, secret, back := flag.String("client", "", "id"), flag.String("secret", "", "secret"), flag.String("redirect", "", "URL")
	flag.Parse()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(*secret), bcrypt.MinCost)
	if err != nil {
		log.Fatal(err)
	}
	p := &provider{issuer: "http://" + l.Addr().String(), key: key}
	store := storage.NewMemoryStore()
	store.Clients[*client] = &fosite.DefaultClient{
		ID: *client, Secret: hash, RedirectURIs: []string{*back}, ResponseTypes: []string{"code"},
		GrantTypes: []string{"authorization_code"}, Scopes: []string{"openid", "profile", "email"},
	}
	config := &fosite.Config{
		IDTokenIssuer: p.issuer, GlobalSecret: []byte(rand.Text() + rand.Text())[:32], EnforcePKCE: true, SendDebugMessagesToClients: true,
	}
	p.oauth = compose.ComposeAllEnabled(config, store, key)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.configuration)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("POST /claims", p.tell)
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }()
	fmt.Println(p.issuer)
	log.Fatal((&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}).Serve(l))
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (p *provider) configuration(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{
		"issuer": p.issuer, "authorization_endpoint": p.issuer + "/authorize", "token_endpoint": p.issuer + "/token", "jwks_uri": p.issuer + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (p *provider) keys(w http.ResponseWriter, _ *http.Request) {
	reply(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &p.key.PublicKey, Use: "sig", Algorithm: "RS256"}}})
}

func (p *provider) tell(_ http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&p.claims); err != nil {
		log.Fatal(err)
	}
}

func (p *provider) session() *openid.DefaultSession {
	p.mu.Lock()
	defer p.mu.Unlock()
	subject, _ := p.claims["sub"].(string)
	extra := map[string]any{}
	for name, value := range p.claims {
		if name != "sub" {
			extra[name] = value
		}
	}
	now := time.Now()
	return &openid.DefaultSession{
		Claims:  &jwt.IDTokenClaims{Issuer: p.issuer, Subject: subject, Extra: extra, IssuedAt: now, AuthTime: now, RequestedAt: now, ExpiresAt: now.Add(time.Minute)},
		Headers: &jwt.Headers{}, Subject: subject,
	}
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	request, err := p.oauth.NewAuthorizeRequest(ctx, r)
	if err != nil {
		p.oauth.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	response, err := p.oauth.NewAuthorizeResponse(ctx, request, p.session())
	if err != nil {
		p.oauth.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	p.oauth.WriteAuthorizeResponse(ctx, w, request, response)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	request, err := p.oauth.NewAccessRequest(ctx, r, &openid.DefaultSession{Claims: &jwt.IDTokenClaims{}, Headers: &jwt.Headers{}})
	if err != nil {
		p.oauth.WriteAccessError(ctx, w, request, err)
		return
	}
	response, err := p.oauth.NewAccessResponse(ctx, request)
	if err != nil {
		p.oauth.WriteAccessError(ctx, w, request, err)
		return
	}
	p.oauth.WriteAccessResponse(ctx, w, request, response)
}
