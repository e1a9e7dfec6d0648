package store

import (
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// signInDocument is access.SignInRules among a tenant's settings. Times are
// seconds.
type signInDocument struct {
	MinLength   int   `json:"min_length,omitempty"`
	Lower       bool  `json:"lower,omitempty"`
	Upper       bool  `json:"upper,omitempty"`
	Digits      bool  `json:"digits,omitempty"`
	Symbols     bool  `json:"symbols,omitempty"`
	NoReuse     int   `json:"no_reuse,omitempty"`
	ExpireDays  int   `json:"expire_days,omitempty"`
	Failures    int   `json:"failures,omitempty"`
	Window      int64 `json:"failure_window,omitempty"`
	LockFor     int64 `json:"lock_for,omitempty"`
	LockForGood bool  `json:"lock_for_good,omitempty"`
	Idle        int64 `json:"idle,omitempty"`
	Total       int64 `json:"total,omitempty"`

	SecondFactor string `json:"second_factor,omitempty"`
}

// signInOf gives nil for the defaults, so that they can change.
func signInOf(r access.SignInRules) *signInDocument {
	if r == (access.SignInRules{}) {
		return nil
	}
	seconds := func(d time.Duration) int64 { return int64(d / time.Second) }
	return &signInDocument{
		MinLength: r.MinLength, Lower: r.Lower, Upper: r.Upper, Digits: r.Digits, Symbols: r.Symbols, NoReuse: r.NoReuse, ExpireDays: r.ExpireDays,
		Failures: r.Failures, Window: seconds(r.FailureWindow), LockFor: seconds(r.LockFor), LockForGood: r.LockForGood,
		Idle: seconds(r.IdleTime), Total: seconds(r.TotalTime), SecondFactor: string(r.SecondFactor),
	}
}

func (d *signInDocument) rules() access.SignInRules {
	if d == nil {
		return access.SignInRules{}
	}
	second := func(n int64) time.Duration { return time.Duration(n) * time.Second }
	return access.SignInRules{
		MinLength: d.MinLength, Lower: d.Lower, Upper: d.Upper, Digits: d.Digits, Symbols: d.Symbols, NoReuse: d.NoReuse, ExpireDays: d.ExpireDays,
		Failures: d.Failures, FailureWindow: second(d.Window), LockFor: second(d.LockFor), LockForGood: d.LockForGood,
		IdleTime: second(d.Idle), TotalTime: second(d.Total), SecondFactor: access.SecondFactorMode(d.SecondFactor),
	}
}
