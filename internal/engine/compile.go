package engine

import (
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Compile turns the facts of a tenant into a snapshot. What is wrong with rules,
// conditions and model comes as access.Problems, all at once, each with the
// place where it was written. The facts must not be changed any more; their rules
// are not kept.
func Compile(f access.Facts) (*Snapshot, error) { return compile(f, Options{}, newMemory(0)) }

func compile(f access.Facts, o Options, m *memory) (*Snapshot, error) {
	s := &Snapshot{
		tenant: f.Tenant, revision: f.Revision, epoch: f.Epoch, policy: f.Policy, fetched: f.Fetched, options: o,
		life: &life{number: lives.Add(1), memory: m}, shape: shapes.Add(1),
	}
	if !f.Ours() {
		return s.compileForeign(f)
	}
	s.names, s.actions = newRegister[string](), newRegister[string]()
	s.sections, s.scopes = newRegister[access.Section](), newRegister[access.Scope]()
	s.scopes.add(access.Everywhere)
	s.sections.add(allSections)
	b := &binder{s: s, holders: pages[holder]{}.draft()}
	b.frame(f)
	b.groups()
	b.readLines(&f)
	b.catalogue()
	if err := b.problems.Err(); err != nil {
		return nil, err
	}
	b.seal()
	s.stripes = stripesOf(f.Stripes)
	s.graph = newGraph(s.holders, s.sections.len())
	return s, nil
}

// seal ends the changing of what snapshots share.
func (b *binder) seal() {
	b.s.holders = b.holders.pages
	b.s.names.freeze()
	b.s.sections.freeze()
	b.s.scopes.freeze()
	b.s.actions.freeze()
}

func stripesOf(revisions map[access.Stripe]access.Revision) pages[stripe] {
	d := pages[stripe]{}.draft()
	for at, revision := range revisions {
		d.edit(uint32(at)).revision = revision
	}
	return d.pages
}

// owners numbers those whose lines are read: holders by their own numbers,
// subjects by others behind a mark.
type owners struct {
	subjects []*subject
	byName   map[string]uint32
}

const personalMark = 1 << 31

func (o *owners) number(name string) uint32 {
	id, ok := o.byName[name]
	if !ok {
		id, name = number(len(o.subjects)), strings.Clone(name)
		o.byName[name] = id
		o.subjects = append(o.subjects, &subject{name: name})
	}
	return id | personalMark
}

// readLines reads users and rules of a whole policy: each name's lines together,
// those of holders in lists that they share.
func (b *binder) readLines(f *access.Facts) {
	all := &owners{byName: make(map[string]uint32, len(f.Users)+len(f.Catalogue))}
	b.accounts(all, f)
	of := make([]uint32, len(f.Rules)) // by rule: the number of whose it is
	for i := range f.Rules {
		of[i] = b.ownerOf(all, &f.Rules[i])
	}
	b.s.placed = b.places(f.Rules)
	shared, own := roomFor(f.Rules, of), &room{}
	var lines loose
	for name, run := range byOwner(of, b.holders.n, number(len(all.subjects))) {
		lines.reset()
		b.s.lines += len(run)
		for _, i := range run {
			b.line(&lines, &f.Rules[i], b.place(&f.Rules[i], int(i)))
		}
		if name&personalMark == 0 {
			b.holders.edit(name).held = lines.pack(shared)
			continue
		}
		// Tables remember subjects: theirs must not keep alive what all share.
		all.subjects[name&^personalMark].hold(lines.pack(own))
	}
	b.people(all)
}

// accounts makes the subjects that exist, whatever lines there are.
func (b *binder) accounts(all *owners, f *access.Facts) {
	put := func(s access.Subject, a *account) {
		all.subjects[all.number(s.Rule())&^personalMark].account = a
	}
	put(access.Anonymous, plainGear)
	for i := range f.Catalogue {
		put(access.Subject{Kind: access.KindApplication, ID: f.Catalogue[i].Code}, plainGear)
	}
	if f.Fetched {
		return
	}
	for i := range f.Users {
		put(access.Subject{Kind: access.KindUser, ID: f.Users[i].ID}, newAccount(&f.Users[i]))
	}
}

// nobodys is the number of lines that nobody gets: bad ones, and those of users
// where users are fetched.
const nobodys = 0

// ownerOf numbers the owner of a line, and a group or role that it leads to.
func (b *binder) ownerOf(all *owners, r *access.Rule) uint32 {
	who, ok := b.owner(r)
	if !ok {
		return nobodys
	}
	if r.Type == "g" {
		if kind, id, ok := access.ParseName(r.Values[1]); ok && (kind == access.KindGroup || kind == access.KindRole) {
			b.holder(r.Values[1], access.Subject{Kind: kind, ID: id})
		}
	}
	switch {
	case !personal(who):
		return b.holder(r.Values[0], who)
	case b.elsewhere(who):
		return nobodys
	}
	return all.number(r.Values[0])
}

// elsewhere tells whether lines of this subject are asked for where needed.
func (b *binder) elsewhere(who access.Subject) bool {
	return b.s.fetched && who.Kind == access.KindUser && who != access.Anonymous
}

// places tells whether the rules came with places, and refuses those that are
// not in the order of the rules.
func (b *binder) places(rules []access.Rule) bool {
	placed := len(rules) == 0 || rules[0].Place != 0
	last := int64(0)
	for i := range rules {
		if at := rules[i].Place; placed && at <= last || !placed && at != 0 {
			b.problem(rules[i].Origin, "rule-place", "%q stands at place %d behind one at place %d", rules[i].String(), at, last)
			break
		}
		last = rules[i].Place
	}
	return placed
}

func (b *binder) place(r *access.Rule, i int) int64 {
	if b.s.placed {
		return r.Place
	}
	return int64(i) + 1
}

// byOwner goes through the owners of rules, giving each the numbers of its
// rules in their order: first the holders, then the subjects.
func byOwner(of []uint32, holders, subjects uint32) func(func(uint32, []uint32) bool) {
	slot := func(owner uint32) uint32 {
		if owner&personalMark != 0 {
			return holders + owner&^personalMark
		}
		return owner
	}
	at, rules := make([]uint32, len(of)), make([]uint32, len(of))
	for i, owner := range of {
		at[i], rules[i] = slot(owner), number(i)
	}
	grouped := newRuns(holders+subjects, at, rules)
	return func(yield func(uint32, []uint32) bool) {
		for i := uint32(1); i < holders+subjects; i++ {
			owner := i
			if i >= holders {
				owner = i - holders | personalMark
			}
			if run := grouped.of(i); len(run) > 0 && !yield(owner, run) {
				return
			}
		}
	}
}

// roomFor makes room for the rules of all holders.
func roomFor(rules []access.Rule, of []uint32) *room {
	links, n := 0, 0
	for i := range rules {
		switch {
		case of[i] == nobodys || of[i]&personalMark != 0:
		case rules[i].Type == "g":
			links++
		default:
			n++
		}
	}
	return &room{links: make([]link, links), rules: make([]rule, n), places: make([]int64, n), many: true}
}

// people puts the subjects in order.
func (b *binder) people(all *owners) {
	b.s.anonymous = all.subjects[0]
	b.s.subjects = newCrowd(all.subjects[1:])
}
