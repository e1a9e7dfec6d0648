package httpapi

import (
	"net/http"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const secondFactorPath = "/v1/session/second-factor"

const wrongCodeText = "A code counts once. Wrong ones are counted like wrong passwords: after too many, 429 says when to try again. "

var secondFactorRoutes = []route{
	{
		method: http.MethodGet, path: secondFactorPath, need: needSession, unfinished: true,
		serve: (*call).showSecondFactor, tag: "Signing in", summary: "Tell how it is with the own second factor", answer: api.SecondFactor{},
	},
	{
		method: http.MethodPost, path: secondFactorPath, need: needSession, change: true, apart: true, unfinished: true,
		serve: (*call).beginSecondFactor, tag: "Signing in", summary: "Begin to set up a second factor",
		text: "An app on the phone that makes codes, by RFC 6238. One that is there stays in force until the new one is confirmed.",
		body: api.Proof{}, answer: api.Enrolment{},
	},
	{
		method: http.MethodPost, path: secondFactorPath + ":confirm", need: needSession, change: true, apart: true, unfinished: true,
		serve: (*call).confirmSecondFactor, tag: "Signing in", summary: "Put the second factor in force that was begun",
		text: wrongCodeText + "The session gets a new cookie and token.", body: api.Code{}, answer: api.SecondFactorSetUp{},
	},
	{
		method: http.MethodPost, path: secondFactorPath + ":verify", need: needSession, change: true, apart: true, unfinished: true,
		serve: (*call).verifySecondFactor, tag: "Signing in", summary: "Go on signing in with a second factor",
		text: wrongCodeText + "The session gets a new cookie and token.", body: api.Code{}, answer: api.SignedIn{},
	},
	{
		method: http.MethodPost, path: secondFactorPath + ":disable", need: needSession, change: true, apart: true,
		serve: (*call).dropSecondFactor, tag: "Signing in", summary: "Do without a second factor",
		text: wrongCodeText + "409 where the tenant requires one.", body: api.Proof{}, status: http.StatusNoContent,
	},
	{
		method: http.MethodPost, path: secondFactorPath + "/recovery-codes", need: needSession, change: true, apart: true,
		serve: (*call).renewRecovery, tag: "Signing in", summary: "Get new recovery codes", text: wrongCodeText + "Those of before are worthless then.",
		body: api.Proof{}, answer: api.RecoveryCodes{},
	},
	{
		method: http.MethodGet, path: onePath + "/second-factor", tenant: true, need: access.KeyRead,
		serve: (*call).showSecondFactorOf, tag: "Signing in", summary: "Tell how it is with the second factor of an account", answer: api.SecondFactor{},
	},
	keyless(actRoute("/second-factor:reset", "Take the second factor from an account that has lost it",
		"Its sessions end. Whoever holds more than the caller cannot be touched.",
		func(c *call, id string, change access.Change) (access.User, access.Revision, error) {
			return c.api.o.Accounts.ResetSecondFactor(c.ctx(), c.caller, c.tenant, id, change)
		})),
}

var (
	proofNames = names{known: []string{"password", "code"}, closed: true}
	codeNames  = names{known: []string{"code"}, closed: true}
)

// longestCode is what is looked at of a code, in bytes.
const longestCode = 100

func (c *call) showSecondFactor() error {
	s, err := c.api.o.Accounts.SecondFactor(c.ctx(), c.signed)
	return c.secondFactor(s, err)
}

func (c *call) showSecondFactorOf() error {
	s, err := c.api.o.Accounts.SecondFactorOf(c.ctx(), c.caller, c.tenant, c.g.Param("id"))
	return c.secondFactor(s, err)
}

func (c *call) secondFactor(s service.SecondFactorState, err error) error {
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, api.SecondFactor{
		Mode: string(s.Mode), Active: !s.Confirmed.IsZero(), Since: utc(s.Confirmed), RecoveryCodes: s.Recovery,
	})
}

func (c *call) readProof() (p service.Proof, err error) {
	err = c.read(func(r *reader) error {
		return r.object("", &proofNames, func(name string) error {
			if name == "password" {
				return r.textUpTo(name, access.MaxPassword, &p.Password)
			}
			return r.textUpTo(name, longestCode, &p.Code)
		})
	})
	return p, err
}

func (c *call) readCode() (code string, err error) {
	err = c.read(func(r *reader) error {
		return r.object("", &codeNames, func(name string) error { return r.textUpTo(name, longestCode, &code) })
	})
	return code, err
}

func (c *call) beginSecondFactor() error {
	p, err := c.readProof()
	if err != nil {
		return err
	}
	e, err := c.api.o.Accounts.BeginSecondFactor(c.ctx(), c.signed, p, c.client())
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, api.Enrolment{Key: e.Key, URI: e.URI, Image: e.Image})
}

func (c *call) confirmSecondFactor() error {
	code, err := c.readCode()
	if err != nil {
		return err
	}
	codes, secret, by, err := c.api.o.Accounts.ConfirmSecondFactor(c.ctx(), c.signed, code, c.client(), access.Change{Source: source})
	if err != nil {
		return err
	}
	w, err := c.continued(secret, by)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, api.SecondFactorSetUp{RecoveryCodes: api.RecoveryCodes{RecoveryCodes: codes}, SignedIn: w})
}

func (c *call) verifySecondFactor() error {
	code, err := c.readCode()
	if err != nil {
		return err
	}
	secret, by, err := c.api.o.Accounts.VerifySecondFactor(c.ctx(), c.signed, code, c.client())
	return c.welcome(secret, by, err)
}

func (c *call) dropSecondFactor() error {
	p, err := c.readProof()
	if err != nil {
		return err
	}
	return c.nothing(c.api.o.Accounts.DropSecondFactor(c.ctx(), c.signed, p, c.client(), access.Change{Source: source}))
}

func (c *call) renewRecovery() error {
	p, err := c.readProof()
	if err != nil {
		return err
	}
	codes, err := c.api.o.Accounts.RenewRecovery(c.ctx(), c.signed, p, c.client(), access.Change{Source: source})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, api.RecoveryCodes{RecoveryCodes: codes})
}
