package plan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/casbin/govaluate"
)

// token is a token of the expression language, as the interpreter's own lexer
// finds it, so that we cannot disagree with it about what a text means.
type token struct {
	govaluate.ExpressionToken
	name string // of a function or a variable
}

// lex splits an expression. The lexer replaces the names of functions by the
// functions; so we give it functions that answer with their names.
func lex(text string, functions []string) (tokens []token, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%.200v", p)
		}
	}()
	if err := checkText(text); err != nil {
		return nil, err
	}
	probes := make(map[string]govaluate.ExpressionFunction, len(functions))
	for _, name := range functions {
		probes[name] = func(...any) (any, error) { return name, nil }
	}
	parsed, err := govaluate.NewEvaluableExpressionWithFunctions(text, probes)
	if err != nil {
		return nil, err
	}
	for _, t := range parsed.Tokens() {
		tokens = append(tokens, token{t, nameOf(t)})
	}
	return tokens, nil
}

// checkText refuses texts on which the lexer only counts and the parser then
// loses its way: ")(" is as good to it as "()". It also refuses backslashes
// outside of quotes, with which names could contain any sign.
func checkText(text string) error {
	depth, quoted, bracketed, escaped := 0, false, false, false
	for _, c := range text {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case quoted:
			quoted = c != '\'' && c != '"'
		case c == '\\':
			return errors.New("there is a backslash outside of quotes")
		case bracketed:
			bracketed = c != ']'
		case c == '\'' || c == '"':
			quoted = true
		case c == '[':
			bracketed = true
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 || quoted || bracketed {
		return errors.New("parentheses, brackets or quotes do not pair")
	}
	return nil
}

func nameOf(t govaluate.ExpressionToken) string {
	switch v := t.Value.(type) {
	case govaluate.ExpressionFunction:
		name, _ := v()
		return name.(string)
	case string:
		if t.Kind == govaluate.VARIABLE {
			return v
		}
	case []string:
		return v[0] // of an accessor such as r_sub.Age, the variable
	}
	return ""
}

func variable(name string) token {
	return token{govaluate.ExpressionToken{Kind: govaluate.VARIABLE, Value: name}, name}
}

func boolean(b bool) token {
	return token{ExpressionToken: govaluate.ExpressionToken{Kind: govaluate.BOOLEAN, Value: b}}
}

func (t token) is(kind govaluate.TokenKind, value string) bool {
	return t.Kind == kind && t.Value == value
}

func (t token) and() bool { return t.is(govaluate.LOGICALOP, "&&") }
func (t token) or() bool  { return t.is(govaluate.LOGICALOP, "||") }

// split cuts tokens at each one that separates, outside of parentheses.
func split(tokens []token, separates func(token) bool) [][]token {
	var parts [][]token
	depth, from := 0, 0
	for i, t := range tokens {
		switch {
		case t.Kind == govaluate.CLAUSE:
			depth++
		case t.Kind == govaluate.CLAUSE_CLOSE:
			depth--
		case depth == 0 && separates(t):
			parts = append(parts, tokens[from:i:i])
			from = i + 1
		}
	}
	return append(parts, tokens[from:])
}

// has tells whether a kind of token stands outside of parentheses.
func has(tokens []token, kind govaluate.TokenKind) bool {
	return len(split(tokens, func(t token) bool { return t.Kind == kind })) > 1
}

// bare takes off parentheses that enclose the whole.
func bare(tokens []token) []token {
	for len(tokens) > 1 && closing(tokens, 0) == len(tokens)-1 {
		tokens = tokens[1 : len(tokens)-1]
	}
	return tokens
}

// closing finds the parenthesis that closes the one at i; -1 if none opens there.
func closing(tokens []token, i int) int {
	if i >= len(tokens) || tokens[i].Kind != govaluate.CLAUSE {
		return -1
	}
	depth := 0
	for j := i; j < len(tokens); j++ {
		switch tokens[j].Kind { //nolint:exhaustive // only parentheses count
		case govaluate.CLAUSE:
			depth++
		case govaluate.CLAUSE_CLOSE:
			if depth--; depth == 0 {
				return j
			}
		}
	}
	return -1
}

// call is a function with its arguments somewhere in an expression.
type call struct {
	function  string
	from, to  int // where it stands, with its closing parenthesis
	arguments [][]token
}

// calls finds all functions, also those in arguments of others.
func calls(tokens []token) []call {
	var all []call
	for i, t := range tokens {
		if t.Kind != govaluate.FUNCTION {
			continue
		}
		end := closing(tokens, i+1)
		c := call{function: t.name, from: i, to: end}
		if inner := tokens[i+2 : end]; len(inner) > 0 {
			c.arguments = split(inner, func(t token) bool { return t.Kind == govaluate.SEPARATOR })
		}
		all = append(all, c)
	}
	return all
}

// replace puts variables, in parentheses, in the place of calls. The
// interpreter treats a variable in parentheses and a call alike wherever a value
// can stand.
func replace(tokens []token, by func(call) (name string, ok bool)) []token {
	out := slices.Clone(tokens)
	for _, c := range slices.Backward(calls(tokens)) {
		if name, ok := by(c); ok {
			open, end := token{ExpressionToken: govaluate.ExpressionToken{Kind: govaluate.CLAUSE, Value: '('}}, token{ExpressionToken: govaluate.ExpressionToken{Kind: govaluate.CLAUSE_CLOSE, Value: ')'}}
			out = slices.Replace(out, c.from, c.to+1, open, variable(name), end)
		}
	}
	return out
}

// build makes an expression of tokens.
func build(tokens []token, functions map[string]govaluate.ExpressionFunction) (x *govaluate.EvaluableExpression, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%.200v", p)
		}
	}()
	plain := make([]govaluate.ExpressionToken, len(tokens))
	for i, t := range tokens {
		plain[i] = t.ExpressionToken
		if t.Kind == govaluate.FUNCTION {
			plain[i].Value = functions[t.name]
		}
	}
	return govaluate.NewEvaluableExpressionFromTokens(plain)
}

// isMatch tells whether a token compares with a regular expression.
func isMatch(t token) bool {
	return t.Kind == govaluate.COMPARATOR && (t.Value == "=~" || t.Value == "!~")
}

// rightOf gives the operand behind the comparator at i: all that binds closer.
func rightOf(tokens []token, i int) []token {
	end := i + 1
	for end < len(tokens) {
		if closed := closing(tokens, end); closed >= 0 {
			end = closed + 1
			continue
		}
		switch tokens[end].Kind { //nolint:exhaustive // all others bind closer
		case govaluate.COMPARATOR, govaluate.LOGICALOP, govaluate.TERNARY, govaluate.SEPARATOR, govaluate.CLAUSE_CLOSE:
			return tokens[i+1 : end]
		}
		end++
	}
	return tokens[i+1:]
}

func conjunction() token {
	return token{ExpressionToken: govaluate.ExpressionToken{Kind: govaluate.LOGICALOP, Value: "&&"}}
}
