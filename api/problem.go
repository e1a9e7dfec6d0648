package api

import (
	"strconv"
	"strings"
)

// Problem is an error answer: a problem document of RFC 9457.
type Problem struct { //nolint:errname // the name that RFC 9457 gives it
	// A reference into the documentation, by Code.
	Type  string `json:"type"`
	Title string `json:"title"`
	// The HTTP status.
	Status int `json:"status"`
	// What is wrong this time.
	Detail string `json:"detail,omitempty"`
	// Stable; programs go by this.
	Code string `json:"code"`
	// The same as detail, or the title where there is none.
	Message string `json:"message"`
	// Everything that is wrong, with its place.
	Details   []Detail `json:"details,omitempty"`
	RequestID string   `json:"request_id,omitempty"`
}

// Detail is one thing that is wrong.
type Detail struct {
	// The line of an imported table.
	Line int `json:"line,omitzero"`
	// The member it is about, as it was written.
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
	// The place in a policy: file:line:column.
	Origin string `json:"origin,omitempty"`
	// The rule of policies that was broken.
	Code string `json:"code,omitempty"`
	// What was probably meant.
	Hint string `json:"hint,omitempty"`
}

// Error gives the message, and where there are details, those.
func (p *Problem) Error() string {
	lines := []string{p.Message}
	for _, d := range p.Details {
		lines = append(lines, d.String())
	}
	return strings.Join(lines, "\n")
}

// String gives one line: line, place, field, reason, hint and code.
func (d Detail) String() string {
	var b strings.Builder
	if d.Line > 0 {
		b.WriteString("line " + strconv.Itoa(d.Line) + ": ")
	}
	for _, before := range []string{d.Origin, d.Field} {
		if before != "" {
			b.WriteString(before + ": ")
		}
	}
	b.WriteString(d.Reason)
	if d.Hint != "" {
		b.WriteString(" (" + d.Hint + ")")
	}
	if d.Code != "" {
		b.WriteString(" [" + d.Code + "]")
	}
	return b.String()
}
