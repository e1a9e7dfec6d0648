package bundle

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Report is what came of a run of decision tests.
type Report struct {
	Suites     []SuiteResult
	Guarantees []GuaranteeResult
}

// GuaranteeResult is what came of looking at one guarantee.
type GuaranteeResult struct {
	Name     string
	Origin   access.Origin
	Breaches []string // each with the way that leads to it; none: it is kept
}

// SuiteResult is what came of one suite.
type SuiteResult struct {
	Name  string
	File  string
	Tests []TestResult
}

// TestResult is what came of one test.
type TestResult struct {
	Name    string
	Shows   []int // numbers of requirements
	Origin  access.Origin
	Answers []Answer
}

// Answer is a question with the answer that it got.
type Answer struct {
	Question Question
	Got      access.Decision
	Err      error  // it could not be answered, which is a failure
	Failure  string // what was expected and what came instead; empty: as expected
}

// Passed tells whether every question of the test got its expected answer.
func (t *TestResult) Passed() bool {
	for _, a := range t.Answers {
		if a.Failure != "" {
			return false
		}
	}
	return true
}

// Count gives how many questions were asked and how many of them failed.
func (r *Report) Count() (asked, failed int) {
	for _, s := range r.Suites {
		n, bad := s.count()
		asked, failed = asked+n, failed+bad
	}
	return asked, failed
}

func (s *SuiteResult) count() (asked, failed int) {
	for _, t := range s.Tests {
		for _, a := range t.Answers {
			asked++
			if a.Failure != "" {
				failed++
			}
		}
	}
	return asked, failed
}

// Broken counts the guarantees that are not kept.
func (r *Report) Broken() int {
	n := 0
	for i := range r.Guarantees {
		if len(r.Guarantees[i].Breaches) > 0 {
			n++
		}
	}
	return n
}

// Passed tells whether every question got its expected answer, and every
// guarantee is kept.
func (r *Report) Passed() bool {
	_, failed := r.Count()
	return failed+r.Broken() == 0
}

// Requirements gives the numbers of requirements that the run has shown, each
// with the tests that show it as "file: test". A failed test shows nothing.
func (r *Report) Requirements() map[int][]string {
	shown := map[int][]string{}
	for _, s := range r.Suites {
		for _, t := range s.Tests {
			if !t.Passed() {
				continue
			}
			for _, n := range t.Shows {
				shown[n] = append(shown[n], s.File+": "+t.Name)
			}
		}
	}
	return shown
}

// Text writes the failures and a summary for people; verbose also writes every
// question that was answered as expected.
func (r *Report) Text(w io.Writer, verbose bool) error {
	out := bufio.NewWriter(w)
	tests := 0
	for _, s := range r.Suites {
		if verbose {
			fmt.Fprintf(out, "%s (%s)\n", s.Name, s.File)
		}
		for i := range s.Tests {
			tests++
			s.Tests[i].text(out, &s, verbose)
		}
	}
	for i := range r.Guarantees {
		r.Guarantees[i].text(out, verbose)
	}
	asked, failed := r.Count()
	summary := fmt.Sprintf("%s in %s of %s", plural(asked, "question"), plural(tests, "test"), plural(len(r.Suites), "suite"))
	if n := len(r.Guarantees); n > 0 {
		summary += ", " + plural(n, "guarantee")
	}
	switch broken := r.Broken(); {
	case broken > 0:
		fmt.Fprintf(out, "FAILED %s and %s of %s\n", plural(failed, "question"), plural(broken, "guarantee"), summary)
	case failed > 0:
		fmt.Fprintf(out, "FAILED %d of %s\n", failed, summary)
	default:
		fmt.Fprintf(out, "ok %s\n", summary)
	}
	return out.Flush()
}

func (g *GuaranteeResult) text(out io.Writer, verbose bool) {
	for _, b := range g.Breaches {
		fmt.Fprintf(out, "FAIL %s: guarantee %s\n     %s\n", g.Origin, g.Name, b)
	}
	if verbose && len(g.Breaches) == 0 {
		fmt.Fprintf(out, "    ok guarantee %s\n", g.Name)
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (t *TestResult) text(out io.Writer, s *SuiteResult, verbose bool) {
	if verbose {
		fmt.Fprintf(out, "  %s%s\n", t.Name, shows(t.Shows))
	}
	for _, a := range t.Answers {
		switch {
		case a.Failure != "":
			fmt.Fprintf(out, "FAIL %s: %s, %s: %s\n     %s\n", a.Question.Origin, s.Name, t.Name, a.Question, a.Failure)
		case verbose:
			fmt.Fprintf(out, "    ok %s: %s\n", a.Question, inWords(a.Got))
		}
	}
}

func shows(numbers []int) string {
	if len(numbers) == 0 {
		return ""
	}
	return strings.ReplaceAll(fmt.Sprint(" ", numbers), "  ", " ")
}

// The shape that continuous integration systems read: one case a question.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		File     string      `xml:"file,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr"`
		Failure *junitFailure `xml:"failure"`
		Error   *junitFailure `xml:"error"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report as JUnit XML.
func (r *Report) JUnit(w io.Writer) error {
	var all junitSuites
	suites := make([]junitSuite, 0, len(r.Suites)+1)
	for i := range r.Suites {
		suites = append(suites, r.Suites[i].junit())
	}
	if len(r.Guarantees) > 0 {
		suites = append(suites, r.guarantees())
	}
	for _, suite := range suites {
		all.Suites = append(all.Suites, suite)
		all.Tests, all.Failures, all.Errors = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *SuiteResult) junit() junitSuite {
	suite := junitSuite{Name: s.Name, File: s.File}
	for _, t := range s.Tests {
		for _, a := range t.Answers {
			at := a.Question.Origin
			c := junitCase{Class: s.Name + "." + t.Name, Name: a.Question.String(), File: at.File, Line: at.Line}
			failure := &junitFailure{Message: a.Failure, Text: at.String() + ": " + a.Failure}
			switch suite.Tests++; {
			case a.Err != nil:
				c.Error = failure
				suite.Errors++
			case a.Failure != "":
				c.Failure = failure
				suite.Failures++
			}
			suite.Cases = append(suite.Cases, c)
		}
	}
	return suite
}

// guarantees are a suite of their own, one case each.
func (r *Report) guarantees() junitSuite {
	suite := junitSuite{Name: "guarantees", File: r.Guarantees[0].Origin.File, Tests: len(r.Guarantees), Failures: r.Broken()}
	for _, g := range r.Guarantees {
		c := junitCase{Class: "guarantees", Name: g.Name, File: g.Origin.File, Line: g.Origin.Line}
		if len(g.Breaches) > 0 {
			c.Failure = &junitFailure{Message: g.Breaches[0], Text: g.Origin.String() + ": " + strings.Join(g.Breaches, "\n")}
		}
		suite.Cases = append(suite.Cases, c)
	}
	return suite
}
