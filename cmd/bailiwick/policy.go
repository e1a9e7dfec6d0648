package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/service"
)

func (c *cli) policyCommand() *cobra.Command {
	cmd := group("policy", "Check, format, test and load policy files",
		`  bailiwick policy lint policies/call-center
  bailiwick policy test policies/*
  bailiwick policy load policies/call-center --tenant call-center`)
	cmd.AddCommand(
		c.policyLintCommand(),
		c.policyFmtCommand(),
		c.policyTestCommand(),
		c.policyLoadCommand(),
		c.policyPlansCommand(),
		c.policyApplyCommand(),
		c.policyPlanCommand(),
		c.policyLogCommand(),
		c.policyShowCommand(),
		c.policyDiffCommand(),
		c.policyBlameCommand(),
		c.policyRollbackCommand(),
		c.policyRevertCommand(),
		c.policyPullCommand(),
	)
	return cmd
}

// folder opens a bundle's folder, out of which no link leads. A path that is no
// folder is a slip of the fingers, not an invalid policy.
func folder(dir string) (fs.FS, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usage("%s does not exist; name the folder that holds bundle.yaml", dir)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, usage("%s is not a folder; name the folder that holds bundle.yaml", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return root.FS(), nil
}

// below puts the bundle's folder in front of the places of mistakes, so that
// editors and terminals can follow them.
func below(dir string, problems access.Problems) access.Problems {
	placed := make(access.Problems, len(problems))
	for i, p := range problems {
		if p.Origin.File = joinPath(dir, p.Origin.File); p.Origin.File == "" {
			p.Origin.File = dir
		}
		placed[i] = p
	}
	return placed
}

// placed is below for an error.
func placed(dir string, err error) error {
	var problem *api.Problem
	var failed *service.TestsFailed
	if found := problemsIn(err); found != nil {
		return below(dir, found)
	}
	if errors.As(err, &failed) {
		for i, f := range failed.Report.Failures {
			failed.Report.Failures[i] = joinPath(dir, ".") + "/" + f
		}
	}
	if errors.As(err, &problem) {
		placeDetails(dir, problem)
	}
	return err
}

// placeDetails: where tests failed, each detail is one sentence that begins with
// its place.
func placeDetails(dir string, p *api.Problem) {
	for i := range p.Details {
		d := &p.Details[i]
		if p.Code == "tests_failed" {
			d.Reason = joinPath(dir, ".") + "/" + d.Reason
		}
		d.Origin = joinPath(dir, d.Origin)
	}
}

// decider compiles a policy for its tests.
func decider(p *access.Policy) (bundle.Decide, error) {
	s, err := engine.Compile(p.Facts())
	if err != nil {
		return nil, err
	}
	return func(r *access.Request, now time.Time) (access.Decision, error) { return s.Decide(r, now) }, nil
}

// guard holds a policy against its guarantees, for its tests.
func guard(p *access.Policy, now time.Time) ([]access.Breach, error) {
	return engine.Broken(context.Background(), p, now)
}

// testSummary runs all tests of a bundle and lists what failed.
func testSummary(ctx context.Context, b *bundle.Bundle) (service.TestReport, error) {
	if err := ctx.Err(); err != nil {
		return service.TestReport{}, err
	}
	report, err := bundle.RunTests(b, decider, bundle.RunOptions{})
	if err != nil {
		return service.TestReport{}, err
	}
	var sum service.TestReport
	asked, failed := report.Count()
	sum.Passed, sum.Failed = asked-failed, failed
	for _, s := range report.Suites {
		for _, t := range s.Tests {
			for _, a := range t.Answers {
				if a.Failure != "" {
					sum.Failures = append(sum.Failures, fmt.Sprintf("%s: %s: %s", a.Question.Origin, a.Question, a.Failure))
				}
			}
		}
	}
	return sum, nil
}
