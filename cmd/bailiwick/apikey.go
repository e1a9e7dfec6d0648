package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
)

func (c *cli) apikeyCommand() *cobra.Command {
	cmd := group("apikey", "Create, list and revoke API keys",
		`  bailiwick apikey create --tenant crm --kind decide --name 'the CRM'
  bailiwick apikey list --tenant crm
  bailiwick apikey revoke --tenant crm abcdefghijkl`)
	cmd.AddCommand(c.apikeyCreateCommand(), c.apikeyListCommand(), c.apikeyRevokeCommand())
	return cmd
}

const keyTenant = "tenant that the key may act on; * for all"

func (c *cli) apikeyCreateCommand() *cobra.Command {
	var key api.NewKey
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create an API key and print it, once",
		Long: `Create an API key and print it. It cannot be shown again: only a hash of it is
kept. The kinds are decide (ask questions), read (also explanations and
definitions) and admin (also changes), each including the one before.`,
		Example: `  bailiwick apikey create --tenant crm --kind decide --name 'the CRM'
  bailiwick apikey create --tenant '*' --kind admin --name operator --store-dsn bailiwick.db`,
		Args: exactly(0),
	}
	at := adminFlags(cmd)
	at.tenantFlag(cmd, keyTenant)
	cmd.Flags().StringVar(&key.Kind, "kind", string(access.KeyDecide), "what it may do: decide, read or admin")
	cmd.Flags().StringVar(&key.Name, "name", "", "what it is for")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if key.Name == "" {
			return usage("--name: say what the key is for, for instance --name 'the CRM'")
		}
		return c.administer(cmd.Context(), at, func(a administration) error {
			made, err := a.CreateKey(cmd.Context(), at.tenant, key)
			if err != nil {
				return err
			}
			c.say("key %s for tenant %s; it is shown this once:", made.ID, made.Tenant)
			return c.answer(made, func(w io.Writer) { fmt.Fprintln(w, made.Text) })
		})
	}
	return cmd
}

func (c *cli) apikeyListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List API keys, never the keys themselves",
		Example: `  bailiwick apikey list --tenant crm
  bailiwick apikey list --tenant '*' -o json`,
		Args: exactly(0),
	}
	at := adminFlags(cmd)
	at.tenantFlag(cmd, keyTenant)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.administer(cmd.Context(), at, func(a administration) error {
			keys, err := a.Keys(cmd.Context(), at.tenant)
			if err != nil {
				return err
			}
			return c.answer(api.Keys{Keys: keys}, func(w io.Writer) { writeKeys(w, keys) })
		})
	}
	return cmd
}

func writeKeys(w io.Writer, keys []api.Key) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tTENANT\tKIND\tNAME\tCREATED\tREVOKED")
	for _, k := range keys {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Tenant, k.Kind, k.Name,
			k.Created.UTC().Format(time.RFC3339), moment(k.Revoked, "-"))
	}
	_ = t.Flush() // the writer below has said what is wrong with it
}

func (c *cli) apikeyRevokeCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke an API key, at once and for good",
		Example: `  bailiwick apikey revoke abcdefghijkl --tenant crm
  bailiwick apikey revoke abcdefghijkl --tenant '*' --reason 'was in a mail' --store-dsn bailiwick.db`,
		Args: exactly(1),
	}
	at := adminFlags(cmd)
	at.tenantFlag(cmd, keyTenant)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the history")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.administer(cmd.Context(), at, func(a administration) error {
			if err := a.RevokeKey(cmd.Context(), at.tenant, args[0], reason); err != nil {
				return err
			}
			return c.answer(map[string]string{"revoked": args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "revoked %s\n", args[0])
			})
		})
	}
	return cmd
}
