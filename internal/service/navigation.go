package service

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Outlook asks what one user may see and do, for a program that draws its pages
// by it.
type Outlook struct {
	User     string // an id, or access.AnonymousID for whoever has not signed in
	Scope    access.Scope
	Language string   // of labels; the usual ones when empty
	Tags     []string // of answers that the asker has already
}

// Seen is what the answers to an Outlook have in common.
type Seen struct {
	// Tag stands for the answer. As long as the same tag is given, the answer is
	// the same.
	Tag        string
	Same       bool // the asker has this answer: the rest is empty
	Revision   access.Revision
	ValidUntil time.Time // zero: until the next revision
}

// NavigationEntry is one line of a menu.
type NavigationEntry struct {
	Section     access.Section
	Application string
	Label       string
	Order       int
	Family      string // heading where rights are given; empty: none
	Opens       bool   // the section may be shown; false: a heading for what stands below
	Below       []NavigationEntry
}

// Navigation gives the menu of a user: sections with a menu entry that he may show
// and has chosen, if he chose any, below the sections above them. It is no
// protection: whoever serves a section must ask all the same.
func (d *Directory) Navigation(ctx context.Context, caller access.Caller, tenant string, q Outlook) ([]NavigationEntry, Seen, error) {
	var entries []NavigationEntry
	seen, err := d.outlook(ctx, caller, tenant, "navigation", q, func(s access.Sight, ask *access.Request) (access.Menu, error) {
		u, err := d.account(ctx, tenant, q.User)
		if err != nil {
			return access.Menu{}, err
		}
		ask.Actions = []access.Action{"show"}
		found, err := s.Sections(ctx, ask)
		if err == nil {
			entries = navigation(s.Frame().Catalogue, &found, u.Menu, q.Language)
		}
		return found, err
	})
	return entries, seen, err
}

// Capabilities is everything that a user may do in one scope.
type Capabilities struct {
	Sections []access.Allowed
	Visible  []access.Section // fields of records that may be shown
	Editable []access.Section // fields of records that may be updated
}

// Capabilities gives everything that a user may do, in one pass. It is what would
// be allowed if everything were asked one by one about no record in particular:
// what depends on a record must be asked with it.
func (d *Directory) Capabilities(ctx context.Context, caller access.Caller, tenant string, q Outlook) (Capabilities, Seen, error) {
	var all Capabilities
	seen, err := d.outlook(ctx, caller, tenant, "capabilities", q, func(s access.Sight, ask *access.Request) (access.Menu, error) {
		if _, err := d.account(ctx, tenant, q.User); err != nil {
			return access.Menu{}, err
		}
		found, err := s.Sections(ctx, ask)
		if err == nil {
			all.Sections = found.Sections
			all.Visible, all.Editable = fields(s.Frame().Catalogue, &found)
		}
		return found, err
	})
	return all, seen, err
}

// outlook lets the caller in and builds an answer, unless he has it already.
func (d *Directory) outlook(ctx context.Context, caller access.Caller, tenant, kind string, q Outlook, build func(access.Sight, *access.Request) (access.Menu, error)) (Seen, error) {
	q.Scope = cmp.Or(q.Scope, access.Everywhere)
	if !d.of.Now() { // a tag of another state, or another moment, is none of this answer
		kind += fmt.Sprint(" as of ", d.of)
	}
	if err := q.check(); err != nil {
		return Seen{}, err
	}
	if err := d.maySee(ctx, caller, tenant, q.User); err != nil {
		return Seen{}, err
	}
	var seen Seen
	who := access.Subject{Kind: access.KindUser, ID: q.User}
	err := d.authority.upToDate(ctx, tenant, 0, func() error {
		s, err := d.sight(ctx, tenant)
		if err != nil {
			return err
		}
		digest := q.digest(kind, s.Stamp(who))
		if tag := q.has(digest, d.state.opts.Clock()); tag != "" {
			seen = Seen{Tag: tag, Same: true, Revision: s.Revision()}
			return nil
		}
		found, err := build(s, &access.Request{Subject: who, Scope: q.Scope})
		seen = Seen{Tag: tagOf(digest, found.ValidUntil), Revision: found.Revision, ValidUntil: found.ValidUntil}
		return err
	})
	if err == nil {
		d.authority.looked(caller, tenant, who, kind)
	}
	return seen, err
}

func (q *Outlook) check() error {
	if err := access.ValidID("user", q.User); err != nil {
		return err
	}
	if q.Language != "" {
		if err := ValidLanguage("lang", q.Language); err != nil {
			return err
		}
	}
	return access.ValidScope("scope", q.Scope)
}

// maySee lets in keys that may ask, users about themselves, and whoever may look
// at this user.
func (d *Directory) maySee(ctx context.Context, caller access.Caller, tenant, id string) error {
	if err := d.state.Fresh(); err != nil {
		return err
	}
	who := access.Subject{Kind: access.KindUser, ID: id}
	in, err := d.authority.Allow(ctx, caller, tenant, Need{Part: "Users", Action: "show", Own: caller.Subject == who, Key: access.KeyDecide})
	if err != nil || caller.Subject == who {
		return err
	}
	if in.Everywhere {
		return nil
	}
	return d.authority.upToDate(ctx, tenant, 0, func() error {
		u, err := d.account(ctx, tenant, id)
		if err != nil {
			return err
		}
		u.ID = id // also of anonymous, who has no account
		return d.visibleAccount(ctx, tenant, in, &u)
	})
}

// account gives a user; for questions without one, nobody in particular.
func (d *Directory) account(ctx context.Context, tenant, id string) (access.User, error) {
	if id == access.AnonymousID {
		return access.User{}, nil
	}
	return d.store.Account(ctx, tenant, id)
}

// digest stands for the question and for all of the tenant's state that its answer
// depends on, but for the clock.
func (q *Outlook) digest(kind string, s access.Stamp) string {
	text, _ := json.Marshal([]any{kind, q.User, q.Scope, q.Language, s}) // strings and numbers: cannot fail
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// tagOf adds to a digest until when the answer holds.
func tagOf(digest string, until time.Time) string {
	if until.IsZero() {
		return digest
	}
	return digest + "." + strconv.FormatInt(until.UnixMilli(), 36)
}

// has gives the tag of an answer that the asker has and that still holds, or "".
func (q *Outlook) has(digest string, now time.Time) string {
	for _, tag := range q.Tags {
		of, term, bounded := strings.Cut(tag, ".")
		if of != digest {
			continue
		}
		until, err := strconv.ParseInt(term, 36, 64)
		if !bounded || err == nil && now.UnixMilli() < until {
			return tag
		}
	}
	return ""
}

// fields tells which fields of records may be shown and updated.
func fields(catalogue []access.Application, found *access.Menu) (visible, editable []access.Section) {
	field := map[access.Section]bool{}
	for _, a := range catalogue {
		for _, s := range a.Sections {
			field[s.Path] = s.Field
		}
	}
	for _, s := range found.Sections {
		if !field[s.Section] {
			continue
		}
		if slices.Contains(s.Actions, "show") {
			visible = append(visible, s.Section)
		}
		if slices.Contains(s.Actions, "update") {
			editable = append(editable, s.Section)
		}
	}
	return visible, editable
}

// menu puts a navigation together.
type menu struct {
	sections map[access.Section]*access.SectionEntry
	owner    map[access.Section]string
	opens    map[access.Section]bool
	below    map[access.Section][]access.Section
	language string

	applications map[string]*access.Application // by code
}

func navigation(catalogue []access.Application, found *access.Menu, chosen []access.Section, language string) []NavigationEntry {
	m := menu{
		sections: map[access.Section]*access.SectionEntry{}, owner: map[access.Section]string{},
		opens: map[access.Section]bool{}, below: map[access.Section][]access.Section{}, language: language,
		applications: map[string]*access.Application{},
	}
	for at := range catalogue {
		a := &catalogue[at]
		m.applications[a.Code] = a
		for i := range a.Sections {
			s := &a.Sections[i]
			m.sections[s.Path], m.owner[s.Path] = s, a.Code
		}
	}
	for _, s := range found.Sections {
		e := m.sections[s.Section]
		m.opens[s.Section] = e != nil && e.Menu != nil && (chosen == nil || slices.Contains(chosen, s.Section))
	}
	placed := map[access.Section]bool{}
	for path, opens := range m.opens {
		for at := path; opens && at != "" && !placed[at]; at = m.above(at) {
			placed[at] = true
			m.below[m.above(at)] = append(m.below[m.above(at)], at)
		}
	}
	return m.grow("")
}

// above gives the nearest section above that is declared.
func (m *menu) above(path access.Section) access.Section {
	for at := path.Parent(); at != ""; at = at.Parent() {
		if m.sections[at] != nil {
			return at
		}
	}
	return ""
}

// grow gives the lines below a section. A heading stands where its first line would.
func (m *menu) grow(of access.Section) []NavigationEntry {
	var all []NavigationEntry
	for _, path := range m.below[of] {
		s, below := m.sections[path], m.grow(path)
		e := NavigationEntry{Section: path, Application: m.owner[path], Label: s.Name, Opens: m.opens[path], Below: below}
		switch {
		case s.Menu != nil:
			e.Label, e.Order = cmp.Or(s.Menu.Label, s.Name), s.Menu.Order
		case len(below) > 0:
			e.Order = below[0].Order
		}
		e.Label = InLanguage(s.Names, m.language, e.Label)
		if s.Menu != nil {
			e.Label = InLanguage(s.Menu.Labels, m.language, e.Label)
		}
		e.Label = cmp.Or(e.Label, string(path))
		e.Family = FamilyIn(m.applications[e.Application], s.Family, m.language)
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b NavigationEntry) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), strings.Compare(string(a.Section), string(b.Section)))
	})
	return all
}
