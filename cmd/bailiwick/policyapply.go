package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing/fstest"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/httpapi"
	"github.com/bailiwick/bailiwick/internal/service"
)

// exitChanges says that a plan has something to do.
const exitChanges = 5

func (c *cli) policyPlansCommand() *cobra.Command {
	var asked api.PolicyPlanAsked
	var out string
	cmd := &cobra.Command{
		Use:   "plan DIR",
		Short: "Tell what putting policy files into force would do",
		Long: `Tell what putting policy files into force would do, and write nothing: the
operations, who gains and loses which right where, which guarantees would break,
and which of the last recorded decisions would turn.

With -o markdown it is a comment for a pull request, and never longer than one may
be.

The exit code is 0 when there is nothing to do and 5 when there is; 3 when the
policy is invalid and 4 when one of its decision tests fails.`,
		Example: `  bailiwick policy plan policies/call-center --tenant call-center --server http://127.0.0.1:8080
  bailiwick policy plan policies/call-center --tenant call-center --out plan.json --last 1000
  bailiwick policy plan policies/call-center --tenant call-center -o markdown > comment.md`,
		Args:        exactly(1),
		Annotations: map[string]string{formats: "markdown"},
	}
	at := adminFlags(cmd)
	at.bundleTenantFlag(cmd, "tenant to plan for")
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "file to keep the plan in, for policy apply")
	f.IntVar(&asked.Last, "last", 1000, "how many of the last recorded decisions to ask again")
	f.IntVar(&asked.Names, "names", 100, "how many users and groups each consequence names")
	cmd.RunE = func(cmd *cobra.Command, dirs []string) error {
		var err error
		if asked.Files, err = texts(dirs[0]); err != nil {
			return err
		}
		return c.administer(cmd.Context(), at, func(a administration) error {
			plan, err := a.PlanPolicy(cmd.Context(), at.tenantOf(asked.Files), asked, c.progress())
			if err != nil {
				return placed(dirs[0], err)
			}
			if err := keepPlan(out, dirs[0], plan, asked.Files); err != nil {
				return err
			}
			return c.showPlan(dirs[0], plan)
		})
	}
	return cmd
}

// keptPlan is a plan in a file.
type keptPlan struct {
	api.PolicyPlan
	Folder string `json:"folder,omitempty"` // that it was made of, as it was named
}

// keepPlan writes a plan with its files, so that exactly it can be applied.
func keepPlan(out, dir string, plan api.PolicyPlan, files map[string]string) error {
	if out == "" {
		return nil
	}
	plan.Files = files
	text, err := json.MarshalIndent(keptPlan{plan, dir}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o600)
}

func (c *cli) showPlan(dir string, plan api.PolicyPlan) error {
	var text bytes.Buffer
	switch c.format {
	case "json":
		if err := writeJSON(&text, plan); err != nil {
			return err
		}
	case "markdown":
		writePlanMarkdown(&text, dir, &plan)
	default:
		writePlan(&text, dir, plan, colours(c.out))
	}
	if err := c.page(text.Bytes()); err != nil {
		return err
	}
	if plan.Changes {
		return reported(exitChanges)
	}
	return nil
}

// terminal tells whether a stream is one that a person looks at.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress tells how far the work has come, where somebody looks.
func (c *cli) progress() func(api.Progress) {
	if !terminal(c.err) {
		return nil
	}
	return func(p api.Progress) { fmt.Fprintf(c.err, "\r%s: %d of %d\033[K", p.Stage, p.Done, p.Total) }
}

// maxScreen is how many lines are shown without a pager.
const maxScreen = 40

// page writes a text, to a terminal through the person's pager where it is long.
func (c *cli) page(text []byte) error {
	if !terminal(c.out) || bytes.Count(text, []byte("\n")) <= maxScreen {
		_, err := c.out.Write(text)
		return err
	}
	pager := cmp.Or(os.Getenv("PAGER"), "less -R")
	less := exec.Command("sh", "-c", pager) //nolint:gosec,noctx // the person's own choice, and he ends it
	less.Stdin, less.Stdout, less.Stderr = bytes.NewReader(text), c.out, c.err
	if less.Run() == nil {
		return nil
	}
	_, err := c.out.Write(text)
	return err
}

// summary tells a plan in a few lines.
func summary(p *api.PolicyPlan) []string {
	var lines []string
	if p.Changes {
		lines = append(lines, fmt.Sprintf("tenant %s at revision %d: %s", p.Tenant, p.BaseRevision, plural(len(p.Operations), "operation", "operations")))
	} else {
		lines = append(lines, fmt.Sprintf("nothing to do: tenant %s is at revision %d with this policy already", p.Tenant, p.BaseRevision))
	}
	if p.Changes || p.Consequences.Foreign {
		lines = append(lines, concerned(&p.Consequences))
	}
	names := map[string]bool{}
	for _, b := range p.Broken {
		names[b.Guarantee] = true
	}
	return append(lines, plural(len(names), "guarantee", "guarantees")+" would be broken",
		fmt.Sprintf("%d of %s would turn", p.Decisions.Turned, plural(p.Decisions.Asked, "recorded decision", "recorded decisions")))
}

func writePlan(w io.Writer, dir string, p api.PolicyPlan, colour bool) {
	writeLines(w, summary(&p))
	for _, b := range p.Broken {
		fmt.Fprintf(w, "broken: %s\n", b.Text)
	}
	for _, warning := range warnings(dir, p.Warnings) {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	section(w, "operations", len(p.Operations))
	writeOperations(w, p.Operations, colour)
	writeConsequences(w, &p.Consequences, colour)
	section(w, "decisions that would turn", p.Decisions.Turned)
	for _, d := range p.Decisions.All {
		fmt.Fprintf(w, "  %s\n", turned(&d))
	}
	if more := p.Decisions.Turned - len(p.Decisions.All); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}

// warnings puts the folder in front of their places.
func warnings(dir string, all []api.Detail) []string {
	texts := make([]string, len(all))
	for i, warning := range all {
		warning.Origin = cmp.Or(joinPath(dir, warning.Origin), dir)
		texts[i] = warning.String()
	}
	return texts
}

// turned tells a decision that would turn.
func turned(d *api.TurnedDecision) string {
	return fmt.Sprintf("%s %s %s on %s at %s: %s -> %s (%s)", d.ID, d.Subject, strings.Join(d.Actions, "+"), d.Section,
		cmp.Or(d.Scope, "*"), yesNo(d.Before), yesNo(d.After), d.Reason)
}

func yesNo(allowed bool) string {
	if allowed {
		return "allow"
	}
	return "deny"
}

func section(w io.Writer, title string, n int) {
	if n > 0 {
		fmt.Fprintf(w, "\n%s (%d)\n", title, n)
	}
}

// consequence tells one on a line.
func consequence(x *api.Consequence) string {
	text := fmt.Sprintf("%s on %s at %s", strings.Join(x.Actions, ", "), x.Section, x.Scope)
	if len(x.Except) > 0 {
		text += " except " + strings.Join(x.Except, ", ")
	}
	if before, after := hold(&x.Before), hold(&x.After); before+after != "" {
		text += fmt.Sprintf(" (%s -> %s)", cmp.Or(before, always(x.Before.May)), cmp.Or(after, always(x.After.May)))
	}
	if x.From != nil {
		text += " from " + x.From.Format("2006-01-02T15:04:05Z07:00")
	}
	if x.Until != nil {
		text += " until " + x.Until.Format("2006-01-02T15:04:05Z07:00")
	}
	var whom []string
	if x.Users > 0 {
		whom = append(whom, plural(x.Users, "user", "users")+someOf(x.UserIDs, x.Users))
	}
	if x.Groups > 0 {
		whom = append(whom, plural(x.Groups, "group", "groups")+someOf(x.GroupCodes, x.Groups))
	}
	for _, code := range x.Applications {
		whom = append(whom, "application "+code)
	}
	if x.Anonymous {
		whom = append(whom, "anonymous")
	}
	return text + ": " + strings.Join(whom, ", ")
}

func always(may bool) string {
	if may {
		return "always"
	}
	return "never"
}

// hold tells upon which conditions a right hangs.
func hold(h *api.Hold) string {
	var parts []string
	for _, list := range h.When {
		parts = append(parts, "if "+strings.Join(list, " or "))
	}
	if len(h.Unless) > 0 {
		parts = append(parts, "unless "+strings.Join(h.Unless, " or "))
	}
	return strings.Join(parts, ", ")
}

// maxListed is how many names stand on a line.
const maxListed = 5

func someOf(names []string, n int) string {
	shown := names[:min(len(names), maxListed)]
	text := " (" + strings.Join(shown, ", ")
	if n > len(shown) {
		text += fmt.Sprintf(" and %d more", n-len(shown))
	}
	return text + ")"
}

func (c *cli) policyApplyCommand() *cobra.Command {
	var p api.Policy
	cmd := &cobra.Command{
		Use:   "apply DIR|PLAN",
		Short: "Put policy files or a plan into force",
		Long: `Put a folder of policy files into force, or exactly the plan that policy plan
--out has written. A plan is refused when the tenant is no longer at the revision
that it was made for; the answer tells what was changed since. Everything is
checked and tested again before anything is written, and written as one revision.`,
		Example: `  bailiwick policy apply plan.json --server http://127.0.0.1:8080 --reason 'new export rule'
  bailiwick policy apply policies/call-center --tenant call-center`,
		Args: exactly(1),
	}
	at := adminFlags(cmd)
	at.bundleTenantFlag(cmd, "tenant to change; that of the plan where one is applied")
	cmd.Flags().StringVar(&p.Reason, "reason", "", "why, for the history")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tenant, dir, err := c.applied(args[0], at, cmd.Flags().Changed("tenant"), &p)
		if err != nil {
			return err
		}
		return c.administer(cmd.Context(), at, func(a administration) error {
			loaded, err := a.LoadPolicy(cmd.Context(), tenant, p)
			if err != nil {
				return placed(args[0], err)
			}
			if now, err := texts(dir); err == nil && maps.Equal(now, p.Files) {
				if err := noteLoaded(dir, loaded); err != nil {
					return err
				}
			}
			return c.answer(loaded, func(w io.Writer) { writeLoaded(w, args[0], loaded) })
		})
	}
	return cmd
}

// applied reads what is to be applied, and tells to which tenant and from which
// folder it came, which need not be there any more.
func (c *cli) applied(path string, at *target, named bool, p *api.Policy) (to, dir string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", "", usage("%s does not exist; name a folder of policy files, or a plan", path)
	}
	if info.IsDir() {
		p.Files, err = texts(path)
		return at.tenantOf(p.Files), path, err
	}
	text, err := os.ReadFile(path) //nolint:gosec // the caller names the file on purpose
	if err != nil {
		return "", "", err
	}
	var plan keptPlan
	if err := json.Unmarshal(text, &plan); err != nil || plan.Plan == "" || len(plan.Files) == 0 {
		return "", "", usage("%s is no plan that policy plan --out has written", path)
	}
	if named && at.tenant != plan.Tenant {
		return "", "", usage("the plan was made for tenant %s, not %s", plan.Tenant, at.tenant)
	}
	p.Files, p.BaseRevision, p.Plan = plan.Files, plan.BaseRevision, plan.Plan
	return plan.Tenant, plan.Folder, nil
}

// PlanPolicy tells what files would do in the database.
func (l *local) PlanPolicy(ctx context.Context, tenant string, p api.PolicyPlanAsked, told func(api.Progress)) (api.PolicyPlan, error) {
	files := fstest.MapFS{}
	for name, text := range p.Files {
		files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o444}
	}
	plan, err := l.policies.Plan(ctx, operator(), tenant, files, service.PlanOptions{
		Base: access.Revision(p.BaseRevision), Last: p.Last, Names: p.Names, Recents: l.records,
		Progress: func(stage string, done, total int) error {
			if told != nil {
				told(api.Progress{Stage: stage, Done: done, Total: total})
			}
			return nil
		},
	})
	if err != nil {
		return api.PolicyPlan{}, err
	}
	return httpapi.PlanOf(plan, math.MaxInt), nil
}
