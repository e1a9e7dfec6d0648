package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// print writes the tables for people. They are Markdown, so the page holds the
// same.
func (r report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n", r.Machine)
	fmt.Fprintf(w, "commit %s, %s\n", r.Commit, r.Date)
	for _, g := range groups {
		if text := r.tables(g.name); text != "" {
			fmt.Fprintf(w, "\n%s\n\n%s", g.title, text)
		}
	}
	_, err := fmt.Fprint(w, "\nA ratio above 1 means that ours is better.\n")
	return err
}

// String describes the machine in one line.
func (m machine) String() string {
	parts := []string{m.CPU, fmt.Sprintf("%d cores", m.Cores), m.OS, m.Go}
	if m.MySQL != "" {
		parts = append(parts, m.MySQL)
	}
	if m.Redis != "" {
		parts = append(parts, "Redis "+m.Redis)
	}
	if m.Load != "" {
		parts = append(parts, "load "+m.Load+" before")
	}
	return strings.Join(parts, ", ")
}

// tables gives what is known of a group; "" where nothing is.
func (r report) tables(group string) string {
	if group == groups[0].name {
		return r.shapeTable()
	}
	var lines [][]string
	for _, f := range r.Figures {
		if f.Group == group {
			lines = append(lines, f.cells())
		}
	}
	return table([]string{"what", ">size", ">ours", ">p99", "beside it", ">theirs", ">p99", ">ratio"}, lines)
}

func (r report) shapeTable() string {
	var lines [][]string
	for _, c := range r.Shapes {
		lines = append(lines, c.cells())
	}
	text := table([]string{
		"shape", ">rules", ">ours warm", ">stock warm", ">ratio", ">ours first", ">stock first",
		">allocs", ">ours load", ">stock load", ">ours B/rule", ">stock B/rule", ">one-rule commit",
	}, lines)
	for _, c := range r.Shapes {
		if c.Note != "" {
			text += fmt.Sprintf("\n- Stock Casbin, %s, %s rules: %s.", c.Shape, thousands(float64(c.Rules)), c.Note)
		}
	}
	return text + strings.Repeat("\n", min(1, strings.Count(text, "\n- ")))
}

func (c cell) cells() []string {
	first := figureOf(c.Stock.First, "ns")
	if c.Stock.AtLeast {
		first = "> " + first
	}
	none := "not run"
	if strings.HasPrefix(c.Note, givenUp) {
		none = givenUp
	}
	ratio := figure{Unit: "ns", Ours: c.Ours.Warm, Beside: "stock", Theirs: c.Stock.Warm}.ratio()
	return []string{
		c.Shape, thousands(float64(c.Rules)), figureOf(c.Ours.Warm, "ns"), orElse(figureOf(c.Stock.Warm, "ns"), none), times(ratio),
		figureOf(c.Ours.First, "ns"), orElse(first, none), fmt.Sprintf("%.0f", c.Ours.Allocs),
		figureOf(c.Ours.Load, "ns"), orElse(figureOf(c.Stock.Load, "ns"), none),
		figureOf(c.Ours.Bytes, "B"), figureOf(c.Stock.Bytes, "B"), figureOf(c.Ours.Commit, "ns"),
	}
}

func (f figure) cells() []string {
	size := ""
	if f.Size > 0 {
		size = thousands(float64(f.Size)) + " " + f.Of
	}
	return []string{
		f.What, size, figureOf(f.Ours, f.Unit), figureOf(f.P99, f.Unit),
		f.Beside, figureOf(f.Theirs, f.Unit), figureOf(f.TheirsP99, f.Unit), times(f.ratio()),
	}
}

// table writes Markdown that also reads well as it is. A column whose head
// begins with > is aligned to the right.
func table(head []string, lines [][]string) string {
	if len(lines) == 0 {
		return ""
	}
	rule, names := make([]string, len(head)), make([]string, len(head))
	for i, name := range head {
		rule[i], names[i] = "---", name
		if right, ok := strings.CutPrefix(name, ">"); ok {
			rule[i], names[i] = "--:", right
		}
	}
	all := append([][]string{names, rule}, lines...)
	var b strings.Builder
	for _, line := range all {
		for i, cell := range line {
			blanks := strings.Repeat(" ", width(all, i)-utf8.RuneCountInString(cell))
			if rule[i] == "--:" {
				b.WriteString("| " + blanks + cell + " ")
			} else {
				b.WriteString("| " + cell + blanks + " ")
			}
		}
		b.WriteString("|\n")
	}
	return b.String()
}

func width(all [][]string, column int) (w int) {
	for _, line := range all {
		w = max(w, utf8.RuneCountInString(line[column]))
	}
	return w
}

// figureOf writes a value with its unit; nothing where it was not measured.
func figureOf(v float64, unit string) string {
	switch {
	case v == 0:
		return ""
	case unit == "/s":
		return thousands(v) + " /s"
	case unit == "B":
		return thousands(v) + " B"
	case v < 1e4:
		return fmt.Sprintf("%.0f ns", v)
	case v < 1e6:
		return fmt.Sprintf("%.1f µs", v/1e3)
	case v < 1e10:
		return fmt.Sprintf("%.1f ms", v/1e6)
	}
	return fmt.Sprintf("%.1f s", v/1e9)
}

func times(ratio float64) string {
	switch {
	case ratio == 0:
		return ""
	case ratio >= 100:
		return thousands(ratio) + "×"
	}
	return fmt.Sprintf("%.2f×", ratio)
}

// thousands writes a whole number with commas, as in 110,000.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
