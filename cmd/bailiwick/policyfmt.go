package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

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
		found, err := formatFiles(root, names, formatted)
		if err != nil {
			return answer, err
		}
		problems = append(problems, below(root, found)...)
		answer.Files += len(names)
	}
	for file := range formatted {
		answer.Changed = append(answer.Changed, file)
	}
	slices.Sort(answer.Changed)
	if problems != nil {
		return answer, problems
	}
	if check {
		return answer, nil
	}
	return answer, rewrite(formatted)
}

// formatFiles adds those that are not in their canonical form.
func formatFiles(root string, names []string, to map[string][]byte) (access.Problems, error) {
	files, err := folder(root)
	if err != nil {
		return nil, err
	}
	before, err := bundle.Texts(files, names)
	if err != nil {
		return problemsIn(err), nil
	}
	var problems access.Problems
	for _, name := range names {
		file := filepath.Join(root, filepath.FromSlash(name))
		after, err := bundle.Format(name, []byte(before[name]))
		if found := problemsIn(err); found != nil {
			problems = append(problems, found...)
			continue
		}
		if err != nil {
			return nil, usage("%s: %w", file, err)
		}
		if string(after) != before[name] {
			to[file] = after
		}
	}
	return problems, nil
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
		files, err := folder(named)
		if err == nil {
			names, err = namesIn(named, files)
		}
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
