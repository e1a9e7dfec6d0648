package httpapi

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// How fresh an answer must be stands in the body of a native question or, for
// AuthZEN, whose bodies are not ours to extend, in headers. These work
// everywhere; where both are given, the stronger wish holds.
const (
	headerAtLeast = "Bailiwick-At-Least"
	headerFully   = "Bailiwick-Fully-Consistent"
	headerAge     = "Bailiwick-Age" // of an answer: milliseconds since what answered was known to be the newest
)

// atLeast reads a revision.
func (r *reader) atLeast(field string, to *uint64) error {
	var n int64
	if err := r.integer(field, &n); err != nil {
		return err
	}
	if n < 0 || n >= maxExact {
		r.note(notRevision(field))
		return nil
	}
	*to = uint64(n)
	return nil
}

func notRevision(field string) error {
	return access.Invalid(field, "must be the number of a revision")
}

// consistencyMember reads the members that are the same in all bodies.
func (r *reader) consistencyMember(name string, to *api.Consistency) error {
	switch name {
	case "at_least":
		return r.atLeast(name, &to.AtLeast)
	case "as_of":
		return r.asOf(name, &to.AsOf)
	}
	return r.flag(name, &to.FullyConsistent)
}

// wanted joins what body and headers ask for.
func (c *call) wanted(body api.Consistency) (access.Consistency, error) {
	want := access.Consistency{AtLeast: access.Revision(body.AtLeast), Fully: body.FullyConsistent}
	h := c.g.Request.Header
	if given, ok := h[headerAtLeast]; ok {
		n, err := strconv.ParseUint(given[0], 10, 64)
		if err != nil || n >= maxExact || len(given) > 1 {
			return want, notRevision(headerAtLeast)
		}
		want.AtLeast = max(want.AtLeast, access.Revision(n))
	}
	if given, ok := h[headerFully]; ok {
		if len(given) > 1 || given[0] != "true" && given[0] != "false" {
			return want, access.Invalid(headerFully, "must be true or false")
		}
		want.Fully = want.Fully || given[0] == "true"
	}
	return want, c.wantedPast(body.AsOf, &want)
}

// stronger gives what satisfies both wishes.
func stronger(a, b api.Consistency) api.Consistency {
	return api.Consistency{
		AtLeast: max(a.AtLeast, b.AtLeast), FullyConsistent: a.FullyConsistent || b.FullyConsistent, AsOf: sameState(a.AsOf, b.AsOf),
	}
}

// admit finds out how fresh the answer must be and takes a place for the
// question. A question that may have to wait gets a limit of time; others would
// pay for it in vain. The function that it gives frees what the limit holds.
func (c *call) admit(w work, body api.Consistency) (want access.Consistency, done func(), err error) {
	if want, err = c.wanted(body); err != nil {
		return want, nothing, err
	}
	if !want.AsOf.Now() {
		if err = c.enter(rebuilding(w)); err != nil {
			return want, nothing, err
		}
		c.extend(pastTime)
		return want, c.limitTime(pastTime), nil
	}
	if w == checks {
		w = c.checking(want)
	}
	if err = c.enter(w); err != nil {
		return want, nothing, err
	}
	done = nothing
	if c.route.inMemory && (w != checks || c.api.o.Decisions.MayWait(c.tenant)) {
		done = c.limitTime(requestTime)
	}
	return want, done, nil
}

func nothing() {}

// checking tells what kind of work a question is.
func (c *call) checking(want access.Consistency) work {
	switch {
	case c.api.o.Decisions.Scans(c.tenant):
		return scans
	case want != access.Consistency{}:
		return consistent
	}
	return checks
}

// age tells how long ago that which answers was known to be the newest.
func (c *call) age() {
	age, ok := c.api.o.Follower.Age(c.tenant, c.api.o.Clock())
	if ok {
		c.g.Writer.Header()[headerAge] = c.api.ages.of(age)
	}
}

// ages keeps the last value of the header: many answers share a millisecond.
type ages struct{ last atomic.Pointer[agedHeader] }

type agedHeader struct {
	millis int64
	value  []string
}

func (a *ages) of(age time.Duration) []string {
	millis := max(age, 0).Milliseconds()
	if h := a.last.Load(); h != nil && h.millis == millis {
		return h.value
	}
	h := &agedHeader{millis, []string{itoa(millis)}}
	a.last.Store(h)
	return h.value
}

// told sends the answer to a question, with its age.
func (c *call) told(v any) error {
	c.age()
	return c.reply(http.StatusOK, v)
}
