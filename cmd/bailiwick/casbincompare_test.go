package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

const basicModel = `[request_definition]
r = sub, obj
[policy_definition]
p = sub, obj
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj
`

func compiled(t *testing.T, rules ...access.Rule) *plan.Engine {
	t.Helper()
	e, err := plan.Compile(plan.Options{Model: basicModel, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestCasbinComparison_difference compares two engines with different rules,
// since stock Casbin and ours give the same answers.
func TestCasbinComparison_difference(t *testing.T) {
	rules := []access.Rule{{Type: "p", Values: []string{"alice", "data1"}, Origin: access.Origin{Line: 3}}, {Type: "p", Values: []string{"bob", "data1"}}}
	var people strings.Builder
	x := &casbinComparison{rules: rules, ours: compiled(t, rules...), stock: compiled(t, rules[1]), people: &people, told: time.Now().Add(-time.Hour)}
	questions := "[\"carl\", \"data1\"]\n[\"alice\", \"data1\"]\n[\"bob\", \"data1\"]\n"
	if err := x.run(context.Background(), strings.NewReader(questions)); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	x.write(&out)
	want := regexp.MustCompile(`^question 2 differs: \["alice", "data1"\]
  ours   allow by p, alice, data1 \(line 3\)
  stock  deny  by no rule
  ours   loaded in 0s, a question in \S+
  stock  loaded in 0s, a question in [^\n]+
$`)
	if !want.MatchString(out.String()) {
		t.Errorf("got  %s\nwant %s", out.String(), want)
	}
	if told := people.String(); !strings.HasPrefix(told, "1 question so far: ours ") || strings.Count(told, "\n") != 1 {
		t.Errorf("after an hour without a word people are told %q", told)
	}
	if x.Questions != 2 {
		t.Errorf("%d questions were asked, although the second differs", x.Questions)
	}
}
