package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
)

func (c *cli) reportCommand() *cobra.Command {
	cmd := group("report", "Report who has what, who may do something, and what was changed", `  bailiwick report access --group sales
  bailiwick report access --unused-since 2026-06-01T00:00:00Z -o csv > dormant.csv
  bailiwick report access --as-of 2026-01-01T00:00:00Z -o html > access.html
  bailiwick report who --section Shop.Orders --action delete
  bailiwick report changes --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z
  bailiwick report book --holder g:sales`)
	cmd.AddCommand(
		c.reportOf("access", "Tell who has what: by which way, since when, by whom, until when", map[string]string{
			"user": "only this user", "group": "only users in this group", "section": "only rights on this section and those below it",
			"unused-since": "only rights that were not used since this moment, by the log of decisions", "as-of": "as of this revision or time",
		}),
		c.reportOf("who", "Tell who may do something, and by which rule", map[string]string{
			"section": "the section", "action": "the action", "scope": "where; everywhere when left out", "as-of": "as of this revision or time",
		}),
		c.reportOf("changes", "Tell what was changed between two revisions or times", map[string]string{
			"from": "a revision or a time; from the beginning when left out", "to": "a revision or a time; now when left out",
		}),
		c.reportOf("book", "Tell a policy in plain words", map[string]string{
			"holder": "as in rules, for instance g:sales or u:42; every group when left out", "as-of": "as of this revision or time",
		}),
	)
	return cmd
}

// reportOf is the command of one report; its flags are the parameters of the API.
func (c *cli) reportOf(name, short string, flags map[string]string) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: exactly(0), Annotations: map[string]string{formats: "csv xlsx html"},
		Example: "  bailiwick report " + name + " --tenant crm --server http://127.0.0.1:8080",
	}
	values := map[string]*string{}
	for flag, text := range flags {
		values[flag] = cmd.Flags().String(flag, "", text)
	}
	at := versionFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := at.needServer()
		if err != nil {
			return err
		}
		query := url.Values{}
		for flag, value := range values {
			if *value != "" {
				query.Set(strings.ReplaceAll(flag, "-", "_"), *value)
			}
		}
		client.Tenant = at.tenant
		return c.reported(cmd.Context(), client, at.tenant, name, query)
	}
	return cmd
}

func (c *cli) reported(ctx context.Context, client *api.Client, tenant, name string, query url.Values) error {
	if c.format != "text" && c.format != "json" {
		query.Set("format", c.format)
		return client.Export(ctx, "reports/"+name, query, c.out)
	}
	r, err := client.Report(ctx, tenant, name, query)
	if err != nil {
		return err
	}
	return c.answer(r, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, strings.ToUpper(strings.Join(r.Columns, "\t")))
		for _, row := range r.Rows {
			fmt.Fprintln(t, strings.Join(row, "\t"))
		}
		_ = t.Flush() // the writer below has said what is wrong with it
		for _, note := range r.Notes {
			fmt.Fprintln(w, note)
		}
	})
}
