package engine

import (
	"context"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Candidates gives those whom a search for subjects asks about.
func (s *Snapshot) Candidates(r access.Request) ([]access.Subject, error) {
	r.Subject = access.Anonymous
	sc := s.scratch()
	defer sc.end()
	if err := sc.begin(&r, noTime); err != nil {
		return nil, err
	}
	marked, err := sc.candidates(&patience{ctx: context.Background()})
	var all []access.Subject
	for _, name := range s.subjectOrder() {
		if marked[name] {
			all = append(all, s.names.names[name])
		}
	}
	return all, err
}

var noTime time.Time

// SearchMutations break the ways in which a search finds candidates. Decisions
// stay as they are.
var SearchMutations = map[string]func(*Snapshot){
	"members forgotten": func(s *Snapshot) {
		m := s.reverse()
		for i := range m.entries {
			m.entries[i] = 0
		}
		s.members = func() runs[uint32] { return m }
	},
	"grants above forgotten": func(s *Snapshot) {
		g := s.grantsBySection()
		r := runs[granted]{starts: slices.Clone(g.starts)}
		clear(r.starts)
		root := s.sections.id("T")
		if root != 0 {
			r.entries = g.of(root)
			for i := int(root) + 1; i < len(r.starts); i++ {
				r.starts[i] = number(len(r.entries))
			}
		}
		s.grants = func() runs[granted] { return r }
	},
	"order lost": func(s *Snapshot) {
		all := s.sortedSubjects()
		slices.Reverse(all)
		s.subjectOrder = func() []uint32 { return all }
	},
	"somebody forgotten": func(s *Snapshot) {
		all := s.sortedSubjects()
		s.subjectOrder = func() []uint32 { return all[:len(all)-1] }
	},
}
