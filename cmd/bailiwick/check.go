package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
)

func (c *cli) checkCommand() *cobra.Command {
	var q question
	var at target
	var exitCode bool
	cmd := &cobra.Command{
		Use:     "check SUBJECT ACTION SECTION",
		Aliases: []string{"can"},
		Short:   "Answer one question: may the subject do this here?",
		Long: `Answer one question, from policy files or from a running server.

SUBJECT is user:ID, app:CODE or anonymous. ACTION is a name, several joined by
commas (all must be allowed), or a sum of rights such as 10. A denial is an
answer: the exit code is 0 unless --exit-code is given, then it is 1.`,
		Example: `  bailiwick check user:operator-1 show Calls.Queue --scope team:sales --files policies/call-center
  bailiwick check user:operator-1 show,update Calls.Card --scope team:sales --server http://127.0.0.1:8080 --tenant call-center
  bailiwick check anonymous show Storefront.Products --scope store:cards --context ip=10.0.0.1 --files policies/web-to-print
  bailiwick check --raw alice data1 read --files my-casbin-policy
  bailiwick check --raw --context-set 2 '{"Age": 20}' reading-room enter --files my-casbin-policy`,
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
			d, err := client.Check(cmd.Context(), request)
			if err != nil {
				return err
			}
			if q.asOf == "" {
				d.Revision = 0 // the same answer, whether it was stored or not
			}
			if err := c.answer(d, func(w io.Writer) { writeDecision(w, request, d) }); err != nil {
				return err
			}
			return verdict(exitCode, d)
		},
	}
	q.flags(cmd.Flags())
	at.askFlags(cmd.Flags())
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "end with exit code 1 when the answer is a denial")
	return cmd
}

func verdict(exitCode bool, d api.Decision) error {
	if exitCode && !d.Allowed {
		return reported(exitFailed)
	}
	return nil
}

func writeDecision(w io.Writer, r api.Request, d api.Decision) {
	fmt.Fprintf(w, "%s  %s\n", word(d.Allowed), sentence(r))
	fmt.Fprintf(w, "  reason  %s\n", reason(d.Reason, d.Detail))
	if len(r.Action.Names) != 1 && d.Action != "" {
		fmt.Fprintf(w, "  action  %s\n", d.Action)
	}
	if d.Rule != nil {
		fmt.Fprintf(w, "  rule    %s\n", rule(*d.Rule))
	}
	if d.Revision != 0 {
		fmt.Fprintf(w, "  as of   revision %d\n", d.Revision)
	}
	if !d.ValidUntil.IsZero() {
		fmt.Fprintf(w, "  until   %s\n", d.ValidUntil.Format(time.RFC3339))
	}
}

func word(allowed bool) string {
	if allowed {
		return "allow"
	}
	return "deny "
}

func sentence(r api.Request) string {
	if r.Request != nil {
		return strings.TrimSuffix(fmt.Sprintln(r.Request...), "\n")
	}
	what := strings.Join(r.Action.Names, ",")
	if what == "" {
		what = fmt.Sprint(r.Action.Sum)
	}
	where := ""
	if r.Scope != "" {
		where = " in " + r.Scope
	}
	return fmt.Sprintf("%s %s %s%s", r.Subject, what, r.Section, where)
}

func reason(code, detail string) string {
	if detail == "" {
		return code
	}
	return code + ": " + detail
}

func rule(r api.Rule) string {
	if r.Origin == "" {
		return r.Line
	}
	return r.Line + "  (" + r.Origin + ")"
}
