package plan

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ParseFunctions reads a file of functions, for instance
//
//	roles: {g2: keyMatch2}        # names in g2 are patterns
//	domains: {g: keyMatch}        # domains in g are patterns
//	conditions: {g: timeMatch}    # links of g hold for a time
//	eval: true                    # matchers may run texts of rules as code
//
// These are the words of the key functions in a bundle.yaml too. A mistake comes
// as access.Problems.
func ParseFunctions(file string, text []byte) (access.Functions, error) {
	var d struct {
		Roles      declared `yaml:"roles"`
		Domains    declared `yaml:"domains"`
		Conditions declared `yaml:"conditions"`
		Eval       bool     `yaml:"eval"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return access.Functions{}, access.Problems{{
			Origin: access.Origin{File: file, Line: lineIn(err.Error())}, Code: "functions-syntax",
			Message: shown(err.Error()), Hint: "write roles, domains and conditions, each with names of functions by role definition, and eval",
		}}
	}
	f := access.Functions{Eval: d.Eval, Origins: map[string]access.Origin{}}
	f.Roles = d.Roles.names("roles", file, f.Origins)
	f.Domains = d.Domains.names("domains", file, f.Origins)
	f.Conditions = d.Conditions.names("conditions", file, f.Origins)
	return f, f.Check().Err()
}

// declared are names of functions by role definition.
type declared map[string]yaml.Node

// names notes where each name stands.
func (d declared) names(kind, file string, places map[string]access.Origin) map[string]string {
	if d == nil {
		return nil
	}
	names := make(map[string]string, len(d))
	for definition, n := range d {
		names[definition] = n.Value
		places[kind+" "+definition] = access.Origin{File: file, Line: n.Line, Column: n.Column}
	}
	return names
}
