package cache

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// answers says what is kept of one type of answer, and how it is written.
type answers[T any] struct {
	write func(*encoding, *T)
	read  func(*reading) T
	facts func(*T) (*access.Revision, time.Time) // which revision answered, and until when it holds
	whole func(*T) bool                          // it is an answer and not the trace of a failure
}

var decisions = answers[access.Decision]{
	write: (*encoding).decision,
	read:  (*reading).decision,
	facts: func(d *access.Decision) (*access.Revision, time.Time) { return &d.Revision, d.ValidUntil },
	whole: decided,
}

var menus = answers[access.Menu]{
	write: (*encoding).menu,
	read:  (*reading).menu,
	facts: func(m *access.Menu) (*access.Revision, time.Time) { return &m.Revision, m.ValidUntil },
	whole: func(*access.Menu) bool { return true },
}

var holders = answers[access.Holders]{
	write: (*encoding).holders,
	read:  (*reading).holders,
	facts: func(h *access.Holders) (*access.Revision, time.Time) { return &h.Revision, h.ValidUntil },
	whole: func(*access.Holders) bool { return true },
}

// decided tells a decision from a denial for want of one: of a malformed
// question among others, of a tenant that is not there, or by a model that
// could not be evaluated, which says why in the detail.
func decided(d *access.Decision) bool {
	switch d.Reason {
	case "", access.ReasonRequestInvalid, access.ReasonTenantUnknown:
		return false
	case access.ReasonNoGrant:
		return d.Detail == ""
	default:
		return true
	}
}

func (e *encoding) decision(d *access.Decision) {
	e.flag(d.Allowed)
	e.text(string(d.Reason))
	e.text(d.Detail)
	e.text(string(d.Action))
	e.flag(d.Rule != nil)
	if d.Rule != nil {
		e.rule(d.Rule)
	}
	e.number(uint64(d.Revision))
	e.moment(d.ValidUntil)
}

func (r *reading) decision() access.Decision {
	d := access.Decision{
		Allowed: r.flag(), Reason: access.Reason(r.text()), Detail: r.text(), Action: access.Action(r.text()),
	}
	if r.flag() {
		rule := r.rule()
		d.Rule = &rule
	}
	d.Revision, d.ValidUntil = access.Revision(r.number()), r.moment()
	return d
}

func (e *encoding) rule(r *access.Rule) {
	e.text(r.Type)
	e.texts(r.Values)
	e.moment(r.Validity.From)
	e.moment(r.Validity.Until)
	e.whole(r.Place)
	e.text(r.Origin.File)
	e.whole(int64(r.Origin.Line))
	e.whole(int64(r.Origin.Column))
}

func (r *reading) rule() access.Rule {
	return access.Rule{
		Type: r.text(), Values: r.texts(),
		Validity: access.Validity{From: r.moment(), Until: r.moment()},
		Place:    r.whole(),
		Origin:   access.Origin{File: r.text(), Line: int(r.whole()), Column: int(r.whole())},
	}
}

func (e *encoding) menu(m *access.Menu) {
	e.number(uint64(len(m.Sections)))
	for _, s := range m.Sections {
		e.text(string(s.Section))
		e.number(uint64(len(s.Actions)))
		for _, a := range s.Actions {
			e.text(string(a))
		}
	}
	e.number(uint64(m.Revision))
	e.moment(m.ValidUntil)
}

func (r *reading) menu() access.Menu {
	return access.Menu{
		Sections: list(r, func() access.Allowed {
			return access.Allowed{
				Section: access.Section(r.text()),
				Actions: list(r, func() access.Action { return access.Action(r.text()) }),
			}
		}),
		Revision: access.Revision(r.number()), ValidUntil: r.moment(),
	}
}

func (e *encoding) holders(h *access.Holders) {
	e.number(uint64(len(h.Subjects)))
	for _, s := range h.Subjects {
		e.tag(byte(s.Kind))
		e.text(s.ID)
	}
	e.flag(h.More)
	e.number(uint64(h.Revision))
	e.moment(h.ValidUntil)
}

func (r *reading) holders() access.Holders {
	return access.Holders{
		Subjects: list(r, func() access.Subject { return access.Subject{Kind: access.Kind(r.octet()), ID: r.text()} }),
		More:     r.flag(), Revision: access.Revision(r.number()), ValidUntil: r.moment(),
	}
}

func (e *encoding) whole(n int64) { e.bytes = binary.AppendVarint(e.bytes, n) }

// moment writes a time to the nanosecond, whatever its zone and century.
func (e *encoding) moment(t time.Time) {
	e.flag(!t.IsZero())
	if t.IsZero() {
		return
	}
	e.whole(t.Unix())
	e.number(uint64(t.Nanosecond())) //nolint:gosec // 0 to 999999999
}

// reading is the reverse of encoding. It reads any text to some end: where that
// is not what encoding writes, wrong is set and what was read means nothing.
type reading struct {
	rest  string
	wrong bool
}

// end tells whether all was read, and all was right.
func (r *reading) end() bool { return !r.wrong && r.rest == "" }

func (r *reading) take(n uint64) string {
	if r.wrong || n > uint64(len(r.rest)) {
		r.wrong = true
		return ""
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reading) octet() byte {
	if taken := r.take(1); taken != "" {
		return taken[0]
	}
	return 0
}

func (r *reading) flag() bool {
	b := r.octet()
	r.wrong = r.wrong || b != 'T' && b != 'F'
	return b == 'T'
}

func (r *reading) number() uint64 {
	n, size := binary.Uvarint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		r.wrong = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reading) whole() int64 {
	n := r.number() // varints are numbers in zigzag
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reading) text() string { return r.take(r.number()) }

func (r *reading) texts() []string { return list(r, r.text) }

func (r *reading) moment() time.Time {
	if !r.flag() {
		return time.Time{}
	}
	seconds, nanos := r.whole(), r.number()
	if nanos >= uint64(time.Second) || seconds > math.MaxInt64/2 || seconds < math.MinInt64/2 {
		r.wrong = true
		return time.Time{}
	}
	t := time.Unix(seconds, int64(nanos)).UTC()
	r.wrong = r.wrong || t.IsZero() // that is written otherwise
	return t
}

// list reads a list of things of at least one byte each; an empty one is nil.
func list[T any](r *reading, read func() T) []T {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.wrong = true
	}
	if r.wrong || n == 0 {
		return nil
	}
	all := make([]T, 0, min(n, 64))
	for range n {
		if r.wrong {
			return nil
		}
		all = append(all, read())
	}
	return all
}
