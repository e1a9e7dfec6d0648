package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/sheet"
)

// What the commands for users, groups, roles, scopes and licences have in
// common: they are one table of nouns, and each verb is written once. They work
// on a server, whose API refuses what a caller may not do.

// noun is a kind of thing in the directory.
type noun struct {
	name    string   // on the command line
	path    api.Noun // in the API
	key     string   // the member that names a thing
	columns []string // of a list
	filters []string // of a list, as the API calls them
	fields  []field
}

// field is a member that flags write.
type field struct {
	flag, usage string
	kind        fieldKind
	onlyNew     bool // when a thing is made
}

type fieldKind int

const (
	textField fieldKind = iota
	listField
	groupsField // a list of links: code or code@scope
	rolesField
	jsonField
	flagField
)

func (f field) member() string { return strings.ReplaceAll(f.flag, "-", "_") }

// thing is what the API says of one, with all its members.
type thing = map[string]any

// onServer gives the server that the command is about.
func (t *target) onServer() (*api.Client, error) {
	client, err := t.remote()
	if err == nil && client == nil {
		err = usage("say which server: --server URL (%s)", serverVariable)
	}
	return client, err
}

// directoryCommand is a command that works on a server.
func (c *cli) directoryCommand(cmd *cobra.Command, run func(ctx context.Context, client *api.Client, args []string) error) *cobra.Command {
	at := &target{}
	at.serverFlags(cmd.Flags())
	at.tenantFlag(cmd, "tenant to work on")
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{formats: "yaml"}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := at.onServer()
		if err != nil {
			return err
		}
		client.DryRun, _ = cmd.Flags().GetBool(dryRun) // false where there is no such flag
		return run(cmd.Context(), client, args)
	}
	return cmd
}

func (c *cli) nounList(n noun, examples string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List " + string(n.path), Example: examples, Args: exactly(0),
		Annotations: map[string]string{formats: "yaml csv"},
	}
	query := filterFlags(cmd, n.filters)
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, _ []string) error {
		all, err := everyPage(ctx, client, n, query())
		if err != nil {
			return err
		}
		return c.things(n, all)
	})
}

// filterWords are for filters whose name does not say enough.
var filterWords = map[string]string{
	"q":             "only those that hold this text, in any case of letters",
	"sort":          "what they are sorted by, with - before it for the reverse",
	"active":        "true: only those that are active; false: only the others",
	"superuser":     "true: only superusers; false: only the others",
	"as_of":         "as it was at this revision or moment",
	"scope":         "where; everywhere when left out",
	"lang":          "language of the labels, for instance en",
	"node":          "only what is below the group with this code",
	"depth":         "how many levels; all when left out",
	"online":        "true: only those who used a session just now; false: only the others",
	"presence":      "only those who say this of themselves: available, busy, break or away",
	"home":          "only those of this store, as a scope",
	"manager":       "true: only those in a group whose attribute is_manager is true; false: only the others",
	"group":         "only those in the group with this code",
	"any_group":     "only those in one of the groups with these codes, with commas between",
	"every_group":   "only those in all of the groups with these codes, with commas between",
	"licence":       "only those with a seat of this feature",
	"created_from":  "only those created at this moment or later, like 2027-01-31T12:00:00Z",
	"created_until": "only those created before this moment",
}

// filterFlags makes flags of the query parameters of a list, and gives the query
// that was written.
func filterFlags(cmd *cobra.Command, filters []string) func() url.Values {
	for _, name := range filters {
		about := cmp.Or(filterWords[name], "only those with this "+strings.ReplaceAll(name, "_", " "))
		cmd.Flags().String(strings.ReplaceAll(name, "_", "-"), "", about)
	}
	return func() url.Values {
		query := url.Values{}
		for _, name := range filters {
			if f := cmd.Flags().Lookup(strings.ReplaceAll(name, "_", "-")); f.Changed {
				query.Set(name, f.Value.String())
			}
		}
		return query
	}
}

// everyPage follows a list to its end.
func everyPage(ctx context.Context, client *api.Client, n noun, query url.Values) ([]thing, error) {
	all := []thing{}
	if n.path != api.NounScope && n.path != api.NounLicence && n.path != api.NounApplication {
		query.Set("page_size", "1000")
	}
	for {
		var page map[string]json.RawMessage
		if err := client.List(ctx, n.path, query, &page); err != nil {
			return nil, err
		}
		var part []thing
		if err := json.Unmarshal(page[string(n.path)], &part); err != nil {
			return nil, err
		}
		all = append(all, flattened(part, string(n.path))...)
		next := ""
		if err := json.Unmarshal(orNull(page["next_page_token"]), &next); err != nil {
			return nil, err
		}
		if next == "" {
			return all, nil
		}
		query.Set("page_token", next)
	}
}

func orNull(text json.RawMessage) []byte {
	if text == nil {
		return []byte("null")
	}
	return text
}

// flattened lists what lies in one another, each behind what it lies in.
func flattened(part []thing, member string) (all []thing) {
	for _, x := range part {
		below, _ := x[member].([]any)
		if member == string(api.NounScope) {
			delete(x, member)
		}
		all = append(all, x)
		if member != string(api.NounScope) {
			continue
		}
		for _, y := range below {
			if child, ok := y.(thing); ok {
				child["parent"] = cmp.Or(child["parent"], x["scope"])
				all = append(all, flattened([]thing{child}, member)...)
			}
		}
	}
	return all
}

// things writes a list as the flag wants it.
func (c *cli) things(n noun, all []thing) error {
	switch c.format {
	case "json":
		return writeJSON(c.out, map[string]any{string(n.path): all})
	case "yaml":
		return writeYAML(c.out, map[string]any{string(n.path): all})
	case "csv":
		out := sheet.NewWriter(c.out, sheet.CSV)
		return cmp.Or(out.Row(n.columns...), c.rows(n, all, func(cells []string) error { return out.Row(cells...) }), out.Close())
	}
	t := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ToUpper(strings.Join(n.columns, "\t")))
	err := c.rows(n, all, func(cells []string) error {
		_, err := fmt.Fprintln(t, strings.Join(cells, "\t"))
		return err
	})
	return cmp.Or(err, t.Flush())
}

func (c *cli) rows(n noun, all []thing, row func([]string) error) error {
	for _, x := range all {
		cells := make([]string, len(n.columns))
		for i, column := range n.columns {
			cells[i] = cell(x[column])
		}
		if err := row(cells); err != nil {
			return err
		}
	}
	return nil
}

// cell writes a member in a word or a few.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		if len(v) > 0 {
			if first, ok := v[0].(thing); ok && first["path"] != nil { // sections, which are too many to name
				return fmt.Sprint(len(v))
			}
		}
		var all []string
		for _, x := range v {
			all = append(all, cell(x))
		}
		return strings.Join(all, ", ")
	case thing:
		code := cmp.Or(cell(v["group"]), cell(v["role"]))
		if scope := cell(v["scope"]); scope != "" {
			code += "@" + scope
		}
		return code
	}
	return strings.Join(strings.Fields(fmt.Sprint(v)), " ")
}

// thing writes one, for people as YAML.
func (c *cli) thing(x any) error {
	if c.format == "json" {
		return writeJSON(c.out, x)
	}
	return writeYAML(c.out, x)
}

// writeYAML writes what JSON would say: with its names, and its whole numbers whole.
func writeYAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(ascii(text), &doc); err != nil {
		return err
	}
	inBlocks(&doc)
	out := yaml.NewEncoder(w)
	out.SetIndent(2)
	return cmp.Or(out.Encode(&doc), out.Close())
}

// ascii escapes what JSON lets stand and YAML does not, such as U+FEFF.
func ascii(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		if r < 0x7f {
			out = append(out, byte(r)) //nolint:gosec // just compared
		} else {
			out = fmt.Appendf(out, `\U%08X`, r)
		}
	}
	return out
}

// naming are the members by which people know what they look at.
var naming = []string{"id", "code", "scope", "section", "path", "group", "role", "name"}

// inBlocks writes a node over lines, what it is called first.
func inBlocks(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.MappingNode {
		members := slices.Collect(slices.Chunk(n.Content, 2))
		slices.SortStableFunc(members, func(a, b []*yaml.Node) int { return cmp.Compare(rank(a[0]), rank(b[0])) })
		n.Content = slices.Concat(members...)
	}
	for _, c := range n.Content {
		inBlocks(c)
	}
}

func rank(member *yaml.Node) int {
	if at := slices.Index(naming, member.Value); at >= 0 {
		return at
	}
	return len(naming)
}

func (c *cli) nounShow(n noun, example string) *cobra.Command {
	cmd := &cobra.Command{Use: "show " + strings.ToUpper(n.key), Short: "Show a " + n.name, Example: example, Args: exactly(1)}
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		var x thing
		if err := client.Show(ctx, n.path, args[0], &x); err != nil {
			return err
		}
		return c.thing(x)
	})
}

// dryRun is the flag that lets the server tell what a change would do.
const dryRun = "dry-run"

// editFlags are those of every change. What they bring is shown by made.
func editFlags(f *pflag.FlagSet) (reason *string, base *uint64) {
	f.Bool(dryRun, false, "change nothing, and tell who would gain and lose what")
	return recordFlags(f)
}

// recordFlags are those of a change that cannot be tried.
func recordFlags(f *pflag.FlagSet) (reason *string, base *uint64) {
	return f.String("reason", "", "why, for the history"), f.Uint64("base-revision", 0, "refuse when the tenant is no longer at this revision")
}

func (c *cli) nounCreate(n noun, example string) *cobra.Command {
	cmd := &cobra.Command{Use: "create " + strings.ToUpper(n.key), Short: "Make a " + n.name, Example: example, Args: exactly(1)}
	if n.key == "id" { // a random one will do
		cmd.Use, cmd.Args = "create [ID]", between(0, 1)
	}
	body := bodyFlags(cmd, n, true)
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		x, err := body()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			x[n.key] = args[0]
		}
		var now thing
		return c.made(client.Create(ctx, n.path, x, &now), &now)
	})
}

// made shows what became of a change, or would.
func (c *cli) made(err error, x *thing) error {
	if err != nil {
		return err
	}
	if _, only := (*x)["base_revision"]; only && c.format == "text" {
		return c.rehearsed(*x)
	}
	return c.thing(x)
}

func (c *cli) nounEdit(n noun, example string) *cobra.Command {
	cmd := &cobra.Command{Use: "edit " + strings.ToUpper(n.key), Short: "Change what is named of a " + n.name + "; the rest stays", Example: example, Args: exactly(1)}
	body := bodyFlags(cmd, n, false)
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		patch, err := body()
		if err != nil {
			return err
		}
		var x thing
		return c.made(client.Patch(ctx, n.path, args[0], patch, &x), &x)
	})
}

// bodyFlags makes flags of the fields, and gives the body that was written.
func bodyFlags(cmd *cobra.Command, n noun, isNew bool) func() (thing, error) {
	f := cmd.Flags()
	for _, field := range n.fields {
		switch {
		case field.onlyNew && !isNew:
		case field.kind == flagField:
			f.Bool(field.flag, false, field.usage)
		case field.kind == textField || field.kind == jsonField:
			f.String(field.flag, "", field.usage)
		default:
			f.StringSlice(field.flag, nil, field.usage)
		}
	}
	editFlags(f)
	return func() (thing, error) {
		x := thing{}
		for _, field := range n.fields {
			if flag := f.Lookup(field.flag); flag != nil && flag.Changed {
				v, err := field.value(f)
				if err != nil {
					return nil, err
				}
				x[field.member()] = v
			}
		}
		reason, _ := f.GetString("reason")
		base, _ := f.GetUint64("base-revision")
		return edited(x, reason, base), nil
	}
}

// edited adds what every change carries.
func edited(x thing, reason string, base uint64) thing {
	if reason != "" {
		x["reason"] = reason
	}
	if base != 0 {
		x["base_revision"] = base
	}
	return x
}

// editedBy is edited for what is written into the query.
func editedBy(query url.Values, reason string, base uint64) url.Values {
	if reason != "" {
		query.Set("reason", reason)
	}
	if base != 0 {
		query.Set("base_revision", fmt.Sprint(base))
	}
	return query
}

func (field field) value(f *pflag.FlagSet) (any, error) {
	text, _ := f.GetString(field.flag)
	list, _ := f.GetStringSlice(field.flag)
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	switch field.kind {
	case listField:
		return list, nil
	case groupsField:
		return linked("group", list), nil
	case rolesField:
		return linked("role", list), nil
	case jsonField:
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, usage("--%s: is not JSON: %w", field.flag, err)
		}
		return v, nil
	case flagField:
		return f.GetBool(field.flag)
	case textField:
	}
	return text, nil
}

// linked makes links of codes, or codes with scopes.
func linked(to string, list []string) []thing {
	all := []thing{}
	for _, text := range list {
		code, scope, scoped := strings.Cut(text, "@")
		l := thing{to: code}
		if scoped {
			l["scope"] = scope
		}
		all = append(all, l)
	}
	return all
}

// nounDelete has one more flag, if any, for the query parameter of that name.
func (c *cli) nounDelete(n noun, example, extra, extraUsage string) *cobra.Command {
	cmd := &cobra.Command{Use: "delete " + strings.ToUpper(n.key), Short: "Delete a " + n.name, Example: example, Args: exactly(1)}
	var with string
	if extra != "" {
		cmd.Flags().StringVar(&with, extra, "", extraUsage)
	}
	reason, base := editFlags(cmd.Flags())
	return c.directoryCommand(cmd, func(ctx context.Context, client *api.Client, args []string) error {
		query := url.Values{}
		if with != "" {
			query.Set(strings.ReplaceAll(extra, "-", "_"), with)
		}
		var x thing
		return c.made(client.Delete(ctx, n.path, args[0], editedBy(query, *reason, *base), &x), &x)
	})
}
