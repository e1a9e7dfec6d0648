package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/govaluate"
)

// The names of plans.
const (
	planNative     = "native"
	planCandidates = "candidates"
	planScan       = "scan"
)

// describe says which plan it is and why.
func (s *set) describe(branches []branch, left []token) Info {
	info := Info{Set: s.name, Rules: s.policy.len(), Reads: s.reads}
	found := s.found()
	switch {
	case !s.reads:
		info.Name, info.Why = planScan, "the matcher mentions no rule, so it is evaluated once for each question"
	case left == nil && found != "":
		info.Name, info.Why = planNative, "the matcher is understood as a whole; rules are found by "+found
	case left == nil:
		info.Name, info.Why = planNative, "the matcher is understood as a whole; nothing in it narrows down the rules, so each question goes through all of them"
	case found != "":
		info.Name, info.Why = planCandidates, fmt.Sprintf("rules are found by %s; for these %s is interpreted", found, obstacle(branches))
	default:
		info.Name, info.Why = planScan, fmt.Sprintf("%s may err, and nothing before it narrows down the rules, so none can be left out; put comparisons such as r.obj == p.obj before it", obstacle(branches))
	}
	if found == "" && s.reads && info.Rules >= longScan {
		info.Slow = true
		info.Why += fmt.Sprintf("; WARNING: with %d rules a question takes long, and only some are answered at a time", info.Rules)
	}
	return info
}

// uses lists what decides besides the comparisons of the matcher.
func (s *set) uses(tokens []token) []string {
	all := []string{"effect " + s.effect.String()}
	switch field := slices.Index(s.policy.tokens, s.parts.p+"_"+constant.PriorityIndex); {
	case field >= 0:
		all = append(all, "rules in the order of "+dotted(s.policy.tokens[field]))
	case s.effect == subjectPriority:
		all = append(all, "rules in the order of their subjects")
	}
	called := map[string]bool{}
	for _, c := range calls(tokens) {
		called[c.function] = true
	}
	for _, name := range slices.Sorted(maps.Keys(called)) {
		if m := s.world.roles[name]; m != nil {
			all = append(all, m.uses(name)...)
		}
	}
	if s.evaluates {
		all = append(all, "eval() runs texts of rules as code")
	}
	return all
}

func (m *roles) uses(name string) (all []string) {
	if m.roleFunction != "" {
		all = append(all, fmt.Sprintf("names in %s are patterns (%s)", name, m.roleFunction))
	}
	if m.domainFunction != "" {
		all = append(all, fmt.Sprintf("domains in %s are patterns (%s)", name, m.domainFunction))
	}
	switch {
	case m.spans != nil:
		all = append(all, fmt.Sprintf("links of %s hold for a time (timeMatch)", name))
	case m.conditional:
		all = append(all, fmt.Sprintf("links of %s hold whatever their conditions say (none)", name))
	}
	return all
}

// found names what the index looks for.
func (s *set) found() string {
	if s.index == nil {
		return ""
	}
	var tables []string
	for _, t := range s.index.tables {
		var fields []string
		for _, l := range t.lookups {
			fields = append(fields, l.describe(s.policy))
		}
		if len(fields) == 0 {
			fields = []string{"the question alone"}
		}
		tables = append(tables, strings.Join(fields, ", "))
	}
	return strings.Join(tables, ", or by ")
}

func (l *lookup) describe(p *policy) string {
	text := dotted(p.tokens[l.field])
	if l.function != "" {
		text += " (" + l.function + ")"
	}
	for _, s := range l.sources {
		if s.links != nil {
			return text + " (through roles)"
		}
	}
	return text
}

// obstacle is the first conjunct that is left to the interpreter.
func obstacle(branches []branch) string {
	for _, b := range branches {
		if len(b.rest) > 0 {
			return "`" + shown(written(b.rest[0])) + "`"
		}
	}
	return ""
}

// written gives tokens as people write them.
func written(tokens []token) string {
	var b strings.Builder
	for i, t := range tokens {
		text := fmt.Sprint(t.Value)
		switch t.Kind { //nolint:exhaustive // the others are as they are written
		case govaluate.FUNCTION:
			text = t.name
		case govaluate.VARIABLE:
			text = dotted(t.name)
		case govaluate.ACCESSOR:
			text = dotted(strings.Join(t.Value.([]string), "."))
		case govaluate.STRING:
			text = "'" + text + "'"
		case govaluate.CLAUSE:
			text = "("
		case govaluate.CLAUSE_CLOSE:
			text = ")"
		}
		if i > 0 && spaced(tokens[i-1], t) {
			b.WriteByte(' ')
		}
		b.WriteString(text)
	}
	return b.String()
}

func spaced(before, t token) bool {
	return before.Kind != govaluate.CLAUSE && before.Kind != govaluate.FUNCTION && before.Kind != govaluate.PREFIX &&
		t.Kind != govaluate.CLAUSE_CLOSE && t.Kind != govaluate.SEPARATOR
}

var underscored = regexp.MustCompile(`^([rp][0-9]*)_`)

// dotted gives a field as people write it: r.sub.
func dotted(name string) string { return underscored.ReplaceAllString(name, "$1.") }
