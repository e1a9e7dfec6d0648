package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Matrix lays out what holders may do in a sight.
func (e *Engine) Matrix(ctx context.Context, v access.Sight, q access.MatrixQuery) (access.Matrix, error) {
	s, ok := v.(*Sight)
	if !ok {
		return access.Matrix{}, fmt.Errorf("lay out %T: this is no sight of this engine", v)
	}
	if s.snapshot.foreign != nil {
		return access.Matrix{}, access.Invalid("tenant", "%q brings a Casbin model of its own, in which nobody holds anything by our words", s.snapshot.tenant)
	}
	if q.Scope != "" && !s.snapshot.knows(q.Scope) {
		return access.Matrix{}, access.NotFound("scope", string(q.Scope))
	}
	if q.Section != "" {
		if err := s.Frame().ValidFilter("section", q.Section); err != nil {
			return access.Matrix{}, err
		}
	}
	c, f := cellsOf(s.snapshot), newFormulas()
	l := &layout{ctx: ctx, query: q, side: &side{sight: s, matrix: newMatrix(s.snapshot, 0, c, f), seen: map[uint32]*survey{}}, conditions: map[string]string{}}
	defer l.end()
	l.comparison = &comparison{ctx: ctx, sides: [2]*side{l.side, l.side}, cells: c, forms: f, now: s.now}
	for name, p := range l.everybody() {
		if p.err != nil {
			return access.Matrix{}, p.err
		}
		if err := waiting(ctx); err != nil {
			return access.Matrix{}, err
		}
		if err := l.holder(name, p.person); err != nil {
			return access.Matrix{}, err
		}
	}
	return access.Matrix{Rows: l.rows, Conditions: l.conditions, Revision: s.snapshot.revision}, nil
}

// layout is one matrix on its way.
type layout struct {
	*side
	ctx        context.Context
	query      access.MatrixQuery
	comparison *comparison
	rows       []access.MatrixRow
	conditions map[string]string
}

type laidOut struct {
	person person
	err    error
}

// everybody goes through the holders that are asked for.
func (l *layout) everybody() func(func(string, laidOut) bool) {
	kind := cmp.Or(l.query.Kind, access.KindGroup)
	switch {
	case len(l.query.Holders) > 0:
		return l.named(l.query.Holders)
	case kind == access.KindGroup:
		var names []string
		for _, code := range slices.Sorted(maps.Keys(l.source.Groups)) {
			names = append(names, access.Name(kind, code))
		}
		return l.named(names)
	}
	return func(yield func(string, laidOut) bool) {
		for p, err := range l.sight.subjects(l.ctx) {
			switch {
			case err != nil:
				yield("", laidOut{err: err})
				return
			case p.name[0] == byte(kind) && !yield(p.name, laidOut{person: person{subject: p}}):
				return
			}
		}
	}
}

func (l *layout) named(names []string) func(func(string, laidOut) bool) {
	return func(yield func(string, laidOut) bool) {
		for _, name := range names {
			p, err := l.find(name)
			if !yield(name, laidOut{p, err}) || err != nil {
				return
			}
		}
	}
}

func (l *layout) find(name string) (person, error) {
	kind, id, ok := access.ParseName(name)
	switch {
	case !ok || kind == access.KindRole:
		return person{}, access.Invalid("holders", "%q is not g:<code>, u:<id> or a:<code>", name)
	case kind == access.KindGroup:
		p := l.memberOf(id)
		if p.subject == nil {
			return p, access.NotFound("group", id)
		}
		return p, nil
	}
	found, err := l.sight.subject(l.ctx, access.Subject{Kind: kind, ID: id})
	if err == nil && (found == nil || found.account == nil) {
		err = access.NotFound("subject", name)
	}
	return person{subject: found}, err
}

// holder lays out one holder, scope by scope.
func (l *layout) holder(name string, p person) error {
	scopes := []access.Scope{cmp.Or(l.query.Scope, access.Everywhere)}
	if l.query.Scope == "" {
		all, moments := map[access.Scope]bool{access.Everywhere: true}, map[time.Time]bool{}
		l.survey(p, l.comparison.now, all, moments)
		scopes = l.deepening(all)
	}
	above := make([]int, len(scopes))
	if l.query.Scope == "" {
		above = l.comparison.above(scopes)
	}
	made := make([][]uint32, len(scopes))
	for i, scope := range scopes {
		made[i] = make([]uint32, l.cells.n)
		l.fill(p, l.scopes.id(scope), l.comparison.now, made[i])
		var wider []uint32
		if i > 0 {
			wider = made[above[i]]
		}
		if err := l.lines(name, scope, made[i], wider); err != nil {
			return err
		}
	}
	return nil
}

// deepening puts scopes that there are into an order in which each stands behind
// the one above it.
func (l *layout) deepening(all map[access.Scope]bool) []access.Scope {
	var scopes []access.Scope
	for scope := range all {
		if l.knows(scope) {
			scopes = append(scopes, scope)
		}
	}
	slices.SortFunc(scopes, func(a, b access.Scope) int {
		return cmp.Or(cmp.Compare(len(l.comparison.path(a)), len(l.comparison.path(b))), cmp.Compare(a, b))
	})
	return scopes
}

// lines adds the sections in which something is held, or in which it is otherwise
// than in the scope above.
func (l *layout) lines(name string, scope access.Scope, row, wider []uint32) error {
	for i := range l.cells.sections {
		s := &l.cells.sections[i]
		if q := l.query.Section; q != "" && s.name != q && !q.Above(s.name) {
			continue
		}
		here := row[s.first : s.first+len(s.verbs)]
		if wider == nil && !slices.ContainsFunc(here, func(f uint32) bool { return f != never }) {
			continue
		}
		if wider != nil && slices.Equal(here, wider[s.first:s.first+len(s.verbs)]) {
			continue
		}
		if len(l.rows) == access.MaxMatrixRows {
			return access.Invalid("holders", "have more than %d rows together; ask for some of them, or for one section", access.MaxMatrixRows)
		}
		l.rows = append(l.rows, l.row(name, scope, s, here))
	}
	return nil
}

func (l *layout) row(name string, scope access.Scope, s *cellSection, cells []uint32) access.MatrixRow {
	r := access.MatrixRow{Holder: name, Scope: scope, Section: s.name}
	for i, f := range cells {
		switch f {
		case never:
		case always:
			r.Actions = append(r.Actions, s.verbs[i].action)
		default:
			h := l.forms.of(f)
			r.If = append(r.If, access.ConditionalRight{Action: s.verbs[i].action, Hold: h})
			l.name(h)
		}
	}
	return r
}

// name notes what the conditions of a right say.
func (l *layout) name(h access.Hold) {
	for _, id := range slices.Concat(append(h.When, h.Unless)...) {
		short, _, _ := strings.Cut(id, "@")
		if c := l.frame.conditions[short]; c != nil {
			l.conditions[short] = c.text
		}
	}
}
