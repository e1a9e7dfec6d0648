package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

type fmtAnswer struct {
	Changed []string `json:"changed"` // under --check: would change
	Files   int      `json:"files"`
}

func (c *cli) policyFmtCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt DIR|FILE...",
		Short: "Write policy files in their canonical form",
		Long: `Write policy files in their canonical form, comments kept, and list those that
changed. With --check nothing is written, and the exit code is 1 when a file is
not in its canonical form.`,
		Example: `  bailiwick policy fmt policies/call-center
  bailiwick policy fmt policies/call-center/roles/call-handling.yaml
  bailiwick policy fmt --check policies/*`,
		Args: between(1, -1),
		RunE: func(_ *cobra.Command, paths []string) error {
			answer, err := format(paths, check)
			if err != nil {
				return err
			}
			if err := c.answer(answer, func(w io.Writer) { writeLines(w, answer.Changed) }); err != nil {
				return err
			}
			if check && len(answer.Changed) > 0 {
				return &exitError{exitFailed, fmt.Errorf("%s not in canonical form; run bailiwick policy fmt",
					plural(len(answer.Changed), "file is", "files are"))}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; exit with code 1 when something would change")
	return cmd
}

func writeLines(w io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}

// format formats everything in memory first: either all files are written or,
// where one holds a mistake, none.
func format(paths []string, check bool) (fmtAnswer, error) {
	answer := fmtAnswer{Changed: []string{}}
	var problems access.Problems
	formatted := map[string][]byte{}
	for _, p := range paths {
		root, names, err := bundleFiles(p)
		if err != nil {
			return answer, err
		}
		for _, name := range names {
			file := filepath.Join(root, filepath.FromSlash(name))
			before, after, err := formatFile(root, name)
			if found := problemsIn(err); found != nil {
				problems = append(problems, below(root, found)...)
				continue
			}
			if err != nil {
				return answer, usage("%s: %w", file, err)
			}
			answer.Files++
			if _, twice := formatted[file]; !twice && !bytes.Equal(before, after) {
				answer.Changed, formatted[file] = append(answer.Changed, file), after
			}
		}
	}
	if problems != nil {
		return answer, problems
	}
	if check {
		return answer, nil
	}
	return answer, rewrite(formatted)
}

func formatFile(root, name string) (before, after []byte, err error) {
	if before, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(name))); err != nil { //nolint:gosec // the caller names the folder on purpose
		return nil, nil, err
	}
	after, err = bundle.Format(name, before)
	return before, after, err
}

func rewrite(files map[string][]byte) error {
	for file, text := range files {
		if err := os.WriteFile(file, text, 0o644); err != nil { //nolint:gosec // the file is there; its permissions stay
			return err
		}
	}
	return nil
}

// bundleFiles gives the folder of a bundle and the names in it that path means:
// all of them, or the one that it names.
func bundleFiles(named string) (root string, names []string, err error) {
	info, err := os.Stat(named)
	if err != nil {
		return "", nil, usage("%s does not exist; name a bundle's folder or a file in it", named)
	}
	if info.IsDir() {
		names, err = policyFiles(named)
		return named, names, err
	}
	for root = filepath.Dir(named); ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "bundle.yaml")); err == nil {
			name, err := filepath.Rel(root, named)
			return root, []string{filepath.ToSlash(name)}, err
		}
		if root == filepath.Dir(root) || root == "." {
			return "", nil, usage("%s is in no bundle: there is no bundle.yaml above it", named)
		}
	}
}

// policyFiles lists the files that belong to a bundle. Names that begin with
// "." or "_", and README.md, belong to people and tools.
func policyFiles(dir string) (names []string, err error) {
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil || name == ".":
			return err
		case strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "README.md":
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir():
			names = append(names, name)
		}
		return nil
	})
	return names, err
}
