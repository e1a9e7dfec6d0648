package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/internal/access"
)

// maxDepth is how deep the values of a file may be nested; the format itself
// needs nine levels, the rest is for attributes.
const maxDepth = 32

// decoder turns one YAML file into Go values. Nothing that it does not
// understand is skipped: each mistake becomes a problem with its place, and the
// value concerned stays unset. It goes on after a mistake to find the others.
type decoder struct {
	file     string
	problems access.Problems
}

// nodeDecoder is a type that has more than one spelling in files.
type nodeDecoder interface {
	decodeNode(d *decoder, key string, n *yaml.Node)
}

// checker is a type whose keys depend on one another.
type checker interface {
	check(d *decoder, n *yaml.Node)
}

func (d *decoder) at(n *yaml.Node) access.Origin {
	return access.Origin{File: d.file, Line: n.Line, Column: n.Column}
}

func (d *decoder) add(n *yaml.Node, code, format string, args ...any) *access.Problem {
	return d.addAt(d.at(n), code, format, args...)
}

func (d *decoder) addAt(at access.Origin, code, format string, args ...any) *access.Problem {
	d.problems = append(d.problems, access.Problem{Origin: at, Code: code, Message: fmt.Sprintf(format, args...)})
	return &d.problems[len(d.problems)-1]
}

// invalid reports the error of one of the rules of package access.
func (d *decoder) invalid(n *yaml.Node, code string, err error) bool {
	if err == nil {
		return true
	}
	d.add(n, code, "%s", err.Error())
	return false
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parserError is an error of the library's parser, which counts lines from 0;
// its scanner counts from 1.
var parserError = regexp.MustCompile(`did not find expected (<.*>|node content|'-' indicator|key|',' or '[\]}]')$`)

// parse gives the root value of the file's only document, or nil.
func (d *decoder) parse(src []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, next yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.addAt(access.Origin{File: d.file, Line: 1}, "file-empty", "the file is empty")
		return nil
	case err != nil:
		d.syntax(err)
		return nil
	}
	root := doc.Content[0]
	if root.ShortTag() == "!!null" && root.Value == "" {
		d.addAt(access.Origin{File: d.file, Line: 1}, "file-empty", "the file is empty")
		return nil
	}
	switch err := dec.Decode(&next); {
	case err == nil:
		d.add(&next, "yaml-documents", "a file holds one document; this is a second one")
	case !errors.Is(err, io.EOF):
		d.syntax(err)
		return nil
	}
	if !d.plain(root, 1) {
		return nil
	}
	return root
}

func (d *decoder) syntax(err error) {
	at, text := access.Origin{File: d.file, Line: 1}, err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = m[2]
		if line, err := strconv.Atoi(m[1]); err == nil {
			at.Line = line
			if parserError.MatchString(text) {
				at.Line++
			}
		}
	}
	d.addAt(at, "yaml-syntax", "this is not YAML: %s", text)
}

// plain refuses the parts of YAML that hide what a file says: anchors, aliases,
// tags, keys that are not words, keys that are there twice. It reports false
// where the file is too deep to be looked at any further.
func (d *decoder) plain(n *yaml.Node, depth int) bool {
	if depth > maxDepth {
		d.add(n, "yaml-depth", "values are nested deeper than %d levels", maxDepth)
		return false
	}
	switch {
	case n.Kind == yaml.AliasNode:
		d.add(n, "yaml-anchor", "aliases (*%s) are not allowed; write the value out", n.Value)
	case n.Anchor != "":
		d.add(n, "yaml-anchor", "anchors (&%s) are not allowed; write the value out where it is used", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		d.add(n, "yaml-tag", "tags (%s) are not allowed", n.Tag)
		n.Tag, n.Style = "", n.Style&^yaml.TaggedStyle // from here on it is what it looks like
	}
	if n.Kind == yaml.MappingNode {
		d.keys(n)
	}
	for _, child := range n.Content {
		if !d.plain(child, depth+1) {
			return false
		}
	}
	return true
}

func (d *decoder) keys(n *yaml.Node) {
	first := map[string]*yaml.Node{}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			d.add(key, "key-invalid", "a key must be a word")
			continue
		}
		if twin, twice := first[key.Value]; twice {
			d.add(key, "key-duplicate", "key %q is there twice", key.Value).Hint = fmt.Sprintf("first at line %d", twin.Line)
			continue
		}
		first[key.Value] = key
	}
}

// value decodes a node into v. Key is the name under which it stands.
func (d *decoder) value(key string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		return // reported by plain
	}
	if n.ShortTag() == "!!null" {
		d.add(n, "value-blank", "%s has no value; give it one or leave the key out", key)
		return
	}
	if special, ok := v.Addr().Interface().(nodeDecoder); ok {
		special.decodeNode(d, key, n)
		return
	}
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		d.time(key, n, t)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(key, n, v.Elem())
	case reflect.Struct:
		d.entry(key, n, v)
	case reflect.Slice:
		d.list(key, n, v)
	case reflect.Map:
		d.dict(key, n, v)
	case reflect.String:
		d.text(key, n, func(s string) { v.SetString(s) })
	case reflect.Bool:
		d.truth(key, n, v)
	case reflect.Int:
		if i, ok := d.number(key, n); ok {
			v.SetInt(int64(i))
		}
	default:
		panic("bundle: no rule to decode " + v.Type().String()) // a mistake in kinds.go
	}
}

// wrongType says what stands there instead of what is wanted.
func (d *decoder) wrongType(key, want string, n *yaml.Node) {
	problem := d.add(n, "value-type", "%s must be %s, not %s", key, want, describe(n))
	if n.Kind == yaml.ScalarNode && want == wantText {
		problem.Hint = fmt.Sprintf("write it in quotes: %q", n.Value)
	}
}

const wantText = "text"

func describe(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!map":
		return "a mapping"
	case "!!seq":
		return "a list"
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the truth value " + n.Value
	case "!!timestamp":
		return "the date " + n.Value
	}
	return quoted(n.Value)
}

// maxQuoted is how many bytes of a value stand in a mistake.
const maxQuoted = 60

func quoted(text string) string {
	if len(text) <= maxQuoted {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q...", strings.ToValidUTF8(text[:maxQuoted], ""))
}

func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" }

// text gives a string that is not blank to set.
func (d *decoder) text(key string, n *yaml.Node, set func(string)) {
	switch {
	case !isText(n):
		d.wrongType(key, wantText, n)
	case strings.TrimSpace(n.Value) == "":
		d.add(n, "value-blank", "%s is blank; give it a value or leave the key out", key)
	default:
		set(n.Value)
	}
}

func (d *decoder) truth(key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode || n.Style != 0 || n.Value != "true" && n.Value != "false" {
		d.wrongType(key, "true or false", n)
		return
	}
	v.SetBool(n.Value == "true")
}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,8})$`)

func (d *decoder) number(key string, n *yaml.Node) (int, bool) {
	if n.Kind != yaml.ScalarNode || n.Style != 0 || !wholeNumber.MatchString(n.Value) {
		d.wrongType(key, "a whole number", n)
		return 0, false
	}
	i, err := strconv.Atoi(n.Value)
	return i, err == nil
}

// time wants a full moment. Years before 1970 are refused because the very
// first moment of all stands for "no limit" elsewhere.
func (d *decoder) time(key string, n *yaml.Node, t *time.Time) {
	moment, err := time.Parse(time.RFC3339, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || moment.Year() < 1970 {
		d.add(n, "time-invalid", "%s must be a moment since 1970, not %s", key, describe(n)).Hint = "write it like 2026-01-31T08:00:00Z"
		return
	}
	*t = moment.UTC()
}

func (d *decoder) list(key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.wrongType(key, "a list", n)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(fmt.Sprintf("%s[%d]", key, i), item, list.Index(i))
	}
	v.Set(list)
}

func (d *decoder) dict(key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.wrongType(key, "a mapping", n)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i < len(n.Content); i += 2 {
		d.text("the key", n.Content[i], func(name string) {
			item := reflect.New(v.Type().Elem()).Elem()
			d.value(key+"."+name, n.Content[i+1], item)
			if item.Kind() == reflect.Struct && item.FieldByName("Origin").IsValid() {
				item.FieldByName("Origin").Set(reflect.ValueOf(d.at(n.Content[i])))
			}
			v.SetMapIndex(reflect.ValueOf(name), item)
		})
	}
}

// entry decodes a mapping into a struct of kinds.go.
func (d *decoder) entry(key string, n *yaml.Node, v reflect.Value) {
	fields := fieldsOf(v.Type())
	if origin := v.FieldByName("Origin"); origin.IsValid() {
		origin.Set(reflect.ValueOf(d.at(n)))
	}
	if short := slices.IndexFunc(fields, func(f field) bool { return f.short }); short >= 0 && n.Kind == yaml.ScalarNode {
		d.value(key, n, v.FieldByIndex(fields[short].index))
		return
	}
	if n.Kind != yaml.MappingNode {
		d.wrongType(key, "a mapping", n)
		return
	}
	before := len(d.problems)
	seen := d.members(n, v, fields)
	for _, f := range fields {
		if f.required && !seen[f.name] {
			d.add(n, "key-missing", "%s needs the key %q", key, f.name)
		}
	}
	if c, ok := v.Addr().Interface().(checker); ok && len(d.problems) == before {
		c.check(d, n)
	}
}

func (d *decoder) members(n *yaml.Node, v reflect.Value, fields []field) (seen map[string]bool) {
	seen = map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i].Value
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		switch {
		case n.Content[i].Kind != yaml.ScalarNode || seen[name]: // reported by plain
		case at < 0:
			d.unknownKey(n.Content[i], fields)
		default:
			f := fields[at]
			d.value(name, n.Content[i+1], v.FieldByIndex(f.index))
			d.oneOf(name, n.Content[i+1], v.FieldByIndex(f.index), f.enum)
		}
		seen[name] = true
	}
	return seen
}

func (d *decoder) unknownKey(n *yaml.Node, fields []field) {
	var known []string
	for _, f := range fields {
		known = append(known, f.name)
	}
	problem := d.add(n, "key-unknown", "unknown key %q", n.Value)
	problem.Hint = "known here: " + strings.Join(known, ", ")
	if near := access.Nearest(n.Value, known); near != "" {
		problem.Hint = didYouMean(near)
	}
}

func didYouMean(name string) string { return fmt.Sprintf("did you mean %q?", name) }

// oneOf clears a value that is not among those allowed.
func (d *decoder) oneOf(key string, n *yaml.Node, v reflect.Value, allowed []string) {
	if allowed == nil || v.String() == "" || slices.Contains(allowed, v.String()) {
		return
	}
	problem := d.add(n, "value-unknown", "%s: %q is not known; write %s", key, v.String(), strings.Join(allowed, ", "))
	if near := access.Nearest(v.String(), allowed); near != "" {
		problem.Hint = didYouMean(near)
	}
	v.SetString("")
}

// field is one key of a struct of kinds.go, as its tags tell.
type field struct {
	name     string
	index    []int
	required bool
	short    bool
	enum     []string
}

// fieldsOf lists the keys of a struct in the order of the format.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if f.Anonymous || name == "-" {
			continue
		}
		next := field{name: name, index: f.Index, short: opts == "short"}
		for rule := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
			if word, ok := strings.CutPrefix(rule, "enum="); ok {
				next.enum = append(next.enum, word)
			}
			next.required = next.required || rule == "required"
		}
		fields = append(fields, next)
	}
	return fields
}

// kind checks the kind of a file first: where it is another one than the folder
// holds, every other complaint would miss the point.
func (d *decoder) kind(root *yaml.Node, want kind) bool {
	if root.Kind != yaml.MappingNode {
		d.wrongType("the file", "a mapping", root)
		return false
	}
	for i := 0; i < len(root.Content); i += 2 {
		n := root.Content[i+1]
		if root.Content[i].Value != "kind" || !isText(n) || n.Value == want.name {
			continue
		}
		problem := d.add(n, "kind-wrong", "kind: %q does not belong here; this must be %s", n.Value, want.name)
		for dir, k := range kinds {
			if k.name == n.Value {
				problem.Hint = "files of this kind belong in " + dir
			}
		}
		return false
	}
	return true
}
