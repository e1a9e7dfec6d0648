package bundle_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/policies"
)

// schemas compiles the schema of each kind.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	compiled := map[string]*jsonschema.Schema{}
	for kind, src := range bundle.Schemas() {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(kind+".json", doc); err != nil {
			t.Fatal(err)
		}
		if compiled[kind], err = c.Compile(kind + ".json"); err != nil {
			t.Fatal(err)
		}
	}
	return compiled
}

// asJSON is what an editor makes of a YAML file.
func asJSON(t *testing.T, src []byte) map[string]any {
	t.Helper()
	var v, plain map[string]any
	if err := yaml.Unmarshal(src, &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	return plain
}

func yamlFiles(t *testing.T, fsys fs.FS, each func(name string, src []byte)) {
	t.Helper()
	err := fs.WalkDir(fsys, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".yaml" {
			return err
		}
		src, err := fs.ReadFile(fsys, name)
		each(name, src)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSchemas_acceptSampleFilesAndNoUnknownKeys: whatever the strict reader
// accepts, an editor must not mark as wrong.
func TestSchemas_acceptSampleFilesAndNoUnknownKeys(t *testing.T) {
	compiled := schemas(t)
	for _, tenant := range policies.Tenants() {
		fsys, err := policies.FS(tenant)
		if err != nil {
			t.Fatal(err)
		}
		yamlFiles(t, fsys, func(name string, src []byte) {
			doc := asJSON(t, src)
			schema := compiled[doc["kind"].(string)]
			if err := schema.Validate(doc); err != nil {
				t.Errorf("%s/%s: %v", tenant, name, err)
			}
			doc["unknown"] = true
			if schema.Validate(doc) == nil {
				t.Errorf("%s/%s: an unknown key is accepted", tenant, name)
			}
		})
	}
}

func TestSchemas_refuse(t *testing.T) {
	compiled := schemas(t)
	for name, tc := range map[string]struct{ kind, src string }{
		"unknown key inside": {"Role", "{apiVersion: bailiwick/v1, kind: Role, code: a, roles: [{role: b, unitl: x}]}"},
		"missing key":        {"Role", "{apiVersion: bailiwick/v1, kind: Role}"},
		"other kind":         {"Role", "{apiVersion: bailiwick/v1, kind: Group, code: a}"},
		"other version":      {"Role", "{apiVersion: v1, kind: Role, code: a}"},
		"wrong effect":       {"Role", "{apiVersion: bailiwick/v1, kind: Role, code: a, grants: [{section: A, rights: 2, effect: dney}]}"},
		"wrong sum":          {"Role", "{apiVersion: bailiwick/v1, kind: Role, code: a, grants: [{section: A, rights: 64}]}"},
		"grant in halves":    {"Role", "{apiVersion: bailiwick/v1, kind: Role, code: a, grants: [{section: A, crud: 2}]}"},
		"blank code":         {"Role", "{apiVersion: bailiwick/v1, kind: Role, code: a, roles: [' ']}"},
		"ceiling":            {"Group", "{apiVersion: bailiwick/v1, kind: Group, code: a, scopes: some}"},
	} {
		t.Run(name, func(t *testing.T) {
			if compiled[tc.kind].Validate(asJSON(t, []byte(tc.src))) == nil {
				t.Error("accepted")
			}
		})
	}
}

// TestSamples_areSound: every sample tenant can be read and formatted.
func TestSamples_areSound(t *testing.T) {
	for _, tenant := range policies.Tenants() {
		fsys, err := policies.FS(tenant)
		if err != nil {
			t.Fatal(err)
		}
		b := mustRead(t, fsys)
		if b.Policy.Tenant != tenant {
			t.Errorf("%s: the bundle says %q", tenant, b.Policy.Tenant)
		}
		yamlFiles(t, fsys, func(name string, src []byte) {
			if strings.HasPrefix(path.Base(name), "_") {
				return
			}
			format(t, name, string(src))
		})
	}
}
