// Package policies holds the sample tenants that come with Bailiwick, each a
// bundle of policy files in a folder of its own. They are embedded in the
// binary, so that a first start has something to answer questions about.
package policies

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
)

// Each tenant is named, so that a stray folder beside them is never shipped.
//
//go:embed all:call-center all:crm-groups all:crm-users all:default all:retail-rights all:web-to-print
var files embed.FS

// Tenants gives the codes of the sample tenants in alphabetical order. The code
// of a tenant is the name of its folder.
func Tenants() []string {
	return []string{"call-center", "crm-groups", "crm-users", "default", "retail-rights", "web-to-print"}
}

// FS gives the bundle of one sample tenant, with bundle.yaml at its top. For
// any other name the error is of kind fs.ErrNotExist.
func FS(tenant string) (fs.FS, error) {
	if !slices.Contains(Tenants(), tenant) {
		return nil, fmt.Errorf("sample tenant %q: %w", tenant, fs.ErrNotExist)
	}
	return fs.Sub(files, tenant)
}
