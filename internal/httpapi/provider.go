package httpapi

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const providerPath = "/v1/tenants/{tenant}/sign-in/providers"

var providerRoutes = []route{
	{
		method: http.MethodGet, path: providerPath, tenant: true, apart: true,
		serve: (*call).listProviders, tag: "Signing in", summary: "List the OpenID providers at which one can sign in", answer: api.Providers{},
	},
	{
		method: http.MethodGet, path: providerPath + "/{provider}", tenant: true, apart: true,
		serve: (*call).beginAt, tag: "Signing in", summary: "Begin to sign in at an OpenID provider",
		query: []param{storeParam},
		text:  "For browsers: they are sent there, with a cookie by which they are known again.", status: http.StatusSeeOther, media: "text/html",
	},
	{
		method: http.MethodGet, path: providerPath + "/{provider}/callback", tenant: true, apart: true,
		query: []param{
			{name: "code", text: "What the provider gave the browser."},
			{name: "state", text: "What it was sent there with."},
			{name: "error", text: "Why the provider refused."},
			{name: "error_description", text: "The same in words."},
			{name: "iss", text: "The provider."},
			{name: "session_state", text: "Not heeded."},
			{name: "scope", text: "Not heeded."},
		},
		serve: (*call).finishAt, tag: "Signing in", summary: "Come back from an OpenID provider",
		text: "For browsers: whoever is known is signed in and sent to the first page. Every refusal is the same 401.", status: http.StatusSeeOther, media: "text/html",
	},
}

// attemptCookie keeps an attempt to sign in at a provider to the browser that
// began it.
const (
	attemptCookie = "__Host-bailiwick-sign-in"
	attemptTime   = 10 * 60 // seconds
)

func (c *call) listProviders() error {
	w := api.Providers{Providers: []api.Provider{}}
	for _, p := range c.api.o.Accounts.Providers(c.tenant) {
		path := strings.ReplaceAll(providerPath, "{tenant}", c.tenant) + "/" + p.Code
		w.Providers = append(w.Providers, api.Provider{Code: p.Code, Name: p.Name, Link: path})
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) beginAt() error {
	if err := c.encrypted(); err != nil {
		return err
	}
	p, err := c.api.o.Accounts.Provider(c.tenant, c.g.Param("provider"))
	if err != nil {
		return err
	}
	url, t, err := c.api.o.Accounts.BeginAt(c.ctx(), p, access.Scope(c.g.Query(storeParam.name)))
	if err != nil {
		return err
	}
	c.setAttempt(strings.Join([]string{t.State, t.Nonce, t.Verifier, base64.RawURLEncoding.EncodeToString([]byte(t.Store)), t.Provider}, "."), attemptTime)
	return c.lead(url)
}

// finishAt: the cookie is taken away whatever comes of it, so that an attempt is
// made once.
func (c *call) finishAt() error {
	p, err := c.api.o.Accounts.Provider(c.tenant, c.g.Param("provider"))
	if err != nil {
		return err
	}
	var t service.Attempt
	if kept := c.g.Request.CookiesNamed(attemptCookie); len(kept) == 1 {
		t = attemptOf(strings.Split(kept[0].Value, "."))
	}
	c.setAttempt("", -1)
	query := c.g.Request.URL.Query()
	secret, by, err := c.api.o.Accounts.FinishAt(c.ctx(), p, t, query.Get("state"), query.Get("code"), c.client())
	if err != nil {
		return err
	}
	c.setCookie(string(secret), 0)
	c.signed, c.caller = by, by.Caller
	return c.lead("/")
}

// storeParam says whose account is meant where several stores have one with an
// e-mail.
var storeParam = param{name: "store", text: "The scope of the store whose page this is, where stores share e-mails."}

func attemptOf(parts []string) service.Attempt {
	if len(parts) != 5 {
		return service.Attempt{}
	}
	store, err := base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil {
		return service.Attempt{}
	}
	return service.Attempt{State: parts[0], Nonce: parts[1], Verifier: parts[2], Provider: parts[4], Store: access.Scope(store)}
}

func (c *call) setAttempt(value string, age int) {
	http.SetCookie(c.g.Writer, &http.Cookie{
		Name: attemptCookie, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// lead sends a browser somewhere.
func (c *call) lead(url string) error {
	c.g.Writer.Header().Set("Location", url)
	c.write(http.StatusSeeOther, nil)
	return nil
}
