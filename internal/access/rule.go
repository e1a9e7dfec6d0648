package access

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Rule is one line of a Casbin policy: "p, g:sales, *, System.Orders, 10, allow, -".
type Rule struct {
	Type     string   // "p", "g", and in models of others "p2", "g2" and so on
	Values   []string // at most six, none of them blank
	Validity Validity
	Place    int64 // where it stands in its tenant's order, as the store numbers it; 0: as the slice says
	Origin   Origin
}

// String gives the line as it stands in a Casbin file.
func (r Rule) String() string {
	return r.Type + ", " + strings.Join(r.Values, ", ")
}

// Same tells whether two rules are the same line, wherever they were written.
func (r Rule) Same(o Rule) bool { return r.Type == o.Type && slices.Equal(r.Values, o.Values) }

// User gives the user whose own fact the rule is: the one that it begins with.
// What begins with the anonymous user is nobody's own but policy.
func (r Rule) User() (id string, ok bool) {
	if len(r.Values) == 0 {
		return "", false
	}
	id, ok = strings.CutPrefix(r.Values[0], string([]byte{byte(KindUser), ':'}))
	if !ok || id == AnonymousID {
		return "", false
	}
	return id, true
}

// MaxRuleValues is how many values a rule can have: casbin_rule has v0 to v5.
const MaxRuleValues = 6

// NoCondition stands in a rule's condition field where there is none.
const NoCondition = "-"

// Sentinel is the superuser's rule. It is part of every policy in our own
// model and can be neither deleted nor written by hand. Its action "*" stands
// for all rights and all declared actions.
func Sentinel() Rule {
	return Rule{Type: "p", Values: []string{SuperuserRole, "*", "*", "*", string(Allow), NoCondition}}
}

// Condition is a CEL text with the id by which rules refer to it.
type Condition struct {
	ID     string
	Text   string
	Origin Origin
}

// ConditionID derives the id of a condition from its text. The same text has
// the same id for ever, so what is compiled or cached for an id cannot be stale.
func ConditionID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "c" + hex.EncodeToString(sum[:12])
}
