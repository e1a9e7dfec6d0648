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
			return c.answer(a, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s\n  tenant %s, %s, %s, %s\n", a.Plan, a.Why, a.Tenant, a.Combining,
					plural(a.Rules, "rule", "rules"), plural(a.Conditions, "condition", "conditions"))
			})
		},
	}
}
