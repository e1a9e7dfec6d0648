package httpapi

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// needSession is what routes need that are about whoever has signed in. Keys do
// not do.
const needSession access.KeyKind = "session"

// cookieName: with this beginning, browsers keep a cookie to one host and to
// encrypted connections.
const cookieName = "__Host-bailiwick"

// csrfHeader is where requests that change something repeat their token.
const csrfHeader = "X-Csrf-Token"

// What keeps out those who come by cookie. They stand as Kind in an access.Error.
var (
	errCrossSite  = errors.New("not from this site")
	errPlain      = errors.New("not encrypted")
	errUnfinished = errors.New("sign-in is not finished")
)

// cookie gives the secret of the session, if the request has one. A request that
// carries two, or an API key beside it, is refused: whoever stands between us
// and the client could read it differently.
func (c *call) cookie() (service.Secret, error) {
	h := c.g.Request.Header
	if len(h["Cookie"]) == 0 {
		return "", nil
	}
	found := c.g.Request.CookiesNamed(cookieName)
	switch {
	case len(found) == 0:
		return "", nil
	case len(found) > 1:
		return "", access.Invalid("Cookie", "%s is there twice", cookieName)
	case len(h["Authorization"])+len(h["X-Api-Key"]) > 0:
		return "", access.Invalid("Cookie", "a session and an API key cannot stand beside each other; send one of them")
	}
	return service.Secret(found[0].Value), nil
}

// bySession lets in whoever has signed in.
func (c *call) bySession(secret service.Secret) error {
	ctx, cancel := c.within(requestTime)
	defer cancel()
	by, err := c.api.o.Accounts.Who(ctx, secret)
	if err != nil {
		return err
	}
	c.caller, c.signed = by.Caller, by
	c.caller.RequestID = c.id
	if err := c.fromHere(true); err != nil {
		return err
	}
	if steps := by.Session.Steps; len(steps) > 0 && !c.route.unfinished {
		return &access.Error{Kind: errUnfinished, Message: unfinishedText[steps[0]]}
	}
	return nil
}

var unfinishedText = map[access.Step]string{
	access.StepPassword:     "choose a new password first",
	access.StepSecondFactor: "show the second factor first",
}

// fromHere refuses what another site makes a browser send, and, by cookie, what
// does not repeat the session's token.
func (c *call) fromHere(byCookie bool) error {
	r := c.g.Request
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if err := c.api.origins.Check(r); err != nil {
		return &access.Error{Kind: errCrossSite, Message: "the request comes from another site"}
	}
	if given := r.Header[csrfHeader]; byCookie && (len(given) != 1 || !c.signed.Repeats(given[0])) {
		return &access.Error{Kind: errCrossSite, Field: "X-CSRF-Token", Message: "does not hold the csrf_token of the session"}
	}
	return nil
}

// originsOf trusts our own origin, also where a proxy has changed the host.
func originsOf(publicURL string) *http.CrossOriginProtection {
	p := http.NewCrossOriginProtection()
	if u, err := url.Parse(publicURL); err == nil && u.Scheme != "" && u.Host != "" {
		_ = p.AddTrustedOrigin(u.Scheme + "://" + u.Host) // it has nothing else
	}
	return p
}

// encrypted refuses to sign somebody in whose browser would not send the cookie
// back, or would send the password in the clear. What comes from the same
// machine is as good as encrypted.
func (c *call) encrypted() error {
	r := c.g.Request
	if r.TLS != nil || c.api.https() || loopback(r.Host) {
		return nil
	}
	return &access.Error{Kind: errPlain, Message: "signing in needs https, or http://localhost on the same machine; " +
		"behind a proxy that encrypts, set server.public_url to the https address"}
}

func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

func (c *call) setCookie(value string, age int) {
	http.SetCookie(c.g.Writer, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func sessionOf(s *access.Session) api.Session {
	return api.Session{
		ID: s.ID, Created: utc(s.Created), Seen: utc(s.Seen), Ends: utc(s.Ends), IdleSeconds: int64(s.Idle / time.Second),
		Address: s.Address, Agent: s.Agent,
	}
}

func (c *call) listSessions() error {
	all, err := c.api.o.Accounts.Sessions(c.ctx(), c.signed)
	return c.sessions(all, err)
}

func (c *call) listSessionsOf() error {
	all, err := c.api.o.Accounts.SessionsOf(c.ctx(), c.caller, c.tenant, c.g.Param("id"))
	return c.sessions(all, err)
}

func (c *call) sessions(all []access.Session, err error) error {
	if err != nil {
		return err
	}
	w := api.Sessions{Sessions: make([]api.Session, len(all))}
	for i := range all {
		w.Sessions[i] = sessionOf(&all[i])
		w.Sessions[i].Current = all[i].ID == c.signed.Session.ID
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) endSession() error {
	id := c.g.Param("id")
	err := c.api.o.Accounts.EndSession(c.ctx(), c.signed, id)
	if err == nil && id == c.signed.Session.ID {
		c.setCookie("", -1)
	}
	return c.nothing(err)
}

func (c *call) endOtherSessions() error {
	return c.nothing(c.api.o.Accounts.EndOtherSessions(c.ctx(), c.signed))
}

func (c *call) endSessionsOf() error {
	u, revision, err := c.api.o.Accounts.EndSessionsOf(c.ctx(), c.caller, c.tenant, c.g.Param("id"), c.changeAsked())
	return c.user(&u, revision, err)
}
