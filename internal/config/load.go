package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// LoadOptions names the places that settings are read from.
type LoadOptions struct {
	File  string            // path of the YAML file; empty: what BAILIWICK_CONFIG in Env says, or none
	Env   []string          // NAME=value, as os.Environ gives them
	Flags map[string]string // flags that were given, by Key.Flag
}

// notSettings are variables that begin as ours do and are for somebody else:
// the command line's server and key, and the tests.
var notSettings = []string{
	"BAILIWICK_CONFIG", "BAILIWICK_SERVER", "BAILIWICK_API_KEY", "BAILIWICK_TENANT",
	"BAILIWICK_SOAK", "BAILIWICK_TEST_*",
}

// Load reads all places, the stronger over the weaker, and validates the
// result. The error is of type Mistakes and holds all of them; with an error
// the configuration must not be used.
func Load(o LoadOptions) (Config, error) {
	l := loader{config: Default(), from: map[string]origin{}, keys: map[string]Key{}}
	for _, k := range Keys() {
		l.keys[k.Name] = k
	}
	env := ours(o.Env)
	if o.File == "" {
		o.File = env["BAILIWICK_CONFIG"]
	}
	l.readFile(o.File)
	l.readEnvironment(env)
	l.readFlags(o.Flags)
	l.readSecrets()
	var wrong Mistakes
	if errors.As(l.config.Validate(), &wrong) {
		l.wrong = append(l.wrong, l.located(wrong)...)
	}
	return l.config, l.wrong.orNil()
}

// The places, weakest first.
const (
	fromFile = iota + 1
	fromEnvironment
	fromFlags
)

type origin struct {
	place int
	where string // "bailiwick.yaml:3:5", a variable or a flag
}

type loader struct {
	config Config
	keys   map[string]Key
	from   map[string]origin
	wrong  Mistakes
}

func (l *loader) assign(k Key, written string, o origin) {
	l.from[k.Name] = o
	if err := set(k.in(&l.config), written); err != nil {
		l.mistake(o.where, k.Name, "%v", err)
	}
}

func (l *loader) mistake(where, key, format string, args ...any) {
	l.wrong = append(l.wrong, Mistake{Where: where, Key: key, Text: fmt.Sprintf(format, args...)})
}

// located adds where the value at fault was said; a default needs no place.
func (l *loader) located(wrong Mistakes) Mistakes {
	for i := range wrong {
		wrong[i].Where = l.from[wrong[i].Key].where
	}
	return wrong
}

func (l *loader) readFile(path string) {
	if path == "" {
		return
	}
	file, err := os.Open(path) //nolint:gosec // the operator names the file on purpose
	if err != nil {
		l.mistake("", "", "configuration file: %v", err)
		return
	}
	defer file.Close()
	var document, more yaml.Node
	decoder := yaml.NewDecoder(file)
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return // an empty file says nothing
	case err != nil:
		l.mistake(path, "", "%v", err)
		return
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		l.mistake(path, "", "holds more than one YAML document")
		return
	}
	l.readNode(path, "", document.Content[0])
}

// readNode walks the file's mappings. It is stricter than decoding into the
// struct: a key said twice, an alias and an empty value are mistakes too.
func (l *loader) readNode(path, name string, n *yaml.Node) {
	where := fmt.Sprintf("%s:%d:%d", path, n.Line, n.Column)
	if k, ok := l.keys[name]; ok {
		l.readValue(k, n, origin{fromFile, where})
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // a section whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		l.mistake(where, name, "must be a list of key: value lines")
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		child, at := join(name, key.Value), fmt.Sprintf("%s:%d:%d", path, key.Line, key.Column)
		switch {
		case !l.known(child):
			l.mistake(at, child, "is not a key%s", didYouMean(child, l.names()))
		case seen[child]:
			l.mistake(at, child, "is said twice")
		default:
			l.readNode(path, child, value)
		}
		seen[child] = true
	}
}

func (l *loader) readValue(k Key, n *yaml.Node, o origin) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null" && !k.isList:
		l.assign(k, n.Value, o)
	case n.Kind == yaml.SequenceNode && k.isList:
		l.readList(k, n, o)
	case k.isList:
		l.mistake(o.where, k.Name, "must be a list, such as [a, b] or []")
	default:
		l.mistake(o.where, k.Name, "must be one plain value")
	}
}

func (l *loader) readList(k Key, n *yaml.Node, o origin) {
	items := make([]string, 0, len(n.Content))
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" || strings.Contains(item.Value, ",") {
			l.mistake(o.where, k.Name, "each item must be one plain value without comma")
			return
		}
		items = append(items, item.Value)
	}
	l.assign(k, strings.Join(items, ","), o)
}

func (l *loader) readEnvironment(env map[string]string) {
	byVariable := map[string]Key{}
	for _, k := range l.keys {
		byVariable[k.Variable()] = k
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		k, ok := byVariable[name]
		switch {
		case ok:
			l.assign(k, env[name], origin{fromEnvironment, name})
		case !isNotSetting(name):
			l.mistake(name, "", "no setting has this variable%s", didYouMean(name, slices.Sorted(maps.Keys(byVariable))))
		}
	}
}

func (l *loader) readFlags(flags map[string]string) {
	byFlag := map[string]Key{}
	for _, k := range l.keys {
		byFlag[k.Flag()] = k
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if k, ok := byFlag[name]; ok {
			l.assign(k, flags[name], origin{fromFlags, "--" + name})
			continue
		}
		l.mistake("--"+name, "", "no setting has this flag%s", didYouMean(name, slices.Sorted(maps.Keys(byFlag))))
	}
}

// readSecrets fills keys from the files that their _file keys name, unless the
// value itself was said in a stronger place.
func (l *loader) readSecrets() {
	for _, k := range Keys() {
		if k.fills == "" || k.in(&l.config).String() == "" {
			continue
		}
		file, value := l.from[k.Name], l.from[k.fills]
		switch {
		case value.place == file.place && l.keys[k.fills].in(&l.config).String() != "":
			l.mistake(file.where, k.Name, "and %s are both given; keep one", k.fills)
		case value.place <= file.place:
			l.readSecret(k, file)
		default: // the stronger value stands, as if no file had been named
			k.in(&l.config).SetString("")
		}
	}
}

func (l *loader) readSecret(k Key, o origin) {
	content, err := os.ReadFile(k.in(&l.config).String())
	if err != nil {
		l.mistake(o.where, k.Name, "%v", err)
		return
	}
	l.assign(l.keys[k.fills], strings.TrimRight(string(content), "\r\n"), o)
}

// names lists every key and section.
func (l *loader) names() []string {
	var names []string
	for _, k := range Keys() {
		for i, c := range k.Name {
			if c == '.' {
				names = append(names, k.Name[:i])
			}
		}
		names = append(names, k.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (l *loader) known(name string) bool { return slices.Contains(l.names(), name) }

func ours(env []string) map[string]string {
	found := map[string]string{}
	for _, e := range env {
		if name, value, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, variablePrefix) {
			found[name] = value
		}
	}
	return found
}

func isNotSetting(name string) bool {
	return slices.ContainsFunc(notSettings, func(allowed string) bool {
		prefix, open := strings.CutSuffix(allowed, "*")
		return name == allowed || open && strings.HasPrefix(name, prefix)
	})
}

func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}
