package bundle

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The types in this file are the values that can be written in more than one way.

// rights is a list of actions or a sum of rights.
type rights struct {
	sum     access.Rights
	actions []string // declared ones
	set     bool
}

func (r *rights) decodeNode(d *decoder, key string, n *yaml.Node) {
	r.set = true
	if n.Kind != yaml.SequenceNode {
		var s sum
		s.decodeNode(d, key, n)
		r.sum = access.Rights(s)
		return
	}
	for _, name := range d.names(key, n) {
		if right, standard := access.RightOf(name); standard {
			r.sum |= right
			continue
		}
		r.actions = append(r.actions, name)
	}
}

// names decodes a list of different words that is not empty.
func (d *decoder) names(key string, n *yaml.Node) []string {
	var names []string
	for _, item := range n.Content {
		if item.Kind == yaml.AliasNode {
			continue // reported by plain
		}
		d.text(key, item, func(name string) {
			if slices.Contains(names, name) {
				d.add(item, "value-duplicate", "%s: %q is there twice", key, name)
			}
			names = append(names, name)
		})
	}
	if len(n.Content) == 0 {
		d.add(n, "value-blank", "%s is an empty list", key)
	}
	return names
}

// standardRights is rights without declared actions.
type standardRights access.Rights

func (r *standardRights) decodeNode(d *decoder, key string, n *yaml.Node) {
	var all rights
	all.decodeNode(d, key, n)
	for _, name := range all.actions {
		problem := d.add(n, "rights-invalid", "%s: %q is not one of the standard actions %s", key, name, strings.Join(access.RightNames(), ", "))
		if near := access.Nearest(name, access.RightNames()); near != "" {
			problem.Hint = didYouMean(near)
		}
	}
	*r = standardRights(all.sum)
}

// sum is a sum of rights as an integer.
type sum access.Rights

func (s *sum) decodeNode(d *decoder, key string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Style != 0 || !wholeNumber.MatchString(n.Value) {
		d.add(n, "rights-invalid", "%s must be a list of actions or a sum of rights from 0 to 63, not %s", key, describe(n))
		return
	}
	number, _ := strconv.ParseInt(n.Value, 10, 64) // nine digits at most
	r, err := access.RightsOf(key, number)
	if d.invalid(n, "rights-invalid", err) {
		*s = sum(r)
	}
}

// verbs is what a question asks: one action, several, or a sum of rights.
type verbs []access.Action

func (v *verbs) decodeNode(d *decoder, key string, n *yaml.Node) {
	switch {
	case n.Kind == yaml.SequenceNode:
		*v = verbs{}
		for _, name := range d.names(key, n) {
			*v = append(*v, access.Action(name))
		}
	case isText(n):
		*v = verbs{}
		d.text(key, n, func(name string) { *v = verbs{access.Action(name)} })
	default:
		var s sum
		before := len(d.problems)
		if s.decodeNode(d, key, n); len(d.problems) > before {
			*v = verbs{} // there, if wrong
			return
		}
		actions, err := access.ActionsOf(key, int64(s))
		d.invalid(n, "rights-invalid", err)
		*v = append(verbs{}, actions...)
	}
}

// ceiling is what a group reaches at most: scopes, or groups that it manages.
type ceiling struct {
	limited bool
	names   []string
}

func (c *ceiling) decodeNode(d *decoder, key string, n *yaml.Node) {
	switch {
	case n.Kind == yaml.SequenceNode:
		c.limited, c.names = true, d.names(key, n)
	case n.Kind == yaml.ScalarNode && n.Value == "none":
		c.limited = true
	case n.Kind != yaml.ScalarNode || n.Value != "all":
		d.add(n, "value-unknown", "%s must be all, none or a list, not %s", key, describe(n))
	}
}

// attributes are named JSON values, such as conditions see.
type attributes map[string]any

func (a *attributes) decodeNode(d *decoder, key string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.wrongType(key, "a mapping", n)
		return
	}
	*a, _ = d.json(key, n).(map[string]any)
}

// values is a list of JSON values.
type values []any

func (v *values) decodeNode(d *decoder, key string, n *yaml.Node) {
	*v = values{} // there, if wrong
	if n.Kind != yaml.SequenceNode {
		d.wrongType(key, "a list", n)
		return
	}
	*v, _ = d.json(key, n).([]any)
	if len(n.Content) == 0 {
		d.add(n, "value-blank", "%s is an empty list", key)
	}
}

// json gives the value that encoding/json would make of the same thing, so that
// conditions see one and the same value whichever way it came in.
func (d *decoder) json(key string, n *yaml.Node) any {
	if n.Kind == yaml.AliasNode {
		return nil // reported by plain
	}
	switch n.ShortTag() {
	case "!!map":
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			d.text("the key", n.Content[i], func(name string) {
				m[name] = d.json(key+"."+name, n.Content[i+1])
			})
		}
		return m
	case "!!seq":
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = d.json(key, item)
		}
		return list
	}
	return d.jsonScalar(key, n)
}

// exact is the first whole number that a float64 cannot tell from the next one.
const exact = 1 << 53

func (d *decoder) jsonScalar(key string, n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		return n.Value
	case "!!bool":
		return n.Value[0]|0x20 == 't'
	case "!!int", "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsNaN(f) || math.Abs(f) >= exact {
			d.add(n, "value-number", "%s: %s is not a number that can be kept exactly", key, n.Value).Hint = "write it in quotes, as text"
		}
		return f
	}
	d.add(n, "value-blank", "%s has no value; give it one or leave the key out", key)
	return nil
}

// check demands one of the two ways to write a grant, whole.
func (g *grantEntry) check(d *decoder, n *yaml.Node) {
	switch table, own := g.Name != "" || g.Crud != nil, g.Section != "" || g.Rights.set; {
	case table && own:
		d.add(n, "grant-mixed", "a grant has either section and rights, or name and crud")
	case table && (g.Name == "" || g.Crud == nil):
		d.add(n, "key-missing", "a grant with name or crud needs both of them")
	case !table && (g.Section == "" || !g.Rights.set):
		d.add(n, "key-missing", "a grant needs section and rights")
	}
}

// word is text that remembers where it stands.
type word struct {
	text string
	at   access.Origin
}

func (w *word) decodeNode(d *decoder, key string, n *yaml.Node) {
	w.at = d.at(n)
	d.text(key, n, func(s string) { w.text = s })
}

// matching is the name of a function that compares names, limiting that of one
// that limits links. Package access knows which there are.
type (
	matching word
	limiting word
)

func (m *matching) decodeNode(d *decoder, key string, n *yaml.Node) { (*word)(m).decodeNode(d, key, n) }

func (l *limiting) decodeNode(d *decoder, key string, n *yaml.Node) { (*word)(l).decodeNode(d, key, n) }

// truth is true or false, and remembers where it stands.
type truth struct {
	is bool
	at access.Origin
}

func (t *truth) decodeNode(d *decoder, key string, n *yaml.Node) {
	t.at = d.at(n)
	d.truth(key, n, reflect.ValueOf(&t.is).Elem())
}
