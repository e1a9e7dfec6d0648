package engine

import (
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// CompileWith compiles with options, as Engine.Prepare does.
func CompileWith(f access.Facts, o Options) (*Snapshot, error) { return compile(f, o) }

// Mutations break one rule each of a compiled snapshot, as a wrong engine would.
// The comparison with stock Casbin must notice every one of them.
var Mutations = map[string]func(*Snapshot){
	"heredity ignored": func(s *Snapshot) {
		for i := range s.rules.entries {
			s.rules.entries[i].rights |= access.Inherit
		}
	},
	"heredity refused": func(s *Snapshot) {
		for i := range s.rules.entries {
			s.rules.entries[i].rights &^= access.Inherit
		}
	},
	"sections compared as strings": func(s *Snapshot) {
		var of, entries []uint32
		for id, name := range s.sections.names {
			for above, n := range s.sections.names {
				if above > 0 && id > 0 && (strings.HasPrefix(string(name), string(n)) || n == allSections) {
					of, entries = append(of, uint32(id)), append(entries, uint32(above))
				}
			}
		}
		s.sectionChain = newRuns(s.sections.len(), of, entries)
	},
	"denials ignored":                      func(s *Snapshot) { s.combining = access.AllowOverrides },
	"denials heeded where permissions win": func(s *Snapshot) { s.combining = access.DenyOverrides },
	"scopes of rules ignored": func(s *Snapshot) {
		for i := range s.rules.entries {
			s.rules.entries[i].scope = everywhere
		}
	},
	"scopes of links ignored": func(s *Snapshot) {
		for i := range s.links.entries {
			s.links.entries[i].scope = everywhere
		}
	},
	"scopes do not hold below": func(s *Snapshot) {
		for id := range s.scopes.len() {
			chain := s.scopeChain.of(id)
			for i := range chain {
				chain[i] = chain[0]
			}
		}
	},
	"links followed too far": func(s *Snapshot) { s.shortcuts() },
	"links followed not far enough": func(s *Snapshot) {
		for i := range s.links.entries {
			l := &s.links.entries[i]
			if s.names.names[l.to].ID == "deep10" {
				l.to = s.superuser // somewhere else than where it leads
			}
		}
	},
	"superusers heed denials": func(s *Snapshot) { s.superuser = 0 },
	"validity ignored":        func(s *Snapshot) { clear(s.validity) },
	"conditions ignored": func(s *Snapshot) {
		for i := range s.rules.entries {
			s.rules.entries[i].condition = 0
		}
	},
	"declared actions mixed up": func(s *Snapshot) {
		for i := range s.rules.entries {
			if r := &s.rules.entries[i]; r.action != 0 {
				r.action = anyAction
			}
		}
	},
	"any seat will do":           func(s *Snapshot) { s.eachAccount(func(a *account) { a.person = false }) },
	"switched-off applications":  func(s *Snapshot) { s.eachAccount(func(a *account) { a.off = nil }) },
	"accounts of every state":    func(s *Snapshot) { s.eachAccount(func(a *account) { a.status = access.UserActive }) },
	"request beats what is kept": func(s *Snapshot) { s.eachAccount(func(a *account) { a.attributes = nil }) },
	"templates are groups too":   func(s *Snapshot) { clear(s.template) },
	"prerequisites forgotten": func(s *Snapshot) {
		for i := range s.catalogue {
			s.catalogue[i].prerequisites = nil
		}
	},
	"order of rules lost": func(s *Snapshot) {
		for i := range s.rules.entries {
			r := &s.rules.entries[i]
			r.line = uint32(len(s.lines)-1) - r.line
		}
		for i, j := 0, len(s.lines)-1; i < j; i, j = i+1, j-1 {
			s.lines[i], s.lines[j] = s.lines[j], s.lines[i]
		}
	},
}

func (s *Snapshot) eachAccount(edit func(*account)) {
	for i := range s.accounts {
		edit(&s.accounts[i])
	}
}

// shortcuts adds a link for every two that follow one another, which doubles how
// far they are followed.
func (s *Snapshot) shortcuts() {
	var of []uint32
	var entries []link
	for name := range s.names.len() {
		for _, l := range s.links.of(name) {
			of, entries = append(of, name), append(entries, l)
			if !strings.HasPrefix(s.names.names[l.to].ID, "deep") {
				continue
			}
			for _, next := range s.links.of(l.to) {
				of, entries = append(of, name), append(entries, next)
			}
		}
	}
	s.links = newRuns(s.names.len(), of, entries)
}
