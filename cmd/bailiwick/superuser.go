package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// superuserLink is a link by which a tenant's superuser makes himself, once.
type superuserLink struct {
	Tenant string `json:"tenant"`
	Link   string `json:"link"`
}

func (c *cli) superuserCommand() *cobra.Command {
	cmd := group("superuser", "Get people in who have no other way", "  bailiwick superuser link")
	cmd.AddCommand(c.superuserLinkCommand())
	return cmd
}

func (c *cli) superuserLinkCommand() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Make a link by which somebody becomes a superuser",
		Long: `Make a link by which somebody becomes a superuser of a tenant: once, within a day.
It works on the database directly, so that whoever has the machine can always get
in. Links made before stop working. Without server.public_url, only the path
behind the server's address is known.`,
		Example: `  bailiwick superuser link
  bailiwick superuser link --tenant call-center -o json`,
		Args: exactly(0),
	}
	set := settingsFlags(cmd, "store.", "server.public_url")
	tenantFlag(cmd, &tenant, "the tenant's code")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		made, err := c.superuserLink(cmd.Context(), set, tenant)
		if err != nil {
			return err
		}
		return c.answer(made, func(w io.Writer) { fmt.Fprintln(w, made.Link) })
	}
	return cmd
}

func (c *cli) superuserLink(ctx context.Context, set *settings, tenant string) (made superuserLink, err error) {
	cfg, err := set.load()
	if err != nil {
		return made, err
	}
	l, err := c.openLocal(ctx, cfg)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, l.store.Close()) }()
	path, err := l.accounts.SuperuserLink(ctx, operator(), tenant)
	return superuserLink{Tenant: tenant, Link: strings.TrimSuffix(cfg.Server.PublicURL, "/") + path}, err
}
