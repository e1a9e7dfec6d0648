package main

import (
	"fmt"
	"math"
	"strings"
)

// The chart's paper, in pixels: the plot lies between the margins.
const (
	chartWidth, chartHeight    = 760, 520
	left, right, top, bottom   = 70, 130, 40, 60
	plotWidth, plotHeight      = chartWidth - left - right, chartHeight - top - bottom
	leastRules, mostRules      = 1e3, 2e6
	leastNanos, mostNanos      = 10, 1e11
	firstDecade, lastDecade    = 1, 11 // of nanoseconds: 10 ns to 100 s
	firstThousand, lastMillion = 3, 6  // decades of rules
)

// hues can be told apart on white and on black, also by those who see fewer
// colours; the kind of line says whose it is.
var hues = map[string]string{"rbac": "#0b84c6", "acl": "#d1762b", "rest": "#2e9e6b", "priority": "#b8589d", "own": "#d64545"}

const chartStyle = `text{font:13px system-ui,sans-serif;fill:#222}
.grid{stroke:#8885;stroke-width:1}.paper{fill:#fff}
.ours{fill:none;stroke-width:2.5}.stock{fill:none;stroke-width:2;stroke-dasharray:6 5}
@media(prefers-color-scheme:dark){text{fill:#ddd}.paper{fill:#0d1117}}`

// chart draws the time of a warm decision against the number of rules, both by
// decades.
func (r report) chart() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Time of one warm decision against the number of rules">`+"\n", chartWidth, chartHeight)
	fmt.Fprintf(&b, "<style>%s</style>\n<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n", chartStyle)
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"24\">One warm decision: solid ours, dashed stock Casbin %s</text>\n", left, stockVersion)
	grid(&b)
	var labels []label
	for _, s := range shapes {
		for _, who := range []string{ours, stock} {
			points := r.points(s.name, who)
			if len(points) == 0 {
				continue
			}
			last := points[len(points)-1]
			labels = append(labels, label{y: last.y, x: last.x, text: s.name, hue: hues[s.name]})
			fmt.Fprintf(&b, "<polyline class=\"%s\" stroke=\"%s\" points=\"%s\"/>\n", who, hues[s.name], joined(points))
			for _, p := range points {
				fmt.Fprintf(&b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"><title>%s</title></circle>\n", p.x, p.y, hues[s.name], p.title)
			}
		}
	}
	for _, l := range apartFrom(labels) {
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%.1f\" style=\"fill:%s\">%s</text>\n", l.x+10, l.y+4, l.hue, l.text)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// grid draws a line for each decade, with its name.
func grid(b *strings.Builder) {
	for d := firstDecade; d <= lastDecade; d++ {
		y := yOf(math.Pow10(d))
		fmt.Fprintf(b, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n", left, left+plotWidth, y, y)
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", left-8, y+4, decade(d))
	}
	for d := firstThousand; d <= lastMillion; d++ {
		x := xOf(math.Pow10(d))
		fmt.Fprintf(b, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", x, x, top, top+plotHeight)
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x, top+plotHeight+20, thousands(math.Pow10(d)))
	}
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">rules</text>\n", left+plotWidth/2, top+plotHeight+44)
}

// decade writes a power of ten nanoseconds.
func decade(d int) string {
	units := []string{"ns", "µs", "ms", "s"}
	return fmt.Sprintf("%d %s", int(math.Pow10(d%3)), units[d/3])
}

type point struct {
	x, y  float64
	title string
}

type label struct {
	x, y      float64
	text, hue string
}

// points are those of one line, where there are figures.
func (r report) points(shape, who string) (all []point) {
	for _, c := range r.Shapes {
		v := c.Ours.Warm
		if who == stock {
			v = c.Stock.Warm
		}
		if c.Shape == shape && v > 0 {
			title := fmt.Sprintf("%s, %s rules, %s: %s", shape, thousands(float64(c.Rules)), who, figureOf(v, "ns"))
			all = append(all, point{xOf(float64(c.Rules)), yOf(v), title})
		}
	}
	return all
}

func joined(points []point) string {
	var words []string
	for _, p := range points {
		words = append(words, fmt.Sprintf("%.1f,%.1f", p.x, p.y))
	}
	return strings.Join(words, " ")
}

// apartFrom moves labels of neighbouring lines down, so that each can be read.
func apartFrom(labels []label) []label {
	const line, column = 15, 60
	for moved := true; moved; {
		moved = false
		for i := range labels {
			for j := range labels {
				a, b := &labels[i], &labels[j]
				if i != j && math.Abs(a.x-b.x) < column && b.y-a.y >= 0 && b.y-a.y < line-0.01 && (b.y > a.y || j > i) {
					b.y, moved = a.y+line, true
				}
			}
		}
	}
	return labels
}

func xOf(rules float64) float64 { return left + plotWidth*share(rules, leastRules, mostRules) }

func yOf(nanos float64) float64 {
	return top + plotHeight*(1-share(nanos, leastNanos, mostNanos))
}

// share tells how far v lies between two ends, by decades.
func share(v, from, to float64) float64 {
	return min(1, max(0, (math.Log10(v)-math.Log10(from))/(math.Log10(to)-math.Log10(from))))
}
