package engine

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/casbin/casbin/v2/constant"
	"github.com/casbin/casbin/v2/model"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Limits of a Casbin model that a tenant brings. Casbin parses by recursion, so
// a text without bounds could exhaust the stack, which nothing can recover from.
const (
	MaxModel        = 64 << 10 // bytes of the whole text
	MaxMatcher      = 8 << 10  // bytes of one matcher
	maxMatcherDepth = 100      // nested parentheses
	maxModelLine    = 4000     // Casbin silently cuts longer lines in two at 4096
)

// modelFile is where people write models, for the places of mistakes in them.
const modelFile = "model.conf"

const ourModel = `[request_definition]
r = sub, dom, obj, act, ctx

[policy_definition]
p = sub, dom, obj, act, eft, cond

[role_definition]
g = _, _, _

[policy_effect]
e = %s

[matchers]
m = g(r.sub, p.sub, r.dom) && scopeIn(r.dom, p.dom) && sectionIn(r.obj, p.obj, p.act) && rights(p.act, r.act) && (p.eft == "allow" || !g(r.sub, "superuser", r.dom)) && holds(p.cond, p.eft, r.ctx)
`

// Model gives the text of the built-in model for a way of combining. It runs
// unchanged in stock Casbin with access.ScopeIn, SectionIn and ActIn registered
// as scopeIn, sectionIn and rights, scopeIn also as the domain matching function
// of g, and holds evaluating conditions.
func Model(c access.Combining) string {
	if c == access.AllowOverrides {
		return fmt.Sprintf(ourModel, "some(where (p.eft == allow))")
	}
	return fmt.Sprintf(ourModel, "some(where (p.eft == allow)) && !some(where (p.eft == deny))")
}

// ModelOf reads the text of a Casbin model. It gives "" and the way of combining
// where that is the built-in model, whatever its blanks and comments; else the
// text itself. What is wrong with it comes as access.Problems with the line.
func ModelOf(text string) (string, access.Combining, error) {
	m, err := parseModel(text)
	if err != nil {
		return "", "", err
	}
	for _, c := range []access.Combining{access.DenyOverrides, access.AllowOverrides} {
		ours, err := parseModel(Model(c))
		if err != nil {
			return "", "", err
		}
		if sameModel(m, ours) {
			return "", c, nil
		}
	}
	return text, "", nil
}

// parseModel parses with Casbin and refuses what Casbin would take and then
// fail or err on.
func parseModel(text string) (m model.Model, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, modelProblem(0, "the model cannot be read: %v", p)
		}
	}()
	if len(text) > MaxModel {
		return nil, modelProblem(0, "the model is %d bytes long; %d is the limit", len(text), MaxModel)
	}
	for i, line := range strings.Split(text, "\n") {
		if len(line) > maxModelLine {
			return nil, modelProblem(i+1, "the line is %d bytes long; %d is the limit; end it with \\ and go on in the next", len(line), maxModelLine)
		}
	}
	m, err = model.NewModelFromString(text)
	if err != nil {
		return nil, modelProblem(lineOf(err.Error()), "%.200s", err)
	}
	for _, check := range []func(string, model.Model) error{checkSections, checkMatchers, checkEffects, checkRoles} {
		if err := check(text, m); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func modelProblem(line int, format string, args ...any) error {
	return access.Problems{{
		Origin: access.Origin{File: modelFile, Line: line}, Code: "model-invalid", Message: fmt.Sprintf(format, args...),
	}}
}

var saysLine = regexp.MustCompile(`line (\d+)`)

func lineOf(message string) int {
	if found := saysLine.FindStringSubmatch(message); found != nil {
		n, _ := strconv.Atoi(found[1])
		return n
	}
	return 0
}

// lineOfKey finds the line on which a definition such as "m2" begins.
func lineOfKey(text, key string) int {
	for i, line := range strings.Split(text, "\n") {
		name, _, ok := strings.Cut(line, "=")
		if ok && strings.TrimSpace(name) == key {
			return i + 1
		}
	}
	return 0
}

// checkSections refuses definitions without names and effects or matchers
// without their partners.
func checkSections(text string, m model.Model) error {
	for _, section := range []string{"r", "p", "e", "m"} {
		if m[section][section] == nil {
			return modelProblem(0, "the model has no definition %q", section)
		}
	}
	for _, section := range []string{"r", "p"} {
		for key, a := range m[section] {
			seen := map[string]bool{}
			for _, token := range a.Tokens {
				if token == key+"_" || seen[token] {
					return modelProblem(lineOfKey(text, key), "%s: a field is blank or there twice", key)
				}
				seen[token] = true
			}
		}
	}
	return nil
}

func checkMatchers(text string, m model.Model) error {
	for key, a := range m["m"] {
		if len(a.Value) > MaxMatcher {
			return modelProblem(lineOfKey(text, key), "%s: the matcher is %d bytes long; %d is the limit", key, len(a.Value), MaxMatcher)
		}
		if nesting(a.Value) > maxMatcherDepth {
			return modelProblem(lineOfKey(text, key), "%s: parentheses are nested more than %d deep", key, maxMatcherDepth)
		}
	}
	return nil
}

// nesting is the most parentheses and signs that Casbin's parser could have to
// descend through at one place. Quotes are not heeded: Casbin lets any quote end
// any string, so what looks like text to us may be code to it.
func nesting(expression string) int {
	depth, deepest, signs := 0, 0, 0
	for _, c := range expression {
		switch c {
		case '(', '[':
			depth++
		case ')', ']':
			depth = max(0, depth-1)
		case '!', '-', '~':
			signs++
		default:
			if !unicode.IsSpace(c) {
				signs = 0
			}
		}
		deepest = max(deepest, depth+signs)
	}
	return deepest
}

func checkEffects(text string, m model.Model) error {
	for key, a := range m["e"] {
		switch a.Value {
		case constant.AllowOverrideEffect, constant.DenyOverrideEffect, constant.AllowAndDenyEffect,
			constant.PriorityEffect, constant.SubjectPriorityEffect:
		default:
			return modelProblem(lineOfKey(text, key), "%s: stock Casbin knows no policy effect of this spelling", key)
		}
	}
	return nil
}

func checkRoles(text string, m model.Model) error {
	for key, a := range m["g"] {
		if n := strings.Count(a.Value, "_"); n < 2 || len(a.Tokens) < 2 {
			return modelProblem(lineOfKey(text, key), "%s: a role definition has at least two fields", key)
		}
	}
	if m["e"]["e"].Value == constant.SubjectPriorityEffect && m["g"]["g"] == nil {
		return modelProblem(lineOfKey(text, "e"), "e: subject priority needs a role definition g")
	}
	return nil
}

// sameModel compares two models token by token.
func sameModel(a, b model.Model) bool {
	for _, section := range []string{"r", "p", "g", "e", "m"} {
		if len(a[section]) != len(b[section]) {
			return false
		}
		for key, x := range a[section] {
			y := b[section][key]
			if y == nil || squeeze(x.Value) != squeeze(y.Value) {
				return false
			}
		}
	}
	return true
}

// squeeze drops blanks outside of quotes, except between two words.
func squeeze(s string) string {
	var out []rune
	quote, blank := rune(0), false
	for _, c := range s {
		switch {
		case quote != 0:
			out = append(out, c)
			if c == quote {
				quote = 0
			}
			continue
		case unicode.IsSpace(c):
			blank = true
			continue
		case c == '"' || c == '\'':
			quote = c
		}
		if blank && len(out) > 0 && isWord(c) && isWord(out[len(out)-1]) {
			out = append(out, ' ')
		}
		blank = false
		out = append(out, c)
	}
	return string(out)
}

func isWord(c rune) bool { return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) }
