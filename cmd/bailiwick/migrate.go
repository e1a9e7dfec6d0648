package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/internal/store"
)

func (c *cli) migrateCommand() *cobra.Command {
	cmd := group("migrate", "Bring the database's schema up to date, or look at it",
		`  bailiwick migrate up
  bailiwick migrate status --store-driver mysql --store-dsn-file /run/secrets/dsn`)
	cmd.AddCommand(c.migrateUpCommand(), c.migrateStatusCommand())
	return cmd
}

type migrationAnswer struct {
	Version int64     `json:"version"`
	Name    string    `json:"name"`
	Applied time.Time `json:"applied,omitzero"`
}

type migrationsAnswer struct {
	Migrations []migrationAnswer `json:"migrations"`
}

func (c *cli) migrateUpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring the schema up to date",
		Long: `Bring the schema up to date. Two at once do no harm: one works, the other
waits. An embedded store (SQLite) is also brought up to date by every command
that opens it; MySQL only by this one and by serve --migrate.`,
		Example: `  bailiwick migrate up
  bailiwick migrate up --store-driver mysql --store-dsn 'bailiwick@tcp(127.0.0.1:3306)/bailiwick'`,
		Args: exactly(0),
	}
	set := settingsFlags(cmd, "store.")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.migrations(cmd.Context(), set, func(s *store.Store) error {
			c.say("bringing the schema up to date")
			return s.Migrate(cmd.Context())
		})
	}
	return cmd
}

func (c *cli) migrateStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the steps of the schema and when each was done",
		Example: `  bailiwick migrate status
  bailiwick migrate status -o json`,
		Args: exactly(0),
	}
	set := settingsFlags(cmd, "store.")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.migrations(cmd.Context(), set, func(*store.Store) error { return nil })
	}
	return cmd
}

// migrations does something to the schema and prints its steps.
func (c *cli) migrations(ctx context.Context, set *settings, do func(*store.Store) error) (err error) {
	cfg, err := set.load()
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, storeOptions(cfg, c.log(cfg.Log)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := do(s); err != nil {
		return err
	}
	steps, err := s.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	all := migrationsAnswer{Migrations: []migrationAnswer{}}
	for _, m := range steps {
		all.Migrations = append(all.Migrations, migrationAnswer(m))
	}
	return c.answer(all, func(w io.Writer) { writeMigrations(w, all.Migrations) })
}

func writeMigrations(w io.Writer, steps []migrationAnswer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VERSION\tNAME\tAPPLIED")
	for _, m := range steps {
		fmt.Fprintf(t, "%d\t%s\t%s\n", m.Version, m.Name, moment(m.Applied, "not yet"))
	}
	_ = t.Flush() // the writer below has said what is wrong with it
}

func moment(t time.Time, never string) string {
	if t.IsZero() {
		return never
	}
	return t.UTC().Format(time.RFC3339)
}
