package httpapi

import (
	"net/http"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

const settingsPath = "/v1/tenants/{tenant}/settings"

var settingsRoutes = []route{
	{
		method: http.MethodGet, path: settingsPath, tenant: true, need: access.KeyRead,
		serve: (*call).showSettings, tag: "Administration", summary: "Show the settings of a tenant", answer: api.Settings{},
	},
	{
		method: http.MethodPatch, path: settingsPath, tenant: true, need: access.KeyAdmin, change: true, rehearsed: true, query: []param{dryRunParam},
		serve: (*call).patchSettings, tag: "Administration", summary: "Change the settings of a tenant",
		text: changeText + "What is left out stays; of sign_in, 0 means the default, and null takes away what accounts demands. New rules for passwords hold for those that are chosen from then on, " +
			"those for sessions for new ones, and those for accounts for what is made or changed from then on.",
		body: api.SettingsPatch{}, answer: api.Settings{},
	},
}

var (
	settingsNames = names{known: append([]string{"sign_in", "accounts", "groups_need_base"}, editMembers...), closed: true}
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
	accountNames = names{known: []string{"email_pattern", "required", "email_unique"}, closed: true}
	ruleNames    = names{known: []string{
		"min_length", "lower", "upper", "digits", "symbols", "no_reuse", "expire_days", "failures", "failure_minutes", "lock_minutes",
		"lock_for_good", "idle_minutes", "total_minutes", "second_factor",
	}, closed: true}
)

func (c *call) showSettings() error {
	return c.settings(c.directory().Settings(c.ctx(), c.caller, c.tenant))
}

func (c *call) settings(s service.Settings, revision access.Revision, err error) error {
	if err != nil {
		return err
	}
	w := settingsOf(&s)
	w.Revision = uint64(revision)
	return c.reply(http.StatusOK, w)
}

func settingsOf(s *service.Settings) api.Settings {
	minutes := func(d time.Duration) int { return int(d / time.Minute) }
	r := &s.SignIn
	return api.Settings{SettingsFields: api.SettingsFields{
		SignIn: api.SignInRules{
			MinLength: r.MinLength, Lower: r.Lower, Upper: r.Upper, Digits: r.Digits, Symbols: r.Symbols, NoReuse: r.NoReuse, ExpireDays: r.ExpireDays,
			Failures: r.Failures, FailureMinutes: minutes(r.FailureWindow), LockMinutes: minutes(r.LockFor), LockForGood: r.LockForGood,
			IdleMinutes: minutes(r.IdleTime), TotalMinutes: minutes(r.TotalTime), SecondFactor: string(r.SecondFactor),
		},
		Accounts:       api.AccountRules{EmailPattern: s.Accounts.EmailPattern, Required: s.Accounts.Required, EmailUnique: string(s.Accounts.EmailUnique)},
		GroupsNeedBase: s.NeedBase,
	}}
}

func (c *call) patchSettings() error {
	var edit api.Edit
	var changes []func(*service.Settings)
	note := func(change func(*service.Settings), err error) error {
		changes = append(changes, change)
		return err
	}
	err := c.read(func(r *reader) error {
		return r.object("", &settingsNames, func(name string) error {
			switch name {
			case "sign_in":
				return r.object(name, &ruleNames, func(name string) error { return note(r.signInRule(name)) })
			case "accounts":
				return r.object(name, &accountNames, func(name string) error { return note(r.accountRule(name)) })
			case "groups_need_base":
				var on bool
				err := r.flag(name, &on)
				return note(func(to *service.Settings) { to.NeedBase = on }, err)
			}
			return r.edit(name, &edit)
		})
	})
	if err != nil {
		return err
	}
	return c.settings(c.directory().SetSettings(c.ctx(), c.caller, c.tenant, func(to *service.Settings) {
		for _, change := range changes {
			change(to)
		}
	}, c.changeOf(edit)))
}

// accountRule reads one thing that is demanded of accounts and gives what sets
// it; null demands nothing.
func (r *reader) accountRule(name string) (func(*service.Settings), error) {
	field := "accounts." + name
	if name == "required" {
		var fields []string
		var err error
		if !r.null() {
			err = r.codes(field, &fields)
		}
		return func(to *service.Settings) { to.Accounts.Required = fields }, err
	}
	var text string
	var err error
	if !r.null() {
		err = r.text(field, &text)
	}
	if name == "email_unique" {
		return func(to *service.Settings) { to.Accounts.EmailUnique = access.EmailUnique(text) }, err
	}
	return func(to *service.Settings) { to.Accounts.EmailPattern = text }, err
}

// mostRule keeps numbers far from where they would overflow; the rules say what
// is allowed.
const mostRule = 1 << 20

// signInRule reads one rule and gives what sets it.
func (r *reader) signInRule(name string) (func(*service.Settings), error) {
	field := "sign_in." + name
	if at := signInFlags[name]; at != nil {
		var on bool
		err := r.flag(field, &on)
		return func(to *service.Settings) { *at(&to.SignIn) = on }, err
	}
	if name == "second_factor" {
		var mode string
		err := r.text(field, &mode)
		return func(to *service.Settings) { to.SignIn.SecondFactor = access.SecondFactorMode(mode) }, err
	}
	var n int64
	err := r.integer(field, &n)
	if n < 0 || n > mostRule {
		r.note(access.Invalid(field, "must be 0 to %d", mostRule))
	}
	if at := signInNumbers[name]; at != nil {
		return func(to *service.Settings) { *at(&to.SignIn) = int(n) }, err
	}
	at := signInMinutes[name]
	return func(to *service.Settings) { *at(&to.SignIn) = time.Duration(n) * time.Minute }, err
}
