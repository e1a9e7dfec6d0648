package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// report is everything one run measured, also the shape of the JSON file.
type report struct {
	Machine machine `json:"machine"`
	Rows    []row   `json:"rows"`
}

type machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	Go    string `json:"go"`
	OS    string `json:"os"`
	Date  string `json:"date"`
}

// row compares one of our figures with one of somebody else's. A ratio above 1
// means that ours is better.
type row struct {
	What    string  `json:"what"`
	Rules   int     `json:"rules"`
	Unit    string  `json:"unit"` // "ns" (less is better) or "/s" (more is better)
	Ours    float64 `json:"ours"`
	Beside  string  `json:"beside"` // empty: our figure stands alone
	Theirs  float64 `json:"theirs"`
	Ratio   float64 `json:"ratio"`
	AtLeast bool    `json:"at_least,omitempty"` // theirs was given up: it is worse than this
	Allocs  float64 `json:"allocs"`             // of ours, a decision; -1 where not counted
}

const notCounted = -1

func compare(what string, rules int, unit string, ours float64, beside string, theirs float64) row {
	r := row{What: what, Rules: rules, Unit: unit, Ours: ours, Beside: beside, Theirs: theirs, Allocs: notCounted}
	switch {
	case beside == "":
	case unit == "ns":
		r.Ratio = theirs / ours
	default:
		r.Ratio = ours / theirs
	}
	return r
}

func thisMachine(now time.Time) machine {
	return machine{
		CPU: cpuName(), Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		OS: runtime.GOOS + "/" + runtime.GOARCH, Date: now.UTC().Format(time.RFC3339),
	}
}

// cpuName is what Linux tells; elsewhere the architecture must do.
func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func (r report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d cores, %s, %s, %s\n\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Go, r.Machine.OS, r.Machine.Date)
	table := [][]string{
		{"question", "rules", "ours", "beside it", "theirs", "ratio", "allocs"},
		{"---", "--:", "--:", "---", "--:", "--:", "--:"},
	}
	for _, r := range r.Rows {
		table = append(table, r.cells())
	}
	for _, line := range table {
		fmt.Fprintln(w, padded(line, table))
	}
	_, err := fmt.Fprintln(w, "\nratio above 1: ours is faster; allocs: heap allocations of one decision of ours")
	return err
}

func (r row) cells() []string {
	theirs, ratio, allocs := "", "", ""
	if r.Beside != "" {
		theirs, ratio = figure(r.Theirs, r.Unit), times(r.Ratio)
	}
	if r.AtLeast {
		theirs, ratio = "> "+theirs, "> "+ratio
	}
	if r.Allocs != notCounted {
		allocs = fmt.Sprintf("%.0f", r.Allocs)
	}
	return []string{r.What, thousands(float64(r.Rules)), figure(r.Ours, r.Unit), r.Beside, theirs, ratio, allocs}
}

// padded writes one line of a Markdown table that also reads well as it is.
func padded(line []string, table [][]string) string {
	var b strings.Builder
	for i, cell := range line {
		width := 0
		for _, other := range table {
			width = max(width, utf8.RuneCountInString(other[i]))
		}
		blanks := strings.Repeat(" ", width-utf8.RuneCountInString(cell))
		if table[1][i] == "---" {
			b.WriteString("| " + cell + blanks + " ")
			continue
		}
		b.WriteString("| " + blanks + cell + " ")
	}
	return b.String() + "|"
}

func figure(v float64, unit string) string {
	switch {
	case unit == "/s":
		return thousands(v) + " /s"
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
	if ratio >= 100 {
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
