package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The exit codes of every command.
const (
	exitFine         = 0
	exitFailed       = 1 // the work could not be done; also a denial under check --exit-code
	exitUsage        = 2 // the command line is wrong
	exitInvalid      = 3 // the policy is invalid
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
	if text := err.Error(); text != "" {
		c.report(err)
	}
	var own *exitError
	var problems access.Problems
	switch {
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &problems):
		return exitInvalid
	}
	return exitFailed
}

// report writes an error as one line, and the mistakes of a policy one a line.
func (c *cli) report(err error) {
	var problems access.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Fprintln(c.err, p)
		}
		return
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	fmt.Fprintln(c.err, "bailiwick: "+oneLine(err.Error()))
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
