package plan

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ParsePolicy reads the lines of a policy.csv as Casbin's file adapter does. The
// file's name is for the places of mistakes, which come as access.Problems.
func ParsePolicy(file string, text []byte) ([]access.Rule, error) {
	var rules []access.Rule
	var problems access.Problems
	lines := bufio.NewScanner(bytes.NewReader(text))
	at := access.Origin{File: file}
	for lines.Scan() {
		at.Line++
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		values, err := parseLine(line)
		if err != nil {
			problems = append(problems, access.Problem{Origin: at, Code: "policy-syntax", Message: err.Error()})
			if len(problems) == maxProblems {
				return nil, problems
			}
			continue
		}
		rules = append(rules, access.Rule{Type: values[0], Values: values[1:], Origin: at})
	}
	if err := lines.Err(); err != nil {
		at.Line++
		problems = append(problems, access.Problem{Origin: at, Code: "policy-syntax", Message: "the line is longer than Casbin reads"})
	}
	return rules, problems.Err()
}

func parseLine(line string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	r.Comment = '#'
	r.TrimLeadingSpace = true
	values, err := r.Read()
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		err = syntax.Err
	}
	if err != nil {
		return nil, err
	}
	if values[0] == "" {
		return nil, errors.New("a line begins with p or g (or p2, g2 and so on)")
	}
	return values, nil
}
