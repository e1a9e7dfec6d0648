package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/api"
)

// What administrators look up and do about one thing, besides making, changing
// and deleting it.

// nounLook shows what is told of a thing beside itself, by the word for it in the API.
func (c *cli) nounLook(n noun, word, short string, filters ...string) *cobra.Command {
	cmd := &cobra.Command{
		Use: word + " " + strings.ToUpper(n.key), Short: short, Args: exactly(1),
		Example: "  bailiwick " + n.name + " " + word + " sales-7",
	}
	if n.key != "id" {
		cmd.Example = "  bailiwick " + n.name + " " + word + " sales"
	}
	query := filterFlags(cmd, filters)
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		var x thing
		if err := client.Look(ctx, n.path, args[0], word, query(), &x); err != nil {
			return err
		}
		if list, held := x["permissions"].([]any); held && c.format == "text" {
			return c.permissions(x["superuser"] == true, list)
		}
		return c.thing(x)
	})
}

// permissions is a table of rights, each with where it comes from.
func (c *cli) permissions(superuser bool, list []any) error {
	if superuser {
		fmt.Fprintln(c.out, "superuser: everything is allowed, whatever stands here")
	}
	var all []thing
	for _, p := range list {
		if x, ok := p.(thing); ok {
			x["scope"] = cmp.Or(cell(x["scope"]), "*")
			all = append(all, x)
		}
	}
	return c.things(noun{columns: []string{"section", "rights", "scope", "effect", "origin", "via", "condition", "from", "until"}}, all)
}

// nounAct does something to one thing that needs no more words, as the API calls it.
func (c *cli) nounAct(n noun, word, act, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: word + " " + strings.ToUpper(n.key), Short: short, Args: exactly(1),
		Example: "  bailiwick " + n.name + " " + word + " sales-7 --reason 'asked for by mail'",
	}
	reason, base := editFlags(cmd.Flags())
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		var x thing
		return c.made(client.Act(ctx, n.path, args[0], act, edited(thing{}, *reason, *base), &x), &x)
	})
}

// userLinks adds groups, roles or seats to what an account has, or takes them away.
func (c *cli) userLinks(verb, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " ID", Short: short, Args: exactly(1),
		Example: "  bailiwick user " + verb + " sales-7 --roles exporter,auditor@store:eu-1\n  bailiwick user " + verb + " sales-7 --licences chats --reason 'as agreed'",
	}
	some := noun{fields: []field{
		{flag: "groups", usage: "codes, each with @scope where it holds there only", kind: groupsField},
		{flag: "roles", usage: "codes, each with @scope where it holds there only", kind: rolesField},
		{flag: "licences", usage: "features of which he holds a seat", kind: listField},
	}}
	body := bodyFlags(cmd, some, false)
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		x, err := body()
		if err != nil {
			return err
		}
		list := ""
		for _, f := range some.fields {
			if _, given := x[f.flag]; given && list != "" {
				return usage("name one of --groups, --roles and --licences: each is a change of its own")
			} else if given {
				list = f.flag
			}
		}
		if list == "" {
			return usage("say what: --groups, --roles or --licences")
		}
		var now thing
		return c.made(client.Act(ctx, api.NounUser, args[0], list+":"+verb, x, &now), &now)
	})
}

// userPassword sets a password, which is never an argument: everybody on the
// machine could read it.
func (c *cli) userPassword() *cobra.Command {
	cmd := &cobra.Command{
		Use: "password ID", Short: "Set somebody's password, which he must change when he next signs in", Args: exactly(1),
		Long: `Set somebody's password, which is the first line of standard input. All sessions of
the account end, it must choose another one when it next signs in, and it is told
by mail. Whoever has no password yet can be sent an invitation: user resend.`,
		Example: "  bailiwick user password sales-7 --reason 'lost his phone' < password.txt",
	}
	reason, base := recordFlags(cmd.Flags())
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		line, err := bufio.NewReader(io.LimitReader(c.in, 1<<16)).ReadString('\n')
		if err != nil && (err != io.EOF || line == "") {
			return usage("write the password to standard input")
		}
		var x thing
		body := edited(thing{"password": strings.TrimRight(line, "\r\n")}, *reason, *base)
		return c.made(client.Put(ctx, api.NounUser, args[0], "password", body, &x), &x)
	})
}

// groupTree shows groups below what they are based on.
func (c *cli) groupTree() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tree", Short: "Show groups below those that they are based on, with the number of members", Args: exactly(0),
		Example: "  bailiwick group tree\n  bailiwick group tree --node customer --depth 2",
	}
	query := filterFlags(cmd, []string{"node", "depth", "as_of"})
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, _ []string) error {
		asked := query()
		asked.Set("view", "tree")
		var tree api.GroupTree
		if err := client.List(ctx, api.NounGroup, asked, &tree); err != nil {
			return err
		}
		if c.format != "text" {
			return c.thing(tree)
		}
		c.branches(tree.Groups, "")
		return nil
	})
}

func (c *cli) branches(groups []api.GroupNode, indent string) {
	for i := range groups {
		fmt.Fprintf(c.out, "%s%s (%d)  %s\n", indent, groups[i].Name, groups[i].Members, groups[i].Code)
		c.branches(groups[i].Groups, indent+"  ")
	}
}

var applications = noun{name: "application", path: api.NounApplication, key: "code", columns: []string{"code", "name", "version", "sections"}}

func (c *cli) applicationCommand() *cobra.Command {
	cmd := group("application", "List, register and remove applications and their sections", `  bailiwick application list --tenant crm
  bailiwick application register planner planner.yaml --reason 'version 2'`)
	cmd.AddCommand(
		c.nounList(applications, "  bailiwick application list"),
		c.nounShow(applications, "  bailiwick application show planner"),
		c.applicationRegister(),
		c.nounDelete(applications, "  bailiwick application delete planner --remove-grants true", "remove-grants", "true: take away the rights that name its sections, too"),
	)
	return cmd
}

// applicationRegister sends what an application declares: the catalogue file of
// its policy will do, and what application show writes.
func (c *cli) applicationRegister() *cobra.Command {
	cmd := &cobra.Command{
		Use: "register CODE FILE", Short: "Declare all sections of an application", Args: exactly(2),
		Long: `Declare all sections of an application, as the API has them, in YAML or JSON; - is
standard input. Files of a policy, and what application show writes, will do: what
an application may do itself (groups, roles, grants) is passed over, since it does
not declare that. Sections that are declared no longer go. The same again changes
nothing, so programs can do this whenever they start.`,
		Example: "  bailiwick application register planner planner.yaml --dry-run\n  bailiwick application register planner planner.yaml --remove-grants --reason 'version 2'",
	}
	remove := cmd.Flags().Bool("remove-grants", false, "take away the rights that name what goes")
	reason, base := editFlags(cmd.Flags())
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		declared, err := c.declared(args[1])
		if err != nil {
			return err
		}
		query := url.Values{"remove_grants": {fmt.Sprint(*remove)}}
		var x thing
		return c.made(client.Put(ctx, api.NounApplication, args[0], "catalogue?"+query.Encode(), edited(declared, *reason, *base), &x), &x)
	})
}

// declared reads YAML, of which JSON is a part.
func (c *cli) declared(file string) (thing, error) {
	in, err := c.opened(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var x thing
	if err := yaml.NewDecoder(in).Decode(&x); err != nil {
		return nil, usage("%s: %w", file, err)
	}
	// Of a policy file, or of what show has written.
	for _, other := range []string{"apiVersion", "kind", "code", "built_in", "revision", "groups", "roles", "grants"} {
		delete(x, other)
	}
	return x, nil
}
