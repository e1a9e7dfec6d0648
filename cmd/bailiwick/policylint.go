package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

type lintAnswer struct {
	Valid    bool         `json:"valid"`
	Mistakes []api.Detail `json:"mistakes"`
	Warnings []api.Detail `json:"warnings"`
}

func (c *cli) policyLintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint DIR...",
		Short: "Find every mistake in policy files",
		Long: `Find every mistake in policy files, with file, line and column, and every
guarantee that the policy does not keep. The exit code is 3 when there is one;
warnings alone leave it at 0.`,
		Example: `  bailiwick policy lint policies/call-center
  bailiwick policy lint policies/* -o json`,
		Args: between(1, -1),
		RunE: func(_ *cobra.Command, dirs []string) error {
			var all access.Problems
			for _, dir := range dirs {
				problems, err := lint(dir)
				if err != nil {
					return err
				}
				all = append(all, problems...)
			}
			return c.linted(len(dirs), all)
		},
	}
}

// lint reads and compiles one bundle: conditions are only known to be right
// when they have been compiled.
func lint(dir string) (access.Problems, error) {
	files, err := folder(dir)
	if err != nil {
		return nil, err
	}
	b, problems, err := bundle.Lint(files, bundleOptions)
	if err != nil {
		return nil, err
	}
	if b != nil {
		problems = append(problems, compileProblems(b)...)
	}
	return below(dir, bundle.Silence(files, problems)), nil
}

func compileProblems(b *bundle.Bundle) access.Problems {
	s, err := engine.Compile(b.Policy.Facts())
	if err != nil {
		return problemsIn(err)
	}
	said, err := engine.Lint(context.Background(), &b.Policy, time.Now())
	if err != nil {
		return problemsIn(err)
	}
	var warnings access.Problems
	for _, p := range s.Plans() {
		if p.Slow {
			warnings = append(warnings, access.Problem{
				Origin: access.Origin{File: plan.ModelFile}, Code: "plan-slow", Warning: true,
				Message: "m" + p.Set + ": " + p.Why,
			})
		}
	}
	return slices.Concat(warnings, said, brokenGuarantees(&b.Policy))
}

// brokenGuarantees: a policy that does not keep its guarantees cannot be put into
// force.
func brokenGuarantees(p *access.Policy) access.Problems {
	broken, err := guard(p, time.Now())
	if err != nil {
		return problemsIn(err)
	}
	var mistakes access.Problems
	for i := range broken {
		b := &broken[i]
		mistakes = append(mistakes, access.Problem{Origin: b.Origin, Code: "guarantee-broken", Message: b.Guarantee + ": " + b.String()})
	}
	return mistakes
}

func (c *cli) linted(dirs int, all access.Problems) error {
	answer := lintAnswer{Valid: true, Mistakes: []api.Detail{}, Warnings: []api.Detail{}}
	for i, d := range httpapi.DetailsOf(all) {
		if all[i].Warning {
			answer.Warnings = append(answer.Warnings, d)
			continue
		}
		answer.Valid, answer.Mistakes = false, append(answer.Mistakes, d)
	}
	err := c.answer(answer, func(w io.Writer) {
		for _, p := range all {
			fmt.Fprintln(w, p)
		}
		if answer.Valid {
			fmt.Fprintf(w, "ok %s, %s\n", plural(dirs, "policy", "policies"), plural(len(answer.Warnings), "warning", "warnings"))
		}
	})
	if err != nil || answer.Valid {
		return err
	}
	return reported(exitInvalid)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func joinPath(dir, file string) string {
	if file == "" {
		return ""
	}
	return filepath.ToSlash(filepath.Join(dir, file))
}
