package engine

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/bailiwick/bailiwick/internal/access"
)

// subject is whom questions can be about: a user, an application or anonymous.
// It is the same record whether it came with the policy or was fetched.
type subject struct {
	name    string   // as in rules: "u:42"
	account *account // nil: there is no such account, only rules name it
	links   []link
	own     *own // nil for those who hold nothing but links
}

// own is what few subjects have: rules, and links of which something is to be said.
type own struct {
	rules []rule
	rest  *rest
}

// held gives the lines of a subject as those of any name are kept.
func (p *subject) held() held {
	if p.own == nil {
		return held{links: p.links}
	}
	return held{links: p.links, rules: p.own.rules, rest: p.own.rest}
}

// hold replaces the lines of a subject.
func (p *subject) hold(h held) {
	if p.links, p.own = h.links, nil; h.rest != nil {
		p.own = &own{rules: h.rules, rest: h.rest}
	}
}

// account is what gates and conditions need to know of a subject. Most users
// share one.
type account struct {
	status     access.UserStatus
	person     bool // a user, who must hold a seat of what is licensed
	licences   []string
	off        []string // applications switched off
	attributes map[string]any
}

var (
	plainUser = &account{status: access.UserActive, person: true}
	plainGear = &account{status: access.UserActive} // of applications and anonymous
)

func newAccount(u *access.UserFacts) *account {
	active := u.Status == access.UserActive || u.Status == ""
	if active && len(u.Licences)+len(u.ApplicationsOff)+len(u.Attributes) == 0 {
		return plainUser
	}
	a := &account{status: u.Status, person: true, licences: u.Licences, off: u.ApplicationsOff, attributes: u.Attributes}
	if active {
		a.status = access.UserActive
	}
	return a
}

// subject gives the subject's name outside of rules.
func (p *subject) subject() access.Subject {
	return access.Subject{Kind: access.Kind(p.name[0]), ID: p.name[2:]}
}

// crowd is all subjects but anonymous, by name. It is kept in leaves, so that a
// change copies the leaf it touches, and that they can be listed in order.
type crowd struct {
	leaves [][]*subject // each sorted, none empty
	n      int
}

// leafSize is how many subjects a new leaf has; one that grows to twice as many
// is split.
const leafSize = 128

// newCrowd puts subjects in order.
func newCrowd(all []*subject) crowd {
	slices.SortFunc(all, func(a, b *subject) int { return cmp.Compare(a.name, b.name) })
	c := crowd{n: len(all)}
	for leaf := range slices.Chunk(all, leafSize) {
		c.leaves = append(c.leaves, slices.Clip(leaf))
	}
	return c
}

// find gives the subject of that name, or nil.
func (c *crowd) find(s access.Subject) *subject {
	leaf, i, found := c.locate(s)
	if !found {
		return nil
	}
	return c.leaves[leaf][i]
}

// locate gives the place of a subject, or where it would stand.
func (c *crowd) locate(s access.Subject) (leaf, i int, found bool) {
	leaf = sort.Search(len(c.leaves), func(i int) bool { return c.leaves[i][0].compare(s) > 0 }) - 1
	if leaf < 0 {
		return 0, 0, false
	}
	i, found = slices.BinarySearchFunc(c.leaves[leaf], s, func(p *subject, s access.Subject) int { return p.compare(s) })
	return leaf, i, found
}

func (p *subject) compare(s access.Subject) int {
	if c := cmp.Compare(p.name[0], byte(s.Kind)); c != 0 {
		return c
	}
	return strings.Compare(p.name[2:], s.ID)
}

// behind lists those who come after a subject, in the order of searches.
func (c *crowd) behind(after access.Subject, each func(*subject) bool) {
	leaf, i, found := 0, 0, false
	if after.Type() != "" && after != access.Anonymous {
		leaf, i, found = c.locate(after)
	}
	if found {
		i++
	}
	for ; leaf < len(c.leaves); leaf, i = leaf+1, 0 {
		for _, p := range c.leaves[leaf][i:] {
			if !each(p) {
				return
			}
		}
	}
}

// crowding is a crowd while it is being changed.
type crowding struct {
	crowd
	own map[*subject]bool // first subjects of leaves that are copies already
}

func (c crowd) draft() *crowding {
	return &crowding{crowd: crowd{leaves: slices.Clone(c.leaves), n: c.n}, own: map[*subject]bool{}}
}

// put replaces or adds a subject, or takes it out where nothing is left of it.
func (c *crowding) put(p *subject) {
	leaf, i, found := c.locate(p.subject())
	if p.void() && !found {
		return
	}
	if len(c.leaves) == 0 {
		c.leaves = [][]*subject{nil}
	}
	was := c.leaves[leaf]
	var now []*subject
	switch {
	case p.void():
		now = slices.Delete(c.writable(was), i, i+1)
		c.n--
	case found:
		now = c.writable(was)
		now[i] = p
	default:
		now = slices.Insert(c.writable(was), i, p)
		c.n++
	}
	c.replace(leaf, now)
}

// void tells whether nothing is known of a subject any more.
func (p *subject) void() bool { return p.account == nil && len(p.links) == 0 && p.own == nil }

// writable gives a leaf that may be changed, which is a copy unless it is one already.
func (c *crowding) writable(leaf []*subject) []*subject {
	if len(leaf) > 0 && c.own[leaf[0]] {
		delete(c.own, leaf[0])
		return leaf
	}
	return slices.Clone(leaf)
}

func (c *crowding) replace(leaf int, now []*subject) {
	switch {
	case len(now) == 0:
		c.leaves = slices.Delete(c.leaves, leaf, leaf+1)
		return
	case len(now) < 2*leafSize:
		c.leaves[leaf] = now
	default:
		half := slices.Clone(now[leafSize:])
		c.leaves[leaf] = slices.Clip(now[:leafSize])
		c.leaves = slices.Insert(c.leaves, leaf+1, half)
		c.own[half[0]] = true
	}
	c.own[c.leaves[leaf][0]] = true
}
