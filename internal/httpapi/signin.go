package httpapi

import (
	"net/http"
	"slices"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const (
	signInText = "Every failure is the same 401, whatever its reason; administrators see the reason. After too many, 429 says when to try again. " +
		"The answer sets the cookie __Host-bailiwick, which browsers send back over https and to localhost only; elsewhere signing in is refused. " +
		"Requests by cookie that are no GET must come from the same origin and repeat csrf_token in the header X-CSRF-Token."
	passwordText = "It must keep the tenant's rules, and be changed at the next sign-in. All sessions of the account end. Whoever holds more than the caller cannot be touched."
)

var signInRoutes = []route{
	{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/sign-in", tenant: true, change: true, apart: true, sameSite: true,
		serve: (*call).signIn, tag: "Signing in", summary: "Sign in with a password", text: signInText,
		body: api.SignIn{}, answer: api.SignedIn{},
	},
	{
		method: http.MethodPost, path: "/v1/sign-out", need: needSession, change: true, apart: true, unfinished: true,
		serve: (*call).signOut, tag: "Signing in", summary: "End the own session", status: http.StatusNoContent,
	},
	{
		method: http.MethodGet, path: "/v1/session", need: needSession, unfinished: true,
		serve: (*call).showSession, tag: "Signing in", summary: "Tell who has signed in", answer: api.SignedIn{},
	},
	{
		method: http.MethodPut, path: "/v1/session/password", need: needSession, change: true, apart: true, unfinished: true,
		serve: (*call).changePassword, tag: "Signing in", summary: "Change the own password",
		text: "All other sessions end, and this one gets a new cookie and token.", body: api.OwnPassword{}, answer: api.SignedIn{},
	},
	{
		method: http.MethodPatch, path: "/v1/session/profile", need: needSession, change: true,
		serve: (*call).patchProfile, tag: "Signing in", summary: "Change the own account",
		text: "The name, and what shall be in the menu. It needs no right, and touches nobody else.", body: api.Profile{}, answer: api.User{},
	},
	{
		method: http.MethodGet, path: "/v1/sessions", need: needSession,
		serve: (*call).listSessions, tag: "Signing in", summary: "List the own sessions", answer: api.Sessions{},
	},
	{
		method: http.MethodDelete, path: "/v1/sessions", need: needSession, change: true, apart: true,
		serve: (*call).endOtherSessions, tag: "Signing in", summary: "End all other own sessions", status: http.StatusNoContent,
	},
	{
		method: http.MethodDelete, path: "/v1/sessions/{id}", need: needSession, change: true, apart: true,
		serve: (*call).endSession, tag: "Signing in", summary: "End one of the own sessions", status: http.StatusNoContent,
	},
	{
		method: http.MethodPut, path: onePath + "/password", tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).setPassword, tag: "Signing in", summary: "Set the password of an account",
		text: changeText + passwordText, body: api.NewPassword{}, answer: api.User{},
	},
	{
		method: http.MethodGet, path: onePath + "/sign-in", tenant: true, need: access.KeyRead,
		serve: (*call).showSignIn, tag: "Signing in", summary: "Tell how an account signs in, and why not", answer: api.UserSignIn{},
	},
	{
		method: http.MethodGet, path: onePath + "/sessions", tenant: true, need: access.KeyRead,
		serve: (*call).listSessionsOf, tag: "Signing in", summary: "List the sessions of an account", answer: api.Sessions{},
	},
	{
		method: http.MethodDelete, path: onePath + "/sessions", tenant: true, need: access.KeyAdmin, change: true, query: editParams,
		serve: (*call).endSessionsOf, tag: "Signing in", summary: "End all sessions of an account", text: changeText, answer: api.User{},
	},
	keyless(actRoute(":unlock", "Let an account sign in again that was locked",
		"Its failures are forgotten; an account with the status locked becomes active.",
		func(c *call, id string, change access.Change) (access.User, access.Revision, error) {
			return c.api.o.Accounts.Unlock(c.ctx(), c.caller, c.tenant, id, change)
		})),
}

const linkText = "The token is that of a one-time link. An unknown, used or old one is 404; a password that breaks a rule leaves it good. The answer signs in."

var linkRoutes = []route{
	linkRoute("/activate", "Choose the first password by the link of an invitation", api.LinkedPassword{}, linkMembers[:2],
		func(c *call, w *api.LinkedSuperuser) (service.Secret, service.SignedIn, error) {
			return c.api.o.Accounts.ChoosePassword(c.ctx(), c.tenant, access.PurposeActivate, w.Token, w.Password, c.client(), access.Change{Source: source})
		}),
	linkRoute("/reset-password", "Choose a new password by a link", api.LinkedPassword{}, linkMembers[:2],
		func(c *call, w *api.LinkedSuperuser) (service.Secret, service.SignedIn, error) {
			return c.api.o.Accounts.ChoosePassword(c.ctx(), c.tenant, access.PurposeReset, w.Token, w.Password, c.client(), access.Change{Source: source})
		}),
	linkRoute("/sign-in-link", "Sign in by a link", api.Linked{}, linkMembers[:1],
		func(c *call, w *api.LinkedSuperuser) (service.Secret, service.SignedIn, error) {
			return c.api.o.Accounts.SignInByLink(c.ctx(), c.tenant, w.Token, c.client())
		}),
	linkRoute("/first-superuser", "Become the tenant's superuser by a link", api.LinkedSuperuser{}, linkMembers,
		func(c *call, w *api.LinkedSuperuser) (service.Secret, service.SignedIn, error) {
			made := service.FirstSuperuser{Email: w.Email, Name: w.Name, Password: w.Password}
			return c.api.o.Accounts.MakeSuperuser(c.ctx(), c.tenant, w.Token, made, c.client(), access.Change{Source: source})
		}),
}

var linkMembers = []string{"token", "password", "email", "name"}

// linkRoute is something that whoever has a one-time link can do with it. Its
// token comes in the body, so that it stands in no log.
func linkRoute(below, summary string, body any, members []string, do func(*call, *api.LinkedSuperuser) (service.Secret, service.SignedIn, error)) route {
	known := names{known: members, closed: true}
	return route{
		method: http.MethodPost, path: "/v1/tenants/{tenant}" + below, tenant: true, change: true, apart: true, sameSite: true,
		tag: "Signing in", summary: summary, text: linkText, body: body, answer: api.SignedIn{},
		serve: func(c *call) error {
			if err := c.encrypted(); err != nil {
				return err
			}
			var w api.LinkedSuperuser
			into := map[string]*string{"token": &w.Token, "password": &w.Password, "email": &w.Email, "name": &w.Name}
			err := c.read(func(r *reader) error {
				return r.object("", &known, func(name string) error { return r.textUpTo(name, access.MaxPassword, into[name]) })
			})
			if err != nil {
				return err
			}
			secret, by, err := do(c, &w)
			return c.welcome(secret, by, err)
		},
	}
}

var (
	signInNames      = names{known: []string{"email", "store", "password"}, closed: true}
	profileNames     = names{known: slices.Concat([]string{"name", "menu"}, editMembers), closed: true}
	ownPasswordNames = names{known: []string{"current", "password"}, closed: true}
	newPasswordNames = names{known: append([]string{"password"}, editMembers...), closed: true}
)

func (c *call) signIn() error {
	if err := c.encrypted(); err != nil {
		return err
	}
	var w api.SignIn
	err := c.read(func(r *reader) error {
		return r.object("", &signInNames, func(name string) error {
			switch name {
			case "email":
				return r.textUpTo(name, maxLogin, &w.Email)
			case "store":
				return r.text(name, &w.Store)
			}
			return r.textUpTo(name, access.MaxPassword, &w.Password)
		})
	})
	if err != nil {
		return err
	}
	secret, by, err := c.api.o.Accounts.SignIn(c.ctx(), c.tenant, loginOf(w.Login), w.Password, c.client())
	return c.welcome(secret, by, err)
}

func loginOf(w api.Login) service.Login {
	return service.Login{Email: w.Email, Store: access.Scope(w.Store)}
}

// maxLogin is how long an e-mail may be that is typed, in bytes.
const maxLogin = 320

func (c *call) client() service.Client {
	return service.Client{Address: c.g.ClientIP(), Agent: c.g.Request.UserAgent()}
}

// welcome answers whoever has a session with a new secret.
func (c *call) welcome(secret service.Secret, by service.SignedIn, err error) error {
	if err != nil {
		return err
	}
	w, err := c.continued(secret, by)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, w)
}

// continued gives a session its new secret.
func (c *call) continued(secret service.Secret, by service.SignedIn) (api.SignedIn, error) {
	c.setCookie(string(secret), 0)
	c.signed, c.caller = by, by.Caller
	return c.session()
}

func (c *call) showSession() error {
	w, err := c.session()
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, w)
}

func (c *call) session() (api.SignedIn, error) {
	u, err := c.api.o.Accounts.Self(c.ctx(), c.signed)
	if err != nil {
		return api.SignedIn{}, err
	}
	w := api.SignedIn{
		Tenant: c.signed.Session.Tenant, User: u.ID, Email: u.Email, Name: u.Name, CSRFToken: c.signed.CSRF, Session: sessionOf(&c.signed.Session),
	}
	w.Session.Current = true
	for i, step := range c.signed.Session.Steps {
		if i == 0 {
			w.Next = string(step)
		}
		w.MustChange = w.MustChange || step == access.StepPassword
	}
	return w, nil
}

func (c *call) signOut() error {
	err := c.api.o.Accounts.SignOut(c.ctx(), c.signed)
	c.setCookie("", -1)
	return c.nothing(err)
}

// nothing answers that it is done.
func (c *call) nothing(err error) error {
	if err == nil {
		c.g.Writer.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (c *call) changePassword() error {
	var w api.OwnPassword
	err := c.read(func(r *reader) error {
		return r.object("", &ownPasswordNames, func(name string) error {
			if name == "current" {
				return r.textUpTo(name, access.MaxPassword, &w.Current)
			}
			return r.textUpTo(name, access.MaxPassword, &w.Password)
		})
	})
	if err != nil {
		return err
	}
	secret, by, err := c.api.o.Accounts.ChangePassword(c.ctx(), c.signed, w.Current, w.Password, c.client(), access.Change{Source: source})
	return c.welcome(secret, by, err)
}

func (c *call) patchProfile() error {
	b, err := c.readUser(&profileNames)
	if err != nil {
		return err
	}
	c.tenant = c.caller.Tenant
	u, revision, err := c.directory().PatchProfile(c.ctx(), c.caller, service.Profile{Name: b.patch.Name, Menu: b.patch.Menu}, c.changeOf(b.edit))
	return c.user(&u, revision, err)
}

func (c *call) setPassword() error {
	var w api.NewPassword
	err := c.read(func(r *reader) error {
		return r.object("", &newPasswordNames, func(name string) error {
			if name == "password" {
				return r.textUpTo(name, access.MaxPassword, &w.Password)
			}
			return r.edit(name, &w.Edit)
		})
	})
	if err != nil {
		return err
	}
	u, revision, err := c.api.o.Accounts.SetPassword(c.ctx(), c.caller, c.tenant, c.g.Param("id"), w.Password, c.changeOf(w.Edit))
	return c.user(&u, revision, err)
}

func (c *call) showSignIn() error {
	s, err := c.api.o.Accounts.State(c.ctx(), c.caller, c.tenant, c.g.Param("id"))
	if err != nil {
		return err
	}
	w := api.UserSignIn{
		Can: s.Refusal == "", Refusal: string(s.Refusal), PasswordSet: utc(s.Password.Set), MustChange: s.Password.MustChange, PasswordExpires: utc(s.Expires),
		Failures: s.Counter.Failures, Locked: s.Counter.Locked, LockedUntil: utc(s.Counter.Until), Attempts: make([]api.Attempt, len(s.Attempts)),
	}
	for i, a := range s.Attempts {
		w.Attempts[i] = api.Attempt{At: utc(a.At), Refusal: string(a.Refusal), Address: a.Address}
	}
	return c.reply(http.StatusOK, w)
}
