package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/service"
)

// The exit codes of every command.
const (
	exitFine         = 0
	exitFailed       = 1 // the work could not be done; also a denial under check --exit-code
	exitUsage        = 2 // the command line is wrong
	exitInvalid      = 3 // the policy, or the table to import, is invalid
	exitExpectations = 4 // a decision test did not come out as expected
)

// exitError is an error with an exit code of its own. An error without text
// has been reported already.
type exitError struct {
	code int
	err  error
}

// Error gives the text of the error, which may be empty.
func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// Unwrap gives what went wrong.
func (e *exitError) Unwrap() error { return e.err }

// usage says what is wrong with the command line.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// reported ends the program with a code when everything has been said.
func reported(code int) error { return &exitError{code: code} }

// exit reports the error and gives the exit code for it.
func (c *cli) exit(err error) int {
	if err == nil {
		return exitFine
	}
	if err.Error() != "" {
		c.report(err)
	}
	var own *exitError
	var problem *api.Problem
	var failed *service.TestsFailed
	switch {
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &problem):
		return exitOf(problem.Code)
	case errors.As(err, &failed):
		return exitExpectations
	case problemsIn(err) != nil:
		return exitInvalid
	case errors.Is(err, access.ErrInvalid):
		return exitUsage
	}
	return exitFailed
}

// exitOf gives the exit code for what a server said.
func exitOf(code string) int {
	switch code {
	case "policy_invalid", "import_invalid":
		return exitInvalid
	case "tests_failed":
		return exitExpectations
	case "invalid":
		return exitUsage
	}
	return exitFailed
}

// report writes an error as one line, and where several things are wrong, each
// as one line.
func (c *cli) report(err error) {
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	for _, line := range reasons(err) {
		c.say("%s", line)
	}
}

// parts are what was changed since, or which guarantees would break and why.
func parts(p *api.Problem) []string {
	var lines []string
	if p.Code == "stale" || p.Code == "guarantee_broken" {
		for _, d := range p.Details {
			if !strings.HasSuffix(p.Message, d.Reason) {
				lines = append(lines, d.Reason)
			}
		}
	}
	return lines
}

func reasons(err error) []string {
	var lines []string
	var problem *api.Problem
	var failed *service.TestsFailed
	var mistakes config.Mistakes
	var moved *service.PolicyMoved
	switch {
	case problemsIn(err) != nil:
		for _, p := range problemsIn(err) {
			lines = append(lines, p.String())
		}
		return lines
	case errors.As(err, &mistakes):
		for _, m := range mistakes {
			lines = append(lines, "bailiwick: "+m.String())
		}
		return lines
	case errors.As(err, &failed):
		return append(failed.Report.Failures, "bailiwick: "+failed.Error())
	case errors.As(err, &problem) && exitOf(problem.Code) >= exitInvalid:
		for _, d := range problem.Details {
			lines = append(lines, d.String())
		}
		if exitOf(problem.Code) == exitInvalid {
			return lines
		}
		return append(lines, "bailiwick: "+problem.Message)
	case errors.As(err, &problem):
		return append(parts(problem), "bailiwick: "+advice(problem))
	case errors.As(err, &moved):
		for _, o := range moved.Operations {
			lines = append(lines, o.String())
		}
		return append(lines, "bailiwick: "+moved.Error())
	}
	return []string{"bailiwick: " + oneLine(err.Error())}
}

// advice adds what to do next where the server's words alone do not say it.
func advice(p *api.Problem) string {
	text := oneLine(p.Message)
	switch p.Code {
	case "unauthenticated":
		return "the server does not know this API key: look at " + keyVariable + " or --api-key-file"
	case "internal":
		return text + "; the server's log tells more under request id " + p.RequestID
	}
	return text
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// exactly and between are cobra's argument checks with an error that shows how
// the command is used.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

func between(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || (high >= 0 && len(args) > high) {
			return usage("%s takes %s, not %d; use: %s", cmd.CommandPath(), count(low, high), len(args), cmd.UseLine())
		}
		return nil
	}
}

func count(low, high int) string {
	switch {
	case high < 0:
		return fmt.Sprintf("%d or more arguments", low)
	case low != high:
		return fmt.Sprintf("%d to %d arguments", low, high)
	case low == 1:
		return "1 argument"
	case low == 0:
		return "no arguments"
	}
	return fmt.Sprintf("%d arguments", low)
}
