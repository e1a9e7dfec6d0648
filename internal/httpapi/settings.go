package httpapi

import (
	"net/http"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

const settingsPath = "/v1/tenants/{tenant}/settings"

var settingsRoutes = []route{
	{
		method: http.MethodGet, path: settingsPath, tenant: true, need: access.KeyRead,
		serve: (*call).showSettings, tag: "Signing in", summary: "Show the rules of signing in", answer: api.Settings{},
	},
	{
		method: http.MethodPatch, path: settingsPath, tenant: true, need: access.KeyAdmin, change: true,
		serve: (*call).patchSettings, tag: "Signing in", summary: "Change the rules of signing in",
		text: changeText + "What is left out stays, and 0 means the default. New rules for passwords hold for those that are chosen from then on, those for sessions for new ones.",
		body: api.SettingsPatch{}, answer: api.Settings{},
	},
}

var (
	settingsNames = names{known: append([]string{"sign_in"}, editMembers...), closed: true}
	signInFlags   = map[string]func(*access.SignInRules) *bool{
		"lower":         func(r *access.SignInRules) *bool { return &r.Lower },
		"upper":         func(r *access.SignInRules) *bool { return &r.Upper },
		"digits":        func(r *access.SignInRules) *bool { return &r.Digits },
		"symbols":       func(r *access.SignInRules) *bool { return &r.Symbols },
		"lock_for_good": func(r *access.SignInRules) *bool { return &r.LockForGood },
	}
	signInNumbers = map[string]func(*access.SignInRules) *int{
		"min_length":  func(r *access.SignInRules) *int { return &r.MinLength },
		"no_reuse":    func(r *access.SignInRules) *int { return &r.NoReuse },
		"expire_days": func(r *access.SignInRules) *int { return &r.ExpireDays },
		"failures":    func(r *access.SignInRules) *int { return &r.Failures },
	}
	signInMinutes = map[string]func(*access.SignInRules) *time.Duration{
		"failure_minutes": func(r *access.SignInRules) *time.Duration { return &r.FailureWindow },
		"lock_minutes":    func(r *access.SignInRules) *time.Duration { return &r.LockFor },
		"idle_minutes":    func(r *access.SignInRules) *time.Duration { return &r.IdleTime },
		"total_minutes":   func(r *access.SignInRules) *time.Duration { return &r.TotalTime },
	}
	ruleNames = names{known: []string{
		"min_length", "lower", "upper", "digits", "symbols", "no_reuse", "expire_days", "failures", "failure_minutes", "lock_minutes",
		"lock_for_good", "idle_minutes", "total_minutes", "second_factor",
	}, closed: true}
)

func (c *call) showSettings() error {
	rules, revision, err := c.directory().SignInRules(c.ctx(), c.caller, c.tenant)
	return c.settings(rules, revision, err)
}

func (c *call) settings(r access.SignInRules, revision access.Revision, err error) error {
	if err != nil {
		return err
	}
	minutes := func(d time.Duration) int { return int(d / time.Minute) }
	return c.reply(http.StatusOK, api.Settings{Revision: uint64(revision), SignIn: api.SignInRules{
		MinLength: r.MinLength, Lower: r.Lower, Upper: r.Upper, Digits: r.Digits, Symbols: r.Symbols, NoReuse: r.NoReuse, ExpireDays: r.ExpireDays,
		Failures: r.Failures, FailureMinutes: minutes(r.FailureWindow), LockMinutes: minutes(r.LockFor), LockForGood: r.LockForGood,
		IdleMinutes: minutes(r.IdleTime), TotalMinutes: minutes(r.TotalTime), SecondFactor: string(r.SecondFactor),
	}})
}

func (c *call) patchSettings() error {
	var edit api.Edit
	var changes []func(*access.SignInRules)
	err := c.read(func(r *reader) error {
		return r.object("", &settingsNames, func(name string) error {
			if name != "sign_in" {
				return r.edit(name, &edit)
			}
			return r.object(name, &ruleNames, func(name string) error {
				change, err := r.signInRule(name)
				changes = append(changes, change)
				return err
			})
		})
	})
	if err != nil {
		return err
	}
	rules, revision, err := c.directory().SetSignInRules(c.ctx(), c.caller, c.tenant, func(to *access.SignInRules) {
		for _, change := range changes {
			change(to)
		}
	}, c.changeOf(edit))
	return c.settings(rules, revision, err)
}

// mostRule keeps numbers far from where they would overflow; the rules say what
// is allowed.
const mostRule = 1 << 20

// signInRule reads one rule and gives what sets it.
func (r *reader) signInRule(name string) (func(*access.SignInRules), error) {
	field := "sign_in." + name
	if at := signInFlags[name]; at != nil {
		var on bool
		err := r.flag(field, &on)
		return func(to *access.SignInRules) { *at(to) = on }, err
	}
	if name == "second_factor" {
		var mode string
		err := r.text(field, &mode)
		return func(to *access.SignInRules) { to.SecondFactor = access.SecondFactorMode(mode) }, err
	}
	var n int64
	err := r.integer(field, &n)
	if n < 0 || n > mostRule {
		r.note(access.Invalid(field, "must be 0 to %d", mostRule))
	}
	if at := signInNumbers[name]; at != nil {
		return func(to *access.SignInRules) { *at(to) = int(n) }, err
	}
	at := signInMinutes[name]
	return func(to *access.SignInRules) { *at(to) = time.Duration(n) * time.Minute }, err
}
