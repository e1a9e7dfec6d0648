package bundle

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ruleType is how Casbin names its kinds of lines: p, p2, g, g2 and so on.
var ruleType = regexp.MustCompile(`^[pg]([2-9]|[1-9][0-9])?$`)

// csv reads plain Casbin lines. What Casbin's own reader makes of a line is what
// we make of it; where it would refuse the line, panic, or keep something that
// cannot be stored, the line is a problem.
func (r *reader) csv(name string) {
	src, ok := r.load(name)
	if !ok {
		return
	}
	lines := bufio.NewScanner(bytes.NewReader(src))
	at := access.Origin{File: name}
	for lines.Scan() {
		at.Line++
		r.csvLine(at, lines.Text())
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		at.Line++
		r.add(at, "csv-syntax", "the line is longer than Casbin reads: %d bytes", bufio.MaxScanTokenSize)
	}
}

func (r *reader) csvLine(at access.Origin, raw string) {
	line := strings.TrimSpace(raw)
	if line == "" || strings.HasPrefix(line, "#") {
		return
	}
	edge := len(raw) - len(strings.TrimLeftFunc(raw, isBlank))
	fields := csv.NewReader(strings.NewReader(line))
	fields.TrimLeadingSpace = true
	values, err := fields.Read()
	if err != nil {
		r.csvSyntax(at, raw, edge, err)
		return
	}
	at.Column = utf8.RuneCountInString(raw[:edge]) + 1
	if r.csvValues(at, raw, edge, fields, values) {
		r.policy.Rules = append(r.policy.Rules, access.Rule{Type: values[0], Values: values[1:], Origin: at})
	}
}

func (r *reader) csvSyntax(at access.Origin, raw string, edge int, err error) {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		at.Column, err = column(raw, edge+parse.Column), parse.Err
	}
	r.add(at, "csv-syntax", "Casbin cannot read this line: %s", err.Error())
}

// csvValues holds the values of a line to the rules of names: what the store
// cannot keep byte by byte is refused here.
func (r *reader) csvValues(at access.Origin, raw string, edge int, fields *csv.Reader, values []string) bool {
	before := len(r.problems)
	place := func(i int) access.Origin {
		_, col := fields.FieldPos(i)
		return access.Origin{File: at.File, Line: at.Line, Column: column(raw, edge+col)}
	}
	switch {
	case !ruleType.MatchString(values[0]):
		r.add(place(0), "csv-type", "a line begins with p or g (or p2, g2 and so on), not with %q", values[0])
	case len(values) == 1:
		r.add(at, "csv-values", "the line has no values")
	case len(values)-1 > access.MaxRuleValues:
		r.add(place(access.MaxRuleValues+1), "csv-values", "a line has at most %d values, this one has %d", access.MaxRuleValues, len(values)-1)
	}
	for i, v := range values[1:] {
		if strings.TrimSpace(v) == "" {
			r.add(place(i+1), "csv-blank", "value %d is blank", i+1)
		} else if err := access.ValidName("value", v); err != nil {
			r.add(place(i+1), "csv-value", "%s", strings.Replace(err.Error(), "value:", "value "+string(rune('1'+min(i, 8))), 1))
		}
	}
	return len(r.problems) == before
}

// column turns a byte position counted from 1 into characters.
func column(raw string, bytePos int) int {
	return utf8.RuneCountInString(raw[:min(bytePos-1, len(raw))]) + 1
}

func isBlank(c rune) bool { return strings.TrimSpace(string(c)) == "" }

// foreign checks plain lines of a model other than ours, where Policy.Check
// leaves them to the engine. Casbin would drop the second of two equal lines;
// removing one later would then remove both.
func (r *reader) foreign(p *access.Policy) {
	if p.Model == "" {
		return
	}
	first := map[string]access.Origin{}
	for _, rule := range p.Rules {
		line := rule.Type + "," + strings.Join(rule.Values, ",") // Casbin's own idea of a rule
		if twin, twice := first[line]; twice {
			r.add(rule.Origin, "duplicate", "the rule %q is there twice", rule.String()).Hint = "first at " + twin.String()
			continue
		}
		first[line] = rule.Origin
	}
}
