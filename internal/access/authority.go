package access

import "slices"

// Holding is a rule as it reaches one holder by way of his links: in the
// narrowest of the scopes that the links and the rule itself name.
type Holding struct {
	Scope     Scope
	Section   Section
	Act       RuleAct
	Effect    Effect
	Condition string // id, or NoCondition
	OfSubject bool   // the condition reads attributes of whoever asks

	// Validity is when it reaches the holder, as links and rule together have it.
	// What has begun already has no beginning any more.
	Validity Validity
}

// Holdings is everything that reaches one holder.
type Holdings struct {
	Superuser bool
	Rules     []Holding
}

// Covers tells whether whoever has these holdings could hand out the other ones
// without giving more than he has: every right of every permission there must
// be his own, in the same scope or a wider one, as far down the sections, under
// no other condition, and no prohibition of his may touch it. Prohibitions give
// nothing, so they need no cover. The first permission that is not covered is
// given for the error.
//
// It errs on the side of no: two rules of his that together cover one rule in
// two scopes or sections are not added up.
func (h Holdings) Covers(other Holdings, above func(Scope) Scope) (lacking Holding, ok bool) {
	if h.Superuser {
		return Holding{}, true
	}
	if other.Superuser {
		return Holding{Scope: Everywhere, Section: "*", Act: RuleAct{Rights: AllRights, All: true}, Effect: Allow, Condition: NoCondition}, false
	}
	for _, want := range other.Rules {
		if want.Effect != Deny && !h.covers(want, above) {
			return want, false
		}
	}
	return Holding{}, true
}

// Lasting leaves out the permissions that do not hold for as long as something else.
func (h Holdings) Lasting(v Validity) Holdings {
	left := Holdings{Superuser: h.Superuser}
	for _, r := range h.Rules {
		if r.Effect == Deny || Within(r.Validity, v) {
			left.Rules = append(left.Rules, r)
		}
	}
	return left
}

// Bounded tells whether some of the permissions begin or end.
func (h Holdings) Bounded() bool {
	return slices.ContainsFunc(h.Rules, func(r Holding) bool { return r.Effect != Deny && r.Validity != Validity{} })
}

// covers looks for each right of a permission by itself, since each may come
// from another rule.
func (h Holdings) covers(want Holding, above func(Scope) Scope) bool {
	for bit := Show; bit <= Execute; bit <<= 1 {
		if want.Act.Rights&bit != 0 && want.Act.Name == "" && !h.has(want, RuleAct{Rights: bit}, above) {
			return false
		}
	}
	return want.Act.Name == "" || h.has(want, RuleAct{Name: want.Act.Name}, above)
}

// has tells whether one right of a permission is held and not prohibited.
func (h Holdings) has(want Holding, right RuleAct, above func(Scope) Scope) bool {
	held := false
	for _, r := range h.Rules {
		if !r.Act.covers(right) {
			continue
		}
		if r.Effect == Deny {
			if r.meets(want, above) {
				return false
			}
			continue
		}
		held = held || r.spans(want, above)
	}
	return held
}

func (a RuleAct) covers(right RuleAct) bool {
	if right.Name != "" {
		return a.All || a.Name == right.Name
	}
	return a.All || a.Name == "" && a.Rights&right.Rights != 0
}

// spans tells whether a permission reaches at least as far as the other.
func (r Holding) spans(want Holding, above func(Scope) Scope) bool {
	if r.Condition != NoCondition && r.Condition != want.Condition {
		return false
	}
	if !LiesIn(want.Scope, r.Scope, above) {
		return false
	}
	if want.Act.Inherits() && !r.Act.Inherits() {
		return false
	}
	return r.Section == want.Section || r.Act.Inherits() && (r.Section == "*" || r.Section.Above(want.Section))
}

// meets tells whether there is a section and a scope that both reach.
func (r Holding) meets(want Holding, above func(Scope) Scope) bool {
	if !LiesIn(want.Scope, r.Scope, above) && !LiesIn(r.Scope, want.Scope, above) {
		return false
	}
	switch {
	case r.Section == want.Section, r.Section == "*", want.Section == "*":
		return true
	case r.Act.Inherits() && r.Section.Above(want.Section):
		return true
	}
	return want.Act.Inherits() && want.Section.Above(r.Section)
}

// LiesIn tells whether a scope is the other one or lies below it. Where above
// gives nothing, the scope is not in the tree and lies in nothing but itself.
func LiesIn(s, wide Scope, above func(Scope) Scope) bool {
	for range MaxScopeDepth + 2 {
		if s == wide {
			return true
		}
		if s == Everywhere || s == "" {
			return false
		}
		s = above(s)
	}
	return false
}
