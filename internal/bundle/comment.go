package bundle

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// blankMark is a comment that stands for a blank line while the YAML library
// has the file in hand, because it keeps comments and not blank lines.
const blankMark = "#\u2424"

// markBlanks puts marks in place of blank lines, one for several, with the
// indent of the line below. None at the very start or end.
func markBlanks(src []byte, doc *yaml.Node) []byte {
	inside := textSpans(src, doc)
	lines := bytes.Split(src, []byte("\n"))
	var out [][]byte
	offset, pending := 0, false
	for _, line := range lines {
		switch blank := len(bytes.TrimSpace(line)) == 0; {
		case blank && !covered(inside, offset):
			pending = len(out) > 0
		case pending:
			indent := line[:len(line)-len(bytes.TrimLeft(line, " "))]
			out = append(out, append(slices.Clone(indent), blankMark...), line)
			pending = false
		default:
			out = append(out, line)
		}
		offset += len(line) + 1
	}
	return append(bytes.Join(out, []byte("\n")), '\n')
}

func unmarkBlanks(src []byte) []byte {
	lines := bytes.Split(src, []byte("\n"))
	for i, line := range lines {
		if string(bytes.TrimSpace(line)) == blankMark {
			lines[i] = nil
		}
	}
	return bytes.Join(lines, []byte("\n"))
}

// comments lists the comments of a file, sorted, without those that are marks.
// It looks at the text itself, so that it also sees those that the YAML library
// loses.
func comments(src []byte, doc *yaml.Node) []string {
	inside := textSpans(src, doc)
	var found []string
	offset := 0
	for line := range strings.Lines(string(src)) {
		for i := range len(line) {
			if line[i] != '#' || i > 0 && line[i-1] != ' ' && line[i-1] != '\t' || covered(inside, offset+i) {
				continue
			}
			if text := strings.TrimSpace(line[i:]); text != blankMark {
				found = append(found, text)
			}
			break
		}
		offset += len(line)
	}
	slices.Sort(found)
	return found
}

// span is a range of bytes, the end not included.
type span struct{ from, to int }

// covered tells whether a byte lies in one of the spans, which are in the order
// of the file and do not overlap.
func covered(spans []span, at int) bool {
	next := sort.Search(len(spans), func(i int) bool { return spans[i].from > at })
	return next > 0 && at < spans[next-1].to
}

// textSpans gives the ranges of values that may hold blank lines and "#":
// quoted ones, blocks, and bare ones that run over several lines.
func textSpans(src []byte, doc *yaml.Node) []span {
	starts := []int{0, 0} // of lines, counted from 1
	for i, b := range src {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	var spans []span
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.Line > 0 && n.Line < len(starts) {
			from := starts[n.Line]
			for range n.Column - 1 { // columns count characters
				for from++; from < len(src) && src[from]&0xC0 == 0x80; from++ {
				}
			}
			spans = append(spans, span{from, textEnd(src, from, n)})
		}
		for _, child := range n.Content {
			visit(child)
		}
	}
	visit(doc)
	return spans
}

func textEnd(src []byte, from int, n *yaml.Node) int {
	switch {
	case from >= len(src):
		return from
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return quoteEnd(src, from)
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return blockEnd(src, from)
	}
	return bareEnd(src, from, n.Value)
}

// quoteEnd: in double quotes a backslash hides the next character, in single
// ones two quotes are one.
func quoteEnd(src []byte, from int) int {
	quote := src[from]
	for i := from + 1; i < len(src); i++ {
		switch {
		case quote == '"' && src[i] == '\\',
			quote == '\'' && src[i] == '\'' && i+1 < len(src) && src[i+1] == '\'':
			i++
		case src[i] == quote:
			return i + 1
		}
	}
	return len(src)
}

// blockEnd: a block ends before the first line that is indented less than its
// first one. Its header may carry a comment, which is not inside.
func blockEnd(src []byte, from int) int {
	end, indent := lineEnd(src, from), -1
	for end < len(src) {
		next := lineEnd(src, end)
		line := src[end:next]
		depth := len(line) - len(bytes.TrimLeft(line, " "))
		if len(bytes.TrimSpace(line)) > 0 {
			if indent < 0 {
				indent = depth
			}
			if depth < indent {
				break
			}
		}
		end = next
	}
	return end
}

func lineEnd(src []byte, from int) int {
	if i := bytes.IndexByte(src[from:], '\n'); i >= 0 {
		return from + i + 1
	}
	return len(src)
}

// bareEnd walks over the words of the value, which the source may have broken
// into several lines.
func bareEnd(src []byte, from int, value string) int {
	at := from
	for _, word := range strings.Fields(value) {
		i := bytes.Index(src[at:], []byte(word))
		if i < 0 {
			return at
		}
		at += i + len(word)
	}
	return at
}
