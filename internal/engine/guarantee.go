package engine

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/parser"

	"github.com/bailiwick/bailiwick/internal/access"
)

// maxBreaches is how many breaches of one guarantee are told.
const maxBreaches = 10

// Breaches tells which guarantees of a tenant are not kept in a sight of it, now
// or at any later moment. Where it is known what was kept before, only whoever is
// named, as in rules, and whoever has links to them is looked at; everybody where
// something differs that bears upon all, and where holders have to be counted.
func (e *Engine) Breaches(ctx context.Context, before, after access.Sight, who []string) ([]access.Breach, error) {
	v, ok := after.(*Sight)
	if !ok {
		return nil, fmt.Errorf("look for breaches in %T: this is no sight of this engine", after)
	}
	if v.snapshot.foreign != nil || len(v.snapshot.source.Guarantees) == 0 {
		return nil, nil
	}
	was, ok := before.(*Sight)
	if !ok || was.snapshot.foreign != nil || bearsOnAll(was.snapshot, v.snapshot) ||
		!reflect.DeepEqual(was.snapshot.source.Guarantees, v.snapshot.source.Guarantees) {
		who = nil
	} else if who == nil {
		who = []string{}
	}
	g, err := newGuard(ctx, v)
	if err != nil {
		return nil, err
	}
	defer g.end()
	return g.breaches(who)
}

// Broken tells which of its own guarantees a policy does not keep, at some moment or
// at any later one. Only accounts that are delivered with it are known.
func Broken(ctx context.Context, p *access.Policy, now time.Time) ([]access.Breach, error) {
	if len(p.Guarantees) == 0 {
		return nil, nil
	}
	s, err := Compile(p.Facts())
	if err != nil {
		return nil, err
	}
	return (&Engine{}).Breaches(ctx, nil, &Sight{snapshot: s, now: now}, nil)
}

// guard looks at guarantees of one snapshot.
type guard struct {
	*side
	ctx   context.Context
	now   time.Time
	all   []*guarded
	found []access.Breach
	row   []uint32
}

// guarded is a guarantee by numbers.
type guarded struct {
	access.Guarantee
	who, except []whom
	rights      [][]int // cells by right
	proof       *proof  // of GuaranteeOnlyIf
	told        int     // breaches so far
	users       int     // who hold it, for GuaranteeAtMost
	gained      bool    // one of those who were named is among them
	met         bool    // it is about somebody
}

// whom is one word about whom a guarantee is.
type whom struct {
	word string
	name string // as in rules
	id   uint32 // of a group or role
}

func newGuard(ctx context.Context, v *Sight) (*guard, error) {
	c, f := cellsOf(v.snapshot), newFormulas()
	g := &guard{ctx: ctx, now: v.now, side: &side{sight: v, matrix: newMatrix(v.snapshot, 0, c, f), seen: map[uint32]*survey{}}}
	g.row = make([]uint32, c.n)
	for i := range v.snapshot.source.Guarantees {
		one := &guarded{Guarantee: v.snapshot.source.Guarantees[i]}
		one.who, one.except = g.whoms(one.Who), g.whoms(one.Except)
		for _, r := range one.Rights {
			one.rights = append(one.rights, c.of(r))
		}
		if one.Rule == access.OnlyIf {
			p, err := newProof(one.Condition)
			if err != nil {
				return nil, err
			}
			one.proof = p
		}
		g.all = append(g.all, one)
	}
	return g, nil
}

func (g *guard) whoms(words []string) []whom {
	var all []whom
	for _, w := range words {
		word, name, _ := access.GuaranteeWho(w)
		all = append(all, whom{word: word, name: name, id: g.names.id(name)})
	}
	return all
}

// of gives the cells of a guarded right.
func (c *cells) of(r access.GuardedRight) []int {
	var all []int
	for i := range c.sections {
		if c.sections[i].name != r.Section {
			continue
		}
		for j, v := range c.sections[i].verbs {
			if slices.Contains(r.Names(), v.action) {
				all = append(all, c.sections[i].first+j)
			}
		}
	}
	return all
}

func (g *guard) breaches(who []string) ([]access.Breach, error) {
	if err := g.visit(who); err != nil {
		return nil, err
	}
	counting := slices.ContainsFunc(g.all, func(o *guarded) bool { return o.Rule == access.AtMost && o.gained })
	if counting && who != nil {
		g.all = slices.DeleteFunc(g.all, func(o *guarded) bool { return o.Rule != access.AtMost || !o.gained })
		for _, o := range g.all {
			o.users = 0
		}
		if err := g.visit(nil); err != nil {
			return nil, err
		}
	}
	for _, o := range g.all {
		if o.Rule == access.AtMost && o.users > o.Most {
			g.found = append(g.found, access.Breach{
				Guarantee: o.Name, Origin: o.Origin, Section: o.Rights[0].Section, Scope: o.where(), Count: o.users,
				Why: fmt.Sprintf("%d users would hold it, and %d may", o.users, o.Most),
			})
		}
	}
	return g.found, nil
}

// visit looks at everybody, or at some.
func (g *guard) visit(who []string) error {
	c := &comparison{ctx: g.ctx, sides: [2]*side{g.side, g.side}, now: g.now, classes: map[string]*class{}}
	o := access.ConsequenceOptions{Who: who, Some: who != nil}
	if g.marked = nil; who != nil {
		g.mark(who)
	}
	seen := map[string]bool{} // by signature: what has no breach has none for anybody
	for name, pair := range c.everybody(o) {
		if pair.err != nil {
			return pair.err
		}
		if err := waiting(g.ctx); err != nil {
			return err
		}
		p := person{subject: pair.of[1], awake: true}
		if !g.wants(p.subject) || p.account == nil || p.account.status == access.UserDeleted {
			continue
		}
		key := string(p.signature(nil)) + "\x00" + string(p.account.status) + g.named(name)
		if clean, known := seen[key]; known && clean {
			continue
		}
		before, counted := len(g.found), g.counted()
		if err := g.look(name, p); err != nil {
			return err
		}
		seen[key] = before == len(g.found) && counted == g.counted()
	}
	return nil
}

// counted adds up what is counted so far.
func (g *guard) counted() int {
	n := 0
	for _, o := range g.all {
		n += o.users
	}
	return n
}

// named tells those apart whom guarantees name, and kinds of subjects.
func (g *guard) named(name string) string {
	for _, o := range g.all {
		for _, w := range slices.Concat(o.who, o.except) {
			if w.name == name {
				return name
			}
		}
	}
	if name == access.Anonymous.Rule() {
		return name
	}
	return name[:1]
}

// look holds one subject against all guarantees.
func (g *guard) look(name string, p person) error {
	scopes, moments := map[access.Scope]bool{access.Everywhere: true}, map[time.Time]bool{g.now: true}
	g.survey(p, g.now, scopes, moments)
	for _, o := range g.all {
		scopes[o.where()] = true
	}
	when := make([]time.Time, 0, len(moments))
	for t := range moments {
		when = append(when, t)
	}
	slices.SortFunc(when, time.Time.Compare)
	broken := make([]bool, len(g.all))
	for scope := range sorted(scopes) {
		if !g.knows(scope) {
			continue
		}
		for _, t := range when {
			g.fill(p, g.scopes.id(scope), t, g.row)
			for i, o := range g.all {
				if broken[i] || !g.about(o, name, p) || !g.lies(scope, o.where()) {
					continue
				}
				o.met = true
				b, bad := g.check(o)
				if !bad {
					continue
				}
				broken[i] = true
				if o.Rule == access.AtMost {
					o.users, o.gained = o.users+1, true
					continue
				}
				if o.told++; o.told > maxBreaches {
					continue
				}
				b.Guarantee, b.Origin, b.Holder, b.Scope = o.Name, o.Origin, name, scope
				if t.After(g.now) {
					b.From = t
				}
				if err := g.way(o, &b); err != nil {
					return err
				}
				g.found = append(g.found, b)
			}
		}
	}
	return nil
}

func sorted(scopes map[access.Scope]bool) func(func(access.Scope) bool) {
	all := make([]access.Scope, 0, len(scopes))
	for s := range scopes {
		all = append(all, s)
	}
	slices.Sort(all)
	return slices.Values(all)
}

func (o *guarded) where() access.Scope {
	if o.Scope == "" {
		return access.Everywhere
	}
	return o.Scope
}

// lies tells whether a scope is another one or below it.
func (g *guard) lies(scope, wide access.Scope) bool {
	return access.LiesIn(scope, wide, func(s access.Scope) access.Scope { return g.parents[s] })
}

// about tells whether a guarantee is about the subject whose matrix was just
// made, in that scope at that moment.
func (g *guard) about(o *guarded, name string, p person) bool {
	if o.Rule == access.Always && p.account.status != access.UserActive {
		return false
	}
	if o.Rule == access.AtMost && (name[0] != byte(access.KindUser) || name == access.Anonymous.Rule()) {
		return false
	}
	in := len(o.who) == 0 || slices.ContainsFunc(o.who, func(w whom) bool { return g.meets(w, name) })
	return in && !slices.ContainsFunc(o.except, func(w whom) bool { return g.meets(w, name) })
}

func (g *guard) meets(w whom, name string) bool {
	user := name[0] == byte(access.KindUser) && name != access.Anonymous.Rule()
	switch w.word {
	case access.GuaranteeEverybody:
		return true
	case access.GuaranteeUsers:
		return user
	case access.GuaranteeApplications:
		return name[0] == byte(access.KindApplication)
	case access.GuaranteeAnonymous:
		return name == access.Anonymous.Rule()
	case access.GuaranteeSuperusers:
		return g.super
	}
	return w.name == name || w.id != 0 && slices.ContainsFunc(g.nodes, func(n node) bool { return n.name == w.id })
}

// check looks at the matrix that was just made.
func (g *guard) check(o *guarded) (access.Breach, bool) {
	switch o.Rule {
	case access.Never, access.AtMost:
		for _, cell := range slices.Concat(o.rights...) {
			if g.row[cell] != never {
				return g.breach(cell, "this right may never be held"), true
			}
		}
	case access.Always:
		for _, cell := range slices.Concat(o.rights...) {
			switch g.row[cell] {
			case always:
			case never:
				return g.breach(cell, "this right must always be held, and is not"), true
			default:
				return g.breach(cell, "this right must always be held, and hangs upon a condition"), true
			}
		}
	case access.Separate:
		return g.separate(o)
	case access.OnlyIf:
		for _, cell := range slices.Concat(o.rights...) {
			if g.row[cell] != never && !o.proof.holds(g.forms, g.row[cell], g.frame) {
				return g.breach(cell, "this right may only be held under the condition "+o.Condition+", which nothing makes sure of"), true
			}
		}
	}
	return access.Breach{}, false
}

func (g *guard) separate(o *guarded) (access.Breach, bool) {
	first := -1
	for _, right := range o.rights {
		i := slices.IndexFunc(right, func(cell int) bool { return g.row[cell] != never })
		switch {
		case i < 0:
		case first < 0:
			first = right[i]
		default:
			section, verb := g.cells.at(first)
			return g.breach(right[i], fmt.Sprintf("this right may not be held by whoever holds %q on %s", verb.action, section.name)), true
		}
	}
	return access.Breach{}, false
}

func (g *guard) breach(cell int, why string) access.Breach {
	section, verb := g.cells.at(cell)
	return access.Breach{Section: section.name, Action: verb.action, Why: why}
}

// way finds by which links and which rule a holder comes to a right, or which
// one keeps it from him. A rule that has the condition that is demanded breaks
// nothing.
func (g *guard) way(o *guarded, b *access.Breach) error {
	at := g.sight
	if !b.From.IsZero() {
		later := *g.sight
		later.now = b.From
		at = &later
	}
	all, err := at.Reached(g.ctx, b.Holder, access.Now)
	if err != nil {
		return err
	}
	deciding := access.Allow
	if strings.HasSuffix(b.Why, "and is not") {
		deciding = access.Deny
	}
	for _, r := range all {
		h := r.Holding
		if h.Effect != deciding || !h.Act.On(b.Action) || !g.lies(b.Scope, h.Scope) {
			continue
		}
		if above := h.Section == allSections || h.Section.Above(b.Section); h.Section != b.Section && (!above || !h.Act.Inherits()) {
			continue
		}
		if o.proof != nil && h.Condition != access.NoCondition && o.proof.about(h.Condition, g.frame)[0] {
			continue
		}
		for _, l := range r.Path {
			b.Path = append(b.Path, l.String())
		}
		b.Path, b.Rule = append(b.Path, r.Rule.String()), r.Rule.Origin
		return nil
	}
	return nil
}

// proof shows that a right is held under a condition only.
type proof struct {
	demanded, opposite string // as written out once parsed
	reads              bool   // what differs between a question and its prerequisites
	known              map[string][2]bool
}

func newProof(text string) (*proof, error) {
	c, err := CompileCondition(text)
	if err != nil {
		return nil, err
	}
	tree, err := parsed(text)
	if err != nil {
		return nil, err
	}
	p := &proof{reads: c.readsQuestion, known: map[string][2]bool{}}
	p.demanded = written(tree, tree.NativeRep().Expr())
	p.opposite = opposite(p.demanded, tree)
	return p, nil
}

func parsed(text string) (*cel.Ast, error) {
	env, err := conditionEnv()
	if err != nil {
		return nil, err
	}
	tree, issues := env.Parse(text)
	return tree, issues.Err()
}

func written(tree *cel.Ast, e ast.Expr) string {
	text, err := parser.Unparse(e, tree.NativeRep().SourceInfo())
	if err != nil {
		return ""
	}
	return text
}

// opposite writes the text that holds exactly where another one does not.
func opposite(text string, tree *cel.Ast) string {
	e := tree.NativeRep().Expr()
	if e.Kind() != ast.CallKind {
		return "!" + text
	}
	args := e.AsCall().Args()
	switch e.AsCall().FunctionName() {
	case operators.LogicalNot:
		return written(tree, args[0])
	case operators.Equals:
		return written(tree, args[0]) + " != " + written(tree, args[1])
	case operators.NotEquals:
		return written(tree, args[0]) + " == " + written(tree, args[1])
	}
	return "!(" + text + ")"
}

// parts lists what an operator joins.
func parts(e ast.Expr, operator string) []ast.Expr {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operator {
		return []ast.Expr{e}
	}
	var all []ast.Expr
	for _, a := range e.AsCall().Args() {
		all = append(all, parts(a, operator)...)
	}
	return all
}

// holds tells whether a formula cannot hold without the condition: of one list
// all conditions demand it, or one that may not hold has its opposite.
func (p *proof) holds(f *formulas, id uint32, in *frame) bool {
	of := &f.all[id]
	for _, list := range of.when {
		if !slices.ContainsFunc(list, func(a uint32) bool { return !p.about(f.atoms[a], in)[0] }) {
			return true
		}
	}
	return slices.ContainsFunc(of.unless, func(a uint32) bool { return p.about(f.atoms[a], in)[1] })
}

// about tells of the condition of an atom whether it demands ours, and whether
// ours is demanded where it does not hold.
func (p *proof) about(atom string, in *frame) [2]bool {
	if known, ok := p.known[atom]; ok {
		return known
	}
	id, elsewhere, _ := strings.Cut(atom, "@")
	var says [2]bool
	if c := in.conditions[id]; c != nil && (elsewhere == "" || !p.reads) {
		if tree, err := parsed(c.text); err == nil {
			e := tree.NativeRep().Expr()
			is := func(text string) func(ast.Expr) bool {
				return func(e ast.Expr) bool { return written(tree, e) == text }
			}
			says[0] = slices.ContainsFunc(parts(e, operators.LogicalAnd), is(p.demanded))
			says[1] = slices.ContainsFunc(parts(e, operators.LogicalOr), is(p.opposite))
		}
	}
	p.known[atom] = says
	return says
}
