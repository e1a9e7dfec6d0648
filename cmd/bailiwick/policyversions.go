package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

// versionFlags are for commands about what a server keeps of a tenant.
func versionFlags(cmd *cobra.Command) *target {
	t := &target{}
	t.serverFlags(cmd.Flags())
	t.tenantFlag(cmd, "tenant it is about")
	return t
}

// server gives the server that is named; histories are kept nowhere else.
func (t *target) needServer() (*api.Client, error) {
	client, err := t.remote()
	if err == nil && client == nil {
		err = usage("say which server: --server URL (" + serverVariable + ")")
	}
	return client, err
}

func (c *cli) policyLogCommand() *cobra.Command {
	query := url.Values{}
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show the history of a tenant, newest first",
		Example: `  bailiwick policy log --tenant crm --server http://127.0.0.1:8080
  bailiwick policy log --tenant crm --kind group --name sales --operations
  bailiwick policy log --author key:console --since 2026-03-01T00:00:00Z -o json`,
		Args: exactly(0),
	}
	at := versionFlags(cmd)
	f := cmd.Flags()
	most := f.Int("limit", 50, "most revisions that are shown; 0: all")
	operations := f.Bool("operations", false, "tell what each of them changed, too")
	filters := map[string]*string{
		"author": f.String("author", "", "only what this caller has made, for instance user:42"),
		"source": f.String("source", "", "only what came through this door: http, cli, start or expiry"),
		"from":   f.String("since", "", "only what was made at this moment or later, for instance 2026-03-01T00:00:00Z"),
		"until":  f.String("until", "", "only what was made before this moment"),
		"kind":   f.String("kind", "", "only what has changed something of this kind, for instance group"),
		"name":   f.String("name", "", "only what has changed the thing of that kind with this code or id"),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *most < 0 {
			return usage("--limit cannot be negative")
		}
		client, err := at.needServer()
		if err != nil {
			return err
		}
		for name, value := range filters {
			if *value != "" {
				query.Set(name, *value)
			}
		}
		if *operations {
			query.Set("operations", "true")
		}
		all, err := revisions(cmd.Context(), client, at.tenant, query, *most)
		if err != nil {
			return err
		}
		if all.NextPageToken != "" {
			c.say("there are more than %d; see --limit", *most)
		}
		return c.answer(all, func(w io.Writer) {
			for _, r := range all.Revisions {
				writeRevision(w, r, colours(w))
			}
		})
	}
	return cmd
}

// revisions reads as many pages as are needed.
func revisions(ctx context.Context, client *api.Client, tenant string, query url.Values, most int) (api.Revisions, error) {
	all := api.Revisions{Revisions: []api.Revision{}}
	for size := 1000; ; {
		if most > 0 {
			size = min(most-len(all.Revisions), size)
		}
		query.Set("page_size", strconv.Itoa(size))
		page, err := client.Revisions(ctx, tenant, query)
		if err != nil {
			return all, err
		}
		all.Revisions, all.NextPageToken = append(all.Revisions, page.Revisions...), page.NextPageToken
		if page.NextPageToken == "" || len(all.Revisions) == most {
			return all, nil
		}
		query.Set("page_token", page.NextPageToken)
	}
}

// inLine writes a text of several lines in one, without what a terminal would obey:
// nobody's reason may look like a revision of its own.
func inLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

func writeRevision(w io.Writer, r api.Revision, colour bool) {
	fmt.Fprintf(w, "%s  %s  %s  %s", paint(fmt.Sprintf("revision %d", r.Number), yellow, colour), r.At.Format(time.RFC3339), r.Author, r.Source)
	if r.Reason != "" {
		fmt.Fprintf(w, "  %s", inLine(r.Reason))
	}
	fmt.Fprintln(w)
	writeOperations(w, r.Operations, colour)
}

// Colours of a terminal.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// colours tells whether a writer is a terminal of somebody who wants them.
func colours(w io.Writer) bool {
	return terminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func paint(text, colour string, wanted bool) string {
	if !wanted {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func writeOperations(w io.Writer, all []api.Operation, colour bool) {
	for _, o := range all {
		sign, in := "~", yellow
		switch o.Verb {
		case string(access.Added):
			sign, in = "+", green
		case string(access.Removed):
			sign, in = "-", red
		}
		fmt.Fprintf(w, "  %s\n", paint(sign+" "+o.Text, in, colour))
	}
}

func (c *cli) policyShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show REVISION",
		Short: "Show a revision and what it changed",
		Example: `  bailiwick policy show 17 --tenant crm --server http://127.0.0.1:8080
  bailiwick policy show 17 -o json`,
		Args: exactly(1),
	}
	at := versionFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := revisionOf(args[0])
		if err != nil {
			return err
		}
		client, err := at.needServer()
		if err != nil {
			return err
		}
		r, err := client.Revision(cmd.Context(), at.tenant, number)
		if err != nil {
			return err
		}
		return c.answer(r, func(w io.Writer) { writeRevision(w, r, colours(w)) })
	}
	return cmd
}

func revisionOf(word string) (uint64, error) {
	n, err := strconv.ParseUint(word, 10, 63)
	if err != nil || n == 0 {
		return 0, usage("%q is not the number of a revision", word)
	}
	return n, nil
}

func (c *cli) policyDiffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff FROM [TO]",
		Short: "Tell what turns one state of a tenant into another",
		Long: `Tell what turns one state of a tenant into another: what was added, removed or
changed. A state is the number of a revision, or a time such as
2026-03-01T12:00:00Z. Without TO it is the newest.

With --effect it is told, too, who holds which right in the one and not in the
other, by the clock of the state that it leads to; of the newest, that is now.`,
		Example: `  bailiwick policy diff 12 17 --tenant crm --server http://127.0.0.1:8080
  bailiwick policy diff 12 17 --effect --tenant crm
  bailiwick policy diff 2026-03-01T00:00:00Z -o json`,
		Args: between(1, 2),
	}
	at := versionFlags(cmd)
	effect := cmd.Flags().Bool("effect", false, "tell who holds what in the one and not in the other, too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := at.needServer()
		if err != nil {
			return err
		}
		d, err := client.Diff(cmd.Context(), at.tenant, args[0], strings.Join(args[1:], ""), *effect)
		if err != nil {
			return err
		}
		return c.paged(d, func(w io.Writer) {
			fmt.Fprintf(w, "from revision %d to revision %d: %s\n", d.From, d.To, plural(len(d.Operations), "difference", "differences"))
			writeOperations(w, d.Operations, colours(c.out))
			c.writeForetold(w, &api.Foretold{Consequences: d.Consequences})
		})
	}
	return cmd
}

func (c *cli) policyBlameCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "blame (SUBJECT ACTION SECTION | HOLDER)",
		Short: "Tell which revisions have made what leads to an answer, by whom and why",
		Long: `Tell which revisions have made what leads to an answer: the links from the subject
to the rule that decides, and the rule. With a HOLDER alone, named as in rules
(g:sales, r:clerk, u:42), tell it of everything that reaches the holder.`,
		Example: `  bailiwick policy blame user:42 update System.Orders --scope store:eu-1 --tenant crm --server http://127.0.0.1:8080
  bailiwick policy blame g:sales --as-of 17`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 || len(args) == 3 {
				return nil
			}
			return usage("%s wants a holder, or a subject, an action and a section", cmd.CommandPath())
		},
	}
	at := versionFlags(cmd)
	scope := cmd.Flags().String("scope", "", "scope of the question")
	asOf := asOfFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := at.needServer()
		if err != nil {
			return err
		}
		query := url.Values{"holder": args[:1]}
		if len(args) == 1 && *scope != "" {
			return usage("--scope belongs to a question: SUBJECT ACTION SECTION")
		}
		if len(args) == 3 {
			query = url.Values{"subject": args[:1], "action": args[1:2], "section": args[2:]}
		}
		for name, value := range map[string]string{"scope": *scope, "as_of": *asOf} {
			if value != "" {
				query.Set(name, value)
			}
		}
		b, err := client.Blame(cmd.Context(), at.tenant, query)
		if err != nil {
			return err
		}
		return c.answer(b, func(w io.Writer) { writeBlame(w, b) })
	}
	return cmd
}

func asOfFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("as-of", "", "an earlier state: the number of a revision, or a time such as 2026-03-01T12:00:00Z")
}

func writeBlame(w io.Writer, b api.Blame) {
	if b.Allowed != nil {
		fmt.Fprintf(w, "%s %s, as of revision %d\n", word(*b.Allowed), b.Reason, b.Revision)
	}
	if b.Allowed == nil && len(b.Rules) == 0 {
		fmt.Fprintf(w, "nothing leads to this holder, as of revision %d\n", b.Revision)
	}
	for _, r := range b.Rules {
		fmt.Fprintf(w, "%s\n", rule(api.Rule{Line: r.Rule, Origin: r.Origin}))
		if r.Made == nil {
			fmt.Fprintln(w, "  part of every policy")
			continue
		}
		fmt.Fprint(w, "  ")
		writeRevision(w, *r.Made, colours(w))
	}
}

func (c *cli) policyRollbackCommand() *cobra.Command {
	var r api.Rollback
	cmd := &cobra.Command{
		Use:   "rollback STATE",
		Short: "Put an earlier state of a policy in force again, as a new revision",
		Long: `Put an earlier state of a policy in force again, as a new revision. STATE is the
number of a revision, or a time. Documents, settings and plain lines become what
they were; accounts that were changed since get back what they held, as far as
they are there. Who they are and how they sign in stays.

With --dry-run it is told what would change, who would gain and lose what, which
guarantees would break, and the revision that this is for;
with that as --base exactly this is done, or refused when somebody was faster.`,
		Example: `  bailiwick policy rollback 12 --dry-run --tenant crm --server http://127.0.0.1:8080
  bailiwick policy rollback 12 --base 17 --reason 'the new rule was too wide' --tenant crm`,
		Args: exactly(1),
	}
	at := versionFlags(cmd)
	undoFlags(cmd, &r.Undo)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.To = args[0]
		return c.undo(at, func(client *api.Client) (api.Undone, error) { return client.Rollback(cmd.Context(), at.tenant, r) }, &r.Undo)
	}
	return cmd
}

func (c *cli) policyRevertCommand() *cobra.Command {
	var u api.Undo
	cmd := &cobra.Command{
		Use:   "revert REVISION",
		Short: "Reverse exactly what one revision has changed, as a new revision",
		Example: `  bailiwick policy revert 15 --dry-run --tenant crm --server http://127.0.0.1:8080
  bailiwick policy revert 15 --reason 'by mistake' --tenant crm`,
		Args: exactly(1),
	}
	at := versionFlags(cmd)
	undoFlags(cmd, &u)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := revisionOf(args[0])
		if err != nil {
			return err
		}
		return c.undo(at, func(client *api.Client) (api.Undone, error) {
			return client.Revert(cmd.Context(), at.tenant, number, u)
		}, &u)
	}
	return cmd
}

func undoFlags(cmd *cobra.Command, u *api.Undo) {
	f := cmd.Flags()
	f.StringVar(&u.Reason, "reason", "", "why, for the history")
	f.Uint64Var(&u.BaseRevision, "base", 0, "refuse when the tenant is no longer at this revision")
	f.BoolVar(&u.DryRun, "dry-run", false, "tell what would change, and change nothing")
}

func (c *cli) undo(at *target, do func(*api.Client) (api.Undone, error), asked *api.Undo) error {
	client, err := at.needServer()
	if err != nil {
		return err
	}
	done, err := do(client)
	if err != nil {
		return err
	}
	return c.paged(done, func(w io.Writer) {
		switch {
		case len(done.Operations) == 0:
			fmt.Fprintf(w, "nothing to do: tenant %s stays at revision %d\n", at.tenant, done.Revision)
		case asked.DryRun:
			fmt.Fprintf(w, "would change, on top of revision %d:\n", done.BaseRevision)
		default:
			fmt.Fprintf(w, "tenant %s is at revision %d:\n", at.tenant, done.Revision)
		}
		writeOperations(w, done.Operations, colours(c.out))
		c.writeForetold(w, &done.Foretold)
	})
}
