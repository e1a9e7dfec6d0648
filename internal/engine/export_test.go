package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Mutations break one rule each of a compiled snapshot, as a wrong engine would.
// The comparison with stock Casbin must notice every one of them.
var Mutations = map[string]func(*Snapshot){
	"heredity ignored": func(s *Snapshot) { s.eachRule(func(r *rule) { r.act |= act(access.Inherit) }) },
	"heredity refused": func(s *Snapshot) { s.eachRule(func(r *rule) { r.act &^= act(access.Inherit) }) },
	"sections compared as strings": func(s *Snapshot) {
		var of, entries []uint32
		for id := uint32(1); id < s.sections.len(); id++ {
			for above := uint32(1); above < s.sections.len(); above++ {
				name, n := s.sections.name(id), s.sections.name(above)
				if strings.HasPrefix(string(name), string(n)) || n == allSections {
					of, entries = append(of, id), append(entries, above)
				}
			}
		}
		s.sectionChain = newRuns(s.sections.len(), of, entries)
	},
	"denials ignored":                      func(s *Snapshot) { s.combining = access.AllowOverrides },
	"denials heeded where permissions win": func(s *Snapshot) { s.combining = access.DenyOverrides },
	"scopes of rules ignored":              func(s *Snapshot) { s.eachRule(func(r *rule) { r.scope = everywhere }) },
	"scopes of links ignored":              func(s *Snapshot) { s.eachLink(func(l *link) { l.scope = everywhere }) },
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
		s.eachLink(func(l *link) {
			if s.names.name(l.to) == "r:deep10" {
				l.to = s.superuser // somewhere else than where it leads
			}
		})
	},
	"superusers heed denials": func(s *Snapshot) { s.superuser = 0 },
	"validity ignored": func(s *Snapshot) {
		s.eachHeld(func(h *held) {
			for _, g := range h.extras().gates {
				g.validity = access.Validity{}
			}
		})
	},
	"conditions ignored": func(s *Snapshot) {
		s.eachHeld(func(h *held) {
			for _, g := range h.extras().gates {
				g.condition = nil
			}
		})
	},
	"declared actions mixed up": func(s *Snapshot) {
		s.eachRule(func(r *rule) {
			if r.act.action() != 0 {
				r.act |= anyAction
			}
		})
	},
	"any seat will do":           func(s *Snapshot) { s.eachAccount(func(a *account) { a.person = false }) },
	"switched-off applications":  func(s *Snapshot) { s.eachAccount(func(a *account) { a.off = nil }) },
	"accounts of every state":    func(s *Snapshot) { s.eachAccount(func(a *account) { a.status = access.UserActive }) },
	"request beats what is kept": func(s *Snapshot) { s.eachAccount(func(a *account) { a.attributes = nil }) },
	"templates are groups too": func(s *Snapshot) {
		for id := range s.holders.n {
			s.holders.at(id).template = false
		}
	},
	"prerequisites forgotten": func(s *Snapshot) {
		for i := range s.catalogue {
			s.catalogue[i].prerequisites = nil
		}
	},
	"order of rules lost": func(s *Snapshot) {
		s.eachHeld(func(h *held) {
			for i := range h.rules {
				h.rest.places[i] = -h.rest.places[i]
			}
		})
	},
}

func (s *Snapshot) eachHeld(edit func(*held)) {
	person := func(p *subject) bool {
		h := p.held()
		edit(&h)
		p.hold(h)
		return true
	}
	person(s.anonymous)
	for id := range s.holders.n {
		edit(&s.holders.at(id).held)
	}
	s.subjects.behind(access.Subject{}, person)
}

func (s *Snapshot) eachRule(edit func(*rule)) {
	s.eachHeld(func(h *held) {
		for i := range h.rules {
			edit(&h.rules[i])
		}
	})
}

func (s *Snapshot) eachLink(edit func(*link)) {
	s.eachHeld(func(h *held) {
		for i := range h.links {
			edit(&h.links[i])
		}
	})
}

// eachAccount gives everybody an account of his own, to be changed.
func (s *Snapshot) eachAccount(edit func(*account)) {
	s.subjects.behind(access.Subject{}, func(p *subject) bool {
		if p.account != nil {
			own := *p.account
			p.account = &own
			edit(p.account)
		}
		return true
	})
}

// shortcuts adds a link for every two that follow one another, which doubles how
// far they are followed.
func (s *Snapshot) shortcuts() {
	s.eachHeld(func(h *held) {
		var lines loose
		lines.take(h)
		for _, l := range slices.Clone(lines.links) {
			if !strings.HasPrefix(s.names.name(l.to), "r:deep") {
				continue
			}
			var next loose
			next.take(&s.holder(l.to).held)
			lines.links = append(lines.links, next.links...)
		}
		*h = lines.pack(&room{})
	})
}

// Forget empties what is remembered of subjects.
func Forget(s *Snapshot) { s.memory.cache.InvalidateAll() }

// StampOf gives the stamp of answers about a subject.
func StampOf(s *Snapshot, subject access.Subject) access.Stamp { return s.stamp(subject) }

// ForgetAll empties what an engine remembers.
func ForgetAll(e *Engine) { e.memory.cache.InvalidateAll() }

// OnLoaded is called between the reading of users and their being remembered.
func OnLoaded(e *Engine, hook func()) { e.loaded = hook }

// Hurry shortens the time that asking for users may take.
func Hurry(e *Engine, timeout time.Duration) { e.timeout = timeout }

// FetchesAtOnce is how many calls for users there may be at a time.
const FetchesAtOnce = fetchesAtOnce

// Misplace puts what is remembered of one subject where another's is looked for,
// as two names with the same hash would.
func Misplace(s *Snapshot, of, at access.Subject) {
	e, _ := s.memory.cache.GetIfPresent(s.key(of, everywhere))
	s.memory.cache.Set(s.key(at, everywhere), e)
	if e, ok := s.memory.cache.GetIfPresent(s.key(of, 0)); ok {
		s.memory.cache.Set(s.key(at, 0), e)
	}
}

// Unguard lets records of users be used that are older than what is in force.
func Unguard(on bool) { unguarded = on }

// SameRules tells whether two snapshots of a foreign model share what was compiled.
func SameRules(a, b *Snapshot) bool { return a.foreign.spells == b.foreign.spells }

// Bounds on what is told of one change.
var MaxTurns, TallyRoom = &maxTurns, &tallyRoom
