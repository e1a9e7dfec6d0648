package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/config"
)

func (c *cli) configCommand() *cobra.Command {
	cmd := group("config", "Look at the configuration",
		`  bailiwick config print
  bailiwick config validate --config conf/bailiwick.yaml`)
	cmd.AddCommand(c.configPrintCommand(), c.configValidateCommand())
	return cmd
}

func (c *cli) configPrintCommand() *cobra.Command {
	var reference bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration in force, without secrets",
		Long: `Print what flags, environment and file amount to, as a configuration file
without secrets. With --reference, print every key with its default and meaning.`,
		Example: `  bailiwick config print
  BAILIWICK_SERVER_LISTEN=:9000 bailiwick config print
  bailiwick config print --reference > bailiwick.yaml`,
		Args: exactly(0),
	}
	set := settingsFlags(cmd)
	cmd.Flags().BoolVar(&reference, "reference", false, "print every key with its default and meaning")
	cmd.RunE = func(*cobra.Command, []string) error {
		text := config.Reference()
		if !reference {
			cfg, err := set.load()
			if err != nil {
				return err
			}
			text = cfg.Print(true)
		}
		return c.answer(map[string]string{"config": text}, func(w io.Writer) { fmt.Fprint(w, text) })
	}
	return cmd
}

func (c *cli) configValidateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Say what is wrong with the configuration",
		Long:  "Read flags, environment and file as serve would. All mistakes are told at once, one a line.",
		Example: `  bailiwick config validate --config conf/bailiwick.yaml
  bailiwick config validate --server-listen :8080`,
		Args: exactly(0),
	}
	set := settingsFlags(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := set.load()
		if err != nil {
			return err
		}
		if err := secretGiven(cfg.Cache.Redis); err != nil {
			return err
		}
		return c.answer(map[string]bool{"valid": true}, func(w io.Writer) { fmt.Fprintln(w, "the configuration is valid") })
	}
	return cmd
}
