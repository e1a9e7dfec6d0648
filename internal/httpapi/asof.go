package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// An earlier state is named by the member as_of of a question or by this header,
// and where the directory is read by the query parameter of that name.
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

// directory is that of now, or as it was where the query says so.
func (c *call) directory() *service.Directory {
	return c.api.o.Directory.AsOf(c.state(queryAsOf))
}

// pastRoute tells whether a route can be asked as of an earlier state: all that
// read the directory, and what is exported of it.
func (r *route) pastRoute() bool {
	whole := len(r.makes) == 0 || strings.HasSuffix(r.path, ":export")
	return r.method == http.MethodGet && r.tenant && r.tag == "Directory" && r.media == "" && whole && !strings.HasSuffix(r.path, "/history")
}

// recalling declares the parameter for all of them.
func recalling(all []route) []route {
	for i := range all {
		if all[i].pastRoute() {
			all[i].query = append(slices.Clone(all[i].query), asOfParam)
		}
	}
	return all
}

// lookBack makes sure that whoever asks for an earlier state may, and has the
// time that it takes.
func (c *call) lookBack() error {
	if c.word(queryAsOf) == "" || !c.caller.IsKey() {
		return nil
	}
	return c.caller.Require(access.KeyRead, c.tenant)
}

// timeLimit is how long this request may take.
func (c *call) timeLimit() time.Duration {
	if c.word(queryAsOf) != "" {
		return max(pastTime, c.route.timeLimit())
	}
	return c.route.timeLimit()
}

// rebuilding tells what kind of work something is that needs an earlier state:
// checks are as much as looking at all rules.
func rebuilding(w work) work {
	if w == checks {
		return scans
	}
	return w
}
