package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Consequences tells who gains, loses or has changed what between two sights of a
// tenant. Both are looked at without evaluating a condition, and at every moment
// from now on at which something begins or ends by the clock. Holders who hold
// the same in the same way are looked at once.
//
// A scope that is in only one of the sights is looked at in the other as if it
// were part of the scope above it.
func (e *Engine) Consequences(ctx context.Context, before, after access.Sight, o access.ConsequenceOptions) (access.Consequences, error) {
	was, is, err := sightsOf(before, after)
	if err != nil {
		return access.Consequences{}, err
	}
	if was.snapshot.foreign != nil || is.snapshot.foreign != nil {
		return access.Consequences{Foreign: true}, nil
	}
	c := newComparison(ctx, was, is, o)
	defer c.end()
	if err := c.classify(o); err != nil {
		return access.Consequences{}, err
	}
	return c.consequences(o)
}

func sightsOf(before, after access.Sight) (was, is *Sight, err error) {
	was, ok := before.(*Sight)
	is, too := after.(*Sight)
	if !ok || !too {
		return nil, nil, fmt.Errorf("compare %T with %T: these are not sights of this engine", before, after)
	}
	return was, is, nil
}

// side is one of two things that are compared.
type side struct {
	*matrix
	sight  *Sight
	seen   map[uint32]*survey // by number of a holder
	marked map[uint32]bool    // holders that are looked at; nil: all
	wanted map[string]bool    // names that are looked at by themselves
}

// survey is all scopes and moments at which what somebody holds may differ.
type survey struct {
	scopes  map[uint32]bool
	moments map[time.Time]bool
}

// comparison goes through the holders of two sights.
type comparison struct {
	ctx     context.Context
	sides   [2]*side
	cells   *cells
	forms   *formulas
	now     time.Time
	moved   []access.Scope // scopes whose place in the tree differs
	classes map[string]*class
	order   []*class
	foci    *foci
	bytes   []byte
	rows    [2][][]uint32 // by side: matrices by scope and moment
}

// class is holders who hold the same on both sides.
type class struct {
	people  [2]person
	fresh   bool
	users   int
	names   []string // of users, as many as are wanted
	groups  []string
	apps    []string
	visitor bool // anonymous is one of them
}

func newComparison(ctx context.Context, was, is *Sight, o access.ConsequenceOptions) *comparison {
	c := &comparison{ctx: ctx, forms: newFormulas(), now: is.now, classes: map[string]*class{}}
	c.cells = cellsOf(was.snapshot, is.snapshot)
	for i, v := range []*Sight{was, is} {
		c.sides[i] = &side{sight: v, matrix: newMatrix(v.snapshot, i, c.cells, c.forms), seen: map[uint32]*survey{}}
	}
	c.moved = movedScopes(was.snapshot, is.snapshot)
	c.foci = newFoci(c)
	if (o.Some || o.Who != nil) && !bearsOnAll(was.snapshot, is.snapshot) {
		for _, s := range c.sides {
			s.mark(o.Who)
		}
	}
	return c
}

func (c *comparison) end() {
	for _, s := range c.sides {
		s.end()
	}
}

// bearsOnAll tells whether something differs that can change what anybody holds,
// whoever was touched.
func bearsOnAll(was, is *Snapshot) bool {
	if was.frame == is.frame {
		return false
	}
	a, b := &was.source, &is.source
	return was.combining != is.combining || !reflect.DeepEqual(was.licences, is.licences) ||
		!reflect.DeepEqual(a.Groups, b.Groups) || !reflect.DeepEqual(bare(a.Catalogue), bare(b.Catalogue)) ||
		len(movedScopes(was, is)) > 0
}

// bare is what decisions read of a catalogue.
func bare(catalogue []access.Application) map[access.Section]any {
	all := map[access.Section]any{}
	for _, app := range catalogue {
		for _, s := range app.Sections {
			var actions []string
			for _, a := range s.Actions {
				actions = append(actions, a.Name)
			}
			needs := map[access.Section]access.Rights{}
			for _, p := range s.Prerequisites {
				needs[p.Section] |= p.Rights
			}
			all[s.Path] = []any{app.Code, s.Licence, actions, needs}
		}
	}
	return all
}

// movedScopes lists scopes that lie in another one than before.
func movedScopes(was, is *Snapshot) []access.Scope {
	var moved []access.Scope
	for scope, parent := range is.parents {
		if before, there := was.parents[scope]; there && before != parent {
			moved = append(moved, scope)
		}
	}
	slices.Sort(moved)
	return moved
}

// mark notes who is to be looked at: names, and all who have links to them.
func (s *side) mark(names []string) {
	var ids []uint32
	for _, name := range names {
		if id := s.names.id(name); id != 0 {
			ids = append(ids, id)
		}
	}
	s.marked = s.graph.below(ids...)
	s.wanted = map[string]bool{}
	for _, name := range names {
		s.wanted[name] = true
	}
}

// wants tells whether a subject is to be looked at.
func (s *side) wants(p *subject) bool {
	return p != nil && (s.marked == nil || s.wanted[p.name] || p.reaches(s.marked))
}

// classify puts everybody who is to be looked at into a class.
func (c *comparison) classify(o access.ConsequenceOptions) error {
	c.group()
	names := cmp.Or(o.Names, defaultNames)
	for name, pair := range c.everybody(o) {
		if pair.err != nil {
			return pair.err
		}
		if err := waiting(c.ctx); err != nil {
			return err
		}
		if !c.sides[0].wants(pair.of[0]) && !c.sides[1].wants(pair.of[1]) {
			continue
		}
		c.class([2]person{{subject: pair.of[0]}, {subject: pair.of[1]}}).count(name, names)
	}
	return nil
}

const defaultNames = 100

// count takes a subject into a class, which need not name all.
func (c *class) count(name string, most int) {
	kind, id := access.Kind(name[0]), name[2:]
	switch {
	case kind == access.KindApplication:
		c.apps = append(c.apps, id)
	case name == access.Anonymous.Rule():
		c.visitor = true
	default:
		if c.users++; len(c.names) < most {
			c.names = append(c.names, id)
		}
	}
}

func (c *comparison) group() {
	codes := map[string]bool{}
	for _, s := range c.sides {
		for code := range s.source.Groups {
			id := s.names.id(access.Name(access.KindGroup, code))
			if s.marked == nil || s.marked[id] {
				codes[code] = true
			}
		}
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		k := c.class([2]person{c.sides[0].memberOf(code), c.sides[1].memberOf(code)})
		k.groups = append(k.groups, code)
	}
}

// class finds the class of somebody, or makes it.
func (c *comparison) class(of [2]person) *class {
	fresh := of[0].subject != nil && of[1].subject != nil && of[0].account != nil && of[1].account != nil &&
		!reflect.DeepEqual(of[0].account.attributes, of[1].account.attributes)
	c.bytes = c.bytes[:0]
	for _, p := range of {
		c.bytes = p.signature(c.bytes)
	}
	if fresh {
		c.bytes = append(c.bytes, '!')
	}
	k := c.classes[string(c.bytes)]
	if k == nil {
		k = &class{people: of, fresh: fresh}
		c.classes[string(c.bytes)] = k
		c.order = append(c.order, k)
	}
	return k
}

// signature writes down all that a matrix reads of somebody.
func (p person) signature(b []byte) []byte {
	if !p.able() {
		return append(b, '-')
	}
	b = append(b, '+')
	for _, yes := range []bool{p.whole, p.account.person} {
		b = strconv.AppendBool(append(b, 0), yes)
	}
	for _, list := range [][]string{p.account.licences, p.account.off} {
		b = binary.LittleEndian.AppendUint32(b, number(len(list)))
		for _, name := range list {
			b = appendText(b, name)
		}
	}
	h := p.held()
	b = binary.LittleEndian.AppendUint32(b, number(len(h.links)))
	for i, l := range h.links {
		b = binary.LittleEndian.AppendUint32(b, l.to)
		if l.to&stranger != 0 {
			b = appendText(b, h.extras().strangers[l.to&^stranger])
		}
		b = appendGate(binary.LittleEndian.AppendUint32(b, l.scope), h.timed(i))
	}
	b = binary.LittleEndian.AppendUint32(b, number(len(h.rules)))
	for i := range h.rules {
		r := &h.rules[i]
		b = appendNumbers(b, []uint32{r.scope, r.section, uint32(r.act)})
		b = appendGate(b, h.gate(r))
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, number(len(text))), text...)
}

func appendGate(b []byte, g *gate) []byte {
	if g == nil {
		return append(b, 0)
	}
	b = appendText(append(b, 1), g.id)
	for _, t := range []time.Time{g.validity.From, g.validity.Until} {
		at, _ := t.MarshalBinary() // fails for odd zones only, and then stands for itself
		b = appendText(b, string(at))
	}
	return b
}

// pairOf is a subject as it is on both sides.
type pairOf struct {
	of  [2]*subject
	err error
}

// everybody goes through all subjects that are on one side or the other, in the
// order of their names.
func (c *comparison) everybody(o access.ConsequenceOptions) iter.Seq2[string, pairOf] {
	if only := c.few(o); only != nil {
		return c.some(only)
	}
	return func(yield func(string, pairOf) bool) {
		if p := (pairOf{of: [2]*subject{c.sides[0].anonymous, c.sides[1].anonymous}}); !yield(access.Anonymous.Rule(), p) {
			return
		}
		was, stopWas := iter.Pull2(c.sides[0].sight.subjects(c.ctx))
		is, stopIs := iter.Pull2(c.sides[1].sight.subjects(c.ctx))
		defer stopWas()
		defer stopIs()
		a, errA, moreA := was()
		b, errB, moreB := is()
		for moreA || moreB {
			p := pairOf{err: errA}
			if p.err == nil {
				p.err = errB
			}
			name := ""
			if p.err == nil && moreA && (!moreB || a.name <= b.name) {
				name, p.of[0] = a.name, a
			}
			if p.err == nil && moreB && (!moreA || b.name <= a.name) {
				name, p.of[1] = b.name, b
			}
			if !yield(name, p) || p.err != nil {
				return
			}
			if p.of[0] != nil {
				a, errA, moreA = was()
			}
			if p.of[1] != nil {
				b, errB, moreB = is()
			}
		}
	}
}

// few gives the names of the subjects that are looked at, where no group or role
// is: then nobody has to be searched for.
func (c *comparison) few(o access.ConsequenceOptions) []string {
	if c.sides[0].marked == nil || len(c.sides[0].marked)+len(c.sides[1].marked) > 0 {
		return nil
	}
	names := append([]string{}, o.Who...)
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *comparison) some(names []string) iter.Seq2[string, pairOf] {
	return func(yield func(string, pairOf) bool) {
		for _, name := range names {
			kind, id, ok := access.ParseName(name)
			who := access.Subject{Kind: kind, ID: id}
			if !ok || !personal(who) {
				continue
			}
			var p pairOf
			for i, s := range c.sides {
				if p.of[i], p.err = s.sight.subject(c.ctx, who); p.err != nil {
					break
				}
			}
			if !yield(name, p) || p.err != nil {
				return
			}
		}
	}
}

// subject finds somebody, wherever he is kept.
func (v *Sight) subject(ctx context.Context, who access.Subject) (*subject, error) {
	given, err := v.person(ctx, who)
	if err != nil || given != nil {
		return given, err
	}
	return v.snapshot.resident(who), nil
}

// subjects goes through all but anonymous, in the order of their names.
func (v *Sight) subjects(ctx context.Context) iter.Seq2[*subject, error] {
	return func(yield func(*subject, error) bool) {
		on := true
		v.snapshot.subjects.behind(access.Subject{}, func(p *subject) bool {
			on = yield(p, nil)
			return on
		})
		if !on || !v.snapshot.fetched {
			return
		}
		v.fetchAll(ctx, yield)
	}
}

// fetchAll goes through users that are fetched, with those among them that are
// foreseen otherwise. What the store has of all others holds in the foreseen
// state too.
func (v *Sight) fetchAll(ctx context.Context, yield func(*subject, error) bool) {
	foreseen, after := slices.Sorted(maps.Keys(v.users)), ""
	for {
		page, err := v.page(ctx, after)
		if err != nil {
			yield(nil, err)
			return
		}
		last := len(page) < usersPerPage
		for i := range page {
			after = page[i].ID
			for len(foreseen) > 0 && foreseen[0] < after {
				if !yield(v.users[foreseen[0]], nil) {
					return
				}
				foreseen = foreseen[1:]
			}
			if len(foreseen) > 0 && foreseen[0] == after {
				continue
			}
			found, err := fetcher{v.engine, v.snapshot}.bind(&page[i], after)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(found.subject, nil) {
				return
			}
		}
		if last {
			break
		}
	}
	for _, id := range foreseen {
		if !yield(v.users[id], nil) {
			return
		}
	}
}

// page asks for the users behind an id.
func (v *Sight) page(ctx context.Context, after string) ([]access.SubjectFacts, error) {
	var page []access.SubjectFacts
	err := v.engine.call(ctx, func(ctx context.Context, from Subjects) (err error) {
		page, err = from.Users(ctx, v.snapshot.tenant, after, usersPerPage)
		return err
	})
	for i := range page {
		page[i].Known = true // or it would not be here
		if err == nil && page[i].ID <= after {
			err = access.Unavailable("the store gave users out of order")
		}
		after = page[i].ID
	}
	return page, err
}
