package access

import (
	"errors"
	"fmt"
	"strings"
)

// The kinds of errors that callers act upon. Anything else is a bug or a
// broken wire. A denial is never an error, and an error never means allow.
var (
	ErrInvalid     = errors.New("invalid")       // the input breaks a rule; Error.Field names it
	ErrNotFound    = errors.New("not found")     // what was named does not exist
	ErrExists      = errors.New("exists")        // what should be made exists already
	ErrStale       = errors.New("stale")         // the base revision has moved on
	ErrForbidden   = errors.New("forbidden")     // this caller may not do that here
	ErrUnavailable = errors.New("not available") // could not decide or write now; try again later
)

// ErrOutcomeUnknown is an ErrUnavailable of a change that may have been made or
// not: its commit was sent, and no answer came. Whoever tries again without
// looking may make the change twice, or be told that it is stale.
var ErrOutcomeUnknown = fmt.Errorf("outcome unknown: %w", ErrUnavailable)

// Error is an error of one of the kinds above, in words for people.
type Error struct {
	Kind    error  // one of the six kinds, or what wraps one
	Field   string // the field it is about, as the user wrote it; may be empty
	Message string // a full sentence without the field's name in front
}

// Error gives "field: message".
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Unwrap gives the kind, so that errors.Is(err, access.ErrInvalid) works.
func (e *Error) Unwrap() error { return e.Kind }

// Invalid says which field is wrong and why.
func Invalid(field, format string, args ...any) error {
	return &Error{Kind: ErrInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// NotFound says what does not exist, for instance NotFound("group", "sales").
func NotFound(noun, name string) error {
	return &Error{Kind: ErrNotFound, Field: noun, Message: fmt.Sprintf("%q does not exist", name)}
}

// Exists says what exists already.
func Exists(noun, name string) error {
	return &Error{Kind: ErrExists, Field: noun, Message: fmt.Sprintf("%q exists already", name)}
}

// Forbidden says what the caller may not do.
func Forbidden(format string, args ...any) error {
	return &Error{Kind: ErrForbidden, Message: fmt.Sprintf(format, args...)}
}

// Unavailable says why no answer could be given now.
func Unavailable(format string, args ...any) error {
	return &Error{Kind: ErrUnavailable, Message: fmt.Sprintf(format, args...)}
}

// Problem is one mistake in a policy, with the place where it was written.
type Problem struct {
	Origin  Origin
	Code    string // stable id of the rule that was broken, for instance "section-unknown"
	Message string
	Hint    string // what to do or what was probably meant; may be empty
	Warning bool   // true: worth knowing, but the policy can be used
}

// String gives one line: place, message, hint and code.
func (p Problem) String() string {
	var b strings.Builder
	if place := p.Origin.String(); place != "" {
		b.WriteString(place + ": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	b.WriteString(" [" + p.Code + "]")
	return b.String()
}

// Problems is everything that was found wrong in one run. As an error it is
// of kind ErrInvalid.
type Problems []Problem //nolint:errname // a list of what is wrong, which happens to be an error too

// Error gives all problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes Problems an error of kind ErrInvalid.
func (ps Problems) Unwrap() error { return ErrInvalid }

// Errors gives the problems that are not mere warnings.
func (ps Problems) Errors() Problems {
	var hard Problems
	for _, p := range ps {
		if !p.Warning {
			hard = append(hard, p)
		}
	}
	return hard
}

// Err gives the problems as an error, or nil if there is none but warnings.
func (ps Problems) Err() error {
	if hard := ps.Errors(); len(hard) > 0 {
		return hard
	}
	return nil
}
