package bundle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// maxQuestions bounds the questions of all suites of a bundle together: a table
// of a few lines can stand for any number of them.
const maxQuestions = 500_000

// Suite is one file of decision tests.
type Suite struct {
	Name     string
	Subjects []access.User // accounts beside those of the policy, for this suite only
	Tests    []Test
	Origin   access.Origin
}

// Test is a number of questions that together show something.
type Test struct {
	Name      string
	Shows     []int     // numbers of requirements: the suite's and its own
	Now       time.Time // the clock; zero: that of the run
	Questions []Question
	Origin    access.Origin
}

// Question is a request with its expected answer.
type Question struct {
	Request access.Request
	Allow   bool
	Reason  access.Reason // empty: whatever it is
	Rule    string        // part of the deciding rule's line; empty: whatever it is
	Origin  access.Origin
}

// String gives the question in words, for instance
// "user:operator-1 show Calls.Queue at store:a".
func (q Question) String() string {
	r := &q.Request
	if r.Raw != nil {
		words := make([]string, len(r.Raw))
		for i, v := range r.Raw {
			words[i] = fmt.Sprint(v)
		}
		text := strings.Join(words, ", ")
		if r.RawSet != "" {
			text += " by context set " + r.RawSet
		}
		return text
	}
	actions := make([]string, len(r.Actions))
	for i, a := range r.Actions {
		actions[i] = string(a)
	}
	text := fmt.Sprintf("%s %s %s", r.Subject, strings.Join(actions, "+"), r.Section)
	if r.Scope != "" && r.Scope != access.Everywhere {
		text += " at " + string(r.Scope)
	}
	return text
}

// tester turns one file of tests into a suite and checks that its names are
// known: a question about a misspelt name is denied, and would prove nothing.
type tester struct {
	policy   *access.Policy
	file     *testsFile
	count    *int
	problems access.Problems
	subjects map[string]bool
	sections map[access.Section]*access.SectionEntry
	scopes   map[string]bool
}

func newTester(p *access.Policy, f *testsFile, count *int) *tester {
	t := &tester{
		policy: p, file: f, count: count,
		subjects: map[string]bool{access.AnonymousID: true},
		sections: map[access.Section]*access.SectionEntry{},
		scopes:   map[string]bool{string(access.Everywhere): true},
	}
	for _, u := range p.Users {
		t.subjects["user:"+u.ID] = true
	}
	for id := range f.Subjects {
		t.subjects["user:"+id] = true
	}
	for i := range p.Catalogue {
		t.subjects["app:"+p.Catalogue[i].Code] = true
		for j := range p.Catalogue[i].Sections {
			s := &p.Catalogue[i].Sections[j]
			t.sections[s.Path] = s
		}
	}
	for _, s := range p.Scopes {
		t.scopes[string(s.Scope)] = true
	}
	return t
}

func (t *tester) add(at access.Origin, code, format string, args ...any) *access.Problem {
	t.problems = append(t.problems, access.Problem{Origin: at, Code: code, Message: fmt.Sprintf(format, args...)})
	return &t.problems[len(t.problems)-1]
}

func (t *tester) suite() Suite {
	s := Suite{Name: t.file.Name, Origin: t.file.Origin}
	for id, u := range t.file.Subjects {
		s.Subjects = append(s.Subjects, u.user(id, u.Origin))
	}
	slices.SortFunc(s.Subjects, func(a, b access.User) int { return a.Origin.Line - b.Origin.Line })
	t.checkSubjects(s.Subjects)
	names := map[string]bool{}
	for i := range t.file.Tests {
		test := t.test(&t.file.Tests[i])
		if names[test.Name] && test.Name != "" {
			t.add(test.Origin, "duplicate", "a test named %q is there twice", test.Name)
		}
		names[test.Name] = true
		s.Tests = append(s.Tests, test)
	}
	if len(s.Tests) == 0 {
		t.add(s.Origin, "test-empty", "the suite has no tests, so it could never fail")
	}
	t.shows(s.Origin, t.file.Shows)
	return s
}

// checkSubjects reports what is wrong with the suite's own subjects. They take no
// seats of licences: they stand beside the accounts of the policy, not among them.
func (t *tester) checkSubjects(users []access.User) {
	if len(users) == 0 {
		return
	}
	for _, p := range WithSubjects(t.policy, users).Check() {
		if p.Origin.File == t.file.Origin.File {
			t.problems = append(t.problems, p)
		}
	}
}

// WithSubjects gives a copy of the policy with further accounts at its end.
func WithSubjects(p *access.Policy, users []access.User) *access.Policy {
	with := *p
	with.Users = slices.Concat(p.Users, users)
	return &with
}

func (t *tester) shows(at access.Origin, numbers []int) {
	for _, n := range numbers {
		if n < 1 {
			t.add(at, "shows-invalid", "shows: requirements have numbers from 1, not %d", n)
		}
	}
}

func (t *tester) test(e *testEntry) Test {
	test := Test{Name: e.Name, Shows: slices.Concat(t.file.Shows, e.Shows), Now: e.Now, Origin: e.Origin}
	slices.Sort(test.Shows)
	test.Shows = slices.Compact(test.Shows)
	t.shows(e.Origin, e.Shows)
	if e.Now.IsZero() {
		test.Now = t.file.Now
	}
	for i := range e.Ask {
		if q, ok := t.ask(&e.Ask[i]); ok && t.room(q.Origin, 1) {
			test.Questions = append(test.Questions, q)
		}
	}
	if e.Table != nil {
		test.Questions = append(test.Questions, t.table(e.Table)...)
	}
	if len(e.Ask) == 0 && e.Table == nil {
		t.add(e.Origin, "test-empty", "the test asks nothing (ask or table), so it could never fail")
	}
	return test
}

// room counts questions and reports, once, that there are too many.
func (t *tester) room(at access.Origin, n int) bool {
	if *t.count > maxQuestions {
		return false
	}
	if *t.count += n; *t.count > maxQuestions {
		t.add(at, "test-too-large", "the tests ask more than %d questions", maxQuestions)
		return false
	}
	return true
}

func (t *tester) ask(e *askEntry) (Question, bool) {
	q := Question{Allow: e.Expect == string(access.Allow), Origin: e.Origin}
	if e.Expect != "" {
		t.expect(&q, e.answer)
	}
	before := len(t.problems)
	if t.policy.Model != "" {
		t.rawOnly(e)
		q.Request.Raw, q.Request.RawSet = e.Request, e.ContextSet.text
		return q, len(t.problems) == before
	}
	t.nativeOnly(e)
	q.Request = access.Request{
		Actions: e.Action, Section: access.Section(e.Section.text), Scope: access.Scope(e.Scope.text),
		SubjectAttributes: e.SubjectAttributes, ActionAttributes: e.ActionAttributes, Context: e.Context,
	}
	if e.Resource != nil {
		q.Request.Entity = access.Entity{Type: e.Resource.Type, ID: e.Resource.ID}
		q.Request.ResourceAttributes = e.Resource.Attributes
	}
	q.Request.Subject = t.subject(e.Subject, q.Reason)
	t.section(e.Section, q.Reason)
	for _, a := range e.Action {
		t.action(word{string(a), e.Origin}, q.Request.Section, q.Reason)
	}
	t.scope(e.Scope, q.Reason)
	return q, len(t.problems) == before
}

func (t *tester) rawOnly(e *askEntry) {
	if e.Request == nil {
		t.add(e.Origin, "key-missing", "the bundle has a model of its own, so a question needs the key %q", "request")
	}
	if e.Subject.text+e.Section.text+e.Scope.text != "" || e.Action != nil || e.Resource != nil ||
		e.SubjectAttributes != nil || e.ActionAttributes != nil || e.Context != nil {
		t.add(e.Origin, "test-foreign", "the bundle has a model of its own, which is asked by request alone")
	}
}

func (t *tester) nativeOnly(e *askEntry) {
	if e.Request != nil || e.ContextSet.text != "" {
		t.add(e.Origin, "test-foreign", "request is for bundles with a model of their own; ask with subject, section and action")
		return
	}
	for _, key := range []struct {
		name string
		set  bool
	}{{"subject", e.Subject.at.Line > 0}, {"section", e.Section.at.Line > 0}, {"action", e.Action != nil}} {
		if !key.set {
			t.add(e.Origin, "key-missing", "a question needs the key %q", key.name)
		}
	}
}

// expect refuses a reason that contradicts the expected answer.
func (t *tester) expect(q *Question, a answer) {
	q.Reason, q.Rule = access.Reason(a.Reason), a.Rule
	allows := q.Reason == access.ReasonGrantedBy || q.Reason == access.ReasonSuperuser
	if q.Reason != "" && allows != q.Allow {
		t.add(q.Origin, "test-contradiction", "reason: %s is not a reason to %s", q.Reason, expected(q.Allow))
	}
}

func expected(allow bool) access.Effect {
	if allow {
		return access.Allow
	}
	return access.Deny
}

func (t *tester) unknown(w word, noun string, known []string) {
	problem := t.add(w.at, noun+"-unknown", "%s %q does not exist", noun, w.text)
	problem.Hint = fmt.Sprintf("to test that, expect the reason %s_unknown", noun)
	if near := access.Nearest(w.text, known); near != "" {
		problem.Hint = didYouMean(near)
	}
}

func (t *tester) subject(w word, reason access.Reason) access.Subject {
	if w.text == "" {
		return access.Subject{}
	}
	s, err := access.ParseSubject("subject", w.text)
	switch {
	case err != nil:
		t.add(w.at, "name-invalid", "%s", err.Error())
	case !t.subjects[w.text] && reason != access.ReasonSubjectUnknown:
		t.unknown(w, "subject", namesOf(t.subjects))
	}
	return s
}

func (t *tester) section(w word, reason access.Reason) {
	if w.text == "" || t.sections[access.Section(w.text)] != nil || reason == access.ReasonSectionUnknown {
		return
	}
	t.unknown(w, "section", namesOf(t.sections))
}

func namesOf[K ~string, V any](m map[K]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return names
}

// action: an unknown section has no actions, and is reported as such.
func (t *tester) action(w word, section access.Section, reason access.Reason) {
	s := t.sections[section]
	if w.text == "" || s == nil || reason == access.ReasonActionUnknown {
		return
	}
	if err := access.ValidAction("action", w.text); err != nil {
		t.add(w.at, "name-invalid", "%s", err.Error())
		return
	}
	if names := actionsOf(s); !slices.Contains(names, w.text) {
		t.unknown(w, "action", names)
	}
}

// actionsOf lists what can be asked about a section.
func actionsOf(s *access.SectionEntry) []string {
	names := access.RightNames()[1:] // without inherit
	for _, a := range s.Actions {
		names = append(names, a.Name)
	}
	return names
}

func (t *tester) scope(w word, reason access.Reason) {
	if w.text == "" || t.scopes[w.text] || reason == access.ReasonScopeUnknown {
		return
	}
	t.unknown(w, "scope", namesOf(t.scopes))
}
