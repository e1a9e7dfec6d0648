package main

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/bundle"
)

func (c *cli) policyLoadCommand() *cobra.Command {
	var p api.Policy
	cmd := &cobra.Command{
		Use:   "load DIR",
		Short: "Put policy files into force",
		Long: `Put policy files into force, on a running server or in a database. They are
checked, their decision tests are run and they are compiled before anything is
written; on any mistake the last good revision stays in force. Servers that run
over the same database follow within their poll interval.

The exit code is 3 when the policy is invalid and 4 when one of its decision
tests fails.`,
		Example: `  bailiwick policy load policies/call-center --tenant call-center --server http://127.0.0.1:8080 --reason 'new export rule'
  bailiwick policy load policies/default --tenant default --dry-run
  bailiwick policy load policies/call-center --tenant call-center --create --store-dsn bailiwick.db`,
		Args: exactly(1),
	}
	at := adminFlags(cmd)
	at.bundleTenantFlag(cmd, "tenant to load the policy into")
	f := cmd.Flags()
	f.StringVar(&p.Reason, "reason", "", "why, for the history")
	f.Uint64Var(&p.BaseRevision, "base", 0, "refuse when the tenant is no longer at this revision")
	f.BoolVar(&p.DryRun, "dry-run", false, "check, test and compile, but change nothing")
	f.BoolVar(&p.CreateTenant, "create", false, "make the tenant if it does not exist")
	cmd.RunE = func(cmd *cobra.Command, dirs []string) error {
		var err error
		if p.Files, err = texts(dirs[0]); err != nil {
			return err
		}
		return c.administer(cmd.Context(), at, func(a administration) error {
			loaded, err := a.LoadPolicy(cmd.Context(), at.tenantOf(p.Files), p)
			if err != nil {
				return placed(dirs[0], err)
			}
			if err := noteLoaded(dirs[0], loaded); err != nil {
				return err
			}
			return c.paged(loaded, func(w io.Writer) {
				writeLoaded(w, dirs[0], loaded)
				c.writeForetold(w, &loaded.Foretold)
			})
		})
	}
	return cmd
}

// texts reads the files of a bundle.
func texts(dir string) (map[string]string, error) {
	files, err := folder(dir)
	if err != nil {
		return nil, err
	}
	names, err := namesIn(dir, files)
	if err != nil {
		return nil, err
	}
	all, err := bundle.Texts(files, names)
	return all, placed(dir, err)
}

// namesIn lists the files of a bundle, of which there must be one.
func namesIn(dir string, files fs.FS) ([]string, error) {
	names, err := bundle.Names(files)
	if err == nil && len(names) == 0 {
		err = usage("%s holds no policy files; name the folder that holds bundle.yaml", dir)
	}
	return names, err
}

func writeLoaded(w io.Writer, dir string, l api.PolicyLoaded) {
	for _, warning := range l.Warnings {
		warning.Origin = cmp.Or(joinPath(dir, warning.Origin), dir)
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	tests := plural(l.Tests.Passed, "expectation", "expectations") + " met"
	switch {
	case l.DryRun:
		fmt.Fprintf(w, "ok, nothing was changed: tenant %s stays at revision %d, %s\n", l.Tenant, l.Revision, tests)
	case l.Changed:
		fmt.Fprintf(w, "tenant %s is at revision %d, %s\n", l.Tenant, l.Revision, tests)
	default:
		fmt.Fprintf(w, "tenant %s was at revision %d with this policy already, %s\n", l.Tenant, l.Revision, tests)
	}
}
