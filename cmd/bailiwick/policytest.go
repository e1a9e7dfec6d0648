package main

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

type testAnswer struct {
	Passed       int           `json:"passed"`
	Failed       int           `json:"failed"`
	Failures     []testFailure `json:"failures"`
	Requirements []int         `json:"requirements"` // numbers of those that were shown
	Guarantees   int           `json:"guarantees"`   // how many are kept
	Broken       []testBreach  `json:"broken"`
}

type testBreach struct {
	Guarantee string   `json:"guarantee"`
	Breaches  []string `json:"breaches"`
	Origin    string   `json:"origin"`
}

type testFailure struct {
	Suite    string `json:"suite"`
	Test     string `json:"test"`
	Question string `json:"question"`
	Failure  string `json:"failure"`
	Origin   string `json:"origin"`
}

func (c *cli) policyTestCommand() *cobra.Command {
	var o bundle.RunOptions
	var now string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test DIR...",
		Short: "Run the decision tests of policy files",
		Long: `Run the decision tests of policy files, and hold the policies against their
guarantees, by the same engine that answers in production. The exit code is 3 when
a policy is invalid and 4 when an answer is not the expected one or a guarantee is
not kept. With a filter, only questions are asked. Guarantees are looked at for the
accounts that the files list.`,
		Example: `  bailiwick policy test policies/call-center
  bailiwick policy test policies/* --subject 'user:operator-*' --verbose
  bailiwick policy test policies/call-center -o junit > report.xml`,
		Args:        between(1, -1),
		Annotations: map[string]string{formats: "junit"},
		RunE: func(_ *cobra.Command, dirs []string) error {
			if err := parseNow(now, &o.Now); err != nil {
				return err
			}
			report, err := runTests(dirs, o)
			if err != nil {
				return err
			}
			return c.tested(report, verbose)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Filter.Suite, "suite", "", "only suites whose name or file matches this pattern")
	f.StringVar(&o.Filter.Test, "test", "", "only tests whose name matches this pattern")
	f.StringVar(&o.Filter.Subject, "subject", "", "only questions about subjects that match this pattern")
	f.StringVar(&o.Filter.Section, "section", "", "only questions about sections that match this pattern")
	f.StringVar(&o.Filter.Action, "action", "", "only questions about actions that match this pattern")
	f.StringVar(&now, "now", "", "the clock of tests that do not set one, as 2026-01-31T12:00:00Z")
	f.BoolVarP(&verbose, "verbose", "v", false, "also show what came out as expected")
	return cmd
}

func parseNow(text string, now *time.Time) (err error) {
	if text == "" {
		return nil
	}
	if *now, err = time.Parse(time.RFC3339, text); err != nil {
		return usage("--now: %q is not a time such as 2026-01-31T12:00:00Z", text)
	}
	return nil
}

// runTests reads all bundles before it runs the first test.
func runTests(dirs []string, o bundle.RunOptions) (*bundle.Report, error) {
	var bundles []*bundle.Bundle
	var problems access.Problems
	o.Guard = guard
	for _, dir := range dirs {
		b, err := readFolder(dir)
		if found := problemsIn(err); found != nil {
			problems = append(problems, found...)
			continue
		}
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, b)
	}
	if problems != nil {
		return nil, problems
	}
	all := &bundle.Report{}
	for i, b := range bundles {
		report, err := bundle.RunTests(b, decider, o)
		switch {
		case errors.Is(err, access.ErrInvalid) && len(dirs) > 1 && o.Filter != (bundle.Filter{}):
			continue // another policy may have what the filter asks for
		case problemsIn(err) != nil:
			return nil, placed(dirs[i], err)
		case errors.Is(err, access.ErrInvalid):
			return nil, usage("%w", err)
		case err != nil:
			return nil, err
		}
		all.Suites = append(all.Suites, inFolder(dirs[i], report)...)
		all.Guarantees = append(all.Guarantees, report.Guarantees...)
	}
	if asked, _ := all.Count(); asked+len(all.Guarantees) == 0 {
		return nil, usage("there is no question to ask; write tests/*.yaml or another filter")
	}
	return all, nil
}

func readFolder(dir string) (*bundle.Bundle, error) {
	files, err := folder(dir)
	if err != nil {
		return nil, err
	}
	b, err := readBundle(files)
	return b, placed(dir, err)
}

// problemsIn gives the mistakes of a policy in an error, nil where it is
// something else.
func problemsIn(err error) access.Problems {
	var problems access.Problems
	errors.As(err, &problems)
	return problems
}

// inFolder puts the bundle's folder in front of the places in a report.
func inFolder(dir string, r *bundle.Report) []bundle.SuiteResult {
	for i := range r.Suites {
		s := &r.Suites[i]
		s.File = joinPath(dir, s.File)
		for j := range s.Tests {
			for k := range s.Tests[j].Answers {
				at := &s.Tests[j].Answers[k].Question.Origin
				at.File = joinPath(dir, at.File)
			}
		}
	}
	for i := range r.Guarantees {
		at := &r.Guarantees[i].Origin
		at.File = joinPath(dir, at.File)
	}
	return r.Suites
}

func (c *cli) tested(report *bundle.Report, verbose bool) error {
	var err error
	switch c.format {
	case "junit":
		err = report.JUnit(c.out)
	case "json":
		err = writeJSON(c.out, testsOf(report))
	default:
		err = report.Text(c.out, verbose)
	}
	if err == nil && !report.Passed() {
		return reported(exitExpectations)
	}
	return err
}

func testsOf(report *bundle.Report) testAnswer {
	asked, failed := report.Count()
	a := testAnswer{Passed: asked - failed, Failed: failed, Failures: []testFailure{}}
	a.Requirements = slices.AppendSeq([]int{}, maps.Keys(report.Requirements()))
	slices.Sort(a.Requirements)
	a.Guarantees, a.Broken = len(report.Guarantees)-report.Broken(), []testBreach{}
	for _, g := range report.Guarantees {
		if len(g.Breaches) > 0 {
			a.Broken = append(a.Broken, testBreach{g.Name, g.Breaches, g.Origin.String()})
		}
	}
	for _, s := range report.Suites {
		for _, t := range s.Tests {
			for _, q := range t.Answers {
				if q.Failure != "" {
					a.Failures = append(a.Failures, testFailure{s.Name, t.Name, q.Question.String(), q.Failure, q.Question.Origin.String()})
				}
			}
		}
	}
	return a
}
