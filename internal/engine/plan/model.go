package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/casbin/casbin/v2/config"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/util"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Limits of a model. The expression parser descends by recursion, so a text
// without bounds could exhaust the stack, from which no process recovers.
const (
	MaxModel     = 64 << 10 // bytes of the whole text
	MaxMatcher   = 8 << 10  // bytes of one matcher, or of one rule's text for eval()
	MaxNesting   = 100      // parentheses within parentheses
	maxModelLine = 4000     // Casbin silently cuts longer lines in two at 4096
)

// ModelFile stands for the model in the places of mistakes: it came as a text.
const ModelFile = "model.conf"

// sections are the names of a model's sections by their first letters.
var sections = map[string]string{
	"r": "request_definition", "p": "policy_definition", "g": "role_definition", "e": "policy_effect", "m": "matchers",
}

// definition is one "key = value" of a model as it stands in the text.
type definition struct {
	section, key string
	line         int
}

// Model is a model that Casbin has parsed and we have found no fault with. It
// never changes, and may be compiled with rules any number of times.
type Model struct {
	model model.Model
	lines map[string]int // by key
}

// Definitions gives the definitions of a kind ("r", "p", "g", "e" or "m") by their
// keys, as Casbin holds them.
func (s *Model) Definitions(kind string) map[string]string {
	all := map[string]string{}
	for key, a := range s.model[kind] {
		all[key] = a.Value
	}
	return all
}

// Line is the line on which the definition of a key begins.
func (s *Model) Line(key string) int { return s.lines[key] }

// ReadModel parses a model with Casbin. It refuses, as access.Problems with their
// lines, what Casbin would take and then fail on, pass over, or read differently
// from how it is written.
func ReadModel(text string) (s *Model, err error) {
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, modelProblem(0, "model-invalid", "", "the model cannot be read: %.200v", p)
		}
	}()
	if err := checkSize(text); err != nil {
		return nil, err
	}
	raw, err := config.NewConfigFromText(text)
	if err != nil {
		return nil, modelProblem(lineIn(err.Error()), "model-invalid", "", "%.200s", err)
	}
	m, err := model.NewModelFromString(text)
	if err != nil {
		return nil, modelProblem(lineIn(err.Error()), "model-invalid", "", "%.200s", err)
	}
	s = &Model{model: m, lines: map[string]int{}}
	var problems access.Problems
	for _, check := range []func() access.Problems{
		func() access.Problems { return s.checkDefinitions(text) },
		s.checkFields,
		s.checkRoles,
		func() access.Problems { return s.checkMatchers(text, raw) },
		s.checkEffects,
	} {
		if problems = append(problems, check()...); len(problems) > 0 {
			return nil, problems
		}
	}
	return s, nil
}

func modelProblem(line int, code, hint, format string, args ...any) access.Problems {
	return access.Problems{{
		Origin: access.Origin{File: ModelFile, Line: line}, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint,
	}}
}

// problem is about a definition.
func (s *Model) problem(key, code, hint, format string, args ...any) access.Problems {
	return modelProblem(s.lines[key], code, hint, key+": "+format, args...)
}

var saysLine = regexp.MustCompile(`line (\d+)`)

func lineIn(message string) int {
	found := saysLine.FindStringSubmatch(message)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

func checkSize(text string) error {
	if len(text) > MaxModel {
		return modelProblem(0, "model-size", "", "the model is %d bytes long; %d is the limit", len(text), MaxModel)
	}
	for i, line := range strings.Split(text, "\n") {
		if len(line) > maxModelLine {
			return modelProblem(i+1, "model-size", `end it with \ and go on in the next`, "the line is %d bytes long; %d is the limit", len(line), maxModelLine)
		}
	}
	return nil
}

// definitions finds where each definition begins.
func definitions(text string) []definition {
	var all []definition
	section, continued := "", false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
			continued = false
			continue
		case line[0] == '[' && line[len(line)-1] == ']':
			section, continued = line[1:len(line)-1], false
			continue
		}
		if key, _, ok := strings.Cut(line, "="); ok && !continued {
			all = append(all, definition{section, strings.TrimSpace(key), i + 1})
		}
		continued = strings.HasSuffix(line, `\`)
	}
	return all
}

// checkDefinitions refuses definitions that Casbin passes over in silence: of
// two with one key the first, and all that follow a gap in the numbering.
func (s *Model) checkDefinitions(text string) access.Problems {
	var problems access.Problems
	for _, d := range definitions(text) {
		letter := letterOf(d.section)
		switch {
		case letter == "":
			problems = append(problems, modelProblem(d.line, "definition-ignored", "", "Casbin reads no section [%.40s]", d.section)...)
		case s.lines[d.key] != 0:
			problems = append(problems, modelProblem(d.line, "definition-twice", "", "%.40s is defined twice", d.key)...)
		case s.model[letter][d.key] == nil:
			problems = append(problems, modelProblem(d.line, "definition-ignored", "", "Casbin passes over %.40s: definitions are called %s, %s2, %s3 and so on without a gap", d.key, letter, letter, letter)...)
		}
		s.lines[d.key] = d.line
	}
	return problems
}

func letterOf(section string) string {
	for letter, name := range sections {
		if name == section {
			return letter
		}
	}
	return ""
}

// checkFields refuses fields without a name and two of one name.
func (s *Model) checkFields() access.Problems {
	var problems access.Problems
	for _, letter := range []string{"r", "p"} {
		for key, a := range s.model[letter] {
			seen := map[string]bool{}
			for _, token := range a.Tokens {
				if token == key+"_" || seen[token] {
					problems = append(problems, s.problem(key, "model-field", "", "a field is blank or there twice")...)
				}
				seen[token] = true
			}
			if len(a.Tokens) > 64 {
				problems = append(problems, s.problem(key, "model-field", "", "there are more than 64 fields")...)
			}
		}
	}
	return problems
}

// checkRoles wants "_, _" with an optional third field and, for conditions on
// links, parameters in parentheses at the end.
func (s *Model) checkRoles() access.Problems {
	var problems access.Problems
	for key, a := range s.model["g"] {
		if n := len(a.Tokens); n < 2 || n > 3 || strings.Count(a.Value, "_") != n+len(a.ParamsTokens) {
			problems = append(problems, s.problem(key, "model-roles", "write _, _ or _, _, _", "a role definition has two or three fields")...)
		}
	}
	return problems
}

func (s *Model) checkMatchers(text string, raw config.ConfigInterface) access.Problems {
	var problems access.Problems
	add := func(p access.Problems) { problems = append(problems, p...) }
	for key, a := range s.model["m"] {
		written := raw.String(sections["m"] + "::" + key)
		switch {
		case len(a.Value) > MaxMatcher:
			add(s.problem(key, "matcher-size", "", "the matcher is %d bytes long; %d is the limit", len(a.Value), MaxMatcher))
		case nesting(a.Value) > MaxNesting:
			add(s.problem(key, "matcher-nesting", "", "parentheses are nested more than %d deep", MaxNesting))
		case !slices.Equal(literals(written), literals(unescape(a.Value))):
			add(s.problem(key, "matcher-literal", "", `Casbin would change a text in quotes: it turns [ ] into ( ) in a matcher with the letters "in", r. and p. after a blank into r_ and p_, and cuts at #`))
		}
		if odd := oddQuote(written); odd != "" {
			add(s.problem(key, "matcher-quote", "use one kind of quote, and none inside of texts", "%s", odd))
		}
	}
	for i, line := range strings.Split(text, "\n") {
		if cutsLiteral(strings.TrimSpace(line)) {
			add(modelProblem(i+1, "matcher-comment", "", "# and ; begin a comment even between quotes, so Casbin would cut the line there"))
		}
	}
	return problems
}

// unescape takes back that Casbin doubles the backslashes of literals.
func unescape(matcher string) string { return strings.ReplaceAll(matcher, `\\`, `\`) }

// literals gives the texts in quotes, as Casbin finds them: any quote ends one.
func literals(expression string) []string {
	var found []string
	for i, part := range strings.Split(strings.ReplaceAll(expression, `'`, `"`), `"`) {
		if i%2 == 1 {
			found = append(found, part)
		}
	}
	return found
}

// oddQuote finds a text that begins with one kind of quote and ends with the other.
func oddQuote(expression string) string {
	open := rune(0)
	for _, c := range expression {
		switch {
		case c != '"' && c != '\'':
		case open == 0:
			open = c
		case open != c:
			return fmt.Sprintf("a text begins with %c and ends with %c: to Casbin any quote ends any text", open, c)
		default:
			open = 0
		}
	}
	return ""
}

// cutsLiteral tells whether a line of a model has its comment sign in quotes.
func cutsLiteral(line string) bool {
	if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
		return false
	}
	open := rune(0)
	for _, c := range line {
		switch {
		case open == 0 && (c == '#' || c == ';'):
			return false
		case c == '#' || c == ';':
			return true
		case open == 0 && (c == '"' || c == '\''):
			open = c
		case c == '"' || c == '\'':
			open = 0
		}
	}
	return false
}

// nesting is the most parentheses, and signs in a row, through which the parser
// could have to descend. Quotes are not heeded, to be on the safe side.
func nesting(expression string) int {
	depth, signs, deepest := 0, 0, 0
	for _, c := range expression {
		switch c {
		case '(', '[':
			depth++
		case ')', ']':
			depth = max(0, depth-1)
		case '!', '-', '~', '?':
			signs++
		case ' ', '\t':
		default:
			signs = 0
		}
		deepest = max(deepest, depth+signs)
	}
	return deepest
}

// checkEffects wants one of the five effects that Casbin knows, to the letter.
func (s *Model) checkEffects() access.Problems {
	var problems access.Problems
	for key, a := range s.model["e"] {
		if _, ok := effects[a.Value]; !ok {
			hint := "write for instance some(where (p.eft == allow))"
			if strings.Contains(a.Value, "_eft") {
				hint = "write it with p.eft, blanks as in the manual; p.eft it is for p2 too"
			}
			problems = append(problems, s.problem(key, "effect-unknown", hint, "stock Casbin knows no policy effect of this spelling and would err at every question")...)
		}
	}
	if a := s.model["e"]["e"]; a == nil || s.model["m"]["m"] == nil || s.model["r"]["r"] == nil || s.model["p"]["p"] == nil {
		return append(problems, modelProblem(0, "model-invalid", "", "the model has no r, p, e or m")...)
	} else if effects[a.Value] == subjectPriority && s.model["g"]["g"] == nil {
		problems = append(problems, s.problem("e", "model-roles", "", "subject priority needs a role definition g")...)
	}
	return problems
}

// parts are the four definitions that answer a question together.
type parts struct{ r, p, e, m string }

// sets pairs the definitions: the set "" is r, p, e, m, and the set "2" is r2,
// p2, e2, m2, with the plain definition where the model has no numbered one.
func (s *Model) sets() map[string]parts {
	all := map[string]parts{}
	for _, letter := range []string{"r", "p", "e", "m"} {
		for key := range s.model[letter] {
			suffix := strings.TrimPrefix(key, letter)
			all[suffix] = s.partsOf(suffix)
		}
	}
	for suffix, p := range all {
		if suffix != "" && p.m == "m" {
			delete(all, suffix) // nothing but definitions that another set uses
		}
	}
	return all
}

func (s *Model) partsOf(suffix string) parts {
	return parts{s.or("r", suffix), s.or("p", suffix), s.or("e", suffix), s.or("m", suffix)}
}

func (s *Model) or(letter, suffix string) string {
	if s.model[letter][letter+suffix] != nil {
		return letter + suffix
	}
	return letter
}

// implicitDomains tells whether Casbin makes keyMatch the domain matching
// function of every three-field role definition, which the mere letters of the
// first matcher cause.
func (s *Model) implicitDomains() bool {
	return strings.Contains(s.model["m"]["m"].Value, "keyMatch(r_dom, p_dom)")
}

// readsRules tells whether Casbin goes through the rules at all for a matcher,
// which again depends on its letters only.
func readsRules(matcher, ptype string) bool { return strings.Contains(matcher, ptype+"_") }

func hasEval(matcher string) bool { return util.HasEval(matcher) }
