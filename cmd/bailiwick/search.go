package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

func (c *cli) whatCanCommand() *cobra.Command {
	var q question
	var at target
	cmd := &cobra.Command{
		Use:   "what-can SUBJECT",
		Short: "List everything that a subject may do",
		Long: `List everything that a subject may do, section by section, from policy files or
from a running server. What is listed is exactly what check would allow.

SUBJECT is user:ID, app:CODE or anonymous. Without --scope only rights that hold
everywhere count. Sections in which nothing is allowed are left out.`,
		Example: `  bailiwick what-can user:operator-1 --scope team:sales --files policies/call-center
  bailiwick what-can user:operator-1 --server http://127.0.0.1:8080 --tenant call-center -o json`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			around, err := q.circumstances()
			if err != nil {
				return err
			}
			search := api.SectionSearch{Subject: args[0], Circumstances: around}
			if err := wellFormed(api.Request{Subject: args[0], Action: api.Do("show"), Section: "any", Scope: q.scope}); err != nil {
				return err
			}
			client, err := c.open(cmd.Context(), &at)
			if err != nil {
				return err
			}
			found, err := client.SearchSections(cmd.Context(), search)
			if err != nil {
				return err
			}
			if q.asOf == "" {
				found.Revision = 0 // the same answer, whether it was stored or not
			}
			return c.answer(found, func(w io.Writer) { writeMenu(w, search, found) })
		},
	}
	q.searchFlags(cmd.Flags())
	at.askFlags(cmd.Flags())
	return cmd
}

// writeMenu writes a matrix: a line for each section, a column for each
// standard action, and the others by name.
func writeMenu(w io.Writer, s api.SectionSearch, found api.FoundSections) {
	who := s.Subject
	if s.Scope != "" {
		who += " in " + s.Scope
	}
	if len(found.Sections) == 0 {
		fmt.Fprintf(w, "%s may do nothing\n", who)
		return
	}
	fmt.Fprintf(w, "%s may\n", who)
	standard := access.RightNames()[1:] // inherit cannot be asked about
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  section\t%s\tmore\n", strings.Join(standard, "\t"))
	for _, section := range found.Sections {
		fmt.Fprintf(table, "  %s", section.Section)
		for _, name := range standard {
			fmt.Fprintf(table, "\t%s", mark(slices.Contains(section.Actions, name)))
		}
		more := slices.DeleteFunc(slices.Clone(section.Actions), func(name string) bool { return slices.Contains(standard, name) })
		fmt.Fprintf(table, "\t%s\n", mark(len(more) > 0, more...))
	}
	_ = table.Flush() // to the terminal
	if !found.ValidUntil.IsZero() {
		fmt.Fprintf(w, "  until   %s\n", found.ValidUntil.Format(time.RFC3339))
	}
}

// mark shows what is allowed, by name where there are names.
func mark(allowed bool, names ...string) string {
	switch {
	case !allowed:
		return "·"
	case len(names) > 0:
		return strings.Join(names, ", ")
	}
	return "✓"
}

func (c *cli) whoCanCommand() *cobra.Command {
	var q question
	var at target
	var kind string
	cmd := &cobra.Command{
		Use:   "who-can ACTION SECTION",
		Short: "List everybody who may do something",
		Long: `List everybody who may do something: users, applications and anonymous, one a
line, from policy files or from a running server. Who is listed is exactly whom
check would allow it; with conditions, under the same circumstances.

ACTION is a name, several joined by commas (all must be allowed), or a sum of
rights such as 10. A server wants a key of kind read for it. When its policy
changes while the list is read, the command ends with an error; run it again.`,
		Example: `  bailiwick who-can update Calls.Card --scope team:sales --files policies/call-center
  bailiwick who-can show,update Calls.Card --type user --server http://127.0.0.1:8080 --tenant call-center -o json`,
		Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			around, err := q.circumstances()
			if err != nil {
				return err
			}
			search := api.SubjectSearch{
				Action: actions(args[0]), Section: args[1], Type: kind, PageSize: 1000, Circumstances: around,
			}
			asked := api.Request{Subject: access.AnonymousID, Action: search.Action, Section: search.Section, Scope: q.scope}
			if err := wellFormed(asked); err != nil {
				return err
			}
			if kind != "" {
				if err := access.ValidSubjectType("--type", kind); err != nil {
					return usage("%w", err)
				}
			}
			client, err := c.open(cmd.Context(), &at)
			if err != nil {
				return err
			}
			found, err := client.AllSubjects(cmd.Context(), search)
			if err != nil {
				return err
			}
			if q.asOf == "" {
				found.Revision = 0 // the same answer, whether it was stored or not
			}
			return c.answer(found, func(w io.Writer) {
				if len(found.Subjects) == 0 {
					c.say("nobody may do that")
				}
				for _, s := range found.Subjects {
					fmt.Fprintln(w, s)
				}
			})
		},
	}
	cmd.Flags().StringVar(&kind, "type", "", "only subjects of this type: user, app or anonymous")
	q.searchFlags(cmd.Flags())
	at.askFlags(cmd.Flags())
	return cmd
}
