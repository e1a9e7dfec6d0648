package bundle

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// silence is a comment that says why a warning is no trouble:
//
//	# lint: ignore grant-shadowed: the base will lose it in spring
//
// It stands on the line of the warning, or above it with nothing but comments
// between them.
type silence struct {
	at     access.Origin
	line   int // that it is about
	code   string
	reason string
	used   bool
}

var silencing = regexp.MustCompile(`(?:^|\s)#\s*lint:\s*ignore\s+([a-z][a-z-]*)\s*(?::\s*(.*?))?\s*$`)

// Silence leaves out the warnings that comments of the bundle's files silence. A
// comment without a reason is a mistake, and one that silences nothing is warned
// of. Mistakes are never silenced.
func Silence(fsys fs.FS, problems access.Problems) access.Problems {
	silences := silencesOf(fsys)
	var left access.Problems
	for _, p := range problems {
		if !p.Warning || !silenced(silences, p) {
			left = append(left, p)
		}
	}
	for _, s := range silences {
		switch {
		case s.reason == "":
			left = append(left, access.Problem{
				Origin: s.at, Code: "silence-reason", Message: fmt.Sprintf("the comment silences %s and does not say why", s.code),
				Hint: "write # lint: ignore " + s.code + ": and the reason",
			})
		case !s.used:
			left = append(left, access.Problem{
				Origin: s.at, Code: "silence-unused", Message: fmt.Sprintf("there is no %s here to silence", s.code), Warning: true,
			})
		}
	}
	sortProblems(left)
	return left
}

func silenced(silences []*silence, p access.Problem) bool {
	found := false
	for _, s := range silences {
		if s.code == p.Code && s.at.File == p.Origin.File && s.line == p.Origin.Line {
			found, s.used = true, true
		}
	}
	return found
}

// silencesOf looks for comments. What cannot be read is a mistake already.
func silencesOf(fsys fs.FS) []*silence {
	var all []*silence
	names, _ := Names(fsys)
	for _, name := range names {
		if ext := path.Ext(name); ext != ".yaml" && ext != ".csv" {
			continue
		}
		if text, err := read(fsys, name); err == nil {
			all = append(all, silencesIn(name, string(text))...)
		}
	}
	return all
}

func silencesIn(name, text string) []*silence {
	var all []*silence
	line, above := 0, 0 // how many at the end of all wait for their line
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimRight(l, "\r\n")
		comment := strings.HasPrefix(strings.TrimSpace(l), "#")
		if m := silencing.FindStringSubmatchIndex(l); m != nil {
			s := &silence{at: access.Origin{File: name, Line: line, Column: 1 + m[0] + strings.IndexByte(l[m[0]:], '#')}, code: l[m[2]:m[3]]}
			if m[4] >= 0 {
				s.reason = l[m[4]:m[5]]
			}
			all, above = append(all, s), above+1
		}
		if comment {
			continue
		}
		for _, s := range all[len(all)-above:] {
			s.line = line
		}
		above = 0
	}
	return all
}
