package bundle

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/bailiwick/bailiwick/internal/access"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestSchemas_areThoseOfTheTypes lies inside the package because the types of
// the format are nobody else's business.
func TestSchemas_areThoseOfTheTypes(t *testing.T) {
	for _, k := range kinds {
		file := filepath.Join("schema", strings.ToLower(k.name)+".json")
		want := schemaOf(t, k)
		if *update {
			if err := os.WriteFile(file, want, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := Schemas()[k.name]; !*update && !bytes.Equal(got, want) {
			t.Errorf("%s is not what the types say; run go generate ./internal/bundle", file)
		}
	}
}

func schemaOf(t *testing.T, k kind) []byte {
	t.Helper()
	r := jsonschema.Reflector{
		Anonymous: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true, FieldNameTag: "yaml",
		Mapper:        special,
		LookupComment: comment,
	}
	s := r.Reflect(k.make())
	s.Title = "Bailiwick " + k.name
	if p, ok := s.Properties.Get("kind"); ok {
		p.Const = k.name
	}
	for name, def := range s.Definitions {
		s.Definitions[name] = withShort(name, def)
	}
	if grant := s.Definitions["grantEntry"]; grant != nil {
		grant.OneOf = []*jsonschema.Schema{{Required: []string{"section", "rights"}}, {Required: []string{"name", "crud"}}}
	}
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// comment gives the doc tag of a field.
func comment(t reflect.Type, name string) string {
	if name == "" || t.Kind() != reflect.Struct {
		return ""
	}
	f, _ := t.FieldByName(name)
	return f.Tag.Get("doc")
}

// withShort lets the bare value stand for a mapping, where a type allows it.
func withShort(name string, def *jsonschema.Schema) *jsonschema.Schema {
	for _, t := range []reflect.Type{reflect.TypeFor[groupLink](), reflect.TypeFor[roleLink](), reflect.TypeFor[actionEntry]()} {
		if t.Name() == name {
			return &jsonschema.Schema{OneOf: []*jsonschema.Schema{text(), def}}
		}
	}
	return def
}

func text() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `\S`}
}

func listOf(item *jsonschema.Schema) *jsonschema.Schema {
	one := uint64(1)
	return &jsonschema.Schema{Type: "array", Items: item, MinItems: &one, UniqueItems: true}
}

func number(low, high string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "integer", Minimum: json.Number(low), Maximum: json.Number(high)}
}

func either(a ...*jsonschema.Schema) *jsonschema.Schema { return &jsonschema.Schema{OneOf: a} }

func words(enum ...any) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Enum: enum} }

func anys(names []string) []any {
	var all []any
	for _, name := range names {
		all = append(all, name)
	}
	return all
}

// special gives the schemas of the types that decode themselves.
func special(t reflect.Type) *jsonschema.Schema {
	names := anys(access.RightNames())
	switch t {
	case reflect.TypeFor[rights]():
		return either(number("0", "63"), listOf(text()))
	case reflect.TypeFor[standardRights]():
		return either(number("1", "63"), listOf(words(names...)))
	case reflect.TypeFor[sum]():
		return number("0", "63")
	case reflect.TypeFor[verbs]():
		return either(number("2", "62"), text(), listOf(text()))
	case reflect.TypeFor[ceiling]():
		return either(words("all", "none"), listOf(text()))
	case reflect.TypeFor[word]():
		return text()
	case reflect.TypeFor[matching]():
		return words(anys(access.MatchingFunctions())...)
	case reflect.TypeFor[limiting]():
		return words(anys(access.ConditionFunctions())...)
	case reflect.TypeFor[truth]():
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.TypeFor[attributes]():
		return &jsonschema.Schema{Type: "object"}
	case reflect.TypeFor[values]():
		one := uint64(1)
		return &jsonschema.Schema{Type: "array", MinItems: &one}
	case reflect.TypeFor[time.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	}
	return nil
}
