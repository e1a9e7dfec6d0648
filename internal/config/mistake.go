package config

import (
	"fmt"
	"strings"
)

// Mistake is one thing wrong with the configuration.
type Mistake struct {
	Where string // file:line:column, variable or flag; empty when it is a default or no place is known
	Key   string // "server.listen"; empty when no key is meant
	Text  string
}

// String says the mistake in one line.
func (m Mistake) String() string {
	parts := make([]string, 0, 3)
	for _, part := range []string{m.Where, m.Key, m.Text} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Mistakes is everything wrong with a configuration.
//
//nolint:errname // a list of mistakes is what it is, like access.Problems
type Mistakes []Mistake

// Error says one mistake a line.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.String()
	}
	return strings.Join(lines, "\n")
}

func (m *Mistakes) add(key, format string, args ...any) {
	*m = append(*m, Mistake{Key: key, Text: fmt.Sprintf(format, args...)})
}

// orNil keeps an empty list from becoming a non-nil error.
func (m Mistakes) orNil() error {
	if len(m) == 0 {
		return nil
	}
	return m
}

// didYouMean offers the nearest known name, when one is near enough to be a
// slip of the fingers: one letter in four.
func didYouMean(wrong string, known []string) string {
	best, distance := "", len(wrong)/4+1
	for _, name := range known {
		if d := editDistance(wrong, name); d < distance || d == distance && best == "" {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// editDistance counts the letters to add, drop or change.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
