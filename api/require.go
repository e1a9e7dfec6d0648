package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// Checker answers questions. A *Client is one.
type Checker interface {
	Check(ctx context.Context, r Request) (Decision, error)
}

// Question makes the question that a request raises: who wants to do what. An
// error means that the request raises none that could be allowed.
type Question func(r *http.Request) (Request, error)

// Guard answers the question of a request: 0 when it is allowed, 403 when it is
// denied or raises no question, 503 when no answer could be had. An error never
// means allow.
func Guard(c Checker, ask Question, r *http.Request) (status int) {
	question, err := ask(r)
	if err != nil {
		return http.StatusForbidden
	}
	d, err := c.Check(r.Context(), question)
	var problem *Problem
	switch {
	case errors.As(err, &problem) && problem.Status == http.StatusBadRequest:
		return http.StatusForbidden // a question that cannot be asked cannot be allowed
	case err != nil:
		return http.StatusServiceUnavailable
	case !d.Allowed:
		return http.StatusForbidden
	}
	return 0
}

// RequireHTTP lets requests through to next that are allowed, and answers the
// others with a problem document.
func RequireHTTP(c Checker, ask Question, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := Guard(c, ask, r); status != 0 {
			Refuse(w, status)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Refuse answers with a problem document that says no more than the status.
func Refuse(w http.ResponseWriter, status int) {
	p := Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: "forbidden", Message: "This is not allowed."}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
		p.Code, p.Message = "unavailable", "It could not be decided whether this is allowed."
	}
	body, _ := json.Marshal(p) // strings and numbers: cannot fail
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone; there is nobody to tell
}
