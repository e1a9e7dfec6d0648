package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
)

// What can be wrong with a request before anything of ours looks at it. They
// stand as Kind in an access.Error, like the six kinds of that package.
var (
	errJSON        = errors.New("not strict JSON")
	errContentType = errors.New("not application/json")
	errTooLarge    = errors.New("too large")
	errRoute       = errors.New("no such path")
	errMethod      = errors.New("no such method")
	errPolicy      = errors.New("policy invalid")
	errTests       = errors.New("tests failed")
	errGuarantee   = errors.New("guarantee broken")
	errImport      = errors.New("import invalid")
)

// kind is one way a request can fail: a line of the one table from kinds of
// errors to answers. Codes are part of the API and stay as they are.
type kind struct {
	is     error
	status int
	code   string
	title  string
}

// kinds are looked through in order; an error that is none of them is ours.
var kinds = []kind{
	{errJSON, http.StatusBadRequest, "json_invalid", "The body is not strict JSON"},
	{errContentType, http.StatusUnsupportedMediaType, "content_type", "The body is of another type than is wanted here"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "too_large", "The body is too large"},
	{errPolicy, http.StatusUnprocessableEntity, "policy_invalid", "The policy holds mistakes"},
	{errTests, http.StatusUnprocessableEntity, "tests_failed", "The policy does not keep its own decision tests"},
	{errImport, http.StatusUnprocessableEntity, "import_invalid", "The table holds mistakes, and nothing was imported"},
	{access.ErrReused, http.StatusUnprocessableEntity, "key_reused", "The Idempotency-Key stands for another request"},
	{access.ErrInvalid, http.StatusBadRequest, "invalid", "The request breaks a rule"},
	{service.ErrRefused, http.StatusUnauthorized, "sign_in_refused", "The e-mail or the password is wrong, or the account cannot sign in"},
	{service.ErrSignedOut, http.StatusUnauthorized, "signed_out", "Nobody is signed in"},
	{service.ErrTooMany, http.StatusTooManyRequests, "too_many", "This was tried too often"},
	{errCrossSite, http.StatusForbidden, "cross_site", "The request does not come from this site"},
	{errPlain, http.StatusForbidden, "https_required", "Signing in needs an encrypted connection"},
	{errUnfinished, http.StatusForbidden, "sign_in_unfinished", "Something must be done before anything else"},
	{service.ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated", "The API key is missing or not valid"},
	{access.ErrForbidden, http.StatusForbidden, "forbidden", "The caller may not do that here"},
	{service.ErrGone, http.StatusGone, "gone", "What was named can no longer be had back"},
	{access.ErrNotFound, http.StatusNotFound, "not_found", "What was named does not exist"},
	{errRoute, http.StatusNotFound, "path_unknown", "There is nothing at this path"},
	{errMethod, http.StatusMethodNotAllowed, "method_not_allowed", "This path does not know the method"},
	{errGuarantee, http.StatusConflict, "guarantee_broken", "The change would break a guarantee"},
	{service.ErrConflict, http.StatusConflict, "conflict", "What is there forbids the change"},
	{errMade, http.StatusConflict, "made_before", "The change was made before"},
	{errPrecondition, http.StatusPreconditionFailed, "precondition_failed", "What the change is about is not what was seen of it"},
	{access.ErrExists, http.StatusConflict, "exists", "What should be made exists already"},
	{access.ErrStale, http.StatusConflict, "stale", "The base revision has moved on"},
	{errOverloaded, http.StatusServiceUnavailable, "overloaded", "Too much is being asked at one time"},
	{service.ErrBehind, http.StatusServiceUnavailable, "behind", "The revision that was asked for is not in force here yet"},
	{access.ErrOutcomeUnknown, http.StatusServiceUnavailable, "outcome_unknown", "The change may have been made or not"},
	{access.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "No answer can be given now"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "timeout", "The answer took too long"},
}

// internal is the answer to everything else; the log has the full text.
var internal = kind{nil, http.StatusInternalServerError, "internal", "Something is wrong on our side"}

func kindOf(err error) kind {
	if errors.Is(err, context.Canceled) { // the client is gone: nobody's mistake
		err = context.DeadlineExceeded
	}
	for _, k := range kinds {
		if errors.Is(err, k.is) {
			return k
		}
	}
	return internal
}

// problemOf turns an error into what the caller may know of it: the sentence
// that was written for people, never the text of errors wrapped around or in it.
func problemOf(err error) api.Problem {
	var mistakes access.Problems
	var tests *service.TestsFailed
	var broken *service.GuaranteeBroken
	var moved *service.PolicyMoved
	var table service.ImportMistakes
	switch {
	case errors.As(err, &table):
		p := newProblem(kindOf(errImport), table.Error())
		for _, m := range table {
			p.Details = append(p.Details, api.Detail{Line: m.Line, Field: m.Field, Reason: m.Reason})
		}
		return p
	case errors.As(err, &tests):
		return testsProblem(tests)
	case errors.As(err, &broken):
		p := newProblem(kindOf(errGuarantee), broken.Error())
		for i := range broken.Breaches {
			p.Details = append(p.Details, api.Detail{Field: broken.Breaches[i].Guarantee, Reason: service.BreachText(&broken.Breaches[i])})
		}
		return p
	case errors.As(err, &moved):
		p := newProblem(kindOf(access.ErrStale), moved.Error())
		p.Details = append(p.Details, api.Detail{Field: "base_revision", Reason: moved.Error()})
		for _, o := range moved.Operations[:min(len(moved.Operations), maxForetold)] {
			p.Details = append(p.Details, api.Detail{Field: "since", Reason: o.String()})
		}
		return p
	case errors.As(err, &mistakes):
		p := newProblem(kindOf(errPolicy), "")
		p.Details = DetailsOf(mistakes)
		return p
	}
	k := kindOf(err)
	var orphaned *service.Orphaned
	if errors.As(err, &orphaned) {
		p := newProblem(k, orphaned.Error())
		for _, x := range orphaned.Orphans {
			p.Details = append(p.Details, api.Detail{Field: x.Holder, Reason: x.What})
		}
		return p
	}
	var stranded *service.Stranded
	if errors.As(err, &stranded) {
		p := newProblem(k, stranded.Error())
		for _, id := range stranded.Users {
			p.Details = append(p.Details, api.Detail{Field: "user", Reason: id})
		}
		return p
	}
	var told *access.Error
	if k.is == nil || !errors.As(err, &told) {
		return newProblem(k, "")
	}
	p := newProblem(k, told.Error())
	if told.Field != "" {
		p.Details = []api.Detail{{Field: told.Field, Reason: told.Message}}
	}
	return p
}

func testsProblem(t *service.TestsFailed) api.Problem {
	p := newProblem(kindOf(errTests), t.Error())
	for _, f := range t.Report.Failures {
		p.Details = append(p.Details, api.Detail{Reason: f})
	}
	return p
}

func newProblem(k kind, detail string) api.Problem {
	p := api.Problem{
		Type: "/docs#problem-" + k.code, Title: k.title, Status: k.status,
		Detail: detail, Code: k.code, Message: detail,
	}
	if detail == "" {
		p.Message = k.title
	}
	return p
}

// DetailsOf gives mistakes in a policy as they go over the wire.
func DetailsOf(ps access.Problems) []api.Detail {
	details := make([]api.Detail, len(ps))
	for i, p := range ps {
		details[i] = api.Detail{Reason: p.Message, Origin: p.Origin.String(), Code: p.Code, Hint: p.Hint}
	}
	return details
}

// refuse answers with a problem document and remembers the error for the log.
func (c *call) refuse(err error) {
	c.err = err
	c.noteRefusal(err)
	if c.g.Writer.Written() {
		c.cut = true // too late to say anything else; half an answer must not look whole
		return
	}
	p := problemOf(err)
	p.RequestID = c.id
	body, _ := json.Marshal(p) // strings and numbers: cannot fail
	h := c.g.Writer.Header()
	h["Content-Type"] = headerProblem
	switch p.Status {
	case http.StatusUnauthorized:
		h["Www-Authenticate"] = headerBearer
	case http.StatusPreconditionFailed:
		if c.etag != "" {
			c.tell(c.etag)
		}
	case http.StatusServiceUnavailable:
		h["Retry-After"] = headerSoon
	case http.StatusTooManyRequests:
		if many := (*service.TooMany)(nil); errors.As(err, &many) {
			h["Retry-After"] = []string{itoa(int64(math.Ceil(many.After.Seconds())))}
		}
	}
	c.write(p.Status, body)
}
