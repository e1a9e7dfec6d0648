package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Lint finds what a policy says in vain or against itself, by looking at what it
// would decide: everything is a warning. The policy must have passed its checks;
// one with a Casbin model of its own is not looked at. Only accounts that are
// delivered with the policy are known.
func Lint(ctx context.Context, p *access.Policy, now time.Time) (access.Problems, error) {
	if p.Model != "" {
		return nil, nil
	}
	s, err := Compile(p.Facts())
	if err != nil {
		return nil, err
	}
	l := &linter{policy: p, sight: &Sight{snapshot: s, now: now}, now: now, section: map[access.Section]*access.SectionEntry{}, said: map[string]bool{}}
	for i := range l.sight.Frame().Catalogue {
		a := &l.sight.Frame().Catalogue[i]
		for j := range a.Sections {
			l.section[a.Sections[j].Path] = &a.Sections[j]
		}
	}
	for _, h := range l.holders() {
		if err := l.holder(ctx, h); err != nil {
			return nil, err
		}
	}
	l.conditions()
	l.menus()
	l.prerequisites()
	return l.problems, l.guarantees(ctx)
}

// linter looks at each holder of rights by itself, and at the whole at the end.
type linter struct {
	policy   *access.Policy
	sight    *Sight
	now      time.Time
	section  map[access.Section]*access.SectionEntry
	said     map[string]bool // problems that were noted already
	problems access.Problems

	allowed    []access.Holding // what anybody at all may do
	superusers bool             // somebody may do everything
	met        map[string]bool  // prerequisites that somebody meets, see prerequisiteKey
	unmet      map[string]bool  // and those that somebody lacks
}

// warn notes a problem once: several holders may have the same.
func (l *linter) warn(at access.Origin, code, hint, format string, args ...any) {
	p := access.Problem{Origin: at, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint, Warning: true}
	if key := p.String(); !l.said[key] {
		l.said[key] = true
		l.problems = append(l.problems, p)
	}
}

// lintHolder is somebody or something that holds rights.
type lintHolder struct {
	name    string // as in rules
	whole   bool   // a user, an application or a group that people are in: what reaches it is all that counts
	account *access.User
}

func (l *linter) holders() []lintHolder {
	var all []lintHolder
	for _, a := range l.policy.Catalogue {
		all = append(all, lintHolder{name: access.Name(access.KindApplication, a.Code), whole: true})
	}
	for _, r := range l.policy.Roles {
		all = append(all, lintHolder{name: access.Name(access.KindRole, r.Code)})
	}
	for _, g := range l.policy.Groups {
		all = append(all, lintHolder{name: access.Name(access.KindGroup, g.Code), whole: g.Kind != access.GroupTemplate})
	}
	for i := range l.policy.Users {
		u := &l.policy.Users[i]
		all = append(all, lintHolder{name: access.Name(access.KindUser, u.ID), whole: true, account: u})
	}
	return all
}

func (l *linter) holder(ctx context.Context, h lintHolder) error {
	reached, err := l.sight.Reached(ctx, h.name, access.Ever)
	if err != nil {
		return err
	}
	everything := func(r access.Reached) bool { return r.Rule.Values[0] == access.SuperuserRole }
	l.superusers = l.superusers || h.whole && slices.ContainsFunc(reached, everything)
	reached = slices.DeleteFunc(reached, everything)
	held := access.Holdings{}
	for _, r := range reached {
		if effectOf(r) != access.Deny || l.winner() == access.Deny {
			held.Rules = append(held.Rules, r.Holding)
		}
	}
	l.ownRules(h, reached)
	l.deprecated(reached)
	if !h.whole {
		return nil
	}
	l.allowed = append(l.allowed, held.Rules...)
	l.prerequisitesOf(h, reached, held)
	if h.account != nil {
		l.conflicts(h, reached)
		l.chosenMenu(h.account, held)
	}
	return nil
}

// ownRules looks for rules of a holder that change nothing for him.
func (l *linter) ownRules(h lintHolder, reached []access.Reached) {
	for i, own := range reached {
		if len(own.Path) > 0 {
			continue
		}
		for j, other := range reached {
			if i != j && l.inVain(own, other, i, j) {
				l.inVainBecause(h, own, other)
				break
			}
		}
	}
}

// inVain tells whether a rule decides nothing because of another one that
// reaches the same holder: one that says the same and more, or one that beats it.
// Of two that say the same, the later one does.
func (l *linter) inVain(own, other access.Reached, i, j int) bool {
	same := effectOf(own) == effectOf(other)
	if !same && effectOf(other) != l.winner() {
		return false
	}
	if !l.spans(other, own) {
		return false
	}
	return !same || !l.spans(own, other) || j < i || len(other.Path) > 0
}

// spans tells whether one rule reaches wherever and whenever the other does,
// whatever either says there.
func (l *linter) spans(wide, narrow access.Reached) bool {
	if !access.Within(wide.Rule.Validity, narrow.Rule.Validity) || slices.ContainsFunc(wide.Path, limited) {
		return false
	}
	w, n := wide.Holding, narrow.Holding
	w.Effect, n.Effect = access.Allow, access.Allow
	_, covered := access.Holdings{Rules: []access.Holding{w}}.Covers(access.Holdings{Rules: []access.Holding{n}}, l.sight.Above)
	return covered
}

func limited(link access.Rule) bool { return link.Validity != access.Validity{} }

func (l *linter) winner() access.Effect {
	if l.sight.Frame().Combining == access.AllowOverrides {
		return access.Allow
	}
	return access.Deny
}

func effectOf(r access.Reached) access.Effect { return r.Holding.Effect }

func (l *linter) inVainBecause(h lintHolder, own, other access.Reached) {
	if effectOf(own) == effectOf(other) {
		l.warn(own.Rule.Origin, "grant-shadowed", "take it away, or narrow the other one",
			"what this grants on %q to %s is given by %s already", own.Holding.Section, h.name, wayOf(other))
		return
	}
	l.warn(own.Rule.Origin, "grant-unreachable", "take one of them away, or narrow it",
		"this %s on %q never counts for %s: %s beats it", effectOf(own), own.Holding.Section, h.name, wayOf(other))
}

// wayOf names a rule that reaches somebody: where it stands and by whom it comes.
func wayOf(r access.Reached) string {
	text := fmt.Sprintf("%q", r.Rule.String())
	if place := r.Rule.Origin.String(); place != "" {
		text += " at " + place
	}
	var by []string
	for _, link := range r.Path {
		by = append(by, link.Values[1])
	}
	if len(by) > 0 {
		text += " by way of " + strings.Join(by, " -> ")
	}
	return text
}

func (l *linter) deprecated(reached []access.Reached) {
	for _, r := range reached {
		if e := l.section[r.Holding.Section]; e != nil && e.Deprecated != "" && len(r.Path) == 0 {
			l.warn(r.Rule.Origin, "section-deprecated", e.Deprecated, "the section %q is deprecated", e.Path)
		}
	}
}

// conflicts are rights that one group of a user gives and another one takes.
func (l *linter) conflicts(h lintHolder, reached []access.Reached) {
	for _, allow := range reached {
		for _, deny := range reached {
			if effectOf(allow) == access.Deny || effectOf(deny) != access.Deny || !fromDifferentGroups(allow, deny) {
				continue
			}
			if allow.Holding.Section != deny.Holding.Section || allow.Holding.Act.Rights&deny.Holding.Act.Rights&^access.Inherit == 0 ||
				!access.LiesIn(allow.Holding.Scope, deny.Holding.Scope, l.sight.Above) && !access.LiesIn(deny.Holding.Scope, allow.Holding.Scope, l.sight.Above) {
				continue
			}
			wins := "the prohibition"
			if l.winner() == access.Allow {
				wins = "the permission"
			}
			l.warn(h.account.Origin, "rights-conflict", wins+" wins", "%s is allowed %q by %s and denied it by %s",
				h.name, allow.Holding.Section, wayOf(allow), wayOf(deny))
		}
	}
}

func fromDifferentGroups(a, b access.Reached) bool {
	return len(a.Path) > 0 && len(b.Path) > 0 && a.Path[0].Values[1] != b.Path[0].Values[1]
}

// chosenMenu: a choice of sections that may not be shown stays empty.
func (l *linter) chosenMenu(u *access.User, held access.Holdings) {
	for _, s := range u.Menu {
		if !showing(held.Rules, s) {
			l.warn(u.Origin, "menu-without-right", "grant it, or take it out of the menu", "the menu of user %q names %q, which he may not be shown", u.ID, s)
		}
	}
}

// showing tells whether some rule lets a section be seen.
func showing(rules []access.Holding, s access.Section) bool {
	return slices.ContainsFunc(rules, func(r access.Holding) bool {
		return r.Effect != access.Deny && (r.Act.All || r.Act.Rights&access.Show != 0) &&
			(r.Section == s || r.Act.Inherits() && r.Section.Above(s))
	})
}

// menus compares the menu with what anybody may be shown.
func (l *linter) menus() {
	for _, a := range l.policy.Catalogue {
		entries := false
		for _, s := range a.Sections {
			entries = entries || s.Menu != nil
		}
		for _, s := range a.Sections {
			shown := showing(l.allowed, s.Path)
			switch {
			case s.Menu != nil && !shown && !l.superusers:
				l.warn(s.Origin, "menu-without-right", "grant show on it to somebody, or leave it out of the menu", "the menu has an entry for %q, which nobody here may be shown", s.Path)
			case entries && shown && !s.Field && !inMenu(a.Sections, s.Path):
				l.warn(s.Origin, "right-without-menu", "give it a menu entry, or one to a section above it", "%q may be shown, and no entry of the menu leads to it", s.Path)
			}
		}
	}
}

// inMenu tells whether a section, one above or one below it has a menu entry.
func inMenu(sections []access.SectionEntry, s access.Section) bool {
	return slices.ContainsFunc(sections, func(e access.SectionEntry) bool {
		return e.Menu != nil && (e.Path == s || e.Path.Above(s) || s.Above(e.Path))
	})
}

// prerequisitesOf notes which prerequisites of his rights a holder meets.
func (l *linter) prerequisitesOf(h lintHolder, reached []access.Reached, held access.Holdings) {
	if l.met == nil {
		l.met, l.unmet = map[string]bool{}, map[string]bool{}
	}
	for _, r := range reached {
		e := l.section[r.Holding.Section]
		if e == nil || effectOf(r) == access.Deny {
			continue
		}
		for _, q := range e.Prerequisites {
			want := access.Holding{Scope: r.Holding.Scope, Section: q.Section, Act: access.RuleAct{Rights: q.Rights}, Effect: access.Allow, Condition: r.Holding.Condition}
			if _, ok := held.Covers(access.Holdings{Rules: []access.Holding{want}}, l.sight.Above); ok {
				l.met[prerequisiteKey(e, q)] = true
				continue
			}
			l.unmet[prerequisiteKey(e, q)] = true
			l.warn(r.Rule.Origin, "prerequisite-unmet", fmt.Sprintf("grant %s on %s at %s too", rightNames(q), q.Section, r.Holding.Scope),
				"%s has rights on %q, which needs %s on %q, and lacks that", h.name, e.Path, rightNames(q), q.Section)
		}
	}
}

func rightNames(q access.Prerequisite) string { return strings.Join(q.Rights.Names(), "+") }

func prerequisiteKey(e *access.SectionEntry, q access.Prerequisite) string {
	return string(e.Path) + "\n" + string(q.Section)
}

// prerequisites that everybody lacks close a section for all.
func (l *linter) prerequisites() {
	for _, path := range slices.Sorted(maps.Keys(l.section)) {
		e := l.section[path]
		for _, q := range e.Prerequisites {
			if key := prerequisiteKey(e, q); l.unmet[key] && !l.met[key] {
				l.warn(e.Origin, "prerequisite-impossible", "grant it to somebody, or take it out", "%q needs %s on %q, which nobody who has rights on it holds", e.Path, rightNames(q), q.Section)
			}
		}
	}
}

// guarantees about groups and roles in which nobody is are kept whatever these may
// do. Where no account is delivered, all of them wait for accounts.
func (l *linter) guarantees(ctx context.Context) error {
	if len(l.policy.Users) == 0 || len(l.policy.Guarantees) == 0 {
		return nil
	}
	g, err := newGuard(ctx, l.sight)
	if err != nil {
		return err
	}
	defer g.end()
	if err := g.visit(nil); err != nil {
		return err
	}
	for _, o := range g.all {
		if !o.met && len(o.who) > 0 && !slices.ContainsFunc(o.who, byItself) {
			l.warn(o.Origin, "guarantee-idle", "put somebody in, or see that accounts of elsewhere are", "the guarantee %q shows nothing: nobody here is in %s",
				o.Name, strings.Join(o.Who, " or "))
		}
	}
	return nil
}

// byItself tells whether a word is about others than members of a group or role.
func byItself(w whom) bool {
	kind, _, _ := access.ParseName(w.name)
	return kind != access.KindGroup && kind != access.KindRole
}

// conditions that do not depend on the question, and grants that are over.
func (l *linter) conditions() {
	for name, grants := range l.policy.EachGrants() {
		for _, g := range grants {
			if !g.Validity.Until.IsZero() && !l.now.Before(g.Validity.Until) {
				l.warn(g.Origin, "grant-over", "take it away", "the grant on %q of %s ended at %s", g.Section, name, g.Validity.Until.Format(time.RFC3339))
			}
			if g.Condition == "" {
				continue
			}
			if value, constant := constantCondition(g.Condition); constant {
				l.warn(g.Origin, "condition-constant", "", "the condition %q is always %t", g.Condition, value)
			}
		}
	}
}

// constantCondition folds what does not depend on the question (CEL's own
// constant folding).
func constantCondition(text string) (value, constant bool) {
	env, err := conditionEnv()
	if err != nil {
		return false, false
	}
	tree, issues := env.Compile(text)
	if issues.Err() != nil {
		return false, false
	}
	folding, err := cel.NewConstantFoldingOptimizer()
	if err != nil {
		return false, false
	}
	optimizer, err := cel.NewStaticOptimizer(folding)
	if err != nil {
		return false, false
	}
	folded, issues := optimizer.Optimize(env, tree)
	if issues.Err() != nil || folded.NativeRep().Expr().Kind() != ast.LiteralKind {
		return false, false
	}
	b, ok := folded.NativeRep().Expr().AsLiteral().(types.Bool)
	return bool(b), ok
}
