package policies_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
	"github.com/bailiwick/bailiwick/policies"
)

// sections holds, for each tenant, the first and last number of the requirements
// of the system that it is a model of.
var sections = map[string][2]int{
	"crm-groups":    {1, 35},
	"crm-users":     {36, 48},
	"call-center":   {49, 65},
	"retail-rights": {66, 85},
	"web-to-print":  {86, 111},
}

func folder(t *testing.T, tenant string) fs.FS {
	t.Helper()
	fsys, err := policies.FS(tenant)
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

func read(t *testing.T, tenant string) (*bundle.Bundle, access.Problems) {
	t.Helper()
	b, problems, err := bundle.Lint(folder(t, tenant), bundle.Options{ModelOf: engine.ModelOf})
	if err != nil {
		t.Fatal(err)
	}
	if err := problems.Err(); err != nil {
		t.Fatalf("%s:\n%s", tenant, err)
	}
	return b, problems
}

func compile(p *access.Policy) (bundle.Decide, error) {
	s, err := engine.Compile(p.Facts())
	if err != nil {
		return nil, err
	}
	return s.Decide, nil
}

func stock(p *access.Policy) (bundle.Decide, error) {
	o, err := oracle.New(p.Facts(), nil)
	if err != nil {
		return nil, err
	}
	return o.Decide, nil
}

func run(t *testing.T, tenant string, decider bundle.Decider) *bundle.Report {
	t.Helper()
	b, _ := read(t, tenant)
	// A suite that depends on the real clock would break one day: this one is
	// far away, so it breaks now.
	report, err := bundle.RunTests(b, decider, bundle.RunOptions{Now: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestTenants_areTheFolders(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, e.Name())
		}
	}
	if got := policies.Tenants(); !slices.Equal(got, folders) {
		t.Errorf("Tenants() = %v, the folders are %v", got, folders)
	}
	for _, tenant := range policies.Tenants() {
		if b, _ := read(t, tenant); b.Policy.Tenant != tenant {
			t.Errorf("the folder %s holds the tenant %s", tenant, b.Policy.Tenant)
		}
	}
}

func TestFS_onlyTenants(t *testing.T) {
	for _, name := range []string{"", ".", "..", "nobody", "default/roles", "Default"} {
		if _, err := policies.FS(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("FS(%q): %v, want fs.ErrNotExist", name, err)
		}
	}
}

// Nothing is worth a warning but what a sample shows on purpose, and says so.
func TestTenants_lint(t *testing.T) {
	for _, tenant := range policies.Tenants() {
		b, problems := read(t, tenant)
		said, err := engine.Lint(context.Background(), &b.Policy, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if left := bundle.Silence(folder(t, tenant), append(problems, said...)); len(left) > 0 {
			t.Errorf("%s:\n%s", tenant, left.Error())
		}
	}
}

// The samples are what people copy, so they have the form that fmt gives.
func TestTenants_formatted(t *testing.T) {
	for _, tenant := range policies.Tenants() {
		fsys := folder(t, tenant)
		err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return formatted(fsys, name)
		})
		if err != nil {
			t.Errorf("%s: %v", tenant, err)
		}
	}
}

func formatted(fsys fs.FS, name string) error {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	want, err := bundle.Format(name, src)
	if err != nil {
		return err
	}
	if !bytes.Equal(src, want) {
		return fmt.Errorf("%s is not in canonical form", name)
	}
	return nil
}

// Req 61: every role and right carries a description for people.
func TestTenants_described(t *testing.T) {
	for _, tenant := range policies.Tenants() {
		b, _ := read(t, tenant)
		described := func(noun, name, description string) {
			if description == "" || strings.Contains(description, "\n") {
				t.Errorf("%s: %s %s needs a description of one line", tenant, noun, name)
			}
		}
		described("tenant", tenant, b.Policy.Description)
		for _, r := range b.Policy.Roles {
			described("role", r.Code, r.Description)
		}
		for _, g := range b.Policy.Groups {
			described("group", g.Code, g.Description)
		}
		for _, a := range b.Policy.Catalogue {
			described("application", a.Code, a.Description)
			for _, s := range a.Sections {
				described("section", string(s.Path), s.Description)
				for _, action := range s.Actions {
					described("action", string(s.Path)+" "+action.Name, action.Description)
				}
			}
		}
	}
}

// Every question of every sample is answered by the engine as its tests expect,
// and by stock Casbin too.
func TestTenants_decide(t *testing.T) {
	deciders := []struct {
		name   string
		decide bundle.Decider
	}{{"engine", compile}, {"stock", stock}}
	for _, tenant := range policies.Tenants() {
		for _, d := range deciders {
			t.Run(tenant+"/"+d.name, func(t *testing.T) {
				report := run(t, tenant, d.decide)
				var text strings.Builder
				if err := report.Text(&text, false); err != nil {
					t.Fatal(err)
				}
				if asked, failed := report.Count(); asked == 0 || failed > 0 {
					t.Error(text.String())
				}
				t.Log(strings.TrimSpace(text.String()))
			})
		}
	}
}

// The table in README.md is what the tests show.
func TestREADME_requirements(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range policies.Tenants() {
		row := regexp.MustCompile("(?m)^\\| `" + tenant + "` \\|.*\\| ?(.*) \\|$").FindSubmatch(readme)
		if row == nil {
			t.Errorf("%s has no row", tenant)
			continue
		}
		shown := slices.Sorted(maps.Keys(run(t, tenant, compile).Requirements()))
		if got := string(row[1]); got != ranges(shown) {
			t.Errorf("%s: the table says %q, the tests show %q", tenant, got, ranges(shown))
		}
	}
}

// ranges writes ascending numbers as people do: 40, 41, 44–48.
func ranges(numbers []int) string {
	var parts []string
	for len(numbers) > 0 {
		n := 1
		for n < len(numbers) && numbers[n] == numbers[0]+n {
			n++
		}
		if n > 2 {
			parts = append(parts, fmt.Sprintf("%d–%d", numbers[0], numbers[n-1]))
		} else {
			for _, number := range numbers[:n] {
				parts = append(parts, strconv.Itoa(number))
			}
		}
		numbers = numbers[n:]
	}
	return strings.Join(parts, ", ")
}

// A requirement counts as shown only if its questions are answered both ways: a
// sample in which everything is denied, or everything allowed, shows nothing.
func TestTenants_requirements(t *testing.T) {
	for _, tenant := range policies.Tenants() {
		report := run(t, tenant, compile)
		shown := slices.Sorted(maps.Keys(report.Requirements()))
		t.Logf("%-14s %v", tenant, shown)
		section, numbered := sections[tenant]
		if numbered == (len(shown) == 0) {
			t.Errorf("%s shows %v", tenant, shown)
		}
		for _, n := range shown {
			if n < section[0] || n > section[1] {
				t.Errorf("%s shows %d, which is not among its %d to %d", tenant, n, section[0], section[1])
			}
			if yes, no := answers(report, n); yes == 0 || no == 0 {
				t.Errorf("%s: requirement %d is shown by %d allowed and %d denied questions; it needs both", tenant, n, yes, no)
			}
		}
	}
}

func answers(report *bundle.Report, requirement int) (yes, no int) {
	for _, suite := range report.Suites {
		for _, test := range suite.Tests {
			if !slices.Contains(test.Shows, requirement) {
				continue
			}
			for _, a := range test.Answers {
				if a.Got.Allowed {
					yes++
				} else {
					no++
				}
			}
		}
	}
	return yes, no
}
