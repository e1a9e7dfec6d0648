package httpapi_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// document is api/openapi.json as somebody else's library reads it.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	return openapi3.NewLoader().LoadFromData(api.OpenAPI())
})

// TestOpenAPI_isValid: the document keeps to OpenAPI 3.1, by the judgement of a
// library that others use to read it.
func TestOpenAPI_isValid(t *testing.T) {
	d, err := document()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	for name, broken := range map[string][2]string{
		"a reference to nothing":  {`"#/components/schemas/Problem"`, `"#/components/schemas/Trouble"`},
		"a parameter of nowhere":  {`"in": "query"`, `"in": "quest"`},
		"a type that is none":     {`"type": "boolean"`, `"type": "bool"`},
		"a path without its name": {`"name": "tenant",`, ``},
	} {
		d, err := openapi3.NewLoader().LoadFromData(bytes.Replace(api.OpenAPI(), []byte(broken[0]), []byte(broken[1]), 1))
		if err == nil {
			err = d.Validate(context.Background())
		}
		if err == nil {
			t.Errorf("%s is not noticed", name)
		}
	}
}

// describedAt finds what is described for a request; nil where nothing is.
var describedAt = sync.OnceValue(func() func(method, path string) (string, *openapi3.Operation) {
	type described struct {
		path *regexp.Regexp
		at   string
		of   *openapi3.Operation
	}
	byMethod := map[string][]described{}
	d, err := document()
	if err != nil {
		return nil
	}
	parameter := regexp.MustCompile(`\\\{\w+\\\}`)
	for _, r := range httpapi.Routes() {
		is := parameter.ReplaceAllString(regexp.QuoteMeta(r.Path), `[^/]+`)
		byMethod[r.Method] = append(byMethod[r.Method], described{regexp.MustCompile("^" + is + "$"), r.Path, d.Paths.Value(r.Path).GetOperation(r.Method)})
	}
	return func(method, path string) (at string, best *openapi3.Operation) {
		length := -1
		for _, x := range byMethod[method] {
			if plain := len(strings.ReplaceAll(x.path.String(), `[^/]+`, "")); x.path.MatchString(path) && plain > length {
				at, best, length = x.at, x.of, plain
			}
		}
		return at, best
	}
})

// schemas are those of the document that were asked for, by where they stand.
var schemas struct {
	sync.Mutex
	compiler *jsonschema.Compiler
	known    map[string]*jsonschema.Schema
}

// compiled gives the schema at a place of the document.
func compiled(at ...string) (*jsonschema.Schema, error) {
	place := "#"
	for _, step := range at {
		place += "/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	schemas.Lock()
	defer schemas.Unlock()
	if s := schemas.known[place]; s != nil {
		return s, nil
	}
	const address = "urn:openapi.json"
	if schemas.compiler == nil {
		whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(api.OpenAPI()))
		if err != nil {
			return nil, err
		}
		schemas.compiler, schemas.known = jsonschema.NewCompiler(), map[string]*jsonschema.Schema{}
		if err := schemas.compiler.AddResource(address, whole); err != nil {
			return nil, err
		}
	}
	s, err := schemas.compiler.Compile(address + place)
	schemas.known[place] = s
	return s, err
}

// asDescribed holds an answer in JSON against the document: every one of every
// test of this package.
func asDescribed(t testing.TB, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	path, op := describedAt()(r.Method, r.URL.EscapedPath())
	if op == nil || w.Body.Len() == 0 || w.Code == http.StatusNotModified {
		return
	}
	status := strconv.Itoa(w.Code)
	answer := op.Responses.Value(status)
	if answer == nil {
		status, answer = "default", op.Responses.Value("default")
	}
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	if media != "application/json" && media != "application/problem+json" {
		return
	}
	content := answer.Value.Content.Get(media)
	if content == nil {
		t.Errorf("%s %s: %d %s is not described", r.Method, r.URL.Path, w.Code, media)
		return
	}
	if content.Schema == nil {
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		return
	}
	schema, err := compiled("paths", path, strings.ToLower(r.Method), "responses", status, "content", media, "schema")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%s %s: %d is not as described: %.600s\n%.600s", r.Method, r.URL.Path, w.Code, err.Error(), w.Body)
	}
}
