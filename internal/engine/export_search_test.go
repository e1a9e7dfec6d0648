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
	if err := sc.begin(&r, noTime, nil); err != nil {
		return nil, err
	}
	h := hunt{scratch: sc, request: &r, patience: patience{ctx: context.Background()}}
	if err := h.candidates(); err != nil {
		return nil, err
	}
	var all []access.Subject
	s.subjects.behind(access.Subject{}, func(p *subject) bool {
		if h.candidate(p) {
			all = append(all, p.subject())
		}
		return true
	})
	return all, nil
}

var noTime time.Time

// SearchMutations break the ways in which a search finds candidates. Decisions
// stay as they are.
var SearchMutations = map[string]func(*Snapshot){
	"members forgotten": func(s *Snapshot) {
		m := membersOf(s.holders)
		for i := range m.entries {
			m.entries[i] = 0
		}
		s.graph.members = func() runs[uint32] { return m }
	},
	"grants above forgotten": func(s *Snapshot) {
		g := grantsOf(s.holders, s.sections.len())
		r := runs[granted]{starts: slices.Clone(g.starts)}
		clear(r.starts)
		root := s.sections.id("T")
		if root != 0 {
			r.entries = g.of(root)
			for i := int(root) + 1; i < len(r.starts); i++ {
				r.starts[i] = number(len(r.entries))
			}
		}
		s.graph.grants = func() runs[granted] { return r }
	},
}
