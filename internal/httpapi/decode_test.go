package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// TestDecode_refusesWhatTwoProgramsReadDifferently: each of these bodies lets
// encoding/json, or a program before or behind us, see another question than
// we would.
func TestDecode_refusesWhatTwoProgramsReadDifferently(t *testing.T) {
	for name, body := range map[string]string{
		"a second subject":                    `{"subject":"user:a","subject":"user:b"}`,
		"a second subject, escaped":           `{"subject":"user:a","subj\u0065ct":"user:b"}`,
		"Subject":                             `{"Subject":"user:b"}`,
		"Subject behind subject":              `{"subject":"user:a","Subject":"user:b"}`,
		"ſubject with U+017F":                 `{"ſubject":"user:b"}`,
		"ſubject, escaped":                    `{"\u017fubject":"user:b"}`,
		"scope in capitals":                   `{"SCOPE":"store:a"}`,
		"subjectAttributes":                   `{"subjectAttributes":{}}`,
		"Kelvin sign for k":                   `{"re\u017fource":{}}`,
		"Attributes within resource":          `{"resource":{"Attributes":{}}}`,
		"a second member in free form":        `{"context":{"a":1,"a":2}}`,
		"a second member where nobody looks":  `{"future":{"a":1,"a":2}}`,
		"a second document":                   `{} {}`,
		"text behind the end":                 `{}x`,
		"a lone surrogate":                    `{"subject":"user:\ud800"}`,
		"a lone low surrogate":                `{"context":{"a":"\udc00"}}`,
		"a lone surrogate in an unknown name": `{"\ud800":1}`,
		"bytes that are not UTF-8":            "{\"subject\":\"user:\xff\"}",
		"a byte order mark":                   "\ufeff{}",
		"a number beyond a double":            `{"context":{"a":1e999}}`,
		"an id that loses a digit":            `{"context":{"id":9007199254740993}}`,
		"NaN":                                 `{"context":{"a":NaN}}`,
		"a comma too many":                    `{"subject":"user:a",}`,
		"a comment":                           `{/**/}`,
		"single quotes":                       `{'subject':'user:a'}`,
		"a control character":                 "{\"subject\":\"user:\x01\"}",
		"nothing":                             ``,
		"blanks":                              " \n\t",
		"half of it":                          `{"subject":"us`,
		"deeper than 32":                      `{"context":` + nested(32) + `}`,
		"deeper than 32 where nobody looks":   `{"future":` + nested(32) + `}`,
		"1001 members":                        members(1001),
		"1001 members in free form":           `{"context":` + members(1001) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := httpapi.DecodeRequest([]byte(body))
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			if p := httpapi.ProblemOf(err); p.Status != 400 || p.Code != "json_invalid" {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// TestDecode_wrongShapesNameTheField shows that what is valid JSON of the wrong
// form is refused with the field.
func TestDecode_wrongShapesNameTheField(t *testing.T) {
	for body, field := range map[string]string{
		`[]`:                             "body",
		`null`:                           "body",
		`"subject"`:                      "body",
		`{"subject":5}`:                  "subject",
		`{"subject":null}`:               "subject",
		`{"action":{}}`:                  "action",
		`{"action":1.5}`:                 "action",
		`{"action":1e1}`:                 "action",
		`{"action":["show",2]}`:          "action",
		`{"resource":"order"}`:           "resource",
		`{"resource":{"id":17}}`:         "resource.id",
		`{"resource":{"attributes":[]}}`: "resource.attributes",
		`{"context":[]}`:                 "context",
		`{"context":null}`:               "context",
		`{"request":"alice"}`:            "request",
		`{"subject":"` + strings.Repeat("x", 257) + `"}`: "subject",
	} {
		_, err := httpapi.DecodeRequest([]byte(body))
		var told *access.Error
		if !errors.As(err, &told) || !errors.Is(err, access.ErrInvalid) || told.Field != field {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

// TestDecode_acceptsUpToTheLimits is the other side of every limit.
func TestDecode_acceptsUpToTheLimits(t *testing.T) {
	for name, body := range map[string]string{
		"32 deep":                    `{"context":{"a":` + nested(30) + `}}`,
		"32 deep where nobody looks": `{"future":` + nested(31) + `}`,
		"1000 members":               members(1000),
		"the largest exact integer":  `{"context":{"a":9007199254740991,"b":-9007199254740991}}`,
		"256 bytes":                  `{"subject":"` + strings.Repeat("x", 256) + `"}`,
		"a pair of surrogates":       `{"subject":"user:\ud83d\ude00"}`,
		"case in free form":          `{"context":{"a":1,"A":2}}`,
		"blanks around":              " {} \n",
	} {
		if _, err := httpapi.DecodeRequest([]byte(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// nested gives objects and arrays n deep.
func nested(n int) string {
	return strings.Repeat(`[`, n-1) + `{}` + strings.Repeat(`]`, n-1)
}

func members(n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(`"m%d":0`, i)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// FuzzDecode: what is accepted is strict JSON by a slow, independent reading of
// the rules, and means to encoding/json the same as to us.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"subject":"user:a","action":"show","section":"S","context":{"a":[1,{"b":null}],"A":true}}`,
		`{"a":1,"a":2}`, `{"\u0061":1,"a":2}`, `{"a":"\ud800"}`, `[1e999]`, `{} {}`, "\"\xff\"", nested(33), `[1,2.5,-0,"x"]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := httpapi.DecodeAny(body)
		if err != nil {
			return
		}
		if !utf8.Valid(body) || !json.Valid(body) {
			t.Fatalf("accepted %q", body)
		}
		var want any
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", body, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %#v to us and %#v to encoding/json", body, got, want)
		}
		if depth(got) > 32 {
			t.Fatalf("accepted something %d deep", depth(got))
		}
		if n := countMembers(t, body); n != membersOf(got) {
			t.Fatalf("%q has %d members and %d were kept: one is there twice", body, n, membersOf(got))
		}
	})
}

// FuzzDecodeRequest: no accepted question can be read differently by a decoder
// that ignores case, as encoding/json does.
func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{
		`{"subject":"user:a","action":["show"],"section":"S","resource":{"type":"order","id":"1","attributes":{"Type":1}}}`,
		`{"Subject":"user:b"}`, `{"ſubject":"user:b"}`, `{"request":["a","b","c",2]}`, `{"subject":"user:a","subject\u0000":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := httpapi.DecodeRequest(body)
		if err != nil {
			return
		}
		var folded struct {
			Subject, Section, Scope string
			Resource                struct{ Type, ID string }
		}
		if err := json.Unmarshal(body, &folded); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", body, err)
		}
		if folded.Subject != got.Subject || folded.Section != got.Section || folded.Scope != got.Scope {
			t.Fatalf("%q is %+v to us and %+v to encoding/json", body, got, folded)
		}
		if got.Resource != nil && (folded.Resource.Type != got.Resource.Type || folded.Resource.ID != got.Resource.ID) {
			t.Fatalf("%q is %+v to us and %+v to encoding/json", body, got.Resource, folded)
		}
	})
}

func depth(v any) int {
	deepest := -1
	switch v := v.(type) {
	case map[string]any:
		for _, m := range v {
			deepest = max(deepest, depth(m))
		}
	case []any:
		for _, m := range v {
			deepest = max(deepest, depth(m))
		}
	default:
		return 0
	}
	return max(deepest, 0) + 1
}

func membersOf(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, m := range v {
			n += membersOf(m)
		}
	case []any:
		for _, m := range v {
			n += membersOf(m)
		}
	}
	return n
}

// countMembers counts names in the text, twice if they are there twice.
func countMembers(t *testing.T, body []byte) int {
	t.Helper()
	n := 0
	dec := json.NewDecoder(strings.NewReader(string(body)))
	type level struct{ object, name bool }
	stack := []level{{}}
	for dec.More() || len(stack) > 1 {
		token, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		top := &stack[len(stack)-1]
		switch token {
		case json.Delim('{'), json.Delim('['):
			top.name = top.object
			stack = append(stack, level{object: token == json.Delim('{'), name: token == json.Delim('{')})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			continue
		}
		if top.object && top.name {
			n++
		}
		top.name = top.object && !top.name
	}
	return n
}
