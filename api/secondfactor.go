package api

import "time"

// SecondFactor tells how it is with somebody's second factor.
type SecondFactor struct {
	// What the tenant wants: off, optional or required.
	Mode string `json:"mode"`
	// Whether there is one.
	Active bool `json:"active"`
	// When it was set up.
	Since time.Time `json:"since,omitzero"`
	// Recovery codes that are left.
	RecoveryCodes int `json:"recovery_codes"`
}

// Proof is what somebody shows again who has signed in.
type Proof struct {
	// The present password. Not needed by whoever is made to set up a second factor while signing in.
	Password string `json:"password,omitempty"`
	// Where there is a second factor: a code of the app, or a recovery code.
	Code string `json:"code,omitempty"`
}

// Enrolment is what somebody puts into the app on his phone.
type Enrolment struct {
	// For those who type it.
	Key string `json:"key"`
	// For those who open it, as otpauth.
	URI string `json:"uri"`
	// For those who scan it: a QR code as PNG in base64.
	Image []byte `json:"image"`
}

// Code is one code of the app, or a recovery code.
type Code struct {
	Code string `json:"code"`
}

// RecoveryCodes are each good once, for whoever has lost the app. They are shown
// this once.
type RecoveryCodes struct {
	RecoveryCodes []string `json:"recovery_codes"`
}

// SecondFactorSetUp is the answer to whoever has set up a second factor.
type SecondFactorSetUp struct {
	RecoveryCodes
	SignedIn
}
