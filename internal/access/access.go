// Package access holds the words of Bailiwick and the rules that need nothing
// but those words: what a subject, a section, a right, a scope and a grant are,
// how they are written in Casbin lines, and in which order a question passes
// the gates that turn it into a decision.
//
// Everything here is pure: no clock, no database, no Casbin. The package
// imports the standard library and golang.org/x/text/unicode/norm, which is
// needed to refuse names that look alike but differ in bytes. Nothing in it
// imports another package of this module, so every room may speak these words.
package access

import (
	"fmt"
	"time"
)

// DefaultTenant always exists; decision paths without a tenant mean it.
const DefaultTenant = "default"

// AllTenants is the tenant of an operator's API key that may act on every tenant.
const AllTenants = "*"

// Revision is the number of one committed state of a tenant. It starts at 1,
// grows without gaps and is never reused; 0 means "not stored yet".
type Revision uint64

// Tenant is one customer system: its own policy, users and revisions.
type Tenant struct {
	Code        string // URL-safe code, see ValidCode
	Description string
	Revision    Revision // the newest committed revision
}

// Origin is the place where something was written: a file of a bundle,
// relative to the bundle's folder, with line and column counted from 1.
// The zero Origin means that it was not written in a file.
type Origin struct {
	File         string
	Line, Column int
}

// String gives file:line:column, leaving out what is not known.
func (o Origin) String() string {
	switch {
	case o.File == "":
		return ""
	case o.Line == 0:
		return o.File
	case o.Column == 0:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
}

// Validity bounds something in time: From is the first moment at which it
// holds, Until the first at which it no longer does. A zero time is unbounded.
type Validity struct {
	From, Until time.Time
}

// At tells whether something with this validity holds at the moment now.
func (v Validity) At(now time.Time) bool {
	if !v.From.IsZero() && now.Before(v.From) {
		return false
	}
	return v.Until.IsZero() || now.Before(v.Until)
}

// Within tells whether an inner validity holds at no moment at which the outer
// one does not.
func Within(outer, inner Validity) bool {
	if !outer.From.IsZero() && (inner.From.IsZero() || inner.From.Before(outer.From)) {
		return false
	}
	return outer.Until.IsZero() || !inner.Until.IsZero() && !inner.Until.After(outer.Until)
}

// Next is the first moment after now at which At changes its answer, or the
// zero time if it never does.
func (v Validity) Next(now time.Time) time.Time {
	if !v.From.IsZero() && now.Before(v.From) {
		return v.From
	}
	if !v.Until.IsZero() && now.Before(v.Until) {
		return v.Until
	}
	return time.Time{}
}

// Sooner gives the earlier of two moments, taking a zero time as "never".
func Sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
