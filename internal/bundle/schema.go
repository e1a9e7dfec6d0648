package bundle

import (
	"embed"
	"strings"
)

// The schemas are made from the structs of kinds.go by their golden test.
//
//go:generate go test -run ^TestSchemas_areThoseOfTheTypes$ -update .

//go:embed schema/*.json
var schemas embed.FS

// Schemas gives the JSON Schema of each kind of YAML file, by the name of the
// kind, for editors to check and complete files with.
func Schemas() map[string][]byte {
	all := map[string][]byte{}
	for _, k := range kinds {
		src, err := schemas.ReadFile("schema/" + strings.ToLower(k.name) + ".json")
		if err != nil {
			panic(err) // embedded when the binary was built; a test reads every one
		}
		all[k.name] = src
	}
	return all
}
