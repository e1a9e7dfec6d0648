package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// report is everything that one run measured, and the shape of its JSON file.
// Times are in nanoseconds. A figure of 0 was not taken.
type report struct {
	Date    string   `json:"date"`    // RFC 3339
	Commit  string   `json:"commit"`  // of our own source; "-dirty" if it had changes
	Command string   `json:"command"` // with which the figures were taken
	Machine machine  `json:"machine"`
	Shapes  []cell   `json:"shapes,omitempty"`
	Figures []figure `json:"figures,omitempty"`
}

type machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Go    string `json:"go"`
	MySQL string `json:"mysql,omitempty"` // version of the database server
	Redis string `json:"redis,omitempty"`
	Load  string `json:"load,omitempty"` // average of the minute before: figures of a busy machine mean little
}

// cell is one shape at one size: ours beside stock Casbin.
type cell struct {
	Shape string `json:"shape"`
	Rules int    `json:"rules"`
	Ours  side   `json:"ours"`
	Stock side   `json:"stock"`
	Note  string `json:"note,omitempty"` // why figures of stock Casbin are missing
}

// side is what one of both takes.
type side struct {
	Load   float64 `json:"load,omitempty"`   // from rules in memory to answers
	Warm   float64 `json:"warm,omitempty"`   // a decision about a subject that was asked about before
	First  float64 `json:"first,omitempty"`  // a subject's first
	Allocs float64 `json:"allocs"`           // heap allocations of a warm decision
	Bytes  float64 `json:"bytes,omitempty"`  // of heap for each rule, when nothing else is kept
	Commit float64 `json:"commit,omitempty"` // one rule more or less, from the difference to answers

	// AtLeast is set where the first decision was given up: it takes longer
	// than First.
	AtLeast bool   `json:"at_least,omitempty"`
	Answers string `json:"-"` // to the first questions: + allowed, - denied
}

// figure is anything else: ours beside a reference that was taken in the same
// run.
type figure struct {
	Group     string  `json:"group"` // one of the groups below
	What      string  `json:"what"`
	Size      int     `json:"size,omitempty"`
	Of        string  `json:"of,omitempty"` // what Size counts: rules, memberships
	Unit      string  `json:"unit"`         // ns (less is better), /s (more is better), B (less is better)
	Ours      float64 `json:"ours"`
	P99       float64 `json:"p99,omitempty"` // where Ours is a median
	Beside    string  `json:"beside,omitempty"`
	Theirs    float64 `json:"theirs,omitempty"`
	TheirsP99 float64 `json:"theirs_p99,omitempty"`
	Note      string  `json:"note,omitempty"`
}

// ratio above 1 means that ours is better; 0 that there is none.
func (f figure) ratio() float64 {
	switch {
	case f.Beside == "" || f.Ours == 0 || f.Theirs == 0:
		return 0
	case f.Unit == "/s":
		return f.Ours / f.Theirs
	}
	return f.Theirs / f.Ours
}

// newReport says what is measured, where and when.
func newReport(ctx context.Context, args []string) report {
	return report{
		Date: time.Now().UTC().Format(time.RFC3339), Commit: commit(ctx),
		Command: strings.TrimSpace("go run ./scripts/bench " + strings.Join(args, " ")),
		Machine: machine{CPU: cpuName(), Cores: runtime.NumCPU(), OS: osName(), Go: runtime.Version(), Redis: redisVersion(ctx), Load: loadAverage()},
	}
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// cpuName is what Linux tells; elsewhere the architecture must do.
func cpuName() string { return orElse(found("/proc/cpuinfo", "model name", ":"), runtime.GOARCH) }

// loadAverage is how many processes wanted a core before the run, where Linux
// tells.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func osName() string {
	return orElse(found("/etc/os-release", "PRETTY_NAME", "="), runtime.GOOS) + ", " + runtime.GOARCH
}

// found gives the value of a name in a file of lines.
func found(path, name, separator string) string {
	f, err := os.Open(path) //nolint:gosec // one of two fixed names
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), separator); ok && strings.TrimSpace(key) == name {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func readReport(path string) (r report, err error) {
	text, err := os.ReadFile(path) //nolint:gosec // named by whoever runs this
	if err != nil {
		return r, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644) //nolint:gosec // figures are no secret
}

func (r *report) add(f figure) { r.Figures = append(r.Figures, f) }

// cell gives that of a shape at a size.
func (r report) cell(shape string, rules int) (cell, bool) {
	for _, c := range r.Shapes {
		if c.Shape == shape && c.Rules == rules {
			return c, true
		}
	}
	return cell{}, false
}

// find gives the figures with this name, in order.
func (r report) find(group, what string) (all []figure) {
	for _, f := range r.Figures {
		if f.Group == group && f.What == what {
			all = append(all, f)
		}
	}
	return all
}
