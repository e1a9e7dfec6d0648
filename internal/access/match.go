package access

import "strings"

// The three functions of the default model's matcher that compare strings.
// They are total: whatever they are given they answer, without error or panic.
// Stock Casbin is given these; the engine decides by compiled forms of them.

// ScopeIn tells whether a rule's scope node lies on the path of a request.
func ScopeIn(path, node string) bool {
	for path != "" {
		segment, rest, _ := strings.Cut(path, "/")
		if segment == node {
			return true
		}
		path = rest
	}
	return false
}

// SectionIn tells whether a rule on section rule, with action field act, holds
// for the requested section: it is the same one, or the rule is inherited and
// stands above it, or is "*".
func SectionIn(req, rule, act string) bool {
	if req == rule {
		return true
	}
	a, err := ParseRuleAct("", act)
	if err != nil || !a.Inherits() {
		return false
	}
	return rule == "*" || Section(rule).Above(Section(req))
}

// ActIn tells whether a rule's action field covers the requested action, which
// is one right from 2 to 32 in decimal, or the name of a declared action.
func ActIn(rule, req string) bool {
	a, err := ParseRuleAct("", rule)
	if err != nil || req == "" {
		return false
	}
	if a.All {
		return true
	}
	if a.Name != "" {
		return a.Name == req
	}
	switch req {
	case "2", "4", "8", "16", "32":
		b, err := ParseRuleAct("", req)
		return err == nil && a.Rights&b.Rights != 0
	}
	return false
}
