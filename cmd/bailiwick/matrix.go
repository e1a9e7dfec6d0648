package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/sheet"
)

func (c *cli) matrixCommand() *cobra.Command {
	var asked api.MatrixAsked
	var at target
	cmd := &cobra.Command{
		Use:   "matrix [HOLDER...]",
		Short: "Lay out what groups, users or applications may do",
		Long: `Lay out what groups, users or applications may do, section by section and scope by
scope, from policy files or from a running server: with inheritance, prohibitions,
licences, prerequisites and all else that decides. Conditions are not evaluated:
what hangs upon one is marked with ? and told at the end.

HOLDER is named as in rules: g:sales, u:42, a:erp, u:anonymous. Without one, all
groups are laid out, or all of another --type. Of a group it is what somebody may
do who is in that group alone and has a seat of every licence. A line holds in its
scope and in everything below it that has no line of its own.`,
		Example: `  bailiwick matrix --files policies/call-center
  bailiwick matrix g:operators-sales u:lead-1 --scope team:sales --files policies/call-center
  bailiwick matrix --type user --section Reports --as-of 17 -o csv --server http://127.0.0.1:8080 --tenant call-center > reports.csv`,
		Args:        between(0, -1),
		Annotations: map[string]string{formats: "csv"},
		RunE: func(cmd *cobra.Command, holders []string) error {
			asked.Holders = holders
			client, err := c.open(cmd.Context(), &at)
			if err != nil {
				return err
			}
			m, err := client.Matrix(cmd.Context(), asked)
			if err != nil {
				return err
			}
			if asked.AsOf == "" {
				m.Revision = 0 // the same answer, whether it was stored or not
			}
			if c.format == "csv" {
				return matrixCSV(c.out, &m)
			}
			return c.paged(m, func(w io.Writer) { writeMatrix(w, &m) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&asked.Type, "type", "", "lay out all of these where no holder is named: group, user or app; group when left out")
	f.StringVar(&asked.Scope, "scope", "", "only what holds in this scope")
	f.StringVar(&asked.Section, "section", "", "only this section and those below it")
	f.StringVar(&asked.AsOf, "as-of", "", "an earlier state of a server: the number of a revision, or a time such as 2026-03-01T12:00:00Z")
	at.askFlags(f)
	return cmd
}

// writeMatrix writes a table for each holder: a line for each section, a column for
// each standard action, and the others by name.
func writeMatrix(w io.Writer, m *api.Matrix) {
	if len(m.Rows) == 0 {
		fmt.Fprintln(w, "nobody of them may do anything")
	}
	standard := access.RightNames()[1:] // inherit cannot be asked about
	var table *tabwriter.Writer
	for i := range m.Rows {
		row := &m.Rows[i]
		if i == 0 || m.Rows[i-1].Holder != row.Holder {
			if table != nil {
				_ = table.Flush() // to the terminal
				fmt.Fprintln(w)
			}
			fmt.Fprintln(w, row.Holder)
			table = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintf(table, "  section\tscope\t%s\tmore\n", strings.Join(standard, "\t"))
		}
		fmt.Fprintf(table, "  %s\t%s", row.Section, row.Scope)
		for _, name := range standard {
			fmt.Fprintf(table, "\t%s", heldMark(row, name))
		}
		fmt.Fprintf(table, "\t%s\n", strings.Join(more(row, standard), ", "))
	}
	if table != nil {
		_ = table.Flush()
	}
	for i, line := range hangings(m) {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, line)
	}
}

// heldMark shows how one action is held.
func heldMark(row *api.MatrixRow, action string) string {
	switch {
	case slices.Contains(row.Actions, action):
		return "✓"
	case slices.ContainsFunc(row.If, func(x api.ConditionalRight) bool { return x.Action == action }):
		return "?"
	}
	return "·"
}

// more names what is held besides the standard actions.
func more(row *api.MatrixRow, standard []string) []string {
	var names []string
	for _, name := range row.Actions {
		if !slices.Contains(standard, name) {
			names = append(names, name)
		}
	}
	for _, x := range row.If {
		if !slices.Contains(standard, x.Action) {
			names = append(names, x.Action+"?")
		}
	}
	return names
}

// hangings tells upon which conditions rights hang, one right a line.
func hangings(m *api.Matrix) []string {
	var all []string
	for _, row := range m.Rows {
		for _, x := range row.If {
			all = append(all, fmt.Sprintf("? %s %s on %s at %s %s", row.Holder, x.Action, row.Section, row.Scope, hanging(m, x)))
		}
	}
	return all
}

// hanging tells upon which conditions a right hangs, by their texts.
func hanging(m *api.Matrix, x api.ConditionalRight) string {
	named := func(ids []string) []string {
		texts := slices.Clone(ids)
		for i, id := range ids {
			short, elsewhere, found := strings.Cut(id, "@")
			if text := m.Conditions[short]; text != "" {
				texts[i] = "(" + text + ")"
			}
			if found {
				texts[i] += "@" + elsewhere
			}
		}
		return texts
	}
	h := api.Hold{Unless: named(x.Unless)}
	for _, list := range x.When {
		h.When = append(h.When, named(list))
	}
	return hold(&h)
}

// matrixCSV writes a line for each row. No cell can be taken for a formula.
func matrixCSV(w io.Writer, m *api.Matrix) error {
	out := sheet.NewWriter(w, sheet.CSV)
	if err := out.Row("holder", "section", "scope", "rights", "conditional"); err != nil {
		return err
	}
	for _, row := range m.Rows {
		var under []string
		for _, x := range row.If {
			under = append(under, x.Action+" "+hanging(m, x))
		}
		if err := out.Row(row.Holder, row.Section, row.Scope, strings.Join(row.Actions, "+"), strings.Join(under, "; ")); err != nil {
			return err
		}
	}
	return out.Close()
}
