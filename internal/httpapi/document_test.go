package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

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
var describedAt = sync.OnceValue(func() func(method, path string) *openapi3.Operation {
	type described struct {
		path *regexp.Regexp
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
		byMethod[r.Method] = append(byMethod[r.Method], described{regexp.MustCompile("^" + is + "$"), d.Paths.Value(r.Path).GetOperation(r.Method)})
	}
	return func(method, path string) *openapi3.Operation {
		var best *openapi3.Operation
		length := -1
		for _, x := range byMethod[method] {
			if plain := len(strings.ReplaceAll(x.path.String(), `[^/]+`, "")); x.path.MatchString(path) && plain > length {
				best, length = x.of, plain
			}
		}
		return best
	}
})

// asDescribed holds an answer in JSON against the document: every one of every
// test of this package.
func asDescribed(t testing.TB, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	op := describedAt()(r.Method, r.URL.EscapedPath())
	if op == nil || w.Body.Len() == 0 || w.Code == http.StatusNotModified {
		return
	}
	answer := op.Responses.Value(strconv.Itoa(w.Code))
	if answer == nil {
		answer = op.Responses.Value("default")
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
	var v any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		return
	}
	if err := content.Schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.VisitAsResponse()); err != nil {
		t.Errorf("%s %s: %d is not as described: %.600s\n%.600s", r.Method, r.URL.Path, w.Code, err.Error(), w.Body)
	}
}
