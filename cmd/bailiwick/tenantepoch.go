package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/store"
)

type epochAnswer struct {
	Tenant   string `json:"tenant"`
	Revision uint64 `json:"revision"`
	Epoch    string `json:"epoch"`
}

func (c *cli) tenantEpochCommand() *cobra.Command {
	change := access.Change{Base: access.AnyRevision, Author: operator().Name, Source: sourceCLI}
	cmd := &cobra.Command{
		Use:   "renew-epoch CODE",
		Short: "Declare what is stored of a tenant the truth, after a restore or failover",
		Long: `Declare what is stored of a tenant the truth. Servers refuse a database that has
an older revision than they know, since what was revoked would be allowed again.
After a restore from a backup, or a failover that has lost the last commits, that
older revision is all there is: once you have made sure of it, renew the epoch of
every tenant. Servers then forget all they know and have cached of the tenant,
load it anew, and accept its revisions from there on. It is recorded as a revision.`,
		Example: `  bailiwick tenant renew-epoch crm --reason 'restored the backup of Tuesday'
  bailiwick tenant renew-epoch default --reason 'failover to db-2' --store-dsn-file /run/secrets/dsn`,
		Args: exactly(1),
	}
	set := settingsFlags(cmd, "store.")
	cmd.Flags().StringVar(&change.Reason, "reason", "", "what has happened, for the history")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if change.Reason == "" {
			return usage("--reason: say what has happened, for instance --reason 'restored the backup of Tuesday'")
		}
		made, err := c.renewEpoch(cmd.Context(), set, args[0], change)
		if err != nil {
			return err
		}
		return c.answer(made, func(w io.Writer) {
			fmt.Fprintf(w, "tenant %s has a new epoch from revision %d on\n", made.Tenant, made.Revision)
		})
	}
	return cmd
}

func (c *cli) renewEpoch(ctx context.Context, set *settings, tenant string, change access.Change) (made epochAnswer, err error) {
	cfg, err := set.load()
	if err != nil {
		return made, err
	}
	db, err := openStore(ctx, cfg, c.log(cfg.Log), false)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	signIfPossible(db, cfg, c.log(cfg.Log))
	if err := db.RenewEpoch(ctx, tenant, change); err != nil {
		return made, err
	}
	return epochOf(ctx, db, tenant)
}

func epochOf(ctx context.Context, db *store.Store, tenant string) (epochAnswer, error) {
	heads, err := db.Heads(ctx)
	return epochAnswer{Tenant: tenant, Revision: uint64(heads[tenant].Revision), Epoch: heads[tenant].Epoch}, err
}
