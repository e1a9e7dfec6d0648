package main_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bailiwick/bailiwick"

// floors says which rooms of ours a room may import. "..." behind a name stands
// for the room and its sub-rooms. A room that is not listed here fails the
// test: a new room gets a place on a floor first.
var floors = map[string][]string{
	// 4: everything, and nobody imports it.
	"cmd/bailiwick":        {"api...", "internal...", "policies"},
	"scripts/bench":        {"api...", "internal...", "policies"},
	"scripts/requirements": {},

	// 3
	"internal/httpapi": {"api", "internal/access", "internal/service", "internal/sheet"},
	"internal/console": {},
	"api/middleware":   {"api"},

	// 2
	"internal/service": {"internal/access"},

	// 1: never each other.
	"internal/engine":        {"internal/access", "internal/engine/plan"},
	"internal/engine/oracle": {"internal/access", "internal/engine", "internal/engine/plan"}, // a sub-room: stock Casbin, the reference
	"internal/engine/plan":   {"internal/access"},                                            // a sub-room: any Casbin model
	"internal/store":         {"internal/access"},
	"internal/cache":         {"internal/access"},
	"internal/audit":         {"internal/access"},
	"internal/mail":          {"internal/access"},
	"internal/oidc":          {"internal/access"},
	"internal/bundle":        {"internal/access"},

	// 0
	"internal/access": {},
	"api":             {},
	"policies":        {},
	"internal/config": {},
	"internal/sheet":  {},

	// Beside the house: tests of the whole, and helpers of tests.
	"internal/faults":     {},
	"internal/accesstest": {"api...", "internal...", "policies"},
}

// owners names the rooms that may import an outside library (by prefix).
var owners = map[string][]string{
	"github.com/casbin/casbin":           {"internal/engine", "internal/engine/oracle", "internal/engine/plan", "internal/store", "scripts/bench"},
	"github.com/casbin/gorm-adapter":     {"internal/store"},
	"github.com/casbin/govaluate":        {"internal/engine", "internal/engine/plan"},
	"cel.dev/cel-go":                     {"internal/engine"},
	"gorm.io/":                           {"internal/store"},
	"github.com/glebarez/":               {"internal/store"},
	"modernc.org/":                       {"internal/store"},
	"github.com/go-sql-driver/":          {"internal/store", "internal/accesstest"},
	"github.com/pressly/goose":           {"internal/store"},
	"github.com/redis/go-redis":          {"internal/cache", "internal/accesstest"},
	"github.com/maypok86/otter":          {"internal/cache", "internal/engine"},
	"github.com/sony/gobreaker":          {"internal/cache"},
	"github.com/gin-gonic/gin":           {"internal/httpapi", "api/middleware", "scripts/bench"},
	"github.com/prometheus/":             {"internal/httpapi"},
	"go.opentelemetry.io/otel":           {"cmd/bailiwick", "internal/cache", "internal/httpapi", "internal/store"},
	"go.opentelemetry.io/otel/sdk":       {"cmd/bailiwick"},
	"go.opentelemetry.io/otel/exporters": {"cmd/bailiwick"},
	"go.yaml.in/yaml":                    {"cmd/bailiwick", "internal/bundle", "internal/config", "internal/engine/plan", "scripts/requirements"},
	"github.com/KimMachineGun":           {"cmd/bailiwick"},
	"github.com/spf13/cobra":             {"cmd/bailiwick"},
	"github.com/coreos/go-oidc":          {"internal/oidc"},
	"golang.org/x/oauth2":                {"internal/oidc"},
	"github.com/wneessen/go-mail":        {"internal/mail"},
	"github.com/emersion/":               {"internal/accesstest"},
	"golang.org/x/text":                  {"internal/access"},
	"github.com/pquerna/otp":             {"internal/service"},
	"golang.org/x/crypto":                {"internal/service"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

// TestFloors fails on any import that the table does not allow.
func TestFloors(t *testing.T) {
	for _, pkg := range listPackages(t) {
		room := strings.TrimPrefix(strings.TrimPrefix(pkg.ImportPath, module), "/")
		allowed, known := floors[room]
		if !known {
			t.Errorf("%s stands on no floor: add it to the table in floors_test.go", room)
			continue
		}
		for _, path := range pkg.Imports {
			if ours, isOurs := strings.CutPrefix(path, module+"/"); isOurs {
				if !reaches(allowed, ours) {
					t.Errorf("%s imports %s, which its floor does not allow", room, ours)
				}
				continue
			}
			for prefix, rooms := range owners {
				if strings.HasPrefix(path, prefix) && !slices.Contains(rooms, room) {
					t.Errorf("%s imports %s, which belongs to %s", room, path, strings.Join(rooms, " and "))
				}
			}
		}
		if room == "internal/access" {
			onlyStandard(t, pkg)
		}
	}
}

// onlyStandard: the words need nothing but the standard library and the tables
// of Unicode's normal forms.
func onlyStandard(t *testing.T, pkg goPackage) {
	t.Helper()
	for _, path := range pkg.Imports {
		first, _, _ := strings.Cut(path, "/")
		if strings.Contains(first, ".") && path != "golang.org/x/text/unicode/norm" {
			t.Errorf("%s imports %s", pkg.ImportPath, path)
		}
	}
}

// TestFloors_tableCatches shows that the table refuses what it should.
func TestFloors_tableCatches(t *testing.T) {
	for _, c := range []struct {
		room, imports string
		want          bool
	}{
		{"internal/store", "internal/engine", false},
		{"internal/access", "internal/engine", false},
		{"internal/service", "internal/store", false},
		{"internal/httpapi", "internal/service", true},
		{"cmd/bailiwick", "internal/engine/oracle", true},
		{"cmd/bailiwick", "internalx", false},
	} {
		if got := reaches(floors[c.room], c.imports); got != c.want {
			t.Errorf("%s may import %s: got %v, want %v", c.room, c.imports, got, c.want)
		}
	}
}

func reaches(allowed []string, room string) bool {
	for _, a := range allowed {
		if tree, all := strings.CutSuffix(a, "..."); all {
			if room == tree || strings.HasPrefix(room, tree+"/") {
				return true
			}
		} else if room == a {
			return true
		}
	}
	return false
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) == 0 {
		t.Fatal("go list found no package")
	}
	return pkgs
}
