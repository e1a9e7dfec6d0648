// Package bundle reads, formats and tests policy files.
//
// A bundle is one tenant's policy as a folder of files: bundle.yaml, a Casbin
// model if it has one of its own (model.conf), catalogue/, roles/, groups/,
// users/ with one YAML file each, plain Casbin lines (*.csv) and decision tests
// (tests/). docs/policy-guide.md describes every key.
//
// Reading is strict. A file, a key or a value that is not understood is a
// problem with file, line and column, never skipped: a policy that is not read
// as it was meant lets people in. All problems of a bundle are found in one run.
//
// The package knows no engine. Models and decisions come in through functions
// (Options.ModelOf, Decider), so that it can stand beside the engine.
package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Bundle is a policy with its decision tests, as read from files.
type Bundle struct {
	Policy   access.Policy
	Tests    []Suite         // in the order of their files' names
	Warnings access.Problems // worth knowing, but the policy can be used
}

// Options say how a bundle is read.
type Options struct {
	// ModelOf looks at the text of model.conf. It gives the text that is to be
	// the policy's model, or "" where it is just the built-in one, and the
	// combining that the built-in model's effect stands for. Its error may be
	// access.Problems with lines. Nil takes every model.conf for a foreign one.
	ModelOf func(text string) (model string, c access.Combining, err error)
	// CheckCondition says what is wrong with a condition. Nil leaves that to whoever
	// compiles the policy.
	CheckCondition func(text string) error
}

// Read reads the bundle whose bundle.yaml is at the top of fsys. Mistakes in
// the files are all reported at once, as an error of type access.Problems
// sorted by file and line; any other error means that fsys cannot be read.
//
// The order of the policy does not depend on the file system: applications,
// roles and groups come in the order of their codes, users and plain lines in
// that of their files' names and then as written.
func Read(fsys fs.FS, o Options) (*Bundle, error) {
	r := &reader{fsys: fsys, modelOf: o.ModelOf, condition: o.CheckCondition}
	if err := r.files(); err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	b := &Bundle{Policy: r.policy}
	r.check(b)
	sortProblems(r.problems)
	if err := r.problems.Err(); err != nil {
		return nil, r.problems
	}
	b.Warnings = r.problems
	return b, nil
}

// check looks at the bundle as a whole. A tenant without code has been reported
// already and gets one for the time being.
func (r *reader) check(b *Bundle) {
	if b.Policy.Tenant == "" {
		b.Policy.Tenant = access.DefaultTenant
	}
	r.problems = append(r.problems, b.Policy.Entities()...)
	r.problems = append(r.problems, b.Policy.Check()...)
	r.foreign(&b.Policy)
	for _, f := range r.tests {
		t := newTester(&b.Policy, f, &r.questions)
		b.Tests = append(b.Tests, t.suite())
		r.problems = append(r.problems, t.problems...)
	}
	r.suiteNames(b.Tests)
	r.conditions(&b.Policy)
}

// conditions are looked at where there are other mistakes: all are said in one run,
// and what has none is compiled anyway.
func (r *reader) conditions(p *access.Policy) {
	if r.condition == nil || r.problems.Err() == nil {
		return
	}
	for _, grants := range p.EachGrants() {
		for i := range grants {
			if g := &grants[i]; g.Condition != "" {
				if err := r.condition(g.Condition); err != nil {
					r.add(g.Origin, "condition-invalid", "%s", err)
				}
			}
		}
	}
}

// suiteNames refuses suites of the same name: filters could not tell them apart.
func (r *reader) suiteNames(suites []Suite) {
	first := map[string]Suite{}
	for _, s := range suites {
		if twin, twice := first[s.Name]; twice && s.Name != "" {
			r.add(s.Origin, "duplicate", "a suite named %q is there twice", s.Name).Hint = "first at " + twin.Origin.File
		}
		first[s.Name] = s
	}
}

func sortProblems(ps access.Problems) {
	slices.SortStableFunc(ps, func(a, b access.Problem) int {
		return cmp.Or(
			cmp.Compare(a.Origin.File, b.Origin.File),
			cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Origin.Column, b.Origin.Column),
		)
	})
}

// problemsOf gives the problems in an error, or one that stands for it.
func problemsOf(err error, file, code string) access.Problems {
	var ps access.Problems
	if !errors.As(err, &ps) {
		return access.Problems{{Origin: access.Origin{File: file}, Code: code, Message: err.Error()}}
	}
	ps = slices.Clone(ps)
	for i := range ps {
		ps[i].Origin.File = cmp.Or(ps[i].Origin.File, file)
	}
	return ps
}
