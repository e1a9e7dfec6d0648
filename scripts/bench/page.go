package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// Where the page and what it is made of lie, from the root of the repository.
const (
	pageFile        = "docs/benchmarks.md"
	chartFile       = "docs/benchmarks/decisions.svg"
	benchFile       = "docs/benchmarks/bench.json"
	membershipsFile = "docs/benchmarks/memberships.json"
	changesFile     = "docs/benchmarks/changes.json"
)

//go:embed page.md
var pageText string

// stockVersion is that of the Casbin that figures are put beside.
const stockVersion = "v2.135.0"

// writePage makes the page and the chart from the figures that are kept.
func writePage(_ context.Context, args []string, _ io.Writer) error {
	root := "."
	if len(args) > 0 {
		root = args[0]
	}
	for path, text := range map[string]func(string) (string, error){pageFile: page, chartFile: chartOf} {
		made, err := text(root)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(made), 0o644); err != nil { //nolint:gosec // a page for everybody
			return err
		}
	}
	return nil
}

func chartOf(root string) (string, error) {
	r, err := readReport(filepath.Join(root, benchFile))
	return r.chart(), err
}

// page fills the figures in.
func page(root string) (string, error) {
	r, err := readReport(filepath.Join(root, benchFile))
	if err != nil {
		return "", err
	}
	m, err := readReport(filepath.Join(root, membershipsFile))
	if err != nil {
		return "", err
	}
	c, err := readReport(filepath.Join(root, changesFile))
	if err != nil {
		return "", err
	}
	all := r
	all.Figures = slices.Concat(r.Figures, m.Figures, c.Figures)
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{
		"Run": r, "Large": m, "Shapes": shapeList(), "Stock": stockVersion, "Goals": all.goalTable(), "Met": all.metCount(),
		"Decisions": r.tables("shapes"), "HTTP": r.tables("http"), "Start": r.tables("start"),
		"Subjects": r.tables("subjects"), "Replicas": r.tables("replicas"), "Memberships": m.tables("subjects"), "Largest": m.largest(),
		"Changes": c, "Looked": planLooked, "Plans": c.tables("plans"), "Past": c.tables("past"),
	})
	return b.String(), err
}

// largest is the size of the largest database.
func (r report) largest() string {
	size := 0
	for _, f := range r.Figures {
		size = max(size, f.Size)
	}
	return thousands(float64(size))
}

// shapeList describes the shapes.
func shapeList() string {
	var b strings.Builder
	for _, s := range shapes {
		fmt.Fprintf(&b, "- **%s**: %s.\n", s.name, s.about)
	}
	return b.String()
}

// metCount says how many goals are met.
func (r report) metCount() string {
	met, measured := 0, 0
	for _, g := range goals {
		text, ok := g.look(r)
		if text != "" {
			measured++
		}
		if text != "" && ok {
			met++
		}
	}
	return fmt.Sprintf("%d of %d goals that were measured are met; %d were not measured.", met, measured, len(goals)-measured)
}
