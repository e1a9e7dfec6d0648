package bundle_test

import (
	"encoding/xml"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

const suites = `
-- tests/all.yaml --
apiVersion: bailiwick/v1
kind: Tests
name: First
shows: [1]
now: 2026-01-15T12:00:00Z
tests:
  - name: asked
    shows: [3, 2]
    ask:
      - {subject: "user:ann", section: Shop.Orders, action: show, expect: allow, reason: granted_by, rule: "g:staff"}
      - {subject: "user:ann", section: Shop.Orders, action: [show, send], expect: allow}
      - {subject: "user:nobody", section: Shop.Orders, action: 2, expect: deny, reason: subject_unknown}
      - {subject: anonymous, section: Shop.Orders, action: delete, expect: allow}
  - name: listed
    now: 2027-01-01T00:00:00Z
    table:
      subjects: ["user:ann", anonymous]
      sections: [Shop.Orders, Shop.Stock]
      actions: [show, update]
      scopes: ["store:a", "desk:1"]
      unlisted: deny
      allow:
        - {subject: "user:ann", actions: [show], scope: "store:a", reason: granted_by}
      deny:
        - {subject: anonymous, section: Shop.Stock, reason: no_grant}
-- tests/own.yaml --
apiVersion: bailiwick/v1
kind: Tests
name: Second
subjects:
  temp: {groups: [staff]}
  other: {}
tests:
  - name: own <subject>
    shows: [4]
    ask:
      - {subject: "user:temp", section: Shop.Orders, action: show, scope: "store:a", context: {ip: 10.0.0.1}, expect: allow}
`

// answers is a decider that allows Ann and Temp to show, in store a or everywhere.
// It notes what it was asked.
type answers struct {
	compiled []int // number of users of each policy it was given
	clocks   map[string]bool
	asked    int
	broken   error
}

func (a *answers) compile(p *access.Policy) (bundle.Decide, error) {
	a.compiled = append(a.compiled, len(p.Users))
	a.clocks = map[string]bool{}
	if a.broken != nil {
		return nil, a.broken
	}
	return func(r *access.Request, now time.Time) (access.Decision, error) {
		a.asked++
		a.clocks[now.Format(time.RFC3339)] = true
		switch {
		case r.Subject.ID == "nobody":
			return access.Decision{Reason: access.ReasonSubjectUnknown, Detail: "user:nobody"}, nil
		case slices.Contains(r.Actions, "send"):
			return access.Decision{}, errors.New("cannot say")
		case r.Subject != access.Anonymous && slices.Equal(r.Actions, []access.Action{"show"}) && r.Scope != "desk:1":
			rule := access.Rule{Type: "p", Values: []string{"g:staff", "*"}, Origin: access.Origin{File: "groups/staff.yaml", Line: 4, Column: 9}}
			return access.Decision{Allowed: true, Reason: access.ReasonGrantedBy, Rule: &rule}, nil
		}
		return access.Decision{Reason: access.ReasonNoGrant}, nil
	}, nil
}

func run(t *testing.T, a *answers, archive string, f bundle.Filter) *bundle.Report {
	t.Helper()
	r, err := bundle.RunTests(mustRead(t, files(shop, archive)), a.compile, bundle.RunOptions{Filter: f, Now: time.Unix(1e9, 0).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunTests_report(t *testing.T) {
	a := &answers{}
	r := run(t, a, suites, bundle.Filter{})
	var quiet, verbose, junit strings.Builder
	if err := errors.Join(r.Text(&quiet, false), r.Text(&verbose, true), r.JUnit(&junit)); err != nil {
		t.Fatal(err)
	}
	golden(t, "report-quiet.txt", quiet.String())
	golden(t, "report-verbose.txt", verbose.String())
	golden(t, "report-junit.xml", junit.String())
	wellFormed(t, junit.String())
	if asked, failed := r.Count(); asked != 21 || failed != 2 || a.asked != 21 || r.Passed() {
		t.Errorf("asked %d (%d), failed %d, passed %t; want 21, 21, 2, false", asked, a.asked, failed, r.Passed())
	}
	if !slices.Equal(a.compiled, []int{1, 3}) {
		t.Errorf("compiled with %v users, want once for the policy and once for the suite with subjects", a.compiled)
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	var any struct {
		XMLName xml.Name `xml:"testsuites"`
		Tests   int      `xml:"tests,attr"`
	}
	if err := xml.Unmarshal([]byte(text), &any); err != nil || any.Tests != 21 {
		t.Errorf("JUnit: %v, %d tests", err, any.Tests)
	}
}

func TestRunTests_requirementsAreShownByPassedTestsOnly(t *testing.T) {
	shown := run(t, &answers{}, suites, bundle.Filter{}).Requirements()
	if got := slices.Sorted(maps.Keys(shown)); !slices.Equal(got, []int{1, 4}) {
		t.Errorf("got %v, want 1 and 4: 2 and 3 are of a failed test", got)
	}
	if got := shown[1]; !slices.Equal(got, []string{"tests/all.yaml: listed"}) {
		t.Errorf("got %v", got)
	}
}

func TestRunTests_clocks(t *testing.T) {
	for name, tc := range map[string]struct {
		filter bundle.Filter
		want   string
	}{
		"of the suite": {bundle.Filter{Test: "asked"}, "2026-01-15T12:00:00Z"},
		"of the test":  {bundle.Filter{Test: "listed"}, "2027-01-01T00:00:00Z"},
		"of the run":   {bundle.Filter{Suite: "Second"}, "2001-09-09T01:46:40Z"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &answers{}
			run(t, a, suites, tc.filter)
			if len(a.clocks) != 1 || !a.clocks[tc.want] {
				t.Errorf("got %v, want %s", a.clocks, tc.want)
			}
		})
	}
}

func TestRunTests_filters(t *testing.T) {
	for name, tc := range map[string]struct {
		filter bundle.Filter
		want   int
	}{
		"suite by name":    {bundle.Filter{Suite: "F*"}, 20},
		"suite by file":    {bundle.Filter{Suite: "tests/own.yaml"}, 1},
		"test":             {bundle.Filter{Test: "ask?d"}, 4},
		"subject":          {bundle.Filter{Subject: "user:*"}, 12},
		"section":          {bundle.Filter{Section: "*.Stock"}, 8},
		"action":           {bundle.Filter{Action: "send"}, 1},
		"several together": {bundle.Filter{Subject: "anonymous", Action: "update", Section: "Shop.Orders"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if asked, _ := run(t, &answers{}, suites, tc.filter).Count(); asked != tc.want {
				t.Errorf("asked %d, want %d", asked, tc.want)
			}
		})
	}
	b := mustRead(t, files(shop, suites))
	for name, f := range map[string]bundle.Filter{
		"that is no pattern":     {Suite: "[", Test: "x"},
		"that no question meets": {Test: "none"},
	} {
		if _, err := bundle.RunTests(b, (&answers{}).compile, bundle.RunOptions{Filter: f}); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("filter %s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestRunTests_policyThatCannotBeCompiled(t *testing.T) {
	broken := access.Problems{{Code: "condition-invalid", Message: "no"}}
	_, err := bundle.RunTests(mustRead(t, files(shop)), (&answers{broken: broken}).compile, bundle.RunOptions{})
	var problems access.Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "tests/all.yaml") {
		t.Errorf("got %v, want the problems and the suite", err)
	}
}

// TestQuestion_expectations makes sure that each expectation can fail.
func TestQuestion_expectations(t *testing.T) {
	for expectation, want := range map[string]string{
		"expect: allow":                                      "",
		"expect: deny":                                       "expected deny, got allow (granted_by) by p, g:staff, * at groups/staff.yaml:4:9",
		"expect: allow, reason: granted_by":                  "",
		"expect: allow, reason: superuser":                   "expected allow (superuser), got allow (granted_by) by p, g:staff, * at groups/staff.yaml:4:9",
		`expect: allow, rule: "g:staff, *"`:                  "",
		`expect: allow, rule: "g:clerk"`:                     `expected allow by a rule with "g:clerk", got allow (granted_by) by p, g:staff, * at groups/staff.yaml:4:9`,
		`expect: allow, reason: granted_by, rule: "g:staff"`: "",
	} {
		t.Run(expectation, func(t *testing.T) {
			r := run(t, &answers{}, "-- tests/all.yaml --"+head+"Tests\nname: A\ntests:\n  - {name: a, ask: [{subject: \"user:ann\", section: Shop.Orders, action: show, "+expectation+"}]}\n", bundle.Filter{})
			if got := r.Suites[0].Tests[0].Answers[0].Failure; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestRunTests_modelOfOnesOwn: raw questions are asked as they are, and no
// filter by names that they do not have picks them.
func TestRunTests_modelOfOnesOwn(t *testing.T) {
	b := mustRead(t, files(foreignTest("{request: [alice, {age: 5}, read], expect: allow}, {request: [bob], expect: deny, rule: alice}")))
	decide := func(*access.Policy) (bundle.Decide, error) {
		return func(r *access.Request, _ time.Time) (access.Decision, error) {
			return access.Decision{Allowed: r.Raw[0] == "alice" && r.Raw[1].(map[string]any)["age"] == 5.0, Reason: access.ReasonGrantedBy}, nil
		}, nil
	}
	r, err := bundle.RunTests(b, decide, bundle.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answers := r.Suites[0].Tests[0].Answers
	if answers[0].Failure != "" || answers[0].Question.String() != "alice, map[age:5], read" {
		t.Errorf("got %+v", answers[0])
	}
	if want := `expected deny by a rule with "alice", got deny (granted_by)`; answers[1].Failure != want {
		t.Errorf("got %q, want %q: no rule decided", answers[1].Failure, want)
	}
	if _, err := bundle.RunTests(b, decide, bundle.RunOptions{Filter: bundle.Filter{Subject: "*"}}); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestSuite_tablesHaveALimit(t *testing.T) {
	var list []string
	for i := range 800 {
		list = append(list, "\"store:"+strings.Repeat("x", i/26)+string(rune('a'+i%26))+"\"")
	}
	scopes := strings.Join(list, ", ")
	subjects := strings.ReplaceAll(scopes, "store:", "user:")
	text := "-- bundle.yaml --\n{apiVersion: bailiwick/v1, kind: Bundle, tenant: t, scopes: [{scope: " + strings.Join(list, "}, {scope: ") + "}]}\n" +
		"-- users/all.yaml --" + head + "Users\nusers: [{id: " + strings.ReplaceAll(strings.Join(list, "}, {id: "), "store:", "") + "}]\n" +
		"-- tests/all.yaml --" + head + "Tests\nname: A\ntests:\n  - {name: a, table: {subjects: [" + subjects + "], sections: [Shop.Orders], actions: [show], scopes: [" + scopes + "], unlisted: deny}}\n"
	_, got := read(t, files(shop, "-- groups/staff.yaml --\n{apiVersion: bailiwick/v1, kind: Group, code: staff}\n", text))
	if got != "tests/all.yaml:5:22: the tests ask more than 500000 questions [test-too-large]" {
		t.Errorf("got %s", got)
	}
}
