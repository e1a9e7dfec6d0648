package main

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestHelp compares the help of every command with testdata/help.golden, and
// wants an example in each.
func TestHelp(t *testing.T) {
	const golden = "testdata/help.golden"
	c := &cli{}
	var got bytes.Buffer
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Example == "" {
			t.Errorf("%s: its help has no example", cmd.CommandPath())
		}
		if cmd.Short == "" {
			t.Errorf("%s: its help does not say what it does", cmd.CommandPath())
		}
		got.WriteString("$ " + cmd.CommandPath() + " --help\n")
		cmd.SetOut(&got)
		if err := cmd.Help(); err != nil {
			t.Error(err)
		}
		got.WriteString("\n")
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(c.root())
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the help differs from %s; look at the difference after go test -run TestHelp -update", golden)
	}
}

// TestHelp_dryRun: whatever changes the directory can be tried first, but a
// password, of which there is nothing to foretell.
func TestHelp_dryRun(t *testing.T) {
	directory := []string{"user", "group", "role", "scope", "licence", "grant", "application"}
	tried := 0
	for _, noun := range (&cli{}).root().Commands() {
		if !slices.Contains(directory, noun.Name()) {
			continue
		}
		for _, cmd := range noun.Commands() {
			changes := cmd.Flags().Lookup("base-revision") != nil
			if reason := cmd.Flags().Lookup("reason") != nil; reason != changes {
				t.Errorf("%s has only one of --reason and --base-revision", cmd.CommandPath())
			}
			if !changes || cmd.CommandPath() == "bailiwick user password" {
				continue
			}
			if tried++; cmd.Flags().Lookup(dryRun) == nil {
				t.Errorf("%s has no --dry-run", cmd.CommandPath())
			}
		}
	}
	if tried < 25 {
		t.Errorf("only %d commands change something", tried)
	}
}
