package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/config"
)

func providers(t *testing.T, text string) ([]config.Provider, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "providers.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.SignIn{ProvidersFile: path}.Providers()
}

const provider = "providers:\n  - {tenant: crm, code: corporate, issuer: 'https://id.example.com', client_id: bailiwick"

func TestProviders(t *testing.T) {
	all, err := providers(t, provider+", groups_claim: groups, groups: {staff: sales}}\n")
	if err != nil || len(all) != 1 || all[0].Name != "corporate" || all[0].GroupsByName["staff"] != "sales" || len(all[0].Scopes) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if none, err := (config.SignIn{}).Providers(); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}

// TestProviders_mistakes: what is missing is a mistake at start, never a check
// that is left out.
func TestProviders_mistakes(t *testing.T) {
	for want, text := range map[string]string{
		"issuer is required":            "providers: [{tenant: crm, code: a, client_id: b}]",
		"client_id is required":         "providers: [{tenant: crm, code: a, issuer: 'https://id.example.com'}]",
		"tenant is required":            "providers: [{code: a, issuer: 'https://id.example.com', client_id: b}]",
		"must be an https URL":          "providers: [{tenant: crm, code: a, issuer: 'http://id.example.com', client_id: b}]",
		"must be 1 to 40 small letters": "providers: [{tenant: crm, code: A/b, issuer: 'https://id.example.com', client_id: b}]",
		"groups needs groups_claim":     provider + ", groups: {staff: sales}}",
		"field isuer not found":         "providers: [{tenant: crm, code: a, isuer: x}]",
		"client_secret_file":            provider + ", client_secret_file: /does/not/exist}",
		"is there twice":                provider + "}\n  - {tenant: crm, code: corporate, issuer: 'https://id.example.com', client_id: other}",
	} {
		if _, err := providers(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
