package api

import "time"

// SignIn is who somebody says to be.
type SignIn struct {
	Login
	Password string `json:"password"`
}

// Login names an account to whoever may not know that it is there.
type Login struct {
	Email string `json:"email"`
	// The scope of the store whose page it is: which account is meant, where several stores have one with the e-mail.
	Store string `json:"store,omitempty"`
}

// SignedIn is a session as its owner sees it. Its secret is in the cookie
// __Host-bailiwick and nowhere else.
type SignedIn struct {
	Tenant string `json:"tenant"`
	// Who has signed in.
	User  string `json:"user"`
	Email string `json:"email,omitempty"`
	Name  string `json:"name,omitempty"`
	// Goes into the header X-CSRF-Token of every request that is not a GET.
	CSRFToken string `json:"csrf_token"`
	// What must be done before anything else: second-factor, or password (choose a new one); left out when nothing.
	Next string `json:"next,omitempty"`
	// Whether the password must be changed.
	MustChange bool    `json:"must_change,omitzero"`
	Session    Session `json:"session"`
}

// Session is somebody who has signed in, on one device.
type Session struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	// About when it was last used.
	Seen time.Time `json:"seen"`
	// When it ends, whatever happens.
	Ends time.Time `json:"ends"`
	// Seconds that it may go unused.
	IdleSeconds int64 `json:"idle_seconds"`
	// Where it was begun.
	Address string `json:"address,omitempty"`
	// The program that it said to be.
	Agent string `json:"agent,omitempty"`
	// It is the one that asks.
	Current bool `json:"current,omitzero"`
}

// Sessions is a list of sessions, newest first.
type Sessions struct {
	Sessions []Session `json:"sessions"`
}

// OwnPassword changes the own password.
type OwnPassword struct {
	// The present one.
	Current string `json:"current"`
	// The new one.
	Password string `json:"password"`
}

// NewPassword sets somebody's password.
type NewPassword struct {
	Password string `json:"password"`
	Edit
}

// UserSignIn is what administrators may know of how an account signs in.
type UserSignIn struct {
	// Whether it could, with the right password.
	Can bool `json:"can"`
	// Why not: subject_disabled, invited, locked, deleted, template_only or no_password.
	Refusal string `json:"refusal,omitempty"`
	// When the password was set; left out where there is none.
	PasswordSet time.Time `json:"password_set,omitzero"`
	// It must be changed at the next sign-in.
	MustChange bool `json:"must_change,omitzero"`
	// When it must be changed.
	PasswordExpires time.Time `json:"password_expires,omitzero"`
	// Failures since the last success, as far as they are remembered.
	Failures int `json:"failures"`
	// Too many failures have locked the account for a while, or until it is unlocked.
	Locked bool `json:"locked,omitzero"`
	// Until when; left out where somebody must unlock it.
	LockedUntil time.Time `json:"locked_until,omitzero"`
	// The last tries, newest first.
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one try to sign in.
type Attempt struct {
	At time.Time `json:"at"`
	// Left out where it succeeded.
	Refusal string `json:"refusal,omitempty"`
	Address string `json:"address,omitempty"`
}

// Linked is what the fragment of a one-time link holds.
type Linked struct {
	Token string `json:"token"`
}

// LinkedPassword is a password that is chosen by way of a link.
type LinkedPassword struct {
	Linked
	Password string `json:"password"`
}

// LinkedSuperuser is a superuser who is made by way of a link.
type LinkedSuperuser struct {
	LinkedPassword
	Email string `json:"email"`
	Name  string `json:"name"`
}

// Settings are what holds for a tenant as a whole.
type Settings struct {
	SettingsFields
	Revision uint64 `json:"revision,omitzero"`
}

// SettingsFields are what can be changed about them.
type SettingsFields struct {
	SignIn   SignInRules  `json:"sign_in"`
	Accounts AccountRules `json:"accounts"`
	// Every regular group must be based on another one.
	GroupsNeedBase bool `json:"groups_need_base"`
}

// SettingsPatch changes the settings that are named.
type SettingsPatch struct {
	SettingsFields
	Edit
}

// AccountRules are what is demanded of accounts that are made or changed.
type AccountRules struct {
	// A regular expression (RE2) that the whole e-mail must match; any will do when left out.
	EmailPattern string `json:"email_pattern,omitempty"`
	// Fields that must not be empty: external_id, attributes.NAME.
	Required []string `json:"required,omitempty"`
	// Within what an e-mail is one account's: tenant (the default), or store. Those of one store name it as their home.
	EmailUnique string `json:"email_unique,omitempty"`
}

// SignInRules are the rules of signing in. 0 means the default.
type SignInRules struct {
	// Least number of characters of a password, from 8 to 128; 12 by default.
	MinLength int `json:"min_length"`
	// What a password needs.
	Lower   bool `json:"lower"`
	Upper   bool `json:"upper"`
	Digits  bool `json:"digits"`
	Symbols bool `json:"symbols"`
	// How many of the last passwords cannot be chosen again, at most 24.
	NoReuse int `json:"no_reuse"`
	// After how many days a password must be changed; 0: never.
	ExpireDays int `json:"expire_days"`
	// After how many failures an account is locked, from 3 to 100; 10 by default.
	Failures int `json:"failures"`
	// Minutes within which they are counted; 15 by default.
	FailureMinutes int `json:"failure_minutes"`
	// Minutes for which it is locked; 15 by default.
	LockMinutes int `json:"lock_minutes"`
	// It is locked until an administrator unlocks it.
	LockForGood bool `json:"lock_for_good"`
	// Minutes that a session may go unused; 30 by default.
	IdleMinutes int `json:"idle_minutes"`
	// Minutes after which a session ends; 720 by default.
	TotalMinutes int `json:"total_minutes"`
	// Whether people show a second factor: off (nobody is asked), optional (whoever has one; the default) or required (whoever has none sets one up when he next signs in).
	SecondFactor string `json:"second_factor"`
}

// AskReset asks for a link to choose a new password.
type AskReset struct {
	Login
}

// Providers are the OpenID providers of a tenant.
type Providers struct {
	Providers []Provider `json:"providers"`
}

// Provider is somewhere else to sign in.
type Provider struct {
	Code string `json:"code"`
	// What people call it.
	Name string `json:"name"`
	// Where a browser begins.
	Link string `json:"link"`
}
