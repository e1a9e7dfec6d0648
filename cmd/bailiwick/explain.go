package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
)

func (c *cli) explainCommand() *cobra.Command {
	var q question
	var at target
	cmd := &cobra.Command{
		Use:     "explain SUBJECT ACTION SECTION",
		Aliases: []string{"why"},
		Short:   "Answer one question and say why",
		Long: `Answer one question, from policy files or from a running server, with every
gate that it passed or failed, the deciding rule and where it was written, the
memberships that lead to it, the rules that lost, and for a denial for want of a
grant the smallest grants that would turn it.`,
		Example: `  bailiwick explain user:operator-1 delete Calls.Queue --scope team:sales --files policies/call-center
  bailiwick explain user:operator-1 show Calls.Queue --scope team:sales --server http://127.0.0.1:8080 --tenant call-center -o json`,
		Args: between(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := q.request(args)
			if err != nil {
				return err
			}
			client, err := c.open(cmd.Context(), &at)
			if err != nil {
				return err
			}
			e, err := client.Explain(cmd.Context(), request)
			if err != nil {
				return err
			}
			if q.asOf == "" {
				e.Revision = 0 // the same answer, whether it was stored or not
			}
			return c.answer(e, func(w io.Writer) { writeExplanation(w, request, e) })
		},
	}
	q.flags(cmd.Flags())
	at.askFlags(cmd.Flags())
	return cmd
}

func writeExplanation(w io.Writer, r api.Request, e api.Explanation) {
	writeDecision(w, r, e.Decision)
	for _, part := range e.Parts {
		fmt.Fprintf(w, "\n%s\n", part.Action)
		for _, g := range part.Gates {
			sign, text := gate(g)
			fmt.Fprintf(w, "  %s %-13s  %s\n", sign, g.Gate, text)
		}
		writeRules(w, "held through", part.Path)
		writeRules(w, "also matched, did not decide", part.Losing)
		writeGrants(w, part.Nearest)
	}
}

// gate gives the sign and the words for one gate. Nobody passes the gate of
// superusers by being one: that decides.
func gate(g api.Gate) (sign, text string) {
	why := ""
	if g.Reason != "" {
		why = ", " + reason(g.Reason, g.Detail)
	}
	switch {
	case g.Gate == "superuser" && g.Outcome == "passed":
		return "·", "is none"
	case g.Outcome == "passed":
		return "✓", "passed" + why
	case g.Outcome == "failed":
		return "✗", "failed" + why
	case g.Outcome == "decided":
		return "★", "decided" + why
	}
	return "·", strings.ReplaceAll(g.Outcome, "_", " ") + why
}

func writeRules(w io.Writer, heading string, rules []api.Rule) {
	if len(rules) == 0 {
		return
	}
	fmt.Fprintf(w, "  %s\n", heading)
	for _, r := range rules {
		fmt.Fprintf(w, "    %s\n", rule(r))
	}
}

func writeGrants(w io.Writer, grants []api.Grant) {
	if len(grants) == 0 {
		return
	}
	fmt.Fprintln(w, "  one of these grants would turn it")
	for _, g := range grants {
		scope := g.Scope
		if scope == "" {
			scope = "*"
		}
		fmt.Fprintf(w, "    %s: %s on %s in %s\n", g.To, strings.Join(g.Rights, ", "), g.Section, scope)
	}
}
