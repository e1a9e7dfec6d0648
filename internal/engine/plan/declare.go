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
//
// A mistake comes as access.Problems.
func ParseFunctions(file string, text []byte) (Functions, error) {
	var f struct {
		Roles      map[string]string `yaml:"roles"`
		Domains    map[string]string `yaml:"domains"`
		Conditions map[string]string `yaml:"conditions"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return Functions{}, access.Problems{{
			Origin: access.Origin{File: file, Line: lineIn(err.Error())}, Code: "functions-syntax",
			Message: shown(err.Error()), Hint: "write roles, domains and conditions, each with names of functions by role definition",
		}}
	}
	return Functions(f), nil
}
