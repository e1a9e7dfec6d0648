package engine

import (
	"fmt"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// binder turns lines into numbers of one snapshot.
type binder struct {
	s        *Snapshot
	holders  *draft[holder]
	reading  bool // the snapshot is in force: names that are new stay unknown
	problems access.Problems
	gates    map[gateKey]*gate
	unknown  bool // a name was unknown: what was bound holds for this policy only
}

type gateKey struct {
	condition string
	validity  access.Validity
}

func (b *binder) problem(at access.Origin, code, format string, args ...any) {
	b.problems = append(b.problems, access.Problem{Origin: at, Code: code, Message: fmt.Sprintf(format, args...)})
}

// owner checks the form of a line and gives the kind and name of whose it is.
func (b *binder) owner(r *access.Rule) (access.Subject, bool) {
	if wanted := arity(r.Type); wanted == 0 || len(r.Values) != wanted {
		b.problem(r.Origin, "rule-arity", "%q is no line of the built-in model: p has 6 fields, g has 3", r.String())
		return access.Subject{}, false
	}
	return b.name(r, 0)
}

// arity is how many values a line has, 0 for what is no line of the model.
func arity(kind string) int {
	switch kind {
	case "p":
		return 6
	case "g":
		return 3
	}
	return 0
}

func (b *binder) name(r *access.Rule, field int) (access.Subject, bool) {
	kind, id, ok := access.ParseName(r.Values[field])
	if !ok {
		b.problem(r.Origin, "name-invalid", "%q is not a name of a rule; write u:<user>, a:<application>, g:<group>, r:<role> or superuser", r.Values[field])
	}
	return access.Subject{Kind: kind, ID: id}, ok
}

// personal tells whether lines of this name are a subject's own.
func personal(s access.Subject) bool {
	return s.Kind == access.KindUser || s.Kind == access.KindApplication
}

// line adds a line to those of its owner.
func (b *binder) line(to *loose, r *access.Rule, place int64) {
	if r.Type == "g" {
		b.link(to, r, place)
		return
	}
	b.rule(to, r, place)
}

func (b *binder) link(to *loose, r *access.Rule, place int64) {
	target, ok := b.name(r, 1)
	if ok && target.Kind != access.KindGroup && target.Kind != access.KindRole {
		b.problem(r.Origin, "link-target", "%q is neither a group (g:) nor a role (r:)", r.Values[1])
		return
	}
	scope := b.scope(r, 2)
	if !ok || scope == 0 {
		return
	}
	id := b.s.names.id(r.Values[1])
	switch {
	case id != 0:
	case b.reading:
		b.unknown = true
		id = stranger | number(len(to.strangers))
		to.strangers = append(to.strangers, r.Values[1])
	default:
		id = b.holder(r.Values[1], target)
	}
	to.links = append(to.links, looseLink{
		link: link{to: id, scope: scope, place: place}, gate: b.gate(access.NoCondition, nil, r.Validity), origin: r.Origin,
	})
}

func (b *binder) rule(to *loose, r *access.Rule, place int64) {
	what, err := access.ParseRuleAct("act", r.Values[3])
	if err != nil {
		b.problem(r.Origin, "act-invalid", "%s", err)
	}
	if err := access.ValidEffect("effect", access.Effect(r.Values[4])); err != nil {
		b.problem(r.Origin, "effect-invalid", "%s", err)
	}
	condition := b.s.conditions[r.Values[5]]
	if condition == nil && r.Values[5] != access.NoCondition && !b.declares(r.Values[5]) {
		b.problem(r.Origin, "condition-unknown", "condition %q does not exist", r.Values[5])
	}
	e := looseRule{place: place, gate: b.gate(r.Values[5], condition, r.Validity), origin: r.Origin}
	e.scope, e.section, e.act = b.scope(r, 1), b.section(r.Values[2]), b.act(what, r.Values[4])
	if e.section != 0 && e.act.action() != unknownAction {
		to.rules = append(to.rules, e)
	}
}

// declares tells whether there is such a condition, be it one that does not compile.
func (b *binder) declares(condition string) bool {
	_, ok := b.s.conditions[condition]
	return ok
}

func (b *binder) scope(r *access.Rule, field int) uint32 {
	scope := access.Scope(r.Values[field])
	if !b.s.knows(scope) {
		b.problem(r.Origin, "scope-unknown", "scope %q does not exist", r.Values[field])
		return 0
	}
	return b.s.scopes.id(scope)
}

// section numbers the section of a rule. One that is unknown while the
// snapshot is in force cannot be asked about: 0.
func (b *binder) section(name string) uint32 {
	id := b.s.sections.id(access.Section(name))
	switch {
	case id != 0:
		return id
	case b.reading:
		b.unknown = true
		return 0
	}
	return b.s.sections.add(access.Section(strings.Clone(name)))
}

// unknownAction is the number of an action that cannot be asked about.
const unknownAction = 1<<(32-actShift) - 1

func (b *binder) act(what access.RuleAct, effect string) act {
	a := act(what.Rights)
	if effect == string(access.Deny) {
		a |= denies
	}
	switch {
	case what.All:
		a |= anyAction
	case what.Name != "":
		a |= act(b.action(what.Name)) << actShift
	}
	return a
}

func (b *binder) action(name string) uint32 {
	id := b.s.actions.id(name)
	switch {
	case id != 0:
		return id
	case b.reading:
		b.unknown = true
		return unknownAction
	}
	return b.s.actions.add(strings.Clone(name))
}

// gate gives the one gate for a condition and a validity, or nil for none.
func (b *binder) gate(id string, condition *Condition, v access.Validity) *gate {
	if condition == nil && v.From.IsZero() && v.Until.IsZero() {
		return nil
	}
	key := gateKey{condition: id, validity: v}
	g := b.gates[key]
	if g == nil {
		g = &gate{id: strings.Clone(id), condition: condition, validity: v}
		if b.gates == nil {
			b.gates = map[gateKey]*gate{}
		}
		b.gates[key] = g
	}
	return g
}
