package engine

import (
	"fmt"
	"maps"
	"sync"
	"unicode"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine/plan"
)

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
	m, err := plan.ReadModel(text)
	if err != nil {
		return "", "", err
	}
	for combining, ours := range builtIn() {
		if sameModel(m, ours) {
			return "", combining, nil
		}
	}
	return text, "", nil
}

// builtIn gives the built-in models, read once.
var builtIn = sync.OnceValue(func() map[access.Combining]*plan.Model {
	models := map[access.Combining]*plan.Model{}
	for _, c := range []access.Combining{access.DenyOverrides, access.AllowOverrides} {
		m, err := plan.ReadModel(Model(c))
		if err != nil {
			panic(err) // a constant of ours, which tests read
		}
		models[c] = m
	}
	return models
})

// sameModel compares two models token by token.
func sameModel(a, b *plan.Model) bool {
	for _, kind := range []string{"r", "p", "g", "e", "m"} {
		if !maps.EqualFunc(a.Definitions(kind), b.Definitions(kind), func(x, y string) bool { return squeeze(x) == squeeze(y) }) {
			return false
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
