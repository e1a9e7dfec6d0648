package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick/bailiwick/api"
)

var (
	groups = noun{
		name: "group", path: api.NounGroup, key: "code",
		columns: []string{"code", "name", "kind", "base", "members", "roles"},
		filters: []string{"q", "kind", "base", "sort", "as_of"},
		fields: []field{
			{flag: "name", usage: "what people call it"},
			{flag: "description", usage: "what it is for"},
			{flag: "kind", usage: "default, template or regular"},
			{flag: "base", usage: "code of the group that it inherits from"},
			{flag: "roles", usage: "codes, each with @scope where it holds there only", kind: rolesField},
			{flag: "grants", usage: "rights as JSON, as the API has them", kind: jsonField},
			{flag: "signature", usage: "template of the e-mail signature"},
			{flag: "reach", usage: "all, selected or none"},
			{flag: "scopes", usage: "the selected scopes", kind: listField},
			{flag: "attributes", usage: "values of the business system as JSON", kind: jsonField},
		},
	}
	roles = noun{
		name: "role", path: api.NounRole, key: "code",
		columns: []string{"code", "name", "description", "members", "groups"},
		filters: []string{"q", "sort", "as_of"},
		fields: []field{
			{flag: "name", usage: "what people call it"},
			{flag: "description", usage: "what it is for, for those who choose"},
			{flag: "roles", usage: "roles that it inherits", kind: rolesField},
			{flag: "grants", usage: "rights as JSON, as the API has them", kind: jsonField},
		},
	}
	scopes = noun{
		name: "scope", path: api.NounScope, key: "scope",
		columns: []string{"scope", "name", "parent"}, filters: []string{"as_of"},
		fields: []field{
			{flag: "name", usage: "what people call it"},
			{flag: "parent", usage: "the scope above; * when left out"},
			{flag: "groups", usage: "make its own groups too, from the default groups", kind: flagField, onlyNew: true},
			{flag: "code", usage: "begins the codes of these groups; the id of the scope when left out", onlyNew: true},
		},
	}
	licences = noun{name: "licence", path: api.NounLicence, key: "feature", columns: []string{"feature", "seats", "used", "free"}}
)

func (c *cli) groupCommand() *cobra.Command {
	cmd := group("group", "List, make and change groups of users",
		`  bailiwick group list --tenant crm
  bailiwick group create sales --name Sales --roles exporter
  bailiwick group members sales --file sales.xlsx`)
	cmd.AddCommand(
		c.nounList(groups, "  bailiwick group list --kind regular --sort -members"),
		c.nounShow(groups, "  bailiwick group show sales"),
		c.nounCreate(groups, `  bailiwick group create sales --name Sales --base staff --roles exporter@store:eu-1
  bailiwick group create sales --name Sales --grants '[{"section": "System.Orders", "crud": 10}]'`),
		c.nounEdit(groups, "  bailiwick group edit sales --name 'Sales managers' --reason 'as they call it'"),
		c.nounDelete(groups, "  bailiwick group delete sales --move-to support", "move-to", "code of the group for those who would be in none"),
		c.groupTree(),
		c.nounLook(groups, "permissions", "Show what members of a group may do, and where it comes from", "as_of"),
		c.nounLook(groups, "summary", "Say whom members of a group manage, what they are shown and which scopes they reach", "as_of"),
		c.exportCommand("group", "groups:export", groups.filters, exactly(0)),
		c.exportCommand("group", "groups/%s/members:export", slices.DeleteFunc(slices.Clone(users.filters), func(name string) bool { return name == "group" }), exactly(1)),
	)
	return cmd
}

func (c *cli) roleCommand() *cobra.Command {
	cmd := group("role", "List, make and change roles", `  bailiwick role list --tenant crm
  bailiwick role create exporter --name Exporter --grants '[{"section": "System.Orders.Export", "rights": ["execute"]}]'`)
	cmd.AddCommand(
		c.nounList(roles, "  bailiwick role list --q export"),
		c.nounShow(roles, "  bailiwick role show exporter"),
		c.nounCreate(roles, "  bailiwick role create exporter --name Exporter"),
		c.nounEdit(roles, "  bailiwick role edit exporter --description 'takes data out'"),
		c.nounDelete(roles, "  bailiwick role delete exporter", "", ""),
		c.nounLook(roles, "permissions", "Show what a role allows, and where it comes from", "as_of"),
	)
	return cmd
}

func (c *cli) scopeCommand() *cobra.Command {
	cmd := group("scope", "List, make and change companies, stores and the like", `  bailiwick scope list --tenant crm
  bailiwick scope create store:eu-1 --name Berlin --parent company:1`)
	cmd.AddCommand(
		c.nounList(scopes, "  bailiwick scope list -o csv"),
		c.nounShow(scopes, "  bailiwick scope show store:eu-1"),
		c.nounCreate(scopes, `  bailiwick scope create store:eu-1 --name Berlin
  bailiwick scope create store:eu-1 --name Berlin --groups`),
		c.nounEdit(scopes, "  bailiwick scope edit store:eu-1 --name 'Berlin Mitte'"),
		c.nounDelete(scopes, "  bailiwick scope delete store:eu-1", "", ""),
	)
	return cmd
}

func (c *cli) licenceCommand() *cobra.Command {
	cmd := group("licence", "List and set licences and their seats", `  bailiwick licence list --tenant crm
  bailiwick licence set chats --seats 20`)
	set := &cobra.Command{Use: "set FEATURE", Short: "Give a tenant a licence, or another number of seats", Args: exactly(1), Example: "  bailiwick licence set chats --seats 20"}
	seats := set.Flags().Int("seats", 0, "how many; 0: as many as are wanted")
	reason, base := editFlags(set.Flags())
	cmd.AddCommand(
		c.nounList(licences, "  bailiwick licence list"),
		c.directoryCommand(set, func(ctx context.Context, client *api.Client, args []string) error {
			var x thing
			return c.made(client.Put(ctx, api.NounLicence, args[0], "", edited(thing{"seats": *seats}, *reason, *base), &x), &x)
		}),
		c.nounDelete(licences, "  bailiwick licence delete chats", "", ""),
	)
	return cmd
}

func (c *cli) grantCommand() *cobra.Command {
	cmd := group("grant", "Give and take rights, and download them all", `  bailiwick grant add System.Orders show,update --group sales --scope store:eu-1
  bailiwick grant remove System.Orders --group sales
  bailiwick grant export --file grants.xlsx`)
	add := &cobra.Command{
		Use: "add SECTION RIGHTS", Short: "Give rights on a section, or with --deny take them", Args: exactly(2),
		Long: `Give rights on a section: names with commas between, or a sum such as 10. A grant
on the same section in the same scope is replaced.`,
		Example: `  bailiwick grant add System.Orders show,update --group sales
  bailiwick grant add System.Orders.Export 32 --user sales-7 --deny --reason 'asked for by audit'`,
	}
	deny := add.Flags().Bool("deny", false, "prohibit instead")
	remove := &cobra.Command{
		Use: "remove SECTION", Short: "Take away a grant on a section", Args: exactly(1),
		Example: "  bailiwick grant remove System.Orders --group sales --scope store:eu-1",
	}
	cmd.AddCommand(
		c.regrant(add, func(section, scope string, args []string) (thing, error) {
			g := thing{"section": section}
			if scope != "" {
				g["scope"] = scope
			}
			if *deny {
				g["effect"] = "deny"
			}
			if err := json.Unmarshal([]byte(args[1]), new(int)); err == nil {
				g["crud"] = json.Number(args[1])
				return g, nil
			}
			g["rights"] = strings.Split(args[1], ",")
			return g, nil
		}),
		c.regrant(remove, nil),
		c.exportCommand("grant", "grants:export", []string{"as_of"}, exactly(0)),
	)
	return cmd
}

// regrant puts a grant in the place of those on the same section in the same
// scope, or takes them away where there is none to put.
func (c *cli) regrant(cmd *cobra.Command, put func(section, scope string, args []string) (thing, error)) *cobra.Command {
	f := cmd.Flags()
	holders := map[string]*string{}
	for _, n := range []noun{users, groups, roles} {
		holders[n.name] = f.String(n.name, "", "the "+n.name+" whose own rights are changed")
	}
	scope := f.String("scope", "", "where; everywhere when left out")
	reason, base := editFlags(f)
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		var of noun
		for _, n := range []noun{users, groups, roles} {
			if *holders[n.name] != "" {
				if of.name != "" {
					return usage("name one of --user, --group and --role")
				}
				of = n
			}
		}
		if of.name == "" {
			return usage("say whose rights: --user, --group or --role")
		}
		id := *holders[of.name]
		var was thing
		if err := client.Show(ctx, of.path, id, &was); err != nil {
			return err
		}
		grants, found := without(was["grants"], args[0], *scope)
		if put == nil && !found {
			return usage("%s %q has no grant of its own on %s there", of.name, id, args[0])
		}
		if put != nil {
			g, err := put(args[0], *scope, args)
			if err != nil {
				return err
			}
			grants = append(grants, g)
		}
		if revision, _ := was["revision"].(float64); *base == 0 {
			*base = uint64(revision)
		}
		body := edited(thing{"grants": grants}, *reason, *base)
		var now thing
		switch of.path {
		case api.NounUser:
			return c.made(client.Put(ctx, of.path, id, "grants", body, &now), &now)
		case api.NounGroup:
			return c.made(client.Put(ctx, of.path, id, "rights", body, &now), &now)
		default:
			return c.made(client.Patch(ctx, of.path, id, body, &now), &now)
		}
	})
}

// without leaves out the grants on a section in a scope.
func without(grants any, section, scope string) (rest []any, found bool) {
	rest = []any{}
	all, _ := grants.([]any)
	for _, g := range all {
		if x, ok := g.(thing); ok && x["section"] == section && cell(x["scope"]) == scope {
			found = true
			continue
		}
		rest = append(rest, g)
	}
	return rest, found
}
