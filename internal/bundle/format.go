package bundle

import (
	"bytes"
	"errors"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Format gives the canonical form of one file of a bundle; name is its path in
// the bundle, for instance "roles/clerk.yaml". YAML gets its keys in the order
// of the format, an indent of two blanks, and quotes where they are needed;
// lists and mappings stay in one line or in many, as they were. Comments are
// kept, single blank lines too. Other files only lose blanks at the ends of
// lines and get a newline at their end.
//
// Formatting what Format has given changes nothing, and formatting never changes
// what a file says. A file with mistakes is not formatted: the error is
// access.Problems then.
func Format(name string, src []byte) ([]byte, error) {
	if problems := notText(name, src); problems != nil {
		return nil, problems
	}
	if path.Ext(name) == ".csv" || name == modelName {
		return trimmed(src), nil
	}
	k, ok := kinds[path.Dir(name)]
	if path.Dir(name) == "." {
		k, ok = kinds[name]
	}
	if !ok || path.Ext(name) != ".yaml" {
		return nil, access.Invalid("name", "%q is not a file of a bundle", name)
	}
	f, problems := decodeFile(name, src, k)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	// Where a blank line stands in the way of a comment, it goes.
	for _, blankLines := range []bool{true, false} {
		w := formatter{file: name, shape: reflect.TypeOf(f), blankLines: blankLines}
		if out, err := w.settle(src); err == nil {
			return out, nil
		}
	}
	return nil, access.Problems{{
		Origin: access.Origin{File: name}, Code: "format-comment",
		Message: "a comment stands where formatting would lose it; put it on a line of its own above what it is about",
	}}
}

// trimmed is all that happens to files in the formats of others.
func trimmed(src []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(src) {
		out.Write(bytes.TrimRightFunc(line, unicode.IsSpace))
		out.WriteByte('\n')
	}
	return append(bytes.TrimRight(out.Bytes(), "\n"), '\n')
}

type formatter struct {
	file       string
	shape      reflect.Type
	blankLines bool
}

var errChanged = errors.New("formatting would change the file")

// settle formats until nothing changes any more: a comment may belong to
// another line once its own has moved.
func (w *formatter) settle(src []byte) ([]byte, error) {
	const rounds = 5
	for range rounds {
		out, err := w.once(src)
		if err != nil || bytes.Equal(out, src) {
			return out, err
		}
		src = out
	}
	return nil, errChanged
}

func (w *formatter) once(src []byte) ([]byte, error) {
	text := bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	before, err := parseDocument(text)
	if err != nil {
		return nil, err
	}
	if w.blankLines {
		text = markBlanks(text, before)
	}
	doc, err := parseDocument(text)
	if err != nil {
		return nil, err
	}
	root := doc.Content[0]
	first := root.Content[0]
	canonical(root, w.shape, false)
	if top := root.Content[0]; top != first { // what stands at the very top is about the file
		top.HeadComment = joinComments(first.HeadComment, top.HeadComment)
		first.HeadComment = ""
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(doc), enc.Close()); err != nil {
		return nil, err
	}
	result, err := dropCommas(unmarkBlanks(out.Bytes()))
	if err != nil {
		return nil, err
	}
	return result, same(text, doc, result)
}

// dropCommas takes away the comma that the library leaves before the closing
// bracket of a line with a comment below it.
func dropCommas(src []byte) ([]byte, error) {
	doc, err := parseDocument(src)
	if err != nil {
		return nil, err
	}
	inside := textSpans(src, doc)
	var out []byte
	for i, b := range src {
		if b == ',' && i+1 < len(src) && (src[i+1] == '}' || src[i+1] == ']') && !covered(inside, i) {
			continue
		}
		out = append(out, b)
	}
	return out, nil
}

func parseDocument(src []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode {
		return nil, errChanged
	}
	return &doc, nil
}

// same makes sure that formatting has kept every value and every comment. The
// YAML library loses comments in some places; better not to format than to lose one.
func same(src []byte, doc *yaml.Node, result []byte) error {
	after, err := parseDocument(result)
	if err != nil {
		return err
	}
	before, err := parseDocument(src)
	if err != nil {
		return err
	}
	var d decoder
	if !reflect.DeepEqual(d.json("", doc.Content[0]), d.json("", after.Content[0])) ||
		!slices.Equal(comments(src, before), comments(result, after)) {
		return errChanged
	}
	return nil
}

// canonical puts keys into the order of the format and gives scalars the
// quotes that they need.
func canonical(n *yaml.Node, shape reflect.Type, flow bool) {
	if !flow && n.Style&yaml.FlowStyle != 0 {
		flow = true
		for _, child := range n.Content {
			n.FootComment = joinComments(n.FootComment, lift(child))
		}
	}
	for shape != nil && shape.Kind() == reflect.Pointer {
		shape = shape.Elem()
	}
	if n.Kind == yaml.ScalarNode {
		restyle(n, shape, flow)
		return
	}
	if n.Kind == yaml.MappingNode {
		canonicalMapping(n, shape, flow)
		return
	}
	for _, item := range n.Content {
		canonical(item, elem(shape), flow)
	}
}

// lift takes the foot comments out of what stands in one line: the library gives
// the comment below the line to the last word in it.
func lift(n *yaml.Node) string {
	foot := ""
	for _, child := range n.Content {
		foot = joinComments(foot, lift(child))
	}
	foot = joinComments(foot, n.FootComment)
	n.FootComment = ""
	return foot
}

func joinComments(above, below string) string {
	if above == "" || below == "" {
		return above + below
	}
	return above + "\n" + below
}

// elem is the shape of what a list or map holds; nil where it is free.
func elem(shape reflect.Type) reflect.Type {
	if shape == nil || shape.Kind() != reflect.Slice && shape.Kind() != reflect.Map {
		return nil
	}
	return shape.Elem()
}

func canonicalMapping(n *yaml.Node, shape reflect.Type, flow bool) {
	var fields []field
	if shape != nil && shape.Kind() == reflect.Struct {
		fields = fieldsOf(shape)
	}
	rank := func(key *yaml.Node) int {
		return slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
	}
	pairs := make([][2]*yaml.Node, 0, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		inner := elem(shape)
		if at := rank(key); at >= 0 {
			inner = shape.FieldByIndex(fields[at].index).Type
		}
		canonical(key, nil, flow)
		canonical(value, inner, flow)
		pairs = append(pairs, [2]*yaml.Node{key, value})
	}
	slices.SortStableFunc(pairs, func(a, b [2]*yaml.Node) int { return rank(a[0]) - rank(b[0]) })
	n.Content = n.Content[:0]
	for _, p := range pairs {
		n.Content = append(n.Content, p[0], p[1])
	}
}

func restyle(n *yaml.Node, shape reflect.Type, flow bool) {
	switch {
	case shape == reflect.TypeFor[time.Time]() && !flow: // in one line, the library quotes what holds a colon
		n.Style, n.Tag = 0, "!!timestamp"
	case shape == reflect.TypeFor[time.Time]():
		n.Style, n.Tag = yaml.DoubleQuotedStyle, "!!str"
	case !isText(n), n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 && !flow:
	case bareText(n.Value, flow):
		n.Style = 0
	case strings.ContainsAny(n.Value, `"\`) && !strings.ContainsFunc(n.Value, unicode.IsControl):
		n.Style = yaml.SingleQuotedStyle
	default:
		n.Style = yaml.DoubleQuotedStyle
	}
}

// tricky is text that some reader of YAML takes for something else: the truth
// values of old and numbers.
var tricky = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|[-+]?[0-9_]+(\.[0-9_]*)?(e[-+]?[0-9]+)?)$`)

// bareText tells whether a text can stand without quotes.
func bareText(s string, flow bool) bool {
	first, _ := utf8.DecodeRuneInString(s)
	plain := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	switch {
	case !unicode.IsLetter(first) && !unicode.IsDigit(first) && !strings.ContainsRune("_/(", first),
		plain.ShortTag() != "!!str", tricky.MatchString(s),
		strings.Contains(s, ":"), strings.Contains(s, " #"),
		strings.TrimSpace(s) != s, strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }):
		return false
	}
	return !flow || !strings.ContainsAny(s, ",[]{}")
}
