package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
)

var users = noun{
	name: "user", path: api.NounUser, key: "id",
	columns: []string{"id", "email", "name", "status", "groups", "roles"},
	filters: []string{"q", "email", "external_id", "home", "status", "active", "group", "any_group", "every_group", "role", "licence", "superuser", "manager", "online", "presence", "created_from", "created_until", "sort", "as_of"},
	fields: []field{
		{flag: "email", usage: "address to sign in with"},
		{flag: "home", usage: "scope of the one store that the account belongs to"},
		{flag: "name", usage: "what people call him"},
		{flag: "external-id", usage: "key of the business system"},
		{flag: "status", usage: "active or disabled", onlyNew: true},
		{flag: "invite", usage: "send a mail by which he chooses a password; the account is active from then on", kind: flagField, onlyNew: true},
		{flag: "groups", usage: "codes in their order, each with @scope where it holds there only", kind: groupsField},
		{flag: "roles", usage: "codes, each with @scope where it holds there only", kind: rolesField},
		{flag: "grants", usage: "rights as JSON, as the API has them", kind: jsonField},
		{flag: "licences", usage: "features of which he holds a seat", kind: listField},
		{flag: "applications-off", usage: "applications that are switched off for him", kind: listField},
		{flag: "attributes", usage: "values for conditions as JSON", kind: jsonField},
		{flag: "menu", usage: "sections in his menu", kind: listField},
	},
}

func (c *cli) userCommand() *cobra.Command {
	cmd := group("user", "List, make and change accounts, one or many",
		`  bailiwick user list --group sales --tenant crm
  bailiwick user list --every-group sales,evening --active true
  bailiwick user create --email sales-7@example.com --name 'Sales 7' --groups sales@store:eu-1
  bailiwick user copy-rights sales-8 sales-9 --like sales-7 --reason 'same rights as sales-7'
  bailiwick user export --file users.xlsx
  bailiwick user import users.xlsx --dry-run`)
	cmd.AddCommand(
		c.nounList(users, `  bailiwick user list --q els --active true
  bailiwick user list --status deleted -o csv`),
		c.nounShow(users, "  bailiwick user show sales-7 -o yaml"),
		c.nounCreate(users, `  bailiwick user create --email sales-7@example.com --name 'Sales 7' --groups sales,support@store:eu-1 --invite
  bailiwick user create sales-7 --email sales-7@example.com --name 'Sales 7' --status disabled`),
		c.nounEdit(users, `  bailiwick user edit sales-7 --name 'Sales Seven' --reason 'misspelt'
  bailiwick user edit sales-7 --licences chats --attributes '{"region": "eu"}'`),
		c.nounDelete(users, "  bailiwick user delete sales-7 --hand-over-to sales-8 --reason 'has left'", "hand-over-to", "id of the account that takes over"),
		c.userLinks("add", "Give groups, roles or seats besides those that are there"),
		c.userLinks("remove", "Take away groups, roles or seats; the others stay"),
		c.nounLook(users, "permissions", "Show what somebody may do, and where it comes from", "as_of"),
		c.nounLook(users, "navigation", "Show the menu of somebody", "scope", "lang", "as_of"),
		c.nounLook(users, "capabilities", "Show everything that somebody may do in a scope", "scope", "as_of"),
		c.nounLook(users, "sign-in", "Tell whether somebody can sign in, and if not, why"),
		c.nounAct(users, "resend", "resend", "Send the mail of an invitation again; links of before stop working"),
		c.nounAct(users, "unlock", "unlock", "Let somebody sign in again who failed too often"),
		c.nounAct(users, "reset-second-factor", "second-factor:reset", "Take away a second factor that was lost, and end all sessions"),
		c.userPassword(),
		c.userAct("activate", "Let disabled accounts act again"),
		c.userAct("deactivate", "Deny accounts everything, at once"),
		c.userRestore(), c.userHandOver(), c.userMove(), c.userCopy(), c.userImport(),
		c.exportCommand("user", "users:export", users.filters, exactly(0)),
	)
	return cmd
}

// bulk does the same to several accounts, as one revision.
func (c *cli) bulk(ctx context.Context, client *api.Client, ids []string, op api.UserOperation, edit api.Edit) error {
	ops := api.UserOperations{Edit: edit}
	for _, id := range ids {
		op.ID = id
		ops.Operations = append(ops.Operations, op)
	}
	var done thing
	err := client.Act(ctx, api.NounUser, "", "bulk", ops, &done)
	if users, changed := done["users"].([]any); changed && err == nil && c.format == "text" {
		fmt.Fprintf(c.out, "changed %s, revision %.0f\n", plural(len(users), "user", "users"), done["revision"])
		return nil
	}
	return c.made(err, &done)
}

func (c *cli) userAct(verb, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " ID...", Short: short + ", as one revision", Args: between(1, -1),
		Example: "  bailiwick user " + verb + " sales-7 sales-8 --reason 'asked for by mail'",
	}
	reason, base := editFlags(cmd.Flags())
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, ids []string) error {
		return c.bulk(ctx, client, ids, api.UserOperation{Op: verb}, api.Edit{Reason: *reason, BaseRevision: *base})
	})
}

func (c *cli) userRestore() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore ID", Short: "Give back a deleted account, disabled, with what still exists of what it had", Args: exactly(1),
		Example: "  bailiwick user restore sales-7",
	}
	reason, base := editFlags(cmd.Flags())
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		var x thing
		return c.made(client.Act(ctx, api.NounUser, args[0], "restore", edited(thing{}, *reason, *base), &x), &x)
	})
}

func (c *cli) userHandOver() *cobra.Command {
	cmd := &cobra.Command{
		Use: "hand-over ID", Short: "Say who took over from a deleted account", Args: exactly(1),
		Example: "  bailiwick user hand-over sales-7 --to sales-8",
	}
	to := cmd.Flags().String("to", "", "id of the successor")
	reason, base := editFlags(cmd.Flags())
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		var x thing
		return c.made(client.Act(ctx, api.NounUser, args[0], "hand-over", edited(thing{"to": *to}, *reason, *base), &x), &x)
	})
}

func (c *cli) userMove() *cobra.Command {
	cmd := &cobra.Command{
		Use: "move ID...", Short: "Put accounts into another group instead of one, as one revision", Args: between(1, -1),
		Example: "  bailiwick user move sales-7 sales-8 --from sales --to support",
	}
	op := api.UserOperation{Op: "move_group"}
	cmd.Flags().StringVar(&op.From, "from", "", "code of the group to leave")
	cmd.Flags().StringVar(&op.To, "to", "", "code of the group to be in instead")
	reason, base := editFlags(cmd.Flags())
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, ids []string) error {
		return c.bulk(ctx, client, ids, op, api.Edit{Reason: *reason, BaseRevision: *base})
	})
}

func (c *cli) userCopy() *cobra.Command {
	cmd := &cobra.Command{
		Use: "copy-rights ID...", Short: "Give accounts the same rights as another one, as one revision", Args: between(1, -1),
		Long: `Give accounts the same groups, roles, rights and switched-off applications as
another one, in place of their own. Seats of licences are not multiplied so.`,
		Example: "  bailiwick user copy-rights sales-8 sales-9 --like sales-7",
	}
	op := api.UserOperation{Op: "copy_rights"}
	cmd.Flags().StringVar(&op.From, "like", "", "id of the account to be like")
	reason, base := editFlags(cmd.Flags())
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, ids []string) error {
		return c.bulk(ctx, client, ids, op, api.Edit{Reason: *reason, BaseRevision: *base})
	})
}

func (c *cli) userImport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Make and change accounts by a table, all or none", Args: exactly(1),
		Long: `Make and change accounts by a table: CSV, or XLSX where the file's name ends in
.xlsx; - is CSV on standard input. The exit code is 3 when the table holds
mistakes, which are told with their lines; nothing was imported then.`,
		Example: `  bailiwick user export --file users.xlsx
  bailiwick user import users.xlsx --dry-run
  bailiwick user import new.csv --mode create --group sales --scope store:eu-1 --reason 'new store'`,
	}
	f := cmd.Flags()
	f.String("mode", "", "create, update or upsert; upsert when left out")
	f.String("group", "", "code of a group that everybody in the table is to be in too")
	f.String("scope", "", "where the memberships hold that name no scope")
	reason, base := editFlags(f)
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		query := url.Values{}
		for _, name := range []string{"mode", "group", "scope"} {
			if value, _ := f.GetString(name); value != "" {
				query.Set(name, value)
			}
		}
		table, err := c.opened(args[0])
		if err != nil {
			return err
		}
		defer table.Close()
		done, err := client.ImportUsers(ctx, table, strings.EqualFold(filepath.Ext(args[0]), ".xlsx"), editedBy(query, *reason, *base))
		if err != nil {
			return err
		}
		return c.imported(done)
	})
}

func (c *cli) opened(file string) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(c.in), nil
	}
	table, err := os.Open(file) //nolint:gosec // the caller names the file on purpose
	if err != nil {
		return nil, usage("%w", err)
	}
	return table, nil
}

func (c *cli) imported(done api.Imported) error {
	if c.format != "text" {
		return c.thing(done)
	}
	if done.DryRun {
		for _, a := range done.Accounts {
			fmt.Fprintf(c.out, "line %d: %s %s  %s\n", a.Line, a.Change, a.Email, strings.Join(a.Fields, ", "))
		}
		fmt.Fprintf(c.out, "nothing was changed; it would create %d, update %d and leave %d\n", done.Created, done.Updated, done.Unchanged)
		c.writeForetold(c.out, &done.Foretold)
		return nil
	}
	fmt.Fprintf(c.out, "created %d, updated %d, left %d, revision %d\n", done.Created, done.Updated, done.Unchanged, done.Revision)
	return nil
}

// exportCommand downloads a table. Where it takes an argument, that stands in
// the path at %s.
func (c *cli) exportCommand(name, path string, filters []string, args cobra.PositionalArgs) *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "Download a table as CSV or XLSX", Args: args,
		Long: `Download a table as CSV or XLSX, with all fields. Cells that a spreadsheet could
take for a formula stand behind an apostrophe.`,
		Example: "  bailiwick " + name + " export --file " + name + "s.xlsx\n  bailiwick " + name + " export > " + name + "s.csv",
	}
	if strings.Contains(path, "%s") {
		cmd.Use, cmd.Short = "members CODE", "Download the members of a group as a table of accounts"
		cmd.Example = "  bailiwick group members sales --file sales.xlsx\n  bailiwick group members sales --status active > sales.csv"
	}
	query := filterFlags(cmd, filters)
	file := cmd.Flags().String("file", "", "where to write it; standard output when left out. XLSX where its name ends in .xlsx")
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		asked, what := query(), path
		if len(args) == 1 {
			what = fmt.Sprintf(path, url.PathEscape(args[0]))
		}
		if *file == "" {
			return client.Export(ctx, what, asked, c.out)
		}
		if strings.EqualFold(filepath.Ext(*file), ".xlsx") {
			asked.Set("format", "xlsx")
		}
		return keptWhole(*file, func(w io.Writer) error { return client.Export(ctx, what, asked, w) })
	})
}

// keptWhole puts a file at its place when it is whole.
func keptWhole(file string, write func(io.Writer) error) (err error) {
	part, err := os.CreateTemp(filepath.Dir(file), ".bailiwick-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	out := bufio.NewWriter(part)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if closed := part.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(part.Name(), file)
}
