package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

func (c *cli) statusCommand() *cobra.Command {
	var at target
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the servers over a store do",
		Long: `Show how the servers over a store do: each replica with what it lacks, and of the
one that was asked every tenant's revision, how questions are answered, caches
and how much work is being done. A key of one tenant shows that tenant alone.

It begins with what is wrong with the server that was asked, as /readyz has it.
A replica says how it does every 10 seconds; one that has not for a minute is
shown as gone, and after a day no longer.`,
		Example: `  bailiwick status --server http://127.0.0.1:8080
  bailiwick status --server http://127.0.0.1:8080 -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := at.remote()
			if err == nil && client == nil {
				err = usage("say whom to ask: --server URL (" + serverVariable + ")")
			}
			if err != nil {
				return err
			}
			s, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			health, err := client.Ready(cmd.Context())
			if err != nil {
				return err
			}
			return c.answer(s, func(w io.Writer) { writeStatus(w, s, health) })
		},
	}
	at.serverFlags(cmd.Flags())
	return cmd
}

// writeStatus begins with what is wrong with the server that was asked.
func writeStatus(w io.Writer, s api.Status, health api.Health) {
	for _, check := range health.Checks {
		for _, reason := range check.Reasons {
			fmt.Fprintf(w, "%s: %s\n\n", check.Status, reason)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeReplicas(t, s, health)
	fmt.Fprintln(t, "TENANT\tREVISION\tHEAD\tLAG\tAGE\tRULES\tUSERS\tPLANS")
	for _, x := range s.Tenants {
		users := fmt.Sprint(x.Users)
		if x.Fetched {
			users = "fetched"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%d\t%s\t%s\n", x.Code, x.Revision, x.Head, x.Lag, age(x.Age), x.Rules, users, plans(x.Plans))
	}
	if len(s.Caches) > 0 {
		fmt.Fprintln(t, "\nCACHE\tHITS\tMISSES\tENTRIES\tBYTES\tSTATE")
	}
	for _, x := range s.Caches {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", x.Layer, x.Hits, x.Misses, x.Entries, x.Bytes, orFine(x.State))
	}
	if len(s.Work) > 0 {
		fmt.Fprintln(t, "\nWORK\tIN FLIGHT\tPLACES\tQUEUED\tREFUSED")
	}
	for _, x := range s.Work {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", x.Work, x.InFlight, x.Places, x.Queued, x.Refused)
	}
	writeMail(t, s.Mail)
	_ = t.Flush() // the writer below has said what is wrong with it
	for _, x := range s.Tenants {
		if x.Trouble != "" {
			fmt.Fprintf(w, "\nrevision %d of tenant %s stays: %s\n", x.Revision, x.Code, x.Trouble)
		}
	}
	if s.Trouble != "" {
		fmt.Fprintf(w, "\nother servers are not shown: %s\n", s.Trouble)
	}
}

func writeMail(w io.Writer, m *api.MailStatus) {
	if m == nil {
		return
	}
	state := m.State
	switch {
	case state == "off" && m.Waiting > 0:
		state = "off: no mail server is set, and the mails wait"
	case state == "off":
		state = "off: no mail server is set"
	case m.Trouble != "":
		state += ": " + m.Trouble
	}
	fmt.Fprintln(w, "\nMAILS WAITING\tGIVEN UP\tSENT\tSTATE")
	fmt.Fprintf(w, "%d\t%d\t%d\t%s\n", m.Waiting, m.Failed, m.Sent, state)
}

func writeReplicas(w io.Writer, s api.Status, health api.Health) {
	if len(s.Replicas) == 0 {
		return
	}
	fmt.Fprintln(w, "SERVER\tADDRESS\tVERSION\tUP SINCE\tTENANTS\tBEHIND\tLAG\tSTATE")
	for _, r := range s.Replicas {
		state := "ok"
		switch {
		case r.Gone:
			state = "gone since " + r.Seen.Format(time.RFC3339)
		case r.ID == s.Replica.ID && health.Status != "ok":
			state = health.Status
		case r.Behind > 0:
			state = "behind"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", r.ID, r.Address, r.Version, r.Started.Format(time.RFC3339), r.Tenants, r.Behind, r.Lag, state)
	}
	fmt.Fprintln(w)
}

func age(millis *int64) string {
	if millis == nil {
		return "never"
	}
	return fmt.Sprintf("%dms", *millis)
}

func plans(all []api.Plan) string {
	var names []string
	for _, p := range all {
		name := p.Plan
		if p.Set != "" {
			name = p.Set + ":" + name
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func orFine(state string) string {
	if state == "" {
		return "ok"
	}
	return state
}

// replicas lets this process tell how it does.
func (h *house) replicas(db *store.Store, o service.ReplicasOptions) *service.Replicas {
	o.Version = ownVersion().Version
	o.Tenants = h.tenantReports
	o.Caches = h.cacheReports
	if h.mails != nil {
		o.Mail = h.mails.Report
	}
	o.Authority = h.authority
	return service.NewReplicas(db, h.follower, o)
}

// tenantReports tells what decides for each tenant.
func (h *house) tenantReports() map[string]service.TenantReport {
	all := map[string]service.TenantReport{}
	for _, s := range h.engine.Stats() {
		r := service.TenantReport{Rules: s.Rules, Users: s.Users, Fetched: s.Fetched}
		for _, p := range s.Plans {
			r.Plans = append(r.Plans, service.PlanReport{Set: p.Set, Plan: p.Name, Why: p.Why})
		}
		if now, err := h.engine.Pin(s.Tenant); err == nil {
			r.Policy = now.Stamp(access.Anonymous).Policy
		}
		all[s.Tenant] = r
	}
	return all
}

// cacheReports tells how each layer of caches does, those in this process first.
func (h *house) cacheReports() []service.CacheReport {
	facts := service.CacheReport{Layer: "subjects"}
	for _, s := range h.engine.Stats() {
		facts.Hits, facts.Misses = facts.Hits+s.Hits, facts.Misses+s.Misses
		facts.Entries, facts.Bytes = s.CacheEntries, s.CacheBytes // of all tenants together
	}
	s := h.kept.Stats()
	all := []service.CacheReport{facts, {
		Layer: "answers", Hits: s.Memory.Hits, Misses: s.Memory.Misses, Entries: s.Memory.Entries, Bytes: s.Memory.Bytes,
	}}
	if s.Redis.Breaker == "" {
		return all
	}
	redis := service.CacheReport{Layer: "redis", Hits: s.Redis.Hits, Misses: s.Redis.Misses}
	if s.Redis.Breaker != "closed" {
		redis.State = "left alone after errors"
	}
	return append(all, redis)
}
