// Requirements writes docs/requirements.md: each requirement of the systems that
// the service is made for, with the tests that show it or the reason why it is
// left out. The tests name the numbers they show, as "Req 69" or "Req 52, 74 and
// 100" in their names, comments and headers, and as `shows: [49]` in the decision
// tests of policies.
//
//	go run ./scripts/requirements     from the root of the repository
package main

import (
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:generate go run -C ../.. ./scripts/requirements

// page is where the table stands, from the root of the repository.
const page = "docs/requirements.md"

//go:embed requirements.yaml
var listed []byte

// area is one of the systems, with what it asks for by number.
type area struct {
	Area         string
	Requirements map[int]requirement
}

// requirement is one line: what it asks for, and what of it is not there.
type requirement struct {
	Text  string
	Later string // what is still missing of it, although tests show the rest
	Left  string // why it is left out
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	text, err := table(os.DirFS("."))
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(text), 0o644) //nolint:gosec // a page for everybody
}

// table writes the page for the tests of a repository.
func table(repository fs.FS) (string, error) {
	areas, err := read()
	if err != nil {
		return "", err
	}
	tests, err := tests(repository)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(head)
	for _, a := range areas {
		fmt.Fprintf(&b, "\n## %s\n| | requirement | shown by |\n|---|---|---|\n", a.Area)
		for _, n := range numbers(a) {
			fmt.Fprintf(&b, "| %d | %s | %s |\n", n, a.Requirements[n].Text, shown(a.Requirements[n], tests[n]))
		}
	}
	return b.String(), nil
}

const head = `# Requirements and what shows them

What administrators of five kinds of business systems do every day, and the tests that
show that it works here. Written by ` + "`go generate ./scripts/requirements`" + ` from
` + "[scripts/requirements/requirements.yaml](../scripts/requirements/requirements.yaml)" + ` and the
numbers that tests name.
`

func read() ([]area, error) {
	var areas []area
	d := yaml.NewDecoder(strings.NewReader(string(listed)))
	d.KnownFields(true)
	if err := d.Decode(&areas); err != nil {
		return nil, fmt.Errorf("requirements.yaml: %w", err)
	}
	return areas, nil
}

func numbers(a area) []int {
	var all []int
	for n := range a.Requirements {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// most is how many tests a line names; more would hide the line.
const most = 4

func shown(r requirement, tests []string) string {
	if r.Left != "" {
		return "left out: " + r.Left
	}
	more := ""
	if len(tests) > most {
		more = fmt.Sprintf(", and %d more", len(tests)-most)
		tests = tests[:most]
	}
	words := strings.Join(tests, ", ") + more
	if r.Later != "" {
		words += ". Comes later: " + r.Later
	}
	return words
}

// tests finds which tests name which number. Each is named once, in the order of
// its package.
func tests(repository fs.FS) (map[int][]string, error) {
	found := map[int][]string{}
	err := fs.WalkDir(repository, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || name == "scripts/requirements") {
			return fs.SkipDir
		}
		scan := scanner(name)
		if scan == nil {
			return nil
		}
		text, err := fs.ReadFile(repository, name)
		if err != nil {
			return err
		}
		for n, tests := range scan(name, string(text)) {
			for _, test := range tests {
				if !slices.Contains(found[n], test) {
					found[n] = append(found[n], test)
				}
			}
		}
		return nil
	})
	return found, err
}

// scanner gives what reads the numbers of a file, or nil for a file that is no test.
func scanner(name string) func(name, text string) map[int][]string {
	switch {
	case strings.HasSuffix(name, "_test.go"):
		return goTests
	case strings.HasSuffix(name, ".txtar"):
		return script
	case strings.HasPrefix(name, "policies/") && strings.Contains(name, "/tests/"):
		return decisions
	}
	return nil
}

var (
	named  = regexp.MustCompile(`\bReq ?(\d+(?:(?:-|–|, | and )\d+)*)`)
	shows  = regexp.MustCompile(`(?m)^\s*shows: \[([\d, ]+)\]`)
	digits = regexp.MustCompile(`\d+|-|–`)
	begin  = regexp.MustCompile(`^func ((?:Test|Fuzz|Benchmark)\w+)`)
)

// goTests reads a Go file: a number belongs to the test in whose body or before
// which it stands.
func goTests(name, text string) map[int][]string {
	found, waiting, test := map[int][]string{}, []int(nil), ""
	note := func(n int) { found[n] = append(found[n], "`"+path.Dir(name)+"`."+test) }
	for line := range strings.Lines(text) {
		if m := begin.FindStringSubmatch(line); m != nil {
			test = m[1]
			for _, n := range waiting {
				note(n)
			}
			waiting = nil
		} else if strings.HasPrefix(line, "}") {
			test = ""
		}
		for _, n := range mentioned(line) {
			if test == "" {
				waiting = append(waiting, n)
				continue
			}
			note(n)
		}
	}
	return found
}

func script(name, text string) map[int][]string {
	found := map[int][]string{}
	for _, n := range mentioned(text) {
		found[n] = []string{"`" + strings.TrimPrefix(name, "cmd/bailiwick/testdata/") + "`"}
	}
	return found
}

func decisions(name, text string) map[int][]string {
	found := map[int][]string{}
	for _, m := range shows.FindAllStringSubmatch(text, -1) {
		for _, n := range expanded(m[1]) {
			found[n] = []string{"`" + name + "`"}
		}
	}
	return found
}

func mentioned(text string) []int {
	var all []int
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		all = append(all, expanded(m[1])...)
	}
	return all
}

// expanded reads "1, 3-5 and 7".
func expanded(list string) []int {
	var all []int
	upTo := false
	for _, part := range digits.FindAllString(list, -1) {
		n, err := strconv.Atoi(part)
		if err != nil {
			upTo = true
			continue
		}
		for first := n; upTo && len(all) > 0 && all[len(all)-1]+1 < first; {
			all = append(all, all[len(all)-1]+1)
		}
		all, upTo = append(all, n), false
	}
	return all
}
