package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bailiwick/bailiwick/internal/access"
)

// judge tells whether rules are such as this program writes. Sets that are nil
// are not looked at: a user's rules are read without the policy they are part of.
type judge struct {
	ours     bool            // by the built-in model
	known    map[string]bool // typed names of roles, groups and applications
	scopes   map[string]bool
	sections map[string]bool
	conds    map[string]bool
	sentinel bool // the superuser's rule has passed

	room []string // for values
	file string   // the last that a rule stood in
}

// judged gives the rule of a row, or what is wrong with the row.
func (j *judge) judged(r ruleRow) (access.Rule, error) {
	rule, err := r.rule(j.values(r))
	if rule.Origin.File == j.file {
		rule.Origin.File = j.file // one text for all rules of a file
	}
	j.file = rule.Origin.File
	if err == nil {
		err = j.fits(r, rule)
	}
	if err != nil {
		return rule, fmt.Errorf("casbin_rule row %d (%q): %w", r.ID, r.name(), err)
	}
	return rule, nil
}

// values are those of a row, out of room that many rows share.
func (j *judge) values(r ruleRow) []string {
	n, fields := r.count(), r.fields()
	if cap(j.room)-len(j.room) < n {
		j.room = make([]string, 0, min(max(4*cap(j.room), 4*len(fields)), 1<<14))
	}
	j.room = append(j.room, fields[:n]...)
	return j.room[len(j.room)-n : len(j.room) : len(j.room)]
}

func (j *judge) fits(r ruleRow, rule access.Rule) error {
	if err := checkLine(rule); err != nil {
		return err
	}
	if r.Pending && r.ValidFrom == 0 {
		return access.Invalid("pending", "is set, and the rule has no beginning")
	}
	if !j.ours {
		return nil
	}
	switch {
	case rule.Type == "p" && len(rule.Values) == 6:
		return j.grant(rule.Values)
	case rule.Type == "g" && len(rule.Values) == 3:
		return j.membership(rule.Values)
	}
	return access.Invalid("line", "is neither p with 6 values nor g with 3")
}

func (j *judge) grant(v []string) error {
	if v[0] == access.SuperuserRole {
		return j.superuser(v)
	}
	act, err := access.ParseRuleAct("v3", v[3])
	if err != nil {
		return err
	}
	if act.All {
		return access.Invalid("v3", "only the built-in rule may name all actions")
	}
	if err := access.ValidEffect("v4", access.Effect(v[4])); err != nil {
		return err
	}
	if absent(j.sections, v[2]) {
		return access.Invalid("v2", "the section %q does not exist", v[2])
	}
	if v[5] != access.NoCondition && absent(j.conds, v[5]) {
		return access.Invalid("v5", "the condition %q does not exist", v[5])
	}
	return errors.Join(j.named("v0", v[0]), j.scope("v1", v[1]))
}

func (j *judge) superuser(v []string) error {
	if !slices.Equal(v, access.Sentinel().Values) {
		return access.Invalid("v0", "only the built-in rule may be the superuser's")
	}
	j.sentinel = true
	return nil
}

func (j *judge) membership(v []string) error {
	if kind, _, ok := access.ParseName(v[1]); !ok || (kind != access.KindGroup && kind != access.KindRole) {
		return access.Invalid("v1", "%q is neither a group nor a role", v[1])
	}
	if v[1] == access.SuperuserRole && v[2] != string(access.Everywhere) {
		return access.Invalid("v2", "the role superuser can only be held everywhere")
	}
	return errors.Join(j.named("v0", v[0]), j.named("v1", v[1]), j.scope("v2", v[2]))
}

// named checks a typed name. Users need no account: plain lines may name those
// who come later.
func (j *judge) named(field, name string) error {
	kind, _, ok := access.ParseName(name)
	if !ok {
		return access.Invalid(field, "%q is not a name of a user, application, group or role", name)
	}
	if kind != access.KindUser && absent(j.known, name) {
		return access.Invalid(field, "%q does not exist", name)
	}
	return nil
}

func (j *judge) scope(field, scope string) error {
	if absent(j.scopes, scope) {
		return access.Invalid(field, "the scope %q does not exist", scope)
	}
	return nil
}

func absent(set map[string]bool, name string) bool { return set != nil && !set[name] }
