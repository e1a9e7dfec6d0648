package access

import (
	"math/bits"
	"strconv"
	"strings"
)

// Rights is a set of the six standard actions, as the sum of their values.
// The values are those of a binary rights table that administrators know:
// 10 is show and update, 63 is everything.
type Rights uint8

// The six standard rights. Inherit is not an action one can ask about: it
// passes the other rights of a grant down to the subsections.
const (
	Inherit Rights = 1 << iota
	Show
	Insert
	Update
	Delete
	Execute

	AllRights = Inherit | Show | Insert | Update | Delete | Execute
)

var rightNames = [...]string{"inherit", "show", "insert", "update", "delete", "execute"}

// RightsOf turns an integer into rights; anything but 0 to 63 is refused.
func RightsOf(field string, n int64) (Rights, error) {
	if n < 0 || n > int64(AllRights) {
		return 0, Invalid(field, "%d is not a sum of rights; it must be 0 to 63", n)
	}
	return Rights(n), nil
}

// RightOf gives the right with this name, for instance "show".
func RightOf(name string) (Rights, bool) {
	for i, n := range rightNames {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// RightNames lists the names of the six standard rights in the order of their values.
func RightNames() []string { return append([]string(nil), rightNames[:]...) }

// Names lists the rights in the order of their values.
func (r Rights) Names() []string {
	names := make([]string, 0, bits.OnesCount8(uint8(r)))
	for i, n := range rightNames {
		if r&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// String gives the canonical decimal form, for instance "10".
func (r Rights) String() string { return strconv.Itoa(int(r)) }

// Action is a verb that one can ask about: one of the standard ones from
// "show" to "execute", or a further one that a section declares.
type Action string

// Right gives the standard right of the action, or 0 for a declared one.
func (a Action) Right() Rights {
	r, _ := RightOf(string(a))
	return r
}

// Rule gives the action as it stands in a Casbin request: the decimal value of
// a standard right, or the name of a declared action.
func (a Action) Rule() string {
	if r := a.Right(); r != 0 {
		return r.String()
	}
	return string(a)
}

// ValidAction checks the name of an action one asks about: lower-case letters,
// digits, "-" and "_", beginning with a letter. It refuses "inherit".
func ValidAction(field, name string) error {
	if err := ValidCode(field, name); err != nil {
		return err
	}
	if !isLower(name[0]) {
		return Invalid(field, "%q does not begin with a letter", name)
	}
	if name == "inherit" {
		return Invalid(field, "inherit cannot be asked about; it passes the other rights of a grant to subsections")
	}
	return nil
}

// Effect is what a matching grant does.
type Effect string

// The two effects. Stock Casbin ignores any other spelling silently, so we
// refuse it wherever it comes in.
const (
	Allow Effect = "allow"
	Deny  Effect = "deny"
)

// ValidEffect refuses everything but the two exact spellings.
func ValidEffect(field string, e Effect) error {
	if e != Allow && e != Deny {
		return Invalid(field, "%q is not an effect; write allow or deny", string(e))
	}
	return nil
}

// RuleAct is the action field of a stored rule of our model: a sum of rights
// ("10"), a declared action ("send"), a declared action that also holds in
// subsections ("1+send"), or everything ("*", only in the superuser's rule).
type RuleAct struct {
	Rights Rights // for a declared action 0 or Inherit
	Name   string // the declared action, or empty
	All    bool
}

// ParseRuleAct reads the action field of a stored rule; only the canonical
// spelling is accepted.
func ParseRuleAct(field, s string) (RuleAct, error) {
	if s == "*" {
		return RuleAct{Rights: AllRights, All: true}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		r, err := RightsOf(field, n)
		if err != nil {
			return RuleAct{}, err
		}
		if r == 0 || r.String() != s {
			return RuleAct{}, Invalid(field, "%q is not a canonical sum of rights from 1 to 63", s)
		}
		return RuleAct{Rights: r}, nil
	}
	name, inherit := strings.CutPrefix(s, "1+")
	if err := ValidAction(field, name); err != nil {
		return RuleAct{}, err
	}
	if _, standard := RightOf(name); standard {
		return RuleAct{}, Invalid(field, "write the value of the standard action %q, not its name", name)
	}
	act := RuleAct{Name: name}
	if inherit {
		act.Rights = Inherit
	}
	return act, nil
}

// String gives the canonical spelling.
func (a RuleAct) String() string {
	switch {
	case a.All:
		return "*"
	case a.Name == "":
		return a.Rights.String()
	case a.Rights&Inherit != 0:
		return "1+" + a.Name
	}
	return a.Name
}

// On tells whether a rule with this action field is about an action.
func (a RuleAct) On(action Action) bool {
	if right := action.Right(); right != 0 {
		return a.Name == "" && a.Rights&right != 0
	}
	return a.All || a.Name == string(action)
}

// Inherits tells whether the rule also holds in subsections.
func (a RuleAct) Inherits() bool { return a.Rights&Inherit != 0 }
