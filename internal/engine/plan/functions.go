package plan

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/casbin/casbin/v2/util"
	"github.com/casbin/govaluate"
)

// builtins are the functions that stock Casbin offers to every matcher.
var builtins = map[string]govaluate.ExpressionFunction{
	"keyMatch": util.KeyMatchFunc, "keyMatch2": util.KeyMatch2Func, "keyMatch3": util.KeyMatch3Func,
	"keyMatch4": util.KeyMatch4Func, "keyMatch5": util.KeyMatch5Func,
	"keyGet": util.KeyGetFunc, "keyGet2": util.KeyGet2Func, "keyGet3": util.KeyGet3Func,
	"regexMatch": util.RegexMatchFunc, "ipMatch": util.IPMatchFunc, "globMatch": util.GlobMatchFunc,
}

// expressions are the functions that make a program of their second argument, a
// regular expression or a glob. A question must not choose it: it could match
// everything, take long, and Casbin would remember some of them for ever.
var expressions = []string{"keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "keyGet2", "keyGet3", "regexMatch", "globMatch"}

// pattern is a compiled second argument: it tells whether a first one matches.
// It neither errs nor panics, whatever text it gets.
type pattern func(text string) bool

// patterns are the compiled patterns of a policy by function and text, but for
// those that are matched as they stand. Only rules and matchers fill it.
type patterns map[string]map[string]pattern

// add compiles a pattern, once; nil means that match needs nothing compiled.
func (ps patterns) add(function, text string) (pattern, error) {
	if p := ps[function][text]; p != nil || plain(function, text) {
		return p, nil
	}
	p, err := compile(function, text)
	if err != nil || p == nil {
		return nil, err
	}
	if function == "keyMatch4" && grouped(text) {
		return nil, fmt.Errorf("it has a group of its own, with which Casbin fails when it matches")
	}
	if ps[function] == nil {
		ps[function] = map[string]pattern{}
	}
	ps[function][text] = p
	return p, nil
}

// functions gives the functions for the interpreter: Casbin's own, but with the
// patterns of the policy compiled beforehand.
func (ps patterns) functions() map[string]govaluate.ExpressionFunction {
	table := make(map[string]govaluate.ExpressionFunction, len(builtins))
	for name, stock := range builtins {
		table[name] = func(args ...any) (any, error) {
			text, with, ok := texts(args)
			if !ok || (name == "ipMatch" && net.ParseIP(text) == nil) {
				return stock(args...)
			}
			if p := ps[name][with]; p != nil {
				return p(text), nil
			}
			if paths[name] && plain(name, with) {
				return matchPath(name, text, with), nil
			}
			return stock(args...)
		}
	}
	return table
}

func texts(args []any) (first, second string, ok bool) {
	if len(args) != 2 {
		return "", "", false
	}
	first, ok1 := args[0].(string)
	second, ok2 := args[1].(string)
	return first, second, ok1 && ok2
}

// paths are the functions that compare paths segment by segment.
var paths = map[string]bool{"keyMatch2": true, "keyMatch3": true, "keyMatch5": true}

// plain tells whether a pattern is one that nearly everybody writes: a path of
// segments that are plain or named as a whole, with perhaps "/*" at the end.
// Such paths are matched as they stand, in a tenth of the time of a regular
// expression and without its memory; and so are all patterns of keyMatch.
func plain(function, text string) bool {
	if !paths[function] {
		return function == "keyMatch"
	}
	for at := 0; ; {
		segment, _, more := strings.Cut(text[at:], "/")
		if open := segment == "*" && !more && at > 0; !open && !named(function, segment) && !plainSegment(segment) {
			return false
		}
		if !more {
			return true
		}
		at += len(segment) + 1
	}
}

// named tells whether a segment is :name, or {name} to the other functions.
func named(function, segment string) bool {
	if function == "keyMatch2" {
		return len(segment) > 1 && segment[0] == ':'
	}
	return len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}'
}

func plainSegment(segment string) bool {
	for i := range len(segment) {
		c := segment[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// matchPath compares a text with a plain path.
func matchPath(function, text, path string) bool {
	if function == "keyMatch5" {
		text, _, _ = strings.Cut(text, "?")
	}
	for {
		segment, rest, more := strings.Cut(path, "/")
		if segment == "*" {
			return !strings.Contains(text, "\n") // to a regular expression "." is not a line's end
		}
		part, left, deeper := strings.Cut(text, "/")
		if named(function, segment) && part == "" || !named(function, segment) && part != segment {
			return false
		}
		if more != deeper || !more {
			return more == deeper
		}
		path, text = rest, left
	}
}

// compile makes a pattern, or says why Casbin could not use it.
func compile(function, text string) (pattern, error) {
	switch function {
	case "keyMatch":
		return func(s string) bool { return util.KeyMatch(s, text) }, nil
	case "keyMatch4":
		return compileRepeated(text)
	case "keyMatch2":
		return compilePath(text, coloned)
	case "keyMatch3":
		return compilePath(text, braced)
	case "keyMatch5":
		p, err := compilePath(text, braced)
		return func(s string) bool { s, _, _ = strings.Cut(s, "?"); return p(s) }, err
	case "keyGet2", "keyGet3", "keyGet":
		return nil, tryGet(function, text)
	case "regexMatch":
		re, err := regexp.Compile(text)
		if err != nil {
			return nil, err
		}
		return re.MatchString, nil
	case "globMatch":
		return compileGlob(text)
	case "ipMatch":
		return compileIP(text)
	}
	return nil, fmt.Errorf("there is no function %s", function)
}

var (
	coloned  = regexp.MustCompile(`:[^/]+`)    // /:name
	braced   = regexp.MustCompile(`\{[^/]+\}`) // /{name}
	captured = regexp.MustCompile(`\{([^/]+)\}`)
)

// compilePath does what Casbin does with a path: "/*" stands for anything from
// there on, and a named part for one segment or a piece of it.
func compilePath(text string, named *regexp.Regexp) (pattern, error) {
	expression := named.ReplaceAllLiteralString(strings.ReplaceAll(text, "/*", "/.*"), "[^/]+")
	re, err := regexp.Compile("^" + expression + "$")
	if err != nil {
		return nil, err
	}
	return re.MatchString, nil
}

// compileRepeated does keyMatch4: parts of one name must be equal. Like Casbin
// it panics when a pattern with groups of its own matches; add keeps these out.
func compileRepeated(text string) (pattern, error) {
	expression, names := repeated(text)
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	return func(s string) bool {
		found := re.FindStringSubmatch(s)
		switch {
		case found == nil:
			return false
		case len(found)-1 != len(names):
			panic("KeyMatch4: number of tokens is not equal to number of values")
		}
		for i, name := range names {
			if first := slices.Index(names, name); found[first+1] != found[i+1] {
				return false
			}
		}
		return true
	}, nil
}

func repeated(text string) (expression string, names []string) {
	expression = captured.ReplaceAllStringFunc(strings.ReplaceAll(text, "/*", "/.*"), func(s string) string {
		names = append(names, s[1:len(s)-1])
		return "([^/]+)"
	})
	return "^" + expression + "$", names
}

// grouped tells whether a path for keyMatch4 has groups that are not of {names}.
func grouped(text string) bool {
	expression, names := repeated(text)
	re, err := regexp.Compile(expression)
	return err == nil && re.NumSubexp() != len(names)
}

func compileGlob(text string) (pattern, error) {
	if _, err := util.GlobMatch("", text); err != nil {
		return nil, err
	}
	return func(s string) bool { ok, err := util.GlobMatch(s, text); return ok && err == nil }, nil
}

// compileIP gives a pattern that is true of no text but addresses; Casbin would
// err at others, so they must not get here.
func compileIP(text string) (pattern, error) {
	if _, network, err := net.ParseCIDR(text); err == nil {
		return func(s string) bool { ip := net.ParseIP(s); return ip != nil && network.Contains(ip) }, nil
	}
	address := net.ParseIP(text)
	if address == nil {
		return nil, fmt.Errorf("it is neither an IP address nor a network")
	}
	return func(s string) bool { return address.Equal(net.ParseIP(s)) }, nil
}

// tryGet finds patterns at which keyGet2 and keyGet3 would fail.
func tryGet(function, text string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	switch function {
	case "keyGet2":
		util.KeyGet2("/", text, "x")
	case "keyGet3":
		util.KeyGet3("/", text, "x")
	}
	return nil
}

// meta are the characters by which a text can match others than itself.
var meta = map[string]string{
	"keyMatch":   "*",
	"keyMatch2":  `\.+*?()|[]{}^$:`,
	"keyMatch3":  `\.+*?()|[]{}^$`,
	"keyMatch4":  `\.+*?()|[]{}^$`,
	"keyMatch5":  `\.+*?()|[]{}^$`,
	"globMatch":  `*?[]{}\`,
	"regexMatch": `\.+*?()|[]{}^$`,
}

// anchor gives the run of characters with which every text that a pattern
// matches must begin; exact means that it is the only text that matches. It may
// say less than is true, never more.
func anchor(function, text string) (prefix string, exact bool) {
	switch function {
	case "ipMatch":
		return "", false
	case "regexMatch":
		if !strings.HasPrefix(text, "^") {
			return "", false
		}
		prefix, _ = leading(function, text[1:], text)
		return prefix, false
	case "keyMatch5":
		prefix, _ = leading(function, text, text) // with a query it matches more than itself
		return prefix, false
	}
	return leading(function, text, text)
}

func leading(function, text, whole string) (prefix string, exact bool) {
	end := strings.IndexAny(text, meta[function])
	if function == "keyMatch" && end >= 0 {
		return text[:end], false
	}
	if function != "keyMatch" {
		// To the others all bytes that are no text are one and the same sign.
		if odd := strings.IndexRune(text, utf8.RuneError); odd >= 0 && (end < 0 || odd < end) {
			end = odd
		}
	}
	if end < 0 {
		return text, true
	}
	if function != "globMatch" && strings.Contains(whole, "|") {
		return "", false // the other side of it is not anchored
	}
	if end > 0 && strings.IndexByte("?*+{", text[end]) >= 0 {
		end-- // the sign may make the character before it optional
		for end > 0 && text[end]&0xC0 == 0x80 {
			end-- // the whole character
		}
	}
	return text[:end], false
}

// single tells whether a pattern matches nothing but its own text.
func single(function, text string) bool {
	_, exact := anchor(function, text)
	return exact
}

// span is a time for which a link holds; nil is no bound.
type span struct{ after, before *time.Time }

// parseSpan reads the parameters of timeMatch.
func parseSpan(parameters []string) (s span, err error) {
	if len(parameters) != 2 {
		return span{}, fmt.Errorf("timeMatch takes two parameters")
	}
	if s.after, err = parseTime(parameters[0]); err != nil {
		return span{}, err
	}
	s.before, err = parseTime(parameters[1])
	return s, err
}

func parseTime(text string) (*time.Time, error) {
	if text == "_" {
		return nil, nil
	}
	t, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		return nil, fmt.Errorf(`write the time %q as "2006-01-02 15:04:05", or as _ for no bound`, text)
	}
	return &t, nil
}

func (s span) holds(now time.Time) bool {
	return (s.after == nil || now.After(*s.after)) && (s.before == nil || now.Before(*s.before))
}
