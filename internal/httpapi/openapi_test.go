package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

//go:generate go test . -run ^TestOpenAPI_isFresh$ -update

var update = flag.Bool("update", false, "write what is generated instead of comparing it")

const specFile = "../../api/openapi.json"

// TestOpenAPI_isFresh keeps api/openapi.json equal to what the table of routes
// and the Go types say.
func TestOpenAPI_isFresh(t *testing.T) {
	want := specOf(t, httpapi.Routes())
	if *update {
		if err := os.WriteFile(specFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Fatal("api/openapi.json is not what the routes and types say: run go generate ./internal/httpapi")
	}
	if !bytes.Equal(api.OpenAPI(), want) {
		t.Fatal("the embedded document is another one")
	}
}

// TestOpenAPI_describesEveryRoute goes the other way: whatever is registered
// has a summary, a tag, an answer, and a schema behind every reference.
func TestOpenAPI_describesEveryRoute(t *testing.T) {
	var spec struct {
		Paths      map[string]map[string]struct{ Summary string }
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(api.OpenAPI(), &spec); err != nil {
		t.Fatal(err)
	}
	for _, r := range httpapi.Routes() {
		if spec.Paths[r.Path][strings.ToLower(r.Method)].Summary == "" {
			t.Errorf("%s %s is not described", r.Method, r.Path)
		}
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(string(api.OpenAPI()), -1) {
		if spec.Components.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
}

// object keeps the order of members by sorting, as encoding/json does with maps.
type object = map[string]any

func specOf(t *testing.T, routes []httpapi.Route) []byte {
	t.Helper()
	schemas := object{}
	reflector := jsonschema.Reflector{Mapper: actionsSchema, AllowAdditionalProperties: true}
	if err := reflector.AddGoComments("github.com/bailiwick/bailiwick/api", "../../api"); err != nil {
		t.Fatal(err)
	}
	// AddGoComments joins package path and folder as if it ran in the module's root.
	comments := map[string]string{}
	for name, text := range reflector.CommentMap {
		comments["github.com/bailiwick/bailiwick/api"+name[strings.LastIndex(name, "/api")+len("/api"):]] = text
	}
	reflector.CommentMap = comments
	paths := object{}
	for _, r := range routes {
		item, _ := paths[r.Path].(object)
		if item == nil {
			item = object{}
			paths[r.Path] = item
		}
		item[strings.ToLower(r.Method)] = operationOf(t, &reflector, schemas, r)
	}
	text, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Bailiwick", "version": "1",
			"description": "Answers access questions and keeps the policy behind them. A denial is an answer with status 200; 401 and 403 only concern the caller.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []any{object{"url": "/"}},
		"paths":      paths,
		"components": object{"schemas": schemas, "securitySchemes": securitySchemes},
		"tags":       tagsOf(routes),
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte(`"items": true`), []byte(`"items": {}`))
	text = bytes.ReplaceAll(text, []byte("#/$defs/"), []byte("#/components/schemas/"))
	return append(text, '\n')
}

var securitySchemes = object{
	"bearer": object{"type": "http", "scheme": "bearer", "description": "An API key: bw_…"},
	"header": object{"type": "apiKey", "in": "header", "name": "X-API-Key"},
	"session": object{
		"type": "apiKey", "in": "cookie", "name": "__Host-bailiwick",
		"description": "Whoever has signed in. Requests that are no GET repeat csrf_token in the header X-CSRF-Token.",
	},
}

func tagsOf(routes []httpapi.Route) []any {
	var tags []any
	seen := map[string]bool{}
	for _, r := range routes {
		if !seen[r.Tag] {
			seen[r.Tag] = true
			tags = append(tags, object{"name": r.Tag})
		}
	}
	return tags
}

func operationOf(t *testing.T, reflector *jsonschema.Reflector, schemas object, r httpapi.Route) object {
	t.Helper()
	op := object{
		"operationId": operationID(r), "summary": r.Summary, "tags": []any{r.Tag}, "responses": responsesOf(t, reflector, schemas, r),
	}
	if r.Text != "" {
		op["description"] = r.Text
	}
	if r.Body != nil {
		op["requestBody"] = object{"required": true, "content": contentOf("application/json", refTo(t, reflector, schemas, r.Body))}
	}
	if len(r.Takes) > 0 {
		op["requestBody"] = object{"required": true, "content": binaryOf(r.Takes)}
	}
	if parameters := parametersOf(r); len(parameters) > 0 {
		op["parameters"] = parameters
	}
	session := object{"session": []any{}}
	switch r.Need {
	case "":
	case string(httpapi.NeedSession):
		op["security"] = []any{session}
	default:
		op["security"] = []any{object{"bearer": []any{}}, object{"header": []any{}}, session}
		op["x-key-kind"] = r.Need
	}
	return op
}

var notLetters = regexp.MustCompile(`[^a-zA-Z0-9]+`)

func operationID(r httpapi.Route) string {
	return strings.Trim(strings.ToLower(r.Method)+"_"+notLetters.ReplaceAllString(r.Path, "_"), "_")
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

func parametersOf(r httpapi.Route) []any {
	var all []any
	for _, name := range pathParameter.FindAllStringSubmatch(r.Path, -1) {
		all = append(all, object{"name": name[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range r.Query {
		all = append(all, object{"name": p.Name, "in": "query", "description": p.Text, "schema": schemaOf(p)})
	}
	if r.Tags && r.Method == "GET" {
		all = append(all, headerParam("If-None-Match", "The ETag of an answer that the client has: 304 where it would get the same again."))
	}
	if r.Change && r.Thing != "" {
		all = append(all, headerParam("If-Match", "The ETag of the "+r.Thing+" as the client has seen it: 412 where it has changed since."))
	}
	if r.Once {
		all = append(all, headerParam("Idempotency-Key", "Makes the change once, however often it is sent within a day with the same key: the answer is given again."))
	}
	return all
}

func headerParam(name, text string) object {
	return object{"name": name, "in": "header", "description": text, "schema": object{"type": "string"}}
}

func schemaOf(p httpapi.Param) object {
	schema := object{"type": p.Type}
	switch {
	case p.Format != "":
		schema["format"] = p.Format
	case len(p.Enum) > 0:
		schema["enum"] = p.Enum
	case p.Type == "integer":
		schema["minimum"], schema["maximum"] = p.Min, p.Max
	case p.Type == "string":
		schema["maxLength"] = p.Max
	}
	return schema
}

func responsesOf(t *testing.T, reflector *jsonschema.Reflector, schemas object, r httpapi.Route) object {
	t.Helper()
	good := object{"description": "The answer."}
	media := r.Media
	if media == "" {
		media = "application/json"
	}
	switch {
	case r.Answer != nil && r.Also != nil:
		good["content"] = contentOf(media, object{"anyOf": []any{refTo(t, reflector, schemas, r.Answer), refTo(t, reflector, schemas, r.Also)}})
	case r.Answer != nil:
		good["content"] = contentOf(media, refTo(t, reflector, schemas, r.Answer))
	case len(r.Makes) > 0:
		good["content"] = binaryOf(r.Makes)
	case r.Media != "":
		good["content"] = contentOf(media, object{})
	}
	if r.Tags && (r.Method == "GET" || r.Thing != "") {
		good["headers"] = object{"ETag": object{"description": "A strong tag of what the answer shows.", "schema": object{"type": "string"}}}
	}
	all := object{
		strconv.Itoa(r.Status): good,
		"default": object{"description": "A problem.", "content": contentOf("application/problem+json",
			refTo(t, reflector, schemas, api.Problem{}))},
	}
	if r.Tags && r.Method == "GET" {
		all["304"] = object{"description": "The client has the answer: If-None-Match names its tag."}
	}
	if r.Rehearsed {
		told := refTo(t, reflector, schemas, api.Rehearsal{})
		if r.Status == 200 && r.Answer != nil {
			good["content"] = contentOf(media, object{"anyOf": []any{refTo(t, reflector, schemas, r.Answer), told}})
		} else {
			all["200"] = object{"description": "What a dry run would change.", "content": contentOf(media, told)}
		}
	}
	if r.Path == "/readyz" {
		all["503"] = good
	}
	return all
}

func contentOf(media string, schema object) object { return object{media: object{"schema": schema}} }

// binaryOf describes contents that are files.
func binaryOf(media []string) object {
	all := object{}
	for _, m := range media {
		all[m] = object{"schema": object{}}
	}
	return all
}

// refTo adds the schema of a type and of everything in it, and refers to it.
func refTo(t *testing.T, reflector *jsonschema.Reflector, schemas object, v any) object {
	t.Helper()
	text, err := json.Marshal(reflector.Reflect(v))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for name, def := range schema.Defs {
		schemas[name] = def
	}
	return object{"$ref": "#/$defs/" + reflect.TypeOf(v).Name()}
}

// actionsSchema describes the one type that writes its own JSON.
func actionsSchema(t reflect.Type) *jsonschema.Schema {
	if t != reflect.TypeOf(api.Actions{}) {
		return nil
	}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string"},
		{Type: "array", Items: &jsonschema.Schema{Type: "string"}},
		{Type: "integer", Minimum: json.Number("2"), Maximum: json.Number("62")},
	}}
}
