package access

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Guarantee is something that must be true of every state of a tenant, whoever
// changes it and through whichever door. It is about what is held, so no order of
// grants, groups and roles gets around it.
type Guarantee struct {
	Name        string
	Description string
	Rule        GuaranteeRule

	// Who it is about, and who of them it is not about: GuaranteeEverybody and so
	// on, or "group:sales", "role:clerk", "user:42", "app:erp". Everybody when empty.
	// Somebody is in a group or role in those scopes and at those moments in which
	// links lead there, directly or not.
	Who, Except []string

	Rights    []GuardedRight
	Scope     Scope  // there and in everything below; everywhere when empty
	Most      int    // for GuaranteeAtMost: how many users
	Condition string // for GuaranteeOnlyIf: CEL
	Origin    Origin
}

// GuardedRight is one or several actions on one section.
type GuardedRight struct {
	Section Section
	Rights  Rights
	Actions []string // declared ones
	Origin  Origin
}

// GuaranteeRule is what a guarantee demands.
type GuaranteeRule string

// The rules. A right under a condition counts as held where it must not be, and
// as not held where it must be; so does one that begins later.
const (
	Never    GuaranteeRule = "never"    // nobody of them holds any of the rights
	Always   GuaranteeRule = "always"   // all of them whose accounts are active hold all the rights
	Separate GuaranteeRule = "separate" // nobody of them holds something of two of the rights, in one and the same scope
	AtMost   GuaranteeRule = "at_most"  // no more users than so many hold any of the rights
	OnlyIf   GuaranteeRule = "only_if"  // who holds any of the rights holds it under this condition at least
)

// GuaranteeRules lists the rules.
func GuaranteeRules() []string {
	return []string{string(Never), string(Always), string(Separate), string(AtMost), string(OnlyIf)}
}

// Whom a guarantee can be about, besides groups, roles, users and applications.
const (
	GuaranteeEverybody    = "everybody"
	GuaranteeUsers        = "users"
	GuaranteeApplications = "applications"
	GuaranteeAnonymous    = "anonymous"
	GuaranteeSuperusers   = "superusers"
)

// MaxGuarantees is how many a tenant may have.
const MaxGuarantees = 200

// Names lists the actions of a right.
func (r GuardedRight) Names() []Action {
	var all []Action
	for _, name := range append((r.Rights &^ Inherit).Names(), r.Actions...) {
		all = append(all, Action(name))
	}
	return all
}

// GuaranteeWho takes whom a guarantee is about apart: a word, or a name as in
// rules.
func GuaranteeWho(who string) (word, name string, ok bool) {
	switch who {
	case GuaranteeEverybody, GuaranteeUsers, GuaranteeApplications, GuaranteeAnonymous, GuaranteeSuperusers:
		return who, "", true
	}
	kind, id, found := strings.Cut(who, ":")
	kinds := map[string]Kind{"group": KindGroup, "role": KindRole, "user": KindUser, "app": KindApplication}
	if !found || kinds[kind] == 0 {
		return "", "", false
	}
	name = Name(kinds[kind], id)
	_, _, ok = ParseName(name)
	return "", name, ok
}

// Breach is one case in which a guarantee is not kept.
type Breach struct {
	Guarantee string
	Holder    string // as in rules; empty where nobody in particular breaks it
	Section   Section
	Action    Action
	Scope     Scope
	From      time.Time // the moment from which it would be so; zero: at once
	Count     int       // for GuaranteeAtMost: how many there would be
	Path      []string  // from the holder by links to the rule, each as it stands in Casbin's files
	Why       string    // one sentence
	Origin    Origin    // where the guarantee was written
	Rule      Origin    // where the rule was written that Path ends with
}

// String tells a breach in one sentence, without the guarantee's name: why, what,
// and the way from the holder to the rule.
func (b *Breach) String() string {
	text := b.Why
	if b.Action != "" {
		text += fmt.Sprintf(" (%s on %s at %s)", b.Action, b.Section, b.Scope)
	}
	if !b.From.IsZero() {
		text += " from " + b.From.UTC().Format(time.RFC3339)
	}
	if b.Holder == "" {
		return text
	}
	text += ": " + b.Holder
	for i, line := range b.Path {
		if i == len(b.Path)-1 {
			text += " <- " + line
			continue
		}
		if values := strings.Split(line, ", "); len(values) > 2 {
			text += " <- " + values[2]
		}
	}
	if at := b.Rule.String(); at != "" {
		text += " at " + at
	}
	return text
}

// guarantees checks what guarantees say about what there is.
func (c *checker) guarantees() {
	if len(c.p.Guarantees) > MaxGuarantees {
		c.add(c.p.Guarantees[MaxGuarantees].Origin, "guarantee-invalid", "there are %d guarantees; %d is the limit", len(c.p.Guarantees), MaxGuarantees)
	}
	if len(c.p.Guarantees) > 0 && c.p.Model != "" {
		c.add(c.p.Guarantees[0].Origin, "model-foreign", "guarantees are about the built-in model; this policy has a Casbin model of its own")
		return
	}
	seen := map[string]bool{}
	for i := range c.p.Guarantees {
		g := &c.p.Guarantees[i]
		if c.valid(g.Origin, ValidCode("name", g.Name)) {
			c.once(seen, g.Origin, "guarantee", g.Name)
		}
		c.guarantee(g)
	}
}

func (c *checker) guarantee(g *Guarantee) {
	bad := func(format string, args ...any) {
		c.add(g.Origin, "guarantee-invalid", "guarantee "+g.Name+": "+format, args...)
	}
	for _, who := range append(slices.Clone(g.Who), g.Except...) {
		c.guaranteeWho(g, who)
	}
	for _, r := range g.Rights {
		c.grant(Grant{Section: r.Section, Rights: r.Rights, Actions: r.Actions, Origin: r.Origin})
		if c.sections[r.Section] == nil && r.Section == c.p.root() {
			bad("the section %q is not declared, so it cannot be asked about", r.Section)
		}
		if len(r.Names()) == 0 {
			bad("a right needs at least one action")
		}
	}
	c.scopeRef(g.Origin, g.Scope)
	switch {
	case !slices.Contains(GuaranteeRules(), string(g.Rule)):
		bad("rule: %q is none of %s", g.Rule, strings.Join(GuaranteeRules(), ", "))
	case g.Rule == Separate && len(g.Rights) < 2:
		bad("separate needs two rights at least")
	case len(g.Rights) == 0:
		bad("needs a right")
	case g.Rule == AtMost && g.Most < 1:
		bad("at_most needs a number of holders, 1 or more; for none, write never")
	case g.Rule != AtMost && g.Most != 0:
		bad("only at_most takes a number of holders")
	case (g.Rule == OnlyIf) != (g.Condition != ""):
		bad("a condition is what only_if needs, and nothing else takes")
	}
}

func (c *checker) guaranteeWho(g *Guarantee, who string) {
	_, name, ok := GuaranteeWho(who)
	if !ok {
		c.add(g.Origin, "guarantee-invalid", "guarantee %s: %q is nobody: write everybody, users, applications, anonymous, superusers, "+
			"group:code, role:code, user:id or app:code", g.Name, who)
		return
	}
	if name == "" {
		return
	}
	kind, code, _ := ParseName(name)
	switch {
	case kind == KindGroup && !c.groupSet[code]:
		c.unknown(g.Origin, "group", code, keys(c.groupSet))
	case kind == KindRole && !c.roleSet[code]:
		c.unknown(g.Origin, "role", code, keys(c.roleSet))
	case kind == KindApplication && !c.apps[code]:
		c.unknown(g.Origin, "application", code, keys(c.apps))
	}
}
