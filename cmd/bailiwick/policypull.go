package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

// pulledName is the file that notes what a folder was pulled from. Names that
// begin with a dot are no part of a bundle.
const pulledName = ".pulled"

// pulled is what stands in it.
type pulled struct {
	Tenant   string `json:"tenant"`
	Revision uint64 `json:"revision"`
}

// pullAnswer says what was done.
type pullAnswer struct {
	Tenant      string          `json:"tenant"`
	Revision    uint64          `json:"revision"`
	Written     []string        `json:"written"`
	Removed     []string        `json:"removed"`
	Kept        int             `json:"kept"`            // files that said the same already
	Drift       []api.Operation `json:"drift,omitempty"` // from the files to the server, where both were changed
	Overwritten bool            `json:"overwritten,omitempty"`
}

func (c *cli) policyPullCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pull DIR",
		Short: "Write the policy of a server to files",
		Long: `Write the policy of a server to the files of a folder, in canonical form. Files
that say the same already are left alone, with their comments, and so are tests.
Loading what was pulled changes nothing.

Accounts stand in files when they came from files; with --users all of them do.

What was changed in the files since they were last pulled is not overwritten: the
differences are shown, and the exit code is 1. --force takes the server's side.`,
		Example: `  bailiwick policy pull policies/crm --tenant crm --server http://127.0.0.1:8080
  bailiwick policy pull policies/crm --tenant crm --force
  bailiwick policy pull /tmp/then --tenant crm --as-of 2026-03-01T00:00:00Z`,
		Args: exactly(1),
	}
	at := versionFlags(cmd)
	asOf := asOfFlag(cmd)
	users := cmd.Flags().Bool("users", false, "with accounts that were made on the server, too")
	force := cmd.Flags().Bool("force", false, "overwrite what was changed in the files")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := at.needServer()
		if err != nil {
			return err
		}
		theirs, err := client.PolicyFiles(cmd.Context(), at.tenant, *asOf, *users)
		if err != nil {
			return err
		}
		p := pull{dir: args[0], theirs: theirs, force: *force}
		p.base = func(revision uint64) (api.PolicyFiles, error) {
			return client.PolicyFiles(cmd.Context(), at.tenant, fmt.Sprint(revision), *users)
		}
		if err := p.run(); err != nil {
			return err
		}
		if err := c.answer(p.answer, func(w io.Writer) { p.write(w) }); err != nil {
			return err
		}
		if len(p.answer.Drift) > 0 && !*force {
			return reported(exitFailed)
		}
		return nil
	}
	return cmd
}

// pull brings a folder to what a server has.
type pull struct {
	dir    string
	theirs api.PolicyFiles
	base   func(revision uint64) (api.PolicyFiles, error)
	force  bool
	answer pullAnswer

	ours, server *access.Policy
	mine         map[string]string // texts of the folder
}

func (p *pull) run() error {
	p.answer = pullAnswer{Tenant: p.theirs.Tenant, Revision: p.theirs.Revision, Written: []string{}, Removed: []string{}}
	var err error
	if p.server, err = policyOf(p.theirs.Files); err != nil {
		return fmt.Errorf("what the server sent: %w", err)
	}
	if p.mine, err = p.folder(); err != nil {
		return err
	}
	if len(p.mine) > 0 {
		if err := p.compare(); err != nil {
			return err
		}
	}
	if len(p.answer.Drift) > 0 && !p.force {
		return nil
	}
	p.answer.Overwritten = len(p.answer.Drift) > 0
	return p.bring()
}

// folder reads what is there, which may be nothing.
func (p *pull) folder() (map[string]string, error) {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return texts(p.dir)
}

// compare finds out whether the files were changed since they were pulled.
func (p *pull) compare() error {
	var err error
	if p.ours, err = policyOf(p.mine); err != nil {
		return placed(p.dir, err)
	}
	differs := p.between(p.ours, p.server)
	if len(differs) == 0 {
		return nil
	}
	then, known, err := p.pulledFrom()
	if err != nil {
		return err
	}
	if known && len(p.between(p.ours, then)) == 0 {
		return nil // only the server has moved on
	}
	p.answer.Drift = differs
	return nil
}

// noteLoaded notes that a folder that was pulled says what it was loaded as.
func noteLoaded(dir string, loaded api.PolicyLoaded) error {
	was, known, err := readPulled(dir)
	if err != nil || !known || loaded.DryRun || was.Tenant != loaded.Tenant {
		return err
	}
	return writePulled(dir, pulled{loaded.Tenant, loaded.Revision})
}

// readPulled tells from what a folder was pulled, if it was.
func readPulled(dir string) (was pulled, known bool, err error) {
	name := filepath.Join(dir, pulledName)
	text, err := os.ReadFile(name) //nolint:gosec // the caller names the folder on purpose
	if errors.Is(err, fs.ErrNotExist) {
		return was, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err != nil {
		return was, false, fmt.Errorf("%s is not what policy pull has written; remove it and pull again: %w", name, err)
	}
	return was, true, nil
}

func writePulled(dir string, is pulled) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	note, err := json.Marshal(is)
	if err != nil {
		return err
	}
	return put(root, pulledName, string(note)+"\n")
}

// between says what turns one policy into another, but for whom it is.
func (p *pull) between(before, after *access.Policy) []api.Operation {
	x, y := *before, *after
	x.Tenant, y.Tenant = "", ""
	var all []api.Operation
	for _, o := range access.Diff(&x, &y) {
		all = append(all, api.Operation{
			Verb: string(o.Verb), Kind: o.Kind, Of: o.Of, Name: o.Name, Field: o.Field, Before: o.Before, After: o.After, Text: o.String(),
		})
	}
	return all
}

// pulledFrom gives the policy that the folder was last pulled from.
func (p *pull) pulledFrom() (*access.Policy, bool, error) {
	was, known, err := readPulled(p.dir)
	if err != nil || !known || was.Tenant != p.theirs.Tenant || was.Revision == 0 {
		return nil, false, err
	}
	then, err := p.base(was.Revision)
	if err != nil {
		return nil, false, fmt.Errorf("revision %d, which %s was pulled from: %w", was.Revision, p.dir, err)
	}
	policy, err := policyOf(then.Files)
	return policy, err == nil, err
}

// bring writes what differs and removes what the server does not have, and nothing
// outside of the folder, wherever links in it may lead.
func (p *pull) bring() error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil { //nolint:gosec // policies are not secret
		return err
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(p.theirs.Files)) {
		if _, there := p.mine[name]; there && p.says(name) {
			p.answer.Kept++
			continue
		}
		if err := put(root, name, p.theirs.Files[name]); err != nil {
			return err
		}
		p.answer.Written = append(p.answer.Written, name)
	}
	for _, name := range slices.Sorted(maps.Keys(p.mine)) {
		if _, stays := p.theirs.Files[name]; stays || strings.HasPrefix(name, "tests/") {
			continue
		}
		if err := root.Remove(filepath.FromSlash(name)); err != nil {
			return err
		}
		p.answer.Removed = append(p.answer.Removed, name)
	}
	return writePulled(p.dir, pulled{p.theirs.Tenant, p.theirs.Revision})
}

// says tells whether a file of the folder says what the server's does.
func (p *pull) says(name string) bool {
	return p.ours != nil && len(p.between(bundle.Piece(p.ours, name), bundle.Piece(p.server, name))) == 0
}

func put(root *os.Root, name, text string) error {
	if err := root.MkdirAll(filepath.FromSlash(path.Dir(name)), 0o755); err != nil {
		return err
	}
	return root.WriteFile(filepath.FromSlash(name), []byte(text), 0o644)
}

func (p *pull) write(w io.Writer) {
	a := p.answer
	if len(a.Drift) > 0 && !a.Overwritten {
		fmt.Fprintf(w, "%s was changed, and so was tenant %s; from the files to the server's revision %d:\n", p.dir, a.Tenant, a.Revision)
		writeOperations(w, a.Drift, colours(w))
		fmt.Fprintln(w, "nothing was written; load the files, or take the server's side with --force")
		return
	}
	fmt.Fprintf(w, "%s is at revision %d of tenant %s: %s written, %s removed, %d as they were\n", p.dir, a.Revision, a.Tenant,
		plural(len(a.Written), "file", "files"), plural(len(a.Removed), "file", "files"), a.Kept)
	for _, name := range a.Written {
		fmt.Fprintf(w, "  %s\n", name)
	}
	for _, name := range a.Removed {
		fmt.Fprintf(w, "  %s (removed)\n", name)
	}
}

// policyOf reads the texts of a bundle.
func policyOf(files map[string]string) (*access.Policy, error) {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	if err := onlyPolicy(tree); err != nil {
		return nil, err
	}
	b, err := readBundle(tree)
	if err != nil {
		return nil, err
	}
	return &b.Policy, nil
}

// onlyPolicy refuses what a bundle leaves alone: a server that is not what it seems
// could have whoever pulls from it write hooks and the like.
func onlyPolicy(tree fstest.MapFS) error {
	known, err := bundle.Names(tree)
	for name := range tree {
		if err == nil && !slices.Contains(known, name) {
			err = fmt.Errorf("%q is not the name of a policy file", name)
		}
	}
	return err
}
