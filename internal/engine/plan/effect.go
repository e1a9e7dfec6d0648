package plan

import "github.com/casbin/casbin/v2/constant"

// effect is how the rules that match are combined into one decision.
type effect uint8

const (
	allowOverride effect = iota
	denyOverride
	allowAndDeny
	priority
	subjectPriority // like priority; only the order of the rules differs
)

// String gives the name that Casbin's manual has for it.
func (e effect) String() string {
	return [...]string{"allow-override", "deny-override", "allow-and-deny", "priority", "subject-priority"}[e]
}

// effects are the spellings that stock Casbin knows.
var effects = map[string]effect{
	constant.AllowOverrideEffect:   allowOverride,
	constant.DenyOverrideEffect:    denyOverride,
	constant.AllowAndDenyEffect:    allowAndDeny,
	constant.PriorityEffect:        priority,
	constant.SubjectPriorityEffect: subjectPriority,
}

// outcome is what one rule says if it matches.
type outcome uint8

const (
	allow outcome = iota
	deny
	indeterminate
)

// tally combines matching rules in policy order. It is told of one after the
// other until it knows the answer, at the same rule at which stock Casbin stops:
// a rule behind it may err, and must not be looked at.
type tally struct {
	effect  effect
	allowed int // the first matching allow, -1 if there was none
}

func newTally(e effect) tally { return tally{effect: e, allowed: -1} }

// add takes a matching rule; done means that the answer is known.
func (t *tally) add(rule int, o outcome) (a Answer, done bool) {
	switch {
	case o == indeterminate:
		return Answer{}, false
	case o == deny:
		return Answer{Rule: rule}, t.effect != allowOverride
	case t.effect == denyOverride:
		return Answer{}, false
	case t.effect == allowAndDeny:
		if t.allowed < 0 {
			t.allowed = rule
		}
		return Answer{}, false
	}
	return Answer{Allowed: true, Rule: rule}, true
}

// end gives the answer when no rule has settled it.
func (t *tally) end() Answer {
	if t.effect == denyOverride {
		return Answer{Allowed: true, Rule: -1}
	}
	return Answer{Allowed: t.allowed >= 0, Rule: t.allowed}
}
