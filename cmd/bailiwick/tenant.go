package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/policies"
)

func (c *cli) tenantCommand() *cobra.Command {
	cmd := group("tenant", "List and create tenants",
		`  bailiwick tenant list
  bailiwick tenant create crm --description 'the CRM'`)
	cmd.AddCommand(c.tenantListCommand(), c.tenantCreateCommand(), c.tenantEpochCommand())
	return cmd
}

func (c *cli) tenantListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tenants of a server or a database",
		Example: `  bailiwick tenant list --server http://127.0.0.1:8080
  bailiwick tenant list --store-dsn bailiwick.db -o json`,
		Args: exactly(0),
	}
	at := adminFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.administer(cmd.Context(), at, func(a administration) error {
			tenants, err := a.Tenants(cmd.Context())
			if err != nil {
				return err
			}
			return c.answer(api.Tenants{Tenants: tenants}, func(w io.Writer) { writeTenants(w, tenants) })
		})
	}
	return cmd
}

func writeTenants(w io.Writer, tenants []api.Tenant) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TENANT\tREVISION\tDESCRIPTION")
	for _, tenant := range tenants {
		fmt.Fprintf(t, "%s\t%d\t%s\n", tenant.Code, tenant.Revision, tenant.Description)
	}
	_ = t.Flush() // the writer below has said what is wrong with it
}

func (c *cli) tenantCreateCommand() *cobra.Command {
	var tenant api.Tenant
	cmd := &cobra.Command{
		Use:   "create CODE",
		Short: "Create a tenant, which allows nothing until a policy is loaded",
		Example: `  bailiwick tenant create crm --description 'the CRM' --server http://127.0.0.1:8080
  bailiwick tenant create shop --template retail-rights
  bailiwick tenant create crm --store-dsn bailiwick.db`,
		Args: exactly(1),
	}
	at := adminFlags(cmd)
	cmd.Flags().StringVar(&tenant.Description, "description", "", "what it is, for people")
	cmd.Flags().StringVar(&tenant.Template, "template", "", "begin with catalogue, roles and groups of a sample: "+strings.Join(policies.Tenants(), ", "))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tenant.Code = args[0]
		return c.administer(cmd.Context(), at, func(a administration) error {
			made, err := a.CreateTenant(cmd.Context(), tenant)
			if err != nil {
				return err
			}
			return c.answer(made, func(w io.Writer) {
				fmt.Fprintf(w, "created tenant %s; go on with: bailiwick policy load DIR --tenant %s\n", made.Code, made.Code)
			})
		})
	}
	return cmd
}
