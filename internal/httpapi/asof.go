package httpapi

import (
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// An earlier state is named by the member as_of of a question, by the query
// parameter of that name of what is read, or everywhere by this header.
const (
	headerAsOf = "Bailiwick-As-Of"
	queryAsOf  = "as_of"
)

// pastTime is how long an answer about an earlier state may take, which may have
// to be rebuilt first.
const pastTime = 30 * time.Second

// asOf reads the name of an earlier state, as a number or a text.
func (r *reader) asOf(field string, to *string) error {
	if r.dec.PeekKind() != '0' {
		return r.text(field, to)
	}
	var n int64
	err := r.integer(field, &n)
	*to = itoa(n)
	return err
}

// severalStates is what no text that names a state is.
const severalStates = "several states"

// sameState joins what two questions of a batch name.
func sameState(a, b string) string {
	if a == "" || a == b {
		return b
	}
	if b == "" {
		return a
	}
	return severalStates
}

// wantedPast joins what the body and the header name, and refuses what makes no
// sense beside it.
func (c *call) wantedPast(body string, want *access.Consistency) error {
	named := sameState(body, c.g.Request.Header.Get(headerAsOf))
	if named == severalStates || len(c.g.Request.Header[headerAsOf]) > 1 {
		return access.Invalid(queryAsOf, "all questions of a request are answered by one state")
	}
	var err error
	if want.AsOf, err = access.ParseAsOf(queryAsOf, named); err != nil || want.AsOf.Now() {
		return err
	}
	if want.AtLeast != 0 || want.Fully {
		return access.Invalid(queryAsOf, "an earlier state cannot be the newest: leave out at_least and fully_consistent")
	}
	return nil
}

// rebuilding tells what kind of work something is that needs an earlier state:
// checks are as much as looking at all rules.
func rebuilding(w work) work {
	if w == checks {
		return scans
	}
	return w
}
