package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

// TestCompileProblems_slow: lint warns of a model that goes through so many rules
// for each question that questions have to queue.
func TestCompileProblems_slow(t *testing.T) {
	for n, want := range map[int]int{999: 0, 1000: 1} {
		p := access.Policy{Tenant: "t", Model: strings.Replace(basicModel, "r.obj == p.obj", "r.obj > p.obj", 1)}
		p.Model = strings.Replace(p.Model, "r.sub == p.sub && ", "", 1)
		for i := range n {
			p.Rules = append(p.Rules, access.Rule{Type: "p", Values: []string{fmt.Sprint(i), "data1"}})
		}
		problems := compileProblems(&bundle.Bundle{Policy: p})
		if len(problems) != want || want == 1 && (!problems[0].Warning || !strings.Contains(problems[0].Message, "with 1000 rules a question takes long")) {
			t.Errorf("%d rules: got %v", n, problems)
		}
	}
}
