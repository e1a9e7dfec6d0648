package bundle

import (
	"cmp"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Decider makes something that decides by a policy: in production the engine,
// which this package must not know.
type Decider func(p *access.Policy) (Decide, error)

// Decide answers one question at the moment now.
type Decide func(r *access.Request, now time.Time) (access.Decision, error)

// RunOptions say which questions are asked, and when.
type RunOptions struct {
	Filter Filter
	Now    time.Time // the clock of tests without one of their own; zero: the real one
	Guard  Guard     // looks at guarantees; they are not looked at when nil, nor under a filter
}

// Guard tells which of its own guarantees a policy does not keep from a moment on:
// the engine, which this package must not know.
type Guard func(p *access.Policy, now time.Time) ([]access.Breach, error)

// Filter picks questions by patterns as path.Match knows them. An empty pattern
// picks everything.
type Filter struct {
	Suite   string // name or file of the suite
	Test    string // name of the test
	Subject string // for instance "user:*"
	Section string
	Action  string // any of the actions of the question
}

// RunTests asks the questions of the bundle's suites. The policy is compiled
// once, and once more for each suite with subjects of its own. An error means
// that the tests could not be run: a filter that is malformed (access.ErrInvalid)
// or picks nothing, or a policy that cannot be compiled. Failed expectations are
// no error but in the report.
func RunTests(b *Bundle, compile Decider, o RunOptions) (*Report, error) {
	if err := o.Filter.check(); err != nil {
		return nil, err
	}
	r := &runner{bundle: b, compile: compile, filter: o.Filter, now: o.Now}
	if r.now.IsZero() {
		r.now = time.Now()
	}
	report := &Report{}
	for i := range b.Tests {
		if err := r.suite(&b.Tests[i], report); err != nil {
			return nil, fmt.Errorf("compile the policy for %s: %w", b.Tests[i].Origin.File, err)
		}
	}
	if o.Guard != nil && o.Filter == (Filter{}) {
		if err := r.guarantees(o.Guard, report); err != nil {
			return nil, fmt.Errorf("look at the guarantees: %w", err)
		}
	}
	if asked, _ := report.Count(); asked == 0 && o.Filter != (Filter{}) {
		return nil, access.Invalid("filter", "no question matches")
	}
	return report, nil
}

func (f Filter) check() error {
	for _, p := range []struct{ name, pattern string }{
		{"suite", f.Suite}, {"test", f.Test}, {"subject", f.Subject}, {"section", f.Section}, {"action", f.Action},
	} {
		if _, err := path.Match(p.pattern, ""); err != nil {
			return access.Invalid(p.name, "%q is not a pattern", p.pattern)
		}
	}
	return nil
}

// matches: the pattern has been checked.
func matches(pattern string, names ...string) bool {
	for _, name := range names {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return pattern == ""
}

func (f Filter) question(q *Question) bool {
	r := &q.Request
	if r.Raw != nil {
		return f.Subject == "" && f.Section == "" && f.Action == ""
	}
	actions := make([]string, len(r.Actions))
	for i, a := range r.Actions {
		actions[i] = string(a)
	}
	return matches(f.Subject, r.Subject.String()) && matches(f.Section, string(r.Section)) && matches(f.Action, actions...)
}

type runner struct {
	bundle  *Bundle
	compile Decider
	filter  Filter
	now     time.Time
	plain   Decide // by the policy as it is
}

// guarantees notes of each guarantee what breaks it.
func (r *runner) guarantees(guard Guard, report *Report) error {
	broken, err := guard(&r.bundle.Policy, r.now)
	if err != nil {
		return err
	}
	for _, g := range r.bundle.Policy.Guarantees {
		result := GuaranteeResult{Name: g.Name, Origin: g.Origin}
		for i := range broken {
			if broken[i].Guarantee == g.Name {
				result.Breaches = append(result.Breaches, broken[i].String())
			}
		}
		report.Guarantees = append(report.Guarantees, result)
	}
	return nil
}

func (r *runner) suite(s *Suite, report *Report) error {
	if !matches(r.filter.Suite, s.Name, s.Origin.File) {
		return nil
	}
	result := SuiteResult{Name: s.Name, File: s.Origin.File}
	var decide Decide
	for i := range s.Tests {
		picked := r.pick(&s.Tests[i])
		if len(picked) == 0 {
			continue
		}
		if decide == nil {
			var err error
			if decide, err = r.decider(s); err != nil {
				return err
			}
		}
		result.Tests = append(result.Tests, r.test(&s.Tests[i], picked, decide))
	}
	if len(result.Tests) > 0 {
		report.Suites = append(report.Suites, result)
	}
	return nil
}

func (r *runner) pick(t *Test) []Question {
	if !matches(r.filter.Test, t.Name) {
		return nil
	}
	var picked []Question
	for i := range t.Questions {
		if r.filter.question(&t.Questions[i]) {
			picked = append(picked, t.Questions[i])
		}
	}
	return picked
}

func (r *runner) decider(s *Suite) (Decide, error) {
	if len(s.Subjects) > 0 {
		return r.compile(WithSubjects(&r.bundle.Policy, s.Subjects))
	}
	if r.plain != nil {
		return r.plain, nil
	}
	var err error
	r.plain, err = r.compile(&r.bundle.Policy)
	return r.plain, err
}

func (r *runner) test(t *Test, picked []Question, decide Decide) TestResult {
	result := TestResult{Name: t.Name, Shows: t.Shows, Origin: t.Origin}
	now := t.Now
	if now.IsZero() {
		now = r.now
	}
	for _, q := range picked {
		a := Answer{Question: q}
		a.Got, a.Err = decide(&q.Request, now)
		a.Failure = q.compare(a.Got, a.Err)
		result.Answers = append(result.Answers, a)
	}
	return result
}

// compare says how an answer differs from what was expected, or "".
func (q *Question) compare(got access.Decision, err error) string {
	switch {
	case err != nil:
		return "expected " + q.expectation() + ", got an error: " + err.Error()
	case got.Allowed != q.Allow,
		q.Reason != "" && got.Reason != q.Reason,
		q.Rule != "" && !strings.Contains(lineOf(got.Rule), q.Rule):
		return "expected " + q.expectation() + ", got " + inWords(got)
	}
	return ""
}

func (q *Question) expectation() string {
	text := string(expected(q.Allow))
	if q.Reason != "" {
		text += " (" + string(q.Reason) + ")"
	}
	if q.Rule != "" {
		text += fmt.Sprintf(" by a rule with %q", q.Rule)
	}
	return text
}

// inWords gives a decision in one line.
func inWords(d access.Decision) string {
	text := string(expected(d.Allowed)) + " (" + string(d.Reason)
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	text += ")"
	if d.Rule != nil {
		text += " by " + d.Rule.String() + " at " + cmp.Or(d.Rule.Origin.String(), "no known place")
	}
	return text
}

func lineOf(r *access.Rule) string {
	if r == nil {
		return ""
	}
	return r.String()
}
