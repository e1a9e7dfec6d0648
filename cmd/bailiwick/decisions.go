package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

func (c *cli) decisionsCommand() *cobra.Command {
	cmd := group("decisions", "Look into the log of decisions and give them again",
		`  bailiwick decisions tail --tenant crm
  bailiwick decisions search --tenant crm --section System.Orders.Export --since 24h
  bailiwick decisions replay 01jq8m3v9x0000000000000000 --tenant crm`)
	cmd.AddCommand(c.decisionsTailCommand(), c.decisionsSearchCommand(), c.decisionsReplayCommand())
	return cmd
}

const decisionTenant = "tenant whose decisions are looked at"

// decisionQuery is which decisions the flags ask for.
type decisionQuery struct {
	api.DecisionQuery
	period  period
	allowed bool
	denied  bool
}

// period is from when until when something was.
type period struct {
	since   time.Duration
	between string
}

func (p *period) flags(f *pflag.FlagSet) {
	f.DurationVar(&p.since, "since", 0, "only of the last, for instance 3h")
	f.StringVar(&p.between, "between", "", "only between two moments, FROM,UNTIL by RFC 3339")
}

// read gives the moments, zero where there is none.
func (p *period) read(now time.Time) (from, until time.Time, err error) {
	switch {
	case p.since != 0 && p.between != "":
		return from, until, usage("--since and --between are both given; keep one")
	case p.since < 0:
		return from, until, usage("--since cannot be negative")
	case p.since > 0:
		return now.Add(-p.since), until, nil
	case p.between == "":
		return from, until, nil
	}
	first, last, two := strings.Cut(p.between, ",")
	if from, err = time.Parse(time.RFC3339, first); err == nil && two {
		until, err = time.Parse(time.RFC3339, last)
	}
	if err != nil || !two {
		return from, until, usage("--between: write two moments such as 2027-01-31T12:00:00Z,2027-01-31T13:00:00Z")
	}
	return from, until, nil
}

func (q *decisionQuery) flags(f *pflag.FlagSet) {
	f.StringVar(&q.Subject, "subject", "", "only about user:ID, app:CODE or anonymous")
	f.StringVar(&q.Section, "section", "", "only about this section and those below it")
	f.StringVar(&q.Reason, "reason", "", "only for this reason, for instance no_grant")
	f.StringVar(&q.Caller, "caller", "", "only asked by, for instance, key:crm")
	f.StringVar(&q.RequestID, "request-id", "", "only of this request")
	f.BoolVar(&q.allowed, "allowed", false, "only those that allowed")
	f.BoolVar(&q.denied, "denied", false, "only those that denied")
	q.period.flags(f)
}

// read checks the flags.
func (q *decisionQuery) read(now time.Time) (err error) {
	switch {
	case q.allowed && q.denied:
		return usage("--allowed and --denied together leave nothing; keep one")
	case q.allowed:
		q.Outcome = "allow"
	case q.denied:
		q.Outcome = "deny"
	}
	q.From, q.Until, err = q.period.read(now)
	return err
}

// overlap is how far tail looks back each time: decisions come into the log a
// little after they were made, and not in their order.
const overlap = 10 * time.Second

func (c *cli) decisionsTailCommand() *cobra.Command {
	var q decisionQuery
	var once bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show decisions as they are made",
		Long: `Show decisions as they are made, until it is interrupted. Only those that are
kept in the store are found: see decisions.sinks. With -o json each is one line.`,
		Example: `  bailiwick decisions tail --tenant crm
  bailiwick decisions tail --tenant crm --since 3h --denied -o json`,
		Args: exactly(0),
	}
	at := adminFlags(cmd)
	at.tenantFlag(cmd, decisionTenant)
	q.flags(cmd.Flags())
	cmd.Flags().BoolVar(&once, "once", false, "end when there is no more instead of waiting")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		now := clock()
		if err := q.read(now()); err != nil {
			return err
		}
		if q.From.IsZero() {
			q.From = now()
		}
		return c.administer(cmd.Context(), at, func(a administration) error {
			return c.tail(cmd.Context(), a, at.tenant, q.DecisionQuery, once)
		})
	}
	return cmd
}

// tail looks again and again, each time from a little before what was seen.
func (c *cli) tail(ctx context.Context, a administration, tenant string, q api.DecisionQuery, once bool) error {
	q.Forward, q.PageSize = true, 1000
	seen := map[string]time.Time{}
	for {
		newest := q.From
		err := eachDecision(ctx, a, tenant, q, func(d *api.RecordedDecision) error {
			if _, known := seen[d.ID]; known {
				return nil
			}
			seen[d.ID] = d.At
			if d.At.After(newest) {
				newest = d.At
			}
			return c.decision(d)
		})
		if err != nil && ctx.Err() != nil {
			return nil //nolint:nilerr // interrupted, as it is meant to be
		}
		if err != nil || once || !q.Until.IsZero() && newest.Add(overlap).After(q.Until) {
			return err
		}
		if from := newest.Add(-overlap); from.After(q.From) {
			q.From = from
		}
		for id, at := range seen {
			if at.Before(q.From) {
				delete(seen, id)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// eachDecision goes through all pages.
func eachDecision(ctx context.Context, a administration, tenant string, q api.DecisionQuery, do func(*api.RecordedDecision) error) error {
	for {
		page, err := a.Decisions(ctx, tenant, q)
		if err != nil {
			return err
		}
		for i := range page.Decisions {
			if err := do(&page.Decisions[i]); err != nil {
				return err
			}
		}
		if q.PageToken = page.NextPageToken; q.PageToken == "" {
			return nil
		}
	}
}

func (c *cli) decision(d *api.RecordedDecision) error {
	return c.answer(d, func(w io.Writer) {
		answer := "deny "
		if d.Allowed {
			answer = "allow"
		}
		fmt.Fprintf(w, "%s  %s  %s  %s  %s  %s  rev %d  %s\n",
			d.At.UTC().Format(time.RFC3339), answer, questionText(&d.Question), d.Reason, d.Caller, d.RequestID, d.Revision, d.ID)
	})
}

func questionText(q *api.Request) string {
	if q.Request != nil {
		return fmt.Sprint(q.Request...)
	}
	text := q.Subject + " " + strings.Join(q.Action.Names, ",") + " " + q.Section
	if q.Scope != "" {
		text += " @" + q.Scope
	}
	return text
}

func (c *cli) decisionsSearchCommand() *cobra.Command {
	var q decisionQuery
	var lookup string
	var most int
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Find decisions in their log, newest first",
		Example: `  bailiwick decisions search --tenant crm --subject user:operator-1 --since 3h
  bailiwick decisions search --tenant crm --between 2027-01-31T12:00:00Z,2027-01-31T13:00:00Z --denied -o json
  bailiwick decisions search --tenant crm --lookup 01jq8m3v9x0000000000000000`,
		Args: exactly(0),
	}
	at := adminFlags(cmd)
	at.tenantFlag(cmd, decisionTenant)
	q.flags(cmd.Flags())
	cmd.Flags().StringVar(&lookup, "lookup", "", "show the one decision with this id")
	cmd.Flags().IntVar(&most, "most", 100, "most that are shown; 0: all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := q.read(clock()()); err != nil {
			return err
		}
		if most < 0 {
			return usage("--most cannot be negative")
		}
		return c.administer(cmd.Context(), at, func(a administration) error {
			if lookup != "" {
				d, err := a.Decision(cmd.Context(), at.tenant, lookup)
				if err != nil {
					return err
				}
				return c.decision(&d)
			}
			return c.search(cmd.Context(), a, at.tenant, q.DecisionQuery, most)
		})
	}
	return cmd
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

func (c *cli) search(ctx context.Context, a administration, tenant string, q api.DecisionQuery, most int) error {
	shown := 0
	if q.PageSize = 1000; most > 0 {
		q.PageSize = min(most, q.PageSize)
	}
	err := eachDecision(ctx, a, tenant, q, func(d *api.RecordedDecision) error {
		if most > 0 && shown == most {
			return errEnough
		}
		shown++
		return c.decision(d)
	})
	if errors.Is(err, errEnough) {
		c.say("there are more than %d; see --most", most)
		return nil
	}
	return err
}

func (c *cli) decisionsReplayCommand() *cobra.Command {
	var q decisionQuery
	cmd := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "Give decisions again by the revision of that time, and compare",
		Long: `Give decisions again by the revision and at the moment of that time, and compare.
An answer that comes out otherwise is an alarm: either the history or the program
that decided is not what it was. The exit code is 1 then.

Without ids it replays all decisions that the flags choose. Those of which
something was masked cannot be replayed, and are counted.`,
		Example: `  bailiwick decisions replay 01jq8m3v9x0000000000000000 --tenant crm
  bailiwick decisions replay --tenant crm --since 24h`,
		Args: between(0, -1),
	}
	at := adminFlags(cmd)
	at.tenantFlag(cmd, decisionTenant)
	q.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		if err := q.read(clock()()); err != nil {
			return err
		}
		return c.administer(cmd.Context(), at, func(a administration) error {
			return c.replay(cmd.Context(), a, at.tenant, ids, q.DecisionQuery)
		})
	}
	return cmd
}

// replayAnswer sums up a replay of several decisions.
type replayAnswer struct {
	Replayed int `json:"replayed"`
	Differ   int `json:"differ"`
	Masked   int `json:"masked"`
}

func (c *cli) replay(ctx context.Context, a administration, tenant string, ids []string, q api.DecisionQuery) error {
	var sum replayAnswer
	one := func(id string) error {
		r, err := a.Replay(ctx, tenant, id)
		if err != nil {
			return fmt.Errorf("replay %s: %w", id, err)
		}
		if sum.Replayed++; !r.Same {
			sum.Differ++
			c.say("%s comes out otherwise: %s", id, strings.Join(r.Differs, ", "))
		}
		return nil
	}
	var err error
	for _, id := range ids {
		if err = one(id); err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		q.PageSize = 1000
		err = eachDecision(ctx, a, tenant, q, func(d *api.RecordedDecision) error {
			if len(d.Masked) > 0 {
				sum.Masked++
				return nil
			}
			return one(d.ID)
		})
	}
	if err != nil {
		return err
	}
	if err := c.answer(sum, func(w io.Writer) { writeReplay(w, sum) }); err != nil {
		return err
	}
	if sum.Differ > 0 {
		return reported(exitFailed)
	}
	return nil
}

func writeReplay(w io.Writer, sum replayAnswer) {
	fmt.Fprintf(w, "%s replayed, %d otherwise", plural(sum.Replayed, "decision", "decisions"), sum.Differ)
	if sum.Masked > 0 {
		fmt.Fprintf(w, "; %d were masked and cannot be", sum.Masked)
	}
	fmt.Fprintln(w)
}

// Decisions gives a page of the log.
func (l *local) Decisions(ctx context.Context, tenant string, q api.DecisionQuery) (api.RecordedDecisions, error) {
	search := access.RecordedSearch{
		Subject: q.Subject, Section: access.Section(q.Section), Reason: access.Reason(q.Reason), Caller: q.Caller,
		RequestID: q.RequestID, From: q.From, Until: q.Until, Forward: q.Forward, Most: q.PageSize,
	}
	if q.Outcome != "" {
		search.Allowed = new(q.Outcome == "allow")
	}
	found, next, err := l.records.Find(ctx, operator(), tenant, search, q.PageToken)
	w := api.RecordedDecisions{NextPageToken: next}
	for i := range found {
		w.Decisions = append(w.Decisions, httpapi.RecordedOf(&found[i]))
	}
	return w, err
}

// Decision gives one decision.
func (l *local) Decision(ctx context.Context, tenant, id string) (api.RecordedDecision, error) {
	d, err := l.records.Get(ctx, operator(), tenant, id)
	return httpapi.RecordedOf(&d), err
}

// Replay gives a decision again.
func (l *local) Replay(ctx context.Context, tenant, id string) (api.Replay, error) {
	r, err := l.records.Replay(ctx, operator(), tenant, id)
	return httpapi.ReplayOf(&r), err
}
