package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// cli is one run of the program: its streams and what holds for all commands.
type cli struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	format string // "text" or "json"; "junit" where a command offers it
}

// root builds the tree of commands.
func (c *cli) root() *cobra.Command {
	root := group("bailiwick", "Answers access questions and keeps the policies behind them",
		`  bailiwick serve --dev
  bailiwick check user:operator-1 show Calls.Queue --scope team:sales --files policies/call-center
  bailiwick policy test policies/call-center`)
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see %s --help", err, cmd.CommandPath())
	})
	root.PersistentFlags().StringVarP(&c.format, "output", "o", "text", "how to write the answer: text or json")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return c.checkFormat(cmd) }
	root.AddCommand(
		c.serveCommand(),
		c.checkCommand(),
		c.explainCommand(),
		c.whatCanCommand(),
		c.whoCanCommand(),
		c.matrixCommand(),
		c.policyCommand(),
		c.casbinCommand(),
		c.tenantCommand(),
		c.superuserCommand(),
		c.apikeyCommand(),
		c.decisionsCommand(),
		c.reportCommand(),
		c.userCommand(),
		c.applicationCommand(),
		c.groupCommand(),
		c.roleCommand(),
		c.grantCommand(),
		c.scopeCommand(),
		c.licenceCommand(),
		c.auditCommand(),
		c.verifyCommand(),
		c.keysCommand(),
		c.migrateCommand(),
		c.doctorCommand(),
		c.statusCommand(),
		c.healthcheckCommand(),
		c.configCommand(),
		c.versionCommand(),
	)
	return root
}

// group is a command that only holds others.
func group(use, short, examples string) *cobra.Command {
	return &cobra.Command{
		Use:     use,
		Short:   short,
		Example: examples,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usage("%q is not a command of %s%s", args[0], cmd.CommandPath(), suggestion(cmd, args[0]))
		},
	}
}

func suggestion(cmd *cobra.Command, word string) string {
	if cmd.SuggestionsMinimumDistance == 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return "; see " + cmd.CommandPath() + " --help"
}

// formats is the annotation of commands that write more than text and JSON.
const formats = "formats"

func (c *cli) checkFormat(cmd *cobra.Command) error {
	offered := "text json " + cmd.Annotations[formats]
	for _, f := range strings.Fields(offered) {
		if f == c.format {
			return nil
		}
	}
	return usage("--output: %q is not offered by %s; write one of: %s",
		c.format, cmd.CommandPath(), strings.Join(strings.Fields(offered), ", "))
}

// answer writes v as one line of JSON, or calls text under -o text.
func (c *cli) answer(v any, text func(io.Writer)) error {
	if c.format == "json" {
		return writeJSON(c.out, v)
	}
	text(c.out)
	return nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// say tells the person at the terminal how things go, on standard error.
func (c *cli) say(format string, args ...any) { fmt.Fprintf(c.err, format+"\n", args...) }
