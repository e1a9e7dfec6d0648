package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

// verdict is an answer in a form that can be compared and read.
type verdict struct {
	allowed bool
	rule    string
	err     string
}

func (v verdict) String() string { return fmt.Sprintf("%v by [%s] %s", v.allowed, v.rule, v.err) }

// enforcer is an Engine or a Stock.
type enforcer interface {
	Enforce(set string, values []any) (plan.Answer, error)
}

func ask(e enforcer, rules []access.Rule, set string, values []any) verdict {
	a, err := e.Enforce(set, values)
	v := verdict{allowed: a.Allowed, err: class(err)}
	if a.Rule >= 0 {
		v.rule = rules[a.Rule].String()
	}
	return v
}

// class is the first line of an error, without what names the place or is
// worded differently for no reason of ours.
func class(err error) string {
	if err == nil {
		return ""
	}
	var at *plan.EvaluationError
	if errors.As(err, &at) {
		err = at.Err
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	switch {
	case strings.Contains(line, "must not be a list"):
		return line
	case errors.Is(err, access.ErrInvalid), strings.HasPrefix(line, "invalid request size"):
		return "invalid request size"
	case line == "":
		return "error"
	}
	if _, cause, ok := strings.Cut(line, "error parsing regexp: "); ok {
		return "panic: " + cause // MustCompile words it differently from Compile
	}
	return line
}

// within gives what f gives, or false if that takes too long: stock Casbin can
// hang.
func within[T any](limit time.Duration, f func() T) (T, bool) {
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case v := <-done:
		return v, true
	case <-time.After(limit):
		var none T
		return none, false
	}
}
