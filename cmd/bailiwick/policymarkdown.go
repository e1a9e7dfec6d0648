package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/bailiwick/bailiwick/api"
)

// Bounds of a plan in Markdown: what GitHub takes as a comment is 65,536 characters,
// and nobody reads a long one.
const (
	maxMarkdownLines = 100      // of each list
	maxMarkdownLine  = 400      // bytes
	maxMarkdownList  = 12 << 10 // bytes
)

// writePlanMarkdown writes a plan for a pull request. Whatever comes from files and
// accounts stands in fenced blocks, where it is neither a link nor calls anybody.
func writePlanMarkdown(w io.Writer, dir string, p *api.PolicyPlan) {
	lines := summary(p)
	fmt.Fprintf(w, "### Policy plan: %s\n\n", lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(w, "- %s\n", line)
	}
	if len(p.Broken) > 0 {
		fmt.Fprint(w, "\n**It cannot be applied: guarantees would be broken.**\n")
	}
	var broken, operations, consequences, decisions []string
	for _, b := range p.Broken {
		broken = append(broken, "- "+b.Text)
	}
	for _, o := range p.Operations {
		operations = append(operations, signs[o.Verb]+o.Text)
	}
	x := &p.Consequences
	for _, who := range x.SuperusersMade {
		consequences = append(consequences, "+ user "+who+" becomes a superuser")
	}
	for _, who := range x.SuperusersLost {
		consequences = append(consequences, "- user "+who+" is a superuser no longer")
	}
	for i := range x.All {
		consequences = append(consequences, signs[x.All[i].Turn]+x.All[i].Turn+" "+consequence(&x.All[i]))
	}
	for i := range p.Decisions.All {
		decisions = append(decisions, turned(&p.Decisions.All[i]))
	}
	block(w, "Guarantees", broken, len(p.Broken), true)
	block(w, "Operations", operations, len(p.Operations), true)
	block(w, "Consequences", consequences, x.Total+len(x.SuperusersMade)+len(x.SuperusersLost), true)
	block(w, "Decisions that would turn", decisions, p.Decisions.Turned, false)
	block(w, "Warnings", warnings(dir, p.Warnings), len(p.Warnings), false)
}

// signs are what colours a line of a diff.
var signs = map[string]string{"lost": "- ", "removed": "- ", "gained": "+ ", "added": "+ ", "changed": "! "}

// block writes a list, as far as there is room: open where it is what matters.
func block(w io.Writer, title string, lines []string, total int, open bool) {
	if total == 0 {
		return
	}
	var text strings.Builder
	shown := 0
	for _, line := range lines[:min(len(lines), maxMarkdownLines)] {
		if line = oneLine(line); len(line) > maxMarkdownLine {
			line = strings.ToValidUTF8(line[:maxMarkdownLine], "") + "…"
		}
		if text.Len()+len(line) > maxMarkdownList {
			break
		}
		shown++
		text.WriteString(line + "\n")
	}
	if more := total - shown; more > 0 {
		fmt.Fprintf(&text, "  and %d more\n", more)
	}
	fence := "```"
	for strings.Contains(text.String(), fence) {
		fence += "`"
	}
	opened := ""
	if open {
		opened = " open"
	}
	fmt.Fprintf(w, "\n<details%s><summary>%s (%d)</summary>\n\n%sdiff\n%s%s\n\n</details>\n", opened, title, total, fence, text.String(), fence)
}
