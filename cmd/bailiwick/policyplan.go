package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
)

type planAnswer struct {
	Tenant     string           `json:"tenant"`
	Plan       string           `json:"plan"`
	Why        string           `json:"why"`
	Combining  access.Combining `json:"combining,omitempty"` // empty: the tenant's own model says it
	Rules      int              `json:"rules"`
	Conditions int              `json:"conditions"`
	Uses       []string         `json:"uses,omitempty"`   // what else decides in the tenant's own model
	Others     []setAnswer      `json:"others,omitempty"` // further sets of definitions in the tenant's model
}

// setAnswer is the plan for one further set, such as "2" for r2, p2, e2 and m2.
type setAnswer struct {
	Set   string   `json:"set"`
	Plan  string   `json:"plan"`
	Why   string   `json:"why"`
	Rules int      `json:"rules"`
	Uses  []string `json:"uses,omitempty"`
}

func (c *cli) policyPlanCommand() *cobra.Command { // of evaluation, not of changes
	return &cobra.Command{
		Use:   "explain-plan DIR",
		Short: "Say how questions about a policy will be evaluated",
		Example: `  bailiwick policy explain-plan policies/call-center
  bailiwick policy explain-plan policies/call-center -o json`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, dirs []string) error {
			b, err := readFolder(dirs[0])
			if err != nil {
				return err
			}
			facts := b.Policy.Facts()
			s, err := engine.Compile(facts)
			if err != nil {
				return placed(dirs[0], err)
			}
			a := planAnswer{Tenant: facts.Tenant, Rules: len(facts.Rules), Conditions: len(facts.Conditions)}
			if facts.Ours() {
				a.Combining = facts.Combining
			}
			plans := s.Plans()
			a.Plan, a.Why, a.Uses = plans[0].Name, plans[0].Why, plans[0].Uses
			for _, p := range plans[1:] {
				a.Others = append(a.Others, setAnswer{p.Set, p.Name, p.Why, p.Rules, p.Uses})
			}
			return c.answer(a, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s\n  tenant %s, %s, %s, %s\n", a.Plan, a.Why, a.Tenant, cmp.Or(string(a.Combining), "a Casbin model of its own"),
					plural(a.Rules, "rule", "rules"), plural(a.Conditions, "condition", "conditions"))
				writeUses(w, a.Uses)
				for _, o := range a.Others {
					fmt.Fprintf(w, "set %s, %s: %s\n", o.Set, o.Plan, o.Why)
					writeUses(w, o.Uses)
				}
			})
		},
	}
}

func writeUses(w io.Writer, uses []string) {
	for _, u := range uses {
		fmt.Fprintf(w, "  %s\n", u)
	}
}
