package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// TestPlanMarkdown_bounded: whatever a plan holds, it fits into a comment, and
// what comes from files cannot get out of its block.
func TestPlanMarkdown_bounded(t *testing.T) {
	p := api.PolicyPlan{Tenant: "shop", BaseRevision: 7, Changes: true}
	long := strings.Repeat("é", 3000) + "\n```\n</details> @everybody"
	for i := range 5000 {
		text := fmt.Sprint(i, " ", "```` @operator-1 <img src=x> ", long)
		p.Operations = append(p.Operations, api.Operation{Verb: "added", Text: text})
		p.Broken = append(p.Broken, api.Breach{Guarantee: "g", Text: text})
		p.Warnings = append(p.Warnings, api.Detail{Reason: text})
		p.Consequences.All = append(p.Consequences.All, api.Consequence{Turn: "lost", Section: text, Scope: "*"})
		p.Decisions.All = append(p.Decisions.All, api.TurnedDecision{Subject: text})
	}
	p.Consequences.Total, p.Decisions.Turned = 9000, 6000
	var out bytes.Buffer
	writePlanMarkdown(&out, "policies/shop", &p)
	if out.Len() > 65_000 {
		t.Errorf("%d bytes", out.Len())
	}
	for _, want := range []string{
		"### Policy plan: tenant shop at revision 7: 5000 operations\n", "It cannot be applied", "<summary>Operations (5000)</summary>",
		"<summary>Consequences (9000)</summary>", "<summary>Decisions that would turn (6000)</summary>", " more\n`````\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing says %q", want)
		}
	}
	fence := ""
	for line := range strings.Lines(out.String()) {
		ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case len(ticks) >= 3 && fence == "":
			fence = ticks
		case fence != "" && len(ticks) >= len(fence):
			fence = ""
		case fence == "" && strings.ContainsAny(line, "@`") || fence == "" && strings.Contains(line, "<img"):
			t.Errorf("outside of all blocks: %.80q", line)
		}
	}
	if fence != "" {
		t.Error("a block has no end")
	}
}
