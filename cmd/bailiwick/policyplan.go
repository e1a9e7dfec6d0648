package main

import (
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
	Combining  access.Combining `json:"combining"`
	Rules      int              `json:"rules"`
	Conditions int              `json:"conditions"`
	Others     []setAnswer      `json:"others,omitempty"` // further sets of definitions in the tenant's model
}

// setAnswer is the plan for one further set, such as "2" for r2, p2, e2 and m2.
type setAnswer struct {
	Set   string `json:"set"`
	Plan  string `json:"plan"`
	Why   string `json:"why"`
	Rules int    `json:"rules"`
}

func (c *cli) policyPlanCommand() *cobra.Command {
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
			a := planAnswer{Tenant: facts.Tenant, Combining: facts.Combining, Rules: len(facts.Rules), Conditions: len(facts.Conditions)}
			a.Plan, a.Why = s.Plan()
			for _, p := range s.Plans()[1:] {
				a.Others = append(a.Others, setAnswer{p.Set, p.Name, p.Why, p.Rules})
			}
			return c.answer(a, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s\n  tenant %s, %s, %s, %s\n", a.Plan, a.Why, a.Tenant, a.Combining,
					plural(a.Rules, "rule", "rules"), plural(a.Conditions, "condition", "conditions"))
				for _, o := range a.Others {
					fmt.Fprintf(w, "set %s, %s: %s\n", o.Set, o.Plan, o.Why)
				}
			})
		},
	}
}
