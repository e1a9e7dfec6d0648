package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/sheet"
)

func (c *cli) auditRefusalsCommand() *cobra.Command {
	var q api.RefusalQuery
	var of period
	var most int
	cmd := &cobra.Command{
		Use:   "refusals",
		Short: "Find administrative attempts that were refused, newest first",
		Long: `Find administrative attempts that were refused, newest first: who tried, what he
would have needed, and why he was refused. Of one caller at most 30 a minute are
kept one by one; further ones are one entry with their number. --tenant '*' shows
what concerns no tenant.

With -o json each is one line, with -o csv a row of a table.`,
		Example: `  bailiwick audit refusals --tenant crm --since 24h
  bailiwick audit refusals --tenant crm --caller user:operator-1 --need Users -o json
  bailiwick audit refusals --tenant crm --between 2027-01-01T00:00:00Z,2027-04-01T00:00:00Z --most 0 -o csv > refused.csv`,
		Args:        exactly(0),
		Annotations: map[string]string{formats: "csv"},
	}
	at := adminFlags(cmd)
	at.tenantFlag(cmd, "tenant whose attempts are looked at, * for what concerns none")
	f := cmd.Flags()
	f.StringVar(&q.Caller, "caller", "", "only of this caller, for instance user:operator-1 or key:crm")
	f.StringVar(&q.Need, "need", "", "only what would have needed this, for instance Users or Users/update")
	f.StringVar(&q.RequestID, "request-id", "", "only of this request")
	f.IntVar(&most, "most", 100, "most that are shown; 0: all")
	of.flags(f)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if q.From, q.Until, err = of.read(clock()()); err != nil {
			return err
		}
		if most < 0 {
			return usage("--most cannot be negative")
		}
		return c.administer(cmd.Context(), at, func(a administration) error {
			return c.refusals(cmd.Context(), a, at.tenant, q, most)
		})
	}
	return cmd
}

// refusals writes as many as are wanted, page by page.
func (c *cli) refusals(ctx context.Context, a administration, tenant string, q api.RefusalQuery, most int) (err error) {
	write := c.refusal
	if c.format == "csv" {
		table := sheet.NewWriter(c.out, sheet.CSV)
		defer func() { err = errors.Join(err, table.Close()) }()
		if err := table.Row("at", "caller", "need", "door", "why", "times", "request_id", "id"); err != nil {
			return err
		}
		write = func(r *api.RefusedAttempt) error {
			return table.Row(r.At.UTC().Format(time.RFC3339Nano), r.Caller, r.Need, r.Door, r.Why, strconv.Itoa(r.Times), r.RequestID, r.ID)
		}
	}
	if q.PageSize = 1000; most > 0 {
		q.PageSize = min(most, q.PageSize)
	}
	for shown := 0; ; {
		page, err := a.Refusals(ctx, tenant, q)
		if err != nil {
			return err
		}
		for i := range page.Refusals {
			if most > 0 && shown == most {
				c.say("there are more than %d; see --most", most)
				return nil
			}
			if err := write(&page.Refusals[i]); err != nil {
				return err
			}
			shown++
		}
		if q.PageToken = page.NextPageToken; q.PageToken == "" {
			return nil
		}
	}
}

func (c *cli) refusal(r *api.RefusedAttempt) error {
	return c.answer(r, func(w io.Writer) {
		what := r.Need
		if what == "" {
			what = r.Door
		}
		times := ""
		if r.Times > 1 {
			times = fmt.Sprintf(" (%d times)", r.Times)
		}
		fmt.Fprintf(w, "%s  %s  %s  %s%s  %s\n", r.At.UTC().Format(time.RFC3339), r.Caller, what, oneLine(r.Why), times, r.RequestID)
	})
}

// Refusals gives a page of refused attempts.
func (l *local) Refusals(ctx context.Context, tenant string, q api.RefusalQuery) (api.RefusedAttempts, error) {
	found, next, err := l.refusals.List(ctx, operator(), tenant, access.RefusalSearch{
		Caller: q.Caller, Need: q.Need, RequestID: q.RequestID, From: q.From, Until: q.Until,
	}, service.Page{Size: q.PageSize, Token: q.PageToken})
	return httpapi.RefusedOf(found, next), err
}
